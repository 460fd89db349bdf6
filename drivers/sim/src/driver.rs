//! The simulation driver: a world that runs on one event queue.
//!
//! The plant moves by itself between instants, exactly; it is brought up to date when somebody measures or commands it. What
//! takes time on its way (answers, writes, time-outs) waits in the queue; what machines want to be woken for waits in
//! [`Wakes`]. At one instant the timeline comes first, then the queue, then wakes by controller order.
//!
//! - `wire` is what passes between them as frames, where it does;
//! - `grids` are the plants and who watches them; `devices` measures and commands;
//! - `hosts` are what controllers run on and talk over; `cores` shows who could write;
//! - `effects` does what machines ask for; `post` is a controller's place;
//! - `persistence` keeps what outlives controllers, on the hosts' disks;
//! - `stalls` lets hosts and processes stand still for a while;
//! - `walls` are the wall clocks that controllers are told of;
//! - `commands` lets a run that goes on be told something from outside;
//! - `timeline` is what happens to the world, beside the queue; `ties` is the order of what happens at one instant.
//!
//! **Invariant:** the driver never looks into a machine. It knows deliveries and outcomes, as a site's driver does.

mod answers;
mod commands;
mod cores;
mod devices;
mod effects;
mod failures;
mod grids;
mod hosts;
mod pending;
mod persistence;
mod post;
mod result;
mod stalls;
mod stops;
mod ties;
mod timeline;
mod walls;
mod wire;

use alloc::boxed::Box;
use alloc::vec::Vec;

use r_ems_engine::event::Event as Reported;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::machine::{self, Boot, Delivery, Driver, Effect, Input, Outcome, Step};
use r_ems_engine::orchestrator::Orchestrator;
use r_ems_engine::queue::EventQueue;
use r_ems_engine::redundancy::Command;
use r_ems_engine::wakes::Wakes;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{Span, Time};

use crate::authority::Watcher;
use crate::bill::{Bill, PriceChange};
use crate::expect::{Expectation, Monitor};
use crate::links::{Link, NoSuchValue};
use crate::network::Network;
use crate::plant::Bus;
use crate::progress;
use crate::world::{HostClock, PersistenceSpec, Ties, WorldSpec};

use self::effects::Part;
use self::grids::Grid;
use self::hosts::PostOffice;
use self::pending::{Devices, Happened, Pending, Told, plan};
use self::persistence::Persistence;
use self::post::PostState;
use self::stalls::Stalls;
use self::stops::Afterwards;
use self::ties::Shuffle;
use self::timeline::Timeline;
use self::wire::Freight;

pub use self::persistence::PersistenceResult;
pub use self::result::{GridResult, RunResult};

/// Most deliveries that may share an instant: more is a machine that wakes itself without end.
pub const MAX_PER_INSTANT: u32 = 1 << 20;

/// A simulated world that runs.
#[derive(Clone, Debug)]
pub struct SimDriver {
    queue: EventQueue<Pending>,
    wakes: Wakes,
    now: Time,
    end: Time,
    start: WallTime,
    clocks: Vec<HostClock>,
    grids: Vec<Grid>,
    posts: Vec<PostState>,
    timeline: Timeline,
    monitor: Monitor,
    watches_images: bool,
    /// Answers that arrive at this instant after the last delivery.
    arriving: Option<Devices>,
    network: Network,
    office: PostOffice,
    freight: Freight,
    sync: Span,
    /// Whether each host runs.
    hosts_up: Vec<bool>,
    /// By host: whether it is asked to end in order.
    hosts_leave: Vec<Option<Afterwards>>,
    authority: Watcher,
    progress: progress::Watch,
    /// The paths as they usually are.
    usual: Network,
    seed: u64,
    /// How what outlives controllers is kept, and what keeps it; none: their machines outlive everything.
    persistence_spec: Option<PersistenceSpec>,
    persistence: Option<Box<Persistence>>,
    /// Starts again who failed an assertion, with these states where nothing is kept; none: such a failure ends the run.
    orchestrator: Orchestrator,
    fresh: Vec<Vec<u8>>,
    /// Assertions that failed, the first ones.
    failures: Vec<Poisoned>,
    /// Who stands still; none while nobody does, as nearly always.
    stalls: Option<Box<Stalls>>,
    /// Chooses the order at one instant, where it is not the usual one.
    shuffle: Option<Shuffle>,
    at_this_instant: u32,
}

impl SimDriver {
    /// Makes a world that stands at the run's start.
    ///
    /// # Errors
    /// [`NoSuchValue`] if a link reads what its component does not have.
    pub fn new(spec: WorldSpec) -> Result<Self, NoSuchValue> {
        let windows = spec.start.start_of(Span::from_mins(15), r_ems_engine::wall::UtcOffset::UTC);
        let into_window = spec.start.since(windows);
        let first_window_ends = Time::ZERO + (Span::from_mins(15) - into_window);
        let grids = (0..).zip(spec.grids).map(|(number, world)| {
            let here = spec.posts.iter().filter(|post| post.grid == number);
            Grid::new(world, here, first_window_ends)
        });
        let grids: Vec<Grid> = grids.collect();
        let mut network = Network::new(spec.hosts.len(), spec.path, spec.seed);
        for (from, to, path) in &spec.paths {
            *network.path_mut(*from, *to) = *path;
        }
        let components: Vec<usize> = grids.iter().map(|grid| grid.bus.components().len()).collect();
        let of_posts: Vec<u16> = spec.posts.iter().map(|post| post.grid).collect();
        let authority = Watcher::new(&components, &of_posts);
        let mut queue = EventQueue::new();
        let mut posts = Vec::with_capacity(spec.posts.len());
        for (position, post) in spec.posts.iter().enumerate() {
            posts.push(PostState::new(position, post, &grids[usize::from(post.grid)].bus, spec.seed)?);
        }
        plan(&mut queue, &mut posts);
        let usual = network.clone();
        let watches_images = spec.expectations.iter().any(Expectation::watches_image);
        let monitor = watching(spec.expectations, &posts);
        let mut driver = Self {
            queue,
            wakes: Wakes::new(spec.posts.len() as u32),
            now: Time::ZERO,
            end: Time::ZERO + spec.duration,
            start: spec.start,
            hosts_up: alloc::vec![true; spec.hosts.len()],
            hosts_leave: alloc::vec![None; spec.hosts.len()],
            clocks: spec.hosts,
            grids,
            posts,
            timeline: Timeline::new(spec.timeline),
            watches_images,
            monitor,
            arriving: None,
            network,
            office: PostOffice::default(),
            freight: Freight::default(),
            sync: spec.sync,
            authority,
            seed: spec.seed,
            persistence_spec: spec.persistence,
            persistence: None,
            orchestrator: Orchestrator::new(spec.posts.len()),
            fresh: Vec::new(),
            failures: Vec::new(),
            stalls: None,
            shuffle: match spec.ties {
                Ties::InOrder => None,
                Ties::Shuffled(seed) => Some(Shuffle::new(seed)),
            },
            progress: progress::Watch::new(spec.promised),
            usual,
            at_this_instant: 0,
        };
        driver.look_at_cores(None);
        Ok(driver)
    }

    /// The same world, which also keeps a bill of each grid at these prices, which are in time order, and at this one of each
    /// kW of the highest mean over a quarter of an hour.
    #[must_use]
    pub fn with_prices(mut self, changes: &[PriceChange], demand_per_kw: f64) -> Self {
        for grid in &mut self.grids {
            grid.account.keep_bill(Bill::new(changes.to_vec(), demand_per_kw));
        }
        self
    }

    /// The instant of the last delivery.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// When the run is over.
    pub const fn end(&self) -> Time {
        self.end
    }

    /// The plant of a grid, as of the last time that somebody looked.
    pub fn bus(&self, grid: usize) -> &Bus {
        &self.grids[grid].bus
    }

    /// Brings a grid's plant up to an instant.
    #[inline]
    fn advance(&mut self, grid: usize, to: Time) {
        let (bus, mut watch) = self.grids[grid].watched(self.monitor.watch(grid as u16));
        bus.advance(to, &mut watch);
    }

    /// Lets the world happen until something reaches a machine, now; `None` when the run is over.
    #[inline]
    fn wait(&mut self) -> Option<(u16, Happened)> {
        loop {
            let changes = self.timeline.due();
            let queued = self.queue.next_time().unwrap_or(Time::MAX).min(changes);
            let (woken, index) = self.wakes.next().unwrap_or((Time::MAX, 0));
            let at = queued.min(woken);
            if at > self.end || at == Time::MAX {
                self.now = self.end;
                return None;
            }
            self.pass_to(at);
            if queued > woken {
                return Some((index as u16, Happened::Wake));
            }
            let pending = if changes == queued {
                self.timeline.take()
            } else {
                self.queue.pop().expect("its time was just read").1
            };
            let happened = self.happen(at, pending);
            if happened.is_some() {
                return happened;
            }
        }
    }

    /// Moves the run's time, and notices a machine that never lets it move.
    #[inline]
    fn pass_to(&mut self, at: Time) {
        if at > self.now {
            if at > self.progress.due() {
                self.progress.expire(at);
            }
            self.now = at;
            self.at_this_instant = 0;
        } else {
            self.at_this_instant += 1;
            assert!(self.at_this_instant < MAX_PER_INSTANT, "too many deliveries share an instant");
        }
    }

    /// Does what was waiting, unless it reaches somebody who stands still; returns what of it reaches a machine.
    #[inline]
    fn happen(&mut self, at: Time, pending: Pending) -> Option<(u16, Happened)> {
        let pending = if self.stalls.is_some() { self.hold_back(at, pending)? } else { pending };
        self.come_about(at, pending)
    }

    /// Does what was waiting; returns what of it reaches a machine.
    #[inline]
    fn come_about(&mut self, at: Time, pending: Pending) -> Option<(u16, Happened)> {
        match pending {
            Pending::Boot(of) if self.is_living(of) => self.begin_life(at, of),
            Pending::Measure(devices) => {
                if self.hears(devices.of) {
                    self.measure(at, devices);
                }
                None
            }
            Pending::Answers(devices) if self.hears(devices.of) => self.arrive(devices),
            Pending::Boot(_) | Pending::Answers(_) => None,
            Pending::PollTimedOut { of, device } => {
                self.hears(of).then_some((of.post, Happened::TimedOut { device }))
            }
            Pending::Write(write) => self.reach(at, &write),
            Pending::Send { of, write } => {
                if self.hears(of) {
                    self.leave(at, of.post, &write);
                }
                None
            }
            Pending::WriteAnswered(answer) => self.tell_outcome(at, answer),
            Pending::Request { slot, .. } => {
                self.request_reaches(at, slot);
                None
            }
            Pending::Frame { slot, .. } => self.frame_arrives(at, slot),
            Pending::LineTold { of, connection, number, is_open } => {
                self.tell_line(at, of, connection, (number, is_open))
            }
            Pending::WriteEnded { of, device, outcome } => {
                self.hears(of).then_some((of.post, Happened::Written { device, outcome }))
            }
            Pending::NotSent { of, device, kind, valid_until } => {
                self.hears(of).then_some((of.post, Happened::NotSent { device, kind, valid_until }))
            }
            Pending::Mail { slot } => self.deliver(slot),
            Pending::Saved(of) => self.hears(of).then(|| self.finish_saving(of.post)),
            Pending::Told { of, told } => self.hears(of).then(|| self.tell(of.post, told)),
            Pending::LookAtWalls => {
                self.look_at_walls(at);
                None
            }
            Pending::Revive(of) => {
                self.revive(at, of);
                None
            }
            Pending::Stop(of) => self.ask_to_stop(at, of),
            Pending::Ended(of) => {
                self.end_in_order(at, of);
                None
            }
            Pending::Disk { of, lane } => {
                self.hear_disk(at, of, lane);
                None
            }
            Pending::Tend(of) => {
                self.tend(at, of);
                None
            }
            Pending::Chance { post, device } => {
                self.toggle_chance(at, (post, device));
                None
            }
            Pending::Timeline(change) => self.change(at, change),
            Pending::Next { post } => self.let_in(at, post),
        }
    }

    /// Lets what afflicts a link by chance begin or end.
    fn toggle_chance(&mut self, at: Time, (post, device): (u16, DeviceIndex)) {
        let link = self.link(post, device);
        link.toggle_chance();
        if let Some(next) = link.next_chance(at) {
            self.queue.push(next, Pending::Chance { post, device });
        }
    }
}

/// Watches what is expected, and knows how long images believe what they hear.
fn watching(expectations: Vec<Expectation>, posts: &[PostState]) -> Monitor {
    let mut monitor = Monitor::new(expectations);
    for (controller, post) in (0..).zip(posts) {
        for (point, span) in post.links.iter().flat_map(Link::validity) {
            monitor.expires(ControllerIndex(controller), point, span);
        }
    }
    monitor
}

impl Driver for SimDriver {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let arriving = self.arriving.take().and_then(|devices| self.arrive_too(devices));
        let (post, happened) = match arriving {
            Some(too) => {
                self.pass_to(self.now);
                too
            }
            None if self.shuffle.is_some() => self.wait_shuffled()?,
            None => self.wait()?,
        };
        let at = self.now;
        if self.watches_images
            && let Happened::Answer { device } | Happened::Frame { device, brings: true, .. } = happened
        {
            self.show_image(at, post, device);
        }
        let state = &self.posts[usize::from(post)];
        if let Happened::Command(Command::Sole { begins: true }) = happened {
            self.authority.vouched(at, state.grid);
        }
        let (now, to) = (self.clocks[usize::from(state.host)].local(at), ControllerIndex(post));
        let step = match happened {
            Happened::Restore => {
                let fresh = self.fresh.get(usize::from(post)).map_or(&[][..], Vec::as_slice);
                let state = self.persistence.as_deref().map_or(fresh, |kept| kept.state(post));
                return Some(Delivery { at, now, to, step: Step::Restore { state } });
            }
            Happened::Boot => {
                let (incarnation, promise, wall) = (state.incarnation, state.promise, state.wall.wall);
                let boot = Boot { incarnation, wall, promise, ..Boot::FIRST };
                Step::Boot(self.persistence.as_deref().map_or(boot, |kept| kept.boot(post, wall)))
            }
            Happened::Wake => Step::Input(Input::Wake),
            Happened::Answer { device } => {
                Step::Input(Input::Points { device, samples: state.links[device.position()].arrived() })
            }
            Happened::TimedOut { device } => Step::Input(Input::TimedOut { device }),
            Happened::Written { device, outcome } => Step::Input(Input::Written { device, outcome }),
            Happened::NotSent { device, kind, valid_until } => {
                Step::Input(Input::NotSent { device, kind, valid_until })
            }
            Happened::Frame { connection, .. } => {
                Step::Input(Input::Frame { connection, bytes: state.wires.arrived() })
            }
            Happened::Line { connection, is_open } => Step::Input(Input::LinkChanged { connection, is_open }),
            Happened::Message { from, message } => Step::Input(Input::Message { from, message }),
            Happened::Unit { from, slot } => {
                Step::Input(Input::Transfer { from, unit: self.office.unit(slot) })
            }
            Happened::Told(Told::Promised(succeeded)) => Step::Input(Input::Promised { succeeded }),
            Happened::Told(Told::Snapshotted(succeeded)) => Step::Input(Input::Snapshotted { succeeded }),
            Happened::Told(Told::Journal(status)) => Step::Input(Input::Journal(status)),
            Happened::Told(Told::WallClock) => Step::Input(Input::WallClock { wall: state.wall.wall }),
            Happened::Command(command) => Step::Input(Input::Command(command)),
        };
        let next = Some(Delivery { at, now, to, step });
        if let (Some(kept), Some(delivery)) = (&mut self.persistence, &next) {
            kept.record(delivery);
        }
        next
    }

    fn failed(&mut self, failure: Poisoned) -> machine::Afterwards {
        self.crash(failure)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let post = outcome.from.0;
        let has_booted = self.posts[usize::from(post)].has_booted;
        if !has_booted {
            // It was restored, and boots next.
            return;
        }
        let effects = outcome.effects;
        let mut has_stopped = false;
        for effect in effects.as_slice() {
            if let Effect::Report(event) = effect {
                self.monitor.event(outcome.at, outcome.from, Reported::kind(event));
            }
            has_stopped |= matches!(effect, Effect::Stopped);
        }
        let waits_for_sync = self.persistence.is_some() && self.note_outcome(outcome);
        if self.stalls.is_some() && !has_stopped && self.is_caught(post, effects) {
            self.posts[usize::from(post)].deadline = outcome.deadline;
            if !waits_for_sync {
                self.do_effects(outcome.at, outcome.now, post, (effects, Part::Told));
                self.keep_in_flight(post, effects);
            }
            return self.stand_still(outcome.at, post);
        }
        // Two deliveries of three are answers, which a machine only keeps.
        if !waits_for_sync && !effects.as_slice().is_empty() {
            self.do_effects(outcome.at, outcome.now, post, (effects, Part::All));
        }
        if has_stopped {
            return self.cease(outcome.at, post);
        }
        let clock = self.clocks[usize::from(self.posts[usize::from(post)].host)];
        self.posts[usize::from(post)].deadline = outcome.deadline;
        let deadline = outcome.deadline.map(|deadline| clock.run_time(deadline).max(outcome.at));
        self.wakes.set(u32::from(post), deadline);
    }
}
