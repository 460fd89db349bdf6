//! A breaker between two sides that may both have voltage of their own.
//!
//! It closes as its [`SynchroSpec`] allows: a request waits until both sides fit, up to its time-out. Without a synchro-check
//! it closes at once, and trips if the sides do not fit; whoever closes it then must know what he does. Who asks while a side
//! is dead is the bus's business: there is nothing to wait for.

use super::SpecError;
use super::synchro_check::{Closing, SynchroCheck};
use super::{Difference, SynchroSpec};
use r_ems_engine::Time;
use r_ems_engine::units::Ratio;

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// No current can flow.
    Open,
    /// Both sides are connected.
    Closed,
}

/// Says whether a breaker has just closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moved {
    /// It stands where it stood.
    No,
    /// It has closed.
    Closed,
}

/// A breaker with what guards it.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    position: Position,
    /// What lets it close between two live sides; none: nothing.
    check: Option<SynchroCheck>,
    /// How often it was closed out of phase, and tripped.
    trips: u32,
}

impl Breaker {
    /// A closed breaker behind a synchro-check with the usual numbers.
    pub(super) fn new() -> Self {
        let check = Some(SynchroCheck::new(SynchroSpec::default()));
        Self { position: Position::Closed, check, trips: 0 }
    }

    /// The same breaker with another synchro-check, or with none.
    pub(super) fn checked_by(self, spec: Option<SynchroSpec>) -> Result<Self, SpecError> {
        if let Some(spec) = &spec {
            spec.check()?;
        }
        Ok(Self { check: spec.map(SynchroCheck::new), ..self })
    }

    /// Where it stands.
    #[inline]
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// How often it was closed out of phase.
    pub(super) fn trips(&self) -> u32 {
        self.trips
    }

    /// Moves it; who waited for it waits no more.
    pub(super) fn switch(&mut self, position: Position) {
        if let Some(check) = &mut self.check {
            check.forget();
        }
        self.position = position;
    }

    /// Closes it between two live sides as soon as they fit; without a synchro-check at once, and it trips if they do not.
    pub(super) fn ask(&mut self, is: Difference, now: Time) {
        if let Some(check) = &mut self.check {
            check.ask(now);
        } else if (SynchroSpec { slip_min: Ratio::ZERO, ..SynchroSpec::default() }).fits(is) {
            self.switch(Position::Closed);
        } else {
            self.trips += 1;
        }
    }

    /// Whether a request to close waits.
    pub(super) fn waits(&self) -> bool {
        self.check.is_some_and(|check| check.waits())
    }

    /// Lets the synchro-check see both sides.
    pub(super) fn look(&mut self, is: Difference, now: Time) -> Moved {
        let closing = self.check.as_mut().map_or(Closing::None, |check| check.look(is, now));
        match closing {
            Closing::Closes => {
                self.switch(Position::Closed);
                Moved::Closed
            }
            Closing::None | Closing::Waits => Moved::No,
        }
    }
}
