//! What holds an island: gensets that start and stop, loads that are shed and come back, and the way back to the grid.

mod site;

use r_ems_engine::Span;
use r_ems_engine::controller::mode::GridMode;
use r_ems_engine::event::Event;
use r_ems_engine::functions::gensets::GensetsSpec;
use r_ems_engine::functions::heavy::HeavySpec;
use r_ems_engine::functions::load_shedding::LoadSheddingSpec;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::{BuiltIn, BuiltInSpec, Function, FunctionSet};
use r_ems_engine::ids::GroupIndex;
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::Ratio;
use site::{BATTERY_W, BREAKER_W, GENSET_W, Island, LOAD_W, Reading, Site, every_function, kilowatts};

/// Numbers of states as the point `state` tells them.
const OFF: f64 = 0.0;
const STARTING: f64 = 1.0;
const RUNNING: f64 = 4.0;
const FAULT: f64 = 6.0;

/// The places of devices.
const GENSETS: [usize; 2] = [5, 6];
const OVEN: usize = 7;
const BREAKER: usize = 8;
const CRANE: usize = 9;

/// The specification of a function as the contract has it.
fn usual(name: &str) -> BuiltInSpec {
    every_function().into_iter().find(|spec| BuiltIn::name(spec) == name).expect("it is under contract")
}

/// Scans with the breaker open and batteries that give `given` and are charged to `charge`.
fn island(site: &mut Site, scans: u32, given: f64, charge: f64, engines: [(f64, f64); 2]) {
    let battery = Some((given / 2.0, charge, BATTERY_W));
    for _scan in 0..scans {
        site.island = Island { is_closed: false, engines, ..site.island };
        site.scan(Reading { pcc: Some(0.0), batteries: [battery, battery], pv: Some(0.0) });
    }
}

/// Scans on the grid.
fn grid(site: &mut Site, scans: u32, import: f64) {
    for _scan in 0..scans {
        site.island = Island { is_closed: true, ..site.island };
        site.scan(Reading::quiet(import, 0.0));
    }
}

/// What the gensets were told, to the milliwatt.
fn told(site: &Site) -> [f64; 2] {
    GENSETS.map(|genset| (site.held[genset] * 1e3).round() / 1e3)
}

#[test]
fn gensets_rest_on_the_grid_and_one_starts_at_once_where_nobody_else_holds_the_island() {
    let mut site = Site::of(&[usual("Gensets")]);
    grid(&mut site, 5, 200e3);
    assert_eq!(told(&site), [0.0, 0.0]);
    island(&mut site, 3, 50e3, 0.2, [(0.0, OFF); 2]);
    assert_eq!(told(&site), [0.3 * GENSET_W, 0.0], "the first of the list, with the least that one gives");
    grid(&mut site, 3, 200e3);
    assert_eq!(told(&site), [0.0, 0.0], "and it stops when the grid is back");
}

#[test]
fn another_starts_where_the_load_is_above_its_share_for_long_enough_and_all_give_the_same() {
    let mut site = Site::of(&[usual("Gensets")]);
    island(&mut site, 3, 0.0, 0.2, [(0.0, STARTING), (0.0, OFF)]);
    // 180 kW of load and 20 kW of reserve are more than 85 % of 200 kW.
    island(&mut site, 9, 0.0, 0.2, [(180e3, RUNNING), (0.0, OFF)]);
    assert_eq!(
        told(&site),
        [0.85 * GENSET_W, 0.0],
        "the batteries are low: it charges them too, as far as it goes"
    );
    island(&mut site, 3, 0.0, 0.2, [(180e3, RUNNING), (0.0, OFF)]);
    assert_eq!(told(&site), [0.85 * GENSET_W, 0.3 * GENSET_W]);
    island(&mut site, 2, 0.0, 0.2, [(100e3, RUNNING), (80e3, RUNNING)]);
    assert_eq!(told(&site), [115e3, 115e3], "180 kW of load and 50 kW of charge");
    // 80 kW and the reserve are below 60 % of what one would be: 20 s after it has run for 30 s the last one stops.
    island(&mut site, 60, 0.0, 0.2, [(40e3, RUNNING), (40e3, RUNNING)]);
    assert_eq!(told(&site), [130e3, 0.0]);
}

#[test]
fn one_that_fails_is_reset_and_the_next_one_starts_at_once() {
    let mut site = Site::of(&[usual("Gensets")]);
    island(&mut site, 3, 50e3, 0.2, [(0.0, STARTING), (0.0, OFF)]);
    assert_eq!(told(&site), [60e3, 0.0]);
    island(&mut site, 1, 50e3, 0.2, [(0.0, FAULT), (0.0, OFF)]);
    assert_eq!(told(&site), [0.0, 60e3]);
    // One that does not come onto the bus in time has failed too, and the first may be tried again after a while.
    island(&mut site, 20, 50e3, 0.2, [(0.0, OFF), (0.0, STARTING)]);
    assert_eq!(told(&site), [0.0, 0.0]);
    island(&mut site, 20, 50e3, 0.2, [(0.0, OFF), (0.0, OFF)]);
    assert_eq!(told(&site), [60e3, 0.0]);
}

#[test]
fn what_is_lost_with_the_grid_is_shed_in_the_same_scan_and_comes_back_when_there_is_room() {
    let mut site = Site::of(&[usual("LoadShedding")]);
    site.island.oven = 90e3;
    grid(&mut site, 5, 700e3);
    assert_eq!(site.held[OVEN], LOAD_W);
    // 700 kW were imported; two batteries of 250 kW do not bear that.
    island(&mut site, 1, 500e3, 0.6, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], 0.0);
    site.island.oven = 0.0;
    island(&mut site, 30, 400e3, 0.6, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], 0.0, "90 kW more than 400 kW are more than 95 % of 500 kW");
    island(&mut site, 19, 300e3, 0.4, [(0.0, OFF); 2]);
    island(&mut site, 25, 300e3, 0.4, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], 0.0, "batteries at 40 % hold what there is, and nothing more");
    island(&mut site, 20, 300e3, 0.6, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], 0.0);
    island(&mut site, 2, 300e3, 0.6, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], LOAD_W, "there has been room for 20 s");
}

#[test]
fn a_source_that_trips_takes_its_power_with_it_and_on_the_grid_all_come_back() {
    let mut site = Site::of(&[usual("LoadShedding")]);
    island(&mut site, 5, 450e3, 0.6, [(150e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], LOAD_W, "600 kW of 700 kW");
    // What is measured in the instant of a trip is no measure of what the loads want.
    island(&mut site, 1, 440e3, 0.6, [(0.0, FAULT), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], 0.0);
    grid(&mut site, 20, 900e3);
    assert_eq!(site.held[OVEN], 0.0);
    grid(&mut site, 2, 900e3);
    assert_eq!(site.held[OVEN], LOAD_W);
}

#[test]
fn a_load_that_its_own_relay_has_opened_is_left_open_until_there_is_room() {
    let mut site = Site::of(&[usual("LoadShedding")]);
    island(&mut site, 5, 400e3, 0.4, [(0.0, OFF); 2]);
    site.held[OVEN] = 0.0;
    let writes = site.writes[OVEN];
    island(&mut site, 10, 300e3, 0.4, [(0.0, OFF); 2]);
    assert_eq!((site.held[OVEN], site.writes[OVEN] - writes), (0.0, 1), "it is told once to stay so");
}

#[test]
fn where_nothing_holds_the_bus_everything_is_shed() {
    let mut site = Site::of(&[usual("LoadShedding")]);
    site.island.oven = 0.0;
    island(&mut site, 4, 0.0, 0.1, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], 0.0);
}

#[test]
fn the_breaker_is_asked_when_the_grid_was_right_for_long_enough_and_let_be_when_it_does_not_close() {
    let mut site = Site::of(&[usual("Reconnect")]);
    grid(&mut site, 4, 100e3);
    assert_eq!(site.held[BREAKER], BREAKER_W);
    site.island.behind = [0.0, 0.0];
    island(&mut site, 1, 100e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!(site.held[BREAKER], 0.0, "what has opened it is not overruled");
    site.island.behind = [1.0, 50.0];
    island(&mut site, 30, 100e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!(site.held[BREAKER], 0.0);
    island(&mut site, 1, 100e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!(site.held[BREAKER], BREAKER_W);
    island(&mut site, 20, 100e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!(site.held[BREAKER], 0.0, "20 s are over");
    island(&mut site, 10, 100e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!(site.held[BREAKER], BREAKER_W, "it is asked again");
    // A grid that is wrong again begins anew.
    site.island.behind = [0.85, 50.0];
    island(&mut site, 1, 100e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!(site.held[BREAKER], 0.0);
}

#[test]
fn functions_of_the_grid_have_no_say_on_an_island_and_begin_from_the_measured_power_when_they_have_again() {
    let shaving = PeakShavingSpec {
        meter: "pcc".into(),
        battery: "batteries".into(),
        limit: kilowatts(100.0),
        recharge: kilowatts(50.0),
        reserve: Ratio::of(0.2),
        window: Window::Instant,
    };
    let mut site = Site::of(&[usual("Reconnect"), BuiltInSpec::PeakShaving(shaving)]);
    grid(&mut site, 4, 300e3);
    assert_eq!(site.decided(), 200e3);
    island(&mut site, 3, 120e3, 0.5, [(0.0, OFF); 2]);
    assert_eq!((site.decided(), site.controller.composition().mode()), (0.0, Some(GridMode::Island)));
    site.island.is_closed = true;
    let battery = Some((60e3, 0.5, BATTERY_W));
    site.scan(Reading { pcc: Some(30e3), batteries: [battery, battery], pv: Some(0.0) });
    assert_eq!(site.decided(), 120e3, "it goes on with what the batteries give");
    let told = |wanted: Event| site.events.iter().filter(|event| **event == wanted).count();
    assert_eq!((told(Event::Islanded), told(Event::Rejoined)), (1, 1));
}

#[test]
fn as_long_as_nobody_knows_where_the_breaker_stands_everything_stays_as_it_is() {
    let mut site = Site::of(&[usual("Gensets"), usual("LoadShedding"), usual("Reconnect")]);
    site.held[GENSETS[0]] = 90e3;
    site.island.breaker_answers = false;
    island(&mut site, 200, 0.0, 0.6, [(90e3, RUNNING), (0.0, OFF)]);
    assert_eq!((told(&site), site.held[OVEN], site.held[BREAKER]), ([90e3, 0.0], LOAD_W, BREAKER_W));
    assert_eq!(site.controller.composition().mode(), None);
    site.island.breaker_answers = true;
    island(&mut site, 3, 0.0, 0.6, [(90e3, RUNNING), (0.0, OFF)]);
    assert_eq!((told(&site), site.held[BREAKER]), ([90e3, 0.0], 0.0));
    // What was known last counts while it is lost.
    site.island.breaker_answers = false;
    island(&mut site, 60, 0.0, 0.6, [(90e3, RUNNING), (0.0, OFF)]);
    assert_eq!(told(&site), [90e3, 0.0]);
}

#[test]
fn a_genset_that_cannot_be_seen_gives_what_it_gave_and_nobody_is_stopped_for_it() {
    let mut site = Site::of(&[usual("Gensets")]);
    island(&mut site, 60, 0.0, 0.2, [(100e3, RUNNING), (100e3, RUNNING)]);
    assert_eq!(told(&site), [125e3, 125e3], "200 kW of load and 50 kW of charge");
    site.island.engines_answer = [false, true];
    island(&mut site, 200, 0.0, 0.2, [(100e3, RUNNING), (30e3, RUNNING)]);
    assert_eq!(told(&site), [90e3, 90e3], "130 kW of load and 50 kW of charge, also when it is seen no more");
}

#[test]
fn a_source_that_cannot_be_seen_is_no_reason_to_shed() {
    let mut site = Site::of(&[usual("LoadShedding")]);
    island(&mut site, 5, 0.0, 0.1, [(150e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], LOAD_W);
    site.island.engines_answer = [false, true];
    island(&mut site, 60, 0.0, 0.1, [(150e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], LOAD_W);
}

#[test]
fn an_emergency_stop_closes_no_breaker_and_lets_gensets_start_when_it_is_reset() {
    let mut site = Site::of(&[usual("Gensets"), usual("Reconnect")]);
    island(&mut site, 33, 50e3, 0.2, [(60e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[BREAKER], BREAKER_W, "it is asked to close");
    site.command(Command::EmergencyStop);
    island(&mut site, 40, 0.0, 0.2, [(0.0, OFF), (0.0, OFF)]);
    assert_eq!((told(&site), site.held[BREAKER]), ([0.0, 0.0], 0.0));
    site.command(Command::Reset);
    island(&mut site, 3, 0.0, 0.2, [(0.0, OFF), (0.0, OFF)]);
    assert_eq!(told(&site), [60e3, 0.0], "none is taken for one that failed");
}

#[test]
fn a_breaker_that_was_told_to_close_is_not_told_again() {
    let mut site = Site::of(&[usual("Reconnect")]);
    grid(&mut site, 4, 100e3);
    let writes = site.writes[BREAKER];
    grid(&mut site, 200, 100e3);
    assert_eq!((site.writes[BREAKER] - writes, site.held[BREAKER]), (0, BREAKER_W));
}

#[test]
fn what_holds_no_island_sheds_no_load_by_it() {
    let wrong = LoadSheddingSpec {
        loads: vec!["oven".into(), "oven".into()],
        heavy: Vec::new(),
        import_max: None,
        overload_after: Span::from_secs(10),
        meter: "pcc".into(),
        gensets: None,
        battery: None,
        battery_above: Ratio::of(0.2),
        restore_above: Ratio::of(0.5),
        reserve: Ratio::of(0.05),
        restore_after: Span::from_mins(1),
    };
    let errors = Site::errors(&[BuiltInSpec::LoadShedding(wrong)]);
    assert_eq!(
        errors,
        [
            "loads: must be each load once, got \"oven\" twice",
            "gensets: must be given, or else battery: what holds the island, got neither"
        ]
    );
}

/// The oven as a consumer that asks by the receiver, on a connection that bears `import_max`.
fn heavy(import_max: Option<f64>) -> LoadSheddingSpec {
    let BuiltInSpec::LoadShedding(spec) = usual("LoadShedding") else { unreachable!("it is that") };
    let heavy = vec![HeavySpec { load: "oven".into(), asks: "ripple".into() }];
    LoadSheddingSpec { loads: Vec::new(), heavy, import_max: import_max.map(kilowatts), ..spec }
}

#[test]
fn a_heavy_consumer_waits_until_a_genset_was_started_for_it_and_may_run_as_long_as_it_asks() {
    let BuiltInSpec::Gensets(gensets) = usual("Gensets") else { unreachable!("it is that") };
    let shedding = heavy(None);
    let gensets = GensetsSpec { heavy: shedding.heavy.clone(), ..gensets };
    let mut site = Site::of(&[BuiltInSpec::Gensets(gensets), BuiltInSpec::LoadShedding(shedding)]);
    (site.held[OVEN], site.island.oven, site.ripple) = (0.0, 0.0, Some(0.0));
    let one = [(120e3, RUNNING), (0.0, OFF)];
    island(&mut site, 5, 0.0, 0.1, one);
    assert_eq!((site.held[OVEN], told(&site)[1]), (0.0, 0.0));
    // 120 kW and 20 kW of reserve are 70 % of one genset; 120 kW more are not, nor are they within its rating.
    site.ripple = Some(1.0);
    island(&mut site, 9, 0.0, 0.1, one);
    assert_eq!((site.held[OVEN], told(&site)[1]), (0.0, 0.0));
    island(&mut site, 3, 0.0, 0.1, one);
    assert_eq!(
        (site.held[OVEN], told(&site)[1]),
        (0.0, 0.3 * GENSET_W),
        "the second genset starts, the oven waits"
    );
    island(&mut site, 2, 0.0, 0.1, [(70e3, RUNNING), (50e3, RUNNING)]);
    assert_eq!(site.held[OVEN], LOAD_W);
    // It takes little yet: what it may take is kept for it, and both gensets stay.
    island(&mut site, 60, 0.0, 0.1, [(70e3, RUNNING), (50e3, RUNNING)]);
    assert!(told(&site)[1] > 0.0, "{:?}", told(&site));
    // A signal that is lost changes nothing, and one that asks no more opens it.
    site.ripple = None;
    island(&mut site, 30, 0.0, 0.1, [(70e3, RUNNING), (50e3, RUNNING)]);
    assert_eq!(site.held[OVEN], LOAD_W);
    site.ripple = Some(0.0);
    island(&mut site, 2, 0.0, 0.1, [(70e3, RUNNING), (50e3, RUNNING)]);
    assert_eq!(site.held[OVEN], 0.0);
}

#[test]
fn a_heavy_consumer_goes_first_when_a_source_trips_and_one_that_runs_at_the_start_goes_on() {
    let mut site = Site::of(&[BuiltInSpec::LoadShedding(heavy(None))]);
    site.island.oven = 110e3;
    island(&mut site, 5, 0.0, 0.1, [(150e3, RUNNING), (150e3, RUNNING)]);
    assert_eq!(site.held[OVEN], LOAD_W);
    island(&mut site, 1, 0.0, 0.1, [(180e3, RUNNING), (0.0, FAULT)]);
    assert_eq!(site.held[OVEN], 0.0, "300 kW are more than one bears");
}

#[test]
fn shore_power_bears_no_more_than_it_is_rated_for() {
    let mut site = Site::of(&[BuiltInSpec::LoadShedding(heavy(Some(250.0)))]);
    (site.held[OVEN], site.island.oven) = (0.0, 0.0);
    grid(&mut site, 5, 140e3);
    assert_eq!(site.held[OVEN], 0.0, "140 kW and 120 kW are too much");
    grid(&mut site, 2, 120e3);
    assert_eq!(site.held[OVEN], LOAD_W);
    site.island.oven = 115e3;
    grid(&mut site, 5, 249e3);
    grid(&mut site, 9, 260e3);
    assert_eq!(site.held[OVEN], LOAD_W, "for a while it may be more");
    grid(&mut site, 3, 260e3);
    assert_eq!(site.held[OVEN], 0.0);
}

#[test]
fn a_bus_without_voltage_is_dead_whatever_batteries_could_give_and_a_genset_starts_on_it() {
    let mut site = Site::of(&[usual("Gensets"), usual("LoadShedding")]);
    grid(&mut site, 5, 300e3);
    // Batteries at 60 % say that they could give 500 kW, and none of them holds the bus.
    site.grid = [0.0, 50.0];
    island(&mut site, 1, 0.0, 0.6, [(0.0, OFF); 2]);
    assert_eq!(
        site.controller.composition().mode(),
        Some(GridMode::Island),
        "a voltage may sink for a moment"
    );
    island(&mut site, 1, 0.0, 0.6, [(0.0, OFF); 2]);
    assert_eq!(site.controller.composition().mode(), Some(GridMode::Dead));
    assert!(site.events.contains(&Event::BlackedOut) && site.events.contains(&Event::Islanded));
    assert_eq!(site.held[OVEN], 0.0, "all is shed");
    island(&mut site, 1, 0.0, 0.6, [(0.0, OFF); 2]);
    assert_eq!(told(&site)[0], 0.3 * GENSET_W, "and one starts as soon as gensets have a say");
    site.grid = [1.0, 50.0];
    island(&mut site, 1, 0.0, 0.6, [(0.0, RUNNING), (0.0, OFF)]);
    assert_eq!(site.controller.composition().mode(), Some(GridMode::Island));
    assert!(site.events.contains(&Event::Energized) && !site.events.contains(&Event::Rejoined));
    let grounds = site.controller.composition().slots()[1].law().grounds(GroupIndex(1)).expect("it has shed");
    assert_eq!((grounds.needed.watts(), grounds.available.watts()), (90e3, 0.0));
}

#[test]
fn nothing_comes_back_that_a_forming_battery_cannot_bear_at_once() {
    let mut site = Site::of(&[BuiltInSpec::LoadShedding(heavy(None))]);
    (site.held[OVEN], site.island.oven) = (0.0, 0.0);
    // A genset of 200 kW gives little yet, so that batteries which have 500 kW give 400 kW.
    island(&mut site, 20, 400e3, 0.6, [(10e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], 0.0, "120 kW would be more than they can, until it follows");
    island(&mut site, 2, 250e3, 0.6, [(160e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], LOAD_W);
}

/// The oven as an ordinary load, and a second one, called crane, that asks by the receiver.
fn with_crane() -> Site {
    let BuiltInSpec::LoadShedding(spec) = usual("LoadShedding") else { unreachable!("it is that") };
    let asking = vec![HeavySpec { load: "crane".into(), asks: "ripple".into() }];
    let spec = LoadSheddingSpec { loads: vec!["oven".into()], heavy: asking, ..spec };
    Site::of(&[BuiltInSpec::LoadShedding(spec)])
}

#[test]
fn a_heavy_consumer_goes_before_other_loads_and_is_not_let_run_on_measurements_of_the_instant_of_a_loss() {
    let mut site = with_crane();
    site.island.crane = 100e3;
    grid(&mut site, 5, 500e3);
    assert_eq!((site.held[OVEN], site.held[CRANE]), (LOAD_W, LOAD_W));
    // The grid is lost; the batteries do not show yet what they give, and the crane's breaker is slow.
    island(&mut site, 1, 0.0, 0.6, [(0.0, OFF); 2]);
    assert_eq!((site.held[OVEN], site.held[CRANE]), (LOAD_W, 0.0), "500 kW are more than 475 kW");
    island(&mut site, 3, 490e3, 0.6, [(0.0, OFF); 2]);
    assert_eq!((site.held[OVEN], site.held[CRANE]), (LOAD_W, 0.0), "what it still takes goes with it");
}

#[test]
fn a_load_that_comes_back_and_one_that_asks_do_not_get_the_same_room() {
    let mut site = with_crane();
    (site.island.oven, site.island.crane, site.ripple) = (90e3, 0.0, Some(0.0));
    grid(&mut site, 5, 700e3);
    island(&mut site, 1, 500e3, 0.6, [(0.0, OFF); 2]);
    assert_eq!(site.held[OVEN], 0.0);
    // 475 kW less 300 kW are room for the oven's 90 kW or for the crane's 120 kW, not for both.
    site.ripple = Some(1.0);
    for _scan in 0..60 {
        let oven = if site.held[OVEN] > 0.0 { 90e3 } else { 0.0 };
        site.island.oven = oven;
        island(&mut site, 1, 300e3 + oven, 0.6, [(0.0, OFF); 2]);
        assert!(site.held[OVEN] == 0.0 || site.held[CRANE] == 0.0);
    }
    assert_eq!(site.held[OVEN], LOAD_W, "who was shed comes first");
}

#[test]
fn nothing_comes_back_on_a_dead_bus_whatever_batteries_say() {
    let mut site = with_crane();
    grid(&mut site, 5, 100e3);
    site.grid = [0.0, 50.0];
    for _scan in 0..60 {
        island(&mut site, 1, 0.0, 0.6, [(0.0, OFF); 2]);
    }
    let told = (site.writes[OVEN], site.writes[CRANE]);
    assert_eq!((site.held[OVEN], site.held[CRANE], told), (0.0, 0.0, told));
    island(&mut site, 30, 0.0, 0.6, [(0.0, OFF); 2]);
    assert_eq!((site.held[OVEN], site.held[CRANE]), (0.0, 0.0));
    assert!(
        site.writes[OVEN] <= told.0 + 1 && site.writes[CRANE] <= told.1 + 1,
        "nobody switches them to and fro"
    );
}

#[test]
fn a_genset_starts_for_a_load_that_waits() {
    let BuiltInSpec::Gensets(gensets) = usual("Gensets") else { unreachable!("it is that") };
    let gensets = GensetsSpec { loads: vec!["oven".into()], least: 0, ..gensets };
    let mut site = Site::of(&[BuiltInSpec::Gensets(gensets), usual("LoadShedding")]);
    (site.held[OVEN], site.island.oven) = (0.0, 0.0);
    // Batteries at 40 % bear what there is, and nothing more: with them alone the oven would wait until they are full again.
    island(&mut site, 20, 400e3, 0.4, [(0.0, OFF); 2]);
    assert_eq!((site.held[OVEN], told(&site)[0]), (0.0, 0.3 * GENSET_W));
    island(&mut site, 30, 150e3, 0.4, [(60e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], 0.0, "200 kW bear 210 kW and the oven no better");
    island(&mut site, 30, 0.0, 0.4, [(60e3, RUNNING), (0.0, OFF)]);
    assert_eq!(site.held[OVEN], LOAD_W);
}
