//! A battery with its inverter and its management system, as the point of connection sees it.
//!
//! A command takes effect after a dead time and is then approached as a first-order lag. What is lost is
//! `p0 + a |P| + b P² / S`: stand-by, and conversion. Near both ends of the state of charge the limits go to zero in small
//! steps; a limit acts at once. An empty battery opens its contactors and loses nothing more; when somebody charges it, its
//! stand-by counts again from half a step of the taper on, so that it never holds less than nothing.
//!
//! The motion is cut into phases. A phase has one curve, one sign of power and one pair of limits, and ends where the first
//! of them changes: a command arrives, a time runs out, power passes zero, energy reaches an edge. Power and energy inside a
//! phase are closed forms counted from its beginning, so looking at the battery changes nothing in it.
//!
//! Numbers: CONTROL.md section 3 for the losses and the taper; dead time 50 ms, lag 100 ms and 1 s of start are ours.

use alloc::collections::VecDeque;

use r_ems_engine::units::{Ratio, WattHours, Watts};
use r_ems_engine::{Span, Time};

use super::curve::{Passed, SETTLED_TIME_CONSTANTS};
use super::taper::{Band, Taper};
use super::{
    Curve, JOULES_PER_WATT_HOUR, Quantity, SpecError, Supply, WATT_HOURS_PER_JOULE, bounded, positive, ranged,
};
use crate::sources::{instant_after, seconds};

/// Most commands on their way through the dead time; when it is full, a new one takes the place of the newest.
pub const MAX_PENDING: usize = 64;

/// Powers closer together than this share of the rating are one: 1 mW for 1 MW.
const SAME_POWER: f64 = 1e-9;

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
    /// Follows its set-point.
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
    /// Energy between empty and full.
    pub capacity: WattHours,
    /// Most power in either direction, and `S` of the losses.
    pub rating: Watts,
    /// State of charge at the start.
    pub soc: Ratio,
    /// Power and set-point at the start.
    pub power: Watts,
    /// From a command's arrival to its first effect.
    pub dead_time: Span,
    /// Time constant of the approach; zero steps.
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
    /// Whether it runs at the start.
    pub mode: Mode,
    /// How long a set-point holds without being repeated; none: for ever.
    pub reversion: Option<Span>,
    /// The set-point after the reversion.
    pub fallback: Watts,
}

impl BatterySpec {
    /// A running battery at 0 W with the losses of CONTROL.md section 3, 1 % steps of the reported state of charge and no reversion.
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
            fallback: Watts::ZERO,
        }
    }

    fn checked(self) -> Result<Self, SpecError> {
        positive("capacity", self.capacity.watt_hours())?;
        let rating_w = positive("rating", self.rating.watts())?;
        ranged("soc", self.soc, 0.0, 1.0)?;
        bounded("power", self.power, rating_w)?;
        bounded("fallback", self.fallback, rating_w)?;
        // Above these the cell's power would not rise with the power at the connection, and no such battery is built.
        ranged("standby loss", self.losses.standby, 0.0, 0.2)?;
        ranged("proportional loss", self.losses.proportional, 0.0, 0.4)?;
        ranged("quadratic loss", self.losses.quadratic, 0.0, 0.2)?;
        ranged("taper", self.taper, 0.001, 0.45)?;
        ranged("soc_bias", self.soc_bias, -1.0, 1.0)?;
        ranged("soc_step", self.soc_step, 1e-6, 1.0)?;
        Ok(self)
    }
}

/// Numbers of a specification in the units of the inner loop.
#[derive(Clone, Copy, Debug)]
struct Constants {
    capacity_j: f64,
    rating_w: f64,
    lag_s: f64,
    standby_w: f64,
    proportional: f64,
    quadratic_per_w: f64,
    taper: Taper,
}

/// The motion since the last change.
#[derive(Clone, Copy, Debug)]
struct Phase {
    from: Time,
    until: Time,
    curve: Curve,
    /// Stored energy at the beginning, in J.
    stored_j: f64,
    /// What stands by, in W: nothing while the contactors are open or the battery is empty.
    standby_w: f64,
}

/// What has happened since the beginning of a phase. Energies in J.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    power_w: f64,
    energy_j: f64,
    conversion_j: f64,
    standby_j: f64,
}

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
    /// The last command received, in W.
    set_point_w: f64,
    /// The command that the inverter follows, in W.
    followed_w: f64,
    pending: VecDeque<Pending>,
    reverts: Option<Time>,
    band: Band,
    phase: Phase,
    /// Where the battery is in its phase.
    progress: Progress,
    flow: BatteryFlow,
}

/// What a battery did in one integrated segment. Its power has one sign.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatteryFlow {
    /// Power at the segment's start, in W; positive discharges.
    pub start_w: f64,
    /// Power at the segment's end, in W.
    pub end_w: f64,
    /// Where the power goes, and how fast, from the segment's start.
    pub curve: Curve,
    /// Energy taken from the bus, in Wh.
    pub charge_wh: f64,
    /// Energy given to the bus, in Wh.
    pub discharge_wh: f64,
    /// Energy lost by conversion, in Wh.
    pub conversion_wh: f64,
    /// Energy lost by standing by, in Wh.
    pub standby_wh: f64,
}

impl Battery {
    /// A battery that follows `spec.power` from the run's start.
    ///
    /// # Errors
    /// [`SpecError`] names the first parameter that is not allowed.
    pub fn new(spec: BatterySpec) -> Result<Self, SpecError> {
        let spec = spec.checked()?;
        let (capacity_j, rating_w) = (spec.capacity.watt_hours() * JOULES_PER_WATT_HOUR, spec.rating.watts());
        let constants = Constants {
            capacity_j,
            rating_w,
            lag_s: spec.lag.as_secs_f64(),
            standby_w: spec.losses.standby.ratio() * rating_w,
            proportional: spec.losses.proportional.ratio(),
            quadratic_per_w: spec.losses.quadratic.ratio() / rating_w,
            taper: Taper::new(capacity_j, spec.taper.ratio()),
        };
        let stored_j = spec.soc.ratio() * capacity_j;
        let power_w = spec.power.watts();
        let curve = Curve::settled(power_w);
        Ok(Self {
            spec,
            constants,
            mode: spec.mode,
            supply: Supply::Live,
            set_point_w: power_w,
            followed_w: power_w,
            pending: VecDeque::with_capacity(MAX_PENDING),
            reverts: None,
            band: constants.taper.band(stored_j),
            phase: Phase { from: Time::ZERO, until: Time::ZERO, curve, stored_j, standby_w: 0.0 },
            progress: Progress { power_w, ..Progress::default() },
            flow: BatteryFlow::default(),
        })
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
        self.stored_j() * WATT_HOURS_PER_JOULE
    }

    /// State of charge, 0 to 1, as it is.
    pub fn soc(&self) -> f64 {
        self.stored_j() / self.constants.capacity_j
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
            Quantity::ChargeLimit => Some(self.charge_limit_w()),
            Quantity::DischargeLimit => Some(self.discharge_limit_w()),
            Quantity::SetPoint => Some(self.set_point_w),
            Quantity::AvailablePower | Quantity::Curtailed | Quantity::Demand | Quantity::Closed => None,
        }
    }

    /// When something changes by itself.
    pub(super) fn breakpoint(&self) -> Time {
        let mut next = self.phase.until;
        if let Some(pending) = self.pending.front() {
            next = next.min(pending.due);
        }
        if let Some(reverts) = self.reverts {
            next = next.min(reverts);
        }
        if let Mode::Starting { ready } = self.mode {
            next = next.min(ready);
        }
        next
    }

    /// Receives a set-point.
    pub(super) fn command(&mut self, power: Watts, now: Time) {
        let power_w = power.watts();
        self.reverts = self.spec.reversion.map(|span| now + span);
        if power_w.to_bits() == self.set_point_w.to_bits() {
            return;
        }
        self.set_point_w = power_w;
        if self.pending.len() == MAX_PENDING {
            self.pending.pop_back();
        }
        self.pending.push_back(Pending { due: now + self.spec.dead_time, power_w });
    }

    /// Starts the inverter; nothing happens if it is on its way or running.
    pub(super) fn start(&mut self, now: Time) {
        if self.mode == Mode::Off {
            self.mode = Mode::Starting { ready: now + self.spec.start_delay };
        }
    }

    /// Stops the inverter and opens the contactors.
    pub(super) fn stop(&mut self, now: Time) {
        self.mode = Mode::Off;
        self.renew(now);
    }

    pub(super) fn energize(&mut self, supply: Supply, now: Time) {
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
        if let Some(reverts) = self.reverts
            && reverts <= now
        {
            self.reverts = None;
            self.pending.clear();
            self.set_point_w = self.spec.fallback.watts();
            self.followed_w = self.set_point_w;
        }
        self.renew(now);
    }

    /// Goes on to `to`, which is inside the phase.
    #[inline]
    pub(super) fn integrate(&mut self, to: Time) {
        let before = self.progress;
        let after = self.phase.progress(seconds(self.phase.from, to), &self.constants);
        let energy_wh = (after.energy_j - before.energy_j) * WATT_HOURS_PER_JOULE;
        let discharges = energy_wh > 0.0;
        self.flow = BatteryFlow {
            start_w: before.power_w,
            end_w: after.power_w,
            curve: Curve { start_w: before.power_w, ..self.phase.curve },
            charge_wh: if discharges { 0.0 } else { 0.0 - energy_wh },
            discharge_wh: if discharges { energy_wh } else { 0.0 },
            conversion_wh: (after.conversion_j - before.conversion_j) * WATT_HOURS_PER_JOULE,
            standby_wh: (after.standby_j - before.standby_j) * WATT_HOURS_PER_JOULE,
        };
        self.progress = after;
    }

    #[inline]
    fn stored_j(&self) -> f64 {
        self.phase.stored_j - self.progress.drawn_j()
    }

    /// Begins a new phase at `now` from what holds then.
    fn renew(&mut self, now: Time) {
        let stored_j = self.stored_j();
        self.band = self.constants.taper.moved(self.band, stored_j);
        let (low_w, high_w) = (-self.charge_limit_w(), self.discharge_limit_w());
        let wish_w = self.followed_w.clamp(low_w, high_w);
        let running = self.mode == Mode::Running;
        let live = self.supply == Supply::Live;
        // Empty: the contactors stay open until somebody charges, and until then nothing stands by.
        let charges = live && wish_w < 0.0;
        let empty = self.band == Band::EMPTY;
        let closed = running && (!empty || charges);
        let curve = if closed && live {
            self.constants.approach(self.progress.power_w.clamp(low_w, high_w), wish_w)
        } else {
            Curve::settled(0.0)
        };
        let standby_w = if closed && !empty { self.constants.standby_w } else { 0.0 };
        let mut phase = Phase { from: now, until: Time::MAX, curve, stored_j, standby_w };
        phase.until = phase.end(self.band, &self.constants);
        self.phase = phase;
        self.progress = Progress { power_w: curve.start_w, ..Progress::default() };
    }
}

impl Constants {
    /// What the cells give at `power_w` with closed contactors, in W. It rises with the power.
    fn drain_w(&self, power_w: f64) -> f64 {
        power_w
            + self.standby_w
            + self.proportional * power_w.abs()
            + self.quadratic_per_w * power_w * power_w
    }

    /// The curve from one power to another.
    fn approach(&self, from_w: f64, to_w: f64) -> Curve {
        let same_w = SAME_POWER * self.rating_w;
        if self.lag_s <= 0.0 || (from_w - to_w).abs() <= same_w {
            return Curve::settled(to_w);
        }
        // Where the last phase ended at zero, this one begins there, whatever the rounding.
        let start_w = if from_w.abs() <= same_w { 0.0 } else { from_w };
        Curve { start_w, target_w: to_w, lag_s: self.lag_s }
    }
}

impl Progress {
    /// What the cells have given, in J.
    #[inline]
    fn drawn_j(&self) -> f64 {
        self.energy_j + self.conversion_j + self.standby_j
    }
}

impl Phase {
    #[inline]
    fn progress(&self, t_s: f64, constants: &Constants) -> Progress {
        let Passed { power_w, energy_j, square_w2s } = self.curve.passed(t_s);
        Progress {
            power_w,
            energy_j,
            // One sign of power in a phase, so that ∫ |P| is |∫ P|.
            conversion_j: constants.proportional * energy_j.abs() + constants.quadratic_per_w * square_w2s,
            standby_j: self.standby_w * t_s,
        }
    }

    /// Where this phase ends by itself: the lag has arrived, power passes zero, or energy reaches an edge of `band`.
    fn end(&self, band: Band, constants: &Constants) -> Time {
        if self.standby_w <= 0.0 && self.curve.is_settled() && self.curve.target_w.abs() <= 0.0 {
            return Time::MAX;
        }
        let (low_j, high_j) = (constants.taper.falling_j(band), constants.taper.rising_j(band));
        let arrived = if self.curve.is_settled() {
            Time::MAX
        } else {
            let way_s = self.curve.zero_s().unwrap_or(SETTLED_TIME_CONSTANTS * self.curve.lag_s);
            instant_after(self.from, way_s)
        };
        // The cells' power rises with the power, which goes from one end of the curve to the other.
        let (first_w, last_w) =
            (self.drain_w(self.curve.start_w, constants), self.drain_w(self.curve.target_w, constants));
        let (least_w, most_w) = if first_w < last_w { (first_w, last_w) } else { (last_w, first_w) };
        let mut edge_s = f64::INFINITY;
        if most_w > 0.0 {
            edge_s = (self.stored_j - low_j) / most_w;
        }
        if least_w < 0.0 {
            let rise_s = (high_j - self.stored_j) / -least_w;
            edge_s = if rise_s < edge_s { rise_s } else { edge_s };
        }
        let earliest = instant_after(self.from, edge_s);
        if earliest >= arrived || self.curve.is_settled() {
            return earliest.min(arrived);
        }
        self.edge_within(arrived, (low_j, high_j), constants).unwrap_or(arrived)
    }

    fn drain_w(&self, power_w: f64, constants: &Constants) -> f64 {
        constants.drain_w(power_w) - constants.standby_w + self.standby_w
    }

    /// The first nanosecond up to `end` at which the energy has left `(low, high)`; none if it never does.
    ///
    /// The cells' power changes sign once at most, so energy is monotone up to that instant and after it, and each half of
    /// the search is a bisection.
    fn edge_within(&self, end: Time, (low_j, high_j): (f64, f64), constants: &Constants) -> Option<Time> {
        let span_ns = end.since(self.from).as_nanos();
        let at = |nanos: u64| self.progress(nanos as f64 * 1e-9, constants);
        let drains = |nanos: u64| self.drain_w(at(nanos).power_w, constants) > 0.0;
        let outside = |nanos: u64| {
            let stored_j = self.stored_j - at(nanos).drawn_j();
            stored_j <= low_j || stored_j >= high_j
        };
        let drained = drains(0);
        let turn_ns = first(0, span_ns, |nanos| drains(nanos) != drained);
        let mut from_ns = 0;
        for until_ns in [turn_ns, span_ns] {
            if outside(until_ns) {
                let edge_ns = first(from_ns, until_ns, outside);
                // An edge at the very beginning is passed a nanosecond later, so that time goes on.
                return Some(self.from + Span::from_nanos(edge_ns.max(1)));
            }
            from_ns = until_ns;
        }
        None
    }
}

/// The smallest number in `[low, high]` for which `holds`, which once it holds goes on to hold; `high` if there is none.
fn first(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}
