//! Modbus protocol data units: what is asked for, what is answered, and whether an answer is one to what was asked.
//!
//! Source: MODBUS Application Protocol Specification V1.1b3; functions 1 to 6, 15, 16, 22, 23 and 43/14. Addresses are those
//! on the
//! wire, from 0. Nothing of an answer is believed: its function, its length and what it repeats of the request must fit.

use alloc::vec::Vec;

use super::frame::MAX_PDU_BYTES;
use super::refusal::{AnswerFlaw, Exception};

/// Most registers that one request reads.
pub const MAX_REGISTERS_READ: u16 = 125;
/// Most registers that one request writes.
pub const MAX_REGISTERS_WRITTEN: u16 = 123;
/// Most registers that a request writes which reads others.
pub const MAX_REGISTERS_EXCHANGED: u16 = 121;
/// Most bits that one request reads.
pub const MAX_BITS_READ: u16 = 2_000;
/// Bytes of the data unit that says that registers were written.
const WRITE_ANSWER_BYTES: usize = 5;
/// Bytes of the data unit that writes some bits of a register, and of its answer.
const MASK_BYTES: usize = 7;
/// Bytes of the data unit that says what was read, before that.
const READ_ANSWER_HEAD_BYTES: usize = 2;
/// Most bits that one request writes.
pub const MAX_BITS_WRITTEN: u16 = 1_968;

/// In the function of an answer: it refuses.
pub const REFUSES: u8 = 0x80;
const IDENTIFICATION: u8 = 43;
const DEVICE_IDENTIFICATION: u8 = 14;
/// Of an identity before its objects: two functions, detail, conformity, whether and where more follow, how many.
const IDENTITY_HEAD_BYTES: usize = 7;

/// The four tables of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Table {
    /// Bits that can be written.
    Coils,
    /// Bits that are only read.
    DiscreteInputs,
    /// Registers that can be written.
    HoldingRegisters,
    /// Registers that are only read.
    InputRegisters,
}

impl Table {
    /// Whether its entries are bits.
    pub const fn is_of_bits(self) -> bool {
        matches!(self, Self::Coils | Self::DiscreteInputs)
    }

    const fn read_function(self) -> u8 {
        match self {
            Self::Coils => 1,
            Self::DiscreteInputs => 2,
            Self::HoldingRegisters => 3,
            Self::InputRegisters => 4,
        }
    }
}

/// Registers as they travel: high byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers<'b>(&'b [u8]);

impl<'b> Registers<'b> {
    /// Of bytes; `None` if one is half there.
    pub const fn new(bytes: &'b [u8]) -> Option<Self> {
        if bytes.len().is_multiple_of(2) { Some(Self(bytes)) } else { None }
    }

    /// How many there are.
    pub const fn count(self) -> usize {
        self.0.len() / 2
    }

    /// Each of them, in order.
    pub fn iter(self) -> impl Iterator<Item = u16> + use<'b> {
        self.0.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
    }

    /// So many from the `first` on, if they are there.
    pub fn part(self, first: usize, count: usize) -> Option<Self> {
        self.0.get(first * 2..(first + count) * 2).map(Self)
    }

    /// Their bytes.
    pub const fn bytes(self) -> &'b [u8] {
        self.0
    }
}

/// Bits as they travel: the first in the lowest bit of the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits<'b> {
    bytes: &'b [u8],
    count: u16,
}

impl<'b> Bits<'b> {
    /// `count` bits; `None` if these are not the bytes of so many.
    pub fn new(bytes: &'b [u8], count: u16) -> Option<Self> {
        (bytes.len() == bytes_of_bits(count)).then_some(Self { bytes, count })
    }

    /// How many there are.
    pub const fn count(self) -> u16 {
        self.count
    }

    /// Of registers that are 0 or not, as many as there is room for, with their bytes in `bytes`.
    pub fn packed(registers: Registers<'_>, bytes: &'b mut [u8]) -> Self {
        bytes.fill(0);
        let count = registers.count().min(8 * bytes.len()) as u16;
        for (place, word) in (0..usize::from(count)).zip(registers.iter()) {
            bytes[place / 8] |= u8::from(word != 0) << (place % 8);
        }
        Self { bytes: &bytes[..bytes_of_bits(count)], count }
    }

    /// Adds them to others as registers that are 0 or 1.
    pub fn put_as_registers(self, out: &mut Vec<u8>) {
        let bits = (0..self.count).map(|place| self.get(place) == Some(true));
        out.extend(bits.flat_map(|is_on| u16::from(is_on).to_be_bytes()));
    }

    /// The bit at a place, if it is there.
    pub fn get(self, place: u16) -> Option<bool> {
        (place < self.count).then(|| self.bytes[usize::from(place / 8)] >> (place % 8) & 1 == 1)
    }
}

const fn bytes_of_bits(count: u16) -> usize {
    count.div_ceil(8) as usize
}

/// What is asked of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'b> {
    /// Functions 1 to 4: entries of a table.
    Read {
        /// Of which.
        table: Table,
        /// From which one on.
        address: u16,
        /// How many; 1 to [`MAX_BITS_READ`] or [`MAX_REGISTERS_READ`].
        count: u16,
    },
    /// Function 5: one coil.
    WriteCoil {
        /// Which.
        address: u16,
        /// Whether it is on.
        is_on: bool,
    },
    /// Function 6: one register.
    WriteRegister {
        /// Which.
        address: u16,
        /// What it is to hold.
        value: u16,
    },
    /// Function 15: coils in a row.
    WriteCoils {
        /// The first.
        address: u16,
        /// What they are to be; at most [`MAX_BITS_WRITTEN`].
        bits: Bits<'b>,
    },
    /// Function 16: registers in a row.
    WriteRegisters {
        /// The first.
        address: u16,
        /// What they are to hold; at most [`MAX_REGISTERS_WRITTEN`].
        registers: Registers<'b>,
    },
    /// Function 22: some bits of one register.
    MaskRegister {
        /// Which.
        address: u16,
        /// The bits that are kept.
        and: u16,
        /// What the others are to be.
        or: u16,
    },
    /// Function 23: registers in a row are written, then others are read.
    Exchange {
        /// The first that is read.
        read: u16,
        /// How many are read; at most [`MAX_REGISTERS_READ`].
        count: u16,
        /// The first that is written.
        address: u16,
        /// What is written; at most [`MAX_REGISTERS_EXCHANGED`].
        registers: Registers<'b>,
    },
    /// Function 43/14: who the device is, as a stream of objects from one on.
    Identify {
        /// 1: basic, 2: regular, 3: extended, 4: one object.
        detail: u8,
        /// From which object on.
        object: u8,
    },
}

/// What a device answers where it does what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'b> {
    /// The bits that were read.
    Bits(Bits<'b>),
    /// The registers that were read.
    Registers(Registers<'b>),
    /// What was to be written is.
    Written,
    /// Who it is: objects, each with its number, its length and its bytes.
    Identity {
        /// The object with which to go on, if there are more.
        more: Option<u8>,
        /// How many objects follow.
        count: u8,
        /// The objects.
        objects: &'b [u8],
    },
}

impl<'b> Request<'b> {
    /// The number of its function.
    pub const fn function(&self) -> u8 {
        match self {
            Self::Read { table, .. } => table.read_function(),
            Self::WriteCoil { .. } => 5,
            Self::WriteRegister { .. } => 6,
            Self::WriteCoils { .. } => 15,
            Self::WriteRegisters { .. } => 16,
            Self::MaskRegister { .. } => 22,
            Self::Exchange { .. } => 23,
            Self::Identify { .. } => IDENTIFICATION,
        }
    }

    /// Adds its data unit to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.function());
        match *self {
            Self::Read { address, count, .. } => put_words(out, &[address, count]),
            Self::WriteCoil { address, is_on } => put_words(out, &[address, coil(is_on)]),
            Self::WriteRegister { address, value } => put_words(out, &[address, value]),
            Self::WriteCoils { address, bits } => {
                put_words(out, &[address, bits.count]);
                out.push(bits.bytes.len() as u8);
                out.extend_from_slice(bits.bytes);
            }
            Self::WriteRegisters { address, registers } => {
                put_words(out, &[address, registers.count() as u16]);
                put_registers(out, registers);
            }
            Self::MaskRegister { address, and, or } => put_words(out, &[address, and, or]),
            Self::Exchange { read, count, address, registers } => {
                put_words(out, &[read, count, address, registers.count() as u16]);
                put_registers(out, registers);
            }
            Self::Identify { detail, object } => {
                out.extend_from_slice(&[DEVICE_IDENTIFICATION, detail, object]);
            }
        }
    }

    /// Reads a request, as a device does.
    ///
    /// # Errors
    /// The [`Exception`] that the device answers it with.
    pub fn decode(pdu: &'b [u8]) -> Result<Self, Exception> {
        let (function, rest) = pdu.split_first().ok_or(Exception::ILLEGAL_FUNCTION)?;
        let read = |table: Table| {
            let [address, count] = words(rest)?;
            let most = if table.is_of_bits() { MAX_BITS_READ } else { MAX_REGISTERS_READ };
            within(count, most)?;
            Ok(Self::Read { table, address, count })
        };
        match *function {
            1 => read(Table::Coils),
            2 => read(Table::DiscreteInputs),
            3 => read(Table::HoldingRegisters),
            4 => read(Table::InputRegisters),
            5 => {
                let [address, value] = words(rest)?;
                let is_on = value == coil(true);
                if !is_on && value != coil(false) {
                    return Err(Exception::ILLEGAL_VALUE);
                }
                Ok(Self::WriteCoil { address, is_on })
            }
            6 => words(rest).map(|[address, value]| Self::WriteRegister { address, value }),
            15 => {
                let (head, bytes) = counted(rest, 4)?;
                let [address, count] = words(head)?;
                within(count, MAX_BITS_WRITTEN)?;
                let bits = Bits::new(bytes, count).ok_or(Exception::ILLEGAL_VALUE)?;
                Ok(Self::WriteCoils { address, bits })
            }
            16 => {
                let (head, bytes) = counted(rest, 4)?;
                let [address, count] = words(head)?;
                let registers = registers(bytes, count, MAX_REGISTERS_WRITTEN)?;
                Ok(Self::WriteRegisters { address, registers })
            }
            22 => words(rest).map(|[address, and, or]| Self::MaskRegister { address, and, or }),
            23 => {
                let (head, bytes) = counted(rest, 8)?;
                let [read, count, address, written] = words(head)?;
                within(count, MAX_REGISTERS_READ)?;
                let registers = registers(bytes, written, MAX_REGISTERS_EXCHANGED)?;
                Ok(Self::Exchange { read, count, address, registers })
            }
            IDENTIFICATION => match *rest {
                [DEVICE_IDENTIFICATION, detail @ 1..=4, object] => Ok(Self::Identify { detail, object }),
                [DEVICE_IDENTIFICATION, _, _] => Err(Exception::ILLEGAL_VALUE),
                _ => Err(Exception::ILLEGAL_FUNCTION),
            },
            _ => Err(Exception::ILLEGAL_FUNCTION),
        }
    }

    /// How many bytes the data unit of the answer has that begins so, where the unit does what it was asked; `None`: more of it
    /// must be there for that to be known.
    pub fn answer_bytes(&self, begun: &[u8]) -> Option<usize> {
        let always = self.answer_bytes_always();
        if always.is_some() {
            return always;
        }
        let mut end = IDENTITY_HEAD_BYTES;
        for _object in 0..*begun.get(end - 1)? {
            if end > MAX_PDU_BYTES {
                break;
            }
            end += 2 + usize::from(*begun.get(end + 1)?);
        }
        Some(end)
    }

    /// How many bytes each answer to it has that is no refusal; `None`: that depends on what it says.
    fn answer_bytes_always(&self) -> Option<usize> {
        match *self {
            Self::Read { table, count, .. } if table.is_of_bits() => {
                Some(READ_ANSWER_HEAD_BYTES + bytes_of_bits(count))
            }
            Self::Read { count, .. } | Self::Exchange { count, .. } => {
                Some(READ_ANSWER_HEAD_BYTES + 2 * usize::from(count))
            }
            Self::MaskRegister { .. } => Some(MASK_BYTES),
            Self::WriteCoil { .. }
            | Self::WriteRegister { .. }
            | Self::WriteCoils { .. }
            | Self::WriteRegisters { .. } => Some(WRITE_ANSWER_BYTES),
            Self::Identify { .. } => None,
        }
    }

    /// Reads the answer to it.
    ///
    /// # Errors
    /// [`AnswerFlaw`] where the device refuses, and where the bytes are no answer to this request.
    pub fn answer<'a>(&self, pdu: &'a [u8]) -> Result<Answer<'a>, AnswerFlaw> {
        let length = |expected| Err(AnswerFlaw::Length { found: pdu.len(), expected });
        let Some((function, rest)) = pdu.split_first() else { return length(1) };
        if *function == self.function() | REFUSES {
            let [code] = *rest else { return length(2) };
            return Err(AnswerFlaw::Exception(Exception(code)));
        }
        if *function != self.function() {
            return Err(AnswerFlaw::Function(*function));
        }
        let expected = self.answer_bytes_always().unwrap_or_else(|| pdu.len().max(IDENTITY_HEAD_BYTES));
        if pdu.len() != expected {
            return length(expected);
        }
        match *self {
            Self::Read { .. } | Self::Exchange { .. } if usize::from(rest[0]) != rest.len() - 1 => {
                Err(AnswerFlaw::Content)
            }
            Self::Read { table, count, .. } if table.is_of_bits() => {
                Bits::new(&rest[1..], count).map(Answer::Bits).ok_or(AnswerFlaw::Content)
            }
            Self::Read { .. } | Self::Exchange { .. } => Ok(Answer::Registers(Registers(&rest[1..]))),
            Self::WriteCoil { address, is_on } => repeats(rest, &[address, coil(is_on)]),
            Self::WriteRegister { address, value } => repeats(rest, &[address, value]),
            Self::WriteCoils { address, bits } => repeats(rest, &[address, bits.count]),
            Self::WriteRegisters { address, registers } => {
                repeats(rest, &[address, registers.count() as u16])
            }
            Self::MaskRegister { address, and, or } => repeats(rest, &[address, and, or]),
            Self::Identify { detail, .. } => identity(rest, detail),
        }
    }
}

/// Adds the answer to `request` to `out`, as a device does.
pub fn put_answer(out: &mut Vec<u8>, request: &Request<'_>, answer: &Answer<'_>) {
    out.push(request.function());
    match *answer {
        Answer::Bits(bits) => {
            out.push(bits.bytes.len() as u8);
            out.extend_from_slice(bits.bytes);
        }
        Answer::Registers(registers) => put_registers(out, registers),
        Answer::Written => match *request {
            Request::WriteCoil { address, is_on } => put_words(out, &[address, coil(is_on)]),
            Request::WriteRegister { address, value } => put_words(out, &[address, value]),
            Request::WriteCoils { address, bits } => put_words(out, &[address, bits.count]),
            Request::WriteRegisters { address, registers } => {
                put_words(out, &[address, registers.count() as u16]);
            }
            Request::MaskRegister { address, and, or } => put_words(out, &[address, and, or]),
            Request::Read { .. } | Request::Exchange { .. } | Request::Identify { .. } => {}
        },
        Answer::Identity { more, count, objects } => {
            let detail = if let Request::Identify { detail, .. } = *request { detail } else { 1 };
            let (follows, next) = more.map_or((0, 0), |next| (0xff, next));
            out.extend_from_slice(&[DEVICE_IDENTIFICATION, detail, REFUSES | 3, follows, next, count]);
            out.extend_from_slice(objects);
        }
    }
}

/// Adds the refusal of a request of `function` to `out`, as a device does.
pub fn put_exception(out: &mut Vec<u8>, function: u8, exception: Exception) {
    out.extend_from_slice(&[function | REFUSES, exception.0]);
}

const fn coil(is_on: bool) -> u16 {
    if is_on { 0xff00 } else { 0 }
}

fn put_words(out: &mut Vec<u8>, words: &[u16]) {
    words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
}

fn put_registers(out: &mut Vec<u8>, registers: Registers<'_>) {
    out.push(registers.0.len() as u8);
    out.extend_from_slice(registers.0);
}

/// Exactly so many words.
fn words<const COUNT: usize>(bytes: &[u8]) -> Result<[u16; COUNT], Exception> {
    if bytes.len() != 2 * COUNT {
        return Err(Exception::ILLEGAL_VALUE);
    }
    let mut words = [0; COUNT];
    for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
        *word = u16::from_be_bytes([pair[0], pair[1]]);
    }
    Ok(words)
}

/// A head of so many bytes, then a count of bytes and exactly these.
fn counted(bytes: &[u8], head: usize) -> Result<(&[u8], &[u8]), Exception> {
    let (head, rest) = bytes.split_at_checked(head).ok_or(Exception::ILLEGAL_VALUE)?;
    match rest.split_first() {
        Some((count, rest)) if usize::from(*count) == rest.len() => Ok((head, rest)),
        Some(_) | None => Err(Exception::ILLEGAL_VALUE),
    }
}

const fn within(count: u16, most: u16) -> Result<(), Exception> {
    if count >= 1 && count <= most { Ok(()) } else { Err(Exception::ILLEGAL_VALUE) }
}

fn registers(bytes: &[u8], count: u16, most: u16) -> Result<Registers<'_>, Exception> {
    within(count, most)?;
    let registers = Registers::new(bytes).filter(|registers| registers.count() == usize::from(count));
    registers.ok_or(Exception::ILLEGAL_VALUE)
}

/// Whether an answer to a write repeats it.
fn repeats<'a>(rest: &[u8], asked: &[u16]) -> Result<Answer<'a>, AnswerFlaw> {
    let found = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
    if found.eq(asked.iter().copied()) { Ok(Answer::Written) } else { Err(AnswerFlaw::Echo) }
}

/// Who a device is: the head, and objects that fill the rest exactly.
fn identity(rest: &[u8], asked: u8) -> Result<Answer<'_>, AnswerFlaw> {
    let [DEVICE_IDENTIFICATION, detail, _conformity, follows, next, count, ref objects @ ..] = *rest else {
        return Err(AnswerFlaw::Content);
    };
    if detail != asked {
        return Err(AnswerFlaw::Echo);
    }
    let mut left = objects;
    for _object in 0..count {
        let [_number, length, ref more @ ..] = *left else { return Err(AnswerFlaw::Content) };
        left = more.get(usize::from(length)..).ok_or(AnswerFlaw::Content)?;
    }
    if !left.is_empty() {
        return Err(AnswerFlaw::Content);
    }
    Ok(Answer::Identity { more: (follows == 0xff).then_some(next), count, objects })
}
