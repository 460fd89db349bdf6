//! What a device behind Modbus answers: the registers of its map, with what it holds.
//!
//! A simulated device has the map that its controllers read it with. It answers what the map names and refuses all else, as real
//! ones do: reads beyond it with an illegal address, writes that are none of its own likewise, and what it does not know with the
//! pattern that the map has for it, or as a failure.
//!
//! A bit is a register that holds 0 or 1 here, until it travels. What was written lies on its [`Page`]; what it measures is laid
//! over that whenever it is read.

mod models;
mod page;
mod settings;

use alloc::vec;
use alloc::vec::Vec;

use r_ems_engine::fieldbus::map::{DeviceMap, MappedBit, MappedPoint, Otherwise};
use r_ems_engine::fieldbus::pdu::{Registers, Table};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::fieldbus::register::Layout;
use r_ems_engine::machine::{Sample, Validity};
use r_ems_engine::points::PointKind;

pub(crate) use self::models::own;
pub(crate) use self::page::{Change, Page};

/// The registers that are read, or bits as registers, and the values that they hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) bytes: Vec<u8>,
    /// The samples that are among them.
    pub(crate) samples: Vec<Sample>,
}

/// Reads registers of a device that holds these values, and what was written on its page.
///
/// # Errors
/// What the device refuses with.
pub(crate) fn read(
    map: &DeviceMap,
    values: &[Sample],
    (page, is_commanded): (&Page, bool),
    asked: Piece,
) -> Result<Shown, Exception> {
    let mut answer = Answer::new(map, page, asked)?;
    answer.put_bits(map, values, is_commanded);
    let mut shown = Shown::default();
    for point in map.points() {
        let Some(sample) = values.iter().find(|sample| sample.point == point.point) else { continue };
        if let Some(rated) = page.rated(point).filter(|_| is_setting(map, point)) {
            if answer.holds(point.piece()) {
                shown.samples.push(Sample { value: rated, ..*sample });
            }
            continue;
        }
        let layout = answer.scale(map, page, (point, values))?;
        let is_valid = sample.validity == Validity::Valid;
        let (mut value, mut seen) = (is_valid.then_some(sample.value), *sample);
        let bits = map.bits().iter().filter(|bit| bit.point == point.point);
        let conditions = point.guard.iter().map(|guard| guard.otherwise).chain(bits.map(|bit| bit.otherwise));
        let mut is_told = false;
        for otherwise in conditions {
            match otherwise {
                Otherwise::Unknown => is_told = true,
                Otherwise::Value(otherwise) if !is_commanded => {
                    let held = match kind(map, point) {
                        Some(PointKind::ReactiveSetPoint) => Some(page.reactive(map)),
                        Some(_) | None => page.set_point(map),
                    };
                    value = held.or(value);
                    seen.value = otherwise;
                }
                Otherwise::Value(_) => {}
            }
        }
        if let Some(guard) = &point.guard {
            let holds = holds(guard.otherwise, is_valid, is_commanded);
            // What it is not is nobody's business: it is another number.
            let another = if guard.is_it(0.0) { 1.0 } else { 0.0 };
            answer.put(
                guard.piece(point.table),
                &guard.layout,
                Some(if holds { guard.is } else { another }),
            )?;
        }
        if point.table.is_of_bits() {
            let shown =
                layout.value(Registers::new(layout.nearest(seen.value).bytes()).expect("whole registers"));
            seen.value = shown.unwrap_or(seen.value);
        }
        if answer.holds(point.piece()) {
            shown.samples.push(seen);
        }
        let count = layout.number.registers() as u16;
        let piece = Piece { table: point.table, address: point.address, count };
        // Where a bit says that it does not know, the number means nothing.
        answer.put(piece, &layout, value.or(is_told.then_some(0.0)))?;
    }
    shown.bytes = answer.bytes();
    Ok(shown)
}

/// Whether what a point depends on is as it must be.
const fn holds(otherwise: Otherwise, is_valid: bool, is_commanded: bool) -> bool {
    match otherwise {
        Otherwise::Unknown => is_valid,
        Otherwise::Value(_) => is_commanded,
    }
}

/// Whether a device by models has no register for what its plant could do now, and shows what it was set up for.
fn is_setting(map: &DeviceMap, point: &MappedPoint) -> bool {
    matches!(kind(map, point), Some(PointKind::ChargeLimit | PointKind::DischargeLimit))
}

/// What a point of a device by models measures.
fn kind(map: &DeviceMap, point: &MappedPoint) -> Option<PointKind> {
    let by = map.models()?;
    by.kinds.get(point.point.position().checked_sub(by.first_point.position())?)
}

/// Whether a device has all of these registers.
///
/// # Errors
/// What it refuses with.
pub(crate) fn has(map: &DeviceMap, page: &Page, asked: Piece) -> Result<(), Exception> {
    Answer::new(map, page, asked).map(|_answer| ())
}

/// The registers of one request, or its bits as registers.
struct Answer {
    asked: Piece,
    words: Vec<u16>,
}

impl Answer {
    /// What was written to these registers.
    ///
    /// # Errors
    /// What the device refuses with: it must have all of them.
    fn new(map: &DeviceMap, page: &Page, asked: Piece) -> Result<Self, Exception> {
        let has_table = |table: Table| {
            map.reads().iter().any(|read| read.span.table == table)
                || page.words().any(|(piece, _)| piece.table == table)
        };
        if asked.table.is_of_bits() && !has_table(asked.table) {
            return Err(Exception::ILLEGAL_FUNCTION);
        }
        let all = usize::from(asked.count);
        let mut answer = Self { asked, words: vec![0; all] };
        let mut is_known = vec![false; all];
        for read in map.reads() {
            answer.places(read.span).for_each(|(place, _)| is_known[place] = true);
        }
        let shown = |place: usize| {
            let address = usize::from(asked.address) + place;
            page.shown(u16::try_from(address).ok().filter(|_| asked.table == Table::HoldingRegisters)?)
        };
        for (place, is_known) in is_known.iter_mut().enumerate() {
            if let Some(word) = shown(place) {
                (answer.words[place], *is_known) = (word, true);
            }
        }
        for (piece, word) in page.words() {
            for (place, _) in answer.places(piece) {
                (answer.words[place], is_known[place]) = (word, true);
            }
        }
        for text in map.identity() {
            let letter = |at: usize| text.is.bytes().get(at).copied().unwrap_or(0);
            for (place, offset) in answer.places(text.piece()) {
                answer.words[place] = u16::from_be_bytes([letter(2 * offset), letter(2 * offset + 1)]);
                is_known[place] = true;
            }
        }
        let has_all = is_known.iter().all(|is_known| *is_known);
        has_all.then_some(answer).ok_or(Exception::ILLEGAL_ADDRESS)
    }

    /// The places in the answer of registers of the device, with which of them each is.
    fn places(&self, piece: Piece) -> impl Iterator<Item = (usize, usize)> + use<> {
        let Piece { table, address, count } = self.asked;
        let is_same = table == piece.table;
        (0..usize::from(piece.count)).filter_map(move |offset| {
            let place = (usize::from(piece.address) + offset).checked_sub(usize::from(address))?;
            (is_same && place < usize::from(count)).then_some((place, offset))
        })
    }

    /// Writes the bits on which points depend: each is what it must be while all of its points are known, or in force.
    fn put_bits(&mut self, map: &DeviceMap, values: &[Sample], is_commanded: bool) {
        for bit in map.bits() {
            let is_here = |other: &&MappedBit| (other.table, other.address) == (bit.table, bit.address);
            let holds = map.bits().iter().filter(is_here).all(|other| {
                let sample = values.iter().find(|sample| sample.point == other.point);
                let is_valid = sample.is_some_and(|sample| sample.validity == Validity::Valid);
                holds(other.otherwise, is_valid, is_commanded)
            });
            for (place, _) in self.places(bit.piece()) {
                self.words[place] = u16::from(bit.is == holds);
            }
        }
    }

    /// How a point lies in its registers now, and writes its scale factor. A device by models has the same for ever; others
    /// choose the smallest, from 0 on, with which there is room for all that it belongs to.
    fn scale(
        &mut self,
        map: &DeviceMap,
        page: &Page,
        (point, values): (&MappedPoint, &[Sample]),
    ) -> Result<Layout, Exception> {
        let Some(address) = point.factor else { return Ok(point.layout) };
        let power = match page.shown(address) {
            Some(word) => word as i16,
            None => {
                let shares = map
                    .points()
                    .iter()
                    .filter(|other| (other.table, other.factor) == (point.table, Some(address)));
                let needs = |other: &MappedPoint| {
                    let sample = values.iter().find(|sample| sample.point == other.point)?;
                    (0..=*Layout::POWERS.end()).find(|power| {
                        other
                            .layout
                            .scaled(*power)
                            .is_some_and(|layout| layout.registers(sample.value).is_ok())
                    })
                };
                shares.filter_map(needs).max().unwrap_or(0)
            }
        };
        let piece = Piece { table: point.table, address, count: 1 };
        for (place, _) in self.places(piece) {
            self.words[place] = power as u16;
        }
        point.layout.scaled(power).ok_or(Exception::DEVICE_FAILURE)
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
        for (place, offset) in self.places(piece) {
            layout.put_into(&written, offset, &mut self.words[place]);
        }
        Ok(())
    }

    fn bytes(&self) -> Vec<u8> {
        self.words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }
}
