//! `r-emsctl probe`: compares a site file with the site's devices, for commissioning.

use std::io::{IsTerminal, stdin};
use std::path::{Path, PathBuf};

use clap::Args;
use r_ems_engine::functions::FunctionSet;
use r_ems_scenarios::{Disk, load_site};

use super::args::{Format, Printed};
use super::daemon::client::Client;
use crate::api::{SYSTEM_STATE, Status, default_socket, system_socket};
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::present;
use crate::probe::held::{hold, listens};
use crate::probe::{Wanted, probe, takes_one_connection, to_be_tried};
use crate::study::load::report_text;
use crate::study::progress::Interrupt;

pub(super) const EXAMPLES: &str = "\
Examples:
  r-emsctl probe site.ron
  r-emsctl probe site.ron --device commerce/bess --format json
  r-emsctl probe site.ron --write

With --write batteries are tried: they discharge and charge a little, and are then left alone until they fall back. Whatever
ends it, Ctrl-C too, leaves them at 0 W. It is refused while an r-emsd runs the site, as far as its socket and its folder
here show; so is any look at a device that takes one connection at a time, or is on a serial line.

Exit codes: 0 all agrees, 1 something disagrees, 2 it could not be done, or not to the end, 5 the site file is wrong";

/// The mode of a daemon that writes to no device of a site.
const SIMULATION: &str = "simulation";

/// What is probed.
#[derive(Args, Debug)]
pub struct ProbeArguments {
    /// The site file
    #[arg(value_name = "SITE")]
    pub file: PathBuf,
    /// Asks the devices that the controllers of this host reach; by default those of all grids
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// Asks these devices only: commerce/bess, or bess
    #[arg(long, value_name = "DEVICE", value_delimiter = ',', num_args = 1..)]
    pub device: Vec<String>,
    /// Tries batteries with small set-points, within their limits: how far and how fast they follow, and when they fall back
    #[arg(long)]
    pub write: bool,
    /// Does not ask before anything is written
    #[arg(long, requires = "write")]
    pub yes: bool,
    /// Where an r-emsd would listen, by default r-emsd.sock in $XDG_RUNTIME_DIR, and /run/r-emsd/r-emsd.sock
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where an r-emsd would keep its controllers
    #[arg(long, value_name = "DIR", default_value = SYSTEM_STATE)]
    pub state: PathBuf,
    /// How the result is written.
    #[command(flatten)]
    pub printed: Printed,
}

/// Probes.
pub(super) fn perform<F: FunctionSet>(
    arguments: &ProbeArguments,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let path = arguments.file.to_string_lossy();
    let site = load_site::<F>(&Disk, &path).map_err(|report| {
        let message = format!("the site is wrong\n\n{}", report_text(&report));
        Failure { exit: Exit::BadScenario, message }
    })?;
    let host = match &arguments.host {
        None => None,
        Some(name) => {
            let place = site.hosts.iter().position(|host| host.name == *name);
            let known: Vec<&str> = site.hosts.iter().map(|host| host.name.as_str()).collect();
            let unknown =
                || Failure::usage(format!("--host {name}: {path} has the hosts {}", known.join(", ")));
            Some(place.and_then(|place| u16::try_from(place).ok()).ok_or_else(unknown)?)
        }
    };
    let nobody = Interrupt::default();
    let (devices, writes, tell) = (arguments.device.as_slice(), arguments.write, say as fn(&str));
    let wanted = Wanted { host, devices, writes, interrupt: &nobody, tell };
    let alone = takes_one_connection(&site, &wanted).map_err(unable)?;
    let fights = if writes {
        Some("would write too".to_owned())
    } else {
        alone.map(|what| format!("would lose {what}"))
    };
    let _held = match fights {
        Some(how) => {
            refuse_running(arguments.socket.as_deref(), &how).map_err(unable)?;
            hold(&site, &arguments.state).map_err(unable)?
        }
        None => Vec::new(),
    };
    if writes {
        let plan = to_be_tried(&site, &wanted).map_err(unable)?;
        plan.refused.iter().for_each(|line| say(line));
        confirm(arguments, &plan.tried)?;
    }
    // Before that Ctrl-C ends the program at once.
    let watched = if writes { Interrupt::on_signals_patiently() } else { Interrupt::on_signals() };
    let interrupt = watched.map_err(|error| Failure::error(format!("Ctrl-C cannot be watched: {error}")))?;
    let wanted = Wanted { interrupt: &interrupt, ..wanted };
    let probed = probe(&site, &wanted).map_err(unable)?;
    match format {
        Format::Human => output.text(&present::probe::page(&probed))?,
        Format::Json => output.json(&probed)?,
    };
    Ok(match (probed.interrupted, probed.ok) {
        (true, _) => Exit::Unable,
        (false, false) => Exit::Disagrees,
        (false, true) if probed.untried.is_empty() => Exit::Ok,
        (false, true) => Exit::Unable,
    })
}

/// Refuses while a daemon runs devices of a site, which fights with what is done here.
fn refuse_running(socket: Option<&Path>, how: &str) -> Result<(), Failure> {
    let usual = || vec![default_socket(), system_socket()];
    for socket in socket.map_or_else(usual, |socket| vec![socket.to_owned()]) {
        if !listens(&socket)? {
            continue;
        }
        let asked = Client::new(Some(socket.clone())).and_then(|mut client| client.bytes("/v1/status"));
        let status = asked.ok().and_then(|bytes| serde_json::from_slice::<Status>(&bytes).ok());
        let is_simulation = status.as_ref().is_some_and(|status| status.mode == SIMULATION);
        if !is_simulation {
            let runs = status.map_or_else(
                || "something".to_owned(),
                |status| format!("an r-emsd that runs {}", status.scenario),
            );
            return Err(Failure::error(format!(
                "{}: {runs} listens there, and {how}; end it first, with `r-emsctl shutdown`",
                socket.display()
            )));
        }
    }
    Ok(())
}

/// Asks whoever sits at the terminal.
fn confirm(arguments: &ProbeArguments, tried: &[String]) -> Result<(), Failure> {
    if arguments.yes || tried.is_empty() {
        return Ok(());
    }
    let refused = |why: &str| Err(unable(Failure::error(format!("nothing was written: {why}"))));
    if !stdin().is_terminal() {
        return refused("there is no terminal to ask at; --yes goes on without a question");
    }
    say(&format!(
        "These batteries are told set-points, and are left at 0 W:\n  {}\nNo r-emsd runs the site, as far as is seen \
         from here; on other hosts it may. Type yes to go on:",
        tried.join("\n  ")
    ));
    let mut line = String::new();
    match stdin().read_line(&mut line) {
        Ok(_) if line.trim() == "yes" => Ok(()),
        Ok(_) | Err(_) => refused("that was no yes"),
    }
}

/// What keeps from probing is nothing that disagrees.
fn unable(failure: Failure) -> Failure {
    Failure { exit: Exit::Unable, ..failure }
}
