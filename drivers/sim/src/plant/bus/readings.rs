//! What is read of a bus.

use r_ems_engine::points::DeviceMode;
use r_ems_engine::{Span, Time};

use super::super::component::flag;
use super::super::{
    BusMode, BusTie, Component, ComponentIndex, Connection, Electrical, Quantity, TruthPoint,
};
use super::Bus;
use super::sections::{Section, SectionIndex};

impl Bus {
    /// A point that can be read from now on; none if the component does not exist or has no such value.
    pub fn truth(&self, component: ComponentIndex, quantity: Quantity) -> Option<TruthPoint> {
        self.read(component, quantity)?;
        Some(TruthPoint { component, quantity })
    }

    /// What the main section had at the start of the last segment and has at its end.
    pub fn electrical(&self) -> (Electrical, Electrical) {
        self.electrical_in(SectionIndex::MAIN)
    }

    /// What a section had at the start of the last segment and has at its end; reactive power that crosses the connection is
    /// told of its own area only.
    pub fn electrical_in(&self, section: SectionIndex) -> (Electrical, Electrical) {
        let area = self.areas.section(section).top;
        let (mut first_var, mut last_var) = (0.0, 0.0);
        for (component, at) in self.components.iter().zip(self.areas.areas()) {
            if *at == area {
                let (start_w, end_w) = component.ends_w();
                first_var -= component.reactive_var(start_w);
                last_var -= component.reactive_var(end_w);
            }
        }
        let (flow, from) = (self.connection().flow(), self.segment_began());
        (
            self.electrical_at(area, from, flow.start_w, first_var),
            self.electrical_at(area, self.now, flow.end_w, last_var),
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

    /// The reactive power that the components of an area take now, in var.
    pub(super) fn reactive_var(&self, area: SectionIndex) -> f64 {
        let here = self.components.iter().zip(self.areas.areas()).filter(|(_, at)| **at == area);
        here.fold(0.0, |sum, (component, _)| sum - component.reactive_var(component.power_w()))
    }

    /// What an area has at the present instant.
    pub(super) fn electrical_now(&self, area: SectionIndex) -> Electrical {
        self.electrical_at(area, self.now, self.connection().power_w, self.reactive_var(area))
    }

    /// What an area has at `at`, in the last segment, if so much reactive power is taken in it and, on the grid, so much comes
    /// over the connection.
    fn electrical_at(&self, area: SectionIndex, at: Time, power_w: f64, reactive_var: f64) -> Electrical {
        let Section { mode, swing, .. } = self.areas.section(area);
        match mode {
            BusMode::Grid => self.connection().electrical(at, power_w, reactive_var),
            BusMode::Island => Electrical {
                reactive_var: 0.0,
                voltage_pu: swing.voltage_pu(reactive_var),
                frequency_hz: swing.speed_at(at) * self.connection().nominal_hz(),
            },
            BusMode::Dead => Electrical { reactive_var: 0.0, voltage_pu: 0.0, frequency_hz: 0.0 },
        }
    }

    /// Whether somebody stands at a component's panel.
    pub fn is_local(&self, component: ComponentIndex) -> bool {
        self.local[usize::from(component.0)]
    }

    /// Whether a device is at its panel or in fault, so that nobody writes to it.
    pub fn has_any_away(&self) -> bool {
        let all = self.components.iter().zip(&self.local);
        let fault = DeviceMode::Fault.number();
        all.into_iter()
            .any(|(component, is_local)| *is_local || component.value(Quantity::Mode) == Some(fault))
    }

    #[inline]
    fn read(&self, component: ComponentIndex, quantity: Quantity) -> Option<f64> {
        let of = self.components.get(usize::from(component.0))?;
        if quantity == Quantity::Remote {
            return flag(!self.is_local(component)).filter(|_| of.is_controlled());
        }
        let area = || self.areas.areas()[usize::from(component.0)];
        match of {
            Component::Connection(connection) => self.read_connection(connection, area(), quantity),
            Component::Tie(tie) => self.read_tie(tie, area(), quantity),
            Component::Load(_)
            | Component::Pv(_)
            | Component::Battery(_)
            | Component::Receiver(_)
            | Component::Genset(_) => of.value(quantity),
        }
    }

    fn read_connection(&self, of: &Connection, area: SectionIndex, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::State => Some(state(self.areas.mode(area))),
            Quantity::ReactivePower => Some(self.electrical_now(area).reactive_var),
            Quantity::Voltage => Some(self.electrical_now(area).voltage_pu),
            Quantity::Frequency => Some(self.electrical_now(area).frequency_hz),
            Quantity::GridVoltage => Some(of.source().voltage_pu(self.now)),
            Quantity::GridFrequency => Some(of.source().frequency_hz(self.now)),
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
            | Quantity::Starts => of.value(quantity),
        }
    }

    /// What is read of a tie: of its own, and what its section has.
    fn read_tie(&self, tie: &BusTie, area: SectionIndex, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::State => Some(state(self.areas.mode(area))),
            Quantity::Voltage => Some(self.electrical_now(area).voltage_pu),
            Quantity::Frequency => Some(self.electrical_now(area).frequency_hz),
            Quantity::Power
            | Quantity::ReactivePower
            | Quantity::GridVoltage
            | Quantity::GridFrequency
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
            | Quantity::Starts => tie.value(quantity),
        }
    }

    /// The value of a point at the present instant, in the unit that its [`Quantity`] states.
    pub fn value(&self, point: TruthPoint) -> f64 {
        self.read(point.component, point.quantity).expect("`truth` makes points of existing values only")
    }
}

/// The number that a point shows.
fn state(mode: BusMode) -> f64 {
    match mode {
        BusMode::Dead => 0.0,
        BusMode::Island => 1.0,
        BusMode::Grid => 2.0,
    }
}
