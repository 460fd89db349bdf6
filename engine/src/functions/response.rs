//! The open-loop response of a law: how fast its wish follows what it measures.
//!
//! # Source
//! IEEE 1547-2018 gives the time in which 90 % of a step is reached; a first-order lag with τ = T/2.303 does that, and so does
//! EPRI's OpenDER. It is stepped exactly over the time between two measurements, so that it does not depend on the scan.

use serde::{Deserialize, Serialize};

use crate::carry::Carry;
use crate::math;
use crate::time::{LocalTime, Span};

/// So many time constants are 90 % of a step: ln 10.
const TIME_CONSTANTS: f64 = 2.302_585_092_994_046;

/// A first-order lag.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// 90 % of a step are reached in this time; zero: at once.
    time: Span,
    state: Option<(LocalTime, f64)>,
}

impl Response {
    /// A response that reaches 90 % of a step in `time`.
    pub const fn new(time: Span) -> Self {
        Self { time, state: None }
    }

    /// Follows `wished` from what it was at the measurement before; the first one follows from `present`.
    pub fn follow(&mut self, measured_at: LocalTime, wished: f64, present: f64) -> f64 {
        let (since, before) = self.state.unwrap_or((measured_at, present));
        let left = if self.time.is_zero() {
            0.0
        } else {
            let passed = measured_at.since(since).as_secs_f64() / self.time.as_secs_f64();
            math::exp(-passed * TIME_CONSTANTS)
        };
        let value = wished + (before - wished) * left;
        self.state = Some((measured_at, value));
        value
    }

    /// Begins anew from whatever is present then.
    pub const fn forget(&mut self) {
        self.state = None;
    }

    /// Passes where it stands.
    pub fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.timers(|carry| {
            carry.option(&mut self.state, |carry, (at, value)| {
                carry.instant(at);
                carry.real(value);
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn ninety_percent_of_a_step_are_reached_in_its_time_however_often_it_is_looked_at() {
        for step in [10, 100, 1_000, 5_000] {
            let mut response = Response::new(Span::from_secs(5));
            assert_eq!(response.follow(at(0), 0.0, 0.0), 0.0);
            let mut value = 0.0;
            for millis in (step..=5_000).step_by(step as usize) {
                value = response.follow(at(millis), 100.0, 0.0);
            }
            assert!((value - 90.0).abs() < 1e-9, "{value} in steps of {step} ms");
        }
    }

    #[test]
    fn without_a_time_it_follows_at_once_and_a_new_one_begins_where_things_are() {
        let mut at_once = Response::new(Span::ZERO);
        assert_eq!(at_once.follow(at(0), 7.0, 1.0), 7.0);
        let mut slow = Response::new(Span::from_secs(5));
        assert_eq!(slow.follow(at(0), 7.0, 1.0), 1.0);
    }
}
