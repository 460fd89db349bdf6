//! A file in blocks: what processes see of it, and what would be there after a power failure.

use alloc::boxed::Box;
use alloc::vec::Vec;

use r_ems_engine::rng::Stream;

/// What a disk writes at once, if nothing tears it.
pub const BLOCK_BYTES: usize = 4096;
/// What a disk writes at once in any case.
const SECTOR_BYTES: usize = 512;

/// The bytes of one block.
type Bytes = Box<[u8; BLOCK_BYTES]>;

/// One file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    blocks: Vec<Block>,
    length: usize,
    durable_length: usize,
    /// The length that the disk called durable when it lied.
    lied_length: usize,
    spoiled: Spoiled,
}

/// Whether a file holds something else than was called durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Spoiled {
    #[default]
    No,
    /// It does on the platter, but has been written anew as a whole.
    Rewritten,
    Yes,
}

#[derive(Clone, Debug)]
struct Block {
    /// What processes see.
    seen: Bytes,
    /// What the platter holds; `None`: nothing was ever written there.
    platter: Option<Bytes>,
    /// The number of the last write, until a sync has taken it away.
    dirty: Option<u64>,
    /// Whether the disk said that it is durable, and it is not.
    is_lied: bool,
}

/// What a power failure does beside losing what was not durable.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tearing {
    /// Whether a block may be written in part.
    pub(super) tears: bool,
}

impl Block {
    fn new() -> Self {
        Self { seen: Box::new([0; BLOCK_BYTES]), platter: None, dirty: None, is_lied: false }
    }

    fn is_durable(&self) -> bool {
        self.platter.as_ref() == Some(&self.seen)
    }

    /// Loses what was not durable, or by chance does not; says whether something was lost that the disk had called durable.
    fn crash(&mut self, stream: &mut Stream, tearing: Tearing) -> bool {
        let survives = self.dirty.take().is_some() && stream.chance(1, 2);
        if survives {
            let mut platter = self.platter.take().unwrap_or_else(|| Box::new([0; BLOCK_BYTES]));
            let sectors = (BLOCK_BYTES / SECTOR_BYTES) as u64;
            let written = if tearing.tears { stream.below(sectors + 1) } else { sectors } as usize;
            let end = written * SECTOR_BYTES;
            platter[..end].copy_from_slice(&self.seen[..end]);
            self.platter = Some(platter);
        }
        // Whatever was written later stands on what was lied about.
        let is_broken = core::mem::take(&mut self.is_lied) && !self.is_durable();
        match &self.platter {
            Some(platter) => self.seen.copy_from_slice(&platter[..]),
            None => self.seen.fill(0),
        }
        is_broken
    }
}

impl File {
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    pub(super) fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// How many more blocks a write needs.
    pub(super) fn needs(&self, offset: usize, bytes: usize) -> usize {
        (offset + bytes).div_ceil(BLOCK_BYTES).saturating_sub(self.blocks.len())
    }

    /// Changes what processes see.
    pub(super) fn write(&mut self, offset: usize, bytes: &[u8], number: u64) {
        let end = offset + bytes.len();
        if self.spoiled == Spoiled::Yes && offset == 0 && end >= self.length {
            self.spoiled = Spoiled::Rewritten;
        }
        while self.blocks.len() * BLOCK_BYTES < end {
            self.blocks.push(Block::new());
        }
        for (place, byte) in (offset..).zip(bytes) {
            let block = &mut self.blocks[place / BLOCK_BYTES];
            block.seen[place % BLOCK_BYTES] = *byte;
            block.dirty = Some(number);
        }
        self.length = self.length.max(end);
    }

    /// Reads what processes see.
    pub(super) fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let count = self.length.saturating_sub(offset).min(into.len());
        for (place, byte) in (offset..).zip(&mut into[..count]) {
            *byte = self.blocks[place / BLOCK_BYTES].seen[place % BLOCK_BYTES];
        }
        count
    }

    /// Makes everything durable that was written up to `number`.
    pub(super) fn sync(&mut self, number: u64) {
        for block in &mut self.blocks {
            if block.dirty.is_some_and(|written| written <= number) {
                (block.dirty, block.is_lied) = (None, false);
                block.platter = Some(block.seen.clone());
            }
        }
        self.durable_length = self.length;
        if self.spoiled == Spoiled::Rewritten && self.blocks.iter().all(Block::is_durable) {
            self.spoiled = Spoiled::No;
        }
    }

    /// A sync that failed: what was to be written is no longer waiting, and is not on the platter.
    pub(super) fn fail_sync(&mut self) {
        for block in &mut self.blocks {
            block.dirty = None;
        }
    }

    /// Says that all is durable and does nothing.
    pub(super) fn lie(&mut self) {
        for block in &mut self.blocks {
            block.is_lied |= block.dirty.take().is_some();
        }
        self.lied_length = self.length;
    }

    /// Loses what was not durable, but for what reached the platter by chance; how many lies came true.
    pub(super) fn crash(&mut self, stream: &mut Stream, tearing: Tearing) -> u64 {
        let broken = self.blocks.iter_mut().map(|block| block.crash(stream, tearing));
        let mut lies = broken.filter(|is_broken| *is_broken).count() as u64;
        if self.length != self.durable_length && stream.chance(1, 2) {
            self.length = self.durable_length;
            lies += u64::from(self.lied_length > self.length);
            self.blocks.truncate(self.length.div_ceil(BLOCK_BYTES));
        }
        (self.durable_length, self.lied_length) = (self.length, 0);
        if lies > 0 || self.spoiled == Spoiled::Rewritten {
            self.spoiled = Spoiled::Yes;
        }
        lies
    }

    /// Changes one bit of what lies on the platter, if anything does; whether it did.
    pub(super) fn rot(&mut self, stream: &mut Stream) -> bool {
        if self.durable_length == 0 {
            return false;
        }
        let place = stream.below(self.durable_length as u64) as usize;
        let block = &mut self.blocks[place / BLOCK_BYTES];
        let Some(platter) = block.platter.as_mut().filter(|_platter| block.dirty.is_none()) else {
            return false;
        };
        platter[place % BLOCK_BYTES] ^= 1 << stream.below(8);
        block.seen.copy_from_slice(&platter[..]);
        self.spoiled = Spoiled::Yes;
        true
    }

    /// Puts another block's bytes where they do not belong; whether there was a block.
    pub(super) fn overwrite(&mut self, bytes: &[u8; BLOCK_BYTES], stream: &mut Stream) -> bool {
        if self.blocks.is_empty() {
            return false;
        }
        let place = stream.below(self.blocks.len() as u64) as usize;
        let block = &mut self.blocks[place];
        block.seen.copy_from_slice(bytes);
        block.platter = Some(block.seen.clone());
        self.spoiled = Spoiled::Yes;
        true
    }

    /// Whether it may hold something else than was called durable.
    pub(super) fn is_spoiled(&self) -> bool {
        self.spoiled != Spoiled::No
    }

    /// The bytes of a block that waits to be written, chosen by chance.
    pub(super) fn any_dirty(&self, stream: &mut Stream) -> Option<Bytes> {
        let dirty: Vec<&Block> = self.blocks.iter().filter(|block| block.dirty.is_some()).collect();
        if dirty.is_empty() {
            return None;
        }
        Some(dirty[stream.below(dirty.len() as u64) as usize].seen.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In so many crashes each chance has come.
    const SEEDS: u64 = 64;

    #[test]
    fn a_file_that_rots_is_spoiled_until_it_is_whole_again_on_the_platter() {
        let mut file = File::default();
        file.write(0, &[1; 100], 1);
        file.sync(1);
        assert!(!file.is_spoiled() && file.rot(&mut Stream::new(1, 0)) && file.is_spoiled());
        file.write(0, &[2; 99], 2);
        file.sync(2);
        assert!(file.is_spoiled(), "a byte is as it was");
        file.write(0, &[3; 100], 3);
        file.crash(&mut Stream::new(1, 0), Tearing::default());
        file.sync(3);
        assert!(file.is_spoiled(), "it had not been synced before");
        file.write(0, &[3; 100], 4);
        file.sync(4);
        assert!(!file.is_spoiled());
    }

    /// A file of which 100 bytes are durable; 100 more were called durable by a lie, and then 50 were written.
    fn built_on_a_lie() -> File {
        let mut file = File::default();
        file.write(0, &[1; 100], 1);
        file.sync(1);
        file.write(100, &[2; 100], 2);
        file.lie();
        file.write(200, &[3; 50], 3);
        file
    }

    #[test]
    fn a_lie_is_told_of_wherever_a_crash_loses_what_it_was_about() {
        for tears in [false, true] {
            let mut outcomes = [0; 2];
            for seed in 0..SEEDS {
                let mut file = built_on_a_lie();
                let lies = file.crash(&mut Stream::new(seed, 0), Tearing { tears });
                let mut bytes = [0; 200];
                let is_lost = file.read(0, &mut bytes) < 200 || bytes[100..] != [2; 100];
                assert!(!is_lost || lies > 0, "seed {seed}: lost, and nobody says so");
                outcomes[usize::from(is_lost)] += 1;
            }
            assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
        }
    }

    #[test]
    fn what_an_honest_sync_made_durable_is_no_lie_any_more() {
        for seed in 0..SEEDS {
            let mut file = built_on_a_lie();
            file.sync(3);
            file.write(250, &[4; 50], 4);
            assert_eq!(file.crash(&mut Stream::new(seed, 0), Tearing::default()), 0, "seed {seed}");
        }
    }
}
