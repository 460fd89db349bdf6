//! The driver of a site: the controllers of one host, between their clock, their fieldbus, the other hosts and their disk.
//!
//! ```text
//!     commands ──┐                                        ┌──> Link, Frame ──> lines
//!     lines    ──┤                                        ├──> Send, Transfer ──> peers
//!     peers    ──┼──> what waits ──> next()     perform() ┼──> Promise, Snapshot, what is recorded ──> lives ──> disk
//!     disk     ──┤                                        └──> what is known at once ──> what waits
//!     wakes    ──┘
//! ```
//!
//! - `post` is what a controller is here, `keeping` looks after its life, `renewing` changes what it is made from, `effects` does
//!   what it asks for, `gauges` count.
//!
//! Everything happens on the loop's thread; nothing here waits but for the clock and the sockets together.
//!
//! **Order:** what a delivery led to at once comes first, as its machine must know it before it decides again; then what is due,
//! so that a peer that floods a line keeps no scan from its time; then, one at least between two wakes, what has arrived. A
//! machine that was woken and wants that in the past is woken a millisecond later: it keeps nobody else from anything.
//!
//! **Decision: a controller's journal is its log.** What reaches it is recorded here, before it is handled, in the files with
//! which it recovers; there is no second recorder, and what a site keeps for its restart is what a desk replays.
//!
//! **Bounds:** what a device or a host may send is bounded by [`mod@crate::line`] and [`crate::peers`]; what waits is what
//! deliveries led to, and [`COMMANDS_MAX`] commands.

mod effects;
mod gauges;
mod keeping;
mod post;
mod renewing;

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::ids::{ConnectionIndex, ControllerIndex};
use r_ems_engine::machine::{
    Afterwards, Delivery, Driver, Effect, Input, MAX_FRAME_INPUT, Machine, Outcome, Step,
};
use r_ems_engine::orchestrator::Orchestrator;
use r_ems_engine::persistence::Recovered;
use r_ems_engine::persistence::recovery::{Containment, Finding, recover};
use r_ems_engine::redundancy::letter::{Content, Letter};
use r_ems_engine::wakes::Wakes;
use r_ems_engine::wall::WallTime;
use r_ems_engine::wall::told::Told;
use r_ems_engine::{Span, Time};

use self::effects::Part;
pub use self::gauges::Gauges;
pub use self::post::{LifeSpec, Makes, PostSpec};
use self::post::{Post, Queue, Rebuild, Stage, Waiting, local};
use self::renewing::Fares;
pub use self::renewing::{Renewal, Renewed};
use crate::clock::wall_clock;
use crate::control::{COMMANDS_MAX, Controlled};
use crate::disk::Disk;
use crate::line::Happened;
use crate::paced::{End, SIGN_OF_LIFE_EVERY};
use crate::peers::{BODY_MAX, Counts, Peers, Received};
use crate::reactor::{Interest, Reactor};

/// It is looked this often whether the wall clock still shows what controllers believe.
const LOOKS_AT_WALL_EVERY: Span = Span::from_secs(1);
/// So much later who has authority is asked to stop: it hears meanwhile that none of the others here takes over from it, and does
/// not wait for them.
const HOLDERS_LATER: Span = Span::from_millis(100);
/// The name of the socket that hears other hosts.
const PEERS: u64 = u64::MAX - 1;

/// What is told that no event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A recovery in the middle of a run found this.
    Finding(ControllerIndex, Finding),
    /// What passed between this host and another one so far; nothing for what came from nobody.
    Peer(Option<u16>, Counts),
}

/// Whoever is told; it must not wait for anybody.
pub type Tell = Box<dyn FnMut(Said) + Send>;

/// What the controllers of a host meet.
pub struct World {
    /// The clock, which shows no less than any of them knows.
    pub reactor: Reactor,
    /// What people ask for.
    pub controlled: Controlled,
    /// The folders of the controllers, at work.
    pub disk: Disk<Recovered>,
    /// The other hosts, if there are any.
    pub peers: Option<Peers>,
    /// This host, as letters are addressed.
    pub host: u16,
    /// How long an end in order may take.
    pub patience: Span,
    /// Whoever is told what no event tells.
    pub tell: Tell,
}

/// A site in real time.
pub struct SiteDriver {
    reactor: Reactor,
    controlled: Controlled,
    disk: Disk<Recovered>,
    peers: Option<Peers>,
    host: u16,
    patience: Span,
    tell: Tell,
    rebuild: Rebuild,
    orchestrator: Orchestrator,
    posts: Vec<Post>,
    wakes: Wakes,
    /// What deliveries led to at once.
    at_once: Queue,
    /// What others have asked or written.
    waiting: Queue,
    /// Whether what has arrived comes before what is due.
    owes: bool,
    /// Sockets that are ready, by their names.
    ready: Vec<u64>,
    /// What was read from a line.
    bytes: Vec<u8>,
    /// What another host, or another controller here, has written.
    mail: Vec<u8>,
    /// Room for a letter on its way out.
    letter: Vec<u8>,
    /// The instant of the last delivery.
    last: Time,
    looks_at_wall: Time,
    /// By host, and of nobody at the end: what was told last of them.
    told: Vec<Counts>,
    /// When those that hold authority are asked to stop.
    stops_holders: Option<Time>,
    /// When an end in order that was asked for is waited for no more.
    given_up: Option<Time>,
    /// Whoever is told of the change of what controllers are made from, while that is under way.
    renewal: Option<Box<dyn FnMut(Renewed) + Send>>,
    end: Option<End>,
    gauges: Gauges,
    /// Lives that ended in order and whose last state could not be kept.
    unkept: usize,
}

/// What is delivered next.
enum Next {
    Waiting(Waiting),
    Wake,
    Frame {
        connection: ConnectionIndex,
        count: usize,
    },
    /// It lies in the mail, so many bytes of it.
    Letter(usize),
}

impl SiteDriver {
    /// A site whose controllers begin to live with what was found of them. `M` and `C` are what rebuilds those that fail.
    ///
    /// # Errors
    /// The socket to other hosts cannot be waited for, or there are no threads or descriptors for serial lines.
    pub fn new<M: Machine, C: Containment>(
        world: World,
        posts: Vec<(PostSpec, Recovered)>,
    ) -> std::io::Result<Self> {
        let World { reactor, controlled, disk, peers, host, patience, tell } = world;
        let at = reactor.now();
        if let Some(peers) = &peers {
            reactor.watch(PEERS).add(peers.socket(), Interest::Reads)?;
        }
        let begin = |(place, (spec, found))| {
            let watch = |connection| reactor.watch(name_of(ControllerIndex::of(place), connection));
            Post::new(at, spec, found, watch)
        };
        let posts = posts.into_iter().enumerate().map(begin).collect::<std::io::Result<Vec<Post>>>()?;
        let mut driver = Self {
            reactor,
            controlled,
            disk,
            peers,
            host,
            patience,
            tell,
            rebuild: recover::<M, C>,
            orchestrator: Orchestrator::new(posts.len()),
            wakes: Wakes::new(posts.len() as u32),
            gauges: Gauges::new(posts.len()),
            posts,
            at_once: Queue::new(),
            waiting: Queue::new(),
            owes: false,
            ready: Vec::new(),
            bytes: vec![0; MAX_FRAME_INPUT],
            mail: vec![0; BODY_MAX],
            letter: Vec::new(),
            last: at,
            looks_at_wall: at,
            told: Vec::new(),
            stops_holders: None,
            given_up: None,
            renewal: None,
            end: None,
            unkept: 0,
        };
        driver.controllers().for_each(|of| driver.tend(at, of));
        Ok(driver)
    }

    /// What is counted, to be looked at from any thread.
    pub fn gauges(&self) -> Gauges {
        self.gauges.clone()
    }

    /// Why the run ended, once it has.
    pub fn end(&self) -> End {
        self.end.unwrap_or(End::Over)
    }

    /// Lives that ended in order and whose last state could not be kept.
    pub const fn unkept(&self) -> usize {
        self.unkept
    }

    /// Controllers that have not ended in order.
    pub fn unended(&self) -> usize {
        self.posts.iter().filter(|post| post.stage != Stage::Gone).count()
    }

    fn controllers(&self) -> impl Iterator<Item = ControllerIndex> + use<> {
        (0..self.posts.len()).map(ControllerIndex::of)
    }

    /// The run's time, which never goes back.
    fn instant(&mut self) -> Time {
        self.last = self.reactor.now().max(self.last);
        self.last
    }

    /// Hands on what was asked for from outside.
    fn take_commands(&mut self, now: Time) {
        while self.waiting.len() < COMMANDS_MAX
            && let Some(asked) = self.controlled.take()
        {
            self.waiting.push_back((asked.to, Waiting::Told(Input::Command(asked.command))));
        }
        if self.given_up.is_none() && self.controlled.stops() {
            self.given_up = Some(now + self.patience);
            self.stops_holders = Some(now + HOLDERS_LATER);
            let holds =
                |driver: &Self, of: ControllerIndex| driver.posts[of.position()].holds_until > local(now);
            self.controllers().filter(|of| !holds(self, *of)).collect::<Vec<_>>().into_iter().for_each(
                |of| {
                    self.stop(of);
                },
            );
        }
        if self.stops_holders.take_if(|at| now >= *at).is_some() {
            self.controllers().for_each(|of| self.stop(of));
        }
    }

    /// Lets time pass until there is something to deliver; `None`: the run is over.
    fn wait(&mut self) -> Option<(ControllerIndex, Next)> {
        loop {
            self.controlled.tick();
            let now = self.instant();
            self.take_commands(now);
            self.renew(now);
            let is_late = self.given_up.is_some_and(|at| now >= at);
            let is_over = self.posts.iter().all(|post| post.stage == Stage::Gone);
            if self.controlled.ends() || is_late || is_over {
                self.end = Some(if self.controlled.ends() { End::AtOnce } else { End::InOrder });
                return None;
            }
            self.look_around(now);
            if let Some((to, waiting)) = self.at_once.pop_front() {
                return Some((to, Next::Waiting(waiting)));
            }
            if core::mem::take(&mut self.owes)
                && let Some(next) = self.take_arrived(now)
            {
                return Some(next);
            }
            if let Some((due, place)) = self.wakes.next().filter(|(due, _)| now >= *due) {
                self.owes = true;
                self.controlled.passed(now.since(due));
                return Some((ControllerIndex(place as u16), Next::Wake));
            }
            if let Some(next) = self.take_arrived(now) {
                return Some(next);
            }
            if !self.at_once.is_empty() {
                continue;
            }
            let due = self.posts.iter().filter_map(Post::due).min().unwrap_or(Time::MAX);
            let due = due.min(self.wakes.next().map_or(Time::MAX, |(due, _)| due));
            let stops = self.stops_holders.into_iter().chain(self.given_up).min().unwrap_or(Time::MAX);
            self.rest(due.min(stops).min(now + SIGN_OF_LIFE_EVERY));
        }
    }

    fn rest(&mut self, until: Time) {
        self.reactor.wait(until, &mut self.ready).expect("the descriptors are ours and open");
    }

    /// What has arrived, if anything has: what others ask and write, then sockets, which are asked anew each time all was read.
    fn take_arrived(&mut self, now: Time) -> Option<(ControllerIndex, Next)> {
        if let Some((to, waiting)) = self.waiting.pop_front() {
            return Some((to, Next::Waiting(waiting)));
        }
        if self.ready.is_empty() {
            self.rest(Time::ZERO);
        }
        while let Some(name) = self.ready.pop() {
            let next = if name == PEERS { self.hear_peers(now) } else { self.look(name) };
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Looks what the disk has done, what is due of lives, and what the wall clock shows.
    fn look_around(&mut self, now: Time) {
        while let Some(told) = self.disk.take() {
            self.hear_disk(now, told);
        }
        for of in self.controllers() {
            if self.posts[of.position()].due().is_some_and(|due| now >= due) {
                self.look_after(now, of);
            }
        }
        if now >= self.looks_at_wall {
            self.looks_at_wall = now + LOOKS_AT_WALL_EVERY;
            self.tell_peers();
            let wall = wall_clock();
            for (place, post) in self.posts.iter().enumerate() {
                if post.stage == Stage::Living && post.told.is_outdated(local(now), wall) {
                    self.at_once.push_back((ControllerIndex::of(place), Waiting::WallClock));
                }
            }
        }
    }

    /// Tells what has passed between hosts since this was told last.
    fn tell_peers(&mut self) {
        let Some(peers) = &self.peers else { return };
        let hosts = (0..peers.hosts()).filter_map(|host| Some((Some(host), peers.counts_of(host)?)));
        let counts: Vec<(Option<u16>, Counts)> = hosts.chain([(None, peers.counts())]).collect();
        self.told.resize(counts.len(), Counts::default());
        for ((host, counts), told) in counts.into_iter().zip(&mut self.told) {
            if counts != *told {
                *told = counts;
                (self.tell)(Said::Peer(host, counts));
            }
        }
    }

    /// Takes the next letter of another host.
    fn hear_peers(&mut self, now: Time) -> Option<(ControllerIndex, Next)> {
        let peers = self.peers.as_mut()?;
        let (from, length) = match peers.receive(now, &mut self.mail) {
            Received::Body { from, length } => (from, length),
            // What is there wakes the next wait: whoever floods the socket keeps nobody from what is due.
            Received::Unfinished | Received::Empty => return None,
        };
        let letter = Letter::parse(&self.mail[..length])?;
        let to = self.find(letter.grid, letter.to)?;
        let sits = self.posts[to.position()].spec.council.get(letter.from.position());
        (sits == Some(&from)).then_some((to, Next::Letter(length)))
    }

    /// Looks what has happened to a line.
    fn look(&mut self, name: u64) -> Option<(ControllerIndex, Next)> {
        let (to, connection) = of_name(name);
        let line = self.posts[to.position()].lines.get_mut(connection.position())?;
        let changed =
            |is_open| Some((to, Next::Waiting(Waiting::Told(Input::LinkChanged { connection, is_open }))));
        match line.look(&mut self.bytes) {
            Happened::Nothing => None,
            Happened::Arrived(count) => Some((to, Next::Frame { connection, count })),
            Happened::Closed => changed(false),
            Happened::Opened => changed(true),
        }
    }
}

impl Post {
    /// Tells what the wall clock shows.
    fn hear_wall(&mut self, at: Time) -> Option<WallTime> {
        self.told = Told { at: local(at), wall: wall_clock() };
        self.told.wall
    }
}

/// Reads a letter that was looked at before.
fn of_letter(bytes: &[u8]) -> Input<'_> {
    let Letter { from, content, .. } = Letter::parse(bytes).expect("it was read before");
    match content {
        Content::Message(message) => Input::Message { from, message },
        Content::Unit(unit) => Input::Transfer { from, unit },
    }
}

const fn name_of(of: ControllerIndex, connection: ConnectionIndex) -> u64 {
    (of.0 as u64) << 16 | connection.0 as u64
}

const fn of_name(name: u64) -> (ControllerIndex, ConnectionIndex) {
    (ControllerIndex((name >> 16) as u16), ConnectionIndex(name as u16))
}

impl SiteDriver {
    /// What is next for somebody who may hear it: nothing reaches a machine before its boot and after its stop.
    fn wait_for_who_hears(&mut self) -> Option<(ControllerIndex, Next)> {
        loop {
            let (to, next) = self.wait()?;
            let post = &self.posts[to.position()];
            let hears = match &next {
                Next::Waiting(waiting) => post.hears(waiting),
                Next::Wake | Next::Frame { .. } | Next::Letter(_) => post.stage == Stage::Living,
            };
            if hears {
                return Some((to, next));
            }
        }
    }
}

impl Driver for SiteDriver {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let (to, next) = self.wait_for_who_hears()?;
        let at = self.instant();
        let now = local(at);
        if let Next::Waiting(Waiting::Restore) = next {
            let state = self.posts[to.position()].state();
            return Some(Delivery { at, now, to, step: Step::Restore { state } });
        }
        let post = &mut self.posts[to.position()];
        post.was_woken = matches!(next, Next::Wake);
        let step = match next {
            Next::Waiting(Waiting::Boot | Waiting::Restore) => {
                (post.stage, post.fares) = (Stage::Living, Fares::Lives);
                self.orchestrator.began(at, to);
                let wall = post.hear_wall(at);
                Step::Boot(post.life.as_ref().expect("who boots has begun to live").boot(wall))
            }
            Next::Wake => Step::Input(Input::Wake),
            Next::Frame { connection, count } => {
                Step::Input(Input::Frame { connection, bytes: &self.bytes[..count] })
            }
            Next::Letter(length) => Step::Input(of_letter(&self.mail[..length])),
            Next::Waiting(Waiting::Letter(letter)) => {
                self.mail[..letter.len()].copy_from_slice(&letter);
                Step::Input(of_letter(&self.mail[..letter.len()]))
            }
            Next::Waiting(Waiting::WallClock) => Step::Input(Input::WallClock { wall: post.hear_wall(at) }),
            Next::Waiting(Waiting::Told(ref told)) => Step::Input(*told),
        };
        let delivery = Delivery { at, now, to, step };
        if let Some(life) = &mut post.life {
            life.record(&delivery);
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let of = outcome.from;
        let post = &mut self.posts[of.position()];
        if post.stage == Stage::Booting {
            // It was restored, and boots next.
            return;
        }
        let waits = post.life.as_mut().is_some_and(|life| life.note(outcome));
        if outcome.effects.as_slice().contains(&Effect::Stopped) {
            post.stage = Stage::Ending;
        }
        let part = if waits { Part::AtOnce } else { Part::All };
        self.do_effects(of, outcome.now, outcome.effects, part);
        let at = self.instant();
        self.tend(at, of);
        let is_living = self.posts[of.position()].stage == Stage::Living;
        let deadline = outcome.deadline.filter(|_| is_living);
        let due = deadline.map(|deadline| Time::from_nanos(deadline.as_nanos()));
        let was_woken = self.posts[of.position()].was_woken;
        let due = due.map(|due| post::woken_at(due, was_woken, outcome.at, at));
        self.wakes.set(u32::from(of.0), due);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        let Poisoned { controller, at } = failure;
        self.gauges.failed(controller);
        let next = self.orchestrator.failed(at, controller);
        let stage = if self.given_up.is_some() { Stage::Gone } else { Stage::Failed(next) };
        self.drop_life(controller, stage);
        Afterwards::OthersGoOn
    }
}
