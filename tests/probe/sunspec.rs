//! Devices that say themselves where their numbers lie.

use std::path::PathBuf;

use serde_json::Value;

use crate::modbus::Served;
use crate::{at, edited, of, probed};

fn served() -> Served {
    let latencies =
        ["pcc", "pv", "bess"].map(|device| format!("links.\"commerce/{device}\".latency=\"1 ms\""));
    let more: Vec<&str> = latencies.iter().flat_map(|latency| ["--set", latency]).collect();
    Served::start("scenarios/sunspec_older.ron", &more)
}

/// The site of these devices, with so much said otherwise.
fn site(name: &str, served: &Served, edits: &[(&str, &str)]) -> PathBuf {
    let (pcc, bess) = of(served);
    let slow = |address: &str| format!("\"{address}\", latency: \"4 s\", timeout: \"5 s\",");
    // However busy this machine is: a latency that nobody exceeds, and heartbeats that fit to it.
    let all = [
        ("\"127.0.0.1:15020\",", &*slow(pcc)),
        ("\"127.0.0.1:15021\",", &slow(bess)),
        ("\"127.0.0.1:15021\",", &slow(bess)),
        ("heartbeat: \"20 s\"", "heartbeat: \"5 min\""),
        ("rating: \"400 kW\"", "rating: \"400 kW\", max_age: \"5 min\""),
        ("rating: \"600 kW\"", "rating: \"600 kW\", max_age: \"5 min\""),
        ("rating: \"100 kW\"", "rating: \"100 kW\", max_age: \"5 min\""),
    ];
    edited(name, "commerce_sunspec_older", &[&all, edits].concat())
}

#[test]
fn what_devices_say_of_themselves_is_read_as_their_controllers_will() {
    let served = served();
    let (code, probed) = probed(&site("probe_sunspec.ron", &served, &[]), &[]);
    assert_eq!((code, probed["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{probed:#}");
    let value = |device: usize, point: usize| probed["devices"][device]["points"][point]["value"].as_f64();
    assert!(value(0, 0).is_some_and(|fed_in| (-230e3..-200e3).contains(&fed_in)), "{probed:#}");
    assert!(value(1, 0).is_some_and(|made| (355e3..370e3).contains(&made)), "{probed:#}");
    assert_eq!([1, 2, 3].map(|point| value(2, point).map(f64::round)), [Some(0.0), Some(100e3), Some(100e3)]);
    let set_point = &probed["devices"][1]["points"][1];
    assert_eq!((&set_point["quality"], &set_point["value"]), (&"not in force".into(), &600e3.into()));
    assert_eq!(probed["devices"][2]["sunspec"]["models"].as_array().map(Vec::len), Some(4), "{probed:#}");
}

#[test]
fn what_a_device_has_not_is_named_where_the_file_says_sunspec() {
    let served = served();
    let cases = [
        ("(models: [213])", "(models: [203])", "pcc.link.sunspec", "no model has its `p`", Some(1)),
        (
            "[103, 120, 121, 123]",
            "[103, 702, 704]",
            "pv.link.sunspec",
            "no model takes its set-point",
            Some(1),
        ),
        (
            "[103, 124, 802]",
            "[103, 704, 802, 715]",
            "bess.link.sunspec",
            "no model takes its set-point",
            Some(1),
        ),
        ("rating: \"600 kW\"", "rating: \"700 kW\"", "pv.rating", "set-points are shares", Some(0)),
    ];
    for (old, new, field, words, code) in cases {
        let (found, probed) = probed(&site("probe_sunspec_misses.ron", &served, &[(old, new)]), &[]);
        let finding = at(&probed, field).unwrap_or(&Value::Null);
        assert!(finding["found"].as_str().is_some_and(|found| found.contains(words)), "{new}: {probed:#}");
        assert_eq!(found, code, "{new}: {probed:#}");
    }
}
