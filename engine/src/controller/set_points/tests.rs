//! Writes, their answers and what is forgotten, on one device.

use super::*;
use crate::functions::testing::device;
use crate::points::{DeviceClass, Positive};
use crate::redundancy::Seat;

const BATTERY: DeviceIndex = DeviceIndex(1);
const LONGEST: Span = Span::from_millis(200);

fn at(millis: u64) -> LocalTime {
    LocalTime::from_nanos(millis * 1_000_000)
}

fn write(millis: u64) -> LastWrite {
    let epoch = Epoch::NONE.next_for(Seat(0));
    LastWrite { power: Watts::of(1e3), at: at(millis), epoch, state: WriteState::Pending }
}

/// One device, to which was written at these instants.
fn written_at(instants: &[u64]) -> SetPoints {
    let spec = DeviceSpec {
        longest_write: LONGEST,
        write_interval: Span::from_secs(1),
        ..device("bess", DeviceClass::Battery, Positive::Discharge, 250.0)
    };
    let channel = Channel::new(BATTERY, &spec);
    let mut set_points = SetPoints { channels: alloc::vec![channel], silent: 0 };
    for millis in instants {
        set_points.channels[0].note_write(write(*millis), at(*millis) + LONGEST);
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
    set_points.channels[0].note_write(write(2_000), at(2_000) + LONGEST);
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
    set_points.channels[0].note_write(write(1_100), at(1_100) + LONGEST);
    answer(&mut set_points, 1_110, WriteOutcome::Acknowledged);
    assert_eq!(set_points.writes_end(), at(1_300));
    set_points.channels[0].note_write(write(1_400), at(1_400) + LONGEST);
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
    assert_eq!(retry_at(&[(1_010, WriteOutcome::Refused), (1_020, WriteOutcome::Refused)]), at(3_000));
}

#[test]
fn writes_are_late_when_some_in_a_row_over_a_while_were_and_none_was_performed() {
    let counts = |_device: DeviceIndex| true;
    let late_at = |expired: &[u64], now: u64| {
        let mut set_points = written_at(&[]);
        for millis in expired {
            set_points.channels[0].note_write(write(*millis), at(*millis) + LONGEST);
            answer(&mut set_points, millis + 40, WriteOutcome::Expired);
        }
        (set_points.is_late(at(now), counts), set_points)
    };
    assert!(late_at(&[1_000, 1_400, 1_800], 2_000).0);
    assert!(!late_at(&[1_000, 1_400, 1_800], 1_999).0, "not for long enough");
    assert!(!late_at(&[1_000, 1_400], 9_000).0, "two may be an accident");
    let (_, mut set_points) = late_at(&[1_000, 1_400, 1_800], 2_000);
    assert!(!set_points.is_late(at(2_000), |_device| false), "none that counts");
    set_points.channels[0].note_write(write(2_100), at(2_100) + LONGEST);
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
