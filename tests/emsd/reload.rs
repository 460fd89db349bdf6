//! SIGHUP: what may change of a site file does, the rest is refused, and each part of the log replays by itself.

use std::fs;

use super::daemon::{Daemon, until};
use super::production::Site;

#[test]
fn a_limit_changes_while_it_runs_and_what_may_not_change_is_refused() {
    let site = Site::new("reload", "commerce_modbus.ron", &[("scan: \"1 s\"", "scan: \"50 ms\"")]);
    let started = fs::read_to_string(&site.path).expect("it was written");
    let daemon = site.start("a", &[]);
    until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    let limit = |daemon: &Daemon| daemon.json(&["status"])["grids"][0]["limit_w"].as_f64();
    assert_eq!(limit(&daemon), Some(220e3));
    let lower = started.replace("limit: \"220 kW\"", "limit: \"190 kW\"");
    fs::write(&site.path, &lower).expect("it can be written");
    daemon.signal("HUP");
    until("more is shaved", || (site.set_point() > 130_000).then_some(()));
    assert_eq!(limit(&daemon), Some(190e3));
    let in_effect = || daemon.json(&["config"])["site"]["text"].as_str().map(str::to_owned);
    assert_eq!(in_effect().as_deref(), Some(lower.as_str()));
    let begun = daemon.says("memory_carried");
    assert!(begun.contains("is in effect; controllers that it changes begin anew"), "{begun}");
    for (wrong, why) in [
        (lower.replace("50 ms", "60 ms"), r#"\"50 ms\" is in effect, got \"60 ms\""#),
        (lower.replace("190 kW", "190 kV"), "190 kV"),
        (lower.replace("Site(", "Sight("), "Sight"),
    ] {
        fs::write(&site.path, wrong).expect("it can be written");
        daemon.signal("HUP");
        let refused = daemon.says("is refused, and nothing changes");
        assert!(refused.contains(why), "{why}: {refused}");
    }
    assert_eq!(in_effect().as_deref(), Some(lower.as_str()));
    let epoch = daemon.json(&["status"])["grids"][0]["epoch"].clone();
    assert_eq!(epoch, "2.0", "it began anew once");
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    // Each life closed its log and left one with its last state.
    site.replay("a", "commerce/a", &[false; 4]);
    let segments = site.segments("a", "commerce/a");
    for (segment, is_new) in [(&segments[0], false), (&segments[2], true)] {
        let log = fs::read(segment).expect("it can be read");
        let says = |text: &str| log.windows(text.len()).any(|bytes| bytes == text.as_bytes());
        assert_eq!((says("190 kW"), says("220 kW")), (is_new, !is_new), "{segment}");
    }
}
