//! Which devices a controller has, which points each of them has, and how their signs turn into ours.
//!
//! **Sign.** Inside the engine power is positive into the bus: discharge, generation, import. Each device link states which
//! direction the device itself counts as positive, without a default, because a wrong sign is the most common
//! commissioning mistake and the most expensive one.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::kinds::PointKinds;
use super::mode::DeviceMode;
use crate::math::{at_least, at_most};
use crate::time::Span;
use crate::units::{VoltAmperes, Watts, WattsPerSecond};

/// Largest magnitude that is believed, in the point's base unit: 1 TW is beyond any site and keeps sums finite.
pub const MAX_MAGNITUDE: f64 = 1e12;

/// A number within [`MAX_MAGNITUDE`]: what came from elsewhere, or is summed up for ever.
pub(crate) const fn believed(number: f64) -> f64 {
    at_least(at_most(number, MAX_MAGNITUDE), -MAX_MAGNITUDE)
}

/// A state of charge may read so far beyond empty and full: devices round and drift. Further out its scale is wrong.
pub const SOC_TOLERANCE: f64 = 0.02;
/// Highest voltage that is believed, as a multiple of the nominal one: further out its scale is wrong.
pub const VOLTAGE_MAX: f64 = 2.0;
/// Lowest frequency that is believed, in Hz: a meter without voltage reads 0.
pub const FREQUENCY_MIN_HZ: f64 = 1.0;
/// Highest frequency that is believed, in Hz: generators of ships and aircraft have 400.
pub const FREQUENCY_MAX_HZ: f64 = 500.0;

/// What a device is, hence which points it has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceClass {
    /// Measures the power at the point of common coupling.
    Meter,
    /// A battery with its inverter and management system.
    Battery,
    /// A photovoltaic inverter whose power can be limited.
    Pv,
    /// A receiver of what the grid operator wants: a share of what is usual.
    Signal,
    /// A generator on an engine: its set-point is its power, and 0 W stops it.
    Genset,
    /// A load behind a breaker of its own: its set-point is what it may take, and 0 W opens it.
    Load,
    /// The breaker at the point of common coupling: its set-point is what may flow through it, and 0 W opens it.
    Breaker,
}

/// What a point measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PointKind {
    /// Active power, W.
    Power,
    /// State of charge, 0 to 1.
    StateOfCharge,
    /// The most that may be charged now, W, a magnitude.
    ChargeLimit,
    /// The most that may be discharged now, W, a magnitude.
    DischargeLimit,
    /// The set-point as the device holds it, W.
    SetPoint,
    /// Reactive power, var; positive is injected.
    ReactivePower,
    /// Voltage, as a multiple of the nominal one.
    Voltage,
    /// Frequency, Hz.
    Frequency,
    /// The reactive set-point as the device holds it, var.
    ReactiveSetPoint,
    /// What the grid operator allows, 0 to 1.
    Signal,
    /// How an engine stands: the number of an [`EngineState`].
    State,
    /// Whether a breaker is closed, 0 or 1.
    Closed,
    /// How a device stands as a whole: the number of a [`DeviceMode`].
    Mode,
    /// Whether a device is controlled from afar, 1, or at its panel, 0.
    Remote,
}

impl DeviceClass {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] =
        [Self::Meter, Self::Battery, Self::Pv, Self::Signal, Self::Genset, Self::Load, Self::Breaker];

    /// Whether the device takes set-points.
    pub const fn is_controlled(self) -> bool {
        match self {
            Self::Meter | Self::Signal => false,
            Self::Battery | Self::Pv | Self::Genset | Self::Load | Self::Breaker => true,
        }
    }

    /// Whether its set-point is a switch besides: 0 W is off, and anything else is on.
    ///
    /// What such a device holds says more than what flows, so a new life goes on from there.
    pub const fn is_switched(self) -> bool {
        match self {
            Self::Genset | Self::Load | Self::Breaker => true,
            Self::Meter | Self::Signal | Self::Battery | Self::Pv => false,
        }
    }

    /// Whether one that cannot be seen is left as it was told last: it does no harm so, or more if it were told to rest.
    pub const fn is_left_unseen(self) -> bool {
        match self {
            Self::Pv | Self::Genset | Self::Load | Self::Breaker => true,
            Self::Meter | Self::Signal | Self::Battery => false,
        }
    }

    /// Whether it stays as it was switched, whatever happens to who switched it. What has opened such a breaker since, its
    /// protection or a person, must not be overruled by a repetition.
    pub const fn stays(self) -> bool {
        match self {
            Self::Load | Self::Breaker => true,
            Self::Meter | Self::Signal | Self::Battery | Self::Pv | Self::Genset => false,
        }
    }

    /// The set-points that a device of this rating takes, from the least to the most: a battery takes and gives power, a load
    /// only takes it, nothing else takes any.
    pub fn range(self, rating: Watts) -> (Watts, Watts) {
        match self {
            Self::Battery => (-rating, rating),
            Self::Load => (-rating, Watts::ZERO),
            Self::Pv | Self::Genset | Self::Breaker => (Watts::ZERO, rating),
            Self::Meter | Self::Signal => (Watts::ZERO, Watts::ZERO),
        }
    }

    /// The class as a site file spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meter => "Meter",
            Self::Battery => "Battery",
            Self::Pv => "Pv",
            Self::Signal => "Signal",
            Self::Genset => "Genset",
            Self::Load => "Load",
            Self::Breaker => "Breaker",
        }
    }
}

/// How the engine of a genset stands, as the point `state` tells by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EngineState {
    /// 0: at rest.
    Off,
    /// 1: being cranked.
    Starting,
    /// 2: runs without load until it is warm.
    WarmUp,
    /// 3: waits to be closed in phase.
    Synchronizing,
    /// 4: on the bus.
    Running,
    /// 5: runs without load before it stops.
    CoolDown,
    /// 6: did not start, or tripped; a stop resets it.
    Fault,
}

impl EngineState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Off,
        Self::Starting,
        Self::WarmUp,
        Self::Synchronizing,
        Self::Running,
        Self::CoolDown,
        Self::Fault,
    ];

    /// The state of a number; none of what is no such number.
    pub fn of(number: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| (state.number() - number).abs() < 0.5)
    }

    /// Its number.
    pub const fn number(self) -> f64 {
        self as u8 as f64
    }

    /// Its name in tables and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Starting => "starting",
            Self::WarmUp => "warming up",
            Self::Synchronizing => "synchronizing",
            Self::Running => "running",
            Self::CoolDown => "cooling down",
            Self::Fault => "fault",
        }
    }
}

impl PointKind {
    /// All of them, in the order in which they stand in an image.
    pub const ALL: [Self; 14] = [
        Self::Power,
        Self::StateOfCharge,
        Self::ChargeLimit,
        Self::DischargeLimit,
        Self::SetPoint,
        Self::ReactivePower,
        Self::Voltage,
        Self::Frequency,
        Self::ReactiveSetPoint,
        Self::Signal,
        Self::State,
        Self::Closed,
        Self::Mode,
        Self::Remote,
    ];

    /// The point's name after the device's name: `commerce/bess.soc`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Power => "p",
            Self::StateOfCharge => "soc",
            Self::ChargeLimit => "charge_limit",
            Self::DischargeLimit => "discharge_limit",
            Self::SetPoint => "set_point",
            Self::ReactivePower => "q",
            Self::Voltage => "v",
            Self::Frequency => "f",
            Self::ReactiveSetPoint => "q_set_point",
            Self::Signal => "signal",
            Self::State => "state",
            Self::Closed => "closed",
            Self::Mode => "mode",
            Self::Remote => "remote",
        }
    }

    /// Whether the value's sign is the device's own and must be turned into ours.
    pub const fn is_signed(self) -> bool {
        match self {
            Self::Power | Self::SetPoint | Self::ReactivePower | Self::ReactiveSetPoint => true,
            Self::StateOfCharge
            | Self::ChargeLimit
            | Self::DischargeLimit
            | Self::Voltage
            | Self::Frequency
            | Self::Signal
            | Self::State
            | Self::Closed
            | Self::Mode
            | Self::Remote => false,
        }
    }
}

/// In what a point is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Active power, W.
    Power,
    /// Reactive power, var.
    ReactivePower,
    /// A part of a whole, 1.
    Share,
    /// A multiple of the nominal voltage.
    Voltage,
    /// Frequency, Hz.
    Frequency,
    /// The number of something, 1.
    Number,
}

impl Dimension {
    /// The symbol of its base unit.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Power => "W",
            Self::ReactivePower => "var",
            Self::Share => "1",
            Self::Number => "number",
            Self::Voltage => "pu",
            Self::Frequency => "Hz",
        }
    }
}

impl PointKind {
    /// In what it is measured.
    pub const fn dimension(self) -> Dimension {
        match self {
            Self::Power | Self::SetPoint | Self::ChargeLimit | Self::DischargeLimit => Dimension::Power,
            Self::StateOfCharge | Self::Signal => Dimension::Share,
            Self::ReactivePower | Self::ReactiveSetPoint => Dimension::ReactivePower,
            Self::Voltage => Dimension::Voltage,
            Self::Frequency => Dimension::Frequency,
            Self::State | Self::Closed | Self::Mode | Self::Remote => Dimension::Number,
        }
    }

    /// Whether a device's number can be true.
    pub fn can_be(self, value: f64) -> bool {
        let range = match self {
            Self::Power | Self::SetPoint | Self::ReactivePower | Self::ReactiveSetPoint => {
                -MAX_MAGNITUDE..=MAX_MAGNITUDE
            }
            Self::ChargeLimit | Self::DischargeLimit => 0.0..=MAX_MAGNITUDE,
            Self::StateOfCharge => -SOC_TOLERANCE..=1.0 + SOC_TOLERANCE,
            // Nobody rounds what he allows.
            Self::Signal => 0.0..=1.0,
            Self::Voltage => 0.0..=VOLTAGE_MAX,
            // Without voltage there is no frequency.
            Self::Frequency => FREQUENCY_MIN_HZ..=FREQUENCY_MAX_HZ,
            Self::State => 0.0..=EngineState::Fault.number(),
            Self::Mode => 0.0..=DeviceMode::Fault.number(),
            Self::Closed | Self::Remote => 0.0..=1.0,
        };
        // NaN is in no range.
        range.contains(&value)
    }

    /// The number as the laws see it: a state of charge between empty and full.
    pub fn bounded(self, value: f64) -> f64 {
        match self {
            Self::StateOfCharge => value.clamp(0.0, 1.0),
            Self::Power
            | Self::SetPoint
            | Self::ChargeLimit
            | Self::DischargeLimit
            | Self::ReactivePower
            | Self::ReactiveSetPoint
            | Self::Voltage
            | Self::Frequency
            | Self::Signal
            | Self::State
            | Self::Closed
            | Self::Mode
            | Self::Remote => value,
        }
    }
}

/// Which direction a device counts as positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Positive {
    /// From the grid into the bus.
    Import,
    /// From the bus into the grid.
    Export,
    /// From the bus into the battery.
    Charge,
    /// From the battery into the bus.
    Discharge,
    /// From a generator into the bus.
    Generation,
    /// From the bus into a load.
    Consumption,
}

impl Positive {
    /// Turns the device's sign into ours and back: 1 or −1.
    pub const fn factor(self) -> f64 {
        match self {
            Self::Import | Self::Discharge | Self::Generation => 1.0,
            Self::Export | Self::Charge | Self::Consumption => -1.0,
        }
    }
}

/// Which controllers of a grid connect to a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Connections {
    /// All of them.
    #[default]
    Shared,
    /// Only the one that writes: the device takes one connection at a time. The others see it through the active.
    ActiveOnly,
}

/// Which of a device's powers comes first where its apparent power has no room for both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Priority {
    /// Reactive power takes what active power leaves.
    #[default]
    Active,
    /// Active power takes what reactive power leaves.
    Reactive,
}

/// One device as a controller knows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceSpec {
    /// Its name in the grid.
    pub name: String,
    /// What it is.
    pub class: DeviceClass,
    /// Its points: those of its class, and what it measures besides.
    pub points: PointKinds,
    /// Which direction it counts as positive.
    pub positive: Positive,
    /// Rated power, a magnitude; for a meter the rating of the connection.
    pub rating: Watts,
    /// How old a value is when it arrives: measuring time = arrival − latency.
    pub latency: Span,
    /// A point is stale when its measuring time is further back than this.
    pub age_max: Span,
    /// A value that has not changed for this long is stuck; `None` where a constant value is normal.
    pub stuck_after: Option<Span>,
    /// The device falls back when a set-point is this old; it is re-asserted at half of it.
    pub reversion: Span,
    /// Shortest time between two writes.
    pub write_interval: Span,
    /// How often a day it may be written, where its registers wear: more than keep a set-point in force; `None`: as often as one
    /// likes.
    pub writes_per_day: Option<u32>,
    /// A set-point that moves less than this is not written.
    pub dead_band: Watts,
    /// D: from the validity check of a write to the moment at which nothing of it can still be applied, queues and retries of
    /// gateways included, with what they still work off that was given up.
    pub longest_write: Span,
    /// Whether the device refuses a write whose epoch is lower than one that it has accepted.
    pub checks_epochs: bool,
    /// Which controllers connect to it.
    pub connections: Connections,
    /// What is written to it when its controller ends in order and nobody goes on; `None`: it keeps what it was told, up to its
    /// reversion.
    pub at_stop: Option<Watts>,
    /// The most apparent power of an inverter that takes reactive set-points; `None`: it takes none.
    pub apparent: Option<VoltAmperes>,
    /// What gives way where its apparent power has no room for both.
    pub priority: Priority,
    /// How fast the device itself can change its power; `None` if it does not matter.
    pub ramp: Option<WattsPerSecond>,
}
