//! A connection over TCP.
//!
//! **Decision: what a connection has not delivered dies with it.** The operating system would go on sending what is left of a
//! closed connection for minutes: a write whose exchange was given up would reach its device long after another controller has
//! taken over. So a line ends by a reset, also when its process dies. A machine closes it when a write has expired that was not
//! answered. Three cases are left in which a device without epochs gets a write that has expired:
//!
//! - The process stands still while a write is lost on its way. The operating system is told how long the write is valid, but
//!   looks at that only when it would send it again, the second time at the earliest: with its defaults it may arrive up to
//!   0.42 s after it has expired (measured: sent again after 0.21 and 0.42 s, given up after 0.48 s).
//! - The computer stands still as a whole.
//! - A write waits for the device's address on the network (ARP, neighbor discovery), as after the cable was out: the queue there
//!   outlives the connection, for 3 s. Where it has room for one packet, `unres_qlen_bytes` 0, the reset takes the write's place.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use r_ems_engine::{LocalTime, Span};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_linger, set_tcp_nodelay, set_tcp_user_timeout, socket_error};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
};

use super::{Credit, Happened};
use crate::reactor::{Interest, Watch};

/// The operating system takes no longer time, in milliseconds.
const PATIENCE_MAX: u32 = i32::MAX as u32;

/// One connection, open or not.
#[derive(Debug)]
pub(super) struct Tcp {
    address: SocketAddr,
    watch: Watch,
    state: State,
    credit: Credit,
    /// When the write was sent that may wait in it; nothing has come since.
    written: Option<LocalTime>,
    /// For so many milliseconds the operating system tries to deliver what was sent; 0: as long as it likes.
    patience: u32,
}

#[derive(Debug)]
enum State {
    Closed,
    /// The other end has not answered yet.
    Opening(OwnedFd),
    Open(OwnedFd),
}

impl Tcp {
    /// A line to an address, which is closed.
    pub(super) const fn new(address: SocketAddr, watch: Watch) -> Self {
        Self { address, watch, state: State::Closed, credit: Credit::NONE, written: None, patience: 0 }
    }

    /// Begins to open it, anew if it is open; how that ends is found by [`Tcp::look`]. `Closed`: it cannot be tried at all.
    pub(super) fn open(&mut self) -> Happened {
        self.state = State::Closed;
        match self.begin() {
            Ok(socket) => {
                (self.state, self.credit) = (State::Opening(socket), Credit::NONE);
                (self.written, self.patience) = (None, 0);
                Happened::Nothing
            }
            // No more descriptors, or no way to such an address.
            Err(_) => Happened::Closed,
        }
    }

    fn begin(&self) -> io::Result<OwnedFd> {
        let family = if self.address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        // A request is one segment, and waits for no other.
        set_tcp_nodelay(&socket, true)?;
        set_socket_linger(&socket, Some(Duration::ZERO))?;
        match connect(&socket, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        self.watch.add(&socket, Interest::Writes)?;
        Ok(socket)
    }

    /// Closes it.
    pub(super) fn close(&mut self) {
        self.state = State::Closed;
    }

    /// Sends bytes, all of them or none: where there is no room for all, the line is closed. `Closed`: so it is.
    ///
    /// A write is valid until an instant. When that is over, and nothing has come since, the operating system does not go on
    /// sending it, whatever is read after it.
    pub(super) fn send(&mut self, now: LocalTime, bytes: &[u8], valid_until: Option<LocalTime>) -> Happened {
        if !matches!(self.state, State::Open(_)) {
            return Happened::Nothing;
        }
        self.written = valid_until.map(|_| now).or(self.written);
        let is_set = match (valid_until, self.written) {
            (Some(until), _) => self.set_patience(millis(until.since(now))),
            (None, Some(_)) => true,
            (None, None) => self.set_patience(0),
        };
        if !is_set || !self.takes(bytes) {
            self.close();
            return Happened::Closed;
        }
        self.credit.asked();
        Happened::Nothing
    }

    /// What was written may wait for longer.
    pub(super) fn extend(&mut self, valid_until: LocalTime) {
        if let Some(written) = self.written {
            let longer = self.patience.max(millis(valid_until.since(written)));
            // Where it cannot be set, the time before counts, which is safe.
            let _is_set = self.set_patience(longer);
        }
    }

    fn takes(&self, bytes: &[u8]) -> bool {
        let State::Open(socket) = &self.state else { return false };
        send(socket, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) == Ok(bytes.len())
    }

    fn set_patience(&mut self, millis: u32) -> bool {
        let State::Open(socket) = &self.state else { return false };
        let is_set = millis == self.patience || set_tcp_user_timeout(socket, millis).is_ok();
        if is_set {
            self.patience = millis;
        }
        is_set
    }

    /// Whether it is neither open nor being opened.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Looks what has happened, and reads what fits into `bytes`, which has room for some.
    pub(super) fn look(&mut self, bytes: &mut [u8]) -> Happened {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Closed => Happened::Nothing,
            State::Opening(socket) => self.look_whether_open(socket),
            State::Open(socket) => match recv(&socket, &mut *bytes, RecvFlags::DONTWAIT) {
                Ok((_, 0)) => Happened::Closed,
                Ok((_, count)) if !self.credit.takes(count) => Happened::Closed,
                Ok((_, count)) => {
                    self.written = None;
                    self.state = State::Open(socket);
                    Happened::Arrived(count)
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.state = State::Open(socket);
                    Happened::Nothing
                }
                Err(_) => Happened::Closed,
            },
        }
    }

    fn look_whether_open(&mut self, socket: OwnedFd) -> Happened {
        match socket_error(&socket) {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Happened::Closed,
        }
        // No error yet is no connection yet: only one that is there has another end.
        match rustix::net::getpeername(&socket) {
            Ok(_) if self.watch.change(&socket, Interest::Reads).is_ok() => {
                self.state = State::Open(socket);
                Happened::Opened
            }
            Err(Errno::NOTCONN) => {
                self.state = State::Opening(socket);
                Happened::Nothing
            }
            Ok(_) | Err(_) => Happened::Closed,
        }
    }
}

/// How long something is valid, as the operating system takes it: some time, and at most what it knows.
fn millis(span: Span) -> u32 {
    (span.as_nanos() / 1_000_000).clamp(1, PATIENCE_MAX.into()) as u32
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "the other ends of its sockets")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use rustix::event::{PollFd, PollFlags, poll};

    use super::super::ANSWER_BYTES_MAX;
    use super::*;
    use crate::clock::BootClock;
    use crate::reactor::Reactor;

    /// A test that waits longer than so many steps of 10 ms has failed.
    const STEPS: usize = 6_000;

    /// Looks at a line until something has happened.
    fn wait(line: &mut Tcp, bytes: &mut [u8]) -> Happened {
        for _ in 0..STEPS {
            if let State::Opening(socket) | State::Open(socket) = &line.state {
                let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
                let _ready = poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&tick));
            }
            match line.look(bytes) {
                Happened::Nothing => {}
                happened @ (Happened::Opened | Happened::Arrived(_) | Happened::Closed) => return happened,
            }
        }
        panic!("nothing happens");
    }

    /// A line to whoever listens.
    fn line_to(listener: &TcpListener) -> Tcp {
        let reactor = BootClock::begin_in(Span::ZERO).and_then(Reactor::new).expect("descriptors");
        Tcp::new(listener.local_addr().expect("it listens"), reactor.watch(1))
    }

    fn connected() -> (Tcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut line = line_to(&listener);
        assert_eq!(line.open(), Happened::Nothing);
        assert_eq!(wait(&mut line, &mut [0; 8]), Happened::Opened);
        let (peer, _address) = listener.accept().expect("somebody has connected");
        (line, peer)
    }

    #[test]
    fn who_sends_more_than_it_was_asked_for_is_cut_off() {
        let (mut line, mut other) = connected();
        line.send(LocalTime::ZERO, b"a request", None);
        let mut request = [0; 9];
        other.read_exact(&mut request).expect("it has left");
        other.write_all(&[7; ANSWER_BYTES_MAX]).expect("it is open");
        let mut taken = 0;
        while taken < ANSWER_BYTES_MAX {
            match wait(&mut line, &mut [0; 100]) {
                Happened::Arrived(count) => taken += count,
                happened @ (Happened::Nothing | Happened::Opened | Happened::Closed) => {
                    panic!("{happened:?}")
                }
            }
        }
        other.write_all(&[7]).expect("it is open");
        assert_eq!(wait(&mut line, &mut [0; 100]), Happened::Closed);
        assert!(line.is_closed());
    }

    #[test]
    fn bytes_pass_both_ways_as_they_come() {
        let (mut line, mut peer) = connected();
        assert_eq!(line.send(LocalTime::ZERO, b"request", None), Happened::Nothing);
        let mut request = [0; 7];
        peer.read_exact(&mut request).expect("it was sent");
        assert_eq!(&request, b"request");
        peer.write_all(b"an answer").expect("it is open");
        let mut bytes = [0; 4];
        let mut answer = Vec::new();
        while answer.len() < 9 {
            let Happened::Arrived(count) = wait(&mut line, &mut bytes) else { panic!("it is open") };
            answer.extend_from_slice(&bytes[..count]);
        }
        assert_eq!(answer, b"an answer");
        assert_eq!(line.look(&mut bytes), Happened::Nothing, "nobody has said more");
    }

    #[test]
    fn an_end_is_noticed_and_nothing_is_sent_after_it() {
        let (mut line, peer) = connected();
        drop(peer);
        assert_eq!(wait(&mut line, &mut [0; 8]), Happened::Closed);
        assert_eq!((line.send(LocalTime::ZERO, b"lost", None), line.is_closed()), (Happened::Nothing, true));
    }

    #[test]
    fn where_nobody_listens_it_is_closed_again() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut line = line_to(&listener);
        drop(listener);
        let opened = line.open();
        assert!(opened == Happened::Closed || wait(&mut line, &mut [0; 8]) == Happened::Closed);
    }

    #[test]
    fn a_peer_that_reads_nothing_costs_the_connection_and_no_time() {
        let (mut line, _peer) = connected();
        let frame = [0; 260];
        let ended = (0..1_000_000).any(|_| line.send(LocalTime::ZERO, &frame, None) == Happened::Closed);
        assert!(ended, "no buffer is without end");
        assert!(line.is_closed());
    }

    #[test]
    fn opened_anew_it_brings_nothing_of_before() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let mut line = line_to(&listener);
        for turn in [b'1', b'2'] {
            assert_eq!(line.open(), Happened::Nothing);
            let mut bytes = [0; 8];
            assert_eq!(wait(&mut line, &mut bytes), Happened::Opened);
            let (mut peer, _address) = listener.accept().expect("somebody has connected");
            line.send(LocalTime::ZERO, b"?", None);
            peer.write_all(&[turn; 3]).expect("it is open");
            let Happened::Arrived(count) = wait(&mut line, &mut bytes) else { panic!("it is open") };
            assert!(bytes[..count].iter().all(|byte| *byte == turn));
            peer.write_all(&[turn; 3]).expect("it is open");
        }
    }
}
