//! What becomes of writes when authority is extended, ends, or is about to be given away.
//!
//! A write that has left and was not answered may wait in its connection. While authority is extended it may, and whoever counts
//! on its end is told; when that is over, the connection is closed. What has arrived is known from any answer to it, or to
//! what was sent after it, late or not: bytes keep their order.

use serde::{Deserialize, Serialize};

use super::{Bus, INSTANT, Leaving, Told, What};
use crate::machine::Effects;
use crate::time::LocalTime;

/// A write that may wait in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Transit {
    /// From this instant on it must not.
    pub(super) ends_at: LocalTime,
    /// Under which transaction it was sent last.
    pub(super) transaction: u16,
}

impl Transit {
    /// Whether an answer to this transaction shows that it has arrived.
    pub(super) const fn has_arrived_with(self, transaction: u16) -> bool {
        transaction.wrapping_sub(self.transaction) <= u16::MAX / 2
    }
}

impl Bus {
    /// What waits to leave may do so as long as the authority holds under which it was decided, and what has left may wait.
    pub(super) fn hear_authority(&mut self, epoch: u64, until: LocalTime) {
        for (attached, map) in self.devices.iter_mut().zip(&self.spec.devices) {
            for writing in attached.write.iter_mut().chain(&mut attached.waiting) {
                let extended = until.min(writing.decided + map.reversion());
                if writing.write.epoch == epoch {
                    writing.write.valid_until = writing.write.valid_until.max(extended);
                }
            }
        }
        self.extend_beats(epoch, until);
        for place in 0..self.devices.len() {
            self.extend_transit(place, until);
        }
    }

    /// Authority is extended that is about to be given away. What is under way may wait for its answer, so that its end is known:
    /// else nobody could write for D. Heartbeats go on to leave: nobody else cares for the devices yet.
    pub(super) fn hear_respite(&mut self, epoch: u64, until: LocalTime) {
        self.extend_beats(epoch, until);
        for place in 0..self.devices.len() {
            let master = &self.masters[self.spec.devices[place].connection().position()];
            let is_it = master
                .under_way()
                .is_some_and(|job| usize::from(job.tag.place) == place && job.tag.what == What::Write);
            if let Some(due) = master.answer_due().filter(|_due| is_it) {
                self.extend_transit(place, until.min(due));
            }
        }
    }

    fn extend_beats(&mut self, epoch: u64, until: LocalTime) {
        for (attached, map) in self.devices.iter_mut().zip(&self.spec.devices) {
            if let Some(heartbeat) = map.heartbeat() {
                attached.beats.extend(epoch, until, heartbeat);
            }
        }
    }

    fn extend_transit(&mut self, place: usize, until: LocalTime) {
        if let Some(transit) = &mut self.devices[place].in_transit
            && transit.ends_at <= until
        {
            transit.ends_at = until + INSTANT;
            let device = self.spec.devices[place].device();
            self.desk.told.push(Told::Left { device, valid_until: until, how: Leaving::Waits });
        }
    }

    /// Nothing leaves any more, nor waits in a connection: authority is given up from `until` on.
    pub(super) fn hear_end(&mut self, epoch: u64, until: LocalTime) {
        for attached in &mut self.devices {
            let writings = attached.write.iter_mut().chain(&mut attached.waiting);
            for writing in writings.filter(|writing| writing.write.epoch <= epoch) {
                // The instant itself is one of those that are given up.
                writing.write.valid_until = writing.write.valid_until.min(until - INSTANT);
            }
            if let Some(transit) = &mut attached.in_transit {
                transit.ends_at = transit.ends_at.min(until);
            }
            attached.beats.end(epoch, until);
        }
    }

    /// Closes the connections in which writes may wait that must not arrive any more.
    pub(super) fn recall(&mut self, now: LocalTime, out: &mut Effects) {
        for place in 0..self.devices.len() {
            if self.devices[place].in_transit.is_some_and(|transit| now >= transit.ends_at) {
                let connection = self.spec.devices[place].connection();
                self.with(now, connection, out, |master, counter| master.recall(now, counter));
            }
        }
    }
}
