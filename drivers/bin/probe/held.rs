//! Whether somebody runs the site already: two who write to one device fight over it.
//!
//! - A daemon that listens on its socket is asked what it runs: one that simulates is in nobody's way.
//! - A controller that keeps a log holds a lock in its folder. It is held here meanwhile, so that no daemon begins on it.
//!
//! A daemon on another host, or with another socket and other folders, is not seen from here. Who meets its set-points ends: see
//! `trial`.

use std::path::Path;

use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::RealSite;
use r_ems_site::disk::{Folder, FolderError, Held};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};

use crate::exit::Failure;

/// Whether somebody listens on a socket.
///
/// # Errors
/// That cannot be known.
pub fn listens(socket: &Path) -> Result<bool, Failure> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = SocketAddrUnix::new(socket).and_then(|address| {
        let stream = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        connect(&stream, &address)
    });
    match connected {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::CONNREFUSED) => Ok(false),
        // Also where too many wait to be heard.
        Ok(()) | Err(Errno::AGAIN) => Ok(true),
        Err(error) => Err(Failure::error(format!(
            "{}: whether an r-emsd listens there cannot be known: {error}; --socket names another place",
            socket.display()
        ))),
    }
}

/// Holds the folders of the site's controllers, as far as there are any.
///
/// # Errors
/// A daemon works in one of them, or that cannot be known.
pub fn hold<F: FunctionSet>(site: &RealSite<F>, state: &Path) -> Result<Vec<Held>, Failure> {
    let mut held = Vec::new();
    for member in &site.members {
        let path = state.join(&member.spec.grid).join(&member.spec.id);
        match Folder::hold(&path) {
            Ok(found) => held.extend(found),
            Err(FolderError::InUse(path)) => {
                return Err(Failure::error(format!(
                    "{}: an r-emsd runs this site, or another probe tries it: end that first",
                    path.display()
                )));
            }
            Err(FolderError::Refused(path, error)) => {
                return Err(Failure::error(format!(
                    "{}: whether an r-emsd works there cannot be known: {error}; ask as its user, or name it with --state",
                    path.display()
                )));
            }
        }
    }
    Ok(held)
}
