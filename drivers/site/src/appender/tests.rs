//! Tests of appending, on disks that stand still or fail when they are told to.

use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::*;

/// What is on a disk, and how much of it is durable.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    durable: u64,
    syncs: usize,
}

/// A disk that syncs when it is let, and has room for so many bytes.
struct Disk {
    held: Arc<Mutex<Held>>,
    room: usize,
    lets: Receiver<()>,
    /// Hears how much is durable after each sync.
    hears: Sender<u64>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = self.held.lock().expect("nobody panics");
        let fits = bytes.len().min(self.room - held.bytes.len());
        if fits == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        held.bytes.extend_from_slice(&bytes[..fits]);
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for Disk {
    fn sync(&mut self) -> io::Result<()> {
        // Who lets go of it lets it sync for ever.
        let _let = self.lets.recv();
        let mut held = self.held.lock().expect("nobody panics");
        held.durable = held.bytes.len() as u64;
        held.syncs += 1;
        // Most tests do not listen.
        let _heard = self.hears.send(held.durable);
        Ok(())
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("it is on this disk");
        self.held.lock().expect("nobody panics").bytes.truncate(length);
        Ok(())
    }
}

/// A disk that has room for so many bytes, and makes nothing durable.
struct Broken(usize);

impl Write for Broken {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = bytes.len().min(self.0);
        self.0 -= fits;
        if fits == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(fits) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for Broken {
    fn sync(&mut self) -> io::Result<()> {
        Err(io::Error::other("it does not sync"))
    }

    fn cut(&mut self, _length: u64) -> io::Result<()> {
        Ok(())
    }
}

/// A disk with so much room: who appends to it, what is on it, what lets it sync, and what is heard of that.
fn disk(room: usize) -> (Blocks, Appender, Arc<Mutex<Held>>, SyncSender<()>, Receiver<u64>) {
    let held = Arc::<Mutex<Held>>::default();
    let (lets, is_let) = sync_channel(0);
    let (hears, heard) = channel();
    let disk = Disk { held: Arc::clone(&held), room, lets: is_let, hears };
    let (blocks, appender) = append(disk).expect("a thread");
    (blocks, appender, held, lets, heard)
}

const BLOCK: &[u8] = b"a block.";

#[test]
fn what_was_appended_is_durable_at_the_end() {
    let (mut blocks, appender, held, lets, _heard) = disk(100);
    drop(lets);
    (0..3).for_each(|_| blocks.write_all(BLOCK).expect("that never fails"));
    drop(blocks);
    let appended = appender.end(Duration::MAX);
    assert_eq!((appended.bytes(), appended.cut()), (24, None));
    let held = held.lock().expect("nobody panicked");
    assert_eq!((held.bytes.as_slice(), held.durable), (&BLOCK.repeat(3)[..], 24));
}

#[test]
fn what_waits_is_synced_together() {
    let (mut blocks, appender, held, lets, _heard) = disk(100);
    (0..4).for_each(|_| blocks.write_all(BLOCK).expect("that never fails"));
    drop(blocks);
    // At most the first comes alone.
    lets.send(()).expect("it syncs what came first");
    let _rest = lets.send(());
    drop(lets);
    assert_eq!(appender.end(Duration::MAX).bytes(), 32);
    let held = held.lock().expect("nobody panicked");
    assert!(held.durable == 32 && held.syncs <= 2, "{held:?}");
}

#[test]
fn a_disk_that_stands_still_ends_the_file_with_the_last_block_that_found_room() {
    let (mut blocks, appender, held, lets, heard) = disk(usize::MAX);
    let appended = appender.appended();
    let block = vec![7; 1 << 20];
    // What is being synced has left the queue: there is room for one queue more at most.
    let mut taken = 0;
    while appended.cut().is_none() {
        assert!(taken <= 2 * WAITING_MAX, "it takes no end of blocks");
        blocks.write_all(&block).expect("that never fails");
        taken += block.len() as u64;
    }
    assert_eq!(appended.cut(), Some(&Cut::Behind));
    drop(lets);
    let kept = taken - block.len() as u64;
    assert!(heard.iter().any(|durable| durable == kept), "the last one found no room");
    blocks.write_all(BLOCK).expect("that never fails, and nothing follows a gap");
    drop(blocks);
    let appended = appender.end(Duration::MAX);
    assert_eq!(appended.bytes(), kept);
    assert_eq!(held.lock().expect("nobody panicked").bytes.len() as u64, appended.bytes());
}

#[test]
fn who_ends_does_not_wait_for_a_disk_that_stands_still() {
    let (mut blocks, appender, _held, _lets, _heard) = disk(100);
    blocks.write_all(BLOCK).expect("that never fails");
    drop(blocks);
    let appended = appender.end(Duration::ZERO);
    assert_eq!((appended.bytes(), appended.cut()), (0, Some(&Cut::Behind)));
}

#[test]
fn a_full_disk_ends_the_file_with_the_last_whole_block() {
    let (mut blocks, appender, held, lets, _heard) = disk(20);
    drop(lets);
    (0..5).for_each(|_| blocks.write_all(BLOCK).expect("that never fails"));
    let appended = appender.end(Duration::MAX);
    assert!(matches!(appended.cut(), Some(Cut::Failed(_))), "{appended:?}");
    blocks.write_all(BLOCK).expect("that never fails, later either");
    assert_eq!(appended.bytes(), 16);
    assert_eq!(held.lock().expect("nobody panicked").bytes, BLOCK.repeat(2));
}

#[test]
fn what_could_not_be_synced_is_not_told_as_durable() {
    // The second block fits, or half of it.
    for room in [100, 12] {
        let (mut blocks, appender) = append(Broken(room)).expect("a thread");
        (0..2).for_each(|_| blocks.write_all(BLOCK).expect("that never fails"));
        drop(blocks);
        let appended = appender.end(Duration::MAX);
        assert!(matches!(appended.cut(), Some(Cut::Failed(_))), "{appended:?}");
        assert_eq!(appended.bytes(), 0);
    }
}
