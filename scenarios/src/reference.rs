//! Holds `README.md`, the reference of the language, to the code.

use r_ems_engine::event::Event;
use r_ems_engine::functions::{BuiltIn, FunctionSet};

use crate::plant::Kind;
use crate::{Disk, Files, check, expectation, fault, happening, include, initial, source, totals};

const README: &str = include_str!("../README.md");

/// The reference's examples as files beside it, and the disk for what they name.
struct Examples {
    scenario: String,
    site: String,
}

const SCENARIO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/example.ron");
const SITE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/site.ron");

impl Examples {
    fn of_readme() -> Self {
        let mut blocks = README.split("```ron\n").skip(1).filter_map(|rest| rest.split("```").next());
        let mut next = || blocks.next().expect("the reference has two examples").to_string();
        Self { scenario: next(), site: next() }
    }
}

impl Files for Examples {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        match path {
            SCENARIO => Ok(self.scenario.clone().into_bytes()),
            SITE => Ok(self.site.clone().into_bytes()),
            _ => Disk.read(path, bytes_max),
        }
    }
}

#[test]
fn every_word_that_the_code_knows_is_in_the_reference() {
    let words = BuiltIn::NAMES.iter().chain(&source::KINDS).chain(&expectation::KINDS).chain(&Event::KINDS);
    let words = words.chain(&happening::ENTRIES).chain(&happening::CHANGES).chain(&fault::FAULTS);
    let words = words.chain(&initial::MODES).copied();
    let points = Kind::NAMES.iter().flat_map(|(_, kind)| kind.quantities()).map(|point| point.0);
    let words = words.chain(Kind::NAMES.iter().map(|kind| kind.0)).chain(points);
    let words = words.chain(totals::TOTALS.iter().map(|total| total.name));
    let missing: Vec<&str> = words.filter(|word| !README.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "README.md does not name {missing:?}");
}

#[test]
fn the_limits_of_includes_are_those_of_the_reference() {
    let limits = format!("at most {} files, {} deep", include::MAX_USED, include::MAX_USE_DEPTH);
    assert!(README.contains(&limits), "{limits}");
}

#[test]
fn the_examples_of_the_reference_are_right() {
    for path in [SCENARIO, SITE] {
        let report = check::<BuiltIn>(&Examples::of_readme(), path);
        assert!(report.mistakes.is_empty(), "{report}");
    }
}
