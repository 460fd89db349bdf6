//! What of a controller can be looked at, by those who show it; nobody changes anything through it.

use super::composition::Composition;
use super::set_points::SetPoints;
use super::transfer::StateTransfer;
use super::{Controller, Phase};
use crate::functions::Function;
use crate::points::Image;
use crate::redundancy::RedundancySupervisor;
use crate::timing::LoopTimingReporter;

impl<F: Function> Controller<F> {
    /// The newest values and their quality.
    pub const fn image(&self) -> &Image {
        &self.image
    }

    /// The functions and groups with their last decisions.
    pub const fn composition(&self) -> &Composition<F> {
        &self.composition
    }

    /// The set-points on their way.
    pub const fn set_points(&self) -> &SetPoints {
        &self.set_points
    }

    /// How late its scans were.
    pub const fn timing(&self) -> &LoopTimingReporter {
        &self.timing
    }

    /// Where it is in its life.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What it has told its standbys, or heard from the active.
    pub const fn transfer(&self) -> &StateTransfer {
        &self.transfer
    }

    /// Who may write, as far as this controller knows.
    pub const fn redundancy(&self) -> &RedundancySupervisor {
        &self.redundancy
    }
}
