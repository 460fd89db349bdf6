//! How the segments of each controller follow each other: what is missing between them, and where a new life begins.
//!
//! A segment begins with the state at which the one before ended. Where it does not, something is missing between them, or a life
//! began with less than the life before knew; which of both, its first delivery says.

use std::collections::BTreeMap;

use r_ems_engine::wall::WallTime;
use r_ems_replay::common_time::Clock;

use super::Reading;
use super::segment::{Replayed, Role, Segment};

/// The segments of one controller, in their order.
pub(super) struct Line {
    /// "grid/id".
    pub(super) controller: String,
    pub(super) links: Vec<Link>,
}

/// A segment in its place.
pub(super) struct Link {
    /// Which one.
    pub(super) segment: usize,
    /// How it follows what is before it.
    pub(super) follows: Follows,
    /// Whether its end is what a crash, or collecting while a daemon writes, leaves.
    pub(super) may_be_torn: bool,
}

/// How a segment follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// Nothing is before it.
    First,
    /// It goes on where that ended.
    GoesOn,
    /// A life begins where that ended.
    Life,
    /// A life begins, and not where that ended.
    OtherLife,
    /// What was delivered between them is missing.
    Gap,
    /// So many segments between them are missing.
    Missing(u64),
    /// It is the same segment once more, not longer than the other.
    Again,
    /// It cannot be said: one of them cannot be replayed, or not to its end.
    Unknown,
}

impl Follows {
    /// Whether a log that ended before it may have been cut off by a crash.
    const fn begins_life(self) -> bool {
        matches!(self, Self::Life | Self::OtherLife)
    }
}

/// Puts the segments of journals in their order. Logs by themselves are in no line, nor what cannot be read.
pub(super) fn lines(reading: &Reading) -> Vec<Line> {
    let mut by_controller: BTreeMap<String, Vec<(u64, usize)>> = BTreeMap::new();
    for (place, segment) in reading.segments.iter().enumerate() {
        if let Role::Segment(number) = segment.role {
            by_controller.entry(name(reading, segment)).or_default().push((number, place));
        }
    }
    by_controller.into_iter().map(|(controller, found)| line(reading, controller, found)).collect()
}

/// Whose a segment is; of one that cannot be read its folder says it.
pub(super) fn name(reading: &Reading, segment: &Segment) -> String {
    let of_folder = || {
        let mut parts = segment.path.rsplit('/').skip(1).take(2);
        let id = parts.next().unwrap_or_default();
        parts.next().map_or_else(|| id.to_owned(), |grid| format!("{grid}/{id}"))
    };
    let names = segment.result.as_ref().ok().and_then(|replayed| reading.names[replayed.names].first());
    names.map_or_else(of_folder, |names| names.full())
}

fn line(reading: &Reading, controller: String, mut found: Vec<(u64, usize)>) -> Line {
    let replayed = |place: usize| reading.segments[place].result.as_ref().ok();
    // Of the same segment the longest comes first: what was collected later.
    let length = |place: usize| replayed(place).map_or(0, |replayed| replayed.deliveries);
    found.sort_by_key(|(number, place)| (*number, std::cmp::Reverse(length(*place)), *place));
    let mut links: Vec<Link> = Vec::new();
    let mut before: Option<(u64, usize)> = None;
    for (number, place) in found {
        let follows = match before {
            None => Follows::First,
            Some((last, _)) if number > last + 1 => Follows::Missing(number - last - 1),
            Some((last, earlier)) => match (replayed(earlier), replayed(place)) {
                (Some(one), Some(other)) if number == last && is_same(one, other) => Follows::Again,
                (Some(one), Some(other)) => follows(one, other),
                (None, _) | (_, None) => Follows::Unknown,
            },
        };
        links.push(Link { segment: place, follows, may_be_torn: false });
        if follows != Follows::Again {
            before = Some((number, place));
        }
    }
    let mut is_cut = true;
    for link in links.iter_mut().rev() {
        link.may_be_torn = is_cut;
        if link.follows != Follows::Again {
            is_cut = link.follows.begins_life();
        }
    }
    Line { controller, links }
}

fn is_same(one: &Replayed, other: &Replayed) -> bool {
    one.start == other.start && one.begins_as == other.begins_as
}

fn follows(before: &Replayed, next: &Replayed) -> Follows {
    if before.has_diverged {
        return Follows::Unknown;
    }
    match (before.ends_as == next.begins_as, next.begins_life) {
        (true, false) => Follows::GoesOn,
        (true, true) => Follows::Life,
        (false, true) => Follows::OtherLife,
        // One that nothing reached yet tells nothing of what comes.
        (false, false) => Follows::Gap,
    }
}

/// Which clock each log counts by.
pub(super) struct Clocks {
    /// By segment; nothing for those that say nothing, or the same as another one.
    pub(super) of: Vec<Option<Clock>>,
    /// By clock, the segments that count by it.
    pub(super) segments: Vec<Vec<usize>>,
}

/// By what a clock is known.
#[derive(PartialEq, Eq)]
enum Known {
    /// A run that was simulated has a time of its own.
    Run(usize),
    /// The process that began then: no two begin at one nanosecond.
    Process(WallTime),
    /// A process whose wall clock was not set: the life of a controller.
    Life(usize, usize),
}

impl Clocks {
    /// Tells clocks apart.
    pub(super) fn of(reading: &Reading, lines: &[Line]) -> Self {
        let mut known: Vec<Known> = Vec::new();
        let mut clocks = Self { of: vec![None; reading.segments.len()], segments: Vec::new() };
        for (line, own) in lines.iter().enumerate() {
            let mut life = 0;
            for (place, link) in own.links.iter().enumerate() {
                if link.follows != Follows::GoesOn {
                    life = place;
                }
                if link.follows != Follows::Again {
                    clocks.add(reading, &mut known, link.segment, (line, life));
                }
            }
        }
        for (place, segment) in reading.segments.iter().enumerate() {
            if segment.role == Role::Alone {
                clocks.add(reading, &mut known, place, (usize::MAX, place));
            }
        }
        clocks
    }

    fn add(&mut self, reading: &Reading, known: &mut Vec<Known>, place: usize, (line, life): (usize, usize)) {
        let Ok(replayed) = &reading.segments[place].result else { return };
        let own = if replayed.is_simulated {
            Known::Run(place)
        } else if replayed.start == WallTime::EPOCH {
            Known::Life(line, life)
        } else {
            Known::Process(replayed.start)
        };
        let clock = known.iter().position(|known| *known == own).unwrap_or_else(|| {
            known.push(own);
            self.segments.push(Vec::new());
            known.len() - 1
        });
        self.segments[clock].push(place);
        self.of[place] = Some(Clock(u32::try_from(clock).expect("there are fewer than entries of archives")));
    }
}
