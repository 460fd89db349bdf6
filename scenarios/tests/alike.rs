//! Components and devices that are like another one, and mistakes in what they take over.

use r_ems_engine::functions::BuiltIn;
use r_ems_engine::units::Watts;
use r_ems_scenarios::{Loaded, Memory, Overrides, Report, check, load, load_site};
use r_ems_sim::plant::Component;

/// A site with so many inverters, each like the first, and a plant likewise; `first` is the plant's first one.
fn fleet(site: &str, first: &str, plant: &str) -> Memory {
    let site = format!(
        r#"Site(
    version: 1,
    time_zone: "UTC+1",
    hosts: {{ "h": () }},
    grids: {{ "g": (
        scan: "1 s",
        devices: {{
            "pcc": Meter(link: Points(positive: Import), rating: "400 kW"),
            "pv1": Pv(link: Points(latency: "40 ms"), rating: "50 kW"),
            {site}
        }},
        functions: [ConnectionLimit(meter: "pcc", pv: "pvs", export_max: "400 kW")],
        controllers: {{ "a": (host: "h", order: 0) }},
    ) }},
)"#
    );
    let scenario = format!(
        r#"Scenario(
    version: 1,
    name: "a fleet",
    site: "site.ron",
    start: "2016-03-07",
    duration: "1 h",
    plant: {{ "g": {{
        "pcc": GridConnection(import_max: "400 kW"),
        "pv1": Pv({first}),
        {plant}
    }} }},
)"#
    );
    Memory::new().with("x.ron", scenario).with("site.ron", site)
}

const FIRST: &str = "rating: \"50 kW\", source: Constant(0.5), lag: \"2 s\"";

fn load_fleet(files: &Memory, settings: &[&str]) -> Result<Loaded<BuiltIn>, Report> {
    let settings = settings.iter().map(ToString::to_string).collect();
    load(files, "x.ron", &Overrides { settings, ..Overrides::default() })
}

/// What the inverters of a plant may give, in its order.
fn limits_w(loaded: &Loaded<BuiltIn>) -> Vec<f64> {
    let components = loaded.world.grids[0].bus.components().iter();
    components
        .filter_map(|component| match component {
            Component::Pv(pv) => Some(pv.spec().rating.watts()),
            Component::Connection(_)
            | Component::Load(_)
            | Component::Battery(_)
            | Component::Receiver(_)
            | Component::Genset(_)
            | Component::Tie(_) => None,
        })
        .collect()
}

/// Entries `"pv2"` to `"pv10"`, each like the first, with another rating where it is even.
fn nine() -> String {
    let one = |number: u32| {
        let change = if number.is_multiple_of(2) { ", { \"rating\": \"30 kW\" }" } else { "" };
        format!("\"pv{number}\": Like(\"pv1\"{change}),\n")
    };
    (2..=10).map(one).collect()
}

#[test]
fn ten_inverters_of_one_make_differ_by_name_and_rating() {
    let loaded = load_fleet(&fleet(&nine(), FIRST, &nine()), &[]).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.warnings.mistakes.is_empty(), "{}", loaded.warnings);
    let even_are_less: Vec<f64> = (1..=10).map(|number| if number % 2 == 0 { 30e3 } else { 50e3 }).collect();
    assert_eq!(limits_w(&loaded), even_are_less);
    let devices = &loaded.controllers[0].devices;
    let names: Vec<&str> = devices.iter().skip(1).map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["pv1", "pv2", "pv3", "pv4", "pv5", "pv6", "pv7", "pv8", "pv9", "pv10"]);
    assert_eq!(devices[2].rating, Watts::of(30e3));
    // A log explains itself by texts in which each of them is written whole.
    assert!(
        loaded.documents.iter().all(|document| !document.text().contains("Like")),
        "{:?}",
        loaded.documents
    );
}

#[test]
fn each_of_them_is_set_by_itself() {
    let files = fleet(&nine(), FIRST, &nine());
    let settings =
        ["plant.g.pv3.rating=20kW", "plant.g.pv1.rating=10kW", "site.grids.g.devices.pv3.rating=20kW"];
    let loaded = load_fleet(&files, &settings).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(limits_w(&loaded)[..4], [10e3, 30e3, 20e3, 30e3]);
}

#[test]
fn a_change_reaches_below_the_fields_of_a_device() {
    let more = "\"pv2\": Like(\"pv1\", { \"link.latency\": \"70 ms\", \"max_age\": \"9 s\" }),";
    let files = fleet(more, FIRST, "\"pv2\": Like(\"pv1\"),");
    let loaded = load_fleet(&files, &[]).unwrap_or_else(|report| panic!("{report}"));
    let latencies: Vec<String> =
        loaded.controllers[0].devices.iter().map(|device| device.latency.to_string()).collect();
    assert_eq!(latencies, ["20 ms", "40 ms", "70 ms"]);
    // A real site reads the same file.
    let site = load_site::<BuiltIn>(&Memory::new().with("site.ron", ""), "site.ron");
    assert!(site.is_err());
    let report = load_site::<BuiltIn>(&files, "site.ron").map(|_site| ()).expect_err("it has no registers");
    assert!(!report.to_string().contains("Like"), "{report}");
}

#[test]
fn a_mistake_of_the_first_is_told_once_where_it_stands() {
    let files = fleet(&nine(), "rating: \"50 kW\", source: Constant(0.5), lag: \"2 kW\"", &nine());
    let report = load_fleet(&files, &[]).expect_err("a lag is no power");
    let [mistake] = report.mistakes.as_slice() else { panic!("{report}") };
    assert_eq!(
        (mistake.file.as_str(), mistake.line, mistake.field.as_str()),
        ("x.ron", 9, "plant.g.pv1.lag")
    );
}

#[test]
fn a_mistake_that_comes_of_what_is_different_names_both_places() {
    // What is right of 50 kW is too much of 20 kW.
    let files = fleet(
        "\"pv2\": Like(\"pv1\"),",
        "rating: \"50 kW\", source: Constant(\"50 kW\")",
        "\"pv2\": Like(\"pv1\", { \"rating\": \"2 W\" }),",
    );
    let report = check::<BuiltIn>(&files, "x.ron");
    let told = report.mistakes.iter().find(|mistake| mistake.field == "plant.g.pv2.source");
    let mistake = told.unwrap_or_else(|| panic!("{report}"));
    // Where the source stands, and where it was taken over.
    assert_eq!((mistake.file.as_str(), mistake.line), ("x.ron", 9), "{report}");
    assert!(mistake.message.ends_with("; taken over in x.ron:10"), "{report}");
    // What is different stands where it says so.
    let files = fleet("\"pv2\": Like(\"pv1\"),", FIRST, "\"pv2\": Like(\"pv1\", { \"rating\": \"0 kW\" }),");
    let report = check::<BuiltIn>(&files, "x.ron");
    let mistake = report.mistakes.iter().find(|mistake| mistake.field == "plant.g.pv2.rating");
    let mistake = mistake.unwrap_or_else(|| panic!("{report}"));
    assert_eq!((mistake.line, mistake.message.as_str()), (10, "must be above 0 W, got 0 W"), "{report}");
}

#[test]
fn what_is_like_nothing_is_refused_and_nothing_follows_from_it() {
    let refused = |plant: &str| {
        let report = check::<BuiltIn>(&fleet("\"pv2\": Like(\"pv1\"),", FIRST, plant), "x.ron");
        let [mistake] = report.mistakes.as_slice() else { panic!("{plant}: {report}") };
        mistake.message.clone()
    };
    assert_eq!(
        refused("\"pv2\": Like(\"pv\"),"),
        "there is no \"pv\" here; did you mean `pv1`? there is: pcc, pv1"
    );
    let chain = refused("\"pv2\": Like(\"pv3\"), \"pv3\": Like(\"pv1\"),");
    assert_eq!(chain, "\"pv3\" is like another itself; name one that is written whole: pcc, pv1");
    assert!(refused("\"pv2\": Like(\"pv2\"),").contains("is like another itself"));
    assert!(refused("\"pv2\": Like(),").contains("expected Like(\"name\")"));
    let path = refused("\"pv2\": Like(\"pv1\", { \"rating=\": \"1 kW\" }),");
    assert!(path.contains("expected a path within it such as \"rating\" or \"link.unit\""), "{path}");
    let nowhere = refused("\"pv2\": Like(\"pv1\", { \"link.unit\": 3 }),");
    assert!(nowhere.contains("plant.g.pv2 has no `link`"), "{nowhere}");
}

#[test]
fn so_many_may_be_alike_and_no_more() {
    let many = |count: usize| -> String {
        (0..count).map(|number| format!("\"x{number}\": Like(\"pv1\"), ")).collect()
    };
    let report = check::<BuiltIn>(&fleet("", FIRST, &many(257)), "x.ron");
    assert!(report.to_string().contains("expected at most 256 components and devices"), "{report}");
    assert!(!check::<BuiltIn>(&fleet("", FIRST, &many(200)), "x.ron").to_string().contains("at most"));
}
