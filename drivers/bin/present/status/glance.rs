//! What is asked of a grid first, in a line: what holds it, who is active, what flows, how long the batteries last.

use r_ems_engine::Span;

use super::super::style::{BAD, GOOD, WARN, paint};
use super::super::text::{duration, percent, power};
use super::NOTHING;
use crate::api::{DeviceStatus, GridStatus};

/// By so much of it a limit may be passed without being marked: what holds it sees the power only after it has changed.
const LIMIT_SLACK: f64 = 0.01;

/// The parts of the line.
pub(super) fn glance(grid: &GridStatus) -> Vec<String> {
    let mut parts: Vec<String> = held_by(grid).into_iter().collect();
    parts.push(match (&grid.active, &grid.epoch) {
        (Some(active), Some(epoch)) => paint(GOOD, &format!("{active} active, epoch {epoch}")),
        (_, _) => paint(BAD, if grid.hears_all() { "nobody is active" } else { "no active is heard here" }),
    });
    parts.extend(grid.devices.iter().filter_map(|device| of_device(device, grid)));
    if grid.is_stopped {
        parts.push(paint(BAD, "EMERGENCY STOP"));
    }
    parts.extend(operated(grid).map(|text| paint(WARN, &text)));
    parts.extend(grid.devices.iter().filter_map(by_hand).map(|text| paint(WARN, &text)));
    let simulated = grid.devices.iter().filter(|device| device.is_simulated);
    parts.extend(simulated.map(|device| paint(WARN, &format!("{} is SIMULATED", device.name))));
    parts
}

/// What is first asked of a device: a meter's power against the limit, a battery's state of charge and where it goes.
fn of_device(device: &DeviceStatus, grid: &GridStatus) -> Option<String> {
    let DeviceStatus { name, power_w, .. } = device;
    match device.class.as_str() {
        "Meter" => {
            // Of several, which one the limit is for is not known here.
            let is_only = grid.devices.iter().filter(|device| device.class == "Meter").count() == 1;
            let limit_w = grid.limit_w.filter(|_limit| is_only);
            let limit = limit_w.map_or_else(String::new, |limit| format!(", limit {}", power(limit)));
            Some(match *power_w {
                Some(now) if now < 0.0 => format!("{name} exports {}{limit}", power(-now)),
                Some(now) if limit_w.is_some_and(|limit| now > limit * (1.0 + LIMIT_SLACK)) => {
                    paint(WARN, &format!("{name} imports {}{limit}", power(now)))
                }
                Some(now) => format!("{name} imports {}{limit}", power(now)),
                None => paint(BAD, &format!("{name} is not known")),
            })
        }
        "Battery" => {
            let charge = device.soc.map_or_else(|| NOTHING.to_owned(), percent);
            let lasts = |end: &str| {
                let lasts = device.lasts_s.map(|lasts| duration(Span::from_secs_f64(lasts)));
                lasts.map_or_else(String::new, |lasts| format!(", {end} in {lasts}"))
            };
            let goes = match *power_w {
                Some(now) if now >= 1.0 => format!(", discharges {}{}", power(now), lasts("empty")),
                Some(now) if now <= -1.0 => format!(", charges {}{}", power(-now), lasts("full")),
                Some(_) => ", rests".to_owned(),
                None => String::new(),
            };
            Some(format!("{name} {charge}{goes}"))
        }
        "Signal" => Some(match device.signal {
            // What is usual needs no words.
            Some(share) if share >= 1.0 => return None,
            Some(share) => paint(WARN, &format!("{name} signals {}", percent(share))),
            None => paint(BAD, &format!("{name} is not known")),
        }),
        _ => None,
    }
}

/// What holds a grid that has a breaker to tell it.
fn held_by(grid: &GridStatus) -> Option<String> {
    grid.devices.iter().any(|device| device.class == "Breaker").then(|| match grid.held_by.as_deref() {
        Some("grid") => paint(GOOD, "on grid"),
        Some("dead") => paint(BAD, "DEAD: nothing holds it"),
        Some(held_by) => paint(WARN, held_by),
        None => paint(BAD, "grid or island is not known"),
    })
}

/// How an operator has a grid run, unless by its functions: "held for 12 min".
fn operated(grid: &GridStatus) -> Option<String> {
    match (grid.operation.as_str(), grid.held_for_s) {
        ("hold", left) => {
            let left =
                left.map_or_else(String::new, |left| format!(" for {}", duration(Span::from_secs_f64(left))));
            Some(format!("held{left}"))
        }
        ("stop", _) => Some("stopped by an operator".to_owned()),
        (_, _) => None,
    }
}

/// What an operator told a device, and for how long that still counts: "bess by hand at 50.0 kW for 29 min".
fn by_hand(device: &DeviceStatus) -> Option<String> {
    let (told, left) = (device.by_hand_w?, Span::from_secs_f64(device.by_hand_left_s?));
    Some(format!("{} by hand at {} for {}", device.name, power(told), duration(left)))
}
