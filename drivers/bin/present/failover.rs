//! How long take-overs last, as a page.

use std::path::Path;

use super::style::{BAD, BOLD, WARN, paint};
use super::table::{Align, Table};
use super::text;
use crate::explore::distribution::Quantiles;
use crate::explore::failover::{Row, was_interrupted};

/// Widest bar of a distribution.
const BAR_CHARS: u64 = 40;

/// The page.
pub fn page(file: &Path, seed: u64, rows: &[Row], ranges: u64) -> String {
    let mut page = format!(
        "{} take-overs from the crash of the active's host to the first accepted write of the next, seed {seed}\n\n",
        paint(BOLD, &file.display().to_string())
    );
    if was_interrupted(rows) {
        let runs = rows.iter().map(|row| row.explored.runs).sum();
        let told =
            format!("interrupted after {} runs: this covers what was made until then", text::count(runs));
        page += &format!("  {}\n\n", paint(WARN, &told));
    }
    let columns =
        [Align::Left, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &columns);
    table.row(["D", "take-overs", "p50", "p99", "p99.9", "longest", "violations"]);
    for row in rows {
        let Quantiles { count, p50, p99, p999, max } = row.explored.take_overs.quantiles();
        let millis = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} ms"));
        let failures = row.explored.failures;
        let failures = if failures == 0 { "0".to_owned() } else { paint(BAD, &text::count(failures)) };
        let cells = [millis(p50), millis(p99), millis(p999), millis(max), failures];
        table.row([row.name.clone(), text::count(count)].into_iter().chain(cells));
    }
    page += &table.headed();
    for row in rows {
        page += &format!("\n  D {}\n", row.name);
        page += &distribution(row, ranges);
    }
    page
}

fn distribution(row: &Row, ranges: u64) -> String {
    let ranges = row.explored.take_overs.ranges(ranges);
    let most = ranges.iter().map(|range| range.1).max().unwrap_or(0).max(1);
    let mut table = Table::new(2, &[Align::Right, Align::Right, Align::Left]);
    for (from, count) in ranges {
        // What is there is seen, however little it is.
        let width = (count * BAR_CHARS).div_ceil(most);
        table.row([
            format!("from {:.1} ms", from.as_secs_f64() * 1e3),
            text::count(count),
            "▇".repeat(width as usize),
        ]);
    }
    table.to_string()
}
