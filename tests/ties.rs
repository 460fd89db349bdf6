//! Every shipped scenario keeps its promises in whatever order things happen that happen at one instant.

use std::path::Path;

use r_ems::engine::Span;
use r_ems::engine::controller::Controller;
use r_ems::engine::fleet::Fleet;
use r_ems::engine::functions::{BuiltIn, FunctionSet};
use r_ems::engine::log::Header;
use r_ems::engine::machine::Machine;
use r_ems::names::of_spec;
use r_ems::scenarios::{Disk, Overrides, load};
use r_ems::sim::driver::{RunResult, SimDriver};
use r_ems::sim::expect::Verdict;
use r_ems::sim::world::Ties;
use r_ems::study::contained::Recovering;

/// The most of a scenario that is run.
const LONGEST: Span = Span::from_hours(24);

const SEEDS: u64 = 2;

fn scenarios() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(folder).expect("the folder of the scenarios");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "ron"))
        .map(|path| path.to_str().expect("a path that is text").to_owned())
        .collect();
    found.sort();
    found
}

/// Runs a scenario; its verdicts include those on the whole run.
fn run(path: &str, ties: Ties) -> RunResult {
    let mut loaded = load::<BuiltIn>(&Disk, path, &Overrides::default())
        .unwrap_or_else(|report| panic!("a shipped scenario is right: {report}"));
    loaded.world.duration = loaded.world.duration.min(LONGEST);
    loaded.world.ties = ties;
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let driver = SimDriver::new(loaded.world).expect("links fit their bus");
    let header = Header::new(BuiltIn::NAMES, loaded.controllers.iter().map(of_spec).collect());
    let mut driver = driver.with_persistence::<_, Recovering>(&header, fleet.machines());
    fleet.run(&mut driver).unwrap_or_else(|failure| panic!("{path}, {ties:?}: {failure:?}"));
    let mut result = driver.finish();
    let at_end: Vec<Verdict> = loaded.at_end.iter().map(|judged| judged.judge(&result)).collect();
    result.verdicts.extend(at_end);
    result
}

#[test]
fn shuffled_ties_change_no_verdict_and_no_balance_of_a_shipped_scenario() {
    let scenarios = scenarios();
    assert!(scenarios.len() > 3, "{scenarios:?}");
    for path in &scenarios {
        let usual = run(path, Ties::InOrder);
        for seed in 0..SEEDS {
            let shuffled = run(path, Ties::Shuffled(seed));
            for grid in &shuffled.grids {
                assert_eq!(grid.balance, Ok(()), "{path}, seed {seed}");
            }
            for (one, other) in usual.verdicts.iter().zip(&shuffled.verdicts) {
                assert_eq!(one.held, other.held, "{path}, seed {seed}: {one:?}, shuffled {other:?}");
            }
        }
    }
}
