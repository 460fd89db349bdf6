//! `r-emsctl margin`: how far a site is from breaking, beside what it declares.

use std::path::Path;

use r_ems_engine::functions::FunctionSet;
use serde::Serialize;

use super::args::{Format, MarginArguments};
use super::explore::{ended, processors};
use crate::exit::{Exit, Failure};
use crate::explore::margin::{Margin, Margins, margins};
use crate::explore::{Options, Site};
use crate::output::{Output, say};
use crate::present;
use crate::study::progress::Interrupt;

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    file: String,
    seed: u64,
    /// In each probe.
    runs: u64,
    interrupted: bool,
    margins: &'a [Margin],
}

/// Searches and prints.
pub(super) fn perform<F>(
    arguments: &MarginArguments,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let interrupt = Interrupt::on_signals()
        .map_err(|error| Failure::error(format!("Ctrl-C cannot be watched: {error}")))?;
    let site = Site::<F>::open(&arguments.file, &arguments.set, None)?;
    let jobs = arguments.jobs.map_or_else(processors, usize::from);
    let options = Options { seed: arguments.seed, runs: arguments.runs, time: None, jobs, interrupt };
    let found = margins(&site, &options, &|subject| say(&format!("searching {subject}")))?;
    match format {
        Format::Human => output.text(&present::margin::page(&arguments.file, &options, &found))?,
        Format::Json => output.json(&printed(&arguments.file, &options, &found))?,
    };
    // What breaks within what is declared is no margin.
    let gone: u64 = found.margins.iter().map(|margin| u64::from(margin.is_gone())).sum();
    Ok(ended(gone, found.was_interrupted))
}

fn printed<'a>(file: &Path, options: &Options, found: &'a Margins) -> Printed<'a> {
    Printed {
        file: file.to_string_lossy().into_owned(),
        seed: options.seed,
        runs: options.runs,
        interrupted: found.was_interrupted,
        margins: &found.margins,
    }
}
