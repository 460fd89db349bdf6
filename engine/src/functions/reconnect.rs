//! Back to the grid: asks the breaker at the point of common coupling to close when the grid behind it has been right for a
//! while.
//!
//! The breaker's own synchro-check closes it, when both sides fit; this asks, waits up to `time_out`, and asks again after
//! `retry_after`. A breaker that opens is told to stay open at once: what has opened it, its protection or a person, is not
//! overruled but by a grid that has been right for `hold`.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::return_to_service::{Bands, HOLD, RETURN_F, RETURN_V};
use super::side::{nominal, require_nominal};
use super::{Function, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, PerUnit, Watts};

/// What a site file says about the way back to the grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReconnectSpec {
    /// The breaker, which measures voltage and frequency behind it.
    pub breaker: String,
    /// The nominal frequency; 50 Hz.
    #[serde(default = "nominal")]
    pub nominal: Hertz,
    /// The lowest voltage to come back at; 0.917 pu.
    #[serde(default = "voltage_min")]
    pub voltage_min: PerUnit,
    /// The highest one; 1.05 pu.
    #[serde(default = "voltage_max")]
    pub voltage_max: PerUnit,
    /// The lowest frequency to come back at; 59.5/60 of the nominal one.
    #[serde(default)]
    pub frequency_min: Option<Hertz>,
    /// The highest one; 60.1/60 of the nominal one.
    #[serde(default)]
    pub frequency_max: Option<Hertz>,
    /// How long both must have been so; 5 min.
    #[serde(default = "hold")]
    pub hold: Span,
    /// How long the breaker may take to find both sides in phase; 2 min.
    #[serde(default = "time_out")]
    pub time_out: Span,
    /// How long it is let be after that; 1 min.
    #[serde(default = "retry_after")]
    pub retry_after: Span,
}

fn voltage_min() -> PerUnit {
    PerUnit::of(RETURN_V.0)
}

fn voltage_max() -> PerUnit {
    PerUnit::of(RETURN_V.1)
}

const fn hold() -> Span {
    HOLD
}

const fn time_out() -> Span {
    Span::from_mins(2)
}

const fn retry_after() -> Span {
    Span::from_mins(1)
}

/// Closes the breaker to a grid that is right again.
///
/// # Units     voltages: multiples of the nominal one; frequencies: Hz
/// # Shape     one target for the breaker: its rating, or 0 W
/// # Errors    `Problem::NotMeasured` if the breaker measures no voltage or no frequency; `Problem::OutOfRange` if a band is
/// empty or nominal is no frequency of a grid
/// # Source    IEEE 1547-2018 table 4, as in [`super::return_to_service`]; the time-out and the pause are ours
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reconnect {
    breaker: [GroupIndex; 1],
    bands: Bands,
    hold: Span,
    time_out: Span,
    retry_after: Span,
    /// Since when the grid has been right.
    right_since: Option<LocalTime>,
    /// Since when the breaker has been asked, or let be.
    state: State,
    since: Option<LocalTime>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// It is not asked.
    #[default]
    Idle,
    /// It is asked to close.
    Asking,
    /// It has not closed in time.
    LetBe,
}

impl Function for Reconnect {
    type Spec = ReconnectSpec;

    fn build(spec: &ReconnectSpec, wiring: &mut Wiring<'_>) -> Self {
        require_nominal(spec.nominal, wiring);
        let frequency = |stated: Option<Hertz>, usual: f64| stated.unwrap_or(spec.nominal * usual);
        let bands = Bands {
            voltage: (spec.voltage_min, spec.voltage_max),
            frequency: (frequency(spec.frequency_min, RETURN_F.0), frequency(spec.frequency_max, RETURN_F.1)),
        };
        let below = alloc::format!("less than voltage_max of {}", bands.voltage.1);
        wiring.require("voltage_min", bands.voltage.0 < bands.voltage.1, bands.voltage.0, &below);
        let below = alloc::format!("less than frequency_max of {}", bands.frequency.1);
        wiring.require("frequency_min", bands.frequency.0 < bands.frequency.1, bands.frequency.0, &below);
        Self {
            breaker: [wiring.breaker("breaker", &spec.breaker)],
            bands,
            hold: spec.hold,
            time_out: spec.time_out,
            retry_after: spec.retry_after,
            right_since: None,
            state: State::Idle,
            since: None,
        }
    }

    fn rank(&self) -> Rank {
        Rank::Island
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.breaker
    }

    fn begin_anew(&mut self) {
        self.right_since = None;
        self.enter(State::Idle);
    }

    fn forget(&mut self) {
        // Nobody has seen the grid meanwhile.
        self.begin_anew();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| {
            carry.option(&mut self.right_since, Carry::instant);
            carry.choice(&mut self.state, &[State::Idle, State::Asking, State::LetBe]);
            carry.option(&mut self.since, Carry::instant);
        });
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [breaker] = self.breaker;
        if view.member_is_local(breaker, 0) {
            // Who stands before it closes it; after that the grid must have been right for long enough again.
            return self.begin_anew();
        }
        // Who cannot be seen stays as it was told.
        let Some(is_closed) = view.member_closed(breaker, 0) else { return };
        let power = if self.may_be_closed(is_closed, view) { view.rating(breaker) } else { Watts::ZERO };
        wishes.target(breaker, power);
    }
}

impl Reconnect {
    fn may_be_closed(&mut self, is_closed: bool, view: &View<'_>) -> bool {
        let ([breaker], now) = (self.breaker, view.now());
        if is_closed {
            self.begin_anew();
            return true;
        }
        let grid = view.member_grid(breaker, 0);
        if !grid.is_some_and(|(voltage, frequency)| self.bands.contain(voltage, frequency)) {
            self.begin_anew();
            return false;
        }
        let right_for = now.since(*self.right_since.get_or_insert(now));
        let lasted = self.since.map_or(Span::ZERO, |since| now.since(since));
        let next = match self.state {
            State::Idle => (right_for >= self.hold).then_some(State::Asking),
            State::Asking => (lasted >= self.time_out).then_some(State::LetBe),
            State::LetBe => (lasted >= self.retry_after).then_some(State::Asking),
        };
        if let Some(next) = next {
            self.enter(next);
            self.since = Some(now);
        }
        self.state == State::Asking
    }

    const fn enter(&mut self, state: State) {
        self.state = state;
        self.since = None;
    }
}
