//! Which write an answer belongs to, as far as a log tells.
//!
//! Answers name no write. Where one write of a controller to a device is unanswered, an answer is to that one; where there are
//! several, it may be to any of them, and so may every further one until all have been answered.
//!
//! **Invariant:** nothing is said of which not everything is known. A log that holds effects by digest tells of no write, and one
//! that begins in the middle of a life does not tell of all that are on their way.

use std::collections::VecDeque;

use r_ems_engine::LocalTime;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::log::{Content, EffectsKept, Header, Record};
use r_ems_engine::machine::{Input, Step};

use crate::entries::value_w;

/// So many writes to a device that are not known to be answered are remembered, the newest ones.
pub(crate) const MAX_REMEMBERED: usize = 4;

/// The writes of all controllers that may be unanswered.
#[derive(Debug)]
pub(crate) struct Writes {
    /// By controller; empty if the log does not hold effects.
    lives: Vec<Life>,
}

/// What the present life of a controller has written.
#[derive(Debug)]
struct Life {
    /// Whether the log holds its beginning.
    is_whole: bool,
    /// By device.
    devices: Vec<Unanswered>,
}

/// Writes to a device that the next answer may belong to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unanswered {
    /// So many have no answer.
    unanswered: u64,
    /// So many may be the one that is answered next: more than are unanswered, after an answer that may be to any of several.
    count: u64,
    /// The newest of them, oldest first.
    newest: VecDeque<Sent>,
}

/// A write that was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sent {
    pub(crate) at: LocalTime,
    /// In the device's own sign, W; `None`: it is a heartbeat.
    pub(crate) value_w: Option<f64>,
    pub(crate) epoch: u64,
}

impl Writes {
    /// Of no write anything is known.
    pub(crate) const UNKNOWN: Self = Self { lives: Vec::new() };

    /// Nothing is written yet.
    pub(crate) fn of(header: &Header) -> Self {
        let life = |devices: usize| Life { is_whole: false, devices: vec![Unanswered::default(); devices] };
        let lives = match header.effects {
            EffectsKept::Digests => return Self::UNKNOWN,
            EffectsKept::Whole => header.controllers.iter().map(|names| life(names.devices.len())).collect(),
        };
        Self { lives }
    }

    /// The writes that an answer of now may belong to; `None`: it is not known.
    pub(crate) fn unanswered(&self, record: &Record<'_>, device: DeviceIndex) -> Option<&Unanswered> {
        let life = self.lives.get(record.controller.position()).filter(|life| life.is_whole)?;
        life.devices.get(device.position()).filter(|device| device.unanswered > 0)
    }

    /// Notes what a record tells of writes.
    pub(crate) fn note(&mut self, record: &Record<'_>) {
        let Some(life) = self.lives.get_mut(record.controller.position()) else { return };
        match record.content {
            Content::Delivery { step: Step::Boot(_), .. } => {
                // What a life before had written is answered to nobody.
                life.is_whole = true;
                life.devices.fill(Unanswered::default());
            }
            Content::Delivery {
                step: Step::Input(Input::Written { device, .. } | Input::NotSent { device, .. }),
                ..
            } => {
                if let Some(device) = life.devices.get_mut(device.position()) {
                    device.answered();
                }
            }
            Content::Effects { effects, .. } => {
                for effect in effects {
                    let Some(write) = effect.write() else { continue };
                    if let Some(device) = life.devices.get_mut(write.device.position()) {
                        device.sent(Sent { at: record.now, value_w: value_w(write), epoch: write.epoch });
                    }
                }
            }
            Content::Delivery { .. }
            | Content::Event(_)
            | Content::State(_)
            | Content::Carried { .. }
            | Content::Chains(_)
            | Content::Closing(_)
            | Content::Crashed => {}
        }
    }
}

impl Unanswered {
    /// How many they are.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The newest of them, at most [`MAX_REMEMBERED`], oldest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Sent> {
        self.newest.iter()
    }

    fn sent(&mut self, write: Sent) {
        self.unanswered += 1;
        self.count += 1;
        if self.newest.len() == MAX_REMEMBERED {
            self.newest.pop_front();
        }
        self.newest.push_back(write);
    }

    fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered == 0 {
            self.count = 0;
            self.newest.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(millis: u64) -> Sent {
        Sent { at: LocalTime::from_nanos(millis * 1_000_000), value_w: Some(50e3), epoch: 256 }
    }

    #[test]
    fn an_answer_may_be_to_any_write_until_all_are_answered() {
        let mut device = Unanswered::default();
        device.sent(sent(1));
        assert_eq!((device.count(), device.newest().count()), (1, 1));
        device.sent(sent(2));
        device.answered();
        // One is left, and nobody knows which.
        assert_eq!((device.unanswered, device.count()), (1, 2));
        device.answered();
        assert_eq!((device.unanswered, device.count(), device.newest().count()), (0, 0, 0));
        device.sent(sent(3));
        assert_eq!(device.newest().collect::<Vec<_>>(), [&sent(3)]);
    }

    #[test]
    fn a_device_that_answers_nothing_costs_no_memory() {
        let mut device = Unanswered::default();
        (0..1_000).for_each(|millis| device.sent(sent(millis)));
        assert_eq!((device.count(), device.newest().count()), (1_000, MAX_REMEMBERED));
        assert_eq!(device.newest().last(), Some(&sent(999)));
    }
}
