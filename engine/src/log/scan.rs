//! Looks through the bytes of a log that cannot be read on, for what its writer knew to be durable.
//!
//! Blocks of a file may become durable out of order, so a bad group is no proof that nothing after it is good; and what comes
//! after may say that the bad one was durable. Only headers of groups are looked for, and only their checksum is believed.

use alloc::vec::Vec;

use super::group::{GROUP_HEADER_BYTES, GroupHeader, RECS};
use super::reader::Source;

/// So much is looked at together.
const CHUNK_BYTES: usize = 64 << 10;

/// The highest position that any group of `source` says is durable; 0 if there is none.
///
/// # Errors
/// What kept the source from being read.
pub fn highest_synced<S: Source>(source: &mut S) -> Result<u64, S::Error> {
    let mut bytes: Vec<u8> = Vec::new();
    let mut highest = 0;
    loop {
        // A header may begin in what is kept and end in what is read.
        let kept = bytes.len();
        bytes.resize(kept + CHUNK_BYTES, 0);
        let count = source.read(&mut bytes[kept..])?;
        bytes.truncate(kept + count);
        if count == 0 {
            return Ok(highest);
        }
        for header in bytes.windows(GROUP_HEADER_BYTES).filter(|window| window.starts_with(&RECS)) {
            let header = header.first_chunk().expect("a window is as long as a header");
            if let Ok(header) = GroupHeader::decode(header) {
                highest = highest.max(header.synced);
            }
        }
        let seen = (bytes.len() + 1).saturating_sub(GROUP_HEADER_BYTES);
        bytes.drain(..seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::group::Link;
    use super::*;

    #[test]
    fn a_header_is_found_wherever_it_stands_and_a_broken_one_is_not_believed() {
        let header = GroupHeader {
            marker: RECS,
            length: 3,
            records: 1,
            payload_crc: 0,
            synced: 77,
            first: 0,
            link: Link::to(b"before"),
        };
        for place in [0, 1, 1_000, CHUNK_BYTES - 20, CHUNK_BYTES, 2 * CHUNK_BYTES - 51] {
            let mut bytes = alloc::vec![b'R'; place];
            bytes.extend_from_slice(&header.encode());
            assert_eq!(highest_synced(&mut bytes.as_slice()), Ok(77), "at {place}");
            bytes.push(0);
            bytes[place + 16] ^= 1;
            assert_eq!(highest_synced(&mut bytes.as_slice()), Ok(0), "at {place}");
        }
    }
}
