//! The role gate and the set-points on their way to the devices: what is written, when again, and what became of it.
//!
//! A set-point is written when it moves by more than its dead band, when half of the device's reversion time has passed, when the
//! last write failed, and when the device reads back something else; never without authority, and never more often than
//! the device's rate limit. It carries its epoch and the instant after which it must not be performed.
//!
//! **Failures.** A device that refuses or is silent is written again after a pause that doubles with each failure, and is
//! reported when writes begin to fail and when they succeed again. A write that came too late is repeated at once.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::group::Group;
use super::member::Member;
use crate::event::Event;
use crate::ids::DeviceIndex;
use crate::machine::{Effect, Effects, SetPointWrite, WriteOutcome};
use crate::points::{DeviceSpec, Image, PointKind};
use crate::redundancy::{Authority, Settings};
use crate::time::{LocalTime, Span};
use crate::timing::RateLimiter;
use crate::units::Watts;

/// The pause after the first write that failed; it doubles with each further one.
pub const RETRY_FIRST: Span = Span::from_secs(1);
/// The longest pause between writes that fail.
pub const RETRY_LONGEST: Span = Span::from_secs(16);

/// The set-points of all controlled devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetPoints {
    channels: Vec<Channel>,
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
    limiter: RateLimiter,
    /// The pause before the next try while writes fail; zero while they do not.
    pause: Span,
    retry_at: LocalTime,
    /// The last write, if there was one since boot.
    last: Option<LastWrite>,
}

/// A write and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastWrite {
    /// What was written, in our sign.
    pub power: Watts,
    /// When.
    pub at: LocalTime,
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
        let channel = |member: &Member| {
            let device = &devices[member.device().position()];
            Channel {
                device: member.device(),
                factor: device.positive.factor(),
                dead_band: device.dead_band,
                reversion: device.reversion,
                longest_write: if device.checks_epochs { Span::ZERO } else { device.longest_write },
                limiter: RateLimiter::new(device.write_interval),
                pause: Span::ZERO,
                retry_at: LocalTime::ZERO,
                last: None,
            }
        };
        Self { channels: members.map(channel).collect() }
    }

    /// Forgets pending writes of an earlier life.
    pub(super) fn forget(&mut self) {
        for channel in &mut self.channels {
            channel.last = None;
            channel.pause = Span::ZERO;
            channel.retry_at = LocalTime::ZERO;
            channel.limiter.forget();
        }
    }

    /// Writes what must be written now. Returns by how much that differs from what the devices hold, or `None` if nothing is
    /// written.
    pub(super) fn write(
        &mut self,
        now: LocalTime,
        authority: Authority,
        settings: &Settings,
        groups: &[Group],
        image: &Image,
        out: &mut Effects,
    ) -> Option<Watts> {
        let mut difference = None;
        let members = groups.iter().flat_map(|group| group.members());
        for (channel, member) in self.channels.iter_mut().zip(members) {
            let power = member.set_point();
            if member.is_known()
                && now >= channel.retry_at
                && now.since(authority.since) >= settings.write_wait(channel.longest_write)
                && channel.must_write(now, power, image)
                && channel.limiter.take(now)
            {
                let held = image.good(channel.device, PointKind::SetPoint).map_or(power, Watts::of);
                difference = Some(difference.unwrap_or(Watts::ZERO) + (power - held).abs());
                channel.last = Some(LastWrite { power, at: now, state: WriteState::Pending });
                out.push(Effect::Write(SetPointWrite {
                    device: channel.device,
                    value: power.watts() * channel.factor + 0.0,
                    epoch: authority.epoch.number(),
                    valid_until: authority.until.min(now + channel.reversion),
                }));
            }
        }
        difference
    }

    /// How long the first write under a new authority waits; `None` if nothing is controlled.
    pub(super) fn shortest_wait(&self, settings: &Settings) -> Option<Span> {
        self.channels.iter().map(|channel| settings.write_wait(channel.longest_write)).min()
    }

    /// Whether a write is on its way of which nobody knows how it ended.
    pub(super) fn has_outstanding(&self) -> bool {
        let is_pending = |last: LastWrite| last.state == WriteState::Pending;
        self.channels.iter().any(|channel| channel.last.is_some_and(is_pending))
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
        let Some(last) = &mut channel.last else { return };
        match outcome {
            WriteOutcome::Acknowledged => {
                // An answer to an older write must not turn a failure of a newer one into a success.
                if last.state != WriteState::Pending {
                    return;
                }
                last.state = WriteState::Acknowledged { at: now };
                if channel.pause > Span::ZERO {
                    channel.pause = Span::ZERO;
                    out.report(Event::WritesSucceed { device });
                }
            }
            WriteOutcome::Expired => last.state = WriteState::Failed,
            WriteOutcome::Refused | WriteOutcome::TimedOut => {
                last.state = WriteState::Failed;
                if channel.pause == Span::ZERO {
                    out.report(Event::WriteFailed { device, outcome });
                }
                channel.pause = (channel.pause + channel.pause).max(RETRY_FIRST).min(RETRY_LONGEST);
                channel.retry_at = now + channel.pause;
            }
        }
    }

    /// The channels in the order of groups and members.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }
}

impl Channel {
    /// Whose set-point this is.
    pub const fn device(&self) -> DeviceIndex {
        self.device
    }

    /// The last write since boot.
    pub const fn last(&self) -> Option<&LastWrite> {
        self.last.as_ref()
    }

    /// When the device falls back unless it is written again.
    pub fn reverts_at(&self) -> Option<LocalTime> {
        self.last.map(|last| last.at + self.reversion)
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
