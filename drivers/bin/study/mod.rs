//! A study: a scenario that is run to its end, watched, recorded and summed up.
//!
//! ```text
//!     Fleet <-> Contained<Observed<Progress<Recorder<Sampled<SimDriver>>>>>
//!                 |         |        |        |        └ looks at the plant: curves, table
//!                 |         |        |        └ writes the log; without one, `Digesting` names the run
//!                 |         |        └ shows how far it is, ends it on Ctrl-C
//!                 |         └ counts events and lost points, and makes metrics of them
//!                 └ confines a panic to its delivery
//! ```
//!
//! To repeat a recorded run, [`Repeating`] stands around `Sampled` and compares every delivery with the log.
//!
//! **Invariant:** no layer changes what passes through it. A run has the same digest with and without a log, a table, a
//! terminal, or a user's eyes.

pub mod contained;
pub mod csv;
pub mod load;
pub mod observed;
pub(crate) mod outputs;
pub mod progress;
pub mod recall;
pub mod repeating;
pub mod sampled;
pub mod sweep;

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use r_ems_engine::controller::{Controller, ControllerSpec};
use r_ems_engine::digest::Digest;
use r_ems_engine::fleet::{Fleet, Poisoned};
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{
    ControllerNames, EffectsKept, Ending as LogEnding, Header, ReadError, Reader, Scope,
};
use r_ems_engine::machine::{Driver, Machine};
use r_ems_engine::{Span, Time};
use r_ems_replay::recorder::{RecordError, Recorded};
use r_ems_replay::{Bytes, Digesting, Recorder};
use r_ems_scenarios::Document;
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::world::WorldSpec;

use self::contained::{Contained, Recovering, last_words};
use self::csv::{Frame, Rows};
use self::observed::{Observations, Observed};
use self::outputs::Outputs;
use self::progress::{Interrupt, Progress, Shown, Stopwatch};
use self::repeating::{Departure, Repeating};
use self::sampled::{Curve, Sampled};
use crate::exit::{Failure, WRITTEN};
use crate::metrics::Metrics;
use crate::summary::{Ending, Facts, Remains, Summary, summarize};

/// A scenario that is ready to run.
#[derive(Clone, Debug)]
pub struct Study<F: FunctionSet> {
    /// What a summary needs to know.
    pub facts: Facts,
    /// The world.
    pub world: WorldSpec,
    /// The controllers of the fleet.
    pub controllers: Vec<ControllerSpec<F>>,
    /// By controller: where the connections of its fieldbus lead.
    pub addresses: Vec<Vec<String>>,
    /// The scenario file as it was read, with the run's changes in it: a log explains itself with it.
    pub scenario: Document,
    /// The site file as it was read; empty if the site stands in the scenario.
    pub site: Document,
    /// Every file that was read for it: a run writes over none of them.
    pub inputs: Vec<PathBuf>,
}

/// How a study is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the run is recorded, and how much of its effects is kept.
    pub record: Option<(PathBuf, EffectsKept)>,
    /// Where the table of the plant's truth goes, and the time between two rows.
    pub csv: Option<(PathBuf, Span)>,
    /// Where metrics of what controllers reported go.
    pub metrics: Option<PathBuf>,
    /// Whether progress is shown.
    pub progress: Shown,
    /// A wish to end early.
    pub interrupt: Interrupt,
}

impl Default for Options {
    fn default() -> Self {
        Self { record: None, csv: None, metrics: None, progress: Shown::No, interrupt: Interrupt::default() }
    }
}

/// What a run left behind.
#[derive(Clone, Debug)]
pub struct Finished<F: FunctionSet> {
    /// What people want to know.
    pub summary: Summary,
    /// The run's identity: equal digests are equal runs, bit for bit.
    pub digest: Digest,
    /// The plant's books and the expectations' verdicts.
    pub result: RunResult,
    /// The controllers as they ended.
    pub machines: Vec<Controller<F>>,
    /// What was recorded.
    pub recorded: Option<Recorded>,
}

/// Why a recorded run could not be repeated.
#[derive(Debug)]
pub enum NotRepeated {
    /// The simulation departs from the log at this instant.
    Differs(Time),
    /// The log cannot be read on.
    Unreadable(ReadError<io::Error>),
    /// The run itself failed.
    Failed(Failure),
}

/// Runs a study.
///
/// # Errors
/// A file cannot be written, or must not be written over; or a controller failed an assertion, and the log is then closed
/// with the delivery that did it.
pub fn run<F: FunctionSet>(study: Study<F>, options: &Options) -> Result<Finished<F>, Failure> {
    let Prepared { facts, mut header, machines, world, inputs } = prepare(study)?;
    let Outputs { record: log, csv, metrics } = Outputs::open(options, &inputs)?;
    let end = world.end();
    let rows = match (&options.csv, csv) {
        (Some((path, step)), Some(file)) => Some(Rows::begin(path, file, frame(&facts), *step, &world)),
        (_, _) => None,
    };
    let sampled = Sampled::new(world, facts.grids.len(), rows);
    let mut raced = match (&options.record, log) {
        (Some((path, effects)), Some(file)) => {
            header.effects = *effects;
            record(sampled, (path, file), &header, machines, options, end)?
        }
        (_, _) => {
            let digesting = Digesting::new(sampled, machines.len());
            let driven = drive(digesting, machines, &header.controllers, options, end);
            let digest = driven.driver.digest(&header, driven.fleet.machines());
            driven.into_raced(Digesting::into_driver, digest, None)
        }
    };
    let reported = raced.metrics.take();
    let finished = finish(&facts, raced)?;
    if let (Some(path), Some(mut file), Some(reported)) = (&options.metrics, metrics, reported) {
        let ended = finished.summary.controllers.iter().zip(&finished.machines);
        for (names, (summary, machine)) in facts.controllers.iter().zip(ended) {
            reported.is_now(names, summary.role, machine.redundancy().epoch(), machine.timing());
        }
        let written = file.write_all(reported.to_string().as_bytes());
        written.map_err(|error| Failure::file(path, WRITTEN, &error))?;
    }
    Ok(finished)
}

/// Runs a study that a log was recorded from, as far as the log goes, and compares every delivery with it.
///
/// # Errors
/// [`NotRepeated`] if something else reaches a controller than in the log, or the run fails.
pub fn repeat<F: FunctionSet, R: Read>(
    study: Study<F>,
    log: Reader<Bytes<R>>,
) -> Result<Finished<F>, NotRepeated> {
    let Prepared { facts, header, machines, world, .. } = prepare(study).map_err(NotRepeated::Failed)?;
    let end = world.end();
    let repeating = Repeating::new(Sampled::new(world, facts.grids.len(), None), log);
    let digesting = Digesting::new(repeating, machines.len());
    let driven = drive(digesting, machines, &header.controllers, &Options::default(), end);
    let digest = driven.driver.digest(&header, driven.fleet.machines());
    let mut departure = None;
    let inner = |driver: Digesting<Repeating<R>>| {
        let (sampled, departed) = driver.into_driver().into_parts();
        departure = departed;
        sampled
    };
    let raced = driven.into_raced(inner, digest, None);
    match departure {
        Some(Departure::Differs(at)) => Err(NotRepeated::Differs(at)),
        Some(Departure::Unreadable(error)) => Err(NotRepeated::Unreadable(error)),
        None => finish(&facts, raced).map_err(NotRepeated::Failed),
    }
}

/// What a run begins with.
pub(crate) struct Prepared<F: FunctionSet> {
    pub(crate) facts: Facts,
    pub(crate) header: Header,
    pub(crate) machines: Vec<Controller<F>>,
    pub(crate) world: SimDriver,
    pub(crate) inputs: Vec<PathBuf>,
}

pub(crate) fn prepare<F: FunctionSet>(study: Study<F>) -> Result<Prepared<F>, Failure> {
    let Study { facts, world, controllers, addresses: _, scenario, site, inputs } = study;
    let machines: Vec<Controller<F>> = controllers.iter().map(Controller::new).collect();
    let mut header = Header::new(F::NAMES, facts.controllers.clone());
    header.seed = facts.seed;
    header.start = facts.start;
    header.scenario.clone_from(&facts.scenario);
    (header.scenario_path, header.scenario_text) = (scenario.path().to_owned(), scenario.text().to_owned());
    (header.site_path, header.site_text) = (site.path().to_owned(), site.text().to_owned());
    let world = SimDriver::new(world)
        .map_err(|missing| Failure::error(format!("the world does not fit its links: {missing:?}")))?;
    let world = match &facts.tariff {
        Some(tariff) => world.with_prices(&tariff.prices, tariff.demand_per_kw),
        None => world,
    };
    let world = world.with_persistence::<_, Recovering>(&header, &machines);
    Ok(Prepared { facts, header, machines, world, inputs })
}

fn frame(facts: &Facts) -> Frame {
    let names = |grid: &crate::summary::GridFacts| (grid.name.clone(), grid.components.clone());
    Frame { start: facts.start, offset: facts.offset, grids: facts.grids.iter().map(names).collect() }
}

/// A fleet that has run on some driver.
struct Driven<D, F: FunctionSet> {
    driver: D,
    fleet: Fleet<Controller<F>>,
    poisoned: Option<Poisoned>,
    /// What the first failed assertion said that the run went on after.
    words: Option<String>,
    ending: Ending,
    observations: Observations,
    metrics: Option<Metrics>,
    wall: Duration,
}

/// The same without the driver's type.
struct Raced<F: FunctionSet> {
    sampled: Sampled,
    fleet: Fleet<Controller<F>>,
    poisoned: Option<Poisoned>,
    words: Option<String>,
    ending: Ending,
    observations: Observations,
    metrics: Option<Metrics>,
    wall: Duration,
    digest: Digest,
    recorded: Option<Recorded>,
}

impl<D, F: FunctionSet> Driven<D, F> {
    fn into_raced(
        self,
        inner: impl FnOnce(D) -> Sampled,
        digest: Digest,
        recorded: Option<Recorded>,
    ) -> Raced<F> {
        let Self { driver, fleet, poisoned, words, ending, observations, metrics, wall } = self;
        let sampled = inner(driver);
        Raced { sampled, fleet, poisoned, words, ending, observations, metrics, wall, digest, recorded }
    }
}

/// Runs a fleet on `driver` with everything around it that watches.
fn drive<D: Driver, F: FunctionSet>(
    driver: D,
    machines: Vec<Controller<F>>,
    controllers: &[ControllerNames],
    options: &Options,
    end: Time,
) -> Driven<D, F> {
    let stopwatch = Stopwatch::start();
    let progress = Progress::new(driver, end, options.interrupt.clone(), options.progress);
    let metrics = options.metrics.as_ref().map(|_path| Metrics::new(controllers));
    let mut contained = Contained::new(Observed::new(progress, metrics));
    let mut fleet = Fleet::new(machines);
    let poisoned = fleet.run(&mut contained).err();
    let words = contained.words.take();
    let (progress, observations, metrics) = contained.inner.into_parts();
    let (driver, was_stopped) = progress.into_parts();
    let ending = if was_stopped { Ending::Interrupted } else { Ending::Complete };
    Driven { driver, fleet, poisoned, words, ending, observations, metrics, wall: stopwatch.elapsed() }
}

/// Runs a fleet and records it.
fn record<F: FunctionSet>(
    sampled: Sampled,
    (path, file): (&Path, File),
    header: &Header,
    machines: Vec<Controller<F>>,
    options: &Options,
    end: Time,
) -> Result<Raced<F>, Failure> {
    let failed = |error: &std::io::Error| Failure::file(path, WRITTEN, error);
    let sink = BufWriter::new(file);
    let recorder = Recorder::new(sampled, sink, header.clone(), Scope::Fleet, &machines);
    let recorder = recorder.map_err(|error| match error {
        RecordError::Header(error) => Failure::error(format!("{}: {error}", path.display())),
        RecordError::Sink(error) => failed(&error),
    })?;
    let driven = drive(recorder, machines, &header.controllers, options, end);
    let Driven { driver: recorder, fleet, poisoned, words, ending, observations, metrics, wall } = driven;
    let log_ending = match (poisoned, ending) {
        (Some(_), Ending::Complete | Ending::Interrupted) => LogEnding::Poisoned,
        (None, Ending::Interrupted) => LogEnding::Stopped,
        (None, Ending::Complete) => LogEnding::Over,
    };
    let (sampled, recorded) = recorder.finish(fleet.machines(), log_ending);
    let recorded = recorded.map_err(|error| failed(&error))?;
    let digest = recorded.digest;
    let recorded = Some(recorded);
    Ok(Raced { sampled, fleet, poisoned, words, ending, observations, metrics, wall, digest, recorded })
}

/// Closes all books.
fn finish<F: FunctionSet>(facts: &Facts, raced: Raced<F>) -> Result<Finished<F>, Failure> {
    let Raced { sampled, fleet, poisoned, words, ending, observations, wall, digest, recorded, .. } = raced;
    let (mut world, curves, rows): (SimDriver, Vec<Curve>, _) = sampled.into_parts();
    if let Some(rows) = rows {
        rows.close()?;
    }
    if let Some(Poisoned { controller, at }) = poisoned {
        let (name, local) = (facts.controllers[controller.position()].full(), facts.local(at));
        return Err(Failure::error(format!(
            "controller {name} failed an assertion at {local} ({at} after the start): {}; record the run and send its log",
            last_words()
        )));
    }
    let result = world.finish();
    let machines = fleet.machines().to_vec();
    let remains = Remains {
        ending,
        result: &result,
        machines: &machines,
        observations: &observations,
        first_failure: words,
        curves,
        digest,
        wall,
    };
    let summary = summarize(facts, remains);
    Ok(Finished { summary, digest, result, machines, recorded })
}
