//! `r-emsctl margin`: how far a site is from breaking, beside what it declares.

use std::path::Path;

use r_ems_engine::functions::FunctionSet;
use serde::Serialize;

use super::args::{Format, MarginArguments};
use super::explore::processors;
use crate::exit::{Exit, Failure};
use crate::explore::margin::{Margin, margins};
use crate::explore::{Options, Site};
use crate::output::Output;
use crate::present;
use crate::study::progress::Interrupt;

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    file: String,
    seed: u64,
    /// In each probe.
    runs: u64,
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
    let site = Site::<F>::open(&arguments.file, &arguments.set, None)?;
    let jobs = arguments.jobs.map_or_else(processors, usize::from);
    let options = Options {
        seed: arguments.seed,
        runs: arguments.runs,
        time: None,
        jobs,
        interrupt: Interrupt::default(),
    };
    let margins = margins(&site, &options)?;
    match format {
        Format::Human => output.text(&present::margin::page(&arguments.file, &options, &margins))?,
        Format::Json => output.json(&printed(&arguments.file, &options, &margins))?,
    };
    // What breaks within what is declared is no margin.
    let breaks = |margin: &Margin| margin.breaks_at.is_some_and(|at| at <= margin.declared);
    Ok(if margins.iter().any(breaks) { Exit::Violated } else { Exit::Ok })
}

fn printed<'a>(file: &Path, options: &Options, margins: &'a [Margin]) -> Printed<'a> {
    Printed { file: file.to_string_lossy().into_owned(), seed: options.seed, runs: options.runs, margins }
}
