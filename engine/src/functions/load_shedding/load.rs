//! One load that may be switched off: how it stands, what it takes, and what is kept for it.

use serde::{Deserialize, Serialize};

use super::super::heavy::Heavy;
use super::super::{Grounds, View};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::time::{LocalTime, Span};
use crate::units::Watts;

/// After a load was switched, measurements of others need so long until they show it: until then what it takes is counted
/// whole where it was closed, and not at all where it was opened.
pub(super) const SETTLING: Span = Span::from_secs(10);

/// One load, as far as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    group: GroupIndex,
    /// By what it asks, if it does.
    heavy: Option<Heavy>,
    /// Whether it was told to be off: it was shed, or may not run.
    pub(super) is_off: bool,
    /// Whether it was seen closed since it was told so.
    was_closed: bool,
    /// What it takes when it is closed, a magnitude; none if that was never seen.
    usual: Option<Watts>,
    /// When it was switched last.
    switched: Option<LocalTime>,
    /// When somebody else opened it, if it asks before it starts.
    opened: Option<LocalTime>,
    /// Why it is off.
    pub(super) grounds: Option<Grounds>,
}

impl Load {
    pub(super) const fn new(group: GroupIndex, heavy: Option<Heavy>) -> Self {
        Self {
            group,
            heavy,
            is_off: false,
            was_closed: false,
            usual: None,
            switched: None,
            opened: None,
            grounds: None,
        }
    }

    pub(super) const fn group(&self) -> GroupIndex {
        self.group
    }

    /// Forgets where it stands: that is seen anew.
    pub(super) fn forget(&mut self) {
        self.heavy.iter_mut().for_each(Heavy::forget);
        *self = Self::new(self.group, self.heavy);
    }

    /// Sees where it stands and what it takes.
    pub(super) fn look(&mut self, view: &View<'_>, is_first: bool) {
        self.heavy.iter_mut().for_each(|heavy| heavy.listen(view));
        let Some(held) = view.member_held(self.group, 0) else { return };
        if held == Watts::ZERO {
            // Nobody told it: its own relay did, or it was so when this life began.
            if self.was_closed || is_first {
                self.is_off = true;
                self.opened = self.was_closed.then_some(view.now());
            }
            self.was_closed = false;
        } else if !self.is_off {
            self.was_closed = true;
            self.usual = self.taken(view).filter(|taken| *taken > Watts::ZERO).or(self.usual);
        }
    }

    /// Whether it wants to run; a load that does not ask always does, and one that was never heard goes on as it is.
    pub(super) fn asks(&self) -> Option<bool> {
        self.heavy.map_or(Some(true), |heavy| heavy.asks())
    }

    /// Whether somebody else opened it so recently that it must be left alone.
    pub(super) fn is_left_open(&self, now: LocalTime, wait: Span) -> bool {
        self.opened.is_some_and(|opened| now.since(opened) < wait)
    }

    pub(super) fn is_local(&self, view: &View<'_>) -> bool {
        view.member_is_local(self.group, 0)
    }

    /// What it takes, a magnitude.
    fn taken(&self, view: &View<'_>) -> Option<Watts> {
        view.member_power(self.group, 0).map(|power| -power)
    }

    /// What it is going to take when it is closed, a magnitude.
    pub(super) fn wants(&self, view: &View<'_>) -> Watts {
        let rating = view.rating(self.group);
        self.usual.filter(|_usual| self.heavy.is_none()).unwrap_or(rating)
    }

    /// What must be kept for it beyond what is measured of it.
    pub(super) fn kept(&self, view: &View<'_>) -> Watts {
        if self.is_off || self.is_local(view) {
            Watts::ZERO
        } else if self.is_settling(view.now()) {
            self.wants(view)
        } else {
            self.heavy.map_or(Watts::ZERO, |heavy| heavy.pending(view))
        }
    }

    /// What it still takes though it was told to be off, but not for long: negative, as its power is.
    pub(super) fn leaving(&self, view: &View<'_>) -> Watts {
        if self.is_off && self.is_settling(view.now()) && !self.is_local(view) {
            view.member_power(self.group, 0).unwrap_or(Watts::ZERO)
        } else {
            Watts::ZERO
        }
    }

    fn is_settling(&self, now: LocalTime) -> bool {
        self.switched.is_some_and(|switched| now.since(switched) < SETTLING)
    }

    /// Switches it off; returns what that takes away.
    pub(super) fn shed(&mut self, view: &View<'_>, grounds: Grounds) -> Watts {
        self.switch(view.now(), true);
        self.grounds = Some(grounds);
        match self.heavy {
            Some(_) => self.taken(view).unwrap_or(view.rating(self.group)),
            None => self.usual.unwrap_or(Watts::ZERO),
        }
    }

    /// Switches it on or off.
    pub(super) fn switch(&mut self, now: LocalTime, is_off: bool) {
        if self.is_off != is_off {
            (self.is_off, self.was_closed, self.switched) = (is_off, false, Some(now));
            (self.opened, self.grounds) = (None, None);
        }
    }

    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        self.heavy.iter_mut().for_each(|heavy| heavy.carry(carry));
        carry.flag(&mut self.is_off);
        carry.flag(&mut self.was_closed);
        carry.option(&mut self.usual, Carry::watts);
        carry.timers(|carry| {
            carry.option(&mut self.switched, Carry::instant);
            carry.option(&mut self.opened, Carry::instant);
            carry.option(&mut self.grounds, |carry, grounds| {
                carry.watts(&mut grounds.needed);
                carry.watts(&mut grounds.available);
            });
        });
    }
}
