//! The input language of R-EMS: site files and scenario files, checked and made into worlds and controllers. `README.md` is its
//! reference.
//!
//! ```text
//!   path ─> files ─> include ─> alike ─> overrides ─> node (RON) ─┬─> site ─> device, council ─> ControllerSpec
//!                                                                 └─> scenario ─> plant ─> source, profile
//!                                                                              └> network, happening ─> command, fault
//!                                                                              └> expectation ─> WorldSpec
//!   every step ─> mistake (file:line:col: field: what was found, what is allowed)
//! ```
//!
//! One schema serves both kinds of files. A site file says what controllers believe and do, and is the file that a real
//! site runs; a scenario adds what the world really is, what happens in it and what must come of it. `version: 1` stands in
//! each; unknown fields and names that stand twice are refused.
//!
//! **Mistakes.** A reader notes a mistake and goes on: all mistakes of form and of meaning that do not hide each other come
//! out of one look. Only what is no RON at all ends reading at once.
//!
//! **Decision: RON one level at a time.** A derived reader stops at its first error and knows no places after it. Here RON's
//! parser opens one level, what lies below stays raw text with its place in the file, and each item is read by itself. The
//! price is that text is scanned once per level; at [`files::MAX_SCENARIO_BYTES`] that is milliseconds. A parser that keeps
//! places of its own accord would change our mind.
//!
//! **Invariant:** nothing here reads a clock, and the same texts with the same overrides make the same world.
//!
//! **Invariant:** no text, however hostile, panics or hangs: sizes, depths and counts have limits, each with a name.

mod alike;
pub mod assurance;
pub mod at_end;
mod battery;
mod bounds;
mod command;
mod council;
mod device;
mod device_fault;
mod expectation;
mod fault;
mod fieldbus;
pub mod files;
mod fleet;
mod genset;
mod grid_value;
mod happening;
mod include;
mod initial;
mod island;
mod kind;
mod later;
mod leaf;
pub mod mistake;
mod moment;
mod naming;
mod network;
mod node;
mod origins;
mod outlives;
mod overrides;
mod persistence;
mod plant;
mod polls;
mod profile;
mod reach;
mod real;
mod reality;
mod redundancy;
#[cfg(test)]
mod reference;
mod refused;
mod reload;
mod scenario;
mod sections;
mod sheet;
mod site;
mod source;
mod standing;
mod steps;
pub mod sweep;
mod take_over;
mod tariff;
pub mod totals;
mod unclosed;
mod wind;

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_sim::world::{Timed, WorldSpec};

pub use assurance::Assurance;
pub use at_end::AtEnd;
pub use files::{Disk, Document, Files, Memory};
pub use mistake::{Mistake, Report, Severity};
pub use outlives::DURABLE_OUTLIVES;
pub use overrides::Overrides;
pub use real::{RealHost, RealMember, RealSite, RealWay, load_site};
pub use reload::load_again;
pub use take_over::{AUTHORITY_RETURNS, ONE_AUTHORITY};
pub use tariff::Tariff;

use mistake::Notes;
use node::Node;

/// Limits of the language, for programs that write scenarios.
pub mod limits {
    pub use crate::device_fault::LATE_MAX;
    pub use crate::network::DELAY_MAX;
    pub use crate::redundancy::INTERVAL_MAX;
    pub use crate::site::SCAN_MIN;
    pub use r_ems_sim::world::RATE_PPB_MAX;
}

/// A scenario that is ready to run.
#[derive(Clone, Debug)]
pub struct Loaded<F: FunctionSet> {
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub note: Option<String>,
    /// The texts of the scenario and of its site file, if that is one of its own, with the overrides in them: for a log.
    pub documents: Vec<Document>,
    /// What the command line set, as a field `set` states it: paths, and values in RON.
    pub settings: Vec<(String, String)>,
    /// How local times are shown.
    pub time_zone: TimeZone,
    /// The controllers in the order of the fleet.
    pub controllers: Vec<ControllerSpec<F>>,
    /// By controller: where the connections of its fieldbus lead, as `host:port`.
    pub addresses: Vec<Vec<String>>,
    /// The names of the plant's components, by grid and component.
    pub components: Vec<Vec<String>>,
    /// The names of the site's hosts.
    pub hosts: Vec<String>,
    /// What is expected of the run's sums, to be judged when it has ended.
    pub at_end: Vec<AtEnd>,
    /// What energy and power cost.
    pub tariff: Option<Tariff>,
    /// What the redundancy of each shared grid comes to.
    pub assurances: Vec<Assurance>,
    /// Everything else.
    pub world: WorldSpec,
    /// What somebody should look at.
    pub warnings: Report,
}

/// What a log's header tells about the controllers that it recorded.
#[derive(Clone, Debug)]
pub struct Recalled<F: FunctionSet> {
    /// What the scenario is called.
    pub name: String,
    /// How local times are shown.
    pub time_zone: TimeZone,
    /// The wall clock at the run's start.
    pub start: WallTime,
    /// The controllers in the order of the fleet.
    pub controllers: Vec<ControllerSpec<F>>,
}

/// Loads a scenario.
///
/// # Errors
/// Every mistake that was found, warnings included.
pub fn load<F: FunctionSet>(
    files: &dyn Files,
    path: &str,
    overrides: &Overrides,
) -> Result<Loaded<F>, Report> {
    let mut notes = Notes::default();
    let loaded = scenario::load::<F>(files, path, overrides, &mut notes);
    let report = notes.into_report();
    match loaded {
        Some(loaded) if !report.has_errors() => Ok(Loaded { warnings: report, ..loaded }),
        Some(_) | None => Err(report),
    }
}

/// Makes the controllers of a run again from the texts that its log keeps; profiles are not needed.
///
/// # Errors
/// Every mistake that was found: the texts were written by another version, or are not [`Loaded::documents`].
pub fn recall<F: FunctionSet>(documents: &[Document]) -> Result<Recalled<F>, Report> {
    let mut notes = Notes::default();
    let recalled = scenario::recall::<F>(documents, &mut notes);
    recalled.ok_or_else(|| notes.into_report())
}

/// Reads a list of faults, as it may stand in the `faults` of the scenario whose texts are `documents`; its own faults and its
/// timeline do not count. Plants are not read: what happens to their components is not found.
///
/// # Errors
/// Every mistake that was found in either.
pub fn happenings<F: FunctionSet>(documents: &[Document], faults: &str) -> Result<Vec<Timed>, Report> {
    let mut notes = Notes::default();
    let faults = Document::new("faults", faults);
    let happenings = scenario::happenings::<F>(documents, &faults, &mut notes);
    let report = notes.into_report();
    match happenings {
        Some(happenings) if !report.has_errors() => Ok(happenings),
        Some(_) | None => Err(report),
    }
}

/// Checks a scenario file or a site file, whichever it is, and says everything that is wrong or odd.
pub fn check<F: FunctionSet>(files: &dyn Files, path: &str) -> Report {
    examine::<F>(files, path).0
}

/// Checks like [`check`], and says what the redundancy of each shared grid comes to; nothing of that where there are errors.
pub fn examine<F: FunctionSet>(files: &dyn Files, path: &str) -> (Report, Vec<Assurance>) {
    let mut notes = Notes::default();
    let Some(document) = scenario::read_document(files, path, &mut notes) else {
        return (notes.into_report(), Vec::new());
    };
    let is_site = Node::root(&document, &mut Notes::default()).is_some_and(|root| root.name() == "Site");
    let mut assurances = Vec::new();
    if is_site {
        let document = alike::expanded(document, &mut notes);
        let root = document.as_ref().and_then(|document| Node::root(document, &mut notes));
        let site = root.and_then(|root| site::read::<F>(&root, &mut notes));
        if let Some(site) = site.filter(|_site| notes.errors() == 0) {
            let sync = persistence::waits(site.persistence, network::SYNC).write;
            for grid in &site.grids {
                let ways = assurance::Ways::assumed(grid, sync);
                grid.council.check_lease(ways.delay(), &mut notes);
                assurance::check_heartbeats(grid, &ways, &mut notes);
                assurances.extend(assurance::of(grid, &ways).map(|found| found.0));
            }
            if notes.errors() > 0 {
                assurances.clear();
            }
        }
    } else if let Some(loaded) = scenario::load::<F>(files, path, &Overrides::default(), &mut notes) {
        assurances = loaded.assurances;
    }
    (notes.into_report(), assurances)
}
