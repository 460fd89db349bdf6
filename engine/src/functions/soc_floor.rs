//! State-of-charge floor: below it the battery does not discharge, and far below it is charged by force.
//!
//! The floor is the battery's last reserve. It is entered at once and left only after a dwell and some way above, so that a
//! reported state of charge that comes in whole percents does not make the battery come and go. Forced charge begins
//! below `force_charge_below` and ends at `release`; whatever stands above it in the stack still binds it, so a forced
//! charge never breaks a connection limit. Each battery of a group has its own floor: a mean would let the fuller ones
//! empty the others.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Watts};

/// The battery discharges again this far above the floor.
pub const FLOOR_HYSTERESIS: f64 = 0.01;
/// Forced charge takes this part of the rating unless the site says otherwise.
///
/// # Source
/// OpenEMS, "Limit Total Discharge" controller: a fifth of the maximum charge power.
pub const FORCE_CHARGE_SHARE: f64 = 0.2;
/// Shortest time at the floor or in forced charge unless the site says otherwise.
pub const DWELL: Span = Span::from_mins(5);

/// What a site file says about the floor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SocFloorSpec {
    /// The battery, or `batteries`.
    pub battery: String,
    /// At or below this state of charge the battery does not discharge.
    pub floor: Ratio,
    /// Below this state of charge it is charged by force; without it never.
    #[serde(default)]
    pub force_charge_below: Option<Ratio>,
    /// With how much; without it a fifth of the rating.
    #[serde(default)]
    pub force_charge_power: Option<Watts>,
    /// Forced charge ends at this state of charge; without it at the floor.
    #[serde(default)]
    pub release: Option<Ratio>,
    /// Shortest time in each state; without it 5 min.
    #[serde(default)]
    pub dwell: Option<Span>,
}

/// Keeps a battery's state of charge above a floor.
///
/// # Units     floor, `force_charge_below`, release: state of charge, 0 to 1; `force_charge_power`: W, a magnitude
/// # Shape     one limit for each member of one group
/// # Errors    `Problem::OutOfRange` unless `force_charge_below <= floor`, `force_charge_below < release`, power above 0
/// # Source    OpenEMS, "Limit Total Discharge" controller (`minSoc`, `forceChargeSoc`), dwell of 5 min
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SocFloor {
    battery: [GroupIndex; 1],
    floor: Ratio,
    force_below: Option<Ratio>,
    force_power: Option<Watts>,
    release: Ratio,
    dwell: Span,
    /// By member of the group; empty before the first scan of a life.
    held: Vec<Held>,
}

/// Since when one battery has been held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Held {
    at_floor: Option<LocalTime>,
    forced: Option<LocalTime>,
}

impl Function for SocFloor {
    type Spec = SocFloorSpec;

    fn build(spec: &SocFloorSpec, wiring: &mut Wiring<'_>) -> Self {
        wiring.state_of_charge("floor", spec.floor);
        let release = spec.release.unwrap_or(spec.floor);
        wiring.state_of_charge("release", release);
        if let Some(below) = spec.force_charge_below {
            let allowed = alloc::format!("at most the floor of {}", spec.floor);
            wiring.require("force_charge_below", below <= spec.floor, below, &allowed);
            let allowed = alloc::format!("above force_charge_below of {below}");
            wiring.require("release", release > below, release, &allowed);
        }
        if let Some(power) = spec.force_charge_power {
            wiring.require("force_charge_power", power > Watts::ZERO, power, "above 0 W");
        }
        Self {
            battery: [wiring.battery("battery", &spec.battery)],
            floor: spec.floor,
            force_below: spec.force_charge_below,
            force_power: spec.force_charge_power,
            release,
            dwell: spec.dwell.unwrap_or(DWELL),
            held: Vec::new(),
        }
    }

    fn rank(&self) -> Rank {
        Rank::Floor
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.battery
    }

    fn forget(&mut self) {
        self.held.clear();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| {
            carry.list(&mut self.held, |carry, held| {
                carry.option(&mut held.at_floor, Carry::instant);
                carry.option(&mut held.forced, Carry::instant);
            });
        });
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [group] = self.battery;
        let places = view.members(group);
        let (floor, is_shared) = (self.floor, places.len() > 1);
        self.held.resize(places.len(), Held::default());
        for place in places {
            // Without a state of charge the device's ability already forbids to discharge.
            let Some(soc) = view.member_state_of_charge(group, place) else { continue };
            let held = self.follow(usize::from(place), view.now(), soc);
            let rating = view.member_rating(group, place);
            if held.forced.is_some() {
                let power = self.force_power.unwrap_or(rating * FORCE_CHARGE_SHARE).at_most(rating);
                wishes.limit_member(group, place, -rating, -power, floor);
            } else if held.at_floor.is_some() {
                wishes.limit_member(group, place, -rating, Watts::ZERO, floor);
            } else if is_shared {
                // Permits everything, and says how far the battery may be emptied.
                wishes.limit_member(group, place, -rating, rating, floor);
            }
        }
    }
}

impl SocFloor {
    fn follow(&mut self, place: usize, now: LocalTime, soc: Ratio) -> Held {
        let has_dwelt = |since: LocalTime| now.since(since) >= self.dwell;
        let held = &mut self.held[place];
        if soc <= self.floor {
            held.at_floor.get_or_insert(now);
        } else if soc.ratio() >= self.floor.ratio() + FLOOR_HYSTERESIS && held.at_floor.is_some_and(has_dwelt)
        {
            held.at_floor = None;
        }
        if self.force_below.is_some_and(|below| soc < below) {
            held.forced.get_or_insert(now);
        } else if self.force_below.is_none() || (soc >= self.release && held.forced.is_some_and(has_dwelt)) {
            // What an earlier life was told of forced charge is over.
            held.forced = None;
        }
        *held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig};

    /// The floor above a self-consumption that wants to discharge 100 kW.
    fn law() -> Rig {
        let floor = SocFloorSpec {
            battery: "bess".into(),
            floor: Ratio::of(0.15),
            force_charge_below: Some(Ratio::of(0.10)),
            force_charge_power: None,
            release: None,
            dwell: None,
        };
        let wanting = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        Rig::of(&[BuiltInSpec::SocFloor(floor), BuiltInSpec::SelfConsumption(wanting)])
    }

    fn reading(soc: f64) -> Reading {
        Reading { pcc: 100.0, soc, ..Reading::default() }
    }

    #[test]
    fn at_the_floor_the_battery_stops_and_just_above_it_runs() {
        let mut rig = law();
        assert_eq!(rig.settled(reading(0.151)).bess, 100.0);
        assert_eq!(rig.settled(reading(0.15)).bess, 0.0);
    }

    #[test]
    fn the_floor_is_left_after_the_dwell_and_some_way_above() {
        let mut rig = law();
        rig.settled(reading(0.15));
        assert_eq!(rig.settled(reading(0.17)).bess, 0.0);
        for _second in 0..300 {
            rig.scan(reading(0.159));
        }
        assert_eq!(rig.scan(reading(0.159)).bess, 0.0);
        assert_eq!(rig.scan(reading(0.16)).bess, 100.0);
    }

    #[test]
    fn far_below_the_battery_is_charged_by_force_until_released() {
        let mut rig = law();
        assert_eq!(rig.settled(reading(0.10)).bess, 0.0);
        assert_eq!(rig.settled(reading(0.099)).bess, -50.0);
        for _second in 0..301 {
            rig.scan(reading(0.14));
        }
        assert_eq!(rig.scan(reading(0.149)).bess, -50.0);
        assert_eq!(rig.scan(reading(0.15)).bess, 0.0);
    }

    #[test]
    fn a_forced_charge_that_was_remembered_ends_where_nobody_asks_for_any_more() {
        let held = |forced| Held { at_floor: Some(LocalTime::ZERO), forced };
        let mut law = SocFloor {
            battery: [GroupIndex(0)],
            floor: Ratio::of(0.15),
            force_below: None,
            force_power: None,
            release: Ratio::of(0.15),
            dwell: DWELL,
            held: alloc::vec![held(Some(LocalTime::ZERO))],
        };
        assert_eq!(law.follow(0, LocalTime::ZERO, Ratio::of(0.08)), held(None));
    }
}
