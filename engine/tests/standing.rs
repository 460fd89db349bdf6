//! Devices that are controlled at their panels, in fault, or not running yet: who takes over, what is told to them, and how they
//! come back. That nothing is written to one that has said so is asserted by the site itself, in every write of every test.

mod site;

use proptest::prelude::*;

use r_ems_engine::Span;
use r_ems_engine::controller::Phase;
use r_ems_engine::event::Event;
use r_ems_engine::functions::connection_limit::ConnectionLimitSpec;
use r_ems_engine::functions::manual::ManualSpec;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::ramp_limit::RampLimitSpec;
use r_ems_engine::functions::{BuiltIn, BuiltInSpec, FunctionSet};
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::math::at_least;
use r_ems_engine::points::{DeviceSpec, PointKind};
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::{Ratio, Watts, WattsPerSecond};
use site::{
    BATTERY_W, BREAKER_W, DEVICES, Island, LOAD_W, PV_W, Reading, Says, Site, every_function, kilowatts,
    stacks, telling,
};

const FIRST: usize = 1;
const SECOND: usize = 2;
const PV: usize = 3;
const GENSETS: [usize; 2] = [5, 6];
const OVEN: usize = 7;
const BREAKER: usize = 8;

fn shaving(battery: &str) -> BuiltInSpec {
    BuiltInSpec::PeakShaving(PeakShavingSpec {
        meter: "pcc".into(),
        battery: battery.into(),
        limit: kilowatts(220.0),
        recharge: kilowatts(170.0),
        reserve: Ratio::of(0.2),
        window: Window::Instant,
    })
}

fn usual(name: &str) -> BuiltInSpec {
    every_function().into_iter().find(|spec| BuiltIn::name(spec) == name).expect("it is under contract")
}

/// Scans with this load in which batteries do what they were told last; those at their panels keep at it.
fn live(site: &mut Site, load: f64, scans: u32) {
    for _scan in 0..scans {
        site.live(load, 0.0, [0.5, 0.5]);
    }
}

/// A scan in which the first battery has tripped.
fn tripped(site: &mut Site, load: f64) {
    let second = -site.held[SECOND];
    let batteries = [Some((0.0, 0.5, BATTERY_W)), Some((second, 0.5, BATTERY_W))];
    site.scan(Reading { pcc: Some(load - second), batteries, pv: Some(0.0) });
}

fn told(site: &Site, kind: &str) -> usize {
    site.events.iter().filter(|event| event.kind() == kind).count()
}

/// Two batteries that shave 80 kW each.
fn shaving_site() -> Site {
    let mut site = Site::with(&[shaving("batteries")], telling);
    live(&mut site, 380e3, 10);
    assert_eq!(site.set_points(), [80e3, 80e3]);
    site
}

#[test]
fn the_other_takes_over_in_the_scan_in_which_one_is_taken_to_its_panel() {
    let mut site = shaving_site();
    let writes = site.writes[FIRST];
    site.says[FIRST] = Says::LOCAL;
    live(&mut site, 480e3, 1);
    assert_eq!(
        site.set_points(),
        [80e3, 180e3],
        "what it does at its panel counts, and the other does the rest"
    );
    // Somebody changes what it does, and far longer than its reversion nothing is told to it.
    site.held[FIRST] = 20e3;
    live(&mut site, 480e3, 300);
    assert_eq!((site.set_points(), site.writes[FIRST]), ([20e3, 240e3], writes));
    assert_eq!((told(&site, "device_local"), told(&site, "device_remote")), (1, 0));
    assert_eq!((told(&site, "write_failed"), told(&site, "shortfall_began")), (0, 0));
    site.says[FIRST] = Says::USUAL;
    live(&mut site, 480e3, 1);
    assert_eq!(site.held[FIRST], 20e3, "it goes on from what it does");
    assert_eq!((site.writes[FIRST], site.held[SECOND]), (writes + 1, -240e3));
    live(&mut site, 480e3, 1);
    assert_eq!(site.set_points(), [130e3, 130e3], "and shares again at once");
    assert_eq!((told(&site, "device_local"), told(&site, "device_remote")), (1, 1));
    assert_eq!(told(&site, "device_limited"), 0);
}

#[test]
fn what_is_taken_to_its_panel_does_not_move_the_others_through_a_law_that_remembers() {
    let ramp = BuiltInSpec::RampLimit(RampLimitSpec {
        battery: Some("batteries".into()),
        pv: None,
        up: WattsPerSecond::of(1e3),
        down: None,
    });
    let mut site = Site::with(&[ramp, shaving("batteries")], telling);
    live(&mut site, 380e3, 200);
    assert_eq!(site.set_points(), [80e3, 80e3]);
    site.says[FIRST] = Says::LOCAL;
    live(&mut site, 400e3, 1);
    assert_eq!(site.set_points(), [80e3, 81e3], "the ramp goes on from what is left");
    live(&mut site, 400e3, 30);
    assert_eq!(site.set_points(), [80e3, 100e3]);
    site.says[FIRST] = Says::USUAL;
    for _scan in 0..5 {
        live(&mut site, 400e3, 1);
        let given: f64 = site.set_points().iter().sum();
        assert!((given - 180e3).abs() <= 1e3, "it brings back what it does: {given} W");
    }
}

#[test]
fn the_other_takes_over_in_the_scan_in_which_one_trips_and_it_starts_again_from_nothing() {
    let mut site = shaving_site();
    let writes = site.writes[FIRST];
    site.says[FIRST] = Says::FAULT;
    tripped(&mut site, 380e3);
    assert_eq!(site.set_points(), [0.0, 160e3]);
    for _scan in 0..100 {
        tripped(&mut site, 380e3);
    }
    assert_eq!((site.set_points(), site.writes[FIRST]), ([0.0, 160e3], writes));
    assert_eq!((told(&site, "device_fault"), told(&site, "device_recovered")), (1, 0));
    // It starts, which takes a while: it is told to rest so long.
    site.says[FIRST].mode = 1.0;
    for _scan in 0..30 {
        tripped(&mut site, 380e3);
        assert_eq!(site.set_points(), [0.0, 160e3]);
    }
    assert_eq!((site.held[FIRST], told(&site, "device_recovered")), (0.0, 1));
    assert!(site.writes[FIRST] > writes, "it is told so");
    site.says[FIRST].mode = 3.0;
    live(&mut site, 380e3, 2);
    assert_eq!(site.set_points(), [80e3, 80e3]);
}

#[test]
fn where_the_only_battery_is_at_its_panel_one_shortfall_is_told_and_it_ends_with_it() {
    let mut site = Site::with(&[shaving("b1")], telling);
    let alone = |site: &mut Site, load: f64, scans: u32| {
        for _scan in 0..scans {
            let given = site.held[FIRST];
            let batteries = [Some((given, 0.5, BATTERY_W)), Some((0.0, 0.5, BATTERY_W))];
            site.scan(Reading { pcc: Some(load - given), batteries, pv: Some(0.0) });
        }
    };
    alone(&mut site, 280e3, 5);
    assert_eq!(site.held[FIRST], 60e3);
    site.says[FIRST] = Says::LOCAL;
    alone(&mut site, 300e3, 200);
    let short = |event: &Event| {
        let Event::ShortfallBegan { shortfall, .. } = event else { return None };
        Some(shortfall.watts())
    };
    let shortfalls: Vec<f64> = site.events.iter().filter_map(short).collect();
    assert_eq!(shortfalls, [20e3], "the meter is that far above the limit, whatever the battery could do");
    assert_eq!(told(&site, "shortfall_ended"), 0);
    site.says[FIRST] = Says::USUAL;
    alone(&mut site, 300e3, 2);
    assert_eq!((site.held[FIRST], told(&site, "shortfall_ended")), (80e3, 1));
}

#[test]
fn a_battery_that_is_off_or_starts_can_do_nothing_and_one_that_stands_by_is_started_by_its_set_point() {
    for (mode, first, second) in
        [(0.0, 0.0, 160e3), (1.0, 0.0, 160e3), (2.0, 80e3, 80e3), (3.0, 80e3, 80e3), (4.0, 0.0, 160e3)]
    {
        let mut site = Site::with(&[shaving("batteries")], telling);
        site.says[FIRST].mode = mode;
        for _scan in 0..5 {
            tripped(&mut site, 380e3);
        }
        assert_eq!(site.set_points(), [first, second], "mode {mode}");
        assert_eq!(told(&site, "device_fault"), usize::from(mode > 3.5), "mode {mode}");
        assert_eq!(site.writes[FIRST] == 0, mode > 3.5, "mode {mode}");
    }
}

#[test]
fn an_inverter_that_is_off_at_night_keeps_its_limit_and_one_at_its_panel_is_made_up_for_by_batteries() {
    let limit = BuiltInSpec::ConnectionLimit(ConnectionLimitSpec {
        meter: "pcc".into(),
        battery: Some("batteries".into()),
        pv: Some("pv".into()),
        import_max: None,
        export_max: Some(kilowatts(100.0)),
        fail_safe: None,
    });
    let mut site = Site::with(&[limit], telling);
    site.says[PV].mode = 0.0;
    for _scan in 0..5 {
        site.live(50e3, 0.0, [0.5, 0.5]);
    }
    assert_eq!(site.held[PV], PV_W);
    site.says[PV] = Says { mode: 3.0, remote: 0.0 };
    for _scan in 0..5 {
        site.live(50e3, 400e3, [0.5, 0.5]);
    }
    assert_eq!(site.held[PV], PV_W, "nobody curtails it");
    assert_eq!(site.pcc(50e3, 400e3), -100e3, "what it makes is felt by the meter");
    assert_eq!(told(&site, "shortfall_began"), 0);
}

#[test]
fn what_a_device_said_last_counts_while_it_says_nothing_and_before_it_said_anything_nothing_is_written() {
    let mut site = Site::with(&[shaving("batteries")], telling);
    site.says[FIRST].remote = f64::NAN;
    live(&mut site, 380e3, 5);
    assert_eq!((site.controller.phase(), site.writes), (Phase::Starting, [0; DEVICES]));
    // Patience with it ends, and the other begins without it.
    live(&mut site, 380e3, 15);
    assert_eq!((site.controller.phase(), site.writes[FIRST]), (Phase::Running, 0));
    site.says[FIRST] = Says::LOCAL;
    live(&mut site, 380e3, 15);
    for silent in [Says { remote: f64::NAN, ..Says::USUAL }, Says { mode: f64::NAN, ..Says::LOCAL }] {
        site.says[FIRST] = silent;
        live(&mut site, 380e3, 100);
        assert_eq!((site.writes[FIRST], site.set_points()), (0, [0.0, 160e3]));
    }
    site.says[FIRST] = Says::USUAL;
    live(&mut site, 380e3, 2);
    assert_eq!(site.set_points(), [80e3, 80e3]);
    // What was known once is enough to go on.
    site.says[FIRST] = Says { mode: f64::NAN, remote: f64::NAN };
    live(&mut site, 380e3, 100);
    assert_eq!(site.set_points(), [80e3, 80e3]);
    assert_eq!(told(&site, "device_local"), 1);
}

#[test]
fn an_emergency_stop_tells_a_device_at_its_panel_nothing_and_holds_it_when_it_comes_back() {
    let manual = BuiltInSpec::Manual(ManualSpec { battery: Some("batteries".into()), pv: None });
    let mut site = Site::with(&[manual, shaving("batteries")], telling);
    live(&mut site, 380e3, 5);
    site.says[FIRST] = Says::LOCAL;
    live(&mut site, 380e3, 2);
    site.command(Command::EmergencyStop);
    live(&mut site, 380e3, 5);
    assert_eq!((site.held[FIRST], site.held[SECOND]), (80e3, 0.0));
    site.says[FIRST] = Says::USUAL;
    live(&mut site, 380e3, 1);
    assert_eq!((site.held[FIRST], site.held[SECOND]), (0.0, 0.0));
}

#[test]
fn who_ends_leaves_a_device_at_its_panel_as_it_is_and_does_not_wait_for_it() {
    let mut site = Site::with(&[shaving("batteries")], |devices: &mut [DeviceSpec]| {
        telling(devices);
        devices[FIRST].at_stop = Some(Watts::of(10e3));
    });
    live(&mut site, 380e3, 5);
    site.says[FIRST] = Says::LOCAL;
    live(&mut site, 380e3, 2);
    site.command(Command::Stop);
    assert_eq!(site.held[FIRST], 80e3);
    assert!(site.events.iter().any(|event| matches!(event, Event::Stopped { after: Span::ZERO })));
    // The same of a life that has not begun to run yet, but has heard where the device stands.
    let mut site = Site::with(&[shaving("batteries")], |devices: &mut [DeviceSpec]| {
        telling(devices);
        devices[FIRST].at_stop = Some(Watts::of(10e3));
    });
    site.says[FIRST] = Says::LOCAL;
    site.scan(Reading { pcc: None, ..Reading::quiet(380e3, 0.0) });
    site.command(Command::Stop);
    assert_eq!(site.writes[FIRST], 0);
}

#[test]
fn a_write_that_the_panel_refused_before_it_was_known_succeeds_when_the_device_comes_back() {
    let mut site = shaving_site();
    site.refuses[FIRST] = true;
    live(&mut site, 400e3, 1);
    assert_eq!((told(&site, "write_failed"), told(&site, "writes_succeed")), (1, 0));
    site.says[FIRST] = Says::LOCAL;
    live(&mut site, 400e3, 60);
    assert_eq!(told(&site, "write_failed"), 1);
    (site.refuses[FIRST], site.says[FIRST]) = (false, Says::USUAL);
    live(&mut site, 400e3, 1);
    assert_eq!((told(&site, "write_failed"), told(&site, "writes_succeed")), (1, 1));
}

/// Scans on an island with batteries at rest.
fn island(site: &mut Site, scans: u32, given: f64, engines: [(f64, f64); 2]) {
    let battery = Some((given / 2.0, 0.2, BATTERY_W));
    for _scan in 0..scans {
        site.island = Island { is_closed: false, engines, ..site.island };
        site.scan(Reading { pcc: Some(0.0), batteries: [battery, battery], pv: Some(0.0) });
    }
}

#[test]
fn gensets_carry_what_one_at_its_panel_leaves_of_the_load_and_it_comes_back_as_it_is_found() {
    let (off, running) = (0.0, 4.0);
    let mut site = Site::with(&[usual("Gensets")], telling);
    island(&mut site, 3, 0.0, [(100e3, running), (0.0, off)]);
    let writes = site.writes[GENSETS[0]];
    site.says[GENSETS[0]] = Says::LOCAL;
    // It holds 60 kW of 150; the batteries give the rest, and are low.
    island(&mut site, 5, 90e3, [(60e3, running), (0.0, off)]);
    assert_eq!(site.writes[GENSETS[0]], writes);
    assert!(site.held[GENSETS[1]] > 0.0, "the other starts, for nobody counts on more of the first");
    island(&mut site, 3, 0.0, [(60e3, running), (90e3, running)]);
    let alone = site.held[GENSETS[1]];
    assert!((alone - 140e3).abs() < 1.0, "90 kW of load and 50 kW of charge: {alone} W");
    site.says[GENSETS[0]] = Says::USUAL;
    island(&mut site, 3, 0.0, [(60e3, running), (90e3, running)]);
    let both = GENSETS.map(|genset| site.held[genset]);
    assert_eq!(both, [100e3, 100e3], "it is not stopped, but takes its share");
}

#[test]
fn a_genset_in_fault_is_told_and_still_reset_by_its_function() {
    let mut site = Site::with(&[usual("Gensets")], telling);
    island(&mut site, 3, 50e3, [(0.0, 1.0), (0.0, 0.0)]);
    island(&mut site, 1, 50e3, [(0.0, 6.0), (0.0, 0.0)]);
    assert_eq!(site.held[GENSETS[0]], 0.0, "a stop resets it");
    assert_eq!(told(&site, "device_fault"), 1);
    island(&mut site, 1, 50e3, [(0.0, 0.0), (0.0, 1.0)]);
    assert_eq!(told(&site, "device_recovered"), 1);
}

#[test]
fn a_load_at_its_panel_is_passed_over_and_a_breaker_there_is_not_asked() {
    let mut site = Site::with(&[usual("LoadShedding")], telling);
    site.says[OVEN] = Says::LOCAL;
    for _scan in 0..5 {
        site.scan(Reading::quiet(700e3, 0.0));
    }
    island(&mut site, 5, 600e3, [(0.0, 0.0); 2]);
    assert_eq!(site.held[OVEN], LOAD_W);
    site.says[OVEN] = Says::USUAL;
    island(&mut site, 5, 600e3, [(0.0, 0.0); 2]);
    assert_eq!(site.held[OVEN], 0.0, "as soon as it can be told");

    let mut site = Site::with(&[usual("Reconnect")], telling);
    island(&mut site, 5, 0.0, [(0.0, 0.0); 2]);
    assert_eq!(site.held[BREAKER], 0.0);
    site.says[BREAKER] = Says::LOCAL;
    island(&mut site, 600, 0.0, [(0.0, 0.0); 2]);
    assert_eq!((site.held[BREAKER], told(&site, "shortfall_began")), (0.0, 0));
    site.says[BREAKER] = Says::USUAL;
    island(&mut site, 29, 0.0, [(0.0, 0.0); 2]);
    assert_eq!(site.held[BREAKER], 0.0, "the grid must have been right for a while since");
    island(&mut site, 3, 0.0, [(0.0, 0.0); 2]);
    assert_eq!(site.held[BREAKER], BREAKER_W);
}

fn says() -> impl Strategy<Value = Says> {
    let odd = || prop::sample::select(vec![f64::NAN, 7.0, -1.0]);
    let mode = prop_oneof![8 => (0..5).prop_map(f64::from), 1 => odd()];
    let remote = prop_oneof![8 => (0..2).prop_map(f64::from), 1 => odd()];
    (mode, remote).prop_map(|(mode, remote)| Says { mode, remote })
}

/// So many scans with this load, in which devices say this of themselves.
#[derive(Clone, Debug)]
struct Turn {
    scans: u32,
    load: f64,
    says: [Says; DEVICES],
    states: [f64; 2],
    is_closed: bool,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let engines = || (0..7).prop_map(f64::from);
    let all = prop::collection::vec(says(), DEVICES).prop_map(|all| core::array::from_fn(|place| all[place]));
    let turn = (1..15_u32, -300e3..600e3, all, [engines(), engines()], any::<bool>());
    let turn =
        turn.prop_map(|(scans, load, says, states, is_closed)| Turn { scans, load, says, states, is_closed });
    prop::collection::vec(turn, 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// The site asserts it at each write.
    #[test]
    fn in_no_scan_a_set_point_is_written_to_a_device_that_has_said_that_it_is_local_or_in_fault(
        turns in turns(),
    ) {
        for stack in stacks() {
            let mut site = Site::with(&stack, telling);
            for Turn { scans, load, says, states, is_closed } in &turns {
                site.says = *says;
                for _scan in 0..*scans {
                    let engine = |place: usize| (at_least(0.0, *load / 2.0), states[place]);
                    site.island = Island { is_closed: *is_closed, engines: [engine(0), engine(1)], ..site.island };
                    site.live(*load, 100e3, [0.5, 0.3]);
                }
            }
        }
    }

    #[test]
    fn what_the_batteries_that_take_part_do_keeps_the_limit_whoever_else_is_at_a_panel(
        load in 240e3..380e3, held in -100e3..100e3_f64,
    ) {
        let mut site = Site::with(&[shaving("batteries")], telling);
        live(&mut site, load, 5);
        site.says[SECOND] = Says::LOCAL;
        site.held[SECOND] = -held;
        live(&mut site, load, 3);
        let wanted = load - 220e3 - held;
        if wanted > 0.0 && wanted < BATTERY_W {
            prop_assert!((site.pcc(load, 0.0) - 220e3).abs() < 1.0, "{} W", site.pcc(load, 0.0));
        }
        prop_assert_eq!(site.set_points()[1], held);
    }
}

#[test]
fn every_device_that_can_be_controlled_may_say_whether_it_is() {
    let mut site = Site::with(&[shaving("batteries")], telling);
    live(&mut site, 300e3, 3);
    for device in [FIRST, SECOND, PV, GENSETS[0], OVEN, BREAKER] {
        let image = site.controller.image();
        assert_eq!(image.good(DeviceIndex(device as u16), PointKind::Remote), Some(1.0), "{device}");
    }
}
