//! The checker of progress, tried on worlds that are made by hand.

use r_ems_engine::redundancy::{Epoch, Role, Seat};

use super::*;

/// Members 0 and 1 write, member 2 is a witness.
struct World {
    runs: [bool; 3],
    /// Member 0 was asked to end, and still tells of itself.
    leaves: bool,
    reaches: [bool; 2],
    is_split: bool,
    /// Of member 1: whether its disk answers.
    disk_answers: bool,
    /// What member 0 sends.
    is_late: bool,
}

const WHOLE: World = World {
    runs: [true; 3],
    leaves: false,
    reaches: [true; 2],
    is_split: false,
    disk_answers: true,
    is_late: false,
};

impl Sight for World {
    fn runs(&self, place: u16, _clock_rate_max_ppb: u32) -> bool {
        self.runs[usize::from(place)]
    }

    fn is_silent(&self, place: u16) -> bool {
        let leaves = self.leaves && place == 0;
        !(self.runs[usize::from(place)] || leaves)
    }

    fn disk_answers_after(&self, place: u16) -> Option<Span> {
        (self.disk_answers || place != 1).then_some(SLOWEST)
    }

    fn reaches_devices(&self, place: u16) -> bool {
        self.reaches[usize::from(place)]
    }

    fn hears_devices(&self, place: u16) -> bool {
        self.reaches[usize::from(place)]
    }

    fn is_connected(&self, _one: u16, _other: u16) -> bool {
        !self.is_split
    }

    fn is_prompt(&self, from: u16, _to: u16) -> bool {
        !self.is_late || from != 0
    }
}

fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

/// What a disk began before lasts so long at most.
const SLOWEST: Span = Span::from_millis(4);

/// Takes over within 40 ms, settles within a second.
fn watch() -> Watch {
    let member = |place| Member { place, votes: true, writes: place < 2, is_heir: place < 2 };
    let promised = Promised {
        grid: 0,
        members: (0..3).map(member).collect(),
        majority: 2,
        needs_no_vote_of_the_dead: false,
        within: Span::from_millis(40),
        settles_within: Span::from_secs(1),
        doubts_for: Span::from_secs(10),
        clock_rate_max_ppb: 0,
    };
    let mut watch = Watch::new(alloc::vec![promised]);
    watch.begun(&WHOLE);
    watch
}

/// Member 0 has written for two seconds and crashes.
fn crashed() -> Watch {
    let mut watch = watch();
    watch.told(at(100), 0, 256, at(2_010));
    watch.accepted(at(101), 0, 256);
    watch.lost(at(2_000), 0);
    watch.changed(at(2_000), &World { runs: [false, true, true], ..WHOLE });
    watch
}

fn kept(millis: u64) -> ProgressResult {
    let apart = alloc::vec![
        Apart { grid: 0, from: Time::ZERO, to: Time::ZERO },
        Apart { grid: 0, from: at(2_000), to: Time::MAX },
    ];
    ProgressResult { late: Vec::new(), take_overs: alloc::vec![Span::from_millis(millis)], apart }
}

#[test]
fn a_take_over_in_time_keeps_the_promise_and_a_late_one_does_not() {
    let mut in_time = crashed();
    in_time.accepted(at(2_040), 1, 513);
    assert_eq!(in_time.result(at(2_100)), kept(40));
    let late = Late { at: at(2_040), grid: 0, promise: Promise::TakesOver, able: 1, since: at(2_000) };
    assert_eq!(crashed().result(at(2_041)).late, [late]);
    assert_eq!(crashed().result(at(2_040)).late, []);
}

#[test]
fn who_crashed_may_come_back_and_take_over_itself() {
    let mut watch = crashed();
    watch.changed(at(2_001), &WHOLE);
    watch.told(at(2_030), 0, 768, at(2_050));
    watch.told(at(2_031), 0, 768, at(2_051));
    watch.accepted(at(2_032), 0, 768);
    let found = watch.result(at(2_060));
    assert_eq!((found.late, found.take_overs), (kept(32).late, kept(32).take_overs));
    assert_eq!(found.apart[1..], [Apart { grid: 0, from: at(2_000), to: at(2_001) }]);
}

#[test]
fn who_comes_back_asks_and_crashes_again_keeps_the_votes_that_it_was_granted() {
    let mut watch = crashed();
    watch.changed(at(2_001), &WHOLE);
    watch.changed(at(2_030), &World { runs: [false, true, true], ..WHOLE });
    assert_eq!(watch.result(at(2_070)).late, []);
    assert_eq!(watch.result(at(2_071)).late.len(), 1);
}

#[test]
fn nothing_is_promised_while_no_core_is_whole() {
    for broken in [
        World { runs: [false, true, false], ..WHOLE },
        World { runs: [false, true, true], is_split: true, ..WHOLE },
        World { runs: [false, true, true], reaches: [true, false], ..WHOLE },
        World { runs: [false, true, true], disk_answers: false, ..WHOLE },
    ] {
        let mut watch = crashed();
        watch.changed(at(2_010), &broken);
        assert_eq!(watch.result(at(9_000)).late, []);
    }
    let mut watch = crashed();
    let kept = redundancy::Promise { in_maintenance: true, ..redundancy::Promise::FIRST };
    assert!(watch.promised(at(2_005), 1, &kept, false));
    watch.changed(at(2_005), &World { runs: [false, true, true], ..WHOLE });
    assert_eq!(watch.result(at(9_000)).late, [], "the one that is left is in maintenance");
}

#[test]
fn while_a_member_is_declared_sole_nothing_is_promised_and_afterwards_all_is() {
    let mut watch = watch();
    let sole = redundancy::Promise { is_sole: true, ..redundancy::Promise::FIRST };
    watch.commanded(at(10), 1);
    assert!(watch.promised(at(11), 0, &sole, false) && !watch.promised(at(12), 0, &sole, true));
    watch.changed(at(11), &WHOLE);
    assert!(
        !watch.promised(at(5_000), 0, &redundancy::Promise::FIRST, false),
        "it counts until that is durable"
    );
    assert_eq!(watch.result(at(9_000)).late, []);
    assert!(watch.promised(at(9_000), 0, &redundancy::Promise::FIRST, true));
    watch.changed(at(9_000), &WHOLE);
    assert_eq!(watch.result(at(10_040)).late, []);
    assert_eq!(watch.result(at(10_041)).late.len(), 1);
    // What was asked for and refused excuses nothing.
    let mut refused = self::watch();
    refused.commanded(at(10), 0);
    assert_eq!(refused.result(at(1_051)).late.len(), 1);
}

#[test]
fn while_nothing_changes_somebody_writes_once_all_has_settled() {
    // Nobody ever writes: the start settles for a second, and a take-over may last.
    let late = Late { at: at(1_040), grid: 0, promise: Promise::Writes, able: 0, since: at(1_000) };
    assert_eq!(watch().result(at(1_041)).late, [late]);
    let mut watch = watch();
    watch.told(at(900), 0, 256, at(1_500));
    watch.accepted(at(901), 0, 256);
    watch.told(at(1_400), 0, 256, at(2_000));
    assert_eq!(watch.result(at(2_040)).late, []);
    // The lease has ended, and nobody has another.
    assert_eq!(watch.result(at(2_041)).late.len(), 1);
}

#[test]
fn who_crashes_while_what_it_sends_is_late_is_heard_for_longer() {
    let mut watch = watch();
    watch.told(at(100), 0, 256, at(2_010));
    watch.accepted(at(101), 0, 256);
    watch.changed(at(1_500), &World { is_late: true, ..WHOLE });
    watch.lost(at(2_000), 0);
    watch.changed(at(2_000), &World { runs: [false, true, true], is_late: true, ..WHOLE });
    assert_eq!(watch.result(at(2_100)).late, []);
    assert_eq!(watch.result(at(3_041)).late.len(), 1, "but not for ever");
}

#[test]
fn a_device_that_was_silent_may_be_doubted_for_a_while() {
    let mut watch = watch();
    watch.told(at(100), 0, 256, at(60_000));
    watch.accepted(at(101), 0, 256);
    watch.changed(at(5_000), &World { reaches: [true, false], ..WHOLE });
    watch.changed(at(5_100), &WHOLE);
    watch.changed(at(9_000), &World { reaches: [false, true], ..WHOLE });
    assert_eq!(watch.result(at(16_140)).late, []);
    assert_eq!(watch.result(at(16_141)).late.len(), 1);
}

#[test]
fn who_moves_on_to_a_higher_epoch_within_its_lease_goes_on_with_what_it_wrote() {
    let mut watch = watch();
    watch.told(at(100), 0, 256, at(1_500));
    watch.accepted(at(101), 0, 256);
    watch.told(at(1_400), 0, 512, at(9_000));
    assert_eq!(watch.result(at(9_000)).late, []);
    // Also while its first write is on its way.
    let mut other = self::watch();
    other.told(at(100), 0, 256, at(1_500));
    other.told(at(110), 0, 512, at(1_500));
    other.accepted(at(120), 0, 256);
    other.told(at(1_400), 0, 512, at(9_000));
    assert_eq!(other.result(at(9_000)).late, []);
    watch.told(at(9_001), 0, 768, at(20_000));
    assert_eq!(watch.result(at(20_000)).late.len(), 1, "a lease that had ended is another");
}

#[test]
fn who_holds_a_lease_but_reaches_no_device_does_not_write() {
    let mut watch = watch();
    watch.told(at(100), 0, 256, at(60_000));
    watch.accepted(at(101), 0, 256);
    watch.changed(at(5_000), &World { reaches: [false, true], ..WHOLE });
    let late = Late { at: at(6_040), grid: 0, promise: Promise::Writes, able: 1, since: at(6_000) };
    assert_eq!(watch.result(at(7_000)).late, [late]);
}

#[test]
fn a_disk_that_answers_again_is_part_of_a_core_once_what_it_began_is_over() {
    let mut watch = watch();
    watch.changed(at(5_000), &World { disk_answers: false, ..WHOLE });
    watch.changed(at(6_000), &WHOLE);
    watch.told(at(100), 0, 256, at(60_000));
    watch.accepted(at(101), 0, 256);
    watch.lost(at(7_003), 0);
    watch.changed(at(7_003), &World { runs: [false, true, true], ..WHOLE });
    assert!(watch.grids[0].take_over_due.is_none());
    assert_eq!(watch.result(at(9_000)).late.len(), 1, "somebody has to write in the end");
}

/// Two members without a witness, of which member 0 has written for two seconds and is lost.
fn pair(needs_no_vote_of_the_dead: bool) -> Watch {
    let member = |place| Member { place, votes: true, writes: true, is_heir: true };
    let promised = Promised {
        members: (0..2).map(member).collect(),
        needs_no_vote_of_the_dead,
        ..watch().grids[0].promised.clone()
    };
    let mut watch = Watch::new(alloc::vec![promised]);
    watch.begun(&WHOLE);
    watch.told(at(100), 0, 256, at(2_010));
    watch.accepted(at(101), 0, 256);
    watch.lost(at(2_000), 0);
    watch.changed(at(2_000), &World { runs: [false, true, true], ..WHOLE });
    watch
}

#[test]
fn a_pair_that_takes_over_on_silence_needs_no_vote_of_the_dead() {
    assert_eq!(pair(false).result(at(9_000)).late, []);
    let promises: Vec<Promise> = pair(true).result(at(9_000)).late.iter().map(|late| late.promise).collect();
    assert_eq!(promises, [Promise::Writes]);
}

#[test]
fn who_was_asked_to_end_is_not_silent_before_it_has_ended() {
    let mut watch = pair(true);
    let leaving = World { runs: [false, true, true], leaves: true, ..WHOLE };
    watch.changed(at(2_000), &World { is_split: true, ..leaving });
    assert_eq!(watch.result(at(9_000)).late, []);
    watch.changed(at(6_000), &World { leaves: false, is_split: true, ..leaving });
    assert_eq!(watch.result(at(9_000)).late.len(), 1);
}

#[test]
fn of_a_pair_that_overlapped_the_one_that_is_left_goes_on_with_a_lower_epoch() {
    let mut watch = pair(true);
    watch.told(at(100), 1, 255, at(9_000));
    watch.accepted(at(2_030), 1, 255);
    assert_eq!(watch.result(at(9_000)).late, []);
    let mut late = pair(true);
    late.told(at(100), 1, 255, at(2_020));
    late.accepted(at(2_030), 1, 255);
    assert_eq!(late.result(at(9_000)).late.len(), 1, "a write that was on its way is none of a holder");
}

/// What a member says of itself.
fn says(role: Role, round: u32, is_ready: bool) -> Heartbeat {
    Heartbeat {
        role,
        epoch: Epoch { round, seat: Seat(0) },
        renewal: 0,
        renews: Epoch::NONE,
        is_ready,
        reaches_devices: true,
        is_slow: false,
        owner: Seat(0),
        owned_from: Epoch::NONE,
        active_for: Span::ZERO,
    }
}

/// Member 0 writes all the time, and the other says what it is.
fn beside(role: Role, round: u32, is_ready: bool) -> Watch {
    let mut watch = watch();
    watch.told(at(100), 0, 256, at(60_000));
    watch.accepted(at(101), 0, 256);
    watch.said(at(102), 0, &says(Role::Active, 1, true));
    watch.said(at(103), 1, &says(role, round, is_ready));
    watch
}

fn late_standby(at: Time, since: Time) -> [Late; 1] {
    [Late { at, grid: 0, promise: Promise::StandsBy, able: 1, since }]
}

#[test]
fn who_does_not_write_stands_by_once_all_has_settled() {
    assert_eq!(beside(Role::Standby, 1, true).result(at(9_000)).late, []);
    for watch in [
        beside(Role::Standby, 1, false),
        beside(Role::Candidate, 2, true),
        beside(Role::Lapsed, 1, true),
        beside(Role::Maintenance, 1, true),
    ] {
        assert_eq!(watch.result(at(1_142)).late, []);
        assert_eq!(watch.result(at(1_143)).late, late_standby(at(1_142), at(1_102)));
    }
    let mut silent = watch();
    silent.told(at(100), 0, 256, at(60_000));
    silent.accepted(at(101), 0, 256);
    silent.said(at(102), 0, &says(Role::Active, 1, true));
    assert_eq!(silent.result(at(1_143)).late.len(), 1, "who says nothing is not heard to be ready");
}

#[test]
fn a_standby_that_gets_ready_in_time_keeps_the_promise_and_may_lose_it_again_for_a_moment() {
    let mut watch = beside(Role::Standby, 1, false);
    watch.said(at(1_142), 1, &says(Role::Standby, 1, true));
    watch.said(at(5_000), 1, &says(Role::Standby, 1, false));
    watch.said(at(5_040), 1, &says(Role::Standby, 1, true));
    assert_eq!(watch.result(at(9_000)).late, []);
    watch.said(at(9_000), 1, &says(Role::Standby, 1, false));
    assert_eq!(watch.result(at(9_041)).late, late_standby(at(9_040), at(9_000)));
}

#[test]
fn of_two_that_say_that_they_hold_authority_the_lower_one_is_not_in_its_place() {
    assert_eq!(beside(Role::Active, 0, true).result(at(9_000)).late, late_standby(at(1_142), at(1_102)));
    let higher = beside(Role::HandingOver, 2, true).result(at(9_000)).late;
    assert_eq!(higher.iter().map(|late| late.able).collect::<Vec<_>>(), [0]);
}

#[test]
fn nobody_need_stand_by_who_cannot_be_ready() {
    for other in [
        World { runs: [true, false, true], ..WHOLE },
        World { reaches: [true, false], ..WHOLE },
        World { disk_answers: false, ..WHOLE },
        World { is_split: true, ..WHOLE },
    ] {
        let mut watch = beside(Role::Standby, 1, false);
        watch.changed(at(200), &other);
        let late = watch.result(at(9_000)).late;
        assert!(late.iter().all(|late| late.promise != Promise::StandsBy), "{late:?}");
    }
    let mut maintained = beside(Role::Maintenance, 1, true);
    let kept = redundancy::Promise { in_maintenance: true, ..redundancy::Promise::FIRST };
    assert!(maintained.promised(at(200), 1, &kept, true));
    maintained.changed(at(200), &WHOLE);
    assert_eq!(maintained.result(at(9_000)).late, []);
}

#[test]
fn who_is_lost_and_comes_back_has_time_to_get_ready() {
    let mut watch = beside(Role::Standby, 1, true);
    watch.lost(at(3_000), 1);
    watch.changed(at(3_000), &World { runs: [true, false, true], ..WHOLE });
    watch.changed(at(3_500), &WHOLE);
    assert_eq!(watch.result(at(4_504)).late, []);
    assert_eq!(watch.result(at(9_000)).late.len(), 1);
    watch.said(at(4_504), 1, &says(Role::Standby, 1, true));
    assert_eq!(watch.result(at(9_000)).late, []);
}
