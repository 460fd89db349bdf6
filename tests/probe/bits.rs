//! A battery that says by bits what it can do: what a look shows of them, and what is not as the file says.

use std::path::PathBuf;

use serde_json::Value;

use crate::modbus::Served;
use crate::{at, edited, of, probed};

fn served() -> Served {
    let latencies = ["links.\"commerce/pcc\".latency=\"1 ms\"", "links.\"commerce/bess\".latency=\"1 ms\""];
    Served::start("scenarios/battery_bits.ron", &["--set", latencies[0], "--set", latencies[1]])
}

fn site(name: &str, served: &Served, edits: &[(&str, &str)]) -> PathBuf {
    let (pcc, bess) = of(served);
    // However busy this machine is.
    let slow = [
        ("\"127.0.0.1:15020\",", &*format!("\"{pcc}\", latency: \"4 s\", timeout: \"5 s\",")),
        ("\"127.0.0.1:15021\",", &format!("\"{bess}\", latency: \"4 s\", timeout: \"5 s\",")),
        ("rating: \"400 kW\"", "rating: \"400 kW\", max_age: \"1 min\""),
        ("rating: \"250 kW\"", "rating: \"250 kW\", max_age: \"1 min\""),
        ("timeout: \"10 s\", address: 1", "timeout: \"1 min\", address: 1"),
    ];
    edited(name, "commerce_bits", &[&slow, edits].concat())
}

fn point<'p>(probed: &'p Value, name: &str) -> &'p Value {
    let points = probed["devices"][1]["points"].as_array().expect("a list");
    points.iter().find(|point| point["point"] == name).expect("each point is told")
}

#[test]
fn bits_are_shown_with_what_they_must_be() {
    let served = served();
    let (code, probed) = probed(&site("probe_bits.ron", &served, &[]), &[]);
    assert_eq!((code, &probed["ok"]), (Some(0), &Value::Bool(true)), "{probed:#}");
    let bits = probed["devices"][1]["bits"].as_array().expect("a list");
    let told: Vec<String> = bits
        .iter()
        .map(|bit| format!("{} {} {} is {}", bit["point"], bit["table"], bit["address"], bit["reads"]))
        .collect();
    assert_eq!(
        told,
        [
            "\"set_point\" \"Coil\" 0 is 0",
            "\"discharge_limit\" \"Discrete\" 0 is 1",
            "\"discharge_limit\" \"Discrete\" 1 is 0"
        ]
    );
    assert_eq!(point(&probed, "set_point")["quality"], "not in force");
    let limit = point(&probed, "charge_limit");
    assert_eq!((&limit["table"], &limit["value"]), (&"Discrete".into(), &250e3.into()), "{limit}");
}

#[test]
fn a_bit_that_is_not_there_and_one_that_is_the_other_way_are_named() {
    let served = served();
    let edits = [
        ("Discrete(address: 1, is: 0)", "Discrete(address: 1, is: 1)"),
        ("in_force: Coil(address: 0, is: 1)", "in_force: Discrete(address: 9, is: 1)"),
    ];
    let (code, probed) = probed(&site("probe_wrong_bits.ron", &served, &edits), &[]);
    assert_eq!(code, Some(1), "{probed:#}");
    let other = at(&probed, "bess.link.points.discharge_limit.valid_if").expect("it is noted");
    assert_eq!((&other["found"], &other["severity"]), (&"Discrete 1 is 0".into(), &"warning".into()));
    let missing = at(&probed, "bess.link.points.set_point.in_force").expect("it is noted");
    let found = missing["found"].as_str().expect("words");
    assert!(found.starts_with("exception 2") && found.ends_with("for Discrete 9"), "{found}");
}

#[test]
fn another_device_than_the_file_names_is_told_by_what_it_says_of_itself() {
    let served = served();
    let texts = |probed: &Value| {
        let texts = probed["devices"][1]["texts"].as_array().expect("a list").clone();
        texts.iter().map(|text| (text["text"].to_string(), text["reads"].to_string())).collect::<Vec<_>>()
    };
    let told = [("\"manufacturer\"", "\"Example Storage\""), ("\"serial\"", "\"BX-0417\"")];
    let told = told.map(|(text, reads)| (text.to_owned(), reads.to_owned()));
    let (code, right) = probed(&site("probe_named.ron", &served, &[]), &[]);
    assert_eq!((code, texts(&right)), (Some(0), told.to_vec()));
    let (code, other) = probed(&site("probe_other.ron", &served, &[("BX-0417", "BX-0418")]), &[]);
    assert_eq!((code, texts(&other)), (Some(1), told.to_vec()));
    let note = at(&other, "bess.link.identity.serial").expect("it is noted");
    assert_eq!((&note["found"], &note["expected"]), (&"\"BX-0417\"".into(), &"\"BX-0418\"".into()));
    let missing = site("probe_unnamed.ron", &served, &[("Input(address: 108", "Input(address: 120")]);
    let (code, probed) = probed(&missing, &[]);
    assert_eq!(code, Some(1));
    let note = at(&probed, "bess.link.identity.serial").expect("it is noted");
    assert!(note["found"].as_str().is_some_and(|found| found.starts_with("exception 2")), "{note}");
}
