//! A log that is kept with the sources is read and replayed: the golden bytes of a state, and of a log as a whole.
//!
//! `tests/golden/README.md` says how it is recorded anew, and when that is right.

use std::path::Path;

use r_ems::engine::controller::Controller;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::{Content, End, Ending, Kind, Reader, Status, codec};
use r_ems::engine::machine::{Machine, State};
use r_ems::replay::{Compatibility, Entries, Filter, Replay, statistics};
use r_ems::study::recall::{Search, again};

const REMEDY: &str =
    "if that is meant, tests/golden/README.md says how to record tests/golden/every_source.rlog anew";

fn log() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/every_source.rlog");
    std::fs::read(path).expect("it is kept with the sources")
}

/// The states in a log, in their order.
fn states(log: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(log).expect("a log of this format");
    let mut states = Vec::new();
    while reader.advance().expect("a whole log") == Status::Record {
        if let Content::State(bytes) = reader.record().content {
            states.push(bytes.to_vec());
        }
    }
    states
}

#[test]
fn the_kept_log_is_read_to_its_end() {
    let log = log();
    let mut entries = Entries::open(log.as_slice(), Filter::ALL).expect("a log of this format");
    let mut read = 0;
    for entry in entries.by_ref() {
        entry.expect("every record can be read");
        read += 1;
    }
    assert_eq!(entries.end(), Some(End::Closed(Ending::Over)));
    let counted = statistics(log.as_slice()).expect("it has just been read");
    assert_eq!(counted.records, read);
    // It would be a poor witness if it lacked a kind of record that runs have.
    for kind in [Kind::Boot, Kind::Wake, Kind::Points, Kind::Written, Kind::Event, Kind::Effects, Kind::State]
    {
        let share = counted.kinds.iter().find(|share| share.name == kind.name());
        assert!(share.is_some_and(|share| share.records > 0), "{}", kind.name());
    }
}

#[test]
fn the_kept_log_replays_bit_for_bit_on_the_version_that_wrote_it() {
    let log = log();
    let opened = Replay::<Controller<BuiltIn>, _>::open(log.as_slice());
    let mut replay = opened.unwrap_or_else(|error| panic!("{error}\n{REMEDY}"));
    replay.run_until(r_ems::engine::Time::MAX).expect("it can be read");
    let replayed = replay.result();
    if replayed.compatibility == Compatibility::Same {
        let divergence = replayed.divergence.map(|divergence| divergence.to_string());
        assert!(divergence.is_none(), "{}\n{REMEDY}", divergence.unwrap_or_default());
        assert_eq!(replayed.end, Some(End::Closed(Ending::Over)));
    }
}

#[test]
fn a_controllers_state_has_its_golden_bytes() {
    let log = log();
    let states = states(&log);
    let header = Reader::open(log.as_slice()).expect("a log of this format").header().clone();
    assert_eq!(states.len(), 2 * header.controllers.len(), "at each end");
    let study = again::<BuiltIn>(&header, Search::BesideLog(Path::new("")));
    let study = study.unwrap_or_else(|failure| panic!("{}\n{REMEDY}", failure.message));
    for (names, (spec, golden)) in header.controllers.iter().zip(study.controllers.iter().zip(&states)) {
        let mut bytes = Vec::new();
        Controller::<BuiltIn>::new(spec).encode(&mut bytes);
        assert!(bytes == *golden, "the first state of {} has other bytes: {REMEDY}", names.full());
    }
    for golden in &states {
        let state: Controller<BuiltIn> =
            codec::decode(golden).unwrap_or_else(|_undecodable| panic!("a state cannot be read: {REMEDY}"));
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        assert!(bytes == *golden, "a state that was read is written with other bytes");
    }
}
