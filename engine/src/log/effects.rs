//! The bytes of a delivery's effects: instants as differences from the controller's clock. Reports have records of their own.

use alloc::vec::Vec;

use super::decode::connection;
use super::error::Flaw;
use super::varint::{Cursor, put, put_difference};
use super::{MAX_EFFECTS, MAX_SAMPLES, codec};
use crate::ids::DeviceIndex;
use crate::machine::{Effect, LinkWish, SetPointWrite, WriteKind};
use crate::redundancy::Seat;
use crate::time::LocalTime;

const WRITE: u64 = 0;
const POLL: u64 = 1;
const SEND: u64 = 2;
const PROMISE: u64 = 3;
const AUTHORITY: u64 = 4;
const TRANSFER: u64 = 5;
const DISCONNECT: u64 = 6;
/// What has no device: the place of one says what it is.
const OTHER: u64 = 7;
const SNAPSHOT: u64 = 0;
const STOPPED: u64 = 1;
const FRAME: u64 = 2;
const LINK: u64 = 3;
/// Bits of an effect's first word that say what it is.
const KIND_BITS: u32 = 3;
/// Ids have 16 bits.
const DEVICE_END: u64 = 1 << 16;
/// Beside the device of a write that a frame carries: it is a heartbeat.
const HEARTBEAT: u64 = DEVICE_END;
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
            Effect::Write(write) => {
                assert!(write.kind == WriteKind::SetPoint, "a heartbeat is carried by a frame");
                put(out, u64::from(write.device.0) << KIND_BITS | WRITE);
                put_write(out, now, write);
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
            Effect::Snapshot => put(out, SNAPSHOT << KIND_BITS | OTHER),
            Effect::Stopped => put(out, STOPPED << KIND_BITS | OTHER),
            Effect::Transfer { to, length, chain } => {
                put(out, u64::from(to.0) << KIND_BITS | TRANSFER);
                put(out, u64::from(length));
                out.extend_from_slice(&chain.to_le_bytes());
            }
            Effect::Disconnect { device } => put(out, u64::from(device.0) << KIND_BITS | DISCONNECT),
            Effect::Frame { connection, first, length, chain, write } => {
                put(out, FRAME << KIND_BITS | OTHER);
                put(out, u64::from(connection.0) << 1 | u64::from(write.is_some()));
                put(out, first.into());
                put(out, length.into());
                out.extend_from_slice(&chain.to_le_bytes());
                if let Some(write) = write {
                    let kind = if write.kind == WriteKind::Heartbeat { HEARTBEAT } else { 0 };
                    put(out, u64::from(write.device.0) | kind);
                    put_write(out, now, write);
                }
            }
            Effect::Link { connection, wish } => {
                put(out, LINK << KIND_BITS | OTHER);
                put(out, u64::from(connection.0) << 1 | u64::from(wish == LinkWish::Open));
            }
            Effect::Report(_) => {}
        }
    }
}

/// Appends what a write says beside its device.
fn put_write(out: &mut Vec<u8>, now: LocalTime, write: SetPointWrite) {
    let SetPointWrite { device: _, kind: _, value, reactive, epoch, valid_until } = write;
    out.extend_from_slice(&value.to_bits().to_le_bytes());
    // Mostly zero, and else a number whose last bits are.
    put(out, reactive.to_bits().reverse_bits());
    put(out, epoch);
    put_difference(out, now.as_nanos(), valid_until.as_nanos());
}

/// Reads what [`encode`] wrote into `effects`, which is cleared first.
pub(super) fn decode(
    cursor: &mut Cursor<'_>,
    now: LocalTime,
    effects: &mut Vec<Effect>,
) -> Result<Option<LocalTime>, Flaw> {
    effects.clear();
    let deadline = match cursor.byte()? {
        0 => None,
        1 => Some(instant(cursor, now)?),
        found => return Err(Flaw::Code { what: "deadline", found }),
    };
    let count = cursor.below(MAX_EFFECTS + 1, "number of effects")?;
    for _ in 0..count {
        let word = cursor.varint()?;
        let place = device(word >> KIND_BITS)?;
        effects.push(match word & ((1 << KIND_BITS) - 1) {
            WRITE => Effect::Write(take_write(cursor, now, (place, WriteKind::SetPoint))?),
            POLL => Effect::Poll { device: place, due: instant(cursor, now)? },
            SEND => Effect::Send { to: seat(place.0)?, message: cursor.value("message")? },
            TRANSFER => {
                let to = seat(place.0)?;
                Effect::Transfer {
                    to,
                    length: u32::from(cursor.below(UNIT_END, "length of a unit")?),
                    chain: cursor.u64()?,
                }
            }
            OTHER => take_other(cursor, now, place.0.into())?,
            // What has no place is written with a zero there, and in no other way.
            PROMISE | AUTHORITY if place.0 != 0 => {
                return Err(Flaw::OutOfRange { what: "place", found: place.0.into(), end: 1 });
            }
            DISCONNECT => Effect::Disconnect { device: place },
            PROMISE => Effect::Promise(cursor.value("promise")?),
            AUTHORITY => Effect::Authority { epoch: cursor.varint()?, until: instant(cursor, now)? },
            found => return Err(Flaw::Code { what: "effect", found: found as u8 }),
        });
    }
    Ok(deadline)
}

/// Reads what has no device.
fn take_other(cursor: &mut Cursor<'_>, now: LocalTime, what: u64) -> Result<Effect, Flaw> {
    Ok(match what {
        SNAPSHOT => Effect::Snapshot,
        STOPPED => Effect::Stopped,
        FRAME => {
            let word = cursor.varint()?;
            let connection = connection(word >> 1)?;
            let (first, length) = (u32_of(cursor.varint()?, "place of a frame")?, cursor.varint()?);
            let length = u32_of(length, "length of a frame")?;
            let chain = cursor.u64()?;
            let write = match word & 1 {
                0 => None,
                _carried => {
                    let word = cursor.varint()?;
                    let is_heartbeat = word & HEARTBEAT != 0;
                    let device = device(if is_heartbeat { word ^ HEARTBEAT } else { word })?;
                    let kind = if is_heartbeat { WriteKind::Heartbeat } else { WriteKind::SetPoint };
                    Some(take_write(cursor, now, (device, kind))?)
                }
            };
            Effect::Frame { connection, first, length, chain, write }
        }
        LINK => {
            let word = cursor.varint()?;
            let wish = if word & 1 == 1 { LinkWish::Open } else { LinkWish::Closed };
            Effect::Link { connection: connection(word >> 1)?, wish }
        }
        found => return Err(Flaw::OutOfRange { what: "place", found, end: LINK + 1 }),
    })
}

fn take_write(
    cursor: &mut Cursor<'_>,
    now: LocalTime,
    (device, kind): (DeviceIndex, WriteKind),
) -> Result<SetPointWrite, Flaw> {
    let (value, reactive) = (cursor.f64()?, f64::from_bits(cursor.varint()?.reverse_bits()));
    let epoch = cursor.varint()?;
    Ok(SetPointWrite { device, kind, value, reactive, epoch, valid_until: instant(cursor, now)? })
}

fn instant(cursor: &mut Cursor<'_>, now: LocalTime) -> Result<LocalTime, Flaw> {
    cursor.difference(now.as_nanos()).map(LocalTime::from_nanos)
}

fn device(found: u64) -> Result<DeviceIndex, Flaw> {
    let no_device = Flaw::OutOfRange { what: "device", found, end: DEVICE_END };
    u16::try_from(found).map(DeviceIndex).map_err(|_too_large| no_device)
}

fn u32_of(found: u64, what: &'static str) -> Result<u32, Flaw> {
    u32::try_from(found).map_err(|_too_large| Flaw::OutOfRange { what, found, end: 1 << 32 })
}

fn seat(place: u16) -> Result<Seat, Flaw> {
    let no_seat = Flaw::OutOfRange { what: "seat", found: u64::from(place), end: SEAT_END };
    u8::try_from(place).map(Seat).map_err(|_too_large| no_seat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ConnectionIndex;
    use crate::redundancy::Promise;

    const NOW: LocalTime = LocalTime::from_nanos(100);
    /// The first word follows the deadline and the count.
    const FIRST_WORD: usize = 2;

    fn bytes_of(effect: Effect) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(&mut bytes, NOW, None, [effect].into_iter());
        let mut effects = Vec::new();
        assert_eq!(decode(&mut Cursor::new(&bytes, 0), NOW, &mut effects), Ok(None));
        assert_eq!(effects, [effect]);
        bytes
    }

    fn flaw(bytes: &[u8]) -> Option<Flaw> {
        decode(&mut Cursor::new(bytes, 0), NOW, &mut Vec::new()).err()
    }

    #[test]
    fn an_effect_without_a_place_has_one_form_only() {
        for effect in [Effect::Promise(Promise::FIRST), Effect::Authority { epoch: 1, until: NOW }] {
            let mut bytes = bytes_of(effect);
            bytes[FIRST_WORD] |= 2 << KIND_BITS;
            assert_eq!(flaw(&bytes), Some(Flaw::OutOfRange { what: "place", found: 2, end: 1 }));
        }
    }

    #[test]
    fn what_has_no_device_is_one_of_four() {
        let connection = ConnectionIndex(3);
        let link = |wish| Effect::Link { connection, wish };
        for effect in [Effect::Snapshot, Effect::Stopped, link(LinkWish::Open), link(LinkWish::Closed)] {
            let mut bytes = bytes_of(effect);
            bytes[FIRST_WORD] |= 4 << KIND_BITS;
            let found = u64::from(bytes[FIRST_WORD] >> KIND_BITS);
            assert_eq!(flaw(&bytes), Some(Flaw::OutOfRange { what: "place", found, end: 4 }));
        }
    }

    #[test]
    fn a_frame_is_read_as_it_was_written_and_names_nothing_that_cannot_be() {
        let write = SetPointWrite {
            device: DeviceIndex(u16::MAX),
            kind: WriteKind::SetPoint,
            value: -0.0,
            reactive: 0.0,
            epoch: 7,
            valid_until: LocalTime::MAX,
        };
        let heartbeat = SetPointWrite { kind: WriteKind::Heartbeat, ..write };
        for write in [None, Some(write), Some(heartbeat)] {
            let connection = ConnectionIndex(u16::MAX);
            let frame = Effect::Frame { connection, first: u32::MAX, length: u32::MAX, chain: 1, write };
            let bytes = bytes_of(frame);
            for length in 0..bytes.len() {
                assert_eq!(flaw(&bytes[..length]), Some(Flaw::RecordEnds), "cut at {length}");
            }
        }
        // Connection 0, then the first place and the length.
        let frame = |first: &[u8], length: &[u8]| flaw(&[&[0, 1, 0x17, 0], first, length, &[0; 8]].concat());
        let beyond = [0x80, 0x80, 0x80, 0x80, 0x10];
        let refused = |what| Some(Flaw::OutOfRange { what, found: 1 << 32, end: 1 << 32 });
        assert_eq!(frame(&[0], &[0]), None);
        assert_eq!(frame(&beyond, &[0]), refused("place of a frame"));
        assert_eq!(frame(&[0], &beyond), refused("length of a frame"));
        let no_device = Flaw::OutOfRange { what: "device", found: 1 << 17, end: 1 << 16 };
        let carried = [&[0, 1, 0x17, 1, 0, 0][..], &[0; 8], &[0x80, 0x80, 0x08]].concat();
        assert_eq!(flaw(&carried), Some(no_device));
    }
}
