//! `r-emsctl probe` as who commissions a site meets it: against devices that `r-emsctl device` serves, with maps that are right
//! and with planted mistakes, and against servers that are no good.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "it is the site on the other side of the program's sockets"
)]

mod batteries;
mod bits;
#[path = "../modbus/curt.rs"]
mod gateway;
mod looks;
#[path = "../modbus/mod.rs"]
mod modbus;
mod serial;
mod strangers;
mod sunspec;
mod writes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use serde_json::Value;

use self::modbus::Served;

/// No probe of two devices lasts longer, whatever they do.
const BOUND: Duration = Duration::from_secs(120);
/// A shop that draws much, its battery at rest.
const EVENING: [&str; 6] = [
    "--set",
    "start=\"2016-03-09 17:30\"",
    "--set",
    "links.\"commerce/pcc\".latency=\"1 ms\"",
    "--set",
    "links.\"commerce/bess\".latency=\"1 ms\"",
];

fn served() -> Served {
    Served::start("scenarios/peak_shaving_wire.ron", &EVENING)
}

/// The site of the shop, with devices at these addresses, and with so much said otherwise.
fn site(name: &str, (pcc, bess): (&str, &str), edits: &[(&str, &str)]) -> PathBuf {
    // However busy this machine is: a latency that nobody exceeds, but where a test says otherwise.
    let slow = [
        ("\"127.0.0.1:15020\",", &*format!("\"{pcc}\", latency: \"4 s\", timeout: \"5 s\",")),
        ("\"127.0.0.1:15021\",", &format!("\"{bess}\", latency: \"4 s\", timeout: \"5 s\",")),
        ("rating: \"400 kW\"", "rating: \"400 kW\", max_age: \"1 min\""),
        ("rating: \"250 kW\"", "rating: \"250 kW\", max_age: \"1 min\""),
    ];
    edited(name, "commerce_modbus", &[&slow, edits].concat())
}

/// A shipped site with so much said otherwise, each once, as a file of this name.
fn edited(name: &str, shipped: &str, edits: &[(&str, &str)]) -> PathBuf {
    let path = format!("{}/scenarios/sites/{shipped}.ron", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).expect("it is shipped");
    for (old, new) in edits {
        assert!(text.contains(old), "the site says {old}");
        text = text.replacen(old, new, 1);
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).expect("a test may write its own files");
    path
}

fn of(served: &Served) -> (&str, &str) {
    let address = |name: &str| {
        let found = served.devices.iter().find(|device| device.0 == name);
        found.expect("it is served").1.as_str()
    };
    (address("commerce/pcc"), address("commerce/bess"))
}

fn run(site: &Path, more: &[&str]) -> Output {
    let began = Instant::now();
    let output = Command::new(cargo_bin!("r-emsctl"))
        .arg("probe")
        .arg(site)
        .args(more)
        .output()
        .expect("the program runs");
    assert!(began.elapsed() < BOUND, "it took {:?}", began.elapsed());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

fn json(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn probed(site: &Path, more: &[&str]) -> (Option<i32>, Value) {
    let output = run(site, &[more, &["--format", "json"]].concat());
    (output.status.code(), json(&output))
}

/// The finding at a field, if there is one.
fn at<'v>(probed: &'v Value, field: &str) -> Option<&'v Value> {
    let findings = probed["findings"].as_array().expect("a list");
    findings.iter().find(|finding| finding["field"].as_str().is_some_and(|found| found.ends_with(field)))
}
