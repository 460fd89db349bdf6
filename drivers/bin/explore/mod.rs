//! Explores what faults a site survives: random faults over a scenario, checked, and shrunk where something breaks.
//!
//! ```text
//!     seed, number ─> swarm ─> case ─> fault list as text ─> the language ─> world ─> trial: broken, marks, take-overs
//!                      kinds                                                           └ shrink (reduce) ─> saved, a scenario
//! ```
//!
//! - [`site`] is what is explored; [`kinds`] is the list of what can go wrong, [`settings`] that of how things are kept;
//! - [`mod@swarm`] draws a case by its number;
//! - [`trial`] runs one and names the [`mod@property`] that it broke; the checkers themselves are in the simulated world;
//! - [`reduce`] proposes simpler cases, [`mod@shrink`] tries them, from what they have in common (`prefix`) where they can;
//!   [`saved`] writes what is left;
//! - [`distribution`] is how long take-overs took, [`marks`] what was reached;
//! - [`mod@failover`] measures take-overs and nothing else, [`margin`] how far a site is from breaking.
//!
//! **Invariant:** a run is a function of the site, the seed and its number. Runs are shared out to threads, and nothing that is
//! reported, but for wall time, depends on how many there are.
//!
//! **Decision: one generator over the engine's random streams, and a proptest strategy around it.** The other shape, strategies
//! from which a search samples with a seeded runner, makes a run a function of proptest's version; its values shrink element by
//! element without knowing that a window has two ends and that names are no numbers, and its filters against overlaps reject most
//! lists. With our own [`Reducer`] behind its `ValueTree` a property test shrinks as a search does.

pub mod case;
pub mod distribution;
pub mod failover;
pub mod fault;
pub mod junit;
pub mod kinds;
pub mod margin;
pub mod marks;
mod prefix;
pub mod property;
pub mod reduce;
mod running;
pub mod saved;
pub mod settings;
pub mod shrink;
pub mod site;
pub mod swarm;
pub mod trial;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use r_ems_engine::functions::FunctionSet;

pub use self::case::Case;
pub use self::distribution::Distribution;
pub use self::property::Property;
pub use self::reduce::Reducer;
pub use self::shrink::Shrunk;
pub use self::site::Site;
pub use self::trial::{Broken, Trial};

use self::marks::COUNT;
use crate::exit::Failure;
use crate::study::progress::{Interrupt, Stopwatch};

/// Most threads.
pub const JOBS_MAX: usize = 256;

/// What is explored, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// From which all runs are drawn.
    pub seed: u64,
    /// So many runs are made.
    pub runs: u64,
    /// No run begins after this time.
    pub time: Option<Duration>,
    /// On so many threads.
    pub jobs: usize,
    /// A wish to end early.
    pub interrupt: Interrupt,
}

/// A run that broke something.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Its number.
    pub number: u64,
    /// How.
    pub broken: Broken,
}

/// What all runs showed.
#[derive(Clone, Debug, Default)]
pub struct Explored {
    /// How many were made.
    pub runs: u64,
    /// How many of them broke something.
    pub failures: u64,
    /// By property: how many broke it, and the one with the lowest number.
    pub findings: BTreeMap<Property, (u64, Finding)>,
    /// How much time was simulated, in s.
    pub simulated_s: f64,
    /// How many deliveries were handled.
    pub deliveries: u64,
    /// By mark: in how many runs it was reached.
    pub marks: Vec<u64>,
    /// How long take-overs after crashes took.
    pub take_overs: Distribution,
    /// In how many runs a host or a process was to crash.
    pub crashed: u64,
    /// In how many of them a take-over was counted.
    pub taken_over: u64,
    /// How long it took.
    pub wall: Duration,
    /// Whether it was ended early by its user.
    pub was_interrupted: bool,
}

/// How far a search is.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// How many runs were made.
    pub runs: u64,
    /// How many of them broke something.
    pub failures: u64,
    /// How much time was simulated, in s.
    pub simulated_s: f64,
    /// How long it took so far.
    pub wall: Duration,
}

/// Makes the runs of a search; `show` is told after each how far it is.
///
/// # Errors
/// What was drawn is not what the language reads.
pub fn explore<F>(
    site: &Site<F>,
    options: &Options,
    show: &(dyn Fn(Reached) + Sync),
) -> Result<Explored, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    search(site, options, &Watch::showing(show))
}

/// The same, watched: what is found is told as soon as it is, so that it can be kept whatever happens to the search.
///
/// # Errors
/// As [`explore`].
pub fn search<F>(site: &Site<F>, options: &Options, watch: &Watch<'_>) -> Result<Explored, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let draw = |number| swarm::draw(&site.facts, site.length, options.seed, number);
    each(options, watch, &|number| trial::run(site, &draw(number)))
}

/// Who is told of a search while it goes on; by several threads, one after the other.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// After each run: how far it is.
    pub show: &'a (dyn Fn(Reached) + Sync),
    /// When a property is broken for the first time, and again when a run with a lower number breaks it.
    pub found: &'a (dyn Fn(&Finding) + Sync),
}

impl<'a> Watch<'a> {
    /// Shows how far the search is, and nothing else.
    pub fn showing(show: &'a (dyn Fn(Reached) + Sync)) -> Self {
        Self { show, found: &|_finding| {} }
    }
}

/// Runs `run` for each number on several threads and adds up what it shows.
#[expect(clippy::disallowed_methods, reason = "the runs are independent, and each is one deterministic loop")]
pub(crate) fn each(
    options: &Options,
    watch: &Watch<'_>,
    run: &(dyn Fn(u64) -> Result<Trial, Failure> + Sync),
) -> Result<Explored, Failure> {
    let stopwatch = Stopwatch::start();
    let next = AtomicU64::new(0);
    let whole = Mutex::new((Explored { marks: vec![0; COUNT], ..Explored::default() }, None::<Failure>));
    let work = || loop {
        let is_late = options.time.is_some_and(|time| stopwatch.elapsed() >= time);
        if is_late || options.interrupt.is_asked() {
            return;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= options.runs {
            return;
        }
        let trial = run(number);
        let mut whole = whole.lock().expect("nobody panics while adding up");
        match trial {
            Ok(trial) => whole.0.add(number, &trial, watch.found),
            Err(failure) => {
                // One is enough to end all.
                next.store(options.runs, Ordering::Relaxed);
                whole.1 = Some(failure);
                return;
            }
        }
        let Explored { runs, failures, simulated_s, .. } = whole.0;
        (watch.show)(Reached { runs, failures, simulated_s, wall: stopwatch.elapsed() });
    };
    std::thread::scope(|scope| {
        for _job in 0..options.jobs.clamp(1, JOBS_MAX) {
            scope.spawn(work);
        }
    });
    let (mut explored, failure) = whole.into_inner().expect("all threads have ended");
    if let Some(failure) = failure {
        return Err(failure);
    }
    explored.wall = stopwatch.elapsed();
    explored.was_interrupted = options.interrupt.is_asked();
    Ok(explored)
}

impl Explored {
    fn add(&mut self, number: u64, trial: &Trial, found: &dyn Fn(&Finding)) {
        self.runs += 1;
        self.failures += u64::from(!trial.holds());
        self.simulated_s += trial.simulated.as_secs_f64();
        self.deliveries += trial.deliveries;
        for (count, is_reached) in self.marks.iter_mut().zip(trial.marks.0) {
            *count += u64::from(is_reached);
        }
        let has_crash = trial.marks.has_crash();
        self.crashed += u64::from(has_crash);
        self.taken_over += u64::from(has_crash && !trial.take_overs.is_empty());
        trial.take_overs.iter().for_each(|span| self.take_overs.add(*span));
        for broken in &trial.broken {
            let finding = Finding { number, broken: broken.clone() };
            match self.findings.entry(broken.property) {
                Entry::Vacant(entry) => {
                    found(&finding);
                    entry.insert((1, finding));
                }
                Entry::Occupied(mut entry) => {
                    let (runs, first) = entry.get_mut();
                    *runs += 1;
                    if number < first.number {
                        found(&finding);
                        *first = finding;
                    }
                }
            }
        }
    }
}
