//! The simulated physics behind a site's devices: a bus with what is connected to it, on the grid or as an island.
//!
//! On the grid everything is integrated in closed form between the instants at which something changes, and those instants are
//! found by the plant itself. So the same commands at the same instants give the same plant, however often it is looked at: a
//! run of a year at one look per second and a run at one look per hour end with the same battery.
//!
//! An island moves in steps of a millisecond of the run's time, in which every power is a straight line: `swing` says how and
//! why. What is said of looks holds there too.
//!
//! A component is one file and one line of [`Component`]. Powers are positive into the bus: discharge, generation and
//! import are positive, a load reads negative. Inside, powers are in W and energies in J or Wh, as the names say.
//!
//! **Invariant:** the plant knows no controller, no scan and no wall clock, and nothing here is random: what is random comes
//! in through a [`Source`](crate::sources::Source).
//!
//! Numbers: the losses and tapers are typical of a lithium battery with its inverter (86 % round trip at rated power);
//! a default that is ours says so where it is set.

mod battery;
mod breaker;
mod bus;
mod bus_tie;
mod component;
mod connection;
mod curve;
mod genset;
mod grid_source;
mod lasting;
mod load;
mod motion;
mod pv;
mod reactive;
mod receiver;
mod relay;
mod swing;
mod synchro_check;
mod taper;
#[cfg(test)]
mod tests;
mod watch;

use core::fmt;

use r_ems_engine::units::{Ratio, Watts};

pub use battery::{
    Battery, BatteryFlow, BatterySpec, CAPACITY_MAX_WH, FULL_POWER_MIN, Forming, InitialMode, LAG_MAX,
    LAG_MIN, Losses, MAX_PENDING, Mode, RATING_MIN_W,
};
pub use breaker::Position;
pub use bus::{Bus, BusError, MAX_COMPONENTS, MAX_PER_ADVANCE, MAX_SECTIONS, SectionIndex};
pub use bus_tie::{BusTie, TieFlow};
pub use component::{Component, ComponentIndex, Quantity, TruthPoint};
pub use connection::{Connection, ConnectionFlow};
pub use curve::{Curve, SETTLED_TIME_CONSTANTS};
pub use genset::{Genset, GensetFlow, GensetSpec, GensetState, GovernorSpec, InitialGenset};
pub use grid_source::{Electrical, GridSource, GridValue, Impedance, NOMINAL_HZ, NOMINAL_PU, R_TO_X};
pub use load::{Load, LoadFlow, POWER_FACTOR};
pub use motion::{Above, Decay, Motion, Stretch};
pub use pv::{Pv, PvFlow, PvSpec};
pub use reactive::ReactiveOutput;
pub use receiver::Receiver;
pub use relay::{RELAY_HZ, Relay};
pub use swing::ISLAND_STEP;
pub use synchro_check::{Difference, SynchroSpec};
pub use taper::TAPER_STEPS;
pub use watch::Watch;

/// Joules in a watt-hour.
pub(crate) const JOULES_PER_WATT_HOUR: f64 = 3_600.0;

/// Watt-hours in a joule, for the inner loop: multiplying is faster than dividing.
pub(crate) const WATT_HOURS_PER_JOULE: f64 = 1.0 / JOULES_PER_WATT_HOUR;

/// What holds the voltage and the frequency of a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusMode {
    /// The grid behind its connection.
    Grid,
    /// Formers on the bus itself: batteries that form, gensets.
    Island,
    /// Nothing.
    Dead,
}

impl BusMode {
    /// Whether there is voltage.
    #[inline]
    pub fn supply(self) -> Supply {
        match self {
            Self::Grid | Self::Island => Supply::Live,
            Self::Dead => Supply::Dead,
        }
    }
}

/// Whether a bus has voltage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The grid, or a former, holds voltage and frequency.
    Live,
    /// Nothing does: loads are unserved, inverters stand by at 0 W.
    Dead,
}

/// Says which parameter of a component is not allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SpecError {
    /// A quantity must be above zero.
    NotPositive {
        /// The parameter's name.
        parameter: &'static str,
        /// The number as found, in base units.
        found: f64,
    },
    /// A quantity is outside its range.
    OutOfRange {
        /// The parameter's name.
        parameter: &'static str,
        /// The number as found, in base units.
        found: f64,
        /// The lowest allowed.
        low: f64,
        /// The highest allowed.
        high: f64,
    },
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPositive { parameter, found } => write!(f, "{parameter} must be above 0, got {found}"),
            Self::OutOfRange { parameter, found, low, high } => {
                write!(f, "{parameter} must be between {low} and {high}, got {found}")
            }
        }
    }
}

impl core::error::Error for SpecError {}

fn positive(parameter: &'static str, found: f64) -> Result<f64, SpecError> {
    if found > 0.0 { Ok(found) } else { Err(SpecError::NotPositive { parameter, found }) }
}

fn ranged(parameter: &'static str, share: Ratio, low: f64, high: f64) -> Result<f64, SpecError> {
    within(parameter, share.ratio(), low, high)
}

fn within(parameter: &'static str, found: f64, low: f64, high: f64) -> Result<f64, SpecError> {
    if (low..=high).contains(&found) {
        Ok(found)
    } else {
        Err(SpecError::OutOfRange { parameter, found, low, high })
    }
}

/// A power whose magnitude must not exceed `most_w`.
fn bounded(parameter: &'static str, power: Watts, most_w: f64) -> Result<f64, SpecError> {
    let found = power.watts();
    if found.abs() <= most_w {
        Ok(found)
    } else {
        Err(SpecError::OutOfRange { parameter, found, low: -most_w, high: most_w })
    }
}
