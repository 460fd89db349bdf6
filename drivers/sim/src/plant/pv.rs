//! A photovoltaic plant: makes what the sun gives, up to its rating and to a limit that the EMS may set.
//!
//! A limit takes effect fast downward, as a straight ramp over `lag` from what is made to what is allowed, and is released
//! slowly, at `release`: inverters obey at once and come back carefully. Both are straight lines, so that the output, the
//! lower of available power and limit, stays one, with exact crossings. A plant that expects heartbeats releases its limit when
//! it has heard none for its time-out.
//!
//! While the plant is curtailed no device can know what it could make: whoever reads the available power reads
//! [`Quantity::Curtailed`] with it. The plant's truth knows it, and the summary's curtailed energy comes from it.

use r_ems_engine::points::DeviceMode;
use r_ems_engine::units::{Vars, Watts, WattsPerSecond};
use r_ems_engine::{Span, Time};

use super::component::flag;
use super::{JOULES_PER_WATT_HOUR, Quantity, ReactiveOutput, SpecError, Supply, positive};
use crate::sources::{Line, Segment, Source, seconds};

/// What a photovoltaic plant is.
#[derive(Clone, Copy, Debug)]
pub struct PvSpec {
    /// The most that the inverters make: more sun than that is clipped.
    pub rating: Watts,
    /// How long a lower limit takes to be obeyed.
    pub lag: Span,
    /// How fast a higher limit is followed.
    pub release: WattsPerSecond,
}

impl PvSpec {
    /// A plant of `rating` that obeys within 1 s and comes back by a tenth of its rating per second (ours).
    pub fn new(rating: Watts) -> Self {
        let release = WattsPerSecond::of(rating.watts() / 10.0);
        Self { rating, lag: Span::from_secs(1), release }
    }
}

/// Generation from the sun.
#[derive(Clone, Debug)]
pub struct Pv {
    spec: PvSpec,
    source: Source,
    raw: Line,
    available: Line,
    limit: Line,
    output: Line,
    set_point_w: f64,
    /// Whether that is a command.
    is_commanded: bool,
    /// How long it waits for a heartbeat; none: it does not.
    heartbeat: Option<Span>,
    /// When it has heard none for too long.
    unheard: Option<Time>,
    supply: Supply,
    /// Whether a fault keeps it from making anything.
    has_tripped: bool,
    power_w: f64,
    available_w: f64,
    flow: PvFlow,
    reactive: ReactiveOutput,
}

/// What a photovoltaic plant did in one integrated segment.
#[derive(Clone, Copy, Debug, Default)]
pub struct PvFlow {
    /// Power at the segment's start, in W.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// Available power at the segment's start, in W.
    pub available_start_w: f64,
    /// Available power at the segment's end, in W.
    pub available_end_w: f64,
    /// Energy made, in Wh.
    pub made_wh: f64,
    /// Energy that could have been made, in Wh; the rest was curtailed, or lost to a dead bus.
    pub available_wh: f64,
}

impl Pv {
    /// A plant under the available power of `source` (W).
    ///
    /// # Errors
    /// [`SpecError::NotPositive`] if rating or release is not above zero.
    pub fn new(spec: PvSpec, source: Source) -> Result<Self, SpecError> {
        let rating_w = positive("rating", spec.rating.watts())?;
        positive("release", spec.release.watts_per_second())?;
        Ok(Self {
            spec,
            source,
            raw: Line::ended(),
            available: Line::ended(),
            limit: Line::new(Time::ZERO, Segment::flat(rating_w, Time::MAX)),
            output: Line::ended(),
            set_point_w: rating_w,
            is_commanded: false,
            heartbeat: None,
            unheard: None,
            supply: Supply::Live,
            has_tripped: false,
            power_w: 0.0,
            available_w: 0.0,
            flow: PvFlow::default(),
            reactive: ReactiveOutput::default(),
        })
    }

    /// The same plant behind an inverter that takes reactive set-points.
    #[must_use]
    pub fn with_reactive(self, reactive: ReactiveOutput) -> Self {
        Self { reactive, ..self }
    }

    /// Whether it takes reactive set-points.
    pub(super) const fn takes_reactive(&self) -> bool {
        self.reactive.is_there()
    }

    /// Receives a reactive set-point.
    pub(super) fn command_reactive(&mut self, power: Vars) {
        self.reactive.command(power);
    }

    /// The reactive power that goes with so much active power, in var.
    #[inline]
    pub(super) fn reactive_of(&self, power_w: f64) -> f64 {
        match self.supply {
            Supply::Live if !self.has_tripped => self.reactive.beside(power_w),
            Supply::Live | Supply::Dead => 0.0,
        }
    }

    /// What the plant is.
    pub fn spec(&self) -> &PvSpec {
        &self.spec
    }

    /// What could be made at the present instant, in W.
    pub fn available_w(&self) -> f64 {
        self.available_w
    }

    /// The last limit that was set, in W.
    pub fn set_point_w(&self) -> f64 {
        self.set_point_w
    }

    /// Whether that was commanded, and still counts.
    pub fn is_commanded(&self) -> bool {
        self.is_commanded
    }

    /// How long the plant waits for a heartbeat before it releases its limit; none: it does not.
    pub fn heartbeat(&self) -> Option<Span> {
        self.heartbeat
    }

    /// Whether less is made than could be.
    pub fn is_curtailed(&self) -> bool {
        self.power_w < self.available_w
    }

    /// Lets a test change what the last segment moved.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self) -> &mut PvFlow {
        &mut self.flow
    }

    /// What the last segment moved.
    #[inline]
    pub fn flow(&self) -> &PvFlow {
        &self.flow
    }

    #[inline]
    pub(super) fn power_w(&self) -> f64 {
        self.power_w
    }

    /// What it makes at `at`, which is on its present line, in W.
    pub(super) fn power_at(&self, at: Time) -> f64 {
        self.output.at(at)
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Power => Some(self.power_w + 0.0),
            Quantity::AvailablePower => Some(self.available_w),
            Quantity::Curtailed => flag(self.is_curtailed()),
            Quantity::SetPoint => Some(self.set_point_w),
            Quantity::ReactivePower => Some(self.reactive_of(self.power_w)),
            Quantity::ReactiveSetPoint => Some(self.reactive.set_point_var()),
            Quantity::Mode => Some(self.device_mode().number()),
            Quantity::StateOfCharge
            | Quantity::ReportedStateOfCharge
            | Quantity::StoredEnergy
            | Quantity::ChargeLimit
            | Quantity::DischargeLimit
            | Quantity::Demand
            | Quantity::State
            | Quantity::Remote
            | Quantity::Trips
            | Quantity::Waiting
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts
            | Quantity::Closed
            | Quantity::Voltage
            | Quantity::Frequency
            | Quantity::GridVoltage
            | Quantity::GridFrequency
            | Quantity::Signal => None,
        }
    }

    pub(super) fn breakpoint(&self) -> Time {
        self.output.until().min(self.unheard.unwrap_or(Time::MAX))
    }

    /// Sets the limit. The caller passes the component afterwards.
    pub(super) fn command(&mut self, limit: Watts, now: Time) {
        self.is_commanded = true;
        // Who heard none for too long waits anew with the next limit.
        self.unheard = self.unheard.or(self.heartbeat.map(|span| now + span));
        self.limit_to(limit, now);
    }

    /// Hears a heartbeat.
    pub(super) fn hear(&mut self, now: Time) {
        self.unheard = self.heartbeat.map(|span| now + span);
    }

    /// Releases its limit from now on when it hears no heartbeat for so long.
    pub(super) fn expect_heartbeats(&mut self, timeout: Span) {
        self.heartbeat = Some(timeout);
    }

    /// Forgets the limit. The caller passes the component afterwards.
    pub(super) fn restart(&mut self, now: Time) {
        self.unheard = None;
        self.release(now);
    }

    /// Trips: it makes nothing until the fault is over. The caller passes the component afterwards.
    pub(super) fn fail(&mut self) {
        self.has_tripped = true;
        self.unheard = None;
    }

    /// The fault is over: it begins to make something again, as slowly as it leaves a limit. The caller passes the component
    /// afterwards.
    pub(super) fn recover(&mut self, now: Time) {
        self.has_tripped = false;
        let release_w_per_s = self.spec.release.watts_per_second();
        let until = now + Span::from_secs_f64(self.set_point_w / release_w_per_s);
        let segment = Segment { value: 0.0, slope_per_s: release_w_per_s, until };
        self.limit = Line::new(now, if until > now { segment } else { Segment::flat(0.0, Time::MAX) });
        self.give_back(now);
    }

    /// Somebody stands at its panel: it keeps its limit, and waits for nobody else.
    pub(super) fn take_to_panel(&mut self) {
        self.unheard = None;
    }

    /// It is controlled from afar again.
    pub(super) fn give_back(&mut self, now: Time) {
        if self.is_commanded {
            self.unheard = self.heartbeat.map(|span| now + span);
        }
    }

    /// The mode that it tells: off without sun.
    fn device_mode(&self) -> DeviceMode {
        match self.supply {
            Supply::Live | Supply::Dead if self.has_tripped => DeviceMode::Fault,
            Supply::Live if self.available_w > 0.0 => DeviceMode::Running,
            Supply::Live | Supply::Dead => DeviceMode::Off,
        }
    }

    fn release(&mut self, now: Time) {
        self.is_commanded = false;
        self.reactive.forget();
        self.limit_to(self.spec.rating, now);
    }

    fn limit_to(&mut self, limit: Watts, now: Time) {
        let target_w = limit.watts().clamp(0.0, self.spec.rating.watts());
        if target_w.to_bits() == self.set_point_w.to_bits() {
            return;
        }
        // On a dead bus nobody waits for a limit that moves to get there.
        let limit_w = if now < self.limit.until() { self.limit.at(now) } else { self.set_point_w };
        self.set_point_w = target_w;
        let (start_w, span) = if target_w > limit_w {
            let release_s = (target_w - limit_w) / self.spec.release.watts_per_second();
            (limit_w, Span::from_secs_f64(release_s))
        } else if self.power_w > target_w {
            (self.power_w, self.spec.lag)
        } else {
            (target_w, Span::ZERO)
        };
        let segment = if span.is_zero() {
            Segment::flat(target_w, Time::MAX)
        } else {
            let slope_per_s = (target_w - start_w) / span.as_secs_f64();
            Segment { value: start_w, slope_per_s, until: now + span }
        };
        self.limit = Line::new(now, segment);
    }

    pub(super) fn energize(&mut self, supply: Supply) {
        self.supply = supply;
    }

    pub(super) fn pass(&mut self, now: Time) {
        if self.unheard.take_if(|end| *end <= now).is_some() {
            self.release(now);
        }
        if now >= self.raw.until() {
            self.raw = Line::new(now, self.source.segment(now));
        }
        if now >= self.limit.until() {
            self.limit = Line::new(now, Segment::flat(self.set_point_w, Time::MAX));
        }
        let available = self.raw.rest(now).clipped(now, 0.0, self.spec.rating.watts());
        let output = match self.supply {
            Supply::Live if !self.has_tripped => available.lower(self.limit.rest(now), now),
            Supply::Live | Supply::Dead => Segment::flat(0.0, available.until),
        };
        self.available = Line::new(now, available);
        self.output = Line::new(now, output);
        self.available_w = available.value;
        self.power_w = output.value;
    }

    #[inline]
    pub(super) fn integrate(&mut self, from: Time, to: Time) {
        let (start_w, available_start_w) = (self.power_w, self.available_w);
        self.available_w = self.available.at(to);
        self.power_w = self.output.at(to);
        let half_h = seconds(from, to) * (0.5 / JOULES_PER_WATT_HOUR);
        self.flow = PvFlow {
            start_w,
            end_w: self.power_w,
            available_start_w,
            available_end_w: self.available_w,
            made_wh: (start_w + self.power_w) * half_h,
            available_wh: (available_start_w + self.available_w) * half_h,
        };
    }
}
