//! What the monitor says about the truth of a plant whose motion is known.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time, math};

use super::tests::{CONTROLLER, POINT, always, expectation, ms, s};
use super::*;
use crate::plant::{
    Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, Load, Position, Pv, PvSpec, Quantity,
};
use crate::sources::{Ramp, Source};

const LOAD: ComponentIndex = ComponentIndex(0);
const BESS: ComponentIndex = ComponentIndex(1);
const PCC: ComponentIndex = ComponentIndex(2);

/// A load that rises from 0 to 100 kW between 10 and 20 s, and 10 kWh at 50 % without dead time or lag.
fn bus() -> Bus {
    let load = Source::Ramp(Ramp::new(0.0, 100e3, s(10), s(20)).expect("a valid ramp"));
    let spec = BatterySpec {
        dead_time: Span::ZERO,
        lag: Span::ZERO,
        ..BatterySpec::new(WattHours::of(10e3), Watts::of(50e3), Ratio::of(0.5))
    };
    Bus::new(vec![
        Component::Load(Load::new(load)),
        Component::Battery(Battery::new(spec).expect("a valid battery")),
        Component::Connection(Connection::new(Watts::of(400e3)).expect("a valid connection")),
    ])
    .expect("one connection")
}

fn truth(bus: &Bus, component: ComponentIndex, quantity: Quantity) -> Watched {
    Watched::Truth { grid: 2, point: bus.truth(component, quantity).expect("the component has it") }
}

#[test]
fn the_truth_of_a_grid_is_watched_between_looks_and_across_jumps() {
    let mut bus = bus();
    let watched = |component, quantity, comparison, value, except_for| Claim::Always {
        condition: Condition { point: truth(&bus, component, quantity), comparison, value },
        except_for: Span::from_millis(except_for),
        total: None,
    };
    let expected = [
        // Import passes 30 kW at 13 s and falls by 50 kW at 15 s, from 50 kW to nothing; it is there again at 18 s.
        (watched(PCC, Quantity::Power, Comparison::AtMost, 30e3, 2_000), s(15), true),
        (watched(PCC, Quantity::Power, Comparison::AtMost, 30e3, 1_999), s(15), false),
        (watched(PCC, Quantity::Power, Comparison::AtMost, 50e3, 0), s(19), true),
        (watched(PCC, Quantity::Power, Comparison::AtMost, 49.9e3, 0), s(19), false),
        (watched(LOAD, Quantity::Demand, Comparison::AtMost, 100e3, 0), s(30), true),
        (watched(LOAD, Quantity::Demand, Comparison::AtMost, 99.9e3, 0), s(30), false),
        (watched(BESS, Quantity::SetPoint, Comparison::AtMost, 0.0, 0), s(15), true),
        (watched(BESS, Quantity::SetPoint, Comparison::AtMost, 0.0, 0), ms(15_001), false),
        (watched(PCC, Quantity::Closed, Comparison::AtLeast, 1.0, 0), s(25), true),
        (watched(PCC, Quantity::Closed, Comparison::AtLeast, 1.0, 0), ms(25_001), false),
    ];
    let mut monitor = Monitor::new(
        expected.iter().map(|(claim, to, _)| expectation(Time::ZERO, *to, claim.clone())).collect(),
    );
    bus.advance(s(15), &mut monitor.watch(2));
    bus.command(BESS, Watts::of(50e3), s(15), &mut monitor.watch(2));
    bus.breaker(Position::Open, s(25), &mut monitor.watch(2));
    bus.advance(s(30), &mut monitor.watch(2));
    let verdicts = monitor.finish(s(30));
    for (verdict, (claim, _, held)) in verdicts.iter().zip(expected) {
        assert_eq!(verdict.held, held, "{claim:?}: {verdict:?}");
    }
    assert_eq!((verdicts[3].at, verdicts[3].value), (s(15), 50e3));
}

#[test]
fn stored_energy_is_known_at_both_ends_of_a_segment() {
    let mut bus = bus();
    let eventually = |quantity, value| {
        let condition =
            Condition { point: truth(&bus, BESS, quantity), comparison: Comparison::AtMost, value };
        expectation(Time::ZERO, Time::MAX, Claim::Eventually { condition, within: Span::from_secs(60) })
    };
    let started_wh = bus.value(bus.truth(BESS, Quantity::StoredEnergy).expect("a battery has it"));
    let mut monitor = Monitor::new(vec![
        eventually(Quantity::StoredEnergy, started_wh - 100.0),
        eventually(Quantity::StateOfCharge, 0.49),
    ]);
    bus.command(BESS, Watts::of(20e3), s(0), &mut monitor.watch(2));
    bus.advance(s(60), &mut monitor.watch(2));
    let verdicts = monitor.finish(s(60));
    // Losses at 20 of 50 kW: 0.5 % of the rating, 2 % and 5 % · 0.4 of the power.
    let cell_w = 20e3 + 250.0 + 400.0 + 400.0;
    let passed_s = 100.0 * 3_600.0 / cell_w;
    for verdict in verdicts {
        assert!(verdict.held && (verdict.margin - (60.0 - passed_s)).abs() < 1e-6, "{verdict:?}");
    }
}

#[test]
fn a_battery_at_its_bound_is_not_past_it_by_rounding() {
    for percent in 1..=100_u32 {
        let soc = f64::from(percent) / 100.0;
        // The image of a division and a multiplication need not be the number that went in: 0.07 · 36e6 / 36e6.
        let spec = BatterySpec::new(WattHours::of(10e3 / 3.0), Watts::of(50e3), Ratio::of(soc));
        let mut bus = Bus::new(vec![
            Component::Battery(Battery::new(spec).expect("a valid battery")),
            Component::Connection(Connection::new(Watts::of(400e3)).expect("a valid connection")),
        ])
        .expect("one connection");
        let point = truth(&bus, ComponentIndex(0), Quantity::StateOfCharge);
        let never_above = Condition { point, comparison: Comparison::Above, value: soc };
        let claims = [
            Claim::Bounds { point, low: None, high: Some(soc), peak_to_peak: None },
            Claim::Bounds { point, low: None, high: Some(1.0), peak_to_peak: None },
            Claim::Never(never_above),
        ];
        let expectations = claims.map(|claim| expectation(Time::ZERO, Time::MAX, claim));
        let mut monitor = Monitor::new(expectations.to_vec());
        for second in 1..20 {
            bus.advance(ms(second * 700), &mut monitor.watch(2));
        }
        for verdict in monitor.finish(s(14)) {
            assert!(verdict.held && verdict.margin >= 0.0, "at {percent} %: {verdict:?}");
            assert!(verdict.margin.is_sign_positive());
        }
    }
}

#[test]
fn a_battery_that_is_charged_without_end_is_never_more_than_full() {
    let mut bus = bus();
    let point = truth(&bus, BESS, Quantity::StateOfCharge);
    let condition = Condition { point, comparison: Comparison::AtMost, value: 1.0 };
    let always = Claim::Always { condition, except_for: Span::ZERO, total: None };
    let mut monitor = Monitor::new(vec![expectation(Time::ZERO, Time::MAX, always)]);
    bus.command(BESS, Watts::of(-50e3), s(0), &mut monitor.watch(2));
    bus.advance(s(100_000), &mut monitor.watch(2));
    let verdict = &monitor.finish(s(100_000))[0];
    assert_eq!((verdict.held, verdict.margin, verdict.value), (true, 0.0, 1.0));
}

/// 100 kW of load that rises by `rise_w` a second, and a battery at 50 % with a lag of 3 s and no dead time.
fn moving(rise_w: f64) -> Bus {
    let load = Source::Ramp(Ramp::new(100e3, 100e3 + 100.0 * rise_w, s(0), s(100)).expect("a valid ramp"));
    let spec = BatterySpec {
        dead_time: Span::ZERO,
        lag: Span::from_secs(3),
        ..BatterySpec::new(WattHours::of(500e3), Watts::of(250e3), Ratio::of(0.5))
    };
    Bus::new(vec![
        Component::Load(Load::new(load)),
        Component::Battery(Battery::new(spec).expect("a valid battery")),
        Component::Connection(Connection::new(Watts::of(400e3)).expect("a valid connection")),
    ])
    .expect("one connection")
}

/// What becomes of `claims` if the battery gets 100 kW at 20.02 s and is looked at at 20.02 s and 30 s only.
fn judge_moving(rise_w: f64, claims: impl FnOnce(&Bus) -> Vec<Claim>) -> Vec<Verdict> {
    let mut bus = moving(rise_w);
    let expectation = |claim| expectation(Time::ZERO, Time::MAX, claim);
    let mut monitor = Monitor::new(claims(&bus).into_iter().map(expectation).collect());
    bus.command(BESS, Watts::of(100e3), ms(20_020), &mut monitor.watch(2));
    bus.advance(s(30), &mut monitor.watch(2));
    monitor.finish(s(30))
}

fn condition(bus: &Bus, component: ComponentIndex, comparison: Comparison, value: f64) -> Condition {
    Condition { point: truth(bus, component, Quantity::Power), comparison, value }
}

fn excepting(condition: Condition, except_for: Span) -> Claim {
    Claim::Always { condition, except_for, total: None }
}

fn assert_near(found: Time, expected_s: f64) {
    let off_s = (found.as_secs_f64() - expected_s).abs();
    assert!(off_s < 2e-9, "found {found}, expected {expected_s} s");
}

#[test]
fn a_battery_crosses_a_level_where_its_curve_does_and_not_its_chord() {
    // 100 (1 − e^(−t/3)) kW is 63.212 kW at 3 ln (100 / 36.788).
    let crossing_s = 20.02 + 3.0 * math::ln(100.0 / 36.788);
    let longest = Span::from_secs_f64(30.0 - crossing_s);
    let verdicts = judge_moving(0.0, |bus| {
        let at_most = condition(bus, BESS, Comparison::AtMost, 63_212.0);
        let within = Span::from_secs(60);
        vec![
            excepting(at_most, Span::from_secs(5)),
            excepting(at_most, longest + Span::from_nanos(2)),
            excepting(at_most, longest - Span::from_nanos(2)),
            Claim::Eventually { condition: condition(bus, BESS, Comparison::AtLeast, 63_212.0), within },
        ]
    });
    assert_eq!(verdicts.iter().map(|verdict| verdict.held).collect::<Vec<_>>(), [false, true, false, true]);
    let seen = verdicts[0].excursions.expect("always tells of excursions").longest;
    assert!((seen.as_secs_f64() - 6.980_004).abs() < 1e-6, "{seen}");
    assert_near(verdicts[3].at, crossing_s);
}

#[test]
fn the_connection_turns_and_crosses_where_a_line_and_a_curve_together_do() {
    // From 20.02 s on: 100 + 5 (20.02 + t) − 100 (1 − e^(−t/3)) kW, which turns at 3 ln (100 / 15) and is 150 kW
    // twice: on its way down, and up again after 30 s.
    let turn_s = 3.0 * math::ln(100.0 / 15.0);
    let lowest_w = 5e3 * (20.02 + turn_s) + 15e3;
    let verdicts = judge_moving(5e3, |bus| {
        let point = truth(bus, PCC, Quantity::Power);
        let within = Span::from_secs(60);
        vec![
            Claim::Bounds { point, low: Some(0.0), high: None, peak_to_peak: None },
            Claim::Eventually { condition: condition(bus, PCC, Comparison::AtMost, lowest_w + 1e-3), within },
            Claim::Never(condition(bus, PCC, Comparison::Below, lowest_w - 1e-3)),
            excepting(condition(bus, PCC, Comparison::AtMost, 150e3), Span::from_secs(60)),
        ]
    });
    // It begins at 100 kW, which is lower than where it turns.
    assert!((verdicts[0].value - 100e3).abs() < 1e-6);
    assert!(verdicts[1].held && verdicts[1].at == s(0));
    assert!(!verdicts[2].held, "100 kW at the beginning are below");
    // Above 150 kW from 10 s until 5 t + 100 e^(−t/3) = 49.9, found here by Newton's steps.
    let longest = verdicts[3].excursions.expect("always tells of excursions").longest;
    let crossing_s = {
        let mut t: f64 = 3.0;
        for _ in 0..20 {
            let left = math::exp(-t / 3.0);
            t -= (5.0 * t + 100.0 * left - 49.9) / (5.0 - 100.0 / 3.0 * left);
        }
        t
    };
    assert!((longest.as_secs_f64() - (10.02 + crossing_s)).abs() < 2e-9, "{longest}");
}

#[test]
fn an_extreme_between_two_looks_counts() {
    // The window begins after the battery was told, so that the connection is highest at both ends and lowest inside.
    let turn_s = 3.0 * math::ln(100.0 / 15.0);
    let lowest_w = 5e3 * (20.02 + turn_s) + 15e3;
    let mut bus = moving(5e3);
    let point = truth(&bus, PCC, Quantity::Power);
    let claim = |low| Claim::Bounds { point, low: Some(low), high: None, peak_to_peak: None };
    let window = |claim| expectation(s(21), s(28), claim);
    let at_least = condition(&bus, PCC, Comparison::AtLeast, lowest_w + 10.0);
    let mut monitor = Monitor::new(vec![
        window(claim(lowest_w - 1e-6)),
        window(claim(lowest_w + 1e-6)),
        window(excepting(at_least, Span::from_secs(1))),
    ]);
    bus.command(BESS, Watts::of(100e3), ms(20_020), &mut monitor.watch(2));
    bus.advance(s(30), &mut monitor.watch(2));
    let verdicts = monitor.finish(s(30));
    assert!(verdicts[0].held && !verdicts[1].held, "{verdicts:?}");
    assert!((verdicts[0].value - lowest_w).abs() < 1e-6);
    assert_near(verdicts[0].at, 20.02 + turn_s);
    // Near the turn it is 10 W above the lowest at ± √(2 · 10 / 1,666.7) s, and a little later on the flat side.
    let longest = verdicts[2].excursions.expect("always tells of excursions").longest.as_secs_f64();
    let parabola_s = 2.0 * math::sqrt(20.0 / (100e3 / 9.0 * 0.15));
    assert!((longest - parabola_s).abs() < 1e-3, "{longest} s, near {parabola_s} s");
}

#[test]
fn stored_energy_is_exact_while_the_battery_moves() {
    let verdicts = judge_moving(0.0, |bus| {
        // By 25.02 s the cells have given ∫ P + 0.02 P + 0.05 P² / 250 kW, and 1.25 kW since the start for standing by.
        let left = math::exp(-5.0 / 3.0);
        let energy_j = 100e3 * (5.0 - 3.0 * (1.0 - left));
        let square_w2s = 1e10 * (5.0 - 6.0 * (1.0 - left) + 1.5 * (1.0 - left * left));
        let drawn_j = 1.02 * energy_j + 0.05 / 250e3 * square_w2s + 1_250.0 * 25.02;
        let at_most = |quantity, value| Claim::Eventually {
            condition: Condition { point: truth(bus, BESS, quantity), comparison: Comparison::AtMost, value },
            within: Span::from_secs(60),
        };
        vec![
            at_most(Quantity::StoredEnergy, 250e3 - drawn_j / 3_600.0),
            at_most(Quantity::StateOfCharge, 0.5 - drawn_j / 1.8e9),
        ]
    });
    for verdict in verdicts {
        // A microjoule of 900 MJ is rounding, and 10 ns at 100 kW.
        assert!(verdict.held && (verdict.at.as_secs_f64() - 25.02).abs() < 2e-8, "{verdict:?}");
    }
}

#[test]
fn what_could_be_made_and_what_is_wanted_are_known_when_they_are_not_delivered() {
    // Both rise from 0 to 100 kW between 10 and 20 s; the plant may make 40 kW, and the bus dies at 15 s.
    let rise = || Source::Ramp(Ramp::new(0.0, 100e3, s(10), s(20)).expect("a valid ramp"));
    let mut bus = Bus::new(vec![
        Component::Load(Load::new(rise())),
        Component::Pv(Pv::new(PvSpec::new(Watts::of(100e3)), rise()).expect("a valid plant")),
        Component::Connection(Connection::new(Watts::of(400e3)).expect("a valid connection")),
    ])
    .expect("one connection");
    let sun = ComponentIndex(1);
    let first = |component, quantity, value| {
        let condition =
            Condition { point: truth(&bus, component, quantity), comparison: Comparison::AtLeast, value };
        expectation(s(5), Time::MAX, Claim::Eventually { condition, within: Span::from_secs(60) })
    };
    let mut monitor = Monitor::new(vec![
        first(LOAD, Quantity::Demand, 30e3),
        first(LOAD, Quantity::Demand, 70e3),
        first(sun, Quantity::AvailablePower, 70e3),
        first(sun, Quantity::Curtailed, 1.0),
    ]);
    bus.command(sun, Watts::of(40e3), s(0), &mut monitor.watch(2));
    bus.breaker(Position::Open, s(15), &mut monitor.watch(2));
    bus.advance(s(30), &mut monitor.watch(2));
    for (verdict, expected) in monitor.finish(s(30)).iter().zip([s(13), s(17), s(17), s(14)]) {
        let off = verdict.at.since(expected) + expected.since(verdict.at);
        assert!(verdict.held && off <= Span::from_nanos(2), "{expected}: {verdict:?}");
    }
}

#[test]
fn a_grid_without_expectations_and_a_foreign_image_are_passed_over() {
    let mut bus = bus();
    let mut monitor = Monitor::new(vec![expectation(s(0), s(9), always(1.0, Span::ZERO, None))]);
    bus.advance(s(30), &mut monitor.watch(9));
    monitor.image(s(0), CONTROLLER, POINT, 0.0);
    monitor.image(s(1), ControllerIndex(0), POINT, 100.0);
    monitor.image(s(1), CONTROLLER, PointIndex(0), 100.0);
    assert!(monitor.finish(s(30))[0].held);
}

#[test]
fn verdicts_come_in_the_order_of_the_expectations_and_a_clone_ends_alike() {
    let mut bus = bus();
    let power = truth(&bus, PCC, Quantity::Power);
    let filter = EventFilter { kind: "booted".to_string(), controller: None };
    let claims = [
        Claim::NoEvent(filter),
        Claim::Bounds { point: power, low: None, high: Some(1.0), peak_to_peak: None },
        always(80.0, Span::from_secs(1), None),
        Claim::Never(Condition { point: power, comparison: Comparison::Above, value: 5.0 }),
    ];
    let name = |(index, claim): (usize, &Claim)| Expectation {
        name: index.to_string(),
        ..expectation(Time::ZERO, Time::MAX, claim.clone())
    };
    let mut monitor = Monitor::new(claims.iter().enumerate().map(name).collect());
    bus.advance(s(12), &mut monitor.watch(2));
    monitor.image(s(12), CONTROLLER, POINT, 90.0);
    let (mut twin, mut twin_bus) = (monitor.clone(), bus.clone());
    for (monitor, bus) in [(&mut monitor, &mut bus), (&mut twin, &mut twin_bus)] {
        bus.advance(s(30), &mut monitor.watch(2));
        monitor.image(s(13), CONTROLLER, POINT, 50.0);
    }
    let verdicts = monitor.finish(s(30));
    assert_eq!(verdicts, twin.finish(s(30)));
    let names: Vec<_> = verdicts.iter().map(|verdict| verdict.name.as_str()).collect();
    assert_eq!(names, ["0", "1", "2", "3"]);
}
