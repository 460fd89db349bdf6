//! A controller: one machine that reads its grid's image, composes its functions' wishes, and writes set-points.
//!
//! ```text
//!     Points, TimedOut, Written ─> image ─┐
//!     Wake ─> scan clock ─> judge image ─> composition ─> role gate ─> set-points ─> Write
//!                     └───> polls, due just before the next scan                └──> supervision
//! ```
//!
//! What it asks of devices behind Modbus passes through its [`Bus`], which turns it into frames and their answers into the
//! same inputs; the driver of a device whose protocol it speaks itself hears of polls and set-points as they are.
//!
//! - [`composition`] asks the functions; [`interval`] is what is left of a group's freedom; [`group`] and [`share`] split it;
//! - [`orders`] is what operators tell the devices, [`operation`] how they have the grid run, [`standing`] what devices say of
//!   themselves;
//! - [`set_points`] holds the role gate, epochs, expiry and the rate limit of writes, [`budget`] how many a day has;
//! - `recall` is the memory that a log keeps for other versions;
//! - `readiness` says when it may begin to run, and how it fares;
//! - [`supervision`] watches whether devices do what they are told; [`tally`] sums what each function did;
//! - [`crate::redundancy`] says whether this controller may write at all.
//!
//! **Start-up.** Nothing is decided before every meter that a function needs is good, and nothing is written to a device
//! before all its points are good and its set-point was read back. Devices that do not answer are waited for, but not for
//! ever ([`START_PATIENCE`]): one dead battery of ten must not stop the site, nor an inverter that sleeps at night. The
//! first set-point is the measured power; then each function takes over from there.
//!
//! **Redundancy.** A standby does everything that an active does but write: so it is ready, and so the first set-points of a
//! take-over are those that the active would have written. What it cannot measure, the memory behind the active's decisions,
//! it gets from the active after each scan ([`transfer`]); without it, it is not ready. It is granted authority between two
//! scans, and then decides and writes at once. A witness has no devices and only votes.

pub mod budget;
pub mod composition;
pub mod group;
mod hearing;
pub mod interval;
pub mod member;
pub mod mode;
pub mod operation;
pub mod orders;
pub mod reactive;
mod readiness;
mod recall;
pub mod set_points;
pub mod share;
mod shown;
mod spec;
pub mod standing;
mod stopping;
pub mod supervision;
pub mod tally;
pub mod transfer;
pub mod view;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use self::composition::{Composition, Scan};
use self::group::Group;
use self::operation::Operation;
use self::orders::ManualEnd;
pub use self::readiness::START_PATIENCE;
use self::recall::Recall;
use self::set_points::SetPoints;
pub use self::spec::{ControllerSpec, Placed, StackError};
pub use self::stopping::HAND_OVER_PATIENCE;
use self::stopping::{NextLife, Stopping};
use self::supervision::Supervision;
use self::transfer::StateTransfer;
use crate::carried::{Carried, NotCarried};
use crate::event::Event;
use crate::fieldbus::bus::{Bus, Told};
use crate::functions::Function;
use crate::functions::wiring::GroupSpec;
use crate::ids::DeviceIndex;
use crate::machine::{Boot, Effect, Effects, Input, Machine, WriteOutcome};
use crate::persistence::SnapshotSchedule;
use crate::points::{Connections, Image};
use crate::redundancy::{Command, RedundancySupervisor, Role};
use crate::time::{LocalTime, Span};
use crate::timing::{LoopTimingReporter, ScanClock};
use crate::wall::told::is_set;
use crate::wall::{TimeZone, WallTime};

/// One controller of a grid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Controller<F: Function> {
    scan_clock: ScanClock,
    timing: LoopTimingReporter,
    image: Image,
    bus: Bus,
    /// The meters that functions need.
    meters: Vec<DeviceIndex>,
    composition: Composition<F>,
    set_points: SetPoints,
    supervision: Supervision,
    redundancy: RedundancySupervisor,
    snapshots: SnapshotSchedule,
    transfer: StateTransfer,
    recall: Recall,
    /// The authority under which it writes; `None` while it has none.
    writes: Option<Writing>,
    /// Scans in a row before which others were missed.
    overruns: u8,
    phase: Phase,
    /// It is asked to end its life, and does.
    stopping: Option<Stopping>,
    booted_at: LocalTime,
    /// What the wall clock showed at boot, by what it was said to show last.
    wall_at_boot: Option<WallTime>,
    zone: TimeZone,
}

/// How far a controller has come in writing under its authority.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Writing {
    since: LocalTime,
    /// How old the state from the active before was then.
    state_age: Option<Span>,
    /// Whether the first set-points of this authority are out.
    has_begun: bool,
}

/// Where a controller is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Made, but not booted.
    Made,
    /// It polls and waits until every required point is good.
    Starting,
    /// It scans, and writes if it may.
    Running,
    /// It is a witness: it votes.
    Voting,
    /// Its life is over, in order.
    Stopped,
}

impl<F: Function> Machine for Controller<F> {
    type Spec = ControllerSpec<F>;

    fn new(spec: &ControllerSpec<F>) -> Self {
        let group = |group: &GroupSpec| Group::new(group, &spec.devices, spec.scan);
        let groups: Vec<Group> = spec.groups.iter().map(group).collect();
        let set_points = SetPoints::new(&groups, &spec.devices, &spec.bus.devices);
        let meters = spec.meters();
        let supervision = Supervision::new(&set_points, &spec.devices, meters.first().copied());
        let composition = Composition::new(spec.laws.clone(), groups, (spec.breaker(), spec.voltmeters()));
        let image = Image::new(&spec.devices, spec.scan);
        Self {
            scan_clock: ScanClock::new(spec.scan, LocalTime::ZERO),
            timing: LoopTimingReporter::default(),
            meters,
            transfer: StateTransfer::new(&composition, &image),
            image,
            bus: Bus::new(&spec.bus),
            composition,
            set_points,
            supervision,
            redundancy: RedundancySupervisor::new(&spec.redundancy),
            snapshots: SnapshotSchedule::new(spec.snapshots),
            recall: Recall::default(),
            writes: None,
            overruns: 0,
            phase: Phase::Made,
            stopping: None,
            booted_at: LocalTime::ZERO,
            wall_at_boot: None,
            zone: spec.zone,
        }
    }

    fn boot(&mut self, now: LocalTime, boot: Boot, out: &mut Effects) {
        self.scan_clock = ScanClock::new(self.scan_clock.period(), now);
        out.report(Event::Booted { incarnation: boot.incarnation });
        // Where there are others, one of them may go on with what is left of it.
        if self.redundancy.is_alone() {
            self.end_orders(ManualEnd::Boot, out);
        }
        self.image.forget(now);
        self.bus.forget();
        self.composition.forget();
        self.set_points.forget();
        self.supervision.forget();
        self.transfer.forget();
        self.writes = None;
        self.overruns = 0;
        self.stopping = None;
        self.booted_at = now;
        self.wall_at_boot = boot.wall;
        self.snapshots.boot(now, boot.origin, out);
        let parts = (&mut self.composition, &mut self.image, &mut self.set_points);
        self.recall.boot((now, boot.wall), self.transfer.layout(), parts, out);
        self.tell_ordered(Operation::Auto, out);
        self.tell_stop(false, out);
        self.redundancy.boot(now, boot.incarnation, boot.promise, out);
        if boot.abstains {
            self.redundancy.abstain();
        }
        self.phase = if self.redundancy.role() == Role::Witness { Phase::Voting } else { Phase::Starting };
        self.poll(out);
        self.pass_on(now, out);
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        if self.phase == Phase::Stopped {
            return self.rest(now);
        }
        match *input {
            Input::Wake => {
                self.bus.wake(now, out);
                // What leaves now is outstanding before anything is given up.
                self.pass_on(now, out);
                self.wake(now, out);
            }
            Input::Points { device, samples } => {
                self.image.take(now, device, samples);
                self.set_points.answers(now, device);
            }
            Input::TimedOut { device } => self.silent(device),
            Input::Written { device, outcome } => self.written(now, device, outcome, out),
            Input::NotSent { device, kind, valid_until } => {
                self.bus.not_sent(now, device, (kind, valid_until), out);
            }
            Input::Frame { connection, bytes } => self.bus.received(now, connection, bytes, out),
            Input::LinkChanged { connection, is_open } => {
                self.bus.link_changed(now, connection, is_open, out);
            }
            Input::Message { from, ref message } => self.redundancy.message(now, from, message, out),
            Input::Transfer { from, unit } => self.take_transfer(now, from, unit, out),
            Input::Promised { succeeded } => self.redundancy.saved(now, succeeded, out),
            Input::Snapshotted { succeeded } => self.snapshots.snapshotted(now, succeeded, out),
            Input::Journal(status) => self.snapshots.journal(now, status, out),
            Input::WallClock { wall } => self.set_wall_clock(now, wall, out),
            Input::Command(Command::Stop) => self.stop(now, NextLife::Nobodys, out),
            Input::Command(Command::Return) => self.stop(now, NextLife::Own, out),
            Input::Command(Command::Snapshot) => self.snapshots.ask(now, out),
            Input::Command(command) if command.is_order() => self.order(now, command, out),
            Input::Command(command) => self.redundancy.command(now, command, out),
        }
        self.pass_on(now, out);
        self.follow_authority(now, out);
        self.go_on_stopping(now, out);
        self.pass_on(now, out);
    }

    fn deadline(&self) -> Option<LocalTime> {
        match self.phase {
            Phase::Made => None,
            Phase::Voting => self.redundancy.deadline(),
            // Nobody wakes it; but a recovery sees from it at what time its life ended.
            Phase::Stopped => Some(self.scan_clock.due()),
            Phase::Starting | Phase::Running => {
                let others = [self.redundancy.deadline(), self.begins_at(), self.bus.deadline()];
                let first = self.scan_clock.due().min(self.stops_at());
                Some(others.into_iter().flatten().fold(first, LocalTime::min))
            }
        }
    }

    fn wall_clock(&self, now: LocalTime) -> Option<WallTime> {
        self.wall_at_boot.map(|wall| wall + now.since(self.booted_at))
    }

    fn carried(&self) -> Option<Carried> {
        self.kept_memory()
    }

    fn recall(&mut self, found: Result<Carried, NotCarried>) {
        // Who has no functions, as a witness, remembers nothing.
        if !self.composition.slots().is_empty() {
            self.recall.find(found);
        }
    }
}

impl<F: Function> Controller<F> {
    /// Lets pass over the bus what was asked of the devices behind it, and takes what became of that.
    #[inline]
    fn pass_on(&mut self, now: LocalTime, out: &mut Effects) {
        if !self.bus.is_empty() {
            self.exchange(now, out);
        }
    }

    #[inline(never)]
    fn exchange(&mut self, now: LocalTime, out: &mut Effects) {
        loop {
            let is_given_away = self.redundancy.authority(now).is_none();
            self.bus.carry_out(now, is_given_away, out);
            match self.bus.next_told() {
                None => return,
                Some(Told::Points { device, samples }) => {
                    self.image.take(now, device, self.bus.samples(samples));
                    self.set_points.answers(now, device);
                }
                Some(Told::TimedOut { device }) => self.silent(device),
                Some(Told::Reconnected { device }) => self.set_points.doubt(now, device),
                Some(Told::Left { device, valid_until, how }) => {
                    self.set_points.leaves(device, valid_until, how, self.redundancy.settings());
                    self.redundancy.wrote(self.set_points.writes_end());
                }
                Some(Told::NotSent { device, how }) => self.set_points.not_sent(device, how),
                Some(Told::Written { device, outcome }) => self.written(now, device, outcome, out),
                Some(Told::Steps { device, steps }) => self.set_points.takes_steps(device, steps),
                Some(Told::Models { device, found }) => out.report(Event::of_models(device, found)),
                Some(Told::Identity { device, found }) => out.report(Event::of_identity(device, found)),
                Some(Told::Beats { device, outcome }) => out.report(Event::of_heartbeats(device, outcome)),
            }
        }
    }

    /// Takes that a device did not answer a poll.
    fn silent(&mut self, device: DeviceIndex) {
        self.image.is_silent(device);
        self.set_points.is_silent(device);
    }

    /// Takes what became of a write.
    fn written(&mut self, now: LocalTime, device: DeviceIndex, outcome: WriteOutcome, out: &mut Effects) {
        self.set_points.written(now, device, outcome, out);
        if let WriteOutcome::Outdated { accepted } = outcome {
            self.redundancy.outdated(accepted, out);
        }
        self.tell_health(now, out);
    }

    fn wake(&mut self, now: LocalTime, out: &mut Effects) {
        if self.redundancy.deadline().is_some_and(|deadline| now >= deadline) {
            if !self.redundancy.health().is_ready {
                // Whose state is too old is ready as soon as no active is there to tell a newer one: it must not wait for a scan.
                self.tell_health(now, out);
            }
            self.redundancy.wake(now, out);
        }
        match self.phase {
            Phase::Made | Phase::Voting | Phase::Stopped => {}
            Phase::Starting | Phase::Running => self.scan(now, out),
        }
    }

    fn scan(&mut self, now: LocalTime, out: &mut Effects) {
        let stall = self.stall(now);
        let Some(turn) = self.scan_clock.begin(now) else { return };
        self.timing.count(turn);
        self.overruns = if turn.missed > 0 { self.overruns.saturating_add(1) } else { 0 };
        if turn.missed > 0 {
            out.report(Event::ScansMissed { count: turn.missed, lateness: turn.lateness });
        }
        self.judge(now, stall, out);
        self.start(now, out);
        if self.phase == Phase::Running {
            self.compose(now, out);
            self.write(now, out);
            self.beat(now, out);
            let mode = self.composition.mode();
            self.supervision.watch(now, mode, &self.set_points, &self.image, out);
            self.transfer.send(now, &mut self.redundancy, (&mut self.composition, &mut self.image), out);
        } else if self.comes_to_rest() {
            self.write(now, out);
            self.beat(now, out);
        }
        self.tell_health(now, out);
        self.poll(out);
        self.snapshots.scanned(now, out);
        self.invariants(now);
    }

    fn compose(&mut self, now: LocalTime, out: &mut Effects) {
        self.expire_orders(now, out);
        self.composition.look(now, &self.image, out);
        let elapsed = self.composition.elapsed(now);
        let scan = Scan { now, wall: self.wall_clock(now), zone: self.zone, image: &self.image, elapsed };
        self.composition.compose(&scan, out);
        self.recall.decided(now, scan.wall);
    }

    /// Writes set-points, as far as there is authority.
    fn write(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(authority) = self.redundancy.authority(now) else { return };
        let settings = self.redundancy.settings();
        let seen = (self.composition.groups(), &self.image, &self.bus);
        let step = self.set_points.write(now, authority, settings, self.wanted(), seen, out);
        // Before anything else happens: a hand-over that comes next must wait for what has just left.
        self.redundancy.wrote(self.set_points.writes_end());
        let begins = self.begins_at().is_some_and(|at| now >= at);
        if let Some(writes) = self.writes.as_mut().filter(|_writes| begins) {
            writes.has_begun = true;
            if let Some(step) = step {
                let (after, state_age) = (now.since(writes.since), writes.state_age);
                out.report(Event::SetPointsTakenOver { step, after, state_age });
            }
        }
    }

    /// Lets devices hear that it cares for them, also while it gives authority up: nobody else does yet.
    fn beat(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(lease) = self.redundancy.lease(now) else { return };
        let wanted = self.wanted();
        let cares = |device| self.set_points.care(device, wanted, self.composition.groups());
        self.bus.beat(now, (lease.epoch.number(), lease.until), self.scan_clock.due(), cares, out);
    }

    /// Notices that authority came or went. Who has just been granted it decides and writes at once.
    fn follow_authority(&mut self, now: LocalTime, out: &mut Effects) {
        let Some(authority) = self.redundancy.authority(now) else {
            // Who hands over still waits for its last writes.
            if !self.redundancy.role().holds() && self.writes.take().is_some() {
                // What was written is another's to re-assert and to watch from now on.
                self.set_points.forget_decisions();
                self.supervision.forget();
                self.bus.forget_beats();
                self.image.disconnect();
                self.disconnect(out);
            }
            return;
        };
        if self.writes.is_some_and(|writes| writes.since == authority.since) {
            if self.begins_at().is_some_and(|at| now >= at) {
                self.write(now, out);
            }
            return;
        }
        self.set_points.forget_decisions();
        self.supervision.forget();
        self.bus.forget_beats();
        self.image.connect(now);
        let is_alone = self.redundancy.is_alone();
        // A lease that was renewed after a lapse is no take-over: its first writes were due long ago.
        let wait = self.set_points.shortest_wait(self.redundancy.settings()).unwrap_or(Span::ZERO);
        let has_begun = is_alone || authority.since + wait < now;
        self.writes = Some(Writing { since: authority.since, state_age: self.transfer.age(now), has_begun });
        if !is_alone {
            self.poll_those(Connections::ActiveOnly, out);
        }
        if self.phase == Phase::Running {
            self.judge(now, self.stall(now), out);
            self.compose(now, out);
            self.write(now, out);
            self.beat(now, out);
            self.transfer.send(now, &mut self.redundancy, (&mut self.composition, &mut self.image), out);
        }
    }

    /// When the first write of this authority may leave, if it is still to come.
    fn begins_at(&self) -> Option<LocalTime> {
        let may_begin = self.phase == Phase::Running && self.redundancy.role() == Role::Active;
        let writes = self.writes.filter(|writes| !writes.has_begun && may_begin)?;
        let wait = self.set_points.shortest_wait(self.redundancy.settings())?;
        Some(writes.since + wait)
    }

    /// Asks every device that it connects to for an answer that is there just before the next scan.
    fn poll(&self, out: &mut Effects) {
        self.poll_those(Connections::Shared, out);
        if self.redundancy.role().holds() {
            self.poll_those(Connections::ActiveOnly, out);
        }
    }

    fn poll_those(&self, connections: Connections, out: &mut Effects) {
        let due = self.scan_clock.due();
        for device in self.image.devices_with(connections) {
            out.push(Effect::Poll { device, due });
        }
    }

    /// Gives up its connections to the devices that take only one.
    fn disconnect(&self, out: &mut Effects) {
        for device in self.image.devices_with(Connections::ActiveOnly) {
            out.push(Effect::Disconnect { device });
        }
    }

    /// Dates by another wall clock from now on; nothing is timed by it.
    fn set_wall_clock(&mut self, now: LocalTime, wall: Option<WallTime>, out: &mut Effects) {
        let before = self.wall_clock(now);
        self.wall_at_boot = wall.map(|wall| wall - now.since(self.booted_at));
        if is_set(before, wall) {
            out.report(Event::WallClockSet { before, after: wall });
        }
    }

    fn invariants(&self, now: LocalTime) {
        assert!(self.scan_clock.due() > now, "the next scan lies ahead");
        assert!(matches!(self.phase, Phase::Starting | Phase::Running), "only a booted controller scans");
    }

    #[cfg(test)]
    pub(crate) const fn parts_mut(&mut self) -> (&mut Composition<F>, &mut Image) {
        (&mut self.composition, &mut self.image)
    }
}
