//! Runs a log again: to its end, or up to any instant, where the machines can be asked what they know.

use std::fmt;
use std::io::{self, Read};

use r_ems_engine::digest::Digest;
use r_ems_engine::fleet::{Fleet, Poisoned};
use r_ems_engine::log::{
    BEHAVIOR, Content, ENGINE_VERSION, End, Header, ReadError, Reader, Status, codec, identity,
};
use r_ems_engine::{LocalTime, Span, Time};

use crate::compatibility::{Compatibility, OtherFunctions, Replayable};
use crate::divergence::{Divergence, engine_name};
use crate::driver::{ReplayDriver, Stop};
use crate::observed::{Observed, Observer};
use crate::source::Bytes;

/// A wake that is later than this does not come: far more than a host that runs is late, or its clock wrong in between.
const LATENESS_MAX: Span = Span::from_millis(100);

/// A log that is being run again.
pub struct Replay<M, R> {
    fleet: Fleet<M>,
    driver: ReplayDriver<R>,
    poisoned: Option<Poisoned>,
    divergence: Option<Box<Divergence>>,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The first difference; `None`: the run was repeated bit for bit as far as the log goes.
    pub divergence: Option<Box<Divergence>>,
    /// How many deliveries were handled.
    pub deliveries: u64,
    /// The run's time of the last one.
    pub at: Time,
    /// How the log ended; `None` if the replay ended before it.
    pub end: Option<End>,
    /// The digest of the run as replayed.
    pub digest: Digest,
    /// Whether log and program are of one version.
    pub compatibility: Compatibility,
    /// The first reported event that differs, if log and program are of different versions: then it is no divergence.
    pub event_difference: Option<Box<Divergence>>,
    /// Who failed an assertion, as the log says.
    pub poisoned: Option<Poisoned>,
}

/// Why a log cannot be replayed.
#[derive(Debug)]
pub enum ReplayError {
    /// It cannot be read.
    Read(ReadError<io::Error>),
    /// It ends before the state of each controller: its run was stopped at once.
    Empty,
    /// Something stands before the state of each controller.
    NoState,
    /// Its program had other functions.
    Functions(OtherFunctions),
    /// A state is of another program: other functions, or another version; or it was changed.
    State {
        /// Whose state.
        controller: String,
        /// The engine that wrote it.
        logged_by: String,
        /// The engine that cannot read it.
        replayed_by: String,
    },
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Empty => {
                f.write_str("the run was stopped before its first block was written; nothing can be replayed")
            }
            Self::NoState => f.write_str("the log does not begin with the state of each controller"),
            Self::Functions(other) => other.fmt(f),
            Self::State { controller, logged_by, replayed_by } if logged_by == replayed_by => write!(
                f,
                "the state of {controller} cannot be read, though {logged_by} wrote it: it has a value that no controller has; \
                 the log was changed, or a function's state is another one in the program that recorded it"
            ),
            Self::State { controller, logged_by, replayed_by } => write!(
                f,
                "the state of {controller} was written by {logged_by} and cannot be read by {replayed_by}: \
                 use the program that recorded it"
            ),
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<ReadError<io::Error>> for ReplayError {
    fn from(error: ReadError<io::Error>) -> Self {
        Self::Read(error)
    }
}

/// Runs a whole log again.
///
/// # Errors
/// [`ReplayError`] if the log cannot be read or its states are of another program. A difference is no error:
/// [`Replayed::divergence`].
pub fn replay<M: Replayable, R: Read>(log: R) -> Result<Replayed, ReplayError> {
    let mut replay = Replay::<M, R>::open(log)?;
    replay.run_until(Time::MAX)?;
    Ok(replay.result())
}

/// Runs a log again up to and including the deliveries at `until`, and hands out the fleet as it was then.
///
/// # Errors
/// [`ReplayError`] as for [`replay`].
pub fn replay_until<M: Replayable, R: Read>(log: R, until: Time) -> Result<Replay<M, R>, ReplayError> {
    let mut replay = Replay::open(log)?;
    replay.run_until(until)?;
    Ok(replay)
}

impl<M: Replayable, R: Read> Replay<M, R> {
    /// Opens a log and makes its machines from their states.
    ///
    /// # Errors
    /// [`ReplayError`] if the log cannot be read, or its functions or a state are of another program.
    pub fn open(log: R) -> Result<Self, ReplayError> {
        let mut reader = Reader::open(Bytes(log))?;
        if let Some(other) = OtherFunctions::find(&reader.header().functions, M::FUNCTIONS) {
            return Err(ReplayError::Functions(other));
        }
        let mut machines: Vec<Option<M>> = vec![None; reader.header().controllers.len()];
        while machines.iter().any(Option::is_none) {
            match reader.advance()? {
                Status::Ended(_) => return Err(ReplayError::Empty),
                Status::Record => {}
            }
            let record = reader.record();
            let position = record.controller.position();
            match record.content {
                Content::State(bytes) => match codec::decode(bytes) {
                    Ok(machine) => machines[position] = Some(machine),
                    Err(codec::Undecodable) => return Err(undecodable(reader.header(), position)),
                },
                Content::Carried { .. } => {}
                Content::Delivery { .. }
                | Content::Event(_)
                | Content::Effects { .. }
                | Content::Chains(_)
                | Content::Closing(_)
                | Content::Crashed => return Err(ReplayError::NoState),
            }
        }
        let machines: Option<Vec<M>> = machines.into_iter().collect();
        let fleet = Fleet::new(machines.ok_or(ReplayError::NoState)?);
        let driver = ReplayDriver::new(reader);
        Ok(Self { fleet, driver, poisoned: None, divergence: None })
    }

    /// Runs on up to and including the deliveries at `until`, or to the log's end or the first difference.
    ///
    /// # Errors
    /// [`ReplayError`] if the log cannot be read on.
    pub fn run_until(&mut self, until: Time) -> Result<(), ReplayError> {
        self.run_until_observed(until, &mut ())
    }

    /// The same, and lets somebody see it.
    ///
    /// # Errors
    /// As [`Replay::run_until`].
    pub fn run_until_observed<O: Observer>(
        &mut self,
        until: Time,
        observer: &mut O,
    ) -> Result<(), ReplayError> {
        if self.divergence.is_some() || self.poisoned.is_some() {
            return Ok(());
        }
        self.driver.run_until(until);
        match self.fleet.run(&mut Observed { driver: &mut self.driver, observer }) {
            Ok(()) => {}
            Err(poisoned) => {
                self.poisoned = Some(poisoned);
                self.driver.compare_failure(poisoned);
            }
        }
        if self.driver.end().is_some() && !self.driver.has_stopped() {
            self.driver.compare_states(self.fleet.machines());
        }
        match self.driver.take_stop() {
            None => Ok(()),
            Some(Stop::Unreadable(error)) => Err(error.into()),
            Some(Stop::Diverged(divergence)) => {
                self.divergence = Some(divergence);
                Ok(())
            }
        }
    }

    /// What the replay has come to.
    pub fn result(&self) -> Replayed {
        Replayed {
            divergence: self.divergence.clone(),
            deliveries: self.driver.deliveries(),
            at: self.driver.at(),
            end: self.driver.end(),
            digest: identity(self.driver.header(), self.driver.chains(), self.fleet.machines()),
            compatibility: Compatibility::of(self.driver.header()),
            event_difference: self.driver.event_difference().cloned().map(Box::new),
            poisoned: self.poisoned,
        }
    }

    /// The machines as they are now.
    pub fn machines(&self) -> &[M] {
        self.fleet.machines()
    }

    /// Whether a controller runs at `at`, up to which the log was run: one that wanted to be woken before, and was not, is
    /// down, or its host stands still. What it knew is then not what is.
    pub fn runs(&self, controller: usize, at: Time) -> bool {
        let Some((last_at, now, Some(deadline))) = self.driver.last(controller) else { return true };
        at.since(last_at) <= deadline.since(now) + LATENESS_MAX
    }

    /// What a controller's own clock showed at `at`, up to which the log was run, if it went on since the controller was last
    /// heard of; nothing before that.
    pub fn clock(&self, controller: usize, at: Time) -> Option<LocalTime> {
        let (last_at, now, _deadline) = self.driver.last(controller)?;
        Some(now + at.since(last_at))
    }

    /// What the log says about itself.
    pub const fn header(&self) -> &Header {
        self.driver.header()
    }

    /// Who failed an assertion, if the log ends with one.
    pub const fn poisoned(&self) -> Option<Poisoned> {
        self.poisoned
    }

    /// The driver: counts and positions.
    pub const fn driver(&self) -> &ReplayDriver<R> {
        &self.driver
    }
}

fn undecodable(header: &Header, position: usize) -> ReplayError {
    ReplayError::State {
        controller: header.controllers[position].full(),
        logged_by: engine_name(&header.engine, header.behavior),
        replayed_by: engine_name(ENGINE_VERSION, BEHAVIOR),
    }
}
