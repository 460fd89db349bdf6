//! The search for faults that a site does not survive: it repeats itself, finds what is broken on purpose, and saves it.

#[path = "explore/kept.rs"]
mod kept;
#[path = "explore/margins.rs"]
mod margins;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::cargo::cargo_bin_cmd;
use r_ems::engine::Span;
use r_ems::engine::functions::BuiltIn;
use r_ems::explore::settings::{Setting, Sort};
use r_ems::explore::{Case, Options, Property, Site, explore, marks, shrink, swarm, trial};
use r_ems::scenarios::Overrides;
use r_ems::study::load::load;
use r_ems::study::progress::Interrupt;
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn emsctl(arguments: &[&str]) -> Output {
    cargo_bin_cmd!("r-emsctl").current_dir(root()).args(arguments).output().expect("the program runs")
}

fn json(arguments: &[&str]) -> (Value, Option<i32>) {
    let output = emsctl(&[arguments, &["--format", "json"]].concat());
    let value = serde_json::from_slice(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    (value.unwrap_or_else(|error| panic!("{error}: {errors}")), output.status.code())
}

/// A folder of its own for a test, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&folder));
    folder
}

fn site(settings: &[&str]) -> Site<BuiltIn> {
    let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
    Site::open(&root().join("scenarios/failover_fast.ron"), &settings, None).expect("a shipped scenario")
}

fn options(runs: u64, jobs: usize) -> Options {
    Options { seed: 11, runs, time: None, jobs, interrupt: Interrupt::default() }
}

/// The battery neither checks epochs nor keeps its D: writes are on their way for up to 300 ms.
const LATE_WRITES: [&str; 3] = [
    "site.grids.commerce.devices.bess.link.checks_epochs=false",
    "site.grids.commerce.devices.bess.link.longest_write=2 ms",
    "links={ \"commerce/bess\": (write_delay: (at_least: \"0 s\", mean: \"100 ms\", at_most: \"300 ms\")) }",
];

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let site = site(&[]);
    let [one, three] =
        [1, 3].map(|jobs| explore(&site, &options(24, jobs), &|_reached| {}).expect("it runs"));
    assert_eq!((one.runs, three.runs), (24, 24));
    assert_eq!((one.failures, &one.marks), (three.failures, &three.marks));
    assert_eq!((one.deliveries, &one.take_overs), (three.deliveries, &three.take_overs));
    assert_eq!((one.crashed, one.taken_over), (three.crashed, three.taken_over));
    assert!(one.crashed > 0, "{:?}", one.marks);
}

#[test]
fn every_kind_of_fault_is_drawn_and_read_by_the_language() {
    let site = site(&[]);
    let mut drawn = [false; r_ems::explore::kinds::KINDS.len()];
    let mut set = BTreeSet::new();
    for number in 0..400 {
        let case = swarm::draw(&site.facts, site.length, 3, number);
        case.faults.iter().for_each(|fault| drawn[fault.kind] = true);
        set.extend(case.settings.iter().map(|setting| setting.sort));
        assert!(case.faults.iter().all(|fault| fault.from <= site.length), "{case:?}");
    }
    assert!(drawn.iter().all(|is_drawn| *is_drawn), "{drawn:?}");
    // One of them is drawn only where a D is too short.
    let others = Sort::ALL.into_iter().filter(|sort| !matches!(sort, Sort::OneQuick | Sort::OutlastsD));
    assert_eq!(set, others.collect(), "the battery checks epochs and has no D");
    let site: Site<BuiltIn> = Site::open(&short_d(""), &[], None).expect("a scenario of the test");
    let is_one_quick = |setting: &Setting| setting.sort == Sort::OneQuick;
    let mut cases = (0..20).map(|number| swarm::draw(&site.facts, site.length, 3, number));
    let case = cases.find(|case| case.settings.iter().any(is_one_quick)).expect("it is drawn");
    let marks = trial::run(&site, &Case { faults: Vec::new(), ..case }).expect("it runs").marks.0;
    let place = marks::names().iter().position(|name| name == "set: one controller's writes quick");
    assert!(marks[place.expect("it has a mark")]);
}

#[test]
fn what_is_set_in_a_run_is_drawn_and_read_by_the_language() {
    for file in ["failover.ron", "one_connection.ron", "failover_fast.ron", "sunspec.ron"] {
        let site: Site<BuiltIn> =
            Site::open(&root().join("scenarios").join(file), &[], None).expect("a shipped scenario");
        let mut missing =
            vec![".write_delay", ".reversion", "differs", "redundancy.lease", ".scan", "persistence.sync"];
        // A device that is told its reversion takes whole seconds, and none is so short.
        missing.retain(|part| file != "sunspec.ron" || *part != ".reversion");
        for number in 0..100 {
            let case = swarm::draw(&site.facts, site.length, 5, number);
            missing.retain(|part| !case.settings.iter().any(|setting| setting.text.contains(part)));
            let quiet = Case { faults: Vec::new(), length: Span::from_millis(300), ..case };
            let trial = trial::run(&site, &quiet).expect("the language reads what is set");
            assert!(trial.holds(), "{file}: {:?} with {:?}", trial.broken, quiet.settings);
        }
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
}

/// A scenario with one grid or several that two hosts share: of each the interval of its scans, what the link of its battery
/// says, and its redundancy.
fn of_grids(name: &str, grids: &[(&str, &str, &str)]) -> Site<BuiltIn> {
    let [mut site, mut plant] = [String::new(), String::new()];
    for (place, (scan, link, redundancy)) in grids.iter().enumerate() {
        site += &format!(
            "\"g{place}\": (scan: {scan:?}, controllers: {{ \"a\": (host: \"a\", order: 0), \
             \"b\": (host: \"b\", order: 1) }}, witness: \"w\", functions: [], redundancy: ({redundancy}), \
             devices: {{ \"bess\": Battery(rating: \"250 kW\", reversion: \"9 h\", max_age: \"3 h\", \
             link: Points(positive: Discharge, {link})) }}), "
        );
        plant += &format!(
            "\"g{place}\": {{ \"bess\": Battery(capacity: \"1 MWh\", rating: \"250 kW\", soc: \"80 %\", reversion: \"9 h\"), \
             \"pcc\": GridConnection(import_max: \"1 MW\") }}, "
        );
    }
    let text = format!(
        "Scenario(version: 1, name: {name:?}, start: \"2016-03-09\", duration: \"1 d\", plant: {{ {plant} }}, \
         site: Site(version: 1, time_zone: \"UTC\", hosts: {{ \"a\": (), \"b\": (), \"w\": () }}, grids: {{ {site} }}))"
    );
    let file = folder(&format!("explore_{name}")).with_extension("ron");
    fs::write(&file, text).expect("a file of the test");
    Site::open(&file, &[], None).unwrap_or_else(|failure| panic!("{failure}"))
}

/// So many cases of each site at its limits are drawn.
const AT_LIMITS_CASES: u64 = 150;

#[test]
fn what_is_drawn_keeps_the_limits_of_the_language_where_a_site_is_at_them() {
    let link = "longest_write: \"25 ms\"";
    let late = "longest_write: \"1 h\", timeout: \"2 h\"";
    let quick = "heartbeat: \"1 ms\", watchdog: \"2 ms\", lease: \"2 ms\", retry: \"100 us\"";
    let slow = "heartbeat: \"30 min\", watchdog: \"1 h\", lease: \"1 h\"";
    let less_slow = "heartbeat: \"1 min\", watchdog: \"5 min\", lease: \"10 min\"";
    for (name, grids) in [
        ("any_clock", &[("100 ms", link, "clock_rate_max: \"10 %\"")][..]),
        ("quick", &[("1 ms", link, quick)]),
        ("slow", &[("100 ms", late, slow)]),
        ("unlike", &[("1 ms", link, quick), ("100 ms", link, less_slow)]),
    ] {
        let site = of_grids(name, grids);
        for length in [Span::from_nanos(1), Span::from_secs(1), site.length] {
            for number in 0..AT_LIMITS_CASES {
                let case = swarm::draw(&site.facts, length, 5, number);
                let read = trial::run(&site, &Case { length: Span::from_nanos(1), ..case.clone() });
                assert!(read.is_ok(), "{name}: {} {:?}", read.expect_err("it is none"), case.settings);
            }
        }
    }
}

/// So many runs of each scenario are made; a search of CI makes thousands.
const ORDINARY_RUNS: u64 = 60;

#[test]
fn an_ordinary_search_breaks_no_property_of_safety() {
    let takes_over = "site.grids.commerce.redundancy.on_silence=TakeOver";
    let searched = [
        ("failover_fast.ron", None),
        ("failover.ron", None),
        ("one_connection.ron", None),
        ("pair_without_witness.ron", Some(takes_over)),
    ];
    for (file, setting) in searched {
        let settings: Vec<String> = setting.into_iter().map(ToString::to_string).collect();
        let site: Site<BuiltIn> =
            Site::open(&root().join("scenarios").join(file), &settings, None).expect("a shipped scenario");
        let found = explore(&site, &options(ORDINARY_RUNS, 2), &|_reached| {}).expect("it runs");
        assert_eq!(found.runs, ORDINARY_RUNS, "{file}");
        let is_late =
            |property: &Property| matches!(property, Property::TakesOver | Property::SomebodyWrites);
        let unsafe_ones: Vec<_> = found.findings.iter().filter(|finding| !is_late(finding.0)).collect();
        assert!(unsafe_ones.is_empty(), "{file}: {unsafe_ones:?}");
    }
}

#[test]
fn a_declared_d_that_the_link_does_not_keep_is_found_and_shrunk_to_few_lines() {
    let site = site(&LATE_WRITES);
    let found = explore(&site, &options(60, 2), &|_reached| {}).expect("it runs");
    let (_, finding) =
        found.findings.get(&Property::EpochsRise).expect("late writes of the one before are accepted");
    let case = swarm::draw(&site.facts, site.length, 11, finding.number);
    let shrunk = shrink::shrink(&site, &case, &finding.broken, &Interrupt::default()).expect("it runs");
    assert!(shrunk.case.faults.len() <= 5, "{:?}", shrunk.case.faults);
    assert!(shrunk.tries < shrink::BUDGET, "{}", shrunk.tries);
    assert_eq!(shrunk.broken.property, Property::EpochsRise);
}

/// Two hosts and a witness whose battery declares a D of 5 ms, with links that are as late for everybody as `links` says.
fn short_d(links: &str) -> PathBuf {
    let file = folder("explore_short_d").with_extension(format!("{}.ron", links.len()));
    let site =
        fs::read_to_string(root().join("scenarios/sites/commerce_redundant.ron")).expect("a shipped site");
    let site_file = file.with_extension("site.ron");
    fs::write(&site_file, site.replace("longest_write: \"25 ms\"", "longest_write: \"5 ms\""))
        .expect("a file");
    let used = root().join("scenarios/failover.ron");
    let text = format!("Scenario(version: 1, use: [{used:?}], site: {site_file:?}, {links})");
    fs::write(&file, text).expect("a file of the test");
    file
}

#[test]
fn a_d_below_the_delay_of_all_links_alike_is_found_and_warned_of() {
    for (links, really) in
        [("", "20 ms"), ("links: { \"commerce/bess\": (write_delay: \"300 ms\") }", "320 ms")]
    {
        let file = short_d(links);
        let site: Site<BuiltIn> = Site::open(&file, &[], None).expect("a scenario of the test");
        let device = &site.facts.grids[0].controlled[0];
        assert_eq!(device.write_really.to_string(), really);
        let found = explore(&site, &options(SHORT_D_RUNS, 2), &|_reached| {}).expect("it runs");
        let is_found = |property| found.findings.contains_key(&property);
        assert!(is_found(Property::EpochsRise) || is_found(Property::OneAuthority), "{:?}", found.findings);
        let file = file.to_str().expect("a path that is text");
        let errors = emsctl(&["explore", file, "--runs", "1", "--seed", "1"]).stderr;
        let errors = String::from_utf8_lossy(&errors);
        assert!(errors.contains(&format!("here a write may be on its way for {really}")), "{errors}");
    }
}

/// So many runs find a D that is too short.
const SHORT_D_RUNS: u64 = 20;

#[test]
fn a_saved_failure_fails_by_itself_names_its_property_and_replays() {
    let folder = folder("explore_saved");
    let save = folder.to_str().expect("a path that is text");
    // A site with a witness whose battery declares less than its link takes.
    let site = fs::read_to_string(root().join("scenarios/sites/commerce_failover_fast.ron"))
        .expect("a shipped site");
    let site = site.replace("longest_write: \"0 s\", checks_epochs: true", "longest_write: \"2 ms\"");
    let site_file = folder.with_file_name("explore_site.ron");
    fs::write(&site_file, site).expect("a file of the test");
    let used = root().join("scenarios/failover_fast.ron");
    let late = "links: { \"commerce/bess\": (write_delay: (at_least: \"0 s\", mean: \"100 ms\", at_most: \"300 ms\")) }";
    let base = folder.with_file_name("explore_base.ron");
    let text = format!("Scenario(version: 1, use: [{used:?}], site: {site_file:?}, {late})");
    fs::write(&base, text).expect("a file of the test");
    let base = base.to_str().expect("a path that is text");
    let (found, exit) = json(&["explore", base, "--runs", "40", "--seed", "11", "--save", save]);
    assert_eq!(exit, Some(3), "{found}");
    let broken = found["broken"].as_array().expect("a list");
    let epochs = broken
        .iter()
        .find(|broken| broken["property"] == "epochs rise on every device")
        .expect("it is found");
    let saved = epochs["scenario"].as_str().expect("it is saved");
    let text = fs::read_to_string(saved).expect("a saved scenario");
    assert!(text.starts_with("// Broken: epochs rise on every device"), "{text}");
    assert!(text.lines().count() <= 22, "{text}");
    let settings = epochs["settings"].as_array().expect("a list");
    assert_eq!(text.contains("// The search drew what stands in `set`"), !settings.is_empty(), "{text}");
    for setting in settings {
        assert!(text.contains(setting.as_str().expect("text")), "{setting}: {text}");
    }
    let (summary, exit) = json(&["run", saved]);
    assert_eq!(exit, Some(3), "{summary}");
    let remark = summary["expectations"][0]["remark"].as_str().expect("who broke it");
    assert!(remark.contains("commerce/bess"), "{remark}");
    let log = epochs["log"].as_str().expect("its log is saved");
    assert_eq!(json(&["replay", log]).1, Some(0));
}

#[test]
fn a_search_is_told_as_json_and_to_ci() {
    let junit = folder("explore_junit").with_extension("xml");
    let path = junit.to_str().expect("a path that is text");
    let (found, _) =
        json(&["explore", "scenarios/failover.ron", "--runs", "4", "--seed", "1", "--junit", path]);
    assert_eq!((&found["runs"], &found["seed"]), (&4.into(), &1.into()));
    for field in ["failures", "simulated_s", "wall_s"] {
        assert!(found[field].is_number(), "{field}: {found}");
    }
    assert!(
        found["marks"]
            .as_array()
            .is_some_and(|marks| marks.iter().any(|mark| mark["name"] == "fault: host crash"))
    );
    for field in ["crashed_runs", "taken_over_runs"] {
        assert!(found[field].is_u64(), "{field}: {found}");
    }
    for field in ["count", "p50", "p99", "p999", "max"] {
        assert!(found["failover_ms"].get(field).is_some(), "{field}: {found}");
    }
    let xml = fs::read_to_string(&junit).expect("a report for CI");
    assert!(xml.contains("<testsuite ") && xml.contains("one authority at a time"), "{xml}");
}

#[test]
fn a_length_beyond_that_of_the_scenario_is_cut_and_said() {
    let search = [
        "explore",
        "scenarios/failover_fast.ron",
        "--runs",
        "1",
        "--seed",
        "1",
        "--set",
        "duration=3 s",
        "--set",
        "faults=[]",
    ];
    for report in [&[][..], &["--report", "failover"]] {
        for (length, is_cut) in [("1 week", true), ("4 s", true), ("3 s", false)] {
            let output = emsctl(&[&search[..], &["--length", length], report].concat());
            let errors = String::from_utf8_lossy(&output.stderr);
            let note = format!("runs are 3 s long and not {}", length.replace("1 week", "7 d"));
            assert_eq!(errors.contains(&note), is_cut, "{errors}");
        }
    }
}

#[test]
fn a_site_that_nobody_shares_has_nothing_to_explore() {
    let output = emsctl(&["explore", "scenarios/peak_shaving.ron"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("no grid has more than one controller"), "{errors}");
}

#[test]
fn take_overs_are_reported_as_a_distribution() {
    let (found, exit) = json(&[
        "explore",
        "scenarios/failover_fast.ron",
        "--report",
        "failover",
        "--runs",
        "4",
        "--seed",
        "1",
    ]);
    assert_eq!(exit, Some(0), "{found}");
    let rows = found["rows"].as_array().expect("a list");
    assert_eq!(rows.len(), 3);
    let median = |row: &Value| row["failover_ms"]["p50"].as_f64().expect("a number");
    assert!(median(&rows[0]) < 30.0 && median(&rows[1]) > 200.0 && median(&rows[2]) > 1_000.0, "{found}");
    let counted: u64 = rows[0]["distribution"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|range| range["count"].as_u64())
        .sum();
    assert_eq!(Some(counted), rows[0]["failover_ms"]["count"].as_u64());
}

#[test]
fn a_pair_without_a_witness_is_measured_if_it_takes_over_and_says_so_if_it_waits() {
    let measure = [
        "explore",
        "scenarios/pair_without_witness.ron",
        "--report",
        "failover",
        "--runs",
        "2",
        "--seed",
        "1",
    ];
    let output = emsctl(&measure);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("pair_without_witness.ron: nobody takes over"), "{errors}");
    assert!(errors.contains("name a witness, or set on_silence: TakeOver"), "{errors}");
    let takes_over = ["--set", "site.grids.commerce.redundancy.on_silence=TakeOver"];
    let (found, exit) = json(&[&measure[..], &takes_over].concat());
    assert_eq!((exit, &found["interrupted"]), (Some(0), &false.into()), "{found}");
    for row in found["rows"].as_array().expect("a list") {
        let number = |field: &str| row["failover_ms"][field].as_f64().expect("a number");
        // W of 40 ms, less what has passed of the lease; then D, of 25 ms at the least.
        assert!(number("count") >= 4.0 && number("p50") > 50.0, "{row}");
    }
}

#[test]
fn what_was_found_before_holds() {
    let folder = root().join("scenarios/regressions");
    let entries = fs::read_dir(&folder).expect("the folder of the regressions");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut found: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "ron")).collect();
    found.sort();
    assert!(!found.is_empty(), "there is one at least");
    for path in found {
        let loaded = load::<BuiltIn>(&path, &Overrides::default())
            .unwrap_or_else(|error| panic!("{}", r_ems::Failure::from(error)));
        let finished = r_ems::run(loaded.study, &r_ems::Options::default()).expect("it runs");
        assert!(finished.summary.held, "{}: {:#?}", path.display(), finished.summary.expectations);
        assert!(finished.result.grids.iter().all(|grid| grid.balance.is_ok()), "{}", path.display());
    }
}
