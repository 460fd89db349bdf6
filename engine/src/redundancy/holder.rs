//! A controller's side of a lease: what it asked for, who granted it, and until when it may write.
//!
//! Requests are numbered, a grant counts only for the request that it answers, and the lease is counted from the moment at
//! which that request was *sent*: the holder cannot know when it arrived.
//!
//! Requests follow each other faster than answers come back: each is remembered for as long as a grant of it would still count,
//! which is L, so that a long way to the voters keeps nobody from a lease.
//!
//! A holder may ask for a higher epoch while it holds one, because a voter that restarted grants nothing up to the ceiling
//! that it found. What it holds stays valid meanwhile: its own writes are no danger to it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::epoch::{Epoch, Seat};
use crate::mistakes::{Mistake, makes};
use crate::time::{LocalTime, Span};

/// So many requests are remembered at most; [`super::Settings::request_pause`] sees to it that they are enough for L.
pub const REQUESTS_KEPT: usize = 64;

/// What one controller asked for and got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    span: Span,
    asked: Epoch,
    /// The number of the last request of this life.
    number: u32,
    /// Those of which a grant would still count, oldest first.
    requests: Vec<Request>,
    held: Option<Held>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Request {
    number: u32,
    epoch: Epoch,
    sent_at: LocalTime,
    grants: u16,
}

/// A lease that a majority granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its epoch.
    pub epoch: Epoch,
    /// The last instant at which it counts.
    pub until: LocalTime,
    /// When the controller began to hold: another's writes may still be on their way for D after that.
    pub since: LocalTime,
}

impl Held {
    /// Whether it counts at `now`.
    pub fn is_valid(&self, now: LocalTime) -> bool {
        now <= self.until
    }
}

impl Holder {
    /// Holds nothing; a lease lasts `span`, L.
    pub fn new(span: Span) -> Self {
        Self { span, asked: Epoch::NONE, number: 0, requests: Vec::new(), held: None }
    }

    /// Asks for a higher epoch from now on. Answers to earlier requests still count for what those asked for.
    pub fn seek(&mut self, epoch: Epoch) {
        assert!(epoch > self.asked, "an epoch is asked for once");
        self.asked = epoch;
    }

    /// Answers to earlier requests count no more.
    pub fn forget_requests(&mut self) {
        self.requests.clear();
    }

    /// Numbers a request for the asked epoch that is sent now.
    pub fn send(&mut self, now: LocalTime) -> u32 {
        self.number = self.number.wrapping_add(1).max(1);
        let span = self.span;
        self.requests.retain(|request| request.sent_at + span >= now);
        if self.requests.len() == REQUESTS_KEPT {
            self.requests.remove(0);
        }
        self.requests.push(Request { number: self.number, epoch: self.asked, sent_at: now, grants: 0 });
        self.number
    }

    /// Whether request `number` was for the epoch that is asked for now, and an answer to it may still matter.
    pub fn asks_with(&self, number: u32) -> bool {
        self.requests.iter().any(|request| request.number == number && request.epoch == self.asked)
    }

    /// Counts a grant; returns the voters that have granted that request, as bits; none for one that does not count.
    pub fn granted(&mut self, number: u32, epoch: Epoch, voter: Seat) -> u16 {
        let number = self.meant(number);
        let is_meant = |request: &&mut Request| request.number == number && request.epoch == epoch;
        let Some(request) = self.requests.iter_mut().find(is_meant) else { return 0 };
        request.grants |= voter.bit();
        request.grants
    }

    /// A majority granted request `number`. Whether the lease holds now, which a late grant does not achieve.
    pub fn extend(&mut self, now: LocalTime, number: u32) -> bool {
        let number = self.meant(number);
        let request = self.requests.iter().find(|request| request.number == number);
        let request = request.expect("only a request that is remembered can be granted");
        let from = if makes(Mistake::LeaseFromAnswer) { now } else { request.sent_at };
        let (epoch, until) = (request.epoch, from + self.span);
        match &mut self.held {
            // The grants for an epoch that it has left for a higher one.
            Some(held) if held.epoch > epoch => {}
            Some(held) if held.epoch == epoch => held.until = held.until.max(until),
            Some(held) if held.is_valid(now) => (held.epoch, held.until) = (epoch, held.until.max(until)),
            Some(_) | None => self.held = Some(Held { epoch, until, since: now }),
        }
        self.is_valid(now)
    }

    /// Which request an answer to this one counts for.
    fn meant(&self, number: u32) -> u32 {
        if makes(Mistake::GrantForNewerRequest) { self.number } else { number }
    }

    /// Holds `epoch` up to `until` without being granted it: the lease of a controller that shares its grid with none.
    pub fn hold(&mut self, now: LocalTime, epoch: Epoch, until: LocalTime) {
        self.asked = epoch;
        self.held = Some(Held { epoch, until, since: now });
    }

    /// Goes on under a higher epoch with what it holds without being granted anything.
    pub fn move_to(&mut self, epoch: Epoch) {
        self.asked = epoch;
        if let Some(held) = &mut self.held {
            held.epoch = epoch;
        }
    }

    /// Gives the lease up. Answers to earlier requests count no more.
    pub fn give_up(&mut self) {
        self.held = None;
        self.forget_requests();
    }

    /// The lease, if a majority has granted one; it may be over.
    pub const fn held(&self) -> Option<Held> {
        self.held
    }

    /// Whether it may write at `now`.
    pub fn is_valid(&self, now: LocalTime) -> bool {
        self.held.is_some_and(|held| held.is_valid(now))
    }

    /// The epoch that it asked for last.
    pub const fn asked(&self) -> Epoch {
        self.asked
    }

    /// What of the lease can still matter, without absolute times: its epoch, and what is left of it, if anything.
    #[cfg(test)]
    pub(super) fn gist(&self, now: LocalTime) -> Option<(Epoch, Option<Span>)> {
        self.held.map(|held| (held.epoch, held.is_valid(now).then(|| held.until.since(now))))
    }

    /// What of these requests can still matter, without absolute times: their epochs, ages and grants.
    #[cfg(test)]
    pub(super) fn gist_of_requests(&self, now: LocalTime, numbers: &[u32]) -> Vec<(Epoch, Span, u16)> {
        // What a grant of an older one does is the same at any age.
        let too_old = self.span + Span::from_nanos(1);
        let gist =
            |request: &Request| (request.epoch, now.since(request.sent_at).min(too_old), request.grants);
        let of = |number: &u32| self.requests.iter().find(|request| request.number == *number);
        numbers.iter().filter_map(of).map(gist).collect()
    }

    /// Whether an answer to request `number` is still waited for.
    #[cfg(test)]
    pub(super) fn remembers(&self, number: u32) -> bool {
        self.requests.iter().any(|request| request.number == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Span = Span::from_millis(20);
    const EPOCH: Epoch = Epoch { round: 3, seat: Seat(1) };
    const HIGHER: Epoch = Epoch { round: 4, seat: Seat(1) };

    fn at(millis: u64) -> LocalTime {
        LocalTime::from_nanos(millis * 1_000_000)
    }

    fn seeking() -> Holder {
        let mut holder = Holder::new(LEASE);
        holder.seek(EPOCH);
        holder
    }

    #[test]
    fn a_lease_counts_from_the_sending_of_the_request_that_was_granted() {
        let mut holder = seeking();
        let number = holder.send(at(100));
        assert_eq!(holder.granted(number, EPOCH, Seat(0)), 0b01);
        assert_eq!(holder.granted(number, EPOCH, Seat(2)), 0b101);
        assert!(holder.extend(at(108), number));
        assert_eq!(holder.held(), Some(Held { epoch: EPOCH, until: at(120), since: at(108) }));
        assert!(holder.is_valid(at(120)) && !holder.is_valid(at(121)));
    }

    #[test]
    fn a_grant_counts_only_for_its_own_request_and_epoch() {
        let mut holder = seeking();
        let first = holder.send(at(100));
        let second = holder.send(at(105));
        assert_eq!(holder.granted(first, EPOCH, Seat(0)), 0b01);
        assert_eq!(holder.granted(second, EPOCH, Seat(1)), 0b10);
        assert_eq!(holder.granted(second, Epoch { round: 2, ..EPOCH }, Seat(0)), 0);
        assert_eq!(holder.granted(0, EPOCH, Seat(0)), 0);
        holder.seek(HIGHER);
        assert_eq!(holder.granted(first, HIGHER, Seat(2)), 0);
        assert!(!holder.asks_with(first));
        assert_eq!(holder.granted(first, EPOCH, Seat(2)), 0b101, "for what it asked for it still counts");
    }

    #[test]
    fn an_answer_that_comes_after_the_lease_is_over_holds_nothing() {
        let mut holder = seeking();
        let number = holder.send(at(100));
        holder.granted(number, EPOCH, Seat(0));
        assert!(!holder.extend(at(121), number));
    }

    #[test]
    fn a_request_is_remembered_for_a_lease_however_many_follow() {
        let mut holder = seeking();
        let first = holder.send(at(100));
        (101..=120).for_each(|millis| _ = holder.send(at(millis)));
        assert_eq!(holder.granted(first, EPOCH, Seat(0)), 0b01);
        holder.send(at(121));
        assert_eq!(holder.granted(first, EPOCH, Seat(0)), 0);
    }

    #[test]
    fn the_oldest_of_too_many_requests_is_forgotten() {
        let mut holder = seeking();
        let first = holder.send(at(100));
        (1..REQUESTS_KEPT).for_each(|_request| _ = holder.send(at(100)));
        assert!(holder.asks_with(first));
        holder.send(at(100));
        assert!(!holder.asks_with(first));
    }

    #[test]
    fn who_gave_up_is_granted_nothing_by_a_late_answer() {
        let mut holder = seeking();
        let number = holder.send(at(100));
        holder.give_up();
        assert_eq!(holder.granted(number, EPOCH, Seat(0)), 0);
    }

    #[test]
    fn moving_to_a_higher_epoch_interrupts_nothing() {
        let mut holder = seeking();
        let number = holder.send(at(100));
        assert!(holder.extend(at(102), number));
        let late = holder.send(at(105));
        holder.seek(HIGHER);
        assert!(holder.is_valid(at(110)));
        assert_eq!(holder.held().map(|held| held.epoch), Some(EPOCH));
        let number = holder.send(at(110));
        assert!(holder.extend(at(112), number));
        let higher = Some(Held { epoch: HIGHER, until: at(130), since: at(102) });
        assert_eq!(holder.held(), higher);
        assert!(holder.extend(at(112), late));
        assert_eq!(holder.held(), higher, "the lower epoch does not come back");
    }
}
