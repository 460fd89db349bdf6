//! What `r-emsd` and `r-emsctl` tell each other: the JSON forms of the control API, version 1.
//!
//! **The fields are stable:** a later version adds fields and changes none. Units are in the names: `_s` seconds since the run's
//! start, or a length; `_w` W, positive into the bus; shares are 0 to 1. A time without `_s` is local text.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::explanation::Explanation;

/// The version of this program, which both sides tell each other.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The header of an answer that names the daemon's version.
pub const VERSION_HEADER: &str = "r-ems-version";
/// Where a daemon listens that is told nothing else, below the directory of its user or of the system.
const SOCKET: &str = "r-emsd.sock";
/// The directory of the system's daemon.
const SYSTEM_DIRECTORY: &str = "/run/r-emsd";

/// Where the system's daemon keeps what is to outlive it.
pub const SYSTEM_STATE: &str = "/var/lib/r-emsd";

/// Where the daemon listens, and is looked for, if nobody says otherwise.
#[expect(clippy::disallowed_methods, reason = "where users keep their sockets is no input of a run")]
pub fn default_socket() -> PathBuf {
    let of_user = std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty());
    of_user.map_or_else(system_socket, |directory| PathBuf::from(directory).join(SOCKET))
}

/// Where the system's daemon listens.
pub fn system_socket() -> PathBuf {
    PathBuf::from(SYSTEM_DIRECTORY).join(SOCKET)
}

/// `GET /v1/status`: how everything is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// `simulation`, `production` or `hybrid`.
    pub mode: String,
    /// The scenario's name.
    pub scenario: String,
    /// Time since the run began.
    pub now_s: f64,
    /// The same as local time.
    pub now: String,
    /// Whether it ends.
    pub is_stopping: bool,
    /// How late the loop is.
    pub timing: Timing,
    /// Events that the loop could not pass on, because nobody took them in time.
    pub events_lost: u64,
    /// Lines on the daemon's standard error that nobody read in time.
    pub lines_lost: u64,
    /// The log, if the run is recorded.
    pub log: Option<LogStatus>,
    /// Each grid.
    pub grids: Vec<GridStatus>,
}

/// The log of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStatus {
    /// Its path, as the daemon was told it.
    pub path: String,
    /// So many bytes of it are durable.
    pub bytes: u64,
    /// Why it ended before the run, if it did.
    pub cut: Option<String>,
}

/// How late deliveries passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// How many passed.
    pub deliveries: u64,
    /// Half of them were not later.
    pub p50_s: f64,
    /// 99 of 100 were not later.
    pub p99_s: f64,
    /// The latest.
    pub worst_s: f64,
}

/// One grid, as its active controller sees it; as the first one that lives does, if none is active.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GridStatus {
    /// Its name.
    pub name: String,
    /// The id of the controller that may write; null if none may, and if none is known here while not all are heard: see `role`.
    pub active: Option<String>,
    /// Its fencing number, `round.seat`.
    pub epoch: Option<String>,
    /// The id of the controller whose view this is.
    pub seen_by: Option<String>,
    /// Whether an emergency stop holds every set-point at 0.
    #[serde(default)]
    pub is_stopped: bool,
    /// How an operator has it run: `auto`, `hold` or `stop`.
    #[serde(default)]
    pub operation: String,
    /// For how long it is still held.
    #[serde(default)]
    pub held_for_s: Option<f64>,
    /// What holds it: `grid`, `island`, `dead`, or null while that is not known.
    #[serde(default)]
    pub held_by: Option<String>,
    /// The limit that peaks are shaved to.
    pub limit_w: Option<f64>,
    /// Each device.
    pub devices: Vec<DeviceStatus>,
    /// Each controller, and the witness.
    pub controllers: Vec<ControllerStatus>,
    /// What is not as it should be, oldest first.
    pub conditions: Vec<Condition>,
}

impl GridStatus {
    /// Whether every member of its council is heard here and understood. Else one of which nothing is known here may be active.
    pub fn hears_all(&self) -> bool {
        !self.controllers.iter().any(|member| matches!(member.role.as_str(), "silent" | "differs"))
    }
}

/// One device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceStatus {
    /// Its name.
    pub name: String,
    /// `Meter`, `Battery`, `Pv` or `Signal`.
    pub class: String,
    /// Whether a simulated plant stands for it, while other devices of the site are real.
    #[serde(default)]
    pub is_simulated: bool,
    /// Its measured power.
    pub power_w: Option<f64>,
    /// Its state of charge.
    pub soc: Option<f64>,
    /// The share that the grid operator signals, of a receiver.
    #[serde(default)]
    pub signal: Option<f64>,
    /// How long its charge, or the room for more, lasts at this power, losses left out; null where its capacity is not known, and
    /// beyond 100 days.
    pub lasts_s: Option<f64>,
    /// `remote`, or `local` while it is controlled at its panel, and nothing is told to it; null where it does not tell.
    #[serde(default)]
    pub control: Option<String>,
    /// `off`, `starting`, `ready`, `running` or `fault`, of a genset how its engine stands; null where it does not tell.
    #[serde(default)]
    pub mode: Option<String>,
    /// The worst quality of its points.
    pub quality: String,
    /// How old the oldest of its points is.
    pub age_s: Option<f64>,
    /// How many polls it has left unanswered.
    pub timeouts: u64,
    /// What was decided for it; null while nothing is told to it.
    pub set_point_w: Option<f64>,
    /// Who bound that, or why nothing is told to it.
    pub bound_by: Option<String>,
    /// The set-point that an operator gave it by hand, while that is in force.
    #[serde(default)]
    pub by_hand_w: Option<f64>,
    /// For how long that still is.
    #[serde(default)]
    pub by_hand_left_s: Option<f64>,
    /// What became of the last write: `pending`, `acknowledged`, `not held` (acknowledged, and seen not to be held since) or
    /// `failed`.
    pub write: Option<String>,
    /// When it falls back unless it is written again; null where the last write failed.
    pub reverts_in_s: Option<f64>,
}

/// One member of a grid's council.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ControllerStatus {
    /// Its full name, `grid/id`.
    pub name: String,
    /// On which host it runs if that is another one: it is told then as it was heard last.
    pub host: Option<String>,
    /// `active`, `standby`, `witness`, `maintenance`, …; `down` if it does not run, `silent` if it is on another
    /// host and was not heard for long, `differs` if it is heard from there and has another redundancy section.
    pub role: String,
    /// Whether an operator has declared it to be the majority on its own; null where that is not known.
    #[serde(default)]
    pub is_sole: Option<bool>,
    /// The fencing number that it holds, or the highest that it knows.
    pub epoch: String,
    /// `starting`, `running`, `voting`, `stopped`, `failed`, or `down` before its first boot; `elsewhere` on another host.
    pub life: String,
    /// Whether it could write at once.
    pub is_ready: bool,
    /// Whether it reaches the devices that it needs.
    pub reaches_devices: bool,
    /// How old the state is that it has from the active.
    pub state_age_s: Option<f64>,
    /// How many scans it made.
    pub scans: u64,
    /// How many it missed.
    pub missed: u64,
    /// How late its latest scan was, by its own clock.
    pub lateness_worst_s: f64,
    /// How long ago it was seen as it is told here.
    pub seen_s: f64,
}

/// Something that is not as it should be, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    /// Since when.
    pub since_s: f64,
    /// The same as local time.
    pub since: String,
    /// Who reported it.
    pub controller: String,
    /// `warning` or `alarm`.
    pub severity: String,
    /// In words.
    pub message: String,
}

/// `GET /v1/points`: every point of every controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Points {
    /// Time since the run began.
    pub now_s: f64,
    /// All of them, by controller and device.
    pub points: Vec<PointStatus>,
}

/// One point, as one controller sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PointStatus {
    /// Who sees it, `grid/id`.
    pub controller: String,
    /// The point, `device.point`.
    pub point: String,
    /// The last value that was a number; null before the first.
    pub value: Option<f64>,
    /// `W`, or `1` for a share.
    pub unit: String,
    /// `good`, `stale`, `invalid`, `stuck` or `unknown`.
    pub quality: String,
    /// How long ago it was measured.
    pub age_s: Option<f64>,
}

/// A line of `GET /v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventLine {
    /// Counts the daemon's events from 1; a gap is what was lost.
    pub number: u64,
    /// When.
    pub at_s: f64,
    /// The same as local time.
    pub at: String,
    /// Who reported it, `grid/id`.
    pub controller: String,
    /// What.
    pub kind: String,
    /// `info`, `warning` or `alarm`.
    pub severity: String,
    /// In words.
    pub message: String,
}

/// `GET /v1/config`: what is in effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Config {
    /// The daemon's version.
    pub version: String,
    /// `simulation`, `production` or `hybrid`.
    pub mode: String,
    /// The scenario file, with what was changed by `--set`.
    pub scenario: Text,
    /// The site file; empty if the site stands in the scenario.
    pub site: Text,
}

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Text {
    /// Its path.
    pub path: String,
    /// What it says.
    pub text: String,
}

/// `GET /v1/explain`: why set-points are what they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// As of when.
    pub at_s: f64,
    /// The same as local time.
    pub at: String,
    /// Why, by the controller that may write.
    #[serde(flatten)]
    pub explanation: Explanation,
}

/// `POST /v1/switchover`: moves authority in a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchOver {
    /// In which grid.
    pub grid: String,
    /// To which controller, by its id; to the best standby without it.
    #[serde(default)]
    pub to: Option<String>,
}

/// `POST /v1/maintenance`: takes a controller out of the candidates, or lets it be one again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Maintenance {
    /// Which, `grid/id`.
    pub controller: String,
    /// Whether it begins.
    pub on: bool,
    /// Also on the active when nobody is ready to take over.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/sole`: makes a controller the majority on its own, or ends that.
///
/// With `on` an operator vouches that all other controllers of the grid and the witness are off, or cut off from its devices, and
/// stay so until it is ended: nothing else keeps two from writing. It is durable, and outlives restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sole {
    /// Which, `grid/id`.
    pub controller: String,
    /// Whether it begins.
    pub on: bool,
}

/// `POST /v1/setpoint`: gives a device, or all that share one set-point, a set-point by hand, for a while.
///
/// A `Manual` function of the site must act on exactly that; what stands above it in the stack still binds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPoint {
    /// Of which, `grid/device`, or `grid/batteries` and `grid/pvs` where they share one.
    pub device: String,
    /// The power, positive into the bus; what an inverter is limited to.
    pub power_w: f64,
    /// For how long, at most an hour.
    pub for_s: f64,
}

/// `POST /v1/release`: withdraws a set-point by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Of which, as it was given.
    pub device: String,
}

/// `POST /v1/emergencystop`: holds every set-point of a grid at 0 until it is reset; or resets it. This is no safety function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyStop {
    /// In which grid.
    pub grid: String,
    /// Whether it begins; false resets it.
    pub on: bool,
}

/// `POST /v1/mode`: has a grid run by its functions, held where it is for a while, or at rest.
///
/// It is about batteries and PV, and counts where a set-point by hand does: what stands above that in the stack still binds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// Which grid.
    pub grid: String,
    /// `auto`, `hold` or `stop`.
    pub operation: String,
    /// For how long it is held, at most an hour; of the others it says nothing.
    #[serde(default)]
    pub for_s: f64,
}

/// `POST /v1/snapshot`: keeps the state of a controller as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Of which, `grid/id`.
    pub controller: String,
}

/// The outcome of a command that has not been seen to happen yet.
pub const ASKED: &str = "asked";

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Done {
    /// `done`, or `asked` if what was asked for has not been seen to happen yet.
    pub outcome: String,
    /// What happened, in words.
    pub message: String,
}

/// What every answer says that is no success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// What is wrong, and the remedy.
    pub error: String,
}
