//! What the program says of grids that several controllers share: take-overs, roles, bounds, violations.

use std::path::Path;
use std::process::Output;

use assert_cmd::cargo::cargo_bin_cmd;
use serde_json::Value;

fn emsctl(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    cargo_bin_cmd!("r-emsctl").current_dir(root).args(arguments).output().expect("the program runs")
}

fn json(arguments: &[&str]) -> (Value, Option<i32>) {
    let output = emsctl(&[arguments, &["--format", "json"]].concat());
    let value = serde_json::from_slice(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    (value.unwrap_or_else(|error| panic!("{error}: {errors}")), output.status.code())
}

#[test]
fn a_failover_is_told_with_who_when_why_and_how_long() {
    let (summary, exit) = json(&["run", "scenarios/failover.ron"]);
    assert_eq!(exit, Some(0), "{summary}");
    let take_overs = &summary["take_overs"];
    assert_eq!(take_overs["count"], 1);
    let found = &take_overs["list"][0];
    assert_eq!((&found["from"], &found["to"]), (&"commerce/a".into(), &"commerce/b".into()));
    let gap_s = found["gap_s"].as_f64().expect("a number");
    assert!(gap_s > 0.05 && gap_s < 0.1, "{gap_s}");
    assert!(found["at"].as_str().is_some_and(|at| at.starts_with("2016-03-09 18:02:30")), "{found}");
    let roles: Vec<&Value> = (0..3).map(|place| &summary["controllers"][place]["role"]).collect();
    assert_eq!(roles, ["standby", "active", "witness"]);
}

#[test]
fn a_controller_that_does_not_run_at_the_end_is_down_whatever_it_was() {
    let (summary, _) = json(&["run", "scenarios/failover.ron", "--until", "40 min"]);
    assert_eq!(summary["controllers"][0]["role"], "down");
    assert_eq!(summary["controllers"][1]["role"], "active");
}

/// `witness.ron` with other faults, in a file of its own.
fn witness_with(name: &str, faults: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let text = std::fs::read_to_string(root.join("witness.ron")).expect("it is there");
    let root = root.to_str().expect("a path in UTF-8");
    let (before, rest) = text.split_once("    faults: [").expect("it has faults");
    let (_, after) = rest.split_once("],").expect("they end");
    let text = format!("{before}    faults: [{faults}],{after}");
    let text = text.replace("sites/", &format!("{root}/sites/"));
    let text = text.replace("profiles/", &format!("{root}/profiles/"));
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).expect("a file can be written");
    file.to_str().expect("a path in UTF-8").to_owned()
}

#[test]
fn a_grid_in_which_nobody_may_write_at_the_end_is_told_although_nobody_crashed() {
    let cut = r#"During("2016-03-09 17:50", "2016-03-09 18:20", Partition(a: ["a"], b: ["b", "w"]))"#;
    let faults = format!(r#"{cut}, At("2016-03-09 17:49", Crash(host: "w"))"#);
    let scenario = witness_with("nobody_writes.ron", &faults);
    let (summary, _) = json(&["run", &scenario, "--until", "40 min"]);
    let waiting = &summary["take_overs"]["waiting"][0];
    assert_eq!(waiting["grid"], "commerce", "{}", summary["take_overs"]);
    assert!(waiting["since"].as_str().is_some_and(|at| at.starts_with("2016-03-09 17:50:0")), "{waiting}");
    let text = String::from_utf8(emsctl(&["run", &scenario, "--until", "40 min"]).stdout).expect("text");
    assert!(text.contains("nobody writes in commerce since 2016-03-09 17:50:0"), "{text}");
}

#[test]
fn a_command_that_finds_a_controller_down_is_told() {
    let faults =
        r#"At("2016-03-09 17:50", Crash(host: "b")), At("2016-03-09 18:00", Maintenance("commerce/b", On))"#;
    let scenario = witness_with("unheard.ron", faults);
    let (summary, _) = json(&["run", &scenario, "--until", "40 min"]);
    let unheard = &summary["take_overs"]["unheard"];
    assert_eq!(unheard.as_array().map(Vec::len), Some(1), "{unheard}");
    assert_eq!(
        (&unheard[0]["controller"], &unheard[0]["command"]),
        (&"commerce/b".into(), &"maintenance begins".into())
    );
    let text = String::from_utf8(emsctl(&["run", &scenario, "--until", "40 min"]).stdout).expect("text");
    assert!(text.contains("commerce/b was down at 2016-03-09 18:00:00"), "{text}");
}

#[test]
fn a_command_to_a_grid_is_lost_only_where_nobody_hears_it() {
    let unheard = |file: &str, crashes: &str| {
        let faults = format!(r#"{crashes}, At("2016-03-09 18:00", SwitchOver("commerce"))"#);
        let (summary, _) = json(&["run", &witness_with(file, &faults), "--until", "40 min"]);
        summary["take_overs"]["unheard"].as_array().map(Vec::len)
    };
    let crash = |host: &str| format!(r#"At("2016-03-09 17:50", Crash(host: "{host}"))"#);
    assert_eq!(unheard("one_is_down.ron", &crash("b")), Some(0));
    let both = format!("{}, {}", crash("a"), crash("b"));
    assert_eq!(unheard("both_are_down.ron", &both), Some(2));
}

#[test]
fn what_a_host_writes_that_differs_counts_as_written() {
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover_fast.ron");
    let differs = r#"differs: { "a": { "site.time_zone": "UTC+1" } }"#;
    let text =
        format!(r#"Scenario(version: 1, name: "it differs in nothing", use: [{scenarios:?}], {differs})"#);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differs.ron");
    std::fs::write(&path, text).expect("a test may write its own files");
    let (summary, code) = json(&["run", path.to_str().expect("a path in UTF-8"), "--until", "10 s"]);
    assert_eq!(code, Some(0), "{}", summary["expectations"]);
}

#[test]
fn a_controller_that_is_down_is_explained_as_down() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("down.rlog");
    let log = log.to_str().expect("a path in UTF-8");
    let run = emsctl(&["run", "scenarios/failover.ron", "--until", "40 min", "--record", log]);
    assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
    let roles_at = |at: &str| {
        let (explained, _) = json(&["explain", log, "--at", at]);
        (0..3).map(|place| explained["explanations"][place]["role"].clone()).collect::<Vec<Value>>()
    };
    assert_eq!(roles_at("2016-03-09 18:02:29"), ["active", "standby", "witness"]);
    assert_eq!(roles_at("2016-03-09 18:02:31"), ["down", "active", "witness"]);
}

#[test]
fn two_authorities_are_a_violation_that_names_both() {
    let set = "site.grids.commerce.redundancy.on_silence=TakeOver";
    let (summary, exit) = json(&["run", "scenarios/pair_without_witness.ron", "--set", set]);
    assert_eq!(exit, Some(3));
    let expectations = summary["expectations"].as_array().expect("a list");
    let found = expectations.iter().find(|expectation| expectation["name"] == "one authority at a time");
    let found = found.expect("it is expected of every shared grid");
    assert_eq!(found["held"], false);
    assert_eq!(found["remark"], "commerce/a and commerce/b held authority at once");
    assert!(found["at"].as_str().is_some_and(|at| at.starts_with("2016-03-09 18:10:00.0")), "{found}");
}

#[test]
fn a_check_prints_votes_waits_and_the_bound_of_a_take_over() {
    let (printed, exit) =
        json(&["check", "scenarios/failover_fast.ron", "scenarios/sites/commerce_pair.ron"]);
    assert_eq!(exit, Some(0));
    let fast = &printed["files"][0]["redundancy"][0];
    assert_eq!(fast["voters"], serde_json::json!(["a", "b", "w"]));
    assert_eq!((&fast["majority"], &fast["delay_is_assumed"]), (&2.into(), &false.into()));
    assert_eq!(fast["devices"][0]["rests_on"], "epochs");
    let bound_s = fast["take_over_max_s"].as_f64().expect("a number");
    // W of 20.03 ms and a delay of 5 ms, a retry, a request and a grant, and a write of 1 ms.
    assert!((bound_s - 0.037).abs() < 0.000_1, "{bound_s}");
    let pair = &printed["files"][1]["redundancy"][0];
    assert_eq!(pair["devices"][0]["rests_on"], "declared_longest_write");
    assert_eq!(pair["delay_is_assumed"], true);
    assert_eq!((&fast["waits_for_word"], &pair["waits_for_word"]), (&false.into(), &true.into()));
    let text =
        String::from_utf8(emsctl(&["check", "scenarios/pair_without_witness.ron"]).stdout).expect("text");
    assert!(text.contains("a take-over, once an operator has said `sole`, lasts at most 99.11 ms"), "{text}");
    let text = String::from_utf8(emsctl(&["check", "scenarios/failover.ron"]).stdout).expect("text");
    assert!(text.contains("2 of the votes a, b, w are a majority"), "{text}");
    // A lease of 40 ms less a heartbeat of 10 ms, on a clock that is fast by 600 ppm, less two ways of 3 ms.
    assert!(text.contains("keeps authority while its host stands still for at most 23.98 ms"), "{text}");
    assert!(text.contains("is within its bound for 0.024 ms"), "{text}");
}
