//! What happens to a grid: to its plant, to its devices, to its controllers, and what operators ask for.

use crate::knobs::Knobs;
use crate::site::{Grid, Site};

/// An entry of a timeline, or two.
pub(crate) struct Happening {
    pub(crate) text: String,
    /// What happens, and to whom.
    pub(crate) what: String,
}

/// What happens; nothing where the grid has not what it happens to.
pub(crate) fn of(site: &Site, grid: &Grid, knobs: &Knobs) -> Option<Happening> {
    let length = f64::from(site.seconds());
    let from = knobs.number(1, 0.0, length - 2.0);
    let to = knobs.number(2, from + 0.5, length - 0.1);
    let made = |what: &str, text: String| {
        let what = what.split(',').next().unwrap_or_default().to_owned();
        Some(Happening { text, what })
    };
    let during = |what: String| made(&what, format!("During(\"+{from:.1} s\", \"+{to:.1} s\", {what})"));
    let at = |what: String| made(&what, format!("At(\"+{from:.1} s\", {what})"));
    let both = |first: String, then: String| {
        made(&first, format!("At(\"+{from:.1} s\", {first}),\n        At(\"+{to:.1} s\", {then})"))
    };
    let g = &grid.name;
    let device = || any_device(grid, knobs);
    match knobs.whole(0, 0, 24) {
        0 => both(format!("Open(\"{g}/pcc\")"), format!("Close(\"{g}/pcc\")")),
        1 => during(format!("Frequency(\"{g}/pcc\", \"{} Hz\")", knobs.between(3, 47.0, 53.0))),
        2 => during(format!("Frequency(\"{g}/pcc\", \"{} Hz\")", knobs.between(3, 49.7, 50.3))),
        3 => during(format!("Voltage(\"{g}/pcc\", \"{} pu\")", knobs.between(3, 0.85, 1.15))),
        4 => during(format!("Voltage(\"{g}/pcc\", \"0 pu\")")),
        5 => by_hand(grid, knobs).and_then(at),
        6 => both(format!("EmergencyStop(\"{g}\")"), format!("Reset(\"{g}\")")),
        7 if grid.has_receiver() => during(format!(
            "GridSignal(\"{g}/receiver\", \"{} %\")",
            knobs.pick(3, &["0", "30", "60", "100"])
        )),
        8 if !grid.loads.is_empty() => both(format!("Open(\"{g}/l1\")"), format!("Close(\"{g}/l1\")")),
        9 if !grid.gensets.is_empty() => both(format!("Stop(\"{g}/gen1\")"), format!("Start(\"{g}/gen1\")")),
        10 if !grid.batteries.is_empty() => both(format!("Stop(\"{g}/b1\")"), format!("Start(\"{g}/b1\")")),
        11 => during(format!(
            "WallClock(host: \"a\", ahead: {})",
            knobs.pick(3, &["\"1 h\"", "\"-30 s\"", "Unknown"])
        )),
        12 => at(format!("RestartDevice(\"{g}/{}\")", controlled(grid, knobs)?)),
        13 => {
            let fault = knobs.pick(3, &["Refuses", "Ignores"]);
            during(format!("{fault}(\"{g}/{}\")", controlled(grid, knobs)?))
        }
        14 => during(wrong(grid, knobs)),
        15 => during(format!(
            "Late(device: \"{g}/{}\", by: \"{} ms\")",
            device(),
            knobs.between(3, 10.0, 900.0)
        )),
        16 => during(member(site, grid, knobs)),
        17 => during(format!("Local(\"{g}/{}\")", controlled(grid, knobs)?)),
        18 => during(format!("Fault(\"{g}/{}\")", failing(grid, knobs)?)),
        19 => both(format!("Mode(\"{g}\", Stop)"), format!("Mode(\"{g}\", Auto)")),
        20 => at(format!("Mode(\"{g}\", Hold, (for: \"{} s\"))", knobs.between(3, 1.0, 60.0))),
        21 if grid.has_tie() => both(format!("Open(\"{g}/tie\")"), format!("Close(\"{g}/tie\")")),
        _ => {
            let fault = knobs.pick(3, &["Silent", "Frozen", "Invalid", "Short", "Disconnected"]);
            during(format!("{fault}(\"{g}/{}\")", device()))
        }
    }
}

/// A device of the grid, its meter and its breaker among them.
fn any_device(grid: &Grid, knobs: &Knobs) -> String {
    let mut all = vec!["pcc".to_owned()];
    all.extend(grid.devices().map(|device| device.0));
    all.extend(grid.has_breaker().then(|| "main".to_owned()));
    all.extend(grid.has_receiver().then(|| "receiver".to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    knobs.pick(4, &all).to_owned()
}

fn controlled(grid: &Grid, knobs: &Knobs) -> Option<String> {
    let all: Vec<String> = grid.devices().map(|device| device.0).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    (!all.is_empty()).then(|| knobs.pick(4, &all).to_owned())
}

/// A device that trips by itself.
fn failing(grid: &Grid, knobs: &Knobs) -> Option<String> {
    let all: Vec<String> =
        grid.devices().filter(|device| device.1 != "Load").map(|device| device.0).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    (!all.is_empty()).then(|| knobs.pick(4, &all).to_owned())
}

fn by_hand(grid: &Grid, knobs: &Knobs) -> Option<String> {
    let names: Vec<String> = if grid.is_joined() {
        vec!["batteries".to_owned(), "pvs".to_owned()]
    } else {
        grid.devices().filter(|device| matches!(device.1, "Battery" | "Pv")).map(|device| device.0).collect()
    };
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| grid.acts_by_hand(name)).collect();
    if names.is_empty() {
        return None;
    }
    let (name, power) = (knobs.pick(4, &names), knobs.number(3, -20.0, 20.0));
    let power = if name.starts_with('b') { power } else { power.abs() };
    Some(format!(
        "SetPoint(\"{}/{name}\", \"{power:.2} kW\", (for: \"{} s\"))",
        grid.name,
        knobs.between(5, 1.0, 100.0)
    ))
}

/// A point of a device that is not what it says.
fn wrong(grid: &Grid, knobs: &Knobs) -> String {
    let mut points = vec![("pcc".to_owned(), "p", 1e6)];
    for (name, kind, _) in grid.devices() {
        points.push((name.clone(), "p", 1e6));
        if kind == "Battery" {
            points.extend(["charge_limit", "discharge_limit"].map(|point| (name.clone(), point, 1e6)));
            points.push((name, "soc", 2.0));
        }
    }
    let places: Vec<usize> = (0..points.len()).collect();
    let (name, point, size) = &points[knobs.pick(4, &places)];
    let reads = match knobs.whole(3, 0, 3) {
        0 => "NaN".to_owned(),
        1 => "inf".to_owned(),
        _ => format!("{:.3}", knobs.number(5, -size, *size)),
    };
    format!("Wrong(point: \"{}/{name}.{point}\", reads: {reads})", grid.name)
}

/// What happens to the controllers of a grid, and to their hosts.
fn member(site: &Site, grid: &Grid, knobs: &Knobs) -> String {
    let id = if site.is_shared() { knobs.pick(4, &["a", "b"]) } else { "a" };
    let whom = format!("{}/{id}", grid.name);
    match knobs.whole(3, 0, 4) {
        0 => format!("Crash(host: \"{id}\")"),
        1 => format!("Kill(controller: \"{whom}\")"),
        2 => format!("Stop(host: \"{id}\")"),
        3 if site.is_shared() => "Partition(a: [\"a\"], b: [\"b\", \"w\"])".to_owned(),
        _ => format!("Stall(host: \"{id}\", clock: Running)"),
    }
}
