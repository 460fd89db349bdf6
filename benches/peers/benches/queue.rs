//! The same comparison under criterion: one group a workload, one function a peer.

#![expect(clippy::disallowed_types, reason = "a benchmark measures real time")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use r_ems_bench_peers::peers::PEERS;
use r_ems_bench_peers::workloads::WORKLOADS;

fn queue(criterion: &mut Criterion) {
    for workload in WORKLOADS {
        let mut group = criterion.benchmark_group(format!("queue/{}", workload.name()));
        group.throughput(Throughput::Elements(1));
        group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2)).sample_size(20);
        for peer in PEERS {
            let mut engine = peer.start(workload);
            group.bench_function(BenchmarkId::from_parameter(peer.name()), |bencher| {
                bencher.iter_custom(|events| {
                    let begin = Instant::now();
                    engine.advance(events);
                    begin.elapsed()
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, queue);
criterion_main!(benches);
