//! Lays records out in groups. Sans-IO: whole groups gather in a buffer that the caller writes wherever it likes.

use alloc::vec::Vec;

use super::encode;
use super::group::{
    GROUP_HEADER_BYTES, GroupHeader, HEAD, Link, MEMO, RECS, USUAL_GROUP_BYTES, checksum, preamble,
};
use super::header::{Header, HeaderError};
use super::memory::Memory;
use super::record::{Content, Ending, Record};
use super::{GROUP_BYTES, MAX_GROUP_BYTES};
use crate::ids::ControllerIndex;
use crate::machine::Effect;
use crate::time::LocalTime;

/// After so many bytes what is remembered is written as a whole: few enough to be read at once by whoever looks for an instant.
pub(super) const MEMORY_EVERY_BYTES: u64 = 4 << 20;
/// And after so many times its own bytes: of a large fleet it is large.
const MEMORY_SHARE: u64 = 64;

/// Writes one segment.
#[derive(Clone, Debug)]
pub struct Writer {
    memory: Memory,
    /// The group under way: room for its header, then its payload.
    group: Vec<u8>,
    group_records: u32,
    group_first: u64,
    link: Link,
    records: u64,
    position: u64,
    /// What is remembered is not written before.
    memory_due: u64,
    synced: u64,
    out: Vec<u8>,
}

impl Writer {
    /// Begins a log with its header.
    ///
    /// # Errors
    /// [`HeaderError`] if the header is beyond a limit, so that no reader would take it.
    pub fn new(header: &Header) -> Result<Self, HeaderError> {
        let head = header.encoded()?;
        let preamble = preamble();
        let mut writer = Self {
            memory: Memory::new(header),
            group: Vec::with_capacity(USUAL_GROUP_BYTES),
            group_records: 0,
            group_first: 0,
            link: Link::to(&preamble),
            records: 0,
            position: preamble.len() as u64,
            memory_due: MEMORY_EVERY_BYTES,
            synced: 0,
            out: Vec::with_capacity(USUAL_GROUP_BYTES),
        };
        writer.out.extend_from_slice(&preamble);
        writer.begin_group();
        writer.group.extend_from_slice(&head);
        writer.end_group(HEAD);
        Ok(writer)
    }

    /// Appends a record.
    ///
    /// # Panics
    /// If the record names what the header does not, exceeds a limit, or is a delivery before the last one: the caller's bug.
    #[inline]
    pub fn append(&mut self, record: &Record<'_>) {
        let start = self.group.len();
        encode::encode(&mut self.memory, &mut self.group, record, self.records);
        if start == GROUP_HEADER_BYTES {
            self.group_first = self.memory.at.as_nanos();
        }
        self.group_records += 1;
        self.records += 1;
        if self.group.len() >= GROUP_HEADER_BYTES + GROUP_BYTES {
            self.end_group(RECS);
        }
    }

    /// Appends what a delivery led to, unless it says nothing new.
    pub fn append_effects(
        &mut self,
        controller: ControllerIndex,
        effects: &[Effect],
        deadline: Option<LocalTime>,
    ) {
        let known = &self.memory.of[controller.position()];
        if !encode::is_expected(known, effects, deadline) {
            self.append_here(controller, Content::Effects { effects, deadline });
        }
    }

    /// Appends what belongs to the instant of the record before.
    pub fn append_here(&mut self, controller: ControllerIndex, content: Content<'_>) {
        let at = self.memory.at;
        let now = self.memory.of[controller.position()].now(at);
        self.append(&Record { at, now, controller, content });
    }

    /// Appends the closing record and ends the log; nothing may follow.
    pub fn close(&mut self, controller: ControllerIndex, ending: Ending) {
        self.memory_due = u64::MAX;
        self.append_here(controller, Content::Closing(ending));
        self.flush();
    }

    /// Ends the group under way, so that what has been appended can be written and synced.
    pub fn flush(&mut self) {
        if self.group_records > 0 {
            self.end_group(RECS);
        }
    }

    /// Notes that everything before `position` is durable; the following groups say so.
    pub fn synced(&mut self, position: u64) {
        assert!(position <= self.position, "only what was written can be durable");
        self.synced = position;
    }

    /// The bytes that wait to be written.
    pub fn out(&self) -> &[u8] {
        &self.out
    }

    /// Forgets the bytes that waited, because they have been written.
    pub fn clear_out(&mut self) {
        self.out.clear();
    }

    /// How many bytes the log has, the group under way not counted.
    pub const fn position(&self) -> u64 {
        self.position
    }

    /// How many records have been appended.
    pub const fn records(&self) -> u64 {
        self.records
    }

    fn begin_group(&mut self) {
        self.group.clear();
        self.group.resize(GROUP_HEADER_BYTES, 0);
        self.group_records = 0;
    }

    fn end_group(&mut self, marker: [u8; 4]) {
        let payload = &self.group[GROUP_HEADER_BYTES..];
        assert!(payload.len() <= MAX_GROUP_BYTES, "a state is bounded");
        let header = GroupHeader {
            marker,
            length: u32::try_from(payload.len()).expect("a group is bounded"),
            records: self.group_records,
            payload_crc: checksum(payload),
            synced: self.synced,
            first: self.group_first,
            link: self.link,
        };
        self.group[..GROUP_HEADER_BYTES].copy_from_slice(&header.encode());
        self.link = Link::to(&self.group);
        self.position += self.group.len() as u64;
        self.out.extend_from_slice(&self.group);
        self.begin_group();
        if self.position >= self.memory_due {
            self.remember();
        }
    }

    /// Writes what is remembered, unless that is more than a group holds.
    fn remember(&mut self) {
        self.memory.put(self.records, &mut self.group);
        let bytes = self.group.len() - GROUP_HEADER_BYTES;
        self.memory_due = self.position + MEMORY_EVERY_BYTES.max(MEMORY_SHARE * bytes as u64);
        if bytes > MAX_GROUP_BYTES {
            return self.begin_group();
        }
        self.group_first = self.memory.at.as_nanos();
        self.end_group(MEMO);
    }
}
