//! Every shipped scenario runs the same twice, in one process and in two, and replays bit for bit.
//!
//! The shipped scenarios draw nothing at random; the golden run of every source does, so that it is the one that sees a seed.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::cargo::cargo_bin_cmd;
use r_ems::engine::controller::Controller;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::{EffectsKept, End, Ending};
use r_ems::replay::{Replayed, replay};
use r_ems::scenarios::Overrides;
use r_ems::{Finished, Options, run_file};

/// Every shipped scenario, and how much of it is run here: all of it, but of the year a day, and of those with redundancy what
/// comes first.
const SHIPPED: [(&str, Option<&str>); 45] = [
    ("scenarios/at_stop.ron", None),
    ("scenarios/at_the_panel.ron", Some("16 min")),
    ("scenarios/battery_bits.ron", None),
    ("scenarios/black_start.ron", Some("10 min")),
    ("scenarios/by_hand.ron", Some("26 min")),
    ("scenarios/clock_drift.ron", Some("12 min")),
    ("scenarios/demo.ron", Some("20 min")),
    ("scenarios/demo_pair.ron", Some("20 min")),
    ("scenarios/disk_full.ron", Some("46 min")),
    ("scenarios/failover.ron", Some("35 min")),
    ("scenarios/failover_fast.ron", Some("1 min")),
    ("scenarios/failover_wire.ron", Some("35 min")),
    ("scenarios/flaky_fieldbus.ron", None),
    ("scenarios/flaky_wire.ron", None),
    ("scenarios/frequency_response.ron", None),
    ("scenarios/genset_fleet.ron", Some("15 min")),
    ("scenarios/grid_operator.ron", None),
    ("scenarios/heartbeat.ron", None),
    ("scenarios/hunting.ron", None),
    ("scenarios/island.ron", Some("20 min")),
    ("scenarios/noisy_day.ron", None),
    ("scenarios/one_connection.ron", Some("51 min")),
    ("scenarios/pair_without_witness.ron", Some("31 min")),
    ("scenarios/partition.ron", Some("35 min")),
    ("scenarios/peak_missed.ron", None),
    ("scenarios/peak_shaving.ron", None),
    ("scenarios/peak_shaving_serial.ron", None),
    ("scenarios/peak_shaving_wire.ron", Some("1 day")),
    ("scenarios/rolling_restart.ron", Some("35 min")),
    ("scenarios/self_consumption.ron", None),
    ("scenarios/several_batteries.ron", None),
    ("scenarios/stale_meter.ron", None),
    ("scenarios/startup_under_load.ron", None),
    ("scenarios/sunspec.ron", Some("3 min")),
    ("scenarios/sunspec_older.ron", None),
    ("scenarios/switch_day.ron", None),
    ("scenarios/switch_day_autumn.ron", None),
    ("scenarios/tariff_day.ron", None),
    ("scenarios/upgrade.ron", None),
    ("scenarios/vessel.ron", Some("42 min")),
    ("scenarios/volt_var.ron", Some("14 h")),
    ("scenarios/volt_var_sunspec.ron", Some("20 min")),
    ("scenarios/witness.ron", Some("41 min")),
    ("scenarios/worn_registers.ron", None),
    ("scenarios/year.ron", Some("1 day")),
];

/// Two controllers on wrong clocks, every kind of source, drop-outs: everything that draws from the seed.
const EVERY_SOURCE: &str = "tests/golden/every_source.ron";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn overrides(until: Option<&str>) -> Overrides {
    let until = until.map(|span| span.parse().expect("a span"));
    Overrides { until, ..Overrides::default() }
}

fn run(path: &str, overrides: &Overrides, options: &Options) -> Finished<BuiltIn> {
    let finished = run_file::<BuiltIn>(&root().join(path), overrides, options);
    finished.unwrap_or_else(|failure| panic!("{path}: {failure:?}"))
}

/// Records a run; the log's name is the test's own.
fn record(path: &str, until: Option<&str>, log: &str) -> (Finished<BuiltIn>, PathBuf) {
    let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(log);
    let record = Some((log.clone(), EffectsKept::Digests));
    (run(path, &overrides(until), &Options { record, ..Options::default() }), log)
}

fn replayed(log: &Path) -> Replayed {
    let file = File::open(log).expect("it was just written");
    replay::<Controller<BuiltIn>, _>(file).unwrap_or_else(|error| panic!("{}: {error:?}", log.display()))
}

fn emsctl(arguments: &[&str]) -> Output {
    cargo_bin_cmd!("r-emsctl").current_dir(root()).args(arguments).output().expect("the program runs")
}

#[test]
fn the_list_names_every_shipped_scenario() {
    let entries = std::fs::read_dir(root().join("scenarios")).expect("the folder of the scenarios");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| format!("scenarios/{}", name.to_string_lossy()));
    let mut found: Vec<String> = names.filter(|name| name.ends_with(".ron")).collect();
    found.sort();
    assert_eq!(found, SHIPPED.map(|shipped| shipped.0.to_owned()));
}

#[test]
fn every_scenario_replays_bit_for_bit() {
    for (index, (path, until)) in SHIPPED.into_iter().chain([(EVERY_SOURCE, None)]).enumerate() {
        let (finished, log) = record(path, until, &format!("replay_{index}.rlog"));
        let again = replayed(&log);
        assert_eq!((&again.divergence, again.digest), (&None, finished.digest), "{path}");
        assert_eq!(again.end, Some(End::Closed(Ending::Over)), "{path}");
        std::fs::remove_file(&log).expect("it was just read");
    }
}

#[test]
fn each_controller_of_a_fleets_log_replays_alone() {
    let (_, log) = record(EVERY_SOURCE, Some("30 min"), "replay_alone.rlog");
    for controller in ["north/n", "south/s"] {
        let path = log.to_string_lossy();
        let output = emsctl(&["replay", &path, "--controller", controller, "--format", "json"]);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{controller}: {printed}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(printed.contains("\"end\": \"over\""), "{controller}: {printed}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_twice_and_in_another_process() {
    for (path, until) in [
        ("scenarios/startup_under_load.ron", None),
        ("scenarios/peak_shaving.ron", Some("6 h")),
        (EVERY_SOURCE, Some("30 min")),
    ] {
        let first = run(path, &overrides(until), &Options::default()).digest;
        assert_eq!(run(path, &overrides(until), &Options::default()).digest, first, "{path}");
        let until = until.map(|span| ["--until", span]);
        let until: Vec<&str> = until.into_iter().flatten().collect();
        let output = emsctl(&[&["run", path, "--format", "json"], &until[..]].concat());
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(&first.to_string()), "{path}: {first} is not in {printed}");
    }
}

#[test]
fn another_seed_gives_another_run() {
    let digest = |seed| {
        let overrides = Overrides { seed, ..overrides(Some("10 min")) };
        run(EVERY_SOURCE, &overrides, &Options::default()).digest
    };
    let own = digest(None);
    assert_eq!(digest(Some(20_160_309)), own, "the seed in the file");
    assert_ne!(digest(Some(20_160_310)), own);
}
