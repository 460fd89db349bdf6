//! The loop of a run in real time, on a thread of its own.
//!
//! ```text
//!     Fleet <-> Contained<Published<SiteDriver>>           a site: its controllers record and pace themselves
//!     Fleet <-> Contained<Published<Flushed<Recorder<Paced<SimDriver>>>>>
//!                 |         |         |       |        └ lets each delivery pass at its time, hands on what is asked for
//!                 |         |         |       └ writes the log, if one is wanted
//!                 |         |         └ and does not let it wait in memory
//!                 |         └ tells the service what happens
//!                 └ confines a panic to its controller
//! ```
//!
//! **Invariant:** nothing that the service or a disk does makes this thread wait: see [`super::feed`], [`r_ems_site::control`]
//! and [`r_ems_site::appender`].

use std::thread::JoinHandle;

use r_ems_engine::Span;
use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::{Fleet, Poisoned};
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{Ending, Header, Scope};
use r_ems_engine::machine::Driver;
use r_ems_replay::Recorder;
use r_ems_replay::recorder::Recorded;
use r_ems_sim::driver::SimDriver;
use r_ems_site::appender::Blocks;
use r_ems_site::control::Controlled;
use r_ems_site::paced::End;
use r_ems_site::site::SiteDriver;
use r_ems_site::{BootClock, Paced, real_time};

use super::feed::Feed;
use super::flushed::Flushed;
use super::published::Published;
use crate::exit::Failure;
use crate::study::contained::{Contained, last_words};

/// So long an end in order may take, from the request to the last controller's stop: a hand-over and a state that is kept.
pub(super) const STOP_PATIENCE: Span = Span::from_secs(10);

/// What a loop is made from.
pub(super) struct Loop<F: FunctionSet> {
    pub(super) world: World,
    pub(super) machines: Vec<Controller<F>>,
    pub(super) feed: Feed,
}

/// What the controllers run in.
pub(super) enum World {
    Simulated(Box<Simulated>),
    Real(Box<SiteDriver>),
}

/// A simulated world, and what paces it.
pub(super) struct Simulated {
    pub(super) driver: SimDriver,
    pub(super) header: Header,
    pub(super) record: Option<Blocks>,
    pub(super) clock: BootClock,
    pub(super) controlled: Controlled,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub(super) struct Ended {
    /// Why.
    pub(super) end: End,
    /// How many controllers had not ended in order, as far as was seen.
    pub(super) living: usize,
    /// How many controllers of a site ended in order without their last state.
    pub(super) unkept: usize,
    /// What was recorded.
    pub(super) recorded: Option<Recorded>,
    /// What the first failed assertion said that the run went on after.
    pub(super) words: Option<String>,
}

impl<F> Loop<F>
where
    F: FunctionSet + Send + 'static,
{
    /// Starts the thread; `over` is done on it when the run has ended, however it did.
    #[expect(
        clippy::disallowed_methods,
        reason = "the loop is this thread's only work, and nothing else decides"
    )]
    pub(super) fn start(
        self,
        over: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<JoinHandle<Result<Ended, Failure>>> {
        std::thread::Builder::new().name("loop".to_owned()).spawn(move || {
            let over = OnDrop(Some(over));
            if let Err(refused) = real_time::ask_for_priority() {
                tracing::warn!("{refused}");
            }
            let ended = self.run();
            drop(over);
            ended
        })
    }

    fn run(self) -> Result<Ended, Failure> {
        let Self { world, machines, feed } = self;
        match world {
            World::Simulated(simulated) => simulated.run(machines, feed),
            World::Real(site) => {
                let (site, _fleet, ended) = turn(*site, machines, feed, SiteDriver::end);
                ended.map(|ended| Ended { unkept: site.unkept(), living: site.unended(), ..ended })
            }
        }
    }
}

impl Simulated {
    fn run<F: FunctionSet>(self, machines: Vec<Controller<F>>, feed: Feed) -> Result<Ended, Failure> {
        let Self { driver, header, record, clock, controlled } = self;
        let paced = Paced::new(driver, clock, controlled, STOP_PATIENCE);
        let Some(blocks) = record else {
            let (_paced, _fleet, ended) = turn(paced, machines, feed, Paced::end);
            return ended;
        };
        let recorder = Recorder::new(paced, blocks, header, Scope::Fleet, &machines);
        let recorder = recorder.map_err(|error| Failure::error(format!("the log cannot begin: {error}")))?;
        let flushed = Flushed::new(recorder);
        let (flushed, fleet, ended) = turn(flushed, machines, feed, |flushed| flushed.driver().end());
        let ending = match &ended {
            Ok(Ended { end: End::InOrder | End::AtOnce, .. }) => Ending::Stopped,
            Ok(Ended { end: End::Over, .. }) => Ending::Over,
            Err(_) => Ending::Poisoned,
        };
        let (_paced, recorded) = flushed.into_recorder().finish(fleet.machines(), ending);
        let recorded = recorded.expect("whoever keeps blocks takes them all");
        Ok(Ended { recorded: Some(recorded), ..ended? })
    }
}

/// Lets a fleet run on `driver` until that is over.
fn turn<D: Driver, F: FunctionSet>(
    driver: D,
    machines: Vec<Controller<F>>,
    feed: Feed,
    end: impl FnOnce(&D) -> End,
) -> (D, Fleet<Controller<F>>, Result<Ended, Failure>) {
    let mut contained = Contained::new(Published::new(driver, feed, machines.len()));
    let mut fleet = Fleet::new(machines);
    let ran = fleet.run(&mut contained);
    let words = contained.words.take();
    let living = contained.inner.living();
    let driver = contained.inner.into_inner();
    let ended = match ran {
        Ok(()) => Ok(Ended { end: end(&driver), living, unkept: 0, recorded: None, words }),
        Err(Poisoned { controller, at }) => Err(Failure::error(format!(
            "controller {controller} failed an assertion {at} after the start: {}; record the run and send its log",
            last_words()
        ))),
    };
    (driver, fleet, ended)
}

/// Does something when it goes, also when a panic takes it.
struct OnDrop<D: FnOnce()>(Option<D>);

impl<D: FnOnce()> Drop for OnDrop<D> {
    fn drop(&mut self) {
        if let Some(deed) = self.0.take() {
            deed();
        }
    }
}
