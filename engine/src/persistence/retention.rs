//! Which segments of a journal are removed, and when: the oldest first, one at a time, and never the only good one.
//!
//! A segment's head is a snapshot, so the segments that are kept are the snapshots that are kept. What is removed was replaced by
//! a later head that has been read back from the disk and was right.

use crate::mistakes::{Mistake, makes};
use crate::time::{Span, Time};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// So many segments, the one under way included; at least one is kept whatever this says.
    pub keep: u32,
    /// Segments that ended longer ago are removed even if they are fewer; `None`: age does not matter.
    pub keep_for: Option<Span>,
}

/// A segment that lies on the disk and is written no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its number.
    pub number: u64,
    /// When it was written last; of one that a recovery found, when it was found.
    pub ended: Time,
}

impl Retention {
    /// The segment that may go now, of those that are written no more, the oldest first. `is_newest_good` says that the head of
    /// the one under way has been verified: as long as it has not, the newest good one is among these, and none goes.
    pub fn next_to_go(&self, closed: &[Closed], is_newest_good: bool, now: Time) -> Option<u64> {
        let may_go = is_newest_good || makes(Mistake::RemovesOnlyGood);
        let oldest = closed.first().filter(|_oldest| may_go)?;
        let is_too_old = self.keep_for.is_some_and(|span| now.since(oldest.ended) > span);
        (closed.len() > self.beside_newest() || is_too_old).then_some(oldest.number)
    }

    const fn beside_newest(&self) -> usize {
        self.keep.saturating_sub(1) as usize
    }

    /// When the oldest may go; `None`: not before there are more.
    pub fn next_look(&self, closed: &[Closed]) -> Option<Time> {
        let oldest = closed.first()?;
        if closed.len() > self.beside_newest() {
            return Some(oldest.ended);
        }
        // A nanosecond later than it may stay.
        self.keep_for.map(|span| oldest.ended + span + Span::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(ends: &[u64]) -> alloc::vec::Vec<Closed> {
        let of = |(number, second): (usize, &u64)| Closed { number: number as u64, ended: at(*second) };
        ends.iter().enumerate().map(of).collect()
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn the_oldest_goes_when_there_are_more_than_are_kept() {
        let retention = Retention { keep: 3, keep_for: None };
        assert_eq!(retention.next_to_go(&closed(&[1, 2]), true, at(9)), None);
        assert_eq!(retention.next_to_go(&closed(&[1, 2, 3]), true, at(9)), Some(0));
        assert_eq!(retention.next_look(&closed(&[1, 2])), None);
        assert_eq!(retention.next_look(&closed(&[1, 2, 3])), Some(at(1)));
    }

    #[test]
    fn the_oldest_goes_when_it_is_too_old() {
        let retention = Retention { keep: 9, keep_for: Some(Span::from_secs(10)) };
        assert_eq!(retention.next_to_go(&closed(&[1, 2]), true, at(11)), None);
        assert_eq!(retention.next_to_go(&closed(&[1, 2]), true, at(12)), Some(0));
        assert_eq!(retention.next_look(&closed(&[1, 2])), Some(at(11) + Span::from_nanos(1)));
    }

    #[test]
    fn nothing_goes_before_a_later_head_has_been_verified() {
        let retention = Retention { keep: 0, keep_for: Some(Span::ZERO) };
        assert_eq!(retention.next_to_go(&closed(&[1, 2, 3]), false, at(99)), None);
        assert_eq!(retention.next_to_go(&closed(&[1]), true, at(99)), Some(0));
        assert_eq!(retention.next_to_go(&[], true, at(99)), None);
    }
}
