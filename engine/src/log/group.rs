//! The frame around records: what is checked before anything inside is believed.

use super::error::Flaw;
use super::{FORMAT, GROUP_BYTES};
use crate::digest::Digest;

/// How every log begins.
pub(super) const MAGIC: [u8; 8] = *b"R-EMSLOG";
/// Magic, format number and their checksum.
pub(super) const PREAMBLE_BYTES: usize = 16;
/// Everything before a group's payload.
pub(super) const GROUP_HEADER_BYTES: usize = 52;
/// The part of it that its checksum covers.
const COVERED_BYTES: usize = GROUP_HEADER_BYTES - 4;
/// The memory of a group whose last record is no state: taken once, it does for a whole log.
pub(super) const USUAL_GROUP_BYTES: usize = GROUP_HEADER_BYTES + GROUP_BYTES + GROUP_BYTES / 8;
/// How much of the digest of the group before is stored: no accident matches 128 bits.
const CHAIN_BYTES: usize = 16;
/// The group that holds the header.
pub(super) const HEAD: [u8; 4] = *b"HEAD";
/// A group that holds records.
pub(super) const RECS: [u8; 4] = *b"RECS";
/// A group that holds what the records before it leave to remember, so that a reader may begin behind it.
pub(super) const MEMO: [u8; 4] = *b"MEMO";

/// The link from a group to the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link([u8; CHAIN_BYTES]);

impl Link {
    /// Links to a group by all of its bytes, its own link included: each group vouches for everything before it.
    pub(super) fn to(group: &[u8]) -> Self {
        let digest = Digest::of(group);
        let (link, _) = digest.as_bytes().split_first_chunk().expect("a digest is longer than a link");
        Self(*link)
    }

    fn word(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

/// What stands before a group's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GroupHeader {
    pub(super) marker: [u8; 4],
    pub(super) length: u32,
    pub(super) records: u32,
    pub(super) payload_crc: u32,
    pub(super) synced: u64,
    pub(super) first: u64,
    pub(super) link: Link,
}

impl GroupHeader {
    pub(super) fn encode(&self) -> [u8; GROUP_HEADER_BYTES] {
        let mut bytes = [0_u8; GROUP_HEADER_BYTES];
        let (covered, crc) = bytes.split_at_mut(COVERED_BYTES);
        covered[..4].copy_from_slice(&self.marker);
        covered[4..8].copy_from_slice(&self.length.to_le_bytes());
        covered[8..12].copy_from_slice(&self.records.to_le_bytes());
        covered[12..16].copy_from_slice(&self.payload_crc.to_le_bytes());
        covered[16..24].copy_from_slice(&self.synced.to_le_bytes());
        covered[24..32].copy_from_slice(&self.first.to_le_bytes());
        covered[32..].copy_from_slice(&self.link.0);
        crc.copy_from_slice(&checksum(covered).to_le_bytes());
        bytes
    }

    /// Reads a group's header, believing nothing before its checksum.
    pub(super) fn decode(bytes: &[u8; GROUP_HEADER_BYTES]) -> Result<Self, Flaw> {
        let (covered, crc) = bytes.split_at(COVERED_BYTES);
        let (expected, found) = (u32_at(crc, 0), checksum(covered));
        if expected != found {
            return Err(Flaw::Checksum { what: "group's header", expected, found });
        }
        let mut link = [0_u8; CHAIN_BYTES];
        link.copy_from_slice(&covered[32..]);
        let mut marker = [0_u8; 4];
        marker.copy_from_slice(&covered[..4]);
        Ok(Self {
            marker,
            length: u32_at(covered, 4),
            records: u32_at(covered, 8),
            payload_crc: u32_at(covered, 12),
            synced: u64_at(covered, 16),
            first: u64_at(covered, 24),
            link: Link(link),
        })
    }

    /// Checks that the group is the next one.
    pub(super) fn check(&self, markers: &[[u8; 4]], link: Link, limit: usize) -> Result<(), Flaw> {
        if !markers.contains(&self.marker) {
            return Err(Flaw::Marker { expected: markers[0], found: self.marker });
        }
        if self.length as usize > limit {
            return Err(Flaw::TooLarge { what: "group", found: self.length.into(), limit: limit as u64 });
        }
        if self.link != link {
            return Err(Flaw::Chain { expected: self.link.word(), found: link.word() });
        }
        Ok(())
    }
}

/// The first bytes of every log.
pub(super) fn preamble() -> [u8; PREAMBLE_BYTES] {
    let mut bytes = [0_u8; PREAMBLE_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    let crc = checksum(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Checks the first bytes of a log.
pub(super) fn check_preamble(bytes: &[u8; PREAMBLE_BYTES]) -> Result<(), Flaw> {
    if bytes[..8] != MAGIC {
        let mut found = [0_u8; 8];
        found.copy_from_slice(&bytes[..8]);
        return Err(Flaw::NoLog { found });
    }
    let (expected, found) = (u32_at(bytes, 12), checksum(&bytes[..12]));
    if expected != found {
        return Err(Flaw::Checksum { what: "preamble", expected, found });
    }
    match u32_at(bytes, 8) {
        FORMAT => Ok(()),
        found => Err(Flaw::Format { found, known: FORMAT }),
    }
}

/// CRC-32 as in Ethernet: finds every error of up to 32 neighboring bits, hence every single one.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0_u8; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0_u8; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
