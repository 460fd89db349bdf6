//! `r-emsctl explain`: why a set-point was what it was, at a moment or at the worst instant of an expectation.
//!
//! The moment is replayed from the log, so the answer is the controller's own state, not a guess. **An expectation is about
//! the plant, and no log holds the plant:** for `--missed` the scenario that the log names is simulated again up to where the
//! log ends. That is refused if the scenario has changed, and the new run must agree with the log's bit for bit.

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
use crate::exit::{Exit, Failure};
use crate::explanation::{Explanation, LOOK_AFTER, explain};
use crate::output::Output;
use crate::present::explanation::page;
use crate::present::style::{BAD, BOLD, DIM, GOOD, paint};
use crate::present::text::quantity;
use crate::study;
use crate::summary::ExpectationSummary;

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
    let (at, expectation) = match (&arguments.at, &arguments.missed) {
        (Some(moment), _) => (log.time(moment)?, None),
        (None, Some(name)) => {
            let found = worst::<F>(&log, name)?;
            (Time::ZERO + Span::from_secs_f64(found.at_s), Some(found))
        }
        (None, None) => return Err(Failure::usage("explain needs --at or --missed")),
    };
    let wanted = arguments.point.as_deref().map(|point| find(&log, point)).transpose()?;
    let explanations = explanations::<F>(&log, at, wanted)?;
    let printed = Printed { at: log.local(at), at_s: at.as_secs_f64(), expectation, explanations };
    match format {
        Format::Json => output.json(&printed)?,
        Format::Human => output.text(&text(&printed))?,
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
        let (end, asked) = (log.local(reached.at), log.local(at));
        return Err(Failure::usage(format!("the log ends at {end}, before {asked}")));
    }
    let then: Vec<Controller<F>> = replay.machines().to_vec();
    replay.run_until(at + LOOK_AFTER).map_err(failed)?;
    let ended_before = replay.result().end.is_some();
    log.note_torn(replay.result().end);
    if let Some(divergence) = replay.result().divergence {
        return Err(Failure {
            exit: Exit::Diverged,
            message: format!(
                "{} diverges at {}: what this program would explain is not what ran; see r-emsctl replay",
                divergence.controller,
                log.local(divergence.at()),
            ),
        });
    }
    let mut explanations = Vec::new();
    for (position, machine) in then.iter().enumerate() {
        let names = &log.header.controllers[position];
        if wanted.as_ref().is_some_and(|wanted| wanted.grid != names.grid) {
            continue;
        }
        let device = wanted.as_ref().and_then(|wanted| device(names, &wanted.device));
        let later = if ended_before { None } else { replay.machines().get(position) };
        let now = machine.composition().composed_at().unwrap_or(LocalTime::ZERO);
        explanations.push(explain(names, machine, now, later, device));
    }
    Ok(explanations)
}

fn device(names: &ControllerNames, wanted: &str) -> Option<DeviceIndex> {
    names.devices.iter().position(|device| device.name == wanted).map(DeviceIndex::of)
}

/// Simulates the log's scenario again and finds the worst instant of an expectation.
fn worst<F: FunctionSet>(log: &LogFile, name: &str) -> Result<ExpectationSummary, Failure> {
    let until = log.end()?.since(Time::ZERO);
    let study = study::load::again::<F>(&log.header, until)?;
    let finished = study::run(study, &study::Options::default())?;
    let all = finished.summary.expectations;
    let exact = all.iter().find(|expectation| expectation.name == name);
    let mut parts = all.iter().filter(|expectation| expectation.name.contains(name));
    let found = exact.or_else(|| parts.next());
    if exact.is_none() && parts.next().is_some() {
        return Err(Failure::usage(format!(
            "--missed {name}: more than one expectation has that; use its whole name"
        )));
    }
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = all.iter().map(|expectation| format!("\"{}\"", expectation.name)).collect();
        Failure::usage(format!(
            "--missed {name}: there is no such expectation; known here: {}",
            known.join(", ")
        ))
    })
}

fn text(printed: &Printed) -> String {
    let mut text = format!("\n{}\n", paint(BOLD, &printed.at));
    if let Some(expectation) = &printed.expectation {
        let margin = quantity(expectation.margin.abs(), expectation.unit);
        let ended = if expectation.held {
            paint(GOOD, &format!("held with {margin} to spare"))
        } else {
            paint(BAD, &format!("missed by {margin}"))
        };
        let value = quantity(expectation.value, expectation.value_unit);
        text += &format!("{} {ended}; this was its worst instant, at {value}\n", expectation.name);
    }
    text += &paint(DIM, "powers are positive into the bus: discharge, generation, import\n");
    text += "\n";
    for explanation in &printed.explanations {
        text += &page(explanation);
    }
    text
}
