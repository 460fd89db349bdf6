//! `r-emsctl run --sweep`: one run for every combination of values, one row of CSV for each run.
//!
//! An expectation that a run misses is a result, which its row names, and no failure of the sweep: whoever looks for the smallest
//! battery that does wants to see those that do not. The exit code is 0 when the table is whole.

use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::sweep::Sweep;

use super::args::{Format, Run};
use super::explore::processors;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::study::progress::Interrupt;
use crate::study::sweep::{self, Heard, Sweeping};

/// Runs a sweep.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Run,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if format == Format::Json {
        return Err(Failure::usage("--sweep: expected --format human, as a sweep prints CSV, got json"));
    }
    let sweep = Sweep::new(arguments.sweep.clone())
        .map_err(|message| Failure::usage(format!("--sweep: {message}")))?;
    let interrupt = Interrupt::on_signals()
        .map_err(|error| Failure::error(format!("Ctrl-C cannot be watched: {error}")))?;
    let sweeping = Sweeping {
        file: &arguments.file,
        overrides: &super::run::overrides(arguments),
        sweep: &sweep,
        jobs: arguments.jobs.map_or_else(processors, usize::from),
        interrupt,
    };
    let mut line = |text: &str| output.text(&format!("{text}\n"));
    let swept = sweep::run::<F>(&sweeping, &mut Heard { line: &mut line, warning: &mut say })?;
    for words in &swept.unsound {
        say(&format!(
            "error: {words}, which is a bug of r-ems or of a law; make this run alone with --set and --record"
        ));
    }
    if swept.was_interrupted {
        say(&format!("interrupted: the table has {} of {} runs", swept.rows, sweep.runs()));
        return Ok(Exit::Error);
    }
    Ok(if swept.unsound.is_empty() { Exit::Ok } else { Exit::Error })
}
