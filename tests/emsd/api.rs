//! What the API says of itself is what it does, and metrics are metrics.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use super::daemon::{Daemon, JOURNALS, demo, file, until};

#[test]
fn every_route_is_described_and_answers_as_described() {
    // One that keeps journals: a state is kept there.
    let manual = ("functions: [", "functions: [\n Manual(battery: \"bess\"),");
    let scenario = demo("described", &[JOURNALS], &[manual]);
    let daemon = Daemon::start("described", &[&scenario, "--record", &file("described.rlog")]);
    daemon.follow("set_points_taken_over");
    // What is released is given before.
    daemon.json(&["set-point", "workshop/bess", "1 kW", "--for", "1 min"]);
    let (status, text) = daemon.ask("GET", "/v1/openapi.json", "");
    assert_eq!(status, 200);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let expected = [
        "/metrics",
        "/v1/config",
        "/v1/emergencystop",
        "/v1/events",
        "/v1/explain",
        "/v1/maintenance",
        "/v1/mode",
        "/v1/openapi.json",
        "/v1/points",
        "/v1/release",
        "/v1/setpoint",
        "/v1/shutdown",
        "/v1/snapshot",
        "/v1/sole",
        "/v1/status",
        "/v1/switchover",
    ];
    assert_eq!(paths.keys().collect::<Vec<_>>(), expected);
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            // It would end the others.
            if path != "/v1/shutdown" {
                answers_as_described(&daemon, &document, (path, method), operation);
            }
        }
        let other = if operations.get("get").is_some() { "DELETE" } else { "GET" };
        let (status, body) = daemon.ask(other, path, "");
        assert_eq!(status, 405, "{other} {path}: {body}");
        fits(&document, "Refusal", &body);
    }
    let (status, body) = daemon.ask("GET", "/v1/nothing", "");
    assert_eq!(status, 404);
    fits(&document, "Refusal", &body);
}

fn answers_as_described(daemon: &Daemon, document: &Value, (path, method): (&str, &str), operation: &Value) {
    let arguments = if path == "/v1/explain" { "?point=workshop/bess" } else { "" };
    let body = match path {
        "/v1/switchover" => r#"{"grid":"workshop"}"#,
        "/v1/maintenance" => r#"{"controller":"workshop/w","on":false}"#,
        "/v1/snapshot" => r#"{"controller":"workshop/a"}"#,
        "/v1/setpoint" => r#"{"device":"workshop/bess","power_w":1e3,"for_s":60}"#,
        "/v1/release" => r#"{"device":"workshop/bess"}"#,
        "/v1/emergencystop" => r#"{"grid":"workshop","on":false}"#,
        "/v1/mode" => r#"{"grid":"workshop","operation":"hold","for_s":1}"#,
        "/v1/sole" => r#"{"controller":"workshop/b","on":false}"#,
        _ => "",
    };
    let (status, answer) = daemon.ask(&method.to_uppercase(), &format!("{path}{arguments}"), body);
    let described = &operation["responses"][status.to_string()];
    assert!(described.is_object(), "{method} {path}: {status} is not described: {answer}");
    let content = described["content"].as_object().expect("contents");
    let schema = &content.values().next().expect("a content")["schema"];
    let Some(name) = schema["$ref"].as_str().and_then(|schema| schema.rsplit_once('/')).map(|(_, name)| name)
    else {
        let expected = if path == "/metrics" { "string" } else { "object" };
        let expected = (matches!(path, "/metrics" | "/v1/openapi.json"), expected);
        assert_eq!((true, schema["type"].as_str().unwrap_or_default()), expected, "{path}: {schema}");
        return;
    };
    if content.contains_key("application/x-ndjson") {
        // Its length comes piece by piece.
        let lines: Vec<&str> = answer.lines().filter(|line| line.starts_with('{')).collect();
        assert!(!lines.is_empty());
        lines.iter().for_each(|line| fits(document, name, line));
    } else {
        fits(document, name, &answer);
    }
}

/// Asserts that a text has exactly the fields of a schema, with the types that it names, at its top level and below.
fn fits(document: &Value, name: &str, text: &str) {
    let value: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
    let schema = &document["components"]["schemas"][name];
    assert!(schema.is_object(), "there is no schema {name}");
    check(document, schema, &value, name);
}

fn check(document: &Value, schema: &Value, value: &Value, place: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("a schema");
        return check(document, target, value, place);
    }
    if let Some(options) = schema["anyOf"].as_array() {
        let is_null = |option: &&Value| (option["type"] == "null") == value.is_null();
        return check(document, options.iter().find(is_null).expect("one fits"), value, place);
    }
    if let Some(options) = schema["oneOf"].as_array() {
        let fits = |option: &&Value| match value {
            Value::Object(fields) => {
                let required = option["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                required.clone().count() > 0 && required.into_iter().all(|field| fields.contains_key(field))
            }
            word @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
                option["const"] == *word || option["enum"].as_array().is_some_and(|all| all.contains(word))
            }
        };
        let option =
            options.iter().find(fits).unwrap_or_else(|| panic!("{place}: {value} is none of {schema}"));
        return check(document, option, value, place);
    }
    let one = schema["type"].as_str().into_iter();
    let types: Vec<&str> =
        one.chain(schema["type"].as_array().into_iter().flatten().filter_map(Value::as_str)).collect();
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() && types.contains(&"integer") => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    assert!(types.contains(&found), "{place}: {found} is none of {types:?}");
    if let Some(items) = value.as_array() {
        items.iter().for_each(|item| check(document, &schema["items"], item, place));
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        for (field, value) in fields {
            let known = known.get(field).unwrap_or_else(|| panic!("{place}.{field} is not described"));
            check(document, known, value, &format!("{place}.{field}"));
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        required.for_each(|field| assert!(fields.contains_key(field), "{place}: {field} is missing"));
    }
}

#[test]
fn metrics_are_what_a_scraper_reads() {
    let log = file("metrics.rlog");
    let daemon = Daemon::start("metrics", &["--record", &log]);
    daemon.follow("set_points_taken_over");
    let (status, text) = daemon.ask("GET", "/metrics", "");
    assert_eq!(status, 200);
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        (series.to_owned(), value.parse::<f64>().expect("a number"))
    };
    let samples: BTreeMap<String, f64> =
        text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(sample).collect();
    let active = |controller: &str| {
        samples[&format!("r_ems_role{{grid=\"workshop\",controller=\"{controller}\",role=\"active\"}}")]
    };
    assert_eq!(["a", "b", "w"].map(active), [1.0, 0.0, 0.0]);
    let passed = samples["r_ems_loop_lateness_seconds_count"];
    assert!(passed > 0.0);
    assert_eq!(samples["r_ems_loop_lateness_seconds_bucket{le=\"+Inf\"}"], passed);
    let buckets = text.lines().filter(|line| line.starts_with("r_ems_loop_lateness_seconds_bucket"));
    let counts: Vec<f64> = buckets.map(|line| sample(line).1).collect();
    assert!(counts.is_sorted(), "{counts:?}");
    let scans = samples["r_ems_scan_lateness_seconds_count{grid=\"workshop\",controller=\"a\"}"];
    assert!(scans > 0.0, "also where none was missed");
    // Its first time is an increase.
    for rare in [
        "scans_missed_total{grid=\"workshop\",controller=\"a\"}",
        "write_failures_total{grid=\"workshop\",controller=\"a\",device=\"bess\"}",
        "take_overs_total{grid=\"workshop\",controller=\"b\",reason=\"heartbeat_lost\"}",
    ] {
        assert!(samples.contains_key(&format!("r_ems_{rare}")), "{rare}: {text}");
    }
    assert_eq!(samples["r_ems_events_lost_total"], 0.0);
    assert_eq!(samples["r_ems_lines_lost_total"], 0.0);
    assert!(samples["r_ems_log_bytes_total"] > 0.0);
    assert_eq!(samples["r_ems_log_cut"], 0.0);
}

#[test]
fn polls_that_a_device_leaves_unanswered_are_counted() {
    let silent = r#"faults: [During("+0 s", "+1 day", Silent("workshop/bess"))], network:"#;
    let daemon = Daemon::start("silent", &[&demo("silent", &[("network:", silent)], &[])]);
    let told = until("polls time out", || {
        let status = daemon.json(&["status"]);
        let told = [0, 1].map(|device| status["grids"][0]["devices"][device]["timeouts"].as_u64());
        (told[1] >= Some(2)).then_some(told)
    });
    assert_eq!(told[0], Some(0), "the meter answers");
    let (_, text) = daemon.ask("GET", "/metrics", "");
    let series = "r_ems_polls_unanswered_total{grid=\"workshop\",controller=\"a\",device=\"bess\"} ";
    let counted = text.lines().find_map(|line| line.strip_prefix(series)).expect("a series");
    assert!(counted.parse::<u64>().expect("a number") >= told[1].expect("a number"), "{counted}");
}

#[test]
fn events_are_listed_from_a_number_on_and_followed_to_the_end() {
    let daemon = Daemon::start("events", &[]);
    daemon.follow("set_points_taken_over");
    let all = lines(&super::text(&daemon.emsctl(&["events", "--format", "json"]).stdout));
    assert_eq!(all[0]["number"], 1);
    assert_eq!(all[0]["kind"], "booted");
    let later = lines(&super::text(&daemon.emsctl(&["events", "--from", "4", "--format", "json"]).stdout));
    assert_eq!(later[0], all[3]);
    let mut follower = std::process::Command::new(assert_cmd::cargo::cargo_bin("r-emsctl"))
        .args(["events", "--follow", "--format", "json", "--socket", daemon.socket()])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut heard = BufReader::new(follower.stdout.take().expect("it is piped"));
    let mut followed = String::new();
    heard.read_line(&mut followed).expect("it is text");
    daemon.json(&["shutdown"]);
    heard.read_to_string(&mut followed).expect("it is text");
    assert_eq!(follower.wait().expect("it is our child").code(), Some(0), "that is no mistake");
    let followed = lines(&followed);
    assert_eq!(followed[..all.len()], all);
    let stopped = followed.iter().filter(|line| line["kind"] == "stopped").count();
    assert_eq!(stopped, 3, "it hears the last word of each");
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
