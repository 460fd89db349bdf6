//! What simulated time costs: ten days of the year's scenario without a log, with its inputs recorded, and replayed.
//!
//! One criterion element is one simulated second, which is one scan. What counts are the ratios of one run: recording should
//! cost no more than the run itself, and a replay should be as fast as the run that it replays.

use std::fs::File;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use r_ems::engine::Span;
use r_ems::engine::controller::Controller;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::EffectsKept;
use r_ems::replay::replay;
use r_ems::scenarios::Overrides;
use r_ems::{Options, run_file};

/// How much of the year one iteration runs.
const DAYS: u64 = 10;

fn year(criterion: &mut Criterion) {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/year.ron");
    let log: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench_year.rlog");
    let span = Span::from_hours(24 * DAYS);
    let overrides = Overrides { until: Some(span), ..Overrides::default() };
    let run = |options: &Options| {
        run_file::<BuiltIn>(&scenario, &overrides, options).expect("a shipped scenario runs").digest
    };
    let recorded = Options { record: Some((log.clone(), EffectsKept::Digests)), ..Options::default() };
    let mut group = criterion.benchmark_group("year");
    group.sample_size(10);
    group.throughput(Throughput::Elements(span.as_nanos() / 1_000_000_000));
    group.bench_function("run", |bencher| bencher.iter(|| run(&Options::default())));
    group.bench_function("run and record", |bencher| bencher.iter(|| run(&recorded)));
    run(&recorded);
    group.bench_function("replay", |bencher| {
        bencher.iter(|| {
            let file = File::open(&log).expect("it was just written");
            replay::<Controller<BuiltIn>, _>(file).expect("it replays").digest
        });
    });
    group.finish();
}

criterion_group!(benches, year);
criterion_main!(benches);
