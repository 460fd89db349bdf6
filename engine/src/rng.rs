//! Reproducible randomness: independent streams from one seed, and samplers whose results never change.
//!
//! A run has one seed. Each component that needs noise has a [`Stream`] of its own, named after it, so that adding a
//! battery shifts nobody else's noise. The raw words are ChaCha with 8 rounds: the key is the blake3 digest of
//! [`KEY_CONTEXT`] and the seed in little-endian order, and ChaCha's own 64-bit stream number separates the streams.
//! Eight rounds are far beyond what any statistical test can tell from chance, and a word costs some nanoseconds.
//!
//! The samplers are here, and not from a library of distributions, because such libraries may change their values between
//! versions. They take whole 64-bit words only, do their transcendental mathematics in [`crate::math`], and depend on
//! nothing but the words.
//!
//! A stream is for simulation and for jitter. It never makes keys or tokens, and nothing real ever reseeds it.

use core::fmt;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Hasher};
use crate::math;

/// Keeps the keys made here apart from every other digest of a number.
pub const KEY_CONTEXT: &[u8] = b"r-ems random stream key 1";

/// ChaCha counts its position in words of 32 bits; all samplers take two at a time.
const HALVES_PER_WORD: u128 = 2;
/// 2^-53: the distance of neighbors among the numbers of [`Stream::unit`].
const UNIT_STEP: f64 = 1.0 / (1_u64 << 53) as f64;

/// An endless sequence of random words that its seed and its number determine.
///
/// Its state is the seed, the number and how many words were taken; a stored stream continues where it was.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Stream {
    seed: u64,
    number: u64,
    source: ChaCha8Rng,
}

/// What is stored of a stream.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    seed: u64,
    stream: u64,
    position: u64,
}

impl Stream {
    /// Opens stream `stream` of `seed` at its beginning.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut source = ChaCha8Rng::from_seed(key(seed));
        // Right after seeding: later it would keep the position in the former stream.
        source.set_stream(stream);
        Self { seed, number: stream, source }
    }

    /// Opens the stream of `seed` that belongs to `name`, such as `harbour/b1/noise`.
    ///
    /// The stream's number is the first word of the name's digest; two names of one site do not share one by accident.
    pub fn named(seed: u64, name: &str) -> Self {
        Self::new(seed, Digest::of(name.as_bytes()).word())
    }

    /// Takes the next 64 random bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.source.next_u64()
    }

    /// Draws a whole number below `n`, each with exactly the same probability.
    ///
    /// Takes one word, and more only with probability `n` / 2^64. Panics if `n` is zero.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "there is no number below 0");
        // The upper half of word * n is the result; the lower half tells whether the word lies in the incomplete rest
        // that would make some results more likely. D. Lemire, "Fast random integer generation in an interval", 2019.
        let mut product = u128::from(self.word()) * u128::from(n);
        if (product as u64) < n {
            let rest = n.wrapping_neg() % n;
            while (product as u64) < rest {
                product = u128::from(self.word()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// Draws true in `numerator` of `denominator` cases on average; at or above the denominator it is always true.
    ///
    /// Panics if `denominator` is zero.
    #[inline]
    pub fn chance(&mut self, numerator: u32, denominator: u32) -> bool {
        self.below(u64::from(denominator)) < u64::from(numerator)
    }

    /// Draws from the half-open interval from `low` to `high`, evenly; `low` itself if they are equal.
    ///
    /// Takes one word. Panics unless `low <= high` and their distance is finite.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        let width = high - low;
        assert!(width.is_finite() && width >= 0.0, "the interval from {low} to {high} is empty or endless");
        let value = low + width * self.unit();
        // Rounding can reach the upper end of a narrow interval; the lower end is as near as any.
        if value < high { value } else { low }
    }

    /// Draws from the normal distribution.
    ///
    /// Takes two words (Box and Muller, 1958; the second value of the pair is not used, so that each draw takes the same
    /// number of words). No draw is further than 8.6 deviations from the mean. Panics unless both are finite and the
    /// deviation is not negative.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> f64 {
        assert!(
            mean.is_finite() && deviation.is_finite(),
            "mean {mean} and deviation {deviation} must be finite"
        );
        assert!(deviation >= 0.0, "a deviation of {deviation} is negative");
        let radius = math::sqrt(-2.0 * math::ln(self.unit_above_zero()));
        let angle = core::f64::consts::TAU * self.unit();
        // Adding 0.0 turns -0.0 into +0.0, here and below.
        mean + deviation * (radius * math::cos(angle)) + 0.0
    }

    /// Draws from the exponential distribution: the distance of events that happen every `mean` on average.
    ///
    /// Takes one word. No draw is longer than 36.8 times the mean. Panics unless the mean is finite and not negative.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        assert!(mean.is_finite() && mean >= 0.0, "a mean of {mean} is negative or endless");
        mean * -math::ln(self.unit_above_zero()) + 0.0
    }

    /// How many words were taken since the stream was opened.
    pub fn position(&self) -> u64 {
        let words = self.source.get_word_pos() / HALVES_PER_WORD;
        u64::try_from(words).expect("taking 2^64 words lasts for centuries")
    }

    /// A multiple of 2^-53 in [0, 1).
    #[inline]
    fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 * UNIT_STEP
    }

    /// A multiple of 2^-53 in (0, 1]: its logarithm is finite.
    #[inline]
    fn unit_above_zero(&mut self) -> f64 {
        ((self.word() >> 11) + 1) as f64 * UNIT_STEP
    }
}

/// Makes ChaCha's 32-byte key from a seed.
fn key(seed: u64) -> [u8; 32] {
    let mut hasher = Hasher::new();
    hasher.update(KEY_CONTEXT);
    hasher.update(&seed.to_le_bytes());
    *hasher.finish().as_bytes()
}

impl PartialEq for Stream {
    /// Whether both give the same words from here on.
    fn eq(&self, other: &Self) -> bool {
        (self.seed, self.number, self.position()) == (other.seed, other.number, other.position())
    }
}

impl Eq for Stream {}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Stream");
        shown
            .field("seed", &self.seed)
            .field("stream", &self.number)
            .field("position", &self.position())
            .finish()
    }
}

impl From<Stream> for Stored {
    fn from(stream: Stream) -> Self {
        Self { seed: stream.seed, stream: stream.number, position: stream.position() }
    }
}

impl From<Stored> for Stream {
    fn from(stored: Stored) -> Self {
        let mut stream = Self::new(stored.seed, stored.stream);
        stream.source.set_word_pos(u128::from(stored.position) * HALVES_PER_WORD);
        stream
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// Draws of each moments test; the bounds are five standard errors wide.
    const DRAWS: u32 = 100_000;

    /// Mean and variance of `DRAWS` draws.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let (mut sum, mut squares) = (0.0, 0.0);
        for _ in 0..DRAWS {
            let value = draw();
            sum += value;
            squares += value * value;
        }
        let mean = sum / f64::from(DRAWS);
        (mean, squares / f64::from(DRAWS) - mean * mean)
    }

    fn words(mut stream: Stream, count: usize) -> Vec<u64> {
        (0..count).map(|_| stream.word()).collect()
    }

    /// Asserts that `found` is within `tolerance` of `expected`.
    fn assert_near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() < tolerance, "{found} is not within {tolerance} of {expected}");
    }

    #[test]
    fn streams_give_the_known_words() {
        // Computed apart from this code, from the definition of ChaCha with 8 rounds.
        assert_eq!(
            words(Stream::new(0, 0), 3),
            [0xe811_fb98_c880_b33e, 0xb7c2_48ca_1e6b_8e0f, 0x2c28_e672_bd63_d008]
        );
        assert_eq!(
            words(Stream::new(7, 1), 3),
            [0x4d25_be7b_c53e_6724, 0xa518_f4c5_e319_0c9c, 0x6cc1_ec34_28a4_bc9d]
        );
        assert_eq!(
            words(Stream::new(u64::MAX, u64::MAX), 3),
            [0xf0f7_1414_a4b1_08fe, 0xc37e_7920_32cc_65a2, 0x5931_9cbb_cdac_a1e4]
        );
        assert_eq!(
            words(Stream::named(7, "harbour/b1"), 3),
            [0x52a9_a6f1_168b_1e05, 0x50b4_0eb1_f091_eced, 0x6047_2d67_75a5_03cf]
        );
        assert_eq!(words(Stream::new(7, 1), 1_001)[1_000], 0x4cdb_ca1d_dd19_37c4);
    }

    #[test]
    fn samplers_give_the_known_answers() {
        let mut stream = Stream::new(7, 1);
        assert_eq!(stream.below(1_000), 301);
        assert_eq!(stream.uniform(-1.0, 3.0).to_bits(), 0x3ff9_463d_3178_c642);
        assert_eq!(stream.normal(50.0, 0.02).to_bits(), 0x4049_01c9_db3f_36c1);
        assert_eq!(stream.exponential(3_600.0).to_bits(), 0x4085_eacd_aafa_a562);
        assert!(!stream.chance(1, 3));
        assert_eq!(stream.position(), 6);
    }

    #[test]
    fn streams_of_one_seed_and_seeds_of_one_stream_share_no_words() {
        let base = words(Stream::new(7, 1), 100);
        for other in [Stream::new(7, 2), Stream::new(8, 1), Stream::named(7, "b1"), Stream::named(7, "b2")] {
            assert!(
                words(other.clone(), 100).iter().all(|word| !base.contains(word)),
                "{other:?} repeats words"
            );
        }
    }

    #[test]
    fn a_stored_stream_continues_where_it_was() {
        for taken in [0, 1, 7, 8, 9, 31, 32, 33, 1_000] {
            let mut stream = Stream::named(7, "b1");
            for _ in 0..taken {
                stream.word();
            }
            assert_eq!(stream.position(), taken);
            let again = Stream::from(Stored::from(stream.clone()));
            assert_eq!(again, stream);
            assert_eq!(words(again, 100), words(stream, 100), "after {taken} words");
        }
    }

    #[test]
    fn a_clone_continues_alike() {
        let mut stream = Stream::new(7, 1);
        assert!(stream.normal(0.0, 1.0).is_finite());
        assert_eq!(words(stream.clone(), 50), words(stream, 50));
    }

    #[test]
    fn whole_numbers_are_even_and_stay_below_their_bound() {
        let mut stream = Stream::new(7, 1);
        let mut counts = [0_u32; 6];
        for _ in 0..60_000 {
            counts[stream.below(6) as usize] += 1;
        }
        // Five standard errors of a count are 456.
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 456), "{counts:?}");
        assert!((0..100).all(|_| stream.below(1) == 0));
        // Three quarters of all words fit once: a quarter must be drawn again, and the halves stay even.
        let bound = 3 << 62;
        let low = (0..60_000).filter(|_| stream.below(bound) < bound / 2).count();
        assert!(low.abs_diff(30_000) < 613, "{low} of 60,000 are in the lower half");
    }

    #[test]
    fn chances_hold_on_average_and_at_their_ends() {
        let mut stream = Stream::new(7, 2);
        let hits = (0..DRAWS).filter(|_| stream.chance(1, 4)).count();
        assert!(hits.abs_diff(25_000) < 685, "{hits} of {DRAWS}");
        assert!((0..100).all(|_| !stream.chance(0, 4)));
        assert!((0..100).all(|_| stream.chance(4, 4)));
        assert!((0..100).all(|_| stream.chance(5, 4)));
    }

    #[test]
    fn uniform_draws_have_their_moments_and_stay_inside() {
        let mut stream = Stream::new(7, 3);
        let (mean, variance) = moments(|| {
            let value = stream.uniform(-2.0, 4.0);
            assert!((-2.0..4.0).contains(&value));
            value
        });
        assert_near(mean, 1.0, 0.028);
        assert_near(variance, 3.0, 0.043);
        assert_eq!(stream.uniform(5.0, 5.0), 5.0);
        let next = f64::from_bits(1.0_f64.to_bits() + 1);
        assert!((0..100).all(|_| stream.uniform(1.0, next) == 1.0));
    }

    #[test]
    fn normal_draws_have_their_moments_and_tails() {
        let mut stream = Stream::new(7, 4);
        let mut beyond_two = 0_u32;
        let (mean, variance) = moments(|| {
            let value = stream.normal(50.0, 2.0);
            beyond_two += u32::from((value - 50.0).abs() > 4.0);
            value
        });
        assert_near(mean, 50.0, 0.032);
        assert_near(variance, 4.0, 0.09);
        // 4.55 % of a normal distribution lie further than two deviations from the mean.
        assert!(beyond_two.abs_diff(4_550) < 330, "{beyond_two} of {DRAWS}");
        assert_eq!(stream.normal(3.0, 0.0), 3.0);
    }

    #[test]
    fn exponential_draws_have_their_moments_and_are_never_negative() {
        let mut stream = Stream::new(7, 5);
        let (mean, variance) = moments(|| {
            let value = stream.exponential(10.0);
            assert!(value >= 0.0);
            value
        });
        assert_near(mean, 10.0, 0.16);
        assert_near(variance, 100.0, 4.5);
        assert_eq!(stream.exponential(0.0).to_bits(), 0);
    }

    #[test]
    #[should_panic(expected = "there is no number below 0")]
    fn a_bound_of_zero_is_refused() {
        Stream::new(7, 1).below(0);
    }

    #[test]
    #[should_panic(expected = "is empty or endless")]
    fn an_endless_interval_is_refused() {
        Stream::new(7, 1).uniform(f64::MIN, f64::MAX);
    }
}
