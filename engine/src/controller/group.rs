//! A group at run time: what its members can do, what was decided for them, and how they share it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::interval::{Interval, IntervalStep, Origin};
use super::member::Member;
use super::orders::Order;
use super::reactive::Reactive;
use super::share::{MAX_MEMBERS, Unit, share, share_limit};
use crate::carry::Carry;
use crate::functions::Wish;
use crate::functions::wiring::GroupSpec;
use crate::ids::DeviceIndex;
use crate::machine::Effects;
use crate::points::{DeviceClass, DeviceSpec, History, Image, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Vars, Watts};

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
    /// The same without what is held, from where something is held on.
    free: Option<Interval>,
    /// What was wanted in the last scan instead of what was held, without offsets; `None` if nothing was.
    wanted: Option<Watts>,
    steps: Vec<IntervalStep>,
    /// What reserves delivered in the last scan.
    offset: Watts,
    /// The same by the time at which it was decided; empty while nobody reserves.
    offsets: History,
    /// None if its members take no reactive set-points.
    reactive: Option<Reactive>,
    /// What an operator told it.
    pub(super) by_hand: Option<Order>,
    /// Where an operator holds it.
    pub(super) held: Option<Watts>,
}

impl Group {
    /// Makes a group of `spec` out of `devices`.
    pub fn new(spec: &GroupSpec, devices: &[DeviceSpec], scan: Span) -> Self {
        let member = |device: &DeviceIndex| Member::new(*device, &devices[device.position()]);
        let members: Vec<Member> = spec.members.iter().map(member).collect();
        let rating = members.iter().fold(Watts::ZERO, |sum, member| sum + member.rating());
        let reach = devices.iter().map(|device| device.latency).max().unwrap_or(Span::ZERO);
        Self {
            class: spec.class,
            reactive: Reactive::of(&members),
            members,
            rating,
            applied: None,
            bound_by: None,
            interval: Interval::of_ability(Watts::ZERO, Watts::ZERO),
            free: None,
            wanted: None,
            steps: Vec::new(),
            offset: Watts::ZERO,
            offsets: History::new(scan, reach),
            by_hand: None,
            held: None,
        }
    }

    /// Forgets what was decided in an earlier life.
    pub(super) fn forget(&mut self) {
        self.applied = None;
        self.bound_by = None;
        self.wanted = None;
        self.steps.clear();
        self.offset = Watts::ZERO;
        self.offsets.clear();
        self.reactive.iter_mut().for_each(Reactive::forget);
        self.by_hand = None;
        self.held = None;
        for member in &mut self.members {
            member.forget();
        }
    }

    /// Passes what was decided, which the next decisions start from.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.option(&mut self.applied, Carry::watts);
        carry.option(&mut self.wanted, Carry::watts);
        // The newest of these is what was delivered in the last scan.
        self.offsets.carry_newest(carry);
        if carry.restores() {
            self.offset = self.offsets.newest_power().map_or(Watts::ZERO, Watts::of);
        }
        carry.option(&mut self.by_hand, |carry, order| order.carry(carry));
        carry.option(&mut self.held, Carry::watts);
        for member in &mut self.members {
            member.carry(carry);
        }
        if let Some(reactive) = &mut self.reactive {
            reactive.carry(carry);
        }
    }

    /// Opens the interval of reactive power, once the active power has been shared.
    pub(super) fn open_reactive(&mut self, image: &Image) {
        if let Some(reactive) = &mut self.reactive {
            reactive.open(self.class, &mut self.members, image);
        }
    }

    /// Narrows the interval of reactive power; returns the shortfall, which is all of a wish where there is none.
    pub(super) fn narrow_reactive(&mut self, origin: Origin, wish: Wish<Vars>) -> Vars {
        self.reactive.as_mut().map_or(Vars::ZERO, |reactive| reactive.narrow(origin, wish))
    }

    /// Decides the reactive power after the last function.
    pub(super) fn settle_reactive(&mut self) {
        if let Some(reactive) = &mut self.reactive {
            reactive.settle(&mut self.members);
        }
    }

    /// Its reactive power; none if its members take no reactive set-points.
    pub const fn reactive(&self) -> Option<&Reactive> {
        self.reactive.as_ref()
    }

    /// Opens the interval of this scan with what the members can do; `elapsed` since the last scan bounds device ramps.
    pub(super) fn open(&mut self, now: LocalTime, elapsed: Span, is_stopped: bool, image: &Image) {
        let ramped = self.applied.map(|_applied| elapsed);
        let judge =
            |sum, member: &mut Member| sum + member.judge(self.class, now, (ramped, is_stopped), image);
        let moved = self.members.iter_mut().fold(Watts::ZERO, judge);
        if moved != Watts::ZERO {
            // Laws that go on from what was decided before go on from what is left of it.
            for before in self.applied.iter_mut().chain(&mut self.wanted).chain(&mut self.held) {
                *before += moved;
            }
        }
        let (low, high) = self.left();
        self.interval = Interval::of_ability(low, high);
        self.free = None;
        self.steps.clear();
        let step = IntervalStep { origin: Origin::Ability, wish: None, low, high, shortfall: Watts::ZERO };
        self.steps.push(step);
    }

    /// Sees what the members say of themselves.
    pub(super) fn look(&mut self, image: &Image, out: &mut Effects) {
        self.members.iter_mut().for_each(|member| member.look(image, out));
    }

    /// Holds each member at its measured power, in the first scan of a life.
    pub(super) fn hold_present(&mut self, image: &Image) {
        for member in &mut self.members {
            let present = member.present(self.class, image);
            member.narrow(present, present);
        }
        let (present, _) = self.left();
        self.narrow(Origin::StartUp, Wish::Target(present));
    }

    /// Holds each member at 0, whatever functions wish. Breakers stay where they are: one that is open is asked for nothing more.
    pub(super) fn stop(&mut self, image: &Image) {
        for member in &mut self.members {
            let power = match self.class {
                DeviceClass::Breaker if image.good(member.device(), PointKind::Closed) == Some(0.0) => {
                    Watts::ZERO
                }
                DeviceClass::Load | DeviceClass::Breaker => member.present(self.class, image),
                DeviceClass::Battery
                | DeviceClass::Pv
                | DeviceClass::Genset
                | DeviceClass::Meter
                | DeviceClass::Signal => Watts::ZERO,
            };
            member.narrow(power, power);
        }
        let (power, _) = self.left();
        self.narrow(Origin::EmergencyStop, Wish::Target(power));
    }

    /// Narrows the interval by a wish and keeps the step; returns the shortfall.
    #[inline]
    pub(super) fn narrow(&mut self, origin: Origin, wish: Wish) -> Watts {
        let shortfall = match wish {
            Wish::Hold(_) => {
                self.free.get_or_insert(self.interval);
                self.interval.narrow(origin, wish)
            }
            Wish::Limit { .. } | Wish::Target(_) | Wish::Reserve { .. } | Wish::Missing(_) => {
                self.narrow_both(origin, wish)
            }
            Wish::MemberLimit { place, low, high, floor } => {
                self.narrow_member(origin, usize::from(place), low, high, floor)
            }
        };
        let (low, high) = (self.interval.low(), self.interval.high());
        self.steps.push(IntervalStep { origin, wish: Some(wish), low, high, shortfall });
        shortfall
    }

    /// Narrows one member, and the group to what its members are left with.
    fn narrow_member(
        &mut self,
        origin: Origin,
        place: usize,
        low: Watts,
        high: Watts,
        floor: Ratio,
    ) -> Watts {
        let Some(member) = self.members.get_mut(place).filter(|member| member.takes_part()) else {
            return Watts::ZERO;
        };
        member.keep_above(floor);
        let missing = member.narrow(low, high);
        let (low, high) = self.left();
        missing.at_least(self.narrow_both(origin, Wish::Limit { low, high }))
    }

    fn narrow_both(&mut self, origin: Origin, wish: Wish) -> Watts {
        if let Some(free) = &mut self.free {
            free.narrow(origin, wish);
        }
        self.interval.narrow(origin, wish)
    }

    /// What the laws leave of what the members that take part can do.
    fn left(&self) -> (Watts, Watts) {
        let sum = |(low, high), member: &Member| (low + member.left().low, high + member.left().high);
        self.taking_part().fold((Watts::ZERO, Watts::ZERO), sum)
    }

    fn taking_part(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.takes_part())
    }

    /// Decides after the last function, and shares the decision among the members.
    pub(super) fn settle(&mut self, now: LocalTime, image: &Image) {
        let ability = &self.steps[0];
        let rest = match self.class {
            DeviceClass::Battery | DeviceClass::Genset | DeviceClass::Meter | DeviceClass::Signal => {
                Watts::ZERO
            }
            // A generator that nobody limits makes what it can, a load takes what it wants.
            DeviceClass::Pv => ability.high,
            DeviceClass::Load => ability.low,
            DeviceClass::Breaker => self.present(image),
        };
        let (power, bound_by) = self.interval.settle(rest);
        assert!(
            power.watts() >= ability.low.watts() - GUARD_W && power.watts() <= ability.high.watts() + GUARD_W,
            "a decision stays inside what the devices can do"
        );
        // Sums round: what is inside the ends but for that is moved to them.
        let power = power.within(ability.low, ability.high);
        self.wanted = self.free.map(|free| free.settle(rest).0 - free.offset());
        self.applied = Some(power);
        self.bound_by = bound_by;
        self.offset = self.interval.offset();
        if self.offset != Watts::ZERO || self.offsets.newest().is_some() {
            self.offsets.push(now, self.offset.watts());
        }
        self.hand_out(power, image);
        if bound_by == Some(Origin::EmergencyStop) && !self.class.stays() {
            // Also who cannot be seen.
            let unseen = self.members.iter_mut().filter(|member| !member.is_seen() && !member.is_away());
            unseen.for_each(|member| member.set(Watts::ZERO));
        }
    }

    fn hand_out(&mut self, power: Watts, image: &Image) {
        if let [only] = self.members.as_mut_slice() {
            if only.takes_part() {
                only.set(power);
            } else if !self.class.is_left_unseen() && !only.is_away() {
                only.set(Watts::ZERO);
            }
            return;
        }
        let mut units = [Unit::NONE; MAX_MEMBERS];
        let units = &mut units[..self.members.len()];
        for (unit, member) in units.iter_mut().zip(&self.members).filter(|pair| pair.1.takes_part()) {
            *unit = Unit {
                left: member.left(),
                ability: member.ability(),
                above_floor: member.charge_above_floor(image),
                below_full: 1.0 - member.state_of_charge(image).map_or(0.5, Ratio::ratio),
                rating: member.rating(),
                measured: image.good(member.device(), PointKind::Power).map_or(Watts::ZERO, Watts::of),
                is_running: member.set_point() != Watts::ZERO,
                share: Watts::ZERO,
            };
        }
        match self.class {
            DeviceClass::Battery
            | DeviceClass::Genset
            | DeviceClass::Load
            | DeviceClass::Breaker
            | DeviceClass::Meter
            | DeviceClass::Signal => share(power, units),
            DeviceClass::Pv => share_limit(power, units),
        }
        for (member, unit) in self.members.iter_mut().zip(units) {
            if member.takes_part() || !self.class.is_left_unseen() && !member.is_away() {
                member.set(unit.share);
            }
        }
        let shares = self.taking_part().fold(0.0, |sum, member| sum + member.set_point().watts());
        assert!((shares - power.watts()).abs() <= GUARD_W, "what was decided is shared, no more and no less");
    }

    /// What an operator told it, if that still counts.
    pub const fn by_hand(&self) -> Option<Order> {
        self.by_hand
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

    /// What the laws below reserves decided in the last scan: the same without the offset.
    pub fn without_offset(&self) -> Option<Watts> {
        self.applied.map(|applied| applied - self.offset)
    }

    /// What the laws below the one that held the group would have decided in the last scan; without one the same as
    /// [`Group::without_offset`].
    pub fn wanted(&self) -> Option<Watts> {
        self.wanted.or(self.without_offset())
    }

    /// Who bound the last decision; `None` if the group rests.
    pub const fn bound_by(&self) -> Option<Origin> {
        self.bound_by
    }

    /// How the last decision came about, first step first.
    pub fn steps(&self) -> &[IntervalStep] {
        &self.steps
    }

    /// The mean state of charge of its members, weighted by rating; `None` if that of none may be used.
    pub fn state_of_charge(&self, image: &Image) -> Option<Ratio> {
        let (mut sum, mut ratings) = (0.0, 0.0);
        for member in &self.members {
            if let Some(soc) = member.state_of_charge(image) {
                sum += soc.ratio() * member.rating().watts();
                ratings += member.rating().watts();
            }
        }
        (ratings > 0.0).then(|| Ratio::of(sum / ratings))
    }

    /// The measured power at one instant of the members that can be seen and are not controlled at their panels, delivered
    /// offsets removed.
    pub fn power_at(&self, at: LocalTime, image: &Image) -> Watts {
        let power = |member: &Member| {
            image.good(member.device(), PointKind::Power)?;
            image.power(member.device()).power_at(at)
        };
        let sum = self.controlled().filter_map(power).fold(0.0, |sum, power| sum + power);
        Watts::of(sum) - self.offset_at(at)
    }

    /// What reserves delivered at one instant; zero while nobody reserves.
    pub fn offset_at(&self, at: LocalTime) -> Watts {
        self.offsets.power_at(at).map_or(Watts::ZERO, Watts::of)
    }

    /// The latest instant at which the power of every member that can be seen is known; `None` if none can.
    pub fn measured_until(&self, image: &Image) -> Option<LocalTime> {
        let newest = |member: &Member| {
            image.good(member.device(), PointKind::Power)?;
            image.power(member.device()).newest()
        };
        self.controlled().filter_map(newest).min()
    }

    /// The members that are not controlled at their panels.
    fn controlled(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| !member.standing().is_local())
    }

    /// Where a decision starts from: the measured power; for generators the limit that they hold, if that is wider.
    pub(super) fn present(&self, image: &Image) -> Watts {
        let present = |sum, member: &Member| sum + member.present(self.class, image);
        self.taking_part().fold(Watts::ZERO, present)
    }
}

/// Rounding that the guards forgive, W: shares of many members are sums.
const GUARD_W: f64 = 1e-3;
