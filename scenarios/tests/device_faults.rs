//! What is wrong with a device reaches its controller as the reference says, no more and no less.

use r_ems_engine::controller::Controller;
use r_ems_engine::event::Event;
use r_ems_engine::fleet::{Fleet, Turn};
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::{
    Delivery, Driver, Effect, Input, Machine, Outcome, Sample, Step, Validity, WriteOutcome,
};
use r_ems_engine::points::Quality;
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Loaded, Memory, Overrides, load};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::plant::{ComponentIndex, Quantity};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// A load whose power is never twice the same, far below the limit: the battery rests, and the meter reads what rises.
const RISING: &str = "Ramp(from: \"175 kW\", to: \"215 kW\", begin: \"+0 s\", end: \"+10 min\")";
/// A load that the battery carries 80 kW of.
const SHAVED: &str = "Constant(\"300 kW\")";
/// The battery moves by 40 kW every 7 s.
const BLOCKS: &str = "Sum([Constant(\"280 kW\"), Blocks(value: \"40 kW\", on: \"7 s\", off: \"7 s\")])";

const PCC: u16 = 0;
const BESS: u16 = 1;
/// The points of both devices in the image.
const PCC_P: usize = 0;
const BESS_P: usize = 1;
const BESS_SOC: usize = 2;
const BESS_LIMIT: usize = 3;
const BESS_SET_POINT: usize = 5;
/// Where the battery stands in the plant.
const BATTERY: ComponentIndex = ComponentIndex(1);

fn loaded(source: &str, more: &str) -> Loaded<BuiltIn> {
    loaded_from(GOOD, source, more)
}

fn loaded_from(text: &str, source: &str, more: &str) -> Loaded<BuiltIn> {
    let text = text.replace("profile: (\"short\", \"load_pu\")", &format!("source: {source}"));
    let text = text.replace("duration: \"1 h\"", "duration: \"10 min\"");
    let (head, _expect) = text.split_once("    expect:").expect("the good scenario expects something");
    let files = Memory::new().with("x.ron", format!("{head}{more}\n)")).with("short.csv", PROFILE);
    load(&files, "x.ron", &Overrides::default()).unwrap_or_else(|report| panic!("{report}"))
}

/// What a controller hears and says.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Points(u16, Vec<Sample>),
    TimedOut(u16),
    Written(WriteOutcome),
    Wrote(f64),
    Reported(Event),
}

#[derive(Clone)]
struct Watched {
    inner: SimDriver,
    seen: Vec<(Time, Seen)>,
}

impl Driver for Watched {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        let seen = match delivery.step {
            Step::Input(Input::Points { device, samples }) => Some(Seen::Points(device.0, samples.to_vec())),
            Step::Input(Input::TimedOut { device }) => Some(Seen::TimedOut(device.0)),
            Step::Input(Input::Written { outcome, .. }) => Some(Seen::Written(outcome)),
            Step::Input(_) | Step::Boot(_) | Step::Restore { .. } => None,
        };
        self.seen.extend(seen.map(|seen| (delivery.at, seen)));
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            let seen = if let Effect::Write(write) = effect {
                Some(Seen::Wrote(write.value))
            } else if let Effect::Report(event) = effect {
                Some(Seen::Reported(*event))
            } else {
                None
            };
            self.seen.extend(seen.map(|seen| (outcome.at, seen)));
        }
        self.inner.perform(outcome);
    }
}

fn at(millis: u64) -> Time {
    Time::ZERO + Span::from_millis(millis)
}

impl Watched {
    fn begin(loaded: Loaded<BuiltIn>) -> (Fleet<Controller<BuiltIn>>, Self) {
        let fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
        let inner = SimDriver::new(loaded.world).expect("the checker has seen every link");
        (fleet, Self { inner, seen: Vec::new() })
    }

    fn run(loaded: Loaded<BuiltIn>) -> Self {
        let (mut fleet, mut driver) = Self::begin(loaded);
        fleet.run(&mut driver).expect("no controller fails an assertion");
        driver
    }

    fn within(&self, from: u64, to: u64) -> impl Iterator<Item = (Time, &Seen)> {
        let is_within = move |seen: &&(Time, Seen)| seen.0 >= at(from) && seen.0 <= at(to);
        self.seen.iter().filter(is_within).map(|(at, seen)| (*at, seen))
    }

    /// What `choose` takes between two instants, in milliseconds.
    fn chosen<'a, T>(
        &'a self,
        (from, to): (u64, u64),
        choose: impl Fn(&'a Seen) -> Option<T>,
    ) -> Vec<(Time, T)> {
        self.within(from, to).filter_map(|(at, seen)| choose(seen).map(|chosen| (at, chosen))).collect()
    }

    /// The answers of a device.
    fn answers(&self, device: u16, from: u64, to: u64) -> Vec<(Time, &[Sample])> {
        self.chosen((from, to), |seen| {
            if let Seen::Points(of, samples) = seen
                && *of == device
            {
                return Some(samples.as_slice());
            }
            None
        })
    }

    fn events(&self, from: u64, to: u64) -> Vec<(Time, Event)> {
        self.chosen((from, to), |seen| if let Seen::Reported(event) = seen { Some(*event) } else { None })
    }

    fn count(&self, from: u64, to: u64, wanted: &Seen) -> usize {
        self.within(from, to).filter(|(_, seen)| *seen == wanted).count()
    }

    fn kinds(&self, from: u64, to: u64) -> Vec<&'static str> {
        self.events(from, to).iter().map(|(_, event)| event.kind()).collect()
    }

    /// The last quality of a point of the image that was reported by an instant.
    fn quality(&self, point: usize, by: u64) -> Quality {
        let judged = |(_, event): &(Time, Event)| {
            if let Event::QualityChanged { point: of, quality } = event
                && of.position() == point
            {
                return Some(*quality);
            }
            None
        };
        self.events(0, by).iter().filter_map(judged).next_back().unwrap_or(Quality::Unknown)
    }

    fn outcomes(&self, from: u64, to: u64) -> Vec<(Time, WriteOutcome)> {
        self.chosen((from, to), |seen| if let Seen::Written(outcome) = seen { Some(*outcome) } else { None })
    }

    fn writes(&self, from: u64, to: u64) -> Vec<(Time, f64)> {
        self.chosen((from, to), |seen| if let Seen::Wrote(power) = seen { Some(*power) } else { None })
    }
}

/// Runs with one fault from the first minute to the second.
fn with(source: &str, fault: &str) -> Watched {
    Watched::run(loaded(source, &format!("faults: [During(\"+1 min\", \"+2 min\", {fault})],")))
}

#[test]
fn late_answers_come_later_in_their_order_and_are_all_there() {
    let late = with(RISING, "Late(device: \"g/pcc\", by: \"300 ms\")");
    let usual = Watched::run(loaded(RISING, ""));
    let (late, usual) = (late.answers(PCC, 30_000, 150_000), usual.answers(PCC, 30_000, 150_000));
    assert_eq!(late.len(), usual.len());
    for ((then, values), (due, same)) in late.iter().zip(&usual) {
        let is_late = *due > at(60_000) && *due <= at(120_000);
        let by = Span::from_millis(if is_late { 300 } else { 0 });
        assert_eq!((*then, values), (*due + by, same));
    }
}

#[test]
fn answers_that_were_late_are_not_overtaken_by_those_that_are_not() {
    // Two or three answers are on their way when the fault ends.
    let more = "faults: [During(\"+1 min\", \"+2 min\", Late(device: \"g/pcc\", by: \"2 s 500 ms\"))],";
    let mut loaded = loaded(RISING, more);
    loaded.world.posts[0].links[0].timeout = Span::from_secs(3);
    let seen = Watched::run(loaded);
    let powers: Vec<f64> =
        seen.answers(PCC, 30_000, 180_000).iter().map(|(_, samples)| samples[0].value).collect();
    assert!(powers.windows(2).all(|pair| pair[0] < pair[1]), "each value is later than the one before it");
    assert_eq!(powers.len(), 151);
}

#[test]
fn what_is_later_than_the_time_out_is_a_time_out_and_never_comes() {
    let seen = with(RISING, "Late(device: \"g/pcc\", by: \"1.5 s\")");
    assert_eq!(seen.answers(PCC, 60_001, 120_500), []);
    assert_eq!(seen.count(60_001, 121_500, &Seen::TimedOut(PCC)), 60);
    assert_eq!(seen.quality(PCC_P, 70_000), Quality::Stale);
    let first = seen.answers(PCC, 120_001, 130_000)[0];
    // The first after the window is one that was measured after it, and not one that was under way: the load rises.
    let usual = Watched::run(loaded(RISING, ""));
    let same = usual.answers(PCC, 120_001, 130_000)[0];
    assert_eq!(first, same);
    assert_eq!(seen.quality(PCC_P, 140_000), Quality::Good);
}

#[test]
fn a_late_acknowledgement_is_late_and_one_that_is_too_late_is_a_write_that_was_applied_and_timed_out() {
    let late = with(BLOCKS, "Late(device: \"g/bess\", by: \"300 ms\")");
    let write = late.writes(65_000, 119_000)[0].0;
    let acknowledged = late.outcomes(65_000, 119_000)[0];
    assert_eq!(acknowledged, (write + Span::from_millis(320), WriteOutcome::Acknowledged));
    assert!(!late.kinds(20_000, 600_000).contains(&"write_failed"));

    let more = "faults: [During(\"+1 min\", \"+2 min\", Late(device: \"g/bess\", by: \"3 s\"))],";
    let (mut fleet, mut driver) = Watched::begin(loaded(BLOCKS, more));
    while driver.writes(60_000, 600_000).is_empty() {
        assert_eq!(fleet.turn(&mut driver).expect("no assertion fails"), Turn::Handled);
    }
    let (wrote, power) = driver.writes(60_000, 600_000)[0];
    while driver.outcomes(60_000, 600_000).is_empty() {
        assert_eq!(fleet.turn(&mut driver).expect("no assertion fails"), Turn::Handled);
    }
    assert_eq!(driver.outcomes(60_000, 600_000)[0], (wrote + Span::from_secs(1), WriteOutcome::TimedOut));
    let truth = driver.inner.bus(0).truth(BATTERY, Quantity::SetPoint).expect("a battery holds one");
    assert!((driver.inner.bus(0).value(truth) - power).abs() < 1e-6, "it acts all the same");
    fleet.run(&mut driver).expect("no assertion fails");
    let kinds = driver.kinds(60_000, 180_000);
    assert!(kinds.contains(&"write_failed") && kinds.contains(&"writes_succeed"), "{kinds:?}");
}

#[test]
fn a_frozen_device_repeats_what_it_had_until_it_is_stuck_and_is_good_again_when_it_moves() {
    let mut loaded = loaded(RISING, "faults: [During(\"+1 min\", \"+2 min\", Frozen(\"g/pcc\"))],");
    loaded.controllers[0].devices[0].stuck_after = Some(Span::from_secs(5));
    let seen = Watched::run(loaded);
    let frozen = seen.answers(PCC, 60_001, 120_000);
    assert_eq!(frozen.len(), 60);
    assert!(frozen.iter().all(|(_, samples)| *samples == frozen[0].1));
    // It has the value of the instant at which it froze: 175 kW and a tenth of the way to 215 kW.
    assert!((frozen[0].1[0].value - 179e3).abs() < 1e-6, "{frozen:?}");
    assert_eq!(seen.quality(PCC_P, 64_500), Quality::Good);
    assert_eq!(seen.quality(PCC_P, 67_500), Quality::Stuck);
    assert_eq!(seen.quality(PCC_P, 122_500), Quality::Good);
    assert_eq!(seen.count(0, 600_000, &Seen::TimedOut(PCC)), 0);
}

#[test]
fn a_wrong_value_is_invalid_where_it_cannot_be_true_and_believed_where_it_can() {
    for reads in ["7.0", "NaN", "-inf", "\"-30 %\""] {
        let seen = with(SHAVED, &format!("Wrong(point: \"g/bess.soc\", reads: {reads})"));
        assert_eq!(seen.quality(BESS_SOC, 90_000), Quality::Invalid, "{reads}");
        assert_eq!(seen.quality(BESS_P, 90_000), Quality::Good, "{reads}");
        assert_eq!(seen.quality(BESS_SOC, 122_500), Quality::Good, "{reads}");
    }
    let fault = "faults: [During(\"+1 min\", \"+2 min\", Wrong(point: \"g/pcc.p\", reads: \"-60 kW\"))],
    links: { \"g/pcc\": (positive: Export) },
    expect: [
        Always(\"a:g/pcc.p >= -60 kW\", (from: \"+61 s\", to: \"+119 s\")),
        Always(\"a:g/pcc.p <= -60 kW\", (from: \"+61 s\", to: \"+119 s\")),
    ],";
    let text = loaded(SHAVED, fault);
    let mut seen = Watched::run(text);
    assert_eq!(seen.quality(PCC_P, 90_000), Quality::Good);
    let verdicts = seen.inner.finish().verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.held), "{verdicts:#?}");
}

#[test]
fn a_device_that_vouches_for_nothing_is_answered_with_rest_and_its_image_shows_nothing() {
    let more = "faults: [During(\"+1 min\", \"+2 min\", Invalid(\"g/bess\"))],
    expect: [Always(\"a:g/bess.p <= 1 MW\", (from: \"+30 s\"))],";
    let mut seen = Watched::run(loaded(SHAVED, more));
    let answers = seen.answers(BESS, 60_001, 120_000);
    assert_eq!(answers.len(), 60);
    let is_invalid = |sample: &Sample| sample.validity == Validity::Invalid;
    assert!(answers.iter().all(|(_, samples)| samples.len() == 5 && samples.iter().all(is_invalid)));
    for point in BESS_P..=BESS_SET_POINT {
        assert_eq!(seen.quality(point, 90_000), Quality::Invalid);
        assert_eq!(seen.quality(point, 125_000), Quality::Good);
    }
    assert!(seen.writes(60_000, 70_000).iter().any(|write| write.1.abs() < 1e-9), "it is told to rest");
    let verdict = seen.inner.finish().verdicts.remove(0);
    assert!(!verdict.held, "a value that nobody vouches for is none");
    assert_eq!(verdict.without_value, Span::from_mins(1));
}

#[test]
fn a_short_answer_lacks_its_second_half_and_only_that_becomes_stale() {
    let seen = with(SHAVED, "Short(\"g/bess\")");
    let answers = seen.answers(BESS, 60_001, 120_000);
    assert!(answers.len() == 60 && answers.iter().all(|(_, samples)| samples.len() == 2));
    assert_eq!([BESS_P, BESS_SOC].map(|point| seen.quality(point, 90_000)), [Quality::Good; 2]);
    assert_eq!([BESS_LIMIT, BESS_SET_POINT].map(|point| seen.quality(point, 90_000)), [Quality::Stale; 2]);
    assert_eq!(seen.quality(BESS_LIMIT, 125_000), Quality::Good);
    let empty = with(SHAVED, "Short(\"g/pcc\")");
    assert!(empty.answers(PCC, 60_001, 120_000).iter().all(|(_, samples)| samples.is_empty()));
    assert_eq!(empty.quality(PCC_P, 90_000), Quality::Stale);
}

#[test]
fn a_device_that_refuses_is_tried_again_with_growing_pauses_and_keeps_what_it_has() {
    let seen = with(BLOCKS, "Refuses(\"g/bess\")");
    let refused = seen.outcomes(60_001, 120_000);
    assert!(refused.iter().all(|(_, outcome)| *outcome == WriteOutcome::Refused), "{refused:?}");
    assert!((4..=10).contains(&refused.len()), "1 s, 2 s, 4 s, 8 s and 16 s apart: {refused:?}");
    let kinds = seen.kinds(60_000, 160_000);
    let failed = kinds.iter().filter(|kind| **kind == "write_failed").count();
    assert!(failed == 1 && kinds.contains(&"writes_succeed"), "{kinds:?}");
    // The battery had a set-point of 60 or 100 kW and keeps it until it falls back.
    let held: Vec<f64> =
        seen.answers(BESS, 61_000, 100_000).iter().map(|(_, samples)| samples[4].value).collect();
    assert!(held.windows(2).all(|pair| pair[0].to_bits() == pair[1].to_bits()), "{held:?}");
}

#[test]
fn what_is_under_way_on_a_lost_connection_ends_at_its_time_out_and_the_next_exchange_waits() {
    // The answers due at 60 s were measured at 59.98 s; the connection is gone in between.
    let more = "links: { \"g/bess\": (reconnect: \"700 ms\") },
    faults: [During(\"+59 s 990 ms\", \"+90 s\", Disconnected(\"g/bess\"))],";
    let seen = Watched::run(loaded(SHAVED, more));
    assert_eq!(seen.answers(PCC, 59_990, 60_010).len(), 1, "another device has a connection of its own");
    assert_eq!(seen.answers(BESS, 59_990, 90_700), []);
    let timed_out: Vec<Time> = seen
        .within(59_990, 92_000)
        .filter(|(_, seen)| **seen == Seen::TimedOut(BESS))
        .map(|(at, _)| at)
        .collect();
    assert_eq!((timed_out.len(), timed_out[0], timed_out[1]), (31, at(60_980), at(61_980)));
    // The poll of 90.98 s asks for a connection, leaves on it at 91.68 s, and is answered 20 ms later.
    let first = seen.answers(BESS, 90_000, 95_000);
    assert_eq!([first[0].0, first[1].0], [at(91_700), at(92_000)]);
}

#[test]
fn a_write_on_a_lost_connection_is_applied_and_times_out() {
    // A write of a scan at a full second arrives 20 ms later; the connection goes 10 ms before that.
    let steps = "Ramp(from: \"300 kW\", to: \"340 kW\", begin: \"+58 s 500 ms\", end: \"+58 s 600 ms\")";
    let more = "faults: [During(\"+59 s 10 ms\", \"+62 s\", Disconnected(\"g/bess\"))],";
    let seen = Watched::run(loaded(steps, more));
    let writes = seen.writes(58_900, 59_100);
    assert_eq!(writes.len(), 1, "{writes:?}");
    let wrote = writes[0].0;
    assert_eq!(seen.outcomes(59_000, 60_000), [(wrote + Span::from_secs(1), WriteOutcome::TimedOut)]);
    let read_back = seen.answers(BESS, 62_000, 65_000)[0].1[4].value;
    assert!((read_back - writes[0].1).abs() < 1e-6, "{read_back} W is held, {} W was written", writes[0].1);
}

#[test]
fn a_device_that_restarts_rests_and_is_told_again_at_the_next_scan() {
    let more = "timeline: [At(\"+60 s 500 ms\", RestartDevice(\"g/bess\"))],
    links: { \"g/bess\": (reconnect: \"100 ms\") },
    expect: [
        Always(\"g/bess.set_point >= 79 kW\", (from: \"+10 s\", to: \"+60 s\")),
        Eventually(\"g/bess.set_point <= 0 W\", (from: \"+60 s 500 ms\", within: \"1 ms\")),
        Always(\"g/bess.set_point >= 78 kW\", (from: \"+62 s 200 ms\")),
    ],";
    let mut seen = Watched::run(loaded(SHAVED, more));
    let written = seen.writes(60_500, 63_000);
    assert!(!written.is_empty(), "what it has forgotten is written again");
    let result = seen.inner.finish();
    assert!(result.verdicts.iter().all(|verdict| verdict.held), "{:#?}", result.verdicts);
    assert_eq!(result.grids[0].balance, Ok(()));
}

#[test]
fn a_device_that_takes_one_connection_keeps_one_that_a_cut_has_killed_and_drops_it_when_it_restarts() {
    let one = "positive: Discharge, connections: ActiveOnly, connect: \"50 ms\", dead_connection: \"7 s\"";
    let more = "faults: [During(\"+59 s 990 ms\", \"+63 s\", Disconnected(\"g/bess\"))],
    timeline: [At(\"+80 s 500 ms\", RestartDevice(\"g/bess\"))],";
    let text = GOOD.replace("positive: Discharge", one);
    let seen = Watched::run(loaded_from(&text, SHAVED, more));
    // Cut at 59.99 s and kept for 7 s: refused until then, though the line is back; then a connection takes 50 ms.
    let answers = seen.answers(BESS, 59_000, 70_000);
    let at_all: Vec<Time> = answers.iter().map(|(at, _)| *at).take(3).collect();
    assert_eq!(at_all, [at(59_000), at(68_050), at(69_000)]);
    // What has restarted knows of no connection: the next poll makes one at once.
    let answers = seen.answers(BESS, 80_000, 83_000);
    let at_all: Vec<Time> = answers.iter().map(|(at, _)| *at).collect();
    assert_eq!(at_all, [at(80_000), at(81_050), at(82_000), at(83_000)]);
}

/// Every fault at once or one after the other, on both devices.
const ALL: &str =
    "timeline: [At(\"+3 min\", RestartDevice(\"g/bess\")), At(\"+5 min\", RestartDevice(\"g/pcc\"))],
    faults: [
        During(\"+1 min\", \"+4 min\", Late(device: \"g/bess\", by: \"700 ms\")),
        During(\"+70 s\", \"+80 s\", Frozen(\"g/pcc\")), During(\"+75 s\", \"+95 s\", Frozen(\"g/bess\")),
        During(\"+90 s\", \"+100 s\", Wrong(point: \"g/bess.p\", reads: NaN)),
        During(\"+2 min\", \"+130 s\", Invalid(\"g/pcc\")), During(\"+125 s\", \"+135 s\", Short(\"g/bess\")),
        During(\"+150 s\", \"+170 s\", Refuses(\"g/bess\")),
        During(\"+175 s 990 ms\", \"+190 s\", Disconnected(\"g/bess\")),
        During(\"+4 min\", \"+5 min\", Late(device: \"g/bess\", by: \"2 s\")),
    ],";

#[test]
fn a_world_of_faults_that_is_forked_at_any_instant_goes_on_like_the_one_that_was_not() {
    let whole = Watched::run(loaded(BLOCKS, ALL));
    assert_eq!(whole.seen.len(), Watched::run(loaded(BLOCKS, ALL)).seen.len());
    let (mut fleet, mut driver) = Watched::begin(loaded(BLOCKS, ALL));
    for second in (55..320).step_by(3) {
        while driver.inner.now() < at(second * 1_000 + 7) {
            assert_eq!(fleet.turn(&mut driver).expect("no assertion fails"), Turn::Handled);
        }
        let (mut fleet, mut fork) = (fleet.clone(), driver.clone());
        fleet.run(&mut fork).expect("no assertion fails");
        // As texts, in which one NaN is like another.
        assert!(format!("{:?}", fork.seen) == format!("{:?}", whole.seen), "forked at {second} s");
    }
}
