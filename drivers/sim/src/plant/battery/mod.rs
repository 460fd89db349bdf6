//! A battery with its inverter and its management system, as the point of connection sees it.
//!
//! A command takes effect after a dead time and is then approached as a first-order lag. What is lost is
//! `p0 + a |P| + b P² / S`: stand-by, and conversion. Near both ends of the state of charge the limits go to zero in small
//! steps; a limit acts at once. An empty battery opens its contactors and loses nothing more; when somebody charges it, its
//! stand-by counts again from half a step of the taper on, so that it never holds less than nothing.
//!
//! One that forms an island, or is on one, goes straight from step to step instead, as its bus says.
//!
//! The motion is cut into phases. A phase has one curve, one sign of power and one pair of limits, and ends where the first
//! of them changes: a command arrives, a time runs out, power passes zero, energy reaches an edge. Power and energy inside a
//! phase are closed forms counted from its beginning, so looking at the battery changes nothing in it.

mod forming;
mod mode;
mod phase;
mod spec;

use alloc::collections::VecDeque;

use r_ems_engine::mistakes::{Mistake, makes};
use r_ems_engine::units::{Vars, Watts};
use r_ems_engine::{Span, Time};

use self::forming::Drive;
use self::mode::Tripped;
use self::phase::{Constants, Phase, Progress};
use super::lasting::Lasting;
use super::taper::Band;
use super::{Curve, Decay, Motion, Quantity, ReactiveOutput, SpecError, Supply, WATT_HOURS_PER_JOULE};
use crate::sources::seconds;

pub use self::forming::Forming;
pub(super) use self::forming::Holds;
pub use self::spec::{
    BatterySpec, CAPACITY_MAX_WH, FULL_POWER_MIN, InitialMode, LAG_MAX, LAG_MIN, Losses, Mode, RATING_MIN_W,
};

/// Most commands on their way through the dead time; when it is full, a new one takes the place of the newest.
pub const MAX_PENDING: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Pending {
    due: Time,
    power_w: f64,
}

/// Storage behind an inverter.
#[derive(Clone, Debug)]
pub struct Battery {
    spec: BatterySpec,
    constants: Constants,
    mode: Mode,
    supply: Supply,
    drive: Drive,
    /// How long it has given more than its rating while it formed an island.
    overloaded: Lasting,
    /// How often its protection has opened its contactors, and whether it has now.
    trips: u32,
    tripped: Tripped,
    /// The last command received, or the fallback after it ended, in W.
    set_point_w: f64,
    /// Whether that is a command.
    is_commanded: bool,
    /// The command that the inverter follows, in W.
    followed_w: f64,
    pending: VecDeque<Pending>,
    reverts: Option<Time>,
    /// When it has heard no heartbeat for too long; none: it does not wait for one.
    unheard: Option<Time>,
    band: Band,
    phase: Phase,
    /// Where the battery is in its phase.
    progress: Progress,
    /// Stored energy now, in J: between nothing and the capacity.
    stored_j: f64,
    flow: BatteryFlow,
    reactive: ReactiveOutput,
}

/// What a battery did in one integrated segment. Its power has one sign, but in a step of an island in which it passes zero; then
/// what is left of its energy counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatteryFlow {
    /// Power at the segment's start, in W; positive discharges.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// Where the power goes, and how fast, from the segment's start.
    pub curve: Curve,
    /// Stored energy at the segment's start, in J.
    pub stored_start_j: f64,
    /// Energy taken from the bus, in Wh.
    pub charge_wh: f64,
    /// Energy given to the bus, in Wh.
    pub discharge_wh: f64,
    /// Energy lost by conversion, in Wh.
    pub conversion_wh: f64,
    /// Energy lost by standing by, in Wh.
    pub standby_wh: f64,
}

impl BatteryFlow {
    /// What of the power dies away in the segment.
    #[inline]
    pub fn decay(&self) -> Decay {
        let target_w = self.curve.target_w;
        Decay { start: self.start_w - target_w, end: self.end_w - target_w, lag_s: self.curve.lag_s }
    }
}

impl Battery {
    /// A battery that follows `spec.power` from the run's start.
    ///
    /// # Errors
    /// [`SpecError`] names the first parameter that is not allowed.
    pub fn new(spec: BatterySpec) -> Result<Self, SpecError> {
        let spec = spec.checked()?;
        let constants = Constants::new(&spec);
        let stored_j = spec.soc.ratio() * constants.capacity_j;
        let power_w = spec.power.watts();
        let curve = Curve::settled(power_w);
        Ok(Self {
            spec,
            constants,
            mode: spec.mode,
            supply: Supply::Live,
            drive: Drive::Follows,
            overloaded: Self::overload_timer(spec.forms),
            trips: 0,
            tripped: Tripped::No,
            set_point_w: power_w,
            is_commanded: false,
            followed_w: power_w,
            pending: VecDeque::with_capacity(MAX_PENDING),
            reverts: None,
            unheard: None,
            band: constants.taper.band(stored_j),
            phase: Phase {
                from: Time::ZERO,
                until: Time::ZERO,
                edge_j: None,
                curve,
                stored_j,
                standby_w: 0.0,
            },
            progress: Progress { power_w, ..Progress::default() },
            stored_j,
            flow: BatteryFlow::default(),
            reactive: ReactiveOutput::default(),
        })
    }

    /// The same battery behind an inverter that takes reactive set-points.
    #[must_use]
    pub fn with_reactive(self, reactive: ReactiveOutput) -> Self {
        Self { reactive, ..self }
    }

    /// Whether it takes reactive set-points.
    pub(super) const fn takes_reactive(&self) -> bool {
        self.reactive.is_there()
    }

    /// Receives a reactive set-point.
    pub(super) fn command_reactive(&mut self, power: Vars) {
        self.reactive.command(power);
    }

    /// The reactive power that goes with so much active power, in var, while it runs.
    #[inline]
    pub(super) fn reactive_of(&self, power_w: f64) -> f64 {
        let runs = self.mode == Mode::Running && self.supply == Supply::Live;
        // What forms an island gives what is taken.
        if runs && !self.is_forming() { self.reactive.beside(power_w) } else { 0.0 }
    }

    /// What the battery is.
    pub fn spec(&self) -> &BatterySpec {
        &self.spec
    }

    /// Whether it runs.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Stored energy, in Wh.
    pub fn stored_wh(&self) -> f64 {
        self.stored_j * WATT_HOURS_PER_JOULE
    }

    /// Stored energy, in J, which other numbers here follow from.
    #[inline]
    pub fn stored_j(&self) -> f64 {
        self.stored_j
    }

    /// State of charge, 0 to 1, as it is.
    pub fn soc(&self) -> f64 {
        self.soc_of(self.stored_j)
    }

    /// The state of charge with `stored_j` in the cells.
    #[inline]
    pub fn soc_of(&self, stored_j: f64) -> f64 {
        stored_j / self.constants.capacity_j
    }

    /// How the stored energy, in J, moved in the last segment of `span_s` seconds; `parts` is room for what dies away.
    pub fn stored_motion<'a>(&self, span_s: f64, parts: &'a mut [Decay; 2]) -> Motion<'a> {
        self.phase.stored_motion(&self.flow, span_s, &self.constants, parts)
    }

    /// State of charge, 0 to 1, as the battery's management system says it: biased, and rounded down to whole steps.
    pub fn reported_soc(&self) -> f64 {
        let (bias, step) = (self.spec.soc_bias.ratio(), self.spec.soc_step.ratio());
        let biased = (self.soc() + bias).clamp(0.0, 1.0);
        // A billionth of a step keeps what lies on a step from falling below it by rounding; `as` rounds down.
        let steps = (biased / step + 1e-9) as u64;
        steps as f64 * step
    }

    /// The most that may be discharged now, in W.
    pub fn discharge_limit_w(&self) -> f64 {
        self.constants.taper.discharge_share(self.band) * self.constants.rating_w
    }

    /// The most that may be charged now, in W, as a magnitude.
    pub fn charge_limit_w(&self) -> f64 {
        self.constants.taper.charge_share(self.band) * self.constants.rating_w
    }

    /// The last command received, or the fallback after it expired, in W.
    pub fn set_point_w(&self) -> f64 {
        self.set_point_w
    }

    /// Whether it does what it was commanded last, as far as it can.
    pub fn is_commanded(&self) -> bool {
        self.is_commanded
    }

    /// Lets a test change what the last segment moved, and what it left in the cells, in J.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self) -> (&mut BatteryFlow, &mut f64) {
        (&mut self.flow, &mut self.stored_j)
    }

    /// What the last segment moved.
    #[inline]
    pub fn flow(&self) -> &BatteryFlow {
        &self.flow
    }

    #[inline]
    pub(super) fn power_w(&self) -> f64 {
        self.progress.power_w
    }

    /// The value of `quantity`; none if there is no such value.
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        match quantity {
            Quantity::Power => Some(self.power_w() + 0.0),
            Quantity::StateOfCharge => Some(self.soc()),
            Quantity::ReportedStateOfCharge => Some(self.reported_soc()),
            Quantity::StoredEnergy => Some(self.stored_wh()),
            // What is off offers nothing.
            Quantity::ChargeLimit | Quantity::DischargeLimit if self.mode == Mode::Off => Some(0.0),
            Quantity::ChargeLimit => Some(self.charge_limit_w()),
            Quantity::DischargeLimit => Some(self.discharge_limit_w()),
            Quantity::SetPoint => Some(self.set_point_w),
            Quantity::ReactivePower => Some(self.reactive_of(self.power_w())),
            Quantity::ReactiveSetPoint => Some(self.reactive.set_point_var()),
            Quantity::Trips => Some(f64::from(self.trips)),
            Quantity::Mode => Some(self.device_mode().number()),
            Quantity::State
            | Quantity::Remote
            | Quantity::Waiting
            | Quantity::Fuel
            | Quantity::RunningHours
            | Quantity::Starts
            | Quantity::AvailablePower
            | Quantity::Curtailed
            | Quantity::Demand
            | Quantity::Closed
            | Quantity::Voltage
            | Quantity::Frequency
            | Quantity::GridVoltage
            | Quantity::GridFrequency
            | Quantity::Signal => None,
        }
    }

    /// When something changes by itself.
    pub(super) fn breakpoint(&self) -> Time {
        self.phase.until.min(self.timer())
    }

    /// When a command, a time or a start is due.
    pub(super) fn timer(&self) -> Time {
        let mut next = Time::MAX;
        if let Some(pending) = self.pending.front() {
            next = next.min(pending.due);
        }
        for fallback in self.reverts.iter().chain(&self.unheard) {
            next = next.min(*fallback);
        }
        if let Mode::Starting { ready } = self.mode {
            next = next.min(ready);
        }
        next
    }

    /// Receives a set-point.
    pub(super) fn command(&mut self, power: Watts, now: Time) {
        let power_w = power.watts();
        self.is_commanded = true;
        self.reverts = self.spec.reversion.map(|span| now + span);
        // Who heard none for too long waits anew with the next set-point.
        self.unheard = self.unheard.or(self.spec.heartbeat.map(|span| now + span));
        if power_w.to_bits() == self.set_point_w.to_bits() {
            return;
        }
        self.set_point_w = power_w;
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_back();
        }
        self.pending.push_back(Pending { due: now + self.spec.dead_time, power_w });
    }

    /// Hears a heartbeat.
    pub(super) fn hear(&mut self, now: Time) {
        self.unheard = self.spec.heartbeat.map(|span| now + span);
    }

    /// Falls back from now on when it hears no heartbeat for so long.
    pub(super) fn expect_heartbeats(&mut self, timeout: Span) {
        self.spec.heartbeat = Some(timeout);
    }

    /// Starts the inverter: from standing by at once, from off after its delay; nothing happens if it is on its way or
    /// running, or if a fault holds it.
    pub(super) fn start(&mut self, now: Time) {
        if self.tripped == Tripped::Held {
            return;
        }
        self.tripped = Tripped::No;
        match self.mode {
            Mode::Off => self.mode = Mode::Starting { ready: now + self.spec.start_delay },
            Mode::Ready => {
                self.mode = Mode::Running;
                self.renew(now);
            }
            Mode::Starting { .. } | Mode::Running => {}
        }
    }

    /// Stops the inverter and opens the contactors.
    pub(super) fn stop(&mut self, now: Time) {
        self.mode = Mode::Off;
        self.renew(now);
    }

    pub(super) fn energize(&mut self, supply: Supply, now: Time) {
        self.let_go();
        self.supply = supply;
        self.renew(now);
    }

    /// Does what is due at `now`.
    pub(super) fn pass(&mut self, now: Time) {
        if let Mode::Starting { ready } = self.mode
            && ready <= now
        {
            self.mode = Mode::Running;
        }
        while let Some(pending) = self.pending.front()
            && pending.due <= now
        {
            self.followed_w = pending.power_w;
            self.pending.pop_front();
        }
        let is_over = |end: &mut Time| *end <= now;
        let ends = [self.reverts.take_if(is_over), self.unheard.take_if(is_over)];
        if ends.iter().any(Option::is_some) {
            self.reverts = None;
            if !makes(Mistake::TimerWithoutEffect) {
                self.fall_back();
            }
        }
        self.renew(now);
    }

    /// Forgets the set-point, whatever was on its way.
    pub(super) fn restart(&mut self, now: Time) {
        self.unheard = None;
        self.fall_back();
        self.renew(now);
    }

    fn fall_back(&mut self) {
        self.reverts = None;
        self.is_commanded = false;
        self.reactive.forget();
        self.pending.clear();
        self.set_point_w = self.spec.fallback.watts();
        self.followed_w = self.set_point_w;
    }

    /// Goes on to `to`, which is inside the phase.
    #[inline]
    pub(super) fn integrate(&mut self, from: Time, to: Time) {
        let before = self.progress;
        let after = self.phase.progress(seconds(self.phase.from, to), &self.constants);
        let curve = if self.phase.curve.is_line() {
            Curve::line(before.power_w, after.power_w, seconds(from, to))
        } else {
            Curve { start_w: before.power_w, ..self.phase.curve }
        };
        let energy_wh = (after.energy_j - before.energy_j) * WATT_HOURS_PER_JOULE;
        let discharges = energy_wh > 0.0;
        self.flow = BatteryFlow {
            start_w: before.power_w,
            end_w: after.power_w,
            curve,
            stored_start_j: self.stored_j,
            charge_wh: if discharges { 0.0 } else { 0.0 - energy_wh },
            discharge_wh: if discharges { energy_wh } else { 0.0 },
            conversion_wh: (after.conversion_j - before.conversion_j) * WATT_HOURS_PER_JOULE,
            standby_wh: (after.standby_j - before.standby_j) * WATT_HOURS_PER_JOULE,
        };
        self.stored_j = self.phase.stored_j(to, &after, &self.constants);
        self.progress = after;
    }

    /// Begins a new phase at `now` from what holds then.
    fn renew(&mut self, now: Time) {
        let stored_j = self.stored_j;
        self.band = self.constants.taper.moved(self.band, stored_j);
        let (low_w, high_w) = (-self.charge_limit_w(), self.discharge_limit_w());
        let wish_w = self.followed_w.clamp(low_w, high_w);
        let running = self.mode == Mode::Running;
        let live = self.supply == Supply::Live;
        // Empty: the contactors stay open until somebody charges, and until then nothing stands by.
        let charges = live && wish_w < 0.0;
        let empty = self.band == Band::EMPTY;
        let closed = (running && (!empty || charges)) || (self.mode == Mode::Ready && !empty);
        let curve = if closed && self.drive == Drive::Forms {
            // The bus says what it does as soon as it knows.
            Curve::settled(self.progress.power_w)
        } else if closed && running && live {
            self.constants.approach(self.progress.power_w.clamp(low_w, high_w), wish_w)
        } else {
            Curve::settled(0.0)
        };
        let standby_w = if closed && !empty { self.constants.standby_w } else { 0.0 };
        let mut phase = Phase { from: now, until: Time::MAX, edge_j: None, curve, stored_j, standby_w };
        phase.find_end(self.band, &self.constants);
        self.phase = phase;
        self.progress = Progress { power_w: curve.start_w, ..Progress::default() };
    }
}
