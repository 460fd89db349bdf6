//! `r-emsctl replay`: runs a log again and compares every effect, bit for bit.
//!
//! A log is replayed from the state at its beginning, whatever `--from` says: it only counts what is compared from there on.
//! A difference before it is told all the same, because nothing after it can be trusted.

use std::io::{Cursor, Read};

use r_ems_engine::Time;
use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{End, Reader, filtered};
use r_ems_replay::{Bytes, Compatibility, Divergence, Replay, Replayed};
use serde::Serialize;

use super::args::{Format, Replay as Arguments};
use super::log_file::LogFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, say};
use crate::present::style::{BAD, GOOD, paint};
use crate::present::text;

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    ok: bool,
    deliveries: u64,
    until_s: f64,
    digest: String,
    end: Option<String>,
    compatibility: &'a Compatibility,
    divergence: Option<&'a Divergence>,
}

/// Replays a log.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Arguments,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let log = LogFile::open::<F>(&arguments.log)?;
    let from = arguments.from.as_ref().map_or(Ok(Time::ZERO), |moment| log.time(moment))?;
    let to = arguments.to.as_ref().map_or(Ok(Time::MAX), |moment| log.time(moment))?;
    if from > to {
        return Err(Failure::usage("--from must not be later than --to"));
    }
    let (before, replayed) = match &arguments.controller {
        None => replay::<F, _>(&log, log.bytes()?, from, to)?,
        Some(name) => {
            let mut own = Vec::new();
            let controller = log.controller(name)?;
            let mut reader = Reader::open(Bytes(log.bytes()?)).map_err(|error| log.failure(&error))?;
            filtered(&mut reader, controller, |bytes| own.extend_from_slice(bytes))
                .map_err(|error| log.failure(&error))?;
            replay::<F, _>(&log, Cursor::new(own), from, to)?
        }
    };
    let exit = if replayed.divergence.is_some() { Exit::Diverged } else { Exit::Ok };
    let compared = replayed.deliveries - before;
    match format {
        Format::Json => output.json(&Printed {
            ok: exit == Exit::Ok,
            deliveries: compared,
            until_s: replayed.at.as_secs_f64(),
            digest: replayed.digest.to_string(),
            end: replayed.end.map(|end| end.to_string()),
            compatibility: &replayed.compatibility,
            divergence: replayed.divergence.as_deref(),
        })?,
        Format::Human => output.text(&page(&log, &replayed, compared))?,
    };
    if replayed.compatibility != Compatibility::Same {
        say(&replayed.compatibility.to_string());
    }
    if let Some(end @ End::Torn { .. }) = replayed.end {
        say(&format!("{}: {end}", arguments.log.display()));
    }
    Ok(exit)
}

/// Replays up to `to`; how many deliveries came before `from`, and the result.
fn replay<F: FunctionSet, R: Read>(
    log: &LogFile,
    bytes: R,
    from: Time,
    to: Time,
) -> Result<(u64, Replayed), Failure> {
    let failed = |error: r_ems_replay::ReplayError| log.failure(&error);
    let mut replay = Replay::<Controller<F>, R>::open(bytes).map_err(failed)?;
    let mut before = 0;
    if from > Time::ZERO {
        replay.run_until(Time::from_nanos(from.as_nanos() - 1)).map_err(failed)?;
        before = replay.result().deliveries;
    }
    replay.run_until(to).map_err(failed)?;
    Ok((before, replay.result()))
}

fn page(log: &LogFile, replayed: &Replayed, compared: u64) -> String {
    let compared = text::count(compared);
    match &replayed.divergence {
        None => format!(
            "{}: {compared} deliveries, up to {}\ndigest {}\n",
            paint(GOOD, "replayed bit for bit"),
            log.local(replayed.at),
            replayed.digest,
        ),
        Some(divergence) => {
            let at = log.local(divergence.at());
            format!("{} at {at}, after {compared} deliveries\n\n{divergence}", paint(BAD, "DIVERGED"))
        }
    }
}
