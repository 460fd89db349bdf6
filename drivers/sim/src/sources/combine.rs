//! Sums and products of sources: a profile with noise and a motor.

use alloc::vec::Vec;

use r_ems_engine::{Span, Time};

use super::{Line, Segment, Source, SourceError, seconds};

/// Most parts that one combination may have.
pub const MAX_PARTS: usize = 64;

/// Longest chord where two factors change at the same time. Two factors of slope a and b are at most `a b chord² / 8` off:
/// 0.2 W for a load that rises by 100 kW in a quarter of an hour under an hourly sine of 10 %.
pub const PRODUCT_CHORD: Span = Span::from_secs(10);

/// The sum of several sources.
#[derive(Clone, Debug)]
pub struct Sum {
    parts: Vec<Source>,
}

impl Sum {
    /// Takes 1 to [`MAX_PARTS`] parts.
    ///
    /// # Errors
    /// [`SourceError::Parts`].
    pub fn new(parts: Vec<Source>) -> Result<Self, SourceError> {
        Ok(Self { parts: counted(parts)? })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        let mut sum = Segment::flat(0.0, Time::MAX);
        for part in &mut self.parts {
            let part = part.segment(now);
            sum.value += part.value;
            sum.slope_per_s += part.slope_per_s;
            sum.until = sum.until.min(part.until);
        }
        sum
    }
}

/// The product of several sources.
///
/// Exact while at most one factor changes; where two change it is cut into chords of [`PRODUCT_CHORD`].
#[derive(Clone, Debug)]
pub struct Product {
    factors: Vec<Source>,
    line: Line,
}

impl Product {
    /// Takes 1 to [`MAX_PARTS`] factors.
    ///
    /// # Errors
    /// [`SourceError::Parts`].
    pub fn new(factors: Vec<Source>) -> Result<Self, SourceError> {
        Ok(Self { factors: counted(factors)?, line: Line::ended() })
    }

    pub(super) fn segment(&mut self, now: Time) -> Segment {
        if now >= self.line.until() {
            self.line = Line::new(now, self.chord(now));
        }
        self.line.rest(now)
    }

    /// The product from `now` on. Lines are multiplied one by one; a second slope makes the result a chord.
    fn chord(&mut self, now: Time) -> Segment {
        let mut product = Segment::flat(1.0, Time::MAX);
        for factor in &mut self.factors {
            let factor = factor.segment(now);
            let mut until = product.until.min(factor.until);
            let both_change = product.slope_per_s.abs() > 0.0 && factor.slope_per_s.abs() > 0.0;
            if both_change {
                until = until.min(now + PRODUCT_CHORD);
            }
            let bend_s = if both_change { seconds(now, until) } else { 0.0 };
            // (a + a' t)(b + b' t) at the chord's end has the mean slope a b' + a' b + a' b' t.
            let slope_per_s = product.value * factor.slope_per_s
                + product.slope_per_s * factor.value
                + product.slope_per_s * factor.slope_per_s * bend_s;
            product = Segment { value: product.value * factor.value, slope_per_s, until };
        }
        product
    }
}

fn counted(parts: Vec<Source>) -> Result<Vec<Source>, SourceError> {
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return Err(SourceError::Parts { found: parts.len() as u64 });
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::super::{Blocks, Ramp};
    use super::*;
    use alloc::vec;

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    fn ramp(from: f64, to: f64) -> Source {
        Source::Ramp(Ramp::new(from, to, at(0), at(100)).expect("a valid ramp"))
    }

    #[test]
    fn a_sum_ends_where_its_first_part_ends() {
        let (on, off) = (Span::from_secs(40), Span::from_secs(60));
        let motor = Source::Blocks(Blocks::new(5.0, on, off, at(0)).expect("valid blocks"));
        let mut sum = Sum::new(vec![ramp(0.0, 100.0), motor]).expect("two parts");
        let first = sum.segment(at(0));
        assert_eq!((first.value, first.slope_per_s, first.until), (5.0, 1.0, at(40)));
        assert_eq!(sum.segment(at(40)).value, 40.0);
    }

    #[test]
    fn a_product_with_one_changing_factor_is_exact() {
        let half = Source::constant(0.5).expect("a constant");
        let mut product = Product::new(vec![half, ramp(0.0, 100.0)]).expect("two factors");
        let whole = product.segment(at(0));
        assert_eq!((whole.value, whole.slope_per_s, whole.until), (0.0, 0.5, at(100)));
    }

    #[test]
    fn the_chords_of_two_changing_factors_meet_the_product_at_their_ends() {
        let mut product = Product::new(vec![ramp(0.0, 100.0), ramp(1.0, 3.0)]).expect("two factors");
        let mut now = at(0);
        while now < at(100) {
            let chord = product.segment(now);
            let t = now.as_secs_f64();
            assert!((chord.value - t * (1.0 + t / 50.0)).abs() < 1e-9, "at {t} s: {chord:?}");
            // A call in between lies on the same chord.
            let middle = product.segment(now + Span::from_secs(3));
            assert!((middle.value - chord.value - 3.0 * chord.slope_per_s).abs() < 1e-9);
            now = chord.until;
        }
        assert_eq!(product.segment(now).value, 300.0);
    }

    #[test]
    fn a_combination_of_nothing_is_refused() {
        assert!(matches!(Sum::new(vec![]), Err(SourceError::Parts { found: 0 })));
        assert!(matches!(Product::new(vec![]), Err(SourceError::Parts { found: 0 })));
    }
}
