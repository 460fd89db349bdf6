//! How often a device is written in a day whose registers wear.
//!
//! What keeps a set-point in force is written in any case: the first write of an authority, its repetition before it expires, and
//! rest. For the repetitions of the rest of a day so many writes are set aside. What is left beside them moves the set-point;
//! once that is used up, it moves only when it is repeated anyway, which is coarse control and no standstill. What a device may
//! have lost is restored meanwhile, but not more often than it is repeated anyway. [`super::set_points::channel`] says which is
//! which.
//!
//! What has left counts, and nothing else: of a set-point of several requests, which write different registers, the first one,
//! and each that is sent once more. What a driver did not send, as it says later, is taken back.
//!
//! A day is 24 hours of the controller's own clock, from its first life on; time between two lives does not count, so that one
//! that is started again and again has no more for it. Each controller counts what it has written itself.

use serde::{Deserialize, Serialize};

use crate::carry::Carry;
use crate::time::{LocalTime, Span};

const DAY: Span = Span::from_hours(24);

/// What may be written to one device in a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteBudget {
    per_day: u32,
    /// How long after one write the next keeps its set-point in force.
    repeated_after: Span,
    used: u32,
    /// How much of the day was left when it was looked at last, and when that was in this life.
    left: Span,
    looked_at: Option<LocalTime>,
    is_used_up: bool,
    /// When something was restored last in this life that the day had no room for.
    restored_at: Option<LocalTime>,
}

/// What was written in a day, and how much of the day is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Day {
    used: i64,
    left_ns: i64,
}

impl Day {
    /// Passes it to another life.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.number(&mut self.used);
        carry.number(&mut self.left_ns);
    }
}

/// What changes with the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// Nothing.
    None,
    /// A day has begun, and the one before had used up what it had.
    Renewed,
}

/// How many repetitions there are in a time.
const fn repetitions(within: Span, repeated_after: Span) -> u64 {
    within.as_nanos().div_ceil(if repeated_after.is_zero() { 1 } else { repeated_after.as_nanos() })
}

impl WriteBudget {
    /// A budget for a device whose set-point must be repeated after so long.
    pub(super) const fn new(per_day: u32, repeated_after: Span) -> Self {
        Self {
            per_day,
            repeated_after,
            used: 0,
            left: DAY,
            looked_at: None,
            is_used_up: false,
            restored_at: None,
        }
    }

    /// How many writes a day keep a set-point in force that is repeated after so long.
    pub const fn least(repeated_after: Span) -> u64 {
        repetitions(DAY, repeated_after)
    }

    /// Goes on with the day of an earlier life, whose clock was another.
    pub(super) const fn forget(&mut self) {
        (self.looked_at, self.restored_at) = (None, None);
    }

    /// That it is used up is told anew: who heard of it forgets it with a life and with an authority.
    pub(super) const fn tell_anew(&mut self) {
        self.is_used_up = false;
    }

    /// The day as another life goes on with it.
    pub(super) const fn day(&self) -> Day {
        Day { used: self.used as i64, left_ns: self.left.as_nanos() as i64 }
    }

    /// Goes on with the day of another life. What cannot be is the nearest that can.
    pub(super) fn go_on(&mut self, Day { used, left_ns }: Day) {
        self.used = u32::try_from(used.max(0)).unwrap_or(u32::MAX);
        self.left = Span::from_nanos(left_ns.max(0).unsigned_abs()).min(DAY);
    }

    /// Lets the day go on to `now`.
    pub(super) fn pass(&mut self, now: LocalTime) -> Renewal {
        let passed = self.looked_at.map_or(Span::ZERO, |at| now.since(at));
        self.looked_at = Some(now);
        if passed < self.left {
            self.left = self.left - passed;
            return Renewal::None;
        }
        let into_day = (passed - self.left).as_nanos() % DAY.as_nanos();
        self.left = DAY - Span::from_nanos(into_day);
        self.used = 0;
        if core::mem::take(&mut self.is_used_up) { Renewal::Renewed } else { Renewal::None }
    }

    /// Whether something may be written that need not be.
    pub(super) const fn has_room(&self) -> bool {
        let set_aside = repetitions(self.left, self.repeated_after);
        self.used as u64 + set_aside < self.per_day as u64
    }

    /// Notes that something could not be written; returns how much a day has and when the next begins if that is the first
    /// time today.
    pub(super) const fn deny(&mut self) -> Option<(u32, Span)> {
        if self.is_used_up {
            return None;
        }
        self.is_used_up = true;
        Some((self.per_day, self.left))
    }

    /// Whether something may be restored that the day has no room for.
    pub(super) fn may_restore(&self, now: LocalTime) -> bool {
        self.restored_at.is_none_or(|at| now.since(at) >= self.repeated_after)
    }

    /// Notes that something is restored that the day has no room for.
    pub(super) const fn restore(&mut self, now: LocalTime) {
        self.restored_at = Some(now);
    }

    /// Counts what has left.
    pub(super) const fn count(&mut self) {
        self.used = self.used.saturating_add(1);
    }

    /// Takes one back that was counted and has not left after all.
    pub(super) const fn take_back(&mut self) {
        self.used = self.used.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Span = Span::from_hours(1);

    fn at(hours: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_hours(hours)
    }

    /// 30 a day, of which 24 repeat the set-point each hour.
    fn budget() -> WriteBudget {
        let mut budget = WriteBudget::new(30, HOUR);
        assert_eq!(budget.pass(at(5)), Renewal::None);
        budget
    }

    fn room(budget: &WriteBudget) -> u32 {
        let mut budget = *budget;
        let mut count = 0;
        while budget.has_room() {
            budget.count();
            count += 1;
        }
        count
    }

    #[test]
    fn what_repeats_a_set_point_for_the_rest_of_the_day_is_set_aside() {
        let mut budget = budget();
        assert_eq!(u64::from(room(&budget)), 30 - WriteBudget::least(HOUR));
        budget.count();
        assert_eq!(room(&budget), 5);
        // It was repeated for twelve hours less than it might have been.
        budget.pass(at(17));
        assert_eq!(room(&budget), 17);
        budget.pass(at(28));
        assert_eq!(room(&budget), 28);
    }

    #[test]
    fn a_day_begins_24_hours_after_the_first_look_and_says_so_if_the_one_before_was_used_up() {
        for is_used_up in [false, true] {
            let mut budget = budget();
            (0..30).for_each(|_| budget.count());
            assert!(!budget.has_room());
            if is_used_up {
                assert_eq!(budget.deny(), Some((30, Span::from_hours(24))));
                assert_eq!(budget.deny(), None, "it is said once");
                budget.tell_anew();
                assert!(budget.deny().is_some(), "and once under each authority");
            }
            assert_eq!(budget.pass(LocalTime::from_nanos(at(29).as_nanos() - 1)), Renewal::None);
            let expected = if is_used_up { Renewal::Renewed } else { Renewal::None };
            assert_eq!(budget.pass(at(29)), expected);
            assert_eq!(room(&budget), 6);
            // Days that nobody looked at are over too.
            budget.count();
            budget.pass(at(29 + 72 + 1));
            assert_eq!((budget.used, budget.left), (0, Span::from_hours(23)));
        }
    }

    #[test]
    fn no_day_of_another_life_is_longer_than_a_day() {
        let mut budget = budget();
        budget.go_on(Day { used: -7, left_ns: i64::MAX });
        assert_eq!((budget.used, budget.left), (0, DAY));
        budget.go_on(Day { used: i64::MAX, left_ns: -1 });
        assert_eq!((budget.used, budget.left), (u32::MAX, Span::ZERO));
        assert_eq!(budget.pass(at(5)), Renewal::None, "a day begins");
        assert_eq!((budget.used, budget.left), (0, DAY));
    }

    #[test]
    fn a_new_life_goes_on_with_the_day_and_has_no_more_for_it() {
        let mut budget = budget();
        (0..6).for_each(|_| budget.count());
        budget.pass(at(8));
        budget.forget();
        budget.pass(at(1_000));
        assert_eq!((budget.used, budget.left), (6, Span::from_hours(21)));
    }
}
