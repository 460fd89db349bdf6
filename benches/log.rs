//! How fast a log is read and verified: every checksum, every chain and every record of three recorded days.
//!
//! Throughput is in bytes of log. Writing is measured by `year`, as the difference that recording makes to a run.

use std::fs::File;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use r_ems::engine::Span;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::EffectsKept;
use r_ems::replay::statistics;
use r_ems::scenarios::Overrides;
use r_ems::{Options, run_file};

fn log(criterion: &mut Criterion) {
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/year.ron");
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench_log.rlog");
    let overrides = Overrides { until: Some(Span::from_hours(72)), ..Overrides::default() };
    let options = Options { record: Some((log.clone(), EffectsKept::Digests)), ..Options::default() };
    run_file::<BuiltIn>(&scenario, &overrides, &options).expect("a shipped scenario runs");
    let bytes = std::fs::metadata(&log).expect("it was just written").len();
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("read and verify", |bencher| {
        bencher.iter(|| statistics(File::open(&log).expect("it was just written")).expect("it is whole"));
    });
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
