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
//! more is counted or refused, and told. Of too many letters those are kept that each log keeps, see [`Sampling`].

mod lineage;
#[cfg(test)]
mod made;
mod page;
mod printed;
mod segment;
mod source;
mod timeline;
mod together;

use r_ems_engine::Span;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{ControllerNames, Header};
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_replay::letters::Sampling;

use self::lineage::{Clocks, Lines};
use self::segment::{Segment, names_weight, printable_names, weight};
use self::source::Source;
use self::timeline::Timeline;
use self::together::Together;
use super::args::{Format, Replay as Arguments};
use super::values::{ControllerName, Moment};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) use self::source::is_archive;

/// So many letters are kept of all logs, and so many of the one that is being read: 24 bytes each, and as many again while
/// they are lined up.
const LETTERS_MAX: usize = 2 << 20;
/// So much of what happened is kept of all logs.
const HAPPENED_MAX: usize = 1 << 20;
/// So many bytes of what all logs say of themselves are kept: names, engines, and which seats their controllers have.
const ABOUT_BYTES_MAX: usize = 64 << 20;
/// What happened is kept if a log's own clock showed no time that is so much farther outside of what is to be told.
const CLOCKS_APART_MAX: Span = Span::from_secs(24 * 3_600);
/// So many divergences are told whole; of others only that they are.
const DIVERGENCES_MAX: usize = 8;

/// What has been read.
struct Reading {
    /// Only logs that hold this one.
    controller: Option<ControllerName>,
    /// From when to when is told what happened, if that is said.
    told: (Option<Moment>, Option<Moment>),
    /// How the site's clocks show times, once a log has said.
    zone: Option<TimeZone>,
    /// How many arguments have been opened.
    sources: usize,
    segments: Vec<Segment>,
    /// Lists of controllers, as logs have them.
    names: Vec<Vec<ControllerNames>>,
    /// Which letters are kept, how many these are, and how many there may be.
    sampling: Sampling,
    thinned: Sampling,
    letters: usize,
    letters_most: usize,
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
            told: (None, None),
            zone: None,
            sources: 0,
            segments: Vec::new(),
            names: Vec::new(),
            sampling: Sampling::ALL,
            thinned: Sampling::ALL,
            letters: 0,
            letters_most: LETTERS_MAX,
            happened_left: if tells { HAPPENED_MAX } else { 0 },
            happened_more: 0,
            about_left: ABOUT_BYTES_MAX,
            divergences_left: DIVERGENCES_MAX,
        }
    }

    /// Adds what was read. Of several copies of a log only the longest keeps its letters and what happened.
    fn add(&mut self, segment: Segment) {
        let place = self.segments.len();
        let copies = |known: &&Segment| known.again.is_none() && known.is_copy_of(&segment);
        let known = self.segments.iter().position(|known| copies(&known));
        self.segments.push(segment);
        self.letters += self.letters_of(place);
        if self.segments[place].role.is_set_aside() {
            self.set_aside(place);
        }
        if let Some(known) = known {
            let is_more = self.segments[place].worth() > self.segments[known].worth();
            let (less, more) = if is_more { (known, place) } else { (place, known) };
            self.segments[less].again = Some(more);
            self.set_aside(less);
        }
        self.thin();
    }

    /// Between which times of a log's own clock it is kept what happened: hosts' clocks may be wrong, and nobody knows yet how
    /// far.
    fn kept_between(&self) -> (WallTime, WallTime) {
        let zone = self.zone.unwrap_or(TimeZone::UTC);
        let local = |moment: &Option<Moment>| moment.as_ref().and_then(|moment| moment.local(zone));
        let apart = CLOCKS_APART_MAX.as_nanos() as i64;
        let from = local(&self.told.0).map_or(i64::MIN, |from| from.as_unix_nanos().saturating_sub(apart));
        let to = local(&self.told.1).map_or(i64::MAX, |to| to.as_unix_nanos().saturating_add(apart));
        (WallTime::from_unix_nanos(from), WallTime::from_unix_nanos(to))
    }

    /// Whether what happened is kept of a part of the time only.
    fn keeps_part(&self) -> bool {
        self.kept_between() != (WallTime::from_unix_nanos(i64::MIN), WallTime::from_unix_nanos(i64::MAX))
    }

    /// The log that counts of all that are one once more.
    fn longest(&self, mut place: usize) -> usize {
        while let Some(more) = self.segments[place].again {
            place = more;
        }
        place
    }

    fn letters_of(&self, place: usize) -> usize {
        self.segments[place].result.as_ref().map_or(0, |replayed| replayed.letters.len())
    }

    /// Keeps nothing of what a log tells others.
    fn set_aside(&mut self, place: usize) {
        self.letters -= self.letters_of(place);
        let Ok(replayed) = &mut self.segments[place].result else { return };
        replayed.letters = Vec::new();
        self.happened_left += replayed.happened.len();
        replayed.happened = Vec::new();
    }

    /// Keeps the same letters of each log, and not too many.
    fn thin(&mut self) {
        while self.thinned < self.sampling || self.letters > self.letters_most {
            if self.thinned == self.sampling {
                self.sampling = self.sampling.sparser();
            }
            let sampling = self.sampling;
            self.letters = 0;
            for replayed in self.segments.iter_mut().filter_map(|segment| segment.result.as_mut().ok()) {
                replayed.letters.retain(|noted| sampling.keeps(noted));
                self.letters += replayed.letters.len();
            }
            self.thinned = sampling;
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
    lines: &'a Lines,
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
        let is_again = self.reading.segments[place].again.is_some();
        let may_be = is_again || self.lines.link(place).is_some_and(|link| link.may_be_torn);
        match replayed.is_torn() {
            false => Verdict::Same,
            true if self.accepts_torn || may_be => Verdict::Torn,
            true => Verdict::Cut,
        }
    }

    /// All logs, by where they were found; archives hold them in another order.
    fn places(&self) -> Vec<usize> {
        let segments = &self.reading.segments;
        let mut places: Vec<usize> = (0..segments.len()).collect();
        places.sort_by_key(|place| (segments[*place].source, &segments[*place].path));
        places
    }

    /// How often something is missing in the middle of what was collected, and how often between what was collected apart.
    fn gaps(&self) -> (usize, usize) {
        let lacking =
            |is_gap: bool| self.lines.links().filter(|link| link.lacks() && link.is_gap == is_gap).count();
        (lacking(true), lacking(false))
    }

    /// The worst of all.
    fn exit(&self) -> Exit {
        let of_sources =
            self.sources.iter().map(|source| if source.is_whole() { Exit::Ok } else { Exit::Error });
        let of_gaps = (self.gaps().0 > 0).then_some(Exit::Error);
        let counts = |place: &usize| !self.reading.segments[*place].role.is_set_aside();
        let places = (0..self.reading.segments.len()).filter(counts);
        let exits = places.map(|place| self.verdict(place).exit()).chain(of_sources).chain(of_gaps);
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
    // What cannot be read is told before hours are spent on the others.
    for path in &arguments.logs {
        is_archive(path)?;
    }
    let mut reading = Reading::new(arguments.controller.clone(), arguments.timeline);
    reading.told = (arguments.from.clone(), arguments.to.clone());
    let read = |path| source::read::<F>(path, &mut reading);
    let sources: Vec<Source> =
        arguments.logs.iter().map(|path| path.as_path()).map(read).collect::<Result<_, _>>()?;
    if reading.segments.is_empty() && sources.iter().all(Source::is_whole) {
        let wanted = arguments.controller.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        return Err(Failure::error(format!("there is no log{wanted} in what was named")));
    }
    let reading = &reading;
    let lines = &Lines::of(reading);
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
    let begin = timeline.begin.unwrap_or(WallTime::EPOCH);
    let zone = reading.zone.unwrap_or(TimeZone::UTC);
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
    use r_ems_engine::ids::ControllerIndex;
    use r_ems_engine::redundancy::Seat;
    use r_ems_replay::letters::{Noted, Side};

    use super::made::Made;
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

    /// So many letters between two controllers, as the logs of both tell.
    fn letters(count: u64, side: Side) -> Vec<Noted> {
        let letter = |number: u64| Noted {
            at: r_ems_engine::Time::from_nanos(number),
            // As spread as digests are.
            content: number.wrapping_mul(0xd6e8_feb8_6659_fd93),
            controller: ControllerIndex(0),
            with: Seat(1),
            side,
            is_numbered: true,
        };
        (0..count).map(letter).collect()
    }

    #[test]
    fn of_too_many_letters_each_log_keeps_the_same_ones_and_copies_keep_none() {
        let mut reading = made::reading(&[]);
        reading.letters_most = 100;
        for (number, side) in [(1, Side::Sent), (2, Side::Received), (2, Side::Received)] {
            let mut segment = Made::segment(number, [number as u8; 2]).made();
            segment.result.as_mut().expect("it was replayed").letters = letters(90, side);
            reading.add(segment);
        }
        let contents = |place: usize| {
            let letters = &reading.segments[place].result.as_ref().expect("it was replayed").letters;
            letters.iter().map(|noted| noted.content).collect::<Vec<_>>()
        };
        assert_eq!(contents(0), contents(1));
        assert!((25..=50).contains(&contents(0).len()), "{}", contents(0).len());
        assert!(contents(2).is_empty() && reading.segments[2].again == Some(1));
        assert!(reading.sampling > Sampling::ALL && reading.letters == 2 * contents(0).len());
    }

    #[test]
    fn what_happened_is_kept_of_what_is_to_be_told_and_a_day_around_it() {
        let mut reading = Reading::new(None, true);
        reading.told = (Some("+1 h".parse().expect("a moment")), None);
        assert!(!reading.keeps_part(), "nobody knows yet when it began");
        reading.told.1 = Some("2026-11-29 12:00:00".parse().expect("a moment"));
        let at = |text: &str| text.parse::<WallTime>().expect("an instant");
        assert_eq!(reading.kept_between().1, at("2026-11-30 12:00:00 UTC"));
        reading.zone = "UTC+1".parse().ok();
        assert!(reading.zone.is_some());
        reading.told.0 = Some("2026-11-29 11:00:00".parse().expect("a moment"));
        assert_eq!(reading.kept_between(), (at("2026-11-28 10:00:00 UTC"), at("2026-11-30 11:00:00 UTC")));
    }

    #[test]
    fn names_of_logs_can_be_printed_whatever_they_are() {
        let long = "\u{1b}\n[2J".to_owned() + &"x".repeat(1 << 20);
        let names = printable_names(&header(&long));
        assert!(names[0].id.starts_with("??[2Jx") && names[0].id.len() < 300, "{}", names[0].id);
    }
}
