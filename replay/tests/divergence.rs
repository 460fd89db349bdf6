//! A changed law is found at the first record that it changed, and a failed assertion is part of the log.

mod toy;

use r_ems_engine::log::{EffectsKept, End, Ending, Scope};
use r_ems_engine::machine::{Boot, Effects, Input, Machine};
use r_ems_engine::{LocalTime, Time};
use r_ems_replay::divergence::Subject;
use r_ems_replay::{Divergence, Entries, Filter, Replayable, replay};
use serde::{Deserialize, Serialize};
use toy::{Toy, record, record_toys};

/// The toy with a limit that is one bit larger from the first scan on: a planted change of a law.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Changed(Toy);

impl Machine for Changed {
    type Spec = Option<u32>;

    fn new(spec: &Option<u32>) -> Self {
        Self(Toy::new(spec))
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.0.boot(now, boot, out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        let limit = self.0.limit;
        self.0.limit = f64::from_bits(limit.to_bits() + 1);
        self.0.handle(now, input, out);
        self.0.limit = limit;
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.0.deadline()
    }
}

impl Replayable for Changed {
    const FUNCTIONS: &'static [&'static str] = Toy::FUNCTIONS;
}

fn divergence_of(effects: EffectsKept) -> (Vec<u8>, Divergence) {
    let (log, _) = record(&[0, 600_000], 300, Scope::Fleet, effects);
    let divergence =
        replay::<Changed, _>(log.as_slice()).expect("readable").divergence.expect("the law differs");
    (log, *divergence)
}

#[test]
fn a_change_of_one_bit_is_found_at_the_first_write_that_it_changed() {
    let (log, whole) = divergence_of(EffectsKept::Whole);
    let mut writes = Entries::open(log.as_slice(), Filter::ALL).unwrap().map(Result::unwrap);
    let first = writes.find(|entry| entry.kind == "effects" && entry.text.contains("write")).unwrap();
    assert_eq!((whole.at_ns, &whole.controller), (first.at_ns, &first.controller));
    assert_eq!((whole.subject, whole.input.as_str()), (Subject::Effects, "wake"));
    assert_ne!(whole.expected, whole.found);
    let text = whole.to_string();
    assert!(text.contains("expected") && text.contains("found") && text.contains("before it"), "{text}");

    let (_, digests) = divergence_of(EffectsKept::Digests);
    assert_eq!((digests.at_ns, digests.controller), (whole.at_ns, whole.controller));
    assert!(digests.found.iter().any(|line| line.contains("write")), "{:?}", digests.found);
}

#[test]
fn a_failed_assertion_is_recorded_and_replayed() {
    let toys = [Toy::new(&None), Toy::new(&Some(20))];
    let (log, recorded) = record_toys(&toys, &[0, 0], 60, Scope::Fleet, EffectsKept::Digests);
    assert_eq!(recorded.ending, Ending::Poisoned);

    let replayed = replay::<Toy, _>(log.as_slice()).unwrap();
    assert_eq!(replayed.divergence, None);
    assert_eq!(replayed.end, Some(End::Closed(Ending::Poisoned)));
}

#[test]
fn entries_keep_to_the_filter() {
    let (log, _) = record(&[0, 0], 60, Scope::Fleet, EffectsKept::Digests);
    let from = Time::from_nanos(10_000_000_000);
    let to = Time::from_nanos(20_000_000_000);
    let filter = Filter { from, to, kinds: vec![r_ems_engine::log::Kind::Wake], ..Filter::ALL };
    let entries: Vec<_> = Entries::open(log.as_slice(), filter).unwrap().map(Result::unwrap).collect();
    assert!(!entries.is_empty());
    assert!(entries.iter().all(|entry| entry.kind == "wake"));
    assert!(entries.iter().all(|entry| (from.as_nanos()..=to.as_nanos()).contains(&entry.at_ns)));
}
