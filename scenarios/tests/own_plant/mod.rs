//! Runs of the good scenario with a plant of one's own.

use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::Machine;
use r_ems_scenarios::{Loaded, Memory, Overrides, Report, load};
use r_ems_sim::driver::{RunResult, SimDriver};

const GOOD: &str = include_str!("../bad/good.ron");
const PROFILE: &str = include_str!("../bad/short.csv");

/// The good scenario with a plant, and with `more` in place of what it expects.
pub(crate) fn loaded(plant: &str, more: &str) -> Result<Loaded<BuiltIn>, Report> {
    let (head, rest) = GOOD.split_once("    plant: {").expect("the good scenario has a plant");
    assert!(rest.contains("expect:"));
    let text = format!("{head}    plant: {{ \"g\": {{ {plant} }} }},\n{more}\n)");
    let files = Memory::new().with("x.ron", text).with("short.csv", PROFILE);
    load(&files, "x.ron", &Overrides::default())
}

pub(crate) fn run(plant: &str, more: &str) -> RunResult {
    let loaded = loaded(plant, more).unwrap_or_else(|report| panic!("{report}"));
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let mut driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    fleet.run(&mut driver).expect("no controller fails an assertion");
    driver.finish()
}

/// Everything held, and the plant's checkers found nothing.
pub(crate) fn assert_right(result: &RunResult) {
    assert!(result.verdicts.iter().all(|verdict| verdict.held), "{:#?}", result.verdicts);
    let grid = &result.grids[0];
    assert_eq!((&grid.balance, &grid.limits, &grid.reversion), (&Ok(()), &Ok(()), &Ok(())));
}
