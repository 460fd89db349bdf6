//! Two digests: one that names content, one that is cheap enough for every record.
//!
//! - [`Digest`] is 32 bytes of blake3. It says *what something is*: a state, a scenario, a whole log, a group of records.
//!   Two different contents do not share one by accident. A call costs some hundred nanoseconds.
//! - [`Chain`] is a 64-bit running fold that costs about two nanoseconds a word. It says *where two runs part*: each
//!   record carries a piece of it, so that replay names the first record that differs. Two different histories share a
//!   64-bit value once in about 10^19, and the 16 bits of a record once in 65,536, which the next records make good.
//!
//! Both find accidents: a changed constant, a flipped bit, another order. Neither is a defence against an attacker, who
//! can compute them too: peers authenticate with keys, and never with these.
//!
//! Both are part of the log's format. A change of either makes every stored log diverge; the known answers in the tests
//! are there to notice it.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{MAX_QUANTITY_CHARS, TextError};

/// Digits of a [`Digest`]'s text.
const DIGEST_HEX_DIGITS: usize = 64;
/// Digits of [`Digest::short`]: enough for people to tell the digests of a project apart.
const SHORT_HEX_DIGITS: usize = 16;

/// Names content: the 32 bytes of its blake3 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Digests `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Takes 32 stored bytes for a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 8 bytes as a little-endian number: for seeds and stream numbers made from names.
    pub fn word(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// The first 16 hexadecimal digits: for people, never for comparison by a program.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(SHORT_HEX_DIGITS);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = TextError;

    /// Reads exactly 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let fail = || TextError {
            found: text.chars().take(MAX_QUANTITY_CHARS).collect(),
            allowed: format!("a digest of {DIGEST_HEX_DIGITS} hexadecimal digits"),
        };
        if text.len() != DIGEST_HEX_DIGITS {
            return Err(fail());
        }
        let mut bytes = [0_u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = (nibble(pair[0]).ok_or_else(fail)? << 4) | nibble(pair[1]).ok_or_else(fail)?;
        }
        Ok(Self(bytes))
    }
}

/// The value of one hexadecimal digit.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// Digests content that comes in parts; how it is cut makes no difference.
#[derive(Clone, Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts with no content.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes` to the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of the content so far; more may follow.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// Added to each word, so that a word of zero, even on a state of zero, changes it: 2^64 / golden ratio.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// Odd and without structure, from the digits of pi; the multiplication spreads each bit over 128.
const SPREAD: u64 = 0x243f_6a88_85a3_08d3;
/// Spreads the state once more before 16 bits are cut from it; the next digits of pi, made odd.
const CUT: u64 = 0x1319_8a2e_0370_7345;

/// Folds a history of words into 64 bits, in order.
///
/// The fold adds a constant to the word, mixes it into the state, multiplies to 128 bits and folds the halves onto each
/// other: four instructions. One folded word reaches every bit of the value; the last word's reach into single bits
/// is uneven, hence
/// [`Chain::low16`] spreads once more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chain(u64);

impl Chain {
    /// Starts a chain; chains of different seeds differ from the start.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The chain of these bytes alone, which stands for them.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut chain = Self::new(0);
        chain.fold_bytes(bytes);
        chain
    }

    /// Appends one word.
    #[inline]
    pub const fn fold(&mut self, word: u64) {
        self.0 = folded_product(self.0 ^ word.wrapping_add(STEP), SPREAD);
    }

    /// Appends bytes: eight to a little-endian word, the last one padded with zeros, then their number.
    ///
    /// The number keeps `[0]` and `[0, 0]` apart, and two appends from one.
    pub fn fold_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0_u8; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.fold(u64::from_le_bytes(last));
        }
        self.fold(bytes.len() as u64);
    }

    /// The whole state: with it, [`Chain::new`] continues where this chain is.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Sixteen bits of the state, well mixed: what a record can afford to carry.
    pub const fn low16(self) -> u16 {
        (folded_product(self.0 ^ STEP, CUT) & 0xffff) as u16
    }
}

/// Multiplies to 128 bits and folds the upper half onto the lower.
#[inline]
const fn folded_product(left: u64, right: u64) -> u64 {
    let product = left as u128 * right as u128;
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// The digest of no bytes, from the test vectors that blake3's authors publish.
    const EMPTY: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
    /// The digest of the byte 0, from the same vectors.
    const ZERO_BYTE: &str = "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213";

    fn chain_of(words: &[u64]) -> Chain {
        let mut chain = Chain::new(0);
        words.iter().for_each(|word| chain.fold(*word));
        chain
    }

    fn chain_of_bytes(parts: &[&[u8]]) -> Chain {
        let mut chain = Chain::new(0);
        parts.iter().for_each(|part| chain.fold_bytes(part));
        chain
    }

    #[test]
    fn digests_match_the_published_vectors() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(Digest::of(&[0]).to_string(), ZERO_BYTE);
        assert_eq!(Digest::of(b"").short(), "af1349b9f5f9a1a6");
        assert_eq!(Digest::of(b"").word(), 0xa6a1_f9f5_b949_13af);
    }

    #[test]
    fn a_digest_does_not_depend_on_how_the_content_is_cut() {
        let content: Vec<u8> = (0..=255).cycle().take(5_000).collect();
        for cut in [0, 1, 63, 64, 1_024, 4_999] {
            let mut hasher = Hasher::new();
            hasher.update(&content[..cut]);
            hasher.update(&content[cut..]);
            assert_eq!(hasher.finish(), Digest::of(&content), "cut at {cut}");
        }
    }

    #[test]
    fn digests_read_as_they_are_written() {
        let digest = Digest::of(b"harbour/a");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!(Digest::from_bytes(*digest.as_bytes()), digest);
        let text = EMPTY;
        let (shorter, longer) = (&text[1..], format!("{text}0"));
        let (sign, accented) = (text.replacen('a', "+", 1), text.replacen("af", "é", 1));
        for wrong in ["", shorter, &longer, &sign, &accented] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong} is no digest");
        }
    }

    #[test]
    fn the_chain_gives_the_known_answers() {
        // Computed apart from this code, with whole numbers of any length.
        assert_eq!(Chain::default(), Chain::new(0));
        assert_eq!(chain_of(&[0]).value(), 0xe184_8576_4ba0_3644);
        assert_eq!(chain_of(&[1, 2, 3]).value(), 0xf198_0ccc_9737_c915);
        assert_eq!(chain_of(&[1, 2, 3]).low16(), 0x19a6);
        assert_eq!(chain_of_bytes(&[b"set-point"]).value(), 0xa2e9_52bd_e138_7c7a);
        assert_eq!(Chain::new(u64::MAX).low16(), 0xd5f4);
    }

    #[test]
    fn the_order_of_words_matters() {
        assert_ne!(chain_of(&[1, 2]), chain_of(&[2, 1]));
        assert_ne!(chain_of(&[0, 7]), chain_of(&[7, 0]));
    }

    #[test]
    fn a_word_of_zero_changes_every_state() {
        for seed in [0, 1, u64::MAX, STEP, !STEP] {
            let mut chain = Chain::new(seed);
            for count in 0..100 {
                let before = chain;
                chain.fold(0);
                assert_ne!(chain, before, "fold {count} from seed {seed}");
            }
        }
    }

    #[test]
    fn the_length_of_bytes_is_part_of_the_history() {
        assert_ne!(chain_of_bytes(&[&[0]]), chain_of_bytes(&[&[0, 0]]));
        assert_ne!(chain_of_bytes(&[b"ab", b"c"]), chain_of_bytes(&[b"a", b"bc"]));
        assert_ne!(chain_of_bytes(&[b"12345678"]), chain_of_bytes(&[b"12345678\0"]));
        assert_ne!(chain_of_bytes(&[]), chain_of_bytes(&[b""]));
    }

    #[test]
    fn each_bit_of_a_word_flips_about_half_of_the_bits_that_follow() {
        const HISTORIES: u64 = 1_000;
        for bit in 0..64 {
            let mut flipped_after_two = 0;
            let mut flipped_in_cut = 0;
            for history in 0..HISTORIES {
                let base = chain_of(&[history, history * history]);
                let (mut left, mut right) = (base, base);
                left.fold(history);
                right.fold(history ^ (1 << bit));
                flipped_in_cut += (left.low16() ^ right.low16()).count_ones();
                left.fold(0);
                right.fold(0);
                flipped_after_two += (left.value() ^ right.value()).count_ones();
            }
            let mean_of = |flips: u32| f64::from(flips) / HISTORIES as f64;
            let (two, cut) = (mean_of(flipped_after_two), mean_of(flipped_in_cut));
            assert!((30.0..34.0).contains(&two), "bit {bit} flips {two} of 64 bits");
            assert!((7.0..9.0).contains(&cut), "bit {bit} flips {cut} of 16 bits");
        }
    }

    #[test]
    fn near_histories_share_sixteen_bits_no_more_often_than_chance() {
        const COUNT: u64 = 65_536;
        let mut hits = alloc::vec![0_u32; 65_536];
        for word in 0..COUNT {
            hits[usize::from(chain_of(&[word, 0]).low16())] += 1;
        }
        let distinct = hits.iter().filter(|count| **count > 0).count() as f64 / COUNT as f64;
        // Random throws into as many boxes hit 1 - 1/e of them.
        assert!((0.62..0.645).contains(&distinct), "{distinct} of the values were hit");
    }
}
