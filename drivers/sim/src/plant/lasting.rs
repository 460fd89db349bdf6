//! A condition that acts only when it has lasted for its time, as protection relays have it.

use r_ems_engine::{Span, Time};

/// Since when a condition holds, and for how long it must.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lasting {
    delay: Span,
    since: Option<Time>,
}

impl Lasting {
    /// A condition that must hold for `delay`.
    pub(super) const fn new(delay: Span) -> Self {
        Self { delay, since: None }
    }

    /// Hears whether the condition holds at `now`, and says whether it has lasted.
    pub(super) fn look(&mut self, holds: bool, now: Time) -> bool {
        if !holds {
            self.since = None;
            return false;
        }
        now.since(*self.since.get_or_insert(now)) >= self.delay
    }

    /// Forgets that it ever held.
    pub(super) fn clear(&mut self) {
        self.since = None;
    }

    /// When it will have lasted if it goes on to hold; never while it does not.
    pub(super) fn due(&self) -> Time {
        self.since.map_or(Time::MAX, |since| since + self.delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_acts_at_the_end_of_its_time_and_begins_anew_when_it_was_interrupted() {
        let at = |millis| Time::ZERO + Span::from_millis(millis);
        let mut lasting = Lasting::new(Span::from_millis(100));
        assert!(!lasting.look(true, at(0)) && !lasting.look(true, at(99)));
        assert_eq!(lasting.due(), at(100));
        assert!(lasting.look(true, at(100)));
        assert!(
            !lasting.look(false, at(101)) && !lasting.look(true, at(150)) && !lasting.look(true, at(249))
        );
        assert!(lasting.look(true, at(250)));
        lasting.clear();
        assert_eq!(lasting.due(), Time::MAX);
    }
}
