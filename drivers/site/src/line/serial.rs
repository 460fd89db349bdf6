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
//! **Nothing here waits:** to open a port takes a moment (an adapter is asked over USB), and the operating system closes it when
//! a UART's own buffer is empty, some dozen characters; drivers of some adapters (PL2303 and its like) wait a quarter of a
//! second at 9600 baud and up to 2 s at 1200, and one that is stuck up to 30 s. A thread does both: see [`mod@porter`]. What has
//! not left is taken back before that, and others may have the port. One that is opened again meanwhile is open when its close
//! has ended: until then it is being opened, for as long as the machine waits for that.
//!
//! The kernel's RS-485 mode is not switched: adapters switch by themselves, and UARTs that need it are told so by their device
//! tree (`linux,rs485-enabled-at-boot-time`).

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::TryRecvError;

use rustix::io::{Errno, read, write};
use rustix::termios::{QueueSelector, tcflush};

use super::port::Port;
use super::porter::{Opening, Own, Porter};
use super::{Credit, Happened};
use crate::reactor::Watch;

/// One port, open or not.
#[derive(Debug)]
pub(super) struct Serial {
    porter: Porter,
    state: State,
    credit: Credit,
}

#[derive(Debug)]
enum State {
    Closed,
    /// It is being opened, though it was closed meanwhile.
    Unwanted(Opening),
    Opening(Opening),
    Open(Own),
}

impl Serial {
    pub(super) fn new(port: Port, watch: Watch) -> io::Result<Self> {
        Self::closed_by(port, watch, drop)
    }

    /// The same where `close` closes ports, on the thread.
    fn closed_by(port: Port, watch: Watch, close: impl FnMut(OwnedFd) + Send + 'static) -> io::Result<Self> {
        let porter = Porter::start(port, watch, close)?;
        Ok(Self { porter, state: State::Closed, credit: Credit::NONE })
    }

    pub(super) fn open(&mut self) -> Happened {
        self.state = State::Opening(match core::mem::replace(&mut self.state, State::Closed) {
            // Nothing was said or heard on it yet.
            State::Unwanted(opening) | State::Opening(opening) => opening,
            State::Closed => self.porter.open(),
            State::Open(own) => {
                drop(own);
                self.porter.open()
            }
        });
        Happened::Nothing
    }

    pub(super) fn close(&mut self) {
        self.state = match core::mem::replace(&mut self.state, State::Closed) {
            State::Closed | State::Open(_) => State::Closed,
            State::Unwanted(opening) | State::Opening(opening) => State::Unwanted(opening),
        };
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Happened {
        let State::Open(own) = &self.state else { return Happened::Nothing };
        let is_clear = tcflush(own, QueueSelector::IOFlush).is_ok();
        if !is_clear || write(own, bytes) != Ok(bytes.len()) {
            self.close();
            return Happened::Closed;
        }
        self.credit.asked();
        Happened::Nothing
    }

    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed | State::Unwanted(_))
    }

    pub(super) fn look(&mut self, bytes: &mut [u8]) -> Happened {
        match core::mem::replace(&mut self.state, State::Closed) {
            State::Closed => {
                self.porter.hears();
                Happened::Nothing
            }
            State::Unwanted(opening) => {
                self.porter.hears();
                match opening.try_recv() {
                    Ok(Ok(port)) => drop(self.porter.own(port)),
                    Ok(Err(_)) | Err(TryRecvError::Disconnected) => {}
                    Err(TryRecvError::Empty) => self.state = State::Unwanted(opening),
                }
                Happened::Nothing
            }
            State::Opening(opening) => self.look_whether_open(opening),
            State::Open(own) => match read(&own, &mut *bytes) {
                // It is unplugged.
                Ok(0) => Happened::Closed,
                Ok(count) if !self.credit.takes(count) => Happened::Closed,
                Ok(count) => {
                    self.state = State::Open(own);
                    Happened::Arrived(count)
                }
                Err(Errno::AGAIN | Errno::INTR) => {
                    self.porter.hears();
                    self.state = State::Open(own);
                    Happened::Nothing
                }
                Err(_) => Happened::Closed,
            },
        }
    }

    fn look_whether_open(&mut self, opening: Opening) -> Happened {
        self.porter.hears();
        let port = match opening.try_recv() {
            Ok(port) => port.ok(),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                self.state = State::Opening(opening);
                return Happened::Nothing;
            }
        };
        match port.and_then(|port| self.porter.own(port)) {
            Some(own) => {
                // What was asked before, or by somebody else, may still be answered; and lines make noise when a port is opened.
                (self.state, self.credit) = (State::Open(own), Credit::MOST);
                Happened::Opened
            }
            None => Happened::Closed,
        }
    }
}

#[cfg(test)]
mod tests;
