//! The program as its users meet it: exit codes, streams, JSON fields and messages.
//!
//! The folder of the same name holds what needs room: arguments, streams, sweeps, metrics, the files that a run writes, logs
//! that were forged, a log of a write that came late, and expectations that are looked for in a log.

#[path = "emsctl/forged.rs"]
mod forged;
#[path = "emsctl/late.rs"]
mod late;
#[path = "../replay/tests/mend/mod.rs"]
mod mend;
#[path = "emsctl/metrics.rs"]
mod metrics;
#[path = "emsctl/missed.rs"]
mod missed;
#[path = "emsctl/outputs.rs"]
mod outputs;
#[path = "emsctl/streams.rs"]
mod streams;
#[path = "emsctl/sweep.rs"]
mod sweep;
#[path = "emsctl/usage.rs"]
mod usage;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use assert_cmd::cargo::cargo_bin_cmd;
use r_ems::engine::log::Kind;
use serde_json::Value;

const SCENARIO: &str = "scenarios/peak_shaving.ron";

/// Runs the program in the repository's root.
fn emsctl(arguments: &[&str]) -> Output {
    let mut command = cargo_bin_cmd!("r-emsctl");
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().expect("the program runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("the program ends by itself")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is one JSON value")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file of a test; each test uses names of its own.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Records the first hours of a scenario and returns the log's path.
fn recorded(name: &str, more: &[&str]) -> String {
    let log = file(name).to_string_lossy().into_owned();
    let run = ["run", SCENARIO, "--until", "2 h", "--record", &log];
    let output = emsctl(&[&run[..], more].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    log
}

#[test]
fn a_run_prints_one_json_object_with_the_documented_fields() {
    let output = emsctl(&["run", SCENARIO, "--until", "2 h", "--format", "json"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let summary = json(&output);
    assert!(summary["scenario"].is_string());
    assert_eq!(summary["simulated_s"], 7_200.0);
    assert!(summary["wall_s"].as_f64().is_some_and(|wall| wall > 0.0));
    assert!(summary["seed"].is_u64() && summary["scans"].is_u64());
    assert_eq!(summary["digest"].as_str().map(str::len), Some(64));
    for kind in
        ["import", "export", "load", "pv_made", "charge", "discharge", "conversion_loss", "standby_loss"]
    {
        assert!(summary["energy_wh"][kind].is_f64(), "{kind}");
        assert!(summary["grids"][0]["energy_wh"][kind].is_f64(), "{kind}");
    }
    for cost in [&summary["cost"], &summary["grids"][0]["cost"]] {
        assert_eq!(cost["currency"], "EUR");
        for amount in ["energy", "export_revenue", "demand", "total"] {
            assert!(cost[amount].is_f64() && cost["without_batteries"][amount].is_f64(), "{amount}");
        }
        assert!(cost["saved"].is_f64());
    }
    let expectation = &summary["expectations"][0];
    assert!(expectation["name"].is_string() && expectation["held"].is_boolean());
    assert!(expectation["margin"].is_f64() && expectation["at_s"].is_f64());
}

#[test]
fn what_is_recorded_shown_and_tabulated_changes_no_bit_of_a_run() {
    let digest = |more: &[&str]| {
        let run = ["run", SCENARIO, "--until", "1 h", "--format", "json"];
        let output = emsctl(&[&run[..], more].concat());
        json(&output)["digest"].as_str().map(ToOwned::to_owned).expect("a digest")
    };
    let (log, table) = (file("same.log"), file("same.csv"));
    let (log, table) = (log.to_string_lossy(), table.to_string_lossy());
    let plain = digest(&[]);
    assert_eq!(plain, digest(&[]));
    assert_eq!(plain, digest(&["--record", &log, "--record-effects", "--csv", &table, "--csv-step", "7 s"]));
    assert_ne!(plain, digest(&["--set", "plant.commerce.bess.soc=\"61 %\""]));
}

#[test]
fn a_violated_expectation_ends_with_3_and_says_so_first() {
    let output =
        emsctl(&["run", SCENARIO, "--until", "12 h", "--set", "plant.commerce.load.rating=\"900 kW\""]);
    assert_eq!(code(&output), 3, "{}{}", text(&output), errors(&output));
    assert!(text(&output).contains("VIOLATED"));
    assert!(text(&output).contains("missed by"));
}

#[test]
fn a_wrong_scenario_ends_with_5_and_every_mistake_with_its_place() {
    let scenario = file("wrong.ron");
    let right =
        fs::read_to_string(format!("{}/{SCENARIO}", env!("CARGO_MANIFEST_DIR"))).expect("it is shipped");
    let wrong = right.replace("version: 1", "version: 9").replace("seed:", "sede:");
    fs::write(&scenario, wrong).expect("a test may write its own files");
    let scenario = scenario.to_string_lossy();
    for command in ["check", "run"] {
        let output = emsctl(&[command, &scenario]);
        assert_eq!(code(&output), 5);
        let told = text(&output) + &errors(&output);
        assert!(told.contains("wrong.ron:") && told.contains("version") && told.contains("sede"), "{told}");
    }
    let report = json(&emsctl(&["check", &scenario, "--format", "json"]));
    assert_eq!(report["ok"], false);
    let mistakes = report["files"][0]["mistakes"].as_array().expect("a list");
    assert!(mistakes.len() >= 2 && mistakes.iter().all(|mistake| mistake["message"].is_string()));
}

#[test]
fn check_passes_the_shipped_scenarios() {
    let output = emsctl(&["check", SCENARIO, "scenarios/year.ron", "scenarios/peak_missed.ron"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
}

#[test]
fn arguments_that_make_no_sense_end_with_2() {
    let log = recorded("usage.log", &[]);
    for arguments in [
        &["frobnicate"][..],
        &["run"],
        &["run", SCENARIO, "--until", "soon"],
        &["run", SCENARIO, "--record-effects"],
        &["run", SCENARIO, "--record", SCENARIO],
        &["show", &log, "--kind", "gossip"],
        &["show", &log, "--controller", "commerce/z"],
        &["replay", &log, "--from", "+2 h", "--to", "+1 h"],
        &["explain", &log],
        &["explain", &log, "--at", "+1 h", "--point", "commerce/heater.set_point"],
        &["explain", &log, "--at", "1999-01-01"],
        &["explain"],
        &["explain", "--at", "+1 h", "--point", "commerce/bess"],
        &["explain", &log, "--at", "+1 h", "--socket", "x.sock"],
    ] {
        let output = emsctl(arguments);
        assert_eq!(code(&output), 2, "{arguments:?}: {}", errors(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_scenario_is_never_overwritten_by_its_own_log() {
    let scenario = format!("{}/{SCENARIO}", env!("CARGO_MANIFEST_DIR"));
    let before = fs::read(&scenario).expect("it is shipped");
    let profile = "scenarios/profiles/simbench_2016_15min.csv";
    for output in [
        emsctl(&["run", SCENARIO, "--until", "1 h", "--record", &scenario]),
        emsctl(&["run", SCENARIO, "--until", "1 h", "--csv", profile]),
    ] {
        assert_eq!(code(&output), 2);
        assert!(errors(&output).contains("which the run reads"), "{}", errors(&output));
    }
    assert!(before == fs::read(&scenario).expect("it is still there"));
}

#[test]
fn a_missing_file_or_directory_is_an_error_with_a_remedy() {
    let output = emsctl(&["replay", "nowhere.log"]);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("nowhere.log: cannot be read"), "{}", errors(&output));
    let output = emsctl(&["run", SCENARIO, "--until", "1 h", "--record", "no/such/directory/x.log"]);
    assert_eq!(code(&output), 1);
    assert!(errors(&output).contains("make its directory first"), "{}", errors(&output));
}

#[test]
fn a_recorded_run_replays_shows_and_compares() {
    let log = recorded("replays.log", &[]);
    let replayed = emsctl(&["replay", &log, "--format", "json"]);
    assert_eq!(code(&replayed), 0, "{}", errors(&replayed));
    let replayed = json(&replayed);
    assert_eq!(replayed["ok"], true);
    let run = json(&emsctl(&["run", SCENARIO, "--until", "2 h", "--format", "json"]));
    assert_eq!(replayed["digest"], run["digest"]);
    assert_eq!((&replayed["end"], &replayed["poisoned"]), (&"over".into(), &Value::Null));
    assert_eq!(code(&emsctl(&["replay", &log, "--controller", "commerce/a", "--to", "+1 h"])), 0);
    let shown = emsctl(&["show", &log, "--kind", "started", "--format", "json"]);
    assert_eq!(text(&shown).lines().count(), 1);
    assert_eq!(code(&emsctl(&["diff", &log, &log])), 0);
    let other = recorded("other_seed.log", &["--set", "plant.commerce.bess.soc=\"61 %\""]);
    let differing = emsctl(&["diff", &log, &other, "--format", "json"]);
    assert_eq!(code(&differing), 4);
    let differing = json(&differing);
    assert_eq!((&differing["same"], &differing["ok"]), (&false.into(), &false.into()));
    let whole = recorded("whole.log", &["--record-effects"]);
    let same = emsctl(&["diff", &log, &whole]);
    assert_eq!(code(&same), 0, "{}", text(&same));
    assert!(text(&same).contains("the same run") && text(&same).contains("by digest"), "{}", text(&same));
}

#[test]
fn a_log_without_a_closing_record_is_torn_and_no_success_unless_that_is_accepted() {
    let log = recorded("closed.log", &["--record-effects"]);
    let bytes = fs::read(&log).expect("it was just written");
    let mut groups = mend::groups(&bytes);
    groups.pop();
    assert!(groups.len() > 2, "{} groups are left", groups.len());
    let torn = file("torn.log");
    fs::write(&torn, mend::joined(&bytes, &groups)).expect("a test may write its own files");
    let torn = torn.to_string_lossy();

    for arguments in
        [&["replay", &torn][..], &["replay", &torn, "--controller", "commerce/a"], &["diff", &log, &torn]]
    {
        for (accepts, exit) in [(&[][..], 1), (&["--torn"][..], 0)] {
            let arguments = [arguments, accepts].concat();
            let page = emsctl(&arguments);
            assert_eq!(code(&page), exit, "{arguments:?}: {}", errors(&page));
            assert!(text(&page).contains("torn"), "{}", text(&page));
            assert!(text(&page).contains("the log was not closed"), "{}", text(&page));
            let printed = json(&emsctl(&[&arguments[..], &["--format", "json"]].concat()));
            assert_eq!((&printed["end"], &printed["ok"]), (&"torn".into(), &(exit == 0).into()));
        }
    }
    for command in [&["show", &torn, "--kind", "started"][..], &["explain", &torn, "--at", "+1 h"]] {
        assert_eq!(code(&emsctl(command)), 0, "{command:?}");
    }
    // What comes before the tear is compared and explained as ever.
    assert_eq!(code(&emsctl(&["replay", &torn, "--to", "+1 h"])), 0);
    let shown = emsctl(&["show", &torn, "--kind", "state"]);
    assert!(errors(&shown).contains("the log was not closed"), "{}", errors(&shown));
}

#[test]
fn a_log_of_another_version_names_both_and_a_difference_is_a_finding() {
    let bytes = fs::read(recorded("new_version.log", &[])).expect("it was just written");
    let old = mend::with_header(&bytes, |header| header.engine = "0.0.7".to_owned());
    let path = file("old_version.log");
    fs::write(&path, &old).expect("a test may write its own files");
    let path = path.to_string_lossy();
    let page = emsctl(&["replay", &path]);
    assert_eq!(code(&page), 0, "{}", errors(&page));
    let versions = ["engine 0.0.7 B", &format!("engine {} B", env!("CARGO_PKG_VERSION"))];
    assert!(versions.iter().all(|version| text(&page).contains(version)), "{}", text(&page));

    let chains = mend::places(&old, Kind::Chains)[0].clone();
    let effects = chains.end - 16;
    fs::write(&*path, mend::with_bytes(&old, effects, &[old[effects] ^ 1])).expect("as above");
    let page = emsctl(&["replay", &path]);
    assert_eq!(code(&page), 4, "{}", errors(&page));
    assert!(text(&page).contains("DIVERGED"));
    assert!(versions.iter().all(|version| text(&page).contains(version)), "{}", text(&page));
}

#[test]
fn a_log_of_other_functions_is_refused_and_both_lists_are_named() {
    let bytes = fs::read(recorded("functions.log", &[])).expect("it was just written");
    let foreign = mend::with_header(&bytes, |header| header.functions.push("SpinningReserve".to_owned()));
    let path = file("foreign_functions.log");
    fs::write(&path, foreign).expect("a test may write its own files");
    for arguments in
        [&["replay", &*path.to_string_lossy()][..], &["explain", &path.to_string_lossy(), "--at", "+1 h"]]
    {
        let output = emsctl(arguments);
        assert_eq!(code(&output), 1);
        let told = errors(&output);
        assert!(told.contains("SpinningReserve") && told.contains("PeakShaving"), "{told}");
        assert!(told.contains("use the program that recorded it"), "{told}");
    }
}

#[test]
fn a_flipped_bit_is_reported_and_never_replayed_over() {
    let log = recorded("flipped.log", &[]);
    let mut bytes = fs::read(&log).expect("it was just written");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&log, bytes).expect("a test may write its own files");
    for command in ["replay", "show"] {
        let output = emsctl(&[command, &log]);
        assert_eq!(code(&output), 1, "{command}");
        assert!(errors(&output).contains("flipped.log: "), "{}", errors(&output));
    }
}

#[test]
fn explain_names_who_bound_a_set_point_and_what_was_left_for_the_others() {
    let log = recorded("explained.log", &[]);
    let arguments = ["explain", &log, "--at", "+1 h 30 min", "--point", "commerce/bess.set_point"];
    let arguments = arguments.map(|argument| if argument == "+1 h 30 min" { "+90 min" } else { argument });
    let page = emsctl(&arguments);
    assert_eq!(code(&page), 0, "{}", errors(&page));
    assert!(text(&page).contains("bound by") && text(&page).contains("left after"), "{}", text(&page));
    let explained = json(&emsctl(&[&arguments[..], &["--format", "json"]].concat()));
    let explanation = &explained["explanations"][0];
    assert_eq!(explanation["controller"], "commerce/a");
    assert_eq!(explanation["groups"][0]["devices"][0], "bess");
    assert!(explanation["groups"][0]["members"][0]["measured_after_w"].is_f64());
    assert!(explanation["inputs"].as_array().is_some_and(|inputs| inputs.len() == 6));
}

#[test]
fn explain_shows_every_function_of_the_stack_and_how_a_group_shares() {
    let log = file("two_batteries.log").to_string_lossy().into_owned();
    let run = ["run", "tests/golden/every_source.ron", "--until", "21 min", "--record", &log];
    assert_eq!(code(&emsctl(&run)), 0);
    let explained = |at: &str| {
        let at = ["explain", &log, "--at", at, "--point", "north/b1", "--format", "json"];
        json(&emsctl(&at))["explanations"][0]["groups"][0].clone()
    };
    // The meter has been silent for some seconds: two functions wait for it, the others decide, the floor for each battery.
    let group = explained("+20 min 11 s");
    let steps = group["steps"].as_array().expect("a list");
    let state = |step: &Value| (step["who"].as_str().map(ToOwned::to_owned), step["state"].clone());
    let states: Vec<_> = steps.iter().map(state).skip(1).collect();
    let expected = [
        ("ConnectionLimit", "lost"),
        ("RampLimit", "deciding"),
        ("SocFloor", "deciding"),
        ("SocFloor", "deciding"),
        ("SelfConsumption", "lost"),
    ];
    assert_eq!(states, expected.map(|(who, state)| (Some(who.to_owned()), Value::from(state))));
    assert_eq!(steps[1]["lost"]["points"][0], "pcc.p stale");
    assert_eq!(steps[1]["lost"]["fallback"], "ramps_to_rest");
    for member in group["members"].as_array().expect("a list") {
        assert!(member["soc"].is_f64() && member["can_charge_w"].is_f64() && member["set_point_w"].is_f64());
    }
    // At the very beginning nobody has anything to decide on.
    let group = explained("+0 s");
    let steps = group["steps"].as_array().expect("a list");
    assert!(steps.iter().all(|step| step["state"] == "taking_over"), "{steps:?}");
    assert_eq!(steps.len(), 4);
}

#[test]
fn a_healthy_run_reports_no_change_of_quality_and_alarms_have_names_and_units() {
    let healthy = json(&emsctl(&["run", SCENARIO, "--until", "1 h", "--format", "json"]));
    let kinds: Vec<&str> = healthy["events"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|event| event["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["booted", "started"]);
    let missed = json(&emsctl(&["run", "scenarios/peak_missed.ron", "--until", "20 h", "--format", "json"]));
    assert_eq!(missed["alarms"][0]["message"], "shortfall_began: PeakShaving misses 121.8 kW at bess");
}

#[test]
fn explain_finds_the_worst_instant_of_an_expectation() {
    let log = recorded("missed.log", &[]);
    let worst = emsctl(&["explain", &log, "--missed", "pcc.p", "--format", "json"]);
    assert_eq!(code(&worst), 0, "{}", errors(&worst));
    let worst = json(&worst);
    assert_eq!(worst["at_s"], worst["expectation"]["at_s"]);
    let unknown = emsctl(&["explain", &log, "--missed", "the moon"]);
    assert_eq!(code(&unknown), 2);
    assert!(errors(&unknown).contains("known here"), "{}", errors(&unknown));
}

#[test]
fn a_table_has_a_row_for_each_step_and_units_in_its_heading() {
    let table = file("table.csv");
    let path = table.to_string_lossy();
    let output = emsctl(&["run", SCENARIO, "--until", "1 h", "--csv", &path, "--csv-step", "10 min"]);
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let table = fs::read_to_string(&table).expect("it was just written");
    let mut lines = table.lines();
    let heading: Vec<&str> = lines.next().expect("a heading").split(',').collect();
    for column in ["time_s", "local", "commerce/pcc.p_w", "commerce/bess.soc", "commerce.import_wh"] {
        assert!(heading.contains(&column), "{column} in {heading:?}");
    }
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(
        rows.iter().map(|row| row[0]).collect::<Vec<_>>(),
        ["0", "600", "1200", "1800", "2400", "3000", "3600"]
    );
    assert!(rows.iter().all(|row| row.len() == heading.len()));
}

#[test]
fn completions_and_manual_pages_are_generated() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(&emsctl(&["completions", shell])).contains("r-emsctl"), "{shell}");
    }
    assert!(text(&emsctl(&["man"])).contains(".TH r-emsctl 1"));
    let directory = file("man");
    assert_eq!(code(&emsctl(&["man", &directory.to_string_lossy()])), 0);
    assert!(directory.join("r-emsctl-run.1").exists());
}
