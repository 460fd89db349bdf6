//! Persistence: what of a life outlives it.
//!
//! ```text
//!     controller ─ Promise, Snapshot ─> driver ─> journal, keeper of promises ─ requests ─> disk
//!                <─ Promised, Snapshotted, Journal ─┘        <────────────── replies ────────┘
//!     after a crash: files ─> recovery ─> state, promises ─> Restore, Boot
//! ```
//!
//! - [`life`] is all that keeps a controller from its recovery to its end, and what a driver holds of each;
//! - [`journal`] decides what is durable when, [`retention`] what is kept, [`promises`] what is never lost;
//! - [`recovery`] rebuilds a state from files; [`schedule`] is the controller's part: it only asks;
//! - [`disk`] is what they ask of a disk, [`status`] what the controller is told.
//!
//! # Decisions
//!
//! **The driver records, the machine asks.** The journal stands at the driver and takes each delivery before it is handled. It
//! is no effect of the machine, so the log holds nothing about itself; what the machine is told of it is an input like any other.
//! Everything here is sans-IO, so each fault of a disk is simulated.
//!
//! **Each life begins a new segment.** Nothing is ever appended to what a crash left: what a disk made of a torn tail is not
//! known.
//!
//! **What a killed process left may not be durable.** A recovery reads what is there; only the new life's own first segment
//! makes it durable, and its own number is kept before it begins.
//!
//! **States are of one version, memory is not.** Beside each state stands what another version can read, see
//! [`crate::carried`]: an upgrade begins a life with that, and not with nothing.
//!
//! **Invariant:** a disk that is full, slow, failing or read-only degrades persistence, says so, and never stops control.

pub mod disk;
pub mod journal;
pub mod life;
pub mod promises;
pub mod recovery;
pub mod retention;
pub mod schedule;
pub mod status;

pub use disk::{DiskError, FileName, Operation, Reply, Request, Storage};
pub use journal::{Journal, JournalSettings, SyncRule};
pub use life::{Lane, Life, News};
pub use promises::{Kept, PromiseKeeper};
pub use recovery::{Containment, Recovered, recover};
pub use retention::Retention;
pub use schedule::{SnapshotSchedule, SnapshotSettings};
pub use status::{JournalStatus, Origin, Trouble};
