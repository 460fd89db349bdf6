//! What words of the language do when a scenario runs.

use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::Machine;
use r_ems_engine::{Span, Time};
use r_ems_scenarios::{Disk, Loaded, Memory, Overrides, load};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::expect::Verdict;

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

/// The good scenario with another load and duration, with `more` behind its fields, and with settings.
fn scenario(source: &str, duration: &str, more: &str, settings: &[&str]) -> Loaded<BuiltIn> {
    let text = GOOD.replace("profile: (\"short\", \"load_pu\")", &format!("source: {source}"));
    let text = text.replace("duration: \"1 h\"", &format!("duration: \"{duration}\""));
    let (head, _expect) = text.split_once("    expect:").expect("the good scenario expects something");
    let files = Memory::new().with("x.ron", format!("{head}{more}\n)")).with("short.csv", PROFILE);
    let settings = settings.iter().map(ToString::to_string).collect();
    let loaded = load(&files, "x.ron", &Overrides { settings, ..Overrides::default() });
    loaded.unwrap_or_else(|report| panic!("{report}"))
}

fn run(loaded: Loaded<BuiltIn>) -> RunResult {
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let mut driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    fleet.run(&mut driver).expect("no controller fails an assertion");
    driver.finish()
}

fn hours(hours: u64) -> Time {
    Time::ZERO + Span::from_hours(hours)
}

#[test]
fn a_daily_fault_comes_every_day() {
    let more = "faults: [During(Daily(\"23:00\"), Daily(\"01:00\"), Silent(\"g/pcc\"))],";
    let loaded = scenario("Constant(0.1)", "2 days", more, &[]);
    let at: Vec<Time> = loaded.world.timeline.iter().map(|timed| timed.at).collect();
    assert_eq!(at, [hours(0), hours(1), hours(23), hours(25), hours(47), hours(48)]);
}

#[test]
fn a_daily_change_comes_every_day_and_opens_the_breaker_each_time() {
    let more = "timeline: [At(Daily(\"12:00\"), Open(\"g/pcc\")), At(Daily(\"12:30\"), Close(\"g/pcc\"))],";
    let result = run(scenario("Constant(0.1)", "3 days", more, &[]));
    // Three half hours at 40 kW.
    assert!((result.grids[0].energies.unserved_wh - 60e3).abs() < 1.0, "{:?}", result.grids[0].energies);
}

#[test]
fn a_daily_window_is_judged_day_by_day() {
    let more = "expect: [
        Always(\"g/load.p >= -50 kW\", (name: \"quiet nights\", from: Daily(\"22:00\"), to: Daily(\"06:00\"))),
    ],";
    // From the second midnight on, 80 kW.
    let ramp = "Ramp(from: \"40 kW\", to: \"80 kW\", begin: \"+24 h\", end: \"+25 h\")";
    let verdicts = run(scenario(ramp, "2 days", more, &[])).verdicts;
    let held = |verdict: &Verdict| (verdict.name.clone(), verdict.held);
    assert_eq!(
        verdicts.iter().map(held).collect::<Vec<_>>(),
        [
            ("quiet nights, 2016-03-07 00:00".to_string(), true),
            ("quiet nights, 2016-03-07 22:00".to_string(), false),
            ("quiet nights, 2016-03-08 22:00".to_string(), false),
        ]
    );
}

#[test]
fn a_battery_that_is_off_gives_nothing_until_it_is_started_and_has_started() {
    let more = "initial: { \"g/bess\": (mode: Off) },
    timeline: [At(\"+30 min\", Start(\"g/bess\"))],
    expect: [
        Bounds(\"g/bess.p\", (low: \"0 kW\", high: \"0 kW\", to: \"+30 min\")),
        Always(\"g/pcc.p <= 221 kW\", (from: \"+31 min\")),
    ],";
    let verdicts = run(scenario("Constant(\"300 kW\")", "1 h", more, &[])).verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.held), "{verdicts:#?}");
}

#[test]
fn a_battery_that_begins_with_its_start_sequence_follows_after_its_delay() {
    let more = "initial: { \"g/bess\": (mode: Starting) },
    expect: [
        Bounds(\"g/bess.p\", (low: \"0 kW\", high: \"0 kW\", to: \"+40 s\")),
        Always(\"g/pcc.p <= 221 kW\", (from: \"+43 s\")),
    ],";
    let loaded = scenario("Constant(\"300 kW\")", "1 h", more, &["plant.g.bess.start_delay=40 s"]);
    let verdicts = run(loaded).verdicts;
    assert!(verdicts.iter().all(|verdict| verdict.held), "{verdicts:#?}");
}

#[test]
fn the_weeks_excess_lasts_as_long_as_the_profiles_rows_above_the_limit() {
    let settings = [
        "initial={\"commerce/bess\": (mode: Off)}",
        "expect=[Always(\"commerce/pcc.p <= 220 kW\", (except_for: \"1 week\"))]",
    ];
    let settings = settings.map(String::from).to_vec();
    let path = format!("{}/peak_shaving.ron", env!("CARGO_MANIFEST_DIR"));
    let loaded = load(&Disk, &path, &Overrides { settings, ..Overrides::default() });
    let result = run(loaded.unwrap_or_else(|report| panic!("{report}")));
    let excursions = result.verdicts[0].excursions.expect("excursions are forgiven");
    // 66 rows of the profile, a quarter of an hour each, are above 220 kW.
    assert_eq!(excursions.total, Span::from_mins(66 * 15));
}
