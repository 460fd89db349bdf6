//! What outlives controllers: runs in which disks and hosts break, told and repeated by the program.

use std::path::Path;
use std::process::Output;

use assert_cmd::cargo::cargo_bin_cmd;
use r_ems::engine::rng::Stream;
use serde_json::Value;

fn emsctl(arguments: &[&str]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    cargo_bin_cmd!("r-emsctl").current_dir(root).args(arguments).output().expect("the program runs")
}

fn summary(arguments: &[&str]) -> Value {
    let output = emsctl(&[&["run"], arguments, &["--format", "json"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let summary: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"));
    assert_eq!(output.status.code(), Some(0), "{}\n{errors}", summary["expectations"]);
    summary
}

#[test]
fn a_full_disk_stops_no_control_and_is_told() {
    let summary = summary(&["scenarios/disk_full.ron"]);
    assert_eq!(summary["held"], true);
    let [a, b, w] = [0, 1, 2].map(|place| &summary["persistence"][place]);
    let number = |of: &Value, field: &str| of[field].as_f64().expect("a number");
    assert_eq!([&a["replayed"], &b["replayed"], &w["replayed"]], [2, 2, 1]);
    assert_eq!([&a["fresh"], &b["fresh"], &w["damaged"]], [0, 0, 0]);
    let degraded_s = number(a, "degraded_s");
    assert!((600.0..606.0).contains(&degraded_s), "{degraded_s}");
    assert!(number(a, "snapshots") > 250.0 && number(a, "snapshots_failed") > 50.0, "{a}");
    assert_eq!(b["snapshots_failed"], 0, "a slow disk is waited for");
}

#[test]
fn a_run_with_recoveries_replays_bit_for_bit() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("recovered.rlog");
    let log = log.to_str().expect("text");
    let crash = "During(\"+20 s\", \"+21 s\", Crash(host: \"a\"))";
    let faults = &format!("faults=[{crash}, During(\"+30 s\", \"+40 s\", DiskFailing(host: \"b\"))]");
    let changes = ["--set", faults, "--set", "expect=[]", "--until", "1 min"];
    let ran = summary(&[&["scenarios/disk_full.ron", "--record", log], &changes[..]].concat());
    let replayed = emsctl(&["replay", log]);
    let printed = String::from_utf8_lossy(&replayed.stdout);
    assert_eq!(replayed.status.code(), Some(0), "{printed}");
    assert!(printed.contains(ran["digest"].as_str().expect("a digest")), "{printed}");
    let shown = emsctl(&["show", log, "--kind", "restored"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout).matches("is restored").count(), 1);
}

#[test]
fn what_a_controller_has_tallied_goes_on_with_auto_replay_and_begins_anew_without() {
    let bound_s = |persistence: &str| {
        let set = format!("persistence={persistence}");
        let arguments = [
            "scenarios/disk_full.ron",
            "--set",
            &set,
            "--set",
            "expect=[]",
            "--set",
            "faults=[During(\"+10 min\", \"+11 min\", Crash(host: \"a\"))]",
        ];
        let summary = summary(&[&arguments[..], &["--until", "20 min"]].concat());
        assert_eq!(summary["persistence"][0]["degraded_s"], 0.0);
        let functions = summary["controllers"][0]["functions"].as_array().expect("a list");
        functions.iter().map(|function| function["bound_s"].as_f64().expect("a number")).sum::<f64>()
    };
    let kept = bound_s("()");
    let fresh = bound_s("(auto_replay: false)");
    assert!(kept > fresh + 500.0, "{kept} s, and {fresh} s");
}

#[test]
fn strict_costs_a_sync_and_loses_nothing() {
    let set = "persistence=(sync: Strict, snapshots: (every: \"1 s\"))";
    let crash = "During(\"+10 s\", \"+15 s\", Crash(host: \"a\"))";
    let faults =
        &format!("faults=[{crash}, During(\"+30.0005 s\", \"+31 s\", Kill(controller: \"commerce/b\"))]");
    let summary = summary(&[
        "scenarios/disk_full.ron",
        "--set",
        set,
        "--set",
        faults,
        "--set",
        "expect=[]",
        "--until",
        "1 min",
    ]);
    assert_eq!([&summary["persistence"][0]["replayed"], &summary["persistence"][1]["replayed"]], [1, 1]);
}

#[test]
fn strict_delays_the_first_writes_of_a_take_over_and_no_vote() {
    // By their bound they may last longer than its file expects of each of two dozen; a vote that waited for a sync made them
    // last 90 ms.
    let file = "scenarios/failover_fast.ron";
    let summary = summary(&[file, "--set", "persistence=(sync: Strict)", "--set", "expect=[]"]);
    assert_eq!((&summary["held"], &summary["take_overs"]["count"]), (&true.into(), &24.into()));
    let longest_s = summary["take_overs"]["longest_gap_s"].as_f64().expect("a number");
    assert!(longest_s <= 0.04, "{longest_s} s");
}

/// The highest 15-minute mean of a run of `upgrade.ron` with other hosts and other disks, in W.
fn peak_w(site: &str, timeline: &str, persistence: &str) -> f64 {
    let changes = [
        &format!("site=\"sites/{site}.ron\""),
        &format!("timeline=[{timeline}]"),
        &format!("persistence={persistence}"),
        "expect=[]",
    ];
    let set = changes.iter().flat_map(|change| ["--set", change]);
    let arguments: Vec<&str> = ["scenarios/upgrade.ron"].into_iter().chain(set).collect();
    summary(&arguments)["grids"][0]["peak"]["mean_w"].as_f64().expect("a number")
}

#[test]
fn an_upgrade_forgets_nothing_of_a_billing_window() {
    const DOWN: &str = "\"+8 min 5 s\", \"+8 min 15 s\"";
    const SHAVED_W: f64 = 221e3;
    let upgraded = |how: &str, hosts: &[&str]| {
        let on = |host: &&str| {
            let upgrade = format!("At(\"+8 min 10 s\", Upgrade(host: \"{host}\"))");
            format!("During({DOWN}, {how}(host: \"{host}\")), {upgrade}")
        };
        hosts.iter().map(on).collect::<Vec<String>>().join(", ")
    };
    // A lone controller, and a pair whose hosts are both away: neither has anybody who could tell it.
    for (site, hosts) in [("commerce", &["a"][..]), ("commerce_redundant", &["a", "b"][..])] {
        for how in ["Stop", "Crash"] {
            let timeline = &upgraded(how, hosts);
            let kept_w = peak_w(site, timeline, "(snapshots: (every: \"10 s\"))");
            assert!(kept_w < SHAVED_W, "{site}, {how}: {kept_w} W");
            let forgotten_w = peak_w(site, timeline, "(auto_replay: false)");
            assert!(forgotten_w > SHAVED_W + 25e3, "{site}, {how}: {forgotten_w} W");
        }
    }
    // One after the other, the one that is there tells the one that comes.
    let [a, b] = ["a", "b"].map(|host| upgraded("Stop", &[host]));
    let rolling = format!("{}, {b}", a.replace("+8 min", "+6 min"));
    let rolling_w = peak_w("commerce_redundant", &rolling, "(snapshots: (every: \"10 s\"))");
    assert!(rolling_w < SHAVED_W, "{rolling_w} W");
}

#[test]
fn a_run_with_an_upgrade_replays_bit_for_bit_and_its_log_says_what_is_kept() {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join("upgraded.rlog");
    let log = log.to_str().expect("text");
    let ran = summary(&["scenarios/upgrade.ron", "--record", log]);
    let replayed = emsctl(&["replay", log]);
    let printed = String::from_utf8_lossy(&replayed.stdout);
    assert_eq!(replayed.status.code(), Some(0), "{printed}");
    assert!(printed.contains(ran["digest"].as_str().expect("a digest")), "{printed}");
    for (kind, words) in [
        ("memory_carried", "the memory of the version before, 11 s old"),
        ("carried", "memory for other versions, form 1"),
    ] {
        let shown = emsctl(&["show", log, "--kind", kind]);
        let printed = String::from_utf8_lossy(&shown.stdout);
        assert_eq!(printed.matches(words).count(), 1, "{printed}");
    }
}

/// Crashes, killed processes and troubled disks at random: what is durable outlives all of it, and one writes at a time.
#[test]
fn what_is_durable_outlives_whatever_happens() {
    for seed in 0..8 {
        let mut random = Stream::named(seed, "faults");
        let hosts = ["a", "b", "w"];
        let mut faults = Vec::new();
        let mut window = |begin_us: u64, span_us: u64, what: String| {
            let end_us = (begin_us + span_us).min(119_000_000);
            if begin_us < end_us {
                faults.push(format!("During(\"+{begin_us} us\", \"+{end_us} us\", {what})"));
            }
        };
        let mut at_us = 1_000_000;
        while at_us < 110_000_000 {
            at_us += 1 + random.below(12_000_000);
            let host = hosts[random.below(3) as usize];
            let span_us = [500, 3_000, 20_000, 500_000, 5_000_000][random.below(5) as usize];
            let what = match random.below(3) {
                0 => format!("Kill(controller: \"commerce/{host}\")"),
                _crash => format!("Crash(host: \"{host}\")"),
            };
            window(at_us, span_us, what);
            at_us += span_us;
        }
        for host in hosts {
            for kind in ["DiskFull", "DiskFailing", "DiskReadOnly", "DiskSlow", "TornWrites"] {
                if random.below(2) == 0 {
                    let sync = if kind == "DiskSlow" { ", sync: \"1.7 s\"" } else { "" };
                    let (begin_us, span_us) = (random.below(110_000_000), 1 + random.below(20_000_000));
                    window(begin_us, span_us, format!("{kind}(host: \"{host}\"{sync})"));
                }
            }
        }
        let sync = ["\"5 ms\"", "\"100 ms\"", "\"1 s\"", "Strict"][random.below(4) as usize];
        let every = ["100 ms", "1 s"][random.below(2) as usize];
        let keep = 1 + random.below(3);
        let persistence = format!(
            "persistence=(sync: {sync}, rotate: \"64 kB\", snapshots: (every: \"{every}\"), keep: {keep})"
        );
        let (faults, seed) = (format!("faults=[{}]", faults.join(", ")), seed.to_string());
        let changes = ["--set", &persistence, "--set", &faults, "--set", "expect=[]", "--seed", &seed];
        let summary = summary(&[&["scenarios/failover.ron", "--until", "2 min"], &changes[..]].concat());
        let expectations = summary["expectations"].as_array().expect("a list");
        let names = ["one authority at a time", "what is durable outlives crashes"];
        assert!(names.iter().all(|name| expectations.iter().any(|held| held["name"] == *name)));
    }
}
