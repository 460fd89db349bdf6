//! A write, and what became of it.

use serde::{Deserialize, Serialize};

use crate::machine::WriteOutcome;
use crate::redundancy::Epoch;
use crate::time::LocalTime;
use crate::units::{Vars, Watts};

/// A write and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastWrite {
    /// What was written, in our sign.
    pub power: Watts,
    /// The reactive power of the same write; zero where the device takes none.
    pub reactive: Vars,
    /// When.
    pub at: LocalTime,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What became of it.
    pub state: WriteState,
}

/// What a device is told: both of its powers, in our sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SetPoint {
    /// Active power.
    pub(super) power: Watts,
    /// Reactive power; zero where the device takes none.
    pub(super) reactive: Vars,
}

impl SetPoint {
    /// Active power alone.
    pub(super) const fn active(power: Watts) -> Self {
        Self { power, reactive: Vars::ZERO }
    }

    /// Whether one of both powers is to be rest, and was not: that must not wait.
    pub(super) fn comes_to_rest_from(self, from: Self) -> bool {
        self.power == Watts::ZERO && from.power != Watts::ZERO
            || self.reactive == Vars::ZERO && from.reactive != Vars::ZERO
    }
}

impl LastWrite {
    /// What it said.
    pub(super) const fn set_point(&self) -> SetPoint {
        SetPoint { power: self.power, reactive: self.reactive }
    }
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
