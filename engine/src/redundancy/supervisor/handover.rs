//! Moving authority on purpose: an operator's word, fail-back, lost devices, overruns, and the owner of a pair.
//!
//! Who hands over stops to write, waits until no write is outstanding, releases its voters and calls its successor. It
//! goes on renewing meanwhile, so that nobody takes over in between; if its lease ends first, that is a lapse like any other.

use serde::{Deserialize, Serialize};

use super::{Command, RedundancySupervisor};
use crate::event::Event;
use crate::machine::Effects;
use crate::redundancy::epoch::{Epoch, Seat};
use crate::redundancy::message::{Content, Heartbeat};
use crate::redundancy::promise::Promise;
use crate::redundancy::role::{Reason, Role};
use crate::redundancy::settings::FailBack;
use crate::time::{LocalTime, Span};

/// Who has handed over seeks nothing itself for so many watchdogs.
const DEFERENCE_WATCHDOGS: u64 = 4;

/// A hand-over under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handing {
    to: Seat,
    reason: Reason,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommandRefusal {
    /// Only the active hands over.
    NotActive,
    /// Nobody is ready to take over.
    NobodyReady,
    /// The seat that was named is not ready to take over.
    SeatNotReady,
    /// A witness is no controller.
    Witness,
    /// Who is the majority on its own must give that up before it hands over.
    Sole,
}

impl CommandRefusal {
    /// The reason in words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotActive => "only the active hands over",
            Self::NobodyReady => "nobody is ready to take over",
            Self::SeatNotReady => "the controller that was named is not ready to take over",
            Self::Witness => "a witness only votes",
            Self::Sole => "who is sole must give that up before it hands over",
        }
    }
}

impl RedundancySupervisor {
    /// Does what an operator asks for, or tells why not.
    pub fn command(&mut self, now: LocalTime, command: Command, out: &mut Effects) {
        let done = match command {
            _ if self.spec.council.is_alone() => Err(CommandRefusal::NobodyReady),
            Command::SwitchOver { to } => self.switch_over(now, to, out),
            Command::Maintenance { begins, is_forced } => self.maintain(now, begins, is_forced, out),
            Command::Sole { begins } => self.declare_sole(begins, out),
        };
        if let Err(refusal) = done {
            out.report(Event::CommandRefused { command, refusal });
        }
    }

    fn switch_over(
        &mut self,
        now: LocalTime,
        to: Option<Seat>,
        out: &mut Effects,
    ) -> Result<(), CommandRefusal> {
        if self.role != Role::Active {
            return Err(CommandRefusal::NotActive);
        }
        if self.wanted.is_sole || self.kept.is_sole {
            return Err(CommandRefusal::Sole);
        }
        let to = match to {
            Some(seat) if self.is_ready(now, seat) => seat,
            Some(_) => return Err(CommandRefusal::SeatNotReady),
            None => self.best_standby(now).ok_or(CommandRefusal::NobodyReady)?,
        };
        self.hand_over(now, to, Reason::Operator, out);
        Ok(())
    }

    fn maintain(
        &mut self,
        now: LocalTime,
        begins: bool,
        is_forced: bool,
        out: &mut Effects,
    ) -> Result<(), CommandRefusal> {
        if self.role == Role::Witness {
            return Err(CommandRefusal::Witness);
        }
        if !begins {
            self.in_maintenance = false;
            if self.role == Role::Maintenance {
                self.become_role(Role::Standby, Reason::Operator, out);
            }
            return Ok(());
        }
        if begins && (self.wanted.is_sole || self.kept.is_sole) {
            return Err(CommandRefusal::Sole);
        }
        let successor = self.best_standby(now);
        if self.role.holds() && successor.is_none() && !is_forced {
            return Err(CommandRefusal::NobodyReady);
        }
        self.in_maintenance = true;
        match successor {
            Some(standby) if self.role.holds() => self.hand_over(now, standby, Reason::Operator, out),
            Some(_) | None => {
                if self.role.holds() {
                    self.release(now, out);
                }
                self.stand_by(now, Reason::Operator, out);
            }
        }
        Ok(())
    }

    fn declare_sole(&mut self, begins: bool, out: &mut Effects) -> Result<(), CommandRefusal> {
        if self.role == Role::Witness {
            return Err(CommandRefusal::Witness);
        }
        self.wanted.is_sole = begins;
        if begins {
            (self.wanted.owner, self.wanted.owned_from) = (self.me(), self.highest.next_for(self.me()));
        }
        self.save(out);
        Ok(())
    }

    /// Looks at fail-back, devices and overruns, and at what is still to be saved.
    pub(super) fn evaluate(&mut self, now: LocalTime, out: &mut Effects) {
        self.raise_ceiling(Epoch::NONE, out);
        self.save(out);
        if self.role != Role::Active || self.wanted.is_sole || self.kept.is_sole {
            return;
        }
        if let Some(standby) = self.best_standby(now) {
            if self.health.overruns {
                return self.hand_over(now, standby, Reason::Overruns, out);
            }
            if !self.health.reaches_devices {
                return self.hand_over(now, standby, Reason::DevicesLost, out);
            }
        }
        let FailBack::After(dwell) = self.spec.settings.fail_back else { return };
        let preferred = self.best_standby(now).filter(|seat| *seat < self.me());
        if let Some(seat) = preferred
            && self.active_long_enough(now, dwell)
            && self.peers[seat.position()].ready_since.is_some_and(|since| now.since(since) >= dwell)
        {
            self.hand_over(now, seat, Reason::FailBack, out);
        }
    }

    fn active_long_enough(&self, now: LocalTime, dwell: Span) -> bool {
        now.since(self.active_since) >= dwell
    }

    /// Whether `seat` is a controller that could take over now.
    fn is_ready(&self, now: LocalTime, seat: Seat) -> bool {
        let council = &self.spec.council;
        let is_other = council.has(seat) && seat != council.me() && !council.is_witness(seat);
        is_other && {
            let peer = &self.peers[seat.position()];
            peer.ready_since.is_some() && peer.is_heard(now, self.spec.settings.watchdog)
        }
    }

    /// The ready standby of lowest order.
    fn best_standby(&self, now: LocalTime) -> Option<Seat> {
        self.spec.council.others().find(|seat| self.is_ready(now, *seat))
    }

    /// Stops to write, and hands over when the last write has ended.
    fn hand_over(&mut self, now: LocalTime, to: Seat, reason: Reason, out: &mut Effects) {
        self.handing = Some(Handing { to, reason });
        self.become_role(Role::HandingOver, reason, out);
        if self.owner().is_some() {
            // The owner of a pair gives it away durably before the other may have it.
            self.wanted = Promise { owner: to, owned_from: self.epoch(), ..self.wanted };
            self.save(out);
        }
        self.finish_handing(now, out);
    }

    /// Releases and calls the successor once nothing is outstanding.
    pub(super) fn finish_handing(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(Handing { to, reason }) = self.handing else { return };
        let owns = self.owner().is_some();
        if self.health.has_outstanding_writes || (owns && self.kept.owner != to) {
            return;
        }
        let epoch = self.epoch();
        self.release(now, out);
        self.defers_until = now + self.spec.settings.watchdog * DEFERENCE_WATCHDOGS;
        self.stand_by(now, reason, out);
        self.send(to, Content::HandOver { epoch, reason }, out);
    }

    /// The active hands over to this member.
    pub(super) fn take_hand_over(&mut self, now: LocalTime, epoch: Epoch, reason: Reason, out: &mut Effects) {
        self.note_epoch(epoch);
        self.released = self.released.max(epoch);
        let may = self.role == Role::Standby && self.health.is_ready;
        if may && self.owner().is_none_or(|owner| owner == self.me()) {
            self.seek(now, reason, out);
        }
    }

    /// In a pair that waits for its owner: learns to whom it was given, and makes that durable.
    ///
    /// The giver tells it with every heartbeat once it is durable there, so nobody needs to ask again.
    pub(super) fn learn_owner(&mut self, heartbeat: &Heartbeat, out: &mut Effects) {
        if self.owner().is_some() && heartbeat.owned_from > self.wanted.owned_from {
            self.wanted = Promise { owner: heartbeat.owner, owned_from: heartbeat.owned_from, ..self.wanted };
            self.save(out);
        }
    }
}
