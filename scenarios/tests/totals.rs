//! Sums of a whole run: what a plant came to by hand, what an expectation compares, and what has no sums.

use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::BuiltIn;
use r_ems_engine::machine::Machine;
use r_ems_scenarios::at_end::in_places;
use r_ems_scenarios::totals::of_grid;
use r_ems_scenarios::{Memory, Overrides, Report, load};
use r_ems_sim::driver::{RunResult, SimDriver};

const GOOD: &str = include_str!("bad/good.ron");
const PROFILE: &str = include_str!("bad/short.csv");

const QUIET: &str = r#"
    "load": Load(rating: "400 kW", source: Constant("100 kW"), power_factor: 1.0),
    "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %", forms: true, droop: "1 %", start_delay: "0 s"),
    "pcc": GridConnection(import_max: "400 kW"),
"#;

/// The good scenario with a plant, and with `more` in place of what it expects.
fn loaded(plant: &str, more: &str) -> Result<r_ems_scenarios::Loaded<BuiltIn>, Report> {
    let (head, _rest) = GOOD.split_once("    plant: {").expect("the good scenario has a plant");
    let text = format!("{head}    plant: {{ \"g\": {{ {plant} }} }},\n{more}\n)");
    let files = Memory::new().with("x.ron", text).with("short.csv", PROFILE);
    load(&files, "x.ron", &Overrides::default())
}

/// Runs it and judges what it expects.
fn run(plant: &str, more: &str) -> RunResult {
    let loaded = loaded(plant, more).unwrap_or_else(|report| panic!("{report}"));
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

fn assert_held(result: &RunResult) {
    assert!(!result.verdicts.is_empty());
    assert!(result.verdicts.iter().all(|verdict| verdict.held), "{:#?}", result.verdicts);
    assert_eq!(result.grids[0].balance, Ok(()));
}

/// What is wrong with what is expected.
fn refused(plant: &str, expected: &str) -> String {
    loaded(plant, &format!("expect: [AtEnd({expected:?})],")).expect_err(expected).to_string()
}

#[test]
fn a_turbine_makes_what_its_curve_says_and_its_limit_leaves() {
    let wind =
        |more: &str| format!("{QUIET} \"wind\": Wind(rating: \"300 kW\", source: Constant(8.0){more}),");
    // (8³ − 3³) / (12³ − 3³) of 300 kW is 85.54 kW: of a load of 100 kW that is as much less to import.
    let sums = ["pv_made >= 85.4 kWh", "pv_made <= 85.7 kWh", "pv_used >= 85.4 kWh"];
    let expected = format!("expect: [{}],", sums.map(|sum| format!("AtEnd(\"g.{sum}\")")).join(", "));
    assert_held(&run(&wind(""), &expected));
    assert_held(&run(&wind(", cut_in: 8.5"), "expect: [AtEnd(\"g.pv_made <= 0.01 kWh\")],"));
    let refused = |more: &str| loaded(&wind(more), "").expect_err(more).to_string();
    let restart = refused(", restart: 26");
    assert!(restart.contains("restart must be above rated_speed and at most cut_out, got 26"), "{restart}");
    let fast = refused(", rated_speed: 2.5");
    assert!(fast.contains("rated_speed must be above cut_in, got 2.5"), "{fast}");
}

#[test]
fn a_genset_that_runs_for_an_hour_takes_the_fuel_of_its_curve() {
    let plant = format!("{QUIET} \"gen\": Genset(rating: \"200 kW\", set_point: \"100 kW\"),");
    // 0.08145 l/h for each of 200 kW, and 0.246 l for each of 100 kWh: 16.29 + 24.6.
    let result = run(
        &plant,
        r#"
        initial: { "g/gen": (mode: Running) },
        expect: [
            AtEnd("g.generated >= 99.99 kWh"), AtEnd("g.generated <= 100.01 kWh"),
            AtEnd("g.genset_hours >= 0.999"), AtEnd("g.genset_hours <= 1.001"),
            AtEnd("g.fuel >= 40.88"), AtEnd("g.fuel <= 40.90"), AtEnd("g.genset_starts <= 0"),
        ],
        "#,
    );
    assert_held(&result);
    let [used] = result.grids[0].account.gensets() else { panic!("one genset") };
    assert!((used.fuel_l - 40.89).abs() < 1e-3, "{used:?}");
}

#[test]
fn a_genset_that_is_started_twice_has_two_starts() {
    let plant =
        format!("{QUIET} \"gen\": Genset(rating: \"200 kW\", warm_up: \"10 s\", cool_down: \"10 s\"),");
    let result = run(
        &plant,
        r#"
        timeline: [
            At("+1 min", Start("g/gen")), At("+5 min", Stop("g/gen")),
            At("+10 min", Start("g/gen")), At("+15 min", Stop("g/gen")),
        ],
        expect: [AtEnd("g.genset_starts >= 2"), AtEnd("g.genset_starts <= 2"), AtEnd("g.genset_hours <= 0.2")],
        "#,
    );
    assert_held(&result);
}

#[test]
fn an_outage_shows_in_the_extremes_of_the_frequency_and_in_how_long_the_grid_was_an_island() {
    // 100 kW of 250 kW at a droop of 1 %: 50 Hz (1 - 0.004).
    let result = run(
        QUIET,
        r#"
        timeline: [At("+10 min", Open("g/pcc")), At("+20 min", Close("g/pcc"))],
        expect: [
            AtEnd("g.f_min >= 49.79 Hz"), AtEnd("g.f_min <= 49.81 Hz"), AtEnd("g.f_max <= 50.01 Hz"),
            AtEnd("g.v_min >= 0.99 pu"), AtEnd("g.v_max <= 1.01 pu"),
            AtEnd("g.island >= 10 min"), AtEnd("g.island <= 12 min"), AtEnd("g.dead <= 0 s"),
        ],
        "#,
    );
    assert_held(&result);
    let supply = result.grids[0].account.supply();
    let low = supply.frequency_hz().expect("it was held").low;
    let (from, to) = (600.0, 600.0 + supply.island().as_secs_f64());
    assert!((from..to).contains(&low.1.as_secs_f64()), "{low:?}");
}

#[test]
fn a_grid_that_nothing_holds_is_dead_and_has_no_extremes_of_that() {
    let plant = QUIET.replace("forms: true, droop: \"1 %\", ", "");
    let result = run(
        &plant,
        r#"
        timeline: [At("+10 min", Open("g/pcc")), At("+20 min", Close("g/pcc"))],
        expect: [
            AtEnd("g.dead >= 10 min"), AtEnd("g.dead <= 10 min"), AtEnd("g.island <= 0 s"), AtEnd("g.f_min >= 50 Hz"),
            AtEnd("g.v_min >= 1 pu"), AtEnd("g.unserved >= 16.66 kWh"),
        ],
        "#,
    );
    assert_held(&result);
}

#[test]
fn a_weak_line_shows_in_the_extremes_of_the_voltage() {
    // A rest of the battery: what is drawn is the load. At 4 MVA and R = X, 400 kW drawn leave 0.920 of the voltage.
    let plant = r#"
        "load": Load(
            rating: "400 kW", source: Ramp(from: "0 W", to: "400 kW", begin: "+10 min", end: "+30 min"), power_factor: 1.0,
        ),
        "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %"),
        "pcc": GridConnection(import_max: "400 kW", short_circuit: "4 MVA", r_to_x: 1.0),
    "#;
    let result = run(
        plant,
        r#"
        initial: { "g/bess": (mode: Off) },
        expect: [AtEnd("g.v_min >= 0.9195 pu"), AtEnd("g.v_min <= 0.9205 pu"), AtEnd("g.v_max <= 1 pu"), AtEnd("g.writes >= 1")],
        "#,
    );
    assert_held(&result);
    // The meter takes no set-points, the battery all of them.
    let writes: Vec<u64> = result.traffic[0].iter().map(|traffic| traffic.writes).collect();
    assert_eq!((result.grids[0].writes, writes[0]), (writes[1], 0), "{writes:?}");
}

const TARIFF: &str = r#"tariff: (currency: "EUR", import: "0.20 EUR/kWh", demand: "2 EUR/kW")"#;

#[test]
fn costs_are_compared_in_the_currency_of_the_tariff() {
    // The battery rests: 100 kWh at 0.20, and 100 kW at 2.
    let more = format!(
        r#"{TARIFF}, initial: {{ "g/bess": (mode: Off) }}, expect: [
            AtEnd("g.energy_cost >= 19.99 EUR"), AtEnd("g.energy_cost <= 20.01 EUR"),
            AtEnd("g.demand_cost >= 199.99 EUR"), AtEnd("g.demand_cost <= 200.01 EUR"),
            AtEnd("g.cost >= 219.99 EUR"), AtEnd("g.cost <= 220.01 EUR"), AtEnd("g.saved <= 0.01 EUR"),
        ],"#
    );
    assert_held(&run(QUIET, &more));
}

#[test]
fn a_price_that_happens_changes_the_bill_from_then_on_or_for_a_while() {
    // 50 kWh at 0.20, 25 kWh at 0.40, and 25 kWh in a window at 1.00.
    let more = format!(
        r#"{TARIFF}, initial: {{ "g/bess": (mode: Off) }},
        timeline: [
            At("+30 min", Price(import: "0.40 EUR/kWh")),
            During("+45 min", "+60 min", Price(import: "1.00 EUR/kWh", export: "0.10 EUR/kWh")),
        ],
        expect: [AtEnd("g.energy_cost >= 44.99 EUR"), AtEnd("g.energy_cost <= 45.01 EUR")],"#
    );
    assert_held(&run(QUIET, &more));
}

#[test]
fn a_price_that_cannot_be_is_told_where_it_stands() {
    let wrong = |tariff: &str, change: &str| {
        let report = loaded(QUIET, &format!("{tariff} timeline: [{change}],")).expect_err(change);
        assert_eq!(report.counts(), (1, 0), "{report}");
        report.to_string()
    };
    let tariff = format!("{TARIFF},");
    let none = wrong("", "At(\"+1 min\", Price(import: \"0.40 EUR/kWh\"))");
    assert!(none.contains("a price is one of the scenario's `tariff`, and there is none"), "{none}");
    let currency = wrong(&tariff, "At(\"+1 min\", Price(import: \"0.40 USD/kWh\"))");
    assert!(
        currency.contains("expected a price such as \"0.28 EUR/kWh\", got \"0.40 USD/kWh\""),
        "{currency}"
    );
    let nothing = wrong(&tariff, "At(\"+1 min\", Price())");
    assert!(nothing.contains("expected `import` or `export`"), "{nothing}");
    let unknown =
        wrong(&tariff, "During(\"+1 min\", \"+2 min\", Price(import: \"1 EUR/kWh\", demand: \"1 EUR/kW\"))");
    assert!(unknown.contains("unknown field `demand`; allowed: import, export"), "{unknown}");
    let late = wrong(&tariff, "During(\"+2 min\", \"+1 min\", Price(import: \"1 EUR/kWh\"))");
    assert!(late.contains("must be later than the beginning"), "{late}");
}

#[test]
fn what_a_grid_does_not_have_has_no_sums() {
    let loaded = loaded(QUIET, "").expect("it is right");
    let columns: Vec<String> =
        of_grid(&loaded.world.grids[0], None).iter().map(|total| total.column()).collect();
    for there in ["import_wh", "shaved_wh", "peak_w", "cycles", "f_min_hz", "v_max_pu", "island_s", "writes"]
    {
        assert!(columns.iter().any(|column| column == there), "{there}: {columns:?}");
    }
    for missing in ["pv_made_wh", "generated_wh", "fuel", "cost", "energy_cost_ratio"] {
        assert!(columns.iter().all(|column| column != missing), "{missing}: {columns:?}");
    }
    assert!(
        refused(QUIET, "g.generated >= 1 kWh").contains("\"generated\" needs a Genset in the plant of \"g\"")
    );
    assert!(refused(QUIET, "g.pv_made >= 1 kWh").contains("\"pv_made\" needs a Pv in the plant of \"g\""));
    let tariff = refused(QUIET, "g.cost <= 1500 EUR");
    assert!(tariff.contains("what energy costs is known by a `tariff` only, and there is none"), "{tariff}");
}

#[test]
fn an_amount_has_the_unit_of_its_sum() {
    let dollars =
        loaded(QUIET, &format!("{TARIFF}, expect: [AtEnd(\"g.cost <= 5 USD\")],")).expect_err("other money");
    assert!(
        dollars.to_string().contains("expected an amount such as \"1500 EUR\", got \"5 USD\""),
        "{dollars}"
    );
    assert!(refused(QUIET, "g.dead <= 2").contains("expected a span"));
    assert!(refused(QUIET, "g.cycles <= 2 kWh").contains("expected a number"));
}
