#![no_std]
//! A made-up world, as deterministic as what it is made for.
//!
//! [`sources`] say what comes from outside, [`plant`] moves energy by the laws of physics, [`ledger`] checks that none is
//! made or lost and [`limits`] that nothing does what it cannot, [`account`] and [`supply`] keep what a summary says. The
//! [`network`] carries what controllers tell each other, and [`authority`] checks that one of them writes at a time,
//! [`progress`] that one does, [`reversion`] that no set-point outlives its expiry; [`slot`] is the connection to a device
//! that takes only one. What outlives them lies on [`disk`], and [`survival`] checks that it does.

extern crate alloc;

pub mod account;
pub mod authority;
pub mod bill;
pub mod disk;
pub mod driver;
pub mod expect;
pub mod ledger;
pub mod limits;
pub mod links;
pub mod network;
pub mod plant;
pub mod progress;
pub mod reversion;
pub mod slot;
pub mod sources;
pub mod supply;
pub mod survival;
mod wire;
pub mod world;
