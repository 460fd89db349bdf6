//! A first-order lag, stepped exactly over whatever time lies between two samples.
//!
//! Between two samples the input is taken to move in a straight line, which is how a frequency or a voltage moves; for that
//! the step is the solution of the differential equation and no approximation, so that ten short steps and a long one end at
//! the same value. A law must never count scans in its place: a scan that comes late, or a meter that is asked less often,
//! would change its time constant.

use serde::{Deserialize, Serialize};

use crate::carry::Carry;
use crate::math;
use crate::time::Span;

/// In this many time constants a step is answered to 90 %: the natural logarithm of ten.
///
/// # Source
/// IEEE 1547-2018, "open loop response time": to 90 % of the final change. EPRI's `OpenDER` rounds it to 2.3.
pub const TIME_CONSTANTS_TO_90_PERCENT: f64 = core::f64::consts::LN_10;

/// The state of a first-order lag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lag {
    output: f64,
    input: f64,
}

impl Lag {
    /// A lag at rest at `value`.
    pub const fn at(value: f64) -> Self {
        Self { output: value, input: value }
    }

    /// What comes out.
    pub const fn output(&self) -> f64 {
        self.output
    }

    /// Lets `elapsed` pass while the input moves to `input`; `time_constant_s` in seconds, 0: there is no lag.
    pub fn step(&mut self, input: f64, elapsed: Span, time_constant_s: f64) -> f64 {
        let from = core::mem::replace(&mut self.input, input);
        let elapsed_s = elapsed.as_secs_f64();
        if time_constant_s <= 0.0 {
            self.output = input;
        } else if elapsed_s > 0.0 {
            let time_constants = elapsed_s / time_constant_s;
            let kept = math::exp(-time_constants);
            self.output = kept * (self.output - from) + input - (input - from) * behind(time_constants, kept);
        }
        self.output
    }

    /// The same lag of an input that is `by` higher.
    #[must_use]
    pub const fn shifted(self, by: f64) -> Self {
        Self { output: self.output + by, input: self.input + by }
    }

    /// Passes it to another host.
    pub fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.bounded(&mut self.output);
        carry.bounded(&mut self.input);
    }
}

/// How far, as a part of its way, a lag that follows a straight line from rest is behind it in the end: (1 − e⁻ˣ) / x.
fn behind(time_constants: f64, kept: f64) -> f64 {
    // The difference loses digits where the two terms are almost equal.
    if time_constants < 1e-5 { 1.0 - 0.5 * time_constants } else { (1.0 - kept) / time_constants }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_step_is_answered_to_ninety_percent_in_the_response_time() {
        let response_s = 5.0;
        let mut lag = Lag { output: 0.0, input: 1.0 };
        let output = lag.step(1.0, Span::from_secs(5), response_s / TIME_CONSTANTS_TO_90_PERCENT);
        assert!((output - 0.9).abs() < 1e-12, "{output}");
    }

    #[test]
    fn a_straight_line_is_followed_a_time_constant_behind() {
        let mut lag = Lag::at(0.0);
        let output = lag.step(100.0, Span::from_secs(100), 2.0);
        assert!((output - 98.0).abs() < 1e-12, "{output}");
    }

    #[test]
    fn no_time_changes_nothing_and_no_lag_follows_at_once() {
        let mut lag = Lag::at(3.0);
        assert_eq!(lag.step(7.0, Span::ZERO, 2.0), 3.0);
        assert_eq!(lag.step(8.0, Span::ZERO, 0.0), 8.0);
    }

    proptest! {
        #[test]
        fn many_short_steps_along_a_line_end_where_a_long_one_does(
            start in -1e3..1e3_f64,
            to in -1e3..1e3_f64,
            time_constant_s in 1e-3..1e3_f64,
            parts in 1..40_u32,
            part in 1_000..10_000_000_000_u64,
        ) {
            let (mut whole, mut parted) = (Lag::at(start), Lag::at(start));
            let expected = whole.step(to, Span::from_nanos(u64::from(parts) * part), time_constant_s);
            for done in 1..=parts {
                let input = start + (to - start) * f64::from(done) / f64::from(parts);
                parted.step(input, Span::from_nanos(part), time_constant_s);
            }
            prop_assert!((parted.output() - expected).abs() < 1e-7, "{} and {}", parted.output(), expected);
            prop_assert!(expected >= math::at_most(start, to) - 1e-9 && expected <= math::at_least(start, to) + 1e-9);
        }
    }
}
