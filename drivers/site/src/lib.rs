//! The real world for a fleet: its clock, and the pace at which a run happens.
//!
//! - [`clock`] is the one place that reads a clock, and waits;
//! - [`paced`] lets each delivery of another driver pass at its time, and passes on what is asked from outside;
//! - [`control`] is how others ask: bounded, and never waiting for the loop;
//! - [`site`] is the driver of a site: its controllers between clock and fieldbus;
//! - [`reactor`] waits for an instant and for sockets at once; [`mod@line`] is a fieldbus connection, which never waits;
//! - [`peers`] are datagrams between the hosts of a site, which prove who sent them and that they are new;
//! - [`lateness`] counts how late deliveries passed;
//! - [`appender`] keeps what is recorded, on a thread that may wait for its disk;
//! - [`disk`] keeps what outlives a controller, in a folder of its own;
//! - [`real_time`] asks the operating system for what punctuality needs.
//!
//! **Invariant:** what is measured here reaches a machine in a delivery or not at all, so a log holds whatever decided.
//!
//! **Decision: no queue between a socket and its machine, so none that overflows unseen.** What was read is delivered before more
//! is read. Where something is full all the same, its machine hears of it by an input that is in the log anyway:
//!
//! | full | what becomes of it | what the machine hears |
//! |---|---|---|
//! | a line, by what a device sends | it is closed | `LinkChanged` |
//! | a line, by what is sent to the device | it is closed, and what was given to it is taken back | `NotSent`, `LinkChanged` |
//! | the socket between hosts | a datagram is lost, as in any network | no letter: that is what watchdogs are for |
//! | what waits for the disk | the journal is kept no further, until a whole state is | `Journal` |
//! | commands | refused, and whoever asked hears it at once | nothing: it was asked for nothing |

pub mod appender;
pub mod clock;
pub mod control;
pub mod disk;
pub mod lateness;
pub mod line;
pub mod paced;
pub mod peers;
pub mod reactor;
pub mod real_time;
pub mod site;

pub use clock::{BootClock, Clock, Waited};
pub use control::{Asked, Control, Refused};
pub use lateness::Lateness;
pub use paced::Paced;
