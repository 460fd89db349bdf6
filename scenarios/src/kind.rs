//! The kinds of components, and what can be read of each.

use r_ems_engine::points::DeviceClass;
use r_ems_sim::plant::Quantity;

use crate::wind::WIND;

/// What a component is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Connection,
    Load,
    Pv,
    Battery,
    Signal,
    Genset,
    Tie,
}

/// The unit of a quantity, as text writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Power,
    ReactivePower,
    Energy,
    Share,
    Voltage,
    Frequency,
    Flag,
    /// A number, a count, or an amount in the unit that the reference says.
    Number,
    /// In the currency of the tariff.
    Money,
    /// A length of time.
    Span,
}

impl Kind {
    pub(crate) const NAMES: [(&'static str, Self); 8] = [
        ("GridConnection", Self::Connection),
        ("Load", Self::Load),
        ("Pv", Self::Pv),
        // Of another source, and to whoever limits it the same.
        (WIND, Self::Pv),
        ("Battery", Self::Battery),
        ("Signal", Self::Signal),
        ("Genset", Self::Genset),
        ("BusTie", Self::Tie),
    ];

    /// The kind as a scenario spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connection => "GridConnection",
            Self::Load => "Load",
            Self::Pv => "Pv",
            Self::Battery => "Battery",
            Self::Signal => "Signal",
            Self::Genset => "Genset",
            Self::Tie => "BusTie",
        }
    }

    /// What can be read of it: the name after the dot, the quantity, its unit.
    pub(crate) fn quantities(self) -> &'static [(&'static str, Quantity, Unit)] {
        match self {
            Self::Connection => &[
                ("p", Quantity::Power, Unit::Power),
                ("closed", Quantity::Closed, Unit::Flag),
                ("q", Quantity::ReactivePower, Unit::ReactivePower),
                ("v", Quantity::Voltage, Unit::Voltage),
                ("f", Quantity::Frequency, Unit::Frequency),
                ("state", Quantity::State, Unit::Number),
                ("waiting", Quantity::Waiting, Unit::Flag),
                ("grid_v", Quantity::GridVoltage, Unit::Voltage),
                ("grid_f", Quantity::GridFrequency, Unit::Frequency),
                ("trips", Quantity::Trips, Unit::Number),
                ("remote", Quantity::Remote, Unit::Flag),
            ],
            Self::Load => &[
                ("p", Quantity::Power, Unit::Power),
                ("demand", Quantity::Demand, Unit::Power),
                ("q", Quantity::ReactivePower, Unit::ReactivePower),
                ("closed", Quantity::Closed, Unit::Flag),
                ("trips", Quantity::Trips, Unit::Number),
                ("remote", Quantity::Remote, Unit::Flag),
            ],
            Self::Pv => &[
                ("p", Quantity::Power, Unit::Power),
                ("available", Quantity::AvailablePower, Unit::Power),
                ("curtailed", Quantity::Curtailed, Unit::Flag),
                ("set_point", Quantity::SetPoint, Unit::Power),
                ("q", Quantity::ReactivePower, Unit::ReactivePower),
                ("mode", Quantity::Mode, Unit::Number),
                ("remote", Quantity::Remote, Unit::Flag),
            ],
            Self::Battery => &[
                ("p", Quantity::Power, Unit::Power),
                ("soc", Quantity::StateOfCharge, Unit::Share),
                ("reported_soc", Quantity::ReportedStateOfCharge, Unit::Share),
                ("energy", Quantity::StoredEnergy, Unit::Energy),
                ("charge_limit", Quantity::ChargeLimit, Unit::Power),
                ("discharge_limit", Quantity::DischargeLimit, Unit::Power),
                ("set_point", Quantity::SetPoint, Unit::Power),
                ("q", Quantity::ReactivePower, Unit::ReactivePower),
                ("trips", Quantity::Trips, Unit::Number),
                ("mode", Quantity::Mode, Unit::Number),
                ("remote", Quantity::Remote, Unit::Flag),
            ],
            Self::Genset => &[
                ("p", Quantity::Power, Unit::Power),
                ("set_point", Quantity::SetPoint, Unit::Power),
                ("state", Quantity::State, Unit::Number),
                ("starts", Quantity::Starts, Unit::Number),
                ("trips", Quantity::Trips, Unit::Number),
                ("hours", Quantity::RunningHours, Unit::Number),
                ("fuel", Quantity::Fuel, Unit::Number),
                ("remote", Quantity::Remote, Unit::Flag),
            ],
            Self::Signal => &[("signal", Quantity::Signal, Unit::Share)],
            Self::Tie => &[
                ("p", Quantity::Power, Unit::Power),
                ("closed", Quantity::Closed, Unit::Flag),
                ("v", Quantity::Voltage, Unit::Voltage),
                ("f", Quantity::Frequency, Unit::Frequency),
                ("state", Quantity::State, Unit::Number),
                ("waiting", Quantity::Waiting, Unit::Flag),
                ("trips", Quantity::Trips, Unit::Number),
            ],
        }
    }

    /// The kind that a device of `class` measures or moves.
    pub(crate) fn of(class: DeviceClass) -> Self {
        match class {
            DeviceClass::Meter | DeviceClass::Breaker => Self::Connection,
            DeviceClass::Genset => Self::Genset,
            DeviceClass::Load => Self::Load,
            DeviceClass::Battery => Self::Battery,
            DeviceClass::Pv => Self::Pv,
            DeviceClass::Signal => Self::Signal,
        }
    }
}
