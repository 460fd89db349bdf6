//! One life of a controller, as its driver keeps it: everything between a recovery and the end of its journal.
//!
//! ```text
//!     recovery ─> Life ── number becomes durable ──> begin_journal ─> Restore, Boot ─> record, note, … ─> Ended
//!                  └ requests ─> disk ─> replies ┘
//! ```
//!
//! The journal and the keeper of promises work side by side, each with one request of its own at a time: see [`Lane`]. In strict
//! mode what a delivery led to waits here until the delivery is durable, and dies with the life.
//!
//! **Decision: a life whose number cannot be kept begins nevertheless.** Control goes on; others may take it for an earlier life.
//!
//! Sans-IO: a driver hands requests to a disk, simulated or real, and tells the controller the news.

use alloc::collections::VecDeque;

use super::disk::{Reply, Request};
use super::journal::{Beginning, Completion, Journal, JournalSettings, waits_for_sync};
use super::promises::{Kept, PromiseKeeper};
use super::recovery::Recovered;
use crate::log::{ChainPair, Header};
use crate::machine::{Boot, Delivery, Effects, Outcome};
use crate::redundancy::Promise;
use crate::time::Time;
use crate::wall::WallTime;

/// For whom a disk works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// For the journal.
    Journal,
    /// For what is promised, which must not wait for a journal.
    Promises,
}

impl Lane {
    /// Both, in the order in which their requests are taken.
    pub const ALL: [Self; 2] = [Self::Journal, Self::Promises];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Promises => "promises",
        }
    }
}

/// What a driver learns of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Its number is durable, or cannot be: its journal is to begin, and it boots.
    Numbered(bool),
    /// What it promised is durable, or could not be written.
    Promised(bool),
    /// The journal has something to tell.
    Journal(Completion),
    /// What was promised before can be read now: the life is to end in order, and another one to begin with that.
    BeginsAnew,
}

/// A life that is kept.
#[derive(Clone, Debug)]
pub struct Life {
    found: Recovered,
    keeper: PromiseKeeper,
    is_numbered: bool,
    journal: Option<Journal>,
    /// What waits until the delivery that led to it is durable.
    held: VecDeque<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    /// The delivery's place among those that were recorded.
    recorded: u64,
    effects: Effects,
}

impl Life {
    /// Begins with what a recovery found, and to make its number durable.
    pub fn begin(at: Time, found: Recovered) -> Self {
        let mut keeper = PromiseKeeper::new(at, &found.promises);
        keeper.save(at, Kept { incarnation: number_after(&found), ..found.promises.kept });
        Self { found, keeper, is_numbered: false, journal: None, held: VecDeque::new() }
    }

    /// What the recovery found.
    pub const fn found(&self) -> &Recovered {
        &self.found
    }

    /// The encoded state that it begins with; `fresh` is that of the machine as it is made.
    pub fn state<'a>(&'a self, fresh: &'a [u8]) -> &'a [u8] {
        self.found.state.as_deref().unwrap_or(fresh)
    }

    /// What its machine is told at its boot.
    pub fn boot(&self, wall: Option<WallTime>) -> Boot {
        Boot {
            incarnation: number_after(&self.found),
            wall,
            promise: self.found.promises.kept.promise,
            origin: self.found.origin,
            abstains: self.found.abstains,
        }
    }

    /// What is durable of what it promised.
    pub const fn kept(&self) -> Kept {
        self.keeper.kept()
    }

    /// Begins to journal what reaches its machine, from the boot on.
    ///
    /// # Panics
    /// If `header` is not that of one controller, whose size is bounded by the limits of its parts.
    pub fn begin_journal(&mut self, at: Time, header: &Header, settings: JournalSettings, fresh: &[u8]) {
        let Recovered { number, chains, .. } = self.found;
        let beginning = Beginning {
            header: header.clone(),
            settings,
            number,
            state: self.state(fresh),
            carried: self.found.carried.as_ref(),
            chains,
            closed: self.found.closed.clone(),
            chores: self.found.chores.clone(),
        };
        self.journal = Some(Journal::begin(at, beginning).expect("the header of one controller is small"));
    }

    /// What the segments of its journal say about themselves from the next one on, where only that has changed.
    pub fn describe(&mut self, header: &Header) {
        if let Some(journal) = &mut self.journal {
            journal.describe(header);
        }
    }

    /// Its journal, once it has begun.
    pub const fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// Begins to make a promise durable.
    pub fn promise(&mut self, at: Time, promise: Promise) {
        self.keeper.save(at, Kept { promise, incarnation: number_after(&self.found) });
    }

    /// Journals a delivery that is about to be handled.
    #[inline]
    pub fn record(&mut self, delivery: &Delivery<'_>) {
        if let Some(journal) = &mut self.journal {
            journal.delivery(delivery);
        }
    }

    /// Journals what the delivery led to. Says whether that waits until the delivery is durable, but for what
    /// [`waits_for_sync`] lets pass.
    pub fn note(&mut self, outcome: &Outcome<'_>) -> bool {
        let Some(journal) = &mut self.journal else { return false };
        journal.outcome(outcome);
        let (released, recorded) = (journal.released(), journal.recorded());
        let mut effects = outcome.effects.as_slice().iter();
        let waits = (released < recorded || !self.held.is_empty()) && effects.any(waits_for_sync);
        if waits {
            self.held.push_back(Held { recorded, effects: outcome.effects.clone() });
        }
        waits
    }

    /// What may be done now of what waits: all of it that [`waits_for_sync`] names; each once, in order.
    pub fn take_released(&mut self) -> Option<Effects> {
        let released = self.journal.as_ref()?.released();
        self.held.pop_front_if(|held| held.recorded <= released).map(|held| held.effects)
    }

    /// What a disk is to do now; each once.
    pub const fn take_request(&mut self, lane: Lane) -> Option<Request> {
        match (lane, &mut self.journal) {
            (Lane::Journal, Some(journal)) => journal.take_request(),
            (Lane::Journal, None) => None,
            (Lane::Promises, _) => self.keeper.take_request(),
        }
    }

    /// Takes the disk's reply to a request.
    pub fn reply(&mut self, at: Time, lane: Lane, number: u32, reply: Reply<'_>) {
        match (lane, &mut self.journal) {
            (Lane::Journal, Some(journal)) => journal.reply(at, number, reply),
            (Lane::Journal, None) => {}
            (Lane::Promises, _) => self.keeper.reply(at, number, reply),
        }
    }

    /// Notices what is due.
    pub fn wake(&mut self, at: Time) {
        if let Some(journal) = &mut self.journal {
            journal.wake(at);
        }
        self.keeper.wake(at);
    }

    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<Time> {
        let journal = self.journal.as_ref().and_then(Journal::deadline);
        [journal, self.keeper.deadline()].into_iter().flatten().min()
    }

    /// What has become of it; each once.
    pub fn take_news(&mut self) -> Option<News> {
        if let Some(succeeded) = self.keeper.take_answer() {
            let is_numbered = core::mem::replace(&mut self.is_numbered, true);
            return Some(if is_numbered { News::Promised(succeeded) } else { News::Numbered(succeeded) });
        }
        if let Some(completion) = self.journal.as_mut().and_then(Journal::take_completion) {
            return Some(News::Journal(completion));
        }
        self.keeper.take_end_of_life().then_some(News::BeginsAnew)
    }

    /// Of what its machine asked for up to now, and of what it reported.
    pub fn chains(&self) -> ChainPair {
        self.journal.as_ref().map_or(self.found.chains, Journal::chains)
    }
}

/// The number of the life that begins with what was found.
const fn number_after(found: &Recovered) -> u32 {
    found.incarnation.saturating_add(1)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::log::ControllerNames;
    use crate::persistence::journal::{Chore, SyncRule};
    use crate::persistence::recovery::Finding;
    use crate::persistence::{DiskError, FileName, Retention};
    use crate::time::Span;

    const SETTINGS: JournalSettings = JournalSettings {
        sync: SyncRule::Every(Span::from_millis(100)),
        rotate_bytes: 1_000_000,
        rotate_after: None,
        retention: Retention { keep: 5, keep_for: None },
    };

    /// A life whose number has been asked for, as far as its disk lets it, and whose journal has begun.
    fn begun(at: Time, found: Recovered) -> Life {
        let names =
            ControllerNames { grid: "g".into(), id: "a".into(), devices: Vec::new(), functions: Vec::new() };
        let mut life = Life::begin(at, found);
        while let Some(request) = life.take_request(Lane::Promises) {
            life.reply(at, Lane::Promises, request.number, Reply::Failed(DiskError::Failed));
        }
        assert_eq!(life.take_news(), Some(News::Numbered(false)));
        life.begin_journal(at, &Header::new(&[], vec![names]), SETTINGS, &[]);
        life
    }

    #[test]
    fn a_life_that_cannot_read_its_promises_rests_until_it_looks_again_whatever_else_lies_there() {
        let at = Time::ZERO + Span::from_secs(9);
        let chores = vec![Chore::Remove(FileName::New(3))];
        let findings = vec![Finding::Unlisted(DiskError::Failed)];
        let mut life = begun(at, Recovered { chores, findings, ..Recovered::unknown() });
        for _ in 0..3 {
            life.wake(at);
            while life.take_news().is_some() {}
            assert_eq!(life.take_request(Lane::Journal), None, "nothing is kept of it");
        }
        assert!(life.deadline().is_some_and(|due| due > at), "{:?}", life.deadline());
    }
}
