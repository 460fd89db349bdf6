//! Records what reaches the machines of a run, and runs any log again bit for bit.
//!
//! ```text
//!     Fleet  <->  Recorder<any driver>  ->  log        every delivery, before it is handled
//!     Fleet  <->  ReplayDriver          <-  log        the same deliveries; every effect is compared
//! ```
//!
//! - [`recorder`] wraps a driver and writes its log; [`digesting`] only names the run;
//! - [`mod@replay`] runs a log again, up to its end or to any instant, through [`driver`]; the first difference is a
//!   [`Divergence`]; [`compatibility`] says what may be expected of a log;
//! - [`observed`] lets others see a replay, [`letters`] keeps of it what members of councils send each other, and [`common_time`]
//!   lines up the logs of several hosts by that;
//! - [`entries`], [`mod@diff`] and [`mod@statistics`] show what a log holds without running anything.
//!
//! Everything here is generic over the machine (only [`compatibility`] knows the engine's own) and knows logs only through the
//! engine's reader and writer. It must never look at a clock, and it never repairs a log: a log that cannot be believed is an
//! error.

pub mod common_time;
pub mod compatibility;
pub mod describe;
pub mod diff;
pub mod digesting;
pub mod divergence;
pub mod driver;
pub mod entries;
pub mod letters;
pub mod observed;
pub mod recorder;
pub mod replay;
pub mod source;
pub mod statistics;

mod recent;
mod writes;

pub use compatibility::{Compatibility, Replayable};
pub use diff::{Comparison, Difference, diff};
pub use digesting::Digesting;
pub use divergence::Divergence;
pub use driver::ReplayDriver;
pub use entries::{Entries, Entry, Filter};
pub use letters::Letters;
pub use observed::Observer;
pub use recorder::{Recorded, Recorder};
pub use replay::{Replay, ReplayError, Replayed, replay, replay_until};
pub use source::Bytes;
pub use statistics::{Statistics, statistics};
