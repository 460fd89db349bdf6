//! What is set at a device, and what it tells of itself, in models that no controller uses: for people who commission it.
//!
//! A device that holds the voltage by a curve of its own works against laws that do the same. Whoever commissions a site wants to
//! see that, and the window in which the device enters service. Each model is a table of its numbers; of several curves the first
//! one is in force, which is read-only. A number that is not implemented, or lies behind the model's end, is none: no
//! registers are wrong here.
//!
//! Sources: the definitions in the repository `sunspec/models`, as of 2024; SunSpec DER Information Model Specification 1.0, that
//! the first curve is the one in force.

use alloc::vec::Vec;

use super::models::{Field, field, scaled};
use crate::fieldbus::pdu::Registers;
use crate::fieldbus::register::NumberType::{I16, U16, U32};

/// The models of which all that is set is shown.
pub const MODELS_SHOWN: [u16; 6] = [122, 160, 703, 705, 706, 711];
/// So many registers of such a model are looked at, its head included: 16 modules of model 160.
pub const REGISTERS_MAX: u16 = 10 + 16 * 20;

/// What one model says.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Which.
    pub model: u16,
    /// What it is of, in words.
    pub of: &'static str,
    /// Whether that is in force; none where the device does not say, or has no switch for it.
    pub is_on: Option<bool>,
    /// The law of a controller that does the same.
    pub rival: Option<&'static str>,
    /// Its numbers.
    pub numbers: Vec<Numbers>,
}

/// Numbers of one kind: a single one, or one of each point of a curve and of each module.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// What they are.
    pub name: &'static str,
    /// Their unit; none where the device does not say of what they are parts, and for bits.
    pub unit: &'static str,
    /// Each, in its order; `None` is not implemented.
    pub values: Vec<Option<f64>>,
    /// Of bits: what those that are set mean. A bit without a meaning is not told.
    pub bits: Vec<&'static str>,
}

/// A model.
struct Table {
    model: u16,
    of: &'static str,
    /// The register that is 1 where it is in force.
    switch: Option<u16>,
    rival: Option<&'static str>,
    rows: &'static [Row],
    each: Option<Each>,
}

/// One of its numbers.
struct Row {
    name: &'static str,
    unit: Unit,
    field: Field,
}

/// In what a number is.
enum Unit {
    One(&'static str),
    /// What the number in a register says, from 0 on.
    Of(u16, &'static [&'static str]),
    /// It is bits, from the lowest on, of these meanings.
    Bits(&'static [&'static str]),
}

/// What stands there several times, one behind the other: points, modules.
struct Each {
    /// The register that says how often.
    count: u16,
    /// So many registers each takes.
    registers: u16,
    /// The numbers of the first one.
    rows: &'static [Row],
}

const fn row(name: &'static str, unit: &'static str, field: Field) -> Row {
    Row { name, unit: Unit::One(unit), field }
}

const STATUS: Unit = Unit::Bits(&["connected", "available", "operating", "test"]);
const VOLTS: &str = "% of the nominal voltage";

/// All of them, in the order of [`MODELS_SHOWN`].
static TABLES: [Table; MODELS_SHOWN.len()] = [
    Table {
        model: 122,
        of: "status",
        switch: None,
        rival: None,
        rows: &[
            Row { name: "photovoltaics", unit: STATUS, field: field(122, 2, U16) },
            Row { name: "storage", unit: STATUS, field: field(122, 3, U16) },
            Row { name: "grid", unit: Unit::Bits(&["connected"]), field: field(122, 4, U16) },
            row("available reactive power", "var", scaled(122, 29, I16, 30)),
            row("available power", "W", scaled(122, 31, U16, 32)),
            Row {
                name: "active controls",
                unit: Unit::Bits(&[
                    "fixed power",
                    "fixed reactive power",
                    "fixed power factor",
                    "volt-var",
                    "frequency-watt",
                    "frequency-watt curve",
                    "dynamic reactive current",
                    "low-voltage ride-through",
                    "high-voltage ride-through",
                    "watt-power factor",
                    "volt-watt",
                    "",
                    "schedule",
                    "low-frequency ride-through",
                    "high-frequency ride-through",
                ]),
                field: field(122, 35, U32),
            },
            Row {
                name: "rides through",
                unit: Unit::Bits(&["low voltage", "high voltage", "low frequency", "high frequency"]),
                field: field(122, 43, U16),
            },
            row("isolation resistance", "ohm", scaled(122, 44, U16, 45)),
        ],
        each: None,
    },
    Table {
        model: 160,
        of: "direct-current inputs",
        switch: None,
        rival: None,
        rows: &[],
        each: Some(Each {
            count: 8,
            registers: 20,
            rows: &[
                row("current", "A", scaled(160, 19, U16, 2)),
                row("voltage", "V", scaled(160, 20, U16, 3)),
                row("power", "W", scaled(160, 21, U16, 4)),
            ],
        }),
    },
    Table {
        model: 703,
        of: "entering service",
        switch: Some(2),
        rival: None,
        rows: &[
            row("lowest voltage", VOLTS, scaled(703, 4, U16, 17)),
            row("highest voltage", VOLTS, scaled(703, 3, U16, 17)),
            row("lowest frequency", "Hz", scaled(703, 7, U32, 18)),
            row("highest frequency", "Hz", scaled(703, 5, U32, 18)),
            row("delay", "s", field(703, 9, U32)),
            row("random delay", "s", field(703, 11, U32)),
            row("ramp", "s", field(703, 13, U32)),
            row("delay that remains", "s", field(703, 15, U32)),
        ],
        each: None,
    },
    Table {
        model: 705,
        of: "volt-var",
        switch: Some(2),
        rival: Some("VoltVar"),
        rows: &[row("response", "s", scaled(705, 22, U32, 14))],
        each: Some(Each {
            count: 15,
            registers: 2,
            rows: &[
                row("voltage", VOLTS, scaled(705, 25, U16, 12)),
                Row {
                    name: "reactive power",
                    unit: Unit::Of(
                        16,
                        &[
                            "% of the most active power",
                            "% of the most reactive power",
                            "% of the reactive power that is available",
                            "% of the most apparent power",
                        ],
                    ),
                    field: scaled(705, 26, I16, 13),
                },
            ],
        }),
    },
    Table {
        model: 706,
        of: "volt-watt",
        switch: Some(2),
        rival: Some("VoltWatt"),
        rows: &[row("response", "s", scaled(706, 17, U32, 14))],
        each: Some(Each {
            count: 15,
            registers: 2,
            rows: &[
                row("voltage", VOLTS, scaled(706, 20, U16, 12)),
                Row {
                    name: "active power",
                    unit: Unit::Of(
                        16,
                        &["% of the most active power", "% of the active power that is available"],
                    ),
                    field: scaled(706, 21, I16, 13),
                },
            ],
        }),
    },
    Table {
        model: 711,
        of: "frequency droop",
        switch: Some(2),
        rival: Some("FrequencyDroop"),
        rows: &[
            row("dead band above", "Hz", scaled(711, 14, U32, 11)),
            row("dead band below", "Hz", scaled(711, 16, U32, 11)),
            row("droop above", "pu", scaled(711, 18, U16, 12)),
            row("droop below", "pu", scaled(711, 19, U16, 12)),
            row("response", "s", scaled(711, 20, U32, 13)),
            row("least power", "% of the rating", field(711, 22, I16)),
        ],
        each: None,
    },
];

/// So many registers of a model are to be read for what it says, its head included; `None`: nothing of it is shown.
pub fn registers(model: u16, length: u16) -> Option<u16> {
    MODELS_SHOWN.contains(&model).then(|| length.saturating_add(super::HEAD).min(REGISTERS_MAX))
}

/// Reads what a model says from its registers, from its id on, as many as there are; `None`: nothing of it is shown.
pub fn settings(registers: Registers<'_>) -> Option<Settings> {
    let seen = Seen(registers);
    let model = seen.word(0)?;
    let Table { of, switch, rival, rows, each, .. } = TABLES.iter().find(|table| table.model == model)?;
    let mut numbers: Vec<Numbers> = rows.iter().map(|row| seen.numbers(row, &[0])).collect();
    if let Some(Each { count, registers: step, rows }) = each {
        let places = seen.places(*count, *step, rows);
        numbers.extend(rows.iter().map(|row| seen.numbers(row, &places)));
    }
    let is_on = switch.and_then(|at| match seen.word(at)? {
        0 => Some(false),
        1 => Some(true),
        _neither => None,
    });
    Some(Settings { model, of, is_on, rival: *rival, numbers })
}

/// The registers of a model.
struct Seen<'r>(Registers<'r>);

impl Seen<'_> {
    fn word(&self, at: u16) -> Option<u16> {
        self.0.part(at.into(), 1)?.iter().next()
    }

    /// A number that stands so many registers further than in the first one; its scale factor is where it is.
    fn value(&self, field: Field, further: u16) -> Option<f64> {
        let at = usize::from(field.at) + usize::from(further);
        let registers = self.0.part(at, field.number.registers())?;
        let factor = field.factor.map_or(Some(0), |factor| self.word(factor))?;
        field.layout(1.0).scaled(factor as i16)?.value(registers)
    }

    /// How much further than the first one each of them stands, as far as there are registers.
    fn places(&self, count: u16, step: u16, rows: &[Row]) -> Vec<u16> {
        let said = self.word(count).filter(|count| *count != u16::MAX).unwrap_or(0);
        let end = rows.iter().map(|row| row.field.end()).max().unwrap_or(0);
        let is_there = |further: &u16| usize::from(end) + usize::from(*further) <= self.0.count();
        (0..said).map_while(|place| place.checked_mul(step)).take_while(is_there).collect()
    }

    fn numbers(&self, row: &Row, places: &[u16]) -> Numbers {
        let values: Vec<Option<f64>> = places.iter().map(|place| self.value(row.field, *place)).collect();
        let (unit, bits) = match &row.unit {
            Unit::One(unit) => (*unit, Vec::new()),
            Unit::Of(at, units) => {
                let unit = self.word(*at).and_then(|place| units.get(usize::from(place)));
                (unit.copied().unwrap_or(""), Vec::new())
            }
            Unit::Bits(meanings) => ("", set(values.first().copied().flatten(), meanings)),
        };
        Numbers { name: row.name, unit, values, bits }
    }
}

/// What the bits of a number mean that are set.
fn set(number: Option<f64>, meanings: &[&'static str]) -> Vec<&'static str> {
    // At most 32 bits, which a number holds as they are.
    let bits = number.map_or(0, |number| number as u32);
    let named = (0..u32::BITS).zip(meanings).filter(|(_, meaning)| !meaning.is_empty());
    named.filter(|(place, _)| bits >> place & 1 == 1).map(|(_, meaning)| *meaning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fieldbus::pdu::Table as Registry;
    use crate::fieldbus::plan::Piece;
    use crate::fieldbus::sunspec::models;
    use crate::fieldbus::sunspec::testing::{Body, Image};
    use alloc::vec;
    use proptest::prelude::*;

    fn said(body: Body<'_>) -> Settings {
        let count = registers(body.0, body.1).expect("it is shown");
        let image = Image::at(0, &[body]);
        let bytes = image.read(Piece { table: Registry::HoldingRegisters, address: 2, count });
        settings(Registers::new(&bytes.expect("it has them")).expect("whole ones")).expect("it is shown")
    }

    fn numbers<'s>(said: &'s Settings, name: &str) -> &'s Numbers {
        said.numbers.iter().find(|numbers| numbers.name == name).expect("it is one of them")
    }

    fn minus(number: i16) -> u16 {
        -number as u16
    }

    #[test]
    fn the_tables_are_those_of_the_models_that_are_shown() {
        for (table, model) in TABLES.iter().zip(MODELS_SHOWN) {
            let rows = table.rows.iter().chain(table.each.iter().flat_map(|each| each.rows));
            assert!(table.model == model && rows.clone().all(|row| row.field.model == model), "{model}");
        }
        assert!(models::POWER.iter().all(|field| registers(field.model, 50).is_none()));
    }

    #[test]
    fn a_curve_has_its_points_in_their_units_and_no_more_than_are_active() {
        let known = [
            (2, 1),
            (5, 6),
            (12, minus(1)),
            (13, minus(2)),
            (14, minus(1)),
            (15, 3),
            (16, 1),
            (22, 0),
            (23, 50),
            (25, 920),
            (26, 4_400),
            (27, 1_000),
            (28, 0),
            (29, 1_080),
            (30, minus(4_400)),
        ];
        let said = said((705, 13 + 10 + 12, &known));
        assert_eq!((said.model, said.is_on, said.rival), (705, Some(true), Some("VoltVar")));
        let voltage = numbers(&said, "voltage");
        let near =
            |value: &Option<f64>, expected: f64| value.is_some_and(|value| (value - expected).abs() < 1e-9);
        assert!(
            voltage.values.iter().zip([92.0, 100.0, 108.0]).all(|(value, expected)| near(value, expected))
        );
        assert_eq!(voltage.values.len(), 3);
        let reactive = numbers(&said, "reactive power");
        assert!(
            reactive.values.iter().zip([44.0, 0.0, -44.0]).all(|(value, expected)| near(value, expected))
        );
        assert_eq!(reactive.unit, "% of the most reactive power");
        assert!(near(&numbers(&said, "response").values[0], 5.0));
    }

    #[test]
    fn what_is_not_implemented_is_none_and_a_switch_may_be_neither() {
        let bare = said((711, 22, &[]));
        assert_eq!((bare.is_on, numbers(&bare, "droop above").values[0]), (None, None));
        let short = said((703, 3, &[(2, 0), (3, 1_050), (4, 917)]));
        assert_eq!(short.is_on, Some(false));
        assert_eq!(numbers(&short, "highest voltage").values, [None], "its scale factor is behind the end");
        let none = said((705, 13, &[(2, 1)]));
        assert!(numbers(&none, "voltage").values.is_empty(), "there is no curve");
    }

    #[test]
    fn modules_and_bits_are_told_one_by_one() {
        let known = [(2, minus(1)), (3, 0), (4, 1), (8, 2), (19, 85), (20, 612), (21, 520), (41, 0xffff)];
        let said_160 = said((160, 8 + 2 * 20, &known));
        assert_eq!(numbers(&said_160, "power").values, [Some(5_200.0), None]);
        assert_eq!(numbers(&said_160, "voltage").values, [Some(612.0), None]);
        let status =
            said((122, 44, &[(2, 0b111), (4, 0), (31, 420), (32, 2), (35, 0), (36, 0x808), (43, 0b10)]));
        assert_eq!(numbers(&status, "photovoltaics").bits, ["connected", "available", "operating"]);
        assert!(numbers(&status, "grid").bits.is_empty());
        assert_eq!(numbers(&status, "available power").values, [Some(42e3)]);
        assert_eq!(numbers(&status, "active controls").bits, vec!["volt-var"], "and one without a meaning");
        assert_eq!(numbers(&status, "rides through").bits, ["high voltage"]);
    }

    proptest! {
        /// Whatever a device shows, and however little of it: what is told has a bound, and no number is none.
        #[test]
        fn no_registers_are_wrong(
            place in 0..=MODELS_SHOWN.len(),
            words in proptest::collection::vec(
                prop_oneof![any::<u16>(), 0_u16..12, Just(0x8000), Just(u16::MAX)],
                0..usize::from(REGISTERS_MAX),
            ),
        ) {
            let model = MODELS_SHOWN.get(place).copied().unwrap_or(1);
            let bytes: Vec<u8> = core::iter::once(model).chain(words).flat_map(u16::to_be_bytes).collect();
            let found = settings(Registers::new(&bytes).expect("whole ones"));
            prop_assert_eq!(found.is_some(), place < MODELS_SHOWN.len());
            for numbers in found.iter().flat_map(|found| &found.numbers) {
                prop_assert!(numbers.values.len() <= usize::from(REGISTERS_MAX) / 2);
                prop_assert!(numbers.values.iter().flatten().all(|value| value.is_finite()));
            }
        }
    }
}
