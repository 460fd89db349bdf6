#![allow(dead_code, reason = "each test file uses a part of it")]
//! A site for tests of the controller: a meter, two batteries of opposite sign, an inverter, and what an island has, scanned
//! once a second.

mod functions;

pub(crate) use functions::every_function;
use r_ems_engine::controller::group::Group;
use r_ems_engine::controller::{Controller, ControllerSpec, StackError};
use r_ems_engine::event::Event;
use r_ems_engine::fieldbus::frame::{HEADER_BYTES, put};
use r_ems_engine::fieldbus::pdu::{Answer, Request, put_answer, put_exception};
use r_ems_engine::fieldbus::refusal::Exception;
use r_ems_engine::functions::{BuiltIn, BuiltInSpec, FunctionSet};
use r_ems_engine::ids::{DeviceIndex, PointIndex};
use r_ems_engine::machine::{
    Boot, Effect, Effects, Input, LinkWish, Machine, Sample, SetPointWrite, Validity, WriteKind, WriteOutcome,
};
use r_ems_engine::math::at_most;
use r_ems_engine::points::{Connections, DeviceClass, DeviceSpec, PointKind, PointKinds, Positive, Priority};
use r_ems_engine::redundancy::Command;
use r_ems_engine::units::{VoltAmperes, Watts};
use r_ems_engine::{LocalTime, Span};

pub(crate) const SCAN: Span = Span::from_secs(1);
pub(crate) const BATTERY_W: f64 = 250e3;
pub(crate) const PV_W: f64 = 600e3;
pub(crate) const GENSET_W: f64 = 200e3;
pub(crate) const LOAD_W: f64 = 120e3;
pub(crate) const BREAKER_W: f64 = 400e3;
/// So many devices it has.
pub(crate) const DEVICES: usize = 10;

pub(crate) fn kilowatts(power: f64) -> Watts {
    Watts::of(power * 1e3)
}

fn device(name: &str, class: DeviceClass, positive: Positive, rating: f64) -> DeviceSpec {
    DeviceSpec {
        name: name.into(),
        class,
        points: class.points(),
        positive,
        rating: Watts::of(rating),
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

/// What the devices of the site measure in one scan; `None`: the device does not answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    pub(crate) pcc: Option<f64>,
    /// Power, state of charge, limit both ways.
    pub(crate) batteries: [Option<(f64, f64, f64)>; 2],
    pub(crate) pv: Option<f64>,
}

impl Reading {
    /// Every device answers: grid, batteries at half charge with their full limits, sun.
    pub(crate) const fn quiet(pcc: f64, battery: f64) -> Self {
        let battery = Some((battery / 2.0, 0.5, BATTERY_W));
        Self { pcc: Some(pcc), batteries: [battery, battery], pv: Some(100e3) }
    }
}

/// What the devices of an island measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Island {
    /// Whether the breaker to the grid is closed, and whether it answers.
    pub(crate) is_closed: bool,
    pub(crate) breaker_answers: bool,
    /// Power and state of each genset, and whether it answers.
    pub(crate) engines: [(f64, f64); 2],
    pub(crate) engines_answer: [bool; 2],
    /// What the oven takes, and what the crane does.
    pub(crate) oven: f64,
    pub(crate) crane: f64,
    /// Voltage and frequency of the grid behind the breaker.
    pub(crate) behind: [f64; 2],
}

impl Default for Island {
    fn default() -> Self {
        Self {
            is_closed: true,
            breaker_answers: true,
            engines: [(0.0, 0.0); 2],
            engines_answer: [true; 2],
            oven: 90e3,
            crane: 0.0,
            behind: [1.0, 50.0],
        }
    }
}

/// A controller with a meter, two batteries, an inverter, a receiver of the grid operator's signal, two gensets, a load and a
/// breaker.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) controller: Controller<BuiltIn>,
    pub(crate) now: LocalTime,
    /// The set-points that the devices hold, in their own sign.
    pub(crate) held: [f64; DEVICES],
    effects: Effects,
    pub(crate) events: Vec<Event>,
    pub(crate) writes: [u64; DEVICES],
    /// Devices that refuse every set-point.
    pub(crate) refuses: [bool; DEVICES],
    /// Devices that answer no set-point.
    pub(crate) is_mute: [bool; DEVICES],
    /// The heartbeats that devices behind a bus have heard.
    pub(crate) beats: [u64; DEVICES],
    /// The voltage and the frequency that the meter measures.
    pub(crate) grid: [f64; 2],
    /// The numbers that devices hold which take no set-point before they have heard another one.
    pub(crate) unheard: [Option<f64>; DEVICES],
    /// What of an island is measured.
    pub(crate) island: Island,
    /// What the receiver tells; none: it does not answer.
    pub(crate) ripple: Option<f64>,
    /// What devices say of themselves that have such points.
    pub(crate) says: [Says; DEVICES],
    /// The points of each device, and the first of them in the image.
    points: [(PointKinds, u16); DEVICES],
    /// What each device said of itself last, since boot.
    said: [Option<Says>; DEVICES],
}

/// What a device says of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Says {
    pub(crate) mode: f64,
    pub(crate) remote: f64,
}

impl Says {
    pub(crate) const USUAL: Self = Self { mode: 3.0, remote: 1.0 };
    pub(crate) const LOCAL: Self = Self { remote: 0.0, ..Self::USUAL };
    pub(crate) const FAULT: Self = Self { mode: 4.0, ..Self::USUAL };
}

/// Lets every device say of itself what it can.
pub(crate) fn telling(devices: &mut [DeviceSpec]) {
    for device in devices {
        for kind in [PointKind::Mode, PointKind::Remote] {
            if device.class.more_points().contains(kind) {
                device.points = device.points.with(kind);
            }
        }
    }
}

impl Site {
    pub(crate) fn of(stack: &[BuiltInSpec]) -> Self {
        Self::with(stack, |_devices| {})
    }

    /// The same with devices that are changed before.
    pub(crate) fn with(stack: &[BuiltInSpec], change: impl FnOnce(&mut [DeviceSpec])) -> Self {
        Self::made(stack, change, |_spec| {})
    }

    /// The same with a controller that is changed too.
    pub(crate) fn made(
        stack: &[BuiltInSpec],
        change: impl FnOnce(&mut [DeviceSpec]),
        change_controller: impl FnOnce(&mut ControllerSpec<BuiltIn>),
    ) -> Self {
        let mut devices = Self::devices();
        change(&mut devices);
        let mut points = [(PointKinds::default(), 0); DEVICES];
        let mut first = 0;
        for (place, device) in points.iter_mut().zip(&devices) {
            *place = (device.points, first);
            first += device.points.len() as u16;
        }
        let mut spec = ControllerSpec::wire("grid", "a", SCAN, devices, stack).expect("a right stack");
        change_controller(&mut spec);
        let mut controller = Controller::new(&spec);
        let mut effects = Effects::new();
        controller.boot(LocalTime::ZERO, Boot::FIRST, &mut effects);
        let held = [0.0, 0.0, 0.0, PV_W, 0.0, 0.0, 0.0, LOAD_W, BREAKER_W, LOAD_W];
        Self {
            controller,
            now: LocalTime::ZERO,
            held,
            effects,
            events: Vec::new(),
            writes: [0; DEVICES],
            refuses: [false; DEVICES],
            is_mute: [false; DEVICES],
            beats: [0; DEVICES],
            grid: [1.0, 50.0],
            unheard: [None; DEVICES],
            island: Island::default(),
            ripple: Some(1.0),
            says: [Says::USUAL; DEVICES],
            points,
            said: [None; DEVICES],
        }
    }

    /// The mistakes of a stack, as "field: problem".
    pub(crate) fn errors(stack: &[BuiltInSpec]) -> Vec<String> {
        let wired = ControllerSpec::<BuiltIn>::wire("grid", "a", SCAN, Self::devices(), stack);
        let told = |mistake: StackError| format!("{}: {}", mistake.error.field, mistake.error.problem);
        wired.err().unwrap_or_default().into_iter().map(told).collect()
    }

    fn devices() -> Vec<DeviceSpec> {
        let pcc = device("pcc", DeviceClass::Meter, Positive::Import, 400e3);
        let points = pcc.points.with(PointKind::Voltage).with(PointKind::Frequency);
        let main = device("main", DeviceClass::Breaker, Positive::Import, BREAKER_W);
        let behind = main.points.with(PointKind::Voltage).with(PointKind::Frequency);
        vec![
            DeviceSpec { points, ..pcc },
            DeviceSpec {
                apparent: Some(VoltAmperes::of(1.1 * BATTERY_W)),
                ..device("b1", DeviceClass::Battery, Positive::Discharge, BATTERY_W)
            },
            device("b2", DeviceClass::Battery, Positive::Charge, BATTERY_W),
            device("pv", DeviceClass::Pv, Positive::Generation, PV_W),
            device("ripple", DeviceClass::Signal, Positive::Import, 1.0),
            device("g1", DeviceClass::Genset, Positive::Generation, GENSET_W),
            device("g2", DeviceClass::Genset, Positive::Generation, GENSET_W),
            device("oven", DeviceClass::Load, Positive::Consumption, LOAD_W),
            DeviceSpec { points: behind, ..main },
            device("crane", DeviceClass::Load, Positive::Consumption, LOAD_W),
        ]
    }

    /// The host restarts: the clock stands at `now`, and nothing of the machine but its memory is lost.
    pub(crate) fn reboot(&mut self, now: LocalTime) {
        self.now = now;
        self.said = [None; DEVICES];
        self.controller.boot(now, Boot { incarnation: 2, ..Boot::FIRST }, &mut self.effects);
    }

    /// An operator's word.
    pub(crate) fn command(&mut self, command: Command) {
        self.effects.clear();
        self.controller.handle(self.now, &Input::Command(command), &mut self.effects);
        self.look_at_effects();
    }

    /// A scan in which the batteries do at once what they were told and the inverter makes no more than its limit.
    pub(crate) fn live(&mut self, load: f64, sun: f64, socs: [f64; 2]) {
        let batteries = [self.held[1], -self.held[2]];
        let pv = at_most(sun, self.held[3]);
        let pcc = load - pv - batteries[0] - batteries[1];
        let battery = |place: usize| Some((batteries[place], socs[place], BATTERY_W));
        self.scan(Reading { pcc: Some(pcc), batteries: [battery(0), battery(1)], pv: Some(pv) });
    }

    /// What the meter would read now.
    pub(crate) fn pcc(&self, load: f64, pv: f64) -> f64 {
        load - pv - self.held[1] + self.held[2]
    }

    /// The batteries' set-points, positive into the bus.
    pub(crate) fn set_points(&self) -> [f64; 2] {
        let members = self.batteries().members();
        [members[0].set_point().watts(), members[1].set_point().watts()]
    }

    /// What was decided for the batteries.
    pub(crate) fn decided(&self) -> f64 {
        self.batteries().applied().map_or(f64::NAN, Watts::watts)
    }

    pub(crate) fn batteries(&self) -> &Group {
        let mut groups = self.controller.composition().groups().iter();
        groups.find(|group| group.class() == DeviceClass::Battery).expect("a stack with batteries")
    }

    pub(crate) fn scan(&mut self, reading: Reading) {
        if let Some(pcc) = reading.pcc {
            let [voltage, frequency] = self.grid;
            self.answer(0, &[pcc, voltage, frequency]);
        }
        for (place, battery) in (0..).zip(reading.batteries) {
            if let Some((power, soc, limit)) = battery {
                let sign = if place == 0 { 1.0 } else { -1.0 };
                let held = self.held[1 + usize::from(place)];
                self.answer(1 + place, &[power * sign, soc, limit, limit, held]);
            }
        }
        if let Some(pv) = reading.pv {
            self.answer(3, &[pv, self.held[3]]);
        }
        if let Some(ripple) = self.ripple {
            self.answer(4, &[ripple]);
        }
        let Island { is_closed, breaker_answers, engines, engines_answer, oven, crane, behind } = self.island;
        for (place, (power, state)) in (0..).zip(engines) {
            if !engines_answer[usize::from(place)] {
                continue;
            }
            self.answer(5 + place, &[power, self.held[5 + usize::from(place)], state]);
        }
        self.answer(7, &[oven, self.held[7]]);
        self.answer(9, &[crane, self.held[9]]);
        if breaker_answers {
            self.answer(8, &[self.held[8], behind[0], behind[1], if is_closed { 1.0 } else { 0.0 }]);
        }
        self.now += SCAN;
        self.effects.clear();
        self.controller.handle(self.now, &Input::Wake, &mut self.effects);
        self.look_at_effects();
        self.look_at_decisions();
    }

    fn answer(&mut self, device: u16, values: &[f64]) {
        let place = usize::from(device);
        let (kinds, first) = self.points[place];
        let Says { mode, remote } = self.says[place];
        let told = [(PointKind::Mode, mode), (PointKind::Remote, remote)];
        let told = told.into_iter().filter(|(kind, _)| kinds.contains(*kind)).map(|(_, value)| value);
        let values: Vec<f64> = values.iter().copied().chain(told).collect();
        assert_eq!(values.len(), kinds.len(), "device {device} answers with all of its points");
        let said = self.said[place].unwrap_or(Says::USUAL);
        let believed = |kind: PointKind, now, before| if kind.can_be(now) { now } else { before };
        self.said[place] = Some(Says {
            mode: if kinds.contains(PointKind::Mode) {
                believed(PointKind::Mode, mode, said.mode)
            } else {
                3.0
            },
            remote: if kinds.contains(PointKind::Remote) {
                believed(PointKind::Remote, remote, said.remote)
            } else {
                1.0
            },
        });
        let sample = |(value, point): (&f64, u16)| Sample {
            point: PointIndex(point),
            validity: Validity::Valid,
            value: *value,
        };
        let samples: Vec<Sample> = values.iter().zip(first..).map(sample).collect();
        let input = Input::Points { device: DeviceIndex(device), samples: &samples };
        self.controller.handle(self.now + Span::from_millis(990), &input, &mut self.effects);
    }

    fn look_at_effects(&mut self) {
        let effects = core::mem::take(&mut self.effects);
        self.look_at(&effects);
        self.effects = effects;
    }

    fn deliver(&mut self, input: &Input<'_>) {
        let mut more = Effects::new();
        self.controller.handle(self.now, input, &mut more);
        self.look_at(&more);
    }

    fn look_at(&mut self, effects: &Effects) {
        for effect in effects.as_slice() {
            match *effect {
                Effect::Write(write) => {
                    assert!(write.value.is_finite(), "a set-point is finite");
                    assert!(write.valid_until > self.now, "a set-point is valid when it is written");
                    let device = write.device.position();
                    let said = self.said[device].unwrap_or(Says::USUAL);
                    assert!(said.remote > 0.5, "nothing is written to device {device} at its panel");
                    assert!(said.mode < 3.5, "nothing is written to device {device} in fault");
                    self.writes[device] += 1;
                    let outcome = if self.refuses[device] {
                        WriteOutcome::Refused
                    } else {
                        self.held[device] = write.value;
                        WriteOutcome::Acknowledged
                    };
                    self.deliver(&Input::Written { device: write.device, outcome });
                }
                Effect::Frame { connection, first, length, write: Some(write), .. } => {
                    let frame = &effects.frames()[first as usize..][..length as usize];
                    if let Some(bytes) = self.answer_frame(frame, &write) {
                        self.deliver(&Input::Frame { connection, bytes: &bytes });
                    }
                }
                Effect::Link { connection, wish: LinkWish::Open } => {
                    self.deliver(&Input::LinkChanged { connection, is_open: true });
                }
                Effect::Promise(_) => self.deliver(&Input::Promised { succeeded: true }),
                Effect::Report(event) => self.events.push(event),
                Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Send { .. }
                | Effect::Transfer { .. }
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Authority { .. } => {}
            }
        }
    }

    /// What a device behind a bus answers that is written something.
    fn answer_frame(&mut self, frame: &[u8], write: &SetPointWrite) -> Option<Vec<u8>> {
        let device = write.device.position();
        let is_set_point = write.kind == WriteKind::SetPoint;
        if !is_set_point {
            self.beats[device] += 1;
            self.unheard[device] = self.unheard[device].filter(|held| *held == write.value);
        } else if self.is_mute[device] {
            return None;
        }
        self.writes[device] += u64::from(is_set_point);
        let request = Request::decode(&frame[HEADER_BYTES..]).expect("what is sent is a request");
        let (transaction, unit) = (u16::from_be_bytes([frame[0], frame[1]]), frame[HEADER_BYTES - 1]);
        let mut bytes = Vec::new();
        let refuses = is_set_point && (self.refuses[device] || self.unheard[device].is_some());
        put(&mut bytes, transaction, unit, |pdu| {
            if refuses {
                put_exception(pdu, request.function(), Exception::ILLEGAL_VALUE);
            } else {
                put_answer(pdu, &request, &Answer::Written);
            }
        });
        if is_set_point && !refuses {
            self.held[device] = write.value;
        }
        Some(bytes)
    }

    fn look_at_decisions(&self) {
        for group in self.controller.composition().groups() {
            let Some(power) = group.applied() else { continue };
            let ability = &group.steps()[0];
            assert!(
                power >= ability.low && power <= ability.high,
                "{power} is inside what the devices can do"
            );
            let members = group.members().iter().filter(|member| member.takes_part());
            for member in members.clone() {
                let (ability, set_point) = (member.ability(), member.set_point());
                assert!(set_point >= ability.low && set_point <= ability.high, "{set_point} fits its device");
            }
            let shares = members.fold(0.0, |sum, member| sum + member.set_point().watts());
            assert!((shares - power.watts()).abs() < 1e-3, "{shares} W are shared of {power}");
            for step in group.steps().windows(2) {
                assert!(step[1].low >= step[0].low && step[1].high <= step[0].high, "intervals only shrink");
            }
        }
    }
}

/// The stacks in which a function decides what batteries do.
pub(crate) fn stacks_with_batteries() -> Vec<Vec<BuiltInSpec>> {
    let of_islands = ["Gensets", "LoadShedding", "Reconnect"];
    let with_batteries = |stack: &Vec<BuiltInSpec>| !of_islands.contains(&BuiltIn::name(&stack[0]));
    stacks().into_iter().filter(with_batteries).collect()
}

pub(crate) fn stacks() -> Vec<Vec<BuiltInSpec>> {
    let every = every_function();
    every.iter().map(|spec| vec![spec.clone()]).chain([every.clone()]).collect()
}
