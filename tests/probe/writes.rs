//! Small set-points: what they show, who is refused, and that devices are at rest in the end.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;

use assert_cmd::cargo::cargo_bin;

use crate::modbus::Served;
use crate::{EVENING, at, of, probed, run, site};

/// Nobody listens there, and nothing is kept there.
pub(crate) const NOBODY: [&str; 4] = ["--socket", "/nowhere/r-emsd.sock", "--state", "/nowhere"];
/// What the site says of its reversion.
const REVERSION: (&str, &str) = ("rating: \"250 kW\"", "rating: \"250 kW\", reversion: \"4 s\"");

/// The devices of the shop, whose battery falls back after so long.
fn served(reversion: &str) -> Served {
    let reversion = format!("plant.commerce.bess.reversion=\"{reversion}\"");
    Served::start("scenarios/peak_shaving_wire.ron", &[&EVENING[..], &["--set", &reversion]].concat())
}

fn tried<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["--write", "--yes"], &NOBODY[..], more].concat()
}

/// The set-point that the battery holds, W.
fn held(served: &Served) -> i32 {
    i32::from_be_bytes(served.connect("commerce/bess").two(3, 200))
}

#[test]
fn a_battery_that_is_as_the_file_says_agrees_and_rests_in_the_end() {
    let served = served("4 s");
    let site = site("probe_tried.ron", of(&served), &[REVERSION]);
    let (code, probed) = probed(&site, &tried(&[]));
    assert_eq!(code, Some(0), "{probed:#}");
    assert_eq!(probed["findings"].as_array().map(Vec::len), Some(0), "{probed:#}");
    let written = &probed["devices"][1]["written"];
    let steps: Vec<f64> = written["steps"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|step| step["set_point_w"].as_f64())
        .collect();
    assert_eq!(steps, [12_500.0, -12_500.0, 0.0]);
    assert!(
        written["steps"][1]["meter_moved_w"].as_f64().is_some_and(|moved| (moved - 25e3).abs() < 5e3),
        "{written:#}"
    );
    assert!(
        written["reverted_after_s"].as_f64().is_some_and(|after| (after - 4.0).abs() < 1.5),
        "{written:#}"
    );
    assert_eq!((&written["rests"], &written["meter_agrees"]), (&true.into(), &true.into()));
    let known = probed["signs"][0]["known"].to_string();
    assert!(known.contains("the meter saw that bess discharged as less import"), "{known}");
    assert_eq!(probed["signs"][0]["unknown"].as_array().map(Vec::len), Some(0), "{probed:#}");
    assert_eq!(held(&served), 0);
}

#[test]
fn each_mistake_that_only_a_set_point_shows_is_named_at_its_place() {
    let served = served("4 s");
    for (old, new, field, words) in [
        ("positive: Discharge", "positive: Charge", "bess.link.positive", "bess counts the other way"),
        (
            "SetPoint(number: I32, scale: \"1 W\")",
            "SetPoint(number: I32, scale: \"10 W\")",
            "bess.link.writes",
            "wrong by 10",
        ),
        (
            "address: 100, number: I32, scale: \"1 W\"",
            "address: 100, number: I32, scale: \"10 W\"",
            "bess.link.points.p",
            "wrong by 10",
        ),
        (
            "address: 100, number: I32, scale: \"1 W\"",
            "address: 100, number: I32, scale: \"-1 W\"",
            "bess.link.points.p",
            "of the other sign",
        ),
        (
            "address: 200, number: I32, scale",
            "address: 200, number: I32, order: LowFirst, scale",
            "set_point.order",
            "HighFirst",
        ),
        ("(address: 200, values", "(address: 201, values", "bess.link.writes", "exception 2"),
    ] {
        let site = site("probe_tried_mistake.ron", of(&served), &[REVERSION, (old, new)]);
        let (code, probed) = probed(&site, &tried(&[]));
        let finding = at(&probed, field).unwrap_or_else(|| panic!("{new}: {probed:#}"));
        assert!(finding.to_string().contains(words), "{new}: {finding:#}");
        assert_eq!(code, Some(1), "{new}: {probed:#}");
        assert_eq!(probed["devices"][1]["written"]["rests"], true, "{new}: {probed:#}");
        assert_eq!(held(&served), 0, "{new}");
    }
}

#[test]
fn a_reversion_that_is_another_is_named_with_what_was_measured() {
    for (really, words) in [("8 s", "ends after 8."), ("1 min", "still holds after 11 s")] {
        let served = served(really);
        let site = site("probe_reversion.ron", of(&served), &[REVERSION]);
        let (code, probed) = probed(&site, &tried(&["--device", "bess"]));
        let finding = at(&probed, "bess.reversion").unwrap_or_else(|| panic!("{really}: {probed:#}"));
        assert!(finding.to_string().contains(words), "{really}: {finding:#}");
        assert_eq!(code, Some(1), "{really}");
        assert_eq!(held(&served), 0, "{really}");
    }
}

#[test]
fn whoever_ends_it_while_a_battery_is_at_work_leaves_it_at_rest() {
    let served = served("10 min");
    let site = site(
        "probe_ended.ron",
        of(&served),
        &[("rating: \"250 kW\"", "rating: \"250 kW\", reversion: \"10 min\"")],
    );
    let mut child = Command::new(cargo_bin!("r-emsctl"))
        .arg("probe")
        .arg(&site)
        .args(tried(&["--device", "bess", "--format", "json"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let lines = BufReader::new(child.stderr.take().expect("it was asked for")).lines().map_while(Result::ok);
    let quiet = lines.take_while(|line| !line.contains("nobody writes now")).count();
    assert!(quiet > 0);
    while held(&served) == 0 {
        thread::yield_now();
    }
    // However often somebody asks.
    for _ in 0..3 {
        let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(killed.is_ok_and(|status| status.success()));
    }
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(2));
    let probed = crate::json(&output);
    assert_eq!(
        (&probed["interrupted"], &probed["devices"][0]["written"]["rests"]),
        (&true.into(), &true.into())
    );
    assert_eq!(probed["untried"], serde_json::json!(["commerce/bess"]));
    assert_eq!(held(&served), 0);
}

#[test]
fn a_battery_that_somebody_commands_is_left_alone() {
    let served = served("10 min");
    let mut other = served.connect("commerce/bess");
    let mut write = vec![16, 0, 200, 0, 2, 4];
    write.extend(i32::to_be_bytes(50_000));
    assert_eq!(other.ask(&write), [16, 0, 200, 0, 2]);
    let site = site("probe_commanded.ron", of(&served), &[]);
    let (code, probed) = probed(&site, &tried(&["--device", "bess"]));
    assert_eq!(code, Some(2), "{probed:#}");
    let withheld = probed["devices"][0]["written"]["withheld"].to_string();
    assert!(withheld.contains("somebody commands it"), "{withheld}");
    let page = String::from_utf8(run(&site, &tried(&["--device", "bess"])).stdout).expect("a text");
    let verdict = page.lines().last().expect("a verdict");
    for words in ["nothing disagrees so far", "not tried, or not to the end: commerce/bess"] {
        assert!(verdict.contains(words), "{verdict}");
    }
    assert_eq!(held(&served), 50_000, "nothing was written");
}

#[test]
fn a_battery_that_expects_heartbeats_is_said_to_be_left_out_and_nobody_is_asked_about_it() {
    let served = served("4 s");
    let beats =
        "positive: Discharge, heartbeat: (timeout: \"40 s\", address: 300, values: [Toggle(number: U16)])";
    let site = site("probe_beats.ron", of(&served), &[("positive: Discharge", beats)]);
    let output = run(&site, &[&["--write"], &NOBODY[..], &["--device", "bess"]].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("not tried: it expects heartbeats"), "{errors}");
    assert!(!errors.contains("no terminal"), "{errors}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("not to the end: commerce/bess"));
    assert_eq!(held(&served), 0);
}

#[test]
fn nothing_is_written_where_nobody_said_yes_or_a_daemon_runs_the_site() {
    let served = served("4 s");
    let site = site("probe_held.ron", of(&served), &[]);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("probe_held");
    let of_controller = folder.join("commerce/a");
    std::fs::create_dir_all(&of_controller).expect("a test may write its own files");
    let (state, socket) = (folder.to_string_lossy().into_owned(), folder.join("r-emsd.sock"));
    let refused = |arguments: &[&str], words: &str| {
        let output = run(&site, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    };
    refused(&[&["--write"], &NOBODY[..]].concat(), "--yes goes on without a question");
    refused(&["--yes"], "--write");
    let lock = File::create(of_controller.join("lock")).expect("a file");
    lock.lock().expect("nobody has it");
    refused(
        &["--write", "--yes", "--socket", "/nowhere/r-emsd.sock", "--state", &state],
        "an r-emsd runs this site",
    );
    drop(lock);
    let _gone = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a place for it");
    thread::spawn(move || listener.incoming().for_each(drop));
    let socket = socket.to_string_lossy().into_owned();
    refused(
        &["--write", "--yes", "--socket", &socket, "--state", &state],
        "listens there, and would write too",
    );
    assert_eq!(held(&served), 0);
    // Whoever only looks would take the only connection of one that has no other.
    let only = "positive: Discharge, longest_write: \"25 ms\", connections: ActiveOnly, connect: \"50 ms\"";
    let alone = crate::site("probe_alone.ron", of(&served), &[("positive: Discharge", only)]);
    let output = run(&alone, &["--socket", &socket, "--state", "/nowhere"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("would lose commerce/bess, which takes one connection"), "{errors}");
    let output = run(&site, &["--socket", &socket, "--state", "/nowhere"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
