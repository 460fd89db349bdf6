//! Random faults as strategies of proptest: a user states a property of their own site in a page of code.
//!
//! ```no_run
//! use proptest::prelude::*;
//! use r_ems::engine::functions::BuiltIn;
//! use r_ems::faults::{faults_for, open, run};
//!
//! let site = open::<BuiltIn>("site/failover.ron").expect("my scenario is right");
//! proptest!(|(faults in faults_for(&site))| {
//!     prop_assert!(run(&site, &faults).holds());
//! });
//! ```
//!
//! What is drawn, run and checked is what `r-emsctl explore` draws, runs and checks; see [`mod@crate::explore`]. A failure
//! shrinks as it does there, and prints as the fields of a scenario.

use std::fmt;
use std::path::Path;

use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use r_ems_engine::Span;
use r_ems_engine::functions::FunctionSet;

use crate::exit::Failure;
use crate::explore::site::Facts;
use crate::explore::{Case, Reducer, fault, settings, swarm, trial};

pub use crate::explore::{Broken, Property, Site, Trial};

/// The faults of one run.
#[derive(Clone, PartialEq, Eq)]
pub struct Faults {
    case: Case,
}

/// Opens the site of a scenario.
///
/// # Errors
/// The scenario is wrong, or no grid of it has several controllers.
pub fn open<F: FunctionSet>(scenario: impl AsRef<Path>) -> Result<Site<F>, Failure> {
    Site::open(scenario.as_ref(), &[], None)
}

/// Faults that are drawn for a site.
pub fn faults_for<F: FunctionSet>(site: &Site<F>) -> FaultStrategy {
    FaultStrategy { facts: site.facts.clone(), length: site.length }
}

/// Runs a site with faults, and checks everything that must hold of every run.
///
/// # Panics
/// If the faults were drawn for another site, and name what this one does not have.
pub fn run<F: FunctionSet>(site: &Site<F>, faults: &Faults) -> Trial {
    trial::run(site, &faults.case).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Draws faults.
#[derive(Clone, Debug)]
pub struct FaultStrategy {
    facts: Facts,
    length: Span,
}

/// Faults that get simpler while they fail.
#[derive(Clone, Debug)]
pub struct FaultTree {
    reducer: Reducer,
    begun: bool,
}

impl Strategy for FaultStrategy {
    type Tree = FaultTree;
    type Value = Faults;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        // The runner only gives the seed: what follows from it is the same for all versions of proptest.
        let seed = proptest::num::u64::ANY.new_tree(runner)?.current();
        let case = swarm::draw(&self.facts, self.length, seed, 0);
        Ok(FaultTree { reducer: Reducer::new(case), begun: false })
    }
}

impl ValueTree for FaultTree {
    type Value = Faults;

    fn current(&self) -> Faults {
        Faults { case: self.reducer.current().clone() }
    }

    /// What was tried fails: goes on from there.
    fn simplify(&mut self) -> bool {
        if std::mem::replace(&mut self.begun, true) {
            self.reducer.accept();
        }
        self.reducer.propose().is_some()
    }

    /// What was tried does not fail: goes back, and tries something else.
    fn complicate(&mut self) -> bool {
        if !self.begun {
            return false;
        }
        self.reducer.reject();
        self.reducer.propose().is_some()
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Case { network_seed, length, faults, settings, .. } = &self.case;
        let set = settings::map(settings);
        let faults = fault::list(faults, "");
        write!(f, "duration: \"{length}\", network_seed: {network_seed}, set: {set}, faults: {faults}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::test_runner::{Config, TestError};
    use r_ems_engine::functions::BuiltIn;

    fn site() -> Site<BuiltIn> {
        let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        open(scenarios.join("failover_fast.ron")).expect("a shipped scenario is right")
    }

    #[test]
    fn a_failing_property_shrinks_to_the_one_fault_that_it_needs() {
        let mut runner = TestRunner::new_with_rng(
            Config { max_shrink_iters: 10_000, ..Config::default() },
            proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
        );
        let has_crash = |faults: &Faults| faults.case.faults.iter().any(|fault| fault.what.word == "Crash");
        let found = runner.run(&faults_for(&site()), |faults| {
            proptest::prop_assert!(!has_crash(&faults), "a host crashed");
            Ok(())
        });
        let Err(TestError::Fail(_, faults)) = found else { panic!("crashes are drawn: {found:?}") };
        assert_eq!(faults.case.faults.len(), 1, "{faults:?}");
        assert!(has_crash(&faults));
    }
}
