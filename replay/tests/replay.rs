//! What is recorded replays bit for bit, and what does not is found where it arose.

mod toy;

use r_ems_engine::fleet::Fleet;
use r_ems_engine::log::{EffectsKept, End, Ending, Scope};
use r_ems_engine::machine::Machine;
use r_ems_engine::{Span, Time};
use r_ems_replay::{Compatibility, Digesting, replay, replay_until};
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
