//! One fieldbus connection: bytes to and from a device, a gateway or a serial line, without ever waiting.
//!
//! A line is opened and closed at a machine's wish, and says what happens to it. What it cannot take at once it does not take: a
//! request is a few hundred bytes and few are under way at a time, so what has no room for it leads nowhere, and is closed.
//!
//! **What a machine gives up does not arrive.** How far that can be kept is another matter over TCP (`tcp`) than on a serial line
//! (`serial`): there it is said.
//!
//! **Bounds:** a device may send what it was asked for, [`ANSWER_BYTES_MAX`] for each request, and [`CREDIT_MAX`] at once. Who
//! sends more is cut off: everything that arrives is recorded, and a device that chatters would push the log of a day from the
//! disk in minutes.
//!
//! **Invariant:** nothing of an earlier connection is ever read from the next.

mod port;
mod porter;
mod serial;
mod tcp;

use std::io;
use std::net::SocketAddr;

use r_ems_engine::LocalTime;
use r_ems_engine::fieldbus::master::PIPELINING_MAX;

pub use self::port::Port;
use self::serial::Serial;
use self::tcp::Tcp;
use crate::reactor::Watch;

/// The longest answer to one request: a frame of Modbus TCP, which is longer than one of RTU.
pub const ANSWER_BYTES_MAX: usize = 260;
/// So many bytes may come at once, as answers to requests that were given up may come late and together, and with those to all
/// that is under way.
pub const CREDIT_MAX: usize = 2 * PIPELINING_MAX as usize * ANSWER_BYTES_MAX;

/// Where a connection leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// To a device or gateway in the network.
    Tcp(SocketAddr),
    /// To a serial port of this computer.
    Serial(Port),
}

/// One connection, open or not.
#[derive(Debug)]
pub struct Line(Kind);

#[derive(Debug)]
enum Kind {
    Tcp(Tcp),
    Serial(Serial),
}

/// What happened to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// It is open.
    Opened,
    /// So many bytes have arrived.
    Arrived(usize),
    /// It could not be opened, or has ended.
    Closed,
    /// Nothing, for now.
    Nothing,
}

impl Line {
    /// A line that leads there, which is closed; what there is to look at ends waits by `watch`.
    ///
    /// # Errors
    /// The operating system has no more threads or descriptors, which a serial line needs from the beginning.
    pub fn new(way: &Way, watch: Watch) -> io::Result<Self> {
        Ok(Self(match way {
            Way::Tcp(address) => Kind::Tcp(Tcp::new(*address, watch)),
            Way::Serial(port) => Kind::Serial(Serial::new(port.clone(), watch)?),
        }))
    }

    /// Begins to open it, anew if it is open; how that ends is found by [`Line::look`]. `Closed`: it cannot be tried at all.
    pub fn open(&mut self) -> Happened {
        match &mut self.0 {
            Kind::Tcp(line) => line.open(),
            Kind::Serial(line) => line.open(),
        }
    }

    /// Closes it.
    pub fn close(&mut self) {
        match &mut self.0 {
            Kind::Tcp(line) => line.close(),
            Kind::Serial(line) => line.close(),
        }
    }

    /// Sends bytes, all of them or none: where there is no room for all, the line is closed. `Closed`: so it is.
    ///
    /// A write is valid until an instant: when that is over, as little of it arrives as the way allows.
    pub fn send(&mut self, now: LocalTime, bytes: &[u8], valid_until: Option<LocalTime>) -> Happened {
        match &mut self.0 {
            Kind::Tcp(line) => line.send(now, bytes, valid_until),
            // What is sent there has passed within the time of its characters.
            Kind::Serial(line) => line.send(bytes),
        }
    }

    /// What was written may wait for longer.
    pub fn extend(&mut self, valid_until: LocalTime) {
        match &mut self.0 {
            Kind::Tcp(line) => line.extend(valid_until),
            Kind::Serial(_) => {}
        }
    }

    /// Whether it is neither open nor being opened.
    pub const fn is_closed(&self) -> bool {
        match &self.0 {
            Kind::Tcp(line) => line.is_closed(),
            Kind::Serial(line) => line.is_closed(),
        }
    }

    /// Looks what has happened, and reads what fits into `bytes`, which has room for some.
    pub fn look(&mut self, bytes: &mut [u8]) -> Happened {
        match &mut self.0 {
            Kind::Tcp(line) => line.look(bytes),
            Kind::Serial(line) => line.look(bytes),
        }
    }
}

/// So many bytes may still come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Credit(usize);

impl Credit {
    const NONE: Self = Self(0);
    const MOST: Self = Self(CREDIT_MAX);

    /// Something was asked, and will be answered.
    fn asked(&mut self) {
        self.0 = (self.0 + ANSWER_BYTES_MAX).min(CREDIT_MAX);
    }

    /// Whether so many may come.
    fn takes(&mut self, count: usize) -> bool {
        let left = self.0.checked_sub(count);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}
