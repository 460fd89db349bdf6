//! Each function with parameters at random, all of which a site may have.

use crate::knobs::Knobs;
use crate::site::{Grid, has_apparent, rating};

/// Every function, in the standard order.
pub(crate) const ALL: [&str; 19] = [
    "GridOperator",
    "ReturnToService",
    "Lfsm",
    "Fcr",
    "FrequencyDroop",
    "VoltVar",
    "VoltWatt",
    "ConnectionLimit",
    "RampLimit",
    "Manual",
    "Gensets",
    "LoadShedding",
    "Reconnect",
    "SocFloor",
    "PeakShaving",
    "Schedule",
    "Tariff",
    "SelfConsumption",
    "Pid",
];

/// Those that need more of a meter than its power, always or with some parameters.
const MEASURING: [&str; 7] =
    ["ReturnToService", "Lfsm", "Fcr", "FrequencyDroop", "VoltVar", "VoltWatt", "Pid"];

/// What a function acts on, as it may name it.
struct Actors {
    battery: Option<String>,
    pv: Option<String>,
    gensets: Option<String>,
}

/// A function's text; nothing where the grid has not what it needs.
pub(crate) fn text(function: &str, grid: &Grid, knobs: &Knobs) -> Option<String> {
    if MEASURING.contains(&function) && !grid.measures() {
        return None;
    }
    let all = Actors::of(grid, knobs, |_knobs| true);
    let actors = if function.starts_with("Volt") { Actors::of(grid, knobs, has_apparent) } else { all };
    let fields = match function {
        "GridOperator" => grid_operator(grid, knobs, &actors)?,
        "ReturnToService" | "Lfsm" | "Fcr" | "FrequencyDroop" | "VoltVar" | "VoltWatt" => {
            grid_code(function, knobs, &actors)?
        }
        "ConnectionLimit" => {
            let (import, export) = (knobs.between(1, 0.0, 400.0), knobs.between(2, 0.0, 400.0));
            let limits = match knobs.whole(3, 0, 2) {
                0 => format!("import_max: \"{import} kW\""),
                1 => format!("export_max: \"{export} kW\""),
                _ => format!("import_max: \"{import} kW\", export_max: \"{export} kW\""),
            };
            format!("meter: \"pcc\", {}, {limits}", actors.either_demand(grid, knobs)?)
        }
        "RampLimit" => {
            let down = knobs.maybe(3, 0.5, ", down: \"3 kW/s\"");
            format!("{}, up: \"{} kW/s\"{down}", actors.one(knobs)?, knobs.between(1, 0.1, 100.0))
        }
        "Manual" => actors.one(knobs)?,
        "Gensets" => gensets(grid, knobs, &actors)?,
        "LoadShedding" => load_shedding(grid, knobs, &actors)?,
        "Reconnect" => {
            let hold = knobs.between(1, 1.0, 30.0);
            grid.has_breaker()
                .then(|| format!("breaker: \"main\", hold: \"{hold} s\", time_out: \"20 s\""))?
        }
        "SocFloor" => soc_floor(knobs, &actors)?,
        "PeakShaving" => {
            let limit = knobs.number(1, 0.0, 300.0);
            let recharge = knobs.number(2, -100.0, limit);
            let window = knobs.pick(4, &["", ", window: Mean(\"1 min\")", ", window: Mean(\"15 min\")"]);
            let reserve = knobs.between(3, 0.0, 100.0);
            let rest = format!(
                "limit: \"{limit:.2} kW\", recharge: \"{recharge:.2} kW\", reserve: \"{reserve} %\"{window}"
            );
            format!("meter: \"pcc\", {}, {rest}", battery(&demand(grid)?))
        }
        "Schedule" => schedule(knobs, &actors)?,
        "Tariff" => tariff(grid, knobs, &actors)?,
        "SelfConsumption" => {
            let (target, above) = (knobs.between(1, -50.0, 50.0), knobs.between(2, 0.0, 100.0));
            format!(
                "meter: \"pcc\", {}, target: \"{target} kW\", discharge_above: \"{above} %\"",
                battery(&demand(grid)?)
            )
        }
        "Pid" => pid(knobs, &actors)?,
        unknown => panic!("{unknown} has no parameters at random"),
    };
    Some(format!("{function}({fields}{})", when(function, grid, knobs)))
}

/// When it has a say, where that is not what is usual.
fn when(function: &str, grid: &Grid, knobs: &Knobs) -> &'static str {
    if function == "LoadShedding" || !grid.has_breaker() {
        return "";
    }
    knobs.pick(9, &["", "", ", when: Both", ", when: OnGrid", ", when: Island"])
}

fn battery(name: &str) -> String {
    format!("battery: \"{name}\"")
}

/// The one group of batteries that carries a meter's demand.
fn demand(grid: &Grid) -> Option<String> {
    let name = if grid.is_joined() { "batteries" } else { "b1" };
    (!grid.batteries.is_empty()).then(|| name.to_owned())
}

impl Actors {
    /// One group of each class, of which some device is fit.
    fn of(grid: &Grid, knobs: &Knobs, is_fit: impl Fn(&Knobs) -> bool) -> Self {
        let one = |all: &[Knobs], prefix: &str, joined: &str| {
            let fit: Vec<usize> = (0..all.len()).filter(|place| is_fit(&all[*place])).collect();
            match fit.as_slice() {
                [] => None,
                _ if grid.is_joined() => Some(joined.to_owned()),
                fit => Some(format!("{prefix}{}", knobs.pick(8, fit) + 1)),
            }
        };
        Self {
            battery: one(&grid.batteries, "b", "batteries"),
            pv: one(&grid.pvs, "pv", "pvs"),
            gensets: one(&grid.gensets, "gen", "gensets"),
        }
    }

    /// A battery, an inverter, or both.
    fn either(&self, knobs: &Knobs) -> Option<String> {
        let pv = self.pv.as_ref().map(|name| format!("pv: \"{name}\""));
        let battery = self.battery.as_deref().map(battery);
        match (battery, pv) {
            (Some(battery), Some(pv)) => Some(match knobs.whole(7, 0, 2) {
                0 => battery,
                1 => pv,
                _ => format!("{battery}, {pv}"),
            }),
            (battery, pv) => battery.or(pv),
        }
    }

    /// The same with the battery that carries the demand.
    fn either_demand(&self, grid: &Grid, knobs: &Knobs) -> Option<String> {
        Self { battery: demand(grid), pv: self.pv.clone(), gensets: None }.either(knobs)
    }

    /// A battery or an inverter.
    fn one(&self, knobs: &Knobs) -> Option<String> {
        let pv = self.pv.as_ref().map(|name| format!("pv: \"{name}\""));
        let battery = self.battery.as_deref().map(battery);
        if knobs.is(7, 0.5) { pv.or(battery) } else { battery.or(pv) }
    }
}

/// The fields of a function that answers a voltage or a frequency.
fn grid_code(function: &str, knobs: &Knobs, actors: &Actors) -> Option<String> {
    Some(match function {
        "ReturnToService" => {
            let (hold, ramp) = (knobs.between(1, 1.0, 20.0), knobs.between(2, 1.0, 20.0));
            format!("meter: \"pcc\", {}, hold: \"{hold} s\", ramp: \"{ramp} s\"", actors.either(knobs)?)
        }
        "Lfsm" => {
            let (threshold, release) = (knobs.between(1, 0.05, 0.5), knobs.between(2, 1.0, 30.0));
            let droop = knobs.between(3, 1.0, 10.0);
            let rest =
                format!("threshold: \"{threshold} Hz\", droop: \"{droop} %\", release: \"{release} s\"");
            format!("meter: \"pcc\", {}, {rest}", actors.either(knobs)?)
        }
        "Fcr" => {
            let capacity = knobs.maybe(2, 0.5, ", capacity: \"50 kWh\"");
            let edge = knobs.maybe(3, 0.5, ", from_edge: true");
            let reserve = knobs.between(1, 1.0, 200.0);
            format!(
                "meter: \"pcc\", {}, reserve: \"{reserve} kW\"{capacity}{edge}",
                battery(actors.battery.as_ref()?)
            )
        }
        "FrequencyDroop" => {
            let (band, response) = (knobs.between(1, 0.0, 0.2), knobs.between(2, 0.0, 10.0));
            format!(
                "meter: \"pcc\", {}, dead_band: \"{band} Hz\", response: \"{response} s\"",
                actors.either(knobs)?
            )
        }
        _ => {
            let curve = match function {
                "VoltVar" => r#", curve: [("0.95 pu", "40 %"), ("1.00 pu", "0 %"), ("1.05 pu", "-40 %")]"#,
                _ => r#", curve: [("1.00 pu", "100 %"), ("1.05 pu", "0 %")]"#,
            };
            let response = format!(", response: \"{} s\"", knobs.between(2, 0.0, 20.0));
            format!("meter: \"pcc\", {}{}{response}", actors.either(knobs)?, knobs.maybe(3, 0.5, curve))
        }
    })
}

fn grid_operator(grid: &Grid, knobs: &Knobs, actors: &Actors) -> Option<String> {
    if !grid.has_receiver() {
        return None;
    }
    if knobs.is(1, 0.5) {
        let meter = knobs.maybe(2, 0.5, ", meter: \"pcc\"");
        let limits = format!(
            "consumption_limit: \"{} kW\", fail_safe: \"{} kW\"",
            knobs.between(3, 0.0, 100.0),
            knobs.between(4, 0.0, 100.0)
        );
        return Some(format!("signal: \"receiver\", {}, {limits}{meter}", battery(&demand(grid)?)));
    }
    let installed: f64 = grid.pvs.iter().map(rating).sum();
    let fail_safe = knobs.number(3, 0.0, installed * 0.9);
    let takes = demand(grid).map(|name| format!(", {}", battery(&name))).unwrap_or_default();
    let meter = knobs.maybe(2, 0.5, &format!(", meter: \"pcc\"{takes}"));
    let pv = actors.pv.as_ref()?;
    Some(format!(
        "signal: \"receiver\", pv: \"{pv}\", rating: \"{installed:.2} kW\", fail_safe: \"{fail_safe:.2} kW\"{meter}"
    ))
}

fn gensets(grid: &Grid, knobs: &Knobs, actors: &Actors) -> Option<String> {
    let gensets = grid.has_breaker().then_some(actors.gensets.as_ref()?)?;
    let members = if gensets == "gensets" { grid.gensets.len() } else { 1 };
    let battery = match &actors.battery {
        Some(name) if knobs.is(1, 0.6) => {
            let power = knobs.between(2, 0.0, 50.0);
            format!(
                ", {}, low_below: \"40 %\", low_until: \"70 %\", charge_power: \"{power} kW\"",
                battery(former(name, knobs))
            )
        }
        Some(_) | None => String::new(),
    };
    let times = format!(
        "start_after: \"{} s\", stop_after: \"{} s\", up_time: \"{} s\", down_time: \"5 s\"",
        knobs.between(3, 0.0, 10.0),
        knobs.between(4, 0.0, 30.0),
        knobs.between(5, 0.0, 30.0)
    );
    let (least, reserve) = (knobs.whole(6, 0, members as u32), knobs.between(7, 0.0, 50.0));
    let heavy = if is_heavy(grid) { format!(", {HEAVY}") } else { String::new() };
    Some(format!(
        "gensets: \"{gensets}\"{battery}{heavy}, least: {least}, reserve: \"{reserve} kW\", {times}"
    ))
}

fn load_shedding(grid: &Grid, knobs: &Knobs, actors: &Actors) -> Option<String> {
    let loads: Vec<String> = (1..=grid.loads.len()).map(|number| format!("\"l{number}\"")).collect();
    let formers = match (&actors.gensets, &actors.battery) {
        (Some(gensets), Some(name)) if knobs.is(1, 0.7) => {
            format!("gensets: \"{gensets}\", {}", battery(former(name, knobs)))
        }
        (Some(gensets), _) => format!("gensets: \"{gensets}\""),
        (None, Some(name)) => battery(former(name, knobs)),
        (None, None) => return None,
    };
    let (reserve, after) = (knobs.between(2, 0.0, 30.0), knobs.between(3, 1.0, 20.0));
    let shore = knobs.maybe(5, 0.3, &format!(", import_max: \"{} kW\"", knobs.between(6, 1.0, 300.0)));
    let rest = format!("reserve: \"{reserve} %\", restore_after: \"{after} s\"{shore}");
    // The first asks before it starts, where there is a receiver to ask by.
    let (ordinary, heavy) = if is_heavy(grid) {
        (loads.get(1..).unwrap_or_default(), format!("{HEAVY}, "))
    } else {
        (loads.as_slice(), String::new())
    };
    let loads = ordinary.join(", ");
    (!grid.loads.is_empty()).then(|| format!("loads: [{loads}], {heavy}meter: \"pcc\", {formers}, {rest}"))
}

/// A consumer that asks before it starts.
const HEAVY: &str = "heavy: [(load: \"l1\", asks: \"receiver\")]";

fn is_heavy(grid: &Grid) -> bool {
    grid.has_receiver() && !grid.loads.is_empty() && grid.knobs.is(8, 0.6)
}

/// The battery that forms: one of those that others share, or all of them.
fn former<'a>(name: &'a str, knobs: &Knobs) -> &'a str {
    if knobs.is(4, 0.5) { "b1" } else { name }
}

fn soc_floor(knobs: &Knobs, actors: &Actors) -> Option<String> {
    let floor = knobs.number(1, 1.0, 90.0);
    let below = knobs.number(2, 0.0, floor * 0.9);
    let forced =
        format!(", force_charge_below: \"{below:.2} %\", dwell: \"{} s\"", knobs.between(3, 0.0, 30.0));
    let power =
        knobs.maybe(4, 0.3, &format!(", force_charge_power: \"{} kW\"", knobs.between(5, 1.0, 300.0)));
    let forced = knobs.maybe(6, 0.6, &(forced + &power));
    Some(format!("{}, floor: \"{floor:.2} %\"{forced}", battery(actors.battery.as_ref()?)))
}

fn schedule(knobs: &Knobs, actors: &Actors) -> Option<String> {
    let power = knobs.number(1, -200.0, 200.0);
    let wants = match knobs.whole(2, 0, 2) {
        0 => format!("Power(\"{power:.2} kW\")"),
        1 => format!("Between(\"{power:.2} kW\", \"{:.2} kW\")", power + knobs.number(3, 0.0, 100.0)),
        _ => format!(
            "Charge(to: \"{} %\", power: \"{} kW\")",
            knobs.between(3, 0.0, 100.0),
            knobs.between(4, 1.0, 200.0)
        ),
    };
    let times =
        knobs.pick(5, &[("00:00", "24:00"), ("11:30", "12:00"), ("12:00", "12:01"), ("12:01", "12:00")]);
    let fallback = knobs.maybe(6, 0.4, ", fallback: Power(\"10 kW\")");
    let window = format!("(from: \"{}\", to: \"{}\", wants: {wants})", times.0, times.1);
    Some(format!("{}, windows: [{window}]{fallback}", battery(actors.battery.as_ref()?)))
}

fn tariff(grid: &Grid, knobs: &Knobs, actors: &Actors) -> Option<String> {
    let meets = knobs.is(1, 0.5);
    let name = if meets { demand(grid)? } else { actors.battery.clone()? };
    let meter = if meets { ", meter: \"pcc\"" } else { "" };
    let price = knobs.pick(2, &["0.05 EUR/kWh", "0.20 EUR/kWh", "0.40 EUR/kWh"]);
    let later = knobs.pick(3, &["0.05 EUR/kWh", "0.40 EUR/kWh"]);
    let windows = format!("windows: [(from: \"12:00\", to: \"12:01\", price: \"{later}\")]");
    let powers = knobs.maybe(4, 0.5, &format!(", charge_power: \"{} kW\"", knobs.between(5, 1.0, 300.0)));
    let ends = knobs.maybe(6, 0.5, ", charge_to: \"80 %\", discharge_to: \"20 %\"");
    let borders = "charge_below: \"0.10 EUR/kWh\", discharge_above: \"0.30 EUR/kWh\"";
    Some(format!("{}{meter}, price: \"{price}\", {windows}, {borders}{powers}{ends}", battery(&name)))
}

fn pid(knobs: &Knobs, actors: &Actors) -> Option<String> {
    let (holds, gain) = match knobs.whole(1, 0, 2) {
        0 => (format!("Power(\"{} kW\")", knobs.between(2, -100.0, 200.0)), knobs.between(3, 0.05, 1.5)),
        1 => (format!("Voltage(\"{} pu\")", knobs.between(2, 0.95, 1.05)), knobs.between(3, 1e3, 2e6)),
        _ => (format!("Frequency(\"{} Hz\")", knobs.between(2, 49.9, 50.1)), knobs.between(3, 1e3, 1e6)),
    };
    let integral = knobs.maybe(4, 0.7, &format!(", integral_time: \"{} s\"", knobs.between(5, 0.5, 30.0)));
    let derivative = knobs.maybe(6, 0.3, ", derivative_time: \"1 s\"");
    Some(format!(
        "meter: \"pcc\", {}, holds: {holds}, gain: {gain}{integral}{derivative}",
        actors.one(knobs)?
    ))
}
