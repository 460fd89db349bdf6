//! What outlived the controllers of a run: snapshots, lives that went on with what was left, and time without a journal.

use r_ems_sim::driver::RunResult;
use serde::Serialize;

use super::Facts;

/// What became of one controller's persistence.
#[derive(Clone, Debug, Serialize)]
pub struct PersistenceSummary {
    /// Whose, `grid/id`.
    pub controller: String,
    /// Snapshots that became durable.
    pub snapshots: u64,
    /// Snapshots that could not be made durable.
    pub snapshots_failed: u64,
    /// Lives that went on with the state of the one before.
    pub replayed: u64,
    /// Lives that went on with an older state, because what followed it was damaged.
    pub damaged: u64,
    /// Lives after the first that began with nothing but what was promised.
    pub fresh: u64,
    /// Lives that ended in order, with their last state kept.
    pub stopped: u64,
    /// Lives that ended in order, but whose last state the disk did not take in time.
    pub stopped_unkept: u64,
    /// How long its journal could not be kept.
    pub degraded_s: f64,
}

/// By controller; nothing without persistence.
pub(super) fn of(facts: &Facts, result: &RunResult) -> Option<Vec<PersistenceSummary>> {
    let found = result.persistence.as_ref()?;
    let summary =
        |(names, survival): (&r_ems_engine::log::ControllerNames, &r_ems_sim::survival::Survival)| {
            PersistenceSummary {
                controller: names.full(),
                snapshots: survival.snapshots.0,
                snapshots_failed: survival.snapshots.1,
                replayed: survival.recoveries.replayed,
                damaged: survival.recoveries.damaged,
                fresh: survival.recoveries.fresh,
                stopped: survival.ended.0,
                stopped_unkept: survival.ended.1,
                degraded_s: survival.degraded.as_secs_f64(),
            }
        };
    Some(facts.controllers.iter().zip(&found.controllers).map(summary).collect())
}
