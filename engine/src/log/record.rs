//! Records: what a log holds between its header and its end.
//!
//! ```text
//! record   = tag, [kind], [controller varint], [time varint], [clock varint], content
//! tag      = kind (4 bits), time code (2 bits), clock changed (1 bit), controller changed (1 bit)
//! ```
//!
//! - **Kind:** 1 to 14. 15 is no kind but an escape: the byte after the tag holds the kind, which is then 15 or above, so that
//!   kinds can be added for as long as there are logs.
//! - **Controller:** as in the record before, unless the bit is set.
//! - **Time:** code 0 is the instant of the record before, 1 the same step as the last time for this controller and kind, 2 a
//!   step in ns. Only deliveries have a step; every other record belongs to the instant before it.
//! - **Clock:** `now − at` is remembered per controller; where it changes, the change follows (zigzag).
//! - A delivery then has 16 bits of its controller's earlier effects, and its content:
//!
//! ```text
//! Boot     = incarnation, code (1: wall clock, 2: abstains, from 4 on: origin), [wall clock zigzag ns], the promise
//! Wake     = nothing
//! Points   = 2 · device + f;  f = 0: bits of the values that have changed, those values (8 bytes each)
//!                             f = 1: count, each: 2 · point + validity, and 131,072 where it is not in force, value (8 bytes)
//! TimedOut = device
//! Written  = 8 · device + outcome (0: acknowledged, 1: refused, 2: timed out, 3: expired, 4: outdated by an epoch, 5: not held,
//!            6: incomplete), [that epoch]
//!            8 · device + 7: a frame was not sent, what it wrote (0: a set-point, 1: a heartbeat), until when (ns)
//! Frame    = connection, length, the bytes
//! Link     = 2 · connection + whether it is open
//! Durable  = code (0, 1: promise failed, durable; 2, 3: snapshot failed, durable; 4: journal kept again; 5 on: trouble)
//! Restored = length, the encoded state
//! WallClock = code (0; 1: what it shows follows), [zigzag ns]
//! Transfer = seat, length, the unit of state
//! Event    = code, fields
//! Effects  = deadline code (0, 1 and zigzag from now), count, each: 8 · device + code, fields; code 7: what has no device, in
//!            whose place stands 0: snapshot, 1: stopped, 2: frame, 3: link
//!   frame  = 2 · connection + w, first, length, chain (8 bytes);  w = 1: the write that it carries follows, device first,
//!            and 65,536 on it where that is a heartbeat
//!   link   = 2 · connection + whether it is to be open
//! State    = length, the encoded state
//! Carried  = version of its form, length, the form
//! Chains   = effects (8 bytes), events (8 bytes)
//! Closing  = ending, number of records before it
//! Crashed  = nothing
//! ```
//!
//! An Effects record is left out where there are no effects and the deadline is the last recorded one.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::chain::ChainPair;
use crate::event::Event;
use crate::ids::ControllerIndex;
use crate::machine::{Effect, Input, Step};
use crate::time::{LocalTime, Time};

/// One record, lent by its reader.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// The run's time; for what is no delivery, that of the record before.
    pub at: Time,
    /// The controller's own clock.
    pub now: LocalTime,
    /// Whom it concerns.
    pub controller: ControllerIndex,
    /// What it says.
    pub content: Content<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    /// Something reached the controller.
    Delivery {
        /// What.
        step: Step<'a>,
        /// Sixteen bits of the chain of its earlier effects.
        prior: u16,
    },
    /// The controller reported something while it handled the delivery before.
    Event(Event),
    /// What else the controller asked for while it handled the delivery before.
    Effects {
        /// In order, without reports.
        effects: &'a [Effect],
        /// When it then wanted to be woken.
        deadline: Option<LocalTime>,
    },
    /// The controller's whole state here.
    State(&'a [u8]),
    /// The controller's memory here, which follows its state so that other versions can go on with it.
    Carried {
        /// The version of its form, see [`crate::carried::VERSION`]; a reader passes over those that it does not know.
        version: u16,
        /// The form, see [`crate::carried::Carried`].
        bytes: &'a [u8],
    },
    /// The controller's chains here.
    Chains(ChainPair),
    /// The controller failed an assertion at the delivery before: that led to nothing, and its state is restored before anything
    /// else reaches it.
    Crashed,
    /// The run is over; for [`Ending::Poisoned`] the record's controller is the one that failed.
    Closing(Ending),
}

/// How a recorded run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The driver had nothing more.
    Over,
    /// It was stopped from outside, or by the failure of a controller that this log does not hold.
    Stopped,
    /// A controller failed an assertion at its last delivery.
    Poisoned,
}

impl Ending {
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Over => 0,
            Self::Stopped => 1,
            Self::Poisoned => 2,
        }
    }
}

impl Ending {
    /// The word for it in what programs read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Stopped => "stopped",
            Self::Poisoned => "poisoned",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Over => "over",
            Self::Stopped => "stopped",
            Self::Poisoned => "failed an assertion",
        })
    }
}

/// The kinds of record, as filters and statistics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    /// A controller began to live.
    Boot = 1,
    /// A controller was woken.
    Wake = 2,
    /// A device answered.
    Points = 3,
    /// A device did not answer.
    TimedOut = 4,
    /// A write ended.
    Written = 5,
    /// A controller reported something.
    Event = 6,
    /// What a controller asked for.
    Effects = 7,
    /// A controller's state.
    State = 8,
    /// A controller's chains.
    Chains = 9,
    /// The end.
    Closing = 10,
    /// Another member of the council said something.
    Message = 11,
    /// A promise or a snapshot became durable or could not be written, or the journal was troubled.
    Durable = 12,
    /// An operator asked for something.
    Command = 13,
    /// A controller's state was replaced by a recovered one.
    Restored = 14,
    /// The active told what it remembers.
    Transfer = 15,
    /// A controller failed an assertion, and the run went on.
    Crashed = 16,
    /// A controller was told what its host's wall clock shows.
    WallClock = 17,
    /// A controller's memory, for other versions.
    Carried = 18,
    /// Bytes arrived on a fieldbus connection.
    Frame = 19,
    /// A fieldbus connection opened, or ended, or could not be opened.
    Link = 20,
}

/// The bits of a tag that hold the kind.
pub(super) const KIND_BITS: u8 = 0x0f;
/// Stands in a tag for a kind that has no room there: the byte after the tag holds it.
pub(super) const ESCAPE: u8 = 15;
/// Kinds have numbers below.
pub(super) const KIND_END: usize = 21;

impl Kind {
    /// All kinds, for checking what a user names.
    pub const ALL: [Self; 20] = [
        Self::Boot,
        Self::Wake,
        Self::Points,
        Self::TimedOut,
        Self::Written,
        Self::Event,
        Self::Effects,
        Self::State,
        Self::Chains,
        Self::Closing,
        Self::Message,
        Self::Durable,
        Self::Command,
        Self::Restored,
        Self::Transfer,
        Self::Crashed,
        Self::WallClock,
        Self::Carried,
        Self::Frame,
        Self::Link,
    ];

    /// The kind's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Boot => "boot",
            Self::Wake => "wake",
            Self::Points => "points",
            Self::TimedOut => "timed_out",
            Self::Written => "written",
            Self::Event => "event",
            Self::Effects => "effects",
            Self::State => "state",
            Self::Chains => "chains",
            Self::Closing => "closing",
            Self::Message => "message",
            Self::Durable => "durable",
            Self::Command => "command",
            Self::Restored => "restored",
            Self::Transfer => "transfer",
            Self::Crashed => "crashed",
            Self::WallClock => "wall_clock",
            Self::Carried => "carried",
            Self::Frame => "frame",
            Self::Link => "link",
        }
    }

    /// The place in tables with one entry for each number below [`KIND_END`].
    pub(super) const fn place(self) -> usize {
        self as usize
    }

    /// Whether it is something that reached a controller.
    pub const fn is_delivery(self) -> bool {
        match self {
            Self::Boot
            | Self::Wake
            | Self::Points
            | Self::TimedOut
            | Self::Written
            | Self::Message
            | Self::Durable
            | Self::Command
            | Self::Restored
            | Self::Transfer
            | Self::WallClock
            | Self::Frame
            | Self::Link => true,
            Self::Event
            | Self::Effects
            | Self::State
            | Self::Carried
            | Self::Chains
            | Self::Closing
            | Self::Crashed => false,
        }
    }

    /// The kind of a number of the format.
    pub(super) fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }
}

impl Content<'_> {
    /// The kind of record.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Delivery { step: Step::Restore { .. }, .. } => Kind::Restored,
            Self::Delivery { step: Step::Boot(_), .. } => Kind::Boot,
            Self::Delivery { step: Step::Input(input), .. } => match input {
                Input::Wake => Kind::Wake,
                Input::Points { .. } => Kind::Points,
                Input::TimedOut { .. } => Kind::TimedOut,
                Input::Written { .. } | Input::NotSent { .. } => Kind::Written,
                Input::Message { .. } => Kind::Message,
                Input::Promised { .. } | Input::Snapshotted { .. } | Input::Journal(_) => Kind::Durable,
                Input::Command(_) => Kind::Command,
                Input::Transfer { .. } => Kind::Transfer,
                Input::WallClock { .. } => Kind::WallClock,
                Input::Frame { .. } => Kind::Frame,
                Input::LinkChanged { .. } => Kind::Link,
            },
            Self::Event(_) => Kind::Event,
            Self::Effects { .. } => Kind::Effects,
            Self::State(_) => Kind::State,
            Self::Carried { .. } => Kind::Carried,
            Self::Chains(_) => Kind::Chains,
            Self::Closing(_) => Kind::Closing,
            Self::Crashed => Kind::Crashed,
        }
    }
}
