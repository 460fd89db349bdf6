//! Volt-var: reactive power that holds the voltage, by a curve: injected where it is low, absorbed where it is high.

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
use crate::units::{PerUnit, Ratio, Vars};

/// The curve unless the site says otherwise: voltage, and reactive power as a part of the apparent power.
///
/// # Source
/// IEEE 1547-2018, table 8, category B, as in EPRI's OpenDER.
pub const CATEGORY_B: [(f64, f64); 4] = [(0.92, 0.44), (0.98, 0.0), (1.02, 0.0), (1.08, -0.44)];
/// Open-loop response time unless the site says otherwise: 90 % of a step (the same table).
pub const RESPONSE: Span = Span::from_secs(5);
/// Longest response time: the table allows up to 90 s.
pub const RESPONSE_MAX: Span = Span::from_secs(90);

/// What a site file says about volt-var.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoltVarSpec {
    /// The meter that measures the voltage.
    pub meter: String,
    /// The battery that takes part, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that takes part, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// Voltages with the part of the apparent power that is injected there; without it category B.
    #[serde(default)]
    pub curve: Option<Vec<(PerUnit, Ratio)>>,
    /// In which time 90 % of a step is reached; without it 5 s.
    #[serde(default)]
    pub response: Option<Span>,
}

/// Injects or absorbs reactive power by the voltage.
///
/// # Units     `curve`: multiples of the nominal voltage, parts of the apparent power S; positive is injected
/// # Shape     one reactive target for each group; active power is left alone
/// # Errors    `Problem::OutOfRange` if the curve's voltages do not rise, or nothing takes part; `NotMeasured` without `v`
/// # Source    IEEE 1547-2018, 5.3.3, category B; a lost voltage leaves the reactive power as it is (ours)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VoltVar {
    meter: DeviceIndex,
    actors: Vec<(GroupIndex, Response)>,
    curve: Curve,
}

impl Function for VoltVar {
    type Spec = VoltVarSpec;

    fn build(spec: &VoltVarSpec, wiring: &mut Wiring<'_>) -> Self {
        let response = Response::build(spec.response.unwrap_or(RESPONSE), RESPONSE_MAX, wiring);
        let groups = wiring.battery_or_pv(spec.battery.as_deref(), spec.pv.as_deref());
        groups.iter().for_each(|group| wiring.takes_reactive(*group));
        Self {
            meter: wiring.meter_of("meter", &spec.meter, PointKind::Voltage),
            actors: groups.into_iter().map(|group| (group, response)).collect(),
            curve: Curve::build(spec.curve.as_deref(), &CATEGORY_B, wiring),
        }
    }

    fn rank(&self) -> Rank {
        Rank::Voltage
    }

    fn groups(&self) -> &[GroupIndex] {
        // It acts on no active power.
        &[]
    }

    fn acts_on(&self, group: GroupIndex) -> bool {
        self.actors.iter().any(|(known, _)| *known == group)
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
        self.actors.iter_mut().for_each(|(_, response)| response.forget());
    }

    fn begin_anew(&mut self) {
        // From what is decided until now.
        self.forget();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        self.actors.iter_mut().for_each(|(_, response)| response.carry(carry));
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(voltage) = view.voltage(self.meter) else { return };
        let wanted = self.curve.at(voltage);
        for (group, response) in &mut self.actors {
            let apparent = view.apparent(*group).volt_amperes();
            let present = view.decided_reactive(*group).unwrap_or(Vars::ZERO).vars();
            let power = response.follow(view.measured_at(), wanted * apparent, present);
            wishes.target_reactive(*group, Vars::of(power));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::testing::{Reading, Rig};
    use crate::redundancy::Command;

    fn spec(response: Span) -> VoltVarSpec {
        VoltVarSpec {
            meter: "pcc".into(),
            battery: Some("bess".into()),
            pv: None,
            curve: None,
            response: Some(response),
        }
    }

    fn law(response: Span) -> Rig {
        Rig::of(&[BuiltInSpec::VoltVar(spec(response))])
    }

    fn at(v: f64) -> Reading {
        Reading { v, ..Reading::default() }
    }

    #[test]
    fn reactive_power_follows_the_curve_of_category_b() {
        // The battery of the rig has 300 kVA.
        for (voltage, part) in
            [(0.9, 0.44), (0.92, 0.44), (0.95, 0.22), (1.0, 0.0), (1.05, -0.22), (1.1, -0.44)]
        {
            let decided = law(Span::ZERO).settled(at(voltage));
            assert!((decided.bess_var - part * 300.0).abs() < 1e-9, "{voltage} {decided:?}");
            assert_eq!(decided.bess, 0.0, "active power is left alone");
        }
    }

    #[test]
    fn ninety_percent_of_a_step_are_there_after_the_response_time() {
        let mut rig = law(RESPONSE);
        rig.settled(at(1.0));
        let mut decided = rig.scan(at(0.92));
        for _second in 1..5 {
            decided = rig.scan(at(0.92));
        }
        // Between two samples a voltage moves in a straight line, so that half a second is missing to five.
        assert!((decided.bess_var - 132.0 * (1.0 - 0.125_893)).abs() < 0.5, "{decided:?}");
    }

    #[test]
    fn a_lost_voltage_leaves_the_reactive_power_as_it_is() {
        let mut rig = law(Span::ZERO);
        rig.settled(at(0.92));
        let decided = rig.silent_meter(60, at(0.92));
        assert!((decided.bess_var - 132.0).abs() < 1e-9, "{decided:?}");
    }

    #[test]
    fn an_emergency_stop_ends_reactive_power_too() {
        let mut rig = law(Span::ZERO);
        rig.settled(at(0.92));
        rig.command(Command::EmergencyStop);
        assert_eq!(rig.scan(at(0.92)).bess_var, 0.0);
        rig.command(Command::Reset);
        assert!((rig.scan(at(0.92)).bess_var - 132.0).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_is_told_with_its_field() {
        let stack = |spec| [BuiltInSpec::VoltVar(spec)];
        let corner = |voltage, share| (PerUnit::of(voltage), Ratio::of(share));
        let falling =
            VoltVarSpec { curve: Some(alloc::vec![corner(1.0, 0.0), corner(0.9, 0.4)]), ..spec(RESPONSE) };
        assert_eq!(Rig::errors(&stack(falling)), ["curve: must be above the corner at 1 pu, got 0.9 pu"]);
        let of_pv = VoltVarSpec { battery: None, pv: Some("pv".into()), ..spec(RESPONSE) };
        let errors = Rig::errors(&stack(of_pv));
        assert_eq!(
            errors,
            ["pv: \"pv\" takes no reactive set-points: say its `apparent` power, such as \"300 kVA\""]
        );
    }
}
