//! What all commands on logs share: opening one, and turning times and names into what it means by them.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use r_ems_engine::Time;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{End, Header, Kind, ReadError};
use r_ems_engine::persistence::disk::FileName;
use r_ems_engine::time::NANOS_PER_SECOND;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_replay::entries::Filter;
use r_ems_replay::{Divergence, Entries};
use r_ems_site::disk::{Folder, FolderError, file_of};

use super::values::{ControllerName, Moment};
use crate::exit::{Exit, Failure, READ};
use crate::output::say;
use crate::present::text::with_fraction;
use crate::study::recall::zone;

/// What is said of a log that has no end yet.
pub(super) const GOES_ON: &str = "a daemon is still writing it; this is what was there";

/// A log on the disk with what it says about itself.
pub(super) struct LogFile {
    path: PathBuf,
    /// How the site's clocks show times.
    zone: TimeZone,
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

    /// The instant of the last event of a kind.
    ///
    /// # Errors    there is none, or the log cannot be read to its end
    pub(super) fn last(&self, kind: &str) -> Result<Time, Failure> {
        let events = Filter { kinds: vec![Kind::Event], ..Filter::ALL };
        let mut last = None;
        for entry in Entries::open(self.bytes()?, events).map_err(|error| self.failure(&error))? {
            let entry = entry.map_err(|error| self.failure(&error))?;
            last = if entry.event == Some(kind) { Some(Time::from_nanos(entry.at_ns)) } else { last };
        }
        last.ok_or_else(|| {
            Failure::error(format!("{}: there is no {kind} in this log, up to its end", self.path.display()))
        })
    }

    /// Tells the user if the log was found to be torn, where that is no reason to stop.
    pub(super) fn note_torn(&self, end: Option<End>) {
        if let Some(end @ End::Torn { .. }) = end {
            let path = self.path.display();
            say(&if self.is_being_written() {
                format!("{path}: {GOES_ON}")
            } else {
                format!("{path}: {end}")
            });
        }
    }

    /// Whether a daemon still writes it: the newest segment of a journal, in whose folder somebody works. Nobody has torn such a
    /// log, it has no end yet.
    pub(super) fn is_being_written(&self) -> bool {
        let number = |path: &Path| match file_of(path.file_name()?.as_bytes())? {
            FileName::Segment(number) => Some(number),
            FileName::New(_) | FileName::Quarantined(_) | FileName::Promise(_) => None,
        };
        let Some(own) = number(&self.path) else { return false };
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let Ok(entries) = fs::read_dir(folder) else { return false };
        let newest = entries.filter_map(|entry| number(&entry.ok()?.path())).max();
        newest == Some(own) && matches!(Folder::hold(folder), Err(FolderError::InUse(_)))
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

    /// The instants that a user means, in their order.
    pub(super) fn window(&self, from: Option<&Moment>, to: Option<&Moment>) -> Result<(Time, Time), Failure> {
        let from = from.map_or(Ok(Time::ZERO), |moment| self.time(moment))?;
        let to = to.map_or(Ok(Time::MAX), |moment| self.time(moment))?;
        if from > to {
            return Err(Failure::usage("--from must not be later than --to"));
        }
        Ok((from, to))
    }

    /// Says that nothing was delivered in a window, and from when to when the log is.
    ///
    /// # Errors    the log cannot be read to its end
    pub(super) fn nothing_between(&self, from: Time, to: Time) -> Result<Failure, Failure> {
        let end = self.end()?;
        if from > end {
            return Ok(self.ends_before(end, from));
        }
        let (path, begin, end) = (self.path.display(), self.exact(Time::ZERO), self.exact(end));
        let to = if to == Time::MAX { "its end".to_owned() } else { self.exact(to) };
        let from = self.exact(from);
        Ok(Failure::usage(format!(
            "{path}: nothing was delivered from {from} to {to}; the log is from {begin} to {end}"
        )))
    }

    /// Says that a user asks for what came after the log.
    pub(super) fn ends_before(&self, end: Time, asked: Time) -> Failure {
        let (path, end, asked) = (self.path.display(), self.exact(end), self.exact(asked));
        Failure::usage(format!("{path}: the log ends at {end}, before {asked}"))
    }

    /// Says that the controllers of this program do not do what the log says.
    pub(super) fn diverged(&self, divergence: &Divergence) -> Failure {
        let (who, when) = (&divergence.controller, self.local(divergence.at()));
        let message = format!(
            "{who} diverges at {when}: what this program would explain is not what ran; see r-emsctl replay"
        );
        Failure { exit: Exit::Diverged, message }
    }

    /// A run's instant as the site's clocks show it, to the nanosecond.
    pub(super) fn exact(&self, at: Time) -> String {
        let wall = self.header.start + at.since(Time::ZERO);
        let fraction = wall.as_unix_nanos().rem_euclid(NANOS_PER_SECOND as i64);
        let second = WallTime::from_unix_nanos(wall.as_unix_nanos() - fraction).local(self.zone);
        let digits = format!(".{fraction:09}");
        with_fraction(&second.to_string(), digits.trim_end_matches('0').trim_end_matches('.'))
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
    open_file(path).map(BufReader::new)
}

/// Opens a file that is to be read.
///
/// # Errors    it is none, or cannot be opened
pub(super) fn open_file(path: &Path) -> Result<File, Failure> {
    // A log is read more than once; and to open a pipe is to wait for its writer, perhaps for ever.
    if fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return Err(Failure::error(format!("{}: it is no regular file; name a log", path.display())));
    }
    File::open(path).map_err(|error| Failure::file(path, READ, &error))
}

fn unreadable(path: &Path, error: &ReadError<io::Error>) -> Failure {
    Failure::error(format!("{}: {error}", path.display()))
}
