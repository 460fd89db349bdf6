//! Batteries that behave as some do: they start slowly, are gone for a while, or belong to somebody else by now.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::strangers::{framed, registers, server_with};
use crate::{at, probed, site};

/// A battery falls back after so long.
const REVERSION: Duration = Duration::from_secs(4);
/// A look ends with that register: where SunSpec may begin.
const LAST_OF_A_LOOK: u16 = 50_000;

/// How a battery behaves, and how it fares.
#[derive(Clone, Copy, Debug, Default)]
struct Battery {
    /// It moves by so much in a second, W; at once, if that is 0.
    ramp: i32,
    /// It ends connections in this while after so many writes.
    gone: Option<(usize, Duration, Duration)>,
    /// So long after so many writes somebody else gives it this set-point, W; with 0 writes: after the look.
    other: Option<(usize, Duration, i32)>,
    /// After just so many writes it does that, W, whatever it is told.
    does: Option<(usize, i32)>,
    told: i32,
    written: Option<Instant>,
    writes: usize,
    power: i32,
    at: Option<Instant>,
}

impl Battery {
    fn since(&self) -> Duration {
        self.written.map_or(Duration::ZERO, |written| written.elapsed())
    }

    fn is_in_force(&self) -> bool {
        self.is_of_another() || (self.written.is_some() && self.since() < REVERSION)
    }

    fn is_of_another(&self) -> bool {
        self.other.is_some_and(|(writes, after, _)| self.writes >= writes.max(1) && self.since() >= after)
    }

    fn answer(&mut self, asked: &[u8]) -> Option<Vec<u8>> {
        if let Some((writes, from, to)) = self.gone
            && self.writes == writes
            && (from..to).contains(&self.since())
        {
            return None;
        }
        let first = u16::from_be_bytes([asked[8], asked[9]]);
        if let (LAST_OF_A_LOOK, Some((0, _, _))) = (first, self.other) {
            (self.writes, self.written) = (1, Some(Instant::now()));
        }
        if let (true, Some((_, _, told))) = (self.is_of_another(), self.other) {
            self.told = told;
        }
        let aim = if self.is_in_force() { self.told } else { 0 };
        let aim = self.does.filter(|does| does.0 == self.writes).map_or(aim, |does| does.1);
        let passed = self.at.map_or(0.0, |at| at.elapsed().as_secs_f64());
        let most = if self.ramp == 0 { i32::MAX } else { (f64::from(self.ramp) * passed) as i32 };
        let moved = (aim - self.power).clamp(-most, most);
        if moved != 0 || self.power == aim {
            (self.power, self.at) = (self.power + moved, Some(Instant::now()));
        }
        match asked[7] {
            16 => {
                self.told = i32::from_be_bytes([asked[13], asked[14], asked[15], asked[16]]);
                (self.writes, self.written) = (self.writes + 1, Some(Instant::now()));
                self.other = self.other.filter(|_| !self.is_of_another());
                Some(framed(asked, &asked[7..12]))
            }
            3 => {
                let half = |number: i32, place: u16| (number as u32 >> (16 * (1 - place))) as u16;
                Some(registers(asked, |address| match address {
                    100 | 101 => half(self.power, address - 100),
                    102 => 500,
                    103 | 104 => 25_000,
                    // What it was told long ago stands there, and is not in force.
                    200 | 201 if self.written.is_none() => half(70_000, address - 200),
                    200 | 201 => half(self.told, address - 200),
                    202 => u16::from(self.is_in_force()),
                    _ => 0,
                }))
            }
            _ => Some(framed(asked, &[asked[7] | 0x80, 1])),
        }
    }
}

/// What a trial of a battery comes to, and how the battery fares in the end.
fn tried(name: &str, battery: Battery) -> (Option<i32>, Value, Battery) {
    let battery = Arc::new(Mutex::new(battery));
    let served = Arc::clone(&battery);
    let address: SocketAddr =
        server_with(None, move |asked| served.lock().expect("nobody fails with it").answer(asked));
    let address = address.to_string();
    let edits = [
        ("rating: \"250 kW\"", "rating: \"250 kW\", reversion: \"4 s\""),
        (
            "address: 200, number: I32, scale: \"1 W\"",
            "address: 200, number: I32, scale: \"1 W\", in_force: (address: 202, number: U16, is: 1)",
        ),
    ];
    let site = site(name, (&address, &address), &edits);
    let nobody = ["--socket", "/nowhere/r-emsd.sock", "--state", "/nowhere"];
    let (code, probed) = probed(&site, &[&["--write", "--yes", "--device", "bess"], &nobody[..]].concat());
    let battery = *battery.lock().expect("nobody fails with it");
    (code, probed, battery)
}

fn withheld(probed: &Value) -> String {
    probed["devices"][0]["written"]["withheld"].to_string()
}

#[test]
fn a_battery_whose_set_point_is_not_in_force_is_at_rest_and_tried() {
    let (code, probed, battery) = tried("probe_in_force.ron", Battery::default());
    assert_eq!(code, Some(0), "{probed:#}");
    let points = probed["devices"][0]["points"].as_array().expect("a list");
    assert_eq!(points.last().map(|point| &point["quality"]), Some(&"not in force".into()));
    assert_eq!(probed["devices"][0]["written"]["steps"].as_array().map(Vec::len), Some(3), "{probed:#}");
    assert_eq!((battery.told, battery.writes), (0, 5));
}

#[test]
fn who_was_at_rest_and_is_commanded_since_then_is_left_alone() {
    let other = Some((0, Duration::ZERO, 100_000));
    let (code, probed, battery) = tried("probe_since.ron", Battery { other, ..Battery::default() });
    assert_eq!(code, Some(2), "{probed:#}");
    assert!(withheld(&probed).contains("somebody commands it"), "{probed:#}");
    assert_eq!((battery.told, battery.writes), (100_000, 1), "nothing was written");
}

#[test]
fn who_is_commanded_while_its_reversion_is_waited_for_is_left_to_that() {
    let other = Some((4, Duration::from_secs(1), 60_000));
    let (code, probed, battery) = tried("probe_taken.ron", Battery { other, ..Battery::default() });
    assert_eq!(code, Some(2), "{probed:#}");
    assert!(withheld(&probed).contains("became 60.0 kW"), "{probed:#}");
    assert!(at(&probed, "bess.reversion").is_none(), "{probed:#}");
    assert_eq!((battery.told, battery.writes), (60_000, 4), "nothing was written over it");
}

#[test]
fn a_reversion_during_which_nothing_can_be_read_is_not_judged() {
    let gone = Some((4, Duration::from_secs(1), Duration::from_secs(8)));
    let (code, probed, battery) = tried("probe_unseen.ron", Battery { gone, ..Battery::default() });
    assert_eq!(code, Some(2), "{probed:#}");
    assert!(withheld(&probed).contains("reversion was not seen"), "{probed:#}");
    assert!(at(&probed, "bess.reversion").is_none(), "{probed:#}");
    assert_eq!(battery.told, 0);
}

#[test]
fn rest_is_asked_for_until_a_device_that_went_away_is_back() {
    let gone = Some((1, Duration::from_millis(100), Duration::from_secs(9)));
    let (code, probed, battery) = tried("probe_away.ron", Battery { gone, ..Battery::default() });
    assert_eq!(code, Some(2), "{probed:#}");
    assert!(withheld(&probed).contains("could not be read"), "{probed:#}");
    assert_eq!(probed["devices"][0]["written"]["rests"], true, "{probed:#}");
    assert_eq!(battery.told, 0, "{battery:?}");
}

#[test]
fn who_follows_slowly_is_told_to_be_slow_and_not_to_be_wrong() {
    let (code, probed, battery) = tried("probe_slow.ron", Battery { ramp: 5_000, ..Battery::default() });
    assert_eq!(code, Some(0), "{probed:#}");
    let finding = at(&probed, "bess.link.writes").unwrap_or_else(|| panic!("{probed:#}"));
    assert!(finding.to_string().contains("slowly"), "{finding:#}");
    assert_eq!((&finding["severity"], battery.told), (&"warning".into(), 0));
}

#[test]
fn a_trial_that_comes_to_no_end_is_no_agreement() {
    // The fourth write is that whose reversion is waited for.
    let does = Some((4, 0));
    let (code, probed, battery) = tried("probe_unfollowed.ron", Battery { does, ..Battery::default() });
    assert_eq!(code, Some(2), "{probed:#}");
    assert!(withheld(&probed).contains("its reversion was not tried"), "{probed:#}");
    assert_eq!((&probed["untried"][0], battery.told), (&"commerce/bess".into(), 0), "{probed:#}");
}

#[test]
fn who_does_much_when_it_is_told_to_rest_is_noted() {
    let does = Some((3, 60_000));
    let (code, probed, battery) = tried("probe_unrested.ron", Battery { does, ..Battery::default() });
    assert_eq!(code, Some(1), "{probed:#}");
    let finding = at(&probed, "bess.link.writes").unwrap_or_else(|| panic!("{probed:#}"));
    assert!(finding.to_string().contains("60.0 kW measured at a set-point of 0 W"), "{finding:#}");
    assert_eq!((&probed["untried"][0], battery.told), (&"commerce/bess".into(), 0), "{probed:#}");
}

#[test]
fn who_does_not_come_to_rest_at_once_is_not_tried_further() {
    let does = Some((3, 10_000));
    let (code, probed, battery) = tried("probe_restless.ron", Battery { does, ..Battery::default() });
    assert_eq!(code, Some(2), "{probed:#}");
    assert!(withheld(&probed).contains("10.0 kW measured at a set-point of 0 W"), "{probed:#}");
    assert_eq!((&probed["devices"][0]["written"]["rests"], battery.told), (&true.into(), 0), "{probed:#}");
}
