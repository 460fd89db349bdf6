//! Where one point lies, and what must be read with it to know what it means.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::fieldbus::pdu::{MAX_REGISTERS_READ, Registers, Table};
use crate::fieldbus::plan::Piece;
use crate::fieldbus::register::{Layout, NumberType};
use crate::fieldbus::sunspec::HEAD;
use crate::ids::PointIndex;
use crate::machine::Validity;

/// Where one point lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappedPoint {
    /// Which, in the controller's image.
    pub point: PointIndex,
    /// In which table.
    pub table: Table,
    /// Its first register.
    pub address: u16,
    /// How it lies there.
    pub layout: Layout,
    /// The register of its scale factor: the number is so many powers of ten more. Devices change it as they like, so it is read
    /// with the number.
    pub factor: Option<u16>,
    /// What else must hold for it, in the same table.
    pub guard: Option<Guard>,
    /// The model of SunSpec to which it belongs.
    pub model: Option<ModelHead>,
}

/// The head of a model, which must be where it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelHead {
    /// Its first register, which holds its id; the length is behind it.
    pub address: u16,
    /// Which model it is.
    pub id: u16,
    /// How long it is.
    pub length: u16,
    /// The scale factor that it must have still, of a number that is written too.
    pub factor: Option<i16>,
}

/// Registers that must hold what they held when a device was found: what is written depends on them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fixed {
    /// All that one request must read.
    pub piece: Piece,
    /// The words that count, by their places among those.
    pub words: Vec<(u16, u16)>,
}

impl Fixed {
    /// Whether they hold that.
    ///
    /// # Panics
    /// If those are not all of the piece.
    pub(super) fn is_in_place(&self, registers: Registers<'_>) -> bool {
        let word = |place: u16| registers.part(place.into(), 1).and_then(|one| one.iter().next());
        self.words
            .iter()
            .all(|(place, expected)| word(*place).expect("the piece has all of them") == *expected)
    }
}

/// A number beside a point, which says whether the point means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Its first register.
    pub address: u16,
    /// How it lies there.
    pub layout: Layout,
    /// What it must be: a whole number.
    pub is: f64,
    /// What the point is where it is not.
    pub otherwise: Otherwise,
}

/// What a point is whose guard does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Otherwise {
    /// The device does not know it.
    Unknown,
    /// It is this, in its base unit, and not in force: registers keep a set-point that the device does not follow any more.
    Value(f64),
}

impl MappedPoint {
    /// Whether it is a number of registers, or one bit where its table is of bits.
    pub(super) fn fits_table(&self) -> bool {
        let is_bit = |number: NumberType| number == NumberType::BIT;
        let has_bits =
            || is_bit(self.layout.number) && self.guard.is_none_or(|guard| is_bit(guard.layout.number));
        !self.table.is_of_bits() || has_bits() && self.factor.is_none() && self.model.is_none()
    }

    /// All registers that one request must read for it.
    pub fn piece(&self) -> Piece {
        let (first, end) = self.hull();
        // More than a table has is refused when reads are planned.
        let count = u16::try_from(end - first).unwrap_or(u16::MAX);
        Piece { table: self.table, address: first as u16, count }
    }

    /// Its own registers among those of its piece.
    ///
    /// # Panics
    /// If those are not all of the piece.
    pub fn own_of<'b>(&self, piece: Registers<'b>) -> Registers<'b> {
        self.part(piece, self.address, self.layout.number.registers())
    }

    fn part<'b>(&self, piece: Registers<'b>, address: u16, count: usize) -> Registers<'b> {
        let first = usize::from(address - self.piece().address);
        piece.part(first, count).expect("the piece has all of them")
    }

    /// How it lies in registers of its piece, by the scale factor that is there; `None` if that is none.
    ///
    /// # Panics
    /// As [`MappedPoint::own_of`].
    pub fn layout_in(&self, piece: Registers<'_>) -> Option<Layout> {
        let Some(factor) = self.factor else { return Some(self.layout) };
        let word = self.part(piece, factor, 1).iter().next()?;
        self.layout.scaled(word as i16)
    }

    /// Whether the model is where it was found; without one nothing can have moved.
    ///
    /// # Panics
    /// As [`MappedPoint::own_of`].
    pub fn is_in_place(&self, piece: Registers<'_>) -> bool {
        self.model.is_none_or(|ModelHead { address, id, length, factor }| {
            let is_it = |factor: i16| {
                let at = self.factor.map(|at| self.part(piece, at, 1));
                at.is_none_or(|word| word.iter().eq([factor as u16]))
            };
            self.part(piece, address, HEAD.into()).iter().eq([id, length]) && factor.is_none_or(is_it)
        })
    }

    /// Its value in registers of its piece, and whether the device vouches for it; 0 where it does not.
    ///
    /// # Panics
    /// As [`MappedPoint::own_of`].
    pub fn value(&self, piece: Registers<'_>) -> (Validity, f64) {
        const UNKNOWN: (Validity, f64) = (Validity::Invalid, 0.0);
        if !self.is_in_place(piece) {
            return UNKNOWN;
        }
        if let Some(guard) = &self.guard {
            let registers = self.part(piece, guard.address, guard.layout.number.registers());
            if !guard.layout.value(registers).is_some_and(|found| guard.is_it(found)) {
                return match guard.otherwise {
                    Otherwise::Unknown => UNKNOWN,
                    Otherwise::Value(value) => (Validity::NotInForce, value),
                };
            }
        }
        let value = self.layout_in(piece).and_then(|layout| layout.value(self.own_of(piece)));
        value.map_or(UNKNOWN, |value| (Validity::Valid, value))
    }

    /// The registers that must be read for it: from the first on, to where they end.
    fn parts(&self) -> impl Iterator<Item = (u32, u32)> + use<> {
        let from = |address: u16, count: usize| (address.into(), u32::from(address) + count as u32);
        let own = from(self.address, self.layout.number.registers());
        let factor = self.factor.map(|factor| from(factor, 1));
        let guard = self.guard.map(|guard| from(guard.address, guard.layout.number.registers()));
        let model = self.model.map(|model| from(model.address, HEAD.into()));
        [Some(own), factor, guard, model].into_iter().flatten()
    }

    /// The first of all these registers, and where the last of them ends.
    fn hull(&self) -> (u32, u32) {
        self.parts().fold((u32::MAX, 0), |hull, part| (hull.0.min(part.0), hull.1.max(part.1)))
    }

    /// How many registers in a row between those that must be read for it none of the points names; a model has all of its own.
    pub(super) fn hole(&self, points: &[Self]) -> u16 {
        if self.model.is_some() {
            return 0;
        }
        let (from, to) = self.hull();
        // A longer way is none for one request in any case.
        let to = to.min(from.saturating_add(2 * u32::from(MAX_REGISTERS_READ)));
        let is_named = |address: u32| {
            let here = points.iter().filter(|point| point.table == self.table);
            here.flat_map(Self::parts).any(|(first, end)| (first..end).contains(&address))
        };
        let (mut longest, mut run) = (0, 0);
        for address in from..to {
            run = if is_named(address) { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        longest.min(MAX_REGISTERS_READ)
    }
}

impl Guard {
    /// Its registers, in the table of its point.
    pub const fn piece(&self, table: Table) -> Piece {
        Piece { table, address: self.address, count: self.layout.number.registers() as u16 }
    }

    /// Whether a number that was found there is what it must be.
    pub fn is_it(&self, found: f64) -> bool {
        (found - self.is).abs() < 0.5
    }
}
