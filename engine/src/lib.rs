#![no_std]
//! Everything that decides about a site.

extern crate alloc;

pub mod digest;
pub mod math;
pub mod rng;
pub mod text;
pub mod time;
pub mod units;
pub mod wall;

pub use time::{LocalTime, Span, Time};
