//! The arguments of `r-emsctl`: what a user may write, and what it means.
//!
//! Text becomes meaning here and nowhere else. What depends on a file that has not been read yet (a local time needs the
//! run's start and offset) stays a [`Moment`] until it has.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use r_ems_engine::Span;
use r_ems_engine::event::Event;
use r_ems_engine::log::Kind;
use r_ems_scenarios::sweep::Axis;

use super::daemon_args::DaemonCommand;
use super::demo::DemoArguments;
use super::device::DeviceArguments;
use super::probe::ProbeArguments;
use super::values::{ControllerName, Moment, positive_span, seed, setting};
use crate::api::SYSTEM_STATE;

/// Runs, replays and explains energy management, from scenario files and from logs.
#[derive(Parser, Debug)]
#[command(name = "r-emsctl", version, about, after_help = FIRST_STEPS, max_term_width = 110)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const FIRST_STEPS: &str = "\
Examples:
  r-emsctl demo
  r-emsctl run scenarios/peak_shaving.ron --record week.rlog
  r-emsctl replay week.rlog
  r-emsctl explain week.rlog --at \"2016-03-09 18:02:30\" --point commerce/bess.set_point

Exit codes: 0 ok, 1 error or interrupted, 2 usage, 3 an expectation was violated, 4 a replay diverged, \
5 a scenario or site file is wrong";

const CHECK_EXAMPLES: &str = "\
Example:
  r-emsctl check scenarios/peak_shaving.ron scenarios/year.ron";

const RUN_EXAMPLES: &str = "\
Examples:
  r-emsctl run scenarios/peak_shaving.ron --until \"36 h\"
  r-emsctl run scenarios/peak_shaving.ron --record week.rlog --csv week.csv
  r-emsctl run scenarios/peak_shaving.ron --set plant.commerce.bess.capacity=800kWh --format json
  r-emsctl run scenarios/peak_shaving.ron --sweep plant.commerce.bess.capacity=250,500,1000kWh > sizes.csv";

const REPLAY_EXAMPLES: &str = "\
Examples:
  r-emsctl replay week.rlog
  r-emsctl replay week.rlog --from \"+6 h\" --to \"2016-03-08 12:00\" --controller commerce/a
  r-emsctl replay a.tar.gz b.tar.gz w.tar.gz --timeline";

const COLLECT_EXAMPLES: &str = "\
Examples:
  r-emsctl collect --state state/a --socket a.sock
  r-emsctl collect --output tonight.tar.gz";

const SHOW_EXAMPLES: &str = "\
Examples:
  r-emsctl show week.rlog --from \"+10 min\" --to \"+11 min\"
  r-emsctl show week.rlog --kind shortfall_began --format json
  r-emsctl show week.rlog --kind write";

/// The kind of what `show` shows that is no kind of record: writes with their answers.
pub const WRITES: &str = "write";

const DIFF_EXAMPLES: &str = "\
Example:
  r-emsctl diff before.rlog after.rlog";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  r-emsctl explain week.rlog --at \"2016-03-09 18:02:30\" --point commerce/bess.set_point
  r-emsctl explain week.rlog --missed \"pcc.p <= 225 kW\"
  r-emsctl explain state/b/commerce/b/0000000001.rlog --event took_over --point commerce/bess
  r-emsctl explain --point workshop/bess";

const EXPLORE_EXAMPLES: &str = "\
Examples:
  r-emsctl explore scenarios/failover_fast.ron --runs 10000
  r-emsctl explore scenarios/failover.ron --time \"5 min\" --save found --junit explore.xml
  r-emsctl explore scenarios/failover_fast.ron --report failover";

const MARGIN_EXAMPLES: &str = "\
Example:
  r-emsctl margin scenarios/failover.ron";

const COMPLETIONS_EXAMPLES: &str = "\
Example:
  r-emsctl completions bash > ~/.local/share/bash-completion/completions/r-emsctl";

const MAN_EXAMPLES: &str = "\
Examples:
  r-emsctl man | man -l -
  r-emsctl man /usr/local/share/man/man1";

/// How results are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs: one JSON value, or with `show` one object a line; `drivers/bin/emsctl` documents the fields.
    Json,
}

/// How the commands with results print them.
#[derive(Args, Clone, Copy, Debug)]
pub struct Printed {
    /// How results are written to standard output; everything else goes to standard error
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Reads scenario and site files and lists every mistake
    #[command(after_help = CHECK_EXAMPLES)]
    Check(Check),
    /// Runs a scenario and says what happened
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// Runs a log again and compares every effect; or all logs that hosts have handed over, and lines them up
    ///
    /// Of archives each file is compared with its digest, and each segment replays alone. By the letters that controllers sent
    /// each other it is told how far the clocks of hosts are apart, and what was lost on the way. Nothing is unpacked onto the
    /// disk.
    #[command(after_help = REPLAY_EXAMPLES)]
    Replay(Replay),
    /// Shows what a log holds
    #[command(after_help = SHOW_EXAMPLES)]
    Show(Show),
    /// Compares two logs and shows where they part
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(Diff),
    /// Says why a set-point was what it was, by a log; or why it is what it is, by a running r-emsd
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Explain),
    /// Searches for faults that a site does not survive, and shrinks what it finds to a scenario
    ///
    /// Each run is a window of the scenario with faults that are drawn at random: its own timeline, faults and expectations
    /// are left out. Where what happens first in the scenario lies late, the window begins a third of its length before it.
    #[command(after_help = EXPLORE_EXAMPLES)]
    Explore(Explore),
    /// Searches how far a site is from breaking: by the error of its clocks, late writes, and hosts that stand still
    ///
    /// It bisects over whole sets of runs with fixed seeds, in which the active is lost over and over, and prints what breaks
    /// beside what the site declares. Exits with 3 if something breaks within what is declared, or as it is. Ctrl-C
    /// prints what was found.
    #[command(after_help = MARGIN_EXAMPLES)]
    Margin(MarginArguments),
    /// Runs a redundant site of real processes on this computer: kill one, and see what becomes of it
    ///
    /// Two controllers, a witness, and a plant whose devices speak Modbus, each a process of its own. Nobody is started again by
    /// itself, and all of them end with the demo.
    #[command(after_help = super::demo::EXAMPLES)]
    Demo(DemoArguments),
    /// Is r-emsd or r-emsctl with these words, and ends with whoever started it: a process of a demo
    #[command(hide = true, disable_help_flag = true)]
    As {
        /// The name of the program, and its arguments
        #[arg(value_name = "WORD", trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        words: Vec<OsString>,
    },
    /// Serves the devices of a scenario's plant to Modbus clients, over TCP or serial lines and in real time
    #[command(after_help = super::device::EXAMPLES)]
    Device(DeviceArguments),
    /// Compares a site file with the site's devices: what they measure and say, beside what the file says of them
    ///
    /// For commissioning, while no r-emsd runs the site. Each device is found, timed, asked who it is, and read; what cannot be
    /// true, or is elsewhere than the map says, is told with its place in the file. It only reads, unless --write says otherwise.
    #[command(after_help = super::probe::EXAMPLES)]
    Probe(ProbeArguments),
    /// Puts what a host keeps into one archive: logs with their states, promises, and how its daemon is
    ///
    /// It may run while the daemon does. What lies below the folder and is no file of a journal is left out, and told. Nothing is
    /// written over; an archive is readable for its owner only.
    #[command(after_help = COLLECT_EXAMPLES)]
    Collect(Collect),
    /// Asks a running r-emsd.
    #[command(flatten)]
    Daemon(DaemonCommand),
    /// Writes completions for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        #[arg(value_name = "SHELL")]
        shell: clap_complete::Shell,
    },
    /// Writes the manual page, or a page for every command into a directory
    #[command(after_help = MAN_EXAMPLES)]
    Man {
        /// The directory; without it the main page goes to standard output
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },
}

/// Explores a scenario's site.
#[derive(Args, Debug)]
pub struct Explore {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Makes so many runs, by default 1,000, or as many as fit into --time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: Option<u64>,
    /// The seed from which all runs are drawn; without it a fresh one, which is printed
    #[arg(long, value_name = "S", value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Begins no run after this time: "5 min"; the result says how many there were
    #[arg(long, value_name = "SPAN", value_parser = positive_span, allow_hyphen_values = true)]
    pub time: Option<Span>,
    /// Runs on so many threads, by default one a processor; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub jobs: Option<u8>,
    /// How long a run is, by default 25 s or four times what authority needs to settle
    #[arg(long, value_name = "SPAN", value_parser = positive_span, allow_hyphen_values = true)]
    pub length: Option<Span>,
    /// Saves each failure in this folder, as a scenario that fails by itself and the log of its run
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
    /// Writes what was found for CI
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Measures something instead of searching
    #[arg(long, value_enum, conflicts_with_all = ["save", "junit", "time"])]
    pub report: Option<Report>,
    /// Changes a value of the scenario: plant.commerce.bess.capacity="800 kWh"
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    pub set: Vec<String>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Searches margins.
#[derive(Args, Debug)]
pub struct MarginArguments {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Makes so many runs in each probe
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    pub runs: u64,
    /// The seed from which all runs are drawn
    #[arg(long, value_name = "S", default_value_t = 1, value_parser = seed, allow_hyphen_values = true)]
    pub seed: u64,
    /// Runs on so many threads, by default one a processor; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    pub jobs: Option<u8>,
    /// Changes a value of the scenario: plant.commerce.bess.capacity="800 kWh"
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    pub set: Vec<String>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Report {
    /// How long take-overs last, as devices see it, and with longer writes too.
    Failover,
}

/// Checks files.
#[derive(Args, Debug)]
pub struct Check {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Compares logs.
#[derive(Args, Debug)]
pub struct Diff {
    /// The log that counts as expected
    #[arg(value_name = "LOG")]
    pub expected: PathBuf,
    /// The log that is compared with it
    #[arg(value_name = "LOG")]
    pub found: PathBuf,
    /// Accepts a log that a crash cut off: what is there must be the same
    #[arg(long)]
    pub torn: bool,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Runs a scenario.
#[derive(Args, Debug)]
pub struct Run {
    /// The scenario file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Takes another seed than the scenario's
    #[arg(long, value_name = "N", value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Ends earlier: "36 h"
    #[arg(long, value_name = "SPAN", value_parser = positive_span, allow_hyphen_values = true)]
    pub until: Option<Span>,
    /// Records every delivery, for `replay`, `show`, `diff` and `explain`
    #[arg(long, value_name = "LOG")]
    pub record: Option<PathBuf>,
    /// Stores effects whole instead of by digest: larger logs, readable divergences
    #[arg(long, requires = "record")]
    pub record_effects: bool,
    /// Writes a table of the plant's truth
    ///
    /// Each row shows the plant as it stood when the first delivery to a controller at or after the row's instant had been
    /// handled. The plant moves when somebody measures or commands it: the values are of the latest measurement or
    /// command up to then, one latency before the instant or at most one scan after it.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The time between two rows of that table
    #[arg(long, value_name = "SPAN", default_value = "15 min", requires = "csv")]
    #[arg(value_parser = positive_span, allow_hyphen_values = true)]
    pub csv_step: Span,
    /// Writes metrics of what the controllers reported, in Prometheus' text format
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Changes a value of the scenario: plant.commerce.bess.capacity="800 kWh"
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    pub set: Vec<String>,
    /// Makes a run with each of these values: plant.commerce.bess.capacity=250,500,1000kWh
    ///
    /// Prints a table, CSV, with a row for each run, and exits with 0 when it is whole: an expectation that a run misses is
    /// named in its row. A unit behind the last value is that of all numbers without one. Several --sweep make every
    /// combination, at most 10,000.
    #[arg(long, value_name = "PATH=VALUE,…", value_parser = clap::value_parser!(Axis))]
    #[arg(conflicts_with_all = ["record", "csv", "metrics"])]
    pub sweep: Vec<Axis>,
    /// Makes so many runs of a sweep at a time, by default one a processor; the table does not depend on it
    #[arg(long, value_name = "N", requires = "sweep", value_parser = clap::value_parser!(u8).range(1..))]
    pub jobs: Option<u8>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Runs logs again.
#[derive(Args, Debug)]
pub struct Replay {
    /// The log; or several, and archives that `r-emsctl collect` made, of one host or of all
    #[arg(required = true, value_name = "LOG")]
    pub logs: Vec<PathBuf>,
    /// Tells what happened on all hosts, in one time; --from and --to then say of when
    #[arg(long)]
    pub timeline: bool,
    /// Compares from here on: "+10 min" from the start, or a local time "2016-03-09 18:02:30"
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Ends here
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// Replays one controller only
    #[arg(long, value_name = "GRID/ID")]
    pub controller: Option<ControllerName>,
    /// Accepts a log that a crash cut off: what is there must replay
    #[arg(long)]
    pub torn: bool,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Collects what a host keeps.
#[derive(Args, Debug)]
pub struct Collect {
    /// The folder that r-emsd was given as --state
    #[arg(long, value_name = "DIR", default_value = SYSTEM_STATE)]
    pub state: PathBuf,
    /// The archive, by default HOST-DATE-TIMEZ.tar.gz here
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Where the daemon listens, by default r-emsd.sock in $XDG_RUNTIME_DIR, or /run/r-emsd/r-emsd.sock
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Shows a log.
#[derive(Args, Debug)]
pub struct Show {
    /// The log
    #[arg(value_name = "LOG")]
    pub log: PathBuf,
    /// Begins here: "+10 min" from the start, or a local time "2016-03-09 18:02:30"
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub from: Option<Moment>,
    /// Ends here
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub to: Option<Moment>,
    /// Shows one controller only
    #[arg(long, value_name = "GRID/ID")]
    pub controller: Option<ControllerName>,
    /// Shows one kind of record (boot, wake, points, …) or of event (shortfall_began, …) only; write: writes and their answers
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub kind: Option<String>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Explains a moment.
#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("moment").args(["at", "event", "missed"]).requires("log"))]
pub struct Explain {
    /// The log; without it a running r-emsd is asked about now
    #[arg(value_name = "LOG", requires = "moment")]
    pub log: Option<PathBuf>,
    /// The moment: "+10 min" from the start, or a local time "2016-03-09 18:02:30"
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    pub at: Option<Moment>,
    /// Takes the moment of the last event of this kind: took_over, shortfall_began, …; as `show --kind` lists them
    #[arg(long, value_name = "KIND", value_parser = event_kind)]
    pub event: Option<String>,
    /// A point of a device, such as commerce/bess.set_point; without it everything that is controlled in a log
    #[arg(long, value_name = "POINT", required_unless_present = "log")]
    pub point: Option<String>,
    /// Takes the worst moment of an expectation, by its name, that of a rule that it stands for, or a part of it
    #[arg(long, value_name = "EXPECTATION")]
    pub missed: Option<String>,
    /// Where the daemon listens, by default r-emsd.sock in $XDG_RUNTIME_DIR, or /run/r-emsd/r-emsd.sock
    #[arg(long, value_name = "PATH", conflicts_with = "log")]
    pub socket: Option<PathBuf>,
    /// Where the scenario is now, if its profiles are neither where the run had them nor beside the log
    #[arg(long, value_name = "DIR", requires = "missed")]
    pub scenario_dir: Option<PathBuf>,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

fn kind(text: &str) -> Result<String, String> {
    let kinds = Kind::ALL.iter().map(|kind| kind.name());
    let known: Vec<&str> = kinds.chain([WRITES]).chain(Event::KINDS).collect();
    if known.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("expected one of {}", known.join(", ")))
}

fn event_kind(text: &str) -> Result<String, String> {
    if Event::KINDS.contains(&text) {
        return Ok(text.to_owned());
    }
    Err(format!("expected one of {}", Event::KINDS.join(", ")))
}

impl Arguments {
    /// Reads the program's arguments.
    ///
    /// # Errors    what clap has to say, help and version included
    pub fn read(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        Self::try_parse_from(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_description_of_the_arguments_is_consistent() {
        Arguments::command().debug_assert();
    }
}
