//! What operations mean in a folder, and what stands in the place of a file without being one.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use r_ems_engine::persistence::disk::{CopyName, DiskError, FileName, Operation, Reply, Storage};
use r_ems_site::disk::{Answer, Folder, FolderError, OPEN_MAX, text_of};
use rustix::fs::{CWD, FileType, Mode, mkdirat, mknodat};

use super::{FAILED, folder, place, read, write};

const SEGMENT: FileName = FileName::Segment(7);
const NEW: FileName = FileName::New(7);
const PROMISE: FileName = FileName::Promise(CopyName::A);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// How many files this process has open in a folder.
fn open_in(path: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("it is a Linux");
    let targets = descriptors.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    targets.filter(|target| target.parent() == Some(path) && !target.ends_with("lock")).count()
}

#[test]
fn a_folder_is_made_with_what_leads_to_it_and_for_its_owner_only() {
    let path = place("made");
    let mut folder = Folder::open(&path.join("commerce/a")).expect("it can be made");
    assert_eq!(folder.list(), Ok(vec![]));
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done);
    for made in [&path, &path.join("commerce"), &path.join("commerce/a")] {
        assert_eq!(mode(made), 0o700, "{}", made.display());
    }
    assert_eq!(mode(&path.join("commerce/a/0000000007.rlog")), 0o600);
}

#[test]
fn a_folder_that_is_there_stays_as_it_is() {
    let path = place("there");
    fs::create_dir_all(&path).expect("a folder for tests");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    drop(Folder::open(&path).expect("it is there"));
    assert_eq!(mode(&path), 0o755);
}

#[test]
fn a_second_process_is_told_where_the_first_one_works() {
    let (path, folder) = folder("locked");
    let refused = Folder::open(&path).expect_err("the folder is in use");
    assert!(matches!(&refused, FolderError::InUse(folder) if *folder == path), "{refused:?}");
    let told = format!("{}: another r-emsd runs on this folder", path.display());
    assert!(refused.to_string().starts_with(&told), "{refused}");
    let shared = folder.share().expect("descriptors");
    drop(folder);
    assert!(matches!(Folder::open(&path), Err(FolderError::InUse(_))), "a thread still works there");
    drop(shared);
    drop(Folder::open(&path).expect("nobody works there"));
}

#[test]
fn a_folder_that_is_held_is_nobodys_and_nothing_is_made_for_that() {
    let (path, folder) = folder("held");
    assert!(matches!(Folder::hold(&path), Err(FolderError::InUse(_))), "somebody works there");
    drop(folder);
    let held = Folder::hold(&path).expect("nobody works there").expect("somebody did");
    assert!(matches!(Folder::open(&path), Err(FolderError::InUse(_))));
    drop(held);
    drop(Folder::open(&path).expect("it is free again"));
    let nowhere = path.join("below");
    assert!(matches!(Folder::hold(&nowhere), Ok(None)));
    assert!(!nowhere.exists());
}

#[test]
fn a_folder_that_is_none_is_told_by_its_path() {
    let path = place("none");
    fs::create_dir_all(&path).expect("a folder for tests");
    fs::write(path.join("file"), b"").expect("a folder for tests");
    let refused = Folder::open(&path.join("file")).expect_err("it is a file");
    assert!(matches!(&refused, FolderError::Refused(..)), "{refused:?}");
    assert!(refused.to_string().starts_with(&path.join("file").display().to_string()), "{refused}");
}

#[test]
fn what_is_written_is_read_and_listed() {
    let (_, mut folder) = folder("written");
    assert_eq!(write(&mut folder, NEW, 0, b"a head"), Answer::Done);
    assert_eq!(folder.perform(&Operation::Sync { file: NEW }), Answer::Done);
    assert_eq!(folder.perform(&Operation::Rename { from: NEW, to: SEGMENT }), Answer::Done);
    assert_eq!(folder.perform(&Operation::SyncDirectory), Answer::Done);
    assert_eq!(read(&mut folder, SEGMENT, 4), Answer::Bytes(b"a he".to_vec()));
    assert_eq!(write(&mut folder, SEGMENT, 6, b" and more"), Answer::Done);
    assert_eq!(folder.perform(&Operation::Sync { file: SEGMENT }), Answer::Done);
    assert_eq!(read(&mut folder, SEGMENT, u32::MAX), Answer::Bytes(b"a head and more".to_vec()));
    assert_eq!((folder.list(), folder.perform(&Operation::List)), (Ok(vec![SEGMENT]), Answer::Done));
    let mut bytes = [0; 5];
    assert_eq!(folder.read(SEGMENT, 11, &mut bytes), Ok(4));
    assert_eq!(&bytes[..4], b"more");
    assert_eq!(folder.read(SEGMENT, 15, &mut bytes), Ok(0));
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), Answer::Done);
    assert_eq!(folder.list(), Ok(vec![]));
}

#[test]
fn what_is_not_there_has_no_bytes_and_is_removed_already() {
    let (_, mut folder) = folder("absent");
    assert_eq!(read(&mut folder, SEGMENT, 9), Answer::Bytes(vec![]));
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), Answer::Done);
    assert_eq!(folder.perform(&Operation::Rename { from: NEW, to: SEGMENT }), Answer::Done);
    assert_eq!(folder.perform(&Operation::Sync { file: SEGMENT }), FAILED);
    assert_eq!(folder.read(SEGMENT, 0, &mut [0; 9]), Err(DiskError::Failed));
    assert_eq!(folder.list(), Ok(vec![]), "nothing of that has made a file");
}

#[test]
fn a_write_beyond_the_end_leaves_no_hole_and_no_file() {
    let (_, mut folder) = folder("hole");
    assert_eq!(write(&mut folder, SEGMENT, 1, b"bytes"), FAILED);
    assert_eq!(folder.list(), Ok(vec![]));
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done);
    assert_eq!(write(&mut folder, SEGMENT, 6, b"bytes"), FAILED);
    assert_eq!(write(&mut folder, SEGMENT, u64::MAX, b"bytes"), FAILED);
    assert_eq!(write(&mut folder, SEGMENT, 5, b" more"), Answer::Done);
    assert_eq!(read(&mut folder, SEGMENT, 99), Answer::Bytes(b"bytes more".to_vec()));
}

#[test]
fn a_file_that_somebody_removed_or_cut_is_not_written_on() {
    let (path, mut folder) = folder("gone");
    let file = path.join(text_of(SEGMENT));
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done);
    fs::remove_file(&file).expect("it is there");
    assert_eq!(write(&mut folder, SEGMENT, 5, b" more"), FAILED);
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done, "it is begun anew");
    fs::remove_file(&file).expect("it is there");
    assert_eq!(folder.perform(&Operation::Sync { file: SEGMENT }), FAILED, "nobody will find it");
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done);
    File::options().write(true).open(&file).and_then(|file| file.set_len(3)).expect("it is there");
    assert_eq!(write(&mut folder, SEGMENT, 5, b" more"), FAILED);
    assert_eq!(read(&mut folder, SEGMENT, 99), Answer::Bytes(b"byt".to_vec()));
}

#[test]
fn what_has_another_files_name_now_is_what_is_written() {
    let (_, mut folder) = folder("renamed");
    assert_eq!(write(&mut folder, SEGMENT, 0, b"an old one"), Answer::Done);
    assert_eq!(write(&mut folder, NEW, 0, b"new"), Answer::Done);
    assert_eq!(folder.read(SEGMENT, 0, &mut [0; 3]), Ok(3));
    assert_eq!(folder.perform(&Operation::Rename { from: NEW, to: SEGMENT }), Answer::Done);
    assert_eq!(write(&mut folder, SEGMENT, 3, b"er"), Answer::Done);
    let mut bytes = [0; 9];
    assert_eq!((folder.read(SEGMENT, 0, &mut bytes), &bytes[..5]), (Ok(5), &b"newer"[..]));
    assert_eq!(write(&mut folder, NEW, 0, b"another"), Answer::Done);
    assert_eq!(read(&mut folder, SEGMENT, 99), Answer::Bytes(b"newer".to_vec()));
}

#[test]
fn links_pipes_and_folders_are_no_files_and_nobody_waits_for_them() {
    let (path, mut folder) = folder("hostile");
    let outside = place("hostile_outside");
    fs::create_dir_all(&outside).expect("a folder for tests");
    fs::write(outside.join("file"), b"not ours").expect("a folder for tests");
    let [file, dangling, pipe, directory] = [1, 2, 3, 4].map(FileName::Segment);
    let at = |name| path.join(text_of(name));
    symlink(outside.join("file"), at(file)).expect("a link");
    symlink(outside.join("made"), at(dangling)).expect("a link");
    mknodat(CWD, at(pipe), FileType::Fifo, Mode::RWXU, 0).expect("a pipe");
    mkdirat(CWD, at(directory), Mode::RWXU).expect("a folder");
    for name in [file, dangling, pipe, directory] {
        assert_eq!(write(&mut folder, name, 0, b"bytes"), FAILED, "{name:?}");
        assert_eq!(folder.perform(&Operation::Sync { file: name }), FAILED, "{name:?}");
        assert_eq!(read(&mut folder, name, 9), FAILED, "{name:?}");
        assert_eq!(folder.read(name, 0, &mut [0; 9]), Err(DiskError::Failed), "{name:?}");
    }
    assert_eq!(folder.list().map(|files| files.len()), Ok(4), "a recovery hears of them");
    for name in [file, dangling, pipe] {
        assert_eq!(folder.perform(&Operation::Remove { file: name }), Answer::Done, "{name:?}");
    }
    assert_eq!(folder.perform(&Operation::Remove { file: directory }), FAILED);
    assert_eq!(fs::read(outside.join("file")).expect("it is there"), b"not ours");
    assert!(!outside.join("made").exists());
}

#[test]
fn a_lock_that_is_a_link_locks_nothing() {
    let path = place("linked_lock");
    fs::create_dir_all(&path).expect("a folder for tests");
    symlink(path.join("elsewhere"), path.join("lock")).expect("a link");
    assert!(matches!(Folder::open(&path), Err(FolderError::Refused(..))));
    assert!(!path.join("elsewhere").exists());
}

#[test]
fn files_of_others_are_not_listed_and_stay() {
    let (path, mut folder) = folder("foreign");
    let foreign = ["notes.txt", "7.rlog", "0000000007.rlog~", "promise.c"];
    for name in foreign {
        fs::write(path.join(name), b"not ours").expect("a folder for tests");
    }
    assert_eq!(write(&mut folder, PROMISE, 0, b"a promise"), Answer::Done);
    assert_eq!(folder.list(), Ok(vec![PROMISE]));
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), Answer::Done);
    assert!(foreign.iter().all(|name| path.join(name).exists()));
}

#[test]
fn no_more_files_stay_open_than_are_allowed() {
    let (path, mut folder) = folder("bounded");
    for number in 0..100 {
        assert_eq!(write(&mut folder, FileName::New(number), 0, b"bytes"), Answer::Done);
        assert_eq!(folder.read(FileName::New(number), 0, &mut [0; 9]), Ok(5));
    }
    assert_eq!(open_in(&path), OPEN_MAX);
    folder.close_files();
    assert_eq!(open_in(&path), 0);
}

#[test]
fn an_answer_is_the_engines_reply() {
    assert_eq!(Answer::Done.reply(), Reply::Done);
    assert_eq!(Answer::Bytes(vec![1, 2]).reply(), Reply::Bytes(&[1, 2]));
    assert_eq!(Answer::Failed(DiskError::Full).reply(), Reply::Failed(DiskError::Full));
}
