//! SIGHUP: what may change of a site file does, the rest is refused, and each part of the log replays by itself.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use assert_cmd::cargo::cargo_bin;

use super::daemon::{Daemon, file, until};
use super::production::Site;

const FAST: (&str, &str) = ("scan: \"1 s\"", "scan: \"50 ms\"");
/// What is changed, so that more is shaved.
const LOWER: (&str, &str) = ("limit: \"220 kW\"", "limit: \"190 kW\"");
/// What is said once every controller runs with a change.
const IN_EFFECT: &str = "is in effect: every controller here runs with it";

/// The text of the site file that is in effect.
fn in_effect(daemon: &Daemon) -> String {
    daemon.json(&["config"])["site"]["text"].as_str().expect("a text").to_owned()
}

/// Whether a text stands in a log as it is.
fn says(log: &str, text: &str) -> bool {
    let log = fs::read(log).expect("it can be read");
    log.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

#[test]
fn a_limit_changes_while_it_runs_and_what_may_not_change_is_refused() {
    let site = Site::new("reload", "commerce_modbus.ron", &[FAST]);
    let daemon = site.start("a", &[]);
    until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    let limit = |daemon: &Daemon| daemon.json(&["status"])["grids"][0]["limit_w"].as_f64();
    assert_eq!(limit(&daemon), Some(220e3));
    site.change(&[LOWER]);
    let lower = fs::read_to_string(&site.path).expect("it was written");
    daemon.signal("HUP");
    let begun = daemon.says(IN_EFFECT);
    assert!(
        begun.contains("is taken: commerce/a begins anew") && begun.contains("memory_carried"),
        "{begun}"
    );
    until("more is shaved", || (site.set_point() > 130_000).then_some(()));
    assert_eq!(limit(&daemon), Some(190e3));
    assert_eq!(in_effect(&daemon), lower);
    let refused = |why: &str| {
        daemon.signal("HUP");
        let refused = daemon.says("is refused, and nothing changes");
        assert!(refused.contains(why), "{why}: {refused}");
    };
    for (wrong, why) in [
        (lower.replace("50 ms", "60 ms"), r#"\"50 ms\" is in effect, got \"60 ms\""#),
        (lower.replace("190 kW", "190 kV"), "190 kV"),
        (lower.replace("Site(", "Sight("), "Sight"),
    ] {
        fs::write(&site.path, wrong).expect("it can be written");
        refused(why);
    }
    fs::remove_file(&site.path).expect("it is there");
    refused("no such file");
    let made = Command::new("mkfifo").arg(&site.path).status();
    assert!(made.expect("there is such a program").success());
    refused("no regular file");
    assert_eq!(in_effect(&daemon), lower);
    let epoch = daemon.json(&["status"])["grids"][0]["epoch"].clone();
    assert_eq!(epoch, "2.0", "it began anew once");
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    // Each life closed its log and left one with its last state.
    site.replay("a", "commerce/a", &[false; 4]);
    let segments = site.segments("a", "commerce/a");
    for (log, is_new) in [(&segments[0], false), (&segments[2], true)] {
        assert_eq!((says(log, "190 kW"), says(log, "220 kW")), (is_new, !is_new), "{log}");
    }
}

#[test]
fn systemd_waits_until_every_controller_runs_with_the_change() {
    let site = Site::new("reload_told", "commerce_modbus.ron", &[FAST]);
    let (daemon, told) = site.start_by("a", &[], Daemon::start_under_systemd);
    let hear = |word: &str| until(word, || told().contains(word).then_some(()));
    hear("READY=1");
    until("it controls", || (site.set_point() > 50_000).then_some(()));
    site.change(&[LOWER]);
    daemon.signal("HUP");
    hear("RELOADING=1");
    hear("READY=1");
    let grid = daemon.json(&["status"])["grids"][0].clone();
    assert_eq!((&grid["epoch"], grid["limit_w"].as_f64()), (&"2.0".into(), Some(190e3)), "{grid}");
    fs::write(&site.path, "Sight(").expect("it can be written");
    daemon.signal("HUP");
    hear("RELOADING=1");
    hear("READY=1");
}

/// Whether the process of a /proc/PID/status catches SIGHUP; nothing before it does.
fn catches_sighup(status: &str) -> Option<bool> {
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
    Some(u64::from_str_radix(caught.trim(), 16).ok()? & 1 != 0)
}

#[test]
fn sighup_ends_no_daemon_that_has_only_just_begun_and_is_followed_later() {
    const STARTS: usize = 200;
    for _ in 0..STARTS {
        let mut child = Command::new(cargo_bin("r-emsd"))
            .args(["--log", "json", "--socket", &file("early.sock")])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let place = format!("/proc/{}/status", child.id());
        let status = loop {
            let ended = child.try_wait().expect("it can be asked");
            assert_eq!(ended, None, "it ended before it caught SIGHUP");
            let status = fs::read_to_string(&place).expect("it is there until somebody waits for it");
            if catches_sighup(&status).expect("a process that lives") {
                break status;
            }
        };
        // It has begun nothing yet: a look that came too late shows nothing.
        let is_early = status.contains("Threads:\t1\n");
        if is_early {
            let sent = Command::new("kill").args(["-HUP", &child.id().to_string()]).status();
            assert!(sent.expect("there is such a program").success());
            let said = BufReader::new(child.stderr.take().expect("it is piped")).lines();
            let mut said = said.map(|line| line.expect("it is text"));
            assert!(said.any(|line| line.contains("SIGHUP: nothing can be loaded again")), "it ended");
        }
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
        if is_early {
            return;
        }
    }
    panic!("in none of {STARTS} starts it caught SIGHUP before it had a second thread");
}

/// What controllers did, of these kinds, in order: each "commerce/a started".
fn done(said: &str, kinds: &[&str]) -> Vec<String> {
    let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let words = |line: serde_json::Value| {
        let (controller, kind) = (line["controller"].as_str()?, line["kind"].as_str()?);
        kinds.contains(&kind).then(|| format!("{controller} {kind}"))
    };
    lines.filter_map(words).collect()
}

#[test]
fn two_controllers_on_one_host_begin_anew_one_after_the_other_and_kill_9_right_after_it_loses_nothing() {
    let site = Site::pair("reload_pair");
    site.change(&[("\"b\": (host: \"b\", order: 1)", "\"b\": (host: \"a\", order: 1)")]);
    let key = ["--key", &site.key];
    let witness = site.start("w", &key);
    let daemon = site.start("a", &key);
    let active = until("both could take over", || {
        let grid = daemon.json(&["status"])["grids"][0].clone();
        let is_ready = |of: usize| grid["controllers"][of]["is_ready"] == true;
        let active = grid["active"].as_str().map(str::to_owned);
        active.filter(|_active| is_ready(0) && is_ready(1) && site.set_point() > 50_000)
    });
    let (holds, stands_by) = if active == "a" { ("a", "b") } else { ("b", "a") };
    site.change(&[LOWER]);
    daemon.signal("HUP");
    let said = daemon.says("is taken: commerce/a, commerce/b begins anew") + &daemon.says(IN_EFFECT);
    let expected = [
        (stands_by, "stop_began"),
        (stands_by, "started"),
        (holds, "stop_began"),
        (stands_by, "took_over"),
        (holds, "started"),
    ];
    let expected = expected.map(|(who, what)| format!("commerce/{who} {what}"));
    let did = done(&said, &["stop_began", "started", "took_over"]);
    let change = did.iter().position(|what| what.ends_with("stop_began")).expect("they end in order");
    assert_eq!(did[change..], expected, "{said}");
    // What functions are told changes nothing for a witness, whose log goes on under the old text.
    witness.signal("HUP");
    let said = witness.says(IN_EFFECT);
    assert!(said.contains("is taken: no controller here begins anew"), "{said}");
    for killed in [&daemon, &witness] {
        killed.signal("KILL");
        assert_eq!(killed.ended().0, None);
    }
    let ends = |daemon: &Daemon| {
        daemon.signal("TERM");
        let (code, said) = daemon.ended();
        assert_eq!(code, Some(0), "{said}");
        assert!(!said.contains("state_recovered: no state"), "{said}");
    };
    let returns = |host: &str| {
        let daemon = site.start(host, &key);
        let said = daemon.says("state_recovered");
        assert!(!said.contains("state_recovered: no state"), "{said}");
        daemon
    };
    ends(&returns("a"));
    for id in ["a", "b"] {
        // Who begins anew closes a segment and leaves one with its last state.
        site.replay("a", &format!("commerce/{id}"), &[false, false, true, false, false]);
    }
    let witness = returns("w");
    site.change(&[(LOWER.1, LOWER.0)]);
    witness.signal("HUP");
    witness.says(IN_EFFECT);
    assert_eq!(witness.json(&["snapshot", "commerce/w"])["outcome"], "done");
    ends(&witness);
    site.replay("w", "commerce/w", &[true, false, false, false]);
    let texts: Vec<bool> = site.segments("w", "commerce/w").iter().map(|log| says(log, "190 kW")).collect();
    assert_eq!(texts, [false, true, false, false], "a new segment has the text that is in effect");
}

#[test]
fn a_change_is_refused_while_the_log_is_not_kept() {
    let site = Site::new("reload_disk", "commerce_modbus.ron", &[FAST]);
    let small = |name: &str, arguments: &[&str]| Daemon::start_with_small_files(name, 2, arguments);
    let daemon = site.start_by("a", &[], small);
    until("it controls", || (site.set_point() > 50_000).then_some(()));
    let before = in_effect(&daemon);
    site.change(&[LOWER]);
    daemon.signal("HUP");
    let refused = daemon.says("is refused, and nothing changes");
    assert!(
        refused.contains("commerce/a would begin anew from its log, which is not kept: the disk is"),
        "{refused}"
    );
    assert_eq!(in_effect(&daemon), before);
    assert_eq!(daemon.json(&["status"])["grids"][0]["epoch"], "1.0", "it goes on");
}
