//! Looks at devices that `r-emsctl device` serves: what is right agrees, and each planted mistake is named.

use std::path::Path;

use serde_json::Value;

use crate::modbus::Served;
use crate::{at, gateway, of, probed, run, served, site};

#[test]
fn a_map_that_is_right_agrees_and_what_was_measured_is_told() {
    let served = served();
    let site = site("probe_right.ron", of(&served), &[]);
    let (code, probed) = probed(&site, &[]);
    assert_eq!((code, &probed["ok"]), (Some(0), &Value::Bool(true)), "{probed:#}");
    assert_eq!(probed["findings"].as_array().map(Vec::len), Some(0), "{probed:#}");
    let [pcc, bess] = &probed["devices"].as_array().expect("a list")[..] else { panic!("two devices") };
    let drawn = f64::from(f32::from_be_bytes(served.connect("commerce/pcc").two(4, 52)));
    let told = pcc["points"][0]["value"].as_f64().expect("a number");
    assert!((told - drawn).abs() < drawn / 10.0, "{told} W, and a client reads {drawn} W");
    assert_eq!(pcc["round_trips"]["asked"], 50);
    assert!(bess["identity"]["refused"].as_str().is_some_and(|why| why.contains("illegal function")));
    assert!(bess["sunspec"].is_null());
    let charge = &bess["points"][1];
    assert_eq!(
        (&charge["point"], &charge["unit"], &charge["quality"]),
        (&"soc".into(), &"1".into(), &"good".into())
    );
    let words = charge["words"][0].as_str().and_then(|word| u16::from_str_radix(word, 16).ok());
    let shown = charge["value"].as_f64().expect("a number");
    assert!(words.is_some_and(|raw| (f64::from(raw) / 1e3 - shown).abs() < 1e-9), "{charge}");
    let known = probed["signs"][0]["known"].to_string();
    assert!(known.contains("pcc counts import as the file says"), "{known}");
    let unknown = probed["signs"][0]["unknown"].to_string();
    assert!(unknown.contains("bess counts discharge as the file says: 0 W is too little"), "{unknown}");
}

#[test]
fn each_planted_mistake_is_named_at_its_place() {
    let served = served();
    let mistakes: [(&str, &str, &str, &str); 8] = [
        (
            "scale: \"0.1 %\"",
            "scale: \"1 %\"",
            "bess.link.points.soc.scale",
            "with scale: \"0.1 %\" it would be",
        ),
        (
            "number: F32",
            "number: F32, order: LowFirst",
            "pcc.link.points.p.order",
            "with order: HighFirst it would be",
        ),
        ("positive: Import", "positive: Export", "pcc.link.positive", "pcc counts the other way"),
        ("unit: 3", "unit: 9", "bess.link.unit", "unit 3 answers there"),
        ("address: 100, ", "address: 99, ", "bess.link.points.p", "Holding(address: 100) answers"),
        (
            "Holding(address: 102",
            "Input(address: 102",
            "bess.link.points.soc",
            "Holding(address: 102) answers",
        ),
        ("address: 103", "address: 150", "bess.link.points.discharge_limit", "exception 2"),
        (
            "address: 104, number: U16, scale: \"10 W\"",
            "address: 104, number: U16, scale: \"1 W\"",
            "charge_limit.scale",
            "wrong by 10",
        ),
    ];
    for (old, new, field, words) in mistakes {
        let site = site("probe_mistake.ron", of(&served), &[(old, new)]);
        let (code, probed) = probed(&site, &[]);
        let finding = at(&probed, field).unwrap_or_else(|| panic!("{new}: {probed:#}"));
        assert!(finding.to_string().replace('\\', "").contains(words), "{new}: {finding:#}");
        let is_error = finding["severity"] == "error";
        assert_eq!(code, Some(i32::from(is_error)), "{new}: {probed:#}");
        let line = finding["line"].as_u64().expect("it has a place") as usize;
        let text = std::fs::read_to_string(&site).expect("it was just written");
        let shown = text.lines().nth(line - 1).expect("the file has that line");
        assert!(shown.contains(new.split(',').next().unwrap_or(new)), "{new}: line {line} is {shown}");
        let count = probed["findings"].as_array().map(Vec::len);
        assert_eq!(count, Some(1), "{new}: nothing else is wrong: {probed:#}");
    }
}

#[test]
fn answers_that_take_longer_than_the_file_says_are_told() {
    let served = Served::start(
        "scenarios/peak_shaving_wire.ron",
        &["--set", "links.\"commerce/pcc\".latency=\"50 ms\""],
    );
    for (latency, is_far) in [("20 ms", true), ("45 ms", false)] {
        let new = format!("latency: \"{latency}\"");
        let site = site("probe_late.ron", of(&served), &[("latency: \"4 s\"", &new)]);
        let (found, probed) = probed(&site, &["--device", "pcc"]);
        let finding = at(&probed, "pcc.link.latency").unwrap_or_else(|| panic!("{probed:#}"));
        // What this machine adds may make half of the answers as late as twice what the file says, and never less.
        if is_far {
            assert_eq!((&finding["severity"], found), (&"error".into(), Some(1)), "{probed:#}");
        }
        assert!(probed["devices"][0]["round_trips"]["p50_s"].as_f64().is_some_and(|half| half >= 0.05));
    }
}

#[test]
fn a_person_reads_what_is_wrong_at_a_glance() {
    let served = served();
    let site = site("probe_page.ron", of(&served), &[("scale: \"0.1 %\"", "scale: \"1 %\"")]);
    let output = run(&site, &[]);
    assert_eq!(output.status.code(), Some(1));
    let page = String::from_utf8_lossy(&output.stdout);
    for words in
        ["✓ commerce/pcc  Meter at", "✗ commerce/bess  Battery at", "soc", "Holding 102", "1 thing disagrees"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(page.contains("probe_page.ron:26:"), "{page}");
}

#[test]
fn what_cannot_be_asked_is_refused_with_what_there_is() {
    let served = served();
    let site = site("probe_refused.ron", of(&served), &[]);
    for (arguments, code, words) in
        [(["--device", "boiler"], 2, "commerce/pcc, commerce/bess"), (["--host", "z"], 2, "has the hosts a")]
    {
        let output = run(&site, &arguments);
        assert_eq!(output.status.code(), Some(code));
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(words), "{errors}");
    }
    let wrong = Path::new("scenarios/peak_shaving.ron");
    assert_eq!(run(wrong, &[]).status.code(), Some(5));
}

#[test]
fn a_device_that_ends_each_connection_after_an_answer_is_named() {
    let served = served();
    let (pcc, bess) = of(&served);
    let site = site("probe_curt.ron", (pcc, &gateway::before(bess)), &[]);
    let (code, probed) = probed(&site, &[]);
    assert_eq!(code, Some(0), "it can be controlled: {probed:#}");
    let finding = at(&probed, "bess.link.address").unwrap_or_else(|| panic!("{probed:#}"));
    assert_eq!(finding["severity"], "warning", "{finding:#}");
    assert_eq!(probed["findings"].as_array().map(Vec::len), Some(1), "all is read: {probed:#}");
    assert_eq!(probed["devices"][1]["round_trips"]["lost"], 0);
}
