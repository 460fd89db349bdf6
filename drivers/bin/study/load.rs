//! From files to a study, and from a log back to the study that it recorded.
//!
//! A log keeps the texts of its scenario and site, but no profiles: those are found where the scenario's path says. Texts
//! from a log have the run's changes in them already.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use r_ems_engine::Span;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{ControllerNames, Header};
use r_ems_engine::units::Watts;
use r_ems_engine::wall::UtcOffset;
use r_ems_scenarios::at_end::{AtEnd, in_places};
use r_ems_scenarios::{Disk, Document, Files, Overrides, Report};
use r_ems_sim::world::WorldSpec;

use super::Study;
use crate::exit::{Exit, Failure};
use crate::names;
use crate::summary::{Facts, GridFacts};

/// A scenario that was loaded from files.
#[derive(Clone, Debug)]
pub struct Loaded<F: FunctionSet> {
    /// Ready to run.
    pub study: Study<F>,
    /// What somebody should look at.
    pub warnings: Report,
    /// Every file that was read.
    pub inputs: Vec<PathBuf>,
}

/// Notes which files are read.
struct Noted {
    read: RefCell<Vec<PathBuf>>,
}

impl Files for Noted {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        self.read.borrow_mut().push(PathBuf::from(path));
        Disk.read(path, bytes_max)
    }
}

/// The texts of a log; profiles come from the disk.
struct Kept<'a>(&'a Header);

impl Files for Kept<'_> {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        if path == self.0.scenario_path {
            Ok(self.0.scenario_text.clone().into_bytes())
        } else if path == self.0.site_path {
            Ok(self.0.site_text.clone().into_bytes())
        } else {
            Disk.read(path, bytes_max)
        }
    }
}

/// Loads a scenario.
///
/// # Errors
/// [`Exit::BadScenario`] with every mistake.
pub fn load<F: FunctionSet>(file: &Path, overrides: &Overrides) -> Result<Loaded<F>, Failure> {
    let path = file.to_str().ok_or_else(|| {
        Failure::usage(format!("{}: the path must be UTF-8 text; rename it", file.display()))
    })?;
    let files = Noted { read: RefCell::new(Vec::new()) };
    let loaded = r_ems_scenarios::load::<F>(&files, path, overrides).map_err(|report| bad(&report))?;
    let warnings = loaded.warnings.clone();
    Ok(Loaded { study: study(loaded), warnings, inputs: files.read.into_inner() })
}

/// Loads the scenario that a log was recorded from, up to where the log ends.
///
/// # Errors
/// The log holds no scenario, or a profile is not where it was.
pub fn again<F: FunctionSet>(header: &Header, until: Span) -> Result<Study<F>, Failure> {
    if header.scenario_text.is_empty() {
        return Err(Failure::error("the log was not recorded from a scenario: use --at instead"));
    }
    let overrides = Overrides { seed: Some(header.seed), until: Some(until), ..Overrides::default() };
    let loaded = r_ems_scenarios::load::<F>(&Kept(header), &header.scenario_path, &overrides);
    let loaded = loaded.map_err(|report| {
        let advice =
            "the log's scenario cannot be simulated again: run this where it was recorded, or use --at";
        Failure::error(format!("{}\n\n{advice}", report_text(&report)))
    })?;
    Ok(study(loaded))
}

/// How the clocks of a log's site show times; UTC if its texts do not say.
pub fn zone<F: FunctionSet>(header: &Header) -> UtcOffset {
    let site = Document::new(&header.site_path, header.site_text.clone());
    let scenario = Document::new(&header.scenario_path, header.scenario_text.clone());
    let documents = if header.site_text.is_empty() { vec![scenario] } else { vec![scenario, site] };
    r_ems_scenarios::recall::<F>(&documents).map_or(UtcOffset::UTC, |recalled| recalled.time_zone)
}

/// Every mistake, as a person reads it.
pub fn report_text(report: &Report) -> String {
    let (errors, warnings) = report.counts();
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => String::new(),
        (0, warnings) => format!("{report}\n\n{}", plural(warnings, "warning")),
        (errors, 0) => format!("{report}\n\n{}", plural(errors, "error")),
        (errors, warnings) => {
            format!("{report}\n\n{}, {}", plural(errors, "error"), plural(warnings, "warning"))
        }
    }
}

fn bad(report: &Report) -> Failure {
    Failure { exit: Exit::BadScenario, message: format!("the scenario is wrong\n\n{}", report_text(report)) }
}

fn study<F: FunctionSet>(loaded: r_ems_scenarios::Loaded<F>) -> Study<F> {
    let controllers: Vec<ControllerNames> = loaded.controllers.iter().map(names::of_spec).collect();
    let world = &loaded.world;
    let grids = loaded.components.into_iter().enumerate().map(|(grid, components)| GridFacts {
        name: grid_name(grid, world, &controllers),
        components,
        limit_w: world.grids[grid].shaving_limit.map(Watts::watts),
    });
    let units =
        world.expectations.iter().map(|expectation| names::units(&expectation.claim, &controllers)).collect();
    let of_sum = |sum: &AtEnd| names::Units { margin: sum.unit(), value: sum.unit() };
    let units = in_places(&loaded.at_end, units, of_sum);
    let facts = Facts {
        scenario: loaded.name,
        seed: world.seed,
        start: world.start,
        offset: loaded.time_zone,
        grids: grids.collect(),
        controllers,
        units,
        at_end: loaded.at_end,
        tariff: loaded.tariff,
    };
    let mut documents = loaded.documents.into_iter();
    let scenario = documents.next().unwrap_or_else(|| Document::new("", ""));
    let site = documents.next().unwrap_or_else(|| Document::new("", ""));
    Study { facts, world: loaded.world, controllers: loaded.controllers, scenario, site }
}

/// A grid is called as its controllers call it.
fn grid_name(grid: usize, world: &WorldSpec, controllers: &[ControllerNames]) -> String {
    let post = world.posts.iter().position(|post| usize::from(post.grid) == grid);
    post.map_or_else(|| format!("grid {grid}"), |post| controllers[post].grid.clone())
}
