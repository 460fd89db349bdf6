//! A crate of one's own: a law that R-EMS does not know is run, recorded, replayed and explained through the library.
//!
//! Such a crate has two dependencies: `r-ems`, and `r-ems-engine` under that name. What `functions_with!` derives names
//! `r_ems_engine::serde` in an attribute, where a macro cannot say "the crate that I am from"; everything else is in `r_ems`.
//!
//! The law keeps room for frequency response and delivers a fixed part of it, so that it and peak shaving share a battery.

use std::path::{Path, PathBuf};

use r_ems::engine::carry::Carry;
use r_ems::engine::controller::Controller;
use r_ems::engine::functions::{BuiltIn, Function, FunctionSet, Rank, View, Wiring, Wish, Wishes};
use r_ems::engine::ids::GroupIndex;
use r_ems::engine::log::EffectsKept;
use r_ems::engine::serde::{Deserialize, Serialize};
use r_ems::engine::units::Watts;
use r_ems::engine::{Span, Time};
use r_ems::scenarios::Overrides;
use r_ems::{Exit, Finished, Options};

/// What a site file says about the law.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "r_ems_engine::serde", deny_unknown_fields)]
pub struct SpinningReserveSpec {
    battery: String,
    up: Watts,
    down: Watts,
    delivered: Watts,
}

/// Keeps room at both ends and delivers a part of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(crate = "r_ems_engine::serde")]
pub struct SpinningReserve {
    battery: [GroupIndex; 1],
    up: Watts,
    down: Watts,
    delivered: Watts,
}

impl Function for SpinningReserve {
    type Spec = SpinningReserveSpec;

    fn build(spec: &SpinningReserveSpec, wiring: &mut Wiring<'_>) -> Self {
        let battery = [wiring.battery("battery", &spec.battery)];
        Self { battery, up: spec.up, down: spec.down, delivered: spec.delivered }
    }

    fn rank(&self) -> Rank {
        Rank::FrequencyResponse
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.battery
    }

    fn carry(&mut self, _carry: &mut Carry<'_>) {}

    fn evaluate(&mut self, _view: &View<'_>, wishes: &mut Wishes) {
        wishes.reserve(self.battery[0], self.up, self.down, self.delivered);
    }
}

r_ems_engine::functions_with! {
    /// The laws of this site.
    pub Laws, LawsSpec { SpinningReserve(SpinningReserve) }
}

const SCENARIO: &str = r#"Scenario(
    version: 1,
    name: "a law of one's own",
    site: Site(
        version: 1,
        time_zone: "UTC+1",
        hosts: { "a": (address: "10.0.0.1:7400") },
        grids: {
            "works": (
                scan: "1 s",
                devices: {
                    "pcc": Meter(link: Points(positive: Import), rating: "400 kW"),
                    "bess": Battery(link: Points(positive: Discharge), rating: "250 kW"),
                },
                functions: [
                    SpinningReserve(battery: "bess", up: "60 kW", down: "40 kW", delivered: "20 kW"),
                    PeakShaving(meter: "pcc", battery: "bess", limit: "100 kW", recharge: "80 kW"),
                ],
                controllers: { "a": (host: "a") },
            ),
        },
    ),
    seed: 3,
    start: "2016-03-07",
    duration: "10 min",
    plant: {
        "works": {
            "load": Load(rating: "400 kW", source: Constant("300 kW")),
            "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "90 %"),
            "pcc": GridConnection(import_max: "400 kW"),
        },
    },
    expect: [
        Never("works/bess.p > 251 kW"),
    ],
)
"#;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn scenario(name: &str) -> PathBuf {
    let path = file(name);
    std::fs::write(&path, SCENARIO).expect("a test may write its own files");
    path
}

fn run(name: &str, options: &Options) -> Finished<Laws> {
    r_ems::run_file(&scenario(name), &Overrides::default(), options).expect("the scenario runs")
}

#[test]
fn a_foreign_law_keeps_its_reserve_and_delivers_it_on_top_of_peak_shaving() {
    let finished = run("foreign_runs.ron", &Options::default());
    assert!(finished.summary.held);
    let group = &finished.machines[0].composition().groups()[0];
    // Shaving wants 200 kW and finds 250 − 60; the delivered 20 kW come on top.
    let decided = group.applied().expect("it has decided").watts();
    assert!((decided - 210e3).abs() < 1e3, "{decided} W");
    let is_reserve = |wish: Option<Wish>| matches!(wish, Some(Wish::Reserve { .. }));
    assert!(group.steps().iter().any(|step| is_reserve(step.wish)));
    assert_eq!(finished.summary.controllers[0].functions[0].name, "SpinningReserve");
}

#[test]
fn a_foreign_law_is_recorded_replayed_and_explained() {
    let log = file("foreign.log");
    let options = Options { record: Some((log.clone(), EffectsKept::Whole)), ..Options::default() };
    let finished = run("foreign_records.ron", &options);
    let bytes = std::fs::read(&log).expect("it was just written");
    let replayed = r_ems::replay::replay::<Controller<Laws>, _>(&bytes[..]).expect("the log can be read");
    assert_eq!(replayed.divergence, None);
    assert_eq!(replayed.digest, finished.digest);
    let until = Time::ZERO + Span::from_mins(5);
    let moment = r_ems::replay::replay_until::<Controller<Laws>, _>(&bytes[..], until).expect("as above");
    let machine = &moment.machines()[0];
    let now = machine.composition().composed_at().expect("it has scanned");
    let explained = r_ems::explanation::explain(&moment.header().controllers[0], machine, now, None, None);
    assert_eq!(explained.groups[0].steps[1].who, "SpinningReserve");
}

#[test]
fn a_program_without_the_law_refuses_its_scenario_and_names_the_place() {
    let refused = r_ems::run_file::<BuiltIn>(
        &scenario("foreign_unknown.ron"),
        &Overrides::default(),
        &Options::default(),
    );
    let failure = refused.expect_err("the built-in set has no such law");
    assert_eq!(failure.exit, Exit::BadScenario);
    assert!(failure.message.contains("foreign_unknown.ron:") && failure.message.contains("SpinningReserve"));
}

#[test]
fn the_whole_program_is_there_for_a_foreign_set() {
    let path = scenario("foreign_check.ron");
    let arguments = ["r-emsctl", "check", path.to_str().expect("the path is text")];
    assert_eq!(r_ems::emsctl::main::<Laws>(arguments.map(Into::into)), Exit::Ok);
    assert_eq!(r_ems::emsctl::main::<BuiltIn>(arguments.map(Into::into)), Exit::BadScenario);
    assert_eq!(<Laws as FunctionSet>::NAMES.last(), Some(&"SpinningReserve"));
}
