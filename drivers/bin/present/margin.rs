//! How far a site is from breaking, as a page.

use std::path::Path;

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::table::{Align, Table};
use super::text;
use crate::explore::Options;
use crate::explore::margin::Margins;

/// The page.
pub fn page(file: &Path, options: &Options, found: &Margins) -> String {
    let mut page = format!(
        "{} margins, from {} runs a probe, seed {}\n",
        paint(BOLD, &file.display().to_string()),
        text::count(options.runs),
        options.seed
    );
    if found.was_interrupted {
        page += &format!("  {}\n", paint(WARN, "interrupted: this covers what was searched until then"));
    }
    page += "\n";
    if found.margins.is_empty() && !found.was_interrupted {
        return page
            + "  nothing is promised here: a pair without a witness has no majority that could be broken\n";
    }
    let mut table = Table::new(2, &[Align::Left, Align::Right, Align::Right, Align::Right, Align::Left]);
    table.row(["what is made worse", "declared", "present", "breaks at", "what breaks"]);
    for margin in &found.margins {
        let shown = |value: f64| amount(value, margin.unit);
        let breaks = match margin.breaks_at {
            None => paint(GOOD, &format!("not up to {}", shown(margin.limit))),
            Some(at) if margin.is_gone() => paint(BAD, &shown(at)),
            Some(at) if margin.finished => shown(at),
            Some(at) => paint(WARN, &format!("above {}, at most {}", shown(margin.holds_at), shown(at))),
        };
        let declared = margin.declared.map_or_else(|| "any".to_owned(), shown);
        let cells = [declared, shown(margin.present), breaks, margin.property.to_owned()];
        table.row([margin.subject.clone()].into_iter().chain(cells));
    }
    page += &table.headed();
    page += "\n";
    for line in [
        "Clocks: the active's is slow and all others are fast by the error. Writes: those of the active take the time, those of",
        "the next none, and set-points are written at every scan. Stalls: between deciding and doing; who goes on does what it",
        "had decided if its own clock allows that. What is below was not broken by these runs, which is no proof.",
    ] {
        page += &format!("  {}\n", paint(DIM, line));
    }
    page
}

fn amount(value: f64, unit: &str) -> String {
    if unit == "ppm" {
        format!("{} ppm", text::count(value as u64))
    } else {
        format!("{:.3} ms", value * 1e3)
    }
}
