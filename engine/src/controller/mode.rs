//! What holds a grid's bus, as its breaker tells, and when a function has a say.
//!
//! The breaker at the point of common coupling says by its point `closed` whether the bus is one with the grid. While that is not
//! known, what was known last counts, by whichever host: a lost measurement must not make functions of islands take over a grid,
//! nor those of the grid an island. Where it was never known, everything stays as it is, and no function is asked. A grid
//! without such a breaker among its devices is on the grid.
//!
//! An island that nothing holds is dead. The meters that measure the voltage tell it, all of them; without one a dead bus is
//! taken for an island, which it is to all but those who ask what there is to count on.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::carry::Carry;
use crate::event::Event;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::{Image, PointKind};
use crate::time::{LocalTime, Span};

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
/// And for so long: a fault that a fuse clears lets the voltage sink for less.
pub const DEAD_AFTER: Span = Span::from_millis(400);

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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Following {
    breaker: Option<DeviceIndex>,
    /// The meters that tell whether there is voltage.
    voltmeters: Vec<DeviceIndex>,
    /// Since when all of them say that there is none.
    dark_since: Option<LocalTime>,
    /// None while it was never known.
    mode: Option<GridMode>,
}

impl Following {
    pub(super) const fn new(breaker: Option<DeviceIndex>, voltmeters: Vec<DeviceIndex>) -> Self {
        Self { breaker, voltmeters, dark_since: None, mode: Self::at_first(breaker) }
    }

    const fn at_first(breaker: Option<DeviceIndex>) -> Option<GridMode> {
        match breaker {
            Some(_) => None,
            None => Some(GridMode::OnGrid),
        }
    }

    /// The breaker that tells it, if there is one.
    pub(super) const fn breaker(&self) -> Option<DeviceIndex> {
        self.breaker
    }

    /// Begins a life, of which nothing is known yet.
    pub(super) fn forget(&mut self) {
        self.dark_since = None;
        self.mode = Self::at_first(self.breaker);
    }

    pub(super) const fn mode(&self) -> Option<GridMode> {
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
    pub(super) fn look(&mut self, now: LocalTime, image: &Image, out: &mut Effects) {
        let Some(closed) = self.breaker.and_then(|breaker| image.good(breaker, PointKind::Closed)) else {
            return;
        };
        let mode = if closed > 0.5 {
            self.dark_since = None;
            GridMode::OnGrid
        } else {
            self.held_by(now, image)
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

    /// What holds the bus behind the open breaker: what was known last, while no meter tells.
    fn held_by(&mut self, now: LocalTime, image: &Image) -> GridMode {
        let voltages = self.voltmeters.iter().filter_map(|meter| image.good(*meter, PointKind::Voltage));
        let is_dark = voltages.fold(None, |all, voltage| Some(all.unwrap_or(true) && voltage < DEAD_BELOW));
        match is_dark {
            Some(true) if now.since(*self.dark_since.get_or_insert(now)) >= DEAD_AFTER => GridMode::Dead,
            Some(false) => {
                self.dark_since = None;
                GridMode::Island
            }
            Some(true) | None if self.mode == Some(GridMode::Dead) => GridMode::Dead,
            Some(true) | None => GridMode::Island,
        }
    }
}
