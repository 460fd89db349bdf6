//! Three supervisors, their disks, and what they do to each other: one state of the model, and how members act in it.

use alloc::vec::Vec;

use super::{Bounds, MEMBERS, Saves, TICK, Without};
use crate::machine::{Effect, Effects};
use crate::redundancy::message::{Content, Message};
use crate::redundancy::supervisor::{Health, RedundancySupervisor, SupervisorSpec};
use crate::redundancy::{Council, Epoch, FailBack, OnSilence, Promise, Seat, Settings};
use crate::time::{LocalTime, Span};

/// An instant so far back is as good as any earlier one.
const LONG_AGO: Span = Span::from_millis(5);
/// Longer than any behavior lasts that is looked at.
const NEVER: Span = Span::from_hours(1_000_000);
const HEALTHY: Health = Health {
    is_ready: true,
    reaches_devices: true,
    overruns: false,
    is_late: false,
    writes_end: LocalTime::ZERO,
};

/// A message on its way: who sent it, to whom, and what it says.
pub(super) type Letter = (Seat, Seat, Message);
/// All that is on its way.
pub(super) type Mail = Vec<Letter>;

/// All but what is on its way.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) now: LocalTime,
    pub(super) members: [RedundancySupervisor; MEMBERS],
    pub(super) is_up: [bool; MEMBERS],
    pub(super) disks: [Promise; MEMBERS],
    /// What is on its way to the disks.
    pub(super) saving: [Option<Promise>; MEMBERS],
    pub(super) failures_left: u8,
    pub(super) incarnations: [u32; MEMBERS],
    pub(super) crashes_left: u8,
    /// No higher round is followed.
    pub(super) round_max: u32,
}

fn settings(without: Without, lease: u64, seat: u8) -> Settings {
    assert!(lease > 0, "nothing is less than no lease");
    // A voter that counts a shorter lease waits for less.
    let lease = if without == Without::TheWait && seat == 2 { lease - 1 } else { lease };
    Settings {
        heartbeat: TICK,
        watchdog: TICK * 2,
        lease: TICK * lease,
        // Eager or not, a candidate asks at the rate of heartbeats.
        retry: TICK,
        evaluate: NEVER,
        clock_rate_max_ppb: 0,
        state_age_max: NEVER,
        fail_back: FailBack::Manual,
        on_silence: OnSilence::Hold,
    }
}

impl State {
    /// Nobody has booted.
    pub(super) fn new(without: Without, bounds: &Bounds) -> Self {
        let member = |seat: u8| {
            let council = Council::new(&[0, 1, 2], true, Seat(seat));
            let settings = settings(without, bounds.lease, seat);
            RedundancySupervisor::new(&SupervisorSpec { council, settings, section: 1 })
        };
        Self {
            now: LocalTime::ZERO + TICK * 100,
            members: [member(0), member(1), member(2)],
            is_up: [false; MEMBERS],
            disks: [Promise::FIRST; MEMBERS],
            saving: [None; MEMBERS],
            failures_left: match bounds.saves {
                Saves::AtOnce => 0,
                Saves::Later { failures } => failures,
            },
            incarnations: [0; MEMBERS],
            crashes_left: bounds.crashes,
            round_max: bounds.rounds,
        }
    }

    /// Begins a life of a member; what it sends is left in `sent`.
    pub(super) fn boot(&mut self, seat: usize, without: Without, bounds: &Bounds, sent: &mut Vec<Letter>) {
        self.is_up[seat] = true;
        self.incarnations[seat] += 1;
        let incarnation = self.incarnations[seat];
        let forgets = without == Without::Memory && incarnation > 1;
        let promise = if forgets { Promise::FIRST } else { self.disks[seat] };
        if promise.ceiling > Epoch::NONE {
            // It votes only above what it may have granted, so that is where rounds go on.
            self.round_max = self.round_max.max(promise.ceiling.round + bounds.rounds);
        }
        self.act(seat, bounds.saves, sent, |supervisor, now, out| {
            // Without the wait after a restart it is as if it had booted long ago.
            let booted = if forgets { now - LONG_AGO } else { now };
            // Nothing of the state of the life before is found again.
            *supervisor = RedundancySupervisor::new(&supervisor.spec.clone());
            supervisor.boot(booted, incarnation, promise, out);
            supervisor.report(booted, HEALTHY, out);
        });
    }

    /// Whether somebody knows of a round, or asks for one, that is not followed.
    pub(super) fn is_beyond(&self) -> bool {
        let highest = |member: &RedundancySupervisor| member.highest.max(member.holder.asked()).round;
        self.up().any(|member| highest(member) > self.round_max)
    }

    /// The members with authority.
    pub(super) fn holders(&self) -> impl Iterator<Item = &RedundancySupervisor> {
        self.up().filter(|member| member.authority(self.now).is_some())
    }

    fn up(&self) -> impl Iterator<Item = &RedundancySupervisor> {
        self.members.iter().zip(self.is_up).filter(|(_, is_up)| *is_up).map(|(member, _)| member)
    }

    /// Lets a member act; what it sends is left in `sent`.
    pub(super) fn act(
        &mut self,
        seat: usize,
        saves: Saves,
        sent: &mut Vec<Letter>,
        act: impl FnOnce(&mut RedundancySupervisor, LocalTime, &mut Effects),
    ) {
        let mut out = Effects::new();
        act(&mut self.members[seat], self.now, &mut out);
        self.perform(seat, &out, saves, sent);
    }

    /// Does what a member asks for; what goes into the network is left in `sent`.
    fn perform(&mut self, seat: usize, out: &Effects, saves: Saves, sent: &mut Vec<Letter>) {
        for effect in out.as_slice() {
            match *effect {
                Effect::Send { to, message } if is_plain(&message) => {
                    if self.is_up[to.position()] {
                        let mut more = Effects::new();
                        self.members[to.position()].message(self.now, Seat(seat as u8), &message, &mut more);
                        self.perform(to.position(), &more, saves, sent);
                    }
                }
                Effect::Send { to, message } => sent.push((Seat(seat as u8), to, message)),
                Effect::Promise(promise) if saves == Saves::AtOnce => {
                    self.disks[seat] = promise;
                    let mut more = Effects::new();
                    self.members[seat].saved(self.now, true, &mut more);
                    self.perform(seat, &more, saves, sent);
                }
                Effect::Promise(promise) => {
                    assert_eq!(self.saving[seat], None, "one promise at a time is on its way");
                    self.saving[seat] = Some(promise);
                }
                Effect::Report(_) | Effect::Authority { .. } => {}
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Disconnect { .. }
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Transfer { .. } => {
                    panic!("a supervisor does none of these")
                }
            }
        }
    }
}

/// Whether a message only says that its sender is alive.
fn is_plain(message: &Message) -> bool {
    matches!(message.content, Content::Heartbeat(heartbeat) if heartbeat.renewal == 0 && !heartbeat.role.holds())
}
