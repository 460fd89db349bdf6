//! How a controller ends its life in order: it hands over, and its last state is kept.
//!
//! ```text
//!     Stop ─> nobody goes on? set-points at rest ─> hand over, as in a planned switch-over ─> Stopped ─> the journal keeps the
//!     state and is closed ─> the process ends
//! ```
//!
//! **Decision: devices keep what they were told, unless the site says otherwise.** Each falls back by itself after its
//! reversion, as after a crash; most ends are restarts, and what was right a moment ago is better than a step to rest and back;
//! and whoever takes over goes on where this one was. A device without a timer of its own is left with what the site file says
//! (`at_stop`), but only where nobody goes on: a hand-over changes nothing at the device, nor does an end after which the same
//! controller begins anew ([`Command::Return`](crate::redundancy::Command::Return)).
//!
//! **What is left is written with authority, or not at all.** Who ends without a majority writes nothing: it cannot know that
//! nobody else does. Nor is the wait after a grant (D) cut short. Whoever holds authority writes it whatever it knows: also
//! before it runs, as the life before may have written what the device still holds; to devices whose points it does not know, as
//! the value rests on none of them; at once where a write failed before, without that pause; and without the interval between
//! writes, which keeps many from a device and not the last one.
//!
//! **A device that listens for heartbeats hears one first** that is new to it, or it would not take what it is told: all that
//! are to be left so are cared for until then, also before it runs. The first number of an authority may be one that the device
//! holds, so what is left follows the second, in the scan after. It waits for that up to [`HEARTBEAT_PATIENCE`], also where
//! heartbeats fail, and not at all where the next scan would come later than that.
//!
//! **Who is controlled at its panel, or in fault, is left as it is**, for nothing is told to it.
//!
//! Nothing that is broken keeps a process from ending: there is [`REST_PATIENCE`] for such devices, up to
//! [`HAND_OVER_PATIENCE`] for both steps, and [`END_PATIENCE`](crate::persistence::journal::END_PATIENCE)
//! for the disk. Who runs out of patience releases nobody: its lease ends by itself, as after a crash.

use serde::{Deserialize, Serialize};

use super::set_points::Wanted;
use super::{Controller, Phase};
use crate::event::Event;
use crate::functions::Function;
use crate::machine::{Effect, Effects};
use crate::redundancy::supervisor::Leaving;
use crate::time::{LocalTime, Span};

/// So long a controller that stops waits for devices to acknowledge with what they are left.
pub(super) const REST_PATIENCE: Span = Span::from_secs(2);
/// So long of that devices hear heartbeats before they are told with what they are left.
const HEARTBEAT_PATIENCE: Span = Span::from_secs(1);
const _: () = assert!(HEARTBEAT_PATIENCE.as_nanos() < REST_PATIENCE.as_nanos());
/// So long a controller that stops waits for its last writes and for its successor. Together with the patience for the disk it is
/// less than the ten seconds that supervisors of processes give.
pub const HAND_OVER_PATIENCE: Span = Span::from_secs(4);

/// Who comes after a life that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NextLife {
    /// Nobody, or another controller.
    Nobodys,
    /// This controller, at once.
    Own,
}

/// An end that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stopping {
    since: LocalTime,
    step: Step,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Step {
    /// Devices are told with what they are left.
    ComesToRest,
    /// It gives its authority up.
    Leaves {
        /// Whether another was called: its vote is needed until that one has authority.
        hands_over: bool,
    },
}

impl<F: Function> Controller<F> {
    /// Begins to end this life.
    pub(super) fn stop(&mut self, now: LocalTime, next: NextLife, out: &mut Effects) {
        if self.stopping.is_some() {
            return;
        }
        // Who has just booted has not noticed yet that it has authority, and would forget then what it writes here.
        self.follow_authority(now, out);
        out.report(Event::StopBegan);
        let is_last = next == NextLife::Nobodys && self.redundancy.successor(now).is_none();
        // What is stopped in an emergency stays so.
        let is_left = self.set_points.any_at_stop() && !self.composition.is_stopped();
        if is_last && self.redundancy.authority(now).is_some() && is_left {
            self.stopping = Some(Stopping { since: now, step: Step::ComesToRest });
            self.set_points.try_at_once();
            self.write(now, out);
            self.beat(now, out);
        } else {
            self.leave(now, now, out);
        }
    }

    /// Gives up what it holds.
    fn leave(&mut self, now: LocalTime, since: LocalTime, out: &mut Effects) {
        let hands_over = self.redundancy.leave(now, out) == Leaving::HandsOver;
        self.stopping = Some(Stopping { since, step: Step::Leaves { hands_over } });
    }

    /// Whether devices are told with what they are left.
    pub(super) fn comes_to_rest(&self) -> bool {
        self.stopping.is_some_and(|stopping| stopping.step == Step::ComesToRest)
    }

    /// Which set-points are written.
    pub(super) fn wanted(&self) -> Wanted {
        match self.stopping {
            Some(Stopping { since, step: Step::ComesToRest }) => {
                // If not now, then with the next scan.
                Wanted::AtStop { is_heard_first: self.scan_clock.due() <= since + HEARTBEAT_PATIENCE }
            }
            Some(Stopping { step: Step::Leaves { .. }, .. }) | None => Wanted::Decided,
        }
    }

    /// Ends it once nothing is held any more, and a successor is there if there is to be one.
    pub(super) fn go_on_stopping(&mut self, now: LocalTime, out: &mut Effects) {
        if self.comes_to_rest() {
            let writes = self.redundancy.authority(now).is_some();
            if writes && !self.set_points.are_at_rest(self.composition.groups()) && now < self.stops_at() {
                return;
            }
            let since = self.stopping.map_or(now, |stopping| stopping.since);
            self.leave(now, since, out);
        }
        let Some(Stopping { since, step: Step::Leaves { hands_over } }) = self.stopping else { return };
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
        self.stopping.map_or(LocalTime::MAX, |Stopping { since, step }| match step {
            Step::ComesToRest => since + REST_PATIENCE,
            Step::Leaves { .. } => since + HAND_OVER_PATIENCE,
        })
    }
}
