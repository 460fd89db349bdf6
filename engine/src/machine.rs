//! The contract between what decides and the world: machines, what reaches them, and what they ask for.
//!
//! A run is one loop (see [`crate::fleet`]): the driver lends a [`Delivery`], the machine handles it and leaves its wishes
//! in [`Effects`], the driver performs the [`Outcome`]. **Invariant:** a machine observes nothing but its inputs and the
//! local time that comes with each. It has no clock, no randomness of its own, no I/O, and it cannot fail or block.

mod effects;

use alloc::vec::Vec;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::carried::{Carried, NotCarried};
use crate::fleet::Poisoned;
use crate::ids::{ConnectionIndex, ControllerIndex, DeviceIndex, PointIndex};
use crate::persistence::{JournalStatus, Origin};
use crate::redundancy::{Command, Message, Promise, Seat};
use crate::time::{LocalTime, Time};
use crate::wall::WallTime;

pub use self::effects::{Effect, Effects, LinkWish, MAX_EFFECTS, SetPointWrite, WriteKind};

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
    /// Bytes have arrived on a connection, as many as there were: a stream knows no frames.
    Frame {
        /// On which.
        connection: ConnectionIndex,
        /// The bytes, at most [`MAX_FRAME_INPUT`].
        bytes: &'a [u8],
    },
    /// A connection is open, or it ended, or could not be opened. A boot finds none: the driver closes those of a life before.
    LinkChanged {
        /// Which.
        connection: ConnectionIndex,
        /// Whether bytes can be sent.
        is_open: bool,
    },
    /// What became of a set-point that was written to a device whose protocol the driver speaks.
    Written {
        /// To whom it was written.
        device: DeviceIndex,
        /// How it ended.
        outcome: WriteOutcome,
    },
    /// A driver did not send a frame that carries a write, because that was no longer valid.
    NotSent {
        /// To whom it was.
        device: DeviceIndex,
        /// What it was.
        kind: WriteKind,
        /// Until when it was valid, as the frame had it: one that came later is another.
        valid_until: LocalTime,
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
    /// It is good, but of a set-point that the device does not follow: another decides, as somebody at its panel.
    NotInForce,
    /// The device says that it does not know.
    Invalid,
}

/// How a write to a device ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The device acknowledged it, and holds something else.
    NotHeld,
    /// No answer came in time; it may or may not have been applied.
    TimedOut,
    /// It was not performed, because it was no longer valid.
    Expired,
    /// The first of its requests were performed, and the next one was no longer valid.
    Incomplete,
}

/// Most bytes of one [`Input::Frame`]: whoever reads more hands it on in pieces.
pub const MAX_FRAME_INPUT: usize = 1_024;

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
