//! What is written to a device: a page of raw words, as the standard has it, and what they come to.
//!
//! A register holds what was written there last until the device restarts, whether the device acts on it or not. It takes what
//! its map names, in whole requests: the function and the registers must be those of one of them. The words may be any.
//!
//! - **A set-point is taken when the last of its requests arrives,** and those before it have arrived in their order since the
//!   last one was taken. A request whose constants are others than those of the map has not arrived, nor has one that comes too
//!   early; one that is repeated has.
//! - **All that is written beside it must stand:** the time-out, the mode, the bit that enables it. Where a write changes that,
//!   the device follows its set-point no longer.
//! - **Bits that the map does not name are the device's own.** They are ones from the start, and whoever clears them has changed
//!   settings that nobody meant: a device takes no set-point without them, until it restarts.
//! - **A heartbeat is heard** by its number, whatever else is in its registers: it must be another than before.

use alloc::sync::Arc;
use alloc::vec::Vec;

use r_ems_engine::fieldbus::map::{DeviceMap, MappedPoint};
use r_ems_engine::fieldbus::pdu::{Bits, Registers, Request, Table};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::fieldbus::register::{Layout, MAX_VALUE_REGISTERS, NumberType};
use r_ems_engine::fieldbus::write::{FieldContent, Heartbeat, WriteFunction, WriteRequest, WrittenField};
use r_ems_engine::machine::Validity;

use super::models::Image;

/// The registers of a device that can be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    /// By table and address; coils are registers of one bit.
    registers: Vec<Register>,
    /// So many requests of a set-point have arrived in their order, and the last one has not.
    arrived: usize,
    /// Whether a set-point was written since the device began.
    has_set_point: bool,
    /// Whether that waits for the requests that come after it.
    waits: bool,
    /// The models of a device that has some.
    image: Option<Arc<Image>>,
}

#[derive(Clone, Copy, Debug)]
struct Register {
    table: Table,
    address: u16,
    word: u16,
    /// Which bits no number of the map has.
    own: u16,
}

/// What a request changes: registers in a row, or coils.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'b> {
    function: WriteFunction,
    address: u16,
    words: Words<'b>,
}

#[derive(Clone, Copy, Debug)]
enum Words<'b> {
    /// One word.
    One(u16),
    /// These.
    All(Registers<'b>),
    /// These coils.
    Coils(Bits<'b>),
    /// Of one word the bits of `and` are kept, and the others are those of `or`.
    Masked { and: u16, or: u16 },
}

/// What a write orders.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Order {
    /// Whether it is one of a set-point's requests, whatever it says.
    pub(crate) is_set_points: bool,
    /// The set-point that is taken with it, W, in the device's own sign.
    pub(crate) takes: Option<(f64, f64)>,
    /// Whether all stands that a set-point in force needs.
    pub(crate) stands: bool,
    /// The fencing number that came with it.
    pub(crate) epoch: Option<u64>,
    /// Whether it brings another heartbeat than the one before.
    pub(crate) beats: bool,
}

impl<'b> Change<'b> {
    /// What a request changes; `None`: it writes nothing.
    pub(crate) const fn of(request: &Request<'b>) -> Option<Self> {
        let (function, address, words) = match *request {
            Request::WriteRegister { address, value } => {
                (WriteFunction::Register, address, Words::One(value))
            }
            Request::WriteRegisters { address, registers } => {
                (WriteFunction::Registers, address, Words::All(registers))
            }
            Request::MaskRegister { address, and, or } => {
                (WriteFunction::Mask, address, Words::Masked { and, or })
            }
            Request::Exchange { address, registers, .. } => {
                (WriteFunction::Exchange, address, Words::All(registers))
            }
            Request::WriteCoil { address, is_on } => (WriteFunction::Coil, address, Words::One(is_on as u16)),
            Request::WriteCoils { address, bits } => (WriteFunction::Coils, address, Words::Coils(bits)),
            Request::Read { .. } | Request::Identify { .. } => return None,
        };
        Some(Self { function, address, words })
    }

    const fn count(&self) -> usize {
        match self.words {
            Words::One(_) | Words::Masked { .. } => 1,
            Words::All(registers) => registers.count(),
            Words::Coils(bits) => bits.count() as usize,
        }
    }

    /// Which bits of each word it writes.
    const fn bits(&self) -> u16 {
        match self.words {
            Words::One(_) | Words::All(_) | Words::Coils(_) => u16::MAX,
            Words::Masked { and, .. } => !and,
        }
    }

    /// What it makes of one of its words.
    fn applied(&self, place: usize, word: u16) -> u16 {
        match self.words {
            Words::One(value) => value,
            Words::All(registers) => registers.iter().nth(place).unwrap_or(word),
            Words::Coils(bits) => bits.get(place as u16).map_or(word, u16::from),
            Words::Masked { and, or } => word & and | or & !and,
        }
    }

    /// Whether it is made by the function of a request, and has its registers.
    fn fits(&self, request: &WriteRequest) -> bool {
        (self.function, self.address, self.count())
            == (request.function, request.address, request.registers())
    }

    /// Whether it writes all bits that a request writes, as one that fits.
    fn covers(&self, request: &WriteRequest) -> bool {
        request.fields.iter().all(|field| bits_of(field.layout.number) & !self.bits() == 0)
    }
}

impl Page {
    /// Has the registers that a map writes, and those of the models that it was made from.
    pub(crate) fn know(&mut self, map: &DeviceMap, image: Option<Arc<Image>>) {
        self.image = image;
        for (piece, field) in map.all_writes().flat_map(WriteRequest::pieces) {
            for address in addresses(piece) {
                let table = piece.table;
                let place = self.at(table, address).unwrap_or_else(|place| {
                    let own = if table.is_of_bits() { bits_of(NumberType::BIT) } else { u16::MAX };
                    self.registers.insert(place, Register { table, address, word: 0, own });
                    place
                });
                let register = &mut self.registers[place];
                register.own &= !bits_of(field.layout.number);
                register.word = register.own;
            }
        }
    }

    /// The device restarts, and knows nothing of what was written.
    pub(crate) fn restart(&mut self) {
        let mut registers = core::mem::take(&mut self.registers);
        registers.iter_mut().for_each(|register| register.word = register.own);
        *self = Self { registers, image: self.image.take(), ..Self::default() };
    }

    /// The registers and coils that can be written, with what they hold.
    pub(super) fn words(&self) -> impl Iterator<Item = (Piece, u16)> {
        self.registers.iter().map(|register| {
            let Register { table, address, word, .. } = *register;
            (Piece { table, address, count: 1 }, word)
        })
    }

    /// What one of its models' registers holds from the start.
    pub(super) fn shown(&self, address: u16) -> Option<u16> {
        self.image.as_ref()?.word(address)
    }

    /// What a point of its models reads from the start.
    pub(super) fn rated(&self, point: &MappedPoint) -> Option<f64> {
        let bytes = self.image.as_ref()?.read(point.piece())?;
        match point.value(Registers::new(&bytes)?) {
            (Validity::Valid, value) => Some(value),
            (Validity::NotInForce | Validity::Invalid, _) => None,
        }
    }

    /// The set-point that was written last, W, in the device's own sign; none before the first.
    pub(super) fn set_point(&self, map: &DeviceMap) -> Option<f64> {
        let power = self.written(map, FieldContent::SetPoint);
        let switch = self.written(map, FieldContent::Switch);
        // What is only switched on takes whatever power there is.
        let on = power.or(switch)?;
        let is_off = switch.is_some_and(|switch| switch.abs() <= 0.0);
        self.has_set_point.then_some(if is_off { 0.0 } else { on })
    }

    /// The reactive set-point that was written last, var, in the device's own sign; 0 where none is written.
    pub(crate) fn reactive(&self, map: &DeviceMap) -> f64 {
        self.written(map, FieldContent::ReactiveSetPoint).unwrap_or(0.0)
    }

    fn written(&self, map: &DeviceMap, content: FieldContent) -> Option<f64> {
        let mut pieces = map.writes().iter().flat_map(WriteRequest::pieces);
        let (piece, field) = pieces.find(|(_, field)| field.content == content)?;
        self.number(piece, &field.layout)
    }

    /// The set-point that was written and waits for what comes after it.
    pub(crate) fn waiting(&self, map: &DeviceMap) -> Option<f64> {
        self.set_point(map).filter(|_| self.waits)
    }

    /// The page after a change, and what that orders.
    ///
    /// # Errors
    /// What the device refuses with.
    pub(crate) fn changed(&self, map: &DeviceMap, change: &Change<'_>) -> Result<(Self, Order), Exception> {
        let asked: Vec<&WriteRequest> = map.all_writes().filter(|request| change.fits(request)).collect();
        if asked.is_empty() {
            return Err(Exception::ILLEGAL_ADDRESS);
        }
        let mut page = self.clone();
        for place in 0..change.count() {
            let address = change.address.wrapping_add(place as u16);
            let table = change.function.table();
            let register = page.at(table, address).map_err(|_| Exception::ILLEGAL_ADDRESS)?;
            let word = change.applied(place, page.registers[register].word);
            page.registers[register].word = word;
        }
        let mut epoch = None;
        for (piece, field) in asked.iter().flat_map(|request| request.pieces()) {
            let value = page.number(piece, &field.layout).ok_or(Exception::ILLEGAL_VALUE)?;
            match field.content {
                FieldContent::Epoch => epoch = Some(value as u64),
                FieldContent::SetPoint | FieldContent::Switch => {
                    (page.has_set_point, page.waits) = (true, true);
                }
                FieldContent::ReactiveSetPoint
                | FieldContent::Constant(_)
                | FieldContent::Counter
                | FieldContent::Toggle => {}
            }
        }
        let stands = page.stands(map);
        let takes = page
            .arrive(map, change)
            .filter(|()| stands)
            .and_then(|()| Some((page.waiting(map)?, page.reactive(map))));
        page.waits &= takes.is_none();
        let beats =
            map.heartbeat().is_some_and(|Heartbeat { request, .. }| page.beat(request) != self.beat(request));
        let is_set_points = map.writes().iter().any(|request| change.fits(request) && change.covers(request));
        Ok((page, Order { is_set_points, takes, stands, epoch, beats }))
    }

    /// One of a set-point's requests arrives, if it is its turn; `Some`: it was the last of them.
    fn arrive(&mut self, map: &DeviceMap, change: &Change<'_>) -> Option<()> {
        let is_it =
            |request: &WriteRequest| change.fits(request) && change.covers(request) && self.says(request);
        // None comes after one that is still to come.
        self.arrived = map.writes().iter().take(self.arrived + 1).rposition(is_it)? + 1;
        if self.arrived < map.writes().len() {
            return None;
        }
        self.arrived = 0;
        Some(())
    }

    /// Whether the constants of a request are there.
    fn says(&self, request: &WriteRequest) -> bool {
        request.pieces().all(|(piece, field)| {
            addresses(piece).enumerate().all(|(offset, address)| {
                let (bits, said) = constant(field, offset);
                (said ^ self.word(piece.table, address)) & bits == 0
            })
        })
    }

    /// Whether each bit is what a request of the set-point makes it, as far as its constants do, and the device's own bits are
    /// there.
    fn stands(&self, map: &DeviceMap) -> bool {
        let pieces = || map.writes().iter().flat_map(WriteRequest::pieces);
        self.registers.iter().all(|register| {
            let (mut named, mut right) = (0, 0);
            for (piece, field) in pieces() {
                let is_it = |address: u16| (piece.table, address) == (register.table, register.address);
                let offset = addresses(piece).position(is_it);
                let (bits, said) = offset.map_or((0, 0), |offset| constant(field, offset));
                named |= bits;
                right |= bits & !(said ^ register.word);
            }
            named & !right == 0 && register.word & register.own == register.own
        })
    }

    /// The bits of a heartbeat's number, register by register.
    fn beat(&self, request: &WriteRequest) -> [u16; MAX_VALUE_REGISTERS] {
        let mut found = [0; MAX_VALUE_REGISTERS];
        for (piece, field) in request.pieces().filter(|(_, field)| field.content.changes()) {
            for (word, address) in found.iter_mut().zip(addresses(piece)) {
                *word = self.word(piece.table, address) & bits_of(field.layout.number);
            }
        }
        found
    }

    /// The number in some registers; `None` where that is none.
    fn number(&self, piece: Piece, layout: &Layout) -> Option<f64> {
        let mut bytes = [0; 2 * MAX_VALUE_REGISTERS];
        for (pair, address) in bytes.chunks_exact_mut(2).zip(addresses(piece)) {
            pair.copy_from_slice(&self.word(piece.table, address).to_be_bytes());
        }
        layout.value(Registers::new(&bytes[..2 * usize::from(piece.count)])?)
    }

    /// Where a register or a coil is, or would be.
    fn at(&self, table: Table, address: u16) -> Result<usize, usize> {
        self.registers.binary_search_by_key(&(table, address), |register| (register.table, register.address))
    }

    fn word(&self, table: Table, address: u16) -> u16 {
        self.at(table, address).map_or(0, |place| self.registers[place].word)
    }
}

fn addresses(piece: Piece) -> impl Iterator<Item = u16> {
    (0..piece.count).map(move |offset| piece.address.wrapping_add(offset))
}

/// Which bits of each of its registers are a number's own.
const fn bits_of(number: NumberType) -> u16 {
    number.mask() as u16
}

/// Which bits of one of its registers a number makes the same each time, and what they are.
fn constant(field: &WrittenField, offset: usize) -> (u16, u16) {
    let FieldContent::Constant(value) = field.content else { return (0, 0) };
    let mut word = 0;
    field.layout.put_into(&field.layout.nearest(value), offset, &mut word);
    (bits_of(field.layout.number), word)
}
