//! Sweeps: a table with a row for each run, the same whatever the number of threads, and what is wrong with a value.

use serde_json::Value;

use crate::{SCENARIO, code, emsctl, errors, json, text};

const CAPACITY: &str = "plant.commerce.bess.capacity";
const LIMIT: &str = "site.grids.commerce.functions[1].limit";
/// The first evening of the scenario has no more than 187 kW: limits below it are swept, and this must be below them.
const RECHARGE: &str = "site.grids.commerce.functions[1].recharge=120kW";

/// The cells of a table, without those that hold commas: none of ours does.
fn table(text: &str) -> Vec<Vec<String>> {
    text.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

/// The cell of a column in a row of a table.
fn cell<'t>(table: &'t [Vec<String>], row: usize, column: &str) -> &'t str {
    let place = table[0].iter().position(|title| title == column);
    &table[row][place.unwrap_or_else(|| panic!("no {column} in {:?}", table[0]))]
}

/// What a run of its own comes to.
fn alone(settings: &[&str]) -> Value {
    let set: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let run = ["run", SCENARIO, "--until", "20 h", "--format", "json"];
    let output = emsctl(&[&run[..], &set].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    json(&output)
}

#[test]
fn a_row_is_what_a_run_of_its_own_comes_to_whatever_the_number_of_threads() {
    let sweep = format!("{CAPACITY}=250,500kWh");
    let limit = format!("{LIMIT}=150,160 kW");
    let run = ["run", SCENARIO, "--until", "20 h", "--set", RECHARGE, "--sweep", &sweep, "--sweep", &limit];
    let outputs = ["1", "2", "5"].map(|jobs| emsctl(&[&run[..], &["--jobs", jobs]].concat()));
    for output in &outputs {
        assert_eq!(code(output), 0, "{}", errors(output));
        assert_eq!(output.stdout, outputs[0].stdout);
    }
    let table = table(&text(&outputs[0]));
    assert_eq!(table.len(), 5, "{table:?}");
    let titles = [format!("{CAPACITY} [kWh]"), format!("{LIMIT} [kW]")];
    assert_eq!(table[0][..2], titles);
    let values: Vec<String> = table[1..].iter().map(|row| row[..2].join(" ")).collect();
    assert_eq!(values, ["250 150", "250 160", "500 150", "500 160"]);
    assert!(table.iter().all(|row| row.len() == table[0].len()), "{table:?}");
    let summary = alone(&[RECHARGE, &format!("{CAPACITY}=250kWh"), &format!("{LIMIT}=160 kW")]);
    let grid = &summary["grids"][0];
    let shaving = summary["controllers"][0]["functions"].as_array().expect("a list").iter();
    let shaving = shaving.clone().find(|known| known["name"] == "PeakShaving").expect("the site has one");
    for (column, expected) in [
        ("commerce.import_wh", &grid["energy_wh"]["import"]),
        ("commerce.conversion_loss_wh", &grid["energy_wh"]["conversion_loss"]),
        ("commerce.peak_w", &grid["peak"]["mean_w"]),
        ("commerce.shaved_wh", &grid["shaved_wh"]),
        ("commerce.cycles", &grid["batteries"][0]["cycles"]),
        ("commerce.soc_min", &grid["batteries"][0]["soc_min"]),
        ("commerce.energy_cost", &grid["cost"]["energy"]),
        ("commerce.demand_cost", &grid["cost"]["demand"]),
        ("commerce.cost", &grid["cost"]["total"]),
        ("commerce.saved", &grid["cost"]["saved"]),
        ("commerce.PeakShaving.bound_s", &shaving["bound_s"]),
        ("commerce.PeakShaving.short_wh", &shaving["short_wh"]),
    ] {
        let found: f64 = cell(&table, 2, column).parse().expect("a number");
        let expected = expected.as_f64().expect("a number");
        // JSON is read back to the last digit but one.
        assert!((found - expected).abs() <= expected.abs() * 1e-12, "{column}: {found}, not {expected}");
    }
    // A smaller battery and a lower limit are not the same run.
    assert_ne!(cell(&table, 1, "commerce.shaved_wh"), cell(&table, 4, "commerce.shaved_wh"));
}

#[test]
fn an_expectation_that_a_run_misses_is_named_in_its_row_and_is_no_failure_of_the_sweep() {
    // 20 kWh cannot hold 150 kW through the first evening; the shipped battery can.
    let (sweep, limit) = (format!("{CAPACITY}=20,500kWh"), format!("{LIMIT}=150 kW"));
    let expected = "expect[0]=Always(\"commerce/pcc.p <= 155 kW\", (except_for: \"2 s\"))";
    let set = ["--set", RECHARGE, "--set", &limit, "--set", expected];
    let run = ["run", SCENARIO, "--until", "20 h", "--sweep", &sweep];
    let output = emsctl(&[&run[..], &set].concat());
    assert_eq!(code(&output), 0, "{}", errors(&output));
    let table = table(&text(&output));
    let missed = |row| (cell(&table, row, "expectations_missed"), cell(&table, row, "missed"));
    assert_ne!(missed(1).0, "0", "{table:?}");
    assert!(missed(1).1.contains("commerce/pcc.p <= 155 kW"), "{table:?}");
    assert_eq!(missed(2), ("0", ""));
    // Two sums are about the whole run.
    assert_eq!(cell(&table, 2, "expectations_not_judged"), "2");
}

#[test]
fn a_wrong_value_is_found_before_the_first_run_and_named_with_its_path() {
    let sweep = format!("{CAPACITY}=500,-5kWh");
    let output = emsctl(&["run", SCENARIO, "--sweep", &sweep]);
    assert_eq!(code(&output), 5, "{}", text(&output));
    assert!(output.stdout.is_empty(), "{}", text(&output));
    let told = errors(&output);
    assert!(
        told.contains(&format!("--sweep {CAPACITY}=-5kWh: plant.commerce.bess.capacity: must be above 0")),
        "{told}"
    );
    let output = emsctl(&["run", SCENARIO, "--sweep", "plant.commerce.bes.capacity=1,2kWh"]);
    assert_eq!(code(&output), 5);
    assert!(errors(&output).contains("did you mean `bess`?"), "{}", errors(&output));
}

#[test]
fn what_is_no_sweep_is_refused_as_an_argument() {
    let many: Vec<String> = (1..=101).map(|number| number.to_string()).collect();
    let many = many.join(",");
    let (seeds, sizes) = (format!("seed={many}"), format!("{CAPACITY}={many}MWh"));
    for (arguments, told) in [
        (vec!["--sweep", "seed"], "expected path=value"),
        (vec!["--sweep", "seed=1,,2"], "seed: expected values with commas between"),
        (vec!["--sweep", "seed=1,2,1"], "each value is given once, got 1 twice"),
        (vec!["--sweep", "seed=1", "--sweep", "seed=2"], "seed is swept twice"),
        (vec!["--sweep", &seeds, "--sweep", &sizes], "expected at most 10000 runs"),
        (vec!["--sweep", "seed=1,2", "--record", "x.rlog"], "cannot be used with"),
        (vec!["--sweep", "seed=1,2", "--format", "json"], "a sweep prints CSV"),
        (vec!["--jobs", "2"], "--sweep"),
    ] {
        let output = emsctl(&[&["run", SCENARIO][..], &arguments].concat());
        assert_eq!(code(&output), 2, "{arguments:?}: {}", errors(&output));
        assert!(errors(&output).contains(told), "{arguments:?}: {}", errors(&output));
    }
}
