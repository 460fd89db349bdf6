//! What a site's driver counts of each controller and its disk: for metrics, to be looked at from any thread.
//!
//! One thread counts, nobody waits for anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::persistence::{FileName, Lane, Operation};
use r_ems_engine::{Span, Time};

use crate::lateness::{Counters, Lateness};

/// The counts of all controllers of this host.
#[derive(Clone, Debug)]
pub struct Gauges(Arc<[Gauge]>);

/// Those of one.
#[derive(Debug, Default)]
struct Gauge {
    /// By lane: how long its disk took for each thing.
    disk: [Counters; 2],
    log_bytes: AtomicU64,
    /// When the segment under way got its name, in ns; 0: none has one yet.
    kept_at: AtomicU64,
    failures: AtomicU64,
}

/// Something that a disk is asked to do, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    at: Time,
    log_bytes: u64,
    keeps: bool,
}

impl Asked {
    pub(super) fn new(at: Time, lane: Lane, operation: &Operation) -> Self {
        let log_bytes = match (lane, operation) {
            (Lane::Journal, Operation::Write { bytes, .. }) => bytes.len() as u64,
            (Lane::Journal | Lane::Promises, _) => 0,
        };
        let keeps = matches!(operation, Operation::Rename { to: FileName::Segment(_), .. });
        Self { at, log_bytes, keeps }
    }
}

impl Gauges {
    pub(super) fn new(controllers: usize) -> Self {
        Self((0..controllers).map(|_| Gauge::default()).collect())
    }

    /// Counts that a disk has done something at `now`, or has not.
    pub(super) fn answered(&self, now: Time, of: ControllerIndex, lane: Lane, asked: Asked, is_done: bool) {
        let gauge = &self.0[of.position()];
        gauge.disk[lane as usize].count(now.since(asked.at));
        if is_done {
            gauge.log_bytes.fetch_add(asked.log_bytes, Ordering::Relaxed);
            if asked.keeps {
                gauge.kept_at.store(now.as_nanos().max(1), Ordering::Relaxed);
            }
        }
    }

    /// Counts that a controller failed an assertion.
    pub(super) fn failed(&self, of: ControllerIndex) {
        self.0[of.position()].failures.fetch_add(1, Ordering::Relaxed);
    }

    /// How long the disk took for each thing that it was asked for.
    pub fn disk(&self, of: ControllerIndex, lane: Lane) -> Lateness {
        self.0[of.position()].disk[lane as usize].so_far()
    }

    /// Bytes of its log that were written since the start.
    pub fn log_bytes(&self, of: ControllerIndex) -> u64 {
        self.0[of.position()].log_bytes.load(Ordering::Relaxed)
    }

    /// How old the last state is that is on the disk as a whole; `None`: there is none of this run.
    pub fn state_age(&self, of: ControllerIndex, now: Time) -> Option<Span> {
        let kept_at = self.0[of.position()].kept_at.load(Ordering::Relaxed);
        (kept_at > 0).then(|| now.since(Time::from_nanos(kept_at)))
    }

    /// Assertions that it failed.
    pub fn failures(&self, of: ControllerIndex) -> u64 {
        self.0[of.position()].failures.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_counts_once_it_is_done_and_a_name_keeps_the_state() {
        let (gauges, of, at) = (Gauges::new(1), ControllerIndex(0), Time::ZERO + Span::from_secs(5));
        let write = Operation::Write { file: FileName::New(1), offset: 0, bytes: vec![0; 70] };
        let asked = Asked::new(at, Lane::Journal, &write);
        gauges.answered(at + Span::from_millis(3), of, Lane::Journal, asked, false);
        assert_eq!(gauges.log_bytes(of), 0, "it failed");
        gauges.answered(at + Span::from_millis(3), of, Lane::Journal, asked, true);
        assert_eq!((gauges.log_bytes(of), gauges.state_age(of, at)), (70, None));
        let rename = Operation::Rename { from: FileName::New(1), to: FileName::Segment(1) };
        gauges.answered(at, of, Lane::Journal, Asked::new(at, Lane::Journal, &rename), true);
        assert_eq!(gauges.state_age(of, at + Span::from_secs(2)), Some(Span::from_secs(2)));
        assert_eq!(gauges.disk(of, Lane::Journal).deliveries(), 3);
        let promise = Asked::new(at, Lane::Promises, &write);
        gauges.answered(at, of, Lane::Promises, promise, true);
        assert_eq!((gauges.log_bytes(of), gauges.disk(of, Lane::Promises).deliveries()), (70, 1));
    }
}
