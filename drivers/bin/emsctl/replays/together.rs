//! What several logs say together: who sent what to whom, and when everything happened in one time.

use std::collections::{BTreeMap, BTreeSet};

use r_ems_engine::log::ControllerNames;
use r_ems_engine::redundancy::Seat;
use r_ems_engine::wall::WallTime;
use r_ems_replay::common_time::{Ahead, Clock, CommonTime, Counts, Interval, Letter, LinedUp, Mail, line_up};
use r_ems_replay::letters::{Sampling, Side};

use super::lineage::{Clocks, Follows, Lines};
use super::{CLOCKS_APART_MAX, Reading};

/// So many oddities are told.
const NOTES_MAX: usize = 20;

/// Where somebody sits: by council.
type Seated = (usize, Seat);

/// A member of a council of which there is a log.
struct Member {
    /// Which council.
    council: usize,
    /// "grid/id".
    name: String,
    covered: Vec<Interval>,
}

/// All members.
#[derive(Default)]
struct Members {
    all: Vec<Member>,
    /// By the run that was simulated, if it was, and by grid: nobody writes from one run to another.
    councils: BTreeMap<(Option<usize>, String), usize>,
    seated: BTreeMap<Seated, usize>,
}

/// All logs in one time.
pub(super) struct Together {
    pub(super) time: CommonTime,
    pub(super) clocks: Vec<ClockAbout>,
    pub(super) letters: Vec<Passed>,
    /// What is odd about it all.
    pub(super) notes: Vec<String>,
}

/// A clock, for people.
pub(super) struct ClockAbout {
    /// Whose logs count by it.
    pub(super) name: String,
    /// The first instant of its logs, as it showed that.
    pub(super) first: Option<WallTime>,
    /// How far it is ahead of the one by which its times are told, if that is another one.
    pub(super) ahead: Option<Ahead>,
    /// Which of all that is, if it is another one.
    pub(super) told_by: Option<usize>,
    /// Whether times of others are told by it.
    pub(super) tells: bool,
    /// Whether it is the one by which the most times are told.
    pub(super) is_reference: bool,
}

/// What became of the letters of one member to another.
pub(super) struct Passed {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) counts: Counts,
}

impl Together {
    /// Lines everything up.
    pub(super) fn of(reading: &Reading, lines: &Lines, clocks: &Clocks) -> Self {
        let mut notes = Vec::new();
        let in_order = lines.in_order(reading);
        let (members, of_segment) = members(reading, (lines, &in_order), clocks, &mut notes);
        let mail = mail(reading, (clocks, &in_order), &members, &of_segment);
        let covered: Vec<Vec<Interval>> = members.all.iter().map(|member| member.covered.clone()).collect();
        let names = clock_names(reading, clocks);
        let owner = |name: &String| names.iter().position(|known| known == name).expect("it is one of them");
        let owners: Vec<usize> = names.iter().map(owner).collect();
        let LinedUp { time, counts } = line_up(&owners, &mail, &covered);
        let passed = |(mail, counts): (&Mail, Counts)| Passed {
            from: members.all[mail.from].name.clone(),
            to: members.all[mail.to].name.clone(),
            counts,
        };
        let letters: Vec<Passed> = mail.iter().zip(counts).map(passed).collect();
        if reading.sampling > Sampling::ALL {
            let which = match reading.sampling.one_in() {
                1 => "only those with a number count".to_owned(),
                several => format!("only one in {several} of those with a number counts"),
            };
            notes.push(format!(
                "the logs hold more letters than are kept at once: {which}, in each log the same"
            ));
        }
        let clocks = about_clocks(reading, clocks, names, &time);
        let apart = |about: &ClockAbout| about.ahead.as_ref().map_or(0, |ahead| ahead.by.unsigned_abs());
        if reading.keeps_part() && clocks.iter().map(apart).max() > Some(CLOCKS_APART_MAX.as_nanos()) {
            notes.push("clocks are more than a day apart: without --from and --to all is told".to_owned());
        }
        Self { time, clocks, letters, notes }
    }

    /// When something happened, in the common time.
    pub(super) fn at(&self, clock: Option<Clock>, shown: WallTime) -> WallTime {
        clock.map_or(shown, |clock| self.time.of(clock, shown))
    }
}

/// Who wrote what to whom, and what arrived.
fn mail(
    reading: &Reading,
    (clocks, in_order): (&Clocks, &[usize]),
    members: &Members,
    of_segment: &[Vec<Option<usize>>],
) -> Vec<Mail> {
    let mut between: BTreeMap<(usize, usize), Mail> = BTreeMap::new();
    for place in in_order.iter().copied() {
        let (Some(clock), Ok(replayed)) = (clocks.of[place], &reading.segments[place].result) else {
            continue;
        };
        for noted in &replayed.letters {
            let own = of_segment[place].get(noted.controller.position()).copied().flatten();
            let Some(own) = own else { continue };
            let with = members.seated.get(&members.all[own].seated(noted.with)).copied();
            let Some(with) = with.filter(|with| *with != own) else { continue };
            let (from, to) = if noted.side == Side::Sent { (own, with) } else { (with, own) };
            let mail = between.entry((from, to)).or_insert_with(|| Mail { from, to, ..Mail::default() });
            let shown = replayed.shown(noted.at);
            let letter = Letter { content: noted.content, is_numbered: noted.is_numbered, clock, shown };
            match noted.side {
                Side::Sent => mail.sent.push(letter),
                Side::Received => mail.received.push(letter),
            }
        }
    }
    between.into_values().collect()
}

/// Who sits where, and by segment and controller of its log which member that is.
fn members(
    reading: &Reading,
    (lines, in_order): (&Lines, &[usize]),
    clocks: &Clocks,
    notes: &mut Vec<String>,
) -> (Members, Vec<Vec<Option<usize>>>) {
    let mut members = Members::default();
    let mut of_segment: Vec<Vec<Option<usize>>> = vec![Vec::new(); reading.segments.len()];
    for place in in_order.iter().copied() {
        let (Some(clock), Ok(replayed)) = (clocks.of[place], &reading.segments[place].result) else {
            continue;
        };
        let goes_on = lines.link(place).is_some_and(|link| link.follows == Follows::GoesOn);
        let run = replayed.is_simulated.then_some(place);
        let names = &reading.names[replayed.names];
        for (names, seat) in names.iter().zip(&replayed.seats) {
            let member = seat.and_then(|seat| members.seat((run, seat), names, notes));
            of_segment[place].push(member);
            let (Some(member), Some((first, last))) = (member, replayed.span) else { continue };
            let (from, to) = (replayed.shown(first), replayed.shown(last));
            let covered = &mut members.all[member].covered;
            match covered.last_mut().filter(|before| goes_on && before.clock == clock) {
                Some(before) => before.to = to,
                None => covered.push(Interval { clock, from, to }),
            }
        }
    }
    (members, of_segment)
}

impl Member {
    /// Where somebody else of its council sits.
    fn seated(&self, seat: Seat) -> Seated {
        (self.council, seat)
    }
}

impl Members {
    /// The member that a controller is; nothing if somebody else sits there.
    fn seat(
        &mut self,
        (run, seat): (Option<usize>, Seat),
        names: &ControllerNames,
        notes: &mut Vec<String>,
    ) -> Option<usize> {
        let name = names.full();
        let councils = self.councils.len();
        let council = *self.councils.entry((run, names.grid.clone())).or_insert(councils);
        let place = *self.seated.entry((council, seat)).or_insert(self.all.len());
        let Some(known) = self.all.get(place) else {
            self.all.push(Member { council, name, covered: Vec::new() });
            return Some(place);
        };
        if known.name == name {
            return Some(place);
        }
        let note = format!(
            "{name} and {} sit in the same place: the logs are of different sites, and only one is lined up",
            known.name
        );
        if notes.len() < NOTES_MAX && !notes.contains(&note) {
            notes.push(note);
        }
        None
    }
}

/// By clock, whose logs count by it.
fn clock_names(reading: &Reading, clocks: &Clocks) -> Vec<String> {
    let name = |segments: &Vec<usize>| {
        let replayed = segments.iter().filter_map(|place| reading.segments[*place].result.as_ref().ok());
        let names: BTreeSet<String> =
            replayed.flat_map(|own| reading.names[own.names].iter().map(ControllerNames::full)).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    };
    clocks.segments.iter().map(name).collect()
}

/// What there is to say of clocks: of each that tells others, and then of those; the one that tells the most comes first.
fn about_clocks(
    reading: &Reading,
    clocks: &Clocks,
    names: Vec<String>,
    time: &CommonTime,
) -> Vec<ClockAbout> {
    let all = || (0_u32..).map(Clock).take(names.len());
    let references: Vec<Clock> = all().map(|clock| time.reference(clock)).collect();
    let mut told_by: BTreeMap<Clock, usize> = BTreeMap::new();
    references.iter().for_each(|reference| *told_by.entry(*reference).or_default() += 1);
    // Of several that tell as many times the first.
    let most = told_by.iter().max_by_key(|(clock, count)| (**count, std::cmp::Reverse(**clock)));
    let most = most.map(|(clock, _)| *clock);
    let mut order: Vec<Clock> = all().collect();
    let reference = |clock: Clock| references[clock.0 as usize];
    let is_other = |clock: Clock| reference(clock) != clock;
    order.sort_by_key(|clock| (Some(reference(*clock)) != most, reference(*clock), is_other(*clock)));
    let mut places = vec![0; names.len()];
    order.iter().enumerate().for_each(|(place, clock)| places[clock.0 as usize] = place);
    let about = |clock: &Clock| {
        let segments = clocks.segments[clock.0 as usize].iter();
        let replayed = segments.filter_map(|place| reading.segments[*place].result.as_ref().ok());
        let first = replayed.filter_map(|own| own.span.map(|span| own.shown(span.0))).min();
        ClockAbout {
            name: names[clock.0 as usize].clone(),
            first,
            ahead: time.ahead(*clock),
            told_by: is_other(*clock).then_some(places[reference(*clock).0 as usize]),
            tells: told_by.get(clock).is_some_and(|count| *count > 1),
            is_reference: most == Some(*clock),
        }
    };
    order.iter().map(about).collect()
}

/// By grid, the controllers of its council by seat, where there are logs of all: then others can be named.
pub(super) fn councils(reading: &Reading) -> BTreeMap<&str, Vec<ControllerNames>> {
    let mut seated: BTreeMap<(&str, Seat), &ControllerNames> = BTreeMap::new();
    for replayed in reading.segments.iter().filter_map(|segment| segment.result.as_ref().ok()) {
        for (names, seat) in reading.names[replayed.names].iter().zip(&replayed.seats) {
            if let Some(seat) = *seat {
                seated.entry((&names.grid, seat)).or_insert(names);
            }
        }
    }
    let mut councils: BTreeMap<&str, Vec<ControllerNames>> = BTreeMap::new();
    let mut have_gaps = BTreeSet::new();
    for ((grid, seat), names) in seated {
        let council = councils.entry(grid).or_default();
        if seat.position() != council.len() {
            have_gaps.insert(grid);
        }
        council.push(names.clone());
    }
    councils.retain(|grid, _| !have_gaps.contains(grid));
    councils
}
