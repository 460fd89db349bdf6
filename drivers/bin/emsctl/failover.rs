//! `r-emsctl explore --report failover`: how long take-overs last, as a distribution.

use std::path::Path;

use r_ems_engine::functions::FunctionSet;
use serde::Serialize;

use super::args::{Explore, Format};
use super::explore::{Progress, ended, note_cut};
use crate::exit::{Exit, Failure};
use crate::explore::distribution::Quantiles;
use crate::explore::failover::{Row, was_interrupted};
use crate::explore::{Options, failover};
use crate::output::{Output, say};
use crate::present;

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed {
    file: String,
    seed: u64,
    interrupted: bool,
    rows: Vec<PrintedRow>,
}

/// The take-overs of one variant of the site.
#[derive(Serialize)]
struct PrintedRow {
    longest_write: String,
    runs: u64,
    failures: u64,
    failover_ms: Quantiles,
    distribution: Vec<Range>,
}

/// How many take-overs lasted from here to the next range.
#[derive(Serialize)]
struct Range {
    from_ms: f64,
    count: u64,
}

/// So many ranges are printed.
pub(super) const RANGES: u64 = 16;

/// Measures and prints.
pub(super) fn perform<F>(
    arguments: &Explore,
    options: &Options,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    if arguments.seed.is_none() {
        say(&format!("seed {}", options.seed));
    }
    let progress = Progress::new(options);
    let show = |reached| progress.show(reached);
    let rows: Vec<Row> =
        failover::rows::<F>(&arguments.file, &arguments.set, arguments.length, options, &show)?;
    progress.end();
    rows.iter().take(1).for_each(|row| note_cut(arguments.length, row.length));
    match format {
        Format::Human => {
            output.text(&present::failover::page(&arguments.file, options.seed, &rows, RANGES))?
        }
        Format::Json => output.json(&printed(&arguments.file, options.seed, &rows))?,
    };
    let failures: u64 = rows.iter().map(|row| row.explored.failures).sum();
    Ok(ended(failures, was_interrupted(&rows)))
}

fn printed(file: &Path, seed: u64, rows: &[Row]) -> Printed {
    let range = |(from, count): (r_ems_engine::Span, u64)| Range { from_ms: from.as_secs_f64() * 1e3, count };
    let row = |row: &Row| PrintedRow {
        longest_write: row.name.clone(),
        runs: row.explored.runs,
        failures: row.explored.failures,
        failover_ms: row.explored.take_overs.quantiles(),
        distribution: row.explored.take_overs.ranges(RANGES).into_iter().map(range).collect(),
    };
    Printed {
        file: file.to_string_lossy().into_owned(),
        seed,
        interrupted: was_interrupted(rows),
        rows: rows.iter().map(row).collect(),
    }
}
