//! `r-emsctl replay`: runs a log again and compares every effect, bit for bit.
//!
//! A log is replayed from the state at its beginning, whatever `--from` says: it only counts what is compared from there on.
//! A difference before it is told all the same, because nothing after it can be trusted.
//!
//! Archives and several logs are for [`super::replays`].
//!
//! A log without a closing record is torn: what it holds is replayed, but nobody can say how the run went on, so the program
//! ends with 1 unless the user accepts that. One that a daemon is still writing goes on, and is none of these.

use std::io::{Cursor, Read};

use r_ems_engine::Time;
use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{ControllerNames, End, Ending, Reader, filtered};
use r_ems_replay::{Bytes, Compatibility, Divergence, Replay, Replayed};
use serde::Serialize;

use super::args::{Format, Replay as Arguments};
use super::log_file::{GOES_ON, LogFile};
use super::replays::{self, is_archive};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::present::style::{BAD, GOOD, paint};
use crate::present::text;

/// What is printed as JSON.
#[derive(Serialize)]
struct Printed<'a> {
    ok: bool,
    deliveries: u64,
    until_s: f64,
    digest: String,
    end: Option<&'static str>,
    is_being_written: bool,
    poisoned: Option<Failed>,
    compatibility: &'a Compatibility,
    divergence: Option<&'a Divergence>,
    event_difference: Option<&'a Divergence>,
}

/// Who failed an assertion, as the log says.
#[derive(Serialize)]
struct Failed {
    controller: String,
    at_s: f64,
}

/// Replays a log, or several.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Arguments,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let [log] = arguments.logs.as_slice() else { return replays::perform::<F>(arguments, format, output) };
    if arguments.timeline || is_archive(log)? {
        return replays::perform::<F>(arguments, format, output);
    }
    let log = LogFile::open::<F>(log)?;
    let (from, to) = log.window(arguments.from.as_ref(), arguments.to.as_ref())?;
    let replayed = match &arguments.controller {
        None => replay::<F, _>(&log, log.bytes()?, from, to)?,
        Some(name) => {
            let mut own = Vec::new();
            let controller = log.controller(name)?;
            let mut reader = Reader::open(Bytes(log.bytes()?)).map_err(|error| log.failure(&error))?;
            let end = filtered(&mut reader, controller, |bytes| own.extend_from_slice(bytes))
                .map_err(|error| log.failure(&error))?;
            let mut replayed = replay::<F, _>(&log, Cursor::new(own), from, to)?;
            if replayed.result.end.is_some_and(End::is_torn) {
                // Positions are those of the file, not of what was cut out of it.
                replayed.result.end = Some(end);
            }
            replayed
        }
    };
    let Compared { names, deliveries, result, goes_on } = &replayed;
    let has_window = arguments.from.is_some() || arguments.to.is_some();
    if has_window && *deliveries == 0 && result.divergence.is_none() {
        return Err(log.nothing_between(from, to)?);
    }
    let is_torn = result.end.is_some_and(End::is_torn);
    let exit = match &result.divergence {
        Some(_) => Exit::Diverged,
        None if is_torn && !*goes_on && !arguments.torn => Exit::Error,
        None => Exit::Ok,
    };
    match format {
        Format::Json => output.json(&Printed {
            ok: exit == Exit::Ok,
            deliveries: *deliveries,
            until_s: result.at.as_secs_f64(),
            digest: result.digest.to_string(),
            end: result.end.map(|end| end.name()),
            is_being_written: *goes_on,
            poisoned: result.poisoned.map(|poisoned| Failed {
                controller: names[poisoned.controller.position()].full(),
                at_s: poisoned.at.as_secs_f64(),
            }),
            compatibility: &result.compatibility,
            divergence: result.divergence.as_deref(),
            event_difference: result.event_difference.as_deref(),
        })?,
        Format::Human => output.text(&page(&log, &replayed))?,
    };
    Ok(exit)
}

/// What a replay came to, from where it was compared.
struct Compared {
    /// The controllers that were replayed.
    names: Vec<ControllerNames>,
    /// Deliveries from there on.
    deliveries: u64,
    result: Replayed,
    /// Whether it has no end because a daemon is still writing it.
    goes_on: bool,
}

/// Replays up to `to`, and counts from `from` on.
fn replay<F: FunctionSet, R: Read>(
    log: &LogFile,
    bytes: R,
    from: Time,
    to: Time,
) -> Result<Compared, Failure> {
    let failed = |error: r_ems_replay::ReplayError| log.failure(&error);
    let mut replay = Replay::<Controller<F>, R>::open(bytes).map_err(failed)?;
    let mut before = 0;
    if from > Time::ZERO {
        replay.run_until(Time::from_nanos(from.as_nanos() - 1)).map_err(failed)?;
        before = replay.driver().deliveries();
    }
    replay.run_until(to).map_err(failed)?;
    let result = replay.result();
    let names = replay.header().controllers.clone();
    let goes_on = result.end.is_some_and(End::is_torn) && log.is_being_written();
    Ok(Compared { names, deliveries: result.deliveries - before, result, goes_on })
}

fn page(log: &LogFile, compared: &Compared) -> String {
    let Compared { names, result, .. } = compared;
    let mut page = headline(log, compared);
    if let Some(poisoned) = result.poisoned {
        page += &format!(
            "the run ended when {} failed an assertion at {}\n",
            names[poisoned.controller.position()].full(),
            log.local(poisoned.at),
        );
    } else if result.end == Some(End::Closed(Ending::Stopped)) {
        page += "the run was stopped there\n";
    }
    if result.compatibility != Compatibility::Same {
        page += &format!("note: {}\n", result.compatibility);
    }
    if let Some(difference) = &result.event_difference {
        page += &format!("note: the versions do not report the same events\n\n{difference}");
    }
    page
}

fn headline(log: &LogFile, compared: &Compared) -> String {
    let Compared { deliveries, result, goes_on, .. } = compared;
    let compared = text::count(*deliveries);
    if let Some(divergence) = &result.divergence {
        let at = log.local(divergence.at());
        return format!("{} at {at}, after {compared} deliveries\n\n{divergence}", paint(BAD, "DIVERGED"));
    }
    let verdict = match result.end {
        Some(End::Torn { .. }) if *goes_on => format!("{GOES_ON}\n{}", paint(GOOD, "replayed bit for bit")),
        Some(end @ End::Torn { .. }) => {
            format!("{}: {end}\nwhat is there replayed bit for bit", paint(BAD, "torn"))
        }
        Some(End::Closed(_)) | None => paint(GOOD, "replayed bit for bit"),
    };
    format!("{verdict}: {compared} deliveries, up to {}\ndigest {}\n", log.local(result.at), result.digest)
}
