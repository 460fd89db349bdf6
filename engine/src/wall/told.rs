//! What a driver tells its machines of the wall clock, and when it must tell it anew.
//!
//! A machine hears what the wall clock shows when it boots, and again when the clock no longer shows what follows from that by
//! the host's monotonic clock: it was set, it was corrected, or the host vouches for it no more. In between the machine counts
//! on. Only what people date rests on it: billing windows, and how long a host was off. Nothing is timed by it, and authority
//! never depends on it.

use super::WallTime;
use crate::time::{LocalTime, Span};

/// A machine is told anew when the wall clock differs by more than this from what it believes: a clock of 600 ppm gets there
/// in three minutes, and a billing window of a quarter of an hour does not notice it.
pub const TOLERANCE: Span = Span::from_millis(100);
/// A driver looks this often whether the wall clock still shows what its machines believe; a step is told at once.
pub const LOOKS_EVERY: Span = Span::from_mins(1);
/// A wall clock that moved by this or more was set, and that is reported; by less it was only corrected.
pub const STEP_MIN: Span = Span::from_secs(1);

/// What a machine was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// When, by its host's clock.
    pub at: LocalTime,
    /// What the wall clock showed; `None`: the host did not vouch for it.
    pub wall: Option<WallTime>,
}

impl Told {
    /// A machine that has not booted was told nothing.
    pub const NOTHING: Self = Self { at: LocalTime::ZERO, wall: None };

    /// What the machine believes at `now`.
    pub fn believes(&self, now: LocalTime) -> Option<WallTime> {
        self.wall.map(|wall| wall + now.since(self.at))
    }

    /// Whether it must be told that the clock shows `wall` at `now`.
    pub fn is_outdated(&self, now: LocalTime, wall: Option<WallTime>) -> bool {
        differs(self.believes(now), wall, TOLERANCE)
    }
}

/// Whether a machine that believes `before` learns from `after` that its wall clock was set.
pub fn is_set(before: Option<WallTime>, after: Option<WallTime>) -> bool {
    before != after && differs(before, after, STEP_MIN - Span::from_nanos(1))
}

fn differs(one: Option<WallTime>, other: Option<WallTime>, beyond: Span) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.since(other).max(other.since(one)) > beyond,
        (None, None) => false,
        (Some(_), None) | (None, Some(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: WallTime = WallTime::from_unix_nanos(1_457_524_800_000_000_000);

    fn at(seconds: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_secs(seconds)
    }

    #[test]
    fn a_machine_is_told_anew_when_the_clock_leaves_what_it_counts_on_to() {
        let told = Told { at: at(5), wall: Some(NOON) };
        let due = NOON + Span::from_secs(60);
        assert_eq!(told.believes(at(65)), Some(due));
        for (wall, is_outdated) in [
            (Some(due), false),
            (Some(due + TOLERANCE), false),
            (Some(due - TOLERANCE), false),
            (Some(due + TOLERANCE + Span::from_nanos(1)), true),
            (Some(due - TOLERANCE - Span::from_nanos(1)), true),
            (None, true),
        ] {
            assert_eq!(told.is_outdated(at(65), wall), is_outdated, "{wall:?}");
        }
        assert!(!Told::NOTHING.is_outdated(at(65), None));
        assert!(Told::NOTHING.is_outdated(at(65), Some(NOON)));
    }

    #[test]
    fn a_second_is_a_step_and_less_is_a_correction() {
        let just_less = STEP_MIN - Span::from_nanos(1);
        for (after, was_set) in [
            (NOON + STEP_MIN, true),
            (NOON - STEP_MIN, true),
            (NOON + just_less, false),
            (NOON - just_less, false),
        ] {
            assert_eq!(is_set(Some(NOON), Some(after)), was_set, "{after}");
        }
        assert!(is_set(Some(NOON), None) && is_set(None, Some(NOON)) && !is_set(None, None));
    }
}
