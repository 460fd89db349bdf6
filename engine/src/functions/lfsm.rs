//! Limited frequency sensitive mode: far from the nominal frequency power is limited, whoever wants what.
//!
//! Beyond `threshold` on either side a limit moves with the frequency: over, at most `P − P_ref (f − f_over) / (droop f0)`,
//! under, at least `P + P_ref (f_under − f) / (droop f0)`. `P` is the measured power, offsets of reserves included, at the
//! moment at which the threshold was crossed. `P_ref` is that same power over, and the rating under. There is no lag: this is
//! for the rare hours in which a grid is about to fall apart.
//!
//! Back in the band the limit stands at `P` until the frequency has stayed there for `release`: what ran away must not
//! come back at once. Nobody may use a limit as a pretext to do the opposite of what helps, so a battery that charges at a
//! high frequency goes on with at least that, although its `P_ref` is 0: it generates nothing that could be taken back.
//!
//! **Without the frequency** the limit stays as it is, and so it does over a restart; what is observed of the band begins
//! anew. The law belongs above reserves: it limits what they may deliver.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::side::{Side, nominal, require_nominal};
use super::{Function, OnLoss, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::math::at_most;
use crate::points::PointKind;
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, Ratio, Watts};

/// How far from the nominal frequency it begins unless the site says otherwise: at 50.2 and 49.8 Hz.
///
/// # Source
/// Commission regulation (EU) 2016/631 (`RfG`), articles 13(2) and 15(2)(c).
pub const THRESHOLD_HZ: f64 = 0.2;
/// The droop unless the site says otherwise: 40 % of the reference for each Hz at 50 Hz.
///
/// # Source
/// As above, where the system operator chooses from 2 % to 12 %.
pub const DROOP: f64 = 0.05;
/// How long the frequency must be back unless the site says otherwise.
pub const RELEASE: Span = Span::from_secs(600);

/// What a site file says about the mode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LfsmSpec {
    /// The meter that measures the frequency.
    pub meter: String,
    /// The battery that is limited, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that is limited, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// The nominal frequency f0; 50 Hz.
    #[serde(default = "nominal")]
    pub nominal: Hertz,
    /// How far from it the mode begins, on both sides; 0.2 Hz.
    #[serde(default = "threshold")]
    pub threshold: Hertz,
    /// The droop; 5 %.
    #[serde(default = "droop")]
    pub droop: Ratio,
    /// How long the frequency must have been back; 10 min.
    #[serde(default = "release")]
    pub release: Span,
}

fn threshold() -> Hertz {
    Hertz::of(THRESHOLD_HZ)
}

fn droop() -> Ratio {
    Ratio::of(DROOP)
}

const fn release() -> Span {
    RELEASE
}

/// Limits power where the frequency is far from the nominal one.
///
/// # Units     nominal, threshold: Hz, the latter a magnitude; droop: change of frequency for the reference, as a share
/// of nominal
/// # Shape     one limit for the battery group, one for the generator group
/// # Errors    `Problem::NotMeasured` if the meter has no frequency; `Problem::OutOfRange` if nominal is no frequency of a grid,
/// threshold is not above 0 and below nominal, droop is not above 0, or there is nothing to act on
/// # Source    Regulation (EU) 2016/631 (`RfG`), LFSM-O and LFSM-U; regulation (EU) 2017/1485 (SO GL) for what it is there for;
/// the wait before release as in Beckhoff TF8360
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lfsm {
    meter: DeviceIndex,
    groups: Vec<GroupIndex>,
    nominal: Hertz,
    threshold: Hertz,
    droop: Ratio,
    release: Span,
    /// Which way it limits.
    side: Side,
    /// Since when the frequency has been seen in the band; `None` while it is outside.
    back_since: Option<LocalTime>,
    /// By group, the power when the threshold was crossed, W.
    before_w: Vec<f64>,
}

impl Function for Lfsm {
    type Spec = LfsmSpec;

    fn build(spec: &LfsmSpec, wiring: &mut Wiring<'_>) -> Self {
        require_nominal(spec.nominal, wiring);
        let leaves_room = spec.threshold > Hertz::ZERO && spec.threshold < spec.nominal;
        wiring.require("threshold", leaves_room, spec.threshold, "above 0 Hz, and less than nominal");
        wiring.require("droop", spec.droop > Ratio::ZERO, spec.droop, "above 0 %");
        let groups = wiring.battery_or_pv(spec.battery.as_deref(), spec.pv.as_deref());
        Self {
            meter: wiring.meter_of("meter", &spec.meter, PointKind::Frequency),
            before_w: alloc::vec![0.0; groups.len()],
            groups,
            nominal: spec.nominal,
            threshold: spec.threshold,
            droop: spec.droop,
            release: spec.release,
            side: Side::Within,
            back_since: None,
        }
    }

    fn rank(&self) -> Rank {
        Rank::FrequencyResponse
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.groups
    }

    fn meter(&self) -> Option<DeviceIndex> {
        Some(self.meter)
    }

    fn measured(&self) -> PointKind {
        PointKind::Frequency
    }

    fn on_loss(&self) -> OnLoss {
        OnLoss::Stay
    }

    fn begin_anew(&mut self) {
        self.back_since = None;
    }

    fn forget(&mut self) {
        // Nobody has seen the frequency meanwhile.
        self.back_since = None;
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        self.side.carry(carry);
        for before_w in &mut self.before_w {
            carry.bounded(before_w);
        }
        carry.timers(|carry| carry.option(&mut self.back_since, Carry::instant));
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(frequency) = view.frequency(self.meter) else { return };
        let (side, beyond) = Side::of(frequency, self.nominal, self.threshold);
        self.follow(side, view);
        let share = beyond.abs().hertz() / (self.nominal.hertz() * self.droop.ratio());
        for (group, before_w) in self.groups.iter().zip(&self.before_w) {
            let before = Watts::of(*before_w);
            match self.side {
                Side::Within => {}
                Side::Over => {
                    let limit = before - before.at_least(Watts::ZERO) * at_most(share, 1.0);
                    wishes.limit(*group, view.lowest(*group).at_most(limit), limit);
                }
                Side::Under => {
                    let rating = view.rating(*group);
                    let limit = (before + rating * at_most(share, 1.0)).at_most(rating);
                    wishes.limit(*group, limit, view.highest(*group).at_least(limit));
                }
            }
        }
    }
}

impl Lfsm {
    /// Begins where the threshold is crossed, also anew on the other side, and ends after the wait.
    fn follow(&mut self, side: Side, view: &View<'_>) {
        let at = view.measured_at();
        if side == Side::Within {
            let back_since = *self.back_since.get_or_insert(at);
            if at.since(back_since) >= self.release {
                self.side = Side::Within;
            }
            return;
        }
        self.back_since = None;
        if side != self.side {
            self.side = side;
            for (group, before_w) in self.groups.iter().zip(&mut self.before_w) {
                *before_w = view.power(*group).watts();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig};

    /// The mode above a self-consumption that wants what the meter reads.
    fn law(battery: Option<&str>, pv: Option<&str>) -> Rig {
        let mode = LfsmSpec {
            meter: "pcc".into(),
            battery: battery.map(Into::into),
            pv: pv.map(Into::into),
            nominal: nominal(),
            threshold: threshold(),
            droop: droop(),
            release: RELEASE,
        };
        let wanting = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        Rig::of(&[BuiltInSpec::Lfsm(mode), BuiltInSpec::SelfConsumption(wanting)])
    }

    /// A load of 100 kW more than the battery, which makes 100 kW.
    fn reading(f: f64) -> Reading {
        Reading { pcc: 100.0, bess: 100.0, pv: 300.0, f, ..Reading::default() }
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn beyond_the_threshold_power_falls_by_forty_percent_of_itself_for_each_hertz() {
        let mut rig = law(Some("bess"), Some("pv"));
        rig.settled(reading(50.2));
        assert_eq!(rig.scan(reading(50.2)).bess, 200.0);
        let decided = rig.scan(reading(50.7));
        assert!(is_near(decided.bess, 80.0) && is_near(decided.pv, 240.0), "{decided:?}");
        // Of the power when the threshold was crossed, not of what is left of it.
        let decided = rig.scan(Reading { bess: 80.0, pv: 240.0, ..reading(51.2) });
        assert!(is_near(decided.bess, 60.0) && is_near(decided.pv, 180.0), "{decided:?}");
        assert_eq!(rig.scan(reading(53.0)).bess, 0.0);
    }

    #[test]
    fn a_battery_that_charges_at_a_high_frequency_goes_on() {
        let mut rig = law(Some("bess"), None);
        let reading = |f: f64| Reading { pcc: 150.0, bess: -100.0, f, ..Reading::default() };
        rig.settled(reading(50.0));
        assert_eq!(rig.scan(reading(50.0)).bess, 50.0);
        assert_eq!(rig.scan(reading(50.3)).bess, -100.0);
    }

    #[test]
    fn below_the_threshold_power_rises_by_forty_percent_of_the_rating_for_each_hertz() {
        let mut rig = law(Some("bess"), Some("pv"));
        let want_nothing = |f: f64| Reading { pcc: -100.0, ..reading(f) };
        rig.settled(want_nothing(50.0));
        assert_eq!(rig.scan(want_nothing(49.8)).bess, 0.0);
        let decided = rig.scan(want_nothing(49.3));
        assert!(is_near(decided.bess, 150.0), "{decided:?}");
        // No more than the rating, and what the battery cannot do of it is a shortfall.
        assert_eq!(rig.scan(want_nothing(47.5)).bess, 250.0);
        let slot = &rig.controller().composition().slots()[0];
        assert_eq!(slot.tally().short_worst(), Watts::ZERO);
    }

    #[test]
    fn the_limit_is_released_after_ten_minutes_in_the_band_in_a_row() {
        let mut rig = law(Some("bess"), None);
        rig.settled(reading(50.0));
        rig.scan(reading(50.7));
        for _second in 0..600 {
            assert_eq!(rig.scan(reading(50.1)).bess, 100.0, "no more than before");
        }
        assert!(rig.scan(reading(50.21)).bess < 100.0, "one look outside, and it begins anew");
        for _second in 0..600 {
            assert_eq!(rig.scan(reading(50.1)).bess, 100.0);
        }
        assert_eq!(rig.scan(reading(50.1)).bess, 200.0);
    }

    #[test]
    fn neither_a_lost_frequency_nor_a_restart_lifts_the_limit() {
        let mut rig = law(Some("bess"), None);
        rig.settled(reading(50.0));
        rig.scan(reading(50.7));
        for _second in 0..700 {
            assert!(is_near(rig.scan(reading(f64::NAN)).bess, 80.0));
        }
        for _second in 0..300 {
            rig.scan(reading(50.1));
        }
        rig.restart(Span::from_secs(1));
        rig.settled(reading(50.1));
        for _second in 0..596 {
            assert_eq!(rig.scan(reading(50.1)).bess, 100.0);
        }
        for _second in 0..4 {
            rig.scan(reading(50.1));
        }
        assert_eq!(rig.scan(reading(50.1)).bess, 200.0);
    }
}
