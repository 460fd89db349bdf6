//! State transfer: what the active remembers, sent to its standbys as one unit a scan.
//!
//! A unit is the whole memory, or its difference from the last whole one, which comes every [`WHOLE_EVERY`], with each new
//! authority, and when a standby says that it misses it. A unit is tagged with epoch, scan and format. It is taken **whole or
//! not at all**, and only if it is newer than the last one: lost, repeated and reordered units do no harm, and nothing is
//! queued for a standby that is away.
//!
//! ```text
//! unit = header, body
//! body = the memory, or changes: (bytes that stay, bytes that follow, those)*
//! ```
//!
//! The memory holds ages and no instants, see [`crate::carry`]. **Invariants:** a unit of another authority than its sender's is
//! refused; no bytes make a receiver panic or allocate more than [`MAX_CARRIED_BYTES`].

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::epoch::{Epoch, Seat};
use crate::carry::MAX_CARRIED_BYTES;
use crate::log::codec;
use crate::log::varint::{Cursor, put};
use crate::mistakes::{Mistake, makes};
use crate::time::{LocalTime, Span};

/// The format of a unit.
pub const FORMAT: u16 = 1;
/// The whole memory is sent so often; differences from it are sent in between.
pub const WHOLE_EVERY: Span = Span::from_secs(10);
/// Changes that lie closer together than this are one: a further pair of numbers costs as much.
const GAP: usize = 3;

/// What identifies a unit and what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    format: u16,
    /// Identifies the redundancy section of the sender's site file.
    section: u64,
    /// Identifies what is carried, and in which order.
    layout: u64,
    epoch: Epoch,
    /// Numbers the units of one life.
    scan: u32,
    /// The unit with the whole memory that this one differs from; none: it is whole itself.
    base: Option<u32>,
    /// Checks the memory.
    check: u32,
}

/// Who sends and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    /// Identifies the redundancy section of the site file.
    pub section: u64,
    /// Identifies what is carried.
    pub layout: u64,
}

/// Makes units of an active's memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sender {
    scan: u32,
    /// The last whole memory.
    base: Vec<u8>,
    /// Under which authority, in which scan and when it was sent.
    based: Option<(Epoch, u32, LocalTime)>,
    /// A standby misses it.
    is_missed: bool,
}

impl Sender {
    /// Notes that a standby misses the whole memory: the next unit is whole.
    pub(crate) fn is_missed(&mut self) {
        self.is_missed = true;
    }

    /// Appends to `unit` what the standbys are to get of `memory`.
    pub(crate) fn unit(&mut self, now: LocalTime, tag: Tag, epoch: Epoch, memory: &[u8], unit: &mut Vec<u8>) {
        self.scan = self.scan.wrapping_add(1);
        let base = self.based.filter(|(of, _scan, at)| {
            let is_fit = *of == epoch && self.base.len() == memory.len() && !self.is_missed;
            is_fit && now.since(*at) < WHOLE_EVERY
        });
        let header = Header {
            format: FORMAT,
            section: tag.section,
            layout: tag.layout,
            epoch,
            scan: self.scan,
            base: base.map(|(_epoch, scan, _at)| scan),
            check: crc32fast::hash(memory),
        };
        codec::encode(&header, unit);
        if base.is_some() {
            put_changes(&self.base, memory, unit);
            return;
        }
        unit.extend_from_slice(memory);
        self.base.clear();
        self.base.extend_from_slice(memory);
        self.based = Some((epoch, self.scan, now));
        self.is_missed = false;
    }
}

/// Appends what makes `old` into `new`, which is as long.
fn put_changes(old: &[u8], new: &[u8], out: &mut Vec<u8>) {
    let differs = |place: &usize| old[*place] != new[*place];
    let mut from = 0;
    while let Some(start) = (from..new.len()).find(differs) {
        let mut end = start + 1;
        while let Some(next) = (end..new.len().min(end + GAP)).find(differs) {
            end = next + 1;
        }
        put(out, (start - from) as u64);
        put(out, (end - start) as u64);
        out.extend_from_slice(&new[start..end]);
        from = end;
    }
}

/// Makes `memory` into what it was changed to; `None` if the changes are none.
fn apply_changes(changes: &[u8], memory: &mut [u8]) -> Option<()> {
    let mut cursor = Cursor::new(changes, 0);
    let mut at = 0_usize;
    while cursor.rest() > 0 {
        at = at.checked_add(usize::try_from(cursor.varint().ok()?).ok()?)?;
        let count = cursor.varint().ok()?;
        let range = cursor.range(count).ok()?;
        let end = at.checked_add(range.len())?;
        memory.get_mut(at..end)?.copy_from_slice(changes.get(range)?);
        at = end;
    }
    Some(())
}

/// Takes units of an active.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiver {
    /// The last whole memory.
    base: Vec<u8>,
    /// Under which authority and in which scan it was made.
    based: Option<(Epoch, u32)>,
    /// The last unit that was taken.
    last: Option<Received>,
    /// Why the last unit was refused, if it was.
    refused: Option<Refusal>,
}

/// A unit that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Under which authority it was made.
    pub epoch: Epoch,
    /// In which scan.
    pub scan: u32,
    /// When it came.
    pub at: LocalTime,
}

/// Why a unit is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It has another format: the sender runs another version.
    Format,
    /// The sender has another redundancy section in its site file.
    Section,
    /// The sender's functions or groups are others.
    Layout,
    /// It is no unit.
    Malformed,
}

impl Refusal {
    /// The refusal's name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Format => "another format",
            Self::Section => "another redundancy section",
            Self::Layout => "other functions or groups",
            Self::Malformed => "no state at all",
        }
    }
}

/// A unit that could be taken: its memory has been put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    received: Received,
    is_whole: bool,
}

/// Why a unit could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// A newer one has been taken.
    Outdated,
    /// The whole memory that it differs from is missing.
    MissesBase,
    /// It must not be taken.
    Refused(Refusal),
}

impl Receiver {
    /// Puts the memory of a unit together in `memory`, which is cleared. `epoch_min`: no lower authority counts.
    pub(crate) fn open(
        &self,
        now: LocalTime,
        tag: Tag,
        from: Seat,
        epoch_min: Epoch,
        unit: &[u8],
        memory: &mut Vec<u8>,
    ) -> Result<Opened, Unopened> {
        let malformed = Unopened::Refused(Refusal::Malformed);
        // The format comes first, so that a unit of another one is named and not only refused.
        let (format, _) = codec::decode_first::<u16>(unit).map_err(|_none| malformed)?;
        if format != FORMAT {
            return Err(Unopened::Refused(Refusal::Format));
        }
        let (header, taken) = codec::decode_first::<Header>(unit).map_err(|_none| malformed)?;
        if header.section != tag.section {
            return Err(Unopened::Refused(Refusal::Section));
        }
        if header.layout != tag.layout {
            return Err(Unopened::Refused(Refusal::Layout));
        }
        if header.epoch.seat != from {
            return Err(malformed);
        }
        let is_newer = |last: Received| {
            let is_later = header.scan > last.scan;
            (header.epoch, header.scan) > (last.epoch, last.scan)
                && (is_later || !makes(Mistake::ComparesScansOnly))
        };
        if header.epoch < epoch_min || !self.last.is_none_or(is_newer) {
            return Err(Unopened::Outdated);
        }
        let body = &unit[taken..];
        memory.clear();
        match header.base {
            None if body.len() > MAX_CARRIED_BYTES => return Err(malformed),
            None => memory.extend_from_slice(body),
            Some(scan) if self.based != Some((header.epoch, scan)) => return Err(Unopened::MissesBase),
            Some(_) => {
                memory.extend_from_slice(&self.base);
                apply_changes(body, memory).ok_or(malformed)?;
            }
        }
        if crc32fast::hash(memory) != header.check {
            return Err(malformed);
        }
        let received = Received { epoch: header.epoch, scan: header.scan, at: now };
        Ok(Opened { received, is_whole: header.base.is_none() })
    }

    /// Takes a unit whose `memory` is restored; says whether it is the first of its authority.
    pub(crate) fn take(&mut self, opened: Opened, memory: &[u8]) -> bool {
        if opened.is_whole {
            self.base.clear();
            self.base.extend_from_slice(memory);
            self.based = Some((opened.received.epoch, opened.received.scan));
        }
        let is_first = self.last.is_none_or(|last| last.epoch != opened.received.epoch);
        self.last = Some(opened.received);
        self.refused = None;
        is_first
    }

    /// Notes that a unit was refused; says whether that is news.
    pub(crate) fn refuse(&mut self, refusal: Refusal) -> bool {
        self.refused.replace(refusal) != Some(refusal)
    }

    /// The last unit that was taken.
    pub const fn last(&self) -> Option<Received> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TAG: Tag = Tag { section: 7, layout: 9 };
    const ACTIVE: Seat = Seat(0);

    fn epoch(round: u32) -> Epoch {
        Epoch { round, seat: ACTIVE }
    }

    fn at(secs: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_secs(secs)
    }

    fn unit(sender: &mut Sender, now: LocalTime, epoch: Epoch, memory: &[u8]) -> Vec<u8> {
        let mut unit = Vec::new();
        sender.unit(now, TAG, epoch, memory, &mut unit);
        unit
    }

    /// Opens and takes a unit; returns the memory.
    fn take(receiver: &mut Receiver, unit: &[u8]) -> Result<Vec<u8>, Unopened> {
        let mut memory = Vec::new();
        let opened = receiver.open(at(0), TAG, ACTIVE, Epoch::NONE, unit, &mut memory)?;
        receiver.take(opened, &memory);
        Ok(memory)
    }

    proptest! {
        #[test]
        fn whatever_is_lost_repeated_or_late_the_memory_is_one_that_was_sent_and_never_goes_back(
            memories in proptest::collection::vec(proptest::collection::vec(0..4_u8, 24), 1..30),
            arrivals in proptest::collection::vec((0..30_usize, any::<bool>()), 1..80),
        ) {
            let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
            let mut units = Vec::new();
            let mut newest = None;
            for (arrives, missed) in arrivals {
                let scan = units.len();
                if let Some(memory) = memories.get(scan) {
                    units.push(unit(&mut sender, at(scan as u64), epoch(1), memory));
                }
                let place = arrives.min(units.len() - 1);
                match take(&mut receiver, &units[place]) {
                    Ok(memory) => {
                        prop_assert_eq!(&memory, &memories[place]);
                        prop_assert!(newest.is_none_or(|newest| newest < place));
                        newest = Some(place);
                    }
                    Err(Unopened::MissesBase) if missed => sender.is_missed(),
                    Err(Unopened::MissesBase | Unopened::Outdated) => {}
                    Err(Unopened::Refused(refusal)) => prop_assert!(false, "{refusal:?}"),
                }
            }
        }

        #[test]
        fn no_bytes_panic_and_a_damaged_unit_is_refused_or_changes_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..100),
            place in any::<proptest::sample::Index>(),
            flipped in 1..=255_u8,
        ) {
            let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
            let memory = [1, 2, 3, 4, 5, 6, 7, 8];
            let _ = take(&mut receiver, &bytes);
            take(&mut receiver, &unit(&mut sender, at(0), epoch(1), &memory)).expect("it is whole");
            let mut damaged = unit(&mut sender, at(1), epoch(1), &[1, 2, 9, 4, 5, 6, 7, 8]);
            *place.get_mut::<u8>(&mut damaged) ^= flipped;
            if let Ok(taken) = take(&mut receiver, &damaged) {
                prop_assert_eq!(taken[2], 9, "only a flip of the tag leaves the memory as it was sent");
            }
        }
    }

    #[test]
    fn the_whole_memory_comes_first_every_ten_seconds_with_a_new_authority_and_when_it_is_missed() {
        let mut sender = Sender::default();
        let memory = [0; 200];
        let is_whole = |unit: Vec<u8>| unit.len() >= 200;
        assert!(is_whole(unit(&mut sender, at(0), epoch(1), &memory)));
        assert!(!is_whole(unit(&mut sender, at(9), epoch(1), &memory)));
        assert!(is_whole(unit(&mut sender, at(10), epoch(1), &memory)));
        assert!(is_whole(unit(&mut sender, at(11), epoch(2), &memory)));
        assert!(!is_whole(unit(&mut sender, at(12), epoch(2), &memory)));
        sender.is_missed();
        assert!(is_whole(unit(&mut sender, at(13), epoch(2), &memory)));
        assert!(!is_whole(unit(&mut sender, at(14), epoch(2), &memory)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        let mut sender = Sender::default();
        let sent = unit(&mut sender, at(0), epoch(3), &[1, 2]);
        let receiver = Receiver::default();
        let open = |tag: Tag, from: Seat, epoch_min: Epoch, unit: &[u8]| {
            receiver.open(at(0), tag, from, epoch_min, unit, &mut Vec::new()).map(|_opened| ())
        };
        let refused = |refusal| Err(Unopened::Refused(refusal));
        assert_eq!(open(TAG, ACTIVE, epoch(3), &sent), Ok(()));
        assert_eq!(open(TAG, ACTIVE, epoch(4), &sent), Err(Unopened::Outdated));
        assert_eq!(open(TAG, Seat(1), epoch(3), &sent), refused(Refusal::Malformed));
        assert_eq!(open(Tag { section: 8, ..TAG }, ACTIVE, epoch(3), &sent), refused(Refusal::Section));
        assert_eq!(open(Tag { layout: 8, ..TAG }, ACTIVE, epoch(3), &sent), refused(Refusal::Layout));
        let mut other = sent.clone();
        other[0] = FORMAT as u8 + 1;
        assert_eq!(open(TAG, ACTIVE, epoch(3), &other), refused(Refusal::Format));
        assert_eq!(open(TAG, ACTIVE, epoch(3), &[]), refused(Refusal::Malformed));
    }
}
