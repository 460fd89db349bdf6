//! Prints what an event costs with each peer, as one table in Markdown.
//!
//! The peers take turns within each repetition, so that whatever else the machine does meets all of them; the
//! table shows medians, and whether the ratios reach their target.

#![expect(clippy::disallowed_types, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::time::Instant;

use r_ems_bench_peers::peers::{Engine, PEERS, Peer};
use r_ems_bench_peers::workloads::{WORKLOADS, Workload};

/// Repetitions, an odd number so that the median is one of them.
const REPETITIONS: usize = 9;

/// Events of a repetition: some tens of milliseconds.
const EVENTS: u64 = 1_000_000;

/// Events of a repetition for NeXosim, whose events take much longer.
const EVENTS_NEXOSIM: u64 = 200_000;

/// Events before the first repetition, per pending one: the queues have reached their steady state.
const WARM_UP_ROUNDS: u64 = 3;

fn main() {
    let names = PEERS.map(Peer::name).join(" | ");
    println!("| workload | {names} | desque / r-ems | nexosim / r-ems | at least | |");
    println!("|---|{}---:|---:|---:|---|", "---:|".repeat(PEERS.len()));
    for workload in WORKLOADS {
        print_row(workload);
    }
    println!(
        "\nns per event and ratio: medians of {REPETITIONS} interleaved repetitions of {EVENTS} events each; the smaller \
         ratio counts"
    );
}

fn print_row(workload: Workload) {
    let mut engines = PEERS.map(|peer| (peer, peer.start(workload)));
    for (_, engine) in &mut engines {
        engine.advance(WARM_UP_ROUNDS * u64::from(workload.pending()));
    }
    let mut costs: [Vec<f64>; PEERS.len()] = Default::default();
    for _ in 0..REPETITIONS {
        for ((peer, engine), costs) in engines.iter_mut().zip(&mut costs) {
            costs.push(nanos_per_event(*peer, engine.as_mut()));
        }
    }
    assert_same_order(&engines);
    let [ours, _, desque, nexosim] = &costs;
    let ratio = |peer: &[f64]| median(peer.iter().zip(ours).map(|(peer, ours)| peer / ours).collect());
    let (desque, nexosim) = (ratio(desque), ratio(nexosim));
    let (target, verdict) = match workload.target() {
        None => (String::from("-"), ""),
        Some(target) if desque >= target && nexosim >= target => (format!("{target:.1}"), "pass"),
        Some(target) => (format!("{target:.1}"), "FAIL"),
    };
    let cells = costs.map(|costs| format!("{:.1}", median(costs))).join(" | ");
    println!("| {} | {cells} | {desque:.2} | {nexosim:.2} | {target} | {verdict} |", workload.name());
}

fn nanos_per_event(peer: Peer, engine: &mut dyn Engine) -> f64 {
    let events = if peer == Peer::Nexosim { EVENTS_NEXOSIM } else { EVENTS };
    let begin = Instant::now();
    engine.advance(events);
    begin.elapsed().as_nanos() as f64 / events as f64
}

/// A queue that is fast because it changes the order would not be worth measuring.
fn assert_same_order(engines: &[(Peer, Box<dyn Engine>)]) {
    let mut digests = engines.iter().filter_map(|(_, engine)| engine.digest());
    let first = digests.next().expect("ours has a digest");
    assert!(digests.all(|digest| digest == first), "the peers handled the events in different orders");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
