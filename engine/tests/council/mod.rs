//! A council whose members are the real supervisors, on a small world: clocks of different rates, a network that delays and
//! loses, disks that take their time, and crashes.

#![allow(dead_code, reason = "each test file uses a part of it")]

use r_ems_engine::LocalTime;
use r_ems_engine::event::Event;
use r_ems_engine::machine::{Effect, Effects};
use r_ems_engine::redundancy::{
    Command, Council, Epoch, Health, Message, Promise, RedundancySupervisor, Role, Seat, Settings,
    SupervisorSpec,
};
use r_ems_engine::rng::Stream;

pub(crate) const MILLI: u64 = 1_000_000;

/// What the network does to a message.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    pub(crate) delay_min: u64,
    pub(crate) delay_mean: u64,
    pub(crate) delay_max: u64,
    pub(crate) loss_percent: u64,
}

impl Network {
    pub(crate) const GOOD: Self =
        Self { delay_min: 300_000, delay_mean: MILLI, delay_max: 5 * MILLI, loss_percent: 0 };
}

#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) supervisor: RedundancySupervisor,
    /// The same before any boot.
    fresh: RedundancySupervisor,
    pub(crate) is_up: bool,
    rate_ppb: i64,
    booted_at: u64,
    /// It does nothing before.
    stalled_until: u64,
    pub(crate) disk: Promise,
    saving: Option<(u64, Promise)>,
    incarnation: u32,
    pub(crate) events: Vec<(u64, Event)>,
}

#[derive(Clone, Copy)]
struct OnTheWay {
    due: u64,
    from: usize,
    to: usize,
    message: Message,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) members: Vec<Member>,
    on_the_way: Vec<OnTheWay>,
    pub(crate) network: Network,
    /// Whether `from` reaches `to`.
    pub(crate) cut: Vec<Vec<bool>>,
    /// How long a disk takes.
    pub(crate) sync: u64,
    /// Whether disks refuse to write.
    pub(crate) disks_fail: bool,
    random: Stream,
    /// Instants at which two held authority, which only some settings permit.
    pub(crate) overlaps: u64,
}

/// How long a good disk takes.
const SYNC: u64 = 4 * MILLI;
/// The clock of a member that has just booted shows this.
const CLOCK_AT_BOOT: u64 = 1_000_000_000;

impl World {
    pub(crate) fn new(hosts: &[u16], has_witness: bool, settings: &Settings, seed: u64) -> Self {
        let member = |seat: usize| {
            let council = Council::new(hosts, has_witness, Seat(seat as u8));
            let spec = SupervisorSpec { council, settings: settings.clone(), section: 7 };
            let fresh = RedundancySupervisor::new(&spec);
            Member {
                supervisor: fresh.clone(),
                fresh,
                is_up: false,
                rate_ppb: 0,
                booted_at: 0,
                stalled_until: 0,
                disk: Promise::FIRST,
                saving: None,
                incarnation: 0,
                events: Vec::new(),
            }
        };
        let count = hosts.len();
        Self {
            now: 0,
            members: (0..count).map(member).collect(),
            on_the_way: Vec::new(),
            network: Network::GOOD,
            cut: vec![vec![false; count]; count],
            sync: SYNC,
            disks_fail: false,
            random: Stream::new(seed, 1),
            overlaps: 0,
        }
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    pub(crate) fn set_rate(&mut self, seat: usize, ppb: i64) {
        self.members[seat].rate_ppb = ppb;
    }

    pub(crate) fn local(&self, seat: usize) -> LocalTime {
        let member = &self.members[seat];
        let elapsed = i128::from(self.now - member.booted_at);
        let shown = elapsed + elapsed * i128::from(member.rate_ppb) / 1_000_000_000;
        LocalTime::from_nanos(CLOCK_AT_BOOT + shown as u64)
    }

    /// The first instant at which the clock of `seat` shows `local`.
    fn run_time(&self, seat: usize, local: LocalTime) -> u64 {
        let member = &self.members[seat];
        let shown = i128::from(local.as_nanos().saturating_sub(CLOCK_AT_BOOT));
        let rate = 1_000_000_000 + i128::from(member.rate_ppb);
        let elapsed = (shown * 1_000_000_000 + rate - 1) / rate;
        (member.booted_at + elapsed as u64).max(self.now)
    }

    pub(crate) fn boot(&mut self, seat: usize) {
        self.members[seat].supervisor = self.members[seat].fresh.clone();
        self.boot_with_its_state(seat);
    }

    /// A boot that finds the state of the life before, whatever became of its promises.
    pub(crate) fn boot_with_its_state(&mut self, seat: usize) {
        let member = &mut self.members[seat];
        member.is_up = true;
        (member.booted_at, member.stalled_until) = (self.now, self.now);
        member.incarnation += 1;
        let mut out = Effects::new();
        let (incarnation, promise) = (member.incarnation, member.disk);
        let now = self.local(seat);
        let supervisor = &mut self.members[seat].supervisor;
        supervisor.boot(now, incarnation, promise, &mut out);
        supervisor.report(now, HEALTHY, &mut out);
        self.perform(seat, &out);
    }

    /// A boot that finds nothing of what was promised, nor the numbers of the lives before.
    pub(crate) fn boot_without_promises(&mut self, seat: usize) {
        (self.members[seat].disk, self.members[seat].incarnation) = (Promise::FIRST, 0);
        self.boot(seat);
        self.with(seat, |supervisor, _now, _out| supervisor.abstain());
    }

    /// The process and what was on its way to the disk are gone; messages that left are not.
    pub(crate) fn crash(&mut self, seat: usize) {
        self.members[seat].is_up = false;
        self.members[seat].saving = None;
    }

    /// The member does nothing for so long; what comes meanwhile waits.
    pub(crate) fn stall(&mut self, seat: usize, span: u64) {
        self.members[seat].stalled_until = self.now + span;
    }

    pub(crate) fn report(&mut self, seat: usize, health: Health) {
        self.with(seat, |supervisor, now, out| supervisor.report(now, health, out));
    }

    /// A device refuses a write of the member, as it has accepted another epoch.
    pub(crate) fn refuse(&mut self, seat: usize, accepted: Epoch) {
        self.with(seat, |supervisor, _now, out| supervisor.outdated(accepted.number(), out));
    }

    pub(crate) fn command(&mut self, seat: usize, command: Command) {
        self.with(seat, |supervisor, now, out| supervisor.command(now, command, out));
    }

    fn with(&mut self, seat: usize, act: impl FnOnce(&mut RedundancySupervisor, LocalTime, &mut Effects)) {
        if self.members[seat].is_up {
            let now = self.local(seat);
            let mut out = Effects::new();
            act(&mut self.members[seat].supervisor, now, &mut out);
            self.perform(seat, &out);
        }
    }

    fn perform(&mut self, seat: usize, out: &Effects) {
        for effect in out.as_slice() {
            match *effect {
                Effect::Send { to, message } => self.post(seat, to.position(), message),
                Effect::Promise(promise) => {
                    self.members[seat].saving = Some((self.now + self.sync, promise));
                }
                Effect::Report(event) => self.members[seat].events.push((self.now, event)),
                Effect::Authority { until, .. } => {
                    assert!(until >= self.local(seat), "authority that is told is not over");
                }
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
        self.check();
    }

    fn post(&mut self, from: usize, to: usize, message: Message) {
        let Network { delay_min, delay_mean, delay_max, loss_percent } = self.network;
        if self.cut[from][to] || self.random.below(100) < loss_percent {
            return;
        }
        let extra = self.random.exponential(delay_mean as f64) as u64;
        let delay = (delay_min + extra).min(delay_max);
        self.on_the_way.push(OnTheWay { due: self.now + delay, from, to, message });
    }

    /// Who has authority at this instant of true time.
    pub(crate) fn authorities(&self) -> Vec<usize> {
        let holds = |seat: &usize| {
            let member = &self.members[*seat];
            member.is_up && member.supervisor.authority(self.local(*seat)).is_some()
        };
        (0..self.members.len()).filter(holds).collect()
    }

    fn check(&mut self) {
        if self.authorities().len() > 1 {
            self.overlaps += 1;
        }
    }

    /// Runs for `span` nanoseconds.
    pub(crate) fn run(&mut self, span: u64) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
        self.check();
    }

    /// Lets the next thing happen; `false` if nothing happens up to `end`.
    fn step(&mut self, end: u64) -> bool {
        let due = |letter: &OnTheWay| letter.due.max(self.members[letter.to].stalled_until);
        let mail = self.on_the_way.iter().enumerate().min_by_key(|entry| due(entry.1));
        let mail = mail.map(|(place, letter)| (due(letter), place));
        let mut first: Option<(u64, usize, bool)> = None;
        for (seat, member) in self.members.iter().enumerate().filter(|entry| entry.1.is_up) {
            let wake =
                member.supervisor.deadline().map(|deadline| (self.run_time(seat, deadline), seat, false));
            let saved = member.saving.map(|(due, _promise)| (due, seat, true));
            for (due, seat, is_saved) in [wake, saved].into_iter().flatten() {
                let event = (due.max(member.stalled_until), seat, is_saved);
                if first.is_none_or(|known| event.0 < known.0) {
                    first = Some(event);
                }
            }
        }
        let (due, is_mail) = match (mail, first) {
            (Some((mail, _)), Some((other, ..))) => (mail.min(other), mail <= other),
            (Some((mail, _)), None) => (mail, true),
            (None, Some((other, ..))) => (other, false),
            (None, None) => return false,
        };
        if due > end {
            return false;
        }
        self.now = due;
        if is_mail {
            let letter = self.on_the_way.swap_remove(mail.map_or(0, |(_due, place)| place));
            let from = Seat(letter.from as u8);
            self.with(letter.to, |supervisor, now, out| supervisor.message(now, from, &letter.message, out));
        } else if let Some((_, seat, is_saved)) = first {
            if is_saved {
                let saved = self.members[seat].saving.take().filter(|_saved| !self.disks_fail);
                if let Some((_due, promise)) = saved {
                    self.members[seat].disk = promise;
                }
                self.with(seat, |supervisor, now, out| supervisor.saved(now, saved.is_some(), out));
            } else {
                self.with(seat, RedundancySupervisor::wake);
            }
        }
        true
    }

    pub(crate) fn role(&self, seat: usize) -> Role {
        self.members[seat].supervisor.role()
    }

    pub(crate) fn heal(&mut self) {
        let count = self.members.len();
        self.cut = vec![vec![false; count]; count];
        self.network = Network::GOOD;
        (self.sync, self.disks_fail) = (SYNC, false);
        for seat in 0..count {
            if !self.members[seat].is_up {
                self.boot(seat);
            }
        }
    }
}

pub(crate) const HEALTHY: Health = Health {
    is_ready: true,
    reaches_devices: true,
    overruns: false,
    is_late: false,
    writes_end: LocalTime::ZERO,
};
