//! What passes between controllers and devices: polls and their answers, writes and how they end.

use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::machine::{Effect, SetPointWrite, WriteOutcome};
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::units::{Vars, Watts};
use r_ems_engine::{LocalTime, Span, Time};

use super::pending::{Devices, Happened, Of, Pending};
use super::{PostState, SimDriver};
use crate::links::{Asked, DeviceFault, Edge, Link, Sending, Sent};
use crate::plant::ComponentIndex;

/// A write on its way to its device.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteUnderWay {
    pub(super) of: Of,
    pub(super) device: DeviceIndex,
    powers: (Watts, Vars),
    epoch: Epoch,
    /// How it left; `None` if it is answered too late in any case, which is known already.
    sent: Option<Sent>,
}

/// A device's answer to a write, on its way back.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriteAnswer {
    pub(super) of: Of,
    pub(super) device: DeviceIndex,
    outcome: WriteOutcome,
    sent: Sent,
}

/// Why a device takes nothing of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Declined {
    /// It refuses all: something is wrong with it, or somebody stands at its panel.
    Refused,
    /// It acknowledges all, and takes nothing.
    Ignored,
    /// It has accepted this epoch, which is higher.
    Outdated(Epoch),
}

impl SimDriver {
    /// Measures devices whose links are equally slow; those that do not answer as the others do go on on their own.
    pub(super) fn measure(&mut self, at: Time, devices: Devices) {
        let Some(devices) = self.connected(at, devices) else { return };
        let Devices { of, first, count } = devices;
        let post = of.post;
        self.advance(usize::from(self.posts[usize::from(post)].grid), at);
        let PostState { grid, links, .. } = &mut self.posts[usize::from(post)];
        let bus = &self.grids[usize::from(*grid)].bus;
        let mut together: Option<(Time, Devices)> = None;
        for device in first..first + count {
            let single = Devices { of, first: device, count: 1 };
            match links[usize::from(device)].ask(at, bus) {
                Asked::Answers(arrival) => {
                    if let Some((instant, devices)) = &mut together
                        && (*instant, devices.first + devices.count) == (arrival, device)
                    {
                        devices.count += 1;
                        continue;
                    }
                    if let Some((instant, devices)) = together.replace((arrival, single)) {
                        self.queue.push(instant, Pending::Answers(devices));
                    }
                }
                Asked::Waits(until) => self.queue.push(until, Pending::Measure(single)),
                Asked::TimesOut => {
                    let gives_up = at + links[usize::from(device)].timeout();
                    self.queue.push(gives_up, Pending::PollTimedOut { of, device: DeviceIndex(device) });
                }
            }
        }
        if let Some((instant, devices)) = together {
            self.queue.push(instant, Pending::Answers(devices));
        }
    }

    /// Leaves out what waits for a connection: a device that takes only one is polled by itself.
    fn connected(&mut self, at: Time, devices: Devices) -> Option<Devices> {
        let Devices { of, first: device, count: _ } = devices;
        let device = DeviceIndex(device);
        match self.exchange(at, of, device) {
            Some(from) if from == at => Some(devices),
            Some(from) => {
                self.queue.push(from, Pending::Measure(devices));
                None
            }
            None => {
                let link = self.link(of.post, device);
                link.count_poll_timeout();
                let timed_out = at + link.timeout();
                self.queue.push(timed_out, Pending::PollTimedOut { of, device });
                None
            }
        }
    }

    /// When an exchange with a device that begins now can be sent; `None`: the device refuses to connect.
    pub(super) fn exchange(&mut self, at: Time, of: Of, device: DeviceIndex) -> Option<Time> {
        let PostState { grid, links, .. } = &self.posts[usize::from(of.post)];
        let link = &links[device.position()];
        let Some(how) = link.one_connection() else { return Some(at) };
        if link.is_cut_off() || link.is_given_up() {
            return None;
        }
        let slot = &mut self.grids[usize::from(*grid)].slots[usize::from(link.component().0)];
        slot.exchange(at, (of.post, of.life), how)
    }

    /// A controller gives up its connection to a device.
    pub(super) fn disconnect(&mut self, post: u16, device: DeviceIndex) {
        self.link(post, device).give_up(true);
        let PostState { grid, links, life, .. } = &self.posts[usize::from(post)];
        let slots = &mut self.grids[usize::from(*grid)].slots;
        slots[usize::from(links[device.position()].component().0)].give_up((post, *life));
    }

    /// A controller's process dies: its host closes its connections.
    pub(super) fn disconnect_all(&mut self, post: u16) {
        for device in 0..self.posts[usize::from(post)].links.len() {
            self.disconnect(post, DeviceIndex::of(device));
        }
    }

    /// A controller's host loses its power: its connections are dead, and nobody says so.
    pub(super) fn die_connected(&mut self, at: Time, post: u16) {
        let PostState { grid, links, life, .. } = &self.posts[usize::from(post)];
        let slots = &mut self.grids[usize::from(*grid)].slots;
        for link in links {
            if let Some(how) = link.one_connection() {
                slots[usize::from(link.component().0)].die(at, (post, *life), how);
            }
        }
    }

    /// Lets the first of several answers arrive and keeps the others for the next calls; none if nothing is left of them.
    #[inline]
    pub(super) fn arrive(&mut self, devices: Devices) -> Option<(u16, Happened)> {
        let Devices { of, first, count } = devices;
        let post = of.post;
        for place in 0..count {
            let device = DeviceIndex(first + place);
            match self.link(post, device).arrive() {
                Ok(()) => {
                    let (next, left) = (device.0 + 1, count - place - 1);
                    self.arriving = (left > 0).then_some(Devices { of, first: next, count: left });
                    return Some((post, Happened::Answer { device }));
                }
                // Who stood still looks at an answer that is lost when he would long have given up.
                Err(gives_up) => {
                    self.queue.push(gives_up.max(self.now), Pending::PollTimedOut { of, device });
                }
            }
        }
        None
    }

    /// Lets what is left of several answers arrive, unless the one whom they reach has just come to stand still.
    #[inline]
    pub(super) fn arrive_too(&mut self, devices: Devices) -> Option<(u16, Happened)> {
        let devices = if self.stalls.is_some() { self.hold_rest_back(devices)? } else { devices };
        self.arrive(devices)
    }

    /// A write reaches its device, which answers.
    pub(super) fn reach(&mut self, at: Time, write: &WriteUnderWay) -> Option<(u16, Happened)> {
        let outcome = self.apply(at, write);
        let WriteUnderWay { of, device, sent, .. } = *write;
        let sent = sent?;
        let is_held_back = self.is_held_back(of.post);
        let link = self.link(of.post, device);
        let due = link.acknowledged_at(at);
        let answer = WriteAnswer { of, device, outcome, sent };
        if due == at && !is_held_back {
            return self.tell_outcome(at, answer);
        }
        if link.reaches(sent, due) {
            self.queue.push(due, Pending::WriteAnswered(answer));
        } else {
            self.give_up(of, device, sent);
        }
        None
    }

    /// A device takes a write, or refuses it, as any or because it has accepted a higher epoch.
    fn apply(&mut self, at: Time, write: &WriteUnderWay) -> WriteOutcome {
        let WriteUnderWay { of: Of { post, .. }, device, powers, epoch, .. } = *write;
        let way = self.arrives(at, (post, device), epoch);
        match self.declines((post, device), Some(epoch)) {
            Some(Declined::Refused) => WriteOutcome::Refused,
            Some(Declined::Outdated(accepted)) => WriteOutcome::Outdated { accepted: accepted.number() },
            Some(Declined::Ignored) => WriteOutcome::Acknowledged,
            None => {
                self.accept(at, (post, device), (epoch, way));
                self.follow(at, (post, device), powers);
                WriteOutcome::Acknowledged
            }
        }
    }

    /// A write reaches a device, whatever that makes of it; how long that took, if it was seen to leave.
    pub(super) fn arrives(
        &mut self,
        at: Time,
        (post, device): (u16, DeviceIndex),
        epoch: Epoch,
    ) -> Option<Span> {
        let link = self.link(post, device);
        let (component, checks_epochs) = (link.component(), link.checks_epochs());
        if checks_epochs { None } else { self.authority.arrived(at, post, component, epoch.number()) }
    }

    /// Why a device takes nothing of a write, whatever that says or because of the epoch that came with it.
    pub(super) fn declines(
        &self,
        (post, device): (u16, DeviceIndex),
        epoch: Option<Epoch>,
    ) -> Option<Declined> {
        let PostState { grid, links, .. } = &self.posts[usize::from(post)];
        let link = &links[device.position()];
        let state = &self.grids[usize::from(*grid)];
        if link.refuses() || state.bus.is_local(link.component()) {
            return Some(Declined::Refused);
        }
        if link.ignores() {
            return Some(Declined::Ignored);
        }
        let accepted = state.accepted[usize::from(link.component().0)];
        let is_outdated = link.checks_epochs() && epoch.is_some_and(|epoch| epoch < accepted);
        is_outdated.then_some(Declined::Outdated(accepted))
    }

    /// A device accepts one of the requests of a set-point under an epoch.
    pub(super) fn accept(
        &mut self,
        at: Time,
        (post, device): (u16, DeviceIndex),
        (epoch, way): (Epoch, Option<Span>),
    ) {
        let grid = self.posts[usize::from(post)].grid;
        let component = self.link(post, device).component();
        self.grids[usize::from(grid)].accepted[usize::from(component.0)] = epoch;
        self.authority.accepted(at, (grid, post), component, (epoch.number(), way));
        self.progress.accepted(at, post, epoch.number());
    }

    /// A device follows a set-point from now on.
    pub(super) fn follow(&mut self, at: Time, (post, device): (u16, DeviceIndex), powers: (Watts, Vars)) {
        let grid = self.posts[usize::from(post)].grid;
        let link = self.link(post, device);
        link.count_write();
        let component = link.component();
        self.grids[usize::from(grid)].command(component, powers, at, self.monitor.watch(grid));
    }

    /// Sends the polls among `effects` on their way, so that their answers are there when they are due.
    pub(super) fn poll(&mut self, at: Time, post: u16, effects: &[Effect]) {
        let state = &self.posts[usize::from(post)];
        let clock = self.clocks[usize::from(state.host)];
        let of = Of { post, life: state.life };
        let mut together: Option<(Time, Span, Devices)> = None;
        for effect in effects {
            let Effect::Poll { device, due } = effect else { continue };
            let latency = state.links[device.position()].latency();
            let measured = (clock.run_time(*due) - latency).max(at);
            if let Some((instant, slowness, devices)) = &mut together
                && (*instant, *slowness, devices.first + devices.count) == (measured, latency, device.0)
                && state.links[device.position()].one_connection().is_none()
                && state.links[usize::from(devices.first)].one_connection().is_none()
            {
                devices.count += 1;
                continue;
            }
            if let Some((instant, _, devices)) =
                together.replace((measured, latency, Devices { of, first: device.0, count: 1 }))
            {
                self.queue.push(instant, Pending::Measure(devices));
            }
        }
        if let Some((instant, _, devices)) = together {
            self.queue.push(instant, Pending::Measure(devices));
        }
    }

    /// Sends a write on its way, unless it is no longer valid.
    pub(super) fn write(&mut self, at: Time, now: LocalTime, post: u16, write: &SetPointWrite) {
        let device = write.device;
        let of = Of { post, life: self.posts[usize::from(post)].life };
        if self.posts[usize::from(post)].refuses_to_send(now, write) {
            let outcome = WriteOutcome::Expired;
            self.queue.push(at, Pending::WriteEnded { of, device, outcome });
            return;
        }
        let connected = self.exchange(at, of, device);
        let link = self.link(post, device);
        let sending = match connected {
            Some(from) if from > at => Sending::Waits(from),
            Some(_) => link.send(at),
            None => Sending::TimesOut,
        };
        let sent = link.sent(at);
        match sending {
            Sending::Reaches(effect) => {
                self.note_sent(at, post, write);
                let link = self.link(post, device);
                let powers =
                    (Watts::of(write.value * link.factor()), Vars::of(write.reactive * link.factor()));
                let epoch = Epoch::of_number(write.epoch);
                let is_in_time = link.reaches(sent, effect);
                let under_way = WriteUnderWay { of, device, powers, epoch, sent: is_in_time.then_some(sent) };
                self.queue.push(effect, Pending::Write(under_way));
                if !is_in_time {
                    self.give_up(of, device, sent);
                }
            }
            // Whether it is still valid is asked again when it leaves: D counts from there.
            Sending::Waits(until) => self.queue.push(until, Pending::Send { of, write: *write }),
            Sending::TimesOut => self.give_up(of, device, sent),
        }
    }

    /// Lets the checkers see a set-point leave.
    pub(super) fn note_sent(&mut self, at: Time, post: u16, write: &SetPointWrite) {
        self.note_leaves(at, post, write);
        self.note_on_its_way(at, post, write);
    }

    /// Lets the checkers see a write leave, whatever it says.
    pub(super) fn note_leaves(&mut self, at: Time, post: u16, write: &SetPointWrite) {
        let PostState { grid, host, .. } = self.posts[usize::from(post)];
        // Whatever whoever sends believes, its clock says how late it is.
        let by_clock = self.clocks[usize::from(host)].local(at);
        self.authority.sent((at, by_clock), (grid, post), write.valid_until);
    }

    /// Notes that nobody can take a write back any more.
    pub(super) fn note_on_its_way(&mut self, at: Time, post: u16, write: &SetPointWrite) {
        let link = self.link(post, write.device);
        let (component, checks_epochs) = (link.component(), link.checks_epochs());
        if !checks_epochs {
            self.authority.wrote(at, post, component, write.epoch);
        }
    }

    /// A write that waited for a connection can leave.
    pub(super) fn leave(&mut self, at: Time, post: u16, write: &SetPointWrite) {
        let now = self.clocks[usize::from(self.posts[usize::from(post)].host)].local(at);
        self.write(at, now, post, write);
    }

    /// The answer to a write is there, unless it was lost with the connection on which the write came.
    pub(super) fn tell_outcome(&mut self, at: Time, answer: WriteAnswer) -> Option<(u16, Happened)> {
        let WriteAnswer { of, device, outcome, sent } = answer;
        if !self.link(of.post, device).reaches(sent, at) {
            self.give_up(of, device, sent);
            return None;
        }
        self.hears(of).then_some((of.post, Happened::Written { device, outcome }))
    }

    /// The answer to a write reaches a host that stands still: in time or not is known now, and noticed later.
    pub(super) fn outcome_unread(&mut self, at: Time, answer: WriteAnswer) -> Option<Pending> {
        let WriteAnswer { of, device, outcome, sent } = answer;
        if self.link(of.post, device).reaches(sent, at) {
            return Some(Pending::WriteEnded { of, device, outcome });
        }
        self.give_up(of, device, sent);
        None
    }

    /// A write will not be answered in time; whoever sent it notices when that has passed.
    fn give_up(&mut self, of: Of, device: DeviceIndex, sent: Sent) {
        let link = self.link(of.post, device);
        link.count_write_timeout();
        let gives_up = link.given_up_at(sent);
        let outcome = WriteOutcome::TimedOut;
        self.queue.push(gives_up, Pending::WriteEnded { of, device, outcome });
    }

    /// Something about a device begins or ends to be wrong for one controller.
    pub(super) fn change_device(
        &mut self,
        at: Time,
        post: u16,
        device: DeviceIndex,
        fault: DeviceFault,
        edge: Edge,
    ) {
        let grid = usize::from(self.posts[usize::from(post)].grid);
        self.advance(grid, at);
        let PostState { links, life, .. } = &mut self.posts[usize::from(post)];
        let link = &mut links[device.position()];
        link.set_fault(fault, edge, &self.grids[grid].bus);
        // A device that takes one connection does not learn that it is dead.
        if let (DeviceFault::Disconnected, Edge::Begins, Some(how)) = (fault, edge, link.one_connection()) {
            self.grids[grid].slots[usize::from(link.component().0)].die(at, (post, *life), how);
        }
        if (fault, edge) == (DeviceFault::Disconnected, Edge::Ends) {
            self.send_kept(at, post, device);
        }
    }

    /// A device restarts: it forgets its set-point, the epochs that it has accepted, and who was connected to it.
    pub(super) fn restart_device(&mut self, at: Time, grid: u16, component: ComponentIndex) {
        let state = &mut self.grids[usize::from(grid)];
        state.restart(component, at, self.monitor.watch(grid));
        let mut checks_epochs = false;
        for post in self.posts.iter_mut().filter(|post| post.grid == grid) {
            for link in post.links.iter_mut().filter(|link| link.component() == component) {
                checks_epochs |= link.checks_epochs();
                link.break_off();
            }
        }
        // Of any other the wait for writes on their way protects it, now as before.
        if checks_epochs {
            self.authority.restarted(grid, component);
        }
    }

    pub(super) fn link(&mut self, post: u16, device: DeviceIndex) -> &mut Link {
        &mut self.posts[usize::from(post)].links[device.position()]
    }

    /// Lets expectations see what a controller's image is about to show.
    pub(super) fn show_image(&mut self, at: Time, post: u16, device: DeviceIndex) {
        let link = &self.posts[usize::from(post)].links[device.position()];
        for sample in link.arrived() {
            if link.is_believable(sample) {
                self.monitor.image(at, ControllerIndex(post), sample.point, link.as_declared(sample));
            } else {
                self.monitor.disbelieve(at, ControllerIndex(post), sample.point);
            }
        }
    }
}
