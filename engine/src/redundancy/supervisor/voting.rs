//! Asking for leases and granting them.
//!
//! A grant binds its voter for W, so a candidate that cannot win must not collect any: it asks only voters that it hears, and
//! only if they are a majority together; it casts its own vote last; and after a **term**, which begins with its first request
//! and in which no majority came together, it releases the votes that it got and pauses, longer for a higher seat and with
//! each failure, so that candidates which split the votes once do not do so again.

use super::RedundancySupervisor;
use super::peer::Foreign;
use crate::event::Event;
use crate::machine::{Effect, Effects};
use crate::redundancy::epoch::{Epoch, MAX_SEATS, Seat};
use crate::redundancy::grantor::{Answer, Refusal};
use crate::redundancy::message::Content;
use crate::redundancy::promise::Promise;
use crate::redundancy::role::{Reason, Role};
use crate::redundancy::settings::OnSilence;
use crate::time::{LocalTime, Span};

/// A candidate asks at its full rate for so many waits of a grantor, and at the rate of heartbeats from then on.
const EAGER_WAITS: u64 = 4;
/// So many waits of a grantor a term lasts.
pub(super) const TERM_WAITS: u64 = 2;
/// A device is believed to be so many rounds ahead of everything that is known.
const ROUNDS_BELIEVED: u32 = 1 << 20;
/// The pause after a term doubles with each failure, up to so many times.
pub(super) const DOUBLINGS_MAX: u8 = 4;

impl RedundancySupervisor {
    /// Asks all voters for the epoch that is sought.
    pub(super) fn ask(&mut self, now: LocalTime, out: &mut Effects) {
        let settings = &self.spec.settings;
        let since = self.seeking.map_or(now, |(since, _reason)| since);
        let is_eager = now.since(since) < settings.grantor_wait() * EAGER_WAITS;
        let pause = settings.request_pause();
        self.retry_due = now + if is_eager { pause } else { pause.max(settings.heartbeat) };
        if self.term_began.is_some_and(|began| now.since(began) >= settings.grantor_wait() * TERM_WAITS) {
            return self.end_term(now, out);
        }
        let (heard, heartbeat) = (self.heard_voters(now), settings.heartbeat);
        // No life of this controller may ask for what another has asked for: that must be durable before.
        let is_promised = self.holder.asked() <= self.kept.ceiling;
        if !is_promised || !self.is_majority(now, heard | self.me().bit()) {
            self.raise_ceiling(self.holder.asked(), out);
            self.retry_due = now + heartbeat;
            return;
        }
        self.term_began = self.term_began.or(Some(now));
        let (number, epoch) = (self.holder.send(now), self.holder.asked());
        let content = Content::Request { number, epoch };
        for seat in self.spec.council.others().filter(|seat| heard & seat.bit() != 0) {
            self.send(seat, content, out);
        }
        if self.is_majority(now, self.me().bit()) {
            self.ask_myself(now, number, epoch, out);
        }
    }

    /// The votes that were granted are not enough: lets them go, and lets others try.
    fn end_term(&mut self, now: LocalTime, out: &mut Effects) {
        let reason = self.seeking.map_or(Reason::MajorityLost, |(_since, reason)| reason);
        let doubled = 1 << self.failed_terms.min(DOUBLINGS_MAX);
        self.failed_terms = self.failed_terms.saturating_add(1);
        let waits = (u64::from(self.me().0) + 1) * doubled;
        self.defers_until = now + self.spec.settings.grantor_wait() * waits;
        self.stand_by(now, reason, out);
    }

    /// The other voters that were heard lately, as bits.
    pub(super) fn heard_voters(&self, now: LocalTime) -> u16 {
        let span = self.spec.settings.watchdog + self.spec.settings.heartbeat;
        let council = &self.spec.council;
        let is_heard = |seat: &Seat| council.votes(*seat) && self.peers[seat.position()].is_heard(now, span);
        council.others().filter(is_heard).fold(0, |bits, seat| bits | seat.bit())
    }

    /// Casts the own vote, which needs no message.
    pub(super) fn ask_myself(&mut self, now: LocalTime, number: u32, epoch: Epoch, out: &mut Effects) {
        let me = self.me();
        if !self.spec.council.votes(me) {
            return;
        }
        let answer = self.grantor.ask(now, epoch, self.incarnation);
        self.raise_ceiling(epoch, out);
        match answer {
            Answer::Granted => self.count_grant(now, me, number, epoch, out),
            Answer::Refused { refusal, floor, wait } => {
                self.take_refusal(now, number, (refusal, floor, wait), out);
            }
        }
    }

    /// Votes on another's request and answers at once.
    pub(super) fn vote(
        &mut self,
        now: LocalTime,
        from: Seat,
        number: u32,
        epoch: Epoch,
        incarnation: u32,
        out: &mut Effects,
    ) {
        if !self.spec.council.votes(self.me()) || epoch.seat != from {
            return;
        }
        self.note_epoch(epoch);
        let answer = self.grantor.ask(now, epoch, incarnation);
        self.raise_ceiling(epoch, out);
        let content = match answer {
            Answer::Granted => Content::Grant { number, life: incarnation, epoch },
            Answer::Refused { refusal, floor, wait } => {
                Content::Refuse { number, life: incarnation, refusal, floor, wait }
            }
        };
        self.send(from, content, out);
    }

    /// Counts a vote for the own request.
    pub(super) fn count_grant(
        &mut self,
        now: LocalTime,
        voter: Seat,
        number: u32,
        epoch: Epoch,
        out: &mut Effects,
    ) {
        let asks = match self.role {
            Role::Candidate | Role::Active | Role::HandingOver | Role::Lapsed => true,
            Role::Witness | Role::Maintenance | Role::Standby => false,
        };
        if !asks || !self.spec.council.votes(voter) {
            return;
        }
        let grants = self.holder.granted(number, epoch, voter);
        if grants == 0 {
            return;
        }
        if !self.is_majority(now, grants) {
            let mine = self.me().bit();
            let casts_last =
                self.role == Role::Candidate && grants & mine == 0 && self.spec.council.votes(self.me());
            if casts_last && self.is_majority(now, grants | mine) {
                self.ask_myself(now, number, epoch, out);
            }
            return;
        }
        if self.role == Role::Lapsed && !self.is_majority_of_votes(grants) {
            // Nobody else was asked, so nobody knows whether another went higher: the same epoch must not come back.
            return self.seek(now, Reason::MajorityLost, out);
        }
        if !self.holder.extend(now, number) {
            return;
        }
        if let Some(held) = self.holder.held() {
            out.push(Effect::Authority { epoch: held.epoch.number(), until: held.until });
        }
        match self.role {
            Role::Candidate => self.take_over(now, out),
            Role::Lapsed => {
                self.active_since = now;
                self.become_role(Role::Active, Reason::Renewed, out);
            }
            Role::Active | Role::HandingOver | Role::Witness | Role::Maintenance | Role::Standby => {}
        }
    }

    /// Takes a voter's refusal of request `number`: why, the voter's floor, and its wait. The floor is known from now on, and
    /// where the request that is under way is too low, a higher epoch is asked for. A candidate does so only once the voter is
    /// free: while it is bound to another a higher epoch gets nothing from it, and candidates would outbid each other.
    pub(super) fn take_refusal(
        &mut self,
        now: LocalTime,
        number: u32,
        (refusal, floor, wait): (Refusal, Epoch, Span),
        out: &mut Effects,
    ) {
        self.note_epoch(floor);
        let asked = self.holder.asked();
        let outdates = refusal == Refusal::Outdated && floor >= asked && self.holder.asks_with(number);
        if !outdates {
            return;
        }
        // The floor of a voter that restarted belongs to nobody; that of a grant belongs to its holder.
        let is_anothers = self.spec.council.has(floor.seat) && floor.seat != self.me();
        match self.role {
            Role::Active | Role::HandingOver if !is_anothers => self.seek_higher(out),
            Role::Lapsed if is_anothers => self.stand_by(now, Reason::Superseded, out),
            Role::Lapsed => self.seek(now, Reason::MajorityLost, out),
            // It asks for it with its next request.
            Role::Candidate if wait.is_zero() => self.holder.seek(self.next_epoch()),
            // An active keeps what it holds to its end.
            Role::Candidate | Role::Active | Role::HandingOver => {}
            Role::Witness | Role::Maintenance | Role::Standby => {}
        }
    }

    /// Whether these votes are enough.
    fn is_majority(&self, now: LocalTime, grants: u16) -> bool {
        let mine = grants & self.me().bit() != 0;
        if self.kept.is_sole {
            return mine;
        }
        if let Some(owner) = self.owner() {
            return mine && owner == self.me() && !self.gives_way(now);
        }
        let takes_over = self.takes_over_on_silence();
        self.is_majority_of_votes(grants) || (takes_over && mine && self.is_peer_silent(now))
    }

    fn takes_over_on_silence(&self) -> bool {
        self.spec.council.is_pair() && self.spec.settings.on_silence == OnSilence::TakeOver
    }

    /// Whether these are most of the votes, and not only enough because others are silent or off.
    fn is_majority_of_votes(&self, grants: u16) -> bool {
        (grants & self.spec.council.voters()).count_ones() >= self.spec.council.majority()
    }

    /// Whether the owner of a pair lets the other have it, which runs with another redundancy section and holds authority: it
    /// cannot be told who the owner is, after an operator vouched in vain, and the two would write side by side for ever.
    fn gives_way(&self, now: LocalTime) -> bool {
        let holds = self.role.holds();
        self.spec.council.others().any(|seat| {
            let foreign = self.hears_foreign(now, seat);
            foreign.is_some_and(|foreign| foreign.goes_before_owner(seat < self.me(), holds))
        })
    }

    /// What a member with another redundancy section said within W.
    fn hears_foreign(&self, now: LocalTime, seat: Seat) -> Option<Foreign> {
        let wait = self.spec.settings.grantor_wait();
        self.peers[seat.position()].foreign.filter(|foreign| now.since(foreign.at) <= wait)
    }

    /// Whether the other voter of a pair has been silent for so long that what it was granted is over. Who runs with another
    /// redundancy section gives no votes, but is not silent where it goes before: the two would write side by side for ever.
    fn is_peer_silent(&self, now: LocalTime) -> bool {
        let wait = self.spec.settings.grantor_wait();
        let goes_before = |seat: Seat| {
            let foreign = self.hears_foreign(now, seat);
            foreign.is_some_and(|foreign| foreign.goes_before(seat < self.me(), self.role.holds()))
        };
        let silent = |seat: Seat| {
            let heard = self.peers[seat.position()].heard_at.unwrap_or(self.booted_at);
            now.since(heard) > wait && !goes_before(seat)
        };
        self.spec.council.others().filter(|seat| self.spec.council.votes(*seat)).all(silent)
    }

    /// The epoch was granted by a majority: it writes from now on.
    fn take_over(&mut self, now: LocalTime, out: &mut Effects) {
        let (since, reason) = self.seeking.take().expect("a candidate knows since when");
        let silent = self.followed.map_or(now.since(self.booted_at), |followed| now.since(followed.at));
        self.active_since = now;
        (self.term_began, self.failed_terms) = (None, 0);
        self.followed = None;
        self.role = Role::Active;
        let epoch = self.epoch();
        out.report(Event::TookOver { reason, epoch, silent, sought: now.since(since) });
        self.beat(now, out);
    }

    /// Makes a higher ceiling durable ahead of need. One that did not arrive may be on its way again, with something else that
    /// was promised: it stays the least.
    pub(super) fn raise_ceiling(&mut self, wanted: Epoch, out: &mut Effects) {
        if let Some(ceiling) = self.grantor.raise(wanted) {
            self.wanted = Promise { ceiling: ceiling.max(self.wanted.ceiling), ..self.wanted };
            self.save(out);
        }
    }

    /// The lowest epoch of this member above everything that it knows of.
    pub(super) fn next_epoch(&self) -> Epoch {
        self.highest.max(self.holder.asked()).next_for(self.me())
    }

    /// A device refused a write because it has accepted a higher epoch, by its number: whoever remembered that has forgotten it,
    /// or somebody else writes. It is known from now on, so that the next authority goes above it.
    ///
    /// An active moves above it at once where no other can be one, but once in an authority: if another writes nevertheless, two
    /// would outbid each other for ever, and the word of the device stands. Who acts on its own word alone does not move at
    /// all: the other may be the one that a majority chose.
    pub fn outdated(&mut self, accepted: u64, out: &mut Effects) {
        let epoch = Epoch::of_number(accepted);
        let known = self.highest.max(self.holder.asked());
        let is_believed = epoch.number() == accepted
            && epoch.seat.position() < MAX_SEATS
            && epoch.round <= known.round.saturating_add(ROUNDS_BELIEVED);
        if !is_believed || epoch <= self.holder.asked() {
            return;
        }
        self.note_epoch(epoch);
        let since = self.holder.held().map(|held| held.since);
        let acts_alone = self.kept.is_sole || self.takes_over_on_silence();
        if since == self.moved_since || !self.role.holds() || acts_alone {
            return;
        }
        if self.spec.council.is_alone() {
            self.holder.move_to(self.next_epoch());
        } else {
            self.seek_higher(out);
        }
        // It does not while that must still be promised.
        if self.holder.asked() > epoch {
            self.moved_since = since;
        }
    }

    /// Who holds a lease asks for a higher epoch with its next renewal, as soon as that is promised.
    fn seek_higher(&mut self, out: &mut Effects) {
        let higher = self.next_epoch();
        if higher <= self.kept.ceiling {
            self.holder.seek(higher);
        } else {
            self.raise_ceiling(higher, out);
        }
    }

    /// Remembers the highest epoch that was heard of.
    pub(super) fn note_epoch(&mut self, epoch: Epoch) {
        if epoch > self.highest && epoch.is_credible() {
            self.highest = epoch;
        }
    }
}
