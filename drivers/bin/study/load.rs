//! From files to a study.
//!
//! A run that shall end earlier is cut here and not by the scenario's check: what is expected of it stays known, so that the
//! summary can say what could not be judged.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::units::Watts;
use r_ems_engine::{Span, Time};
use r_ems_scenarios::at_end::{AtEnd, in_places};
use r_ems_scenarios::{Disk, Document, Files, Memory, Overrides, Report};
use r_ems_sim::plant::Component;
use r_ems_sim::world::WorldSpec;

use super::Study;
use crate::exit::{Exit, Failure};
use crate::names;
use crate::summary::{Due, Facts, GridFacts, Lives};

/// A scenario that was loaded from files.
#[derive(Clone, Debug)]
pub struct Loaded<F: FunctionSet> {
    /// Ready to run.
    pub study: Study<F>,
    /// What somebody should look at.
    pub warnings: Report,
}

/// Why a scenario cannot be run.
#[derive(Clone, Debug)]
pub enum NotLoaded {
    /// Its files are wrong, or what is set in them.
    Wrong(Report),
    /// What is asked of it makes no sense.
    Refused(Failure),
}

impl From<NotLoaded> for Failure {
    fn from(error: NotLoaded) -> Self {
        match error {
            NotLoaded::Wrong(report) => {
                let message = format!("the scenario is wrong\n\n{}", report_text(&report));
                Self { exit: Exit::BadScenario, message }
            }
            NotLoaded::Refused(failure) => failure,
        }
    }
}

/// The disk; notes which files are read.
#[derive(Default)]
pub(crate) struct Noted {
    read: RefCell<Vec<PathBuf>>,
}

impl Noted {
    /// The files that were read.
    pub(crate) fn into_inputs(self) -> Vec<PathBuf> {
        self.read.into_inner()
    }
}

impl Files for Noted {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        self.read.borrow_mut().push(PathBuf::from(path));
        Disk.read(path, bytes_max)
    }
}

/// Loads a scenario that the program brings along, from files in memory.
///
/// # Errors
/// [`NotLoaded`] as for [`load`]: what is set in it may be wrong.
pub fn load_from<F: FunctionSet>(
    files: &Memory,
    path: &str,
    overrides: &Overrides,
) -> Result<Loaded<F>, NotLoaded> {
    let loaded = r_ems_scenarios::load::<F>(files, path, overrides).map_err(NotLoaded::Wrong)?;
    let warnings = loaded.warnings.clone();
    Ok(Loaded { study: study(loaded, Vec::new()), warnings })
}

/// Loads a scenario.
///
/// # Errors
/// [`NotLoaded`]: every mistake of the files, or an end that the run does not have.
pub fn load<F: FunctionSet>(file: &Path, overrides: &Overrides) -> Result<Loaded<F>, NotLoaded> {
    let path = file.to_str().ok_or_else(|| {
        let message = format!("{}: the path must be UTF-8 text; rename it", file.display());
        NotLoaded::Refused(Failure::usage(message))
    })?;
    let files = Noted::default();
    let whole = Overrides { until: None, ..overrides.clone() };
    let loaded = r_ems_scenarios::load::<F>(&files, path, &whole).map_err(NotLoaded::Wrong)?;
    let warnings = loaded.warnings.clone();
    let mut study = study(loaded, files.into_inputs());
    if let Some(until) = overrides.until {
        end_at(&mut study.world, until).map_err(NotLoaded::Refused)?;
    }
    Ok(Loaded { study, warnings })
}

/// Lets a run end earlier.
fn end_at(world: &mut WorldSpec, until: Span) -> Result<(), Failure> {
    if until.is_zero() || until > world.duration {
        let allowed = format!("above 0 s and at most the run's {}", world.duration);
        return Err(Failure::usage(format!("--until: must be {allowed}, got {until}")));
    }
    world.duration = until;
    world.timeline.retain(|timed| timed.at <= Time::ZERO + until);
    Ok(())
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

/// Makes a study of what was loaded from `inputs`.
pub(super) fn study<F: FunctionSet>(loaded: r_ems_scenarios::Loaded<F>, inputs: Vec<PathBuf>) -> Study<F> {
    let controllers: Vec<ControllerNames> = loaded.controllers.iter().map(names::of_spec).collect();
    let world = &loaded.world;
    let grids = loaded.components.into_iter().enumerate().map(|(grid, components)| GridFacts {
        name: grid_name(grid, world, &controllers),
        capacities_wh: capacities(&components, world.grids[grid].bus.components()),
        components,
        limit_w: world.grids[grid].shaving_limit.map(Watts::watts),
    });
    let units =
        world.expectations.iter().map(|expectation| names::units(&expectation.claim, &controllers)).collect();
    let of_sum = |sum: &AtEnd| names::Units { margin: sum.unit(), value: sum.unit() };
    let units = in_places(&loaded.at_end, units, of_sum);
    let dues = world.expectations.iter().map(Due::of).collect();
    let dues = in_places(&loaded.at_end, dues, Due::of_at_end);
    let facts = Facts {
        lives: Lives::of(world),
        scenario: loaded.name,
        seed: world.seed,
        start: world.start,
        offset: loaded.time_zone,
        grids: grids.collect(),
        controllers,
        units,
        dues,
        planned: world.duration,
        at_end: loaded.at_end,
        tariff: loaded.tariff,
    };
    let mut documents = loaded.documents.into_iter();
    let scenario = documents.next().unwrap_or_else(|| Document::new("", ""));
    let site = documents.next().unwrap_or_else(|| Document::new("", ""));
    let (world, controllers, addresses) = (loaded.world, loaded.controllers, loaded.addresses);
    Study { facts, world, controllers, addresses, scenario, site, inputs }
}

/// A grid is called as its controllers call it.
fn grid_name(grid: usize, world: &WorldSpec, controllers: &[ControllerNames]) -> String {
    let post = world.posts.iter().position(|post| usize::from(post.grid) == grid);
    post.map_or_else(|| format!("grid {grid}"), |post| controllers[post].grid.clone())
}

/// How much batteries hold, by their names.
fn capacities(names: &[String], components: &[Component]) -> BTreeMap<String, f64> {
    let capacity = |(name, component): (&String, &Component)| match component {
        Component::Battery(battery) => Some((name.clone(), battery.spec().capacity.watt_hours())),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Genset(_)
        | Component::Tie(_) => None,
    };
    names.iter().zip(components).filter_map(capacity).collect()
}
