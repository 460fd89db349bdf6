//! The shipped scenarios do what their names say when they run.

use r_ems_engine::Span;
use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::Machine;
use r_ems_scenarios::at_end::in_places;
use r_ems_scenarios::{Disk, Overrides, load};
use r_ems_sim::driver::{RunResult, SimDriver};

fn run(name: &str, changes: &Overrides) -> RunResult {
    let path = format!("{}/{name}.ron", env!("CARGO_MANIFEST_DIR"));
    let loaded = load::<BuiltIn>(&Disk, &path, changes).unwrap_or_else(|report| panic!("{report}"));
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let driver = SimDriver::new(loaded.world).expect("the checker has seen every link");
    let mut driver = match &loaded.tariff {
        Some(tariff) => driver.with_prices(&tariff.prices, tariff.demand_per_kw),
        None => driver,
    };
    fleet.run(&mut driver).expect("no controller fails an assertion");
    let mut result = driver.finish();
    result.verdicts = in_places(&loaded.at_end, result.verdicts.clone(), |sum| sum.judge(&result));
    result
}

fn assert_all_held(name: &str, changes: &Overrides) -> RunResult {
    let result = run(name, changes);
    assert!(!result.verdicts.is_empty(), "{name}: nothing was expected");
    assert!(result.verdicts.iter().all(|verdict| verdict.held), "{name}: {:#?}", result.verdicts);
    assert!(result.grids.iter().all(|grid| grid.balance.is_ok()), "{name}: the energies do not balance");
    result
}

/// What a sum over a run may differ from one over the profile's rows: rounding of a million segments.
const TOLERANCE_WH: f64 = 1.0;
/// What a peak may differ from the profile's: rounding of the same.
const TOLERANCE_W: f64 = 1e-3;

/// Energy above the grid's limit without batteries, and the highest quarter of an hour.
fn baseline(result: &RunResult) -> (f64, f64) {
    let account = &result.grids[0].account;
    let shaved_wh = account.shaved_wh().expect("the site has a limit");
    let excess_wh = account.excess_wh().expect("the site has a limit");
    (shaved_wh + excess_wh, account.peak_without_batteries().expect("whole quarters").mean_w)
}

/// The profile's rows are means over a quarter of an hour. Energies and peaks were computed from them by a program of its
/// own, `max(0, load - pv - limit)` summed over rows.
fn assert_baseline(result: &RunResult, above_wh: f64, peak_w: f64) {
    let (found_wh, found_w) = baseline(result);
    assert!((found_wh - above_wh).abs() < TOLERANCE_WH, "{found_wh} Wh above the limit, not {above_wh} Wh");
    assert!((found_w - peak_w).abs() < TOLERANCE_W, "a peak of {found_w} W, not {peak_w} W");
}

#[test]
fn a_week_of_peaks_is_shaved() {
    let result = assert_all_held("peak_shaving", &Overrides::default());
    assert_baseline(&result, 622_895.865, 366_133.84);
    let account = &result.grids[0].account;
    let excess_wh = account.excess_wh().expect("the site has a limit");
    // Each of the week's steps is seen a scan late.
    assert!(excess_wh < 0.001 * 622_896.0, "{excess_wh} Wh were missed");
    let peak_w = account.peak().expect("whole quarters").mean_w;
    assert!(peak_w < 220_500.0, "{peak_w} W");
}

#[test]
fn a_weeks_bill_without_batteries_is_that_of_its_profile() {
    let result = run("peak_shaving", &Overrides::default());
    let bill = result.grids[0].account.bill().expect("the scenario has a tariff");
    let charges = bill.without_batteries();
    // Summed over the profile's rows apart from the simulation, with the higher price from 17:00 to 20:00.
    assert!((charges.energy - 5_850.617_268_5).abs() < 1e-6, "{charges:?}");
    assert!((charges.export_revenue - 26.837_226_5).abs() < 1e-6, "{charges:?}");
    // What the battery's losses cost is less than what it moved out of the dear hours.
    assert!(bill.with_batteries().energy < charges.energy, "{:?}", bill.with_batteries());
}

#[test]
fn the_year_has_the_peaks_of_its_profile() {
    // What the plant would do without its battery does not depend on the scan; this one makes the year short.
    let setting = "site.grids.commerce.scan=15 s".to_string();
    let result = run("year", &Overrides { settings: vec![setting], ..Overrides::default() });
    assert_baseline(&result, 5_132_595.48, 400_000.0);
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
fn a_noisy_day_is_shaved_whatever_the_noise() {
    for seed in [None, Some(1), Some(2)] {
        assert_all_held("noisy_day", &Overrides { seed, ..Overrides::default() });
    }
}

#[test]
fn peaks_are_shaved_over_a_fieldbus_that_fails_in_every_way_whatever_the_noise() {
    for name in ["flaky_fieldbus", "flaky_wire"] {
        for seed in [None, Some(1), Some(2)] {
            assert_all_held(name, &Overrides { seed, ..Overrides::default() });
        }
    }
}

#[test]
fn an_evening_is_shaved_over_a_serial_line_whatever_its_meter_says_too_late() {
    for seed in [None, Some(1)] {
        assert_all_held("peak_shaving_serial", &Overrides { seed, ..Overrides::default() });
    }
}

#[test]
fn a_fieldbus_that_fails_is_too_much_for_a_site_that_believes_old_values_or_never_doubts_its_gateway() {
    for careless in ["pcc.stuck_after=3 h", "pcc.max_age=3 h", "bess.max_age=3 h", "bess.reversion=3 h"] {
        let setting = format!("site.grids.commerce.devices.{careless}");
        let result = run("flaky_fieldbus", &Overrides { settings: vec![setting], ..Overrides::default() });
        assert!(result.verdicts.iter().any(|verdict| !verdict.held), "{careless} breaks nothing");
    }
}

#[test]
fn a_start_under_load_is_bumpless() {
    assert_all_held("startup_under_load", &Overrides::default());
}

#[test]
fn peaks_that_the_battery_cannot_carry_are_missed() {
    let result = run("peak_missed", &Overrides::default());
    assert!(result.verdicts.iter().all(|verdict| !verdict.held), "{:#?}", result.verdicts);
    assert_baseline(&result, 1_758_408.17, 341_137.2);
    // About 0.43 MWh of it are left; what a battery of this size leaves depends on its losses.
    let excess_wh = result.grids[0].account.excess_wh().expect("the site has a limit");
    assert!((400_000.0..460_000.0).contains(&excess_wh), "{excess_wh} Wh were drawn all the same");
}

#[test]
fn the_first_days_of_the_year_are_shaved() {
    let until = Some(Span::from_hours(24 * 7));
    assert_all_held("year", &Overrides { until, ..Overrides::default() });
}

#[test]
fn what_is_written_to_devices_at_the_wire_does_what_their_registers_say() {
    for name in ["heartbeat", "worn_registers"] {
        assert_all_held(name, &Overrides::default());
    }
}
