//! Words and units for what a run knows by numbers.
//!
//! Inside a run only ids move; here they become the names of the site file again.

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::controller::interval::Origin;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::{ControllerNames, DeviceName};
use r_ems_engine::points::PointKind;
use r_ems_sim::expect::{Claim, Watched};
use r_ems_sim::plant::Quantity;

/// The unit of a number of events.
pub const EVENTS: &str = "events";

/// The units of an expectation's numbers: `W`, `Wh`, `s`, `events`, or `1` for shares and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Of the margin.
    pub margin: &'static str,
    /// Of the value at the worst instant.
    pub value: &'static str,
}

/// The names in a controller's specification.
pub fn of_spec<F: FunctionSet>(spec: &ControllerSpec<F>) -> ControllerNames {
    let device = |device: &r_ems_engine::points::DeviceSpec| DeviceName {
        name: device.name.clone(),
        class: device.class,
    };
    ControllerNames {
        grid: spec.grid.clone(),
        id: spec.id.clone(),
        devices: spec.devices.iter().map(device).collect(),
        functions: spec.laws.iter().map(|law| law.built_name().to_owned()).collect(),
    }
}

/// Who set an end of an interval.
pub fn origin(names: &ControllerNames, origin: Origin) -> String {
    match origin {
        Origin::Ability => "what the devices can do".to_owned(),
        Origin::StartUp => "start-up, which holds the measured power".to_owned(),
        Origin::Function(slot) => {
            let known = names.functions.get(slot.position());
            known.map_or_else(|| format!("function {slot}"), ToOwned::to_owned)
        }
    }
}

/// The unit of a point of a controller's image.
pub const fn unit(kind: PointKind) -> &'static str {
    match kind {
        PointKind::StateOfCharge => "1",
        PointKind::Power | PointKind::ChargeLimit | PointKind::DischargeLimit | PointKind::SetPoint => "W",
    }
}

/// The unit of a value of the plant.
pub const fn truth_unit(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Power
        | Quantity::AvailablePower
        | Quantity::ChargeLimit
        | Quantity::DischargeLimit
        | Quantity::SetPoint
        | Quantity::Demand => "W",
        Quantity::StoredEnergy => "Wh",
        Quantity::StateOfCharge
        | Quantity::ReportedStateOfCharge
        | Quantity::Curtailed
        | Quantity::Closed => "1",
    }
}

/// The units of an expectation's numbers.
pub fn units(claim: &Claim, controllers: &[ControllerNames]) -> Units {
    let of = |watched: &Watched| match watched {
        Watched::Truth { point, .. } => truth_unit(point.quantity()),
        Watched::Image { controller, point } => {
            let known = controllers.get(controller.position()).and_then(|names| names.point(*point));
            known.map_or("1", |(_, kind)| unit(kind))
        }
    };
    match claim {
        Claim::Always { condition, .. } | Claim::Never(condition) => {
            Units { margin: of(&condition.point), value: of(&condition.point) }
        }
        Claim::Eventually { condition, .. } => Units { margin: "s", value: of(&condition.point) },
        Claim::Bounds { point, .. } => Units { margin: of(point), value: of(point) },
        Claim::NoEvent(_) | Claim::SomeEvent { .. } => Units { margin: "s", value: EVENTS },
    }
}
