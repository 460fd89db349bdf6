//! The event queue: what happens next, in the exact order of `(time, push order)`.
//!
//! What is pushed first for an instant is popped first, and what is pushed for the current instant comes
//! after all that is already there. No machine can observe more of the order than that, so another machine's
//! events never shift it.
//!
//! # The shape
//!
//! Three parts hold what is pending, each event in exactly one of them:
//!
//! - the **lane**, first in, first out, holds what was pushed for the current instant;
//! - the **run** is one sorted array of all that is due up to `run_end`. It is popped from its end, and a
//!   push that falls into it is inserted;
//! - the **wheel** (`wheel`) holds everything later, in slots of powers of two nanoseconds, appended and
//!   never looked at until the run is used up. Then its first slot becomes the next run.
//!
//! No event carries a sequence number. Slots are appended in push order, moved as a whole and sorted stably;
//! an event for an instant can only enter a finer slot, or the run, after all earlier ones for that instant
//! did. So the order of equal times is the order of pushes by construction.
//!
//! # Why this shape
//!
//! `cargo run --release -p r-ems-bench-peers` measures it beside others; the figures here are ns per event on
//! a shared 2-core AMD EPYC. Two plainer shapes were measured first:
//!
//! - A binary heap of `(time, push order, event)` mispredicts on its way down, and the more is pending the
//!   longer that way is: 53 with 1,024 pending, 180 with 100,000, 45 for periodic timers with a message each.
//!   The wheel moves an event two or three times whatever is pending: 38, 55 and 12.
//! - With a handful pending, milliseconds to minutes apart, as in a year of one site, the heap took 21 and
//!   the run with a binary search for the place 27. The run takes 14 since an insertion into a short one
//!   passes over all of it without a branch. The wheel stays out of it: while it is empty the run has no end,
//!   and `RUN_LEN_MAX` events fit before any is spilled.
//!
//! # Invariants
//!
//! - Nothing is pushed before the last popped time.
//! - All in the run is due at or before `run_end`, all in the wheel after it.
//! - Memory follows the largest number pending at once, never the number pushed; the steady state allocates
//!   nothing.

mod wheel;

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;

use crate::time::{Span, Time};
use wheel::{Entry, Wheel};

/// A longer run accepts no insertion before its later part has been spilled into the wheel.
///
/// It bounds what an insertion shifts; up to here a sorted array is also the fastest queue as a whole.
const RUN_LEN_MAX: usize = 64;

/// How much of an overlong run stays when the rest is spilled: the half of what fits, so that spills are
/// rare.
const RUN_LEN_KEPT: usize = RUN_LEN_MAX / 2;

/// Up to this length an insertion passes over the whole run, without a branch that depends on the times.
///
/// A search and a shift mispredict about twice an event, which costs more than comparing with all. Where runs
/// are longer the search wins.
const SHORT_RUN_LEN: usize = 16;

/// Events by time, and at one time by the order in which they were pushed.
#[derive(Clone, Debug)]
pub struct EventQueue<T> {
    /// The time of the last pop; nothing may be pushed before it.
    now: Time,
    /// Pushed for `now`, after all that the run holds for `now`.
    lane: VecDeque<T>,
    /// Everything else up to `run_end`, latest first, and at one time last pushed first.
    run: Vec<Entry<T>>,
    /// The last instant that the run is responsible for.
    run_end: Time,
    /// Everything after `run_end`.
    wheel: Wheel<T>,
}

impl<T> EventQueue<T> {
    /// Makes an empty queue at the first instant; it allocates nothing.
    pub const fn new() -> Self {
        Self {
            now: Time::ZERO,
            lane: VecDeque::new(),
            run: Vec::new(),
            run_end: Time::MAX,
            wheel: Wheel::new(),
        }
    }

    /// Adds an event after everything that is pending for the same instant.
    ///
    /// # Panics
    /// If `at` is before the time of the last pop: the caller rewrites history.
    pub fn push(&mut self, at: Time, item: T) {
        assert!(at >= self.now, "an event was pushed for {at}, but the queue has reached {}", self.now);
        if at == self.now {
            self.lane.push_back(item);
        } else if at > self.run_end {
            self.wheel.push(self.now, Entry { at, item });
        } else if self.run.len() < RUN_LEN_MAX {
            self.insert(Entry { at, item });
        } else {
            self.shorten_run();
            self.push(at, item);
        }
    }

    /// Removes the earliest event, of equal ones the first pushed.
    pub fn pop(&mut self) -> Option<(Time, T)> {
        if !self.lane.is_empty() && self.run.last().is_none_or(|entry| entry.at != self.now) {
            return self.lane.pop_front().map(|item| (self.now, item));
        }
        if self.run.is_empty() {
            self.refill_run();
        }
        let Entry { at, item } = self.run.pop()?;
        self.now = at;
        Some((at, item))
    }

    /// The time of the event that [`pop`](Self::pop) would return; the queue does not move.
    pub fn next_time(&self) -> Option<Time> {
        if self.lane.is_empty() {
            self.run.last().map_or_else(|| self.wheel.earliest(), |entry| Some(entry.at))
        } else {
            Some(self.now)
        }
    }

    /// How many events are pending.
    pub fn len(&self) -> usize {
        self.lane.len() + self.run.len() + self.wheel.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts an event into its place in the run, before those of the same time: the run is popped from its
    /// end.
    fn insert(&mut self, entry: Entry<T>) {
        if self.run.len() > SHORT_RUN_LEN {
            let place = self.run.partition_point(|other| other.at > entry.at);
            self.run.insert(place, entry);
            return;
        }
        // Once displaced, the carried one displaces all that follow, so that their order stays.
        let mut carried = entry;
        for other in &mut self.run {
            if other.at <= carried.at {
                mem::swap(other, &mut carried);
            }
        }
        self.run.push(carried);
    }

    /// Moves the later part of an overlong run into the wheel.
    ///
    /// Events of one time move together, so that none that is pushed later can overtake them. What is due now
    /// stays, however much it is: in the wheel it would fall behind the lane.
    fn shorten_run(&mut self) {
        let first_spilled = self.run[self.run.len() - RUN_LEN_KEPT].at.max(self.now + Span::from_nanos(1));
        let spilled = self.run.partition_point(|entry| entry.at >= first_spilled);
        // The order of pushes is from the end of the run to its start.
        for entry in self.run.drain(..spilled).rev() {
            self.wheel.push(self.now, entry);
        }
        self.run_end = first_spilled - Span::from_nanos(1);
    }

    /// Makes the first slot of the wheel the run; the caller pops from it at once, so that time follows.
    fn refill_run(&mut self) {
        self.run_end = self.wheel.take_first(&mut self.run);
        if self.wheel.is_empty() && self.run.len() < RUN_LEN_MAX {
            self.run_end = Time::MAX;
        } else if self.run.len() >= RUN_LEN_MAX {
            // A long run is better left alone: what is pushed behind its last event belongs into the wheel.
            self.run_end = self.run[0].at;
        }
    }
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}
