//! The driver of a recovery: it delivers what a segment holds, up to its end, its tail, or the first thing that is wrong.

use alloc::vec::Vec;
use core::marker::PhantomData;

use super::{Attempted, Containment};
use crate::fleet::Poisoned;
use crate::ids::ControllerIndex;
use crate::log::reader::Source;
use crate::log::{ChainPair, Content, End, ReadError, Reader, Status};
use crate::machine::{Boot, Delivery, Driver, Handled, Outcome, Step};
use crate::persistence::disk::{DiskError, FileName, Storage};
use crate::time::{LocalTime, Time};

/// A file as a log's reader reads it.
pub(super) struct FileSource<'a> {
    pub(super) storage: &'a mut dyn Storage,
    pub(super) file: FileName,
    pub(super) offset: u64,
}

impl<'a> FileSource<'a> {
    pub(super) fn new(storage: &'a mut dyn Storage, segment: u64) -> Self {
        Self { storage, file: FileName::Segment(segment), offset: 0 }
    }
}

impl Source for FileSource<'_> {
    type Error = DiskError;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, DiskError> {
        let count = self.storage.read(self.file, self.offset, into)?;
        self.offset += count as u64;
        Ok(count)
    }
}

/// Why a replay ended.
pub(super) enum Stop {
    /// There is no more.
    End(End),
    /// It cannot be read on.
    Unreadable(ReadError<DiskError>),
    /// The machine asked for something else.
    Diverged,
    /// The delivery at this instant failed an assertion.
    Poisoned(Time),
}

/// Delivers a segment to one machine.
pub(super) struct Replaying<'a, C> {
    reader: Reader<FileSource<'a>>,
    chains: ChainPair,
    scratch: Vec<u8>,
    deliveries: u64,
    incarnation: u32,
    last: Option<LocalTime>,
    stop: Option<Stop>,
    containment: PhantomData<C>,
}

impl<'a, C> Replaying<'a, C> {
    pub(super) fn open(
        storage: &'a mut dyn Storage,
        segment: u64,
        chains: ChainPair,
    ) -> Result<Self, ReadError<DiskError>> {
        Ok(Self {
            reader: Reader::open(FileSource::new(storage, segment))?,
            chains,
            scratch: Vec::new(),
            deliveries: 0,
            incarnation: 0,
            last: None,
            stop: None,
            containment: PhantomData,
        })
    }

    /// The clock at the last delivery.
    pub(super) const fn last(&self) -> Option<LocalTime> {
        self.last
    }

    /// What it came to; what its machine has become is still to be added.
    pub(super) fn finish(self, poisoned: Option<Poisoned>) -> Attempted {
        let found = match (poisoned, self.stop) {
            (Some(Poisoned { at, .. }), _) => Stop::Poisoned(at),
            (None, Some(stop)) => stop,
            (None, None) => unreachable!("a replay ends for a reason"),
        };
        Attempted {
            stop: found,
            state: Vec::new(),
            carried: None,
            chains: self.chains,
            deliveries: self.deliveries,
            incarnation: self.incarnation,
            last: None,
            synced: self.reader.synced(),
        }
    }

    /// Moves to the next delivery; `false` if there is none.
    fn find_delivery(&mut self) -> bool {
        loop {
            match self.reader.advance() {
                Ok(Status::Record) => {}
                Ok(Status::Ended(end)) => {
                    self.stop = Some(Stop::End(end));
                    return false;
                }
                Err(error) => {
                    self.stop = Some(Stop::Unreadable(error));
                    return false;
                }
            }
            let same = match self.reader.record().content {
                Content::Delivery { prior, .. } if prior == self.chains.effects.low16() => return true,
                Content::Delivery { .. } => false,
                Content::Chains(chains) => chains.effects == self.chains.effects,
                // What was reported and asked for is in the chains; a state at the end is the next segment's.
                Content::State(_)
                | Content::Carried { .. }
                | Content::Event(_)
                | Content::Effects { .. }
                | Content::Closing(_) => true,
                // A journal ends with the life that it is of.
                Content::Crashed => false,
            };
            if !same {
                self.stop = Some(Stop::Diverged);
                return false;
            }
        }
    }
}

impl<C: Containment> Driver for Replaying<'_, C> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        if !self.find_delivery() {
            return None;
        }
        let record = self.reader.record();
        let Content::Delivery { step, .. } = record.content else { return None };
        self.deliveries += 1;
        self.last = Some(record.now);
        if let Step::Boot(Boot { incarnation, .. }) = step {
            self.incarnation = self.incarnation.max(incarnation);
        }
        self.chains.begin(&step);
        Some(Delivery { at: record.at, now: record.now, to: ControllerIndex(0), step })
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.chains.fold(outcome.effects.as_slice(), outcome.deadline, &mut self.scratch);
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        C::contain(run)
    }
}
