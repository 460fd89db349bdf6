//! The checkers of authority, against made-up grids.

use super::*;

const BATTERY: ComponentIndex = ComponentIndex(1);

fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

fn until(millis: u64) -> LocalTime {
    LocalTime::ZERO + Span::from_millis(millis)
}

#[test]
fn two_leases_that_count_at_one_instant_are_found_and_one_after_the_other_is_not() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.told(at(0), (0, 0, 0), 256, until(20), HostClock::TRUE);
    watcher.told(at(21), (0, 1, 1), 513, until(41), HostClock::TRUE);
    assert_eq!(watcher.result(at(200)).violation_count, 0);
    // The first host's clock turns out to be slow: its lease still counts.
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    let slow = HostClock { rate_ppb: -100_000_000, ..HostClock::TRUE };
    watcher.told(at(0), (0, 0, 0), 256, until(20), slow);
    watcher.told(at(21), (0, 1, 1), 513, until(41), HostClock::TRUE);
    let rule = Rule::OneAuthority { controller: 1, other: 0 };
    assert_eq!(watcher.result(at(200)).violations, [Violation { at: at(21), grid: 0, rule }]);
}

#[test]
fn a_lower_epoch_on_a_device_that_has_restarted_is_no_violation_and_the_next_lower_one_is() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.accepted(at(1), (0, 1), BATTERY, (513, None));
    watcher.restarted(0, BATTERY);
    watcher.accepted(at(2), (0, 0), BATTERY, (256, None));
    watcher.accepted(at(3), (0, 1), BATTERY, (513, None));
    assert_eq!(watcher.result(at(3)).violation_count, 0);
    watcher.accepted(at(4), (0, 0), BATTERY, (256, None));
    assert_eq!(watcher.result(at(4)).violation_count, 1);
    assert!(watcher.result(at(4)).take_overs.is_empty(), "who wrote last stays who it was");
}

#[test]
fn a_lease_with_an_epoch_of_one_before_it_is_found() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.told(at(0), (0, 0, 0), 512, until(20), HostClock::TRUE);
    watcher.told(at(30), (0, 0, 0), 512, until(50), HostClock::TRUE);
    assert_eq!(watcher.result(at(30)).violation_count, 0, "it was granted the same once more");
    watcher.lost(at(60), 0, 0);
    watcher.told(at(70), (0, 0, 0), 512, until(90), HostClock::TRUE);
    watcher.told(at(100), (0, 1, 1), 257, until(120), HostClock::TRUE);
    let broken = |controller, epoch, own| Rule::NewEpochs { controller, epoch, highest: 512, own };
    let rules: Vec<Rule> =
        watcher.result(at(100)).violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [broken(0, 512, 512), broken(1, 257, 0)]);
}

#[test]
fn epochs_begin_anew_where_two_have_lost_their_promises() {
    let mut watcher = Watcher::new(&[2, 2], &[0, 0, 0, 1]);
    watcher.told(at(0), (0, 0, 0), 512, until(20), HostClock::TRUE);
    assert!(!watcher.forgets(0) && !watcher.forgets(3), "they share no grid");
    watcher.remembers(0);
    assert!(!watcher.forgets(1), "the other knows again");
    watcher.told(at(30), (0, 1, 1), 257, until(50), HostClock::TRUE);
    assert_eq!(watcher.result(at(30)).violation_count, 1);
    assert!(watcher.forgets(0));
    watcher.told(at(60), (0, 0, 0), 256, until(80), HostClock::TRUE);
    assert_eq!(watcher.result(at(60)).violation_count, 1);
    // Of a pair either may have acted alone.
    let mut pair = Watcher::new(&[2], &[0, 0]);
    pair.told(at(0), (0, 0, 0), 512, until(20), HostClock::TRUE);
    pair.forgets(0);
    pair.told(at(30), (0, 0, 0), 256, until(50), HostClock::TRUE);
    assert_eq!(pair.result(at(30)).violation_count, 0);
}

#[test]
fn a_lease_whose_end_is_told_late_is_none_that_begins_and_takes_no_later_one_away() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.told(at(0), (0, 0, 0), 256, until(20), HostClock::TRUE);
    watcher.told(at(30), (0, 1, 1), 513, until(50), HostClock::TRUE);
    watcher.told(at(40), (0, 0, 0), 256, until(10), HostClock::TRUE);
    assert_eq!(watcher.result(at(40)).violation_count, 0);
    watcher.told(at(60), (0, 0, 0), 768, until(80), HostClock::TRUE);
    watcher.told(at(70), (0, 0, 0), 768, until(90), HostClock::TRUE);
    for (epoch, ended) in [(256, 20), (768, 65)] {
        watcher.told(at(75), (0, 0, 0), epoch, until(ended), HostClock::TRUE);
    }
    watcher.sent((at(76), until(76)), (0, 0), until(90));
    assert_eq!(watcher.result(at(76)).violation_count, 0);
    // That it ended what it holds ends it.
    watcher.told(at(80), (0, 0, 0), 768, until(78), HostClock::TRUE);
    watcher.told(at(81), (0, 1, 1), 1_025, until(99), HostClock::TRUE);
    assert_eq!(watcher.result(at(81)).violation_count, 0);
    watcher.sent((at(82), until(82)), (0, 0), until(90));
    assert_eq!(watcher.result(at(82)).violations[0].rule, Rule::WritesExpire { controller: 0 });
}

#[test]
fn the_first_violation_of_each_rule_is_kept_however_many_there_are_of_another() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.told(at(0), (0, 0, 0), 256, until(1_000), HostClock::TRUE);
    for millis in 1..100 {
        watcher.told(at(millis), (0, 1, 1), 513, until(1_000), HostClock::TRUE);
    }
    watcher.accepted(at(200), (0, 1), BATTERY, (513, None));
    for millis in [201, 202] {
        watcher.accepted(at(millis), (0, 0), BATTERY, (256, None));
    }
    let result = watcher.result(at(300));
    assert_eq!(result.violation_count, 101);
    assert_eq!(result.violations.len(), MAX_VIOLATIONS_KEPT + 1);
    let rule = Rule::EpochsRise { controller: 0, component: BATTERY, epoch: 256, accepted: 513, way: None };
    assert_eq!(result.violations.last(), Some(&Violation { at: at(201), grid: 0, rule }));
}

#[test]
fn a_lower_epoch_on_a_device_is_found() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.accepted(at(1), (0, 0), BATTERY, (256, None));
    watcher.accepted(at(2), (0, 1), BATTERY, (513, None));
    watcher.accepted(at(3), (0, 0), BATTERY, (256, None));
    assert_eq!(watcher.result(at(200)).violation_count, 1);
}

#[test]
fn a_controller_may_overtake_itself_but_no_life_of_it_another() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.told(at(0), (0, 0, 0), 256, until(20), HostClock::TRUE);
    watcher.accepted(at(1), (0, 0), BATTERY, (256, None));
    watcher.told(at(10), (0, 0, 0), 512, until(30), HostClock::TRUE);
    watcher.accepted(at(11), (0, 0), BATTERY, (512, None));
    watcher.accepted(at(12), (0, 0), BATTERY, (256, None));
    assert_eq!(watcher.result(at(12)).violation_count, 0);
    watcher.lost(at(13), 0, 0);
    watcher.told(at(15), (0, 0, 0), 768, until(35), HostClock::TRUE);
    watcher.accepted(at(16), (0, 0), BATTERY, (768, None));
    watcher.accepted(at(17), (0, 0), BATTERY, (512, None));
    assert_eq!(watcher.result(at(17)).violation_count, 1);
}

#[test]
fn who_gives_an_epoch_up_with_a_write_of_it_on_its_way_is_found() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.wrote(at(1), 0, BATTERY, 256);
    watcher.released(at(1), (0, 0), 512);
    watcher.released(at(1), (0, 1), 256);
    assert_eq!(watcher.result(at(2)).violation_count, 0);
    watcher.released(at(2), (0, 0), 256);
    let rule = Rule::NothingOutstanding { controller: 0, component: BATTERY, epoch: 256 };
    assert_eq!(watcher.result(at(2)).violations, [Violation { at: at(2), grid: 0, rule }]);
    assert_eq!(watcher.arrived(at(31), 0, BATTERY, 256), Some(Span::from_millis(30)));
    watcher.released(at(3), (0, 0), 256);
    assert_eq!(watcher.result(at(3)).violation_count, 1);
}

#[test]
fn a_write_that_outlives_its_lease_is_found() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.sent((at(0), until(0)), (0, 0), until(90_000));
    watcher.told(at(0), (0, 0, 0), 256, until(20), HostClock::TRUE);
    watcher.sent((at(1), until(1)), (0, 0), until(20));
    assert_eq!(watcher.result(at(3)).violation_count, 0);
    watcher.sent((at(2), until(2)), (0, 0), until(21));
    assert_eq!(watcher.result(at(3)).violations[0].rule, Rule::WritesExpire { controller: 0 });
}

#[test]
fn a_write_that_leaves_after_it_has_expired_is_found_also_of_who_is_alone() {
    let mut watcher = Watcher::new(&[2], &[0]);
    watcher.sent((at(10), until(20)), (0, 0), until(20));
    assert_eq!(watcher.result(at(30)).violation_count, 0);
    watcher.sent((at(30), until(21)), (0, 0), until(20));
    let rule = Rule::SentInTime { controller: 0 };
    assert_eq!(watcher.result(at(30)).violations, [Violation { at: at(30), grid: 0, rule }]);
}

#[test]
fn a_take_over_is_measured_from_the_crash_to_the_first_accepted_write_of_the_next() {
    let mut watcher = Watcher::new(&[2], &[0, 0]);
    watcher.accepted(at(100), (0, 0), BATTERY, (256, None));
    watcher.lost(at(104), 0, 0);
    watcher.accepted(at(105), (0, 0), BATTERY, (256, None));
    assert_eq!(watcher.result(at(110)).waiting, [(0, at(104))]);
    watcher.accepted(at(131), (0, 1), BATTERY, (513, None));
    let found = watcher.result(at(200));
    let taken = TakeOver { grid: 0, from: 0, to: 1, lost_at: at(104), at: at(131) };
    assert_eq!((found.take_overs.as_slice(), found.waiting.len()), (&[taken][..], 0));
    assert_eq!(taken.gap(), Span::from_millis(27));
}

#[test]
fn a_grid_waits_whose_writer_lost_its_lease_and_one_in_which_nobody_ever_wrote() {
    let mut watcher = Watcher::new(&[2, 2, 2], &[0, 0, 1, 1, 2]);
    watcher.told(at(100), (0, 0, 0), 256, until(120), HostClock::TRUE);
    watcher.accepted(at(101), (0, 0), BATTERY, (256, None));
    assert_eq!(watcher.result(at(120)).waiting, [(1, Time::ZERO)], "one that is alone does not share");
    let waiting = [(0, at(120)), (1, Time::ZERO)];
    assert_eq!(watcher.result(at(121)).waiting, waiting);
    watcher.told(at(130), (1, 1, 2), 256, until(150), HostClock::TRUE);
    assert_eq!(watcher.result(at(140)).waiting, [(0, at(120))], "it is about to write");
}
