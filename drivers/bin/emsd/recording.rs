//! The log of a run in real time: a new file, kept by a thread of its own, and what is told of it.
//!
//! **Invariant:** a log never ends the run that it is of. One that its disk does not take ends there, and the run goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use r_ems_replay::recorder::Recorded;
use r_ems_site::appender::{Appended, Appender, Blocks, append};

use crate::api::LogStatus;
use crate::exit::{Exit, Failure};
use crate::study::outputs::open_new;

/// So long a disk may take for what waits for it when the run has ended.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// A log that is kept.
pub(super) struct Log {
    path: PathBuf,
    appender: Appender,
}

/// How far a log is, to look at any time.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    path: PathBuf,
    appended: Appended,
}

/// Begins a log, and with it the thread that keeps it; `inputs` are the files that the run reads.
///
/// # Errors
/// The file cannot be made, or holds something.
pub(super) fn begin(path: &Path, inputs: &[PathBuf]) -> Result<(Blocks, Log), Failure> {
    let file = open_new("--record", path, inputs)?;
    let failed = |error| Failure::error(format!("{}: cannot be kept: {error}", path.display()));
    let (blocks, appender) = append(file).map_err(failed)?;
    Ok((blocks, Log { path: path.to_owned(), appender }))
}

impl Log {
    /// What can be looked at.
    pub(super) fn kept(&self) -> Kept {
        Kept { path: self.path.clone(), appended: self.appender.appended() }
    }

    /// Waits for the disk, for a while: how far it came.
    pub(super) fn end(self) -> Kept {
        let Self { path, appender } = self;
        Kept { path, appended: appender.end(DISK_PATIENCE) }
    }
}

impl Kept {
    /// What is told of it.
    pub(super) fn status(&self) -> LogStatus {
        LogStatus {
            path: self.path.display().to_string(),
            bytes: self.bytes(),
            cut: self.appended.cut().map(ToString::to_string),
        }
    }

    /// So many bytes of it are durable.
    pub(super) fn bytes(&self) -> u64 {
        self.appended.bytes()
    }

    /// Whether it ended before the run.
    pub(super) fn is_cut(&self) -> bool {
        self.appended.cut().is_some()
    }

    /// Says that it ended before the run, if it did, and whether.
    pub(super) fn tell_cut(&self) -> bool {
        let cut = self.appended.cut();
        if let Some(cut) = cut {
            let (path, bytes) = (self.path.display(), self.bytes());
            tracing::error!(
                "{path}: the log ends before the run, after {bytes} bytes: {cut}; what is there replays"
            );
        }
        cut.is_some()
    }

    /// Says what became of it when the run has ended.
    pub(super) fn tell_end(&self, recorded: &Recorded) -> Exit {
        if self.tell_cut() {
            return Exit::Error;
        }
        let Recorded { bytes, records, digest, .. } = recorded;
        tracing::info!("the log is closed: {records} records, {bytes} bytes, digest {digest}");
        Exit::Ok
    }
}
