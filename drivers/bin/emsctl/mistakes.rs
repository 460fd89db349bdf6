//! Mistakes of scenario and site files as programs read them: the same form from `check` and from `run`.

use r_ems_scenarios::{Assurance, Mistake, Report, Severity};
use serde::Serialize;

/// What is printed as JSON.
#[derive(Serialize)]
pub(super) struct Printed {
    pub(super) ok: bool,
    pub(super) files: Vec<Checked>,
}

/// One file.
#[derive(Serialize)]
pub(super) struct Checked {
    file: String,
    errors: usize,
    warnings: usize,
    mistakes: Vec<Placed>,
    /// What the redundancy of each shared grid comes to; nothing where there are errors.
    redundancy: Vec<Assurance>,
}

/// One mistake; without line and column if it is about a whole file, or about what the command line sets.
#[derive(Serialize)]
struct Placed {
    file: String,
    line: Option<u32>,
    column: Option<u32>,
    field: String,
    message: String,
    severity: Severity,
}

impl Checked {
    /// What was found in a file and those that it names.
    pub(super) fn new(file: String, report: Report) -> Self {
        let (errors, warnings) = report.counts();
        let mistakes = report.mistakes.into_iter().map(Placed::new).collect();
        Self { file, errors, warnings, mistakes, redundancy: Vec::new() }
    }

    /// The same with what the redundancy of its grids comes to.
    pub(super) fn with(self, redundancy: Vec<Assurance>) -> Self {
        Self { redundancy, ..self }
    }
}

impl Placed {
    fn new(mistake: Mistake) -> Self {
        let Mistake { file, line, column, field, message, severity, .. } = mistake;
        let is_placed = line > 0;
        Self {
            file,
            line: is_placed.then_some(line),
            column: is_placed.then_some(column),
            field,
            message,
            severity,
        }
    }
}
