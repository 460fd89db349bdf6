//! Two logs are compared record by record, as far as both go, whatever else is in them.

mod mend;
mod toy;

use r_ems_engine::log::{EffectsKept, End, Ending, Kind, Scope};
use r_ems_replay::diff::EffectsCompared;
use r_ems_replay::{Comparison, diff};
use toy::record;

fn log(gain: u64, effects: EffectsKept) -> Vec<u8> {
    record(&[gain], 2_500, Scope::Fleet, effects).0
}

fn compare(left: &[u8], right: &[u8]) -> Comparison {
    diff(left, right).expect("both can be read")
}

#[test]
fn a_log_is_the_same_as_itself() {
    let log = log(0, EffectsKept::Digests);
    let compared = compare(&log, &log);
    let over = Some(End::Closed(Ending::Over));
    assert_eq!((compared.difference, compared.ends), (None, [over, over]));
    assert_eq!(compared.effects, EffectsCompared::AsKept);
}

#[test]
fn two_logs_differ_at_the_first_record_that_differs() {
    let (left, right) = (log(0, EffectsKept::Digests), log(1_000, EffectsKept::Digests));
    let difference = compare(&left, &right).difference.expect("the clocks differ");
    assert!(difference.left.is_some() && difference.right.is_some());
    assert!(!difference.before.is_empty());
}

#[test]
fn whether_effects_are_kept_makes_no_other_run() {
    let (digests, whole) = (log(0, EffectsKept::Digests), log(0, EffectsKept::Whole));
    for (left, right) in [(&digests, &whole), (&whole, &digests)] {
        let compared = compare(left, right);
        assert_eq!((compared.difference, compared.effects), (None, EffectsCompared::ByDigest));
    }
    let other = log(1_000, EffectsKept::Whole);
    assert!(compare(&digests, &other).difference.is_some());
}

#[test]
fn effects_that_both_logs_hold_are_compared() {
    let log = log(0, EffectsKept::Whole);
    let place = mend::places(&log, Kind::Effects)[40].clone();
    let changed = mend::with_bytes(&log, place.end - 1, &[log[place.end - 1] ^ 2]);
    let difference = compare(&log, &changed).difference.expect("one effect differs");
    assert_eq!(difference.left.map(|entry| entry.position), Some(place.start as u64));
}

#[test]
fn a_torn_log_is_compared_as_far_as_it_goes() {
    let log = log(0, EffectsKept::Digests);
    let groups = mend::groups(&log);
    for kept in 1..groups.len() {
        // Cut at the boundary of a group, and behind it.
        let boundary = mend::joined(&log, &groups[..kept]);
        let behind = [boundary.as_slice(), &[0x52]].concat();
        for (torn, lost) in [(&boundary, 0), (&behind, 1)] {
            let end = End::Torn { position: boundary.len() as u64, lost };
            assert_eq!(compare(&log, torn).ends, [None, Some(end)]);
            assert_eq!(compare(torn, &log).ends, [Some(end), None]);
            assert_eq!(compare(torn, torn).ends, [Some(end), Some(end)]);
            assert_eq!(compare(torn, &log).difference, None);
        }
    }
    let other = self::log(1_000, EffectsKept::Digests);
    let torn = mend::joined(&log, &groups[..2]);
    assert!(compare(&torn, &other).difference.is_some(), "a torn log may differ before it ends");
}
