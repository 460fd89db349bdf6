//! How a running daemon is, at a glance: what matters most comes first.

mod devices;
mod glance;
mod worries;

use std::fmt::Write;

use r_ems_engine::Span;

use self::devices::devices;
use self::glance::glance;
use self::worries::{Worry, worries};
use super::style::{BAD, BOLD, DIM, GOOD, WARN, paint};
use super::table::{Align, Table};
use super::text::{count, duration, quantity};
use crate::api::{Config, ControllerStatus, EventLine, GridStatus, LogStatus, Points, Status};

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
        page += &grid_page(grid, status);
    }
    let timing = &status.timing;
    let span = |seconds: f64| duration(Span::from_secs_f64(seconds));
    let loop_line = format!(
        "loop: {} deliveries, half late by at most {}, 99 of 100 by {}, the worst by {}",
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

fn grid_page(grid: &GridStatus, status: &Status) -> String {
    let mut parts = glance(grid);
    let worries = worries(grid, status);
    let alarms = worries.iter().filter(|worry| worry.is_alarm).count();
    parts.push(match (alarms, worries.len()) {
        (0, 0) => paint(GOOD, "all is well"),
        (0, warnings) => paint(WARN, &plural(warnings, "warning")),
        (alarms, _) => paint(BAD, &plural(alarms, "alarm")),
    });
    let mut page = format!("{}  {}\n", paint(BOLD, &grid.name), parts.join("  ·  "));
    for Worry { is_alarm, text } in &worries {
        let _ = writeln!(page, "  {}", paint(if *is_alarm { BAD } else { WARN }, text));
    }
    page.push('\n');
    page += &devices(&grid.devices);
    page.push('\n');
    page += &controllers(&grid.controllers);
    page
}

fn controllers(controllers: &[ControllerStatus]) -> String {
    const COLUMNS: [Align; 8] = [
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Right,
    ];
    let mut table = Table::new(2, &COLUMNS);
    table.row(["controller", "role", "epoch", "ready", "state age", "scans", "missed", "seen"]);
    for controller in controllers {
        // What others count is not known here.
        let here = |number| if controller.host.is_some() { NOTHING.to_owned() } else { count(number) };
        let role = match controller.role.as_str() {
            role if controller.is_sole == Some(true) => paint(WARN, &format!("{role}, sole")),
            "active" => paint(GOOD, "active"),
            "down" => paint(BAD, &controller.life),
            role @ ("silent" | "differs") => paint(BAD, role),
            "maintenance" => paint(WARN, "maintenance"),
            other => other.replace('_', " "),
        };
        let ready = match (controller.role.as_str(), controller.is_ready, controller.reaches_devices) {
            ("witness" | "down" | "silent" | "differs" | "maintenance", _, _) => NOTHING.to_owned(),
            (_, true, true) => "yes".to_owned(),
            (_, false, true) => paint(WARN, "no"),
            (_, _, false) => paint(WARN, "no, misses devices"),
        };
        table.row([
            match &controller.host {
                Some(host) => format!("{} on {host}", controller.name),
                None => controller.name.clone(),
            },
            role,
            controller.epoch.clone(),
            ready,
            seconds(controller.state_age_s),
            here(controller.scans),
            here(controller.missed),
            match controller.seen_s {
                never if never == f64::MAX => "never".to_owned(),
                // What is usual, and would only flicker.
                seen if seen < 1.0 => "now".to_owned(),
                seen => format!("{} ago", seconds(Some(seen))),
            },
        ]);
    }
    table.headed()
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| NOTHING.to_owned(), |seconds| duration(Span::from_secs_f64(seconds)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::DeviceStatus;
    use crate::api::{Condition, Timing};

    fn device(name: &str, class: &str, power_w: Option<f64>) -> DeviceStatus {
        DeviceStatus {
            name: name.to_owned(),
            class: class.to_owned(),
            is_simulated: false,
            power_w,
            soc: None,
            signal: None,
            control: None,
            mode: None,
            lasts_s: None,
            quality: "good".to_owned(),
            age_s: Some(0.1),
            timeouts: 0,
            set_point_w: None,
            bound_by: None,
            by_hand_w: None,
            by_hand_left_s: None,
            write: None,
            reverts_in_s: None,
        }
    }

    fn controller(id: &str, role: &str) -> ControllerStatus {
        ControllerStatus {
            host: None,
            name: format!("g/{id}"),
            role: role.to_owned(),
            epoch: "1.0".to_owned(),
            life: if role == "down" { "silent" } else { "running" }.to_owned(),
            is_sole: Some(false),
            is_ready: true,
            reaches_devices: true,
            state_age_s: None,
            scans: 1,
            missed: 0,
            lateness_worst_s: 0.0,
            seen_s: 0.1,
        }
    }

    fn grid() -> GridStatus {
        GridStatus {
            name: "g".to_owned(),
            active: Some("a".to_owned()),
            epoch: Some("1.0".to_owned()),
            seen_by: Some("a".to_owned()),
            is_stopped: false,
            operation: "auto".to_owned(),
            held_for_s: None,
            held_by: Some("grid".to_owned()),
            limit_w: Some(100e3),
            devices: vec![device("pcc", "Meter", Some(100e3)), device("bess", "Battery", Some(3e3))],
            controllers: vec![
                controller("a", "active"),
                controller("b", "standby"),
                controller("w", "witness"),
            ],
            conditions: Vec::new(),
        }
    }

    /// Of a daemon that runs as it should.
    fn status() -> Status {
        Status {
            version: "1".to_owned(),
            mode: "simulation".to_owned(),
            scenario: "s".to_owned(),
            now_s: 1.0,
            now: "10:00:00".to_owned(),
            is_stopping: false,
            timing: Timing { deliveries: 1, p50_s: 0.0, p99_s: 0.0, worst_s: 0.0 },
            events_lost: 0,
            lines_lost: 0,
            log: None,
            grids: vec![grid()],
        }
    }

    /// The page of a grid without its colors.
    fn plain(grid: &GridStatus) -> String {
        anstream::adapter::strip_str(&grid_page(grid, &status())).to_string()
    }

    fn changed(change: impl FnOnce(&mut GridStatus)) -> String {
        let mut grid = grid();
        change(&mut grid);
        plain(&grid)
    }

    #[test]
    fn the_first_line_says_who_is_active_what_the_connection_and_the_battery_do_and_what_is_wrong() {
        let page =
            changed(|grid| (grid.devices[1].soc, grid.devices[1].lasts_s) = (Some(0.69), Some(99_360.0)));
        let first = page.lines().next().expect("a line");
        let expected = "g  a active, epoch 1.0  ·  pcc imports 100.0 kW, limit 100.0 kW  ·  bess 69.0 %, discharges 3.0 kW, \
                        empty in 1 day 3 h  ·  all is well";
        assert_eq!(first, expected);
        let page = changed(|grid| {
            grid.devices[0].power_w = Some(-2e3);
            (grid.devices[1].power_w, grid.devices[1].lasts_s) = (Some(-6e3), Some(1_800.0));
        });
        assert!(
            page.contains("pcc exports 2.0 kW") && page.contains("charges 6.0 kW, full in 30 min"),
            "{page}"
        );
    }

    #[test]
    fn all_is_well_only_where_somebody_writes_another_could_and_all_is_seen() {
        assert!(plain(&grid()).contains("all is well"));
        for (page, expected) in [
            (changed(|grid| grid.active = None), "1 alarm\n  nobody writes"),
            (
                changed(|grid| grid.controllers[1].role = "maintenance".to_owned()),
                "1 warning\n  nobody could take over",
            ),
            (changed(|grid| grid.controllers[1].is_ready = false), "1 warning\n  nobody could take over"),
            (
                changed(|grid| grid.controllers[1].reaches_devices = false),
                "1 warning\n  nobody could take over",
            ),
            (changed(|grid| grid.controllers[2] = controller("w", "down")), "1 warning\n  g/w is silent"),
            (changed(|grid| grid.devices[0].quality = "stale".to_owned()), "1 warning\n  pcc is stale"),
        ] {
            assert!(page.contains(expected) && !page.contains("all is well"), "{expected}: {page}");
        }
        let silent = |role: &str| {
            changed(|grid| {
                grid.active = None;
                grid.controllers[0] =
                    ControllerStatus { host: Some("far".to_owned()), ..controller("a", role) };
            })
        };
        for (role, expected) in
            [("silent", "is not heard here"), ("differs", "has another redundancy section")]
        {
            let page = silent(role);
            assert!(page.contains("no active is heard here") && !page.contains("nobody"), "{page}");
            assert!(page.contains(&format!("g/a on host far {expected}")), "{page}");
        }
        let blind =
            changed(|grid| grid.controllers.iter_mut().for_each(|member| member.reaches_devices = false));
        assert!(blind.contains("all is well"), "another is as good: {blind}");
        let alone = changed(|grid| drop(grid.controllers.drain(1..)));
        assert!(alone.contains("all is well"), "nobody else was meant to: {alone}");
    }

    #[test]
    fn who_ends_is_no_worry_and_lost_events_are_one() {
        let nobody = GridStatus { active: None, controllers: vec![controller("a", "down")], ..grid() };
        let ending = grid_page(&nobody, &Status { is_stopping: true, ..status() });
        assert!(ending.contains("all is well"), "{ending}");
        let lossy = grid_page(&grid(), &Status { events_lost: 1, ..status() });
        assert!(lossy.contains("events were lost: what") && !lossy.contains("all is well"), "{lossy}");
    }

    #[test]
    fn what_is_simulated_beside_real_devices_is_said_on_the_first_line_and_where_the_device_stands() {
        let page = changed(|grid| grid.devices[1].is_simulated = true);
        let first = page.lines().next().expect("a line");
        assert!(first.contains("bess is SIMULATED  ·  all is well"), "{page}");
        assert!(page.contains("bess (simulated)") && !page.contains("pcc (simulated)"), "{page}");
        assert!(!plain(&grid()).to_lowercase().contains("simulated"));
    }

    #[test]
    fn what_operators_told_devices_and_what_the_grid_operator_signals_stands_on_the_first_line() {
        let page = changed(|grid| {
            (grid.devices[1].by_hand_w, grid.devices[1].by_hand_left_s) = (Some(-5e3), Some(600.0));
            let receiver = DeviceStatus { signal: Some(0.6), ..device("receiver", "Signal", None) };
            grid.devices.push(receiver);
            grid.is_stopped = true;
        });
        let first = page.lines().next().expect("a line");
        for expected in ["bess by hand at -5.0 kW for 10 min", "receiver signals 60", "EMERGENCY STOP"] {
            assert!(first.contains(expected), "{expected}: {page}");
        }
        let usual = changed(|grid| {
            grid.devices.push(DeviceStatus { signal: Some(1.0), ..device("receiver", "Signal", None) });
        });
        let first = usual.lines().next().expect("a line");
        assert!(!first.contains("receiver") && first.contains("all is well"), "{usual}");
    }

    #[test]
    fn who_controls_a_device_stands_beside_it_and_one_at_its_panel_or_in_fault_is_marked() {
        let with = |control: Option<&str>, mode: Option<&str>| {
            let mut grid = grid();
            grid.devices[1].control = control.map(str::to_owned);
            grid.devices[1].mode = mode.map(str::to_owned);
            grid_page(&grid, &status())
        };
        let usual = with(Some("remote"), Some("running"));
        assert!(usual.contains("remote, running") && !usual.contains(WARN.to_string().as_str()), "{usual}");
        assert!(with(Some("local"), None).contains(&paint(WARN, "local")));
        assert!(with(None, Some("fault")).contains(&paint(WARN, "fault")));
        assert!(plain(&grid()).contains("control"));
    }

    #[test]
    fn what_several_controllers_report_is_one_thing() {
        let condition = |controller: &str, since_s: f64, message: &str| Condition {
            since_s,
            since: format!("10:00:0{since_s}"),
            controller: controller.to_owned(),
            severity: "alarm".to_owned(),
            message: message.to_owned(),
        };
        let conditions =
            vec![condition("g/a", 1.0, "lost"), condition("g/a", 2.0, "full"), condition("g/b", 3.0, "lost")];
        let page = changed(|grid| grid.conditions = conditions);
        let expected = "2 alarms\n  lost  (g/a, g/b, since 10:00:01)\n  full  (g/a, since 10:00:02)\n";
        assert!(page.contains(expected), "{page}");
    }

    #[test]
    fn a_limit_is_marked_where_it_is_passed_and_belongs_to_an_only_meter() {
        let marked = |watts: f64| {
            let mut grid = grid();
            grid.devices[0].power_w = Some(watts);
            grid_page(&grid, &status()).contains(&format!("{WARN}pcc imports"))
        };
        assert!(!marked(100.9e3) && marked(101.1e3));
        let two = changed(|grid| grid.devices.push(device("genset", "Meter", Some(5e3))));
        assert!(two.contains("pcc imports 100.0 kW  ·") && two.contains("genset imports 5.0 kW"), "{two}");
    }
}
