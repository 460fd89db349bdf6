//! How a running daemon is, at a glance: what matters most comes first.

use std::fmt::Write;

use r_ems_engine::Span;

use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::table::{Align, Table};
use super::text::{count, duration, percent, power, quantity};
use crate::api::{
    Condition, Config, ControllerStatus, DeviceStatus, EventLine, GridStatus, LogStatus, Points, Status,
};

/// What is not known.
const NOTHING: &str = "–";

/// The page.
pub fn page(status: &Status) -> String {
    let mut page = format!("{}  {}", paint(BOLD, &status.scenario), paint(DIM, &status.now));
    page += &format!("  {}", paint(DIM, &status.mode));
    if status.is_stopping {
        page += &format!("  {}", paint(WARN, "ending"));
    }
    page.push('\n');
    for grid in &status.grids {
        page.push('\n');
        page += &grid_page(grid);
    }
    let timing = &status.timing;
    let span = |seconds: f64| duration(Span::from_secs_f64(seconds));
    let loop_line = format!(
        "loop: {} deliveries, half within {}, 99 of 100 within {}, worst {}",
        count(timing.deliveries),
        span(timing.p50_s),
        span(timing.p99_s),
        span(timing.worst_s)
    );
    let _ = writeln!(page, "\n{}", paint(DIM, &loop_line));
    if let Some(LogStatus { path, bytes, cut }) = &status.log {
        let log = format!("log: {path}, {} bytes", count(*bytes));
        let _ = match cut {
            None => writeln!(page, "{}", paint(DIM, &log)),
            Some(cut) => writeln!(page, "{}", paint(BAD, &format!("{log}, ended before the run: {cut}"))),
        };
    }
    for (lost, what) in [
        (status.events_lost, "events were lost"),
        (status.lines_lost, "lines on the daemon's standard error were lost: nobody read them in time"),
    ] {
        if lost > 0 {
            let _ = writeln!(page, "{}", paint(BAD, &format!("{} {what}", count(lost))));
        }
    }
    page
}

fn grid_page(grid: &GridStatus) -> String {
    let mut parts = Vec::new();
    parts.push(match (&grid.active, &grid.epoch) {
        (Some(active), Some(epoch)) => paint(GOOD, &format!("{active} active, epoch {epoch}")),
        (_, _) => paint(BAD, "nobody is active"),
    });
    parts.extend(grid.devices.iter().filter_map(|device| glance(device, grid.limit_w)));
    let alarms = grid.conditions.iter().filter(|condition| condition.severity == "alarm").count();
    parts.push(match (alarms, grid.conditions.len()) {
        (0, 0) => paint(GOOD, "all is well"),
        (0, warnings) => paint(WARN, &plural(warnings, "warning")),
        (alarms, _) => paint(BAD, &plural(alarms, "alarm")),
    });
    let mut page = format!("{}  {}\n", paint(BOLD, &grid.name), parts.join("  ·  "));
    for Condition { since, controller, severity, message, .. } in &grid.conditions {
        let style = if severity == "alarm" { BAD } else { WARN };
        let _ = writeln!(page, "  {}  {} since {since}", paint(style, message), paint(DIM, controller));
    }
    page.push('\n');
    page += &devices(&grid.devices);
    page.push('\n');
    page += &controllers(&grid.controllers);
    page
}

/// What is first asked of a device: a meter's power against the limit, a battery's state of charge and where it goes.
fn glance(device: &DeviceStatus, limit_w: Option<f64>) -> Option<String> {
    let power_w = device.power_w;
    match device.class.as_str() {
        "Meter" => Some(match (power_w, limit_w) {
            (Some(now), Some(limit)) => format!("{} {} of {}", device.name, power(now), power(limit)),
            (Some(now), None) => format!("{} {}", device.name, power(now)),
            (None, _) => paint(BAD, &format!("{} is not known", device.name)),
        }),
        "Battery" => {
            let charge = device.soc.map_or_else(|| NOTHING.to_owned(), percent);
            let goes = match power_w {
                Some(now) if now >= 1.0 => format!(", discharges {}", power(now)),
                Some(now) if now <= -1.0 => format!(", charges {}", power(-now)),
                Some(_) => ", rests".to_owned(),
                None => String::new(),
            };
            Some(format!("{} {charge}{goes}", device.name))
        }
        _ => None,
    }
}

fn devices(devices: &[DeviceStatus]) -> String {
    const COLUMNS: [Align; 8] = [
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
    ];
    let mut table = Table::new(2, &COLUMNS);
    table.row(["device", "measured", "set-point", "bound by", "charge", "quality", "age", "reverts in"]);
    let seconds = |seconds: Option<f64>| {
        seconds.map_or_else(|| NOTHING.to_owned(), |seconds| duration(Span::from_secs_f64(seconds)))
    };
    for device in devices {
        let watts = |watts: Option<f64>| watts.map_or_else(|| NOTHING.to_owned(), power);
        let quality =
            if device.quality == "good" { device.quality.clone() } else { paint(BAD, &device.quality) };
        table.row([
            device.name.clone(),
            watts(device.power_w),
            watts(device.set_point_w),
            device.bound_by.clone().unwrap_or_else(|| NOTHING.to_owned()),
            device.soc.map_or_else(|| NOTHING.to_owned(), percent),
            quality,
            seconds(device.age_s),
            seconds(device.reverts_in_s),
        ]);
    }
    table.headed()
}

fn controllers(controllers: &[ControllerStatus]) -> String {
    const COLUMNS: [Align; 7] =
        [Align::Left, Align::Left, Align::Right, Align::Left, Align::Right, Align::Right, Align::Right];
    let mut table = Table::new(2, &COLUMNS);
    table.row(["controller", "role", "epoch", "ready", "scans", "missed", "seen"]);
    for controller in controllers {
        let role = match controller.role.as_str() {
            "active" => paint(GOOD, "active"),
            "down" => paint(BAD, &controller.life),
            other => other.replace('_', " "),
        };
        let ready = match (controller.role.as_str(), controller.is_ready) {
            ("witness" | "down", _) => NOTHING.to_owned(),
            (_, true) => "yes".to_owned(),
            (_, false) => paint(WARN, "no"),
        };
        table.row([
            controller.name.clone(),
            role,
            controller.epoch.clone(),
            ready,
            count(controller.scans),
            count(controller.missed),
            format!("{} ago", duration(Span::from_secs_f64(controller.seen_s))),
        ]);
    }
    table.headed()
}

/// All points as a table.
pub fn points(points: &Points) -> String {
    let mut table = Table::new(0, &[Align::Left, Align::Left, Align::Right, Align::Left, Align::Right]);
    table.row(["controller", "point", "value", "quality", "age"]);
    for point in &points.points {
        table.row([
            point.controller.clone(),
            point.point.clone(),
            point.value.map_or_else(|| NOTHING.to_owned(), |value| quantity(value, &point.unit)),
            point.quality.clone(),
            point.age_s.map_or_else(|| NOTHING.to_owned(), |age| duration(Span::from_secs_f64(age))),
        ]);
    }
    table.headed()
}

/// One event as a line.
pub fn event(line: &EventLine) -> String {
    let style = match line.severity.as_str() {
        "alarm" => BAD,
        "warning" => WARN,
        _ => DIM,
    };
    format!("{}  {}  {}\n", paint(DIM, &line.at), line.controller, paint(style, &line.message))
}

/// What is in effect: both files, as they can be written down again.
pub fn config(config: &Config) -> String {
    let mut page = String::new();
    for text in [&config.scenario, &config.site].into_iter().filter(|text| !text.text.is_empty()) {
        let _ = write!(page, "{}\n{}", paint(DIM, &format!("// {}", text.path)), text.text);
        if !text.text.ends_with('\n') {
            page.push('\n');
        }
    }
    page
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}
