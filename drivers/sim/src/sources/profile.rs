//! A column of a table over time, such as a measured year.
//!
//! The table is shared: a site with twenty loads on one file holds it once. Each user has its own cursor, which only moves
//! forward, so that no call searches. Before the first row and after the last one the end value holds.

use alloc::sync::Arc;
use alloc::vec::Vec;

use r_ems_engine::{Span, Time};

use super::{Segment, SourceError, finite};

/// Most rows that a table may have: seven years of seconds would not fit, seventy years of quarters of an hour do.
pub const MAX_ROWS: usize = 1 << 24;

/// What holds between two rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interpolation {
    /// The straight line between them.
    Linear,
    /// The earlier one.
    Step,
}

/// One column of a table, checked: instants since the table's own epoch and a value for each.
#[derive(Debug)]
pub struct Profile {
    times: Arc<[Span]>,
    values: Vec<f64>,
}

impl Profile {
    /// Takes a column; `times` may be shared with other columns of the same file.
    ///
    /// # Errors
    /// [`SourceError::Shape`], [`SourceError::NotIncreasing`], or [`SourceError::OutOfRange`] for a value that is not finite.
    pub fn new(times: Arc<[Span]>, values: Vec<f64>) -> Result<Self, SourceError> {
        if times.is_empty() || times.len() > MAX_ROWS || times.len() != values.len() {
            return Err(SourceError::Shape { times: times.len() as u64, values: values.len() as u64 });
        }
        if let Some(row) = times.windows(2).position(|pair| pair[1] <= pair[0]) {
            return Err(SourceError::NotIncreasing { row: row as u64 + 1 });
        }
        for value in &values {
            finite("value", *value)?;
        }
        Ok(Self { times, values })
    }

    /// The largest value of the column.
    pub fn largest(&self) -> f64 {
        self.values.iter().fold(self.values[0], |most, value| if *value > most { *value } else { most })
    }
}

/// A profile as it passes during a run.
#[derive(Clone, Debug)]
pub struct Course {
    profile: Arc<Profile>,
    interpolation: Interpolation,
    /// Where the run's start lies in the profile's time.
    start_ns: i64,
    scale: f64,
    /// The last row that is not later than the last call, or none yet.
    row: Option<u32>,
}

impl Course {
    /// Lays `profile` over the run.
    ///
    /// # Units     start_ns: ns from the profile's epoch to the run's start, negative if the run starts first; scale: multiplies
    ///   every value, such as a rating in W for a column in per unit
    /// # Errors    [`SourceError::OutOfRange`] if `scale` is not finite, or so large that a value would not be
    pub fn new(
        profile: Arc<Profile>,
        interpolation: Interpolation,
        start_ns: i64,
        scale: f64,
    ) -> Result<Self, SourceError> {
        finite("scale", scale)?;
        for value in &profile.values {
            // Half of the range is left for differences between rows.
            finite("scaled value", value * scale * 2.0)?;
        }
        let mut course = Self { profile, interpolation, start_ns, scale, row: None };
        let begun = course.profile.times.partition_point(|time| course.since_row(*time, Time::ZERO) >= 0);
        course.row = begun.checked_sub(1).map(|row| row as u32);
        Ok(course)
    }

    /// Nanoseconds from the row at `time` to `now`; negative if the row is later.
    fn since_row(&self, time: Span, now: Time) -> i128 {
        i128::from(self.start_ns) + i128::from(now.as_nanos()) - i128::from(time.as_nanos())
    }

    /// The instant of the row at `time`; the run's start if it was earlier.
    fn instant(&self, time: Span) -> Time {
        let nanos = i128::from(time.as_nanos()) - i128::from(self.start_ns);
        Time::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        let profile = Arc::clone(&self.profile);
        let times = &profile.times;
        let mut next = self.row.map_or(0, |row| row as usize + 1);
        while next < times.len() && self.since_row(times[next], now) >= 0 {
            self.row = Some(next as u32);
            next += 1;
        }
        let Some(row) = self.row.map(|row| row as usize) else {
            return Segment::flat(profile.values[0] * self.scale, self.instant(times[0]));
        };
        let value = profile.values[row] * self.scale;
        if next == times.len() {
            return Segment::flat(value, Time::MAX);
        }
        let until = self.instant(times[next]);
        match self.interpolation {
            Interpolation::Step => Segment::flat(value, until),
            Interpolation::Linear => {
                let rise = profile.values[next] * self.scale - value;
                let slope_per_s = rise / (times[next] - times[row]).as_secs_f64();
                let passed_s = self.since_row(times[row], now) as f64 * 1e-9;
                Segment { value: value + slope_per_s * passed_s, slope_per_s, until }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn table() -> Arc<Profile> {
        let times: Arc<[Span]> = [0, 900, 1_800].map(Span::from_secs).into();
        Arc::new(Profile::new(times, vec![1.0, 2.0, 0.0]).expect("a valid table"))
    }

    fn seconds(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_linear_profile_follows_its_rows_and_holds_its_ends() {
        let mut course =
            Course::new(table(), Interpolation::Linear, -100_000_000_000, 10.0).expect("a valid course");
        assert_eq!(course.segment(seconds(0)), Segment::flat(10.0, seconds(100)));
        let rising = course.segment(seconds(100));
        assert_eq!((rising.value, rising.until), (10.0, seconds(1_000)));
        assert_eq!(course.segment(seconds(550)).value, 15.0);
        assert_eq!(course.segment(seconds(1_000)).value, 20.0);
        assert_eq!(course.segment(seconds(1_900)), Segment::flat(0.0, Time::MAX));
        assert_eq!(course.segment(seconds(9_000)), Segment::flat(0.0, Time::MAX));
    }

    #[test]
    fn a_run_may_start_in_the_middle_of_a_profile() {
        let start_ns = 1_350_000_000_000;
        let mut course = Course::new(table(), Interpolation::Linear, start_ns, 1.0).expect("a valid course");
        let falling = course.segment(Time::ZERO);
        assert_eq!((falling.value, falling.until), (1.0, seconds(450)));
        let mut steps = Course::new(table(), Interpolation::Step, start_ns, 1.0).expect("a valid course");
        assert_eq!(steps.segment(Time::ZERO), Segment::flat(2.0, seconds(450)));
    }

    #[test]
    fn a_table_that_makes_no_function_of_time_is_refused() {
        let times =
            |list: &[u64]| -> Arc<[Span]> { list.iter().map(|time| Span::from_secs(*time)).collect() };
        assert!(matches!(Profile::new(times(&[]), vec![]), Err(SourceError::Shape { times: 0, values: 0 })));
        assert!(matches!(Profile::new(times(&[0, 1]), vec![1.0]), Err(SourceError::Shape { .. })));
        let doubled = Profile::new(times(&[0, 5, 5]), vec![1.0; 3]);
        assert!(matches!(doubled, Err(SourceError::NotIncreasing { row: 2 })));
        assert!(matches!(Profile::new(times(&[0]), vec![f64::NAN]), Err(SourceError::OutOfRange { .. })));
    }
}
