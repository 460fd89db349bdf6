//! What holds a grid's bus, as its breaker tells, and when a function has a say.
//!
//! The breaker at the point of common coupling says by its point `closed` whether the bus is one with the grid. While that is not
//! known, what was known last counts: a lost measurement must not make functions of islands take over a grid. A grid without such
//! a breaker among its devices is on the grid.

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::{Image, PointKind};

/// What holds the bus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GridMode {
    /// The grid.
    #[default]
    OnGrid,
    /// Devices of its own, or nothing.
    Island,
}

/// When a function has a say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// While the grid holds the bus.
    OnGrid,
    /// While the bus is an island, or dead.
    Island,
    /// Always.
    Both,
}

impl When {
    /// Whether it has one now.
    pub fn includes(self, mode: GridMode) -> bool {
        match self {
            Self::Both => true,
            Self::OnGrid => mode == GridMode::OnGrid,
            Self::Island => mode == GridMode::Island,
        }
    }
}

/// Follows the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Following {
    breaker: Option<DeviceIndex>,
    mode: GridMode,
}

impl Following {
    pub(super) const fn new(breaker: Option<DeviceIndex>) -> Self {
        Self { breaker, mode: GridMode::OnGrid }
    }

    /// Begins a life, of which nothing is known yet.
    pub(super) fn forget(&mut self) {
        self.mode = GridMode::OnGrid;
    }

    pub(super) const fn mode(self) -> GridMode {
        self.mode
    }

    /// Sees where the breaker stands, and tells of a change.
    pub(super) fn look(&mut self, image: &Image, out: &mut Effects) {
        let Some(closed) = self.breaker.and_then(|breaker| image.good(breaker, PointKind::Closed)) else {
            return;
        };
        let mode = if closed > 0.5 { GridMode::OnGrid } else { GridMode::Island };
        match (self.mode, mode) {
            (GridMode::OnGrid, GridMode::Island) => out.report(Event::Islanded),
            (GridMode::Island, GridMode::OnGrid) => out.report(Event::Rejoined),
            (GridMode::OnGrid, GridMode::OnGrid) | (GridMode::Island, GridMode::Island) => {}
        }
        self.mode = mode;
    }
}
