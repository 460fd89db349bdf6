//! Several requests under way at once, on connections that are said to bear that.
//!
//! **Whose turn it is is decided as without.** The next job then leaves at once if it may be under way beside what is, or else
//! all that waits waits with it. So whatever holds of turns holds here too, and a heartbeat still waits for what is under way
//! when it is asked for, and not for anything that is sent meanwhile: all of that ends within the longest time-out.
//!
//! **Decision: only what reads, and for the first time, is under way beside something else.** Alone go
//!
//! - what writes, and what belongs to a write: reading back, and asking for an epoch. The requests of a set-point keep their
//!   order, each sent when the one before has been answered. Nothing is sent while one is under way.
//! - what is tried again. A gateway that works for one unit after the other may have been asked too much at once: whoever repeats
//!   all that at once makes it worse.
//! - what is asked of a unit that failed last: a dead one costs one try in a back-off, not as many as may be under way.
//! - what must be answered before more is asked of the same unit, as bits on which points depend.
//!
//! **What that means for D,** the time from the check of a write's validity until nothing of it can still be applied. The check
//! is made when the write leaves, and then nothing else is under way: a device has nothing in front of it that may still be
//! answered in time. What it may have in front of it are requests that were given up, as on any connection: without pipelining
//! the last one and its repetitions, `retries` + 1 for each unit; with it up to `pipelining` + `retries`, where a unit has fallen
//! silent with all of them on their way, and then is left alone. Where requests are lost and others answered, each that was
//! under way together may be repeated: `pipelining` × (`retries` + 1). While a write waits only such are sent, one by one. D of a
//! device that still works off what was given up is to hold the time that so many requests take it. After a write has left
//! nothing stands behind it either until it is answered or given up, so that its own time-out is the same as without.
//!
//! **Answers may come in any order.** Each is taken for its transaction. What a request asked is made anew from its job then,
//! which asks the same while it is under way: no request is kept.
//!
//! **That something has arrived** is known from any answer to it, or to what was sent after it, in any order of answers: whoever
//! has read a later request from a stream has read all of it before.
//!
//! **A unit fails once.** Where one job of a unit has failed for good, what was asked of it beside that ends too and says
//! nothing more: the back-off does not double for each.
//!
//! **Weighed: each exchange with its own request.** That is the obvious form, and costs the state a frame for each and what says
//! where it lies. A list in place of the one exchange is all that is new here, and of none or one it has the same form in a
//! state as before.

use super::queue::Waiting;
use super::{ConnectionSpec, Exchange, Fault, Job, Master, Peer, Unit};
use crate::fieldbus::pdu::{Answer, Request};
use crate::fieldbus::refusal::AnswerFlaw;
use crate::time::LocalTime;

/// Most requests that are under way at once on a connection.
///
/// # Source    Modbus Messaging on TCP/IP, Implementation Guide V1.0b: a server accepts from 1 to 16 transactions at once
pub const PIPELINING_MAX: u8 = 16;

impl ConnectionSpec {
    /// So many requests may be under way at once: one where answers do not say to which, or where a gap follows each.
    pub fn most_at_once(&self) -> usize {
        let bears_more = self.framing.has_transactions() && self.gap().is_zero();
        if bears_more { self.pipelining.clamp(1, PIPELINING_MAX).into() } else { 1 }
    }
}

/// What is under way on a connection.
pub(super) struct Company<'a, T> {
    pub(super) units: &'a [Unit],
    pub(super) exchanges: &'a [Exchange<T>],
}

impl<T: Copy> Company<'_, T> {
    /// Whether something may be under way beside it.
    pub(super) fn is_joined_by(&self, next: &Waiting<T>, peer: &impl Peer<Tag = T>) -> bool {
        let goes_alone = |job: &Job<T>, is_repeated: bool| {
            is_repeated || self.units[usize::from(job.unit)].failures > 0 || peer.goes_alone(job)
        };
        let is_alone = |exchange: &Exchange<T>| goes_alone(&exchange.job, exchange.is_repeated);
        self.exchanges.is_empty()
            || !goes_alone(&next.job, next.retries_left.is_some()) && !self.exchanges.iter().any(is_alone)
    }
}

impl<T: Copy> Master<T> {
    /// Which job is under way; of several the oldest. What writes is alone.
    pub fn under_way(&self) -> Option<&Job<T>> {
        self.exchanges.first().map(|exchange| &exchange.job)
    }

    /// Whether the request under way was sent before.
    pub fn repeats(&self) -> bool {
        self.exchanges.first().is_some_and(|exchange| exchange.is_repeated)
    }

    /// When the answer to the request under way is given up.
    pub fn answer_due(&self) -> Option<LocalTime> {
        self.exchanges.first().map(|exchange| exchange.due)
    }

    /// Takes the exchange of a transaction, if it is under way.
    pub(super) fn take_exchange(&mut self, transaction: u16) -> Option<Exchange<T>> {
        let place = self.exchanges.iter().position(|exchange| exchange.transaction == transaction)?;
        Some(self.exchanges.remove(place))
    }

    /// Takes the exchange that was sent first.
    pub(super) fn take_oldest(&mut self) -> Option<Exchange<T>> {
        (!self.exchanges.is_empty()).then(|| self.exchanges.remove(0))
    }

    /// What an answer to the request of a job says.
    pub(super) fn answer<'b>(
        &mut self,
        job: &Job<T>,
        answer: &'b [u8],
        peer: &mut impl Peer<Tag = T>,
    ) -> Result<Answer<'b>, AnswerFlaw> {
        self.pdu.clear();
        peer.request(job, &mut self.pdu);
        Request::decode(&self.pdu).expect("whoever asked made a request").answer(answer)
    }

    /// What has not been answered in time does not end well; says whether there was any.
    pub(super) fn fail_due(&mut self, now: LocalTime, peer: &mut impl Peer<Tag = T>) -> bool {
        let before = self.exchanges.len();
        // The newest first: what is repeated goes before all that waits.
        while let Some(place) = self.exchanges.iter().rposition(|exchange| now >= exchange.due) {
            let exchange = self.exchanges.remove(place);
            self.fail_exchange(now, exchange, Fault::TimedOut, peer);
        }
        self.exchanges.len() < before
    }

    /// The connection is over: nothing that is under way on it ends well.
    pub(super) fn fail_all(&mut self, now: LocalTime, fault: Fault, peer: &mut impl Peer<Tag = T>) {
        while let Some(exchange) = self.take_oldest() {
            self.fail_exchange(now, exchange, fault, peer);
        }
    }
}
