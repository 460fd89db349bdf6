//! What the droop does, to a whole controller.

use super::*;
use crate::functions::BuiltInSpec;
use crate::functions::self_consumption::SelfConsumptionSpec;
use crate::functions::testing::{Reading, Rig};

/// Half a hertz beyond the band is a fifth of the rating: 50 kW of the battery, 120 kW of the inverter.
const LOW: f64 = 50.0 - 0.036 - 0.5;
const HIGH: f64 = 50.0 + 0.036 + 0.5;

fn droop_of(battery: Option<&str>, pv: Option<&str>) -> BuiltInSpec {
    BuiltInSpec::FrequencyDroop(FrequencyDroopSpec {
        meter: "pcc".into(),
        battery: battery.map(Into::into),
        pv: pv.map(Into::into),
        nominal: nominal(),
        dead_band: dead_band(),
        droop: droop(),
        response: RESPONSE,
    })
}

fn own_use() -> BuiltInSpec {
    BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
        meter: "pcc".into(),
        battery: "bess".into(),
        target: Watts::ZERO,
        discharge_above: Ratio::ZERO,
    })
}

fn law() -> Rig {
    Rig::of(&[droop_of(Some("bess"), None)])
}

fn at(f: f64) -> Reading {
    Reading { f, bess: 20.0, ..Reading::default() }
}

fn scans(rig: &mut Rig, count: u32, reading: Reading) -> f64 {
    (0..count).fold(0.0, |_last, _scan| rig.scan(reading).bess)
}

fn is_near(found: f64, expected: f64) -> bool {
    (found - expected).abs() < 1e-6
}

#[test]
fn inside_the_dead_band_it_has_no_wish_and_just_outside_it_has() {
    let mut rig = law();
    assert_eq!(rig.settled(at(49.964)).bess, 0.0);
    assert_eq!(rig.settled(at(50.036)).bess, 0.0);
    // A tenth of a millihertz: 10 W on top of the measured power.
    let decided = scans(&mut rig, 60, at(49.9639));
    assert!(is_near(decided, 20.01), "{decided}");
}

#[test]
fn a_step_is_answered_to_ninety_percent_in_the_response_time() {
    let mut rig = law();
    rig.settled(at(50.0));
    // The frequency is taken to move in a straight line from one sample to the next: half a second late.
    let decided = scans(&mut rig, 5, at(LOW));
    let tau = 5.0 / core::f64::consts::LN_10;
    let kept = crate::math::exp(-1.0 / tau);
    let first = 1.0 - (1.0 - kept) * tau;
    let expected = 20.0 + 50.0 * (1.0 - (1.0 - first) * crate::math::pow(kept, 4.0));
    assert!(is_near(decided, expected), "{decided} and {expected}");
    assert!((decided - 65.0).abs() < 1.5, "{decided}");
    assert!((scans(&mut rig, 60, at(LOW)) - 70.0).abs() < 1e-3);
    assert!(
        (scans(&mut rig, 60, at(HIGH)) - -30.0).abs() < 1e-3,
        "from the power before the other excursion"
    );
}

#[test]
fn the_power_before_stands_while_the_battery_answers() {
    let mut rig = law();
    rig.settled(at(50.0));
    for second in 0..30 {
        rig.scan(Reading { bess: 20.0 + f64::from(second), ..at(LOW) });
    }
    let decided = scans(&mut rig, 60, Reading { bess: 70.0, ..at(LOW) });
    assert!((decided - 70.0).abs() < 1e-3, "{decided}");
}

#[test]
fn it_asks_for_no_more_than_the_battery_can_and_falls_short_of_nothing() {
    for (f, expected) in [(47.0, 250.0), (53.0, -250.0)] {
        let mut rig = law();
        rig.settled(at(50.0));
        assert!((scans(&mut rig, 60, at(f)) - expected).abs() < 1e-3);
        assert_eq!(rig.controller().composition().slots()[0].tally().short_worst(), Watts::ZERO);
    }
}

#[test]
fn the_others_do_not_take_it_back_and_have_the_battery_again_when_the_frequency_is_back() {
    let mut rig = Rig::of(&[droop_of(Some("bess"), None), own_use()]);
    // A load of 100 kW that the battery carries; the meter sees what is on top.
    let load = |bess: f64, load: f64, f: f64| Reading { pcc: load - bess, bess, f, ..Reading::default() };
    let mut power = 100.0;
    let mut live = |rig: &mut Rig, demand: f64, f: f64| {
        power = rig.scan(load(power, demand, f)).bess;
        power
    };
    for _second in 0..5 {
        live(&mut rig, 100.0, 50.0);
    }
    for _second in 0..60 {
        live(&mut rig, 100.0, LOW);
    }
    assert!((live(&mut rig, 100.0, LOW) - 150.0).abs() < 1e-3);
    assert!((live(&mut rig, 130.0, LOW) - 150.0).abs() < 1e-3, "a load is none of its business");
    // Back in the band it carries the load again, from where it is, and what it makes beyond that fades.
    let first = live(&mut rig, 130.0, 50.0);
    assert!((140.0..150.0).contains(&first), "{first}");
    assert!(live(&mut rig, 230.0, 50.0) > 240.0, "a load that comes meanwhile is carried at once");
    let later = (0..3).fold(0.0, |_last, _second| live(&mut rig, 130.0, 50.0));
    assert!((later - 132.5).abs() < 1.0, "{later}");
    assert!(is_near((0..20).fold(0.0, |_last, _second| live(&mut rig, 130.0, 50.0)), 130.0));
}

#[test]
fn an_inverter_makes_no_more_at_a_high_frequency_and_is_limited_to_no_less_at_a_low_one() {
    let limit = super::super::connection_limit::ConnectionLimitSpec {
        meter: "pcc".into(),
        battery: None,
        pv: Some("pv".into()),
        import_max: None,
        export_max: Some(Watts::of(200e3)),
        fail_safe: None,
    };
    let mut rig = Rig::of(&[droop_of(None, Some("pv")), BuiltInSpec::ConnectionLimit(limit)]);
    let reading = |f: f64| Reading { pcc: -200.0, pv: 300.0, f, ..Reading::default() };
    assert_eq!(rig.settled(reading(50.0)).pv, 300.0);
    let over = (0..60).fold(0.0, |_last, _second| rig.scan(reading(HIGH)).pv);
    assert!((over - 180.0).abs() < 1e-3, "{over}");
    // With the lag back to what it made before, and then it is the others' again.
    let back = rig.scan(reading(50.0)).pv;
    assert!((180.0..300.0).contains(&back), "{back}");
    assert_eq!((0..30).fold(0.0, |_last, _second| rig.scan(reading(50.0)).pv), 300.0);
    let under = (0..60).fold(0.0, |_last, _second| rig.scan(reading(LOW)).pv);
    assert!((under - 420.0).abs() < 1e-3, "{under}");
}

#[test]
fn an_inverter_that_is_asked_again_while_it_recovers_recovers_all_of_it() {
    let mut rig = Rig::of(&[droop_of(None, Some("pv"))]);
    let mut power = 300.0;
    let mut live = |rig: &mut Rig, f: f64| {
        let limit = rig.scan(Reading { pv: power, f, ..Reading::default() }).pv;
        power = crate::math::at_most(limit, 300.0);
        limit
    };
    let settled = (0..30).fold(0.0, |_last, second| live(&mut rig, if second < 5 { 50.0 } else { HIGH }));
    assert!((settled - 180.0).abs() < 1.0, "{settled}");
    let half_way = (0..2).fold(0.0, |_last, _second| live(&mut rig, 50.0));
    assert!((200.0..280.0).contains(&half_way), "{half_way}");
    live(&mut rig, 50.04);
    // On the way to 300 kW and not to what it made half-way, it is lifted without a step of more than the last thousandth.
    let mut last = live(&mut rig, 50.0);
    for _second in 0..20 {
        let limit = live(&mut rig, 50.0);
        if limit > 300.0 {
            break;
        }
        last = limit;
    }
    assert!(last > 298.0, "{last}");
}

#[test]
fn a_restart_goes_on_and_does_not_answer_twice() {
    let mut rig = law();
    rig.settled(at(50.0));
    scans(&mut rig, 60, at(LOW));
    rig.restart(Span::from_secs(5));
    let decided = scans(&mut rig, 60, Reading { bess: 70.0, ..at(LOW) });
    assert!((decided - 70.0).abs() < 1e-3, "{decided}");
    // After a long pause the battery has fallen back, and what it does then is where it begins.
    rig.restart(Span::from_mins(5));
    let decided = scans(&mut rig, 60, Reading { bess: 0.0, ..at(LOW) });
    assert!((decided - 50.0).abs() < 1e-3, "{decided}");
}

#[test]
fn without_the_frequency_the_answer_fades_and_the_others_go_on() {
    let mut rig = Rig::of(&[droop_of(Some("bess"), None), own_use()]);
    let reading = |f: f64| Reading { pcc: -50.0, bess: 150.0, f, ..Reading::default() };
    rig.settled(Reading { pcc: 0.0, bess: 100.0, ..reading(50.0) });
    for _second in 0..60 {
        rig.scan(Reading { pcc: 0.0, bess: 100.0, ..reading(LOW) });
    }
    assert!((rig.scan(reading(LOW)).bess - 150.0).abs() < 1e-3);
    let lost = reading(f64::NAN);
    let mut powers = [0.0; 12];
    for power in &mut powers {
        *power = rig.scan(lost).bess;
    }
    let steps: Vec<f64> = powers.windows(2).map(|pair| pair[0] - pair[1]).collect();
    assert!(steps[..10].iter().all(|step| is_near(*step, 5.0)), "{powers:?}");
    assert_eq!(powers[10..], [100.0, 100.0]);
}

#[test]
fn what_no_grid_can_have_is_refused() {
    let mut spec = droop_of(Some("bess"), None);
    if let BuiltInSpec::FrequencyDroop(spec) = &mut spec {
        spec.droop = Ratio::ZERO;
        spec.nominal = Hertz::ZERO;
    }
    let errors = Rig::errors(&[spec, droop_of(None, None)]);
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert_eq!(errors[2], "droop: must be above 0 %, got 0 %");
    assert_eq!(errors[3], "battery: must be given, or else pv, got neither");
}
