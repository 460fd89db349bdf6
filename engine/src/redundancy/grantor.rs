//! A voter's side of a lease: to whom it may grant, and what it must remember over a restart.
//!
//! - After a grant it grants to nobody else for W, counted on its own clock from the grant.
//! - It never grants an epoch below one that it granted, and an epoch belongs to one life of one controller.
//! - It keeps a durable **ceiling**, raised in blocks ahead of need, and grants only up to it: so a grant costs no disk sync.
//! - After a restart it grants nothing for W, because a grant of the life before may still run, and nothing at or below the
//!   ceiling that it found, renewals included, because it may have granted any of it.
//!
//! Durable votes without the wait give two authorities; the wait without durable epochs gives one epoch to two controllers.
//! Requests are never queued: an answer is given at once, and a refusal changes nothing.

use serde::{Deserialize, Serialize};

use super::epoch::{Epoch, Seat};
use crate::mistakes::{Mistake, makes};
use crate::time::{LocalTime, Span};

/// So many rounds a ceiling is raised at once: at a take-over a second, a sync every minute.
pub const CEILING_BLOCK: u32 = 64;

/// What one voter remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grantor {
    wait: Span,
    /// Nothing is granted before.
    opens_at: LocalTime,
    /// Nothing is granted at or below.
    floor: Epoch,
    /// Nothing is granted above until it has been raised; durable.
    ceiling: Epoch,
    /// The ceiling on its way to the disk.
    raising: Option<Epoch>,
    granted: Option<Granted>,
    /// It may have granted what it does not know.
    abstains: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Granted {
    epoch: Epoch,
    incarnation: u32,
    /// Until when nobody else is granted anything.
    until: LocalTime,
}

/// Why a voter refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// A higher epoch was granted, or may have been in an earlier life.
    Outdated,
    /// A grant to another may still run.
    Taken,
    /// The voter restarted, and a grant of its life before may still run.
    Restarted,
    /// The ceiling is on its way to the disk.
    Raising,
}

/// A voter's answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lease is granted.
    Granted,
    /// It is not; nothing has changed.
    Refused {
        /// Why.
        refusal: Refusal,
        /// The epoch up to which nothing is granted to the one who asked.
        floor: Epoch,
        /// How long the voter will refuse at least, on its own clock.
        wait: Span,
    },
}

impl Grantor {
    /// Begins a life at `now` with the durable ceiling that was found, and with what else is known to have been granted;
    /// `wait` is W.
    pub fn new(now: LocalTime, wait: Span, ceiling: Epoch, known: Epoch) -> Self {
        let (opens_at, floor) = (now + wait, ceiling.max(known));
        let grantor = Self { wait, opens_at, floor, ceiling, raising: None, granted: None, abstains: false };
        if makes(Mistake::ForgetsGrants) {
            return Self { opens_at: now, floor: Epoch::NONE, ..grantor };
        }
        grantor
    }

    /// Whether a grant of the life before may still run.
    pub fn waits(&self, now: LocalTime) -> bool {
        now < self.opens_at
    }

    /// Grants nothing from now on: what was durable is lost.
    pub const fn abstain(&mut self) {
        self.abstains = true;
    }

    /// Grants again, after W and above `floor`, which is all that it may have granted.
    pub fn vote_again(&mut self, now: LocalTime, floor: Epoch) {
        if core::mem::take(&mut self.abstains) {
            self.opens_at = now + self.wait;
            self.floor = self.floor.max(floor);
        }
    }

    /// Answers a request for `epoch` by a life of a controller.
    pub fn ask(&mut self, now: LocalTime, epoch: Epoch, incarnation: u32) -> Answer {
        let refused = |refusal, floor, wait| Answer::Refused { refusal, floor, wait };
        if self.abstains {
            return refused(Refusal::Restarted, self.floor, self.wait);
        }
        if now < self.opens_at {
            return refused(Refusal::Restarted, self.floor, self.opens_at.since(now));
        }
        if epoch <= self.floor {
            return refused(Refusal::Outdated, self.floor, Span::ZERO);
        }
        if let Some(granted) = self.granted {
            let is_renewal = epoch == granted.epoch && incarnation == granted.incarnation;
            if epoch <= granted.epoch && !is_renewal {
                return refused(Refusal::Outdated, granted.epoch, granted.left(now, epoch.seat));
            }
            let left = granted.left(now, epoch.seat);
            if !left.is_zero() {
                if makes(Mistake::RefusalChangesState) {
                    self.granted = Some(Granted { epoch, incarnation, ..granted });
                }
                return refused(Refusal::Taken, granted.epoch, left);
            }
        }
        if epoch > self.ceiling {
            return refused(Refusal::Raising, self.floor, Span::ZERO);
        }
        self.granted = Some(Granted { epoch, incarnation, until: now + self.wait });
        Answer::Granted
    }

    /// The life of a controller that was granted `epoch` writes no more: others may be granted at once.
    pub fn release(&mut self, now: LocalTime, epoch: Epoch, incarnation: u32) {
        if let Some(granted) = &mut self.granted
            && granted.epoch == epoch
            && granted.incarnation == incarnation
        {
            granted.until = granted.until.min(now);
        }
    }

    /// The ceiling that must become durable now, if one must: half a block of rounds is always at hand.
    ///
    /// `wanted` is the highest epoch that somebody asked for.
    pub fn raise(&mut self, wanted: Epoch) -> Option<Epoch> {
        let used = self.granted.map_or(self.floor, |granted| granted.epoch).max(wanted);
        if self.raising.is_some() || used.round.saturating_add(CEILING_BLOCK / 2) < self.ceiling.round {
            return None;
        }
        let raised = Epoch { round: used.round.saturating_add(CEILING_BLOCK), seat: Seat(u8::MAX) };
        self.raising = Some(raised);
        Some(raised)
    }

    /// A ceiling is durable, which may be another than the one that is on its way now.
    pub fn raised(&mut self, durable: Epoch) {
        self.ceiling = self.ceiling.max(durable);
        if self.raising.is_some_and(|raising| raising <= durable) {
            self.raising = None;
        }
    }

    /// The ceiling that was on its way did not arrive: it is asked for again.
    pub const fn not_raised(&mut self) {
        self.raising = None;
    }

    /// What of it can still matter, without absolute times.
    #[cfg(test)]
    pub(super) fn gist(&self, now: LocalTime) -> Gist {
        let granted =
            self.granted.map(|granted| (granted.epoch, granted.incarnation, granted.until.since(now)));
        (self.opens_at.since(now), self.floor, self.ceiling, self.raising, granted)
    }

    /// Nothing above is granted before it has been raised.
    pub const fn ceiling(&self) -> Epoch {
        self.ceiling
    }
}

/// How long it stays closed, its floor, its ceiling, the one on its way, and what was granted with how long that binds.
#[cfg(test)]
type Gist = (Span, Epoch, Epoch, Option<Epoch>, Option<(Epoch, u32, Span)>);

impl Granted {
    /// How long a grant still binds against `seat`; a controller is never bound by its own.
    fn left(&self, now: LocalTime, seat: Seat) -> Span {
        let is_free = seat == self.epoch.seat || makes(Mistake::GrantsToAnotherAtOnce);
        if is_free { Span::ZERO } else { self.until.since(now) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Span = Span::from_millis(20);

    fn at(millis: u64) -> LocalTime {
        LocalTime::from_nanos(millis * 1_000_000)
    }

    fn epoch(round: u32, seat: u8) -> Epoch {
        Epoch { round, seat: Seat(seat) }
    }

    fn refused(refusal: Refusal, floor: Epoch, wait_ms: u64) -> Answer {
        Answer::Refused { refusal, floor, wait: Span::from_millis(wait_ms) }
    }

    /// A grantor that has been up for W, with room for epochs.
    fn grantor() -> Grantor {
        let mut grantor = Grantor::new(at(0), WAIT, Epoch::NONE, Epoch::NONE);
        let raised = grantor.raise(Epoch::NONE).expect("a ceiling is raised at once");
        grantor.raised(raised);
        grantor
    }

    #[test]
    fn it_grants_to_nobody_else_for_w_and_to_the_holder_always() {
        let mut grantor = grantor();
        assert_eq!(grantor.ask(at(20), epoch(1, 0), 1), Answer::Granted);
        assert_eq!(grantor.ask(at(39), epoch(2, 1), 1), refused(Refusal::Taken, epoch(1, 0), 1));
        assert_eq!(grantor.ask(at(39), epoch(1, 0), 1), Answer::Granted);
        assert_eq!(grantor.ask(at(58), epoch(2, 1), 1), refused(Refusal::Taken, epoch(1, 0), 1));
        assert_eq!(grantor.ask(at(59), epoch(2, 1), 1), Answer::Granted);
        assert_eq!(grantor.ask(at(99), epoch(1, 0), 1), refused(Refusal::Outdated, epoch(2, 1), 0));
    }

    #[test]
    fn one_that_lost_its_promises_grants_nothing_before_it_has_a_floor() {
        let mut grantor = grantor();
        grantor.abstain();
        assert_eq!(grantor.ask(at(90), epoch(9, 0), 1), refused(Refusal::Restarted, Epoch::NONE, 20));
        grantor.vote_again(at(100), epoch(9, 0));
        assert_eq!(grantor.ask(at(119), epoch(9, 1), 1), refused(Refusal::Restarted, epoch(9, 0), 1));
        assert_eq!(grantor.ask(at(120), epoch(9, 0), 1), refused(Refusal::Outdated, epoch(9, 0), 0));
        assert_eq!(grantor.ask(at(120), epoch(9, 1), 1), Answer::Granted);
    }

    #[test]
    fn an_epoch_belongs_to_one_life() {
        let mut grantor = grantor();
        assert_eq!(grantor.ask(at(20), epoch(1, 0), 1), Answer::Granted);
        assert_eq!(grantor.ask(at(21), epoch(1, 0), 2), refused(Refusal::Outdated, epoch(1, 0), 0));
        assert_eq!(grantor.ask(at(21), epoch(2, 0), 2), Answer::Granted);
    }

    #[test]
    fn after_a_restart_it_waits_and_grants_nothing_that_it_may_have_granted_before() {
        let ceiling = epoch(64, u8::MAX);
        let mut grantor = Grantor::new(at(1_000), WAIT, ceiling, Epoch::NONE);
        assert_eq!(grantor.ask(at(1_019), epoch(65, 0), 1), refused(Refusal::Restarted, ceiling, 1));
        assert_eq!(grantor.ask(at(1_020), epoch(64, 0), 1), refused(Refusal::Outdated, ceiling, 0));
        assert_eq!(grantor.ask(at(1_020), epoch(65, 0), 1), refused(Refusal::Raising, ceiling, 0));
        assert_eq!(grantor.raise(Epoch::NONE), Some(epoch(128, u8::MAX)));
        assert_eq!(grantor.ask(at(1_020), epoch(65, 0), 1), refused(Refusal::Raising, ceiling, 0));
        grantor.raised(epoch(128, u8::MAX));
        assert_eq!(grantor.ask(at(1_020), epoch(65, 0), 1), Answer::Granted);
    }

    #[test]
    fn a_released_grant_binds_nobody() {
        let mut grantor = grantor();
        assert_eq!(grantor.ask(at(20), epoch(1, 0), 1), Answer::Granted);
        grantor.release(at(21), epoch(1, 1), 1);
        assert_eq!(grantor.ask(at(21), epoch(2, 1), 1), refused(Refusal::Taken, epoch(1, 0), 19));
        grantor.release(at(21), epoch(1, 0), 2);
        assert_eq!(
            grantor.ask(at(21), epoch(2, 1), 1),
            refused(Refusal::Taken, epoch(1, 0), 19),
            "another life"
        );
        grantor.release(at(21), epoch(1, 0), 1);
        assert_eq!(grantor.ask(at(21), epoch(2, 1), 1), Answer::Granted);
    }

    #[test]
    fn the_ceiling_is_raised_before_it_is_reached() {
        let mut grantor = grantor();
        assert_eq!(grantor.ceiling(), epoch(64, u8::MAX));
        assert_eq!(grantor.ask(at(20), epoch(31, 0), 1), Answer::Granted);
        assert_eq!(grantor.raise(Epoch::NONE), None);
        assert_eq!(grantor.ask(at(20), epoch(32, 0), 1), Answer::Granted);
        assert_eq!(grantor.raise(Epoch::NONE), Some(epoch(96, u8::MAX)));
        assert_eq!(grantor.raise(Epoch::NONE), None, "one at a time");
    }
}
