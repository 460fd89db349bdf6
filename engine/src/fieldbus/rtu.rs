//! Modbus RTU framing: a unit in front of each protocol data unit, and a checksum behind it.
//!
//! ```text
//! unit (1) | protocol data unit (1 to 253) | CRC-16 (2), low byte first
//! ```
//!
//! Source: MODBUS over Serial Line Specification and Implementation Guide V1.02, sections 2.5.1 and 6.2.
//!
//! **Decision: a frame ends where what was asked says, not where the line is silent.** Adapters hand on what they receive in
//! pieces, up to 16 ms apart, and together what came apart: a program sees no silence of 1.75 ms. So an answer is looked for by
//! what is known of it: the unit and the function that were asked, the length of the answer to that request, and its checksum.
//! What cannot be the beginning of that is dropped, byte by byte: noise before an answer, a frame of an unknown function, an
//! adapter's echo of the request. What no answer follows ends with the next silence, which whoever sends keeps before each
//! request.
//!
//! An echo may begin as an answer would that is longer or shorter, and may hold bytes that begin as one: so what is no answer is
//! kept as long as it may become an echo, which is known as one when it is whole, and what comes behind it is looked at from its
//! beginning.
//!
//! An adapter that echoes what is sent is not told from a device where the answer repeats the whole request (functions 5, 6 and
//! 22).

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::frame::{Frame, MAX_PDU_BYTES};
use super::pdu::{REFUSES, Request};
use super::refusal::AnswerFlaw;

/// Bytes of a frame beside its data unit: unit and checksum.
pub const AROUND_BYTES: usize = 3;
/// Most bytes of a frame.
pub const MAX_RTU_BYTES: usize = AROUND_BYTES + MAX_PDU_BYTES;
/// The units that a line may have: 0 is all of them, and the last ones are reserved.
pub const UNITS: core::ops::RangeInclusive<u8> = 1..=247;

const CRC_BYTES: usize = 2;
/// x¹⁶ + x¹⁵ + x² + 1, its bits from the low one on.
const POLYNOMIAL: u16 = 0xa001;
/// Unit, function, code, checksum.
const REFUSAL_BYTES: usize = 5;

/// The checksum of a frame's unit and data unit.
pub const fn crc(bytes: &[u8]) -> u16 {
    let (mut crc, mut place) = (0xffff_u16, 0);
    while place < bytes.len() {
        crc ^= bytes[place] as u16;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 };
            bit += 1;
        }
        place += 1;
    }
    crc
}

/// Adds a frame to `out`, with the data unit that `pdu` adds.
///
/// # Panics
/// If that is empty or longer than [`MAX_PDU_BYTES`]: whoever makes it keeps it within.
pub fn put(out: &mut Vec<u8>, unit: u8, pdu: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.push(unit);
    pdu(out);
    let length = out.len() - start - 1;
    assert!((1..=MAX_PDU_BYTES).contains(&length), "a data unit of {length} bytes");
    let crc = crc(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
}

/// The parts of bytes that are one whole frame, if they are: its length and its checksum fit. It has no transaction.
pub fn whole(bytes: &[u8]) -> Option<Frame<'_>> {
    let is_possible = (AROUND_BYTES + 1..=MAX_RTU_BYTES).contains(&bytes.len());
    let (checked, found) = bytes.split_last_chunk::<CRC_BYTES>().filter(|_split| is_possible)?;
    let (unit, pdu) = checked.split_first()?;
    (crc(checked) == u16::from_le_bytes(*found)).then_some(Frame { transaction: 0, unit: *unit, pdu })
}

/// Finds the answer to one request in the pieces in which a stream arrives. It never holds more than one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assembler {
    /// What may be the beginning of the answer.
    begun: Vec<u8>,
}

/// What bytes may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// The beginning of the answer.
    Begun,
    /// The answer, which has so many bytes.
    Whole(usize),
    /// Neither, for so many bytes.
    Other(usize),
}

impl Assembler {
    /// Takes what arrived while a unit is asked `asked`, a data unit; the data unit of the answer, once it is whole.
    ///
    /// What refuses is an answer too. Nothing behind it is looked at: nothing else was asked.
    pub fn answer(&mut self, bytes: &[u8], unit: u8, asked: &[u8]) -> Option<&[u8]> {
        let request = Request::decode(asked).ok()?;
        for byte in bytes {
            self.begun.push(*byte);
            while let Some(look) = look(&self.begun, unit, (&request, asked)) {
                match look {
                    Look::Begun => break,
                    Look::Whole(length) => return Some(&self.begun[1..length - CRC_BYTES]),
                    Look::Other(length) => drop(self.begun.drain(..length)),
                }
            }
        }
        None
    }

    /// Forgets what had begun: something else is asked.
    pub fn clear(&mut self) {
        self.begun.clear();
    }
}

/// What bytes may be while this is asked of a unit, a request and its data unit; `None`: there are none.
fn look(begun: &[u8], unit: u8, (request, asked): (&Request<'_>, &[u8])) -> Option<Look> {
    let (first, rest) = begun.split_first()?;
    if *first != unit {
        return Some(Look::Other(1));
    }
    let Some(function) = rest.first() else { return Some(Look::Begun) };
    if is_echo(begun, asked) && request.answer(asked).is_err() {
        return Some(Look::Other(begun.len()));
    }
    let length = if *function == request.function() | REFUSES {
        REFUSAL_BYTES
    } else if *function == request.function() {
        match request.answer_bytes(rest) {
            Some(bytes) if bytes <= MAX_PDU_BYTES => bytes + AROUND_BYTES,
            Some(_) => return Some(Look::Other(1)),
            None => return Some(Look::Begun),
        }
    } else {
        return Some(Look::Other(1));
    };
    if begun.len() < length {
        return Some(Look::Begun);
    }
    let fits = whole(&begun[..length])
        .is_some_and(|frame| matches!(request.answer(frame.pdu), Ok(_) | Err(AnswerFlaw::Exception(_))));
    Some(match fits {
        true => Look::Whole(length),
        false if begins_echo(begun, asked) => Look::Begun,
        false => Look::Other(1),
    })
}

/// Whether bytes, which begin with the unit that is asked, are a part of the frame of a request that lacks its end.
fn begins_echo(begun: &[u8], asked: &[u8]) -> bool {
    let pdu = &begun[1..];
    match pdu.strip_prefix(asked) {
        None => asked.starts_with(pdu),
        Some([]) => true,
        Some([low]) => crc(&begun[..=asked.len()]).to_le_bytes()[0] == *low,
        Some(_) => false,
    }
}

/// Whether bytes are the whole frame of a request.
fn is_echo(begun: &[u8], asked: &[u8]) -> bool {
    begun.len() == asked.len() + AROUND_BYTES && whole(begun).is_some_and(|frame| frame.pdu == asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fieldbus::pdu::{Answer, Registers, Table, put_answer, put_exception};
    use crate::fieldbus::refusal::Exception;
    use proptest::prelude::*;

    const READ: Request<'static> = Request::Read { table: Table::HoldingRegisters, address: 10, count: 2 };

    fn framed(unit: u8, pdu: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, unit, pdu);
        out
    }

    fn asked(request: &Request<'_>) -> Vec<u8> {
        let mut pdu = Vec::new();
        request.encode(&mut pdu);
        pdu
    }

    fn answered(registers: &[u8]) -> Vec<u8> {
        let registers = Registers::new(registers).expect("whole registers");
        framed(7, |pdu| put_answer(pdu, &READ, &Answer::Registers(registers)))
    }

    /// What is found while unit 7 is asked for two registers.
    fn found(pieces: &[&[u8]]) -> Option<Vec<u8>> {
        let (mut assembler, asked) = (Assembler::default(), asked(&READ));
        pieces.iter().find_map(|piece| assembler.answer(piece, 7, &asked).map(<[u8]>::to_vec))
    }

    #[test]
    fn the_checksum_is_the_one_of_the_standard() {
        // Section 6.2.2 of the serial line guide: a frame to unit 2 with function 7.
        assert_eq!(framed(2, |pdu| pdu.push(7)), [2, 7, 0x41, 0x12]);
        // The check value of CRC-16/MODBUS.
        assert_eq!(crc(b"123456789"), 0x4b37);
    }

    #[test]
    fn an_answer_is_found_wherever_a_stream_is_cut_and_whatever_stands_before_it() {
        let answer = answered(&[0, 1, 0, 2]);
        assert_eq!(answer.len(), 9);
        let echo = framed(7, |pdu| READ.encode(pdu));
        let other = framed(7, |pdu| pdu.extend_from_slice(&[99, 1, 2, 3]));
        for before in [&[][..], &[0], &[0xff, 7], &[7, 3, 4, 0], &[7, 0x83], &echo, &other] {
            let bytes = [before, &answer, &[1, 2, 3]].concat();
            for cut in 0..=bytes.len() {
                let found = found(&[&bytes[..cut], &bytes[cut..]]);
                assert_eq!(found.as_deref(), Some(&[3, 4, 0, 1, 0, 2][..]), "{before:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_refusal_is_heard_behind_an_echo_of_what_was_asked() {
        let words = [7, 16, 7, 16, 7, 16, 0, 7];
        let registers = Registers::new(&words).expect("whole registers");
        let eight = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0x17, 0, 0];
        let eight = Registers::new(&eight).expect("whole registers");
        // An answer of 40 registers begins with the number of its bytes, 80, as a request for what lies behind 0x5000 does.
        let read = |address, count| Request::Read { table: Table::HoldingRegisters, address, count };
        let requests = [
            read(10, 1),
            read(10, 40),
            read(0x5000, 40),
            Request::WriteRegisters { address: 200, registers },
            Request::Exchange { read: 0x5000, count: 40, address: 200, registers },
            // Its echo is longer than its answer, and what stands behind that would begin another.
            Request::Exchange { read: 10, count: 5, address: 200, registers: eight },
            Request::Identify { detail: 1, object: 0 },
        ];
        for request in requests {
            let asked = asked(&request);
            let echo = framed(7, |pdu| pdu.extend_from_slice(&asked));
            let refusal = framed(7, |pdu| put_exception(pdu, request.function(), Exception::BUSY));
            for cut in 0..=echo.len() {
                let mut assembler = Assembler::default();
                assert_eq!(assembler.answer(&echo[..cut], 7, &asked), None, "{request:?}");
                let rest = [&echo[cut..], &refusal].concat();
                let heard = assembler.answer(&rest, 7, &asked);
                assert_eq!(heard, Some(&[request.function() | REFUSES, 6][..]), "{request:?}");
            }
        }
    }

    #[test]
    fn only_the_unit_the_function_and_the_length_that_were_asked_are_an_answer() {
        let answer = answered(&[0, 1, 0, 2]);
        let mut broken = answer.clone();
        broken[4] ^= 1;
        let others = [
            broken,
            answered(&[0, 1]),
            answered(&[0, 1, 0, 2, 0, 3]),
            framed(8, |pdu| pdu.extend_from_slice(&[3, 4, 0, 1, 0, 2])),
            framed(7, |pdu| pdu.extend_from_slice(&[4, 4, 0, 1, 0, 2])),
            framed(7, |pdu| put_exception(pdu, 4, Exception::BUSY)),
        ];
        for other in others {
            assert_eq!(found(&[&other]), None, "{other:?}");
        }
        let refusal = framed(7, |pdu| put_exception(pdu, 3, Exception::BUSY));
        assert_eq!(found(&[&refusal]), Some([0x83, 6].to_vec()));
    }

    #[test]
    fn a_write_is_answered_by_its_own_echo_only() {
        let words = [0, 1, 0, 2];
        let registers = Registers::new(&words).expect("whole registers");
        let request = Request::WriteRegisters { address: 200, registers };
        let (pdu, mut assembler) = (asked(&request), Assembler::default());
        let other = framed(7, |pdu| pdu.extend_from_slice(&[16, 0, 201, 0, 2]));
        let own = framed(7, |pdu| pdu.extend_from_slice(&[16, 0, 200, 0, 2]));
        assert_eq!(assembler.answer(&other, 7, &pdu), None);
        assert_eq!(assembler.answer(&own, 7, &pdu), Some(&[16, 0, 200, 0, 2][..]));
    }

    #[test]
    fn who_a_device_is_ends_where_its_objects_do() {
        let request = Request::Identify { detail: 1, object: 0 };
        let objects = [0, 2, b'o', b'k', 1, 0];
        let identity = Answer::Identity { more: None, count: 2, objects: &objects };
        let answer = framed(7, |pdu| put_answer(pdu, &request, &identity));
        let (pdu, mut assembler) = (asked(&request), Assembler::default());
        for byte in &answer[..answer.len() - 1] {
            assert_eq!(assembler.answer(&[*byte], 7, &pdu), None);
        }
        assert!(assembler.answer(&answer[answer.len() - 1..], 7, &pdu).is_some());
    }

    proptest! {
        #[test]
        fn no_bytes_take_more_memory_than_a_frame(
            pieces in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(7_u8), Just(43), Just(3), Just(14), any::<u8>()], 0..600),
                0..8,
            ),
            is_identity in any::<bool>(),
        ) {
            let request = if is_identity { Request::Identify { detail: 1, object: 0 } } else { READ };
            let (mut assembler, asked) = (Assembler::default(), asked(&request));
            for piece in pieces {
                assembler.answer(&piece, 7, &asked);
                prop_assert!(assembler.begun.len() <= MAX_RTU_BYTES);
            }
        }
    }
}
