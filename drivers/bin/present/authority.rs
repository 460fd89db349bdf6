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
    let reason = found.reason.map(|reason| format!("{reason}; "));
    let epoch = found.epoch.as_ref().map(|epoch| format!("epoch {epoch}"));
    let step = found.step_w.map(|step| format!(", a step of {}", power(step)));
    let age = found.state_age_s.map(|age| format!(", state {} old", precise(age)));
    [reason, epoch, step, age].into_iter().flatten().collect()
}

/// A gap to a tenth of a millisecond where it is short: that is where intervals are compared.
fn precise(secs: f64) -> String {
    if secs < 1.0 { format!("{:.1} ms", secs * 1e3) } else { duration(Span::from_secs_f64(secs)) }
}
