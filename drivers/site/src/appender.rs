//! Appends to a file on a thread of its own: who runs in real time never waits for a disk.
//!
//! Blocks wait in a queue that is bounded in bytes. The thread writes all that wait and then syncs them together, so that a disk
//! that is slow to sync syncs more at once.
//!
//! **Policy when full, and when the disk fails:** the file ends there, with a whole block, and says why; whoever appends goes on,
//! and is neither told nor ended by it. Nothing ever follows a gap.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// So many bytes wait for the disk; with a block beyond them the file ends.
pub const WAITING_MAX: u64 = 16 << 20;

/// What is appended to.
pub trait Medium: Write {
    /// Makes durable what was written.
    ///
    /// # Errors
    /// The disk fails.
    fn sync(&mut self) -> io::Result<()>;

    /// Takes away what stands beyond `length` bytes.
    ///
    /// # Errors
    /// The disk fails.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn sync(&mut self) -> io::Result<()> {
        match self.sync_data() {
            // What keeps nothing, as /dev/null, has nothing to sync.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            synced => synced,
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Why a file ended before whoever appended to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The disk was so far behind that there was no room for more, or no time left at the end.
    Behind,
    /// The disk refused something.
    Failed(String),
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Behind => f.write_str("the disk is too slow, or stands still"),
            Self::Failed(error) => f.write_str(error),
        }
    }
}

/// What both sides share.
#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicU64,
    kept: AtomicU64,
    cut: OnceLock<Cut>,
}

/// The side of who appends: each write is one block, and never fails.
#[derive(Debug)]
pub struct Blocks {
    queue: Sender<Vec<u8>>,
    shared: Arc<Shared>,
}

/// How far a file is, to look at any time.
#[derive(Clone, Debug)]
pub struct Appended(Arc<Shared>);

/// A thread that appends.
#[derive(Debug)]
pub struct Appender {
    shared: Arc<Shared>,
    /// Nothing ever comes: it is closed when the thread ends.
    ended: Receiver<()>,
}

/// Starts to append to `medium`, which is empty.
///
/// # Errors
/// The operating system has no more threads.
#[expect(clippy::disallowed_methods, reason = "it waits for a disk and decides nothing")]
pub fn append<M: Medium + Send + 'static>(medium: M) -> io::Result<(Blocks, Appender)> {
    let (queue, blocks) = channel();
    let (ends, ended) = channel::<()>();
    let shared = Arc::<Shared>::default();
    let of_thread = Arc::clone(&shared);
    std::thread::Builder::new().name("appender".to_owned()).spawn(move || {
        let _ends = ends;
        of_thread.append(&blocks, medium);
    })?;
    Ok((Blocks { queue, shared: Arc::clone(&shared) }, Appender { shared, ended }))
}

impl Write for Blocks {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let Shared { waiting, cut, .. } = &*self.shared;
        let length = block.len() as u64;
        if cut.get().is_some() {
            return Ok(block.len());
        }
        if waiting.fetch_add(length, Ordering::AcqRel) + length > WAITING_MAX {
            // The disk may have failed meanwhile, which says more.
            let _known = cut.set(Cut::Behind);
        } else {
            // A thread that has gone has said why.
            let _sent = self.queue.send(block.to_vec());
        }
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Appended {
    /// So many bytes are durable.
    pub fn bytes(&self) -> u64 {
        self.0.kept.load(Ordering::Acquire)
    }

    /// Why nothing follows, if so.
    pub fn cut(&self) -> Option<&Cut> {
        self.0.cut.get()
    }
}

impl Appender {
    /// How far the file is.
    pub fn appended(&self) -> Appended {
        Appended(Arc::clone(&self.shared))
    }

    /// Waits until all is durable, for a while; whoever appended has ended, else it waits for that too. A disk that takes longer
    /// has cut the file.
    pub fn end(self, patience: Duration) -> Appended {
        if self.ended.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            let _known = self.shared.cut.set(Cut::Behind);
        }
        self.appended()
    }
}

impl Shared {
    /// Appends what comes until nobody is left or the disk fails.
    fn append(&self, blocks: &Receiver<Vec<u8>>, mut medium: impl Medium) {
        let mut whole = 0;
        while let Ok(first) = blocks.recv() {
            let together: Vec<Vec<u8>> = std::iter::once(first).chain(blocks.try_iter()).collect();
            let written: io::Result<()> = together.into_iter().try_for_each(|block| {
                medium.write_all(&block)?;
                whole += block.len() as u64;
                self.waiting.fetch_sub(block.len() as u64, Ordering::AcqRel);
                Ok(())
            });
            if let Err(error) = written {
                let _known = self.cut.set(Cut::Failed(error.to_string()));
                // A disk that fails may refuse this as well: half a block at the end is then told by whoever reads.
                if medium.cut(whole).and_then(|()| medium.sync()).is_ok() {
                    self.kept.store(whole, Ordering::Release);
                }
                return;
            }
            if let Err(error) = medium.sync() {
                // What became of the bytes since the last one that succeeded, nobody knows.
                let _known = self.cut.set(Cut::Failed(error.to_string()));
                return;
            }
            self.kept.store(whole, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests;
