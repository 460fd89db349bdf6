//! The worst instant of an expectation: the run of a log is simulated again and judged anew.
//!
//! An expectation is about the plant, and no log holds the plant. What is simulated is compared with the log, delivery by
//! delivery, so that nothing is said about another run than the one that was recorded: profiles may have changed since.

use r_ems_engine::Time;
use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::Reader;
use r_ems_replay::{Bytes, Replay};
use r_ems_scenarios::at_end::{AtEnd, in_places};

use super::log_file::LogFile;
use crate::exit::Failure;
use crate::study::recall::{Search, again};
use crate::study::{self, NotRepeated};
use crate::summary::{Due, ExpectationSummary};

/// Most expectations that a message lists: more fill a screen and help nobody.
const MAX_LISTED: usize = 12;

/// An expectation and when it was due.
pub(super) struct Found {
    pub(super) expectation: ExpectationSummary,
    pub(super) due: Due,
}

/// Simulates the log's run again and finds an expectation by its name or a part of it.
pub(super) fn find<F: FunctionSet>(log: &LogFile, name: &str, search: Search<'_>) -> Result<Found, Failure> {
    let ends = log.end()?;
    if ends == Time::ZERO {
        let cause = "the log ends where the run begins";
        return Err(log.failure(&format!("{cause}: no expectation was judged in so short a run")));
    }
    let study = again::<F>(&log.header, search)?;
    let (dues, inputs, at_end) = (study.facts.dues.clone(), study.inputs.clone(), study.facts.at_end.clone());
    let reader = Reader::open(Bytes(log.bytes()?)).map_err(|error| log.failure(&error))?;
    let finished = study::repeat(study, reader).map_err(|error| match error {
        NotRepeated::Differs(at) => differs::<F>(log, at, &inputs),
        NotRepeated::Unreadable(error) => log.failure(&error),
        NotRepeated::Failed(failure) => failure,
    })?;
    let all = &finished.summary.expectations;
    let rules = in_places(&at_end, vec![&[][..]; all.len() - at_end.len()], AtEnd::rules);
    let position = chosen(all, &rules, name)?;
    let expectation = all[position].clone();
    if let Some(why) = expectation.not_judged {
        let (name, ends) = (&expectation.name, log.exact(ends));
        return Err(Failure::usage(format!(
            "--missed: \"{name}\" was not judged: {why}; the log ends at {ends}"
        )));
    }
    Ok(Found { expectation, due: dues[position] })
}

/// The position of the one expectation that is meant, by its name or that of a rule that it stands for.
fn chosen(all: &[ExpectationSummary], rules: &[&[&str]], name: &str) -> Result<usize, Failure> {
    if let Some(exact) = all.iter().position(|known| known.name == name) {
        return Ok(exact);
    }
    let has = |position: &usize| {
        all[*position].name.contains(name) || rules[*position].iter().any(|rule| rule.contains(name))
    };
    let has_it: Vec<usize> = (0..all.len()).filter(has).collect();
    match has_it.as_slice() {
        [only] => Ok(*only),
        [] => Err(Failure::usage(format!(
            "--missed {name}: there is no such expectation; known here: {}",
            listed(all.iter())
        ))),
        several => Err(Failure::usage(format!(
            "--missed {name}: more than one expectation has that: {}; write more of its name",
            listed(several.iter().map(|position| &all[*position]))
        ))),
    }
}

fn listed<'a>(expectations: impl ExactSizeIterator<Item = &'a ExpectationSummary>) -> String {
    let more = expectations.len().saturating_sub(MAX_LISTED);
    let names: Vec<String> =
        expectations.take(MAX_LISTED).map(|expectation| format!("\"{}\"", expectation.name)).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// Why the run could not be repeated: the program decides otherwise, or its world is another one.
fn differs<F: FunctionSet>(log: &LogFile, at: Time, inputs: &[std::path::PathBuf]) -> Failure {
    if let Err(failure) = replayed::<F>(log, at) {
        return failure;
    }
    let when = log.local(at);
    let profiles: Vec<String> = inputs.iter().map(|input| format!("\"{}\"", input.display())).collect();
    let cause = match profiles.as_slice() {
        [] => "this version simulates it differently".to_owned(),
        [profile] => format!("the profile {profile} differs from the one of the run"),
        several => format!("one of the profiles {} differs from that of the run", several.join(", ")),
    };
    log.failure(&format!(
        "the run cannot be simulated again: {cause}, seen first at {when}; restore it, or use --at"
    ))
}

/// Whether the controllers still do what the log says, up to an instant.
fn replayed<F: FunctionSet>(log: &LogFile, until: Time) -> Result<(), Failure> {
    let failed = |error: r_ems_replay::ReplayError| log.failure(&error);
    let mut replay = Replay::<Controller<F>, _>::open(log.bytes()?).map_err(failed)?;
    replay.run_until(until).map_err(failed)?;
    replay.result().divergence.map_or(Ok(()), |divergence| Err(log.diverged(&divergence)))
}
