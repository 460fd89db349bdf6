//! `r-emsd --mode hybrid`: the meter is real, the battery is not, and everybody is told.

use super::daemon::{Daemon, emsctl, file, text, until};
use super::production::{EVENING, SCENARIO, Site};

#[test]
fn a_simulated_battery_follows_what_a_real_meter_measures_and_everybody_is_told() {
    let site = Site::new("hybrid", "commerce_modbus.ron", &[("scan: \"1 s\"", "scan: \"50 ms\"")]);
    let state = site.state("a");
    let arguments = [
        "--mode",
        "hybrid",
        &site.path,
        "--state",
        &state,
        "--simulate",
        "commerce/bess",
        "--plant",
        SCENARIO,
    ];
    let daemon = Daemon::start("hybrid", &[&arguments[..], &EVENING].concat());
    let status = until("the battery discharges", || {
        let status = daemon.json(&["status"]);
        (status["grids"][0]["devices"][1]["power_w"].as_f64()? > 50_000.0).then_some(status)
    });
    let power_w = status["grids"][0]["devices"][1]["power_w"].as_f64().expect("it was measured");
    assert!(power_w <= 250e3 * 1.01, "it is driven to its rating at the most: {power_w} W");
    assert_eq!(site.set_point(), 0, "nothing was written to the one that is real");
    assert_eq!(status["mode"], "hybrid", "{status}");
    let devices = &status["grids"][0]["devices"];
    let is_simulated = [&devices[0], &devices[1]].map(|device| device["is_simulated"] == true);
    assert_eq!(is_simulated, [false, true], "{status}");
    let page = text(&daemon.emsctl(&["status"]).stdout);
    assert!(page.contains("bess is SIMULATED") && page.contains("bess (simulated)"), "{page}");
    let (_status, metrics) = daemon.ask("GET", "/metrics", "");
    assert!(metrics.contains("r_ems_device_simulated{grid=\"commerce\",device=\"bess\"} 1"), "{metrics}");
    daemon.signal("TERM");
    let (code, said) = daemon.ended();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("commerce/bess is SIMULATED") && !said.contains("commerce/pcc is SIMULATED"),
        "{said}"
    );
    site.replay("a", "commerce/a", &[false, false]);
    let shown = emsctl(&["show", &site.segments("a", "commerce/a")[0], "--to", "+0 s"]);
    assert!(text(&shown.stdout).contains("simulated: commerce/bess"), "{}", text(&shown.stdout));
    let taken = super::emsd(&[
        "--mode",
        "production",
        &site.path,
        "--state",
        &state,
        "--socket",
        &file("trial.sock"),
    ]);
    let said = text(&taken.stderr);
    let why = "is of a run with other devices (simulated: commerce/bess) than this one (all real)";
    assert!(said.contains(why) && taken.status.code() == Some(1), "{said}");
}

#[test]
fn what_cannot_be_simulated_alone_or_is_not_there_is_refused() {
    let site = Site::new("hybrid_refused", "commerce_modbus.ron", &[]);
    let behind_one = std::fs::read_to_string(&site.path).expect("it was written");
    let (meter, battery) = (address(&behind_one, 0), address(&behind_one, 1));
    std::fs::write(&site.path, behind_one.replace(&battery, &meter)).expect("it can be written again");
    for (simulated, more, missing) in [
        ("commerce/bes", &[][..], "it has commerce/pcc, commerce/bess"),
        ("bess", &[], "it has commerce/pcc, commerce/bess"),
        ("commerce/bess", &[], "commerce/pcc is behind the same address"),
        (
            "commerce/bess,commerce/pcc",
            &["--set", "site.grids.commerce.scan=\"2 s\""],
            "the scenario changes the site",
        ),
    ] {
        let arguments = ["--mode", "hybrid", &site.path, "--simulate", simulated, "--plant", SCENARIO];
        let refused = super::emsd(&[&arguments[..], more, &["--state", &site.state("a")]].concat());
        let said = text(&refused.stderr);
        assert!(said.contains(missing), "{simulated}: {said}");
        assert!(matches!(refused.status.code(), Some(2 | 5)), "{simulated}: {said}");
    }
}

/// The address of a device in a site file.
fn address(site: &str, place: usize) -> String {
    let found = site.split("address: \"").nth(place + 1).and_then(|rest| rest.split('"').next());
    found.expect("it has one").to_owned()
}

#[test]
fn no_real_battery_follows_a_meter_that_does_not_feel_it() {
    let site = Site::new("hybrid_open_loop", "commerce_modbus.ron", &[]);
    let arguments = ["--mode", "hybrid", &site.path, "--simulate", "commerce/pcc", "--plant", SCENARIO];
    let refused = super::emsd(&[&arguments[..], &["--state", &site.state("a")]].concat());
    let said = text(&refused.stderr);
    assert!(said.contains("simulate commerce/bess too") && refused.status.code() == Some(2), "{said}");
}
