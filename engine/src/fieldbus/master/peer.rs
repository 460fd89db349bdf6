//! Whom a master works for: what is asked of it, what it wants done, and what became of that.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::fieldbus::frame::FrameFlaw;
use crate::fieldbus::pdu::Answer;
use crate::fieldbus::refusal::AnswerFlaw;
use crate::time::LocalTime;

/// What is to be asked of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job<T> {
    /// Names it to whoever knows what is to be asked, and what to do with the answer.
    pub tag: T,
    /// Which unit, by its place in the connection's list.
    pub unit: u16,
    /// When its turn is.
    pub turn: Turn,
}

/// Who goes before whom of those that wait for a connection: each before those that are named above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Turn {
    /// What only reads.
    Read,
    /// What writes.
    Write,
    /// What keeps a device from falling back.
    Heartbeat,
    /// What follows at once from what is done, as [`Next::AtOnce`] asks for.
    GoesOn,
}

/// What follows from a job that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<T> {
    /// Nothing.
    Nothing,
    /// The same goes on, before all that waits.
    AtOnce(Job<T>),
    /// Something new of the same unit begins, which has waited for that: when its turn comes, and the unit has been read.
    InTurn(Job<T>),
}

/// Why a job did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no connection.
    NotConnected,
    /// The connection ended before the answer came.
    Disconnected,
    /// The unit failed before and is left alone for a while.
    LeftAlone,
    /// It could not be sent while it was valid.
    Expired,
    /// No answer came in time.
    TimedOut,
    /// The stream made no sense.
    Frame(FrameFlaw),
    /// The answer came from another unit.
    Unit(u8),
    /// The unit refused, or what it sent is no answer.
    Answer(AnswerFlaw),
}

/// What the master wants done, and what became of jobs.
pub trait Peer {
    /// Names a job.
    type Tag: Copy;

    /// Adds the data unit of a job's request to `pdu`, which is empty: 1 to
    /// [`MAX_PDU_BYTES`](crate::fieldbus::frame::MAX_PDU_BYTES) bytes. While it is under way a job asks the same.
    fn request(&mut self, job: &Job<Self::Tag>, pdu: &mut Vec<u8>);

    /// Opens the connection; how that ends is told with [`Master::connected`](super::Master::connected) or
    /// [`Master::disconnected`](super::Master::disconnected).
    fn connect(&mut self);
    /// Closes the connection.
    fn disconnect(&mut self);
    /// Whether a job must not be sent any more.
    fn has_expired(&self, now: LocalTime, job: &Job<Self::Tag>) -> bool;
    /// Whether a job is under way alone on a connection that bears several: what writes, what belongs to a write, and what must
    /// be answered before the next of its unit is asked.
    fn goes_alone(&self, job: &Job<Self::Tag>) -> bool;
    /// Sends the request of a job under this transaction to this unit.
    fn send(&mut self, job: &Job<Self::Tag>, transaction: u16, unit: u8, pdu: &[u8]);
    /// The request of this transaction has arrived, and with it all that was sent before: it is answered, in time or late.
    fn arrived(&mut self, transaction: u16);
    /// A job is done; returns what is to be asked because of that.
    fn done(&mut self, job: &Job<Self::Tag>, outcome: Result<Answer<'_>, Fault>) -> Next<Self::Tag>;
}
