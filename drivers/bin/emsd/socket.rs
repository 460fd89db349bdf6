//! The socket's place: one daemon has it at a time. It is taken over from one that died, never from one that lives or from
//! another program, and it is free again at the end.
//!
//! **Who may ask** is decided by the socket's mode alone: its owner and its group may, and root. The operating system checks all
//! groups of whoever connects, which a daemon could not do as well; nobody can connect before the mode is set.

#![expect(
    clippy::disallowed_types,
    reason = "the control API is no input of a machine; commands enter by the driver"
)]

use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use crate::api::default_socket;
use crate::exit::Failure;

/// The owner and the group may ask; others may not.
const SOCKET_MODE: u32 = 0o660;
/// Nobody else may claim the place: a lock that others can open can be held by others.
const CLAIM_MODE: u32 = 0o600;
/// What is claimed may be given up and claimed by another just then, so often at most.
const CLAIM_TRIES: usize = 100;
/// So many connections wait to be taken.
const BACKLOG: i32 = 256;

/// What connections come from.
pub(super) type Listener = UnixListener;
/// What connections over TCP come from.
pub(super) type Readers = std::net::TcpListener;

/// Listens over TCP.
///
/// # Errors
/// The address cannot be had.
pub(super) fn listen_to_readers(address: SocketAddr) -> Result<Readers, Failure> {
    Readers::bind(address).map_err(|error| {
        Failure::error(format!(
            "{address}: the control API cannot be served there, as `listen` of the site file says: {error}"
        ))
    })
}

/// A socket that is listened on; its place is free again when this goes.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    made: FileId,
    /// It goes last.
    _claim: Claim,
}

impl Socket {
    /// Listens at `path`, or at the usual place, whose directory is then made.
    ///
    /// # Errors
    /// Another daemon or program listens there, or it is no place for a socket.
    pub(super) fn bind(path: Option<&Path>) -> Result<Self, Failure> {
        let is_usual = path.is_none();
        let path = path.map_or_else(default_socket, Path::to_owned);
        let failed = |error: &io::Error| refused(&path, error);
        if is_usual && let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        }
        let claim = Claim::take(&path).map_err(|error| failed(&error))?.ok_or_else(|| {
            Failure::error(format!(
                "{}: another daemon listens there; end it with `r-emsctl shutdown`, or name another place with --socket",
                path.display()
            ))
        })?;
        remove_dead(&path)?;
        let (listener, made) = make(&path).map_err(|error| failed(&error))?;
        Ok(Self { listener, path, made, _claim: claim })
    }

    /// The same socket for another thread.
    pub(super) fn listener(&self) -> io::Result<Listener> {
        self.listener.try_clone()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.made.remove(&self.path);
    }
}

/// Makes a socket that is listened on once its mode is set.
fn make(path: &Path) -> io::Result<(UnixListener, FileId)> {
    let socket = stream()?;
    bind(&socket, &SocketAddrUnix::new(path)?)?;
    let made = FileId::of(&fs::symlink_metadata(path)?);
    let ready = || {
        fs::set_permissions(path, fs::Permissions::from_mode(SOCKET_MODE))?;
        Ok(listen(&socket, BACKLOG)?)
    };
    if let Err(error) = ready() {
        made.remove(path);
        return Err(error);
    }
    Ok((socket.into(), made))
}

/// A socket of its own that makes nobody wait.
fn stream() -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// The right to a socket's place, by a lock on a file beside it: the operating system frees it when its process ends, however it
/// does. The file goes with this.
struct Claim {
    path: PathBuf,
    lock: File,
}

impl Claim {
    /// Claims the place of a socket; nothing if another has it.
    fn take(socket: &Path) -> io::Result<Option<Self>> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        for _try in 0..CLAIM_TRIES {
            let lock =
                File::options().write(true).create(true).truncate(false).mode(CLAIM_MODE).open(&path)?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // Who had it before may have removed the file between our opening and locking it: then it is nobody's claim.
            if FileId::of(&lock.metadata()?).is_at(&path) {
                return Ok(Some(Self { path, lock }));
            }
        }
        Ok(None)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Ok(about) = self.lock.metadata() {
            FileId::of(&about).remove(&self.path);
        }
    }
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    fn of(about: &Metadata) -> Self {
        Self { device: about.dev(), inode: about.ino() }
    }

    fn is_at(self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|about| Self::of(&about) == self)
    }

    /// Removes it, and nothing else that may be there by now.
    fn remove(self, path: &Path) {
        if self.is_at(path) {
            // Somebody may have removed it just now.
            let _removed = fs::remove_file(path);
        }
    }
}

/// Removes the socket of a daemon that died; nothing else is removed.
fn remove_dead(path: &Path) -> Result<(), Failure> {
    let Ok(about) = fs::symlink_metadata(path) else { return Ok(()) };
    if !about.file_type().is_socket() {
        return Err(Failure::usage(format!(
            "--socket {}: it is there and no socket; name another",
            path.display()
        )));
    }
    let connected = || connect(stream()?, &SocketAddrUnix::new(path)?);
    if is_dead(path, connected())? {
        fs::remove_file(path).map_err(|error| refused(path, &error))?;
    }
    Ok(())
}

/// Whether a socket is one that nobody listens on, by what came of connecting to it.
fn is_dead(path: &Path, connected: Result<(), Errno>) -> Result<bool, Failure> {
    match connected {
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(error @ (Errno::ACCESS | Errno::PERM | Errno::NAMETOOLONG)) => Err(refused(path, &error.into())),
        // Also where too many wait already, or where it is a socket of another kind.
        Ok(()) | Err(_) => Err(Failure::error(format!(
            "{}: another program listens there; name another place with --socket",
            path.display()
        ))),
    }
}

/// What is said of a place that cannot be used.
fn refused(path: &Path, error: &io::Error) -> Failure {
    let is = |kind: io::ErrorKind| error.kind() == kind;
    let remedy = if is(io::ErrorKind::NotFound) {
        "; make its directory first, or name another place with --socket"
    } else if is(io::ErrorKind::PermissionDenied) {
        "; name a place that you may use with --socket"
    } else if is(io::ErrorKind::InvalidFilename) {
        "; a socket's path has at most 107 bytes, name a shorter one"
    } else {
        ""
    };
    Failure::error(format!("{}: cannot be listened on: {error}{remedy}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_socket_that_nobody_listens_on_is_dead() {
        let judged =
            |connected| is_dead(Path::new("x.sock"), connected).map_err(|Failure { message, .. }| message);
        assert_eq!(judged(Err(Errno::CONNREFUSED)), Ok(true));
        for connected in [Ok(()), Err(Errno::AGAIN), Err(Errno::PROTOTYPE)] {
            let said = judged(connected).expect_err("it is left alone");
            assert!(said.contains("another program listens there"), "{said}");
        }
        let said = judged(Err(Errno::ACCESS)).expect_err("it is left alone");
        assert!(said.contains("name a place that you may use"), "{said}");
    }
}
