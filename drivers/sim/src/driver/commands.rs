//! What is asked of a world from outside while it runs.
//!
//! A command that comes now is the same thing as one that the timeline had planned for now: it enters the timeline, so whoever
//! stands still hears it later, checkers know of it, and the record of the run shows it as any other.

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::machine::Commanded;
use r_ems_engine::redundancy::Command;
use r_ems_engine::{Span, Time};

use super::SimDriver;
use crate::world::{Change, Life, Timed};

/// So much later who has authority is asked to stop: it hears meanwhile that none of the others takes over from it, and does not
/// wait for them.
const HOLDERS_LATER: Span = Span::from_millis(100);

impl Commanded for SimDriver {
    /// An instant that is over counts as that of the last delivery.
    ///
    /// # Panics
    /// If there is no such controller.
    fn command(&mut self, at: Time, to: ControllerIndex, command: Command) {
        assert!(to.position() < self.posts.len(), "a command is for a controller of this world");
        let change = Change::Command { controller: to.0, command };
        self.timeline.insert(Timed { at: at.max(self.now), change });
    }

    /// Who has authority is asked last, and whoever cannot hear it yet just ends; who has ended stays so, and what was planned
    /// for later than `until` does not happen.
    fn stop(&mut self, at: Time, until: Time) {
        let at = at.max(self.now);
        for controller in (0..).take(self.posts.len()) {
            let holds = self.authority.held(controller).is_some_and(|(_epoch, until)| until > at);
            let at = if holds { at + HOLDERS_LATER } else { at };
            self.timeline.insert(Timed { at, change: Change::Process { controller, state: Life::Stops } });
        }
        self.end = self.end.min(until.max(at));
    }
}
