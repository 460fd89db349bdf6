//! How long a grid is without authority: the distribution of simulated take-overs of `failover_fast.ron`, from the crash of the
//! active's host to the first write that a device accepts from the next.
//!
//! Each run has 24 take-overs; every run draws another network, and its crashes fall anywhere into a heartbeat. Nothing here is a
//! time of this machine: the same command prints the same table everywhere.

use std::path::Path;

use r_ems::engine::Span;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::rng::Stream;
use r_ems::scenarios::Overrides;
use r_ems::study::load::load;
use r_ems::{Options, run};

/// Take-overs of the first row, and of the others, which take longer to simulate.
const TAKE_OVERS: [usize; 3] = [10_000, 2_000, 1_000];
/// Crashes are shifted by less than this: two scans.
const SHIFT_MAX: Span = Span::from_millis(20);

#[expect(clippy::print_stdout, reason = "this is what the bench is for")]
fn main() {
    println!("| D of the device | take-overs | p50 | p99 | p99.9 | most | two authorities |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (longest_write, wanted) in [None, Some("200 ms"), Some("1 s")].into_iter().zip(TAKE_OVERS) {
        let (mut gaps, mut violations, mut seed) = (Vec::new(), 0, 0);
        while gaps.len() < wanted {
            seed += 1;
            violations += collect(seed, longest_write, &mut gaps);
        }
        gaps.sort_unstable();
        let at = |numerator: usize| gaps[(gaps.len() - 1) * numerator / 1_000].as_secs_f64() * 1e3;
        let (count, name) = (gaps.len(), longest_write.unwrap_or("0, it checks epochs"));
        let (p50, p99, p999, most) = (at(500), at(990), at(999), at(1_000));
        println!(
            "| {name} | {count} | {p50:.1} ms | {p99:.1} ms | {p999:.1} ms | {most:.1} ms | {violations} |"
        );
    }
}

/// Runs the scenario once and adds its gaps; returns how often the checker found two authorities.
fn collect(seed: u64, longest_write: Option<&str>, gaps: &mut Vec<Span>) -> u64 {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover_fast.ron");
    let mut overrides = Overrides { seed: Some(seed), ..Overrides::default() };
    if let Some(span) = longest_write {
        let link = "site.grids.commerce.devices.bess.link";
        overrides.settings =
            vec![format!("{link}.checks_epochs=false"), format!("{link}.longest_write={span}")];
    }
    let mut study = load::<BuiltIn>(&scenario, &overrides).expect("a shipped scenario is right").study;
    let mut chance = Stream::named(seed, "when hosts crash");
    for pair in study.world.timeline.chunks_mut(2) {
        let shift = Span::from_nanos(chance.below(SHIFT_MAX.as_nanos()));
        pair.iter_mut().for_each(|timed| timed.at += shift);
    }
    let finished = run(study, &Options::default()).expect("a shipped scenario runs");
    gaps.extend(finished.result.authority.take_overs.iter().map(|taken| taken.gap()));
    finished.result.authority.violation_count
}
