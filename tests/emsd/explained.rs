//! `r-emsctl explain` without a log: a running daemon says why it does what it does.

use super::daemon::{Daemon, text};

#[test]
fn a_daemon_says_why_a_set_point_is_what_it_is() {
    let daemon = Daemon::start("explained", &[]);
    daemon.follow("set_points_taken_over");
    let explained = daemon.json(&["explain", "--point", "workshop/bess.set_point"]);
    let explanation = &explained["explanations"][0];
    assert_eq!(
        (&explanation["controller"], &explanation["role"], &explanation["writes"]),
        (&"workshop/a".into(), &"active".into(), &true.into()),
        "{explained}"
    );
    assert_eq!(explanation["groups"][0]["devices"][0], "bess", "{explained}");
    assert!(explained["at_s"].as_f64().is_some_and(|at_s| at_s >= 0.0), "{explained}");
    let page = daemon.emsctl(&["explain", "--point", "workshop/bess"]);
    let (page, said) = (text(&page.stdout), text(&page.stderr));
    assert!(page.contains("workshop/a active, epoch 1.0") && page.contains("  who"), "{page}{said}");
    assert!(page.contains("read back  measured") && !page.contains("later"), "nobody knows that yet: {page}");
}

#[test]
fn what_is_no_device_that_takes_set_points_is_refused_by_a_daemon_as_by_a_log() {
    let daemon = Daemon::start("explained_not", &[]);
    daemon.follow("set_points_taken_over");
    for (point, expected) in [
        ("bess", "expected grid/device or grid/device.point"),
        ("mill/bess", "there is no grid 'mill'; there is workshop"),
        ("workshop/b?s&point=é %", "there is no device b?s&point=é %; known here: pcc, bess"),
        ("workshop/bess.color", "bess has no such point; it has "),
        ("workshop/pcc.p", "pcc is only measured"),
    ] {
        let refused = daemon.emsctl(&["explain", "--point", point]);
        let said = text(&refused.stderr);
        assert!(refused.status.code() == Some(1) && said.contains(expected), "{point}: {said}");
    }
}
