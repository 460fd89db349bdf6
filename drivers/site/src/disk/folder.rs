//! The folder of one controller on a real disk, such as STATE_DIR/commerce/a.
//!
//! ```text
//!     Operation ─> Folder ─> one system call or a few ─> Answer
//! ```
//!
//! What the words of [`Operation`] mean here:
//!
//! - **Sync** is fdatasync: bytes, and as much about them as reading them needs, their count included. **SyncDirectory** is fsync
//!   of the folder: the names.
//! - **Read** asks the operating system to forget what it holds of the file, and then reads. What is durable is forgotten, so it
//!   comes from the device; what is not stays and is read from memory, and so is what a file system in memory holds. A device
//!   with a memory of its own may answer from that: nobody outside can tell.
//! - **Rename** of a file that is not there is done, as on the simulated disk: whoever reads the new name finds out.
//!
//! # Decisions
//!
//! **Only plain files are believed.** A link, a pipe or a device in the place of a file is refused and never waited for; so is a
//! file that somebody removed while it was written, and a write beyond a file's end, which would leave a hole.
//!
//! **A file stays open from its write to its sync**: what the operating system could not write in between is told to whoever has
//! it open. A journal writes two files at a time, and [`OPEN_MAX`] is above that; whichever was used longest ago is closed.
//!
//! **After an error a file is closed.** A sync that failed has told so once, and the next one on the same bytes would succeed
//! without them: nothing here ever tries again, and whoever asks begins with other bytes.
//!
//! **A write that may not be is a disk that takes none.** Permissions and read-only file systems have one remedy and one name; a
//! file that may not be read is a disk that fails.
//!
//! **One process works in a folder.** It holds a lock, as long as anything of it is still under way there. A disk that is mounted
//! over a folder later is seen by the next process only.
//!
//! **Bounds:** [`OPEN_MAX`] files stay open, [`ENTRIES_MAX`] entries are listed.

use std::error::Error;
use std::fmt;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use r_ems_engine::persistence::disk::{DiskError, FileName, Operation, Reply, Storage};
use rustix::fs::{
    Advice, AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, fadvise, fdatasync, flock, fstat,
    fsync, openat, renameat, unlinkat,
};
use rustix::io::{Errno, pread, pwrite, retry_on_intr};
use rustix::path::Arg;

use super::names::{file_of, text_of};

/// The segment under way and the one before, and two more: a file that is written many times a second is opened once.
pub const OPEN_MAX: usize = 4;
/// A folder with more entries is none of ours: retention keeps a few files.
pub const ENTRIES_MAX: usize = 1 << 20;
/// The file whose lock says that a process works here.
const LOCK: &str = "lock";
/// Nobody else reads what a site does.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// A folder itself.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
/// Nothing but the file itself, and no waiting for whoever is at the other end of a pipe.
const PLAIN: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The folder of one controller. Nobody else has it open.
#[derive(Debug)]
pub struct Folder {
    /// Of all that work in this folder.
    lock: Arc<OwnedFd>,
    directory: OwnedFd,
    /// Files that are open, that which was used longest ago first.
    files: Vec<OpenFile>,
}

/// Nobody works in a folder as long as this lives.
#[derive(Debug)]
pub struct Held {
    _lock: OwnedFd,
}

#[derive(Debug)]
struct OpenFile {
    name: FileName,
    access: Access,
    descriptor: OwnedFd,
}

/// For what a file is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Reads,
    Writes,
}

/// Why a folder cannot be worked in.
#[derive(Debug)]
pub enum FolderError {
    /// Another process does.
    InUse(PathBuf),
    /// The operating system refuses something.
    Refused(PathBuf, io::Error),
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => {
                let path = path.display();
                write!(
                    f,
                    "{path}: another r-emsd runs on this folder: end it, or give this one another folder"
                )
            }
            Self::Refused(path, error) => {
                let path = path.display();
                write!(f, "{path}: {error}: a controller needs a folder that it may list and write to")
            }
        }
    }
}

impl Error for FolderError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::InUse(_) => None,
            Self::Refused(_, error) => Some(error),
        }
    }
}

/// What a disk answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The bytes that were asked for.
    Bytes(Vec<u8>),
    /// It is not done, or only in part.
    Failed(DiskError),
}

impl Answer {
    /// The same as the engine takes it.
    pub fn reply(&self) -> Reply<'_> {
        match self {
            Self::Done => Reply::Done,
            Self::Bytes(bytes) => Reply::Bytes(bytes),
            Self::Failed(error) => Reply::Failed(*error),
        }
    }
}

impl Folder {
    /// Opens a folder for this process alone; it is made if it is not there, and what leads to it.
    ///
    /// A folder that was worked in before can be opened on a disk that is full or takes no writes.
    ///
    /// # Errors
    /// [`FolderError`]: another process works there, or the operating system refuses something.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        match Self::locked(path) {
            Ok(folder) => Ok(folder),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Err(FolderError::InUse(path.to_owned()))
            }
            Err(error) => Err(FolderError::Refused(path.to_owned(), error)),
        }
    }

    /// Keeps others from working in a folder, and does not work there; `None`: nobody ever has. Nothing is made.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn hold(path: &Path) -> Result<Option<Held>, FolderError> {
        let lock = folder_at(CWD, path).and_then(|directory| plain(&directory, LOCK, OFlags::RDONLY));
        let held = lock.and_then(|lock| {
            retry_on_intr(|| flock(&lock, FlockOperation::NonBlockingLockExclusive))?;
            Ok(Held { _lock: lock })
        });
        match held {
            Ok(held) => Ok(Some(held)),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::WOULDBLOCK) => Err(FolderError::InUse(path.to_owned())),
            Err(error) => Err(FolderError::Refused(path.to_owned(), error.into())),
        }
    }

    fn locked(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path)?;
        let directory = folder_at(CWD, path)?;
        let lock = match plain(&directory, LOCK, OFlags::RDONLY) {
            Err(Errno::NOENT) => {
                // A lock is made once a power failure leaves its folder.
                sync_above(&directory)?;
                plain(&directory, LOCK, OFlags::RDONLY | OFlags::CREATE)?
            }
            opened => opened?,
        };
        retry_on_intr(|| flock(&lock, FlockOperation::NonBlockingLockExclusive))?;
        Ok(Self { lock: Arc::new(lock), directory, files: Vec::new() })
    }

    /// The same folder for another thread, with open files of its own. An error is told once to each: what one has heard of a
    /// sync hides nothing from the other.
    ///
    /// # Errors
    /// There are no more descriptors, or the disk fails.
    pub fn share(&self) -> io::Result<Self> {
        let directory = folder_at(&self.directory, ".")?;
        Ok(Self { lock: Arc::clone(&self.lock), directory, files: Vec::new() })
    }

    /// Does what is asked; it may take as long as the disk takes.
    pub fn perform(&mut self, operation: &Operation) -> Answer {
        let done = match *operation {
            Operation::Write { file, offset, ref bytes } => self.write(file, offset, bytes),
            Operation::Sync { file } => self.sync(file),
            Operation::Rename { from, to } => self.rename(from, to),
            Operation::SyncDirectory => retry_on_intr(|| fsync(&self.directory)).map_err(unwritten),
            Operation::Remove { file } => self.remove(file),
            Operation::Read { file, bytes } => {
                return match self.read_beginning(file, bytes) {
                    Ok(bytes) => Answer::Bytes(bytes),
                    Err(error) => Answer::Failed(unread(error)),
                };
            }
            Operation::List => self.list().map(drop),
        };
        match done {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Failed(error),
        }
    }

    /// Closes all files: what is opened from here on is what then has the name.
    pub fn close_files(&mut self) {
        self.files.clear();
    }

    fn write(&mut self, name: FileName, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        // A file that is not there has its end at 0.
        let makes = if offset == 0 { OFlags::CREATE } else { OFlags::empty() };
        let file = self.file(name, Access::Writes, makes);
        let written = file.and_then(|file| write_all(file, offset, bytes));
        self.close_if_failed(name, written).map_err(unwritten)
    }

    fn sync(&mut self, name: FileName) -> Result<(), DiskError> {
        let file = self.file(name, Access::Writes, OFlags::empty());
        let synced = file.and_then(|file| {
            length(file)?;
            retry_on_intr(|| fdatasync(file))
        });
        self.close_if_failed(name, synced).map_err(unwritten)
    }

    fn rename(&mut self, from: FileName, to: FileName) -> Result<(), DiskError> {
        self.close(from);
        self.close(to);
        let (from, to) = (text_of(from), text_of(to));
        absent_is_done(retry_on_intr(|| renameat(&self.directory, &from, &self.directory, &to)))
    }

    fn remove(&mut self, name: FileName) -> Result<(), DiskError> {
        self.close(name);
        let name = text_of(name);
        absent_is_done(retry_on_intr(|| unlinkat(&self.directory, &name, AtFlags::empty())))
    }

    fn read_beginning(&self, name: FileName, bytes: u32) -> Result<Vec<u8>, Errno> {
        let file = match plain(&self.directory, &text_of(name), OFlags::RDONLY) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // Advice: a file system that cannot follow it reads all the same.
        let _advised = fadvise(&file, 0, None, Advice::DontNeed);
        let mut into = vec![0; length(&file)?.min(u64::from(bytes)) as usize];
        let mut filled = 0;
        while filled < into.len() {
            match retry_on_intr(|| pread(&file, &mut into[filled..], filled as u64))? {
                0 => break,
                count => filled += count,
            }
        }
        into.truncate(filled);
        Ok(into)
    }

    /// A file that is open, or is opened now.
    fn file(&mut self, name: FileName, access: Access, flags: OFlags) -> Result<&OwnedFd, Errno> {
        let is_it = |open: &OpenFile| open.name == name && open.access == access;
        let open = match self.files.iter().position(is_it) {
            Some(place) => self.files.remove(place),
            None => {
                let flags = flags | access.flags();
                OpenFile { name, access, descriptor: plain(&self.directory, &text_of(name), flags)? }
            }
        };
        if self.files.len() >= OPEN_MAX {
            self.files.remove(0);
        }
        let place = self.files.len();
        self.files.push(open);
        Ok(&self.files[place].descriptor)
    }

    fn close(&mut self, name: FileName) {
        self.files.retain(|open| open.name != name);
    }

    fn close_if_failed<T>(&mut self, name: FileName, done: Result<T, Errno>) -> Result<T, Errno> {
        if done.is_err() {
            self.close(name);
        }
        done
    }
}

impl Storage for Folder {
    fn list(&mut self) -> Result<Vec<FileName>, DiskError> {
        let entries = retry_on_intr(|| Dir::read_from(&self.directory)).map_err(unread)?;
        let names = entries.map(|entry| entry.map(|entry| file_of(entry.file_name().to_bytes())));
        listed(names, ENTRIES_MAX)
    }

    fn read(&mut self, name: FileName, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let file = self.file(name, Access::Reads, OFlags::empty());
        let read = file.and_then(|file| retry_on_intr(|| pread(file, &mut *into, offset)));
        self.close_if_failed(name, read).map_err(unread)
    }
}

impl Access {
    const fn flags(self) -> OFlags {
        match self {
            Self::Reads => OFlags::RDONLY,
            Self::Writes => OFlags::WRONLY,
        }
    }
}

/// Makes durable what leads to a folder.
fn sync_above(folder: &OwnedFd) -> Result<(), Errno> {
    let mut below = fstat(folder)?;
    let mut above = folder_at(folder, "..");
    loop {
        let folder = match above {
            Ok(folder) => folder,
            // What we may not even list we have not made.
            Err(Errno::ACCESS) => return Ok(()),
            Err(error) => return Err(error),
        };
        let found = fstat(&folder)?;
        // Above the root is the root.
        if (found.st_dev, found.st_ino) == (below.st_dev, below.st_ino) {
            return Ok(());
        }
        match retry_on_intr(|| fsync(&folder)) {
            // What cannot be synced is never written, as an image.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(error) => return Err(error),
        }
        below = found;
        above = folder_at(&folder, "..");
    }
}

fn folder_at(at: impl AsFd, path: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(&at, path, FOLDER, Mode::empty()))
}

/// Opens a plain file, or nothing.
fn plain(directory: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mode = Mode::from_raw_mode(FILE_MODE);
    let file = retry_on_intr(|| openat(directory, name, PLAIN | flags, mode))?;
    let is_plain = FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::RegularFile;
    if is_plain { Ok(file) } else { Err(Errno::INVAL) }
}

/// How many bytes a file has that has a name; one without is lost when it is closed.
fn length(file: &OwnedFd) -> Result<u64, Errno> {
    let known = fstat(file)?;
    if known.st_nlink == 0 { Err(Errno::NOENT) } else { Ok(u64::try_from(known.st_size).unwrap_or(0)) }
}

fn write_all(file: &OwnedFd, mut offset: u64, mut bytes: &[u8]) -> Result<(), Errno> {
    if offset > length(file)? {
        return Err(Errno::INVAL);
    }
    while !bytes.is_empty() {
        match retry_on_intr(|| pwrite(file, bytes, offset))? {
            0 => return Err(Errno::IO),
            count => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
        }
    }
    Ok(())
}

/// The files of ours among so many entries at most.
fn listed(
    mut entries: impl Iterator<Item = Result<Option<FileName>, Errno>>,
    entries_max: usize,
) -> Result<Vec<FileName>, DiskError> {
    let mut files = Vec::new();
    for entry in entries.by_ref().take(entries_max) {
        files.extend(entry.map_err(unread)?);
    }
    if entries.next().is_some() { Err(DiskError::Failed) } else { Ok(files) }
}

fn absent_is_done(done: Result<(), Errno>) -> Result<(), DiskError> {
    match done {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(unwritten(error)),
    }
}

/// What it means that something was not written.
const fn unwritten(error: Errno) -> DiskError {
    match error {
        Errno::NOSPC | Errno::DQUOT | Errno::FBIG => DiskError::Full,
        Errno::ROFS | Errno::ACCESS | Errno::PERM => DiskError::ReadOnly,
        _other => DiskError::Failed,
    }
}

/// What it means that something was not read, whatever the reason.
const fn unread(_error: Errno) -> DiskError {
    DiskError::Failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_have_the_most_entries_and_not_one_more() {
        let entries = |count| (0..count).map(|number| Ok(Some(FileName::New(number))));
        assert_eq!(listed(entries(3), 3).map(|files| files.len()), Ok(3));
        assert_eq!(listed(entries(4), 3), Err(DiskError::Failed));
        let foreign = || [Ok(None), Ok(Some(FileName::New(1))), Ok(None)].into_iter();
        assert_eq!(listed(foreign(), 3), Ok(vec![FileName::New(1)]));
        assert_eq!(listed(foreign(), 2), Err(DiskError::Failed), "foreign ones count");
        assert_eq!(listed([Err(Errno::IO)].into_iter(), 3), Err(DiskError::Failed));
    }

    #[test]
    fn an_error_says_what_is_the_matter() {
        for full in [Errno::NOSPC, Errno::DQUOT, Errno::FBIG] {
            assert_eq!(unwritten(full), DiskError::Full, "{full}");
        }
        for read_only in [Errno::ROFS, Errno::ACCESS, Errno::PERM] {
            assert_eq!((unwritten(read_only), unread(read_only)), (DiskError::ReadOnly, DiskError::Failed));
        }
        for failed in [Errno::IO, Errno::NOENT, Errno::LOOP, Errno::MFILE, Errno::STALE] {
            assert_eq!((unwritten(failed), unread(failed)), (DiskError::Failed, DiskError::Failed));
        }
    }
}
