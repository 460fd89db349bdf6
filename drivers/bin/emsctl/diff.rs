//! `r-emsctl diff`: the first difference of two logs, without running anything.

use std::path::Path;

use r_ems_engine::functions::FunctionSet;
use serde::Serialize;

use super::args::Format;
use super::log_file::LogFile;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::present::style::{BAD, GOOD, paint};

/// What is printed as JSON.
#[derive(Serialize)]
struct Comparison<'a> {
    same: bool,
    difference: Option<&'a r_ems_replay::Difference>,
}

/// Compares two logs.
pub(super) fn perform<F: FunctionSet>(
    expected: &Path,
    found: &Path,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (left, right) = (LogFile::open::<F>(expected)?, LogFile::open::<F>(found)?);
    let difference = r_ems_replay::diff(left.bytes()?, right.bytes()?).map_err(|error| {
        // The comparison does not say which of both could not be read; reading each alone does.
        left.damage().or_else(|| right.damage()).unwrap_or_else(|| Failure::error(error.to_string()))
    })?;
    match (format, &difference) {
        (Format::Json, _) => {
            output.json(&Comparison { same: difference.is_none(), difference: difference.as_ref() })?
        }
        (Format::Human, None) => output.text(&format!("{}\n", paint(GOOD, "the logs hold the same run")))?,
        (Format::Human, Some(difference)) => {
            output.text(&format!("{}\n{difference}", paint(BAD, "the logs part")))?
        }
    };
    Ok(if difference.is_some() { Exit::Diverged } else { Exit::Ok })
}
