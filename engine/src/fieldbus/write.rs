//! Requests that write: the numbers of a set-point in a row, or of a heartbeat.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::framing::Framing;
use super::map::{MapFlaw, Writes};
use super::pdu::{Bits, MAX_BITS_WRITTEN, MAX_REGISTERS_WRITTEN, Registers, Request, Table};
use super::plan::Piece;
use super::register::{Layout, NumberType, OutOfRange};
use crate::machine::SetPointWrite;
use crate::math::{at_least, at_most};
use crate::time::Span;

/// Most registers, or coils, of one request that writes a set-point: a few numbers.
pub const MAX_WRITE_REGISTERS: u16 = 32;
const _: () = assert!(MAX_WRITE_REGISTERS <= MAX_REGISTERS_WRITTEN);
const _: () = assert!(MAX_WRITE_REGISTERS <= MAX_BITS_WRITTEN);

/// One request of those that write a set-point: numbers in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The first holding register, or the first coil.
    pub address: u16,
    /// The function that writes it.
    pub function: WriteFunction,
    /// Whether they are read after it, and must hold what was written, before anything goes on.
    pub is_read_back: bool,
    /// What is written, one after the other.
    pub fields: Vec<WrittenField>,
}

/// Which function of Modbus writes a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteFunction {
    /// 6: one register.
    Register,
    /// 16: registers in a row.
    #[default]
    Registers,
    /// 22: some bits of one register; the device keeps the others.
    Mask,
    /// 23: registers in a row, which are read back by the same request.
    Exchange,
    /// 5: one coil.
    Coil,
    /// 15: coils in a row.
    Coils,
}

impl WriteFunction {
    /// Its number on the wire.
    pub const fn number(self) -> u8 {
        match self {
            Self::Register => 6,
            Self::Registers => 16,
            Self::Mask => 22,
            Self::Exchange => 23,
            Self::Coil => 5,
            Self::Coils => 15,
        }
    }

    /// What it writes to.
    pub const fn table(self) -> Table {
        match self {
            Self::Register | Self::Registers | Self::Mask | Self::Exchange => Table::HoldingRegisters,
            Self::Coil | Self::Coils => Table::Coils,
        }
    }
}

/// The coils of one request, as they travel.
type PackedCoils = [u8; MAX_WRITE_REGISTERS.div_ceil(8) as usize];

/// One number of a request that writes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenField {
    /// What it says.
    pub content: FieldContent,
    /// How it lies there.
    pub layout: Layout,
    /// No more of a set-point is written than this, in W, either way: the device has no more, and may refuse to be asked for it.
    pub most: Option<f64>,
}

/// What a written number says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldContent {
    /// The set-point, W, in the device's own sign.
    SetPoint,
    /// The reactive set-point, var, in the device's own sign.
    ReactiveSetPoint,
    /// Whether the set-point switches the device on: 1 where it is not 0 W, else 0.
    Switch,
    /// The fencing number of the authority under which it was decided.
    Epoch,
    /// Always the same, such as a reversion time or a bit that enables the set-point.
    Constant(f64),
    /// Of a heartbeat: one more than the last time, and 0 after the highest that there is room for.
    Counter,
    /// Of a heartbeat: 0 and 1 in turn.
    Toggle,
}

/// What a device expects to be written again and again, each time another number, or else it falls back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// How long it waits for the next one; positive.
    pub timeout: Span,
    /// The request that writes it.
    pub request: WriteRequest,
}

impl Heartbeat {
    /// So many of them come within the time that the device waits: it does not notice that one is late.
    pub const IN_TIMEOUT: u64 = 3;
    /// When it has acknowledged none for so many intervals, that is told.
    pub const UNHEARD: u64 = Self::IN_TIMEOUT - 1;

    /// How long after one the next is due.
    pub fn interval(&self) -> Span {
        Self::interval_in(self.timeout)
    }

    /// The same, of a device that waits so long.
    pub fn interval_in(timeout: Span) -> Span {
        Span::from_nanos(timeout.as_nanos() / Self::IN_TIMEOUT)
    }
}

impl WriteRequest {
    /// Whether a device can be asked this.
    pub(super) fn check(&self, which: Writes) -> Result<(), MapFlaw> {
        let registers = self.registers();
        let is_possible = (1..=usize::from(MAX_WRITE_REGISTERS)).contains(&registers)
            && usize::from(self.address) + registers <= 1 << 16
            && match self.function {
                WriteFunction::Register | WriteFunction::Coil => registers == 1,
                WriteFunction::Mask
                | WriteFunction::Registers
                | WriteFunction::Exchange
                | WriteFunction::Coils => true,
            };
        if !is_possible {
            return Err(MapFlaw::Write { which, registers });
        }
        let is_coil = self.function.table().is_of_bits();
        if is_coil && !self.fields.iter().all(WrittenField::is_bit) {
            return Err(MapFlaw::Coil { which });
        }
        let is_mask = self.function == WriteFunction::Mask;
        if is_mask && (self.fields.len() != 1 || self.mask() == u16::MAX) {
            return Err(MapFlaw::Mask { which });
        }
        let clears = |field: &WrittenField| !is_mask && !is_coil && !field.layout.number.fills_registers();
        if let Some(value) = self.fields.iter().position(clears) {
            return Err(MapFlaw::Clears { which, value, function: self.function });
        }
        for field in &self.fields {
            if let FieldContent::Constant(value) = field.content {
                field.layout.registers(value).map_err(|error| MapFlaw::Constant { which, error })?;
            }
        }
        Ok(())
    }

    /// How many of its numbers are such.
    pub(super) fn count(&self, is_such: impl Fn(FieldContent) -> bool) -> usize {
        self.fields.iter().filter(|field| is_such(field.content)).count()
    }

    /// Whether all its numbers of a set-point have room in their registers.
    pub(super) fn has_room(&self, write: &SetPointWrite) -> bool {
        self.fields.iter().all(|field| field.layout.registers(field.of(write)).is_ok())
    }

    /// Adds the data unit that writes this of a set-point.
    ///
    /// # Errors
    /// [`OutOfRange`] if one of the numbers has no room in its registers; nothing was added.
    pub fn encode(&self, write: &SetPointWrite, pdu: &mut Vec<u8>) -> Result<(), OutOfRange> {
        let mut bytes = [0; 2 * MAX_WRITE_REGISTERS as usize];
        let mut length = 0;
        for field in &self.fields {
            let written = field.layout.registers(field.of(write))?;
            bytes[length..length + written.bytes().len()].copy_from_slice(written.bytes());
            length += written.bytes().len();
        }
        self.request(&bytes[..length], &mut PackedCoils::default()).encode(pdu);
        Ok(())
    }

    /// What it asks of a device, with the bytes of all its registers, or of its coils as such.
    fn request<'b>(&self, bytes: &'b [u8], packed: &'b mut PackedCoils) -> Request<'b> {
        let address = self.address;
        let registers = Registers::new(bytes).expect("numbers take whole registers");
        let first = registers.iter().next().expect("a request writes something");
        match self.function {
            WriteFunction::Register => Request::WriteRegister { address, value: first },
            WriteFunction::Registers => Request::WriteRegisters { address, registers },
            WriteFunction::Mask => Request::MaskRegister { address, and: !self.mask(), or: first },
            WriteFunction::Exchange => {
                Request::Exchange { read: address, count: registers.count() as u16, address, registers }
            }
            WriteFunction::Coil => Request::WriteCoil { address, is_on: first != 0 },
            WriteFunction::Coils => Request::WriteCoils { address, bits: Bits::packed(registers, packed) },
        }
    }

    /// Whether these are the registers after this of a set-point was written.
    pub fn is_held(&self, write: &SetPointWrite, registers: Registers<'_>) -> bool {
        let mut first = 0;
        registers.count() == self.registers()
            && self.fields.iter().all(|field| {
                let count = field.layout.number.registers();
                let held = registers.part(first, count);
                first += count;
                let written = field.layout.registers(field.of(write)).ok();
                held.zip(written).is_some_and(|(held, written)| field.layout.are_alike(held, &written))
            })
    }

    /// In what steps a device takes the set-point that this writes, in W; `None`: it writes none.
    pub fn step(&self) -> Option<f64> {
        self.step_of(FieldContent::SetPoint)
    }

    /// In what steps a device takes the reactive set-point that this writes, in var; `None`: it writes none.
    pub fn reactive_step(&self) -> Option<f64> {
        self.step_of(FieldContent::ReactiveSetPoint)
    }

    fn step_of(&self, content: FieldContent) -> Option<f64> {
        let field = self.fields.iter().find(|field| field.content == content)?;
        Some(field.layout.scale.abs())
    }

    /// All registers that it writes.
    pub fn span(&self) -> Piece {
        let table = self.function.table();
        Piece { table, address: self.address, count: self.registers() as u16 }
    }

    /// Which bits of a register it writes.
    pub(super) fn bits_of(&self, address: u16) -> u16 {
        let is_there = address.checked_sub(self.address).is_some_and(|at| usize::from(at) < self.registers());
        match self.function {
            _ if !is_there => 0,
            WriteFunction::Mask => self.mask(),
            WriteFunction::Register
            | WriteFunction::Registers
            | WriteFunction::Exchange
            | WriteFunction::Coil
            | WriteFunction::Coils => u16::MAX,
        }
    }

    /// The first register or coil in which both write the same bits.
    pub(super) fn meets(&self, other: &Self) -> Option<u16> {
        let Piece { table, address, count } = self.span();
        let count = if table == other.span().table { count } else { 0 };
        (0..count)
            .map(|at| address + at)
            .find(|address| self.bits_of(*address) & other.bits_of(*address) != 0)
    }

    /// Which bits of the first register are written.
    fn mask(&self) -> u16 {
        self.fields.first().map_or(0, |field| field.layout.number.mask() as u16)
    }

    /// How long its frame takes to pass, and how long that of its answer.
    pub fn passes(&self, framing: Framing) -> (Span, Span) {
        let bytes = [0; 2 * MAX_WRITE_REGISTERS as usize];
        framing.exchange_passes(&self.request(&bytes[..2 * self.registers()], &mut PackedCoils::default()))
    }

    /// Where the epoch lies, if this writes one.
    pub fn epoch(&self) -> Option<(Piece, Layout)> {
        let mut epochs = self.pieces().filter(|(_, field)| field.content == FieldContent::Epoch);
        epochs.next().map(|(piece, field)| (piece, field.layout))
    }

    /// How many registers, or coils, it writes.
    pub fn registers(&self) -> usize {
        self.fields.iter().map(|field| field.layout.number.registers()).sum()
    }

    /// What it writes, and where each number lies.
    pub fn pieces(&self) -> impl Iterator<Item = (Piece, &WrittenField)> {
        let mut address = self.address;
        self.fields.iter().map(move |field| {
            let count = field.layout.number.registers() as u16;
            let piece = Piece { table: self.function.table(), address, count };
            address = address.wrapping_add(count);
            (piece, field)
        })
    }
}

impl WrittenField {
    /// Whether a coil has room for it, whatever it is.
    fn is_bit(&self) -> bool {
        let may_be = match self.content {
            FieldContent::Constant(_) | FieldContent::Toggle | FieldContent::Switch => true,
            FieldContent::SetPoint
            | FieldContent::ReactiveSetPoint
            | FieldContent::Epoch
            | FieldContent::Counter => false,
        };
        may_be && self.layout.number == NumberType::BIT
    }

    /// The number for a write.
    fn of(&self, write: &SetPointWrite) -> f64 {
        match self.content {
            FieldContent::SetPoint => {
                let value = write.value;
                self.most.map_or(value, |most| at_least(at_most(value, most), -most))
            }
            FieldContent::ReactiveSetPoint => write.reactive,
            FieldContent::Switch => f64::from(u8::from(write.value.abs() > 0.0)),
            FieldContent::Epoch => write.epoch as f64,
            FieldContent::Constant(value) => value,
            FieldContent::Counter => (write.value as u64 % self.layout.number.counts()) as f64,
            FieldContent::Toggle => (write.value as u64 % 2) as f64,
        }
    }
}

impl FieldContent {
    /// Whether it is another number each time.
    pub const fn changes(self) -> bool {
        match self {
            Self::Counter | Self::Toggle => true,
            Self::SetPoint | Self::ReactiveSetPoint | Self::Switch | Self::Epoch | Self::Constant(_) => false,
        }
    }
}
