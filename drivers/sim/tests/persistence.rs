//! The journal, its retention and its recovery on a simulated disk: what is called durable survives, whatever happens when.

mod journal;

use proptest::prelude::*;

use r_ems_engine::carried::Carried;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{ChainPair, Header};
use r_ems_engine::machine::{Delivery, Effects, Input, Machine, Outcome, State, Step};
use r_ems_engine::persistence::disk::{FileName, Storage};
use r_ems_engine::persistence::journal::{
    Beginning, Completion, END_PATIENCE, Journal, SyncRule, WAITING_BYTES_MAX,
};
use r_ems_engine::persistence::recovery::{Finding, Making};
use r_ems_engine::persistence::{JournalStatus, Origin, Trouble};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::disk::DiskChange;

use journal::{Counter, OWNER, PERIOD, Rig, SYNC, settings, upgraded};

const EVERY: SyncRule = SyncRule::Every(Span::from_millis(50));

fn counter() -> Counter {
    Counter::new(&(25, u64::MAX, 300))
}

fn rig(sync: SyncRule, seed: u64) -> Rig {
    Rig::new(settings(sync), counter(), seed)
}

/// What was called durable is there, and the state is that of one delivery of the life before.
fn survives(rig: &Rig) {
    let recovered = Rig::look(&rig.disk, rig.now, true);
    let (position, durable) = (rig.position_of(&recovered), rig.journal.durable());
    let is_kept = position.is_some_and(|position| position >= durable) || rig.is_of_earlier_life(&recovered);
    assert!(is_kept, "{position:?} of {durable}: {recovered:?}");
    assert!(!recovered.abstains || rig.has_broken_copy, "{:?}", recovered.findings);
    let (kept, found) = (rig.promised, recovered.promises.kept);
    assert!(found.promise.ceiling >= kept.promise.ceiling, "{found:?} of {kept:?}");
    assert!(found.incarnation >= kept.incarnation, "{found:?} of {kept:?}");
}

fn is_tidy(rig: &mut Rig) {
    // What could not be removed is tried again after a minute.
    rig.wait(Span::from_secs(70));
    let names = rig.disk.folder(OWNER).list().expect("the disk works");
    let segments = names.iter().filter(|name| matches!(name, FileName::Segment(_))).count();
    assert!((1..=3).contains(&segments), "{names:?}");
}

#[test]
fn a_run_takes_snapshots_and_keeps_the_last_segments_only() {
    let mut rig = rig(EVERY, 1);
    rig.run(500);
    rig.wait(Span::from_secs(1));
    let taken = rig.told.iter().filter(|told| **told == Completion::Snapshotted(true)).count();
    assert_eq!((taken, rig.told.len()), (20, 20));
    is_tidy(&mut rig);
    assert_eq!(
        rig.journal.durable() + 1,
        rig.journal.recorded(),
        "but for the word that the snapshot is durable"
    );
    survives(&rig);
}

#[test]
fn an_idle_journal_stops_growing() {
    let mut rig = rig(EVERY, 1);
    rig.run(25);
    rig.wait(Span::from_secs(1));
    let before = rig.disk.operations();
    rig.wait(Span::from_hours(1));
    assert_eq!(rig.disk.operations(), before);
    assert_eq!(rig.journal.deadline(), None);
}

#[test]
fn a_killed_process_loses_nothing_that_was_written_and_a_new_life_goes_on() {
    let mut rig = rig(EVERY, 1);
    for life in 1..=4_u32 {
        rig.run(37);
        rig.wait(Span::from_secs(1));
        assert_eq!(rig.machine.incarnation, life);
        rig = rig.reborn(true);
    }
    assert_eq!(rig.machine.count, 4 * 37);
    let fresh = rig.reborn(false);
    assert_eq!((fresh.machine.count, fresh.machine.incarnation), (0, 6));
}

#[test]
fn a_life_that_could_not_list_its_files_keeps_nothing_and_stands_in_the_way_of_nothing() {
    let mut rig = rig(EVERY, 1);
    rig.run(300);
    rig.wait(Span::from_secs(1));
    let known = Rig::look(&rig.disk, rig.now, true);
    assert!(known.number > Some(3), "{known:?}");
    rig.disk.change(DiskChange::Failing(true));
    assert_eq!(Rig::look(&rig.disk, rig.now, true).number, None);
    let mut reborn = rig.reborn(true);
    reborn.run(100);
    assert_eq!((reborn.journal.trouble(), reborn.journal.durable()), (Some(Trouble::Failing), 0));
    reborn.disk.change(DiskChange::Failing(false));
    reborn.run(300);
    assert_eq!((reborn.journal.trouble(), reborn.journal.durable()), (Some(Trouble::Failing), 0));
    let found = Rig::look(&reborn.disk, reborn.now, true);
    assert_eq!((found.state, found.number), (known.state, known.number));
    assert_eq!(reborn.reborn(true).machine.count, 300);
}

#[test]
fn where_no_state_can_be_believed_a_life_says_that_they_are_lost() {
    let mut rig = rig(EVERY, 3);
    rig.run(5);
    rig.wait(Span::from_secs(1));
    rig.crash();
    let mut rots = 0;
    while Rig::look(&rig.disk, rig.now, true).origin != Origin::Lost {
        rig.disk.change(DiskChange::Rot);
        rots += 1;
        assert!(rots < 1_000, "each byte may rot");
    }
    assert!(rots > 0);
    let recovered = Rig::look(&rig.disk, rig.now, true);
    assert_eq!((recovered.state, recovered.replayed), (None, 0));
    assert!(recovered.abstains);
}

#[test]
fn strict_lets_nothing_be_seen_before_it_is_durable() {
    let mut rig = rig(SyncRule::Strict, 1);
    rig.wait(Span::from_millis(100));
    rig.run(1);
    let mut waited = Span::ZERO;
    while rig.journal.released() < rig.journal.recorded() {
        assert_eq!(rig.journal.released(), rig.journal.durable());
        rig.wait(Span::from_millis(1));
        waited += Span::from_millis(1);
    }
    assert!(waited <= SYNC, "{waited}");
}

#[test]
fn a_disk_that_never_answers_takes_a_bounded_memory() {
    struct Nothing;
    impl State for Nothing {
        fn encode(&self, _bytes: &mut Vec<u8>) {}

        fn carried(&self) -> Option<Carried> {
            None
        }
    }
    let beginning = Beginning {
        header: journal::header(),
        settings: settings(EVERY),
        number: Some(1),
        state: &[],
        carried: None,
        chains: ChainPair::default(),
        closed: Vec::new(),
        chores: Vec::new(),
    };
    let mut journal = Journal::begin(Time::ZERO, beginning).expect("the header is small");
    let (to, mut most) = (ControllerIndex(0), 0);
    for micros in 0..2_000_000 {
        let at = Time::ZERO + Span::from_micros(micros);
        let now = LocalTime::from_nanos(micros);
        journal.delivery(&Delivery { at, now, to, step: Step::Input(Input::Wake) });
        let effects = Effects::new();
        journal.outcome(&Outcome { at, now, from: to, deadline: None, effects: &effects, state: &Nothing });
        most = most.max(journal.waiting_bytes());
    }
    assert!(
        (WAITING_BYTES_MAX - (128 << 10)..WAITING_BYTES_MAX + (128 << 10)).contains(&most),
        "{most} bytes"
    );
    assert_eq!(journal.trouble(), Some(Trouble::Slow));
    assert_eq!(journal.take_completion(), Some(Completion::Status(JournalStatus::Degraded(Trouble::Slow))));
}

fn degraded(rig: &Rig) -> Option<Trouble> {
    rig.told.iter().rev().find_map(|told| match told {
        Completion::Status(JournalStatus::Degraded(trouble)) => Some(*trouble),
        Completion::Status(JournalStatus::Restored) | Completion::Snapshotted(_) | Completion::Ended(_) => {
            None
        }
    })
}

#[test]
fn each_trouble_is_told_once_and_ends_with_a_new_segment() {
    let troubles = [
        (DiskChange::Full(true), DiskChange::Full(false), Trouble::Full),
        (DiskChange::Failing(true), DiskChange::Failing(false), Trouble::Failing),
        (DiskChange::ReadOnly(true), DiskChange::ReadOnly(false), Trouble::ReadOnly),
        (DiskChange::Slow(Some(Span::from_secs(3))), DiskChange::Slow(None), Trouble::Slow),
    ];
    for (begins, ends, trouble) in troubles {
        for sync in [EVERY, SyncRule::Strict] {
            let mut rig = rig(sync, 1);
            rig.run(50);
            rig.disk.change(begins);
            rig.run(3_000);
            assert_eq!((rig.journal.trouble(), degraded(&rig)), (Some(trouble), Some(trouble)));
            assert_eq!(rig.journal.released(), rig.journal.recorded(), "nothing waits for a broken disk");
            let told = rig.told.iter().filter(|told| matches!(told, Completion::Status(_))).count();
            assert!(told <= 3, "{trouble:?}: {:?}", rig.told);
            rig.disk.change(ends);
            rig.run(6_500);
            assert_eq!(rig.journal.trouble(), None, "{trouble:?}");
            assert!(rig.told.contains(&Completion::Status(JournalStatus::Restored)));
            is_tidy(&mut rig);
            rig.crash();
            survives(&rig);
            assert!(rig.reborn(true).machine.count > 9_500);
        }
    }
}

#[test]
fn what_fails_an_assertion_in_each_replay_is_left_out() {
    let mut rig = Rig::new(settings(EVERY), Counter { fails_at: 60, ..counter() }, 1);
    rig.run(59);
    rig.wait(Span::from_secs(1));
    // The wake that fails is recorded before it is handled, and becomes durable.
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rig.run(1)));
    assert!(failed.is_err());
    rig.wait(Span::from_secs(1));
    let recovered = Rig::look(&rig.disk, rig.now, true);
    assert_eq!((recovered.origin, recovered.abstains), (Origin::Poisoned, false));
    assert!(matches!(recovered.findings[..], [Finding::Poisoned { .. }]), "{:?}", recovered.findings);
    let mut rig = rig.reborn(true);
    assert_eq!(rig.machine.count, 50, "the newest state");
    rig.run(5);
    rig.wait(Span::from_secs(1));
    assert_eq!(Rig::look(&rig.disk, rig.now, true).origin, Origin::Replayed, "it is put aside for good");
}

#[test]
fn a_life_that_ends_in_order_leaves_its_last_state_and_nothing_to_replay() {
    // The end falls into every step of what the journal does on its disk.
    for millis in 0..400 {
        let mut rig = rig(if millis % 2 == 0 { EVERY } else { SyncRule::Strict }, 1);
        rig.run(20);
        for _ in 0..millis / 10 {
            rig.run(1);
        }
        rig.wait(Span::from_millis(millis % 10));
        rig.stop();
        rig.wait(Span::from_millis(100));
        assert_eq!(rig.told.last(), Some(&Completion::Ended(true)), "at {millis} ms");
        assert_eq!(rig.journal.durable(), rig.journal.recorded());
        rig.crash();
        let recovered = Rig::look(&rig.disk, rig.now, true);
        assert_eq!((recovered.origin, recovered.replayed), (Origin::Replayed, 0), "at {millis} ms");
        assert_eq!(rig.position_of(&recovered), Some(rig.history.len() as u64 - 1));
        assert!(recovered.findings.is_empty() && recovered.last.is_some(), "{recovered:?}");
        let count = rig.machine.count;
        assert_eq!(rig.reborn(true).machine.count, count);
    }
}

#[test]
fn no_disk_keeps_a_life_from_ending() {
    let broken = [
        (DiskChange::Full(true), DiskChange::Full(false)),
        (DiskChange::Failing(true), DiskChange::Failing(false)),
        (DiskChange::ReadOnly(true), DiskChange::ReadOnly(false)),
        (DiskChange::Slow(Some(Span::from_secs(3))), DiskChange::Slow(None)),
        (DiskChange::Slow(Some(Span::from_secs(3_600))), DiskChange::Slow(None)),
    ];
    for (change, ends) in broken {
        // Broken just now, or long since.
        for wakes in [0, 500] {
            let mut rig = rig(EVERY, 1);
            rig.run(60);
            rig.disk.change(change);
            rig.run(wakes);
            rig.stop();
            rig.wait(END_PATIENCE);
            let told = rig.told.iter().filter(|told| matches!(told, Completion::Ended(_)));
            assert_eq!(told.collect::<Vec<_>>(), [&Completion::Ended(false)], "{change:?}");
            rig.disk.change(ends);
            survives(&rig);
        }
    }
}

#[test]
fn a_disk_that_was_in_trouble_gets_one_more_try_at_the_end() {
    let mut rig = rig(EVERY, 1);
    rig.run(60);
    rig.disk.change(DiskChange::Failing(true));
    rig.run(20);
    rig.disk.change(DiskChange::Failing(false));
    assert_eq!(rig.journal.trouble(), Some(Trouble::Failing));
    rig.stop();
    rig.wait(Span::from_millis(100));
    assert_eq!(rig.told.last(), Some(&Completion::Ended(true)));
    rig.crash();
    assert_eq!(Rig::look(&rig.disk, rig.now, true).replayed, 0);
}

#[test]
fn rot_is_damage_and_the_life_after_it_abstains() {
    let mut seen = [0; 3];
    for seed in 0..150 {
        let mut rig = rig(EVERY, seed);
        rig.run(140);
        rig.promise(3);
        rig.wait(Span::from_secs(1));
        rig.crash();
        rig.disk.change(DiskChange::Rot);
        let recovered = Rig::look(&rig.disk, rig.now, true);
        let lies = rig.disk.lies().count(OWNER);
        match (lies, recovered.origin, recovered.abstains) {
            (0, ..) => {}
            (_, Origin::Damaged | Origin::Lost, true) => seen[0] += 1,
            // A promise's copy, or a segment that is no longer needed.
            (_, Origin::Replayed, true) => seen[1] += 1,
            (_, Origin::Replayed, false) => seen[2] += 1,
            other => panic!("{other:?}: {:?}", recovered.findings),
        }
        let is_unsure = recovered.promises.is_damaged;
        let mut reborn = rig.reborn(true);
        reborn.run(10);
        reborn.wait(Span::from_secs(1));
        assert_eq!(reborn.journal.trouble(), None);
        let again = Rig::look(&reborn.disk, reborn.now, true);
        assert_eq!(again.abstains, is_unsure, "a damaged promise is written over, and not forgotten");
        assert_eq!(again.origin, Origin::Replayed, "what is damaged is put aside");
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}

#[test]
fn a_disk_that_lies_is_found_in_its_own_ledger() {
    let mut lost = 0;
    for seed in 0..40 {
        let mut rig = rig(EVERY, seed);
        rig.run(30);
        rig.disk.change(DiskChange::Lying(true));
        rig.run(40);
        rig.crash();
        let recovered = Rig::look(&rig.disk, rig.now, true);
        let kept = rig.position_of(&recovered).is_some_and(|position| position >= rig.journal.durable());
        assert!(kept || rig.disk.lies().count(OWNER) > 0);
        lost += u32::from(!kept);
        assert!(rig.reborn(true).machine.count <= 70);
    }
    assert!(lost > 0);
}

#[test]
fn another_site_or_version_is_not_gone_on_with() {
    let mut rig = rig(EVERY, 1);
    rig.run(30);
    rig.wait(Span::from_secs(1));
    let mut header = journal::header();
    header.site_text = "another".into();
    let recovered = Rig::look_as(&header, &rig.disk, rig.now, true);
    assert_eq!((recovered.origin, recovered.abstains), (Origin::Foreign, false));
    assert_eq!((upgraded::found(&recovered).count, recovered.chains), (0, ChainPair::default()));
    assert!(matches!(recovered.findings[..], [Finding::Foreign { .. }]));
    assert!(recovered.last.is_some_and(|last| last.now > LocalTime::ZERO), "its clock goes on");
    assert_eq!(recovered.promises.kept.incarnation, 1);
}

#[test]
fn a_site_file_is_what_it_makes_and_not_how_it_is_written() {
    let mut rig = rig(EVERY, 1);
    rig.run(30);
    rig.wait(Span::from_secs(1));
    let header = Header { site_text: "another".into(), ..journal::header() };
    let mut made = Vec::new();
    counter().encode(&mut made);
    let look = |header: &Header, makes: Option<Vec<u8>>| {
        let makes = move |text: &str| makes.clone().filter(|_made| text == journal::header().site_text);
        Rig::look_where(header, Making(&makes), &rig.disk, (rig.now, true)).origin
    };
    assert_eq!(look(&header, Some(made.clone())), Origin::Replayed);
    assert_eq!(look(&header, Some(vec![1])), Origin::Foreign, "it makes another controller");
    assert_eq!(look(&header, None), Origin::Foreign, "it makes none");
    let trial = Header { scenario: "a trial".into(), ..header };
    assert_eq!(look(&trial, Some(made)), Origin::Foreign, "its devices were others");
}

/// What happens in a run.
#[derive(Clone, Debug)]
enum Act {
    Run(usize),
    Wait(u64),
    Promise(u32),
    Crash,
    Kill,
    Change(DiskChange),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        6 => (1..40_usize).prop_map(Act::Run),
        4 => (1..30_000_u64).prop_map(Act::Wait),
        2 => (1..1_000_u32).prop_map(Act::Promise),
        2 => Just(Act::Crash),
        1 => Just(Act::Kill),
        1 => prop::sample::select(vec![
            DiskChange::Full(true),
            DiskChange::Full(false),
            DiskChange::Failing(true),
            DiskChange::Failing(false),
            DiskChange::ReadOnly(true),
            DiskChange::ReadOnly(false),
            DiskChange::Slow(Some(Span::from_millis(1_500))),
            DiskChange::Slow(None),
        ])
        .prop_map(Act::Change),
    ];
    prop::collection::vec(act, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_called_durable_survives_whatever_happens(
        acts in acts(), seed in any::<u64>(), is_strict in any::<bool>(), snapshot_every in 5..60_u64,
    ) {
        let sync = if is_strict { SyncRule::Strict } else { EVERY };
        let mut rig = Rig::new(settings(sync), Counter { snapshot_every, ..counter() }, seed);
        let mut highest = 0;
        for act in acts {
            match act {
                Act::Run(wakes) => rig.run(wakes),
                Act::Wait(micros) => rig.wait(Span::from_micros(micros)),
                Act::Promise(round) => {
                    highest = highest.max(round);
                    rig.promise(highest);
                }
                Act::Change(change) => rig.disk.change(change),
                Act::Crash | Act::Kill => {
                    // Whoever starts on a disk that cannot be read knows nothing, and says so.
                    let is_readable = rig.disk.folder(OWNER).list().is_ok();
                    if matches!(act, Act::Crash) {
                        rig.crash();
                    }
                    if is_readable {
                        survives(&rig);
                    }
                    rig = rig.reborn(true);
                }
            }
        }
        for healed in [
            DiskChange::Full(false),
            DiskChange::Failing(false),
            DiskChange::ReadOnly(false),
            DiskChange::Slow(None),
        ] {
            rig.disk.change(healed);
        }
        if !rig.journal.is_kept() {
            rig = rig.reborn(true);
        }
        rig.run(70 * 100);
        prop_assert_eq!(rig.journal.trouble(), None);
        rig.crash();
        let reborn = rig.clone().reborn(true);
        prop_assert!(reborn.machine.count + 10 >= rig.machine.count);
    }

    #[test]
    fn a_disk_full_of_wrong_bytes_is_no_more_than_a_fresh_start(
        seed in any::<u64>(), rots in 1..60_usize, misdirects in any::<bool>(), tears in any::<bool>(),
    ) {
        let mut rig = rig(EVERY, seed);
        rig.disk.change(DiskChange::Misdirecting(misdirects));
        rig.disk.change(DiskChange::Tearing(tears));
        rig.run(110);
        rig.crash();
        (0..rots).for_each(|_| rig.disk.change(DiskChange::Rot));
        let mut reborn = rig.reborn(true);
        reborn.run(50);
        reborn.wait(PERIOD * 100);
        prop_assert_eq!(reborn.journal.trouble(), None);
    }
}
