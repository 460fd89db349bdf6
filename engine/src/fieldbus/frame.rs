//! Modbus TCP framing: the MBAP header in front of each protocol data unit.
//!
//! ```text
//! transaction (2) | protocol, 0 (2) | length (2) | unit (1) | protocol data unit (1 to 253)
//!                                       of what follows it
//! ```
//!
//! Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, section 3.1. A stream has no way to find the next frame
//! after one
//! that makes no sense, so a [`FrameFlaw`] is the end of its connection.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Most bytes of a protocol data unit.
pub const MAX_PDU_BYTES: usize = 253;
/// Most bytes of a frame.
pub const MAX_FRAME_BYTES: usize = HEADER_BYTES + MAX_PDU_BYTES;
/// Bytes of a frame before its data unit: transaction, protocol, length, unit.
pub const HEADER_BYTES: usize = 7;
/// The bytes up to and with the length.
const PREFIX_BYTES: usize = 6;

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'b> {
    /// What an answer repeats of its request.
    pub transaction: u16,
    /// Whom it is for, or from: a device, or one behind a gateway.
    pub unit: u8,
    /// The protocol data unit: 1 to [`MAX_PDU_BYTES`] bytes.
    pub pdu: &'b [u8],
}

/// Why a stream of bytes is no Modbus TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameFlaw {
    /// The protocol is not Modbus.
    Protocol(u16),
    /// The length is none that a frame may have.
    Length(u16),
}

impl fmt::Display for FrameFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(found) => write!(f, "protocol {found}, where Modbus is 0"),
            Self::Length(found) => {
                write!(f, "a length of {found} bytes, where 2 to {} are allowed", MAX_PDU_BYTES + 1)
            }
        }
    }
}

/// Adds a frame to `out`, with the data unit that `pdu` adds.
///
/// # Panics
/// If that is empty or longer than [`MAX_PDU_BYTES`]: whoever makes it keeps it within.
pub fn put(out: &mut Vec<u8>, transaction: u16, unit: u8, pdu: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&transaction.to_be_bytes());
    out.extend_from_slice(&[0, 0, 0, 0, unit]);
    pdu(out);
    let length = out.len() - start - HEADER_BYTES;
    assert!((1..=MAX_PDU_BYTES).contains(&length), "a data unit of {length} bytes");
    let counted = (length as u16 + 1).to_be_bytes();
    out[start + PREFIX_BYTES - 2..start + PREFIX_BYTES].copy_from_slice(&counted);
}

/// Makes frames of the pieces in which a stream arrives. It never holds more than one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assembler {
    /// The beginning of a frame whose rest has not arrived.
    begun: Vec<u8>,
}

impl Assembler {
    /// Takes what arrived, and gives `each` every frame that is whole with it.
    ///
    /// # Errors
    /// [`FrameFlaw`] at the first bytes that are no frame; nothing after them is looked at.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) -> Result<(), FrameFlaw> {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.begun.is_empty()
                && let Some(whole) = length(rest)?.filter(|whole| *whole <= rest.len())
            {
                each(frame(&rest[..whole]));
                rest = &rest[whole..];
                continue;
            }
            // The length is not known before the prefix is whole, and asks for no more than a frame has.
            let wanted = length(&self.begun)?.unwrap_or(PREFIX_BYTES);
            let taken = rest.len().min(wanted - self.begun.len());
            self.begun.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if length(&self.begun)? == Some(self.begun.len()) {
                each(frame(&self.begun));
                self.begun.clear();
            }
        }
        Ok(())
    }

    /// Forgets what had begun: the connection is another.
    pub fn clear(&mut self) {
        self.begun.clear();
    }
}

/// How many bytes the frame has that begins here, once so much of it is there that this is known.
fn length(begun: &[u8]) -> Result<Option<usize>, FrameFlaw> {
    let Some(prefix) = begun.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let [_, _, high, low, longer, shorter] = *prefix;
    let (protocol, counted) = (u16::from_be_bytes([high, low]), u16::from_be_bytes([longer, shorter]));
    if protocol != 0 {
        return Err(FrameFlaw::Protocol(protocol));
    }
    let is_possible = (2..=MAX_PDU_BYTES + 1).contains(&usize::from(counted));
    if is_possible { Ok(Some(PREFIX_BYTES + usize::from(counted))) } else { Err(FrameFlaw::Length(counted)) }
}

/// The parts of bytes that are one whole frame, if they are.
pub fn whole(bytes: &[u8]) -> Option<Frame<'_>> {
    let is_whole = length(bytes).ok().flatten() == Some(bytes.len());
    is_whole.then(|| frame(bytes))
}

/// The parts of a whole frame.
fn frame(whole: &[u8]) -> Frame<'_> {
    Frame {
        transaction: u16::from_be_bytes([whole[0], whole[1]]),
        unit: whole[6],
        pdu: &whole[HEADER_BYTES..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn bytes() -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, 0x0102, 7, |pdu| pdu.extend_from_slice(&[3, 0, 0, 0, 2]));
        put(&mut out, 0xffff, 0, |pdu| pdu.push(0x83));
        out
    }

    fn fed(pieces: &[&[u8]]) -> Result<Vec<(u16, u8, Vec<u8>)>, FrameFlaw> {
        let (mut assembler, mut frames) = (Assembler::default(), Vec::new());
        for piece in pieces {
            assembler
                .feed(piece, |frame| frames.push((frame.transaction, frame.unit, frame.pdu.to_vec())))?;
        }
        Ok(frames)
    }

    #[test]
    fn a_frame_is_the_header_of_the_standard_and_its_data_unit() {
        assert_eq!(bytes()[..12], [1, 2, 0, 0, 0, 6, 7, 3, 0, 0, 0, 2]);
        assert_eq!(bytes()[12..], [0xff, 0xff, 0, 0, 0, 2, 0, 0x83]);
    }

    #[test]
    fn frames_are_found_wherever_a_stream_is_cut() {
        let (whole, expected) = (bytes(), vec![(0x0102, 7, vec![3, 0, 0, 0, 2]), (0xffff, 0, vec![0x83])]);
        for first in 0..=whole.len() {
            for second in first..=whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                assert_eq!(fed(&pieces).as_ref(), Ok(&expected), "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn what_is_no_frame_ends_the_connection_and_asks_for_no_memory() {
        assert_eq!(fed(&[&[0, 1, 0, 1, 0, 6]]), Err(FrameFlaw::Protocol(1)));
        for length in [0, 1, 255, 0xffff] {
            let [high, low] = u16::to_be_bytes(length);
            assert_eq!(fed(&[&[0, 1, 0, 0], &[high, low, 1]]), Err(FrameFlaw::Length(length)));
        }
        assert!(fed(&[&[0, 1, 0, 0, 0, 254, 1]]).is_ok(), "the longest one");
    }
}
