//! How long something took, many times: counts in buckets of ten microseconds.
//!
//! Buckets add up in any order to the same, whatever thread counted what. A quantile is the upper end of its bucket, so that it
//! is never better than the truth; the longest is kept exactly.

use std::collections::BTreeMap;

use r_ems_engine::Span;
use serde::Serialize;

use super::case::part;

/// The width of a bucket.
const BUCKET: Span = Span::from_micros(10);

/// Counts by how long something took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    buckets: BTreeMap<u64, u64>,
    count: u64,
    longest: Span,
}

/// What is told of a distribution, in ms; nothing of one that is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many there are.
    pub count: u64,
    /// The median.
    pub p50: Option<f64>,
    /// 99 of a hundred are no longer.
    pub p99: Option<f64>,
    /// 999 of a thousand are no longer.
    pub p999: Option<f64>,
    /// The longest.
    pub max: Option<f64>,
}

impl Distribution {
    /// Counts one.
    pub fn add(&mut self, span: Span) {
        *self.buckets.entry(span.whole(BUCKET)).or_default() += 1;
        self.count += 1;
        self.longest = self.longest.max(span);
    }

    /// How many there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// What `numerator` of `denominator` do not exceed.
    pub fn quantile(&self, numerator: u64, denominator: u64) -> Option<Span> {
        let rank = (self.count * numerator).div_ceil(denominator).max(1);
        let mut below = 0;
        for (bucket, count) in &self.buckets {
            below += count;
            if below >= rank {
                return Some((BUCKET * (bucket + 1)).min(self.longest));
            }
        }
        None
    }

    /// The quantiles that are reported.
    pub fn quantiles(&self) -> Quantiles {
        let at = |numerator| self.quantile(numerator, 1_000).map(millis);
        let max = (self.count > 0).then(|| millis(self.longest));
        Quantiles { count: self.count, p50: at(500), p99: at(990), p999: at(999), max }
    }

    /// Counts in `rows` ranges of equal width from the shortest to the longest: where each begins, and how many it has.
    pub fn ranges(&self, rows: u64) -> Vec<(Span, u64)> {
        let Some(first) = self.buckets.keys().next() else { return Vec::new() };
        let begin = BUCKET * *first;
        let width = part(self.longest - begin, rows).max(BUCKET);
        let mut ranges: Vec<(Span, u64)> = (0..rows).map(|row| (begin + width * row, 0)).collect();
        for (bucket, count) in &self.buckets {
            let row = (BUCKET * *bucket - begin).whole(width).min(rows - 1);
            ranges[row as usize].1 += count;
        }
        ranges
    }
}

fn millis(span: Span) -> f64 {
    span.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_never_better_than_the_truth() {
        let mut found = Distribution::default();
        (1..=1_000).for_each(|micros| found.add(Span::from_micros(micros * 10 - 1)));
        assert_eq!(found.quantile(1, 2), Some(Span::from_micros(5_000)));
        assert_eq!(found.quantile(999, 1_000), Some(Span::from_micros(9_990)));
        assert_eq!(found.quantile(1, 1), Some(Span::from_micros(9_999)));
        assert_eq!(Distribution::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn ranges_hold_everything_once() {
        let mut found = Distribution::default();
        [3, 4, 4, 9, 40].iter().for_each(|millis| found.add(Span::from_millis(*millis)));
        let ranges = found.ranges(4);
        assert_eq!(ranges.iter().map(|range| range.1).sum::<u64>(), 5);
        assert_eq!((ranges[0].1, ranges[3].1), (4, 1));
    }
}
