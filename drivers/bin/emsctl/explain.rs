//! `r-emsctl explain`: why a set-point was what it was, at a moment, at an event or at the worst instant of an expectation; or
//! why it is what it is, by a running daemon.
//!
//! The moment is replayed from the log, so the answer is the controller's own state, not a guess. `missed` finds the moment of
//! an expectation. A daemon reads it from the state that its controller has.

use form_urlencoded::byte_serialize;
use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::{LocalTime, Span, Time};
use r_ems_replay::Replay;
use serde::Serialize;

use super::args::{Explain, Format};
use super::daemon::client::Client;
use super::log_file::LogFile;
use super::missed;
use crate::api::Explained;
use crate::exit::{Exit, Failure};
use crate::explanation::{Explanation, LOOK_AFTER, Point, explain};
use crate::output::Output;
use crate::present::explanation::{Moment, page};
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
    let path = match (&arguments.log, &arguments.point) {
        (Some(path), _) => path,
        (None, Some(point)) => return ask(arguments, point, output),
        (None, None) => {
            return Err(Failure::usage("explain needs a log, or --point to ask a running daemon"));
        }
    };
    let log = LogFile::open::<F>(path)?;
    let (at, found) = match (&arguments.at, &arguments.event, &arguments.missed) {
        (Some(moment), ..) => (log.time(moment)?, None),
        (None, Some(kind), _) => (log.last(kind)?, None),
        (None, None, Some(name)) => {
            let beside = Search::BesideLog(path);
            let search = arguments.scenario_dir.as_deref().map_or(beside, Search::ScenarioDirectory);
            let found = missed::find::<F>(&log, name, search)?;
            let at_s = found.expectation.at_s.unwrap_or_default();
            // A sum is judged where the run ends; the controllers' last word may be a little earlier.
            let at = (Time::ZERO + Span::from_secs_f64(at_s)).min(log.end()?);
            (at, Some(found))
        }
        (None, None, None) => return Err(Failure::usage("explain needs --at, --event or --missed")),
    };
    let wanted = arguments.point.as_deref().map(|point| find(&log, point)).transpose()?;
    let explanations = explanations::<F>(&log, at, wanted)?;
    let (due, expectation) = found.map(|found| (found.due, found.expectation)).unzip();
    let printed = Printed { at: log.local(at), at_s: at.as_secs_f64(), expectation, explanations };
    match format {
        Format::Json => output.json(&printed)?,
        Format::Human => output.text(&text(&printed, due, Moment::Past))?,
    };
    Ok(Exit::Ok)
}

/// Asks a daemon why it does what it does now.
fn ask(arguments: &Explain, point: &str, output: &mut Output) -> Result<Exit, Failure> {
    let point: String = byte_serialize(point.as_bytes()).collect();
    let mut client = Client::new(arguments.socket.clone())?;
    let Explained { at, at_s, explanation } = client.get(&format!("/v1/explain?point={point}"))?;
    let printed = Printed { at, at_s, expectation: None, explanations: vec![explanation] };
    match arguments.printed.format {
        Format::Json => output.json(&printed)?,
        Format::Human => output.text(&text(&printed, None, Moment::Now))?,
    };
    Ok(Exit::Ok)
}

/// What a user named by one of its points, if the log has it.
fn find(log: &LogFile, point: &str) -> Result<Point, Failure> {
    let refuse = |reason: String| Failure::usage(format!("--point {point}: {reason}"));
    let found: Point = point.parse().map_err(refuse)?;
    let controllers = &log.header.controllers;
    let Some(names) = controllers.iter().find(|names| names.grid == found.grid) else {
        let mut known: Vec<&str> = controllers.iter().map(|names| names.grid.as_str()).collect();
        known.dedup();
        return Err(refuse(format!("there is no grid {}; known here: {}", found.grid, known.join(", "))));
    };
    found.device(names).map_err(refuse)?;
    Ok(found)
}

/// Replays to the moment and a little further, and asks the controllers.
fn explanations<F: FunctionSet>(
    log: &LogFile,
    at: Time,
    wanted: Option<Point>,
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
        let device = wanted.as_ref().and_then(|wanted| wanted.device(names).ok());
        let later = if ended_before { None } else { replay.machines().get(position) };
        let now = clocks[position].unwrap_or(LocalTime::ZERO);
        let mut explanation = explain(names, machine, now, later, device);
        if !runs[position] {
            // What it was when it was heard of last is not what it is.
            explanation.role = DOWN.to_owned();
            explanation.writes = false;
        }
        explanations.push(explanation);
    }
    Ok(explanations)
}

fn text(printed: &Printed, due: Option<Due>, moment: Moment) -> String {
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
        text += &page(explanation, moment);
    }
    text
}
