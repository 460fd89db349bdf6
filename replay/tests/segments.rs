//! A segment that begins in the middle of a run replays alone and ends as the whole run does.

mod toy;

use r_ems_engine::fleet::{Fleet, Turn};
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{EffectsKept, End, Ending, Reader, Scope, filtered};
use r_ems_engine::machine::Machine;
use r_ems_replay::{Recorded, Recorder, replay};
use toy::{Toy, ToyWorld, header, record};

const GAINS: [u64; 2] = [0, 600_000];
const SECONDS: u64 = 60;

/// Records a run in two segments, the second of which begins after so many deliveries.
fn record_two(turns: u32, scope: Scope, effects: EffectsKept) -> ([Vec<u8>; 2], Recorded) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let mut fleet = Fleet::new(vec![Toy::new(&None); GAINS.len()]);
    let header = header(GAINS.len(), effects);
    let world = ToyWorld::new(&GAINS, SECONDS);
    let mut recorder =
        Recorder::new(world, &mut first, header.clone(), scope, fleet.machines()).expect("memory takes all");
    for _ in 0..turns {
        assert_eq!(fleet.turn(&mut recorder), Ok(Turn::Handled));
    }
    let (world, recorded) = recorder.finish(fleet.machines(), Ending::Stopped);
    let chains = recorded.expect("memory takes all").chains;
    let recorder = Recorder::continued(world, &mut second, header, scope, fleet.machines(), &chains);
    let mut recorder = recorder.expect("memory takes all");
    fleet.run(&mut recorder).expect("no assertion fails");
    let (_world, recorded) = recorder.finish(fleet.machines(), Ending::Over);
    ([first, second], recorded.expect("memory takes all"))
}

#[test]
fn each_segment_replays_alone_and_the_last_one_ends_as_the_whole_run() {
    for effects in [EffectsKept::Digests, EffectsKept::Whole] {
        let whole = record(&GAINS, SECONDS, Scope::Fleet, effects).1;
        // The boundaries fall between a boot, answers, scans and answers to writes.
        for turns in (1..60).chain([200, 300]) {
            let ([first, second], recorded) = record_two(turns, Scope::Fleet, effects);
            assert_eq!(recorded.digest, whole.digest, "after {turns}");
            let replayed = replay::<Toy, _>(first.as_slice()).unwrap();
            assert_eq!((replayed.divergence, replayed.deliveries), (None, u64::from(turns)), "after {turns}");
            let replayed = replay::<Toy, _>(second.as_slice()).unwrap();
            assert_eq!((replayed.divergence, replayed.digest), (None, whole.digest), "after {turns}");
            assert_eq!(replayed.end, Some(End::Closed(Ending::Over)));
        }
    }
}

#[test]
fn a_fleets_segment_filters_to_each_controllers_own() {
    let ([_, fleet], _) = record_two(101, Scope::Fleet, EffectsKept::Whole);
    for index in 0..2 {
        let controller = ControllerIndex(index);
        let ([_, own], _) = record_two(101, Scope::Only(controller), EffectsKept::Whole);
        let mut cut = Vec::new();
        let mut reader = Reader::open(fleet.as_slice()).unwrap();
        filtered(&mut reader, controller, |bytes| cut.extend_from_slice(bytes)).unwrap();
        assert!(cut == own, "controller {index}");
    }
}
