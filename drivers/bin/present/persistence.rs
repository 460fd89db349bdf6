//! What outlived the controllers, as people read it.

use r_ems_engine::Span;

use super::style::{BOLD, WARN, paint};
use super::table::{Align, Table};
use super::text::{count, duration};
use crate::summary::PersistenceSummary;

/// The part of the page about persistence; nothing where nothing is kept.
pub fn part(persistence: Option<&Vec<PersistenceSummary>>) -> String {
    let Some(controllers) = persistence else { return String::new() };
    let columns = [Align::Left, Align::Right, Align::Right, Align::Left, Align::Left, Align::Right];
    let mut table = Table::new(2, &columns);
    table.row(["controller", "snapshots", "failed", "stopped", "went on", "without a journal"]);
    for found in controllers {
        let lives =
            [(found.replayed, "as before"), (found.damaged, "from an older state"), (found.fresh, "anew")];
        let stops = [(found.stopped, "in order"), (found.stopped_unkept, "without its state")];
        let degraded = if found.degraded_s > 0.0 {
            paint(WARN, &duration(Span::from_secs_f64(found.degraded_s)))
        } else {
            "never".to_owned()
        };
        let (taken, failed) = (count(found.snapshots), count(found.snapshots_failed));
        table.row([found.controller.clone(), taken, failed, counted(&stops), counted(&lives), degraded]);
    }
    format!("{}\n{}\n", paint(BOLD, "persistence"), table.headed())
}

/// How often what happened, without what did not.
fn counted(all: &[(u64, &str)]) -> String {
    let told: Vec<String> = all
        .iter()
        .filter(|(times, _)| *times > 0)
        .map(|(times, how)| format!("{} × {how}", count(*times)))
        .collect();
    if told.is_empty() { "–".to_owned() } else { told.join(", ") }
}
