//! The arguments of `r-emsd`: what a user may write, and what it means.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::emsctl::values::setting;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  r-emsd
  r-emsd scenarios/failover.ron --socket /tmp/r-emsd.sock --record failover.rlog
  r-emsctl status --watch

It ends in order on SIGTERM and on Ctrl-C: every controller hands over and stops, and the log is closed. A second signal ends
the run at once; the log is closed then too, for which a slow disk has 10 s.";

/// Runs the controllers of a site in real time, with a control API for r-emsctl.
#[derive(Parser, Debug)]
#[command(name = "r-emsd", version, about, after_help = EXAMPLES, max_term_width = 110)]
pub struct Arguments {
    /// The scenario file; without it a small workshop that the program brings along
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Which world the controllers run in
    #[arg(long, value_enum, default_value_t = Mode::Simulation)]
    pub mode: Mode,
    /// Where r-emsctl finds it, by default r-emsd.sock in $XDG_RUNTIME_DIR, or /run/r-emsd/r-emsd.sock
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Records the run into this log, a new file that grows without a bound: by 12 MB an hour of the workshop
    #[arg(long, value_name = "LOG")]
    pub record: Option<PathBuf>,
    /// Changes a value of the scenario: plant.workshop.bess.capacity="200 kWh"
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    pub set: Vec<String>,
    /// How lines are written to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    pub log: LogFormat,
}

/// Which world the controllers run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A simulated one, at the pace of the clock on the wall
    Simulation,
    /// The devices of a site; not there yet
    Production,
    /// Some devices are simulated, the others are real; not there yet
    Hybrid,
}

impl Mode {
    /// Refuses what is not there yet.
    ///
    /// # Errors
    /// Says what is missing.
    pub fn check(self) -> Result<(), Failure> {
        let (mode, missing) = match self {
            Self::Simulation => return Ok(()),
            Self::Production => ("production", "the fieldbus, links between hosts, and real disks"),
            Self::Hybrid => ("hybrid", "the fieldbus, and simulated devices that serve it"),
        };
        Err(Failure::usage(format!(
            "--mode {mode}: this version cannot drive real devices, {missing} are missing; use --mode simulation"
        )))
    }
}

/// How lines are written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Human,
    /// One JSON object a line
    Json,
}
