//! What the monitor says about signals whose answer is known.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::{Span, Time};

use super::observer::Observer;
use super::piece::{Piece, Window};
use super::*;

pub(super) const CONTROLLER: ControllerIndex = ControllerIndex(1);
pub(super) const POINT: PointIndex = PointIndex(7);
const SHOWN: Watched = Watched::Image { controller: CONTROLLER, point: POINT };

pub(super) fn ms(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

pub(super) fn s(seconds: u64) -> Time {
    ms(seconds * 1_000)
}

fn at_most(value: f64) -> Condition {
    Condition { point: SHOWN, comparison: Comparison::AtMost, value }
}

pub(super) fn always(value: f64, except_for: Span, total: Option<Span>) -> Claim {
    Claim::Always { condition: at_most(value), except_for, total }
}

fn strictly(comparison: Comparison, value: f64) -> Claim {
    let condition = Condition { point: SHOWN, comparison, value };
    Claim::Always { condition, except_for: Span::ZERO, total: None }
}

fn bounds(low: Option<f64>, high: Option<f64>, peak_to_peak: Option<f64>) -> Claim {
    Claim::Bounds { point: SHOWN, low, high, peak_to_peak }
}

pub(super) fn expectation(from: Time, to: Time, claim: Claim) -> Expectation {
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
        observer.observe(Piece::straight((pair[0].1, pair[1].1), pair[0].0, pair[1].0));
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
fn what_is_past_a_limit_by_more_than_rounding_has_failed() {
    for (beyond, held) in [(1e-10, true), (1e-8, false)] {
        let values = [(s(0), 0.7 + beyond)];
        assert_eq!(judge(always(0.7, Span::ZERO, None), &values).held, held);
        assert_eq!(judge(bounds(None, Some(0.7), None), &values).held, held);
        assert_eq!(judge(bounds(Some(0.7 + 2.0 * beyond), None, None), &values).held, held);
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
fn with_a_total_alone_one_excursion_may_last_as_long_as_all() {
    let verdict = |total| judge(always(80.0, Span::ZERO, Some(total)), &plateau());
    assert!(verdict(Span::from_secs(2)).held);
    assert!(!verdict(Span::from_secs(2) - Span::from_nanos(1)).held);
    assert!(!verdict(Span::ZERO).held);
    let twice = [(s(0), 0.0), (s(10), 90.0), (s(12), 0.0), (s(20), 90.0), (s(23), 0.0)];
    assert!(judge(always(80.0, Span::ZERO, Some(Span::from_secs(5))), &twice).held);
    assert!(!judge(always(80.0, Span::ZERO, Some(Span::from_millis(4_999))), &twice).held);
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
fn an_image_that_is_not_answered_for_its_maximum_age_has_no_value() {
    // Good values at 1, 2, 20 and then every second; each is believed for 3 s.
    let judge = |claim: Claim| {
        let mut monitor = Monitor::new(vec![expectation(Time::ZERO, s(40), claim)]);
        monitor.expires(CONTROLLER, POINT, Span::from_secs(3));
        for second in [1, 2].into_iter().chain(20..40) {
            monitor.image(s(second), CONTROLLER, POINT, 50.0);
        }
        monitor.finish(s(40)).remove(0)
    };
    let dead = judge(always(80.0, Span::ZERO, None));
    assert_eq!((dead.held, dead.margin, dead.at, dead.value), (false, 0.0, s(5), 50.0));
    assert_eq!(dead.without_value, Span::from_secs(15));
    assert_eq!(dead.excursions.map(|seen| seen.longest), Some(Span::from_secs(15)));
    assert!(judge(always(80.0, Span::from_secs(15), None)).held);
    assert!(!judge(always(80.0, Span::from_secs(15) - Span::from_nanos(1), None)).held);
    let bounds_of_dead = judge(bounds(Some(0.0), Some(80.0), None));
    assert_eq!((bounds_of_dead.held, bounds_of_dead.margin, bounds_of_dead.at), (false, 0.0, s(5)));
    assert!(!judge(Claim::Never(Condition { comparison: Comparison::Above, ..at_most(80.0) })).held);
    // What is really wrong is worse than nothing.
    assert_eq!(judge(always(40.0, Span::ZERO, None)).margin, -10.0);
    assert_eq!(judge(bounds(None, Some(40.0), None)).margin, -10.0);
}

#[test]
fn a_value_that_is_repeated_in_time_is_believed_and_an_image_that_never_shows_one_is_not() {
    let judge = |every: u64| {
        let mut monitor = Monitor::new(vec![expectation(Time::ZERO, s(40), always(80.0, Span::ZERO, None))]);
        monitor.expires(CONTROLLER, POINT, Span::from_secs(3));
        for number in 1..1_000 {
            if number * every <= 40_000 {
                monitor.image(ms(number * every), CONTROLLER, POINT, 50.0);
            }
        }
        monitor.finish(s(40)).remove(0)
    };
    assert!(judge(3_000).held, "at the maximum age a value is still believed");
    assert!(!judge(3_001).held);
    let never = judge(1_000_000);
    assert_eq!((never.held, never.at, never.without_value), (false, s(3), Span::from_secs(37)));
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
