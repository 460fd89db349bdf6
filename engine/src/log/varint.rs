//! Small numbers in few bytes: LEB128, zigzag for signed ones, and a cursor that never reads beyond its bytes.

use alloc::vec::Vec;

use serde::de::DeserializeOwned;

use super::codec;
use super::error::Flaw;

/// Bytes of the longest varint.
const VARINT_BYTES_MAX: u32 = 10;

/// Appends `value`, seven bits a byte, the lowest first.
#[inline]
pub(crate) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number; small magnitudes are short.
#[inline]
pub(crate) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

/// Appends the difference from `base` to `value`, whichever is larger.
#[inline]
pub(super) fn put_difference(out: &mut Vec<u8>, base: u64, value: u64) {
    put_signed(out, value.wrapping_sub(base) as i64);
}

/// Reads a payload from its beginning.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// How many bytes are left.
    pub(crate) const fn rest(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// How many bytes have been read, counted from the payload's beginning.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Flaw> {
        let byte = *self.bytes.get(self.at).ok_or(Flaw::RecordEnds)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let rest = self.bytes.get(self.at..).ok_or(Flaw::RecordEnds)?;
        let array = *rest.first_chunk::<N>().ok_or(Flaw::RecordEnds)?;
        self.at += N;
        Ok(array)
    }

    /// Skips `count` bytes and says where they lie.
    pub(crate) fn range(&mut self, count: u64) -> Result<core::ops::Range<usize>, Flaw> {
        let count = usize::try_from(count).map_err(|_too_large| Flaw::RecordEnds)?;
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let range = self.at..end.ok_or(Flaw::RecordEnds)?;
        self.at = range.end;
        Ok(range)
    }

    /// Reads a value that the codec wrote.
    pub(super) fn value<T: DeserializeOwned>(&mut self, what: &'static str) -> Result<T, Flaw> {
        let rest = self.bytes.get(self.at..).ok_or(Flaw::RecordEnds)?;
        let (value, taken) = codec::decode_first(rest).map_err(|_undecodable| Flaw::NoValue { what })?;
        self.at += taken;
        Ok(value)
    }

    /// A byte that was skipped.
    #[inline]
    pub(super) fn byte_at(&self, position: usize) -> u8 {
        self.bytes[position]
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Result<u16, Flaw> {
        self.array().map(u16::from_le_bytes)
    }

    #[inline]
    pub(super) fn u64(&mut self) -> Result<u64, Flaw> {
        self.array().map(u64::from_le_bytes)
    }

    #[inline]
    pub(crate) fn f64(&mut self) -> Result<f64, Flaw> {
        self.u64().map(f64::from_bits)
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Flaw> {
        let mut value = 0_u64;
        for index in 0..VARINT_BYTES_MAX {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if index == VARINT_BYTES_MAX - 1 && byte > 1 {
                return Err(Flaw::NumberTooLong);
            }
            value |= part << (7 * index);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Flaw::NumberTooLong)
    }

    #[inline]
    pub(crate) fn signed(&mut self) -> Result<i64, Flaw> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Reads a number that was written as its difference from `base`.
    #[inline]
    pub(super) fn difference(&mut self, base: u64) -> Result<u64, Flaw> {
        self.signed().map(|difference| base.wrapping_add(difference as u64))
    }

    /// Reads a number that must be below `end`.
    #[inline]
    pub(super) fn below(&mut self, end: usize, what: &'static str) -> Result<u16, Flaw> {
        let found = self.varint()?;
        match u16::try_from(found) {
            Ok(value) if usize::from(value) < end => Ok(value),
            Ok(_) | Err(_) => Err(Flaw::OutOfRange { what, found, end: end as u64 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_as_they_were_written(value: u64, signed: i64, base: u64) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            put_signed(&mut bytes, signed);
            put_difference(&mut bytes, base, value);
            let mut cursor = Cursor::new(&bytes, 0);
            prop_assert_eq!(cursor.varint(), Ok(value));
            prop_assert_eq!(cursor.signed(), Ok(signed));
            prop_assert_eq!(cursor.difference(base), Ok(value));
            prop_assert_eq!(cursor.position(), bytes.len());
        }
    }

    #[test]
    fn a_number_beyond_64_bits_is_refused() {
        let largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
        assert_eq!(Cursor::new(&largest, 0).varint(), Ok(u64::MAX));
        let mut beyond = largest;
        beyond[9] = 2;
        assert_eq!(Cursor::new(&beyond, 0).varint(), Err(Flaw::NumberTooLong));
        assert_eq!(Cursor::new(&[0x80; 20], 0).varint(), Err(Flaw::NumberTooLong));
    }

    #[test]
    fn reading_beyond_the_end_is_refused() {
        assert_eq!(Cursor::new(&[0x80], 0).varint(), Err(Flaw::RecordEnds));
        assert_eq!(Cursor::new(&[1, 2, 3], 0).u64(), Err(Flaw::RecordEnds));
        assert_eq!(Cursor::new(&[1, 2, 3], 1).range(2), Ok(1..3));
        assert_eq!(Cursor::new(&[1, 2, 3], 1).range(3), Err(Flaw::RecordEnds));
        assert_eq!(Cursor::new(&[1, 2, 3], 1).range(u64::MAX), Err(Flaw::RecordEnds));
    }
}
