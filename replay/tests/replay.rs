//! What is recorded replays bit for bit, and what does not is found where it arose.

mod toy;

use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::fleet::Fleet;
use r_ems_engine::log::{EffectsKept, End, Ending, Scope};
use r_ems_engine::machine::{Boot, Delivery, Driver, Effects, Input, Machine, Outcome};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_replay::{Compatibility, Digesting, Recorder, replay, replay_until};
use serde::{Deserialize, Serialize};
use toy::{Toy, ToyWorld, header, record};

/// Clocks that gain nothing, 100 ppm and 600 ppm.
const GAINS: [u64; 3] = [0, 100_000, 600_000];

#[test]
fn a_recorded_run_replays_bit_for_bit() {
    for effects in [EffectsKept::Digests, EffectsKept::Whole] {
        let (log, recorded) = record(&GAINS, 600, Scope::Fleet, effects);
        let replayed = replay::<Toy, _>(log.as_slice()).unwrap();
        assert_eq!(replayed.divergence, None);
        assert_eq!(replayed.end, Some(End::Closed(Ending::Over)));
        assert_eq!(replayed.digest, recorded.digest);
        assert_eq!(replayed.compatibility, Compatibility::Same);
        assert!(replayed.deliveries > 3 * 600 * 3, "{} deliveries", replayed.deliveries);
    }
}

#[test]
fn the_digest_of_a_run_does_not_depend_on_how_it_is_recorded() {
    let mut fleet = Fleet::new(vec![Toy::new(&None); GAINS.len()]);
    let mut driver = Digesting::new(ToyWorld::new(&GAINS, 60), GAINS.len());
    fleet.run(&mut driver).unwrap();
    let digest = driver.digest(&header(GAINS.len(), EffectsKept::Digests), fleet.machines());

    let scopes = [Scope::Fleet, Scope::Only(r_ems_engine::ids::ControllerIndex(1))];
    for scope in scopes {
        for effects in [EffectsKept::Digests, EffectsKept::Whole] {
            assert_eq!(record(&GAINS, 60, scope, effects).1.digest, digest);
        }
    }
    assert_ne!(record(&GAINS, 61, Scope::Fleet, EffectsKept::Digests).1.digest, digest);
}

#[test]
fn a_replay_stops_at_any_instant_and_goes_on() {
    let (log, _) = record(&GAINS, 60, Scope::Fleet, EffectsKept::Digests);
    let (shorter, _) = record(&GAINS, 30, Scope::Fleet, EffectsKept::Digests);
    let until = Time::ZERO + Span::from_secs(30);

    let mut stopped = replay_until::<Toy, _>(log.as_slice(), until).unwrap();
    let whole = replay_until::<Toy, _>(shorter.as_slice(), Time::MAX).unwrap();
    assert_eq!(stopped.machines(), whole.machines());
    assert_eq!(stopped.result().end, None);

    stopped.run_until(Time::MAX).unwrap();
    assert_eq!(stopped.result(), replay::<Toy, _>(log.as_slice()).unwrap());
}

/// A toy that fails an assertion when it is asked for its deadline after its third scan.
#[derive(Clone, Serialize, Deserialize)]
struct NoDeadline(Toy);

impl Machine for NoDeadline {
    type Spec = Option<u32>;

    fn new(spec: &Option<u32>) -> Self {
        Self(Toy::new(spec))
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.0.boot(now, boot, out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        self.0.handle(now, input, out);
    }

    fn deadline(&self) -> Option<LocalTime> {
        assert!(self.0.scans() < 3, "a planted failure");
        self.0.deadline()
    }
}

#[test]
fn a_deadline_that_fails_is_contained_like_everything_else() {
    let mut fleet = Fleet::new(vec![NoDeadline::new(&None)]);
    let mut world = ToyWorld::new(&[0], 60);
    let poisoned = fleet.run(&mut world).expect_err("it fails at its third scan");
    assert_eq!(poisoned.at, Time::ZERO + Span::from_secs(3));
}

/// A world that is itself at fault after so many deliveries.
struct Faulty {
    world: ToyWorld,
    left: u32,
}

impl Driver for Faulty {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.world.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        assert!(self.left > 0, "a planted failure of the world");
        self.left -= 1;
        self.world.perform(outcome);
    }
}

#[test]
fn a_panic_of_the_world_leaves_a_log_that_ends_with_its_cause() {
    let mut log = Vec::new();
    let fleet = vec![Toy::new(&None)];
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let world = Faulty { world: ToyWorld::new(&[0], 60), left: 20 };
        let header = header(1, EffectsKept::Digests);
        let mut recorder = Recorder::new(world, &mut log, header, Scope::Fleet, &fleet).unwrap();
        let _never = Fleet::new(fleet.clone()).run(&mut recorder);
    }));
    assert!(unwound.is_err());
    let replayed = replay::<Toy, _>(log.as_slice()).unwrap();
    assert_eq!((replayed.deliveries, replayed.divergence), (21, None));
    assert!(matches!(replayed.end, Some(End::Torn { lost: 0, .. })));
}
