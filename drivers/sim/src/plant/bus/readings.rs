//! What is read of a bus.

use r_ems_engine::{Span, Time};

use super::super::component::flag;
use super::super::{BusMode, Component, ComponentIndex, Electrical, Quantity, TruthPoint};
use super::Bus;

impl Bus {
    /// A point that can be read from now on; none if the component does not exist or has no such value.
    pub fn truth(&self, component: ComponentIndex, quantity: Quantity) -> Option<TruthPoint> {
        self.read(component, quantity)?;
        Some(TruthPoint { component, quantity })
    }

    /// What the bus had at the start of the last segment and has at its end.
    pub fn electrical(&self) -> (Electrical, Electrical) {
        let (mut first_var, mut last_var) = (0.0, 0.0);
        for component in &self.components {
            let (start_w, end_w) = component.ends_w();
            first_var -= component.reactive_var(start_w);
            last_var -= component.reactive_var(end_w);
        }
        let (flow, from) = (self.connection().flow(), self.segment_began());
        (
            self.electrical_at(from, flow.start_w, first_var),
            self.electrical_at(self.now, flow.end_w, last_var),
        )
    }

    /// The voltage of the grid behind the connection, as a multiple of the nominal one, and its frequency, in Hz: each at the
    /// start of the last segment and at its end.
    pub fn behind(&self) -> ((f64, f64), (f64, f64)) {
        let (from, source) = (self.segment_began(), self.connection().source());
        (
            (source.voltage_pu(from), source.voltage_pu(self.now)),
            (source.frequency_hz(from), source.frequency_hz(self.now)),
        )
    }

    fn segment_began(&self) -> Time {
        Time::from_nanos(self.now.as_nanos() - Span::from_secs_f64(self.span_s).as_nanos())
    }

    /// What the bus has at the present instant.
    fn electrical_now(&self) -> Electrical {
        let reactive = |sum, component: &Component| sum - component.reactive_var(component.power_w());
        let reactive_var = self.components.iter().fold(0.0, reactive);
        self.electrical_at(self.now, self.connection().power_w, reactive_var)
    }

    /// What the bus has at `at`, in the last segment, if so much comes over the connection and so much reactive power is taken.
    fn electrical_at(&self, at: Time, power_w: f64, reactive_var: f64) -> Electrical {
        match self.mode {
            BusMode::Grid => self.connection().electrical(at, power_w, reactive_var),
            BusMode::Island => Electrical {
                reactive_var: 0.0,
                voltage_pu: self.swing.voltage_pu(reactive_var),
                frequency_hz: self.swing.speed_at(at) * self.connection().nominal_hz(),
            },
            BusMode::Dead => Electrical { reactive_var: 0.0, voltage_pu: 0.0, frequency_hz: 0.0 },
        }
    }

    /// Whether somebody stands at a component's panel.
    pub fn is_local(&self, component: ComponentIndex) -> bool {
        self.local[usize::from(component.0)]
    }

    fn read(&self, component: ComponentIndex, quantity: Quantity) -> Option<f64> {
        if quantity == Quantity::Remote {
            let is_local = *self.local.get(usize::from(component.0))?;
            return flag(!is_local).filter(|_| self.components[usize::from(component.0)].is_controlled());
        }
        if component != self.connection_index() {
            return self.components.get(usize::from(component.0))?.value(quantity);
        }
        match quantity {
            Quantity::State => Some(match self.mode {
                BusMode::Dead => 0.0,
                BusMode::Island => 1.0,
                BusMode::Grid => 2.0,
            }),
            Quantity::ReactivePower => Some(self.electrical_now().reactive_var),
            Quantity::Voltage => Some(self.electrical_now().voltage_pu),
            Quantity::Frequency => Some(self.electrical_now().frequency_hz),
            Quantity::GridVoltage => Some(self.connection().source().voltage_pu(self.now)),
            Quantity::GridFrequency => Some(self.connection().source().frequency_hz(self.now)),
            Quantity::Power
            | Quantity::StateOfCharge
            | Quantity::ReportedStateOfCharge
            | Quantity::StoredEnergy
            | Quantity::AvailablePower
            | Quantity::Curtailed
            | Quantity::ChargeLimit
            | Quantity::DischargeLimit
            | Quantity::SetPoint
            | Quantity::Demand
            | Quantity::Closed
            | Quantity::ReactiveSetPoint
            | Quantity::Signal
            | Quantity::Trips
            | Quantity::Waiting
            | Quantity::Mode
            | Quantity::Remote
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts => self.connection().value(quantity),
        }
    }

    /// The value of a point at the present instant, in the unit that its [`Quantity`] states.
    pub fn value(&self, point: TruthPoint) -> f64 {
        self.read(point.component, point.quantity).expect("`truth` makes points of existing values only")
    }
}
