//! Straight lines over time, and where they meet a bound.
//!
//! All crossings are found in closed form and rounded up to the next nanosecond, at least one: whoever steps from crossing
//! to crossing always gets on.

use r_ems_engine::time::NANOS_PER_SECOND;
use r_ems_engine::{Span, Time};

/// A line from the instant it was asked for up to `until`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// The value at the instant of the call.
    pub value: f64,
    /// The change per second.
    pub slope_per_s: f64,
    /// The first instant at which another line may hold.
    pub until: Time,
}

impl Segment {
    /// A constant up to `until`.
    pub const fn flat(value: f64, until: Time) -> Self {
        Self { value, slope_per_s: 0.0, until }
    }

    /// The part of the line, which begins at `now`, that first lies inside or outside `[low, high]`, moved into it.
    pub fn clipped(self, now: Time, low: f64, high: f64) -> Self {
        let crossing =
            |bound: f64| instant_after(now, (bound - self.value) / self.slope_per_s).min(self.until);
        let rising = self.slope_per_s > 0.0;
        let falling = self.slope_per_s < 0.0;
        if self.value < low || (self.value <= low && !rising) {
            return Self::flat(low, if rising { crossing(low) } else { self.until });
        }
        if self.value > high || (self.value >= high && !falling) {
            return Self::flat(high, if falling { crossing(high) } else { self.until });
        }
        if rising {
            return Self { until: crossing(high), ..self };
        }
        if falling {
            return Self { until: crossing(low), ..self };
        }
        self
    }

    /// The lower of two lines, both beginning at `now`, up to where they cross.
    pub fn lower(self, other: Self, now: Time) -> Self {
        let until = self.until.min(other.until);
        let gap = other.value - self.value;
        let closing_per_s = self.slope_per_s - other.slope_per_s;
        let self_is_lower = gap > 0.0 || (gap >= 0.0 && closing_per_s <= 0.0);
        let lower = if self_is_lower { self } else { other };
        let meet = (gap > 0.0 && closing_per_s > 0.0) || (gap < 0.0 && closing_per_s < 0.0);
        let until = if meet { instant_after(now, gap / closing_per_s).min(until) } else { until };
        Self { until, ..lower }
    }
}

/// A segment that remembers where it began, so that its value at an instant does not depend on who asked before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    from: Time,
    segment: Segment,
}

impl Line {
    /// Remembers that `segment` begins at `from`.
    pub(crate) const fn new(from: Time, segment: Segment) -> Self {
        Self { from, segment }
    }

    /// A line that has already ended, to be replaced before it is read.
    pub(crate) const fn ended() -> Self {
        Self::new(Time::ZERO, Segment::flat(0.0, Time::ZERO))
    }

    /// The value at `at`, not before the line begins.
    #[inline]
    pub(crate) fn at(&self, at: Time) -> f64 {
        self.segment.value + self.segment.slope_per_s * seconds(self.from, at)
    }

    /// Where the line ends.
    #[inline]
    pub(crate) const fn until(&self) -> Time {
        self.segment.until
    }

    /// The rest of the line, from `now`.
    pub(crate) fn rest(&self, now: Time) -> Segment {
        Segment { value: self.at(now), ..self.segment }
    }
}

/// Seconds from `from` to `to`, zero if `to` is earlier.
#[inline]
pub(crate) fn seconds(from: Time, to: Time) -> f64 {
    to.since(from).as_secs_f64()
}

/// The first whole nanosecond that is later than `now` and not earlier than `seconds` after it.
#[inline]
pub(crate) fn instant_after(now: Time, seconds: f64) -> Time {
    // `as` saturates: what is negative or NaN becomes 0, and what is too long becomes the end of time.
    let nanos = (seconds * NANOS_PER_SECOND as f64) as u64;
    now + Span::from_nanos(nanos.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_line_that_rises_into_a_bound_is_cut_where_it_meets_it() {
        let line = Segment { value: 4.0, slope_per_s: 1.0, until: at(100) };
        let free = line.clipped(at(0), 0.0, 10.0);
        assert_eq!((free.value, free.slope_per_s), (4.0, 1.0));
        assert_eq!(free.until, at(6) + Span::from_nanos(1));
        let above = Segment { value: 11.0, ..line }.clipped(at(7), 0.0, 10.0);
        assert_eq!(above, Segment::flat(10.0, at(100)));
    }

    #[test]
    fn a_line_below_its_bound_is_flat_until_it_comes_back() {
        let line = Segment { value: -3.0, slope_per_s: 0.5, until: at(100) };
        let flat = line.clipped(at(0), 0.0, 10.0);
        assert_eq!((flat.value, flat.slope_per_s), (0.0, 0.0));
        assert_eq!(flat.until, at(6) + Span::from_nanos(1));
    }

    #[test]
    fn the_lower_of_two_lines_changes_hands_where_they_cross() {
        let rising = Segment { value: 0.0, slope_per_s: 2.0, until: at(50) };
        let flat = Segment::flat(10.0, at(60));
        let first = rising.lower(flat, at(0));
        assert_eq!(first.slope_per_s, 2.0);
        assert_eq!(first.until, at(5) + Span::from_nanos(1));
        let second = Segment { value: 10.5, ..rising }.lower(flat, first.until);
        assert_eq!((second.value, second.slope_per_s, second.until), (10.0, 0.0, at(50)));
    }

    #[test]
    fn a_crossing_is_never_at_the_instant_it_is_looked_for() {
        for distance in [0.0, -1.0, f64::NAN, 1e-30] {
            assert_eq!(instant_after(at(3), distance), at(3) + Span::from_nanos(1));
        }
        assert_eq!(instant_after(at(3), f64::INFINITY), Time::MAX);
    }
}
