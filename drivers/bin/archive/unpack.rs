//! Reads an archive entry by entry, and believes nothing that it says.
//!
//! It must never write a file, never hold more than paths, digests and the manifest, and never read on beyond its limits.
//! Whatever is no plain file or folder is refused: links and devices have no business in an archive of logs.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use r_ems_engine::digest::{Digest, Hasher};
use tar::{Archive, Entry, EntryType};

use super::manifest::{LEFT_OUT_MAX, Manifest};
use super::{
    ENTRIES_MAX, MANIFEST, MANIFEST_BYTES_MAX, PATH_BYTES_MAX, REST_BYTES_MAX, UNPACKED_BYTES_MAX,
    path_refusal,
};

/// What an archive held.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// What it says about itself, if it has been read as far.
    pub manifest: Option<Manifest>,
    /// By path below the archive's folder: length and digest of each file but the manifest.
    pub files: BTreeMap<String, (u64, Digest)>,
    /// Why it was read no further.
    pub refusal: Option<Refusal>,
}

/// Why an archive is read no further.
#[derive(Debug)]
pub enum Refusal {
    /// It is damaged or cut off.
    Broken(io::Error),
    /// An entry is what it must not be.
    Entry {
        /// Its path, as far as it is one.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// Something is more than a limit.
    TooMuch(&'static str),
    /// Its manifest cannot be read.
    Manifest(String),
}

/// Something that is not as the manifest says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// There is no manifest.
    NoManifest,
    /// A file is another one than was collected.
    Changed(String),
    /// A file is missing.
    Missing(String),
    /// A file was not collected.
    Strange(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => {
                // An error may hold what stands in the archive.
                write!(f, "the archive is damaged or cut off: {}", error.to_string().escape_debug())
            }
            Self::Entry { path, why } => {
                write!(
                    f,
                    "the archive is refused: {}: {why}; r-emsctl collect makes no such entry",
                    path.escape_debug()
                )
            }
            Self::TooMuch(what) => write!(f, "the archive is refused: {what}"),
            Self::Manifest(why) => write!(f, "the archive is refused: {}", why.escape_debug()),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoManifest => {
                write!(
                    f,
                    "there is no {MANIFEST}: the archive is cut off, or r-emsctl collect did not make it"
                )
            }
            Self::Changed(path) => write!(f, "{path}: its bytes are not those that were collected"),
            Self::Missing(path) => write!(f, "{path}: it was collected and is not there"),
            Self::Strange(path) => write!(f, "{path}: it was not collected"),
        }
    }
}

impl Unpacked {
    /// Everything that is not as the manifest says.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let Some(manifest) = &self.manifest else { return vec![Mistake::NoManifest] };
        let told: BTreeMap<&str, (u64, Digest)> =
            manifest.files.iter().map(|file| (file.path.as_str(), (file.bytes, file.blake3))).collect();
        let compared = self.files.iter().filter_map(|(path, found)| match told.get(path.as_str()) {
            None => Some(Mistake::Strange(path.clone())),
            Some(expected) if expected != found => Some(Mistake::Changed(path.clone())),
            Some(_) => None,
        });
        let missing = told.keys().filter(|path| !self.files.contains_key(**path));
        compared.chain(missing.map(|path| Mistake::Missing((*path).to_owned()))).collect()
    }
}

/// Reads an archive, and lets `take` read each of its files, but for the manifest, in its order. What `take` leaves is read
/// over.
pub fn unpack(packed: impl BufRead, mut take: impl FnMut(&str, &mut dyn Read)) -> Unpacked {
    let mut unpacked = Unpacked::default();
    let mut archive = Archive::new(GzDecoder::new(packed));
    let mut reading = Reading { bytes: 0, entries: 0, long_name: None, folder: None };
    if let Err(refusal) = reading.read_all(&mut archive, &mut unpacked, &mut take) {
        unpacked.refusal = Some(refusal);
        return unpacked;
    }
    // Gzip's own checksum comes after everything.
    let mut rest = archive.into_inner().take(REST_BYTES_MAX + 1);
    match io::copy(&mut rest, &mut io::sink()) {
        Err(error) => unpacked.refusal = Some(Refusal::Broken(error)),
        Ok(count) if count > REST_BYTES_MAX => {
            unpacked.refusal = Some(Refusal::TooMuch("it goes on after its last entry"));
        }
        Ok(_) => {}
    }
    unpacked
}

/// How far an archive has been read.
struct Reading {
    bytes: u64,
    entries: usize,
    /// The path of the next entry, where it has an entry of its own.
    long_name: Option<String>,
    /// The folder in which everything stands.
    folder: Option<String>,
}

impl Reading {
    fn read_all<R: Read>(
        &mut self,
        archive: &mut Archive<R>,
        unpacked: &mut Unpacked,
        take: &mut impl FnMut(&str, &mut dyn Read),
    ) -> Result<(), Refusal> {
        // Raw: nothing is read of an entry, and nothing of it is believed, before it has been looked at here.
        for entry in archive.entries().map_err(Refusal::Broken)?.raw(true) {
            self.read(entry.map_err(Refusal::Broken)?, unpacked, take)?;
        }
        Ok(())
    }

    fn read<R: Read>(
        &mut self,
        mut entry: Entry<'_, R>,
        unpacked: &mut Unpacked,
        take: &mut impl FnMut(&str, &mut dyn Read),
    ) -> Result<(), Refusal> {
        let size = entry.size();
        let kind = entry.header().entry_type();
        if kind == EntryType::GNULongName {
            // It belongs to the next one: whoever packs knows nothing of it.
            return self.take_long_name(&mut entry);
        }
        self.count(size)?;
        let own = || String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = self.long_name.take().unwrap_or_else(own);
        let refuse = |why: String| Err(Refusal::Entry { path: path.clone(), why });
        if let Some(why) = kind_refusal(kind) {
            return refuse(format!("it is {why}"));
        }
        // A folder may be written with a slash at its end, and where somebody stood with a dot.
        let plain = path.strip_prefix("./").unwrap_or(&path);
        let plain = plain.strip_suffix('/').filter(|_| kind == EntryType::Directory).unwrap_or(plain);
        if kind == EntryType::Directory && matches!(plain, "" | ".") {
            return Ok(());
        }
        if let Some(why) = path_refusal(plain) {
            return refuse(why.to_owned());
        }
        let (folder, below) = plain.split_once('/').unwrap_or((plain, ""));
        let known = self.folder.get_or_insert_with(|| folder.to_owned());
        if known != folder {
            return refuse(format!("everything else stands in {known}"));
        }
        if kind == EntryType::Directory {
            return Ok(());
        }
        if below.is_empty() {
            return refuse("it stands in no folder".to_owned());
        }
        if unpacked.manifest.is_some() {
            return refuse(format!("it comes after {MANIFEST}"));
        }
        if below == MANIFEST {
            unpacked.manifest = Some(manifest(&mut entry)?);
            return Ok(());
        }
        if unpacked.files.contains_key(below) {
            return refuse("it is there twice".to_owned());
        }
        let mut hashing = Hashing { content: &mut entry, hasher: Hasher::new(), bytes: 0, failed: None };
        take(below, &mut hashing);
        // Whoever took it may have stopped early.
        let drained = io::copy(&mut hashing, &mut io::sink());
        let Hashing { hasher, bytes, failed, .. } = hashing;
        if let Some(error) = failed.or(drained.err()) {
            return Err(Refusal::Broken(error));
        }
        if bytes < size {
            return Err(Refusal::Broken(io::ErrorKind::UnexpectedEof.into()));
        }
        unpacked.files.insert(below.to_owned(), (bytes, hasher.finish()));
        Ok(())
    }

    fn count(&mut self, bytes: u64) -> Result<(), Refusal> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        if self.entries > ENTRIES_MAX {
            return Err(Refusal::TooMuch("it has more entries than any host keeps files"));
        }
        if self.bytes > UNPACKED_BYTES_MAX {
            return Err(Refusal::TooMuch("unpacked it is larger than anything that r-emsctl collect makes"));
        }
        Ok(())
    }

    fn take_long_name<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(Refusal::Entry { path: "a long name".to_owned(), why: why.to_owned() });
        // A zero byte ends it.
        if entry.size() > PATH_BYTES_MAX as u64 + 1 {
            return refuse("it is too long");
        }
        if self.long_name.is_some() {
            return refuse("it follows another one");
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(Refusal::Broken)?;
        let name = bytes.strip_suffix(b"\0").unwrap_or(&bytes);
        self.long_name = Some(String::from_utf8_lossy(name).into_owned());
        Ok(())
    }
}

fn manifest<R: Read>(entry: &mut Entry<'_, R>) -> Result<Manifest, Refusal> {
    if entry.size() > MANIFEST_BYTES_MAX {
        return Err(Refusal::TooMuch("its manifest is too large"));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(Refusal::Broken)?;
    let manifest = Manifest::read(&bytes).map_err(Refusal::Manifest)?;
    if manifest.files.len() > ENTRIES_MAX || manifest.left_out.len() > LEFT_OUT_MAX {
        return Err(Refusal::TooMuch("its manifest lists more than r-emsctl collect does"));
    }
    match manifest.files.iter().find_map(|file| path_refusal(&file.path)) {
        Some(why) => Err(Refusal::Manifest(format!("{MANIFEST}: of a file: {why}"))),
        None => Ok(manifest),
    }
}

/// What a kind of entry is that must not be there.
fn kind_refusal(kind: EntryType) -> Option<&'static str> {
    const KNOWN: [(EntryType, &str); 8] = [
        (EntryType::Symlink, "a symbolic link"),
        (EntryType::Link, "a hard link"),
        (EntryType::Char, "a device"),
        (EntryType::Block, "a device"),
        (EntryType::Fifo, "a pipe"),
        (EntryType::GNUSparse, "a sparse file"),
        (EntryType::XHeader, "a pax header, as tar --format=gnu makes none"),
        (EntryType::XGlobalHeader, "a pax header, as tar --format=gnu makes none"),
    ];
    if matches!(kind, EntryType::Regular | EntryType::Directory) {
        return None;
    }
    let known = KNOWN.into_iter().find(|known| known.0 == kind);
    Some(known.map_or("of a kind that is not known", |known| known.1))
}

/// Digests what passes, and remembers what went wrong, whoever it was told to.
struct Hashing<'a, R> {
    content: &'a mut R,
    hasher: Hasher,
    bytes: u64,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.content.read(into) {
            Ok(count) => {
                self.hasher.update(&into[..count]);
                self.bytes += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let told = io::Error::new(error.kind(), error.to_string());
                self.failed.get_or_insert(error);
                Err(told)
            }
        }
    }
}
