//! The archive in which a host hands over what it keeps: made at a site by `collect`, read at a desk by `replay`.
//!
//! ```text
//! HOST-20261129-172003Z/daemon/status.json             what a daemon answered, if one did; config.json, events.jsonl
//! HOST-20261129-172003Z/state/GRID/ID/0000000042.rlog  what lies below its state folder: segments, promises
//! HOST-20261129-172003Z/manifest.json                  the last entry: what was collected, and of each file its digest
//! ```
//!
//! - [`pack`] writes it while the daemon may go on writing; [`unpack`] reads it and believes nothing; [`manifest`] is what it
//!   says about itself.
//!
//! # Decisions
//!
//! **Tar and gzip**, so that anybody's tools open it. Logs shrink to a third with it; zstd would take a C compiler.
//!
//! **Nothing is unpacked onto a disk.** Each file passes through the replay as it comes out of the archive. So no path of an
//! archive is ever one of the system's, and a bomb fills nothing: the limits below bound how long it is listened to.
//!
//! **The manifest comes last**, because digests are known when the bytes have been read, and each is read once. An archive
//! without one was cut off.

pub mod manifest;
pub mod pack;
pub mod unpack;

/// What an archive that is packed as gzip begins with.
pub const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The name of the manifest below the archive's folder.
pub const MANIFEST: &str = "manifest.json";
/// What lies below the state folder stands below this one.
pub const STATE: &str = "state";
/// What the daemon answered stands below this folder.
pub const DAEMON: &str = "daemon";

/// Most entries of an archive, folders among them, but not those that hold a long name of the next one.
pub const ENTRIES_MAX: usize = 20_000;
/// Most bytes of all its entries together.
pub const UNPACKED_BYTES_MAX: u64 = 64 << 30;
/// Longest path of an entry.
pub const PATH_BYTES_MAX: usize = 1_024;
/// Largest manifest.
pub const MANIFEST_BYTES_MAX: u64 = 64 << 20;
/// Most bytes after the last entry: programs that make archives fill them up.
pub const REST_BYTES_MAX: u64 = 1 << 20;

// A manifest has room for all entries, with each sign of their paths escaped.
const _: () = assert!((ENTRIES_MAX * (2 * PATH_BYTES_MAX + 512)) as u64 <= MANIFEST_BYTES_MAX);

/// Why something must not be the path of an entry; nothing if it may.
pub(crate) fn path_refusal(path: &str) -> Option<&'static str> {
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path.len() > PATH_BYTES_MAX {
        Some("its path is too long")
    } else if path.chars().any(char::is_control) {
        Some("its path has control characters")
    } else if path.contains(char::REPLACEMENT_CHARACTER) {
        Some("its path is no text")
    } else if path.starts_with('/') {
        Some("its path begins at the root")
    } else if !path.split('/').all(is_part) {
        Some("its path leads out of the archive, or has empty parts")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_where_it_is() {
        for path in ["a", "state/commerce/a/0000000001.rlog", "a b/é", "..a/b..", &"x".repeat(PATH_BYTES_MAX)]
        {
            assert_eq!(path_refusal(path), None, "{path}");
        }
        let long = "x".repeat(PATH_BYTES_MAX + 1);
        for path in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a/..",
            "./a",
            "a//b",
            "a/",
            "a\u{1b}[2J",
            "a\nb",
            "a\u{fffd}",
            &long,
        ] {
            assert!(path_refusal(path).is_some(), "{path:?}");
        }
    }
}
