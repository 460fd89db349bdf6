//! A property of one's own site, in a page of code: whatever goes wrong, one writes at a time, and all else that the site
//! promises holds, too.
//!
//! Copy it and name your scenario. A failure prints the faults that it needs, ready for the `faults` of a scenario; more are
//! found by `r-emsctl explore`, which saves each as a file.

use std::path::Path;

use proptest::prelude::*;
use r_ems::engine::functions::BuiltIn;
use r_ems::faults::{Site, faults_for, open, run};

fn site() -> Site<BuiltIn> {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    open(scenarios.join("failover_fast.ron")).expect("a shipped scenario is right")
}

/// So many lists of faults are tried in a test; more are tried by night.
const CASES: u32 = 64;

#[test]
fn whatever_goes_wrong_everything_that_is_promised_holds() {
    let site = site();
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(faults in faults_for(&site))| {
        let found = run(&site, &faults);
        prop_assert!(found.holds(), "{:?}", found.broken);
    });
}
