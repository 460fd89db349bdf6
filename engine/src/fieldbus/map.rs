//! Register maps: at which connection and unit a device is found, where its points lie, and how its set-point is written.
//!
//! A map is made from a site file once; what it says fits the protocol, which [`DeviceMap::new`] sees to. The simulated device
//! behind a connection is made from the same map, so that a mistake in it shows in the same places as at a site.

mod bit;
mod flaw;
mod identity;
mod point;

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use self::bit::{BitsSeen, MAX_BITS, MappedBit};
pub use self::flaw::{MapFlaw, Writes};
pub use self::identity::{Differs, IdentityText, MAX_TEXT_BYTES, MAX_TEXT_REGISTERS, Text, Who};
pub use self::point::{Fixed, Guard, MappedPoint, ModelHead, Otherwise};
use super::framing::Framing;
use super::master::ConnectionSpec;
use super::pdu::{Registers, Table};
use super::plan::{Piece, Read, ReadLimits, plan};
use super::sunspec::{ByModels, Chosen, Missing, Model, Progress, Search, choose};
use super::write::{FieldContent, Heartbeat, WriteRequest, WrittenField};
use crate::ids::{ConnectionIndex, DeviceIndex};
use crate::machine::{Sample, SetPointWrite};
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
    /// The map of a device; `None`: it is not found here.
    pub fn map_of(&self, device: DeviceIndex) -> Option<&DeviceMap> {
        self.devices.iter().find(|map| map.device() == device)
    }

    /// How long all reads behind a connection take at the most, as many at once as may be under way there.
    pub fn takes(&self, connection: ConnectionIndex) -> Span {
        let spec = &self.connections[connection.position()];
        let here = || self.devices.iter().filter(|map| map.connection() == connection);
        let takes = |map: &DeviceMap| {
            let passes = map.reads_pass(spec.framing);
            passes + (map.latency() + spec.gap()) * map.most_reads() as u64
        };
        let together = |sum: Span, takes: Span| sum + takes;
        let one_by_one = here().map(takes).fold(Span::ZERO, together);
        let at_once = spec.most_at_once() as u64;
        if at_once == 1 {
            return one_by_one;
        }
        // Whoever never lets a place rest while something waits needs (sum + (n - 1) * longest) / n (Graham 1966); what goes
        // alone comes on top, and before each of it the others must end.
        let alone = |map: &DeviceMap| map.latency() * map.bit_reads() as u64;
        let alone_takes = here().map(alone).fold(Span::ZERO, together);
        let runs = here().map(DeviceMap::bit_reads).sum::<usize>() as u64 + 1;
        let longest = here().map(DeviceMap::latency).max().unwrap_or(Span::ZERO);
        let shared = one_by_one - alone_takes + longest * ((at_once - 1) * runs);
        one_by_one.min(alone_takes + Span::from_nanos(shared.as_nanos() / at_once))
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
    /// Who must answer there, before anything is believed or written; none: whoever does.
    pub identity: Vec<IdentityText>,
    /// Its points.
    pub points: Vec<MappedPoint>,
    /// The bits that say whether they mean what they say.
    pub bits: Vec<MappedBit>,
    /// The requests that write a set-point, in order; none for a device that takes no set-points.
    pub writes: Vec<WriteRequest>,
    /// What it expects to hear, if it falls back without that.
    pub heartbeat: Option<Heartbeat>,
    /// What is wanted of it, if it says itself where that lies: it has no points, bits, writes and heartbeat here then.
    pub models: Option<ByModels>,
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
    limits: ReadLimits,
    models: Option<ByModels>,
    identity: Vec<IdentityText>,
    /// Whether it has said on this connection that it is the one.
    is_identified: bool,
    known: Known,
}

/// What is known of a device, and the requests that follow from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Known {
    points: Vec<MappedPoint>,
    fixed: Vec<Fixed>,
    bits: Vec<MappedBit>,
    /// Their pieces are those of the points, behind them what is fixed, and then the bits.
    reads: Vec<Read>,
    writes: Vec<WriteRequest>,
    heartbeat: Option<Heartbeat>,
}

impl Known {
    fn new(limits: ReadLimits, said: Chosen, bits: Vec<MappedBit>) -> Result<Self, MapFlaw> {
        let Chosen { points, fixed, writes, heartbeat } = said;
        let reads = Self::reads(limits, (&points, &bits), &fixed)?;
        Self::check_writes(&writes, heartbeat.as_ref())?;
        Ok(Self { points, fixed, bits, reads, writes, heartbeat })
    }

    fn reads(
        limits: ReadLimits,
        (points, bits): (&[MappedPoint], &[MappedBit]),
        fixed: &[Fixed],
    ) -> Result<Vec<Read>, MapFlaw> {
        if let Some(place) = points.iter().position(|point| !point.fits_table()) {
            return Err(MapFlaw::Bits { place });
        }
        // They are read before registers, and so are points in bits, which have what they depend on beside them.
        let is_late = |bit: &MappedBit| {
            let is_its = |point: &&MappedPoint| point.point == bit.point && point.table.is_of_bits();
            !bit.table.is_of_bits() || points.iter().any(|point| is_its(&point))
        };
        if bits.len() > MAX_BITS || bits.iter().any(is_late) {
            return Err(MapFlaw::Conditions { found: bits.len() });
        }
        for (place, point) in points.iter().enumerate() {
            let hole = point.hole(points);
            if hole > limits.hole {
                return Err(MapFlaw::Apart { place, hole });
            }
        }
        let fixed = fixed.iter().map(|fixed| fixed.piece);
        let bits = bits.iter().map(MappedBit::piece);
        let pieces: Vec<Piece> = points.iter().map(MappedPoint::piece).chain(fixed).chain(bits).collect();
        plan(&pieces, limits).map_err(MapFlaw::Read)
    }

    fn check_writes(writes: &[WriteRequest], heartbeat: Option<&Heartbeat>) -> Result<(), MapFlaw> {
        if writes.len() > MAX_WRITE_REQUESTS {
            return Err(MapFlaw::ManyWrites { found: writes.len() });
        }
        // A switch alone is a set-point too.
        let (mut set_points, mut switches) = (0, 0);
        for (place, write) in writes.iter().enumerate() {
            write.check(Writes::SetPoint(place))?;
            set_points += usize::from(write.count(|content| content == FieldContent::SetPoint) > 0);
            switches += usize::from(write.count(|content| content == FieldContent::Switch) > 0);
            if write.count(FieldContent::changes) > 0 {
                return Err(MapFlaw::Counts { place });
            }
        }
        if set_points.max(switches) != usize::from(!writes.is_empty()) {
            return Err(MapFlaw::SetPoints { found: set_points.max(switches) });
        }
        let Some(Heartbeat { request, .. }) = heartbeat else { return Ok(()) };
        request.check(Writes::Heartbeat)?;
        let found = request.count(FieldContent::changes);
        let decides = |content| matches!(content, FieldContent::SetPoint | FieldContent::Switch);
        if found != 1 || request.count(decides) > 0 {
            return Err(MapFlaw::Beats { found });
        }
        let is_steady = |field: &WrittenField| matches!(field.content, FieldContent::Constant(_));
        if let Some(value) = request.fields.iter().position(is_steady) {
            return Err(MapFlaw::BeatsSteady { value });
        }
        let meets = |(place, write)| request.meets(write).map(|address| (place, address));
        match writes.iter().enumerate().find_map(meets) {
            Some((place, address)) => Err(MapFlaw::BeatsOver { place, address }),
            None => Ok(()),
        }
    }
}

impl DeviceMap {
    /// Plans the requests that a device takes.
    ///
    /// # Errors
    /// [`MapFlaw`] for the first thing that no device could be asked.
    pub fn new(said: Mapping) -> Result<Self, MapFlaw> {
        let Mapping { device, connection, unit, latency, reversion, recalls, limits, .. } = said;
        let Mapping { points, bits, writes, heartbeat, models, .. } = said;
        let identity = said.identity;
        if let Some(place) = identity.iter().position(|text| !text.is_possible(limits.most())) {
            return Err(MapFlaw::Identity { place });
        }
        let known = Known::new(limits, Chosen { points, fixed: Vec::new(), writes, heartbeat }, bits)?;
        Ok(Self {
            device,
            connection,
            unit,
            latency,
            reversion,
            recalls,
            limits,
            models,
            identity,
            is_identified: false,
            known,
        })
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

    /// What it lets itself be asked.
    pub const fn limits(&self) -> ReadLimits {
        self.limits
    }

    /// What is wanted of it, if it says itself where that lies.
    pub const fn models(&self) -> Option<&ByModels> {
        self.models.as_ref()
    }

    /// Whether it is known who it is, as far as that matters, and where its points lie.
    pub const fn is_known(&self) -> bool {
        (self.is_identified || self.identity.is_empty())
            && (self.models.is_none() || !self.known.points.is_empty())
    }

    /// Forgets what the device has said of itself.
    pub fn forget(&mut self) {
        self.is_identified = false;
        if self.models.is_some() {
            self.known = Known::default();
        }
    }

    /// Searches the device as it is, where each read is answered at once: its registers, `None` where it refuses, or why there is
    /// no answer. What it has not is not known afterwards.
    ///
    /// # Errors
    /// What a read ended with that was not answered.
    pub fn search<E>(
        &mut self,
        mut read: impl FnMut(Piece) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<Result<(), Missing>, E> {
        let Some(by) = self.models.clone() else { return Ok(Ok(())) };
        let mut search = Search::default();
        loop {
            let answer = read(search.next(&by, self.limits))?;
            match search.take(&by, answer.as_deref().and_then(Registers::new)) {
                Progress::More => {}
                Progress::Fails(missing) => return Ok(Err(missing)),
                Progress::Done(_) => return Ok(self.learn(search.models())),
            }
        }
    }

    /// Takes over what the device says of itself; one whose map is in the file has nothing to say.
    ///
    /// # Errors
    /// What of that which is wanted it has not; nothing is known then.
    pub fn learn(&mut self, models: &[Model]) -> Result<(), Missing> {
        let Some(by) = &self.models else { return Ok(()) };
        self.known = Known::default();
        let chosen = choose(models, by, self.limits)?;
        self.known = Known::new(self.limits, chosen, Vec::new()).map_err(|flaw| {
            let kind = flaw.point().and_then(|place| by.kinds.get(place));
            kind.map_or(Missing::Control, Missing::Room)
        })?;
        Ok(())
    }

    /// Where its points lie, as far as it is known.
    pub fn points(&self) -> &[MappedPoint] {
        &self.known.points
    }

    /// The requests that read all points, and before them what they depend on.
    pub fn reads(&self) -> &[Read] {
        &self.known.reads
    }

    /// The requests that write a set-point, in order.
    pub fn writes(&self) -> &[WriteRequest] {
        &self.known.writes
    }

    /// What the device expects to hear.
    pub const fn heartbeat(&self) -> Option<&Heartbeat> {
        self.known.heartbeat.as_ref()
    }

    /// All requests that write to the device: those of a set-point, in order, and the heartbeat.
    pub fn all_writes(&self) -> impl Iterator<Item = &WriteRequest> {
        self.known.writes.iter().chain(self.known.heartbeat.iter().map(|heartbeat| &heartbeat.request))
    }

    /// Most requests that read all points.
    pub fn most_reads(&self) -> usize {
        self.models.as_ref().map_or(self.known.reads.len(), ByModels::most_reads)
    }

    /// How many of the requests that read all points bring bits on which points depend.
    pub fn bit_reads(&self) -> usize {
        (0..self.known.reads.len()).filter(|read| self.bits_of(*read).next().is_some()).count()
    }

    /// How long the frames of its reads take to pass, there and back, at the most.
    pub fn reads_pass(&self, framing: Framing) -> Span {
        let passes = |read: &Read| read.passes(framing);
        match &self.models {
            None => self.known.reads.iter().map(passes).fold(Span::ZERO, |sum, takes| sum + takes),
            Some(by) => self.longest_read(framing) * by.most_reads() as u64,
        }
    }

    /// How long the frames of one of its reads take to pass, there and back, at the most.
    pub fn longest_read(&self, framing: Framing) -> Span {
        let passes = |read: &Read| read.passes(framing);
        let (address, count) = (0, self.limits.most());
        let span = Piece { table: Table::HoldingRegisters, address, count };
        let passes_alone = |span: Piece| passes(&Read { span, pieces: Vec::new() });
        let texts = self.identity.iter().map(|text| passes_alone(text.piece()));
        let longest = match self.models {
            None => self.known.reads.iter().map(passes).max().unwrap_or(Span::ZERO),
            Some(_) => passes_alone(span),
        };
        texts.fold(longest, Span::max)
    }

    /// How long the longest request that writes takes to pass, and how long with its answer, at the most.
    pub fn longest_write(&self, framing: Framing) -> (Span, Span) {
        self.write_passes(framing).fold((Span::ZERO, Span::ZERO), |(asked, both), (there, back)| {
            (asked.max(there), both.max(there + back))
        })
    }

    /// How long all that is written takes to pass, with what is said to it, where nothing is sent for a while after each.
    pub fn writes_pass(&self, framing: Framing, gap: Span) -> Span {
        self.write_passes(framing).fold(Span::ZERO, |sum, (there, back)| sum + there + back + gap)
    }

    /// How long each request that writes takes to pass, and its answer, at the most.
    fn write_passes(&self, framing: Framing) -> impl Iterator<Item = (Span, Span)> {
        let own = self.all_writes().filter(|_| self.models.is_none()).map(move |write| write.passes(framing));
        let by_models = self
            .models
            .iter()
            .flat_map(move |by| core::iter::repeat_n(by.write_passes(framing), by.most_writes()));
        own.chain(by_models)
    }

    /// How long a heartbeat takes to pass, there and back, at the most.
    pub fn heartbeat_passes(&self, framing: Framing) -> Span {
        let passes = match &self.models {
            None => self.heartbeat().map(|heartbeat| heartbeat.request.passes(framing)),
            Some(by) => by.heartbeat.map(|_timeout| by.write_passes(framing)),
        };
        passes.map_or(Span::ZERO, |(there, back)| there + back)
    }

    /// How long it waits for heartbeats, if it expects any.
    pub fn heartbeat_timeout(&self) -> Option<Span> {
        match &self.models {
            None => self.known.heartbeat.as_ref().map(|heartbeat| heartbeat.timeout),
            Some(by) => by.heartbeat,
        }
    }

    /// In what steps it takes set-points, in W; 0 where that is not known, and for one that takes none.
    pub fn step(&self) -> f64 {
        self.known.writes.iter().find_map(WriteRequest::step).unwrap_or(0.0)
    }

    /// In what steps it takes reactive set-points, in var; 0 for one that takes none.
    pub fn reactive_step(&self) -> f64 {
        self.known.writes.iter().find_map(WriteRequest::reactive_step).unwrap_or(0.0)
    }

    /// Whether a set-point has room in all registers that hold it.
    pub fn can_be_written(&self, write: &SetPointWrite) -> bool {
        !self.known.writes.is_empty() && self.known.writes.iter().all(|request| request.has_room(write))
    }

    /// Whether the device says itself which set-point is in force, and whether one is.
    pub fn tells_what_is_in_force(&self) -> bool {
        let tells = |guard: Guard| matches!(guard.otherwise, Otherwise::Value(_));
        self.models.is_some()
            || self.known.points.iter().any(|point| point.guard.is_some_and(tells))
            || self.known.bits.iter().any(|bit| matches!(bit.otherwise, Otherwise::Value(_)))
    }

    /// Whether an answer shows that the device is as it was found.
    ///
    /// # Panics
    /// As [`DeviceMap::brought`].
    pub fn is_in_place(&self, read: usize, registers: Registers<'_>) -> bool {
        let is_fixed = |(place, offset): &(u16, u16)| {
            let fixed = usize::from(*place).checked_sub(self.known.points.len());
            fixed.and_then(|place| self.known.fixed.get(place)).is_none_or(|fixed| {
                let part = registers.part(usize::from(*offset), fixed.piece.count.into());
                fixed.is_in_place(part.expect("the answer is whole"))
            })
        };
        self.known.reads[read].pieces.iter().all(is_fixed)
            && self.pieces(read, registers).all(|(point, piece)| point.is_in_place(piece))
    }

    /// The points that one request brings.
    pub fn points_of(&self, read: usize) -> impl Iterator<Item = &MappedPoint> {
        let places = self.known.reads[read].pieces.iter().map(|(place, _)| usize::from(*place));
        places.filter_map(|place| self.known.points.get(place))
    }

    /// The points that one answer brings, with their values in base units; the bits of the same poll were `seen` before.
    ///
    /// # Panics
    /// If the answer is not as long as the request asked: whoever took it sees to that.
    pub fn brought(
        &self,
        read: usize,
        registers: Registers<'_>,
        seen: BitsSeen,
    ) -> impl Iterator<Item = Sample> {
        self.pieces(read, registers).map(move |(point, piece)| {
            let (validity, value) = self.instead(point, seen).unwrap_or_else(|| point.value(piece));
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
        self.known.reads[read].pieces.iter().filter_map(move |(place, offset)| {
            let point = self.known.points.get(usize::from(*place))?;
            let part = registers.part(usize::from(*offset), point.piece().count.into());
            Some((point, part.expect("the answer is whole")))
        })
    }
}

#[cfg(test)]
mod tests;
