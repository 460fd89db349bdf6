//! A serial port of this computer: how it is opened, set and let go.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use r_ems_engine::fieldbus::serial::{Parity, SerialLine, StopBits};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl,
    ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr,
};

/// A port whose rate is off by more percent is not understood.
const RATE_OFF_PERCENT_MAX: u64 = 3;

/// A serial port, and how it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its path: "/dev/ttyUSB0".
    pub path: PathBuf,
    /// Its settings.
    pub line: SerialLine,
}

impl Port {
    /// Opens it and closes it again, to see whether it can be had. Both may take long.
    ///
    /// # Errors
    /// What the operating system says: it is not there, is no serial port, is another's, or cannot be set so.
    pub fn try_to_open(&self) -> io::Result<()> {
        let port = self.open()?;
        let_go(&port);
        Ok(())
    }

    /// Opens it for nobody else. This may take long.
    pub(super) fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let port = open(&self.path, flags, Mode::empty())?;
        flock(&port, FlockOperation::NonBlockingLockExclusive)?;
        ioctl_tiocexcl(&port)?;
        // Whoever had it before has said and heard other things.
        let made = self.set(&port).and_then(|()| tcflush(&port, QueueSelector::IOFlush));
        if made.is_err() {
            let_go(&port);
        }
        made.map(|()| port)
    }

    /// Sets a port: bytes as they are, eight bits each, and no flow control.
    fn set(&self, port: &OwnedFd) -> Result<(), Errno> {
        let SerialLine { baud, parity, stop_bits } = self.line;
        let mut settings = tcgetattr(port)?;
        settings.make_raw();
        settings.input_modes.remove(InputModes::IXOFF | InputModes::IXANY | InputModes::INPCK);
        let modes = &mut settings.control_modes;
        modes.remove(
            ControlModes::PARENB | ControlModes::PARODD | ControlModes::CSTOPB | ControlModes::CRTSCTS,
        );
        modes.remove(ControlModes::CMSPAR | ControlModes::HUPCL);
        modes.insert(ControlModes::CREAD | ControlModes::CLOCAL);
        match parity {
            Parity::None => {}
            Parity::Even => modes.insert(ControlModes::PARENB),
            Parity::Odd => modes.insert(ControlModes::PARENB | ControlModes::PARODD),
        }
        if stop_bits == StopBits::Two {
            modes.insert(ControlModes::CSTOPB);
        }
        // Nothing to read is no end.
        settings.special_codes[SpecialCodeIndex::VMIN] = 1;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        settings.set_speed(baud)?;
        tcsetattr(port, OptionalActions::Now, &settings)?;
        // A port that cannot do as it is told does something else, and says so only if it is asked.
        let (found, wanted) = (u64::from(tcgetattr(port)?.output_speed()), u64::from(baud));
        let is_near = found.abs_diff(wanted) * 100 <= wanted * RATE_OFF_PERCENT_MAX;
        if is_near { Ok(()) } else { Err(Errno::INVAL) }
    }
}

/// Takes back what has not left a port, and lets others have it: it is to be closed. Nothing waits here.
pub(super) fn let_go(port: &OwnedFd) {
    // Of a port that is unplugged there is nothing to take back.
    let _taken_back = tcflush(port, QueueSelector::OFlush);
    let _released = ioctl_tiocnxcl(port);
    let _unlocked = flock(port, FlockOperation::NonBlockingUnlock);
}
