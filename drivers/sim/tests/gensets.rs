//! Gensets: how they start, what ends them, what they burn.

mod island_bus;

use island_bus::*;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::WattsPerSecond;
use r_ems_engine::{Span, Time};
use r_ems_sim::account::Account;
use r_ems_sim::ledger::Ledger;
use r_ems_sim::plant::*;
use r_ems_sim::sources::Source;

const GENSET: ComponentIndex = ComponentIndex(1);

fn state(bus: &Bus) -> f64 {
    read(bus, GENSET.0, Quantity::State)
}

fn quick(fails_first: u32) -> GensetSpec {
    GensetSpec {
        fails_first,
        set_point: kw(60.0),
        ramp: WattsPerSecond::of(10e3),
        ..GensetSpec::new(kw(100.0))
    }
}

#[test]
fn a_genset_passes_through_its_states_and_ramps_to_its_set_point() {
    let mut bus = bus(vec![load(100.0), genset(quick(1))]);
    let mut ledger = Ledger::new(&bus);
    bus.start(GENSET, s(0), &mut ledger);
    // Two attempts of 5 s, 30 s of warming up, 5 s of synchronizing, 6 s to 60 kW.
    for (second, number) in [(1, 1.0), (9, 1.0), (10, 2.0), (39, 2.0), (40, 3.0), (44, 3.0), (45, 4.0)] {
        bus.advance(s(second), &mut ledger);
        assert_eq!(state(&bus), number, "at {second} s");
    }
    bus.advance(s(48), &mut ledger);
    assert!((read(&bus, 1, Quantity::Power) - 30e3).abs() < 1e-3);
    bus.advance(s(60), &mut ledger);
    assert_eq!((read(&bus, 1, Quantity::Power), read(&bus, 2, Quantity::Power)), (60e3, 40e3));
    bus.stop(GENSET, s(100), &mut ledger);
    assert_eq!((state(&bus), read(&bus, 1, Quantity::Power)), (5.0, 0.0));
    bus.advance(s(280), &mut ledger);
    assert_eq!(state(&bus), 0.0);
    // The engine turned from 10 s on to the end of its cool-down; 60 kW for 49 s and a triangle of 6 s before.
    assert_eq!(read(&bus, 1, Quantity::Starts), 1.0);
    assert!((read(&bus, 1, Quantity::RunningHours) - 270.0 / 3_600.0).abs() < 1e-12);
    let made_kwh = 60.0 * (49.0 + 3.0) / 3_600.0;
    let fuel_l = 8.145 * 270.0 / 3_600.0 + 0.246 * made_kwh;
    assert!((read(&bus, 1, Quantity::Fuel) - fuel_l).abs() < 1e-9, "{}", read(&bus, 1, Quantity::Fuel));
    assert!((ledger.energies(&bus).generated_wh - made_kwh * 1e3).abs() < 1e-6);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn one_that_a_fault_holds_is_reset_by_a_stop_only_when_that_is_over() {
    for is_stopped_meanwhile in [false, true] {
        let mut bus = bus(vec![load(100.0), genset(quick(0))]);
        bus.start(GENSET, s(0), &mut ());
        bus.fail(GENSET, s(60), &mut ());
        assert_eq!((state(&bus), read(&bus, 1, Quantity::Power)), (6.0, 0.0));
        if is_stopped_meanwhile {
            bus.stop(GENSET, s(70), &mut ());
            assert_eq!(state(&bus), 6.0, "what holds it is not over");
        }
        bus.recover(GENSET, s(100), &mut ());
        assert_eq!(state(&bus), if is_stopped_meanwhile { 0.0 } else { 6.0 });
        bus.stop(GENSET, s(110), &mut ());
        assert_eq!(state(&bus), 0.0);
    }
}

#[test]
fn one_that_does_not_start_has_failed_until_it_is_reset() {
    let mut bus = bus(vec![load(100.0), genset(quick(3))]);
    bus.start(GENSET, s(0), &mut ());
    bus.advance(ms(14_999), &mut ());
    assert_eq!(state(&bus), 1.0);
    bus.advance(s(15), &mut ());
    assert_eq!(state(&bus), 6.0);
    bus.start(GENSET, s(20), &mut ());
    assert_eq!(state(&bus), 6.0, "a fault is not started away");
    bus.stop(GENSET, s(21), &mut ());
    bus.start(GENSET, s(22), &mut ());
    bus.advance(s(27), &mut ());
    assert_eq!(state(&bus), 2.0, "the fourth attempt succeeds");
}

#[test]
fn starts_fail_by_chance_as_often_as_they_should_and_alike_for_one_seed() {
    let failed = |seed: u64| {
        let spec = GensetSpec { fails: (1, 4), attempts: 1, ..quick(0) };
        let component = Component::Genset(Genset::new(spec, Stream::new(seed, 1)).expect("a valid genset"));
        let mut bus = bus(vec![load(100.0), component]);
        bus.start(GENSET, s(0), &mut ());
        bus.advance(s(6), &mut ());
        state(&bus) > 5.0
    };
    let count = (0..1_000).filter(|seed| failed(*seed)).count();
    assert!((200..300).contains(&count), "{count} of 1,000");
    assert_eq!(failed(3), failed(3));
}

#[test]
fn a_genset_closes_on_a_dead_bus_when_it_is_warm() {
    let mut bus = island(vec![load(20.0), genset(quick(0))]);
    assert_eq!(bus.mode(), BusMode::Dead);
    bus.start(GENSET, s(0), &mut ());
    bus.advance(ms(34_999), &mut ());
    assert_eq!(bus.mode(), BusMode::Dead);
    bus.advance(s(35), &mut ());
    assert_eq!((bus.mode(), read(&bus, 1, Quantity::Power)), (BusMode::Island, 20e3));
}

#[test]
fn a_second_genset_joins_an_island_without_a_jump_and_takes_its_half() {
    let second = GensetSpec { set_point: kw(0.0), ..quick(0) };
    let mut bus = island(vec![load(40.0), genset(second), genset(running(100.0, 40.0))]);
    bus.start(GENSET, s(0), &mut ());
    bus.advance(ms(39_999), &mut ());
    let before_hz = hz(&bus);
    bus.advance(ms(40_001), &mut ());
    assert_eq!(state(&bus), 4.0);
    assert!((hz(&bus) - before_hz).abs() < 1e-4);
    bus.command(GENSET, kw(20.0), s(41), &mut ());
    bus.command(ComponentIndex(2), kw(20.0), s(41), &mut ());
    // Governors that share come together with a time constant of 1 / (0.05 · 0.8 / s).
    bus.advance(s(400), &mut ());
    assert!((read(&bus, 1, Quantity::Power) - 20e3).abs() < 10.0 && (hz(&bus) - 50.0).abs() < 1e-3);
}

#[test]
fn power_that_flows_back_into_a_genset_trips_it() {
    let sun = Source::constant(50e3).expect("finite");
    let plant = Component::Pv(Pv::new(PvSpec::new(kw(60.0)), sun).expect("a valid plant"));
    let mut bus = bus(vec![load(40.0), genset(running(100.0, 0.0)), plant]);
    let mut ledger = Ledger::new(&bus);
    bus.breaker(Position::Open, s(1), &mut ledger);
    bus.advance(ms(5_999), &mut ledger);
    assert_eq!((bus.mode(), read(&bus, 1, Quantity::Power) < -8e3), (BusMode::Island, true));
    bus.advance(s(6), &mut ledger);
    assert_eq!((bus.mode(), state(&bus), read(&bus, 1, Quantity::Trips)), (BusMode::Dead, 6.0, 1.0));
    assert!((ledger.energies(&bus).absorbed_wh - 50e3 / 3_600.0).abs() < 0.01);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn a_load_beyond_the_rating_trips_a_genset_after_its_time() {
    let long = GensetSpec { overload_time: Span::from_millis(300), ..running(100.0, 100.0) };
    let mut bus = island(vec![load(104.0), genset(long)]);
    bus.advance(ms(299), &mut ());
    assert_eq!(bus.mode(), BusMode::Island);
    bus.advance(ms(300), &mut ());
    assert_eq!((bus.mode(), state(&bus)), (BusMode::Dead, 6.0));
}

#[test]
fn an_island_whose_frequency_is_lost_collapses() {
    let mut bus = island(vec![load(100.0), genset(running(100.0, 0.0))]);
    // 40 Hz are passed after 10 / 35.7 s.
    bus.advance(ms(270), &mut ());
    assert_eq!(bus.mode(), BusMode::Island);
    bus.advance(ms(330), &mut ());
    assert_eq!((bus.mode(), hz(&bus), bus.next_event()), (BusMode::Dead, 0.0, None));
    bus.breaker(Position::Closed, s(1), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Power)), (BusMode::Grid, 100e3));
    bus.advance(Time::ZERO + Span::from_hours(100), &mut ());
}

#[test]
fn what_a_genset_exports_beyond_the_sunshine_makes_no_sunshine_that_is_used() {
    let sun = Source::constant(10e3).expect("finite");
    let plant = Component::Pv(Pv::new(PvSpec::new(kw(60.0)), sun).expect("a valid plant"));
    let mut bus = bus(vec![load(5.0), genset(running(100.0, 80.0)), plant]);
    let mut account = Account::new(&bus, s(900), None);
    bus.advance(s(3_600), &mut account);
    assert_eq!(account.pv_used_wh(), 0.0, "85 kW are exported, 10 of them from the sun");
}
