//! Every behavior of a small council: two controllers and a witness, with the real supervisors.
//!
//! Time passes in ticks. Between two ticks anything may happen in any order: a message arrives, arrives again, is lost, or stays
//! on its way as long as it likes and is overtaken; a member crashes, and comes back at once or any time later with what was
//! durable. A promise becomes durable at once, or, where [`Saves`] say so, at any time later, or never: then the member is told
//! so, or crashes before it is told anything. The first promises are durable when a behavior begins.
//!
//! [`Bounds`] make it finite: of all that is sent, any [`Bounds::in_flight`] messages are on their way at once, whichever they
//! are; so many members crash; and nobody asks beyond so many rounds of epochs, which begin anew above what a member that comes
//! back may have granted. Within its bounds the search is **complete**: it ends when nothing that it reaches is new, and the
//! tests fail where it does not.
//!
//! `cargo test` looks at 8.8 million states: all with two rounds; with a crash, and a round before and after it; with a crash
//! and disks that are slow; and with two messages on their way. `cargo test --release -p r-ems-engine model` looks at 65 million
//! more, with two crashes, with two rounds before and after one, with disks that fail; it takes some minutes and 1.6 GB.
//!
//! This makes it possible, and loses nothing that matters for who has authority:
//!
//! - Two states are the same if nothing that differs can matter later: see [`gist`]. A test compares what follows from states
//!   that are held to be the same.
//! - A message is never lost on its own, but makes room for others, and one that has arrived may arrive again: who has a message
//!   on its way can do all that who lost it can, since it need never arrive.
//!
//! This leaves behaviors out, which `r-emsctl explore` draws:
//!
//! - Plain heartbeats, which neither ask for a renewal nor tell of authority, arrive at once. They only say who is alive and
//!   which epochs were heard of, above which others go, and nobody is granted anything for them.
//! - Members are woken when they want to be, and their clocks go alike. What comes late of one that stands still is what its
//!   messages do when they stay on their way.
//!
//! That the search bites is shown by leaving rules out: it then finds two authorities.

mod gist;
mod search;
mod state;

use self::search::Search;
use crate::time::Span;

const TICK: Span = Span::from_millis(1);
const MEMBERS: usize = 3;
/// So many states a search looks at until it finds what a missing rule leads to.
const STATES_TO_BITE: usize = 1_000_000;
/// One key in so many is looked at to compare states that share it.
const TWINS_ONE_IN: u128 = 64;

/// What bounds a search.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// In ticks.
    lease: u64,
    /// So many messages.
    in_flight: usize,
    crashes: u8,
    /// So many at first, and above each ceiling that is found again.
    rounds: u32,
    saves: Saves,
}

/// When promises become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Saves {
    AtOnce,
    /// Those of later lives at any time later; so many fail.
    Later {
        failures: u8,
    },
}

/// A rule that is left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// The witness waits for less than a lease.
    TheWait,
    /// What was promised is forgotten over a restart, and so is the wait after it.
    Memory,
}

/// One message in flight.
const ONE: Bounds = Bounds { lease: 2, in_flight: 1, crashes: 0, rounds: 1, saves: Saves::AtOnce };

/// Looks at every state within the bounds, of which there are about so many, more and less by a tenth.
fn look_at_all(bounds: Bounds, about: usize) {
    let mut search = Search::new(Without::Nothing, bounds);
    search.run(about + about / 10);
    assert_eq!(search.authorities_max, 1, "{bounds:?}");
    assert!(search.is_complete(), "more than {} states: {bounds:?}", search.states());
    assert!(search.states() > about - about / 10, "no more than {} states: {bounds:?}", search.states());
    assert_eq!(
        search.has_been_active,
        [true, true, false],
        "each controller writes in some of them: {bounds:?}"
    );
    let goes_on = search.highest.round > bounds.rounds;
    assert_eq!(
        goes_on,
        bounds.crashes > 0,
        "rounds go on above what a member found that came back: {bounds:?}"
    );
}

#[test]
fn at_most_one_has_authority_in_every_behavior_of_two_rounds() {
    look_at_all(Bounds { rounds: 2, ..ONE }, 825_000);
}

#[test]
fn at_most_one_has_authority_in_every_behavior_with_a_crash() {
    look_at_all(Bounds { crashes: 1, ..ONE }, 4_410_000);
}

#[test]
fn at_most_one_has_authority_in_every_behavior_with_a_crash_and_slow_disks() {
    look_at_all(Bounds { lease: 1, crashes: 1, saves: Saves::Later { failures: 0 }, ..ONE }, 2_440_000);
}

#[test]
fn at_most_one_has_authority_in_every_behavior_of_two_and_three_messages() {
    look_at_all(Bounds { in_flight: 2, ..ONE }, 249_000);
    look_at_all(Bounds { lease: 1, in_flight: 3, ..ONE }, 294_000);
}

/// What takes minutes and memory where it is not optimized.
#[cfg(not(debug_assertions))]
#[test]
fn at_most_one_has_authority_in_every_behavior_within_wider_bounds() {
    let failing = Saves::Later { failures: 1 };
    look_at_all(Bounds { lease: 1, in_flight: 2, rounds: 2, ..ONE }, 6_390_000);
    look_at_all(Bounds { lease: 1, crashes: 1, saves: failing, ..ONE }, 9_000_000);
    look_at_all(Bounds { lease: 1, crashes: 2, ..ONE }, 13_400_000);
    look_at_all(Bounds { lease: 1, crashes: 1, rounds: 2, ..ONE }, 37_300_000);
}

#[test]
fn states_that_are_held_to_be_the_same_lead_to_the_same() {
    for bounds in [Bounds { lease: 1, crashes: 1, ..ONE }, Bounds { lease: 1, in_flight: 3, ..ONE }] {
        let mut search = Search::new(Without::Nothing, bounds);
        search.compare_twins(TWINS_ONE_IN);
        search.run(usize::MAX);
        let equal = search.twins.map_or(0, |twins| twins.equal);
        assert!(equal > 10_000, "{equal} states were compared with others of their keys: {bounds:?}");
    }
}

#[test]
fn without_a_rule_the_search_finds_two_authorities() {
    let later = Saves::Later { failures: 0 };
    let all = [
        (Without::TheWait, 2, 0, Saves::AtOnce),
        (Without::TheWait, 1, 0, Saves::AtOnce),
        (Without::Memory, 1, 1, Saves::AtOnce),
        (Without::Memory, 1, 1, later),
    ];
    for (without, lease, crashes, saves) in all {
        let mut search = Search::new(without, Bounds { lease, crashes, rounds: 2, saves, ..ONE });
        search.run(STATES_TO_BITE);
        assert_eq!(search.authorities_max, 2, "{} states", search.states());
    }
}
