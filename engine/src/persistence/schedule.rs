//! When a controller asks for a snapshot, and what it tells of its persistence.
//!
//! The controller only asks: taking the state, writing it and reading it back are the journal's. One snapshot is asked for at a
//! time. One that fails is not asked for again before the next one is due, so that a broken disk is not asked without a pause.

use serde::{Deserialize, Serialize};

use super::status::{JournalStatus, Origin};
use crate::event::Event;
use crate::machine::{Effect, Effects};
use crate::time::{LocalTime, Span};

/// When snapshots are due; whichever comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSettings {
    /// So long after the one before; `None`: not by time.
    pub every: Option<Span>,
    /// So many scans after the one before; `None`: not by count.
    pub scans: Option<u32>,
}

impl SnapshotSettings {
    /// No snapshots are asked for.
    pub const NEVER: Self = Self { every: None, scans: None };
}

/// What a controller knows of its persistence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSchedule {
    settings: SnapshotSettings,
    asked_at: LocalTime,
    /// Scans since it last asked.
    scans: u32,
    is_under_way: bool,
    /// Since when its journal cannot be kept.
    degraded_since: Option<LocalTime>,
}

impl SnapshotSchedule {
    /// Makes the schedule of a controller that has not booted.
    pub const fn new(settings: SnapshotSettings) -> Self {
        Self { settings, asked_at: LocalTime::ZERO, scans: 0, is_under_way: false, degraded_since: None }
    }

    /// Begins a life: what was asked for in the one before is answered to nobody.
    pub fn boot(&mut self, now: LocalTime, origin: Origin, out: &mut Effects) {
        *self = Self { asked_at: now, ..Self::new(self.settings) };
        match origin {
            Origin::Fresh => {}
            Origin::Replayed | Origin::Damaged | Origin::Poisoned | Origin::Foreign | Origin::Lost => {
                out.report(Event::StateRecovered { origin });
            }
        }
    }

    /// Counts a scan that is done, and asks for a snapshot if one is due.
    #[inline]
    pub fn scanned(&mut self, now: LocalTime, out: &mut Effects) {
        if self.settings == SnapshotSettings::NEVER {
            return;
        }
        self.scans = self.scans.saturating_add(1);
        let by_time = self.settings.every.is_some_and(|every| now.since(self.asked_at) >= every);
        let by_count = self.settings.scans.is_some_and(|scans| self.scans >= scans);
        if by_time || by_count {
            self.ask(now, out);
        }
    }

    /// Asks for a snapshot, unless one is under way.
    pub fn ask(&mut self, now: LocalTime, out: &mut Effects) {
        if !self.is_under_way {
            (self.asked_at, self.scans, self.is_under_way) = (now, 0, true);
            out.push(Effect::Snapshot);
        }
    }

    /// What became of the snapshot that was asked for.
    pub fn snapshotted(&mut self, now: LocalTime, succeeded: bool, out: &mut Effects) {
        if !core::mem::take(&mut self.is_under_way) {
            return;
        }
        out.report(if succeeded {
            Event::SnapshotTaken { after: now.since(self.asked_at) }
        } else {
            Event::SnapshotFailed
        });
    }

    /// How the journal fares from now on.
    pub fn journal(&mut self, now: LocalTime, status: JournalStatus, out: &mut Effects) {
        match status {
            JournalStatus::Degraded(trouble) => {
                self.degraded_since.get_or_insert(now);
                out.report(Event::JournalDegraded { trouble });
            }
            JournalStatus::Restored => {
                if let Some(since) = self.degraded_since.take() {
                    out.report(Event::JournalRestored { after: now.since(since) });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::persistence::Trouble;

    fn at(seconds: u64) -> LocalTime {
        LocalTime::from_nanos(seconds * 1_000_000_000)
    }

    fn asks(schedule: &mut SnapshotSchedule, seconds: u64) -> bool {
        let mut out = Effects::new();
        schedule.scanned(at(seconds), &mut out);
        out.as_slice() == [Effect::Snapshot]
    }

    #[test]
    fn a_snapshot_is_asked_for_when_its_time_or_its_count_has_come() {
        let mut by_time =
            SnapshotSchedule::new(SnapshotSettings { every: Some(Span::from_secs(10)), scans: None });
        by_time.boot(at(0), Origin::Fresh, &mut Effects::new());
        assert!(!asks(&mut by_time, 9));
        assert!(asks(&mut by_time, 10));
        let mut by_count = SnapshotSchedule::new(SnapshotSettings { every: None, scans: Some(3) });
        assert_eq!([1, 2, 3].map(|second| asks(&mut by_count, second)), [false, false, true]);
        let mut never = SnapshotSchedule::new(SnapshotSettings::NEVER);
        assert!(!asks(&mut never, 1 << 30));
    }

    #[test]
    fn one_is_asked_for_at_a_time_and_a_failed_one_only_when_the_next_is_due() {
        let mut schedule =
            SnapshotSchedule::new(SnapshotSettings { every: Some(Span::from_secs(10)), scans: None });
        assert!(asks(&mut schedule, 10));
        assert!(!asks(&mut schedule, 30));
        let mut out = Effects::new();
        schedule.snapshotted(at(31), false, &mut out);
        assert_eq!(out.as_slice(), [Effect::Report(Event::SnapshotFailed)]);
        assert!(asks(&mut schedule, 31), "the one that was due meanwhile");
        schedule.snapshotted(at(32), true, &mut out);
        assert!(!asks(&mut schedule, 40));
        assert!(asks(&mut schedule, 41));
    }

    #[test]
    fn a_troubled_journal_is_told_with_how_long_it_lasted() {
        let mut schedule = SnapshotSchedule::new(SnapshotSettings::NEVER);
        let mut out = Effects::new();
        schedule.journal(at(1), JournalStatus::Degraded(Trouble::Slow), &mut out);
        schedule.journal(at(2), JournalStatus::Degraded(Trouble::Full), &mut out);
        schedule.journal(at(7), JournalStatus::Restored, &mut out);
        let told = out.as_slice();
        assert_eq!(told[0], Effect::Report(Event::JournalDegraded { trouble: Trouble::Slow }));
        assert_eq!(told[2], Effect::Report(Event::JournalRestored { after: Span::from_secs(6) }));
    }
}
