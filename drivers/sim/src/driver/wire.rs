//! Connections at the wire: frames on their way between controllers and devices, and what becomes of connections.
//!
//! A connection is made at a controller's wish and ends at its wish, or because its device restarts; a line that is cut says
//! nothing. What a controller writes meanwhile its host keeps, and sends when the cable is in again, unless the connection has
//! ended by then; where the process stands still, its host ends it once the write has expired.
//!
//! A serial line is such a connection whose frames take as long to pass as their characters do. Nobody else is on it.
//!
//! Frames arrive in the order in which they were sent. What is late, wrong, missing or refused is what the links of the devices
//! say, as where links pass values: here it comes as bytes.

mod freight;

use alloc::vec::Vec;

use r_ems_engine::fieldbus::frame::Frame;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{BusSpec, DeviceMap};
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex};
use r_ems_engine::machine::{LinkWish, SetPointWrite, WriteKind};
use r_ems_engine::{LocalTime, Time};

pub(super) use self::freight::Freight;
use self::freight::Parcel;
use super::SimDriver;
use super::pending::{Happened, Of, Pending};
use crate::wire::own;

/// The connections of one controller.
#[derive(Clone, Debug)]
pub(super) struct Wires {
    /// With the maps that the devices themselves know.
    bus: BusSpec,
    lines: Vec<Line>,
    /// What has arrived last.
    arrived: Vec<u8>,
}

/// One connection.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    /// Counts the attempts to connect: what was sent on an earlier one reaches nobody.
    number: u32,
    is_open: bool,
    /// Which connection of the first device's link it is.
    on: u32,
    /// When the last frame arrives: no later one overtakes it.
    last_arrival: Time,
}

impl Wires {
    pub(super) fn new(bus: &BusSpec) -> Self {
        let lines = alloc::vec![Line::default(); bus.connections.len()];
        let devices = bus.devices.iter().map(|map| own(map).0).collect();
        let bus = BusSpec { connections: bus.connections.clone(), devices };
        Self { bus, lines, arrived: Vec::new() }
    }

    /// The process ends, and its connections with it.
    pub(super) fn close_all(&mut self) {
        self.lines.iter_mut().for_each(Line::close);
    }

    /// What has arrived last.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.arrived
    }

    /// The devices behind a connection.
    fn behind(&self, connection: ConnectionIndex) -> impl Iterator<Item = &DeviceMap> {
        self.bus.devices.iter().filter(move |map| map.connection() == connection)
    }

    /// The device of a unit behind a connection.
    fn map(&self, connection: ConnectionIndex, unit: u8) -> Option<&DeviceMap> {
        let units = &self.bus.connections[connection.position()].units;
        self.behind(connection).find(|map| units[usize::from(map.unit())].unit == unit)
    }

    /// How frames lie on a connection.
    fn framing(&self, connection: ConnectionIndex) -> Framing {
        self.bus.connections[connection.position()].framing
    }

    /// What was sent on a connection, which is one frame.
    fn read<'b>(&self, connection: ConnectionIndex, bytes: &'b [u8]) -> Frame<'b> {
        self.framing(connection).whole(bytes).expect("a machine sends whole frames")
    }

    pub(super) fn map_of(&self, device: DeviceIndex) -> Option<&DeviceMap> {
        self.bus.map_of(device)
    }
}

impl Line {
    const fn close(&mut self) {
        self.number = self.number.wrapping_add(1);
        self.is_open = false;
    }
}

impl SimDriver {
    /// A controller wants a connection opened or closed.
    pub(super) fn change_line(&mut self, at: Time, post: u16, connection: ConnectionIndex, wish: LinkWish) {
        let state = &mut self.posts[usize::from(post)];
        let devices: Vec<DeviceIndex> = state.wires.behind(connection).map(DeviceMap::device).collect();
        let of = Of { post, life: state.life };
        let line = &mut state.wires.lines[connection.position()];
        line.close();
        let number = line.number;
        let Some(first) = devices.first().copied() else { return };
        match wish {
            LinkWish::Closed => devices.into_iter().for_each(|device| self.disconnect(post, device)),
            LinkWish::Open => {
                for device in devices {
                    self.link(post, device).give_up(false);
                }
                let opens = self.open(at, of, first);
                if let Some((then, is_open)) = opens {
                    self.queue.push(then, Pending::LineTold { of, connection, number, is_open });
                }
            }
        }
    }

    /// When it is known whether a connection can be had, and whether it can; `None`: nobody says.
    fn open(&mut self, at: Time, of: Of, device: DeviceIndex) -> Option<(Time, bool)> {
        let link = self.link(of.post, device);
        if link.is_cut_off() || !link.hears() {
            return None;
        }
        let (latency, is_slot) = (link.latency(), link.one_connection().is_some());
        if is_slot {
            return Some(self.exchange(at, of, device).map_or((at + latency, false), |from| (from, true)));
        }
        Some((self.link(of.post, device).opens_at(at)? + latency, true))
    }

    /// A controller hears how its connection fares, unless it has given that one up.
    pub(super) fn tell_line(
        &mut self,
        at: Time,
        of: Of,
        connection: ConnectionIndex,
        (number, is_open): (u32, bool),
    ) -> Option<(u16, Happened)> {
        if !self.hears(of) {
            return None;
        }
        let wires = &self.posts[usize::from(of.post)].wires;
        if wires.lines[connection.position()].number != number {
            return None;
        }
        let first = wires.behind(connection).next().map(DeviceMap::device)?;
        let on = self.link(of.post, first).sent(at).connection();
        let line = &mut self.posts[usize::from(of.post)].wires.lines[connection.position()];
        if is_open {
            (line.is_open, line.on, line.last_arrival) = (true, on, at);
        } else {
            line.close();
        }
        Some((of.post, Happened::Line { connection, is_open }))
    }

    /// The other end says that a connection is over.
    fn reset(&mut self, then: Time, of: Of, connection: ConnectionIndex) {
        let wires = &mut self.posts[usize::from(of.post)].wires;
        let devices: Vec<DeviceIndex> = wires.behind(connection).map(DeviceMap::device).collect();
        let line = &mut wires.lines[connection.position()];
        line.close();
        let number = line.number;
        devices.into_iter().for_each(|device| self.disconnect(of.post, device));
        self.queue.push(then, Pending::LineTold { of, connection, number, is_open: false });
    }

    /// A controller sends a frame.
    pub(super) fn send_frame(
        &mut self,
        (at, now): (Time, LocalTime),
        post: u16,
        connection: ConnectionIndex,
        bytes: &[u8],
        write: Option<&SetPointWrite>,
    ) {
        let state = &self.posts[usize::from(post)];
        let wires = &state.wires;
        let (of, line) = (Of { post, life: state.life }, wires.lines[connection.position()]);
        if !line.is_open {
            return;
        }
        if let Some(write) = write.filter(|write| state.refuses_to_send(now, write)) {
            let SetPointWrite { device, kind, valid_until, .. } = *write;
            return self.queue.push(at, Pending::NotSent { of, device, kind, valid_until });
        }
        let Frame { unit, pdu, .. } = wires.read(connection, bytes);
        let Some(device) = wires.map(connection, unit).map(DeviceMap::device) else { return };
        let passes = wires.framing(connection).passes(pdu.len());
        let first = wires.behind(connection).next().map_or(device, DeviceMap::device);
        let leader = self.link(post, first);
        let (latency, is_cut) = (leader.latency(), leader.is_cut_off());
        if leader.sent(at).connection() != line.on && !is_cut {
            return self.reset(at + latency, of, connection);
        }
        if self.exchange(at, of, first) != Some(at) && !is_cut {
            return self.reset(at + latency, of, connection);
        }
        let link = self.link(post, device);
        let is_unheard = is_cut || !link.hears() || link.is_cut_off();
        if is_unheard {
            match write {
                Some(_) => link.count_write_timeout(),
                None => link.count_poll_timeout(),
            }
            if !is_cut || write.is_none() {
                return;
            }
        }
        let parcel = Parcel {
            of,
            connection,
            number: line.number,
            device,
            bytes: bytes.to_vec(),
            write: write.copied(),
            samples: Vec::new(),
        };
        if is_cut {
            return self.freight.keep(parcel);
        }
        match write {
            None => self.answer_read(at, parcel),
            Some(write) => {
                let reaches = self.link(post, device).reaches_at(at) + passes;
                match write.kind {
                    WriteKind::SetPoint => self.note_sent(at, post, write),
                    WriteKind::Heartbeat => self.note_leaves(at, post, write),
                }
                let slot = self.freight.send(parcel);
                self.queue.push(reaches, Pending::Request { of, slot });
            }
        }
    }

    /// The data unit of a request.
    fn asked(&self, parcel: &Parcel) -> Vec<u8> {
        let wires = &self.posts[usize::from(parcel.of.post)].wires;
        wires.read(parcel.connection, &parcel.bytes).pdu.to_vec()
    }

    /// A device is read, and its answer is on its way.
    fn answer_read(&mut self, at: Time, parcel: Parcel) {
        let Parcel { of, connection, device, .. } = parcel;
        let asked = self.asked(&parcel);
        let passes = self.posts[usize::from(of.post)].wires.framing(connection).passes(asked.len());
        let (pdu, samples) = self.respond(at, (of, device), &asked, None);
        let arrives = self.link(of.post, device).answered_at(at) + passes;
        self.send_answer(arrives, connection, Parcel { samples, ..parcel }, &pdu);
    }

    /// A request to write reaches its device, which answers.
    pub(super) fn request_reaches(&mut self, at: Time, slot: u32) {
        let parcel = self.freight.take(slot);
        let Parcel { of, connection, device, .. } = parcel;
        let asked = self.asked(&parcel);
        let (pdu, _values) = self.respond(at, (of, device), &asked, parcel.write.as_ref());
        let arrives = self.link(of.post, device).acknowledged_at(at);
        self.send_answer(arrives, connection, parcel, &pdu);
    }

    /// Sends an answer on its way, unless the connection on which it was asked is over.
    fn send_answer(&mut self, arrives: Time, connection: ConnectionIndex, parcel: Parcel, pdu: &[u8]) {
        let state = &mut self.posts[usize::from(parcel.of.post)];
        let framing = state.wires.framing(connection);
        let Frame { transaction, unit, .. } = state.wires.read(connection, &parcel.bytes);
        let line = &mut state.wires.lines[connection.position()];
        if state.life != parcel.of.life || line.number != parcel.number {
            return;
        }
        line.last_arrival = line.last_arrival.max(arrives + framing.passes(pdu.len()));
        let then = line.last_arrival;
        let mut bytes = Vec::new();
        framing.put(&mut bytes, transaction, unit, |out| out.extend_from_slice(pdu));
        let of = parcel.of;
        let slot = self.freight.send(Parcel { bytes, ..parcel });
        self.queue.push(then, Pending::Frame { of, slot });
    }

    /// Lets the world pass up to an instant, at which nobody lives: for programs that serve its devices to others.
    pub fn pass_until(&mut self, at: Time) {
        self.end = self.end.max(at);
        let end = core::mem::replace(&mut self.end, at);
        while self.wait().is_some() {}
        self.end = end;
    }

    /// A frame reaches a controller, unless the connection on which it travelled is over.
    pub(super) fn frame_arrives(&mut self, at: Time, slot: u32) -> Option<(u16, Happened)> {
        let Parcel { of, connection, number, device, bytes, samples, .. } = self.freight.take(slot);
        let line = self.posts[usize::from(of.post)].wires.lines[connection.position()];
        let first =
            self.posts[usize::from(of.post)].wires.behind(connection).next().map(DeviceMap::device)?;
        let leader = self.link(of.post, first);
        let is_lost = line.number != number || leader.sent(at).connection() != line.on;
        if is_lost || !self.hears(of) {
            return None;
        }
        self.link(of.post, device).brings(&samples);
        self.posts[usize::from(of.post)].wires.arrived = bytes;
        Some((of.post, Happened::Frame { connection, device, brings: !samples.is_empty() }))
    }
}
