//! Composition: asks the functions in priority order and makes one set-point of their wishes for each group.
//!
//! ```text
//!     ability of the devices -> function 1 -> function 2 -> … -> settle -> share among members
//!          interval             narrower      narrower           power     set-points
//! ```
//!
//! **Measurements.** A function is asked again only when the slowest of its measurements is new; until then its last wishes
//! stand. A function whose meter is lost is not asked: its batteries hold for [`HOLD`], ramp to rest in [`RAMP_TO_REST`],
//! and its generators hold and then take their fail-safe limit, unless it says otherwise ([`OnLoss`]). It returns when the
//! meter has been good for [`GOOD_BEFORE_RETURN`], from the measured power. A signal of the grid operator is no measurement to
//! align with: its function is told whether it counts ([`Function::hear`]), and decides on. What becomes of a lost device of a
//! group is the group's business, see [`super::member`]; that a stall of the controller itself loses none,
//! [`crate::points::image`].

mod fallback;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::fallback::hold_each;
use super::group::Group;
use super::hearing::Hearing;
use super::interval::Origin;
use super::member::{GOOD_BEFORE_RETURN, Member};
use super::mode::{Following, GridMode, When};
use super::operation::{Ordered, decides};
use super::spec::Placed;
use super::tally::Tally;
use super::view::View;
use crate::carry::Carry;
use crate::digest::Hasher;
use crate::event::Event;
use crate::functions::{Function, OnLoss, Rank, Wish, Wishes};
use crate::ids::{DeviceIndex, GroupIndex, SlotIndex};
use crate::machine::Effects;
use crate::points::{Connections, Image, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Vars, Watts};
use crate::wall::{TimeZone, WallTime};

/// A battery holds its power for this long after its function lost its meter.
pub const HOLD: Span = Span::from_secs(5);
/// Then it ramps to rest in this time.
pub const RAMP_TO_REST: Span = Span::from_secs(10);
/// A shortfall is reported from this part of the group's rating, and as ended below half of it.
pub const SHORTFALL_REPORTED: f64 = 0.01;

/// The stack of one controller and the groups that it acts on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Composition<F: Function> {
    slots: Vec<Slot<F>>,
    groups: Vec<Group>,
    composed_at: Option<LocalTime>,
    /// How often an emergency stop began or ended: it is latched while that is odd.
    stops: u32,
    following: Following,
    pub(super) ordered: Ordered,
}

/// One function in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Slot<F: Function> {
    law: F,
    when: When,
    phase: Phase,
    wishes: Wishes,
    /// The aligned instant of the measurements behind `wishes`.
    decided_on: Option<LocalTime>,
    /// What each of its groups did when the meter was lost, in the order of `Function::groups`.
    held: Vec<Watts>,
    hearing: Hearing,
    tally: Tally,
}

/// Whether a function decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It takes over with the next scan, from the measured power.
    Enabling,
    /// It decides.
    Deciding,
    /// The meter is lost.
    Lost {
        /// Since when.
        since: LocalTime,
        /// Since when it has been good again.
        good_since: Option<LocalTime>,
    },
}

/// What a scan knows before any function is asked.
pub(super) struct Scan<'a> {
    pub(super) now: LocalTime,
    pub(super) wall: Option<WallTime>,
    pub(super) zone: TimeZone,
    pub(super) image: &'a Image,
    /// Time since the last scan in which was decided; zero in the first.
    pub(super) elapsed: Span,
}

impl<F: Function> Composition<F> {
    /// Makes a composition of functions in priority order.
    pub fn new(
        laws: Vec<Placed<F>>,
        groups: Vec<Group>,
        (breaker, voltmeters): (Option<DeviceIndex>, Vec<DeviceIndex>),
    ) -> Self {
        let slots = laws.into_iter().map(Slot::new).collect();
        let (following, ordered) = (Following::new(breaker, voltmeters), Ordered::default());
        Self { slots, groups, composed_at: None, stops: 0, following, ordered }
    }

    /// What holds the bus; none while that was never known.
    pub const fn mode(&self) -> Option<GridMode> {
        self.following.mode()
    }

    /// The breaker that tells it, if there is one.
    pub(super) const fn breaker(&self) -> Option<DeviceIndex> {
        self.following.breaker()
    }

    /// Sees what the devices say of themselves in this scan.
    pub(super) fn look_at_devices(&mut self, image: &Image, out: &mut Effects) {
        self.groups.iter_mut().for_each(|group| group.look(image, out));
    }

    /// Sees what holds the bus in this scan.
    pub(super) fn look(&mut self, now: LocalTime, image: &Image, out: &mut Effects) {
        self.following.look(now, image, out);
    }

    /// Forgets decisions of an earlier life; every function takes over from the measured power.
    pub(super) fn forget(&mut self) {
        self.forget_decisions();
        self.following.forget();
        self.ordered.forget();
        for slot in &mut self.slots {
            slot.law.forget();
        }
    }

    /// The same, but what the functions remember stays.
    pub(super) fn forget_decisions(&mut self) {
        self.composed_at = None;
        for group in &mut self.groups {
            group.forget();
        }
        for slot in &mut self.slots {
            slot.phase = Phase::Enabling;
            slot.decided_on = None;
            slot.wishes.clear();
            slot.hearing = Hearing::default();
        }
    }

    /// Passes what another host needs to go on from these decisions. What a host makes of its own measurements, such as whether
    /// a meter is lost, is its own.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        let mut stops = i64::from(self.stops);
        carry.number(&mut stops);
        if carry.restores() {
            // Who missed the last stop or reset must not undo it for one that did not.
            self.stops = self.stops.max(u32::try_from(stops).unwrap_or(self.stops));
        }
        self.following.carry(carry);
        self.ordered.carry(carry);
        for slot in &mut self.slots {
            slot.law.carry(carry);
        }
        for group in &mut self.groups {
            group.carry(carry);
        }
    }

    /// Identifies what is carried: the functions' places and groups, the groups' devices, and those of one connection.
    pub(super) fn layout(&self, image: &Image) -> u64 {
        let mut hasher = Hasher::new();
        let mut put = |word: u64| hasher.update(&word.to_le_bytes());
        for slot in &self.slots {
            put(slot.law.rank() as u64);
            put(slot.law.groups().len() as u64);
            slot.law.groups().iter().for_each(|group| put(u64::from(group.0)));
        }
        for group in &self.groups {
            put(group.class() as u64);
            for member in group.members() {
                put(u64::from(member.device().0));
                put(member.rating().watts().to_bits());
                if let Some(apparent) = member.apparent() {
                    put(apparent.volt_amperes().to_bits());
                }
            }
        }
        image.devices_with(Connections::ActiveOnly).for_each(|device| put(u64::from(device.0)));
        hasher.finish().word()
    }

    /// Time since the last decisions; zero before the first.
    pub(super) fn elapsed(&self, now: LocalTime) -> Span {
        self.composed_at.map_or(Span::ZERO, |last| now.since(last))
    }

    /// Makes the set-points of one scan.
    pub(super) fn compose(&mut self, scan: &Scan<'_>, out: &mut Effects) {
        let elapsed = scan.elapsed;
        let (is_first, is_stopped) = (self.composed_at.is_none(), self.is_stopped());
        let mode = self.following.mode();
        self.composed_at = Some(scan.now);
        for group in &mut self.groups {
            group.open(scan.now, elapsed, is_stopped, scan.image);
            if is_stopped {
                group.stop(scan.image);
            } else if is_first || mode.is_none() {
                group.hold_present(scan.image);
            }
        }
        let (operation, operated) = (self.ordered.operation(), self.behind_orders());
        for position in 0..self.slots.len() {
            if position == operated {
                self.operate();
            }
            let (index, slot) = (SlotIndex::of(position), &mut self.slots[position]);
            // What is switched off by a stop has not failed: whoever switches it begins anew after that.
            let switches = |group: &GroupIndex| self.groups[group.position()].class().is_switched();
            let has_say = mode.filter(|_mode| {
                decides(&slot.law, operation) && (!is_stopped || !slot.law.groups().iter().any(switches))
            });
            slot.decide(index, (scan, has_say), &self.groups, out);
            slot.apply(index, elapsed, &mut self.groups, out);
        }
        if operated == self.slots.len() {
            self.operate();
        }
        for group in &mut self.groups {
            group.settle(scan.now, scan.image);
            if let Some(Origin::Function(slot)) = group.bound_by() {
                let power = group.applied().unwrap_or(Watts::ZERO);
                self.slots[slot.position()].tally.count_bound(elapsed, power);
            }
            group.open_reactive(scan.image);
            if is_stopped {
                group.narrow_reactive(Origin::EmergencyStop, Wish::Target(Vars::ZERO));
            }
        }
        for (position, slot) in self.slots.iter_mut().enumerate() {
            for (wished, wish) in slot.wishes.reactive() {
                let group = &mut self.groups[wished.position()];
                group.narrow_reactive(Origin::Function(SlotIndex::of(position)), *wish);
            }
        }
        self.groups.iter_mut().for_each(Group::settle_reactive);
    }

    /// The scan in which the last decisions were made; `None` before the first.
    pub const fn composed_at(&self) -> Option<LocalTime> {
        self.composed_at
    }

    /// The functions in priority order.
    pub fn slots(&self) -> &[Slot<F>] {
        &self.slots
    }

    /// Whether an emergency stop holds all set-points at 0.
    pub const fn is_stopped(&self) -> bool {
        self.stops % 2 == 1
    }

    /// Stops in an emergency, or resets that; whether it was not so before.
    pub(super) const fn stop(&mut self, is_stopped: bool) -> bool {
        let turns = self.is_stopped() != is_stopped;
        if turns {
            self.stops = self.stops.wrapping_add(1);
        }
        turns
    }

    pub(super) fn groups_mut(&mut self) -> &mut [Group] {
        &mut self.groups
    }

    pub(super) fn group_mut(&mut self, group: GroupIndex) -> &mut Group {
        &mut self.groups[group.position()]
    }

    /// The groups with their last decisions.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }
}

impl<F: Function> Slot<F> {
    fn new(Placed { law, when }: Placed<F>) -> Self {
        let groups = law.groups().len();
        Self {
            law,
            when,
            phase: Phase::Enabling,
            wishes: Wishes::default(),
            decided_on: None,
            held: Vec::new(),
            hearing: Hearing::default(),
            tally: Tally::new(groups),
        }
    }

    /// When it may have a say.
    pub const fn when(&self) -> When {
        self.when
    }

    /// The function.
    pub const fn law(&self) -> &F {
        &self.law
    }

    /// Whether it decides.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// What it wished last.
    pub const fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// How long and how far it bound set-points and fell short.
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Brings the wishes up to date.
    fn decide(
        &mut self,
        index: SlotIndex,
        (scan, mode): (&Scan<'_>, Option<GridMode>),
        groups: &[Group],
        out: &mut Effects,
    ) {
        let misses = self.misses();
        let Some(mode) = mode.filter(|mode| self.when.includes(*mode)) else {
            self.rest();
            if misses {
                out.report(Event::FunctionReturned { slot: index });
            }
            return;
        };
        self.listen(scan);
        let aligned = self.aligned(scan, groups);
        self.follow_measurements(aligned.is_some(), scan, groups);
        match (misses, self.misses()) {
            (false, true) => out.report(Event::FunctionLost { slot: index }),
            (true, false) => out.report(Event::FunctionReturned { slot: index }),
            (false, false) | (true, true) => {}
        }
        match (self.phase, aligned) {
            (Phase::Enabling, Some(_)) => {
                self.wishes.clear_active();
                for index in self.law.groups() {
                    let group = &groups[index.position()];
                    if group.class().is_switched() {
                        let present = |member: &Member| member.present(group.class(), scan.image);
                        hold_each(*index, group, present, &mut self.wishes);
                    } else {
                        self.wishes.target(*index, group.present(scan.image));
                    }
                }
                self.decided_on = None;
                self.phase = Phase::Deciding;
            }
            (Phase::Deciding, Some(aligned)) => {
                let is_new = self.law.meter().is_none() || self.decided_on.is_none_or(|last| aligned > last);
                if is_new {
                    self.decided_on = Some(aligned);
                    self.wishes.clear();
                    let view = View { scan, mode, groups, aligned };
                    self.law.evaluate(&view, &mut self.wishes);
                }
            }
            (Phase::Lost { since, .. }, _) => self.fall_back(scan.now.since(since), groups),
            (Phase::Enabling | Phase::Deciding, None) => self.wishes.clear(),
        }
    }

    /// Has no say for now; it takes over anew from the measured power.
    fn rest(&mut self) {
        if self.decided_on.is_some() || !matches!(self.phase, Phase::Enabling) {
            self.law.begin_anew();
        }
        (self.phase, self.decided_on) = (Phase::Enabling, None);
        self.wishes.clear();
        self.hearing = Hearing::default();
    }

    /// Whether it misses something that it needs.
    fn misses(&self) -> bool {
        self.hearing.is_deaf() || matches!(self.phase, Phase::Lost { .. })
    }

    /// Tells the function what its signal says, if it follows one.
    fn listen(&mut self, scan: &Scan<'_>) {
        let Some(device) = self.law.signal() else { return };
        let share = scan.image.good(device, PointKind::Signal).map(Ratio::of);
        self.law.hear(self.hearing.judge(scan.now, share));
    }

    /// The latest instant at which all its measurements are known; `None` if its meter is lost.
    fn aligned(&self, scan: &Scan<'_>, groups: &[Group]) -> Option<LocalTime> {
        let Some(meter) = self.law.meter() else { return Some(scan.now) };
        let mut aligned = measured_until(meter, self.law.measured(), scan.image)?;
        for group in self.law.groups() {
            if let Some(until) = groups[group.position()].measured_until(scan.image) {
                aligned = aligned.min(until);
            }
        }
        Some(aligned)
    }

    /// Notes that the meter was lost, or has been good for long enough.
    fn follow_measurements(&mut self, is_good: bool, scan: &Scan<'_>, groups: &[Group]) {
        match (self.phase, is_good) {
            (Phase::Enabling | Phase::Deciding, true) => {}
            (Phase::Enabling | Phase::Deciding, false) => {
                self.phase = Phase::Lost { since: scan.now, good_since: None };
                self.held.clear();
                match self.law.on_loss() {
                    OnLoss::Rest => {
                        let held = |group: &GroupIndex| groups[group.position()].without_offset();
                        let all = self.law.groups().iter().map(|group| held(group).unwrap_or(Watts::ZERO));
                        self.held.extend(all);
                    }
                    OnLoss::Fade => {
                        let wanted = |group: GroupIndex| groups[group.position()].wanted();
                        self.wishes.let_go(|group| wanted(group).unwrap_or(Watts::ZERO));
                        self.held.extend(self.wishes.offsets());
                    }
                    OnLoss::Stay => {}
                }
            }
            (Phase::Lost { since, .. }, false) => self.phase = Phase::Lost { since, good_since: None },
            (Phase::Lost { since, good_since }, true) => {
                let good_since = good_since.unwrap_or(scan.now);
                self.phase = Phase::Lost { since, good_since: Some(good_since) };
                if scan.now.since(good_since) >= GOOD_BEFORE_RETURN {
                    self.phase = Phase::Enabling;
                    self.law.begin_anew();
                }
            }
        }
    }

    /// Narrows the groups by the wishes, and counts and reports what cannot be met.
    fn apply(&mut self, index: SlotIndex, elapsed: Span, groups: &mut [Group], out: &mut Effects) {
        for (place, group_index) in self.law.groups().iter().enumerate() {
            let group = &mut groups[group_index.position()];
            let mut shortfall = Watts::ZERO;
            for (wished, wish) in self.wishes.as_slice() {
                if wished == group_index {
                    shortfall = shortfall.at_least(group.narrow(Origin::Function(index), *wish));
                }
            }
            let border = group.rating() * SHORTFALL_REPORTED;
            let change = self.tally.count_shortfall(place, elapsed, shortfall, border);
            // Wanting more than there is belongs to the life of a schedule or of self-consumption; it is no alarm.
            if let Some(change) = change
                && self.law.rank() < Rank::Schedule
            {
                out.report(change.event(index, *group_index));
            }
        }
    }
}

/// The latest instant at which a point of a meter is known; `None` if it is not good.
fn measured_until(meter: DeviceIndex, kind: PointKind, image: &Image) -> Option<LocalTime> {
    image.good(meter, kind)?;
    image.point(meter, kind).map(|point| point.measured)
}
