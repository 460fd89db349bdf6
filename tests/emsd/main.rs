//! `r-emsd` as a process in simulation mode: people ask it, operators command it, it ends in order, and what it recorded replays.
//!
//! Nothing here is about time: tests wait for events, whenever they come.

mod api;
mod at_stop;
mod curt;
mod daemon;
mod explained;
mod hostile;
mod hostile_site;
mod hybrid;
mod interop;
#[path = "../modbus/mod.rs"]
mod modbus;
mod orders;
mod production;
mod recorded;
mod reload;
mod serial;
mod socket;
mod unheard;
mod unread;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};

use self::daemon::{Daemon, JOURNALS, PATIENCE, demo, emsctl, file, text, until};

#[test]
fn one_controller_is_active_and_an_operator_moves_that() {
    let daemon = Daemon::start("moves", &[]);
    daemon.follow("set_points_taken_over");
    let status = daemon.json(&["status"]);
    let grid = &status["grids"][0];
    assert_eq!((&grid["name"], &grid["active"]), (&"workshop".into(), &"a".into()), "{status}");
    assert_eq!(roles(grid), ["active", "standby", "witness"]);
    let done = daemon.json(&["switchover", "workshop"]);
    assert_eq!(done["outcome"], "done", "{done}");
    let grid = &daemon.json(&["status"])["grids"][0];
    assert_eq!(grid["active"], "b");
    assert_eq!(roles(grid), ["standby", "active", "witness"]);
    let page = text(&daemon.emsctl(&["status"]).stdout);
    assert!(page.contains("workshop  b active, epoch 2.1  ·  pcc "), "{page}");
    let refused = daemon.emsctl(&["switchover", "workshop", "--to", "b"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("the active already"), "{}", text(&refused.stderr));
}

fn roles(grid: &serde_json::Value) -> Vec<&str> {
    let controllers = grid["controllers"].as_array().expect("a list");
    controllers.iter().map(|controller| controller["role"].as_str().expect("a word")).collect()
}

#[test]
fn a_write_that_failed_is_told_and_no_time_at_which_it_ends() {
    // It has never held a set-point.
    let refuses = r#"faults: [During("+0 s", "+1 day", Refuses("workshop/bess"))], network:"#;
    let daemon = Daemon::start("refuses", &[&demo("refuses", &[("network:", refuses)], &[])]);
    let status = until("a write has failed", || {
        let status = daemon.json(&["status"]);
        (status["grids"][0]["devices"][1]["write"] == "failed").then_some(status)
    });
    assert!(status["grids"][0]["devices"][1]["reverts_in_s"].is_null(), "{status}");
    daemon.follow("write_failed");
    assert!(text(&daemon.emsctl(&["status"]).stdout).contains("write_failed: to bess, refused"));
}

#[test]
fn a_status_that_is_watched_is_shown_again_until_the_daemon_ends() {
    let daemon = Daemon::start("watched", &[]);
    daemon.follow("set_points_taken_over");
    let mut watch = std::process::Command::new(cargo_bin("r-emsctl"))
        .args(["status", "--watch", "--format", "json", "--socket", daemon.socket()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let shown = BufReader::new(watch.stdout.take().expect("it is piped"));
    let mut scans = shown.lines().map(|line| {
        let status: serde_json::Value = serde_json::from_str(&line.expect("it is text")).expect("JSON");
        status["grids"][0]["controllers"][0]["scans"].as_u64().expect("a number")
    });
    let first = scans.next().expect("a line");
    assert!(scans.any(|later| later > first), "it is shown anew");
    daemon.json(&["shutdown"]);
    assert!(scans.all(|later| later > first));
    let ended = watch.wait_with_output().expect("it ends with the daemon");
    assert!(text(&ended.stderr).contains("no daemon listens there"), "{}", text(&ended.stderr));
}

#[test]
fn a_state_is_kept_where_journals_are_and_refused_at_once_where_none_is() {
    let without = Daemon::start("no_journal", &[]);
    let refused = without.emsctl(&["snapshot", "workshop/a"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(said.contains("workshop/a keeps no journal") && said.contains("`persistence`"), "{said}");
    let with = Daemon::start("journal", &[&demo("journal", &[JOURNALS], &[])]);
    with.follow("set_points_taken_over");
    let kept = with.json(&["snapshot", "workshop/a"]);
    assert_eq!(kept["outcome"], "done", "{kept}");
}

#[test]
fn maintenance_begins_and_ends() {
    let daemon = Daemon::start("maintenance", &[]);
    daemon.follow("set_points_taken_over");
    for (turned, role) in [("on", "maintenance"), ("on", "maintenance"), ("off", "standby")] {
        let done = daemon.json(&["maintenance", "workshop/b", turned]);
        assert_eq!(done["outcome"], "done", "{done}");
        assert_eq!(roles(&daemon.json(&["status"])["grids"][0])[1], role);
    }
    let unknown = daemon.emsctl(&["maintenance", "workshop/c", "on"]);
    assert!(text(&unknown.stderr).contains("there is workshop/a, workshop/b, workshop/w"));
}

#[test]
fn what_was_recorded_replays_bit_for_bit_after_an_end_in_order() {
    let log = file("recorded.rlog");
    let daemon = Daemon::start("recorded", &["--record", &log]);
    daemon.follow("set_points_taken_over");
    daemon.json(&["switchover", "workshop"]);
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopped in order"), "{said}");
    let replayed = emsctl(&["replay", &log, "--format", "json"]);
    assert_eq!(replayed.status.code(), Some(0), "{}", text(&replayed.stderr));
    let replayed: serde_json::Value = serde_json::from_slice(&replayed.stdout).expect("JSON");
    assert_eq!((&replayed["ok"], &replayed["end"]), (&true.into(), &"stopped".into()), "{replayed}");
    assert!(said.contains(replayed["digest"].as_str().expect("a digest")), "it is the same run: {said}");
    let commands = emsctl(&["show", &log, "--controller", "workshop/a"]);
    assert!(text(&commands.stdout).contains("switch over"), "what an operator asked for is in the log");
}

#[test]
fn a_shutdown_ends_it_and_its_socket_is_gone() {
    let daemon = Daemon::start("shutdown", &[]);
    daemon.follow("started");
    let socket = daemon.socket().to_owned();
    assert_eq!(daemon.json(&["shutdown"])["outcome"], "asked");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(!std::path::Path::new(&socket).exists());
    let nobody = emsctl(&["status", "--socket", &socket]);
    assert_eq!(nobody.status.code(), Some(1));
    let said = text(&nobody.stderr);
    assert!(said.contains(&socket) && said.contains("start one with `r-emsd`"), "{said}");
}

#[test]
fn sighup_is_refused_and_the_run_goes_on() {
    let daemon = Daemon::start("hup", &[]);
    daemon.follow("set_points_taken_over");
    daemon.signal("HUP");
    daemon.json(&["switchover", "workshop"]);
    daemon.signal("INT");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("SIGHUP: nothing can be loaded again"), "{said}");
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_log_is_closed_all_the_same() {
    let log = file("at_once.rlog");
    let daemon = Daemon::start("at_once", &[&slow_writes("at_once"), "--record", &log]);
    daemon.follow("set_points_taken_over");
    // Both are there before the daemon sees one.
    ["STOP", "TERM", "INT", "CONT"].iter().for_each(|signal| daemon.signal(signal));
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("stopped at once"), "{said}");
    assert_eq!(emsctl(&["replay", &log]).status.code(), Some(0));
}

#[test]
fn the_first_signal_after_a_shutdown_lets_it_end_in_order() {
    let daemon = Daemon::start("asked_already", &[&slow_writes("asked_already")]);
    daemon.follow("set_points_taken_over");
    daemon.json(&["shutdown"]);
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopped in order"), "{said}");
}

/// A scenario in which an end in order takes seconds: the active ends once its last write has been answered or its lease is over.
fn slow_writes(name: &str) -> String {
    let slow = r#"links: { "workshop/bess": (write_delay: "2.8 s", timeout: "3 s") }, network:"#;
    let long =
        [("longest_write: \"50 ms\"", "longest_write: \"3 s\""), ("lease: \"400 ms\"", "lease: \"3 s\"")];
    demo(name, &[("network:", slow)], &long)
}

#[test]
fn who_commands_is_noted() {
    let daemon = Daemon::start("noted", &[]);
    daemon.follow("set_points_taken_over");
    assert_eq!(daemon.ask("POST", "/v1/switchover", r#"{"grid":"workshop"}"#).0, 200);
    assert_eq!(daemon.ask("POST", "/v1/maintenance", r#"{"controller":7}"#).0, 422);
    // A line of its own would look like one that the daemon says.
    for (path, forged) in [
        ("/v1/switchover", r#"{"grid":"x\n INFO forged"}"#),
        ("/v1/switchover", r#"{"grid":"workshop","to":"x\n INFO forged"}"#),
        ("/v1/switchover", r#"{"grid":"workshop","x\n INFO forged":1}"#),
        ("/v1/maintenance", r#"{"controller":"x\n INFO forged","on":true}"#),
    ] {
        let (status, answer) = daemon.ask("POST", path, forged);
        assert!(matches!(status, 404 | 422), "{status}: {answer}");
    }
    assert_eq!(daemon.ask("POST", "/v1/shutdown", "").0, 202);
    let (_code, said) = daemon.ended();
    let me = std::fs::metadata("/proc/self").expect("there is one");
    for what in [
        r#"asks to switch \"workshop\" over to the best standby"#,
        "commands what is not understood",
        "ends the daemon",
    ] {
        let line = said.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}: {said}"));
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(
            (&line["uid"], &line["gid"], &line["pid"]),
            (&me.uid().into(), &me.gid().into(), &std::process::id().into()),
            "{line}"
        );
    }
    assert_eq!(said.lines().filter(|line| line.contains("forged")).count(), 4, "{said}");
    assert!(!said.contains(r"x\n INFO forged"), "as JSON a line's end that is not escaped is so: {said}");
}

#[test]
fn a_scenario_of_ones_own_runs_and_is_told() {
    let daemon =
        Daemon::start("own", &["scenarios/failover_fast.ron", "--set", "site.grids.commerce.scan=\"20 ms\""]);
    daemon.follow("set_points_taken_over");
    let config = daemon.json(&["config"]);
    assert_eq!(config["scenario"]["path"], "scenarios/failover_fast.ron");
    assert!(
        config["site"]["text"].as_str().expect("a text").contains("20 ms"),
        "what is in effect: {config}"
    );
    assert_eq!(daemon.json(&["status"])["grids"][0]["active"], "a");
}

#[test]
fn what_cannot_be_run_is_refused_with_what_is_missing() {
    let pair = "scenarios/sites/commerce_pair_loopback.ron";
    let of_pair = ["--mode", "production", pair];
    for (arguments, missing) in [
        (&["--mode", "hybrid", pair][..], "--simulate commerce/bess --plant SCENARIO.ron"),
        (
            &["--mode", "hybrid", pair, "--host", "a", "--simulate", "commerce/bess", "--plant", "x.ron"],
            "on host b",
        ),
        (&[&of_pair[..], &["--simulate", "commerce/bess"]].concat(), "--simulate: is for --mode hybrid"),
        (&["--plant", "x.ron"], "--plant: is for --mode hybrid"),
        (&["--mode", "production"], "needs the site file"),
        (&["--host", "a"], "--host: is for --mode production"),
        (&[&of_pair[..], &["--record", "x.rlog"]].concat(), "keeps its log itself, below --state"),
        (&[&of_pair[..], &["--host", "c"]].concat(), "--host c: "),
        (&[&of_pair[..], &["--host", "c"]].concat(), "has the hosts a, b, w"),
        (&[&of_pair[..], &["--host", "a", "--state", &file("no_key")]].concat(), "openssl rand -hex 32"),
    ] {
        let refused = emsd(&[arguments, &["--socket", &file("refused.sock")]].concat());
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}: {}", text(&refused.stderr));
        assert!(text(&refused.stderr).contains(missing), "{arguments:?}: {}", text(&refused.stderr));
    }
    let wrong = emsd(&["scenarios/tests/bad/five_mistakes.ron", "--socket", &file("wrong.sock")]);
    assert_eq!(wrong.status.code(), Some(5), "{}", text(&wrong.stderr));
    let unknown = emsd(&["--set", "plant.workshop.bess.capasity=\"1 kWh\"", "--socket", &file("wrong.sock")]);
    assert_eq!(unknown.status.code(), Some(5), "{}", text(&unknown.stderr));
}

#[test]
fn programs_read_a_failure_and_warnings_as_json() {
    let socket = file("json.sock");
    let said = |scenario: &str| {
        let file = format!("scenarios/tests/bad/{scenario}");
        let refused = emsd(&[&file, "--log", "json", "--socket", &socket, "--record", "scenarios"]);
        let said = text(&refused.stderr);
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        said.lines().map(read).collect::<Vec<serde_json::Value>>()
    };
    let [failed] = &said("five_mistakes.ron")[..] else { panic!("it is one line") };
    assert_eq!(failed["level"], "ERROR");
    assert!(failed["message"].as_str().expect("a text").contains("5 errors"), "{failed}");
    let [warned, failed] = &said("ratings.ron")[..] else { panic!("it is two lines") };
    assert_eq!((&warned["level"], &failed["level"]), (&"WARN".into(), &"ERROR".into()));
    assert!(warned["message"].as_str().expect("a text").contains("2 warnings"), "{warned}");
}

#[test]
fn systemd_is_told_that_it_is_ready_lives_and_ends() {
    let (daemon, told) = Daemon::start_under_systemd("systemd", &[]);
    let mut heard = String::new();
    // The watchdog alone is fed once a second: in so many messages the others come, or never.
    let mut hear = |word: &str| {
        for _ in 0..PATIENCE.as_secs() {
            if heard.contains(word) {
                return;
            }
            heard += &told();
        }
        panic!("{word} is not told: {heard}");
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("STATUS=workshop: a is active, epoch 1.0");
    daemon.signal("TERM");
    hear("STOPPING=1");
    assert_eq!(daemon.ended().0, Some(0));
}

fn emsd(arguments: &[&str]) -> std::process::Output {
    let root = env!("CARGO_MANIFEST_DIR");
    cargo_bin_cmd!("r-emsd")
        .current_dir(root)
        .args(arguments)
        .timeout(PATIENCE)
        .output()
        .expect("the program runs")
}
