//! What a controller promised, in a small record of its own: recovered whatever becomes of its journal, and across versions.
//!
//! ```text
//! record = magic "R-EMSPRM", version u32, counter u64, incarnation u32, ceiling (round u32, seat u8), owner u8,
//!          owned from (round u32, seat u8), flags u8 (1: sole, 2: in maintenance, 4: abstains), CRC-32 of all that
//! ```
//!
//! Two copies are written in turn, so that a crash in the middle of a write leaves the other one; of two good copies the higher
//! counter counts. A promise is kept once its bytes **and** its file's name are durable. A copy that is there and cannot be
//! believed may have held the newest promise: the controller must then not vote before it knows what others promised.
//!
//! **Decision: a life that could not read its promises ends once they can be read.** It controls if it is alone, but in a
//! council it counts for little: it does not know its number, so others take it for an earlier life and do not listen, nor
//! whether it is in maintenance, and it promises nothing, since that might be written over more. So it looks at its disk from
//! time to time, and when all of it can be read it is to be ended in order and begun again with what is there. To take up in the
//! middle of a life what is found late would spare a restart; but then every part must cope with promises that come after it.

use alloc::vec::Vec;

use super::disk::{CopyName, DiskError, FileName, Operation, Reply, Request, Storage};
use crate::redundancy::{Epoch, Promise, Seat};
use crate::time::{Span, Time};

const MAGIC: [u8; 8] = *b"R-EMSPRM";
/// The version of the record that is written.
pub const VERSION: u32 = 1;
/// All bytes of a record.
pub const RECORD_BYTES: usize = 40;
/// One byte more: a longer file is no record.
const READ_BYTES: usize = RECORD_BYTES + 1;
/// The bytes that the checksum covers.
const COVERED_BYTES: usize = RECORD_BYTES - 4;
/// A promise that is not durable after so long is answered as failed; the disk may still finish it, which does no harm.
pub const PATIENCE: Span = Span::from_secs(5);
/// A life that could not read its promises looks again after so long: a restart is due soon after a disk heals, and a disk that
/// fails for hours is not kept busy.
pub const LOOKS_AGAIN_AFTER: Span = Span::from_secs(1);

/// What must be known in every later life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The number of the last life that began.
    pub incarnation: u32,
    /// What it promised.
    pub promise: Promise,
}

impl Kept {
    /// Before the first life.
    pub const NOTHING: Self = Self { incarnation: 0, promise: Promise::FIRST };

    /// The bytes of a record.
    pub fn encode(&self, counter: u64) -> [u8; RECORD_BYTES] {
        let Promise { ceiling, owner, owned_from, is_sole, in_maintenance, abstains } = self.promise;
        let flags = u8::from(is_sole) | u8::from(in_maintenance) << 1 | u8::from(abstains) << 2;
        let mut bytes = Vec::with_capacity(RECORD_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&counter.to_le_bytes());
        bytes.extend_from_slice(&self.incarnation.to_le_bytes());
        bytes.extend_from_slice(&ceiling.round.to_le_bytes());
        bytes.extend_from_slice(&[ceiling.seat.0, owner.0]);
        bytes.extend_from_slice(&owned_from.round.to_le_bytes());
        bytes.extend_from_slice(&[owned_from.seat.0, flags]);
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.try_into().expect("the fields have fixed widths")
    }

    /// Reads a record; `None` if it cannot be believed.
    pub fn decode(bytes: &[u8]) -> Option<(u64, Self)> {
        let bytes: &[u8; RECORD_BYTES] = bytes.try_into().ok()?;
        let (covered, crc) = bytes.split_at(COVERED_BYTES);
        let is_whole = crc == crc32fast::hash(covered).to_le_bytes();
        if !is_whole || bytes[..8] != MAGIC || word(bytes, 8) != VERSION {
            return None;
        }
        let epoch = |at: usize| Epoch { round: word(bytes, at), seat: Seat(bytes[at + 4]) };
        let counter = u64::from(word(bytes, 12)) | u64::from(word(bytes, 16)) << 32;
        let promise = Promise {
            ceiling: epoch(24),
            owner: Seat(bytes[29]),
            owned_from: epoch(30),
            is_sole: bytes[35] & 1 != 0,
            in_maintenance: bytes[35] & 2 != 0,
            abstains: bytes[35] & 4 != 0,
        };
        Some((counter, Self { incarnation: word(bytes, 20), promise }))
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0_u8; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// What a recovery found of both copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The newest that can be believed.
    pub kept: Kept,
    /// Its number among all that were written.
    pub counter: u64,
    /// Which copy it stands in; the other is written next.
    pub copy: CopyName,
    /// Whether a newer promise may be lost.
    pub is_damaged: bool,
    /// Whether both copies could be looked at: if not, neither may be written in this life.
    pub is_known: bool,
}

impl Found {
    /// Nothing was ever promised.
    pub const NOTHING: Self =
        Self { kept: Kept::NOTHING, counter: 0, copy: CopyName::B, is_damaged: false, is_known: true };
    /// Nobody knows what was promised.
    pub const UNKNOWN: Self = Self { is_known: false, is_damaged: true, ..Self::NOTHING };

    /// Looks at both copies.
    pub fn of(storage: &mut dyn Storage, names: &[FileName]) -> Self {
        let mut found = Self::NOTHING;
        for copy in [CopyName::A, CopyName::B] {
            if names.contains(&FileName::Promise(copy)) {
                match Copy::read(storage, copy) {
                    Ok(content) => found.take(copy, &content),
                    Err(DiskError::Full | DiskError::Failed | DiskError::ReadOnly) => return Self::UNKNOWN,
                }
            }
        }
        // The first life is kept before the first segment is begun.
        let has_lived = names.iter().any(|name| matches!(name, FileName::Segment(_)));
        found.is_damaged |= has_lived && found.counter == 0;
        // What is written next takes the place of the copy that shows it.
        found.kept.promise.abstains |= found.is_damaged;
        found
    }

    fn take(&mut self, copy: CopyName, content: &Copy) {
        match *content {
            Copy::Good(counter, kept) if counter > self.counter => {
                (self.kept, self.counter, self.copy) = (kept, counter, copy);
            }
            Copy::Blank | Copy::Good(..) => {}
            Copy::Bad => self.is_damaged = true,
        }
    }
}

/// What one copy holds.
enum Copy {
    /// A name without bytes: its first write was cut short, so nothing in it was ever called durable.
    Blank,
    Good(u64, Kept),
    /// It cannot be believed.
    Bad,
}

impl Copy {
    fn read(storage: &mut dyn Storage, copy: CopyName) -> Result<Self, DiskError> {
        let mut bytes = [0_u8; READ_BYTES];
        let mut filled = 0;
        loop {
            match storage.read(FileName::Promise(copy), filled as u64, &mut bytes[filled..])? {
                0 => return Ok(Self::of(&bytes[..filled])),
                count => filled += count.min(bytes.len() - filled),
            }
        }
    }

    fn of(bytes: &[u8]) -> Self {
        if bytes.iter().all(|byte| *byte == 0) {
            return Self::Blank;
        }
        Kept::decode(bytes).map_or(Self::Bad, |(counter, kept)| Self::Good(counter, kept))
    }
}

/// Keeps the promises of one controller, one at a time.
#[derive(Clone, Debug)]
pub struct PromiseKeeper {
    kept: Kept,
    counter: u64,
    next: CopyName,
    /// Of which copies this life has made the name durable: a name that it finds may stand in the host's memory only.
    is_named: [bool; 2],
    /// What was promised is not known: how far the next look at the disk has come.
    look: Option<Look>,
    ends_life: bool,
    saving: Option<Saving>,
    request: Option<Request>,
    requests: u32,
    answer: Option<bool>,
}

#[derive(Clone, Copy, Debug)]
struct Saving {
    kept: Kept,
    stage: Stage,
    since: Time,
    /// Whether patience has ended.
    is_answered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    Syncing,
    Naming,
}

/// Looking whether everything can be read by now, though not at what it says: that is for the next life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Due(Time),
    Listing,
    Reading(CopyName),
    /// It can be.
    Done,
}

impl PromiseKeeper {
    /// Goes on from what was found at `at`.
    pub fn new(at: Time, found: &Found) -> Self {
        Self {
            kept: found.kept,
            counter: found.counter,
            next: found.copy.other(),
            is_named: [false; 2],
            look: (!found.is_known).then_some(Look::Due(at + LOOKS_AGAIN_AFTER)),
            ends_life: false,
            saving: None,
            request: None,
            requests: 0,
            answer: None,
        }
    }

    /// What is durable.
    pub const fn kept(&self) -> Kept {
        self.kept
    }

    /// Begins to make something durable. While the disk still works at another one that took too long, this fails at once, and
    /// so it does in a life that does not know what was promised before.
    pub fn save(&mut self, at: Time, kept: Kept) {
        if self.saving.is_some() || self.look.is_some() {
            self.answer = Some(false);
            return;
        }
        self.saving = Some(Saving { kept, stage: Stage::Writing, since: at, is_answered: false });
        self.counter += 1;
        let (file, bytes) = (FileName::Promise(self.next), kept.encode(self.counter).to_vec());
        self.ask(Operation::Write { file, offset: 0, bytes });
    }

    /// Goes on looking.
    fn looked(&mut self, at: Time, look: Look, reply: Reply<'_>) -> Look {
        let next = match (look, reply) {
            (Look::Due(_) | Look::Done, _) => look,
            (Look::Listing | Look::Reading(_), Reply::Failed(_)) => Look::Due(at + LOOKS_AGAIN_AFTER),
            (Look::Listing, Reply::Done | Reply::Bytes(_)) => Look::Reading(CopyName::A),
            (Look::Reading(CopyName::A), Reply::Done | Reply::Bytes(_)) => Look::Reading(CopyName::B),
            (Look::Reading(CopyName::B), Reply::Done | Reply::Bytes(_)) => Look::Done,
        };
        match next {
            Look::Reading(copy) => {
                self.ask(Operation::Read { file: FileName::Promise(copy), bytes: READ_BYTES as u32 });
            }
            Look::Done => self.ends_life = true,
            Look::Due(_) | Look::Listing => {}
        }
        next
    }

    /// Takes the disk's reply.
    pub fn reply(&mut self, at: Time, number: u32, reply: Reply<'_>) {
        if number != self.requests {
            return;
        }
        if let Some(look) = self.look {
            self.look = Some(self.looked(at, look, reply));
            return;
        }
        let Some(mut saving) = self.saving.take() else { return };
        let file = FileName::Promise(self.next);
        let is_named = self.is_named[self.next.position()];
        match (reply, saving.stage) {
            // The copy may be broken now: the next attempt writes it again and leaves the other one alone.
            (Reply::Failed(_), _) => return self.end(&saving, false),
            (Reply::Done | Reply::Bytes(_), Stage::Writing) => {
                saving.stage = Stage::Syncing;
                self.ask(Operation::Sync { file });
            }
            (Reply::Done | Reply::Bytes(_), Stage::Syncing) if !is_named => {
                saving.stage = Stage::Naming;
                self.ask(Operation::SyncDirectory);
            }
            (Reply::Done | Reply::Bytes(_), Stage::Syncing | Stage::Naming) => {
                self.kept = saving.kept;
                self.is_named[self.next.position()] = true;
                self.next = self.next.other();
                return self.end(&saving, true);
            }
        }
        self.saving = Some(saving);
    }

    /// Notices that the disk takes too long, and looks at it when that is due.
    pub fn wake(&mut self, at: Time) {
        if let Some(Look::Due(due)) = self.look
            && at >= due
        {
            self.look = Some(Look::Listing);
            self.ask(Operation::List);
        }
        if let Some(saving) = &mut self.saving
            && !saving.is_answered
            && at >= saving.since + PATIENCE
        {
            saving.is_answered = true;
            self.answer = Some(false);
        }
    }

    /// When it wants to be woken.
    pub fn deadline(&self) -> Option<Time> {
        if let Some(Look::Due(due)) = self.look {
            return Some(due);
        }
        let saving = self.saving.filter(|saving| !saving.is_answered)?;
        Some(saving.since + PATIENCE)
    }

    /// What the disk is to do now; each once.
    pub const fn take_request(&mut self) -> Option<Request> {
        self.request.take()
    }

    /// Whether what was to be saved is durable; each once.
    pub const fn take_answer(&mut self) -> Option<bool> {
        self.answer.take()
    }

    /// Whether the life is to end in order and to begin again, since what was promised can be read now; once.
    pub const fn take_end_of_life(&mut self) -> bool {
        core::mem::replace(&mut self.ends_life, false)
    }

    fn ask(&mut self, operation: Operation) {
        self.requests = self.requests.wrapping_add(1);
        self.request = Some(Request { number: self.requests, operation });
    }

    fn end(&mut self, saving: &Saving, succeeded: bool) {
        if !saving.is_answered {
            self.answer = Some(succeeded);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(round: u32) -> Kept {
        let ceiling = Epoch { round, seat: Seat(2) };
        let promise =
            Promise { ceiling, owner: Seat(1), owned_from: ceiling, is_sole: true, ..Promise::FIRST };
        Kept { incarnation: 7, promise }
    }

    #[test]
    fn the_record_has_golden_bytes() {
        let hex: alloc::string::String =
            kept(3).encode(9).iter().map(|byte| alloc::format!("{byte:02x}")).collect();
        let fields = "522d454d5350524d01000000090000000000000007000000030000000201030000000201";
        assert!(hex.starts_with(fields), "{hex}");
        assert_eq!(Kept::decode(&kept(3).encode(9)), Some((9, kept(3))));
    }

    #[test]
    fn a_record_with_any_bit_flipped_or_another_length_is_not_believed() {
        let bytes = kept(3).encode(9);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Kept::decode(&flipped), None, "bit {bit}");
        }
        assert_eq!(Kept::decode(&bytes[..RECORD_BYTES - 1]), None);
        assert_eq!(Kept::decode(&[]), None);
    }

    fn done(keeper: &mut PromiseKeeper) -> Vec<Operation> {
        let mut asked = Vec::new();
        while let Some(Request { number, operation }) = keeper.take_request() {
            asked.push(operation);
            keeper.reply(Time::ZERO, number, Reply::Done);
        }
        asked
    }

    #[test]
    fn copies_are_written_in_turn_and_a_failed_one_again() {
        let mut keeper = PromiseKeeper::new(Time::ZERO, &Found::NOTHING);
        keeper.save(Time::ZERO, kept(1));
        let asked = done(&mut keeper);
        assert_eq!(
            asked[1..],
            [Operation::Sync { file: FileName::Promise(CopyName::A) }, Operation::SyncDirectory]
        );
        assert_eq!((keeper.take_answer(), keeper.kept()), (Some(true), kept(1)));
        keeper.save(Time::ZERO, kept(2));
        let request = keeper.take_request().expect("it writes");
        keeper.reply(Time::ZERO, request.number, Reply::Failed(DiskError::Full));
        assert_eq!((keeper.take_answer(), keeper.kept()), (Some(false), kept(1)));
        keeper.save(Time::ZERO, kept(3));
        let asked = done(&mut keeper);
        assert_eq!(asked[1], Operation::Sync { file: FileName::Promise(CopyName::B) });
        assert_eq!((keeper.take_answer(), keeper.kept()), (Some(true), kept(3)));
        keeper.save(Time::ZERO, kept(4));
        assert_eq!(done(&mut keeper)[1..], [Operation::Sync { file: FileName::Promise(CopyName::A) }]);
    }

    #[test]
    fn a_life_that_could_not_read_its_promises_writes_nothing_and_ends_once_all_can_be_read() {
        let at = |looks: u64| Time::ZERO + LOOKS_AGAIN_AFTER * looks;
        let mut keeper = PromiseKeeper::new(Time::ZERO, &Found::UNKNOWN);
        // The first look fails at once, the second and third in the middle.
        for look in 1..=4 {
            keeper.save(at(look - 1), kept(2));
            assert_eq!((keeper.take_answer(), keeper.take_request()), (Some(false), None));
            assert_eq!(keeper.deadline(), Some(at(look)));
            keeper.wake(Time::from_nanos(at(look).as_nanos() - 1));
            assert_eq!(keeper.take_request(), None);
            keeper.wake(at(look));
            for step in 1..=3 {
                let Request { number, operation } = keeper.take_request().expect("it looks on");
                let is_listing = operation == Operation::List;
                assert_eq!(is_listing, step == 1, "{operation:?}");
                let found = if is_listing { Reply::Done } else { Reply::Bytes(&[]) };
                let fails = step == look;
                keeper.reply(at(look), number, if fails { Reply::Failed(DiskError::Failed) } else { found });
                if fails {
                    break;
                }
            }
            assert_eq!(keeper.take_request(), None);
            assert_eq!(keeper.take_end_of_life(), look == 4);
        }
        assert!(!keeper.take_end_of_life(), "it is told once");
        keeper.save(at(5), kept(2));
        assert_eq!((keeper.take_answer(), keeper.take_request()), (Some(false), None));
        assert_eq!(keeper.deadline(), None);
    }

    #[test]
    fn a_disk_that_does_not_answer_is_a_promise_that_failed() {
        let at = |nanos| Time::ZERO + Span::from_nanos(nanos);
        let mut keeper = PromiseKeeper::new(Time::ZERO, &Found::NOTHING);
        keeper.save(Time::ZERO, kept(1));
        let request = keeper.take_request().expect("it writes");
        keeper.wake(at(PATIENCE.as_nanos() - 1));
        assert_eq!(keeper.take_answer(), None);
        keeper.wake(at(PATIENCE.as_nanos()));
        assert_eq!((keeper.take_answer(), keeper.deadline()), (Some(false), None));
        keeper.save(at(PATIENCE.as_nanos()), kept(2));
        assert_eq!((keeper.take_answer(), keeper.take_request()), (Some(false), None));
        // The late one is finished and answered to nobody.
        keeper.reply(Time::ZERO, request.number, Reply::Done);
        assert_eq!(done(&mut keeper).len(), 2);
        assert_eq!((keeper.take_answer(), keeper.kept()), (None, kept(1)));
    }
}
