//! What the monitor says about signals whose answer is known.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};

use super::observer::Observer;
use super::piece::{Piece, Window};
use super::*;
use crate::plant::{
    Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, Load, Position, Pv, PvSpec, Quantity,
};
use crate::sources::{Ramp, Source};

const CONTROLLER: ControllerIndex = ControllerIndex(1);
const POINT: PointIndex = PointIndex(7);
const SHOWN: Watched = Watched::Image { controller: CONTROLLER, point: POINT };

fn ms(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

fn s(seconds: u64) -> Time {
    ms(seconds * 1_000)
}

fn at_most(value: f64) -> Condition {
    Condition { point: SHOWN, comparison: Comparison::AtMost, value }
}

fn always(value: f64, except_for: Span, total: Option<Span>) -> Claim {
    Claim::Always { condition: at_most(value), except_for, total }
}

fn strictly(comparison: Comparison, value: f64) -> Claim {
    let condition = Condition { point: SHOWN, comparison, value };
    Claim::Always { condition, except_for: Span::ZERO, total: None }
}

fn bounds(low: Option<f64>, high: Option<f64>, peak_to_peak: Option<f64>) -> Claim {
    Claim::Bounds { point: SHOWN, low, high, peak_to_peak }
}

fn expectation(from: Time, to: Time, claim: Claim) -> Expectation {
    Expectation { name: "it".to_string(), from, to, claim }
}

/// The verdict on an image that showed `values`, each from its instant on, until 100 s.
fn judge_within(from: Time, to: Time, claim: Claim, values: &[(Time, f64)]) -> Verdict {
    let mut monitor = Monitor::new(vec![expectation(from, to, claim)]);
    for &(at, value) in values {
        monitor.image(at, CONTROLLER, POINT, value);
    }
    monitor.finish(s(100)).remove(0)
}

fn judge(claim: Claim, values: &[(Time, f64)]) -> Verdict {
    judge_within(Time::ZERO, Time::MAX, claim, values)
}

/// The verdict on a line through `corners`.
fn judge_line(mut observer: Observer, corners: &[(Time, f64)]) -> observer::Finding {
    for pair in corners.windows(2) {
        observer.observe(Piece { from: pair[0].0, to: pair[1].0, start: pair[0].1, end: pair[1].1 });
    }
    let window = Window { from: Time::ZERO, to: Time::MAX };
    observer.finding(window, corners[corners.len() - 1].0).expect("the line was seen")
}

const PLATEAU: [(u64, f64); 3] = [(0, 50.0), (10, 90.0), (12, 60.0)];

fn plateau() -> Vec<(Time, f64)> {
    PLATEAU.iter().map(|&(second, value)| (s(second), value)).collect()
}

#[test]
fn always_holds_up_to_the_limit_and_tells_the_worst_instant() {
    let held = judge(always(90.0, Span::ZERO, None), &plateau());
    assert_eq!((held.held, held.margin, held.at, held.value), (true, 0.0, s(10), 90.0));
    let failed = judge(always(89.0, Span::ZERO, None), &plateau());
    assert_eq!((failed.held, failed.margin, failed.at, failed.value), (false, -1.0, s(10), 90.0));
}

#[test]
fn a_strict_limit_must_not_be_held_and_a_wide_one_may() {
    for (comparison, limit, held) in [
        (Comparison::Below, 90.0, false),
        (Comparison::Below, 90.1, true),
        (Comparison::AtMost, 90.0, true),
        (Comparison::AtMost, 89.9, false),
        (Comparison::Above, 50.0, false),
        (Comparison::Above, 49.9, true),
        (Comparison::AtLeast, 50.0, true),
        (Comparison::AtLeast, 50.1, false),
    ] {
        let verdict = judge(strictly(comparison, limit), &plateau());
        assert_eq!(verdict.held, held, "{comparison:?} {limit}: {verdict:?}");
        let condition = Condition { point: SHOWN, comparison, value: limit };
        let never = judge(Claim::Never(condition), &plateau());
        assert!(!never.held, "the values lie on both sides of {limit}: {never:?}");
        assert_eq!(never.excursions, None);
    }
}

#[test]
fn never_fails_where_the_condition_is_met_and_by_how_much() {
    let never = |value| {
        judge(Claim::Never(Condition { comparison: Comparison::Above, ..at_most(value) }), &plateau())
    };
    let (held, failed) = (never(90.0), never(80.0));
    assert_eq!((held.held, held.margin), (true, 0.0));
    assert_eq!((failed.held, failed.margin, failed.at), (false, -10.0, s(10)));
}

#[test]
fn an_excursion_is_forgiven_up_to_its_longest_and_not_a_nanosecond_longer() {
    let nanosecond = Span::from_nanos(1);
    let held = judge(always(80.0, Span::from_secs(2), None), &plateau());
    assert_eq!((held.held, held.margin, held.at, held.value), (true, 20.0, s(12), 60.0));
    let (longest, total) = (Span::from_secs(2), Span::from_secs(2));
    assert_eq!(held.excursions, Some(Excursions { longest, total }));
    let failed = judge(always(80.0, Span::from_secs(2) - nanosecond, None), &plateau());
    assert_eq!((failed.held, failed.margin, failed.at, failed.value), (false, -10.0, s(10), 90.0));
}

#[test]
fn the_sum_of_excursions_is_forgiven_up_to_the_total() {
    let values = [(s(0), 0.0), (s(10), 95.0), (s(12), 0.0), (s(20), 90.0), (s(23), 0.0)];
    let verdict = |total| judge(always(80.0, Span::from_secs(3), Some(total)), &values);
    let held = verdict(Span::from_secs(5));
    assert!(held.held);
    let (longest, total) = (Span::from_secs(3), Span::from_secs(5));
    assert_eq!(held.excursions, Some(Excursions { longest, total }));
    // The second excursion breaks the sum: it counts, the higher first one was forgiven.
    let failed = verdict(Span::from_millis(4_999));
    assert_eq!((failed.held, failed.margin, failed.at), (false, -10.0, s(20)));
}

#[test]
fn values_that_follow_each_other_on_the_wrong_side_are_one_excursion() {
    let apart = [(s(0), 0.0), (s(10), 95.0), (s(12), 0.0), (s(12) + Span::from_nanos(1), 90.0), (s(14), 0.0)];
    let joined = [(s(0), 0.0), (s(10), 95.0), (s(12), 0.0), (s(12), 90.0), (s(14), 0.0)];
    let longest = |values: &[(Time, f64)]| {
        judge(always(80.0, Span::from_secs(3), None), values).excursions.map(|seen| seen.longest)
    };
    assert_eq!(longest(&apart), Some(Span::from_secs(2)));
    assert_eq!(longest(&joined), Some(Span::from_secs(4)));
}

#[test]
fn of_two_instants_that_are_alike_the_earlier_is_told() {
    let twice = [(s(0), 90.0), (s(10), 50.0), (s(20), 90.0), (s(30), 50.0)];
    for limit in [80.0, 90.0] {
        assert_eq!(judge(always(limit, Span::ZERO, None), &twice).at, s(0), "at most {limit}");
    }
    assert_eq!(judge(bounds(Some(50.0), None, None), &twice).at, s(10));
}

#[test]
fn an_excursion_lasts_from_crossing_to_crossing() {
    // Above 60 from 6 s to 14 s.
    let peak = [(s(0), 0.0), (s(10), 100.0), (s(20), 0.0)];
    let finding = |except_for| judge_line(Observer::always(at_most(60.0), except_for, None), &peak);
    let held = finding(Span::from_secs(8));
    assert_eq!((held.held, held.margin, held.at, held.value), (true, 0.0, s(6), 60.0));
    assert_eq!(held.excursions.map(|seen| seen.longest), Some(Span::from_secs(8)));
    let failed = finding(Span::from_secs(8) - Span::from_nanos(1));
    assert_eq!((failed.held, failed.margin, failed.at, failed.value), (false, -40.0, s(10), 100.0));
}

#[test]
fn a_line_that_only_touches_a_strict_limit_holds_and_one_that_stays_there_does_not() {
    let below = || {
        let condition = Condition { comparison: Comparison::Below, ..at_most(100.0) };
        Observer::always(condition, Span::ZERO, None)
    };
    let touching = judge_line(below(), &[(s(0), 0.0), (s(10), 100.0), (s(20), 0.0)]);
    assert_eq!((touching.held, touching.margin, touching.at), (true, 0.0, s(10)));
    let staying = judge_line(below(), &[(s(0), 0.0), (s(10), 100.0), (s(11), 100.0), (s(20), 0.0)]);
    assert_eq!((staying.held, staying.margin, staying.at), (false, 0.0, s(10)));
}

#[test]
fn a_return_that_lasts_no_time_ends_no_excursion() {
    let corners = [(s(0), 100.0), (s(10), 60.0), (s(20), 100.0)];
    let finding = judge_line(Observer::always(at_most(60.0), Span::from_secs(15), None), &corners);
    assert!(!finding.held);
    assert_eq!(finding.excursions.map(|seen| seen.longest), Some(Span::from_secs(20)));
}

#[test]
fn a_window_that_is_one_forgiven_excursion_leaves_no_margin() {
    let verdict = judge_within(s(10), s(11), always(80.0, Span::from_secs(1), None), &plateau());
    assert_eq!((verdict.held, verdict.margin, verdict.value), (true, 0.0, 90.0));
}

#[test]
fn only_the_window_counts_and_it_cuts_excursions() {
    let claim = || always(80.0, Span::ZERO, None);
    assert!(judge_within(s(0), s(10), claim(), &plateau()).held);
    assert!(!judge_within(s(0), s(10) + Span::from_nanos(1), claim(), &plateau()).held);
    assert!(judge_within(s(12), s(50), claim(), &plateau()).held);
    assert!(!judge_within(s(12) - Span::from_nanos(1), s(50), claim(), &plateau()).held);
    let cut = judge_within(ms(11_500), s(50), claim(), &plateau());
    assert_eq!(cut.excursions.map(|seen| seen.longest), Some(Span::from_millis(500)));
    assert_eq!(cut.at, ms(11_500));
}

#[test]
fn a_window_of_one_instant_counts_both_sides_of_a_jump() {
    let claim = || always(80.0, Span::ZERO, None);
    for (second, held) in [(9, true), (10, false), (11, false), (12, false), (13, true)] {
        assert_eq!(judge_within(s(second), s(second), claim(), &plateau()).held, held, "at {second} s");
    }
}

#[test]
fn what_was_never_seen_has_failed() {
    let claims = [always(80.0, Span::ZERO, None), bounds(Some(0.0), None, None), Claim::Never(at_most(0.0))];
    for claim in claims {
        let late = judge_within(s(101), s(200), claim.clone(), &plateau());
        assert_eq!((late.held, late.margin, late.at), (false, 0.0, s(100)), "{claim:?}");
        assert!(!judge(claim, &[]).held);
    }
}

#[test]
fn an_open_excursion_ends_with_the_run() {
    let values = [(s(0), 0.0), (s(98), 90.0)];
    assert!(judge(always(80.0, Span::from_secs(2), None), &values).held);
    assert!(!judge(always(80.0, Span::from_millis(1_999), None), &values).held);
}

#[test]
fn eventually_holds_until_its_deadline_and_counts_the_seconds() {
    let values = [(s(0), 90.0), (s(30), 80.0), (s(40), 90.0)];
    let eventually =
        |within| judge_within(s(10), s(60), Claim::Eventually { condition: at_most(80.0), within }, &values);
    let held = eventually(Span::from_secs(20));
    assert_eq!((held.held, held.margin, held.at, held.value), (true, 0.0, s(30), 80.0));
    assert_eq!(eventually(Span::from_secs(25)).margin, 5.0);
    let late = eventually(Span::from_secs(19));
    assert_eq!((late.held, late.margin, late.at), (false, -1.0, s(30)));
}

#[test]
fn eventually_that_never_comes_has_waited_in_vain_and_tells_the_closest() {
    let values = [(s(0), 90.0), (s(30), 81.0), (s(40), 90.0)];
    let claim = |within| Claim::Eventually { condition: at_most(80.0), within };
    let ended = judge_within(s(10), s(60), claim(Span::from_secs(20)), &values);
    assert_eq!((ended.held, ended.margin, ended.at, ended.value), (false, -50.0, s(30), 81.0));
    // The run ends at 100 s, before the deadline.
    let cut_short = judge_within(s(10), Time::MAX, claim(Span::from_secs(1_000)), &values);
    assert_eq!((cut_short.held, cut_short.margin), (false, -90.0));
}

#[test]
fn eventually_is_met_where_the_line_reaches_the_limit() {
    let fall = [(s(0), 100.0), (s(10), 0.0)];
    let finding = judge_line(Observer::eventually(at_most(30.0), Span::from_secs(8)), &fall);
    assert_eq!((finding.held, finding.margin, finding.at, finding.value), (true, 1.0, s(7), 30.0));
}

#[test]
fn bounds_tell_the_nearest_of_low_high_and_peak_to_peak() {
    let verdict = |low, high, peak_to_peak| judge(bounds(low, high, peak_to_peak), &plateau());
    let near_low = verdict(Some(45.0), Some(96.0), None);
    assert_eq!((near_low.held, near_low.margin, near_low.at, near_low.value), (true, 5.0, s(0), 50.0));
    let above = verdict(Some(45.0), Some(89.0), None);
    assert_eq!((above.held, above.margin, above.at, above.value), (false, -1.0, s(10), 90.0));
    let wide = verdict(None, Some(100.0), Some(39.0));
    assert_eq!((wide.held, wide.margin, wide.at, wide.value), (false, -1.0, s(10), 90.0));
    assert!(verdict(Some(50.0), Some(90.0), Some(40.0)).held);
    assert!(!verdict(Some(50.1), Some(90.0), Some(40.0)).held);
}

#[test]
fn events_count_by_kind_controller_and_window() {
    let filter = |controller| EventFilter { kind: "shortfall_began".to_string(), controller };
    let mut monitor = Monitor::new(vec![
        expectation(s(10), s(20), Claim::NoEvent(filter(None))),
        expectation(s(11), s(20), Claim::NoEvent(filter(None))),
        expectation(s(11), s(21), Claim::NoEvent(filter(None))),
        expectation(s(0), s(50), Claim::NoEvent(filter(Some(ControllerIndex(0))))),
        expectation(s(4), s(50), Claim::SomeEvent { filter: filter(None), within: Span::from_secs(6) }),
        expectation(s(4), s(50), Claim::SomeEvent { filter: filter(None), within: Span::from_millis(5_999) }),
        expectation(s(40), s(50), Claim::SomeEvent { filter: filter(None), within: Span::from_secs(1) }),
    ]);
    monitor.event(s(10), CONTROLLER, "shortfall_began");
    monitor.event(s(15), CONTROLLER, "shortfall_ended");
    monitor.event(s(21), CONTROLLER, "shortfall_began");
    let verdicts = monitor.finish(s(100));
    let ends: Vec<_> = verdicts.iter().map(|v| (v.held, v.margin, v.at, v.value)).collect();
    assert_eq!(
        ends,
        [
            (false, -1.0, s(10), 1.0),
            (true, 0.0, s(20), 0.0),
            (false, -1.0, s(21), 1.0),
            (true, 0.0, s(50), 0.0),
            (true, 0.0, s(10), 2.0),
            (false, -0.001, s(10), 2.0),
            (false, -10.0, s(50), 0.0),
        ]
    );
}

#[test]
#[should_panic(expected = "refuses kinds")]
fn a_kind_that_no_event_has_is_a_bug_of_the_writer() {
    let filter = EventFilter { kind: "sunrise".to_string(), controller: None };
    Monitor::new(vec![expectation(s(0), s(1), Claim::NoEvent(filter))]);
}

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
