//! What is collected of a folder, and what is not.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use assert_cmd::cargo::cargo_bin_cmd;
use r_ems::archive::unpack::unpack;

use crate::packed::taken_apart;
use crate::{emsctl, errors, json, place, text};

/// Collects a folder, and gives the archive's path and what was printed.
fn collected(state: &Path, archive: &str, code: i32) -> (String, serde_json::Value) {
    let archive = state.parent().expect("it lies in a folder").join(archive).to_string_lossy().into_owned();
    let state = state.to_string_lossy();
    let nobody = format!("{archive}.sock");
    let output = emsctl(&[
        "collect", "--state", &state, "--output", &archive, "--socket", &nobody, "--format", "json",
    ]);
    assert_eq!(output.status.code(), Some(code), "{}", errors(&output));
    (archive, json(&output))
}

/// A folder with a few files that are named as those of a journal.
fn state(name: &str) -> std::path::PathBuf {
    let state = place(name).join("state");
    let journal = state.join("g").join("a");
    fs::create_dir_all(&journal).expect("a folder of its own");
    for (name, content) in [
        ("0000000001.rlog", "one"),
        ("0000000002.rlog", ""),
        ("0000000003.new", "three"),
        ("0000000000.quarantined", "none"),
        ("promise.a", "a"),
        ("lock", ""),
    ] {
        fs::write(journal.join(name), content).expect("a file can be written");
    }
    state
}

/// The paths in an archive below its folder, in their order.
fn paths(archive: &str) -> Vec<String> {
    let entries = taken_apart(&fs::read(archive).expect("it is there"));
    let below = |path: &[u8]| String::from_utf8_lossy(path).split_once('/').expect("a folder").1.to_owned();
    entries.iter().map(|entry| below(&entry.path)).collect()
}

#[test]
fn files_of_journals_are_collected_and_nothing_else_and_no_link_is_followed() {
    let state = state("chosen");
    let (journal, secret) = (state.join("g").join("a"), state.join("site.key"));
    fs::write(&secret, "secret").expect("a file can be written");
    fs::write(journal.join("notes.txt"), "mine").expect("a file can be written");
    symlink(&secret, journal.join("0000000007.rlog")).expect("a link can be made");
    symlink("/", state.join("root")).expect("a link can be made");
    rustix::fs::mkfifoat(rustix::fs::CWD, journal.join("0000000008.rlog"), rustix::fs::Mode::RWXU)
        .expect("a pipe can be made");
    fs::create_dir(journal.join("0000000009.rlog")).expect("a folder can be made");
    let (archive, printed) = collected(&state, "chosen.tar.gz", 0);
    // The newest first: they are there if there is not room for all.
    let names =
        ["promise.a", "0000000003.new", "0000000002.rlog", "0000000001.rlog", "0000000000.quarantined"];
    let expected: Vec<String> =
        names.iter().map(|name| format!("state/g/a/{name}")).chain(["manifest.json".to_owned()]).collect();
    assert_eq!(paths(&archive), expected);
    let left = printed["left_out"].as_array().expect("a list");
    let left: Vec<&str> = left.iter().filter_map(|left| left["path"].as_str()).collect();
    assert_eq!(left, ["site.key", "root", "g/a/notes.txt", "g/a/0000000008.rlog", "g/a/0000000007.rlog"]);
    assert!(printed["unanswered"].as_str().is_some_and(|why| why.contains("no daemon listens")), "{printed}");
    let content = fs::read(&archive).expect("it is there");
    assert!(taken_apart(&content).iter().all(|entry| entry.content != b"secret" && entry.content != b"mine"));
    assert_eq!(fs::metadata(&archive).expect("it is there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn what_could_not_be_taken_out_again_is_left_out() {
    let state = state("no_text");
    let strange = state.join("g").join(std::ffi::OsStr::from_bytes(b"\xffa"));
    fs::create_dir_all(&strange).expect("a folder can be made");
    fs::write(strange.join("0000000001.rlog"), "one").expect("a file can be written");
    let (archive, printed) = collected(&state, "no_text.tar.gz", 1);
    assert_eq!(printed["left_out"][0]["why"], "its path is no text", "{printed}");
    let content = fs::read(archive).expect("it is there");
    let unpacked = unpack(content.as_slice(), |_, _| {});
    assert!(unpacked.refusal.is_none() && unpacked.mistakes().is_empty(), "{:?}", unpacked.refusal);
    assert_eq!(unpacked.files.len(), 5);
}

#[test]
fn nothing_is_written_over_and_nothing_is_left_of_what_fails() {
    let state = state("kept");
    let (archive, _) = collected(&state, "kept.tar.gz", 0);
    let before = fs::metadata(&archive).expect("it is there").ino();
    let again = emsctl(&["collect", "--state", &state.to_string_lossy(), "--output", &archive]);
    assert_eq!(again.status.code(), Some(2));
    assert!(errors(&again).contains("it is there already"), "{}", errors(&again));
    assert_eq!(fs::metadata(&archive).expect("it is there").ino(), before);
    let empty = place("empty");
    fs::create_dir_all(empty.join("state")).expect("a folder of its own");
    let archive = empty.join("empty.tar.gz").to_string_lossy().into_owned();
    let nothing =
        emsctl(&["collect", "--state", &empty.join("state").to_string_lossy(), "--output", &archive]);
    assert_eq!(nothing.status.code(), Some(1));
    assert!(errors(&nothing).contains("no file of a journal"), "{}", errors(&nothing));
    let nowhere = emsctl(&["collect", "--state", "/nowhere/at/all", "--output", &archive]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(errors(&nowhere).contains("/nowhere/at/all"), "{}", errors(&nowhere));
    assert!(!fs::exists(&archive).expect("its folder can be read"));
}

#[test]
fn an_archive_is_called_by_its_host_and_lies_where_the_user_is() {
    let state = state("named");
    let here = place("here");
    fs::create_dir_all(&here).expect("a folder of its own");
    let mut command = cargo_bin_cmd!("r-emsctl");
    let nobody = here.join("nobody.sock");
    let arguments =
        ["collect".as_ref(), "--state".as_ref(), state.as_os_str(), "--socket".as_ref(), nobody.as_os_str()];
    let output = command.current_dir(&here).args(arguments).output().expect("the program runs");
    assert_eq!(output.status.code(), Some(0), "{}", errors(&output));
    let names: Vec<String> = fs::read_dir(&here)
        .expect("it is there")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let [name] = names.as_slice() else { panic!("one file: {names:?}") };
    assert!(name.ends_with("Z.tar.gz") && text(&output).contains(name.as_str()), "{name}");
    let folder = name.trim_end_matches(".tar.gz");
    let entries = taken_apart(&fs::read(here.join(name)).expect("it is there"));
    assert!(entries.iter().all(|entry| entry.path.starts_with(format!("{folder}/").as_bytes())));
}
