//! The governor of a diesel engine and the engine behind it: DEGOV1.
//!
//! u = R (reference − throttle) − (ω − 1) goes through the control box (1 + T3 s)/(1 + T1 s + T1 T2 s²) and the actuator
//! K (1 + T4 s)/(s (1 + T5 s)(1 + T6 s)), whose output, the throttle, stays within its limits; the engine follows it after
//! its dead time. Droop comes from the throttle, so that in rest ω = 1 − R (throttle − reference).
//!
//! # Source
//! The block diagram of DEGOV1 as power system programs have it, with the numbers of CONTROL.md section 3: T1 0.01, T2 0.02,
//! T3 0.2, T4 0.25, T5 0.009, T6 0.0384 s, K 0.8, throttle −0.05 to 1.05, dead time 24 ms. The throttle is taken for a power
//! and not for a torque. With K 0.8 a step of a quarter of the rating costs 5.9 Hz and is over after some 6 s; with K 10 it costs
//! 1.9 Hz and some 2 s.

use alloc::collections::VecDeque;

use r_ems_engine::Span;

use super::super::{SpecError, within};

/// Shortest and longest time constant, in s: the step of an island must see it.
const TIME_CONSTANTS_S: (f64, f64) = (0.004, 10.0);
/// Shortest and longest dead time of the engine, in s. One step at least: so the engine's power is known a step ahead.
const DEAD_TIME_S: (f64, f64) = (0.001, 0.2);

/// Numbers of a governor; times in s.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GovernorSpec {
    /// First time constant of the control box.
    pub t1_s: f64,
    /// Second time constant of the control box.
    pub t2_s: f64,
    /// Lead of the control box.
    pub t3_s: f64,
    /// Lead of the actuator.
    pub t4_s: f64,
    /// First lag of the actuator.
    pub t5_s: f64,
    /// Second lag of the actuator.
    pub t6_s: f64,
    /// Gain of the actuator, per s.
    pub gain: f64,
    /// Least and most throttle, as shares of the rating.
    pub throttle: (f64, f64),
    /// Dead time of the engine.
    pub dead_time: Span,
}

impl Default for GovernorSpec {
    fn default() -> Self {
        Self {
            t1_s: 0.01,
            t2_s: 0.02,
            t3_s: 0.2,
            t4_s: 0.25,
            t5_s: 0.009,
            t6_s: 0.0384,
            gain: 0.8,
            throttle: (-0.05, 1.05),
            dead_time: Span::from_millis(24),
        }
    }
}

impl GovernorSpec {
    /// The same numbers, if every one of them is allowed.
    ///
    /// # Errors
    /// [`SpecError`] names the first that is not.
    pub fn checked(self) -> Result<Self, SpecError> {
        let (least_s, most_s) = TIME_CONSTANTS_S;
        for (name, time_s) in [("t1", self.t1_s), ("t2", self.t2_s), ("t5", self.t5_s), ("t6", self.t6_s)] {
            within(name, time_s, least_s, most_s)?;
        }
        within("t3", self.t3_s, 0.0, most_s)?;
        within("t4", self.t4_s, 0.0, most_s)?;
        within("gain", self.gain, 0.01, 1_000.0)?;
        within("throttle_min", self.throttle.0, -1.0, 0.0)?;
        within("throttle_max", self.throttle.1, 0.1, 2.0)?;
        within("dead_time", self.dead_time.as_secs_f64(), DEAD_TIME_S.0, DEAD_TIME_S.1)?;
        Ok(self)
    }
}

/// What a governor is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Share of the nominal speed by which it falls at full throttle.
    pub(super) droop: f64,
    /// Throttle at nominal speed, as a share of the rating.
    pub(super) reference: f64,
}

/// What moves inside: the control box (two), the actuator (two), the throttle.
type State = [f64; 5];

/// A governor and its engine.
#[derive(Clone, Debug)]
pub(super) struct Governor {
    spec: GovernorSpec,
    state: State,
    /// The throttle at the last whole steps, from one dead time ago on.
    past: VecDeque<f64>,
}

impl Governor {
    pub(super) fn new(spec: GovernorSpec) -> Self {
        Self { spec, state: State::default(), past: VecDeque::new() }
    }

    /// Begins at rest with an engine that gives `share` of its rating; islands step by `step`.
    pub(super) fn settle(&mut self, share: f64, step: Span) {
        let throttle = share.clamp(self.spec.throttle.0, self.spec.throttle.1);
        self.state = [0.0, 0.0, 0.0, 0.0, throttle];
        let step = step.as_nanos();
        let steps = self.spec.dead_time.as_nanos().div_ceil(step).clamp(1, 4_096);
        self.past.clear();
        self.past.extend((0..=steps).map(|_| throttle));
    }

    /// What the engine gives, as a share of its rating, a share of a step after the last whole one.
    pub(super) fn engine(&self, share_of_step: f64) -> f64 {
        let (first, second) = (self.past.front(), self.past.get(1));
        let (first, second) = (first.copied().unwrap_or(0.0), second.copied().unwrap_or(0.0));
        first + (second - first) * share_of_step
    }

    /// Remembers the throttle at a whole step.
    pub(super) fn remember(&mut self) {
        self.past.push_back(self.state[4]);
        self.past.pop_front();
    }

    /// Goes on by `span_s`, in which the speed went from one value to the other: a step of the classical Runge-Kutta rule.
    pub(super) fn advance(&mut self, span_s: f64, (first, last): (f64, f64), wish: Wish) {
        let start = self.state;
        let mean = 0.5 * (first + last);
        let moved = |slope: &State, by_s: f64| {
            let mut state = start;
            for (value, slope) in state.iter_mut().zip(slope) {
                *value += by_s * slope;
            }
            state
        };
        let slopes = {
            let one = self.slope(&start, first, wish);
            let two = self.slope(&moved(&one, 0.5 * span_s), mean, wish);
            let three = self.slope(&moved(&two, 0.5 * span_s), mean, wish);
            let four = self.slope(&moved(&three, span_s), last, wish);
            [one, two, three, four]
        };
        for (place, value) in self.state.iter_mut().enumerate() {
            let [one, two, three, four] = slopes.map(|slope| slope[place]);
            *value += span_s / 6.0 * (one + 2.0 * (two + three) + four);
        }
        self.state[4] = self.state[4].clamp(self.spec.throttle.0, self.spec.throttle.1);
    }

    fn slope(&self, state: &State, speed: f64, wish: Wish) -> State {
        let GovernorSpec { t1_s, t2_s, t3_s, t4_s, t5_s, t6_s, gain, .. } = self.spec;
        let [box_value, box_slope, led, lagged, throttle] = *state;
        // Within a step too: what is fed back is what the throttle can be, and so nothing grows without bound.
        let throttle = throttle.clamp(self.spec.throttle.0, self.spec.throttle.1);
        let error = wish.droop * (wish.reference - throttle) - (speed - 1.0);
        let box_change = (error - box_value - t1_s * box_slope) / (t1_s * t2_s);
        let box_output = box_value + t3_s * box_slope;
        let led_slope = (box_output - led) / t5_s;
        let lagged_slope = (led + t4_s * led_slope - lagged) / t6_s;
        [box_slope, box_change, led_slope, lagged_slope, gain * lagged]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(share: f64) -> Governor {
        let mut governor = Governor::new(GovernorSpec::default());
        governor.settle(share, Span::from_millis(1));
        governor
    }

    #[test]
    fn at_rest_nothing_moves_and_the_engine_follows_the_throttle_after_its_dead_time() {
        let mut governor = settled(0.4);
        let wish = Wish { droop: 0.05, reference: 0.4 };
        governor.advance(1e-3, (1.0, 1.0), wish);
        assert_eq!(governor.state[4], 0.4);
        governor.state[4] = 0.9;
        for step in 1..=24 {
            assert_eq!(governor.engine(0.5), 0.4, "in step {step}");
            governor.remember();
        }
        assert!((governor.engine(0.5) - 0.65).abs() < 1e-12, "half of the way in the next step");
        governor.remember();
        assert_eq!(governor.engine(0.0), 0.9);
    }

    #[test]
    fn a_lower_speed_opens_the_throttle_by_the_droop_in_the_end() {
        let mut governor = settled(0.4);
        let wish = Wish { droop: 0.05, reference: 0.4 };
        for _ in 0..300_000 {
            governor.advance(1e-3, (0.99, 0.99), wish);
        }
        assert!((governor.state[4] - 0.6).abs() < 1e-5, "{}", governor.state[4]);
    }

    #[test]
    fn numbers_that_hunt_from_limit_to_limit_stay_numbers() {
        let fast = GovernorSpec {
            t1_s: 0.004,
            t2_s: 0.004,
            t3_s: 10.0,
            t4_s: 0.001,
            t5_s: 0.004,
            t6_s: 0.004,
            ..Default::default()
        };
        let mut governor = Governor::new(GovernorSpec { gain: 1_000.0, ..fast });
        governor.settle(0.0, Span::from_millis(1));
        for _ in 0..20_000 {
            governor.advance(1e-3, (0.999, 0.999), Wish { droop: 0.5, reference: 0.0 });
        }
        assert!(governor.state.iter().all(|value| value.abs() < 1e9), "{:?}", governor.state);
    }

    #[test]
    fn the_throttle_stays_within_its_limits() {
        let mut governor = settled(1.0);
        for _ in 0..20_000 {
            governor.advance(1e-3, (0.8, 0.8), Wish { droop: 0.05, reference: 1.0 });
        }
        assert_eq!(governor.state[4], 1.05);
    }
}
