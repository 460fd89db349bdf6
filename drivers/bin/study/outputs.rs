//! The files that a run writes, opened so that none of them destroys what the run reads, or what another of them holds.
//!
//! A name says little: a file has several through links, and two names of a file that does not exist yet are alike only to the
//! system. Files are therefore opened first without a change, then compared by what they are, and only then emptied.

use std::fs::{self, File, Metadata, OpenOptions};
use std::path::{Path, PathBuf};

use super::Options;
use crate::exit::{Failure, WRITTEN};

/// The files of a run, empty and ready.
pub(super) struct Outputs {
    /// For the log.
    pub(super) record: Option<File>,
    /// For the table.
    pub(super) csv: Option<File>,
    /// For metrics.
    pub(super) metrics: Option<File>,
}

/// Makes sure that a file can be written later, and that this destroys nothing that is read: before hours are spent on what it is
/// to hold. Nothing has changed afterwards.
///
/// # Errors    as those of a run's files
pub(crate) fn probe(option: &'static str, path: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let opened = Opened::new(option, path)?;
    let refused = opened.refuse(inputs, &[]);
    if opened.novelty == Novelty::New {
        fs::remove_file(path).map_err(|error| Failure::file(path, WRITTEN, &error))?;
    }
    refused
}

/// Opens a file that is to hold what cannot be had again: only one that holds nothing yet.
///
/// # Errors
/// As those of a run's files, and if there is something in it; nothing has changed then.
pub(crate) fn open_new(option: &'static str, path: &Path, inputs: &[PathBuf]) -> Result<File, Failure> {
    let opened = Opened::new(option, path)?;
    opened.refuse(inputs, &[])?;
    let about = opened.file.metadata().map_err(|error| Failure::file(path, WRITTEN, &error))?;
    if about.len() > 0 {
        let path = path.display();
        return Err(Failure::usage(format!(
            "{option} {path}: it holds something already, the log of an earlier run perhaps; name another file, or move it away"
        )));
    }
    Ok(opened.file)
}

/// A file that was opened and not changed.
struct Opened<'a> {
    option: &'static str,
    path: &'a Path,
    file: File,
    novelty: Novelty,
}

/// Whether a file was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    New,
    Old,
}

impl Outputs {
    /// Opens what `options` ask for; `inputs` are the files that the run reads.
    ///
    /// # Errors
    /// A file cannot be made, or must not be written over; nothing has changed then.
    pub(super) fn open(options: &Options, inputs: &[PathBuf]) -> Result<Self, Failure> {
        let record = options.record.as_ref().map(|(path, _)| ("--record", path.as_path()));
        let csv = options.csv.as_ref().map(|(path, _)| ("--csv", path.as_path()));
        let metrics = options.metrics.as_ref().map(|path| ("--metrics", path.as_path()));
        let mut opened = Vec::new();
        let checked = [record, csv, metrics].into_iter().flatten().try_for_each(|(option, path)| {
            opened.push(Opened::new(option, path)?);
            opened.last().map_or(Ok(()), |newest| newest.refuse(inputs, &opened[..opened.len() - 1]))
        });
        let emptied = checked.and_then(|()| opened.iter().try_for_each(Opened::empty));
        if let Err(failure) = emptied {
            for Opened { path, .. } in opened.iter().filter(|opened| opened.novelty == Novelty::New) {
                // It was made a moment ago and is empty; if it stays, that harms nobody.
                let _removed = fs::remove_file(path);
            }
            return Err(failure);
        }
        let mut files = opened.into_iter();
        let record = record.and_then(|_| files.next()).map(|opened| opened.file);
        let csv = csv.and_then(|_| files.next()).map(|opened| opened.file);
        let metrics = metrics.and_then(|_| files.next()).map(|opened| opened.file);
        Ok(Self { record, csv, metrics })
    }
}

impl<'a> Opened<'a> {
    fn new(option: &'static str, path: &'a Path) -> Result<Self, Failure> {
        let refuse = |why: &str| Failure::usage(format!("{option} {}: {why}; name a file", path.display()));
        if path.as_os_str() == "-" {
            return Err(Failure::usage(format!("{option} needs a file: standard output carries the result")));
        }
        let before = fs::metadata(path).ok();
        if let Some(about) = &before {
            // To open a pipe is to wait for its reader, perhaps for ever: look before.
            if about.is_dir() {
                return Err(refuse("it is a directory"));
            }
            if !about.is_file() && !is_null(about) {
                return Err(refuse("it is no regular file"));
            }
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| Failure::file(path, WRITTEN, &error))?;
        let novelty = if before.is_some() { Novelty::Old } else { Novelty::New };
        Ok(Self { option, path, file, novelty })
    }

    /// Refuses a file that is read, that another output goes to, or that a stream goes to.
    fn refuse(&self, inputs: &[PathBuf], others: &[Self]) -> Result<(), Failure> {
        let Some(identity) = Identity::of(&self.file, self.path) else { return Ok(()) };
        let refuse =
            |why: String| Err(Failure::usage(format!("{} {}: {why}", self.option, self.path.display())));
        if let Some(input) = inputs.iter().find(|input| identity.is_of(input)) {
            return refuse(format!("this is {}, which the run reads; name another file", input.display()));
        }
        for other in others {
            if Identity::of(&other.file, other.path) == Some(identity.clone()) {
                return refuse(format!("{} names the same file; name another one", other.option));
            }
        }
        if identity.is_of_a_stream() {
            return refuse("the program's own output goes there already; name another file".to_owned());
        }
        Ok(())
    }

    fn empty(&self) -> Result<(), Failure> {
        let failed = |error| Failure::file(self.path, WRITTEN, &error);
        if self.file.metadata().map_err(failed)?.is_file() {
            self.file.set_len(0).map_err(failed)
        } else {
            Ok(())
        }
    }
}

/// What a file is, whatever it is called; nothing for the device that forgets everything.
#[cfg(unix)]
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    number: u64,
}

#[cfg(unix)]
impl Identity {
    fn of(file: &File, _path: &Path) -> Option<Self> {
        file.metadata().ok().as_ref().and_then(Self::about)
    }

    fn about(about: &Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        (!is_null(about)).then(|| Self { device: about.dev(), number: about.ino() })
    }

    fn is_of(&self, path: &Path) -> bool {
        fs::metadata(path).ok().as_ref().and_then(Self::about).as_ref() == Some(self)
    }

    /// Whether standard output or standard error goes there.
    fn is_of_a_stream(&self) -> bool {
        use std::os::fd::AsFd;
        let (output, error) = (std::io::stdout(), std::io::stderr());
        [output.as_fd(), error.as_fd()].into_iter().any(|stream| {
            let about = stream.try_clone_to_owned().and_then(|stream| File::from(stream).metadata());
            about.ok().as_ref().and_then(Self::about).as_ref() == Some(self)
        })
    }
}

/// What a file is, as well as its full path can say.
#[cfg(not(unix))]
#[derive(Clone, Debug, PartialEq, Eq)]
struct Identity(PathBuf);

#[cfg(not(unix))]
impl Identity {
    fn of(_file: &File, path: &Path) -> Option<Self> {
        fs::canonicalize(path).ok().map(Self)
    }

    fn is_of(&self, path: &Path) -> bool {
        fs::canonicalize(path).is_ok_and(|path| path == self.0)
    }

    /// Streams have no path here.
    fn is_of_a_stream(&self) -> bool {
        false
    }
}

/// Whether this is the device that takes everything and keeps nothing.
#[cfg(unix)]
fn is_null(about: &Metadata) -> bool {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let null = fs::metadata("/dev/null");
    about.file_type().is_char_device() && null.is_ok_and(|null| null.rdev() == about.rdev())
}

/// Whether this is the device that takes everything and keeps nothing.
#[cfg(not(unix))]
fn is_null(_about: &Metadata) -> bool {
    false
}
