//! What persistence asks of a disk and what it hears back. Sans-IO: a driver does it, on a real disk or on a simulated one.
//!
//! Requests carry numbers, and a reply counts only for the request that it names. A disk may take as long as it likes, answer
//! with an error, or never answer.

use alloc::vec::Vec;

use super::status::Trouble;

/// A file in the folder of one controller. A driver makes texts of names; here they are what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// A segment of the journal whose head was durable before it got this name.
    Segment(u64),
    /// A segment in the making: of no use to a recovery.
    New(u64),
    /// A segment that must not be believed; kept for people.
    Quarantined(u64),
    /// One of the two copies of what was promised.
    Promise(CopyName),
}

impl FileName {
    /// The number of a segment, of whatever standing.
    pub const fn number(self) -> Option<u64> {
        match self {
            Self::Segment(number) | Self::New(number) | Self::Quarantined(number) => Some(number),
            Self::Promise(_) => None,
        }
    }
}

/// Which of two copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CopyName {
    /// The first.
    A,
    /// The second.
    B,
}

impl CopyName {
    /// The other copy.
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The position in tables of copies.
    pub const fn position(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

/// Something that a disk is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The reply names it.
    pub number: u32,
    /// What.
    pub operation: Operation,
}

/// What a disk can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Writes bytes into a file, which is made if it is not there; they need not be durable.
    Write {
        /// Which file.
        file: FileName,
        /// Where in it; never beyond its end.
        offset: u64,
        /// What.
        bytes: Vec<u8>,
    },
    /// Makes all bytes of a file durable.
    Sync {
        /// Which file.
        file: FileName,
    },
    /// Gives a file another name, atomically; the name need not be durable.
    Rename {
        /// From.
        from: FileName,
        /// To; a file of that name is replaced.
        to: FileName,
    },
    /// Makes the names of all files durable.
    SyncDirectory,
    /// Removes a file; one that is not there is removed already.
    Remove {
        /// Which file.
        file: FileName,
    },
    /// Reads the beginning of a file, of one that is not there nothing; from the medium and not from a cache wherever that can
    /// be told apart.
    Read {
        /// Which file.
        file: FileName,
        /// So much of it.
        bytes: u32,
    },
    /// Lists the controller's folder, to see whether it can be listed.
    List,
}

/// What a disk says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// It is done.
    Done,
    /// The bytes that were asked for, or fewer if the file has no more.
    Bytes(&'a [u8]),
    /// It is not done, or only in part.
    Failed(DiskError),
}

/// Why a disk did not do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskError {
    /// There is no room.
    Full,
    /// The disk failed.
    Failed,
    /// The disk takes no writes.
    ReadOnly,
}

impl DiskError {
    /// What is the matter with a disk that says so.
    pub const fn trouble(self) -> Trouble {
        match self {
            Self::Full => Trouble::Full,
            Self::Failed => Trouble::Failing,
            Self::ReadOnly => Trouble::ReadOnly,
        }
    }
}

/// A controller's folder as a recovery reads it, before the controller lives: here reading may block.
pub trait Storage {
    /// The files that are there, in any order.
    ///
    /// # Errors
    /// What kept it from listing them.
    fn list(&mut self) -> Result<Vec<FileName>, DiskError>;

    /// Reads bytes of a file from `offset` on and says how many; 0 only at its end, or if `into` is empty.
    ///
    /// # Errors
    /// What kept it from reading.
    fn read(&mut self, file: FileName, offset: u64, into: &mut [u8]) -> Result<usize, DiskError>;
}
