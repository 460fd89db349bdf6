//! A write, and what became of it.

use serde::{Deserialize, Serialize};

use crate::machine::WriteOutcome;
use crate::redundancy::Epoch;
use crate::time::LocalTime;
use crate::units::Watts;

/// A write and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastWrite {
    /// What was written, in our sign.
    pub power: Watts,
    /// When.
    pub at: LocalTime,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What became of it.
    pub state: WriteState,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteState {
    /// No answer yet.
    Pending,
    /// Acknowledged.
    Acknowledged {
        /// When.
        at: LocalTime,
    },
    /// Acknowledged, but the device was seen to hold something else since.
    NotHeld {
        /// When it was acknowledged.
        at: LocalTime,
    },
    /// It did not end well and must be repeated.
    Failed,
}

impl WriteState {
    /// What an answer says of the write that it belongs to.
    pub(super) const fn after(outcome: WriteOutcome, now: LocalTime) -> Self {
        match outcome {
            WriteOutcome::Acknowledged => Self::Acknowledged { at: now },
            WriteOutcome::Refused
            | WriteOutcome::Outdated { .. }
            | WriteOutcome::NotHeld
            | WriteOutcome::TimedOut
            | WriteOutcome::Incomplete
            | WriteOutcome::Expired => Self::Failed,
        }
    }
}
