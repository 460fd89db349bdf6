//! R-EMS: what the programs do, as a library.
//!
//! The crate is generic over a set of functions, so that a crate of your own has everything for its own laws:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     r_ems::emsctl::<r_ems::engine::functions::BuiltIn>()
//! }
//! ```
//!
//! # What is where
//!
//! - [`study`] runs a scenario and watches it: what tests and studies call; [`run`] and [`run_file`] are its short forms;
//! - [`mod@explore`] searches for faults that a site does not survive; [`faults`] are strategies for property tests of your own;
//! - [`summary`] is what a run says about itself; [`explanation`] is why a set-point was what it was;
//! - [`mod@emsctl`] is the program: arguments, one file a command, and the documented JSON forms;
//! - [`mod@emsd`] is the daemon: the same controllers in real time; [`api`] is what both programs tell each other;
//! - [`devices`] serves the devices of a simulated plant to Modbus clients; [`mod@probe`] compares a site with its file;
//! - [`metrics`] counts what controllers report, for Prometheus; [`present`] turns results into pages; [`output`] and
//!   [`exit`] are the ways out.
//!
//! **Invariant:** nothing here decides anything about a site. What is measured here (clocks, terminals) enters no delivery.

pub use r_ems_engine as engine;
pub use r_ems_replay as replay;
pub use r_ems_scenarios as scenarios;
pub use r_ems_sim as sim;
pub use r_ems_site as site;

pub mod api;
pub mod archive;
pub mod devices;
pub mod emsctl;
pub mod emsd;
pub mod exit;
pub mod explanation;
pub mod explore;
pub mod far_end;
pub mod faults;
pub mod metrics;
pub mod names;
pub mod output;
pub mod present;
pub mod probe;
pub mod study;
pub mod summary;
pub mod ways;

use std::path::Path;
use std::process::ExitCode;

use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::Overrides;

pub use exit::{Exit, Failure};
pub use study::{Finished, Options, Study, run};

/// Is `r-emsctl` with the functions of `F`: reads the program's arguments and does what they say.
#[expect(clippy::disallowed_methods, reason = "this is where the arguments are handed to clap")]
pub fn emsctl<F>() -> ExitCode
where
    F: FunctionSet + Send + Sync + 'static,
    F::Spec: Send + Sync,
{
    emsctl::main::<F>(std::env::args_os()).into()
}

/// Is `r-emsd` with the functions of `F`: reads the program's arguments and runs until it is ended.
#[expect(clippy::disallowed_methods, reason = "this is where the arguments are handed to clap")]
pub fn emsd<F>() -> ExitCode
where
    F: FunctionSet + Send + Sync + 'static,
{
    emsd::main::<F>(std::env::args_os()).into()
}

/// Loads a scenario with changes and runs it.
///
/// # Errors
/// The scenario is wrong ([`Exit::BadScenario`], with every mistake in the message), or the run failed.
pub fn run_file<F: FunctionSet>(
    scenario: &Path,
    overrides: &Overrides,
    options: &Options,
) -> Result<Finished<F>, Failure> {
    let loaded = study::load::load::<F>(scenario, overrides)?;
    run(loaded.study, options)
}
