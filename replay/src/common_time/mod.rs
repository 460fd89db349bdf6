//! One time for the logs of several hosts, from the letters that their controllers sent each other.
//!
//! ```text
//!     what was sent, what arrived ─ matching ─> pairs ─ strip, offset ─> clocks of two against each other ─ tree ─> one time
//!                                                                                             matching ─> what was lost
//! ```
//!
//! A host's log counts by that host's clock. When a letter left by one and arrived by the other bounds how far the one is ahead;
//! letters both ways bound it from both sides. It is what NTP does with its packets, done afterwards and for the whole time.
//! A clock that exchanged no letter with the reference is reached through those with which it did.
//!
//! Clocks show wall time here: what the host's wall clock showed when the process began, and what passed since by the clock that
//! never steps. Where no letter tells anything, as when all hosts were off, what is before and after is lined up by that alone:
//! by the wall clock of one host, if it lived in both.
//!
//! Pure, and in whole numbers: the same logs give the same times everywhere. It must never trust what a log says: any bytes may
//! stand in any field.

mod matching;
mod offset;
mod strip;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use r_ems_engine::wall::WallTime;

pub use self::matching::{Counts, ON_THE_WAY_MAX, UNREAD_MAX};
use self::offset::{Bounds, Offset};
pub use self::strip::RATE_MAX;

/// A clock is reached through so many others at the most.
const HOPS_MAX: u32 = 1_000;

/// A clock: of one process on one host, from its beginning to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock(pub u32);

/// A letter as the log of its writer or of its reader tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Names its content.
    pub content: u64,
    /// Whether no other letter of its writer has this content.
    pub is_numbered: bool,
    /// Whose log it is.
    pub clock: Clock,
    /// What that showed.
    pub shown: WallTime,
}

/// The letters of one member to another, in the order of the logs.
#[derive(Clone, Debug, Default)]
pub struct Mail {
    /// By the member that wrote them.
    pub from: usize,
    /// By the member that they were for.
    pub to: usize,
    /// As the one tells.
    pub sent: Vec<Letter>,
    /// As the other tells.
    pub received: Vec<Letter>,
}

/// From when to when a log tells everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// By this clock.
    pub clock: Clock,
    /// The first instant.
    pub from: WallTime,
    /// The last one.
    pub to: WallTime,
}

/// What several logs say together.
#[derive(Clone, Debug)]
pub struct LinedUp {
    /// Turns any of their times into one.
    pub time: CommonTime,
    /// What became of the letters, in the order of the mail.
    pub counts: Vec<Counts>,
}

/// Lines up logs: by clock the host that owns it, what passed between members, and by member what its logs cover.
///
/// # Panics
/// If a letter or an interval is of a clock that is none of these, or mail of a member that is none.
pub fn line_up(owners: &[usize], mail: &[Mail], covered: &[Vec<Interval>]) -> LinedUp {
    let time = CommonTime::of_mail(owners, mail);
    let covered: Vec<Covered> = covered.iter().map(|intervals| Covered::of(intervals, &time)).collect();
    let count = |mail: &Mail| {
        let letters = (mail.sent.as_slice(), mail.received.as_slice());
        matching::count(letters, &time, (&covered[mail.from], &covered[mail.to]))
    };
    let counts = mail.iter().map(count).collect();
    LinedUp { time, counts }
}

/// Turns times of each clock into times of one of them, the reference.
#[derive(Clone, Debug)]
pub struct CommonTime {
    /// By clock.
    ways: Vec<Way>,
}

/// How a clock is reached.
#[derive(Clone, Debug)]
enum Way {
    /// It is the reference, or no letter links it with another one.
    Itself,
    /// Through another one.
    Through(Link),
}

#[derive(Clone, Debug)]
struct Link {
    through: Clock,
    offset: Offset,
    side: Side,
    /// The error of the whole way, wherever letters tell, ns.
    within: i64,
    /// How many clocks are on it.
    hops: u32,
}

/// Of whose clock an offset counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// The offset says how far the clock is ahead of that through which it is reached.
    Ahead,
    /// The other way round.
    Behind,
}

/// How far a clock is ahead of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// At the last letter, ns; negative: it is behind.
    pub by: i64,
    /// The truth is no farther away, ns, between the first and the last letter; see [`CommonTime::within`] for others.
    pub within: i64,
    /// How much farther it gets ahead, in 10⁻¹², at the last letter; nothing where it is reached through others.
    pub rate: Option<i64>,
    /// How many letters tell.
    pub letters: u64,
    /// How many others tell nothing: they went one way only, when the clock had jumped.
    pub others: u64,
    /// What the clock showed at the first and at the last letter that tells.
    pub told: (WallTime, WallTime),
}

/// Letters between two clocks.
struct Edge {
    clocks: [Clock; 2],
    offset: Offset,
}

impl CommonTime {
    /// The best that letters say.
    fn of_mail(owners: &[usize], mail: &[Mail]) -> Self {
        let mut passed: BTreeMap<[Clock; 2], Bounds> = BTreeMap::new();
        for (sent, received) in mail.iter().flat_map(|mail| matching::numbered(&mail.sent, &mail.received)) {
            if sent.clock == received.clock {
                continue;
            }
            let is_forth = sent.clock < received.clock;
            let clocks = if is_forth { [sent.clock, received.clock] } else { [received.clock, sent.clock] };
            let (left, arrived) = (sent.shown.as_unix_nanos(), received.shown.as_unix_nanos());
            let bounds = passed.entry(clocks).or_default();
            if is_forth { bounds.there(left, arrived) } else { bounds.back(left, arrived) }
        }
        let edge = |(clocks, bounds): ([Clock; 2], Bounds)| Some(Edge { clocks, offset: bounds.offset()? });
        let edges: Vec<Edge> = passed.into_iter().filter_map(edge).collect();
        let mut time = Self { ways: vec![Way::Itself; owners.len()] };
        let mut is_reached = vec![false; owners.len()];
        let mut told = vec![0_u64; owners.len()];
        for edge in &edges {
            edge.clocks.iter().for_each(|clock| told[clock.0 as usize] += edge.offset.letters);
        }
        // Whoever exchanged the most letters is the reference, and of those that it does not reach the next.
        let mut roots: Vec<Clock> = (0_u32..).map(Clock).take(owners.len()).collect();
        roots.sort_by_key(|clock| Reverse(told[clock.0 as usize]));
        // Of those the first host tells all that it can: its wall clock goes on between its lives.
        let owner = |clock: &Clock| owners[clock.0 as usize];
        let first = roots.first().map(owner);
        roots.sort_by_key(|clock| Some(owner(clock)) != first);
        let mut of_clock: Vec<Vec<usize>> = vec![Vec::new(); owners.len()];
        for (place, edge) in edges.iter().enumerate() {
            edge.clocks.iter().for_each(|clock| of_clock[clock.0 as usize].push(place));
        }
        for root in roots {
            if !is_reached[root.0 as usize] {
                time.reach_all(root, (&edges, &of_clock), &mut is_reached);
            }
        }
        time
    }

    /// Reaches what letters link with a clock, that with the least error first.
    fn reach_all(
        &mut self,
        root: Clock,
        (edges, of_clock): (&[Edge], &[Vec<usize>]),
        is_reached: &mut [bool],
    ) {
        let mut open = BinaryHeap::new();
        let mut reached = Some(root);
        while let Some(clock) = reached {
            is_reached[clock.0 as usize] = true;
            let (own, hops) = match &self.ways[clock.0 as usize] {
                Way::Itself => (0, 0),
                Way::Through(link) => (link.within, link.hops),
            };
            let nearer = of_clock[clock.0 as usize].iter().filter(|_| hops < HOPS_MAX);
            // Of several that are as good the first.
            open.extend(
                nearer
                    .map(|place| Reverse((own.saturating_add(edges[*place].offset.within()), *place, hops))),
            );
            reached = self.next(&mut open, edges, is_reached);
        }
    }

    /// The next clock that is reached.
    fn next(
        &mut self,
        open: &mut BinaryHeap<Reverse<(i64, usize, u32)>>,
        edges: &[Edge],
        is_reached: &[bool],
    ) -> Option<Clock> {
        while let Some(Reverse((within, place, hops))) = open.pop() {
            let Edge { clocks: [one, other], offset } = &edges[place];
            let (new, through, side) = match (is_reached[one.0 as usize], is_reached[other.0 as usize]) {
                (true, false) => (*other, *one, Side::Ahead),
                (false, true) => (*one, *other, Side::Behind),
                (true, true) | (false, false) => continue,
            };
            let link = Link { through, offset: offset.clone(), side, within, hops: hops + 1 };
            self.ways[new.0 as usize] = Way::Through(link);
            return Some(new);
        }
        None
    }

    /// What the reference showed when `clock` showed this; of a clock that no letter links with it, what that showed.
    pub fn of(&self, clock: Clock, shown: WallTime) -> WallTime {
        self.told(clock, shown).0
    }

    /// How far that may be from the truth, ns. It grows with the time to the nearest letter, as far as the rate is not known.
    ///
    /// It is a bound for clocks whose rates are steady, between jumps that no steady rate explains. Of a clock whose rate changes
    /// where no letter tells, nobody knows more.
    pub fn within(&self, clock: Clock, shown: WallTime) -> i64 {
        self.told(clock, shown).1
    }

    fn told(&self, mut clock: Clock, shown: WallTime) -> (WallTime, i64) {
        let (mut shown, mut within) = (shown.as_unix_nanos(), 0_i64);
        while let Way::Through(link) = &self.ways[clock.0 as usize] {
            let own;
            (own, shown) = match link.side {
                Side::Ahead => {
                    let through = link.offset.back(shown);
                    (link.offset.within_at(through), through)
                }
                Side::Behind => {
                    (link.offset.within_at(shown), shown.saturating_add(link.offset.ahead(shown)))
                }
            };
            within = within.saturating_add(own);
            clock = link.through;
        }
        (WallTime::from_unix_nanos(shown), within)
    }

    /// The clock by whose time a clock's times are told: the reference, itself, or another one that stands alone.
    pub fn reference(&self, mut clock: Clock) -> Clock {
        while let Way::Through(link) = &self.ways[clock.0 as usize] {
            clock = link.through;
        }
        clock
    }

    /// How far a clock is ahead of its reference; `None`: it is one.
    pub fn ahead(&self, clock: Clock) -> Option<Ahead> {
        let Way::Through(link) = &self.ways[clock.0 as usize] else { return None };
        let (earliest, latest) = (link.offset.earliest(), link.offset.latest());
        let is_direct = matches!(self.ways[link.through.0 as usize], Way::Itself);
        let own = |x: i64| match link.side {
            Side::Ahead => WallTime::from_unix_nanos(x.saturating_add(link.offset.ahead(x))),
            Side::Behind => WallTime::from_unix_nanos(x),
        };
        let told = (own(earliest.from), own(latest.to));
        let rate = if link.side == Side::Ahead { latest.slope } else { -latest.slope };
        Some(Ahead {
            by: told.1.as_unix_nanos().saturating_sub(self.of(clock, told.1).as_unix_nanos()),
            within: link.within,
            rate: is_direct.then_some(rate),
            letters: link.offset.letters,
            others: link.offset.others,
            told,
        })
    }
}

/// What the logs of a member cover, in the common time: by their beginning, with the latest end of all up to there.
struct Covered(Vec<(i64, i64)>);

impl Covered {
    fn of(intervals: &[Interval], time: &CommonTime) -> Self {
        let common = |clock, shown| time.of(clock, shown).as_unix_nanos();
        let mut covered: Vec<(i64, i64)> = intervals
            .iter()
            .map(|interval| (common(interval.clock, interval.from), common(interval.clock, interval.to)))
            .collect();
        covered.sort_unstable();
        let mut latest = i64::MIN;
        for interval in &mut covered {
            latest = latest.max(interval.1);
            interval.1 = latest;
        }
        Self(covered)
    }

    fn covers(&self, from: i64, to: i64) -> bool {
        let begun = self.0.partition_point(|interval| interval.0 <= from);
        begun > 0 && to <= self.0[begun - 1].1
    }
}
