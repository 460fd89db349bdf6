//! What a battery is and how it starts.
//!
//! Numbers: losses of 0.5 %, 2 % and 5 % give 86 % round trip at rated power;
//! dead time 50 ms, lag 100 ms and 1 s of start are ours. What is smaller than a flywheel or larger than a country is a slip
//! of the pen, and the limits here refuse it.

use r_ems_engine::points::device::MAX_MAGNITUDE;
use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};

use super::super::{SpecError, bounded, positive, ranged, within};
use super::Forming;

/// How long a battery must at least be able to give its rated power: flywheels give it for a quarter of a minute. Of a
/// smaller one the taper would be passed in microseconds, again and again, and the plant would have nothing else to do.
pub const FULL_POWER_MIN: Span = Span::from_secs(10);

/// Largest capacity, in Wh: 1 TWh, which no storage has.
pub const CAPACITY_MAX_WH: f64 = 1e12;

/// Shortest time constant that is followed: what is shorter passes zero inside a nanosecond, the grain of time.
pub const LAG_MIN: Span = Span::from_millis(1);

/// Longest time constant: an inverter that has not followed after this has not followed.
pub const LAG_MAX: Span = Span::from_mins(10);

/// Smallest rating, in W.
pub const RATING_MIN_W: f64 = 1.0;

/// Whether the inverter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Contactors open, nothing flows, nothing is lost.
    Off,
    /// On its way from `Off` to `Running`.
    Starting {
        /// When it will run.
        ready: Time,
    },
    /// Contactors closed, standing by at 0 W until it is started.
    Ready,
    /// Follows its set-point.
    Running,
}

/// How the inverter stands when the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitialMode {
    /// Off, until somebody starts it.
    Off,
    /// Started at the run's beginning: it runs after its start delay.
    Starting,
    /// Standing by, until somebody starts it.
    Ready,
    /// Running at the power of the specification.
    Running,
}

/// The losses of a battery: `p0 + a |P| + b P² / S`, where `S` is the rating.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Losses {
    /// `p0` as a share of the rating, also when idle.
    pub standby: Ratio,
    /// `a`, a share of the power.
    pub proportional: Ratio,
    /// `b`, a share of the power at rated power.
    pub quadratic: Ratio,
}

/// What a battery is and how it starts.
#[derive(Clone, Copy, Debug)]
pub struct BatterySpec {
    /// Energy between empty and full: at least [`FULL_POWER_MIN`] at the rating, at most [`CAPACITY_MAX_WH`].
    pub capacity: WattHours,
    /// Most power in either direction, and `S` of the losses: from [`RATING_MIN_W`] to the largest power of a point.
    pub rating: Watts,
    /// State of charge at the start.
    pub soc: Ratio,
    /// Power and set-point at the start.
    pub power: Watts,
    /// From a command's arrival to its first effect.
    pub dead_time: Span,
    /// Time constant of the approach, at most [`LAG_MAX`]; one below [`LAG_MIN`] is a step.
    pub lag: Span,
    /// What is lost.
    pub losses: Losses,
    /// The share of the capacity at each end over which the limits go to zero, 0.1 to 45 %.
    pub taper: Ratio,
    /// What the reported state of charge is too high by.
    pub soc_bias: Ratio,
    /// The steps of the reported state of charge.
    pub soc_step: Ratio,
    /// How long a start takes.
    pub start_delay: Span,
    /// Whether it runs at the start; [`BatterySpec::beginning`] sets it.
    pub mode: Mode,
    /// How long a set-point holds without being repeated; none: for ever.
    pub reversion: Option<Span>,
    /// How long it follows a set-point without hearing a heartbeat; none: it expects none.
    pub heartbeat: Option<Span>,
    /// The set-point after the reversion.
    pub fallback: Watts,
    /// How it holds voltage and frequency where no grid does; none: it does not.
    pub forms: Option<Forming>,
}

impl BatterySpec {
    /// A running battery at 0 W with the usual losses, 1 % steps of the reported state of charge and no reversion.
    pub fn new(capacity: WattHours, rating: Watts, soc: Ratio) -> Self {
        Self {
            capacity,
            rating,
            soc,
            power: Watts::ZERO,
            dead_time: Span::from_millis(50),
            lag: Span::from_millis(100),
            losses: Losses {
                standby: Ratio::of(0.005),
                proportional: Ratio::of(0.02),
                quadratic: Ratio::of(0.05),
            },
            taper: Ratio::of(0.05),
            soc_bias: Ratio::ZERO,
            soc_step: Ratio::of(0.01),
            start_delay: Span::from_secs(1),
            mode: Mode::Running,
            reversion: None,
            heartbeat: None,
            fallback: Watts::ZERO,
            forms: None,
        }
    }

    /// The same battery with an inverter that stands at the run's beginning as `mode` says; to be called after the start
    /// delay is set.
    pub fn beginning(self, mode: InitialMode) -> Self {
        let mode = match mode {
            InitialMode::Off => Mode::Off,
            InitialMode::Starting => Mode::Starting { ready: Time::ZERO + self.start_delay },
            InitialMode::Ready => Mode::Ready,
            InitialMode::Running => Mode::Running,
        };
        Self { mode, ..self }
    }

    /// The specification, if every parameter is allowed.
    pub(super) fn checked(self) -> Result<Self, SpecError> {
        let rating_w = positive("rating", self.rating.watts())?;
        within("rating", rating_w, RATING_MIN_W, MAX_MAGNITUDE)?;
        let capacity_wh = positive("capacity", self.capacity.watt_hours())?;
        within("capacity", capacity_wh, self.rating.over(FULL_POWER_MIN).watt_hours(), CAPACITY_MAX_WH)?;
        ranged("soc", self.soc, 0.0, 1.0)?;
        bounded("power", self.power, rating_w)?;
        bounded("fallback", self.fallback, rating_w)?;
        within("lag", self.lag.as_secs_f64(), 0.0, LAG_MAX.as_secs_f64())?;
        // Above these the cell's power would not rise with the power at the connection, and no such battery is built.
        ranged("standby loss", self.losses.standby, 0.0, 0.2)?;
        ranged("proportional loss", self.losses.proportional, 0.0, 0.4)?;
        ranged("quadratic loss", self.losses.quadratic, 0.0, 0.2)?;
        ranged("taper", self.taper, 0.001, 0.45)?;
        ranged("soc_bias", self.soc_bias, -1.0, 1.0)?;
        ranged("soc_step", self.soc_step, 1e-6, 1.0)?;
        if let Some(forming) = &self.forms {
            forming.check()?;
        }
        Ok(self)
    }
}
