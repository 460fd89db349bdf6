//! A genset: a synchronous machine on a diesel engine, which feeds a grid or holds an island.
//!
//! It is cranked, warms up, waits for its synchronizer and is then on the bus; it cools down before it stops. On a grid its power
//! goes straight to its set-point. On an island its governor and the swing equation say what it gives, and its set-point is
//! where its droop line passes nominal frequency. Its protection opens the breaker of one that gives too much or takes power for
//! too long.

mod governor;
mod spec;

use r_ems_engine::rng::Stream;
use r_ems_engine::units::Watts;
use r_ems_engine::{Span, Time};

use self::governor::{Governor, Wish};
use super::battery::Holds;
use super::lasting::Lasting;
use super::swing::{Former, ISLAND_STEP};
use super::{BusMode, JOULES_PER_WATT_HOUR, Quantity, SpecError, WATT_HOURS_PER_JOULE};
use crate::sources::{Line, Segment, instant_after, seconds};

pub use self::governor::GovernorSpec;
pub use self::spec::{GensetSpec, GensetState, InitialGenset};

/// Powers closer together than this share of the rating are one.
const SAME_POWER: f64 = 1e-9;

/// A genset.
#[derive(Clone, Debug)]
pub struct Genset {
    spec: GensetSpec,
    stream: Stream,
    state: GensetState,
    mode: BusMode,
    /// Whether it was started and not stopped since: then it holds its set-point, else 0 W.
    is_called: bool,
    /// Whether a fault keeps it from being reset.
    is_held: bool,
    set_point_w: f64,
    /// Attempts that are still to fail before chance says.
    to_fail: u32,
    governor: Governor,
    /// The step of islands.
    step: Span,
    /// What it gives to the bus.
    power: Line,
    power_w: f64,
    /// What drives its mass on an island: the engine less damping.
    shaft: Line,
    overloaded: Lasting,
    reversed: Lasting,
    trips: u32,
    starts: u32,
    running_s: f64,
    fuel_l: f64,
    flow: GensetFlow,
}

/// What a genset did in one integrated segment; powers are positive into the bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct GensetFlow {
    /// Power at the segment's start, in W.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// What drove its mass at the segment's start, in W; on a grid that is its power.
    pub shaft_start_w: f64,
    /// What drove its mass at the segment's end, in W.
    pub shaft_end_w: f64,
    /// The speed of its mass at both ends, as multiples of the nominal one, where it is on an island; else the same number.
    pub speeds: (f64, f64),
    /// Energy given to the bus, in Wh.
    pub generated_wh: f64,
    /// Energy taken from the bus, in Wh.
    pub absorbed_wh: f64,
}

impl Genset {
    /// A genset; its starts fail as `stream` says where `spec` lets chance decide.
    ///
    /// # Errors
    /// [`SpecError`] names the first parameter that is not allowed.
    pub fn new(spec: GensetSpec, stream: Stream) -> Result<Self, SpecError> {
        let spec = spec.checked()?;
        let set_point_w = spec.set_point.watts();
        let (state, power_w) = match spec.initial {
            InitialGenset::Off => (GensetState::Off, 0.0),
            InitialGenset::Running => (GensetState::Running, set_point_w),
        };
        let flat = Line::new(Time::ZERO, Segment::flat(power_w, Time::MAX));
        Ok(Self {
            spec,
            stream,
            state,
            mode: BusMode::Grid,
            is_called: state == GensetState::Running,
            set_point_w,
            to_fail: spec.fails_first,
            governor: Governor::new(spec.governor),
            step: ISLAND_STEP,
            power: flat,
            power_w,
            shaft: flat,
            overloaded: Lasting::new(spec.overload_time),
            reversed: Lasting::new(spec.reverse_time),
            trips: 0,
            is_held: false,
            starts: 0,
            running_s: 0.0,
            fuel_l: 0.0,
            flow: GensetFlow::default(),
        })
    }

    /// What the genset is.
    pub fn spec(&self) -> &GensetSpec {
        &self.spec
    }

    /// How it stands.
    pub fn state(&self) -> GensetState {
        self.state
    }

    /// What the last segment moved.
    #[inline]
    pub fn flow(&self) -> &GensetFlow {
        &self.flow
    }

    /// How often its engine was started, or tried to, in hours how long it ran, and how much fuel that took, in l.
    #[inline]
    pub(crate) fn wear(&self) -> (u32, f64, f64) {
        (self.starts, self.running_s / JOULES_PER_WATT_HOUR, self.fuel_l)
    }

    /// Lets a test change what the last segment moved.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self) -> &mut GensetFlow {
        &mut self.flow
    }

    #[inline]
    pub(super) fn power_w(&self) -> f64 {
        self.power_w
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Power => Some(self.power_w + 0.0),
            Quantity::SetPoint => Some(if self.is_called { self.set_point_w } else { 0.0 }),
            Quantity::State => Some(self.state.number()),
            Quantity::Trips => Some(f64::from(self.trips)),
            Quantity::Fuel => Some(self.fuel_l),
            Quantity::RunningHours => Some(self.running_s / JOULES_PER_WATT_HOUR),
            Quantity::Starts => Some(f64::from(self.starts)),
            Quantity::StateOfCharge
            | Quantity::ReportedStateOfCharge
            | Quantity::StoredEnergy
            | Quantity::AvailablePower
            | Quantity::Curtailed
            | Quantity::ChargeLimit
            | Quantity::DischargeLimit
            | Quantity::Demand
            | Quantity::Mode
            | Quantity::Remote
            | Quantity::Closed
            | Quantity::Waiting
            | Quantity::ReactivePower
            | Quantity::Voltage
            | Quantity::ReactiveSetPoint
            | Quantity::GridVoltage
            | Quantity::GridFrequency
            | Quantity::Signal
            | Quantity::Frequency => None,
        }
    }

    pub(super) fn breakpoint(&self) -> Time {
        self.timer().min(self.power.until())
    }

    /// When its state changes by itself.
    pub(super) fn timer(&self) -> Time {
        self.state.until()
    }

    /// Islands of its bus step by `step`.
    pub(super) fn step_by(&mut self, step: Span) {
        self.step = step;
    }

    /// Receives a set-point.
    pub(super) fn command(&mut self, power: Watts, now: Time) {
        self.set_point_w = power.watts().clamp(0.0, self.spec.rating.watts());
        self.follow(now);
    }

    /// Starts it, unless it is on its way, runs or has failed; one that cools down comes back at once.
    pub(super) fn start(&mut self, now: Time) {
        self.is_called = true;
        match self.state {
            GensetState::Off => {
                self.state = GensetState::Starting { until: now + self.spec.crank, attempt: 1 };
            }
            GensetState::CoolDown { .. } => self.meet(now),
            GensetState::Starting { .. }
            | GensetState::WarmUp { .. }
            | GensetState::Synchronizing { .. }
            | GensetState::Running
            | GensetState::Fault => {}
        }
        self.catch_up(now);
    }

    /// Stops it: its breaker opens at once and the engine cools down. It resets one that has failed.
    pub(super) fn stop(&mut self, now: Time) {
        self.is_called = false;
        match self.state {
            GensetState::Running | GensetState::WarmUp { .. } | GensetState::Synchronizing { .. } => {
                self.state = GensetState::CoolDown { until: now + self.spec.cool_down };
            }
            GensetState::Fault if self.is_held => {}
            GensetState::Starting { .. } | GensetState::Fault => self.state = GensetState::Off,
            GensetState::Off | GensetState::CoolDown { .. } => {}
        }
        self.follow(now);
        self.catch_up(now);
    }

    /// Its protection opens its breaker and stops the engine.
    pub(super) fn trip(&mut self, now: Time) {
        self.trips += 1;
        self.state = GensetState::Fault;
        self.follow(now);
    }

    /// Trips, and cannot be reset before the fault is over.
    pub(super) fn fail(&mut self, now: Time) {
        self.is_held = true;
        self.trip(now);
    }

    /// The fault is over: a stop resets it, and one that it was told meanwhile has.
    pub(super) fn recover(&mut self, now: Time) {
        self.is_held = false;
        if !self.is_called {
            self.stop(now);
        }
    }

    /// Hears what holds the bus from now on.
    pub(super) fn energize(&mut self, mode: BusMode, now: Time) {
        self.mode = mode;
        if mode == BusMode::Dead && matches!(self.state, GensetState::Synchronizing { .. }) {
            self.join(now);
        }
        if mode == BusMode::Island && self.is_on_bus() {
            self.governor.settle(self.power_w / self.spec.rating.watts(), self.step);
        }
        self.overloaded.clear();
        self.reversed.clear();
        self.follow(now);
    }

    /// Does what is due at `now`.
    pub(super) fn pass(&mut self, now: Time) {
        if self.power.until() <= now {
            self.follow(now);
        }
        self.catch_up(now);
    }

    /// Whether it holds an island.
    pub fn is_on_bus(&self) -> bool {
        self.state == GensetState::Running
    }

    /// How it moves the frequency of an island, between two instants given as shares of a step.
    pub(super) fn former(&self, first: f64, last: f64) -> Former {
        let GensetSpec { rating, inertia, damping, voltage_droop, .. } = self.spec;
        let rating_w = rating.watts();
        Former {
            mass_ws: 2.0 * inertia.as_secs_f64() * rating_w,
            damping_w: damping * rating_w,
            drive_w: (rating_w * self.governor.engine(first), rating_w * self.governor.engine(last)),
            stiffness_var: rating_w / voltage_droop.ratio(),
        }
    }

    /// Goes straight from one power to another, driven by another line: what balances an island.
    pub(super) fn go_straight(&mut self, now: Time, until: Time, power_w: (f64, f64), shaft_w: (f64, f64)) {
        let span_s = seconds(now, until);
        let line = |(start_w, end_w): (f64, f64)| {
            Line::new(now, Segment { value: start_w, slope_per_s: (end_w - start_w) / span_s, until })
        };
        (self.power, self.shaft) = (line(power_w), line(shaft_w));
        self.power_w = power_w.0;
    }

    /// Lets the governor see how the speed went in a part of a step, which ends with a whole one or not.
    pub(super) fn govern(&mut self, span_s: f64, speeds: (f64, f64), is_whole: bool) {
        let reference = self.set_point_w / self.spec.rating.watts();
        let wish = Wish { droop: self.spec.droop.ratio(), reference };
        if span_s > 0.0 {
            self.governor.advance(span_s, speeds, wish);
            if is_whole {
                self.governor.remember();
            }
        }
    }

    /// Whether its protection lets it go on with the power that it has now.
    pub(super) fn holds(&mut self, now: Time) -> Holds {
        let share = self.power_w / self.spec.rating.watts();
        let is_over = self.overloaded.look(share > self.spec.overload, now);
        let is_reversed = self.reversed.look(share < -self.spec.reverse, now);
        if is_over || is_reversed { Holds::No } else { Holds::Yes }
    }

    /// Goes on to `to`; `speeds` are those of an island at both ends.
    #[inline]
    pub(super) fn integrate(&mut self, from: Time, to: Time, speeds: Option<(f64, f64)>) {
        let start_w = self.power_w;
        self.power_w = self.power.at(to);
        let span_s = seconds(from, to);
        let energy_wh = 0.5 * (start_w + self.power_w) * span_s * WATT_HOURS_PER_JOULE;
        let given_wh = if energy_wh > 0.0 { energy_wh } else { 0.0 };
        let turns = speeds.filter(|_| self.is_on_bus());
        let (shaft_start_w, shaft_end_w) = match turns {
            Some(_) => (self.shaft.at(from), self.shaft.at(to)),
            None => (start_w, self.power_w),
        };
        self.flow = GensetFlow {
            start_w,
            end_w: self.power_w,
            shaft_start_w,
            shaft_end_w,
            speeds: turns.unwrap_or((1.0, 1.0)),
            generated_wh: given_wh,
            absorbed_wh: given_wh - energy_wh,
        };
        if self.state.burns() {
            let idle_l = self.spec.idle_l_per_h * span_s / JOULES_PER_WATT_HOUR;
            self.fuel_l += idle_l + self.spec.l_per_kwh * given_wh * 1e-3;
            self.running_s += span_s;
        }
    }

    /// Goes where its set-point says on a grid, and stays where it is until its island says more.
    fn follow(&mut self, now: Time) {
        if !self.is_on_bus() || self.mode == BusMode::Dead {
            self.power_w = 0.0;
            self.power = Line::new(now, Segment::flat(0.0, Time::MAX));
            return;
        }
        let mut gap_w = self.set_point_w - self.power_w;
        if gap_w.abs() <= SAME_POWER * self.spec.rating.watts() && self.mode == BusMode::Grid {
            // A ramp ends where it should, whatever its rounding.
            (self.power_w, gap_w) = (self.set_point_w, 0.0);
        }
        let ramp_s = gap_w.abs() / self.spec.ramp.watts_per_second();
        let until = instant_after(now, ramp_s);
        let is_there = gap_w.abs() <= 0.0 || self.mode == BusMode::Island;
        let segment = if is_there {
            Segment::flat(self.power_w, Time::MAX)
        } else {
            // The line ends with the first nanosecond at which it has arrived.
            Segment { value: self.power_w, slope_per_s: gap_w / seconds(now, until), until }
        };
        self.power = Line::new(now, segment);
    }

    /// Passes through the states whose time is over.
    fn catch_up(&mut self, now: Time) {
        while self.state.until() <= now {
            match self.state {
                GensetState::Starting { attempt, .. } => self.end_attempt(attempt, now),
                GensetState::WarmUp { .. } => self.meet(now),
                GensetState::Synchronizing { .. } => self.join(now),
                GensetState::CoolDown { .. } => self.state = GensetState::Off,
                GensetState::Off | GensetState::Running | GensetState::Fault => return,
            }
        }
    }

    /// Whether the engine has started.
    fn end_attempt(&mut self, attempt: u32, now: Time) {
        let (some, of) = self.spec.fails;
        let fails = self.to_fail > 0 || (some > 0 && self.stream.chance(some, of));
        self.to_fail = self.to_fail.saturating_sub(1);
        self.state = if !fails {
            self.starts += 1;
            GensetState::WarmUp { until: now + self.spec.warm_up }
        } else if attempt < self.spec.attempts {
            GensetState::Starting { until: now + self.spec.crank, attempt: attempt + 1 }
        } else {
            GensetState::Fault
        };
    }

    /// Waits for its synchronizer, or closes on a dead bus.
    fn meet(&mut self, now: Time) {
        if self.mode == BusMode::Dead {
            self.join(now);
        } else {
            self.state = GensetState::Synchronizing { until: now + self.spec.synchronizing };
        }
    }

    /// Closes its breaker without any power.
    fn join(&mut self, now: Time) {
        self.state = GensetState::Running;
        self.power_w = 0.0;
        self.governor.settle(0.0, self.step);
        self.follow(now);
    }
}
