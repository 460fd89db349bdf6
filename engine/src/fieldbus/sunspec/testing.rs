//! A device's registers for tests, as a chain of models.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{END, MARKER};
use crate::fieldbus::plan::Piece;

/// Registers by their addresses; a device refuses all others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image(pub(crate) BTreeMap<u16, u16>);

/// A model: its id, how long its body is, and which of its registers, counted from its id, hold what. The others hold ones.
pub(crate) type Body<'b> = (u16, u16, &'b [(u16, u16)]);

impl Image {
    /// A chain that begins at an address.
    pub(crate) fn at(base: u16, models: &[Body<'_>]) -> Self {
        let mut image = Self::default();
        image.put(
            base,
            &[u16::from_be_bytes([MARKER[0], MARKER[1]]), u16::from_be_bytes([MARKER[2], MARKER[3]])],
        );
        let mut next = base + 2;
        for (id, length, known) in models {
            image.put(next, &[*id, *length]);
            (2..length + 2).for_each(|at| image.put(next + at, &[u16::MAX]));
            known.iter().for_each(|(at, word)| image.put(next + at, &[*word]));
            next += length + 2;
        }
        image.put(next, &[END, 0]);
        image
    }

    pub(crate) fn put(&mut self, address: u16, words: &[u16]) {
        self.0.extend((address..).zip(words.iter().copied()));
    }

    /// What is read there; `None`: the device refuses.
    pub(crate) fn read(&self, asked: Piece) -> Option<Vec<u8>> {
        let words = (asked.address..).take(asked.count.into()).map(|address| self.0.get(&address).copied());
        let words: Option<Vec<u16>> = words.collect();
        Some(words?.iter().flat_map(|word| word.to_be_bytes()).collect())
    }
}

/// A battery of 100 kW with the newer models: 40 kW of discharge, half full, at most 90 kW to be charged with.
pub(crate) const BATTERY: [Body<'static>; 6] = [
    (1, 66, &[]),
    (701, 153, &[(10, 400), (116, 2)]),
    (702, 50, &[(26, 1_000), (34, 900), (35, 1_000), (45, 2)]),
    (704, 65, &[(22, 0), (23, 0), (24, 0), (25, 0), (31, 0), (32, 0), (55, 1)]),
    (713, 7, &[(4, 5_000), (8, 0xfffe)]),
    (715, 7, &[(5, 0), (6, 0)]),
];
