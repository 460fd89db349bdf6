//! A group at run time: what its members can do, what was decided for them, and how they share it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::interval::{Interval, IntervalStep, Origin};
use super::share::{Unit, share};
use crate::functions::wiring::GroupSpec;
use crate::ids::DeviceIndex;
use crate::points::{DeviceClass, DeviceSpec, History, Image, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Watts, WattsPerSecond};

/// A battery whose state of charge is lost may still charge for this long: unknown is not yet full.
///
/// # Source
/// Our policy for stale data: discharge 0 at once, charge 0 after 60 s.
pub const CHARGE_WITHOUT_SOC: Span = Span::from_secs(60);

/// Devices that share one set-point, with the last decision for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    class: DeviceClass,
    members: Vec<Member>,
    rating: Watts,
    /// What was decided in the last scan, offset included; `None` before the first.
    applied: Option<Watts>,
    bound_by: Option<Origin>,
    pub(super) interval: Interval,
    steps: Vec<IntervalStep>,
    /// Offsets of reserves by the time at which they were decided; empty while nobody reserves.
    offsets: History,
}

/// One device of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Which device.
    pub device: DeviceIndex,
    /// Its set-point as decided in the last scan.
    pub set_point: Watts,
    rating: Watts,
    ramp: Option<WattsPerSecond>,
    /// Since when its state of charge has been lost.
    soc_lost: Option<LocalTime>,
    /// What it can do, as of this scan.
    low: Watts,
    high: Watts,
}

impl Group {
    /// Makes a group of `spec` out of `devices`.
    pub fn new(spec: &GroupSpec, devices: &[DeviceSpec], scan: Span) -> Self {
        let member = |device: &DeviceIndex| {
            let known = &devices[device.position()];
            Member {
                device: *device,
                set_point: Watts::ZERO,
                rating: known.rating,
                ramp: known.ramp,
                soc_lost: None,
                low: Watts::ZERO,
                high: Watts::ZERO,
            }
        };
        let members: Vec<Member> = spec.members.iter().map(member).collect();
        let rating = members.iter().fold(Watts::ZERO, |sum, member| sum + member.rating);
        let reach = devices.iter().map(|device| device.latency).max().unwrap_or(Span::ZERO);
        Self {
            class: spec.class,
            members,
            rating,
            applied: None,
            bound_by: None,
            interval: Interval::of_ability(Watts::ZERO, Watts::ZERO),
            steps: Vec::new(),
            offsets: History::new(scan, reach),
        }
    }

    /// Forgets what was decided in an earlier life.
    pub(super) fn forget(&mut self) {
        self.applied = None;
        self.bound_by = None;
        self.steps.clear();
        self.offsets.clear();
        for member in &mut self.members {
            member.soc_lost = None;
        }
    }

    /// Opens the interval of this scan with what the members can do; `elapsed` since the last scan bounds device ramps.
    pub(super) fn open(&mut self, now: LocalTime, elapsed: Span, image: &Image) {
        let mut low = Watts::ZERO;
        let mut high = Watts::ZERO;
        let has_decided = self.applied.is_some();
        for member in &mut self.members {
            member.judge(self.class, now, image);
            if let Some(ramp) = member.ramp
                && has_decided
            {
                let reach = ramp.over(elapsed);
                let (from, to) = (member.set_point - reach, member.set_point + reach);
                // Ability wins over the ramp: a device that lost its ability does not glide there.
                member.low = member.low.at_least(from).at_most(member.high);
                member.high = member.high.at_most(to).at_least(member.low);
            }
            low += member.low;
            high += member.high;
        }
        self.interval = Interval::of_ability(low, high);
        self.steps.clear();
        self.steps.push(IntervalStep {
            origin: Origin::Ability,
            wish: None,
            low,
            high,
            shortfall: Watts::ZERO,
        });
    }

    /// Narrows the interval by a wish and keeps the step; returns the shortfall.
    #[inline]
    pub(super) fn narrow(&mut self, origin: Origin, wish: crate::functions::Wish) -> Watts {
        let shortfall = self.interval.narrow(origin, wish);
        let (low, high) = (self.interval.low(), self.interval.high());
        self.steps.push(IntervalStep { origin, wish: Some(wish), low, high, shortfall });
        shortfall
    }

    /// Decides after the last function, and shares the decision among the members.
    pub(super) fn settle(&mut self, now: LocalTime, image: &Image) {
        let rest = match self.class {
            DeviceClass::Battery | DeviceClass::Meter => Watts::ZERO,
            // A generator that nobody limits makes what it can.
            DeviceClass::Pv => self.interval.high(),
        };
        let (power, bound_by) = self.interval.settle(rest);
        let first = &self.steps[0];
        assert!(
            power.watts() >= first.low.watts() - GUARD_W && power.watts() <= first.high.watts() + GUARD_W,
            "a decision stays inside what the devices can do"
        );
        self.applied = Some(power);
        self.bound_by = bound_by;
        if self.interval.offset() != Watts::ZERO || self.offsets.newest().is_some() {
            self.offsets.push(now, self.interval.offset().watts());
        }
        self.hand_out(power, image);
    }

    fn hand_out(&mut self, power: Watts, image: &Image) {
        if let [only] = self.members.as_mut_slice() {
            only.set_point = power;
            return;
        }
        let discharging = power >= Watts::ZERO;
        let mut units = [NO_UNIT; super::share::MAX_MEMBERS];
        for (unit, member) in units.iter_mut().zip(&self.members) {
            let soc = image.good(member.device, PointKind::StateOfCharge).unwrap_or(0.5);
            *unit = Unit {
                available: if discharging { member.high } else { -member.low }.at_least(Watts::ZERO),
                distance: if discharging { soc } else { 1.0 - soc },
                rating: member.rating,
                is_running: member.set_point != Watts::ZERO,
                share: Watts::ZERO,
            };
        }
        let units = &mut units[..self.members.len()];
        share(power.abs(), units);
        for (member, unit) in self.members.iter_mut().zip(units) {
            member.set_point = if discharging { unit.share } else { -unit.share };
        }
    }

    /// What its members are.
    pub const fn class(&self) -> DeviceClass {
        self.class
    }

    /// Its members with their shares.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The sum of its members' ratings.
    pub const fn rating(&self) -> Watts {
        self.rating
    }

    /// What was decided in the last scan, offset included.
    pub const fn applied(&self) -> Option<Watts> {
        self.applied
    }

    /// Who bound the last decision; `None` if the group rests.
    pub const fn bound_by(&self) -> Option<Origin> {
        self.bound_by
    }

    /// How the last decision came about, first step first.
    pub fn steps(&self) -> &[IntervalStep] {
        &self.steps
    }

    /// The mean state of charge of its members; `None` unless all are good.
    pub fn state_of_charge(&self, image: &Image) -> Option<Ratio> {
        let mut sum = 0.0;
        for member in &self.members {
            sum += image.good(member.device, PointKind::StateOfCharge)?;
        }
        Some(Ratio::of(sum / self.members.len() as f64))
    }

    /// The measured power of all members at one instant, delivered offsets removed; `None` unless all are good.
    pub fn power_at(&self, at: LocalTime, image: &Image) -> Option<Watts> {
        let mut sum = 0.0;
        for member in &self.members {
            image.good(member.device, PointKind::Power)?;
            sum += image.power(member.device).power_at(at)?;
        }
        Some(Watts::of(sum) - self.offset_at(at))
    }

    /// What reserves delivered at one instant; zero while nobody reserves.
    pub fn offset_at(&self, at: LocalTime) -> Watts {
        self.offsets.power_at(at).map_or(Watts::ZERO, Watts::of)
    }

    /// The latest instant at which every member's power is known; `None` unless all are good.
    pub fn measured_until(&self, image: &Image) -> Option<LocalTime> {
        let mut until = LocalTime::MAX;
        for member in &self.members {
            image.good(member.device, PointKind::Power)?;
            until = until.min(image.power(member.device).newest()?);
        }
        Some(until)
    }

    /// Where a decision starts from: the measured power; for generators the limit that they hold, if that is wider.
    pub(super) fn present(&self, image: &Image) -> Watts {
        let mut sum = Watts::ZERO;
        for member in &self.members {
            let power = image.good(member.device, PointKind::Power).map(Watts::of).unwrap_or(Watts::ZERO);
            let held = image.good(member.device, PointKind::SetPoint).map(Watts::of);
            sum += match (self.class, held) {
                (DeviceClass::Pv, Some(held)) => power.at_least(held),
                (DeviceClass::Pv | DeviceClass::Battery | DeviceClass::Meter, _) => power,
            };
        }
        sum
    }
}

/// Rounding that the guard forgives, W: shares of many members are sums.
const GUARD_W: f64 = 1e-3;

const NO_UNIT: Unit = Unit {
    available: Watts::ZERO,
    distance: 0.0,
    rating: Watts::ZERO,
    is_running: false,
    share: Watts::ZERO,
};

impl Member {
    /// Judges what the device can do now.
    fn judge(&mut self, class: DeviceClass, now: LocalTime, image: &Image) {
        let limit = |kind| image.good(self.device, kind).map(Watts::of).unwrap_or(Watts::ZERO);
        match class {
            DeviceClass::Battery => {
                self.low = -limit(PointKind::ChargeLimit).within(Watts::ZERO, self.rating);
                self.high = limit(PointKind::DischargeLimit).within(Watts::ZERO, self.rating);
                if image.good(self.device, PointKind::StateOfCharge).is_some() {
                    self.soc_lost = None;
                } else {
                    let since = *self.soc_lost.get_or_insert(now);
                    self.high = Watts::ZERO;
                    if now.since(since) >= CHARGE_WITHOUT_SOC {
                        self.low = Watts::ZERO;
                    }
                }
            }
            DeviceClass::Pv => {
                self.low = Watts::ZERO;
                self.high = self.rating;
            }
            DeviceClass::Meter => {
                self.low = Watts::ZERO;
                self.high = Watts::ZERO;
            }
        }
    }
}
