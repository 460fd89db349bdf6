//! What controllers run on and talk over: hosts that lose their power and boot, processes that die and start again, clocks,
//! the network, and the small disk that keeps promises.
//!
//! A crash takes what a controller was waiting for: its wake, answers on their way to it, a promise that was not yet durable.
//! It does not take what has left already: messages in the network, and writes, which cannot be recalled.

use alloc::vec::Vec;

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::redundancy::message;
use r_ems_engine::redundancy::{Command, Message, Promise, Seat};
use r_ems_engine::{LocalTime, Time};

use super::pending::{Happened, Of, Pending, Told};
use super::stops::Afterwards;
use super::{PostState, SimDriver};
use crate::links::Edge;
use crate::world::{Change, HostClock, InverterOrder, Level, Life, PathChange, PlantChange, Stalled};

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter {
    /// The place of the one that it is for.
    to: u16,
    /// The seat of its sender.
    from: Seat,
    content: Content,
}

/// What a letter holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    Message(Message),
    /// A unit of state; its bytes lie beside the letter.
    Unit,
}

/// Messages on their way: a queue of small entries refers to them.
#[derive(Clone, Debug, Default)]
pub(super) struct PostOffice {
    letters: Vec<Letter>,
    /// The bytes of the letters that hold a unit; kept for the next one.
    units: Vec<Vec<u8>>,
    free: Vec<u32>,
}

impl PostOffice {
    fn take_in(&mut self, letter: Letter, unit: &[u8]) -> u32 {
        let slot = self.free.pop().unwrap_or(self.letters.len() as u32);
        if slot as usize == self.letters.len() {
            self.letters.push(letter);
            self.units.push(Vec::new());
        }
        self.letters[slot as usize] = letter;
        let bytes = &mut self.units[slot as usize];
        bytes.clear();
        bytes.extend_from_slice(unit);
        slot
    }

    fn hand_out(&mut self, slot: u32) -> Letter {
        self.free.push(slot);
        self.letters[slot as usize]
    }

    /// For whom a letter is that waits, by its place.
    pub(super) fn addressee(&self, slot: u32) -> u16 {
        self.letters[slot as usize].to
    }

    /// Nobody will read a letter.
    pub(super) fn throw_away(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// The unit of a letter that was handed out, until the next is taken in.
    pub(super) fn unit(&self, slot: u32) -> &[u8] {
        &self.units[slot as usize]
    }
}

impl SimDriver {
    /// Changes the world; returns what of that reaches a machine.
    pub(super) fn change(&mut self, at: Time, change: Change) -> Option<(u16, Happened)> {
        let reached = self.changed(at, change);
        self.look_at_cores(Some((at, change)));
        reached
    }

    fn changed(&mut self, at: Time, change: Change) -> Option<(u16, Happened)> {
        match change {
            Change::Plant { grid, change } => {
                self.change_plant(at, grid, change);
                None
            }
            Change::Link { controller, device, state } => {
                self.link(controller, device).set_state(state);
                None
            }
            Change::Fault { controller, device, fault, edge } => {
                self.change_device(at, controller, device, fault, edge);
                None
            }
            Change::RestartDevice { grid, component } => {
                self.restart_device(at, grid, component);
                None
            }
            Change::Host { host, state } => {
                self.change_host(at, host, state);
                None
            }
            Change::Process { controller, state } => {
                self.change_process(at, controller, state);
                None
            }
            Change::Path { from, to, change } => {
                let path = self.network.path_mut(from, to);
                match change {
                    PathChange::Cut(is_cut) => path.is_cut = is_cut,
                    PathChange::Loss(loss) => path.loss = loss,
                    PathChange::Duplication(duplication) => path.duplication = duplication,
                    PathChange::Delay(delay) => path.delay = delay,
                }
                None
            }
            Change::Disk { host, change } => {
                if let Some(kept) = &mut self.persistence {
                    kept.change_disk(host, change);
                }
                None
            }
            Change::ClockRate { host, rate_ppb } => {
                self.change_rate(at, host, rate_ppb);
                None
            }
            Change::Upgrade { host } => {
                if let Some(kept) = &mut self.persistence {
                    kept.upgrade(host);
                }
                None
            }
            Change::WallClock { host, wall } => {
                self.set_wall(at, host, wall);
                None
            }
            Change::Stall { whom, clock, edge } => {
                match edge {
                    Edge::Begins => self.begin_stall(whom, clock),
                    Edge::Ends => self.end_stall(at, whom),
                }
                None
            }
            Change::Command { controller, command } => self.command(at, controller, command),
        }
    }

    /// An operator asks something of a controller.
    fn command(&mut self, at: Time, controller: u16, command: Command) -> Option<(u16, Happened)> {
        if self.posts[usize::from(controller)].has_booted {
            return Some((controller, Happened::Command(command)));
        }
        // No log of a controller that is down can hold it: the world's own record does.
        if !self.is_heard_by_another(at, controller, command) {
            self.authority.unheard(at, controller, command);
        }
        None
    }

    /// Whether a command that its addressee does not hear is asked of its whole grid, of which another one does.
    fn is_heard_by_another(&self, at: Time, addressee: u16, command: Command) -> bool {
        let grid = self.posts[usize::from(addressee)].grid;
        let hears = |change: Change| {
            let Change::Command { controller, command: asked } = change else { return false };
            let other = &self.posts[usize::from(controller)];
            asked == command && other.grid == grid && other.has_booted
        };
        self.timeline.at(at).any(hears)
    }

    fn change_plant(&mut self, at: Time, grid: u16, change: PlantChange) {
        let (bus, mut watch) = self.grids[usize::from(grid)].watched(self.monitor.watch(grid));
        let watch = &mut watch;
        match change {
            PlantChange::Breaker(position) => bus.breaker(position, at, watch),
            PlantChange::Inverter(component, InverterOrder::Start) => bus.start(component, at, watch),
            PlantChange::Inverter(component, InverterOrder::Stop) => bus.stop(component, at, watch),
            PlantChange::Load(load, position) => bus.load_breaker(load, position, at, watch),
            PlantChange::Tie(tie, position) => bus.tie_breaker(tie, position, at, watch),
            PlantChange::Grid(what, level) => bus.set_grid(what, level.map(Level::value), at, watch),
            PlantChange::Signal(receiver, level) => {
                bus.set_signal(receiver, level.map(Level::value), at, watch);
            }
        }
    }

    /// Whether a life of a controller is still the one that runs, and takes what reaches it.
    pub(super) fn hears(&self, of: Of) -> bool {
        self.is_living(of) && self.posts[usize::from(of.post)].has_booted
    }

    /// Whether a life of a controller is still the one that runs.
    pub(super) fn is_living(&self, of: Of) -> bool {
        let post = &self.posts[usize::from(of.post)];
        post.is_up && post.life == of.life
    }

    /// Sends a message, or a unit of state, to a seat of the sender's grid.
    pub(super) fn send(&mut self, at: Time, post: u16, to: Seat, content: Content, unit: &[u8]) {
        let sender = &self.posts[usize::from(post)];
        let (grid, host, from) = (sender.grid, sender.host, sender.seat);
        if let Content::Message(Message { content: message::Content::Release { epoch }, .. }) = content {
            self.authority.released(at, (grid, post), epoch.number());
        }
        if let Content::Message(Message { content: message::Content::Heartbeat(heartbeat), .. }) = &content {
            self.progress.said(at, post, heartbeat);
        }
        let receiver = self.posts.iter().position(|other| other.grid == grid && other.seat == to);
        let Some(receiver) = receiver else { return };
        let letter = Letter { to: receiver as u16, from, content };
        let (first, second) = self.network.send(host, self.posts[receiver].host);
        for delay in [first, second].into_iter().flatten() {
            let slot = self.office.take_in(letter, unit);
            self.queue.push(at + delay, Pending::Mail { slot });
        }
    }

    /// Hands a message out; nobody receives it whose controller is down.
    pub(super) fn deliver(&mut self, slot: u32) -> Option<(u16, Happened)> {
        let Letter { to, from, content } = self.office.hand_out(slot);
        let happened = match content {
            Content::Message(message) => Happened::Message { from, message },
            Content::Unit => Happened::Unit { from, slot },
        };
        self.posts[usize::from(to)].has_booted.then_some((to, happened))
    }

    /// A machine boots.
    pub(super) fn boot(&mut self, post: u16) -> (u16, Happened) {
        self.posts[usize::from(post)].has_booted = true;
        let durable = self.posts[usize::from(post)].promise;
        let promise = self.persistence.as_deref().map_or(durable, |kept| kept.promise(post));
        self.look_at_promise(self.now, post, &promise, true);
        let has_lost = self.persistence.as_deref().is_some_and(|kept| kept.has_lost_promises(post));
        if has_lost && self.authority.forgets(post) {
            self.progress.forgets(post);
        }
        self.note_wall(post);
        self.orchestrator.began(self.now, ControllerIndex(post));
        (post, Happened::Boot)
    }

    /// Begins to make a promise durable.
    pub(super) fn save(&mut self, at: Time, post: u16, promise: Promise) {
        self.look_at_promise(at, post, &promise, false);
        if self.persistence.is_some() {
            return self.keep_promise(at, post, promise);
        }
        let state = &mut self.posts[usize::from(post)];
        state.saving = Some(promise);
        let of = Of { post, life: state.life };
        self.queue.push(at + self.sync, Pending::Saved(of));
    }

    pub(super) fn finish_saving(&mut self, post: u16) -> (u16, Happened) {
        let state = &mut self.posts[usize::from(post)];
        if let Some(saved) = state.saving.take() {
            state.promise = saved;
            self.look_at_promise(self.now, post, &saved, true);
        }
        (post, Happened::Told(Told::Promised(true)))
    }

    /// A controller tells that its lease counts up to an instant of its clock.
    pub(super) fn hear_authority(&mut self, at: Time, post: u16, epoch: u64, until: LocalTime) {
        let state = &self.posts[usize::from(post)];
        let clock = self.clocks[usize::from(state.host)];
        self.authority.told(at, (state.grid, state.host, post), epoch, until, clock);
        let (now, writes_from) = (clock.local(at), state.writes_from);
        let is_given_up = until <= now;
        self.posts[usize::from(post)].writes_from =
            if is_given_up { epoch.saturating_add(1) } else { writes_from.min(epoch) };
        // It may have come late, where its host stood still.
        if until >= now {
            self.progress.told(at, post, epoch, clock.run_time(until));
        }
    }

    fn change_process(&mut self, at: Time, controller: u16, state: Life) {
        match state {
            Life::Down => {
                self.disconnect_all(controller);
                self.stop(at, controller);
            }
            Life::Up => self.start(at, controller),
            Life::Stops => self.stop_process(at, controller),
        }
    }

    pub(super) fn change_host(&mut self, at: Time, host: u16, state: Life) {
        let is_up = &mut self.hosts_up[usize::from(host)];
        match (*is_up, state) {
            (true, Life::Stops) => self.stop_host(at, host),
            (true, Life::Down) => {
                *is_up = false;
                self.hosts_leave[usize::from(host)] = None;
                self.each_of(host, |driver, post| {
                    driver.die_connected(at, post);
                    driver.stop(at, post);
                });
                // Who has no power does not stand still: what waited is gone, and its clock begins anew.
                self.end_stall(at, Stalled::Host(host));
                if let Some(kept) = &mut self.persistence {
                    kept.crash(host);
                }
            }
            (false, Life::Up) => {
                *is_up = true;
                let clock = &mut self.clocks[usize::from(host)];
                *clock = clock.booted(at);
                self.resume_clock(at, host);
                self.each_of(host, |driver, post| driver.start(at, post));
            }
            (true, Life::Up) => self.host_returns(host),
            (false, Life::Down | Life::Stops) => {}
        }
    }

    pub(super) fn each_of(&mut self, host: u16, act: impl Fn(&mut Self, u16)) {
        for post in 0..self.posts.len() as u16 {
            if self.posts[usize::from(post)].host == host {
                act(self, post);
            }
        }
    }

    /// A controller's process dies.
    pub(super) fn stop(&mut self, at: Time, post: u16) {
        let state = &mut self.posts[usize::from(post)];
        if !state.is_up {
            return;
        }
        (state.is_up, state.has_booted, state.leaves) = (false, false, None);
        state.life = state.life.wrapping_add(1);
        // A clock that changes later plans the wakes of those who live.
        (state.saving, state.deadline) = (None, None);
        state.links.iter_mut().for_each(crate::links::Link::forget);
        state.wires.close_all();
        let (grid, host) = (state.grid, state.host);
        self.wakes.set(u32::from(post), None);
        self.drop_what_waits(post);
        self.authority.lost(at, grid, post);
        self.progress.lost(at, post);
        if let Some(kept) = &mut self.persistence {
            kept.end_life(at, post);
        }
        self.end_host(at, host);
    }

    /// A controller's process starts, if its host runs.
    pub(super) fn start(&mut self, at: Time, post: u16) {
        let state = &mut self.posts[usize::from(post)];
        if let Some(afterwards) = &mut state.leaves {
            *afterwards = Afterwards::Returns;
        }
        let host = usize::from(state.host);
        // A host that ends starts nothing any more.
        if state.is_up || !self.hosts_up[host] || self.hosts_leave[host].is_some() {
            return;
        }
        state.is_up = true;
        state.incarnation += 1;
        let of = Of { post, life: state.life };
        self.queue.push(at, Pending::Boot(of));
    }

    fn change_rate(&mut self, at: Time, host: u16, rate_ppb: i32) {
        let clock = self.clocks[usize::from(host)].at_rate(at, rate_ppb);
        self.set_clock(host, clock);
        self.replan(at, host);
    }

    /// A clock shows the same, and runs otherwise.
    pub(super) fn set_clock(&mut self, host: u16, clock: HostClock) {
        let before = core::mem::replace(&mut self.clocks[usize::from(host)], clock);
        self.authority.clock_changed(host, before, clock);
        if !before.stands_still() {
            return;
        }
        // What was held when it stopped is held on.
        for post in (0..self.posts.len() as u16).filter(|post| self.posts[usize::from(*post)].host == host) {
            if let Some((epoch, until)) = self.authority.held(post) {
                self.progress.goes_on(post, epoch, until);
            }
        }
    }

    /// A clock runs otherwise: what its controllers want to be woken for comes at another instant.
    fn replan(&mut self, at: Time, host: u16) {
        let clock = self.clocks[usize::from(host)];
        for post in 0..self.posts.len() as u16 {
            let PostState { host: own, deadline, .. } = self.posts[usize::from(post)];
            if own == host
                && let Some(deadline) = deadline
                && !self.stands_still(post)
            {
                self.wakes.set(u32::from(post), Some(clock.run_time(deadline).max(at)));
            }
        }
    }
}
