//! Devices that say themselves where their numbers lie.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use serde_json::Value;

use crate::modbus::Served;
use crate::strangers::server_with;
use crate::{at, edited, of, probed, run};

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

/// Inverters that hold the voltage, and their site, with the battery at another address than its own where one is given.
fn volt_var(name: &str, battery: Option<&str>) -> (Served, PathBuf) {
    let served = Served::start("scenarios/volt_var_sunspec.ron", &[]);
    let (pcc, bess) = of(&served);
    let slow = |address: &str| format!("\"{address}\", latency: \"4 s\", timeout: \"5 s\",");
    let edits = [
        ("\"127.0.0.1:15020\",", &*slow(pcc)),
        ("\"127.0.0.1:15021\",", &slow(battery.unwrap_or(bess))),
        ("\"127.0.0.1:15021\",", &slow(bess)),
        ("rating: \"400 kW\"", "rating: \"400 kW\", max_age: \"5 min\""),
        ("rating: \"250 kW\"", "rating: \"250 kW\", max_age: \"5 min\""),
        ("rating: \"900 kW\"", "rating: \"900 kW\", max_age: \"5 min\""),
    ];
    let site = edited(name, "commerce_volt_var_sunspec", &edits);
    (served, site)
}

#[test]
fn voltages_and_vars_are_read_and_what_a_device_would_do_by_itself_is_shown() {
    let (_served, site) = volt_var("probe_volt_var.ron", None);
    let (code, probed) = probed(&site, &[]);
    assert_eq!((code, probed["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{probed:#}");
    let point = |device: usize, name: &str| {
        let points = probed["devices"][device]["points"].as_array().expect("a list");
        points.iter().find(|point| point["point"] == name).expect("it has that").clone()
    };
    let voltage = point(0, "v");
    assert!(voltage["value"].as_f64().is_some_and(|found| (0.95..1.1).contains(&found)), "{voltage}");
    for device in [1, 2] {
        assert_eq!(point(device, "q")["quality"], "good", "{probed:#}");
        assert_eq!(point(device, "q_set_point")["quality"], "not in force", "{probed:#}");
    }
    let settings = probed["devices"][1]["sunspec"]["settings"].as_array().expect("a list").clone();
    let models: Vec<u64> = settings.iter().filter_map(|seen| seen["model"].as_u64()).collect();
    assert_eq!(models, [703, 705, 706, 711]);
    let is_on: Vec<Option<bool>> = settings.iter().map(|seen| seen["is_on"].as_bool()).collect();
    assert_eq!(is_on, [Some(true), Some(false), Some(false), Some(false)]);
    let page = String::from_utf8(run(&site, &[]).stdout).expect("a text");
    for words in [
        "model 703 entering service, on: lowest voltage 91.7 % of the nominal voltage; highest voltage 105 %",
        "lowest frequency 49.58 Hz; highest frequency 50.08 Hz; delay 300 s; ramp 300 s",
        "model 705 volt-var, off: response 5 s; voltage 92 98 102 108 % of the nominal voltage; \
         reactive power 44 0 0 -44 % of the most apparent power",
        "model 706 volt-watt, off: response 10 s; voltage 106 110 % of the nominal voltage; active power 100 0 %",
        "model 711 frequency droop, off: dead band above 0.036 Hz; dead band below 0.036 Hz; droop above 0.05 pu",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
}

/// Whether volt-var is on, in the battery's model 705: behind the marker, 1, 701, 702, 703 and 704.
const VOLT_VAR_ON: u16 = 40_002 + 68 + 155 + 52 + 19 + 67 + 2;

/// What a device answers to a frame, but that its volt-var is on.
fn with_volt_var(device: &str, asked: &[u8]) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(device).ok()?;
    stream.write_all(asked).ok()?;
    let mut answer = vec![0; 6];
    stream.read_exact(&mut answer).ok()?;
    answer.resize(6 + usize::from(answer[5]), 0);
    stream.read_exact(&mut answer[6..]).ok()?;
    let first = u16::from_be_bytes([asked[8], asked[9]]);
    let place = usize::from(VOLT_VAR_ON.wrapping_sub(first));
    if (asked[7], answer[7]) == (3, 3) && 2 * place + 10 < answer.len() {
        answer[2 * place + 10] = 1;
    }
    Some(answer)
}

#[test]
fn a_device_whose_own_volt_var_works_against_that_of_the_site_is_named() {
    let served = Served::start("scenarios/volt_var_sunspec.ron", &[]);
    let battery = of(&served).1.to_owned();
    let other = server_with(None, move |asked| with_volt_var(&battery, asked)).to_string();
    let (_served, site) = volt_var("probe_volt_var_on.ron", Some(&other));
    let (code, probed) = probed(&site, &[]);
    let finding = at(&probed, "bess.link").unwrap_or(&Value::Null);
    assert_eq!(finding["found"], "its own volt-var is on, model 705", "{probed:#}");
    assert!(finding["likely"].as_str().is_some_and(|likely| likely.contains("VoltVar(…)")), "{finding}");
    assert_eq!((code, probed["findings"].as_array().map(Vec::len)), (Some(0), Some(1)), "{probed:#}");
    // A site that leaves the voltage to its devices has nothing against that.
    let text = std::fs::read_to_string(&site).expect("it was written");
    let law = "VoltVar(meter: \"pcc\", battery: \"bess\", pv: \"pv\"),";
    std::fs::write(&site, text.replacen(law, "VoltVar(meter: \"pcc\", pv: \"pv\"),", 1)).expect("a file");
    let (code, probed) = crate::probed(&site, &[]);
    assert_eq!((code, probed["findings"].as_array().map(Vec::len)), (Some(0), Some(0)), "{probed:#}");
}
