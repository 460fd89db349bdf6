//! The journal of one controller: what of the deliveries is durable when, and what a crash may therefore take.
//!
//! ```text
//!     delivery ─> recording ─> write ─> sync ─> durable            each segment: State of the controller, then its deliveries
//!     snapshot, size, age ─> rotation: close the old segment; write a new head under another name, sync it, give it its name,
//!                            sync the names, read it back; only then is an older one removed
//! ```
//!
//! **A segment's head is the snapshot.** To take a snapshot is to rotate: there is no second format, and what recovery reads
//! is what replay reads.
//!
//! **One request at a time.** What comes while the disk works is written together with the next request, so a slow disk makes
//! larger writes and no longer queue.
//!
//! **Trouble is a mode.** After an error nothing more is written to that segment: what a disk did with bytes whose sync failed is
//! not known, so no sync is ever tried again. The journal says that it is degraded, the controller goes on, and after a pause
//! a new segment is begun from the state as it is then. A disk that does not answer in time is trouble too; its segment goes
//! on when it answers, unless so much has gathered that it is given up. Degraded, nothing waits for the disk.
//!
//! It must never hold back a delivery, never call durable what a disk has not confirmed, and never hold more than
//! [`WAITING_BYTES_MAX`]. It knows no file but its controller's, and its own work is in no log.

mod ending;
mod waiting;
mod work;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

pub use self::ending::END_PATIENCE;
use self::ending::End;
use self::waiting::asks_for_sync;
pub use self::waiting::{is_done_at_once, waits_for_sync};
use super::disk::{DiskError, FileName, Reply, Request};
use super::retention::{Closed, Retention};
use super::status::{JournalStatus, Trouble};
use crate::carried::Carried;
use crate::digest::Digest;
use crate::ids::ControllerIndex;
use crate::log::{ChainPair, Ending, Header, HeaderError, Recording, Scope};
use crate::machine::{Delivery, Effect, Outcome, State};
use crate::time::{Span, Time};

/// A request that has no answer after so long is trouble: a disk that works answers within milliseconds, one that retries
/// within a second.
pub const SLOW_AFTER: Span = Span::from_secs(1);
/// After the first error in a row a new segment is begun so much later; the pause doubles with each one.
pub const PAUSE_FIRST: Span = Span::from_secs(1);
/// The longest pause after an error.
pub const PAUSE_MAX: Span = Span::from_secs(60);
/// Most bytes that wait for a disk that does not answer: minutes of a busy controller.
pub const WAITING_BYTES_MAX: usize = 8 << 20;
/// With [`SyncRule::Strict`], deliveries that led to nothing are durable after so long.
pub const STRICT_REST: Span = Span::from_millis(100);

/// When deliveries are made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRule {
    /// So long after the first that is not: a crash loses no more.
    Every(Span),
    /// Before anything that they led to is done, but for votes, heartbeats and polls: a crash loses nothing that changed a
    /// device.
    Strict,
}

/// How a journal is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalSettings {
    /// When deliveries are made durable.
    pub sync: SyncRule,
    /// A segment that is longer is closed.
    pub rotate_bytes: u64,
    /// A segment that was begun longer ago is closed; `None`: age does not matter.
    pub rotate_after: Option<Span>,
    /// What is kept.
    pub retention: Retention,
}

/// With what a journal begins.
#[derive(Clone, Debug)]
pub struct Beginning<'a> {
    /// What each segment says about itself; of this controller only.
    pub header: Header,
    /// How it is kept.
    pub settings: JournalSettings,
    /// The number of the first segment; no file of a number from here on is there. `None`: nobody knows what is there, so
    /// nothing is kept: what the life before left must not be followed by what a life made that knew nothing of it.
    pub number: Option<u64>,
    /// The controller's encoded state.
    pub state: &'a [u8],
    /// Its memory, which stands beside the state.
    pub carried: Option<&'a Carried>,
    /// What it had asked for before.
    pub chains: ChainPair,
    /// Segments that are there, the oldest first.
    pub closed: Vec<Closed>,
    /// What is to be tidied up.
    pub chores: Vec<Chore>,
}

/// Something to tidy up once a verified segment is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// A file of no use is removed.
    Remove(FileName),
    /// A segment that must not be believed is put aside.
    Quarantine(u64),
}

/// What is told to the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The snapshot that it asked for is durable, or is not.
    Snapshotted(bool),
    /// The journal fares otherwise than before.
    Status(JournalStatus),
    /// The life is over: whether its last state is durable. The controller hears no more of it; its process ends.
    Ended(bool),
}

/// Keeps the journal of one controller.
#[derive(Clone, Debug)]
pub struct Journal {
    settings: JournalSettings,
    header: Header,
    /// The segment under way.
    recording: Recording,
    /// Its number; of no meaning where nothing [`Self::is_kept`].
    number: u64,
    is_kept: bool,
    began: Time,
    /// Its bytes that were given to the disk.
    written: u64,
    head: Head,
    standing: Standing,
    /// The segment before, while its last bytes are on their way.
    before: Option<Before>,
    closed: Vec<Closed>,
    chores: VecDeque<Chore>,
    chores_due: Time,
    under_way: Option<UnderWay>,
    request: Option<Request>,
    requests: u32,
    trouble: Option<Trouble>,
    /// Whether the last sync did not take too long.
    syncs_promptly: bool,
    /// Errors in a row, and when a new segment may be begun.
    errors: u8,
    pause_ends: Time,
    snapshot: Snapshot,
    completions: VecDeque<Completion>,
    /// Deliveries: recorded, given to the disk, durable.
    recorded: u64,
    given: u64,
    durable: u64,
    /// When the first delivery that was not given to the disk must be.
    sync_due: Option<Time>,
    /// Whether what was given is to be synced.
    wants_sync: bool,
    /// The life has ended.
    end: Option<End>,
}

/// How a segment begins on the disk: to be read back.
#[derive(Clone, Copy, Debug)]
struct Head {
    bytes: u32,
    digest: Digest,
}

/// How far a segment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unwritten,
    Written,
    Synced,
    Named,
    Durable,
    Verified,
    /// It was given up: another one is begun after a pause.
    GivenUp,
}

#[derive(Clone, Debug)]
struct Before {
    number: u64,
    offset: u64,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    number: u32,
    since: Time,
    step: Step,
    /// The deliveries that are given or durable when it is done.
    covers: u64,
}

/// What the disk is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    CloseWrite,
    CloseSync,
    Make(Standing),
    Write,
    Sync,
    Tidy(Chore),
    Prune(u64),
    /// For a segment that was given up meanwhile.
    Stale,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Snapshot {
    None,
    Wanted,
    UnderWay,
}

/// A state whose bytes are there.
struct Lent<'a>(&'a dyn State);

impl State for Lent<'_> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        self.0.encode(bytes);
    }

    fn carried(&self) -> Option<Carried> {
        self.0.carried()
    }
}

struct Encoded<'a>(&'a [u8], Option<&'a Carried>);

impl State for Encoded<'_> {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.0);
    }

    fn carried(&self) -> Option<Carried> {
        self.1.cloned()
    }
}

impl Journal {
    /// Begins a journal with its first segment.
    ///
    /// # Errors
    /// [`HeaderError`] if the header is beyond a limit.
    pub fn begin(at: Time, beginning: Beginning<'_>) -> Result<Self, HeaderError> {
        let Beginning { header, settings, number, state, carried, chains, closed, chores } = beginning;
        let mut recording =
            Recording::continued(&header, Scope::Fleet, &[Encoded(state, carried)], &[chains])?;
        recording.flush();
        let mut journal = Self {
            settings,
            header,
            head: Head::of(&recording),
            recording,
            number: number.unwrap_or_default(),
            is_kept: number.is_some(),
            began: at,
            written: 0,
            standing: Standing::Unwritten,
            before: None,
            closed,
            // What is there is not known: nothing of it is tidied up.
            chores: if number.is_some() { chores.into() } else { VecDeque::new() },
            chores_due: Time::ZERO,
            under_way: None,
            request: None,
            requests: 0,
            trouble: None,
            syncs_promptly: true,
            errors: 0,
            pause_ends: Time::ZERO,
            snapshot: Snapshot::None,
            completions: VecDeque::new(),
            recorded: 0,
            given: 0,
            durable: 0,
            sync_due: None,
            wants_sync: false,
            end: None,
        };
        if journal.is_kept {
            journal.plan(at);
        } else {
            // The controller is told once it lives.
            journal.standing = Standing::GivenUp;
        }
        Ok(journal)
    }

    /// Records a delivery that is about to be handled.
    #[inline]
    pub fn delivery(&mut self, delivery: &Delivery<'_>) {
        let here = Delivery { to: ControllerIndex(0), ..*delivery };
        self.recording.delivery(&here);
        self.recorded += 1;
        let span = match self.settings.sync {
            SyncRule::Every(span) => span,
            SyncRule::Strict => STRICT_REST,
        };
        if asks_for_sync(&delivery.step) && self.sync_due.is_none() {
            self.sync_due = Some(delivery.at + span);
        }
    }

    /// Records what it led to, and sees whether a new segment is to be begun from the state as it is now.
    #[inline]
    pub fn outcome(&mut self, outcome: &Outcome<'_>) {
        let Outcome { at, now, deadline, effects, state, from: _ } = *outcome;
        let from = ControllerIndex(0);
        self.recording.outcome(&Outcome { at, now, from, deadline, effects, state });
        if effects.as_slice().contains(&Effect::Snapshot) {
            self.want_snapshot();
        }
        if self.settings.sync == SyncRule::Strict && effects.as_slice().iter().any(waits_for_sync) {
            self.sync_due = Some(at);
        }
        self.bound_memory(at);
        if effects.as_slice().contains(&Effect::Stopped) {
            self.end(at, state);
        } else if self.is_to_rotate(at) {
            self.rotate(at, state);
        }
        self.plan(at);
    }

    /// Takes the disk's reply to a request.
    pub fn reply(&mut self, at: Time, number: u32, reply: Reply<'_>) {
        let Some(under_way) = self.under_way.take_if(|under_way| under_way.number == number) else { return };
        let UnderWay { step, covers, since, .. } = under_way;
        let failed = match reply {
            Reply::Failed(error) => Some(error),
            Reply::Bytes(bytes) if step == Step::Make(Standing::Verified) && !self.head.is(bytes) => {
                Some(DiskError::Failed)
            }
            Reply::Done | Reply::Bytes(_) => None,
        };
        match (failed, step) {
            (_, Step::Stale) => {}
            (Some(_error), Step::Tidy(chore)) => {
                // It waits: nothing depends on it.
                self.chores.push_back(chore);
                self.chores_due = at + PAUSE_MAX;
            }
            (Some(_error), Step::Prune(_)) => self.chores_due = at + PAUSE_MAX,
            (Some(error), _) => self.give_up(at, error.trouble()),
            (None, step) => self.done(step, covers),
        }
        if step.is_sync() {
            self.syncs_promptly = at < since + SLOW_AFTER;
        }
        if self.standing == Standing::Verified && (self.trouble != Some(Trouble::Slow) || self.syncs_promptly)
        {
            self.recover();
        }
        self.go_on_ending(at);
        self.plan(at);
    }

    /// Notices that the disk takes too long, or that something is due.
    pub fn wake(&mut self, at: Time) {
        let is_slow = self.under_way.is_some_and(|under_way| at >= under_way.since + SLOW_AFTER);
        if is_slow && self.trouble.is_none() {
            self.syncs_promptly = false;
            self.degrade(Trouble::Slow);
        }
        self.go_on_ending(at);
        self.plan(at);
    }

    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<Time> {
        let ends_at = self.ends_at();
        if let Some(under_way) = self.under_way {
            let is_slow_at = self.trouble.is_none().then(|| under_way.since + SLOW_AFTER);
            return is_slow_at.into_iter().chain(ends_at).min();
        }
        let chores = (!self.chores.is_empty()).then_some(self.chores_due);
        if self.standing != Standing::Verified {
            return chores.into_iter().chain(ends_at).min();
        }
        let prune = self.settings.retention.next_look(&self.closed).map(|at| at.max(self.chores_due));
        [self.sync_due, chores, prune, ends_at].into_iter().flatten().min()
    }

    /// What the disk is to do now; each once.
    pub const fn take_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    /// What the controller is to be told; each once.
    pub fn take_completion(&mut self) -> Option<Completion> {
        self.completions.pop_front()
    }

    /// How many deliveries have been recorded.
    pub const fn recorded(&self) -> u64 {
        self.recorded
    }

    /// How many of them are durable.
    pub const fn durable(&self) -> u64 {
        self.durable
    }

    /// How many of them may lead to something: with [`SyncRule::Strict`] those that are durable, or all while it is degraded.
    pub const fn released(&self) -> u64 {
        match (self.settings.sync, self.trouble) {
            (SyncRule::Strict, None) => self.durable,
            (SyncRule::Every(_), _) | (SyncRule::Strict, Some(_)) => self.recorded,
        }
    }

    /// Whether it is kept at all: whoever does not know what is there keeps nothing.
    pub const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// What is the matter with it, if anything is.
    pub const fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// What the controller has asked for up to here.
    pub fn chains(&self) -> ChainPair {
        self.recording.chains().of(ControllerIndex(0))
    }

    fn want_snapshot(&mut self) {
        if self.standing == Standing::GivenUp {
            self.completions.push_back(Completion::Snapshotted(false));
        } else {
            self.snapshot = Snapshot::Wanted;
        }
    }

    fn is_to_rotate(&self, at: Time) -> bool {
        match self.standing {
            Standing::GivenUp => self.is_kept && self.under_way.is_none() && at >= self.pause_ends,
            Standing::Verified if self.before.is_none() => {
                let is_long = self.recording.writer().position() >= self.settings.rotate_bytes;
                let is_old = self.settings.rotate_after.is_some_and(|span| at >= self.began + span);
                self.snapshot == Snapshot::Wanted || is_long || is_old
            }
            Standing::Verified
            | Standing::Unwritten
            | Standing::Written
            | Standing::Synced
            | Standing::Named
            | Standing::Durable => false,
        }
    }

    /// Closes the segment under way and begins the next one from the state as it is now.
    fn rotate(&mut self, at: Time, state: &dyn State) {
        let chains = self.chains();
        if self.standing == Standing::Verified {
            self.recording.close(&[Lent(state)], Ending::Stopped);
            let bytes = self.recording.writer().out().to_vec();
            self.before = Some(Before { number: self.number, offset: self.written, bytes });
            self.closed.push(Closed { number: self.number, ended: at });
        }
        self.recording = Recording::continued(&self.header, Scope::Fleet, &[Lent(state)], &[chains])
            .expect("the header of one controller is small");
        self.recording.flush();
        self.head = Head::of(&self.recording);
        self.number = self.number.saturating_add(1);
        (self.began, self.written, self.standing) = (at, 0, Standing::Unwritten);
        self.given = self.recorded;
        (self.sync_due, self.wants_sync) = (None, false);
        if self.snapshot == Snapshot::Wanted {
            self.snapshot = Snapshot::UnderWay;
        }
    }

    /// Gives up what cannot be written for too long.
    fn bound_memory(&mut self, at: Time) {
        if self.standing == Standing::GivenUp {
            self.recording.clear_out();
            return;
        }
        if self.waiting_bytes() > WAITING_BYTES_MAX {
            self.give_up(at, Trouble::Slow);
        }
    }

    /// How many bytes have gathered for the disk, beside the head of a segment that is still to be written.
    pub fn waiting_bytes(&self) -> usize {
        let is_headless = self.standing == Standing::Unwritten;
        let head = if is_headless { self.head.bytes as usize } else { 0 };
        self.recording.writer().out().len().saturating_sub(head)
    }
}
