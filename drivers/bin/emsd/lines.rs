//! Lines on their way to standard error, which a thread of their own writes: who says something never waits for who reads it.
//!
//! **Policy when full:** a line for which there is no room is lost, and so is one that cannot be written because whoever read has
//! gone. Lost lines are counted, and told once a line could be written again.
//!
//! The thread of tracing-appender is no help here: whoever ends it says on standard error that it did not end in time, and waits
//! for who does not read.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many lines wait to be written; one more is lost.
const LINES_MAX: usize = 1_024;

/// Lines that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Oldest first; the one that is being written stands there as an empty one.
    waiting: Mutex<VecDeque<Vec<u8>>>,
    changed: Condvar,
    lost: AtomicU64,
}

impl Lines {
    /// Starts the thread that writes to `sink`; it `tells` how many lines were lost. It ends with the process.
    ///
    /// # Errors
    /// The operating system has no more threads.
    #[expect(clippy::disallowed_methods, reason = "it writes what was said and decides nothing")]
    pub(super) fn to(
        sink: impl Write + Send + 'static,
        tells: impl Fn(u64) + Send + 'static,
    ) -> io::Result<Arc<Self>> {
        let lines = Arc::new(Self::default());
        let written = Arc::clone(&lines);
        std::thread::Builder::new().name("lines".to_owned()).spawn(move || written.write_to(sink, tells))?;
        Ok(lines)
    }

    /// How many lines were lost.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until all lines are written, for a while.
    pub(super) fn settle(&self, patience: Duration) {
        // What is not written by then is lost with the process.
        let _settled = self.changed.wait_timeout_while(self.waiting(), patience, |lines| !lines.is_empty());
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// The oldest line, once there is one.
    fn oldest(&self) -> Vec<u8> {
        let waited = self.changed.wait_while(self.waiting(), |lines| lines.is_empty());
        let mut lines = waited.unwrap_or_else(PoisonError::into_inner);
        lines.front_mut().map(std::mem::take).unwrap_or_default()
    }

    fn write_to(&self, mut sink: impl Write, tells: impl Fn(u64)) {
        let mut told = 0;
        loop {
            let line = self.oldest();
            let written = sink.write_all(&line).and_then(|()| sink.flush());
            let is_lost = written.is_err();
            if is_lost {
                self.lose();
            }
            // Whoever waits for this line then knows what became of it.
            self.waiting().pop_front();
            self.changed.notify_all();
            if !is_lost && self.lost() > told {
                told = self.lost();
                tells(told);
            }
        }
    }
}

impl Write for &Lines {
    /// Takes a whole line, or loses it: that is no error of whoever says it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut lines = self.waiting();
        if lines.len() < LINES_MAX {
            lines.push_back(line.to_vec());
            self.changed.notify_all();
        } else {
            self.lose();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

    use super::*;

    /// A reader that takes a line whenever the test receives one, or has gone with its receiver.
    struct Reader(SyncSender<Vec<u8>>);

    impl Write for Reader {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.send(line.to_vec()).map_err(|_gone| io::ErrorKind::BrokenPipe)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Lines, who reads them, and what is told of lost ones.
    fn lines() -> (Arc<Lines>, Receiver<Vec<u8>>, Receiver<u64>) {
        let (sender, reader) = sync_channel(0);
        let (tells, told): (Sender<u64>, _) = channel();
        let tell = move |lost| {
            // Nobody may listen any more when the test is over.
            let _sent = tells.send(lost);
        };
        (Lines::to(Reader(sender), tell).expect("a thread"), reader, told)
    }

    #[test]
    fn who_does_not_read_keeps_nobody_from_saying_and_is_told_what_was_lost() {
        let (lines, reader, told) = lines();
        for number in 0..LINES_MAX + 3 {
            (&*lines).write_all(format!("{number}").as_bytes()).expect("that never fails");
        }
        assert_eq!(lines.lost(), 3);
        lines.settle(Duration::ZERO);
        for number in 0..LINES_MAX {
            assert_eq!(reader.recv(), Ok(format!("{number}").into_bytes()));
        }
        assert_eq!(told.recv(), Ok(3));
        lines.settle(Duration::MAX);
        assert!(lines.waiting().is_empty());
    }

    #[test]
    fn who_has_gone_keeps_nobody_from_saying() {
        let (lines, reader, told) = lines();
        drop(reader);
        (&*lines).write_all(b"nobody hears it\n").expect("that never fails");
        lines.settle(Duration::MAX);
        assert_eq!(lines.lost(), 1);
        assert!(told.try_recv().is_err(), "nobody is there to be told");
    }
}
