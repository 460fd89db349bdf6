//! The log: black box, recovery journal and regression test in one format.

pub mod codec;
