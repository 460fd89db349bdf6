//! What the journal does next on its disk, and what follows from how that ended.
//!
//! The order of making a segment is the order of [`Standing`]: bytes under another name, sync, name, names durable, read back.
//! A name that is given before the bytes are durable is a promise that a crash breaks.

use super::{Chore, Completion, Head, Journal, PAUSE_FIRST, PAUSE_MAX, Snapshot, Standing, Step, UnderWay};
use crate::digest::Digest;
use crate::log::{GROUP_BYTES, Header, Recording};
use crate::mistakes::{Mistake, makes};
use crate::persistence::disk::{FileName, Operation, Request};
use crate::persistence::retention::Closed;
use crate::persistence::status::{JournalStatus, Trouble};
use crate::time::Time;

impl Journal {
    /// From the next segment on, they say this about themselves; it is of the same controller.
    pub(in crate::persistence) fn describe(&mut self, header: &Header) {
        self.header = header.clone();
    }

    /// Asks the disk for what comes next, unless it works; where nothing is kept, that is told.
    pub(super) fn plan(&mut self, at: Time) {
        if !self.is_kept {
            return self.degrade(Trouble::Failing);
        }
        if self.under_way.is_some() {
            return;
        }
        if let Some(before) = &mut self.before {
            let file = FileName::Segment(before.number);
            let bytes = core::mem::take(&mut before.bytes);
            if bytes.is_empty() {
                return self.ask(at, Step::CloseSync, Operation::Sync { file });
            }
            let offset = before.offset;
            return self.ask(at, Step::CloseWrite, Operation::Write { file, offset, bytes });
        }
        if self.standing != Standing::Verified && self.prune(at) {
            return;
        }
        let (new, named) = (FileName::New(self.number), FileName::Segment(self.number));
        let (next, operation) = match self.standing {
            Standing::Unwritten => (Standing::Written, self.write(new)),
            Standing::Written if makes(Mistake::NamedBeforeSync) => {
                (Standing::Named, Operation::Rename { from: new, to: named })
            }
            Standing::Written => (Standing::Synced, Operation::Sync { file: new }),
            Standing::Synced => (Standing::Named, Operation::Rename { from: new, to: named }),
            Standing::Named => (Standing::Durable, Operation::SyncDirectory),
            Standing::Durable => {
                (Standing::Verified, Operation::Read { file: named, bytes: self.head.bytes })
            }
            Standing::Verified => return self.plan_verified(at, named),
            Standing::GivenUp => {
                // Half a segment takes room on a full disk.
                if at >= self.chores_due {
                    self.tidy(at);
                }
                return;
            }
        };
        self.ask(at, Step::Make(next), operation);
    }

    fn plan_verified(&mut self, at: Time, file: FileName) {
        let is_due = self.sync_due.is_some_and(|due| at >= due);
        let is_full = self.recording.writer().out().len() >= GROUP_BYTES;
        if self.wants_sync {
            // What is written next waits for the next sync: else a busy controller would never get one.
            self.ask(at, Step::Sync, Operation::Sync { file });
        } else if is_due || is_full {
            self.wants_sync = is_due;
            let operation = self.write(file);
            self.ask(at, Step::Write, operation);
        } else if at >= self.chores_due && !self.tidy(at) {
            self.prune(at);
        }
    }

    /// Asks for the removal of the oldest segment if it may go; whether it may.
    fn prune(&mut self, at: Time) -> bool {
        if at < self.chores_due {
            return false;
        }
        let is_good = self.standing == Standing::Verified;
        let Some(number) = self.settings.retention.next_to_go(&self.closed, is_good, at) else {
            return false;
        };
        self.ask(at, Step::Prune(number), Operation::Remove { file: FileName::Segment(number) });
        true
    }

    /// Asks for the next thing that is to be tidied up; whether there is one.
    fn tidy(&mut self, at: Time) -> bool {
        let Some(chore) = self.chores.pop_front() else { return false };
        let operation = match chore {
            Chore::Remove(file) => Operation::Remove { file },
            Chore::Quarantine(number) => {
                Operation::Rename { from: FileName::Segment(number), to: FileName::Quarantined(number) }
            }
        };
        self.ask(at, Step::Tidy(chore), operation);
        true
    }

    /// All that waits, to be written at the end of the segment under way.
    fn write(&mut self, file: FileName) -> Operation {
        self.recording.flush();
        let bytes = self.recording.writer().out().to_vec();
        self.recording.clear_out();
        let offset = self.written;
        self.written += bytes.len() as u64;
        (self.given, self.sync_due) = (self.recorded, None);
        Operation::Write { file, offset, bytes }
    }

    fn ask(&mut self, at: Time, step: Step, operation: Operation) {
        self.requests = self.requests.wrapping_add(1);
        let number = self.requests;
        self.under_way = Some(UnderWay { number, since: at, step, covers: self.given });
        self.request = Some(Request { number, operation });
    }

    /// Something has been done.
    pub(super) fn done(&mut self, step: Step, covers: u64) {
        match step {
            Step::CloseWrite | Step::Write | Step::Tidy(_) | Step::Stale => {}
            Step::CloseSync => {
                self.before = None;
                self.is_durable(covers);
            }
            Step::Sync => self.is_durable(covers),
            Step::Prune(number) => self.closed.retain(|closed| closed.number != number),
            Step::Make(standing) => {
                self.standing = standing;
                match standing {
                    Standing::Durable => self.is_durable(covers),
                    Standing::Verified => self.is_verified(),
                    Standing::Unwritten
                    | Standing::Written
                    | Standing::Synced
                    | Standing::Named
                    | Standing::GivenUp => {}
                }
            }
        }
    }

    /// So many deliveries are durable, and the segment under way up to what was given to the disk by then.
    fn is_durable(&mut self, covers: u64) {
        self.durable = self.durable.max(covers);
        self.recording.synced(self.written);
        self.wants_sync = false;
    }

    /// The head of the segment under way has been read back and is right.
    fn is_verified(&mut self) {
        self.errors = 0;
        if self.snapshot == Snapshot::UnderWay {
            self.snapshot = Snapshot::None;
            self.completions.push_back(Completion::Snapshotted(true));
        }
    }

    /// A verified segment is there, and the disk is not slow.
    pub(super) fn recover(&mut self) {
        if self.trouble.take().is_some() {
            self.completions.push_back(Completion::Status(JournalStatus::Restored));
        }
    }

    /// Writes no more to the segment under way: what the disk made of it is not known.
    pub(super) fn give_up(&mut self, at: Time, trouble: Trouble) {
        match self.standing {
            Standing::Unwritten | Standing::Written | Standing::Synced => {
                self.chores.push_back(Chore::Remove(FileName::New(self.number)));
            }
            // Its name may be durable: whether it can be believed is for a recovery to find out.
            Standing::Named | Standing::Durable | Standing::Verified => {
                self.closed.push(Closed { number: self.number, ended: at });
            }
            Standing::GivenUp => {}
        }
        if let Some(under_way) = &mut self.under_way {
            under_way.step = Step::Stale;
        }
        self.before = None;
        self.standing = Standing::GivenUp;
        (self.sync_due, self.wants_sync) = (None, false);
        self.recording.clear_out();
        let pause = PAUSE_FIRST * (1 << self.errors.min(6));
        self.pause_ends = at + pause.min(PAUSE_MAX);
        self.errors = self.errors.saturating_add(1);
        if core::mem::replace(&mut self.snapshot, Snapshot::None) != Snapshot::None {
            self.completions.push_back(Completion::Snapshotted(false));
        }
        self.degrade(trouble);
    }

    pub(super) fn degrade(&mut self, trouble: Trouble) {
        if self.trouble.replace(trouble) != Some(trouble) {
            self.completions.push_back(Completion::Status(JournalStatus::Degraded(trouble)));
        }
    }
}

impl Head {
    pub(super) fn of(recording: &Recording) -> Self {
        let bytes = recording.writer().out();
        let count = u32::try_from(bytes.len()).expect("a header and a state are bounded");
        Self { bytes: count, digest: Digest::of(bytes) }
    }

    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        Digest::of(bytes) == self.digest
    }
}

impl Step {
    /// Whether it says how fast the disk is.
    pub(super) const fn is_sync(self) -> bool {
        match self {
            Self::CloseSync | Self::Sync | Self::Make(Standing::Synced | Standing::Durable) => true,
            Self::CloseWrite
            | Self::Make(
                Standing::Unwritten
                | Standing::Written
                | Standing::Named
                | Standing::Verified
                | Standing::GivenUp,
            )
            | Self::Write
            | Self::Tidy(_)
            | Self::Prune(_)
            | Self::Stale => false,
        }
    }
}
