//! What happens to the world, beside the queue: a sorted list whose head competes with what the queue has.
//!
//! At one instant the timeline comes first, as what was planned at the run's start. It is no part of the queue, so that two
//! worlds that differ only in what is yet to happen are the same world until then, bit for bit: what was simulated of one is the
//! beginning of the other. That is what a search resumes from that tries a fault more or less.

use alloc::vec::Vec;

use r_ems_engine::Time;

use super::SimDriver;
use super::pending::Pending;
use crate::world::{Change, Timed};

/// What happens when, and how far the run is in it.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    /// In time order.
    entries: Vec<Timed>,
    /// The place of what happens next.
    next: u32,
    /// When that is; the end of time if nothing is left.
    due: Time,
}

impl Timeline {
    pub(super) fn new(mut entries: Vec<Timed>) -> Self {
        entries.sort_by_key(|timed| timed.at);
        let due = due(&entries);
        Self { entries, next: 0, due }
    }

    /// When something happens next; the end of time if nothing is left.
    #[inline]
    pub(super) const fn due(&self) -> Time {
        self.due
    }

    /// Takes what happens next.
    ///
    /// # Panics
    /// If nothing is left: whoever asks has seen when it is due.
    pub(super) fn take(&mut self) -> Pending {
        let Timed { change, .. } = self.entries[self.next as usize];
        self.next += 1;
        self.due = due(&self.entries[self.next as usize..]);
        Pending::Timeline(change)
    }

    /// Plans something more, after what is planned for the same instant already. What is over is forgotten, but for its last
    /// instant: whoever asks for more for ever takes no more room for it.
    pub(super) fn insert(&mut self, timed: Timed) {
        if let Some(last) = self.next.checked_sub(1) {
            let last = self.entries[last as usize].at;
            let over = self.entries.partition_point(|entry| entry.at < last);
            self.entries.drain(..over);
            self.next -= over as u32;
        }
        let next = self.next as usize;
        let place = next + self.entries[next..].partition_point(|planned| planned.at <= timed.at);
        self.entries.insert(place, timed);
        self.due = due(&self.entries[next..]);
    }

    /// All that happens at an instant.
    pub(super) fn at(&self, at: Time) -> impl Iterator<Item = Change> {
        let begins = self.entries.partition_point(|timed| timed.at < at);
        self.entries[begins..].iter().take_while(move |timed| timed.at == at).map(|timed| timed.change)
    }

    /// Whether another list, in time order, has the same happen up to `now`. The same list always has: at the run's start that
    /// may still have to happen which is due then.
    fn has_begun_as(&self, now: Time, other: &[Timed]) -> bool {
        let begun = self.next as usize;
        let is_past_shared = || other.get(..begun) == Some(&self.entries[..begun]);
        other == self.entries || (is_past_shared() && due(&other[begun..]) > now)
    }
}

fn due(left: &[Timed]) -> Time {
    left.first().map_or(Time::MAX, |timed| timed.at)
}

impl SimDriver {
    /// Whether the same world with another timeline, which is in time order, would stand exactly here too.
    pub fn has_begun_as(&self, timeline: &[Timed]) -> bool {
        self.timeline.has_begun_as(self.now, timeline)
    }

    /// Replaces what is yet to happen, and when the run is over: it goes on as if it had been made so, wherever it was stopped by
    /// its end.
    ///
    /// # Panics
    /// If the timeline has not begun as this one ([`SimDriver::has_begun_as`]), or the end is over.
    pub fn resume(&mut self, timeline: Vec<Timed>, end: Time) {
        assert!(self.has_begun_as(&timeline), "what has happened stays");
        assert!(end >= self.now, "a run does not end before it stands");
        let next = self.timeline.next;
        let due = due(&timeline[next as usize..]);
        self.timeline = Timeline { entries: timeline, next, due };
        self.end = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::Life;

    fn down(seconds: u64) -> Timed {
        let at = Time::ZERO + r_ems_engine::Span::from_secs(seconds);
        Timed { at, change: Change::Host { host: 0, state: Life::Down } }
    }

    #[test]
    fn what_happens_first_is_taken_first_and_at_one_instant_what_stands_first() {
        let other = Timed { change: Change::Host { host: 1, state: Life::Down }, ..down(2) };
        let mut timeline = Timeline::new(alloc::vec![down(2), other, down(1)]);
        let mut taken = Vec::new();
        while timeline.due() < Time::MAX {
            let due = timeline.due();
            let Pending::Timeline(change) = timeline.take() else { panic!("it is of the timeline") };
            taken.push(Timed { at: due, change });
        }
        assert_eq!(taken, [down(1), down(2), other]);
    }

    #[test]
    fn a_timeline_has_begun_as_one_that_differs_only_in_what_is_yet_to_happen() {
        let mut timeline = Timeline::new(alloc::vec![down(1), down(3)]);
        assert!(timeline.has_begun_as(Time::ZERO, &[down(2)]), "nothing has happened yet");
        timeline.take();
        let now = down(2).at;
        assert!(timeline.has_begun_as(now, &[down(1), down(4), down(5)]));
        assert!(timeline.has_begun_as(now, &[down(1)]));
        assert!(!timeline.has_begun_as(now, &[down(1), down(2)]), "that would have happened");
        assert!(!timeline.has_begun_as(now, &[down(3)]) && !timeline.has_begun_as(now, &[]));
    }

    #[test]
    fn whoever_asks_for_more_again_and_again_takes_no_more_room() {
        let mut timeline = Timeline::new(Vec::new());
        for seconds in 1..1_000 {
            timeline.insert(down(seconds));
            timeline.take();
        }
        assert_eq!(timeline.entries, [down(998), down(999)]);
    }

    #[test]
    fn what_happens_at_the_present_instant_is_not_forgotten() {
        let mut timeline = Timeline::new(alloc::vec![down(1), down(2), down(2)]);
        timeline.take();
        timeline.take();
        timeline.insert(down(2));
        assert_eq!(timeline.entries, [down(2); 3]);
        assert_eq!((timeline.next, timeline.due), (1, down(2).at));
    }

    #[test]
    fn what_is_due_at_the_start_may_still_have_to_happen() {
        let timeline = Timeline::new(alloc::vec![down(0)]);
        assert!(timeline.has_begun_as(Time::ZERO, &[down(0)]));
        assert!(!timeline.has_begun_as(Time::ZERO, &[down(0), down(0)]));
    }
}
