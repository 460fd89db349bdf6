//! What the events do: the workloads that every peer is measured with.

use r_ems_engine::math;
use serde::{Deserialize, Serialize};

/// Marks an event as a message that asks for nothing further.
pub const MESSAGE: u32 = 1 << 31;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;

/// How many quantiles stand for the exponential distribution.
const QUANTILES: usize = 1_024;

/// The period of the periodic timers: that of a fast device loop.
const FAST_PERIOD: u64 = 10 * MILLISECOND;

/// The two delays that the events of [`Workload::Handful`] take in turns: six devices that are polled and
/// answer, the scan, the checkers, the profile's next step and a load that comes and goes.
const HANDFUL: [[u64; 2]; 10] = [
    [3 * MILLISECOND, 997 * MILLISECOND],
    [4 * MILLISECOND, 996 * MILLISECOND],
    [5 * MILLISECOND, 995 * MILLISECOND],
    [6 * MILLISECOND, 994 * MILLISECOND],
    [7 * MILLISECOND, 993 * MILLISECOND],
    [8 * MILLISECOND, 992 * MILLISECOND],
    [SECOND, SECOND],
    [MINUTE, MINUTE],
    [15 * MINUTE, 15 * MINUTE],
    [4 * MINUTE, 11 * MINUTE],
];

/// A pattern of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Workload {
    /// Each event schedules its successor after an exponential delay with a mean of 1 s (the hold model,
    /// PHOLD).
    Exponential(u32),
    /// The same with delays uniform between 0 and 2 ms.
    Uniform(u32),
    /// Timers of 10 ms, evenly out of phase, each of which sends one message for the same instant.
    Periodic(u32),
    /// Timers of 10 ms that are all due at one instant, as the scans of a site are.
    OneInstant(u32),
    /// One site in a year: ten events, milliseconds to minutes apart.
    Handful,
}

/// All that are measured.
pub const WORKLOADS: [Workload; 7] = [
    Workload::Exponential(1_024),
    Workload::Uniform(1_000),
    Workload::Exponential(100_000),
    Workload::Periodic(1_000),
    Workload::Periodic(10_000),
    Workload::OneInstant(1_000),
    Workload::Handful,
];

impl Workload {
    /// Its name in tables.
    pub fn name(self) -> String {
        match self {
            Self::Exponential(pending) => format!("phold_exponential_{pending}"),
            Self::Uniform(pending) => format!("phold_uniform_{pending}"),
            Self::Periodic(timers) => format!("periodic_with_message_{timers}"),
            Self::OneInstant(timers) => format!("one_instant_{timers}"),
            Self::Handful => "handful_10".to_owned(),
        }
    }

    /// How many events are pending at all times, messages aside.
    pub fn pending(self) -> u32 {
        match self {
            Self::Exponential(pending) | Self::Uniform(pending) => pending,
            Self::Periodic(timers) | Self::OneInstant(timers) => timers,
            Self::Handful => HANDFUL.len() as u32,
        }
    }

    /// How many times as long the faster of desque and NeXosim should take for an event, if we are held to it.
    pub fn target(self) -> Option<f64> {
        match self {
            Self::Exponential(pending) | Self::Uniform(pending) if pending >= 100_000 => Some(2.5),
            Self::Exponential(_) | Self::Uniform(_) => Some(1.5),
            Self::Periodic(_) => Some(3.0),
            Self::OneInstant(_) => Some(2.0),
            Self::Handful => None,
        }
    }

    /// The period in nanoseconds, for peers that have periodic events.
    pub fn period(self) -> Option<u64> {
        match self {
            Self::Periodic(_) | Self::OneInstant(_) => Some(FAST_PERIOD),
            Self::Exponential(_) | Self::Uniform(_) | Self::Handful => None,
        }
    }
}

/// What an event asks for.
#[derive(Clone, Copy, Debug)]
pub struct Reaction {
    /// The event again, after so many nanoseconds.
    pub again_after: Option<u64>,
    /// A message for the current instant.
    pub sends: Option<u32>,
}

/// The state that events act on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct World {
    workload: Workload,
    quantiles: Vec<u64>,
    random: u64,
    /// Bit n: the event n of the handful takes its second delay.
    second_delay: u32,
    handled: u64,
    digest: u64,
}

impl World {
    /// The world before its first event.
    pub fn new(workload: Workload) -> Self {
        let quantile = |index: usize| {
            let upper = 1.0 - (index as f64 + 0.5) / QUANTILES as f64;
            (-math::ln(upper) * SECOND as f64) as u64
        };
        Self {
            workload,
            quantiles: (0..QUANTILES).map(quantile).collect(),
            random: 0x9E37_79B9_7F4A_7C15,
            second_delay: 0,
            handled: 0,
            digest: 0,
        }
    }

    /// When the event `id` is due for the first time, in nanoseconds; never zero, which NeXosim would refuse.
    pub fn first_time(&mut self, id: u32) -> u64 {
        match self.workload {
            Workload::Exponential(_) | Workload::Uniform(_) => self.random_delay(),
            Workload::Periodic(timers) => 1 + u64::from(id) * (FAST_PERIOD / u64::from(timers)),
            Workload::OneInstant(_) => FAST_PERIOD,
            Workload::Handful => HANDFUL[id as usize][1],
        }
    }

    /// Handles one event.
    pub fn handle(&mut self, now: u64, id: u32) -> Reaction {
        self.handled += 1;
        self.digest = (self.digest.rotate_left(5) ^ now ^ u64::from(id)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        if id & MESSAGE != 0 {
            return Reaction { again_after: None, sends: None };
        }
        match self.workload {
            Workload::Exponential(_) | Workload::Uniform(_) => {
                Reaction { again_after: Some(self.random_delay()), sends: None }
            }
            Workload::Periodic(_) => Reaction { again_after: Some(FAST_PERIOD), sends: Some(id | MESSAGE) },
            Workload::OneInstant(_) => Reaction { again_after: Some(FAST_PERIOD), sends: None },
            Workload::Handful => {
                let which = (self.second_delay >> id) & 1;
                self.second_delay ^= 1 << id;
                Reaction { again_after: Some(HANDFUL[id as usize][which as usize]), sends: None }
            }
        }
    }

    /// How many events have been handled.
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// A fold over all handled events, with their times and in their order.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// A delay of the workload's distribution, from an xorshift generator: cheap, so that the queue is what
    /// is measured.
    fn random_delay(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let fine = (self.random >> 32) % MILLISECOND;
        match self.workload {
            Workload::Exponential(_) => self.quantiles[self.random as usize % QUANTILES] + fine + 1,
            Workload::Uniform(_) => 2 * fine + 1,
            Workload::Periodic(_) | Workload::OneInstant(_) | Workload::Handful => FAST_PERIOD,
        }
    }
}
