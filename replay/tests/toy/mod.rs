//! A machine and a world that are small enough to see through, and use every kind of record.

#![allow(dead_code, reason = "each test program uses its part")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use r_ems_engine::carried::Carried;
use r_ems_engine::event::Event;
use r_ems_engine::fieldbus::frame;
use r_ems_engine::fieldbus::pdu::{Answer, Registers, Request, Table, put_answer};
use r_ems_engine::fleet::Fleet;
use r_ems_engine::ids::{ConnectionIndex, ControllerIndex, DeviceIndex, PointIndex};
use r_ems_engine::log::{ControllerNames, DeviceName, EffectsKept, Ending, Header, Scope};
use r_ems_engine::machine::{
    Boot, Delivery, Driver, Effect, Effects, Handled, Input, LinkWish, Machine, Outcome, Sample,
    SetPointWrite, Step, Validity, WriteKind, WriteOutcome,
};
use r_ems_engine::points::DeviceClass;
use r_ems_engine::units::Watts;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_replay::{Recorded, Recorder, Replayable};

pub(crate) const PERIOD: Span = Span::from_millis(1_000);
pub(crate) const METER: DeviceIndex = DeviceIndex(0);
pub(crate) const BATTERY: DeviceIndex = DeviceIndex(1);
const BUS: ConnectionIndex = ConnectionIndex(2);
/// Registers that the meter has on the wire.
const REGISTERS: u16 = 50;

/// Scans once a second, sums what it sees, and writes what is left of a limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Toy {
    /// What a change of a law would change; not a constant, so that a test can plant one.
    pub(crate) limit: f64,
    due: LocalTime,
    scans: u32,
    power: f64,
    sum: f64,
    /// Fails an assertion at this scan.
    fails_at: Option<u32>,
    /// Reads and writes on a connection too.
    is_wired: bool,
}

impl Machine for Toy {
    type Spec = Option<u32>;

    fn new(fails_at: &Option<u32>) -> Self {
        Self {
            limit: 220e3,
            due: LocalTime::ZERO,
            scans: 0,
            power: 0.0,
            sum: 0.0,
            fails_at: *fails_at,
            is_wired: false,
        }
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.due = now + PERIOD;
        out.report(Event::Booted { incarnation: boot.incarnation });
        self.poll(out);
        if self.is_wired {
            out.push(Effect::Link { connection: BUS, wish: LinkWish::Open });
        }
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        match *input {
            Input::Wake => self.scan(now, out),
            Input::Points { device, samples } => {
                if device == METER {
                    self.power = samples[0].value;
                }
                self.sum += samples.iter().map(|sample| sample.value).sum::<f64>();
            }
            Input::TimedOut { device } => out.report(Event::DeviceFollows { device }),
            Input::Written { device, outcome } => {
                if outcome != WriteOutcome::Acknowledged {
                    out.report(Event::WriteFailed { device, outcome });
                }
            }
            Input::NotSent { device, kind: _, valid_until: _ } => {
                out.report(Event::WriteFailed { device, outcome: WriteOutcome::Expired });
            }
            Input::Frame { connection: _, bytes } => {
                self.sum += bytes.iter().map(|byte| f64::from(*byte)).sum::<f64>();
            }
            Input::LinkChanged { connection, is_open: false } => {
                out.push(Effect::Link { connection, wish: LinkWish::Open });
            }
            Input::LinkChanged { connection: _, is_open: true } => self.send(None, out),
            Input::Message { .. }
            | Input::Transfer { .. }
            | Input::Promised { .. }
            | Input::Snapshotted { .. }
            | Input::Journal(_)
            | Input::WallClock { .. }
            | Input::Command(_) => {}
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        Some(self.due)
    }

    fn carried(&self) -> Option<Carried> {
        let memory = self.sum.to_le_bytes().to_vec();
        (self.scans > 0).then_some(Carried { at: self.due, wall: None, layout: 7, memory })
    }
}

impl Replayable for Toy {
    const FUNCTIONS: &'static [&'static str] = &["PeakShaving"];
}

impl Toy {
    /// One that reads and writes on a connection too, and closes it now and then.
    pub(crate) fn wired() -> Self {
        Self { is_wired: true, ..Self::new(&None) }
    }

    /// How many scans it has made.
    pub(crate) const fn scans(&self) -> u32 {
        self.scans
    }

    fn scan(&mut self, now: LocalTime, out: &mut Effects) {
        assert!(self.fails_at != Some(self.scans), "a planted failure");
        self.scans += 1;
        self.due += PERIOD;
        let shortfall = self.power - self.limit;
        if shortfall > 0.0 {
            let write = SetPointWrite {
                device: BATTERY,
                kind: WriteKind::SetPoint,
                value: shortfall,
                reactive: 0.0,
                epoch: 1,
                valid_until: now + PERIOD + PERIOD,
            };
            if self.is_wired {
                self.send(Some(write), out);
            } else {
                out.push(Effect::Write(write));
            }
            if self.scans.is_multiple_of(50) {
                out.report(Event::DeviceLimited { device: BATTERY, difference: Watts::of(shortfall) });
            }
        }
        self.poll(out);
        if self.is_wired {
            match self.scans % 4 {
                3 => out.push(Effect::Link { connection: BUS, wish: LinkWish::Closed }),
                _other => self.send(None, out),
            }
        }
    }

    /// Sends what the world takes for a read or a write: none of its bytes are there.
    fn send(&self, write: Option<SetPointWrite>, out: &mut Effects) {
        out.push(Effect::Frame { connection: BUS, first: 0, length: 12, chain: self.scans.into(), write });
    }

    fn poll(&self, out: &mut Effects) {
        out.push(Effect::Poll { device: METER, due: self.due });
        out.push(Effect::Poll { device: BATTERY, due: self.due });
    }
}

/// A world of independent controllers: each is booted, polled, woken, and its writes are answered.
#[derive(Clone, Debug)]
pub(crate) struct ToyWorld {
    now: Time,
    until: Time,
    /// What is still to come, by time; ties keep their order.
    queue: Vec<(Time, ControllerIndex, What)>,
    samples: Vec<Sample>,
    /// What arrives on a connection.
    bytes: Vec<u8>,
    /// Nanoseconds that each controller's clock gains in a second.
    gains: Vec<u64>,
    noise: u64,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Boot,
    Wake,
    Points(DeviceIndex),
    TimedOut(DeviceIndex),
    Written(WriteOutcome),
    Frame { is_written: bool },
    LinkChanged { is_open: bool },
}

impl ToyWorld {
    /// A world for `gains.len()` controllers that lasts `seconds`.
    pub(crate) fn new(gains: &[u64], seconds: u64) -> Self {
        let boot =
            |index: usize| (Time::from_nanos(index as u64 * 1_000), ControllerIndex::of(index), What::Boot);
        Self {
            now: Time::ZERO,
            until: Time::ZERO + Span::from_secs(seconds),
            queue: (0..gains.len()).map(boot).collect(),
            samples: Vec::new(),
            bytes: Vec::new(),
            gains: gains.to_vec(),
            noise: 1,
        }
    }

    fn push(&mut self, at: Time, to: ControllerIndex, what: What) {
        let position = self.queue.partition_point(|entry| entry.0 <= at);
        self.queue.insert(position, (at, to, what));
    }

    /// A word that depends on nothing but how many were drawn for this controller's sake.
    fn draw(&mut self, controller: ControllerIndex) -> u64 {
        self.noise =
            self.noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.noise >> 33) + u64::from(controller.0)
    }

    fn local(&self, at: Time, controller: ControllerIndex) -> LocalTime {
        let gain = u128::from(self.gains[controller.position()]) * u128::from(at.as_nanos()) / 1_000_000_000;
        LocalTime::from_nanos(5_000 + at.as_nanos() + gain as u64)
    }

    fn run_time(&self, local: LocalTime, controller: ControllerIndex) -> Time {
        let elapsed = u128::from(local.as_nanos() - 5_000) * 1_000_000_000;
        let rate = 1_000_000_000 + u128::from(self.gains[controller.position()]);
        Time::from_nanos(elapsed.div_ceil(rate) as u64)
    }

    /// The answer to a read or a write, sometimes only its first half.
    fn answer(&mut self, controller: ControllerIndex, is_written: bool) {
        let words: Vec<u8> = (0..2 * REGISTERS).map(|_| self.draw(controller) as u8).collect();
        let read = Request::Read { table: Table::HoldingRegisters, address: 40, count: REGISTERS };
        let (request, answer) = if is_written {
            (Request::WriteRegister { address: 7, value: u16::from(words[0]) }, Answer::Written)
        } else {
            (read, Answer::Registers(Registers::new(&words).expect("whole registers")))
        };
        self.bytes.clear();
        frame::put(&mut self.bytes, 1, 1, |pdu| put_answer(pdu, &request, &answer));
        if self.draw(controller).is_multiple_of(8) {
            self.bytes.truncate(self.bytes.len() / 2);
        }
    }

    fn measure(&mut self, device: DeviceIndex, controller: ControllerIndex) {
        let power = 200e3 + self.draw(controller) as f64 / 50_000.0;
        let values: &[f64] = if device == METER { &[power] } else { &[power / 3.0, 0.5, 250e3, 250e3, -0.0] };
        let first = if device == METER { 0 } else { 1 };
        self.samples.clear();
        for (index, value) in values.iter().enumerate() {
            let point = PointIndex::of(first + index);
            self.samples.push(Sample { point, validity: Validity::Valid, value: *value });
        }
    }
}

impl Driver for ToyWorld {
    fn next(&mut self) -> Option<Delivery<'_>> {
        if self.queue.is_empty() || self.queue[0].0 > self.until {
            return None;
        }
        let (at, to, what) = self.queue.remove(0);
        self.now = at;
        let now = self.local(at, to);
        let step = match what {
            What::Boot => Step::Boot(Boot { wall: Some(WallTime::EPOCH), ..Boot::FIRST }),
            What::Wake => Step::Input(Input::Wake),
            What::Points(device) => {
                self.measure(device, to);
                Step::Input(Input::Points { device, samples: &self.samples })
            }
            What::TimedOut(device) => Step::Input(Input::TimedOut { device }),
            What::Written(outcome) => Step::Input(Input::Written { device: BATTERY, outcome }),
            What::Frame { is_written } => {
                self.answer(to, is_written);
                Step::Input(Input::Frame { connection: BUS, bytes: &self.bytes })
            }
            What::LinkChanged { is_open } => Step::Input(Input::LinkChanged { connection: BUS, is_open }),
        };
        Some(Delivery { at, now, to, step })
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let from = outcome.from;
        let mut scanned = false;
        for effect in outcome.effects.as_slice() {
            match effect {
                Effect::Poll { device, due } => {
                    scanned = true;
                    let at = self.run_time(*due, from) - Span::from_millis(20);
                    let lost = *device == BATTERY && self.draw(from).is_multiple_of(40);
                    let what = if lost { What::TimedOut(*device) } else { What::Points(*device) };
                    self.push(at, from, what);
                }
                Effect::Write(_) => {
                    let refused = self.draw(from).is_multiple_of(20);
                    let result = if refused { WriteOutcome::Refused } else { WriteOutcome::Acknowledged };
                    self.push(outcome.at + Span::from_millis(20), from, What::Written(result));
                }
                Effect::Frame { write, .. } => {
                    // Some writes are late: the driver says so itself.
                    let is_late = write.is_some() && self.draw(from).is_multiple_of(5);
                    let what = if is_late {
                        What::Written(WriteOutcome::Expired)
                    } else {
                        What::Frame { is_written: write.is_some() }
                    };
                    self.push(outcome.at + Span::from_millis(10), from, what);
                }
                Effect::Link { wish, .. } => {
                    let what = What::LinkChanged { is_open: *wish == LinkWish::Open };
                    self.push(outcome.at + Span::from_millis(1), from, what);
                }
                Effect::Report(_)
                | Effect::Disconnect { .. }
                | Effect::Send { .. }
                | Effect::Transfer { .. }
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Authority { .. }
                | Effect::Promise(_) => {}
            }
        }
        if scanned && let Some(deadline) = outcome.deadline {
            let at = self.run_time(deadline, from);
            self.push(at, from, What::Wake);
        }
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => Handled::Done,
            Err(_panic) => Handled::Poisoned,
        }
    }
}

pub(crate) fn names(id: &str) -> ControllerNames {
    let device =
        |name: &str, class: DeviceClass| DeviceName { name: name.into(), class, points: class.points() };
    ControllerNames {
        grid: "harbour".into(),
        id: id.into(),
        devices: vec![device("pcc", DeviceClass::Meter), device("bess", DeviceClass::Battery)],
        functions: vec!["PeakShaving".into()],
    }
}

pub(crate) fn header(controllers: usize, effects: EffectsKept) -> Header {
    let ids = ["a", "b", "c", "d"];
    let controllers = ids[..controllers].iter().map(|id| names(id)).collect();
    Header { scenario: "toy".into(), seed: 7, effects, ..Header::new(&["PeakShaving"], controllers) }
}

/// Records a run of toys and returns its log.
pub(crate) fn record(gains: &[u64], seconds: u64, scope: Scope, effects: EffectsKept) -> (Vec<u8>, Recorded) {
    record_toys(&vec![Toy::new(&None); gains.len()], gains, seconds, scope, effects)
}

/// Records a run of wired toys.
pub(crate) fn record_wired(gains: &[u64], seconds: u64, effects: EffectsKept) -> (Vec<u8>, Recorded) {
    record_toys(&vec![Toy::wired(); gains.len()], gains, seconds, Scope::Fleet, effects)
}

/// Records a run of the given toys and returns its log.
pub(crate) fn record_toys(
    toys: &[Toy],
    gains: &[u64],
    seconds: u64,
    scope: Scope,
    effects: EffectsKept,
) -> (Vec<u8>, Recorded) {
    let mut log = Vec::new();
    let mut fleet = Fleet::new(toys.to_vec());
    let world = ToyWorld::new(gains, seconds);
    let header = header(gains.len(), effects);
    let mut recorder =
        Recorder::new(world, &mut log, header, scope, fleet.machines()).expect("memory takes all");
    // A failed assertion is part of some tests; the log says so itself.
    let _run = fleet.run(&mut recorder);
    let (_world, recorded) = recorder.finish(fleet.machines(), Ending::Over);
    (log, recorded.expect("memory takes all"))
}
