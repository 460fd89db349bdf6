//! The recorder: a driver around a driver that writes each delivery to a log before it is handled.
//!
//! **A full disk is no secret.** When the log cannot be written, the recorder hands out no further delivery: the run ends there
//! and [`Recorder::finish`] returns the error. A run that went on would look recorded and be none. Whoever must go on
//! without a log, as a site must, runs its fleet on the inner driver, which [`Recorder::finish`] gives back.
//!
//! **A failed assertion** leaves a delivery without an outcome. Where the driver lets the others go on, a record says that; else
//! the log ends with that delivery, and its closing record says who failed.
//!
//! **A panic elsewhere**, in the driver or in whoever owns the run, drops the recorder: what has been recorded is written, so
//! that the log is torn but ends with what happened last.

use std::fmt;
use std::io::{self, Write};

use r_ems_engine::digest::Digest;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::log::{ChainPair, Ending, Header, HeaderError, Recording, Scope, identity};
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome, State};

/// Records what passes between a fleet and its driver.
#[derive(Debug)]
pub struct Recorder<D, W: Write> {
    driver: D,
    log: Log<W>,
}

/// The log under way; it writes what it has when it is dropped before it was closed.
#[derive(Debug)]
struct Log<W: Write> {
    header: Header,
    recording: Recording,
    sink: W,
    failed: Option<io::Error>,
    state: LogState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LogState {
    Open,
    Closed,
}

/// What was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Bytes of the log.
    pub bytes: u64,
    /// Records of the log.
    pub records: u64,
    /// How the run ended.
    pub ending: Ending,
    /// The run's digest; the same without a recorder.
    pub digest: Digest,
    /// The final chains by controller of the fleet.
    pub chains: Vec<ChainPair>,
}

/// Why a recording could not begin.
#[derive(Debug)]
pub enum RecordError {
    /// The header is beyond a limit.
    Header(HeaderError),
    /// The log cannot be written.
    Sink(io::Error),
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(error) => error.fmt(f),
            Self::Sink(error) => write!(f, "the log cannot be written: {error}"),
        }
    }
}

impl std::error::Error for RecordError {}

impl<D: Driver, W: Write> Recorder<D, W> {
    /// Begins to record a fleet that stands at `machines` and runs on `driver`.
    ///
    /// # Errors
    /// [`RecordError`] if the header is beyond a limit or the sink does not take its bytes.
    ///
    /// # Panics
    /// If there is not one machine for each controller of the header.
    pub fn new<S: State>(
        driver: D,
        sink: W,
        header: Header,
        scope: Scope,
        machines: &[S],
    ) -> Result<Self, RecordError> {
        let recording = Recording::new(&header, scope, machines).map_err(RecordError::Header)?;
        Self::begin(driver, sink, header, recording)
    }

    /// Begins a later segment of a run, which replays alone. `chains` are those with which the segment before it ended:
    /// [`Recorded::chains`].
    ///
    /// # Errors
    /// As [`Recorder::new`].
    ///
    /// # Panics
    /// If there is not one machine and one pair of chains for each controller of the header.
    pub fn continued<S: State>(
        driver: D,
        sink: W,
        header: Header,
        scope: Scope,
        machines: &[S],
        chains: &[ChainPair],
    ) -> Result<Self, RecordError> {
        let recording =
            Recording::continued(&header, scope, machines, chains).map_err(RecordError::Header)?;
        Self::begin(driver, sink, header, recording)
    }

    fn begin(driver: D, sink: W, header: Header, recording: Recording) -> Result<Self, RecordError> {
        let mut log = Log { header, recording, sink, failed: None, state: LogState::Open };
        log.write().map_err(RecordError::Sink)?;
        Ok(Self { driver, log })
    }

    /// Hands all that was recorded so far to the sink: whoever is cut off then loses only what follows.
    ///
    /// An error ends the run as one of the run does.
    pub fn flush(&mut self) {
        if self.log.failed.is_none() {
            self.log.recording.flush();
            self.log.failed = self.log.write().and_then(|()| self.log.sink.flush()).err();
        }
    }

    /// Ends the log with the states of the fleet's machines, and gives the inner driver back.
    ///
    /// # Errors
    /// The first error that the sink gave, also if it was during the run; the log then ends without a closing record.
    pub fn finish<S: State>(self, machines: &[S], ending: Ending) -> (D, io::Result<Recorded>) {
        let Self { driver, mut log } = self;
        let recorded = log.close(machines, ending);
        (driver, recorded)
    }

    /// The inner driver.
    pub const fn driver(&self) -> &D {
        &self.driver
    }

    /// The inner driver, to be changed.
    pub const fn driver_mut(&mut self) -> &mut D {
        &mut self.driver
    }

    /// What is being recorded: counts and chains.
    pub const fn recording(&self) -> &Recording {
        &self.log.recording
    }
}

impl<W: Write> Log<W> {
    fn close<S: State>(&mut self, machines: &[S], ending: Ending) -> io::Result<Recorded> {
        self.state = LogState::Closed;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let ending = self.recording.close(machines, ending);
        self.write()?;
        self.sink.flush()?;
        let chains = self.recording.chains();
        Ok(Recorded {
            bytes: self.recording.writer().position(),
            records: self.recording.writer().records(),
            ending,
            digest: identity(&self.header, chains, machines),
            chains: chains.as_slice().to_vec(),
        })
    }

    /// Writes the groups that are complete.
    fn write(&mut self) -> io::Result<()> {
        self.sink.write_all(self.recording.writer().out())?;
        self.recording.clear_out();
        Ok(())
    }
}

impl<W: Write> Drop for Log<W> {
    fn drop(&mut self) {
        if self.state == LogState::Closed || self.failed.is_some() {
            return;
        }
        self.recording.flush();
        // Nobody is left to be told: whoever wants to know ends the log with `finish`.
        let _written = self.write().and_then(|()| self.sink.flush());
    }
}

impl<D: Driver, W: Write> Driver for Recorder<D, W> {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        if self.log.failed.is_some() {
            return None;
        }
        let next = self.driver.next();
        if let Some(delivery) = &next {
            self.log.recording.delivery(delivery);
        }
        next
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.log.recording.outcome(outcome);
        if !self.log.recording.writer().out().is_empty()
            && let Err(error) = self.log.write()
        {
            self.log.failed = Some(error);
        }
        self.driver.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        let afterwards = self.driver.failed(failure);
        if afterwards == Afterwards::OthersGoOn {
            self.log.recording.failed(failure.controller);
        }
        afterwards
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}
