//! What a log of another version, another behavior or another program is good for.

mod mend;
mod toy;

use mend::with_header;
use r_ems_engine::event::Event;
use r_ems_engine::log::{BEHAVIOR, ENGINE_VERSION, EffectsKept, Header, Scope};
use r_ems_engine::machine::{Boot, Effects, Input, Machine};
use r_ems_engine::units::Watts;
use r_ems_engine::{LocalTime, Time};
use r_ems_replay::divergence::Subject;
use r_ems_replay::{Compatibility, Replay, ReplayError, Replayable, Replayed, replay};
use serde::{Deserialize, Serialize};
use toy::{BATTERY, Toy, record};

/// The toy of a later version, which reports one thing more, at its tenth scan.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Talkative(Toy);

/// The toy of a later version, which reports nothing any more.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
struct Silent(Toy);

impl Machine for Talkative {
    type Spec = Option<u32>;

    fn new(spec: &Option<u32>) -> Self {
        Self(Toy::new(spec))
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.0.boot(now, boot, out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        self.0.handle(now, input, out);
        if *input == Input::Wake && self.0.scans() == 10 {
            out.report(Event::DeviceLimited { device: BATTERY, difference: Watts::of(1.0) });
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.0.deadline()
    }
}

impl Machine for Silent {
    type Spec = Option<u32>;

    fn new(spec: &Option<u32>) -> Self {
        Self(Toy::new(spec))
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.0.boot(now, boot, out);
        keep_requests(out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        self.0.handle(now, input, out);
        keep_requests(out);
    }

    fn deadline(&self) -> Option<LocalTime> {
        self.0.deadline()
    }
}

/// Takes every report out of a list of effects.
fn keep_requests(out: &mut Effects) {
    let all = out.as_slice().to_vec();
    out.clear();
    for effect in all {
        if !matches!(effect, r_ems_engine::machine::Effect::Report(_)) {
            out.push(effect);
        }
    }
}

impl Replayable for Talkative {
    const FUNCTIONS: &'static [&'static str] = Toy::FUNCTIONS;
}

impl Replayable for Silent {
    const FUNCTIONS: &'static [&'static str] = Toy::FUNCTIONS;
}

fn log(effects: EffectsKept) -> Vec<u8> {
    record(&[0, 600_000], 300, Scope::Fleet, effects).0
}

fn of_version(log: &[u8], version: &str) -> Vec<u8> {
    with_header(log, |header: &mut Header| header.engine = version.to_owned())
}

fn run<M: Replayable>(log: &[u8]) -> Replayed {
    replay::<M, _>(log).expect("it can be read")
}

#[test]
fn an_event_more_or_less_is_a_divergence_on_the_same_version_only() {
    for effects in [EffectsKept::Digests, EffectsKept::Whole] {
        let log = log(effects);
        let old = of_version(&log, "0.0.7");
        for (same, other) in
            [(run::<Talkative>(&log), run::<Talkative>(&old)), (run::<Silent>(&log), run::<Silent>(&old))]
        {
            let divergence = same.divergence.expect("the same version reports the same");
            assert_eq!((divergence.subject, same.event_difference), (Subject::Event, None));

            assert_eq!(other.divergence, None);
            assert!(other.end.is_some() && other.deliveries > same.deliveries);
            let noted = other.event_difference.expect("it is told");
            assert_eq!((noted.subject, noted.at_ns), (Subject::Event, divergence.at_ns));
            assert_eq!((&noted.expected, &noted.found), (&divergence.expected, &divergence.found));
            assert!(noted.logged_by.contains("0.0.7"));
        }
    }
}

#[test]
fn an_old_log_without_a_difference_has_nothing_to_note() {
    let replayed = run::<Toy>(&of_version(&log(EffectsKept::Digests), "0.0.7"));
    assert_eq!((replayed.divergence, replayed.event_difference), (None, None));
    let Compatibility::OtherVersion { logged_by, replayed_by } = replayed.compatibility else {
        panic!("{:?}", replayed.compatibility)
    };
    assert_eq!(logged_by, format!("engine 0.0.7 B{BEHAVIOR}"));
    assert_eq!(replayed_by, format!("engine {ENGINE_VERSION} B{BEHAVIOR}"));
}

#[test]
fn a_difference_in_what_is_asked_for_is_a_finding_that_names_both_versions() {
    // The limit of the first state is another one: what another version may do to a law.
    let log = with_header(&log(EffectsKept::Digests), |header| header.behavior = BEHAVIOR + 1);
    let state = mend::places(&log, r_ems_engine::log::Kind::State)[0].clone();
    let limit = log[state.clone()].windows(8).position(|bytes| bytes == 220e3_f64.to_le_bytes());
    let limit = state.start + limit.expect("the limit is in the state");
    let log = mend::with_bytes(&log, limit, &210e3_f64.to_le_bytes());

    let replayed = run::<Toy>(&log);
    assert!(matches!(replayed.compatibility, Compatibility::OtherBehavior { .. }));
    let told = replayed.divergence.expect("another limit is found").to_string();
    let names = [
        format!("engine {ENGINE_VERSION} B{}", BEHAVIOR + 1),
        format!("engine {ENGINE_VERSION} B{BEHAVIOR}"),
    ];
    assert!(names.iter().all(|name| told.contains(name)), "{told}");
}

#[test]
fn a_log_of_other_functions_is_refused_by_name() {
    let log = log(EffectsKept::Digests);
    let with_functions = |names: &[&str]| {
        with_header(&log, |header| header.functions = names.iter().map(|name| (*name).to_owned()).collect())
    };
    for names in [&["RampLimit", "PeakShaving"][..], &["PeakShaving", "Mine"], &["RampLimit"]] {
        let refused = Replay::<Toy, _>::open(with_functions(names).as_slice()).err().expect("refused");
        assert!(matches!(refused, ReplayError::Functions(_)), "{refused}");
        let told = refused.to_string();
        let first = names.iter().find(|name| **name != "PeakShaving").unwrap();
        assert!(told.contains(first) && told.contains("PeakShaving"), "{told}");
    }
    // A program that knows more than the log's is welcome.
    assert_eq!(run::<Toy>(&with_functions(&[])).divergence, None);
    assert_eq!(run::<Toy>(&log).at, Time::from_nanos(300_000_000_000));
}
