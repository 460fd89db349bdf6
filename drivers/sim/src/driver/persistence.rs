//! What outlives controllers: their journals and promises on the disks of their hosts, and how a life begins with what is left.
//!
//! ```text
//!     start ─> recovery from the disk ─> the life's number becomes durable ─> Restore ─> Boot
//! ```
//!
//! A life and all that keeps it are the engine's, see [`Life`]; here its requests reach the simulated disk and the replies reach
//! it, and what it has to tell reaches the controller.
//!
//! **Decision: recovering takes no time** beside the sync of the life's number. What a site's program needs to read its journal
//! is milliseconds for the segment of a minute; a scenario that wants a slow start crashes for longer.

mod lives;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::Header;
use r_ems_engine::machine::{Boot, Delivery, Machine, Outcome, State};
use r_ems_engine::persistence::journal::Completion;
use r_ems_engine::persistence::promises::LOOKS_AGAIN_AFTER;
use r_ems_engine::persistence::recovery::{Containment, Expected};
use r_ems_engine::persistence::{Lane, Life, News, Operation, Recovered, Storage, recover};
use r_ems_engine::redundancy::Promise;
use r_ems_engine::rng::Stream;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{Span, Time};

use super::SimDriver;
use super::effects::Part;
use super::pending::{Happened, Of, Pending, Told};
use crate::disk::{DiskChange, Job, SimDisk};
use crate::survival::Survival;
use crate::world::PersistenceSpec;

/// A look at a disk that answers takes no longer.
const LOOKS_FOR: Span = Span::from_millis(1);

/// Rebuilds a machine's state from its files, whatever kind of machine it is.
type Rebuild = fn(&mut dyn Storage, &Expected<'_>) -> Recovered;

/// What outlives all controllers of a run.
#[derive(Clone, Debug)]
pub(super) struct Persistence {
    spec: PersistenceSpec,
    rebuild: Rebuild,
    posts: Vec<Keeping>,
    disks: Vec<SimDisk>,
}

/// What outlives one controller, and what keeps it.
#[derive(Clone, Debug)]
struct Keeping {
    host: u16,
    header: Header,
    /// Its state as it was made.
    fresh: Vec<u8>,
    stage: Stage,
    /// With what the next life begins.
    found: Option<Recovered>,
    life: Option<Life>,
    /// What the disk does, by lane.
    jobs: [Option<(u32, Job)>; 2],
    tends_at: Option<Time>,
    lives: u64,
    survival: Survival,
    /// How often its files had been lied about when they were last looked at.
    lies: u64,
}

/// How far a life has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Down,
    /// Its number is on its way to the disk.
    Numbering,
    Ready,
    /// The state is restored.
    Restored,
    Living,
}

/// What became of persistence in a run.
#[derive(Clone, Debug)]
pub struct PersistenceResult {
    /// By controller of the fleet.
    pub controllers: Vec<Survival>,
    /// Operations of all disks.
    pub operations: u64,
}

impl SimDriver {
    /// The same world, in which what its description says about persistence is kept, and who fails an assertion lives again.
    ///
    /// `machines` are those of the fleet before any boot, `header` is that of the run.
    ///
    /// # Panics
    /// If there is not one machine for each controller of the world.
    #[must_use]
    pub fn with_persistence<M: Machine, C: Containment>(mut self, header: &Header, machines: &[M]) -> Self {
        assert!(machines.len() == self.posts.len(), "each post has its machine");
        self.keep_fresh(machines);
        let Some(spec) = self.persistence_spec else { return self };
        let keeping = |(place, machine): (usize, &M)| {
            let mut fresh = Vec::new();
            machine.encode(&mut fresh);
            // Nobody reads these files: the texts of the run would only be written again and again.
            let (scenario_text, site_text) = (String::new(), String::new());
            let header = Header { scenario_text, site_text, ..header.only(ControllerIndex::of(place)) };
            Keeping::new(self.posts[place].host, header, fresh)
        };
        let posts = machines.iter().enumerate().map(keeping).collect();
        let disk = |host: usize| SimDisk::new(self.sync, Stream::named(self.seed, &format!("disk {host}")));
        let disks = (0..self.clocks.len()).map(disk).collect();
        let rebuild = recover::<M, C> as Rebuild;
        self.persistence = Some(Box::new(Persistence { spec, rebuild, posts, disks }));
        self
    }

    /// Takes a life one step further on its way to its boot.
    pub(super) fn begin_life(&mut self, at: Time, of: Of) -> Option<(u16, Happened)> {
        let Some(kept) = &mut self.persistence else { return Some(self.begin_again(at, of)) };
        let keeping = &mut kept.posts[usize::from(of.post)];
        match keeping.stage {
            Stage::Down => {
                kept.find(at, of.post);
                kept.number(at, of.post);
                self.ask(at, of);
                None
            }
            Stage::Numbering | Stage::Living => None,
            Stage::Ready => {
                // A process that starts for the first time has its state already.
                let is_first = keeping.lives == 1;
                keeping.stage = if is_first { Stage::Living } else { Stage::Restored };
                kept.begin_journal(at, of.post);
                self.ask(at, of);
                if is_first {
                    return Some(self.boot(of.post));
                }
                self.queue.push(at, Pending::Boot(of));
                Some((of.post, Happened::Restore))
            }
            Stage::Restored => {
                keeping.stage = Stage::Living;
                Some(self.boot(of.post))
            }
        }
    }

    /// Begins a life where nothing is kept: who failed an assertion is as it was made.
    fn begin_again(&mut self, at: Time, of: Of) -> (u16, Happened) {
        if !core::mem::take(&mut self.posts[usize::from(of.post)].is_unfit) {
            return self.boot(of.post);
        }
        self.queue.push(at, Pending::Boot(of));
        (of.post, Happened::Restore)
    }

    /// Begins to make a promise durable.
    pub(super) fn keep_promise(&mut self, at: Time, post: u16, promise: Promise) {
        let life = self.posts[usize::from(post)].life;
        if let Some(kept) = self.keeping(post).and_then(|keeping| keeping.life.as_mut()) {
            kept.promise(at, promise);
            self.ask(at, Of { post, life });
        }
    }

    /// Journals what a delivery led to; whether that waits until the delivery is durable.
    pub(super) fn note_outcome(&mut self, outcome: &Outcome<'_>) -> bool {
        let post = outcome.from.0;
        let of = Of { post, life: self.posts[usize::from(post)].life };
        let Some(keeping) = self.keeping(post) else { return false };
        let Some(life) = &mut keeping.life else { return false };
        let waits = life.note(outcome);
        let Some(journal) = life.journal() else { return false };
        keeping.survival.stands(journal.recorded(), journal.chains(), journal.durable());
        if waits {
            self.do_effects(outcome.at, outcome.now, post, (outcome.effects, Part::AtOnce));
        }
        self.ask(outcome.at, of);
        self.release(outcome.at, of);
        waits
    }

    /// A disk has done what it was asked to.
    pub(super) fn hear_disk(&mut self, at: Time, of: Of, lane: Lane) {
        if !self.is_living(of) {
            return;
        }
        let Some(kept) = &mut self.persistence else { return };
        let keeping = &mut kept.posts[usize::from(of.post)];
        let Some((number, job)) = keeping.jobs[lane as usize].take() else { return };
        let answer = kept.disks[usize::from(keeping.host)].finish(job);
        if let Some(life) = &mut keeping.life {
            life.reply(at, lane, number, answer.reply());
            if let Some(journal) = life.journal() {
                keeping.survival.is_durable(journal.durable());
            }
        }
        self.ask(at, of);
        self.release(at, of);
    }

    /// Something is due.
    pub(super) fn tend(&mut self, at: Time, of: Of) {
        if !self.is_living(of) {
            return;
        }
        let Some(keeping) = self.keeping(of.post) else { return };
        keeping.tends_at = keeping.tends_at.filter(|tends_at| *tends_at > at);
        if let Some(life) = &mut keeping.life {
            life.wake(at);
        }
        self.ask(at, of);
        self.release(at, of);
    }

    /// Lets the clock of a host that boots go on from what its controllers know of the life before.
    pub(super) fn resume_clock(&mut self, at: Time, host: u16) {
        let wall = self.wall(at, host);
        let Some(kept) = &mut self.persistence else { return };
        if let Some(resumed) = kept.resumed(at, host, wall) {
            let clock = &mut self.clocks[usize::from(host)];
            clock.at_start = clock.at_start.max(resumed);
        }
    }

    /// Hands requests to the disk and news to the controller.
    fn ask(&mut self, at: Time, of: Of) {
        let Some(kept) = &mut self.persistence else { return };
        let keeping = &mut kept.posts[usize::from(of.post)];
        let Some(life) = &mut keeping.life else { return };
        let disk = &mut kept.disks[usize::from(keeping.host)];
        for lane in Lane::ALL {
            let Some(request) = life.take_request(lane) else { continue };
            let operation: Operation = request.operation;
            let (span, job) = disk.begin(of.post, &operation);
            keeping.jobs[lane as usize] = Some((request.number, job));
            self.queue.push(at + span, Pending::Disk { of, lane });
        }
        let (mut durable, mut begins_anew) = (None, false);
        while let Some(news) = life.take_news() {
            if let News::Numbered(true) | News::Promised(true) = news {
                durable = Some(life.kept().promise);
                keeping.survival.has_promised(at, life.kept());
            }
            let told = match news {
                News::Numbered(_) => {
                    keeping.stage = Stage::Ready;
                    self.queue.push(at, Pending::Boot(of));
                    continue;
                }
                News::Promised(succeeded) => Told::Promised(succeeded),
                News::Journal(Completion::Ended(is_kept)) => {
                    keeping.survival.ended(is_kept);
                    self.queue.push(at, Pending::Ended(of));
                    continue;
                }
                News::Journal(Completion::Snapshotted(succeeded)) => {
                    keeping.survival.snapshotted(succeeded);
                    Told::Snapshotted(succeeded)
                }
                News::Journal(Completion::Status(status)) => {
                    keeping.survival.journal(at, status);
                    Told::Journal(status)
                }
                News::BeginsAnew => {
                    begins_anew = true;
                    continue;
                }
            };
            self.queue.push(at, Pending::Told { of, told });
        }
        if let Some(due) = life.deadline()
            && keeping.tends_at.is_none_or(|tends_at| due < tends_at)
        {
            let due = due.max(at);
            keeping.tends_at = Some(due);
            self.queue.push(due, Pending::Tend(of));
        }
        if let Some(promise) = durable {
            self.look_at_promise(at, of.post, &promise, true);
        }
        if begins_anew {
            self.begin_anew(at, of);
        }
    }

    /// Does what waited for deliveries that are durable now.
    fn release(&mut self, at: Time, of: Of) {
        let now = self.clocks[usize::from(self.posts[usize::from(of.post)].host)].local(at);
        let released = |driver: &mut Self| driver.keeping(of.post)?.life.as_mut()?.take_released();
        while let Some(effects) = released(self) {
            self.do_effects(at, now, of.post, (&effects, Part::Others));
        }
    }

    /// Whether a journal is kept of a life that must end with it.
    pub(super) fn has_journal(&mut self, post: u16) -> bool {
        self.keeping(post)
            .and_then(|keeping| keeping.life.as_ref())
            .is_some_and(|life| life.journal().is_some())
    }

    fn keeping(&mut self, post: u16) -> Option<&mut Keeping> {
        self.persistence.as_mut().map(|kept| &mut kept.posts[usize::from(post)])
    }
}

impl Persistence {
    /// Journals a delivery that is about to be handled.
    #[inline]
    pub(super) fn record(&mut self, delivery: &Delivery<'_>) {
        if let Some(life) = &mut self.posts[delivery.to.position()].life {
            life.record(delivery);
        }
    }

    /// The state with which a life begins.
    pub(super) fn state(&self, post: u16) -> &[u8] {
        let keeping = &self.posts[usize::from(post)];
        keeping.life().state(&keeping.fresh)
    }

    /// What a life begins with that was promised.
    pub(super) fn promise(&self, post: u16) -> Promise {
        self.posts[usize::from(post)].life().found().promises.kept.promise
    }

    /// Whether what was promised may be lost.
    pub(super) fn has_lost_promises(&self, post: u16) -> bool {
        let promises = self.posts[usize::from(post)].found().map(|found| &found.promises);
        promises.is_some_and(|promises| promises.is_damaged || promises.kept.promise.abstains)
    }

    /// What a machine is told when its life begins.
    pub(super) fn boot(&self, post: u16, wall: Option<WallTime>) -> Boot {
        self.posts[usize::from(post)].life().boot(wall)
    }

    /// A life ends; what waited for it dies with it.
    pub(super) fn end_life(&mut self, at: Time, post: u16) {
        let keeping = &mut self.posts[usize::from(post)];
        if keeping.life.take().is_some_and(|life| life.journal().is_some()) {
            keeping.survival.ends(at);
        }
        keeping.found = None;
        keeping.jobs = [None, None];
        keeping.tends_at = None;
        keeping.stage = Stage::Down;
    }

    /// For how long what was begun before may last on a disk that answers: a life that could not read its promises lasts until
    /// it looks again.
    pub(super) fn disk_answers_after(&self, post: u16) -> Option<Span> {
        let keeping = &self.posts[usize::from(post)];
        let is_unaware = keeping.found().is_some_and(|found| !found.promises.is_known);
        let lasts = if is_unaware { LOOKS_AGAIN_AFTER + LOOKS_FOR } else { Span::ZERO };
        self.disks[usize::from(keeping.host)].answers_after().map(|span| span + lasts)
    }

    /// A host loses its power.
    pub(super) fn crash(&mut self, host: u16) {
        self.disks[usize::from(host)].crash();
    }

    /// Something changes about a disk.
    pub(super) fn change_disk(&mut self, host: u16, change: DiskChange) {
        self.disks[usize::from(host)].change(change);
    }

    /// Lives that begin on a host from now on are of another version.
    pub(super) fn upgrade(&mut self, host: u16) {
        for keeping in self.posts.iter_mut().filter(|keeping| keeping.host == host) {
            keeping.header.behavior = keeping.header.behavior.wrapping_add(1);
        }
    }

    /// What became of it all.
    pub(super) fn result(&self, at: Time) -> PersistenceResult {
        PersistenceResult {
            controllers: self.posts.iter().map(|keeping| keeping.survival.at_end(at)).collect(),
            operations: self.disks.iter().map(SimDisk::operations).sum(),
        }
    }
}

impl Keeping {
    const fn new(host: u16, header: Header, fresh: Vec<u8>) -> Self {
        Self {
            host,
            header,
            fresh,
            stage: Stage::Down,
            found: None,
            life: None,
            jobs: [None, None],
            tends_at: None,
            lives: 0,
            survival: Survival::new(),
            lies: 0,
        }
    }

    /// The life that is under way.
    fn life(&self) -> &Life {
        self.life.as_ref().expect("it begins with what was found")
    }

    /// With what the life began that is under way, or the next one will.
    fn found(&self) -> Option<&Recovered> {
        self.life.as_ref().map(Life::found).or(self.found.as_ref())
    }
}
