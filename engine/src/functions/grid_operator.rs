//! The grid operator's limit: what a ripple-control receiver or a remote control interface says is kept, and what it says no more
//! is not unlimited.
//!
//! A [`DeviceClass::Signal`](crate::points::DeviceClass::Signal) device tells a share, 0 to 1. **Feed-in** (`rating`): no more
//! than that share of the installed power is fed in. Without a meter that is a limit of the generators; with one it counts at the
//! connection, so that what the site uses itself, or charges, need not be thrown away: the battery takes what it can and the
//! generators the rest, as in [`super::ConnectionLimit`], and no battery discharges into a limited grid. **Consumption**
//! (`consumption_limit`): while the share is below 1, the battery draws no more than that from the grid; what the site's own
//! generators have left over is not drawn from the grid, where a meter tells.
//!
//! **Lost.** As long as the signal is not good, and for ten seconds after, `fail_safe` counts. It has no default: what a silent
//! receiver means is in the contract with the grid operator. Several receivers, such as relays of 60, 30 and 0 %, are several
//! of these functions: the strictest binds, because an interval only shrinks.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::units::{Ratio, Watts};

/// What a site file says about a limit of the grid operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GridOperatorSpec {
    /// The receiver that tells the share.
    pub signal: String,
    /// The meter at the point of common coupling, if the limit counts there.
    #[serde(default)]
    pub meter: Option<String>,
    /// The inverter that is curtailed, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// The battery that charges what must not be fed in, or that draws less; or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The installed power of which the share is fed in at the most.
    #[serde(default)]
    pub rating: Option<Watts>,
    /// What the battery may draw from the grid while the share is below 1.
    #[serde(default)]
    pub consumption_limit: Option<Watts>,
    /// What counts while the signal is lost: the most that is fed in, or drawn.
    pub fail_safe: Watts,
}

/// Keeps feed-in or consumption within what the grid operator signals.
///
/// # Units     `rating`, `consumption_limit`, `fail_safe`: W, magnitudes
/// # Shape     feed-in: one limit for the generators, one for a battery; consumption: one limit for the battery
/// # Errors    `Problem::OutOfRange` unless exactly one of `rating` and `consumption_limit` is given, with what it acts on, and
/// `fail_safe` is from 0 W to the rating
/// # Source    Germany: EEG section 9 (stages of 100, 60, 30 and 0 % of the installed power are the usual ones of receivers),
/// EnWG section 14a with BK6-22-300 (4.2 kW for each controllable device; what a site makes itself does not count)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridOperator {
    signal: DeviceIndex,
    meter: Option<DeviceIndex>,
    pv: Option<GroupIndex>,
    battery: Option<GroupIndex>,
    groups: Vec<GroupIndex>,
    limits: Limits,
    fail_safe: Watts,
    /// What the signal says; none while it is lost.
    share: Option<Ratio>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Limits {
    /// Feed-in, to a share of this.
    FeedIn(Watts),
    /// Consumption, to this.
    Consumption(Watts),
}

impl Function for GridOperator {
    type Spec = GridOperatorSpec;

    fn build(spec: &GridOperatorSpec, wiring: &mut Wiring<'_>) -> Self {
        let is_one = spec.rating.is_some() != spec.consumption_limit.is_some();
        let found = if spec.rating.is_some() { "both rating and consumption_limit" } else { "neither" };
        wiring.require("rating", is_one, found, "one of rating and consumption_limit");
        let positive = "above 0 W";
        if let Some(rating) = spec.rating {
            wiring.require("rating", rating > Watts::ZERO, rating, positive);
            let holds = (Watts::ZERO..=rating.at_least(Watts::ZERO)).contains(&spec.fail_safe);
            wiring.require("fail_safe", holds, spec.fail_safe, "from 0 W to the rating");
            wiring.require("pv", spec.pv.is_some(), "none", "given: the generators that are limited");
            let is_felt = spec.battery.is_none() || spec.meter.is_some();
            wiring.require(
                "battery",
                is_felt,
                "a battery without a meter",
                "given with a meter, which sees what it takes",
            );
        } else if let Some(limit) = spec.consumption_limit {
            wiring.require("consumption_limit", limit >= Watts::ZERO, limit, "0 W or more");
            let holds = spec.fail_safe >= Watts::ZERO;
            wiring.require("fail_safe", holds, spec.fail_safe, "a magnitude, 0 W or more");
            wiring.require("battery", spec.battery.is_some(), "none", "given: it draws less");
            wiring.require("pv", spec.pv.is_none(), "a generator", "left out: it draws nothing");
        }
        let limits = match (spec.rating, spec.consumption_limit) {
            (Some(rating), _) => Limits::FeedIn(rating),
            (None, limit) => Limits::Consumption(limit.unwrap_or(Watts::ZERO)),
        };
        let battery = spec.battery.as_ref().map(|name| wiring.battery("battery", name));
        let pv = spec.pv.as_ref().map(|name| wiring.pv("pv", name));
        Self {
            signal: wiring.signal("signal", &spec.signal),
            meter: spec.meter.as_ref().map(|name| wiring.meter("meter", name)),
            pv,
            battery,
            groups: battery.into_iter().chain(pv).collect(),
            limits,
            fail_safe: spec.fail_safe,
            share: None,
        }
    }

    fn rank(&self) -> Rank {
        Rank::GridOperator
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.groups
    }

    fn when(&self) -> When {
        When::OnGrid
    }

    fn meter(&self) -> Option<DeviceIndex> {
        self.meter
    }

    fn signal(&self) -> Option<DeviceIndex> {
        Some(self.signal)
    }

    fn hear(&mut self, share: Option<Ratio>) {
        self.share = share;
    }

    fn fail_safe(&self) -> Option<Watts> {
        // Without its meter nothing is known of what the site uses: the generators alone keep what the signal says.
        self.limit()
    }

    fn forget(&mut self) {
        self.share = None;
    }

    fn carry(&mut self, _carry: &mut Carry<'_>) {}

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(limit) = self.limit() else { return };
        match self.limits {
            Limits::FeedIn(_) => self.limit_feed_in(limit, view, wishes),
            Limits::Consumption(_) => self.limit_consumption(limit, view, wishes),
        }
    }
}

impl GridOperator {
    /// The most that is fed in, or drawn; none if that is not limited now.
    fn limit(&self) -> Option<Watts> {
        match (self.limits, self.share) {
            (_, None) => Some(self.fail_safe),
            (Limits::FeedIn(rating), Some(share)) => Some(rating * share.ratio()),
            (Limits::Consumption(limit), Some(share)) => (share < Ratio::ONE).then_some(limit),
        }
    }

    fn limit_feed_in(&self, limit: Watts, view: &View<'_>, wishes: &mut Wishes) {
        let Some(pv) = self.pv else { return };
        let Some(meter) = self.meter else { return wishes.limit(pv, Watts::ZERO, limit) };
        let Some(grid) = view.meter(meter) else { return };
        let measured = self.battery.map_or(Watts::ZERO, |battery| view.measured(battery));
        if let Some(battery) = self.battery {
            let low = -view.rating(battery);
            wishes.limit(battery, low, (grid + measured + limit).at_least(low));
        }
        // The generators' limit assumes that the battery charges all it can.
        let charging = self.battery.map_or(Watts::ZERO, |battery| view.lowest(battery).at_most(Watts::ZERO));
        let room = grid + view.measured(pv) + measured - charging + limit;
        // Less than nothing cannot be made: it is wished all the same, so that the shortfall is counted.
        wishes.limit(pv, room.at_most(Watts::ZERO), room);
    }

    fn limit_consumption(&self, limit: Watts, view: &View<'_>, wishes: &mut Wishes) {
        let Some(battery) = self.battery else { return };
        let surplus = match self.meter {
            None => Watts::ZERO,
            Some(meter) => match view.demand(meter, battery) {
                Some(demand) => (-demand).at_least(Watts::ZERO),
                None => return,
            },
        };
        wishes.limit(battery, -(limit + surplus), view.rating(battery));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::event::Event;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts};
    use crate::ids::SlotIndex;

    fn feed_in() -> GridOperatorSpec {
        GridOperatorSpec {
            signal: "receiver".into(),
            meter: None,
            pv: Some("pv".into()),
            battery: None,
            rating: Some(kilowatts(500.0)),
            consumption_limit: None,
            fail_safe: kilowatts(50.0),
        }
    }

    fn at_the_connection() -> GridOperatorSpec {
        GridOperatorSpec { meter: Some("pcc".into()), battery: Some("bess".into()), ..feed_in() }
    }

    fn consumption(meter: Option<&str>) -> GridOperatorSpec {
        GridOperatorSpec {
            meter: meter.map(Into::into),
            pv: None,
            battery: Some("bess".into()),
            rating: None,
            consumption_limit: Some(kilowatts(4.2)),
            fail_safe: kilowatts(2.0),
            ..feed_in()
        }
    }

    fn rig(spec: GridOperatorSpec) -> Rig {
        Rig::of(&[BuiltInSpec::GridOperator(spec)])
    }

    fn sun(signal: f64) -> Reading {
        Reading { pv: 400.0, pcc: -300.0, signal: Some(signal), ..Reading::default() }
    }

    #[test]
    fn generators_make_the_share_of_their_rating_and_not_of_what_the_sun_gives() {
        let mut rig = rig(feed_in());
        rig.settled(sun(1.0));
        let decided = [1.0, 0.6, 0.3, 0.0].map(|share| rig.scan(sun(share)).pv);
        assert_eq!(decided, [500.0, 300.0, 150.0, 0.0]);
    }

    #[test]
    fn at_the_connection_the_battery_takes_what_may_not_be_fed_in_and_the_generators_the_rest() {
        let mut rig = rig(at_the_connection());
        // A load of 100 kW, 400 kW of sun: 300 kW are fed in, of which 150 kW may be.
        assert_eq!(rig.settled(sun(1.0)).bess, 0.0);
        let decided = rig.scan(sun(0.3));
        assert_eq!(
            (decided.bess, decided.pv),
            (-150.0, 500.0),
            "150 kW of grid, 100 kW of load, 250 kW of charge"
        );
        let decided = rig.scan(sun(0.0));
        assert_eq!((decided.bess, decided.pv), (-250.0, 350.0), "the load and the charge");
    }

    #[test]
    fn no_battery_discharges_into_a_grid_that_takes_nothing() {
        let wanting = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: kilowatts(-200.0),
            discharge_above: Ratio::ZERO,
        };
        let stack = [BuiltInSpec::GridOperator(at_the_connection()), BuiltInSpec::SelfConsumption(wanting)];
        let mut rig = Rig::of(&stack);
        let night = |signal| Reading { pcc: 40.0, signal: Some(signal), ..Reading::default() };
        assert_eq!(rig.settled(night(1.0)).bess, 240.0);
        assert_eq!(rig.scan(night(0.0)).bess, 40.0, "only what the site uses");
    }

    #[test]
    fn a_signal_that_is_lost_is_its_fail_safe_limit_until_it_has_been_good_for_ten_seconds() {
        let mut rig = rig(feed_in());
        rig.settled(sun(1.0));
        let silent = Reading { signal: None, ..sun(0.0) };
        let lost: Vec<f64> = (0..5).map(|_scan| rig.scan(silent).pv).collect();
        assert_eq!(lost, [500.0, 500.0, 50.0, 50.0, 50.0], "it is known for three seconds");
        let back: Vec<f64> = (0..12).map(|_scan| rig.scan(sun(1.0)).pv).collect();
        assert_eq!(back, [[50.0; 10].as_slice(), &[500.0; 2]].concat());
        assert_eq!(rig.scan(Reading { signal: Some(7.0), ..sun(0.0) }).pv, 50.0, "that is no share");
    }

    #[test]
    fn who_never_hears_the_signal_begins_with_the_fail_safe_limit_and_tells_once() {
        let mut rig = rig(feed_in());
        let silent = Reading { signal: None, ..sun(0.0) };
        let mut told = vec![];
        for _scan in 0..60 {
            rig.scan(silent);
            told.extend(
                rig.reported().into_iter().filter(|event| matches!(event, Event::FunctionLost { .. })),
            );
        }
        assert_eq!(rig.scan(silent).pv, 50.0);
        assert_eq!(told, [Event::FunctionLost { slot: SlotIndex(0) }]);
        assert_eq!(rig.scan(sun(1.0)).pv, 500.0, "what was never there is not lost");
        assert!(rig.reported().contains(&Event::FunctionReturned { slot: SlotIndex(0) }));
    }

    #[test]
    fn without_its_meter_the_generators_alone_keep_what_the_signal_says() {
        let mut rig = rig(at_the_connection());
        rig.settled(sun(0.6));
        let decided = rig.silent_meter(20, sun(0.3));
        assert_eq!((decided.bess, decided.pv), (0.0, 150.0));
    }

    #[test]
    fn consumption_is_limited_while_the_share_is_below_one_but_not_of_what_the_site_makes_itself() {
        let charging = |pcc, signal| Reading { pcc, signal, ..Reading::default() };
        let wanting = |meter| {
            let wanting = SelfConsumptionSpec {
                meter: "pcc".into(),
                battery: "bess".into(),
                target: kilowatts(100.0),
                discharge_above: Ratio::ZERO,
            };
            Rig::of(&[BuiltInSpec::GridOperator(consumption(meter)), BuiltInSpec::SelfConsumption(wanting)])
        };
        let mut with_meter = wanting(Some("pcc"));
        assert_eq!(with_meter.settled(charging(-30.0, Some(1.0))).bess, -130.0);
        assert_eq!(with_meter.scan(charging(-30.0, Some(0.0))).bess, -34.2, "30 kW are its own");
        assert_eq!(with_meter.scan(charging(20.0, Some(0.0))).bess, -4.2);
        let mut without = wanting(None);
        without.settled(charging(-30.0, Some(1.0)));
        assert_eq!(without.scan(charging(-30.0, Some(0.0))).bess, -4.2);
        let lost = (0..3).map(|_scan| without.scan(charging(-30.0, None)).bess).last();
        assert_eq!(lost, Some(-2.0));
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let errors = |spec: GridOperatorSpec| Rig::errors(&[BuiltInSpec::GridOperator(spec)]);
        let both = GridOperatorSpec { consumption_limit: Some(kilowatts(1.0)), ..feed_in() };
        assert_eq!(
            errors(both),
            ["rating: must be one of rating and consumption_limit, got both rating and consumption_limit"]
        );
        let loose = GridOperatorSpec { fail_safe: kilowatts(501.0), ..feed_in() };
        assert_eq!(errors(loose), ["fail_safe: must be from 0 W to the rating, got 501 kW"]);
        let unfelt = GridOperatorSpec { battery: Some("bess".into()), ..feed_in() };
        assert_eq!(errors(unfelt).len(), 1);
        let wrong = GridOperatorSpec { signal: "pcc".into(), ..feed_in() };
        assert_eq!(errors(wrong), ["signal: \"pcc\" is a Meter, but a Signal is needed"]);
    }
}
