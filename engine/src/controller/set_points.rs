//! The role gate and the set-points on their way to the devices: what is written, when again, and what became of it.
//!
//! A set-point is written when it moves by more than its dead band, when half of the device's reversion time has passed, when the
//! last write failed, and when the device reads back something else; never without authority, and never more often than
//! the device's rate limit. It carries its epoch and the instant after which it must not be performed.
//!
//! **Failures.** A device that refuses or is silent is written again after a pause that doubles with each failure and counts from
//! the write, so that a time-out is part of it, or once the device answers polls again. It is reported when writes begin to fail
//! and when they succeed again. A write that came too late is repeated at once.
//!
//! **Outstanding writes.** A write cannot be recalled, and until D after it nobody knows that it is not applied any more, unless
//! the device says how it ended. That outlives what else is forgotten when authority comes and goes: who hands over waits for
//! it. Answers name no write, so they count only once all writes to a device have been answered; a silent device answers none.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::group::Group;
use super::member::Member;
use crate::event::Event;
use crate::ids::DeviceIndex;
use crate::machine::{Effect, Effects, SetPointWrite, WriteOutcome};
use crate::mistakes::{Mistake, makes};
use crate::points::{DeviceSpec, Image, PointKind};
use crate::redundancy::{Authority, Epoch, Settings};
use crate::time::{LocalTime, Span};
use crate::timing::RateLimiter;
use crate::units::Watts;

/// The pause after the first write that failed; it doubles with each further one.
pub const RETRY_FIRST: Span = Span::from_secs(1);
/// So many writes in a row that come too late, over so long, are a fault of the host or its disk.
const LATE_WRITES: u8 = 3;
const LATE_FOR: Span = Span::from_secs(1);
/// The longest pause between writes that fail.
pub const RETRY_LONGEST: Span = Span::from_secs(16);

/// The set-points of all controlled devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetPoints {
    channels: Vec<Channel>,
    /// How many channels are silent.
    silent: u16,
}

/// One device's set-point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    device: DeviceIndex,
    factor: f64,
    dead_band: Watts,
    reversion: Span,
    /// How long a write of another may still be on its way to the device; zero where it checks epochs.
    longest_write: Span,
    /// What it is told when its controller ends and nobody goes on; `None`: nothing.
    at_stop: Option<Watts>,
    limiter: RateLimiter,
    /// The pause before the next try while writes fail; zero while they do not.
    pause: Span,
    retry_at: LocalTime,
    /// The device refused the last write because it has accepted this epoch: a higher one is worth another try at once.
    outdated_by: Option<Epoch>,
    /// Writes in a row that were too old when they could be performed, and when the first of them was written.
    late: u8,
    late_since: LocalTime,
    /// Whether the last poll of the device was not answered.
    is_silent: bool,
    /// The last write under the present authority.
    last: Option<LastWrite>,
    /// The last write under an authority that is over, until something is written again. It decides nothing: it is for those who
    /// ask what may still be on its way.
    past: Option<LastWrite>,
    /// So many writes have not been answered yet.
    unanswered: u16,
    /// Whether the answer to a write that may still be on its way did not come in time.
    is_uncertain: bool,
    /// When nothing that was written can be applied any more.
    ends_at: LocalTime,
}

/// Which set-points are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Those that were decided.
    Decided,
    /// Those with which devices are left.
    AtStop,
}

/// A write and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastWrite {
    /// What was written, in our sign.
    pub power: Watts,
    /// When.
    pub at: LocalTime,
    /// Under which epoch.
    pub epoch: Epoch,
    /// What became of it.
    pub state: WriteState,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteState {
    /// No answer yet.
    Pending,
    /// Acknowledged.
    Acknowledged {
        /// When.
        at: LocalTime,
    },
    /// It did not end well and must be repeated.
    Failed,
}

impl SetPoints {
    /// Makes a channel for each member of `groups`.
    pub fn new(groups: &[Group], devices: &[DeviceSpec]) -> Self {
        let members = groups.iter().flat_map(|group| group.members());
        let channel = |member: &Member| Channel::new(member.device(), &devices[member.device().position()]);
        Self { channels: members.map(channel).collect(), silent: 0 }
    }

    /// Forgets all of an earlier life, whose clock was another.
    pub(super) fn forget(&mut self) {
        self.forget_decisions();
        self.silent = 0;
        for channel in &mut self.channels {
            channel.limiter.forget();
            channel.is_silent = false;
            channel.past = None;
            (channel.unanswered, channel.is_uncertain) = (0, false);
            channel.ends_at = LocalTime::ZERO;
        }
    }

    /// Forgets what was decided under an authority that is over. What was written cannot be recalled, nor does the device
    /// take writes more often for it.
    pub(super) fn forget_decisions(&mut self) {
        for channel in &mut self.channels {
            channel.past = channel.last.take().or(channel.past);
            channel.late = 0;
            channel.pause = Span::ZERO;
            channel.retry_at = LocalTime::ZERO;
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
        (groups, image): (&[Group], &Image),
        out: &mut Effects,
    ) -> Option<Watts> {
        let mut difference = None;
        let members = groups.iter().flat_map(|group| group.members());
        for (channel, member) in self.channels.iter_mut().zip(members) {
            let decided = member.is_known().then(|| member.set_point());
            let Some(power) = (match wanted {
                Wanted::Decided => decided,
                Wanted::AtStop => channel.at_stop,
            }) else {
                continue;
            };
            let may_write = channel.may_try(now, authority.epoch)
                && now.since(authority.since) >= channel.first_wait(settings);
            let is_due = may_write
                && match wanted {
                    Wanted::Decided => channel.must_write(now, power, image) && channel.limiter.take(now),
                    // It is the last one: no other comes too soon after it.
                    Wanted::AtStop => !channel.was_told(power),
                };
            if is_due {
                let held = image.good(channel.device, PointKind::SetPoint).map_or(power, Watts::of);
                difference = Some(difference.unwrap_or(Watts::ZERO) + (power - held).abs());
                let valid_until = authority.until.min(now + channel.reversion);
                let write = LastWrite { power, at: now, epoch: authority.epoch, state: WriteState::Pending };
                channel.note_write(write, channel.ends_at(now, valid_until, settings));
                out.push(Effect::Write(SetPointWrite {
                    device: channel.device,
                    value: power.watts() * channel.factor + 0.0,
                    epoch: authority.epoch.number(),
                    valid_until,
                }));
            }
        }
        difference
    }

    /// Whether any device is left with another set-point than its last one.
    pub(super) fn any_at_stop(&self) -> bool {
        self.channels.iter().any(|channel| channel.at_stop.is_some())
    }

    /// Whether all of these have acknowledged that.
    pub(super) fn are_at_rest(&self) -> bool {
        let is_at_rest = |channel: &Channel| {
            channel.at_stop.is_none_or(|power| {
                let acknowledged = |last: LastWrite| matches!(last.state, WriteState::Acknowledged { .. });
                channel.was_told(power) && channel.last.is_some_and(acknowledged)
            })
        };
        self.channels.iter().all(is_at_rest)
    }

    /// How long the first write under a new authority waits; `None` if nothing is controlled.
    pub(super) fn shortest_wait(&self, settings: &Settings) -> Option<Span> {
        self.channels.iter().map(|channel| channel.first_wait(settings)).min()
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

    /// Notes that a device answers: if it was silent, what failed meanwhile is worth another try at once.
    #[inline]
    pub(super) fn answers(&mut self, now: LocalTime, device: DeviceIndex) {
        if self.silent == 0 {
            return;
        }
        let silent = |channel: &&mut Channel| channel.is_silent && channel.device == device;
        if let Some(channel) = self.channels.iter_mut().find(silent) {
            channel.is_silent = false;
            channel.retry_at = channel.retry_at.min(now);
            self.silent -= 1;
        }
    }

    /// Notes that a write leaves later than when it was decided, or once more, and may do so until `valid_until`.
    pub(super) fn leaves(&mut self, device: DeviceIndex, valid_until: LocalTime, settings: &Settings) {
        if let Some(channel) = self.channels.iter_mut().find(|channel| channel.device == device)
            && !channel.longest_write.is_zero()
        {
            channel.ends_at = channel.ends_at.max(valid_until + settings.write_wait(channel.longest_write));
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
        let Some(channel) = self.channels.iter_mut().find(|channel| channel.device == device) else { return };
        channel.unanswered = channel.unanswered.saturating_sub(1);
        channel.is_uncertain |= outcome == WriteOutcome::TimedOut;
        let is_last = channel.unanswered == 0;
        let Some(last) = &mut channel.last else {
            if let Some(past) =
                channel.past.as_mut().filter(|past| is_last && past.state == WriteState::Pending)
            {
                past.state = WriteState::after(outcome, now);
            }
            return;
        };
        if channel.late == 0 {
            channel.late_since = last.at;
        }
        channel.late = if outcome == WriteOutcome::Expired { channel.late.saturating_add(1) } else { 0 };
        // An answer to an older write tells nothing of a newer one, and does not turn its failure into a success.
        if outcome == WriteOutcome::Acknowledged && (last.state != WriteState::Pending || !is_last) {
            return;
        }
        last.state = WriteState::after(outcome, now);
        match outcome {
            WriteOutcome::Acknowledged => {
                if channel.pause > Span::ZERO {
                    channel.pause = Span::ZERO;
                    out.report(Event::WritesSucceed { device });
                }
            }
            WriteOutcome::Expired => {}
            WriteOutcome::Refused | WriteOutcome::Outdated { .. } | WriteOutcome::TimedOut => {
                if channel.pause == Span::ZERO {
                    out.report(Event::WriteFailed { device, outcome });
                }
                channel.pause = (channel.pause + channel.pause).max(RETRY_FIRST).min(RETRY_LONGEST);
                channel.retry_at = last.at + channel.pause;
                let by = match outcome {
                    WriteOutcome::Outdated { accepted } => Some(Epoch::of_number(accepted)),
                    WriteOutcome::Acknowledged
                    | WriteOutcome::Refused
                    | WriteOutcome::TimedOut
                    | WriteOutcome::Expired => None,
                };
                channel.outdated_by = by.filter(|accepted| *accepted > last.epoch);
            }
        }
    }

    /// The channels in the order of groups and members.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }
}

impl WriteState {
    /// What an answer says of the write that it belongs to.
    const fn after(outcome: WriteOutcome, now: LocalTime) -> Self {
        match outcome {
            WriteOutcome::Acknowledged => Self::Acknowledged { at: now },
            WriteOutcome::Refused
            | WriteOutcome::Outdated { .. }
            | WriteOutcome::TimedOut
            | WriteOutcome::Expired => Self::Failed,
        }
    }
}

impl Channel {
    /// The channel of a device to which nothing was written.
    fn new(device: DeviceIndex, spec: &DeviceSpec) -> Self {
        Self {
            device,
            factor: spec.positive.factor(),
            dead_band: spec.dead_band,
            reversion: spec.reversion,
            longest_write: if spec.checks_epochs { Span::ZERO } else { spec.longest_write },
            at_stop: spec.at_stop,
            limiter: RateLimiter::new(spec.write_interval),
            pause: Span::ZERO,
            retry_at: LocalTime::ZERO,
            outdated_by: None,
            late: 0,
            late_since: LocalTime::ZERO,
            is_silent: false,
            last: None,
            past: None,
            unanswered: 0,
            is_uncertain: false,
            ends_at: LocalTime::ZERO,
        }
    }

    /// Whose set-point this is.
    pub const fn device(&self) -> DeviceIndex {
        self.device
    }

    /// The last write under the present authority.
    pub const fn last(&self) -> Option<&LastWrite> {
        self.last.as_ref()
    }

    /// The last write under an authority that is over; nothing once something is written again.
    pub const fn past(&self) -> Option<&LastWrite> {
        self.past.as_ref()
    }

    /// When the device falls back unless it is written again.
    pub fn reverts_at(&self) -> Option<LocalTime> {
        self.last.map(|last| last.at + self.reversion)
    }

    /// How long the first write under a new authority waits for those of the one before it.
    fn first_wait(&self, settings: &Settings) -> Span {
        if makes(Mistake::NoWaitForWrites) { Span::ZERO } else { settings.write_wait(self.longest_write) }
    }

    /// Whether the last write said `power`, as far as is known.
    fn was_told(&self, power: Watts) -> bool {
        self.last.is_some_and(|last| last.power == power && last.state != WriteState::Failed)
    }

    /// When a write of now cannot be applied any more: it may wait for its driver's check as long as it is valid, and D counts
    /// from there. A device that checks epochs applies none that could do harm.
    fn ends_at(&self, now: LocalTime, valid_until: LocalTime, settings: &Settings) -> LocalTime {
        if self.longest_write.is_zero() { now } else { valid_until + settings.write_wait(self.longest_write) }
    }

    fn note_write(&mut self, write: LastWrite, ends_at: LocalTime) {
        self.last = Some(write);
        self.past = None;
        self.outdated_by = None;
        self.unanswered = self.unanswered.saturating_add(1);
        self.is_uncertain &= write.at < self.ends_at;
        self.ends_at = ends_at;
    }

    /// Whether a write may be tried after one that failed.
    fn may_try(&self, now: LocalTime, epoch: Epoch) -> bool {
        now >= self.retry_at || self.outdated_by.is_some_and(|accepted| epoch > accepted)
    }

    fn must_write(&self, now: LocalTime, wanted: Watts, image: &Image) -> bool {
        let Some(last) = &self.last else { return true };
        let moved = (wanted - last.power).abs();
        // Rest is written exactly: a dead band must not leave a device running a little for ever.
        let comes_to_rest = wanted == Watts::ZERO && last.power != Watts::ZERO;
        moved > self.dead_band
            || comes_to_rest
            || last.state == WriteState::Failed
            || now.since(last.at).as_nanos() >= self.reversion.as_nanos() / 2
            || self.reads_back_otherwise(last, image)
    }

    /// Whether the device, asked after it had acknowledged, holds another set-point than was written.
    fn reads_back_otherwise(&self, last: &LastWrite, image: &Image) -> bool {
        let WriteState::Acknowledged { at } = last.state else { return false };
        let Some(point) = image.point(self.device, PointKind::SetPoint) else { return false };
        let is_newer = point.measured > at;
        is_newer && (Watts::of(point.value) - last.power).abs() > self.dead_band
    }
}

#[cfg(test)]
mod tests;
