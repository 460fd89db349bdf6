//! Where the numbers that are used lie in their models, counted from a model's first register, its id.
//!
//! Source: the definitions in the repository `sunspec/models`, as of 2024. A list of candidates is in the order of preference.

use NumberType::{F32, I16, I32, U16, U32};

use super::ByModels;
use crate::fieldbus::register::{Layout, NumberType, Unknown, WordOrder};
use crate::points::{DeviceClass, Priority};

/// One number of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Of which model.
    pub model: u16,
    /// Its first register.
    pub at: u16,
    /// Its type.
    pub number: NumberType,
    /// Where its scale factor is: the number is so many powers of ten larger.
    pub factor: Option<u16>,
}

pub(super) const fn field(model: u16, at: u16, number: NumberType) -> Field {
    Field { model, at, number, factor: None }
}

pub(super) const fn scaled(model: u16, at: u16, number: NumberType, factor: u16) -> Field {
    Field { model, at, number, factor: Some(factor) }
}

impl Field {
    /// Where its registers end.
    pub(super) const fn end(self) -> u16 {
        self.at + self.number.registers() as u16
    }

    /// How many registers of its model must be read for it.
    pub(super) const fn reach(self) -> u16 {
        match self.factor {
            Some(factor) if factor >= self.end() => factor + 1,
            Some(_) | None => self.end(),
        }
    }

    /// How it lies there, if one of it is so much.
    pub const fn layout(self, scale: f64) -> Layout {
        let (order, unknown) = (WordOrder::HighFirst, Unknown::SunSpec);
        Layout { number: self.number, order, scale, offset: 0.0, unknown }
    }
}

/// The active power of an inverter, W, positive out of it.
pub const POWER: [Field; 7] = [
    scaled(701, 10, I16, 116),
    scaled(103, 14, I16, 15),
    scaled(102, 14, I16, 15),
    scaled(101, 14, I16, 15),
    field(113, 22, F32),
    field(112, 22, F32),
    field(111, 22, F32),
];

/// The reactive power of an inverter, var, positive where it is injected.
pub const REACTIVE: [Field; 7] = [
    scaled(701, 12, I16, 119),
    scaled(103, 20, I16, 21),
    scaled(102, 20, I16, 21),
    scaled(101, 20, I16, 21),
    field(113, 28, F32),
    field(112, 28, F32),
    field(111, 28, F32),
];

/// The active power that a meter measures, W.
pub const METERED: [Field; 8] = of_meters(18, 22, 28);

/// The reactive power that a meter measures, var.
pub const METERED_REACTIVE: [Field; 8] = of_meters(28, 32, 44);

/// The voltage between two lines that a meter measures, V: the average of those that there are.
pub const LINE_TO_LINE: [Field; 8] = of_meters(11, 15, 18);

/// The voltage between a line and neutral that a meter measures, V: the average of those that there are.
pub const LINE_TO_NEUTRAL: [Field; 8] = of_meters(7, 15, 10);

/// The frequency that a meter measures, Hz.
pub const FREQUENCY: [Field; 8] = of_meters(16, 17, 26);

/// A field of all models of meters: those of one kind of number have it at one place.
const fn of_meters(scaled_at: u16, factor: u16, float_at: u16) -> [Field; 8] {
    [
        scaled(203, scaled_at, I16, factor),
        scaled(204, scaled_at, I16, factor),
        scaled(202, scaled_at, I16, factor),
        scaled(201, scaled_at, I16, factor),
        field(213, float_at, F32),
        field(214, float_at, F32),
        field(212, float_at, F32),
        field(211, float_at, F32),
    ]
}

/// A battery's state of charge, percent: of a storage, of a battery behind its management system, of the storage controls.
pub const CHARGE: [Field; 3] = [scaled(713, 4, U16, 8), scaled(802, 11, U16, 56), scaled(124, 8, U16, 22)];

/// The most that a battery may be charged with, W: as set, as rated.
pub const CHARGE_LIMIT: [Field; 4] =
    [scaled(702, 34, U16, 45), scaled(702, 10, U16, 45), scaled(802, 4, U16, 54), STORAGE_MAX];

/// The most that a battery may be discharged with, W: as set, as rated. Model 124 has one limit for both ways.
pub const DISCHARGE_LIMIT: [Field; 4] =
    [scaled(702, 35, U16, 45), scaled(702, 11, U16, 45), scaled(802, 5, U16, 54), STORAGE_MAX];

/// The most power of an inverter, W, of which limits are shares: as set, as rated.
pub const POWER_MAX_702: [Field; 2] = [scaled(702, 26, U16, 45), scaled(702, 2, U16, 45)];
/// The same of inverters with the older models.
pub const POWER_MAX_121: [Field; 2] = [scaled(121, 2, U16, 22), scaled(120, 3, U16, 4)];
/// The power of which a battery's rates are shares, W.
pub const STORAGE_MAX: Field = scaled(124, 2, U16, 18);

/// How a power is commanded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Command {
    /// The number that is set.
    pub set: Field,
    /// After how many seconds it ends by itself.
    pub reverts: Field,
    /// What says whether it is in force.
    pub on: Field,
    /// With which number.
    pub is_on: f64,
}

/// Active power as a limit, in percent of the most that an inverter has.
pub const LIMIT_704: Command = Command {
    set: scaled(704, 15, U16, 54),
    reverts: field(704, 18, U32),
    on: field(704, 14, U16),
    is_on: 1.0,
};
/// Active power as it is to be, W. Two registers say that it is in force, and that watts count: each with 1.
pub const POWER_704: Command = Command {
    set: scaled(704, 24, I32, 55),
    reverts: field(704, 31, U32),
    on: field(704, 22, U32),
    is_on: 65_537.0,
};
/// Active power as a limit, in percent of the most that an inverter has, by the older model.
pub const LIMIT_123: Command =
    Command { set: scaled(123, 5, U16, 23), reverts: field(123, 7, U16), on: field(123, 9, U16), is_on: 1.0 };
/// The highest rate of discharge, percent. That and the highest rate of charge are in force, each by a bit of its own.
pub const DISCHARGE_124: Command = Command {
    set: scaled(124, 12, I16, 25),
    reverts: field(124, 15, U16),
    on: field(124, 5, U16),
    is_on: 3.0,
};
/// The highest rate of charge, percent, in the register behind: a negative one is the lowest rate of discharge, so that both
/// together say what the power is to be.
pub const CHARGE_124: Field = scaled(124, 13, I16, 25);

/// Reactive power as it is to be, var. Two registers say that it is in force, and that vars count: with 1 and 4.
pub const REACTIVE_704: Command = Command {
    set: scaled(704, 38, I32, 57),
    reverts: field(704, 45, U32),
    on: field(704, 35, U32),
    is_on: 65_540.0,
};
/// Which power gives way where there is no room for both, behind what says that reactive power is in force.
pub const PRIORITY_704: Field = field(704, 37, U16);
/// Reactive power in percent of the most active power that an inverter has, by the older model. Two registers say that shares of
/// that count, and that it is in force: each with 1.
pub const REACTIVE_123: Command = Command {
    set: scaled(123, 15, I16, 25),
    reverts: field(123, 19, U16),
    on: field(123, 21, U32),
    is_on: 65_537.0,
};

/// What [`PRIORITY_704`] says.
pub(super) const fn priority(which: Priority) -> f64 {
    match which {
        Priority::Active => 0.0,
        Priority::Reactive => 1.0,
    }
}

/// Where a controller's heartbeat is written: of a resource, of a battery's management system.
pub const HEARTBEATS: [Field; 2] = [field(715, 5, U32), field(802, 19, U16)];

/// The numbers of such a device that are looked at once, when it was found.
pub(super) fn settings(by: &ByModels) -> impl Iterator<Item = Field> + use<> {
    const fn of(command: Command) -> [Field; 3] {
        [command.set, command.reverts, command.on]
    }
    const BATTERY: [&[Field]; 7] = [
        &CHARGE,
        &CHARGE_LIMIT,
        &DISCHARGE_LIMIT,
        &of(POWER_704),
        &of(DISCHARGE_124),
        &[CHARGE_124],
        &HEARTBEATS,
    ];
    const PV: [&[Field]; 5] = [&POWER_MAX_702, &POWER_MAX_121, &of(LIMIT_704), &of(LIMIT_123), &HEARTBEATS];
    const REACTIVE: [&[Field]; 4] = [&of(REACTIVE_704), &[PRIORITY_704], &of(REACTIVE_123), &POWER_MAX_121];
    let lists: &'static [&[Field]] = match by.class {
        DeviceClass::Meter
        | DeviceClass::Signal
        | DeviceClass::Genset
        | DeviceClass::Load
        | DeviceClass::Breaker => &[],
        DeviceClass::Battery => &BATTERY,
        DeviceClass::Pv => &PV,
    };
    let reactive: &'static [&[Field]] = if by.reactive.is_some() { &REACTIVE } else { &[] };
    lists.iter().chain(reactive).copied().flatten().copied()
}
