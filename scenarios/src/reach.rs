//! The reach of a source: the lowest and the highest value that it can have, to tell slips of the pen from sources.
//!
//! Normal noise has no highest value; its reach ends where a value is once in thirty thousand.

use r_ems_engine::units::Watts;

use crate::bounds::{self, FACTOR_MAX};
use crate::mistake::Notes;
use crate::node::Node;

/// How many standard deviations count.
const DEVIATIONS: f64 = 4.0;
/// How far beyond its rating a component may be driven before somebody should look.
const FAR: f64 = 2.0;

/// From the lowest to the highest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reach {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Reach {
    /// Always one value.
    pub(crate) const fn of(value: f64) -> Self {
        Self { low: value, high: value }
    }

    /// Between two values in any order.
    pub(crate) fn between(one: f64, other: f64) -> Self {
        if one < other { Self { low: one, high: other } } else { Self { low: other, high: one } }
    }

    /// Around a mean.
    pub(crate) fn around(mean: f64, amplitude: f64) -> Self {
        Self::between(mean - amplitude, mean + amplitude)
    }

    /// Normal values around a mean.
    pub(crate) fn normal(mean: f64, deviation: f64) -> Self {
        Self::around(mean, DEVIATIONS * deviation)
    }

    /// This or the other.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { low: Self::between(self.low, other.low).low, high: Self::between(self.high, other.high).high }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, high: self.high + other.high }
    }

    pub(crate) fn times(self, other: Self) -> Self {
        let (low, high) = (other.low, other.high);
        Self::between(self.low * low, self.low * high).or(Self::between(self.high * low, self.high * high))
    }

    /// Whether it is no more than a power may be. What is no number is none.
    pub(crate) fn is_power(self) -> bool {
        bounds::is_power(self.low) && bounds::is_power(self.high)
    }

    /// Whether it is no more than a factor may be.
    pub(crate) fn is_factor(self) -> bool {
        self.low.abs() <= FACTOR_MAX && self.high.abs() <= FACTOR_MAX
    }

    /// Looks at the whole source of a component, in W: magnitudes are what a load wants and what the sun gives.
    pub(crate) fn check(self, node: &Node<'_>, rating: Watts, notes: &mut Notes) {
        if self.low < 0.0 && self.high <= 0.0 {
            let found = Watts::of(self.low);
            let message =
                "is never above 0 W: what a load takes and what the sun gives are both written as positive";
            node.error(notes, format!("{message}, got {found}"));
        }
        if rating > Watts::ZERO && self.high > FAR * rating.watts() {
            let (most, times) = (Watts::of(self.high), self.high / rating.watts());
            let message = format!("reaches {most}, {times:.1} times the rating of {rating}");
            node.warning(notes, format!("{message}; a number without a unit is a share of the rating"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_reaches_as_far_as_the_ends_of_its_factors_make_it() {
        let (one, other) = (Reach::between(-2.0, 3.0), Reach::between(-5.0, 4.0));
        assert_eq!(one.times(other), Reach { low: -15.0, high: 12.0 });
        assert_eq!(one.plus(other), Reach { low: -7.0, high: 7.0 });
        assert_eq!(one.or(other), Reach { low: -5.0, high: 4.0 });
    }

    #[test]
    fn what_is_no_number_is_neither_a_power_nor_a_factor() {
        let endless = Reach::of(f64::INFINITY).times(Reach::of(0.0));
        assert!(!endless.is_power() && !endless.is_factor());
    }
}
