//! What resuming from prefixes saves: the same failures shrink from the beginning of every run, and from what runs share.
//!
//! Both ways make the same runs and end with the same case, so the ratios are of one search. The failures are classic
//! mistakes that are made on purpose, as in the bench `mistakes`, and a device that breaks what is declared of it, in short runs
//! and in long ones.

use std::path::Path;
use std::time::Duration;

use r_ems::engine::Span;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::mistakes::{Mistake, make};
use r_ems::explore::shrink::{self, Handled};
use r_ems::explore::{Case, Finding, Property, Reducer, Shrunk, Site, swarm, trial};
use r_ems::study::progress::{Interrupt, Stopwatch};

/// From which all runs are drawn.
const SEED: u64 = 1;
/// So many failures are shrunk of each row.
const FAILURES: usize = 4;
/// They are looked for among so many runs.
const RUNS_MAX: u64 = 200;
/// Each is shrunk so often either way, in turns; the fastest counts.
const ROUNDS: usize = 3;

/// A battery that neither checks epochs nor keeps its D: writes are on their way for up to 300 ms.
const LATE_WRITES: &[&str] = &[
    "site.grids.commerce.devices.bess.link.checks_epochs=false",
    "site.grids.commerce.devices.bess.link.longest_write=2 ms",
    "links={ \"commerce/bess\": (write_delay: (at_least: \"0 s\", mean: \"100 ms\", at_most: \"300 ms\")) }",
];

/// What is shrunk.
struct Row {
    breaks: Property,
    scenario: &'static str,
    mistake: Option<Mistake>,
    settings: &'static [&'static str],
}

const ROWS: [Row; 3] = [
    Row {
        breaks: Property::OneAuthority,
        scenario: "failover_fast.ron",
        mistake: Some(Mistake::GrantsToAnotherAtOnce),
        settings: &[],
    },
    Row {
        breaks: Property::OneAuthority,
        scenario: "failover.ron",
        mistake: Some(Mistake::RestartsAsActive),
        settings: &[],
    },
    Row { breaks: Property::EpochsRise, scenario: "failover_fast.ron", mistake: None, settings: LATE_WRITES },
];
/// How long runs last.
const LENGTHS: [Span; 2] = [Span::from_secs(25), Span::from_mins(10)];

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn main() {
    println!(
        "| broken | of | length | case | runs | from the beginning | from prefixes | faster | deliveries handled |"
    );
    println!("|---|---|---:|---:|---:|---:|---:|---:|---:|");
    for (row, length) in LENGTHS.iter().flat_map(|length| ROWS.iter().map(move |row| (row, *length))) {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(row.scenario);
        let settings: Vec<String> = row.settings.iter().map(ToString::to_string).collect();
        let site = Site::<BuiltIn>::open(&scenario, &settings, Some(length));
        let site = site.expect("a shipped scenario is right");
        let of = format!("| {} | {} | {length} ", row.breaks.name(), row.scenario);
        make(row.mistake);
        let mut sums = [Duration::ZERO; 2];
        for finding in failures(&site, row.breaks) {
            let (times, shrunk) = raced(&site, &finding);
            sums = [sums[0] + times[0], sums[1] + times[1]];
            let Handled { really, whole } = shrunk.handled;
            let handled = format!("{really} of {whole}");
            println!("{of}| {} | {} | {} | {handled} |", finding.number, shrunk.tries, compared(times));
        }
        println!("{of}| all | | {} | |", compared(sums));
    }
    make(None);
}

/// How long both ways take to shrink a failure, and what is left.
fn raced(site: &Site<BuiltIn>, finding: &Finding) -> ([Duration; 2], Shrunk) {
    let case = swarm::draw(&site.facts, site.length, SEED, finding.number);
    let race = || {
        let (known, plain) = timed(|| plainly(site, &case, finding));
        let shrink = || shrink::shrink(site, &case, &finding.broken, &Interrupt::default());
        let (shrunk, resumed) = timed(|| shrink().expect("it runs"));
        assert_eq!(known, shrunk.case, "both ways end with the same case");
        ([plain, resumed], shrunk)
    };
    let (mut times, shrunk) = race();
    for _round in 1..ROUNDS {
        let (again, _) = race();
        times = [times[0].min(again[0]), times[1].min(again[1])];
    }
    (times, shrunk)
}

fn compared([plain, resumed]: [Duration; 2]) -> String {
    let [plain, resumed] = [plain, resumed].map(|time| time.as_secs_f64());
    format!("{:.0} ms | {:.0} ms | {:.2}", plain * 1e3, resumed * 1e3, plain / resumed)
}

fn timed<T>(run: impl FnOnce() -> T) -> (T, Duration) {
    let stopwatch = Stopwatch::start();
    let result = run();
    (result, stopwatch.elapsed())
}

/// The first runs that break a property.
fn failures(site: &Site<BuiltIn>, property: Property) -> Vec<Finding> {
    let finding = |number| {
        let case = swarm::draw(&site.facts, site.length, SEED, number);
        let trial = trial::run(site, &case).expect("it runs");
        trial.breaks(property).map(|broken| Finding { number, broken: broken.clone() })
    };
    (0..RUNS_MAX).filter_map(finding).take(FAILURES).collect()
}

/// The same search with every run from its beginning.
fn plainly(site: &Site<BuiltIn>, case: &Case, finding: &Finding) -> Case {
    let fails =
        |case: &Case| trial::run(site, case).expect("it runs").breaks(finding.broken.property).cloned();
    let (mut best, mut broken, mut tries) = (case.clone(), finding.broken.clone(), 1);
    let early = case.until(broken.at);
    if let Some(again) = fails(&early) {
        (best, broken) = (early, again);
    }
    let mut reducer = Reducer::new(best);
    while tries < shrink::BUDGET {
        let Some(proposal) = reducer.propose() else { break };
        tries += 1;
        match fails(proposal) {
            Some(again) => {
                broken = again;
                reducer.accept();
            }
            None => reducer.reject(),
        }
    }
    let last = reducer.best().until(broken.at);
    if fails(&last).is_some() { last } else { reducer.best().clone() }
}
