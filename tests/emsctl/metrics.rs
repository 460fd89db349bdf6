//! Metrics of a run, as a scraper reads them.

use std::fs;

use super::{code, emsctl, errors, file, json};

/// The first crash of the active.
const CRASH: [&str; 4] = ["run", "scenarios/failover_fast.ron", "--until", "12 s"];

/// What `--metrics` writes of a run, by series.
fn metrics_of(run: &[&str], name: &str) -> Vec<(String, f64)> {
    let path = file(name);
    let output = emsctl(&[run, &["--metrics", &path.to_string_lossy()]].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let text = fs::read_to_string(path).expect("the run wrote it");
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').expect("a series and its value");
        (series.to_owned(), value.parse().expect("a number"))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

#[test]
fn a_take_over_is_counted_with_its_reason_and_how_long_it_took() {
    let metrics = metrics_of(&CRASH, "take_over.prom");
    let value = |series: &str| {
        let found = metrics.iter().find(|(name, _)| name == series);
        found.unwrap_or_else(|| panic!("{series} is missing in {metrics:?}")).1
    };
    let b = "grid=\"commerce\",controller=\"b\"";
    assert_eq!(value(&format!("r_ems_take_overs_total{{{b},reason=\"heartbeat_lost\"}}")), 1.0);
    assert_eq!(value(&format!("r_ems_take_over_detection_seconds_count{{{b}}}")), 1.0);
    let detected_s = value(&format!("r_ems_take_over_detection_seconds_sum{{{b}}}"));
    assert!((0.015..0.016).contains(&detected_s), "the watchdog, and not what the votes took: {detected_s}");
    let acted_s = value(&format!("r_ems_take_over_acting_seconds_sum{{{b}}}"));
    assert!((0.003..0.02).contains(&acted_s), "voters wait for the rest of the lease: {acted_s}");
    let summary = json(&emsctl(&[&CRASH[..], &["--format", "json"]].concat()));
    let found = &summary["take_overs"]["list"][0];
    assert_eq!((&found["detected_s"], &found["acted_s"]), (&detected_s.into(), &acted_s.into()));
    let gap_s = found["gap_s"].as_f64().expect("seconds");
    assert!(gap_s > acted_s && gap_s < detected_s + acted_s + 0.005, "what devices saw: {found}");
    assert_eq!(value(&format!("r_ems_take_over_step_watts_count{{{b}}}")), 1.0);
    assert_eq!(value(&format!("r_ems_role{{{b},role=\"active\"}}")), 1.0);
    assert_eq!(value(&format!("r_ems_role{{{b},role=\"standby\"}}")), 0.0);
    assert_eq!(value("r_ems_role{grid=\"commerce\",controller=\"w\",role=\"witness\"}"), 1.0);
    let down =
        metrics.iter().filter(|(name, _)| name.starts_with("r_ems_role{grid=\"commerce\",controller=\"a\""));
    assert_eq!(down.map(|(_, value)| value).sum::<f64>(), 0.0, "its host is down at the end");
    assert_eq!(value(&format!("r_ems_boots_total{{{b}}}")), 1.0);
}

#[test]
fn points_are_counted_as_unusable_until_they_are_good() {
    let healthy = metrics_of(&CRASH, "points.prom");
    let unusable = |metrics: &[(String, f64)]| {
        let of = |name: &&(String, f64)| name.0.starts_with("r_ems_points_unusable{");
        metrics.iter().filter(of).map(|(_, value)| value).sum::<f64>()
    };
    assert_eq!(unusable(&healthy), 0.0);
    let booting = metrics_of(&[&CRASH[..3], &["1 ms"]].concat(), "booting.prom");
    assert!(unusable(&booting) > 0.0, "nothing was measured yet: {booting:?}");
}
