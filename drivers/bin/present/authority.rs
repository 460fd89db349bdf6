//! Take-overs as people read them: who, when, how long nobody wrote, why, and by how much the set-points moved.

use r_ems_engine::Span;

use super::style::{BOLD, DIM, WARN, paint};
use super::table::{Align, Table};
use super::text::{count, duration, power};
use crate::summary::{Authorities, TakeOverSummary};

/// So many take-overs are shown one by one.
const MAX_SHOWN: usize = 12;

/// The part of the page about authority; nothing where nobody shares a grid.
pub fn part(authorities: Option<&Authorities>) -> String {
    let Some(authorities) = authorities else { return String::new() };
    let all = match (authorities.count, authorities.longest_gap_s) {
        (1, Some(gap)) => format!("1 take-over, after {}", precise(gap)),
        (many, Some(gap)) => format!("{} take-overs, the longest after {}", count(many), precise(gap)),
        (_, None) => "no take-over".to_owned(),
    };
    let messages = format!("{} messages sent", count(authorities.messages.sent));
    let mut part = format!("{}  {all}  {}\n", paint(BOLD, "authority"), paint(DIM, &messages));
    let mut table = Table::new(2, &[Align::Left, Align::Left, Align::Right, Align::Left]);
    for found in authorities.list.iter().take(MAX_SHOWN) {
        let who = if found.from == found.to {
            format!("{} is back", found.to)
        } else {
            format!("{} takes over from {}", found.to, found.from)
        };
        table.row([found.at.clone(), who, precise(found.gap_s), why(found)]);
    }
    part += &table.to_string();
    let rest = authorities.count - authorities.list.len().min(MAX_SHOWN) as u64;
    if rest > 0 {
        part += &format!("  and {} more\n", count(rest));
    }
    for waiting in &authorities.waiting {
        part += &format!(
            "  {} nobody writes in {} since {}\n",
            paint(WARN, "at the end"),
            waiting.grid,
            waiting.since
        );
    }
    for lost in authorities.unheard.iter().take(MAX_SHOWN) {
        part += &format!(
            "  {} {} was down at {} when it was asked for: {}\n",
            paint(WARN, "unheard"),
            lost.controller,
            lost.at,
            lost.command
        );
    }
    part + "\n"
}

fn why(found: &TakeOverSummary) -> String {
    let noticed =
        found.detected_s.map_or_else(String::new, |after| format!(", noticed after {}", precise(after)));
    let reason = found.reason.map(|reason| format!("{reason}{noticed}; "));
    let epoch = found.epoch.as_ref().map(|epoch| format!("epoch {epoch}"));
    let step = found.step_w.map(|step| format!(", a step of {}", power(step)));
    let age = match (found.state_age_s, found.step_w) {
        (Some(age), _) => Some(format!(", state {} old", precise(age))),
        // The age is told with the step; who is back needs nobody else's state.
        (None, Some(_)) if found.from != found.to => Some(", with no state of the one before".to_owned()),
        (None, _) => None,
    };
    [reason, epoch, step, age].into_iter().flatten().collect()
}

/// A gap to a tenth of a millisecond where it is short: that is where intervals are compared.
fn precise(secs: f64) -> String {
    if secs < 1.0 { format!("{:.1} ms", secs * 1e3) } else { duration(Span::from_secs_f64(secs)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_take_over_without_a_state_says_so() {
        let found = |to: &str, state_age_s| TakeOverSummary {
            at_s: 1.0,
            at: String::new(),
            from: "grid/a".to_owned(),
            to: to.to_owned(),
            lost_at: String::new(),
            gap_s: 0.1,
            reason: Some("the active fell silent"),
            epoch: Some("2.1".to_owned()),
            detected_s: Some(0.03),
            acted_s: Some(0.05),
            step_w: Some(0.0),
            state_age_s,
        };
        let told = "the active fell silent, noticed after 30.0 ms; epoch 2.1, a step of 0 W";
        assert_eq!(why(&found("grid/b", Some(0.02))), format!("{told}, state 20.0 ms old"));
        assert_eq!(why(&found("grid/b", None)), format!("{told}, with no state of the one before"));
        assert_eq!(why(&found("grid/a", None)), told);
        assert_eq!(
            why(&TakeOverSummary { step_w: None, ..found("grid/a", None) }),
            "the active fell silent, noticed after 30.0 ms; epoch 2.1"
        );
        let reason = Some("an operator's word");
        let asked = TakeOverSummary { reason, detected_s: None, ..found("grid/b", Some(0.02)) };
        assert_eq!(why(&asked), "an operator's word; epoch 2.1, a step of 0 W, state 20.0 ms old");
    }
}
