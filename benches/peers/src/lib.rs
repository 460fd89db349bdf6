//! Event queues side by side: the same workloads, in one process, on the same machine at the same time.
//!
//! `cargo run --release -p r-ems-bench-peers` prints one table with targets; `cargo bench -p r-ems-bench-peers` hands the
//! same to criterion. The package is outside the workspace's default members, so that nobody else compiles
//! the peers.
//!
//! Each peer is used as its documentation shows: desque with a boxed event type, NeXosim with a model that
//! schedules itself, with periodic events where events are periodic, a port for messages, and one thread
//! like the others. What an event does is the same few instructions everywhere ([`workloads::World`]),
//! and they are part of what is measured. Three of the four promise the same order, and
//! [`workloads::World::digest`] proves that they kept it.

mod nexosim_peer;
pub mod peers;
pub mod workloads;
