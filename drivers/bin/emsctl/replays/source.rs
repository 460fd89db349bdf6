//! What a user names: an archive, whose logs are replayed as they come out of it, or a log by itself.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::persistence::disk::FileName;
use r_ems_site::disk::file_of;

use super::Reading;
use super::segment::{Role, Segment, replayed, replayed_alone};
use crate::archive::unpack::{Unpacked, unpack};
use crate::archive::{MAGIC, STATE};
use crate::emsctl::log_file::open_file;
use crate::exit::{Failure, READ};

/// An argument.
pub(super) struct Source {
    /// As it was named.
    pub(super) path: String,
    /// What it holds, if it is an archive.
    pub(super) archive: Option<Unpacked>,
}

impl Source {
    /// Whether it is as it was collected; of a log by itself nobody knows.
    pub(super) fn is_whole(&self) -> bool {
        let archive = self.archive.as_ref();
        archive.is_none_or(|archive| archive.refusal.is_none() && archive.mistakes().is_empty())
    }
}

/// Whether a file begins as an archive does.
pub(in crate::emsctl) fn is_archive(path: &Path) -> Result<bool, Failure> {
    let mut file = open_file(path)?;
    begins_as_archive(&mut file).map_err(|error| Failure::file(path, READ, &error))
}

fn begins_as_archive(file: &mut File) -> std::io::Result<bool> {
    let mut magic = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(magic == MAGIC)
}

/// Replays all that one argument holds.
///
/// # Errors
/// It cannot be opened.
pub(super) fn read<F: FunctionSet>(path: &Path, reading: &mut Reading) -> Result<Source, Failure> {
    let failed = |error| Failure::file(path, READ, &error);
    let mut file = open_file(path)?;
    let is_archive = begins_as_archive(&mut file).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let source = reading.sources;
    reading.sources += 1;
    let name = path.display().to_string();
    if !is_archive {
        let result = replayed_alone::<F>(&mut file, reading).transpose();
        if let Some(result) = result {
            reading.add(Segment::new(source, name.clone(), Role::Alone, result));
        }
        return Ok(Source { path: name, archive: None });
    }
    let unpacked = unpack(BufReader::new(file), |path, content| {
        let Some(role) = role(path) else { return };
        let result = replayed::<F>(content, reading).transpose();
        if let Some(result) = result {
            reading.add(Segment::new(source, path.to_owned(), role, result));
        }
    });
    Ok(Source { path: name, archive: Some(unpacked) })
}

/// What a file of an archive is, if it is a log that was complete once.
fn role(path: &str) -> Option<Role> {
    let below = path.strip_prefix(STATE)?.strip_prefix('/')?;
    let name = below.rsplit('/').next().unwrap_or(below);
    match file_of(name.as_bytes())? {
        FileName::Segment(number) => Some(Role::Segment(number)),
        FileName::Quarantined(number) => Some(Role::Quarantined(number)),
        FileName::New(_) | FileName::Promise(_) => None,
    }
}
