//! Archives that somebody else made: they are refused, in words, and nothing of them ever reaches the disk.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use assert_cmd::cargo::cargo_bin_cmd;
use flate2::Compression;
use flate2::write::GzEncoder;
use r_ems::archive::manifest::LEFT_OUT_MAX;
use r_ems::archive::unpack::unpack;
use r_ems::archive::{ENTRIES_MAX, PATH_BYTES_MAX, REST_BYTES_MAX, UNPACKED_BYTES_MAX};
use r_ems::engine::rng::Stream;
use tar::EntryType;

use crate::packed::{Entry, put_together, unpacked};
use crate::place;
use crate::site::Site;

/// What the program says of an archive, in a folder in which nothing appears.
fn refused(archive: &[u8]) -> String {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder: PathBuf = place(&format!("hostile_{number}"));
    fs::create_dir_all(&folder).expect("a folder of its own");
    fs::write(folder.join("it.tar.gz"), archive).expect("a file can be written");
    let mut command = cargo_bin_cmd!("r-emsctl");
    // As a terminal gets it: to others no sequence is passed on, whoever wrote it.
    command.env("CLICOLOR_FORCE", "1");
    let output =
        command.current_dir(&folder).args(["replay", "it.tar.gz"]).output().expect("the program runs");
    let written =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!written.contains("\u{1b}[2J"), "nothing of it reaches a terminal: {written:?}");
    let page = anstream::adapter::strip_str(&written).to_string();
    assert!(page.len() < written.len(), "the program's own do: {written:?}");
    assert!(!page.lines().any(|line| line.starts_with("replayed bit for bit")), "nor a line: {page}");
    assert_eq!(output.status.code(), Some(1), "{page}");
    assert_eq!(fs::read_dir(&folder).expect("it is there").count(), 1, "nothing but the archive lies there");
    page
}

#[test]
fn what_leads_out_of_the_archive_is_refused() {
    let good = Entry::file("x/state/g/a/0000000001.rlog", b"no log");
    let bad = |path: &str| Entry::file(path, b"bad");
    for (entry, words) in [
        (bad("x/../../../etc/passwd"), "leads out of the archive"),
        (bad("../x"), "leads out of the archive"),
        (bad("/etc/passwd"), "begins at the root"),
        (bad("x/a\u{1b}[2J"), "control characters"),
        (bad("x//y"), "empty parts"),
        (bad("y/z"), "everything else stands in x"),
        (bad("x"), "it stands in no folder"),
        (Entry { path: b"x/\xff\xfe".to_vec(), ..bad("") }, "its path is no text"),
        (Entry::other("x/state/g/a/0000000002.rlog", EntryType::Symlink, "/etc/passwd"), "a symbolic link"),
        (Entry::other("x/state/g/a/0000000002.rlog", EntryType::Link, "/etc/passwd"), "a hard link"),
        (Entry::other("x/tty", EntryType::Char, ""), "a device"),
        (Entry::other("x/sda", EntryType::Block, ""), "a device"),
        (Entry::other("x/pipe", EntryType::Fifo, ""), "a pipe"),
        (Entry::other("x/../..", EntryType::Directory, ""), "leads out of the archive"),
        (Entry::other("x/pax", EntryType::XHeader, ""), "a pax header"),
        (Entry::other("x/sparse", EntryType::GNUSparse, ""), "a sparse file"),
        (Entry::other("x/what", EntryType::new(b'Z'), ""), "of a kind that is not known"),
        (good.clone(), "it is there twice"),
    ] {
        let page = refused(&put_together(&[good.clone(), entry]));
        assert!(page.contains("the archive is refused") && page.contains(words), "{words}: {page}");
    }
}

#[test]
fn long_names_are_paths_like_others() {
    let long = |name: &[u8]| Entry {
        content: name.to_vec(),
        ..Entry::other("././@LongLink", EntryType::GNULongName, "")
    };
    let file = Entry::file("x/short", b"no log");
    for (entries, words) in [
        (vec![long(b"x/../../etc/passwd\0"), file.clone()], "leads out of the archive"),
        (vec![long(&vec![b'x'; PATH_BYTES_MAX + 2]), file.clone()], "it is too long"),
        (vec![long(b"x/y\0"), long(b"x/z\0"), file.clone()], "it follows another one"),
    ] {
        let page = refused(&put_together(&entries));
        assert!(page.contains(words), "{words}: {page}");
    }
    // One that is fine is the path of what follows.
    let name = format!("x/state/{}/a/0000000001.rlog", "g".repeat(200));
    let mut seen = Vec::new();
    let archive = put_together(&[long(format!("{name}\0").as_bytes()), file]);
    let unpacked = unpack(archive.as_slice(), |path, _| seen.push(path.to_owned()));
    assert!(unpacked.refusal.is_none());
    assert_eq!(seen, [&name[2..]]);
}

#[test]
fn what_tar_says_of_a_head_is_for_a_terminal_too() {
    let mut tar = unpacked(&[Entry::file("x/\u{1b}[2J", b"bad")]);
    tar[124..132].copy_from_slice(b"\x1b[2J\nxyz");
    // The sum of all bytes, with blanks where it stands itself.
    tar[148..156].copy_from_slice(b"        ");
    let sum: u32 = tar[..512].iter().map(|byte| u32::from(*byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&tar).expect("memory takes all");
    let page = refused(&packed.finish().expect("memory takes all"));
    assert!(page.contains("damaged or cut off") && page.contains("2J"), "{page}");
}

#[test]
fn long_names_take_no_room_of_files() {
    let long =
        Entry { content: b"x/y\0".to_vec(), ..Entry::other("././@LongLink", EntryType::GNULongName, "") };
    let file = |number: usize| {
        let content = format!("x/{number}\0").into_bytes();
        [Entry { content, ..long.clone() }, Entry::file("x/short", b"")]
    };
    let archive = put_together(&(0..ENTRIES_MAX).flat_map(file).collect::<Vec<_>>());
    let unpacked = unpack(archive.as_slice(), |_, _| {});
    assert!(unpacked.refusal.is_none(), "{:?}", unpacked.refusal);
    assert_eq!(unpacked.files.len(), ENTRIES_MAX);
}

#[test]
fn bombs_are_refused_before_they_go_off() {
    let claims =
        |bytes: u64| Entry { claims: Some(bytes), ..Entry::file("x/state/g/a/0000000001.rlog", b"") };
    let page = refused(&put_together(&[claims(UNPACKED_BYTES_MAX + 1)]));
    assert!(page.contains("unpacked it is larger"), "{page}");
    let page = refused(&put_together(&[claims(u64::MAX)]));
    assert!(page.contains("unpacked it is larger") || page.contains("damaged"), "{page}");
    let many: Vec<Entry> = (0..=ENTRIES_MAX)
        .map(|number| Entry::other(&format!("x/{number}"), EntryType::Directory, ""))
        .collect();
    let page = refused(&put_together(&many));
    assert!(page.contains("more entries than any host keeps"), "{page}");
    let mut endless = GzEncoder::new(Vec::new(), Compression::fast());
    endless.write_all(&unpacked(&[Entry::file("x/a", b"a")])).expect("memory takes all");
    endless.write_all(&vec![7; REST_BYTES_MAX as usize]).expect("memory takes all");
    let page = refused(&endless.finish().expect("memory takes all"));
    assert!(page.contains("goes on after its last entry"), "{page}");
    let manifest = Entry { claims: Some(UNPACKED_BYTES_MAX / 2), ..Entry::file("x/manifest.json", b"{}") };
    let page = refused(&put_together(&[manifest]));
    assert!(page.contains("its manifest is too large"), "{page}");
}

#[test]
fn a_manifest_is_believed_no_more_than_the_rest() {
    let file = Entry::file("x/state/g/a/0000000001.rlog", b"no log");
    let with =
        |manifest: &str| put_together(&[file.clone(), Entry::file("x/manifest.json", manifest.as_bytes())]);
    let page = refused(&with("{"));
    assert!(page.contains("manifest.json: "), "{page}");
    let page = refused(&with("{\"format\":2}"));
    assert!(page.contains("use a newer one"), "{page}");
    let manifest = |path: &str| {
        let digest = "0".repeat(64);
        format!(
            "{{\"format\":1,\"version\":\"1\\u001b[2J\",\"host\":\"\\u001b[2Jh\\nreplayed bit for bit\",\
             \"collected\":\"2026-11-29 UTC\",\"state\":\"s\",\
             \"socket\":\"s\",\"unanswered\":null,\"files\":[{{\"path\":{path:?},\"bytes\":6,\"blake3\":\"{digest}\"}}],\
             \"left_out\":[{{\"path\":\"p\\u001b[2J\",\"why\":\"w\\nreplayed bit for bit\"}}],\"left_out_more\":0}}"
        )
    };
    let page = refused(&with(&manifest("../../x")));
    assert!(page.contains("leads out of the archive"), "{page}");
    let page = refused(&with(&manifest("state/g/a/0000000001.rlog")));
    assert!(
        page.contains("its bytes are not those that were collected") && page.contains("not replayed"),
        "{page}"
    );
    let left = "{\"path\":\"p\",\"why\":\"w\"},".repeat(LEFT_OUT_MAX);
    let many =
        manifest("state/g/a/0000000001.rlog").replace("\"left_out\":[", &format!("\"left_out\":[{left}"));
    let page = refused(&with(&many));
    assert!(page.contains("its manifest lists more"), "{page}");
    let page = refused(&put_together(&[Entry::file("x/notes", b"no log")]));
    assert!(page.contains("there is no manifest.json"), "{page}");
    let twice = Entry::file("x/manifest.json", manifest("state/g/a/0000000001.rlog").as_bytes());
    let page = refused(&put_together(&[file.clone(), twice.clone(), twice]));
    assert!(page.contains("it comes after manifest.json"), "{page}");
}

#[test]
fn whatever_becomes_of_its_bytes_an_archive_never_makes_the_program_fail() {
    let site = Site::run("mangled", "2 s", "");
    let good = fs::read(site.collect(1)).expect("it was just made");
    let plain = crate::packed::taken_apart(&good);
    let tar = unpacked(&plain);
    let mut random = Stream::new(7, 0);
    let mut below = |limit: usize| random.below(limit as u64) as usize;
    let look = |archive: &[u8]| {
        let unpacked = unpack(archive, |_, content| {
            std::io::copy(content, &mut std::io::sink()).map_or_else(drop, drop);
        });
        unpacked.refusal.is_some() || !unpacked.mistakes().is_empty()
    };
    assert!(!look(&good));
    let mut found = 0;
    for _ in 0..300 {
        let mut archive = good.clone();
        let place = below(archive.len());
        archive[place] ^= 1 << below(8);
        // A few bytes of gzip's head mean nothing.
        found += usize::from(look(&archive));
        archive.truncate(below(archive.len()));
        assert!(look(&archive), "it is cut off");
        // The same behind a right checksum.
        let mut bytes = tar.clone();
        for _ in 0..=below(3) {
            let place = below(bytes.len());
            bytes[place] ^= 1 << below(8);
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&bytes).expect("memory takes all");
        look(&packed.finish().expect("memory takes all"));
    }
    assert!(found > 290, "{found} of 300 bits were noticed");
    // The program as a whole, where a file of the journal is another one.
    let of_journal = |entry: &Entry| String::from_utf8_lossy(&entry.path).contains("/state/");
    let files: Vec<usize> = (0..plain.len()).filter(|place| of_journal(&plain[*place])).collect();
    for _ in 0..8 {
        let mut entries = plain.clone();
        let content = &mut entries[files[below(files.len())]].content;
        let place = below(content.len());
        content[place] ^= 1 << below(8);
        let page = refused(&put_together(&entries));
        assert!(page.contains("error:"), "{page}");
    }
}
