//! The text of a date and a time, both ways.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::calendar::{date_of, days_of, month_length};
use super::{DAY, HOUR, MINUTE, SECOND, YEAR_MAX, YEAR_MIN};
use crate::text::{MAX_QUANTITY_CHARS, TextError};

/// Digits of a second's fraction, down to one nanosecond.
pub(super) const FRACTION_DIGITS: usize = 9;

/// The error for `found`.
pub(super) fn refused(found: &str, allowed: String) -> TextError {
    TextError { found: found.chars().take(MAX_QUANTITY_CHARS).collect(), allowed }
}

/// Reads a number of `digits` decimal digits that lies in `range`.
pub(super) fn number(
    text: &str,
    digits: core::ops::RangeInclusive<usize>,
    range: core::ops::RangeInclusive<u32>,
) -> Option<u32> {
    let plain = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok().filter(|value| range.contains(value)) } else { None }
}

/// Reads a civil time into nanoseconds since the midnight of 1970-01-01; the error says what is allowed.
pub(super) fn read_civil(text: &str) -> Result<i64, String> {
    let form =
        || String::from("a date and perhaps a time, such as \"2016-03-09\" or \"2016-03-09 18:02:30.250\"");
    if text.len() > MAX_QUANTITY_CHARS {
        return Err(form());
    }
    let (date, clock) = text.trim().split_once(' ').unwrap_or((text.trim(), "00:00"));
    let days = read_date(date, form)?;
    let nanos = read_clock(clock.trim_start())
        .ok_or("a time from 00:00 to 23:59:59.999999999 after the date, such as \"18:02\"")?;
    // At most 231 years and one day from the epoch: far inside the range.
    Ok(days * DAY + nanos)
}

/// Reads "2016-03-09" into days since 1970-01-01.
fn read_date(text: &str, form: impl Fn() -> String) -> Result<i64, String> {
    let (year_text, rest) = text.split_once('-').ok_or_else(&form)?;
    let (month_text, day_text) = rest.split_once('-').ok_or_else(&form)?;
    let year = number(year_text, 4..=4, 0..=9999).ok_or_else(&form)?;
    let month = number(month_text, 2..=2, 0..=99).ok_or_else(&form)?;
    let day = number(day_text, 2..=2, 0..=99).ok_or_else(&form)?;
    if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
        return Err(format!("a year from {YEAR_MIN} to {YEAR_MAX}"));
    }
    if !(1..=12).contains(&month) {
        return Err(String::from("a month from 01 to 12"));
    }
    let length = month_length(year, month);
    if !(1..=length).contains(&day) {
        return Err(format!("a day from 01 to {length} in {year_text}-{month_text}"));
    }
    Ok(days_of(i64::from(year), i64::from(month), i64::from(day)))
}

/// Reads "18:02", "18:02:30" or "18:02:30.250" into nanoseconds since midnight.
fn read_clock(text: &str) -> Option<i64> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, Some(fraction)),
        None => (text, None),
    };
    let mut parts = clock.split(':');
    let hours = number(parts.next()?, 2..=2, 0..=23)?;
    let minutes = number(parts.next()?, 2..=2, 0..=59)?;
    let seconds = parts.next();
    // A fraction belongs to a second, and nothing follows the seconds.
    if parts.next().is_some() || (seconds.is_none() && fraction.is_some()) {
        return None;
    }
    let seconds = seconds.map_or(Some(0), |seconds| number(seconds, 2..=2, 0..=59))?;
    let nanos = fraction.map_or(Some(0), |fraction| {
        let digits = number(fraction, 1..=FRACTION_DIGITS, 0..=999_999_999)?;
        let missing = u32::try_from(FRACTION_DIGITS - fraction.len()).ok()?;
        Some(digits * 10_u32.pow(missing))
    })?;
    Some(
        i64::from(hours) * HOUR
            + i64::from(minutes) * MINUTE
            + i64::from(seconds) * SECOND
            + i64::from(nanos),
    )
}

/// Writes local nanoseconds as "2016-03-09 18:02:30".
pub(super) fn write_civil(f: &mut fmt::Formatter<'_>, local: i128) -> fmt::Result {
    let days =
        i64::try_from(local.div_euclid(i128::from(DAY))).expect("an i64 of nanoseconds is 106,752 days");
    let clock = i64::try_from(local.rem_euclid(i128::from(DAY))).expect("a day is shorter than 292 years");
    let (year, month, day) = date_of(days);
    let (hours, minutes, seconds) = (clock / HOUR, clock % HOUR / MINUTE, clock % MINUTE / SECOND);
    write!(f, "{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}")
}

/// Writes a fraction of `digits` digits, in groups of three as far as they are not zero.
pub(super) fn write_fraction(f: &mut fmt::Formatter<'_>, fraction: i64, digits: usize) -> fmt::Result {
    if fraction == 0 {
        return Ok(());
    }
    let (mut shown, mut width) = (fraction, digits);
    while shown % 1_000 == 0 {
        shown /= 1_000;
        width -= 3;
    }
    write!(f, ".{shown:0width$}")
}
