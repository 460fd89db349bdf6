//! Bytes behind right checksums and links: no reader panics, hangs, or takes memory that the log does not pay for.
//!
//! This program has one test, since the allocator counts for the whole process.

mod mend;
mod toy;

use std::alloc::System;

use mend::{FIRST, FRAME_BYTES, RECORDS, groups, mended};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use r_ems_engine::log::{EffectsKept, Scope, codec};
use r_ems_replay::{Entries, Filter, diff, replay, statistics};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use toy::{Toy, record, record_wired};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Logs that are tried.
const CASES: u32 = 6_000;

/// How often one log is opened by [`read_in_every_way`].
const OPENINGS: usize = 5;

/// What may be allocated in all while one log is read in every way: at each opening what the codec believes of one value before
/// it has seen it, and some for the words about a log of two kilobytes.
const ALLOCATED_BYTES_MAX: usize = OPENINGS * (codec::MAX_VALUE_BYTES + (2 << 20));

/// A change of one group that a checksum does not show.
#[derive(Clone, Debug)]
enum Forgery {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    /// A record said twice, or a part of one.
    Repeat(Index, u8),
    RecordCount(u8),
    FirstTime(u8),
}

fn forgery() -> impl Strategy<Value = Forgery> {
    // Bytes that are codes, small ids, continuing varints.
    let byte = prop_oneof![0_u8..16, Just(0x7f), Just(0x80), Just(0xff), any::<u8>()];
    let bytes = proptest::collection::vec(byte.clone(), 1..12);
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Forgery::Set(at, byte)),
        2 => (any::<Index>(), bytes).prop_map(|(at, bytes)| Forgery::Insert(at, bytes)),
        1 => (any::<Index>(), 1_u8..20).prop_map(|(at, count)| Forgery::Remove(at, count)),
        1 => (any::<Index>(), 1_u8..40).prop_map(|(at, count)| Forgery::Repeat(at, count)),
        1 => any::<u8>().prop_map(Forgery::RecordCount),
        1 => any::<u8>().prop_map(Forgery::FirstTime),
    ]
}

fn forge(group: &mut Vec<u8>, forgery: &Forgery) {
    let place = |group: &[u8], at: &Index| FRAME_BYTES + at.index(group.len() - FRAME_BYTES + 1);
    match forgery {
        Forgery::Set(at, byte) => {
            let place = place(group, at);
            if let Some(old) = group.get_mut(place) {
                *old = *byte;
            }
        }
        Forgery::Insert(at, bytes) => {
            let place = place(group, at);
            group.splice(place..place, bytes.iter().copied());
        }
        Forgery::Remove(at, count) => {
            let place = place(group, at);
            let end = group.len().min(place + usize::from(*count));
            group.drain(place..end);
        }
        Forgery::Repeat(at, count) => {
            let place = place(group, at);
            let end = group.len().min(place + usize::from(*count));
            let again = group[place..end].to_vec();
            group.splice(place..place, again);
        }
        Forgery::RecordCount(byte) => group[RECORDS.start] = *byte,
        Forgery::FirstTime(byte) => group[FIRST.start] = *byte,
    }
}

/// Reads a log in every way, and says how many bytes that allocated.
fn read_in_every_way(log: &[u8], whole: &[u8]) -> usize {
    let region = Region::new(ALLOCATOR);
    drop(replay::<Toy, _>(log));
    drop(statistics(log));
    drop(diff(log, whole));
    drop(diff(whole, log));
    if let Ok(entries) = Entries::open(log, Filter::ALL) {
        entries.for_each(drop);
    }
    region.change().bytes_allocated
}

#[test]
fn forged_logs_never_panic_a_reader_and_never_take_memory_that_they_do_not_hold() {
    // A toy that is fed nonsense fails its assertions, which is contained and no news.
    std::panic::set_hook(Box::new(|_panic| {}));
    let logs = [EffectsKept::Digests, EffectsKept::Whole].map(|effects| {
        [record(&[0, 600_000], 8, Scope::Fleet, effects).0, record_wired(&[0, 600_000], 8, effects).0]
    });
    let logs = logs.concat();
    let changes = proptest::collection::vec((any::<Index>(), forgery()), 1..4);
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) });
    let result = runner.run(&(any::<Index>(), changes), |(which, changes)| {
        let log = &logs[which.index(logs.len())];
        let mut groups = groups(log);
        for (index, forgery) in &changes {
            let index = index.index(groups.len());
            forge(&mut groups[index], forgery);
        }
        let forged = mended(log, &groups);
        let allocated = read_in_every_way(&forged, log);
        prop_assert!(allocated <= ALLOCATED_BYTES_MAX, "{allocated} bytes");
        Ok(())
    });
    drop(std::panic::take_hook());
    if let Err(error) = result {
        panic!("{error}");
    }
}
