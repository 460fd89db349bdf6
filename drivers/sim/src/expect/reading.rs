//! What a true value was at both ends of an integrated segment.
//!
//! Powers, stored energy, what could be made and what is wanted are known at both ends, jumps between two segments
//! included. All other quantities change between segments only and hold their value through one; the reported state of
//! charge, whose steps fall inside, is dated early by at most one segment.

use crate::plant::{Bus, Component, Quantity, TruthPoint, WATT_HOURS_PER_JOULE};

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
        Quantity::ReportedStateOfCharge
        | Quantity::ChargeLimit
        | Quantity::DischargeLimit
        | Quantity::SetPoint
        | Quantity::Closed => held(bus.value(point)),
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
