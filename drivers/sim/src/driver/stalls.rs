//! Hosts and processes that stand still for a while: a process that is stopped, a machine that is overloaded, a virtual machine
//! that is paused.
//!
//! ```text
//!     begins     next delivery that asks for something                                 ends
//!     ───┼──────────────┼── handled ──… nothing is done or heard …──┼── performed ── what came meanwhile ── wakes
//! ```
//!
//! **Decision: a stall catches its host between `handle` and `perform`**, with the first delivery in the window after which one
//! of its controllers asks for something that others see: a write, a message, a promise. That is the worst instant: what was
//! decided under an authority is done when that may be over. A drawn instant would hardly ever hit it; and to stand still where
//! nothing was asked for is the same with nothing in flight.
//!
//! What comes meanwhile waits in its order, as in the sockets of a host: answers, messages, acknowledgements, the disk's replies,
//! and what the process itself had planned. It is delivered late, then comes the wake, once. Letters are datagrams: of more than
//! [`LETTERS_MAX`] the later ones are lost. What has left the host goes on: writes on their way act, and a promise that the disk
//! was asked for is durable. A crash takes the stall with all that waits.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use r_ems_engine::Time;
use r_ems_engine::machine::{Effect, Effects};

use super::SimDriver;
use super::effects::Part;
use super::pending::{Devices, Happened, Pending, Told};
use crate::world::{Change, Stalled, StalledClock};

/// Most letters that wait for a controller that stands still: about what the usual buffer of a datagram socket holds.
pub(super) const LETTERS_MAX: u32 = 256;

/// Everybody who stands still, and what waits for them.
#[derive(Clone, Debug)]
pub(super) struct Stalls {
    /// By host.
    hosts: Vec<Phase>,
    /// By controller.
    processes: Vec<Phase>,
    /// By controller.
    lines: Vec<Line>,
}

/// How far a stall is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There is none.
    Runs,
    /// It catches whoever asks for something next.
    Lurks(StalledClock),
    StandsStill,
}

/// What waits for a controller.
#[derive(Clone, Debug, Default)]
struct Line {
    /// What its last delivery led to.
    in_flight: Option<Effects>,
    waiting: VecDeque<Pending>,
    /// How many of them are letters.
    letters: u32,
    /// Whether [`Pending::Next`] is on its way.
    is_moving: bool,
}

impl Stalls {
    fn new(hosts: usize, controllers: usize) -> Self {
        Self {
            hosts: alloc::vec![Phase::Runs; hosts],
            processes: alloc::vec![Phase::Runs; controllers],
            lines: alloc::vec![Line::default(); controllers],
        }
    }

    /// Whether a controller on a host stands still, or will with the next thing that it does.
    pub(super) fn holds(&self, post: u16, host: u16) -> bool {
        self.phases(post, host).into_iter().any(|phase| phase != Phase::Runs)
    }

    fn phases(&self, post: u16, host: u16) -> [Phase; 2] {
        [self.hosts[usize::from(host)], self.processes[usize::from(post)]]
    }

    fn phase(&mut self, whom: Stalled) -> &mut Phase {
        match whom {
            Stalled::Host(host) => &mut self.hosts[usize::from(host)],
            Stalled::Process(post) => &mut self.processes[usize::from(post)],
        }
    }

    fn are_over(&self) -> bool {
        let runs = |phase: &Phase| *phase == Phase::Runs;
        self.hosts.iter().all(runs)
            && self.processes.iter().all(runs)
            && self.lines.iter().all(|line| line.waiting.is_empty() && !line.is_moving)
    }
}

impl Line {
    fn join(&mut self, pending: Pending) {
        self.letters += u32::from(matches!(pending, Pending::Mail { .. }));
        self.waiting.push_back(pending);
    }

    fn take(&mut self) -> Option<Pending> {
        let pending = self.waiting.pop_front();
        self.letters -= u32::from(matches!(pending, Some(Pending::Mail { .. })));
        pending
    }
}

impl SimDriver {
    /// From now on the next thing that somebody does catches it.
    pub(super) fn begin_stall(&mut self, whom: Stalled, clock: StalledClock) {
        let (hosts, controllers) = (self.clocks.len(), self.posts.len());
        let stalls = self.stalls.get_or_insert_with(|| Box::new(Stalls::new(hosts, controllers)));
        *stalls.phase(whom) = Phase::Lurks(clock);
    }

    /// Whoever stood still goes on: it does what it had decided, and hears what it has missed.
    pub(super) fn end_stall(&mut self, at: Time, whom: Stalled) {
        let Some(stalls) = &mut self.stalls else { return };
        let phase = core::mem::replace(stalls.phase(whom), Phase::Runs);
        if phase == Phase::StandsStill {
            match whom {
                Stalled::Host(host) => {
                    let clock = self.clocks[usize::from(host)].resumed(at);
                    self.set_clock(host, clock);
                    self.each_of(host, |driver, post| driver.go_on(at, post));
                }
                Stalled::Process(post) => self.go_on(at, post),
            }
        }
        self.forget_stalls();
    }

    fn go_on(&mut self, at: Time, post: u16) {
        if self.stands_still(post) {
            return;
        }
        let Some(stalls) = &mut self.stalls else { return };
        if let Some(effects) = stalls.lines[usize::from(post)].in_flight.take() {
            let now = self.clocks[usize::from(self.posts[usize::from(post)].host)].local(at);
            self.do_effects(at, now, post, (&effects, Part::Asked));
        }
        self.call_next(at, post);
        let state = &self.posts[usize::from(post)];
        let clock = self.clocks[usize::from(state.host)];
        let deadline = state.deadline.map(|deadline| clock.run_time(deadline).max(at));
        self.wakes.set(u32::from(post), deadline);
    }

    /// Whether a stall that has begun for somebody catches it with what it has just decided.
    #[cold]
    pub(super) fn is_caught(&self, post: u16, effects: &Effects) -> bool {
        let host = self.posts[usize::from(post)].host;
        let Some(stalls) = &self.stalls else { return false };
        let lurks = stalls.phases(post, host).into_iter().any(|phase| matches!(phase, Phase::Lurks(_)));
        lurks && effects.as_slice().iter().any(is_seen)
    }

    /// What somebody decided is done when it goes on.
    pub(super) fn keep_in_flight(&mut self, post: u16, effects: &Effects) {
        if let Some(stalls) = &mut self.stalls {
            stalls.lines[usize::from(post)].in_flight = Some(effects.clone());
        }
    }

    /// Somebody who was caught stands still, and its host if that is what stalls.
    pub(super) fn stand_still(&mut self, at: Time, post: u16) {
        let host = self.posts[usize::from(post)].host;
        let Some(stalls) = &mut self.stalls else { return };
        let lurking = stalls.phases(post, host);
        for (whom, phase) in [Stalled::Host(host), Stalled::Process(post)].into_iter().zip(lurking) {
            if phase != Phase::Runs {
                *stalls.phase(whom) = Phase::StandsStill;
            }
        }
        let [of_host, _of_process] = lurking;
        if of_host == Phase::Lurks(StalledClock::Stopped) {
            let clock = self.clocks[usize::from(host)].stopped(at);
            self.set_clock(host, clock);
        }
        self.each_of(host, |driver, post| {
            if driver.stands_still(post) {
                driver.wakes.set(u32::from(post), None);
            }
        });
    }

    /// Whether somebody does nothing and hears nothing.
    pub(super) fn stands_still(&self, post: u16) -> bool {
        let host = self.posts[usize::from(post)].host;
        let Some(stalls) = &self.stalls else { return false };
        stalls.phases(post, host).contains(&Phase::StandsStill)
    }

    /// Whether what reaches somebody now waits behind what has come before.
    pub(super) fn is_held_back(&self, post: u16) -> bool {
        let is_line = |stalls: &Stalls| !stalls.lines[usize::from(post)].waiting.is_empty();
        self.stands_still(post) || self.stalls.as_deref().is_some_and(is_line)
    }

    /// Lets what reaches somebody who stands still wait; returns what does not.
    #[cold]
    pub(super) fn hold_back(&mut self, at: Time, pending: Pending) -> Option<Pending> {
        let Some(post) = self.whom_it_reaches(&pending).filter(|post| self.is_held_back(*post)) else {
            return Some(pending);
        };
        let waits = if let Pending::WriteAnswered(answer) = pending {
            self.outcome_unread(at, answer)?
        } else if let Pending::Saved(of) = pending {
            let _told_later = self.finish_saving(post);
            Pending::Told { of, told: Told::Promised(true) }
        } else {
            pending
        };
        let line = &mut self.stalls.as_mut()?.lines[usize::from(post)];
        if let Pending::Mail { slot } = waits
            && line.letters >= LETTERS_MAX
        {
            self.office.throw_away(slot);
        } else {
            line.join(waits);
        }
        None
    }

    /// Lets what is left of several answers wait if the one whom they reach stands still.
    #[cold]
    pub(super) fn hold_rest_back(&mut self, devices: Devices) -> Option<Devices> {
        let post = devices.of.post;
        if !self.stands_still(post) {
            return Some(devices);
        }
        // They came before everything that waits already.
        self.stalls.as_mut()?.lines[usize::from(post)].waiting.push_front(Pending::Answers(devices));
        None
    }

    /// Lets the first in the line of somebody in, and calls the next.
    #[cold]
    pub(super) fn let_in(&mut self, at: Time, post: u16) -> Option<(u16, Happened)> {
        let stands_still = self.stands_still(post);
        let line = &mut self.stalls.as_mut()?.lines[usize::from(post)];
        line.is_moving = false;
        let pending = if stands_still { None } else { line.take() };
        self.call_next(at, post);
        let reached = pending.and_then(|pending| self.come_about(at, pending));
        self.forget_stalls();
        reached
    }

    /// Somebody is down: what waited for it reaches nobody.
    pub(super) fn drop_what_waits(&mut self, post: u16) {
        let Some(stalls) = &mut self.stalls else { return };
        stalls.processes[usize::from(post)] = Phase::Runs;
        let line = &mut stalls.lines[usize::from(post)];
        line.in_flight = None;
        while let Some(pending) = line.take() {
            if let Pending::Mail { slot } = pending {
                self.office.throw_away(slot);
            } else if let Pending::Frame { slot, .. } = pending {
                self.freight.throw_away(slot);
            }
        }
    }

    fn call_next(&mut self, at: Time, post: u16) {
        let stands_still = self.stands_still(post);
        let Some(stalls) = &mut self.stalls else { return };
        let line = &mut stalls.lines[usize::from(post)];
        if !(stands_still || line.is_moving || line.waiting.is_empty()) {
            line.is_moving = true;
            self.queue.push(at, Pending::Next { post });
        }
    }

    fn forget_stalls(&mut self) {
        self.stalls.take_if(|stalls| stalls.are_over());
    }

    /// For whom something is that waits in the queue, if it reaches a process that lives.
    fn whom_it_reaches(&self, pending: &Pending) -> Option<u16> {
        let of = match *pending {
            Pending::Boot(of)
            | Pending::Saved(of)
            | Pending::Disk { of, .. }
            | Pending::Tend(of)
            | Pending::Told { of, .. }
            | Pending::Revive(of)
            | Pending::Stop(of)
            | Pending::Ended(of)
            | Pending::PollTimedOut { of, .. }
            | Pending::Send { of, .. }
            | Pending::WriteEnded { of, .. }
            | Pending::NotSent { of, .. }
            | Pending::Frame { of, .. }
            | Pending::LineTold { of, .. } => of,
            Pending::Measure(devices) | Pending::Answers(devices) => devices.of,
            Pending::WriteAnswered(answer) => answer.of,
            Pending::Mail { slot } => {
                let post = self.office.addressee(slot);
                return self.posts[usize::from(post)].has_booted.then_some(post);
            }
            Pending::Timeline(change) => {
                let Change::Command { controller, .. } = change else { return None };
                return self.posts[usize::from(controller)].has_booted.then_some(controller);
            }
            // What has left its host, and what is none.
            Pending::Write(_)
            | Pending::Request { .. }
            | Pending::Chance { .. }
            | Pending::Next { .. }
            | Pending::LookAtWalls => return None,
        };
        self.is_living(of).then_some(of.post)
    }
}

/// Whether others see what is asked for. Who has stopped has nothing left to do, and is not caught.
const fn is_seen(effect: &Effect) -> bool {
    match effect {
        Effect::Write(_)
        | Effect::Poll { .. }
        | Effect::Frame { .. }
        | Effect::Link { .. }
        | Effect::Disconnect { .. }
        | Effect::Send { .. }
        | Effect::Transfer { .. }
        | Effect::Promise(_) => true,
        Effect::Authority { .. } | Effect::Snapshot | Effect::Report(_) | Effect::Stopped => false,
    }
}
