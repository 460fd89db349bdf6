//! How far a place's clocks are ahead of UTC: a fixed number of minutes, and its text both ways.
//!
//! The limits are the westernmost and the easternmost offset in use; a number outside is a slip of the pen.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{MINUTE, number, refused};
use crate::text::TextError;

/// The westernmost offset in use, in minutes: UTC-12.
pub const OFFSET_MINUTES_MIN: i16 = -12 * 60;
/// The easternmost offset in use, in minutes: UTC+14.
pub const OFFSET_MINUTES_MAX: i16 = 14 * 60;

/// How far the civil time of a place is ahead of UTC, in whole minutes: "UTC", "UTC+1", "UTC-3:30".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcOffset(i16);

impl UtcOffset {
    /// UTC itself.
    pub const UTC: Self = Self(0);

    /// Makes an offset from minutes, east positive; `None` outside [`OFFSET_MINUTES_MIN`] to [`OFFSET_MINUTES_MAX`].
    pub const fn from_minutes(minutes: i16) -> Option<Self> {
        if minutes < OFFSET_MINUTES_MIN || minutes > OFFSET_MINUTES_MAX { None } else { Some(Self(minutes)) }
    }

    /// Minutes ahead of UTC.
    pub const fn as_minutes(self) -> i16 {
        self.0
    }

    /// Nanoseconds ahead of UTC.
    pub(super) const fn nanos(self) -> i64 {
        self.0 as i64 * MINUTE
    }
}

impl fmt::Display for UtcOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let (hours, minutes) = (self.0.unsigned_abs() / 60, self.0.unsigned_abs() % 60);
        match (hours, minutes) {
            (0, 0) => f.write_str("UTC"),
            (_, 0) => write!(f, "UTC{sign}{hours}"),
            (_, _) => write!(f, "UTC{sign}{hours}:{minutes:02}"),
        }
    }
}

impl FromStr for UtcOffset {
    type Err = TextError;

    /// Reads "UTC", "UTC+1", "UTC+01:00", "UTC-3:30".
    fn from_str(text: &str) -> Result<Self, TextError> {
        let fail =
            || refused(text, "an offset from UTC-12 to UTC+14, such as \"UTC+1\" or \"UTC-3:30\"".into());
        let after = text.trim().strip_prefix("UTC").ok_or_else(fail)?;
        if after.is_empty() {
            return Ok(Self::UTC);
        }
        let (sign, clock) = match after.split_at_checked(1) {
            Some(("+", clock)) => (1, clock),
            Some(("-", clock)) => (-1, clock),
            Some(_) | None => return Err(fail()),
        };
        let (hours, minutes) = clock.split_once(':').unwrap_or((clock, "00"));
        let hours = number(hours, 1..=2, 0..=14).ok_or_else(fail)?;
        let minutes = number(minutes, 2..=2, 0..=59).ok_or_else(fail)?;
        let total =
            i16::try_from(hours * 60 + minutes).ok().and_then(|total| Self::from_minutes(sign * total));
        total.ok_or_else(fail)
    }
}

impl Serialize for UtcOffset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i16(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for UtcOffset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        let minutes = i16::deserialize(deserializer)?;
        let refusal =
            || D::Error::custom(format!("expected an offset from UTC-12 to UTC+14, got {minutes} min"));
        Self::from_minutes(minutes).ok_or_else(refusal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn offsets_read_in_several_forms_and_write_in_one() {
        for (text, minutes, written) in [
            ("UTC", 0, "UTC"),
            ("UTC+0", 0, "UTC"),
            ("UTC-0:00", 0, "UTC"),
            ("UTC+1", 60, "UTC+1"),
            ("UTC+01:00", 60, "UTC+1"),
            ("UTC-3:30", -210, "UTC-3:30"),
            ("UTC-00:45", -45, "UTC-0:45"),
            ("UTC-12", OFFSET_MINUTES_MIN, "UTC-12"),
            ("UTC+14", OFFSET_MINUTES_MAX, "UTC+14"),
        ] {
            let offset: UtcOffset = text.parse().expect("a valid offset");
            assert_eq!((offset.as_minutes(), offset.to_string().as_str()), (minutes, written), "{text}");
        }
        for text in [
            "",
            "CET",
            "utc+1",
            "UTC1",
            "UTC+",
            "UTC+1:",
            "UTC+1:5",
            "UTC+1:60",
            "UTC+001",
            "UTC+-1",
            "UTC +1",
            "UTC+14:01",
            "UTC-12:01",
            "UTC+99",
            "UTCé",
        ] {
            assert!(text.parse::<UtcOffset>().is_err(), "{text}");
        }
        assert_eq!(UtcOffset::from_minutes(OFFSET_MINUTES_MAX + 1), None);
        assert_eq!(UtcOffset::from_minutes(OFFSET_MINUTES_MIN - 1), None);
    }
}
