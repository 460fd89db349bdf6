//! A controller of a few lines that lives on a real disk, with a journal and a keeper of promises, and a clock moved by hand.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{ChainPair, ControllerNames, Header, codec};
use r_ems_engine::machine::{Boot, Delivery, Effect, Effects, Handled, Input, Machine, Outcome, State, Step};
use r_ems_engine::persistence::journal::{Beginning, Completion, Journal, JournalSettings, SyncRule};
use r_ems_engine::persistence::recovery::{Containment, Expected, Making};
use r_ems_engine::persistence::{Kept, Lane, PromiseKeeper, Recovered, Retention, Storage, recover};
use r_ems_engine::redundancy::{Epoch, Promise, Seat};
use r_ems_engine::serde::{Deserialize, Serialize};
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_site::clock::{BootClock, Clock, Waited};
use r_ems_site::disk::{Disk, Folder, Told};

/// The time between two wakes.
const PERIOD: Span = Span::from_millis(10);
/// A test that waits longer has failed.
const PATIENCE: Span = Span::from_secs(60);
const A: ControllerIndex = ControllerIndex(0);
const SETTINGS: JournalSettings = JournalSettings {
    sync: SyncRule::Every(Span::from_millis(50)),
    rotate_bytes: 3_000,
    rotate_after: None,
    retention: Retention { keep: 2, keep_for: None },
};

/// Counts its wakes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(crate = "r_ems_engine::serde")]
pub(crate) struct Counter {
    count: u64,
    ballast: Vec<u8>,
}

impl Machine for Counter {
    type Spec = ();

    fn new(_spec: &()) -> Self {
        Self { count: 0, ballast: vec![7; 200] }
    }

    fn boot(&mut self, _now: LocalTime, _boot: Boot, _out: &mut Effects) {}

    fn handle(&mut self, _now: LocalTime, input: &Input<'_>, out: &mut Effects) {
        if *input == Input::Wake {
            self.count += 1;
            if self.count.is_multiple_of(25) {
                out.push(Effect::Snapshot);
            }
        }
    }

    fn deadline(&self) -> Option<LocalTime> {
        Some(LocalTime::from_nanos(self.count * 1_000))
    }
}

struct Caught;

impl Containment for Caught {
    fn contain(run: &mut dyn FnMut()) -> Handled {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => Handled::Done,
            Err(_panic) => Handled::Poisoned,
        }
    }
}

/// What stood at the end of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stood {
    chains: ChainPair,
    state: Vec<u8>,
}

/// A controller that lives.
pub(crate) struct Life {
    disk: Disk<Recovered>,
    clock: BootClock,
    journal: Option<Journal>,
    keeper: PromiseKeeper,
    machine: Counter,
    now: Time,
    /// With what it began.
    pub(crate) recovered: Recovered,
    /// What stood at the beginning, and after each delivery.
    pub(crate) history: Vec<Stood>,
    pub(crate) told: Vec<Completion>,
    /// The last promise that was called durable in this life.
    pub(crate) promised: Option<Kept>,
    is_at_work: [bool; 2],
    /// After so many more requests the process dies.
    pub(crate) requests_left: usize,
}

fn header() -> Header {
    let names =
        ControllerNames { grid: "g".into(), id: "a".into(), devices: Vec::new(), functions: Vec::new() };
    Header::new(&["Counter"], vec![names])
}

fn fresh() -> Vec<u8> {
    let mut bytes = Vec::new();
    Counter::new(&()).encode(&mut bytes);
    bytes
}

/// Looks what is left in a folder.
pub(crate) fn look(storage: &mut dyn Storage) -> Recovered {
    let making = Making::NOTHING;
    let expected = Expected { header: &header(), fresh: &fresh(), auto_replay: true, making, at: Time::ZERO };
    recover::<Counter, Caught>(storage, &expected)
}

/// What stood when a recovered state was made.
pub(crate) fn stood(recovered: &Recovered) -> Stood {
    Stood { chains: recovered.chains, state: recovered.state.clone().unwrap_or_else(fresh) }
}

impl Life {
    /// Lives on what is left in a folder, in a process of its own.
    pub(crate) fn begin(path: &Path) -> Self {
        Self::begin_for(path, usize::MAX)
    }

    /// The same for so many requests.
    pub(crate) fn begin_for(path: &Path, requests_left: usize) -> Self {
        let clock = BootClock::begin_in(Span::ZERO).expect("a clock");
        let folder = Folder::open(path).expect("nobody else lives there");
        let disk = Disk::start(vec![folder], &clock.waker()).expect("threads");
        Self::find(disk, clock, Time::ZERO, requests_left)
    }

    /// Ends this life and begins the next one in the same process, whatever the disk is at.
    #[must_use]
    pub(crate) fn again(self) -> Self {
        Self::find(self.disk, self.clock, self.now, usize::MAX)
    }

    fn find(mut disk: Disk<Recovered>, mut clock: BootClock, now: Time, requests_left: usize) -> Self {
        disk.recover(A, Box::new(look));
        let Told::Recovered { of: A, found: Some(recovered) } = hear(&mut disk, &mut clock) else {
            panic!("a life hears first what was found");
        };
        let stood = stood(&recovered);
        let mut life = Self {
            disk,
            clock,
            journal: None,
            keeper: PromiseKeeper::new(now, &recovered.promises),
            machine: codec::decode(&stood.state).expect("what a recovery gives can be decoded"),
            now,
            recovered,
            history: vec![stood],
            told: Vec::new(),
            promised: None,
            is_at_work: [false; 2],
            requests_left,
        };
        let incarnation = life.recovered.incarnation + 1;
        life.keeper.save(now, Kept { incarnation, ..life.recovered.promises.kept });
        life.settle();
        life.journal = Some(life.begun_journal());
        let promise = life.recovered.promises.kept.promise;
        let (origin, abstains) = (life.recovered.origin, life.recovered.abstains);
        life.deliver(Step::Boot(Boot { incarnation, origin, abstains, promise, wall: None }));
        life
    }

    fn begun_journal(&self) -> Journal {
        let Recovered { number, chains, closed, chores, carried, .. } = self.recovered.clone();
        let state = &self.history[0].state;
        let carried = carried.as_ref();
        let beginning = Beginning {
            header: header(),
            settings: SETTINGS,
            number,
            state,
            carried,
            chains,
            closed,
            chores,
        };
        Journal::begin(self.now, beginning).expect("the header is small")
    }

    /// Wakes the counter every period, and lets the disk do what follows.
    pub(crate) fn run(&mut self, wakes: usize) {
        for _ in 0..wakes {
            self.deliver(Step::Input(Input::Wake));
            self.settle();
            self.now += PERIOD;
            self.keeper.wake(self.now);
            if let Some(journal) = &mut self.journal {
                journal.wake(self.now);
            }
        }
        self.settle();
    }

    /// Wakes the counter and lets that become due to be written, and makes a promise; waits for neither.
    pub(crate) fn work_on(&mut self, round: u32) {
        self.deliver(Step::Input(Input::Wake));
        self.now += PERIOD * 10;
        if let Some(journal) = &mut self.journal {
            journal.wake(self.now);
        }
        self.save(round);
        self.ask();
        assert_eq!(self.is_at_work, [true; 2], "both lanes are at work");
    }

    /// Makes a promise.
    pub(crate) fn promise(&mut self, round: u32) {
        self.save(round);
        self.settle();
    }

    fn save(&mut self, round: u32) {
        let promise = Promise { ceiling: Epoch { round, seat: Seat(0) }, ..Promise::FIRST };
        self.keeper.save(self.now, Kept { promise, incarnation: self.recovered.incarnation + 1 });
    }

    /// Whether the process has died.
    pub(crate) const fn is_over(&self) -> bool {
        self.requests_left == 0
    }

    /// How many of its deliveries were called durable.
    pub(crate) fn durable(&self) -> usize {
        self.journal.as_ref().map_or(0, |journal| journal.durable() as usize)
    }

    /// What stood when what it began with was made.
    pub(crate) fn found(&self) -> Stood {
        stood(&self.recovered)
    }

    /// The process dies: what it had been, and what was promised.
    pub(crate) fn kill(self) -> (Vec<Stood>, Kept) {
        let before = self.recovered.promises.kept;
        (self.history, self.promised.unwrap_or(before))
    }

    /// Lets the disk work until nothing is asked for any more, or the process dies.
    fn settle(&mut self) {
        self.ask();
        while !self.is_over() && self.is_at_work != [false; 2] {
            let Told::Answered { of: A, lane, number, answer } = hear(&mut self.disk, &mut self.clock) else {
                panic!("nobody asked for a recovery");
            };
            self.is_at_work[lane as usize] = false;
            match (lane, &mut self.journal) {
                (Lane::Promises, _) => self.keeper.reply(self.now, number, answer.reply()),
                (Lane::Journal, Some(journal)) => journal.reply(self.now, number, answer.reply()),
                (Lane::Journal, None) => panic!("there is no journal yet"),
            }
            self.hear_outcomes();
            self.ask();
        }
    }

    fn ask(&mut self) {
        let of_journal = self.journal.as_mut().and_then(Journal::take_request);
        let of_keeper = self.keeper.take_request();
        for (lane, request) in [(Lane::Journal, of_journal), (Lane::Promises, of_keeper)] {
            let Some(request) = request.filter(|_| self.requests_left > 0) else { continue };
            self.requests_left -= 1;
            self.is_at_work[lane as usize] = true;
            self.disk.ask(A, lane, request);
        }
    }

    fn hear_outcomes(&mut self) {
        if self.keeper.take_answer() == Some(true) {
            self.promised = Some(self.keeper.kept());
        }
        while let Some(completion) = self.journal.as_mut().and_then(Journal::take_completion) {
            self.told.push(completion);
            match completion {
                Completion::Snapshotted(succeeded) => {
                    self.deliver(Step::Input(Input::Snapshotted { succeeded }));
                }
                Completion::Status(status) => self.deliver(Step::Input(Input::Journal(status))),
                Completion::Ended(_) => {}
            }
        }
    }

    fn deliver(&mut self, step: Step<'_>) {
        let (at, now) = (self.now, LocalTime::from_nanos(self.now.as_nanos()));
        let Some(journal) = &mut self.journal else { panic!("a life is journaled") };
        journal.delivery(&Delivery { at, now, to: A, step });
        let mut effects = Effects::new();
        match step {
            Step::Restore { .. } => panic!("what is restored is no delivery of its journal"),
            Step::Boot(boot) => self.machine.boot(now, boot, &mut effects),
            Step::Input(ref input) => self.machine.handle(now, input, &mut effects),
        }
        let (deadline, state) = (self.machine.deadline(), &self.machine);
        journal.outcome(&Outcome { at, now, from: A, deadline, effects: &effects, state });
        let mut state = Vec::new();
        self.machine.encode(&mut state);
        self.history.push(Stood { chains: journal.chains(), state });
    }
}

fn hear(disk: &mut Disk<Recovered>, clock: &mut BootClock) -> Told<Recovered> {
    let until = clock.now() + PATIENCE;
    loop {
        if let Some(told) = disk.take() {
            return told;
        }
        assert_eq!(clock.wait(until), Waited::Woken, "the disk does not answer");
    }
}
