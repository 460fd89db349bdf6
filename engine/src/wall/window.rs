//! A part of the day by the clocks of a place, on some days of the week: "Mon-Fri" from 22:00 to 06:00.
//!
//! It is what schedules and prices are made of. Whether an instant is in it follows from the instant alone, so a clock that is
//! set moves nothing but the answer. A window that begins in an hour that spring leaves out begins at its end; one in the hour
//! that autumn gives twice holds once, unless it says `both`: see [`TimeZone::span_of`].

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[cfg(doc)]
use super::TimeZone;
use super::text::{number, refused};
use super::zone::weekday_of;
use super::{Civil, MINUTE};
use crate::text::{MAX_QUANTITY_CHARS, TextError};

const NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY_MINUTES: u16 = 24 * 60;

/// Some days of the week: "Mon-Fri", "Sat, Sun", "Mon-Wed, Fri".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weekdays(u8);

/// A time of the day in whole minutes, from "00:00" to "24:00".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clock(u16);

/// A part of the day on some days of the week, by the clocks of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalWindow {
    /// The days on which it begins.
    #[serde(default)]
    pub days: Weekdays,
    /// When it begins.
    pub from: Clock,
    /// When it ends: on the next day, if that is not later.
    pub to: Clock,
    /// Whether it holds at both times where clocks show a time twice.
    #[serde(default)]
    pub both: bool,
}

impl Default for Weekdays {
    fn default() -> Self {
        Self::ALL
    }
}

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// Whether it has a day, counted from 1970-01-01.
    pub fn has(self, day: i64) -> bool {
        let bit = u8::try_from(weekday_of(day)).expect("a weekday is one of seven");
        self.0 & (1 << bit) != 0
    }
}

impl Clock {
    fn nanos(self) -> i64 {
        i64::from(self.0) * MINUTE
    }
}

impl LocalWindow {
    /// Whether the window holds at an instant.
    pub fn holds(&self, at: &Civil) -> bool {
        // A window lasts a day at the most, and what clocks show leaps by less: three days hold all that may reach here.
        let is_in = |day: i64| {
            let (begin, end) = at.zone.span_of(day, self.from.nanos(), self.to.nanos());
            self.days.has(day) && begin <= at.wall && at.wall < end
        };
        (at.day - 1..=at.day + 1).any(is_in) || self.both && self.is_shown(at)
    }

    /// Whether the clocks show a time between its ends.
    fn is_shown(&self, at: &Civil) -> bool {
        let (from, to) = (self.from.nanos(), self.to.nanos());
        if to > from {
            self.days.has(at.day) && from <= at.nanos && at.nanos < to
        } else {
            self.days.has(at.day) && at.nanos >= from || self.days.has(at.day - 1) && at.nanos < to
        }
    }

    /// Whether it is one: its ends differ.
    pub fn is_valid(&self) -> bool {
        self.from != self.to && self.from < Clock(DAY_MINUTES)
    }
}

impl FromStr for Weekdays {
    type Err = TextError;

    /// Reads "Mon-Fri", "Sat, Sun"; a range may go over the end of the week.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let fail = || refused(text, String::from("days of the week such as \"Mon-Fri\" or \"Sat, Sun\""));
        let place = |name: &str| NAMES.iter().position(|known| *known == name.trim()).ok_or_else(fail);
        if text.len() > MAX_QUANTITY_CHARS {
            return Err(fail());
        }
        let mut days = 0;
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (mut day, last) = (place(first)?, place(last)?);
            days |= 1 << day;
            while day != last {
                day = (day + 1) % NAMES.len();
                days |= 1 << day;
            }
        }
        Ok(Self(days))
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_in = |day: &usize| self.0 & (1 << day) != 0;
        if *self == Self::ALL {
            return f.write_str("Mon-Sun");
        }
        // The week begins with Monday for people.
        for (place, day) in (1..=NAMES.len()).map(|day| day % NAMES.len()).filter(is_in).enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            write!(f, "{comma}{}", NAMES[day])?;
        }
        Ok(())
    }
}

impl FromStr for Clock {
    type Err = TextError;

    /// Reads "18:00".
    fn from_str(text: &str) -> Result<Self, TextError> {
        let fail = || refused(text, String::from("a time of day from 00:00 to 24:00, such as \"18:00\""));
        let (hours, minutes) = text.trim().split_once(':').ok_or_else(fail)?;
        let hours = number(hours, 2..=2, 0..=24).ok_or_else(fail)?;
        let minutes = number(minutes, 2..=2, 0..=59).ok_or_else(fail)?;
        let all = u16::try_from(hours * 60 + minutes).ok().filter(|all| *all <= DAY_MINUTES);
        all.map(Self).ok_or_else(fail)
    }
}

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// Text for people, the number for machines; decoding refuses what `$valid` does not take.
macro_rules! text_or_number {
    ($name:ident, $number:ty, $serialize:ident, $valid:expr) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.$serialize(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
                }
                let found = <$number>::deserialize(deserializer)?;
                let refusal = || D::Error::custom(format!("{found} is no {}", stringify!($name)));
                if $valid(found) { Ok(Self(found)) } else { Err(refusal()) }
            }
        }
    };
}

text_or_number!(Weekdays, u8, serialize_u8, |days| (1..=0x7f).contains(&days));
text_or_number!(Clock, u16, serialize_u16, |minutes| minutes <= DAY_MINUTES);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;
    use crate::wall::{TimeZone, WallTime};
    use alloc::string::ToString;
    use alloc::vec::Vec;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn window(days: &str, from: &str, to: &str, both: bool) -> LocalWindow {
        let clock = |text: &str| text.parse().expect("a time of day");
        LocalWindow { days: days.parse().expect("days"), from: clock(from), to: clock(to), both }
    }

    /// When the window holds on a day by Berlin's clocks and the day after it, in minutes after the midnight of that day.
    fn held(window: LocalWindow, date: &str) -> Vec<(u64, u64)> {
        let zone: TimeZone = BERLIN.parse().expect("a zone");
        let midnight = WallTime::parse_local(date, zone).expect("a date");
        let holds = |minute: u64| window.holds(&zone.civil(midnight + Span::from_mins(minute)));
        let mut found: Vec<(u64, u64)> = Vec::new();
        for minute in (0..48 * 60).filter(|minute| holds(*minute)) {
            match found.last_mut() {
                Some(last) if last.1 == minute => last.1 += 1,
                Some(_) | None => found.push((minute, minute + 1)),
            }
        }
        found
    }

    #[test]
    fn a_window_holds_from_its_beginning_to_its_end_on_its_days() {
        // 2016-03-11 is a Friday.
        assert_eq!(held(window("Fri", "18:00", "20:00", false), "2016-03-11"), [(1080, 1200)]);
        assert_eq!(held(window("Mon-Thu, Sat", "18:00", "20:00", false), "2016-03-11"), [(2520, 2640)]);
        assert_eq!(held(window("Mon-Fri", "22:00", "06:00", false), "2016-03-11"), [(0, 360), (1320, 1800)]);
        assert_eq!(held(window("Sat-Mon", "22:00", "06:00", true), "2016-03-11"), [(2760, 2880)]);
        assert_eq!(held(window("Mon-Sun", "00:00", "24:00", false), "2016-03-11"), [(0, 2880)]);
    }

    #[test]
    fn in_the_hour_that_is_left_out_a_window_begins_at_its_end_and_is_not_lost() {
        // On 2016-03-27 clocks go from 02:00 to 03:00, which is 120 minutes after midnight.
        for both in [false, true] {
            assert_eq!(held(window("Sun", "02:15", "02:45", both), "2016-03-27"), [(120, 150)]);
            assert_eq!(held(window("Sun", "02:30", "03:00", both), "2016-03-27"), [(120, 150)]);
            assert_eq!(held(window("Sun", "02:30", "04:00", both), "2016-03-27"), [(120, 180)]);
            assert_eq!(held(window("Sun", "01:30", "02:30", both), "2016-03-27"), [(90, 120)]);
        }
    }

    #[test]
    fn in_the_doubled_hour_a_window_holds_once_unless_it_says_both() {
        // On 2016-10-30 clocks go from 03:00 back to 02:00, 180 minutes after midnight.
        let held = |from, to, both| held(window("Sun", from, to, both), "2016-10-30");
        assert_eq!(held("02:15", "02:45", false), [(135, 165)]);
        assert_eq!(held("02:15", "02:45", true), [(135, 165), (195, 225)]);
        assert_eq!(held("01:00", "02:30", false), [(60, 150)]);
        assert_eq!(held("01:00", "02:30", true), [(60, 150), (180, 210)]);
        assert_eq!(held("01:00", "04:00", false), [(60, 300)]);
        assert_eq!(held("01:00", "04:00", true), [(60, 300)]);
    }

    #[test]
    fn days_and_times_read_as_they_are_written() {
        for (text, written) in [
            ("Mon-Fri", "Mon, Tue, Wed, Thu, Fri"),
            ("Sat,Sun", "Sat, Sun"),
            ("Sat-Mon", "Mon, Sat, Sun"),
            ("Mon-Sun", "Mon-Sun"),
        ] {
            let days: Weekdays = text.parse().expect("days");
            assert_eq!(days.to_string(), written);
            assert_eq!(written.parse(), Ok(days));
        }
        for text in ["", "Monday", "Mon-", "-Fri", "Mon;Tue", "mon", "Mon-Fri-Sun"] {
            assert!(text.parse::<Weekdays>().is_err(), "{text}");
        }
        assert_eq!("24:00".parse(), Ok(Clock(1440)));
        for text in ["", "24:01", "7:00", "07:60", "07", "07:00:00", "-1:00"] {
            assert!(text.parse::<Clock>().is_err(), "{text}");
        }
        assert!(!window("Mon", "07:00", "07:00", false).is_valid());
        assert!(!window("Mon", "24:00", "07:00", false).is_valid());
    }
}
