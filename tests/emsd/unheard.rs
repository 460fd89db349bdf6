//! What a host does not hear of others it does not state as fact, and what an operator knows it is told.

use serde_json::Value;

use super::daemon::{Daemon, text, until};
use super::production::Site;

/// A pair without a witness that waits for its owner, on this computer.
fn pair(name: &str) -> Site {
    let site = Site::pair(name);
    site.change(&[
        ("            witness: \"w\",\n", ""),
        ("fail_back: Manual", "on_silence: Hold, fail_back: Manual"),
    ]);
    site
}

/// A grid as a daemon knows it.
fn grid(daemon: &Daemon) -> Value {
    daemon.json(&["status"])["grids"][0].clone()
}

/// What the program says to somebody who asks in vain.
fn refused(daemon: &Daemon, arguments: &[&str]) -> String {
    let refused = daemon.emsctl(arguments);
    assert_ne!(refused.status.code(), Some(0), "{arguments:?}: {}", text(&refused.stdout));
    text(&refused.stderr)
}

#[test]
fn a_pair_that_waits_for_an_owner_who_is_gone_goes_on_by_an_operators_word() {
    let site = pair("sole");
    let key = ["--key", &site.key];
    let (owner, other) = (site.start("a", &key), site.start("b", &key));
    until("the owner writes, and the other one knows", || {
        let grid = grid(&other);
        let ready = grid["controllers"][0]["is_ready"] == true;
        (grid["active"] == "a" && ready && site.set_point() > 50_000).then_some(())
    });
    let explain = ["explain", "--point", "commerce/bess"];
    for asked in [&explain[..], &["switchover", "commerce"]] {
        let said = refused(&other, asked);
        assert!(said.contains("commerce: a is active; ask the daemon on host a"), "{said}");
    }
    owner.signal("KILL");
    assert_eq!(owner.ended().0, None);
    until("it is not heard any more", || grid(&other)["active"].is_null().then_some(()));
    let page = text(&other.emsctl(&["status"]).stdout);
    for known in [
        "no active is heard here",
        "whether somebody writes is not known",
        "commerce/a on host a is not heard",
    ] {
        assert!(page.contains(known) && !page.contains("nobody"), "{known}: {page}");
    }
    let said = refused(&other, &explain);
    assert!(
        said.contains("no active is heard here: a on host a is not heard; ask the daemons there"),
        "{said}"
    );

    let vouched = refused(&other, &["sole", "commerce/b", "on"]);
    assert!(vouched.contains("vouches that all other") && vouched.contains("--others-are-off"), "{vouched}");
    let done = other.json(&["sole", "commerce/b", "on", "--others-are-off"]);
    assert_eq!(done["outcome"], "done", "{done}");
    until("it writes", || (grid(&other)["active"] == "b").then_some(()));
    let page = text(&other.emsctl(&["status"]).stdout);
    assert!(
        page.contains("active, sole") && page.contains("commerce/b is sole: an operator vouches"),
        "{page}"
    );
    assert_eq!(other.json(&["sole", "commerce/b", "off"])["outcome"], "done");
    assert_eq!(grid(&other)["controllers"][0]["is_sole"], false);
    other.signal("TERM");
    let (_code, said) = other.ended();
    for noted in ["vouches that all others are off, and declares", "ends that"] {
        let line =
            said.lines().find(|line| line.contains(noted)).unwrap_or_else(|| panic!("{noted}: {said}"));
        assert!(line.contains("\"uid\""), "{line}");
    }
    site.replay("b", "commerce/b", &[false, false]);
    let shown = super::emsctl(&["show", &site.segments("b", "commerce/b")[0]]);
    assert!(
        text(&shown.stdout).contains("command: be the majority on its own"),
        "what an operator says is in the log"
    );
}

#[test]
fn a_host_with_another_redundancy_section_is_told_as_such_and_not_as_silent() {
    let site = pair("differing");
    let key = ["--key", &site.key];
    let owner = site.start("a", &key);
    until("it writes", || (grid(&owner)["active"] == "a").then_some(()));
    site.change(&[("lease: \"500 ms\"", "lease: \"510 ms\"")]);
    let other = site.start("b", &key);
    for (daemon, name, of) in [(&other, "commerce/a", "a"), (&owner, "commerce/b", "b")] {
        let member = until("it is heard", || {
            let found = grid(daemon)["controllers"].as_array().expect("a list")[1].clone();
            (found["role"] == "differs").then_some(found)
        });
        assert_eq!((&member["name"], &member["is_sole"]), (&name.into(), &Value::Null), "{member}");
        let page = text(&daemon.emsctl(&["status"]).stdout);
        let told = format!("{name} on host {of} has another redundancy section");
        assert!(page.contains(&told) && !page.contains("is not heard"), "{told}: {page}");
    }
    let said = refused(&other, &["switchover", "commerce"]);
    assert!(said.contains("a on host a has another redundancy section"), "{said}");
}

#[test]
fn who_is_sole_hands_over_to_nobody_and_a_lone_controller_needs_no_word() {
    let daemon = Daemon::start("sole_demo", &[]);
    daemon.follow("set_points_taken_over");
    for _ in 0..2 {
        let done = daemon.json(&["sole", "workshop/a", "on", "--others-are-off"]);
        assert_eq!(done["outcome"], "done", "{done}");
        assert_eq!(grid(&daemon)["controllers"][0]["is_sole"], true);
    }
    let said = refused(&daemon, &["switchover", "workshop"]);
    assert!(said.contains("who is sole must give that up"), "{said}");
    let said = refused(&daemon, &["sole", "workshop/w", "on", "--others-are-off"]);
    assert!(said.contains("a witness only votes"), "{said}");
    assert_eq!(daemon.json(&["sole", "workshop/a", "off"])["outcome"], "done");
    assert_eq!(daemon.json(&["switchover", "workshop"])["outcome"], "done");
}
