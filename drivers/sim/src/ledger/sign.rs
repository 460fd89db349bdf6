//! Which part of a sum of powers lies above zero and which below: the checker's own split, for import and export.
//!
//! A sum that keeps its sign for sure is its components' integrals, and a line is two triangles. What is curved is halved until
//! the part that holds the change of sign has no energy that anybody counts; the rest is integrated by Gauss's rule.

use alloc::vec::Vec;

use r_ems_engine::math;

use super::quadrature::{GAUSS, RULE_TIME_CONSTANTS};
use crate::plant::BatteryFlow;

/// A part with less energy than this, in Wh, is booked as one.
const NEGLIGIBLE_WH: f64 = 1e-6;

/// Most halvings: 24 time constants, after which a curve has settled, end in parts of a billionth of one.
const MAX_HALVINGS: u32 = 40;

/// The sum of all powers but the connection's over one segment, positive into the bus.
#[derive(Clone, Debug, Default)]
pub(super) struct Others {
    /// At the segment's start, in W.
    pub(super) start_w: f64,
    /// At its end, in W.
    pub(super) end_w: f64,
    /// The magnitudes of all powers at both ends, in W.
    pub(super) reach_w: f64,
    /// The sum of the lowest and of the highest powers, in W.
    low_w: f64,
    high_w: f64,
    /// Their energy, in Wh.
    energy_wh: f64,
    /// What does not decay, in W.
    straight: (f64, f64),
    /// What decays.
    decays: Vec<Decay>,
}

/// A power that dies away.
#[derive(Clone, Copy, Debug)]
struct Decay {
    start_w: f64,
    lag_s: f64,
}

/// The two parts of a sum, in Wh, both positive.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Parts {
    /// Above zero: what the connection takes.
    pub(super) left_wh: f64,
    /// Below zero: what it gives.
    pub(super) lacking_wh: f64,
}

impl Others {
    pub(super) fn with_room_for(batteries: usize) -> Self {
        Self { decays: Vec::with_capacity(batteries), ..Self::default() }
    }

    /// Begins a segment.
    #[inline]
    pub(super) fn clear(&mut self) {
        let mut decays = core::mem::take(&mut self.decays);
        decays.clear();
        *self = Self { decays, ..Self::default() };
    }

    /// Adds a power that is straight.
    #[inline]
    pub(super) fn add_line(&mut self, start_w: f64, end_w: f64, energy_wh: f64) {
        self.add_ends(start_w, end_w, energy_wh);
        self.straight.0 += start_w;
        self.straight.1 += end_w;
    }

    /// Adds the power of a battery.
    #[inline]
    pub(super) fn add_curve(&mut self, flow: &BatteryFlow, energy_wh: f64) {
        self.add_ends(flow.start_w, flow.end_w, energy_wh);
        let (target_w, straight_w) = (flow.curve.target_w, flow.curve.straight());
        self.straight.0 += straight_w.0;
        self.straight.1 += straight_w.1;
        if flow.curve.has_decay() {
            self.decays.push(Decay { start_w: flow.start_w - target_w, lag_s: flow.curve.lag_s });
        }
    }

    #[inline]
    fn add_ends(&mut self, start_w: f64, end_w: f64, energy_wh: f64) {
        self.start_w += start_w;
        self.end_w += end_w;
        self.reach_w += start_w.abs() + end_w.abs();
        let (low_w, high_w) = if start_w < end_w { (start_w, end_w) } else { (end_w, start_w) };
        self.low_w += low_w;
        self.high_w += high_w;
        self.energy_wh += energy_wh;
    }

    /// Both parts of a segment of `span_s` seconds.
    #[inline]
    pub(super) fn split(&self, span_s: f64) -> Parts {
        let mut parts = Parts::default();
        let (start_w, end_w) = self.straight;
        let is_straight = self.decays.is_empty();
        if self.low_w >= 0.0 || self.high_w <= 0.0 || (is_straight && start_w * end_w >= 0.0) {
            parts.book(self.energy_wh);
        } else if is_straight {
            // Two triangles.
            let before_s = span_s * start_w / (start_w - end_w);
            parts.book(start_w * before_s * (0.5 / 3_600.0));
            parts.book(end_w * (span_s - before_s) * (0.5 / 3_600.0));
        } else {
            self.halve(span_s, (0.0, span_s), MAX_HALVINGS, &mut parts);
        }
        parts
    }

    /// Books what lies between two instants.
    fn halve(&self, span_s: f64, (from_s, to_s): (f64, f64), halvings: u32, parts: &mut Parts) {
        let slope = (self.straight.1 - self.straight.0) / span_s;
        let (first_w, last_w) = (self.straight.0 + slope * from_s, self.straight.0 + slope * to_s);
        let (mut low_w, mut high_w) = if first_w < last_w { (first_w, last_w) } else { (last_w, first_w) };
        let mut rule_reaches = true;
        for decay in &self.decays {
            let (first_w, last_w) = (decay.at(from_s), decay.at(to_s));
            low_w += if first_w < last_w { first_w } else { last_w };
            high_w += if first_w < last_w { last_w } else { first_w };
            rule_reaches &= to_s - from_s <= RULE_TIME_CONSTANTS * decay.lag_s;
        }
        let reach_wh = (high_w - low_w) * (to_s - from_s) / 3_600.0;
        let one_sign = low_w >= 0.0 || high_w <= 0.0;
        if halvings == 0 || (rule_reaches && (one_sign || reach_wh <= NEGLIGIBLE_WH)) {
            parts.book(self.gauss_wh(slope, from_s, to_s));
            return;
        }
        let middle_s = 0.5 * (from_s + to_s);
        self.halve(span_s, (from_s, middle_s), halvings - 1, parts);
        self.halve(span_s, (middle_s, to_s), halvings - 1, parts);
    }

    /// The energy between two instants, in Wh, by Gauss's rule.
    fn gauss_wh(&self, slope: f64, from_s: f64, to_s: f64) -> f64 {
        let (middle_s, half_s) = (0.5 * (from_s + to_s), 0.5 * (to_s - from_s));
        let power_w = |at_s: f64| {
            let straight_w = self.straight.0 + slope * at_s;
            self.decays.iter().fold(straight_w, |sum_w, decay| sum_w + decay.at(at_s))
        };
        let mut sum_w = 0.0;
        for (node, weight) in GAUSS {
            sum_w += weight * (power_w(middle_s - node * half_s) + power_w(middle_s + node * half_s));
        }
        sum_w * half_s / 3_600.0
    }
}

impl Decay {
    fn at(self, at_s: f64) -> f64 {
        self.start_w * math::exp(-at_s / self.lag_s)
    }
}

impl Parts {
    #[inline]
    fn book(&mut self, energy_wh: f64) {
        if energy_wh > 0.0 {
            self.left_wh += energy_wh;
        } else {
            self.lacking_wh -= energy_wh;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::Curve;

    #[test]
    fn a_line_through_zero_is_split_where_it_passes() {
        let mut others = Others::default();
        others.add_line(-30e3, 10e3, -10e3);
        let parts = others.split(3_600.0);
        // Each of two parts may change its sign while their sum does not.
        let mut rising = Others::default();
        rising.add_line(-10e3, 30e3, 10e3);
        rising.add_line(40e3, -20e3, 10e3);
        let parts_of_rising = rising.split(3_600.0);
        assert!((parts_of_rising.left_wh - 20e3).abs() < 1e-5, "{parts_of_rising:?}");
        assert_eq!(parts_of_rising.lacking_wh, 0.0);
        // Triangles of 30 kW over three quarters of an hour and of 10 kW over one.
        assert!((parts.lacking_wh - 11_250.0).abs() < 1e-5, "{parts:?}");
        assert!((parts.left_wh - 1_250.0).abs() < 1e-5, "{parts:?}");
    }

    #[test]
    fn a_curve_through_zero_is_split_where_it_passes() {
        // 100 (1 − e^(−t)) − 50 kW passes zero at ln 2: below it 50 ln 2 − 50 kW s.
        let curve = Curve { start_w: 0.0, target_w: 100e3, lag_s: 1.0, line_s: 0.0 };
        let end_w = 100e3 * (1.0 - math::exp(-3.0));
        let flow = BatteryFlow { end_w, curve, ..BatteryFlow::default() };
        let mut others = Others::default();
        others.add_curve(&flow, (200e3 + 100e3 * math::exp(-3.0)) / 3_600.0);
        others.add_line(-50e3, -50e3, -150e3 / 3_600.0);
        let parts = others.split(3.0);
        let lacking_wh = 50e3 * (1.0 - core::f64::consts::LN_2) / 3_600.0;
        assert!((parts.lacking_wh - lacking_wh).abs() < 1e-5, "{parts:?}");
        let sum_wh = (50e3 + 100e3 * math::exp(-3.0)) / 3_600.0;
        assert!((parts.left_wh - parts.lacking_wh - sum_wh).abs() < 1e-5, "{parts:?}");
    }
}
