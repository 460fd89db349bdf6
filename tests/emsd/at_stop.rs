//! `at_stop`: with what a real device is left when its controller ends in order and nobody goes on.

use super::daemon::{emsctl, text, until};
use super::production::Site;

/// So often is looked without a pause.
const LOOKS: u32 = 10_000_000;

#[test]
fn a_device_is_left_as_the_site_says_whenever_sigterm_comes() {
    let changes = [
        ("scan: \"1 s\"", "scan: \"200 ms\""),
        ("rating: \"250 kW\"", "rating: \"250 kW\", at_stop: \"0 W\""),
    ];
    let site = Site::new("at_stop", "commerce_modbus.ron", &changes);
    let shaves = || until("the peak is shaved", || (site.set_point() > 50_000).then_some(()));
    let daemon = site.start("a", &[]);
    shaves();
    daemon.signal("KILL");
    assert_eq!(daemon.ended().0, None);
    assert!(site.set_point() > 50_000, "a crash leaves it as it was");
    // The next life begins, and has not begun to run.
    let ends = |daemon: &super::daemon::Daemon, when: &str| {
        daemon.signal("TERM");
        let (code, said) = daemon.ended();
        assert_eq!((code, site.set_point()), (Some(0), 0), "{when}: {said}");
    };
    ends(&site.start("a", &[]), "at the begin");
    let daemon = site.start("a", &[]);
    shaves();
    site.change(&[("limit: \"220 kW\"", "limit: \"190 kW\"")]);
    let segments = || site.segments("a", "commerce/a").len();
    let before = segments();
    daemon.signal("HUP");
    // Its life is over once its last state is there, and the next one has much to wait for before it boots.
    assert!((0..LOOKS).any(|_look| segments() > before), "it does not begin anew");
    ends(&daemon, "while it begins anew");
    let daemon = site.start("a", &[]);
    shaves();
    ends(&daemon, "while it runs");
    for segment in site.segments("a", "commerce/a") {
        let replayed = emsctl(&["replay", &segment]);
        assert!(
            text(&replayed.stdout).contains("replayed bit for bit"),
            "{segment}: {}",
            text(&replayed.stdout)
        );
    }
}
