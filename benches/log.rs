//! How fast a log is written, and how fast it is read and verified: every checksum, every chain and every record of a day.
//!
//! It is a day in which every measured value moves, as at a site. Its deliveries and what they led to are collected
//! beforehand, so that writing is the log's work alone: records, chains, checksums, into memory that is thrown away.
//! Throughput is in bytes of log. What recording costs a whole run is measured by `year`.

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use r_ems::engine::controller::Controller;
use r_ems::engine::fleet::{Fleet, Turn};
use r_ems::engine::functions::BuiltIn;
use r_ems::engine::ids::{ConnectionIndex, ControllerIndex, DeviceIndex};
use r_ems::engine::log::{Ending, Header, Recording, Scope};
use r_ems::engine::machine::{
    Boot, Delivery, Driver, Effects, Input, Machine, Outcome, Sample, Step, WriteKind, WriteOutcome,
};
use r_ems::engine::persistence::JournalStatus;
use r_ems::engine::redundancy::{Command, Message, Seat};
use r_ems::engine::wall::WallTime;
use r_ems::engine::{LocalTime, Span, Time};
use r_ems::replay::statistics;
use r_ems::scenarios::Overrides;
use r_ems::sim::driver::SimDriver;
use r_ems::study::load::load;

/// How much is written and read.
const HOURS: u64 = 24;

/// One delivery and what it led to, without what it borrowed.
struct Collected {
    at: Time,
    now: LocalTime,
    to: ControllerIndex,
    what: What,
    effects: Effects,
    deadline: Option<LocalTime>,
}

/// A step without what it borrowed.
enum What {
    Boot(Boot),
    Wake,
    Points(DeviceIndex, Vec<Sample>),
    TimedOut(DeviceIndex),
    Frame(ConnectionIndex, Vec<u8>),
    LinkChanged(ConnectionIndex, bool),
    Written(DeviceIndex, WriteOutcome),
    NotSent(DeviceIndex, WriteKind, LocalTime),
    Message(Seat, Message),
    Promised(bool),
    Snapshotted(bool),
    Journal(JournalStatus),
    Command(Command),
    WallClock(Option<WallTime>),
    Transfer(Seat, Vec<u8>),
}

impl What {
    fn of(step: &Step<'_>) -> Self {
        match *step {
            Step::Restore { .. } => unreachable!("nothing is recovered here"),
            Step::Boot(boot) => Self::Boot(boot),
            Step::Input(Input::Wake) => Self::Wake,
            Step::Input(Input::Points { device, samples }) => Self::Points(device, samples.to_vec()),
            Step::Input(Input::TimedOut { device }) => Self::TimedOut(device),
            Step::Input(Input::Frame { connection, bytes }) => Self::Frame(connection, bytes.to_vec()),
            Step::Input(Input::LinkChanged { connection, is_open }) => Self::LinkChanged(connection, is_open),
            Step::Input(Input::Written { device, outcome }) => Self::Written(device, outcome),
            Step::Input(Input::NotSent { device, kind, valid_until }) => {
                Self::NotSent(device, kind, valid_until)
            }
            Step::Input(Input::Message { from, message }) => Self::Message(from, message),
            Step::Input(Input::Promised { succeeded }) => Self::Promised(succeeded),
            Step::Input(Input::Snapshotted { succeeded }) => Self::Snapshotted(succeeded),
            Step::Input(Input::Journal(status)) => Self::Journal(status),
            Step::Input(Input::Command(command)) => Self::Command(command),
            Step::Input(Input::WallClock { wall }) => Self::WallClock(wall),
            Step::Input(Input::Transfer { from, unit }) => Self::Transfer(from, unit.to_vec()),
        }
    }

    fn step(&self) -> Step<'_> {
        match *self {
            Self::Boot(boot) => Step::Boot(boot),
            Self::Wake => Step::Input(Input::Wake),
            Self::Points(device, ref samples) => Step::Input(Input::Points { device, samples }),
            Self::TimedOut(device) => Step::Input(Input::TimedOut { device }),
            Self::Frame(connection, ref bytes) => Step::Input(Input::Frame { connection, bytes }),
            Self::LinkChanged(connection, is_open) => Step::Input(Input::LinkChanged { connection, is_open }),
            Self::Written(device, outcome) => Step::Input(Input::Written { device, outcome }),
            Self::NotSent(device, kind, valid_until) => {
                Step::Input(Input::NotSent { device, kind, valid_until })
            }
            Self::Message(from, message) => Step::Input(Input::Message { from, message }),
            Self::Promised(succeeded) => Step::Input(Input::Promised { succeeded }),
            Self::Snapshotted(succeeded) => Step::Input(Input::Snapshotted { succeeded }),
            Self::Journal(status) => Step::Input(Input::Journal(status)),
            Self::Command(command) => Step::Input(Input::Command(command)),
            Self::WallClock(wall) => Step::Input(Input::WallClock { wall }),
            Self::Transfer(from, ref unit) => Step::Input(Input::Transfer { from, unit }),
        }
    }
}

/// A driver that keeps what passes.
struct Collector {
    world: SimDriver,
    all: Vec<Collected>,
}

impl Driver for Collector {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.world.next()?;
        let Delivery { at, now, to, step } = delivery;
        let what = What::of(&step);
        self.all.push(Collected { at, now, to, what, effects: Effects::new(), deadline: None });
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let last = self.all.last_mut().expect("an outcome follows its delivery");
        last.effects = outcome.effects.clone();
        last.deadline = outcome.deadline;
        self.world.perform(outcome);
    }
}

/// Everything that is written.
struct Day {
    header: Header,
    machines: Vec<Controller<BuiltIn>>,
    all: Vec<Collected>,
}

impl Day {
    fn collect() -> Self {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/noisy_day.ron");
        let overrides = Overrides { until: Some(Span::from_hours(HOURS)), ..Overrides::default() };
        let loaded = load::<BuiltIn>(&scenario, &overrides).expect("a shipped scenario is right");
        let study = loaded.study;
        let machines: Vec<_> = study.controllers.iter().map(Controller::new).collect();
        let mut fleet = Fleet::new(machines.clone());
        let world = SimDriver::new(study.world).expect("links fit their bus");
        let mut collector = Collector { world, all: Vec::new() };
        while fleet.turn(&mut collector) == Ok(Turn::Handled) {}
        let header = Header::new(&[], study.facts.controllers);
        Self { header, machines, all: collector.all }
    }

    /// Records the day and hands each piece to `sink`.
    fn write(&self, mut sink: impl FnMut(&[u8])) {
        let recording = Recording::new(&self.header, Scope::Fleet, &self.machines);
        let mut recording = recording.expect("the header is small");
        for Collected { at, now, to, what, effects, deadline } in &self.all {
            let (at, now, to, deadline) = (*at, *now, *to, *deadline);
            recording.delivery(&Delivery { at, now, to, step: what.step() });
            let state = &self.machines[to.position()];
            recording.outcome(&Outcome { at, now, from: to, deadline, effects, state });
            if !recording.writer().out().is_empty() {
                sink(recording.writer().out());
                recording.clear_out();
            }
        }
        recording.close(&self.machines, Ending::Over);
        sink(recording.writer().out());
    }
}

fn log(criterion: &mut Criterion) {
    let day = Day::collect();
    let mut log = Vec::new();
    day.write(|bytes| log.extend_from_slice(bytes));
    let mut group = criterion.benchmark_group("log");
    group.throughput(Throughput::Bytes(log.len() as u64));
    group.bench_function("write", |bencher| {
        bencher.iter(|| {
            let mut count = 0;
            day.write(|bytes| count += bytes.len());
            count
        });
    });
    group.bench_function("read and verify", |bencher| {
        bencher.iter(|| statistics(log.as_slice()).expect("it is whole"));
    });
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
