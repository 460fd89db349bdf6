//! The text of a time zone, both ways: an offset as [`UtcOffset`] has it, or what POSIX allows in TZ.
//!
//! In POSIX offsets are positive to the west: "CET-1" is an hour ahead of UTC. So "UTC+1" would mean the opposite of what
//! people mean by it, and of what it means here; a zone that is called UTC and is not at UTC is refused.

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use super::{Clocks, Name, SWITCH_HOURS_MAX, Season, Seasons, Switch, SwitchDay, TimeZone};
use crate::text::{MAX_QUANTITY_CHARS, TextError};
use crate::wall::{UtcOffset, number, refused};

/// What stands for a zone, as a sentence part.
const FORM: &str =
    "an offset from UTC such as \"UTC+1\", or a POSIX time zone such as \"CET-1CEST,M3.5.0,M10.5.0/3\"";
/// When clocks are set where a rule does not say: two in the morning.
const SWITCH_SECONDS: i32 = 2 * 3_600;
/// How far summer is ahead where its offset is not given, in minutes.
const SUMMER_MINUTES: i16 = 60;

impl FromStr for TimeZone {
    type Err = TextError;

    /// Reads "UTC+1", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3".
    ///
    /// # Errors    says which part is wrong and what it may be.
    fn from_str(text: &str) -> Result<Self, TextError> {
        let whole = text.trim();
        if let Ok(offset) = whole.parse::<UtcOffset>() {
            return Ok(Self::from(offset));
        }
        if whole.is_empty() || whole.len() > MAX_QUANTITY_CHARS {
            return Err(refused(text, FORM.to_string()));
        }
        let mut rest = Rest(whole);
        match rest.zone() {
            Ok(clocks) if rest.0.is_empty() => Ok(Self(clocks)),
            Ok(_) => Err(refused(text, format!("nothing behind the zone, not \"{}\"", rest.0))),
            Err(allowed) => Err(refused(text, allowed)),
        }
    }
}

/// What is still to be read.
struct Rest<'t>(&'t str);

impl Rest<'_> {
    fn zone(&mut self) -> Result<Clocks, String> {
        let standard = self.name()?;
        let ahead = self.offset()?.ok_or(FORM)?;
        if standard.as_str() == "UTC" && ahead != 0 {
            return Err(String::from(
                "\"UTC+1\" for what is an hour ahead of UTC, \"UTC-1\" for what is behind",
            ));
        }
        if self.0.is_empty() {
            return Ok(Clocks::Fixed(ahead_of_utc(ahead)?));
        }
        let summer = self.name()?;
        let summer_ahead = self.offset()?.unwrap_or(ahead + SUMMER_MINUTES);
        let rules = "when daylight saving begins and ends, such as \",M3.5.0,M10.5.0/3\" behind the names";
        let (begins, ends) = (self.switch(rules)?, self.switch(rules)?);
        let (standard, summer) = (
            Season { name: standard, offset: ahead_of_utc(ahead)? },
            Season { name: summer, offset: ahead_of_utc(summer_ahead)? },
        );
        if standard.name == summer.name {
            return Err(String::from("two names, such as CET and CEST"));
        }
        Ok(Clocks::Seasons(Seasons { standard, summer, begins, ends }))
    }

    /// "CET" or "<+03>".
    fn name(&mut self) -> Result<Name, String> {
        let (name, rest) = match self.0.strip_prefix('<') {
            Some(quoted) => quoted.split_once('>').ok_or(FORM)?,
            None => {
                let end = self.0.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(self.0.len());
                self.0.split_at(end)
            }
        };
        self.0 = rest;
        // "Europe/Berlin" is what people try first.
        let is_key = rest.starts_with('/') || rest.starts_with('_');
        let hint = if is_key { "; names such as \"Europe/Berlin\" are not known here" } else { "" };
        Name::of(name).filter(|_name| !is_key).ok_or_else(|| format!("{FORM}{hint}"))
    }

    /// "-1", "5:30": minutes ahead of UTC, hence with the other sign. None if there is none.
    fn offset(&mut self) -> Result<Option<i16>, String> {
        if !self.0.starts_with(|letter: char| letter.is_ascii_digit() || letter == '+' || letter == '-') {
            return Ok(None);
        }
        let seconds = self.clock(24)?;
        if seconds % 60 != 0 {
            return Err(String::from("offsets of whole minutes"));
        }
        let minutes = i16::try_from(-seconds / 60).map_err(|_far| String::from(FORM))?;
        Ok(Some(minutes))
    }

    /// ",M3.5.0/2"
    fn switch(&mut self, rules: &str) -> Result<Switch, String> {
        self.0 = self.0.strip_prefix(',').ok_or(rules)?;
        let end = self.0.find([',', '/']).unwrap_or(self.0.len());
        let (day, rest) = self.0.split_at(end);
        self.0 = rest;
        let day = read_day(day).filter(|day| day.is_valid()).ok_or(
            "days such as M3.5.0 (the last Sunday of March), J60 (the first of March) or 59 (days after New Year)",
        )?;
        let Some(time) = self.0.strip_prefix('/') else {
            return Ok(Switch { day, seconds: SWITCH_SECONDS });
        };
        self.0 = time;
        Ok(Switch { day, seconds: self.clock(SWITCH_HOURS_MAX.unsigned_abs())? })
    }

    /// "3", "-1", "2:45:00": seconds.
    fn clock(&mut self, hours_max: u32) -> Result<i32, String> {
        let allowed = || format!("times of up to {hours_max} hours, such as 3 or 2:45");
        let end = self.0.find(|letter: char| !letter.is_ascii_digit() && !"+-:".contains(letter));
        let (clock, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        let (sign, clock) = match clock.strip_prefix('-') {
            Some(clock) => (-1, clock),
            None => (1, clock.strip_prefix('+').unwrap_or(clock)),
        };
        let mut parts = clock.split(':');
        let mut part =
            |digits, range| parts.next().map(|part| number(part, digits, range).ok_or_else(allowed));
        let hours = part(1..=3, 0..=hours_max).ok_or_else(allowed)??;
        let minutes = part(2..=2, 0..=59).transpose()?.unwrap_or(0);
        let seconds = part(2..=2, 0..=59).transpose()?.unwrap_or(0);
        let total = hours * 3_600 + minutes * 60 + seconds;
        match i32::try_from(total) {
            Ok(total) if parts.next().is_none() => Ok(sign * total),
            Ok(_) | Err(_) => Err(allowed()),
        }
    }
}

fn ahead_of_utc(minutes: i16) -> Result<UtcOffset, String> {
    UtcOffset::from_minutes(minutes).ok_or_else(|| String::from("offsets from UTC-12 to UTC+14"))
}

fn read_day(text: &str) -> Option<SwitchDay> {
    let small = |text: &str| number(text, 1..=3, 0..=999).and_then(|value| u16::try_from(value).ok());
    if let Some(day) = text.strip_prefix('J') {
        return small(day).map(SwitchDay::WithoutLeapDay);
    }
    let Some(rule) = text.strip_prefix('M') else { return small(text).map(SwitchDay::Ordinal) };
    let mut parts = rule.split('.');
    let mut part = || number(parts.next()?, 1..=2, 0..=12).and_then(|value| u8::try_from(value).ok());
    let (month, week, weekday) = (part()?, part()?, part()?);
    parts.next().is_none().then_some(SwitchDay::Weekday { month, week, weekday })
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Clocks::Fixed(offset) => offset.fmt(f),
            Clocks::Seasons(Seasons { standard, summer, begins, ends }) => {
                write!(f, "{}{}{}", standard.name, Clock(-seconds(standard.offset)), summer.name)?;
                if summer.offset.as_minutes() != standard.offset.as_minutes() + SUMMER_MINUTES {
                    Clock(-seconds(summer.offset)).fmt(f)?;
                }
                write!(f, ",{begins},{ends}")
            }
        }
    }
}

fn seconds(offset: UtcOffset) -> i32 {
    i32::from(offset.as_minutes()) * 60
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = self.as_str().bytes().all(|byte| byte.is_ascii_alphabetic());
        if is_plain { f.write_str(self.as_str()) } else { write!(f, "<{}>", self.as_str()) }
    }
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.day {
            SwitchDay::WithoutLeapDay(day) => write!(f, "J{day}")?,
            SwitchDay::Ordinal(days) => write!(f, "{days}")?,
            SwitchDay::Weekday { month, week, weekday } => write!(f, "M{month}.{week}.{weekday}")?,
        }
        if self.seconds == SWITCH_SECONDS { Ok(()) } else { write!(f, "/{}", Clock(self.seconds)) }
    }
}

/// Hours, and minutes and seconds as far as they are not zero.
struct Clock(i32);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let all = self.0.unsigned_abs();
        let (hours, minutes, seconds) = (all / 3_600, all / 60 % 60, all % 60);
        write!(f, "{sign}{hours}")?;
        match (minutes, seconds) {
            (0, 0) => Ok(()),
            (_, 0) => write!(f, ":{minutes:02}"),
            (_, _) => write!(f, ":{minutes:02}:{seconds:02}"),
        }
    }
}
