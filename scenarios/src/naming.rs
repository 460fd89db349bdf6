//! Names of points: `commerce/bess.soc` is the plant's truth, `a:commerce/bess.soc` what controller `a` sees.

use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::points::{DeviceClass, DeviceSpec, PointKind};
use r_ems_sim::expect::Watched;
use r_ems_sim::plant::{ComponentIndex, Quantity};

use crate::mistake::suggestion;
use crate::node::excerpt;
use crate::plant::{Plant, Unit};

/// Everything of one grid that can be named.
pub(crate) struct Named<'a, 't> {
    pub(crate) grid: &'a str,
    pub(crate) controller: &'a str,
    pub(crate) devices: Vec<&'a DeviceSpec>,
    pub(crate) plant: Option<&'a Plant<'t>>,
    /// Whether its stack shaves peaks.
    pub(crate) shaves: bool,
}

/// All names of a scenario; grids and controllers in the order of the file.
pub(crate) struct Names<'a, 't> {
    pub(crate) grids: Vec<Named<'a, 't>>,
}

/// A point that was found; unknown where the plant is broken, which was noted.
pub(crate) struct Found {
    pub(crate) watched: Option<Watched>,
    pub(crate) unit: Unit,
}

impl Names<'_, '_> {
    /// Finds the point of a name; the error says what is there.
    pub(crate) fn point(&self, text: &str) -> Result<Found, String> {
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

    fn truth(&self, grid: usize, owner: &str, quantity: &str) -> Result<Found, String> {
        let broken = Found { watched: None, unit: Unit::Power };
        let Some(plant) = self.grids[grid].plant else { return Ok(broken) };
        let position = self.component(grid, owner)?;
        let Some(kind) = plant.parts[position].kind else { return Ok(broken) };
        let known = kind.quantities();
        let names: Vec<&str> = known.iter().map(|entry| entry.0).collect();
        let missing = || {
            format!("\"{owner}\" has no point \"{}\"; {}", excerpt(quantity), suggestion(quantity, &names))
        };
        let (_, quantity, unit) = known.iter().find(|entry| entry.0 == quantity).ok_or_else(missing)?;
        let component = ComponentIndex(u16::try_from(position).unwrap_or(u16::MAX));
        let point = plant.bus.as_ref().and_then(|bus| bus.truth(component, *quantity));
        let grid = u16::try_from(grid).unwrap_or(u16::MAX);
        Ok(Found { watched: point.map(|point| Watched::Truth { grid, point }), unit: *unit })
    }

    /// The position of a component of a grid.
    pub(crate) fn component(&self, grid: usize, name: &str) -> Result<usize, String> {
        let parts = self.grids[grid].plant.map_or(&[][..], |plant| plant.parts.as_slice());
        let known: Vec<&str> = parts.iter().map(|part| part.name.as_str()).collect();
        let missing = || format!("there is no component \"{}\"; {}", excerpt(name), suggestion(name, &known));
        known.iter().position(|part| *part == name).ok_or_else(missing)
    }

    /// The position of a device of a grid.
    pub(crate) fn device(&self, grid: usize, name: &str) -> Result<usize, String> {
        let known: Vec<&str> = self.grids[grid].devices.iter().map(|device| device.name.as_str()).collect();
        let missing = || format!("there is no device \"{}\"; {}", excerpt(name), suggestion(name, &known));
        known.iter().position(|device| *device == name).ok_or_else(missing)
    }

    fn image(&self, grid: usize, controller: &str, owner: &str, quantity: &str) -> Result<Found, String> {
        let named = &self.grids[grid];
        if named.controller != controller {
            let known = suggestion(controller, &[named.controller]);
            return Err(format!("there is no controller \"{}\"; {known}", excerpt(controller)));
        }
        let device = self.device(grid, owner)?;
        let kinds = named.devices[device].class.points();
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let missing = || {
            format!("\"{owner}\" has no point \"{}\"; {}", excerpt(quantity), suggestion(quantity, &names))
        };
        let place = names.iter().position(|name| *name == quantity).ok_or_else(missing)?;
        let point = first_point(named.devices[..device].iter().map(|device| device.class));
        let point = PointIndex::of(point.position() + place);
        let watched = Watched::Image { controller: ControllerIndex::of(grid), point };
        Ok(Found { watched: Some(watched), unit: unit_of(kinds[place]) })
    }
}

/// The first point of the device that follows devices of these classes in an image.
pub(crate) fn first_point(before: impl Iterator<Item = DeviceClass>) -> PointIndex {
    PointIndex::of(before.map(|class| class.points().len()).sum())
}

/// What of the plant a point of a device reads.
pub(crate) fn quantity_of(kind: PointKind) -> Quantity {
    match kind {
        PointKind::Power => Quantity::Power,
        PointKind::StateOfCharge => Quantity::ReportedStateOfCharge,
        PointKind::ChargeLimit => Quantity::ChargeLimit,
        PointKind::DischargeLimit => Quantity::DischargeLimit,
        PointKind::SetPoint => Quantity::SetPoint,
    }
}

fn unit_of(kind: PointKind) -> Unit {
    match kind {
        PointKind::Power | PointKind::ChargeLimit | PointKind::DischargeLimit | PointKind::SetPoint => {
            Unit::Power
        }
        PointKind::StateOfCharge => Unit::Share,
    }
}
