//! Device links of kind `Points`: what is measured when, how long it is on its way, and what happens when nobody answers.
//!
//! A poll asks for an answer at a due time. The link measures its latency before that, or at once if that has passed, and
//! the answer arrives its latency later: a slow meter answers every poll, each time with an old value. A device that is
//! silent, or slower than the time-out, ends a poll as timed out, and what it says later is nobody's. Answers come in the order
//! in which they were asked for, as on one connection. Nothing here decides; it only delays, and lies as it is told to.
//!
//! - `frames` is what the same link does where bytes pass on it; `faults` is what a timeline makes of answers;
//! - `connection` is what they travel on, and what becomes of them without it; `kinds` names the points.

mod connection;
mod faults;
mod frames;
mod kinds;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use r_ems_engine::ids::PointIndex;
use r_ems_engine::machine::{Sample, Validity};
use r_ems_engine::points::PointKind;
use r_ems_engine::rng::Stream;
use r_ems_engine::{Span, Time};

use crate::network::Delay;
use crate::plant::{Bus, ComponentIndex, Quantity, TruthPoint};
use crate::slot::OneConnection;
use crate::world::{DropOuts, LinkSpec, LinkState};

use self::connection::{Access, Connection};
use self::faults::Faults;
pub use self::faults::{DeviceFault, Edge, Reads};
use self::kinds::kind_of;

/// Most points of one device.
pub const MAX_DEVICE_POINTS: usize = 10;

/// An answer on its way.
#[derive(Clone, Debug)]
struct Travelling {
    answer: Vec<Sample>,
    /// The connection on which it travels.
    connection: u32,
    /// When whoever asked gives up.
    until: Time,
}

/// What becomes of a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The device was read; its answer arrives at this instant.
    Answers(Time),
    /// There is a connection at this instant, and the device can be read then.
    Waits(Time),
    /// Nothing comes back in time.
    TimesOut,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    /// It reaches the device at this instant.
    Reaches(Time),
    /// There is a connection at this instant, on which it can leave.
    Waits(Time),
    /// It reaches nobody.
    TimesOut,
}

/// When and how something left that is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    at: Time,
    connection: u32,
}

/// One link at run time.
#[derive(Clone, Debug)]
pub struct Link {
    component: ComponentIndex,
    first_point: PointIndex,
    readings: Vec<Reading>,
    factor: f64,
    declared: f64,
    latency: Span,
    timeout: Span,
    reconnect: Span,
    write_delay: Delay,
    checks_epochs: bool,
    one_connection: Option<OneConnection>,
    /// Whether the controller has given its only connection up: what it asked for before makes no new one.
    is_given_up: bool,
    /// What the way of each write draws from.
    writes: Stream,
    valid_for: Span,
    /// What the timeline says.
    state: LinkState,
    /// What chance says.
    chance: LinkState,
    drop_outs: Option<(DropOuts, Stream)>,
    /// What is wrong with the device besides.
    faults: Faults,
    /// Whether answers are other than what is measured.
    distorts: bool,
    connection: Connection,
    /// Answers on their way, oldest first; kept for its memory.
    on_the_way: VecDeque<Travelling>,
    /// When the last of them arrives: no later one overtakes it.
    last_arrival: Time,
    /// The answer that has arrived last.
    arrived: Vec<Sample>,
    /// Answers that are over; kept for their memory.
    spare: Vec<Vec<Sample>>,
    traffic: Traffic,
}

/// One value that a device reads.
#[derive(Clone, Copy, Debug)]
struct Reading {
    point: TruthPoint,
    is_signed: bool,
    /// What the point is to a controller.
    kind: Option<PointKind>,
}

/// What went over a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Polls that were answered.
    pub answers: u64,
    /// Polls that were not answered in time.
    pub poll_timeouts: u64,
    /// Writes that took effect.
    pub writes: u64,
    /// Writes that were not answered in time.
    pub write_timeouts: u64,
}

/// Says that a link's specification does not fit its bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchValue {
    /// Whose value.
    pub component: ComponentIndex,
    /// Which value the component does not have.
    pub quantity: Quantity,
}

impl Sent {
    /// On which connection of the link.
    pub(crate) const fn connection(self) -> u32 {
        self.connection
    }
}

impl Link {
    const NOTHING: Sample = Sample { point: PointIndex(0), validity: Validity::Invalid, value: 0.0 };

    /// Makes a link to a component of `bus`.
    ///
    /// # Errors
    /// [`NoSuchValue`] for a quantity that the component does not have.
    ///
    /// # Panics
    /// With more than [`MAX_DEVICE_POINTS`] quantities: device classes are ours, and have fewer.
    pub fn new(spec: &LinkSpec, bus: &Bus, seed: u64, name: &str) -> Result<Self, NoSuchValue> {
        assert!(spec.quantities.len() <= MAX_DEVICE_POINTS, "a device class has few points");
        let mut readings = Vec::with_capacity(spec.quantities.len());
        for quantity in &spec.quantities {
            let missing = NoSuchValue { component: spec.component, quantity: *quantity };
            let point = bus.truth(spec.component, *quantity).ok_or(missing)?;
            let is_signed = matches!(quantity, Quantity::Power | Quantity::SetPoint);
            readings.push(Reading { point, is_signed, kind: kind_of(*quantity) });
        }
        Ok(Self {
            component: spec.component,
            first_point: spec.first_point,
            readings,
            factor: spec.positive.factor(),
            declared: spec.declared.factor(),
            latency: spec.latency,
            timeout: spec.timeout,
            // Where a device takes only one connection, how long it takes is the matter of whoever has it.
            reconnect: if spec.one_connection.is_some() { Span::ZERO } else { spec.reconnect },
            write_delay: spec.write_delay,
            checks_epochs: spec.checks_epochs,
            one_connection: spec.one_connection,
            is_given_up: false,
            writes: Stream::named(seed, &alloc::format!("{name} writes")),
            valid_for: spec.valid_for,
            state: LinkState::Answering,
            chance: LinkState::Answering,
            drop_outs: spec.drop_outs.map(|drop_outs| (drop_outs, Stream::named(seed, name))),
            faults: Faults::default(),
            distorts: false,
            connection: Connection::new(),
            on_the_way: VecDeque::new(),
            last_arrival: Time::ZERO,
            arrived: Vec::new(),
            spare: Vec::new(),
            traffic: Traffic::default(),
        })
    }

    /// What the device measures or moves.
    pub const fn component(&self) -> ComponentIndex {
        self.component
    }

    /// From measuring to arrival.
    pub const fn latency(&self) -> Span {
        self.latency
    }

    /// Whether the device refuses epochs lower than one that it has accepted.
    pub const fn checks_epochs(&self) -> bool {
        self.checks_epochs
    }

    /// How the device is connected to, where it takes only one connection at a time.
    pub const fn one_connection(&self) -> Option<OneConnection> {
        self.one_connection
    }

    /// The controller gives its only connection up, or asks for something anew.
    pub(crate) const fn give_up(&mut self, is_given_up: bool) {
        self.is_given_up = is_given_up;
    }

    /// Whether the controller has given its only connection up.
    pub(crate) const fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Forgets answers on their way: the one that asked is gone.
    pub fn forget(&mut self) {
        self.on_the_way.clear();
    }

    /// How long is waited for an answer.
    pub const fn timeout(&self) -> Span {
        self.timeout
    }

    /// The points of the device, and how long an image believes their values.
    pub fn validity(&self) -> impl Iterator<Item = (PointIndex, Span)> {
        let first = self.first_point.0;
        (first..).zip(&self.readings).map(|(point, _)| (PointIndex(point), self.valid_for))
    }

    /// What went over the link so far.
    pub const fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Turns our sign into the device's and back.
    pub const fn factor(&self) -> f64 {
        self.factor
    }

    /// What a controller's image makes of a sample of this link.
    pub fn as_declared(&self, sample: &Sample) -> f64 {
        let place = usize::from(sample.point.0 - self.first_point.0);
        if self.readings[place].is_signed { sample.value * self.declared + 0.0 } else { sample.value }
    }

    /// Whether a controller's image can believe a sample of this link.
    pub fn is_believable(&self, sample: &Sample) -> bool {
        let place = usize::from(sample.point.0 - self.first_point.0);
        sample.validity == Validity::Valid
            && self.readings[place].kind.is_none_or(|kind| kind.can_be(sample.value))
    }

    /// Whether it answers now as it should, and chance does not silence it.
    pub(crate) fn is_whole(&self) -> bool {
        let takes_writes = !self.faults.refuses && !self.faults.ignores;
        let is_right = !self.distorts && self.faults.late.is_zero() && takes_writes;
        self.hears() && is_right && !self.connection.is_gone() && self.drop_outs.is_none()
    }

    /// Asks for the device's values on its bus, which stands at `at`, and sends them on their way.
    #[inline]
    pub(crate) fn ask(&mut self, at: Time, bus: &Bus) -> Asked {
        let trip = self.latency + self.faults.late;
        let access = self.connection.access(at, self.reconnect);
        if !self.hears() || trip > self.timeout {
            return self.time_out();
        }
        match access {
            Access::Now => {}
            Access::At(there) if there.since(at) + trip <= self.timeout => return Asked::Waits(there),
            Access::At(_) | Access::Never => return self.time_out(),
        }
        let spare = self.spare.pop().unwrap_or_default();
        let mut answer = self.read(bus, spare);
        if self.distorts {
            self.faults.apply(&mut answer, false);
            if self.faults.is_short {
                answer.truncate(answer.len() / 2);
            }
        }
        let (connection, until) = (self.connection.number(), at + self.timeout);
        self.on_the_way.push_back(Travelling { answer, connection, until });
        self.last_arrival = self.last_arrival.max(at + trip);
        self.traffic.answers += 1;
        Asked::Answers(self.last_arrival)
    }

    const fn time_out(&mut self) -> Asked {
        self.count_poll_timeout();
        Asked::TimesOut
    }

    /// What the device measures while its bus stands where it does, in the memory of an answer that is over.
    #[inline]
    fn read(&self, bus: &Bus, mut answer: Vec<Sample>) -> Vec<Sample> {
        answer.resize(self.readings.len(), Self::NOTHING);
        let mut point = self.first_point;
        for (sample, reading) in answer.iter_mut().zip(&self.readings) {
            let factor = if reading.is_signed { self.factor } else { 1.0 };
            let value = bus.value(reading.point) * factor + 0.0;
            *sample = Sample { point, validity: Validity::Valid, value };
            point.0 += 1;
        }
        answer
    }

    /// Whether the device takes notice of what is sent to it now.
    pub(crate) fn hears(&self) -> bool {
        self.state == LinkState::Answering && self.chance == LinkState::Answering
    }

    /// Sends a write on its way, as far as there is one.
    pub(crate) fn send(&mut self, at: Time) -> Sending {
        let access = self.connection.access(at, self.reconnect);
        if !self.hears() {
            return Sending::TimesOut;
        }
        match access {
            Access::Now => Sending::Reaches(self.reaches_at(at)),
            Access::At(there) if there.since(at) <= self.timeout => Sending::Waits(there),
            Access::At(_) | Access::Never => Sending::TimesOut,
        }
    }

    /// What is sent at `at`.
    pub(crate) const fn sent(&self, at: Time) -> Sent {
        Sent { at, connection: self.connection.number() }
    }

    /// When the acknowledgement of a write that has reached the device at `at` is there.
    pub(crate) fn acknowledged_at(&self, at: Time) -> Time {
        at + self.faults.late
    }

    /// When whoever sent something gives up.
    pub(crate) fn given_up_at(&self, sent: Sent) -> Time {
        sent.at + self.timeout
    }

    /// Whether an answer that comes now still reaches whoever sent something.
    pub(crate) fn reaches(&self, sent: Sent, at: Time) -> bool {
        sent.connection == self.connection.number() && at <= self.given_up_at(sent)
    }

    /// Whether no connection can be had.
    pub(crate) const fn is_cut_off(&self) -> bool {
        self.connection.is_gone()
    }

    /// Whether the device refuses what is written.
    pub(crate) const fn refuses(&self) -> bool {
        self.faults.refuses
    }

    /// Whether the device acknowledges what is written, and takes none of it.
    pub(crate) const fn ignores(&self) -> bool {
        self.faults.ignores
    }

    /// Lets the oldest answer arrive.
    ///
    /// # Errors
    /// When whoever asked gives up, if the connection on which it travelled is gone.
    ///
    /// # Panics
    /// If none is on its way: each arrival was planned when it was measured, and none overtakes another.
    pub(crate) fn arrive(&mut self) -> Result<(), Time> {
        let Travelling { answer, connection, until } =
            self.on_the_way.pop_front().expect("an arrival was measured before");
        if connection != self.connection.number() {
            self.spare.push(answer);
            self.traffic.answers -= 1;
            self.count_poll_timeout();
            return Err(until);
        }
        self.spare.push(core::mem::replace(&mut self.arrived, answer));
        Ok(())
    }

    /// The answer that has arrived last.
    #[inline]
    pub fn arrived(&self) -> &[Sample] {
        &self.arrived
    }

    /// Counts a write that took effect.
    pub const fn count_write(&mut self) {
        self.traffic.writes += 1;
    }

    /// Counts a poll that was not answered.
    pub const fn count_poll_timeout(&mut self) {
        self.traffic.poll_timeouts += 1;
    }

    /// Counts a write that was not answered.
    pub const fn count_write_timeout(&mut self) {
        self.traffic.write_timeouts += 1;
    }

    /// Sets what the timeline says.
    pub const fn set_state(&mut self, state: LinkState) {
        self.state = state;
    }

    /// A fault begins or ends while the bus stands where it does.
    pub(crate) fn set_fault(&mut self, fault: DeviceFault, edge: Edge, bus: &Bus) {
        let begins = edge == Edge::Begins;
        match fault {
            DeviceFault::Late(by) => self.faults.late = if begins { by } else { Span::ZERO },
            DeviceFault::Frozen => self.faults.kept = begins.then(|| self.read(bus, Vec::new())),
            DeviceFault::Wrong { place, reads } => {
                let place = usize::from(place);
                let is_signed = self.readings[place].is_signed;
                let factor = if is_signed { self.declared } else { 1.0 };
                self.faults.wrong[place] = begins.then(|| reads.turned(factor));
            }
            DeviceFault::Invalid => self.faults.is_invalid = begins,
            DeviceFault::Short => self.faults.is_short = begins,
            DeviceFault::Refuses => self.faults.refuses = begins,
            DeviceFault::Ignores => self.faults.ignores = begins,
            DeviceFault::Disconnected if begins => self.connection.hold_off(),
            DeviceFault::Disconnected => self.connection.release(),
        }
        self.distorts = self.faults.distort();
    }

    /// The device restarts: its connections are gone, and new ones can be had.
    pub(crate) const fn break_off(&mut self) {
        self.connection.break_off();
    }

    /// When chance changes its mind next; `None` if it never does.
    pub fn next_chance(&mut self, now: Time) -> Option<Time> {
        let (drop_outs, stream) = self.drop_outs.as_mut()?;
        let mean = match self.chance {
            LinkState::Answering => drop_outs.every,
            LinkState::Silent => drop_outs.lasting,
        };
        Some(now + Span::from_secs_f64(stream.exponential(mean.as_secs_f64())))
    }

    /// Chance changes its mind.
    pub const fn toggle_chance(&mut self) {
        self.chance = match self.chance {
            LinkState::Answering => LinkState::Silent,
            LinkState::Silent => LinkState::Answering,
        };
    }
}
