//! Files: where texts come from, how large they may be, and how a name in one file leads to another.
//!
//! A path in a file is relative to that file. Texts come through a small trait, so that a scenario also runs from a log's
//! header, from memory in tests, and where there is no file system. Size is asked before anything is read.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::origins::Origins;

/// Largest scenario or site file: a thousand devices take a quarter of it.
pub const MAX_SCENARIO_BYTES: u64 = 1 << 20;
/// Largest profile: a year of seconds with three columns does not fit, a year of minutes with sixteen does.
pub const MAX_PROFILE_BYTES: u64 = 64 << 20;
/// What all profiles of a scenario may have together.
pub const MAX_PROFILES_BYTES: u64 = 4 * MAX_PROFILE_BYTES;

/// Gives the bytes of files by path.
pub trait Files {
    /// Reads a whole file of at most `bytes_max`.
    ///
    /// # Errors
    /// A sentence part that says why not: `no such file`.
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        let about = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
        if about.is_dir() {
            return Err("it is a directory, but a file is needed".into());
        }
        // A pipe or a device has no size, and may never end.
        if !about.is_file() {
            return Err("it is no regular file".into());
        }
        if about.len() > bytes_max {
            return Err(too_large(about.len(), bytes_max));
        }
        let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
        let mut bytes = Vec::new();
        // The file may grow meanwhile: one byte more than allowed is enough to know.
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
        if bytes.len() as u64 > bytes_max {
            return Err(too_large(bytes.len() as u64, bytes_max));
        }
        Ok(bytes)
    }
}

/// Files in memory, by path.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    /// No file at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same files and one more.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.to_string(), content.into());
        self
    }
}

impl Files for Memory {
    fn read(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, String> {
        let bytes = self.files.get(path).ok_or("no such file")?;
        if bytes.len() as u64 > bytes_max {
            return Err(too_large(bytes.len() as u64, bytes_max));
        }
        Ok(bytes.clone())
    }
}

fn unreadable(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::NotFound {
        return "no such file".into();
    }
    // The system's other reasons are many, and its own words describe them best.
    error.to_string()
}

fn too_large(found: u64, bytes_max: u64) -> String {
    format!("must be at most {bytes_max} bytes, got {found}")
}

/// A text file as it was read: what a log's header keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    path: String,
    text: String,
    /// None if the text is the file's own.
    #[serde(skip)]
    origins: Option<Box<Origins>>,
    #[serde(skip)]
    is_setting: bool,
}

impl Document {
    /// Reads a file as UTF-8 text, without a byte-order mark.
    ///
    /// # Errors
    /// A sentence part that says why not.
    pub fn read(files: &dyn Files, path: &str) -> Result<Self, String> {
        let bytes = files.read(path, MAX_SCENARIO_BYTES)?;
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
            format!("must be UTF-8 text, but line {line} is not")
        })?;
        Ok(Self::new(path, text))
    }

    /// A text that is at hand already.
    pub fn new(path: &str, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { path: path.to_string(), text, ..Self::default() }
    }

    /// The same text as one that was put together.
    pub(crate) fn with_origins(self, origins: Origins) -> Self {
        Self { origins: Some(Box::new(origins)), ..self }
    }

    /// The document that the byte at `at` comes from, and its place there.
    pub(crate) fn origin(&self, at: usize) -> (&Self, usize) {
        let origin = self.origins.as_ref().and_then(|origins| origins.of(at));
        origin.unwrap_or((self, at))
    }

    /// The same with other text from `begin` to `end`, which comes from the command line, from `setting`.
    pub(crate) fn replaced(&self, (begin, end): (usize, usize), new: &str, setting: &str) -> Self {
        let source = Self { is_setting: true, ..Self::new(setting, new) };
        self.replaced_by((begin, end), new, (&source, 0), new.len())
    }

    /// The same with other text from `begin` to `end`, which comes from `length` bytes of another document.
    pub(crate) fn replaced_by(
        &self,
        (begin, end): (usize, usize),
        new: &str,
        (source, offset): (&Self, usize),
        length: usize,
    ) -> Self {
        let text = format!("{}{new}{}", &self.text[..begin], &self.text[end..]);
        let whole = || Box::new(Origins::whole(self.clone()));
        let origins = self.origins.clone().unwrap_or_else(whole);
        let origins = origins.replaced((begin, end), new.len(), (source.clone(), offset), length);
        Self { path: self.path.clone(), text, ..Self::default() }.with_origins(origins)
    }

    /// The same with its own text between `from` and `to` in the place of what stands from `begin` to `end`, too.
    pub(crate) fn copied(&self, (begin, end): (usize, usize), (from, to): (usize, usize)) -> Self {
        let text = self.text[from..to].to_owned();
        let ((source, offset), (user, used_at)) = (self.origin(from), self.origin(begin));
        let mut copy = self.replaced_by((begin, end), &text, (source, offset), text.len());
        if let Some(origins) = &mut copy.origins {
            origins.is_used(begin, (user.clone(), used_at));
        }
        copy
    }

    /// Where the byte at `at` is used, if its text stands somewhere else and was taken over.
    pub(crate) fn user(&self, at: usize) -> Option<(&Self, usize)> {
        self.origins.as_ref()?.user(at)
    }

    /// Whether the text comes from the command line: it has no lines that could be shown.
    pub(crate) fn is_setting(&self) -> bool {
        self.is_setting
    }

    /// The path as it was named.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The path that `name` means in the file at `from`: relative to that file, with `.` and `..` worked out.
pub(crate) fn resolved(from: &str, name: &str) -> String {
    let name = Path::new(name);
    let joined = match Path::new(from).parent() {
        Some(folder) if name.is_relative() => folder.join(name),
        Some(_) | None => name.to_path_buf(),
    };
    let mut clean = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            Component::ParentDir | Component::Normal(_) | Component::RootDir | Component::Prefix(_) => {
                clean.push(part);
            }
        }
    }
    // Names in files are text, hence the path is; forward slashes on every system, so that logs agree.
    clean.to_string_lossy().replace('\\', "/")
}
