//! Which requests read what a device's map names: few, and none that splits a number or reads what is not there.
//!
//! The entries of a table are sorted by address; a request goes on as long as the next entry fits into it whole and the hole
//! before it is one that the device lets itself be read over.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::framing::Framing;
use super::pdu::{MAX_BITS_READ, MAX_REGISTERS_READ, Request, Table};
use crate::time::Span;

/// Entries in a row that are to be read: a number, or the registers of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Piece {
    /// Of which table.
    pub table: Table,
    /// The first one.
    pub address: u16,
    /// How many, which one request must read.
    pub count: u16,
}

/// One request, and which pieces it brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// All that it reads.
    pub span: Piece,
    /// The pieces, by their places in what was planned, and where in the answer each begins.
    pub pieces: Vec<(u16, u16)>,
}

impl Read {
    /// How long its frames take to pass, there and back.
    pub fn passes(&self, framing: Framing) -> Span {
        let Piece { table, address, count } = self.span;
        let (asked, answered) = framing.exchange_passes(&Request::Read { table, address, count });
        asked + answered
    }
}

/// What a device lets itself be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadLimits {
    /// Most registers of one request, at most [`MAX_REGISTERS_READ`].
    pub registers: u16,
    /// Most bits of one request, at most [`MAX_BITS_READ`].
    pub bits: u16,
    /// The longest hole that one request may read over; 0: what the map does not name is not read.
    pub hole: u16,
}

impl ReadLimits {
    /// Most registers that one request may read.
    pub fn most(self) -> u16 {
        self.registers.clamp(1, MAX_REGISTERS_READ)
    }

    /// Most entries of a table that one request may read.
    pub fn most_of(self, table: Table) -> u16 {
        if table.is_of_bits() { self.bits.clamp(1, MAX_BITS_READ) } else { self.most() }
    }
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self { registers: MAX_REGISTERS_READ, bits: MAX_BITS_READ, hole: 0 }
    }
}

/// Says that a piece cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFlaw {
    /// It has more entries than one request may read.
    Long {
        /// Which, by its place.
        place: u16,
        /// Most entries.
        most: u16,
    },
    /// It ends beyond the last address of its table.
    Beyond {
        /// Which, by its place.
        place: u16,
    },
}

/// Plans the requests that read all pieces, in the order of tables and addresses.
///
/// # Errors
/// [`PlanFlaw`] for the first piece that no request can read.
pub fn plan(pieces: &[Piece], limits: ReadLimits) -> Result<Vec<Read>, PlanFlaw> {
    let most = |table: Table| limits.most_of(table);
    let mut sorted: Vec<(Piece, u16)> = pieces.iter().copied().zip(0..).collect();
    for (piece, place) in &sorted {
        let most = most(piece.table);
        if piece.count > most {
            return Err(PlanFlaw::Long { place: *place, most });
        }
        if u32::from(piece.address) + u32::from(piece.count) > 1 << 16 {
            return Err(PlanFlaw::Beyond { place: *place });
        }
    }
    sorted.sort_unstable();
    let mut reads: Vec<Read> = Vec::new();
    for (piece, place) in sorted {
        let end = u32::from(piece.address) + u32::from(piece.count);
        let joins = |read: &&mut Read| {
            let span = read.span;
            let known = u32::from(span.address) + u32::from(span.count);
            span.table == piece.table
                && u32::from(piece.address) <= known + u32::from(limits.hole)
                && end.max(known) - u32::from(span.address) <= u32::from(most(piece.table))
        };
        if let Some(read) = reads.last_mut().filter(joins) {
            let known = u32::from(read.span.address) + u32::from(read.span.count);
            read.span.count = (end.max(known) - u32::from(read.span.address)) as u16;
            read.pieces.push((place, piece.address - read.span.address));
        } else {
            reads.push(Read { span: piece, pieces: Vec::from([(place, 0)]) });
        }
    }
    Ok(reads)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn holding(address: u16, count: u16) -> Piece {
        Piece { table: Table::HoldingRegisters, address, count }
    }

    fn spans(pieces: &[Piece], limits: ReadLimits) -> Vec<(u16, u16)> {
        let reads = plan(pieces, limits).expect("all can be read");
        reads.iter().map(|read| (read.span.address, read.span.count)).collect()
    }

    #[test]
    fn neighbors_travel_together_and_holes_are_not_read_unless_the_map_says_so() {
        let pieces = [holding(12, 2), holding(10, 2), holding(15, 1), holding(40, 1)];
        assert_eq!(spans(&pieces, ReadLimits::default()), [(10, 4), (15, 1), (40, 1)]);
        assert_eq!(spans(&pieces, ReadLimits { hole: 1, ..ReadLimits::default() }), [(10, 6), (40, 1)]);
        assert_eq!(
            spans(&pieces, ReadLimits { hole: 100, registers: 20, ..ReadLimits::default() }),
            [(10, 6), (40, 1)]
        );
    }

    #[test]
    fn a_number_is_never_split_and_a_request_is_never_too_long() {
        let pieces: Vec<Piece> = (0..100).map(|place| holding(place * 2, 2)).collect();
        assert_eq!(spans(&pieces, ReadLimits::default()), [(0, 124), (124, 76)]);
        assert_eq!(
            spans(&pieces[..5], ReadLimits { registers: 5, ..ReadLimits::default() }),
            [(0, 4), (4, 4), (8, 2)]
        );
    }

    #[test]
    fn bits_travel_together_as_registers_do_as_many_as_the_device_lets_be_read() {
        let coil = |address: u16| Piece { table: Table::Coils, address, count: 1 };
        let discrete = |address: u16| Piece { table: Table::DiscreteInputs, address, count: 1 };
        let pieces = [holding(3, 1), discrete(3), coil(0), coil(1), coil(2_000), coil(1_999), coil(4)];
        let all = [(0, 2), (4, 1), (1_999, 2), (3, 1), (3, 1)];
        assert_eq!(spans(&pieces, ReadLimits::default()), all, "coils, discrete inputs, registers");
        let far = ReadLimits { hole: 2_000, ..ReadLimits::default() };
        assert_eq!(spans(&pieces[2..], far), [(0, 2_000), (2_000, 1)]);
        assert_eq!(spans(&pieces[2..], ReadLimits { bits: 5, ..far }), [(0, 5), (1_999, 2)]);
    }

    #[test]
    fn tables_are_apart_and_pieces_may_overlap() {
        let input = Piece { table: Table::InputRegisters, address: 10, count: 1 };
        let reads =
            plan(&[holding(10, 4), input, holding(11, 1)], ReadLimits::default()).expect("it can be read");
        assert_eq!(reads[0], Read { span: holding(10, 4), pieces: vec![(0, 0), (2, 1)] });
        assert_eq!(reads[1], Read { span: input, pieces: vec![(1, 0)] });
    }

    #[test]
    fn what_no_request_can_read_is_told() {
        let limits = ReadLimits { registers: 10, ..ReadLimits::default() };
        assert_eq!(plan(&[holding(0, 11)], limits), Err(PlanFlaw::Long { place: 0, most: 10 }));
        assert_eq!(plan(&[holding(0xffff, 2)], limits), Err(PlanFlaw::Beyond { place: 0 }));
        assert!(plan(&[holding(0xffff, 1)], limits).is_ok());
    }
}
