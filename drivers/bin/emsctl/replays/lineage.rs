//! How the segments of each controller follow each other: what is missing between them, and where a new life begins.
//!
//! A segment begins with the state at which the one before ended. Where it does not, something is missing between them, or a life
//! began with less than the life before knew; which of both, its first delivery says.

use std::collections::{BTreeMap, BTreeSet};

use r_ems_engine::wall::WallTime;
use r_ems_replay::common_time::Clock;

use super::Reading;
use super::segment::{Replayed, Role, Segment};

/// All that is in its place.
pub(super) struct Lines {
    /// By controller.
    pub(super) lines: Vec<Line>,
    /// By segment: its line, and its place there.
    places: Vec<Option<(usize, usize)>>,
}

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
    /// So many segments between them are not there; a life that ended early may have made none of such a number.
    pub(super) missing: u64,
    /// Whether something is missing before it that was collected with what is before and after.
    pub(super) is_gap: bool,
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
    /// The same, and whole segments with it.
    Missing,
    /// It is the same segment once more, not longer than the other.
    Again,
    /// It cannot be said: one of them cannot be replayed, or not to its end.
    Unknown,
}

impl Link {
    /// Whether something is missing before it.
    pub(super) const fn lacks(&self) -> bool {
        match self.follows {
            Follows::Gap | Follows::Missing => true,
            Follows::OtherLife | Follows::Unknown => self.missing > 0,
            Follows::First | Follows::GoesOn | Follows::Life | Follows::Again => false,
        }
    }
}

impl Lines {
    /// Puts the segments of journals in their order, and a log by itself where it is the longest copy of one. Other logs by
    /// themselves are in no line.
    pub(super) fn of(reading: &Reading) -> Self {
        let mut by_controller: BTreeMap<String, Found> = BTreeMap::new();
        let mut copies: BTreeMap<usize, (u64, String)> = BTreeMap::new();
        for (place, segment) in reading.segments.iter().enumerate() {
            let number = match segment.role {
                Role::Segment(number) => number,
                Role::Quarantined(number) => {
                    let of_controller = by_controller.entry(name(reading, segment)).or_default();
                    of_controller.quarantined.insert(number);
                    continue;
                }
                Role::Alone => continue,
            };
            let controller = name(reading, segment);
            let longest = reading.longest(place);
            if reading.segments[longest].role == Role::Alone {
                let stands = copies.entry(longest).or_insert_with(|| (number, controller.clone()));
                stands.0 = stands.0.max(number);
            }
            by_controller.entry(controller).or_default().segments.push((number, place));
        }
        for (place, (number, controller)) in copies {
            by_controller.entry(controller).or_default().segments.push((number, place));
        }
        by_controller.retain(|_, found| !found.segments.is_empty());
        let lines: Vec<Line> =
            by_controller.into_iter().map(|(controller, found)| line(reading, controller, found)).collect();
        let mut places = vec![None; reading.segments.len()];
        for (which, line) in lines.iter().enumerate() {
            line.links
                .iter()
                .enumerate()
                .for_each(|(place, link)| places[link.segment] = Some((which, place)));
        }
        Self { lines, places }
    }

    /// A segment in its place, if it has one.
    pub(super) fn link(&self, segment: usize) -> Option<&Link> {
        self.places[segment].map(|(line, place)| &self.lines[line].links[place])
    }

    /// All links.
    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.lines.iter().flat_map(|line| &line.links)
    }

    /// All logs that count: those of each line in their order, and those by themselves.
    pub(super) fn in_order(&self, reading: &Reading) -> Vec<usize> {
        let is_alone =
            |place: &usize| reading.segments[*place].role == Role::Alone && self.link(*place).is_none();
        let alone = (0..reading.segments.len()).filter(is_alone);
        let all = self.links().map(|link| link.segment).chain(alone);
        all.filter(|place| reading.segments[*place].again.is_none()).collect()
    }
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

/// What there is of one controller.
#[derive(Default)]
struct Found {
    /// By number.
    segments: Vec<(u64, usize)>,
    /// What a recovery put aside is not missing.
    quarantined: BTreeSet<u64>,
}

fn line(reading: &Reading, controller: String, found: Found) -> Line {
    let Found { mut segments, quarantined } = found;
    let replayed = |place: usize| reading.segments[place].result.as_ref().ok();
    let is_again = |place: usize| reading.segments[place].again.is_some();
    // What counts comes before its copies.
    segments.sort_by_key(|(number, place)| (*number, is_again(*place), *place));
    let mut first_of_source: BTreeMap<usize, u64> = BTreeMap::new();
    let mut last_of_source: BTreeMap<usize, u64> = BTreeMap::new();
    for (number, place) in &segments {
        let source = reading.segments[*place].source;
        first_of_source.entry(source).or_insert(*number);
        last_of_source.insert(source, *number);
    }
    let is_last = |number: u64, place: usize| last_of_source[&reading.segments[place].source] == number;
    let mut links: Vec<Link> = Vec::new();
    let mut before: Option<(u64, usize)> = None;
    for (number, place) in segments {
        let mut link = Link {
            segment: place,
            follows: Follows::First,
            missing: 0,
            is_gap: false,
            may_be_torn: is_last(number, place),
        };
        if is_again(place) {
            link.follows = Follows::Again;
            links.push(link);
            continue;
        }
        if let Some((last, earlier)) = before {
            let aside = quarantined.range(last.saturating_add(1)..number.max(last.saturating_add(1))).count();
            link.missing = number.saturating_sub(last).saturating_sub(1 + aside as u64);
            let both = replayed(earlier).zip(replayed(place));
            link.follows = both.map_or(Follows::Unknown, |(one, other)| follows(one, other, link.missing));
            // Between two archives retention may have removed something, and what was not yet written was not collected.
            let has_older = first_of_source[&reading.segments[place].source] < number;
            let may_end = both.is_some_and(|(one, other)| may_end_before(one, other));
            // What a segment lost at its end is told of that, and whoever accepts it accepts the gap.
            let is_torn = both.is_some_and(|(one, _)| one.is_torn());
            let is_told = link.follows == Follows::Gap && is_torn && !may_end;
            link.is_gap = has_older && link.lacks() && !is_told;
            if let Some(link) = links.iter_mut().rev().find(|link| link.segment == earlier) {
                link.may_be_torn |= may_end;
            }
        }
        links.push(link);
        before = Some((number, place));
    }
    Line { controller, links }
}

fn follows(before: &Replayed, next: &Replayed, missing: u64) -> Follows {
    if before.has_diverged {
        return Follows::Unknown;
    }
    // Of one that nothing reached yet only its process tells whether a life begins.
    let is_life = next.begins_life || (next.span.is_none() && next.start != before.start);
    match (before.ends_as == next.begins_as, is_life) {
        (true, false) => Follows::GoesOn,
        (true, true) => Follows::Life,
        (false, true) => Follows::OtherLife,
        (false, false) if missing > 0 => Follows::Missing,
        (false, false) => Follows::Gap,
    }
}

/// Whether a crash may have cut off the log of one process before that of the next one: it begins a life, or its life began in
/// what is missing, or nothing reached it yet, which may be the beginning of a life.
fn may_end_before(before: &Replayed, next: &Replayed) -> bool {
    next.begins_life || next.start != before.start || next.span.is_none()
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
    /// A run that was simulated has a time of its own, and letters of its own.
    Run(usize),
    /// What counts from this instant: one process, or several of one host of which each goes on where its wall clock says.
    Process(WallTime),
    /// A process whose wall clock was not set: the life of a controller, by its line and its first log.
    Life(usize, usize),
}

impl Clocks {
    /// Tells clocks apart.
    pub(super) fn of(reading: &Reading, lines: &Lines) -> Self {
        let mut known: Vec<Known> = Vec::new();
        let mut clocks = Self { of: vec![None; reading.segments.len()], segments: Vec::new() };
        let mut life = (usize::MAX, 0);
        for place in lines.in_order(reading) {
            let line = lines.places[place].map_or(usize::MAX, |(line, _)| line);
            let goes_on = lines.link(place).is_some_and(|link| link.follows == Follows::GoesOn);
            if line != life.0 || !goes_on {
                life = (line, place);
            }
            clocks.add(reading, &mut known, place, life);
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

#[cfg(test)]
mod tests {
    use super::super::made::{Made, reading};
    use super::*;

    /// By log: how it follows, how many are missing before it, and whether it may end there.
    fn told(all: &[Made]) -> Vec<(Follows, u64, bool)> {
        let reading = reading(all);
        let lines = Lines::of(&reading);
        let told = |place| {
            let link = lines.link(place).expect("all are segments");
            (link.follows, link.missing, link.may_be_torn || reading.segments[place].again.is_some())
        };
        (0..all.len()).map(told).collect()
    }

    /// How often something is missing, and how often that is an error.
    fn gaps(all: &[Made]) -> (usize, usize) {
        let lines = Lines::of(&reading(all));
        let count = |is_it: fn(&&Link) -> bool| lines.links().filter(is_it).count();
        (count(|link| link.lacks()), count(|link| link.is_gap))
    }

    fn segment(number: u64, from: u8, to: u8) -> Made {
        Made::segment(number, [from, to])
    }

    #[test]
    fn what_was_collected_while_a_daemon_wrote_and_once_more_later_is_no_damage() {
        let monday = [segment(1, 0, 1), segment(2, 1, 2).torn().deliveries(5)];
        let tuesday = [segment(1, 0, 1).of(1), segment(2, 1, 3).of(1), segment(3, 3, 4).of(1).torn()];
        for days in [[&monday[..], &tuesday[..]].concat(), [&tuesday[..], &monday[..]].concat()] {
            for (made, (follows, missing, may_be_torn)) in days.iter().zip(told(&days)) {
                assert!(may_be_torn || !made.is_torn, "{follows:?}");
                assert_eq!(missing, 0);
            }
            assert_eq!(gaps(&days), (0, 0));
        }
        // By then retention had removed what the first one holds the beginning of.
        let later = [monday[0], monday[1], segment(3, 3, 4).of(1), segment(4, 4, 5).of(1).torn()];
        assert_eq!(told(&later)[1..3], [(Follows::GoesOn, 0, true), (Follows::Gap, 0, false)]);
        assert_eq!(gaps(&later), (1, 0), "told, and no error");
        let alone = [monday[0], monday[1], segment(3, 3, 4)];
        assert_eq!(told(&alone)[1], (Follows::GoesOn, 0, false), "in one archive no crash explains it");
    }

    #[test]
    fn a_life_that_ended_before_anything_reached_it_explains_what_the_one_before_left() {
        let lives = |second: i64, third: i64| {
            [
                segment(1, 0, 1).torn(),
                Made { start: second, ..segment(2, 1, 1).torn().deliveries(0) },
                segment(3, 1, 2).life(third),
            ]
        };
        let expected = [(Follows::First, 0, true), (Follows::Life, 0, true), (Follows::Life, 0, true)];
        assert_eq!(told(&lives(8, 9)), expected);
        // Where no wall clock tells processes apart.
        assert_eq!(told(&lives(7, 7))[..2], [(Follows::First, 0, true), (Follows::GoesOn, 0, true)]);
        let goes_on = [segment(1, 0, 1).torn(), segment(2, 1, 2)];
        assert!(!told(&goes_on)[0].2, "one process closes a segment before it begins the next one");
    }

    #[test]
    fn numbers_that_no_segment_got_are_no_gap() {
        let skipped = [segment(1, 0, 1).torn(), segment(3, 1, 2).life(8)];
        assert_eq!(told(&skipped), [(Follows::First, 0, true), (Follows::Life, 1, true)]);
        let rotated = [segment(1, 0, 1), segment(3, 1, 2)];
        assert_eq!(told(&rotated)[1], (Follows::GoesOn, 1, true));
        let aside = Made { role: Role::Quarantined(2), ..segment(2, 1, 2) };
        let lives = [segment(1, 0, 1).torn(), aside, segment(3, 1, 2).life(8)];
        let reading = reading(&lives);
        let lines = Lines::of(&reading);
        let link = lines.link(2).expect("it is a segment");
        assert_eq!((link.follows, link.missing), (Follows::Life, 0));
        for whole in [&skipped[..], &rotated, &lives, &[segment(7, 5, 6), segment(8, 6, 7)]] {
            assert_eq!(gaps(whole), (0, 0));
        }
    }

    #[test]
    fn what_is_missing_in_the_middle_is_a_gap() {
        let lost = [segment(1, 0, 1), segment(2, 1, 2), segment(5, 7, 8)];
        assert_eq!(told(&lost)[2], (Follows::Missing, 2, true));
        let life = [segment(1, 0, 1).torn(), segment(3, 7, 8).life(8)];
        assert_eq!(told(&life), [(Follows::First, 0, true), (Follows::OtherLife, 1, true)]);
        let in_another_life = [segment(1, 0, 1).torn(), Made { start: 8, ..segment(3, 7, 8) }];
        assert_eq!(told(&in_another_life), [(Follows::First, 0, true), (Follows::Missing, 1, true)]);
        for gap in [&lost[..], &life, &in_another_life, &[segment(1, 0, 1), segment(2, 7, 8)]] {
            assert_eq!(gaps(gap), (1, 1));
        }
        assert_eq!(gaps(&[segment(1, 0, 1), segment(2, 7, 8).life(8)]), (0, 0), "a state that was lost");
        let cut = [segment(1, 0, 1).torn(), segment(2, 7, 8)];
        assert_eq!((told(&cut)[0].2, gaps(&cut)), (false, (1, 0)), "its end is the error");
        let highest = [segment(0, 0, 1), segment(u64::MAX, 7, 8)];
        assert_eq!(told(&highest)[1], (Follows::Missing, u64::MAX - 1, true));
    }

    #[test]
    fn a_log_by_itself_that_is_a_segment_once_more_counts_once() {
        let lone = |made: Made| Made { role: Role::Alone, ..made.of(1) };
        let journal = [segment(1, 0, 1), segment(2, 1, 2).torn().deliveries(5)];
        for (copy, is_longer) in
            [(segment(2, 1, 2).torn().deliveries(5), false), (segment(2, 1, 3).deliveries(8), true)]
        {
            for all in [[journal[0], journal[1], lone(copy)], [lone(copy), journal[0], journal[1]]] {
                let reading = reading(&all);
                let place = all.iter().position(|made| made.role == Role::Alone).expect("one is");
                let lines = Lines::of(&reading);
                assert_eq!(lines.in_order(&reading).len(), 2);
                assert_eq!(reading.segments[place].again.is_none(), is_longer);
                assert_eq!(lines.link(place).map(|link| link.follows), is_longer.then_some(Follows::GoesOn));
                assert_eq!(Clocks::of(&reading, &lines).segments.concat().len(), 2);
            }
        }
        let other = Made { start: 8, ..lone(segment(2, 1, 2)) };
        assert_eq!(
            Lines::of(&reading(&[journal[0], other])).in_order(&reading(&[journal[0], other])).len(),
            2
        );
    }

    #[test]
    fn a_life_without_a_wall_clock_has_one_clock_however_often_it_was_collected() {
        let once: Vec<Made> = (1..4).map(|number| segment(number, number as u8, number as u8 + 1)).collect();
        let once: Vec<Made> = once.into_iter().map(|made| Made { start: 0, ..made }).collect();
        let twice: Vec<Made> = once.iter().flat_map(|made| [*made, made.of(1)]).collect();
        for all in [once, twice] {
            let reading = reading(&all);
            assert_eq!(Clocks::of(&reading, &Lines::of(&reading)).segments.len(), 1);
        }
    }
}
