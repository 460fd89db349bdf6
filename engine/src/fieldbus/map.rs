//! Register maps: at which connection and unit a device is found, where its points lie, and how its set-point is written.
//!
//! A map is made from a site file once; what it says fits the protocol, which [`DeviceMap::new`] sees to. The simulated device
//! behind a connection is made from the same map, so that a mistake in it shows in the same places as at a site.

mod flaw;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::flaw::{MapFlaw, Writes};
use super::master::ConnectionSpec;
use super::pdu::{MAX_REGISTERS_READ, Registers, Table};
use super::plan::{Piece, Read, ReadLimits, plan};
use super::register::Layout;
use super::write::{FieldContent, Heartbeat, WriteRequest, WrittenField};
use crate::ids::{ConnectionIndex, DeviceIndex, PointIndex};
use crate::machine::{Sample, Validity};
use crate::time::Span;

/// Most requests that one set-point takes.
pub const MAX_WRITE_REQUESTS: usize = 8;

/// The connections of one controller, and the maps of the devices behind them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusSpec {
    /// The connections; their order makes ids.
    pub connections: Vec<ConnectionSpec>,
    /// The devices that are found there, each at most once.
    pub devices: Vec<DeviceMap>,
}

impl BusSpec {
    /// How long all reads behind a connection take, one after the other.
    pub fn takes(&self, connection: ConnectionIndex) -> Span {
        let spec = &self.connections[connection.position()];
        let here = self.devices.iter().filter(|map| map.connection() == connection);
        let reads =
            here.flat_map(|map| map.reads().iter().map(|read| map.latency() + read.passes(spec.framing)));
        reads.fold(Span::ZERO, |sum, takes| sum + takes + spec.gap())
    }
}

/// What is said of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapping {
    /// Whose map it is.
    pub device: DeviceIndex,
    /// Where it is found.
    pub connection: ConnectionIndex,
    /// Its unit, by place in the connection's list.
    pub unit: u16,
    /// From a request to the arrival of its answer: what the beginning of polls is planned with.
    pub latency: Span,
    /// A set-point that has waited for so long leaves no more, whatever authority there is.
    pub reversion: Span,
    /// Whether a write does harm that arrives when it has expired: others may write then, and the device knows no epochs.
    pub recalls: bool,
    /// What it lets itself be asked.
    pub limits: ReadLimits,
    /// Its points.
    pub points: Vec<MappedPoint>,
    /// The requests that write a set-point, in order; none for a device that takes no set-points.
    pub writes: Vec<WriteRequest>,
    /// What it expects to hear, if it falls back without that.
    pub heartbeat: Option<Heartbeat>,
}

/// Where one point lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct MappedPoint {
    /// Which, in the controller's image.
    pub point: PointIndex,
    /// In which table of registers.
    pub table: Table,
    /// Its first register.
    pub address: u16,
    /// How it lies there.
    pub layout: Layout,
    /// What else must hold for it, in the same table.
    pub guard: Option<Guard>,
}

/// A number beside a point, which says whether the point means what it says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Its first register.
    pub address: u16,
    /// How it lies there.
    pub layout: Layout,
    /// What it must be: a whole number.
    pub is: f64,
    /// What the point is where it is not.
    pub otherwise: Otherwise,
}

/// What a point is whose guard does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Otherwise {
    /// The device does not know it.
    Unknown,
    /// It is this, in its base unit, and not in force: registers keep a set-point that the device does not follow any more.
    Value(f64),
}

/// A device's map, and the requests that follow from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceMap {
    device: DeviceIndex,
    connection: ConnectionIndex,
    unit: u16,
    latency: Span,
    reversion: Span,
    recalls: bool,
    points: Vec<MappedPoint>,
    reads: Vec<Read>,
    writes: Vec<WriteRequest>,
    heartbeat: Option<Heartbeat>,
}

impl DeviceMap {
    /// Plans the requests that a device takes.
    ///
    /// # Errors
    /// [`MapFlaw`] for the first thing that no device could be asked.
    pub fn new(said: Mapping) -> Result<Self, MapFlaw> {
        let Mapping { device, connection, unit, latency, reversion, recalls, .. } = said;
        let Mapping { limits, points, writes, heartbeat, .. } = said;
        if let Some(place) = points.iter().position(|point| point.table.is_of_bits()) {
            return Err(MapFlaw::Bits { place });
        }
        for (place, point) in points.iter().enumerate() {
            let hole = point.hole(&points);
            if hole > limits.hole {
                return Err(MapFlaw::Apart { place, hole });
            }
        }
        let pieces: Vec<Piece> = points.iter().map(MappedPoint::piece).collect();
        let reads = plan(&pieces, limits).map_err(MapFlaw::Read)?;
        if writes.len() > MAX_WRITE_REQUESTS {
            return Err(MapFlaw::ManyWrites { found: writes.len() });
        }
        let mut set_points = 0;
        for (place, write) in writes.iter().enumerate() {
            write.check(Writes::SetPoint(place))?;
            set_points += write.count(|content| content == FieldContent::SetPoint);
            if write.count(FieldContent::changes) > 0 {
                return Err(MapFlaw::Counts { place });
            }
        }
        if set_points != usize::from(!writes.is_empty()) {
            return Err(MapFlaw::SetPoints { found: set_points });
        }
        if let Some(Heartbeat { request, .. }) = &heartbeat {
            request.check(Writes::Heartbeat)?;
            let found = request.count(FieldContent::changes);
            if found != 1 || request.count(|content| content == FieldContent::SetPoint) > 0 {
                return Err(MapFlaw::Beats { found });
            }
            let is_steady = |field: &WrittenField| matches!(field.content, FieldContent::Constant(_));
            if let Some(value) = request.fields.iter().position(is_steady) {
                return Err(MapFlaw::BeatsSteady { value });
            }
            let meets = |(place, write)| request.meets(write).map(|address| (place, address));
            if let Some((place, address)) = writes.iter().enumerate().find_map(meets) {
                return Err(MapFlaw::BeatsOver { place, address });
            }
        }
        Ok(Self { device, connection, unit, latency, reversion, recalls, points, reads, writes, heartbeat })
    }

    /// Whose map it is.
    pub const fn device(&self) -> DeviceIndex {
        self.device
    }

    /// Where the device is found.
    pub const fn connection(&self) -> ConnectionIndex {
        self.connection
    }

    /// Its unit, by place in the connection's list.
    pub const fn unit(&self) -> u16 {
        self.unit
    }

    /// From a request to the arrival of its answer.
    pub const fn latency(&self) -> Span {
        self.latency
    }

    /// How long a set-point may wait before it leaves.
    pub const fn reversion(&self) -> Span {
        self.reversion
    }

    /// Whether a write that has left, and was not answered when it expires, is taken back.
    pub const fn recalls(&self) -> bool {
        self.recalls
    }

    /// Where its points lie.
    pub fn points(&self) -> &[MappedPoint] {
        &self.points
    }

    /// The requests that read all points.
    pub fn reads(&self) -> &[Read] {
        &self.reads
    }

    /// The requests that write a set-point, in order.
    pub fn writes(&self) -> &[WriteRequest] {
        &self.writes
    }

    /// What the device expects to hear.
    pub const fn heartbeat(&self) -> Option<&Heartbeat> {
        self.heartbeat.as_ref()
    }

    /// All requests that write to the device: those of a set-point, in order, and the heartbeat.
    pub fn all_writes(&self) -> impl Iterator<Item = &WriteRequest> {
        self.writes.iter().chain(self.heartbeat.iter().map(|heartbeat| &heartbeat.request))
    }

    /// Whether the device says itself which set-point is in force, and whether one is.
    pub fn tells_what_is_in_force(&self) -> bool {
        let tells = |guard: Guard| matches!(guard.otherwise, Otherwise::Value(_));
        self.points.iter().any(|point| point.guard.is_some_and(tells))
    }

    /// The points that one answer brings, with their values in base units.
    ///
    /// # Panics
    /// If the answer is not as long as the request asked: whoever took it sees to that.
    pub fn brought(&self, read: usize, registers: Registers<'_>) -> impl Iterator<Item = Sample> {
        self.pieces(read, registers).map(|(point, piece)| {
            let (validity, value) = point.value(piece);
            Sample { point: point.point, validity, value }
        })
    }

    /// The points that one answer brings, with the registers of their pieces.
    ///
    /// # Panics
    /// As [`DeviceMap::brought`].
    pub fn pieces<'b>(
        &self,
        read: usize,
        registers: Registers<'b>,
    ) -> impl Iterator<Item = (&MappedPoint, Registers<'b>)> {
        self.reads[read].pieces.iter().map(move |(place, offset)| {
            let point = &self.points[usize::from(*place)];
            let part = registers.part(usize::from(*offset), point.piece().count.into());
            (point, part.expect("the answer is whole"))
        })
    }
}

impl MappedPoint {
    /// All registers that one request must read for it.
    pub fn piece(&self) -> Piece {
        let (first, end) = self.own();
        let (first, end) = self.guard.map_or((first, end), |guard| {
            let (guard_first, guard_end) = guard.own();
            (first.min(guard_first), end.max(guard_end))
        });
        // More than a table has is refused when reads are planned.
        let count = u16::try_from(end - first).unwrap_or(u16::MAX);
        Piece { table: self.table, address: first as u16, count }
    }

    /// Its own registers among those of its piece.
    ///
    /// # Panics
    /// If those are not all of the piece.
    pub fn own_of<'b>(&self, piece: Registers<'b>) -> Registers<'b> {
        self.part(piece, self.address, &self.layout)
    }

    fn part<'b>(&self, piece: Registers<'b>, address: u16, layout: &Layout) -> Registers<'b> {
        let first = usize::from(address - self.piece().address);
        piece.part(first, layout.number.registers()).expect("the piece has all of them")
    }

    /// Its value in registers of its piece, and whether the device vouches for it; 0 where it does not.
    ///
    /// # Panics
    /// As [`MappedPoint::own_of`].
    pub fn value(&self, piece: Registers<'_>) -> (Validity, f64) {
        let read = |address: u16, layout: &Layout| layout.value(self.part(piece, address, layout));
        if let Some(guard) = &self.guard
            && !read(guard.address, &guard.layout).is_some_and(|found| guard.is_it(found))
        {
            return match guard.otherwise {
                Otherwise::Unknown => (Validity::Invalid, 0.0),
                Otherwise::Value(value) => (Validity::NotInForce, value),
            };
        }
        read(self.address, &self.layout).map_or((Validity::Invalid, 0.0), |value| (Validity::Valid, value))
    }

    /// Its own first register, and where they end.
    fn own(&self) -> (u32, u32) {
        own(self.address, &self.layout)
    }

    /// How many registers in a row between it and its guard none of the points names.
    fn hole(&self, points: &[Self]) -> u16 {
        let Some(guard) = &self.guard else { return 0 };
        let ((first, end), (guard_first, guard_end)) = (self.own(), guard.own());
        let (from, to) = if guard_first < first { (guard_end, first) } else { (end, guard_first) };
        // A longer way is none for one request in any case.
        let to = to.min(from.saturating_add(u32::from(MAX_REGISTERS_READ)));
        let is_named = |address: u32| {
            let here = points.iter().filter(|point| point.table == self.table);
            let mut all = here.flat_map(|point| [Some(point.own()), point.guard.map(|guard| guard.own())]);
            all.any(|named| named.is_some_and(|(first, end)| (first..end).contains(&address)))
        };
        let (mut longest, mut run) = (0, 0);
        for address in from..to {
            run = if is_named(address) { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        longest
    }
}

impl Guard {
    /// Its registers, in the table of its point.
    pub const fn piece(&self, table: Table) -> Piece {
        Piece { table, address: self.address, count: self.layout.number.registers() as u16 }
    }

    /// Whether a number that was found there is what it must be.
    pub fn is_it(&self, found: f64) -> bool {
        (found - self.is).abs() < 0.5
    }

    fn own(&self) -> (u32, u32) {
        own(self.address, &self.layout)
    }
}

fn own(address: u16, layout: &Layout) -> (u32, u32) {
    let first = u32::from(address);
    (first, first + layout.number.registers() as u32)
}

#[cfg(test)]
mod tests;
