//! Islands against closed forms.

mod island_bus;

use island_bus::*;
use r_ems_engine::units::{Ratio, WattHours};
use r_ems_engine::{Span, Time, math};
use r_ems_sim::account::Account;
use r_ems_sim::ledger::Ledger;
use r_ems_sim::plant::*;
use r_ems_sim::sources::Source;

#[test]
fn half_of_the_power_missing_makes_the_frequency_fall_18_hz_in_a_second() {
    let mut bus = island(vec![load(50.0), load(50.0), genset(running(100.0, 50.0))]);
    switch(&mut bus, 1, Position::Open, Time::ZERO);
    bus.advance(s(5), &mut ());
    // What happened before the second load was opened has died away.
    let before_hz = hz(&bus);
    assert!((before_hz - 50.0).abs() < 0.01, "{before_hz}");
    switch(&mut bus, 1, Position::Closed, s(5));
    let power_w = read(&bus, 2, Quantity::Power);
    assert!((power_w - 100e3).abs() < 1e-6, "the mass gives what the engine does not: {power_w}");
    bus.advance(s(5) + Span::from_millis(5), &mut ());
    let slope = (hz(&bus) - before_hz) / 0.005;
    assert!((slope + 50.0 * 0.5 / (2.0 * 0.7)).abs() < 0.05, "{slope} Hz/s");
}

#[test]
fn a_forming_battery_answers_a_step_as_its_filter_does() {
    let mut bus = island(vec![load(50.0), battery(former(100.0))]);
    for millis in [1, 2, 5, 10, 20, 100] {
        bus.advance(ms(millis), &mut ());
        let arrived = 1.0 - math::exp(-(millis as f64) / 10.0);
        let expected_hz = 50.0 * (1.0 - 0.01 * 0.5 * arrived);
        let found_hz = hz(&bus);
        assert!((found_hz - expected_hz).abs() < 1e-4, "{found_hz} and {expected_hz} Hz after {millis} ms");
        assert_eq!(read(&bus, 1, Quantity::Power), 50e3, "it balances the bus at once");
    }
    assert_eq!(bus.mode(), BusMode::Island);
}

#[test]
fn a_genset_holds_its_droop_in_the_end() {
    let mut bus = island(vec![load(20.0), genset(running(100.0, 0.0))]);
    bus.advance(s(120), &mut ());
    // The damping takes its part: throttle = P/S + D Δω.
    let expected_hz = 50.0 * (1.0 - 0.05 * 0.2 / (1.0 + 0.05));
    assert!((hz(&bus) - expected_hz).abs() < 1e-3, "{} and {expected_hz} Hz", hz(&bus));
    assert!((read(&bus, 1, Quantity::Power) - 20e3).abs() < 1e-6);
    // Its set-point is where it holds nominal frequency.
    bus.command(ComponentIndex(1), kw(20.0), s(120), &mut ());
    bus.advance(s(240), &mut ());
    assert!((hz(&bus) - 50.0).abs() < 1e-3, "{}", hz(&bus));
}

#[test]
fn formers_share_as_their_droops_say() {
    let slow = Forming { filter: Span::from_millis(40), ..Forming::default() };
    let second = BatterySpec { forms: Some(slow), ..former(50.0) };
    let mut bus =
        island(vec![load(60.0), battery(former(100.0)), battery(second), genset(running(100.0, 0.0))]);
    bus.advance(s(200), &mut ());
    let powers_w = [1, 2, 3].map(|former| read(&bus, former, Quantity::Power));
    // Each whole change of frequency is worth 100 kW / 0.01, 50 kW / 0.01, and 100 kW (1 / 0.05 + 1).
    let stiffness_w = [10e6, 5e6, 2.1e6];
    let all_w: f64 = stiffness_w.iter().sum();
    for (found_w, stiffness_w) in powers_w.into_iter().zip(stiffness_w) {
        assert!((found_w - 60e3 * stiffness_w / all_w).abs() < 5.0, "{powers_w:?}");
    }
    assert!((powers_w.iter().sum::<f64>() - 60e3).abs() < 1e-6);
    assert!((hz(&bus) - 50.0 * (1.0 - 60e3 / all_w)).abs() < 1e-4);
}

#[test]
fn a_quarter_of_the_step_gives_the_same_frequency() {
    let run = |step: Span| {
        let others = vec![load(20.0), load(15.0), genset(running(100.0, 20.0)), battery(former(40.0))];
        let mut bus = bus(others).with_island_step(step);
        bus.breaker(Position::Open, Time::ZERO, &mut ());
        let mut seen = Vec::new();
        for millis in (10..8_000).step_by(10) {
            bus.advance(ms(millis), &mut ());
            seen.push(hz(&bus));
        }
        seen
    };
    let gap = |one: &[f64], other: &[f64]| {
        one.iter()
            .zip(other)
            .map(|(one, other)| (one - other).abs())
            .fold(0.0_f64, |most, gap| if gap > most { gap } else { most })
    };
    let [coarse, usual, fine] = [2_000, 1_000, 250].map(|micros| run(Span::from_micros(micros)));
    let (far, near) = (gap(&coarse, &fine), gap(&usual, &fine));
    assert!(near < 1e-3, "{near} Hz");
    // The error falls with the square of the step.
    assert!(near < 0.35 * far, "{far} Hz at 2 ms, {near} Hz at 1 ms");
}

#[test]
fn an_opened_breaker_leaves_an_island_with_a_former_and_nothing_without() {
    let mut lively = bus(vec![load(50.0), battery(former(100.0))]);
    lively.command(ComponentIndex(1), kw(-80.0), s(1), &mut ());
    lively.advance(s(10), &mut ());
    assert_eq!((lively.mode(), read(&lively, 1, Quantity::Power)), (BusMode::Grid, -80e3));
    lively.breaker(Position::Open, s(10), &mut ());
    assert_eq!((lively.mode(), read(&lively, 1, Quantity::Power)), (BusMode::Island, 50e3));
    assert_eq!(hz(&lively), 50.0, "the frequency does not jump");
    let mut dead = bus(vec![load(50.0), battery(BatterySpec { forms: None, ..former(100.0) })]);
    dead.breaker(Position::Open, s(10), &mut ());
    assert_eq!((dead.mode(), hz(&dead)), (BusMode::Dead, 0.0));
}

#[test]
fn the_voltage_falls_with_the_reactive_power() {
    let lagging = plain_load(50.0).with_power_factor(Ratio::of(0.8)).expect("a usual one");
    let mut bus = island(vec![Component::Load(lagging), battery(former(100.0))]);
    bus.advance(s(1), &mut ());
    // 50 kW at a power factor of 0.8 come with 37.5 kvar.
    let voltage = read(&bus, 2, Quantity::Voltage);
    assert!((voltage - (1.0 - 0.05 * 0.375)).abs() < 1e-12, "{voltage}");
}

#[test]
fn an_overload_ends_the_island_after_its_time_and_a_greater_one_at_once() {
    let lives_s = |kilowatts: f64| {
        let mut bus = island(vec![load(kilowatts), battery(former(100.0))]);
        bus.advance(ms(9_999), &mut ());
        let early = bus.mode();
        bus.advance(ms(10_000), &mut ());
        (early, bus.mode(), read(&bus, 1, Quantity::Trips))
    };
    assert_eq!(lives_s(100.0), (BusMode::Island, BusMode::Island, 0.0));
    assert_eq!(lives_s(119.0), (BusMode::Island, BusMode::Dead, 1.0));
    assert_eq!(lives_s(121.0), (BusMode::Dead, BusMode::Dead, 1.0));
}

#[test]
fn a_dead_bus_lives_again_when_a_former_is_started() {
    let mut bus = island(vec![load(80.0), load(80.0), battery(former(100.0))]);
    assert_eq!(bus.mode(), BusMode::Dead);
    switch(&mut bus, 1, Position::Open, s(10));
    bus.advance(s(20), &mut ());
    assert_eq!(bus.mode(), BusMode::Dead, "it stays off until somebody starts it");
    bus.start(ComponentIndex(2), s(20), &mut ());
    bus.advance(s(30), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Power)), (BusMode::Island, 80e3));
}

#[test]
fn an_empty_battery_ends_its_island() {
    let spec = BatterySpec { capacity: WattHours::of(2e3), ..former(100.0) };
    let mut bus = island(vec![load(100.0), battery(spec)]);
    let mut ledger = Ledger::new(&bus);
    // 1 kWh at 100 kW and 7.5 % of losses.
    let ends_s = 3_600.0 * 0.01 / 1.075;
    bus.advance(Time::ZERO + Span::from_secs_f64(ends_s - 0.001), &mut ledger);
    assert_eq!(bus.mode(), BusMode::Island);
    bus.advance(Time::ZERO + Span::from_secs_f64(ends_s + 0.001), &mut ledger);
    assert_eq!((bus.mode(), read(&bus, 1, Quantity::StoredEnergy)), (BusMode::Dead, 0.0));
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn a_relay_sheds_its_load_which_comes_back_by_command_only() {
    let relay = Relay::new(49.0, Span::from_millis(100)).expect("a usual relay");
    let shed = Component::Load(plain_load(50.0).shed_by(relay));
    let mut bus = bus(vec![load(40.0), shed, genset(running(100.0, 40.0))]);
    let (mut ledger, mut account) = (Ledger::new(&bus), Account::new(&bus, s(900), None));
    bus.breaker(Position::Open, s(1), &mut (&mut ledger, &mut account));
    // The grid gave 50 kW: half of the rating is missing, and 49 Hz are passed after 1 / 17.9 s.
    let passes = s(1) + Span::from_secs_f64(1.0 / (50.0 * 0.5 / 1.4));
    bus.advance(passes + Span::from_millis(99), &mut (&mut ledger, &mut account));
    assert_eq!(read(&bus, 1, Quantity::Closed), 1.0);
    bus.advance(passes + Span::from_millis(105), &mut (&mut ledger, &mut account));
    assert_eq!((read(&bus, 1, Quantity::Closed), read(&bus, 1, Quantity::Power)), (0.0, 0.0));
    bus.advance(s(61), &mut (&mut ledger, &mut account));
    assert_eq!((bus.mode(), read(&bus, 1, Quantity::Closed)), (BusMode::Island, 0.0));
    assert!((hz(&bus) - 50.0).abs() < 0.05, "{}", hz(&bus));
    let unserved_wh = ledger.energies(&bus).unserved_wh;
    assert!((unserved_wh - 50e3 * 59.84 / 3_600.0).abs() < 0.1, "{unserved_wh}");
    bus.load_breaker(ComponentIndex(1), Position::Closed, s(61), &mut (&mut ledger, &mut account));
    assert_eq!(read(&bus, 1, Quantity::Power), -50e3);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn a_relay_looks_at_the_frequency_of_the_grid_too() {
    let relay = Relay::new(49.0, Span::from_millis(100)).expect("a usual relay");
    let mut bus = bus(vec![Component::Load(plain_load(50.0).shed_by(relay))]);
    bus.set_grid(GridValue::Frequency, Some(48.9), s(1), &mut ());
    bus.advance(ms(1_099), &mut ());
    assert_eq!(read(&bus, 0, Quantity::Power), -50e3);
    bus.advance(ms(1_100), &mut ());
    assert_eq!((read(&bus, 0, Quantity::Power), read(&bus, 0, Quantity::Trips)), (0.0, 1.0));
}

#[test]
fn an_island_meets_the_grid_when_its_angle_fits() {
    // 50 % of the rating: 0.5 % of slip, a quarter of a turn in a second.
    let mut bus = island(vec![load(50.0), battery(former(100.0))]);
    bus.advance(s(2), &mut ());
    bus.breaker(Position::Closed, s(2), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Waiting)), (BusMode::Island, 1.0));
    // One whole turn less 10 degrees; the filter was a hundredth of a second late.
    let fits_s = 0.01 + (1.0 - 10.0 / 360.0) / 0.25;
    bus.advance(Time::ZERO + Span::from_secs_f64(fits_s - 0.003), &mut ());
    assert_eq!(bus.mode(), BusMode::Island);
    bus.advance(Time::ZERO + Span::from_secs_f64(fits_s + 0.003), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Waiting)), (BusMode::Grid, 0.0));
    let power_w = read(&bus, 2, Quantity::Power);
    assert!((0.0..5e3).contains(&power_w), "the battery goes on from what it gave: {power_w} W are drawn");
    bus.advance(s(60), &mut ());
    assert_eq!(read(&bus, 2, Quantity::Power), 50e3, "and follows its set-point again");
}

#[test]
fn a_request_without_slip_ends_with_its_time_out_and_a_dead_bus_closes_at_once() {
    let mut bus = island(vec![load(0.0), battery(former(100.0))]);
    bus.breaker(Position::Closed, s(5), &mut ());
    bus.advance(s(64), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Waiting)), (BusMode::Island, 1.0));
    bus.advance(s(66), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Waiting)), (BusMode::Island, 0.0));
    bus.breaker(Position::Closed, s(70), &mut ());
    bus.stop(ComponentIndex(1), s(71), &mut ());
    assert_eq!(bus.mode(), BusMode::Grid, "who waited for an angle need not once the bus is dead");
}

#[test]
fn what_is_closed_out_of_phase_without_a_check_trips_and_is_counted() {
    let bare = Connection::new(kw(400.0)).and_then(|made| made.checked_by(None)).expect("a valid connection");
    let mut bus =
        Bus::new(vec![load(50.0), battery(former(100.0)), Component::Connection(bare)]).expect("one");
    bus.breaker(Position::Open, s(1), &mut ());
    bus.breaker(Position::Closed, s(3), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Trips)), (BusMode::Island, 1.0));
    // A whole turn after the opening it would have fitted.
    bus.breaker(Position::Closed, ms(5_010), &mut ());
    assert_eq!((bus.mode(), read(&bus, 2, Quantity::Trips)), (BusMode::Grid, 1.0));
}

#[test]
fn a_limit_that_was_on_its_way_when_the_bus_died_is_there_when_it_lives_again() {
    let sun = Source::constant(50e3).expect("finite");
    let spec = PvSpec { lag: Span::from_secs(1), ..PvSpec::new(kw(60.0)) };
    let mut bus = bus(vec![load(20.0), Component::Pv(Pv::new(spec, sun).expect("a valid plant"))]);
    let plant = ComponentIndex(1);
    bus.command(plant, kw(0.0), s(10), &mut ());
    bus.breaker(Position::Open, ms(10_100), &mut ());
    bus.command(plant, kw(60.0), s(20), &mut ());
    bus.breaker(Position::Closed, s(21), &mut ());
    let made_w = read(&bus, 1, Quantity::Power);
    assert!((made_w - 6e3).abs() < 1e-6, "a tenth of the rating in a second, from nothing on: {made_w} W");
}
