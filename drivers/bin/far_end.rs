//! The far end of a serial line without a port: a pseudo-terminal, whose path a controller opens as it opens `/dev/ttyUSB0`.
//!
//! It has no rate of its own: whoever answers there waits as long as the characters would take.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::net::unix::pipe::{Receiver, Sender};

/// The end of a line at which devices are.
#[derive(Debug)]
pub struct FarEnd {
    end: OwnedFd,
    /// Without anybody at the other end this one would be at an end too.
    kept: OwnedFd,
    path: PathBuf,
}

/// A far end within a runtime.
#[derive(Debug)]
pub struct Listening {
    /// What is said at the other end.
    pub hears: Receiver,
    /// What is heard there.
    pub says: Sender,
    _kept: OwnedFd,
}

impl FarEnd {
    /// Makes a line.
    ///
    /// # Errors
    /// There are no more of them.
    pub fn make() -> io::Result<Self> {
        let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&end)?;
        unlockpt(&end)?;
        fcntl_setfl(&end, fcntl_getfl(&end)? | OFlags::NONBLOCK)?;
        let name = ptsname(&end, Vec::new())?;
        let path = PathBuf::from(name.into_string().map_err(io::Error::other)?);
        let kept = open(&path, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
        // Until somebody sets it, a terminal would give back what it is told.
        let mut settings = tcgetattr(&kept)?;
        settings.make_raw();
        tcsetattr(&kept, OptionalActions::Now, &settings)?;
        Ok(Self { end, kept, path })
    }

    /// Where the other end is found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Listens, within the runtime that is running.
    ///
    /// # Errors
    /// The runtime cannot wait for it.
    pub fn listen(self) -> io::Result<Listening> {
        // To the runtime whatever can be waited for is a pipe.
        let says = Sender::from_owned_fd_unchecked(self.end.try_clone()?)?;
        let hears = Receiver::from_owned_fd_unchecked(self.end)?;
        Ok(Listening { hears, says, _kept: self.kept })
    }
}
