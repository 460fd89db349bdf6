//! `r-emsctl check`: lists every mistake of scenario and site files, and says what the redundancy of shared grids comes to.

use std::path::PathBuf;

use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::{Disk, Report};

use super::args::Format;
use super::mistakes::{Checked, Printed};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::present;
use crate::present::style::{BAD, GOOD, paint};
use crate::study::load::report_text;

/// Checks files.
pub(super) fn perform<F: FunctionSet>(
    files: &[PathBuf],
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let mut printed = Printed { ok: true, files: Vec::with_capacity(files.len()) };
    for path in files {
        let path = path.to_string_lossy();
        let (report, redundancy) = r_ems_scenarios::examine::<F>(&Disk, &path);
        printed.ok &= !report.has_errors();
        if format == Format::Human {
            output.text(&text(&path, &report))?;
            output.text(&present::assurance::text(&redundancy))?;
        }
        printed.files.push(Checked::new(path.into_owned(), report).with(redundancy));
    }
    if format == Format::Json {
        output.json(&printed)?;
    }
    Ok(if printed.ok { Exit::Ok } else { Exit::BadScenario })
}

fn text(path: &str, report: &Report) -> String {
    match report.counts() {
        (0, 0) => format!("{path}: {}\n", paint(GOOD, "ok")),
        (0, _) => format!("{path}: {}\n\n{}\n", paint(GOOD, "ok"), report_text(report)),
        (_, _) => format!("{path}: {}\n\n{}\n", paint(BAD, "wrong"), report_text(report)),
    }
}
