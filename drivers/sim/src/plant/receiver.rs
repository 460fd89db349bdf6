//! A receiver of what the grid operator wants: a share over time, which moves no power.

use r_ems_engine::Time;

use super::Quantity;
use super::grid_source::Signal;
use crate::sources::Source;

/// A ripple-control receiver or a remote control interface. Its source gives the share, 0 to 1.
#[derive(Clone, Debug)]
pub struct Receiver {
    signal: Signal,
    share: f64,
}

impl Receiver {
    /// Tells what `source` says.
    pub fn new(source: Source) -> Self {
        Self { signal: Signal::new(source), share: 0.0 }
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Signal => Some(self.share),
            Quantity::Power
            | Quantity::StateOfCharge
            | Quantity::ReportedStateOfCharge
            | Quantity::StoredEnergy
            | Quantity::AvailablePower
            | Quantity::Curtailed
            | Quantity::ChargeLimit
            | Quantity::DischargeLimit
            | Quantity::SetPoint
            | Quantity::ReactiveSetPoint
            | Quantity::Demand
            | Quantity::Closed
            | Quantity::State
            | Quantity::Mode
            | Quantity::Remote
            | Quantity::Trips
            | Quantity::Waiting
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts
            | Quantity::ReactivePower
            | Quantity::Voltage
            | Quantity::Frequency
            | Quantity::GridVoltage
            | Quantity::GridFrequency => None,
        }
    }

    pub(super) fn breakpoint(&self) -> Time {
        self.signal.until()
    }

    /// Does what is due at `now`.
    pub(super) fn pass(&mut self, now: Time) {
        self.signal.pass(now);
        self.integrate(now);
    }

    /// Sets what it tells; none: it follows its own course again.
    pub(super) fn set(&mut self, share: Option<f64>, now: Time) {
        self.signal.set(share);
        self.pass(now);
    }

    /// Tells what it does at `to`.
    #[inline]
    pub(super) fn integrate(&mut self, to: Time) {
        // Sums of sources may leave the range by rounding.
        self.share = self.signal.at(to).clamp(0.0, 1.0) + 0.0;
    }
}
