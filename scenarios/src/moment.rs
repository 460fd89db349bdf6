//! Moments: instants that a scenario names, counted from the run's start or by the site's wall clock, once or every day.

use r_ems_engine::wall::{TimeZone, UtcOffset, WallTime};
use r_ems_engine::{Span, Time};

use crate::mistake::Notes;
use crate::node::Node;

/// Most instants that all repetitions of one list may name: ten a day for a quarter of a century.
pub(crate) const MAX_REPETITIONS: usize = 100_000;

/// What instants are counted from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    pub(crate) start: WallTime,
    pub(crate) zone: TimeZone,
    /// How long the run lasts by its file: nothing may be named that is later.
    pub(crate) duration: Span,
    /// Whether start and duration are the scenario's own; else they stand in for what is missing there, and neither covering
    /// the run nor repeating in it means anything.
    pub(crate) is_dated: bool,
}

/// When something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At one instant.
    Once(Time),
    /// Each day, so long after the site's midnight.
    Daily(Span),
}

impl Calendar {
    /// Reads `"+10 min"`, `"2016-03-09 18:02:30"` or `Daily("18:00")`.
    pub(crate) fn when(&self, node: &Node<'_>, notes: &mut Notes) -> Option<When> {
        if node.name() != "Daily" {
            return self.moment(node, notes).map(When::Once);
        }
        let values = node.positional(notes)?;
        let [value] = values.as_slice() else {
            node.error(notes, format!("expected Daily(\"18:00\"), got {} values", values.len()));
            return None;
        };
        let text: String = value.leaf(notes)?;
        // The clock of the first day of all is as good as any other; only the time of day is read.
        let clock = WallTime::parse_local(&format!("1970-01-01 {}", text.trim()), UtcOffset::UTC);
        match clock {
            Ok(clock) if !text.trim().is_empty() => Some(When::Daily(clock.since(WallTime::EPOCH))),
            Ok(_) | Err(_) => {
                let allowed = "a time of day from 00:00 to 23:59:59.999, such as \"18:00\"";
                value.error(notes, format!("expected {allowed}, got \"{text}\""));
                None
            }
        }
    }

    /// All instants of the run at which something happens.
    pub(crate) fn instants(&self, when: When) -> Vec<Time> {
        match when {
            When::Once(at) => vec![at],
            When::Daily(clock) => {
                let end = Time::ZERO + self.duration;
                let instant = |day| self.run_at(self.zone.instants(day, nanos(clock)).first());
                self.days().filter_map(instant).take_while(|at| *at <= end).collect()
            }
        }
    }

    /// Reads a beginning and an end, and gives every window of the run between them, the first and last cut to it.
    ///
    /// Both are moments, or both are `Daily`; a daily end that is not later than the beginning is the next day's.
    pub(crate) fn windows(&self, begin: &Node<'_>, end: &Node<'_>, notes: &mut Notes) -> Vec<(Time, Time)> {
        let (from, to) = (self.when(begin, notes), self.when(end, notes));
        match (from, to) {
            (Some(When::Once(from)), Some(When::Once(to))) => {
                if to <= from {
                    end.error(notes, "must be later than the beginning");
                }
                vec![(from, to)]
            }
            (Some(When::Daily(from)), Some(When::Daily(to))) if from == to => {
                end.error(notes, "must be another time of day than the beginning");
                Vec::new()
            }
            (Some(When::Daily(from)), Some(When::Daily(to))) => self.daily_windows(from, to),
            (Some(_), Some(_)) => {
                end.error(notes, "expected Daily(…) at both ends or at none");
                Vec::new()
            }
            (Some(_) | None, Some(_) | None) => Vec::new(),
        }
    }

    /// What is daily follows the site's clocks on days of 23 and of 25 hours too, as [`TimeZone::span_of`] says.
    fn daily_windows(&self, from: Span, to: Span) -> Vec<(Time, Time)> {
        let last = Time::ZERO + self.duration;
        let cut = |day: i64| {
            let (begin, end) = self.zone.span_of(day, nanos(from), nanos(to));
            let begin = self.run_at(begin).unwrap_or(Time::ZERO);
            let end = self.run_at(end)?.min(last);
            (begin < end).then_some((begin, end))
        };
        let is_begun = |day: &i64| {
            let begin = self.zone.instants(*day, nanos(from)).first();
            self.run_at(begin).is_none_or(|at| at <= last)
        };
        self.days().take_while(is_begun).filter_map(cut).collect()
    }

    /// The day before the run's start and every day after it, counted from 1970-01-01, without end.
    fn days(&self) -> impl Iterator<Item = i64> + use<> {
        let first = self.zone.civil(self.start).day() - 1;
        let days = if self.is_dated { MAX_REPETITIONS } else { 1 };
        (first..).take(days)
    }

    /// The run's instant at a wall time; none before the start.
    fn run_at(&self, wall: WallTime) -> Option<Time> {
        (wall >= self.start).then(|| Time::ZERO + wall.since(self.start))
    }

    /// Reads `"+10 min"` or `"2016-03-09 18:02:30"`.
    pub(crate) fn moment(&self, node: &Node<'_>, notes: &mut Notes) -> Option<Time> {
        if node.name() == "Daily" {
            let one = "expected one moment, such as \"+10 min\" or \"2016-03-09 18:02:30\"";
            node.error(notes, format!("{one}; Daily(…) repeats and is not allowed here"));
            return None;
        }
        let text: String = node.leaf(notes)?;
        let read = match text.trim().strip_prefix('+') {
            Some(span) => span.parse::<Span>().map(|span| Time::ZERO + span),
            None => WallTime::parse_local(&text, self.zone).map(|wall| Time::ZERO + wall.since(self.start)),
        };
        let is_before = !text.trim().starts_with('+')
            && WallTime::parse_local(&text, self.zone).is_ok_and(|wall| wall < self.start);
        match read {
            Err(error) => {
                let other = "; or a span after the start, such as \"+10 min\"";
                let other = if text.trim().starts_with('+') { "" } else { other };
                node.error(notes, format!("{error}{other}"));
                None
            }
            Ok(_) if is_before => {
                let start = self.start.local(self.zone);
                node.error(notes, format!("must not be before the run's start, {start}, got \"{text}\""));
                None
            }
            Ok(at) if at > Time::ZERO + self.duration => {
                let end = (self.start + self.duration).local(self.zone);
                node.error(notes, format!("must not be after the run's end, {end}, got \"{text}\""));
                None
            }
            Ok(at) => Some(at),
        }
    }
}

/// A time of day, as zones count it.
fn nanos(clock: Span) -> i64 {
    i64::try_from(clock.as_nanos()).expect("a time of day is shorter than 292 years")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two days from six in the evening, an hour ahead of UTC.
    fn calendar() -> Calendar {
        from("2016-03-09 18:00", "UTC+1")
    }

    fn from(start: &str, zone: &str) -> Calendar {
        let zone: TimeZone = zone.parse().expect("a zone");
        let start = WallTime::parse_local(start, zone).expect("a date");
        Calendar { start, zone, duration: Span::from_hours(48), is_dated: true }
    }

    fn hours(hours: u64) -> Time {
        Time::ZERO + Span::from_hours(hours)
    }

    #[test]
    fn what_is_daily_comes_at_the_sites_local_time_from_the_first_instant_to_the_last() {
        let daily = |hours| calendar().instants(When::Daily(Span::from_hours(hours)));
        assert_eq!(daily(18), [hours(0), hours(24), hours(48)]);
        assert_eq!(daily(19), [hours(1), hours(25)]);
        assert_eq!(daily(17), [hours(23), hours(47)]);
        assert_eq!(daily(0), [hours(6), hours(30)]);
    }

    #[test]
    fn a_daily_window_over_midnight_is_cut_to_the_run() {
        // From 17:00 to 19:00, and from 23:00 to 01:00.
        let windows = |from, to| calendar().daily_windows(Span::from_hours(from), Span::from_hours(to));
        assert_eq!(windows(17, 19), [(hours(0), hours(1)), (hours(23), hours(25)), (hours(47), hours(48))]);
        assert_eq!(windows(23, 1), [(hours(5), hours(7)), (hours(29), hours(31))]);
        assert_eq!(windows(18, 17), [(hours(0), hours(23)), (hours(24), hours(47))]);
    }

    #[test]
    fn what_is_daily_follows_the_clocks_on_days_of_23_and_25_hours() {
        let daily = |start, clock: u64| {
            from(start, "CET-1CEST,M3.5.0,M10.5.0/3").instants(When::Daily(Span::from_mins(clock * 30)))
        };
        // At noon, from the noon before: after 23 and after 25 hours.
        assert_eq!(daily("2016-03-26 12:00", 24), [hours(0), hours(23), hours(47)]);
        assert_eq!(daily("2016-10-29 12:00", 24), [hours(0), hours(25)]);
        // Half past two is left out in spring, and begins when clocks show three; in autumn it comes twice, and counts once.
        assert_eq!(daily("2016-03-27 00:00", 5)[0], hours(2));
        assert_eq!(daily("2016-10-30 00:30", 5), [hours(2), hours(27)]);
        let night = |start| {
            let calendar = from(start, "CET-1CEST,M3.5.0,M10.5.0/3");
            calendar.daily_windows(Span::from_hours(22), Span::from_hours(6))[0]
        };
        assert_eq!(night("2016-03-26 20:00"), (hours(2), hours(9)));
        assert_eq!(night("2016-10-29 20:00"), (hours(2), hours(11)));
    }
}
