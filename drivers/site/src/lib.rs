//! The real world for a fleet: its clock, and the pace at which a run happens.
//!
//! - [`clock`] is the one place that reads a clock, and waits;
//! - [`paced`] lets each delivery of another driver pass at its time, and passes on what is asked from outside;
//! - [`control`] is how others ask: bounded, and never waiting for the loop;
//! - [`lateness`] counts how late deliveries passed;
//! - [`appender`] keeps what is recorded, on a thread that may wait for its disk;
//! - [`real_time`] asks the operating system for what punctuality needs.
//!
//! **Invariant:** what is measured here reaches a machine in a delivery or not at all, so a log holds whatever decided.

pub mod appender;
pub mod clock;
pub mod control;
pub mod lateness;
pub mod paced;
pub mod real_time;

pub use clock::{BootClock, Clock, Waited};
pub use control::{Asked, Control, Refused};
pub use lateness::Lateness;
pub use paced::Paced;
