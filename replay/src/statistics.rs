//! Where a log's bytes go: by kind of record and by controller.

use std::io::{self, Read};

use serde::Serialize;

use r_ems_engine::Time;
use r_ems_engine::log::{End, Kind, ReadError, Reader, Status};

use crate::source::Bytes;

/// What a log consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// All bytes that could be used.
    pub bytes: u64,
    /// All records.
    pub records: u64,
    /// Bytes that are no records: header, frames of groups.
    pub overhead_bytes: u64,
    /// The run's time of the last record, ns.
    pub until_ns: u64,
    /// By kind of record, in the order of [`Kind::ALL`].
    pub kinds: Vec<Share>,
    /// By controller.
    pub controllers: Vec<Share>,
    /// Whether the log was closed.
    pub closed: bool,
}

/// One part of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Of what.
    pub name: String,
    /// How many records.
    pub records: u64,
    /// How many bytes they take.
    pub bytes: u64,
}

impl Share {
    fn of(name: String) -> Self {
        Self { name, records: 0, bytes: 0 }
    }

    fn add(&mut self, bytes: u64) {
        self.records += 1;
        self.bytes += bytes;
    }
}

/// Reads a log to its end and counts.
///
/// # Errors
/// If the log cannot be read.
pub fn statistics<R: Read>(log: R) -> Result<Statistics, ReadError<io::Error>> {
    let mut reader = Reader::open(Bytes(log))?;
    let mut kinds: Vec<Share> = Kind::ALL.iter().map(|kind| Share::of(kind.name().to_string())).collect();
    let mut controllers: Vec<Share> =
        reader.header().controllers.iter().map(|names| Share::of(names.full())).collect();
    let mut until = Time::ZERO;
    let end = loop {
        match reader.advance()? {
            Status::Record => {}
            Status::Ended(end) => break end,
        }
        let record = reader.record();
        until = record.at;
        let kind = record.content.kind();
        if let Some(place) = Kind::ALL.iter().position(|known| *known == kind) {
            kinds[place].add(reader.record_bytes());
        }
        controllers[record.controller.position()].add(reader.record_bytes());
    };
    let used: u64 = kinds.iter().map(|share| share.bytes).sum();
    Ok(Statistics {
        bytes: reader.position(),
        records: reader.records(),
        overhead_bytes: reader.position() - used,
        until_ns: until.as_nanos(),
        kinds,
        controllers,
        closed: matches!(end, End::Closed(_)),
    })
}
