//! A simulated disk: real bytes in blocks, a cache before the platter, and everything that disks do wrong.
//!
//! Processes see what they wrote at once. A power failure leaves what was made durable, and of the rest a subset of blocks in no
//! order: a disk writes when it likes. Names of files become durable in their order, and only a sync of the directory is sure
//! of them. A killed process loses nothing.
//!
//! The disk belongs to a host; each of the controllers there has a folder of its own. What a disk did behind everybody's back,
//! lost syncs, rot and misdirected blocks, is in its ledger of lies, so that a checker can tell a disk's fault from ours.

mod faults;
mod file;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use r_ems_engine::Span;
use r_ems_engine::persistence::disk::{DiskError, FileName, Operation, Reply, Storage};
use r_ems_engine::rng::Stream;

pub use self::faults::{DiskChange, Lies};
pub use self::file::BLOCK_BYTES;

use self::faults::Faults;
use self::file::{File, Tearing};

/// How long what needs no sync takes.
pub const WRITE: Span = Span::from_micros(50);
/// The room that a disk has: more than any run of this size fills, but for what a fault takes away.
pub const CAPACITY_BYTES: usize = 1 << 30;
/// One of so many power failures of a disk that misdirects leaves a block in another one's place.
const MISDIRECTED: u32 = 2;

/// A file in the folder of one controller, who is known by its place in the fleet.
type Path = (u16, FileName);

/// One host's disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    files: BTreeMap<u32, File>,
    /// The names that processes see.
    names: BTreeMap<Path, u32>,
    /// The names that a power failure leaves.
    durable_names: BTreeMap<Path, u32>,
    /// How the ones become the others.
    changes: Vec<NameChange>,
    /// How many have become so already.
    settled: u64,
    next_file: u32,
    sync: Span,
    capacity_blocks: usize,
    faults: Faults,
    was_damaged: bool,
    /// The slowest sync that it ever had.
    slowest: Span,
    lies: Lies,
    stream: Stream,
    /// Operations that were begun.
    operations: u64,
    /// The one that fails, and how.
    failing: Option<(u64, DiskError)>,
}

#[derive(Clone, Copy, Debug)]
enum NameChange {
    Set(Path, u32),
    Gone(Path),
}

/// An operation that has been begun.
#[derive(Clone, Debug)]
pub enum Job {
    /// All has been done but for saying so.
    Done(Result<(), DiskError>),
    /// A file's writes up to a number are on their way to the platter.
    Sync {
        /// Whose.
        owner: u16,
        /// Which file.
        file: FileName,
        /// The last write that is meant.
        upto: u64,
    },
    /// Changes of names are on their way, so many since the disk was made.
    SyncDirectory(u64),
    /// Bytes are on their way.
    Read(Result<Vec<u8>, DiskError>),
}

/// What a disk answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The bytes that were asked for.
    Bytes(Vec<u8>),
    /// It is not done.
    Failed(DiskError),
}

impl Answer {
    /// The same as the engine takes it.
    pub fn reply(&self) -> Reply<'_> {
        match self {
            Self::Done => Reply::Done,
            Self::Bytes(bytes) => Reply::Bytes(bytes),
            Self::Failed(error) => Reply::Failed(*error),
        }
    }
}

impl SimDisk {
    /// Makes an empty disk whose syncs take `sync`; `stream` decides what a power failure leaves.
    pub fn new(sync: Span, stream: Stream) -> Self {
        Self {
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            settled: 0,
            next_file: 0,
            sync,
            capacity_blocks: CAPACITY_BYTES / BLOCK_BYTES,
            faults: Faults::default(),
            was_damaged: false,
            slowest: sync,
            lies: Lies::default(),
            stream,
            operations: 0,
            failing: None,
        }
    }

    /// Begins an operation of one owner; how long it takes.
    pub fn begin(&mut self, owner: u16, operation: &Operation) -> (Span, Job) {
        self.operations += 1;
        let chosen = self.failing.filter(|failing| failing.0 == self.operations).map(|failing| failing.1);
        let sync = self.faults.sync.unwrap_or(self.sync);
        let error = chosen.or_else(|| self.refuses(operation));
        match *operation {
            Operation::Write { file, offset, ref bytes } => {
                let offset = usize::try_from(offset).expect("a simulated file is small");
                // A write that fails may have been done in part.
                let part = if error.is_some() { bytes.len() / 2 } else { bytes.len() };
                let may = chosen.is_some() || error.is_none();
                let written = if may { self.write(owner, file, offset, &bytes[..part]) } else { Ok(()) };
                (WRITE, Job::Done(error.map_or(written, Err)))
            }
            Operation::Rename { .. } | Operation::Remove { .. } => {
                if error.is_none() {
                    self.change_names(owner, operation);
                }
                (WRITE, Job::Done(error.map_or(Ok(()), Err)))
            }
            Operation::Sync { file } => {
                let job = match error {
                    Some(error) => {
                        if let Some(file) = self.file_mut(owner, file) {
                            file.fail_sync();
                        }
                        Job::Done(Err(error))
                    }
                    None => Job::Sync { owner, file, upto: self.operations },
                };
                (sync, job)
            }
            Operation::SyncDirectory => {
                let upto = self.settled + self.changes.len() as u64;
                (sync, error.map_or(Job::SyncDirectory(upto), |error| Job::Done(Err(error))))
            }
            Operation::Read { file, bytes } => {
                let mut into = alloc::vec![0; bytes as usize];
                let known = self.names.get(&(owner, file)).and_then(|file| self.files.get(file));
                let count = known.map_or(0, |file| file.read(0, &mut into));
                into.truncate(count);
                (WRITE, Job::Read(error.map_or(Ok(into), Err)))
            }
            Operation::List => (WRITE, Job::Done(error.map_or(Ok(()), Err))),
        }
    }

    /// Ends an operation.
    pub fn finish(&mut self, job: Job) -> Answer {
        match job {
            Job::Done(Ok(())) => Answer::Done,
            Job::Done(Err(error)) | Job::Read(Err(error)) => Answer::Failed(error),
            Job::Read(Ok(bytes)) => Answer::Bytes(bytes),
            Job::Sync { owner, file, upto } => {
                let is_lying = self.faults.is_lying;
                let Some(file) = self.file_mut(owner, file) else { return Answer::Failed(DiskError::Failed) };
                if is_lying {
                    file.lie()
                } else {
                    file.sync(upto)
                }
                Answer::Done
            }
            Job::SyncDirectory(upto) => {
                // A sync that another controller began may have done some of it.
                self.settle_names(upto.saturating_sub(self.settled) as usize);
                Answer::Done
            }
        }
    }

    /// Changes what is wrong with the disk.
    pub fn change(&mut self, change: DiskChange) {
        self.was_damaged |= change.does_damage();
        if let DiskChange::Slow(Some(sync)) = change {
            self.slowest = self.slowest.max(sync);
        }
        self.faults.change(change);
        if change == DiskChange::Rot {
            self.rot();
        }
    }

    /// Lets the `number`-th operation from the beginning on fail, the first being 1.
    pub const fn fail(&mut self, number: u64, error: DiskError) {
        self.failing = Some((number, error));
    }

    /// Whether it answers as it should and holds what it was given; then, for how long what was begun before may still last.
    pub fn answers_after(&self) -> Option<Span> {
        (!self.was_damaged && !self.faults.hinders()).then_some(self.slowest)
    }

    /// How many operations were begun.
    pub const fn operations(&self) -> u64 {
        self.operations
    }

    /// What it did behind everybody's back.
    pub const fn lies(&self) -> &Lies {
        &self.lies
    }

    /// Whether what a recovery reads of one owner's files may be something else than was called durable.
    pub fn is_spoiled(&self, owner: u16) -> bool {
        let is_read = |name: &FileName| matches!(name, FileName::Segment(_) | FileName::Promise(_));
        let own = self.names.iter().filter(|((of, name), _)| *of == owner && is_read(name));
        own.filter_map(|(_, file)| self.files.get(file)).any(File::is_spoiled)
    }

    /// The host loses its power.
    pub fn crash(&mut self) {
        let survive = self.stream.below(self.changes.len() as u64 + 1) as usize;
        self.settle_names(survive);
        self.settled += self.changes.len() as u64;
        self.changes.clear();
        self.names = self.durable_names.clone();
        let named: BTreeSet<u32> = self.names.values().copied().collect();
        self.files.retain(|file, _| named.contains(file));
        if self.faults.is_misdirecting && self.stream.chance(1, MISDIRECTED) {
            self.misdirect();
        }
        let tearing = Tearing { tears: self.faults.is_tearing };
        for ((owner, _), file) in &self.names {
            if let Some(file) = self.files.get_mut(file) {
                self.lies.add(*owner, file.crash(&mut self.stream, tearing));
            }
        }
    }

    /// The folder of one owner, as a recovery reads it.
    pub const fn folder(&self, owner: u16) -> Folder<'_> {
        Folder { disk: self, owner }
    }

    /// Why an operation fails now, if it does.
    fn refuses(&self, operation: &Operation) -> Option<DiskError> {
        if self.faults.is_failing {
            return Some(DiskError::Failed);
        }
        match operation {
            Operation::Read { .. } | Operation::List => None,
            Operation::Write { .. }
            | Operation::Sync { .. }
            | Operation::Rename { .. }
            | Operation::SyncDirectory
            | Operation::Remove { .. } => self.faults.is_read_only.then_some(DiskError::ReadOnly),
        }
    }

    fn write(&mut self, owner: u16, name: FileName, offset: usize, bytes: &[u8]) -> Result<(), DiskError> {
        let known = self.names.get(&(owner, name)).copied();
        let needed = match known.and_then(|file| self.files.get(&file)) {
            Some(file) => file.needs(offset, bytes.len()),
            None => File::default().needs(offset, bytes.len()),
        };
        let used: usize = self.files.values().map(File::blocks).sum();
        if needed > 0 && (self.faults.is_full || used + needed > self.capacity_blocks) {
            return Err(DiskError::Full);
        }
        let file = known.unwrap_or_else(|| self.create((owner, name)));
        let number = self.operations;
        self.files.entry(file).or_default().write(offset, bytes, number);
        Ok(())
    }

    fn create(&mut self, path: Path) -> u32 {
        let file = self.next_file;
        self.next_file += 1;
        self.set_name(path, file);
        file
    }

    fn change_names(&mut self, owner: u16, operation: &Operation) {
        match *operation {
            Operation::Rename { from, to } => {
                if let Some(file) = self.names.remove(&(owner, from)) {
                    self.changes.push(NameChange::Gone((owner, from)));
                    self.set_name((owner, to), file);
                }
            }
            Operation::Remove { file } => {
                if self.names.remove(&(owner, file)).is_some() {
                    self.changes.push(NameChange::Gone((owner, file)));
                }
            }
            Operation::Write { .. }
            | Operation::Sync { .. }
            | Operation::SyncDirectory
            | Operation::List
            | Operation::Read { .. } => unreachable!("these change no names"),
        }
    }

    fn set_name(&mut self, path: Path, file: u32) {
        self.names.insert(path, file);
        self.changes.push(NameChange::Set(path, file));
    }

    /// Makes the first so many changes of names durable; a file that nobody can name any more is gone.
    fn settle_names(&mut self, count: usize) {
        let count = count.min(self.changes.len());
        self.settled += count as u64;
        for change in self.changes.drain(..count) {
            match change {
                NameChange::Set(path, file) => drop(self.durable_names.insert(path, file)),
                NameChange::Gone(path) => drop(self.durable_names.remove(&path)),
            }
        }
        let named: BTreeSet<u32> = self.names.values().chain(self.durable_names.values()).copied().collect();
        self.files.retain(|file, _| named.contains(file));
    }

    fn file_mut(&mut self, owner: u16, name: FileName) -> Option<&mut File> {
        let file = self.names.get(&(owner, name))?;
        self.files.get_mut(file)
    }

    /// Changes a bit of one file, chosen by chance.
    fn rot(&mut self) {
        let paths: Vec<(Path, u32)> = self.names.iter().map(|(path, file)| (*path, *file)).collect();
        if paths.is_empty() {
            return;
        }
        let ((owner, _), file) = paths[self.stream.below(paths.len() as u64) as usize];
        if let Some(file) = self.files.get_mut(&file)
            && file.rot(&mut self.stream)
        {
            self.lies.add(owner, 1);
        }
    }

    /// Writes a block that was on its way over another one.
    fn misdirect(&mut self) {
        let files: Vec<u32> = self.names.values().copied().collect();
        let stream = &mut self.stream;
        let strays: Vec<_> =
            files.iter().filter_map(|file| self.files.get(file)?.any_dirty(stream)).collect();
        let (Some(stray), false) = (strays.first(), files.is_empty()) else { return };
        let hit = files[stream.below(files.len() as u64) as usize];
        let owners = self.names.iter().filter(|(_, file)| **file == hit);
        if let Some(file) = self.files.get_mut(&hit)
            && file.overwrite(stray, stream)
        {
            owners.for_each(|((owner, _), _)| self.lies.add(*owner, 1));
        }
    }
}

/// The files of one controller.
#[derive(Clone, Copy, Debug)]
pub struct Folder<'a> {
    disk: &'a SimDisk,
    owner: u16,
}

impl Folder<'_> {
    /// How many bytes a file has; `None` if it is not there.
    pub fn length(&self, name: FileName) -> Option<usize> {
        let file = self.disk.names.get(&(self.owner, name))?;
        self.disk.files.get(file).map(File::length)
    }
}

impl Storage for Folder<'_> {
    fn list(&mut self) -> Result<Vec<FileName>, DiskError> {
        if self.disk.faults.is_failing {
            return Err(DiskError::Failed);
        }
        let own = self.disk.names.keys().filter(|(owner, _)| *owner == self.owner);
        Ok(own.map(|(_, name)| *name).collect())
    }

    fn read(&mut self, name: FileName, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let file = self.disk.names.get(&(self.owner, name)).and_then(|file| self.disk.files.get(file));
        match file {
            Some(file) if !self.disk.faults.is_failing => {
                Ok(file.read(usize::try_from(offset).unwrap_or(usize::MAX), into))
            }
            Some(_) | None => Err(DiskError::Failed),
        }
    }
}
