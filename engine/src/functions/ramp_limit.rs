//! Ramp limit: a group's set-point changes no faster than a rate.
//!
//! The rate is in power per second, never per scan: a scan that comes late may go further. What stands above it in the stack
//! (a connection limit, say) is not slowed down, because the interval that it left collapses this function's
//! wish to its nearest end; the shortfall is then counted here.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::units::WattsPerSecond;

/// What a site file says about a ramp.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RampLimitSpec {
    /// The battery whose power is ramped, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter whose limit is ramped, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// How fast the power may rise.
    pub up: WattsPerSecond,
    /// How fast it may fall; without it as fast as it may rise.
    #[serde(default)]
    pub down: Option<WattsPerSecond>,
}

/// Limits how fast a group's set-point changes.
///
/// # Units     up, down: W/s, magnitudes
/// # Shape     one limit for one group
/// # Errors    `Problem::OutOfRange` if a rate is not positive, or not exactly one of `battery` and `pv` is given
/// # Source    OpenEMS, "Ramp" filters; grid-code ramps of IEEE 1547-2018 4.10.3 (rates set by the operator)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RampLimit {
    group: [GroupIndex; 1],
    up: WattsPerSecond,
    down: WattsPerSecond,
}

impl Function for RampLimit {
    type Spec = RampLimitSpec;

    fn build(spec: &RampLimitSpec, wiring: &mut Wiring<'_>) -> Self {
        let down = spec.down.unwrap_or(spec.up);
        wiring.require("up", spec.up > WattsPerSecond::ZERO, spec.up, "above 0 W/s");
        wiring.require("down", down > WattsPerSecond::ZERO, down, "above 0 W/s");
        let group = wiring.one_of_battery_and_pv(spec.battery.as_deref(), spec.pv.as_deref());
        Self { group: [group], up: spec.up, down }
    }

    fn rank(&self) -> Rank {
        Rank::Ramp
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.group
    }

    fn carry(&mut self, _carry: &mut Carry<'_>) {}

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [group] = self.group;
        if let Some(from) = view.decided(group) {
            let (down, up) = (self.down.over(view.elapsed()), self.up.over(view.elapsed()));
            wishes.limit(group, from - down, from + up);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig};
    use crate::units::{Ratio, Watts};

    #[test]
    fn the_set_point_rises_and_falls_no_faster_than_its_rates() {
        let ramp = RampLimitSpec {
            battery: Some("bess".into()),
            pv: None,
            up: WattsPerSecond::of(10e3),
            down: Some(WattsPerSecond::of(20e3)),
        };
        let wanting = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        let mut rig = Rig::of(&[BuiltInSpec::RampLimit(ramp), BuiltInSpec::SelfConsumption(wanting)]);
        rig.settled(Reading::default());
        let mut powers = [0.0; 4];
        for power in &mut powers {
            *power = rig.scan(Reading { pcc: 35.0, ..Reading::default() }).bess;
        }
        assert_eq!(powers, [10.0, 20.0, 30.0, 35.0]);
        assert_eq!(rig.scan(Reading { pcc: -35.0, ..Reading::default() }).bess, 15.0);
        assert_eq!(rig.scan(Reading { pcc: -35.0, ..Reading::default() }).bess, -5.0);
    }
}
