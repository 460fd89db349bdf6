//! The words for bytes on a fieldbus connection: what Modbus says in them, as far as that can be read, and the bytes themselves.
//!
//! A record holds the bytes that came together, not a frame. What begins with the end of one, or ends with the beginning of one,
//! is not put together with its neighbors: the words say where reading ended. Nor is it known what was asked: an answer's words
//! leave out what the answer does. Bytes that are a whole frame of a serial line by their checksum, and say
//! something, are told as one.

use std::fmt::Write;

use r_ems_engine::fieldbus::frame::{Assembler, Frame};
use r_ems_engine::fieldbus::pdu::{Answer, REFUSES, Registers, Request, Table};
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::fieldbus::rtu;

/// Bytes of a frame before its data unit.
const HEADER_BYTES: usize = 7;

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speaker {
    /// A device: what may be an answer is one.
    Device,
    /// A controller.
    Controller,
}

/// What arrived from devices.
pub(super) fn received(bytes: &[u8]) -> String {
    said(bytes, Speaker::Device)
}

/// What was sent to devices.
pub(super) fn sent(bytes: &[u8]) -> String {
    said(bytes, Speaker::Controller)
}

/// Two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes all text");
    }
    text
}

fn said(bytes: &[u8], speaker: Speaker) -> String {
    if let Some(words) = rtu::whole(bytes).and_then(|frame| known(&frame, speaker)) {
        return format!("{words} ({})", hex(bytes));
    }
    let (mut parts, mut read) = (Vec::new(), 0);
    let outcome = Assembler::default().feed(bytes, |frame| {
        parts.push(words(&frame, speaker));
        read += HEADER_BYTES + frame.pdu.len();
    });
    match outcome {
        Err(flaw) => parts.push(format!("no beginning of a frame: {flaw}")),
        Ok(()) if read < bytes.len() => parts.push(format!("the first {} B of a frame", bytes.len() - read)),
        Ok(()) if bytes.is_empty() => parts.push(String::from("nothing")),
        Ok(()) => {}
    }
    format!("{} ({})", parts.join(", "), hex(bytes))
}

fn words(frame: &Frame<'_>, speaker: Speaker) -> String {
    let Frame { unit, pdu, .. } = *frame;
    let unread =
        || format!("unit {unit} function {} in {} B that are no such request or answer", pdu[0], pdu.len());
    known(frame, speaker).unwrap_or_else(unread)
}

/// What a frame says; `None`: it is no request and no answer.
fn known(frame: &Frame<'_>, speaker: Speaker) -> Option<String> {
    let Frame { transaction: _, unit, pdu } = *frame;
    let answered = match speaker {
        Speaker::Device => answer(pdu),
        Speaker::Controller => None,
    };
    let words = answered.or_else(|| Request::decode(pdu).ok().map(|request| asked(&request)));
    words.map(|words| format!("unit {unit} {words}"))
}

fn asked(request: &Request<'_>) -> String {
    match *request {
        Request::Read { table, address, count } => format!("read {} from {address}", entries(table, count)),
        Request::WriteCoil { address, is_on } => {
            format!("write {} to coil {address}", if is_on { "on" } else { "off" })
        }
        Request::WriteRegister { address, value } => format!("write {value} to holding register {address}"),
        Request::WriteCoils { address, bits } => {
            format!("write {} from {address}", entries(Table::Coils, bits.count()))
        }
        Request::WriteRegisters { address, registers } => {
            let written = entries(Table::HoldingRegisters, registers.count() as u16);
            format!("write {written} from {address}")
        }
        Request::MaskRegister { address, and, or } => {
            format!("mask holding register {address}: and {and:04x}, or {or:04x}")
        }
        Request::Exchange { read, count, address, registers } => {
            let written = entries(Table::HoldingRegisters, registers.count() as u16);
            let wanted = entries(Table::HoldingRegisters, count);
            format!("write {written} from {address}, read {wanted} from {read}")
        }
        Request::Identify { detail, object } => format!("identify, detail {detail}, from object {object}"),
    }
}

/// What the bytes say as an answer; `None`: they are none to any request.
fn answer(pdu: &[u8]) -> Option<String> {
    let (function, rest) = pdu.split_first()?;
    if let [code] = *rest
        && function & REFUSES != 0
    {
        return Some(format!("refuses function {}: {}", function & !REFUSES, Exception(code)));
    }
    if let (15 | 16, [high, low, more, fewer]) = (*function, rest) {
        let (address, count) = (u16::from_be_bytes([*high, *low]), u16::from_be_bytes([*more, *fewer]));
        return Some(format!("has done: write {} from {address}", entries(table(*function), count)));
    }
    let request = answered(*function, rest, pdu)?;
    Some(match request.answer(pdu).ok()? {
        Answer::Bits(bits) => format!("answers {} B of {}", bits.count() / 8, plural(table(*function))),
        Answer::Registers(registers) => {
            format!("answers {}", entries(table(*function), registers.count() as u16))
        }
        Answer::Written => format!("has done: {}", asked(&request)),
        Answer::Identity { more, count, .. } => {
            let objects = if count == 1 { "object" } else { "objects" };
            let more = more.map_or_else(String::new, |next| format!(", more from object {next}"));
            format!("answers {count} {objects} of its identity{more}")
        }
    })
}

/// A request that an answer of this function and length may be to.
fn answered<'b>(function: u8, rest: &[u8], pdu: &'b [u8]) -> Option<Request<'b>> {
    let bytes = u16::try_from(rest.len().checked_sub(1)?).ok()?;
    match function {
        1..=4 => {
            let table = table(function);
            let count = if table.is_of_bits() { bytes * 8 } else { bytes / 2 };
            Some(Request::Read { table, address: 0, count })
        }
        5 | 6 | 22 => Request::decode(pdu).ok(),
        23 => {
            let registers = Registers::new(&[])?;
            Some(Request::Exchange { read: 0, count: bytes / 2, address: 0, registers })
        }
        43 => Some(Request::Identify { detail: *rest.get(1)?, object: 0 }),
        _ => None,
    }
}

/// The table that a function reads or writes.
const fn table(function: u8) -> Table {
    match function {
        1 | 5 | 15 => Table::Coils,
        2 => Table::DiscreteInputs,
        4 => Table::InputRegisters,
        _of_registers => Table::HoldingRegisters,
    }
}

/// So many entries of a table.
fn entries(table: Table, count: u16) -> String {
    let words = plural(table);
    let words = if count == 1 { words.trim_end_matches('s') } else { words };
    format!("{count} {words}")
}

const fn plural(table: Table) -> &'static str {
    match table {
        Table::Coils => "coils",
        Table::DiscreteInputs => "discrete inputs",
        Table::HoldingRegisters => "holding registers",
        Table::InputRegisters => "input registers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::Words;
    use r_ems_engine::LocalTime;
    use r_ems_engine::fieldbus::frame;
    use r_ems_engine::fieldbus::pdu::{Bits, put_answer, put_exception};
    use r_ems_engine::ids::ConnectionIndex;
    use r_ems_engine::log::ControllerNames;
    use r_ems_engine::machine::Effect;

    fn framed(pdu: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, 1, 7, pdu);
        bytes
    }

    fn registers(bytes: &[u8]) -> Registers<'_> {
        Registers::new(bytes).expect("whole registers")
    }

    /// A request and its answer, and the words for both.
    type Exchanged<'b> = (Request<'b>, Answer<'b>, &'static str, &'static str);

    fn reads() -> Vec<Exchanged<'static>> {
        let read = |table, count| Request::Read { table, address: 40, count };
        let two = registers(&[0, 1, 0, 2]);
        let sixteen = Bits::new(&[5, 1], 16).expect("sixteen bits");
        let identity = Answer::Identity { more: Some(4), count: 1, objects: &[0, 2, b'o', b'k'] };
        vec![
            (
                read(Table::HoldingRegisters, 2),
                Answer::Registers(two),
                "read 2 holding registers from 40",
                "answers 2 holding registers",
            ),
            (
                read(Table::InputRegisters, 1),
                Answer::Registers(registers(&[0, 1])),
                "read 1 input register from 40",
                "answers 1 input register",
            ),
            (read(Table::Coils, 16), Answer::Bits(sixteen), "read 16 coils from 40", "answers 2 B of coils"),
            (
                read(Table::DiscreteInputs, 16),
                Answer::Bits(sixteen),
                "read 16 discrete inputs from 40",
                "answers 2 B of discrete inputs",
            ),
            (
                Request::Identify { detail: 1, object: 0 },
                identity,
                "identify, detail 1, from object 0",
                "answers 1 object of its identity, more from object 4",
            ),
        ]
    }

    fn writes() -> Vec<Exchanged<'static>> {
        let two = registers(&[0, 1, 0, 2]);
        let bits = Bits::new(&[5, 1], 9).expect("nine bits");
        vec![
            (
                Request::WriteCoil { address: 3, is_on: true },
                Answer::Written,
                "write on to coil 3",
                "has done: write on to coil 3",
            ),
            (
                Request::WriteRegister { address: 40, value: 65_000 },
                Answer::Written,
                "write 65000 to holding register 40",
                "has done: write 65000 to holding register 40",
            ),
            (
                Request::WriteCoils { address: 3, bits },
                Answer::Written,
                "write 9 coils from 3",
                "has done: write 9 coils from 3",
            ),
            (
                Request::WriteRegisters { address: 40, registers: two },
                Answer::Written,
                "write 2 holding registers from 40",
                "has done: write 2 holding registers from 40",
            ),
            (
                Request::MaskRegister { address: 40, and: 0xff, or: 0x100 },
                Answer::Written,
                "mask holding register 40: and 00ff, or 0100",
                "has done: mask holding register 40: and 00ff, or 0100",
            ),
            (
                Request::Exchange { read: 50, count: 2, address: 40, registers: registers(&[0, 1]) },
                Answer::Registers(two),
                "write 1 holding register from 40, read 2 holding registers from 50",
                "answers 2 holding registers",
            ),
        ]
    }

    #[test]
    fn each_request_and_its_answer_are_told_in_words() {
        for (request, answer, asks, answers) in [reads(), writes()].concat() {
            let bytes = framed(|out| request.encode(out));
            assert_eq!(sent(&bytes), format!("unit 7 {asks} ({})", hex(&bytes)));
            let bytes = framed(|out| put_answer(out, &request, &answer));
            assert_eq!(received(&bytes), format!("unit 7 {answers} ({})", hex(&bytes)));
        }
    }

    #[test]
    fn what_a_frame_sends_is_told_where_its_bytes_are_there() {
        let names =
            ControllerNames { grid: "g".into(), id: "a".into(), devices: Vec::new(), functions: Vec::new() };
        let words = Words::of(&names);
        let bytes = framed(|out| Request::WriteRegister { address: 40, value: 5 }.encode(out));
        let of = |first, length| {
            let connection = ConnectionIndex(3);
            let effect = Effect::Frame { connection, first, length, chain: 0x0102, write: None };
            words.effect_and_frame(&effect, &[&[9, 9], &bytes[..]].concat(), LocalTime::ZERO)
        };
        let told = "send 12 B of chain 0000000000000102 on connection 3";
        let whole = format!("{told}: unit 7 write 5 to holding register 40 (000100000006070600280005)");
        assert_eq!(of(2, 12), whole);
        // A log holds no bytes of it, and what it says of them may be wrong.
        for (first, length) in [(3, 12), (0, u32::MAX), (u32::MAX, 12), (u32::MAX, u32::MAX)] {
            let told = told.replacen("12", &length.to_string(), 1);
            assert_eq!(of(first, length), told);
        }
    }

    #[test]
    fn a_refusal_says_of_what_and_why() {
        let bytes = framed(|out| put_exception(out, 16, Exception::ILLEGAL_ADDRESS));
        assert_eq!(received(&bytes), "unit 7 refuses function 16: illegal data address (000100000003079002)");
    }

    #[test]
    fn a_frame_of_a_serial_line_is_told_in_the_same_words() {
        let mut bytes = Vec::new();
        rtu::put(&mut bytes, 7, |out| out.extend_from_slice(&[3, 0, 40, 0, 6]));
        assert_eq!(sent(&bytes), format!("unit 7 read 6 holding registers from 40 ({})", hex(&bytes)));
        let mut bytes = Vec::new();
        rtu::put(&mut bytes, 7, |out| out.extend_from_slice(&[3, 2, 0, 5]));
        assert_eq!(received(&bytes), format!("unit 7 answers 1 holding register ({})", hex(&bytes)));
    }

    #[test]
    fn what_is_no_answer_is_told_as_a_request_and_what_is_neither_by_its_function() {
        let request = framed(|out| out.extend_from_slice(&[3, 0, 40, 0, 6]));
        assert_eq!(received(&request), "unit 7 read 6 holding registers from 40 (000100000006070300280006)");
        let unread = framed(|out| out.extend_from_slice(&[99, 1]));
        assert!(
            received(&unread).starts_with("unit 7 function 99 in 2 B that are no such request or answer (")
        );
    }

    #[test]
    fn what_is_cut_or_no_frame_is_told_as_far_as_it_can_be_read() {
        let whole = framed(|out| out.extend_from_slice(&[3, 2, 0, 5]));
        let both = [&whole[..], &whole[..4]].concat();
        let answer = "unit 7 answers 1 holding register";
        assert_eq!(received(&both), format!("{answer}, the first 4 B of a frame ({})", hex(&both)));
        assert_eq!(received(&whole[..1]), "the first 1 B of a frame (00)");
        let broken = [&whole[..], &[0, 1, 0, 9, 0, 2]].concat();
        let flaw = "no beginning of a frame: protocol 9, where Modbus is 0";
        assert_eq!(received(&broken), format!("{answer}, {flaw} ({})", hex(&broken)));
        assert_eq!(received(&[]), "nothing ()");
    }

    #[test]
    fn no_bytes_panic_whatever_their_function_and_length() {
        for function in 0..=u8::MAX {
            for length in 0..12 {
                for fill in [0, 1, 2, 3, 0x80, 0xff] {
                    let bytes = framed(|out| {
                        out.push(function);
                        out.extend(std::iter::repeat_n(fill, length));
                    });
                    assert!(received(&bytes).starts_with("unit 7 "));
                    assert!(sent(&bytes).starts_with("unit 7 "));
                }
            }
        }
    }
}
