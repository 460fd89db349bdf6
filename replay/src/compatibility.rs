//! Whether this program can replay a log, and what may be expected of it.
//!
//! - **The same engine:** everything is compared, and a difference is a bug.
//! - **Another version or behavior:** what machines ask for is compared, and a difference is a finding that names both versions.
//!   What they report is compared too, but a difference is only noted: a version may report more than the one before it.
//! - **Other functions:** refused. A state names a function by its position in the program's list.

use std::fmt;

use serde::Serialize;

use r_ems_engine::controller::Controller;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{BEHAVIOR, ENGINE_VERSION, Header};
use r_ems_engine::machine::Machine;

use crate::divergence::engine_name;

/// A machine whose logs can be replayed.
pub trait Replayable: Machine {
    /// The names of the functions that its state may refer to by position; a log's header has those of the program that wrote it.
    const FUNCTIONS: &'static [&'static str];
}

impl<F: FunctionSet> Replayable for Controller<F> {
    const FUNCTIONS: &'static [&'static str] = F::NAMES;
}

/// The first function that a log's program and this one do not have at the same position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherFunctions {
    /// Which position.
    pub position: usize,
    /// The functions of the program that wrote the log.
    pub logged: Vec<String>,
    /// The functions of this program.
    pub known: &'static [&'static str],
}

impl OtherFunctions {
    /// Finds it; `None` if this program has every function of the log where the log has it. It may have more behind them.
    pub fn find(logged: &[String], known: &'static [&'static str]) -> Option<Self> {
        let differs = |position: &usize| known.get(*position) != Some(&logged[*position].as_str());
        let position = (0..logged.len()).find(differs)?;
        Some(Self { position, logged: logged.to_vec(), known })
    }
}

impl fmt::Display for OtherFunctions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let here = self.known.get(self.position).copied().unwrap_or("nothing");
        write!(
            f,
            "the log's program had the functions {}, this one has {}: at position {} stood {}, here stands {here}; use the \
             program that recorded it",
            self.logged.join(", "),
            self.known.join(", "),
            self.position,
            self.logged[self.position],
        )
    }
}

/// Whether a log may be expected to replay bit for bit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// The same engine wrote it.
    Same,
    /// Another version wrote it; its machines should answer the same.
    OtherVersion {
        /// The engine that wrote the log.
        logged_by: String,
        /// The engine that replays it.
        replayed_by: String,
    },
    /// Its machines may answer differently by design.
    OtherBehavior {
        /// The engine that wrote the log.
        logged_by: String,
        /// The engine that replays it.
        replayed_by: String,
    },
}

impl Compatibility {
    /// Compares the engine that wrote a log with this one.
    pub fn of(header: &Header) -> Self {
        let logged_by = engine_name(&header.engine, header.behavior);
        let replayed_by = engine_name(ENGINE_VERSION, BEHAVIOR);
        if header.behavior != BEHAVIOR {
            Self::OtherBehavior { logged_by, replayed_by }
        } else if header.engine != ENGINE_VERSION {
            Self::OtherVersion { logged_by, replayed_by }
        } else {
            Self::Same
        }
    }
}

impl fmt::Display for Compatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("the log was written by this engine"),
            Self::OtherVersion { logged_by, replayed_by } => {
                write!(f, "the log was written by {logged_by} and is replayed by {replayed_by}")
            }
            Self::OtherBehavior { logged_by, replayed_by } => write!(
                f,
                "the log was written by {logged_by} and is replayed by {replayed_by}, whose behavior has another number: \
                 a difference may be meant"
            ),
        }
    }
}
