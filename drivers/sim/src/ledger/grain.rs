//! What a battery's store may be off because time and numbers have a grain, whatever the plant's formulas are.
//!
//! Instants are whole nanoseconds, so that an edge of the taper is passed late by up to one, at up to twice the rating: that is
//! nothing for a house and a quarter of a watt-hour for a terawatt. And a large store rounds what little goes into it.

use super::WATT_HOURS_PER_JOULE;
use crate::plant::Battery;

/// In one segment.
pub(super) const SEGMENT_GRAIN: Grain = Grain { late_s: 2e-9, rounding: 1e-15 };
/// Over a run of a million edges: a year with ten cycles a day has fewer.
pub(super) const RUN_GRAIN: Grain = Grain { late_s: 1e-3, rounding: 1e-9 };

/// How late edges may be passed, in s at rated power, and the share of the capacity that rounding takes.
pub(super) struct Grain {
    late_s: f64,
    rounding: f64,
}

impl Grain {
    /// What that is for a battery, in Wh.
    pub(super) fn energy_wh(&self, battery: &Battery) -> f64 {
        let spec = battery.spec();
        spec.rating.watts() * self.late_s * WATT_HOURS_PER_JOULE + spec.capacity.watt_hours() * self.rounding
    }
}
