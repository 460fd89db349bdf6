//! What a controller promised, in a small record of its own: recovered whatever becomes of its journal, and across versions.
//!
//! ```text
//! record = magic "R-EMSPRM", version u32, counter u64, incarnation u32, ceiling (round u32, seat u8), owner u8,
//!          owned from (round u32, seat u8), flags u8 (1: sole, 2: in maintenance), CRC-32 of all that
//! ```
//!
//! Two copies are written in turn, so that a crash in the middle of a write leaves the other one; of two good copies the higher
//! counter counts. A promise is kept once its bytes **and** its file's name are durable. A copy that is there and cannot be
//! believed may have held the newest promise: the controller must then not vote before it knows what others promised. Copies that
//! could not be read when the life began are read before the first of them is written, and what they say is kept.

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

    /// What must be kept if both were promised.
    fn beside(self, other: Self) -> Self {
        let mut both = self.after(other);
        both.promise.is_sole |= other.promise.is_sole;
        both.promise.in_maintenance |= other.promise.in_maintenance;
        both
    }

    /// The same with nothing less than what was kept before: only what a command gave may be taken back.
    fn after(self, before: Self) -> Self {
        let later = if before.promise.owned_from > self.promise.owned_from { before } else { self };
        let promise = Promise {
            ceiling: self.promise.ceiling.max(before.promise.ceiling),
            owner: later.promise.owner,
            owned_from: later.promise.owned_from,
            ..self.promise
        };
        Self { incarnation: self.incarnation.max(before.incarnation), promise }
    }

    /// The bytes of a record.
    pub fn encode(&self, counter: u64) -> [u8; RECORD_BYTES] {
        let Promise { ceiling, owner, owned_from, is_sole, in_maintenance } = self.promise;
        let flags = u8::from(is_sole) | u8::from(in_maintenance) << 1;
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
    /// Whether both copies could be looked at: if not, neither may be written before.
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
    /// What is being found out before the first write, if that is still to be done.
    finding: Option<Found>,
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
    Reading(CopyName),
    Writing,
    Syncing,
    Naming,
}

impl PromiseKeeper {
    /// Goes on from what was found.
    pub fn new(found: &Found) -> Self {
        Self {
            kept: found.kept,
            counter: found.counter,
            next: found.copy.other(),
            is_named: [false; 2],
            finding: (!found.is_known).then_some(Found::NOTHING),
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

    /// Begins to make something durable. While the disk still works at another one that took too long, this fails at once.
    pub fn save(&mut self, at: Time, kept: Kept) {
        if self.saving.is_some() {
            self.answer = Some(false);
            return;
        }
        let mut saving = Saving { kept, stage: Stage::Writing, since: at, is_answered: false };
        if let Some(finding) = &mut self.finding {
            *finding = Found::NOTHING;
            self.read(&mut saving, CopyName::A);
        } else {
            self.write(&mut saving);
        }
        self.saving = Some(saving);
    }

    fn read(&mut self, saving: &mut Saving, copy: CopyName) {
        saving.stage = Stage::Reading(copy);
        self.ask(Operation::Read { file: FileName::Promise(copy), bytes: READ_BYTES as u32 });
    }

    fn write(&mut self, saving: &mut Saving) {
        saving.stage = Stage::Writing;
        // Who could not read its promises when its life began does not know of them what this keeper found later.
        saving.kept = saving.kept.after(self.kept);
        self.counter += 1;
        let (file, bytes) = (FileName::Promise(self.next), saving.kept.encode(self.counter).to_vec());
        self.ask(Operation::Write { file, offset: 0, bytes });
    }

    /// A copy has been read; what it says stands beside what is wanted.
    fn found(&mut self, saving: &mut Saving, copy: CopyName, bytes: &[u8]) {
        let finding = self.finding.get_or_insert(Found::NOTHING);
        finding.take(copy, &Copy::of(bytes));
        let finding = *finding;
        match copy {
            CopyName::A => self.read(saving, CopyName::B),
            CopyName::B => {
                self.finding = None;
                (self.counter, self.next) = (finding.counter, finding.copy.other());
                self.kept = finding.kept;
                saving.kept = saving.kept.beside(finding.kept);
                self.write(saving);
            }
        }
    }

    /// Takes the disk's reply.
    pub fn reply(&mut self, number: u32, reply: Reply<'_>) {
        if number != self.requests {
            return;
        }
        let Some(mut saving) = self.saving.take() else { return };
        let file = FileName::Promise(self.next);
        let is_named = self.is_named[self.next.position()];
        match (reply, saving.stage) {
            // The copy may be broken now: the next attempt writes it again and leaves the other one alone.
            (Reply::Failed(_), _) => return self.end(&saving, false),
            (Reply::Bytes(bytes), Stage::Reading(copy)) => self.found(&mut saving, copy, bytes),
            (Reply::Done | Reply::Highest(_), Stage::Reading(_)) => return self.end(&saving, false),
            (Reply::Done | Reply::Bytes(_) | Reply::Highest(_), Stage::Writing) => {
                saving.stage = Stage::Syncing;
                self.ask(Operation::Sync { file });
            }
            (Reply::Done | Reply::Bytes(_) | Reply::Highest(_), Stage::Syncing) if !is_named => {
                saving.stage = Stage::Naming;
                self.ask(Operation::SyncDirectory);
            }
            (Reply::Done | Reply::Bytes(_) | Reply::Highest(_), Stage::Syncing | Stage::Naming) => {
                self.kept = saving.kept;
                self.is_named[self.next.position()] = true;
                self.next = self.next.other();
                return self.end(&saving, true);
            }
        }
        self.saving = Some(saving);
    }

    /// Notices that the disk takes too long.
    pub fn wake(&mut self, at: Time) {
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
            Promise { ceiling, owner: Seat(1), owned_from: ceiling, is_sole: true, in_maintenance: false };
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
            keeper.reply(number, Reply::Done);
        }
        asked
    }

    #[test]
    fn copies_are_written_in_turn_and_a_failed_one_again() {
        let mut keeper = PromiseKeeper::new(&Found::NOTHING);
        keeper.save(Time::ZERO, kept(1));
        let asked = done(&mut keeper);
        assert_eq!(
            asked[1..],
            [Operation::Sync { file: FileName::Promise(CopyName::A) }, Operation::SyncDirectory]
        );
        assert_eq!((keeper.take_answer(), keeper.kept()), (Some(true), kept(1)));
        keeper.save(Time::ZERO, kept(2));
        let request = keeper.take_request().expect("it writes");
        keeper.reply(request.number, Reply::Failed(DiskError::Full));
        assert_eq!((keeper.take_answer(), keeper.kept()), (Some(false), kept(1)));
        keeper.save(Time::ZERO, kept(3));
        let asked = done(&mut keeper);
        assert_eq!(asked[1], Operation::Sync { file: FileName::Promise(CopyName::B) });
        assert_eq!((keeper.take_answer(), keeper.kept()), (Some(true), kept(3)));
        keeper.save(Time::ZERO, kept(4));
        assert_eq!(done(&mut keeper)[1..], [Operation::Sync { file: FileName::Promise(CopyName::A) }]);
    }

    /// Answers reads of a copy with what it holds, and all else as done.
    fn read_and_done(keeper: &mut PromiseKeeper, copy: &[u8]) -> Vec<Kept> {
        let mut written = Vec::new();
        while let Some(Request { number, operation }) = keeper.take_request() {
            match operation {
                Operation::Read { file: FileName::Promise(CopyName::A), .. } => {
                    keeper.reply(number, Reply::Bytes(copy));
                }
                Operation::Read { .. } => keeper.reply(number, Reply::Bytes(&[])),
                Operation::Write { bytes, .. } => {
                    written.push(Kept::decode(&bytes).expect("it is a record").1);
                    keeper.reply(number, Reply::Done);
                }
                Operation::HighestNumber => keeper.reply(number, Reply::Failed(DiskError::Failed)),
                Operation::Sync { .. }
                | Operation::SyncDirectory
                | Operation::Rename { .. }
                | Operation::Remove { .. } => keeper.reply(number, Reply::Done),
            }
        }
        written
    }

    #[test]
    fn what_was_found_late_is_not_forgotten_by_later_promises() {
        let before = kept(5).encode(9);
        let mut keeper = PromiseKeeper::new(&Found::UNKNOWN);
        let unaware = Kept { incarnation: 1, promise: Promise { is_sole: false, ..kept(2).promise } };
        for is_sole in [true, false] {
            keeper.save(Time::ZERO, unaware);
            let [written] = read_and_done(&mut keeper, &before)[..] else { panic!("one write") };
            assert_eq!((written.incarnation, written.promise.ceiling.round), (7, 5));
            assert_eq!(written.promise.owned_from, kept(5).promise.owned_from);
            assert_eq!(written.promise.is_sole, is_sole, "a command may take it back");
            assert_eq!(keeper.kept(), written);
        }
    }

    #[test]
    fn a_disk_that_does_not_answer_is_a_promise_that_failed() {
        let at = |nanos| Time::ZERO + Span::from_nanos(nanos);
        let mut keeper = PromiseKeeper::new(&Found::NOTHING);
        keeper.save(Time::ZERO, kept(1));
        let request = keeper.take_request().expect("it writes");
        keeper.wake(at(PATIENCE.as_nanos() - 1));
        assert_eq!(keeper.take_answer(), None);
        keeper.wake(at(PATIENCE.as_nanos()));
        assert_eq!((keeper.take_answer(), keeper.deadline()), (Some(false), None));
        keeper.save(at(PATIENCE.as_nanos()), kept(2));
        assert_eq!((keeper.take_answer(), keeper.take_request()), (Some(false), None));
        // The late one is finished and answered to nobody.
        keeper.reply(request.number, Reply::Done);
        assert_eq!(done(&mut keeper).len(), 2);
        assert_eq!((keeper.take_answer(), keeper.kept()), (None, kept(1)));
    }
}
