//! Numbers from 0 to 1 that become whatever is to be drawn: what is smaller in them is plainer in the site, so that a failure
//! shrinks to a site that is easy to read.

use proptest::prelude::*;

/// How many numbers one part of a site is made of.
const COUNT: usize = 10;

/// What one part of a site is made of.
#[derive(Clone, Debug)]
pub(crate) struct Knobs([f64; COUNT]);

/// Any knobs.
pub(crate) fn knobs() -> impl Strategy<Value = Knobs> {
    proptest::array::uniform10(0.0..1.0).prop_map(Knobs)
}

/// Lists of at most so many.
pub(crate) fn lists(most: usize) -> impl Strategy<Value = Vec<Knobs>> {
    proptest::collection::vec(knobs(), 0..=most)
}

impl Knobs {
    /// One of some.
    pub(crate) fn pick<T: Copy>(&self, place: usize, all: &[T]) -> T {
        // Below 1, so that the last is reached and never passed.
        all[(self.0[place] * all.len() as f64) as usize]
    }

    /// A number between two, as text with two digits.
    pub(crate) fn between(&self, place: usize, low: f64, high: f64) -> String {
        format!("{:.2}", self.number(place, low, high))
    }

    /// A number between two.
    pub(crate) fn number(&self, place: usize, low: f64, high: f64) -> f64 {
        low + self.0[place] * (high - low)
    }

    /// A whole number from `low` to `high`.
    pub(crate) fn whole(&self, place: usize, low: u32, high: u32) -> u32 {
        low + (self.0[place] * f64::from(high - low + 1)) as u32
    }

    /// Whether something is so that is so in this part of all cases.
    pub(crate) fn is(&self, place: usize, chance: f64) -> bool {
        self.0[place] > 1.0 - chance
    }

    /// A text in so many of all cases, else nothing.
    pub(crate) fn maybe(&self, place: usize, chance: f64, text: &str) -> String {
        if self.is(place, chance) { text.to_owned() } else { String::new() }
    }
}
