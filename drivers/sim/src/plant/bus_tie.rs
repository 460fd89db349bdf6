//! A bus-tie: the breaker between a section of a bus and the section that feeds it.
//!
//! Closed it makes both one; open, each goes on by itself. It has neither an impedance nor a limit: what flows through it is what
//! everything behind it lacks.

use alloc::vec::Vec;

use super::breaker::{Breaker, Position};
use super::component::flag;
use super::{Decay, Motion, Quantity, SectionIndex, SpecError, SynchroSpec};

/// The tie of the section in which it stands.
#[derive(Clone, Debug)]
pub struct BusTie {
    to: SectionIndex,
    pub(super) breaker: Breaker,
    pub(super) power_w: f64,
    pub(super) flow: TieFlow,
    /// What died away in the last segment.
    pub(super) decays: Vec<Decay>,
}

/// What went through a tie in one integrated segment; positive is into its section.
#[derive(Clone, Copy, Debug, Default)]
pub struct TieFlow {
    /// Power at the segment's start, in W.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// The straight part of the power at the segment's start, in W; what else there is dies away.
    pub straight_start_w: f64,
    /// The straight part of the power at the segment's end, in W.
    pub straight_end_w: f64,
}

impl BusTie {
    /// A closed tie to the section `to`, behind a synchro-check with the usual numbers.
    pub fn new(to: SectionIndex) -> Self {
        Self { to, breaker: Breaker::new(), power_w: 0.0, flow: TieFlow::default(), decays: Vec::new() }
    }

    /// The same tie with another synchro-check; none: then whoever closes it must know what he does, and trips it if he does
    /// not.
    ///
    /// # Errors
    /// [`SpecError`] names the first number that is not allowed.
    pub fn checked_by(self, spec: Option<SynchroSpec>) -> Result<Self, SpecError> {
        Ok(Self { breaker: self.breaker.checked_by(spec)?, ..self })
    }

    /// The section on its other side, which is nearer to the connection.
    pub fn to(&self) -> SectionIndex {
        self.to
    }

    /// Where it stands.
    #[inline]
    pub fn position(&self) -> Position {
        self.breaker.position()
    }

    /// What the last segment moved.
    #[inline]
    pub fn flow(&self) -> &TieFlow {
        &self.flow
    }

    /// Lets a test change what the last segment moved.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self) -> &mut TieFlow {
        &mut self.flow
    }

    /// Whether what flows through it was on a curve in the last segment.
    pub(crate) fn is_curved(&self) -> bool {
        !self.decays.is_empty()
    }

    /// How what flows through it moved in the last segment of `span_s` seconds.
    pub(crate) fn motion(&self, span_s: f64) -> Motion<'_> {
        let TieFlow { straight_start_w, straight_end_w, .. } = self.flow;
        Motion {
            straight_start: straight_start_w,
            straight_end: straight_end_w,
            span_s,
            decays: &self.decays,
        }
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Power => Some(self.power_w + 0.0),
            Quantity::Closed => flag(self.position() == Position::Closed),
            Quantity::Waiting => flag(self.breaker.waits()),
            Quantity::Trips => Some(f64::from(self.breaker.trips())),
            // The bus knows what holds its section.
            Quantity::State
            | Quantity::Voltage
            | Quantity::Frequency
            | Quantity::SetPoint
            | Quantity::Mode
            | Quantity::Remote
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts
            | Quantity::ReactivePower
            | Quantity::ReactiveSetPoint
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
}
