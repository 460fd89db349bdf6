//! What a host does not hear of others it does not state as fact.

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
fn of_an_owner_who_is_gone_it_is_not_said_that_nobody_is_active() {
    let site = pair("unheard");
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
        assert_eq!(member["name"], name, "{member}");
        let page = text(&daemon.emsctl(&["status"]).stdout);
        let told = format!("{name} on host {of} has another redundancy section");
        assert!(page.contains(&told) && !page.contains("is not heard"), "{told}: {page}");
    }
    let said = refused(&other, &["switchover", "commerce"]);
    assert!(said.contains("a on host a has another redundancy section"), "{said}");
}
