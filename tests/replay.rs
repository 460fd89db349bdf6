//! Every shipped scenario runs the same twice, in one process and in two, and replays bit for bit.

use std::fs::File;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use r_ems::engine::controller::Controller;
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::EffectsKept;
use r_ems::replay::{Replayed, replay};
use r_ems::scenarios::Overrides;
use r_ems::{Finished, Options, run_file};

/// Every shipped scenario, and how much of it is run here: all of it, but of the year a day.
const SHIPPED: [(&str, Option<&str>); 6] = [
    ("hunting", None),
    ("peak_missed", None),
    ("peak_shaving", None),
    ("self_consumption", None),
    ("startup_under_load", None),
    ("year", Some("1 day")),
];

fn scenario(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(format!("{name}.ron"))
}

fn overrides(until: Option<&str>) -> Overrides {
    let until = until.map(|span| span.parse().expect("a span"));
    Overrides { until, ..Overrides::default() }
}

fn run(name: &str, until: Option<&str>, options: &Options) -> Finished<BuiltIn> {
    let finished = run_file::<BuiltIn>(&scenario(name), &overrides(until), options);
    finished.unwrap_or_else(|failure| panic!("{name}: {failure:?}"))
}

fn replayed(log: &Path) -> Replayed {
    let file = File::open(log).expect("it was just written");
    replay::<Controller<BuiltIn>, _>(file).unwrap_or_else(|error| panic!("{}: {error:?}", log.display()))
}

#[test]
fn the_list_names_every_shipped_scenario() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = std::fs::read_dir(folder).expect("the folder of the scenarios");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_scenario = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "ron");
    let mut found: Vec<String> = paths
        .filter(is_scenario)
        .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned))
        .collect();
    found.sort();
    assert_eq!(found, SHIPPED.map(|shipped| shipped.0.to_owned()));
}

#[test]
fn every_shipped_scenario_replays_bit_for_bit() {
    for (name, until) in SHIPPED {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("replay_{name}.rlog"));
        let record = Some((log.clone(), EffectsKept::Digests));
        let finished = run(name, until, &Options { record, ..Options::default() });
        let again = replayed(&log);
        assert_eq!(again.digest, finished.digest, "{name}");
        std::fs::remove_file(&log).expect("it was just read");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_twice_and_in_another_process() {
    for (name, until) in [("startup_under_load", None), ("peak_shaving", Some("6 h"))] {
        let first = run(name, until, &Options::default()).digest;
        assert_eq!(run(name, until, &Options::default()).digest, first, "{name}");
        let mut command = Command::cargo_bin("r-emsctl").expect("the program is built");
        command.args(["run", "--format", "json"]).arg(scenario(name));
        command.args(until.map(|span| ["--until", span]).into_iter().flatten());
        let output = command.output().expect("the program runs");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(printed.contains(&first.to_string()), "{name}: {first} is not in {printed}");
    }
}
