//! The bytes of an event: a code, then its fields. Quantities are 8 bytes, everything else is a varint, or a value of the codec.

use alloc::vec::Vec;

use serde::Serialize;

use super::codec;
use super::error::Flaw;
use super::varint::{Cursor, put, put_signed};
use crate::carried::NotCarried;
use crate::event::Event;
use crate::ids::{DeviceIndex, GroupIndex, PointIndex, SlotIndex};
use crate::machine::WriteOutcome;
use crate::persistence::{Origin, Trouble};
use crate::points::Quality;
use crate::time::Span;
use crate::units::Watts;
use crate::wall::WallTime;

/// Ids have 16 bits.
const ID_END: usize = 1 << 16;

pub(super) fn encode(out: &mut Vec<u8>, event: &Event) {
    match *event {
        Event::Booted { incarnation } => whole(out, 0, &[u64::from(incarnation)]),
        Event::Started { after } => whole(out, 1, &[after.as_nanos()]),
        Event::ScansMissed { count, lateness } => whole(out, 2, &[u64::from(count), lateness.as_nanos()]),
        Event::QualityChanged { point, quality } => {
            whole(out, 3, &[u64::from(point.0), u64::from(quality_code(quality))]);
        }
        Event::FunctionLost { slot } => whole(out, 4, &[u64::from(slot.0)]),
        Event::FunctionReturned { slot } => whole(out, 5, &[u64::from(slot.0)]),
        Event::ShortfallBegan { slot, group, shortfall } => short(out, 6, (slot, group), shortfall),
        Event::ShortfallEnded { slot, group, worst } => short(out, 7, (slot, group), worst),
        Event::WriteFailed { device, outcome } => failed(out, 8, device, outcome),
        Event::HeartbeatFailed { device, outcome } => failed(out, 31, device, outcome),
        Event::HeartbeatsSucceed { device } => whole(out, 32, &[u64::from(device.0)]),
        Event::WriteBudgetUsedUp { device, per_day, renewed_in } => {
            whole(out, 33, &[u64::from(device.0), u64::from(per_day), renewed_in.as_nanos()]);
        }
        Event::WriteBudgetRenewed { device } => whole(out, 34, &[u64::from(device.0)]),
        Event::DeviceLimited { device, difference } => of_device(out, 9, device, difference),
        Event::DeviceFollows { device } => whole(out, 10, &[u64::from(device.0)]),
        Event::SignSuspect { device, measured_by, step, moved } => {
            powered(out, 11, &[u64::from(device.0), u64::from(measured_by.0)], step);
            put_watts(out, moved);
        }
        Event::WritesSucceed { device } => whole(out, 12, &[u64::from(device.0)]),
        Event::RoleChanged { role, reason, epoch } => value(out, 13, &(role, reason, epoch)),
        Event::TookOver { reason, epoch, silent, sought } => {
            value(out, 14, &(reason, epoch, silent.as_nanos(), sought.as_nanos()));
        }
        Event::SetPointsTakenOver { step, after, state_age } => {
            value(out, 18, &(after.as_nanos(), state_age.map(Span::as_nanos)));
            put_watts(out, step);
        }
        Event::StateTaken { seat } => value(out, 19, &seat),
        Event::StateRefused { seat, refusal } => value(out, 20, &(seat, refusal)),
        Event::AuthoritiesOverlapped { seat, at_most } => value(out, 15, &(seat, at_most.as_nanos())),
        Event::SectionDiffers { seat } => value(out, 16, &seat),
        Event::PeerSilent { seat, silent } => value(out, 35, &(seat, silent.as_nanos())),
        Event::PeerHeard { seat } => value(out, 36, &seat),
        Event::ModelsFound { device, chain } => value(out, 37, &(device, chain)),
        Event::ModelsMissing { device, missing } => value(out, 38, &(device, missing)),
        Event::IdentityFound { device } => value(out, 39, &device),
        Event::IdentityDiffers { device, differs } => value(out, 40, &(device, differs)),
        Event::CommandRefused { command, refusal } => value(out, 17, &(command, refusal)),
        Event::StateRecovered { origin } => whole(out, 21, &[u64::from(origin.code())]),
        Event::SnapshotTaken { after } => whole(out, 22, &[after.as_nanos()]),
        Event::SnapshotFailed => whole(out, 23, &[]),
        Event::JournalDegraded { trouble } => whole(out, 24, &[u64::from(trouble.code())]),
        Event::JournalRestored { after } => whole(out, 25, &[after.as_nanos()]),
        Event::StopBegan => whole(out, 26, &[]),
        Event::Stopped { after } => whole(out, 27, &[after.as_nanos()]),
        Event::ManualBegan { group, power, lasts } => {
            powered(out, 41, &[u64::from(group.0), lasts.as_nanos()], power);
        }
        Event::ManualEnded { group, why } => value(out, 42, &(group, why)),
        Event::EmergencyStopBegan => whole(out, 43, &[]),
        Event::EmergencyStopEnded => whole(out, 44, &[]),
        Event::OperationChanged { operation } => value(out, 52, &operation),
        Event::Islanded => whole(out, 45, &[]),
        Event::Rejoined => whole(out, 46, &[]),
        Event::DeviceLocal { device } => whole(out, 47, &[u64::from(device.0)]),
        Event::DeviceRemote { device } => whole(out, 48, &[u64::from(device.0)]),
        Event::DeviceFault { device } => whole(out, 49, &[u64::from(device.0)]),
        Event::DeviceRecovered { device } => whole(out, 50, &[u64::from(device.0)]),
        Event::BlackedOut => whole(out, 53, &[]),
        Event::Energized => whole(out, 54, &[]),
        Event::MemoryCarried { age } => value(out, 29, &age.map(Span::as_nanos)),
        Event::MemoryNotCarried { why } => whole(out, 30, &[u64::from(why.code())]),
        Event::WallClockSet { before, after } => clocks(out, 28, [before, after]),
    }
}

/// What a wall clock showed and shows.
fn clocks(out: &mut Vec<u8>, code: u8, walls: [Option<WallTime>; 2]) {
    out.push(code);
    walls.into_iter().for_each(|wall| put_wall(out, wall));
}

/// Whole numbers and a power.
fn powered(out: &mut Vec<u8>, code: u8, numbers: &[u64], power: Watts) {
    whole(out, code, numbers);
    put_watts(out, power);
}

/// What is measured of a device.
fn of_device(out: &mut Vec<u8>, code: u8, device: DeviceIndex, power: Watts) {
    powered(out, code, &[u64::from(device.0)], power);
}

/// What a function misses on a group.
fn short(out: &mut Vec<u8>, code: u8, (slot, group): (SlotIndex, GroupIndex), power: Watts) {
    powered(out, code, &[u64::from(slot.0), u64::from(group.0)], power);
}

/// A write that failed.
fn failed(out: &mut Vec<u8>, code: u8, device: DeviceIndex, outcome: WriteOutcome) {
    whole(out, code, &[u64::from(device.0), u64::from(outcome_code(outcome))]);
    put_accepted(out, outcome);
}

/// The same, without its code.
fn take_failed(cursor: &mut Cursor<'_>) -> Result<(DeviceIndex, WriteOutcome), Flaw> {
    let device = DeviceIndex(id(cursor)?);
    let code = cursor.byte()?;
    Ok((device, outcome(code, cursor)?))
}

pub(super) fn decode(cursor: &mut Cursor<'_>) -> Result<Event, Flaw> {
    Ok(match cursor.byte()? {
        0 => Event::Booted { incarnation: u32_of(cursor)? },
        1 => Event::Started { after: span(cursor)? },
        2 => Event::ScansMissed { count: u32_of(cursor)?, lateness: span(cursor)? },
        3 => Event::QualityChanged { point: PointIndex(id(cursor)?), quality: quality(cursor.byte()?)? },
        4 => Event::FunctionLost { slot: SlotIndex(id(cursor)?) },
        5 => Event::FunctionReturned { slot: SlotIndex(id(cursor)?) },
        6 => Event::ShortfallBegan {
            slot: SlotIndex(id(cursor)?),
            group: GroupIndex(id(cursor)?),
            shortfall: watts(cursor)?,
        },
        7 => Event::ShortfallEnded {
            slot: SlotIndex(id(cursor)?),
            group: GroupIndex(id(cursor)?),
            worst: watts(cursor)?,
        },
        8 => {
            let (device, outcome) = take_failed(cursor)?;
            Event::WriteFailed { device, outcome }
        }
        9 => Event::DeviceLimited { device: DeviceIndex(id(cursor)?), difference: watts(cursor)? },
        10 => Event::DeviceFollows { device: DeviceIndex(id(cursor)?) },
        11 => Event::SignSuspect {
            device: DeviceIndex(id(cursor)?),
            measured_by: DeviceIndex(id(cursor)?),
            step: watts(cursor)?,
            moved: watts(cursor)?,
        },
        12 => Event::WritesSucceed { device: DeviceIndex(id(cursor)?) },
        13 => {
            let (role, reason, epoch) = cursor.value("event")?;
            Event::RoleChanged { role, reason, epoch }
        }
        14 => {
            let (reason, epoch, silent, sought) = cursor.value("event")?;
            let (silent, sought) = (Span::from_nanos(silent), Span::from_nanos(sought));
            Event::TookOver { reason, epoch, silent, sought }
        }
        15 => {
            let (seat, at_most) = cursor.value("event")?;
            Event::AuthoritiesOverlapped { seat, at_most: Span::from_nanos(at_most) }
        }
        16 => Event::SectionDiffers { seat: cursor.value("event")? },
        17 => {
            let (command, refusal) = cursor.value("event")?;
            Event::CommandRefused { command, refusal }
        }
        18 => {
            let (after, state_age): (u64, Option<u64>) = cursor.value("event")?;
            let (after, state_age) = (Span::from_nanos(after), state_age.map(Span::from_nanos));
            Event::SetPointsTakenOver { step: watts(cursor)?, after, state_age }
        }
        19 => Event::StateTaken { seat: cursor.value("event")? },
        20 => {
            let (seat, refusal) = cursor.value("event")?;
            Event::StateRefused { seat, refusal }
        }
        code => return decode_later(code, cursor),
    })
}

/// Reads the events that got their codes later.
fn decode_later(code: u8, cursor: &mut Cursor<'_>) -> Result<Event, Flaw> {
    Ok(match code {
        21 => Event::StateRecovered { origin: origin(cursor.byte()?)? },
        22 => Event::SnapshotTaken { after: span(cursor)? },
        23 => Event::SnapshotFailed,
        24 => Event::JournalDegraded { trouble: trouble(cursor.byte()?)? },
        25 => Event::JournalRestored { after: span(cursor)? },
        26 => Event::StopBegan,
        27 => Event::Stopped { after: span(cursor)? },
        28 => Event::WallClockSet { before: wall(cursor)?, after: wall(cursor)? },
        29 => Event::MemoryCarried { age: cursor.value::<Option<u64>>("event")?.map(Span::from_nanos) },
        30 => Event::MemoryNotCarried { why: not_carried(cursor.byte()?)? },
        31 => {
            let (device, outcome) = take_failed(cursor)?;
            Event::HeartbeatFailed { device, outcome }
        }
        32 => Event::HeartbeatsSucceed { device: DeviceIndex(id(cursor)?) },
        33 => Event::WriteBudgetUsedUp {
            device: DeviceIndex(id(cursor)?),
            per_day: u32_of(cursor)?,
            renewed_in: span(cursor)?,
        },
        34 => Event::WriteBudgetRenewed { device: DeviceIndex(id(cursor)?) },
        35 => {
            let (seat, silent) = cursor.value("event")?;
            Event::PeerSilent { seat, silent: Span::from_nanos(silent) }
        }
        36 => Event::PeerHeard { seat: cursor.value("event")? },
        37 => {
            let (device, chain) = cursor.value("event")?;
            Event::ModelsFound { device, chain }
        }
        38 => {
            let (device, missing) = cursor.value("event")?;
            Event::ModelsMissing { device, missing }
        }
        39 => Event::IdentityFound { device: cursor.value("event")? },
        40 => {
            let (device, differs) = cursor.value("event")?;
            Event::IdentityDiffers { device, differs }
        }
        41 => {
            let (group, lasts) = (GroupIndex(id(cursor)?), span(cursor)?);
            Event::ManualBegan { group, power: watts(cursor)?, lasts }
        }
        42 => {
            let (group, why) = cursor.value("event")?;
            Event::ManualEnded { group, why }
        }
        43 => Event::EmergencyStopBegan,
        44 => Event::EmergencyStopEnded,
        45 => Event::Islanded,
        46 => Event::Rejoined,
        47 => Event::DeviceLocal { device: DeviceIndex(id(cursor)?) },
        48 => Event::DeviceRemote { device: DeviceIndex(id(cursor)?) },
        49 => Event::DeviceFault { device: DeviceIndex(id(cursor)?) },
        50 => Event::DeviceRecovered { device: DeviceIndex(id(cursor)?) },
        52 => Event::OperationChanged { operation: cursor.value("event")? },
        53 => Event::BlackedOut,
        54 => Event::Energized,
        found => return Err(Flaw::Code { what: "event", found }),
    })
}

fn whole(out: &mut Vec<u8>, code: u8, fields: &[u64]) {
    out.push(code);
    fields.iter().for_each(|field| put(out, *field));
}

fn value(out: &mut Vec<u8>, code: u8, fields: &impl Serialize) {
    out.push(code);
    codec::encode(fields, out);
}

fn put_watts(out: &mut Vec<u8>, power: Watts) {
    out.extend_from_slice(&power.watts().to_bits().to_le_bytes());
}

fn watts(cursor: &mut Cursor<'_>) -> Result<Watts, Flaw> {
    Watts::new(cursor.f64()?).ok_or(Flaw::NotFinite)
}

fn span(cursor: &mut Cursor<'_>) -> Result<Span, Flaw> {
    cursor.varint().map(Span::from_nanos)
}

fn id(cursor: &mut Cursor<'_>) -> Result<u16, Flaw> {
    cursor.below(ID_END, "id")
}

fn u32_of(cursor: &mut Cursor<'_>) -> Result<u32, Flaw> {
    let found = cursor.varint()?;
    let out_of_range = |_too_large| Flaw::OutOfRange { what: "count", found, end: 1 << 32 };
    u32::try_from(found).map_err(out_of_range)
}

/// Appends what a wall clock shows.
pub(super) fn put_wall(out: &mut Vec<u8>, wall: Option<WallTime>) {
    out.push(u8::from(wall.is_some()));
    if let Some(wall) = wall {
        put_signed(out, wall.as_unix_nanos());
    }
}

/// Reads what a wall clock shows.
pub(super) fn wall(cursor: &mut Cursor<'_>) -> Result<Option<WallTime>, Flaw> {
    match cursor.byte()? {
        0 => Ok(None),
        1 => cursor.signed().map(WallTime::from_unix_nanos).map(Some),
        found => Err(Flaw::Code { what: "wall clock", found }),
    }
}

pub(super) fn origin(code: u8) -> Result<Origin, Flaw> {
    Origin::of_code(code).ok_or(Flaw::Code { what: "origin of a state", found: code })
}

fn not_carried(code: u8) -> Result<NotCarried, Flaw> {
    NotCarried::of_code(code).ok_or(Flaw::Code { what: "reason to carry nothing", found: code })
}

pub(super) fn trouble(code: u8) -> Result<Trouble, Flaw> {
    Trouble::of_code(code).ok_or(Flaw::Code { what: "trouble of a journal", found: code })
}

pub(super) const fn outcome_code(outcome: WriteOutcome) -> u8 {
    match outcome {
        WriteOutcome::Acknowledged => 0,
        WriteOutcome::Refused => 1,
        WriteOutcome::TimedOut => 2,
        WriteOutcome::Expired => 3,
        WriteOutcome::Outdated { .. } => 4,
        WriteOutcome::NotHeld => 5,
        WriteOutcome::Incomplete => 6,
    }
}

/// What follows the code of an outcome: the epoch that a device has accepted.
pub(super) fn put_accepted(out: &mut Vec<u8>, outcome: WriteOutcome) {
    if let WriteOutcome::Outdated { accepted } = outcome {
        put(out, accepted);
    }
}

pub(super) fn outcome(code: u8, cursor: &mut Cursor<'_>) -> Result<WriteOutcome, Flaw> {
    match code {
        0 => Ok(WriteOutcome::Acknowledged),
        1 => Ok(WriteOutcome::Refused),
        2 => Ok(WriteOutcome::TimedOut),
        3 => Ok(WriteOutcome::Expired),
        4 => Ok(WriteOutcome::Outdated { accepted: cursor.varint()? }),
        5 => Ok(WriteOutcome::NotHeld),
        6 => Ok(WriteOutcome::Incomplete),
        found => Err(Flaw::Code { what: "write outcome", found }),
    }
}

const fn quality_code(quality: Quality) -> u8 {
    match quality {
        Quality::Unknown => 0,
        Quality::Good => 1,
        Quality::Stale => 2,
        Quality::Invalid => 3,
        Quality::Stuck => 4,
    }
}

const fn quality(code: u8) -> Result<Quality, Flaw> {
    match code {
        0 => Ok(Quality::Unknown),
        1 => Ok(Quality::Good),
        2 => Ok(Quality::Stale),
        3 => Ok(Quality::Invalid),
        4 => Ok(Quality::Stuck),
        found => Err(Flaw::Code { what: "quality", found }),
    }
}
