//! Looks at devices on a serial line, which is a pseudo-terminal here: `r-emsctl device` answers at its far end.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;

use serde_json::Value;

use crate::modbus::Served;
use crate::writes::NOBODY;
use crate::{at, edited, probed, run};

/// A shop that draws much, its battery at rest.
const EVENING: [&str; 2] = ["--set", "start=\"2016-03-09 17:30\""];

/// The site on this line, with so much said otherwise.
fn site(name: &str, line: &str, edits: &[(&str, &str)]) -> PathBuf {
    // However busy this machine is.
    let slow = ("timeout: \"200 ms\"", "latency: \"1500 ms\", timeout: \"2 s\"");
    let all = [
        ("/dev/ttyUSB0", line),
        ("/dev/ttyUSB0", line),
        slow,
        slow,
        ("rating: \"400 kW\"", "rating: \"400 kW\", max_age: \"1 min\""),
        ("rating: \"250 kW\"", "rating: \"250 kW\", max_age: \"1 min\""),
    ];
    edited(name, "commerce_serial", &[&all, edits].concat())
}

#[test]
fn devices_on_a_serial_line_are_looked_at_as_others() {
    let served = Served::start("scenarios/peak_shaving_serial.ron", &EVENING);
    let line = &served.devices[0].1;
    let (code, told) = probed(&site("probe_serial.ron", line, &[]), &NOBODY);
    assert_eq!((code, told["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{told:#}");
    let [pcc, bess] = &told["devices"].as_array().expect("a list")[..] else { panic!("two devices") };
    assert_eq!((&pcc["address"], &bess["address"]), (&line.as_str().into(), &line.as_str().into()));
    assert_eq!((&pcc["round_trips"]["lost"], &bess["points"][1]["quality"]), (&0.into(), &"good".into()));
    // Eight bytes there and nine back, 11 bits each.
    let half = pcc["round_trips"]["p50_s"].as_f64().expect("it was measured");
    assert!(half >= 17.0 * 11.0 / 9_600.0, "{half} s");
    assert!(bess["identity"]["refused"].as_str().is_some_and(|why| why.contains("illegal function")));
}

#[test]
fn a_mistake_on_a_serial_line_is_named_at_its_place() {
    let served = Served::start("scenarios/peak_shaving_serial.ron", &EVENING);
    let line = &served.devices[0].1;
    let mistakes = [
        ("unit: 3", "unit: 9", "bess.link.unit", "unit 3 answers there"),
        (
            "scale: \"0.1 %\"",
            "scale: \"1 %\"",
            "bess.link.points.soc.scale",
            "with scale: \"0.1 %\" it would be",
        ),
    ];
    for (old, new, field, words) in mistakes {
        let (code, told) = probed(&site("probe_serial_mistake.ron", line, &[(old, new)]), &NOBODY);
        let finding = at(&told, field).unwrap_or_else(|| panic!("{new}: {told:#}"));
        assert!(finding.to_string().replace('\\', "").contains(words), "{new}: {finding:#}");
        assert_eq!((code, told["findings"].as_array().map(Vec::len)), (Some(1), Some(1)), "{new}: {told:#}");
    }
}

#[test]
fn a_port_that_cannot_be_opened_is_told_with_the_reason() {
    let (code, told) = probed(&site("probe_no_port.ron", "/dev/ttyNowhere", &[]), &NOBODY);
    assert_eq!(code, Some(1), "{told:#}");
    let finding = at(&told, "bess.link.serial").unwrap_or_else(|| panic!("{told:#}")).to_string();
    for words in ["the port cannot be opened: No such file", "is the adapter plugged in"] {
        assert!(finding.contains(words), "{finding}");
    }
    assert_eq!(told["devices"][0]["connect_s"], Value::Null);
}

#[test]
fn whoever_only_looks_takes_the_line_of_no_daemon() {
    let socket = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("probe_line.sock");
    let _gone = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).expect("a place for it");
    thread::spawn(move || listener.incoming().for_each(drop));
    let socket = socket.to_string_lossy().into_owned();
    let site = site("probe_line.ron", "/dev/ttyNowhere", &[]);
    let output = run(&site, &["--socket", &socket, "--state", "/nowhere"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("would lose /dev/ttyNowhere, the line of commerce/pcc"), "{errors}");
}
