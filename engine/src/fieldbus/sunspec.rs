//! SunSpec: devices that say themselves where their numbers lie, as a chain of models.
//!
//! ```text
//!   40000        40002            40070
//!   "SunS" ────> 1 │ 66 │ … ────> 103 │ 50 │ … ────> … ────> 0xffff │ 0
//!   marker       id, length, body
//! ```
//!
//! A [`Search`] finds the marker, walks the chain and reads once what is set there: which numbers are there, scale factors of
//! what is written, what a share is a share of. What it found is a list of [`Model`]s, of which the points, the requests of a
//! set-point and the heartbeat of a device's map are made. From then on the device is polled and written as any other.
//!
//! - **Each poll shows that the device is as it was found:** a point is read by one request with its scale factor and with the
//!   head of its model; the head of the model that hears heartbeats and what shares are shares of are read beside them. Where
//!   one of these is another, the device is searched anew; so it is on each new connection.
//! - **What a device does not implement is Unknown,** by the patterns that SunSpec has for that. What it must have, and has not,
//!   is named by [`Missing`].
//!
//! Sources: SunSpec Device Information Model Specification 1.1; the models' definitions in the repository `sunspec/models`.

mod choose;
pub mod models;
mod search;
pub mod settings;
#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

pub(super) use self::choose::{Chosen, choose};
use self::models::Field;
pub use self::search::{Model, Progress, Search};
use super::framing::Framing;
use super::pdu::MAX_REGISTERS_READ;
use super::pdu::{Registers, Request};
use super::plan::ReadLimits;
use super::refusal::Exception;
use crate::ids::PointIndex;
use crate::points::{DeviceClass, PointKind, PointKinds, Priority};
use crate::time::Span;
use crate::units::{Volts, Watts};

/// Where a chain may begin, in the order in which it is looked for.
pub const BASES: [u16; 3] = [40_000, 0, 50_000];
/// What is found there.
pub const MARKER: [u8; 4] = *b"SunS";
/// Registers of the marker, and of a model before its body.
pub const HEAD: u16 = 2;
/// The model that ends a chain.
pub const END: u16 = 0xffff;
/// Most models that are walked.
pub const MODELS_MAX: usize = 64;
/// The longest time-out that each of the models has room for.
pub const REVERSION_MAX: Span = Span::from_secs(u16::MAX as u64 - 1);

/// The models of which numbers are used.
pub const MODELS_USED: [u16; 24] = [
    101, 102, 103, 111, 112, 113, 120, 121, 123, 124, 201, 202, 203, 204, 211, 212, 213, 214, 701, 702, 704,
    713, 715, 802,
];

/// What is wanted of a device that says itself where its numbers lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ByModels {
    /// What it is.
    pub class: DeviceClass,
    /// Its points, in their order.
    pub kinds: PointKinds,
    /// Its first point in the controller's image.
    pub first_point: PointIndex,
    /// The models that may be used; none: all of them.
    pub only: Vec<u16>,
    /// After so long without a set-point it is to fall back, at most [`REVERSION_MAX`]; whole seconds.
    pub reversion: Span,
    /// How long it waits for the next heartbeat, if it expects any.
    pub heartbeat: Option<Span>,
    /// Its rated power, by which a simulated one chooses its scale factors.
    pub rating: Watts,
    /// What its voltage is a multiple of; none where that is not read.
    pub nominal: Option<NominalVoltage>,
    /// Which power comes first where there is no room for both; none: it takes no reactive set-points.
    pub reactive: Option<Priority>,
}

/// The voltage that a grid is built for, and between what. The models have either one; how they go together depends on how a
/// grid is wired.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum NominalVoltage {
    /// Between two lines.
    LineToLine(Volts),
    /// Between a line and neutral.
    LineToNeutral(Volts),
}

impl NominalVoltage {
    /// So much it is.
    pub const fn volts(self) -> Volts {
        match self {
            Self::LineToLine(volts) | Self::LineToNeutral(volts) => volts,
        }
    }

    /// Where a meter has what is measured against it.
    pub const fn measured(self) -> &'static [Field] {
        match self {
            Self::LineToLine(_) => &models::LINE_TO_LINE,
            Self::LineToNeutral(_) => &models::LINE_TO_NEUTRAL,
        }
    }
}

impl ByModels {
    /// Whether numbers of a model may be used.
    pub fn uses(&self, model: u16) -> bool {
        self.only.is_empty() || self.only.contains(&model)
    }

    /// The models that a simulated one has: those that may be used, or some that such a device often has.
    pub fn simulated(&self) -> impl Iterator<Item = u16> {
        let usual: &[u16] = match (self.class, self.heartbeat) {
            (DeviceClass::Meter, _) => &[203],
            (DeviceClass::Signal | DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker, _) => &[],
            (DeviceClass::Battery, None) => &[701, 702, 704, 713],
            (DeviceClass::Battery, Some(_)) => &[701, 702, 704, 713, 715],
            (DeviceClass::Pv, None) => &[103, 120, 121, 123],
            (DeviceClass::Pv, Some(_)) => &[701, 702, 704, 715],
        };
        let models = if self.only.is_empty() { usual } else { &self.only };
        core::iter::once(1).chain(models.iter().copied().filter(|id| *id != 1))
    }

    /// What is missing for sure where only some models may be used; nothing where all may.
    pub fn lacks(&self) -> Option<Missing> {
        let has = |fields: &[Field]| fields.iter().any(|field| self.uses(field.model));
        let lacks = |kind: &PointKind| match kind {
            PointKind::Power if self.class == DeviceClass::Meter => !has(&models::METERED),
            PointKind::Power => !has(&models::POWER),
            PointKind::StateOfCharge => !has(&models::CHARGE),
            PointKind::ChargeLimit => !has(&models::CHARGE_LIMIT),
            PointKind::DischargeLimit => !has(&models::DISCHARGE_LIMIT),
            PointKind::SetPoint => false,
            PointKind::ReactivePower if self.class == DeviceClass::Meter => !has(&models::METERED_REACTIVE),
            PointKind::ReactivePower => !has(&models::REACTIVE),
            // It is in volts, and no model says of what nominal voltage.
            PointKind::Voltage => !self.nominal.is_some_and(|nominal| has(nominal.measured())),
            PointKind::ReactiveSetPoint => {
                let has_share = has(&[models::REACTIVE_123.set]) && has(&models::POWER_MAX_121);
                self.reactive.is_none() || !has(&[models::REACTIVE_704.set]) && !has_share
            }
            // No model is of a receiver of such signals, of an engine, or of a breaker; and those that tell a mode, or who
            // controls, number both otherwise.
            PointKind::Signal
            | PointKind::State
            | PointKind::Closed
            | PointKind::Mode
            | PointKind::Remote => true,
            PointKind::Frequency => !has(&models::FREQUENCY),
        };
        let is_controlled = match self.class {
            DeviceClass::Meter | DeviceClass::Signal => true,
            DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker => false,
            DeviceClass::Battery => has(&[models::POWER_704.set, models::DISCHARGE_124.set]),
            DeviceClass::Pv => {
                has(&[models::LIMIT_704.set]) && has(&models::POWER_MAX_702)
                    || has(&[models::LIMIT_123.set]) && has(&models::POWER_MAX_121)
            }
        };
        let point = self.kinds.iter().find(lacks).map(Missing::Point);
        let control = (!is_controlled).then_some(Missing::Control);
        let beats = self.heartbeat.is_none() || has(&models::HEARTBEATS);
        point.or(control).or((!beats).then_some(Missing::Heartbeat))
    }

    /// Most requests that read its points: each may lie in another model, and so may its heartbeat and what shares are shares
    /// of.
    pub const fn most_reads(&self) -> usize {
        self.kinds.len() + choose::MOST_FIXED + self.reactive.is_some() as usize
    }

    /// Most requests that a search takes.
    pub fn most_searches(&self, limits: ReadLimits) -> u64 {
        let bodies = models::settings(self).map(|field| field.model);
        let mut seen: Vec<u16> = bodies.collect();
        seen.sort_unstable();
        seen.dedup();
        let of_one = u64::from(MAX_REGISTERS_READ.div_ceil(limits.most()));
        (BASES.len() + MODELS_MAX + 1) as u64 + seen.len() as u64 * of_one
    }

    /// Most requests that write: those of a set-point, and the heartbeat.
    pub fn most_writes(&self) -> usize {
        if self.class.is_controlled() {
            let set_points = 1 + usize::from(self.reactive.is_some());
            choose::MOST_WRITES * set_points + usize::from(self.heartbeat.is_some())
        } else {
            0
        }
    }

    /// How long one of those takes to pass, and its answer, at the most.
    pub(super) fn write_passes(&self, framing: Framing) -> (Span, Span) {
        const REGISTERS: &[u8] = &[0; 2 * choose::LONGEST_REACTIVE];
        let longest = if self.reactive.is_some() { choose::LONGEST_REACTIVE } else { choose::LONGEST_WRITE };
        let registers = Registers::new(&REGISTERS[..2 * longest]).expect("whole registers");
        framing.exchange_passes(&Request::WriteRegisters { address: 0, registers })
    }
}

/// What a device's chain of models was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Where it begins.
    pub base: u16,
    /// So many models it has.
    pub models: u16,
}

/// Whether a device says by it that it has no such registers; else it may only be busy, or starting.
pub const fn is_missing(exception: Exception) -> bool {
    matches!(exception, Exception::ILLEGAL_FUNCTION | Exception::ILLEGAL_ADDRESS | Exception::ILLEGAL_VALUE)
}

/// What a device must have and has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Missing {
    /// There is no marker where a chain may begin.
    Marker,
    /// The chain does not end: it is longer than [`MODELS_MAX`], or leads out of the table.
    End,
    /// No model has this point, or the device implements none of those.
    Point(PointKind),
    /// No model takes a set-point, or one of its numbers is not implemented.
    Control,
    /// No model has a heartbeat.
    Heartbeat,
    /// A number and its scale factor are further apart than one request may read.
    Room(PointKind),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marker => f.write_str("no marker of SunSpec at 40000, 0 or 50000"),
            Self::End => write!(f, "its chain of models does not end within {MODELS_MAX} models"),
            Self::Point(kind) => write!(f, "no model has its `{}`", kind.name()),
            Self::Control => f.write_str("no model takes its set-point"),
            Self::Heartbeat => f.write_str("no model takes its heartbeat"),
            Self::Room(kind) => write!(f, "its `{}` is wider than one request may read", kind.name()),
        }
    }
}
