//! Load shedding: on an island loads go, the first of the list first, where what holds it cannot bear them.
//!
//! **By lost power.** What the loads take must fit into what gensets on the bus are rated for and a battery above
//! `battery_above` may be discharged with, but for a `reserve`. A source that trips, and a grid that is lost, take their power
//! with them: the loads that are too much go in the same scan, since a deficit of a half lets the frequency fall by 18 Hz in a
//! second. What was taken just before counts then, because the measurements of that instant are no measure of what the loads
//! want. Frequency steps are relays, not this.
//!
//! **Back.** The load that went last comes back first, when what it took has had room for `restore_after`, and then the next
//! after as long again; a battery below `restore_above` makes no room for that, or it would be empty soon. A battery that forms
//! bears a step alone until gensets follow: nothing comes back that is more than it has free. On the grid there is
//! always room, but for what is above `import_max`: where that is exceeded for `overload_after`, loads go too. A load whose own
//! relay has opened it counts as shed, and comes back the same way. Where nothing holds the bus all are shed, so that whoever
//! starts finds little. A load that is controlled at its panel is passed over.
//!
//! **Heavy consumers** ([`super::heavy`]) may run while they ask and there is room for all that they are rated for, beside what
//! others keep for themselves, and when no load waits to come back. They are the first to go, the last of their list first.

mod load;

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::load::{Load, SETTLING};
use super::heavy::{Heavy, HeavySpec};
use super::seen::SeenBatteries;
use super::{Function, GridMode, Grounds, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::device::EngineState;
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Watts};

/// What a site file says about shedding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoadSheddingSpec {
    /// The loads that may go, the first one first.
    #[serde(default)]
    pub loads: Vec<String>,
    /// Loads that ask before they start, the first one first; they go before all others. None.
    #[serde(default)]
    pub heavy: Vec<HeavySpec>,
    /// The meter at the point of common coupling: what it imports is lost with the grid.
    pub meter: String,
    /// The gensets that hold an island: one, or `gensets`.
    #[serde(default)]
    pub gensets: Option<String>,
    /// The battery that forms it, or `batteries` where all of them do.
    #[serde(default)]
    pub battery: Option<String>,
    /// Below this state of charge the battery is not counted on; 20 %.
    #[serde(default = "battery_above")]
    pub battery_above: Ratio,
    /// Below this one it is not for loads that are to come back; 50 %.
    #[serde(default = "restore_above")]
    pub restore_above: Ratio,
    /// On the grid loads may take so much from it, as of shore power; no limit.
    #[serde(default)]
    pub import_max: Option<Watts>,
    /// Loads go where that is exceeded for so long; 10 s.
    #[serde(default = "overload_after")]
    pub overload_after: Span,
    /// What of all that must stay free, as a share; 5 %.
    #[serde(default = "reserve")]
    pub reserve: Ratio,
    /// How long there must be room for a load before it comes back; 1 min.
    #[serde(default = "restore_after")]
    pub restore_after: Span,
}

fn battery_above() -> Ratio {
    Ratio::of(0.2)
}

fn restore_above() -> Ratio {
    Ratio::of(0.5)
}

const fn overload_after() -> Span {
    Span::from_secs(10)
}

fn reserve() -> Ratio {
    Ratio::of(0.05)
}

const fn restore_after() -> Span {
    Span::from_mins(1)
}

/// Sheds loads that an island cannot bear.
///
/// # Units     `import_max`: W, a magnitude
/// # Shape     one limit for each load that is shed, or that does not ask: 0 W
/// # Errors    `Problem::OutOfRange` if no load is named, one is named twice, nothing holds the island, `reserve` is not from 0 %
/// to less than 100 %, or `import_max` is not above 0 W
/// # Source    power-management systems of ships and islands shed by lost power and by missing spinning reserve; with an
/// inertia of 0.7 s and a deficit of a half the frequency falls by 17.9 Hz/s, which no measurement follows
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadShedding {
    meter: DeviceIndex,
    /// Of `loads`, then of `heavy`.
    groups: Vec<GroupIndex>,
    /// In the order of their lists.
    loads: Vec<Load>,
    heavy: Vec<Load>,
    import_max: Option<Watts>,
    overload_after: Span,
    gensets: Option<GroupIndex>,
    forming: SeenBatteries,
    battery_above: Ratio,
    restore_above: Ratio,
    reserve: Ratio,
    restore_after: Span,
    /// What was seen of gensets and batteries, by place in their groups.
    running: Vec<Source>,
    batteries: Vec<Source>,
    charge: Option<Ratio>,
    /// What the loads took in the last scan, and what could be borne then.
    before: Option<Balance>,
    /// Since when there has been room for the one that comes back next.
    room_since: Option<LocalTime>,
    /// Since when more is imported than may be.
    over_since: Option<LocalTime>,
    /// When something was shed last.
    shed_at: Option<LocalTime>,
}

/// What the loads take, and what holds the bus can bear, W.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Balance {
    taken: Watts,
    borne: Watts,
    /// The same with what loads that come back may count on.
    lasting: Watts,
    is_island: bool,
    /// Whether nothing holds the bus, as a meter tells, or as what there is could.
    is_dead: bool,
    /// What batteries that form have free; none if there are none.
    at_once: Option<Watts>,
    /// Whether something that may hold the bus cannot be seen.
    is_in_doubt: bool,
}

/// Something that holds the bus, as it was seen last: that it cannot be seen is no reason to shed a load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Source {
    given: Watts,
    bears: Watts,
}

impl Balance {
    /// What there is room for where so much can be borne: no more than batteries that form have free.
    fn room(&self, borne: Watts) -> Watts {
        let room = borne - self.taken;
        if self.is_dead { Watts::ZERO } else { self.at_once.map_or(room, |at_once| room.at_most(at_once)) }
    }

    /// Adds what a source gives and bears, as far as that is seen; loads that come back count on what is seen and `lasts`.
    fn add(&mut self, source: &mut Source, given: Option<Watts>, bears: Option<Watts>, lasts: bool) {
        self.is_in_doubt |= bears.is_none();
        self.lasting += bears.filter(|_bears| lasts).unwrap_or(Watts::ZERO);
        *source = Source { given: given.unwrap_or(source.given), bears: bears.unwrap_or(source.bears) };
        self.taken += source.given;
        self.borne += source.bears;
    }
}

impl Function for LoadShedding {
    type Spec = LoadSheddingSpec;

    fn build(spec: &LoadSheddingSpec, wiring: &mut Wiring<'_>) -> Self {
        let has_loads = !spec.loads.is_empty() || !spec.heavy.is_empty();
        wiring.require("loads", has_loads, "none", "at least one load");
        let mut groups: Vec<GroupIndex> = spec.loads.iter().map(|name| wiring.load("loads", name)).collect();
        wiring.each_once("loads", spec.loads.iter().chain(spec.heavy.iter().map(|heavy| &heavy.load)));
        let loads = groups.iter().map(|group| Load::new(*group, None)).collect();
        let heavy: Vec<Heavy> = spec.heavy.iter().map(|heavy| Heavy::new(heavy, wiring)).collect();
        let heavy: Vec<Load> = heavy.into_iter().map(|heavy| Load::new(heavy.group(), Some(heavy))).collect();
        groups.extend(heavy.iter().map(Load::group));
        if let Some(most) = spec.import_max {
            wiring.require("import_max", most > Watts::ZERO, most, "above 0 W");
        }
        let holds = spec.gensets.is_some() || spec.battery.is_some();
        wiring.require("gensets", holds, "neither", "given, or else battery: what holds the island");
        wiring.state_of_charge("battery_above", spec.battery_above);
        let above = alloc::format!("from battery_above of {} to 100 %", spec.battery_above);
        let is_above = spec.restore_above >= spec.battery_above && spec.restore_above <= Ratio::ONE;
        wiring.require("restore_above", is_above, spec.restore_above, &above);
        let is_share = spec.reserve >= Ratio::ZERO && spec.reserve < Ratio::ONE;
        wiring.require("reserve", is_share, spec.reserve, "from 0 % to less than 100 %");
        Self {
            meter: wiring.meter("meter", &spec.meter),
            gensets: spec.gensets.as_ref().map(|name| wiring.genset("gensets", name)),
            forming: wiring.batteries_seen("battery", spec.battery.as_deref()),
            battery_above: spec.battery_above,
            restore_above: spec.restore_above,
            reserve: spec.reserve,
            restore_after: spec.restore_after,
            groups,
            loads,
            heavy,
            import_max: spec.import_max,
            overload_after: spec.overload_after,
            running: Vec::new(),
            batteries: Vec::new(),
            charge: None,
            before: None,
            room_since: None,
            over_since: None,
            shed_at: None,
        }
    }

    fn rank(&self) -> Rank {
        Rank::Island
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.groups
    }

    fn begin_anew(&mut self) {
        (self.before, self.room_since, self.over_since, self.charge) = (None, None, None, None);
        self.shed_at = None;
        self.loads.iter_mut().chain(&mut self.heavy).for_each(Load::forget);
        self.running.clear();
        self.batteries.clear();
    }

    fn forget(&mut self) {
        self.begin_anew();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        self.loads.iter_mut().chain(&mut self.heavy).for_each(|load| load.carry(carry));
        carry.timers(|carry| {
            carry.option(&mut self.before, |carry, before| {
                carry.watts(&mut before.taken);
                carry.watts(&mut before.borne);
                carry.watts(&mut before.lasting);
                carry.flag(&mut before.is_island);
            });
            carry.option(&mut self.room_since, Carry::instant);
            carry.option(&mut self.over_since, Carry::instant);
            carry.option(&mut self.shed_at, Carry::instant);
            for sources in [&mut self.running, &mut self.batteries] {
                carry.list(sources, |carry, source| {
                    carry.watts(&mut source.given);
                    carry.watts(&mut source.bears);
                });
            }
        });
    }

    fn grounds(&self, group: GroupIndex) -> Option<Grounds> {
        self.loads.iter().chain(&self.heavy).find(|load| load.group() == group)?.grounds
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let is_first = self.before.is_none();
        self.loads.iter_mut().chain(&mut self.heavy).for_each(|load| load.look(view, is_first));
        let now = self.balance(view);
        let kept = self.loads.iter().chain(&self.heavy).fold(Watts::ZERO, |sum, load| sum + load.kept(view));
        let (missing, room, lasting) = match view.mode() {
            GridMode::OnGrid => {
                let (missing, room) = self.import(view);
                (missing, room, room)
            }
            GridMode::Island | GridMode::Dead => {
                self.over_since = None;
                (self.shed_island(now, view), Some(now.room(now.borne)), Some(now.room(now.lasting)))
            }
        };
        let beside = |room: Watts| room - kept;
        // What comes back must last; what asks to run for a while needs no more than is there.
        let comes_back = self.restore(lasting.map(beside), view);
        for load in self.heavy.iter_mut().filter(|load| load.asks() == Some(false)) {
            load.switch(view.now(), true);
        }
        if !comes_back && self.shed_at.is_none_or(|shed| view.now().since(shed) >= SETTLING) {
            self.let_run(room.map(beside), now.taken + kept, view);
        }
        self.before = Some(now);
        let off = self.loads.iter().chain(&self.heavy).filter(|load| load.is_off);
        off.for_each(|load| wishes.limit(load.group(), Watts::ZERO, Watts::ZERO));
        if let Some(first) = self.groups.first().filter(|_first| missing > Watts::ZERO) {
            wishes.missing(*first, missing);
        }
    }
}

impl LoadShedding {
    /// What the loads take that are not on their way to be shed, and what can be borne.
    fn balance(&mut self, view: &View<'_>) -> Balance {
        let is_island = view.mode() != GridMode::OnGrid;
        let mut now = Balance { is_island, is_dead: view.mode() == GridMode::Dead, ..Balance::default() };
        let import = view.meter(self.meter).filter(|_import| !now.is_island);
        now.taken += import.unwrap_or(Watts::ZERO);
        if let Some(group) = self.gensets {
            self.running.resize(view.members(group).len(), Source::default());
            for (place, source) in (0..).zip(&mut self.running) {
                let bears = view.member_state(group, place).map(|state| match state {
                    EngineState::Running => view.member_rating(group, place),
                    EngineState::Off
                    | EngineState::Starting
                    | EngineState::WarmUp
                    | EngineState::Synchronizing
                    | EngineState::CoolDown
                    | EngineState::Fault => Watts::ZERO,
                });
                now.add(source, view.member_power(group, place), bears, true);
            }
        }
        self.charge = self.forming.state_of_charge(view).or(self.charge);
        // One whose charge was never known holds what it holds.
        let holds = self.charge.is_none_or(|charge| charge >= self.battery_above);
        let lasts = self.charge.is_some_and(|charge| charge >= self.restore_above);
        self.batteries.resize(self.forming.len(), Source::default());
        for (source, (given, limit)) in self.batteries.iter_mut().zip(self.forming.supplies(view)) {
            now.add(source, given, limit.map(|limit| if holds { limit } else { Watts::ZERO }), lasts);
            if let Some(limit) = limit.filter(|limit| *limit > Watts::ZERO) {
                let free = limit - source.given;
                now.at_once = Some(now.at_once.map_or(free, |others| others + free));
            }
        }
        let leaving = self.loads.iter().chain(&self.heavy).map(|load| load.leaving(view));
        now.taken = leaving.fold(now.taken, |taken, power| taken + power);
        let kept = 1.0 - self.reserve.ratio();
        let at_once = now.at_once.map(|free| free * kept);
        let is_dead = now.is_dead || now.is_island && now.borne <= Watts::ZERO && !now.is_in_doubt;
        Balance { borne: now.borne * kept, lasting: now.lasting * kept, at_once, is_dead, ..now }
    }

    /// Sheds what an island cannot bear; returns what is still too much, a magnitude.
    fn shed_island(&mut self, now: Balance, view: &View<'_>) -> Watts {
        let lost = self.before.filter(|before| now.borne < before.borne || !before.is_island);
        let taken = lost.map_or(now.taken, |before| now.taken.at_least(before.taken));
        if now.is_dead {
            // Nothing flows: what loads would take says more.
            let closed = self.loads.iter().chain(&self.heavy).filter(|load| !load.is_off);
            let needed = closed.fold(Watts::ZERO, |sum, load| sum + load.wants(view));
            return self.shed(Grounds { needed, available: Watts::ZERO }, true, view);
        }
        self.shed(Grounds { needed: taken, available: now.borne }, false, view)
    }

    /// Sheds what is imported too much for too long; returns what is still too much, and the room that there is.
    fn import(&mut self, view: &View<'_>) -> (Watts, Option<Watts>) {
        let Some(most) = self.import_max else { return (Watts::ZERO, None) };
        // While the import is not known nothing goes, and nothing comes.
        let Some(import) = view.meter(self.meter) else { return (Watts::ZERO, Some(Watts::ZERO)) };
        if import <= most {
            self.over_since = None;
            return (Watts::ZERO, Some(most - import));
        }
        if view.now().since(*self.over_since.get_or_insert(view.now())) < self.overload_after {
            return (Watts::ZERO, Some(Watts::ZERO));
        }
        self.over_since = None;
        (self.shed(Grounds { needed: import, available: most }, false, view), Some(Watts::ZERO))
    }

    /// Sheds what is needed beyond what is available, or all; heavy consumers go first. Returns what is still too much, a
    /// magnitude.
    fn shed(&mut self, grounds: Grounds, all: bool, view: &View<'_>) -> Watts {
        let mut excess = grounds.needed - grounds.available;
        let order = self.heavy.iter_mut().rev().chain(&mut self.loads);
        for load in order.filter(|load| !load.is_off && !load.is_local(view)) {
            if excess <= Watts::ZERO && !all {
                break;
            }
            excess -= load.shed(view, grounds);
            self.shed_at = Some(view.now());
        }
        excess.at_least(Watts::ZERO)
    }

    /// Lets one heavy consumer run that asks and for which there is room, when no other load waits; none: there always is.
    /// `in_use` is what is taken and kept.
    fn let_run(&mut self, room: Option<Watts>, in_use: Watts, view: &View<'_>) {
        let (now, wait) = (view.now(), self.restore_after);
        let is_whole = self.loads.iter().all(|load| !load.is_off || load.is_local(view));
        let waits =
            |load: &&mut Load| load.is_off && load.asks() == Some(true) && !load.is_left_open(now, wait);
        for load in self.heavy.iter_mut().filter(|load| !load.is_local(view)).filter(waits) {
            let wanted = load.wants(view);
            if is_whole && room.is_none_or(|room| room >= wanted) {
                // The next one is asked when this one is kept for.
                return load.switch(now, false);
            }
            let available = room.map_or(in_use, |room| in_use + room);
            load.grounds = Some(Grounds { needed: in_use + wanted, available });
        }
    }

    /// Lets the load come back that went last, when there was room for it long enough; none: there always is. Whether one does.
    fn restore(&mut self, room: Option<Watts>, view: &View<'_>) -> bool {
        let now = view.now();
        let next = self.loads.iter_mut().rfind(|load| load.is_off && !load.is_local(view));
        let fits = |load: &&mut Load| room.is_none_or(|room| room > Watts::ZERO && room >= load.wants(view));
        let Some(load) = next.filter(fits) else {
            self.room_since = None;
            return false;
        };
        let is_time = now.since(*self.room_since.get_or_insert(now)) >= self.restore_after;
        if is_time {
            load.switch(now, false);
            self.room_since = None;
        }
        is_time
    }
}
