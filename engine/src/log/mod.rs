//! The log: black box, recovery journal and regression test in one format.
//!
//! # Layout
//!
//! A file is one segment. Numbers of fixed width are little-endian; `varint` is LEB128 of a `u64`.
//!
//! ```text
//! segment  = preamble, group "HEAD", group "RECS" or "MEMO" ...      the last record is the closing record
//! preamble = magic "R-EMSLOG", format number u32, CRC-32 of both
//! group    = marker 4 bytes, payload length u32, record count u32, CRC-32 of the payload u32,
//!            synced position u64, time of the first record u64,
//!            first 16 bytes of the blake3 digest of the previous group (of the preamble, for the first),
//!            CRC-32 of all that u32, payload
//! HEAD     = one encoded [`Header`]: versions, names, seed, and the texts that explain the run
//! RECS     = records, see [`record`]
//! MEMO     = what the records before it leave to remember, see `memory`; its time is that of the last of them
//! ```
//!
//! - [`recording`] decides what is recorded when; [`writer`] lays it out; [`reader`] believes nothing that it has not checked.
//! - `memory` is what both sides remember, so that a record says only what has changed.
//! - [`scan`] looks through what cannot be read for what was known to be durable;
//! - [`chain`] folds what machines ask for; [`filter`] cuts one controller's log out of a fleet's.
//!
//! # Decisions
//!
//! **Records carry digests of the past.** A delivery is written before it is handled, so that the log of a crash ends with
//! its cause. Its record therefore carries 16 bits of its controller's *earlier* effects; every [`CHECKPOINT_DELIVERIES`]
//! deliveries, and at the close, a record carries both chains of that controller in full.
//!
//! **Full chains are records of their controller, not a field of the group.** A fleet's log must filter to exactly the
//! controller's own log. Groups of the two begin at different records, where the fleet's log has no full chain to copy.
//!
//! **Beside a state stands its memory.** A state is one version's encoding; the record after it holds what other versions can go
//! on with, in a form with a number of its own. It may be missing, and a reader passes over a form that it does not know.
//!
//! **Groups end where their content says so**, after [`GROUP_BYTES`], never by a clock; only [`writer::Writer::flush`] ends one
//! early.
//!
//! **Every few megabytes stands what is to be remembered,** in a group of its own, though readers from the beginning know it: a
//! record says only what has changed, and a minute of a day would else be found only through all that is before it. It is in the
//! chain like any group, and whoever comes from before it compares.
//!
//! **Damage is not a torn tail.** A file that simply ends is readable up to its last whole group, and the reader says so. A
//! checksum or chain that does not match is an error; whoever recovers compares its position with the synced one.

pub mod chain;
pub mod codec;
pub mod error;
pub mod filter;
pub mod header;
pub mod reader;
pub mod record;
pub mod recording;
pub mod scan;
pub mod writer;

mod decode;
mod effects;
mod encode;
mod events;
#[cfg(test)]
mod golden;
mod group;
mod memory;
pub(crate) mod varint;

pub use chain::{ChainPair, Chains, identity};
pub use error::{Flaw, LogError, ReadError};
pub use filter::{FilterError, filtered};
pub use header::{ControllerNames, DeviceName, EffectsKept, Header, HeaderError};
pub use reader::{End, Places, Reader, Source, Status};
pub use record::{Content, Ending, Kind, Record};
pub use recording::{Recording, Scope};
pub use writer::Writer;

pub use crate::machine::MAX_EFFECTS;

/// How a log's bytes are laid out (`F` in CHANGELOG.md).
pub const FORMAT: u32 = 1;
/// What machines answer to the same deliveries (`B` in CHANGELOG.md).
pub const BEHAVIOR: u32 = 1;
/// The version of this engine, as a log's header names it.
pub const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A group ends once its payload has this many bytes: large enough that its checksums cost little, small enough to lose.
pub const GROUP_BYTES: usize = 64 << 10;
/// Deliveries of one controller between two records of its full chains: a fifteenth of a byte a delivery.
pub const CHECKPOINT_DELIVERIES: u32 = 256;

/// Most controllers of one log.
pub const MAX_CONTROLLERS: usize = 4_096;
/// Most devices of all controllers of one log.
pub const MAX_DEVICES: usize = 16_384;
/// Most samples in one delivery.
pub const MAX_SAMPLES: usize = 256;
/// Largest encoded header.
pub const MAX_HEADER_BYTES: usize = 4 << 20;
/// Largest payload of a group: a full one, and one state on top.
pub const MAX_GROUP_BYTES: usize = GROUP_BYTES + codec::MAX_VALUE_BYTES + 64;
