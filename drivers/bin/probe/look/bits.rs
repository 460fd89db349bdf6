//! The bits on which points of a device depend: what they read, and what follows for its points.

use r_ems_engine::fieldbus::map::{MappedBit, MappedPoint, Otherwise};
use r_ems_engine::fieldbus::pdu::Registers;
use r_ems_engine::points::PointKind;
use r_ems_scenarios::Severity;

use super::{Look, is_answer, told};
use crate::probe::report::BitSeen;
use crate::probe::session::Reply;
use crate::probe::target::{Noted, table};

impl Look<'_, '_> {
    /// Takes the bits that one answer brings.
    pub(super) fn take_bits(&mut self, read: usize, registers: Registers<'_>) {
        let map = &self.target.map;
        map.see(read, registers, &mut self.seen);
        for (_, offset, bit) in map.bits_of(read) {
            let word = registers.part(offset, 1).and_then(|one| one.iter().next());
            self.device.bits.push(self.bit_seen(bit, word, None));
        }
    }

    /// Asks the bits of a request that was refused one by one, and notes those that cannot be read.
    pub(super) fn read_bits_alone(&mut self, read: usize) {
        let map = &self.target.map;
        for (place, _, bit) in map.bits_of(read) {
            let fault = match self.read(bit.piece()).outcome {
                Ok(Reply::Registers(bytes)) => {
                    let registers = Registers::new(&bytes).expect("an answer to a read is whole registers");
                    self.seen.see(place, bit.is_right(registers));
                    self.device.bits.push(self.bit_seen(bit, registers.iter().next(), None));
                    continue;
                }
                // Neither answers a read.
                Ok(Reply::Written | Reply::Identity { .. }) => continue,
                Err(fault) => fault,
            };
            self.device.bits.push(self.bit_seen(bit, None, Some(told(&fault))));
            let found = format!("{} for {} {}", told(&fault), table(bit.table), bit.address);
            let severity = if is_answer(&Err(fault)) { Severity::Error } else { Severity::Warning };
            let kind = self.kind_of(bit);
            let note = self.target.note(&["link", "points", kind.name(), condition(kind)], severity, found);
            self.notes.push(note.expected("a bit that can be read"));
        }
    }

    /// A point that depends on a bit that is not as it must be.
    pub(super) fn without_bits(&self, point: &MappedPoint) -> Option<Noted> {
        let kind = self.target.kind(point);
        let bits = self.target.map.bits().iter().filter(|bit| bit.point == point.point);
        let bit = bits.filter(|bit| bit.otherwise == Otherwise::Unknown).find(|bit| {
            let is_it = |seen: &&BitSeen| {
                (seen.table, seen.address, seen.is) == (table(bit.table), bit.address, u8::from(bit.is))
            };
            let seen = self.device.bits.iter().find(is_it);
            seen.is_some_and(|seen| seen.reads.is_some_and(|reads| reads != u8::from(bit.is)))
        })?;
        let found = format!("{} {} is {}", table(bit.table), bit.address, u8::from(!bit.is));
        let below = ["link", "points", kind.name(), condition(kind)];
        let note = self.target.note(&below, Severity::Warning, found);
        let expected = format!("{}, with which `{}` means what it shows", u8::from(bit.is), kind.name());
        Some(note.expected(expected))
    }

    fn kind_of(&self, bit: &MappedBit) -> PointKind {
        let points = self.target.map.points();
        let point = points.iter().find(|point| point.point == bit.point);
        self.target.kind(point.expect("a bit belongs to a point of the map"))
    }

    fn bit_seen(&self, bit: &MappedBit, word: Option<u16>, refused: Option<String>) -> BitSeen {
        BitSeen {
            point: self.kind_of(bit).name(),
            table: table(bit.table),
            address: bit.address,
            reads: word.map(|word| u8::from(word != 0)),
            is: u8::from(bit.is),
            refused,
        }
    }
}

/// The field of a point that names what it depends on.
const fn condition(kind: PointKind) -> &'static str {
    match kind {
        PointKind::SetPoint => "in_force",
        PointKind::Power
        | PointKind::StateOfCharge
        | PointKind::ChargeLimit
        | PointKind::DischargeLimit
        | PointKind::ReactivePower
        | PointKind::ReactiveSetPoint
        | PointKind::Voltage
        | PointKind::Frequency
        | PointKind::Signal
        | PointKind::State
        | PointKind::Closed
        | PointKind::Mode
        | PointKind::Remote => "valid_if",
    }
}
