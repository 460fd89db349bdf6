//! Serial lines: how characters lie on them, and how long these take.
//!
//! Source: MODBUS over Serial Line Specification and Implementation Guide V1.02, sections 2.5.1 and 2.5.1.1: a character of RTU
//! has 11 bits, with two stop bits where there is no parity; frames are 3.5 characters apart, and 1.75 ms above 19200 baud.

use serde::{Deserialize, Serialize};

use crate::time::Span;

/// The rates that are known, in bits a second: what serial ports and their devices commonly have.
pub const BAUD_RATES: [u32; 12] =
    [1_200, 2_400, 4_800, 9_600, 14_400, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 921_600];
/// The rate that the standard has where nobody says otherwise.
pub const BAUD_DEFAULT: u32 = 19_200;

/// Bits of a character: its start, eight of data, parity or a second stop, and its stop.
const CHARACTER_BITS: u64 = 11;
/// Above this rate the silence between two frames does not become shorter.
const SILENCE_BAUD_MAX: u32 = 19_200;
/// The silence between two frames above that.
const SILENCE_MIN: Span = Span::from_micros(1_750);
const SECOND: u64 = 1_000_000_000;

/// How the bits of a character are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parity {
    /// By an even number of ones, which is the standard's default.
    Even,
    /// By an odd number.
    Odd,
    /// Not at all.
    None,
}

/// How a character ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopBits {
    /// With one bit.
    One,
    /// With two, as the standard has it where there is no parity.
    Two,
}

/// The settings of a serial line; characters have eight bits of data, as RTU needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialLine {
    /// Bits a second, positive; one of [`BAUD_RATES`] in a site file.
    pub baud: u32,
    /// How characters are checked.
    pub parity: Parity,
    /// How they end.
    pub stop_bits: StopBits,
}

impl SerialLine {
    /// How long so many characters take, rounded up.
    ///
    /// Eleven bits each, also where a device is set to ten: it is slower then than it need be, and never too fast.
    pub const fn characters(self, count: usize) -> Span {
        let bits = count as u64 * CHARACTER_BITS;
        Span::from_nanos((bits * SECOND).div_ceil(self.baud as u64))
    }

    /// The silence that stands between two frames: t3.5.
    pub const fn silence(self) -> Span {
        if self.baud > SILENCE_BAUD_MAX {
            return SILENCE_MIN;
        }
        Span::from_nanos((7 * CHARACTER_BITS * SECOND).div_ceil(2 * self.baud as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn line(baud: u32) -> SerialLine {
        SerialLine { baud, parity: Parity::Even, stop_bits: StopBits::One }
    }

    #[test]
    fn frames_are_three_and_a_half_characters_apart_and_not_less_than_the_standard_allows() {
        assert_eq!(line(9_600).silence(), Span::from_nanos(4_010_417));
        assert_eq!(line(19_200).silence(), Span::from_nanos(2_005_209));
        assert_eq!(line(38_400).silence(), Span::from_micros(1_750));
        assert_eq!(line(921_600).silence(), Span::from_micros(1_750));
    }

    #[test]
    fn a_character_has_eleven_bits() {
        assert_eq!(line(9_600).characters(8), Span::from_nanos(9_166_667));
        assert_eq!(line(1_200).characters(256), Span::from_nanos(2_346_666_667));
        assert_eq!(line(9_600).characters(0), Span::ZERO);
    }
}
