//! `r-emsctl`: runs scenarios, and replays, shows, compares and explains logs.
//!
//! One file a command. Each turns its arguments into a call of the library, prints the result as a page or as JSON, and says
//! how the program ends. **Invariant:** data goes to standard output, everything else to standard error.
//!
//! The JSON forms are stable; fields are added and never changed:
//!
//! | command | what is printed |
//! |---|---|
//! | `check` | `{ ok, files: [{ file, errors, warnings, mistakes: [{ file, line, column, field, message, severity }] }] }` |
//! | `run` | the summary: see [`crate::summary`] |
//! | `replay` | `{ ok, deliveries, until_s, digest, end, poisoned, compatibility, divergence, event_difference }` |
//! | `show` | one object a line, one line a record: see [`r_ems_replay::Entry`] |
//! | `diff` | `{ ok, same, end, notes, difference }` |
//! | `explain` | `{ at, at_s, expectation, explanations }`: see [`crate::explanation`] |
//!
//! `end` is how a log ended: `over`, `stopped`, `poisoned` (a controller failed an assertion), `torn` (it has no closing record,
//! because whoever wrote it was cut off), or nothing if it was not read to its end. Of two logs, one torn log makes it `torn`.

pub mod args;
mod check;
mod diff;
mod explain;
mod generate;
mod log_file;
mod replay;
mod run;
mod show;

use std::ffi::OsString;

use r_ems_engine::functions::FunctionSet;

use self::args::{Arguments, Command};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::present::style::{BAD, paint};
use crate::study::contained::quiet_contained_panics;

/// Does what the arguments say, with the functions of `F`.
pub fn main<F: FunctionSet>(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    quiet_contained_panics();
    let arguments = match Arguments::read(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers; clap knows which stream each belongs to, and a closed one is no error.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    match perform::<F>(arguments) {
        Ok(exit) => exit,
        Err(Failure { exit, message }) => {
            say(&format!("{} {message}", paint(BAD, "error:")));
            exit
        }
    }
}

fn perform<F: FunctionSet>(arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { command, format } = arguments;
    let mut output = Output::default();
    match command {
        Command::Check { files } => check::perform::<F>(&files, format, &mut output),
        Command::Run(arguments) => run::perform::<F>(&arguments, format, &mut output),
        Command::Replay(arguments) => replay::perform::<F>(&arguments, format, &mut output),
        Command::Show(arguments) => show::perform::<F>(&arguments, format, &mut output),
        Command::Diff { expected, found, torn } => {
            diff::perform::<F>(&diff::Pair { expected, found, torn }, format, &mut output)
        }
        Command::Explain(arguments) => explain::perform::<F>(&arguments, format, &mut output),
        Command::Completions { shell } => generate::completions(shell, &mut output),
        Command::Man { directory } => generate::manual(directory.as_deref(), &mut output),
    }
}
