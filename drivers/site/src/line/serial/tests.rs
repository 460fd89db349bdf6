//! Ports on pseudo-terminals, opened and closed on threads that a test holds back.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::ThreadId;
use std::time::Duration;

use r_ems_engine::Span;
use r_ems_engine::fieldbus::serial::{BAUD_RATES, Parity, SerialLine, StopBits};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{ControlModes, LocalModes, tcgetattr};

use super::super::{ANSWER_BYTES_MAX, CREDIT_MAX};
use super::*;
use crate::clock::BootClock;
use crate::reactor::Reactor;

/// A test that waits longer than so many steps has failed.
const STEPS: usize = 6_000;
const STEP: Span = Span::from_millis(10);
/// One that waits longer for another thread, too.
const PATIENCE: Duration = Duration::from_mins(1);
const LINE: SerialLine = SerialLine { baud: 9_600, parity: Parity::Even, stop_bits: StopBits::One };
/// What waits end by.
const NAME: u64 = 7;

/// A line, and what waits for it.
struct Desk {
    reactor: Reactor,
    line: Serial,
}

impl Desk {
    fn new(port: &Port) -> Self {
        Self::closed_by(port, drop)
    }

    fn closed_by(port: &Port, close: impl FnMut(OwnedFd) + Send + 'static) -> Self {
        let reactor = BootClock::begin_in(Span::ZERO).and_then(Reactor::new).expect("descriptors");
        let line = Serial::closed_by(port.clone(), reactor.watch(NAME), close).expect("a thread");
        Self { reactor, line }
    }

    fn opened(port: &Port) -> Self {
        let mut desk = Self::new(port);
        desk.open();
        desk
    }

    fn open(&mut self) {
        assert_eq!(self.line.open(), Happened::Nothing);
        assert_eq!(self.happened(&mut [0; 8]), Happened::Opened);
    }

    /// Whether a wait ends within a step for something that is there to be looked at.
    fn is_ready(&mut self) -> bool {
        let mut ready = Vec::new();
        self.reactor.wait(self.reactor.now() + STEP, &mut ready).expect("a wait");
        ready.contains(&NAME)
    }

    /// Waits until there is something to look at.
    fn wait(&mut self) {
        assert!((0..STEPS).any(|_| self.is_ready()), "nothing happens");
    }

    /// Looks whenever a wait ends, until something has happened.
    fn happened(&mut self, bytes: &mut [u8]) -> Happened {
        for _ in 0..STEPS {
            self.wait();
            match self.line.look(bytes) {
                Happened::Nothing => {}
                happened @ (Happened::Opened | Happened::Arrived(_) | Happened::Closed) => return happened,
            }
        }
        panic!("nothing happens");
    }

    /// Looks until so many bytes have come.
    fn arrived(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let mut piece = [0; 100];
            let Happened::Arrived(count) = self.happened(&mut piece) else { panic!("it is open") };
            bytes.extend_from_slice(&piece[..count]);
        }
        bytes
    }

    fn send(&mut self, bytes: &[u8]) {
        assert_eq!(self.line.send(bytes), Happened::Nothing);
        assert!(!self.line.is_closed());
    }
}

/// The other end of a line, and its port.
fn pair() -> (OwnedFd, Port) {
    let other = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pair");
    grantpt(&other).and_then(|()| unlockpt(&other)).expect("it is ours");
    let path = ptsname(&other, Vec::new()).expect("it has a name").into_string().expect("of letters");
    (other, Port { path: path.into(), line: LINE })
}

/// Whether something can be read there within a step.
fn has_more(other: &OwnedFd) -> bool {
    let step = rustix::time::Timespec { tv_sec: 0, tv_nsec: STEP.as_nanos() as i64 };
    let mut ends = [PollFd::new(other, PollFlags::IN)];
    poll(&mut ends, Some(&step)).expect("it can be asked");
    ends[0].revents().contains(PollFlags::IN)
}

/// Reads so many bytes that were sent.
fn sent(other: &OwnedFd, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut found = 0;
    while found < count {
        assert!((0..STEPS).any(|_| has_more(other)), "nothing happens");
        found += read(other, &mut bytes[found..]).expect("it is open");
    }
    bytes
}

/// A line whose closes say on which thread they are, and end when the test lets them, or is over.
struct Slow {
    desk: Desk,
    begun: Receiver<ThreadId>,
    lets: Sender<()>,
}

impl Slow {
    fn opened(port: &Port) -> Self {
        let (says, begun) = channel();
        let (lets, may) = channel();
        let of_test = std::thread::current().id();
        let close = move |port: OwnedFd| {
            let thread = std::thread::current().id();
            let is_heard = says.send(thread).is_ok();
            if is_heard && thread != of_test {
                // Nobody is there to let it where the test is over.
                let _let: Result<(), _> = may.recv();
            }
            drop(port);
        };
        let mut desk = Desk::closed_by(port, close);
        desk.open();
        Self { desk, begun, lets }
    }

    /// Waits until a close has begun, elsewhere than here.
    fn begun(&self) {
        let thread = self.begun.recv_timeout(PATIENCE).expect("it is closed");
        assert_ne!(thread, std::thread::current().id(), "whoever closes a line waits for that");
    }

    fn end(&self) {
        self.lets.send(()).expect("the thread is there");
    }
}

#[test]
fn every_byte_passes_as_it_is_both_ways() {
    let (other, port) = pair();
    let mut desk = Desk::opened(&port);
    let all: Vec<u8> = (0..=255).collect();
    desk.send(&all);
    assert_eq!(sent(&other, 256), all);
    assert_eq!(write(&other, &all), Ok(256));
    assert_eq!(desk.arrived(256), all);
    assert_eq!(desk.line.look(&mut [0; 8]), Happened::Nothing, "nobody has said more");
}

#[test]
fn a_port_is_set_as_the_site_says() {
    for baud in BAUD_RATES {
        let (_other, port) = pair();
        let port = Port { line: SerialLine { baud, ..LINE }, ..port };
        let settings = tcgetattr(port.open().expect("it is a terminal")).expect("it is a terminal");
        assert_eq!((settings.input_speed(), settings.output_speed()), (baud, baud));
        let edits = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(!settings.local_modes.intersects(edits), "{baud}");
        assert!(!settings.control_modes.contains(ControlModes::CRTSCTS), "{baud}");
    }
}

#[test]
fn what_somebody_else_has_is_not_opened() {
    let (_other, port) = pair();
    let desk = Desk::opened(&port);
    let said = port.try_to_open().expect_err("it is in use");
    assert!(matches!(said.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy), "{said}");
    let mut second = Desk::new(&port);
    assert_eq!(second.line.open(), Happened::Nothing);
    assert_eq!((second.happened(&mut [0; 8]), second.line.is_closed()), (Happened::Closed, true));
    drop(desk);
    assert!(port.try_to_open().is_ok(), "it is free again");
    second.open();
}

#[test]
fn what_is_no_serial_port_is_not_opened() {
    for path in ["/nowhere", "/dev/null", "/"] {
        let mut desk = Desk::new(&Port { path: path.into(), line: LINE });
        assert_eq!(desk.line.open(), Happened::Nothing);
        let happened = desk.happened(&mut [0; 8]);
        assert_eq!((happened, desk.line.is_closed()), (Happened::Closed, true), "{path}");
        assert!(!desk.is_ready(), "{path}");
    }
}

#[test]
fn an_adapter_that_is_unplugged_ends_the_connection() {
    let (other, port) = pair();
    let mut reading = Desk::opened(&port);
    drop(other);
    assert_eq!((reading.happened(&mut [0; 8]), reading.line.is_closed()), (Happened::Closed, true));
    let (other, port) = pair();
    let mut writing = Desk::opened(&port);
    drop(other);
    assert_eq!((writing.line.send(b"request"), writing.line.is_closed()), (Happened::Closed, true));
}

#[test]
fn what_came_before_a_request_is_no_answer_to_it() {
    let (other, port) = pair();
    let mut desk = Desk::opened(&port);
    desk.send(b"first");
    assert_eq!(sent(&other, 5), b"first");
    assert_eq!(write(&other, b"late"), Ok(4));
    desk.wait();
    desk.send(b"next");
    assert_eq!(sent(&other, 4), b"next");
    assert_eq!(write(&other, b"answer"), Ok(6));
    assert_eq!(desk.arrived(6), b"answer");
}

#[test]
fn what_has_not_left_when_a_line_is_closed_is_taken_back() {
    // A pseudo-terminal hands on what is written within microseconds: sometimes it is too late.
    let is_taken_back = |_try| {
        let (other, port) = pair();
        let mut desk = Desk::opened(&port);
        desk.send(b"a write");
        desk.line.close();
        !has_more(&other)
    };
    assert!((0..500).any(is_taken_back), "it never is");
}

#[test]
fn who_sends_more_than_it_was_asked_for_is_cut_off() {
    let (other, port) = pair();
    let mut desk = Desk::opened(&port);
    for _ in 0..20 {
        desk.send(b"?");
    }
    let mut taken = 0;
    while !desk.line.is_closed() {
        assert!(taken <= CREDIT_MAX, "{taken} bytes have come");
        write(&other, &[7; ANSWER_BYTES_MAX]).expect("it is open");
        if let Happened::Arrived(count) = desk.happened(&mut [0; 1_024]) {
            taken += count;
        }
    }
    assert!(taken > CREDIT_MAX / 2, "{taken} bytes have come");
}

#[test]
fn a_close_that_takes_long_keeps_nobody_waiting() {
    let (other, port) = pair();
    let mut slow = Slow::opened(&port);
    slow.desk.line.close();
    slow.begun();
    assert_eq!((slow.desk.line.look(&mut [0; 8]), slow.desk.line.is_closed()), (Happened::Nothing, true));
    assert_eq!(write(&other, b"late"), Ok(4));
    assert!(!slow.desk.is_ready(), "what comes on a line that is closed ends no wait");
    assert!(port.try_to_open().is_ok(), "others may have the port");
}

#[test]
fn a_line_is_open_again_once_its_close_has_ended() {
    let (other, port) = pair();
    let mut slow = Slow::opened(&port);
    slow.desk.line.close();
    assert_eq!(slow.desk.line.open(), Happened::Nothing);
    slow.begun();
    assert!(!slow.desk.is_ready(), "it is closed first");
    assert_eq!((slow.desk.line.look(&mut [0; 8]), slow.desk.line.is_closed()), (Happened::Nothing, false));
    slow.end();
    assert_eq!(slow.desk.happened(&mut [0; 8]), Happened::Opened);
    slow.desk.send(b"request");
    assert_eq!(sent(&other, 7), b"request");
}

#[test]
fn a_line_that_is_closed_while_it_is_opened_is_let_go() {
    let (_other, port) = pair();
    let mut slow = Slow::opened(&port);
    slow.desk.line.close();
    slow.begun();
    assert_eq!(slow.desk.line.open(), Happened::Nothing);
    slow.desk.line.close();
    assert!(slow.desk.line.is_closed());
    slow.end();
    slow.desk.wait();
    assert_eq!(slow.desk.line.look(&mut [0; 8]), Happened::Nothing);
    slow.begun();
    assert!(slow.desk.line.is_closed() && !slow.desk.is_ready());
    assert!(port.try_to_open().is_ok(), "others may have the port");
}

#[test]
fn who_wants_a_line_that_is_being_opened_waits_for_that_and_asks_no_second_time() {
    let (_other, port) = pair();
    let mut slow = Slow::opened(&port);
    slow.desk.line.close();
    slow.begun();
    for _attempt in 0..1_000 {
        assert_eq!(slow.desk.line.open(), Happened::Nothing);
        slow.desk.line.close();
    }
    assert_eq!(slow.desk.line.open(), Happened::Nothing);
    slow.end();
    assert_eq!(slow.desk.happened(&mut [0; 8]), Happened::Opened);
    assert!(!slow.desk.is_ready());
    assert!(slow.begun.try_recv().is_err(), "nothing is closed");
}
