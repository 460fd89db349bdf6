//! The bytes of a delivery's effects: instants as differences from the controller's clock. Reports have records of their own.

use alloc::vec::Vec;

use super::error::Flaw;
use super::varint::{Cursor, put, put_difference};
use super::{MAX_EFFECTS, MAX_SAMPLES, codec};
use crate::ids::DeviceIndex;
use crate::machine::{Effect, SetPointWrite};
use crate::redundancy::Seat;
use crate::time::LocalTime;

const WRITE: u64 = 0;
const POLL: u64 = 1;
const SEND: u64 = 2;
const PROMISE: u64 = 3;
const AUTHORITY: u64 = 4;
const SNAPSHOT: u64 = 5;
/// Bits of an effect's first word that say what it is.
const KIND_BITS: u32 = 3;
/// Ids have 16 bits.
const DEVICE_END: u64 = 1 << 16;
/// Seats have 8.
const SEAT_END: u64 = 1 << 8;
const _: () = assert!(MAX_SAMPLES < MAX_EFFECTS);

pub(super) fn encode(
    out: &mut Vec<u8>,
    now: LocalTime,
    deadline: Option<LocalTime>,
    effects: impl Iterator<Item = Effect> + Clone,
) {
    match deadline {
        None => out.push(0),
        Some(deadline) => {
            out.push(1);
            put_difference(out, now.as_nanos(), deadline.as_nanos());
        }
    }
    let count = effects.clone().filter(|effect| !is_report(effect)).count();
    assert!(count <= MAX_EFFECTS, "the list of effects is bounded");
    put(out, count as u64);
    for effect in effects {
        match effect {
            Effect::Write(SetPointWrite { device, value, epoch, valid_until }) => {
                put(out, u64::from(device.0) << KIND_BITS | WRITE);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
                put(out, epoch);
                put_difference(out, now.as_nanos(), valid_until.as_nanos());
            }
            Effect::Poll { device, due } => {
                put(out, u64::from(device.0) << KIND_BITS | POLL);
                put_difference(out, now.as_nanos(), due.as_nanos());
            }
            Effect::Send { to, message } => {
                put(out, u64::from(to.0) << KIND_BITS | SEND);
                codec::encode(&message, out);
            }
            Effect::Authority { epoch, until } => {
                put(out, AUTHORITY);
                put(out, epoch);
                put_difference(out, now.as_nanos(), until.as_nanos());
            }
            Effect::Promise(promise) => {
                put(out, PROMISE);
                codec::encode(&promise, out);
            }
            Effect::Snapshot => put(out, SNAPSHOT),
            Effect::Report(_) => {}
        }
    }
}

/// Reads what [`encode`] wrote into `effects`, which is cleared first.
pub(super) fn decode(
    cursor: &mut Cursor<'_>,
    now: LocalTime,
    effects: &mut Vec<Effect>,
) -> Result<Option<LocalTime>, Flaw> {
    effects.clear();
    let instant = |cursor: &mut Cursor<'_>| cursor.difference(now.as_nanos()).map(LocalTime::from_nanos);
    let deadline = match cursor.byte()? {
        0 => None,
        1 => Some(instant(cursor)?),
        found => return Err(Flaw::Code { what: "deadline", found }),
    };
    let count = cursor.below(MAX_EFFECTS + 1, "number of effects")?;
    for _ in 0..count {
        let word = cursor.varint()?;
        let out_of_range = Flaw::OutOfRange { what: "device", found: word >> KIND_BITS, end: DEVICE_END };
        let place = u16::try_from(word >> KIND_BITS).map_err(|_too_large| out_of_range)?;
        effects.push(match word & ((1 << KIND_BITS) - 1) {
            WRITE => {
                let (device, value, epoch) = (DeviceIndex(place), cursor.f64()?, cursor.varint()?);
                Effect::Write(SetPointWrite { device, value, epoch, valid_until: instant(cursor)? })
            }
            POLL => Effect::Poll { device: DeviceIndex(place), due: instant(cursor)? },
            SEND => {
                let end = SEAT_END;
                let no_seat = Flaw::OutOfRange { what: "seat", found: u64::from(place), end };
                let to = Seat(u8::try_from(place).map_err(|_too_large| no_seat)?);
                Effect::Send { to, message: cursor.value("message")? }
            }
            PROMISE => Effect::Promise(cursor.value("promise")?),
            AUTHORITY => Effect::Authority { epoch: cursor.varint()?, until: instant(cursor)? },
            SNAPSHOT => Effect::Snapshot,
            found => return Err(Flaw::Code { what: "effect", found: found as u8 }),
        });
    }
    Ok(deadline)
}

/// Whether an effect is an event, which has a record of its own.
pub(super) const fn is_report(effect: &Effect) -> bool {
    match effect {
        Effect::Report(_) => true,
        Effect::Write(_)
        | Effect::Poll { .. }
        | Effect::Send { .. }
        | Effect::Promise(_)
        | Effect::Snapshot
        | Effect::Authority { .. } => false,
    }
}
