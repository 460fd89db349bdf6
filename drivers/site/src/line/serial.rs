//! A serial line: the port of a UART or of an adapter, which one process has for itself.
//!
//! **Decision: by `rustix`, not by a crate for serial ports.** `serialport` waits in its reads and writes and lends no
//! descriptor that the reactor could take without `unsafe`, `mio-serial` and `tokio-serial` bring a runtime for it: what is
//! needed of them are twenty lines of termios.
//!
//! **One process has a port:** it is locked, which binds all that ask for a lock, and exclusive, which binds all others but
//! root.
//!
//! **Late writes.** What was written to a port leaves by itself, whether its process stands still or dies; nothing on the way
//! holds it. So a write has passed when its characters have: D of a device must be longer, which `r-emsctl check` sees to.
//! Before a request, and where the line is closed, the operating system throws away what has not left it, of a UART; what an
//! adapter or a UART has taken leaves it, up to some hundred bytes or a whole frame, and cannot be had back. A frame of which
//! a part was thrown away fails its checksum, and nobody applies it.
//!
//! **Answers are read after their request:** before each one, what has arrived is thrown away. A process that stood still
//! until its machine asked the next thing does not take for its answer what waited in the port.
//!
//! **Two things wait:** to open a port takes a moment (an adapter is asked over USB), and the operating system closes it when
//! a UART's own buffer is empty, some dozen characters; drivers of some adapters (PL2303 and its like) wait a quarter of a
//! second at 9600 baud and up to 2 s at 1200, and one that is stuck up to 30 s. Nothing else here waits. The kernel's
//! RS-485 mode is not switched: adapters switch by themselves, and UARTs that need it are told so by their device tree
//! (`linux,rs485-enabled-at-boot-time`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use r_ems_engine::fieldbus::serial::{Parity, SerialLine, StopBits};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::{Errno, read, write};
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, SpecialCodeIndex, ioctl_tiocexcl,
    ioctl_tiocnxcl, tcflush, tcgetattr, tcsetattr,
};

use super::{Credit, Happened};

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

/// One port, open or not.
#[derive(Debug)]
pub(super) struct Serial {
    port: Port,
    state: State,
    credit: Credit,
}

#[derive(Debug)]
enum State {
    Closed,
    /// Nobody has been told that it is open.
    Opening(Own),
    Open(Own),
}

/// A port that is ours; what has not left it ends with it.
#[derive(Debug)]
struct Own(OwnedFd);

impl Drop for Own {
    fn drop(&mut self) {
        // Of a port that is unplugged there is nothing to take back.
        let _taken_back = tcflush(&self.0, QueueSelector::OFlush);
        let _released = ioctl_tiocnxcl(&self.0);
    }
}

impl Port {
    /// Opens it and closes it again, to see whether it can be had.
    ///
    /// # Errors
    /// What the operating system says: it is not there, is no serial port, is another's, or cannot be set so.
    pub fn try_to_open(&self) -> io::Result<()> {
        self.open().map(drop).map_err(io::Error::from)
    }

    fn open(&self) -> Result<Own, Errno> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let port = open(&self.path, flags, Mode::empty())?;
        flock(&port, FlockOperation::NonBlockingLockExclusive)?;
        ioctl_tiocexcl(&port)?;
        let own = Own(port);
        self.set(&own)?;
        // Whoever had it before has said and heard other things.
        tcflush(&own.0, QueueSelector::IOFlush)?;
        Ok(own)
    }

    /// Sets a port: bytes as they are, eight bits each, and no flow control.
    fn set(&self, own: &Own) -> Result<(), Errno> {
        let SerialLine { baud, parity, stop_bits } = self.line;
        let mut settings = tcgetattr(&own.0)?;
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
        tcsetattr(&own.0, OptionalActions::Now, &settings)?;
        // A port that cannot do as it is told does something else, and says so only if it is asked.
        let (found, wanted) = (u64::from(tcgetattr(&own.0)?.output_speed()), u64::from(baud));
        let is_near = found.abs_diff(wanted) * 100 <= wanted * RATE_OFF_PERCENT_MAX;
        if is_near { Ok(()) } else { Err(Errno::INVAL) }
    }
}

impl Serial {
    pub(super) const fn new(port: Port) -> Self {
        Self { port, state: State::Closed, credit: Credit::NONE }
    }

    pub(super) fn open(&mut self) -> Happened {
        self.state = State::Closed;
        match self.port.open() {
            Ok(own) => {
                // What was asked before, or by somebody else, may still be answered; and lines make noise when a port is opened.
                (self.state, self.credit) = (State::Opening(own), Credit::MOST);
                Happened::Nothing
            }
            Err(_) => Happened::Closed,
        }
    }

    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Happened {
        let State::Open(own) = &self.state else { return Happened::Nothing };
        let is_clear = tcflush(&own.0, QueueSelector::IOFlush).is_ok();
        if !is_clear || write(&own.0, bytes) != Ok(bytes.len()) {
            self.close();
            return Happened::Closed;
        }
        self.credit.asked();
        Happened::Nothing
    }

    pub(super) fn port(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Closed => None,
            State::Opening(own) | State::Open(own) => Some(own.0.as_fd()),
        }
    }

    pub(super) fn look(&mut self, bytes: &mut [u8]) -> Happened {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Closed => Happened::Nothing,
            State::Opening(own) => {
                self.state = State::Open(own);
                Happened::Opened
            }
            State::Open(own) => match read(&own.0, &mut *bytes) {
                // It is unplugged.
                Ok(0) => Happened::Closed,
                Ok(count) if !self.credit.takes(count) => Happened::Closed,
                Ok(count) => {
                    self.state = State::Open(own);
                    Happened::Arrived(count)
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.state = State::Open(own);
                    Happened::Nothing
                }
                Err(_) => Happened::Closed,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::super::{ANSWER_BYTES_MAX, CREDIT_MAX};
    use super::*;

    /// A test that waits longer than so many steps of 10 ms has failed.
    const STEPS: usize = 6_000;
    const LINE: SerialLine = SerialLine { baud: 9_600, parity: Parity::Even, stop_bits: StopBits::One };

    /// The other end of a line, and its port.
    fn pair() -> (OwnedFd, Port) {
        let other = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pair");
        grantpt(&other).and_then(|()| unlockpt(&other)).expect("it is ours");
        let path = ptsname(&other, Vec::new()).expect("it has a name").into_string().expect("of letters");
        (other, Port { path: path.into(), line: LINE })
    }

    fn opened(port: &Port) -> Serial {
        let mut line = Serial::new(port.clone());
        assert_eq!(line.open(), Happened::Nothing);
        assert_eq!(line.look(&mut [0; 8]), Happened::Opened);
        line
    }

    /// Waits until there is something to read.
    fn wait(from: impl AsFd) {
        for _ in 0..STEPS {
            let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            if poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&tick)) == Ok(1) {
                return;
            }
        }
        panic!("nothing happens");
    }

    /// Reads so many bytes that were sent.
    fn sent(other: &OwnedFd, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        let mut found = 0;
        while found < count {
            wait(other);
            found += read(other, &mut bytes[found..]).expect("it is open");
        }
        bytes
    }

    /// Looks until so many bytes have come.
    fn arrived(line: &mut Serial, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            wait(line.port().expect("it is open"));
            let mut piece = [0; 100];
            let Happened::Arrived(count) = line.look(&mut piece) else { panic!("it is open") };
            bytes.extend_from_slice(&piece[..count]);
        }
        bytes
    }

    #[test]
    fn every_byte_passes_as_it_is_both_ways() {
        let (other, port) = pair();
        let mut line = opened(&port);
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(line.send(&all), Happened::Nothing);
        assert_eq!(sent(&other, 256), all);
        assert_eq!(write(&other, &all), Ok(256));
        assert_eq!(arrived(&mut line, 256), all);
        assert_eq!(line.look(&mut [0; 8]), Happened::Nothing, "nobody has said more");
    }

    #[test]
    fn a_port_is_set_as_the_site_says() {
        for baud in r_ems_engine::fieldbus::serial::BAUD_RATES {
            let (_other, port) = pair();
            let port = Port { line: SerialLine { baud, ..LINE }, ..port };
            let line = opened(&port);
            let settings = tcgetattr(line.port().expect("it is open")).expect("it is a terminal");
            assert_eq!((settings.input_speed(), settings.output_speed()), (baud, baud));
            let edits = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
            assert!(!settings.local_modes.intersects(edits), "{baud}");
            assert!(!settings.control_modes.contains(ControlModes::CRTSCTS), "{baud}");
        }
    }

    #[test]
    fn what_somebody_else_has_is_not_opened() {
        let (_other, port) = pair();
        let line = opened(&port);
        let said = port.try_to_open().expect_err("it is in use");
        assert!(matches!(said.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy), "{said}");
        assert_eq!(Serial::new(port.clone()).open(), Happened::Closed);
        drop(line);
        assert!(port.try_to_open().is_ok(), "it is free again");
    }

    #[test]
    fn what_is_no_serial_port_is_not_opened() {
        for path in ["/nowhere", "/dev/null", "/"] {
            let mut line = Serial::new(Port { path: path.into(), line: LINE });
            assert_eq!((line.open(), line.port().is_none()), (Happened::Closed, true), "{path}");
        }
    }

    #[test]
    fn an_adapter_that_is_unplugged_ends_the_connection() {
        let (other, port) = pair();
        let (mut reading, (second, second_port)) = (opened(&port), pair());
        drop(other);
        wait(reading.port().expect("it is open"));
        assert_eq!(reading.look(&mut [0; 8]), Happened::Closed);
        let mut writing = opened(&second_port);
        drop(second);
        assert_eq!((writing.send(b"request"), writing.port().is_none()), (Happened::Closed, true));
    }

    #[test]
    fn what_came_before_a_request_is_no_answer_to_it() {
        let (other, port) = pair();
        let mut line = opened(&port);
        assert_eq!(line.send(b"first"), Happened::Nothing);
        assert_eq!(sent(&other, 5), b"first");
        assert_eq!(write(&other, b"late"), Ok(4));
        wait(line.port().expect("it is open"));
        assert_eq!(line.send(b"next"), Happened::Nothing);
        assert_eq!(sent(&other, 4), b"next");
        assert_eq!(write(&other, b"answer"), Ok(6));
        assert_eq!(arrived(&mut line, 6), b"answer");
    }

    #[test]
    fn what_has_not_left_when_a_line_is_closed_is_taken_back() {
        // A pseudo-terminal hands on what is written within microseconds: sometimes it is too late.
        let is_taken_back = |_try| {
            let (other, port) = pair();
            let mut line = opened(&port);
            assert_eq!(line.send(b"a write"), Happened::Nothing);
            line.close();
            let soon = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let mut ends = [PollFd::new(&other, PollFlags::IN)];
            poll(&mut ends, Some(&soon)).expect("it can be asked");
            !ends[0].revents().contains(PollFlags::IN)
        };
        assert!((0..500).any(is_taken_back), "it never is");
    }

    #[test]
    fn who_sends_more_than_it_was_asked_for_is_cut_off() {
        let (other, port) = pair();
        let mut line = opened(&port);
        for _ in 0..20 {
            line.send(b"?");
        }
        let mut taken = 0;
        while line.port().is_some() {
            assert!(taken <= CREDIT_MAX, "{taken} bytes have come");
            write(&other, &[7; ANSWER_BYTES_MAX]).expect("it is open");
            wait(line.port().expect("it is open"));
            if let Happened::Arrived(count) = line.look(&mut [0; 1_024]) {
                taken += count;
            }
        }
        assert!(taken > CREDIT_MAX / 2, "{taken} bytes have come");
    }
}
