//! What all commands on logs share: opening one, and turning times and names into what it means by them.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use r_ems_engine::Time;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{End, Header, ReadError};
use r_ems_engine::wall::UtcOffset;
use r_ems_replay::Entries;
use r_ems_replay::entries::Filter;

use super::args::{ControllerName, Moment};
use crate::exit::{Failure, READ};
use crate::output::say;
use crate::study::load::zone;

/// A log on the disk with what it says about itself.
pub(super) struct LogFile {
    path: PathBuf,
    /// How the site's clocks show times.
    zone: UtcOffset,
    /// What the log says about itself.
    pub(super) header: Header,
}

impl LogFile {
    /// Opens a log and reads its header.
    pub(super) fn open<F: FunctionSet>(path: &Path) -> Result<Self, Failure> {
        let entries = Entries::open(reader(path)?, Filter::ALL).map_err(|error| unreadable(path, &error))?;
        let header = entries.header().clone();
        Ok(Self { path: path.to_owned(), zone: zone::<F>(&header), header })
    }

    /// The log's bytes from its beginning.
    pub(super) fn bytes(&self) -> Result<BufReader<File>, Failure> {
        reader(&self.path)
    }

    /// The instant of the last record.
    pub(super) fn end(&self) -> Result<Time, Failure> {
        let statistics = r_ems_replay::statistics(self.bytes()?).map_err(|error| self.failure(&error))?;
        Ok(Time::from_nanos(statistics.until_ns))
    }

    /// Tells the user if the log was found to be torn, where that is no reason to stop.
    pub(super) fn note_torn(&self, end: Option<End>) {
        if let Some(end @ End::Torn { .. }) = end {
            say(&format!("{}: {end}", self.path.display()));
        }
    }

    /// Says that the log cannot be read on.
    pub(super) fn failure(&self, error: &impl std::fmt::Display) -> Failure {
        Failure::error(format!("{}: {error}", self.path.display()))
    }

    /// What is wrong with the log, if it cannot be read to its end.
    pub(super) fn damage(&self) -> Option<Failure> {
        let mut entries = match Entries::open(self.bytes().ok()?, Filter::ALL) {
            Ok(entries) => entries,
            Err(error) => return Some(self.failure(&error)),
        };
        entries.find_map(Result::err).map(|error| self.failure(&error))
    }

    /// The instant that a user means.
    pub(super) fn time(&self, moment: &Moment) -> Result<Time, Failure> {
        let resolved = moment.resolve(self.header.start, self.zone);
        resolved.map_err(|message| Failure::usage(format!("{}: {message}", self.path.display())))
    }

    /// A run's instant as the site's clocks show it.
    pub(super) fn local(&self, at: Time) -> String {
        (self.header.start + at.since(Time::ZERO)).local(self.zone).to_string()
    }

    /// The controller that a user means.
    pub(super) fn controller(&self, name: &ControllerName) -> Result<ControllerIndex, Failure> {
        self.header.find(&name.to_string()).ok_or_else(|| {
            let known: Vec<String> = self.header.controllers.iter().map(|names| names.full()).collect();
            let path = self.path.display();
            Failure::usage(format!("{path}: there is no controller {name}; it holds {}", known.join(", ")))
        })
    }
}

fn reader(path: &Path) -> Result<BufReader<File>, Failure> {
    let file = File::open(path).map_err(|error| Failure::file(path, READ, &error))?;
    Ok(BufReader::new(file))
}

fn unreadable(path: &Path, error: &ReadError<io::Error>) -> Failure {
    Failure::error(format!("{}: {error}", path.display()))
}
