//! How late deliveries passed: counts in fixed classes, so that nothing is allocated and nothing is forgotten.
//!
//! One thread counts, any other may look meanwhile; nobody waits for anybody.

use std::sync::atomic::{AtomicU64, Ordering};

use r_ems_engine::Span;

/// Upper bounds of the classes; what is later is counted in one more.
pub const BOUNDS: [Span; 14] = [
    Span::from_micros(10),
    Span::from_micros(20),
    Span::from_micros(50),
    Span::from_micros(100),
    Span::from_micros(200),
    Span::from_micros(500),
    Span::from_millis(1),
    Span::from_millis(2),
    Span::from_millis(5),
    Span::from_millis(10),
    Span::from_millis(20),
    Span::from_millis(50),
    Span::from_millis(100),
    Span::from_secs(1),
];

/// Counts how late deliveries pass, by one thread.
#[derive(Debug, Default)]
pub struct Counters {
    counts: [AtomicU64; BOUNDS.len() + 1],
    total_ns: AtomicU64,
    worst_ns: AtomicU64,
}

impl Counters {
    /// Counts a delivery.
    pub fn count(&self, late: Span) {
        let class = BOUNDS.partition_point(|bound| *bound < late);
        self.counts[class].fetch_add(1, Ordering::Relaxed);
        // Nobody else writes it.
        let total_ns = self.total_ns.load(Ordering::Relaxed).saturating_add(late.as_nanos());
        self.total_ns.store(total_ns, Ordering::Relaxed);
        self.worst_ns.fetch_max(late.as_nanos(), Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn so_far(&self) -> Lateness {
        let span = |nanos: &AtomicU64| Span::from_nanos(nanos.load(Ordering::Relaxed));
        Lateness {
            counts: std::array::from_fn(|class| self.counts[class].load(Ordering::Relaxed)),
            total: span(&self.total_ns),
            worst: span(&self.worst_ns),
        }
    }
}

/// How late deliveries passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lateness {
    counts: [u64; BOUNDS.len() + 1],
    total: Span,
    worst: Span,
}

impl Lateness {
    /// Deliveries by class: up to each of [`BOUNDS`], and beyond the last.
    pub const fn counts(&self) -> &[u64; BOUNDS.len() + 1] {
        &self.counts
    }

    /// All lateness added up.
    pub const fn total(&self) -> Span {
        self.total
    }

    /// The latest delivery.
    pub const fn worst(&self) -> Span {
        self.worst
    }

    /// How many deliveries were counted.
    pub fn deliveries(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The upper bound of the class that holds the given share of all deliveries: `quantile(99, 100)` for the 99th percentile.
    pub fn quantile(&self, numerator: u64, denominator: u64) -> Span {
        let all = self.deliveries();
        let mut seen = 0;
        for (count, bound) in self.counts.iter().zip(BOUNDS) {
            seen += count;
            if seen.saturating_mul(denominator) >= all.saturating_mul(numerator) {
                return bound.min(self.worst);
            }
        }
        self.worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_class_and_a_nanosecond_more_to_the_next() {
        let counters = Counters::default();
        for late in [Span::ZERO, BOUNDS[0], BOUNDS[0] + Span::from_nanos(1), BOUNDS[13] + Span::from_nanos(1)]
        {
            counters.count(late);
        }
        let lateness = counters.so_far();
        assert_eq!((lateness.counts()[0], lateness.counts()[1], lateness.counts()[14]), (2, 1, 1));
        assert_eq!(lateness.deliveries(), 4);
        assert_eq!(lateness.worst(), BOUNDS[13] + Span::from_nanos(1));
        assert_eq!(lateness.quantile(1, 2), BOUNDS[0]);
        assert_eq!(lateness.quantile(1, 1), lateness.worst());
        counters.count(Span::MAX);
        assert_eq!(counters.so_far().total(), Span::MAX, "it does not wrap");
    }
}
