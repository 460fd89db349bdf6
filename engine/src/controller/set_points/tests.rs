//! Writes, their answers and what is forgotten, on one device.

mod read_back;

use super::*;
use crate::event::Event;
use crate::functions::testing::device;
use crate::points::{DeviceClass, Positive};
use crate::redundancy::{Epoch, Seat};
use crate::units::Vars;

const BATTERY: DeviceIndex = DeviceIndex(1);
const LONGEST: Span = Span::from_millis(200);

fn at(millis: u64) -> LocalTime {
    LocalTime::from_nanos(millis * 1_000_000)
}

fn write(millis: u64) -> LastWrite {
    let epoch = Epoch::NONE.next_for(Seat(0));
    let (power, reactive) = (Watts::of(1e3), Vars::ZERO);
    LastWrite { power, reactive, at: at(millis), epoch, state: WriteState::Pending }
}

/// One device, to which was written at these instants.
fn written_at(instants: &[u64]) -> SetPoints {
    let spec = DeviceSpec {
        longest_write: LONGEST,
        write_interval: Span::from_secs(1),
        ..device("bess", DeviceClass::Battery, Positive::Discharge, 250.0)
    };
    let channel = Channel::new(BATTERY, &spec, None);
    let mut set_points = SetPoints { channels: alloc::vec![channel], silent: 0 };
    for millis in instants {
        set_points.channels[0].note_write(write(*millis), Need::Wished, at(*millis) + LONGEST);
    }
    set_points
}

fn answer(set_points: &mut SetPoints, millis: u64, outcome: WriteOutcome) {
    set_points.written(at(millis), BATTERY, outcome, &mut Effects::new());
}

#[test]
fn a_write_ends_d_after_the_last_instant_at_which_it_may_be_sent() {
    let settings = Settings { clock_rate_max_ppb: 0, ..Settings::FAST };
    let mut channel = written_at(&[]).channels.remove(0);
    assert_eq!(channel.ends_at(at(1_000), at(1_015), &settings), at(1_215));
    channel.longest_write = Span::ZERO;
    assert_eq!(channel.ends_at(at(1_000), at(1_015), &settings), at(1_000), "it checks epochs");
}

#[test]
fn a_write_is_outstanding_until_it_is_answered() {
    let mut set_points = written_at(&[1_000]);
    assert_eq!(set_points.writes_end(), at(1_200));
    answer(&mut set_points, 1_010, WriteOutcome::Acknowledged);
    assert_eq!(set_points.writes_end(), LocalTime::ZERO);
}

#[test]
fn an_answer_to_an_older_write_counts_for_no_newer_one() {
    let mut set_points = written_at(&[1_000, 1_010]);
    answer(&mut set_points, 1_020, WriteOutcome::Acknowledged);
    let state = |set_points: &SetPoints| set_points.channels[0].last.map(|last| last.state);
    assert_eq!(state(&set_points), Some(WriteState::Pending));
    assert_eq!(set_points.writes_end(), at(1_210));
    answer(&mut set_points, 1_030, WriteOutcome::Acknowledged);
    assert_eq!(state(&set_points), Some(WriteState::Acknowledged { at: at(1_030) }));
    assert_eq!(set_points.writes_end(), LocalTime::ZERO);
}

#[test]
fn the_last_write_outlives_its_authority_until_something_is_written_again() {
    let mut set_points = written_at(&[1_000]);
    let past = |set_points: &SetPoints| set_points.channels[0].past.map(|past| (past.at, past.state));
    assert_eq!(past(&set_points), None);
    set_points.forget_decisions();
    assert!(set_points.channels[0].last.is_none());
    assert_eq!(past(&set_points), Some((at(1_000), WriteState::Pending)));
    // What is forgotten once more leaves it, and its answer is noted.
    set_points.forget_decisions();
    answer(&mut set_points, 1_320, WriteOutcome::Acknowledged);
    assert_eq!(past(&set_points), Some((at(1_000), WriteState::Acknowledged { at: at(1_320) })));
    set_points.channels[0].note_write(write(2_000), Need::Wished, at(2_000) + LONGEST);
    assert_eq!(past(&set_points), None);
    set_points.forget();
    assert_eq!(past(&set_points), None, "its clock was that of another life");
}

#[test]
fn a_write_that_timed_out_is_outstanding_until_it_cannot_be_applied_any_more() {
    let mut set_points = written_at(&[1_000]);
    answer(&mut set_points, 1_050, WriteOutcome::TimedOut);
    assert_eq!(set_points.writes_end(), at(1_200));
    // The next one is acknowledged, but the first may still come after it.
    set_points.channels[0].note_write(write(1_100), Need::Wished, at(1_100) + LONGEST);
    answer(&mut set_points, 1_110, WriteOutcome::Acknowledged);
    assert_eq!(set_points.writes_end(), at(1_300));
    set_points.channels[0].note_write(write(1_400), Need::Wished, at(1_400) + LONGEST);
    answer(&mut set_points, 1_410, WriteOutcome::Acknowledged);
    assert_eq!(set_points.writes_end(), LocalTime::ZERO, "by then it was over");
}

#[test]
fn the_pause_after_a_write_that_failed_counts_from_the_write() {
    let retry_at = |answers: &[(u64, WriteOutcome)]| {
        let mut set_points = written_at(&[1_000]);
        for (millis, outcome) in answers {
            answer(&mut set_points, *millis, *outcome);
        }
        set_points.channels[0].retry_at
    };
    assert_eq!(retry_at(&[(1_010, WriteOutcome::Refused)]), at(2_000));
    assert_eq!(retry_at(&[(2_000, WriteOutcome::TimedOut)]), at(2_000), "that was pause enough");
}

#[test]
fn the_pause_doubles_with_each_write_that_fails_and_not_with_each_decision_that_is_answered_so() {
    let mut set_points = written_at(&[1_000, 1_100, 1_200]);
    for (millis, outcome) in
        [(1_300, WriteOutcome::TimedOut), (1_300, WriteOutcome::TimedOut), (1_310, WriteOutcome::Refused)]
    {
        answer(&mut set_points, millis, outcome);
    }
    assert_eq!(set_points.channels[0].retry_at, at(2_200));
    for (millis, pause) in [(3_000, 2_000), (6_000, 4_000)] {
        set_points.channels[0].note_write(write(millis), Need::Wished, at(millis) + LONGEST);
        for _decision in 0..3 {
            answer(&mut set_points, millis + 10, WriteOutcome::Refused);
        }
        assert_eq!(set_points.channels[0].retry_at, at(millis + pause));
    }
    // One that had expired was repeated at once, and has no pause of its own yet.
    let mut set_points = written_at(&[1_000, 1_100]);
    answer(&mut set_points, 1_300, WriteOutcome::Expired);
    answer(&mut set_points, 1_300, WriteOutcome::TimedOut);
    assert_eq!(set_points.channels[0].retry_at, at(2_100));
}

#[test]
fn writes_are_late_when_some_in_a_row_over_a_while_were_and_none_was_performed() {
    let counts = |_device: DeviceIndex| true;
    let late_at = |expired: &[u64], now: u64| {
        let mut set_points = written_at(&[]);
        for millis in expired {
            set_points.channels[0].note_write(write(*millis), Need::Wished, at(*millis) + LONGEST);
            answer(&mut set_points, millis + 40, WriteOutcome::Expired);
        }
        (set_points.is_late(at(now), counts), set_points)
    };
    assert!(late_at(&[1_000, 1_400, 1_800], 2_000).0);
    assert!(!late_at(&[1_000, 1_400, 1_800], 1_999).0, "not for long enough");
    assert!(!late_at(&[1_000, 1_400], 9_000).0, "two may be an accident");
    let (_, mut set_points) = late_at(&[1_000, 1_400, 1_800], 2_000);
    assert!(!set_points.is_late(at(2_000), |_device| false), "none that counts");
    set_points.channels[0].note_write(write(2_100), Need::Wished, at(2_100) + LONGEST);
    answer(&mut set_points, 2_110, WriteOutcome::Acknowledged);
    assert!(!set_points.is_late(at(9_000), counts));
    assert!(!written_at(&[]).is_late(at(9_000), counts), "nothing was written");
}

#[test]
fn writes_are_outstanding_and_limited_however_often_authority_comes_and_goes() {
    let mut set_points = written_at(&[1_000]);
    assert!(set_points.channels[0].limiter.take(at(1_000)));
    set_points.forget_decisions();
    assert_eq!((set_points.writes_end(), set_points.channels[0].last), (at(1_200), None));
    assert!(!set_points.channels[0].limiter.take(at(1_999)));
    set_points.forget();
    assert_eq!(set_points.writes_end(), LocalTime::ZERO, "another life has another clock");
    assert!(set_points.channels[0].limiter.take(at(10)));
}

/// What nobody has measured yet.
fn image() -> Image {
    let meter = device("pcc", DeviceClass::Meter, Positive::Import, 400.0);
    let battery = device("bess", DeviceClass::Battery, Positive::Discharge, 250.0);
    Image::new(&[meter, battery], Span::from_secs(1))
}

/// A device that rests after an hour and may be written 50 times a day, of which 48 repeat its set-point; behind the bus or not.
fn worn(is_on_bus: bool) -> SetPoints {
    let spec = DeviceSpec {
        reversion: Span::from_hours(1),
        writes_per_day: Some(50),
        dead_band: Watts::of(1e3),
        ..device("bess", DeviceClass::Battery, Positive::Discharge, 250.0)
    };
    SetPoints { channels: alloc::vec![Channel::new(BATTERY, &spec, is_on_bus.then_some(1.0))], silent: 0 }
}

fn minute(minutes: u64) -> LocalTime {
    at(60_000 * minutes)
}

fn second(seconds: u64) -> LocalTime {
    at(1_000 * seconds)
}

/// Wants this now; returns whether it is written.
fn wants(set_points: &mut SetPoints, now: LocalTime, kilowatts: f64, out: &mut Effects) -> bool {
    let (channel, power) = (&mut set_points.channels[0], Watts::of(kilowatts * 1e3));
    let need = channel.need(now, SetPoint::active(power));
    let epoch = write(0).epoch;
    let writes = channel.may_try(now, epoch, SetPoint::active(power)) && channel.may_write(now, need, out);
    if writes {
        channel.note_write(LastWrite { power, at: now, ..write(0) }, need, now);
    }
    writes
}

/// Wants this each second; returns when it is written, in seconds. What is written ends as `outcome` says, at once.
fn written_of(
    set_points: &mut SetPoints,
    seconds: core::ops::Range<u64>,
    kilowatts: f64,
    outcome: WriteOutcome,
) -> Vec<u64> {
    let mut out = Effects::new();
    let is_written = |now: &u64| {
        let is_written = wants(set_points, second(*now), kilowatts, &mut out);
        if is_written {
            set_points.written(second(*now), BATTERY, outcome, &mut out);
        }
        is_written
    };
    seconds.filter(is_written).collect()
}

/// Lets it move once, which is all that its day has room for.
fn use_up(set_points: &mut SetPoints) {
    let acknowledged = WriteOutcome::Acknowledged;
    assert_eq!(written_of(set_points, 0..1, 10.0, acknowledged), [0]);
    assert_eq!(written_of(set_points, 1..2, 20.0, acknowledged), [1]);
    assert_eq!(written_of(set_points, 2..60, 30.0, acknowledged), []);
}

fn reports(out: &Effects) -> Vec<Event> {
    out.as_slice().iter().filter_map(|effect| effect.event().copied()).collect()
}

#[test]
fn once_its_budget_is_used_up_a_set_point_moves_when_it_is_repeated_and_rest_is_written() {
    let (mut set_points, mut out) = (worn(false), Effects::new());
    let mut wants = |minutes: u64, kilowatts: f64| {
        let is_written = wants(&mut set_points, minute(minutes), kilowatts, &mut out);
        if is_written {
            set_points.written(minute(minutes), BATTERY, WriteOutcome::Acknowledged, &mut out);
        }
        is_written
    };
    let moves = [(0, 10.0), (1, 20.0), (2, 30.0), (3, 40.0)].map(|(at, kw)| wants(at, kw));
    assert_eq!(moves, [true, true, false, false], "one to begin with, and one more");
    assert!(wants(4, 0.0), "rest");
    assert!(!wants(5, 0.0), "once");
    assert!(!wants(5, 40.0));
    assert!(wants(34, 40.0), "it is repeated after half an hour, and moves");
    assert!(!wants(63, 50.0));
    assert!(wants(24 * 60, 50.0), "another day");
    let renewed_in = Span::from_mins(24 * 60 - 2);
    let used_up = Event::WriteBudgetUsedUp { device: BATTERY, per_day: 50, renewed_in };
    assert_eq!(reports(&out), [used_up, Event::WriteBudgetRenewed { device: BATTERY }]);
}

#[test]
fn an_authority_tells_what_lasts_and_not_the_end_of_what_another_told() {
    for is_told_again in [true, false] {
        let mut set_points = worn(false);
        use_up(&mut set_points);
        set_points.forget_decisions();
        let mut out = Effects::new();
        assert!(wants(&mut set_points, minute(2), 30.0, &mut out));
        set_points.written(minute(2), BATTERY, WriteOutcome::Acknowledged, &mut out);
        if is_told_again {
            assert!(!wants(&mut set_points, minute(3), 40.0, &mut out));
        }
        assert!(wants(&mut set_points, minute(24 * 60), 40.0, &mut out));
        let told: Vec<&str> = reports(&out).iter().map(Event::kind).collect();
        let both: &[&str] = &["write_budget_used_up", "write_budget_renewed"];
        assert_eq!(told, if is_told_again { both } else { &[] });
    }
}

#[test]
fn half_of_the_reversion_counts_from_what_the_device_holds_whatever_failed_since() {
    // The cable is out from the move at four minutes on; the day has room for no more than that.
    let mut set_points = worn(false);
    assert_eq!(written_of(&mut set_points, 0..1, 10.0, WriteOutcome::Acknowledged), [0]);
    assert_eq!(written_of(&mut set_points, 240..1_800, 20.0, WriteOutcome::TimedOut), [240]);
    let urgent = written_of(&mut set_points, 1_800..2_400, 20.0, WriteOutcome::TimedOut);
    assert_eq!(urgent, [1_800, 1_802, 1_806, 1_814, 1_830, 1_862, 1_926, 2_054, 2_279]);
    set_points.is_silent(BATTERY);
    set_points.answers(second(2_400), BATTERY);
    assert_eq!(written_of(&mut set_points, 2_400..2_500, 20.0, WriteOutcome::Acknowledged), [2_400]);
    assert_eq!(written_of(&mut set_points, 2_500..4_200, 20.0, WriteOutcome::Acknowledged), []);
    assert_eq!(written_of(&mut set_points, 4_200..4_201, 20.0, WriteOutcome::Acknowledged), [4_200]);
}

#[test]
fn a_device_that_refuses_for_a_day_costs_no_more_than_a_few_and_one_in_an_eighth_of_half_the_reversion() {
    for (kilowatts, is_first) in [(10.0, true), (0.0, false)] {
        let mut set_points = worn(false);
        let begins = if is_first {
            0
        } else {
            use_up(&mut set_points);
            60
        };
        let day = begins..begins + 24 * 3_600;
        let tries = written_of(&mut set_points, day, kilowatts, WriteOutcome::Refused).len();
        let longest = 1_800 / 8 + 1;
        assert!((384 - 10..=384 + 8).contains(&tries), "{tries} tries, a pause of {longest} s");
    }
}

#[test]
fn where_writes_do_not_wear_pauses_are_as_short_as_ever() {
    let mut set_points = written_at(&[]);
    let tries = written_of(&mut set_points, 0..80, 10.0, WriteOutcome::Refused);
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 47, 63, 79]);
}

#[test]
fn what_had_to_be_written_is_tried_again_whatever_the_day_has_left() {
    let mut set_points = worn(false);
    use_up(&mut set_points);
    let outcomes = written_of(&mut set_points, 60..70, 0.0, WriteOutcome::TimedOut);
    assert_eq!(outcomes, [60, 61, 63, 67], "rest");
    let mut out = Effects::new();
    assert!(!wants(&mut set_points, second(100), 40.0, &mut out), "that can wait");
}

#[test]
fn rest_is_not_held_before_it_is_acknowledged() {
    let mut set_points = worn(false);
    use_up(&mut set_points);
    let mut out = Effects::new();
    assert!(wants(&mut set_points, second(60), 0.0, &mut out));
    assert!(!wants(&mut set_points, second(61), 0.0, &mut out), "it is under way");
    set_points.written(second(62), BATTERY, WriteOutcome::Expired, &mut out);
    assert!(wants(&mut set_points, second(62), 0.0, &mut out), "it has not left, and is repeated at once");
    set_points.written(second(63), BATTERY, WriteOutcome::Acknowledged, &mut out);
    assert!(!wants(&mut set_points, second(64), 0.0, &mut out));
}

#[test]
fn what_has_left_counts_and_nothing_else() {
    let has_room = |set_points: &mut SetPoints| {
        let budget = set_points.channels[0].budget.as_mut().expect("it has one");
        let _none = budget.pass(second(1));
        budget.has_room()
    };
    let (room, none) = (true, false);
    let mut set_points = worn(true);
    for millis in 0..100 {
        set_points.channels[0].note_write(write(millis), Need::Wished, at(millis));
    }
    assert!(has_room(&mut set_points), "its bus has not told that anything left");
    for (how, expected) in
        [(Leaving::Begins, room), (Leaving::GoesOn, room), (Leaving::Waits, room), (Leaving::Repeats, none)]
    {
        set_points.leaves(BATTERY, second(1), how, &Settings::FAST);
        assert_eq!(has_room(&mut set_points), expected, "{how:?}");
    }
    let mut set_points = worn(false);
    set_points.channels[0].note_write(write(0), Need::Wished, at(0));
    assert!(has_room(&mut set_points));
    set_points.channels[0].note_write(write(1), Need::Wished, at(1));
    assert!(!has_room(&mut set_points), "of one that has no bus nobody tells");
}

#[test]
fn what_was_not_sent_does_not_count_in_its_day() {
    let has_room = |set_points: &mut SetPoints| {
        let budget = set_points.channels[0].budget.as_mut().expect("it has one");
        let _none = budget.pass(second(1));
        budget.has_room()
    };
    for (how, is_taken_back) in
        [(Leaving::Begins, true), (Leaving::Repeats, true), (Leaving::GoesOn, false), (Leaving::Waits, false)]
    {
        let mut set_points = worn(true);
        for _write in 0..2 {
            set_points.leaves(BATTERY, second(1), Leaving::Begins, &Settings::FAST);
        }
        assert!(!has_room(&mut set_points));
        set_points.not_sent(BATTERY, how);
        // That it has expired is told too.
        set_points.written(second(1), BATTERY, WriteOutcome::Expired, &mut Effects::new());
        assert_eq!(has_room(&mut set_points), is_taken_back, "{how:?}");
    }
    for (outcome, is_taken_back) in [(WriteOutcome::Expired, true), (WriteOutcome::TimedOut, false)] {
        let mut set_points = worn(false);
        for _write in 0..2 {
            set_points.channels[0].note_write(write(0), Need::Wished, at(0));
        }
        set_points.written(second(1), BATTERY, outcome, &mut Effects::new());
        assert_eq!(
            has_room(&mut set_points),
            is_taken_back,
            "of one that has no bus its driver says so: {outcome:?}"
        );
    }
}

#[test]
fn a_set_point_is_written_again_when_the_device_may_have_lost_it() {
    let mut set_points = written_at(&[]);
    let acknowledged = WriteOutcome::Acknowledged;
    assert_eq!(written_of(&mut set_points, 1..20, 1.0, acknowledged), [1]);
    set_points.doubt(second(20), BATTERY);
    assert_eq!(written_of(&mut set_points, 20..25, 1.0, acknowledged), [20], "once");
    set_points.doubt(second(25), BATTERY);
    set_points.leaves(BATTERY, second(26), Leaving::Waits, &Settings::FAST);
    assert_ne!(set_points.channels[0].need(second(25), SetPoint::active(Watts::of(1e3))), Need::Nothing);
    set_points.leaves(BATTERY, second(26), Leaving::Begins, &Settings::FAST);
    let need = set_points.channels[0].need(second(25), SetPoint::active(Watts::of(1e3)));
    assert_eq!(need, Need::Nothing, "what waited for the connection has left on it");
    set_points.forget_decisions();
    set_points.doubt(second(26), BATTERY);
    assert!(!set_points.channels[0].doubt.is_due(second(99)), "nothing of this authority was written");
}

#[test]
fn a_new_connection_is_no_reason_to_ask_a_device_again_that_refused() {
    for (outcome, is_tried) in [(WriteOutcome::TimedOut, true), (WriteOutcome::Refused, false)] {
        let mut set_points = written_at(&[]);
        let tries = written_of(&mut set_points, 0..33, 1.0, outcome);
        assert_eq!(tries, [0, 1, 3, 7, 15, 31]);
        set_points.doubt(second(33), BATTERY);
        set_points.is_silent(BATTERY);
        set_points.answers(second(33), BATTERY);
        assert_eq!(written_of(&mut set_points, 33..34, 1.0, outcome).len(), usize::from(is_tried));
    }
}

#[test]
fn connections_that_come_and_go_use_up_no_day() {
    let mut set_points = worn(false);
    let mut count = 0;
    for now in 0..6 * 3_600 {
        set_points.doubt(second(now), BATTERY);
        count += written_of(&mut set_points, now..now + 1, 10.0, WriteOutcome::Acknowledged).len();
    }
    // It is repeated twelve times in any case, and restored once between two of these at most.
    assert!((12..=24).contains(&count), "{count} writes");
    let budget = set_points.channels[0].budget.as_ref().expect("it has one");
    assert!(!budget.has_room(), "what was there beside them is used up");
}

#[test]
fn what_may_be_lost_is_restored_once_in_half_of_the_reversion_when_the_day_has_no_room_and_rest_at_once() {
    let mut set_points = worn(false);
    use_up(&mut set_points);
    let acknowledged = WriteOutcome::Acknowledged;
    let moved = |set_points: &mut SetPoints, now| written_of(set_points, now..now + 1, 40.0, acknowledged);
    set_points.doubt(second(60), BATTERY);
    assert_eq!(moved(&mut set_points, 60), [60]);
    assert_eq!(moved(&mut set_points, 61), []);
    set_points.doubt(second(900), BATTERY);
    assert_eq!(moved(&mut set_points, 900), [], "not so soon");
    assert_eq!(written_of(&mut set_points, 901..902, 0.0, acknowledged), [901]);
    set_points.doubt(second(1_000), BATTERY);
    assert_eq!(written_of(&mut set_points, 1_000..1_010, 0.0, acknowledged), [1_000], "it may not rest");
}

#[test]
fn what_is_restored_is_tried_until_the_device_has_acknowledged_it() {
    let mut set_points = worn(false);
    use_up(&mut set_points);
    set_points.doubt(second(60), BATTERY);
    let tried = written_of(&mut set_points, 60..80, 40.0, WriteOutcome::TimedOut);
    assert!(tried.len() >= 2 && tried[0] == 60, "{tried:?}");
    let again = written_of(&mut set_points, 80..400, 40.0, WriteOutcome::Acknowledged);
    assert_eq!(again.len(), 1, "{again:?}");
    assert_eq!(written_of(&mut set_points, 400..900, 40.0, WriteOutcome::Acknowledged), []);
}

#[test]
fn rest_never_waits_for_the_pause_of_another_set_point() {
    let mut set_points = worn(false);
    assert_eq!(written_of(&mut set_points, 0..100, 10.0, WriteOutcome::Refused).last(), Some(&63));
    assert_eq!(written_of(&mut set_points, 100..101, 0.0, WriteOutcome::Refused), [100]);
}
