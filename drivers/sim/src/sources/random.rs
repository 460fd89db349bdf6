//! Sources that draw: noise, a random walk, drop-outs.
//!
//! Each has its own random stream and draws in the order of its own instants, however rarely it is asked: who asks, and
//! how often, changes nothing. What was skipped is drawn all the same.

use alloc::boxed::Box;

use r_ems_engine::rng::Stream;
use r_ems_engine::{Span, Time};

use super::{Segment, Source, SourceError, finite, lasting, not_negative};

/// A new normal value every so often, independent of the last.
///
/// Around 0 it is added to a source, around 1 it multiplies one.
#[derive(Clone, Debug)]
pub struct Noise {
    mean: f64,
    deviation: f64,
    every: Span,
    stream: Stream,
    value: f64,
    until: Time,
}

impl Noise {
    /// Draws from `stream` every `every`, first at the run's start.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] for what is not finite or a negative deviation, [`SourceError::ZeroSpan`].
    pub fn new(mean: f64, deviation: f64, every: Span, stream: Stream) -> Result<Self, SourceError> {
        let mean = finite("mean", mean)?;
        let deviation = not_negative("deviation", deviation)?;
        Ok(Self { mean, deviation, every: lasting("every", every)?, stream, value: mean, until: Time::ZERO })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        while self.until <= now && self.until < Time::MAX {
            self.value = self.stream.normal(self.mean, self.deviation);
            self.until += self.every;
        }
        Segment::flat(self.value, self.until)
    }
}

/// A value that moves by a normal step every so often and stays inside bounds.
#[derive(Clone, Debug)]
pub struct RandomWalk {
    low: f64,
    high: f64,
    deviation: f64,
    every: Span,
    stream: Stream,
    value: f64,
    until: Time,
}

impl RandomWalk {
    /// Starts at `start` and steps with `deviation` every `every`; a step beyond `[low, high]` ends at the bound.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] for what is not finite, a negative deviation, or a start outside the bounds;
    /// [`SourceError::ZeroSpan`].
    pub fn new(
        start: f64,
        deviation: f64,
        every: Span,
        (low, high): (f64, f64),
        stream: Stream,
    ) -> Result<Self, SourceError> {
        let (low, high) = (finite("low", low)?, finite("high", high)?);
        let start = finite("start", start)?;
        if start < low || start > high {
            return Err(SourceError::OutOfRange {
                parameter: "start",
                found: start,
                allowed: "between low and high",
            });
        }
        let deviation = not_negative("deviation", deviation)?;
        let every = lasting("every", every)?;
        Ok(Self { low, high, deviation, every, stream, value: start, until: Time::ZERO + every })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        while self.until <= now && self.until < Time::MAX {
            let wish = self.stream.normal(self.value, self.deviation);
            self.value = wish.clamp(self.low, self.high);
            self.until += self.every;
        }
        Segment::flat(self.value, self.until)
    }
}

/// Another source with gaps: after exponential times its value is lost for an exponential while.
#[derive(Clone, Debug)]
pub struct DropOuts {
    inner: Box<Source>,
    to: f64,
    distance_s: f64,
    lasting_s: f64,
    stream: Stream,
    state: Presence,
    until: Time,
}

#[derive(Clone, Copy, Debug)]
enum Presence {
    Present,
    Lost,
}

impl DropOuts {
    /// Wraps `inner`, whose value becomes `to` for `lasting` on average, after `distance` on average.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] if `to` is not finite, [`SourceError::ZeroSpan`].
    pub fn new(
        inner: Source,
        to: f64,
        distance: Span,
        lasting_for: Span,
        mut stream: Stream,
    ) -> Result<Self, SourceError> {
        let distance_s = lasting("distance", distance)?.as_secs_f64();
        let lasting_s = lasting("lasting", lasting_for)?.as_secs_f64();
        let until = Time::ZERO + drawn(&mut stream, distance_s);
        let to = finite("to", to)?;
        Ok(Self {
            inner: Box::new(inner),
            to,
            distance_s,
            lasting_s,
            stream,
            state: Presence::Present,
            until,
        })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        while self.until <= now && self.until < Time::MAX {
            let (next, mean_s) = match self.state {
                Presence::Present => (Presence::Lost, self.lasting_s),
                Presence::Lost => (Presence::Present, self.distance_s),
            };
            self.state = next;
            self.until += drawn(&mut self.stream, mean_s);
        }
        match self.state {
            Presence::Lost => Segment::flat(self.to, self.until),
            Presence::Present => {
                let inner = self.inner.segment(now);
                Segment { until: inner.until.min(self.until), ..inner }
            }
        }
    }
}

/// An exponential span with the given mean, at least a nanosecond, so that time passes.
fn drawn(stream: &mut Stream, mean_s: f64) -> Span {
    Span::from_secs_f64(stream.exponential(mean_s)).max(Span::from_nanos(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::math;

    fn stream(number: u64) -> Stream {
        Stream::new(7, number)
    }

    fn seconds(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn noise_has_the_mean_and_the_deviation_it_was_given() {
        let mut noise = Noise::new(1.0, 0.1, Span::from_secs(1), stream(1)).expect("valid noise");
        let count = 20_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for second in 0..count {
            let segment = noise.segment(seconds(second));
            assert_eq!(segment.until, seconds(second + 1));
            sum += segment.value;
            squares += (segment.value - 1.0) * (segment.value - 1.0);
        }
        assert!((sum / count as f64 - 1.0).abs() < 0.005);
        assert!((math::sqrt(squares / count as f64) - 0.1).abs() < 0.005);
    }

    #[test]
    fn what_is_drawn_does_not_depend_on_who_asks_how_often() {
        let mut often =
            RandomWalk::new(0.0, 1.0, Span::from_secs(1), (-5.0, 5.0), stream(2)).expect("a walk");
        let mut rarely = often.clone();
        for second in 0..500 {
            let value = often.segment(seconds(second)).value;
            assert!((-5.0..=5.0).contains(&value));
        }
        assert_eq!(often.segment(seconds(500)), rarely.segment(seconds(500)));
    }

    #[test]
    fn drop_outs_take_the_share_of_time_that_their_means_say() {
        let inner = Source::constant(1.0).expect("a constant");
        let (distance, lasting) = (Span::from_secs(30), Span::from_secs(10));
        let mut gaps = DropOuts::new(inner, 0.0, distance, lasting, stream(3)).expect("valid drop-outs");
        let (end, mut now, mut lost_s) = (seconds(400_000), Time::ZERO, 0.0);
        while now < end {
            let segment = gaps.segment(now);
            let until = segment.until.min(end);
            lost_s += (1.0 - segment.value) * until.since(now).as_secs_f64();
            now = until;
        }
        assert!((lost_s / 400_000.0 - 0.25).abs() < 0.01, "lost {lost_s} s of 400,000 s");
    }
}
