//! A PID controller: brings what a meter measures to a set-point with the power of a group.
//!
//! `P = K (e + 1/T_i ∫ e dt − T_d dy/dt)`, where `y` is measured and `e` is what is missing to the set-point, or for the power
//! at a meter what is too much: more power into the bus raises frequency and voltage and lowers the import, so `K` is always
//! positive.
//! The derivative is that of the measurement and not of the error, and passes a first-order lag, or it would answer noise.
//!
//! **Wind-up.** While another function, or the device, decides otherwise than it wishes, the integral stands; it moves only if
//! that brings the wish nearer to what was decided. So it never grows where it is not heard, and never stays where it is
//! because it is not heard.
//!
//! Times are seconds: each step counts the time between its two samples, whatever it is. After a start and after its meter was
//! lost it goes on from the measured power, with an integral that makes just that.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use super::lag::Lag;
use super::{Function, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::PointKind;
use crate::points::device::believed;
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, PerUnit, Watts};

/// The lag of the derivative is this part of the derivative time unless the site says otherwise.
///
/// # Source
/// Åström and Hägglund, "Advanced PID control": from a twentieth to a half; a tenth is what most controllers have.
pub const FILTER_SHARE: f64 = 0.1;
/// Largest gain: 1 TW for each unit is beyond any site and keeps sums finite.
const GAIN_MAX: f64 = 1e12;
/// What a decision may differ from the wish by rounding, W.
const SAME_W: f64 = 1e-3;

/// What a site file says about the controller.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PidSpec {
    /// The meter that measures what is held.
    pub meter: String,
    /// The battery that holds it, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that holds it, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// What is held, and where.
    pub holds: Holds,
    /// K: W for each W, pu or Hz that is missing.
    pub gain: f64,
    /// `T_i`; without it there is no integral.
    #[serde(default)]
    pub integral_time: Option<Span>,
    /// `T_d`; without it there is no derivative.
    #[serde(default)]
    pub derivative_time: Option<Span>,
    /// The time constant of the derivative's lag; a tenth of `derivative_time`.
    #[serde(default)]
    pub filter: Option<Span>,
}

/// A point of a meter with its set-point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Holds {
    /// The power at the meter, positive = import.
    Power(Watts),
    /// The voltage, as a multiple of the nominal one.
    Voltage(PerUnit),
    /// The frequency.
    Frequency(Hertz),
}

impl Holds {
    const fn point(self) -> PointKind {
        match self {
            Self::Power(_) => PointKind::Power,
            Self::Voltage(_) => PointKind::Voltage,
            Self::Frequency(_) => PointKind::Frequency,
        }
    }

    /// What is measured, and what of the group's power is missing for each unit: its sign.
    fn measured(self, meter: DeviceIndex, view: &View<'_>) -> Option<(f64, f64)> {
        match self {
            Self::Power(set_point) => {
                let measured = view.meter(meter)?.watts();
                Some((measured, measured - set_point.watts()))
            }
            Self::Voltage(set_point) => {
                let measured = view.voltage(meter)?.per_unit();
                Some((measured, set_point.per_unit() - measured))
            }
            Self::Frequency(set_point) => {
                let measured = view.frequency(meter)?.hertz();
                Some((measured, set_point.hertz() - measured))
            }
        }
    }

    /// Which way power moves it.
    const fn direction(self) -> f64 {
        match self {
            Self::Power(_) => -1.0,
            Self::Voltage(_) | Self::Frequency(_) => 1.0,
        }
    }
}

/// Holds a measured value with the power of a group.
///
/// # Units     holds: W, pu or Hz; gain: W for each of these
/// # Shape     one target for one group
/// # Errors    `Problem::NotMeasured` if the meter has not what is held; `Problem::OutOfRange` if gain is not above 0, a time is
/// nothing, or not exactly one of `battery` and `pv` is given
/// # Source    The standard form with its derivative on the measurement and conditional integration: Åström and Hägglund,
/// "Advanced PID control" (2006), sections 3.4 and 3.5
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pid {
    meter: DeviceIndex,
    group: [GroupIndex; 1],
    holds: Holds,
    law: Law,
    memory: Option<Memory>,
}

/// What does not change.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Law {
    gain: f64,
    integral_s: Option<f64>,
    derivative_s: f64,
    filter_s: f64,
    direction: f64,
}

/// What one step leaves for the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Memory {
    at: LocalTime,
    error: f64,
    integral_w: f64,
    smoothed: Lag,
    wish_w: f64,
}

impl Function for Pid {
    type Spec = PidSpec;

    fn build(spec: &PidSpec, wiring: &mut Wiring<'_>) -> Self {
        wiring.require(
            "gain",
            spec.gain > 0.0 && spec.gain <= GAIN_MAX,
            spec.gain,
            "above 0, and at most 1e12",
        );
        let times = [
            ("integral_time", spec.integral_time),
            ("derivative_time", spec.derivative_time),
            ("filter", spec.filter),
        ];
        for (field, time) in times {
            wiring.require(field, time != Some(Span::ZERO), Span::ZERO, "above 0 s");
        }
        let group = wiring.one_of_battery_and_pv(spec.battery.as_deref(), spec.pv.as_deref());
        let derivative_s = spec.derivative_time.map_or(0.0, Span::as_secs_f64);
        let law = Law {
            gain: spec.gain,
            integral_s: spec.integral_time.map(Span::as_secs_f64),
            derivative_s,
            filter_s: spec.filter.map_or(derivative_s * FILTER_SHARE, Span::as_secs_f64),
            direction: spec.holds.direction(),
        };
        let meter = wiring.meter_of("meter", &spec.meter, spec.holds.point());
        Self { meter, group: [group], holds: spec.holds, law, memory: None }
    }

    fn rank(&self) -> Rank {
        Rank::SelfConsumption
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.group
    }

    fn meter(&self) -> Option<DeviceIndex> {
        Some(self.meter)
    }

    fn measured(&self) -> PointKind {
        self.holds.point()
    }

    fn begin_anew(&mut self) {
        self.memory = None;
    }

    fn forget(&mut self) {
        // The first set-point of a life is the measured power, and that is where it goes on from.
        self.memory = None;
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| carry.option(&mut self.memory, |carry, memory| memory.carry(carry)));
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let [group] = self.group;
        let Some((measured, error)) = self.holds.measured(self.meter, view) else { return };
        let at = view.measured_at();
        let memory = match self.memory {
            Some(before) => {
                let decided = view.decided(group).map_or(before.wish_w, Watts::watts);
                self.law.step(before, (at, measured, error), decided)
            }
            None => self.law.begin((at, measured, error), view.measured(group).watts()),
        };
        self.memory = Some(memory);
        wishes.target(group, Watts::of(memory.wish_w));
    }
}

impl Law {
    /// The first step, which wishes the power that there is if there is an integral to make it.
    fn begin(&self, (at, measured, error): (LocalTime, f64, f64), power_w: f64) -> Memory {
        let proportional_w = self.gain * error;
        let integral_w = self.integral_s.map_or(0.0, |_time| power_w - proportional_w);
        let wish_w = believed(proportional_w + integral_w);
        Memory { at, error, integral_w, smoothed: Lag::at(measured), wish_w }
    }

    /// Another step; `decided_w` is what became of the wish before.
    fn step(&self, before: Memory, (at, measured, error): (LocalTime, f64, f64), decided_w: f64) -> Memory {
        let elapsed = at.since(before.at);
        let mut smoothed = before.smoothed;
        smoothed.step(measured, elapsed, self.filter_s);
        // The lag's output moves by what it is behind its input in one time constant.
        let slope = if self.filter_s > 0.0 { (measured - smoothed.output()) / self.filter_s } else { 0.0 };
        let derivative_w = -self.direction * self.gain * self.derivative_s * slope;
        let mut integral_w = before.integral_w;
        if let Some(integral_s) = self.integral_s {
            let mean = 0.5 * (before.error + error);
            let moved = self.gain * mean * elapsed.as_secs_f64() / integral_s;
            let unheard = decided_w - before.wish_w;
            if (-SAME_W..=SAME_W).contains(&unheard) || (moved < 0.0) == (unheard < 0.0) {
                integral_w = believed(integral_w + moved);
            }
        }
        let wish_w = believed(self.gain * error + integral_w + derivative_w);
        Memory { at, error, integral_w, smoothed, wish_w }
    }
}

impl Memory {
    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.instant(&mut self.at);
        for number in [&mut self.error, &mut self.integral_w, &mut self.wish_w] {
            carry.bounded(number);
        }
        self.smoothed.carry(carry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::connection_limit::ConnectionLimitSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts};
    use proptest::prelude::*;

    /// Holds 100 kW of import with the battery.
    fn spec() -> PidSpec {
        PidSpec {
            meter: "pcc".into(),
            battery: Some("bess".into()),
            pv: None,
            holds: Holds::Power(kilowatts(100.0)),
            gain: 0.3,
            integral_time: Some(Span::from_secs(2)),
            derivative_time: None,
            filter: None,
        }
    }

    /// Scans with a battery that does at once what it is told; what it does in the end.
    fn live(rig: &mut Rig, seconds: u32, load: f64, mut power: f64) -> f64 {
        for _second in 0..seconds {
            power = rig.scan(Reading { pcc: load - power, bess: power, ..Reading::default() }).bess;
        }
        power
    }

    fn law(derivative_s: f64, filter_s: f64) -> Law {
        Law { gain: 2.0, integral_s: None, derivative_s, filter_s, direction: 1.0 }
    }

    fn at(millis: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn what_the_meter_measures_comes_to_the_set_point_and_stays() {
        let mut rig = Rig::of(&[BuiltInSpec::Pid(spec())]);
        let power = live(&mut rig, 150, 180.0, 0.0);
        assert!((power - 80.0).abs() < 1e-3, "{power}");
        let power = live(&mut rig, 150, 30.0, power);
        assert!((power - -70.0).abs() < 1e-3, "{power}");
    }

    #[test]
    fn frequency_and_voltage_rise_with_power() {
        for (holds, low, high) in [
            (Holds::Frequency(Hertz::of(50.0)), (1.0, 49.9), (1.0, 50.1)),
            (Holds::Voltage(PerUnit::of(1.0)), (0.9, 50.0), (1.1, 50.0)),
        ] {
            let mut rig = Rig::of(&[BuiltInSpec::Pid(PidSpec { holds, gain: 100e3, ..spec() })]);
            let mut decided = |(v, f): (f64, f64)| {
                rig.settled(Reading { v, f, ..Reading::default() });
                rig.scan(Reading { v, f, ..Reading::default() }).bess
            };
            assert!(decided(low) > 5.0 && decided(high) < 5.0, "{holds:?}");
        }
    }

    #[test]
    fn the_first_wish_is_the_measured_power() {
        let mut rig = Rig::of(&[BuiltInSpec::Pid(spec())]);
        let reading = Reading { pcc: 300.0, bess: 40.0, ..Reading::default() };
        // The first scan of a life holds, and in the second the law begins.
        assert_eq!([rig.scan(reading).bess, rig.scan(reading).bess], [40.0; 2]);
        // 0.3 × 200 kW over 2 s, for one second.
        assert!((rig.scan(reading).bess - 70.0).abs() < 1e-9);
    }

    #[test]
    fn it_does_not_wind_up_while_another_function_decides() {
        let limit = ConnectionLimitSpec {
            meter: "pcc".into(),
            battery: Some("bess".into()),
            pv: None,
            import_max: None,
            export_max: Some(kilowatts(0.0)),
            fail_safe: None,
        };
        let holding = PidSpec { holds: Holds::Power(kilowatts(-50.0)), ..spec() };
        let mut rig = Rig::of(&[BuiltInSpec::ConnectionLimit(limit), BuiltInSpec::Pid(holding)]);
        // It wants to export, and must not, for an hour.
        let power = live(&mut rig, 3600, 100.0, 0.0);
        assert!((power - 100.0).abs() < 1e-6, "{power}");
        let Some(memory) = wish_of(&rig) else { panic!("it has a wish") };
        assert!((100.0..160.0).contains(&memory), "{memory}");
    }

    fn wish_of(rig: &Rig) -> Option<f64> {
        let (_, wish) = rig.controller().composition().slots()[1].wishes().as_slice().first()?;
        match wish {
            crate::functions::Wish::Target(power) => Some(power.watts() / 1e3),
            crate::functions::Wish::Limit { .. }
            | crate::functions::Wish::Reserve { .. }
            | crate::functions::Wish::Missing(_)
            | crate::functions::Wish::Hold(_)
            | crate::functions::Wish::MemberLimit { .. } => None,
        }
    }

    #[test]
    fn it_does_not_wind_up_while_the_battery_can_do_no_more() {
        let mut rig = Rig::of(&[BuiltInSpec::Pid(spec())]);
        let power = live(&mut rig, 3600, 600.0, 0.0);
        assert_eq!(power, 250.0);
        // Once less is asked for, it does less at once: with the integral of an hour it would go on for another one.
        let power = live(&mut rig, 1, 200.0, power);
        assert!(power < 160.0, "{power}");
        let power = live(&mut rig, 30, 200.0, power);
        assert!((power - 100.0).abs() < 5.0, "{power}");
    }

    #[test]
    fn the_derivative_answers_a_slope_after_its_lag_and_a_step_no_more_than_the_lag_lets_through() {
        let law = law(4.0, 0.5);
        let mut memory = law.begin((at(0), 0.0, 0.0), 0.0);
        for tenth in 1..=100 {
            let measured = f64::from(tenth as u32) * 0.1;
            memory = law.step(memory, (at(tenth * 100), measured, 0.0), memory.wish_w);
        }
        assert!((memory.wish_w - -8.0).abs() < 1e-6, "{}", memory.wish_w);
        let stepped = law.step(memory, (at(10_001), memory.smoothed.output() + 1.0, 0.0), memory.wish_w);
        // Unfiltered, a unit in a millisecond would be answered with 8000.
        assert!(stepped.wish_w.abs() <= 2.0 * 4.0 * 1.0 / 0.5 + 1e-9, "{}", stepped.wish_w);
    }

    proptest! {
        #[test]
        fn the_time_between_samples_counts_and_not_their_number(
            from in -1e3..1e3_f64,
            to in -1e3..1e3_f64,
            parts in 1..50_u32,
            millis in 1..2_000_u32,
        ) {
            let law = Law { integral_s: Some(7.0), ..law(0.0, 0.0) };
            let total = u64::from(parts) * u64::from(millis);
            let begun = law.begin((at(0), 0.0, from), 0.0);
            let whole = law.step(begun, (at(total), 0.0, to), begun.wish_w);
            let parted = (1..=parts).fold(begun, |memory, part| {
                let error = from + (to - from) * f64::from(part) / f64::from(parts);
                law.step(memory, (at(u64::from(part) * u64::from(millis)), 0.0, error), memory.wish_w)
            });
            prop_assert!((whole.wish_w - parted.wish_w).abs() < 1e-6);
        }
    }

    #[test]
    fn what_cannot_control_is_refused() {
        let wrong = PidSpec { gain: 0.0, integral_time: Some(Span::ZERO), pv: Some("pv".into()), ..spec() };
        let expected = [
            "gain: must be above 0, and at most 1e12, got 0",
            "integral_time: must be above 0 s, got 0 s",
            "battery: must be one of battery and pv, got both battery and pv",
        ];
        assert_eq!(Rig::errors(&[BuiltInSpec::Pid(wrong)]), expected);
    }
}
