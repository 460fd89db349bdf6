//! How long a grid is without authority: the distribution of simulated take-overs of `failover_fast.ron`, from the crash of the
//! active's host to the first write that a device accepts from the next, and with longer writes too.
//!
//! It is what `r-emsctl explore scenarios/failover_fast.ron --report failover` prints, with as many runs as ten thousand
//! take-overs need. Nothing here is a time of this machine: the same command prints the same table everywhere.

use std::path::Path;

use r_ems::engine::functions::BuiltIn;
use r_ems::explore::{Options, failover};
use r_ems::present;
use r_ems::study::progress::Interrupt;

/// Runs of each row.
const RUNS: u64 = 1_000;
/// Ranges of each distribution.
const RANGES: u64 = 16;

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn main() {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover_fast.ron");
    let options = Options { seed: 1, runs: RUNS, time: None, jobs: 2, interrupt: Interrupt::default() };
    let rows = failover::rows::<BuiltIn>(&scenario, &[], None, &options, &|_reached| {});
    let rows = rows.expect("a shipped scenario is right");
    println!("{}", present::failover::page(&scenario, options.seed, &rows, RANGES));
}
