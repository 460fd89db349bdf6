//! In the steady state a run allocates nothing per delivery, recorded or not, and neither does a replay: shown with an allocator
//! that counts. It counts for the whole process, so that this program has one test.

use std::alloc::System;
use std::io;
use std::path::Path;

use r_ems::engine::controller::{Controller, ControllerSpec};
use r_ems::engine::fleet::{Fleet, Turn};
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::log::{EffectsKept, Header, Scope};
use r_ems::engine::machine::{Driver, Machine};
use r_ems::engine::{Span, Time};
use r_ems::replay::{Digesting, Recorder, replay_until};
use r_ems::scenarios::{Disk, Overrides, load};
use r_ems::sim::driver::SimDriver;
use r_ems::{Options, run_file};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is run in before anything is counted.
const WARM_UP: Time = Time::from_nanos(3_600_000_000_000);
/// Up to where it is counted: a day later.
const END: Time = Time::from_nanos(25 * 3_600_000_000_000);
/// How many deliveries that must be at least.
const DELIVERIES: u64 = 200_000;

fn scenario() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/peak_shaving.ron")
}

fn loaded() -> (Vec<ControllerSpec<BuiltIn>>, SimDriver) {
    let path = scenario();
    let path = path.to_str().expect("a path that is text");
    let loaded = load::<BuiltIn>(&Disk, path, &Overrides::default()).expect("a shipped scenario is right");
    (loaded.controllers, SimDriver::new(loaded.world).expect("links fit their bus"))
}

/// Runs a fleet and counts what the day after the warm-up allocates.
fn assert_no_allocation<D: Driver>(
    fleet: &mut Fleet<Controller<BuiltIn>>,
    driver: &mut D,
    now: impl Fn(&D) -> Time,
) {
    let mut turns_until = |until: Time| {
        let mut turns = 0_u64;
        while now(driver) < until {
            assert_eq!(fleet.turn(driver), Ok(Turn::Handled));
            turns += 1;
        }
        turns
    };
    turns_until(WARM_UP);
    let region = Region::new(ALLOCATOR);
    let turns = turns_until(END);
    let change = region.change();
    assert!(turns > DELIVERIES, "{turns} deliveries");
    assert_eq!((change.allocations, change.reallocations), (0, 0), "in {turns} deliveries");
}

fn header(effects: EffectsKept) -> Header {
    let names = r_ems::study::load::load::<BuiltIn>(&scenario(), &Overrides::default());
    let names = names.expect("a shipped scenario is right").study.facts.controllers;
    Header { effects, ..Header::new(&[], names) }
}

#[test]
fn a_day_allocates_nothing_once_it_is_under_way() {
    simulated_day();
    recorded_day();
    replayed_day();
}

fn simulated_day() {
    let (controllers, world) = loaded();
    let mut fleet = Fleet::new(controllers.iter().map(Controller::new).collect());
    let mut driver = Digesting::new(world, controllers.len());
    assert_no_allocation(&mut fleet, &mut driver, |driver| driver.driver().now());
}

fn recorded_day() {
    for effects in [EffectsKept::Digests, EffectsKept::Whole] {
        let header = header(effects);
        let (controllers, world) = loaded();
        let mut fleet = Fleet::new(controllers.iter().map(Controller::new).collect());
        let recorder = Recorder::new(world, io::sink(), header, Scope::Fleet, fleet.machines());
        let mut recorder = recorder.expect("the void takes all");
        assert_no_allocation(&mut fleet, &mut recorder, |recorder| recorder.driver().now());
    }
}

fn replayed_day() {
    for (name, effects) in
        [("allocations.rlog", EffectsKept::Digests), ("allocations_whole.rlog", EffectsKept::Whole)]
    {
        let log = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let overrides = Overrides { until: Some(Span::from_hours(26)), ..Overrides::default() };
        let options = Options { record: Some((log.clone(), effects)), ..Options::default() };
        run_file::<BuiltIn>(&scenario(), &overrides, &options).expect("a shipped scenario runs");
        let log = std::fs::File::open(&log).expect("it was just written");
        let mut replay = replay_until::<Controller<BuiltIn>, _>(log, WARM_UP).expect("it replays");
        let before = replay.driver().deliveries();
        let region = Region::new(ALLOCATOR);
        replay.run_until(END).expect("it replays");
        let change = region.change();
        let deliveries = replay.driver().deliveries() - before;
        assert!(deliveries > DELIVERIES, "{deliveries} deliveries");
        assert_eq!((change.allocations, change.reallocations), (0, 0), "in {deliveries} deliveries");
        assert_eq!(replay.result().divergence, None);
    }
}
