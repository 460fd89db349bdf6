//! Archives as bytes: taken apart, changed, and made by hand as nobody should.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: EntryType,
    /// What a link leads to.
    pub(crate) link: &'static str,
    /// What its head says of its length, if that is not true.
    pub(crate) claims: Option<u64>,
    pub(crate) content: Vec<u8>,
}

impl Entry {
    /// A plain file.
    pub(crate) fn file(path: &str, content: &[u8]) -> Self {
        Self {
            path: path.into(),
            kind: EntryType::Regular,
            link: "",
            claims: None,
            content: content.to_vec(),
        }
    }

    /// Something else that says nothing.
    pub(crate) fn other(path: &str, kind: EntryType, link: &'static str) -> Self {
        Self { kind, link, ..Self::file(path, b"") }
    }
}

/// The entries of an archive.
pub(crate) fn taken_apart(archive: &[u8]) -> Vec<Entry> {
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    let entries = archive.entries().expect("it is an archive").map(|entry| {
        let mut entry = entry.expect("it is whole");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("it is whole");
        let kind = entry.header().entry_type();
        Entry { path: entry.path_bytes().into_owned(), kind, link: "", claims: None, content }
    });
    entries.collect()
}

/// An archive of such entries, whatever they are.
pub(crate) fn put_together(entries: &[Entry]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&unpacked(entries)).expect("memory takes all");
    packed.finish().expect("memory takes all")
}

/// The same before it is packed.
pub(crate) fn unpacked(entries: &[Entry]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(entry.kind);
        header.set_size(entry.claims.unwrap_or(entry.content.len() as u64));
        header.set_mode(0o644);
        // Past the library, which would refuse a path that leads elsewhere.
        let name = &mut header.as_gnu_mut().expect("it is one of GNU's").name;
        name[..entry.path.len()].copy_from_slice(&entry.path);
        if !entry.link.is_empty() {
            header.set_link_name(entry.link).expect("it is short");
        }
        header.set_cksum();
        builder.append(&header, entry.content.as_slice()).expect("memory takes all");
    }
    builder.into_inner().expect("memory takes all")
}
