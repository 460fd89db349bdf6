//! The far part of the event queue: a wheel of powers of two that looks at its events as late as possible.
//!
//! A time is a number of eleven digits of six bits. Relative to the cursor, a time that is not after any
//! pending one, an event belongs to the level of its highest digit that differs and there to the slot of that
//! digit. So the lowest occupied level's lowest occupied slot holds the earliest events, and two bit scans
//! find it.
//!
//! A push appends to its slot and remembers whether the slot is still in order. When a slot is reached it is
//! taken as it is if it is in order, as with periodic timers; sorted if it is short; and else spread over the
//! levels below, whose slots are up to 64 times shorter. Nothing has to be tuned to the spacing of events.
//!
//! Slots are lists of chunks from one pool. A `Vec` for each slot would keep the capacity that the slot once
//! needed, and in the course of a run all 704 would grow to that.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::mem;

use crate::time::Time;

/// Bits of a digit: 64 slots a level, so that one word holds which of them are occupied.
const DIGIT_BITS: u32 = 6;

/// Slots of a level.
const SLOTS: usize = 1 << DIGIT_BITS;

/// Levels that a 64-bit time needs.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;

/// Events of a chunk: long enough to amortize its link, short enough that a slot with one event wastes
/// little.
const CHUNK_LEN: u32 = 16;

/// Ends a list of chunks.
const NO_CHUNK: u32 = u32::MAX;

/// The longest unordered slot that is sorted instead of spread, for entries of at most [`SORT_BYTES`] in all.
const SORT_LEN_MAX: usize = 64;

/// The scratch that the standard stable sort has on its stack; a longer slot would make it allocate.
const SORT_BYTES: usize = 4096;

/// The length up to which the standard stable sort needs no scratch.
const SORT_LEN_IN_PLACE: usize = 20;

/// An event and its time.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    pub(super) at: Time,
    pub(super) item: T,
}

impl<T> Entry<T> {
    /// The longest unordered slot that is sorted instead of spread.
    const SORTED_LEN_MAX: usize =
        if size_of::<Self>() * SORT_LEN_MAX <= SORT_BYTES { SORT_LEN_MAX } else { SORT_LEN_IN_PLACE };
}

/// Pending events that are not yet in order.
#[derive(Clone, Debug)]
pub(super) struct Wheel<T> {
    /// Not after anything in the wheel; the place of an event is relative to it.
    cursor: Time,
    len: u32,
    /// Bit n: level n has an occupied slot.
    occupied_levels: u16,
    /// Per level, bit n: slot n is occupied.
    occupied: [u64; LEVELS],
    /// Per level, bit n: slot n is not in order.
    unordered: [u64; LEVELS],
    /// All slots of all levels; empty until the wheel is first used, since small simulations never do.
    slots: Vec<Slot>,
    pool: Vec<Chunk<T>>,
    /// The first of the pool's unused chunks.
    unused: u32,
}

/// The events of one span, in push order. Meaningful only while it is occupied.
#[derive(Clone, Copy, Debug)]
struct Slot {
    earliest: Time,
    latest: Time,
    len: u32,
    newest_chunk: u32,
}

const EMPTY_SLOT: Slot = Slot { earliest: Time::MAX, latest: Time::ZERO, len: 0, newest_chunk: NO_CHUNK };

/// A piece of a slot, or of the list of unused chunks.
#[derive(Debug)]
struct Chunk<T> {
    entries: Vec<Entry<T>>,
    previous: u32,
}

impl<T: Clone> Clone for Chunk<T> {
    /// Keeps the capacity, which a derived clone would lose: pushing to the clone must not allocate again.
    fn clone(&self) -> Self {
        let mut entries = Vec::with_capacity(self.entries.capacity());
        entries.extend_from_slice(&self.entries);
        Self { entries, previous: self.previous }
    }
}

impl<T> Wheel<T> {
    /// Makes an empty wheel; it allocates nothing.
    pub(super) const fn new() -> Self {
        Self {
            cursor: Time::ZERO,
            len: 0,
            occupied_levels: 0,
            occupied: [0; LEVELS],
            unordered: [0; LEVELS],
            slots: Vec::new(),
            pool: Vec::new(),
            unused: NO_CHUNK,
        }
    }

    /// Adds an event that is due at or after `now`; nothing may be pushed before `now` any more.
    pub(super) fn push(&mut self, now: Time, entry: Entry<T>) {
        if self.len == 0 {
            self.cursor = now;
            self.slots.resize(LEVELS * SLOTS, EMPTY_SLOT);
        }
        self.len += 1;
        self.append(entry);
    }

    /// Moves the earliest slot into the empty `run`, latest first and of equal times the last pushed first.
    ///
    /// Returns the last instant for which the wheel holds nothing any more. The earliest event must be popped
    /// next: the cursor stands at it.
    pub(super) fn take_first(&mut self, run: &mut Vec<Entry<T>>) -> Time {
        while self.occupied_levels != 0 {
            let level = self.occupied_levels.trailing_zeros() as usize;
            let digit = self.occupied[level].trailing_zeros() as usize;
            let index = level * SLOTS + digit;
            let slot = mem::replace(&mut self.slots[index], EMPTY_SLOT);
            let ordered = self.unordered[level] & (1 << digit) == 0;
            self.vacate(level, digit);
            self.cursor = slot.earliest;
            if ordered || slot.len as usize <= Entry::<T>::SORTED_LEN_MAX {
                self.len -= slot.len;
                self.drain_newest_first(slot.newest_chunk, run);
                if !ordered {
                    run.sort_by_key(|entry| Reverse(entry.at));
                }
                return Time::from_nanos(slot.earliest.as_nanos() | last_nanos(level));
            }
            self.spread(slot.newest_chunk);
        }
        Time::MAX
    }

    /// The time of the earliest event.
    pub(super) fn earliest(&self) -> Option<Time> {
        if self.len == 0 {
            return None;
        }
        let level = self.occupied_levels.trailing_zeros() as usize;
        let digit = self.occupied[level].trailing_zeros() as usize;
        Some(self.slots[level * SLOTS + digit].earliest)
    }

    /// How many events the wheel holds.
    pub(super) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether the wheel holds nothing.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an event to the slot that its time has relative to the cursor.
    fn append(&mut self, entry: Entry<T>) {
        let at = entry.at.as_nanos();
        // The lowest bit is set so that the cursor's own instant has a highest bit too; that is level 0
        // either way.
        let level = ((at ^ self.cursor.as_nanos() | 1).ilog2() / DIGIT_BITS) as usize;
        let digit = (at >> (level as u32 * DIGIT_BITS)) as usize % SLOTS;
        let slot = &mut self.slots[level * SLOTS + digit];
        self.unordered[level] |= u64::from(entry.at < slot.latest) << digit;
        slot.earliest = slot.earliest.min(entry.at);
        slot.latest = slot.latest.max(entry.at);
        if slot.len.is_multiple_of(CHUNK_LEN) {
            self.occupied[level] |= 1 << digit;
            self.occupied_levels |= 1 << level;
            slot.newest_chunk = take_chunk(&mut self.pool, &mut self.unused, slot.newest_chunk);
        }
        slot.len += 1;
        self.pool[slot.newest_chunk as usize].entries.push(entry);
    }

    /// Marks a slot as empty.
    fn vacate(&mut self, level: usize, digit: usize) {
        self.occupied[level] &= !(1 << digit);
        self.unordered[level] &= !(1 << digit);
        if self.occupied[level] == 0 {
            self.occupied_levels &= !(1 << level);
        }
    }

    /// Moves a list of chunks into the run, from the last pushed to the first.
    fn drain_newest_first(&mut self, newest: u32, run: &mut Vec<Entry<T>>) {
        let mut id = newest;
        while id != NO_CHUNK {
            let chunk = &mut self.pool[id as usize];
            run.extend(chunk.entries.drain(..).rev());
            let previous = mem::replace(&mut chunk.previous, self.unused);
            self.unused = id;
            id = previous;
        }
    }

    /// Appends a list of chunks again, in push order; since the cursor is in their slot they come to lie in
    /// lower levels.
    fn spread(&mut self, newest: u32) {
        let mut id = self.reversed(newest);
        while id != NO_CHUNK {
            let mut entries = mem::take(&mut self.pool[id as usize].entries);
            for entry in entries.drain(..) {
                self.append(entry);
            }
            let chunk = &mut self.pool[id as usize];
            chunk.entries = entries;
            let next = mem::replace(&mut chunk.previous, self.unused);
            self.unused = id;
            id = next;
        }
    }

    /// Turns the links of a list of chunks around and returns its oldest.
    fn reversed(&mut self, newest: u32) -> u32 {
        let mut done = NO_CHUNK;
        let mut id = newest;
        while id != NO_CHUNK {
            let previous = mem::replace(&mut self.pool[id as usize].previous, done);
            done = id;
            id = previous;
        }
        done
    }
}

/// Takes an unused chunk, or a new one if there is none, and links it to `previous`.
fn take_chunk<T>(pool: &mut Vec<Chunk<T>>, unused: &mut u32, previous: u32) -> u32 {
    if *unused == NO_CHUNK {
        let id = u32::try_from(pool.len()).expect("four billion chunks do not fit into memory");
        pool.push(Chunk { entries: Vec::with_capacity(CHUNK_LEN as usize), previous });
        return id;
    }
    let id = *unused;
    *unused = mem::replace(&mut pool[id as usize].previous, previous);
    id
}

/// The lower digits of the last instant of a slot of this level.
const fn last_nanos(level: usize) -> u64 {
    (1 << (level as u32 * DIGIT_BITS)) - 1
}

const _: () = assert!(LEVELS <= u16::BITS as usize, "one bit of occupied_levels per level");

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes and takes `rounds` times so many events, `step` nanoseconds apart.
    fn turn(wheel: &mut Wheel<u32>, rounds: u64, pending: u64, step: u64) {
        let mut run = Vec::new();
        let mut now = wheel.cursor;
        for _ in 0..rounds {
            for index in 0..pending {
                // Multiplying by a number without common factors leaves no slot in order.
                let at = Time::from_nanos(now.as_nanos() + 1 + (index * 7_919 % pending) * step);
                wheel.push(now, Entry { at, item: 0 });
            }
            while !wheel.is_empty() {
                wheel.take_first(&mut run);
                now = run.first().expect("a slot that is taken is not empty").at;
                run.clear();
            }
        }
    }

    #[test]
    fn the_pool_follows_what_is_pending_and_not_what_was_pushed() {
        let mut wheel = Wheel::new();
        turn(&mut wheel, 1_000, 500, 12_345);
        let bound = 500_usize.div_ceil(CHUNK_LEN as usize) + LEVELS * SLOTS;
        assert!(wheel.pool.len() <= bound, "{} chunks for 500 events", wheel.pool.len());
        let after_many = wheel.pool.len();
        turn(&mut wheel, 1_000, 400, 12_345);
        assert_eq!(wheel.pool.len(), after_many);
    }

    #[test]
    fn a_clone_keeps_the_capacity_of_its_chunks() {
        let mut wheel = Wheel::new();
        turn(&mut wheel, 1, 100, 1_000);
        let clone = wheel.clone();
        assert!(clone.pool.iter().all(|chunk| chunk.entries.capacity() >= CHUNK_LEN as usize));
    }
}
