//! Links of kind `Modbus` of a site file: where a device is found, where its points lie, and what writes its set-point.
//!
//! ```text
//! Modbus(
//!     address: "10.0.0.21:502", unit: 1, positive: Discharge,
//!     points: { "p": Holding(address: 100, number: I32, scale: "1 W"), … },
//!     writes: [(address: 200, values: [SetPoint(number: I32, scale: "1 W")])],
//! )
//! ```
//!
//! A device that says itself where its points lie has `sunspec` in place of `points` and `writes`, see [`sunspec`].
//!
//! A device on a serial line says `serial` in place of `address`; the path of the port is its address then, see [`serial`].
//! Devices with one address share a connection, as units behind a gateway do, see [`joined`]. Addresses of registers are those
//! on the wire, from 0. A scale has no default but for floating point: a guess would be wrong by a factor of ten for every
//! second device.

mod beats;
mod bits;
mod identity;
mod joined;
mod registers;
mod serial;
mod sunspec;
mod writes;

use r_ems_engine::Span;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{IdentityText, MapFlaw, MappedBit, MappedPoint, Mapping};
use r_ems_engine::fieldbus::master::{PIPELINING_MAX, UnitSpec};
use r_ems_engine::fieldbus::pdu::{MAX_BITS_READ, MAX_REGISTERS_READ, Request, Table};
use r_ems_engine::fieldbus::plan::ReadLimits;
use r_ems_engine::fieldbus::write::{Heartbeat, WriteRequest};
use r_ems_engine::ids::{ConnectionIndex, DeviceIndex, PointIndex};
use r_ems_engine::points::{DeviceClass, DeviceSpec, PointKind, PointKinds};

pub(crate) use self::beats::{check_connections, check_take_over};
pub(crate) use self::joined::{bus, ways};
use self::registers::{Found, read_points};
pub(crate) use self::serial::check_masters;
use self::writes::{read_heartbeat, read_writes};
use crate::mistake::Notes;
use crate::node::Fields;

/// How often a request is repeated, unless the link says otherwise: a lost answer should cost no scan, a dead device little.
const RETRIES: u64 = 1;
/// Most repetitions.
const RETRIES_MAX: u64 = 10;
/// How long a device that does not answer is left alone at first, unless the link says otherwise.
const BACK_OFF: Span = Span::from_secs(1);
/// The longest that it is left alone, unless the link says otherwise.
const BACK_OFF_MAX: Span = Span::from_secs(8);
/// How long an attempt to connect may take, unless the link says otherwise.
const CONNECT_TIMEOUT: Span = Span::from_secs(1);
/// Longest of all these times.
const TIME_MAX: Span = Span::from_hours(1);
/// How a device is found and asked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Modbus {
    /// On a serial line the path of the port.
    address: String,
    framing: Framing,
    unit: UnitSpec,
    min_gap: Span,
    connect_timeout: Span,
    pipelining: u8,
    limits: ReadLimits,
    identity: Vec<IdentityText>,
    said: Said,
}

/// Who says where numbers lie.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    /// The file.
    Map(Map),
    /// The device.
    ByModels(sunspec::Models),
}

/// Where numbers lie, as the file says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Map {
    points: Vec<(PointKind, Found)>,
    writes: Vec<WriteRequest>,
    heartbeat: Option<Heartbeat>,
}

/// Reads what a link of kind `Modbus` says beyond what every link says.
pub(crate) fn read(
    fields: &mut Fields<'_>,
    class: DeviceClass,
    (scan, timeout): (Span, Span),
    notes: &mut Notes,
) -> Option<Modbus> {
    let way = serial::way(fields, notes);
    let framing = way.as_ref().map_or(Framing::Tcp, |way| way.1);
    let (low, high) = serial::units(framing);
    let unit = whole(fields, "unit", (1, low, high), notes);
    let retries = whole(fields, "retries", (RETRIES, 0, RETRIES_MAX), notes);
    let mut span = |name: &'static str, default: Span, may_be_zero: bool| {
        let found = fields.leaf_or(name, default, notes);
        if found > TIME_MAX || (found.is_zero() && !may_be_zero) {
            let low = if may_be_zero { "from 0 s to" } else { "above 0 s and at most" };
            fields.place(name).error(notes, format!("must be {low} {TIME_MAX}, got {found}"));
        }
        found
    };
    let back_off_first = span("back_off", BACK_OFF, false);
    let back_off_max = span("back_off_max", BACK_OFF_MAX.max(back_off_first), false);
    let min_gap = span("min_gap", framing.silence(), true);
    let connect_timeout = span("connect_timeout", CONNECT_TIMEOUT, false);
    serial::check_gap(framing, min_gap, fields, notes);
    let pipelining = read_pipelining(fields, framing, min_gap, notes);
    let most = u64::from(MAX_REGISTERS_READ);
    let registers = whole(fields, "registers_max", (most, 1, most), notes) as u16;
    let most_bits = u64::from(MAX_BITS_READ);
    let bits = whole(fields, "bits_max", (most_bits, 1, most_bits), notes) as u16;
    let hole = whole(fields, "hole_max", (0, 0, most), notes) as u16;
    let identity = match fields.optional("identity") {
        Some(node) => identity::read(&node, notes),
        None => Some(Vec::new()),
    };
    let said = match fields.optional("sunspec") {
        Some(node) => sunspec::read(&node, fields, class, scan, notes).map(Said::ByModels),
        None => read_map(fields, class, scan, notes).map(Said::Map),
    };
    let unit = UnitSpec {
        unit: unit as u8,
        timeout,
        retries: retries as u8,
        back_off_first,
        back_off_max: back_off_max.max(back_off_first),
    };
    let limits = ReadLimits { registers, bits, hole };
    let (address, framing) = way?;
    Some(Modbus {
        address,
        framing,
        unit,
        min_gap,
        connect_timeout,
        pipelining,
        limits,
        identity: identity?,
        said: said?,
    })
}

/// Reads where the points lie, and what writes a set-point and a heartbeat.
fn read_map(fields: &mut Fields<'_>, class: DeviceClass, scan: Span, notes: &mut Notes) -> Option<Map> {
    let points = fields.required("points", notes).and_then(|node| read_points(&node, class, notes));
    let writes = if class.is_controlled() {
        fields.required("writes", notes).and_then(|node| read_writes(&node, notes))
    } else {
        Some(Vec::new())
    };
    let heartbeat = if class.is_controlled() { fields.optional("heartbeat") } else { None };
    let heartbeat = match heartbeat {
        Some(node) => Some(read_heartbeat(&node, scan, notes)?),
        None => None,
    };
    Some(Map { points: points?, writes: writes?, heartbeat })
}

/// Reads how many requests may be under way at once: more than one only where answers say to which, and nothing waits after them.
fn read_pipelining(fields: &mut Fields<'_>, framing: Framing, min_gap: Span, notes: &mut Notes) -> u8 {
    let pipelining = whole(fields, "pipelining", (1, 1, PIPELINING_MAX.into()), notes) as u8;
    if pipelining == 1 {
        return 1;
    }
    let message = match framing {
        Framing::Rtu(_) => {
            format!("must be 1 on a serial line, where no answer says to which request, got {pipelining}")
        }
        Framing::Tcp if min_gap.is_zero() => return pipelining,
        Framing::Tcp => format!(
            "must be 1 with a `min_gap`, got {pipelining} and {min_gap}: the gap is for a device that bears no request soon \
             after an answer"
        ),
    };
    fields.place("pipelining").error(notes, message);
    1
}

/// A whole number within bounds.
fn whole(
    fields: &mut Fields<'_>,
    name: &'static str,
    (default, low, high): (u64, u64, u64),
    notes: &mut Notes,
) -> u64 {
    let found = fields.leaf_or(name, default, notes);
    if !(low..=high).contains(&found) {
        fields.place(name).error(notes, format!("must be from {low} to {high}, got {found}"));
    }
    found.clamp(low, high)
}

impl Modbus {
    /// Where it is found: its address and its unit.
    pub(crate) fn place(&self) -> (&str, u8) {
        (&self.address, self.unit.unit)
    }

    /// Whether the file says where its points lie; else the device does.
    pub(crate) const fn maps_points(&self) -> bool {
        matches!(self.said, Said::Map(_))
    }

    /// The points of its map.
    pub(crate) fn points(&self) -> PointKinds {
        match &self.said {
            Said::Map(map) => map.points.iter().fold(PointKinds::default(), |all, (kind, _)| all.with(*kind)),
            Said::ByModels(_) => PointKinds::default(),
        }
    }

    /// How its frames lie on their way.
    pub(crate) const fn framing(&self) -> Framing {
        self.framing
    }

    /// For how long a new connection asks it nothing, since nobody knows what it was asked before.
    pub(crate) fn silent_at_first(&self) -> Span {
        self.framing.may_come(self.unit.timeout)
    }

    /// The settings of its serial line: "9600 8E1".
    pub(crate) fn settings(&self) -> String {
        serial::told(self.framing)
    }

    /// How long it takes at the most to ask who it is and to search its models, with nobody else on the connection.
    pub(crate) fn search_takes(&self, spec: &DeviceSpec) -> Span {
        let models = match &self.said {
            Said::Map(_) => 0,
            Said::ByModels(models) => models.wanted(spec, PointIndex::of(0)).most_searches(self.limits),
        };
        let (table, address, count) = (Table::HoldingRegisters, 0, self.limits.most());
        let (asked, answered) = self.framing.exchange_passes(&Request::Read { table, address, count });
        let gap = self.min_gap.max(self.framing.silence());
        (spec.latency + asked + answered + gap) * (models + self.identity.len() as u64)
    }

    /// How long it waits for the next heartbeat, if it expects any.
    pub(crate) fn heartbeat_timeout(&self) -> Option<Span> {
        match &self.said {
            Said::Map(map) => map.heartbeat.as_ref().map(|heartbeat| heartbeat.timeout),
            Said::ByModels(models) => models.heartbeat,
        }
    }

    /// What is wrong with the map, with the names of points.
    fn told(&self, flaw: MapFlaw) -> String {
        let mapped = |place: usize| match &self.said {
            Said::Map(map) => map.points.get(place),
            Said::ByModels(_) => None,
        };
        let point = flaw.point().and_then(mapped);
        point.map_or_else(|| flaw.to_string(), |(kind, _)| format!("`{}`: {flaw}", kind.name()))
    }

    fn mapping(
        &self,
        device: (DeviceIndex, &DeviceSpec),
        (connection, unit): (ConnectionIndex, u16),
        first: PointIndex,
    ) -> Mapping {
        let (device, spec) = device;
        let index = |kind: PointKind| {
            let place = spec.points.place(kind).expect("a device has the points of its map");
            PointIndex::of(first.position() + place)
        };
        let point = |(kind, found): &(PointKind, Found)| MappedPoint { point: index(*kind), ..found.point };
        let bits = |(kind, found): &(PointKind, Found)| {
            let point = index(*kind);
            found.bits.iter().map(move |bit| MappedBit { point, ..*bit }).collect::<Vec<_>>()
        };
        let (map, models) = match &self.said {
            Said::Map(map) => (map.clone(), None),
            Said::ByModels(models) => (Map::default(), Some(models.wanted(spec, first))),
        };
        Mapping {
            device,
            connection,
            unit,
            latency: spec.latency,
            reversion: spec.reversion,
            recalls: !spec.longest_write.is_zero() && !spec.checks_epochs,
            limits: self.limits,
            identity: self.identity.clone(),
            points: map.points.iter().map(point).collect(),
            bits: map.points.iter().flat_map(bits).collect(),
            writes: map.writes,
            heartbeat: map.heartbeat,
            models,
        }
    }
}
