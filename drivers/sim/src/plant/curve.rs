//! A power that goes to a value as a first-order lag does: `P(t) = target + (start − target) e^(−t / τ)`.
//!
//! Its integrals are closed forms, so that a battery's energy is exact whatever the step. On an island powers are straight lines
//! from one step to the next instead.

use r_ems_engine::math;

/// After this many time constants a lag has arrived: what is left, 4e-11 of the step, is less than the noise of a sum.
pub const SETTLED_TIME_CONSTANTS: f64 = 24.0;

/// A first-order lag from an instant on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Curve {
    /// Power at the beginning, in W.
    pub start_w: f64,
    /// Where it goes, in W.
    pub target_w: f64,
    /// Time constant, in s; 0 when it has arrived, or goes straight.
    pub lag_s: f64,
    /// How long a straight way to the target takes, in s; 0 if it goes no straight way. On an island every power does, from step
    /// to step.
    pub line_s: f64,
}

/// Power and its integrals over the first part of a [`Curve`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Passed {
    /// Power at the end of the part, in W.
    pub(super) power_w: f64,
    /// ∫ P dt, in J.
    pub(super) energy_j: f64,
    /// ∫ P² dt, in W² s.
    pub(super) square_w2s: f64,
}

impl Curve {
    /// A power that does not change.
    pub(super) const fn settled(power_w: f64) -> Self {
        Self { start_w: power_w, target_w: power_w, lag_s: 0.0, line_s: 0.0 }
    }

    /// A power that goes straight from one value to another within `line_s` seconds.
    pub(super) fn line(start_w: f64, target_w: f64, line_s: f64) -> Self {
        if start_w.to_bits() == target_w.to_bits() || line_s <= 0.0 {
            return Self::settled(target_w);
        }
        Self { start_w, target_w, lag_s: 0.0, line_s }
    }

    /// Whether it stays where it is.
    #[inline]
    pub fn is_settled(&self) -> bool {
        self.lag_s <= 0.0 && self.line_s <= 0.0
    }

    /// Whether something of it dies away.
    #[inline]
    pub fn has_decay(&self) -> bool {
        self.lag_s > 0.0
    }

    /// Whether it goes a straight way to its target.
    #[inline]
    pub fn is_line(&self) -> bool {
        self.line_s > 0.0
    }

    /// The part that does not die away: at the beginning, and at the end of a straight way.
    #[inline]
    pub fn straight(&self) -> (f64, f64) {
        if self.is_line() { (self.start_w, self.target_w) } else { (self.target_w, self.target_w) }
    }

    /// Power and integrals after `t_s` seconds.
    #[inline]
    pub(super) fn passed(&self, t_s: f64) -> Passed {
        let target_w = self.target_w;
        if self.is_settled() {
            let energy_j = target_w * t_s;
            return Passed { power_w: target_w, energy_j, square_w2s: target_w * energy_j };
        }
        if self.is_line() {
            let start_w = self.start_w;
            let power_w = if t_s >= self.line_s { target_w } else { self.on_line(t_s) };
            // ∫ P² of a line between two powers is a third of the sum of their squares and their product.
            let square_w2s = (start_w * start_w + start_w * power_w + power_w * power_w) * (t_s / 3.0);
            return Passed { power_w, energy_j: 0.5 * (start_w + power_w) * t_s, square_w2s };
        }
        let gap_w = self.start_w - target_w;
        let left = math::exp(-t_s / self.lag_s);
        let gone_j = gap_w * self.lag_s * (1.0 - left);
        let energy_j = target_w * t_s + gone_j;
        Passed {
            power_w: target_w + gap_w * left,
            energy_j,
            // P² = target² + 2 target gap e^(−t/τ) + gap² e^(−2t/τ), integrated term by term.
            square_w2s: target_w * (energy_j + gone_j) + 0.5 * gap_w * gone_j * (1.0 + left),
        }
    }

    /// ∫ |P| dt over the first `t_s` seconds, at the end of which there is `power_w`, where ∫ P dt is `energy_j`: a lag ends
    /// where it passes zero, a straight way does not.
    #[inline]
    pub(super) fn magnitude_j(&self, t_s: f64, power_w: f64, energy_j: f64) -> f64 {
        if !self.is_line() || self.start_w * power_w >= 0.0 {
            return energy_j.abs();
        }
        // Two triangles, one on each side of zero.
        let before_s = t_s * self.start_w / (self.start_w - power_w);
        0.5 * (self.start_w.abs() * before_s + power_w.abs() * (t_s - before_s))
    }

    fn on_line(&self, t_s: f64) -> f64 {
        self.start_w + (self.target_w - self.start_w) * (t_s / self.line_s)
    }

    /// Seconds until a power that does not go a straight way is zero, if it passes zero on its way.
    pub(super) fn zero_s(&self) -> Option<f64> {
        if !self.has_decay() || self.start_w * self.target_w >= 0.0 {
            return None;
        }
        Some(self.lag_s * math::ln((self.target_w - self.start_w) / self.target_w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_covers_63_percent_in_one_time_constant_and_its_integrals_are_those_of_the_formula() {
        let curve = Curve { start_w: 0.0, target_w: 100e3, lag_s: 2.0, line_s: 0.0 };
        let passed = curve.passed(2.0);
        assert!((passed.power_w - 63_212.055_882_855_77).abs() < 1e-6);
        // ∫ (1 − e^(−t/2)) dt = 2 − 2 (1 − 1/e); ∫ (1 − e^(−t/2))² dt = 2 − 4 (1 − 1/e) + (1 − 1/e²).
        assert!((passed.energy_j - 100e3 * 0.735_758_882_342_884_6).abs() < 1e-6);
        assert!((passed.square_w2s - 1e10 * 0.336_182_481_449_156).abs() < 1.0);
    }

    #[test]
    fn a_straight_way_has_the_integrals_of_a_line_on_both_sides_of_zero() {
        let curve = Curve::line(-30.0, 90.0, 4.0);
        let passed = curve.passed(2.0);
        assert!((curve.magnitude_j(2.0, passed.power_w, passed.energy_j) - 30.0).abs() < 1e-12);
        assert!((passed.power_w - 30.0).abs() < 1e-12 && passed.energy_j.abs() < 1e-12);
        // Two triangles of a height of 30 W: twice 30² / 3.
        assert!((passed.square_w2s - 600.0).abs() < 1e-9);
        assert_eq!(curve.passed(4.0).power_w, 90.0);
    }

    #[test]
    fn a_lag_through_zero_knows_when() {
        let curve = Curve { start_w: 50.0, target_w: -50.0, lag_s: 1.0, line_s: 0.0 };
        let zero_s = curve.zero_s().expect("it passes zero");
        assert!((zero_s - core::f64::consts::LN_2).abs() < 1e-12);
        assert!(curve.passed(zero_s).power_w.abs() < 1e-12);
        assert_eq!(Curve { target_w: 10.0, ..curve }.zero_s(), None);
    }
}
