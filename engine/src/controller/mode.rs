//! What holds a grid's bus, as its breaker tells, and when a function has a say.
//!
//! The breaker at the point of common coupling says by its point `closed` whether the bus is one with the grid. While that is not
//! known, what was known last counts, by whichever host: a lost measurement must not make functions of islands take over a grid,
//! nor those of the grid an island. Where it was never known, everything stays as it is, and no function is asked. A grid
//! without such a breaker among its devices is on the grid.
//!
//! An island that nothing holds is dead. A meter that measures the voltage tells it; without one a dead bus is taken for an
//! island, which it is to all but those who ask what there is to count on.

use serde::{Deserialize, Serialize};

use crate::carry::Carry;
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
    /// Devices of its own; or nothing, where no meter tells that.
    Island,
    /// Nothing: there is no voltage.
    Dead,
}

/// Below this voltage a bus is dead, as a multiple of the nominal one: nothing that is connected to it runs.
pub const DEAD_BELOW: f64 = 0.5;

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
            Self::Island => mode != GridMode::OnGrid,
        }
    }
}

/// Follows the breaker.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Following {
    breaker: Option<DeviceIndex>,
    /// The meter that tells whether there is voltage.
    voltmeter: Option<DeviceIndex>,
    /// None while it was never known.
    mode: Option<GridMode>,
}

impl Following {
    pub(super) const fn new(breaker: Option<DeviceIndex>, voltmeter: Option<DeviceIndex>) -> Self {
        Self { breaker, voltmeter, mode: Self::at_first(breaker) }
    }

    const fn at_first(breaker: Option<DeviceIndex>) -> Option<GridMode> {
        match breaker {
            Some(_) => None,
            None => Some(GridMode::OnGrid),
        }
    }

    /// The breaker that tells it, if there is one.
    pub(super) const fn breaker(self) -> Option<DeviceIndex> {
        self.breaker
    }

    /// Begins a life, of which nothing is known yet.
    pub(super) fn forget(&mut self) {
        self.mode = Self::at_first(self.breaker);
    }

    pub(super) const fn mode(self) -> Option<GridMode> {
        self.mode
    }

    /// Passes what is known.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.choice(
            &mut self.mode,
            &[None, Some(GridMode::OnGrid), Some(GridMode::Island), Some(GridMode::Dead)],
        );
    }

    /// Sees where the breaker stands, and tells of a change.
    pub(super) fn look(&mut self, image: &Image, out: &mut Effects) {
        let Some(closed) = self.breaker.and_then(|breaker| image.good(breaker, PointKind::Closed)) else {
            return;
        };
        let voltage = self.voltmeter.and_then(|meter| image.good(meter, PointKind::Voltage));
        let mode = if closed > 0.5 {
            GridMode::OnGrid
        } else {
            match voltage {
                Some(voltage) if voltage < DEAD_BELOW => GridMode::Dead,
                Some(_) => GridMode::Island,
                // What was known last counts.
                None if self.mode == Some(GridMode::Dead) => GridMode::Dead,
                None => GridMode::Island,
            }
        };
        let was = self.mode.unwrap_or(GridMode::OnGrid);
        if was == GridMode::OnGrid && mode != GridMode::OnGrid {
            out.report(Event::Islanded);
        }
        match (was == GridMode::Dead, mode == GridMode::Dead) {
            (false, true) => out.report(Event::BlackedOut),
            (true, false) => out.report(Event::Energized),
            (false, false) | (true, true) => {}
        }
        if was != GridMode::OnGrid && mode == GridMode::OnGrid {
            out.report(Event::Rejoined);
        }
        self.mode = Some(mode);
    }
}
