//! Takes logs apart and puts them together again with checksums and links that are right: what a forger would do, and what
//! a test needs to reach behind the checksums.

#![allow(dead_code, reason = "each test program uses its part")]

use std::ops::Range;

use r_ems_engine::digest::Digest;
use r_ems_engine::log::{Header, Kind, Reader, Status, codec};

/// Magic, format number, checksum.
const PREAMBLE_BYTES: usize = 16;
/// Everything before a group's payload.
pub(crate) const FRAME_BYTES: usize = 52;
const LENGTH: Range<usize> = 4..8;
pub(crate) const RECORDS: Range<usize> = 8..12;
const PAYLOAD_CRC: Range<usize> = 12..16;
pub(crate) const FIRST: Range<usize> = 24..32;
const LINK: Range<usize> = 32..48;
const FRAME_CRC: Range<usize> = 48..52;

/// The groups of a log, frames included; the first is the header's.
pub(crate) fn groups(log: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &log[PREAMBLE_BYTES..];
    let mut groups = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[LENGTH].try_into().expect("four bytes"));
        let (group, more) = rest.split_at(FRAME_BYTES + length as usize);
        groups.push(group.to_vec());
        rest = more;
    }
    groups
}

/// A log of groups as they are, whatever their links say.
pub(crate) fn joined(log: &[u8], groups: &[Vec<u8>]) -> Vec<u8> {
    let mut joined = log[..PREAMBLE_BYTES].to_vec();
    groups.iter().for_each(|group| joined.extend_from_slice(group));
    joined
}

/// A log of groups whose lengths, checksums and links are made right.
pub(crate) fn mended(log: &[u8], groups: &[Vec<u8>]) -> Vec<u8> {
    let mut groups = groups.to_vec();
    let mut link = Digest::of(&log[..PREAMBLE_BYTES]);
    for group in &mut groups {
        let length = (group.len() - FRAME_BYTES) as u32;
        group[LENGTH].copy_from_slice(&length.to_le_bytes());
        let payload_crc = crc(&group[FRAME_BYTES..]);
        group[PAYLOAD_CRC].copy_from_slice(&payload_crc.to_le_bytes());
        group[LINK].copy_from_slice(&link.as_bytes()[..16]);
        let frame_crc = crc(&group[..FRAME_CRC.start]);
        group[FRAME_CRC].copy_from_slice(&frame_crc.to_le_bytes());
        link = Digest::of(group);
    }
    joined(log, &groups)
}

/// A log with another header.
pub(crate) fn with_header(log: &[u8], change: impl FnOnce(&mut Header)) -> Vec<u8> {
    let mut groups = groups(log);
    let mut header: Header = codec::decode(&groups[0][FRAME_BYTES..]).expect("our own header");
    change(&mut header);
    groups[0].truncate(FRAME_BYTES);
    codec::encode(&header, &mut groups[0]);
    mended(log, &groups)
}

/// Where the records of a kind lie in a log's bytes.
pub(crate) fn places(log: &[u8], kind: Kind) -> Vec<Range<usize>> {
    let mut reader = Reader::open(log).expect("our own log");
    let mut places = Vec::new();
    while reader.advance().expect("our own log") == Status::Record {
        if reader.record().content.kind() == kind {
            let start = reader.record_position() as usize;
            places.push(start..start + reader.record_bytes() as usize);
        }
    }
    places
}

/// A log with other bytes at a place within one record, which has to keep its length.
pub(crate) fn with_bytes(log: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = log.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    let groups = groups(&changed);
    mended(&changed, &groups)
}

/// CRC-32 as in Ethernet, bit by bit.
fn crc(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}
