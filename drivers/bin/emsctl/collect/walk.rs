//! Walks through a state folder that a daemon may be changing.
//!
//! Only files of journals are taken, by their names: a key or a table that lies beside them is nobody's business. **No link is
//! ever followed** below the folder that the user names, and nothing but plain files is opened: what is found is opened through
//! its folder's descriptor, so that no path is resolved twice.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use r_ems_engine::persistence::disk::FileName;
use r_ems_site::disk::file_of;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::{Errno, retry_on_intr};

/// Folders are as deep as `STATE/GRID/ID`; a few more may hold those of several hosts.
const DEPTH_MAX: usize = 8;
/// More entries are looked at in no folder.
const ENTRIES_MAX: usize = 1 << 20;
/// A running daemon locks it; it holds nothing.
const LOCK: &[u8] = b"lock";

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const PLAIN: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Something that was found.
pub(super) enum Found {
    /// A file of a journal.
    File {
        /// Its path below the folder.
        path: String,
        /// What it is.
        name: FileName,
        /// Open, at its beginning.
        file: File,
        /// Its length now.
        bytes: u64,
        /// When it was changed last, in Unix seconds.
        modified: u64,
    },
    /// Something that is not collected.
    Left {
        /// Its path below the folder.
        path: String,
        /// Why.
        why: String,
        /// Whether it should have been.
        is_missed: bool,
    },
}

/// Shows `visit` everything below a folder, the last names first: if there is not room for all, the newest segments are there.
///
/// # Errors
/// The folder itself cannot be read, and what `visit` says.
pub(super) fn walk<E: From<io::Error>>(
    folder: &Path,
    visit: &mut impl FnMut(Found) -> Result<(), E>,
) -> Result<(), E> {
    // Here alone a link may lead elsewhere: the user named it.
    let folder = retry_on_intr(|| openat(CWD, folder, FOLDER, Mode::empty())).map_err(io::Error::from)?;
    let names = names(&folder).map_err(io::Error::from)?;
    below(&folder, "", names, 1, visit)
}

fn below<E>(
    folder: &OwnedFd,
    path: &str,
    names: Vec<CString>,
    depth: usize,
    visit: &mut impl FnMut(Found) -> Result<(), E>,
) -> Result<(), E> {
    for name in names {
        let text = name.to_string_lossy();
        let path = if path.is_empty() { text.into_owned() } else { format!("{path}/{text}") };
        let (why, is_missed) = match look(folder, &name) {
            Ok(Entry::Lock) => continue,
            Ok(Entry::File(name, file, bytes, modified)) => {
                visit(Found::File { path, name, file, bytes, modified })?;
                continue;
            }
            Ok(Entry::Folder(_)) if depth == DEPTH_MAX => ("it lies too deep".to_owned(), false),
            Ok(Entry::Folder(folder)) => match self::names(&folder) {
                Ok(names) => {
                    below(&folder, &path, names, depth + 1, visit)?;
                    continue;
                }
                Err(error) => (format!("it cannot be listed: {}", io::Error::from(error)), true),
            },
            Ok(Entry::Other(why)) => (why.to_owned(), false),
            Err(Errno::NOENT) => ("it was removed or renamed while this was collected".to_owned(), false),
            Err(error) => (format!("it cannot be read: {}", io::Error::from(error)), true),
        };
        visit(Found::Left { path, why, is_missed })?;
    }
    Ok(())
}

enum Entry {
    Lock,
    File(FileName, File, u64, u64),
    Folder(OwnedFd),
    Other(&'static str),
}

fn look(folder: &OwnedFd, name: &CStr) -> Result<Entry, Errno> {
    // To open a pipe or a device does something: look before.
    let kind = FileType::from_raw_mode(statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    match kind {
        FileType::Directory => {
            let flags = FOLDER | OFlags::NOFOLLOW;
            return Ok(Entry::Folder(retry_on_intr(|| openat(folder, name, flags, Mode::empty()))?));
        }
        FileType::RegularFile => {}
        FileType::Symlink => return Ok(Entry::Other("it is a link, and links are not followed")),
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => return Ok(Entry::Other("it is no file")),
    }
    if name.to_bytes() == LOCK {
        return Ok(Entry::Lock);
    }
    let Some(known) = file_of(name.to_bytes()) else { return Ok(Entry::Other("it is no file of a journal")) };
    let file = retry_on_intr(|| openat(folder, name, PLAIN, Mode::empty()))?;
    let about = fstat(&file)?;
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Ok(Entry::Other("it is no file"));
    }
    let positive = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(Entry::File(known, File::from(file), positive(about.st_size), positive(about.st_mtime)))
}

/// What lies in a folder, the last name first.
fn names(folder: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            found.push(name);
        }
        if found.len() > ENTRIES_MAX {
            return Err(Errno::TOOBIG);
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    Ok(found)
}
