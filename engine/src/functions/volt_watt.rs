//! Volt-watt: where the voltage is high, less active power is fed in.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::curve::Curve;
use super::response::Response;
use super::{Function, OnLoss, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::PointKind;
use crate::time::Span;
use crate::units::{PerUnit, Ratio};

/// The curve unless the site says otherwise: voltage, and the most active power as a part of the rating.
///
/// # Source
/// IEEE 1547-2018, table 10, category B: from 1.06 to 1.10 of the nominal voltage, down to the least that a plant can do.
pub const CATEGORY_B: [(f64, f64); 2] = [(1.06, 1.0), (1.10, 0.0)];
/// Open-loop response time unless the site says otherwise: 90 % of a step (the same table).
pub const RESPONSE: Span = Span::from_secs(10);
/// Longest response time: the table allows up to 60 s.
pub const RESPONSE_MAX: Span = Span::from_secs(60);

/// What a site file says about volt-watt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltWattSpec {
    /// The meter that measures the voltage.
    pub meter: String,
    /// The battery that takes part, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that takes part, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// Voltages with the part of the rating that may be fed in there; without it category B.
    #[serde(default)]
    pub curve: Option<Vec<(PerUnit, Ratio)>>,
    /// In which time 90 % of a step is reached; without it 10 s.
    #[serde(default)]
    pub response: Option<Span>,
}

/// Limits what is fed in by the voltage. Where the curve falls below zero a battery must charge.
///
/// # Units     `curve`: multiples of the nominal voltage, parts of the rating
/// # Shape     one limit for each group
/// # Errors    `Problem::OutOfRange` if the curve's voltages do not rise, or nothing takes part; `NotMeasured` without `v`
/// # Source    IEEE 1547-2018, 5.4.2, category B; a lost voltage leaves the limit as it is (ours)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoltWatt {
    meter: DeviceIndex,
    groups: Vec<GroupIndex>,
    curve: Curve,
    response: Response,
}

impl Function for VoltWatt {
    type Spec = VoltWattSpec;

    fn build(spec: &VoltWattSpec, wiring: &mut Wiring<'_>) -> Self {
        let response = Response::build(spec.response.unwrap_or(RESPONSE), RESPONSE_MAX, wiring);
        let groups = wiring.battery_or_pv(spec.battery.as_deref(), spec.pv.as_deref());
        Self {
            meter: wiring.meter_of("meter", &spec.meter, PointKind::Voltage),
            groups,
            curve: Curve::build(spec.curve.as_deref(), &CATEGORY_B, wiring),
            response,
        }
    }

    fn rank(&self) -> Rank {
        Rank::Voltage
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.groups
    }

    fn meter(&self) -> Option<DeviceIndex> {
        Some(self.meter)
    }

    fn measured(&self) -> PointKind {
        PointKind::Voltage
    }

    fn on_loss(&self) -> OnLoss {
        OnLoss::Stay
    }

    fn forget(&mut self) {
        self.response.forget();
    }

    fn begin_anew(&mut self) {
        self.forget();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        self.response.carry(carry);
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(voltage) = view.voltage(self.meter) else { return };
        let wanted = self.curve.at(voltage);
        let part = self.response.follow(view.measured_at(), wanted, wanted);
        for group in &self.groups {
            let rating = view.rating(*group);
            let high = rating * part;
            let low = view.class(*group).range(rating).0;
            wishes.limit(*group, low.at_most(high), high);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::testing::{Reading, Rig};

    fn law(response: Option<Span>) -> Rig {
        Rig::of(&[BuiltInSpec::VoltWatt(VoltWattSpec {
            meter: "pcc".into(),
            battery: Some("bess".into()),
            pv: Some("pv".into()),
            curve: None,
            response,
        })])
    }

    fn at(v: f64) -> Reading {
        Reading { v, pv: 600.0, ..Reading::default() }
    }

    #[test]
    fn what_is_fed_in_falls_between_the_corners_of_category_b() {
        for (voltage, part) in [(1.0, 1.0), (1.06, 1.0), (1.07, 0.75), (1.08, 0.5), (1.10, 0.0), (1.15, 0.0)]
        {
            let decided = law(Some(Span::ZERO)).settled(at(voltage));
            assert!((decided.pv - 600.0 * part).abs() < 1e-6, "{voltage} {decided:?}");
            assert_eq!(decided.bess, 0.0, "a battery at rest feeds nothing in");
        }
    }

    #[test]
    fn ninety_percent_of_a_step_are_there_after_ten_seconds() {
        let mut rig = law(None);
        rig.settled(at(1.0));
        let mut decided = rig.scan(at(1.10));
        for _second in 1..10 {
            decided = rig.scan(at(1.10));
        }
        // Between two samples a voltage moves in a straight line, so that half a second is missing to ten.
        assert!((decided.pv - 600.0 * 0.112_202).abs() < 2.0, "{decided:?}");
    }

    #[test]
    fn a_lost_voltage_gives_no_limit_up() {
        let mut rig = law(Some(Span::ZERO));
        rig.settled(at(1.08));
        assert!((rig.silent_meter(60, at(1.08)).pv - 300.0).abs() < 1e-6);
    }
}
