//! Finds the models of a device: the marker, the chain behind it, and what is to be known of each model once.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::models::{self, Field};
use super::{BASES, ByModels, Chain, END, HEAD, MARKER, MODELS_MAX, Missing};
use crate::fieldbus::map::Fixed;
use crate::fieldbus::pdu::{Registers, Table};
use crate::fieldbus::plan::{Piece, ReadLimits};
use crate::fieldbus::register::Layout;

/// A model of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Which.
    pub id: u16,
    /// Its first register, which holds the id.
    pub address: u16,
    /// So many registers it has behind its head.
    pub length: u16,
    /// What its first registers held when it was looked at, as bytes; none that nobody needs.
    body: Vec<u8>,
}

impl Model {
    /// Whether it has all registers of a number, as long as it is.
    pub(super) fn has(&self, field: Field) -> bool {
        self.id == field.model && u32::from(field.reach()) <= u32::from(HEAD) + u32::from(self.length)
    }

    /// The scale factor of a number when the model was looked at, 0 for a number without one; `None` if it is not implemented.
    pub(super) fn factor(&self, field: Field) -> Option<i16> {
        let Some(at) = field.factor else { return Some(0) };
        let registers = self.registers(at, 1)?;
        let factor = registers.iter().next()? as i16;
        Layout::POWERS.contains(&factor).then_some(factor)
    }

    /// A number when the model was looked at, if it is implemented.
    pub(super) fn value(&self, field: Field) -> Option<f64> {
        let registers = self.registers(field.at, field.number.registers())?;
        field.layout(1.0).scaled(self.factor(field)?)?.value(registers)
    }

    /// Whether none of a number's registers says that it is not implemented, each by itself.
    pub(super) fn is_implemented(&self, field: Field) -> bool {
        let registers = self.registers(field.at, field.number.registers());
        registers.is_some_and(|registers| registers.iter().all(|word| word != u16::MAX))
    }

    /// That some of its registers hold what they held when the model was looked at: its head is 0 and 1.
    pub(super) fn fixed(&self, places: impl Iterator<Item = u16>) -> Option<Fixed> {
        let word = |place| Some((place, self.registers(place, 1)?.iter().next()?));
        let words: Vec<(u16, u16)> = places.map(word).collect::<Option<_>>()?;
        let count = words.iter().map(|(place, _)| place + 1).max()?;
        let piece = Piece { table: Table::HoldingRegisters, address: self.address, count };
        Some(Fixed { piece, words })
    }

    fn registers(&self, at: u16, count: usize) -> Option<Registers<'_>> {
        Registers::new(&self.body)?.part(at.into(), count)
    }

    /// So many registers of it are to be looked at.
    fn wanted(&self, by: &ByModels) -> u16 {
        let here = models::settings(by).filter(|field| self.has(*field) && by.uses(field.model));
        here.map(Field::reach).max().unwrap_or(0)
    }
}

/// A search that is under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    step: Step,
    /// Where the chain begins, once that is known.
    base: u16,
    models: Vec<Model>,
}

/// What is read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// The marker, at one of the [`BASES`].
    Marker(u8),
    /// The head of a model.
    Head(u16),
    /// The next registers of a model, by its place.
    Body(u16),
}

impl Default for Step {
    fn default() -> Self {
        Self::Marker(0)
    }
}

/// How a search goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is to be read.
    More,
    /// All that is wanted is known.
    Done(Chain),
    /// Something is missing.
    Fails(Missing),
}

impl Search {
    /// The registers that are to be read next.
    pub fn next(&self, by: &ByModels, limits: ReadLimits) -> Piece {
        let (address, count) = match self.step {
            Step::Marker(place) => (BASES[usize::from(place)], HEAD),
            Step::Head(address) => (address, HEAD),
            Step::Body(place) => {
                let model = &self.models[usize::from(place)];
                let known = (model.body.len() / 2) as u16;
                (model.address + known, (model.wanted(by) - known).min(limits.most()))
            }
        };
        Piece { table: Table::HoldingRegisters, address, count }
    }

    /// Takes what was read there; `None`: the device refuses to have such registers.
    pub fn take(&mut self, by: &ByModels, read: Option<Registers<'_>>) -> Progress {
        match (self.step, read) {
            (Step::Marker(place), read) => {
                if read.is_some_and(|read| read.bytes() == MARKER) {
                    self.base = BASES[usize::from(place)];
                    self.step = Step::Head(self.base + HEAD);
                } else if usize::from(place) + 1 < BASES.len() {
                    self.step = Step::Marker(place + 1);
                } else {
                    return Progress::Fails(Missing::Marker);
                }
                Progress::More
            }
            (Step::Head(address), Some(read)) => match self.take_head(address, read) {
                Some(next) => next,
                None => self.look(by, 0),
            },
            // Devices are known whose chain just stops.
            (Step::Head(_), None) => self.look(by, 0),
            (Step::Body(place), read) => {
                let model = &mut self.models[usize::from(place)];
                let read = read.map(Registers::bytes).filter(|read| !read.is_empty());
                model.body.extend_from_slice(read.unwrap_or_default());
                // What is refused is not implemented.
                let is_whole = read.is_none() || model.body.len() >= 2 * usize::from(model.wanted(by));
                self.look(by, place + u16::from(is_whole))
            }
        }
    }

    /// The models that were found.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// Takes the head of a model; `None`: it ends the chain.
    fn take_head(&mut self, address: u16, read: Registers<'_>) -> Option<Progress> {
        let mut words = read.iter();
        let (id, length) = (words.next()?, words.next()?);
        if id == END {
            return None;
        }
        let next = address.checked_add(HEAD).and_then(|body| body.checked_add(length));
        let Some(next) =
            next.filter(|next| next.checked_add(HEAD).is_some() && self.models.len() < MODELS_MAX)
        else {
            return Some(Progress::Fails(Missing::End));
        };
        self.models.push(Model { id, address, length, body: Vec::new() });
        self.step = Step::Head(next);
        Some(Progress::More)
    }

    /// Looks at the next model from a place on that has something to be known.
    fn look(&mut self, by: &ByModels, from: u16) -> Progress {
        let mut rest = self.models.iter().enumerate().skip(usize::from(from));
        match rest.find(|(_, model)| model.wanted(by) > 0) {
            Some((place, _)) => {
                self.step = Step::Body(place as u16);
                Progress::More
            }
            None => Progress::Done(Chain { base: self.base, models: self.models.len() as u16 }),
        }
    }
}
