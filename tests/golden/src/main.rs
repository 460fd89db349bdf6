//! Prints the digests of a fixed list of short runs, one `name digest` a line, to be compared between platforms.
//!
//! It links everything that decides and nothing of the command line, so that it builds for every target. README.md beside
//! this folder's digests says what it promises.

use std::io::Write;
use std::process::ExitCode;

use r_ems_engine::controller::Controller;
use r_ems_engine::digest::{Digest, Hasher};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::{BuiltIn, FunctionSet};
use r_ems_engine::log::{ControllerNames, Header};
use r_ems_engine::machine::Machine;
use r_ems_replay::Digesting;
use r_ems_scenarios::{Disk, Overrides, load};
use r_ems_sim::driver::{RunResult, SimDriver};

/// The runs: name, scenario, and how much of it.
const RUNS: [(&str, &str, &str); 21] = [
    ("peak_shaving", "scenarios/peak_shaving.ron", "1 day"),
    ("year", "scenarios/year.ron", "1 day"),
    ("self_consumption", "scenarios/self_consumption.ron", "1 day"),
    ("peak_missed", "scenarios/peak_missed.ron", "1 day"),
    ("hunting", "scenarios/hunting.ron", "10 min"),
    ("startup_under_load", "scenarios/startup_under_load.ron", "5 min"),
    ("noisy_day", "scenarios/noisy_day.ron", "2 h"),
    ("flaky_fieldbus", "scenarios/flaky_fieldbus.ron", "1 h 15 min"),
    ("flaky_wire", "scenarios/flaky_wire.ron", "2 h 16 min"),
    ("sunspec_older", "scenarios/sunspec_older.ron", "15 min"),
    ("every_source", "tests/golden/every_source.ron", "2 h"),
    ("volt_var", "scenarios/volt_var.ron", "14 h"),
    ("frequency_response", "scenarios/frequency_response.ron", "3 h 30 min"),
    ("tariff_day", "scenarios/tariff_day.ron", "1 day"),
    ("switch_day", "scenarios/switch_day.ron", "12 h"),
    ("switch_day_autumn", "scenarios/switch_day_autumn.ron", "12 h"),
    ("grid_operator", "scenarios/grid_operator.ron", "14 h"),
    ("island", "tests/golden/island.ron", "30 min"),
    ("workshop", "scenarios/island.ron", "15 min"),
    ("black_start", "scenarios/black_start.ron", "10 min"),
    ("vessel", "scenarios/vessel.ron", "32 min"),
];

fn main() -> ExitCode {
    for (name, path, until) in RUNS {
        match digests(path, until) {
            Ok((run, plant)) => {
                if writeln!(std::io::stdout(), "{name} {run}\n{name}.plant {plant}").is_err() {
                    return ExitCode::FAILURE;
                }
            }
            Err(message) => {
                let _ = writeln!(std::io::stderr(), "{name}: {message}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// The digests of a run's machines and of its plant.
fn digests(path: &str, until: &str) -> Result<(Digest, Digest), String> {
    let until = until.parse().map_err(|error| format!("{error}"))?;
    let overrides = Overrides { until: Some(until), ..Overrides::default() };
    let loaded = load::<BuiltIn>(&Disk, path, &overrides).map_err(|report| report.to_string())?;
    let names = loaded.controllers.iter().map(|spec| ControllerNames {
        grid: spec.grid.clone(),
        id: spec.id.clone(),
        devices: Vec::new(),
        functions: Vec::new(),
    });
    let header = Header::new(BuiltIn::NAMES, names.collect());
    let mut fleet = Fleet::new(loaded.controllers.iter().map(Controller::new).collect());
    let world = SimDriver::new(loaded.world).map_err(|missing| format!("{missing:?}"))?;
    let mut driver = Digesting::new(world, loaded.controllers.len());
    fleet.run(&mut driver).map_err(|poisoned| poisoned.to_string())?;
    let run = driver.digest(&header, fleet.machines());
    Ok((run, plant_digest(&driver.into_driver().finish())))
}

/// Digests what the plant did: energies, peaks and verdicts, bit by bit.
fn plant_digest(result: &RunResult) -> Digest {
    let mut hasher = Hasher::new();
    let mut number = |value: f64| hasher.update(&value.to_bits().to_le_bytes());
    for grid in &result.grids {
        let energies = &grid.energies;
        for value in [
            energies.import_wh,
            energies.export_wh,
            energies.load_wh,
            energies.unserved_wh,
            energies.pv_made_wh,
            energies.pv_available_wh,
            energies.charge_wh,
            energies.discharge_wh,
            energies.conversion_wh,
            energies.standby_wh,
            energies.stored_wh,
            grid.account.shaved_wh().unwrap_or(0.0),
        ] {
            number(value);
        }
    }
    for verdict in &result.verdicts {
        number(verdict.margin);
        number(verdict.value);
        number(verdict.at.as_secs_f64());
    }
    hasher.finish()
}
