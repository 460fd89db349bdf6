//! `r-emsctl replay` of archives, of several logs, or in one time: each log bit for bit, and then all of them together.
//!
//! ```text
//!     archives, logs ─ source ─> segment: replayed as it is read ─ lineage ─> what follows what, which clock is whose
//!                                                                ─ together, timeline ─> one time, letters, what happened
//! ```
//!
//! A log that is cut off is accepted where a crash, or collecting it while its daemon runs, leaves one: as the last of its
//! controller, or before a new life. Elsewhere it is not, as for a log by itself.
//!
//! **Bounds:** of the logs together so many letters and happenings are kept, and so much of what they say of themselves; what is
//! more is counted or refused, and told.

mod lineage;
mod page;
mod printed;
mod segment;
mod source;
mod timeline;
mod together;

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{ControllerNames, Header};
use r_ems_engine::wall::{UtcOffset, WallTime};

use self::lineage::{Clocks, Line, lines};
use self::segment::{Segment, names_weight, printable_names, weight};
use self::source::Source;
use self::timeline::Timeline;
use self::together::Together;
use super::args::{Format, Replay as Arguments};
use super::values::{ControllerName, Moment};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) use self::source::is_archive;

/// So many letters are kept of all logs: 24 bytes each, and as many again while they are lined up.
const LETTERS_MAX: usize = 4 << 20;
/// So much of what happened is kept of all logs.
const HAPPENED_MAX: usize = 1 << 20;
/// So many bytes of what all logs say of themselves are kept: names, engines, and which seats their controllers have.
const ABOUT_BYTES_MAX: usize = 64 << 20;
/// So many divergences are told whole; of others only that they are.
const DIVERGENCES_MAX: usize = 8;

/// What has been read.
struct Reading {
    /// Only logs that hold this one.
    controller: Option<ControllerName>,
    /// How the site's clocks show times, once a log has said.
    zone: Option<UtcOffset>,
    /// How many arguments have been opened.
    sources: usize,
    segments: Vec<Segment>,
    /// Lists of controllers, as logs have them.
    names: Vec<Vec<ControllerNames>>,
    letters_left: usize,
    letters_more: u64,
    happened_left: usize,
    happened_more: u64,
    about_left: usize,
    divergences_left: usize,
}

impl Reading {
    /// Nothing yet; what happened is kept only where it is to be told.
    fn new(controller: Option<ControllerName>, tells: bool) -> Self {
        Self {
            controller,
            zone: None,
            sources: 0,
            segments: Vec::new(),
            names: Vec::new(),
            letters_left: LETTERS_MAX,
            letters_more: 0,
            happened_left: if tells { HAPPENED_MAX } else { 0 },
            happened_more: 0,
            about_left: ABOUT_BYTES_MAX,
            divergences_left: DIVERGENCES_MAX,
        }
    }

    /// The place of a log's list of controllers.
    ///
    /// # Errors
    /// There is no room for what it says of itself.
    fn intern(&mut self, header: &Header) -> Result<usize, String> {
        let names = printable_names(header);
        let known = self.names.iter().position(|known| *known == names);
        let weight = weight(header) + if known.is_some() { 0 } else { names_weight(&names) };
        let Some(left) = self.about_left.checked_sub(weight) else {
            return Err(
                "with it the logs have more controllers, or longer names, than are kept of all".to_owned()
            );
        };
        self.about_left = left;
        Ok(known.unwrap_or_else(|| {
            self.names.push(names);
            self.names.len() - 1
        }))
    }
}

/// Everything that is printed.
struct Whole<'a> {
    reading: &'a Reading,
    sources: &'a [Source],
    lines: &'a [Line],
    together: &'a Together,
    /// Whether logs that are cut off are accepted everywhere.
    accepts_torn: bool,
}

/// How much a log is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It was repeated bit for bit.
    Same,
    /// The same, up to where it was cut off, as it may be.
    Torn,
    /// The same, up to where it was cut off, as it may not be.
    Cut,
    /// Something else came of it.
    Diverged,
    /// It cannot be replayed.
    Unreadable,
}

impl Verdict {
    /// The word for it in what programs read.
    const fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Torn => "torn",
            Self::Cut => "cut",
            Self::Diverged => "diverged",
            Self::Unreadable => "unreadable",
        }
    }

    const fn exit(self) -> Exit {
        match self {
            Self::Same | Self::Torn => Exit::Ok,
            Self::Cut | Self::Unreadable => Exit::Error,
            Self::Diverged => Exit::Diverged,
        }
    }
}

impl Whole<'_> {
    fn verdict(&self, place: usize) -> Verdict {
        let Ok(replayed) = &self.reading.segments[place].result else { return Verdict::Unreadable };
        if replayed.has_diverged {
            return Verdict::Diverged;
        }
        let links = || self.lines.iter().flat_map(|line| &line.links);
        let may_be = || links().any(|link| link.segment == place && link.may_be_torn);
        match replayed.is_torn() {
            false => Verdict::Same,
            true if self.accepts_torn || may_be() => Verdict::Torn,
            true => Verdict::Cut,
        }
    }

    /// The worst of all.
    fn exit(&self) -> Exit {
        let of_sources =
            self.sources.iter().map(|source| if source.is_whole() { Exit::Ok } else { Exit::Error });
        let counts = |place: &usize| !self.reading.segments[*place].role.is_set_aside();
        let places = (0..self.reading.segments.len()).filter(counts);
        let exits = places.map(|place| self.verdict(place).exit()).chain(of_sources);
        exits.max_by_key(|exit| exit.code()).unwrap_or(Exit::Ok)
    }
}

/// Replays all that was named.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Arguments,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    if !arguments.timeline && (arguments.from.is_some() || arguments.to.is_some()) {
        return Err(Failure::usage("--from and --to of archives and of several logs need --timeline"));
    }
    let mut reading = Reading::new(arguments.controller.clone(), arguments.timeline);
    let read = |path| source::read::<F>(path, &mut reading);
    let sources: Vec<Source> =
        arguments.logs.iter().map(|path| path.as_path()).map(read).collect::<Result<_, _>>()?;
    if reading.segments.is_empty() && sources.iter().all(Source::is_whole) {
        let wanted = arguments.controller.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        return Err(Failure::error(format!("there is no log{wanted} in what was named")));
    }
    let reading = &reading;
    let lines = &lines(reading);
    let clocks = &Clocks::of(reading, lines);
    let together = &Together::of(reading, lines, clocks);
    let whole = Whole { reading, sources: &sources, lines, together, accepts_torn: arguments.torn };
    let timeline = arguments.timeline.then(|| Timeline::of(reading, lines, clocks, together));
    let window = match &timeline {
        Some(timeline) => window(reading, timeline, (arguments.from.as_ref(), arguments.to.as_ref()))?,
        None => (WallTime::EPOCH, WallTime::EPOCH),
    };
    match format {
        Format::Json => printed::print(&whole, timeline.as_ref(), window, output)?,
        Format::Human => page::print(&whole, timeline.as_ref(), window, output)?,
    }
    Ok(whole.exit())
}

/// The instants between which a timeline is shown.
fn window(
    reading: &Reading,
    timeline: &Timeline<'_>,
    (from, to): (Option<&Moment>, Option<&Moment>),
) -> Result<(WallTime, WallTime), Failure> {
    let begin = timeline.begin().unwrap_or(WallTime::EPOCH);
    let zone = reading.zone.unwrap_or(UtcOffset::UTC);
    let resolve = |moment: &Moment| match moment.resolve(begin, zone) {
        Ok(at) => Ok(begin + at.since(r_ems_engine::Time::ZERO)),
        Err(message) => Err(Failure::usage(message)),
    };
    let from = from.map_or(Ok(begin), resolve)?;
    let to = to.map_or(Ok(WallTime::from_unix_nanos(i64::MAX)), resolve)?;
    if from > to {
        return Err(Failure::usage("--from must not be later than --to"));
    }
    Ok((from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: &str) -> Header {
        let grid = "commerce".to_owned();
        let names = ControllerNames { grid, id: id.to_owned(), devices: Vec::new(), functions: Vec::new() };
        Header::new(&[], vec![names])
    }

    #[test]
    fn of_what_logs_say_of_themselves_no_more_is_kept_than_there_is_room_for() {
        let mut reading = Reading::new(None, false);
        let (one, other) = (header("a"), header("b"));
        let weight_of = |header: &Header| weight(header) + names_weight(&header.controllers);
        reading.about_left = 2 * weight(&one) + weight_of(&one) + weight_of(&other) - 1;
        for _ in 0..3 {
            assert_eq!(reading.intern(&one), Ok(0), "names that are known take no room");
        }
        assert!(reading.intern(&other).is_err_and(|why| why.contains("more controllers")));
        assert_eq!(reading.names.len(), 1);
        reading.about_left += 1;
        assert_eq!(reading.intern(&other), Ok(1));
    }

    #[test]
    fn names_of_logs_can_be_printed_whatever_they_are() {
        let long = "\u{1b}[2J".to_owned() + &"x".repeat(1 << 20);
        let names = printable_names(&header(&long));
        assert!(names[0].id.starts_with("?[2Jx") && names[0].id.len() < 300, "{}", names[0].id);
    }
}
