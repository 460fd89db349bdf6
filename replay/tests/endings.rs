//! What a log says in full, now and then and at its end, is compared: chains, states, and how the run ended.

mod mend;
mod toy;

use std::ops::Range;

use mend::{places, with_bytes};
use r_ems_engine::event::Event;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{EffectsKept, End, Ending, Kind, Reader, Scope, filtered};
use r_ems_engine::machine::{Boot, Effect, Effects, Input, Machine};
use r_ems_engine::units::Watts;
use r_ems_engine::{LocalTime, Time};
use r_ems_replay::divergence::Subject;
use r_ems_replay::{Divergence, Entries, Filter, Replayable, Replayed, replay};
use serde::{Deserialize, Serialize};
use toy::{Toy, record, record_toys};

/// Long enough for records of full chains in between.
const SECONDS: u64 = 300;

fn log() -> Vec<u8> {
    record(&[0, 600_000], SECONDS, Scope::Fleet, EffectsKept::Digests).0
}

/// A log of two controllers, the second of which fails at its 20th scan.
fn poisoned(scope: Scope) -> Vec<u8> {
    let toys = [Toy::new(&None), Toy::new(&Some(20))];
    record_toys(&toys, &[0, 0], 60, scope, EffectsKept::Digests).0
}

fn run<M: Replayable>(log: &[u8]) -> Replayed {
    replay::<M, _>(log).expect("it can be read")
}

fn divergence(log: &[u8]) -> Divergence {
    *run::<Toy>(log).divergence.expect("the log was changed")
}

/// A log with one byte of a record changed, counted from the record's end.
fn flipped(log: &[u8], place: &Range<usize>, from_end: usize) -> Vec<u8> {
    let at = place.end - from_end;
    with_bytes(log, at, &[log[at] ^ 1])
}

#[test]
fn each_record_of_full_chains_is_compared() {
    let log = log();
    let chains = places(&log, Kind::Chains);
    assert!(chains.len() > 4, "some are in between");
    for place in &chains {
        // The events chain is in the last eight bytes, the effects chain before it.
        for from_end in [1, 8, 9, 16] {
            let found = divergence(&flipped(&log, place, from_end));
            assert_eq!(found.subject, Subject::History);
            assert_ne!(found.expected, found.found);
        }
    }
}

#[test]
fn the_states_at_the_end_are_compared() {
    let log = log();
    let states = places(&log, Kind::State);
    assert_eq!(states.len(), 4, "two at each end");
    for (place, name) in states[2..].iter().zip(["harbour/a", "harbour/b"]) {
        let found = divergence(&flipped(&log, place, 1));
        assert_eq!((found.subject, found.controller.as_str()), (Subject::State, name));
    }
}

/// A log whose closing record says something else.
fn with_ending(log: &[u8], ending: u8) -> Vec<u8> {
    let closing = places(log, Kind::Closing)[0].clone();
    let has_controller = usize::from(log[closing.start] >> 7);
    with_bytes(log, closing.start + 1 + has_controller, &[ending])
}

#[test]
fn how_the_run_ended_is_compared() {
    let (over, stopped, failed) = (0, 1, 2);
    assert_eq!(run::<Toy>(&with_ending(&log(), stopped)).divergence, None);
    let found = divergence(&with_ending(&log(), failed));
    assert_eq!((found.subject, found.expected), (Subject::Assertion, vec!["an assertion failed".to_owned()]));
    for ending in [over, stopped] {
        let found = divergence(&with_ending(&poisoned(Scope::Fleet), ending));
        assert_eq!(
            (found.subject, found.found),
            (Subject::Assertion, vec!["an assertion failed".to_owned()])
        );
    }
}

#[test]
fn a_failed_run_is_compared_for_everyone_who_did_not_fail() {
    let log = poisoned(Scope::Fleet);
    let replayed = run::<Toy>(&log);
    assert_eq!((replayed.divergence, replayed.end), (None, Some(End::Closed(Ending::Poisoned))));
    assert_eq!(replayed.poisoned.map(|poisoned| poisoned.controller), Some(ControllerIndex(1)));

    let states = places(&log, Kind::State);
    assert_eq!(states.len(), 3, "the state of the one that failed is not stored");
    let found = divergence(&flipped(&log, &states[2], 1));
    assert_eq!((found.subject, found.controller.as_str()), (Subject::State, "harbour/a"));
    for place in &places(&log, Kind::Chains) {
        assert_eq!(divergence(&flipped(&log, place, 9)).subject, Subject::History);
        assert_eq!(divergence(&flipped(&log, place, 1)).subject, Subject::History);
    }
}

#[test]
fn a_failed_fleets_log_filters_to_each_controllers_own() {
    let fleet = poisoned(Scope::Fleet);
    for (index, ending) in [(0, Ending::Stopped), (1, Ending::Poisoned)] {
        let controller = ControllerIndex(index);
        let mut cut = Vec::new();
        let mut reader = Reader::open(fleet.as_slice()).unwrap();
        filtered(&mut reader, controller, |bytes| cut.extend_from_slice(bytes)).unwrap();
        assert!(cut == poisoned(Scope::Only(controller)), "controller {index}");
        let replayed = run::<Toy>(&cut);
        assert_eq!((replayed.divergence, replayed.end), (None, Some(End::Closed(ending))));
    }
}

/// The toy with another answer at one scan: whoever compares only now and then overlooks it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Slip<const SCAN: u32, const OF_EVENTS: bool>(Toy);

impl<const SCAN: u32, const OF_EVENTS: bool> Machine for Slip<SCAN, OF_EVENTS> {
    type Spec = Option<u32>;

    fn new(spec: &Option<u32>) -> Self {
        Self(Toy::new(spec))
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.0.boot(now, boot, out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        self.0.handle(now, input, out);
        if *input != Input::Wake || self.0.scans() != SCAN {
            return;
        }
        let mut all = out.as_slice().to_vec();
        out.clear();
        for effect in &mut all {
            match effect {
                Effect::Write(write) if !OF_EVENTS => write.value += 1.0,
                Effect::Report(Event::DeviceLimited { difference, .. }) if OF_EVENTS => {
                    *difference = Watts::of(difference.watts() + 1.0);
                }
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Send { .. }
                | Effect::Authority { .. }
                | Effect::Disconnect { .. }
                | Effect::Transfer { .. }
                | Effect::Promise(_)
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Report(_) => {}
            }
            out.push(*effect);
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.0.deadline()
    }
}

impl<const SCAN: u32, const OF_EVENTS: bool> Replayable for Slip<SCAN, OF_EVENTS> {
    const FUNCTIONS: &'static [&'static str] = Toy::FUNCTIONS;
}

#[test]
fn a_change_of_nothing_but_the_last_deliverys_effects_is_found() {
    const LAST: u32 = 23;
    let whole = record(&[0], u64::from(LAST), Scope::Fleet, EffectsKept::Whole).0;
    let entries: Vec<_> = Entries::open(whole.as_slice(), Filter::ALL).unwrap().map(Result::unwrap).collect();
    let last = entries.iter().rfind(|entry| entry.kind == "wake").unwrap();
    let effects = entries.iter().rfind(|entry| entry.kind == "effects").unwrap();
    assert_eq!((last.at_ns, effects.at_ns), (u64::from(LAST) * 1_000_000_000, last.at_ns));
    assert!(effects.text.contains("write"), "the last delivery leads to a write: {}", effects.text);

    let digests = record(&[0], u64::from(LAST), Scope::Fleet, EffectsKept::Digests).0;
    for (log, subject) in [(&whole, Subject::Effects), (&digests, Subject::History)] {
        assert_eq!(run::<Slip<0, false>>(log).divergence, None);
        let found = run::<Slip<LAST, false>>(log).divergence.expect("it is in the closing chains");
        assert_eq!((found.subject, found.at()), (subject, Time::from_nanos(last.at_ns)));
    }
}

#[test]
fn a_change_of_nothing_but_one_event_is_found_where_it_arose() {
    const SCAN: u32 = 50;
    let log = record(&[0], SECONDS, Scope::Fleet, EffectsKept::Digests).0;
    let found = run::<Slip<SCAN, true>>(&log).divergence.expect("it is compared one by one");
    assert_eq!(
        (found.subject, found.at()),
        (Subject::Event, Time::from_nanos(u64::from(SCAN) * 1_000_000_000))
    );
    assert!(found.expected[0].contains("device_limited") && found.expected != found.found);
}
