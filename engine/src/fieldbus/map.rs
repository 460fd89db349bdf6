//! Register maps: at which connection and unit a device is found, where its points lie, and how its set-point is written.
//!
//! A map is made from a site file once; what it says fits the protocol, which [`DeviceMap::new`] sees to. The simulated device
//! behind a connection is made from the same map, so that a mistake in it shows in the same places as at a site.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::master::ConnectionSpec;
use super::pdu::{MAX_REGISTERS_WRITTEN, Registers, Request, Table};
use super::plan::{Piece, PlanFlaw, Read, ReadLimits, plan};
use super::register::{Layout, OutOfRange};
use crate::ids::{ConnectionIndex, DeviceIndex, PointIndex};
use crate::machine::SetPointWrite;
use crate::time::Span;

/// Most registers of one request that writes a set-point: a few numbers.
pub const MAX_WRITE_REGISTERS: u16 = 32;
/// Most requests that one set-point takes.
pub const MAX_WRITE_REQUESTS: usize = 8;
const _: () = assert!(MAX_WRITE_REGISTERS <= MAX_REGISTERS_WRITTEN);

/// The connections of one controller, and the maps of the devices behind them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BusSpec {
    /// The connections; their order makes ids.
    pub connections: Vec<ConnectionSpec>,
    /// The devices that are found there, each at most once.
    pub devices: Vec<DeviceMap>,
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
}

/// One request of those that write a set-point: numbers in a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WriteRequest {
    /// The first holding register.
    pub address: u16,
    /// Whether a single register is written by function 6; else by 16.
    pub is_single: bool,
    /// What is written, one after the other.
    pub fields: Vec<WrittenField>,
}

/// One number of a request that writes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrittenField {
    /// What it says.
    pub content: FieldContent,
    /// How it lies there.
    pub layout: Layout,
}

/// What a written number says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FieldContent {
    /// The set-point, W, in the device's own sign.
    SetPoint,
    /// The fencing number of the authority under which it was decided.
    Epoch,
    /// Always the same, such as a reversion time or a bit that enables the set-point.
    Constant(f64),
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
}

/// Why a map fits no device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MapFlaw {
    /// A point lies in bits, where numbers have no room.
    Bits {
        /// Which point, by its place.
        place: usize,
    },
    /// A point cannot be read.
    Read(PlanFlaw),
    /// There are more than [`MAX_WRITE_REQUESTS`].
    ManyWrites {
        /// How many.
        found: usize,
    },
    /// A request writes no register, or more than [`MAX_WRITE_REGISTERS`], or beyond the last one.
    Write {
        /// Which request, by its place.
        place: usize,
        /// How many registers it has.
        registers: usize,
    },
    /// A number that is always the same has no room in its registers.
    Constant {
        /// Which request, by its place.
        place: usize,
        /// What room there is.
        error: OutOfRange,
    },
    /// No request, or more than one, writes the set-point of a device whose writes are mapped.
    SetPoints {
        /// How many.
        found: usize,
    },
}

impl fmt::Display for MapFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits { place } => {
                write!(f, "point {place} lies in a table of bits, and must lie in registers")
            }
            Self::Read(PlanFlaw::Long { place, most }) => {
                write!(f, "point {place} has more registers than the {most} that one request may read")
            }
            Self::Read(PlanFlaw::Beyond { place }) => {
                write!(f, "point {place} ends beyond register 65535, the last one")
            }
            Self::ManyWrites { found } => {
                write!(f, "a set-point takes at most {MAX_WRITE_REQUESTS} requests, got {found}")
            }
            Self::Write { place, registers } => write!(
                f,
                "request {place} writes {registers} registers; allowed are 1 to {MAX_WRITE_REGISTERS} that end at 65535 or before"
            ),
            Self::Constant { place, error } => write!(
                f,
                "request {place} writes {}, and its registers hold {} to {}",
                error.raw, error.room.0, error.room.1
            ),
            Self::SetPoints { found } => write!(f, "one request writes the set-point, got {found}"),
        }
    }
}

impl DeviceMap {
    /// Plans the requests that a device takes.
    ///
    /// # Errors
    /// [`MapFlaw`] for the first thing that no device could be asked.
    pub fn new(said: Mapping) -> Result<Self, MapFlaw> {
        let Mapping { device, connection, unit, latency, reversion, recalls, limits, points, writes } = said;
        if let Some(place) = points.iter().position(|point| point.table.is_of_bits()) {
            return Err(MapFlaw::Bits { place });
        }
        let pieces: Vec<Piece> = points.iter().map(MappedPoint::piece).collect();
        let reads = plan(&pieces, limits).map_err(MapFlaw::Read)?;
        if writes.len() > MAX_WRITE_REQUESTS {
            return Err(MapFlaw::ManyWrites { found: writes.len() });
        }
        let mut set_points = 0;
        for (place, write) in writes.iter().enumerate() {
            let registers = write.registers();
            let is_possible = (1..=usize::from(MAX_WRITE_REGISTERS)).contains(&registers)
                && usize::from(write.address) + registers <= 1 << 16
                && (!write.is_single || registers == 1);
            if !is_possible {
                return Err(MapFlaw::Write { place, registers });
            }
            for field in &write.fields {
                match field.content {
                    FieldContent::SetPoint => set_points += 1,
                    FieldContent::Epoch => {}
                    FieldContent::Constant(value) => {
                        field.layout.registers(value).map_err(|error| MapFlaw::Constant { place, error })?;
                    }
                }
            }
        }
        if set_points != usize::from(!writes.is_empty()) {
            return Err(MapFlaw::SetPoints { found: set_points });
        }
        Ok(Self { device, connection, unit, latency, reversion, recalls, points, reads, writes })
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

    /// The points that one answer brings, with the registers of each.
    ///
    /// # Panics
    /// If the answer is not as long as the request asked: whoever took it sees to that.
    pub fn brought<'b>(
        &self,
        read: usize,
        registers: Registers<'b>,
    ) -> impl Iterator<Item = (MappedPoint, Registers<'b>)> {
        self.reads[read].pieces.iter().map(move |(place, offset)| {
            let point = self.points[usize::from(*place)];
            let count = point.layout.number.registers();
            (point, registers.part(usize::from(*offset), count).expect("the answer is whole"))
        })
    }
}

impl MappedPoint {
    fn piece(&self) -> Piece {
        Piece { table: self.table, address: self.address, count: self.layout.number.registers() as u16 }
    }
}

impl WriteRequest {
    /// Adds the data unit that writes this of a set-point.
    ///
    /// # Errors
    /// [`OutOfRange`] if one of the numbers has no room in its registers; nothing was added.
    pub fn encode(&self, write: &SetPointWrite, pdu: &mut Vec<u8>) -> Result<(), OutOfRange> {
        let mut bytes = [0; 2 * MAX_WRITE_REGISTERS as usize];
        let mut length = 0;
        for field in &self.fields {
            let written = field.layout.registers(field.content.of(write))?;
            bytes[length..length + written.bytes().len()].copy_from_slice(written.bytes());
            length += written.bytes().len();
        }
        let address = self.address;
        let registers = Registers::new(&bytes[..length]).expect("numbers take whole registers");
        let request = match registers.iter().next() {
            Some(value) if self.is_single => Request::WriteRegister { address, value },
            _ => Request::WriteRegisters { address, registers },
        };
        request.encode(pdu);
        Ok(())
    }

    /// Where the epoch lies, if this writes one.
    pub fn epoch(&self) -> Option<(Piece, Layout)> {
        let mut epochs = self.pieces().filter(|(_, field)| field.content == FieldContent::Epoch);
        epochs.next().map(|(piece, field)| (piece, field.layout))
    }

    /// How many registers it writes.
    pub fn registers(&self) -> usize {
        self.fields.iter().map(|field| field.layout.number.registers()).sum()
    }

    /// What it writes, and where each number lies.
    pub fn pieces(&self) -> impl Iterator<Item = (Piece, &WrittenField)> {
        let mut address = self.address;
        self.fields.iter().map(move |field| {
            let count = field.layout.number.registers() as u16;
            let piece = Piece { table: Table::HoldingRegisters, address, count };
            address = address.wrapping_add(count);
            (piece, field)
        })
    }
}

impl FieldContent {
    /// The number for a write.
    pub fn of(self, write: &SetPointWrite) -> f64 {
        match self {
            Self::SetPoint => write.value,
            Self::Epoch => write.epoch as f64,
            Self::Constant(value) => value,
        }
    }
}
