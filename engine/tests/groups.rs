//! Groups of several devices: each keeps its own floor, ramp and health, and the others make up for what it cannot do.

mod site;

use r_ems_engine::event::Event;
use r_ems_engine::functions::BuiltInSpec;
use r_ems_engine::functions::connection_limit::ConnectionLimitSpec;
use r_ems_engine::functions::peak_shaving::{PeakShavingSpec, Window};
use r_ems_engine::functions::ramp_limit::RampLimitSpec;
use r_ems_engine::functions::self_consumption::SelfConsumptionSpec;
use r_ems_engine::functions::soc_floor::SocFloorSpec;
use r_ems_engine::math::{at_least, at_most};
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::{Ratio, Watts, WattsPerSecond};
use r_ems_engine::{LocalTime, Span};
use site::{BATTERY_W, DEVICES, PV_W, Reading, Site, kilowatts};

fn shaving() -> BuiltInSpec {
    BuiltInSpec::PeakShaving(PeakShavingSpec {
        meter: "pcc".into(),
        battery: "batteries".into(),
        limit: kilowatts(220.0),
        recharge: kilowatts(170.0),
        reserve: Ratio::of(0.2),
        window: Window::Instant,
    })
}

fn floor() -> BuiltInSpec {
    BuiltInSpec::SocFloor(SocFloorSpec {
        battery: "batteries".into(),
        floor: Ratio::of(0.15),
        force_charge_below: Some(Ratio::of(0.10)),
        force_charge_power: None,
        release: None,
        dwell: None,
    })
}

fn consuming() -> BuiltInSpec {
    BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
        meter: "pcc".into(),
        battery: "batteries".into(),
        target: Watts::ZERO,
        discharge_above: Ratio::ZERO,
    })
}

fn connection() -> BuiltInSpec {
    BuiltInSpec::ConnectionLimit(ConnectionLimitSpec {
        meter: "pcc".into(),
        battery: Some("batteries".into()),
        pv: Some("pv".into()),
        import_max: Some(kilowatts(300.0)),
        export_max: Some(kilowatts(100.0)),
        fail_safe: None,
    })
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1.0
}

#[test]
fn each_battery_has_its_own_floor() {
    let mut site = Site::of(&[floor(), shaving()]);
    for _scan in 0..5 {
        site.live(320e3, 0.0, [0.12, 0.60]);
    }
    assert_eq!(site.set_points(), [0.0, 100e3]);
    // Far below its floor one is charged by force, and the other carries that too.
    for _scan in 0..5 {
        site.live(320e3, 0.0, [0.05, 0.60]);
    }
    assert_eq!(site.set_points(), [-50e3, 150e3]);
}

#[test]
fn a_battery_far_above_its_floor_gives_more_than_one_near_it() {
    let mut site = Site::of(&[floor(), shaving()]);
    for _scan in 0..5 {
        site.live(420e3, 0.0, [0.25, 0.45]);
    }
    let [near_floor, far] = site.set_points();
    assert!(near(near_floor, 50e3) && near(far, 150e3), "{near_floor} W and {far} W");
}

#[test]
fn an_unknown_charge_of_one_battery_does_not_lift_the_floor_of_the_other() {
    let mut site = Site::of(&[floor(), shaving()]);
    let low = |soc: f64| Reading {
        pcc: Some(400e3),
        batteries: [Some((-50e3, 0.05, BATTERY_W)), Some((-50e3, soc, BATTERY_W))],
        pv: Some(0.0),
    };
    for _scan in 0..5 {
        site.scan(low(0.05));
    }
    assert_eq!(site.set_points(), [-50e3, -50e3]);
    site.scan(low(f64::NAN));
    assert_eq!(site.set_points(), [-50e3, 0.0]);
}

#[test]
fn a_silent_battery_is_made_up_for_by_the_other() {
    let mut site = Site::of(&[shaving()]);
    for _scan in 0..5 {
        site.live(380e3, 0.0, [0.5, 0.5]);
    }
    assert!(near(site.set_points()[0], 80e3));
    // Nobody can see what the silent one does; the meter says that it does nothing.
    for _scan in 0..30 {
        let first = site.held[1];
        site.scan(Reading {
            pcc: Some(380e3 - first),
            batteries: [Some((first, 0.5, BATTERY_W)), None],
            pv: Some(0.0),
        });
    }
    assert_eq!(site.set_points(), [160e3, 0.0]);
}

#[test]
fn a_silent_inverter_takes_nothing_from_the_laws_of_the_batteries() {
    let mut site = Site::of(&[connection(), shaving()]);
    for scan in 0..60 {
        let batteries = [site.held[1], -site.held[2]];
        let battery = |power: f64| Some((power, 0.5, BATTERY_W));
        site.scan(Reading {
            pcc: Some(380e3 - batteries[0] - batteries[1]),
            batteries: [battery(batteries[0]), battery(batteries[1])],
            // It answers for half a minute, and then sleeps.
            pv: (scan < 30).then_some(0.0),
        });
    }
    assert!(near(site.decided(), 160e3), "{}", site.decided());
}

#[test]
fn control_begins_at_night_while_the_inverter_sleeps() {
    let mut site = Site::of(&[connection(), shaving()]);
    let night = Reading { pv: None, ..Reading::quiet(380e3, 0.0) };
    for _scan in 0..9 {
        site.scan(night);
    }
    assert_eq!(site.writes, [0; DEVICES]);
    site.scan(night);
    site.scan(night);
    site.scan(night);
    assert!(near(site.decided(), 160e3), "{}", site.decided());
    assert_eq!(site.writes[3], 0, "nothing is written to what has never answered");
}

#[test]
fn a_flickering_state_of_charge_does_not_make_the_power_flicker() {
    let mut site = Site::of(&[consuming()]);
    for _scan in 0..5 {
        site.live(200e3, 0.0, [0.5, 0.5]);
    }
    let mut written = Vec::new();
    for scan in 0..60 {
        let soc = if scan % 2 == 0 { f64::NAN } else { 0.5 };
        site.live(200e3, 0.0, [soc, soc]);
        written.push(site.decided());
    }
    assert!(written.iter().all(|power| *power == 0.0), "{written:?}");
}

#[test]
fn without_a_state_of_charge_it_stops_to_discharge_at_once_and_to_charge_after_a_minute() {
    let mut site = Site::of(&[consuming()]);
    for _scan in 0..5 {
        site.live(-100e3, 0.0, [0.5, 0.5]);
    }
    assert_eq!(site.decided(), -100e3);
    for scan in 0..60 {
        site.live(-100e3, 0.0, [f64::NAN, f64::NAN]);
        assert_eq!(site.decided(), -100e3, "charging goes on at second {scan}");
    }
    site.live(-100e3, 0.0, [f64::NAN, f64::NAN]);
    assert_eq!(site.decided(), 0.0);
}

#[test]
fn a_device_ramp_binds_its_device_and_the_other_makes_up_for_it() {
    let mut site = Site::with(&[shaving()], |devices| devices[1].ramp = Some(WattsPerSecond::of(2e3)));
    for _scan in 0..120 {
        site.live(355e3, 0.0, [0.5, 0.5]);
    }
    let [before, _] = site.set_points();
    for _scan in 0..3 {
        site.live(230e3, 0.0, [0.5, 0.5]);
        let total: f64 = site.set_points().iter().sum();
        assert!(near(total, 10e3), "{total}");
    }
    let [after, _] = site.set_points();
    assert!(before - after <= 6e3 + 1.0, "from {before} W to {after} W in three seconds");
}

#[test]
fn an_emergency_stop_waits_for_no_ramp_of_a_device() {
    let mut site = Site::with(&[shaving()], |devices| devices[1].ramp = Some(WattsPerSecond::of(2e3)));
    for _scan in 0..120 {
        site.live(355e3, 0.0, [0.5, 0.5]);
    }
    assert!(site.set_points()[0] > 5e3, "{:?}", site.set_points());
    site.command(Command::EmergencyStop);
    site.live(355e3, 0.0, [0.5, 0.5]);
    assert_eq!(site.set_points(), [0.0, 0.0]);
    site.command(Command::Reset);
    site.live(355e3, 0.0, [0.5, 0.5]);
    assert!(site.set_points()[0] <= 2e3 + 1.0, "it binds again: {:?}", site.set_points());
}

#[test]
fn a_ramp_limit_binds_from_the_first_decision_on() {
    let ramp = BuiltInSpec::RampLimit(RampLimitSpec {
        battery: Some("batteries".into()),
        pv: None,
        up: WattsPerSecond::of(1e3),
        down: None,
    });
    let mut site = Site::of(&[ramp, consuming()]);
    let mut last = 0.0;
    for scan in 0..20 {
        site.live(200e3, 0.0, [0.5, 0.5]);
        let decided = site.decided();
        assert!(decided - last <= 1e3 + 1e-6, "from {last} W to {decided} W in scan {scan}");
        last = decided;
    }
    assert!(near(last, 19e3), "{last}");
    // Another life, hours later on the clock: the same.
    site.held[..4].copy_from_slice(&[0.0, 0.0, 0.0, PV_W]);
    site.reboot(LocalTime::ZERO + Span::from_hours(5));
    site.live(200e3, 0.0, [0.5, 0.5]);
    site.live(200e3, 0.0, [0.5, 0.5]);
    assert!(site.decided() <= 1e3 + 1e-6, "{}", site.decided());
}

#[test]
fn a_new_life_forgets_the_timers_of_the_old_one() {
    let mut site = Site::of(&[floor(), consuming()]);
    site.now = LocalTime::ZERO + Span::from_hours(10);
    for _scan in 0..5 {
        site.live(100e3, 0.0, [0.14, 0.14]);
    }
    assert_eq!(site.decided(), 0.0);
    // A host that restarts with its clock at zero, and with charged batteries.
    site.reboot(LocalTime::ZERO);
    for _scan in 0..3 {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    assert_eq!(site.decided(), 100e3);
}

#[test]
fn an_export_that_cannot_be_held_is_a_shortfall_and_an_alarm() {
    let mut site = Site::of(&[connection()]);
    for _scan in 0..5 {
        // A second plant that nobody controls exports 390 kW, and the batteries can take nothing.
        site.scan(Reading {
            pcc: Some(-390e3),
            batteries: [Some((0.0, 1.0, 0.0)), Some((0.0, 1.0, 0.0))],
            pv: Some(0.0),
        });
    }
    let missing = |event: &Event| {
        if let Event::ShortfallBegan { shortfall, .. } = event { shortfall.watts() } else { 0.0 }
    };
    let worst = site.events.iter().map(missing).fold(0.0, at_least);
    assert!(near(worst, 290e3), "{worst} W");
}

#[test]
fn a_curtailed_inverter_is_bound_by_who_curtails_it() {
    let mut site = Site::of(&[connection()]);
    for _scan in 0..5 {
        site.scan(Reading {
            pcc: Some(-300e3),
            batteries: [Some((0.0, 1.0, 0.0)), Some((0.0, 1.0, 0.0))],
            pv: Some(300e3),
        });
    }
    let slot = &site.controller.composition().slots()[0];
    assert!(slot.tally().bound_for() >= Span::from_secs(2), "{:?}", slot.tally());
}

#[test]
fn one_device_of_which_something_moves_is_not_stuck_and_one_of_which_nothing_moves_is() {
    let mut site = Site::with(&[consuming()], |devices| devices[1].stuck_after = Some(Span::from_secs(30)));
    let reading = |wiggle: f64| Reading {
        pcc: Some(100e3),
        batteries: [Some((wiggle, 0.5, BATTERY_W)), Some((0.0, 0.5, BATTERY_W))],
        pv: Some(0.0),
    };
    for scan in 0..90 {
        site.scan(reading(f64::from(scan)));
    }
    assert!(site.batteries().members()[0].ability().high > Watts::ZERO, "its limits are constant, not stuck");
    // The gateway answers from its cache: nothing moves any more, the read-back set-point included.
    site.refuses[1] = true;
    for _scan in 0..40 {
        site.scan(reading(7.0));
    }
    assert_eq!(site.batteries().members()[0].ability().high, Watts::ZERO);
    assert_eq!(site.decided(), site.set_points()[1], "the other carries all");
}

#[test]
fn a_charge_out_of_its_scale_is_not_believed() {
    let mut site = Site::of(&[consuming()]);
    for _scan in 0..5 {
        site.live(100e3, 0.0, [50.0, 0.5]);
    }
    // Nothing is written to a device that has never been good.
    for _scan in 0..20 {
        site.live(100e3, 0.0, [50.0, 0.5]);
    }
    assert_eq!((site.set_points()[0], site.writes[1]), (0.0, 0));
    assert_eq!(site.decided(), 100e3);
}

#[test]
fn failing_writes_are_told_once_and_tried_less_and_less_often() {
    let mut site = Site::of(&[consuming()]);
    for _scan in 0..5 {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    site.refuses[1] = true;
    let writes = site.writes[1];
    for second in 0..120 {
        site.live(100e3 + f64::from(second) * 1e3, 0.0, [0.5, 0.5]);
    }
    let tries = site.writes[1] - writes;
    assert!((5..=14).contains(&tries), "{tries} tries in two minutes");
    let count = |kind: &str| site.events.iter().filter(|event| event.kind() == kind).count();
    assert_eq!((count("write_failed"), count("writes_succeed")), (1, 0));
    site.refuses[1] = false;
    for second in 0..20 {
        site.live(100e3 + f64::from(second) * 1e3, 0.0, [0.5, 0.5]);
    }
    let count = |kind: &str| site.events.iter().filter(|event| event.kind() == kind).count();
    assert_eq!((count("write_failed"), count("writes_succeed")), (1, 1));
}

#[test]
fn a_mean_window_holds_its_mean_without_wild_powers_at_its_end() {
    let mean = BuiltInSpec::PeakShaving(PeakShavingSpec {
        meter: "pcc".into(),
        battery: "batteries".into(),
        limit: kilowatts(220.0),
        recharge: kilowatts(170.0),
        reserve: Ratio::of(0.2),
        window: Window::Mean(Span::from_mins(15)),
    });
    let mut site = Site::of(&[mean]);
    let mut sum = 0.0;
    let (mut least, mut most) = (f64::MAX, f64::MIN);
    // Three windows at 300 kW: the first is still settling, two borders are crossed.
    for second in 0..2_700 {
        site.live(300e3, 0.0, [0.8, 0.8]);
        let pcc = site.pcc(300e3, 0.0);
        if second >= 900 {
            sum += pcc;
            (least, most) = (at_most(least, pcc), at_least(most, pcc));
        }
    }
    assert!((sum / 1_800.0 - 220e3).abs() < 1e3, "a mean of {} W", sum / 1_800.0);
    assert!(least > 200e3 && most < 240e3, "from {least} W to {most} W");
}
