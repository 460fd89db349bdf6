//! Connection and export limit: the point of common coupling stays between two powers, by the battery first, then by PV.
//!
//! Import above `import_max` is carried by the battery. Export beyond `export_max` is charged; what the battery can
//! not take is curtailed at the generators, and no more than that: their limit assumes that the battery charges all it can.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::units::Watts;

/// What a site file says about the connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionLimitSpec {
    /// The meter at the point of common coupling.
    pub meter: String,
    /// The battery that helps, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that is curtailed, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// The highest import.
    #[serde(default)]
    pub import_max: Option<Watts>,
    /// The highest export, a magnitude.
    #[serde(default)]
    pub export_max: Option<Watts>,
    /// What the inverters are limited to while the meter is lost; without it `export_max`.
    #[serde(default)]
    pub fail_safe: Option<Watts>,
}

/// Keeps the power at the point of common coupling within the connection's limits.
///
/// # Units     `import_max`, `export_max`, `fail_safe`: W, magnitudes
/// # Shape     one limit for the battery group, one for the generator group
/// # Errors    `Problem::OutOfRange` if a limit is negative, if there is no limit at all, or nothing to act on
/// # Source    OpenEMS, "Limit Grid Connection" and "Sell-to-grid limit" controllers; EN 50549's export limitation is not quoted
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionLimit {
    meter: DeviceIndex,
    battery: Option<GroupIndex>,
    pv: Option<GroupIndex>,
    groups: Vec<GroupIndex>,
    import_max: Option<Watts>,
    export_max: Option<Watts>,
    fail_safe: Option<Watts>,
}

impl Function for ConnectionLimit {
    type Spec = ConnectionLimitSpec;

    fn build(spec: &ConnectionLimitSpec, wiring: &mut Wiring<'_>) -> Self {
        for (field, limit) in
            [("import_max", spec.import_max), ("export_max", spec.export_max), ("fail_safe", spec.fail_safe)]
        {
            if let Some(limit) = limit {
                wiring.require(field, limit >= Watts::ZERO, limit, "a magnitude, 0 W or more");
            }
        }
        let has_limit = spec.import_max.is_some() || spec.export_max.is_some();
        wiring.require("import_max", has_limit, "neither", "given, or else export_max");
        let has_actor = spec.battery.is_some() || spec.pv.is_some();
        wiring.require("battery", has_actor, "neither", "given, or else pv");
        let battery = spec.battery.as_ref().map(|name| wiring.battery("battery", name));
        let pv = spec.pv.as_ref().map(|name| wiring.pv("pv", name));
        Self {
            meter: wiring.meter("meter", &spec.meter),
            battery,
            pv,
            groups: battery.into_iter().chain(pv).collect(),
            import_max: spec.import_max,
            export_max: spec.export_max,
            fail_safe: spec.fail_safe.or(spec.export_max),
        }
    }

    fn rank(&self) -> Rank {
        Rank::Connection
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.groups
    }

    fn when(&self) -> When {
        When::OnGrid
    }

    fn meter(&self) -> Option<DeviceIndex> {
        Some(self.meter)
    }

    fn fail_safe(&self) -> Option<Watts> {
        self.fail_safe
    }

    fn carry(&mut self, _carry: &mut Carry<'_>) {}

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(grid) = view.meter(self.meter) else { return };
        if let Some(battery) = self.battery {
            let demand = grid + view.measured(battery);
            let rating = view.rating(battery);
            let low = self.import_max.map_or(-rating, |limit| demand - limit);
            let high = self.export_max.map_or(rating, |limit| demand + limit);
            wishes.limit(battery, low, high.at_least(low));
        }
        if let Some(pv) = self.pv
            && let Some(limit) = self.export_max
        {
            // What the site would draw without its inverters while the battery charges all it can.
            let measured = self.battery.map_or(Watts::ZERO, |battery| view.measured(battery));
            let charging =
                self.battery.map_or(Watts::ZERO, |battery| view.lowest(battery).at_most(Watts::ZERO));
            let room = grid + view.measured(pv) + measured - charging + limit;
            // Less than nothing cannot be made: it is wished all the same, so that the shortfall is counted.
            wishes.limit(pv, room.at_most(Watts::ZERO), room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts};

    fn law() -> Rig {
        Rig::of(&[BuiltInSpec::ConnectionLimit(ConnectionLimitSpec {
            meter: "pcc".into(),
            battery: Some("bess".into()),
            pv: Some("pv".into()),
            import_max: Some(kilowatts(300.0)),
            export_max: Some(kilowatts(100.0)),
            fail_safe: None,
        })])
    }

    #[test]
    fn import_above_the_limit_is_carried_by_the_battery() {
        let mut rig = law();
        assert_eq!(rig.settled(Reading { pcc: 300.0, ..Reading::default() }).bess, 0.0);
        assert_eq!(rig.settled(Reading { pcc: 340.0, bess: 10.0, ..Reading::default() }).bess, 50.0);
    }

    #[test]
    fn export_beyond_the_limit_is_charged_first_and_then_curtailed() {
        let mut rig = law();
        let decided = rig.settled(Reading { pcc: -100.0, pv: 300.0, ..Reading::default() });
        assert_eq!((decided.bess, decided.pv), (0.0, 550.0));
        let decided = rig.settled(Reading { pcc: -180.0, pv: 300.0, ..Reading::default() });
        assert_eq!((decided.bess, decided.pv), (-80.0, 470.0));
        // A load of 50 kW, 500 kW of sun: 250 kW charged, 100 kW exported, 400 kW left for the inverter.
        let decided = rig.settled(Reading { pcc: -200.0, bess: -250.0, pv: 500.0, ..Reading::default() });
        assert_eq!((decided.bess, decided.pv), (-250.0, 400.0));
    }

    #[test]
    fn when_the_meter_is_lost_the_battery_rests_and_the_inverter_takes_its_fail_safe_limit() {
        let mut rig = law();
        rig.settled(Reading { pcc: -180.0, pv: 300.0, bess: 0.0, ..Reading::default() });
        // Lost at the third silent scan, held for 5 s from there on: the ramp begins one second later.
        let decided = rig.silent_meter(7, Reading { pv: 300.0, bess: -80.0, ..Reading::default() });
        assert_eq!((decided.bess, decided.pv), (-80.0, 470.0));
        let decided = rig.silent_meter(2, Reading { pv: 300.0, bess: -80.0, ..Reading::default() });
        assert_eq!((decided.bess, decided.pv), (-72.0, 100.0));
        let decided = rig.silent_meter(10, Reading { pv: 300.0, bess: 0.0, ..Reading::default() });
        assert_eq!((decided.bess, decided.pv), (0.0, 100.0));
    }

    #[test]
    fn after_the_meter_returned_it_must_be_good_for_ten_seconds_and_control_goes_on_from_the_measured_power()
    {
        let mut rig = law();
        rig.settled(Reading { pcc: 340.0, ..Reading::default() });
        rig.silent_meter(30, Reading::default());
        for _second in 0..10 {
            assert_eq!(rig.scan(Reading { pcc: 340.0, bess: 7.0, ..Reading::default() }).bess, 0.0);
        }
        assert_eq!(rig.scan(Reading { pcc: 340.0, bess: 7.0, ..Reading::default() }).bess, 7.0);
        assert_eq!(rig.scan(Reading { pcc: 340.0, bess: 7.0, ..Reading::default() }).bess, 47.0);
    }
}
