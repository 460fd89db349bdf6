//! Reads a log group by group and believes nothing that it has not checked.
//!
//! It never holds more than one group, never panics whatever the bytes are, and tells a file that simply ends (a torn tail,
//! readable up to there) from one whose bytes have changed (an error).

use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use super::decode::{self, Decoded};
use super::error::{Flaw, LogError, ReadError};
use super::group::{
    GROUP_HEADER_BYTES, GroupHeader, HEAD, Link, MEMO, PREAMBLE_BYTES, RECS, USUAL_GROUP_BYTES,
    check_preamble, checksum,
};
use super::header::Header;
use super::memory::Memory;
use super::record::{Ending, Record};
use super::varint::Cursor;
use super::{MAX_GROUP_BYTES, MAX_HEADER_BYTES, codec};
use crate::machine::Effect;
use crate::mistakes::{Mistake, makes};
use crate::time::Time;

/// Memory grows by this much at a time, so that a false length does not make it large before its bytes are there.
const READ_BYTES: usize = 256 << 10;

/// What stands for a record while there is none: it refers to nothing.
const NOTHING: Decoded = Decoded::Wake { prior: 0 };

/// Where a log's bytes come from.
pub trait Source {
    /// Why they could not be had.
    type Error;

    /// Reads some bytes into the beginning of `into` and says how many; 0 only at the end, or if `into` is empty.
    ///
    /// # Errors
    /// What kept it from reading.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Self::Error>;
}

impl Source for &[u8] {
    type Error = Infallible;

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Infallible> {
        let count = into.len().min(self.len());
        let (now, later) = self.split_at(count);
        into[..count].copy_from_slice(now);
        *self = later;
        Ok(count)
    }
}

/// A source of which any place can be read next.
pub trait Places: Source {
    /// Reads on from this byte on.
    ///
    /// # Errors
    /// What kept it from going there.
    fn go_to(&mut self, position: u64) -> Result<(), Self::Error>;
}

/// What a step of the reader led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// There is a record: [`Reader::record`].
    Record,
    /// The log is over.
    Ended(End),
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With its closing record.
    Closed(Ending),
    /// The file simply ends: whoever wrote it was stopped before it could close it.
    Torn {
        /// Where the last whole group ends.
        position: u64,
        /// Bytes after it, which are of no use.
        lost: u64,
    },
}

impl End {
    /// The word for it in what programs read.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed(ending) => ending.name(),
            Self::Torn { .. } => "torn",
        }
    }

    /// Whether the log lacks its closing record.
    pub const fn is_torn(self) -> bool {
        match self {
            Self::Closed(_) => false,
            Self::Torn { .. } => true,
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(ending) => write!(f, "the log is complete: {ending}"),
            Self::Torn { position, lost } => {
                write!(
                    f,
                    "the log was not closed: it is readable up to byte {position}, {lost} bytes are lost"
                )
            }
        }
    }
}

/// Reads one segment.
#[derive(Debug)]
pub struct Reader<S> {
    source: S,
    header: Header,
    memory: Memory,
    /// The group that is being read: header and payload.
    group: Vec<u8>,
    /// Where the next record begins, and where the last one began, in the payload.
    next: usize,
    last: usize,
    decoded: Decoded,
    effects: Vec<Effect>,
    records: u64,
    group_records: u64,
    expected_records: u32,
    expected_first: u64,
    /// Where the group begins in the file, and where the one after it will.
    group_position: u64,
    position: u64,
    link: Link,
    synced: u64,
    end: Option<End>,
    /// Found once, a flaw stays.
    broken: Option<LogError>,
}

impl<S: Source> Reader<S> {
    /// Opens a log and reads its header.
    ///
    /// # Errors
    /// [`LogError`] if this is no log, a newer one, a damaged one, or one that ends before its header does.
    pub fn open(mut source: S) -> Result<Self, ReadError<S::Error>> {
        let mut preamble = [0_u8; PREAMBLE_BYTES];
        let at = |position: u64| move |flaw: Flaw| LogError { position, flaw };
        let count = read_full(&mut source, &mut preamble).map_err(ReadError::Source)?;
        if count < PREAMBLE_BYTES {
            return Err(at(count as u64)(Flaw::NoHeader).into());
        }
        check_preamble(&preamble).map_err(at(0))?;
        let start = PREAMBLE_BYTES as u64;
        let mut group = Vec::with_capacity(USUAL_GROUP_BYTES);
        let link = Link::to(&preamble);
        let taken = take_group(&mut source, &mut group, &[HEAD], link, MAX_HEADER_BYTES)?;
        let head = match taken.map_err(at(start))? {
            Taken::Whole(head) => head,
            Taken::Part(_lost) => return Err(at(start)(Flaw::NoHeader).into()),
        };
        let payload = &group[GROUP_HEADER_BYTES..];
        let undecodable = |_undecodable| at(start)(Flaw::Header);
        let header: Header = codec::decode(payload).map_err(undecodable)?;
        header.check().map_err(|beyond| {
            let (found, limit) = (beyond.found as u64, beyond.limit as u64);
            at(start)(Flaw::TooLarge { what: beyond.what, found, limit })
        })?;
        let position = start + group.len() as u64;
        Ok(Self {
            source,
            memory: Memory::new(&header),
            header,
            next: payload.len(),
            last: payload.len(),
            decoded: NOTHING,
            effects: Vec::new(),
            records: 0,
            group_records: 0,
            expected_records: head.records,
            expected_first: head.first,
            group_position: start,
            position,
            link: Link::to(&group),
            synced: 0,
            end: None,
            broken: None,
            group,
        })
    }

    /// Moves to the next record.
    ///
    /// # Errors
    /// [`ReadError`] if the log is damaged or its bytes cannot be had. A damaged log stays damaged: the same error again.
    #[inline]
    pub fn advance(&mut self) -> Result<Status, ReadError<S::Error>> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        let status = self.step();
        if let Err(ReadError::Log(error)) = &status {
            self.broken = Some(*error);
            self.decoded = NOTHING;
        }
        status
    }

    #[inline]
    fn step(&mut self) -> Result<Status, ReadError<S::Error>> {
        while self.next == self.group.len() - GROUP_HEADER_BYTES {
            if let Some(end) = self.end {
                return Ok(Status::Ended(end));
            }
            self.next_group()?;
        }
        self.take_record().map_err(|flaw| LogError { position: self.record_position(), flaw })?;
        if let Decoded::Closing { ending, count } = self.decoded {
            self.close(ending, count)?;
        }
        Ok(Status::Record)
    }

    /// The record that [`Reader::advance`] moved to; of no meaning unless it said [`Status::Record`].
    #[inline]
    pub fn record(&self) -> Record<'_> {
        decode::view(&self.memory, &self.decoded, &self.effects, &self.group[GROUP_HEADER_BYTES..])
    }

    /// What the log says about itself.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The byte position at which the current record begins.
    pub const fn record_position(&self) -> u64 {
        self.group_position + (GROUP_HEADER_BYTES + self.last) as u64
    }

    /// How many bytes the current record has.
    pub const fn record_bytes(&self) -> u64 {
        (self.next - self.last) as u64
    }

    /// How many records have been read.
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// How many bytes of the log have been read and checked.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// Up to where the log's writer knew it to be durable, as far as it has been read.
    pub const fn synced(&self) -> u64 {
        self.synced
    }

    #[inline]
    fn take_record(&mut self) -> Result<(), Flaw> {
        let mut cursor = Cursor::new(&self.group[GROUP_HEADER_BYTES..], self.next);
        self.last = self.next;
        self.decoded = decode::decode(&mut self.memory, &mut cursor, &mut self.effects)?;
        self.next = cursor.position();
        let (expected, found) = (self.expected_first, self.memory.at.as_nanos());
        if self.group_records == 0 && expected != found {
            return Err(Flaw::FirstTime { expected, found });
        }
        self.group_records += 1;
        self.records += 1;
        Ok(())
    }

    fn next_group(&mut self) -> Result<(), ReadError<S::Error>> {
        self.check_count(self.expected_records.into(), self.group_records)?;
        self.forget_group();
        let kinds = [RECS, MEMO];
        let taken = take_group(&mut self.source, &mut self.group, &kinds, self.link, MAX_GROUP_BYTES);
        if let Ok(Ok(Taken::Whole(head))) = taken {
            self.expected_records = head.records;
            self.expected_first = head.first;
            self.synced = head.synced;
            self.link = Link::to(&self.group);
            self.position += self.group.len() as u64;
            return if head.marker == MEMO { self.pass_memory() } else { Ok(()) };
        }
        self.forget_group();
        match taken {
            Ok(Ok(Taken::Whole(_))) => unreachable!("a whole group was used above"),
            Ok(Ok(Taken::Part(lost))) => {
                self.end = Some(End::Torn { position: self.position, lost });
                Ok(())
            }
            Ok(Err(flaw)) => Err(LogError { position: self.position, flaw }.into()),
            Err(error) => {
                // What could be had of the group is gone: for whoever goes on nevertheless, the log ends here.
                self.end = Some(End::Torn { position: self.position, lost: 0 });
                Err(error)
            }
        }
    }

    /// Passes over what is to be remembered, which must be what is; no record is in it.
    fn pass_memory(&mut self) -> Result<(), ReadError<S::Error>> {
        let end = self.group.len();
        self.memory.put(self.records, &mut self.group);
        let (stored, own) = self.group[GROUP_HEADER_BYTES..].split_at(end - GROUP_HEADER_BYTES);
        let is_same = stored == own && self.is_of_now(self.expected_records, self.expected_first);
        self.group.truncate(end);
        self.next = end - GROUP_HEADER_BYTES;
        self.last = self.next;
        if is_same {
            Ok(())
        } else {
            Err(LogError { position: self.group_position, flaw: Flaw::Memory }.into())
        }
    }

    /// Whether the header of a memory says of when it is: readers go by that.
    fn is_of_now(&self, records: u32, first: u64) -> bool {
        records == 0 && first == self.memory.at.as_nanos()
    }

    /// Lets nothing refer to a group, because the next one is not there as a whole, or not yet.
    fn forget_group(&mut self) {
        self.group.clear();
        self.group.resize(GROUP_HEADER_BYTES, 0);
        (self.next, self.last) = (0, 0);
        self.group_records = 0;
        self.expected_records = 0;
        self.group_position = self.position;
        self.decoded = NOTHING;
    }

    /// Checks that the closing record tells the truth and is the last one.
    fn close(&mut self, ending: Ending, count: u64) -> Result<(), ReadError<S::Error>> {
        self.check_count(count, self.records - 1)?;
        self.check_count(self.expected_records.into(), self.group_records)?;
        let mut more = [0_u8; 1];
        let rest = read_full(&mut self.source, &mut more).map_err(ReadError::Source)?;
        if rest > 0 || self.next < self.group.len() - GROUP_HEADER_BYTES {
            return Err(LogError { position: self.position, flaw: Flaw::AfterClosing }.into());
        }
        self.end = Some(End::Closed(ending));
        Ok(())
    }

    fn check_count(&self, expected: u64, found: u64) -> Result<(), LogError> {
        if expected == found {
            return Ok(());
        }
        Err(LogError { position: self.position, flaw: Flaw::Count { expected, found } })
    }
}

impl<S: Places> Reader<S> {
    /// Of a log of which nothing was read yet, passes over as much as can be of what is before an instant: every record of that
    /// instant or later is read still, and some before.
    ///
    /// Only headers of groups are looked at, and what is remembered behind them is taken as it was written. So of what is passed
    /// over nothing is verified but those headers, and all else as ever.
    ///
    /// # Errors
    /// As [`Reader::advance`].
    pub fn begin_before(&mut self, from: Time) -> Result<(), ReadError<S::Error>> {
        assert_eq!(self.records, 0, "the reader has just been opened");
        let begin = self.newest_memory(from).map_err(ReadError::Source)?;
        let Some((position, link)) = begin else {
            return self.source.go_to(self.position).map_err(ReadError::Source);
        };
        self.source.go_to(position).map_err(ReadError::Source)?;
        (self.position, self.link) = (position, link);
        self.forget_group();
        let taken = take_group(&mut self.source, &mut self.group, &[MEMO], link, MAX_GROUP_BYTES)?;
        let at = |flaw: Flaw| LogError { position, flaw };
        match taken.map_err(at)? {
            Taken::Whole(head) => {
                self.records = self.memory.take(&self.group[GROUP_HEADER_BYTES..]).map_err(at)?;
                // A record takes a byte at least.
                if self.records > position || !self.is_of_now(head.records, head.first) {
                    return Err(at(Flaw::Memory).into());
                }
                self.synced = head.synced;
                self.link = Link::to(&self.group);
                self.position += self.group.len() as u64;
                self.forget_group();
            }
            Taken::Part(lost) => {
                self.forget_group();
                self.end = Some(End::Torn { position, lost });
            }
        }
        Ok(())
    }

    /// Where the last memory is that is of before an instant, and what its group is linked to.
    fn newest_memory(&mut self, from: Time) -> Result<Option<(u64, Link)>, S::Error> {
        let (mut position, mut newest) = (self.position, None);
        loop {
            self.source.go_to(position)?;
            let mut bytes = [0_u8; GROUP_HEADER_BYTES];
            if read_full(&mut self.source, &mut bytes)? < GROUP_HEADER_BYTES {
                return Ok(newest);
            }
            // What is no header ends the search: whoever reads on finds out what is wrong there.
            let Ok(header) = GroupHeader::decode(&bytes) else { return Ok(newest) };
            let is_group = [RECS, MEMO].contains(&header.marker) && header.length as usize <= MAX_GROUP_BYTES;
            if !is_group || header.first >= from.as_nanos() {
                return Ok(newest);
            }
            if header.marker == MEMO {
                newest = Some((position, header.link));
            }
            position += (GROUP_HEADER_BYTES + header.length as usize) as u64;
        }
    }
}

/// What could be had of a group.
enum Taken {
    /// All of it, checked.
    Whole(GroupHeader),
    /// The file ended after so many bytes of it.
    Part(u64),
}

/// Reads one group into `group` and checks its frame.
fn take_group<S: Source>(
    source: &mut S,
    group: &mut Vec<u8>,
    markers: &[[u8; 4]],
    link: Link,
    limit: usize,
) -> Result<Result<Taken, Flaw>, ReadError<S::Error>> {
    let mut head = [0_u8; GROUP_HEADER_BYTES];
    let count = read_full(source, &mut head).map_err(ReadError::Source)?;
    if count < GROUP_HEADER_BYTES {
        return Ok(Ok(Taken::Part(count as u64)));
    }
    let header = match GroupHeader::decode(&head).and_then(|header| {
        header.check(markers, link, limit)?;
        Ok(header)
    }) {
        Ok(header) => header,
        Err(flaw) => return Ok(Err(flaw)),
    };
    group.clear();
    group.extend_from_slice(&head);
    let whole = GROUP_HEADER_BYTES + header.length as usize;
    while group.len() < whole {
        let start = group.len();
        group.resize(whole.min(start + READ_BYTES), 0);
        let wanted = group.len() - start;
        let count = read_full(source, &mut group[start..]).map_err(ReadError::Source)?;
        if count < wanted {
            return Ok(Ok(Taken::Part((start + count) as u64)));
        }
    }
    let (expected, found) = (header.payload_crc, checksum(&group[GROUP_HEADER_BYTES..]));
    if expected == found || makes(Mistake::TornTailAccepted) {
        Ok(Ok(Taken::Whole(header)))
    } else {
        Ok(Err(Flaw::Checksum { what: "group", expected, found }))
    }
}

/// Fills `into` as far as the source has bytes.
fn read_full<S: Source>(source: &mut S, into: &mut [u8]) -> Result<usize, S::Error> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
