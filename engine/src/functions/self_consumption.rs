//! Self-consumption: the battery takes what the site makes too much and gives back what it needs.
//!
//! `P = P_grid + P_battery − target`: what the meter would read without the battery, less what it should read. Both powers
//! are measured ones of the same instant, so that a meter that is late does not make the battery chase its own echo.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::units::{Ratio, Watts};

/// What a site file says about self-consumption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SelfConsumptionSpec {
    /// The meter at the point of common coupling.
    pub meter: String,
    /// The battery, or `batteries`.
    pub battery: String,
    /// What the meter should read, positive = import.
    #[serde(default)]
    pub target: Watts,
    /// The battery discharges only while it is fuller than this.
    #[serde(default)]
    pub discharge_above: Ratio,
}

/// Brings the power at the point of common coupling to a target with the battery.
///
/// # Units     target: W, positive = import; `discharge_above`: state of charge, 0 to 1
/// # Shape     one target for one group
/// # Errors    `Problem::OutOfRange` if `discharge_above` is no state of charge
/// # Source    OpenEMS, "Balancing" controller: calculated power = grid power + battery power − target
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfConsumption {
    meter: DeviceIndex,
    battery: [GroupIndex; 1],
    target: Watts,
    discharge_above: Ratio,
}

impl Function for SelfConsumption {
    type Spec = SelfConsumptionSpec;

    fn build(spec: &SelfConsumptionSpec, wiring: &mut Wiring<'_>) -> Self {
        wiring.state_of_charge("discharge_above", spec.discharge_above);
        Self {
            meter: wiring.meter("meter", &spec.meter),
            battery: [wiring.battery("battery", &spec.battery)],
            target: spec.target,
            discharge_above: spec.discharge_above,
        }
    }

    fn rank(&self) -> Rank {
        Rank::SelfConsumption
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.battery
    }

    fn when(&self) -> When {
        When::OnGrid
    }

    fn meter(&self) -> Option<DeviceIndex> {
        Some(self.meter)
    }

    fn carry(&mut self, _carry: &mut Carry<'_>) {}

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [battery] = self.battery;
        let Some(demand) = view.demand(self.meter, battery) else { return };
        let wanted = demand - self.target;
        let may_discharge = view.state_of_charge(battery).is_some_and(|soc| soc > self.discharge_above);
        wishes.target(battery, if may_discharge { wanted } else { wanted.at_most(Watts::ZERO) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::testing::{Reading, Rig, kilowatts};

    fn law(target_kw: f64, discharge_above: f64) -> Rig {
        Rig::of(&[crate::functions::BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: kilowatts(target_kw),
            discharge_above: Ratio::of(discharge_above),
        })])
    }

    #[test]
    fn the_battery_takes_grid_power_plus_its_own_less_the_target() {
        let mut rig = law(10.0, 0.0);
        assert_eq!(rig.settled(Reading { pcc: 80.0, bess: 30.0, ..Reading::default() }).bess, 100.0);
        assert_eq!(rig.settled(Reading { pcc: -150.0, bess: -20.0, ..Reading::default() }).bess, -180.0);
    }

    #[test]
    fn it_discharges_only_above_its_state_of_charge_and_charges_always() {
        let mut rig = law(0.0, 0.8);
        assert_eq!(rig.settled(Reading { pcc: 80.0, soc: 0.81, ..Reading::default() }).bess, 80.0);
        assert_eq!(rig.settled(Reading { pcc: 80.0, soc: 0.80, ..Reading::default() }).bess, 0.0);
        assert_eq!(rig.settled(Reading { pcc: -80.0, soc: 0.20, ..Reading::default() }).bess, -80.0);
    }
}
