//! What outlives controllers: their journals and promises on the disks of their hosts, and how a life begins with what is left.
//!
//! ```text
//!     start ─> recovery from the disk ─> the life's number becomes durable ─> Restore ─> Boot
//! ```
//!
//! The journal and the keeper of promises are the engine's; here their requests reach the simulated disk and its replies reach
//! them, and what they have to tell reaches the controller. In strict mode what a delivery led to waits here until the delivery
//! is durable, and dies with its process.
//!
//! **Decision: recovering takes no time** beside the sync of the life's number. What a site's program needs to read its journal
//! is milliseconds for the segment of a minute; a scenario that wants a slow start crashes for longer.

mod lives;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::Header;
use r_ems_engine::machine::{Boot, Delivery, Effects, Machine, Outcome, State};
use r_ems_engine::persistence::journal::{Completion, Journal, waits_for_sync};
use r_ems_engine::persistence::promises::LOOKS_AGAIN_AFTER;
use r_ems_engine::persistence::recovery::{Containment, Expected};
use r_ems_engine::persistence::{Kept, Operation, PromiseKeeper, Recovered, Storage, recover};
use r_ems_engine::redundancy::Promise;
use r_ems_engine::rng::Stream;
use r_ems_engine::wall::WallTime;
use r_ems_engine::{Span, Time};

use super::SimDriver;
use super::effects::Part;
use super::pending::{Happened, Lane, Of, Pending, Told};
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
    /// With what this life begins.
    found: Option<Recovered>,
    keeper: Option<PromiseKeeper>,
    journal: Option<Journal>,
    /// What the disk does for the journal, and for the keeper of promises.
    jobs: [Option<(u32, Job)>; 2],
    /// What waits until the delivery that led to it is durable.
    held: VecDeque<Held>,
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

#[derive(Clone, Debug)]
struct Held {
    /// The delivery's place among those that were recorded.
    recorded: u64,
    effects: Effects,
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
        let Some(keeping) = self.keeping(post) else { return };
        let Some(keeper) = &mut keeping.keeper else { return };
        let before = keeping.found.as_ref().map_or(0, |found| found.incarnation);
        keeper.save(at, Kept { promise, incarnation: before.saturating_add(1) });
        self.ask(at, Of { post, life });
    }

    /// Journals what a delivery led to; whether that waits until the delivery is durable.
    pub(super) fn note_outcome(&mut self, outcome: &Outcome<'_>) -> bool {
        let post = outcome.from.0;
        let of = Of { post, life: self.posts[usize::from(post)].life };
        let Some(keeping) = self.keeping(post) else { return false };
        let Some(journal) = &mut keeping.journal else { return false };
        journal.outcome(outcome);
        let recorded = journal.recorded();
        keeping.survival.stands(recorded, journal.chains(), journal.durable());
        let mut effects = outcome.effects.as_slice().iter();
        let waits =
            (journal.released() < recorded || !keeping.held.is_empty()) && effects.any(waits_for_sync);
        if waits {
            keeping.held.push_back(Held { recorded, effects: outcome.effects.clone() });
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
        match lane {
            Lane::Journal => {
                if let Some(journal) = &mut keeping.journal {
                    journal.reply(at, number, answer.reply());
                    keeping.survival.is_durable(journal.durable());
                }
            }
            Lane::Promises => {
                if let Some(keeper) = &mut keeping.keeper {
                    keeper.reply(at, number, answer.reply());
                }
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
        if let Some(journal) = &mut keeping.journal {
            journal.wake(at);
        }
        if let Some(keeper) = &mut keeping.keeper {
            keeper.wake(at);
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
        let disk = &mut kept.disks[usize::from(keeping.host)];
        let requests = [
            keeping.journal.as_mut().and_then(Journal::take_request),
            keeping.keeper.as_mut().and_then(PromiseKeeper::take_request),
        ];
        for (lane, request) in [Lane::Journal, Lane::Promises].into_iter().zip(requests) {
            let Some(request) = request else { continue };
            let operation: Operation = request.operation;
            let (span, job) = disk.begin(of.post, &operation);
            keeping.jobs[lane as usize] = Some((request.number, job));
            self.queue.push(at + span, Pending::Disk { of, lane });
        }
        let mut durable = None;
        if let Some(keeper) = &mut keeping.keeper
            && let Some(succeeded) = keeper.take_answer()
        {
            if succeeded {
                durable = Some(keeper.kept().promise);
                keeping.survival.has_promised(at, keeper.kept());
            }
            if keeping.stage == Stage::Numbering {
                // Without a number that is durable the life begins nevertheless: control goes on.
                keeping.stage = Stage::Ready;
                self.queue.push(at, Pending::Boot(of));
            } else {
                self.queue.push(at, Pending::Told { of, told: Told::Promised(succeeded) });
            }
        }
        while let Some(completion) = keeping.journal.as_mut().and_then(Journal::take_completion) {
            let told = match completion {
                Completion::Ended(is_kept) => {
                    keeping.survival.ended(is_kept);
                    self.queue.push(at, Pending::Ended(of));
                    continue;
                }
                Completion::Snapshotted(succeeded) => {
                    keeping.survival.snapshotted(succeeded);
                    Told::Snapshotted(succeeded)
                }
                Completion::Status(status) => {
                    keeping.survival.journal(at, status);
                    Told::Journal(status)
                }
            };
            self.queue.push(at, Pending::Told { of, told });
        }
        if let Some(due) = keeping.due()
            && keeping.tends_at.is_none_or(|tends_at| due < tends_at)
        {
            let due = due.max(at);
            keeping.tends_at = Some(due);
            self.queue.push(due, Pending::Tend(of));
        }
        let ends = keeping.keeper.as_mut().is_some_and(PromiseKeeper::take_end_of_life);
        if let Some(promise) = durable {
            self.look_at_promise(at, of.post, &promise, true);
        }
        if ends {
            self.begin_anew(at, of);
        }
    }

    /// Does what waited for deliveries that are durable now.
    fn release(&mut self, at: Time, of: Of) {
        let now = self.clocks[usize::from(self.posts[usize::from(of.post)].host)].local(at);
        while let Some(held) = self.keeping(of.post).and_then(Keeping::take_released) {
            self.do_effects(at, now, of.post, (&held.effects, Part::Others));
        }
    }

    /// Whether a journal is kept of a life that must end with it.
    pub(super) fn has_journal(&mut self, post: u16) -> bool {
        self.keeping(post).is_some_and(|keeping| keeping.journal.is_some())
    }

    fn keeping(&mut self, post: u16) -> Option<&mut Keeping> {
        self.persistence.as_mut().map(|kept| &mut kept.posts[usize::from(post)])
    }
}

impl Persistence {
    /// Journals a delivery that is about to be handled.
    #[inline]
    pub(super) fn record(&mut self, delivery: &Delivery<'_>) {
        if let Some(journal) = &mut self.posts[delivery.to.position()].journal {
            journal.delivery(delivery);
        }
    }

    /// The state with which a life begins.
    pub(super) fn state(&self, post: u16) -> &[u8] {
        self.posts[usize::from(post)].state()
    }

    /// What a life begins with that was promised.
    pub(super) fn promise(&self, post: u16) -> Promise {
        let found = self.posts[usize::from(post)].found.as_ref();
        found.expect("a life begins with what was found").promises.kept.promise
    }

    /// Whether what was promised may be lost.
    pub(super) fn has_lost_promises(&self, post: u16) -> bool {
        let found = self.posts[usize::from(post)].found.as_ref().map(|found| &found.promises);
        found.is_some_and(|promises| promises.is_damaged || promises.kept.promise.abstains)
    }

    /// What a machine is told when its life begins.
    pub(super) fn boot(&self, post: u16, wall: Option<WallTime>) -> Boot {
        let keeping = &self.posts[usize::from(post)];
        let found = keeping.found.as_ref().expect("a life begins with what was found");
        Boot {
            incarnation: found.incarnation.saturating_add(1),
            wall,
            promise: found.promises.kept.promise,
            origin: found.origin,
            abstains: found.abstains,
        }
    }

    /// A life ends; what waited for it dies with it.
    pub(super) fn end_life(&mut self, at: Time, post: u16) {
        let keeping = &mut self.posts[usize::from(post)];
        if keeping.journal.take().is_some() {
            keeping.survival.ends(at);
        }
        keeping.keeper = None;
        keeping.found = None;
        keeping.jobs = [None, None];
        keeping.held.clear();
        keeping.tends_at = None;
        keeping.stage = Stage::Down;
    }

    /// For how long what was begun before may last on a disk that answers: a life that could not read its promises lasts until
    /// it looks again.
    pub(super) fn disk_answers_after(&self, post: u16) -> Option<Span> {
        let keeping = &self.posts[usize::from(post)];
        let is_unaware = keeping.found.as_ref().is_some_and(|found| !found.promises.is_known);
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
            keeper: None,
            journal: None,
            jobs: [None, None],
            held: VecDeque::new(),
            tends_at: None,
            lives: 0,
            survival: Survival::new(),
            lies: 0,
        }
    }

    fn state(&self) -> &[u8] {
        let found = self.found.as_ref().and_then(|found| found.state.as_deref());
        found.unwrap_or(&self.fresh)
    }

    fn due(&self) -> Option<Time> {
        let journal = self.journal.as_ref().and_then(Journal::deadline);
        let keeper = self.keeper.as_ref().and_then(PromiseKeeper::deadline);
        [journal, keeper].into_iter().flatten().min()
    }

    /// What may be done now of what waits.
    fn take_released(&mut self) -> Option<Held> {
        let released = self.journal.as_ref()?.released();
        self.held.pop_front_if(|held| held.recorded <= released)
    }
}
