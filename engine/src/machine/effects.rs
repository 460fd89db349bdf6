//! What a machine asks for: effects, in the order in which they were asked for, with the bytes that they point into.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::digest::Chain;
use crate::event::Event;
use crate::fieldbus::framing::Framing;
use crate::ids::{ConnectionIndex, DeviceIndex};
use crate::redundancy::{Message, Promise, Seat};
use crate::time::LocalTime;

/// What a machine asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Write a set-point.
    Write(SetPointWrite),
    /// Read a device, so that its answer is there at `due`.
    Poll {
        /// Whom to read.
        device: DeviceIndex,
        /// When the answer is wanted.
        due: LocalTime,
    },
    /// Give up the connection to a device that takes only one; the next exchange makes a new one.
    Disconnect {
        /// From whom.
        device: DeviceIndex,
    },
    /// Send bytes on a connection; where they carry a write, not after it has expired, which is told as of any write.
    Frame {
        /// On which.
        connection: ConnectionIndex,
        /// Where they begin in [`Effects::frames`].
        first: u32,
        /// How many.
        length: u32,
        /// Their chain, which stands for them in logs.
        chain: u64,
        /// The write that they carry, as it was decided.
        write: Option<SetPointWrite>,
    },
    /// Open a connection, or close it and forget what waits to leave on it. How an attempt to open it ended is told.
    Link {
        /// Which.
        connection: ConnectionIndex,
        /// What is wanted.
        wish: LinkWish,
    },
    /// Say something to another member of the grid's council.
    Send {
        /// To whom.
        to: Seat,
        /// What.
        message: Message,
    },
    /// Send what this machine remembers to a standby: the bytes of [`Effects::unit`].
    Transfer {
        /// To whom.
        to: Seat,
        /// How many bytes.
        length: u32,
        /// Their chain, which stands for them in logs.
        chain: u64,
    },
    /// Know that writes under `epoch` may be performed up to `until`, and by nobody after that; told with each extension of a
    /// lease and when it is given up: what waits to leave then has expired, as after its `valid_until`. A controller that
    /// shares its grid with none never tells.
    Authority {
        /// The fencing number.
        epoch: u64,
        /// The last instant.
        until: LocalTime,
    },
    /// Make a promise durable, and say when it is.
    Promise(Promise),
    /// Keep the state as it is now, and say when it is durable.
    Snapshot,
    /// Its life is over, as it was asked: keep the state as it is now, close what is recorded, and deliver nothing to it before
    /// its next boot.
    Stopped,
    /// Tell whoever listens.
    Report(Event),
}

impl Effect {
    /// The event that it reports, if that is what it does.
    #[inline]
    pub const fn event(&self) -> Option<&Event> {
        match self {
            Self::Report(event) => Some(event),
            Self::Write(_)
            | Self::Poll { .. }
            | Self::Disconnect { .. }
            | Self::Frame { .. }
            | Self::Link { .. }
            | Self::Send { .. }
            | Self::Transfer { .. }
            | Self::Authority { .. }
            | Self::Promise(_)
            | Self::Snapshot
            | Self::Stopped => None,
        }
    }

    /// The write that it is or carries.
    #[inline]
    pub const fn write(&self) -> Option<&SetPointWrite> {
        match self {
            Self::Write(write) | Self::Frame { write: Some(write), .. } => Some(write),
            Self::Frame { write: None, .. }
            | Self::Poll { .. }
            | Self::Disconnect { .. }
            | Self::Link { .. }
            | Self::Send { .. }
            | Self::Transfer { .. }
            | Self::Authority { .. }
            | Self::Promise(_)
            | Self::Snapshot
            | Self::Stopped
            | Self::Report(_) => None,
        }
    }
}

/// What is wanted of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkWish {
    /// It is to be opened.
    Open,
    /// It is to be closed.
    Closed,
}

/// What a write says to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteKind {
    /// What power is wanted of it.
    SetPoint,
    /// That somebody is there who cares for the set-point that it holds.
    Heartbeat,
}

/// A write on its way to a device: a set-point, or what keeps one in force.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetPointWrite {
    /// To whom.
    pub device: DeviceIndex,
    /// What it says.
    pub kind: WriteKind,
    /// The power in W, in the device's own sign; of a heartbeat, how many there were before it. Finite.
    pub value: f64,
    /// The reactive power in var, in the device's own sign; 0 where it takes none. Finite.
    pub reactive: f64,
    /// The fencing number of the authority under which it was decided.
    pub epoch: u64,
    /// The driver refuses to perform it after this instant.
    pub valid_until: LocalTime,
}

/// Most effects of one delivery: a poll and a write for each of 1,024 devices, and a report for each of their points, are half
/// of it.
pub const MAX_EFFECTS: usize = 16_384;

/// What one delivery made a machine ask for, in order. Reused, so that nothing is allocated in the steady state.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    list: Vec<Effect>,
    /// What [`Effect::Transfer`] sends.
    unit: Vec<u8>,
    /// What each [`Effect::Frame`] sends, one after the other.
    frames: Vec<u8>,
    /// Room for the memory that a unit is made of.
    scratch: Vec<u8>,
}

impl Effects {
    /// Makes an empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an effect after the ones that are there.
    ///
    /// # Panics
    /// If there are [`MAX_EFFECTS`] already: the machine's bug, whether the run is recorded or not.
    #[inline]
    pub fn push(&mut self, effect: Effect) {
        assert!(self.list.len() < MAX_EFFECTS, "a machine asks for a bounded number of things at once");
        self.list.push(effect);
    }

    /// Reports an event.
    #[inline]
    pub fn report(&mut self, event: Event) {
        self.push(Effect::Report(event));
    }

    /// Asks to transfer the unit that `make` makes to each of `seats`; `make` gets room for the memory, and for the unit.
    pub(crate) fn transfer(
        &mut self,
        seats: impl Iterator<Item = Seat>,
        make: impl FnOnce(&mut Vec<u8>, &mut Vec<u8>),
    ) {
        self.scratch.clear();
        self.unit.clear();
        make(&mut self.scratch, &mut self.unit);
        let chain = Chain::of_bytes(&self.unit);
        for to in seats {
            self.push(Effect::Transfer { to, length: self.unit.len() as u32, chain: chain.value() });
        }
    }

    /// What [`Effect::Transfer`] sends.
    pub fn unit(&self) -> &[u8] {
        &self.unit
    }

    /// Asks to send a Modbus frame of a connection with this framing, with a transaction, a unit and a data unit; it may carry a
    /// write.
    pub(crate) fn send_frame(
        &mut self,
        (connection, framing): (ConnectionIndex, Framing),
        (transaction, unit, pdu): (u16, u8, &[u8]),
        write: Option<SetPointWrite>,
    ) {
        let first = self.frames.len();
        framing.put(&mut self.frames, transaction, unit, |out| out.extend_from_slice(pdu));
        let chain = Chain::of_bytes(&self.frames[first..]);
        let (length, first, chain) = ((self.frames.len() - first) as u32, first as u32, chain.value());
        self.push(Effect::Frame { connection, first, length, chain, write });
    }

    /// What the [`Effect::Frame`]s send, one after the other.
    pub fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// Takes out the effects for which `takes` says so, in order.
    pub(crate) fn take_out(&mut self, mut takes: impl FnMut(&Effect) -> bool) {
        self.list.retain(|effect| !takes(effect));
    }

    /// Lends room that is used again; give it back with [`Effects::return_scratch`].
    pub(crate) fn lend_scratch(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.scratch)
    }

    pub(crate) fn return_scratch(&mut self, scratch: Vec<u8>) {
        self.scratch = scratch;
    }

    /// The effects in the order in which they were asked for.
    #[inline]
    pub fn as_slice(&self) -> &[Effect] {
        &self.list
    }

    /// Forgets all effects and keeps the memory.
    #[inline]
    pub fn clear(&mut self) {
        self.list.clear();
        self.unit.clear();
        self.frames.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(count: usize) -> Effects {
        let mut effects = Effects::new();
        (0..count).for_each(|_| effects.report(Event::Booted { incarnation: 1 }));
        effects
    }

    #[test]
    fn a_delivery_may_lead_to_the_most_effects() {
        assert_eq!(asked(MAX_EFFECTS).as_slice().len(), MAX_EFFECTS);
    }

    #[test]
    #[should_panic(expected = "a bounded number of things")]
    fn one_effect_more_is_the_machines_bug() {
        asked(MAX_EFFECTS + 1);
    }
}
