//! `r-emsctl explore`: searches for faults that a site does not survive, shrinks what it finds, and saves it as scenarios.
//!
//! Of each property that was broken the run with the lowest number is shrunk. A search that its time or its user ended covers the
//! runs that it made, and says how many.

#![expect(clippy::disallowed_types, reason = "only people see this clock; no run depends on it")]

use std::fs;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use r_ems_engine::Span;
use r_ems_engine::functions::FunctionSet;
use serde::Serialize;

use super::args::{Explore, Format, Report};
use super::kept::{Kept, Outcome};
use crate::exit::{Exit, Failure, WRITTEN};
use crate::explore::distribution::Quantiles;
use crate::explore::saved::{self, quoted};
use crate::explore::{
    self, Explored, Options, Property, Reached, Shrunk, Site, Watch, junit, marks, shrink, swarm,
};
use crate::output::{Output, say};
use crate::present;
use crate::study::load::report_text;
use crate::study::outputs;
use crate::study::progress::{Interrupt, PLAIN_LINE_EVERY};

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed {
    file: String,
    seed: u64,
    runs: u64,
    failures: u64,
    interrupted: bool,
    simulated_s: f64,
    wall_s: f64,
    deliveries: u64,
    length_s: f64,
    marks: Vec<PrintedMark>,
    failover_ms: Quantiles,
    crashed_runs: u64,
    taken_over_runs: u64,
    broken: Vec<Told>,
}

/// A mark, and in how many runs it was reached.
#[derive(Serialize)]
struct PrintedMark {
    name: String,
    runs: u64,
}

/// What is told of a property that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Which.
    pub property: &'static str,
    /// How many runs broke it.
    pub runs: u64,
    /// The one that was shrunk.
    pub run: u64,
    /// What happened there, after shrinking.
    pub words: String,
    /// What is left of its faults, a line each.
    pub faults: Vec<String>,
    /// What is left of what was drawn for its scenario's `set`, a line each.
    pub settings: Vec<String>,
    /// How many faults there were.
    pub faults_before: usize,
    /// Runs that shrinking took.
    pub tries: u32,
    /// How many of them made it simpler.
    pub steps: u32,
    /// Where it was saved.
    pub scenario: Option<String>,
    /// The log of its run.
    pub log: Option<String>,
    /// What could not be saved, though it should be, and why.
    pub unsaved: Option<String>,
}

/// So many runs are made if nobody says how many, or for how long.
const RUNS: u64 = 1_000;

/// Explores.
pub(super) fn perform<F>(arguments: &Explore, format: Format, output: &mut Output) -> Result<Exit, Failure>
where
    F: FunctionSet + Send + Sync,
    F::Spec: Send + Sync,
{
    let interrupt = Interrupt::on_signals()
        .map_err(|error| Failure::error(format!("Ctrl-C cannot be watched: {error}")))?;
    let options = Options {
        seed: arguments.seed.unwrap_or_else(fresh_seed),
        runs: arguments.runs.unwrap_or(if arguments.time.is_some() { u64::MAX } else { RUNS }),
        time: arguments.time.map(wall),
        jobs: arguments.jobs.map_or_else(processors, usize::from),
        interrupt,
    };
    if let Some(Report::Failover) = arguments.report {
        return super::failover::perform::<F>(arguments, &options, format, output);
    }
    let site = Site::<F>::open(&arguments.file, &arguments.set, arguments.length)?;
    if !site.warnings.mistakes.is_empty() {
        say(&report_text(&site.warnings));
    }
    note_cut(arguments.length, site.length);
    if site.length < site.settles {
        let (length, settles) = (site.length, site.settles);
        say(&format!("runs of {length} are too short to see authority come back: that takes {settles} here"));
    }
    if let Some(folder) = &arguments.save {
        saved::prepare(folder)?;
    }
    if let Some(path) = &arguments.junit {
        outputs::probe("--junit", path, &site.inputs)?;
    }
    if arguments.seed.is_none() {
        say(&format!("seed {}", options.seed));
    }
    let found_by = |number| command(arguments, options.seed, number);
    let kept = Kept::new(&site, options.seed, arguments.save.as_deref(), &found_by);
    let progress = Progress::new(&options);
    let watch = Watch { show: &|reached| progress.show(reached), found: &|finding| kept.found(finding) };
    let mut explored = explore::search(&site, &options, &watch)?;
    progress.end();
    let mut told = Vec::new();
    for (property, (runs, finding)) in &explored.findings {
        let case = swarm::draw(&site.facts, site.length, options.seed, finding.number);
        let shrunk = shrink::shrink(&site, &case, &finding.broken, &options.interrupt)?;
        let saved = kept.shrunk(finding.number, &shrunk);
        let before = case.faults.len();
        told.push((*property, tell(*property, *runs, finding.number, &shrunk, before, saved)));
    }
    // What its user ends while it is shrunk is not as small as it gets.
    explored.was_interrupted |= options.interrupt.is_asked();
    let report = arguments.junit.as_ref().map(|path| (path, report(&arguments.file, &explored, &told)));
    let told: Vec<Told> = told.into_iter().map(|entry| entry.1).collect();
    let shown = match format {
        Format::Human => {
            output.text(&present::explore::page(&arguments.file, options.seed, site.length, &explored, &told))
        }
        Format::Json => output.json(&printed(&arguments.file, options.seed, site.length, &explored, told)),
    };
    let reported = report.map_or(Ok(()), |(path, report)| {
        fs::write(path, report).map_err(|error| Failure::file(path, WRITTEN, &error))
    });
    let exit = ended(explored.failures, explored.was_interrupted);
    // Each of both is tried, and that something broke matters more than that it could not be told.
    shown
        .and(reported)
        .map(|()| exit)
        .map_err(|failure| if exit == Exit::Violated { Failure { exit, ..failure } } else { failure })
}

/// Says that runs are shorter than was asked for.
pub(super) fn note_cut(asked: Option<Span>, length: Span) {
    if let Some(asked) = asked.filter(|asked| *asked > length) {
        say(&format!(
            "--length: runs are {length} long and not {asked}: that is the duration of the scenario, which --set duration changes"
        ));
    }
}

/// How a search ends.
pub(super) const fn ended(failures: u64, was_interrupted: bool) -> Exit {
    match (failures, was_interrupted) {
        (0, false) => Exit::Ok,
        (0, true) => Exit::Error,
        (_, true | false) => Exit::Violated,
    }
}

/// What was typed, but for what only shows or saves.
fn command(arguments: &Explore, seed: u64, number: u64) -> String {
    let file = quoted(&arguments.file.to_string_lossy());
    let mut text = format!("r-emsctl explore {file} --seed {seed}");
    if let Some(length) = arguments.length {
        text += &format!(" --length {}", quoted(&length.to_string()));
    }
    for set in &arguments.set {
        text += &format!(" --set {}", quoted(set));
    }
    text + &format!(", run {number}")
}

fn tell(
    property: Property,
    runs: u64,
    run: u64,
    shrunk: &Shrunk,
    faults_before: usize,
    saved: Outcome,
) -> Told {
    let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    Told {
        property: property.name(),
        runs,
        run,
        words: shrunk.broken.to_string(),
        faults: shrunk.case.faults.iter().map(ToString::to_string).collect(),
        settings: shrunk.case.settings.iter().map(ToString::to_string).collect(),
        faults_before,
        tries: shrunk.tries,
        steps: shrunk.steps,
        scenario: saved.scenario.map(path),
        log: saved.log.map(path),
        unsaved: saved.unsaved,
    }
}

fn report(file: &Path, explored: &Explored, told: &[(Property, Told)]) -> String {
    let of = |property: Property| {
        let entry = told.iter().find(|entry| entry.0 == property)?;
        let Told { words, faults, settings, .. } = &entry.1;
        let settings = settings.iter().map(|setting| present::explore::set(setting));
        let needed: Vec<String> = faults.iter().cloned().chain(settings).collect();
        Some(format!("{words}\n{}", needed.join("\n")))
    };
    junit::report(&file.to_string_lossy(), explored, &of)
}

fn printed(file: &Path, seed: u64, length: Span, explored: &Explored, broken: Vec<Told>) -> Printed {
    let marks = marks::names().into_iter().zip(&explored.marks);
    Printed {
        file: file.to_string_lossy().into_owned(),
        seed,
        runs: explored.runs,
        failures: explored.failures,
        interrupted: explored.was_interrupted,
        simulated_s: explored.simulated_s,
        wall_s: explored.wall.as_secs_f64(),
        deliveries: explored.deliveries,
        length_s: length.as_secs_f64(),
        marks: marks.map(|(name, runs)| PrintedMark { name, runs: *runs }).collect(),
        failover_ms: explored.take_overs.quantiles(),
        crashed_runs: explored.crashed,
        taken_over_runs: explored.taken_over,
        broken,
    }
}

/// A seed that nobody has chosen; ten digits are enough to be another one each night.
fn fresh_seed() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as u64 / 1_000 % 10_000_000_000
}

#[expect(clippy::disallowed_methods, reason = "nothing but wall time depends on the number of threads")]
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn wall(span: Span) -> Duration {
    Duration::from_nanos(span.as_nanos())
}

/// Shows how far a search is: a line on a terminal, or one now and then.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    last: Mutex<Instant>,
    runs: u64,
    time: Option<Duration>,
}

/// The time between two changes of the line on a terminal.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
const BAR_LENGTH: u64 = 1_000;

impl Progress {
    pub(super) fn new(options: &Options) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(Some(BAR_LENGTH), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:30} {msg}").expect("the template is a constant");
            bar.set_style(style.progress_chars("━╸ "));
            bar
        });
        Self { bar, last: Mutex::new(Instant::now()), runs: options.runs, time: options.time }
    }

    pub(super) fn show(&self, reached: Reached) {
        let every = if self.bar.is_some() { LOOKS_EVERY } else { PLAIN_LINE_EVERY };
        {
            let mut last = self.last.lock().expect("nobody panics while holding it");
            if last.elapsed() < every {
                return;
            }
            *last = Instant::now();
        }
        let line = present::explore::progress(reached);
        match &self.bar {
            Some(bar) => {
                let by_runs = reached.runs as f64 / self.runs as f64;
                let by_time = self.time.map_or(0.0, |time| reached.wall.as_secs_f64() / time.as_secs_f64());
                let share = if by_runs > by_time { by_runs } else { by_time };
                bar.set_position((share * BAR_LENGTH as f64) as u64);
                bar.set_message(line);
            }
            // Nobody reads a broken standard error; the search goes on.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    pub(super) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::args::{Arguments, Command};
    use super::*;

    #[test]
    fn what_was_typed_is_told_as_a_shell_takes_it() {
        let words = [
            "r-emsctl",
            "explore",
            "my site/x.ron",
            "--length",
            "1 min",
            "--set",
            "a.b=\"1 h\"",
            "--save",
            "f",
        ];
        let arguments = Arguments::read(words.map(Into::into)).expect("they are right");
        let Command::Explore(explore) = arguments.command else { panic!("it is another command") };
        assert_eq!(
            command(&explore, 5, 7),
            "r-emsctl explore 'my site/x.ron' --seed 5 --length '1 min' --set 'a.b=\"1 h\"', run 7"
        );
    }
}
