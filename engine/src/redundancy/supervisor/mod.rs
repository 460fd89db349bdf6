//! The redundancy supervisor: one machine inside each member of a grid's council that says who may write.
//!
//! ```text
//!     Standby ──watchdog──> Candidate ──majority──> Active ──lease over──> Lapsed
//!        ^                      │                     │ │ ^                  │
//!        └──────────────────────┴──── higher epoch ───┘ │ └──── renewed ─────┤
//!        ^                                              └> HandingOver       │
//!        └───────────────────────────────────────────────────┴───────────────┘
//! ```
//!
//! - [`voting`] asks for leases and grants them; [`watch`] notices that the active is silent and who is to act;
//! - [`handover`] moves authority on purpose: operator, fail-back, lost devices, overruns.
//!
//! It decides on nothing but messages, its host's clock, what is durable, and what its controller says of its own health. It
//! never writes to a device: the controller asks it for its [`Authority`] before each write.

mod abstaining;
mod command;
pub mod handover;
mod leaving;
#[cfg(test)]
mod model;
mod peer;
mod saving;
pub mod voting;
pub mod watch;

pub use self::command::Command;
pub use self::handover::CommandRefusal;
pub use self::leaving::Leaving;
pub use self::peer::Heard;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::handover::{Handing, SLOW_FOR};
use self::peer::{Followed, Peer};
use super::council::Council;
use super::epoch::{Epoch, Seat};
use super::grantor::Grantor;
use super::holder::Holder;
use super::message::{Content, Heartbeat, Message};
use super::promise::Promise;
use super::role::{Reason, Role};
use super::settings::{OnSilence, Settings};
use crate::event::Event;
use crate::machine::{Effect, Effects};
use crate::mistakes::{Mistake, makes};
use crate::time::{LocalTime, Span};

/// What a supervisor is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorSpec {
    /// Who has seats and votes.
    #[serde(deserialize_with = "Council::decoded")]
    pub council: Council,
    /// The intervals.
    pub settings: Settings,
    /// Identifies the redundancy section of the site file.
    pub section: u64,
}

impl SupervisorSpec {
    /// That of a controller which shares its grid with none.
    pub fn alone() -> Self {
        Self { council: Council::alone(), settings: Settings::DEFAULT, section: 0 }
    }
}

/// The right to write, as far as it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The fencing number.
    pub epoch: Epoch,
    /// The last instant at which it counts.
    pub until: LocalTime,
    /// Since when it has been held: writes of another may still be on their way for D after that.
    pub since: LocalTime,
}

/// What a controller says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether it could take over at once.
    pub is_ready: bool,
    /// Whether it reaches the devices that its functions need.
    pub reaches_devices: bool,
    /// Whether it misses its scans.
    pub overruns: bool,
    /// Whether all that it writes is too old once it could be performed.
    pub is_late: bool,
    /// A write of it may still be applied before this instant, whatever became of it.
    pub writes_end: LocalTime,
}

/// Supervises the redundancy of one grid from one seat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedundancySupervisor {
    spec: SupervisorSpec,
    incarnation: u32,
    booted_at: LocalTime,
    role: Role,
    grantor: Grantor,
    holder: Holder,
    peers: Vec<Peer>,
    /// The active that is followed.
    followed: Option<Followed>,
    /// The highest epoch that was given up with a hand-over to this member: its late heartbeats are followed no more.
    released: Epoch,
    /// The highest epoch that was ever heard of.
    highest: Epoch,
    health: Health,
    /// When it became ready.
    ready_at: LocalTime,
    /// What is durable.
    kept: Promise,
    /// What is on its way to the disk.
    saving: Option<Promise>,
    /// What is to be durable.
    wanted: Promise,
    /// The last try to write it failed.
    saves_fail: bool,
    /// Something was made durable in this life, and with it what was found on the disk: that may have been there to be read only.
    has_saved: bool,
    heartbeat_due: LocalTime,
    /// When a candidate asks again.
    retry_due: LocalTime,
    /// Since when it has been a candidate, and why.
    seeking: Option<(LocalTime, Reason)>,
    /// Since when votes are bound to its request without being enough.
    term_began: Option<LocalTime>,
    /// Terms in a row that ended without a majority.
    failed_terms: u8,
    evaluate_due: LocalTime,
    /// Nothing is sought before: it has just handed over.
    defers_until: LocalTime,
    active_since: LocalTime,
    /// All that it wrote came too late, not long before.
    slow_until: LocalTime,
    /// The begin of the authority under which it moved above an epoch that a device had accepted.
    moved_since: Option<LocalTime>,
    handing: Option<Handing>,
    /// It was called to take over, and why, while the ownership of the pair that comes with it is on its way to the disk.
    called: Option<Reason>,
    /// A standby misses the whole state.
    state_is_missed: bool,
    /// Voters that are still to be heard by one whose promises may be lost, as bits.
    unheard: u16,
    /// Its process ends: it seeks nothing any more.
    is_leaving: bool,
}

impl RedundancySupervisor {
    /// Makes a supervisor before its first boot.
    pub fn new(spec: &SupervisorSpec) -> Self {
        let wait = spec.settings.grantor_wait();
        Self {
            incarnation: 0,
            booted_at: LocalTime::ZERO,
            role: Role::Standby,
            grantor: Grantor::new(LocalTime::ZERO, wait, Epoch::NONE, Epoch::NONE),
            holder: Holder::new(spec.settings.lease),
            peers: alloc::vec![Peer::default(); spec.council.seats()],
            followed: None,
            released: Epoch::NONE,
            highest: Epoch::NONE,
            health: Health::default(),
            ready_at: LocalTime::ZERO,
            kept: Promise::FIRST,
            saving: None,
            wanted: Promise::FIRST,
            saves_fail: false,
            has_saved: false,
            heartbeat_due: LocalTime::MAX,
            retry_due: LocalTime::MAX,
            seeking: None,
            term_began: None,
            failed_terms: 0,
            evaluate_due: LocalTime::MAX,
            defers_until: LocalTime::ZERO,
            active_since: LocalTime::ZERO,
            slow_until: LocalTime::ZERO,
            moved_since: None,
            handing: None,
            called: None,
            state_is_missed: false,
            unheard: 0,
            is_leaving: false,
            spec: spec.clone(),
        }
    }

    /// Begins a life with what was durable. It restores no authority; of the state of the life before it keeps which epochs
    /// that knew and might grant, which is all that is left where promises were lost.
    pub fn boot(&mut self, now: LocalTime, incarnation: u32, promise: Promise, out: &mut Effects) {
        let known = self.highest.max(self.kept.ceiling);
        *self = Self::new(&self.spec.clone());
        self.incarnation = incarnation;
        self.booted_at = now;
        if self.spec.council.is_alone() {
            return self.boot_alone(now, incarnation);
        }
        let forgets = makes(Mistake::EpochNotDurable);
        let known = if forgets { Epoch::NONE } else { known.max(promise.owned_from) };
        let promise = Promise { ceiling: if forgets { Epoch::NONE } else { promise.ceiling }, ..promise };
        self.grantor = Grantor::new(now, self.spec.settings.grantor_wait(), promise.ceiling, known);
        self.highest = promise.ceiling.max(known);
        (self.kept, self.wanted) = (promise, promise);
        if self.spec.council.is_witness(self.spec.council.me()) {
            self.role = Role::Witness;
        } else if promise.in_maintenance {
            self.role = Role::Maintenance;
        }
        self.evaluate_due = now + self.spec.settings.evaluate;
        self.raise_ceiling(Epoch::NONE, out);
        if makes(Mistake::RestartsAsActive) && incarnation > 1 && self.role == Role::Standby {
            self.resume(now, out);
        }
        self.beat(now, out);
    }

    /// Takes up authority without asking: a mistake on purpose.
    fn resume(&mut self, now: LocalTime, out: &mut Effects) {
        let (epoch, until) = (self.highest.next_for(self.me()), now + self.spec.settings.lease);
        self.holder.hold(now, epoch, until);
        (self.role, self.active_since) = (Role::Active, now);
        out.push(Effect::Authority { epoch: epoch.number(), until });
    }

    /// A controller that shares its grid with none holds authority without end.
    fn boot_alone(&mut self, now: LocalTime, incarnation: u32) {
        self.role = Role::Active;
        self.active_since = now;
        self.holder.hold(now, Epoch { round: incarnation, seat: Seat(0) }, LocalTime::MAX);
    }

    /// Handles what has become due.
    pub fn wake(&mut self, now: LocalTime, out: &mut Effects) {
        self.lapse(now, out);
        self.give_up_renewing(now, out);
        if now >= self.heartbeat_due {
            self.beat(now, out);
        }
        if now >= self.evaluate_due {
            self.evaluate_due = now + self.spec.settings.evaluate;
            self.evaluate(now, out);
        }
        self.watch(now, out);
        if self.role == Role::Candidate && now >= self.retry_due {
            self.ask(now, out);
        }
        self.finish_handing(now, out);
        self.invariants(now);
    }

    /// Handles a message of another member.
    pub fn message(&mut self, now: LocalTime, from: Seat, message: &Message, out: &mut Effects) {
        let is_member = self.spec.council.has(from) && from != self.spec.council.me();
        if !is_member {
            return;
        }
        if message.section != self.spec.section {
            return self.hear_foreign(now, from, &message.content, out);
        }
        self.lapse(now, out);
        if let Content::Outlived { life, heard } = message.content {
            // Whatever is heard of the sender's lives: this is about the own one.
            self.be_outlived(life, heard);
        }
        if !self.hear(now, from, message.incarnation, out) {
            return self.hear_outlived(from, message, out);
        }
        match message.content {
            Content::Heartbeat(heartbeat) => self.heartbeat(now, from, message.incarnation, &heartbeat, out),
            Content::Request { number, epoch } => {
                self.vote(now, from, number, epoch, message.incarnation, out);
            }
            Content::Grant { number, life, epoch } => {
                if life == self.incarnation && epoch.seat == self.me() {
                    self.count_grant(now, from, number, epoch, out);
                }
            }
            Content::Refuse { number, life, refusal, floor, wait } => {
                if life == self.incarnation && self.spec.council.votes(from) {
                    self.take_refusal(now, number, (refusal, floor, wait), out);
                }
            }
            Content::Release { epoch } => {
                self.note_epoch(epoch);
                if epoch.seat == from {
                    self.grantor.release(now, epoch, message.incarnation);
                }
            }
            Content::HandOver { epoch, owned_from, reason } => {
                if epoch.seat == from {
                    self.take_hand_over(now, epoch, owned_from, reason, out);
                }
            }
            Content::MissesState => self.state_is_missed = true,
            Content::Outlived { .. } => {}
        }
        self.hear_floor(now, from);
        self.invariants(now);
    }

    /// Takes what its controller says of itself.
    pub fn report(&mut self, now: LocalTime, health: Health, out: &mut Effects) {
        self.lapse(now, out);
        let health = Health { is_ready: health.is_ready && !self.is_leaving, ..health };
        let before = core::mem::replace(&mut self.health, health);
        if health.is_ready && !before.is_ready {
            self.ready_at = now;
        }
        if health.is_late {
            self.slow_until = now + SLOW_FOR;
        }
        let tells = |health: Health| (health.is_ready, health.reaches_devices, health.is_late);
        if tells(before) != tells(health) {
            // The others count on it or act for it at once, not a heartbeat later.
            self.beat(now, out);
        }
        self.finish_handing(now, out);
    }

    /// When it wants to be woken.
    #[inline]
    pub fn deadline(&self) -> Option<LocalTime> {
        if self.is_alone() { None } else { Some(self.first_due()) }
    }

    fn first_due(&self) -> LocalTime {
        let lapse = match self.holder.held() {
            Some(held) if self.role.holds() => held.until + Span::from_nanos(1),
            Some(_) | None => LocalTime::MAX,
        };
        let retry = if self.role == Role::Candidate { self.retry_due } else { LocalTime::MAX };
        let seek = self.seeks_at().unwrap_or(LocalTime::MAX);
        let handed = self.hands_at().unwrap_or(LocalTime::MAX);
        lapse.min(retry).min(seek).min(handed).min(self.heartbeat_due).min(self.evaluate_due)
    }

    /// The right to write at `now`; `None` without authority, and while it is given up.
    pub fn authority(&self, now: LocalTime) -> Option<Authority> {
        self.lease(now).filter(|_lease| self.role == Role::Active)
    }

    /// The right to write that is held at `now`, also while it is given up: nobody else has it before that is done.
    pub fn lease(&self, now: LocalTime) -> Option<Authority> {
        let held = self.holder.held().filter(|held| self.role.holds() && held.is_valid(now))?;
        Some(Authority { epoch: held.epoch, until: held.until, since: held.since })
    }

    /// Whether it shares its grid with none.
    pub const fn is_alone(&self) -> bool {
        self.spec.council.is_alone()
    }

    /// What it is now.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Its seat.
    pub const fn me(&self) -> Seat {
        self.spec.council.me()
    }

    /// What its controller said of itself last.
    pub const fn health(&self) -> Health {
        self.health
    }

    /// The settings under which it runs.
    pub const fn settings(&self) -> &Settings {
        &self.spec.settings
    }

    /// The epoch that it holds, or else the highest that it knows.
    pub fn epoch(&self) -> Epoch {
        self.holder.held().map_or(self.highest, |held| held.epoch)
    }

    /// Identifies the redundancy section of the site file.
    pub const fn section(&self) -> u64 {
        self.spec.section
    }

    /// The other members of the council that control, in the order of their seats.
    pub fn other_controllers(&self) -> impl Iterator<Item = Seat> + use<> {
        self.spec.council.other_controllers()
    }

    /// The authority of the active that is followed; below every authority if none is.
    pub fn followed_epoch(&self) -> Epoch {
        self.followed.map_or(Epoch::NONE, |followed| followed.epoch)
    }

    /// Whether a standby has missed the whole state since this was asked for the last time.
    pub(crate) fn take_missed_state(&mut self) -> bool {
        core::mem::take(&mut self.state_is_missed)
    }

    /// Tells an active that its whole state is missed.
    pub(crate) fn miss_state(&self, active: Seat, out: &mut Effects) {
        self.send(active, Content::MissesState, out);
    }

    /// A message of this member.
    fn send(&self, to: Seat, content: Content, out: &mut Effects) {
        let message = Message { section: self.spec.section, incarnation: self.incarnation, content };
        out.push(Effect::Send { to, message });
    }

    /// Tells all others that it is alive; an active asks for its renewal with it.
    fn beat(&mut self, now: LocalTime, out: &mut Effects) {
        self.heartbeat_due = now + self.spec.settings.heartbeat;
        let renews = match self.role {
            Role::Active | Role::HandingOver | Role::Lapsed => true,
            Role::Witness | Role::Maintenance | Role::Standby | Role::Candidate => false,
        };
        let renewal = if renews { self.holder.send(now) } else { 0 };
        let holds = self.role.holds();
        let (owner, owned_from) = self.told_owner(now);
        let heartbeat = Heartbeat {
            role: self.role,
            epoch: self.epoch(),
            renewal: 0,
            renews: Epoch::NONE,
            is_ready: self.is_able(),
            reaches_devices: self.health.reaches_devices,
            is_slow: now < self.slow_until,
            owner,
            owned_from,
            active_for: if holds { now.since(self.active_since) } else { Span::ZERO },
        };
        // A vote that is renewed for who cannot hear it is of no use to it, and kept from everybody else.
        let asked = if renews { self.heard_voters(now) } else { 0 };
        for seat in self.spec.council.others() {
            let (renewal, renews) =
                if asked & seat.bit() != 0 { (renewal, self.holder.asked()) } else { (0, Epoch::NONE) };
            self.send(seat, Content::Heartbeat(Heartbeat { renewal, renews, ..heartbeat }), out);
        }
        if renews {
            self.ask_myself(now, renewal, self.holder.asked(), out);
        }
    }

    /// Changes the role and tells of it.
    fn become_role(&mut self, role: Role, reason: Reason, out: &mut Effects) {
        if self.role != role {
            self.role = role;
            out.report(Event::RoleChanged { role, reason, epoch: self.epoch() });
        }
    }

    /// Whether a write of it may still be applied: then nobody else may be let to write.
    fn has_outstanding_writes(&self, now: LocalTime) -> bool {
        now < self.health.writes_end && !makes(Mistake::ReleasesOutstanding)
    }

    /// Whether the pair waits for its owner, and who that is.
    fn owner(&self) -> Option<Seat> {
        let waits = self.spec.council.is_pair() && self.spec.settings.on_silence == OnSilence::Hold;
        waits.then_some(self.kept.owner)
    }

    fn invariants(&self, now: LocalTime) {
        assert!(!self.role.holds() || self.holder.is_valid(now), "an active holds a lease that counts");
        assert!(self.seeking.is_some() == (self.role == Role::Candidate), "a candidate knows since when");
        assert!(self.handing.is_some() == (self.role == Role::HandingOver), "who hands over knows to whom");
    }
}
