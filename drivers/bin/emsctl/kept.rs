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
    pub(super) fn shrunk(&self, number: u64, shrunk: &Shrunk) -> Option<Saved> {
        let property = shrunk.broken.property;
        let found_by = (self.found_by)(number);
        match saved::save(self.site, self.folder?, &shrunk.case, &shrunk.broken, &found_by) {
            Ok(saved) => {
                self.replace(property, (saved.scenario.clone(), Writer::This));
                Some(saved)
            }
            Err(failure) => {
                say(&failure.to_string());
                let scenarios = self.scenarios.lock().expect("nobody panics while holding it");
                let scenario = scenarios.get(&property)?.0.clone();
                Some(Saved { scenario, log: None })
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
