//! What one member of a council sends another on a real network: bytes, as a driver carries them.
//!
//! ```text
//! letter = format u8, grid u64, from seat u8, to seat u8, kind u8 (0: message, 1: unit of state), its bytes
//! ```
//!
//! A grid is named by a digest of its name: hosts whose site files list grids in another order understand each other all the
//! same. Whether two hosts agree on the rules is told by each message itself, see [`Message::section`].
//!
//! It must never take bytes that are no letter; who sent them is for the network to prove.

use alloc::vec::Vec;

use super::epoch::{MAX_SEATS, Seat};
use super::message::Message;
use crate::digest::Digest;
use crate::log::codec;

/// The number of the format; a letter of another is not read.
pub const FORMAT: u8 = 1;
/// All bytes before the content.
pub const HEAD_BYTES: usize = 12;

const MESSAGE: u8 = 0;
const UNIT: u8 = 1;

/// A letter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Letter<'a> {
    /// See [`name_of`].
    pub grid: u64,
    /// Who wrote it.
    pub from: Seat,
    /// For whom it is.
    pub to: Seat,
    /// What it says.
    pub content: Content<'a>,
}

/// What a letter says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Content<'a> {
    /// A message.
    Message(Message),
    /// A unit of state, see [`super::transfer`].
    Unit(&'a [u8]),
}

/// By what letters name the grid with this name.
pub fn name_of(grid: &str) -> u64 {
    Digest::of(grid.as_bytes()).word()
}

impl<'a> Letter<'a> {
    /// Appends its bytes to `bytes`.
    pub fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(FORMAT);
        bytes.extend_from_slice(&self.grid.to_le_bytes());
        bytes.extend_from_slice(&[self.from.0, self.to.0]);
        match &self.content {
            Content::Message(message) => {
                bytes.push(MESSAGE);
                codec::encode(message, bytes);
            }
            Content::Unit(unit) => {
                bytes.push(UNIT);
                bytes.extend_from_slice(unit);
            }
        }
    }

    /// Reads a letter; `None`: the bytes are none.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (head, body) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let [format, grid @ .., from, to, kind] = *head;
        let is_seat = |seat: u8| usize::from(seat) < MAX_SEATS;
        if format != FORMAT || !is_seat(from) || !is_seat(to) {
            return None;
        }
        let content = match kind {
            MESSAGE => Content::Message(codec::decode(body).ok()?),
            UNIT => Content::Unit(body),
            _ => return None,
        };
        Some(Letter { grid: u64::from_le_bytes(grid), from: Seat(from), to: Seat(to), content })
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;
    use crate::redundancy::Epoch;
    use crate::redundancy::message;

    const LETTER: Letter<'_> = Letter {
        grid: 0x0102_0304_0506_0708,
        from: Seat(2),
        to: Seat(15),
        content: Content::Message(Message {
            section: 7,
            incarnation: 300,
            content: message::Content::Request { number: 5, epoch: Epoch { round: 9, seat: Seat(2) } },
        }),
    };

    fn bytes(letter: &Letter<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        letter.put(&mut bytes);
        bytes
    }

    #[test]
    fn a_letter_has_golden_bytes_and_is_read_as_it_was_written() {
        let hex: String = bytes(&LETTER).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "010807060504030201020f0007fb2c0101050902");
        assert_eq!(Letter::parse(&bytes(&LETTER)), Some(LETTER));
        for unit in [&b""[..], b"state"] {
            let letter = Letter { content: Content::Unit(unit), ..LETTER };
            assert_eq!(Letter::parse(&bytes(&letter)), Some(letter));
        }
    }

    #[test]
    fn what_is_cut_longer_or_foreign_is_no_letter() {
        let whole = bytes(&LETTER);
        for length in 0..whole.len() {
            assert_eq!(Letter::parse(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(Letter::parse(&[&whole[..], &[0]].concat()), None);
        for (place, value) in [(0, FORMAT + 1), (9, 16), (10, 16), (11, 2)] {
            let mut wrong = whole.clone();
            wrong[place] = value;
            assert_eq!(Letter::parse(&wrong), None, "byte {place}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80)) {
            let _read = Letter::parse(&[&[FORMAT, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2][..], &bytes].concat());
            let _read = Letter::parse(&bytes);
        }
    }
}
