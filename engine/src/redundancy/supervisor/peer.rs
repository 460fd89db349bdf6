//! What one member knows of another.

use serde::{Deserialize, Serialize};

use super::RedundancySupervisor;
use crate::event::Event;
use crate::machine::Effects;
use crate::redundancy::epoch::{Epoch, Seat};
use crate::redundancy::message::{Content, Heartbeat, Message};
use crate::redundancy::role::Role;
use crate::time::{LocalTime, Span};

/// A member that has not been heard for so long is reported: its loss costs nothing yet, and the next one will.
const MISSED_AFTER: Span = Span::from_secs(10);

/// Another member of the council.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Peer {
    pub(super) heard_at: Option<LocalTime>,
    pub(super) incarnation: u32,
    /// It runs with another redundancy section, which was reported, and said this of itself last.
    pub(super) foreign: Option<Foreign>,
    /// What it said of itself last.
    pub(super) said: Option<Heartbeat>,
    /// Since when it has been a ready standby which reaches its devices, or has been one which does not.
    pub(super) ready_since: Option<LocalTime>,
    /// Its silence was reported.
    is_missed: bool,
}

/// What is heard of a member that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Foreign {
    pub(super) at: LocalTime,
    holds: bool,
    /// Whether it would take over, or has.
    is_able: bool,
}

impl Foreign {
    /// It was heard at all.
    pub(super) const fn heard(at: LocalTime) -> Self {
        Self { at, holds: false, is_able: false }
    }

    /// It said so.
    pub(super) const fn said(at: LocalTime, heartbeat: &Heartbeat) -> Self {
        let holds = heartbeat.role.holds();
        Self { at, holds, is_able: holds || heartbeat.is_ready }
    }

    /// Whether it goes before the owner of a pair: it holds authority, and the owner does not, or has the higher seat.
    pub(super) const fn goes_before_owner(&self, is_lower: bool, holds: bool) -> bool {
        self.holds && (is_lower || !holds)
    }

    /// Whether it goes before a member: who holds authority before who does not, then the lower seat.
    pub(super) const fn goes_before(&self, is_lower: bool, holds: bool) -> bool {
        self.is_able && if self.holds == holds { is_lower } else { self.holds }
    }
}

/// What was heard of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// When it was heard last.
    pub at: LocalTime,
    /// What it said of itself last.
    pub said: Option<Heartbeat>,
}

/// The active that a member follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Followed {
    pub(super) seat: Seat,
    pub(super) epoch: Epoch,
    /// When it was last heard as an active.
    pub(super) at: LocalTime,
}

impl RedundancySupervisor {
    /// When another member was heard last that runs with another redundancy section; `None`: it does not, as far as is known.
    pub fn differs(&self, seat: Seat) -> Option<LocalTime> {
        self.peers.get(seat.position())?.foreign.map(|foreign| foreign.at)
    }

    /// What was heard of another member; `None`: nothing yet.
    pub fn heard(&self, seat: Seat) -> Option<Heard> {
        let peer = self.peers.get(seat.position())?;
        peer.heard_at.map(|at| Heard { at, said: peer.said })
    }

    /// Hears a life of another member; `false` if that is over, since another was heard after it.
    pub(super) fn hear(&mut self, now: LocalTime, from: Seat, incarnation: u32, out: &mut Effects) -> bool {
        let peer = &mut self.peers[from.position()];
        let lives = peer.hear(now, incarnation);
        if lives {
            peer.miss_no_more(from, out);
        }
        lives
    }

    /// Reports who is not heard any more, or was not since boot.
    pub(super) fn miss_peers(&mut self, now: LocalTime, out: &mut Effects) {
        for seat in self.spec.council.others() {
            let peer = &mut self.peers[seat.position()];
            let heard = peer.heard_at.max(peer.foreign.map(|foreign| foreign.at)).unwrap_or(self.booted_at);
            let silent = now.since(heard);
            if silent >= MISSED_AFTER && !core::mem::replace(&mut peer.is_missed, true) {
                out.report(Event::PeerSilent { seat, silent });
            }
        }
    }

    /// Hears a member that runs with another redundancy section. Nothing that it says counts, but it is not silent.
    pub(super) fn hear_foreign(&mut self, now: LocalTime, from: Seat, content: &Content, out: &mut Effects) {
        let peer = &mut self.peers[from.position()];
        peer.miss_no_more(from, out);
        if peer.foreign.is_none() {
            out.report(Event::SectionDiffers { seat: from });
        }
        peer.foreign = match content {
            Content::Heartbeat(heartbeat) => Some(Foreign::said(now, heartbeat)),
            Content::Request { .. }
            | Content::Grant { .. }
            | Content::Refuse { .. }
            | Content::Release { .. }
            | Content::MissesState
            | Content::Outlived { .. }
            | Content::HandOver { .. } => peer.foreign.or(Some(Foreign::heard(now))),
        };
    }
}

impl RedundancySupervisor {
    /// Hears a life of a member that is over, since another was heard after it. What it says is no news: it asks for nothing any
    /// more, and says nothing of the one that lives. Only if it beats on is it told, since it may be the one that lives.
    pub(super) fn hear_outlived(&self, from: Seat, message: &Message, out: &mut Effects) {
        let Content::Heartbeat(Heartbeat { role, .. }) = message.content else { return };
        if !role.holds() {
            let heard = self.peers[from.position()].incarnation;
            self.send(from, Content::Outlived { life: message.incarnation, heard }, out);
        }
    }

    /// Learns that a later life than this one was heard: the numbers of earlier lives were lost with a disk. It goes on under a
    /// number that nobody has heard, if it can promise anything: who cannot read its disk begins anew once it can, and would meet
    /// that number again. It holds nothing, so nothing rests on the old one; answers to that are not counted any more.
    pub(super) fn be_outlived(&mut self, life: u32, heard: u32) {
        let holds = self.role.holds() || self.role == Role::Lapsed;
        let can_promise = self.kept.ceiling > Epoch::NONE;
        if life == self.incarnation && heard > life && can_promise && !holds {
            self.incarnation = heard.saturating_add(1);
        }
    }
}

impl Peer {
    /// It is heard: reports that where its silence was.
    fn miss_no_more(&mut self, seat: Seat, out: &mut Effects) {
        if core::mem::take(&mut self.is_missed) {
            out.report(Event::PeerHeard { seat });
        }
    }

    /// Hears a life of it; `false` if that is over.
    fn hear(&mut self, now: LocalTime, incarnation: u32) -> bool {
        if incarnation < self.incarnation {
            return false;
        }
        self.heard_at = Some(now);
        self.foreign = None;
        if incarnation > self.incarnation {
            // What an earlier life said of itself is true no more.
            (self.incarnation, self.said, self.ready_since) = (incarnation, None, None);
        }
        true
    }

    pub(super) fn take(&mut self, now: LocalTime, heartbeat: &Heartbeat) {
        let is_ready = heartbeat.role == Role::Standby && heartbeat.is_ready;
        let since = self.ready_since.filter(|_since| self.reaches_devices() == heartbeat.reaches_devices);
        self.ready_since = is_ready.then(|| since.unwrap_or(now));
        self.said = Some(*heartbeat);
    }

    /// Whether it reached its devices when it said so last.
    pub(super) fn reaches_devices(&self) -> bool {
        self.said.is_some_and(|said| said.reaches_devices)
    }

    /// Whether all that it wrote came too late not long ago, as it said last.
    pub(super) fn is_slow(&self) -> bool {
        self.said.is_some_and(|said| said.is_slow)
    }

    /// Whether it was heard within `span`.
    pub(super) fn is_heard(&self, now: LocalTime, span: Span) -> bool {
        self.heard_at.is_some_and(|at| now.since(at) <= span)
    }

    /// Whether it asks for authority.
    pub(super) fn asks(&self) -> bool {
        self.said.is_some_and(|said| said.role == Role::Candidate && said.is_ready)
    }

    /// Whether it would seek authority, or does.
    pub(super) fn is_candidate(&self) -> bool {
        let seeks = |said: &Heartbeat| match said.role {
            Role::Standby | Role::Candidate | Role::Lapsed => said.is_ready,
            Role::Witness | Role::Maintenance | Role::Active | Role::HandingOver => false,
        };
        self.said.as_ref().is_some_and(seeks)
    }
}
