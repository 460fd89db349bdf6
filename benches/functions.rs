//! What each function costs in a scan, and each device: a controller with one of every kind of device, whose stack has one
//! function alone, and a controller with one more device of a kind.
//!
//! A scan is all of its deliveries: an answer of each device, the wake, and the acknowledgment of what was written. Nothing is
//! simulated: devices answer what makes every function act, and hold what they are told. What counts are the ratios to an
//! empty stack in the same run; the rows take turns, so that whatever else the machine does meets all of them, and the table
//! shows medians. What the last device costs where it is controlled is what a second one adds to its group.

#![expect(clippy::disallowed_types, reason = "a benchmark measures real time")]
#![expect(clippy::print_stdout, reason = "the table is what this program is for")]

use std::time::Instant;

use r_ems::engine::controller::composition::Phase;
use r_ems::engine::controller::{Controller, ControllerSpec};
use r_ems::engine::functions::{BuiltIn, FunctionSet};
use r_ems::engine::ids::{DeviceIndex, PointIndex};
use r_ems::engine::machine::{Boot, Effect, Effects, Input, Machine, Sample, Validity, WriteOutcome};
use r_ems::engine::points::{DeviceSpec, PointKind};
use r_ems::engine::wall::WallTime;
use r_ems::engine::{LocalTime, Span};
use r_ems::scenarios::{Memory, Overrides, load};

/// Scans of one measurement: so few that most are not interrupted.
const SCANS: u64 = 250;
/// Scans before the first: a start waits, and what is lost counts only after ten good seconds.
const WARM_UP: u64 = 60;
/// Repetitions, an odd number so that the median is one of them.
const REPETITIONS: usize = 801;
const SCAN: Span = Span::from_secs(1);
/// So long before a scan its answers arrive.
const AHEAD: Span = Span::from_millis(10);

/// One of every kind, as a site file and a plant have them.
const DEVICES: [(&str, &str, &str); 7] = [
    ("pcc", "Meter(link: Points(positive: Import), rating: \"400 kW\", measures: [v, f])", ""),
    (
        "bess",
        "Battery(link: Points(positive: Discharge), rating: \"250 kW\", apparent: \"275 kVA\")",
        "Battery(capacity: \"500 kWh\", rating: \"250 kW\", soc: \"50 %\")",
    ),
    (
        "pv",
        "Pv(link: Points(), rating: \"600 kW\", apparent: \"660 kVA\")",
        "Pv(rating: \"600 kW\", source: Constant(0.5))",
    ),
    ("genset", "Genset(link: Points(), rating: \"200 kW\")", "Genset(rating: \"200 kW\")"),
    ("oven", "Load(link: Points(), rating: \"80 kW\")", "Load(rating: \"80 kW\", source: Constant(0.5))"),
    ("main", "Breaker(link: Points(), rating: \"400 kW\", measures: [v, f])", ""),
    ("receiver", "Signal(link: Points())", "Signal()"),
];

/// A kind of device of which a grid may have more than one: another one's place in [`DEVICES`], and what controls its kind.
const MORE: [(usize, &str); 6] = [
    (0, ""),
    (6, ""),
    (1, "SelfConsumption(meter: \"pcc\", battery: \"batteries\")"),
    (2, "VoltWatt(meter: \"pcc\", pv: \"pvs\")"),
    (3, "Gensets(gensets: \"gensets\", least: 1, when: Both)"),
    (4, "LoadShedding(loads: [LOADS], meter: \"pcc\", battery: \"bess\")"),
];

/// A function with its parameters.
fn function(name: &str) -> &'static str {
    match name {
        "GridOperator" => "(signal: \"receiver\", pv: \"pv\", rating: \"600 kW\", fail_safe: \"0 kW\")",
        "ConnectionLimit" => {
            "(meter: \"pcc\", battery: \"bess\", pv: \"pv\", import_max: \"50 kW\", export_max: \"50 kW\")"
        }
        "RampLimit" => "(battery: \"bess\", up: \"5 kW/s\")",
        "Manual" => "(battery: \"bess\")",
        "SocFloor" => "(battery: \"bess\", floor: \"60 %\")",
        "PeakShaving" => {
            "(meter: \"pcc\", battery: \"bess\", limit: \"60 kW\", recharge: \"40 kW\", reserve: \"80 %\")"
        }
        "SelfConsumption" => "(meter: \"pcc\", battery: \"bess\")",
        "VoltVar" | "VoltWatt" | "FrequencyDroop" | "Lfsm" | "ReturnToService" => {
            "(meter: \"pcc\", battery: \"bess\", pv: \"pv\")"
        }
        "Fcr" => "(meter: \"pcc\", battery: \"bess\", reserve: \"100 kW\", capacity: \"500 kWh\")",
        "Pid" => {
            "(meter: \"pcc\", battery: \"bess\", holds: Power(\"50 kW\"), gain: 0.3, integral_time: \"10 s\")"
        }
        "Schedule" => {
            "(battery: \"bess\", windows: [(from: \"00:00\", to: \"24:00\", wants: Power(\"-100 kW\"))])"
        }
        "Tariff" => {
            "(battery: \"bess\", price: \"0.24 EUR/kWh\", windows: [(from: \"00:00\", to: \"05:00\", price: \"0.10 EUR/kWh\")], \
             charge_below: \"0.15 EUR/kWh\", discharge_above: \"0.20 EUR/kWh\")"
        }
        "Gensets" => "(gensets: \"genset\", battery: \"bess\", least: 1, when: Both)",
        "LoadShedding" => "(loads: [\"oven\"], meter: \"pcc\", gensets: \"genset\", battery: \"bess\")",
        "Reconnect" => "(breaker: \"main\")",
        unknown => panic!("{unknown} has no parameters here: add some, so that its cost is measured"),
    }
}

/// A controller that is measured.
struct Rig {
    controller: Controller<BuiltIn>,
    devices: Vec<DeviceSpec>,
    /// By device: its points, and the set-point that it holds.
    answers: Vec<Vec<Sample>>,
    now: LocalTime,
    effects: Effects,
    scans: u64,
}

impl Rig {
    /// A controller with this stack, and with one more of a kind of device.
    fn of(stack: &str, more: Option<usize>) -> Self {
        match more {
            // A plant has no component for it, and no function is there that would need one.
            Some(place) if stack.is_empty() => {
                let mut devices = spec("", None).devices;
                devices.push(DeviceSpec { name: "another".to_owned(), ..devices[place].clone() });
                let wired = ControllerSpec::wire("g", "a", SCAN, devices, &[]);
                Self::made(&wired.expect("an empty stack needs nothing"))
            }
            Some(_) | None => Self::made(&spec(stack, more)),
        }
    }

    fn made(spec: &ControllerSpec<BuiltIn>) -> Self {
        let mut first = 0;
        let answers = spec.devices.iter().map(|device| {
            let samples = (first..).zip(device.points.iter()).map(|(point, kind)| Sample {
                point: PointIndex(point),
                validity: Validity::Valid,
                value: usual(kind, device),
            });
            let samples: Vec<Sample> = samples.collect();
            first += samples.len() as u16;
            samples
        });
        let answers = answers.collect();
        let mut rig = Self {
            controller: Controller::new(spec),
            devices: spec.devices.clone(),
            answers,
            now: LocalTime::ZERO,
            effects: Effects::new(),
            scans: 0,
        };
        let wall = Some(WallTime::EPOCH + Span::from_hours(12));
        rig.controller.boot(rig.now, Boot { wall, ..Boot::FIRST }, &mut rig.effects);
        (0..WARM_UP).for_each(|_scan| rig.scan());
        let slots = rig.controller.composition().slots();
        assert!(slots.iter().all(|slot| slot.phase() == Phase::Deciding), "{slots:?} do not decide");
        rig
    }

    /// One scan: answers, decisions, acknowledgments.
    fn scan(&mut self) {
        self.scans += 1;
        // What is measured moves, so that it is never the same twice in a row.
        let sway = if self.scans.is_multiple_of(2) { 1.01 } else { 0.99 };
        for (position, samples) in self.answers.iter_mut().enumerate() {
            let kinds = self.devices[position].points;
            if let Some(power) = kinds.place(PointKind::Power).and_then(|place| samples.get_mut(place)) {
                power.value = 100e3 * sway * self.devices[position].positive.factor();
            }
            let input = Input::Points { device: DeviceIndex(position as u16), samples };
            self.controller.handle(self.now + SCAN - AHEAD, &input, &mut self.effects);
        }
        self.now += SCAN;
        self.effects.clear();
        self.controller.handle(self.now, &Input::Wake, &mut self.effects);
        let writes = self.effects.as_slice().iter().filter_map(Effect::write);
        let writes: Vec<(DeviceIndex, f64)> = writes.map(|write| (write.device, write.value)).collect();
        for (device, value) in writes {
            let held = self.devices[device.position()].points.place(PointKind::SetPoint);
            if let Some(held) = held.and_then(|place| self.answers[device.position()].get_mut(place)) {
                held.value = value;
            }
            let outcome = WriteOutcome::Acknowledged;
            self.controller.handle(self.now, &Input::Written { device, outcome }, &mut self.effects);
        }
    }

    /// What a scan takes, in ns.
    fn measure(&mut self) -> f64 {
        let begin = Instant::now();
        (0..SCANS).for_each(|_scan| self.scan());
        begin.elapsed().as_nanos() as f64 / SCANS as f64
    }
}

/// What a point reads: a frequency and a voltage that functions answer, an island that a genset holds, half a charge.
fn usual(kind: PointKind, device: &DeviceSpec) -> f64 {
    match kind {
        PointKind::Power => 100e3,
        PointKind::StateOfCharge => 0.5,
        PointKind::ChargeLimit | PointKind::DischargeLimit => device.rating.watts(),
        PointKind::Voltage => 1.04,
        PointKind::Frequency => 49.7,
        PointKind::Signal => 0.6,
        PointKind::State => 4.0,
        PointKind::Closed | PointKind::Remote => 1.0,
        PointKind::Mode => 3.0,
        PointKind::SetPoint | PointKind::ReactivePower | PointKind::ReactiveSetPoint => 0.0,
    }
}

/// The controller of a scenario with this stack, and with one more of a kind of device.
fn spec(stack: &str, more: Option<usize>) -> ControllerSpec<BuiltIn> {
    let named = DEVICES.iter().map(|(name, device, part)| ((*name).to_owned(), *device, *part));
    let another = more.map(|place| (format!("{}2", DEVICES[place].0), DEVICES[place].1, DEVICES[place].2));
    let (mut devices, mut plant) = (String::new(), String::new());
    for (name, device, part) in named.chain(another) {
        devices += &format!("\"{name}\": {device}, ");
        if !part.is_empty() {
            plant += &format!("\"{name}\": {part}, ");
        }
    }
    let controllers = "controllers: { \"a\": (host: \"a\", order: 0) }";
    let grid = format!("scan: \"1 s\", devices: {{ {devices} }}, functions: [{stack}], {controllers}");
    let text = format!(
        "Scenario(version: 1, name: \"bench\", start: \"2016-03-09\", duration: \"1 h\", \
         site: Site(version: 1, hosts: {{ \"a\": () }}, grids: {{ \"g\": ({grid}) }}), \
         plant: {{ \"g\": {{ {plant} \"pcc\": GridConnection(import_max: \"400 kW\", breaker: \"main\") }} }})"
    );
    let files = Memory::new().with("bench.ron", text);
    let loaded = load::<BuiltIn>(&files, "bench.ron", &Overrides::default());
    let mut controllers = loaded.unwrap_or_else(|report| panic!("{report}")).controllers;
    controllers.remove(0)
}

/// A row of the table.
struct Row {
    what: String,
    rig: Rig,
    measured: Vec<f64>,
    /// What it is compared with, by its place.
    beside: usize,
}

impl Row {
    fn of(what: &str, rig: Rig, beside: usize) -> Self {
        Self { what: what.to_owned(), rig, measured: Vec::new(), beside }
    }
}

fn main() {
    let mut rows = vec![Row::of("an empty stack", Rig::of("", None), 0)];
    for name in BuiltIn::NAMES {
        rows.push(Row::of(name, Rig::of(&format!("{name}{}", function(name)), None), 0));
    }
    for (place, stack) in MORE {
        let kind = DEVICES[place].1.split('(').next().unwrap_or_default();
        let (one, two) = (stack.replace("LOADS", "\"oven\""), stack.replace("LOADS", "\"oven\", \"oven2\""));
        let beside = if stack.is_empty() { 0 } else { rows.len() };
        if !stack.is_empty() {
            rows.push(Row::of(&format!("a controlled {kind}"), Rig::of(&one, None), 0));
        }
        rows.push(Row::of(&format!("one more {kind}"), Rig::of(&two, Some(place)), beside));
    }
    for _repetition in 0..REPETITIONS {
        for row in &mut rows {
            row.measured.push(row.rig.measure());
        }
    }
    let medians: Vec<f64> = rows.iter().map(|row| median(row.measured.clone())).collect();
    println!("| stack or device | ns a scan | added, ns | ratio |\n|---|---:|---:|---:|");
    for (row, found) in rows.iter().zip(&medians) {
        let beside = medians[row.beside];
        println!("| {} | {found:.0} | {:.0} | {:.2} |", row.what, found - beside, found / medians[0]);
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
