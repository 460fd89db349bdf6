//! Names of points: `commerce/bess.soc` is the plant's truth, `a:commerce/bess.soc` what controller `a` sees.

use r_ems_engine::Span;
use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::points::{DeviceClass, DeviceSpec, Dimension, PointKind, PointKinds};
use r_ems_engine::redundancy::Seat;
use r_ems_sim::expect::Watched;
use r_ems_sim::plant::{ComponentIndex, Quantity};

use crate::council::Member;
use crate::mistake::suggestion;
use crate::node::excerpt;
use crate::plant::{Kind, Plant, Unit};

/// Everything of one grid that can be named.
pub(crate) struct Named<'a, 't> {
    pub(crate) grid: &'a str,
    /// Its council in the order of the seats: controllers, then a witness.
    pub(crate) members: Vec<Member<'a>>,
    /// Where the first of them stands in the fleet.
    pub(crate) first: usize,
    pub(crate) devices: Vec<&'a DeviceSpec>,
    /// The names of devices that could not be read, which was noted.
    pub(crate) unread: &'a [String],
    pub(crate) plant: Option<&'a Plant<'t>>,
    /// How long a take-over lasts at the most; none where nobody takes over.
    pub(crate) take_over_max: Option<Span>,
    /// Whether its stack shaves peaks.
    pub(crate) shaves: bool,
}

/// All names of a scenario; grids and hosts in the order of the file.
pub(crate) struct Names<'a, 't> {
    pub(crate) grids: Vec<Named<'a, 't>>,
    pub(crate) hosts: Vec<&'a str>,
    /// What the tariff's prices are in; none without a tariff, or if that cannot be read.
    pub(crate) currency: Option<&'a str>,
}

/// A point that was found.
pub(crate) struct Found {
    /// None where the plant is broken, which was noted.
    pub(crate) watched: Option<Watched>,
    pub(crate) unit: Unit,
}

impl Named<'_, '_> {
    /// Whether a device of that name stands in the site file, readable or not.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.devices.iter().any(|device| device.name == name) || self.unread.iter().any(|known| known == name)
    }

    /// Whether its plant has a component of a kind, or would have, if it could be read.
    pub(crate) fn may_have(&self, kind: Kind) -> bool {
        let parts = self.plant.map(|plant| plant.parts.as_slice());
        parts.is_none_or(|parts| parts.iter().any(|part| part.kind.is_none_or(|known| known == kind)))
    }
}

impl Names<'_, '_> {
    /// Finds the point of a name; none if what it belongs to is wrong, which was noted. The error says what is there.
    pub(crate) fn point(&self, text: &str) -> Result<Option<Found>, String> {
        let form = || {
            format!("expected a point such as commerce/pcc.p or a:commerce/pcc.p, got \"{}\"", excerpt(text))
        };
        let (controller, rest) = match text.split_once(':') {
            Some((controller, rest)) => (Some(controller), rest),
            None => (None, text),
        };
        let (grid_name, rest) = rest.split_once('/').ok_or_else(form)?;
        let (owner, quantity) = rest.split_once('.').ok_or_else(form)?;
        let position = self.grid(grid_name)?;
        match controller {
            Some(controller) => self.image(position, controller, owner, quantity),
            None => self.truth(position, owner, quantity),
        }
    }

    /// The position of the grid of that name.
    pub(crate) fn grid(&self, name: &str) -> Result<usize, String> {
        let known: Vec<&str> = self.grids.iter().map(|grid| grid.grid).collect();
        let missing = || format!("there is no grid \"{}\"; {}", excerpt(name), suggestion(name, &known));
        known.iter().position(|grid| *grid == name).ok_or_else(missing)
    }

    /// The position of the host of that name.
    pub(crate) fn host(&self, name: &str) -> Result<u16, String> {
        let missing = || format!("there is no host \"{}\"; {}", excerpt(name), suggestion(name, &self.hosts));
        let found = self.hosts.iter().position(|host| *host == name).ok_or_else(missing)?;
        Ok(u16::try_from(found).unwrap_or(u16::MAX))
    }

    /// The place in the fleet of a controller or a witness: `commerce/a`.
    pub(crate) fn member(&self, name: &str) -> Result<u16, String> {
        let full = |named: &Named<'_, '_>| {
            let place = |(seat, member): (usize, &Member<'_>)| {
                (format!("{}/{}", named.grid, member.id), named.first + seat)
            };
            named.members.iter().enumerate().map(place).collect::<Vec<_>>()
        };
        let known: Vec<(String, usize)> = self.grids.iter().flat_map(full).collect();
        let names: Vec<&str> = known.iter().map(|entry| entry.0.as_str()).collect();
        let missing =
            || format!("there is no controller \"{}\"; {}", excerpt(name), suggestion(name, &names));
        let found = known.iter().find(|entry| entry.0 == name).ok_or_else(missing)?;
        Ok(u16::try_from(found.1).unwrap_or(u16::MAX))
    }

    /// The seat of a controller of a grid; a witness is none.
    pub(crate) fn controller(&self, grid: usize, name: &str) -> Result<Seat, String> {
        let controllers = self.grids[grid].members.iter().filter(|member| !member.is_witness);
        let known: Vec<&str> = controllers.clone().map(|member| member.id).collect();
        let missing =
            || format!("there is no controller \"{}\"; {}", excerpt(name), suggestion(name, &known));
        controllers.clone().find(|member| member.id == name).map(|member| member.seat).ok_or_else(missing)
    }

    fn truth(&self, grid: usize, owner: &str, quantity: &str) -> Result<Option<Found>, String> {
        let Some(plant) = self.grids[grid].plant else { return Ok(None) };
        let Some(position) = self.component(grid, owner)? else { return Ok(None) };
        let Some(kind) = plant.parts[position].kind else { return Ok(None) };
        let known = kind.quantities();
        let names: Vec<&str> = known.iter().map(|entry| entry.0).collect();
        let missing = || {
            format!("\"{owner}\" has no point \"{}\"; {}", excerpt(quantity), suggestion(quantity, &names))
        };
        let (_, quantity, unit) = known.iter().find(|entry| entry.0 == quantity).ok_or_else(missing)?;
        let component = ComponentIndex(u16::try_from(position).unwrap_or(u16::MAX));
        let point = plant.bus.as_ref().and_then(|bus| bus.truth(component, *quantity));
        let grid = u16::try_from(grid).unwrap_or(u16::MAX);
        Ok(Some(Found { watched: point.map(|point| Watched::Truth { grid, point }), unit: *unit }))
    }

    /// The position of a component of a grid; none if it is missing and that was noted.
    pub(crate) fn component(&self, grid: usize, name: &str) -> Result<Option<usize>, String> {
        let Some(plant) = self.grids[grid].plant else { return Ok(None) };
        let parts = plant.parts.as_slice();
        let known: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let missing = || format!("there is no component \"{}\"; {}", excerpt(name), suggestion(name, &known));
        let found = known.iter().position(|part| *part == name);
        // A device without its component was noted with the plant.
        if found.is_some() || self.grids[grid].declares(name) { Ok(found) } else { Err(missing()) }
    }

    /// The position of a device of a grid; none if it could not be read, which was noted.
    pub(crate) fn device(&self, grid: usize, name: &str) -> Result<Option<usize>, String> {
        let known: Vec<&str> = self.grids[grid].devices.iter().map(|device| device.name.as_str()).collect();
        let missing = || format!("there is no device \"{}\"; {}", excerpt(name), suggestion(name, &known));
        let found = known.iter().position(|device| *device == name);
        if found.is_some() || self.grids[grid].declares(name) { Ok(found) } else { Err(missing()) }
    }

    fn image(
        &self,
        grid: usize,
        controller: &str,
        owner: &str,
        quantity: &str,
    ) -> Result<Option<Found>, String> {
        let named = &self.grids[grid];
        let seat = self.controller(grid, controller)?;
        let Some(device) = self.device(grid, owner)? else { return Ok(None) };
        let kinds = named.devices[device].points;
        let names: Vec<&str> = kinds.iter().map(PointKind::name).collect();
        let missing = || {
            format!("\"{owner}\" has no point \"{}\"; {}", excerpt(quantity), suggestion(quantity, &names))
        };
        let kind = kinds.iter().find(|kind| kind.name() == quantity).ok_or_else(missing)?;
        let place = kinds.place(kind).ok_or_else(missing)?;
        let point = first_point(named.devices[..device].iter().map(|device| device.points));
        let point = PointIndex::of(point.position() + place);
        let controller = ControllerIndex::of(named.first + seat.position());
        let watched = Watched::Image { controller, point };
        Ok(Some(Found { watched: Some(watched), unit: unit_of(kind) }))
    }
}

impl Named<'_, '_> {
    /// The places in the fleet of the grid's controllers, without a witness.
    pub(crate) fn controllers(&self) -> impl Iterator<Item = u16> {
        let controllers = self.members.iter().filter(|member| !member.is_witness).count();
        (self.first..self.first + controllers).map(|place| u16::try_from(place).unwrap_or(u16::MAX))
    }

    /// Whether more than one controller shares the authority.
    pub(crate) fn is_shared(&self) -> bool {
        self.members.len() > 1
    }
}

/// The first point of the device that follows devices with these points in an image.
pub(crate) fn first_point(before: impl Iterator<Item = PointKinds>) -> PointIndex {
    PointIndex::of(before.map(PointKinds::len).sum())
}

/// What of the plant a point of a device reads; a breaker measures what lies behind it.
pub(crate) fn quantity_of(class: DeviceClass, kind: PointKind) -> Quantity {
    match kind {
        PointKind::Voltage if class == DeviceClass::Breaker => Quantity::GridVoltage,
        PointKind::Frequency if class == DeviceClass::Breaker => Quantity::GridFrequency,
        PointKind::Power => Quantity::Power,
        PointKind::StateOfCharge => Quantity::ReportedStateOfCharge,
        PointKind::ChargeLimit => Quantity::ChargeLimit,
        PointKind::DischargeLimit => Quantity::DischargeLimit,
        PointKind::SetPoint => Quantity::SetPoint,
        PointKind::ReactivePower => Quantity::ReactivePower,
        PointKind::Voltage => Quantity::Voltage,
        PointKind::Frequency => Quantity::Frequency,
        PointKind::ReactiveSetPoint => Quantity::ReactiveSetPoint,
        PointKind::Signal => Quantity::Signal,
        PointKind::State => Quantity::State,
        PointKind::Closed => Quantity::Closed,
        PointKind::Mode => Quantity::Mode,
        PointKind::Remote => Quantity::Remote,
    }
}

pub(crate) fn unit_of(kind: PointKind) -> Unit {
    match kind.dimension() {
        Dimension::Power => Unit::Power,
        Dimension::ReactivePower => Unit::ReactivePower,
        Dimension::Share => Unit::Share,
        Dimension::Voltage => Unit::Voltage,
        Dimension::Frequency => Unit::Frequency,
        Dimension::Number => Unit::Number,
    }
}
