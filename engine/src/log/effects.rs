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
const TRANSFER: u64 = 5;
const DISCONNECT: u64 = 6;
const SNAPSHOT: u64 = 7;
/// In the place of a device: the snapshot that is kept is the last.
const STOPPED: u64 = 1;
/// Bits of an effect's first word that say what it is.
const KIND_BITS: u32 = 3;
/// Ids have 16 bits.
const DEVICE_END: u64 = 1 << 16;
/// Seats have 8.
const SEAT_END: u64 = 1 << 8;
/// No unit of state is that long.
const UNIT_END: usize = 1 << 16;
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
    let count = effects.clone().filter(|effect| effect.event().is_none()).count();
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
            Effect::Stopped => put(out, STOPPED << KIND_BITS | SNAPSHOT),
            Effect::Transfer { to, length, chain } => {
                put(out, u64::from(to.0) << KIND_BITS | TRANSFER);
                put(out, u64::from(length));
                out.extend_from_slice(&chain.to_le_bytes());
            }
            Effect::Disconnect { device } => put(out, u64::from(device.0) << KIND_BITS | DISCONNECT),
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
            SEND => Effect::Send { to: seat(place)?, message: cursor.value("message")? },
            TRANSFER => {
                let to = seat(place)?;
                Effect::Transfer {
                    to,
                    length: u32::from(cursor.below(UNIT_END, "length of a unit")?),
                    chain: cursor.u64()?,
                }
            }
            // What has no place is written with a zero there, and in no other way.
            SNAPSHOT if u64::from(place) == STOPPED => Effect::Stopped,
            PROMISE | AUTHORITY | SNAPSHOT if place != 0 => {
                return Err(Flaw::OutOfRange { what: "place", found: u64::from(place), end: 1 });
            }
            DISCONNECT => Effect::Disconnect { device: DeviceIndex(place) },
            PROMISE => Effect::Promise(cursor.value("promise")?),
            AUTHORITY => Effect::Authority { epoch: cursor.varint()?, until: instant(cursor)? },
            SNAPSHOT => Effect::Snapshot,
            found => return Err(Flaw::Code { what: "effect", found: found as u8 }),
        });
    }
    Ok(deadline)
}

fn seat(place: u16) -> Result<Seat, Flaw> {
    let no_seat = Flaw::OutOfRange { what: "seat", found: u64::from(place), end: SEAT_END };
    u8::try_from(place).map(Seat).map_err(|_too_large| no_seat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redundancy::Promise;

    #[test]
    fn an_effect_without_a_place_has_one_form_only() {
        let now = LocalTime::from_nanos(100);
        let authority = Effect::Authority { epoch: 1, until: now };
        for effect in [Effect::Promise(Promise::FIRST), authority, Effect::Snapshot] {
            let mut bytes = Vec::new();
            encode(&mut bytes, now, None, [effect].into_iter());
            let mut effects = Vec::new();
            assert_eq!(decode(&mut Cursor::new(&bytes, 0), now, &mut effects), Ok(None));
            assert_eq!(effects, [effect]);
            // The first word follows the deadline and the count.
            bytes[2] |= 2 << KIND_BITS;
            let flaw = Flaw::OutOfRange { what: "place", found: 2, end: 1 };
            assert_eq!(decode(&mut Cursor::new(&bytes, 0), now, &mut effects), Err(flaw));
        }
    }
}
