//! Gensets of an island: how many run, and what each gives.
//!
//! **How many.** Enough that the load, what heavy consumers ask for, and the spinning reserve fit into a share of what runs
//! (`start_above`), and one less where they would fit into a smaller share of what is left (`stop_below`), each for a while;
//! never fewer than `least`. What a battery that is not low may be discharged with counts as running. They start in the order of
//! the site file and stop in the reverse one, one at a time. Each runs for `up_time` at least and rests for `down_time`, unless
//! fewer run than `least`. One that does not come onto the bus within `start_time_out`, or leaves it, has failed: it is stopped,
//! which resets it, the next one starts at once, and it is tried again after `retry_after`. One that cannot be seen gives what
//! it gave last. What one gives that is controlled at its panel is not left to the others, and nobody counts on more of it; it
//! comes back as it is found.
//!
//! **What each gives.** All that run take the same share of their rating, from `minimum_load` to `start_above`; together they
//! give what the load takes, and `charge_power` besides while the battery is low. On an island that is where their droop lines
//! pass the nominal frequency, so that the frequency comes back to it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::heavy::{Heavy, HeavySpec};
use super::seen::SeenBatteries;
use super::{Function, GridMode, Grounds, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::math::at_least;
use crate::points::device::EngineState;
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Watts};

/// What a site file says about its gensets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GensetsSpec {
    /// One genset, or `gensets`.
    pub gensets: String,
    /// The battery that forms the island beside them, or `batteries` where all of them do.
    #[serde(default)]
    pub battery: Option<String>,
    /// So many always run; 1. With a battery that forms, 0 lets it hold the island alone.
    #[serde(default = "one")]
    pub least: u16,
    /// Another starts above this share of what runs; 85 %.
    #[serde(default = "start_above")]
    pub start_above: Ratio,
    /// After so long; 10 s.
    #[serde(default = "start_after")]
    pub start_after: Span,
    /// One stops where the load is below this share of what is left; 60 %.
    #[serde(default = "stop_below")]
    pub stop_below: Ratio,
    /// After so long; 5 min.
    #[serde(default = "stop_after")]
    pub stop_after: Span,
    /// Loads that are switched off where there is too little: what waits of them is needed as if they took it. None.
    #[serde(default)]
    pub loads: Vec<String>,
    /// Loads that ask before they start, for which there must be room as soon as they do; none.
    #[serde(default)]
    pub heavy: Vec<HeavySpec>,
    /// What must be free besides; 0 W.
    #[serde(default)]
    pub reserve: Watts,
    /// The least that one gives while it runs, as a share of its rating; 30 %.
    #[serde(default = "minimum_load")]
    pub minimum_load: Ratio,
    /// How long one runs at least; 10 min.
    #[serde(default = "up_time")]
    pub up_time: Span,
    /// How long one rests at least; 2 min.
    #[serde(default = "down_time")]
    pub down_time: Span,
    /// Below this state of charge the battery is low; 30 %.
    #[serde(default = "low_below")]
    pub low_below: Ratio,
    /// From this one on it is no more; 80 %.
    #[serde(default = "low_until")]
    pub low_until: Ratio,
    /// What gensets charge it with while it is low; 0 W.
    #[serde(default)]
    pub charge_power: Watts,
    /// One that is not on the bus after so long has failed; 2 min.
    #[serde(default = "start_time_out")]
    pub start_time_out: Span,
    /// One that has failed is tried again after so long; 10 min.
    #[serde(default = "retry_after")]
    pub retry_after: Span,
}

const fn one() -> u16 {
    1
}

fn start_above() -> Ratio {
    Ratio::of(0.85)
}

const fn start_after() -> Span {
    Span::from_secs(10)
}

fn stop_below() -> Ratio {
    Ratio::of(0.6)
}

const fn stop_after() -> Span {
    Span::from_mins(5)
}

fn minimum_load() -> Ratio {
    Ratio::of(0.3)
}

const fn up_time() -> Span {
    Span::from_mins(10)
}

const fn down_time() -> Span {
    Span::from_mins(2)
}

fn low_below() -> Ratio {
    Ratio::of(0.3)
}

fn low_until() -> Ratio {
    Ratio::of(0.8)
}

const fn start_time_out() -> Span {
    Span::from_mins(2)
}

const fn retry_after() -> Span {
    Span::from_mins(10)
}

/// Starts, loads and stops gensets.
///
/// # Units     `reserve`, `charge_power`: W, magnitudes
/// # Shape     one limit for each genset, which is its power, or 0 W
/// # Errors    `Problem::OutOfRange` unless `stop_below` < `start_above` ≤ 100 %, `minimum_load` ≤ `stop_below`, `low_below` ≤
/// `low_until`, and magnitudes are such
/// # Source    The defaults are ours, as load-dependent starting on ships and power-management systems of hybrid sites have them;
/// manufacturers ask for 30 % of load at least
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gensets {
    spec: GensetsSpec,
    group: [GroupIndex; 1],
    batteries: SeenBatteries,
    heavy: Vec<Heavy>,
    loads: Vec<GroupIndex>,
    /// By place in the group; empty before the first decision.
    units: Vec<Unit>,
    /// Whether the battery is low.
    is_low: bool,
    /// Since when too little runs, and too much.
    short_since: Option<LocalTime>,
    ample_since: Option<LocalTime>,
    /// What the battery was counted on with last.
    counted: Watts,
    /// What its last decision rests on.
    grounds: Option<Grounds>,
}

/// One genset as it is told, and what became of that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Unit {
    is_on: bool,
    /// What it gave when it was seen last.
    given: Watts,
    /// Whether it was on the bus since it was told to run.
    has_run: bool,
    /// When it was told something else last.
    changed: Option<LocalTime>,
    /// When it failed, unless it may be tried again.
    failed: Option<LocalTime>,
    /// Whether it is controlled at its panel.
    is_local: bool,
}

/// What there is in one scan.
#[derive(Clone, Copy, Debug)]
struct Supply {
    now: LocalTime,
    /// What the loads take and what is to be free besides.
    needed: Watts,
    /// What a battery gives for that.
    battery: Watts,
}

impl Function for Gensets {
    type Spec = GensetsSpec;

    fn build(spec: &GensetsSpec, wiring: &mut Wiring<'_>) -> Self {
        let above = alloc::format!("less than start_above of {}", spec.start_above);
        wiring.require(
            "start_above",
            (Ratio::ZERO..=Ratio::ONE).contains(&spec.start_above),
            spec.start_above,
            "up to 100 %",
        );
        wiring.require("stop_below", spec.stop_below < spec.start_above, spec.stop_below, &above);
        let below = alloc::format!("from 0 % to stop_below of {}", spec.stop_below);
        let is_least = (Ratio::ZERO..=spec.stop_below).contains(&spec.minimum_load);
        wiring.require("minimum_load", is_least, spec.minimum_load, &below);
        wiring.state_of_charge("low_below", spec.low_below);
        let until = alloc::format!("from low_below of {} to 100 %", spec.low_below);
        let is_until = spec.low_until >= spec.low_below && spec.low_until <= Ratio::ONE;
        wiring.require("low_until", is_until, spec.low_until, &until);
        for (field, power) in [("reserve", spec.reserve), ("charge_power", spec.charge_power)] {
            wiring.require(field, power >= Watts::ZERO, power, "a magnitude, 0 W or more");
        }
        let charges = spec.battery.is_none() || spec.least > 0 || spec.charge_power > Watts::ZERO;
        let allowed = "above 0 W, or a battery that is low would stay so, and the gensets on";
        wiring.require("charge_power", charges, spec.charge_power, allowed);
        wiring.each_once("heavy", spec.heavy.iter().map(|heavy| &heavy.load));
        let group = wiring.genset("gensets", &spec.gensets);
        let members = wiring.members(group);
        let allowed = alloc::format!("at most all {members} gensets");
        wiring.require("least", usize::from(spec.least) <= members || members == 0, spec.least, &allowed);
        Self {
            group: [group],
            batteries: wiring.batteries_seen("battery", spec.battery.as_deref()),
            loads: spec.loads.iter().map(|name| wiring.load("loads", name)).collect(),
            heavy: spec.heavy.iter().map(|heavy| Heavy::new(heavy, wiring)).collect(),
            spec: spec.clone(),
            units: Vec::new(),
            is_low: false,
            short_since: None,
            ample_since: None,
            counted: Watts::ZERO,
            grounds: None,
        }
    }

    fn rank(&self) -> Rank {
        Rank::Island
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.group
    }

    fn when(&self) -> When {
        When::Island
    }

    fn begin_anew(&mut self) {
        self.units.clear();
        self.heavy.iter_mut().for_each(Heavy::forget);
        (self.short_since, self.ample_since) = (None, None);
        (self.is_low, self.counted, self.grounds) = (false, Watts::ZERO, None);
    }

    fn forget(&mut self) {
        self.begin_anew();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(2);
        let tells_local = carry.version() > 1;
        self.heavy.iter_mut().for_each(|heavy| heavy.carry(carry));
        carry.timers(|carry| {
            carry.flag(&mut self.is_low);
            carry.watts(&mut self.counted);
            carry.list(&mut self.units, |carry, unit| {
                carry.flag(&mut unit.is_on);
                carry.watts(&mut unit.given);
                carry.flag(&mut unit.has_run);
                carry.option(&mut unit.changed, Carry::instant);
                carry.option(&mut unit.failed, Carry::instant);
                if tells_local {
                    carry.flag(&mut unit.is_local);
                }
            });
            carry.option(&mut self.short_since, Carry::instant);
            carry.option(&mut self.ample_since, Carry::instant);
        });
    }

    fn grounds(&self, _group: GroupIndex) -> Option<Grounds> {
        self.grounds
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [group] = self.group;
        if self.units.len() != view.members(group).len() {
            self.units = view.members(group).map(|place| Unit::found(view, group, place)).collect();
        }
        self.look(view);
        let load = self.load(view);
        self.heavy.iter_mut().for_each(|heavy| heavy.listen(view));
        let asked = self.heavy.iter().fold(Watts::ZERO, |sum, heavy| sum + heavy.pending(view));
        let needed = load + self.spec.reserve + asked + self.waiting(view);
        let supply = Supply { now: view.now(), needed, battery: self.battery_supply(view) };
        if !self.start(view, supply) {
            // What those that run can bear is no shortfall, though another one was to take some of it.
            let missing = supply.needed - self.sum(view, |unit| unit.is_on) - supply.battery;
            if missing > Watts::ZERO {
                wishes.missing(group, missing);
            }
        }
        self.stop(view, supply);
        self.share(load, view, wishes);
        let running = self.sum(view, |unit| unit.is_on) * self.spec.start_above.ratio();
        self.grounds = Some(Grounds { needed, available: running + supply.battery });
    }
}

impl Unit {
    /// One as it is found.
    fn found(view: &View<'_>, group: GroupIndex, place: u16) -> Self {
        let is_on = view.member_held(group, place).is_some_and(|held| held > Watts::ZERO)
            || view.member_state(group, place) == Some(EngineState::Running);
        Self { is_on, ..Self::default() }
    }
}

impl Gensets {
    /// Sees what became of what each was told.
    fn look(&mut self, view: &View<'_>) {
        let ([group], now) = (self.group, view.now());
        for (place, unit) in (0..).zip(&mut self.units) {
            if view.member_is_local(group, place) {
                *unit = Unit { is_local: true, ..Unit::default() };
                continue;
            }
            if unit.is_local {
                // What its register kept meanwhile is nobody's wish.
                let is_on = view.member_state(group, place) == Some(EngineState::Running);
                *unit = Unit { is_on, ..Unit::default() };
            }
            if unit.failed.is_some_and(|failed| now.since(failed) >= self.spec.retry_after) {
                unit.failed = None;
            }
            if let Some(given) = view.member_power(group, place) {
                unit.given = given;
            }
            // One that cannot be seen goes on as it was told.
            let (Some(state), true) = (view.member_state(group, place), unit.is_on) else { continue };
            let waits = unit.changed.map_or(Span::ZERO, |changed| now.since(changed));
            let has_failed = match state {
                EngineState::Running => {
                    unit.has_run = true;
                    false
                }
                EngineState::Fault => true,
                EngineState::Off | EngineState::CoolDown if unit.has_run => true,
                EngineState::Off
                | EngineState::Starting
                | EngineState::WarmUp
                | EngineState::Synchronizing
                | EngineState::CoolDown => waits >= self.spec.start_time_out,
            };
            if has_failed {
                *unit = Unit { changed: Some(now), failed: Some(now), ..Unit::default() };
            } else if unit.changed.is_none() {
                // Of one that was found running nobody knows since when.
                unit.changed = Some(now);
            }
        }
    }

    /// What all loads take: what is given to them, by whomever; by a genset that cannot be seen, what it gave last.
    fn load(&self, view: &View<'_>) -> Watts {
        let gensets = self.units.iter().fold(Watts::ZERO, |sum, unit| sum + unit.given);
        let powers = self.batteries.supplies(view).filter_map(|(power, _)| power);
        powers.fold(gensets, |sum, power| sum + power)
    }

    /// What loads would take that are open, but for those that somebody has opened at their panels: what they are rated for.
    fn waiting(&self, view: &View<'_>) -> Watts {
        let waits = |group: &&GroupIndex| {
            view.member_held(**group, 0) == Some(Watts::ZERO) && !view.member_is_local(**group, 0)
        };
        self.loads.iter().filter(waits).fold(Watts::ZERO, |sum, group| sum + view.rating(*group))
    }

    /// What the battery may be counted on with, unless it is low.
    fn battery_supply(&mut self, view: &View<'_>) -> Watts {
        // Whatever one could do on a dead bus, it does not hold it.
        if self.batteries.is_empty() || view.mode() == GridMode::Dead {
            return Watts::ZERO;
        }
        // While its charge is not known, it counts as it did.
        if let Some(charge) = self.batteries.state_of_charge(view) {
            self.is_low = charge < self.spec.low_below || self.is_low && charge < self.spec.low_until;
            let limits = self.batteries.supplies(view).filter_map(|(_, limit)| limit);
            let sum = limits.fold(Watts::ZERO, |sum, limit| sum + limit);
            self.counted = if self.is_low { Watts::ZERO } else { sum };
        }
        self.counted
    }

    /// The rated power of those gensets that `counts` says.
    fn sum(&self, view: &View<'_>, counts: impl Fn(&Unit) -> bool) -> Watts {
        let [group] = self.group;
        let counting = (0..).zip(&self.units).filter(|(_, unit)| counts(unit));
        counting.fold(Watts::ZERO, |sum, (place, _)| sum + view.member_rating(group, place))
    }

    /// So many run at least: without a battery to count on, nobody else holds the island.
    fn least(&self, supply: Supply) -> usize {
        let alone = u16::from(supply.battery <= Watts::ZERO);
        usize::from(self.spec.least.max(alone))
    }

    fn running(&self) -> usize {
        self.units.iter().filter(|unit| unit.is_on).count()
    }

    /// Starts another where too little runs; whether there was one where one was wanted.
    fn start(&mut self, view: &View<'_>, supply: Supply) -> bool {
        let Supply { now, needed, battery } = supply;
        let room = self.sum(view, |unit| unit.is_on) * self.spec.start_above.ratio() + battery;
        let is_few = self.running() < self.least(supply);
        if !is_few && needed <= room {
            self.short_since = None;
            return true;
        }
        let since = *self.short_since.get_or_insert(now);
        if !is_few && now.since(since) < self.spec.start_after {
            return true;
        }
        let (down_time, [group]) = (self.spec.down_time, self.group);
        let next = (0..).zip(&mut self.units).find(|(place, unit)| {
            let has_rested = unit.changed.is_none_or(|changed| now.since(changed) >= down_time);
            let may_start = unit.failed.is_none() && (has_rested || is_few);
            !unit.is_on && !unit.is_local && may_start && view.member_state(group, *place).is_some()
        });
        let Some((_, unit)) = next else { return false };
        *unit = Unit { is_on: true, changed: Some(now), ..Unit::default() };
        self.short_since = None;
        true
    }

    /// Stops the last one where too much runs.
    fn stop(&mut self, view: &View<'_>, supply: Supply) {
        let Supply { now, needed, battery } = supply;
        let [group] = self.group;
        let last = (0..).zip(&self.units).filter(|(_, unit)| unit.is_on).last();
        // Who is on its way to the bus, or cannot be seen, is none to leave the load to.
        let counts = |(place, unit): (u16, &Unit)| {
            !unit.is_on || unit.has_run && view.member_state(group, place).is_some()
        };
        let is_clear = (0..).zip(&self.units).all(counts);
        let may_stop = last.filter(|(_, unit)| {
            let has_run = unit.changed.is_none_or(|changed| now.since(changed) >= self.spec.up_time);
            is_clear && has_run && self.running() > self.least(supply)
        });
        let Some(place) = may_stop.map(|(place, _)| place) else {
            self.ample_since = None;
            return;
        };
        let left = self.sum(view, |unit| unit.is_on) - view.member_rating(group, place);
        if needed > left * self.spec.stop_below.ratio() + battery {
            self.ample_since = None;
            return;
        }
        if now.since(*self.ample_since.get_or_insert(now)) >= self.spec.stop_after {
            self.ample_since = None;
            self.units[usize::from(place)] = Unit { changed: Some(now), ..Unit::default() };
        }
    }

    /// Gives each its share: all that are on the bus the same, and those on their way to it the least.
    fn share(&self, load: Watts, view: &View<'_>, wishes: &mut Wishes) {
        let [group] = self.group;
        let minimum = self.spec.minimum_load.ratio();
        let on_bus = self.sum(view, |unit| unit.is_on && unit.has_run);
        let charge = if self.is_low { self.spec.charge_power } else { Watts::ZERO };
        let wanted = if on_bus > Watts::ZERO { (load + charge).watts() / on_bus.watts() } else { minimum };
        // More than this would leave none for what their droop adds while the frequency is low.
        let share = wanted.clamp(minimum, self.spec.start_above.ratio());
        for (place, unit) in (0..).zip(&self.units) {
            let part = match (unit.is_on, unit.has_run) {
                (true, true) => share,
                // 0 W would stop it.
                (true, false) => at_least(minimum, STARTING_SHARE),
                (false, _) => 0.0,
            };
            let power = view.member_rating(group, place) * part;
            wishes.limit_member(group, place, power, power, Ratio::ZERO);
        }
    }
}

/// What one is told at least that is to start, as a share of its rating.
const STARTING_SHARE: f64 = 0.01;
