//! Device links of kind `Points`: what is measured when, how long it is on its way, and what happens when nobody answers.
//!
//! A poll asks for an answer at a due time. The link measures its latency before that, or at once if that has passed, and
//! the answer arrives its latency later: a slow meter answers every poll, each time with an old value. A device that is
//! silent, or slower than the time-out, ends a poll as timed out. Nothing here decides; it only delays.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use r_ems_engine::ids::PointIndex;
use r_ems_engine::machine::{Sample, Validity};
use r_ems_engine::rng::Stream;
use r_ems_engine::{Span, Time};

use crate::network::Delay;
use crate::plant::{Bus, ComponentIndex, Quantity, TruthPoint};
use crate::slot::OneConnection;
use crate::world::{DropOuts, LinkSpec, LinkState};

/// Most points of one device.
pub const MAX_DEVICE_POINTS: usize = 8;

/// One answer.
#[derive(Clone, Copy, Debug)]
struct Answer {
    samples: [Sample; MAX_DEVICE_POINTS],
    count: u8,
}

impl Answer {
    const NOTHING: Sample = Sample { point: PointIndex(0), validity: Validity::Invalid, value: 0.0 };
    const NONE: Self = Self { samples: [Self::NOTHING; MAX_DEVICE_POINTS], count: 0 };
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
    write_delay: Delay,
    checks_epochs: bool,
    one_connection: Option<OneConnection>,
    /// What the way of each write draws from.
    writes: Stream,
    valid_for: Span,
    /// What the timeline says.
    state: LinkState,
    /// What chance says.
    chance: LinkState,
    drop_outs: Option<(DropOuts, Stream)>,
    /// Answers on their way, oldest first; kept for its memory.
    on_the_way: VecDeque<Answer>,
    /// The answer that has arrived last.
    arrived: Answer,
    traffic: Traffic,
}

/// One value that a device reads.
#[derive(Clone, Copy, Debug)]
struct Reading {
    point: TruthPoint,
    is_signed: bool,
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

impl Link {
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
            readings.push(Reading { point, is_signed });
        }
        Ok(Self {
            component: spec.component,
            first_point: spec.first_point,
            readings,
            factor: spec.positive.factor(),
            declared: spec.declared.factor(),
            latency: spec.latency,
            timeout: spec.timeout,
            write_delay: spec.write_delay,
            checks_epochs: spec.checks_epochs,
            one_connection: spec.one_connection,
            writes: Stream::named(seed, &alloc::format!("{name} writes")),
            valid_for: spec.valid_for,
            state: LinkState::Answering,
            chance: LinkState::Answering,
            drop_outs: spec.drop_outs.map(|drop_outs| (drop_outs, Stream::named(seed, name))),
            on_the_way: VecDeque::new(),
            arrived: Answer::NONE,
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

    /// How long the next write is on its way to its effect.
    pub fn write_delay(&mut self) -> Span {
        self.latency + self.write_delay.draw(&mut self.writes)
    }

    /// Whether the device refuses epochs lower than one that it has accepted.
    pub const fn checks_epochs(&self) -> bool {
        self.checks_epochs
    }

    /// How the device is connected to, where it takes only one connection at a time.
    pub const fn one_connection(&self) -> Option<OneConnection> {
        self.one_connection
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

    /// Whether something that is sent now comes back in time.
    pub fn answers(&self) -> bool {
        self.state == LinkState::Answering
            && self.chance == LinkState::Answering
            && self.latency <= self.timeout
    }

    /// Reads the device's values from its bus, which stands at the measuring time, and sends them on their way.
    pub fn measure(&mut self, bus: &Bus) {
        self.on_the_way.push_back(Answer::NONE);
        let answer = self.on_the_way.back_mut().expect("it was just pushed");
        let mut point = self.first_point;
        for (sample, reading) in answer.samples.iter_mut().zip(&self.readings) {
            let value = bus.value(reading.point);
            let factor = if reading.is_signed { self.factor } else { 1.0 };
            *sample = Sample { point, validity: Validity::Valid, value: value * factor + 0.0 };
            point.0 += 1;
        }
        answer.count = self.readings.len() as u8;
        self.traffic.answers += 1;
    }

    /// Lets the oldest answer arrive.
    ///
    /// # Panics
    /// If none is on its way: each arrival was planned when it was measured, and a link's latency never changes.
    pub fn arrive(&mut self) {
        self.arrived = self.on_the_way.pop_front().expect("an arrival was measured before");
    }

    /// The answer that has arrived last.
    #[inline]
    pub fn arrived(&self) -> &[Sample] {
        &self.arrived.samples[..usize::from(self.arrived.count)]
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
