//! When an expectation can be judged, for runs that end before they were meant to.
//!
//! A run that ended early, by `--until` or by the user, proves nothing about what it did not reach. What already came true
//! did so all the same, and what was already broken stays broken.

use r_ems_engine::{Span, Time};
use r_ems_scenarios::AtEnd;
use r_ems_sim::expect::{Claim, Expectation, Verdict};

/// When an expectation can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// As soon as its window has begun: it must hold throughout.
    From(Time),
    /// At this instant, or earlier if it has come true.
    By(Time),
    /// When the whole run is over: it is about a sum.
    AtEnd,
}

impl Due {
    /// Of what is watched while a run goes on.
    pub fn of(expectation: &Expectation) -> Self {
        match &expectation.claim {
            Claim::Always { .. } | Claim::Never(_) | Claim::Bounds { .. } | Claim::NoEvent(_) => {
                Self::From(expectation.from)
            }
            Claim::Eventually { within, .. } | Claim::SomeEvent { within, .. } => {
                Self::By((expectation.from + *within).min(expectation.to))
            }
        }
    }

    /// Of what is judged when a run has ended.
    pub fn of_at_end(judged: &AtEnd) -> Self {
        if judged.is_of_the_whole_run() { Self::AtEnd } else { Self::From(Time::ZERO) }
    }

    /// Why a run of `planned` that ended after `simulated` could not judge it; none if it could.
    pub fn reason(self, verdict: &Verdict, simulated: Span, planned: Span) -> Option<&'static str> {
        if simulated >= planned {
            return None;
        }
        let end = Time::ZERO + simulated;
        match self {
            Self::From(from) if from > end => Some("the run ended before its window began"),
            Self::By(deadline) if deadline > end && !verdict.held => {
                Some("the run ended before its time was up")
            }
            Self::AtEnd => Some("the run ended early, and it is about the whole run"),
            Self::From(_) | Self::By(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(held: bool) -> Verdict {
        Verdict {
            name: String::new(),
            held,
            margin: 0.0,
            at: Time::ZERO,
            value: 0.0,
            excursions: None,
            without_value: Span::ZERO,
        }
    }

    #[test]
    fn a_run_that_ended_early_judges_only_what_it_reached() {
        let at = |minutes| Time::ZERO + Span::from_mins(minutes);
        let is_judged =
            |due: Due, held| due.reason(&verdict(held), Span::from_mins(30), Span::from_mins(60)).is_none();
        assert!(is_judged(Due::From(at(30)), false) && !is_judged(Due::From(at(31)), false));
        assert!(is_judged(Due::By(at(30)), false) && !is_judged(Due::By(at(31)), false));
        // What has happened already cannot be taken back.
        assert!(is_judged(Due::By(at(31)), true));
        assert!(!is_judged(Due::AtEnd, true));
    }

    #[test]
    fn a_whole_run_judges_everything() {
        let hour = Span::from_hours(1);
        for due in [Due::From(Time::MAX), Due::By(Time::MAX), Due::AtEnd] {
            assert_eq!(due.reason(&verdict(false), hour, hour), None, "{due:?}");
        }
    }
}
