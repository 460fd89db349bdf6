//! Devices that say themselves where their numbers lie: the chain of models that a simulated one shows.
//!
//! All that its plant does not know reads as not implemented. What does not change while it runs is here; what it measures, and
//! what was written to it, is laid over that as with any map.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;

use r_ems_engine::fieldbus::map::DeviceMap;
use r_ems_engine::fieldbus::pdu::Table;
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::register::Layout;
use r_ems_engine::fieldbus::sunspec::models::{self, Field};
use r_ems_engine::fieldbus::sunspec::{BASES, ByModels, END, MARKER};
use r_ems_engine::log::ENGINE_VERSION;
use r_ems_engine::points::device::VOLTAGE_MAX;

use super::settings;

/// Where its chain begins.
const BASE: u16 = BASES[0];
/// A power may be so much beyond the rating before its register has no room for it.
const HEADROOM: f64 = 1.25;
/// Scale factors: of a power in whole watts, and of shares in hundredths of a percent.
const WATTS: i16 = 0;
const HUNDREDTHS: i16 = -2;
/// The common model, which says who it is.
const COMMON: u16 = 1;
/// Where its manufacturer, its model and its version are told, with their longest texts in registers.
const WHO: [(u16, u16, &str); 3] = [(2, 16, "R-EMS"), (18, 16, "simulated device"), (42, 8, ENGINE_VERSION)];

/// What the registers of a model's body read that are not implemented, in runs: `u` without a sign, `i` with one, `I` two of
/// those, `f` two of single precision, `z` of texts and of what is counted.
///
/// Source: the definitions in the repository `sunspec/models`, as of 2024.
const BODIES: [(&[u16], &str); 21] = [
    (&[COMMON], "z64ui"),
    (&[101, 102, 103], "u4iu6i3ui7z2iuiui8u14"),
    (&[111, 112, 113], "f23u14"),
    (&[120], "u2iui6ui6uiuiuiui2"),
    (&[121], "u2iu3i4ui4u5i10"),
    (&[122], "u3z24i2uiu4z4u4i"),
    (&[123], "u8iu4i3u5i3"),
    (&[124], "u10i2u4i8"),
    (&[160], "i4u3u"),
    (&[201, 202, 203, 204], "i36z16iz16iz32iu2"),
    (&[211, 212, 213, 214], "f61u2"),
    (&[701], "u8i5u20i11u18i5u18i5u21i10z32"),
    (&[702], "u43i7"),
    (&[703], "u15i2"),
    (&[704], "u22I2i2u8I2i2u9i6u8"),
    (&[705], "u10i3u10uiuiuiui"),
    (&[706], "u10i3u5uiui"),
    (&[711], "u9i3u8iu"),
    (&[713], "u5i2"),
    (&[715], "u7"),
    (&[802], "u42iu2iuiu2i12"),
];

/// The registers of a chain of models, from its marker on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    words: Vec<u16>,
}

/// The map of a device as the device itself knows it, and the registers that it shows beside.
pub(crate) fn own(map: &DeviceMap) -> (DeviceMap, Option<Arc<Image>>) {
    let Some(by) = map.models() else { return (map.clone(), None) };
    let image = Image::new(by);
    let mut own = map.clone();
    // A device that has not what is wanted of it remains unknown to those who want it, and does nothing.
    let Ok(_missing) = own.search(|asked| Ok::<_, Infallible>(image.read(asked)));
    (own, Some(Arc::new(image)))
}

impl Image {
    fn new(by: &ByModels) -> Self {
        let mut image = Self { words: Vec::new() };
        image.words.extend(MARKER.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])));
        for id in by.simulated() {
            let Some(body) = body(id) else { continue };
            let at = image.words.len();
            image.words.extend([id, body.len() as u16]);
            image.words.extend(body);
            image.tell(at, id, by);
        }
        image.words.extend([END, 0]);
        image
    }

    /// One of its registers, if it has that.
    pub(super) fn word(&self, address: u16) -> Option<u16> {
        self.words.get(usize::from(address.checked_sub(BASE)?)).copied()
    }

    pub(super) fn read(&self, asked: Piece) -> Option<Vec<u8>> {
        let Piece { table, address, count } = asked;
        let first = usize::from(address.checked_sub(BASE).filter(|_| table == Table::HoldingRegisters)?);
        let words = self.words.get(first..first + usize::from(count))?;
        Some(words.iter().flat_map(|word| word.to_be_bytes()).collect())
    }

    /// Writes what a model says that begins at a place.
    fn tell(&mut self, at: usize, id: u16, by: &ByModels) {
        if id == COMMON {
            for (from, longest, text) in WHO {
                for (place, pair) in text.as_bytes().chunks(2).take(longest.into()).enumerate() {
                    let pair = [pair[0], pair.get(1).copied().unwrap_or(0)];
                    self.words[at + usize::from(from) + place] = u16::from_be_bytes(pair);
                }
            }
        }
        let rating = by.rating.watts();
        let powers = [&models::POWER[..], &models::METERED, &models::REACTIVE, &models::METERED_REACTIVE];
        for field in powers.into_iter().flatten().filter(|field| field.model == id) {
            self.put_factor(at, *field, room(rating, *field, WATTS));
        }
        let most = [
            &models::CHARGE_LIMIT[..],
            &models::DISCHARGE_LIMIT,
            &models::POWER_MAX_702,
            &models::POWER_MAX_121,
        ];
        for field in most.into_iter().flatten().filter(|field| field.model == id) {
            let power = room(rating, *field, WATTS);
            self.put_factor(at, *field, power);
            self.put(at, *field, power, rating);
        }
        for field in models::FREQUENCY.iter().filter(|field| field.model == id) {
            self.put_factor(at, *field, HUNDREDTHS);
        }
        if let Some(nominal) = by.nominal {
            for field in nominal.measured().iter().filter(|field| field.model == id) {
                self.put_factor(at, *field, room(nominal.volts().volts() * VOLTAGE_MAX, *field, HUNDREDTHS));
            }
        }
        for field in models::CHARGE.iter().filter(|field| field.model == id) {
            self.put_factor(at, *field, HUNDREDTHS);
            self.put(at, *field, HUNDREDTHS, 0.0);
        }
        let shares =
            [models::LIMIT_704.set, models::LIMIT_123.set, models::DISCHARGE_124.set, models::CHARGE_124];
        let set = shares.map(|field| (field, HUNDREDTHS)).into_iter().chain([(models::POWER_704.set, WATTS)]);
        for (field, power) in set.filter(|(field, _)| field.model == id) {
            self.put_factor(at, field, power);
            self.put(at, field, power, 0.0);
        }
        let commands = [models::LIMIT_704, models::POWER_704, models::LIMIT_123, models::DISCHARGE_124];
        let switches = commands.into_iter().flat_map(|command| [command.reverts, command.on]);
        for field in switches.chain(models::HEARTBEATS).filter(|field| field.model == id) {
            self.put(at, field, WATTS, 0.0);
        }
        let reactive = [(models::REACTIVE_704, WATTS), (models::REACTIVE_123, HUNDREDTHS)];
        for (command, power) in reactive.into_iter().filter(|_| by.reactive.is_some()) {
            let fields = [command.set, command.reverts, command.on, models::PRIORITY_704];
            for field in fields.into_iter().filter(|field| field.model == id) {
                self.put_factor(at, field, power);
                self.put(at, field, if field.factor.is_some() { power } else { WATTS }, 0.0);
            }
        }
        for (_, words) in settings::SET.iter().filter(|(model, _)| *model == id) {
            words.iter().for_each(|(place, word)| self.words[at + usize::from(*place)] = *word);
        }
    }

    fn put_factor(&mut self, at: usize, field: Field, power: i16) {
        if let Some(factor) = field.factor {
            self.words[at + usize::from(factor)] = power as u16;
        }
    }

    fn put(&mut self, at: usize, field: Field, power: i16, value: f64) {
        let layout = field.layout(1.0).scaled(power).expect("the powers here are those of devices");
        let written = layout.nearest(value);
        for (place, pair) in written.bytes().chunks_exact(2).enumerate() {
            self.words[at + usize::from(field.at) + place] = u16::from_be_bytes([pair[0], pair[1]]);
        }
    }
}

/// The smallest power of ten, from one on, with which a register has room for a rating and some more.
fn room(rating: f64, field: Field, from: i16) -> i16 {
    let has_room = |power: &i16| {
        let layout = field.layout(1.0).scaled(*power);
        layout.is_some_and(|layout| layout.registers(rating * HEADROOM).is_ok())
    };
    (from..=*Layout::POWERS.end()).find(has_room).unwrap_or(*Layout::POWERS.end())
}

/// The registers of a model's body, as if none were implemented; `None`: it cannot be simulated.
fn body(id: u16) -> Option<Vec<u16>> {
    let (_, runs) = BODIES.iter().find(|(ids, _)| ids.contains(&id))?;
    let mut words = Vec::new();
    let mut rest = *runs;
    while let Some(kind) = rest.chars().next() {
        let end = rest[1..].find(|letter: char| !letter.is_ascii_digit()).map_or(rest.len(), |end| end + 1);
        let count = rest[1..end].parse().unwrap_or(1);
        let one: &[u16] = match kind {
            'u' => &[0xffff],
            'i' => &[0x8000],
            'I' => &[0x8000, 0],
            'f' => &[0x7fc0, 0],
            _zero => &[0],
        };
        (0..count).for_each(|_| words.extend_from_slice(one));
        rest = &rest[end..];
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_body_has_the_numbers_that_are_used() {
        let lengths = [
            (1, 66),
            (103, 50),
            (113, 60),
            (120, 26),
            (121, 30),
            (122, 44),
            (123, 24),
            (124, 24),
            (160, 8),
            (203, 105),
            (213, 124),
            (701, 153),
            (702, 50),
            (703, 17),
            (704, 65),
            (705, 31),
            (706, 22),
            (711, 22),
            (713, 7),
            (715, 7),
            (802, 62),
        ];
        for (id, length) in lengths {
            assert_eq!(body(id).map(|body| body.len()), Some(length), "model {id}");
        }
    }
}
