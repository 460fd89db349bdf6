//! The socket's place: made, taken over from a daemon that died, never from one that lives, and gone at the end.

#![expect(
    clippy::disallowed_types,
    reason = "the control API is no input of a machine; commands enter by the driver"
)]

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// The owner and the group may ask; others may not.
const SOCKET_MODE: u32 = 0o660;

/// What connections come from.
pub(super) type Listener = UnixListener;

/// A socket that is listened on; its place is free again when this goes.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    /// Listens at `path`; the directory is made if it is the usual one.
    ///
    /// # Errors
    /// Another daemon listens there, or it is no place for a socket.
    pub(super) fn bind(path: &Path, is_usual: bool) -> Result<Self, Failure> {
        let failed = |error: &io::Error| {
            let is = |kind: io::ErrorKind| error.kind() == kind;
            let remedy = if is(io::ErrorKind::NotFound) {
                "; make its directory first, or name another place with --socket"
            } else if is(io::ErrorKind::PermissionDenied) {
                "; name a place that you may use with --socket"
            } else if is(io::ErrorKind::InvalidInput) {
                "; a socket's path has at most 107 bytes, name a shorter one"
            } else {
                ""
            };
            Failure::error(format!("{}: cannot be listened on: {error}{remedy}", path.display()))
        };
        if is_usual && let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(|error| failed(&error))?;
        }
        remove_dead(path)?;
        let listener = UnixListener::bind(path).map_err(|error| failed(&error))?;
        let socket = Self { listener, path: path.to_owned() };
        let mode = fs::Permissions::from_mode(SOCKET_MODE);
        fs::set_permissions(path, mode).map_err(|error| failed(&error))?;
        Ok(socket)
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
        // Somebody may have removed it already.
        let _removed = fs::remove_file(&self.path);
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
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            // If it cannot be removed, listening fails next and says why.
            let _removed = fs::remove_file(path);
            Ok(())
        }
        Ok(_) | Err(_) => Err(Failure::error(format!(
            "{}: another daemon listens there; end it with `r-emsctl shutdown`, or name another place with --socket",
            path.display()
        ))),
    }
}
