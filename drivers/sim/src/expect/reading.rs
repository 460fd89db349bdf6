//! What a true value was in an integrated segment.
//!
//! Powers, stored energy, what could be made and what is wanted are known at both ends, jumps between two segments
//! included, and with a battery that moves in between: the power at the point of common coupling, through ties and at the
//! battery, and what the battery stores, are then lines with exponentials. Voltage and frequency at the connection and of the
//! section of a tie, and the reactive power at the connection, are known at both ends and taken to go straight between them. All
//! other quantities change between segments only and hold their value through one; the reported state of charge, whose steps fall
//! inside, and the reactive power of other components are dated early by at most one segment.

use crate::plant::{
    Battery, Bus, Component, Decay, Electrical, Motion, Quantity, TruthPoint, WATT_HOURS_PER_JOULE,
};

/// Whether `point` was on a curve in the last segment of `bus`: else it went straight from one end to the other.
#[inline]
pub(super) fn is_curved(bus: &Bus, point: TruthPoint) -> bool {
    let component = &bus.components()[usize::from(point.component().0)];
    match (component, point.quantity()) {
        (Component::Connection(_), Quantity::Power) => !bus.exchange().decays.is_empty(),
        (Component::Tie(tie), Quantity::Power) => tie.is_curved(),
        (Component::Battery(battery), Quantity::Power | Quantity::StateOfCharge | Quantity::StoredEnergy) => {
            battery.flow().curve.has_decay()
        }
        _ => false,
    }
}

/// The curve of `point` in the last segment of `bus`, which lasted `span_s`; `parts` is room for what dies away.
pub(super) fn motion<'a>(
    bus: &'a Bus,
    point: TruthPoint,
    span_s: f64,
    parts: &'a mut [Decay; 2],
) -> Motion<'a> {
    let battery = match &bus.components()[usize::from(point.component().0)] {
        Component::Battery(battery) => battery,
        Component::Tie(tie) => return tie.motion(span_s),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Genset(_) => return bus.exchange(),
    };
    if point.quantity() == Quantity::StateOfCharge {
        return stored(battery, span_s, battery.soc_of(1.0), parts);
    }
    if point.quantity() == Quantity::StoredEnergy {
        return stored(battery, span_s, WATT_HOURS_PER_JOULE, parts);
    }
    let target_w = battery.flow().curve.target_w;
    parts[0] = battery.flow().decay();
    Motion { straight_start: target_w, straight_end: target_w, span_s, decays: &parts[..1] }
}

/// The value of `point` at the start and at the end of the last segment of `bus`.
#[inline]
pub(super) fn ends(bus: &Bus, point: TruthPoint) -> (f64, f64) {
    let component = &bus.components()[usize::from(point.component().0)];
    match point.quantity() {
        Quantity::Power => component.ends_w(),
        Quantity::StateOfCharge => state_of_charge(component),
        Quantity::StoredEnergy => stored_energy(component),
        Quantity::AvailablePower => available(component, bus.value(point)),
        Quantity::Curtailed => curtailed(component),
        Quantity::Demand => demand(component),
        Quantity::ReactivePower => electrical(bus, point, |is| is.reactive_var),
        Quantity::Voltage => electrical(bus, point, |is| is.voltage_pu),
        Quantity::Frequency => electrical(bus, point, |is| is.frequency_hz),
        Quantity::GridVoltage => bus.behind().0,
        Quantity::GridFrequency => bus.behind().1,
        Quantity::ReportedStateOfCharge
        | Quantity::ChargeLimit
        | Quantity::DischargeLimit
        | Quantity::SetPoint
        | Quantity::ReactiveSetPoint
        | Quantity::Signal
        | Quantity::State
        | Quantity::Trips
        | Quantity::Waiting
        | Quantity::Mode
        | Quantity::Remote
        | Quantity::Fuel
        | Quantity::RunningHours
        | Quantity::Starts
        | Quantity::Closed => held(bus.value(point)),
    }
}

/// A value of the section of a connection or a tie; that of another component follows its power.
fn electrical(bus: &Bus, point: TruthPoint, of: fn(Electrical) -> f64) -> (f64, f64) {
    match &bus.components()[usize::from(point.component().0)] {
        Component::Connection(_) | Component::Tie(_) => {
            let (first, last) = bus.electrical_in(bus.section_of(point.component()));
            (of(first), of(last))
        }
        Component::Load(_)
        | Component::Pv(_)
        | Component::Battery(_)
        | Component::Receiver(_)
        | Component::Genset(_) => held(bus.value(point)),
    }
}

fn held(value: f64) -> (f64, f64) {
    (value, value)
}

fn state_of_charge(component: &Component) -> (f64, f64) {
    let Component::Battery(battery) = component else { return held(0.0) };
    (battery.soc_of(battery.flow().stored_start_j), battery.soc())
}

fn stored_energy(component: &Component) -> (f64, f64) {
    let Component::Battery(battery) = component else { return held(0.0) };
    (battery.flow().stored_start_j * WATT_HOURS_PER_JOULE, battery.stored_wh())
}

/// The motion of the stored energy, in units of which a joule has `scale`.
fn stored<'a>(battery: &Battery, span_s: f64, scale: f64, parts: &'a mut [Decay; 2]) -> Motion<'a> {
    let Motion { straight_start, straight_end, .. } = battery.stored_motion(span_s, parts);
    for part in &mut *parts {
        part.start *= scale;
        part.end *= scale;
    }
    Motion {
        straight_start: straight_start * scale,
        straight_end: straight_end * scale,
        span_s,
        decays: parts,
    }
}

fn available(component: &Component, end_w: f64) -> (f64, f64) {
    let Component::Pv(pv) = component else { return held(end_w) };
    (pv.flow().available_start_w, pv.flow().available_end_w)
}

/// Output and available power may meet at the ends of a segment that is curtailed; its energies differ all the same.
fn curtailed(component: &Component) -> (f64, f64) {
    let Component::Pv(pv) = component else { return held(0.0) };
    held(if pv.flow().made_wh < pv.flow().available_wh { 1.0 } else { 0.0 })
}

fn demand(component: &Component) -> (f64, f64) {
    let Component::Load(load) = component else { return held(0.0) };
    (load.flow().demand_start_w, load.flow().demand_end_w)
}
