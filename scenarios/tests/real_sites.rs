//! Sites that are to be run for real: what they need beyond a simulation, and where it is said that it is missing.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Disk, Memory, RealSite, Severity, examine, load_site};

const PAIR: &str = include_str!("../sites/commerce_pair_loopback.ron");

fn load(text: impl Into<Vec<u8>>) -> Result<RealSite<BuiltIn>, String> {
    let files = Memory::new().with("site.ron", text);
    load_site::<BuiltIn>(&files, "site.ron").map_err(|report| report.to_string())
}

/// What is wrong with the pair if it says something else.
fn wrong(old: &str, new: &str) -> String {
    assert!(PAIR.contains(old), "the site says {old}");
    load(PAIR.replace(old, new)).expect_err("something is wrong")
}

#[test]
fn each_member_knows_its_place_and_its_council() {
    let site = load(PAIR).expect("it is shipped");
    let members: Vec<(&str, u16, &[u16], usize)> = site
        .members
        .iter()
        .map(|member| (member.spec.id.as_str(), member.host(), member.council.as_slice(), member.ways.len()))
        .collect();
    assert_eq!(members, [("a", 0, &[0, 1, 2][..], 2), ("b", 1, &[0, 1, 2], 2), ("w", 2, &[0, 1, 2], 0)]);
    assert_eq!(site.hosts[1].address, "127.0.0.1:7402".parse().ok());
    assert!(site.auto_replay, "what nobody speaks of is kept as an empty section keeps it");
}

#[test]
fn what_only_a_simulation_has_is_refused_where_it_stands() {
    let points = r#"link: Points(positive: Import), rating: "400 kW"),"#;
    let site = include_str!("../sites/commerce.ron");
    assert!(site.contains(points), "the other site has values only");
    let said = load(site).expect_err("no protocol is spoken");
    assert!(said.contains("site.ron:10:") && said.contains("needs a link of kind Modbus(…)"), "{said}");
    let scenario = load("Scenario(version: 1)").expect_err("that is no site");
    assert!(scenario.contains("this is a scenario, which can be simulated but not run"), "{scenario}");
}

#[test]
fn a_host_that_others_must_reach_says_where() {
    let said = wrong(r#""b": (address: "127.0.0.1:7402")"#, r#""b": ()"#);
    assert!(said.contains("host b shares the grid commerce with others"), "{said}");
    let alone = Disk;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/sites/commerce_modbus.ron");
    assert!(load_site::<BuiltIn>(&alone, path).is_ok(), "who is alone needs no address");
}

#[test]
fn devices_that_answer_too_slowly_for_the_scan_are_told_and_refused_where_that_leaves_no_value_good() {
    let shop = include_str!("../sites/commerce_modbus.ron");
    let scans = |scan: &str, age: &str| {
        let site = shop.replace(r#"scan: "1 s""#, &format!(r#"scan: "{scan}""#));
        let rating = r#"rating: "250 kW""#;
        let found = load(site.replace(rating, &format!(r#"{rating}, max_age: "{age}""#)));
        found.map(|site| site.warnings.to_string())
    };
    // The battery's registers are read by two requests of 20 ms; a value that has come is believed for the age but 20 ms.
    assert_eq!(scans("40 ms", "60 ms"), Ok(String::new()));
    let warned = scans("39 ms", "60 ms").expect("it works, but not as it says");
    assert!(warned.contains("warning") && warned.contains("take 40 ms"), "{warned}");
    assert!(warned.contains("and the scan is 39 ms: values are as old as that"), "{warned}");
    assert_eq!(warned.matches("site.ron:").count(), 1, "it is said once: {warned}");
    let said = scans("20 ms", "40 ms").expect_err("in every other scan the battery has no value");
    assert!(
        said.contains("values become 60 ms old before the next ones come, and `max_age` is 40 ms"),
        "{said}"
    );
    assert_eq!(said.matches("site.ron:").count(), 1, "it is said once: {said}");
    assert!(scans("20 ms", "41 ms").is_ok_and(|warned| warned.contains("take 40 ms")));
}

#[test]
fn a_finding_stands_at_its_place_or_where_the_file_would_say_it() {
    let site = load(PAIR).expect("it is shipped");
    let way = ["grids", "commerce", "devices", "bess", "link"];
    let of = |below: &[&str]| site.finding(&[&way[..], below].concat(), Severity::Warning, "found 7");
    let scale = of(&["points", "soc", "scale"]);
    let line = PAIR.lines().nth(scale.line as usize - 1).expect("the file has that line");
    assert!(
        line.contains("\"soc\"") && line[scale.column as usize - 1..].starts_with("\"0.1 %\""),
        "{scale}"
    );
    assert_eq!(scale.field, "grids.commerce.devices.bess.link.points.soc.scale");
    assert_eq!(scale.severity, Severity::Warning);
    let missing = of(&["points", "soc", "offset"]);
    assert_eq!(
        (missing.line, missing.field.as_str()),
        (scale.line, "grids.commerce.devices.bess.link.points.soc.offset")
    );
    let write = of(&["writes", "0", "values", "0"]);
    assert!(write.field.ends_with("writes[0].values[0]"), "{write}");
    assert!(
        PAIR.lines().nth(write.line as usize - 1).is_some_and(|line| line.contains("SetPoint(")),
        "{write}"
    );
}

#[test]
fn names_that_need_a_server_are_refused() {
    for (old, new) in [("127.0.0.1:7402", "b.plant:7402"), ("127.0.0.1:15021", "battery.plant:502")] {
        let said = wrong(old, new);
        assert!(said.contains("a name's server may be off") && said.contains(new), "{said}");
        assert_eq!(said.matches("site.ron:").count(), 1, "it is said once: {said}");
    }
}

#[test]
fn a_device_hears_heartbeats_in_time_or_its_site_is_refused() {
    let site = include_str!("../sites/commerce_heartbeat.ron");
    let (timeout, lease) = (r#"heartbeat: (timeout: "1 s""#, r#"lease: "40 ms""#);
    assert!(site.contains(timeout) && site.contains(lease));
    let with = |found: &str, lasts: &str| {
        let site = site.replace(timeout, &format!(r#"heartbeat: (timeout: "{found}""#));
        let site = site.replace(lease, &format!(r#"lease: "{lasts}""#));
        let files = Memory::new().with("site.ron", site.as_str());
        let (report, assurances) = examine::<BuiltIn>(&files, "site.ron");
        assert!(report.has_errors() == assurances.is_empty());
        let refused = load(site).err();
        assert_eq!(refused.clone().unwrap_or_default(), report.to_string(), "`check` says the same");
        refused
    };
    // A request and its repetition take 60 ms each where nobody answers, and a scan takes 100 ms.
    assert_eq!(with("660 ms", "40 ms"), None);
    let said = with("659 ms", "40 ms").expect("a third of it is too short");
    assert!(said.contains("`heartbeat` must be at least 660 ms, got 659 ms"), "{said}");
    assert!(said.contains("site.ron:21:"), "where its link stands: {said}");
    assert_eq!(said.matches("site.ron:").count(), 1, "it is said once: {said}");
    // The next controller waits for the lease, and the device for two thirds of its time-out.
    assert_eq!(with("1 s", "500 ms"), None);
    let said = with("1 s", "600 ms").expect("a take-over lasts longer");
    assert!(said.contains("`heartbeat` must be above 1 s"), "{said}");
}
