//! Recovery: what a new life goes on with. Recovery is replay: the newest good state, and the deliveries after it.
//!
//! - **A torn tail is cut.** Blocks become durable out of order, so what is bad at or after the position that was known to be
//!   durable was never promised to anybody.
//! - **Damage is not.** What is bad before that position was durable: the segment is put aside, the life begins with the newest
//!   good state, and it does not vote before it knows what others promised.
//! - **Poison.** Deliveries that fail an assertion in two replays would fail it in each life: the life begins with the state
//!   before them.
//! - **Promises** are recovered whatever becomes of all that: see [`super::promises`].
//! - **Upgrades.** A state that another version made is not taken. What was promised goes on, and so does the clock, as far as
//!   records are left that tell it; the memory beside the newest state that has one goes to the machine as it is made, see
//!   [`crate::carried`]. All else begins anew, and that is reported.
//!
//! It must never fail, whatever the bytes are, and never take a state that another site, another stack of functions or another
//! version of the engine made, or that was made where other devices were simulated: such a state means something else.
//!
//! **Decision: a site is what its file makes, not how that is written.** A segment whose site file is another text is gone on
//! with where that text makes the same controller: comments, other grids and what only the journal is told may change, while it
//! runs or between two lives, and a log need not be begun anew for it.

mod finding;
mod foreign;
mod replaying;

use alloc::vec::Vec;
use core::fmt;

pub use self::finding::Finding;
use self::foreign::Foreign;
use self::replaying::{FileSource, Replaying, Stop};
use super::disk::{DiskError, FileName, Storage};
use super::journal::Chore;
use super::promises::Found;
use super::retention::Closed;
use super::status::Origin;
use crate::carried::Carried;
use crate::fleet::Fleet;
use crate::log::scan::highest_synced;
use crate::log::{ChainPair, Content, End, Header, LogError, ReadError, Reader, Status, codec};
use crate::machine::{Handled, Machine};
use crate::mistakes::{Mistake, makes};
use crate::time::{LocalTime, Span, Time};
use crate::wall::WallTime;

/// Confines a failed assertion; a program with a standard library catches the panic.
pub trait Containment {
    /// Runs the handling of one delivery.
    fn contain(run: &mut dyn FnMut()) -> Handled {
        run();
        Handled::Done
    }
}

/// What is expected of a journal, and what is done with it.
#[derive(Clone, Debug)]
pub struct Expected<'a> {
    /// What each segment says about itself.
    pub header: &'a Header,
    /// The encoded state of the machine as it is made.
    pub fresh: &'a [u8],
    /// Whether the state is recovered; promises always are.
    pub auto_replay: bool,
    /// What another text of the site's file makes.
    pub making: Making<'a>,
    /// When it happens.
    pub at: Time,
}

/// Makes the encoded state of this controller, as it is made, from a text of its site's file; `None`: that makes none.
#[derive(Clone, Copy)]
pub struct Making<'a>(pub &'a dyn Fn(&str) -> Option<Vec<u8>>);

impl Making<'static> {
    /// No other text makes it.
    pub const NOTHING: Self = Self(&|_text| None);
}

impl fmt::Debug for Making<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Making")
    }
}

impl Expected<'_> {
    /// Whether the states under a header mean what they mean now.
    fn is_of(&self, header: &Header) -> bool {
        let own = self.header;
        let made = || (self.making.0)(&header.site_text).is_some_and(|made| made == self.fresh);
        header.engine == own.engine
            && header.behavior == own.behavior
            && header.functions == own.functions
            && header.controllers == own.controllers
            && header.scenario == own.scenario
            && (header.site_text == own.site_text || made())
    }
}

/// What the newest segment that can be read says about itself.
pub fn newest_header(storage: &mut dyn Storage) -> Option<Header> {
    let segment = |name: FileName| match name {
        FileName::Segment(number) => Some(number),
        FileName::New(_) | FileName::Quarantined(_) | FileName::Promise(_) => None,
    };
    let mut numbers: Vec<u64> = storage.list().ok()?.into_iter().filter_map(segment).collect();
    numbers.sort_unstable();
    let mut header = |number| Some(Reader::open(FileSource::new(storage, number)).ok()?.header().clone());
    numbers.into_iter().rev().find_map(&mut header)
}

/// The longest outage that is believed: what lets a clock jump farther is more likely wrong than true, and a clock that counts
/// nanoseconds for 584 years outlasts many such jumps.
pub const OUTAGE_MAX: Span = Span::from_hours(366 * 24);

/// The last instant of a life that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastKnown {
    /// On its own clock.
    pub now: LocalTime,
    /// What it believed that the wall clock showed then.
    pub wall: Option<WallTime>,
}

impl LastKnown {
    fn of<M: Machine>(machine: &M, now: LocalTime) -> Self {
        Self { now, wall: machine.wall_clock(now) }
    }

    /// What the clock of a host that boots must show at least, if its wall clock shows `wall`: the last instant and the outage
    /// since. A wall clock that was set back makes an outage shorter than it was, never negative; without one it is none.
    pub fn resumes_at(&self, wall: Option<WallTime>) -> LocalTime {
        let outage = self.wall.zip(wall).map_or(Span::ZERO, |(before, wall)| wall.since(before));
        self.now + outage.min(OUTAGE_MAX)
    }
}

/// With what a life begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The encoded state; `None`: as it is made.
    pub state: Option<Vec<u8>>,
    /// The memory that stands beside it.
    pub carried: Option<Carried>,
    /// What had been asked for up to it.
    pub chains: ChainPair,
    /// Where it comes from.
    pub origin: Origin,
    /// What was promised.
    pub promises: Found,
    /// The number of the last life that is known of.
    pub incarnation: u32,
    /// Whether the new life must not vote before it knows what others promised.
    pub abstains: bool,
    /// The last instant of the life before that is known: the new life's clock must not show less.
    pub last: Option<LastKnown>,
    /// Deliveries that were replayed.
    pub replayed: u64,
    /// Segments that are there, the oldest first.
    pub closed: Vec<Closed>,
    /// The number of the next segment; `None`: the files or the promises could not be read, so this life ends once they can be,
    /// and nothing is kept of it.
    pub number: Option<u64>,
    /// What is to be tidied up.
    pub chores: Vec<Chore>,
    /// Everything that was odd.
    pub findings: Vec<Finding>,
}

/// Looks through a controller's files and rebuilds its state with `M`.
pub fn recover<M: Machine, C: Containment>(storage: &mut dyn Storage, expected: &Expected<'_>) -> Recovered {
    let (names, unlisted) = match storage.list() {
        Ok(names) => (names, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let promises = if unlisted.is_none() { Found::of(storage, &names) } else { Found::UNKNOWN };
    let forgets = makes(Mistake::PromiseNeedsReplay) && !expected.auto_replay;
    let promises = if forgets { Found::NOTHING } else { promises };
    let mut recovered = Recovered::from_names(&names, promises, expected);
    recovered.number = recovered.number.filter(|_number| promises.is_known);
    if let Some(error) = unlisted {
        recovered.findings.push(Finding::Unlisted(error));
        recovered.abstains = true;
        return recovered;
    }
    if promises.is_damaged {
        recovered.findings.push(Finding::PromisesDamaged);
    }
    // An earlier life may have found them so, and never learned what it had promised.
    recovered.abstains |= promises.is_damaged || promises.kept.promise.abstains;
    if expected.auto_replay {
        recovered.rebuild::<M, C>(storage, expected);
    }
    recovered
}

impl Recovered {
    /// Nothing could be looked at.
    pub fn unknown() -> Self {
        Self {
            state: None,
            carried: None,
            chains: ChainPair::default(),
            origin: Origin::Fresh,
            promises: Found::UNKNOWN,
            incarnation: 0,
            abstains: true,
            last: None,
            replayed: 0,
            closed: Vec::new(),
            number: None,
            chores: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn from_names(names: &[FileName], promises: Found, expected: &Expected<'_>) -> Self {
        let mut numbers = Vec::new();
        let mut chores = Vec::new();
        let mut number = 1;
        for name in names {
            number = number.max(name.number().unwrap_or_default().saturating_add(1));
            match *name {
                FileName::Segment(found) => numbers.push(found),
                FileName::New(_) => chores.push(Chore::Remove(*name)),
                FileName::Quarantined(_) | FileName::Promise(_) => {}
            }
        }
        numbers.sort_unstable();
        let closed = numbers.into_iter().map(|number| Closed { number, ended: expected.at });
        Self {
            state: None,
            carried: None,
            chains: ChainPair::default(),
            origin: Origin::Fresh,
            promises,
            incarnation: promises.kept.incarnation,
            abstains: false,
            last: None,
            replayed: 0,
            closed: closed.collect(),
            number: Some(number),
            chores,
            findings: Vec::new(),
        }
    }

    /// Goes from the newest segment back to one whose state can be believed.
    fn rebuild<M: Machine, C: Containment>(&mut self, storage: &mut dyn Storage, expected: &Expected<'_>) {
        let numbers: Vec<u64> = self.closed.iter().rev().map(|closed| closed.number).collect();
        for (place, segment) in numbers.iter().copied().enumerate() {
            match Opened::<M>::open(storage, segment, expected) {
                Ok(opened) => return self.replay::<M, C>(storage, opened),
                Err(Unusable::Foreign) => {
                    self.findings.push(Finding::Foreign { segment });
                    self.origin = Origin::Foreign;
                    return self.take_foreign::<M>(
                        Foreign::in_segments(storage, &numbers[place..], expected),
                        expected,
                    );
                }
                Err(Unusable::Unreadable(error)) => {
                    let file = FileName::Segment(segment);
                    self.findings.push(Finding::Unreadable(file, error));
                    (self.origin, self.abstains) = (Origin::Damaged, true);
                }
                // Its name was given when its head was durable.
                Err(Unusable::Damaged(position)) => self.damaged(segment, position),
            }
        }
        if !numbers.is_empty() {
            (self.state, self.carried, self.origin) = (None, None, Origin::Lost);
        }
    }

    /// Begins anew, with what another version has left.
    fn take_foreign<M: Machine>(&mut self, foreign: Foreign, expected: &Expected<'_>) {
        self.last = foreign.last;
        // Who cannot be made as it was said to be made begins without.
        if let Ok(mut machine) = codec::decode::<M>(expected.fresh) {
            machine.recall(foreign.carried);
            self.take_state(&machine);
        }
    }

    fn take_state<M: Machine>(&mut self, machine: &M) {
        let mut state = Vec::new();
        codec::encode(machine, &mut state);
        (self.state, self.carried) = (Some(state), machine.carried());
    }

    /// Replays what follows the state of a segment.
    fn replay<M: Machine, C: Containment>(&mut self, storage: &mut dyn Storage, opened: Opened<M>) {
        let segment = opened.segment;
        self.take_head(&opened);
        let first = attempt::<M, C>(storage, &opened);
        let attempted = match first.stop {
            // Once may be the machine's memory; twice is the delivery.
            Stop::Poisoned(_) => attempt::<M, C>(storage, &opened),
            Stop::End(_) | Stop::Unreadable(_) | Stop::Diverged => first,
        };
        self.incarnation = self.incarnation.max(attempted.incarnation);
        self.last = attempted.last.or(self.last);
        let torn = match attempted.stop {
            Stop::End(End::Closed(_)) => None,
            Stop::End(End::Torn { position, .. }) => Some(position),
            Stop::Unreadable(ReadError::Log(LogError { position, .. })) => Some(position),
            Stop::Unreadable(ReadError::Source(error)) => {
                self.findings.push(Finding::Unreadable(FileName::Segment(segment), error));
                (self.origin, self.abstains) = (Origin::Damaged, true);
                return;
            }
            Stop::Diverged => {
                self.findings.push(Finding::Diverged { segment });
                return self.set_aside(segment, Origin::Damaged);
            }
            Stop::Poisoned(at) => {
                self.findings.push(Finding::Poisoned { segment, at });
                return self.set_aside(segment, Origin::Poisoned);
            }
        };
        if let Some(position) = torn {
            if position < known_durable(storage, segment, position, attempted.synced) {
                return self.damaged(segment, position);
            }
            self.findings.push(Finding::TornTail { segment, position });
        }
        self.state = Some(attempted.state);
        self.carried = attempted.carried;
        self.chains = attempted.chains;
        self.replayed = attempted.deliveries;
        if self.origin == Origin::Fresh {
            self.origin = Origin::Replayed;
        }
    }

    fn take_head<M: Machine>(&mut self, opened: &Opened<M>) {
        self.take_state(&opened.machine);
        self.chains = opened.chains;
        // A state does not say when it was taken, but when its machine wanted to be woken next.
        self.last = opened.machine.deadline().map(|deadline| LastKnown::of(&opened.machine, deadline));
    }

    fn damaged(&mut self, segment: u64, position: u64) {
        self.findings.push(Finding::Damaged { segment, position });
        self.abstains = true;
        self.set_aside(segment, Origin::Damaged);
    }

    /// Keeps a segment for people and out of every later recovery.
    fn set_aside(&mut self, segment: u64, origin: Origin) {
        self.origin = origin;
        self.closed.retain(|closed| closed.number != segment);
        self.chores.push(Chore::Quarantine(segment));
    }
}

/// The highest position that the segment's writer knew to be durable, as far as any of its bytes say.
fn known_durable(storage: &mut dyn Storage, segment: u64, position: u64, synced: u64) -> u64 {
    let mut rest = FileSource { storage, file: FileName::Segment(segment), offset: position };
    // What cannot be read says nothing.
    synced.max(highest_synced(&mut rest).unwrap_or(0))
}

/// A segment whose head can be believed.
struct Opened<M> {
    segment: u64,
    machine: M,
    chains: ChainPair,
}

/// Why a segment's state is of no use.
enum Unusable {
    Unreadable(DiskError),
    Damaged(u64),
    Foreign,
}

impl From<ReadError<DiskError>> for Unusable {
    fn from(error: ReadError<DiskError>) -> Self {
        match error {
            ReadError::Source(error) => Self::Unreadable(error),
            ReadError::Log(LogError { position, .. }) => Self::Damaged(position),
        }
    }
}

impl<M: Machine> Opened<M> {
    fn open(storage: &mut dyn Storage, segment: u64, expected: &Expected<'_>) -> Result<Self, Unusable> {
        let mut reader = Reader::open(FileSource::new(storage, segment))?;
        if !expected.is_of(reader.header()) {
            return Err(Unusable::Foreign);
        }
        let Content::State(bytes) = next(&mut reader)? else {
            return Err(Unusable::Damaged(reader.record_position()));
        };
        let machine = codec::decode(bytes).map_err(|codec::Undecodable| Unusable::Foreign)?;
        let mut content = next(&mut reader)?;
        if let Content::Carried { .. } = content {
            // Who takes the state needs no memory of it.
            content = next(&mut reader)?;
        }
        let Content::Chains(chains) = content else {
            return Err(Unusable::Damaged(reader.record_position()));
        };
        Ok(Self { segment, machine, chains })
    }
}

fn next<'a>(reader: &'a mut Reader<FileSource<'_>>) -> Result<Content<'a>, Unusable> {
    match reader.advance()? {
        Status::Record => Ok(reader.record().content),
        Status::Ended(_) => Err(Unusable::Damaged(reader.position())),
    }
}

/// What one replay came to.
struct Attempted {
    stop: Stop,
    state: Vec<u8>,
    carried: Option<Carried>,
    chains: ChainPair,
    deliveries: u64,
    incarnation: u32,
    last: Option<LastKnown>,
    synced: u64,
}

fn attempt<M: Machine, C: Containment>(storage: &mut dyn Storage, opened: &Opened<M>) -> Attempted {
    let nothing = |stop| Attempted {
        stop,
        state: Vec::new(),
        carried: None,
        chains: opened.chains,
        deliveries: 0,
        incarnation: 0,
        last: None,
        synced: 0,
    };
    let mut driver = match Replaying::<C>::open(storage, opened.segment, opened.chains) {
        Ok(driver) => driver,
        Err(error) => return nothing(Stop::Unreadable(error)),
    };
    let mut fleet = Fleet::new(alloc::vec![opened.machine.clone()]);
    let poisoned = fleet.run(&mut driver).err();
    let last = driver.last();
    let mut attempted = driver.finish(poisoned);
    for machine in fleet.machines() {
        codec::encode(machine, &mut attempted.state);
        attempted.carried = machine.carried();
        attempted.last = last.map(|now| LastKnown::of(machine, now));
    }
    attempted
}
