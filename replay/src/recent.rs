//! The last deliveries of one controller with what they led to: the context of a divergence. Nothing is allocated per delivery.

use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::machine::{Boot, Effect, Input, Sample, Step, WriteKind, WriteOutcome};
use r_ems_engine::persistence::JournalStatus;
use r_ems_engine::redundancy::{Command, Message, Seat};
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Time};

use crate::divergence::CONTEXT_DELIVERIES;

/// The context, and the delivery that it leads to.
const KEPT: usize = CONTEXT_DELIVERIES + 1;

/// A ring of deliveries, the oldest overwritten first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recent {
    kept: [Kept; KEPT],
    count: u64,
}

/// One delivery and what it led to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) at: Time,
    pub(crate) now: LocalTime,
    /// Byte position of its record.
    pub(crate) position: u64,
    what: What,
    samples: Vec<Sample>,
    /// Of a unit of state, or of a frame.
    bytes: Vec<u8>,
    pub(crate) effects: Vec<Effect>,
    /// What the frames among them send.
    pub(crate) frames: Vec<u8>,
    pub(crate) deadline: Option<LocalTime>,
}

/// A step without what it borrows.
#[derive(Clone, Copy, Debug, Default)]
enum What {
    Restored,
    Boot(Boot),
    #[default]
    Wake,
    Points(DeviceIndex),
    TimedOut(DeviceIndex),
    Frame(ConnectionIndex),
    LinkChanged(ConnectionIndex, bool),
    Written(DeviceIndex, WriteOutcome),
    NotSent(DeviceIndex, WriteKind, LocalTime),
    Message(Seat, Message),
    Promised(bool),
    Snapshotted(bool),
    Journal(JournalStatus),
    Command(Command),
    WallClock(Option<WallTime>),
    Transfer(Seat),
}

impl Recent {
    /// Keeps a delivery that is about to be handled.
    #[inline]
    pub(crate) fn push(&mut self, at: Time, now: LocalTime, position: u64, step: &Step<'_>) {
        let kept = &mut self.kept[(self.count % KEPT as u64) as usize];
        self.count += 1;
        kept.at = at;
        kept.now = now;
        kept.position = position;
        kept.samples.clear();
        kept.bytes.clear();
        kept.effects.clear();
        kept.frames.clear();
        kept.deadline = None;
        kept.what = match *step {
            Step::Restore { state: _ } => What::Restored,
            Step::Boot(boot) => What::Boot(boot),
            Step::Input(Input::Wake) => What::Wake,
            Step::Input(Input::Points { device, samples }) => {
                kept.samples.extend_from_slice(samples);
                What::Points(device)
            }
            Step::Input(Input::TimedOut { device }) => What::TimedOut(device),
            Step::Input(Input::Frame { connection, bytes }) => {
                kept.bytes.extend_from_slice(bytes);
                What::Frame(connection)
            }
            Step::Input(Input::LinkChanged { connection, is_open }) => What::LinkChanged(connection, is_open),
            Step::Input(Input::Written { device, outcome }) => What::Written(device, outcome),
            Step::Input(Input::NotSent { device, kind, valid_until }) => {
                What::NotSent(device, kind, valid_until)
            }
            Step::Input(Input::Message { from, message }) => What::Message(from, message),
            Step::Input(Input::Promised { succeeded }) => What::Promised(succeeded),
            Step::Input(Input::Snapshotted { succeeded }) => What::Snapshotted(succeeded),
            Step::Input(Input::Journal(status)) => What::Journal(status),
            Step::Input(Input::Command(command)) => What::Command(command),
            Step::Input(Input::WallClock { wall }) => What::WallClock(wall),
            Step::Input(Input::Transfer { from, unit }) => {
                kept.bytes.extend_from_slice(unit);
                What::Transfer(from)
            }
        };
    }

    /// Keeps what the last delivery led to.
    #[inline]
    pub(crate) fn led_to(&mut self, (effects, frames): (&[Effect], &[u8]), deadline: Option<LocalTime>) {
        let last = self.count.wrapping_sub(1);
        let kept = &mut self.kept[(last % KEPT as u64) as usize];
        kept.effects.extend_from_slice(effects);
        kept.frames.extend_from_slice(frames);
        kept.deadline = deadline;
    }

    /// The last delivery.
    pub(crate) fn last(&self) -> Option<&Kept> {
        let last = self.count.checked_sub(1)?;
        Some(&self.kept[(last % KEPT as u64) as usize])
    }

    /// The deliveries before the last one, oldest first.
    pub(crate) fn before(&self) -> impl Iterator<Item = &Kept> {
        let end = self.count.saturating_sub(1);
        let start = end.saturating_sub(CONTEXT_DELIVERIES as u64);
        (start..end).map(|index| &self.kept[(index % KEPT as u64) as usize])
    }
}

impl Kept {
    pub(crate) fn step(&self) -> Step<'_> {
        match self.what {
            // The state is not kept: nobody reads it there.
            What::Restored => Step::Restore { state: &[] },
            What::Boot(boot) => Step::Boot(boot),
            What::Wake => Step::Input(Input::Wake),
            What::Points(device) => Step::Input(Input::Points { device, samples: &self.samples }),
            What::TimedOut(device) => Step::Input(Input::TimedOut { device }),
            What::Frame(connection) => Step::Input(Input::Frame { connection, bytes: &self.bytes }),
            What::LinkChanged(connection, is_open) => Step::Input(Input::LinkChanged { connection, is_open }),
            What::Written(device, outcome) => Step::Input(Input::Written { device, outcome }),
            What::NotSent(device, kind, valid_until) => {
                Step::Input(Input::NotSent { device, kind, valid_until })
            }
            What::Message(from, message) => Step::Input(Input::Message { from, message }),
            What::Promised(succeeded) => Step::Input(Input::Promised { succeeded }),
            What::Snapshotted(succeeded) => Step::Input(Input::Snapshotted { succeeded }),
            What::Journal(status) => Step::Input(Input::Journal(status)),
            What::Command(command) => Step::Input(Input::Command(command)),
            What::WallClock(wall) => Step::Input(Input::WallClock { wall }),
            What::Transfer(from) => Step::Input(Input::Transfer { from, unit: &self.bytes }),
        }
    }
}
