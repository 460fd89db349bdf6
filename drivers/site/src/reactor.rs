//! Waits for an instant and for sockets at once, on one thread.
//!
//! The instant is absolute, see [`crate::clock`]; sockets are named by whoever adds them, and a wait gives back names only.
//! What is ready stays so until it has been read: nothing is lost where only some of it is.
//!
//! **Decision: it wakes early and watches the clock for the rest.** What a processor takes to leave its rest, and a scheduler to
//! give it over, varies more than it takes in the median, and would be the lateness of each scan. How early, `lead` learns. The
//! price is a core for that long, once each wake; sockets are looked at meanwhile, but for the last 0.1 ms (`lead`).

mod lead;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use r_ems_engine::Time;
use rustix::event::{Timespec, epoll};

use self::lead::Lead;
use crate::clock::{BootClock, Clock, Waited};

/// So many sockets are told of at once; the others follow with the next wait.
const READY_MAX: usize = 64;
/// The name of the clock's own descriptors.
const CLOCK: u64 = u64::MAX;
const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A clock, and the sockets that end its waits.
#[derive(Debug)]
pub struct Reactor {
    clock: BootClock,
    epoll: Arc<OwnedFd>,
    lead: Lead,
}

/// Lets sockets end a reactor's waits, all under one name.
#[derive(Clone, Debug)]
pub struct Watch {
    epoll: Arc<OwnedFd>,
    name: u64,
}

/// What a socket is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// That there is something to read.
    Reads,
    /// That it can be written to, as when a connection is there.
    Writes,
}

impl Interest {
    const fn flags(self) -> epoll::EventFlags {
        match self {
            Self::Reads => epoll::EventFlags::IN,
            Self::Writes => epoll::EventFlags::OUT,
        }
    }
}

impl Reactor {
    /// Waits by `clock`.
    ///
    /// # Errors
    /// There are no more file descriptors.
    pub fn new(clock: BootClock) -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for own in clock.descriptors() {
            epoll::add(&epoll, own, epoll::EventData::new_u64(CLOCK), epoll::EventFlags::IN)?;
        }
        Ok(Self { clock, epoll: Arc::new(epoll), lead: Lead::NEW })
    }

    /// The time since the run began.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// What lets sockets end waits under this name.
    ///
    /// # Panics
    /// If the name is the highest number, which is the clock's.
    pub fn watch(&self, name: u64) -> Watch {
        assert!(name != CLOCK, "that is the clock's own name");
        Watch { epoll: Arc::clone(&self.epoll), name }
    }

    /// Waits until an instant, until woken, or until a socket is ready; adds the names of those that are to `ready`.
    ///
    /// # Errors
    /// The operating system refuses, which is no fault of a socket.
    pub fn wait(&mut self, until: Time, ready: &mut Vec<u64>) -> io::Result<Waited> {
        let now = self.now();
        let lead = self.lead.before(now, until);
        if until.since(now) > lead {
            let early = until - lead;
            self.clock.set(early)?;
            let waited = self.look(None, ready)?;
            let now = self.now();
            if waited == Waited::Woken || !ready.is_empty() || now < early {
                return Ok(waited);
            }
            self.lead.learn(now.since(early));
        }
        self.watch_clock(until, ready)
    }

    /// Watches the clock, and the sockets until shortly before the instant, which is near or over.
    fn watch_clock(&self, until: Time, ready: &mut Vec<u64>) -> io::Result<Waited> {
        loop {
            let waited = self.look(Some(&AT_ONCE), ready)?;
            if waited == Waited::Woken || !ready.is_empty() {
                return Ok(waited);
            }
            if until.since(self.now()) <= lead::LEAST {
                break;
            }
        }
        while self.now() < until {
            core::hint::spin_loop();
        }
        Ok(Waited::Reached)
    }

    /// Looks for so long who is ready; `None`: until somebody is, or the timer has run out.
    fn look(&self, timeout: Option<&Timespec>, ready: &mut Vec<u64>) -> io::Result<Waited> {
        let mut events = [const { MaybeUninit::uninit() }; READY_MAX];
        let mut is_clock = false;
        match epoll::wait(&self.epoll, &mut events, timeout) {
            Ok((events, _room)) => {
                let names = events.iter().map(|event| event.data.u64());
                is_clock = names.clone().any(|name| name == CLOCK);
                ready.extend(names.filter(|name| *name != CLOCK));
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(if is_clock { self.clock.take_woken() } else { Waited::Reached })
    }
}

impl Watch {
    /// Lets a socket end waits from now on.
    ///
    /// # Errors
    /// It is no socket that can be waited for, or is there already.
    pub fn add(&self, socket: impl AsFd, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, epoll::EventData::new_u64(self.name), interest.flags())?)
    }

    /// Changes what a socket is waited for.
    ///
    /// # Errors
    /// It was not added.
    pub fn change(&self, socket: impl AsFd, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(self.name), interest.flags())?)
    }

    /// Lets a socket end no waits any more. One that is closed at once needs not be taken away.
    pub fn forget(&self, socket: impl AsFd) {
        // Who was never added is not there either.
        let _forgotten = epoll::delete(&self.epoll, socket);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_types, reason = "the other ends of its sockets")]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use r_ems_engine::Span;

    use super::*;

    fn reactor() -> Reactor {
        Reactor::new(BootClock::begin_in(Span::ZERO).expect("a clock")).expect("descriptors")
    }

    #[test]
    fn it_waits_until_an_instant_and_not_for_one_that_is_over() {
        let (mut reactor, mut ready) = (reactor(), Vec::new());
        let until = reactor.now() + Span::from_micros(300);
        assert_eq!(reactor.wait(until, &mut ready).ok(), Some(Waited::Reached));
        assert!(reactor.now() >= until);
        assert_eq!(reactor.wait(Time::ZERO, &mut ready).ok(), Some(Waited::Reached));
        assert_eq!(ready, [0_u64; 0]);
    }

    #[test]
    fn who_is_woken_waits_no_longer() {
        let clock = BootClock::begin_in(Span::ZERO).expect("a clock");
        let waker = clock.waker();
        let (mut reactor, mut ready) = (Reactor::new(clock).expect("descriptors"), Vec::new());
        waker.wake();
        assert_eq!(reactor.wait(Time::MAX, &mut ready).ok(), Some(Waited::Woken));
    }

    #[test]
    fn a_socket_that_is_ready_ends_the_wait_until_it_is_closed() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let mut one = TcpStream::connect(address).expect("it listens");
        let (other, _address) = listener.accept().expect("somebody has connected");
        let (mut reactor, mut ready) = (reactor(), Vec::new());
        reactor.watch(7).add(&other, Interest::Reads).expect("a socket");
        one.write_all(b"bytes").expect("it is open");
        assert_eq!(reactor.wait(Time::MAX, &mut ready).ok(), Some(Waited::Reached));
        assert_eq!(ready, [7]);
        assert_eq!(reactor.wait(Time::ZERO, &mut ready).ok(), Some(Waited::Reached));
        assert_eq!(ready, [7, 7], "nobody has read them");
        reactor.watch(8).change(&other, Interest::Writes).expect("it is there");
        reactor.wait(Time::ZERO, &mut ready).expect("a wait");
        assert_eq!(ready, [7, 7, 8]);
        drop(other);
        reactor.wait(Time::ZERO, &mut ready).expect("a wait");
        assert_eq!(ready.len(), 3);
    }

    #[test]
    fn a_socket_that_is_forgotten_ends_no_wait_while_it_is_open() {
        let (mut reactor, mut ready) = (reactor(), Vec::new());
        let (one, other) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let watch = reactor.watch(7);
        watch.add(&one, Interest::Reads).expect("a socket");
        (&other).write_all(b"bytes").expect("it is open");
        reactor.wait(Time::ZERO, &mut ready).expect("a wait");
        assert_eq!(ready, [7]);
        watch.forget(&one);
        reactor.wait(Time::ZERO, &mut ready).expect("a wait");
        assert_eq!(ready, [7]);
    }
}
