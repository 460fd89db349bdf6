#![no_std]
//! Everything that decides about a site: deterministic state machines, pure and `no_std`.
//!
//! **One engine simulates a site, runs the site, and replays the site, bit for bit.** A run is one loop:
//!
//! ```text
//!                    next(): Delivery { at, now, to, step }
//!     ┌──────────┐ ───────────────────────────────────────> ┌─────────────────────────────┐
//!     │  Driver  │                                          │ Fleet of Machines           │
//!     │          │                                          │   Controller "harbour/a"    │
//!     │ simulated│                                          │     image ─> functions      │
//!     │ real     │                                          │       ─> role gate          │
//!     │ recorded │ <─────────────────────────────────────── │       ─> set-points         │
//!     └──────────┘   perform(): Outcome { effects, deadline,└─────────────────────────────┘
//!                                         state on demand }
//! ```
//!
//! The driver owns time and I/O; the machine owns its deadlines and decisions. Whatever a machine may observe is in a
//! delivery, hence in the log, hence replayed. Simulation, site and replay are three drivers of this one loop.
//!
//! # Where to read what
//!
//! | module | what it decides |
//! |---|---|
//! | [`machine`], [`fleet`] | the contract and the loop: read these first |
//! | [`controller`] | one machine per controller: from image to set-points |
//! | [`carry`], [`carried`] | what of its memory another host gets, and another version |
//! | [`points`] | the process image: values with quality, age and measuring time |
//! | [`functions`] | the control laws, one a file, and the list that names them |
//! | [`fieldbus`] | Modbus as machines that move no bytes: frames, register maps, who is asked what and when |
//! | [`event`] | what is reported: the observability contract |
//! | [`log`] | the format of logs, sans-IO: black box, recovery journal and regression test |
//! | [`persistence`] | what of it is durable when, what is kept, and how a life goes on after a crash |
//! | [`orchestrator`] | when a controller that failed an assertion lives again |
//! | [`queue`], [`wakes`] | order: by (time, push order); at one instant the queue first, then wakes by controller |
//! | [`timing`] | scan schedule, lateness, rate limit |
//! | [`time`], [`wall`], [`units`], [`text`], [`ids`] | quantities that cannot be mixed up, and their texts |
//! | [`mistakes`] | nothing, but where tests ask for it: the rules that are broken on purpose |
//! | [`math`], [`rng`], [`digest`] | the only sources of transcendental functions, noise and digests |
//!
//! # Invariants
//!
//! - **A machine observes nothing but its inputs.** There is no clock, no randomness, no I/O and no environment here; the
//!   compiler holds that fence (`no_std`, built for a bare target), clippy and a test of the manifests hold the rest.
//! - **Two clocks never mix.** `at` orders the run; `now` is the host's clock and all that a machine sees.
//! - **No NaN enters.** Quantities are finite by construction; what a device sends is doubted in [`points::image`].
//! - **Explicit widths.** Nothing that is stored or hashed holds a `usize` or the order of a hash map.
//! - **Nothing is allocated per delivery in the steady state.** Effects and samples are lent and reused.
//! - **A machine cannot fail.** What the world may do is an input; what our own code promises is an assertion, on in
//!   release too.
//! - **Set-points expire.** Each carries an epoch and the instant after which it must not be performed.

extern crate alloc;
// The macros that users call name this crate by its full name; so must they here.
extern crate self as r_ems_engine;

// Users' functions derive their encodings through this re-export, so that they need no serde of their own.
pub use serde;

pub mod carried;
pub mod carry;
pub mod controller;
pub mod digest;
pub mod event;
pub mod fieldbus;
pub mod fleet;
pub mod functions;
pub mod ids;
pub mod log;
pub mod machine;
pub mod math;
pub mod mistakes;
pub mod orchestrator;
pub mod persistence;
pub mod points;
pub mod queue;
pub mod redundancy;
pub mod rng;
pub mod text;
pub mod time;
pub mod timing;
pub mod units;
pub mod wakes;
pub mod wall;

pub use time::{LocalTime, Span, Time};
