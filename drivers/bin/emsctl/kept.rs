//! What a search found, on the disk as soon as it is found.
//!
//! A search of a night may be ended by anything: each property's first failure is saved when it breaks, and what is left of it
//! after shrinking is saved over it. The file that goes is removed only after its successor has been written, and only if this
//! search wrote it. A failure that cannot be saved is told of, and the search goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use r_ems_engine::functions::FunctionSet;

use crate::explore::saved::{self, Saved, Writer};
use crate::explore::{Finding, Property, Shrunk, Site, swarm};
use crate::output::say;

/// Saves what is found, if somebody wants that.
pub(super) struct Kept<'a, F: FunctionSet> {
    site: &'a Site<F>,
    seed: u64,
    folder: Option<&'a Path>,
    /// What was typed, for a run's number.
    found_by: &'a (dyn Fn(u64) -> String + Sync),
    /// By property: where its first failure is, and who wrote it.
    scenarios: Mutex<BTreeMap<Property, (PathBuf, Writer)>>,
}

/// What of a failure was saved.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Its scenario.
    pub(super) scenario: Option<PathBuf>,
    /// The log of its run.
    pub(super) log: Option<PathBuf>,
    /// What could not be saved, and why.
    pub(super) unsaved: Option<String>,
}

impl<'a, F: FunctionSet> Kept<'a, F> {
    pub(super) fn new(
        site: &'a Site<F>,
        seed: u64,
        folder: Option<&'a Path>,
        found_by: &'a (dyn Fn(u64) -> String + Sync),
    ) -> Self {
        Self { site, seed, folder, found_by, scenarios: Mutex::default() }
    }

    /// Saves a failure as it was found, in place of one of the same property.
    pub(super) fn found(&self, finding: &Finding) {
        let Some(folder) = self.folder else { return };
        let Finding { number, broken } = finding;
        let case = swarm::draw(&self.site.facts, self.site.length, self.seed, *number);
        match saved::keep(self.site, folder, &case, broken, &(self.found_by)(*number)) {
            Ok(scenario) => self.replace(broken.property, scenario),
            Err(failure) => say(&failure.to_string()),
        }
    }

    /// Saves what is left of a failure, in place of what was found. What could not be saved any more is there as it was found.
    pub(super) fn shrunk(&self, number: u64, shrunk: &Shrunk) -> Outcome {
        let Some(folder) = self.folder else { return Outcome::default() };
        let property = shrunk.broken.property;
        let found_by = (self.found_by)(number);
        match saved::save(self.site, folder, &shrunk.case, &shrunk.broken, &found_by) {
            Ok(Saved { scenario, log, unlogged }) => {
                self.replace(property, (scenario.clone(), Writer::This));
                let unsaved = unlogged.map(|failure| format!("its log could not be saved: {failure}"));
                Outcome { scenario: Some(scenario), log, unsaved }
            }
            Err(failure) => {
                let scenarios = self.scenarios.lock().expect("nobody panics while holding it");
                let scenario = scenarios.get(&property).map(|known| known.0.clone());
                let what = if scenario.is_some() { "what is left after shrinking" } else { "it" };
                Outcome {
                    scenario,
                    log: None,
                    unsaved: Some(format!("{what} could not be saved: {failure}")),
                }
            }
        }
    }

    fn replace(&self, property: Property, (scenario, writer): (PathBuf, Writer)) {
        let mut scenarios = self.scenarios.lock().expect("nobody panics while holding it");
        if let Some((before, Writer::This)) = scenarios.insert(property, (scenario.clone(), writer))
            && before != scenario
            && let Err(error) = std::fs::remove_file(&before)
        {
            say(&format!("{}: cannot be removed: {error}", before.display()));
        }
    }
}
