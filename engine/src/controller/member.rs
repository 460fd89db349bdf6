//! One device of a group: what it can do now, and whether it takes part.
//!
//! A battery is offered to the laws by what its management system permits, in each direction for as long as what that rests
//! on is known. What was lost counts again after it has been good for [`GOOD_BEFORE_RETURN`], and the device then starts
//! from its measured power, so that a measurement that comes and goes does not make its power come and go. A device that is seen
//! for the first time, or that its new active has just connected to, counts at once, from its measured power.
//!
//! **A device that cannot be seen takes no part.** What it does is then felt by the meter like any load, so the others of its
//! group make up for it. A battery that takes no part is told to rest, an inverter to keep the limit that it has. One that is
//! controlled at its panel, or in fault, takes none either, and is told nothing: [`super::standing`].

use serde::{Deserialize, Serialize};

use super::reactive::{active_beside, beside};
use super::standing::Standing;
use crate::carry::Carry;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::device::EngineState;
use crate::points::{DeviceClass, DeviceSpec, Image, PointKind, Priority};
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Vars, VoltAmperes, Watts, WattsPerSecond};

/// A measurement that was lost must be good for this long before anything is decided on it again.
pub const GOOD_BEFORE_RETURN: Span = Span::from_secs(10);
/// A battery whose state of charge is lost may still charge for this long: unknown is not yet full.
///
/// # Source
/// Our policy for stale data: discharge 0 at once, charge 0 after 60 s.
pub const CHARGE_WITHOUT_SOC: Span = Span::from_secs(60);

/// What a genset is told at the least that was found running without a set-point, as a share of its rating.
const TURNING_SHARE: f64 = 0.01;

/// One device of a group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Member {
    device: DeviceIndex,
    rating: Watts,
    ramp: Option<WattsPerSecond>,
    /// Whether every point of it has been good at once since boot: before that nothing is written to it.
    is_known: bool,
    /// What it says of itself.
    standing: Standing,
    /// What part it had in the scan before.
    before: Part,
    power: Trust,
    charge: Trust,
    discharge: Trust,
    soc: Trust,
    /// What the device can do, as of this scan.
    ability: Range,
    /// What the laws leave of it.
    left: Range,
    /// The state of charge below which the laws keep it from discharging.
    floor: Ratio,
    set_point: Watts,
    /// The most apparent power, if it takes reactive set-points, and what comes first.
    apparent: Option<VoltAmperes>,
    priority: Priority,
    /// The reactive power that there is room for in this scan, a magnitude.
    reactive_ability: Vars,
    reactive: Vars,
    /// The reactive power that was wanted of it, room or not.
    reactive_wanted: Vars,
}

/// What part a device has in its group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    /// It cannot be seen.
    #[default]
    Unseen,
    /// It is seen, and is told nothing.
    Away,
    /// It shares in what the group does.
    Takes,
}

/// Two powers and what lies between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The lowest.
    pub low: Watts,
    /// The highest.
    pub high: Watts,
}

/// Whether a measurement counts: at once when it is lost, and again only after it has been good for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Trust {
    lost_since: Option<LocalTime>,
    good_since: Option<LocalTime>,
}

/// What became of a measurement in a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Counts,
    /// It counts again from this scan on.
    Returns,
    /// It does not count, and has not for so long.
    Lost(Span),
}

impl Trust {
    pub(super) fn judge(&mut self, now: LocalTime, is_good: bool) -> Judged {
        if !is_good {
            self.good_since = None;
            return Judged::Lost(now.since(*self.lost_since.get_or_insert(now)));
        }
        let Some(lost_since) = self.lost_since else { return Judged::Counts };
        if now.since(*self.good_since.get_or_insert(now)) < GOOD_BEFORE_RETURN {
            return Judged::Lost(now.since(lost_since));
        }
        *self = Self::default();
        Judged::Returns
    }
}

impl Judged {
    pub(super) const fn counts(self) -> bool {
        match self {
            Self::Counts | Self::Returns => true,
            Self::Lost(_) => false,
        }
    }
}

impl Member {
    /// Makes a member of the device at `index`.
    pub fn new(index: DeviceIndex, device: &DeviceSpec) -> Self {
        Self {
            device: index,
            rating: device.rating,
            ramp: device.ramp,
            is_known: false,
            standing: Standing::default(),
            before: Part::default(),
            power: Trust::default(),
            charge: Trust::default(),
            discharge: Trust::default(),
            soc: Trust::default(),
            ability: Range::default(),
            left: Range::default(),
            floor: Ratio::ZERO,
            set_point: Watts::ZERO,
            apparent: device.apparent,
            priority: device.priority,
            reactive_ability: Vars::ZERO,
            reactive: Vars::ZERO,
            reactive_wanted: Vars::ZERO,
        }
    }

    /// Forgets what was known in an earlier life.
    pub(super) fn forget(&mut self) {
        self.is_known = false;
        self.trust_afresh();
        (self.standing, self.before) = (Standing::default(), Part::default());
        self.set_point = Watts::ZERO;
        (self.reactive, self.reactive_wanted) = (Vars::ZERO, Vars::ZERO);
    }

    fn trust_afresh(&mut self) {
        for trust in [&mut self.power, &mut self.charge, &mut self.discharge, &mut self.soc] {
            *trust = Trust::default();
        }
    }

    /// Sees what the device says of itself.
    pub(super) fn look(&mut self, image: &Image, out: &mut Effects) {
        self.standing.look(self.device, image, out);
    }

    /// Judges what the device can do now; `ramped` is the time over which its own ramp bounds it. One that returns begins from
    /// its measured power. Neither counts where all is stopped: a device is told to rest at once, and gets there as it can.
    /// Returns by how much what the group does is more by that alone: what one that is taken to its panel takes with it, and
    /// what one that comes back brings.
    pub(super) fn judge(
        &mut self,
        class: DeviceClass,
        now: LocalTime,
        (ramped, is_stopped): (Option<Span>, bool),
        image: &Image,
    ) -> Watts {
        let was_known = self.is_known;
        self.is_known = self.is_known && !image.is_apart(self.device) || image.is_known(self.device);
        if !was_known {
            // Nothing has been lost: it counts from the first instant at which all of it is known.
            self.trust_afresh();
        }
        let seen_by = if class == DeviceClass::Breaker { PointKind::Closed } else { PointKind::Power };
        let power = self.power.judge(now, image.good(self.device, seen_by).is_some());
        let part = self.part();
        let before = core::mem::replace(&mut self.before, part);
        let comes_back = (before, part) == (Part::Away, Part::Takes);
        let mut returns = power == Judged::Returns || !was_known && self.is_known || comes_back;
        self.ability = match class {
            DeviceClass::Battery => {
                let is_able = power.counts() && self.is_known && self.standing.is_able();
                self.battery_ability(now, is_able, &mut returns, image)
            }
            DeviceClass::Pv
            | DeviceClass::Genset
            | DeviceClass::Load
            | DeviceClass::Breaker
            | DeviceClass::Meter
            | DeviceClass::Signal => {
                let (low, high) = class.range(self.rating);
                Range { low, high }
            }
        };
        if let Some(apparent) = self.apparent {
            let first = match self.priority {
                Priority::Active => Vars::ZERO,
                Priority::Reactive => self.reactive_wanted,
            };
            let most = active_beside(apparent, first);
            self.ability.low = self.ability.low.within(-most, most);
            self.ability.high = self.ability.high.within(-most, most);
        }
        if let Some((ramp, elapsed)) = self.ramp.zip(ramped).filter(|_ramped| !is_stopped) {
            let reach = ramp.over(elapsed);
            let (from, to) = (self.set_point - reach, self.set_point + reach);
            // Ability wins over the ramp: a device that lost its ability does not glide there.
            self.ability.low = self.ability.low.at_least(from).at_most(self.ability.high);
            self.ability.high = self.ability.high.at_most(to).at_least(self.ability.low);
        }
        let held = self.set_point;
        if self.standing.is_away() {
            self.set_point = self.does(class, image);
            self.ability = Range { low: self.set_point, high: self.set_point };
        } else if returns && !is_stopped {
            let present = self.present(class, image).within(self.ability.low, self.ability.high);
            self.ability = Range { low: present, high: present };
        }
        self.left = self.ability;
        self.floor = Ratio::ZERO;
        match (before, part) {
            (Part::Takes, Part::Away | Part::Unseen) if self.standing.is_local() => -held,
            (Part::Away, Part::Takes) => self.present(class, image),
            (Part::Unseen, Part::Unseen | Part::Away | Part::Takes)
            | (Part::Away, Part::Unseen | Part::Away)
            | (Part::Takes, Part::Unseen | Part::Away | Part::Takes) => Watts::ZERO,
        }
    }

    fn part(&self) -> Part {
        match (self.is_seen(), self.standing.is_away()) {
            (true, false) => Part::Takes,
            (true, true) => Part::Away,
            (false, _) => Part::Unseen,
        }
    }

    /// What a device does that is told nothing.
    fn does(&self, class: DeviceClass, image: &Image) -> Watts {
        match class {
            // Whether it is switched on says more than what flows.
            DeviceClass::Load | DeviceClass::Breaker => self.present(class, image),
            DeviceClass::Battery
            | DeviceClass::Pv
            | DeviceClass::Genset
            | DeviceClass::Meter
            | DeviceClass::Signal => {
                // A measurement may be wrong, or a little beyond what it is rated for.
                let (low, high) = class.range(self.rating);
                let power = image.good(self.device, PointKind::Power).map_or(Watts::ZERO, Watts::of);
                power.within(low, high)
            }
        }
    }

    fn battery_ability(&mut self, now: LocalTime, is_able: bool, returns: &mut bool, image: &Image) -> Range {
        let good = |kind| image.good(self.device, kind).map(Watts::of);
        let (charge, discharge) = (good(PointKind::ChargeLimit), good(PointKind::DischargeLimit));
        let soc = self.soc.judge(now, image.good(self.device, PointKind::StateOfCharge).is_some());
        let may_charge = self.charge.judge(now, charge.is_some());
        let may_discharge = self.discharge.judge(now, discharge.is_some());
        *returns |= [soc, may_charge, may_discharge].contains(&Judged::Returns);
        let charges_without_soc = match soc {
            Judged::Counts | Judged::Returns => true,
            Judged::Lost(lost_for) => lost_for < CHARGE_WITHOUT_SOC,
        };
        let permitted = |limit: Option<Watts>, may: bool| {
            let limit = if may { limit.unwrap_or(Watts::ZERO) } else { Watts::ZERO };
            limit.within(Watts::ZERO, self.rating)
        };
        Range {
            low: -permitted(charge, is_able && may_charge.counts() && charges_without_soc),
            high: permitted(discharge, is_able && may_discharge.counts() && soc.counts()),
        }
    }

    /// Narrows what the laws leave of it; returns what is missing to that, a magnitude.
    pub(super) fn narrow(&mut self, low: Watts, high: Watts) -> Watts {
        let missing = (low - self.left.high).at_least(self.left.low - high).at_least(Watts::ZERO);
        let lowest = low.within(self.left.low, self.left.high);
        self.left = Range { low: lowest, high: high.within(lowest, self.left.high) };
        missing
    }

    /// Notes the state of charge below which it is kept from discharging, for sharing.
    pub(super) fn keep_above(&mut self, floor: Ratio) {
        if floor > self.floor {
            self.floor = floor;
        }
    }

    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.watts(&mut self.set_point);
        if self.apparent.is_some() {
            carry.vars(&mut self.reactive);
            carry.vars(&mut self.reactive_wanted);
        }
    }

    /// Finds how much reactive power there is room for beside the active power of this scan.
    pub(super) fn open_reactive(&mut self, class: DeviceClass, image: &Image) {
        let made = image.good(self.device, PointKind::Power).map_or(Watts::ZERO, Watts::of);
        let active = match class {
            DeviceClass::Battery
            | DeviceClass::Genset
            | DeviceClass::Load
            | DeviceClass::Breaker
            | DeviceClass::Meter
            | DeviceClass::Signal => self.set_point,
            // Of its limit it makes what it can.
            DeviceClass::Pv => made.at_most(self.set_point),
        };
        let room = |apparent| Vars::of(beside(apparent, active.watts()));
        let apparent = self.apparent.filter(|_| self.takes_part());
        self.reactive_ability = apparent.map_or(Vars::ZERO, room);
    }

    /// The reactive power that there is room for in this scan, a magnitude.
    pub const fn reactive_ability(&self) -> Vars {
        self.reactive_ability
    }

    /// Sets its reactive power; `wanted` is what was wanted of the group, as a part of its rating.
    pub(super) fn set_reactive(&mut self, power: Vars, wanted: f64) {
        self.reactive = power;
        self.reactive_wanted =
            self.apparent.map_or(Vars::ZERO, |apparent| Vars::of(apparent.volt_amperes() * wanted));
    }

    /// Its reactive set-point as decided in the last scan.
    pub const fn reactive(&self) -> Vars {
        self.reactive
    }

    /// The most apparent power, if it takes reactive set-points.
    pub const fn apparent(&self) -> Option<VoltAmperes> {
        self.apparent
    }

    pub(super) const fn set(&mut self, set_point: Watts) {
        self.set_point = set_point;
    }

    /// Where a decision starts from: the measured power; for a generator the limit that it holds, if that is wider, and for what
    /// is switched what it holds.
    pub(super) fn present(&self, class: DeviceClass, image: &Image) -> Watts {
        let power = image.good(self.device, PointKind::Power).map(Watts::of).unwrap_or(Watts::ZERO);
        match (class, image.good(self.device, PointKind::SetPoint).map(Watts::of)) {
            (DeviceClass::Pv, Some(held)) => power.at_least(held),
            (DeviceClass::Genset, Some(held)) if held == Watts::ZERO && self.turns(image) => {
                // 0 W would stop it.
                power.at_least(self.rating * TURNING_SHARE)
            }
            (DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker, Some(held)) => held,
            // What it held last is nearer to the truth than what flows.
            (DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker, None) => self.set_point,
            (DeviceClass::Pv | DeviceClass::Battery | DeviceClass::Meter | DeviceClass::Signal, _) => power,
        }
    }

    /// Whether its engine runs, or is on its way to.
    fn turns(&self, image: &Image) -> bool {
        let state = image.good(self.device, PointKind::State).and_then(EngineState::of);
        state.is_some_and(|state| match state {
            EngineState::Starting
            | EngineState::WarmUp
            | EngineState::Synchronizing
            | EngineState::Running => true,
            EngineState::Off | EngineState::CoolDown | EngineState::Fault => false,
        })
    }

    /// Which device.
    pub const fn device(&self) -> DeviceIndex {
        self.device
    }

    /// Its set-point as decided in the last scan.
    pub const fn set_point(&self) -> Watts {
        self.set_point
    }

    /// Its rated power.
    pub const fn rating(&self) -> Watts {
        self.rating
    }

    /// What the device can do, as of the last scan.
    pub const fn ability(&self) -> Range {
        self.ability
    }

    /// What the laws left of that in the last scan.
    pub const fn left(&self) -> Range {
        self.left
    }

    /// Whether every point of it has been good at once since boot.
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// Whether it can be seen.
    pub const fn is_seen(&self) -> bool {
        self.is_known && self.power.lost_since.is_none()
    }

    /// Whether it shares in what its group does: it can be seen, and has not left it.
    pub fn takes_part(&self) -> bool {
        self.is_seen() && !self.standing.is_away()
    }

    /// Whether it has left its group, and is told nothing.
    pub fn is_away(&self) -> bool {
        self.standing.is_away()
    }

    /// What it says of itself.
    pub const fn standing(&self) -> Standing {
        self.standing
    }

    /// Its state of charge, if it may be used.
    pub fn state_of_charge(&self, image: &Image) -> Option<Ratio> {
        let soc = image.good(self.device, PointKind::StateOfCharge).map(Ratio::of)?;
        if self.takes_part() && self.soc.lost_since.is_none() { Some(soc) } else { None }
    }

    /// How far it is from where it must stop discharging, 0 to 1; half of all where that is unknown.
    pub(super) fn charge_above_floor(&self, image: &Image) -> f64 {
        self.state_of_charge(image).map_or(0.5, |soc| soc.ratio() - self.floor.ratio())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> LocalTime {
        LocalTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn what_was_lost_counts_again_after_ten_good_seconds_in_a_row() {
        let mut trust = Trust::default();
        assert_eq!(trust.judge(at(0), true), Judged::Counts);
        assert_eq!(trust.judge(at(1), false), Judged::Lost(Span::ZERO));
        assert_eq!(trust.judge(at(5), true), Judged::Lost(Span::from_secs(4)));
        assert_eq!(trust.judge(at(14), false), Judged::Lost(Span::from_secs(13)));
        assert_eq!(trust.judge(at(15), true), Judged::Lost(Span::from_secs(14)));
        assert_eq!(trust.judge(at(24), true), Judged::Lost(Span::from_secs(23)));
        assert_eq!(trust.judge(at(25), true), Judged::Returns);
        assert_eq!(trust.judge(at(26), true), Judged::Counts);
    }
}
