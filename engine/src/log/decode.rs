//! From bytes to a record; see [`super::record`]. It believes nothing: every count, id and code is checked.

use alloc::vec::Vec;
use core::ops::Range;

use super::chain::ChainPair;
use super::encode::{
    ABSTAINS, CLOCK_CHANGED, CONTROLLER_CHANGED, DEGRADED, HAS_WALL, NEW_STEP, NOT_IN_FORCE, NOT_SENT,
    ORIGIN_SHIFT, OUTCOME_BITS, RESTORED, SAME_STEP, SAME_TIME, SNAPSHOTTED, TIME_SHIFT,
};
use super::error::Flaw;
use super::memory::{Memory, Remembered};
use super::record::{Content, ESCAPE, Ending, KIND_BITS, Kind, Record};
use super::varint::Cursor;
use super::{MAX_SAMPLES, effects, events};
use crate::digest::Chain;
use crate::event::Event;
use crate::ids::{ConnectionIndex, ControllerIndex, DeviceIndex, PointIndex};
use crate::machine::{Boot, Effect, Input, MAX_FRAME_INPUT, Sample, Step, Validity, WriteKind, WriteOutcome};
use crate::persistence::JournalStatus;
use crate::redundancy::{Command, Message, Seat};
use crate::time::{LocalTime, Span, Time};
use crate::wall::WallTime;

/// Versions have 16 bits.
const VERSION_END: usize = 1 << 16;

/// What is decoded of a record; what is large stays where it is, in the memory, the scratch, or the group.
#[derive(Clone, Debug)]
pub(super) enum Decoded {
    Restored { state: Range<usize>, prior: u16 },
    Boot { boot: Boot, prior: u16 },
    Wake { prior: u16 },
    Points { device: DeviceIndex, prior: u16 },
    TimedOut { device: DeviceIndex, prior: u16 },
    Written { device: DeviceIndex, outcome: WriteOutcome, prior: u16 },
    NotSent { device: DeviceIndex, kind: WriteKind, valid_until: LocalTime, prior: u16 },
    Message { from: Seat, message: Message, prior: u16 },
    Promised { succeeded: bool, prior: u16 },
    Snapshotted { succeeded: bool, prior: u16 },
    Journal { status: JournalStatus, prior: u16 },
    Command { command: Command, prior: u16 },
    Transfer { from: Seat, unit: Range<usize>, prior: u16 },
    WallClock { wall: Option<WallTime>, prior: u16 },
    Frame { connection: ConnectionIndex, bytes: Range<usize>, prior: u16 },
    LinkChanged { connection: ConnectionIndex, is_open: bool, prior: u16 },
    Event(Event),
    Effects { deadline: Option<LocalTime> },
    State(Range<usize>),
    Carried { version: u16, bytes: Range<usize> },
    Chains(ChainPair),
    Closing { ending: Ending, count: u64 },
    Crashed,
}

/// Decodes one record.
///
/// # Errors
/// What is wrong with it; the memory is then of no use.
#[inline]
pub(super) fn decode(
    memory: &mut Memory,
    cursor: &mut Cursor<'_>,
    scratch: &mut Vec<Effect>,
) -> Result<Decoded, Flaw> {
    let tag = cursor.byte()?;
    let kind = take_kind(tag & KIND_BITS, cursor)?;
    if tag & CONTROLLER_CHANGED != 0 {
        memory.controller = ControllerIndex(cursor.below(memory.of.len(), "controller")?);
    }
    let end = memory.of.len() as u64;
    let position = memory.controller.position();
    let no_controller = Flaw::OutOfRange { what: "controller", found: u64::from(memory.controller.0), end };
    let known = memory.of.get_mut(position).ok_or(no_controller)?;
    if !kind.is_delivery() {
        if tag & !(CONTROLLER_CHANGED | KIND_BITS) != 0 {
            return Err(Flaw::Code { what: "time of such a record", found: tag });
        }
        return take_other(known, cursor, kind, memory.at, scratch);
    }
    memory.at = take_time(memory.at, known, cursor, kind, (tag >> TIME_SHIFT) & 3)?;
    if tag & CLOCK_CHANGED != 0 {
        known.clock = cursor.difference(known.clock)?;
    }
    let prior = cursor.u16()?;
    take_step(known, cursor, kind, prior)
}

/// A view of what was decoded last.
#[inline]
pub(super) fn view<'a>(
    memory: &'a Memory,
    decoded: &Decoded,
    scratch: &'a [Effect],
    payload: &'a [u8],
) -> Record<'a> {
    let known = &memory.of[memory.controller.position()];
    let delivery = |step, prior| Content::Delivery { step, prior };
    let content = match *decoded {
        Decoded::Restored { ref state, prior } => {
            delivery(Step::Restore { state: &payload[state.clone()] }, prior)
        }
        Decoded::Boot { boot, prior } => delivery(Step::Boot(boot), prior),
        Decoded::Wake { prior } => delivery(Step::Input(Input::Wake), prior),
        Decoded::Points { device, prior } => {
            let samples = known.devices[device.position()].as_slice();
            delivery(Step::Input(Input::Points { device, samples }), prior)
        }
        Decoded::TimedOut { device, prior } => delivery(Step::Input(Input::TimedOut { device }), prior),
        Decoded::Written { device, outcome, prior } => {
            delivery(Step::Input(Input::Written { device, outcome }), prior)
        }
        Decoded::NotSent { device, kind, valid_until, prior } => {
            delivery(Step::Input(Input::NotSent { device, kind, valid_until }), prior)
        }
        Decoded::Message { from, message, prior } => {
            delivery(Step::Input(Input::Message { from, message }), prior)
        }
        Decoded::Promised { succeeded, prior } => delivery(Step::Input(Input::Promised { succeeded }), prior),
        Decoded::Snapshotted { succeeded, prior } => {
            delivery(Step::Input(Input::Snapshotted { succeeded }), prior)
        }
        Decoded::Journal { status, prior } => delivery(Step::Input(Input::Journal(status)), prior),
        Decoded::Transfer { from, ref unit, prior } => {
            let unit = &payload[unit.clone()];
            delivery(Step::Input(Input::Transfer { from, unit }), prior)
        }
        Decoded::Command { command, prior } => delivery(Step::Input(Input::Command(command)), prior),
        Decoded::WallClock { wall, prior } => delivery(Step::Input(Input::WallClock { wall }), prior),
        Decoded::Frame { connection, ref bytes, prior } => {
            let bytes = &payload[bytes.clone()];
            delivery(Step::Input(Input::Frame { connection, bytes }), prior)
        }
        Decoded::LinkChanged { connection, is_open, prior } => {
            delivery(Step::Input(Input::LinkChanged { connection, is_open }), prior)
        }
        Decoded::Event(event) => Content::Event(event),
        Decoded::Effects { deadline } => Content::Effects { effects: scratch, deadline },
        Decoded::State(ref range) => Content::State(&payload[range.clone()]),
        Decoded::Carried { version, ref bytes } => {
            Content::Carried { version, bytes: &payload[bytes.clone()] }
        }
        Decoded::Chains(pair) => Content::Chains(pair),
        Decoded::Closing { ending, .. } => Content::Closing(ending),
        Decoded::Crashed => Content::Crashed,
    };
    Record { at: memory.at, now: known.now(memory.at), controller: memory.controller, content }
}

#[inline]
fn take_kind(code: u8, cursor: &mut Cursor<'_>) -> Result<Kind, Flaw> {
    if code == ESCAPE {
        return take_escaped_kind(cursor);
    }
    Kind::of_code(code).ok_or(Flaw::Code { what: "record", found: code })
}

/// Reads a kind that has no room in the tag; one that has it is refused here, so that a record has one form only.
fn take_escaped_kind(cursor: &mut Cursor<'_>) -> Result<Kind, Flaw> {
    let found = cursor.byte()?;
    let refused = Flaw::Code { what: "record behind an escape", found };
    if found < ESCAPE { Err(refused) } else { Kind::of_code(found).ok_or(refused) }
}

#[inline]
fn take_time(
    last: Time,
    known: &mut Remembered,
    cursor: &mut Cursor<'_>,
    kind: Kind,
    code: u8,
) -> Result<Time, Flaw> {
    let last_step = &mut known.steps[kind.place()];
    let step = match code {
        SAME_TIME => 0,
        SAME_STEP => *last_step,
        NEW_STEP => {
            *last_step = cursor.varint()?;
            *last_step
        }
        found => return Err(Flaw::Code { what: "time", found }),
    };
    if last.as_nanos().checked_add(step).is_none() {
        return Err(Flaw::TimeOverflow);
    }
    Ok(last + Span::from_nanos(step))
}

#[inline]
fn take_step(
    known: &mut Remembered,
    cursor: &mut Cursor<'_>,
    kind: Kind,
    prior: u16,
) -> Result<Decoded, Flaw> {
    let devices = known.devices.len();
    match kind {
        Kind::Wake => Ok(Decoded::Wake { prior }),
        Kind::Points => {
            let word = cursor.varint()?;
            let device = device_below(word >> 1, devices)?;
            let last = &mut known.devices[device.position()];
            match word & 1 {
                0 => take_changes(last, cursor)?,
                _whole => take_samples(last, cursor)?,
            }
            Ok(Decoded::Points { device, prior })
        }
        Kind::TimedOut => {
            let device = device_below(cursor.varint()?, devices)?;
            Ok(Decoded::TimedOut { device, prior })
        }
        Kind::Written => {
            let word = cursor.varint()?;
            let device = device_below(word >> OUTCOME_BITS, devices)?;
            if word & NOT_SENT == NOT_SENT {
                let kind = match cursor.byte()? {
                    0 => WriteKind::SetPoint,
                    1 => WriteKind::Heartbeat,
                    found => return Err(Flaw::Code { what: "kind of a write", found }),
                };
                let valid_until = LocalTime::from_nanos(cursor.varint()?);
                return Ok(Decoded::NotSent { device, kind, valid_until, prior });
            }
            let outcome = events::outcome((word & ((1 << OUTCOME_BITS) - 1)) as u8, cursor)?;
            Ok(Decoded::Written { device, outcome, prior })
        }
        Kind::Boot => take_boot(cursor, prior),
        Kind::Message => {
            let (from, message) = cursor.value("message")?;
            Ok(Decoded::Message { from, message, prior })
        }
        Kind::Restored => {
            let length = cursor.varint()?;
            Ok(Decoded::Restored { state: cursor.range(length)?, prior })
        }
        Kind::Durable => take_durable(cursor.byte()?, prior),
        Kind::Transfer => {
            let from = Seat(cursor.byte()?);
            let length = cursor.varint()?;
            Ok(Decoded::Transfer { from, unit: cursor.range(length)?, prior })
        }
        Kind::WallClock => Ok(Decoded::WallClock { wall: events::wall(cursor)?, prior }),
        Kind::Frame => {
            let connection = connection(cursor.varint()?)?;
            let length = cursor.below(MAX_FRAME_INPUT + 1, "length of a frame")?;
            Ok(Decoded::Frame { connection, bytes: cursor.range(length.into())?, prior })
        }
        Kind::Link => {
            let word = cursor.varint()?;
            let connection = connection(word >> 1)?;
            Ok(Decoded::LinkChanged { connection, is_open: word & 1 == 1, prior })
        }
        Kind::Command => Ok(Decoded::Command { command: cursor.value("command")?, prior }),
        Kind::Event
        | Kind::Effects
        | Kind::State
        | Kind::Carried
        | Kind::Chains
        | Kind::Closing
        | Kind::Crashed => unreachable!("only deliveries come here"),
    }
}

fn take_durable(code: u8, prior: u16) -> Result<Decoded, Flaw> {
    Ok(match code {
        0 | 1 => Decoded::Promised { succeeded: code == 1, prior },
        SNAPSHOTTED | 3 => Decoded::Snapshotted { succeeded: code != SNAPSHOTTED, prior },
        RESTORED => Decoded::Journal { status: JournalStatus::Restored, prior },
        DEGRADED.. => {
            let status = JournalStatus::Degraded(events::trouble(code - DEGRADED)?);
            Decoded::Journal { status, prior }
        }
    })
}

fn take_boot(cursor: &mut Cursor<'_>, prior: u16) -> Result<Decoded, Flaw> {
    let found = cursor.varint()?;
    let out_of_range = |_too_large| Flaw::OutOfRange { what: "incarnation", found, end: 1 << 32 };
    let incarnation = u32::try_from(found).map_err(out_of_range)?;
    let code = cursor.byte()?;
    let origin = events::origin(code >> ORIGIN_SHIFT)?;
    let has_wall = code & HAS_WALL != 0;
    let wall = has_wall.then(|| cursor.signed().map(WallTime::from_unix_nanos)).transpose()?;
    let promise = cursor.value("promise")?;
    let abstains = code & ABSTAINS != 0;
    Ok(Decoded::Boot { boot: Boot { incarnation, wall, promise, origin, abstains }, prior })
}

/// Reads which values have changed, and those.
#[inline]
fn take_changes(last: &mut [Sample], cursor: &mut Cursor<'_>) -> Result<(), Flaw> {
    for (part, samples) in cursor.range(last.len().div_ceil(8) as u64)?.zip(last.chunks_mut(8)) {
        let mut bits = cursor.byte_at(part);
        while bits != 0 {
            let index = bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let beyond =
                Flaw::OutOfRange { what: "changed sample", found: index as u64, end: samples.len() as u64 };
            samples.get_mut(index).ok_or(beyond)?.value = cursor.f64()?;
        }
    }
    Ok(())
}

fn take_samples(last: &mut Vec<Sample>, cursor: &mut Cursor<'_>) -> Result<(), Flaw> {
    let count = cursor.below(MAX_SAMPLES + 1, "number of samples")?;
    last.clear();
    for _ in 0..count {
        let word = cursor.varint()?;
        // A value that is not valid is in force nowhere.
        let is_in_force = word & (NOT_IN_FORCE | 1) != NOT_IN_FORCE | 1;
        let found = if is_in_force { word } else { word & !NOT_IN_FORCE } >> 1;
        let out_of_range = Flaw::OutOfRange { what: "point", found, end: 1 << 16 };
        let point = PointIndex(u16::try_from(found).map_err(|_too_large| out_of_range)?);
        let validity = match word & 1 {
            0 => Validity::Invalid,
            _ if is_in_force => Validity::Valid,
            _ => Validity::NotInForce,
        };
        last.push(Sample { point, validity, value: cursor.f64()? });
    }
    Ok(())
}

fn take_other(
    known: &mut Remembered,
    cursor: &mut Cursor<'_>,
    kind: Kind,
    at: Time,
    scratch: &mut Vec<Effect>,
) -> Result<Decoded, Flaw> {
    match kind {
        Kind::Event => events::decode(cursor).map(Decoded::Event),
        Kind::Effects => {
            let deadline = effects::decode(cursor, known.now(at), scratch)?;
            known.deadline = deadline;
            Ok(Decoded::Effects { deadline })
        }
        Kind::State => {
            let length = cursor.varint()?;
            cursor.range(length).map(Decoded::State)
        }
        Kind::Carried => {
            let version = cursor.below(VERSION_END, "version of a memory")?;
            let length = cursor.varint()?;
            Ok(Decoded::Carried { version, bytes: cursor.range(length)? })
        }
        Kind::Chains => {
            let (effects, events) = (cursor.u64()?, cursor.u64()?);
            Ok(Decoded::Chains(ChainPair { effects: Chain::new(effects), events: Chain::new(events) }))
        }
        Kind::Closing => {
            let ending = match cursor.byte()? {
                0 => Ending::Over,
                1 => Ending::Stopped,
                2 => Ending::Poisoned,
                found => return Err(Flaw::Code { what: "ending", found }),
            };
            Ok(Decoded::Closing { ending, count: cursor.varint()? })
        }
        Kind::Crashed => Ok(Decoded::Crashed),
        Kind::Boot
        | Kind::Wake
        | Kind::Points
        | Kind::TimedOut
        | Kind::Written
        | Kind::Message
        | Kind::Durable
        | Kind::Restored
        | Kind::Command
        | Kind::WallClock
        | Kind::Frame
        | Kind::Link
        | Kind::Transfer => {
            unreachable!("deliveries do not come here")
        }
    }
}

#[inline]
fn device_below(found: u64, end: usize) -> Result<DeviceIndex, Flaw> {
    match u16::try_from(found) {
        Ok(device) if usize::from(device) < end => Ok(DeviceIndex(device)),
        Ok(_) | Err(_) => Err(Flaw::OutOfRange { what: "device", found, end: end as u64 }),
    }
}

/// A log's header does not name connections: nothing is remembered of any, so that all of their ids may be.
pub(super) fn connection(found: u64) -> Result<ConnectionIndex, Flaw> {
    let no_connection = Flaw::OutOfRange { what: "connection", found, end: 1 << 16 };
    u16::try_from(found).map(ConnectionIndex).map_err(|_too_large| no_connection)
}
