//! Asks a running daemon: how it is, what happens, what it runs, and what operators want of it.

pub(super) mod client;

use std::time::Duration;

use r_ems_engine::Span;

use self::client::Client;
use super::args::Format;
use super::daemon_args::{
    DaemonCommand, EmergencyStopArguments, EventsArguments, MaintenanceArguments, ModeArguments, OfDaemon,
    SetPointArguments, SnapshotArguments, SoleArguments, StatusArguments, SwitchOverArguments, Turned,
    Wanted,
};
use crate::api::{
    ASKED, Config, Done, EmergencyStop, EventLine, Maintenance, Mode, Points, Release, SetPoint, Snapshot,
    Sole, Status, SwitchOver,
};
use crate::exit::{Exit, Failure};
use crate::output::{Output, State, say};
use crate::present;

/// How often a status that is watched is shown anew.
const WATCH_EVERY: Duration = Duration::from_secs(1);
/// Begins a terminal's screen anew, and leaves what was scrolled away; where there is no terminal it is taken away again.
const CLEAR: &str = "\u{1b}[H\u{1b}[J";

/// Asks what the arguments say.
pub(super) fn perform(command: &DaemonCommand, output: &mut Output) -> Result<Exit, Failure> {
    match command {
        DaemonCommand::Status(arguments) => status(arguments, output),
        DaemonCommand::Points(arguments) => points(arguments, output),
        DaemonCommand::Events(arguments) => events(arguments, output),
        DaemonCommand::Config(arguments) => config(arguments, output),
        DaemonCommand::SwitchOver(arguments) => switch_over(arguments, output),
        DaemonCommand::Maintenance(arguments) => maintenance(arguments, output),
        DaemonCommand::Sole(arguments) => sole(arguments, output),
        DaemonCommand::SetPoint(arguments) => set_point(arguments, output),
        DaemonCommand::EmergencyStop(arguments) => emergency_stop(arguments, output),
        DaemonCommand::Mode(arguments) => mode(arguments, output),
        DaemonCommand::Snapshot(arguments) => snapshot(arguments, output),
        DaemonCommand::Shutdown(arguments) => shut_down(arguments, output),
    }
}

/// Shows how a daemon is.
fn status(arguments: &StatusArguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = Client::new(arguments.daemon.socket.clone())?;
    loop {
        let status: Status = client.get("/v1/status")?;
        let state = match (arguments.daemon.printed.format, arguments.watch) {
            (Format::Json, true) => output.json_line(&status)?,
            (Format::Json, false) => output.json(&status)?,
            (Format::Human, true) => output.text(&format!("{CLEAR}{}", present::status::page(&status)))?,
            (Format::Human, false) => output.text(&present::status::page(&status))?,
        };
        if !arguments.watch || state == State::Closed {
            return Ok(Exit::Ok);
        }
        client.pause(WATCH_EVERY);
    }
}

/// Lists points.
fn points(arguments: &OfDaemon, output: &mut Output) -> Result<Exit, Failure> {
    let points: Points = Client::new(arguments.socket.clone())?.get("/v1/points")?;
    match arguments.printed.format {
        Format::Json => output.json(&points)?,
        Format::Human => output.text(&present::status::points(&points))?,
    };
    Ok(Exit::Ok)
}

/// Lists events.
fn events(arguments: &EventsArguments, output: &mut Output) -> Result<Exit, Failure> {
    let mut client = Client::new(arguments.daemon.socket.clone())?;
    let path = format!("/v1/events?from={}&follow={}", arguments.from, arguments.follow);
    let mut last = 0;
    client.lines(&path, |line: EventLine| {
        if last > 0 && line.number > last + 1 {
            say(&format!(
                "{} events are missing here: the daemon could not keep them",
                line.number - last - 1
            ));
        }
        last = line.number;
        match arguments.daemon.printed.format {
            Format::Json => output.json_line(&line),
            Format::Human => output.text(&present::status::event(&line)),
        }
    })?;
    Ok(Exit::Ok)
}

/// Prints what is in effect.
fn config(arguments: &OfDaemon, output: &mut Output) -> Result<Exit, Failure> {
    let config: Config = Client::new(arguments.socket.clone())?.get("/v1/config")?;
    match arguments.printed.format {
        Format::Json => output.json(&config)?,
        Format::Human => output.text(&present::status::config(&config))?,
    };
    Ok(Exit::Ok)
}

/// Moves authority.
fn switch_over(arguments: &SwitchOverArguments, output: &mut Output) -> Result<Exit, Failure> {
    let wanted = SwitchOver { grid: arguments.grid.clone(), to: arguments.to.clone() };
    done(&arguments.daemon, "/v1/switchover", Some(&wanted), output)
}

/// Begins or ends maintenance.
fn maintenance(arguments: &MaintenanceArguments, output: &mut Output) -> Result<Exit, Failure> {
    let on = arguments.turned == Turned::On;
    let wanted = Maintenance { controller: arguments.controller.clone(), on, force: arguments.force };
    done(&arguments.daemon, "/v1/maintenance", Some(&wanted), output)
}

/// Makes a controller the majority on its own, or ends that.
fn sole(arguments: &SoleArguments, output: &mut Output) -> Result<Exit, Failure> {
    let (controller, on) = (&arguments.controller, arguments.turned == Turned::On);
    if on && !arguments.others_are_off {
        return Err(Failure::usage(format!(
            "{controller} would write on its own vote alone, also after a restart, until `r-emsctl sole {controller} off`. \
             Whoever declares that vouches that all other controllers of its grid are off, or cut off from its devices, and \
             stay so: if one is not, two write side by side. If it is so, say it with --others-are-off"
        )));
    }
    done(&arguments.daemon, "/v1/sole", Some(&Sole { controller: controller.clone(), on }), output)
}

/// Gives a set-point by hand, or withdraws it.
fn set_point(arguments: &SetPointArguments, output: &mut Output) -> Result<Exit, Failure> {
    let device = arguments.device.clone();
    match (arguments.power, arguments.lasts) {
        (Some(power), Some(lasts)) => {
            let wanted = SetPoint { device, power_w: power.watts(), for_s: lasts.as_secs_f64() };
            done(&arguments.daemon, "/v1/setpoint", Some(&wanted), output)
        }
        (_, _) => done(&arguments.daemon, "/v1/release", Some(&Release { device }), output),
    }
}

/// Stops a grid, or resets that.
fn emergency_stop(arguments: &EmergencyStopArguments, output: &mut Output) -> Result<Exit, Failure> {
    let wanted = EmergencyStop { grid: arguments.grid.clone(), on: !arguments.reset };
    done(&arguments.daemon, "/v1/emergencystop", Some(&wanted), output)
}

/// Has a grid run otherwise.
fn mode(arguments: &ModeArguments, output: &mut Output) -> Result<Exit, Failure> {
    let operation = match arguments.wanted {
        Wanted::Auto => "auto",
        Wanted::Hold => "hold",
        Wanted::Stop => "stop",
    };
    if let Some(lasts) = arguments.lasts.filter(|_lasts| arguments.wanted != Wanted::Hold) {
        return Err(Failure::usage(format!("--for {lasts}: only a hold lasts for a while; leave it out")));
    }
    let for_s = arguments.lasts.map_or(0.0, Span::as_secs_f64);
    let wanted = Mode { grid: arguments.grid.clone(), operation: operation.to_owned(), for_s };
    done(&arguments.daemon, "/v1/mode", Some(&wanted), output)
}

/// Keeps the state of a controller.
fn snapshot(arguments: &SnapshotArguments, output: &mut Output) -> Result<Exit, Failure> {
    let wanted = Snapshot { controller: arguments.controller.clone() };
    done(&arguments.daemon, "/v1/snapshot", Some(&wanted), output)
}

/// Ends the daemon.
fn shut_down(arguments: &OfDaemon, output: &mut Output) -> Result<Exit, Failure> {
    done(arguments, "/v1/shutdown", None::<&()>, output)?;
    Ok(Exit::Ok)
}

/// Asks for something and says what came of it: what has only been asked for when all waiting is over is none of the successes.
fn done<T: serde::Serialize>(
    daemon: &OfDaemon,
    path: &str,
    wanted: Option<&T>,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let done: Done = Client::new(daemon.socket.clone())?.post(path, wanted)?;
    match daemon.printed.format {
        Format::Json => output.json(&done)?,
        Format::Human => output.text(&format!("{}\n", done.message))?,
    };
    Ok(if done.outcome == ASKED { Exit::Error } else { Exit::Ok })
}
