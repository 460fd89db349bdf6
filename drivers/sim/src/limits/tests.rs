//! The limits of small plants, right and tampered with.

use alloc::vec;

use r_ems_engine::Span;
use r_ems_engine::units::{Ratio, WattHours, Watts};

use super::*;
use crate::plant::{Battery, BatterySpec, Connection, Load, Position, Pv, PvSpec};
use crate::sources::Source;

const BATTERY: ComponentIndex = ComponentIndex(0);
const PV: ComponentIndex = ComponentIndex(3);
/// Of the battery.
const RATING_W: f64 = 50e3;
const CAPACITY_J: f64 = 100e3 * JOULES_PER_WATT_HOUR;

fn bus(soc: f64) -> Bus {
    let spec = BatterySpec {
        lag: Span::from_secs(4),
        taper: Ratio::of(0.1),
        ..BatterySpec::new(WattHours::of(100e3), Watts::of(RATING_W), Ratio::of(soc))
    };
    let source = |watts| Source::constant(watts).expect("a finite constant");
    Bus::new(vec![
        Component::Battery(Battery::new(spec).expect("a valid battery")),
        Component::Load(Load::new(source(20e3))),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
        Component::Pv(Pv::new(PvSpec::new(Watts::of(40e3)), source(30e3)).expect("a valid plant")),
    ])
    .expect("one connection")
}

fn minutes(minutes: u64) -> Time {
    Time::ZERO + Span::from_mins(minutes)
}

/// What is found of a plant with which `mistake` tampers before it is looked at.
fn found(soc: f64, mistake: impl Fn(&mut Bus)) -> Result<(), (ComponentIndex, Limit)> {
    let mut bus = bus(soc);
    let mut limits = Limits::new(&bus);
    bus.advance(minutes(1), &mut limits);
    mistake(&mut bus);
    limits.segment(&bus, minutes(1), minutes(2));
    limits.check().map_err(|excess| (excess.component, excess.limit))
}

/// Tampers with a battery: its power at the segment's end, and what it stores then, in steps of the taper.
fn battery(power_share: f64, stored_steps: f64) -> impl Fn(&mut Bus) {
    move |bus| {
        let Component::Battery(battery) = bus.tamper(BATTERY) else { panic!("a battery") };
        let (flow, stored_j) = battery.tamper();
        flow.end_w = power_share * RATING_W;
        *stored_j = stored_steps * 0.1 * CAPACITY_J / f64::from(TAPER_STEPS);
    }
}

fn pv(end_w: f64) -> impl Fn(&mut Bus) {
    move |bus| {
        let Component::Pv(pv) = bus.tamper(PV) else { panic!("a plant") };
        pv.tamper().end_w = end_w;
    }
}

#[test]
fn a_plant_that_is_driven_into_both_ends_with_and_without_voltage_keeps_its_limits() {
    let mut bus = bus(0.5);
    let mut limits = Limits::new(&bus);
    for (number, power) in [900e3, -900e3, 50e3, -50e3, 10e3].into_iter().enumerate() {
        let at = minutes(200 * number as u64);
        bus.command(BATTERY, Watts::of(power), at, &mut limits);
        bus.command(PV, Watts::of(power / 3.0), at + Span::from_secs(7), &mut limits);
        bus.breaker(Position::Open, at + Span::from_mins(30), &mut limits);
        bus.breaker(Position::Closed, at + Span::from_mins(31), &mut limits);
        bus.stop(BATTERY, at + Span::from_mins(40), &mut limits);
        bus.start(BATTERY, at + Span::from_mins(41), &mut limits);
    }
    bus.advance(minutes(1_200), &mut limits);
    assert_eq!(limits.check(), Ok(()));
}

#[test]
fn a_battery_that_does_more_than_its_rating_is_found() {
    assert_eq!(found(0.5, battery(1.0, 250.0)), Ok(()));
    assert_eq!(found(0.5, battery(-1.0, 250.0)), Ok(()));
    assert_eq!(found(0.5, battery(1.0 + 2e-6, 250.0)), Err((BATTERY, Limit::Discharge)));
    assert_eq!(found(0.5, battery(-1.0 - 2e-6, 250.0)), Err((BATTERY, Limit::Charge)));
    assert_eq!(found(0.5, battery(f64::NAN, 250.0)), Err((BATTERY, Limit::Charge)));
}

#[test]
fn a_battery_that_does_more_than_its_charge_allows_is_found() {
    // Ten steps above empty 10/50 may be given, and half a step more.
    assert_eq!(found(0.5, battery(10.5 / 50.0, 10.0)), Ok(()));
    assert_eq!(found(0.5, battery(10.6 / 50.0, 10.0)), Err((BATTERY, Limit::Discharge)));
    assert_eq!(found(0.5, battery(-1.0, 10.0)), Ok(()), "it may be charged");
    assert_eq!(found(0.5, battery(-10.5 / 50.0, 490.0)), Ok(()));
    assert_eq!(found(0.5, battery(-10.6 / 50.0, 490.0)), Err((BATTERY, Limit::Charge)));
}

#[test]
fn a_battery_that_stores_more_than_its_capacity_or_less_than_nothing_is_found() {
    assert_eq!(found(0.5, battery(0.0, 500.0)), Ok(()));
    assert_eq!(found(0.5, battery(0.0, 500.01)), Err((BATTERY, Limit::Stored)));
    assert_eq!(found(0.5, battery(0.0, 0.0)), Ok(()));
    assert_eq!(found(0.5, battery(0.0, -0.01)), Err((BATTERY, Limit::Stored)));
    assert_eq!(found(0.5, battery(0.0, f64::NAN)), Err((BATTERY, Limit::Stored)));
}

#[test]
fn power_without_voltage_and_of_an_inverter_that_is_off_is_found() {
    let dead = |bus: &mut Bus| bus.breaker(Position::Open, minutes(1), &mut ());
    let dead_but_makes = |bus: &mut Bus| {
        dead(bus);
        pv(1.0)(bus);
    };
    // What is shown of the segment before counts as made without voltage.
    assert_eq!(found(0.5, dead), Err((PV, Limit::Available)));
    assert_eq!(found(0.5, dead_but_makes), Err((PV, Limit::Available)));
    let off = |bus: &mut Bus| bus.stop(BATTERY, minutes(1), &mut ());
    assert_eq!(found(0.5, off), Ok(()));
    let runs_on = |bus: &mut Bus| {
        off(bus);
        battery(0.1, 250.0)(bus);
    };
    assert_eq!(found(0.5, runs_on), Err((BATTERY, Limit::Discharge)));
}

#[test]
fn a_plant_that_makes_more_than_there_is_or_takes_something_is_found() {
    assert_eq!(found(0.5, pv(30e3)), Ok(()));
    assert_eq!(found(0.5, pv(0.0)), Ok(()));
    assert_eq!(found(0.5, pv(30.001e3)), Err((PV, Limit::Available)));
    assert_eq!(found(0.5, pv(f64::NAN)), Err((PV, Limit::Available)));
    assert_eq!(found(0.5, pv(-1.0)), Err((PV, Limit::Made)));
    assert_eq!(Plant { rating_w: 40e3 }.broken(41e3, 60e3), Some((Limit::Available, 41e3, 40e3)));
}

#[test]
fn a_jump_beyond_a_limit_is_found_whenever_it_happens() {
    let bus = bus(0.5);
    let mut limits = Limits::new(&bus);
    limits.step(&bus, minutes(0), BATTERY, 0.0, RATING_W);
    assert_eq!(limits.check(), Ok(()));
    limits.step(&bus, minutes(0), BATTERY, 0.0, 2.0 * RATING_W);
    assert_eq!(limits.check().map_err(|excess| excess.limit), Err(Limit::Discharge));
}

#[test]
fn the_first_excess_is_told_with_what_is_allowed() {
    let mut bus = bus(0.5);
    let mut limits = Limits::new(&bus);
    bus.advance(minutes(1), &mut limits);
    pv(31e3)(&mut bus);
    limits.segment(&bus, minutes(1), minutes(2));
    battery(2.0, 250.0)(&mut bus);
    limits.segment(&bus, minutes(2), minutes(3));
    let words = "a limit of component 3 does not hold at 2 min (Available): allowed 30000 W, got 31000 W";
    assert_eq!(limits.check().map_err(|excess| alloc::format!("{excess}")), Err(words.into()));
}
