//! A small rig for tests of laws: one controller with a meter, a battery and an inverter, scanned once a second.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::connection_limit::ConnectionLimitSpec;
use super::manual::ManualSpec;
use super::peak_shaving::{PeakShavingSpec, Window};
use super::self_consumption::SelfConsumptionSpec;
use super::{BuiltIn, BuiltInSpec};
use crate::carried::{Carried, NotCarried};
use crate::controller::{Controller, ControllerSpec};
use crate::event::Event;
use crate::ids::{DeviceIndex, PointIndex};
use crate::machine::{Boot, Effect, Effects, Input, Machine, Sample, Validity};
use crate::persistence::Origin;
use crate::points::{Connections, DeviceClass, DeviceSpec, PointKind, Positive, Priority};
use crate::redundancy::Command;
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Vars, VoltAmperes, Watts};
use crate::wall::WallTime;

/// What the devices measure: kW, positive into the bus, and more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) pcc: f64,
    pub(crate) bess: f64,
    pub(crate) soc: f64,
    pub(crate) pv: f64,
    /// The voltage, as a multiple of the nominal one, and the frequency in Hz.
    pub(crate) v: f64,
    pub(crate) f: f64,
    /// What the grid operator signals; none: the receiver does not answer.
    pub(crate) signal: Option<f64>,
}

impl Default for Reading {
    fn default() -> Self {
        Self { pcc: 0.0, bess: 0.0, soc: 0.5, pv: 0.0, v: 1.0, f: 50.0, signal: Some(1.0) }
    }
}

/// What was decided, kW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decided {
    pub(crate) bess: f64,
    pub(crate) pv: f64,
    /// The reactive power of the battery, kvar.
    pub(crate) bess_var: f64,
}

pub(crate) struct Rig {
    controller: Controller<BuiltIn>,
    now: LocalTime,
    effects: Effects,
}

pub(crate) fn kilowatts(power: f64) -> Watts {
    Watts::of(power * 1e3)
}

pub(crate) fn device(name: &str, class: DeviceClass, positive: Positive, rating_kw: f64) -> DeviceSpec {
    DeviceSpec {
        name: name.to_string(),
        class,
        points: class.points(),
        positive,
        rating: kilowatts(rating_kw),
        latency: Span::ZERO,
        age_max: Span::from_secs(3),
        stuck_after: None,
        reversion: Span::from_secs(60),
        write_interval: Span::ZERO,
        writes_per_day: None,
        dead_band: Watts::ZERO,
        longest_write: Span::ZERO,
        checks_epochs: false,
        at_stop: None,
        connections: Connections::Shared,
        apparent: None,
        priority: Priority::Active,
        ramp: None,
    }
}

fn devices() -> Vec<DeviceSpec> {
    let pcc = device("pcc", DeviceClass::Meter, Positive::Import, 400.0);
    let points = pcc.points.with(PointKind::Voltage).with(PointKind::Frequency);
    Vec::from([
        DeviceSpec { points, ..pcc },
        DeviceSpec {
            apparent: Some(VoltAmperes::of(300e3)),
            ..device("bess", DeviceClass::Battery, Positive::Discharge, 250.0)
        },
        device("pv", DeviceClass::Pv, Positive::Generation, 600.0),
        device("receiver", DeviceClass::Signal, Positive::Import, 0.0),
    ])
}

impl Rig {
    /// A controller with this stack, booted.
    pub(crate) fn of(stack: &[BuiltInSpec]) -> Self {
        Self::booted_at(stack, LocalTime::ZERO, None)
    }

    /// The same on a host whose clock shows `now`, and maybe the time of day.
    pub(crate) fn booted_at(stack: &[BuiltInSpec], now: LocalTime, wall: Option<WallTime>) -> Self {
        Self::made(stack).boots(now, Boot { wall, ..Boot::FIRST })
    }

    /// The same with what was found of another version of the engine.
    pub(crate) fn upgraded(
        stack: &[BuiltInSpec],
        now: LocalTime,
        wall: Option<WallTime>,
        found: Result<Carried, NotCarried>,
    ) -> Self {
        Self::made(stack).upgrades(now, wall, found)
    }

    /// A controller with this stack, booted, whose battery may be written so often a day.
    pub(crate) fn of_worn(stack: &[BuiltInSpec], per_day: u32) -> Self {
        let mut devices = devices();
        devices[1].writes_per_day = Some(per_day);
        Self::made_of(devices, stack).boots(LocalTime::ZERO, Boot::FIRST)
    }

    /// Its controller as it is made, with what was found of another version of the engine.
    pub(crate) fn upgrades(
        mut self,
        now: LocalTime,
        wall: Option<WallTime>,
        found: Result<Carried, NotCarried>,
    ) -> Self {
        self.effects.clear();
        self.controller.recall(found);
        self.boots(now, Boot { incarnation: 2, wall, origin: Origin::Foreign, ..Boot::FIRST })
    }

    fn made(stack: &[BuiltInSpec]) -> Self {
        Self::made_of(devices(), stack)
    }

    fn made_of(devices: Vec<DeviceSpec>, stack: &[BuiltInSpec]) -> Self {
        let spec = ControllerSpec::wire("grid", "a", Span::from_secs(1), devices, stack)
            .expect("the stack of a test is right");
        Self { controller: Controller::new(&spec), now: LocalTime::ZERO, effects: Effects::new() }
    }

    fn boots(mut self, now: LocalTime, boot: Boot) -> Self {
        self.now = now;
        self.controller.boot(now, boot, &mut self.effects);
        self
    }

    /// What it reported since its last scan or boot began.
    pub(crate) fn reported(&self) -> Vec<Event> {
        self.effects.as_slice().iter().filter_map(Effect::event).copied().collect()
    }

    /// A restart that takes so long by its clock, with the state of the life before.
    pub(crate) fn restart(&mut self, pause: Span) {
        self.now += pause;
        self.effects.clear();
        let wall = self.controller.wall_clock(self.now);
        let boot = Boot { incarnation: 2, wall, origin: Origin::Replayed, ..Boot::FIRST };
        self.controller.boot(self.now, boot, &mut self.effects);
    }

    /// The wall clock of its host is set.
    pub(crate) fn set_wall_clock(&mut self, wall: Option<WallTime>) {
        self.controller.handle(self.now, &Input::WallClock { wall }, &mut self.effects);
    }

    /// An operator asks for something.
    pub(crate) fn command(&mut self, command: Command) {
        self.effects.clear();
        self.controller.handle(self.now, &Input::Command(command), &mut self.effects);
    }

    /// What its clock shows.
    pub(crate) const fn now(&self) -> LocalTime {
        self.now
    }

    pub(crate) const fn controller_mut(&mut self) -> &mut Controller<BuiltIn> {
        &mut self.controller
    }

    /// The mistakes of a stack, as "field: problem".
    pub(crate) fn errors(stack: &[BuiltInSpec]) -> Vec<String> {
        let wired = ControllerSpec::<BuiltIn>::wire("grid", "a", Span::from_secs(1), devices(), stack);
        let errors = wired.err().unwrap_or_default();
        errors
            .into_iter()
            .map(|mistake| format!("{}: {}", mistake.error.field, mistake.error.problem))
            .collect()
    }

    /// One scan with all devices answering.
    pub(crate) fn scan(&mut self, reading: Reading) -> Decided {
        self.points(0, &[reading.pcc * 1e3, reading.v, reading.f]);
        self.answering_devices(reading)
    }

    /// Enough scans for the first values after enabling to have passed.
    pub(crate) fn settled(&mut self, reading: Reading) -> Decided {
        self.scan(reading);
        self.scan(reading);
        self.scan(reading)
    }

    /// Scans in which the meter does not answer.
    pub(crate) fn silent_meter(&mut self, scans: u32, reading: Reading) -> Decided {
        let mut decided = Decided { bess: 0.0, pv: 0.0, bess_var: 0.0 };
        for _scan in 0..scans {
            decided = self.answering_devices(reading);
        }
        decided
    }

    pub(crate) fn controller(&self) -> &Controller<BuiltIn> {
        &self.controller
    }

    fn answering_devices(&mut self, reading: Reading) -> Decided {
        let held = |device: usize| {
            let channels = self.controller.set_points().channels().iter();
            let mut channels = channels.filter(|channel| channel.device().position() == device);
            channels.next().and_then(|channel| channel.last()).map_or(0.0, |last| last.power.watts())
        };
        let (bess, pv) = (held(1), held(2));
        self.points(1, &[reading.bess * 1e3, reading.soc, 250e3, 250e3, bess]);
        self.points(2, &[reading.pv * 1e3, pv]);
        if let Some(signal) = reading.signal {
            self.points(3, &[signal]);
        }
        self.now += Span::from_secs(1);
        self.effects.clear();
        self.controller.handle(self.now, &Input::Wake, &mut self.effects);
        let power = |name: DeviceClass| {
            let groups = self.controller.composition().groups().iter();
            let mut groups = groups.filter(|group| group.class() == name);
            groups.next().and_then(|group| group.applied()).map_or(0.0, |power| power.watts() / 1e3)
        };
        let groups = self.controller.composition().groups().iter();
        let reactive = groups.filter_map(|group| group.reactive()?.applied()).map(Vars::vars).sum::<f64>();
        Decided { bess: power(DeviceClass::Battery), pv: power(DeviceClass::Pv), bess_var: reactive / 1e3 }
    }

    fn points(&mut self, device: u16, values: &[f64]) {
        let first = [0, 3, 8, 10][device as usize];
        let samples: Vec<Sample> = values
            .iter()
            .zip(first..)
            .map(|(value, point)| Sample {
                point: PointIndex(point),
                validity: Validity::Valid,
                value: *value,
            })
            .collect();
        let input = Input::Points { device: DeviceIndex(device), samples: &samples };
        // Answers come 10 ms before the scan that they are for.
        let now = self.now + Span::from_millis(990);
        self.controller.handle(now, &input, &mut self.effects);
    }
}

/// Shaves to 220 kW, recharges below 170 kW, and keeps four fifths in reserve.
pub(crate) fn shaving(window: Window) -> PeakShavingSpec {
    PeakShavingSpec {
        meter: "pcc".into(),
        battery: "bess".into(),
        limit: kilowatts(220.0),
        recharge: kilowatts(170.0),
        reserve: Ratio::of(0.8),
        window,
    }
}

/// A connection limit of 300 kW above what an operator may say, self-consumption below.
pub(crate) fn ordered_stack() -> [BuiltInSpec; 4] {
    let connection = ConnectionLimitSpec {
        meter: "pcc".into(),
        battery: Some("bess".into()),
        pv: None,
        import_max: Some(kilowatts(300.0)),
        export_max: None,
        fail_safe: None,
    };
    let wanting = SelfConsumptionSpec {
        meter: "pcc".into(),
        battery: "bess".into(),
        target: Watts::ZERO,
        discharge_above: Ratio::ZERO,
    };
    [
        BuiltInSpec::ConnectionLimit(connection),
        BuiltInSpec::Manual(ManualSpec { battery: Some("bess".into()), pv: None }),
        BuiltInSpec::Manual(ManualSpec { battery: None, pv: Some("pvs".into()) }),
        BuiltInSpec::SelfConsumption(wanting),
    ]
}

/// 40 kW are drawn, or made by the battery.
pub(crate) const DRAWN: Reading =
    Reading { pcc: 40.0, bess: 0.0, soc: 0.5, pv: 0.0, v: 1.0, f: 50.0, signal: None };
