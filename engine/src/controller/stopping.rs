//! How a controller ends its life in order: it hands over, and its last state is kept.
//!
//! ```text
//!     Stop ─> hand over, as in a planned switch-over ─> Stopped ─> the journal keeps the state and is closed ─> the process ends
//! ```
//!
//! Where nobody can take over, devices keep what they were told, up to its expiry. Nothing that is broken keeps a process from
//! ending: there is [`HAND_OVER_PATIENCE`] for the first step, and [`END_PATIENCE`](crate::persistence::journal::END_PATIENCE)
//! for the disk. Who runs out of patience releases nobody: its lease ends by itself, as after a crash.

use serde::{Deserialize, Serialize};

use super::{Controller, Phase};
use crate::event::Event;
use crate::functions::Function;
use crate::machine::{Effect, Effects};
use crate::redundancy::supervisor::Leaving;
use crate::time::{LocalTime, Span};

/// So long a controller that stops waits for its last writes and for its successor. Together with the patience for the disk it is
/// less than the ten seconds that supervisors of processes give.
pub const HAND_OVER_PATIENCE: Span = Span::from_secs(4);

/// An end that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stopping {
    since: LocalTime,
    /// Whether another was called: its vote is needed until that one has authority.
    hands_over: bool,
}

impl<F: Function> Controller<F> {
    /// Begins to end this life.
    pub(super) fn stop(&mut self, now: LocalTime, out: &mut Effects) {
        if self.stopping.is_some() {
            return;
        }
        out.report(Event::StopBegan);
        let hands_over = self.redundancy.leave(now, out) == Leaving::HandsOver;
        self.stopping = Some(Stopping { since: now, hands_over });
    }

    /// Ends it once nothing is held any more, and a successor is there if there is to be one.
    pub(super) fn go_on_stopping(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(Stopping { since, hands_over }) = self.stopping else { return };
        let redundancy = &self.redundancy;
        let is_succeeded = !hands_over || redundancy.hears_successor(now);
        let has_left = redundancy.is_alone() || !redundancy.role().holds() && is_succeeded;
        if !has_left && now < self.stops_at() {
            return;
        }
        (self.stopping, self.phase) = (None, Phase::Stopped);
        self.rest(now);
        out.report(Event::Stopped { after: now.since(since) });
        out.push(Effect::Stopped);
    }

    /// Lets time pass after the end: a stopped machine does nothing, whoever still wakes it.
    pub(super) fn rest(&mut self, now: LocalTime) {
        let _turn = self.scan_clock.begin(now);
    }

    /// When patience is over, if it stops.
    pub(super) fn stops_at(&self) -> LocalTime {
        self.stopping.map_or(LocalTime::MAX, |stopping| stopping.since + HAND_OVER_PATIENCE)
    }
}
