//! Sources with a formula: constant, sine, ramp, blocks.

use r_ems_engine::math;
use r_ems_engine::{Span, Time};

use super::segment::seconds;
use super::{Segment, SourceError, finite, lasting};

/// Chords per period of a sine. The largest deviation is 0.5 % of the amplitude (1 − cos(π / 32)).
pub const SINE_CHORDS: u64 = 32;

/// Always the same value.
#[derive(Clone, Debug)]
pub struct Constant {
    value: f64,
}

impl Constant {
    /// Takes the value.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] if it is not finite.
    pub fn new(value: f64) -> Result<Self, SourceError> {
        Ok(Self { value: finite("value", value)? })
    }

    pub(super) fn segment(&self) -> Segment {
        Segment::flat(self.value, Time::MAX)
    }
}

/// A sine around a mean, as chords.
#[derive(Clone, Debug)]
pub struct Sine {
    mean: f64,
    amplitude: f64,
    period: Span,
    phase: f64,
}

impl Sine {
    /// `mean + amplitude * sin(2 π (t / period + phase))`.
    ///
    /// # Units     phase: periods, 0.25 starts at the maximum
    /// # Errors    [`SourceError::OutOfRange`] for what is not finite, [`SourceError::ZeroSpan`] for a period shorter than 32 ns
    pub fn new(mean: f64, amplitude: f64, period: Span, phase: f64) -> Result<Self, SourceError> {
        if period.as_nanos() < SINE_CHORDS {
            return Err(SourceError::ZeroSpan { parameter: "period" });
        }
        let sine = Self {
            mean: finite("mean", mean)?,
            amplitude: finite("amplitude", amplitude)?,
            period,
            phase: finite("phase", phase)?,
        };
        finite("mean + amplitude", (mean.abs() + amplitude.abs()) * 2.0)?;
        Ok(sine)
    }

    /// Where chord `number` since the run's start begins.
    fn node(&self, number: u64) -> Time {
        // Whole periods first, so that nothing overflows and the nodes of every period lie at the same places.
        let period_ns = self.period.as_nanos();
        let (periods, chord) = (number / SINE_CHORDS, number % SINE_CHORDS);
        let within = (u128::from(period_ns) * u128::from(chord)).div_ceil(u128::from(SINE_CHORDS)) as u64;
        Time::from_nanos(periods.saturating_mul(period_ns).saturating_add(within))
    }

    fn value(&self, number: u64) -> f64 {
        let turn = (number % SINE_CHORDS) as f64 / SINE_CHORDS as f64 + self.phase;
        self.mean + self.amplitude * math::sin(turn * core::f64::consts::TAU)
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        let period_ns = self.period.as_nanos();
        let (periods, within) = (now.as_nanos() / period_ns, now.as_nanos() % period_ns);
        let chord = (u128::from(within) * u128::from(SINE_CHORDS) / u128::from(period_ns)) as u64;
        let number = periods.saturating_mul(SINE_CHORDS).saturating_add(chord);
        let (from, until) = (self.node(number), self.node(number + 1));
        let (first, last) = (self.value(number), self.value(number + 1));
        let slope_per_s = (last - first) / until.since(from).as_secs_f64();
        Segment { value: first + slope_per_s * seconds(from, now), slope_per_s, until }
    }
}

/// One value up to an instant, another from a later one, and a straight line between.
#[derive(Clone, Debug)]
pub struct Ramp {
    from: f64,
    to: f64,
    begin: Time,
    end: Time,
}

impl Ramp {
    /// Takes both values and both instants; equal instants make a step.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] for what is not finite, [`SourceError::ZeroSpan`] if `end` is before `begin`.
    pub fn new(from: f64, to: f64, begin: Time, end: Time) -> Result<Self, SourceError> {
        if end < begin {
            return Err(SourceError::ZeroSpan { parameter: "time from begin to end" });
        }
        finite("change", (to - from) * 2.0)?;
        Ok(Self { from: finite("from", from)?, to: finite("to", to)?, begin, end })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        if now >= self.end {
            return Segment::flat(self.to, Time::MAX);
        }
        if now < self.begin {
            return Segment::flat(self.from, self.begin);
        }
        let slope_per_s = (self.to - self.from) / self.end.since(self.begin).as_secs_f64();
        let value = self.from + slope_per_s * seconds(self.begin, now);
        Segment { value, slope_per_s, until: self.end }
    }
}

/// On for a while, off for a while, for ever: a motor, a press, an oven.
#[derive(Clone, Debug)]
pub struct Blocks {
    value: f64,
    on: Span,
    off: Span,
    first: Time,
}

impl Blocks {
    /// `value` during `on`, 0 during `off`, starting with `on` at `first`; 0 before that.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] if `value` is not finite, [`SourceError::ZeroSpan`] if a span is zero.
    pub fn new(value: f64, on: Span, off: Span, first: Time) -> Result<Self, SourceError> {
        Ok(Self { value: finite("value", value)?, on: lasting("on", on)?, off: lasting("off", off)?, first })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        if now < self.first {
            return Segment::flat(0.0, self.first);
        }
        let period = self.on + self.off;
        let begun = self.first + period * now.since(self.first).whole(period);
        let switch = begun + self.on;
        if now < switch { Segment::flat(self.value, switch) } else { Segment::flat(0.0, switch + self.off) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(minutes: u64) -> Time {
        Time::ZERO + Span::from_mins(minutes)
    }

    #[test]
    fn a_motor_runs_four_minutes_in_fifteen() {
        let (on, off) = (Span::from_mins(4), Span::from_mins(11));
        let mut motor = Blocks::new(60e3, on, off, minutes(2)).expect("valid blocks");
        assert_eq!(motor.segment(minutes(0)), Segment::flat(0.0, minutes(2)));
        assert_eq!(motor.segment(minutes(2)), Segment::flat(60e3, minutes(6)));
        assert_eq!(motor.segment(minutes(6)), Segment::flat(0.0, minutes(17)));
        assert_eq!(motor.segment(minutes(16)), Segment::flat(0.0, minutes(17)));
        // A call that skips whole periods finds its place.
        assert_eq!(
            motor.segment(minutes(2 + 15 * 1_000 + 3)),
            Segment::flat(60e3, minutes(2 + 15 * 1_000 + 4))
        );
    }

    #[test]
    fn a_sine_goes_through_its_nodes_and_its_chords_meet() {
        let mut sine = Sine::new(10.0, 4.0, Span::from_mins(32), 0.0).expect("a valid sine");
        assert!((sine.segment(minutes(8)).value - 14.0).abs() < 1e-12);
        assert!((sine.segment(minutes(24)).value - 6.0).abs() < 1e-12);
        let mut now = minutes(24);
        for _ in 0..100 {
            let chord = sine.segment(now);
            let end = chord.value + chord.slope_per_s * chord.until.since(now).as_secs_f64();
            now = chord.until;
            assert!((sine.segment(now).value - end).abs() < 1e-9);
        }
    }

    #[test]
    fn a_ramp_is_flat_before_and_after() {
        let mut ramp = Ramp::new(0.0, 100.0, minutes(1), minutes(2)).expect("a valid ramp");
        assert_eq!(ramp.segment(minutes(0)), Segment::flat(0.0, minutes(1)));
        assert_eq!(ramp.segment(minutes(1) + Span::from_secs(30)).value, 50.0);
        assert_eq!(ramp.segment(minutes(2)), Segment::flat(100.0, Time::MAX));
        let mut step = Ramp::new(0.0, 1.0, minutes(1), minutes(1)).expect("a step");
        assert_eq!(step.segment(minutes(1)), Segment::flat(1.0, Time::MAX));
    }

    #[test]
    fn what_would_never_end_or_is_not_finite_is_refused() {
        assert!(Sine::new(0.0, 1.0, Span::ZERO, 0.0).is_err());
        assert!(Sine::new(f64::NAN, 1.0, Span::from_secs(1), 0.0).is_err());
        assert!(Blocks::new(1.0, Span::ZERO, Span::from_secs(1), Time::ZERO).is_err());
        assert!(Blocks::new(1.0, Span::from_secs(1), Span::ZERO, Time::ZERO).is_err());
        assert!(Ramp::new(0.0, 1.0, minutes(2), minutes(1)).is_err());
        assert!(Constant::new(f64::INFINITY).is_err());
    }
}
