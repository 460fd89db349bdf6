//! Batteries that nobody writes to any more, and what the checker makes of them.

use alloc::vec;

use r_ems_engine::units::{Ratio, WattHours, Watts};

use super::*;
use crate::plant::{Battery, BatterySpec, Connection, Forming, Load, Position, Pv, PvSpec};
use crate::sources::Source;

const BATTERY: ComponentIndex = ComponentIndex(0);
const REVERSION: Span = Span::from_secs(60);

fn spec() -> BatterySpec {
    BatterySpec {
        lag: Span::from_secs(4),
        reversion: Some(REVERSION),
        fallback: Watts::of(-10e3),
        ..BatterySpec::new(WattHours::of(100e3), Watts::of(50e3), Ratio::of(0.5))
    }
}

fn bus(spec: BatterySpec) -> Bus {
    Bus::new(vec![
        Component::Battery(Battery::new(spec).expect("a valid battery")),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
    ])
    .expect("one connection")
}

fn at(seconds: u64) -> Time {
    Time::ZERO + Span::from_secs(seconds)
}

fn write(bus: &mut Bus, timers: &mut Timers, seconds: u64, watts: f64) {
    bus.command(BATTERY, Watts::of(watts), at(seconds), timers);
    timers.accepted(at(seconds), BATTERY);
}

/// Looks every second up to an instant.
fn advance(bus: &mut Bus, timers: &mut Timers, seconds: u64) {
    for second in bus.now().as_nanos() / 1_000_000_000 + 1..=seconds {
        bus.advance(at(second), timers);
    }
}

/// What is found of a battery that really is another than the checker believes, which is written to once.
fn found(real: BatterySpec, seconds: u64) -> Result<(), Time> {
    let (mut timers, mut bus) = (Timers::new(&bus(spec())), bus(real));
    write(&mut bus, &mut timers, 10, 40e3);
    advance(&mut bus, &mut timers, seconds);
    timers.check().map_err(|found| found.ended_at)
}

#[test]
fn a_battery_that_falls_back_whatever_happens_to_it_keeps_the_promise() {
    let mut bus = bus(spec());
    let mut timers = Timers::new(&bus);
    write(&mut bus, &mut timers, 10, 40e3);
    write(&mut bus, &mut timers, 50, 40e3);
    advance(&mut bus, &mut timers, 109);
    assert!(bus.components()[0].power_w() > 39e3, "the second write counts");
    advance(&mut bus, &mut timers, 200);
    bus.stop(BATTERY, at(210), &mut timers);
    bus.start(BATTERY, at(211), &mut timers);
    bus.breaker(Position::Open, at(220), &mut timers);
    bus.breaker(Position::Closed, at(221), &mut timers);
    // Until it is full, and takes less than it falls back to.
    advance(&mut bus, &mut timers, 36_000);
    write(&mut bus, &mut timers, 36_001, 50e3);
    bus.restart(BATTERY, at(36_010), &mut timers);
    timers.restarted(at(36_010), BATTERY);
    advance(&mut bus, &mut timers, 36_400);
    assert_eq!(timers.check(), Ok(()));
}

#[test]
fn a_battery_that_holds_an_island_follows_no_set_point_and_falls_back_when_it_does_so_no_more() {
    let forms = BatterySpec { forms: Some(Forming::default()), ..spec() };
    let load = Component::Load(Load::new(Source::constant(30e3).expect("finite")));
    let connection = Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection"));
    let battery = Component::Battery(Battery::new(forms).expect("a valid battery"));
    let mut bus = Bus::new(vec![battery, load, connection]).expect("one connection");
    let mut timers = Timers::new(&bus);
    write(&mut bus, &mut timers, 10, 5e3);
    bus.breaker(Position::Open, at(20), &mut timers);
    advance(&mut bus, &mut timers, 200);
    assert_eq!(bus.components()[0].power_w(), 30e3);
    assert_eq!(timers.check(), Ok(()), "it gives more than its set-point ever was");
    bus.breaker(Position::Closed, at(200), &mut timers);
    advance(&mut bus, &mut timers, 300);
    assert!((bus.components()[0].power_w() + 10e3).abs() < 1.0);
    assert_eq!(timers.check(), Ok(()));
}

#[test]
fn a_battery_that_follows_for_longer_than_its_reversion_is_found() {
    assert_eq!(found(spec(), 600), Ok(()));
    assert_eq!(found(BatterySpec { reversion: None, ..spec() }, 600), Err(at(70)));
    assert_eq!(
        found(BatterySpec { reversion: Some(REVERSION + Span::from_secs(1)), ..spec() }, 600),
        Err(at(70))
    );
    assert_eq!(found(BatterySpec { reversion: None, ..spec() }, 70), Ok(()), "it has not ended yet");
    assert_eq!(found(BatterySpec { reversion: None, ..spec() }, 71), Err(at(70)));
}

#[test]
fn a_battery_that_follows_though_it_heard_nobody_for_too_long_is_found() {
    let heartbeat = Span::from_secs(10);
    let listens = BatterySpec { heartbeat: Some(heartbeat), ..spec() };
    assert_eq!(found(listens, 600), Ok(()));
    let (mut timers, mut deaf) = (Timers::new(&bus(listens)), bus(spec()));
    write(&mut deaf, &mut timers, 10, 40e3);
    for second in [15, 20, 28] {
        advance(&mut deaf, &mut timers, second);
        timers.heard(at(second), BATTERY);
    }
    advance(&mut deaf, &mut timers, 38);
    assert_eq!(timers.check(), Ok(()));
    // What it hears too late brings nothing back.
    timers.heard(at(39), BATTERY);
    advance(&mut deaf, &mut timers, 40);
    assert_eq!(timers.check().map_err(|found| found.ended_at), Err(at(38)));
}

#[test]
fn a_battery_that_falls_back_too_slowly_or_elsewhere_is_found() {
    assert_eq!(found(BatterySpec { lag: Span::from_secs(8), ..spec() }, 600), Err(at(70)));
    assert_eq!(found(BatterySpec { fallback: Watts::of(-10.1e3), ..spec() }, 600), Err(at(70)));
    assert_eq!(found(BatterySpec { fallback: Watts::of(0.1e3), ..spec() }, 600), Err(at(70)));
    assert_eq!(
        found(BatterySpec { fallback: Watts::ZERO, ..spec() }, 600),
        Ok(()),
        "as where less is possible"
    );
}

#[test]
fn a_restart_ends_a_set_point_at_once() {
    let mut bus = bus(spec());
    let mut timers = Timers::new(&bus);
    write(&mut bus, &mut timers, 10, 40e3);
    timers.restarted(at(20), BATTERY);
    advance(&mut bus, &mut timers, 30);
    let found = timers.check().expect_err("it has not restarted");
    assert_eq!((found.at, found.ended_at, found.fallback_w), (at(22), at(20), -10e3));
    assert!(
        alloc::format!("{found}")
            .ends_with("at 22 s though its set-point ended 2 s before and it falls back to -10000 W"),
        "{found}"
    );
}

#[test]
fn a_device_without_a_timer_and_one_that_was_never_written_to_promise_nothing() {
    let no_timer = BatterySpec { reversion: None, power: Watts::of(30e3), ..spec() };
    for spec in [no_timer, BatterySpec { power: Watts::of(30e3), ..spec() }] {
        let mut bus = bus(spec);
        let mut timers = Timers::new(&bus);
        advance(&mut bus, &mut timers, 300);
        assert_eq!(timers.check(), Ok(()));
    }
}

/// A photovoltaic plant under a steady sun of 40 kW, which comes back from nothing within 10 s.
fn sunny(heartbeat: Option<Span>) -> Bus {
    let pv = Pv::new(PvSpec::new(Watts::of(50e3)), Source::constant(40e3).expect("a finite power"));
    let mut bus = Bus::new(vec![
        Component::Pv(pv.expect("a valid plant")),
        Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
    ])
    .expect("one connection");
    if let Some(timeout) = heartbeat {
        bus.expect_heartbeats(BATTERY, timeout);
    }
    bus
}

#[test]
fn a_photovoltaic_plant_that_hears_nobody_releases_its_limit() {
    let heartbeat = Some(Span::from_secs(10));
    let mut bus = sunny(heartbeat);
    let mut timers = Timers::new(&bus);
    write(&mut bus, &mut timers, 10, 5e3);
    for second in [15, 24] {
        bus.hear(BATTERY, at(second), &mut timers);
        timers.heard(at(second), BATTERY);
        assert!(bus.is_commanded(BATTERY));
    }
    advance(&mut bus, &mut timers, 33);
    assert!(bus.components()[0].power_w() < 5.1e3, "it is limited while it hears somebody");
    advance(&mut bus, &mut timers, 60);
    assert!(bus.components()[0].power_w() > 39.9e3 && !bus.is_commanded(BATTERY));
    bus.breaker(Position::Open, at(61), &mut timers);
    advance(&mut bus, &mut timers, 90);
    bus.breaker(Position::Closed, at(91), &mut timers);
    write(&mut bus, &mut timers, 92, 5e3);
    advance(&mut bus, &mut timers, 200);
    assert_eq!(timers.check(), Ok(()));
}

#[test]
fn a_photovoltaic_plant_that_stays_limited_though_it_heard_nobody_is_found() {
    let (mut timers, mut deaf) = (Timers::new(&sunny(Some(Span::from_secs(10)))), sunny(None));
    write(&mut deaf, &mut timers, 10, 5e3);
    advance(&mut deaf, &mut timers, 30);
    assert_eq!(timers.check(), Ok(()), "it may take so long to come back");
    advance(&mut deaf, &mut timers, 32);
    assert_eq!(timers.check().map_err(|found| found.ended_at), Err(at(20)));
}
