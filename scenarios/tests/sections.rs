//! A plant with sections, as a scenario says it: a vessel whose main switchboard has two.

mod own_plant;

use own_plant::{assert_right, loaded, run};
use r_ems_engine::Span;
use r_ems_sim::plant::{BusError, MAX_SECTIONS, SectionIndex};

/// Gensets and loads on both sides, shore power on the port side, and a tie between them.
const VESSEL: &str = r#"
    "pcc": GridConnection(import_max: "400 kW"),
    "hotel": Load(rating: "400 kW", source: Constant("60 kW"), power_factor: 1.0),
    "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %"),
    "g1": Genset(rating: "200 kW", set_point: "60 kW", crank: "1 s", warm_up: "5 s", governor: (gain: 15.0)),
    "tie": BusTie(section: "starboard", synchro_check: SynchroCheck(slip_min: "0 %", time_out: "5 min")),
    "galley": Load(rating: "100 kW", source: Constant("40 kW"), power_factor: 1.0, section: "starboard"),
    "g2": Genset(rating: "200 kW", set_point: "42 kW", crank: "1 s", warm_up: "5 s", section: "starboard", governor: (gain: 9.0)),
"#;

#[test]
fn a_vessel_parts_its_switchboard_under_load_and_joins_it_in_phase() {
    let result = run(
        VESSEL,
        r#"
        initial: { "g/bess": (mode: Off) },
        timeline: [
            At("+1 min", Start("g/g2")), At("+5 min", Open("g/tie")), At("+10 min", Close("g/tie")),
        ],
        expect: [
            Bounds("g/tie.p", (name: "shore carries both sides", low: "40 kW", high: "40 kW", to: "+1 min")),
            Bounds("g/tie.p", (name: "the genset's set-point", low: "-2.1 kW", high: "-1.9 kW", from: "+3 min", to: "+5 min")),
            Bounds("g/tie.state", (name: "a side of its own", low: 1, high: 1, from: "+5 min 1 s", to: "+10 min")),
            Bounds("g/pcc.state", (low: 2, high: 2)),
            Bounds("g/g2.p", (low: "39.9 kW", high: "40.1 kW", from: "+8 min", to: "+10 min")),
            Bounds("g/tie.f", (low: "50.01 Hz", high: "50.1 Hz", from: "+8 min", to: "+10 min")),
            Bounds("g/pcc.p", (low: "60 kW", high: "60 kW", from: "+5 min 1 s", to: "+10 min")),
            Eventually("g/tie.waiting >= 1", (from: "+10 min", within: "1 s")),
            Bounds("g/tie.closed", (name: "it has met", low: 1, from: "+12 min")),
            Bounds("g/tie.trips", (high: 0)),
            AtEnd("g.dead <= 0 s"),
            AtEnd("g.island <= 7 min"),
        ],
        "#,
    );
    assert_right(&result);
    assert!(result.grids[0].energies.unserved_wh < 1e-6);
    let island = result.grids[0].account.supply().island();
    assert!(island >= Span::from_mins(5), "{island}");
}

#[test]
fn a_side_begins_dark_when_its_tie_begins_open_and_lives_when_it_is_closed() {
    let result = run(
        VESSEL,
        r#"
        initial: { "g/tie": (breaker: Open), "g/pcc": (breaker: Closed), "g/bess": (mode: Off) },
        timeline: [At("+10 min", Close("g/tie"))],
        expect: [
            Bounds("g/tie.state", (name: "dark", low: 0, high: 0, to: "+10 min")),
            Bounds("g/tie.v", (high: "0 pu", to: "+10 min")),
            Bounds("g/galley.p", (high: "0 kW", low: "0 kW", to: "+10 min")),
            Bounds("g/tie.p", (low: "40 kW", high: "40 kW", from: "+10 min")),
            AtEnd("g.dead <= 10 min"),
        ],
        "#,
    );
    assert_right(&result);
    let unserved_wh = result.grids[0].energies.unserved_wh;
    assert!((unserved_wh - 40e3 / 6.0).abs() < 1e-6, "{unserved_wh}");
}

#[test]
fn components_stand_where_their_sections_say() {
    let loaded = loaded(
        r#"
        "aft_tie": BusTie(section: "aft", to: "starboard"),
        "pcc": GridConnection(import_max: "400 kW"),
        "load": Load(rating: "400 kW", source: Constant("1 kW"), section: "aft"),
        "starboard_tie": BusTie(section: "starboard", to: "main"),
        "pv": Pv(rating: "100 kW", source: Constant("1 kW"), section: "main"),
        "bess": Battery(capacity: "500 kWh", rating: "250 kW", soc: "50 %", section: "starboard"),
        "#,
        "",
    );
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    let bus = &loaded.world.grids[0].bus;
    let indexes = (0..bus.components().len() as u16).map(r_ems_sim::plant::ComponentIndex);
    let sections: Vec<u8> = indexes.map(|index| bus.section_of(index).0).collect();
    assert_eq!(sections, [1, 0, 1, 2, 0, 2]);
}

#[test]
fn as_many_sections_as_a_bus_has_are_allowed_and_no_more() {
    let chain = |sections: usize| {
        let tie = |section: usize| {
            let to = if section == 1 { "main".to_owned() } else { format!("s{}", section - 1) };
            format!("\"t{section}\": BusTie(section: \"s{section}\", to: \"{to}\"),")
        };
        let ties: String = (1..sections).map(tie).collect();
        loaded(&format!("{VESSEL} {}", ties.replace("\"t1\"", "\"first\"")), "")
    };
    // The vessel has two of its own.
    assert!(chain(MAX_SECTIONS - 1).is_ok());
    let report = chain(MAX_SECTIONS).err().map(|report| report.to_string()).unwrap_or_default();
    assert!(report.contains("expected at most 16 sections with \"main\", got 17"), "{report}");
    assert!(BusError::Ties { section: SectionIndex(1), found: 0 }.to_string().contains("needs 1 tie"));
}
