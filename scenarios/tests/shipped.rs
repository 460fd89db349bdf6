//! The shipped files: each is right, without a warning, and says what its name promises.

use r_ems_engine::functions::BuiltIn;
use r_ems_scenarios::{Disk, Overrides, check, load, recall};

const SCENARIOS: [&str; 45] = [
    "volt_var",
    "volt_var_sunspec",
    "peak_shaving",
    "peak_shaving_wire",
    "peak_shaving_serial",
    "year",
    "self_consumption",
    "peak_missed",
    "hunting",
    "startup_under_load",
    "noisy_day",
    "frequency_response",
    "failover",
    "failover_wire",
    "heartbeat",
    "partition",
    "witness",
    "one_connection",
    "pair_without_witness",
    "clock_drift",
    "disk_full",
    "tariff_day",
    "island",
    "black_start",
    "genset_fleet",
    "several_batteries",
    "at_the_panel",
    "vessel",
    "switch_day",
    "switch_day_autumn",
    "stale_meter",
    "rolling_restart",
    "at_stop",
    "failover_fast",
    "flaky_fieldbus",
    "flaky_wire",
    "worn_registers",
    "battery_bits",
    "upgrade",
    "sunspec",
    "sunspec_older",
    "by_hand",
    "grid_operator",
    "demo",
    "demo_pair",
];
const SITES: [&str; 33] = [
    "workshop",
    "lodge",
    "camp",
    "vessel",
    "commerce_volt_var",
    "commerce_volt_var_sunspec",
    "commerce",
    "commerce_modbus",
    "commerce_worn",
    "commerce_bits",
    "commerce_serial",
    "commerce_year",
    "commerce_tight",
    "commerce_late_meter",
    "commerce_fast",
    "commerce_self_consumption",
    "commerce_frequency",
    "commerce_redundant",
    "commerce_redundant_modbus",
    "commerce_heartbeat",
    "commerce_pair_loopback",
    "commerce_pair",
    "commerce_failover_fast",
    "commerce_one_connection",
    "commerce_flaky",
    "commerce_sunspec",
    "commerce_sunspec_older",
    "commerce_tariff",
    "switch_day",
    "stale_meter",
    "commerce_by_hand",
    "commerce_grid_operator",
    "demo",
];

fn path(name: &str) -> String {
    format!("{}/{name}.ron", env!("CARGO_MANIFEST_DIR"))
}

/// The names of the files of the language in a folder, sorted.
fn in_folder(folder: &str) -> Vec<String> {
    let folder = format!("{}/{folder}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("it is shipped");
    let names =
        entries.map(|entry| entry.expect("it can be listed").file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> =
        names.filter_map(|name| Some(name.strip_suffix(".ron")?.to_owned())).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_listed_here_is_what_is_in_the_folders() {
    for (folder, listed) in [("", &SCENARIOS[..]), ("sites", &SITES)] {
        let mut listed = listed.to_vec();
        listed.sort_unstable();
        assert_eq!(listed, in_folder(folder), "scenarios/{folder}");
    }
}

#[test]
fn every_shipped_scenario_checks_without_error_or_warning() {
    for name in SCENARIOS {
        let report = check::<BuiltIn>(&Disk, &path(name));
        assert!(report.mistakes.is_empty(), "{report}");
    }
}

#[test]
fn every_shipped_site_checks_without_error_or_warning() {
    for name in SITES {
        let report = check::<BuiltIn>(&Disk, &path(&format!("sites/{name}")));
        assert!(report.mistakes.is_empty(), "{report}");
    }
}

#[test]
fn every_shipped_scenario_loads_and_its_controllers_are_made_again_from_its_texts() {
    for name in SCENARIOS {
        let loaded = load::<BuiltIn>(&Disk, &path(name), &Overrides::default()).expect("a shipped scenario");
        assert_eq!(loaded.world.posts.len(), loaded.controllers.len());
        assert_eq!(loaded.world.posts[0].links.len(), loaded.controllers[0].devices.len());
        let recalled = recall::<BuiltIn>(&loaded.documents).expect("texts that were loaded");
        assert_eq!(format!("{:?}", recalled.controllers), format!("{:?}", loaded.controllers));
        assert_eq!((recalled.name, recalled.start), (loaded.name, loaded.world.start));
    }
}
