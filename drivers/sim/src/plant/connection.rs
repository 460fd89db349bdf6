//! The connection to the grid: a breaker, and the power that balances the bus.
//!
//! The grid gives and takes whatever is missing. The connection's rating limits nothing by itself: the account counts what
//! lies above it. Behind it stands a [`GridSource`], which gives voltage and frequency. Between the grid and a bus that has
//! voltage of its own it closes as its synchro-check allows.

use r_ems_engine::units::Watts;
use r_ems_engine::{Span, Time};

use super::breaker::{Breaker, Moved, Position};
use super::component::flag;
use super::lasting::Lasting;
use super::{
    Difference, Electrical, GridSource, GridValue, Impedance, NOMINAL_HZ, NOMINAL_PU, Quantity, RELAY_HZ,
    SpecError, SynchroSpec, positive, within,
};
use crate::sources::Source;

/// Below this voltage of its source, as a multiple of the nominal one, the grid is lost.
///
/// # Source
/// Ours, as under-voltage protection between a site and its grid has a second stage: 0.45 to 0.5 pu.
const MAINS_LOST_PU: f64 = 0.5;
/// After so long its breaker opens.
const MAINS_LOST_AFTER: Span = Span::from_millis(100);

/// The point of common coupling.
#[derive(Clone, Debug)]
pub struct Connection {
    import_max: Watts,
    breaker: Breaker,
    source: GridSource,
    /// The frequency that machines on its bus are built for, in Hz.
    nominal_hz: f64,
    /// Opens the breaker of a bus that the grid holds no more.
    mains_lost: Lasting,
    pub(super) power_w: f64,
    pub(super) flow: ConnectionFlow,
}

/// What went through the connection in one integrated segment; positive is import into the bus.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectionFlow {
    /// Power at the segment's start, in W.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// No power of the segment is lower, in W.
    pub low_w: f64,
    /// No power of the segment is higher, in W.
    pub high_w: f64,
    /// The straight part of the power at the segment's start, in W; what else there is dies away.
    pub straight_start_w: f64,
    /// The straight part of the power at the segment's end, in W.
    pub straight_end_w: f64,
    /// Energy drawn from the grid, in Wh.
    pub import_wh: f64,
    /// Energy fed into the grid, in Wh.
    pub export_wh: f64,
}

impl Connection {
    /// A closed connection that is rated for `import_max`, to a grid that holds its voltage and frequency whatever flows.
    ///
    /// # Errors
    /// [`SpecError::NotPositive`] if the rating is not above zero.
    pub fn new(import_max: Watts) -> Result<Self, SpecError> {
        positive("import_max", import_max.watts())?;
        let flow = ConnectionFlow::default();
        let constant = |value| Source::constant(value).expect("nominal values are finite");
        let source = GridSource::new(Impedance::default(), constant(NOMINAL_PU), constant(NOMINAL_HZ));
        Ok(Self {
            import_max,
            breaker: Breaker::new(),
            source,
            nominal_hz: NOMINAL_HZ,
            mains_lost: Lasting::new(MAINS_LOST_AFTER),
            power_w: 0.0,
            flow,
        })
    }

    /// The same connection with another synchro-check; none: then whoever closes it must know what he does, and trips it if he
    /// does not.
    ///
    /// # Errors
    /// [`SpecError`] names the first number that is not allowed.
    pub fn checked_by(self, spec: Option<SynchroSpec>) -> Result<Self, SpecError> {
        Ok(Self { breaker: self.breaker.checked_by(spec)?, ..self })
    }

    /// The same connection of a bus whose machines are built for another frequency, in Hz.
    ///
    /// # Errors
    /// [`SpecError::OutOfRange`] unless it is from 40 to 65 Hz.
    pub fn at_nominal(self, nominal_hz: f64) -> Result<Self, SpecError> {
        within("nominal", nominal_hz, RELAY_HZ.0, RELAY_HZ.1)?;
        Ok(Self { nominal_hz, ..self })
    }

    /// The same connection to another grid.
    #[must_use]
    pub fn to_grid(self, source: GridSource) -> Self {
        Self { source, ..self }
    }

    /// The rated import, which limits nothing by itself.
    pub fn import_max(&self) -> Watts {
        self.import_max
    }

    /// Whether the grid behind it has one voltage and one frequency, whatever flows and for ever, unless somebody sets them.
    #[inline]
    pub fn is_stiff(&self) -> bool {
        self.source.is_stiff()
    }

    /// Where the breaker stands.
    #[inline]
    pub fn position(&self) -> Position {
        self.breaker.position()
    }

    /// Lets a test change what the last segment moved.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self) -> &mut ConnectionFlow {
        &mut self.flow
    }

    /// What the last segment moved.
    #[inline]
    pub fn flow(&self) -> &ConnectionFlow {
        &self.flow
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Power => Some(self.power_w + 0.0),
            Quantity::Closed => flag(self.position() == Position::Closed),
            Quantity::Waiting => flag(self.waits()),
            Quantity::SetPoint => {
                let is_told = self.position() == Position::Closed || self.waits();
                Some(if is_told { self.import_max.watts() } else { 0.0 })
            }
            Quantity::Trips => Some(f64::from(self.breaker.trips())),
            // The bus knows what flows besides, and what holds it.
            Quantity::State
            | Quantity::Mode
            | Quantity::Remote
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts
            | Quantity::ReactivePower
            | Quantity::ReactiveSetPoint
            | Quantity::Voltage
            | Quantity::Frequency
            | Quantity::Signal
            | Quantity::StateOfCharge
            | Quantity::ReportedStateOfCharge
            | Quantity::StoredEnergy
            | Quantity::AvailablePower
            | Quantity::Curtailed
            | Quantity::ChargeLimit
            | Quantity::DischargeLimit
            | Quantity::GridVoltage
            | Quantity::GridFrequency
            | Quantity::Demand => None,
        }
    }

    pub(super) fn breakpoint(&self) -> Time {
        self.source.breakpoint()
    }

    /// Does what is due at `now`.
    pub(super) fn pass(&mut self, now: Time) {
        self.source.pass(now);
    }

    /// Sets a value of the grid behind it; none: it follows its own course again.
    pub(super) fn set(&mut self, what: GridValue, value: Option<f64>, now: Time) {
        self.source.set(what, value);
        self.source.pass(now);
    }

    /// What the bus has on the grid at `at` if so much flows into it.
    pub(super) fn electrical(&self, at: Time, power_w: f64, reactive_var: f64) -> Electrical {
        self.source.electrical(at, power_w, reactive_var)
    }

    /// The grid behind it.
    pub(super) fn source(&self) -> &GridSource {
        &self.source
    }

    /// The frequency that machines on its bus are built for, in Hz.
    pub fn nominal_hz(&self) -> f64 {
        self.nominal_hz
    }

    /// Moves the breaker; who waited for it waits no more.
    pub(super) fn switch(&mut self, position: Position) {
        self.breaker.switch(position);
    }

    /// Closes the breaker of a bus that has voltage of its own as soon as both sides fit; without a synchro-check at once, and
    /// it trips if they do not.
    pub(super) fn ask(&mut self, is: Difference, now: Time) {
        self.breaker.ask(is, now);
    }

    /// Opens the breaker where the grid has had no voltage for long enough.
    #[inline]
    pub(super) fn see_mains(&mut self, now: Time) {
        let is_lost = self.position() == Position::Closed && self.source.voltage_pu(now) < MAINS_LOST_PU;
        if self.mains_lost.look(is_lost, now) {
            self.switch(Position::Open);
            self.mains_lost.clear();
        }
    }

    /// When the breaker may open next because of that.
    #[inline]
    pub(super) fn mains_due(&self, now: Time) -> Time {
        match self.position() {
            Position::Closed => self.mains_lost.due().min(self.source.sinks_below(MAINS_LOST_PU, now)),
            Position::Open => Time::MAX,
        }
    }

    /// Whether a request to close waits.
    pub(super) fn waits(&self) -> bool {
        self.breaker.waits()
    }

    /// Lets the synchro-check see both sides.
    pub(super) fn look(&mut self, is: Difference, now: Time) -> Moved {
        self.breaker.look(is, now)
    }
}
