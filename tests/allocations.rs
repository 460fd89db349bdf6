//! In the steady state a run allocates nothing per delivery: shown with an allocator that counts.

use std::alloc::System;
use std::path::Path;

use r_ems::engine::controller::Controller;
use r_ems::engine::fleet::{Fleet, Turn};
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::machine::Machine;
use r_ems::engine::{Span, Time};
use r_ems::replay::Digesting;
use r_ems::scenarios::{Disk, Overrides, load};
use r_ems::sim::driver::SimDriver;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn a_simulated_day_allocates_nothing_once_it_is_under_way() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/peak_shaving.ron");
    let path = path.to_str().expect("a path that is text");
    let loaded = load::<BuiltIn>(&Disk, path, &Overrides::default()).expect("a shipped scenario is right");
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let world = SimDriver::new(loaded.world).expect("links fit their bus");
    let mut driver = Digesting::new(world, loaded.controllers.len());
    let mut turns_until = |until: Span| {
        let mut turns = 0_u64;
        while driver.driver().now() < Time::ZERO + until {
            assert_eq!(fleet.turn(&mut driver), Ok(Turn::Handled));
            turns += 1;
        }
        turns
    };
    turns_until(Span::from_hours(1));
    let region = Region::new(ALLOCATOR);
    let turns = turns_until(Span::from_hours(25));
    let change = region.change();
    assert!(turns > 200_000, "{turns} deliveries");
    assert_eq!((change.allocations, change.reallocations), (0, 0), "in {turns} deliveries");
}
