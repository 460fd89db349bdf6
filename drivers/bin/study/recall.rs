//! From a log back to the study that it recorded.
//!
//! A log keeps the texts of its scenario and site, with the run's changes in them, but no profiles. Those are looked for where
//! the run had them, and beside the log: whoever moves a log may move its profiles along. What is found is not believed:
//! `repeating` compares the run that it makes with the log.

use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::Header;
use r_ems_engine::wall::TimeZone;
use r_ems_scenarios::{Disk, Document, Files, Memory, Overrides, load_site};

use super::Study;
use super::load::{report_text, study};
use crate::exit::Failure;

/// Where a log's profiles are looked for.
#[derive(Clone, Copy, Debug)]
pub enum Search<'a> {
    /// Where the run had them, then beside this log.
    BesideLog(&'a Path),
    /// Where they stand to the scenario, if this is the scenario's directory.
    ScenarioDirectory(&'a Path),
}

/// The texts of a log; profiles come from the disk.
struct Kept<'a> {
    header: &'a Header,
    search: Search<'a>,
    found: RefCell<Vec<PathBuf>>,
}

impl Files for Kept<'_> {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        if path == self.header.scenario_path {
            return Ok(self.header.scenario_text.clone().into_bytes());
        }
        if path == self.header.site_path {
            return Ok(self.header.site_text.clone().into_bytes());
        }
        let places = self.search.places(&self.header.scenario_path, path);
        let Some(place) = places.iter().find(|place| place.exists()) else {
            let looked: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
            let remedy = "name the scenario's directory with --scenario-dir";
            return Err(format!("no such file; looked for {}; {remedy}", looked.join(", ")));
        };
        let bytes = Disk.read(&place.to_string_lossy(), bytes_max)?;
        self.found.borrow_mut().push(place.clone());
        Ok(bytes)
    }
}

impl Search<'_> {
    /// Where a file may be that a run with this scenario read at `path`, the likeliest first.
    fn places(self, scenario: &str, path: &str) -> Vec<PathBuf> {
        let path = Path::new(path);
        let scenario = Path::new(scenario).parent().unwrap_or(Path::new(""));
        let beside = relative(path, scenario);
        let mut places = match self {
            Self::ScenarioDirectory(directory) => vec![directory.join(beside)],
            Self::BesideLog(log) => {
                let log = log.parent().unwrap_or(Path::new(""));
                vec![path.to_owned(), log.join(path), log.join(beside)]
            }
        };
        places.dedup();
        places
    }
}

/// The way from a directory to a file, if both are named from one place; else the file as it is named.
fn relative(file: &Path, directory: &Path) -> PathBuf {
    if file.is_absolute() != directory.is_absolute() {
        return file.to_owned();
    }
    let parts = |path: &Path| path.components().filter(|part| *part != Component::CurDir).count();
    let common =
        file.components().zip(directory.components()).take_while(|(one, other)| one == other).count();
    let up = parts(directory) - common;
    std::iter::repeat_n(Component::ParentDir, up).chain(file.components().skip(common)).collect()
}

/// Loads the scenario that a log was recorded from, for its whole length.
///
/// # Errors
/// The log holds no scenario, or a profile cannot be found.
pub fn again<F: FunctionSet>(header: &Header, search: Search<'_>) -> Result<Study<F>, Failure> {
    if header.scenario_text.is_empty() {
        return Err(Failure::error("the log was not recorded from a scenario: use --at instead"));
    }
    let overrides = Overrides { seed: Some(header.seed), ..Overrides::default() };
    let files = Kept { header, search, found: RefCell::new(Vec::new()) };
    let loaded = r_ems_scenarios::load::<F>(&files, &header.scenario_path, &overrides);
    let loaded = loaded.map_err(|report| {
        let advice = "the log's scenario cannot be simulated again: --at explains without that";
        Failure::error(format!("{advice}\n\n{}", report_text(&report)))
    })?;
    Ok(study(loaded, files.found.into_inner()))
}

/// How the clocks of a log's site show times; UTC if its texts do not say.
pub fn zone<F: FunctionSet>(header: &Header) -> TimeZone {
    if header.scenario_text.is_empty() {
        // A site ran it.
        let files = Memory::new().with(&header.site_path, header.site_text.clone());
        return load_site::<F>(&files, &header.site_path).map_or(TimeZone::UTC, |site| site.time_zone);
    }
    let site = Document::new(&header.site_path, header.site_text.clone());
    let scenario = Document::new(&header.scenario_path, header.scenario_text.clone());
    let documents = if header.site_text.is_empty() { vec![scenario] } else { vec![scenario, site] };
    r_ems_scenarios::recall::<F>(&documents).map_or(TimeZone::UTC, |recalled| recalled.time_zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_from_a_directory_to_a_file_goes_up_where_it_must() {
        for (file, directory, way) in [
            ("scenarios/profiles/x.csv", "scenarios", "profiles/x.csv"),
            ("data/x.csv", "scenarios/deep", "../../data/x.csv"),
            ("x.csv", "", "x.csv"),
            ("/data/x.csv", "/data/runs", "../x.csv"),
            ("/data/x.csv", "runs", "/data/x.csv"),
        ] {
            assert_eq!(relative(Path::new(file), Path::new(directory)), Path::new(way), "{file}");
        }
    }

    #[test]
    fn a_profile_is_looked_for_where_the_run_had_it_and_beside_the_log() {
        let places = Search::BesideLog(Path::new("/logs/week.rlog")).places("runs/week.ron", "runs/p/x.csv");
        assert_eq!(places, ["runs/p/x.csv", "/logs/runs/p/x.csv", "/logs/p/x.csv"].map(PathBuf::from));
        let named = Search::ScenarioDirectory(Path::new("/new")).places("runs/week.ron", "runs/p/x.csv");
        assert_eq!(named, [PathBuf::from("/new/p/x.csv")]);
    }
}
