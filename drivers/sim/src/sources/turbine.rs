//! What the wind gives a turbine: from wind speed to power.
//!
//! Between the speed at which it cuts in and its rated speed the power grows with the cube of the speed; from there on the
//! blades hold it at its rating. In a storm it stops at `cut_out`, and comes back only below `restart`: a fleet that lost its
//! power with a gust would else come and go with every one.
//!
//! The curve is cut into chords of [`SPEED_CHORD`], so that power is a straight line as that of every source is: at most
//! `6 v chord² / 8 v_rated³` of the rating off, 1 in 10,000 at a rated speed of 12 m/s.

use alloc::boxed::Box;

use r_ems_engine::Time;
use r_ems_engine::math;

use super::{Line, Segment, Source, SourceError, instant_after, not_negative};

/// Speeds whose powers are joined by straight lines are so far apart, in m/s.
pub const SPEED_CHORD: f64 = 0.125;
/// Highest speed that a turbine may be made for, in m/s: the strongest gust that was ever measured had 113.
pub const SPEED_MAX: f64 = 113.0;

/// How a turbine makes power of wind, speeds in m/s.
///
/// # Source
/// The cubic curve of C. Carrillo et al., Review of power curve modelling for wind turbines, Renewable and Sustainable Energy
/// Reviews 21 (2013); the speeds are those of common turbines (3, 12 and 25 m/s), the return below 20 m/s is ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PowerCurve {
    /// Below this it makes nothing.
    pub cut_in: f64,
    /// From here on it makes its rating.
    pub rated: f64,
    /// From here on it stops.
    pub cut_out: f64,
    /// Below this it begins again after a storm.
    pub restart: f64,
}

impl Default for PowerCurve {
    fn default() -> Self {
        Self { cut_in: 3.0, rated: 12.0, cut_out: 25.0, restart: 20.0 }
    }
}

impl PowerCurve {
    /// The share of its rating at a speed, unless it is stopped by a storm.
    fn share(&self, speed: f64) -> f64 {
        let cube = |speed: f64| speed * speed * speed;
        if speed <= self.cut_in {
            0.0
        } else if speed >= self.rated {
            1.0
        } else {
            (cube(speed) - cube(self.cut_in)) / (cube(self.rated) - cube(self.cut_in))
        }
    }
}

/// The power of a turbine in the wind of another source.
#[derive(Clone, Debug)]
pub struct Turbine {
    curve: PowerCurve,
    rating: f64,
    wind: Box<Source>,
    line: Line,
    is_stopped: bool,
}

impl Turbine {
    /// A turbine that makes `rating` at its rated speed, in the wind of `wind`, in m/s.
    ///
    /// # Errors
    /// [`SourceError::OutOfRange`] unless 0 ≤ cut-in < rated < cut-out ≤ [`SPEED_MAX`] and rated < restart ≤ cut-out, or if the
    /// rating is negative or not finite.
    pub fn new(curve: PowerCurve, rating: f64, wind: Source) -> Result<Self, SourceError> {
        let rating = not_negative("rating", rating)?;
        not_negative("cut_in", curve.cut_in)?;
        let within = |parameter, found: f64, is_allowed: bool, allowed| {
            if is_allowed { Ok(()) } else { Err(SourceError::OutOfRange { parameter, found, allowed }) }
        };
        within("rated_speed", curve.rated, curve.rated > curve.cut_in, "above cut_in")?;
        let is_cut_out = curve.cut_out > curve.rated && curve.cut_out <= SPEED_MAX;
        within("cut_out", curve.cut_out, is_cut_out, "above rated_speed and at most 113 m/s")?;
        let is_restart = curve.restart > curve.rated && curve.restart <= curve.cut_out;
        within("restart", curve.restart, is_restart, "above rated_speed and at most cut_out")?;
        Ok(Self { curve, rating, wind: Box::new(wind), line: Line::ended(), is_stopped: false })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        if now >= self.line.until() {
            self.line = Line::new(now, self.chord(now));
        }
        self.line.rest(now)
    }

    /// The power from `now` up to the next speed at which it bends.
    fn chord(&mut self, now: Time) -> Segment {
        let wind = self.wind.segment(now);
        let speed = wind.value;
        self.is_stopped = speed >= if self.is_stopped { self.curve.restart } else { self.curve.cut_out };
        let piece = self.piece(speed, wind.slope_per_s < 0.0);
        let until = if wind.slope_per_s > 0.0 {
            instant_after(now, (piece.high - speed) / wind.slope_per_s)
        } else if wind.slope_per_s < 0.0 {
            instant_after(now, (piece.low - speed) / wind.slope_per_s)
        } else {
            Time::MAX
        };
        let value = piece.power + piece.slope * (speed - piece.low);
        let slope_per_s = piece.slope * wind.slope_per_s;
        if piece.slope > 0.0 {
            Segment { value, slope_per_s, until: until.min(wind.until) }
        } else {
            Segment::flat(piece.power, until.min(wind.until))
        }
    }

    /// The straight piece of the curve in which a speed lies; of two that meet there, the one into which it falls or rises.
    fn piece(&self, speed: f64, falls: bool) -> Piece {
        let PowerCurve { cut_in, rated, cut_out, restart } = self.curve;
        let flat = |power: f64, low: f64, high: f64| Piece { low, high, power, slope: 0.0 };
        let is_below = |bend: f64| speed < bend || speed <= bend && falls;
        if self.is_stopped {
            flat(0.0, restart, f64::INFINITY)
        } else if is_below(cut_in) {
            flat(0.0, f64::NEG_INFINITY, cut_in)
        } else if is_below(rated) {
            let steps = speed / SPEED_CHORD;
            let above = if falls { math::ceil(steps) } else { math::floor(steps) + 1.0 };
            let (low, high) = ((above - 1.0) * SPEED_CHORD, above * SPEED_CHORD);
            let (low, high) = (math::at_least(low, cut_in), math::at_most(high, rated));
            let power = self.rating * self.curve.share(low);
            Piece { low, high, power, slope: (self.rating * self.curve.share(high) - power) / (high - low) }
        } else {
            flat(self.rating, rated, cut_out)
        }
    }
}

/// A straight piece of a power curve, between two speeds in m/s.
#[derive(Clone, Copy, Debug)]
struct Piece {
    low: f64,
    high: f64,
    /// The power at its lower end.
    power: f64,
    /// The power for each m/s.
    slope: f64,
}

#[cfg(test)]
mod tests {
    use super::super::{Ramp, Sine};
    use super::*;
    use r_ems_engine::Span;

    const RATING: f64 = 2_000_000.0;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    fn turbine(wind: Source) -> Turbine {
        Turbine::new(PowerCurve::default(), RATING, wind).expect("a turbine")
    }

    fn in_wind(speed: f64) -> f64 {
        turbine(Source::constant(speed).expect("a wind")).segment(at(0)).value / RATING
    }

    #[test]
    fn the_power_grows_with_the_cube_of_the_speed_up_to_the_rating() {
        let cube = |speed: f64| (speed * speed * speed - 27.0) / (1_728.0 - 27.0);
        for (speed, share) in
            [(-4.0, 0.0), (2.9, 0.0), (6.0, cube(6.0)), (11.9, cube(11.9)), (12.0, 1.0), (24.9, 1.0)]
        {
            assert!((in_wind(speed) - share).abs() < 1e-4, "{speed} m/s");
        }
        assert_eq!(in_wind(25.0), 0.0, "a storm");
    }

    #[test]
    fn after_a_storm_it_comes_back_only_when_the_wind_has_calmed() {
        let mut turbine = turbine(Source::Sine(
            Sine::new(15.0, 12.0, Span::from_hours(1), 0.0).expect("a gust of 27 m/s in an hour"),
        ));
        let (mut now, mut stopped, mut returned) = (at(0), None, None);
        while now < at(1_800) {
            let chord = turbine.segment(now);
            if stopped.is_none() && chord.value <= 0.0 {
                stopped = Some(now);
            } else if stopped.is_some() && returned.is_none() && chord.value > 0.0 {
                returned = Some(now);
            }
            now = chord.until;
        }
        // 15 + 12 sin x passes 25 m/s on its way up at asin (10 / 12), and 20 m/s on its way down at π − asin (5 / 12).
        let instant = |angle: f64| angle / core::f64::consts::TAU * 3_600.0;
        let (asin_10_of_12, asin_5_of_12) = (0.985111, 0.429775);
        let (up, down) = (instant(asin_10_of_12), instant(core::f64::consts::PI - asin_5_of_12));
        let passed = |found: Option<Time>| found.expect("it stops and comes back").as_secs_f64();
        assert!((passed(stopped) - up).abs() < 5.0, "{stopped:?} {up}");
        assert!((passed(returned) - down).abs() < 5.0, "{returned:?} {down}");
    }

    #[test]
    fn chords_stay_within_a_ten_thousandth_of_the_curve_whoever_asks_when() {
        for (from, to) in [(0.0, 14.0), (14.0, 0.0)] {
            let wind = || Source::Ramp(Ramp::new(from, to, at(0), at(1_400)).expect("a wind"));
            let (mut one, mut other) = (turbine(wind()), turbine(wind()));
            let mut now = at(0);
            while now < at(1_400) {
                let chord = one.segment(now);
                let speed = from + (to - from) * now.as_secs_f64() / 1_400.0;
                let share = PowerCurve::default().share(speed);
                assert!((chord.value / RATING - share).abs() < 1e-4, "{speed} m/s: {}", chord.value / RATING);
                now += Span::from_millis(700);
            }
            // Who asks at the bends only sees the same as who asks two thousand times.
            let (mut now, end) = (at(0), at(1_399));
            while other.segment(now).until <= end {
                now = other.segment(now).until;
            }
            let mut asked = turbine(wind());
            for step in 0..1_998 {
                let _ = asked.segment(at(0) + Span::from_millis(700) * step);
            }
            let (seen, asked) = (other.segment(end).value, asked.segment(end).value);
            assert!((seen - asked).abs() < 1e-9 * RATING, "{seen} {asked}");
        }
    }

    #[test]
    fn speeds_out_of_order_are_refused() {
        let wind = || Source::constant(8.0).expect("a wind");
        let usual = PowerCurve::default();
        for (curve, wrong) in [
            (PowerCurve { cut_in: -1.0, ..usual }, "cut_in"),
            (PowerCurve { rated: 3.0, ..usual }, "rated_speed"),
            (PowerCurve { cut_out: 12.0, ..usual }, "cut_out"),
            (PowerCurve { cut_out: 114.0, ..usual }, "cut_out"),
            (PowerCurve { restart: 26.0, ..usual }, "restart"),
            (PowerCurve { restart: f64::NAN, ..usual }, "restart"),
        ] {
            let refused = Turbine::new(curve, RATING, wind());
            assert!(
                matches!(refused, Err(SourceError::OutOfRange { parameter, .. }) if parameter == wrong),
                "{curve:?}: {refused:?}"
            );
        }
    }
}
