//! `r-emsctl run`: runs a scenario, shows how far it is, and says what happened.
//!
//! An interrupted run ends cleanly: the log is closed and readable, the summary covers the run so far and says so, and the
//! exit code is 1, because nobody can say that the expectations would have held.

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::EffectsKept;
use r_ems_scenarios::Overrides;

use super::args::{Format, Run};
use super::mistakes::{Checked, Printed};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::present;
use crate::study::load::{self, NotLoaded};
use crate::study::progress::{Interrupt, Shown};
use crate::study::{self, Options};
use crate::summary::{Ending, GridSummary};

/// Runs a scenario.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Run,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if !arguments.sweep.is_empty() {
        return super::sweep::perform::<F>(arguments, format, output);
    }
    let loaded = match load::load::<F>(&arguments.file, &overrides(arguments)) {
        Ok(loaded) => loaded,
        Err(NotLoaded::Wrong(report)) if format == Format::Json => {
            let file = arguments.file.to_string_lossy().into_owned();
            output.json(&Printed { ok: false, files: vec![Checked::new(file, report)] })?;
            return Ok(Exit::BadScenario);
        }
        Err(error) => return Err(error.into()),
    };
    if !loaded.warnings.mistakes.is_empty() {
        say(&load::report_text(&loaded.warnings));
    }
    let interrupt = Interrupt::on_signals()
        .map_err(|error| Failure::error(format!("Ctrl-C cannot be watched: {error}")))?;
    let effects = if arguments.record_effects { EffectsKept::Whole } else { EffectsKept::Digests };
    let options = Options {
        record: arguments.record.clone().map(|path| (path, effects)),
        csv: arguments.csv.clone().map(|path| (path, arguments.csv_step)),
        metrics: arguments.metrics.clone(),
        progress: Shown::Yes,
        interrupt,
    };
    let finished = study::run(loaded.study, &options)?;
    let summary = &finished.summary;
    match format {
        Format::Json => output.json(summary)?,
        Format::Human => output.text(&present::summary::page(summary))?,
    };
    for imbalance in summary.grids.iter().filter_map(|grid| grid.imbalance.as_ref()) {
        say(&format!("error: the simulated plant lost or made energy, which is a bug of r-ems: {imbalance}"));
    }
    for excess in summary.grids.iter().filter_map(|grid| grid.beyond_limits.as_ref()) {
        say(&format!("error: the simulated plant did what it cannot, which is a bug of r-ems: {excess}"));
    }
    if let Some(first) = summary.failures.first() {
        let words = first.words.as_deref().unwrap_or("an assertion failed");
        say(&format!(
            "error: controller {} failed an assertion at {}, {} in all: {words}; record the run and send its log",
            first.controller,
            first.at,
            summary.failures.len()
        ));
    }
    let is_sound = |grid: &GridSummary| grid.imbalance.is_none() && grid.beyond_limits.is_none();
    let is_sound = summary.grids.iter().all(is_sound);
    Ok(match summary.ending {
        Ending::Interrupted => {
            say("interrupted: the summary covers the run so far, and the log can be read");
            Exit::Error
        }
        Ending::Complete if !is_sound || !summary.failures.is_empty() => Exit::Error,
        Ending::Complete if !summary.held => Exit::Violated,
        Ending::Complete => Exit::Ok,
    })
}

/// What the command line changes in the scenario.
pub(super) fn overrides(arguments: &Run) -> Overrides {
    Overrides {
        seed: arguments.seed,
        until: arguments.until,
        settings: arguments.set.clone(),
        ..Overrides::default()
    }
}
