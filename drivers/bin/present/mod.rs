//! How numbers and results look to people: short, aligned, the point first.
//!
//! Programs read the JSON forms, which come from the same structures with full precision. Nothing here decides or measures.

pub mod assurance;
pub mod authority;
pub mod collect;
pub mod explanation;
pub mod explore;
pub mod failover;
pub mod margin;
pub mod persistence;
pub mod probe;
pub mod spark;
pub mod status;
pub mod style;
pub mod summary;
pub mod table;
pub mod text;
pub mod verdict;
