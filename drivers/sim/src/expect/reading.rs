//! What a true value was at both ends of an integrated segment.
//!
//! Powers, stored energy, what could be made and what is wanted are known at both ends, jumps between two segments
//! included. All other quantities change between segments only and hold their value through one; the reported state of
//! charge, whose steps fall inside, is dated early by at most one segment.

use r_ems_engine::Span;

use crate::plant::{Bus, Component, JOULES_PER_WATT_HOUR, Quantity, TruthPoint, WATT_HOURS_PER_JOULE};

/// The value of `point` at the start and at the end of the last segment of `bus`, which lasted `span`.
#[inline]
pub(super) fn ends(bus: &Bus, point: TruthPoint, span: Span) -> (f64, f64) {
    let component = &bus.components()[usize::from(point.component().0)];
    match point.quantity() {
        Quantity::Power => component.ends_w(),
        Quantity::StateOfCharge => state_of_charge(component),
        Quantity::StoredEnergy => stored_energy(component),
        Quantity::AvailablePower => available(component, bus.value(point)),
        Quantity::Curtailed => curtailed(component),
        Quantity::Demand => demand(component, bus.value(point), span),
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

/// A load that is served takes what it wants; of one that is not, the energy tells where the line began.
fn demand(component: &Component, end_w: f64, span: Span) -> (f64, f64) {
    let Component::Load(load) = component else { return held(end_w) };
    let flow = load.flow();
    if flow.unserved_wh > 0.0 {
        let mean_w = flow.unserved_wh * JOULES_PER_WATT_HOUR / span.as_secs_f64();
        (2.0 * mean_w - end_w, end_w)
    } else {
        (0.0 - flow.start_w, end_w)
    }
}
