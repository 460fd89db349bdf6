//! Datagrams between the hosts of a site: each proves that a host of the site sent it, to this process, and not before.
//!
//! ```text
//!     send ────> association ──> key ──> datagram ──> socket ──> the peer's address in the site file
//!     receive <─ association <── key <── datagram <── socket <── anybody
//! ```
//!
//! Council members tell each other over UDP what the [engine's redundancy](r_ems_engine::redundancy) wants told. It bears loss,
//! delay and disorder, so nothing is sent again here. What it does not bear is a grant that nobody gave, or one that was given to
//! a former life: so a forged or repeated datagram is refused, and counted by kind. How is written where it is decided:
//! what a datagram looks like in `datagram`, what is believed of it in `association`, what is counted in [`Counts`].
//!
//! **Where a datagram comes from is not looked at**: anybody can write any address there. Answers go to the address of the
//! site file, and in bytes are hardly more than what they answer.
//!
//! **Bounds:** a datagram, a call's look at the socket ([`RECEIVE_MAX`]), and how often something is answered
//! ([`HELLO_EVERY`]). Nothing waits: what the socket does not take at once is lost, and counted. **Nothing is secret.**

mod association;
mod circle;
mod counts;
mod datagram;
mod key;
mod window;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use r_ems_engine::Time;
use rustix::rand::{GetRandomFlags, getrandom};

use self::association::Identity;
use self::circle::{Circle, Taken};
use self::datagram::DATAGRAM_MAX;

pub use self::association::HELLO_EVERY;
pub use self::counts::{Counts, Refused};
pub use self::datagram::BODY_MAX;
pub use self::key::Key;

#[expect(clippy::disallowed_types, reason = "the socket between the hosts of a site")]
type Socket = std::net::UdpSocket;

/// So many datagrams are looked at in one call: to refuse the longest takes some 40 µs each, so the loop is held below a
/// millisecond.
pub const RECEIVE_MAX: usize = 16;

/// This host's socket, and what is known of the others.
#[derive(Debug)]
pub struct Peers {
    socket: Socket,
    /// By the hosts' numbers.
    addresses: Vec<Option<SocketAddr>>,
    circle: Circle,
    /// What has come: longer by a byte than what is taken, to tell that something was longer.
    bytes: Vec<u8>,
    /// What is to leave.
    leaving: Vec<u8>,
}

/// What [`Peers::receive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// A body; more may be there.
    Body {
        /// The number of the host that sent it.
        from: u16,
        /// Its bytes.
        length: usize,
    },
    /// Nothing to deliver among what was looked at; more may be there.
    Unfinished,
    /// Nothing is there any more.
    Empty,
}

/// Why a host cannot speak with its peers.
#[derive(Debug)]
pub enum BindError {
    /// The site file has no address of this host, or not this host.
    NoAddress {
        /// Its number.
        host: u16,
    },
    /// A host has an address of the other family: nothing could be sent there.
    Family {
        /// This host's address.
        own: SocketAddr,
        /// The other's number.
        host: usize,
        /// The other's address.
        address: SocketAddr,
    },
    /// The operating system does not give this host its address.
    Socket {
        /// The address.
        address: SocketAddr,
        /// What it says.
        error: io::Error,
    },
    /// The operating system has no random bytes.
    Random(io::Error),
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress { host } => {
                write!(f, "host number {host} has no address: its peers cannot reach it; give it one")
            }
            Self::Family { own, host, address } => write!(
                f,
                "{own}: nothing can be sent from here to {address}, the address of host number {host}; \
                 give all hosts IPv4 addresses, or all IPv6"
            ),
            Self::Socket { address, error } => {
                write!(f, "{address}: cannot take this address for UDP: {error}")
            }
            Self::Random(error) => write!(f, "the operating system has no random bytes: {error}"),
        }
    }
}

impl std::error::Error for BindError {}

impl Peers {
    /// Takes the address of host `own`, and begins to know no peer; `addresses` has those of all hosts by their numbers.
    ///
    /// # Errors
    /// [`BindError`]
    pub fn bind(own: u16, addresses: &[Option<SocketAddr>], key: Key) -> Result<Self, BindError> {
        let Some(Some(address)) = addresses.get(usize::from(own)).copied() else {
            return Err(BindError::NoAddress { host: own });
        };
        let others = addresses.iter().enumerate().filter_map(|(host, other)| Some((host, (*other)?)));
        for (host, other) in others {
            if other.is_ipv4() != address.is_ipv4() {
                return Err(BindError::Family { own: address, host, address: other });
            }
        }
        // Nobody else may have it: two processes under one number would be taken for each other.
        let socket = Socket::bind(address).map_err(|error| BindError::Socket { address, error })?;
        socket.set_nonblocking(true).map_err(|error| BindError::Socket { address, error })?;
        let own = Identity::new(own, key, random()?, random()?);
        Ok(Self {
            socket,
            addresses: addresses.to_vec(),
            circle: Circle::new(own, addresses.iter().map(Option::is_some)),
            bytes: vec![0; DATAGRAM_MAX + 1],
            leaving: Vec::with_capacity(DATAGRAM_MAX),
        })
    }

    /// The socket, which is ready to be read when something has come.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends a body to another host, or a knock in its place if that host is not known yet. What cannot leave at once is lost.
    ///
    /// # Panics
    /// If `body` is longer than [`BODY_MAX`].
    pub fn send(&mut self, to: u16, body: &[u8]) {
        assert!(body.len() <= BODY_MAX, "a body of {} bytes is longer than {BODY_MAX}", body.len());
        if self.circle.send(to, body, &mut self.leaving) {
            self.leave(to);
        }
    }

    /// Takes the next body that is to be delivered, into `into`, and answers what is to be answered.
    ///
    /// # Panics
    /// If `into` has no room for [`BODY_MAX`] bytes.
    pub fn receive(&mut self, at: Time, into: &mut [u8]) -> Received {
        assert!(into.len() >= BODY_MAX, "room for {} bytes is less than {BODY_MAX}", into.len());
        for _ in 0..RECEIVE_MAX {
            let length = match self.socket.recv_from(&mut self.bytes) {
                Ok((length, _anybody)) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::Empty,
                Err(_) => {
                    self.circle.failed();
                    continue;
                }
            };
            match self.circle.take(at, &self.bytes[..length], &mut self.leaving) {
                Taken::Body { from, body } => {
                    into[..body.len()].copy_from_slice(body);
                    return Received::Body { from, length: body.len() };
                }
                Taken::Answer { to } => self.leave(to),
                Taken::Nothing => {}
            }
        }
        Received::Unfinished
    }

    /// How many hosts there are, this one included.
    pub fn hosts(&self) -> u16 {
        u16::try_from(self.addresses.len()).unwrap_or(u16::MAX)
    }

    /// What passed so far, and what was refused.
    pub fn counts(&self) -> Counts {
        self.circle.counts()
    }

    /// The same between this host and another; `None`: there is no other host of this number that has an address.
    pub fn counts_of(&self, host: u16) -> Option<Counts> {
        self.circle.counts_of(host)
    }

    /// Lets what was written leave.
    fn leave(&mut self, to: u16) {
        let address = self.addresses[usize::from(to)].expect("a peer has an address");
        // A datagram leaves whole or not at all.
        if self.socket.send_to(&self.leaving, address).is_err() {
            self.circle.not_taken(to);
        }
    }
}

/// Random bytes of the operating system, which has them at once but for the first moments after it began.
fn random<const N: usize>() -> Result<[u8; N], BindError> {
    let mut bytes = [0; N];
    let count = rustix::io::retry_on_intr(|| getrandom(&mut bytes[..], GetRandomFlags::empty()))
        .map_err(|error| BindError::Random(error.into()))?;
    assert!(count == N, "up to 256 bytes are given whole");
    Ok(bytes)
}
