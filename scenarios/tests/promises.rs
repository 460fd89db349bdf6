//! The shipped scenarios do what their names say when they run.

use r_ems_engine::Span;
use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::Machine;
use r_ems_scenarios::{Disk, Overrides, load};
use r_ems_sim::driver::{RunResult, SimDriver};

fn run(name: &str, changes: &Overrides) -> RunResult {
    let path = format!("{}/{name}.ron", env!("CARGO_MANIFEST_DIR"));
    let loaded = load::<BuiltIn>(&Disk, &path, changes).unwrap_or_else(|report| panic!("{report}"));
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let mut driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    fleet.run(&mut driver).expect("no controller fails an assertion");
    driver.finish()
}

fn assert_all_held(name: &str, changes: &Overrides) -> RunResult {
    let result = run(name, changes);
    assert!(!result.verdicts.is_empty(), "{name}: nothing was expected");
    assert!(result.verdicts.iter().all(|verdict| verdict.held), "{name}: {:#?}", result.verdicts);
    assert!(result.grids.iter().all(|grid| grid.balance.is_ok()), "{name}: the energies do not balance");
    result
}

#[test]
fn a_week_of_peaks_is_shaved() {
    let result = assert_all_held("peak_shaving", &Overrides::default());
    // Computed from the profile apart from the simulation: 545.2 kWh lie above 220 kW in that week.
    let shaved_wh = result.grids[0].account.shaved_wh().expect("the site has a limit");
    let excess_wh = result.grids[0].account.excess_wh().expect("the site has a limit");
    assert!((shaved_wh + excess_wh - 545_240.0).abs() < 10.0, "{shaved_wh} + {excess_wh} Wh");
    assert!(excess_wh < 0.01 * shaved_wh, "{excess_wh} Wh of {shaved_wh} Wh were missed");
}

#[test]
fn a_week_of_sun_is_used_on_site() {
    let result = assert_all_held("self_consumption", &Overrides::default());
    let energies = result.grids[0].energies;
    let used = 1.0 - energies.export_wh / energies.pv_made_wh;
    // Computed from the profile: 83.7 % without a battery.
    assert!((0.95..0.97).contains(&used), "{used} of the sun is used");
}

#[test]
fn a_late_meter_does_not_make_the_battery_hunt() {
    assert_all_held("hunting", &Overrides::default());
}

#[test]
fn a_late_meter_makes_the_battery_hunt_if_the_site_file_says_that_it_is_not() {
    let setting = "site.grids.commerce.devices.pcc.link.latency=0 s".to_string();
    let result = run("hunting", &Overrides { settings: vec![setting], ..Overrides::default() });
    assert!(
        result.verdicts.iter().any(|verdict| verdict.name == "the battery does not hunt" && !verdict.held)
    );
}

#[test]
fn a_start_under_load_is_bumpless() {
    assert_all_held("startup_under_load", &Overrides::default());
}

#[test]
fn peaks_that_the_battery_cannot_carry_are_missed() {
    let result = run("peak_missed", &Overrides::default());
    assert!(result.verdicts.iter().all(|verdict| !verdict.held), "{:#?}", result.verdicts);
}

#[test]
fn the_first_days_of_the_year_are_shaved() {
    let until = Some(Span::from_hours(24 * 7));
    assert_all_held("year", &Overrides { until, ..Overrides::default() });
}
