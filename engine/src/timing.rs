//! Timing of a control loop: when the next scan is due, how late scans were, and how often a device may be written.
//!
//! Scheduling is absolute: the n-th scan is due at `anchor + n · period`, however late the one before it was, so that the
//! phase never drifts. A scan that comes late runs at once; whole periods that passed meanwhile are missed, counted and
//! never made up for, because a burst of late scans helps nobody.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::time::{LocalTime, Span};

/// The absolute schedule of a scan cycle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScanClock {
    #[serde(deserialize_with = "period")]
    period: Span,
    due: LocalTime,
}

/// What a scan clock says of a scan that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanTurn {
    /// How late it is.
    pub lateness: Span,
    /// How many scans before it were missed.
    pub missed: u32,
}

/// A while in which a controller stood still, and so asked nobody for anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stall {
    /// How late the scan is that ends it.
    pub lasted: Span,
    /// The period of its scans: so long after it each device has been asked again.
    pub period: Span,
}

impl ScanClock {
    /// Makes a schedule with its first scan one period after `now`.
    pub fn new(period: Span, now: LocalTime) -> Self {
        Self { period, due: now + period }
    }

    /// When the next scan is due.
    #[inline]
    pub const fn due(&self) -> LocalTime {
        self.due
    }

    /// The time between two scans.
    pub const fn period(&self) -> Span {
        self.period
    }

    /// The stall that the scan which is due ends, if scans before it were missed.
    #[inline]
    pub fn stall(&self, now: LocalTime) -> Option<Stall> {
        let lasted = now.since(self.due);
        (lasted >= self.period).then_some(Stall { lasted, period: self.period })
    }

    /// Begins the scan that is due, and plans the next; `None` if none is due yet.
    #[inline]
    pub fn begin(&mut self, now: LocalTime) -> Option<ScanTurn> {
        if now < self.due {
            return None;
        }
        let lateness = now.since(self.due);
        if lateness < self.period {
            self.due += self.period;
            return Some(ScanTurn { lateness, missed: 0 });
        }
        let missed = lateness.whole(self.period);
        self.due += self.period * (missed + 1);
        Some(ScanTurn { lateness, missed: u32::try_from(missed).unwrap_or(u32::MAX) })
    }
}

/// Decodes a period: with none, the next scan would never lie ahead.
fn period<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let period = Span::deserialize(deserializer)?;
    if period.is_zero() { Err(D::Error::custom("a scan without a period")) } else { Ok(period) }
}

/// How many classes the lateness histogram has: below 1 µs, then one for each doubling, the last open (from 16.8 s).
pub const LATENESS_CLASSES: usize = 26;

/// How late the scans of a controller were: the loop-timing report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoopTimingReporter {
    classes: [u64; LATENESS_CLASSES],
    worst: Span,
    scans: u64,
    missed: u64,
}

impl LoopTimingReporter {
    /// Counts one scan.
    #[inline]
    pub fn count(&mut self, turn: ScanTurn) {
        let micros = turn.lateness.as_nanos() / 1_000;
        let class = (u64::BITS - micros.leading_zeros()) as usize;
        self.classes[class.min(LATENESS_CLASSES - 1)] += 1;
        self.worst = self.worst.max(turn.lateness);
        self.scans += 1;
        self.missed += u64::from(turn.missed);
    }

    /// Scans by lateness: below 1 µs, then one class for each doubling.
    pub const fn classes(&self) -> &[u64; LATENESS_CLASSES] {
        &self.classes
    }

    /// The upper end of the class that holds the given share of all scans: `quantile(99, 100)` for the 99th percentile.
    pub fn quantile(&self, numerator: u64, denominator: u64) -> Span {
        let mut seen = 0;
        for (class, count) in self.classes.iter().enumerate() {
            seen += count;
            if seen * denominator >= self.scans * numerator {
                return Span::from_micros(1 << class).min(self.worst);
            }
        }
        self.worst
    }

    /// The worst lateness.
    pub const fn worst(&self) -> Span {
        self.worst
    }

    /// How many scans ran.
    pub const fn scans(&self) -> u64 {
        self.scans
    }

    /// How many scans were missed.
    pub const fn missed(&self) -> u64 {
        self.missed
    }
}

/// Bounds how often something is done: at most once in an interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RateLimiter {
    interval: Span,
    free_at: LocalTime,
}

impl RateLimiter {
    /// Permits at once, and then once in every `interval`.
    pub const fn new(interval: Span) -> Self {
        Self { interval, free_at: LocalTime::ZERO }
    }

    /// Permits at once: what was done was done on the clock of an earlier life.
    pub const fn forget(&mut self) {
        self.free_at = LocalTime::ZERO;
    }

    /// Whether it may be done now; a `true` is counted as done.
    #[inline]
    pub fn take(&mut self, now: LocalTime) -> bool {
        if now < self.free_at {
            return false;
        }
        self.free_at = now + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> LocalTime {
        LocalTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_phase_never_drifts_however_late_a_scan_is() {
        let mut clock = ScanClock::new(Span::from_millis(100), at(30));
        assert_eq!(clock.begin(at(129)), None);
        assert_eq!(clock.begin(at(130)), Some(ScanTurn { lateness: Span::ZERO, missed: 0 }));
        assert_eq!(clock.begin(at(329)), Some(ScanTurn { lateness: Span::from_millis(99), missed: 0 }));
        assert_eq!(clock.due(), at(330));
    }

    #[test]
    fn a_scan_late_by_a_whole_period_counts_as_missed_and_is_not_made_up_for() {
        let mut clock = ScanClock::new(Span::from_millis(100), at(0));
        assert_eq!(clock.stall(at(199)), None);
        assert_eq!(clock.begin(at(199)).map(|turn| turn.missed), Some(0));
        let mut clock = ScanClock::new(Span::from_millis(100), at(0));
        let period = Span::from_millis(100);
        assert_eq!(clock.stall(at(200)), Some(Stall { lasted: Span::from_millis(100), period }));
        assert_eq!(clock.begin(at(200)).map(|turn| turn.missed), Some(1));
        assert_eq!(clock.due(), at(300));
        assert_eq!(clock.stall(at(299)), None, "it is over");
        assert_eq!(clock.begin(at(299)), None);
    }

    #[test]
    fn lateness_is_counted_by_doubling_classes() {
        let mut timing = LoopTimingReporter::default();
        for (nanos, class) in [(0, 0), (999, 0), (1_000, 1), (2_000, 2), (3_999, 2), (4_000, 3)] {
            let before = timing.classes()[class];
            timing.count(ScanTurn { lateness: Span::from_nanos(nanos), missed: 0 });
            assert_eq!(timing.classes()[class], before + 1, "{nanos} ns");
        }
        assert_eq!(timing.worst(), Span::from_nanos(4_000));
        assert_eq!(timing.quantile(1, 3), Span::from_micros(1));
        assert_eq!(timing.quantile(1, 1), Span::from_nanos(4_000));
    }

    #[test]
    fn a_rate_limiter_permits_once_an_interval() {
        let mut limiter = RateLimiter::new(Span::from_millis(250));
        assert!(limiter.take(at(10)));
        assert!(!limiter.take(at(259)));
        assert!(limiter.take(at(260)));
    }

    #[test]
    fn a_scan_clock_without_a_period_is_not_decoded() {
        for (period, is_read) in [(Span::from_nanos(1), true), (Span::ZERO, false)] {
            let mut bytes = alloc::vec::Vec::new();
            crate::log::codec::encode(&ScanClock::new(period, LocalTime::ZERO), &mut bytes);
            assert_eq!(crate::log::codec::decode::<ScanClock>(&bytes).is_ok(), is_read, "{period}");
        }
    }
}
