//! Moving authority on purpose: an operator's word, fail-back, lost devices, overruns, and the owner of a pair.
//!
//! Who hands over stops to write, waits until no write is outstanding, releases its voters and calls its successor. It
//! goes on renewing meanwhile, so that nobody takes over in between; if its lease ends first, that is a lapse like any other.

use serde::{Deserialize, Serialize};

use super::{Command, RedundancySupervisor};
use crate::event::Event;
use crate::machine::Effects;
use crate::redundancy::epoch::{Epoch, Seat};
use crate::redundancy::message::Content;
use crate::redundancy::promise::Promise;
use crate::redundancy::role::{Reason, Role};
use crate::redundancy::settings::FailBack;
use crate::time::{LocalTime, Span};

/// Who has handed over seeks nothing itself for so many watchdogs.
const DEFERENCE_WATCHDOGS: u64 = 4;
/// A host that misses its scans is left at most once in so long: two slow hosts must not toss authority to and fro.
const OVERRUNS_DWELL: Span = Span::from_secs(60);
/// For the same reason who wrote too late gets no authority on purpose for so long.
pub(super) const SLOW_FOR: Span = Span::from_secs(60);

/// A hand-over under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Handing {
    /// To whom; nobody where an operator forces the active to stop.
    to: Option<Seat>,
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
    /// The seat that was named is the active.
    ActiveAlready,
    /// Only the active takes what operators tell devices.
    TakesNoOrders,
    /// No function takes set-points by hand for that device.
    NotByHand,
    /// A set-point by hand and a hold must not last for so long, nor for no time.
    TooLong,
    /// The devices are not rated for that.
    BeyondRating,
    /// No set-point by hand counts there.
    NothingToRelease,
    /// An emergency stop must be reset before.
    EmergencyStop,
    /// There is no emergency stop to reset.
    NotStopped,
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
            Self::ActiveAlready => "the controller that was named is the active already",
            Self::TakesNoOrders => "only the active takes what operators tell devices",
            Self::NotByHand => {
                "no Manual function acts on exactly that: name what such a function of the site names"
            }
            Self::TooLong => {
                "what is said by hand lasts for more than no time and at most an hour; say it again then"
            }
            Self::BeyondRating => "that is beyond the rated power",
            Self::NothingToRelease => "no set-point by hand is in force there",
            Self::EmergencyStop => "an emergency stop is in force: reset it first",
            Self::NotStopped => "no emergency stop is in force",
        }
    }
}

impl RedundancySupervisor {
    /// Does what an operator asks for, or tells why not.
    pub fn command(&mut self, now: LocalTime, command: Command, out: &mut Effects) {
        let done = match command {
            Command::Stop | Command::Return => {
                self.leave(now, out);
                Ok(())
            }
            // Those are the controller's.
            Command::Snapshot
            | Command::SetPoint { .. }
            | Command::ReleaseSetPoint { .. }
            | Command::EmergencyStop
            | Command::Reset
            | Command::Operate { .. } => Ok(()),
            Command::SwitchOver { .. } | Command::Maintenance { .. } | Command::Sole { .. }
                if self.spec.council.is_alone() =>
            {
                Err(CommandRefusal::NobodyReady)
            }
            Command::SwitchOver { to } => self.switch_over(now, to, out),
            Command::Maintenance { begins, is_forced } => self.maintain(now, begins, is_forced, out),
            Command::Sole { begins } => self.declare_sole(now, begins, out),
        };
        if let Err(refusal) = done {
            out.report(Event::CommandRefused { command, refusal });
        }
    }

    /// Whether an operator's word that the others are off is durable: its own vote is a majority.
    pub const fn is_sole(&self) -> bool {
        self.kept.is_sole
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
            Some(seat) if seat == self.me() => return Err(CommandRefusal::ActiveAlready),
            Some(seat) if self.may_succeed(now, seat) => seat,
            Some(_) => return Err(CommandRefusal::SeatNotReady),
            None => self.best_standby(now).ok_or(CommandRefusal::NobodyReady)?,
        };
        self.hand_over(now, Some(to), Reason::Operator, out);
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
            self.wanted.in_maintenance = false;
            self.save(out);
            if self.role == Role::Maintenance {
                self.become_role(Role::Standby, Reason::Operator, out);
            }
            return Ok(());
        }
        if self.wanted.is_sole || self.kept.is_sole {
            return Err(CommandRefusal::Sole);
        }
        let successor = self.best_standby(now);
        if self.role.holds() && successor.is_none() && !is_forced {
            return Err(CommandRefusal::NobodyReady);
        }
        // It outlives a restart: whoever works at the devices rests on it.
        self.wanted.in_maintenance = true;
        self.save(out);
        if self.role.holds() {
            self.hand_over(now, successor, Reason::Operator, out);
        } else {
            self.stand_by(now, Reason::Operator, out);
        }
        Ok(())
    }

    fn declare_sole(
        &mut self,
        now: LocalTime,
        begins: bool,
        out: &mut Effects,
    ) -> Result<(), CommandRefusal> {
        if self.role == Role::Witness {
            return Err(CommandRefusal::Witness);
        }
        if begins && self.wanted.is_sole {
            return Ok(());
        }
        self.wanted.is_sole = begins;
        if begins {
            // The others are off: nothing is to be heard of them before it votes.
            self.vote_again(now);
            // Another may have become the owner under an epoch that nobody has held yet.
            (self.wanted.owner, self.wanted.owned_from) = (self.me(), self.next_epoch());
            self.note_epoch(self.wanted.owned_from);
        }
        self.save(out);
        Ok(())
    }

    /// Looks at fail-back, devices and overruns, and at what is still to be saved.
    pub(super) fn evaluate(&mut self, now: LocalTime, out: &mut Effects) {
        // What it has heard of it knows in its next life too: of two that act alone each is the memory of the other.
        self.raise_ceiling(self.highest, out);
        self.save(out);
        self.miss_peers(now, out);
        if self.role != Role::Active || self.wanted.is_sole || self.kept.is_sole {
            return;
        }
        if let Some(standby) = self.best_standby(now) {
            // Who misses scans still writes; who cannot write at all is left at once.
            let is_late = self.health.is_late && !self.peers[standby.position()].is_slow();
            if is_late || (self.health.overruns && self.active_long_enough(now, OVERRUNS_DWELL)) {
                return self.hand_over(now, Some(standby), Reason::TooSlow, out);
            }
            if !self.health.reaches_devices && self.peers[standby.position()].reaches_devices() {
                return self.hand_over(now, Some(standby), Reason::DevicesLost, out);
            }
        }
        let FailBack::After(dwell) = self.spec.settings.fail_back else { return };
        let is_fit = |seat: &Seat| *seat < self.me() && !self.peers[seat.position()].is_slow();
        let preferred = self.best_standby(now).filter(is_fit);
        if let Some(seat) = preferred
            && self.active_long_enough(now, dwell)
            && self.peers[seat.position()].ready_since.is_some_and(|since| now.since(since) >= dwell)
        {
            self.hand_over(now, Some(seat), Reason::FailBack, out);
        }
    }

    fn active_long_enough(&self, now: LocalTime, dwell: Span) -> bool {
        now.since(self.active_since) >= dwell
    }

    /// Whether `seat` is a controller that could take over now: a ready standby that reaches its devices, unless this one does
    /// not reach them either.
    fn may_succeed(&self, now: LocalTime, seat: Seat) -> bool {
        let council = &self.spec.council;
        let is_other = council.has(seat) && seat != council.me() && !council.is_witness(seat);
        // The owner of a pair is the majority by its own vote, so it must have one.
        let may_own = self.owner().is_none() || council.votes(seat);
        is_other && may_own && {
            let peer = &self.peers[seat.position()];
            peer.ready_since.is_some()
                && peer.is_heard(now, self.spec.settings.watchdog)
                && (peer.reaches_devices() || !self.health.reaches_devices)
        }
    }

    /// The standby of lowest order that could take over, one that reaches its devices first, and among these one that is fast.
    pub(super) fn best_standby(&self, now: LocalTime) -> Option<Seat> {
        let possible = self.spec.council.others().filter(|seat| self.may_succeed(now, *seat));
        possible.min_by_key(|seat| {
            let peer = &self.peers[seat.position()];
            (!peer.reaches_devices(), peer.is_slow())
        })
    }

    /// Its controller has written: that may be applied until `ends`.
    pub const fn wrote(&mut self, ends: LocalTime) {
        self.health.writes_end = ends;
    }

    /// Stops to write, and hands over when the last write has ended; to nobody in particular where nobody could take over.
    pub(super) fn hand_over(&mut self, now: LocalTime, to: Option<Seat>, reason: Reason, out: &mut Effects) {
        self.handing = Some(Handing { to, reason });
        self.become_role(Role::HandingOver, reason, out);
        self.finish_handing(now, out);
    }

    /// When the last write has ended and a hand-over can go on, if that is what it waits for.
    pub(super) fn hands_at(&self) -> Option<LocalTime> {
        let handing = self.handing?;
        self.gives_away(&handing).is_none().then_some(self.health.writes_end)
    }

    /// To whom the owner of a pair must give it durably before the other may have it, unless that is done.
    fn gives_away(&self, handing: &Handing) -> Option<Seat> {
        let owner = self.owner()?;
        handing.to.filter(|to| *to != owner)
    }

    /// Releases and calls the successor once nothing is outstanding.
    pub(super) fn finish_handing(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(handing) = self.handing else { return };
        if self.has_outstanding_writes(now) {
            return;
        }
        if let Some(owner) = self.gives_away(&handing) {
            if self.wanted.owner != owner {
                // The later of two beliefs must be the higher one, also after an operator made this member the owner under an
                // epoch that it does not hold yet.
                let held = self.epoch();
                let owned_from = if held > self.wanted.owned_from { held } else { self.next_epoch() };
                self.wanted = Promise { owner, owned_from, ..self.wanted };
                self.note_epoch(owned_from);
                self.save(out);
            }
            return;
        }
        let (epoch, asked) = (self.epoch(), self.holder.asked());
        for epoch in [Some(epoch), (asked != epoch).then_some(asked)].into_iter().flatten() {
            self.release(now, epoch, out);
        }
        self.defers_until = now + self.spec.settings.watchdog * DEFERENCE_WATCHDOGS;
        self.stand_by(now, handing.reason, out);
        if let Some(to) = handing.to {
            let content =
                Content::HandOver { epoch, owned_from: self.kept.owned_from, reason: handing.reason };
            self.send(to, content, out);
        }
    }

    /// The active, which held `epoch`, hands over to this member.
    pub(super) fn take_hand_over(
        &mut self,
        now: LocalTime,
        epoch: Epoch,
        owned_from: Epoch,
        reason: Reason,
        out: &mut Effects,
    ) {
        let is_stale = epoch <= self.released || self.followed.is_some_and(|followed| followed.epoch > epoch);
        if is_stale || !epoch.is_credible() {
            return;
        }
        self.note_epoch(epoch);
        self.released = epoch;
        self.learn_owner(self.me(), owned_from, out);
        self.called = Some(reason);
        self.answer_call(now, out);
    }

    /// Takes over from who called, as soon as it may: in a pair not before its ownership is durable.
    pub(super) fn answer_call(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(reason) = self.called else { return };
        if self.owner().is_none_or(|owner| owner == self.me()) {
            self.called = None;
            if self.role == Role::Standby && self.is_able() {
                self.seek(now, reason, out);
            }
        }
    }

    /// The owner of a pair that waits for its owner, as far as others may hear of it, and since which epoch.
    ///
    /// That it belongs to another is said only when that is durable for sure, and when nothing can be left of the authority that
    /// this member, or its life before, had as the owner: the other needs no vote of this one, and does not wait.
    pub(super) fn told_owner(&self, now: LocalTime) -> (Seat, Epoch) {
        let Promise { owner, owned_from, .. } = self.kept;
        let has_ended = self.has_saved && !self.holder.is_valid(now) && !self.grantor.waits(now);
        (owner, if owner == self.me() || has_ended { owned_from } else { Epoch::NONE })
    }

    /// In a pair that waits for its owner: learns to whom it was given, and makes that durable.
    ///
    /// The giver tells it with its call and with every heartbeat once it is durable there, so nobody needs to ask again.
    pub(super) fn learn_owner(&mut self, owner: Seat, owned_from: Epoch, out: &mut Effects) {
        let council = &self.spec.council;
        let is_possible = council.has(owner) && !council.is_witness(owner) && owned_from.is_credible();
        self.note_epoch(owned_from);
        if self.owner().is_some() && is_possible && owned_from > self.wanted.owned_from {
            self.wanted = Promise { owner, owned_from, ..self.wanted };
            self.save(out);
        }
    }
}
