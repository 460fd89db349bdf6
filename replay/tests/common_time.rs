//! Logs of hosts whose clocks, links and losses are known are lined up as they were.

use proptest::prelude::*;
use r_ems_engine::wall::WallTime;
use r_ems_replay::common_time::{Clock, Counts, Interval, Letter, LinedUp, Mail, UNREAD_MAX, line_up};

const MILLI: i64 = 1_000_000;
const SECOND: i64 = 1_000 * MILLI;
/// 2026-11-29 UTC.
const START: i64 = 1_795_910_400 * SECOND;
const MEMBERS: usize = 3;

/// A clock as it truly is: so far ahead at the beginning, and so much faster.
#[derive(Clone, Copy, Debug)]
struct True {
    ahead: i64,
    ppm: i64,
    /// It jumps by so much in the middle.
    jump: i64,
}

impl True {
    fn shows(self, at: i64, middle: i64) -> WallTime {
        let jump = if at > middle { self.jump } else { 0 };
        let faster = i128::from(at) * i128::from(self.ppm) / 1_000_000;
        let faster = i64::try_from(faster).expect("it is short");
        WallTime::from_unix_nanos(START + at + self.ahead + faster + jump)
    }
}

/// A letter as it truly went.
#[derive(Clone, Copy, Debug)]
struct Went {
    from: usize,
    to: usize,
    at: i64,
    takes: i64,
    /// How often it arrives: 0 is lost, 2 is repeated.
    arrives: u8,
    is_numbered: bool,
}

/// What hosts log of that, from the beginning to the end.
fn lined_up(clocks: &[True], letters: &[Went], length: i64) -> (LinedUp, Vec<Mail>) {
    let pairs =
        (0..MEMBERS).flat_map(|from| (0..MEMBERS).map(move |to| (from, to))).filter(|(from, to)| from != to);
    let mut mail: Vec<Mail> = pairs.map(|(from, to)| Mail { from, to, ..Mail::default() }).collect();
    let shows = |member: usize, at: i64| clocks[member].shows(at, length / 2);
    // A log is in the order of what reaches the host.
    let mut arrivals = Vec::new();
    let mut sorted = letters.to_vec();
    sorted.sort_by_key(|went| went.at);
    for (number, went) in sorted.iter().enumerate() {
        let between = mail.iter_mut().find(|mail| (mail.from, mail.to) == (went.from, went.to));
        let content = if went.is_numbered { number as u64 + 1_000 } else { went.from as u64 };
        let letter = |member: usize, at: i64| Letter {
            content,
            is_numbered: went.is_numbered,
            clock: Clock(member as u32),
            shown: shows(member, at),
        };
        between.expect("all pairs").sent.push(letter(went.from, went.at));
        for copy in 0..i64::from(went.arrives) {
            let at = went.at + went.takes + copy * 3 * MILLI;
            arrivals.push((at, went.from, went.to, letter(went.to, at)));
        }
    }
    arrivals.sort_by_key(|arrival| arrival.0);
    for (_, from, to, letter) in arrivals {
        let between = mail.iter_mut().find(|mail| (mail.from, mail.to) == (from, to));
        between.expect("all pairs").received.push(letter);
    }
    let interval = |member: usize| Interval {
        clock: Clock(member as u32),
        from: shows(member, -10 * SECOND),
        to: shows(member, length + 10 * SECOND),
    };
    let covered: Vec<Vec<Interval>> = (0..MEMBERS).map(|member| vec![interval(member)]).collect();
    (line_up(&[0, 1, 2], &mail, &covered), mail)
}

/// How far the common time of a member's clock is from that of the reference at an instant, and how far it may be.
fn error(lined_up: &LinedUp, clocks: &[True], member: usize, at: i64, middle: i64) -> (i64, i64) {
    let clock = Clock(member as u32);
    let reference = lined_up.time.reference(clock).0 as usize;
    let shown = clocks[member].shows(at, middle);
    let common = lined_up.time.of(clock, shown);
    let truth = clocks[reference].shows(at, middle);
    ((common.as_unix_nanos() - truth.as_unix_nanos()).abs(), lined_up.time.within(clock, shown))
}

fn clocks() -> impl Strategy<Value = Vec<True>> {
    let ahead = prop_oneof![-5 * MILLI..5 * MILLI, -90_000 * SECOND..90_000 * SECOND];
    let clock = (ahead, -600..600_i64).prop_map(|(ahead, ppm)| True { ahead, ppm, jump: 0 });
    proptest::collection::vec(clock, MEMBERS)
}

fn letters(length: i64) -> impl Strategy<Value = Vec<Went>> {
    let takes = prop_oneof![10..2 * MILLI, 10..200 * MILLI];
    let arrives = prop_oneof![1 => Just(0_u8), 6 => Just(1), 1 => Just(2)];
    let went = (0..MEMBERS, 1..MEMBERS, 0..length, takes, arrives).prop_map(
        |(from, further, at, takes, arrives)| Went {
            from,
            to: (from + further) % MEMBERS,
            at,
            takes,
            arrives,
            is_numbered: true,
        },
    );
    proptest::collection::vec(went, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_truth_is_within_what_is_said_where_letters_tell_and_long_after(
        clocks in clocks(),
        letters in letters(600 * SECOND),
    ) {
        let (lined_up, _) = lined_up(&clocks, &letters, 600 * SECOND);
        for member in 0..MEMBERS {
            let ahead = lined_up.time.ahead(Clock(member as u32));
            // Where letters of all three tell of both clocks: between the first and the last that arrived there and back.
            let arrived = || letters.iter().filter(|went| went.arrives > 0);
            let of_pair = |one: usize, other: usize| {
                let ends = arrived().filter(|went| (went.from, went.to) == (one, other) || (went.to, went.from) == (one, other));
                let times: Vec<i64> = ends.map(|went| went.at + went.takes).collect();
                (times.iter().min().copied().unwrap_or(i64::MAX), times.iter().max().copied().unwrap_or(0))
            };
            let spans = [of_pair(0, 1), of_pair(0, 2), of_pair(1, 2)];
            let from = spans.iter().map(|span| span.0).filter(|from| *from < i64::MAX).max().unwrap_or(0);
            let to = spans.iter().map(|span| span.1).filter(|to| *to > 0).min().unwrap_or(0);
            if ahead.is_none() || from >= to {
                continue;
            }
            for place in [-40, -3, 0, 1, 2, 3, 4, 5, 9, 400] {
                let at = from + (to - from) / 4 * place;
                let (error, within) = error(&lined_up, &clocks, member, at, 300 * SECOND);
                prop_assert!(error <= within, "{member}: {error} ns wrong, {within} ns said, of {ahead:?}");
            }
        }
    }

    #[test]
    fn what_was_lost_and_repeated_is_counted(
        clocks in clocks(),
        letters in letters(600 * SECOND),
        beats in proptest::collection::vec((0..4_u8, 10..40 * MILLI), 50..150),
    ) {
        // Beside numbered letters heartbeats that are all alike, each of which arrives before the next one is sent.
        let beat = |(place, (arrives, takes)): (usize, &(u8, i64))| Went {
            from: 0,
            to: 1,
            at: place as i64 * 100 * MILLI,
            takes: *takes,
            arrives: u8::from(*arrives > 0),
            is_numbered: false,
        };
        let dense = (0..600).flat_map(|place| {
            let at = place * 1_000 * MILLI;
            let went = |(from, to)| Went { from, to, at, takes: MILLI, arrives: 1, is_numbered: true };
            [(0, 1), (1, 0), (0, 2), (2, 0)].map(went)
        });
        let all: Vec<Went> = letters.into_iter().chain(dense).chain(beats.iter().enumerate().map(beat)).collect();
        let (lined_up, mail) = lined_up(&clocks, &all, 600 * SECOND);
        for (mail, counts) in mail.iter().zip(&lined_up.counts) {
            let own = || all.iter().filter(|went| (went.from, went.to) == (mail.from, mail.to));
            let expected = Counts {
                sent: own().count() as u64,
                arrived: own().filter(|went| went.arrives > 0).count() as u64,
                lost: own().filter(|went| went.arrives == 0).count() as u64,
                unknown: 0,
                repeated: own().filter(|went| went.arrives == 2).count() as u64,
                unsent: 0,
            };
            prop_assert_eq!(*counts, expected, "{} to {}", mail.from, mail.to);
        }
    }

    #[test]
    fn nothing_that_a_log_may_say_makes_it_panic(
        said in proptest::collection::vec((0..6_usize, any::<bool>(), 0..20_u64, any::<bool>(), 0..3_u32, any::<i64>()), 0..60),
    ) {
        let pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        let mut mail = pairs.map(|(from, to)| Mail { from, to, ..Mail::default() });
        let mut covered = vec![Vec::new(); MEMBERS];
        for (pair, is_sent, content, is_numbered, clock, shown) in said {
            let (clock, shown) = (Clock(clock), WallTime::from_unix_nanos(shown));
            let letter = Letter { content, is_numbered, clock, shown };
            if is_sent { mail[pair].sent.push(letter) } else { mail[pair].received.push(letter) }
            covered[pair % MEMBERS].push(Interval { clock, from: shown, to: WallTime::from_unix_nanos(i64::MAX) });
        }
        let lined_up = line_up(&[0, 1, 2], &mail, &covered);
        for clock in (0..3).map(Clock) {
            let _ahead = lined_up.time.ahead(clock);
            for shown in [i64::MIN, 0, i64::MAX] {
                let _common = lined_up.time.of(clock, WallTime::from_unix_nanos(shown));
            }
        }
    }
}

/// Letters there and back between the first two, and between the first and the third, every 100 ms for a minute.
fn dense() -> Vec<Went> {
    let pairs = [(0, 1), (1, 0), (0, 2), (2, 0)];
    let went = |place: i64| {
        pairs.map(|(from, to)| {
            let takes = 300_000 + (place * 7_919 + from as i64 * 31) % 1_000 * 1_000;
            Went { from, to, at: place * 100 * MILLI, takes, arrives: 1, is_numbered: true }
        })
    };
    (0..600).flat_map(went).collect()
}

#[test]
fn of_clocks_with_steady_rates_the_offset_is_far_better_known_than_a_letter_takes() {
    let clock = |ahead, ppm| True { ahead, ppm, jump: 0 };
    let clocks = [clock(0, 0), clock(123 * MILLI, 40), clock(-7 * SECOND, -250)];
    let (lined_up, _) = lined_up(&clocks, &dense(), 60 * SECOND);
    assert_eq!(lined_up.time.reference(Clock(2)), Clock(0));
    assert_eq!(lined_up.time.ahead(Clock(0)), None);
    for (member, rate) in [(1, 40_000_000_i64), (2, -250_000_000)] {
        let ahead = lined_up.time.ahead(Clock(member)).expect("letters link it");
        let truth = clocks[member as usize];
        let expected = truth.ahead + 60_000 * truth.ppm;
        assert!((ahead.by - expected).abs() < 100_000, "{ahead:?} {expected}");
        assert!(ahead.within < 700_000, "half of a way there and back is 300 us at least: {ahead:?}");
        assert!((ahead.rate.expect("it is linked directly") - rate).abs() < 10_000_000, "{ahead:?}");
        for at in [0, 30 * SECOND, 60 * SECOND] {
            assert!(error(&lined_up, &clocks, member as usize, at, i64::MAX).0 < 200_000);
        }
    }
}

#[test]
fn a_clock_that_jumps_is_followed_on_both_sides_of_the_jump() {
    let clocks = [
        True { ahead: 0, ppm: 0, jump: 0 },
        True { ahead: MILLI, ppm: 10, jump: 5 * SECOND },
        True { ahead: 0, ppm: 0, jump: 20 * MILLI },
    ];
    let (lined_up, _) = lined_up(&clocks, &dense(), 60 * SECOND);
    for member in [1, 2] {
        for at in [0, 10 * SECOND, 29 * SECOND, 31 * SECOND, 59 * SECOND] {
            let (error, within) = error(&lined_up, &clocks, member, at, 30 * SECOND);
            assert!(error <= within && error < MILLI, "{member} at {at}: {error} of {within}");
        }
    }
}

#[test]
fn a_clock_that_no_letter_links_counts_by_the_wall() {
    let clocks = [True { ahead: 0, ppm: 0, jump: 0 }; MEMBERS];
    let there: Vec<Went> = dense().into_iter().filter(|went| went.from != 2).collect();
    let (lined_up, _) = lined_up(&clocks, &there, 60 * SECOND);
    assert_eq!(lined_up.time.reference(Clock(2)), Clock(2), "one way alone tells nothing");
    assert_eq!(lined_up.time.ahead(Clock(2)), None);
    let shown = WallTime::from_unix_nanos(START);
    assert_eq!(lined_up.time.of(Clock(2), shown), shown);
}

#[test]
fn what_no_log_covers_is_unknown_and_not_lost() {
    let clocks = [True { ahead: 0, ppm: 0, jump: 0 }; MEMBERS];
    let mut letters = dense();
    letters
        .iter_mut()
        .filter(|went| went.to == 1 && went.at >= 40 * SECOND)
        .for_each(|went| went.arrives = 0);
    let (_, mail) = lined_up(&clocks, &letters, 60 * SECOND);
    let until = |millis: i64| {
        let interval = |clock, to| Interval {
            clock: Clock(clock),
            from: WallTime::from_unix_nanos(START - SECOND),
            to: WallTime::from_unix_nanos(START + to * MILLI),
        };
        let covered = vec![vec![interval(0, 70_000)], vec![interval(1, millis)], vec![interval(2, 70_000)]];
        let lined_up = line_up(&[0, 1, 2], &mail, &covered);
        let counts = mail.iter().zip(lined_up.counts).find(|(mail, _)| (mail.from, mail.to) == (0, 1));
        let counts = counts.expect("all pairs").1;
        (counts.lost, counts.unknown)
    };
    assert_eq!(until(70_000), (200, 0));
    assert_eq!(until(40_000), (0, 200), "its process was killed then");
    assert_eq!(until(51_050), (101, 99), "a letter may be on its way for a second");
}

#[test]
fn what_waited_for_a_reader_that_stood_still_has_arrived() {
    let clocks = [True { ahead: 0, ppm: 0, jump: 0 }; MEMBERS];
    let counts = |waits: i64| {
        let beats = (0..30).map(|place| {
            let at = (20 * SECOND) + place * 10 * MILLI;
            Went { from: 0, to: 1, at, takes: waits - place * 10 * MILLI, arrives: 1, is_numbered: false }
        });
        let (lined_up, mail) =
            lined_up(&clocks, &dense().into_iter().chain(beats).collect::<Vec<_>>(), 60 * SECOND);
        let counts = mail.iter().zip(lined_up.counts).find(|(mail, _)| (mail.from, mail.to) == (0, 1));
        let Counts { arrived, lost, unsent, .. } = counts.expect("all pairs").1;
        (arrived, lost, unsent)
    };
    let longest = i64::try_from(UNREAD_MAX.as_nanos()).expect("it is short");
    assert_eq!(counts(longest - MILLI), (630, 0, 0));
    assert_eq!(counts(longest + MILLI), (629, 1, 1), "the first one is too old");
}

#[test]
fn what_no_letter_links_is_told_by_the_clock_of_one_host_where_it_has_one() {
    // Two hosts, a third that has the most to do with the other one, and then all of them once more after they were off.
    let link = |from: usize, to: usize, clocks: [u32; 2], letters: u64, at: i64| {
        let letter = |which: usize, number: u64| Letter {
            content: u64::from(clocks[0]) * 1_000 + number,
            is_numbered: true,
            clock: Clock(clocks[which]),
            shown: WallTime::from_unix_nanos(START + at + number as i64 * SECOND + which as i64 * MILLI),
        };
        let of = |which: usize| (0..letters).map(|number| letter(which, number)).collect();
        Mail { from, to, sent: of(0), received: of(1) }
    };
    let both = |one: usize, other: usize, first: u32, letters: u64, at: i64| {
        let (here, there) = (first + one as u32, first + other as u32);
        [link(one, other, [here, there], letters, at), link(other, one, [there, here], letters, at)]
    };
    let later = 1_000 * SECOND;
    let mail =
        [both(0, 1, 0, 50, 0), both(0, 2, 0, 10, 0), both(0, 1, 3, 10, later), both(1, 2, 3, 50, later)]
            .concat();
    let told_by = |owners: &[usize]| {
        let time = line_up(owners, &mail, &vec![Vec::new(); MEMBERS]).time;
        (0..6).map(|clock| time.reference(Clock(clock)).0).collect::<Vec<_>>()
    };
    assert_eq!(told_by(&[0, 1, 2, 0, 1, 2]), [0, 0, 0, 3, 3, 3]);
    assert_eq!(told_by(&[0, 1, 2, 7, 1, 2]), [0, 0, 0, 4, 4, 4], "who has the most letters");
}

#[test]
fn where_letters_end_the_error_grows_with_the_distance_and_the_rate_goes_on() {
    let clock = |ahead, ppm| True { ahead, ppm, jump: 0 };
    let clocks = [clock(0, 0), clock(MILLI, 50), clock(0, -250)];
    let (lined_up, _) = lined_up(&clocks, &dense(), 60 * SECOND);
    for member in [1, 2] {
        let told = lined_up.time.ahead(Clock(member as u32)).expect("letters link it");
        let [first, last] = [0, 60 * SECOND].map(|at| clocks[member].shows(at, i64::MAX));
        assert!(told.told.0.since(first).as_nanos() < 200 * MILLI as u64 && told.told.1 <= last + UNREAD_MAX);
        let at = |at: i64| error(&lined_up, &clocks, member, at, i64::MAX);
        let (_, inside) = at(30 * SECOND);
        assert_eq!(inside, told.within);
        let mut before = inside;
        for minutes in [2, 10, 60, 24 * 60] {
            let (error, within) = at(minutes * 60 * SECOND);
            assert!(error <= within && within > before, "{error} of {within} after {minutes} min");
            before = within;
        }
        assert!(
            at(3_660 * SECOND).0 < 60 * MILLI,
            "level it would be 180 ms and more: {:?}",
            at(3_660 * SECOND)
        );
    }
}

#[test]
fn in_a_stretch_without_letters_a_jump_may_be_anywhere() {
    // What a steady rate would explain as well is taken for one: it must be more.
    for jump in [0, 500 * MILLI] {
        let clocks = [0, jump, 0].map(|jump| True { ahead: 0, ppm: 30, jump });
        let later = dense().into_iter().map(|went| Went { at: went.at + 3_600 * SECOND, ..went });
        let letters: Vec<Went> = dense().into_iter().chain(later).collect();
        // It jumps long before the middle of the stretch.
        let (lined_up, _) = lined_up(&clocks, &letters, 1_200 * SECOND);
        for minutes in 0..=60 {
            let at = (minutes * 60 + 30) * SECOND;
            let (error, within) = error(&lined_up, &clocks, 1, at, 600 * SECOND);
            assert!(error <= within, "{error} of {within} after {minutes} min");
            let is_inside = minutes == 0 || minutes == 60;
            assert!(within < MILLI || (jump > 0 && !is_inside), "{within} after {minutes} min");
        }
    }
}

#[test]
fn letters_one_way_only_after_a_jump_are_told_and_tell_nothing() {
    let clocks = [0, -200 * MILLI, 0].map(|jump| True { ahead: 0, ppm: 0, jump });
    let letters: Vec<Went> =
        dense().into_iter().filter(|went| went.at < 20 * SECOND || (went.from, went.to) == (0, 1)).collect();
    let (lined_up, _) = lined_up(&clocks, &letters, 60 * SECOND);
    let ahead = lined_up.time.ahead(Clock(1)).expect("letters link it");
    assert!(ahead.others >= 299 && ahead.letters >= 300, "{ahead:?}");
    assert_eq!(ahead.letters + ahead.others, 800);
}
