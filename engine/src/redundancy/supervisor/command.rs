//! What operators may ask of a member: of its authority, of its life, and of the devices that it writes to.

use serde::{Deserialize, Serialize};

use crate::controller::operation::Operation;
use crate::controller::orders::{Aim, Milliwatts};
use crate::redundancy::epoch::Seat;
use crate::time::Span;

/// What an operator may ask of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Hand over to a seat, or to the best standby.
    SwitchOver {
        /// To whom.
        to: Option<Seat>,
    },
    /// Begin or end maintenance.
    Maintenance {
        /// Whether it begins.
        begins: bool,
        /// Also on the active when nobody is ready.
        is_forced: bool,
    },
    /// Be the majority on its own, or no longer: the operator vouches that the others are off.
    Sole {
        /// Whether it begins.
        begins: bool,
    },
    /// End this life in order.
    Stop,
    /// Keep the state as it is now.
    Snapshot,
    /// As `Stop`, but the next life of the same controller begins at once.
    Return,
    /// Give devices a set-point by hand, for a while.
    SetPoint {
        /// Whose.
        to: Aim,
        /// The power, positive into the bus; of generators what they are limited to.
        power: Milliwatts,
        /// For how long, at most [`MANUAL_MAX`](crate::controller::orders::MANUAL_MAX).
        lasts: Span,
    },
    /// Withdraw that.
    ReleaseSetPoint {
        /// Whose.
        to: Aim,
    },
    /// Hold every set-point at 0 and start nothing, until `Reset`. This is no safety function.
    EmergencyStop,
    /// End that.
    Reset,
    /// Have the grid run by its functions, held where it is, or at rest.
    Operate {
        /// How.
        operation: Operation,
        /// For how long, of a hold: at most [`MANUAL_MAX`](crate::controller::orders::MANUAL_MAX).
        lasts: Span,
    },
}

impl Command {
    /// Whether it is about the devices, and so only for who writes to them.
    pub const fn is_order(self) -> bool {
        match self {
            Self::SetPoint { .. }
            | Self::ReleaseSetPoint { .. }
            | Self::EmergencyStop
            | Self::Reset
            | Self::Operate { .. } => true,
            Self::SwitchOver { .. }
            | Self::Maintenance { .. }
            | Self::Sole { .. }
            | Self::Stop
            | Self::Snapshot
            | Self::Return => false,
        }
    }
}
