//! The master of one connection: a queue of jobs for the units behind it, one exchange at a time, or several that read.
//!
//! ```text
//!   ask ──> queue of jobs ──min_gap──> exchange ──answer──> done
//!                 ^                       │ time-out, flaw
//!                 └────── retries left ───┘ none left: the unit is left alone for a while, and perhaps the connection is closed
//! ```
//!
//! A connection leads to one device, or to a gateway with several units behind it. It moves no bytes itself: it says what is to
//! be sent, and is told what arrived and how the connection fares.
//!
//! - **One answer for one request.** Each request has a transaction of its own, retries too. What comes with another
//!   is late, and is dropped: it is never taken for an answer to the next request. A serial line has no transactions: there a
//!   unit that has not answered in time is asked nothing until its answer comes no more, see [`Framing::may_be_late`], while
//!   others are.
//! - **A dead unit costs one time-out in a back-off**, and the retries of one job before the first: jobs for it fail at once
//!   until the back-off is over, and then one is tried, without retries.
//! - **What a gateway says of a unit** (exceptions 10 and 11) is about the unit: the connection stays. So does it while another
//!   unit answers. Where none does any more, it is closed and opened again: a peer that was unplugged does not say so.
//! - **Writes go first**: a set-point must not wait for polls, nor the second of its requests for another unit's writes. Only
//!   one that has waited for another of its unit lets that unit be read before. Before them go heartbeats: one waits for the
//!   exchange that is under way, for what its own unit is already asked, and for one exchange of each other heartbeat. `queue`
//!   says why.
//! - **A write leaves while it is valid or not at all.** That is asked whenever it is sent, retries too.
//! - **What has left may still wait** in the host's end of the connection, until its cable is whole again. Whoever must not have
//!   it arrive takes it back: the connection is closed, at once opened anew for what comes next, and no unit is blamed.
//! - **A peer that ends a connection after an answer** is connected to at once for what comes next: `habit` says why.
//! - **Several requests are under way** only where the connection is said to bear that, and only such as read: `pipeline` says
//!   why, and what that means for writes.
//!
//! All is bounded: [`MAX_JOBS`] wait at most, [`PIPELINING_MAX`] are under way, and of a stream no more than one frame is kept.

mod habit;
mod peer;
mod pipeline;
mod queue;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::habit::Habit;
pub use self::peer::{Fault, Job, Next, Peer, Turn};
use self::pipeline::Company;
pub use self::pipeline::PIPELINING_MAX;
use self::queue::{Queue, Waiting};
use super::frame::{Frame, MAX_PDU_BYTES};
use super::framing::{Arriving, Asked, Framing};
use super::pdu::Answer;
use super::refusal::{AnswerFlaw, Exception};
use crate::time::{LocalTime, Span};

/// Most jobs that wait for a connection.
pub const MAX_JOBS: usize = 1_024;
/// Most units behind one connection: a unit's number is a byte, and some of them are reserved.
pub const MAX_UNITS: usize = 247;
/// The longest pause between two attempts to connect.
pub const RECONNECT_MAX: Span = Span::from_secs(10);
/// Pauses double so often at most.
const MAX_DOUBLINGS: u8 = 10;
/// The pause after an open connection was lost; it is twice as long after an attempt that failed, and doubles with each further
/// one.
pub const RECONNECT_FIRST: Span = Span::from_millis(500);

/// One unit behind a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitSpec {
    /// Its number in frames.
    pub unit: u8,
    /// How long an answer may take; positive.
    pub timeout: Span,
    /// How often a request is repeated that was not answered rightly.
    pub retries: u8,
    /// How long it is left alone after the first job that failed; doubles with each further one; positive.
    pub back_off_first: Span,
    /// The longest that it is left alone.
    pub back_off_max: Span,
}

/// A connection and what is behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionSpec {
    /// The units behind it, at least one and at most [`MAX_UNITS`].
    pub units: Vec<UnitSpec>,
    /// How frames lie on it.
    pub framing: Framing,
    /// So long nothing is sent after an exchange has ended; on a serial line the silence between two frames at least.
    pub min_gap: Span,
    /// How long an attempt to connect may take; positive.
    pub connect_timeout: Span,
    /// So many requests may be under way at once, from 1 to [`PIPELINING_MAX`]; 1 where there is a gap or are no transactions.
    pub pipelining: u8,
}

impl ConnectionSpec {
    /// So long nothing is sent after an exchange has ended.
    pub fn gap(&self) -> Span {
        self.min_gap.max(self.framing.silence())
    }
}

/// How the connection fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Link {
    /// It is closed; the next attempt is not made before.
    Closed(LocalTime),
    /// It is being opened, and given up then.
    Opening(LocalTime),
    Open,
}

/// How a unit fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Unit {
    /// Jobs in a row that failed.
    failures: u8,
    /// It is left alone until then.
    alone_until: LocalTime,
    /// What it was asked before may be answered until then, and could be taken for the answer to what it is asked next.
    owes_until: LocalTime,
}

impl Unit {
    /// Whether it is left alone since it did not answer.
    fn is_left_alone(&self, now: LocalTime) -> bool {
        now < self.alone_until
    }
}

/// A request that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Exchange<T> {
    job: Job<T>,
    transaction: u16,
    due: LocalTime,
    retries_left: u8,
    /// Whether the same was sent before.
    is_repeated: bool,
}

/// The master of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Master<T> {
    spec: ConnectionSpec,
    link: Link,
    /// Attempts to connect in a row that failed.
    attempts: u8,
    habit: Habit,
    units: Vec<Unit>,
    queue: Queue<T>,
    /// What is under way, in the order in which it was sent: of several, all only read.
    exchanges: Vec<Exchange<T>>,
    /// The data unit of the request that was made last; kept for its memory.
    pdu: Vec<u8>,
    arriving: Arriving,
    transaction: u16,
    /// Nothing is sent before.
    quiet_until: LocalTime,
}

impl<T: Copy> Master<T> {
    /// Makes the master of a connection that is closed.
    pub fn new(spec: &ConnectionSpec) -> Self {
        Self {
            link: Link::Closed(LocalTime::ZERO),
            attempts: 0,
            habit: Habit::default(),
            units: alloc::vec![Unit::default(); spec.units.len()],
            queue: Queue::new(),
            exchanges: Vec::with_capacity(spec.most_at_once()),
            pdu: Vec::new(),
            arriving: Arriving::new(spec.framing),
            transaction: 0,
            quiet_until: LocalTime::ZERO,
            spec: spec.clone(),
        }
    }

    /// Whether the connection is being opened.
    pub const fn is_opening(&self) -> bool {
        matches!(self.link, Link::Opening(_))
    }

    /// Takes a job.
    ///
    /// # Panics
    /// If it names no unit, or [`MAX_JOBS`] wait: whoever asks sees to both.
    pub fn ask(&mut self, now: LocalTime, job: Job<T>, peer: &mut impl Peer<Tag = T>) {
        assert!(usize::from(job.unit) < self.units.len(), "the connection has {} units", self.units.len());
        assert!(self.queue.len() < MAX_JOBS, "whoever asks has a bounded number of jobs");
        self.queue.add(job);
        self.go_on(now, peer);
    }

    /// A job is done.
    fn end(&mut self, job: &Job<T>, outcome: Result<Answer<'_>, Fault>, peer: &mut impl Peer<Tag = T>) {
        match peer.done(job, outcome) {
            Next::Nothing => {}
            Next::AtOnce(job) => self.queue.go_on(job),
            Next::InTurn(job) => self.queue.follow(job),
        }
    }

    /// The connection is open; that of an attempt which was given up is of no use.
    pub fn connected(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        if !self.is_opening() {
            return;
        }
        (self.link, self.attempts) = (Link::Open, 0);
        self.habit.open(now);
        self.arriving.clear();
        self.keep_silence(now);
        if self.transaction == 0 {
            // Nobody knows what a life before this one, or another controller, has asked last.
            for (unit, UnitSpec { timeout, .. }) in self.units.iter_mut().zip(&self.spec.units) {
                unit.owes_until = unit.owes_until.max(now + self.spec.framing.may_come(*timeout));
            }
        }
        self.go_on(now, peer);
    }

    /// The connection ended, or could not be opened.
    pub fn disconnected(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        if matches!(self.link, Link::Closed(_)) {
            return;
        }
        if self.ends_after_an_answer() {
            self.end_after_an_answer(now);
        } else {
            self.close(now, self.link == Link::Open);
            self.fail_all(now, Fault::Disconnected, peer);
        }
        self.go_on(now, peer);
    }

    /// Whoever asked gives the connection up: it is closed, and no job is done any more; the next one opens it again.
    pub fn give_up(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        if !matches!(self.link, Link::Closed(_)) {
            self.shut(now, peer);
        }
        if !self.spec.framing.has_transactions() {
            // Until it is opened again another may ask there.
            self.transaction = 0;
        }
        while let Some(Waiting { job, retries_left }) = self.queue.pop() {
            let fault = if retries_left.is_some() { Fault::Disconnected } else { Fault::NotConnected };
            self.end(&job, Err(fault), peer);
        }
    }

    /// What has left and was not answered must not arrive any more.
    pub fn recall(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        if self.link == Link::Open {
            self.shut(now, peer);
            self.go_on(now, peer);
        }
    }

    /// Closes the connection at its own wish: nobody failed, and the next job opens it at once.
    fn shut(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        peer.disconnect();
        self.habit.break_off();
        (self.link, self.attempts) = (Link::Closed(now), 0);
        self.arriving.clear();
        while let Some(exchange) = self.take_oldest() {
            self.owe(now, &exchange);
            self.end(&exchange.job, Err(Fault::Disconnected), peer);
        }
    }

    /// The answer to what was asked may come although nobody waits for it any more.
    ///
    /// Where that is noticed late the host stood still, and the request may have left as much later.
    fn owe(&mut self, now: LocalTime, exchange: &Exchange<T>) {
        let place = usize::from(exchange.job.unit);
        let late = self.spec.framing.may_be_late(self.spec.units[place].timeout);
        if !late.is_zero() {
            self.units[place].owes_until = exchange.due.max(now) + late;
        }
    }

    /// The request under way was not sent, because it had expired when it could be: it writes, so there is no other.
    pub fn not_sent(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        let Some(Exchange { job, is_repeated, .. }) = self.take_oldest() else { return };
        let fault = if is_repeated { Fault::TimedOut } else { Fault::Expired };
        self.end(&job, Err(fault), peer);
        self.go_on(now, peer);
    }

    /// Bytes have arrived.
    pub fn received(&mut self, now: LocalTime, bytes: &[u8], peer: &mut impl Peer<Tag = T>) {
        if self.link != Link::Open {
            return;
        }
        self.keep_silence(now);
        let mut arriving = core::mem::replace(&mut self.arriving, Arriving::new(Framing::Tcp));
        // What makes a request anew overwrites it.
        let mut asked = [0; MAX_PDU_BYTES];
        let asked = &mut asked[..self.pdu.len()];
        asked.copy_from_slice(&self.pdu);
        let asked = self.exchanges.last().map(|exchange| Asked {
            transaction: exchange.transaction,
            unit: self.spec.units[usize::from(exchange.job.unit)].unit,
            pdu: asked,
        });
        let flaw = arriving.feed(bytes, asked, |frame| self.take(now, frame, peer)).err();
        self.arriving = arriving;
        if let Some(flaw) = flaw {
            self.hang_up(now, peer);
            self.fail_all(now, Fault::Frame(flaw), peer);
        }
        self.go_on(now, peer);
    }

    /// Handles what has become due.
    pub fn wake(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        if let Link::Opening(due) = self.link
            && now >= due
        {
            peer.disconnect();
            self.close(now, false);
        }
        // Whoever was unplugged says nothing: where nobody answers any more, the way itself may be gone.
        if self.fail_due(now, peer) && self.units.iter().all(|unit| unit.failures > 0) {
            self.hang_up(now, peer);
            self.fail_all(now, Fault::Disconnected, peer);
        }
        self.go_on(now, peer);
    }

    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<LocalTime> {
        let first_due = self.exchanges.iter().map(|exchange| exchange.due).min();
        match (self.link, first_due) {
            (Link::Opening(due), _) | (_, Some(due)) => Some(due),
            (Link::Closed(until), None) => (!self.queue.is_empty()).then_some(until),
            (Link::Open, None) => {
                let owes_until = |unit: u16| self.units[usize::from(unit)].owes_until;
                let first = self.queue.units().map(owes_until).min();
                first.map(|owes_until| owes_until.max(self.quiet_until))
            }
        }
    }

    /// Whatever was said on a line until now, a frame begins there after a silence only.
    fn keep_silence(&mut self, now: LocalTime) {
        let silence = self.spec.framing.silence();
        if !silence.is_zero() {
            self.quiet_until = self.quiet_until.max(now + silence);
        }
    }

    /// Takes a frame; one whose transaction is not under way any more is late.
    fn take(&mut self, now: LocalTime, frame: Frame<'_>, peer: &mut impl Peer<Tag = T>) {
        peer.arrived(frame.transaction);
        let Some(exchange) = self.take_exchange(frame.transaction) else { return };
        self.quiet_until = now + self.spec.gap();
        self.habit.answer();
        let place = usize::from(exchange.job.unit);
        if frame.unit != self.spec.units[place].unit {
            return self.fail_exchange(now, exchange, Fault::Unit(frame.unit), peer);
        }
        match self.answer(&exchange.job, frame.pdu, peer) {
            Ok(answer) => {
                self.units[place].failures = 0;
                self.end(&exchange.job, Ok(answer), peer);
            }
            Err(AnswerFlaw::Exception(exception)) if !Self::is_passing(exception) => {
                // It answers, and repeating changes nothing.
                self.units[place].failures = 0;
                self.end(&exchange.job, Err(Fault::Answer(AnswerFlaw::Exception(exception))), peer);
            }
            Err(flaw) => {
                self.fail_exchange(now, exchange, Fault::Answer(flaw), peer);
            }
        }
    }

    /// Whether the same request may be answered otherwise in a moment.
    const fn is_passing(exception: Exception) -> bool {
        exception.is_of_gateway() || exception.0 == Exception::BUSY.0
    }

    /// An exchange did not end well: its job is tried again, or its unit is left alone.
    fn fail_exchange(
        &mut self,
        now: LocalTime,
        exchange: Exchange<T>,
        fault: Fault,
        peer: &mut impl Peer<Tag = T>,
    ) {
        if !matches!(fault, Fault::Answer(_)) {
            self.owe(now, &exchange);
        }
        let Exchange { job, retries_left, .. } = exchange;
        self.quiet_until = now + self.spec.gap();
        let UnitSpec { back_off_first, back_off_max, .. } = self.spec.units[usize::from(job.unit)];
        let unit = &mut self.units[usize::from(job.unit)];
        // What was under way beside it says nothing more.
        if !unit.is_left_alone(now) {
            if retries_left > 0 && self.link == Link::Open {
                return self.queue.repeat(job, retries_left - 1);
            }
            let doubled = back_off_first * (1 << unit.failures.min(MAX_DOUBLINGS));
            unit.alone_until = now + doubled.min(back_off_max);
            unit.failures = unit.failures.saturating_add(1);
        }
        self.end(&job, Err(fault), peer);
    }

    /// Closes a connection that is of no use any more.
    fn hang_up(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        peer.disconnect();
        self.close(now, true);
    }

    /// The connection is closed; it is opened again after a pause, which is short if it had been open.
    fn close(&mut self, now: LocalTime, was_open: bool) {
        self.habit.break_off();
        self.attempts = if was_open { 0 } else { self.attempts.saturating_add(1) };
        let doubled = RECONNECT_FIRST * (1 << self.attempts.min(MAX_DOUBLINGS));
        self.link = Link::Closed(now + doubled.min(RECONNECT_MAX));
        self.arriving.clear();
    }

    /// Does what can be done now: opens the connection, sends the next request, and fails what cannot be tried.
    fn go_on(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) {
        while self.exchanges.len() < self.spec.most_at_once() && !self.queue.is_empty() {
            match self.link {
                Link::Opening(_) => return,
                Link::Closed(until) if now >= until => {
                    self.link = Link::Opening(now + self.spec.connect_timeout);
                    return peer.connect();
                }
                Link::Closed(_) => {
                    // It is better to know that a measurement is missing than to have it late.
                    let Some(waiting) = self.queue.pop() else { return };
                    self.end(&waiting.job, Err(Fault::NotConnected), peer);
                }
                Link::Open => {
                    let (units, is_quiet) = (&self.units, now < self.quiet_until);
                    let is_alone = |unit: u16| units[usize::from(unit)].is_left_alone(now);
                    if let Some(Waiting { job, retries_left }) = self.queue.take_of(is_alone) {
                        let fault = if retries_left.is_some() { Fault::TimedOut } else { Fault::LeftAlone };
                        self.end(&job, Err(fault), peer);
                        continue;
                    }
                    let may_be = |unit: u16| !is_quiet && now >= units[usize::from(unit)].owes_until;
                    let company = Company { units, exchanges: &self.exchanges };
                    let may_go = |next: &Waiting<T>| company.is_joined_by(next, peer);
                    let Some(Waiting { job, retries_left }) = self.queue.take(may_be, may_go) else { return };
                    if peer.has_expired(now, &job) {
                        // Where an earlier try has left, nobody knows what the unit made of that.
                        let fault = if retries_left.is_some() { Fault::TimedOut } else { Fault::Expired };
                        self.end(&job, Err(fault), peer);
                        continue;
                    }
                    let unit = usize::from(job.unit);
                    // Who failed before is tried once.
                    let first = if self.units[unit].failures > 0 { 0 } else { self.spec.units[unit].retries };
                    let is_repeated = retries_left.is_some();
                    self.send(now, job, (retries_left.unwrap_or(first), is_repeated), peer);
                }
            }
        }
    }

    /// Sends a request, under a transaction of its own.
    fn send(
        &mut self,
        now: LocalTime,
        job: Job<T>,
        (retries_left, is_repeated): (u8, bool),
        peer: &mut impl Peer<Tag = T>,
    ) {
        self.transaction = self.transaction.wrapping_add(1);
        let UnitSpec { unit, timeout, .. } = self.spec.units[usize::from(job.unit)];
        self.pdu.clear();
        peer.request(&job, &mut self.pdu);
        assert!((1..=MAX_PDU_BYTES).contains(&self.pdu.len()), "a data unit of {} bytes", self.pdu.len());
        self.arriving.asks();
        peer.send(&job, self.transaction, unit, &self.pdu);
        let (transaction, due) = (self.transaction, now + timeout);
        self.exchanges.push(Exchange { job, transaction, due, retries_left, is_repeated });
    }
}

#[cfg(test)]
mod tests;
