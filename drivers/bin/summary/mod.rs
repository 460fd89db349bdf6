//! The summary of a run: one structure that people read as a page and programs as one JSON object.
//!
//! **The JSON's fields are stable:** a later version adds fields and changes none. Units are in the names: `_s` seconds since
//! the run's start or a length, `_w` W, `_wh` Wh; shares are 0 to 1; a margin has the unit that stands beside it (`W`, `Wh`,
//! `s`, `events`, or `1` for shares and flags).
//!
//! | field | meaning |
//! |---|---|
//! | `scenario`, `seed`, `start`, `ending` | what ran, from when (local time), and how it ended: `complete` or `interrupted` |
//! | `simulated_s`, `wall_s`, `speed` | how long, in the plant's time and in ours, and their ratio |
//! | `scans`, `deliveries`, `digest` | of all controllers; equal digests are equal runs, bit for bit |
//! | `held`, `expectations` | whether all that were judged held; each with `name`, `held`, `margin`, `unit`, `at_s`, `value` and excursions |
//! | `rule` | of an expectation that stands for several rules, such as `one authority at a time`: the one that was broken first, as `explore` names it; or null |
//! | `not_judged` | of an expectation that a run which ended early could not judge: why; `held`, `margin`, `at_s`, `at` and `value` are null |
//! | `energy_wh` | by kind, all grids together |
//! | `cost` | by the tariff: `currency`, `energy`, `export_revenue`, `demand`, `total`, the same in `without_batteries`, `saved` |
//! | `grids` | each grid's `energy_wh`, `cost`, `peak`, `shaved_wh`, `batteries`, `gensets`, extremes of `frequency_hz` and `voltage_pu`, `island_s` and `dead_s`, `imbalance` and `beyond_limits` if a checker found one |
//! | `peak` | null in a run without a whole quarter of an hour |
//! | `controllers` | timing, functions with how long they bound and fell short, devices, points that could not be used |
//! | `controllers` also | `role` and `epoch` (`round.seat`) at the end |
//! | `take_overs` | null where nobody shares a grid: `count`, `longest_gap_s`, `messages`, `waiting`, `unheard`, and a `list` with `at_s`, `from`, `to`, `gap_s`, `reason`, `epoch`, `step_w`, and how long it took to notice (`detected_s`: silence until it began to ask, null where nobody had to notice anything) and to act (`acted_s`: from there to its first set-points) |
//! | `persistence` | null without it: by controller `snapshots`, `snapshots_failed`, lives `replayed`, `damaged` and `fresh`, those that `stopped` in order or did so without their state (`stopped_unkept`), and `degraded_s` without a journal |
//! | `failures` | assertions of controllers that failed, which are bugs: `controller`, `at_s`, `at`, and the `words` of the first |
//! | `events`, `alarms` | events by kind with severity and count, without each point's first good value; the first alarms in words |

mod authority;
mod collect;
mod cost;
mod due;
mod failures;
mod lives;
mod persistence;

use serde::Serialize;

pub use authority::{Authorities, Messages, TakeOverSummary, UnheardSummary, WaitingSummary};
pub use collect::{DOWN, Facts, GridFacts, Remains, summarize};
pub use cost::{Amounts, Cost};
pub use due::Due;
pub use failures::FailureSummary;
pub use lives::Lives;
pub use persistence::PersistenceSummary;

/// What a run did.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// The local time at which it began.
    pub start: String,
    /// How it ended.
    pub ending: Ending,
    /// How long it lasted in the plant.
    pub simulated_s: f64,
    /// How long it lasted here.
    pub wall_s: f64,
    /// How much faster than real time it was.
    pub speed: f64,
    /// Scans of all controllers.
    pub scans: u64,
    /// What reached all controllers.
    pub deliveries: u64,
    /// The run's identity: equal digests are equal runs.
    pub digest: String,
    /// Whether every expectation held that could be judged.
    pub held: bool,
    /// Every expectation with its margin.
    pub expectations: Vec<ExpectationSummary>,
    /// Energy by kind, all grids together.
    pub energy_wh: EnergyByKind,
    /// What it cost, all grids together; nothing without a tariff.
    pub cost: Option<Cost>,
    /// Each grid.
    pub grids: Vec<GridSummary>,
    /// Authority that moved; nothing where nobody shares a grid.
    pub take_overs: Option<Authorities>,
    /// What outlived the controllers, in their order; nothing where nothing is kept.
    pub persistence: Option<Vec<PersistenceSummary>>,
    /// Each controller.
    pub controllers: Vec<ControllerSummary>,
    /// Events by kind.
    pub events: Vec<EventCount>,
    /// The first alarms.
    pub alarms: Vec<AlarmSummary>,
    /// The first assertions of controllers that failed.
    pub failures: Vec<FailureSummary>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// It reached its end.
    Complete,
    /// The user ended it early.
    Interrupted,
}

/// How one expectation ended.
#[derive(Clone, Debug, Serialize)]
pub struct ExpectationSummary {
    /// Its name.
    pub name: String,
    /// Whether it held; nothing if it was not judged.
    pub held: Option<bool>,
    /// How far from failing it stayed; negative: by how far it failed.
    pub margin: Option<f64>,
    /// The margin's unit.
    pub unit: &'static str,
    /// When it was closest to failing, or failed worst.
    pub at_s: Option<f64>,
    /// The same as local time.
    pub at: Option<String>,
    /// The value then.
    pub value: Option<f64>,
    /// The value's unit.
    pub value_unit: &'static str,
    /// The longest excursion, where some are forgiven.
    pub longest_excursion_s: Option<f64>,
    /// All excursions together, where some are forgiven.
    pub excursions_s: Option<f64>,
    /// How long a controller's image had no value that it believed.
    pub no_value_s: f64,
    /// Which rule was broken first, if it stands for several: by the name under which `explore` reports it.
    pub rule: Option<&'static str>,
    /// What else is to be said, in words.
    pub remark: Option<String>,
    /// What happened at the instant, as the end of a sentence, where its value does not say that.
    #[serde(skip)]
    pub decided: Option<String>,
    /// Why it was not judged: the run ended too early for that.
    pub not_judged: Option<&'static str>,
}

/// Energies by kind, Wh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct EnergyByKind {
    /// Drawn from the grid.
    pub import: f64,
    /// Fed into the grid.
    pub export: f64,
    /// Taken by loads.
    pub load: f64,
    /// Wanted by loads and not served.
    pub unserved: f64,
    /// Made by photovoltaic plants.
    pub pv_made: f64,
    /// Of that, what loads and batteries took while it was made.
    pub pv_used: f64,
    /// What photovoltaic plants could have made and did not.
    pub pv_curtailed: f64,
    /// Taken by batteries.
    pub charge: f64,
    /// Given by batteries.
    pub discharge: f64,
    /// Lost by conversion.
    pub conversion_loss: f64,
    /// Lost by standing by.
    pub standby_loss: f64,
    /// Stored more than at the start.
    pub stored: f64,
    /// Given by gensets.
    pub generated: f64,
    /// Taken by gensets that are driven.
    pub absorbed: f64,
}

/// One grid.
#[derive(Clone, Debug, Serialize)]
pub struct GridSummary {
    /// Its name.
    pub name: String,
    /// Energy by kind.
    pub energy_wh: EnergyByKind,
    /// What the energy checker found, if the books do not balance.
    pub imbalance: Option<String>,
    /// What the checkers of limits and of timers found, if the plant did what it cannot.
    pub beyond_limits: Option<String>,
    /// The highest 15-min mean import; none in a run without a whole quarter of an hour.
    pub peak: Option<Peak>,
    /// The same if the batteries had rested.
    pub peak_without_batteries: Option<Peak>,
    /// How long import was above the connection's rating.
    pub above_rating_s: f64,
    /// The energy above it.
    pub above_rating_wh: f64,
    /// The limit that peaks are shaved to.
    pub limit_w: Option<f64>,
    /// Energy above the limit without batteries less energy above it with them.
    pub shaved_wh: Option<f64>,
    /// Energy above the limit that was left.
    pub excess_wh: Option<f64>,
    /// What it cost; nothing without a tariff.
    pub cost: Option<Cost>,
    /// Each battery.
    pub batteries: Vec<BatterySummary>,
    /// Each genset.
    pub gensets: Vec<GensetSummary>,
    /// The extremes of its frequency, in Hz, while something held it.
    pub frequency_hz: Option<Extremes>,
    /// The extremes of its voltage, as multiples of the nominal one.
    pub voltage_pu: Option<Extremes>,
    /// How long it was held by what stands on it.
    pub island_s: f64,
    /// How long nothing held it.
    pub dead_s: f64,
    /// Mean import over equal pieces of the run, W: with batteries and without. For the eye only.
    #[serde(skip)]
    pub curve: (Vec<f64>, Vec<f64>),
}

/// A highest mean import.
#[derive(Clone, Debug, Serialize)]
pub struct Peak {
    /// The mean.
    pub mean_w: f64,
    /// When its quarter of an hour began.
    pub at_s: f64,
    /// The same as local time.
    pub at: String,
}

/// One battery.
#[derive(Clone, Debug, Serialize)]
pub struct BatterySummary {
    /// Its name.
    pub name: String,
    /// Discharged energy by capacity.
    pub cycles: f64,
    /// Lowest state of charge.
    pub soc_min: f64,
    /// When.
    pub soc_min_at: String,
    /// Highest state of charge.
    pub soc_max: f64,
    /// When.
    pub soc_max_at: String,
}

/// One genset.
#[derive(Clone, Debug, Serialize)]
pub struct GensetSummary {
    /// Its name.
    pub name: String,
    /// Energy given to the grid.
    pub generated_wh: f64,
    /// How often its engine was started.
    pub starts: u32,
    /// How long its engine ran, in h.
    pub hours: f64,
    /// How much fuel it took, in l.
    pub fuel_l: f64,
}

/// The lowest and the highest of a value.
#[derive(Clone, Debug, Serialize)]
pub struct Extremes {
    /// The lowest.
    pub low: f64,
    /// When it was reached first.
    pub low_at: String,
    /// The highest.
    pub high: f64,
    /// When it was reached first.
    pub high_at: String,
}

/// One controller.
#[derive(Clone, Debug, Serialize)]
pub struct ControllerSummary {
    /// Its full name, `grid/id`.
    pub name: String,
    /// What it was in its grid's council at the end: `active`, `standby`, `witness`, …; `down` if it
    /// did not run then.
    pub role: &'static str,
    /// The fencing number that it held, or else the highest that it knew, `round.seat`.
    pub epoch: String,
    /// How many scans it made.
    pub scans: u64,
    /// How many it missed.
    pub missed: u64,
    /// 99 of 100 scans were not later than this.
    pub lateness_p99_s: f64,
    /// The latest scan.
    pub lateness_worst_s: f64,
    /// Its functions in priority order.
    pub functions: Vec<FunctionSummary>,
    /// Its devices.
    pub devices: Vec<DeviceSummary>,
    /// Points that could not be used for a while after they had been good.
    pub unusable: Vec<UnusablePoint>,
}

/// One function of a stack.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionSummary {
    /// Its name.
    pub name: &'static str,
    /// How long it bound a set-point.
    pub bound_s: f64,
    /// All energy that its groups moved meanwhile, into the bus and out of it added up: no measure of what was shaved.
    pub bound_wh: f64,
    /// How long its wishes could not be met.
    pub short_s: f64,
    /// The energy that was missing meanwhile.
    pub short_wh: f64,
    /// The largest shortfall.
    pub short_worst_w: f64,
}

/// What went to and from a device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceSummary {
    /// Its name.
    pub name: String,
    /// Polls that were answered.
    pub answers: u64,
    /// Polls and writes that timed out.
    pub timeouts: u64,
    /// Polls that timed out.
    pub poll_timeouts: u64,
    /// Writes that timed out.
    pub write_timeouts: u64,
    /// Writes that took effect.
    pub writes: u64,
}

/// A point that could not be used for a while.
#[derive(Clone, Debug, Serialize)]
pub struct UnusablePoint {
    /// Its name, `device.point`.
    pub name: String,
    /// For how long.
    pub for_s: f64,
}

/// How often something was reported.
#[derive(Clone, Debug, Serialize)]
pub struct EventCount {
    /// The event's kind.
    pub kind: &'static str,
    /// How much it matters: info, warning or alarm.
    pub severity: String,
    /// How often.
    pub count: u64,
}

/// One alarm in words.
#[derive(Clone, Debug, Serialize)]
pub struct AlarmSummary {
    /// When, in seconds since the start.
    pub at_s: f64,
    /// When, as local time.
    pub at: String,
    /// Who raised it.
    pub controller: String,
    /// What.
    pub kind: &'static str,
    /// In words.
    pub message: String,
}
