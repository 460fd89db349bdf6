//! A law that fails an assertion: its controller dies and lives again, another takes over, and the log repeats all of it.

use std::path::{Path, PathBuf};

use r_ems::engine::controller::{Controller, Phase};
use r_ems::engine::log::{EffectsKept, Kind};
use r_ems::engine::orchestrator::RESTART_FIRST;
use r_ems::replay::divergence::Subject;
use r_ems::replay::{Entries, Filter, replay};
use r_ems::scenarios::Overrides;
use r_ems::{Exit, Finished, Options};

/// The same law, as long as nobody reads a full battery.
macro_rules! law {
    ($module:ident, $fails:expr) => {
        /// A crate of one's own with this law.
        pub mod $module {
            use r_ems::engine::carry::Carry;
            use r_ems::engine::functions::{Function, Rank, View, Wiring, Wishes};
            use r_ems::engine::ids::GroupIndex;
            use r_ems::engine::serde::{Deserialize, Serialize};

            /// What a site file says about the law.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(crate = "r_ems_engine::serde", deny_unknown_fields)]
            pub struct FragileSpec {
                battery: String,
            }

            /// Fails an assertion when the battery is full.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(crate = "r_ems_engine::serde")]
            pub struct Fragile {
                battery: [GroupIndex; 1],
            }

            impl Function for Fragile {
                type Spec = FragileSpec;

                fn build(spec: &FragileSpec, wiring: &mut Wiring<'_>) -> Self {
                    Self { battery: [wiring.battery("battery", &spec.battery)] }
                }

                fn rank(&self) -> Rank {
                    Rank::FrequencyResponse
                }

                fn groups(&self) -> &[GroupIndex] {
                    &self.battery
                }

                fn carry(&mut self, _carry: &mut Carry<'_>) {}

                fn evaluate(&mut self, view: &View<'_>, _wishes: &mut Wishes) {
                    let soc = view.state_of_charge(self.battery[0]).map_or(0.0, |soc| soc.ratio());
                    assert!(!$fails || soc < 0.985, "no battery is full");
                }
            }

            r_ems_engine::functions_with! {
                /// The laws of this site.
                pub Laws, LawsSpec { Fragile(Fragile) }
            }
        }
    };
}

law!(fragile, true);
law!(repaired, false);

/// For 20 s one of two controllers reads that the battery is full.
const SCENARIO: &str = r#"Scenario(
    version: 1,
    name: "a law that fails an assertion",
    site: Site(
        version: 1,
        time_zone: "UTC+1",
        hosts: { "a": (), "b": (), "w": () },
        grids: {
            "works": (
                scan: "100 ms",
                devices: {
                    "pcc": Meter(link: Points(positive: Import), rating: "400 kW"),
                    "bess": Battery(link: Points(positive: Discharge, longest_write: "25 ms"), rating: "250 kW"),
                },
                functions: [
                    Fragile(battery: "bess"),
                    PeakShaving(meter: "pcc", battery: "bess", limit: "100 kW", recharge: "80 kW"),
                ],
                controllers: { "a": (host: "a", order: 0), "b": (host: "b", order: 1) },
                witness: "w",
                redundancy: (heartbeat: "10 ms", watchdog: "30 ms", lease: "40 ms", retry: "5 ms"),
            ),
        },
    ),
    seed: 3,
    start: "2016-03-07",
    duration: "3 min",
    plant: {
        "works": {
            "load": Load(rating: "400 kW", source: Constant("200 kW")),
            "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "90 %"),
            "pcc": GridConnection(import_max: "400 kW"),
        },
    },
    PERSISTENCE
    faults: [During("+1 min", "+1 min 20 s", Wrong(point: "a:works/bess.soc", reads: 1.0))],
    expect: [TakeOverWithin("150 ms"), NoEvent("took_over", (controller: "works/a", from: "+1 min"))],
)
"#;

const KEPT: &str = "persistence: (snapshots: (every: \"5 s\")),";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn scenario(name: &str, persistence: &str) -> PathBuf {
    let path = file(name);
    std::fs::write(&path, SCENARIO.replace("PERSISTENCE", persistence))
        .expect("a test may write its own files");
    path
}

fn recorded(name: &str, persistence: &str) -> (Finished<fragile::Laws>, Vec<u8>) {
    let log = file(&format!("{name}.rlog"));
    let options = Options { record: Some((log.clone(), EffectsKept::Whole)), ..Options::default() };
    let path = scenario(&format!("{name}.ron"), persistence);
    let finished = r_ems::run_file(&path, &Overrides::default(), &options).expect("the scenario runs");
    (finished, std::fs::read(&log).expect("it was just written"))
}

#[test]
fn a_controller_that_fails_is_started_again_with_longer_pauses_and_another_takes_over() {
    for (name, persistence) in [("fails_forgetful", ""), ("fails_kept", KEPT)] {
        let (finished, _log) = recorded(name, persistence);
        let failures = &finished.summary.failures;
        assert!(failures.iter().all(|failure| failure.controller == "works/a"), "{failures:?}");
        let times: Vec<f64> = failures.iter().map(|failure| failure.at_s).collect();
        let pauses: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        // A life is too short to be healthy; it fails when it has started.
        let first = RESTART_FIRST.as_secs_f64();
        let doubled = pauses.iter().zip([1.0, 2.0, 4.0, 8.0]);
        assert!(
            doubled.clone().all(|(pause, times)| (0.0..0.9).contains(&(pause - first * times))),
            "{times:?}"
        );
        assert_eq!(times.len(), 5, "{times:?}");
        assert!(failures[0].words.is_some() && failures[1].words.is_none());
        assert!(finished.summary.held, "{:?}", finished.summary.expectations);
        assert_eq!(finished.summary.take_overs.as_ref().map(|all| all.count), Some(1));
        assert!(finished.machines[1].redundancy().role().holds());
        assert_eq!(finished.machines[0].redundancy().role().name(), "standby", "it lives again");
    }
}

#[test]
fn a_log_with_failures_repeats_them_and_goes_on() {
    for (name, persistence) in [("repeats_forgetful", ""), ("repeats_kept", KEPT)] {
        let (finished, log) = recorded(name, persistence);
        let replayed = replay::<Controller<fragile::Laws>, _>(&log[..]).expect("the log can be read");
        assert!(replayed.divergence.is_none(), "{:?}", replayed.divergence);
        assert_eq!(replayed.digest, finished.digest);
        let of_kind = |kind| {
            let filter = Filter { kinds: vec![kind], ..Filter::ALL };
            Entries::open(&log[..], filter).expect("the log can be read").count()
        };
        assert_eq!((of_kind(Kind::Crashed), of_kind(Kind::Restored)), (5, 5));
    }
}

#[test]
fn a_repaired_law_departs_from_the_log_where_the_broken_one_failed() {
    let (finished, log) = recorded("repaired", "");
    let replayed = replay::<Controller<repaired::Laws>, _>(&log[..]).expect("the log can be read");
    let divergence = replayed.divergence.expect("nothing fails now");
    assert_eq!(divergence.subject, Subject::Assertion);
    assert!((divergence.at_ns as f64 / 1e9 - finished.summary.failures[0].at_s).abs() < 1e-9);
}

#[test]
fn another_grid_of_the_same_host_goes_on() {
    let grid = SCENARIO.split_once("\"works\": (").and_then(|(_, rest)| rest.split_once("controllers:"));
    let grid = grid.expect("the scenario has its grid").0;
    let alone = format!("\"alone\": ({grid}controllers: {{ \"a\": (host: \"a\") }}),\n \"works\": (");
    let (before, plants) = SCENARIO.split_once("plant: {").expect("the scenario has its plant");
    let plant = plants.split_once("\"works\": {").and_then(|(_, rest)| rest.split_once("},\n    }"));
    let plant = plant.expect("the grid has its plant").0;
    let two =
        format!("{}plant: {{ \"alone\": {{ {plant} }}, {plants}", before.replacen("\"works\": (", &alone, 1));
    let path = file("fails_beside.ron");
    std::fs::write(&path, two.replace("PERSISTENCE", KEPT)).expect("a test may write its own files");
    let finished = r_ems::run_file::<fragile::Laws>(&path, &Overrides::default(), &Options::default());
    let finished = finished.expect("the scenario runs");
    let failed: Vec<&str> = finished.summary.failures.iter().map(|failure| &*failure.controller).collect();
    assert_eq!(failed, ["works/a"; 5]);
    let alone = &finished.machines[0];
    assert_eq!(alone.phase(), Phase::Running);
    // 3 min of scans of 100 ms: those of the other grid ended for a while.
    assert!(alone.timing().scans() >= 1_790, "{}", alone.timing().scans());
}

#[test]
fn a_run_with_a_failure_ends_with_an_error() {
    let path = scenario("fails_told.ron", "");
    let run = |path: &Path| ["r-emsctl", "run", path.to_str().expect("the path is text")].map(Into::into);
    assert_eq!(r_ems::emsctl::main::<fragile::Laws>(run(&path)), Exit::Error);
    assert_eq!(r_ems::emsctl::main::<repaired::Laws>(run(&path)), Exit::Violated, "nobody takes over then");
}

#[test]
fn a_search_calls_a_failure_broken_though_the_run_goes_on() {
    let path = file("fails_searched.ron");
    let full = SCENARIO.replace("PERSISTENCE", "").replace("soc: \"90 %\"", "soc: \"100 %\"");
    std::fs::write(&path, full).expect("a test may write its own files");
    let junit = file("fails_searched.xml");
    let of = |path: &Path| path.to_str().expect("the path is text").to_owned();
    let search =
        || ["r-emsctl", "explore", &of(&path), "--runs", "2", "--junit", &of(&junit)].map(Into::into);
    assert_eq!(r_ems::emsctl::main::<fragile::Laws>(search()), Exit::Violated);
    let told = std::fs::read_to_string(&junit).expect("it was just written");
    assert!(told.contains("no assertion fails"), "{told}");
    assert_eq!(r_ems::emsctl::main::<repaired::Laws>(search()), Exit::Ok);
}
