#![no_std]
//! Everything that decides about a site.

extern crate alloc;
// The macros that users call name this crate by its full name; so must they here.
extern crate self as r_ems_engine;

// Users' functions derive their encodings through this re-export, so that they need no serde of their own.
pub use serde;

pub mod controller;
pub mod digest;
pub mod event;
pub mod fleet;
pub mod functions;
pub mod ids;
pub mod log;
pub mod machine;
pub mod math;
pub mod points;
pub mod queue;
pub mod rng;
pub mod text;
pub mod time;
pub mod timing;
pub mod units;
pub mod wakes;
pub mod wall;

pub use time::{LocalTime, Span, Time};
