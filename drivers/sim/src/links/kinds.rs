//! Which point of a device reads which quantity of the plant.

use r_ems_engine::points::PointKind;

use crate::plant::Quantity;

/// What a quantity is to a controller; `None` if no device of it reports such a point.
pub(super) const fn kind_of(quantity: Quantity) -> Option<PointKind> {
    match quantity {
        Quantity::Power => Some(PointKind::Power),
        Quantity::StateOfCharge | Quantity::ReportedStateOfCharge => Some(PointKind::StateOfCharge),
        Quantity::ChargeLimit => Some(PointKind::ChargeLimit),
        Quantity::DischargeLimit => Some(PointKind::DischargeLimit),
        Quantity::SetPoint => Some(PointKind::SetPoint),
        Quantity::ReactivePower => Some(PointKind::ReactivePower),
        Quantity::Voltage | Quantity::GridVoltage => Some(PointKind::Voltage),
        Quantity::Frequency | Quantity::GridFrequency => Some(PointKind::Frequency),
        Quantity::ReactiveSetPoint => Some(PointKind::ReactiveSetPoint),
        Quantity::Signal => Some(PointKind::Signal),
        Quantity::State => Some(PointKind::State),
        Quantity::Closed => Some(PointKind::Closed),
        Quantity::Mode => Some(PointKind::Mode),
        Quantity::Remote => Some(PointKind::Remote),
        Quantity::StoredEnergy
        | Quantity::AvailablePower
        | Quantity::Curtailed
        | Quantity::Demand
        | Quantity::Trips
        | Quantity::Waiting
        | Quantity::Fuel
        | Quantity::RunningHours
        | Quantity::Starts => None,
    }
}
