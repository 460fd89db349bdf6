//! Peers that end connections on their own: cheap gateways and loggers after each answer, many servers after some idle time.
//!
//! **A connection that a peer ends after it has answered on it is opened again at once,** when something is to be asked, and what
//! was under way is asked once more: it may have crossed the end on its way. Each such connection is paid for by an answer. So
//! nobody connects in a loop: a peer that ends a connection without one is left alone for a while as one that fails.
//!
//! **Who has ended [`HABIT`] connections in a row so,** each within [`LASTS_MAX`], does so as a habit. The end of another then
//! says nothing of what is behind it. Whoever restarts or is set up anew ends a connection or two, and does not answer meanwhile.

use serde::{Deserialize, Serialize};

use super::{Exchange, Link, Master};
use crate::time::{LocalTime, Span};

/// So many ends in a row are a habit.
const HABIT: u8 = 3;
/// Within so long, each.
const LASTS_MAX: Span = Span::from_mins(1);

/// How the connections of a peer end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Habit {
    /// When the connection was opened.
    opened: LocalTime,
    /// Whether something was answered on it.
    has_answered: bool,
    /// So many in a row before it were ended by the peer, after an answer and soon.
    ends: u8,
}

impl Habit {
    /// A connection is opened.
    pub(super) const fn open(&mut self, now: LocalTime) {
        (self.opened, self.has_answered) = (now, false);
    }

    /// Something is answered on it.
    pub(super) const fn answer(&mut self) {
        self.has_answered = true;
    }

    /// It is ended otherwise, or there was none.
    pub(super) fn break_off(&mut self) {
        *self = Self::default();
    }

    /// What follows where the peer, which has answered on it, ends the connection.
    fn after_end(self, now: LocalTime) -> Self {
        let is_soon = now.since(self.opened) <= LASTS_MAX;
        let ends = if is_soon { self.ends.saturating_add(1).min(HABIT) } else { 0 };
        Self { opened: self.opened, has_answered: false, ends }
    }

    /// Whether connections end so as a habit.
    const fn is_one(self) -> bool {
        self.ends >= HABIT
    }
}

impl<T: Copy> Master<T> {
    /// Whether the peer, if it ends the connection now, does so as a habit: that says nothing of the units behind it.
    pub fn ends_by_habit(&self, now: LocalTime) -> bool {
        self.ends_after_an_answer() && self.habit.after_end(now).is_one()
    }

    /// Whether the peer, if it ends the connection now, has answered on it; a serial line that ends is gone.
    pub fn ends_after_an_answer(&self) -> bool {
        self.link == Link::Open && self.habit.has_answered && self.spec.framing.has_transactions()
    }

    /// So it ends: it may be opened again at once, and what is under way is asked once more.
    pub(super) fn end_after_an_answer(&mut self, now: LocalTime) {
        (self.link, self.habit) = (Link::Closed(now), self.habit.after_end(now));
        self.arriving.clear();
        // The newest first: what is repeated goes before all that waits.
        while let Some(Exchange { job, retries_left, .. }) = self.exchanges.pop() {
            self.queue.repeat(job, retries_left);
        }
    }
}
