//! The simulation driver: a world that runs on one event queue.
//!
//! The plant moves by itself between instants, exactly; it is brought up to date when somebody measures or commands it. What
//! takes time on its way (answers, writes, time-outs) waits in the queue; what machines want to be woken for waits in
//! [`Wakes`]. At one instant the queue comes first, then wakes by controller order.
//!
//! **Invariant:** the driver never looks into a machine. It knows deliveries and outcomes, as a site's driver does.

mod ties;

use alloc::format;
use alloc::vec::Vec;

use r_ems_engine::event::Event as Reported;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::machine::{
    Boot, Delivery, Driver, Effect, Input, Outcome, SetPointWrite, Step, WriteOutcome,
};
use r_ems_engine::queue::EventQueue;
use r_ems_engine::rng::Stream;
use r_ems_engine::units::Watts;
use r_ems_engine::wakes::Wakes;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{LocalTime, Span, Time};

use crate::account::Account;
use crate::bill::{Bill, PriceChange};
use crate::expect::{Expectation, Monitor, Verdict};
use crate::ledger::{Energies, Imbalance, Ledger};
use crate::links::{Link, NoSuchValue, Traffic};
use crate::plant::Bus;
use crate::world::{Change, HostClock, InverterOrder, Post, Ties, Timed, WorldSpec};

use self::ties::Shuffle;

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
    timeline: Vec<Timed>,
    monitor: Monitor,
    watches_images: bool,
    /// Answers that arrive at this instant after the last delivery.
    arriving: Option<Devices>,
    /// Chooses the order at one instant, where it is not the usual one.
    shuffle: Option<Shuffle>,
    at_this_instant: u32,
}

/// Neighboring devices of one controller, which were polled together: their answers travel together.
#[derive(Clone, Copy, Debug)]
struct Devices {
    post: u16,
    first: u16,
    count: u16,
}

/// One grid's plant with those who watch it.
#[derive(Clone, Debug)]
struct Grid {
    bus: Bus,
    ledger: Ledger,
    account: Account,
}

/// A controller's place at run time.
#[derive(Clone, Debug)]
struct PostState {
    clock: u16,
    grid: u16,
    links: Vec<Link>,
}

/// What waits in the queue.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Boot { post: u16 },
    Measure(Devices),
    Answers(Devices),
    PollTimedOut { post: u16, device: DeviceIndex },
    Write { post: u16, device: DeviceIndex, power: Watts },
    WriteEnded { post: u16, device: DeviceIndex, outcome: WriteOutcome },
    Chance { post: u16, device: DeviceIndex },
    Timeline { place: u32 },
}

/// What one grid's plant did in a run.
#[derive(Clone, Debug)]
pub struct GridResult {
    /// Energy by kind.
    pub energies: Energies,
    /// Whether the books balance.
    pub balance: Result<(), Imbalance>,
    /// Peaks, cycles and extremes.
    pub account: Account,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunResult {
    /// How long it really lasted.
    pub simulated: Span,
    /// By grid.
    pub grids: Vec<GridResult>,
    /// By expectation.
    pub verdicts: Vec<Verdict>,
    /// By controller and device.
    pub traffic: Vec<Vec<Traffic>>,
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
        let grid = |grid: crate::world::GridWorld| Grid {
            ledger: Ledger::new(&grid.bus),
            account: Account::new(&grid.bus, first_window_ends, grid.shaving_limit),
            bus: grid.bus,
        };
        let grids: Vec<Grid> = spec.grids.into_iter().map(grid).collect();
        let mut queue = EventQueue::new();
        let mut posts = Vec::with_capacity(spec.posts.len());
        for (position, post) in spec.posts.iter().enumerate() {
            posts.push(PostState::new(position, post, &grids[usize::from(post.grid)].bus, spec.seed)?);
        }
        for (place, timed) in (0..).zip(&spec.timeline) {
            queue.push(timed.at, Pending::Timeline { place });
        }
        for (post, state) in (0..).zip(&mut posts) {
            queue.push(Time::ZERO, Pending::Boot { post });
            for (device, link) in (0..).zip(&mut state.links) {
                if let Some(at) = link.next_chance(Time::ZERO) {
                    queue.push(at, Pending::Chance { post, device: DeviceIndex(device) });
                }
            }
        }
        let watches_images = spec.expectations.iter().any(Expectation::watches_image);
        let mut monitor = Monitor::new(spec.expectations);
        for (controller, post) in (0..).zip(&posts) {
            for (point, span) in post.links.iter().flat_map(Link::validity) {
                monitor.expires(ControllerIndex(controller), point, span);
            }
        }
        Ok(Self {
            queue,
            wakes: Wakes::new(spec.posts.len() as u32),
            now: Time::ZERO,
            end: Time::ZERO + spec.duration,
            start: spec.start,
            clocks: spec.hosts,
            grids,
            posts,
            timeline: spec.timeline,
            watches_images,
            monitor,
            arriving: None,
            shuffle: match spec.ties {
                Ties::InOrder => None,
                Ties::Shuffled(seed) => Some(Shuffle::new(seed)),
            },
            at_this_instant: 0,
        })
    }

    /// The same world, which also keeps a bill of each grid at these prices, which are in time order.
    #[must_use]
    pub fn with_prices(mut self, changes: &[PriceChange]) -> Self {
        for grid in &mut self.grids {
            grid.account.keep_bill(Bill::new(changes.to_vec()));
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

    /// A grid's energies by kind, as of the last time that somebody looked.
    pub fn energies(&self, grid: usize) -> Energies {
        let Grid { bus, ledger, .. } = &self.grids[grid];
        ledger.energies(bus)
    }

    /// Closes the books, at the run's end or wherever it was stopped.
    pub fn finish(&mut self) -> RunResult {
        let at = self.now.min(self.end);
        for grid in 0..self.grids.len() {
            self.advance(grid, at);
        }
        let result = |grid: &Grid| GridResult {
            energies: grid.ledger.energies(&grid.bus),
            balance: grid.ledger.check(&grid.bus),
            account: grid.account.clone(),
        };
        let traffic = |post: &PostState| post.links.iter().map(Link::traffic).collect();
        RunResult {
            simulated: at.since(Time::ZERO),
            grids: self.grids.iter().map(result).collect(),
            verdicts: self.monitor.finish(at),
            traffic: self.posts.iter().map(traffic).collect(),
        }
    }

    /// Brings a grid's plant up to an instant.
    #[inline]
    fn advance(&mut self, grid: usize, to: Time) {
        let Grid { bus, ledger, account } = &mut self.grids[grid];
        bus.advance(to, &mut (ledger, (account, self.monitor.watch(grid as u16))));
    }

    /// Lets the world happen until something reaches a machine; `None` when the run is over.
    #[inline]
    fn wait(&mut self) -> Option<(Time, u16, Happened)> {
        loop {
            let queued = self.queue.next_time().unwrap_or(Time::MAX);
            let (woken, index) = self.wakes.next().unwrap_or((Time::MAX, 0));
            let at = queued.min(woken);
            if at > self.end || at == Time::MAX {
                self.now = self.end;
                return None;
            }
            self.pass_to(at);
            if queued > woken {
                return Some((at, index as u16, Happened::Wake));
            }
            let (_, pending) = self.queue.pop().expect("its time was just read");
            if let Some((post, happened)) = self.happen(at, pending) {
                return Some((at, post, happened));
            }
        }
    }

    /// Moves the run's time, and notices a machine that never lets it move.
    #[inline]
    fn pass_to(&mut self, at: Time) {
        if at > self.now {
            self.now = at;
            self.at_this_instant = 0;
        } else {
            self.at_this_instant += 1;
            assert!(self.at_this_instant < MAX_PER_INSTANT, "too many deliveries share an instant");
        }
    }

    /// Does what was waiting; returns what of it reaches a machine.
    #[inline]
    fn happen(&mut self, at: Time, pending: Pending) -> Option<(u16, Happened)> {
        match pending {
            Pending::Boot { post } => Some((post, Happened::Boot)),
            Pending::Measure(devices) => {
                self.measure(at, devices);
                None
            }
            Pending::Answers(devices) => Some(self.arrive(devices)),
            Pending::PollTimedOut { post, device } => Some((post, Happened::TimedOut { device })),
            Pending::Write { post, device, power } => {
                self.apply(at, post, device, power);
                Some((post, Happened::Written { device, outcome: WriteOutcome::Acknowledged }))
            }
            Pending::WriteEnded { post, device, outcome } => {
                Some((post, Happened::Written { device, outcome }))
            }
            Pending::Chance { post, device } => {
                let link = self.link(post, device);
                link.toggle_chance();
                if let Some(next) = link.next_chance(at) {
                    self.queue.push(next, Pending::Chance { post, device });
                }
                None
            }
            Pending::Timeline { place } => {
                self.change(at, self.timeline[place as usize].change);
                None
            }
        }
    }

    /// Measures devices whose links are equally slow; those that are silent time out on their own.
    fn measure(&mut self, at: Time, devices: Devices) {
        let Devices { post, first, count } = devices;
        self.advance(usize::from(self.posts[usize::from(post)].grid), at);
        let PostState { grid, links, .. } = &mut self.posts[usize::from(post)];
        let bus = &self.grids[usize::from(*grid)].bus;
        let mut answering = Devices { post, first, count: 0 };
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
                self.queue.push(at + link.timeout(), Pending::PollTimedOut { post, device });
            }
            if answering.count > 0 {
                self.queue.push(at + latency, Pending::Answers(answering));
            }
            answering = Devices { post, first: device + 1, count: 0 };
        }
    }

    /// Lets the first of several answers arrive and keeps the others for the next calls.
    #[inline]
    fn arrive(&mut self, devices: Devices) -> (u16, Happened) {
        let Devices { post, first, count } = devices;
        self.arriving = (count > 1).then_some(Devices { post, first: first + 1, count: count - 1 });
        self.posts[usize::from(post)].links[usize::from(first)].arrive();
        (post, Happened::Answer { device: DeviceIndex(first) })
    }

    fn apply(&mut self, at: Time, post: u16, device: DeviceIndex, power: Watts) {
        let grid = usize::from(self.posts[usize::from(post)].grid);
        let link = self.link(post, device);
        link.count_write();
        let component = link.component();
        let Grid { bus, ledger, account } = &mut self.grids[grid];
        bus.command(component, power, at, &mut (ledger, (account, self.monitor.watch(grid as u16))));
    }

    fn change(&mut self, at: Time, change: Change) {
        let grid = match change {
            Change::Link { controller, device, state } => {
                self.link(controller, device).set_state(state);
                return;
            }
            Change::Breaker { grid, .. } | Change::Inverter { grid, .. } => grid,
        };
        let Grid { bus, ledger, account } = &mut self.grids[usize::from(grid)];
        let watch = &mut (ledger, (account, self.monitor.watch(grid)));
        match change {
            Change::Breaker { position, .. } => bus.breaker(position, at, watch),
            Change::Inverter { component, order: InverterOrder::Start, .. } => {
                bus.start(component, at, watch)
            }
            Change::Inverter { component, order: InverterOrder::Stop, .. } => bus.stop(component, at, watch),
            Change::Link { .. } => {}
        }
    }

    /// Sends the polls among `effects` on their way, so that their answers are there when they are due.
    fn poll(&mut self, at: Time, post: u16, effects: &[Effect]) {
        let state = &self.posts[usize::from(post)];
        let clock = self.clocks[usize::from(state.clock)];
        let mut together: Option<(Time, Span, Devices)> = None;
        for effect in effects {
            let Effect::Poll { device, due } = effect else { continue };
            let latency = state.links[device.position()].latency();
            let measured = (clock.run_time(*due) - latency).max(at);
            if let Some((instant, slowness, devices)) = &mut together
                && (*instant, *slowness, devices.first + devices.count) == (measured, latency, device.0)
            {
                devices.count += 1;
                continue;
            }
            if let Some((instant, _, devices)) =
                together.replace((measured, latency, Devices { post, first: device.0, count: 1 }))
            {
                self.queue.push(instant, Pending::Measure(devices));
            }
        }
        if let Some((instant, _, devices)) = together {
            self.queue.push(instant, Pending::Measure(devices));
        }
    }

    /// Sends a write on its way, unless it is no longer valid.
    fn write(&mut self, at: Time, now: LocalTime, post: u16, write: &SetPointWrite) {
        let device = write.device;
        let link = self.link(post, device);
        if now > write.valid_until {
            let outcome = WriteOutcome::Expired;
            self.queue.push(at, Pending::WriteEnded { post, device, outcome });
        } else if link.answers() {
            let power = Watts::of(write.value * link.factor());
            let effect = at + link.latency();
            self.queue.push(effect, Pending::Write { post, device, power });
        } else {
            link.count_write_timeout();
            let timed_out = at + link.timeout();
            let outcome = WriteOutcome::TimedOut;
            self.queue.push(timed_out, Pending::WriteEnded { post, device, outcome });
        }
    }

    fn link(&mut self, post: u16, device: DeviceIndex) -> &mut Link {
        &mut self.posts[usize::from(post)].links[device.position()]
    }

    /// Lets expectations see what a controller's image is about to show.
    fn show_image(&mut self, at: Time, post: u16, device: DeviceIndex) {
        let link = &self.posts[usize::from(post)].links[device.position()];
        for sample in link.arrived() {
            self.monitor.image(at, ControllerIndex(post), sample.point, link.as_declared(sample));
        }
    }
}

/// What reaches a machine, before its data is lent.
#[derive(Clone, Copy, Debug)]
enum Happened {
    Boot,
    Wake,
    Answer { device: DeviceIndex },
    TimedOut { device: DeviceIndex },
    Written { device: DeviceIndex, outcome: WriteOutcome },
}

impl PostState {
    fn new(position: usize, post: &Post, bus: &Bus, seed: u64) -> Result<Self, NoSuchValue> {
        let mut links = Vec::with_capacity(post.links.len());
        for (device, link) in post.links.iter().enumerate() {
            links.push(Link::new(link, bus, Stream::named(seed, &format!("link {position}.{device}")))?);
        }
        Ok(Self { clock: post.host, grid: post.grid, links })
    }
}

impl Driver for SimDriver {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let (at, post, happened) = match self.arriving.take() {
            Some(devices) => {
                let (post, happened) = self.arrive(devices);
                self.pass_to(self.now);
                (self.now, post, happened)
            }
            None if self.shuffle.is_some() => self.wait_shuffled()?,
            None => self.wait()?,
        };
        let step = match happened {
            Happened::Boot => {
                Step::Boot(Boot { incarnation: 1, wall: Some(self.start + at.since(Time::ZERO)) })
            }
            Happened::Wake => Step::Input(Input::Wake),
            Happened::Answer { device } => {
                if self.watches_images {
                    self.show_image(at, post, device);
                }
                let samples = self.posts[usize::from(post)].links[device.position()].arrived();
                Step::Input(Input::Points { device, samples })
            }
            Happened::TimedOut { device } => Step::Input(Input::TimedOut { device }),
            Happened::Written { device, outcome } => Step::Input(Input::Written { device, outcome }),
        };
        let now = self.clocks[usize::from(self.posts[usize::from(post)].clock)].local(at);
        Some(Delivery { at, now, to: ControllerIndex(post), step })
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let post = outcome.from.0;
        for effect in outcome.effects.as_slice() {
            match effect {
                Effect::Write(write) => self.write(outcome.at, outcome.now, post, write),
                Effect::Report(event) => self.monitor.event(outcome.at, outcome.from, Reported::kind(event)),
                Effect::Poll { .. } => {}
            }
        }
        self.poll(outcome.at, post, outcome.effects.as_slice());
        let clock = self.clocks[usize::from(self.posts[usize::from(post)].clock)];
        let deadline = outcome.deadline.map(|deadline| clock.run_time(deadline).max(outcome.at));
        self.wakes.set(u32::from(post), deadline);
    }
}
