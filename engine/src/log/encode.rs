//! From a record to its bytes; see [`super::record`].

use alloc::vec::Vec;

use super::MAX_SAMPLES;
use super::chain::ChainPair;
use super::events::{outcome_code, put_accepted};
use super::memory::{Memory, Remembered};
use super::record::{Content, ESCAPE, Ending, Kind, Record};
use super::varint::{put, put_signed};
use super::{codec, effects, events};
use crate::machine::{Boot, Effect, Input, MAX_FRAME_INPUT, Sample, Step, Validity, WriteKind};
use crate::persistence::JournalStatus;
use crate::time::{LocalTime, Time};

/// The instant of the record before.
pub(super) const SAME_TIME: u8 = 0;
/// The same step as the last time for this controller and kind.
pub(super) const SAME_STEP: u8 = 1;
/// A step that follows.
pub(super) const NEW_STEP: u8 = 2;
/// Where the time code begins in the tag.
pub(super) const TIME_SHIFT: u32 = 4;
/// `now − at` has changed.
pub(super) const CLOCK_CHANGED: u8 = 0x40;
/// Another controller than in the record before.
pub(super) const CONTROLLER_CHANGED: u8 = 0x80;

/// In the code of a boot: a wall clock follows.
pub(super) const HAS_WALL: u8 = 1;
/// In the code of a boot: the controller abstains.
pub(super) const ABSTAINS: u8 = 2;
/// Where the origin of the state begins in the code of a boot.
pub(super) const ORIGIN_SHIFT: u32 = 2;
/// So many bits of the word of an answered write say how it ended.
pub(super) const OUTCOME_BITS: u32 = 3;
/// In place of an outcome: it was not sent, and what it was follows.
pub(super) const NOT_SENT: u64 = (1 << OUTCOME_BITS) - 1;
/// Of a sample: its set-point is not in force.
pub(super) const NOT_IN_FORCE: u64 = 1 << 17;
/// What became of what was to be durable: from here on of a snapshot, below of a promise.
pub(super) const SNAPSHOTTED: u8 = 2;
/// The journal is kept again.
pub(super) const RESTORED: u8 = 4;
/// From here on the journal's troubles.
pub(super) const DEGRADED: u8 = 5;

/// Appends a record. `count` is the number of records before it, for the closing record.
#[inline]
pub(super) fn encode(memory: &mut Memory, out: &mut Vec<u8>, record: &Record<'_>, count: u64) {
    let kind = record.content.kind();
    let start = out.len();
    // A kind that has no room in the tag follows it.
    let mut tag = (kind as u8).min(ESCAPE);
    out.push(tag);
    if tag == ESCAPE {
        out.push(kind as u8);
    }
    if memory.controller != record.controller {
        memory.controller = record.controller;
        tag |= CONTROLLER_CHANGED;
        put(out, u64::from(record.controller.0));
    }
    let known = &mut memory.of[record.controller.position()];
    if let Content::Delivery { step, prior } = &record.content {
        tag |= put_time(&mut memory.at, known, out, kind, record.at) << TIME_SHIFT;
        let clock = record.now.as_nanos().wrapping_sub(record.at.as_nanos());
        if clock != known.clock {
            put_signed(out, clock.wrapping_sub(known.clock) as i64);
            known.clock = clock;
            tag |= CLOCK_CHANGED;
        }
        out.extend_from_slice(&prior.to_le_bytes());
        put_step(known, out, step);
    } else {
        let now = known.now(memory.at);
        put_other(known, out, now, &record.content, count);
    }
    out[start] = tag;
}

/// Appends the step in time, if one is needed, and returns its code.
#[inline]
fn put_time(last: &mut Time, known: &mut Remembered, out: &mut Vec<u8>, kind: Kind, at: Time) -> u8 {
    assert!(at >= *last, "deliveries come in the order of time");
    let step = at.since(*last).as_nanos();
    *last = at;
    if step == 0 {
        return SAME_TIME;
    }
    let last_step = &mut known.steps[kind.place()];
    if *last_step == step {
        return SAME_STEP;
    }
    *last_step = step;
    put(out, step);
    NEW_STEP
}

#[inline]
fn put_step(known: &mut Remembered, out: &mut Vec<u8>, step: &Step<'_>) {
    match *step {
        Step::Restore { state } => {
            put(out, state.len() as u64);
            out.extend_from_slice(state);
        }
        Step::Boot(Boot { incarnation, wall, promise, origin, abstains }) => {
            put(out, u64::from(incarnation));
            let has_wall = if wall.is_some() { HAS_WALL } else { 0 };
            let abstains = if abstains { ABSTAINS } else { 0 };
            out.push(has_wall | abstains | origin.code() << ORIGIN_SHIFT);
            if let Some(wall) = wall {
                put_signed(out, wall.as_unix_nanos());
            }
            codec::encode(&promise, out);
        }
        Step::Input(Input::Wake) => {}
        Step::Input(Input::Points { device, samples }) => {
            let last = &mut known.devices[device.position()];
            put_points(last, out, device.0, samples);
        }
        Step::Input(Input::TimedOut { device }) => put(out, u64::from(device.0)),
        Step::Input(Input::Written { device, outcome }) => {
            put(out, u64::from(device.0) << OUTCOME_BITS | u64::from(outcome_code(outcome)));
            put_accepted(out, outcome);
        }
        Step::Input(Input::NotSent { device, kind, valid_until }) => {
            put(out, u64::from(device.0) << OUTCOME_BITS | NOT_SENT);
            out.push(match kind {
                WriteKind::SetPoint => 0,
                WriteKind::Heartbeat => 1,
            });
            put(out, valid_until.as_nanos());
        }
        Step::Input(Input::Frame { connection, bytes }) => {
            assert!(bytes.len() <= MAX_FRAME_INPUT, "what arrives is handed on in pieces");
            put(out, u64::from(connection.0));
            put(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Step::Input(Input::LinkChanged { connection, is_open }) => {
            put(out, u64::from(connection.0) << 1 | u64::from(is_open));
        }
        Step::Input(Input::Message { from, message }) => codec::encode(&(from, message), out),
        Step::Input(Input::Promised { succeeded }) => out.push(u8::from(succeeded)),
        Step::Input(Input::Snapshotted { succeeded }) => out.push(SNAPSHOTTED + u8::from(succeeded)),
        Step::Input(Input::Journal(status)) => out.push(match status {
            JournalStatus::Restored => RESTORED,
            JournalStatus::Degraded(trouble) => DEGRADED + trouble.code(),
        }),
        Step::Input(Input::Command(command)) => codec::encode(&command, out),
        Step::Input(Input::WallClock { wall }) => events::put_wall(out, wall),
        Step::Input(Input::Transfer { from, unit }) => {
            out.push(from.0);
            put(out, unit.len() as u64);
            out.extend_from_slice(unit);
        }
    }
}

/// Appends the samples that differ from the last ones of the device; all of them if their shape differs.
#[inline]
fn put_points(last: &mut Vec<Sample>, out: &mut Vec<u8>, device: u16, samples: &[Sample]) {
    assert!(samples.len() <= MAX_SAMPLES, "a device's points are bounded");
    let same_shape = last.len() == samples.len()
        && last.iter().zip(samples).all(|(old, new)| old.point == new.point && old.validity == new.validity);
    put(out, u64::from(device) << 1 | u64::from(!same_shape));
    if same_shape {
        let bits = out.len();
        out.resize(bits + samples.len().div_ceil(8), 0);
        for (index, (old, new)) in last.iter_mut().zip(samples).enumerate() {
            if old.value.to_bits() != new.value.to_bits() {
                old.value = new.value;
                out[bits + index / 8] |= 1 << (index % 8);
                out.extend_from_slice(&new.value.to_bits().to_le_bytes());
            }
        }
    } else {
        put(out, samples.len() as u64);
        for sample in samples {
            put(out, u64::from(sample.point.0) << 1 | validity_bits(sample.validity));
            out.extend_from_slice(&sample.value.to_bits().to_le_bytes());
        }
        last.clear();
        last.extend_from_slice(samples);
    }
}

fn put_other(known: &mut Remembered, out: &mut Vec<u8>, now: LocalTime, content: &Content<'_>, count: u64) {
    match content {
        Content::Delivery { .. } => unreachable!("deliveries have a form of their own"),
        Content::Event(event) => events::encode(out, event),
        Content::Effects { effects, deadline } => {
            known.deadline = *deadline;
            effects::encode(out, now, *deadline, effects.iter().copied());
        }
        Content::State(bytes) => {
            put(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Content::Carried { version, bytes } => {
            put(out, u64::from(*version));
            put(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        Content::Chains(ChainPair { effects, events }) => {
            out.extend_from_slice(&effects.value().to_le_bytes());
            out.extend_from_slice(&events.value().to_le_bytes());
        }
        Content::Closing(ending) => put_closing(out, *ending, count),
        Content::Crashed => {}
    }
}

fn put_closing(out: &mut Vec<u8>, ending: Ending, count: u64) {
    out.push(ending.code());
    put(out, count);
}

/// Whether an Effects record would say nothing new.
pub(super) fn is_expected(known: &Remembered, effects: &[Effect], deadline: Option<LocalTime>) -> bool {
    known.deadline == deadline && effects.iter().all(|effect| effect.event().is_some())
}

/// What stands beside a point, whose number has 16 bits: whether its value is valid below it, and above it what few are.
const fn validity_bits(validity: Validity) -> u64 {
    match validity {
        Validity::Invalid => 0,
        Validity::Valid => 1,
        Validity::NotInForce => NOT_IN_FORCE | 1,
    }
}
