//! Frequency containment reserve: power in proportion to the deviation of the frequency, on top of whatever else a battery does.
//!
//! `P = −R Δf / 200 mHz`, at most `R` either way, and nothing while `|Δf|` is at most 10 mHz. The room for `R` is kept at both
//! ends of what the battery can do, so the other functions have the rest; what is delivered is taken out of the measured
//! power that they see, so none of them takes it back.
//!
//! **Slower than it could be.** The offset moves at `R` in `full_in`: half of it after half that time, begun at once. A battery
//! could do it in an instant; what is asked of it is this, and less wear.
//!
//! **Energy.** With `capacity` the other functions leave so much in the battery, and so much room above it, that it could
//! deliver all of `R` for `reserve_for`, whichever way: the more it nears that, the less they may discharge or charge. Where
//! that is not there all the same, because the reserve itself has used it, or the battery stands by for long, what is missing
//! of `R` is a shortfall: counted, and an alarm.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::frequency_droop::REMEMBERED;
use super::side::{Side, nominal, require_nominal};
use super::{Function, OnLoss, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::PointKind;
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, Ratio, WattHours, Watts};

/// Deviations up to this ask for nothing unless the site says otherwise.
///
/// # Source
/// Regulation (EU) 2017/1485 (SO GL), annex V: insensitivity of at most 10 mHz for Continental Europe.
pub const DEAD_BAND_HZ: f64 = 0.01;
/// The deviation that asks for all of the reserve unless the site says otherwise.
///
/// # Source
/// As above: 200 mHz.
pub const FULL_AT_HZ: f64 = 0.2;
/// The time from nothing to all of it unless the site says otherwise.
///
/// # Source
/// As above: 30 s; article 154(7): half of it after 15 s, and in a straight line from there.
pub const FULL_IN: Span = Span::from_secs(30);
/// How long all of the reserve must be there unless the site says otherwise.
///
/// # Source
/// SO GL article 156(9): from 15 to 30 min for providers with limited energy.
pub const RESERVE_FOR: Span = Span::from_mins(15);

/// What a site file says about the reserve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcrSpec {
    /// The meter that measures the frequency.
    pub meter: String,
    /// The battery, or `batteries`.
    pub battery: String,
    /// The power R that is kept, both ways.
    pub reserve: Watts,
    /// The nominal frequency; 50 Hz.
    #[serde(default = "nominal")]
    pub nominal: Hertz,
    /// Deviations up to this ask for nothing; 0.01 Hz.
    #[serde(default = "dead_band")]
    pub dead_band: Hertz,
    /// This deviation asks for all of it; 0.2 Hz.
    #[serde(default = "full_at")]
    pub full_at: Hertz,
    /// The line begins with 0 at the edge of the dead band, and not in its middle; it does not.
    #[serde(default)]
    pub from_edge: bool,
    /// The time from nothing to all of it; 30 s.
    #[serde(default = "full_in")]
    pub full_in: Span,
    /// What the battery, or all of them, hold when full; without it energy is not looked at.
    #[serde(default)]
    pub capacity: Option<WattHours>,
    /// How long all of the reserve must be there; 15 min.
    #[serde(default = "reserve_for")]
    pub reserve_for: Span,
}

fn dead_band() -> Hertz {
    Hertz::of(DEAD_BAND_HZ)
}

fn full_at() -> Hertz {
    Hertz::of(FULL_AT_HZ)
}

const fn full_in() -> Span {
    FULL_IN
}

const fn reserve_for() -> Span {
    RESERVE_FOR
}

/// Keeps a reserve of a battery's power and energy, and delivers of it what the frequency asks for.
///
/// # Units     reserve: W, a magnitude, both ways; nominal, `dead_band`, `full_at`: Hz, the latter two magnitudes
/// # Shape     one reserve for one group, and with `capacity` one limit
/// # Errors    `Problem::NotMeasured` if the meter has no frequency; `Problem::OutOfRange` if reserve is not above 0 W, the dead
/// band does not end before `full_at`, or capacity or `reserve_for` are nothing
/// # Source    Regulation (EU) 2017/1485 (SO GL), articles 154 and 156 and annex V; the line from the edge of the dead band is
/// Beckhoff TF8360's
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fcr {
    meter: DeviceIndex,
    battery: [GroupIndex; 1],
    reserve: Watts,
    nominal: Hertz,
    dead_band: Hertz,
    full_at: Hertz,
    from_edge: bool,
    full_in: Span,
    capacity: Option<WattHours>,
    reserve_for: Span,
    /// When the last sample was measured.
    last: Option<LocalTime>,
    /// What is delivered, W.
    offset_w: f64,
}

impl Function for Fcr {
    type Spec = FcrSpec;

    fn build(spec: &FcrSpec, wiring: &mut Wiring<'_>) -> Self {
        require_nominal(spec.nominal, wiring);
        wiring.require("reserve", spec.reserve > Watts::ZERO, spec.reserve, "above 0 W");
        wiring.require("dead_band", spec.dead_band >= Hertz::ZERO, spec.dead_band, "0 Hz or more");
        let allowed = alloc::format!("above the dead band of {}, and less than nominal", spec.dead_band);
        let is_after = spec.full_at > spec.dead_band && spec.full_at < spec.nominal;
        wiring.require("full_at", is_after, spec.full_at, &allowed);
        if let Some(capacity) = spec.capacity {
            wiring.require("capacity", capacity > WattHours::ZERO, capacity, "above 0 Wh");
        }
        wiring.require("reserve_for", !spec.reserve_for.is_zero(), spec.reserve_for, "above 0 s");
        Self {
            meter: wiring.meter_of("meter", &spec.meter, PointKind::Frequency),
            battery: [wiring.battery("battery", &spec.battery)],
            reserve: spec.reserve,
            nominal: spec.nominal,
            dead_band: spec.dead_band,
            full_at: spec.full_at,
            from_edge: spec.from_edge,
            full_in: spec.full_in,
            capacity: spec.capacity,
            reserve_for: spec.reserve_for,
            last: None,
            offset_w: 0.0,
        }
    }

    fn rank(&self) -> Rank {
        Rank::FrequencyResponse
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

    fn measured(&self) -> PointKind {
        PointKind::Frequency
    }

    fn on_loss(&self) -> OnLoss {
        OnLoss::Fade
    }

    fn begin_anew(&mut self) {
        self.last = None;
        self.offset_w = 0.0;
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| {
            carry.option(&mut self.last, Carry::instant);
            carry.bounded(&mut self.offset_w);
        });
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [battery] = self.battery;
        let Some(frequency) = view.frequency(self.meter) else { return };
        let at = view.measured_at();
        if self.last.is_some_and(|last| at.since(last) > REMEMBERED) {
            self.begin_anew();
        }
        let elapsed = self.last.map_or(Span::ZERO, |last| at.since(last));
        self.last = Some(at);
        self.move_to(self.asked(frequency), elapsed);
        wishes.reserve(battery, self.reserve, self.reserve, Watts::of(self.offset_w));
        if let Some((capacity, soc)) = self.capacity.zip(view.state_of_charge(battery)) {
            self.keep_energy(battery, capacity, soc, wishes);
        }
    }
}

impl Fcr {
    /// What a frequency asks for.
    fn asked(&self, frequency: Hertz) -> Watts {
        let (side, beyond) = Side::of(frequency, self.nominal, self.dead_band);
        let share = match side {
            Side::Within => 0.0,
            Side::Over | Side::Under if self.from_edge => {
                beyond.hertz() / (self.full_at - self.dead_band).hertz()
            }
            Side::Over | Side::Under => (frequency - self.nominal).hertz() / self.full_at.hertz(),
        };
        (self.reserve * -share).within(-self.reserve, self.reserve)
    }

    /// Moves what is delivered towards what is asked for, as fast as that may be.
    fn move_to(&mut self, asked: Watts, elapsed: Span) {
        let now = Watts::of(self.offset_w).within(-self.reserve, self.reserve);
        let moved = if self.full_in.is_zero() {
            asked
        } else {
            let reach = self.reserve * (elapsed.as_secs_f64() / self.full_in.as_secs_f64());
            asked.within(now - reach, now + reach)
        };
        self.offset_w = moved.watts();
    }

    /// Keeps the others from using the energy of the reserve, and tells what of it is not there.
    fn keep_energy(&self, battery: GroupIndex, capacity: WattHours, soc: Ratio, wishes: &mut Wishes) {
        // The powers that would empty and fill the battery in the time for which the reserve must last.
        let hours = self.reserve_for.as_hours_f64();
        let charge = soc.ratio();
        let empties = Watts::of(capacity.watt_hours() * charge / hours);
        let fills = Watts::of(capacity.watt_hours() * (1.0 - charge) / hours);
        let high = (empties - self.reserve).at_least(Watts::ZERO);
        let low = (self.reserve - fills).at_most(Watts::ZERO);
        wishes.limit(battery, low, high);
        let missing = self.reserve - empties.at_most(fills);
        if missing > Watts::ZERO {
            wishes.missing(battery, missing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts};
    use alloc::vec::Vec;

    fn spec() -> FcrSpec {
        FcrSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            reserve: kilowatts(100.0),
            nominal: nominal(),
            dead_band: dead_band(),
            full_at: full_at(),
            from_edge: false,
            full_in: FULL_IN,
            capacity: None,
            reserve_for: RESERVE_FOR,
        }
    }

    /// The reserve above a self-consumption.
    fn law(spec: FcrSpec) -> Rig {
        let wanting = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        Rig::of(&[BuiltInSpec::Fcr(spec), BuiltInSpec::SelfConsumption(wanting)])
    }

    fn at(f: f64) -> Reading {
        Reading { f, ..Reading::default() }
    }

    fn scans(rig: &mut Rig, count: u32, reading: Reading) -> f64 {
        (0..count).fold(0.0, |_last, _scan| rig.scan(reading).bess)
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-6
    }

    #[test]
    fn power_is_in_proportion_to_the_deviation_outside_ten_millihertz_and_at_most_the_reserve() {
        for (f, from_edge, expected) in [
            (50.0099, false, 0.0),
            (50.02, false, -10.0),
            (49.9, false, 50.0),
            (49.8, false, 100.0),
            (49.0, false, 100.0),
            (51.0, false, -100.0),
            (49.99 - 0.095, true, 50.0),
            (49.8, true, 100.0),
            (50.011, true, -100.0 / 190.0),
        ] {
            let mut rig = Rig::of(&[BuiltInSpec::Fcr(FcrSpec { from_edge, ..spec() })]);
            // It does nothing else, so what is decided is what is delivered.
            let decided = scans(&mut rig, 40, at(f));
            assert!(is_near(decided, expected), "{f} Hz: {decided} kW");
        }
    }

    #[test]
    fn half_of_it_is_there_after_fifteen_seconds_and_all_after_thirty() {
        let mut rig = Rig::of(&[BuiltInSpec::Fcr(spec())]);
        rig.settled(at(50.0));
        assert!(is_near(scans(&mut rig, 15, at(49.8)), 50.0));
        assert!(is_near(scans(&mut rig, 15, at(49.8)), 100.0));
        assert!(is_near(scans(&mut rig, 60, at(50.2)), -100.0));
    }

    #[test]
    fn self_consumption_does_not_take_it_back_and_has_the_room_that_is_left() {
        let mut rig = law(spec());
        let mut power = 80.0;
        for (f, load, expected) in
            [(50.0, 80.0, 80.0), (49.9, 80.0, 130.0), (50.2, 80.0, -20.0), (49.8, 400.0, 250.0)]
        {
            for _second in 0..70 {
                let reading = Reading { pcc: load - power, bess: power, f, ..Reading::default() };
                power = rig.scan(reading).bess;
            }
            assert!(is_near(power, expected), "{f} Hz, {load} kW: {power} kW");
        }
    }

    #[test]
    fn without_the_frequency_what_is_delivered_fades_and_the_room_is_kept() {
        let mut rig = law(spec());
        scans(&mut rig, 60, Reading { pcc: 300.0, ..at(49.8) });
        let lost = Reading { pcc: 300.0, f: f64::NAN, ..Reading::default() };
        let fades: Vec<f64> = (0..12).map(|_second| rig.scan(lost).bess).collect();
        assert!(is_near(fades[0], 250.0) && is_near(fades[5], 200.0), "{fades:?}");
        assert_eq!(fades[10..], [150.0, 150.0]);
        // Good again for ten seconds, it begins anew from nothing.
        assert_eq!(scans(&mut rig, 10, Reading { pcc: 300.0, ..at(49.8) }), 150.0);
        let returns = scans(&mut rig, 17, Reading { pcc: 300.0, bess: 150.0, ..at(49.8) });
        assert!((190.0..210.0).contains(&returns), "{returns}");
    }

    #[test]
    fn the_others_leave_the_energy_that_the_reserve_needs_at_both_ends() {
        // 100 kW for a quarter of an hour are 25 kWh of 100 kWh; what is more may go in a quarter of an hour.
        let capacity = Some(WattHours::of(100e3));
        for (soc, pcc, expected) in [
            (0.5, 300.0, 100.0),
            (0.30, 300.0, 20.0),
            (0.25, 300.0, 0.0),
            (0.75, -300.0, 0.0),
            (0.70, -300.0, -20.0),
            (0.75, 300.0, 150.0),
        ] {
            let mut rig = law(FcrSpec { capacity, ..spec() });
            let decided = rig.settled(Reading { pcc, soc, ..Reading::default() }).bess;
            assert!(is_near(decided, expected), "{soc}: {decided} kW");
            assert_eq!(rig.controller().composition().slots()[0].tally().short_worst(), Watts::ZERO);
        }
    }

    #[test]
    fn what_the_energy_does_not_last_for_is_a_shortfall_that_is_told() {
        let mut rig = law(FcrSpec { capacity: Some(WattHours::of(100e3)), ..spec() });
        rig.settled(at(50.0));
        let told = |rig: &Rig, wanted: fn(&Event) -> bool| rig.reported().iter().any(wanted);
        // 20 kWh last for 80 kW.
        rig.scan(Reading { soc: 0.20, ..at(50.0) });
        assert!(told(&rig, |event| matches!(event, Event::ShortfallBegan { .. })));
        let worst = rig.controller().composition().slots()[0].tally().short_worst();
        assert!(is_near(worst.watts(), 20e3), "{worst}");
        rig.scan(Reading { soc: 0.25, ..at(50.0) });
        assert!(told(&rig, |event| matches!(event, Event::ShortfallEnded { .. })));
        rig.scan(Reading { soc: 0.85, ..at(50.0) });
        assert!(
            told(&rig, |event| matches!(event, Event::ShortfallBegan { .. })),
            "nor is there room to charge"
        );
    }

    #[test]
    fn a_dead_band_as_wide_as_the_line_is_refused() {
        let mut wrong = spec();
        wrong.full_at = wrong.dead_band;
        wrong.reserve = Watts::ZERO;
        let errors = Rig::errors(&[BuiltInSpec::Fcr(wrong)]);
        let expected = [
            "reserve: must be above 0 W, got 0 W",
            "full_at: must be above the dead band of 0.01 Hz, and less than nominal, got 0.01 Hz",
        ];
        assert_eq!(errors, expected);
    }
}
