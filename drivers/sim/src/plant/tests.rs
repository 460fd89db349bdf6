//! The components on a bus, against closed forms.

use alloc::vec;

use r_ems_engine::units::{Ratio, WattHours, Watts, WattsPerSecond};
use r_ems_engine::{Span, Time, math};

use super::*;
use crate::account::Account;
use crate::ledger::Ledger;
use crate::sources::{Blocks, Ramp, Source};

const LOAD: ComponentIndex = ComponentIndex(0);
const PV: ComponentIndex = ComponentIndex(1);
const BESS: ComponentIndex = ComponentIndex(2);
const PCC: ComponentIndex = ComponentIndex(3);

fn seconds(seconds: u64) -> Time {
    Time::ZERO + Span::from_secs(seconds)
}

fn kw(kilowatts: f64) -> Watts {
    Watts::of(kilowatts * 1e3)
}

fn constant(kilowatts: f64) -> Source {
    Source::constant(kilowatts * 1e3).expect("a finite constant")
}

/// 500 kWh and 250 kW at `soc`, with a lag of 2 s and a dead time of 1 s.
fn battery(soc: f64) -> BatterySpec {
    BatterySpec {
        dead_time: Span::from_secs(1),
        lag: Span::from_secs(2),
        ..BatterySpec::new(WattHours::of(500e3), kw(250.0), Ratio::of(soc))
    }
}

/// The sources that a test does not care about are constants: 100 kW of load, 40 kW of sun.
fn bus_of(load: Source, sun: Source, battery: BatterySpec) -> Bus {
    let pv = PvSpec { lag: Span::from_secs(2), release: WattsPerSecond::of(1e3), ..PvSpec::new(kw(60.0)) };
    Bus::new(vec![
        Component::Load(Load::new(load)),
        Component::Pv(Pv::new(pv, sun).expect("a valid plant")),
        Component::Battery(Battery::new(battery).expect("a valid battery")),
        Component::Connection(Connection::new(kw(400.0)).expect("a valid connection")),
    ])
    .expect("one connection")
}

fn bus(battery: BatterySpec) -> Bus {
    bus_of(constant(100.0), constant(40.0), battery)
}

fn read(bus: &Bus, component: ComponentIndex, quantity: Quantity) -> f64 {
    bus.value(bus.truth(component, quantity).expect("the component has this value"))
}

#[test]
fn the_connection_balances_the_bus() {
    let mut bus = bus(battery(0.5));
    assert_eq!(read(&bus, PCC, Quantity::Power), 60e3);
    assert_eq!(read(&bus, LOAD, Quantity::Power), -100e3);
    bus.command(BESS, kw(25.0), seconds(10), &mut ());
    bus.advance(seconds(100), &mut ());
    assert_eq!(read(&bus, PCC, Quantity::Power), 35e3);
}

#[test]
fn a_command_follows_after_the_dead_time_as_a_lag() {
    let mut bus = bus(battery(0.5));
    bus.command(BESS, kw(100.0), seconds(10), &mut ());
    bus.advance(seconds(11), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), 0.0);
    bus.advance(seconds(13), &mut ());
    let expected_w = 100e3 * (1.0 - math::exp(-1.0));
    assert!((read(&bus, BESS, Quantity::Power) - expected_w).abs() < 1e-6);
    bus.advance(seconds(80), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), 100e3);
}

#[test]
fn a_round_trip_at_rated_power_gives_86_percent() {
    let spec = BatterySpec { lag: Span::ZERO, dead_time: Span::ZERO, ..battery(0.5) };
    let mut bus = bus(spec);
    let mut ledger = Ledger::new(&bus);
    let start_wh = read(&bus, BESS, Quantity::StoredEnergy);
    bus.command(BESS, kw(-250.0), seconds(0), &mut ledger);
    bus.advance(seconds(1_800), &mut ledger);
    let charged_wh = read(&bus, BESS, Quantity::StoredEnergy) - start_wh;
    assert!((charged_wh - 125e3 * 0.925).abs() < 1e-6, "charged {charged_wh} Wh");
    bus.command(BESS, kw(250.0), seconds(1_800), &mut ledger);
    let hours = 0.5 * 0.925 / 1.075;
    bus.advance(Time::ZERO + Span::from_secs_f64(1_800.0 + hours * 3_600.0), &mut ledger);
    assert!((read(&bus, BESS, Quantity::StoredEnergy) - start_wh).abs() < 0.01);
    let energies = ledger.energies(&bus);
    assert!((energies.discharge_wh / energies.charge_wh - 0.860_465).abs() < 1e-6, "{energies:?}");
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn a_lower_limit_acts_fast_and_a_higher_one_slowly() {
    let mut bus = bus(battery(0.5));
    bus.command(PV, kw(10.0), seconds(10), &mut ());
    bus.advance(seconds(11), &mut ());
    assert!((read(&bus, PV, Quantity::Power) - 25e3).abs() < 1e-6);
    bus.advance(seconds(12), &mut ());
    assert_eq!(read(&bus, PV, Quantity::Power), 10e3);
    assert_eq!(read(&bus, PV, Quantity::Curtailed), 1.0);
    bus.command(PV, kw(60.0), seconds(20), &mut ());
    bus.advance(seconds(30), &mut ());
    assert!((read(&bus, PV, Quantity::Power) - 20e3).abs() < 1e-6);
    bus.advance(seconds(51), &mut ());
    assert_eq!(read(&bus, PV, Quantity::Power), 40e3);
    assert_eq!(read(&bus, PV, Quantity::Curtailed), 0.0);
}

#[test]
fn more_sun_than_the_inverters_take_is_clipped_and_the_instant_is_exact() {
    let sun = Source::Ramp(Ramp::new(0.0, 100e3, seconds(0), seconds(100)).expect("a valid ramp"));
    let mut bus = bus_of(constant(0.0), sun, battery(0.5));
    let mut ledger = Ledger::new(&bus);
    assert_eq!(bus.next_event(), Some(seconds(60) + Span::from_nanos(1)));
    bus.advance(seconds(100), &mut ledger);
    assert_eq!(read(&bus, PV, Quantity::Power), 60e3);
    let made_wh = (0.5 * 60e3 * 60.0 + 60e3 * 40.0) / 3_600.0;
    assert!((ledger.energies(&bus).pv_made_wh - made_wh).abs() < 1e-6);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn an_open_breaker_leaves_loads_unserved_and_inverters_at_nothing() {
    let mut bus = bus(battery(0.5));
    let mut ledger = Ledger::new(&bus);
    bus.command(BESS, kw(50.0), seconds(0), &mut ledger);
    bus.breaker(Position::Open, seconds(3_600), &mut ledger);
    for component in [LOAD, PV, BESS, PCC] {
        assert_eq!(read(&bus, component, Quantity::Power), 0.0);
    }
    assert_eq!(read(&bus, LOAD, Quantity::Demand), 100e3);
    bus.breaker(Position::Closed, seconds(7_200), &mut ledger);
    assert_eq!(read(&bus, PCC, Quantity::Power), 60e3);
    bus.advance(seconds(7_300), &mut ledger);
    assert_eq!(read(&bus, PCC, Quantity::Power), 10e3);
    assert!((ledger.energies(&bus).unserved_wh - 100e3).abs() < 1e-6);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn limits_follow_the_taper_within_a_step_down_to_an_empty_battery_that_loses_nothing() {
    let mut bus = bus(BatterySpec { lag: Span::ZERO, ..battery(0.06) });
    bus.command(BESS, kw(250.0), seconds(0), &mut ());
    for second in 0..7_200 {
        bus.advance(seconds(second), &mut ());
        let soc = read(&bus, BESS, Quantity::StateOfCharge);
        let law_w = 250e3 * (soc / 0.05).clamp(0.0, 1.0);
        let limit_w = read(&bus, BESS, Quantity::DischargeLimit);
        assert!((limit_w - law_w).abs() <= 2.5e3 + 1e-6, "{limit_w} W at {soc}, the law says {law_w} W");
        assert!(read(&bus, BESS, Quantity::Power) <= limit_w);
    }
    let empty = read(&bus, BESS, Quantity::StateOfCharge);
    assert_eq!(empty, 0.0);
    bus.advance(seconds(100_000), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::StateOfCharge), empty);
    assert_eq!(bus.next_event(), None);
}

#[test]
fn a_full_battery_that_is_told_to_charge_holds_without_switching_for_ever() {
    let mut bus = bus(battery(0.99));
    let mut ledger = Ledger::new(&bus);
    bus.command(BESS, kw(-250.0), seconds(0), &mut ledger);
    bus.advance(seconds(86_400), &mut ledger);
    let soc = read(&bus, BESS, Quantity::StateOfCharge);
    assert!((0.998..=1.0).contains(&soc), "{soc}");
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn a_phase_that_ends_at_full_or_empty_ends_exactly_there_whatever_the_numbers() {
    for (capacity_kwh, lag_ms) in [(500.0, 0), (333.3, 100), (77.7, 2_000), (10.1, 30_000), (1_234.5, 700)] {
        for (power, soc, edge) in [(kw(-250.0), 0.9, 1.0), (kw(250.0), 0.1, 0.0)] {
            let spec = BatterySpec { lag: Span::from_millis(lag_ms), ..battery(soc) };
            let mut bus = bus(BatterySpec { capacity: WattHours::of(capacity_kwh * 1e3), ..spec });
            let (mut account, mut ledger) = (Account::new(&bus, seconds(900), None), Ledger::new(&bus));
            bus.command(BESS, power, seconds(0), &mut (&mut account, &mut ledger));
            bus.advance(seconds(200_000), &mut (&mut account, &mut ledger));
            let used = account.batteries()[0];
            let reached = if edge > 0.5 { used.soc_max.0 } else { used.soc_min.0 };
            assert_eq!(reached, edge, "{capacity_kwh} kWh, {lag_ms} ms");
            assert_eq!(ledger.check(&bus), Ok(()));
        }
    }
}

#[test]
fn a_set_point_that_is_not_repeated_reverts_to_the_fallback() {
    let spec = BatterySpec {
        reversion: Some(Span::from_secs(10)),
        fallback: kw(-5.0),
        lag: Span::ZERO,
        ..battery(0.5)
    };
    let mut bus = bus(spec);
    bus.command(BESS, kw(100.0), seconds(0), &mut ());
    bus.command(BESS, kw(100.0), seconds(9), &mut ());
    bus.advance(seconds(18), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), 100e3);
    assert_eq!(bus.next_event(), Some(seconds(19)));
    bus.advance(seconds(19), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), -5e3);
    assert_eq!(read(&bus, BESS, Quantity::SetPoint), -5e3);
}

#[test]
fn a_battery_that_hears_nobody_for_too_long_falls_back_and_waits_anew_with_the_next_set_point() {
    let spec = BatterySpec { fallback: kw(-5.0), lag: Span::ZERO, dead_time: Span::ZERO, ..battery(0.5) };
    let mut bus = bus(spec);
    bus.expect_heartbeats(BESS, Span::from_secs(10));
    let power_at = |bus: &mut Bus, at: u64| {
        bus.advance(seconds(at), &mut ());
        read(bus, BESS, Quantity::Power)
    };
    bus.command(BESS, kw(100.0), seconds(100), &mut ());
    bus.hear(BESS, seconds(109), &mut ());
    // A set-point is no heartbeat.
    bus.command(BESS, kw(90.0), seconds(112), &mut ());
    assert_eq!(power_at(&mut bus, 118), 90e3);
    assert_eq!(bus.next_event(), Some(seconds(119)));
    assert_eq!(power_at(&mut bus, 119), -5e3);
    // A heartbeat brings no set-point back.
    bus.hear(BESS, seconds(120), &mut ());
    assert_eq!(power_at(&mut bus, 140), -5e3);
    bus.command(BESS, kw(80.0), seconds(150), &mut ());
    assert_eq!(power_at(&mut bus, 159), 80e3);
    assert_eq!(power_at(&mut bus, 160), -5e3);
}

#[test]
fn a_battery_that_is_started_follows_its_set_point_after_the_delay() {
    let start_delay = Span::from_secs(30);
    let mut bus = bus(BatterySpec { mode: Mode::Off, start_delay, lag: Span::ZERO, ..battery(0.5) });
    bus.command(BESS, kw(100.0), seconds(0), &mut ());
    bus.start(BESS, seconds(10), &mut ());
    bus.advance(seconds(39), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), 0.0);
    assert_eq!(read(&bus, BESS, Quantity::StateOfCharge), 0.5);
    bus.advance(seconds(40), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), 100e3);
    bus.stop(BESS, seconds(50), &mut ());
    assert_eq!(read(&bus, BESS, Quantity::Power), 0.0);
}

#[test]
fn a_battery_at_its_panel_holds_what_it_does_beyond_its_reversion_and_waits_anew_when_it_is_given_back() {
    let reversion = Some(Span::from_secs(60));
    let mut bus = bus(BatterySpec { reversion, lag: Span::ZERO, ..battery(0.5) });
    let power_at = |bus: &mut Bus, second: u64| {
        bus.advance(seconds(second), &mut ());
        (read(bus, BESS, Quantity::Power), read(bus, BESS, Quantity::Remote))
    };
    bus.command(BESS, kw(50.0), seconds(0), &mut ());
    bus.take_to_panel(BESS, seconds(59), &mut ());
    assert_eq!(power_at(&mut bus, 600), (50e3, 0.0));
    bus.give_back(BESS, seconds(600), &mut ());
    assert_eq!(power_at(&mut bus, 659), (50e3, 1.0));
    assert_eq!(power_at(&mut bus, 660), (0.0, 1.0));
}

#[test]
fn a_battery_that_trips_forgets_its_set_point_and_starts_when_nothing_holds_it_any_more() {
    let spec = BatterySpec { start_delay: Span::from_secs(30), lag: Span::ZERO, ..battery(0.5) };
    let mut bus = bus(spec);
    let mut ledger = Ledger::new(&bus);
    bus.command(BESS, kw(50.0), seconds(0), &mut ledger);
    bus.fail(BESS, seconds(10), &mut ledger);
    let stands =
        |bus: &Bus| [Quantity::Power, Quantity::Mode, Quantity::SetPoint].map(|what| read(bus, BESS, what));
    assert_eq!(stands(&bus), [0.0, 4.0, 0.0]);
    bus.start(BESS, seconds(20), &mut ledger);
    bus.advance(seconds(60), &mut ledger);
    assert_eq!(stands(&bus), [0.0, 4.0, 0.0], "nobody starts it while its fault lasts");
    bus.recover(BESS, seconds(60), &mut ledger);
    bus.advance(seconds(89), &mut ledger);
    assert_eq!(stands(&bus), [0.0, 1.0, 0.0]);
    bus.advance(seconds(90), &mut ledger);
    assert_eq!(stands(&bus), [0.0, 3.0, 0.0]);
    assert_eq!(read(&bus, BESS, Quantity::Trips), 1.0);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn an_inverter_that_trips_makes_nothing_and_comes_back_as_slowly_as_it_leaves_a_limit() {
    let mut bus = bus(battery(0.5));
    let mut ledger = Ledger::new(&bus);
    bus.fail(PV, seconds(10), &mut ledger);
    bus.advance(seconds(20), &mut ledger);
    assert_eq!((read(&bus, PV, Quantity::Power), read(&bus, PV, Quantity::Mode)), (0.0, 4.0));
    bus.recover(PV, seconds(20), &mut ledger);
    for (second, power_w) in [(30, 10e3), (60, 40e3), (70, 40e3)] {
        bus.advance(seconds(second), &mut ledger);
        assert!((read(&bus, PV, Quantity::Power) - power_w).abs() < 1e-6, "at {second} s");
    }
    assert_eq!(read(&bus, PV, Quantity::Mode), 3.0);
    assert_eq!(ledger.check(&bus), Ok(()));
}

#[test]
fn a_battery_begins_in_any_mode_and_does_what_that_mode_says() {
    let spec =
        BatterySpec { power: kw(100.0), start_delay: Span::from_secs(30), lag: Span::ZERO, ..battery(0.5) };
    // Power at 1 s, at 29 s and at 31 s; a start at 40 s; power at 41 s and at 71 s.
    for (mode, powers_kw, stands_by) in [
        (InitialMode::Off, [0.0, 0.0, 0.0, 0.0, 100.0], false),
        (InitialMode::Starting, [0.0, 0.0, 100.0, 100.0, 100.0], false),
        (InitialMode::Ready, [0.0, 0.0, 0.0, 100.0, 100.0], true),
        (InitialMode::Running, [100.0, 100.0, 100.0, 100.0, 100.0], true),
    ] {
        let mut bus = bus(spec.beginning(mode));
        let mut ledger = Ledger::new(&bus);
        for (second, power_kw) in [1, 29, 31, 41, 71].into_iter().zip(powers_kw) {
            if second == 41 {
                bus.start(BESS, seconds(40), &mut ledger);
            }
            bus.advance(seconds(second), &mut ledger);
            assert_eq!(read(&bus, BESS, Quantity::Power), power_kw * 1e3, "{mode:?} at {second} s");
            if second == 29 {
                let standby_wh = if stands_by { 1_250.0 * 29.0 / 3_600.0 } else { 0.0 };
                assert!((ledger.energies(&bus).standby_wh - standby_wh).abs() < 1e-9, "{mode:?}");
            }
        }
        assert_eq!(ledger.check(&bus), Ok(()), "{mode:?}");
    }
}

#[test]
fn the_reported_state_of_charge_is_biased_and_comes_in_steps() {
    let report = |soc: f64, bias: f64| {
        let spec = BatterySpec { soc_bias: Ratio::of(bias), ..battery(soc) };
        read(&bus(spec), BESS, Quantity::ReportedStateOfCharge)
    };
    assert!((report(0.29, 0.0) - 0.29).abs() < 1e-12);
    assert!((report(0.2999, 0.0) - 0.29).abs() < 1e-12);
    assert!((report(0.5, 0.03) - 0.53).abs() < 1e-12);
    assert_eq!(report(0.02, -0.03), 0.0);
}

#[test]
fn the_account_sees_what_a_battery_shaves() {
    // 100 kW for a quarter of an hour, up to 300 kW in the next, and there for a third.
    let load = Source::Ramp(Ramp::new(100e3, 300e3, seconds(900), seconds(1_800)).expect("a valid ramp"));
    let mut bus =
        bus_of(load, constant(0.0), BatterySpec { dead_time: Span::ZERO, lag: Span::ZERO, ..battery(0.5) });
    let mut account = Account::new(&bus, seconds(900), Some(kw(200.0)));
    bus.command(BESS, kw(80.0), seconds(1_350), &mut account);
    bus.advance(seconds(2_700), &mut account);
    let peaks =
        [account.peak_without_batteries(), account.peak()].map(|peak| peak.expect("two whole windows"));
    assert!((peaks[0].mean_w - 300e3).abs() < 1e-6);
    assert!((peaks[1].mean_w - 220e3).abs() < 1e-6);
    assert_eq!(peaks[1].from, seconds(1_800));
    // Without: a triangle of 100 kW over 450 s and 100 kW for 900 s. With: what is above 280 kW, then 20 kW.
    let without_j = 0.5 * 100e3 * 450.0 + 100e3 * 900.0;
    let with_j = 0.5 * 20e3 * 90.0 + 20e3 * 900.0;
    let shaved_wh = account.shaved_wh().expect("a limit was given");
    assert!((shaved_wh - (without_j - with_j) / 3_600.0).abs() < 1e-6);
    assert!((account.batteries()[0].cycles - 80e3 * 1_350.0 / 3_600.0 / 500e3).abs() < 1e-9);
}

#[test]
fn sunshine_is_used_where_it_is_taken_whatever_a_battery_exports_meanwhile() {
    // 20 kW of sun, 200 kW of load for 20 s of each 40 s, and a battery that gives 100 kW all the time.
    let load =
        Blocks::new(200e3, Span::from_secs(20), Span::from_secs(20), seconds(0)).expect("valid blocks");
    let spec = BatterySpec { power: kw(100.0), ..battery(0.9) };
    let mut bus = bus_of(Source::Blocks(load), constant(20.0), spec);
    let mut account = Account::new(&bus, seconds(900), None);
    bus.advance(seconds(3_600), &mut account);
    assert!((account.pv_used_wh() - 10e3).abs() < 1e-6, "{}", account.pv_used_wh());
    // Then it charges with 15 kW, which takes most of the sun while there is no load.
    bus.command(BESS, kw(-15.0), seconds(3_600), &mut account);
    bus.advance(seconds(3_640), &mut account);
    let before_wh = account.pv_used_wh();
    bus.advance(seconds(7_240), &mut account);
    let used_wh = account.pv_used_wh() - before_wh;
    assert!((used_wh - (10e3 + 7.5e3)).abs() < 0.1, "{used_wh}");
}

#[test]
fn a_run_without_a_whole_window_has_no_peak() {
    let mut bus = bus(battery(0.5));
    let mut account = Account::new(&bus, seconds(60), None);
    bus.advance(seconds(959), &mut account);
    assert_eq!((account.peak(), account.peak_without_batteries()), (None, None));
    bus.advance(seconds(960), &mut account);
    let peak = account.peak().expect("a whole window");
    assert_eq!(peak.from, seconds(60));
    assert!((peak.mean_w - 60e3).abs() < 1e-6);
}

#[test]
fn a_connection_above_its_rating_is_noticed_from_crossing_to_crossing() {
    // The load rises from 300 to 450 kW in 150 s and passes the rating of 400 kW at 100 s; from 200 s on the battery takes
    // 100 kW off with a time constant of 2 s.
    let load = Source::Ramp(Ramp::new(300e3, 450e3, seconds(0), seconds(150)).expect("a valid ramp"));
    let mut bus = bus_of(load, constant(0.0), battery(0.9));
    let mut account = Account::new(&bus, seconds(900), None);
    bus.advance(seconds(199), &mut account);
    bus.command(BESS, kw(100.0), seconds(199), &mut account);
    bus.advance(seconds(300), &mut account);
    // 450 − 100 (1 − e^(−t/2)) kW is 400 kW at 2 ln 2.
    let back_s = 2.0 * core::f64::consts::LN_2;
    let overload = account.overload();
    assert!((overload.span_s - (100.0 + back_s)).abs() < 1e-9, "{overload:?}");
    let energy_j = 0.5 * 50e3 * 50.0 + 50e3 * 50.0 - 50e3 * back_s + 100e3 * 2.0 * 0.5;
    assert!((overload.energy_wh - energy_j / 3_600.0).abs() < 1e-9, "{overload:?}");
}

#[test]
fn excess_is_exact_while_a_battery_moves() {
    // 260 kW of load against a limit of 220 kW; the battery comes with 50 kW and a time constant of 2 s.
    let mut bus = bus_of(constant(260.0), constant(0.0), battery(0.9));
    let mut account = Account::new(&bus, seconds(900), Some(kw(220.0)));
    bus.command(BESS, kw(50.0), seconds(0), &mut account);
    bus.advance(seconds(60), &mut account);
    // 40 kW for the dead time of 1 s, then 40 − 50 (1 − e^(−t/2)) kW down to 0 at 2 ln 5.
    let under_s = 2.0 * math::ln(5.0);
    let excess_j = 40e3 - 10e3 * under_s + 50e3 * 2.0 * 0.8;
    let excess_wh = account.excess_wh().expect("a limit was given");
    assert!((excess_wh - excess_j / 3_600.0).abs() < 1e-9, "{excess_wh}");
}

#[test]
fn components_without_exactly_one_connection_make_no_bus() {
    let connection = || Component::Connection(Connection::new(kw(1.0)).expect("a valid connection"));
    assert_eq!(Bus::new(vec![]).err(), Some(BusError::Connections { found: 0 }));
    let two = Bus::new(vec![connection(), connection()]);
    assert_eq!(two.err(), Some(BusError::Connections { found: 2 }));
    let bus = Bus::new(vec![connection()]).expect("one connection");
    assert_eq!(bus.truth(ComponentIndex(0), Quantity::StateOfCharge), None);
    assert_eq!(bus.truth(ComponentIndex(1), Quantity::Power), None);
}
