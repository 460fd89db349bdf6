//! Watching the active: is it late, and who acts then?
//!
//! A standby seeks authority when it has not heard an active for the watchdog time. It lets better candidates go first: those
//! that are alive and ready and reach their devices where it does not itself, and among equals those of lower order; who has just
//! booted lets those go first that ask already. But not for ever, and only while it hears them: a candidate that cannot reach a
//! majority must not keep others from it, nor may one that died with the active.

use super::RedundancySupervisor;
use super::peer::{Followed, Peer};
use crate::event::Event;
use crate::machine::{Effect, Effects};
use crate::redundancy::epoch::{Epoch, Seat};
use crate::redundancy::message::{Content, Heartbeat};
use crate::redundancy::role::{Reason, Role};
use crate::redundancy::settings::Settings;
use crate::time::LocalTime;

/// A better candidate is let go first for so many waits of a grantor.
pub(super) const DEFERENCE_WAITS: u64 = 2;
/// Who holds a lease no more goes on asking for its renewal for so many waits of a grantor.
pub(super) const RENEWING_WAITS: u64 = 2;

impl RedundancySupervisor {
    /// Whether an active is followed and was heard lately.
    pub fn hears_active(&self, now: LocalTime) -> bool {
        self.followed.is_some_and(|followed| now.since(followed.at) <= self.spec.settings.watchdog)
    }

    /// Whether another is followed that has not begun to control: it remembers nothing that others would need.
    pub fn follows_unready(&self) -> bool {
        let of = self.followed.filter(|followed| followed.seat != self.me());
        of.is_some_and(|of| self.peers[of.seat.position()].said.is_some_and(|said| !said.is_ready))
    }

    /// Takes another's heartbeat.
    pub(super) fn heartbeat(
        &mut self,
        now: LocalTime,
        from: Seat,
        incarnation: u32,
        heartbeat: &Heartbeat,
        out: &mut Effects,
    ) {
        self.peers[from.position()].take(now, heartbeat);
        self.note_epoch(heartbeat.epoch);
        if heartbeat.role.holds() {
            self.follow(now, from, heartbeat, out);
        }
        if heartbeat.renewal != 0 {
            self.vote(now, from, heartbeat.renewal, heartbeat.renews, incarnation, out);
        }
        self.learn_owner(heartbeat.owner, heartbeat.owned_from, out);
    }

    /// Follows an active, unless this member holds more.
    fn follow(&mut self, now: LocalTime, from: Seat, heartbeat: &Heartbeat, out: &mut Effects) {
        let epoch = heartbeat.epoch;
        let holds = self.role.holds();
        if (holds && epoch < self.epoch()) || epoch <= self.released {
            return;
        }
        match self.role {
            Role::Active | Role::HandingOver => {
                // Two authorities at once: only a pair without a witness that takes over on silence comes here.
                let overlap = now.since(self.active_since).min(heartbeat.active_for);
                out.report(Event::AuthoritiesOverlapped { seat: from, at_most: overlap });
                // Its own vote is the other's from now on, or that would have to wait for it.
                for epoch in [self.epoch(), self.holder.asked()] {
                    self.grantor.release(now, epoch, self.incarnation);
                }
                self.stand_by(now, Reason::Superseded, out);
            }
            Role::Lapsed | Role::Candidate => self.stand_by(now, Reason::Superseded, out),
            Role::Witness | Role::Maintenance | Role::Standby => {}
        }
        // Whoever called has another to take over, and the votes are not split any more.
        (self.called, self.failed_terms) = (None, 0);
        // Whatever this member held itself is over: where an operator vouched in vain the other goes on under a lower epoch.
        if self.followed.is_none_or(|followed| epoch >= followed.epoch || followed.seat == self.me()) {
            self.followed = Some(Followed { seat: from, epoch, at: now });
        }
    }

    /// Seeks authority once the active has been silent for too long.
    pub(super) fn watch(&mut self, now: LocalTime, out: &mut Effects) {
        if self.seeks_at().is_some_and(|at| now >= at) {
            let reason = match self.followed {
                None => Reason::Start,
                Some(followed) if self.is_heard_since(followed) => Reason::WatchdogExpired,
                Some(_) => Reason::HeartbeatLost,
            };
            self.seek(now, reason, out);
        }
    }

    /// Whether the active was heard after it had authority for the last time.
    fn is_heard_since(&self, followed: Followed) -> bool {
        self.peers[followed.seat.position()].heard_at.is_some_and(|heard| heard > followed.at)
    }

    /// When this member seeks authority if nothing is heard until then; `None` if it does not.
    pub(super) fn seeks_at(&self) -> Option<LocalTime> {
        let may = self.role == Role::Standby
            && self.is_able()
            && self.owner().is_none_or(|owner| owner == self.me() || self.kept.is_sole);
        if !may {
            return None;
        }
        let heard = self.followed.map_or(self.booted_at, |followed| followed.at);
        let silent_at = (heard + self.spec.settings.watchdog).max(self.defers_until);
        let patience = self.spec.settings.grantor_wait() * DEFERENCE_WAITS;
        if self.followed.is_none() {
            // Nobody has been active since this member booted: the order decides, whoever was heard of first, also where all
            // become ready at once.
            let last = self.spec.council.seats() as u64;
            let place = if self.is_barred(silent_at) { last } else { u64::from(self.me().0) };
            // Others may have missed an active before: whoever asks already would only be kept from the votes.
            let asking = self.candidates().filter(|(_seat, peer)| peer.asks());
            return Some(self.after(asking, silent_at.max(self.ready_at) + patience * place));
        }
        Some(self.after(self.candidates().filter(|(seat, peer)| self.is_better(*seat, peer)), silent_at))
    }

    /// When those have had their turn that go first from `at` on: they are silent, or have been waited for.
    fn after<'a>(&self, first: impl Iterator<Item = (Seat, &'a Peer)>, at: LocalTime) -> LocalTime {
        let Settings { watchdog, .. } = self.spec.settings;
        let patience = self.spec.settings.grantor_wait() * DEFERENCE_WAITS;
        let heard = first.filter_map(|(_seat, peer)| peer.heard_at);
        heard.fold(at, |at, heard| at.max(heard + watchdog).min(at + patience))
    }

    /// The others that would seek authority too, or do.
    fn candidates(&self) -> impl Iterator<Item = (Seat, &Peer)> {
        self.spec
            .council
            .others()
            .map(|seat| (seat, &self.peers[seat.position()]))
            .filter(|(_, peer)| peer.is_candidate())
    }

    /// Whether a candidate goes before this member: it reaches its devices and this one does not, or else it comes first.
    pub(super) fn is_better(&self, seat: Seat, peer: &Peer) -> bool {
        let mine = self.health.reaches_devices;
        if peer.reaches_devices() == mine { seat < self.me() } else { !mine }
    }

    /// Whether this member does not reach its devices, and another candidate that is heard does, as of `at`.
    fn is_barred(&self, at: LocalTime) -> bool {
        let span = self.spec.settings.watchdog;
        !self.health.reaches_devices
            && self.candidates().any(|(_, peer)| peer.reaches_devices() && peer.is_heard(at, span))
    }

    /// Asks for authority from now on.
    pub(super) fn seek(&mut self, now: LocalTime, reason: Reason, out: &mut Effects) {
        self.seeking = Some((now, reason));
        self.term_began = None;
        self.called = None;
        self.holder.forget_requests();
        self.holder.seek(self.next_epoch());
        self.become_role(Role::Candidate, reason, out);
        self.ask(now, out);
    }

    /// Asks for nothing from now on, and holds nothing.
    pub(super) fn stand_by(&mut self, now: LocalTime, reason: Reason, out: &mut Effects) {
        if self.role == Role::Candidate && !self.has_outstanding_writes(now) {
            // Whoever granted it is free for others.
            self.release(now, self.holder.asked(), out);
        }
        let held = match self.role {
            Role::Active | Role::HandingOver => true,
            Role::Witness | Role::Maintenance | Role::Standby | Role::Candidate | Role::Lapsed => false,
        };
        // Whoever stood still may not have noticed that its lease is over: that is nothing to give up, and another may hold it.
        if held && self.holder.is_valid(now) {
            out.push(Effect::Authority { epoch: self.epoch().number(), until: now });
        }
        if held {
            self.miss_myself(now);
        }
        if let Some(held) = self.holder.held() {
            // The others hear of it with each heartbeat: who is called next goes above it, and a voter that forgot what it
            // granted gets its floor. Of what was only asked for they need not hear, and would outbid it.
            self.note_epoch(held.epoch);
        }
        self.seeking = None;
        self.term_began = None;
        self.handing = None;
        self.holder.give_up();
        let role = if self.wanted.in_maintenance { Role::Maintenance } else { Role::Standby };
        self.become_role(role, reason, out);
    }

    /// Tells all voters that nothing is written any more under `epoch`.
    pub(super) fn release(&mut self, now: LocalTime, epoch: Epoch, out: &mut Effects) {
        self.grantor.release(now, epoch, self.incarnation);
        for seat in self.spec.council.others().filter(|seat| self.spec.council.votes(*seat)) {
            self.send(seat, Content::Release { epoch }, out);
        }
    }

    /// The active that is silent from now on was this member.
    fn miss_myself(&mut self, now: LocalTime) {
        self.followed = Some(Followed { seat: self.me(), epoch: self.epoch(), at: now });
    }

    /// Notices that the lease is over.
    pub(super) fn lapse(&mut self, now: LocalTime, out: &mut Effects) {
        if self.role.holds() && !self.holder.is_valid(now) {
            self.handing = None;
            self.miss_myself(now);
            self.become_role(Role::Lapsed, Reason::MajorityLost, out);
            if self.wanted.in_maintenance || self.is_leaving {
                self.stand_by(now, Reason::MajorityLost, out);
            }
        }
    }

    /// Renews no longer after a while: votes that are bound to who does not hear them are kept from those who would.
    pub(super) fn give_up_renewing(&mut self, now: LocalTime, out: &mut Effects) {
        let since = self.followed.map_or(self.booted_at, |followed| followed.at);
        if self.role == Role::Lapsed && now.since(since) > self.spec.settings.grantor_wait() * RENEWING_WAITS
        {
            self.stand_by(now, Reason::MajorityLost, out);
        }
    }
}
