//! The arguments of the commands for a running daemon.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use r_ems_engine::Span;
use r_ems_engine::units::Watts;

use super::args::Printed;

const STATUS_EXAMPLES: &str = "\
Examples:
  r-emsctl status --watch
  r-emsctl status --socket /tmp/r-emsd.sock --format json";

const EVENTS_EXAMPLES: &str = "\
Examples:
  r-emsctl events
  r-emsctl events --follow --format json";

const SWITCHOVER_EXAMPLES: &str = "\
Examples:
  r-emsctl switchover workshop
  r-emsctl switchover workshop --to b";

const MAINTENANCE_EXAMPLES: &str = "\
Examples:
  r-emsctl maintenance workshop/b on
  r-emsctl maintenance workshop/b off";

const SOLE_EXAMPLES: &str = "\
Examples:
  r-emsctl sole workshop/b on --others-are-off
  r-emsctl sole workshop/b off

For a grid that has lost its majority for good, or a pair whose owner is gone: nobody writes there, and devices fall \
back. Whoever says `on` vouches for what no controller can know: that all others of the grid are off, or cut off from its \
devices, and stay so until `off`. If one is not, two write side by side. It is durable: a restart does not end it. Say `off` \
before another is switched on again.";

const SNAPSHOT_EXAMPLES: &str = "\
Examples:
  r-emsctl snapshot workshop/a

Its log goes on in a new segment, which begins with that state: a copy of the older ones misses nothing up to now.";

const SET_POINT_EXAMPLES: &str = "\
Examples:
  r-emsctl set-point workshop/bess \"-30 kW\" --for \"30 min\"
  r-emsctl set-point workshop/bess --release

A `Manual` function of the site must act on exactly that device, or on `batteries` or `pvs`. What stands above it in the stack, \
such as a connection limit, still binds. After its time, at most an hour, or with a restart, the other functions decide again.";

const MODE_EXAMPLES: &str = "\
Examples:
  r-emsctl mode workshop hold --for \"20 min\"
  r-emsctl mode workshop stop
  r-emsctl mode workshop auto

It is about batteries and PV, and counts where a set-point by hand does: what stands above that in the stack, such as a \
connection limit, still binds, and what holds an island goes on. A stop lasts until `auto`, also after a restart; it is no \
emergency stop.";

const EMERGENCY_STOP_EXAMPLES: &str = "\
Examples:
  r-emsctl emergency-stop workshop
  r-emsctl emergency-stop workshop --reset

Every set-point of the grid is 0 from the next scan on, and nothing is started, until it is reset; a restart does not end it. \
This is no safety function: a device that does not listen goes on. What must not move is disconnected by hardware.";

/// What can be asked of a running daemon.
#[derive(Subcommand, Debug)]
pub enum DaemonCommand {
    /// Shows how a running r-emsd is
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArguments),
    /// Lists the points of a running r-emsd, as each controller sees them
    Points(OfDaemon),
    /// Lists the events of a running r-emsd
    #[command(after_help = EVENTS_EXAMPLES)]
    Events(EventsArguments),
    /// Prints the scenario and the site that a running r-emsd runs
    Config(OfDaemon),
    /// Moves authority to another controller of a running r-emsd
    #[command(name = "switchover", after_help = SWITCHOVER_EXAMPLES)]
    SwitchOver(SwitchOverArguments),
    /// Takes a controller of a running r-emsd out of the candidates, or lets it be one again
    #[command(after_help = MAINTENANCE_EXAMPLES)]
    Maintenance(MaintenanceArguments),
    /// Makes a controller of a running r-emsd the majority on its own, as you vouch that all others are off; or ends that
    #[command(after_help = SOLE_EXAMPLES)]
    Sole(SoleArguments),
    /// Gives a device of a running r-emsd a set-point by hand for a while, or withdraws it
    #[command(name = "set-point", after_help = SET_POINT_EXAMPLES)]
    SetPoint(SetPointArguments),
    /// Holds every set-point of a grid of a running r-emsd at 0 until it is reset; no safety function
    #[command(name = "emergency-stop", after_help = EMERGENCY_STOP_EXAMPLES)]
    EmergencyStop(EmergencyStopArguments),
    /// Has a grid of a running r-emsd run by its functions, held where it is for a while, or at rest
    #[command(after_help = MODE_EXAMPLES)]
    Mode(ModeArguments),
    /// Keeps the state of a controller of a running r-emsd as it is now
    #[command(after_help = SNAPSHOT_EXAMPLES)]
    Snapshot(SnapshotArguments),
    /// Ends a running r-emsd in order
    Shutdown(OfDaemon),
}

/// Which daemon, and how its answer is printed.
#[derive(Args, Debug)]
pub struct OfDaemon {
    /// Where the daemon listens, by default r-emsd.sock in $XDG_RUNTIME_DIR, or /run/r-emsd/r-emsd.sock
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// How the answer is printed.
    #[command(flatten)]
    pub printed: Printed,
}

/// Shows how a daemon is.
#[derive(Args, Debug)]
pub struct StatusArguments {
    /// Shows it again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Lists events.
#[derive(Args, Debug)]
pub struct EventsArguments {
    /// Goes on with what happens, until Ctrl-C or the daemon ends
    #[arg(long)]
    pub follow: bool,
    /// Begins with the event of this number, by default with the oldest that the daemon keeps
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub from: u64,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Moves authority.
#[derive(Args, Debug)]
pub struct SwitchOverArguments {
    /// The grid
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// The controller that takes over, by default the best standby
    #[arg(long, value_name = "ID")]
    pub to: Option<String>,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Begins or ends maintenance.
#[derive(Args, Debug)]
pub struct MaintenanceArguments {
    /// The controller
    #[arg(value_name = "GRID/ID")]
    pub controller: String,
    /// Whether it begins or ends
    #[arg(value_enum, value_name = "on|off", hide_possible_values = true)]
    pub turned: Turned,
    /// Also on the active when nobody is ready to take over: then nobody writes
    #[arg(long)]
    pub force: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Makes a controller the majority on its own, or ends that.
#[derive(Args, Debug)]
pub struct SoleArguments {
    /// The controller
    #[arg(value_name = "GRID/ID")]
    pub controller: String,
    /// Whether it begins or ends
    #[arg(value_enum, value_name = "on|off", hide_possible_values = true)]
    pub turned: Turned,
    /// You vouch that all other controllers of the grid are off, or cut off from its devices, and stay so; `on` needs it
    #[arg(long)]
    pub others_are_off: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Gives a set-point by hand, or withdraws it.
#[derive(Args, Debug)]
pub struct SetPointArguments {
    /// The device, or `batteries` or `pvs` where they share one set-point
    #[arg(value_name = "GRID/DEVICE")]
    pub device: String,
    /// The power, positive into the bus, such as "-30 kW"; what an inverter is limited to
    #[arg(
        value_name = "POWER",
        required_unless_present = "release",
        requires = "lasts",
        allow_hyphen_values = true
    )]
    pub power: Option<Watts>,
    /// For how long, at most "1 h"
    #[arg(long = "for", id = "lasts", value_name = "SPAN")]
    pub lasts: Option<Span>,
    /// Withdraws what was given by hand
    #[arg(long, conflicts_with_all = ["power", "lasts"])]
    pub release: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Stops a grid, or resets that.
#[derive(Args, Debug)]
pub struct EmergencyStopArguments {
    /// The grid
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// Ends the stop: the functions decide again
    #[arg(long)]
    pub reset: bool,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// How a grid runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wanted {
    /// By its functions
    Auto,
    /// Batteries and PV stay at what was decided last, for at most an hour
    Hold,
    /// Batteries and PV rest
    Stop,
}

/// Has a grid run otherwise.
#[derive(Args, Debug)]
pub struct ModeArguments {
    /// The grid
    #[arg(value_name = "GRID")]
    pub grid: String,
    /// How it runs from now on
    #[arg(value_name = "MODE")]
    pub wanted: Wanted,
    /// For how long it is held, at most "1 h"
    #[arg(long = "for", id = "lasts", value_name = "SPAN", required_if_eq("wanted", "hold"))]
    pub lasts: Option<Span>,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Keeps a state.
#[derive(Args, Debug)]
pub struct SnapshotArguments {
    /// The controller
    #[arg(value_name = "GRID/ID")]
    pub controller: String,
    /// Which daemon.
    #[command(flatten)]
    pub daemon: OfDaemon,
}

/// Whether something begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Turned {
    /// It begins.
    On,
    /// It ends.
    Off,
}
