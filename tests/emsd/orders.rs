//! What operators tell the devices of a running daemon.

use serde_json::Value;

use super::daemon::{Daemon, demo, text, until};

/// The demo, whose battery takes set-points by hand.
fn by_hand(name: &str) -> Daemon {
    let scenario = demo(name, &[], &[("functions: [", "functions: [\n Manual(battery: \"bess\"),")]);
    let daemon = Daemon::start(name, &[&scenario]);
    daemon.follow("set_points_taken_over");
    daemon
}

fn bess(daemon: &Daemon) -> Value {
    daemon.json(&["status"])["grids"][0]["devices"][1].clone()
}

/// Waits for what was decided for the battery, W.
fn decided(daemon: &Daemon, watts: f64) -> Value {
    until("the battery has its set-point", || {
        let bess = bess(daemon);
        (bess["set_point_w"].as_f64() == Some(watts)).then_some(bess)
    })
}

/// What is said where something is refused.
fn refused(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.emsctl(arguments);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    text(&output.stderr)
}

#[test]
fn a_set_point_by_hand_is_given_seen_and_withdrawn() {
    let daemon = by_hand("by_hand");
    let done = daemon.json(&["set-point", "workshop/bess", "-12.5 kW", "--for", "30 min"]);
    assert_eq!(done["outcome"], "done");
    assert_eq!(done["message"], "workshop/a takes -12.5 kW by hand, for 30 min");
    let seen = decided(&daemon, -12_500.0);
    assert_eq!((&seen["by_hand_w"], &seen["bound_by"]), (&Value::from(-12_500.0), &Value::from("Manual")));
    let left_s = seen["by_hand_left_s"].as_f64().expect("a length");
    assert!((1_600.0..=1_800.0).contains(&left_s), "{left_s}");
    let page = text(&daemon.emsctl(&["status"]).stdout);
    assert!(page.contains("bess by hand at -12.5 kW for 29 min") || page.contains("for 30 min"), "{page}");
    let long = refused(&daemon, &["set-point", "workshop/bess", "1 kW", "--for", "61 min"]);
    assert!(long.contains("at most an hour"), "{long}");
    let meter = refused(&daemon, &["set-point", "workshop/pcc", "1 kW", "--for", "1 min"]);
    assert!(meter.contains("no Manual function"), "{meter}");
    let unknown = refused(&daemon, &["set-point", "workshop/nothing", "1 kW", "--for", "1 min"]);
    assert!(unknown.contains("workshop/bess"), "{unknown}");
    assert_eq!(bess(&daemon)["by_hand_w"], -12_500.0, "what is refused changes nothing");
    assert_eq!(daemon.json(&["set-point", "workshop/bess", "--release"])["outcome"], "done");
    until("it is withdrawn", || bess(&daemon)["by_hand_w"].is_null().then_some(()));
    let nothing = refused(&daemon, &["set-point", "workshop/bess", "--release"]);
    assert!(nothing.contains("no set-point by hand is in force"), "{nothing}");
}

#[test]
fn an_emergency_stop_holds_until_it_is_reset_and_is_an_alarm() {
    let daemon = by_hand("emergency");
    daemon.json(&["set-point", "workshop/bess", "20 kW", "--for", "1 h"]);
    decided(&daemon, 20_000.0);
    assert_eq!(daemon.json(&["emergency-stop", "workshop"])["outcome"], "done");
    let stopped = decided(&daemon, 0.0);
    assert_eq!(stopped["bound_by"], "an emergency stop");
    let grid = daemon.json(&["status"])["grids"][0].clone();
    assert_eq!(grid["is_stopped"], true);
    let conditions = grid["conditions"].to_string();
    assert!(conditions.contains("emergency_stop_began"), "{conditions}");
    assert!(text(&daemon.emsctl(&["status"]).stdout).contains("EMERGENCY STOP"));
    let again = daemon.json(&["emergency-stop", "workshop"]);
    assert_eq!(again["message"], "workshop is stopped already");
    let told = refused(&daemon, &["set-point", "workshop/bess", "1 kW", "--for", "1 min"]);
    assert!(told.contains("reset it first"), "{told}");
    assert_eq!(daemon.json(&["emergency-stop", "workshop", "--reset"])["outcome"], "done");
    let free = until("it decides again", || {
        let grid = daemon.json(&["status"])["grids"][0].clone();
        (grid["is_stopped"] == false).then_some(grid)
    });
    assert!(free["devices"][1]["by_hand_w"].is_null(), "what was told before the stop counts no more");
}

#[test]
fn a_grid_is_held_and_stopped_until_its_functions_decide_again() {
    let daemon = by_hand("operated");
    daemon.json(&["set-point", "workshop/bess", "20 kW", "--for", "1 h"]);
    decided(&daemon, 20_000.0);
    let held = daemon.json(&["mode", "workshop", "hold", "--for", "30 min"]);
    assert_eq!(held["outcome"], "done");
    daemon.json(&["set-point", "workshop/bess", "--release"]);
    let bess = decided(&daemon, 20_000.0);
    assert!(bess["by_hand_w"].is_null(), "what was decided last is held");
    let grid = daemon.json(&["status"])["grids"][0].clone();
    assert_eq!(grid["operation"], "hold");
    assert!(grid["held_for_s"].as_f64().is_some_and(|left| left > 1_700.0 && left <= 1_800.0), "{grid}");
    assert!(text(&daemon.emsctl(&["status"]).stdout).contains("held for"));
    let long = refused(&daemon, &["mode", "workshop", "hold", "--for", "2 h"]);
    assert!(long.contains("at most an hour"), "{long}");
    assert_eq!(daemon.json(&["mode", "workshop", "stop"])["outcome"], "done");
    assert_eq!(decided(&daemon, 0.0)["bound_by"], "an operator, who holds or stops the grid");
    let grid = daemon.json(&["status"])["grids"][0].clone();
    assert!(grid["conditions"].to_string().contains("operation_changed"), "{grid}");
    assert_eq!(daemon.json(&["mode", "workshop", "auto"])["outcome"], "done");
    until("its functions decide", || {
        (daemon.json(&["status"])["grids"][0]["operation"] == "auto").then_some(())
    });
}
