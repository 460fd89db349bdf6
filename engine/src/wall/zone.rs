//! The clocks of a place through the year: a fixed offset from UTC, or two offsets and the rules by which they take turns.
//!
//! A [`TimeZone`] is what POSIX calls a TZ text, "CET-1CEST,M3.5.0,M10.5.0/3": it needs no data base, and is right for as long
//! as the rules of the place stay as they are. It answers two questions. Of an instant: how far the clocks are ahead of UTC. Of
//! what a clock shows: at which instants it does. That is one instant on most days, two in the hour that autumn gives twice,
//! and none in the hour that spring leaves out; what is to begin then begins at the end of that hour.
//!
//! **Invariant:** between two switches the offset is one, and at a switch the new one holds already.
//!
//! # Source
//! IEEE Std 1003.1-2024, 8.3 "Other environment variables", TZ; its hours of -167 to 167 as in RFC 8536, 3.3.1.

mod text;

use alloc::string::String;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::calendar::{date_of, days_of, month_length};
use super::{DAY, SECOND, UtcOffset, WallTime};

/// Most hours of a switch after or before the midnight of its day.
pub const SWITCH_HOURS_MAX: i32 = 167;
/// Fewest and most characters of a name such as "CEST".
pub const NAME_CHARS: core::ops::RangeInclusive<usize> = 3..=NAME_CHARS_MAX;
const NAME_CHARS_MAX: usize = 8;

/// How a place's clocks follow UTC: "UTC+1", "CET-1CEST,M3.5.0,M10.5.0/3".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeZone(Clocks);

/// What a zone is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Clocks {
    Fixed(UtcOffset),
    Seasons(Seasons),
}

/// Two offsets that take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Seasons {
    standard: Season,
    summer: Season,
    /// When summer begins, by the clocks of the standard season.
    begins: Switch,
    /// When it ends, by the clocks of summer.
    ends: Switch,
}

/// An offset and what people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Season {
    name: Name,
    offset: UtcOffset,
}

/// Up to eight ASCII characters, then zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Name([u8; NAME_CHARS_MAX]);

/// A time of a day of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Switch {
    day: SwitchDay,
    /// Seconds after the midnight that the day begins with; other days are reached by less than none and by more than a day's.
    seconds: i32,
}

/// A day of each year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum SwitchDay {
    /// `Jn`: the n-th day of the year, 1 to 365, in which February has 28 days.
    WithoutLeapDay(u16),
    /// `n`: that many days after the first of January, 0 to 365.
    Ordinal(u16),
    /// `Mm.w.d`: the w-th of a weekday in a month, 5 being the last one; Sunday is 0.
    Weekday { month: u8, week: u8, weekday: u8 },
}

/// At which instants clocks show a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instants {
    /// Once.
    One(WallTime),
    /// Twice, the earlier one first: clocks were set back.
    Two(WallTime, WallTime),
    /// Never: clocks were set forward, and this is when.
    Missing(WallTime),
}

impl Instants {
    /// The first, or the end of the time that is left out.
    pub const fn first(self) -> WallTime {
        match self {
            Self::One(at) | Self::Two(at, _) | Self::Missing(at) => at,
        }
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self::UTC
    }
}

impl From<UtcOffset> for TimeZone {
    fn from(offset: UtcOffset) -> Self {
        Self(Clocks::Fixed(offset))
    }
}

impl TimeZone {
    /// UTC itself.
    pub const UTC: Self = Self(Clocks::Fixed(UtcOffset::UTC));

    /// How far clocks are ahead of UTC at an instant.
    pub fn offset_at(&self, at: WallTime) -> UtcOffset {
        match &self.0 {
            Clocks::Fixed(offset) => *offset,
            Clocks::Seasons(seasons) => seasons.offset_at(at),
        }
    }

    /// What clocks show at an instant.
    pub fn civil(&self, at: WallTime) -> Civil {
        let local = i128::from(at.as_unix_nanos()) + i128::from(self.offset_at(at).nanos());
        let day = local.div_euclid(i128::from(DAY));
        let day = i64::try_from(day).expect("an i64 of nanoseconds is 106,752 days");
        let nanos = local.rem_euclid(i128::from(DAY));
        let nanos = i64::try_from(nanos).expect("a day is shorter than 292 years");
        Civil { wall: at, zone: *self, day, nanos }
    }

    /// When clocks show a time: so many nanoseconds after the midnight of a day, counted from 1970-01-01; of more than a day's,
    /// those of a later one.
    pub fn instants(&self, day: i64, nanos: i64) -> Instants {
        // A day beyond the range of instants saturates like all arithmetic here.
        let local = WallTime(day.saturating_mul(DAY).saturating_add(nanos));
        match &self.0 {
            Clocks::Fixed(offset) => Instants::One(local.moved(-offset.nanos())),
            Clocks::Seasons(seasons) => seasons.instants(local),
        }
    }

    /// From when to when clocks show a time between two of one day, in nanoseconds after its midnight; one that is not later
    /// than the first is meant of the next day.
    ///
    /// What is doubled counts once, from the first time that clocks show the beginning to the first time that they show the end.
    /// What begins in an hour that is left out begins at its end, and lasts as long as ever where nothing of it would be left.
    pub fn span_of(&self, day: i64, from: i64, to: i64) -> (WallTime, WallTime) {
        let to = if to > from { to } else { to + DAY };
        let (begin, end) = (self.instants(day, from).first(), self.instants(day, to).first());
        if end > begin { (begin, end) } else { (begin, begin.moved(to - from)) }
    }

    /// What clocks are said to show at an instant, where its time comes twice: "CEST".
    pub(super) fn doubled_name(&self, at: WallTime) -> Option<&str> {
        let Clocks::Seasons(seasons) = &self.0 else { return None };
        let civil = self.civil(at);
        match self.instants(civil.day, civil.nanos) {
            Instants::Two(_, _) => Some(seasons.season_at(at).name.as_str()),
            Instants::One(_) | Instants::Missing(_) => None,
        }
    }

    /// Reads what clocks showed, "2016-10-30 02:30" or "2016-10-30 02:30 CET", with a reader of the time itself.
    pub(super) fn read(
        &self,
        text: &str,
        read: impl Fn(&str) -> Result<i64, String>,
    ) -> Result<WallTime, String> {
        let name = text.trim().rsplit_once(' ').map_or("", |parts| parts.1);
        let Some(season) = self.season(name) else {
            return Ok(self.instants(0, read(text)?).first());
        };
        let civil = text.trim().strip_suffix(name).unwrap_or(text);
        let at = WallTime(read(civil)?).moved(-season.offset.nanos());
        if self.offset_at(at) == season.offset {
            Ok(at)
        } else {
            Err(alloc::format!("a time at which the clocks show {name}"))
        }
    }

    fn season(&self, name: &str) -> Option<&Season> {
        match &self.0 {
            Clocks::Fixed(_) => None,
            Clocks::Seasons(Seasons { standard, summer, .. }) => {
                [standard, summer].into_iter().find(|season| season.name.as_str() == name)
            }
        }
    }
}

/// What the clocks of a place show at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    pub(super) wall: WallTime,
    pub(super) zone: TimeZone,
    pub(super) day: i64,
    pub(super) nanos: i64,
}

impl Civil {
    /// The instant.
    pub const fn wall(&self) -> WallTime {
        self.wall
    }

    /// The date: days since 1970-01-01.
    pub const fn day(&self) -> i64 {
        self.day
    }

    /// The time of the day: nanoseconds after its midnight.
    pub const fn nanos(&self) -> i64 {
        self.nanos
    }
}

/// The weekday of a day since 1970-01-01, which was a Thursday; Sunday is 0.
pub(super) const fn weekday_of(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// A switch of one year, to summer or from it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Switched {
    at: WallTime,
    /// Where one ends in the instant in which the next begins, summer goes on.
    is_summer: bool,
}

impl Seasons {
    fn offset_at(&self, at: WallTime) -> UtcOffset {
        self.season_at(at).offset
    }

    fn season_at(&self, at: WallTime) -> &Season {
        if self.last_switch(at).is_summer { &self.summer } else { &self.standard }
    }

    /// The last switch that is not later than an instant.
    fn last_switch(&self, at: WallTime) -> Switched {
        let (year, _, _) = date_of(at.as_unix_nanos().div_euclid(DAY));
        // A switch may lie a week outside the year that it belongs to, and by the clocks it is another year than in UTC.
        let years = year - 1..=year + 1;
        let switches = years.flat_map(|year| self.switches(year)).filter(|switch| switch.at <= at);
        let first = Switched { at: WallTime(i64::MIN), is_summer: false };
        switches.fold(first, Ord::max)
    }

    fn switches(&self, year: i64) -> [Switched; 2] {
        let switch = |switch: &Switch, before: &Season, is_summer| {
            let local = switch.day.in_year(year).saturating_mul(DAY);
            let local = local.saturating_add(i64::from(switch.seconds) * SECOND);
            Switched { at: WallTime(local).moved(-before.offset.nanos()), is_summer }
        };
        [switch(&self.begins, &self.standard, true), switch(&self.ends, &self.summer, false)]
    }

    fn instants(&self, local: WallTime) -> Instants {
        let reading = |season: &Season| local.moved(-season.offset.nanos());
        let (standard, summer) = (reading(&self.standard), reading(&self.summer));
        let (is_standard, is_summer) =
            (self.offset_at(standard) == self.standard.offset, self.offset_at(summer) == self.summer.offset);
        match (is_standard, is_summer) {
            (true, true) if standard == summer => Instants::One(standard),
            (true, true) => Instants::Two(standard.min(summer), standard.max(summer)),
            (true, false) => Instants::One(standard),
            (false, true) => Instants::One(summer),
            // By the clocks before the switch the time comes after it, by those after it before: it lies between.
            (false, false) => Instants::Missing(self.last_switch(standard.max(summer)).at),
        }
    }

    fn is_valid(&self) -> bool {
        let is_switch = |switch: &Switch| {
            switch.day.is_valid()
                && (switch.seconds.unsigned_abs() / 3_600) <= SWITCH_HOURS_MAX.unsigned_abs()
        };
        [&self.standard, &self.summer].into_iter().all(|season| season.name.is_valid())
            && [&self.begins, &self.ends].into_iter().all(is_switch)
    }
}

impl SwitchDay {
    /// The day in a year, counted from 1970-01-01.
    fn in_year(self, year: i64) -> i64 {
        match self {
            Self::Ordinal(days) => days_of(year, 1, 1) + i64::from(days),
            Self::WithoutLeapDay(day) => {
                let day = i64::from(day);
                // The 60th is the first of March.
                if day < 60 { days_of(year, 1, day) } else { days_of(year, 3, 1) + day - 60 }
            }
            Self::Weekday { month, week, weekday } => {
                let first = days_of(year, i64::from(month), 1);
                let ahead = (i64::from(weekday) - weekday_of(first)).rem_euclid(7);
                let day = ahead + 7 * (i64::from(week) - 1);
                // Years beyond the range of dates have no leap days that anybody would miss.
                let length = u32::try_from(year).map_or(28, |year| month_length(year, u32::from(month)));
                first + if day < i64::from(length) { day } else { day - 7 }
            }
        }
    }

    fn is_valid(self) -> bool {
        match self {
            Self::WithoutLeapDay(day) => (1..=365).contains(&day),
            Self::Ordinal(days) => days <= 365,
            Self::Weekday { month, week, weekday } => {
                (1..=12).contains(&month) && (1..=5).contains(&week) && weekday <= 6
            }
        }
    }
}

impl Name {
    fn of(text: &str) -> Option<Self> {
        let mut name = [0; NAME_CHARS_MAX];
        name.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self(name)).filter(Self::is_valid)
    }

    fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(NAME_CHARS_MAX);
        core::str::from_utf8(&self.0[..length]).unwrap_or("")
    }

    fn is_valid(&self) -> bool {
        let text = self.as_str();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'-';
        NAME_CHARS.contains(&text.len())
            && text.bytes().all(is_plain)
            && self.0[text.len()..].iter().all(|byte| *byte == 0)
    }
}

impl Serialize for TimeZone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
        }
        match Clocks::deserialize(deserializer)? {
            Clocks::Seasons(seasons) if !seasons.is_valid() => {
                Err(D::Error::custom("a time zone that no text gives"))
            }
            clocks @ (Clocks::Fixed(_) | Clocks::Seasons(_)) => Ok(Self(clocks)),
        }
    }
}

#[cfg(test)]
mod tests;
