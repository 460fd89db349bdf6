//! The contract between what decides and the world: machines, what reaches them, and what they ask for.
//!
//! A run is one loop (see [`crate::fleet`]): the driver lends a [`Delivery`], the machine handles it and leaves its wishes
//! in [`Effects`], the driver performs the [`Outcome`]. **Invariant:** a machine observes nothing but its inputs and the
//! local time that comes with each. It has no clock, no randomness of its own, no I/O, and it cannot fail or block.

use alloc::vec::Vec;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::carried::{Carried, NotCarried};
use crate::digest::Chain;
use crate::event::Event;
use crate::fleet::Poisoned;
use crate::ids::{ControllerIndex, DeviceIndex, PointIndex};
use crate::persistence::{JournalStatus, Origin};
use crate::redundancy::{Command, Message, Promise, Seat};
use crate::time::{LocalTime, Time};
use crate::wall::WallTime;

/// A deterministic state machine; in R-EMS, one controller.
///
/// State, snapshot and state digest are one derived encoding: what is not serialized does not exist.
pub trait Machine: Clone + Serialize + DeserializeOwned {
    /// What it is made from.
    type Spec;

    /// Makes the machine in its first state, before any boot.
    fn new(spec: &Self::Spec) -> Self;

    /// Starts to live, on a new or a recovered state.
    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects);

    /// Handles one input. Pure: the same state and input give the same state and effects, everywhere and always.
    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects);

    /// When it wants a [`Input::Wake`] next; `None` if only an input can change it.
    fn deadline(&self) -> Option<LocalTime>;

    /// What the wall clock of its host shows at `now`, as far as it was told; `None`: it does not know.
    fn wall_clock(&self, _now: LocalTime) -> Option<WallTime> {
        None
    }

    /// The memory that a log keeps beside its state, for other versions; `None`: there is none.
    fn carried(&self) -> Option<Carried> {
        None
    }

    /// Only states of another version were found: the machine, as it was made, is to take this memory at its next boot, or to say
    /// why there is none.
    fn recall(&mut self, _found: Result<Carried, NotCarried>) {}
}

/// What a machine is told when it starts to live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boot {
    /// Counts the lives of this controller, from 1.
    pub incarnation: u32,
    /// The wall clock at boot, if it is synchronized.
    pub wall: Option<WallTime>,
    /// What was durable.
    pub promise: Promise,
    /// Where its state comes from.
    pub origin: Origin,
    /// Whether what it promised may be lost: it must not vote before it knows what others promised.
    pub abstains: bool,
}

impl Boot {
    /// The first boot of a controller.
    pub const FIRST: Self =
        Self { incarnation: 1, wall: None, promise: Promise::FIRST, origin: Origin::Fresh, abstains: false };
}

/// What reaches a machine; borrowed data is lent by the driver until it has been handled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a> {
    /// The machine's deadline has come.
    Wake,
    /// A device answered a poll.
    Points {
        /// Who answered.
        device: DeviceIndex,
        /// Its values, in the device's own sign.
        samples: &'a [Sample],
    },
    /// A device did not answer a poll in time.
    TimedOut {
        /// Who was silent.
        device: DeviceIndex,
    },
    /// What became of a set-point that was written.
    Written {
        /// To whom it was written.
        device: DeviceIndex,
        /// How it ended.
        outcome: WriteOutcome,
    },
    /// Another member of the grid's council says something.
    Message {
        /// Who.
        from: Seat,
        /// What.
        message: Message,
    },
    /// The active of the grid tells what it remembers.
    Transfer {
        /// Who.
        from: Seat,
        /// The unit, see [`crate::redundancy::transfer`].
        unit: &'a [u8],
    },
    /// The promise that was on its way to the disk is durable, or could not be written.
    Promised {
        /// Whether it is durable.
        succeeded: bool,
    },
    /// The state that was to be kept is durable, or could not be written.
    Snapshotted {
        /// Whether it is durable.
        succeeded: bool,
    },
    /// The journal of what reaches this machine can no longer be kept, or can again.
    Journal(JournalStatus),
    /// The host's wall clock shows something else than what the machine was told before and its own clock say: it was set,
    /// corrected, or is vouched for no more. See [`crate::wall::told`].
    WallClock {
        /// What it shows now; `None`: the host no longer vouches for it.
        wall: Option<WallTime>,
    },
    /// An operator asks for something.
    Command(Command),
}

/// One value as a device reports it, in the device's own sign; the engine trusts none of it.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Which point of the receiving controller's image.
    pub point: PointIndex,
    /// Whether the device itself vouches for the value.
    pub validity: Validity,
    /// The number in the point's base unit; may be anything, NaN included.
    pub value: f64,
}

impl PartialEq for Sample {
    /// Compares bits: replay must tell every NaN and both zeros apart.
    fn eq(&self, other: &Self) -> bool {
        self.point == other.point
            && self.validity == other.validity
            && self.value.to_bits() == other.value.to_bits()
    }
}

/// Whether a device vouches for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// The device reports the value as good.
    Valid,
    /// The device says that it does not know.
    Invalid,
}

/// How a write to a device ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// The device acknowledged it.
    Acknowledged,
    /// The device refused it.
    Refused,
    /// The device refused it because it has accepted a higher epoch.
    Outdated {
        /// Which, as far as the device tells; the engine trusts none of it.
        accepted: u64,
    },
    /// No answer came in time; it may or may not have been applied.
    TimedOut,
    /// The driver did not perform it, because it was no longer valid.
    Expired,
}

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
            | Self::Send { .. }
            | Self::Transfer { .. }
            | Self::Authority { .. }
            | Self::Promise(_)
            | Self::Snapshot
            | Self::Stopped => None,
        }
    }
}

/// A set-point on its way to a device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SetPointWrite {
    /// To whom.
    pub device: DeviceIndex,
    /// The power in W, in the device's own sign; finite.
    pub value: f64,
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
        let mut chain = Chain::new(0);
        chain.fold_bytes(&self.unit);
        for to in seats {
            self.push(Effect::Transfer { to, length: self.unit.len() as u32, chain: chain.value() });
        }
    }

    /// What [`Effect::Transfer`] sends.
    pub fn unit(&self) -> &[u8] {
        &self.unit
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
    }
}

/// One thing that happens to one machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery<'a> {
    /// The run's time; orders the run and its log.
    pub at: Time,
    /// The target host's monotonic clock; all that the machine sees.
    pub now: LocalTime,
    /// Whom it reaches.
    pub to: ControllerIndex,
    /// What happens.
    pub step: Step<'a>,
}

/// What happens to a machine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step<'a> {
    /// Its state is replaced by a recovered one; it boots next.
    Restore {
        /// The encoded state.
        state: &'a [u8],
    },
    /// It starts to live.
    Boot(Boot),
    /// It receives an input.
    Input(Input<'a>),
}

/// What a delivery led to.
pub struct Outcome<'a> {
    /// The run's time of the delivery.
    pub at: Time,
    /// The target host's clock at the delivery.
    pub now: LocalTime,
    /// Who handled it.
    pub from: ControllerIndex,
    /// When the machine wants to be woken.
    pub deadline: Option<LocalTime>,
    /// What it asks for.
    pub effects: &'a Effects,
    /// Its state after the delivery, encoded on demand.
    pub state: &'a dyn State,
}

/// A machine's state as bytes.
pub trait State {
    /// Appends the encoded state to `bytes`.
    fn encode(&self, bytes: &mut Vec<u8>);

    /// The memory that a log keeps beside it; `None`: there is none.
    fn carried(&self) -> Option<Carried>;
}

impl<M: Machine> State for M {
    fn encode(&self, bytes: &mut Vec<u8>) {
        crate::log::codec::encode(self, bytes);
    }

    fn carried(&self) -> Option<Carried> {
        Machine::carried(self)
    }
}

/// The world as a machine's fleet meets it: simulated, real, or recorded.
pub trait Driver {
    /// What happens next, when and to whom; `None` when the run is over. The only way in.
    fn next(&mut self) -> Option<Delivery<'_>>;

    /// Performs what a delivery led to. The only way out.
    fn perform(&mut self, outcome: &Outcome<'_>);

    /// The machine failed an assertion at the last delivery: what it asked for is lost, and its state must not be used. Says
    /// whether the run goes on; the machine is then restored before anything else reaches it.
    fn failed(&mut self, _failure: Poisoned) -> Afterwards {
        Afterwards::RunEnds
    }

    /// Runs the handling of one delivery; a program with a standard library catches a panic here.
    fn contain(run: &mut dyn FnMut()) -> Handled {
        run();
        Handled::Done
    }
}

/// A driver that passes on what is asked of its world from outside, such as by an operator while a run goes on.
pub trait Commanded {
    /// Delivers a command as if it had always been planned: at `at`, after what has been delivered by then.
    fn command(&mut self, at: Time, to: ControllerIndex, command: Command);

    /// Asks every controller from `at` on to end its life in order. The run is over when all have, and `until` at the latest.
    fn stop(&mut self, at: Time, until: Time);
}

/// What follows a failed assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// The run is over.
    RunEnds,
    /// All others go on, and the machine lives again when it has been restored.
    OthersGoOn,
}

/// How the handling of a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handled {
    /// The machine is fit for the next delivery.
    Done,
    /// An assertion failed: the machine's state and effects must not be used.
    Poisoned,
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
