//! Whatever happens to a log's bytes is reported and never accepted.

mod mend;
mod toy;

use mend::{FIRST, FRAME_BYTES, groups, joined, mended};
use proptest::prelude::*;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{EffectsKept, End, Kind, Reader, Scope, Status, filtered};
use r_ems_replay::{Entries, Filter, diff, replay, statistics};
use toy::{Toy, record, record_wired};

/// Reads a log to its end.
fn read(mut log: &[u8]) -> Result<(End, u64), String> {
    let mut reader = Reader::open(&mut log as &mut dyn Bytes).map_err(|error| error.to_string())?;
    loop {
        match reader.advance().map_err(|error| error.to_string())? {
            Status::Record => drop(format!("{:?}", reader.record())),
            Status::Ended(end) => return Ok((end, reader.records())),
        }
    }
}

/// A source of bytes behind a pointer, as a program's may be.
trait Bytes {
    fn take(&mut self, into: &mut [u8]) -> usize;
}

impl Bytes for &[u8] {
    fn take(&mut self, into: &mut [u8]) -> usize {
        // Small pieces: a source may give less than it is asked for.
        let count = into.len().min(self.len()).min(1_000);
        into[..count].copy_from_slice(&self[..count]);
        *self = &self[count..];
        count
    }
}

impl r_ems_engine::log::Source for &mut dyn Bytes {
    type Error = std::convert::Infallible;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(self.take(into))
    }
}

/// Of toys that read and write on a connection too, so that every kind of record on it is there.
fn small_log() -> Vec<u8> {
    let log = record_wired(&[0, 600_000], 5, EffectsKept::Whole).0;
    let counted = statistics(log.as_slice()).expect("a whole log");
    for kind in [Kind::Frame, Kind::Link, Kind::Effects, Kind::Points, Kind::Wake] {
        let share = counted.kinds.iter().find(|share| share.name == kind.name());
        let share = share.expect("each kind is counted");
        assert!(share.records > 3, "{} of {}", share.records, share.name);
    }
    log
}

#[test]
fn every_flipped_bit_of_a_closed_log_is_reported() {
    let mut log = small_log();
    assert!(matches!(read(&log), Ok((End::Closed(_), _))));
    for position in 0..log.len() {
        for bit in 0..8 {
            log[position] ^= 1 << bit;
            assert!(read(&log).is_err(), "bit {bit} of byte {position} was flipped");
            log[position] ^= 1 << bit;
        }
    }
}

#[test]
fn a_log_cut_anywhere_is_torn_and_never_closed() {
    let log = record(&[0], 4_000, Scope::Fleet, EffectsKept::Digests).0;
    let (_, all) = read(&log).unwrap();
    let mut most = 0;
    for length in (0..log.len()).step_by(397).chain(log.len() - 200..log.len()) {
        match read(&log[..length]) {
            Ok((End::Torn { position, lost }, records)) => {
                assert_eq!(position + lost, length as u64);
                assert!(records < all);
                most = most.max(records);
            }
            Ok((End::Closed(_), _)) => panic!("cut at {length}, it was taken for whole"),
            Err(error) => assert!(error.contains("before its header is complete"), "{length}: {error}"),
        }
    }
    assert!(most > 0, "whole groups are readable");
}

/// Everything that reads a log, one after the other; what they say is another test's matter.
fn use_everything(log: &[u8], whole: &[u8]) {
    drop(replay::<Toy, _>(log));
    drop(statistics(log));
    drop(diff(log, whole));
    drop(diff(whole, log));
    if let Ok(entries) = Entries::open(log, Filter::ALL) {
        entries.for_each(drop);
    }
}

#[test]
fn nothing_that_reads_logs_panics_at_any_cut() {
    let whole = small_log();
    for length in 0..=whole.len() {
        use_everything(&whole[..length], &whole);
    }
}

#[test]
fn nothing_that_reads_logs_panics_where_the_last_of_many_groups_is_cut() {
    let whole = record(&[0], 4_000, Scope::Fleet, EffectsKept::Digests).0;
    for cut in [1, 40, 400, 4_000, 40_000, 80_000] {
        use_everything(&whole[..whole.len() - cut], &whole);
    }
}

#[test]
fn a_torn_log_replays_up_to_where_it_is_torn() {
    let log = record(&[0], 4_000, Scope::Fleet, EffectsKept::Digests).0;
    let replayed = replay::<Toy, _>(&log[..log.len() - 1]).unwrap();
    assert_eq!(replayed.divergence, None);
    assert!(matches!(replayed.end, Some(End::Torn { .. })));
    assert!(replayed.deliveries > 1_000, "{} deliveries", replayed.deliveries);
}

/// A log of at least four groups of records.
fn log_of_groups() -> Vec<u8> {
    let log = record(&[0, 600_000], 2_500, Scope::Fleet, EffectsKept::Digests).0;
    assert!(groups(&log).len() > 4, "{} groups", groups(&log).len());
    log
}

#[test]
fn groups_that_are_taken_apart_and_put_together_are_the_same_log() {
    let log = log_of_groups();
    assert!(mended(&log, &groups(&log)) == log);
}

#[test]
fn a_group_that_is_missing_exchanged_repeated_or_of_another_log_breaks_the_chain() {
    let log = log_of_groups();
    let whole = groups(&log);
    let chain_is_broken = |groups: &[Vec<u8>], what: &str| {
        let error = read(&joined(&log, groups)).expect_err(what);
        assert!(error.contains("groups are missing or exchanged"), "{what}: {error}");
    };
    for index in 1..whole.len() - 1 {
        let mut missing = whole.clone();
        missing.remove(index);
        chain_is_broken(&missing, "missing");
        let mut exchanged = whole.clone();
        exchanged.swap(index, index + 1);
        chain_is_broken(&exchanged, "exchanged");
        let mut repeated = whole.clone();
        repeated.insert(index, whole[index].clone());
        chain_is_broken(&repeated, "repeated");
    }
    let other = record(&[100_000, 600_000], 2_500, Scope::Fleet, EffectsKept::Digests).0;
    let other = groups(&other);
    // The headers are the same: cut behind the first group of records.
    for index in 2..other.len().min(whole.len()) {
        let spliced = [&whole[..index], &other[index..]].concat();
        chain_is_broken(&spliced, "of another log");
    }
}

#[test]
fn a_group_that_names_another_time_than_its_first_records_is_refused() {
    let log = log_of_groups();
    let mut groups = groups(&log);
    groups[2][FIRST.start] ^= 1;
    assert!(groups[2].len() > FRAME_BYTES);
    let error = read(&mended(&log, &groups)).unwrap_err();
    assert!(error.contains("the group should begin at"), "{error}");
}

#[test]
fn bytes_after_the_closing_record_are_reported() {
    let mut log = small_log();
    log.push(0);
    assert!(read(&log).unwrap_err().contains("follows the closing record"));
}

#[test]
fn a_fleets_log_filters_to_each_controllers_own_log() {
    let gains = [0, 100_000, 600_000];
    for effects in [EffectsKept::Digests, EffectsKept::Whole] {
        let (fleet, _) = record(&gains, 3_000, Scope::Fleet, effects);
        for index in 0..3 {
            let controller = ControllerIndex(index);
            let (own, _) = record(&gains, 3_000, Scope::Only(controller), effects);
            let mut cut = Vec::new();
            let mut reader = Reader::open(fleet.as_slice()).unwrap();
            filtered(&mut reader, controller, |bytes| cut.extend_from_slice(bytes)).unwrap();
            assert!(cut == own, "controller {index}, {effects:?}");
            assert_eq!(replay::<Toy, _>(own.as_slice()).unwrap().divergence, None);
        }
    }
}

#[test]
fn a_scan_of_two_devices_takes_less_than_100_bytes() {
    const SCANS: u64 = 3_600;
    let (log, _) = record(&[0], SCANS, Scope::Fleet, EffectsKept::Digests);
    let counted = statistics(log.as_slice()).unwrap();
    assert_eq!(counted.bytes, log.len() as u64);
    assert!(log.len() as u64 / SCANS < 70, "{} bytes a scan", log.len() as u64 / SCANS);
}

proptest! {
    #[test]
    fn mutated_bytes_never_panic_and_are_never_accepted(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let log = small_log();
        let mut changed = log.clone();
        for (index, byte) in changes {
            let position = index.index(changed.len());
            changed[position] = byte;
        }
        if changed != log {
            prop_assert!(read(&changed).is_err());
        }
        let _torn = read(&changed[..cut.index(changed.len())]);
    }

    #[test]
    fn random_bytes_are_no_log(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        prop_assert!(read(&bytes).is_err());
    }
}
