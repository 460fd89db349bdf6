//! Writes an archive, file by file, while the originals may grow or go away.
//!
//! A file is taken as long as it was when it was opened. What cannot be read of it is filled with zeros and said: an archive
//! whose entry is shorter than its head says could not be read by anybody.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use r_ems_engine::digest::Hasher;
use r_ems_engine::wall::WallTime;
use tar::{Builder, EntryType, Header};

use super::manifest::{EngineAbout, FileAbout, Manifest};
use super::{ENTRIES_MAX, MANIFEST, MANIFEST_BYTES_MAX, UNPACKED_BYTES_MAX, path_refusal};

/// Only its owner reads what is unpacked, as it was at the site.
const MODE: u32 = 0o600;

/// An archive that is being written.
pub struct Packer<W: Write> {
    builder: Builder<GzEncoder<W>>,
    folder: String,
    files: Vec<FileAbout>,
    bytes: u64,
}

/// A file that is to be packed.
pub struct Original<'a> {
    /// Its path below the archive's folder.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// When it was changed last, in Unix seconds.
    pub modified: u64,
    /// The engine that wrote it.
    pub engine: Option<EngineAbout>,
    /// What it says.
    pub content: &'a mut dyn Read,
}

impl<W: Write> Packer<W> {
    /// Begins an archive whose entries stand in a folder.
    pub fn new(into: W, folder: String) -> Self {
        let builder = Builder::new(GzEncoder::new(into, Compression::default()));
        Self { builder, folder, files: Vec::new(), bytes: 0 }
    }

    /// Why a file cannot be packed, however it is read; nothing if it can.
    pub fn refusal(&self, path: &str, bytes: u64) -> Option<&'static str> {
        let whole = format!("{}/{path}", self.folder);
        if let Some(why) = path_refusal(&whole) {
            Some(why)
        } else if self.files.len() + 1 >= ENTRIES_MAX {
            Some("an archive has no room for more files")
        } else if self.bytes.saturating_add(bytes).saturating_add(MANIFEST_BYTES_MAX) > UNPACKED_BYTES_MAX {
            Some("an archive has no room for it")
        } else {
            None
        }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// The archive cannot be written. What is wrong with the file is told in the manifest, and returned.
    ///
    /// # Panics
    /// If the file is one that [`Packer::refusal`] refuses.
    pub fn add(&mut self, original: Original<'_>) -> io::Result<&FileAbout> {
        let Original { path, bytes, modified, engine, content } = original;
        assert!(self.refusal(&path, bytes).is_none(), "a file that is refused is not added");
        let mut exactly = Exactly { content, left: bytes, hasher: Hasher::new(), problem: None };
        append(&mut self.builder, &format!("{}/{path}", self.folder), (bytes, modified), &mut exactly)?;
        let Exactly { hasher, problem, .. } = exactly;
        self.bytes += bytes;
        self.files.push(FileAbout { path, bytes, blake3: hasher.finish(), engine, problem });
        Ok(self.files.last().expect("it was added"))
    }

    /// Ends the archive with its manifest, which `about` makes of the files, and returns both.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub fn finish(self, about: impl FnOnce(Vec<FileAbout>) -> Manifest) -> io::Result<(W, Manifest)> {
        let Self { mut builder, folder, files, .. } = self;
        let manifest = about(files);
        let text = serde_json::to_vec_pretty(&manifest).expect("its keys are strings");
        let size = (text.len() as u64, unix_seconds(manifest.collected));
        append(&mut builder, &format!("{folder}/{MANIFEST}"), size, &mut text.as_slice())?;
        let into = builder.into_inner()?.finish()?;
        Ok((into, manifest))
    }
}

/// A time as archives tell it; none is before 1970.
pub fn unix_seconds(at: WallTime) -> u64 {
    at.as_unix_nanos().max(0).unsigned_abs() / 1_000_000_000
}

fn append<W: Write>(
    builder: &mut Builder<W>,
    path: &str,
    (bytes, modified): (u64, u64),
    content: &mut dyn Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(bytes);
    header.set_mode(MODE);
    header.set_mtime(modified);
    builder.append_data(&mut header, path, content)
}

/// So many bytes of a file, whatever happens to it.
struct Exactly<'a> {
    content: &'a mut dyn Read,
    left: u64,
    hasher: Hasher,
    problem: Option<String>,
}

impl Read for Exactly<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = into.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let into = &mut into[..wanted];
        if wanted == 0 {
            return Ok(0);
        }
        let read = if self.problem.is_some() { Ok(0) } else { self.content.read(into) };
        let count = match read {
            Ok(0) => {
                let left = self.left;
                self.problem
                    .get_or_insert_with(|| format!("it became shorter: its last {left} bytes are gone"));
                into.fill(0);
                wanted
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.problem = Some(format!("its last {} bytes cannot be read: {error}", self.left));
                into.fill(0);
                wanted
            }
        };
        self.hasher.update(&into[..count]);
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives some bytes, then fails.
    struct Failing(&'static [u8]);

    impl Read for Failing {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::Error::other("the disk is broken"));
            }
            self.0.read(into)
        }
    }

    fn taken(bytes: u64, content: &mut dyn Read) -> (Vec<u8>, Option<String>) {
        let mut exactly = Exactly { content, left: bytes, hasher: Hasher::new(), problem: None };
        let mut read = Vec::new();
        exactly.read_to_end(&mut read).expect("it never fails");
        assert_eq!(exactly.hasher.finish(), r_ems_engine::digest::Digest::of(&read));
        (read, exactly.problem)
    }

    #[test]
    fn a_file_is_taken_as_long_as_it_was_whatever_happens_to_it() {
        assert_eq!(taken(3, &mut &b"abc"[..]), (b"abc".to_vec(), None));
        assert_eq!(taken(3, &mut &b"abcd"[..]), (b"abc".to_vec(), None), "it grew");
        let (bytes, problem) = taken(5, &mut &b"abc"[..]);
        assert_eq!(
            (bytes.as_slice(), problem.is_some_and(|why| why.contains("shorter"))),
            (&b"abc\0\0"[..], true)
        );
        let (bytes, problem) = taken(5, &mut Failing(b"abc"));
        assert_eq!(
            (bytes.as_slice(), problem.is_some_and(|why| why.contains("broken"))),
            (&b"abc\0\0"[..], true)
        );
    }
}
