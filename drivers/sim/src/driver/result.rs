//! What a run showed, once its books are closed.

use alloc::vec::Vec;

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::{Span, Time};

use super::{Grid, PersistenceResult, PostState, SimDriver};
use crate::account::Account;
use crate::authority::AuthorityResult;
use crate::expect::Verdict;
use crate::ledger::{Energies, Imbalance};
use crate::limits::Excess;
use crate::links::{Link, Traffic};
use crate::progress::ProgressResult;
use crate::reversion::Outlived;

/// What one grid's plant did in a run.
#[derive(Clone, Debug)]
pub struct GridResult {
    /// Energy by kind.
    pub energies: Energies,
    /// Whether the books balance.
    pub balance: Result<(), Imbalance>,
    /// Whether batteries and photovoltaic plants kept their limits.
    pub limits: Result<(), Excess>,
    /// Whether devices with a timer fell back when their set-points had ended.
    pub reversion: Result<(), Outlived>,
    /// Peaks, cycles and extremes.
    pub account: Account,
    /// How often all of its controllers wrote to the device that was written most.
    pub writes: u64,
    /// How often another controller, or the same once more, took over.
    pub take_overs: u64,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// How long it really lasted.
    pub simulated: Span,
    /// By grid.
    pub grids: Vec<GridResult>,
    /// By expectation.
    pub verdicts: Vec<Verdict>,
    /// By controller and device.
    pub traffic: Vec<Vec<Traffic>>,
    /// Who wrote, and whether that was right.
    pub authority: AuthorityResult,
    /// Whether authority came back where it could.
    pub progress: ProgressResult,
    /// Assertions of controllers that failed, the first ones: each is a bug.
    pub failures: Vec<Poisoned>,
    /// What outlived the controllers, and whether it was what was durable; none without persistence.
    pub persistence: Option<PersistenceResult>,
}

impl SimDriver {
    /// A grid's energies by kind, as of the last time that somebody looked.
    pub fn energies(&self, grid: usize) -> Energies {
        let Grid { bus, ledger, .. } = &self.grids[grid];
        ledger.energies(bus)
    }

    /// Closes the books, at the run's end or wherever it was stopped.
    pub fn finish(&mut self) -> RunResult {
        let at = self.now.min(self.end);
        for grid in 0..self.grids.len() {
            self.advance(grid, at);
        }
        let traffic = |post: &PostState| post.links.iter().map(Link::traffic).collect();
        let authority = self.authority.result(at);
        let grid = |(number, grid): (usize, &Grid)| {
            let is_here = |found: &u16| usize::from(*found) == number;
            let take_overs = authority.take_overs.iter().filter(|found| is_here(&found.grid)).count() as u64;
            grid.result(self.most_written(number), take_overs)
        };
        RunResult {
            simulated: at.since(Time::ZERO),
            grids: self.grids.iter().enumerate().map(grid).collect(),
            verdicts: self.monitor.finish(at),
            traffic: self.posts.iter().map(traffic).collect(),
            authority,
            progress: self.progress.result(at),
            failures: self.failures.clone(),
            persistence: self.persistence.as_deref().map(|kept| kept.result(at)),
        }
    }

    /// How often all controllers of a grid wrote to the device that was written most; each of them lists the same devices.
    fn most_written(&self, grid: usize) -> u64 {
        let mut writes: Vec<u64> = Vec::new();
        for post in self.posts.iter().filter(|post| usize::from(post.grid) == grid) {
            writes.resize(writes.len().max(post.links.len()), 0);
            for (sum, link) in writes.iter_mut().zip(&post.links) {
                *sum += link.traffic().writes;
            }
        }
        writes.into_iter().max().unwrap_or(0)
    }
}
