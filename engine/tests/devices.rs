//! What goes to devices and comes back: rate limit, read-back, expiry, devices that do not follow, and late meters.

mod site;

use r_ems_engine::Span;
use r_ems_engine::event::Event;
use r_ems_engine::functions::BuiltInSpec;
use r_ems_engine::functions::self_consumption::SelfConsumptionSpec;
use r_ems_engine::math::{at_least, at_most};
use r_ems_engine::points::Connections;
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::{Ratio, Watts};
use site::{BATTERY_W, Reading, Site};

fn consuming() -> [BuiltInSpec; 1] {
    [BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
        meter: "pcc".into(),
        battery: "batteries".into(),
        target: Watts::ZERO,
        discharge_above: Ratio::ZERO,
    })]
}

#[test]
fn a_device_is_written_no_more_often_than_its_interval() {
    let mut site = Site::with(&consuming(), |devices| devices[1].write_interval = Span::from_secs(5));
    for second in 0..60 {
        site.live(100e3 + f64::from(second) * 2e3, 0.0, [0.5, 0.5]);
    }
    assert!((11..=12).contains(&site.writes[1]), "{} writes in a minute", site.writes[1]);
    assert!(site.writes[2] > 50, "the other is not held back: {}", site.writes[2]);
}

#[test]
fn who_is_alone_is_ready_once_it_runs_and_not_when_it_ends_and_reaches_what_answers() {
    for connections in [Connections::Shared, Connections::ActiveOnly] {
        let mut site = Site::with(&consuming(), |devices| {
            devices.iter_mut().for_each(|device| device.connections = connections)
        });
        let fares = |site: &Site| {
            let health = site.controller.health(site.now);
            (health.is_ready, health.reaches_devices)
        };
        site.scan(Reading { pcc: None, ..Reading::quiet(100e3, 0.0) });
        assert_eq!(fares(&site), (false, false), "a meter is missing");
        for _scan in 0..3 {
            site.live(100e3, 0.0, [0.5, 0.5]);
        }
        assert_eq!(fares(&site), (true, true));
        for _scan in 0..60 {
            site.scan(Reading { pcc: None, batteries: [None, None], pv: None });
        }
        assert_eq!(fares(&site), (true, false), "it goes on without them");
        site.live(100e3, 0.0, [0.5, 0.5]);
        site.command(Command::Stop);
        assert!(!fares(&site).0, "it ends");
    }
}

/// Two batteries that discharge 50 kW each, of which the first is to be left with 10 kW, and may not be written yet.
fn about_to_stop() -> Site {
    let mut site = Site::with(&consuming(), |devices| {
        devices[1].at_stop = Some(Watts::of(10e3));
        devices[1].write_interval = Span::from_secs(30);
    });
    for _scan in 0..40 {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    assert_eq!(site.held[1..3], [50e3, -50e3]);
    site
}

fn has_stopped(site: &Site) -> bool {
    site.events.iter().any(|event| matches!(event, Event::Stopped { .. }))
}

#[test]
fn who_stops_last_leaves_devices_as_the_site_says() {
    let mut site = about_to_stop();
    site.command(Command::Stop);
    assert_eq!(site.held[1..3], [10e3, -50e3], "the other keeps what it was told");
    assert!(has_stopped(&site), "once that is acknowledged");
}

#[test]
fn who_begins_anew_changes_nothing_at_its_devices() {
    let mut site = about_to_stop();
    site.command(Command::Return);
    assert_eq!(site.held[1..3], [50e3, -50e3]);
    assert!(has_stopped(&site));
}

#[test]
fn who_stops_before_it_runs_leaves_what_the_life_before_wrote_as_the_site_says() {
    for (command, left) in [(Command::Stop, 10e3), (Command::Return, 50e3)] {
        let mut site = Site::with(&consuming(), |devices| devices[1].at_stop = Some(Watts::of(10e3)));
        site.held[1] = 50e3;
        site.command(command);
        assert!(site.held[1] == left && has_stopped(&site), "{command:?}: {} W", site.held[1]);
    }
    let mut site = Site::with(&consuming(), |devices| devices[1].at_stop = Some(Watts::ZERO));
    site.refuses[1] = true;
    site.command(Command::Stop);
    site.scan(Reading { pcc: None, batteries: [None, None], pv: None });
    assert_eq!((site.writes[1], has_stopped(&site)), (2, false), "it is asked again");
}

#[test]
fn a_device_that_is_not_written_for_its_failures_is_tried_once_more_at_a_stop() {
    let mut site = Site::with(&consuming(), |devices| devices[1].at_stop = Some(Watts::of(10e3)));
    site.refuses[1] = true;
    for _scan in 0..60 {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    let failed = site.writes[1];
    let mut scans = 0..20;
    while site.writes[1] == failed && scans.next().is_some() {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    assert_eq!(site.writes[1], failed + 1, "it has failed just now");
    site.refuses[1] = false;
    site.command(Command::Stop);
    assert!(site.held[1] == 10e3 && has_stopped(&site), "{} W", site.held[1]);
}

#[test]
fn a_device_that_refuses_how_it_is_left_keeps_nobody_from_stopping() {
    let mut site = about_to_stop();
    site.refuses[1] = true;
    site.command(Command::Stop);
    site.live(100e3, 0.0, [0.5, 0.5]);
    assert!(!has_stopped(&site), "it is asked again");
    site.live(100e3, 0.0, [0.5, 0.5]);
    assert!(has_stopped(&site) && site.writes[1] >= 3, "{} writes", site.writes[1]);
    assert_eq!(site.held[1], 50e3);
}

#[test]
fn a_set_point_is_written_again_at_half_its_reversion_and_when_the_device_holds_another() {
    let mut site = Site::of(&consuming());
    for _scan in 0..5 {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    let settled = site.writes[1];
    for _scan in 0..29 {
        site.live(100e3, 0.0, [0.5, 0.5]);
    }
    // The last write was at the second or third scan; half of 60 s later it is repeated.
    assert_eq!(site.writes[1], settled + 1);
    // The device restarts, and forgets what it was told.
    site.held[1] = 0.0;
    let reading = |first: f64| Reading {
        pcc: Some(50e3 - first),
        batteries: [Some((first, 0.5, BATTERY_W)), Some((50e3, 0.5, BATTERY_W))],
        pv: Some(0.0),
    };
    site.scan(reading(50e3));
    assert_eq!((site.writes[1], site.held[1]), (settled + 2, 50e3));
}

#[test]
fn a_battery_that_does_not_follow_is_told_after_ten_seconds_and_again_when_it_does() {
    let mut site = Site::of(&consuming());
    let limited = |most: f64, site: &Site| {
        let power = if site.held[1] < most { site.held[1] } else { most };
        let second = -site.held[2];
        Reading {
            pcc: Some(200e3 - power - second),
            batteries: [Some((power, 0.5, BATTERY_W)), Some((second, 0.5, BATTERY_W))],
            pv: Some(0.0),
        }
    };
    for _scan in 0..30 {
        let reading = limited(20e3, &site);
        site.scan(reading);
    }
    let kinds = |site: &Site| site.events.iter().map(Event::kind).collect::<Vec<_>>();
    assert_eq!(kinds(&site).iter().filter(|kind| **kind == "device_limited").count(), 1);
    for _scan in 0..5 {
        let reading = limited(BATTERY_W, &site);
        site.scan(reading);
    }
    assert_eq!(kinds(&site).last(), Some(&"device_follows"));
}

/// A site whose meter is lost while its batteries discharge with all their power; `follows` says what the first one makes of its
/// set-points, and what it makes of them after that.
fn ramp_to_rest(follows: impl Fn(f64, f64) -> f64) -> Vec<&'static str> {
    let mut site = Site::of(&consuming());
    for _scan in 0..5 {
        site.live(2.0 * BATTERY_W, 0.0, [0.5, 0.5]);
    }
    let mut power = site.held[1];
    for _scan in 0..40 {
        let battery = |power: f64| Some((power, 0.5, BATTERY_W));
        let batteries = [battery(power), battery(-site.held[2])];
        power = follows(power, site.held[1]);
        site.scan(Reading { pcc: None, batteries, pv: Some(0.0) });
    }
    assert!(site.held[1].abs() < 1.0, "it was told to rest: {}", site.held[1]);
    site.events.iter().map(Event::kind).filter(|kind| kind.starts_with("device_")).collect()
}

#[test]
fn a_battery_that_is_on_its_way_behind_a_fast_ramp_follows() {
    assert!(ramp_to_rest(|_power, told| told).is_empty());
    // Half of what is left to go in each second, which is a lag of 1.4 s.
    assert!(ramp_to_rest(|power, told| (power + told) / 2.0).is_empty());
}

#[test]
fn a_battery_that_stays_where_a_ramp_began_is_told() {
    assert_eq!(ramp_to_rest(|power, _told| power), ["device_limited"]);
}

/// How far the batteries swing with a meter that is two scans late, of which the site declares `declared`.
fn swing(declared: Span) -> f64 {
    let mut site = Site::with(&consuming(), |devices| devices[0].latency = declared);
    let mut seen = std::collections::VecDeque::from([0.0, 0.0, 0.0]);
    let (mut least, mut most) = (f64::MAX, f64::MIN);
    for scan in 0..120 {
        let load = if scan < 10 { 0.0 } else { 100e3 };
        let batteries = [site.held[1], -site.held[2]];
        seen.push_back(load - batteries[0] - batteries[1]);
        let pcc = seen.pop_front();
        let battery = |power: f64| Some((power, 0.5, BATTERY_W));
        site.scan(Reading { pcc, batteries: batteries.map(battery), pv: Some(0.0) });
        if scan > 60 {
            (least, most) = (at_most(least, site.decided()), at_least(most, site.decided()));
        }
    }
    most - least
}

#[test]
fn powers_of_one_instant_do_not_swing_and_powers_of_two_do() {
    assert!(swing(Span::from_secs(3)) < 1.0);
    assert!(swing(Span::ZERO) > 100e3, "without alignment this loop swings: the test would see it");
}
