//! Everything that can be wrong with a log's bytes, with the place, what was expected and what was found.

use core::fmt;

/// A log that must not be believed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogError {
    /// Byte position in the file.
    pub position: u64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The file does not begin as a log does.
    NoLog {
        /// How it begins.
        found: [u8; 8],
    },
    /// The file ends before its header is complete, so nothing in it can be understood.
    NoHeader,
    /// A newer program wrote it.
    Format {
        /// The format number of the file.
        found: u32,
        /// The newest that this program knows.
        known: u32,
    },
    /// A checksum does not match: bytes have changed since they were written.
    Checksum {
        /// Of what.
        what: &'static str,
        /// The checksum that was stored.
        expected: u32,
        /// The checksum of the bytes that are there.
        found: u32,
    },
    /// A group does not follow the one before it: groups are missing, repeated or exchanged.
    Chain {
        /// First bytes of the digest of the group that should be before it.
        expected: u64,
        /// First bytes of the digest of the group that is before it.
        found: u64,
    },
    /// A group of this kind cannot be here.
    Marker {
        /// What should be here.
        expected: [u8; 4],
        /// What is here.
        found: [u8; 4],
    },
    /// Something is larger than it may be.
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// A number is not below its end.
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The number.
        found: u64,
        /// The first number that is too large.
        end: u64,
    },
    /// The header's bytes are no header.
    Header,
    /// Bytes are no encoding of what should be here.
    NoValue {
        /// Of what.
        what: &'static str,
    },
    /// A record has no such form.
    Code {
        /// Of what.
        what: &'static str,
        /// The byte.
        found: u8,
    },
    /// A record goes on beyond its group.
    RecordEnds,
    /// A number has more than 64 bits.
    NumberTooLong,
    /// A quantity is infinite or no number.
    NotFinite,
    /// The run's time would pass its end.
    TimeOverflow,
    /// A record speaks of a delivery, but none is before it.
    NoDelivery,
    /// The number of records is another than was counted when they were written.
    Count {
        /// The stored number.
        expected: u64,
        /// The number of records that are there.
        found: u64,
    },
    /// A group's first record is of another time than the group says.
    FirstTime {
        /// The time that the group names, ns.
        expected: u64,
        /// The time of its first record, ns.
        found: u64,
    },
    /// Something follows the closing record.
    AfterClosing,
    /// What is to be remembered is something else than the records before it leave to remember.
    Memory,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.position, self.flaw)
    }
}

impl core::error::Error for LogError {}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLog { found } => {
                write!(f, "not an R-EMS log: expected \"R-EMSLOG\", found \"{}\"", found.escape_ascii())
            }
            Self::NoHeader => f.write_str("the file ends before its header is complete"),
            Self::Format { found, known } => {
                write!(f, "format F{found}, but this program knows up to F{known}: use a newer one")
            }
            Self::Checksum { what, expected, found } => {
                write!(f, "damaged: the checksum of the {what} should be {expected:08x}, found {found:08x}")
            }
            Self::Chain { expected, found } => write!(
                f,
                "damaged: the group before should have digest {expected:016x}, found {found:016x}: \
                 groups are missing or exchanged"
            ),
            Self::Marker { expected, found } => write!(
                f,
                "expected a group \"{}\", found \"{}\"",
                expected.escape_ascii(),
                found.escape_ascii()
            ),
            Self::TooLarge { what, found, limit } => {
                write!(f, "the {what} is too large: {found}, at most {limit} is allowed")
            }
            Self::OutOfRange { what, found, end } => {
                write!(f, "the {what} must be below {end}, found {found}")
            }
            Self::NoValue { what } => write!(f, "these bytes are no {what}"),
            Self::Header => f.write_str("the header's bytes are no header of this format"),
            Self::Code { what, found } => write!(f, "there is no {what} of code {found}"),
            Self::RecordEnds => f.write_str("a record goes on beyond its group"),
            Self::NumberTooLong => f.write_str("a number has more than 64 bits"),
            Self::NotFinite => f.write_str("a quantity is infinite or no number"),
            Self::TimeOverflow => f.write_str("the run's time would pass its end"),
            Self::NoDelivery => f.write_str("a record speaks of a delivery, but none is before it"),
            Self::Count { expected, found } => write!(f, "expected {expected} records, found {found}"),
            Self::FirstTime { expected, found } => {
                write!(f, "the group should begin at {expected} ns, its first record is of {found} ns")
            }
            Self::AfterClosing => f.write_str("something follows the closing record"),
            Self::Memory => {
                f.write_str("what is to be remembered here is not what the records before it say")
            }
        }
    }
}

/// Why a log could not be read on.
#[derive(Debug)]
pub enum ReadError<E> {
    /// Its bytes could not be had.
    Source(E),
    /// Its bytes are wrong.
    Log(LogError),
}

impl<E> From<LogError> for ReadError<E> {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl<E: fmt::Display> fmt::Display for ReadError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Display + fmt::Debug> core::error::Error for ReadError<E> {}
