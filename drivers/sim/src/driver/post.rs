//! A controller's place at run time: its host, its links, and how far its life is.

use alloc::format;
use alloc::vec::Vec;

use r_ems_engine::LocalTime;
use r_ems_engine::machine::SetPointWrite;
use r_ems_engine::mistakes::{Mistake, makes};
use r_ems_engine::redundancy::{Promise, Seat};
use r_ems_engine::wall::told as wall;

use super::stops::Afterwards;
use super::wire::Wires;
use crate::links::{Link, NoSuchValue};
use crate::plant::Bus;
use crate::world::Post;

/// A controller's place at run time.
#[derive(Clone, Debug)]
pub(super) struct PostState {
    /// Its host, whose clock is its clock.
    pub(super) host: u16,
    pub(super) grid: u16,
    pub(super) seat: Seat,
    pub(super) links: Vec<Link>,
    /// Its connections, where frames pass on them.
    pub(super) wires: Wires,
    /// Counts its boots and crashes.
    pub(super) life: u16,
    pub(super) is_up: bool,
    /// Whether its machine has booted in this life and has not stopped: else nothing reaches it.
    pub(super) has_booted: bool,
    /// It is asked to end in order.
    pub(super) leaves: Option<Afterwards>,
    /// Its machine failed an assertion: it is restored before it boots.
    pub(super) is_unfit: bool,
    pub(super) incarnation: u32,
    /// Writes under lower epochs leave no more: it gave these up.
    pub(super) writes_from: u64,
    /// What is durable, and what is on its way there.
    pub(super) promise: Promise,
    pub(super) saving: Option<Promise>,
    /// When its machine wants to be woken, by its clock.
    pub(super) deadline: Option<LocalTime>,
    /// What its machine was told of the wall clock.
    pub(super) wall: wall::Told,
}

impl PostState {
    pub(super) fn new(position: usize, post: &Post, bus: &Bus, seed: u64) -> Result<Self, NoSuchValue> {
        let mut links = Vec::with_capacity(post.links.len());
        for (device, link) in post.links.iter().enumerate() {
            links.push(Link::new(link, bus, seed, &format!("link {position}.{device}"))?);
        }
        Ok(Self {
            host: post.host,
            grid: post.grid,
            seat: post.seat,
            links,
            wires: Wires::new(&post.bus),
            life: 0,
            is_up: true,
            has_booted: false,
            leaves: None,
            is_unfit: false,
            incarnation: 1,
            writes_from: 0,
            promise: Promise::FIRST,
            saving: None,
            deadline: None,
            wall: wall::Told::NOTHING,
        })
    }

    /// Whether a write must not leave any more: it has expired, or the authority under which it was decided was given up.
    pub(super) fn refuses_to_send(&self, now: LocalTime, write: &SetPointWrite) -> bool {
        let has_ended = now > write.valid_until || write.epoch < self.writes_from;
        has_ended && !makes(Mistake::ExpiredWritePerformed)
    }
}
