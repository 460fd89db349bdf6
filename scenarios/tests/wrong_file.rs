//! A file that is right, and not the one that is needed there.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Memory, Overrides, Report, check, load};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// The good scenario in two files.
fn files() -> Memory {
    let begin = GOOD.find("Site(").expect("the good scenario holds its site");
    let end = begin + GOOD[begin..].find("\n    ),").expect("the site's end") + "\n    )".len();
    let scenario = format!("{}\"site.ron\"{}", &GOOD[..begin], &GOOD[end..]);
    let wrong = scenario.replace("site.ron", "x.ron");
    let files = Memory::new().with("site.ron", &GOOD[begin..end]).with("x.ron", scenario);
    files.with("wrong.ron", wrong).with("short.csv", PROFILE)
}

fn run(path: &str) -> Report {
    let loaded = load::<BuiltIn>(&files(), path, &Overrides::default());
    loaded.err().unwrap_or_default()
}

#[test]
fn a_scenario_and_its_site_file_are_both_right() {
    assert_eq!(run("x.ron"), Report::default());
    assert_eq!(check::<BuiltIn>(&files(), "site.ron"), Report::default());
}

#[test]
fn a_site_file_cannot_be_run_and_is_called_what_it_is() {
    let text = run("site.ron").to_string();
    assert!(
        text.starts_with("site.ron:1:1: this is a site file, which can be checked but not run"),
        "{text}"
    );
}

#[test]
fn a_scenario_in_the_place_of_a_site_is_shown_in_the_line_that_names_it() {
    let report = run("wrong.ron");
    let [mistake] = report.mistakes.as_slice() else { panic!("{report}") };
    assert_eq!((mistake.file.as_str(), mistake.line, mistake.field.as_str()), ("wrong.ron", 4, "site"));
    assert_eq!(mistake.message, "the file \"x.ron\" must hold Site(…), got Scenario");
}
