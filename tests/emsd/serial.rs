//! A site on a serial line. The line is a pseudo-terminal, so no port and no privileges are needed: `r-emsctl device` answers at
//! its far end in Modbus RTU.

use super::daemon::{Daemon, until};
use super::modbus::Served;
use super::production::Site;

/// What may be drawn, and how near it the peak must be shaved, in W.
const LIMIT_W: f64 = 150e3;
const NEAR_W: f64 = 2e3;

/// A site on a line.
fn site(name: &str, line: &str) -> Site {
    let limit = "limit: \"150 kW\", recharge: \"100 kW\"";
    let changes = [("/dev/ttyUSB0", line), ("limit: \"220 kW\", recharge: \"170 kW\"", limit)];
    Site::alone(name, "commerce_serial.ron", &changes)
}

fn devices(daemon: &Daemon) -> serde_json::Value {
    daemon.json(&["status"])["grids"][0]["devices"].clone()
}

#[test]
fn a_serial_line_is_shaved_over_by_who_has_it_and_stale_when_it_is_gone() {
    let served = Served::start("scenarios/peak_shaving_serial.ron", &["--set", "start=\"2016-03-09 17:30\""]);
    let line = served.devices[0].1.clone();
    assert!(served.devices.iter().all(|device| device.1 == line), "both are on it: {:?}", served.devices);
    let first = site("serial", &line);
    let daemon = first.start("a", &[]);
    let shaved = || {
        let devices = devices(&daemon);
        let is_near = |power_w: f64| (power_w - LIMIT_W).abs() < NEAR_W;
        let is_shaved = devices[0]["power_w"].as_f64().is_some_and(is_near);
        (is_shaved && devices[1]["write"] == "acknowledged").then_some(devices)
    };
    let known = until("the peak is shaved over a serial line", shaved);
    assert_eq!((&known[0]["quality"], &known[1]["quality"]), (&"good".into(), &"good".into()), "{known}");
    // Another process does not get it, and the first one does not notice.
    let second = site("serial_second", &line);
    let other = second.start("a", &[]);
    let scans = || daemon.json(&["status"])["grids"][0]["controllers"][0]["scans"].as_u64().expect("a count");
    let before = scans();
    until("some scans have passed", || (scans() >= before + 5).then_some(()));
    let found = devices(&other);
    assert_ne!(found[0]["quality"], "good", "{found}");
    other.signal("TERM");
    assert_eq!(other.ended().0, Some(0));
    until("it is shaved still", shaved);
    drop(served);
    until("what is unplugged is stale", || (devices(&daemon)[0]["quality"] == "stale").then_some(()));
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    first.replay("a", "commerce/a", &[false, false]);
}
