//! Assertions of controllers that failed: each is a bug, of R-EMS or of a law, and others went on meanwhile.

use r_ems_engine::Time;
use r_ems_sim::driver::RunResult;
use serde::Serialize;

use super::Facts;

/// An assertion that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureSummary {
    /// Whose, `grid/id`.
    pub controller: String,
    /// When.
    pub at_s: f64,
    /// The same as local time.
    pub at: String,
    /// What it said; only of the first.
    pub words: Option<String>,
}

/// In the order in which they failed.
pub(super) fn of(facts: &Facts, result: &RunResult, first: Option<String>) -> Vec<FailureSummary> {
    let words = core::iter::once(first).chain(core::iter::repeat(None));
    let summary = |(failure, words): (&r_ems_engine::fleet::Poisoned, Option<String>)| FailureSummary {
        controller: facts.controllers[failure.controller.position()].full(),
        at_s: failure.at.since(Time::ZERO).as_secs_f64(),
        at: facts.local(failure.at),
        words,
    };
    result.failures.iter().zip(words).map(summary).collect()
}
