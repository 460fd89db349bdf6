//! Runs a scenario once for every combination of swept values: a table with a row for each run, by which sizes are compared.
//!
//! A row has the swept values first, then how many expectations were met and which were missed, then what the run came to: the
//! sums that `AtEnd` expectations know, by the same names with their units behind them, and of each function of a stack how long
//! it bound and what it was short of, the most that any controller of the grid says. What a run does not have stays empty.
//!
//! Every value of every axis is checked before the first run: a mistake in the last one is not found after hours.
//!
//! **Invariant:** the table is a function of the files and the swept values. Runs are shared out to threads, but rows come in the
//! order of the runs.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::machine::Machine;
use r_ems_engine::math::at_least;
use r_ems_scenarios::Overrides;
use r_ems_scenarios::sweep::{Axis, Sweep};
use r_ems_scenarios::totals::{self, Total};
use r_ems_sim::driver::RunResult;

use super::csv::quoted;
use super::load::{self, report_text};
use super::progress::{Interrupt, Shown};
use super::{Finished, Options, Study};
use crate::exit::Failure;
use crate::explore::JOBS_MAX;
use crate::output::State;
use crate::summary::{Ending, FunctionSummary, Summary};

/// What is swept, and how.
#[derive(Clone, Debug)]
pub struct Sweeping<'a> {
    /// The scenario.
    pub file: &'a Path,
    /// What every run changes in it.
    pub overrides: &'a Overrides,
    /// What each run sets besides.
    pub sweep: &'a Sweep,
    /// On so many threads.
    pub jobs: usize,
    /// A wish to end early.
    pub interrupt: Interrupt,
}

/// Who hears of a sweep while it goes on.
pub struct Heard<'a> {
    /// Lines of the table without their ends, the heading first; ends the sweep if nobody reads them any more.
    pub line: &'a mut dyn FnMut(&str) -> Result<State, Failure>,
    /// What somebody should look at, each warning once.
    pub warning: &'a mut dyn FnMut(&str),
}

/// What came of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many rows there are.
    pub rows: usize,
    /// Whether its user ended it before the last.
    pub was_interrupted: bool,
    /// By run: what went wrong there that must not, a bug of R-EMS or of a law.
    pub unsound: Vec<String>,
}

/// What a row says about expectations, behind the swept values.
const EXPECTED: [&str; 4] = ["expectations_met", "expectations_missed", "expectations_not_judged", "missed"];

/// A number of a row.
#[derive(Clone, Debug)]
enum Column {
    /// A sum of a grid.
    Sum { grid: usize, name: String, total: &'static Total },
    /// What a function of a grid's stack did.
    Function { grid: String, function: &'static str, of: OfFunction },
}

/// What is told of a function.
#[derive(Clone, Copy, Debug)]
enum OfFunction {
    BoundFor,
    Missing,
}

/// What one run gives: its cells, by the titles of their columns.
struct Row {
    cells: BTreeMap<String, String>,
    unsound: Option<String>,
    ending: Ending,
}

/// Runs a sweep.
///
/// # Errors
/// A scenario that is wrong with some of the values, before the first run where that can be known; or a run that failed.
pub fn run<F: FunctionSet>(sweeping: &Sweeping<'_>, heard: &mut Heard<'_>) -> Result<Swept, Failure> {
    let titles = checked::<F>(sweeping, heard)?;
    let mut swept = Swept::default();
    let line = titles.iter().map(|title| quoted(title)).collect::<Vec<_>>().join(",");
    if (heard.line)(&line)? == State::Closed {
        return Ok(swept);
    }
    let mut failed = None;
    let mut take = |run: usize, row: Result<Row, Failure>| {
        let told = row.and_then(|row| {
            if row.ending == Ending::Interrupted {
                swept.was_interrupted = true;
                return Ok(State::Closed);
            }
            if let Some(words) = &row.unsound {
                swept.unsound.push(format!("{}: {words}", sweeping.named(run)));
            }
            let cell = |title: &String| row.cells.get(title).map(|cell| quoted(cell)).unwrap_or_default();
            let state = (heard.line)(&titles.iter().map(cell).collect::<Vec<_>>().join(","))?;
            swept.rows += 1;
            Ok(state)
        });
        match told {
            Ok(State::Read) => return ControlFlow::Continue(()),
            Ok(State::Closed) => {}
            Err(failure) => failed = Some(failure),
        }
        // Runs that are under way would come to nothing.
        sweeping.interrupt.ask();
        ControlFlow::Break(())
    };
    in_order(sweeping.jobs, sweeping.sweep.runs(), &|run| sweeping.row::<F>(run), &mut take);
    failed.map_or(Ok(swept), Err)
}

/// Reads the scenario with every value that is swept: the titles of all columns.
fn checked<F: FunctionSet>(sweeping: &Sweeping<'_>, heard: &mut Heard<'_>) -> Result<Vec<String>, Failure> {
    let samples = sweeping.sweep.samples();
    let mut titles: Vec<String> = sweeping.sweep.axes().iter().map(Axis::title).collect();
    titles.extend(EXPECTED.map(str::to_owned));
    let (mut failed, mut warnings) = (None, Vec::new());
    let look = |sample: usize| {
        let loaded = load::load::<F>(sweeping.file, &sweeping.overrides(samples[sample]))?;
        let found: Vec<String> = columns(&loaded.study).iter().map(Column::title).collect();
        Ok((found, report_text(&loaded.warnings)))
    };
    let mut take = |_sample: usize, found: Result<(Vec<String>, String), Failure>| match found {
        Ok((found, warning)) => {
            let is_new = |title: &String| !titles.contains(title);
            let new: Vec<String> = found.into_iter().filter(is_new).collect();
            titles.extend(new);
            if !warning.is_empty() && !warnings.contains(&warning) {
                (heard.warning)(&warning);
                warnings.push(warning);
            }
            ControlFlow::Continue(())
        }
        Err(failure) => {
            failed = Some(failure);
            ControlFlow::Break(())
        }
    };
    in_order(sweeping.jobs, samples.len(), &look, &mut take);
    failed.map_or(Ok(titles), Err)
}

impl Sweeping<'_> {
    /// What a run changes in the scenario.
    fn overrides(&self, run: usize) -> Overrides {
        Overrides { swept: self.sweep.settings(run), ..self.overrides.clone() }
    }

    /// What a run is called: what it sets.
    fn named(&self, run: usize) -> String {
        self.sweep.settings(run).join(", ")
    }

    /// Makes a run.
    fn row<F: FunctionSet>(&self, run: usize) -> Result<Row, Failure> {
        let study = load::load::<F>(self.file, &self.overrides(run))?.study;
        let columns = columns(&study);
        let options =
            Options { progress: Shown::No, interrupt: self.interrupt.clone(), ..Options::default() };
        let finished = super::run(study, &options).map_err(|failure| Failure {
            message: format!("{}: {}", self.named(run), failure.message),
            ..failure
        })?;
        let Finished { summary, result, .. } = &finished;
        let axes = self.sweep.axes().iter().map(Axis::title).zip(self.sweep.cells(run));
        let expected = EXPECTED.into_iter().map(str::to_owned).zip(expected(summary));
        let numbers =
            columns.iter().map(|column| (column.title(), format!("{}", column.value(summary, result))));
        let cells = axes.chain(expected).chain(numbers).collect();
        Ok(Row { cells, unsound: unsound(summary), ending: summary.ending })
    }
}

/// What a row says about expectations.
fn expected(summary: &Summary) -> [String; 4] {
    let all = &summary.expectations;
    let count = |held: Option<bool>| all.iter().filter(|known| known.held == held).count().to_string();
    let missed = all.iter().filter(|known| known.held == Some(false)).map(|known| known.name.as_str());
    [count(Some(true)), count(Some(false)), count(None), missed.collect::<Vec<_>>().join("; ")]
}

/// What must not be, whatever the scenario expects.
fn unsound(summary: &Summary) -> Option<String> {
    let of_plant =
        summary.grids.iter().find_map(|grid| grid.imbalance.clone().or_else(|| grid.beyond_limits.clone()));
    let of_controller = summary.failures.first().map(|first| {
        let words = first.words.as_deref().unwrap_or("an assertion failed");
        format!("controller {} failed an assertion at {}: {words}", first.controller, first.at)
    });
    of_plant.or(of_controller)
}

/// The numbers that a study has, grid by grid.
fn columns<F: FunctionSet>(study: &Study<F>) -> Vec<Column> {
    let mut columns = Vec::new();
    for (grid, (facts, world)) in study.facts.grids.iter().zip(&study.world.grids).enumerate() {
        let sums = totals::of_grid(world, study.facts.tariff.as_ref()).into_iter();
        columns.extend(sums.map(|total| Column::Sum { grid, name: facts.name.clone(), total }));
        let stacks = study.controllers.iter().zip(&study.facts.controllers);
        let mut functions: Vec<&'static str> = Vec::new();
        for (spec, _names) in stacks.filter(|(_, names)| names.grid == facts.name) {
            let machine = Controller::<F>::new(spec);
            for name in machine.composition().slots().iter().map(|slot| slot.law().built_name()) {
                if !functions.contains(&name) {
                    functions.push(name);
                }
            }
        }
        for function in functions {
            let column = |of| Column::Function { grid: facts.name.clone(), function, of };
            columns.extend([OfFunction::BoundFor, OfFunction::Missing].map(column));
        }
    }
    columns
}

impl Column {
    fn title(&self) -> String {
        match self {
            Self::Sum { name, total, .. } => format!("{name}.{}", total.column()),
            Self::Function { grid, function, of: OfFunction::BoundFor } => {
                format!("{grid}.{function}.bound_s")
            }
            Self::Function { grid, function, of: OfFunction::Missing } => {
                format!("{grid}.{function}.short_wh")
            }
        }
    }

    fn value(&self, summary: &Summary, result: &RunResult) -> f64 {
        match self {
            // A zero has no sign here: nothing was lost of nothing.
            Self::Sum { grid, total, .. } => {
                result.grids.get(*grid).map_or(0.0, |grid| total.value(grid)) + 0.0
            }
            Self::Function { grid, function, of } => {
                let of_grid = |name: &str| name.split_once('/').is_some_and(|parts| parts.0 == grid);
                let controllers = summary.controllers.iter().filter(|controller| of_grid(&controller.name));
                let known = controllers.flat_map(|controller| &controller.functions);
                let of_each = known.filter(|known| known.name == *function).map(|known| of.of(known));
                // A standby decides as the active does: what both tell is one thing.
                of_each.fold(0.0, at_least)
            }
        }
    }
}

impl OfFunction {
    fn of(self, function: &FunctionSummary) -> f64 {
        match self {
            Self::BoundFor => function.bound_s,
            Self::Missing => function.short_wh,
        }
    }
}

/// Does `work` for each number below `count` on several threads, and hands what comes of it to `take` in the order of the
/// numbers.
#[expect(clippy::disallowed_methods, reason = "the runs are independent, and each is one deterministic loop")]
fn in_order<T: Send>(
    jobs: usize,
    count: usize,
    work: &(dyn Fn(usize) -> T + Sync),
    take: &mut dyn FnMut(usize, T) -> ControlFlow<()>,
) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    std::thread::scope(|scope| {
        for _job in 0..jobs.clamp(1, JOBS_MAX).min(count) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || sender.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // What came before its turn: no more than there are numbers.
        let mut early = BTreeMap::new();
        let mut due = 0;
        for (number, made) in receiver {
            early.insert(number, made);
            while let Some(made) = early.remove(&due) {
                if take(due, made).is_break() {
                    next.store(count, Ordering::Relaxed);
                    return;
                }
                due += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_threads_make_comes_in_order() {
        for jobs in [1, 2, 7] {
            let mut seen = Vec::new();
            in_order(jobs, 100, &|number| number * number, &mut |number, made| {
                seen.push((number, made));
                ControlFlow::Continue(())
            });
            let expected: Vec<(usize, usize)> = (0..100).map(|number| (number, number * number)).collect();
            assert_eq!(seen, expected, "{jobs} threads");
        }
    }

    #[test]
    fn whoever_takes_may_end_it() {
        let mut seen = Vec::new();
        in_order(3, 1_000, &|number| number, &mut |_number, made| {
            seen.push(made);
            if made == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!(seen, (0..10).collect::<Vec<usize>>());
    }
}
