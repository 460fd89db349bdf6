//! A site at random, as the text of a scenario.
//!
//! What is drawn is independent: a device that is left out takes with it only what names it. So a failure shrinks part by part.

use std::fmt::{self, Write};

use proptest::prelude::*;
use r_ems::engine::math::at_most;

use crate::functions::{self, ALL};
use crate::happenings;
use crate::knobs::{Knobs, knobs, lists};

/// The most of each kind of device that a grid has.
const DEVICES: usize = 3;
/// The most functions of a stack: each of them, and some twice.
const FUNCTIONS: usize = 24;
/// The most that happens to a grid.
const HAPPENINGS: usize = 8;

/// A site with what happens to it; its text is how it is shown.
#[derive(Clone)]
pub(crate) struct Site {
    seed: u64,
    knobs: Knobs,
    grids: Vec<Grid>,
}

/// A grid of it.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    pub(crate) name: String,
    /// By class, with their ratings in kW.
    pub(crate) batteries: Vec<Knobs>,
    pub(crate) pvs: Vec<Knobs>,
    pub(crate) gensets: Vec<Knobs>,
    pub(crate) loads: Vec<Knobs>,
    pub(crate) knobs: Knobs,
    functions: Vec<(usize, Knobs)>,
    happenings: Vec<Knobs>,
}

/// Any site.
pub(crate) fn sites() -> impl Strategy<Value = Site> {
    (0..1_000_u64, knobs(), proptest::collection::vec(grids(), 1..=2)).prop_map(|(seed, knobs, mut grids)| {
        grids.iter_mut().zip(["g", "h"]).for_each(|(grid, name)| grid.name = name.to_owned());
        Site { seed, knobs, grids }
    })
}

fn grids() -> impl Strategy<Value = Grid> {
    let functions = proptest::collection::vec((0..ALL.len(), knobs()), 0..=FUNCTIONS);
    let classes = (lists(DEVICES), lists(2), lists(2), lists(2));
    (classes, knobs(), functions, lists(HAPPENINGS)).prop_map(
        |((batteries, pvs, gensets, loads), knobs, functions, happenings)| Grid {
            name: String::new(),
            batteries,
            pvs,
            gensets,
            loads,
            knobs,
            functions,
            happenings,
        },
    )
}

impl Site {
    /// Whether two controllers share each grid.
    pub(crate) fn is_shared(&self) -> bool {
        self.knobs.is(0, 0.3)
    }

    /// Whether meters, batteries and inverters are asked by Modbus frames.
    fn is_wired(&self) -> bool {
        self.knobs.is(5, 0.3)
    }

    /// How long it runs, in seconds.
    pub(crate) fn seconds(&self) -> u32 {
        self.knobs.whole(2, 40, 180)
    }

    /// The scenario's text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("text takes whatever is written");
        text
    }

    fn write(&self, text: &mut dyn Write) -> fmt::Result {
        let hosts = if self.is_shared() { r#""a": (), "b": (), "w": ()"# } else { r#""a": ()"# };
        let zone = self.knobs.pick(3, &["UTC", "CET-1CEST,M3.5.0,M10.5.0/3"]);
        writeln!(text, "Scenario(\n    version: 1,\n    name: \"at random\",\n    seed: {},", self.seed)?;
        if self.is_wired() {
            writeln!(text, "    fidelity: Wire,")?;
        }
        let kept =
            self.knobs.pick(4, &["", "(sync: \"100 ms\", snapshots: (every: \"10 s\"))", "(sync: Strict)"]);
        if !kept.is_empty() {
            writeln!(text, "    persistence: {kept},")?;
        }
        writeln!(text, "    start: \"2016-03-09 11:59\",\n    duration: \"{} s\",", self.seconds())?;
        writeln!(text, "    site: Site(version: 1, time_zone: \"{zone}\", hosts: {{ {hosts} }}, grids: {{")?;
        self.grids.iter().try_for_each(|grid| self.write_grid(grid, text))?;
        writeln!(text, "    }}),\n    plant: {{")?;
        self.grids.iter().try_for_each(|grid| grid.write_plant(text))?;
        writeln!(text, "    }},\n    initial: {{")?;
        self.grids.iter().try_for_each(|grid| grid.write_initial(text))?;
        writeln!(text, "    }},\n    links: {{")?;
        self.grids.iter().try_for_each(|grid| grid.write_links(text))?;
        writeln!(text, "    }},\n    timeline: [")?;
        let mut known: Vec<String> = Vec::new();
        for (grid, knobs) in
            self.grids.iter().flat_map(|grid| grid.happenings.iter().map(move |knobs| (grid, knobs)))
        {
            // Windows in which the same is said otherwise must not overlap.
            let happening = happenings::of(self, grid, knobs).filter(|found| !known.contains(&found.what));
            if let Some(happening) = happening {
                writeln!(text, "        {},", happening.text)?;
                known.push(happening.what);
            }
        }
        writeln!(text, "    ],\n)")
    }

    fn write_grid(&self, grid: &Grid, text: &mut dyn Write) -> fmt::Result {
        let scan = self.knobs.pick(1, &["1 s", "500 ms", "200 ms", "100 ms"]);
        writeln!(
            text,
            "        \"{}\": (\n            scan: \"{scan}\",\n            devices: {{",
            grid.name
        )?;
        let measured = if grid.measures() { ", measures: [q, v, f]" } else { "" };
        let stuck = grid.knobs.maybe(5, 0.1, ", stuck_after: \"20 s\"");
        let sign = grid.knobs.pick(4, &["Import", "Export"]);
        let sign = format!("positive: {sign}");
        let link =
            if self.is_wired() { wire(&grid.name, "Meter", &sign, 1) } else { format!("Points({sign})") };
        let meter = format!("Meter(link: {link}, rating: \"400 kW\"{measured}{stuck})");
        writeln!(text, "                \"pcc\": {meter},")?;
        for (number, (name, kind, knobs)) in (2..).zip(grid.devices()) {
            writeln!(
                text,
                "                \"{name}\": {},",
                self.device(kind, knobs, (&grid.name, number))
            )?;
        }
        if grid.has_breaker() {
            let main = format!(
                "Breaker(link: {}, rating: \"400 kW\", measures: [v, f])",
                self.link("", &grid.knobs)
            );
            writeln!(text, "                \"main\": {main},")?;
        }
        if grid.has_receiver() {
            writeln!(text, "                \"receiver\": Signal(link: Points()),")?;
        }
        writeln!(text, "            }},\n            functions: [")?;
        for function in grid.stack() {
            writeln!(text, "                {function},")?;
        }
        let controllers = if self.is_shared() {
            r#"controllers: { "a": (host: "a", order: 0), "b": (host: "b", order: 1) }, witness: "w""#
        } else {
            r#"controllers: { "a": (host: "a", order: 0) }"#
        };
        writeln!(text, "            ],\n            {controllers},\n        ),")
    }

    /// The link of a device that takes set-points; `sign` is what is positive, where that is to be said.
    fn link(&self, sign: &str, knobs: &Knobs) -> String {
        let protects = knobs.pick(9, &["checks_epochs: true", "longest_write: \"100 ms\""]);
        format!("Points({})", parts([sign, if self.is_shared() { protects } else { "" }]))
    }

    fn device(&self, kind: &str, knobs: &Knobs, (grid, number): (&str, u32)) -> String {
        let sign = match kind {
            "Battery" => knobs.pick(8, &["positive: Discharge", "positive: Charge"]),
            _ => "",
        };
        let rating = rating(knobs);
        let is_wired = self.is_wired() && (kind == "Battery" || kind == "Pv");
        let link = match is_wired {
            // No model has an epoch.
            true if self.is_shared() => wire(grid, kind, &parts([sign, "longest_write: \"100 ms\""]), number),
            true => wire(grid, kind, sign, number),
            false => self.link(sign, knobs),
        };
        let mut text = format!("{kind}(link: {link}, rating: \"{rating:.2} kW\"");
        if kind == "Battery" || kind == "Pv" {
            let apparent = rating * knobs.number(7, 0.9, 1.4);
            let priority = knobs.pick(6, &["Active", "Reactive"]);
            if has_apparent(knobs) {
                text += &format!(", apparent: \"{apparent:.2} kVA\", priority: {priority}");
            }
            text += &knobs.maybe(6, 0.2, &format!(", ramp: \"{} kW/s\"", knobs.between(3, 1.0, 50.0)));
        }
        let tells = match kind {
            // What a device with models tells is what they have.
            _ if is_wired => "",
            "Battery" | "Pv" => ", measures: [mode, remote]",
            _ => ", measures: [remote]",
        };
        text += &knobs.maybe(9, 0.5, tells);
        text += &knobs.maybe(3, 0.2, ", reversion: \"20 s\"");
        text += &knobs.maybe(4, 0.1, ", write_interval: \"2 s\"");
        text += &knobs.maybe(2, 0.1, ", writes_per_day: 9000");
        text += &knobs.maybe(2, 0.3, ", dead_band: \"2 kW\"");
        text + ")"
    }
}

/// Whether a battery or an inverter takes reactive set-points.
pub(crate) fn has_apparent(knobs: &Knobs) -> bool {
    knobs.is(7, 0.6)
}

/// Whether what an inverter limits comes from the wind.
fn blows(knobs: &Knobs) -> bool {
    knobs.is(4, 0.3)
}

/// The rating of a device, in kW.
pub(crate) fn rating(knobs: &Knobs) -> f64 {
    knobs.number(0, 20.0, 250.0)
}

impl Grid {
    /// Whether all devices of a class act as one.
    pub(crate) fn is_joined(&self) -> bool {
        self.knobs.is(0, 0.5)
    }

    /// Whether its meter measures more than power.
    pub(crate) fn measures(&self) -> bool {
        self.knobs.is(3, 0.9)
    }

    pub(crate) fn has_breaker(&self) -> bool {
        self.knobs.is(1, 0.6)
    }

    /// Whether a part of it is behind a bus-tie.
    pub(crate) fn has_tie(&self) -> bool {
        self.knobs.is(9, 0.4)
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.knobs.is(2, 0.5)
    }

    /// Every device of its own plant that takes set-points: its name, its kind, and what it is made of.
    pub(crate) fn devices(&self) -> impl Iterator<Item = (String, &'static str, &Knobs)> {
        let classes = [
            ("b", "Battery", &self.batteries),
            ("pv", "Pv", &self.pvs),
            ("gen", "Genset", &self.gensets),
            ("l", "Load", &self.loads),
        ];
        classes.into_iter().flat_map(|(prefix, kind, all)| {
            (1..).zip(all).map(move |(number, knobs)| (format!("{prefix}{number}"), kind, knobs))
        })
    }

    /// Its functions, in their standard order or not.
    fn stack(&self) -> Vec<String> {
        let mut chosen: Vec<&(usize, Knobs)> = self.functions.iter().collect();
        if !self.knobs.is(7, 0.4) {
            chosen.sort_by_key(|function| function.0);
        }
        chosen
            .into_iter()
            .filter_map(|(function, knobs)| functions::text(ALL[*function], self, knobs))
            .collect()
    }

    /// Whether a function of this name is in its stack, on any device.
    pub(crate) fn acts_by_hand(&self, name: &str) -> bool {
        self.stack().iter().any(|text| text.starts_with("Manual") && text.contains(&format!("\"{name}\"")))
    }

    fn write_plant(&self, text: &mut dyn Write) -> fmt::Result {
        writeln!(text, "        \"{}\": {{", self.name)?;
        let base = source(&self.knobs, 0.5);
        writeln!(
            text,
            "            \"base\": Load(rating: \"{:.2} kW\", source: {base}),",
            self.knobs.number(9, 10.0, 400.0)
        )?;
        for (name, kind, knobs) in self.devices() {
            let rating = rating(knobs);
            let more = match kind {
                "Battery" => {
                    let hours = knobs.number(1, 0.02, 2.0);
                    let forms = knobs.maybe(5, 0.5, ", forms: true");
                    let taper = knobs
                        .pick(3, &["", ", taper: \"1 %\"", ", soc_bias: \"3 %\"", ", soc_step: \"5 %\""]);
                    format!(
                        "capacity: \"{:.3} kWh\", soc: \"{} %\"{forms}{taper}",
                        rating * hours,
                        knobs.between(2, 1.0, 99.0)
                    )
                }
                "Pv" if blows(knobs) => {
                    let (mean, period) = (knobs.between(1, 2.0, 24.0), knobs.between(3, 5.0, 60.0));
                    format!("source: Sine(mean: {mean}, amplitude: 6.0, period: \"{period} s\")")
                }
                "Pv" => format!("source: {}", source(knobs, 0.8)),
                "Genset" => {
                    let fails = knobs.pick(4, &["", ", fails: (1, 3)", ", fails_first: 1"]);
                    format!(
                        "warm_up: \"{} s\", crank: \"2 s\", cool_down: \"10 s\", governor: (gain: 15.0){fails}",
                        knobs.between(5, 0.0, 20.0)
                    )
                }
                _ => {
                    let shed = knobs.maybe(5, 0.3, ", shed_at: (\"49.0 Hz\", \"100 ms\")");
                    format!("source: {}{shed}", source(knobs, 0.6))
                }
            };
            let section =
                if self.has_tie() { knobs.maybe(8, 0.4, ", section: \"far\"") } else { String::new() };
            let kind = if kind == "Pv" && blows(knobs) { "Wind" } else { kind };
            writeln!(text, "            \"{name}\": {kind}(rating: \"{rating:.2} kW\", {more}{section}),")?;
        }
        if self.has_tie() {
            let check = self.knobs.pick(4, &["", ", synchro_check: None"]);
            writeln!(text, "            \"tie\": BusTie(section: \"far\"{check}),")?;
        }
        if self.has_receiver() {
            writeln!(text, "            \"receiver\": Signal(),")?;
        }
        let breaker = if self.has_breaker() { ", breaker: \"main\"" } else { "" };
        let weak = self.knobs.maybe(
            6,
            0.7,
            &format!(", short_circuit: \"{} MVA\"", self.knobs.between(8, 0.8, 10.0)),
        );
        let check = self.knobs.maybe(8, 0.3, ", synchro_check: None");
        writeln!(
            text,
            "            \"pcc\": GridConnection(import_max: \"400 kW\"{breaker}{weak}{check}),\n        }},"
        )
    }

    fn write_initial(&self, text: &mut dyn Write) -> fmt::Result {
        if self.has_breaker() && self.knobs.is(6, 0.3) {
            writeln!(text, "        \"{}/pcc\": (breaker: Open),", self.name)?;
        }
        for (name, kind, knobs) in self.devices() {
            let begins = match kind {
                "Battery" => knobs.pick(4, &["", "", "", "mode: Off", "mode: Starting"]),
                "Genset" => knobs.pick(1, &["", "mode: Running"]),
                _ => "",
            };
            if !begins.is_empty() {
                writeln!(text, "        \"{}/{name}\": ({begins}),", self.name)?;
            }
        }
        Ok(())
    }

    fn write_links(&self, text: &mut dyn Write) -> fmt::Result {
        let late =
            self.knobs.pick(5, &["", "latency: \"60 ms\"", "drop_outs: (every: \"30 s\", lasting: \"4 s\")"]);
        if !late.is_empty() {
            writeln!(text, "        \"{}/pcc\": ({late}),", self.name)?;
        }
        Ok(())
    }
}

/// Those of both that say something.
fn parts(parts: [&str; 2]) -> String {
    let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(", ")
}

/// A link by frames; `fields` are those that a link by values has too.
fn wire(grid: &str, kind: &str, fields: &str, number: u32) -> String {
    let port = if grid == "g" { 15_020 } else { 15_040 } + number;
    let models = match kind {
        "Meter" => "models: [203], nominal_voltage: LineToLine(\"400 V\")",
        "Battery" => "models: [701, 702, 704, 713]",
        _ => "models: [103, 120, 121, 123]",
    };
    let fields = parts([fields, &format!("sunspec: ({models})")]);
    format!("Modbus(address: \"127.0.0.1:{port}\", {fields})")
}

/// A source of a load or of the sun, around this share of the rating.
fn source(knobs: &Knobs, usual: f64) -> String {
    let share = at_most(knobs.number(1, 0.0, 2.0 * usual), 1.0);
    match knobs.whole(2, 0, 6) {
        0 => format!("Constant({share:.3})"),
        1 => {
            format!("Sine(mean: {share:.3}, amplitude: 0.3, period: \"{} s\")", knobs.between(3, 5.0, 120.0))
        }
        2 => format!(
            "Ramp(from: {share:.3}, to: 0.1, begin: \"+10 s\", end: \"+{} s\")",
            knobs.between(3, 11.0, 39.0)
        ),
        3 => format!("Blocks(value: {share:.3}, on: \"{} s\", off: \"7 s\")", knobs.between(3, 1.0, 30.0)),
        4 => format!("RandomWalk(start: {share:.3}, deviation: 0.05, every: \"1 s\", low: 0.0, high: 1.0)"),
        5 => format!("Sum([Constant({share:.3}), Noise(deviation: 0.05, every: \"500 ms\")])"),
        _ => format!("DropOuts(source: Constant({share:.3}), every: \"20 s\", lasting: \"3 s\")"),
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}
