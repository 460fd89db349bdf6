//! The motion of a battery between two changes, and where the next one lies.
//!
//! A phase has one curve, one sign of power unless that goes a straight way, and one pair of limits. What has happened in it
//! is a closed form counted from its beginning, so that looking at it changes nothing, and it finds its own end: the lag or the
//! way has arrived, power passes zero, or the stored energy reaches an edge of the taper.

use r_ems_engine::{Span, Time};

use super::super::curve::{Passed, SETTLED_TIME_CONSTANTS};
use super::super::taper::{Band, Taper};
use super::super::{Curve, Decay, JOULES_PER_WATT_HOUR, Motion};
use super::{BatteryFlow, BatterySpec, LAG_MIN};
use crate::sources::instant_after;

/// Powers closer together than this share of the rating are one: 1 mW for 1 MW.
const SAME_POWER: f64 = 1e-9;

/// Numbers of a specification in the units of the inner loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constants {
    pub(super) capacity_j: f64,
    pub(super) rating_w: f64,
    pub(super) lag_s: f64,
    pub(super) standby_w: f64,
    pub(super) proportional: f64,
    pub(super) quadratic_per_w: f64,
    pub(super) taper: Taper,
}

/// The motion since the last change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    pub(super) from: Time,
    pub(super) until: Time,
    /// What is stored at the end, in J, if energy reaches an edge of the taper there: exactly the edge.
    pub(super) edge_j: Option<f64>,
    pub(super) curve: Curve,
    /// Stored energy at the beginning, in J.
    pub(super) stored_j: f64,
    /// What stands by, in W: nothing while the contactors are open or the battery is empty.
    pub(super) standby_w: f64,
}

/// What has happened since the beginning of a phase. Energies in J.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) power_w: f64,
    pub(super) energy_j: f64,
    pub(super) conversion_j: f64,
    pub(super) standby_j: f64,
}

impl Constants {
    /// The numbers of `spec`, which has been checked.
    pub(super) fn new(spec: &BatterySpec) -> Self {
        let capacity_j = spec.capacity.watt_hours() * JOULES_PER_WATT_HOUR;
        let rating_w = spec.rating.watts();
        Self {
            capacity_j,
            rating_w,
            lag_s: if spec.lag < LAG_MIN { 0.0 } else { spec.lag.as_secs_f64() },
            standby_w: spec.losses.standby.ratio() * rating_w,
            proportional: spec.losses.proportional.ratio(),
            quadratic_per_w: spec.losses.quadratic.ratio() / rating_w,
            taper: Taper::new(capacity_j, spec.taper.ratio()),
        }
    }

    /// What the cells give at `power_w` with closed contactors, in W. It rises with the power.
    fn drain_w(&self, power_w: f64) -> f64 {
        power_w
            + self.standby_w
            + self.proportional * power_w.abs()
            + self.quadratic_per_w * power_w * power_w
    }

    /// The curve from one power to another.
    pub(super) fn approach(&self, from_w: f64, to_w: f64) -> Curve {
        let same_w = SAME_POWER * self.rating_w;
        if self.lag_s <= 0.0 || (from_w - to_w).abs() <= same_w {
            return Curve::settled(to_w);
        }
        // Where the last phase ended at zero, this one begins there, whatever the rounding.
        let start_w = if from_w.abs() <= same_w { 0.0 } else { from_w };
        Curve { start_w, target_w: to_w, lag_s: self.lag_s, line_s: 0.0 }
    }
}

impl Progress {
    /// What the cells have given, in J.
    #[inline]
    pub(super) fn drawn_j(&self) -> f64 {
        self.energy_j + self.conversion_j + self.standby_j
    }
}

impl Phase {
    /// Where the battery is after `t_s` seconds of this phase.
    #[inline]
    pub(super) fn progress(&self, t_s: f64, constants: &Constants) -> Progress {
        let Passed { power_w, energy_j, square_w2s } = self.curve.passed(t_s);
        Progress {
            power_w,
            energy_j,
            conversion_j: constants.proportional * self.curve.magnitude_j(t_s, power_w, energy_j)
                + constants.quadratic_per_w * square_w2s,
            standby_j: self.standby_w * t_s,
        }
    }

    /// Stored energy after `progress` of this phase, at `at`, in J: exactly the edge where the phase ends at one, and
    /// never less than nothing or more than the capacity.
    #[inline]
    pub(super) fn stored_j(&self, at: Time, progress: &Progress, constants: &Constants) -> f64 {
        match self.edge_j {
            Some(edge_j) if at == self.until => edge_j,
            Some(_) | None => (self.stored_j - progress.drawn_j()).clamp(0.0, constants.capacity_j),
        }
    }

    /// How the stored energy, in J, moves in a segment of this phase.
    ///
    /// With P = target + gap e^(−t/τ) the cells give P + a |P| + b P² / S and what stands by, whose integral is a line and
    /// parts with τ and τ / 2.
    pub(super) fn stored_motion<'a>(
        &self,
        flow: &BatteryFlow,
        span_s: f64,
        constants: &Constants,
        parts: &'a mut [Decay; 2],
    ) -> Motion<'a> {
        let Decay { start: gap_w, end: gap_end_w, lag_s } = flow.decay();
        let target_w = flow.curve.target_w;
        // One sign of power in a phase: that of whichever end is not zero.
        let discharges = flow.start_w + flow.end_w + target_w > 0.0;
        let linear = if discharges { 1.0 + constants.proportional } else { 1.0 - constants.proportional };
        let first = (linear + 2.0 * constants.quadratic_per_w * target_w) * lag_s;
        let second = 0.5 * constants.quadratic_per_w * lag_s;
        *parts = [
            Decay { start: first * gap_w, end: first * gap_end_w, lag_s },
            Decay { start: second * gap_w * gap_w, end: second * gap_end_w * gap_end_w, lag_s: 0.5 * lag_s },
        ];
        let drain_w = self.standby_w + linear * target_w + constants.quadratic_per_w * target_w * target_w;
        let straight_start = flow.stored_start_j - parts[0].start - parts[1].start;
        Motion { straight_start, straight_end: straight_start - drain_w * span_s, span_s, decays: parts }
    }

    /// Finds where this phase ends by itself: the lag has arrived, power passes zero, or energy reaches an edge of `band`.
    ///
    /// One that goes a straight way ends with it at `until` at the latest.
    pub(super) fn find_end(&mut self, band: Band, constants: &Constants) {
        (self.until, self.edge_j) = self.end(band, constants);
    }

    /// The end of the phase, and the edge that energy reaches there.
    fn end(&self, band: Band, constants: &Constants) -> (Time, Option<f64>) {
        if self.standby_w <= 0.0 && self.curve.is_settled() && self.curve.target_w.abs() <= 0.0 {
            return (Time::MAX, None);
        }
        let (low_j, high_j) = (constants.taper.falling_j(band), constants.taper.rising_j(band));
        let arrived = if self.curve.is_settled() {
            Time::MAX
        } else if self.curve.is_line() {
            self.until
        } else {
            let way_s = self.curve.zero_s().unwrap_or(SETTLED_TIME_CONSTANTS * self.curve.lag_s);
            instant_after(self.from, way_s)
        };
        // The cells' power rises with the power, which goes from one end of the curve to the other.
        let (first_w, last_w) =
            (self.drain_w(self.curve.start_w, constants), self.drain_w(self.curve.target_w, constants));
        let (least_w, most_w) = if first_w < last_w { (first_w, last_w) } else { (last_w, first_w) };
        let (mut edge_s, mut edge_j) = (f64::INFINITY, low_j);
        if most_w > 0.0 {
            edge_s = (self.stored_j - low_j) / most_w;
        }
        if least_w < 0.0 {
            let rise_s = (high_j - self.stored_j) / -least_w;
            (edge_s, edge_j) = if rise_s < edge_s { (rise_s, high_j) } else { (edge_s, edge_j) };
        }
        let earliest = instant_after(self.from, edge_s);
        if self.curve.is_settled() {
            return (earliest, Some(edge_j));
        }
        if earliest >= arrived {
            return (arrived, None);
        }
        match self.edge_within(arrived, (low_j, high_j), constants) {
            Some((at, edge_j)) => (at, Some(edge_j)),
            None => (arrived, None),
        }
    }

    fn drain_w(&self, power_w: f64, constants: &Constants) -> f64 {
        constants.drain_w(power_w) - constants.standby_w + self.standby_w
    }

    /// The first nanosecond up to `end` at which the energy has left `(low, high)`, and where; none if it never does.
    ///
    /// The cells' power changes sign once at most, so energy is monotone up to that instant and after it, and each half of
    /// the search is a bisection.
    fn edge_within(
        &self,
        end: Time,
        (low_j, high_j): (f64, f64),
        constants: &Constants,
    ) -> Option<(Time, f64)> {
        let span_ns = end.since(self.from).as_nanos();
        let at = |nanos: u64| self.progress(nanos as f64 * 1e-9, constants);
        let drains = |nanos: u64| self.drain_w(at(nanos).power_w, constants) > 0.0;
        let stored_j = |nanos: u64| self.stored_j - at(nanos).drawn_j();
        let outside = |nanos: u64| stored_j(nanos) <= low_j || stored_j(nanos) >= high_j;
        let drained = drains(0);
        let turn_ns = first(0, span_ns, |nanos| drains(nanos) != drained);
        let mut from_ns = 0;
        for until_ns in [turn_ns, span_ns] {
            if outside(until_ns) {
                let edge_ns = first(from_ns, until_ns, outside);
                // An edge at the very beginning is passed a nanosecond later, so that time goes on.
                let edge_j = if stored_j(edge_ns) <= low_j { low_j } else { high_j };
                return Some((self.from + Span::from_nanos(edge_ns.max(1)), edge_j));
            }
            from_ns = until_ns;
        }
        None
    }
}

/// The smallest number in `[low, high]` for which `holds`, which once it holds goes on to hold; `high` if there is none.
fn first(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
