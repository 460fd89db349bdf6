//! What the books may find.

use core::fmt;

use r_ems_engine::Time;

use crate::plant::{ComponentIndex, SectionIndex};

/// Which balance is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The powers of the bus do not add up to zero; numbers in W.
    Power,
    /// A battery's power ends elsewhere than its curve; numbers in W.
    Curve(ComponentIndex),
    /// The powers of a part of the bus that is cut off from the connection do not add up to zero; it goes by the section that is
    /// nearest to the connection, and numbers are in W.
    Section(SectionIndex),
    /// Something else flows through a tie than all behind it lack; numbers in W.
    Tie(ComponentIndex),
    /// What came into the bus is not what left it.
    Bus,
    /// A component states another energy than its power makes.
    Stated(ComponentIndex),
    /// A battery stores something else than it charged less what it gave and lost.
    Stored(ComponentIndex),
    /// The mass of a genset takes or gives something else than what drives it less what it gives to the bus.
    Mass(ComponentIndex),
    /// A plant makes more than there is.
    Available(ComponentIndex),
    /// Differences of one kind of energy, each too small to be seen, add up.
    Sum(Kind),
}

/// The kinds of energy that components state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Drawn from the grid.
    Import,
    /// Fed into the grid.
    Export,
    /// Taken by loads.
    Load,
    /// Wanted by loads while the bus was dead.
    Unserved,
    /// Made by photovoltaic plants.
    Made,
    /// What they could have made.
    Available,
    /// Taken from the bus by batteries.
    Charge,
    /// Given to the bus by batteries.
    Discharge,
    /// Lost by conversion.
    Conversion,
    /// Lost by standing by.
    Standby,
    /// Given to the bus by gensets.
    Generated,
    /// Taken from the bus by gensets.
    Absorbed,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Import,
        Self::Export,
        Self::Load,
        Self::Unserved,
        Self::Made,
        Self::Available,
        Self::Charge,
        Self::Discharge,
        Self::Conversion,
        Self::Standby,
        Self::Generated,
        Self::Absorbed,
    ];
}

/// An energy, or a power, that is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imbalance {
    /// When it was found.
    pub at: Time,
    /// What does not balance.
    pub what: Balance,
    /// What the plant says, in Wh.
    pub found_wh: f64,
    /// What it should be, in Wh.
    pub expected_wh: f64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, found_wh, expected_wh } = self;
        write!(f, "energy is not conserved at {at} ({what:?}): expected {expected_wh} Wh, got {found_wh} Wh")
    }
}

impl core::error::Error for Imbalance {}
