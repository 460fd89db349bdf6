//! The arguments of `r-emsd`: what a user may write, and what it means.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::emsctl::values::setting;
use crate::exit::Failure;

const EXAMPLES: &str = "\
Examples:
  r-emsd
  r-emsd scenarios/failover.ron --socket /tmp/r-emsd.sock --record failover.rlog
  r-emsd --mode production scenarios/sites/commerce_modbus.ron --state /tmp/shop
  r-emsd --mode hybrid scenarios/sites/commerce_modbus.ron --simulate commerce/bess --plant scenarios/peak_shaving_wire.ron
  r-emsctl status --watch

It ends in order on SIGTERM and on Ctrl-C: every controller hands over and stops, and its log is closed. A second signal ends the
run at once: a recorded simulation's log is closed then too, for which a slow disk has 10 s; a site's logs end as in a crash.";

/// Runs the controllers of a site in real time, with a control API for r-emsctl.
#[derive(Parser, Debug)]
#[command(name = "r-emsd", version, about, after_help = EXAMPLES, max_term_width = 110)]
pub struct Arguments {
    /// The scenario file, without it a small workshop that the program brings along; in production and hybrid mode the site file
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Which world the controllers run in
    #[arg(long, value_enum, default_value_t = Mode::Simulation)]
    pub mode: Mode,
    /// Where r-emsctl finds it, by default r-emsd.sock in $XDG_RUNTIME_DIR, or /run/r-emsd/r-emsd.sock
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Records a simulation into this log, a new file that grows without a bound: by 12 MB an hour of the workshop
    #[arg(long, value_name = "LOG")]
    pub record: Option<PathBuf>,
    /// Changes a value of the scenario, also of that of --plant: plant.workshop.bess.capacity="200 kWh"
    #[arg(long, value_name = "PATH=VALUE", value_parser = setting)]
    pub set: Vec<String>,
    /// In hybrid mode, the devices that are simulated, separated by commas: commerce/bess,commerce/pv; all others are real
    #[arg(long, value_name = "GRID/DEVICE", value_delimiter = ',')]
    pub simulate: Vec<String>,
    /// In hybrid mode, the scenario whose plant stands for them
    #[arg(long, value_name = "SCENARIO")]
    pub plant: Option<PathBuf>,
    /// In production, which host of the site this is; by default its only one, or the one that is called like this computer
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// In production, where controllers keep logs and what they promised, by default $STATE_DIRECTORY or /var/lib/r-emsd
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// In production, the key that all hosts of the site share: a file of 64 hexadecimal digits that only its owner may read
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Keeps the computer's processors from resting, which takes power: where idle ones are slow to wake, as in a virtual
    /// machine, scans are late by that
    #[arg(long)]
    pub keep_awake: bool,
    /// How lines are written to standard error
    #[arg(long, value_enum, default_value_t = LogFormat::Human)]
    pub log: LogFormat,
}

/// Which world the controllers run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// A simulated one, at the pace of the clock on the wall
    Simulation,
    /// The devices of a site, and its other hosts
    Production,
    /// As production, but some of the devices are simulated
    Hybrid,
}

impl Arguments {
    /// Refuses what makes no sense together.
    ///
    /// # Errors
    /// Says what, and what does.
    pub fn check(&self) -> Result<(), Failure> {
        let refused = |is_there: bool, what: &str, why: &str| {
            if is_there { Err(Failure::usage(format!("{what}: {why}"))) } else { Ok(()) }
        };
        match self.mode {
            Mode::Simulation => {
                let why = "is for --mode production; a simulation runs all hosts, and keeps what it records with --record";
                refused(self.host.is_some(), "--host", why)?;
                refused(self.state.is_some(), "--state", why)?;
                refused(self.key.is_some(), "--key", why)?;
                self.refuse_simulated()
            }
            Mode::Production => {
                let why = "in production each controller keeps its log itself, below --state";
                refused(self.record.is_some(), "--record", why)?;
                refused(!self.set.is_empty(), "--set", "a site is run as its file says; change the file")?;
                let why = "needs the site file that is to be run: r-emsd --mode production SITE.ron";
                refused(self.file.is_none(), "--mode production", why)?;
                self.refuse_simulated()
            }
            Mode::Hybrid => {
                let why = "in hybrid mode each controller keeps its log itself, below --state";
                refused(self.record.is_some(), "--record", why)?;
                let is_whole = self.file.is_some() && self.plant.is_some() && !self.simulate.is_empty();
                let why = "needs the site file, the devices that are simulated, and a scenario whose plant stands for them: \
                           r-emsd --mode hybrid SITE.ron --simulate commerce/bess --plant SCENARIO.ron";
                refused(!is_whole, "--mode hybrid", why)
            }
        }
    }

    /// Refuses what only says which devices are simulated.
    fn refuse_simulated(&self) -> Result<(), Failure> {
        let why = "is for --mode hybrid, in which some devices of a site are simulated";
        for (is_there, what) in [(!self.simulate.is_empty(), "--simulate"), (self.plant.is_some(), "--plant")]
        {
            if is_there {
                return Err(Failure::usage(format!("{what}: {why}")));
            }
        }
        Ok(())
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
