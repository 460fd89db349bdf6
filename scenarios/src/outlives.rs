//! The expectation of every run with persistence, whatever its file says: what was called durable outlives every crash.
//!
//! What is judged is what the simulation's own checker found after each start, but for what a disk lied about.

use r_ems_engine::Time;
use r_ems_sim::driver::RunResult;
use r_ems_sim::survival::{Broken, Rule};

use crate::take_over::{Judged, Who};

/// What the built-in expectation is called.
pub const DURABLE_OUTLIVES: &str = "what is durable outlives crashes";

/// Judges a run.
pub(crate) fn judge(who: &Who, result: &RunResult) -> Judged {
    let end = Time::ZERO + result.simulated;
    let controllers = result.persistence.iter().flat_map(|persistence| (0..).zip(&persistence.controllers));
    let broken: Vec<(u16, Broken)> = controllers
        .flat_map(|(place, controller)| controller.broken.iter().map(move |broken| (place, *broken)))
        .collect();
    let Some((place, first)) = broken.iter().min_by_key(|(_, broken)| broken.at) else {
        return Judged::unbroken(end);
    };
    let what = match first.rule {
        Rule::State => "is not in a state in which it stood",
        Rule::Promise => "does not know what it promised",
        Rule::Damage => "finds damaged what was durable, and no disk lied",
    };
    let words = format!("{} {what}", who.member(*place));
    let value = broken.len() as f64;
    Judged { held: false, margin: -value, at: first.at, value, rule: Some(first.rule.name()), words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::Span;
    use r_ems_sim::authority::AuthorityResult;
    use r_ems_sim::driver::PersistenceResult;
    use r_ems_sim::survival::Survival;

    #[test]
    fn what_was_lost_names_who_and_what() {
        let mut survival = Survival::new();
        let mut result = RunResult {
            simulated: Span::from_secs(10),
            grids: Vec::new(),
            verdicts: Vec::new(),
            traffic: Vec::new(),
            authority: AuthorityResult::default(),
            progress: Default::default(),
            failures: Vec::new(),
            persistence: Some(PersistenceResult { controllers: vec![survival.clone()], operations: 0 }),
        };
        assert!(judge(&Who::default(), &result).held);
        let at = Time::ZERO + Span::from_secs(3);
        survival.broken.push(Broken { at, rule: Rule::Promise });
        result.persistence = Some(PersistenceResult { controllers: vec![survival], operations: 0 });
        let found = judge(&Who::default(), &result);
        assert!(!found.held && found.at == at && (found.margin + 1.0).abs() < 1e-9);
        assert_eq!(found.words, "a controller does not know what it promised");
    }
}
