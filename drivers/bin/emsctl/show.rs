//! `r-emsctl show`: the records of a log in words, or one JSON object a line.

use r_ems_engine::Time;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{EffectsKept, Kind};
use r_ems_replay::entries::{Entries, Entry, Filter, OfEffects};

use super::args::{Format, Show, WRITES};
use super::log_file::LogFile;
use crate::exit::{Exit, Failure};
use crate::output::{Output, State, say};
use crate::present::style::{BOLD, DIM, paint};

/// Shows a log.
pub(super) fn perform<F: FunctionSet>(
    arguments: &Show,
    format: Format,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let log = LogFile::open::<F>(&arguments.log)?;
    let filter = filter(arguments, &log)?;
    if format == Format::Human {
        output.text(&heading(&log))?;
    }
    let mut entries = Entries::open(log.bytes()?, filter).map_err(|error| log.failure(&error))?;
    entries.begin().map_err(|error| log.failure(&error))?;
    let mut shown = 0_u64;
    for entry in &mut entries {
        let entry = entry.map_err(|error| log.failure(&error))?;
        if !is_wanted(arguments, &entry) {
            continue;
        }
        shown += 1;
        let state = match format {
            Format::Json => output.json_line(&entry)?,
            Format::Human => output.text(&line(&log, &entry))?,
        };
        if state == State::Closed {
            return Ok(Exit::Ok);
        }
    }
    if shown == 0 {
        say("no record matches");
    }
    if shows_writes(arguments) && log.header.effects == EffectsKept::Digests {
        say("the log holds no writes, only that they were answered; record it with --record-effects");
    }
    log.note_torn(entries.end());
    Ok(Exit::Ok)
}

fn filter(arguments: &Show, log: &LogFile) -> Result<Filter, Failure> {
    let (from, to) = log.window(arguments.from.as_ref(), arguments.to.as_ref())?;
    let controller = arguments.controller.as_ref().map(|name| log.controller(name)).transpose()?;
    let everything = Filter { from, to, controller, ..Filter::ALL };
    if shows_writes(arguments) {
        let kinds = vec![Kind::Effects, Kind::Written];
        return Ok(Filter { kinds, of_effects: OfEffects::Writes, ..everything });
    }
    let kinds = arguments.kind.as_deref().map(|wanted| {
        let known = Kind::ALL.into_iter().find(|kind| kind.name() == wanted);
        // What is no kind of record is a kind of event: the arguments have been checked.
        known.unwrap_or(Kind::Event)
    });
    Ok(Filter { kinds: kinds.into_iter().collect(), ..everything })
}

fn shows_writes(arguments: &Show) -> bool {
    arguments.kind.as_deref() == Some(WRITES)
}

/// Whether an entry passes what the reader's filter does not know: kinds of events.
fn is_wanted(arguments: &Show, entry: &Entry) -> bool {
    let Some(wanted) = arguments.kind.as_deref() else { return true };
    wanted == WRITES || entry.kind == wanted || entry.event == Some(wanted)
}

fn heading(log: &LogFile) -> String {
    let header = &log.header;
    // A site's own log is called by its file.
    let title = if header.scenario.is_empty() { &header.site_path } else { &header.scenario };
    let controllers: Vec<String> = header.controllers.iter().map(|names| names.full()).collect();
    format!(
        "{}\n{}\n",
        paint(BOLD, title),
        paint(
            DIM,
            &format!(
                "from {}, seed {}, engine {} B{}, {}",
                log.local(Time::ZERO),
                header.seed,
                header.engine,
                header.behavior,
                controllers.join(", "),
            ),
        ),
    )
}

fn line(log: &LogFile, entry: &Entry) -> String {
    let at = log.local(Time::from_nanos(entry.at_ns));
    format!("{} {} {:<9} {}\n", paint(DIM, &format!("{at:<23}")), entry.controller, entry.kind, entry.text)
}
