//! Whether the search bites: each classic mistake is made on purpose in the real machines, and random faults must find it and
//! shrink it to a few lines.
//!
//! Prints for each how many runs there were to the first failure, how it shrank, and how many faults are left, beside what a
//! plain list of faults shrinks to with proptest's own means on the same failure. The mistakes are switched on with the engine's
//! feature `mistakes`, which only tests and benches have.

use std::path::Path;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::mistakes::{Mistake, make};
use r_ems::explore::{Case, Options, Property, Site, explore, shrink, swarm, trial};
use r_ems::study::progress::Interrupt;

/// So many runs are made first, and twice as many while none fails.
const RUNS_MIN: u64 = 200;
/// Most runs for one mistake on one site.
const RUNS_MAX: u64 = 1_600;
/// Most runs that proptest's shrinking may take.
const PLAIN_MAX: u32 = 1_000;

/// A battery whose writes are on their way for up to the declared D, so that those of two controllers may overtake each other.
const SLOW_WRITES: &str = "links={ \"commerce/bess\": (latency: \"1 ms\", \
    write_delay: (at_least: \"0 s\", mean: \"10 ms\", at_most: \"24 ms\")) }";
/// Where mistakes are looked for, one after the other.
const SITES: [(&str, &[&str]); 3] =
    [("failover.ron", &[SLOW_WRITES]), ("failover_fast.ron", &[]), ("one_connection.ron", &[])];

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn main() {
    println!(
        "| mistake | found on | runs | breaks | faults drawn | shrink runs | steps | faults left | proptest's own |"
    );
    println!("|---|---|---:|---|---:|---:|---:|---:|---:|");
    for mistake in Mistake::ALL {
        let found = SITES.iter().find_map(|(file, settings)| row(mistake, file, settings));
        make(None);
        match found {
            Some(row) => println!("{row}"),
            None => println!("| {} | not found | {RUNS_MAX} | | | | | | |", mistake.name()),
        }
    }
}

/// The row of a mistake on a site, if random faults find it there.
fn row(mistake: Mistake, file: &str, settings: &[&str]) -> Option<String> {
    make(None);
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(file);
    let site = Site::<BuiltIn>::open(&scenario, &settings, None).expect("a shipped scenario is right");
    let seed = 1;
    let mut next = RUNS_MIN;
    while next <= RUNS_MAX {
        let runs = next;
        next *= 2;
        let options = Options { seed, runs, time: None, jobs: 2, interrupt: Interrupt::default() };
        make(Some(mistake));
        let found = explore(&site, &options, &|_reached| {}).expect("a shipped scenario runs");
        // What is late, or breaks without the mistake too, is no finding of it.
        let finding = found.findings.values().map(|entry| &entry.1).filter(|finding| {
            if matches!(finding.broken.property, Property::TakesOver | Property::SomebodyWrites) {
                return false;
            }
            let case = swarm::draw(&site.facts, site.length, seed, finding.number);
            make(None);
            let holds = trial::run(&site, &case).expect("it runs").breaks(finding.broken.property).is_none();
            make(Some(mistake));
            holds
        });
        let Some(finding) = finding.min_by_key(|finding| finding.number) else { continue };
        let case = swarm::draw(&site.facts, site.length, seed, finding.number);
        let shrunk = shrink::shrink(&site, &case, &finding.broken, &Interrupt::default()).expect("it runs");
        let (plain, tries) = plainly(&site, &case, finding.broken.property);
        let text = format!(
            "| {} | {file} | {} | {} | {} | {} | {} | {} | {plain} after {tries} runs |",
            mistake.name(),
            finding.number + 1,
            finding.broken.property.name(),
            case.faults.len(),
            shrunk.tries,
            shrunk.steps,
            shrunk.case.faults.len(),
        );
        return Some(text);
    }
    None
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
