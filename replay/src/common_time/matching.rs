//! Which letter that was sent is which that arrived, and how many are known to be lost.
//!
//! Clocks are told from letters that **no other letter of their writer can be**: requests, answers and renewals have numbers,
//! units of state too. Heartbeats of a standby are all alike; which of them arrived cannot be known. They are counted once
//! clocks are: what arrives is then the last one that was sent before, if that is not longer ago than [`UNREAD_MAX`].
//!
//! A letter counts as lost only if the log of whoever should have got it goes on for [`ON_THE_WAY_MAX`] after it was sent, and as
//! never sent only if the log of whoever should have sent it goes back for [`UNREAD_MAX`]. Logs begin and end somewhere: of all
//! others nothing is known.

use r_ems_engine::Span;

use super::{CommonTime, Covered, Letter};

/// What is on its way for longer is taken for lost, unless it arrives all the same.
pub const ON_THE_WAY_MAX: Span = Span::from_secs(1);
/// The same in ns.
const ON_THE_WAY: i64 = ON_THE_WAY_MAX.as_nanos() as i64;
/// So long letters wait for a reader that stands still: what arrives later is another one, unless its number shows otherwise.
pub const UNREAD_MAX: Span = Span::from_secs(10);
/// The same in ns.
const UNREAD: i64 = UNREAD_MAX.as_nanos() as i64;

/// What became of the letters of one member to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That were sent.
    pub sent: u64,
    /// Of those, that arrived.
    pub arrived: u64,
    /// Of those, that did not: they were lost on the way.
    pub lost: u64,
    /// Of those, of which nothing is known: there is no log of whoever should have got them then.
    pub unknown: u64,
    /// That arrived again.
    pub repeated: u64,
    /// That arrived, and were never sent as far as the log of their writer says.
    pub unsent: u64,
}

/// The letters that no other letter can be, each with its first arrival.
pub(super) fn numbered(sent: &[Letter], received: &[Letter]) -> Vec<(Letter, Letter)> {
    let in_order = |letters: &[Letter]| {
        let mut sorted: Vec<Letter> = letters.iter().copied().filter(|letter| letter.is_numbered).collect();
        // Of those with one content, the first in the log stays the first.
        sorted.sort_by_key(|letter| letter.content);
        sorted
    };
    let (sent, received) = (in_order(sent), in_order(received));
    let mut found = Vec::new();
    let mut arrivals = received.chunk_by(|one, other| one.content == other.content).peekable();
    for same in sent.chunk_by(|one, other| one.content == other.content) {
        let [only] = same else { continue };
        while arrivals.next_if(|arrived| arrived[0].content < only.content).is_some() {}
        if let Some(arrived) = arrivals.next_if(|arrived| arrived[0].content == only.content) {
            found.push((*only, arrived[0]));
        }
    }
    found
}

/// Counts what became of letters; `sender` and `receiver` are what the logs of both cover.
pub(super) fn count(
    (sent, received): (&[Letter], &[Letter]),
    time: &CommonTime,
    (sender, receiver): (&Covered, &Covered),
) -> Counts {
    let in_order = |letters: &[Letter]| {
        let mut sorted: Vec<Dated> = letters.iter().map(|letter| Dated::of(letter, time)).collect();
        sorted.sort_by_key(|dated| (dated.content, dated.at));
        sorted
    };
    let (sent, received) = (in_order(sent), in_order(received));
    let mut counts = Counts { sent: sent.len() as u64, ..Counts::default() };
    let mut arrivals = received.chunk_by(|one, other| one.content == other.content).peekable();
    let unsent = |arrived: &[Dated], counts: &mut Counts| {
        let has_log = |dated: &&Dated| sender.covers(dated.at.saturating_sub(UNREAD), dated.at);
        counts.unsent += arrived.iter().filter(has_log).count() as u64;
    };
    for same in sent.chunk_by(|one, other| one.content == other.content) {
        let content = same[0].content;
        while let Some(strange) = arrivals.next_if(|arrived| arrived[0].content < content) {
            unsent(strange, &mut counts);
        }
        let arrived = arrivals.next_if(|arrived| arrived[0].content == content).unwrap_or_default();
        let (left, over) = assign(same, arrived);
        counts.arrived += (same.len() - left.len()) as u64;
        let is_lost = |dated: &&Dated| receiver.covers(dated.at, dated.at.saturating_add(ON_THE_WAY));
        let lost = left.iter().filter(is_lost).count();
        counts.lost += lost as u64;
        counts.unknown += (left.len() - lost) as u64;
        if same[0].is_numbered {
            counts.repeated += over.len() as u64;
        } else {
            unsent(&over, &mut counts);
        }
    }
    for strange in arrivals {
        unsent(strange, &mut counts);
    }
    counts
}

/// A letter in the common time.
#[derive(Clone, Copy, Debug)]
struct Dated {
    content: u64,
    is_numbered: bool,
    /// In ns.
    at: i64,
    /// It may have been so much earlier or later, ns.
    within: i64,
}

impl Dated {
    fn of(letter: &Letter, time: &CommonTime) -> Self {
        let Letter { content, is_numbered, clock, shown } = *letter;
        let at = time.of(clock, shown).as_unix_nanos();
        Self { content, is_numbered, at, within: time.within(clock, shown) }
    }
}

/// Assigns arrivals of one content to the last one that was sent before each; what is left of both.
fn assign(sent: &[Dated], received: &[Dated]) -> (Vec<Dated>, Vec<Dated>) {
    let (mut waiting, mut over) = (Vec::new(), Vec::new());
    let mut next = sent.iter().copied().peekable();
    for arrived in received {
        let is_before =
            |sent: &Dated| sent.at <= arrived.at.saturating_add(sent.within).saturating_add(arrived.within);
        while let Some(sent) = next.next_if(is_before) {
            waiting.push(sent);
        }
        let is_it = |sent: &mut Dated| sent.is_numbered || sent.at >= arrived.at.saturating_sub(UNREAD);
        if waiting.pop_if(is_it).is_none() {
            over.push(*arrived);
        }
    }
    waiting.extend(next);
    (waiting, over)
}
