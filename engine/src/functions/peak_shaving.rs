//! Peak shaving: the battery carries what exceeds a limit, and is refilled while the load is low.
//!
//! Above `limit` it discharges at least the excess; below `recharge` it charges up to the `reserve` state of charge, never
//! beyond `recharge`; functions below it may discharge only what lies above the reserve, and must not charge the site over
//! the limit. With `window: Mean("15 min")` the limit holds for the mean over the billing window: what was used so far
//! decides what may be used in the rest of it. Both that and whether it refills outlive a restart: the window is billed whoever
//! restarts, and a host's clock goes on where the life before knew it, so the pause counts with the mean of its ends.

use alloc::string::String;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Function, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::time::{LocalTime, Span};
use crate::units::{Ratio, Watts};

/// Recharging begins again when the state of charge has fallen this far below the reserve.
pub const RECHARGE_HYSTERESIS: f64 = 0.02;
/// Within a mean window the momentary limit is never more than this many times the mean one.
pub const MOMENTARY_LIMIT: f64 = 2.0;
/// The rest of a window is never taken as shorter than this part of it, so that its last seconds ask for no wild powers.
pub const SHORTEST_REST: u64 = 30;

/// What a site file says about peak shaving.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeakShavingSpec {
    /// The meter at the point of common coupling.
    pub meter: String,
    /// The battery, or `batteries`.
    pub battery: String,
    /// Import above this is shaved.
    pub limit: Watts,
    /// Below this import the battery is refilled.
    pub recharge: Watts,
    /// The state of charge up to which it is refilled, and which is kept for peaks.
    #[serde(default = "full")]
    pub reserve: Ratio,
    /// What the limit holds for.
    #[serde(default)]
    pub window: Window,
}

fn full() -> Ratio {
    Ratio::ONE
}

/// What a limit holds for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// Every instant.
    #[default]
    Instant,
    /// The mean over windows of this length, aligned to the hour in UTC.
    Mean(Span),
}

/// Limits the power drawn at the point of common coupling by discharging the battery.
///
/// # Units     limit, recharge: W, positive = import; reserve: state of charge, 0 to 1
/// # Shape     one limit or target for one group
/// # Errors    `Problem::OutOfRange` if `recharge > limit`, or the window is zero or does not divide the hour
/// # Source    OpenEMS, "Peak-Shaving" controller (`peakShavingPower`, `rechargePower`), with a reserve of our own
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeakShaving {
    meter: DeviceIndex,
    battery: [GroupIndex; 1],
    limit: Watts,
    recharge: Watts,
    reserve: Ratio,
    #[serde(deserialize_with = "window")]
    window: Window,
    is_refilling: bool,
    used: Used,
}

/// The energy imported so far in the window that runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Used {
    /// When the window began, in nanoseconds of the clock that windows are aligned to.
    window: i64,
    joules: f64,
    last: Option<(LocalTime, Watts)>,
}

impl Function for PeakShaving {
    type Spec = PeakShavingSpec;

    fn build(spec: &PeakShavingSpec, wiring: &mut Wiring<'_>) -> Self {
        wiring.state_of_charge("reserve", spec.reserve);
        let allowed = alloc::format!("at most the limit of {}", spec.limit);
        wiring.require("recharge", spec.recharge <= spec.limit, spec.recharge, &allowed);
        if let Window::Mean(span) = spec.window {
            wiring.require("window", divides_the_hour(span), span, "a part of the hour, such as \"15 min\"");
        }
        Self {
            meter: wiring.meter("meter", &spec.meter),
            battery: [wiring.battery("battery", &spec.battery)],
            limit: spec.limit,
            recharge: spec.recharge,
            reserve: spec.reserve,
            window: spec.window,
            is_refilling: true,
            used: Used::default(),
        }
    }

    fn rank(&self) -> Rank {
        Rank::Peak
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

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| carry.flag(&mut self.is_refilling));
        // A window that is aligned to the clock of its host begins anew on another.
        carry.number(&mut self.used.window);
        carry.real(&mut self.used.joules);
        carry.option(&mut self.used.last, |carry, (at, power)| {
            carry.instant(at);
            carry.watts(power);
        });
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [battery] = self.battery;
        let Some(demand) = view.demand(self.meter, battery) else { return };
        let limit = self.momentary_limit(view);
        let soc = view.state_of_charge(battery);
        self.follow_charge(soc);
        if demand < self.recharge && self.is_refilling && soc.is_some() {
            wishes.target(battery, demand - self.recharge.at_most(limit));
            return;
        }
        let excess = demand - limit;
        let keeps_reserve = soc.is_none_or(|soc| soc <= self.reserve);
        let high = if keeps_reserve { excess.at_least(Watts::ZERO) } else { view.rating(battery) };
        wishes.limit(battery, excess, high.at_least(excess));
    }
}

fn divides_the_hour(span: Span) -> bool {
    !span.is_zero() && Span::from_hours(1).as_nanos().is_multiple_of(span.as_nanos())
}

/// Decodes what the limit of a law holds for: time is divided by a window.
fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Window, D::Error> {
    let window = Window::deserialize(deserializer)?;
    match window {
        Window::Mean(span) if !divides_the_hour(span) => {
            Err(D::Error::custom("a window that is no part of the hour"))
        }
        Window::Instant | Window::Mean(_) => Ok(window),
    }
}

impl PeakShaving {
    /// Refilling ends at the reserve and begins again a little below it; an unknown charge changes nothing.
    fn follow_charge(&mut self, soc: Option<Ratio>) {
        let Some(soc) = soc else { return };
        if soc >= self.reserve {
            self.is_refilling = false;
        } else if soc.ratio() < self.reserve.ratio() - RECHARGE_HYSTERESIS {
            self.is_refilling = true;
        }
    }

    /// The limit for this instant; for a mean it follows from what the window has used.
    fn momentary_limit(&mut self, view: &View<'_>) -> Watts {
        let Window::Mean(span) = self.window else { return self.limit };
        let Some(power) = view.meter(self.meter) else { return self.limit };
        let at = view.measured_at();
        // Without a synchronized wall clock the windows are aligned to the host's clock: as long, if not the billed ones.
        let clock = view.wall().map_or(at.as_nanos() as i64, |wall| wall.as_unix_nanos());
        let length = span.as_nanos() as i64;
        let window = clock - clock.rem_euclid(length);
        let elapsed = Span::from_nanos(clock.rem_euclid(length) as u64);
        if window != self.used.window {
            // The part before the first sample is taken as used at that sample's power.
            self.used = Used { window, joules: power.watts() * elapsed.as_secs_f64(), last: None };
        } else if let Some((last_at, last_power)) = self.used.last {
            let mean = (power + last_power) * 0.5;
            self.used.joules += mean.watts() * at.since(last_at).as_secs_f64();
        }
        self.used.last = Some((at, power));
        let rest = (span - elapsed).max(Span::from_nanos(span.as_nanos() / SHORTEST_REST));
        // What is left of this window and, where the rest is taken as longer than it is, of the next one.
        let ends = elapsed.as_secs_f64() + rest.as_secs_f64();
        let left = self.limit.watts() * ends - self.used.joules;
        Watts::of(left / rest.as_secs_f64()).within(Watts::ZERO, self.limit * MOMENTARY_LIMIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts, shaving};
    use crate::wall::WallTime;

    fn law(window: Window) -> Rig {
        Rig::of(&[BuiltInSpec::PeakShaving(shaving(window))])
    }

    #[test]
    fn the_excess_over_the_limit_is_discharged_and_not_a_watt_below_it() {
        let mut rig = law(Window::Instant);
        assert_eq!(rig.settled(Reading { pcc: 366.0, soc: 0.5, ..Reading::default() }).bess, 146.0);
        assert_eq!(
            rig.settled(Reading { pcc: 220.0, bess: 146.0, soc: 0.5, ..Reading::default() }).bess,
            146.0
        );
        assert_eq!(rig.settled(Reading { pcc: 220.0, soc: 0.5, ..Reading::default() }).bess, 0.0);
        assert_eq!(rig.settled(Reading { pcc: 221.0, soc: 0.5, ..Reading::default() }).bess, 1.0);
    }

    #[test]
    fn it_refills_up_to_the_reserve_and_imports_no_more_than_the_recharge_power() {
        let mut rig = law(Window::Instant);
        assert_eq!(rig.settled(Reading { pcc: 100.0, soc: 0.5, ..Reading::default() }).bess, -70.0);
        assert_eq!(rig.settled(Reading { pcc: 171.0, soc: 0.5, ..Reading::default() }).bess, 0.0);
        assert_eq!(rig.settled(Reading { pcc: 100.0, soc: 0.80, ..Reading::default() }).bess, 0.0);
        // Just below the reserve it stays quiet, and refills when the charge has fallen further.
        assert_eq!(rig.settled(Reading { pcc: 100.0, soc: 0.79, ..Reading::default() }).bess, 0.0);
        assert_eq!(rig.settled(Reading { pcc: 100.0, soc: 0.77, ..Reading::default() }).bess, -70.0);
    }

    #[test]
    fn what_it_cannot_shave_is_a_shortfall_and_no_failure() {
        let mut rig = law(Window::Instant);
        let reading = Reading { pcc: 500.0, soc: 0.5, ..Reading::default() };
        assert_eq!(rig.settled(reading).bess, 250.0);
        let slot = &rig.controller().composition().slots()[0];
        assert_eq!(slot.tally().short_worst(), kilowatts(30.0));
    }

    #[test]
    fn functions_below_it_may_discharge_only_above_the_reserve() {
        let below = super::super::self_consumption::SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        let mut rig = Rig::of(&[
            BuiltInSpec::PeakShaving(shaving(Window::Instant)),
            BuiltInSpec::SelfConsumption(below),
        ]);
        assert_eq!(rig.settled(Reading { pcc: 200.0, soc: 0.81, ..Reading::default() }).bess, 200.0);
        assert_eq!(rig.settled(Reading { pcc: 200.0, soc: 0.80, ..Reading::default() }).bess, 0.0);
        assert_eq!(rig.settled(Reading { pcc: 240.0, soc: 0.80, ..Reading::default() }).bess, 20.0);
    }

    #[test]
    fn a_mean_window_lets_an_early_peak_pass_and_pays_for_it_later() {
        let mut rig = law(Window::Mean(Span::from_mins(15)));
        // Five minutes at 200 kW leave 220·15 − 200·5 = 2300 kW·min for ten: 230 kW.
        for _second in 0..300 {
            rig.scan(Reading { pcc: 200.0, soc: 0.79, ..Reading::default() });
        }
        let decided = rig.scan(Reading { pcc: 300.0, soc: 0.79, ..Reading::default() }).bess;
        assert!((69.0..71.0).contains(&decided), "300 kW less about 230 kW, got {decided} kW");
    }

    #[test]
    fn what_the_window_has_used_and_what_was_tallied_outlive_a_restart() {
        let mut rig = law(Window::Mean(Span::from_mins(15)));
        for _second in 0..300 {
            rig.scan(Reading { pcc: 100.0, soc: 0.79, ..Reading::default() });
        }
        let bound = |rig: &Rig| rig.controller().composition().slots()[0].tally().bound_for();
        let before = bound(&rig);
        rig.restart(Span::from_mins(1));
        rig.settled(Reading { pcc: 200.0, soc: 0.79, ..Reading::default() });
        let decided = rig.scan(Reading { pcc: 300.0, soc: 0.79, ..Reading::default() }).bess;
        // 220·15 − 100·5 − 150·1 leaves 2650 kW·min for about nine: 295 kW. A fresh window would leave 234 kW.
        assert!((4.0..8.0).contains(&decided), "300 kW less about 295 kW, got {decided} kW");
        assert!(before > Span::ZERO && bound(&rig) >= before);
    }

    #[test]
    fn a_window_is_that_of_the_wall_clock_also_after_it_was_set() {
        let noon = WallTime::EPOCH + Span::from_hours(100_000);
        let day = Span::from_hours(24);
        // Five minutes at 200 kW are in the window. By a clock that moves a little they stay; another day's window has none of
        // them, so what came before the first sample counts as 300 kW too, which leaves 180 kW for ten minutes.
        for (moved, expected) in
            [(None, 70.0), (Some(noon), 70.0), (Some(noon - day), 120.0), (Some(noon + day), 120.0)]
        {
            let stack = [BuiltInSpec::PeakShaving(shaving(Window::Mean(Span::from_mins(15))))];
            let mut rig = Rig::booted_at(&stack, LocalTime::ZERO + Span::from_hours(7), Some(noon));
            for _second in 0..300 {
                rig.scan(Reading { pcc: 200.0, soc: 0.79, ..Reading::default() });
            }
            if let Some(wall) = moved {
                rig.set_wall_clock(Some(wall + Span::from_secs(301)));
            }
            let decided = rig.scan(Reading { pcc: 300.0, soc: 0.79, ..Reading::default() }).bess;
            assert!((decided - expected).abs() < 1.0, "{moved:?}: {decided} kW, and not {expected} kW");
        }
    }

    #[test]
    fn a_recharge_power_above_the_limit_is_refused() {
        let mut spec = shaving(Window::Instant);
        spec.recharge = kilowatts(220.0);
        assert_eq!(Rig::errors(&[BuiltInSpec::PeakShaving(spec.clone())]), [""; 0]);
        spec.recharge = kilowatts(220.1);
        let errors = Rig::errors(&[BuiltInSpec::PeakShaving(spec)]);
        assert_eq!(errors, ["recharge: must be at most the limit of 220 kW, got 220.1 kW"]);
    }

    #[test]
    fn a_window_that_no_site_may_state_is_not_decoded() {
        let mean = |span| Window::Mean(span);
        for (window, is_read) in [
            (Window::Instant, true),
            (mean(Span::from_mins(15)), true),
            (mean(Span::ZERO), false),
            (mean(Span::MAX), false),
        ] {
            let law = PeakShaving {
                meter: DeviceIndex::default(),
                battery: [GroupIndex::default()],
                limit: Watts::ZERO,
                recharge: Watts::ZERO,
                reserve: Ratio::ONE,
                window,
                is_refilling: true,
                used: Used::default(),
            };
            let mut bytes = alloc::vec::Vec::new();
            crate::log::codec::encode(&law, &mut bytes);
            assert_eq!(crate::log::codec::decode(&bytes).ok(), is_read.then_some(law), "{window:?}");
        }
    }
}
