//! A member whose process is to end: it gives its authority away first, seeks none any more, and votes to the end.

use super::RedundancySupervisor;
use crate::machine::Effects;
use crate::redundancy::Seat;
use crate::redundancy::role::{Reason, Role};
use crate::time::LocalTime;

/// What a member that leaves has given away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Another is called to take over, as soon as nothing is outstanding.
    HandsOver,
    /// Nothing, or to nobody: whoever becomes ready may take it.
    Alone,
}

impl RedundancySupervisor {
    /// Begins to leave: an active hands over to the best standby, or only gives its authority up where nobody could take it.
    pub fn leave(&mut self, now: LocalTime, out: &mut Effects) -> Leaving {
        if self.spec.council.is_alone() {
            return Leaving::Alone;
        }
        self.lapse(now, out);
        self.is_leaving = true;
        self.health.is_ready = false;
        self.called = None;
        match self.role {
            Role::Active => {
                let successor = self.successor(now);
                self.hand_over(now, successor, Reason::Stopping, out);
                if successor.is_some() { Leaving::HandsOver } else { Leaving::Alone }
            }
            Role::HandingOver => Leaving::HandsOver,
            Role::Candidate | Role::Lapsed => {
                self.stand_by(now, Reason::Stopping, out);
                Leaving::Alone
            }
            Role::Witness | Role::Maintenance | Role::Standby => {
                // An active must not count on it any more.
                self.beat(now, out);
                Leaving::Alone
            }
        }
    }

    /// Who takes over if it leaves now; nobody shares the grid with one that is alone.
    pub fn successor(&self, now: LocalTime) -> Option<Seat> {
        // Who is the majority on its own is that after its next boot too.
        let is_sole = self.wanted.is_sole || self.kept.is_sole;
        if is_sole || self.spec.council.is_alone() { None } else { self.best_standby(now) }
    }

    /// Whether another has authority, as far as it was heard lately.
    pub fn hears_successor(&self, now: LocalTime) -> bool {
        self.followed.is_some_and(|followed| followed.seat != self.me()) && self.hears_active(now)
    }
}
