//! Nobody reads what the daemon says: it goes on, and ends when it is told to.

use super::daemon::Daemon;

/// It answers, moves authority, and ends in order.
fn goes_on_and_ends(daemon: &Daemon) {
    assert_eq!(daemon.json(&["switchover", "workshop"])["outcome"], "done");
    daemon.json(&["status"]);
    daemon.signal("TERM");
    assert_eq!(daemon.ended_unread(), Some(0));
}

#[test]
fn a_daemon_whose_standard_error_was_closed_goes_on_and_ends_in_order() {
    let daemon = Daemon::start("closed", &[]);
    daemon.follow("set_points_taken_over");
    daemon.stop_reading();
    goes_on_and_ends(&daemon);
}

#[test]
fn a_daemon_whose_standard_error_is_full_goes_on_and_ends_in_order() {
    let daemon = Daemon::start("full", &[]);
    daemon.follow("set_points_taken_over");
    // Each is told in a line that holds it; together they are more than a pipe takes.
    let far = format!(r#"{{"grid":"{}"}}"#, "x".repeat(8_000));
    for _ in 0..30 {
        assert_eq!(daemon.ask("POST", "/v1/switchover", &far).0, 404);
    }
    goes_on_and_ends(&daemon);
}
