//! What drives the simulated world from outside: consumption, sunshine, noise.
//!
//! A source is a function of run time made of straight lines. It hands out one line at a time together with the instant up
//! to which it holds, so that whoever integrates it can do so exactly and never asks in between. Everything that is not
//! straight, a sine or the product of two ramps, is cut into chords at instants that do not depend on who asks when.
//!
//! A source must never look at anything but its parameters, its cursor and its own random stream; two clones that are
//! asked the same questions give the same answers. Calls are monotone in time. The unit of the values is the caller's:
//! watts for a load, a share for a factor.

mod combine;
mod profile;
mod random;
mod segment;
mod shapes;
mod turbine;

use core::fmt;

use r_ems_engine::Time;

pub use combine::{MAX_PARTS, PRODUCT_CHORD, Product, Sum};
pub use profile::{Course, Interpolation, MAX_ROWS, Profile};
pub use random::{DropOuts, Noise, RandomWalk};
pub use segment::Segment;
pub(crate) use segment::{Line, instant_after, seconds};
pub use shapes::{Blocks, Constant, Ramp, SINE_CHORDS, Sine};
pub use turbine::{PowerCurve, SPEED_CHORD, SPEED_MAX, Turbine};

/// Says which parameter of a source is not allowed, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SourceError {
    /// A span that something is repeated by is zero.
    ZeroSpan {
        /// The parameter's name.
        parameter: &'static str,
    },
    /// A number is NaN, infinite or outside its range.
    OutOfRange {
        /// The parameter's name.
        parameter: &'static str,
        /// The number as found.
        found: f64,
        /// What is allowed, as a sentence part.
        allowed: &'static str,
    },
    /// A table has no row, too many rows, or columns of unequal length.
    Shape {
        /// How many instants were found.
        times: u64,
        /// How many values were found.
        values: u64,
    },
    /// A row of a table is not later than the row before it.
    NotIncreasing {
        /// The offending row; the first row is 0.
        row: u64,
    },
    /// A combination has no part, or more than [`MAX_PARTS`].
    Parts {
        /// How many parts were found.
        found: u64,
    },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroSpan { parameter } => write!(f, "{parameter} must be longer than 0 s"),
            Self::OutOfRange { parameter, found, allowed } => {
                write!(f, "{parameter} must be {allowed}, got {found}")
            }
            Self::Shape { times, values } => {
                write!(f, "a profile needs 1 to {MAX_ROWS} rows, got {times} instants and {values} values")
            }
            Self::NotIncreasing { row } => {
                write!(f, "row {row} of the profile is not later than the one before")
            }
            Self::Parts { found } => write!(f, "a combination needs 1 to {MAX_PARTS} parts, got {found}"),
        }
    }
}

impl core::error::Error for SourceError {}

/// Any source. One line per kind.
#[derive(Clone, Debug)]
pub enum Source {
    /// Always the same value.
    Constant(Constant),
    /// A column of a table.
    Course(Course),
    /// A sine around a mean.
    Sine(Sine),
    /// From one value to another between two instants.
    Ramp(Ramp),
    /// On for a while, off for a while.
    Blocks(Blocks),
    /// A walk in random steps inside bounds.
    RandomWalk(RandomWalk),
    /// Independent normal values.
    Noise(Noise),
    /// Another source with random gaps.
    DropOuts(DropOuts),
    /// The sum of several sources.
    Sum(Sum),
    /// The product of several sources.
    Product(Product),
    /// What a turbine makes of the wind of another source.
    Turbine(Turbine),
}

impl Source {
    /// A source that always has `value`.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] if `value` is not finite.
    pub fn constant(value: f64) -> Result<Self, SourceError> {
        Constant::new(value).map(Self::Constant)
    }

    /// The line that holds at `now`; `now` never decreases from call to call, and the line ends after `now`.
    pub fn segment(&mut self, now: Time) -> Segment {
        let segment = match self {
            Self::Constant(source) => source.segment(),
            Self::Course(source) => source.segment(now),
            Self::Sine(source) => source.segment(now),
            Self::Ramp(source) => source.segment(now),
            Self::Blocks(source) => source.segment(now),
            Self::RandomWalk(source) => source.segment(now),
            Self::Noise(source) => source.segment(now),
            Self::DropOuts(source) => source.segment(now),
            Self::Sum(source) => source.segment(now),
            Self::Product(source) => source.segment(now),
            Self::Turbine(source) => source.segment(now),
        };
        assert!(
            segment.until > now || now == Time::MAX,
            "a segment must end after the instant it is asked at"
        );
        segment
    }
}

/// Refuses NaN, infinities and −0.0's trouble: the number as it may be used.
fn finite(parameter: &'static str, value: f64) -> Result<f64, SourceError> {
    if value.is_finite() {
        Ok(value + 0.0)
    } else {
        Err(SourceError::OutOfRange { parameter, found: value, allowed: "a finite number" })
    }
}

/// Refuses what is not finite or below zero.
fn not_negative(parameter: &'static str, value: f64) -> Result<f64, SourceError> {
    let value = finite(parameter, value)?;
    if value < 0.0 {
        return Err(SourceError::OutOfRange { parameter, found: value, allowed: "0 or more" });
    }
    Ok(value)
}

/// Refuses a span of zero.
fn lasting(parameter: &'static str, span: r_ems_engine::Span) -> Result<r_ems_engine::Span, SourceError> {
    if span.is_zero() { Err(SourceError::ZeroSpan { parameter }) } else { Ok(span) }
}
