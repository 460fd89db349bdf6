//! Redundancy: who may write, by construction and not by belief.
//!
//! A grid's controllers stand in failover order; a witness only votes. Authority is a lease with an epoch, granted by a
//! majority of hosts and counted from the request. At most one controller holds one at any instant of true time, as long as
//! every host's clock rate is within its bound; writes that are still on their way are waited for.
//!
//! - [`epoch`], [`council`] and [`settings`]: fencing numbers, seats and votes, intervals and what follows from them;
//! - [`grantor`] and [`holder`]: the two sides of a lease; [`promise`]: what both remember over a restart;
//! - [`message`]: what members tell each other; [`transfer`]: what the active remembers, for its standbys; [`letter`]: how both
//!   travel between hosts;
//! - [`supervisor`]: the machine that joins them, watches the active, and hands over.
//!
//! **Invariants.** A holder past its lease writes nothing. A voter forgets nothing that it granted, whatever restarts. No
//! message carries an instant of a host's clock. Every sentence of the rules matters: leaving one out gives two writers, and the
//! exhaustive model among the tests shows it.

pub mod council;
pub mod epoch;
pub mod grantor;
pub mod holder;
pub mod letter;
pub mod message;
pub mod promise;
pub mod role;
pub mod settings;
pub mod supervisor;
pub mod transfer;

pub use council::Council;
pub use epoch::{Epoch, Seat};
pub use message::Message;
pub use promise::Promise;
pub use role::{Reason, Role};
pub use settings::{CLOCK_RATE_PPB_MAX, FailBack, OnSilence, Settings};
pub use supervisor::{Authority, Command, Health, RedundancySupervisor, SupervisorSpec};
