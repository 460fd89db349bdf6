//! How a value lies in registers: its type, the order of its words, its scale, and which patterns mean that it is not known.

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::pdu::Registers;

/// The bits of the NaN with which SunSpec says that it does not know.
const QUIET_NAN: u32 = 0x7fc0_0000;
/// A heartbeat begins anew after so many: as one in a register does.
const MAX_COUNTS: u64 = 1 << 16;
/// Most registers of one number.
pub const MAX_VALUE_REGISTERS: usize = 4;
/// The powers of ten that a scale factor names, from −10 to 10, each as near as a number can be.
const POWERS_OF_TEN: [f64; 21] = [
    1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
    1e9, 1e10,
];

/// The type of a number in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NumberType {
    /// 16 bits without a sign.
    U16,
    /// 16 bits, two's complement.
    I16,
    /// 32 bits without a sign.
    U32,
    /// 32 bits, two's complement.
    I32,
    /// 64 bits without a sign; above 2^53 a value is rounded to the nearest double.
    U64,
    /// 64 bits, two's complement; beyond 2^53 a value is rounded to the nearest double.
    I64,
    /// IEEE 754 single precision.
    F32,
    /// So many bits of one register from the lowest, `first`, on.
    Bits {
        /// The lowest of them, 0 to 15.
        first: u8,
        /// How many, 1 to 16 in all.
        count: u8,
    },
}

/// The order of the registers of one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WordOrder {
    /// The high word first, as in SunSpec.
    #[default]
    HighFirst,
    /// The low word first.
    LowFirst,
}

/// Which patterns of a number mean that the device does not know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unknown {
    /// None.
    #[default]
    Never,
    /// Those of SunSpec: all ones without a sign, the lowest number with one, every NaN.
    SunSpec,
    /// One pattern of bits.
    Pattern(u64),
}

/// How a number lies in registers: `physical = raw · scale + offset`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// The type of the raw number.
    pub number: NumberType,
    /// The order of its registers.
    pub order: WordOrder,
    /// What one of the raw number is in the point's base unit; finite, not 0.
    pub scale: f64,
    /// The physical value of the raw number 0; finite.
    pub offset: f64,
    /// When it is not known.
    pub unknown: Unknown,
}

/// Says that a value does not fit into its registers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutOfRange {
    /// The raw number that would have to be written.
    pub raw: f64,
    /// The lowest and the highest that there is room for.
    pub room: (f64, f64),
}

/// Registers of one number, as they are to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    bytes: [u8; 2 * MAX_VALUE_REGISTERS],
    registers: usize,
}

impl Written {
    /// The registers.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..2 * self.registers]
    }
}

impl NumberType {
    /// An entry of a table of bits; it is moved about like a register that is 0 or 1.
    pub const BIT: Self = Self::Bits { first: 0, count: 1 };

    /// How many registers it takes.
    pub const fn registers(self) -> usize {
        match self {
            Self::U16 | Self::I16 | Self::Bits { .. } => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::U64 | Self::I64 => 4,
        }
    }

    /// Whether all bits of its registers are its own.
    pub(super) const fn fills_registers(self) -> bool {
        self.mask() == u64::MAX >> (64 - self.bits())
    }

    /// Which bits of its registers are its own.
    pub const fn mask(self) -> u64 {
        match self {
            Self::Bits { first, count } => ((1 << count) - 1) << first,
            Self::U16 | Self::I16 | Self::U32 | Self::I32 | Self::F32 | Self::U64 | Self::I64 => {
                u64::MAX >> (64 - self.bits())
            }
        }
    }

    const fn bits(self) -> u32 {
        16 * self.registers() as u32
    }

    /// The lowest and the highest raw number.
    fn room(self) -> (f64, f64) {
        let two_to = |bits: u32| (1_u128 << bits) as f64;
        match self {
            Self::U16 | Self::U32 | Self::U64 => (0.0, two_to(self.bits()) - 1.0),
            Self::I16 | Self::I32 | Self::I64 => {
                let half = two_to(self.bits() - 1);
                (-half, half - 1.0)
            }
            Self::F32 => (f64::from(f32::MIN), f64::from(f32::MAX)),
            Self::Bits { count, .. } => (0.0, two_to(u32::from(count)) - 1.0),
        }
    }

    /// So many whole numbers from 0 on it can count, at most [`MAX_COUNTS`].
    pub(super) fn counts(self) -> u64 {
        // The room of each type has 0 and something above it.
        (self.room().1 as u64).min(MAX_COUNTS - 1) + 1
    }

    /// The raw number of these bits; NaN may be among the single-precision ones.
    fn raw(self, bits: u64) -> f64 {
        match self {
            Self::U16 | Self::U32 | Self::U64 => bits as f64,
            Self::I16 => f64::from(bits as u16 as i16),
            Self::I32 => f64::from(bits as u32 as i32),
            Self::I64 => bits as i64 as f64,
            Self::F32 => f64::from(f32::from_bits(bits as u32)),
            Self::Bits { first, count } => (bits >> first & ((1 << count) - 1)) as f64,
        }
    }

    /// The bits of a raw number that is within its room and whole, but for single precision.
    fn bits_of(self, raw: f64) -> u64 {
        match self {
            Self::U16 | Self::U32 | Self::U64 => raw as u64,
            Self::I16 => raw as i16 as u16 as u64,
            Self::I32 => raw as i32 as u32 as u64,
            Self::I64 => raw as i64 as u64,
            Self::F32 => u64::from((raw as f32).to_bits()),
            Self::Bits { first, .. } => (raw as u64) << first,
        }
    }

    /// Whether SunSpec says that these bits mean nothing.
    fn is_unimplemented(self, bits: u64) -> bool {
        if self == Self::F32 { f32::from_bits(bits as u32).is_nan() } else { bits == self.unimplemented() }
    }

    /// The bits with which SunSpec says that it means nothing; in single precision every other NaN does so too.
    fn unimplemented(self) -> u64 {
        let ones = u64::MAX >> (64 - self.bits());
        match self {
            Self::U16 | Self::U32 | Self::U64 | Self::Bits { .. } => ones,
            Self::I16 | Self::I32 | Self::I64 => ones / 2 + 1,
            Self::F32 => u64::from(QUIET_NAN),
        }
    }
}

impl Layout {
    /// The scale factors that devices have.
    pub const POWERS: RangeInclusive<i16> = -10..=10;

    /// The same where one of the number is so many powers of ten more; `None`: no device says so.
    pub fn scaled(&self, power: i16) -> Option<Self> {
        let place = power.checked_sub(*Self::POWERS.start()).and_then(|place| usize::try_from(place).ok())?;
        let scale = self.scale * POWERS_OF_TEN.get(place)?;
        Some(Self { scale, ..*self })
    }

    /// The value in these registers, in the point's base unit; `None` where the device does not know it, or it is no number.
    ///
    /// # Panics
    /// If there are not [`NumberType::registers`] of them: whoever plans the reads sees to it.
    pub fn value(&self, registers: Registers<'_>) -> Option<f64> {
        let bits = self.bits(registers);
        let is_unknown = match self.unknown {
            Unknown::Never => false,
            Unknown::SunSpec => self.number.is_unimplemented(bits),
            Unknown::Pattern(pattern) => bits == pattern,
        };
        let value = self.number.raw(bits) * self.scale + self.offset;
        (!is_unknown && value.is_finite()).then_some(value)
    }

    /// The bits in these registers.
    fn bits(&self, registers: Registers<'_>) -> u64 {
        assert!(registers.count() == self.number.registers(), "all registers of a number at once");
        let ahead = |bits: u64, word: u16| bits << 16 | u64::from(word);
        match self.order {
            WordOrder::HighFirst => registers.iter().fold(0, ahead),
            WordOrder::LowFirst => {
                let placed = (0_u32..).zip(registers.iter());
                placed.fold(0, |bits, (place, word)| bits | u64::from(word) << (16 * place))
            }
        }
    }

    /// Whether registers hold what was written there, as far as it is this number's.
    pub(super) fn are_alike(&self, held: Registers<'_>, written: &Written) -> bool {
        let written = Registers::new(written.bytes()).filter(|written| written.count() == held.count());
        written.is_some_and(|written| (self.bits(held) ^ self.bits(written)) & self.number.mask() == 0)
    }

    /// Writes one of the registers of a number, by its place, into one that may hold other bits too.
    pub fn put_into(&self, written: &Written, place: usize, word: &mut u16) {
        // Of a number of several registers all bits of each are its own.
        let own = self.number.mask() as u16;
        let bytes = written.bytes();
        *word = *word & !own | u16::from_be_bytes([bytes[2 * place], bytes[2 * place + 1]]);
    }

    /// The registers that hold a value, rounded to the nearest raw number.
    ///
    /// # Errors
    /// [`OutOfRange`] if they have no room for it.
    pub fn registers(&self, value: f64) -> Result<Written, OutOfRange> {
        let raw = (value - self.offset) / self.scale;
        let raw = if self.number == NumberType::F32 { raw } else { crate::math::round(raw) };
        let room = self.number.room();
        // A NaN is within nothing.
        let fits = raw >= room.0 && raw <= room.1;
        if !fits {
            return Err(OutOfRange { raw, room });
        }
        Ok(self.written(self.number.bits_of(raw)))
    }

    /// The registers that hold the value, or the nearest that there is room for; a NaN becomes the lowest.
    pub fn nearest(&self, value: f64) -> Written {
        match self.registers(value) {
            Ok(written) => written,
            Err(OutOfRange { raw, room: (low, high) }) => {
                self.written(self.number.bits_of(if raw > high { high } else { low }))
            }
        }
    }

    /// The registers that say that the device does not know; `None` if no pattern says so.
    pub fn unknown_registers(&self) -> Option<Written> {
        let bits = match self.unknown {
            Unknown::Never => return None,
            Unknown::Pattern(pattern) => pattern & (u64::MAX >> (64 - self.number.bits())),
            Unknown::SunSpec => self.number.unimplemented(),
        };
        Some(self.written(bits))
    }

    /// The registers of these bits.
    fn written(&self, bits: u64) -> Written {
        let count = self.number.registers();
        let mut written = Written { bytes: [0; 2 * MAX_VALUE_REGISTERS], registers: count };
        for (place, pair) in written.bytes.chunks_exact_mut(2).take(count).enumerate() {
            let from_low = if self.order == WordOrder::LowFirst { place } else { count - 1 - place };
            pair.copy_from_slice(&((bits >> (16 * from_low)) as u16).to_be_bytes());
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(number: NumberType, order: WordOrder) -> Layout {
        Layout { number, order, scale: 1.0, offset: 0.0, unknown: Unknown::SunSpec }
    }

    fn value(layout: &Layout, bytes: &[u8]) -> Option<f64> {
        layout.value(Registers::new(bytes).expect("whole registers"))
    }

    #[test]
    fn numbers_lie_in_registers_as_the_map_says() {
        use NumberType::{Bits, F32, I16, I32, I64, U16, U32, U64};
        use WordOrder::{HighFirst, LowFirst};
        let all: [(NumberType, WordOrder, &[u8], f64); 12] = [
            (U16, HighFirst, &[0x12, 0x34], 4660.0),
            (I16, HighFirst, &[0xff, 0xfe], -2.0),
            (U32, HighFirst, &[0, 1, 0, 2], 65_538.0),
            (U32, LowFirst, &[0, 1, 0, 2], 131_073.0),
            (I32, HighFirst, &[0xff, 0xff, 0xff, 0xfe], -2.0),
            (I32, LowFirst, &[0xff, 0xfe, 0xff, 0xff], -2.0),
            (U64, HighFirst, &[0, 0, 0, 1, 0, 0, 0, 0], 4_294_967_296.0),
            (U64, LowFirst, &[0, 0, 0, 0, 0, 1, 0, 0], 4_294_967_296.0),
            (I64, HighFirst, &[0xff; 8], -1.0),
            (F32, HighFirst, &[0x41, 0xc8, 0, 0], 25.0),
            (F32, LowFirst, &[0, 0, 0x41, 0xc8], 25.0),
            (Bits { first: 4, count: 3 }, HighFirst, &[0, 0x50], 5.0),
        ];
        for (number, order, bytes, expected) in all {
            let layout = layout(number, order);
            assert_eq!(value(&layout, bytes), Some(expected), "{number:?} {order:?}");
            let written = layout.registers(expected).expect("there is room");
            assert_eq!(written.bytes(), bytes, "{number:?} {order:?}");
        }
    }

    #[test]
    fn what_a_device_does_not_know_is_no_value() {
        use NumberType::{F32, I16, I32, U16, U32};
        let unknown: [(NumberType, &[u8]); 5] = [
            (U16, &[0xff, 0xff]),
            (I16, &[0x80, 0]),
            (U32, &[0xff; 4]),
            (I32, &[0x80, 0, 0, 0]),
            (F32, &[0x7f, 0xc0, 0, 0]),
        ];
        for (number, bytes) in unknown {
            assert_eq!(value(&layout(number, WordOrder::HighFirst), bytes), None, "{number:?}");
        }
        let never = Layout { unknown: Unknown::Never, ..layout(F32, WordOrder::HighFirst) };
        assert_eq!(value(&never, &[0x7f, 0xc0, 0, 0]), None, "no number is known");
        assert_eq!(value(&never, &[0x7f, 0x80, 0, 0]), None, "nor is one without end");
        let pattern = Layout { unknown: Unknown::Pattern(9_999), ..layout(U16, WordOrder::HighFirst) };
        assert_eq!(value(&pattern, &[0x27, 0x0f]), None);
    }

    #[test]
    fn a_value_is_scaled_and_shifted_and_rounded_to_the_nearest_step() {
        let tenths = Layout { scale: 0.1, offset: -40.0, ..layout(NumberType::I16, WordOrder::HighFirst) };
        assert_eq!(value(&tenths, &[0x01, 0xf4]), Some(10.0));
        assert_eq!(
            tenths.registers(10.04).map(|written| written.bytes().to_vec()),
            Ok([0x01, 0xf4].to_vec())
        );
    }

    #[test]
    fn what_has_no_room_is_refused_with_what_there_is() {
        let watts = layout(NumberType::I16, WordOrder::HighFirst);
        let error = watts.registers(40_000.0).expect_err("no room");
        assert_eq!(error, OutOfRange { raw: 40_000.0, room: (-32_768.0, 32_767.0) });
        assert!(watts.registers(f64::NAN).is_err());
        assert!(layout(NumberType::U16, WordOrder::HighFirst).registers(-1.0).is_err());
        assert!(
            layout(NumberType::Bits { first: 2, count: 2 }, WordOrder::HighFirst).registers(4.0).is_err()
        );
    }
}
