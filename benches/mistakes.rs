//! Whether the search bites: each classic mistake is made on purpose in the real machines, and random faults must find it and
//! shrink it to a few lines.
//!
//! Prints for each how many runs and seconds there were to the first failure, how it shrank, and how many faults are left,
//! beside what a plain list of faults shrinks to with proptest's own means on the same failure. The mistakes are switched on
//! with the engine's feature `mistakes`, which only tests and benches have.

use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::mistakes::{Mistake, make};
use r_ems::explore::{Broken, Case, Property, Site, shrink, swarm, trial};
use r_ems::study::progress::{Interrupt, Stopwatch};

/// Most runs for one mistake on one site.
const RUNS_MAX: u64 = 3_000;
/// So many runs are made at a time.
const JOBS: u64 = 2;
/// From which all runs are drawn.
const SEED: u64 = 1;
/// Most runs that proptest's shrinking may take.
const PLAIN_MAX: u32 = 1_000;

/// Where mistakes are looked for, one after the other.
const SITES: [&str; 3] = ["failover.ron", "failover_fast.ron", "one_connection.ron"];

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
#[expect(clippy::disallowed_methods, reason = "a bench has no other arguments than these names")]
fn main() {
    // Names on the command line choose mistakes; `cargo bench` adds options of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_meant = |mistake: &Mistake| named.is_empty() || named.iter().any(|name| name == mistake.name());
    println!(
        "| mistake | found on | runs | seconds | breaks | faults drawn | shrink runs | steps | faults left | proptest's own |"
    );
    println!("|---|---|---:|---:|---|---:|---:|---:|---:|---:|");
    for mistake in Mistake::ALL.into_iter().filter(is_meant) {
        let mut sites = SITES;
        // Much must be written between two syncs for a crash to tear it: the one with the short scan comes first.
        sites.rotate_left(usize::from(mistake == Mistake::TornTailAccepted));
        let found = sites.iter().find_map(|file| row(mistake, file));
        make(None);
        match found {
            Some(row) => println!("{row}"),
            None => println!("| {} | not found | {RUNS_MAX} | | | | | | | |", mistake.name()),
        }
    }
}

/// The row of a mistake on a site, if random faults find it there.
fn row(mistake: Mistake, file: &str) -> Option<String> {
    make(None);
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
    let site = Site::<BuiltIn>::open(&scenario, &[], None).expect("a shipped scenario is right");
    let stopwatch = Stopwatch::start();
    let (number, broken) = (0..RUNS_MAX).step_by(JOBS as usize).find_map(|first| {
        make(Some(mistake));
        trials(&site, first)
            .into_iter()
            .find_map(|(number, broken)| Some((number, meant(&site, number, broken)?)))
    })?;
    let seconds = stopwatch.elapsed().as_secs_f64();
    make(Some(mistake));
    let case = swarm::draw(&site.facts, site.length, SEED, number);
    let shrunk = shrink::shrink(&site, &case, &broken, &Interrupt::default()).expect("it runs");
    let (plain, tries) = plainly(&site, &case, broken.property);
    let text = format!(
        "| {} | {file} | {} | {seconds:.1} | {} | {} | {} | {} | {} | {plain} after {tries} runs |",
        mistake.name(),
        number + 1,
        broken.property.name(),
        case.faults.len(),
        shrunk.tries,
        shrunk.steps,
        shrunk.case.faults.len(),
    );
    Some(text)
}

/// What the next runs break.
#[expect(clippy::disallowed_methods, reason = "the runs are independent, and each is one deterministic loop")]
fn trials(site: &Site<BuiltIn>, first: u64) -> Vec<(u64, Vec<Broken>)> {
    let run = |number| {
        let case = swarm::draw(&site.facts, site.length, SEED, number);
        (number, trial::run(site, &case).expect("a shipped scenario runs").broken)
    };
    std::thread::scope(|scope| {
        let all: Vec<_> = (first..first + JOBS).map(|number| scope.spawn(move || run(number))).collect();
        all.into_iter().map(|job| job.join().expect("no run panics")).collect()
    })
}

/// What of it shows a mistake: not what is late, and not what breaks without one too.
fn meant(site: &Site<BuiltIn>, number: u64, broken: Vec<Broken>) -> Option<Broken> {
    let is_late = |broken: &Broken| matches!(broken.property, Property::TakesOver | Property::SomebodyWrites);
    let broken = broken.into_iter().find(|broken| !is_late(broken))?;
    make(None);
    let case = swarm::draw(&site.facts, site.length, SEED, number);
    let holds = trial::run(site, &case).expect("it runs").breaks(broken.property).is_none();
    holds.then_some(broken)
}

/// Shrinks the same list with proptest's own means: a subsequence of its faults.
fn plainly(site: &Site<BuiltIn>, case: &Case, property: Property) -> (usize, u32) {
    let count = case.faults.len();
    let strategy = proptest::sample::subsequence((0..count).collect::<Vec<usize>>(), 0..=count);
    let case_of = |kept: &[usize]| Case {
        faults: kept.iter().map(|place| case.faults[*place].clone()).collect(),
        ..case.clone()
    };
    let fails = |case: &Case| trial::run(site, case).expect("it runs").breaks(property).is_some();
    let mut runner = TestRunner::deterministic();
    // The whole list is what shall be shrunk: drawn until it comes, or the largest that fails.
    for _draw in 0..PLAIN_MAX {
        let mut tree = strategy.new_tree(&mut runner).expect("nothing is refused");
        if tree.current().len() * 2 < count || !fails(&case_of(&tree.current())) {
            continue;
        }
        let (mut left, mut tries) = (tree.current().len(), 0);
        let mut goes_on = tree.simplify();
        while goes_on && tries < PLAIN_MAX {
            tries += 1;
            if fails(&case_of(&tree.current())) {
                left = tree.current().len();
                goes_on = tree.simplify();
            } else {
                goes_on = tree.complicate();
            }
        }
        return (left, tries);
    }
    (count, 0)
}
