//! The values that arguments are made of, and how they are read from text.

use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_engine::{Span, Time};

/// A moment of a run, as a user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    /// So long after the run began.
    After(Span),
    /// What a clock at the site shows.
    Local(String),
}

impl std::str::FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(span) = text.trim().strip_prefix('+') {
            return span.trim().parse().map(Self::After).map_err(|error| format!("{error}"));
        }
        // Any zone proves the form; the run's own is known once its file has been read, and with it what its seasons are called.
        let named =
            text.trim().rsplit_once(' ').filter(|parts| parts.0.contains(' ') && !parts.1.contains(':'));
        match WallTime::parse_local(named.map_or(text, |parts| parts.0), TimeZone::UTC) {
            Ok(_) => Ok(Self::Local(text.to_owned())),
            Err(error) => Err(format!("{error}; or a time from the start, such as \"+10 min\"")),
        }
    }
}

impl Moment {
    /// The instant of a local time by the clocks of a zone; nothing of a time from the start, or of one that is none there.
    pub fn local(&self, zone: TimeZone) -> Option<WallTime> {
        match self {
            Self::After(_) => None,
            Self::Local(text) => WallTime::parse_local(text, zone).ok(),
        }
    }

    /// The instant of a run that began at `start`, by the clocks of a zone.
    ///
    /// # Errors
    /// A local time before the run began, or one that is none in the zone.
    pub fn resolve(&self, start: WallTime, zone: TimeZone) -> Result<Time, String> {
        match self {
            Self::After(span) => Ok(Time::ZERO + *span),
            Self::Local(text) => {
                let wall = WallTime::parse_local(text, zone).map_err(|error| format!("{error}"))?;
                if wall < start {
                    return Err(format!("{text} is before the run began, at {}", start.local(zone)));
                }
                Ok(Time::ZERO + wall.since(start))
            }
        }
    }
}

/// A controller's full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerName {
    /// Its grid.
    pub grid: String,
    /// Its id within the grid.
    pub id: String,
}

impl std::str::FromStr for ControllerName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((grid, id)) if !grid.is_empty() && !id.is_empty() && !id.contains('/') => {
                Ok(Self { grid: grid.to_owned(), id: id.to_owned() })
            }
            Some(_) | None => Err("expected a grid and a controller's id, such as commerce/a".to_owned()),
        }
    }
}

impl std::fmt::Display for ControllerName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.grid, self.id)
    }
}

pub(crate) fn setting(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((path, value)) if !path.trim().is_empty() && !value.trim().is_empty() => Ok(text.to_owned()),
        Some(_) | None => {
            Err("expected path=value, such as plant.commerce.bess.capacity=\"800 kWh\"".to_owned())
        }
    }
}

pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_error| format!("expected a whole number from 0 to {}", u64::MAX))
}

pub(super) fn positive_span(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error| format!("{error}"))?;
    if span.is_zero() { Err("must be longer than no time at all".to_owned()) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_counts_from_the_start_or_is_a_local_time() {
        let zone: TimeZone = "UTC+1".parse().expect("an offset");
        let start: WallTime = "2016-03-07 UTC+1".parse().expect("a date");
        let resolve = |text: &str| text.parse::<Moment>().and_then(|moment| moment.resolve(start, zone));
        assert_eq!(resolve("+10 min"), Ok(Time::ZERO + Span::from_mins(10)));
        assert_eq!(resolve("2016-03-07 00:10"), Ok(Time::ZERO + Span::from_mins(10)));
        assert_eq!(resolve("2016-03-07 00:00:00"), Ok(Time::ZERO));
        assert!(resolve("2016-03-06 23:59:59").is_err());
        assert!(resolve("10 min").is_err());
        assert!(resolve("soon").is_err());
    }

    #[test]
    fn a_local_time_that_comes_twice_is_named_by_its_season() {
        let zone: TimeZone = "CET-1CEST,M3.5.0,M10.5.0/3".parse().expect("a zone");
        let start: WallTime = "2016-10-30 UTC+2".parse().expect("a date");
        let resolve = |text: &str| text.parse::<Moment>().and_then(|moment| moment.resolve(start, zone));
        assert_eq!(resolve("2016-10-30 02:30:00 CEST"), Ok(Time::ZERO + Span::from_mins(150)));
        assert_eq!(resolve("2016-10-30 02:30:00 CET"), Ok(Time::ZERO + Span::from_mins(210)));
        assert!(resolve("2016-10-30 02:30:00 EST").is_err());
        assert!(resolve("2016-10-30 CET").is_err());
    }

    #[test]
    fn a_controller_is_named_by_its_grid_and_its_id() {
        assert!("commerce/a".parse::<ControllerName>().is_ok());
        for text in ["commerce", "/a", "commerce/", "commerce/a/b", ""] {
            assert!(text.parse::<ControllerName>().is_err(), "{text}");
        }
    }
}
