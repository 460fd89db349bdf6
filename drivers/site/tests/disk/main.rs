//! The real disk: what its operations mean, what it refuses, and what lives find of each other on it.

mod life;
mod lives;
mod model;
mod operations;
mod refused;

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use r_ems_engine::persistence::disk::{DiskError, FileName, Operation};
use r_ems_site::disk::{Answer, Folder};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, fsconfig_create, fsconfig_reconfigure,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick,
};

const FAILED: Answer = Answer::Failed(DiskError::Failed);

/// A place in which nothing is, for one test.
fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("disk").join(name);
    // An earlier run may have left something.
    let _removed = fs::remove_dir_all(&path);
    path
}

fn folder(name: &str) -> (PathBuf, Folder) {
    let path = place(name);
    let folder = Folder::open(&path).expect("it is ours");
    (path, folder)
}

fn write(folder: &mut Folder, file: FileName, offset: u64, bytes: &[u8]) -> Answer {
    folder.perform(&Operation::Write { file, offset, bytes: bytes.to_vec() })
}

fn read(folder: &mut Folder, file: FileName, bytes: u32) -> Answer {
    folder.perform(&Operation::Read { file, bytes })
}

/// A disk of so many bytes that is gone with the test.
struct SmallDisk(OwnedFd);

impl SmallDisk {
    /// Makes one; `None`: this process may not, which is said.
    fn new(bytes: u32) -> Option<Self> {
        match Self::mounted(bytes) {
            Ok(disk) => Some(disk),
            Err(error @ (Errno::PERM | Errno::NOSYS)) => {
                skipped(&format!("no disk of its own ({error}): run it as root"));
                None
            }
            Err(error) => panic!("no disk can be made: {error}"),
        }
    }

    fn mounted(bytes: u32) -> Result<Self, Errno> {
        let settings = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&settings, "size", bytes.to_string())?;
        fsconfig_create(&settings)?;
        let attributes = MountAttrFlags::empty();
        Ok(Self(fsmount(&settings, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?))
    }

    /// It stands in no folder of this host: its only name is this process's.
    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()))
    }

    /// Lets it take no writes, or some again (`rw`); nothing may be open for writing.
    fn set(&self, flag: &str) {
        let settings = fspick(&self.0, "", FsPickFlags::FSPICK_EMPTY_PATH).expect("it is there");
        fsconfig_set_flag(&settings, flag).expect("every file system knows it");
        fsconfig_reconfigure(&settings).expect("nothing is open for writing");
    }
}

#[expect(clippy::print_stderr, reason = "a test that could not be made must not look like one that passed")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
