//! Bits in tables of their own that say whether a point means what it says: that a contactor is closed, that there is no fault.
//!
//! A point lies in registers and its bits lie elsewhere, so no request reads both. Bits are read first in each poll, and hold for
//! the registers that come after them in the same poll; what was not read in it says nothing, and the point is not known then.

use serde::{Deserialize, Serialize};

use super::{DeviceMap, MappedPoint, Otherwise};
use crate::fieldbus::pdu::{Registers, Table};
use crate::fieldbus::plan::Piece;
use crate::ids::PointIndex;
use crate::machine::Validity;

/// Most bits that points of one device depend on.
pub const MAX_BITS: usize = 32;

/// A bit that says whether a point means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappedBit {
    /// Which point, in the controller's image; it lies in registers.
    pub point: PointIndex,
    /// In which table of bits.
    pub table: Table,
    /// Which of them.
    pub address: u16,
    /// What it must be.
    pub is: bool,
    /// What the point is where it is not.
    pub otherwise: Otherwise,
}

impl MappedBit {
    /// The bit, as it is read.
    pub const fn piece(&self) -> Piece {
        Piece { table: self.table, address: self.address, count: 1 }
    }

    /// Whether this is what it must be.
    pub fn is_right(&self, read: Registers<'_>) -> bool {
        read.iter().eq([u16::from(self.is)])
    }
}

/// What the bits of a device were in one poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BitsSeen {
    /// Those that were read, by their places in the map.
    read: u32,
    /// Those of them that were what they must be.
    right: u32,
}

const _: () = assert!(MAX_BITS <= u32::BITS as usize);

impl BitsSeen {
    /// A bit was read.
    pub fn see(&mut self, place: usize, is_right: bool) {
        self.read |= 1 << place;
        self.right = self.right & !(1 << place) | u32::from(is_right) << place;
    }

    /// What a point is because of one of its bits; `None`: what its registers say.
    pub(super) fn instead(self, place: usize, bit: &MappedBit) -> Option<(Validity, f64)> {
        let is_set = |mask: u32| mask >> place & 1 == 1;
        match bit.otherwise {
            _ if is_set(self.right) => None,
            Otherwise::Value(value) if is_set(self.read) => Some((Validity::NotInForce, value)),
            Otherwise::Value(_) | Otherwise::Unknown => Some((Validity::Invalid, 0.0)),
        }
    }
}

impl DeviceMap {
    /// The bits that say whether points mean what they say.
    pub fn bits(&self) -> &[MappedBit] {
        &self.known.bits
    }

    /// What a point is because of the bits that it depends on; `None`: what its registers say.
    pub fn instead(&self, point: &MappedPoint, seen: BitsSeen) -> Option<(Validity, f64)> {
        let bits = self.known.bits.iter().enumerate().filter(|(_, bit)| bit.point == point.point);
        let found = bits.filter_map(|(place, bit)| seen.instead(place, bit));
        // What is not known at all goes before what is not in force.
        found.reduce(|first, other| if other.0 == Validity::Invalid { other } else { first })
    }

    /// Notes the bits on which points depend that one answer brings.
    ///
    /// # Panics
    /// As [`DeviceMap::brought`].
    pub fn see(&self, read: usize, registers: Registers<'_>, seen: &mut BitsSeen) {
        for (place, offset, bit) in self.bits_of(read) {
            let part = registers.part(offset, 1).expect("the answer is whole");
            seen.see(place, bit.is_right(part));
        }
    }

    /// The bits on which points depend that one request brings: the place of each, and where in the answer it is.
    pub fn bits_of(&self, read: usize) -> impl Iterator<Item = (usize, usize, &MappedBit)> {
        let behind = self.known.points.len() + self.known.fixed.len();
        self.known.reads[read].pieces.iter().filter_map(move |(place, offset)| {
            let place = usize::from(*place).checked_sub(behind)?;
            Some((place, usize::from(*offset), self.known.bits.get(place)?))
        })
    }
}
