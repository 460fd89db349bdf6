//! A device that is looked at: what the site file says of it, and how what is found is noted at its place there.

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::fieldbus::framing::Framing;
use r_ems_engine::fieldbus::map::{DeviceMap, MappedPoint};
use r_ems_engine::fieldbus::master::ConnectionSpec;
use r_ems_engine::fieldbus::pdu::Table;
use r_ems_engine::fieldbus::rtu;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{DeviceIndex, GroupIndex};
use r_ems_engine::points::{DeviceSpec, PointKind};
use r_ems_scenarios::{RealMember, RealSite, RealWay, Severity};

use super::plausible::Measured;
use super::report::Finding;
use crate::ways;

/// Units that are tried where a gateway does not know the one of the file.
const OTHER_UNITS: [u8; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 247, 255, 0];

/// A device, and what the file says of it.
pub(super) struct Target<'s> {
    pub(super) grid: &'s str,
    pub(super) spec: &'s DeviceSpec,
    /// Where its numbers lie; a device that says it itself has done so once it was looked at.
    pub(super) map: DeviceMap,
    pub(super) connection: &'s ConnectionSpec,
    pub(super) way: &'s RealWay,
    /// The laws of its controllers that act on it.
    pub(super) laws: Vec<&'static str>,
    /// Where its points begin in the image.
    first_point: usize,
}

impl<'s> Target<'s> {
    /// The devices that a controller reaches behind Modbus, in the order of the file.
    pub(super) fn all_of<F: FunctionSet>(member: &'s RealMember<F>) -> Vec<Self> {
        let ControllerSpec { grid, devices, bus, laws, groups, .. } = &member.spec;
        let mut first_point = 0;
        let mut targets = Vec::new();
        for (place, spec) in devices.iter().enumerate() {
            let device = DeviceIndex::of(place);
            let group = groups.iter().position(|group| group.members.contains(&device)).map(GroupIndex::of);
            let laws = laws.iter().map(|placed| &placed.law);
            let laws = laws.filter(|law| group.is_some_and(|group| law.acts_on(group)));
            let laws = laws.map(F::built_name).collect();
            if let Some(map) = bus.map_of(device).cloned() {
                let connection = map.connection().position();
                let (way, connection) = (&member.ways[connection], &bus.connections[connection]);
                targets.push(Self { grid, spec, map, connection, way, laws, first_point });
            }
            first_point += spec.points.len();
        }
        targets
    }

    /// Its name: `commerce/bess`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.grid, self.spec.name)
    }

    /// Its address, or the path of its port.
    pub(super) fn address(&self) -> String {
        ways::told(self.way)
    }

    /// Its unit in frames.
    pub(super) fn unit(&self) -> u8 {
        self.connection.units[usize::from(self.map.unit())].unit
    }

    /// Whether it is on a serial line.
    pub(super) fn is_on_line(&self) -> bool {
        self.connection.framing != Framing::Tcp
    }

    /// Units that may be tried where its own is not known: none that the file knows there.
    pub(super) fn other_units(&self) -> Vec<u8> {
        let may_be = |unit: &u8| !self.is_on_line() || rtu::UNITS.contains(unit);
        let is_new = |unit: &u8| !self.connection.units.iter().any(|known| known.unit == *unit);
        OTHER_UNITS.into_iter().filter(may_be).filter(is_new).collect()
    }

    /// What a point of its map measures.
    pub(super) fn kind(&self, mapped: &MappedPoint) -> PointKind {
        self.spec
            .points
            .get(mapped.point.position() - self.first_point)
            .expect("a map has its device's points only")
    }

    /// Where a kind of point lies.
    pub(super) fn point(&self, kind: PointKind) -> Option<&MappedPoint> {
        self.map.points().iter().find(|mapped| self.kind(mapped) == kind)
    }

    /// What a kind of point measures, and of what.
    pub(super) fn measured(&self, kind: PointKind) -> Measured {
        Measured { class: self.spec.class, kind, rating: self.spec.rating.watts() }
    }

    /// Turns the device's number of a kind of point into ours, and back.
    pub(super) fn factor(&self, kind: PointKind) -> f64 {
        if kind.is_signed() { self.spec.positive.factor() } else { 1.0 }
    }

    /// What is likely wrong in the file; nothing of what the models say stands there.
    pub(super) fn hint(&self, likely: Option<String>) -> Option<String> {
        likely.filter(|_| self.map.models().is_none())
    }

    /// Notes what was found at a place below the device in the file.
    pub(super) fn note(&self, below: &[&str], severity: Severity, found: impl Into<String>) -> Noted {
        // What the models say stands nowhere in the file but there.
        let is_of_map = self.map.models().is_some() && below.starts_with(&["link", "points"]);
        let below = if is_of_map { &["link", "sunspec"] } else { below };
        let way = ["grids", self.grid, "devices", &self.spec.name].into_iter().chain(below.iter().copied());
        Noted {
            device: self.name(),
            way: way.map(str::to_owned).collect(),
            severity,
            found: found.into(),
            expected: String::new(),
            likely: None,
        }
    }
}

/// What was found, before its place is looked up.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) device: String,
    way: Vec<String>,
    severity: Severity,
    pub(super) found: String,
    expected: String,
    likely: Option<String>,
}

impl Noted {
    /// The same with what the file makes one expect.
    pub(super) fn expected(self, expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), ..self }
    }

    /// The same with what is likely wrong.
    pub(super) fn likely(self, likely: impl Into<Option<String>>) -> Self {
        Self { likely: likely.into(), ..self }
    }

    /// The same at its place in the file.
    pub(super) fn placed<F: FunctionSet>(self, site: &RealSite<F>) -> Finding {
        let Self { device, way, severity, found, expected, likely } = self;
        let way: Vec<&str> = way.iter().map(String::as_str).collect();
        let hint = likely.as_ref().map_or_else(String::new, |likely| format!("; {likely}"));
        let mistake = site.finding(&way, severity, &format!("found {found}, expected {expected}{hint}"));
        let is_placed = mistake.line > 0;
        Finding {
            device,
            file: mistake.file.clone(),
            line: is_placed.then_some(mistake.line),
            column: is_placed.then_some(mistake.column),
            field: mistake.field.clone(),
            severity,
            found,
            expected,
            likely,
            mistake,
        }
    }
}

/// A table as the file spells it.
pub(super) const fn table(table: Table) -> &'static str {
    match table {
        Table::Coils => "Coil",
        Table::DiscreteInputs => "Discrete",
        Table::HoldingRegisters => "Holding",
        Table::InputRegisters => "Input",
    }
}
