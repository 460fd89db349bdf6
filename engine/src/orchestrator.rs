//! The orchestrator: it starts controllers again that failed an assertion, each with a pause of its own.
//!
//! A failed assertion is a bug, and the next life may meet it again at once: so the pause doubles with each failure in a row, and
//! is short again once a life has been healthy for a while. Meanwhile others take over, and other grids do not notice.
//!
//! It decides when; the driver does it. What it decides is in the log as the restoring and the boot of the next life.
//!
//! **Decision: a replay fails too.** The log holds the delivery that failed, and behind it that it did; a replay delivers it
//! again and must fail there, and nowhere else. To leave the delivery out would be shorter, but then nobody could look at the
//! failure, and a repaired law would seem to replay the same. As it is, its first departure from the log is the repair. What the
//! failed machine was left as reaches nobody: it is restored, from its journal or as it was made, before anything else.

use alloc::vec::Vec;

use crate::ids::ControllerIndex;
use crate::time::{Span, Time};

/// The pause after the first failure: longer than it takes others to take over.
pub const RESTART_FIRST: Span = Span::from_secs(1);
/// The longest pause: whoever repairs the cause need not wait long.
pub const RESTART_MAX: Span = Span::from_secs(64);
/// A life that lasted so long was healthy: the next pause is short again. Longer than the longest pause, and than laws remember.
pub const HEALTHY_AFTER: Span = Span::from_mins(10);

/// Supervises the controllers of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Orchestrator {
    of: Vec<Supervised>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Supervised {
    began: Time,
    /// Failures in a row.
    failures: u8,
}

impl Orchestrator {
    /// Supervises so many controllers, which begin to live now.
    pub fn new(controllers: usize) -> Self {
        Self { of: alloc::vec![Supervised::default(); controllers] }
    }

    /// A life begins.
    pub fn began(&mut self, at: Time, controller: ControllerIndex) {
        self.of[controller.position()].began = at;
    }

    /// A life has failed; returns when the next one is to begin.
    pub fn failed(&mut self, at: Time, controller: ControllerIndex) -> Time {
        let supervised = &mut self.of[controller.position()];
        if at.since(supervised.began) >= HEALTHY_AFTER {
            supervised.failures = 0;
        }
        let doublings = u32::from(supervised.failures.min(MAX_DOUBLINGS));
        supervised.failures = supervised.failures.saturating_add(1);
        at + RESTART_FIRST * (1 << doublings)
    }
}

const MAX_DOUBLINGS: u8 = 6;
const _: () = assert!(RESTART_FIRST.as_nanos() << MAX_DOUBLINGS == RESTART_MAX.as_nanos());

#[cfg(test)]
mod tests {
    use super::*;

    const A: ControllerIndex = ControllerIndex(0);
    const B: ControllerIndex = ControllerIndex(1);

    #[test]
    fn pauses_double_up_to_the_longest_and_are_of_one_controller() {
        let mut orchestrator = Orchestrator::new(2);
        let mut at = Time::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..9 {
            let next = orchestrator.failed(at, A);
            pauses.push(next.since(at));
            orchestrator.began(next, A);
            at = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64].map(Span::from_secs));
        assert_eq!(orchestrator.failed(at, B), at + RESTART_FIRST);
    }

    #[test]
    fn a_healthy_life_makes_the_next_pause_short_again() {
        let nearly = Span::from_nanos(HEALTHY_AFTER.as_nanos() - 1);
        for (lasted, pause) in [(nearly, RESTART_FIRST * 2), (HEALTHY_AFTER, RESTART_FIRST)] {
            let mut orchestrator = Orchestrator::new(1);
            let begins = orchestrator.failed(Time::ZERO, A);
            orchestrator.began(begins, A);
            let fails = begins + lasted;
            assert_eq!(orchestrator.failed(fails, A).since(fails), pause);
        }
    }
}
