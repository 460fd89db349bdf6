//! A plant that becomes an island, as a scenario says it.

mod own_plant;

use own_plant::{assert_right, loaded, run};

#[test]
fn a_battery_that_forms_carries_its_grid_through_an_outage_and_meets_the_grid_again() {
    let result = run(
        r#"
        "load": Load(rating: "400 kW", source: Constant("100 kW"), power_factor: 1.0),
        "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %", forms: true, droop: "1 %", overload: "120 %"),
        "pcc": GridConnection(import_max: "400 kW", synchro_check: SynchroCheck(time_out: "2 min")),
        "#,
        r#"
        timeline: [At("+10 min", Open("g/pcc")), At("+1202 s", Close("g/pcc"))],
        expect: [
            Bounds("g/pcc.f", (low: "49.8 Hz", high: "50 Hz", from: "+10 min", to: "+20 min")),
            Bounds("g/pcc.v", (low: "0.99 pu", high: "1.01 pu")),
            Bounds("g/pcc.state", (low: 1, high: 1, from: "+601 s", to: "+20 min")),
            Bounds("g/bess.p", (low: "99.9 kW", high: "100.1 kW", from: "+601 s", to: "+20 min")),
            Eventually("g/pcc.waiting >= 1", (from: "+1202 s", within: "1 s")),
            Bounds("g/pcc.state", (name: "it is on the grid again", low: 2, high: 2, from: "+22 min")),
            Bounds("g/bess.trips", (high: 0)),
        ],
        "#,
    );
    assert_right(&result);
    assert!(result.grids[0].energies.unserved_wh < 1e-6);
}

#[test]
fn a_genset_that_fails_once_takes_over_what_is_left_after_an_outage() {
    let result = run(
        r#"
        "vital": Load(rating: "100 kW", source: Constant("20 kW")),
        "laundry": Load(rating: "100 kW", source: Constant("90 kW"), shed_at: ("49.0 Hz", "100 ms")),
        "g1": Genset(rating: "100 kW", set_point: "20 kW", fails_first: 1, crank: "4 s", warm_up: "20 s", governor: (gain: 15.0)),
        "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %"),
        "pcc": GridConnection(import_max: "400 kW"),
        "#,
        r#"
        initial: { "g/bess": (mode: Off) },
        timeline: [
            At("+10 min", Open("g/pcc")), At("+10 min", Open("g/laundry")), At("+11 min", Start("g/g1")),
            At("+20 min", Close("g/laundry")), At("+30 min", Close("g/laundry")),
        ],
        expect: [
            Bounds("g/pcc.state", (low: 0, high: 0, from: "+10 min 1 s", to: "+11 min 27 s")),
            Bounds("g/pcc.state", (name: "it is an island", low: 1, high: 1, from: "+11 min 29 s")),
            Bounds("g/g1.p", (low: "19.9 kW", high: "20.1 kW", from: "+11 min 29 s", to: "+20 min")),
            Eventually("g/laundry.trips >= 1", (from: "+20 min", within: "1 s")),
            Bounds("g/laundry.closed", (high: 0, from: "+20 min 1 s", to: "+29 min 59 s")),
            Bounds("g/g1.starts", (high: 1)),
            Always("g/g1.fuel <= 30"),
        ],
        "#,
    );
    assert_right(&result);
    let energies = &result.grids[0].energies;
    assert!(energies.generated_wh > 15e3 && energies.unserved_wh > 60e3, "{energies:?}");
}

#[test]
fn what_is_wrong_with_an_island_is_said_at_its_place() {
    let report = loaded(
        r#"
        "load": Load(rating: "400 kW", source: Constant("100 kW"), shed_at: ("20 Hz", "100 ms")),
        "g1": Genset(rating: "100 kW", droop: "90 %", governor: (gain: 0.0)),
        "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %", forms: true, filter: "0 s"),
        "off": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %", filter: "10 ms"),
        "pcc": GridConnection(
            import_max: "400 kW", synchro_check: SynchroCheck(slip_min: "5 %", slip_max: "2 %"), nominal: "16.7 Hz",
        ),
        "#,
        "expect: [],",
    );
    let report = report.err().map(|report| report.to_string()).unwrap_or_default();
    for message in [
        "load.shed_at: must be from 40 Hz to 65 Hz, got \"20 Hz\"",
        "governor.gain: must be from 0.01 to 1000, got 0.0",
        "bess.filter: must be from 1 ms to 10 s, got \"0 s\"",
        "unknown field `filter`",
        "synchro_check.slip_min: must be from 0 % to 2 %, got \"5 %\"",
        "pcc.nominal: must be from 40 Hz to 65 Hz, got \"16.7 Hz\"",
    ] {
        assert!(report.contains(message), "{message}\n{report}");
    }
}
