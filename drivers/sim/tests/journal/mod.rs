//! A controller of a few lines with a real journal on a simulated disk, and a clock that is moved by hand.

mod every;
pub(crate) mod upgraded;

use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::carried::{Carried, NotCarried};
use r_ems_engine::ids::{ControllerIndex, DeviceIndex};
use r_ems_engine::log::{ChainPair, ControllerNames, Header, codec};
use r_ems_engine::machine::{
    Boot, Delivery, Effect, Effects, Handled, Input, Machine, Outcome, SetPointWrite, State, Step, WriteKind,
};
use r_ems_engine::persistence::journal::{Beginning, Completion, Journal, JournalSettings, SyncRule};
use r_ems_engine::persistence::promises::{Kept, PromiseKeeper};
use r_ems_engine::persistence::recovery::{Containment, Expected, Making, Recovered, recover};
use r_ems_engine::persistence::retention::Retention;
use r_ems_engine::redundancy::{Command, Epoch, Promise, Seat};
use r_ems_engine::rng::Stream;
use r_ems_engine::serde::{Deserialize, Serialize};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_sim::disk::{Job, SimDisk};

/// How long a sync takes.
pub(crate) const SYNC: Span = Span::from_millis(4);
/// The time between two wakes.
pub(crate) const PERIOD: Span = Span::from_millis(10);
/// The place of the controller in its fleet.
pub(crate) const OWNER: u16 = 3;

/// Counts its wakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(crate = "r_ems_engine::serde")]
pub(crate) struct Counter {
    pub(crate) count: u64,
    /// A snapshot is asked for every so many wakes.
    pub(crate) snapshot_every: u64,
    /// The wake that fails an assertion.
    pub(crate) fails_at: u64,
    pub(crate) incarnation: u32,
    /// Makes the state as long as that of a controller.
    pub(crate) ballast: Vec<u8>,
    /// What was found of another version.
    pub(crate) found: Option<Result<Carried, NotCarried>>,
}

impl Machine for Counter {
    type Spec = (u64, u64, usize);

    fn new(spec: &Self::Spec) -> Self {
        let ballast = vec![7; spec.2];
        Self { count: 0, snapshot_every: spec.0, fails_at: spec.1, incarnation: 0, ballast, found: None }
    }

    fn boot(&mut self, _now: LocalTime, boot: Boot, _out: &mut Effects) {
        self.incarnation = boot.incarnation;
    }

    fn handle(&mut self, now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        if *input == Input::Command(Command::Stop) {
            out.push(Effect::Stopped);
        }
        if *input != Input::Wake {
            return;
        }
        self.count += 1;
        assert!(self.count != self.fails_at, "the wake that fails");
        let (device, value) = (DeviceIndex(0), self.count as f64);
        let kind = WriteKind::SetPoint;
        out.push(Effect::Write(SetPointWrite {
            device,
            kind,
            value,
            reactive: 0.0,
            epoch: 1,
            valid_until: now,
        }));
        if self.count.is_multiple_of(self.snapshot_every) {
            out.push(Effect::Snapshot);
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        Some(LocalTime::from_nanos(self.count * 1_000))
    }

    /// Its count.
    fn carried(&self) -> Option<Carried> {
        let (at, memory) = (LocalTime::from_nanos(self.count), self.count.to_le_bytes().to_vec());
        if let Some(found) = &self.found
            && self.count == 0
        {
            return found.clone().ok();
        }
        (self.count > 0).then_some(Carried { at, wall: None, layout: 0, memory })
    }

    fn recall(&mut self, found: Result<Carried, NotCarried>) {
        self.found = Some(found);
    }
}

/// Catches what fails.
pub(crate) struct Caught;

impl Containment for Caught {
    fn contain(run: &mut dyn FnMut()) -> Handled {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => Handled::Done,
            Err(_panic) => Handled::Poisoned,
        }
    }
}

/// What the header of a counter says.
pub(crate) fn header() -> Header {
    let names =
        ControllerNames { grid: "g".into(), id: "a".into(), devices: Vec::new(), functions: Vec::new() };
    Header::new(&["Counter"], vec![names])
}

/// Settings under which everything happens within seconds.
pub(crate) fn settings(sync: SyncRule) -> JournalSettings {
    let retention = Retention { keep: 3, keep_for: None };
    JournalSettings { sync, rotate_bytes: 4_000, rotate_after: None, retention }
}

/// What stood at the end of a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Stood {
    pub(crate) chains: ChainPair,
    pub(crate) state: Vec<u8>,
}

/// A controller that lives, with its disk.
#[derive(Clone, Debug)]
pub(crate) struct Rig {
    pub(crate) disk: SimDisk,
    pub(crate) journal: Journal,
    pub(crate) keeper: PromiseKeeper,
    pub(crate) machine: Counter,
    pub(crate) now: Time,
    pub(crate) told: Vec<Completion>,
    /// By deliveries of this life.
    pub(crate) history: Vec<Stood>,
    /// The lives before, and how many of their deliveries were called durable.
    pub(crate) lives: Vec<(Vec<Stood>, u64)>,
    /// The last promise that was called durable.
    pub(crate) promised: Kept,
    /// Whether the last one could not be made durable: its copy may be half written.
    pub(crate) has_broken_copy: bool,
    /// Whether the counter has stopped: nothing reaches it any more.
    has_stopped: bool,
    settings: JournalSettings,
    /// Of which version it is.
    pub(crate) header: Header,
    /// What the disk does for the journal, and for the keeper of promises.
    jobs: [Option<(Time, u32, Job)>; 2],
}

impl Rig {
    /// Boots a counter on an empty disk.
    pub(crate) fn new(settings: JournalSettings, machine: Counter, seed: u64) -> Self {
        Self::on(SimDisk::new(SYNC, Stream::new(seed, 0)), settings, machine)
    }

    /// Boots a counter on a disk on which there was none before.
    pub(crate) fn on(disk: SimDisk, settings: JournalSettings, machine: Counter) -> Self {
        Self::begin(disk, settings, header(), machine, (Time::ZERO, true), (Vec::new(), Kept::NOTHING))
    }

    /// Looks what a new life would find.
    pub(crate) fn look(disk: &SimDisk, at: Time, auto_replay: bool) -> Recovered {
        Self::look_as(&header(), disk, at, auto_replay)
    }

    /// Looks what a new life of the same version would find.
    pub(crate) fn look_again(&self) -> Recovered {
        Self::look_as(&self.header, &self.disk, self.now, true)
    }

    /// The same of a life with another header.
    pub(crate) fn look_as(header: &Header, disk: &SimDisk, at: Time, auto_replay: bool) -> Recovered {
        Self::look_where(header, Making::NOTHING, disk, (at, auto_replay))
    }

    /// The same where other texts of its site's file make something.
    pub(crate) fn look_where(
        header: &Header,
        making: Making<'_>,
        disk: &SimDisk,
        (at, auto_replay): (Time, bool),
    ) -> Recovered {
        let mut fresh = Vec::new();
        Counter::new(&(25, u64::MAX, 300)).encode(&mut fresh);
        let expected = Expected { header, fresh: &fresh, auto_replay, making, at };
        recover::<Counter, Caught>(&mut disk.folder(OWNER), &expected)
    }

    /// A new life on the same disk, after the process died.
    #[must_use]
    pub(crate) fn reborn(self, auto_replay: bool) -> Self {
        let fresh = Counter { count: 0, incarnation: 0, ..self.machine };
        let mut lives = self.lives;
        lives.push((self.history, self.journal.durable()));
        let before = (lives, self.promised);
        Self::begin(self.disk, self.settings, self.header, fresh, (self.now, auto_replay), before)
    }

    fn begin(
        mut disk: SimDisk,
        settings: JournalSettings,
        header: Header,
        fresh: Counter,
        (mut now, auto_replay): (Time, bool),
        (lives, promised): (Vec<(Vec<Stood>, u64)>, Kept),
    ) -> Self {
        let recovered = Self::look_as(&header, &disk, now, auto_replay);
        let mut state = Vec::new();
        fresh.encode(&mut state);
        let state = recovered.state.clone().unwrap_or(state);
        let machine: Counter = codec::decode(&state).expect("what a recovery gives can be decoded");
        let mut keeper = PromiseKeeper::new(now, &recovered.promises);
        let incarnation = recovered.incarnation + 1;
        keeper.save(now, Kept { incarnation, ..recovered.promises.kept });
        // A life begins when its number is durable, or cannot become so.
        while let Some(request) = keeper.take_request() {
            let (span, job) = disk.begin(OWNER, &request.operation);
            now += span;
            keeper.reply(now, request.number, disk.finish(job).reply());
        }
        let promised = if keeper.take_answer() == Some(true) { keeper.kept() } else { promised };
        let beginning = Beginning {
            header: header.clone(),
            settings,
            number: recovered.number,
            state: &state,
            carried: recovered.carried.as_ref(),
            chains: recovered.chains,
            closed: recovered.closed.clone(),
            chores: recovered.chores.clone(),
        };
        let journal = Journal::begin(now, beginning).expect("the header is small");
        let history = vec![Stood { chains: recovered.chains, state }];
        let told = Vec::new();
        let mut rig = Self {
            disk,
            journal,
            keeper,
            machine,
            now,
            told,
            history,
            lives,
            promised,
            has_broken_copy: false,
            has_stopped: false,
            settings,
            header,
            jobs: [None, None],
        };
        rig.pump();
        let boot = Boot {
            incarnation,
            origin: recovered.origin,
            abstains: recovered.abstains,
            promise: recovered.promises.kept.promise,
            wall: None,
        };
        rig.deliver(Step::Boot(boot));
        rig
    }

    /// Wakes the counter every period.
    pub(crate) fn run(&mut self, wakes: usize) {
        for _ in 0..wakes {
            self.wake();
            self.wait(PERIOD);
        }
    }

    /// Wakes the counter once.
    pub(crate) fn wake(&mut self) {
        self.deliver(Step::Input(Input::Wake));
    }

    /// Asks the counter to end its life in order.
    pub(crate) fn stop(&mut self) {
        self.has_stopped = true;
        self.deliver(Step::Input(Input::Command(Command::Stop)));
    }

    /// Lets time pass, and the disk work.
    pub(crate) fn wait(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            let jobs = self.jobs.iter().flatten().map(|job| job.0);
            let deadlines = [self.journal.deadline(), self.keeper.deadline()].into_iter().flatten();
            let next = jobs.chain(deadlines).min().unwrap_or(Time::MAX).max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            for lane in 0..2 {
                if let Some((_, number, job)) = self.jobs[lane].take_if(|job| job.0 <= next) {
                    let answer = self.disk.finish(job);
                    match lane {
                        0 => self.journal.reply(next, number, answer.reply()),
                        _promises => self.keeper.reply(next, number, answer.reply()),
                    }
                }
            }
            self.journal.wake(next);
            self.keeper.wake(next);
            self.pump();
        }
        self.now = end;
    }

    /// Asks for a promise.
    pub(crate) fn promise(&mut self, round: u32) {
        let ceiling = Epoch { round, seat: Seat(0) };
        let promise = Promise { ceiling, ..Promise::FIRST };
        self.keeper.save(self.now, Kept { promise, incarnation: self.machine.incarnation });
        self.pump();
    }

    /// What is on the disk is what a power failure leaves.
    pub(crate) fn crash(&mut self) {
        self.disk.crash();
        self.jobs = [None, None];
    }

    /// Finds the delivery of this life at whose end it stood as recovered.
    pub(crate) fn position_of(&self, recovered: &Recovered) -> Option<u64> {
        position_in(&self.history, recovered)
    }

    /// Whether it stood so in an earlier life, and everything after that was never called durable.
    pub(crate) fn is_of_earlier_life(&self, recovered: &Recovered) -> bool {
        let mut is_durable = self.journal.durable() > 0;
        for (history, durable) in self.lives.iter().rev() {
            if is_durable {
                return false;
            }
            if position_in(history, recovered).is_some_and(|position| position >= *durable) {
                return true;
            }
            is_durable = *durable > 0;
        }
        !is_durable && recovered.state.is_none()
    }

    fn deliver(&mut self, step: Step<'_>) {
        let (at, now) = (self.now, LocalTime::from_nanos(self.now.as_nanos()));
        let to = ControllerIndex(OWNER);
        self.journal.delivery(&Delivery { at, now, to, step });
        let mut effects = Effects::new();
        match step {
            Step::Restore { .. } => panic!("what is restored is no delivery of its journal"),
            Step::Boot(boot) => self.machine.boot(now, boot, &mut effects),
            Step::Input(ref input) => self.machine.handle(now, input, &mut effects),
        }
        let deadline = self.machine.deadline();
        self.journal.outcome(&Outcome {
            at,
            now,
            from: to,
            deadline,
            effects: &effects,
            state: &self.machine,
        });
        let mut state = Vec::new();
        self.machine.encode(&mut state);
        self.history.push(Stood { chains: self.journal.chains(), state });
        self.pump();
    }

    /// Hands on what is asked for and what is told.
    fn pump(&mut self) {
        if let Some(request) = self.journal.take_request() {
            let (span, job) = self.disk.begin(OWNER, &request.operation);
            assert!(self.jobs[0].is_none(), "one request at a time");
            self.jobs[0] = Some((self.now + span, request.number, job));
        }
        if let Some(request) = self.keeper.take_request() {
            let (span, job) = self.disk.begin(OWNER, &request.operation);
            assert!(self.jobs[1].is_none(), "one request at a time");
            self.jobs[1] = Some((self.now + span, request.number, job));
        }
        if let Some(succeeded) = self.keeper.take_answer() {
            self.has_broken_copy = !succeeded;
            // What a life finds need not be durable: only what it was told is.
            if succeeded {
                self.promised = self.keeper.kept();
            }
        }
        while let Some(completion) = self.journal.take_completion() {
            self.told.push(completion);
            let input = match completion {
                Completion::Snapshotted(succeeded) => Input::Snapshotted { succeeded },
                Completion::Status(status) => Input::Journal(status),
                Completion::Ended(_) => continue,
            };
            if !self.has_stopped {
                self.deliver(Step::Input(input));
            }
        }
    }
}

fn position_in(history: &[Stood], recovered: &Recovered) -> Option<u64> {
    let state = recovered.state.as_ref()?;
    let same = |stood: &Stood| stood.chains == recovered.chains && stood.state == *state;
    history.iter().rposition(same).map(|position| position as u64)
}
