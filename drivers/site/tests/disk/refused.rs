//! Disks that take no writes, or have no room: real ones, as far as this process may make them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use r_ems_engine::persistence::disk::{DiskError, FileName, Operation, Storage};
use r_ems_engine::persistence::journal::Completion;
use r_ems_engine::persistence::status::{JournalStatus, Origin, Trouble};
use r_ems_site::disk::{Answer, Folder, text_of};
use rustix::thread::{Uid, set_thread_res_uid};

use super::life::Life;
use super::{FAILED, SmallDisk, folder, read, skipped, write};

const SEGMENT: FileName = FileName::Segment(1);
const FULL: Answer = Answer::Failed(DiskError::Full);
const READ_ONLY: Answer = Answer::Failed(DiskError::ReadOnly);
/// No offset is higher: a file system that takes so much in one file has no limit of its own.
const LENGTH_MAX: u64 = i64::MAX as u64;

#[test]
fn a_file_that_can_grow_no_more_is_a_full_disk() {
    let (path, mut folder) = folder("longest");
    let file = File::create(path.join(text_of(SEGMENT))).expect("it can be made");
    // The longest that this file system takes, none of it written.
    let mut length = 0;
    for bit in (0..63).rev() {
        let longer = length | 1 << bit;
        if longer <= LENGTH_MAX && file.set_len(longer).is_ok() {
            length = longer;
        }
    }
    if length == LENGTH_MAX {
        return skipped("files of any length fit on this file system: run it on ext4");
    }
    assert_eq!(write(&mut folder, SEGMENT, length, b"a byte"), FULL);
    assert_eq!(write(&mut folder, SEGMENT, length - 2, b"half of it"), FULL);
    assert_eq!(write(&mut folder, SEGMENT, length - 2, b"it"), Answer::Done);
    assert_eq!(read(&mut folder, SEGMENT, 3), Answer::Bytes(vec![0; 3]));
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), Answer::Done);
}

#[test]
fn a_folder_that_may_not_be_written_is_read_only_and_a_file_that_may_not_be_read_fails() {
    let (path, mut folder) = folder("unwritable");
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done);
    folder.close_files();
    let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    permit(&path.join(text_of(SEGMENT)), 0o000).expect("it is ours");
    permit(&path, 0o555).expect("it is ours");
    let refused = as_nobody(move || {
        refused_writes(&mut folder);
        folder
    });
    permit(&path, 0o311).expect("it is ours");
    let unlisted = refused.map(|mut folder| as_nobody(move || folder.perform(&Operation::List)));
    permit(&path, 0o700).expect("it is ours");
    assert_eq!(unlisted.expect("each is refused").ok(), Some(FAILED));
}

/// Runs something on a thread to which no more is permitted than to anybody.
#[expect(clippy::disallowed_methods, reason = "who a thread is, is its own")]
fn as_nobody<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> std::thread::Result<T> {
    let become_nobody = || {
        if rustix::process::geteuid().is_root() {
            // Nothing is forbidden to root.
            let nobody = Uid::from_raw(65_534);
            set_thread_res_uid(nobody, nobody, nobody).expect("root may be anybody");
        }
        run()
    };
    std::thread::Builder::new().spawn(become_nobody).expect("a thread").join()
}

fn refused_writes(folder: &mut Folder) {
    assert_eq!(write(folder, FileName::New(2), 0, b"bytes"), READ_ONLY);
    assert_eq!(write(folder, SEGMENT, 5, b"bytes"), READ_ONLY);
    let (from, to) = (SEGMENT, FileName::Quarantined(1));
    assert_eq!(folder.perform(&Operation::Rename { from, to }), READ_ONLY);
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), READ_ONLY);
    assert_eq!(folder.perform(&Operation::List), Answer::Done);
    assert_eq!(read(folder, SEGMENT, 9), FAILED);
    assert_eq!(folder.read(SEGMENT, 0, &mut [0; 9]), Err(DiskError::Failed));
}

#[test]
fn a_disk_without_room_is_full_until_there_is_some() {
    let Some(disk) = SmallDisk::new(64 << 10) else { return };
    let mut folder = Folder::open(&disk.path()).expect("it is empty");
    assert_eq!(write(&mut folder, SEGMENT, 0, &[1; 60 << 10]), Answer::Done);
    assert_eq!(write(&mut folder, SEGMENT, 60 << 10, &[1; 16 << 10]), FULL);
    assert_eq!(write(&mut folder, FileName::New(2), 0, b"bytes"), FULL);
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), Answer::Done);
    assert_eq!(write(&mut folder, FileName::New(2), 0, b"bytes"), Answer::Done);
}

#[test]
fn a_folder_opens_on_a_disk_that_takes_no_writes_if_it_was_worked_in_before() {
    let Some(disk) = SmallDisk::new(64 << 10) else { return };
    disk.set("ro");
    let refused = Folder::open(&disk.path()).expect_err("there is no lock, and none can be made");
    assert!(refused.to_string().contains("Read-only"), "{refused}");
    disk.set("rw");
    let mut folder = Folder::open(&disk.path()).expect("it is empty");
    assert_eq!(write(&mut folder, SEGMENT, 0, b"bytes"), Answer::Done);
    drop(folder);
    disk.set("ro");
    let mut folder = Folder::open(&disk.path()).expect("there is a lock");
    assert_eq!(read(&mut folder, SEGMENT, 9), Answer::Bytes(b"bytes".to_vec()));
    assert_eq!(write(&mut folder, SEGMENT, 5, b"more"), READ_ONLY);
    assert_eq!(folder.perform(&Operation::Rename { from: SEGMENT, to: FileName::New(1) }), READ_ONLY);
    assert_eq!(folder.perform(&Operation::Remove { file: SEGMENT }), READ_ONLY);
}

/// How a journal has fared.
fn statuses(life: &Life) -> Vec<JournalStatus> {
    let status = |told: &Completion| match told {
        Completion::Status(status) => Some(*status),
        Completion::Snapshotted(_) | Completion::Ended(_) => None,
    };
    life.told.iter().filter_map(status).collect()
}

#[test]
fn a_journal_outlasts_a_disk_that_is_full_for_a_while() {
    let Some(disk) = SmallDisk::new(256 << 10) else { return };
    let mut life = Life::begin(&disk.path());
    life.run(20);
    let ballast = disk.path().join("ballast");
    // What it can take of it, which is not all.
    let _filled = fs::write(&ballast, vec![0; 1 << 20]);
    life.run(400);
    assert_eq!(statuses(&life), [JournalStatus::Degraded(Trouble::Full)]);
    fs::remove_file(&ballast).expect("it is there");
    life.run(400);
    assert_eq!(statuses(&life)[1..], [JournalStatus::Restored]);
    let (history, _) = life.kill();
    let life = Life::begin(&disk.path());
    assert!(history.contains(&life.found()), "{:?}", life.recovered.findings);
    assert_eq!(life.recovered.origin, Origin::Replayed);
}

#[test]
fn a_life_on_a_disk_that_takes_no_writes_goes_on_and_says_so() {
    let Some(disk) = SmallDisk::new(256 << 10) else { return };
    let mut life = Life::begin(&disk.path());
    life.run(20);
    let (history, promised) = life.kill();
    disk.set("ro");
    let mut life = Life::begin(&disk.path());
    assert_eq!(history.last(), Some(&life.found()));
    assert_eq!((life.recovered.promises.kept, life.promised), (promised, None));
    life.run(20);
    assert_eq!(statuses(&life), [JournalStatus::Degraded(Trouble::ReadOnly)]);
    disk.set("rw");
    life.run(400);
    assert_eq!(statuses(&life)[1..], [JournalStatus::Restored]);
}
