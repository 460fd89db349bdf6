//! Whether a number can be what a point measures, and if not, under which other reading it could be.
//!
//! A rating says how large a power may be, and a share is between empty and full: what is far beyond that is read wrongly. What
//! is within says nothing: a scale that is wrong by ten may well give a number that could be true.

use r_ems_engine::fieldbus::map::MappedPoint;
use r_ems_engine::fieldbus::pdu::Registers;
use r_ems_engine::fieldbus::register::{Layout, NumberType, WordOrder};
use r_ems_engine::points::device::{EngineState, FREQUENCY_MAX_HZ, VOLTAGE_MAX};
use r_ems_engine::points::{DeviceClass, DeviceMode, Dimension, PointKind};
use r_ems_engine::units::{Hertz, PerUnit, Ratio, Vars, Watts};

/// A device measures no more than so many times its rating; the connection behind a meter may be overloaded for a while.
const BEYOND_RATING: f64 = 1.25;
const BEYOND_CONNECTION: f64 = 2.0;
/// Less than this share of the rating, and not nothing, is odd for a floating point number: two words in the wrong order look so.
const TINY: f64 = 1e-6;
/// What is less than this, in W or as a share, and not nothing, is shown with its power of ten: else it would look like nothing.
const SHOWN: [f64; 2] = [0.05, 0.000_5];
/// A power of which something can be said is this share of the rating at least.
const SOLID: f64 = 1e-4;
/// The same of a voltage, as a multiple of the nominal one, and of a frequency, in Hz.
const SOLID_VOLTAGE: f64 = 0.5;
const SOLID_FREQUENCY_HZ: f64 = 15.0;
/// Scales are wrong by these factors.
const FACTORS: [f64; 3] = [10.0, 100.0, 1_000.0];
/// A limit that is so near to a tenth of the rating, or a hundredth, is the rating itself in another scale.
const NEAR: f64 = 0.02;
/// A battery below this charge does not offer half of its rating.
const NEARLY_EMPTY: f64 = 0.02;

/// The field that says in which order the words of a number stand.
const ORDER: &str = "order";

/// A number that cannot be, and what would be likely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The field of the point that is likely wrong; nothing if that is not known.
    pub(super) field: Option<&'static str>,
    /// What is likely wrong.
    pub(super) likely: Option<String>,
}

/// What is measured, and of what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) class: DeviceClass,
    pub(super) kind: PointKind,
    pub(super) rating: f64,
}

impl Measured {
    /// What the number must be within, in words.
    pub(super) fn allowed(self) -> String {
        let most = crate::present::text::quantity(self.most(), self.kind.dimension().symbol());
        match self.kind {
            PointKind::StateOfCharge | PointKind::Signal => "0 % to 100 %".to_owned(),
            PointKind::Power
            | PointKind::SetPoint
            | PointKind::ReactivePower
            | PointKind::ReactiveSetPoint => {
                format!("at most {most} either way")
            }
            PointKind::ChargeLimit | PointKind::DischargeLimit => format!("0 W to {most}"),
            PointKind::Voltage
            | PointKind::Frequency
            | PointKind::State
            | PointKind::Closed
            | PointKind::Mode
            | PointKind::Remote => {
                format!("0 to {most}")
            }
        }
    }

    fn most(self) -> f64 {
        let beyond = if self.class == DeviceClass::Meter { BEYOND_CONNECTION } else { BEYOND_RATING };
        match self.kind.dimension() {
            Dimension::Power | Dimension::ReactivePower => self.rating * beyond,
            Dimension::Share => 1.0,
            Dimension::Voltage => VOLTAGE_MAX,
            Dimension::Frequency => FREQUENCY_MAX_HZ,
            Dimension::Number if self.kind == PointKind::State => EngineState::Fault.number(),
            Dimension::Number if self.kind == PointKind::Mode => DeviceMode::Fault.number(),
            Dimension::Number => 1.0,
        }
    }

    /// Whether it can be.
    pub(super) fn can_be(self, value: f64) -> bool {
        let is_within = match self.kind.dimension() {
            Dimension::Power | Dimension::ReactivePower => value.abs() <= self.most(),
            // What the kind itself can be.
            Dimension::Share | Dimension::Voltage | Dimension::Frequency | Dimension::Number => true,
        };
        is_within && self.kind.can_be(value)
    }

    /// Whether it can be, and is more than next to nothing.
    fn is_solid(self, value: f64) -> bool {
        let least = match self.kind.dimension() {
            Dimension::Power | Dimension::ReactivePower => SOLID * self.rating,
            Dimension::Share => SOLID,
            Dimension::Voltage => SOLID_VOLTAGE,
            Dimension::Frequency => SOLID_FREQUENCY_HZ,
            Dimension::Number => 1.0,
        };
        self.can_be(value) && value.abs() >= least
    }

    /// What is wrong with registers that mean a number which cannot be; `None`: it can be.
    pub(super) fn doubt(self, mapped: &MappedPoint, registers: Registers<'_>) -> Option<Doubt> {
        let value = mapped.layout.value(registers)?;
        let is_float = mapped.layout.number == NumberType::F32;
        let is_tiny = is_float && value != 0.0 && value.abs() < TINY * self.rating;
        if self.can_be(value) && !is_tiny {
            return None;
        }
        let fits = |other: &Layout| other.value(registers).is_some_and(|value| self.is_solid(value));
        let found = self.others(&mapped.layout).into_iter().find(|(other, ..)| fits(other));
        // A number that is next to nothing can be, unless it is a good one with its words in the other order.
        if is_tiny && found.as_ref().is_none_or(|(_, field, _)| *field != ORDER) {
            return None;
        }
        let unsure = Doubt { field: None, likely: None };
        Some(found.map_or(unsure, |(other, field, words)| {
            let value = other.value(registers).unwrap_or(0.0);
            let shown = show(self.kind, value);
            Doubt { field: Some(field), likely: Some(format!("{words} it would be {shown}")) }
        }))
    }

    /// Other readings, that which is likely first.
    fn others(self, layout: &Layout) -> Vec<(Layout, &'static str, String)> {
        let mut others = Vec::new();
        if layout.number.registers() > 1 {
            let (order, name) = match layout.order {
                WordOrder::HighFirst => (WordOrder::LowFirst, "LowFirst"),
                WordOrder::LowFirst => (WordOrder::HighFirst, "HighFirst"),
            };
            others.push((Layout { order, ..*layout }, ORDER, format!("with order: {name}")));
        }
        let signed = match layout.number {
            NumberType::U16 => Some((NumberType::I16, "I16")),
            NumberType::U32 => Some((NumberType::I32, "I32")),
            NumberType::U64 => Some((NumberType::I64, "I64")),
            NumberType::I16
            | NumberType::I32
            | NumberType::I64
            | NumberType::F32
            | NumberType::Bits { .. } => None,
        };
        if let Some((number, name)) = signed {
            others.push((Layout { number, ..*layout }, "number", format!("as {name}")));
        }
        for factor in FACTORS {
            let scale = layout.scale / factor;
            let words = format!("the scale is likely wrong by {factor:.0}: with {}", self.spelled(scale));
            others.push((Layout { scale, ..*layout }, "scale", words));
        }
        others
    }

    /// A scale as the file spells it.
    fn spelled(self, scale: f64) -> String {
        match self.kind.dimension() {
            Dimension::Power => format!("scale: \"{}\"", Watts::of(scale)),
            Dimension::ReactivePower => format!("scale: \"{}\"", Vars::of(scale)),
            Dimension::Share => format!("scale: \"{}\"", Ratio::of(scale)),
            Dimension::Voltage => format!("scale: \"{}\"", PerUnit::of(scale)),
            Dimension::Frequency => format!("scale: \"{}\"", Hertz::of(scale)),
            Dimension::Number => format!("scale: {scale}"),
        }
    }

    /// What is odd about a limit that could be true; `None`: nothing.
    pub(super) fn oddity(self, mapped: &MappedPoint, value: f64) -> Option<Doubt> {
        if !matches!(self.kind, PointKind::ChargeLimit | PointKind::DischargeLimit) {
            return None;
        }
        let factor = FACTORS.into_iter().find(|factor| (value * factor / self.rating - 1.0).abs() <= NEAR)?;
        let likely = format!(
            "the scale may be wrong by {factor:.0}: with {} it would be {}",
            self.spelled(mapped.layout.scale * factor),
            show(self.kind, value * factor)
        );
        Some(Doubt { field: Some("scale"), likely: Some(likely) })
    }
}

/// What is odd about a battery that is nearly empty and offers much; `None`: nothing.
pub(super) fn odd_charge(
    charge: f64,
    discharge_limit: f64,
    rating: f64,
    mapped: &MappedPoint,
) -> Option<Doubt> {
    if !(0.0..NEARLY_EMPTY).contains(&charge) || charge < SOLID || discharge_limit < rating / 2.0 {
        return None;
    }
    let measured = Measured { class: DeviceClass::Battery, kind: PointKind::StateOfCharge, rating };
    let factor = FACTORS.into_iter().rev().find(|factor| charge * factor <= 1.0)?;
    let likely = format!(
        "the scale may be wrong by {factor:.0}: with {} it would be {}",
        measured.spelled(mapped.layout.scale * factor),
        show(measured.kind, charge * factor)
    );
    Some(Doubt { field: Some("scale"), likely: Some(likely) })
}

/// A number of a point as people write it.
pub(super) fn show(kind: PointKind, value: f64) -> String {
    let (dimension, [watts, share]) = (kind.dimension(), SHOWN);
    let least = match dimension {
        Dimension::Power | Dimension::ReactivePower => watts,
        Dimension::Share | Dimension::Voltage | Dimension::Frequency | Dimension::Number => share,
    };
    if value != 0.0 && value.abs() < least {
        return format!("{value:.1e} {}", dimension.symbol());
    }
    crate::present::text::quantity(value, dimension.symbol())
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::fieldbus::pdu::Table;
    use r_ems_engine::fieldbus::register::Unknown;
    use r_ems_engine::ids::PointIndex;

    fn mapped(number: NumberType, scale: f64) -> MappedPoint {
        let layout =
            Layout { number, order: WordOrder::HighFirst, scale, offset: 0.0, unknown: Unknown::Never };
        MappedPoint {
            point: PointIndex::of(0),
            table: Table::HoldingRegisters,
            address: 0,
            layout,
            factor: None,
            guard: None,
            model: None,
        }
    }

    fn of(kind: PointKind) -> Measured {
        Measured { class: DeviceClass::Battery, kind, rating: 250e3 }
    }

    fn doubt(kind: PointKind, mapped: &MappedPoint, bytes: &[u8]) -> Option<Doubt> {
        of(kind).doubt(mapped, Registers::new(bytes).expect("whole registers"))
    }

    #[test]
    fn a_number_is_doubted_just_beyond_what_can_be() {
        let watts = mapped(NumberType::I32, 1.0);
        for (value, is_doubted) in
            [(0, false), (312_500, false), (312_501, true), (-312_500, false), (-312_501, true)]
        {
            let found = doubt(PointKind::Power, &watts, &i32::to_be_bytes(value));
            assert_eq!(found.is_some(), is_doubted, "{value}");
        }
        let share = mapped(NumberType::U16, 0.001);
        assert_eq!(doubt(PointKind::StateOfCharge, &share, &u16::to_be_bytes(1_020)), None);
        assert!(doubt(PointKind::StateOfCharge, &share, &u16::to_be_bytes(1_021)).is_some());
    }

    #[test]
    fn what_would_be_likely_is_named() {
        for (kind, number, scale, bytes, field, words) in [
            (
                PointKind::Power,
                NumberType::I32,
                1.0,
                &[0x0b, 0xb8, 0, 0][..],
                "order",
                "order: LowFirst it would be 3.0 kW",
            ),
            (PointKind::Power, NumberType::F32, 1.0, &[0x2b, 0x40, 0x48, 0x88], "order", "order: LowFirst"),
            (PointKind::Power, NumberType::U16, 10.0, &[0xff, 0x38], "number", "as I16 it would be -2.0 kW"),
            (
                PointKind::Power,
                NumberType::I32,
                10.0,
                &[0, 1, 0x86, 0xa0],
                "scale",
                "\"1 W\" it would be 100.0 kW",
            ),
            (
                PointKind::StateOfCharge,
                NumberType::U16,
                0.01,
                &[3, 0x20],
                "scale",
                "wrong by 10: with scale: \"0.1 %\" it would be 80.0 %",
            ),
        ] {
            let found = doubt(kind, &mapped(number, scale), bytes).expect("that cannot be");
            assert_eq!(found.field, Some(field));
            assert!(found.likely.as_deref().is_some_and(|likely| likely.contains(words)), "{found:?}");
        }
        let nothing =
            doubt(PointKind::Power, &mapped(NumberType::I32, 1.0), &[0x7f; 4]).expect("that cannot be");
        assert_eq!(nothing, Doubt { field: None, likely: None });
    }

    #[test]
    fn what_is_next_to_nothing_does_not_look_like_nothing() {
        assert_eq!(show(PointKind::Power, 0.000_39), "3.9e-4 W");
        assert_eq!(show(PointKind::Power, 0.05), "0.1 W");
        assert_eq!(show(PointKind::Power, 0.0), "0 W");
        assert_eq!(show(PointKind::StateOfCharge, 0.000_5), "0.1 %");
    }

    #[test]
    fn what_could_be_true_and_looks_like_another_scale_is_odd() {
        let limit = of(PointKind::DischargeLimit);
        let watts = mapped(NumberType::U16, 1.0);
        assert!(
            limit
                .oddity(&watts, 25e3)
                .is_some_and(|odd| odd.likely.is_some_and(|text| text.contains("wrong by 10")))
        );
        assert_eq!(limit.oddity(&watts, 26e3), None);
        assert_eq!(limit.oddity(&watts, 250e3), None);
        assert_eq!(of(PointKind::Power).oddity(&watts, 25e3), None);
        let share = mapped(NumberType::U16, 0.0001);
        assert!(odd_charge(0.008, 250e3, 250e3, &share).is_some());
        assert_eq!(odd_charge(0.008, 10e3, 250e3, &share), None, "that is empty");
        assert_eq!(odd_charge(0.08, 250e3, 250e3, &share), None);
    }
}
