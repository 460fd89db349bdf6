//! What an archive says about itself.
//!
//! **The fields are stable:** a later version adds fields and changes none; one that must change has another format number.

use r_ems_engine::digest::Digest;
use r_ems_engine::wall::WallTime;
use serde::{Deserialize, Serialize};

/// The number of this form; one above is refused.
pub const FORMAT: u32 = 1;
/// So many of what was left out are named; others are counted.
pub const LEFT_OUT_MAX: usize = 1_000;

/// The manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of the program that collected it.
    pub version: String,
    /// The computer's name.
    pub host: String,
    /// When collecting began, by the computer's clock.
    pub collected: WallTime,
    /// The state folder, as it was named.
    pub state: String,
    /// Where a daemon was asked.
    pub socket: String,
    /// Why it did not answer, if it did not.
    pub unanswered: Option<String>,
    /// Each file but this one, in the order of the archive.
    pub files: Vec<FileAbout>,
    /// What was found and not collected.
    pub left_out: Vec<LeftOut>,
    /// How many more were left out.
    pub left_out_more: u64,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FileAbout {
    /// Its path below the archive's folder.
    pub path: String,
    /// Its length, which was that of the original when it was opened.
    pub bytes: u64,
    /// Its digest.
    pub blake3: Digest,
    /// The engine that wrote it, if it is a segment whose header can be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineAbout>,
    /// What was wrong with the original: then what could not be read of it is zeros.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// The engine that wrote a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineAbout {
    /// Its version.
    pub version: String,
    /// Its behavior number (`B` in CHANGELOG.md).
    pub behavior: u32,
}

/// Something that was not collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path below the state folder.
    pub path: String,
    /// Why.
    pub why: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let failed = |error: serde_json::Error| format!("{}: {error}", super::MANIFEST);
        let Format { format } = serde_json::from_slice(bytes).map_err(failed)?;
        if format > FORMAT {
            return Err(format!(
                "{}: it has format {format}, this program knows formats up to {FORMAT}: use a newer one",
                super::MANIFEST
            ));
        }
        serde_json::from_slice(bytes).map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            format: FORMAT,
            version: "0.1.0".to_owned(),
            host: "a".to_owned(),
            collected: WallTime::EPOCH,
            state: "state/a".to_owned(),
            socket: "a.sock".to_owned(),
            unanswered: None,
            files: vec![FileAbout {
                path: "state/g/a/promise.a".to_owned(),
                bytes: 3,
                blake3: Digest::of(b"abc"),
                engine: None,
                problem: None,
            }],
            left_out: Vec::new(),
            left_out_more: 0,
        }
    }

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_one_of_a_later_form_is_refused_by_name() {
        let text = serde_json::to_string(&manifest()).expect("its keys are strings");
        assert_eq!(Manifest::read(text.as_bytes()), Ok(manifest()));
        let more = text.replacen('{', "{\"added_later\":1,", 1);
        assert_eq!(Manifest::read(more.as_bytes()), Ok(manifest()));
        let newer = "{\"format\":2,\"other\":true}";
        assert!(Manifest::read(newer.as_bytes()).expect_err("newer").contains("use a newer one"));
        assert!(Manifest::read(b"{").is_err());
    }
}
