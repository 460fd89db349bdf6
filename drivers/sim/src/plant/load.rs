//! A load: takes what its source says as long as the bus has voltage and its own breaker is closed.

use r_ems_engine::units::{Ratio, Watts};
use r_ems_engine::{Time, math};

use super::component::flag;
use super::{JOULES_PER_WATT_HOUR, Position, Quantity, Relay, SpecError, Supply, ranged};
use crate::sources::{Line, Source, seconds};

/// Power factor of a load unless a scenario says otherwise.
pub const POWER_FACTOR: f64 = 0.95;
/// Lowest power factor of a load.
const POWER_FACTOR_MIN: f64 = 0.1;

fn tangent_of(power_factor: f64) -> f64 {
    math::sqrt(1.0 - power_factor * power_factor) / power_factor
}

/// Consumption. The source gives its magnitude in W; below 0 W it takes nothing.
#[derive(Clone, Debug)]
pub struct Load {
    source: Source,
    raw: Line,
    demand: Line,
    supply: Supply,
    /// Where its own breaker stands.
    position: Position,
    relay: Option<Relay>,
    /// What it takes at the most, by which a controller knows it, in W; none: it is known to none.
    rating_w: Option<f64>,
    /// How often its relay has opened.
    trips: u32,
    demand_w: f64,
    /// Reactive power by active power: the tangent of the angle between them.
    tangent: f64,
    flow: LoadFlow,
}

/// What a load did in one integrated segment. Powers are positive into the bus, so they are 0 or negative here.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoadFlow {
    /// Power at the segment's start, in W.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// What was wanted at the segment's start, in W, a magnitude, served or not.
    pub demand_start_w: f64,
    /// What was wanted at the segment's end, in W.
    pub demand_end_w: f64,
    /// Energy taken from the bus, in Wh.
    pub served_wh: f64,
    /// Energy that was wanted while the bus was dead or the load shed, in Wh.
    pub unserved_wh: f64,
}

impl Load {
    /// Takes what `source` (W, a magnitude) says.
    pub fn new(source: Source) -> Self {
        let flow = LoadFlow::default();
        let (raw, demand) = (Line::ended(), Line::ended());
        let tangent = tangent_of(POWER_FACTOR);
        Self {
            source,
            raw,
            demand,
            supply: Supply::Live,
            position: Position::Closed,
            relay: None,
            rating_w: None,
            trips: 0,
            demand_w: 0.0,
            tangent,
            flow,
        }
    }

    /// The same load behind a relay that opens its breaker.
    #[must_use]
    pub fn shed_by(self, relay: Relay) -> Self {
        Self { relay: Some(relay), ..self }
    }

    /// The same load as a controller knows it that may open its breaker: by what it takes at the most.
    #[must_use]
    pub fn rated(self, rating: Watts) -> Self {
        Self { rating_w: Some(rating.watts()), ..self }
    }

    /// The same load with another power factor; it draws reactive power, as motors do.
    ///
    /// # Errors
    /// [`SpecError::OutOfRange`] unless it is from 0.1 to 1.
    pub fn with_power_factor(self, power_factor: Ratio) -> Result<Self, SpecError> {
        let factor = ranged("power_factor", power_factor, POWER_FACTOR_MIN, 1.0)?;
        Ok(Self { tangent: tangent_of(factor), ..self })
    }

    /// The reactive power that goes with so much active power, in var; negative, as it is drawn from the bus.
    #[inline]
    pub(super) fn reactive_of(&self, power_w: f64) -> f64 {
        power_w * self.tangent + 0.0
    }

    /// What is wanted at the present instant, in W, served or not.
    pub fn demand_w(&self) -> f64 {
        self.demand_w
    }

    /// Lets a test change what the last segment moved.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self) -> &mut LoadFlow {
        &mut self.flow
    }

    /// What the last segment moved.
    #[inline]
    pub fn flow(&self) -> &LoadFlow {
        &self.flow
    }

    #[inline]
    pub(super) fn power_w(&self) -> f64 {
        if self.is_served() { -self.demand_w } else { 0.0 }
    }

    /// What it takes at `at`, which is on its present line, in W, positive into the bus.
    pub(super) fn power_at(&self, at: Time) -> f64 {
        if self.is_served() { -self.demand.at(at) } else { 0.0 }
    }

    /// Whether it gets what it wants.
    #[inline]
    fn is_served(&self) -> bool {
        self.supply == Supply::Live && self.position == Position::Closed
    }

    /// Where its own breaker stands.
    #[inline]
    pub fn position(&self) -> Position {
        self.position
    }

    /// Moves its own breaker.
    pub(super) fn switch(&mut self, position: Position) {
        self.position = position;
        if let Some(relay) = &mut self.relay {
            relay.clear();
        }
    }

    /// Its relay, while the breaker is closed.
    pub(super) fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref().filter(|_| self.position == Position::Closed)
    }

    /// Lets its relay see the frequency; none: there is no voltage.
    pub(super) fn see(&mut self, frequency_hz: Option<f64>, now: Time) {
        if self.position == Position::Closed
            && let Some(relay) = &mut self.relay
            && relay.look(frequency_hz, now)
        {
            self.trips += 1;
            self.switch(Position::Open);
        }
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Power => Some(self.power_w() + 0.0),
            Quantity::Demand => Some(self.demand_w),
            Quantity::ReactivePower => Some(self.reactive_of(self.power_w())),
            Quantity::Closed => flag(self.position == Position::Closed),
            Quantity::SetPoint => Some(if self.position == Position::Closed { -self.rating_w? } else { 0.0 }),
            Quantity::Trips => Some(f64::from(self.trips)),
            Quantity::State
            | Quantity::Mode
            | Quantity::Remote
            | Quantity::Waiting
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts
            | Quantity::StateOfCharge
            | Quantity::ReportedStateOfCharge
            | Quantity::StoredEnergy
            | Quantity::AvailablePower
            | Quantity::Curtailed
            | Quantity::ChargeLimit
            | Quantity::DischargeLimit
            | Quantity::ReactiveSetPoint
            | Quantity::Voltage
            | Quantity::Frequency
            | Quantity::GridVoltage
            | Quantity::GridFrequency
            | Quantity::Signal => None,
        }
    }

    pub(super) fn breakpoint(&self) -> Time {
        self.demand.until()
    }

    pub(super) fn energize(&mut self, supply: Supply) {
        self.supply = supply;
    }

    pub(super) fn pass(&mut self, now: Time) {
        if now >= self.raw.until() {
            self.raw = Line::new(now, self.source.segment(now));
        }
        self.demand = Line::new(now, self.raw.rest(now).clipped(now, 0.0, f64::MAX));
        self.demand_w = self.demand.at(now);
    }

    #[inline]
    pub(super) fn integrate(&mut self, from: Time, to: Time) {
        let start_w = self.power_w();
        let demand_start_w = self.demand_w;
        self.demand_w = self.demand.at(to);
        let demand_end_w = self.demand_w;
        let demand_wh = (demand_start_w + demand_end_w) * (0.5 / JOULES_PER_WATT_HOUR) * seconds(from, to);
        let (served_wh, unserved_wh) = if self.is_served() { (demand_wh, 0.0) } else { (0.0, demand_wh) };
        let end_w = self.power_w();
        self.flow = LoadFlow { start_w, end_w, demand_start_w, demand_end_w, served_wh, unserved_wh };
    }
}
