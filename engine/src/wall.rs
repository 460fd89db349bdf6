//! The calendar: instants that people name, and what the clocks of a place show.
//!
//! A run counts [`crate::time::Time`] from its beginning; this module says which date that is. A [`WallTime`] is
//! nanoseconds since 1970-01-01 00:00 UTC without leap seconds, as computers count it. A [`TimeZone`] turns it into what
//! a clock on the wall shows and back, daylight saving included; a [`LocalWindow`] is a part of the day by that clock.
//!
//! Nothing here reads a clock, and nothing is timed by it: a step of the wall clock never moves a timer. Arithmetic holds
//! for all that nanoseconds in an `i64` can reach, the years 1677 to 2262, and saturates there. Texts are accepted only
//! from [`YEAR_MIN`] to [`YEAR_MAX`]: a year outside is a slip of the pen.

mod calendar;
mod offset;
mod text;
pub mod told;
mod window;
mod zone;

use alloc::string::String;
use core::fmt;
use core::ops::{Add, AddAssign, Sub};
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use offset::{OFFSET_MINUTES_MAX, OFFSET_MINUTES_MIN, UtcOffset};
pub use window::{Clock, LocalWindow, Weekdays};
pub use zone::{Civil, Instants, NAME_CHARS, SWITCH_HOURS_MAX, TimeZone};

use crate::text::TextError;
use crate::time::{NANOS_PER_SECOND, Span};
use text::{FRACTION_DIGITS, number, read_civil, refused, write_civil, write_fraction};

/// First year of a text.
pub const YEAR_MIN: u32 = 1970;
/// Last year of a text.
pub const YEAR_MAX: u32 = 2200;

const SECOND: i64 = NANOS_PER_SECOND as i64;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// An instant of the calendar: nanoseconds since 1970-01-01 00:00 UTC.
///
/// As a text it is UTC and complete, "2016-03-09 17:02:30 UTC"; any offset is read: "2016-01-01 UTC+1". A text
/// outside the accepted years is refused, also where it was written by this engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

impl WallTime {
    /// The first instant of 1970 in UTC.
    pub const EPOCH: Self = Self(0);

    /// Makes an instant from nanoseconds since the Unix epoch.
    pub const fn from_unix_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_unix_nanos(self) -> i64 {
        self.0
    }

    /// Reads what a clock in `zone` shows: "2016-03-09", "2016-03-09 18:02", "… 18:02:30" or "… 18:02:30.250".
    ///
    /// A time that clocks show twice is the first one, unless a name such as "CET" behind it says which; one that they leave out
    /// is the instant at which they do.
    ///
    /// # Errors    says which part is wrong and what it may be: a form, a year, a month, a day of that month, a time.
    pub fn parse_local(text: &str, zone: impl Into<TimeZone>) -> Result<Self, TextError> {
        zone.into().read(text, read_civil).map_err(|allowed| refused(text, allowed))
    }

    /// What a clock in `zone` shows: "2016-03-09 18:02:30", with milliseconds where they are not zero, and with the name of
    /// the season where clocks show the same time twice.
    ///
    /// Anything shorter than a millisecond is cut off: this is for people.
    pub fn local(self, zone: impl Into<TimeZone>) -> LocalText {
        LocalText { time: self, zone: zone.into() }
    }

    /// The span from `earlier` to `self`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Span {
        if self.0 <= earlier.0 { Span::ZERO } else { Span::from_nanos(self.0.abs_diff(earlier.0)) }
    }

    /// The instant that is so many nanoseconds later, or earlier; saturates where the range ends.
    #[must_use]
    pub const fn moved(self, nanos: i64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The start of the `period` that this instant is in, as a clock at `offset` shows it.
    ///
    /// Periods are counted from the local midnight of 1970-01-01, so those that divide a day start with each day: with
    /// 15 minutes these are the quarter-hours that a grid operator bills. An instant on a border starts a period; a period
    /// of zero starts everywhere.
    pub fn start_of(self, period: Span, offset: UtcOffset) -> Self {
        if period.is_zero() {
            return self;
        }
        // 128 bits: the local time and the start of a period of centuries can be beyond the range.
        let local = i128::from(self.0) + i128::from(offset.nanos());
        let start = local - local.rem_euclid(i128::from(period.as_nanos())) - i128::from(offset.nanos());
        Self(i64::try_from(start).unwrap_or(i64::MIN))
    }
}

impl Add<Span> for WallTime {
    type Output = Self;
    /// The instant that is `span` later; saturates in the year 2262.
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add_unsigned(span.as_nanos()))
    }
}

impl AddAssign<Span> for WallTime {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Sub<Span> for WallTime {
    type Output = Self;
    /// The instant that is `span` earlier; saturates in the year 1677.
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub_unsigned(span.as_nanos()))
    }
}

impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_civil(f, self.0.into())?;
        write_fraction(f, self.0.rem_euclid(SECOND), FRACTION_DIGITS)?;
        f.write_str(" UTC")
    }
}

impl Serialize for WallTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for WallTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

impl FromStr for WallTime {
    type Err = TextError;

    /// Reads a date, a time if it is not midnight, and an offset from UTC: "2016-01-01 UTC+1".
    fn from_str(text: &str) -> Result<Self, TextError> {
        let form = "a date, a time and an offset, such as \"2016-03-09 18:02 UTC+1\"";
        let (civil, offset) = text.trim().rsplit_once(' ').ok_or_else(|| refused(text, form.into()))?;
        Self::parse_local(civil, offset.parse::<UtcOffset>()?)
    }
}

/// Shows a [`WallTime`] as a clock in a zone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalText {
    time: WallTime,
    zone: TimeZone,
}

impl fmt::Display for LocalText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = self.time.0.rem_euclid(SECOND);
        write_civil(f, i128::from(self.time.0) + i128::from(self.zone.offset_at(self.time).nanos()))?;
        write_fraction(f, fraction / 1_000_000, 3)?;
        self.zone.doubled_name(self.time).map_or(Ok(()), |name| write!(f, " {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::calendar::days_of;
    use super::*;
    use crate::text::MAX_QUANTITY_CHARS;
    use alloc::format;
    use alloc::string::ToString;
    use proptest::prelude::*;
    use serde::de::IntoDeserializer;
    use serde::de::value::StrDeserializer;

    const BERLIN_WINTER: UtcOffset = UtcOffset::from_minutes(60).expect("UTC+1 is in use");
    const NEWFOUNDLAND: UtcOffset = UtcOffset::from_minutes(-210).expect("UTC-3:30 is in use");
    const EASTERNMOST: UtcOffset =
        UtcOffset::from_minutes(OFFSET_MINUTES_MAX).expect("the limit itself is allowed");

    fn at(text: &str, offset: UtcOffset) -> WallTime {
        WallTime::parse_local(text, offset).expect("a valid civil time")
    }

    fn stored(text: &str) -> StrDeserializer<'_, serde::de::value::Error> {
        text.into_deserializer()
    }

    fn allowed(text: &str) -> String {
        WallTime::parse_local(text, UtcOffset::UTC).expect_err(text).allowed
    }

    #[test]
    fn civil_times_give_the_known_instants() {
        // Computed with `date -u -d "…" +%s` of GNU coreutils.
        for (text, seconds) in [
            ("1970-01-01", 0),
            ("2000-02-29 12:00", 951_825_600),
            ("2016-01-01", 1_451_606_400),
            ("2016-03-09 18:02:30", 1_457_546_550),
            ("2038-01-19 03:14:08", 2_147_483_648),
            ("2100-03-01", 4_107_542_400),
            ("2200-12-31 23:59:59", 7_289_654_399),
        ] {
            assert_eq!(at(text, UtcOffset::UTC).as_unix_nanos(), seconds * SECOND, "{text}");
        }
    }

    #[test]
    fn an_offset_is_ahead_of_utc_when_positive() {
        let noon = at("2016-03-09 12:00", UtcOffset::UTC);
        assert_eq!(at("2016-03-09 13:00", BERLIN_WINTER), noon);
        assert_eq!(at("2016-03-09 08:30", NEWFOUNDLAND), noon);
        assert_eq!(noon.local(BERLIN_WINTER).to_string(), "2016-03-09 13:00:00");
        assert_eq!(noon.local(NEWFOUNDLAND).to_string(), "2016-03-09 08:30:00");
        assert_eq!("2016-03-09 13:00 UTC+1".parse(), Ok(noon));
        assert_eq!(noon.to_string(), "2016-03-09 12:00:00 UTC");
    }

    #[test]
    fn people_see_milliseconds_only_when_they_are_not_zero() {
        let shown = |text: &str| at(text, UtcOffset::UTC).local(UtcOffset::UTC).to_string();
        assert_eq!(shown("2016-03-09"), "2016-03-09 00:00:00");
        assert_eq!(shown("2016-03-09 18:02:30.25"), "2016-03-09 18:02:30.250");
        assert_eq!(shown("2016-03-09 18:02:30.001"), "2016-03-09 18:02:30.001");
        assert_eq!(shown("2016-03-09 18:02:30.000999999"), "2016-03-09 18:02:30");
        assert_eq!(shown("2016-03-09 23:59:59.999999999"), "2016-03-09 23:59:59.999");
    }

    #[test]
    fn a_stored_text_keeps_every_nanosecond() {
        for text in ["18:02:30", "18:02:30.250", "18:02:30.000250", "18:02:30.000000001"] {
            let text = format!("2016-03-09 {text} UTC");
            assert_eq!(text.parse::<WallTime>().expect("a valid text").to_string(), text);
        }
    }

    #[test]
    fn files_hold_instants_and_offsets_as_text() {
        let instant = WallTime::deserialize(stored("2016-01-01 UTC+1"));
        assert_eq!(instant, Ok(at("2015-12-31 23:00", UtcOffset::UTC)));
        assert_eq!(UtcOffset::deserialize(stored("UTC+1")), Ok(BERLIN_WINTER));
        assert!(UtcOffset::deserialize(stored("UTC+15")).is_err());
    }

    #[test]
    fn days_beyond_the_end_of_a_month_are_refused() {
        for (inside, outside) in [
            ("2015-02-28", "2015-02-29"),
            ("2016-02-29", "2016-02-30"),
            ("2100-02-28", "2100-02-29"),
            ("2000-02-29", "2000-02-30"),
            ("2016-04-30", "2016-04-31"),
            ("2016-12-31", "2016-12-32"),
            ("2016-01-01", "2016-01-00"),
        ] {
            at(inside, UtcOffset::UTC);
            assert!(allowed(outside).starts_with("a day from 01 to "), "{outside}");
        }
        assert_eq!(allowed("2015-02-29"), "a day from 01 to 28 in 2015-02");
    }

    #[test]
    fn years_months_and_times_end_at_their_limits() {
        for (inside, outside) in [
            ("1970-01-01", "1969-12-31"),
            ("2200-12-31", "2201-01-01"),
            ("2016-12-01", "2016-13-01"),
            ("2016-01-01", "2016-00-01"),
            ("2016-01-01 23:59:59.999999999", "2016-01-01 23:59:60"),
            ("2016-01-01 23:59", "2016-01-01 24:00"),
            ("2016-01-01 00:59", "2016-01-01 00:60"),
            ("2016-01-01 00:00:00.123456789", "2016-01-01 00:00:00.1234567891"),
        ] {
            at(inside, UtcOffset::UTC);
            assert_ne!(allowed(outside), "", "{outside}");
        }
        assert_eq!(allowed("2201-01-01"), "a year from 1970 to 2200");
        assert_eq!(allowed("2016-13-01"), "a month from 01 to 12");
    }

    #[test]
    fn texts_of_another_form_are_refused() {
        for text in [
            "",
            " ",
            "today",
            "2016",
            "2016-03",
            "16-03-09",
            "2016-3-9",
            "+016-03-09",
            "2016-03-09T18:02",
            "2016-03-09 18",
            "2016-03-09 18:2",
            "2016-03-09 18:02:",
            "2016-03-09 18:02.5",
            "2016-03-09 18:02:30.",
            "2016-03-09 18:02:30:1",
            "2016-03-09 -1:00",
            "2016-03-09 18:02 UTC",
            "2016-03-09-1",
            "２016-03-09",
        ] {
            assert_ne!(allowed(text), "", "{text}");
        }
        let endless = "2016-03-09 ".repeat(100_000);
        let error = WallTime::parse_local(&endless, UtcOffset::UTC).expect_err("far too long");
        assert_eq!(error.found.chars().count(), MAX_QUANTITY_CHARS);
        assert!("2016-03-09".parse::<WallTime>().is_err(), "a stored text needs its offset");
    }

    #[test]
    fn quarter_hours_begin_where_the_local_clock_says() {
        let quarter = Span::from_mins(15);
        let begin = at("2016-03-09 18:00", BERLIN_WINTER);
        assert_eq!(begin.start_of(quarter, BERLIN_WINTER), begin);
        assert_eq!((begin + Span::from_nanos(1)).start_of(quarter, BERLIN_WINTER), begin);
        assert_eq!((begin + quarter - Span::from_nanos(1)).start_of(quarter, BERLIN_WINTER), begin);
        assert_eq!((begin + quarter).start_of(quarter, BERLIN_WINTER), begin + quarter);
        assert_eq!((begin - Span::from_nanos(1)).start_of(quarter, BERLIN_WINTER), begin - quarter);
    }

    #[test]
    fn days_begin_at_the_local_midnight_also_before_the_epoch() {
        let day = Span::from_hours(24);
        for offset in [UtcOffset::UTC, BERLIN_WINTER, NEWFOUNDLAND] {
            let midnight = at("2016-03-09", offset);
            assert_eq!(at("2016-03-09 23:59", offset).start_of(day, offset), midnight);
        }
        let before = WallTime::EPOCH - Span::from_hours(1);
        assert_eq!(before.start_of(day, UtcOffset::UTC), WallTime::EPOCH - day);
        assert_eq!(before.start_of(Span::ZERO, UtcOffset::UTC), before);
        assert_eq!(WallTime(i64::MIN).start_of(Span::MAX, UtcOffset::UTC), WallTime(i64::MIN));
    }

    #[test]
    fn arithmetic_saturates_and_shows_without_panic() {
        let (first, last) = (WallTime(i64::MIN), WallTime(i64::MAX));
        assert_eq!(last + Span::from_nanos(1), last);
        assert_eq!(first - Span::from_nanos(1), first);
        assert_eq!(first + Span::MAX, last);
        assert_eq!(last.since(first), Span::MAX);
        assert_eq!(first.since(last), Span::ZERO);
        assert_eq!(first.to_string(), "1677-09-21 00:12:43.145224192 UTC");
        assert_eq!(last.local(EASTERNMOST).to_string(), "2262-04-12 13:47:16.854");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            nanos in 0..days_of(i64::from(YEAR_MAX), 1, 1) * DAY,
            minutes in OFFSET_MINUTES_MIN..=OFFSET_MINUTES_MAX,
        ) {
            // A day after the epoch at least: further west it is still 1969.
            let time = WallTime(nanos + DAY);
            let offset = UtcOffset::from_minutes(minutes).expect("inside the limits");
            prop_assert_eq!(time.to_string().parse(), Ok(time));
            prop_assert_eq!(offset.to_string().parse(), Ok(offset));
            let millis = time.start_of(Span::from_millis(1), offset);
            prop_assert_eq!(WallTime::parse_local(&time.local(offset).to_string(), offset), Ok(millis));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let read = text.parse::<WallTime>().is_ok() && text.parse::<UtcOffset>().is_ok();
            prop_assert!(!read, "{text} cannot be both an instant and an offset");
        }

        #[test]
        fn an_instant_lies_in_the_period_that_it_starts(
            nanos in any::<i64>(),
            period in 1..=u64::from(u32::MAX),
            minutes in OFFSET_MINUTES_MIN..=OFFSET_MINUTES_MAX,
        ) {
            let (time, period) = (WallTime(nanos / 2), Span::from_micros(period));
            let offset = UtcOffset::from_minutes(minutes).expect("inside the limits");
            let start = time.start_of(period, offset);
            prop_assert!(start <= time && time < start + period);
            prop_assert_eq!(start.start_of(period, offset), start);
        }
    }
}
