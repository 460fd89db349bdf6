//! `r-emsctl explain`: why a set-point was what it was, at a moment or at the worst instant of an expectation.
//!
//! The moment is replayed from the log, so the answer is the controller's own state, not a guess. `missed` finds the moment of
//! an expectation.

use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::DeviceIndex;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::points::PointKind;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_replay::Replay;
use serde::Serialize;

use super::args::{Explain, Format};
use super::log_file::LogFile;
use super::missed;
use crate::exit::{Exit, Failure};
use crate::explanation::{Explanation, LOOK_AFTER, explain};
use crate::output::Output;
use crate::present::explanation::page;
use crate::present::style::{BAD, BOLD, DIM, GOOD, paint};
use crate::present::verdict;
use crate::study::recall::Search;
use crate::summary::{DOWN, Due, ExpectationSummary};

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed {
    at: String,
    at_s: f64,
    expectation: Option<ExpectationSummary>,
    explanations: Vec<Explanation>,
}

/// Explains a moment.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Explain,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let log = LogFile::open::<F>(&arguments.log)?;
    let (at, found) = match (&arguments.at, &arguments.missed) {
        (Some(moment), _) => (log.time(moment)?, None),
        (None, Some(name)) => {
            let beside = Search::BesideLog(&arguments.log);
            let search = arguments.scenario_dir.as_deref().map_or(beside, Search::ScenarioDirectory);
            let found = missed::find::<F>(&log, name, search)?;
            let at_s = found.expectation.at_s.unwrap_or_default();
            // A sum is judged where the run ends; the controllers' last word may be a little earlier.
            let at = (Time::ZERO + Span::from_secs_f64(at_s)).min(log.end()?);
            (at, Some(found))
        }
        (None, None) => return Err(Failure::usage("explain needs --at or --missed")),
    };
    let wanted = arguments.point.as_deref().map(|point| find(&log, point)).transpose()?;
    let explanations = explanations::<F>(&log, at, wanted)?;
    let (due, expectation) = found.map(|found| (found.due, found.expectation)).unzip();
    let printed = Printed { at: log.local(at), at_s: at.as_secs_f64(), expectation, explanations };
    match format {
        Format::Json => output.json(&printed)?,
        Format::Human => output.text(&text(&printed, due))?,
    };
    Ok(Exit::Ok)
}

/// A device that a user named by one of its points, and the grid that it is in.
struct Wanted {
    grid: String,
    device: String,
}

fn find(log: &LogFile, point: &str) -> Result<Wanted, Failure> {
    let refuse = |allowed: String| Failure::usage(format!("--point {point}: {allowed}"));
    let form = "expected grid/device or grid/device.point, such as commerce/bess.set_point";
    let (grid, rest) = point.split_once('/').ok_or_else(|| refuse(form.to_owned()))?;
    let (device, kind) = rest.split_once('.').map_or((rest, None), |(device, kind)| (device, Some(kind)));
    let of_grid: Vec<&ControllerNames> =
        log.header.controllers.iter().filter(|names| names.grid == grid).collect();
    let Some(names) = of_grid.first() else {
        let mut known: Vec<&str> = log.header.controllers.iter().map(|names| names.grid.as_str()).collect();
        known.dedup();
        return Err(refuse(format!("there is no grid {grid}; known here: {}", known.join(", "))));
    };
    let Some(found) = names.devices.iter().find(|known| known.name == device) else {
        let known: Vec<&str> = names.devices.iter().map(|device| device.name.as_str()).collect();
        return Err(refuse(format!("there is no device {device}; known here: {}", known.join(", "))));
    };
    let kinds: Vec<&str> = found.class.points().iter().map(|kind: &PointKind| kind.name()).collect();
    if kind.is_some_and(|kind| !kinds.contains(&kind)) {
        return Err(refuse(format!("{device} has no such point; it has {}", kinds.join(", "))));
    }
    if !found.class.is_controlled() {
        return Err(refuse(format!("{device} is only measured; name a device that takes set-points")));
    }
    Ok(Wanted { grid: grid.to_owned(), device: device.to_owned() })
}

/// Replays to the moment and a little further, and asks the controllers.
fn explanations<F: FunctionSet>(
    log: &LogFile,
    at: Time,
    wanted: Option<Wanted>,
) -> Result<Vec<Explanation>, Failure> {
    let failed = |error: r_ems_replay::ReplayError| log.failure(&error);
    let mut replay = Replay::<Controller<F>, _>::open(log.bytes()?).map_err(failed)?;
    replay.run_until(at).map_err(failed)?;
    let reached = replay.result();
    if reached.end.is_some() && reached.at < at {
        return Err(log.ends_before(reached.at, at));
    }
    let then: Vec<Controller<F>> = replay.machines().to_vec();
    let runs: Vec<bool> = (0..then.len()).map(|position| replay.runs(position, at)).collect();
    let clocks: Vec<_> = (0..then.len()).map(|position| replay.clock(position, at)).collect();
    replay.run_until(at + LOOK_AFTER).map_err(failed)?;
    let ended_before = replay.result().end.is_some();
    log.note_torn(replay.result().end);
    if let Some(divergence) = replay.result().divergence {
        return Err(log.diverged(&divergence));
    }
    let mut explanations = Vec::new();
    for (position, machine) in then.iter().enumerate() {
        let names = &log.header.controllers[position];
        if wanted.as_ref().is_some_and(|wanted| wanted.grid != names.grid) {
            continue;
        }
        let device = wanted.as_ref().and_then(|wanted| device(names, &wanted.device));
        let later = if ended_before { None } else { replay.machines().get(position) };
        let now = clocks[position].unwrap_or(LocalTime::ZERO);
        let mut explanation = explain(names, machine, now, later, device);
        if !runs[position] {
            // What it was when it was heard of last is not what it is.
            explanation.role = DOWN;
            explanation.writes = false;
        }
        explanations.push(explanation);
    }
    Ok(explanations)
}

fn device(names: &ControllerNames, wanted: &str) -> Option<DeviceIndex> {
    names.devices.iter().position(|device| device.name == wanted).map(DeviceIndex::of)
}

fn text(printed: &Printed, due: Option<Due>) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, &printed.at));
    if let (Some(expectation), Some(due)) = (&printed.expectation, due) {
        let (word, style) = if expectation.held == Some(true) { ("held", GOOD) } else { ("violated", BAD) };
        let margin = verdict::margin(expectation).unwrap_or_default();
        let instant = verdict::instant(expectation, due);
        let remark = verdict::remark(expectation);
        text += &format!("{}: {}, {margin}; {instant}{remark}\n", expectation.name, paint(style, word));
    }
    text += &paint(DIM, "powers are positive into the bus: discharge, generation, import\n");
    text += "\n";
    for explanation in &printed.explanations {
        text += &page(explanation);
    }
    text
}
