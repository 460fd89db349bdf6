//! What passes between controllers and devices: polls and their answers, writes and how they end.

use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::machine::{Effect, SetPointWrite, WriteOutcome};
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::units::Watts;
use r_ems_engine::{LocalTime, Span, Time};

use super::pending::{Devices, Happened, Of, Pending};
use super::{Grid, PostState, SimDriver};
use crate::links::Link;

impl SimDriver {
    /// Measures devices whose links are equally slow; those that are silent time out on their own.
    pub(super) fn measure(&mut self, at: Time, devices: Devices) {
        let Some(devices) = self.connected(at, devices) else { return };
        let Devices { of, first, count } = devices;
        let post = of.post;
        self.advance(usize::from(self.posts[usize::from(post)].grid), at);
        let PostState { grid, links, .. } = &mut self.posts[usize::from(post)];
        let bus = &self.grids[usize::from(*grid)].bus;
        let mut answering = Devices { of, first, count: 0 };
        for device in first..first + count {
            let link = &mut links[usize::from(device)];
            let latency = link.latency();
            if link.answers() {
                link.measure(bus);
                answering.count += 1;
                if device + 1 < first + count {
                    continue;
                }
            } else {
                link.count_poll_timeout();
                let device = DeviceIndex(device);
                self.queue.push(at + link.timeout(), Pending::PollTimedOut { of, device });
            }
            if answering.count > 0 {
                self.queue.push(at + latency, Pending::Answers(answering));
            }
            answering = Devices { of, first: device + 1, count: 0 };
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
    fn exchange(&mut self, at: Time, of: Of, device: DeviceIndex) -> Option<Time> {
        let PostState { grid, links, .. } = &self.posts[usize::from(of.post)];
        let link = &links[device.position()];
        let Some(how) = link.one_connection() else { return Some(at) };
        let slot = &mut self.grids[usize::from(*grid)].slots[usize::from(link.component().0)];
        slot.exchange(at, (of.post, of.life), how)
    }

    /// A controller gives up its connection to a device.
    pub(super) fn disconnect(&mut self, post: u16, device: DeviceIndex) {
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

    /// Lets the first of several answers arrive and keeps the others for the next calls.
    #[inline]
    pub(super) fn arrive(&mut self, devices: Devices) -> (u16, Happened) {
        let Devices { of, first, count } = devices;
        let post = of.post;
        self.arriving = (count > 1).then_some(Devices { of, first: first + 1, count: count - 1 });
        self.posts[usize::from(post)].links[usize::from(first)].arrive();
        (post, Happened::Answer { device: DeviceIndex(first) })
    }

    /// A write arrives: its device takes it, or refuses it because it has accepted a higher epoch.
    pub(super) fn apply(
        &mut self,
        at: Time,
        post: u16,
        device: DeviceIndex,
        power: Watts,
        epoch: Epoch,
    ) -> WriteOutcome {
        let grid = self.posts[usize::from(post)].grid;
        let link = self.link(post, device);
        let (component, checks_epochs) = (link.component(), link.checks_epochs());
        if checks_epochs && self.authority.is_outdated(grid, component, epoch.number()) {
            return WriteOutcome::Refused;
        }
        self.link(post, device).count_write();
        self.authority.accepted(at, (grid, post), component, epoch.number());
        let Grid { bus, ledger, account, .. } = &mut self.grids[usize::from(grid)];
        bus.command(component, power, at, &mut (ledger, (account, self.monitor.watch(grid))));
        WriteOutcome::Acknowledged
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
        // What waits for a connection is checked when it is sent: D counts from there.
        let sent = self.exchange(at, of, device);
        let from = sent.unwrap_or(at);
        let now = now.max(self.clocks[usize::from(self.posts[usize::from(post)].host)].local(from));
        let link = self.link(post, device);
        if now > write.valid_until {
            let outcome = WriteOutcome::Expired;
            self.queue.push(from, Pending::WriteEnded { of, device, outcome });
        } else if sent.is_some() && link.answers() {
            let power = Watts::of(write.value * link.factor());
            let epoch = Epoch::of_number(write.epoch);
            let effect = from + link.write_delay();
            self.queue.push(effect, Pending::Write { of, device, power, epoch });
        } else {
            link.count_write_timeout();
            let timed_out = at + link.timeout();
            let outcome = WriteOutcome::TimedOut;
            self.queue.push(timed_out, Pending::WriteEnded { of, device, outcome });
        }
    }

    pub(super) fn link(&mut self, post: u16, device: DeviceIndex) -> &mut Link {
        &mut self.posts[usize::from(post)].links[device.position()]
    }

    /// Lets expectations see what a controller's image is about to show.
    pub(super) fn show_image(&mut self, at: Time, post: u16, device: DeviceIndex) {
        let link = &self.posts[usize::from(post)].links[device.position()];
        for sample in link.arrived() {
            self.monitor.image(at, ControllerIndex(post), sample.point, link.as_declared(sample));
        }
    }
}
