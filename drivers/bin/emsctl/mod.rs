//! `r-emsctl`: runs and explores scenarios, replays, shows, compares and explains logs, and asks a running daemon.
//!
//! One file a command. Each turns its arguments into a call of the library, prints the result as a page or as JSON, and says
//! how the program ends. **Invariant:** data goes to standard output, everything else to standard error.
//!
//! The JSON forms are stable; fields are added and never changed:
//!
//! | command | what is printed |
//! |---|---|
//! | `check` | `{ ok, files: [{ file, errors, warnings, mistakes: [{ file, line, column, field, message, severity }], redundancy: [{ grid, voters, majority, grantor_wait_s, devices, delay_s, waits_for_word, take_over_max_s, stall_max_s, clock_stop_max_s, … }] }] }` |
//! | `run` | the summary: see [`crate::summary`]; of a wrong scenario what `check` prints |
//! | `replay` | `{ ok, deliveries, until_s, digest, end, is_being_written, poisoned, compatibility, divergence, event_difference }` |
//! | `replay` of archives, of several logs, or with `--timeline` | `{ ok, archives: [{ file, ok, errors, manifest }], logs: [{ file, path, controller, role, number, verdict, follows, missing, error, from, to, deliveries, end, poisoned, compatibility, divergence }], clocks: [{ controllers, since, is_reference, told_by, ahead_s, within_s, rate_ppm, letters }], letters: [{ from, to, sent, arrived, lost, unknown, repeated, unsent }], notes, events: [{ at, at_unix_ns, controller, kind, severity, message }], events_left_out }` |
//! | `show` | one object a line, one line a record: see [`r_ems_replay::Entry`] |
//! | `diff` | `{ ok, same, end, notes, difference }` |
//! | `explain` | `{ at, at_s, expectation, explanations }`: see [`crate::explanation`] |
//! | `explore` | `{ file, seed, runs, failures, interrupted, simulated_s, wall_s, deliveries, length_s, marks: [{ name, runs }], failover_ms: { count, p50, p99, p999, max }, crashed_runs, taken_over_runs, broken: [{ property, runs, run, words, faults, settings, faults_before, tries, steps, scenario, log }] }` |
//! | `explore --report failover` | `{ file, seed, interrupted, rows: [{ longest_write, runs, failures, failover_ms, distribution: [{ from_ms, count }] }] }` |
//! | `margin` | `{ file, seed, runs, interrupted, margins: [{ subject, property, unit, declared, present, breaks_at, holds_at, limit, finished }] }` |
//! | `probe` | `{ ok, file, interrupted, devices, signs, findings: [{ device, file, line, column, field, severity, found, expected, likely }] }`: see [`crate::probe::report`] |
//! | `collect` | `{ ok, archive, packed_bytes, … }` and the manifest: see [`crate::archive::manifest::Manifest`] |
//!
//! What the commands for a running daemon print is what it answers: see [`crate::api`]; `events` prints one object a line.
//!
//! A mistake that has no place in a file has null for `line` and `column`.
//!
//! `end` is how a log ended: `over`, `stopped`, `poisoned` (a controller failed an assertion), `torn` (it has no closing record,
//! because whoever wrote it was cut off, or is still writing it), or nothing if it was not read to its end. Of two logs, one torn
//! log makes it `torn`.

pub mod args;
mod check;
mod collect;
mod daemon;
pub mod daemon_args;
pub mod demo;
pub mod device;
mod diff;
mod explain;
mod explore;
mod failover;
mod generate;
mod kept;
mod log_file;
mod margin;
mod missed;
mod mistakes;
pub mod probe;
mod replay;
mod replays;
mod run;
mod show;
mod sweep;
pub mod values;

use std::ffi::{OsStr, OsString};

use r_ems_engine::functions::FunctionSet;

pub use self::explore::Told;

use self::args::{Arguments, Command};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say, survive_file_limits};
use crate::present::style::{BAD, paint};
use crate::study::contained::quiet_contained_panics;

/// Does what the arguments say, with the functions of `F`.
pub fn main<F>(arguments: impl IntoIterator<Item = OsString>) -> Exit
where
    F: FunctionSet + Send + Sync + 'static,
    F::Spec: Send + Sync,
{
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let called = arguments.first().cloned().unwrap_or_else(|| "r-emsctl".into());
    quiet_contained_panics();
    let mut output = Output::default();
    let survives = survive_file_limits();
    let survives = survives.map_err(|error| Failure::error(format!("signals cannot be handled: {error}")));
    let ended = survives.and_then(|()| match Arguments::read(arguments) {
        Ok(Arguments { command }) => perform::<F>(command, &called, &mut output),
        Err(error) => answer(&error, &mut output),
    });
    match ended {
        Ok(exit) => exit,
        Err(Failure { exit, message }) => {
            say(&format!("{} {message}", paint(BAD, "error:")));
            exit
        }
    }
}

/// Help and version are answers and data; everything else that the parser says is about wrong arguments.
fn answer(error: &clap::Error, output: &mut Output) -> Result<Exit, Failure> {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        say(text.trim_end());
        return Ok(Exit::Usage);
    }
    output.text(&text)?;
    Ok(Exit::Ok)
}

/// Does what a command says, for a program that was called so.
fn perform<F>(command: Command, called: &OsStr, output: &mut Output) -> Result<Exit, Failure>
where
    F: FunctionSet + Send + Sync + 'static,
    F::Spec: Send + Sync,
{
    match command {
        Command::Check(arguments) => check::perform::<F>(&arguments.files, arguments.printed.format, output),
        Command::Run(arguments) => run::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Replay(arguments) => replay::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Show(arguments) => show::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Diff(arguments) => diff::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Explain(arguments) => explain::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Explore(arguments) => explore::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Margin(arguments) => margin::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Demo(arguments) => demo::perform(&arguments, called, output),
        Command::As { words } => demo::be::<F>(&words, output),
        Command::Device(arguments) => device::perform::<F>(&arguments, output),
        Command::Probe(arguments) => probe::perform::<F>(&arguments, arguments.printed.format, output),
        Command::Collect(arguments) => collect::perform(&arguments, arguments.printed.format, output),
        Command::Daemon(command) => daemon::perform(&command, output),
        Command::Completions { shell } => generate::completions(shell, output),
        Command::Man { directory } => generate::manual(directory.as_deref(), output),
    }
}
