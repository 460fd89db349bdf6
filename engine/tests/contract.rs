//! The contract that every function keeps, whatever it decides: finite, inside the interval, quiet when saturated, alive
//! without its measurements, and without a bump when it is enabled.

mod site;

use proptest::prelude::*;

use r_ems_engine::controller::{Phase, START_PATIENCE};
use r_ems_engine::functions::{BuiltIn, BuiltInSpec, FunctionSet};
use r_ems_engine::points::DeviceClass;
use r_ems_engine::units::Watts;
use site::{
    BATTERY_W, DEVICES, Island, PV_W, Reading, SCAN, Site, every_function, stacks, stacks_with_batteries,
};

fn reading() -> impl Strategy<Value = Reading> {
    let number = prop_oneof![
        8 => -1e6..1e6,
        1 => prop::sample::select(vec![0.0, -0.0, f64::NAN, f64::INFINITY, 1e300, -1e13, 5e-324]),
    ];
    let soc = prop_oneof![8 => 0.0..=1.0, 1 => prop::sample::select(vec![f64::NAN, -1.0, 7.0])];
    let battery = prop::option::weighted(0.9, (number.clone(), soc, 0.0..=BATTERY_W));
    let power = prop::option::weighted(0.9, number);
    (power.clone(), [battery.clone(), battery], power).prop_map(|(pcc, batteries, pv)| Reading {
        pcc,
        batteries,
        pv,
    })
}

/// Voltage and frequency, some of them of no grid.
fn grid() -> impl Strategy<Value = [f64; 2]> {
    let strange = || prop::sample::select(vec![0.0, f64::NAN, -1.0, 1e300]);
    [prop_oneof![8 => 0.5..1.5, 1 => strange()], prop_oneof![8 => 45.0..55.0, 1 => strange()]]
}

/// What an island measures, some of it of none.
fn island() -> impl Strategy<Value = Island> {
    let power = || prop_oneof![8 => -1e5..3e5, 1 => prop::sample::select(vec![f64::NAN, 1e300])];
    let state =
        || prop_oneof![8 => (0..7).prop_map(f64::from), 1 => prop::sample::select(vec![f64::NAN, 7.0])];
    let engines = [(power(), state()), (power(), state())];
    let answers = (any::<bool>(), [any::<bool>(), any::<bool>()]);
    (any::<bool>(), answers, engines, power(), grid()).prop_map(
        |(is_closed, (breaker_answers, engines_answer), engines, oven, behind)| Island {
            is_closed,
            breaker_answers,
            engines,
            engines_answer,
            oven,
            crane: oven / 2.0,
            behind,
        },
    )
}

#[test]
fn every_built_in_function_is_under_contract() {
    let names: Vec<&str> = every_function().iter().map(BuiltIn::name).collect();
    assert_eq!(names, BuiltIn::NAMES);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn decisions_are_finite_and_inside_the_interval_whatever_is_measured(
        readings in prop::collection::vec((reading(), grid(), island()), 1..120),
    ) {
        for stack in stacks() {
            let mut site = Site::of(&stack);
            site.scan(Reading::quiet(200e3, 0.0));
            for (reading, grid, island) in &readings {
                (site.grid, site.island) = (*grid, *island);
                site.scan(*reading);
            }
        }
    }
}

#[test]
fn the_first_set_point_is_the_measured_power() {
    for stack in stacks_with_batteries() {
        for battery in [-120e3, 0.0, 77e3] {
            let mut site = Site::of(&stack);
            let reading = Reading::quiet(200e3, battery);
            // The two run against each other: each goes on with what it does.
            let halves =
                [Some((battery / 2.0 + 40e3, 0.5, BATTERY_W)), Some((battery / 2.0 - 40e3, 0.5, BATTERY_W))];
            site.scan(Reading { batteries: halves, ..reading });
            assert_eq!(site.set_points(), [battery / 2.0 + 40e3, battery / 2.0 - 40e3]);
            assert_eq!(site.controller.phase(), Phase::Running);
            let groups = site.controller.composition().groups().iter();
            for group in groups.filter(|group| group.class() == DeviceClass::Battery) {
                assert_eq!(group.applied(), Some(Watts::of(battery)), "{}", BuiltIn::name(&stack[0]));
            }
            for group in site.controller.composition().groups() {
                if group.class() == DeviceClass::Pv {
                    assert_eq!(
                        group.applied(),
                        Some(Watts::of(PV_W)),
                        "an inverter is not curtailed by a start"
                    );
                }
            }
        }
    }
}

/// Scans up to the one before patience ends.
fn impatient(site: &mut Site, reading: Reading) {
    for _scan in 1..START_PATIENCE.as_nanos() / SCAN.as_nanos() {
        site.scan(reading);
    }
}

#[test]
fn nothing_is_written_to_a_device_before_every_point_of_it_is_good() {
    for stack in stacks_with_batteries() {
        for missing in 0..2 {
            let mut site = Site::of(&stack);
            let mut reading = Reading::quiet(200e3, 0.0);
            reading.batteries[missing] = if missing == 0 { None } else { Some((0.0, f64::NAN, BATTERY_W)) };
            impatient(&mut site, reading);
            assert_eq!((site.writes, site.controller.phase()), ([0; DEVICES], Phase::Starting));
            // One dead battery does not stop the site: control begins without it.
            for _scan in 0..60 {
                site.scan(reading);
            }
            assert_eq!((site.writes[1 + missing], site.controller.phase()), (0, Phase::Running));
            assert!(site.writes[2 - missing] > 0, "{}", BuiltIn::name(&stack[0]));
        }
    }
}

#[test]
fn nothing_is_written_before_the_meters_are_good_and_something_can_be_controlled() {
    for stack in stacks_with_batteries() {
        let mut blind = Reading { batteries: [None, None], pv: None, ..Reading::quiet(200e3, 0.0) };
        if needs_meter(&stack) {
            blind = Reading { pcc: None, ..Reading::quiet(200e3, 0.0) };
        }
        let mut site = Site::of(&stack);
        for _scan in 0..120 {
            site.scan(blind);
        }
        assert_eq!((site.writes, site.controller.phase()), ([0; DEVICES], Phase::Starting));
    }
}

fn needs_meter(stack: &[BuiltInSpec]) -> bool {
    let without = ["RampLimit", "Manual", "SocFloor", "Schedule"];
    stack.iter().any(|spec| !without.contains(&BuiltIn::name(spec)))
}

/// Whether a stack decides what power the batteries give.
fn acts_on_power(stack: &[BuiltInSpec]) -> bool {
    stack.iter().any(|spec| BuiltIn::name(spec) != "VoltVar")
}

#[test]
fn a_saturated_function_is_quiet() {
    // Far more than the batteries can do, for ever, and they do all they can; first import, then export.
    for (pcc, power) in [(5e6, 500e3), (-5e6, -500e3)] {
        for stack in stacks_with_batteries() {
            let mut site = Site::of(&stack);
            // The demand moves, as loads do; what is asked for stays out of reach.
            let saturated = |scan: u32| Reading::quiet(pcc + f64::from(scan % 7) * 1e3, power);
            for scan in 0..120 {
                site.scan(saturated(scan));
            }
            let (events, writes) = (site.events.len(), site.writes);
            for scan in 0..60 {
                site.scan(saturated(scan));
            }
            assert_eq!(site.events.len(), events, "{:?}", &site.events[events..]);
            // Each battery is re-asserted every half minute, and no more.
            for (after, before) in site.writes[1..3].iter().zip(&writes[1..3]) {
                let more = after - before;
                assert!(more <= 2, "{more} writes in a minute: {}", BuiltIn::name(&stack[0]));
            }
        }
    }
}

#[test]
fn without_its_meter_a_function_lets_the_batteries_rest_and_returns_without_a_bump() {
    for stack in
        stacks_with_batteries().into_iter().filter(|stack| needs_meter(stack) && acts_on_power(stack))
    {
        let mut site = Site::of(&stack);
        for _scan in 0..30 {
            site.live(460e3, 0.0, [0.5, 0.5]);
        }
        for _scan in 0..30 {
            site.scan(Reading { pcc: None, ..Reading::quiet(400e3, 0.0) });
        }
        let name = BuiltIn::name(&stack[0]);
        assert_eq!(site.decided(), 0.0, "{name}");
        for _scan in 0..11 {
            site.scan(Reading::quiet(400e3, 33e3));
        }
        assert_eq!(site.decided(), 33e3, "{name}");
    }
}

#[test]
fn whatever_a_device_stops_to_tell_the_rest_goes_on_and_it_returns_after_ten_good_seconds() {
    let dark: [fn(&mut Reading); 4] = [
        |reading| reading.batteries[1] = None,
        |reading| reading.batteries[1] = Some((0.0, f64::NAN, BATTERY_W)),
        |reading| reading.batteries[1] = Some((0.0, 0.5, f64::NAN)),
        |reading| reading.batteries[1] = Some((f64::NAN, 0.5, BATTERY_W)),
    ];
    for stack in stacks_with_batteries() {
        for darken in dark {
            let mut site = Site::of(&stack);
            // At rest, and with the charge at which nothing but a measurement is missing.
            let reading = Reading { pv: Some(0.0), ..Reading::quiet(200e3, 0.0) };
            for _scan in 0..30 {
                site.scan(reading);
            }
            let mut lost = reading;
            darken(&mut lost);
            for _scan in 0..90 {
                site.scan(lost);
                assert_eq!(site.controller.phase(), Phase::Running);
            }
            let [_, second] = site.batteries().members() else { panic!("two batteries") };
            let still_can = (second.ability().low, second.ability().high);
            assert_eq!(still_can, (Watts::ZERO, Watts::ZERO), "{}", BuiltIn::name(&stack[0]));
            for _scan in 0..10 {
                site.scan(reading);
                assert_eq!(site.batteries().members()[1].ability().high, Watts::ZERO);
            }
            site.scan(reading);
            site.scan(reading);
            assert!(site.batteries().members()[1].ability().high > Watts::ZERO);
        }
    }
}
