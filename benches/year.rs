//! What simulated time costs: the year's scenario without a log, recorded, and replayed, and the memory that it takes.
//!
//! What counts are the ratios of one run: recording should cost no more than the run itself, a replay should be as fast as the
//! run that it replays, and neither should need more memory for a longer run. The three take turns, so that whatever else the
//! machine does meets all of them; the table shows medians. A figure that misses its target is told and fails nothing.

#![expect(clippy::disallowed_types, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use r_ems::engine::Span;
use r_ems::engine::controller::Controller;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::EffectsKept;
use r_ems::replay::replay;
use r_ems::scenarios::Overrides;
use r_ems::{Finished, Options, run_file};

/// How much of the year is run.
const DAYS: u64 = 10;
/// How much longer the run is that must not need more memory.
const LONGER: u64 = 6;
/// Repetitions, an odd number so that the median is one of them.
const REPETITIONS: usize = 7;

/// A figure and the most that it should be.
struct Line {
    what: String,
    measured: f64,
    at_most: f64,
}

fn main() {
    let short = Measured::of(DAYS);
    let (short_peak, rounds) = (peak_kilobytes(), (0..REPETITIONS).map(|_| Measured::of(DAYS)));
    let rounds: Vec<Measured> = rounds.collect();
    // The peak only ever rises: the long run comes last.
    Measured::of(LONGER * DAYS);
    let long_peak = peak_kilobytes();
    let ratio =
        |of: fn(&Measured) -> f64| median(rounds.iter().map(|round| of(round) / round.run_s).collect());
    let scans = short.scans as f64;
    let mut lines = vec![
        Line { what: "run and record / run".into(), measured: ratio(|round| round.record_s), at_most: 2.0 },
        Line { what: "replay / run".into(), measured: ratio(|round| round.replay_s), at_most: 1.0 },
        Line { what: "bytes of log a scan".into(), measured: short.bytes as f64 / scans, at_most: 100.0 },
    ];
    if let (Some(short), Some(long)) = (short_peak, long_peak) {
        let what = format!("peak memory, {} days / {DAYS} days ({long} / {short} kB)", LONGER * DAYS);
        lines.push(Line { what, measured: long as f64 / short as f64, at_most: 1.1 });
    }
    let seconds = median(rounds.iter().map(|round| round.run_s).collect());
    println!(
        "{DAYS} days are {scans} scans; a run takes {seconds:.3} s, {:.0} ns a scan\n",
        seconds * 1e9 / scans
    );
    println!("| figure | measured | at most | |\n|---|---:|---:|---|");
    for Line { what, measured, at_most } in lines {
        let verdict = if measured <= at_most { "pass" } else { "FAIL" };
        println!("| {what} | {measured:.2} | {at_most:.2} | {verdict} |");
    }
}

/// One run, one recording, one replay.
struct Measured {
    run_s: f64,
    record_s: f64,
    replay_s: f64,
    scans: u64,
    bytes: u64,
}

impl Measured {
    fn of(days: u64) -> Self {
        let log: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench_year.rlog");
        let recorded = Options { record: Some((log.clone(), EffectsKept::Digests)), ..Options::default() };
        let (run_s, plain) = timed(|| run(days, &Options::default()));
        let (record_s, finished) = timed(|| run(days, &recorded));
        let file = File::open(&log).expect("it was just written");
        let (replay_s, replayed) = timed(|| replay::<Controller<BuiltIn>, _>(file).expect("it replays"));
        assert_eq!((plain.digest, finished.digest), (replayed.digest, replayed.digest), "they are one run");
        let bytes = finished.recorded.expect("it was recorded").bytes;
        Self { run_s, record_s, replay_s, scans: plain.summary.scans, bytes }
    }
}

fn run(days: u64, options: &Options) -> Finished<BuiltIn> {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/year.ron");
    let overrides = Overrides { until: Some(Span::from_hours(24 * days)), ..Overrides::default() };
    run_file::<BuiltIn>(&scenario, &overrides, options).expect("a shipped scenario runs")
}

fn timed<T>(deed: impl FnOnce() -> T) -> (f64, T) {
    let begin = Instant::now();
    let result = deed();
    (begin.elapsed().as_secs_f64(), result)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The most memory that this process has held so far; nothing where the system does not say.
fn peak_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
