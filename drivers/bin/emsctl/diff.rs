//! `r-emsctl diff`: the first difference of two logs, without running anything.
//!
//! A log without a closing record is torn: what it holds is compared, but nobody can say that the runs were the same to their
//! end, so the program ends with 1 unless the user accepts that.

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::End;
use r_ems_replay::Comparison;
use r_ems_replay::diff::EffectsCompared;
use serde::Serialize;

use super::args::{Diff, Format};
use super::log_file::LogFile;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::present::style::{BAD, GOOD, paint};

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    ok: bool,
    same: bool,
    end: Option<&'static str>,
    notes: &'a [String],
    difference: Option<&'a r_ems_replay::Difference>,
}

/// Compares two logs.
pub(super) fn perform<F: FunctionSet>(
    pair: &Diff,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (left, right) = (LogFile::open::<F>(&pair.expected)?, LogFile::open::<F>(&pair.found)?);
    let compared = r_ems_replay::diff(left.bytes()?, right.bytes()?).map_err(|error| {
        // The comparison does not say which of both could not be read; reading each alone does.
        left.damage().or_else(|| right.damage()).unwrap_or_else(|| Failure::error(error.to_string()))
    })?;
    let notes = notes(pair, &compared);
    let is_torn = compared.ends.iter().flatten().any(|end| end.is_torn());
    let exit = match &compared.difference {
        Some(_) => Exit::Diverged,
        None if is_torn && !pair.torn => Exit::Error,
        None => Exit::Ok,
    };
    match format {
        Format::Json => output.json(&Printed {
            ok: exit == Exit::Ok,
            same: compared.difference.is_none(),
            end: end(&compared),
            notes: &notes,
            difference: compared.difference.as_ref(),
        })?,
        Format::Human => output.text(&page(&compared, is_torn, &notes))?,
    };
    Ok(exit)
}

/// How both logs ended, in a word.
fn end(compared: &Comparison) -> Option<&'static str> {
    let ends = compared.ends.iter().flatten();
    let torn = ends.clone().find(|end| end.is_torn());
    torn.or_else(|| ends.clone().next()).map(|end| end.name())
}

/// What must be known about the comparison.
fn notes(pair: &Diff, compared: &Comparison) -> Vec<String> {
    let mut notes = Vec::new();
    for (path, end) in [&pair.expected, &pair.found].into_iter().zip(compared.ends) {
        if let Some(end @ End::Torn { .. }) = end {
            notes.push(format!("{}: {end}", path.display()));
        }
    }
    match compared.effects {
        EffectsCompared::AsKept => {}
        EffectsCompared::ByDigest => {
            let all = "effects were compared by digest, since only one of the logs holds them whole";
            notes.push(all.to_owned());
        }
    }
    notes
}

fn page(compared: &Comparison, is_torn: bool, notes: &[String]) -> String {
    let mut page = match &compared.difference {
        Some(difference) => format!("{}\n{difference}", paint(BAD, "the logs part")),
        None if is_torn => {
            format!("{}: the logs hold the same run as far as both go\n", paint(BAD, "torn"))
        }
        None => format!("{}\n", paint(GOOD, "the logs hold the same run")),
    };
    for note in notes {
        page += &format!("note: {note}\n");
    }
    page
}
