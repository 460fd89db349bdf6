//! Sites at random: devices, functions, parameters, what happens and what fails, all drawn, as the text of a scenario that is
//! read as any other. Whatever the language takes runs to its end, no set-point leaves what its device can do, each can be
//! explained, the plant's energy balances, and the run's log replays bit for bit.
//!
//! A few are drawn each time; `PROPTEST_CASES=2000 cargo test --release --test random_sites` draws more. A failure is shrunk, and
//! shows the scenario: save it as a file, and every command of `r-emsctl` works on it.

mod functions;
mod happenings;
mod knobs;
mod site;
mod watched;

use proptest::prelude::*;
use proptest::test_runner::Config;
use r_ems::engine::functions::{BuiltIn, FunctionSet};
use r_ems::scenarios::{Memory, Overrides, load};

use crate::site::{Site, sites};
use crate::watched::watch;

/// So many sites are drawn where nobody asks for more.
const CASES: u32 = 120;
/// A failure is made plainer by so many runs at the most.
const SHRINKS: u32 = 600;
/// So many sites may be refused as nothing that the language takes, and of more cases one in so many: what is drawn fits the
/// language but for what happens twice at once.
const REFUSED: u32 = 20;
/// What the sites are read as.
const FILE: &str = "random.ron";

/// A failure is kept as the scenario that it shows: a seed would mean another one whenever anything else is drawn.
#[expect(clippy::disallowed_methods, reason = "how many cases are drawn is no input of a run")]
fn config() -> Config {
    let is_asked = std::env::var_os("PROPTEST_CASES").is_some();
    let usual = Config::default();
    let cases = if is_asked { usual.cases } else { CASES };
    let max_global_rejects = REFUSED.max(cases / REFUSED);
    Config { cases, max_global_rejects, max_shrink_iters: SHRINKS, failure_persistence: None, ..usual }
}

/// Runs a site that the language takes.
fn holds(site: &Site) -> Result<(), TestCaseError> {
    let files = Memory::new().with(FILE, site.text());
    match load::<BuiltIn>(&files, FILE, &Overrides::default()) {
        Ok(loaded) => watch(loaded).map_err(TestCaseError::fail),
        Err(report) => Err(TestCaseError::reject(report.to_string())),
    }
}

#[test]
fn every_function_is_drawn() {
    let missing = BuiltIn::NAMES.iter().filter(|name| !functions::ALL.contains(name));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new(), "they need parameters at random");
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_the_language_takes_runs_within_its_bounds_and_can_be_explained(site in sites()) {
        holds(&site)?;
    }
}
