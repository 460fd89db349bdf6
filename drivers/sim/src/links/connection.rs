//! The connection under a link: it breaks at an instant, and the first exchange afterwards waits until there is a new one.
//!
//! A connection that dies with its cable or its gateway says nothing. Whoever waits for an answer on it learns that none comes
//! when his own time has run out, and so do exchanges while it is gone. A write that had left is applied all the same: it cannot
//! be recalled. An exchange that waits for a new connection has not left yet, so a write is judged again before it does.

use r_ems_engine::{Span, Time};

/// A connection, and the ones before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connection {
    /// Counts the connections of the link: what was sent on an earlier one is not answered.
    number: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// It cannot be had.
    Gone,
    /// Nobody has asked for a new one yet.
    Broken,
    /// A new one is there at this instant.
    Coming(Time),
}

/// When something can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Now,
    At(Time),
    Never,
}

impl Connection {
    pub(super) const fn new() -> Self {
        Self { number: 0, state: State::Up }
    }

    /// Which connection this is.
    pub(super) const fn number(&self) -> u32 {
        self.number
    }

    /// It is gone until it is released.
    pub(super) const fn hold_off(&mut self) {
        self.number = self.number.wrapping_add(1);
        self.state = State::Gone;
    }

    /// Whether none can be had.
    pub(super) const fn is_gone(&self) -> bool {
        matches!(self.state, State::Gone)
    }

    /// It can be had again.
    pub(super) fn release(&mut self) {
        if self.state == State::Gone {
            self.state = State::Broken;
        }
    }

    /// It is gone, and the next one can be had.
    pub(super) const fn break_off(&mut self) {
        self.number = self.number.wrapping_add(1);
        if !matches!(self.state, State::Gone) {
            self.state = State::Broken;
        }
    }

    /// When something that is ready at `at` can be sent; asks for a new connection, which takes so long, if there is none.
    #[inline]
    pub(super) fn access(&mut self, at: Time, takes: Span) -> Access {
        match self.state {
            State::Up => return Access::Now,
            State::Gone => return Access::Never,
            State::Broken => self.state = State::Coming(at + takes),
            State::Coming(_) => {}
        }
        if let State::Coming(there) = self.state
            && there > at
        {
            return Access::At(there);
        }
        self.state = State::Up;
        Access::Now
    }
}
