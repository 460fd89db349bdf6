//! The log of a daemon: what is on the disk when it is killed, when the disk takes no more, and when there is one already.

use std::fs;

use serde_json::Value;

use super::daemon::{Daemon, emsctl, file, text, until};

/// Waits until the log on the disk shows something.
fn until_kept(log: &str, wanted: &str) {
    until(&format!("{wanted} stands in {log}"), || {
        text(&emsctl(&["show", log]).stdout).contains(wanted).then_some(())
    });
}

/// What a replay says of a log that is cut off.
fn replayed_as_far_as_it_goes(log: &str) -> Value {
    let replayed = emsctl(&["replay", log]);
    assert_eq!(replayed.status.code(), Some(1), "{}", text(&replayed.stderr));
    let said = text(&replayed.stdout);
    assert!(said.starts_with("torn: ") && said.contains("what is there replayed bit for bit"), "{said}");
    let replayed = emsctl(&["replay", log, "--torn", "--format", "json"]);
    assert_eq!(replayed.status.code(), Some(0));
    let replayed: Value = serde_json::from_slice(&replayed.stdout).expect("JSON");
    assert_eq!((&replayed["end"], &replayed["divergence"]), (&"torn".into(), &Value::Null));
    replayed
}

#[test]
fn what_a_killed_daemon_had_recorded_is_on_the_disk_and_replays() {
    let log = file("killed.rlog");
    let daemon = Daemon::start("killed_log", &["--record", &log]);
    daemon.follow("set_points_taken_over");
    daemon.json(&["switchover", "workshop"]);
    until_kept(&log, "switch over");
    daemon.signal("KILL");
    assert_eq!(daemon.ended().0, None);
    let replayed = replayed_as_far_as_it_goes(&log);
    assert!(replayed["deliveries"].as_u64() > Some(0), "{replayed}");
}

#[test]
fn what_happens_reaches_the_disk_without_anybody_asking_for_anything() {
    let log = file("by_itself.rlog");
    let daemon = Daemon::start("by_itself", &["--record", &log]);
    until_kept(&log, "started 200 ms after boot");
    let status = daemon.json(&["status"]);
    assert_eq!((&status["log"]["path"], &status["log"]["cut"]), (&log.as_str().into(), &Value::Null));
    assert!(status["log"]["bytes"].as_u64() > Some(0), "{status}");
}

#[test]
fn a_disk_that_takes_no_more_ends_the_log_and_not_the_run() {
    let log = file("small.rlog");
    let daemon = Daemon::start_with_small_files("small_log", 24, &["--record", &log]);
    daemon.follow("set_points_taken_over");
    let cut = until("the log is cut", || daemon.json(&["status"])["log"]["cut"].as_str().map(str::to_owned));
    assert!(cut.contains("File too large"), "{cut}");
    let (_status, metrics) = daemon.ask("GET", "/metrics", "");
    assert!(metrics.contains("r_ems_log_cut 1\n"), "{metrics}");
    assert_eq!(daemon.json(&["switchover", "workshop"])["outcome"], "done", "the run goes on");
    let page = text(&daemon.emsctl(&["status"]).stdout);
    assert!(page.contains("ended before the run: File too large"), "{page}");
    let bytes = daemon.json(&["status"])["log"]["bytes"].as_u64();
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(1), "a log that was asked for is not whole: {said}");
    assert!(said.contains("stopped in order") && said.contains("the log ends before the run"), "{said}");
    assert_eq!(fs::metadata(&log).ok().map(|about| about.len()), bytes, "it ends with a whole record");
    replayed_as_far_as_it_goes(&log);
}

#[test]
fn a_log_that_is_there_is_never_written_over() {
    let log = file("there.rlog");
    fs::write(&log, "of the run that died").expect("a file can be written");
    let refused = super::emsd(&["--record", &log, "--socket", &file("there.sock")]);
    assert_eq!(refused.status.code(), Some(2));
    let said = text(&refused.stderr);
    assert!(said.contains("it holds something already") && said.contains("name another file"), "{said}");
    assert_eq!(fs::read_to_string(&log).expect("it is there"), "of the run that died");
}
