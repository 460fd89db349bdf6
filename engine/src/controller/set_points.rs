//! The role gate and the set-points on their way to the devices: what is written, when again, and what became of it.
//!
//! A set-point is written when it moves by more than its dead band, when half of the device's reversion time has passed since the
//! one that it holds was written, when the last write failed, when the device reads back something else, and when the connection
//! to it is a new one; never without authority, and never more often than the device's rate limit and its daily budget let it.
//! It carries its epoch and the instant after which it must not be performed. [`channel`] says why and when, one by one. A device
//! that is controlled at its panel, or in fault, is told nothing; when it comes back it is written at once.
//!
//! **Failures.** A device that refuses or is silent is written again after a pause that doubles with each failure and counts
//! from the write, so that a time-out is part of it; one that was silent, once it answers polls again. A failure that answers
//! for several decisions, as each has replaced the one before, is one. What a device acknowledged and reads back otherwise has
//! failed too. It is reported when writes begin to fail and when they succeed again. A write that came too late is repeated at
//! once.
//!
//! **Outstanding writes.** A write cannot be recalled, and until D after it nobody knows that it is not applied any more, unless
//! the device says how it ended. That outlives what else is forgotten when authority comes and goes: who hands over waits for
//! it. Answers name no write, so they count only once all writes to a device have been answered; a silent device answers none.

pub mod channel;
mod doubt;
mod read_back;
mod written;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::channel::Channel;
use self::channel::Need;
use self::written::SetPoint;
pub use self::written::{LastWrite, WriteState};
use super::budget::{Day, WriteBudget};
use super::group::Group;
use super::member::Member;
use crate::carry::Carry;
use crate::fieldbus::bus::{Bus, Care, Leaving};
use crate::fieldbus::map::DeviceMap;
use crate::ids::DeviceIndex;
use crate::machine::{Effect, Effects, SetPointWrite, WriteKind, WriteOutcome};
use crate::points::{DeviceSpec, Image, PointKind};
use crate::redundancy::{Authority, Settings};
use crate::time::{LocalTime, Span};
use crate::units::Watts;

/// The form in which what devices may be written today is kept.
const DAYS_VERSION: u16 = 1;
/// So many writes in a row that come too late, over so long, are a fault of the host or its disk.
const LATE_WRITES: u8 = 3;
const LATE_FOR: Span = Span::from_secs(1);

/// The set-points of all controlled devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetPoints {
    channels: Vec<Channel>,
    /// How many channels are silent.
    silent: u16,
}

/// Which set-points are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those that were decided.
    Decided,
    /// Those with which devices are left.
    AtStop {
        /// Whether a device that listens for heartbeats is to have heard a new one before.
        is_heard_first: bool,
    },
}

impl SetPoints {
    /// Makes a channel for each member of `groups`; those `on_bus` are behind the controller's bus, which tells what leaves.
    pub fn new(groups: &[Group], devices: &[DeviceSpec], on_bus: &[DeviceMap]) -> Self {
        let members = groups.iter().flat_map(|group| group.members());
        let channel = |member: &Member| {
            let device = member.device();
            let map = on_bus.iter().find(|map| map.device() == device);
            Channel::new(device, &devices[device.position()], map.map(DeviceMap::step))
                .rounding_reactive(map.map_or(0.0, DeviceMap::reactive_step))
        };
        Self { channels: members.map(channel).collect(), silent: 0 }
    }

    /// Forgets all of an earlier life, whose clock was another.
    pub(super) fn forget(&mut self) {
        self.silent = 0;
        self.channels.iter_mut().for_each(Channel::forget);
    }

    /// A device has said in what steps it takes set-points.
    pub(super) fn takes_steps(&mut self, device: DeviceIndex, steps: (f64, f64)) {
        let of_device = |channel: &&mut Channel| channel.device == device;
        if let Some(channel) = self.channels.iter_mut().find(of_device) {
            channel.takes_steps(steps);
        }
    }

    /// Forgets what was decided under an authority that is over. What was written cannot be recalled, nor does the device
    /// take writes more often for it.
    pub(super) fn forget_decisions(&mut self) {
        self.channels.iter_mut().for_each(Channel::forget_decisions);
    }

    /// Passes what devices may still be written today, for another life of this controller.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(DAYS_VERSION);
        let mut days: Vec<(i64, Day)> = Vec::new();
        for channel in &self.channels {
            let day = channel.budget.as_ref().map(WriteBudget::day);
            days.extend(day.map(|day| (i64::from(channel.device.0), day)));
        }
        carry.list(&mut days, |carry, (device, day)| {
            carry.number(device);
            day.carry(carry);
        });
        if carry.restores() {
            for channel in &mut self.channels {
                let is_its = |(device, _): &&(i64, Day)| *device == i64::from(channel.device.0);
                if let (Some(budget), Some((_, day))) = (&mut channel.budget, days.iter().find(is_its)) {
                    budget.go_on(*day);
                }
            }
        }
    }

    /// Writes what must be written now. Returns by how much that differs from what the devices hold, or `None` if nothing is
    /// written.
    pub(super) fn write(
        &mut self,
        now: LocalTime,
        authority: Authority,
        settings: &Settings,
        wanted: Wanted,
        (groups, image, bus): (&[Group], &Image, &Bus),
        out: &mut Effects,
    ) -> Option<Watts> {
        let mut difference = None;
        let members = groups.iter().flat_map(|group| group.members());
        for (channel, member) in self.channels.iter_mut().zip(members) {
            let decided = || SetPoint { power: member.set_point(), reactive: member.reactive() };
            if member.is_away() {
                channel.let_be();
                continue;
            }
            let Some(set_point) = (match wanted {
                Wanted::Decided => member.is_known().then(decided),
                Wanted::AtStop { .. } => channel.at_stop.map(SetPoint::active),
            }) else {
                continue;
            };
            channel.read_back(image, out);
            let need = match wanted {
                Wanted::Decided => channel.need(now, set_point),
                Wanted::AtStop { .. } => Need::Urgent,
            };
            let may_write = channel.may_try(now, authority.epoch, set_point)
                && now.since(authority.since) >= channel.first_wait(settings);
            let is_due = may_write
                && match wanted {
                    Wanted::Decided => channel.may_write(now, need, out) && channel.limiter.take(now),
                    // It is the last one: no other comes too soon after it.
                    Wanted::AtStop { is_heard_first } => {
                        let is_heard = || bus.is_heard(channel.device, authority.epoch.number());
                        !channel.was_told(set_point) && (!is_heard_first || is_heard())
                    }
                };
            if is_due {
                let SetPoint { power, reactive } = set_point;
                let held = image.good(channel.device, PointKind::SetPoint).map_or(power, Watts::of);
                difference = Some(difference.unwrap_or(Watts::ZERO) + (power - held).abs());
                let valid_until = authority.until.min(now + channel.reversion);
                let (epoch, state) = (authority.epoch, WriteState::Pending);
                let write = LastWrite { power, reactive, at: now, epoch, state };
                channel.note_write(write, need, channel.ends_at(now, valid_until, settings));
                out.push(Effect::Write(SetPointWrite {
                    device: channel.device,
                    kind: WriteKind::SetPoint,
                    value: power.watts() * channel.factor + 0.0,
                    reactive: reactive.vars() * channel.factor + 0.0,
                    epoch: authority.epoch.number(),
                    valid_until,
                }));
            }
        }
        difference
    }

    /// Lets what failed before be tried again at once.
    pub(super) fn try_at_once(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.retry_at = LocalTime::ZERO);
    }

    /// Whether any device is left with another set-point than its last one.
    pub(super) fn any_at_stop(&self) -> bool {
        self.channels.iter().any(|channel| channel.at_stop.is_some())
    }

    /// Whether all of these have acknowledged that, of those that can be told anything.
    pub(super) fn are_at_rest(&self, groups: &[Group]) -> bool {
        let is_at_rest = |(channel, member): (&Channel, &Member)| {
            let told = channel.at_stop.filter(|_power| !member.is_away());
            told.is_none_or(|power| {
                let acknowledged = |last: LastWrite| matches!(last.state, WriteState::Acknowledged { .. });
                channel.was_told(SetPoint::active(power)) && channel.last.is_some_and(acknowledged)
            })
        };
        let members = groups.iter().flat_map(|group| group.members());
        self.channels.iter().zip(members).all(is_at_rest)
    }

    /// How long the first write under a new authority waits; `None` if nothing is controlled.
    pub(super) fn shortest_wait(&self, settings: &Settings) -> Option<Span> {
        self.channels.iter().map(|channel| channel.first_wait(settings)).min()
    }

    /// How long every device holds its set-point though nothing is written, as each is repeated early enough; `None` if nothing
    /// is controlled.
    pub(super) fn held_for(&self) -> Option<Span> {
        self.channels.iter().map(Channel::held_for).min()
    }

    /// When no write can be applied any more; [`LocalTime::ZERO`] if it is known of all how they ended.
    pub(super) fn writes_end(&self) -> LocalTime {
        let ends = self.channels.iter().filter(|channel| channel.unanswered > 0 || channel.is_uncertain);
        ends.map(|channel| channel.ends_at).max().unwrap_or(LocalTime::ZERO)
    }

    /// Whether writes come too late to all devices that count, of those to which anything was written, and have for a while.
    pub(super) fn is_late(&self, now: LocalTime, counts: impl Fn(DeviceIndex) -> bool) -> bool {
        let mut written = self
            .channels
            .iter()
            .filter(|channel| channel.last.is_some() && counts(channel.device))
            .peekable();
        written.peek().is_some()
            && written.all(|channel| channel.late >= LATE_WRITES && now.since(channel.late_since) >= LATE_FOR)
    }

    /// Notes that a device did not answer a poll.
    pub(super) fn is_silent(&mut self, device: DeviceIndex) {
        let speaks = |channel: &&mut Channel| !channel.is_silent && channel.device == device;
        if let Some(channel) = self.channels.iter_mut().find(speaks) {
            channel.is_silent = true;
            self.silent += 1;
        }
    }

    /// Notes that a device answers: if it was silent, what it did not hear meanwhile is worth another try at once.
    #[inline]
    pub(super) fn answers(&mut self, now: LocalTime, device: DeviceIndex) {
        if self.silent == 0 {
            return;
        }
        let silent = |channel: &&mut Channel| channel.is_silent && channel.device == device;
        if let Some(channel) = self.channels.iter_mut().find(silent) {
            channel.is_silent = false;
            channel.hurry(now);
            self.silent -= 1;
        }
    }

    /// Notes that a device may have lost its set-point: it is written again at once, or after a pause where that happens often.
    pub(super) fn doubt(&mut self, now: LocalTime, device: DeviceIndex) {
        let holds = |channel: &&mut Channel| channel.device == device && channel.last.is_some();
        if let Some(channel) = self.channels.iter_mut().find(holds) {
            channel.begin_doubt(now);
        }
    }

    /// Notes that a request of a set-point leaves, or waits in its connection, and may do so until `valid_until`.
    pub(super) fn leaves(
        &mut self,
        device: DeviceIndex,
        valid_until: LocalTime,
        how: Leaving,
        settings: &Settings,
    ) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.device == device) {
            channel.leaves(valid_until, how, settings);
        }
    }

    /// Notes that a request that was to leave has not.
    pub(super) fn not_sent(&mut self, device: DeviceIndex, how: Leaving) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.device == device) {
            channel.not_sent(how);
        }
    }

    /// Notes what became of a write.
    pub(super) fn written(
        &mut self,
        now: LocalTime,
        device: DeviceIndex,
        outcome: WriteOutcome,
        out: &mut Effects,
    ) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.device == device) {
            channel.written(now, outcome, out);
        }
    }

    /// How a device's set-point is cared for.
    pub(super) fn care(&self, device: DeviceIndex, wanted: Wanted, groups: &[Group]) -> Care {
        let members = groups.iter().flat_map(|group| group.members());
        let is_left = |channel: &Channel| channel.at_stop.is_some() && wanted != Wanted::Decided;
        let is_cared = |(channel, member): &(&Channel, &Member)| {
            !member.is_away() && (member.is_known() || is_left(channel))
        };
        let mut cared = self.channels.iter().zip(members).filter(is_cared);
        let Some((channel, _)) = cared.find(|(channel, _)| channel.device == device) else {
            return Care::None;
        };
        match channel.last {
            // A device that is to be left with something must hear that it is cared for, whatever failed before.
            Some(last) if channel.fails() && !is_left(channel) => Care::Fails { tried: last.at },
            Some(_) | None => Care::Written,
        }
    }

    /// The channels in the order of groups and members.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }
}

#[cfg(test)]
mod tests;
