//! How large quantities may be: what is larger is a slip of the pen, and would leave the range in which sums are exact.

use r_ems_engine::points::device::{FREQUENCY_MAX_HZ, MAX_MAGNITUDE, VOLTAGE_MAX};
use r_ems_engine::units::{Hertz, PerUnit, Vars, VoltAmperes, Volts, WattHours, Watts, WattsPerSecond};
use r_ems_sim::plant::CAPACITY_MAX_WH;

use crate::mistake::Notes;
use crate::node::Node;

/// Largest magnitude of a factor in a product of sources.
pub(crate) const FACTOR_MAX: f64 = 1e6;
/// Largest magnitude of a number in a profile: the largest power, if the numbers are watts.
pub(crate) const CELL_MAX: f64 = MAX_MAGNITUDE;
/// Largest magnitude of a price for a kWh or a kW.
pub(crate) const PRICE_MAX: f64 = 1e9;

/// Whether a power in W is one that a point can have.
pub(crate) fn is_power(watts: f64) -> bool {
    watts.abs() <= MAX_MAGNITUDE
}

/// The powers that are allowed, as a sentence part.
pub(crate) fn powers() -> String {
    let most = Watts::of(MAX_MAGNITUDE);
    format!("from -{most} to {most}")
}

/// A quantity that may not be arbitrarily large.
pub(crate) trait Bounded: Sized {
    /// What is allowed, as a sentence part; none if it is within.
    fn refused(&self) -> Option<String>;
}

macro_rules! bounded {
    ($($name:ident within $most:expr),*) => {
        $(impl Bounded for $name {
            fn refused(&self) -> Option<String> {
                let most = Self::of($most);
                if *self > most {
                    Some(format!("at most {most}"))
                } else if *self < -most {
                    Some(format!("at least -{most}"))
                } else {
                    None
                }
            }
        })*
    };
}

bounded!(
    Watts within MAX_MAGNITUDE,
    Vars within MAX_MAGNITUDE,
    VoltAmperes within MAX_MAGNITUDE,
    Volts within MAX_MAGNITUDE,
    PerUnit within VOLTAGE_MAX,
    Hertz within FREQUENCY_MAX_HZ,
    WattHours within CAPACITY_MAX_WH,
    WattsPerSecond within MAX_MAGNITUDE
);

/// Notes a quantity that stands in a field which another reader reads, if it is one and too large.
pub(crate) fn check(node: &Node<'_>, notes: &mut Notes) {
    let Ok(text) = node.parse::<String>() else { return };
    let refused = [
        text.parse::<Watts>().ok().and_then(|power| power.refused()),
        text.parse::<WattHours>().ok().and_then(|energy| energy.refused()),
        text.parse::<WattsPerSecond>().ok().and_then(|ramp| ramp.refused()),
    ];
    for allowed in refused.into_iter().flatten() {
        node.error(notes, format!("must be {allowed}, got {}", node.text()));
    }
}
