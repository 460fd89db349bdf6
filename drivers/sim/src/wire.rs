//! What a device behind Modbus answers: the registers of its map, with what it holds.
//!
//! A simulated device has the map that its controllers read it with. It answers what the map names and refuses all else, as real
//! ones do: reads beyond it with an illegal address, writes that are none of its own likewise, and what it does not know with the
//! pattern that the map has for it, or as a failure.

use alloc::vec::Vec;

use r_ems_engine::fieldbus::map::{DeviceMap, FieldContent, WriteRequest};
use r_ems_engine::fieldbus::pdu::{MAX_REGISTERS_READ, Registers};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::fieldbus::register::Layout;
use r_ems_engine::machine::{Sample, Validity};

/// What a request to write orders.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Order {
    /// The set-point, W, in the device's own sign.
    pub(crate) set_point: Option<f64>,
    /// The fencing number that came with it.
    pub(crate) epoch: Option<u64>,
}

/// The registers that are read, and the values that they hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) bytes: Vec<u8>,
    /// The samples that are among them.
    pub(crate) samples: Vec<Sample>,
}

/// Reads registers of a device that holds these values and has accepted this epoch.
///
/// # Errors
/// What the device refuses with.
pub(crate) fn read(
    map: &DeviceMap,
    values: &[Sample],
    accepted: u64,
    asked: Piece,
) -> Result<Shown, Exception> {
    if asked.table.is_of_bits() {
        return Err(Exception::ILLEGAL_FUNCTION);
    }
    let mut page = Page::new(asked);
    for read in map.reads() {
        page.knows(read.span);
    }
    for (piece, field) in map.writes().iter().flat_map(WriteRequest::pieces) {
        page.knows(piece);
        match field.content {
            FieldContent::Epoch => page.put(piece, &field.layout, Some(accepted as f64))?,
            FieldContent::Constant(value) => page.put(piece, &field.layout, Some(value))?,
            FieldContent::SetPoint => {}
        }
    }
    let mut shown = Shown::default();
    for point in map.points() {
        let count = point.layout.number.registers() as u16;
        let piece = Piece { table: point.table, address: point.address, count };
        let Some(sample) = values.iter().find(|sample| sample.point == point.point) else { continue };
        let value = (sample.validity == Validity::Valid).then_some(sample.value);
        if page.holds(piece) {
            shown.samples.push(*sample);
        }
        page.put(piece, &point.layout, value)?;
    }
    shown.bytes = page.bytes()?;
    Ok(shown)
}

/// What registers order that are written at an address.
///
/// # Errors
/// What the device refuses with.
pub(crate) fn order(map: &DeviceMap, address: u16, registers: Registers<'_>) -> Result<Order, Exception> {
    let fits =
        |request: &&WriteRequest| request.address == address && request.registers() == registers.count();
    let request = map.writes().iter().find(fits).ok_or(Exception::ILLEGAL_ADDRESS)?;
    let (mut order, mut first) = (Order::default(), 0);
    for field in &request.fields {
        let count = field.layout.number.registers();
        let part = registers.part(first, count).ok_or(Exception::ILLEGAL_ADDRESS)?;
        first += count;
        let value = field.layout.value(part).ok_or(Exception::ILLEGAL_VALUE)?;
        match field.content {
            FieldContent::SetPoint => order.set_point = Some(value),
            FieldContent::Epoch => order.epoch = Some(value as u64),
            FieldContent::Constant(_) => {}
        }
    }
    Ok(order)
}

/// The registers of one request.
struct Page {
    asked: Piece,
    words: [u16; MAX_REGISTERS_READ as usize],
    known: [bool; MAX_REGISTERS_READ as usize],
}

impl Page {
    const fn new(asked: Piece) -> Self {
        const ALL: usize = MAX_REGISTERS_READ as usize;
        Self { asked, words: [0; ALL], known: [false; ALL] }
    }

    /// The places on the page of registers of the device, with which of them each is.
    fn places(&self, piece: Piece) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Piece { table, address, count } = self.asked;
        let is_same = table == piece.table;
        (0..usize::from(piece.count)).filter_map(move |offset| {
            let place = (usize::from(piece.address) + offset).checked_sub(usize::from(address))?;
            (is_same && place < usize::from(count)).then_some((place, offset))
        })
    }

    fn knows(&mut self, piece: Piece) {
        for (place, _) in self.places(piece) {
            self.known[place] = true;
        }
    }

    /// Whether all registers of a number were asked for.
    fn holds(&self, piece: Piece) -> bool {
        self.places(piece).count() == usize::from(piece.count)
    }

    /// Writes a number as far as it was asked for; one that has no room is the nearest that has.
    fn put(&mut self, piece: Piece, layout: &Layout, value: Option<f64>) -> Result<(), Exception> {
        if self.places(piece).next().is_none() {
            return Ok(());
        }
        let written = match value {
            Some(value) => layout.nearest(value),
            None => layout.unknown_registers().ok_or(Exception::DEVICE_FAILURE)?,
        };
        let words = Registers::new(written.bytes()).map(|words| words.iter().collect::<Vec<u16>>());
        let words = words.unwrap_or_default();
        for (place, offset) in self.places(piece) {
            self.words[place] = words[offset];
        }
        Ok(())
    }

    fn bytes(&self) -> Result<Vec<u8>, Exception> {
        let count = usize::from(self.asked.count);
        if !self.known[..count].iter().all(|is_known| *is_known) {
            return Err(Exception::ILLEGAL_ADDRESS);
        }
        Ok(self.words[..count].iter().flat_map(|word| word.to_be_bytes()).collect())
    }
}
