//! The open-loop response of a law: how fast its wish follows what it measures, from sample to sample.
//!
//! # Source
//! IEEE 1547-2018 gives the time in which 90 % of a step is reached; a first-order [`Lag`] with τ = T/2.303 does that, and so
//! does EPRI's `OpenDER`.

use serde::{Deserialize, Serialize};

use super::Wiring;
use super::lag::{Lag, TIME_CONSTANTS_TO_90_PERCENT};
use crate::carry::Carry;
use crate::time::{LocalTime, Span};

/// A lag that knows when it was stepped last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Response {
    time_constant_s: f64,
    /// When the last sample was measured, and where it stands since.
    state: Option<(LocalTime, Lag)>,
}

impl Response {
    /// A response that reaches 90 % of a step in `time`; zero: at once. Notes one that is longer than `most`.
    pub fn build(time: Span, most: Span, wiring: &mut Wiring<'_>) -> Self {
        wiring.require("response", time <= most, time, &alloc::format!("at most {most}"));
        Self { time_constant_s: time.as_secs_f64() / TIME_CONSTANTS_TO_90_PERCENT, state: None }
    }

    /// Follows `wished` from what it was at the measurement before; the first one follows from `present`.
    pub fn follow(&mut self, measured_at: LocalTime, wished: f64, present: f64) -> f64 {
        let (since, mut lag) = self.state.unwrap_or((measured_at, Lag::at(present)));
        let value = lag.step(wished, measured_at.since(since), self.time_constant_s);
        self.state = Some((measured_at, lag));
        value
    }

    /// Begins anew from whatever is present then.
    pub const fn forget(&mut self) {
        self.state = None;
    }

    /// Passes where it stands.
    pub fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.timers(|carry| {
            carry.option(&mut self.state, |carry, (at, lag)| {
                carry.instant(at);
                lag.carry(carry);
            });
        });
    }
}
