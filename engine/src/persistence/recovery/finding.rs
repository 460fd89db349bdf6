//! What a recovery may find out, and how it is told.

use core::fmt;

use crate::persistence::disk::{CopyName, DiskError, FileName};
use crate::time::Time;

/// What a recovery found out, in the order of its finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The files could not be listed.
    Unlisted(DiskError),
    /// A newer promise may be lost.
    PromisesDamaged,
    /// A file could not be read.
    Unreadable(FileName, DiskError),
    /// The segment ends with bytes that were never known to be durable.
    TornTail {
        /// Its number.
        segment: u64,
        /// Where it was cut.
        position: u64,
    },
    /// Bytes that were durable have changed.
    Damaged {
        /// The segment's number.
        segment: u64,
        /// Where.
        position: u64,
    },
    /// The segment was written by another version, or for another site.
    Foreign {
        /// Its number.
        segment: u64,
    },
    /// The machine asks for something else than it did before the crash.
    Diverged {
        /// The segment's number.
        segment: u64,
    },
    /// The deliveries of the segment failed an assertion twice.
    Poisoned {
        /// Its number.
        segment: u64,
        /// The delivery that did it.
        at: Time,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unlisted(error) => {
                write!(f, "the folder cannot be listed, the disk is {}", error.trouble().name())
            }
            Self::PromisesDamaged => f.write_str(
                "what was promised may be lost: it does not vote before others have told what they know",
            ),
            Self::Unreadable(file, error) => {
                write!(f, "{} cannot be read, the disk is {}", Named(*file), error.trouble().name())
            }
            Self::TornTail { segment, position } => {
                write!(
                    f,
                    "segment {segment} ends with what was not durable yet; it is cut at byte {position}"
                )
            }
            Self::Damaged { segment, position } => {
                write!(f, "segment {segment} was durable and has changed at byte {position}; it is put aside")
            }
            Self::Foreign { segment } => {
                write!(
                    f,
                    "segment {segment} is of another version, or of another site file: its state is not taken"
                )
            }
            Self::Diverged { segment } => {
                write!(f, "segment {segment} replays to something else than what was done; it is put aside")
            }
            Self::Poisoned { segment, at } => {
                write!(
                    f,
                    "the delivery at {at} in segment {segment} fails an assertion in every replay; it is left out"
                )
            }
        }
    }
}

/// A file as people know it.
struct Named(FileName);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FileName::Segment(number) => write!(f, "segment {number}"),
            FileName::New(number) => write!(f, "segment {number}, which was in the making,"),
            FileName::Quarantined(number) => write!(f, "segment {number}, which was put aside,"),
            FileName::Promise(CopyName::A) => f.write_str("the first copy of what was promised"),
            FileName::Promise(CopyName::B) => f.write_str("the second copy of what was promised"),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_finding_says_where_and_what_follows() {
        let unreadable = Finding::Unreadable(FileName::Promise(CopyName::B), DiskError::Failed);
        assert_eq!(
            unreadable.to_string(),
            "the second copy of what was promised cannot be read, the disk is failing"
        );
        let torn = Finding::TornTail { segment: 7, position: 99 };
        assert_eq!(torn.to_string(), "segment 7 ends with what was not durable yet; it is cut at byte 99");
    }
}
