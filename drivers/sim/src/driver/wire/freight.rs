//! Frames on their way, and those that wait in a controller's host while the cable of a device is out.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use r_ems_engine::Time;
use r_ems_engine::fieldbus::map::DeviceMap;
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::machine::{Sample, SetPointWrite, WriteKind};

use super::Wires;
use crate::driver::SimDriver;
use crate::driver::pending::{Of, Pending};

/// Frames on their way.
#[derive(Clone, Debug, Default)]
pub(in crate::driver) struct Freight {
    parcels: Vec<Parcel>,
    free: VecDeque<u32>,
    /// What hosts keep until a cable is in again.
    kept: Vec<u32>,
}

/// One frame on its way, and what is known of it besides.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    pub(super) of: Of,
    pub(super) connection: ConnectionIndex,
    pub(super) number: u32,
    pub(super) device: DeviceIndex,
    pub(super) bytes: Vec<u8>,
    /// The write that a request carries.
    pub(super) write: Option<SetPointWrite>,
    /// The values that an answer brings.
    pub(super) samples: Vec<Sample>,
}

impl Freight {
    pub(super) fn send(&mut self, parcel: Parcel) -> u32 {
        if let Some(slot) = self.free.pop_front() {
            self.parcels[slot as usize] = parcel;
            return slot;
        }
        self.parcels.push(parcel);
        (self.parcels.len() - 1) as u32
    }

    /// A cable is out: a host keeps a frame until it is in again.
    pub(super) fn keep(&mut self, parcel: Parcel) {
        let slot = self.send(parcel);
        self.kept.push(slot);
    }

    /// Takes a frame off its way.
    pub(super) fn take(&mut self, slot: u32) -> Parcel {
        self.free.push_back(slot);
        let parcel = &mut self.parcels[slot as usize];
        let (bytes, samples) = (core::mem::take(&mut parcel.bytes), core::mem::take(&mut parcel.samples));
        Parcel { bytes, samples, ..*parcel }
    }

    /// A frame reaches nobody.
    pub(in crate::driver) fn throw_away(&mut self, slot: u32) {
        self.free.push_back(slot);
    }
}

impl SimDriver {
    /// The cable between a controller and a device is in again: its host sends what it kept on connections that are still open.
    pub(in crate::driver) fn send_kept(&mut self, at: Time, post: u16, device: DeviceIndex) {
        let kept = core::mem::take(&mut self.freight.kept);
        for slot in kept {
            let parcel = &self.freight.parcels[slot as usize];
            let leads = |wires: &Wires| wires.behind(parcel.connection).next().map(DeviceMap::device);
            if parcel.of.post != post || leads(&self.posts[usize::from(post)].wires) != Some(device) {
                self.freight.kept.push(slot);
            } else if self.is_kept_still(at, slot) {
                let (of, device, write) = (parcel.of, parcel.device, parcel.write);
                let (asked, connection) = (self.asked(parcel), parcel.connection);
                if let Some(write) = write.filter(|write| write.kind == WriteKind::SetPoint) {
                    self.note_on_its_way(at, post, &write);
                }
                let passes = self.posts[usize::from(post)].wires.framing(connection).passes(asked.len());
                let reaches = self.link(post, device).reaches_at(at) + passes;
                self.queue.push(reaches, Pending::Request { of, slot });
            } else {
                self.freight.throw_away(slot);
            }
        }
    }

    /// Whether a host has not given up yet what it kept.
    fn is_kept_still(&self, at: Time, slot: u32) -> bool {
        let Parcel { of, connection, number, write, .. } = &self.freight.parcels[slot as usize];
        let state = &self.posts[usize::from(of.post)];
        let line = state.wires.lines[connection.position()];
        let now = self.clocks[usize::from(state.host)].local(at);
        let has_expired = write.is_some_and(|write| now > write.valid_until);
        state.life == of.life
            && line.is_open
            && line.number == *number
            && !(has_expired && self.stands_still(of.post))
    }
}
