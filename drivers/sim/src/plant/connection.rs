//! The connection to the grid: a breaker, and the power that balances the bus.
//!
//! The grid gives and takes whatever is missing. The connection's rating limits nothing by itself: the account counts what
//! lies above it. Behind it stands a [`GridSource`], which gives voltage and frequency.

use r_ems_engine::Time;
use r_ems_engine::units::Watts;

use super::component::flag;
use super::{
    Electrical, GridSource, GridValue, Impedance, NOMINAL_HZ, NOMINAL_PU, Quantity, SpecError, Supply,
    positive,
};
use crate::sources::Source;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// No current can flow.
    Open,
    /// The bus is connected to the grid.
    Closed,
}

/// The point of common coupling.
#[derive(Clone, Debug)]
pub struct Connection {
    import_max: Watts,
    position: Position,
    source: GridSource,
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
        Ok(Self { import_max, position: Position::Closed, source, power_w: 0.0, flow })
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

    /// Where the breaker stands.
    pub fn position(&self) -> Position {
        self.position
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
            Quantity::Closed => flag(self.position == Position::Closed),
            // The bus knows what flows besides.
            Quantity::ReactivePower
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
            | Quantity::SetPoint
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

    /// What the bus has at `at` if so much flows into it.
    pub(super) fn electrical(&self, at: Time, power_w: f64, reactive_var: f64) -> Electrical {
        match self.position {
            Position::Closed => self.source.electrical(at, power_w, reactive_var),
            Position::Open => Electrical { reactive_var: 0.0, voltage_pu: 0.0, frequency_hz: 0.0 },
        }
    }

    /// Moves the breaker and says what the bus has now.
    pub(super) fn switch(&mut self, position: Position) -> Supply {
        self.position = position;
        match position {
            Position::Open => Supply::Dead,
            Position::Closed => Supply::Live,
        }
    }
}
