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

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

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
    heavy: Vec<Consumer>,
    import_max: Option<Watts>,
    overload_after: Span,
    gensets: Option<GroupIndex>,
    forming: SeenBatteries,
    battery_above: Ratio,
    restore_above: Ratio,
    reserve: Ratio,
    restore_after: Span,
    /// In the order of the list.
    loads: Vec<Load>,
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
    /// Why a load was shed last.
    grounds: Option<Grounds>,
}

/// A heavy consumer and whether it may run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Consumer {
    heavy: Heavy,
    may_run: bool,
}

/// One load, as far as it was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Load {
    is_shed: bool,
    /// Whether it was seen closed since it was told so.
    was_closed: bool,
    /// What it takes when it is closed, a magnitude; none if that was never seen.
    usual: Option<Watts>,
}

/// What the loads take, and what holds the bus can bear, W.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Balance {
    taken: Watts,
    borne: Watts,
    /// The same with what loads that come back may count on.
    lasting: Watts,
    is_island: bool,
    /// Whether nothing holds the bus, as a meter tells.
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
    /// What there is room for: in the long run, and in the first instant.
    fn room(&self) -> Watts {
        let lasting = self.lasting - self.taken;
        self.at_once.map_or(lasting, |at_once| lasting.at_most(at_once))
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
        let names: Vec<&String> =
            spec.loads.iter().chain(spec.heavy.iter().map(|heavy| &heavy.load)).collect();
        let twice =
            (1..).zip(&names).find(|(next, name)| names.get(*next..).unwrap_or_default().contains(name));
        if let Some((_, name)) = twice {
            wiring.require("loads", false, alloc::format!("\"{name}\" twice"), "each load once");
        }
        let heavy: Vec<Consumer> = spec
            .heavy
            .iter()
            .map(|heavy| Consumer { heavy: Heavy::new(heavy, wiring), may_run: false })
            .collect();
        groups.extend(heavy.iter().map(|consumer| consumer.heavy.group()));
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
            loads: spec.loads.iter().map(|_name| Load::default()).collect(),
            groups,
            heavy,
            import_max: spec.import_max,
            overload_after: spec.overload_after,
            running: Vec::new(),
            batteries: Vec::new(),
            charge: None,
            before: None,
            room_since: None,
            over_since: None,
            grounds: None,
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
        // Where each stands is seen anew.
        self.loads.fill(Load::default());
        for consumer in &mut self.heavy {
            consumer.heavy.forget();
            consumer.may_run = false;
        }
        self.running.clear();
        self.batteries.clear();
        self.grounds = None;
    }

    fn forget(&mut self) {
        self.begin_anew();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        for consumer in &mut self.heavy {
            consumer.heavy.carry(carry);
            carry.flag(&mut consumer.may_run);
        }
        for load in &mut self.loads {
            carry.flag(&mut load.is_shed);
            carry.flag(&mut load.was_closed);
            carry.option(&mut load.usual, Carry::watts);
        }
        carry.timers(|carry| {
            carry.option(&mut self.before, |carry, before| {
                carry.watts(&mut before.taken);
                carry.watts(&mut before.borne);
                carry.watts(&mut before.lasting);
                carry.flag(&mut before.is_island);
            });
            carry.option(&mut self.room_since, Carry::instant);
            carry.option(&mut self.over_since, Carry::instant);
            carry.option(&mut self.grounds, |carry, grounds| {
                carry.watts(&mut grounds.needed);
                carry.watts(&mut grounds.available);
            });
            for sources in [&mut self.running, &mut self.batteries] {
                carry.list(sources, |carry, source| {
                    carry.watts(&mut source.given);
                    carry.watts(&mut source.bears);
                });
            }
        });
    }

    fn grounds(&self) -> Option<Grounds> {
        self.grounds
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        self.look(view);
        let now = self.balance(view);
        let (missing, room) = match view.mode() {
            GridMode::OnGrid => self.import(view),
            GridMode::Island | GridMode::Dead => {
                self.over_since = None;
                (self.shed_island(now, view), Some(now.room()))
            }
        };
        let room = room.map(|room| room - self.kept(view));
        self.restore(room, view);
        self.let_run(room, view);
        self.before = Some(now);
        let shed =
            self.groups.iter().zip(&self.loads).filter(|(_, load)| load.is_shed).map(|(group, _)| *group);
        let waits = self.heavy.iter().filter(|consumer| !consumer.may_run).map(|waits| waits.heavy.group());
        shed.chain(waits).for_each(|group| wishes.limit(group, Watts::ZERO, Watts::ZERO));
        if let Some(first) = self.groups.first() {
            wishes.missing(*first, missing);
        }
    }
}

impl LoadShedding {
    /// Sees where each load stands and what it takes.
    fn look(&mut self, view: &View<'_>) {
        for Consumer { heavy, may_run } in &mut self.heavy {
            heavy.listen(view);
            if self.before.is_none() {
                // One that runs goes on.
                *may_run = view.member_held(heavy.group(), 0).is_some_and(|held| held != Watts::ZERO);
            }
        }
        for (group, load) in self.groups.iter().zip(&mut self.loads) {
            let Some(held) = view.member_held(*group, 0) else { continue };
            if held == Watts::ZERO {
                // Nobody told it: its own relay did, or it was so when this life began.
                load.is_shed |= load.was_closed || self.before.is_none();
                load.was_closed = false;
            } else if !load.is_shed {
                load.was_closed = true;
                let taken = view.member_power(*group, 0).map(|power| -power);
                load.usual = taken.filter(|taken| *taken > Watts::ZERO).or(load.usual);
            }
        }
    }

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
        let is_above = |least: Ratio| self.charge.is_some_and(|charge| charge >= least);
        let (holds, lasts) = (is_above(self.battery_above), is_above(self.restore_above));
        self.batteries.resize(self.forming.len(), Source::default());
        for (source, (given, limit)) in self.batteries.iter_mut().zip(self.forming.supplies(view)) {
            now.add(source, given, limit.map(|limit| if holds { limit } else { Watts::ZERO }), lasts);
            if let Some(limit) = limit.filter(|limit| *limit > Watts::ZERO) {
                let free = limit - source.given;
                now.at_once = Some(now.at_once.map_or(free, |others| others + free));
            }
        }
        for (group, load) in self.groups.iter().zip(&self.loads) {
            if load.is_shed {
                // It still takes this, but not for long.
                now.taken += view.member_power(*group, 0).unwrap_or(Watts::ZERO);
            }
        }
        let kept = 1.0 - self.reserve.ratio();
        let at_once = now.at_once.map(|free| free * kept);
        Balance { borne: now.borne * kept, lasting: now.lasting * kept, at_once, ..now }
    }

    /// Sheds what an island cannot bear; returns what is still too much, a magnitude.
    fn shed_island(&mut self, now: Balance, view: &View<'_>) -> Watts {
        let is_dead = now.is_dead || now.borne <= Watts::ZERO && !now.is_in_doubt;
        let lost = self.before.filter(|before| now.borne < before.borne || !before.is_island);
        let taken = lost.map_or(now.taken, |before| now.taken.at_least(before.taken));
        let available = if is_dead { Watts::ZERO } else { now.borne };
        self.shed(Grounds { needed: taken, available }, is_dead, view)
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
        for consumer in self.heavy.iter_mut().rev().filter(|consumer| consumer.may_run) {
            if excess <= Watts::ZERO && !all {
                break;
            }
            consumer.may_run = false;
            excess -= consumer.heavy.taken(view);
            self.grounds = Some(grounds);
        }
        let loads = self.groups.iter().zip(&mut self.loads);
        for (_, load) in loads.filter(|(group, load)| !load.is_shed && !view.member_is_local(**group, 0)) {
            if excess <= Watts::ZERO && !all {
                break;
            }
            load.is_shed = true;
            excess -= load.usual.unwrap_or(Watts::ZERO);
            self.grounds = Some(grounds);
        }
        excess.at_least(Watts::ZERO)
    }

    /// What heavy consumers that may run do not take yet.
    fn kept(&self, view: &View<'_>) -> Watts {
        let running = self.heavy.iter().filter(|consumer| consumer.may_run);
        running.fold(Watts::ZERO, |sum, consumer| sum + consumer.heavy.pending(view))
    }

    /// Lets those heavy consumers run that ask and for which there is room, when no other load waits; none: there always is.
    fn let_run(&mut self, mut room: Option<Watts>, view: &View<'_>) {
        let is_whole = self.loads.iter().all(|load| !load.is_shed);
        for Consumer { heavy, may_run } in &mut self.heavy {
            // What it still takes when it has just been let go makes no room for it.
            let wanted = view.rating(heavy.group());
            match heavy.asks() {
                Some(false) => *may_run = false,
                Some(true) if !*may_run && is_whole && room.is_none_or(|room| room >= wanted) => {
                    *may_run = true;
                    room = room.map(|room| room - wanted);
                }
                Some(true) | None => {}
            }
        }
    }

    /// Lets the load come back that went last, when there was room for it long enough; none: there always is.
    fn restore(&mut self, room: Option<Watts>, view: &View<'_>) {
        let now = view.now();
        let next = self
            .groups
            .iter()
            .zip(&mut self.loads)
            .rfind(|(group, load)| load.is_shed && !view.member_is_local(**group, 0));
        let fits = |group: GroupIndex, load: &Load| {
            let wanted = load.usual.unwrap_or(view.rating(group));
            room.is_none_or(|room| room > Watts::ZERO && room >= wanted)
        };
        let Some((_, load)) = next.filter(|(group, load)| fits(**group, load)) else {
            self.room_since = None;
            return;
        };
        if now.since(*self.room_since.get_or_insert(now)) >= self.restore_after {
            (load.is_shed, load.was_closed) = (false, false);
            self.room_since = None;
        }
    }
}
