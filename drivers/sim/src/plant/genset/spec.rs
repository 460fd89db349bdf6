//! What a genset is and how it starts.
//!
//! # Source
//! H 0.7 s and D 1 are those of CONTROL.md section 3, the droop of 5 % is usual. Fuel is linear in power, 0.08145 l/h for each kW
//! of the rating and 0.246 l/kWh (Skarstein and Uhlen, 1989, as microgrid tools have it). The times of starting, the protection
//! and the ramp are ours, as a set of some 100 kW has them.

use r_ems_engine::points::device::{EngineState, MAX_MAGNITUDE};
use r_ems_engine::units::{Ratio, Watts, WattsPerSecond};
use r_ems_engine::{Span, Time};

use super::super::{SpecError, positive, ranged, within};
use super::GovernorSpec;

/// Fuel without load, in l/h for each W of the rating.
const IDLE_L_PER_H_PER_W: f64 = 0.081_45e-3;
/// Smallest rating, in W.
const GENSET_MIN_W: f64 = 100.0;
/// Longest time of a stage of starting or stopping, and of a protection, in s.
const STAGE_S_MAX: f64 = 3_600.0;
/// Most attempts to start.
const ATTEMPTS_MAX: u32 = 100;

/// How a genset stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GensetState {
    /// At rest.
    Off,
    /// Being cranked.
    Starting {
        /// When this attempt ends.
        until: Time,
        /// Which attempt it is, from 1.
        attempt: u32,
    },
    /// Runs without load.
    WarmUp {
        /// When it is warm.
        until: Time,
    },
    /// Warm, and waits for its synchronizer to close its breaker.
    Synchronizing {
        /// When it closes.
        until: Time,
    },
    /// On the bus.
    Running,
    /// Runs without load before it stops.
    CoolDown {
        /// When it stops.
        until: Time,
    },
    /// Did not start, or was tripped: it does nothing until it is stopped, which resets it.
    Fault,
}

impl GensetState {
    /// The number that a point shows.
    pub(super) fn number(self) -> f64 {
        let shown = match self {
            Self::Off => EngineState::Off,
            Self::Starting { .. } => EngineState::Starting,
            Self::WarmUp { .. } => EngineState::WarmUp,
            Self::Synchronizing { .. } => EngineState::Synchronizing,
            Self::Running => EngineState::Running,
            Self::CoolDown { .. } => EngineState::CoolDown,
            Self::Fault => EngineState::Fault,
        };
        shown.number()
    }

    /// Whether its engine turns by itself.
    pub(super) fn burns(self) -> bool {
        match self {
            Self::WarmUp { .. } | Self::Synchronizing { .. } | Self::Running | Self::CoolDown { .. } => true,
            Self::Off | Self::Starting { .. } | Self::Fault => false,
        }
    }

    /// When it changes by itself.
    pub(super) fn until(self) -> Time {
        match self {
            Self::Starting { until, .. }
            | Self::WarmUp { until }
            | Self::Synchronizing { until }
            | Self::CoolDown { until } => until,
            Self::Off | Self::Running | Self::Fault => Time::MAX,
        }
    }
}

/// How a genset stands when the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialGenset {
    /// At rest.
    Off,
    /// On the bus, with its set-point as its power.
    Running,
}

/// What a genset is.
#[derive(Clone, Copy, Debug)]
pub struct GensetSpec {
    /// Rated power.
    pub rating: Watts,
    /// What it gives on a grid, and on an island at nominal frequency.
    pub set_point: Watts,
    /// How it stands at the start.
    pub initial: InitialGenset,
    /// Inertia: the energy of its mass at nominal speed by its rating.
    pub inertia: Span,
    /// Damping: the share of the rating that a whole change of speed takes.
    pub damping: f64,
    /// By which share its speed falls at rated power.
    pub droop: Ratio,
    /// By which share its voltage falls at rated reactive power.
    pub voltage_droop: Ratio,
    /// Its governor and engine.
    pub governor: GovernorSpec,
    /// How fast it follows its set-point on a grid.
    pub ramp: WattsPerSecond,
    /// How long an attempt to start takes.
    pub crank: Span,
    /// How often it tries.
    pub attempts: u32,
    /// So many attempts fail at first.
    pub fails_first: u32,
    /// Then so many of so many do.
    pub fails: (u32, u32),
    /// How long it warms up.
    pub warm_up: Span,
    /// How long its synchronizer takes where there is a voltage to meet; on a dead bus it closes at once.
    pub synchronizing: Span,
    /// How long it runs without load before it stops.
    pub cool_down: Span,
    /// More than this share of its rating trips it.
    pub overload: f64,
    /// After so long.
    pub overload_time: Span,
    /// Taking more than this share of its rating trips it.
    pub reverse: f64,
    /// After so long.
    pub reverse_time: Span,
    /// Fuel without load, in l/h.
    pub idle_l_per_h: f64,
    /// Fuel for power, in l/kWh.
    pub l_per_kwh: f64,
}

impl GensetSpec {
    /// A genset at rest with the usual numbers.
    pub fn new(rating: Watts) -> Self {
        Self {
            rating,
            set_point: Watts::ZERO,
            initial: InitialGenset::Off,
            inertia: Span::from_millis(700),
            damping: 1.0,
            droop: Ratio::of(0.05),
            voltage_droop: Ratio::of(0.05),
            governor: GovernorSpec::default(),
            ramp: WattsPerSecond::of(rating.watts() / 10.0),
            crank: Span::from_secs(5),
            attempts: 3,
            fails_first: 0,
            fails: (0, 1),
            warm_up: Span::from_secs(30),
            synchronizing: Span::from_secs(5),
            cool_down: Span::from_mins(3),
            overload: 1.0,
            overload_time: Span::from_secs(10),
            reverse: 0.08,
            reverse_time: Span::from_secs(5),
            idle_l_per_h: IDLE_L_PER_H_PER_W * rating.watts(),
            l_per_kwh: 0.246,
        }
    }

    /// The specification, if every parameter is allowed.
    pub(super) fn checked(self) -> Result<Self, SpecError> {
        let rating_w = positive("rating", self.rating.watts())?;
        within("rating", rating_w, GENSET_MIN_W, MAX_MAGNITUDE)?;
        within("set_point", self.set_point.watts(), 0.0, rating_w)?;
        within("inertia", self.inertia.as_secs_f64(), 0.05, 20.0)?;
        within("damping", self.damping, 0.0, 100.0)?;
        ranged("droop", self.droop, 0.001, 0.5)?;
        ranged("voltage_droop", self.voltage_droop, 0.001, 0.5)?;
        self.governor.checked()?;
        positive("ramp", self.ramp.watts_per_second())?;
        let stages = [
            ("crank", self.crank),
            ("warm_up", self.warm_up),
            ("synchronizing", self.synchronizing),
            ("cool_down", self.cool_down),
            ("overload_time", self.overload_time),
            ("reverse_time", self.reverse_time),
        ];
        for (name, span) in stages {
            within(name, span.as_secs_f64(), 0.0, STAGE_S_MAX)?;
        }
        within("attempts", f64::from(self.attempts), 1.0, f64::from(ATTEMPTS_MAX))?;
        positive("fails", f64::from(self.fails.1))?;
        within("overload", self.overload, 0.1, 10.0)?;
        within("reverse", self.reverse, 0.0, 1.0)?;
        within("idle", self.idle_l_per_h, 0.0, 1e9)?;
        within("l_per_kwh", self.l_per_kwh, 0.0, 100.0)?;
        Ok(self)
    }
}
