//! What is wrong with a map, in the words of who reads about it.

use core::fmt;

use crate::fieldbus::plan::PlanFlaw;
use crate::fieldbus::register::OutOfRange;
use crate::fieldbus::write::{MAX_WRITE_REGISTERS, WriteFunction};

use super::{MAX_BITS, MAX_TEXT_REGISTERS, MAX_WRITE_REQUESTS};

/// One of the requests that write, as a flaw names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// One of those of a set-point, by its place.
    SetPoint(usize),
    /// The heartbeat.
    Heartbeat,
}

impl fmt::Display for Writes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetPoint(place) => write!(f, "request {place}"),
            Self::Heartbeat => f.write_str("the heartbeat"),
        }
    }
}

/// Why a map fits no device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MapFlaw {
    /// A point lies in a table of bits, and is more than one bit or not in it alone.
    Bits {
        /// Which point, by its place.
        place: usize,
    },
    /// Points depend on more than [`MAX_BITS`] bits, or on one that is not read before them.
    Conditions {
        /// How many bits.
        found: usize,
    },
    /// Between a point and its guard lie more registers than one request may pass over.
    Apart {
        /// Which point, by its place.
        place: usize,
        /// How many lie between them.
        hole: u16,
    },
    /// A point cannot be read.
    Read(PlanFlaw),
    /// There are more than [`MAX_WRITE_REQUESTS`].
    ManyWrites {
        /// How many.
        found: usize,
    },
    /// A request writes no register or coil, or more than [`MAX_WRITE_REGISTERS`], or beyond the last one.
    Write {
        /// Which request.
        which: Writes,
        /// How many registers it has.
        registers: usize,
    },
    /// What is written by function 22 is not one number of some bits of a register.
    Mask {
        /// Which request.
        which: Writes,
    },
    /// A number of some bits of a register is written by a function that sets the others to 0.
    Clears {
        /// Which request.
        which: Writes,
        /// Which of its numbers, by its place.
        value: usize,
        /// By which function.
        function: WriteFunction,
    },
    /// A text that says who the device is is empty or too long, or its registers are none that one request reads.
    Identity {
        /// Which, by its place.
        place: usize,
    },
    /// What is written to coils is not Constant or Toggle, a bit each.
    Coil {
        /// Which request.
        which: Writes,
    },
    /// A number that is always the same has no room in its registers.
    Constant {
        /// Which request.
        which: Writes,
        /// What room there is.
        error: OutOfRange,
    },
    /// No request, or more than one, writes the set-point of a device whose writes are mapped.
    SetPoints {
        /// How many.
        found: usize,
    },
    /// No number of a heartbeat changes each time, or more than one, or the request writes the set-point.
    Beats {
        /// How many change each time.
        found: usize,
    },
    /// A heartbeat writes a number that is always the same: one that comes late might change what the device does.
    BeatsSteady {
        /// Which of its numbers, by its place.
        value: usize,
    },
    /// A heartbeat and a request of a set-point write the same bits, each over what the other wrote.
    BeatsOver {
        /// Which request, by its place.
        place: usize,
        /// In which register.
        address: u16,
    },
    /// A number that only a heartbeat has is among those of a set-point.
    Counts {
        /// Which request, by its place.
        place: usize,
    },
}

impl MapFlaw {
    /// Which point it is about, by its place; `None`: it is about what is written.
    pub fn point(&self) -> Option<usize> {
        match *self {
            Self::Bits { place } | Self::Apart { place, .. } => Some(place),
            Self::Read(PlanFlaw::Long { place, .. } | PlanFlaw::Beyond { place }) => Some(place.into()),
            Self::ManyWrites { .. }
            | Self::Write { .. }
            | Self::Conditions { .. }
            | Self::Mask { .. }
            | Self::Coil { .. }
            | Self::Identity { .. }
            | Self::Clears { .. }
            | Self::Constant { .. }
            | Self::SetPoints { .. }
            | Self::Beats { .. }
            | Self::BeatsSteady { .. }
            | Self::BeatsOver { .. }
            | Self::Counts { .. } => None,
        }
    }
}

impl fmt::Display for MapFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits { place } => {
                write!(
                    f,
                    "point {place} lies in a table of bits, and must be one bit, with what it depends on beside it"
                )
            }
            Self::Conditions { found } => {
                write!(
                    f,
                    "points in registers depend on {found} bits; allowed are {MAX_BITS}, in tables of bits"
                )
            }
            Self::Apart { place, hole } => write!(
                f,
                "point {place} and what is read with it are read by one request, and {hole} registers lie between them: \
                 set `hole_max` if the device lets itself be read over these"
            ),
            Self::Read(PlanFlaw::Long { place, most }) => {
                write!(f, "point {place} has more registers than the {most} that one request may read")
            }
            Self::Read(PlanFlaw::Beyond { place }) => {
                write!(f, "point {place} ends beyond register 65535, the last one")
            }
            Self::ManyWrites { found } => {
                write!(f, "a set-point takes at most {MAX_WRITE_REQUESTS} requests, got {found}")
            }
            Self::Write { which, registers } => write!(
                f,
                "{which} writes {registers} registers or coils; allowed are 1 to {MAX_WRITE_REGISTERS} that end at 65535 \
                 or before"
            ),
            Self::Mask { which } => {
                write!(f, "{which} writes some bits of one register by function 22: one number, of type Bits")
            }
            Self::Identity { place } => tell_identity(f, *place),
            Self::Coil { which } => {
                write!(f, "{which} writes coils, which have room for a Constant of 0 or 1 or a Toggle each")
            }
            Self::Clears { which, value, function } => write!(
                f,
                "{which} writes its value {value} as some Bits of a register by function {}, which sets the others to 0; allowed \
                 are function 22, which keeps them, and numbers that fill their registers",
                function.number()
            ),
            Self::Constant { which, error } => write!(
                f,
                "{which} writes {}, and its registers hold {} to {}",
                error.raw, error.room.0, error.room.1
            ),
            Self::SetPoints { found } => write!(f, "one request writes the set-point, got {found}"),
            Self::Beats { found } => {
                write!(f, "the heartbeat has one number that changes each time and no set-point, got {found}")
            }
            Self::BeatsSteady { value } => write!(
                f,
                "the heartbeat writes a Constant as its value {value}, which would do harm where it comes late; allowed are \
                 Counter, Toggle and Epoch"
            ),
            Self::BeatsOver { place, address } => tell_meeting(f, *place, *address),
            Self::Counts { place } => {
                write!(
                    f,
                    "request {place} writes a number that changes each time, which only the heartbeat does"
                )
            }
        }
    }
}

fn tell_identity(f: &mut fmt::Formatter<'_>, place: usize) -> fmt::Result {
    write!(
        f,
        "text {place} of `identity` lies in 1 to {MAX_TEXT_REGISTERS} registers that one request reads, has at most two letters \
         for each, and is not empty"
    )
}

fn tell_meeting(f: &mut fmt::Formatter<'_>, place: usize, address: u16) -> fmt::Result {
    write!(
        f,
        "the heartbeat and request {place} write the same bits of register or coil {address}, each over what the other wrote; \
         allowed are other registers, or other bits of one by function 22 in both"
    )
}
