//! How long before an instant a wait for it wakes, which is learned from how late it woke.
//!
//! What a wake takes is a matter of the machine: some microseconds where processors never rest, half a millisecond at times where
//! idle ones are given to others. So the lead is held where one wake in a thousand takes longer: it rises by a step with each
//! of those, and falls by a thousandth of a step with each other one.

use r_ems_engine::{Span, Time};

/// The shortest lead, and for so long the clock alone is watched at the end.
pub(super) const LEAST: Span = Span::from_micros(100);
/// The longest lead: what takes longer is no wake, but somebody who took the processor.
const MOST: Span = Span::from_millis(1);
/// So much longer it becomes with a wake that took longer.
const RISE: Span = Span::from_micros(100);
/// So much shorter it becomes with each other one.
const FALL: Span = Span::from_nanos(100);
/// Beyond the shortest, a lead takes at most this part of what is waited for: whoever waits does not keep a core busy.
const PART: u64 = 8;

/// How long before an instant somebody wakes.
#[derive(Debug)]
pub(super) struct Lead {
    learned: Span,
    /// What is waited for.
    until: Time,
    /// The lead before that.
    before: Span,
}

impl Lead {
    /// Nothing is learned yet.
    pub(super) const NEW: Self = Self { learned: LEAST, until: Time::ZERO, before: LEAST };

    /// How long before `until` to wake, for who waits for it at `now`. It stays what it was when that was waited for first,
    /// whatever ends the wait meanwhile.
    pub(super) fn before(&mut self, now: Time, until: Time) -> Span {
        if until > now && until != self.until {
            let part = Span::from_nanos(until.since(now).as_nanos() / PART);
            (self.until, self.before) = (until, self.learned.min(part.max(LEAST)));
        }
        self.before
    }

    /// A wake took so long.
    pub(super) fn learn(&mut self, took: Span) {
        let learned = if took > self.learned { self.learned + RISE } else { self.learned - FALL };
        self.learned = learned.clamp(LEAST, MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_nanos(5_000_000);

    /// The lead before what is far away, and is not what was waited for last.
    fn learned(lead: &mut Lead) -> Span {
        let until = if lead.until == Time::MAX { Time::MAX - Span::from_nanos(1) } else { Time::MAX };
        lead.before(NOW, until)
    }

    #[test]
    fn one_wake_in_about_a_thousand_takes_longer() {
        let mut lead = Lead::NEW;
        assert_eq!(learned(&mut lead), LEAST);
        // As often each: 1, 2, ... 500 us.
        let mut longer = 0;
        for wake in 0..100_000_u64 {
            let took = Span::from_micros(1 + wake * 7_919 % 500);
            longer += u64::from(wake >= 20_000 && took > learned(&mut lead));
            lead.learn(took);
        }
        assert!((60..=100).contains(&longer), "{longer} of 80,000");
        (0..100_000).for_each(|_| lead.learn(Span::ZERO));
        assert_eq!(learned(&mut lead), LEAST, "it is learned anew where wakes are quick");
        (0..100_000).for_each(|_| lead.learn(Span::MAX));
        assert_eq!(learned(&mut lead), MOST);
    }

    #[test]
    fn a_lead_takes_a_part_of_the_wait_and_stays_while_the_same_is_waited_for() {
        let mut lead = Lead::NEW;
        (0..1_000).for_each(|_| lead.learn(Span::MAX));
        let until = NOW + Span::from_millis(4);
        assert_eq!(lead.before(NOW, until), Span::from_micros(500));
        assert_eq!(
            lead.before(NOW + Span::from_micros(3_700), until),
            Span::from_micros(500),
            "a frame came"
        );
        assert_eq!(lead.before(until, Time::ZERO), Span::from_micros(500), "nothing was waited for");
        assert_eq!(lead.before(NOW, NOW + Span::from_micros(800)), LEAST);
        assert_eq!(lead.before(NOW, NOW + Span::from_micros(808)), Span::from_micros(101));
        assert_eq!(lead.before(NOW, NOW + Span::from_millis(10)), MOST);
    }
}
