//! Lets each delivery of another driver pass at its time.
//!
//! The inner driver says what happens next and when; this one waits until then. It never skips a delivery: a loop that is late
//! catches up without waiting. A command that comes while it waits is delivered after the delivery that it waits for, at that
//! one's time: the inner driver gets it and delivers it, so that whatever records the run records it too.
//!
//! **Invariant:** what passes, and in which order, is the inner driver's matter alone; how late it passes is told to nobody
//! inside.

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Commanded, Delivery, Driver, Handled, Outcome};
use r_ems_engine::{Span, Time};

use crate::clock::{Clock, Waited};
use crate::control::{COMMANDS_MAX, Controlled};

/// The longest time without a sign of life, also where nothing happens: a watchdog's patience must be longer.
pub const SIGN_OF_LIFE_EVERY: Span = Span::from_millis(500);

/// How far a run in real time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Runs,
    /// Everybody was asked to end in order.
    Stops,
    /// Nothing passes any more.
    Ended(End),
}

/// Why a run in real time ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The inner driver has nothing more.
    Over,
    /// Everybody was asked to end in order.
    InOrder,
    /// Somebody did not want to wait for that.
    AtOnce,
}

/// A driver whose deliveries pass at their time.
#[derive(Debug)]
pub struct Paced<D, C> {
    inner: D,
    clock: C,
    controlled: Controlled,
    /// How long an end in order may take.
    patience: Span,
    stage: Stage,
    /// When nobody is waited for any more, once somebody has asked for an end in order.
    given_up: Time,
    /// The time of the last delivery.
    last: Time,
}

impl<D, C> Paced<D, C> {
    /// Paces `inner` by `clock`. Whoever is asked to end in order has `patience` for it.
    pub fn new(inner: D, clock: C, controlled: Controlled, patience: Span) -> Self {
        let (stage, given_up, last) = (Stage::Runs, Time::MAX, Time::ZERO);
        Self { inner, clock, controlled, patience, stage, given_up, last }
    }

    /// Why the run ended, once it has.
    pub const fn end(&self) -> End {
        match self.stage {
            Stage::Runs => End::Over,
            Stage::Stops => End::InOrder,
            Stage::Ended(end) => end,
        }
    }
}

impl<D: Commanded, C> Paced<D, C> {
    /// Hands what was asked for to the inner driver.
    fn pass_on(&mut self) {
        // Whoever asks without end does not keep the loop from what is due: the rest is taken after that.
        for asked in (0..COMMANDS_MAX).map_while(|_| self.controlled.take()) {
            self.inner.command(self.last, asked.to, asked.command);
        }
        if self.stage == Stage::Runs && self.controlled.stops() {
            self.stage = Stage::Stops;
            self.given_up = self.given_up.min(self.last + self.patience);
            self.inner.stop(self.last, self.given_up);
        }
    }
}

impl<D: Driver + Commanded, C: Clock> Driver for Paced<D, C> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.pass_on();
        if matches!(self.stage, Stage::Ended(_)) {
            return None;
        }
        let delivery = self.inner.next()?;
        loop {
            if self.controlled.ends() {
                self.stage = Stage::Ended(End::AtOnce);
                return None;
            }
            self.controlled.tick();
            let now = self.clock.now();
            // Who is asked to end only hears of it with the next delivery, and that may be far.
            if self.given_up == Time::MAX && self.controlled.stops() {
                self.given_up = now + self.patience;
            }
            if now >= delivery.at {
                self.controlled.passed(now.since(delivery.at));
                self.last = delivery.at;
                return Some(delivery);
            }
            if now >= self.given_up {
                self.stage = Stage::Ended(End::InOrder);
                return None;
            }
            // Who is woken looks whether the run ends, and waits on.
            let (Waited::Reached | Waited::Woken) =
                self.clock.wait(delivery.at.min(self.given_up).min(now + SIGN_OF_LIFE_EVERY));
        }
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.inner.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.inner.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}

#[cfg(test)]
mod tests;
