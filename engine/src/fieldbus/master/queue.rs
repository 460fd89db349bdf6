//! The jobs that wait for a connection, and whose turn it is.
//!
//! Jobs for one unit keep their order: what is tried again goes first, or goes on, then heartbeats, what writes, what reads. Of
//! several units, what is tried again or goes on comes first too, as it is older than all that waits, but **a heartbeat of
//! another unit goes before it**. So a heartbeat waits for the exchange that is under way, for what its own unit is already
//! asked, and for one exchange of each other heartbeat, which yields once it has failed: to heartbeats that were not tried, and
//! to whatever stands between one of them and its turn. However often a dead unit is tried, it costs nobody's heartbeat a
//! second time-out.
//!
//! **Decision: a set-point of another unit is interrupted for a heartbeat.** It waits for an exchange between two of its
//! requests, and is not sent if it has expired meanwhile. Without its heartbeat a device falls back, whatever its set-point is.
//!
//! **What a unit is to be read goes before the second of two set-points in a row.** Where writing takes so long that the next
//! set-point always waits already, as where one is repeated often, a device would else be written for ever and never be read; who
//! cannot see it counts it as lost. It is another unit's reads for which a set-point never waits.
//!
//! **A heartbeat does not go before what its own unit is asked once more.** A unit that does not answer would be tried with
//! both, and cost its connection twice as many time-outs.

use alloc::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Job, Turn};

/// A job that waits for its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Waiting<T> {
    pub(super) job: Job<T>,
    /// How often it may be tried once more after this; `None`: it has not been tried.
    pub(super) retries_left: Option<u8>,
}

/// All that waits for one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Queue<T> {
    jobs: VecDeque<Waiting<T>>,
}

impl<T: Copy> Queue<T> {
    /// Nothing waits.
    pub(super) const fn new() -> Self {
        Self { jobs: VecDeque::new() }
    }

    /// Adds something new.
    pub(super) fn add(&mut self, job: Job<T>) {
        // What is tried again keeps its place.
        let is_later = |other: &Waiting<T>| other.retries_left.is_none() && other.job.turn < job.turn;
        let place = self.jobs.iter().position(is_later).unwrap_or(self.jobs.len());
        self.jobs.insert(place, Waiting { job, retries_left: None });
    }

    /// Adds what has waited for another of its unit that is done now: what reads the unit has waited too, and goes first.
    pub(super) fn follow(&mut self, job: Job<T>) {
        let is_overtaken = |other: &Waiting<T>| {
            other.retries_left.is_none() && other.job.unit == job.unit && other.job.turn < job.turn
        };
        while let Some(place) = self.jobs.iter().position(is_overtaken)
            && let Some(overtaken) = self.jobs.remove(place)
        {
            self.add(Job { turn: job.turn, ..overtaken.job });
        }
        self.add(job);
    }

    /// Adds what follows from a job that is done, and belongs to it.
    pub(super) fn go_on(&mut self, job: Job<T>) {
        self.jobs.push_front(Waiting { job: Job { turn: Turn::GoesOn, ..job }, retries_left: None });
    }

    /// Adds what is to be tried once more: before all that waits, but a heartbeat lets those of others have their turn.
    pub(super) fn repeat(&mut self, job: Job<T>, retries_left: u8) {
        let is_beat = |waiting: &Waiting<T>| waiting.job.turn == Turn::Heartbeat;
        let last = self.jobs.iter().rposition(is_beat).filter(|_last| job.turn == Turn::Heartbeat);
        let place = last.map_or(0, |last| last + 1);
        self.jobs.insert(place, Waiting { job, retries_left: Some(retries_left) });
    }

    /// Takes whose turn it is of those whose units may be asked, if that one may go.
    pub(super) fn take(
        &mut self,
        may_be: impl Fn(u16) -> bool,
        may_go: impl FnOnce(&Waiting<T>) -> bool,
    ) -> Option<Waiting<T>> {
        let is_next = |place: usize, unit: u16| {
            let mut before = self.jobs.iter().take(place);
            before.all(|other| other.job.unit != unit)
        };
        let may_be_beat =
            |waiting: &Waiting<T>| waiting.job.turn == Turn::Heartbeat && may_be(waiting.job.unit);
        // What its own unit is asked keeps a heartbeat from its turn; the others must let that come to an end.
        let keeps_another = |unit: u16| {
            let is_kept = |(place, waiting): (usize, &Waiting<T>)| {
                waiting.job.unit != unit && may_be_beat(waiting) && !is_next(place, waiting.job.unit)
            };
            self.jobs.iter().enumerate().any(is_kept)
        };
        let is_beat = |(place, waiting): (usize, &Waiting<T>)| {
            let unit = waiting.job.unit;
            let yields = || waiting.retries_left.is_some() && keeps_another(unit);
            may_be_beat(waiting) && is_next(place, unit) && !yields()
        };
        let beat = self.jobs.iter().enumerate().position(is_beat);
        let place = beat.or_else(|| self.jobs.iter().position(|waiting| may_be(waiting.job.unit)))?;
        may_go(&self.jobs[place]).then(|| self.jobs.remove(place)).flatten()
    }

    /// Takes the first one for a unit that is such.
    pub(super) fn take_of(&mut self, is_such: impl Fn(u16) -> bool) -> Option<Waiting<T>> {
        let place = self.jobs.iter().position(|waiting| is_such(waiting.job.unit))?;
        self.jobs.remove(place)
    }

    /// Takes the first one.
    pub(super) fn pop(&mut self) -> Option<Waiting<T>> {
        self.jobs.pop_front()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// So many wait.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The units that are to be asked something.
    pub(super) fn units(&self) -> impl Iterator<Item = u16> {
        self.jobs.iter().map(|waiting| waiting.job.unit)
    }
}
