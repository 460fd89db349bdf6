//! The books of small plants, right and tampered with.

use alloc::vec;

use r_ems_engine::Span;
use r_ems_engine::units::{Ratio, WattHours, Watts};

use super::*;
use crate::plant::{BatteryFlow, BatterySpec, ConnectionFlow, LoadFlow, PvFlow, PvSpec};
use crate::sources::Source;

const BATTERY: ComponentIndex = ComponentIndex(0);
const LOAD: ComponentIndex = ComponentIndex(1);
const CONNECTION: ComponentIndex = ComponentIndex(2);
const PV: ComponentIndex = ComponentIndex(3);

fn bus(soc: f64) -> Bus {
    bus_of(BatterySpec::new(WattHours::of(100e3), Watts::of(50e3), Ratio::of(soc)))
}

fn bus_of(spec: BatterySpec) -> Bus {
    let load = Source::constant(20e3).expect("a finite constant");
    Bus::new(vec![
        Component::Battery(Battery::new(spec).expect("a valid battery")),
        Component::Load(Load::new(load)),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
    ])
    .expect("one connection")
}

fn hours(hours: u64) -> Time {
    Time::ZERO + Span::from_hours(hours)
}

#[test]
fn a_run_that_conserves_energy_is_accepted_and_its_energies_add_up() {
    let mut bus = bus(0.5);
    let mut ledger = Ledger::new(&bus);
    bus.command(BATTERY, Watts::of(30e3), hours(0), &mut ledger);
    bus.advance(hours(1), &mut ledger);
    assert_eq!(ledger.check(&bus), Ok(()));
    let energies = ledger.energies(&bus);
    let expected_wh = energies.load_wh + energies.export_wh;
    assert!((energies.discharge_wh + energies.import_wh - expected_wh).abs() < 1e-6);
    assert!(energies.export_wh > 9.9e3 && energies.import_wh > 0.0, "{energies:?}");
}

#[test]
fn an_energy_that_does_not_follow_from_the_power_is_found() {
    let spec = BatterySpec::new(WattHours::of(100e3), Watts::of(50e3), Ratio::of(0.5));
    let mut bus = bus_of(BatterySpec { mode: Mode::Off, ..spec });
    let mut ledger = Ledger::new(&bus);
    bus.advance(hours(1), &mut ());
    // The segment lasted an hour; the ledger is told that it was a second longer.
    ledger.segment(&bus, hours(0), hours(1) + Span::from_secs(1));
    let found = ledger.check(&bus).expect_err("the load states the energy of one hour");
    assert_eq!(found.what, Balance::Stated(ComponentIndex(1)));
    assert!((found.expected_wh - found.found_wh - 20e3 / 3_600.0).abs() < 1e-9, "{found}");
}

#[test]
fn energy_that_appears_in_a_battery_is_found_from_one_watt_hour_on() {
    let ledger = Ledger::new(&bus(0.5));
    assert_eq!(ledger.check(&bus(0.500_009)), Ok(()));
    let found = ledger.check(&bus(0.500_011)).expect_err("1.1 Wh came from nowhere");
    assert_eq!(found.what, Balance::Stored(BATTERY));
}

#[test]
fn a_segment_that_is_kept_from_the_ledger_is_found_in_the_battery() {
    let mut bus = bus(0.5);
    let mut ledger = Ledger::new(&bus);
    bus.command(BATTERY, Watts::of(30e3), hours(0), &mut ledger);
    bus.advance(hours(1), &mut ());
    bus.advance(hours(2), &mut ledger);
    assert!(ledger.check(&bus).is_err());
}

#[test]
fn a_sum_keeps_what_plain_addition_loses() {
    let mut sum = Sum::default();
    sum.add(1e16);
    for _ in 0..1_000 {
        sum.add(1.0);
    }
    sum.add(-1e16);
    assert!((sum.total() - 1_000.0).abs() < 1e-9);
}

/// A plant that makes one mistake in every segment: what it did goes through `mistake` before the ledger sees it.
struct Tampered<'a, F> {
    ledger: &'a mut Ledger,
    mistake: F,
}

impl<F: Fn(&mut Bus)> Watch for Tampered<'_, F> {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let mut told = bus.clone();
        (self.mistake)(&mut told);
        self.ledger.segment(&told, from, to);
    }
}

/// An hour of sun, load and a battery that charges, discharges, moves and lies still, and half an hour without voltage.
/// The plant exports, imports and is curtailed.
fn tampered(mistake: impl Fn(&mut Bus)) -> Result<(), Imbalance> {
    let spec = BatterySpec {
        lag: Span::from_secs(40),
        ..BatterySpec::new(WattHours::of(100e3), Watts::of(50e3), Ratio::of(0.5))
    };
    let sun = Source::constant(30e3).expect("a finite constant");
    let mut bus = Bus::new(vec![
        Component::Battery(Battery::new(spec).expect("a valid battery")),
        Component::Load(Load::new(Source::constant(20e3).expect("a finite constant"))),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
        Component::Pv(Pv::new(PvSpec::new(Watts::of(40e3)), sun).expect("a valid plant")),
    ])
    .expect("one connection");
    let mut ledger = Ledger::new(&bus);
    let minutes = |minutes| Time::ZERO + Span::from_mins(minutes);
    let watch = &mut Tampered { ledger: &mut ledger, mistake };
    bus.command(BATTERY, Watts::of(40e3), minutes(0), watch);
    bus.command(BATTERY, Watts::of(-35e3), minutes(20), watch);
    bus.command(PV, Watts::of(25e3), minutes(30), watch);
    bus.command(BATTERY, Watts::ZERO, minutes(40), watch);
    bus.breaker(Position::Open, minutes(60), watch);
    bus.breaker(Position::Closed, minutes(90), watch);
    bus.advance(minutes(120), watch);
    ledger.check(&bus)
}

fn connection(change: impl Fn(&mut ConnectionFlow)) -> Result<(), Imbalance> {
    tampered(|bus| {
        let Component::Connection(connection) = bus.tamper(CONNECTION) else {
            panic!("it is the connection")
        };
        change(connection.tamper());
    })
}

fn load(change: impl Fn(&mut LoadFlow)) -> Result<(), Imbalance> {
    tampered(|bus| {
        let Component::Load(load) = bus.tamper(LOAD) else { panic!("it is the load") };
        change(load.tamper());
    })
}

fn plant(change: impl Fn(&mut PvFlow)) -> Result<(), Imbalance> {
    tampered(|bus| {
        let Component::Pv(plant) = bus.tamper(PV) else { panic!("it is the plant") };
        change(plant.tamper());
    })
}

fn battery(change: impl Fn(&mut BatteryFlow)) -> Result<(), Imbalance> {
    tampered(|bus| {
        let Component::Battery(battery) = bus.tamper(BATTERY) else { panic!("it is the battery") };
        change(battery.tamper().0);
    })
}

fn assert_found(at: ComponentIndex, result: Result<(), Imbalance>) {
    let found = result.expect_err("the mistake is found");
    assert!(matches!(found.what, Balance::Stated(index) | Balance::Stored(index) if index == at), "{found}");
}

#[test]
fn a_plant_without_a_mistake_is_right() {
    assert_eq!(tampered(|_| {}), Ok(()));
}

#[test]
fn a_mistake_in_any_energy_is_found_in_the_segment_where_it_is_made() {
    let off_wh = 5.0;
    // Equal errors in both directions balance, and are wrong all the same.
    assert_found(CONNECTION, connection(|flow| (flow.import_wh, flow.export_wh) = both(flow, off_wh)));
    assert_found(CONNECTION, connection(|flow| flow.import_wh += off_wh));
    assert_found(CONNECTION, connection(|flow| flow.export_wh += off_wh));
    assert_found(LOAD, load(|flow| flow.served_wh += off_wh));
    assert_found(LOAD, load(|flow| flow.unserved_wh += off_wh));
    assert_found(PV, plant(|flow| flow.made_wh += off_wh));
    assert_found(PV, plant(|flow| flow.available_wh += off_wh));
    assert_found(BATTERY, battery(|flow| flow.charge_wh += off_wh));
    assert_found(BATTERY, battery(|flow| flow.discharge_wh += off_wh));
    let both_ways = |flow: &mut BatteryFlow| {
        flow.charge_wh += off_wh;
        flow.discharge_wh += off_wh;
    };
    assert_found(BATTERY, battery(both_ways));
    assert_found(BATTERY, battery(|flow| flow.conversion_wh += off_wh));
    assert_found(BATTERY, battery(|flow| flow.standby_wh += off_wh));
    assert_found(BATTERY, battery(|flow| flow.stored_start_j += off_wh * 3_600.0));
    let stored = |bus: &mut Bus| {
        let Component::Battery(battery) = bus.tamper(BATTERY) else { panic!("it is the battery") };
        *battery.tamper().1 += off_wh * 3_600.0;
    };
    assert_found(BATTERY, tampered(stored));
}

fn both(flow: &ConnectionFlow, off_wh: f64) -> (f64, f64) {
    (flow.import_wh + off_wh, flow.export_wh + off_wh)
}

#[test]
fn a_loss_that_is_missing_is_found() {
    assert_found(BATTERY, battery(|flow| flow.standby_wh = 0.0));
    assert_found(BATTERY, battery(|flow| flow.conversion_wh = 0.0));
    assert_found(LOAD, load(|flow| flow.unserved_wh = 0.0));
}

#[test]
fn a_load_that_is_not_served_on_a_live_bus_is_found() {
    let starving =
        |flow: &mut LoadFlow| *flow = LoadFlow { start_w: 0.0, end_w: 0.0, served_wh: 0.0, ..*flow };
    assert_found(LOAD, load(starving));
}

#[test]
fn mistakes_too_small_for_one_segment_are_found_in_their_sum() {
    let mut bus = bus(0.5);
    let mut ledger = Ledger::new(&bus);
    let tiny = |bus: &mut Bus| {
        let Component::Connection(connection) = bus.tamper(CONNECTION) else {
            panic!("it is the connection")
        };
        connection.tamper().import_wh += 5e-5;
        connection.tamper().export_wh += 5e-5;
    };
    for second in 1..30_000 {
        let at = Time::ZERO + Span::from_secs(second);
        bus.advance(at, &mut Tampered { ledger: &mut ledger, mistake: tiny });
    }
    let found = ledger.check(&bus).expect_err("1.5 Wh too much in either direction");
    assert_eq!(found.what, Balance::Sum(Kind::Import));
}

#[test]
fn an_emptied_battery_stands_by_again_from_half_a_step_of_the_taper_on() {
    let mut bus = bus(0.01);
    let mut ledger = Ledger::new(&bus);
    bus.command(BATTERY, Watts::of(50e3), hours(0), &mut ledger);
    bus.advance(hours(2), &mut ledger);
    assert_eq!(
        bus.value(bus.truth(BATTERY, crate::plant::Quantity::StateOfCharge).expect("it has one")),
        0.0
    );
    bus.command(BATTERY, Watts::of(-100.0), hours(2), &mut ledger);
    bus.advance(hours(3), &mut ledger);
    bus.command(BATTERY, Watts::of(-20e3), hours(3), &mut ledger);
    bus.advance(hours(4), &mut ledger);
    assert_eq!(ledger.check(&bus), Ok(()));
}
