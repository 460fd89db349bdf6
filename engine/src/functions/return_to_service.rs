//! Return to service: after a fault of the grid, devices wait until it has been well for a while, and then come back slowly.
//!
//! Out of service a battery is at rest and an inverter is limited to nothing. That begins where voltage or frequency have been
//! outside the widest band, `trip_…`, for `trip_after`: what a device would have tripped for by itself. It ends where both have
//! been inside the narrow band for `hold`; then the limit opens in a straight line, from nothing to the rating in `ramp`.
//!
//! Two bands, because one would do harm: a voltage of 1.06 is nothing to come back to, but no reason to leave either.
//! Volt-watt and volt-var work there, and would never be seen at work.
//!
//! **Without the voltage** all stays as it is, and the wait begins anew; so it does over a restart. The law belongs above all
//! that answers a frequency: who is out of service has no reserve to offer, and says so by its shortfall.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::side::{nominal, require_nominal};
use super::{Function, OnLoss, Rank, View, When, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::PointKind;
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, PerUnit};

/// The band of the frequency to come back in, as multiples of the nominal one.
///
/// # Source
/// IEEE 1547-2018 table 4, defaults for entering service: 59.5 to 60.1 of 60 Hz; EPRI's `OpenDER` (`ES_F_LOW`, `ES_F_HIGH`).
pub const RETURN_F: (f64, f64) = (59.5 / 60.0, 60.1 / 60.0);
/// The band of the voltage to come back in.
///
/// # Source
/// As above (`ES_V_LOW`, `ES_V_HIGH`).
pub const RETURN_V: (f64, f64) = (0.917, 1.05);
/// The band of the frequency that is left by who trips, as multiples of the nominal one.
///
/// # Source
/// IEEE 1547-2018 table 18, defaults of UF1 and OF1: 58.5 and 61.2 of 60 Hz; `OpenDER` (`UF1_TRIP_F`, `OF1_TRIP_F`).
pub const TRIP_F: (f64, f64) = (58.5 / 60.0, 61.2 / 60.0);
/// The band of the voltage that is left by who trips.
///
/// # Source
/// IEEE 1547-2018 table 13, defaults of UV1 and OV1 in category III; `OpenDER` (`UV1_TRIP_V`, `OV1_TRIP_V`).
pub const TRIP_V: (f64, f64) = (0.88, 1.10);
/// How long that band must have been left: the shortest of the times that belong to these defaults.
///
/// # Source
/// IEEE 1547-2018 tables 11 to 13: 2 s (OV1, categories I and II), others up to 300 s.
pub const TRIP_AFTER: Span = Span::from_secs(2);
/// How long the narrow band must have been held unless the site says otherwise.
///
/// # Source
/// IEEE 1547-2018 table 4 (`ES_DELAY`). Beckhoff TF8360 has 600 s.
pub const HOLD: Span = Span::from_secs(300);
/// The time in which the limit opens unless the site says otherwise.
///
/// # Source
/// As above (`ES_RAMP_RATE`, the duration of the ramp).
pub const RAMP: Span = Span::from_secs(300);

/// What a site file says about returning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnToServiceSpec {
    /// The meter that measures voltage and frequency.
    pub meter: String,
    /// The battery that waits, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that waits, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// The nominal frequency; 50 Hz.
    #[serde(default = "nominal")]
    pub nominal: Hertz,
    /// The lowest voltage to come back at; 0.917 pu.
    #[serde(default)]
    pub voltage_min: Option<PerUnit>,
    /// The highest one; 1.05 pu.
    #[serde(default)]
    pub voltage_max: Option<PerUnit>,
    /// The lowest frequency to come back at; 59.5/60 of the nominal one.
    #[serde(default)]
    pub frequency_min: Option<Hertz>,
    /// The highest one; 60.1/60 of the nominal one.
    #[serde(default)]
    pub frequency_max: Option<Hertz>,
    /// Below this voltage devices leave; 0.88 pu.
    #[serde(default)]
    pub trip_voltage_min: Option<PerUnit>,
    /// Above this one too; 1.1 pu.
    #[serde(default)]
    pub trip_voltage_max: Option<PerUnit>,
    /// Below this frequency devices leave; 58.5/60 of the nominal one.
    #[serde(default)]
    pub trip_frequency_min: Option<Hertz>,
    /// Above this one too; 61.2/60 of the nominal one.
    #[serde(default)]
    pub trip_frequency_max: Option<Hertz>,
    /// For how long it must be so; 2 s.
    #[serde(default = "trip_after")]
    pub trip_after: Span,
    /// How long the band to come back in must be held; 5 min.
    #[serde(default = "hold")]
    pub hold: Span,
    /// The time in which the limit then opens; 5 min.
    #[serde(default = "ramp")]
    pub ramp: Span,
}

const fn trip_after() -> Span {
    TRIP_AFTER
}

const fn hold() -> Span {
    HOLD
}

const fn ramp() -> Span {
    RAMP
}

/// Lets devices come back late and slowly after a fault of the grid.
///
/// # Units     voltages: multiples of the nominal one; frequencies: Hz
/// # Shape     one limit for the battery group, one for the generator group
/// # Errors    `Problem::NotMeasured` if the meter has no voltage or no frequency; `Problem::OutOfRange` if a band is empty or
/// not inside the one that is left, nominal is no frequency of a grid, or there is nothing to act on
/// # Source    IEEE 1547-2018 4.10; EPRI's `OpenDER` 2.2, report 3002030962, sections 3.5.1.1 and 3.7.1.3
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReturnToService {
    meter: DeviceIndex,
    groups: Vec<GroupIndex>,
    returns: Bands,
    trips: Bands,
    trip_after: Span,
    hold: Span,
    ramp: Span,
    state: State,
    /// Since when what ends this state has been seen; in the ramp, since when it has been running.
    since: Option<LocalTime>,
}

/// A band of the voltage and one of the frequency.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Bands {
    pub(super) voltage: (PerUnit, PerUnit),
    pub(super) frequency: (Hertz, Hertz),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    InService,
    Waiting,
    Ramping,
}

impl Function for ReturnToService {
    type Spec = ReturnToServiceSpec;

    fn build(spec: &ReturnToServiceSpec, wiring: &mut Wiring<'_>) -> Self {
        require_nominal(spec.nominal, wiring);
        let voltage = |stated: Option<PerUnit>, usual: f64| stated.unwrap_or(PerUnit::of(usual));
        let frequency = |stated: Option<Hertz>, usual: f64| stated.unwrap_or(spec.nominal * usual);
        let returns = Bands {
            voltage: (voltage(spec.voltage_min, RETURN_V.0), voltage(spec.voltage_max, RETURN_V.1)),
            frequency: (frequency(spec.frequency_min, RETURN_F.0), frequency(spec.frequency_max, RETURN_F.1)),
        };
        let trips = Bands {
            voltage: (voltage(spec.trip_voltage_min, TRIP_V.0), voltage(spec.trip_voltage_max, TRIP_V.1)),
            frequency: (
                frequency(spec.trip_frequency_min, TRIP_F.0),
                frequency(spec.trip_frequency_max, TRIP_F.1),
            ),
        };
        returns.require_inside(trips, wiring);
        let meter = wiring.meter_of("meter", &spec.meter, PointKind::Voltage);
        wiring.meter_of("meter", &spec.meter, PointKind::Frequency);
        Self {
            meter,
            groups: wiring.battery_or_pv(spec.battery.as_deref(), spec.pv.as_deref()),
            returns,
            trips,
            trip_after: spec.trip_after,
            hold: spec.hold,
            ramp: spec.ramp,
            state: State::InService,
            since: None,
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
        Some(self.meter)
    }

    fn measured(&self) -> PointKind {
        PointKind::Voltage
    }

    fn on_loss(&self) -> OnLoss {
        OnLoss::Stay
    }

    fn begin_anew(&mut self) {
        self.since = None;
    }

    fn forget(&mut self) {
        // Nobody has seen the grid meanwhile.
        self.since = None;
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.choice(&mut self.state, &[State::InService, State::Waiting, State::Ramping]);
        carry.timers(|carry| carry.option(&mut self.since, Carry::instant));
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(voltage) = view.voltage(self.meter) else { return };
        let frequency = view.frequency(self.meter);
        let share = self.follow(view.measured_at(), voltage, frequency);
        let Some(share) = share else { return };
        for group in &self.groups {
            let high = view.rating(*group) * share;
            wishes.limit(*group, view.class(*group).range(high).0, high);
        }
    }
}

impl ReturnToService {
    /// Follows the grid; says what share of the rating may be used, or nothing if all of it.
    fn follow(&mut self, at: LocalTime, voltage: PerUnit, frequency: Option<Hertz>) -> Option<f64> {
        // A frequency that is not known is none to come back at, but without voltage there is none, and that is reason enough.
        let has_tripped = !self.trips.contain(voltage, frequency.unwrap_or(self.trips.frequency.0));
        let may_return = frequency.is_some_and(|frequency| self.returns.contain(voltage, frequency));
        let next = match self.state {
            State::InService => {
                (self.has_been(has_tripped, at) >= Some(self.trip_after)).then_some(State::Waiting)
            }
            State::Waiting => (self.has_been(may_return, at) >= Some(self.hold)).then_some(State::Ramping),
            // Who has just come back leaves at once.
            State::Ramping => has_tripped.then_some(State::Waiting),
        };
        if let Some(next) = next {
            self.enter(next);
        }
        match self.state {
            State::InService => None,
            State::Waiting => Some(0.0),
            State::Ramping => {
                let ramped = at.since(*self.since.get_or_insert(at));
                if ramped >= self.ramp {
                    self.enter(State::InService);
                    return None;
                }
                Some(ramped.as_secs_f64() / self.ramp.as_secs_f64())
            }
        }
    }

    const fn enter(&mut self, state: State) {
        self.state = state;
        self.since = None;
    }

    /// For how long `holds` has been seen to hold; `None` while it does not.
    fn has_been(&mut self, holds: bool, at: LocalTime) -> Option<Span> {
        if !holds {
            self.since = None;
            return None;
        }
        Some(at.since(*self.since.get_or_insert(at)))
    }
}

impl Bands {
    pub(super) fn contain(&self, voltage: PerUnit, frequency: Hertz) -> bool {
        (self.voltage.0..=self.voltage.1).contains(&voltage)
            && (self.frequency.0..=self.frequency.1).contains(&frequency)
    }

    fn require_inside(&self, outer: Self, wiring: &mut Wiring<'_>) {
        let (low, high) = self.voltage;
        let allowed = alloc::format!("from {} to less than voltage_max of {high}", outer.voltage.0);
        wiring.require("voltage_min", low >= outer.voltage.0 && low < high, low, &allowed);
        let allowed = alloc::format!("at most trip_voltage_max of {}", outer.voltage.1);
        wiring.require("voltage_max", high <= outer.voltage.1, high, &allowed);
        let (low, high) = self.frequency;
        let allowed = alloc::format!("from {} to less than frequency_max of {high}", outer.frequency.0);
        wiring.require("frequency_min", low >= outer.frequency.0 && low < high, low, &allowed);
        let allowed = alloc::format!("at most trip_frequency_max of {}", outer.frequency.1);
        wiring.require("frequency_max", high <= outer.frequency.1, high, &allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig};
    use crate::units::{Ratio, Watts};

    fn spec() -> ReturnToServiceSpec {
        ReturnToServiceSpec {
            meter: "pcc".into(),
            battery: Some("bess".into()),
            pv: Some("pv".into()),
            nominal: nominal(),
            voltage_min: None,
            voltage_max: None,
            frequency_min: None,
            frequency_max: None,
            trip_voltage_min: None,
            trip_voltage_max: None,
            trip_frequency_min: None,
            trip_frequency_max: None,
            trip_after: TRIP_AFTER,
            hold: HOLD,
            ramp: RAMP,
        }
    }

    /// The wait above a self-consumption that wants 200 kW.
    fn law() -> Rig {
        let wanting = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        Rig::of(&[BuiltInSpec::ReturnToService(spec()), BuiltInSpec::SelfConsumption(wanting)])
    }

    fn at(v: f64, f: f64) -> Reading {
        Reading { pcc: 200.0, v, f, ..Reading::default() }
    }

    fn scans(rig: &mut Rig, count: u32, reading: Reading) -> (f64, f64) {
        let mut decided = (0.0, 0.0);
        for _scan in 0..count {
            let next = rig.scan(reading);
            decided = (next.bess, next.pv);
        }
        decided
    }

    const FREE: (f64, f64) = (200.0, 600.0);

    #[test]
    fn devices_leave_two_seconds_after_the_wide_band_was_left_and_not_for_less() {
        for grid in [at(0.87, 50.0), at(1.11, 50.0), at(1.0, 48.7), at(1.0, 51.1), at(0.0, f64::NAN)] {
            let mut rig = law();
            rig.settled(at(1.0, 50.0));
            assert_eq!(scans(&mut rig, 2, grid), FREE, "{grid:?}");
            assert_eq!(scans(&mut rig, 1, at(1.0, 50.0)), FREE);
            assert_eq!(scans(&mut rig, 2, grid), FREE, "{grid:?}");
            assert_eq!(scans(&mut rig, 1, grid), (0.0, 0.0), "{grid:?}");
        }
        for grid in [at(0.89, 50.0), at(1.09, 50.0), at(1.0, 48.8), at(1.0, 50.9)] {
            let mut rig = law();
            rig.settled(at(1.0, 50.0));
            assert_eq!(scans(&mut rig, 600, grid), FREE, "{grid:?}");
        }
    }

    #[test]
    fn they_come_back_after_five_minutes_in_the_narrow_band_in_a_row_and_then_along_a_ramp() {
        let mut rig = law();
        rig.settled(at(1.0, 50.0));
        assert_eq!(scans(&mut rig, 10, at(0.5, 50.0)), (0.0, 0.0));
        assert_eq!(scans(&mut rig, 200, at(1.0, 50.0)), (0.0, 0.0));
        // A look just outside begins the wait anew, whichever end it is.
        for grid in [at(0.916, 50.0), at(1.051, 50.0), at(1.0, 49.5), at(1.0, 50.1), at(1.0, f64::NAN)] {
            assert_eq!(scans(&mut rig, 1, grid), (0.0, 0.0));
            assert_eq!(scans(&mut rig, 300, at(0.918, 50.08)), (0.0, 0.0));
        }
        assert_eq!(scans(&mut rig, 1, at(0.5, 50.0)), (0.0, 0.0));
        assert_eq!(scans(&mut rig, 301, at(1.049, 49.59)), (0.0, 0.0));
        assert_eq!(scans(&mut rig, 30, at(1.0, 50.0)), (25.0, 60.0));
        assert_eq!(scans(&mut rig, 120, at(1.0, 50.0)), (125.0, 300.0));
        assert_eq!(scans(&mut rig, 150, at(1.0, 50.0)), FREE);
    }

    #[test]
    fn who_has_just_come_back_leaves_at_once() {
        let mut rig = law();
        rig.settled(at(1.0, 50.0));
        scans(&mut rig, 10, at(0.5, 50.0));
        scans(&mut rig, 301 + 150, at(1.0, 50.0));
        assert_eq!(scans(&mut rig, 1, at(0.5, 50.0)), (0.0, 0.0));
        assert_eq!(scans(&mut rig, 300, at(1.0, 50.0)), (0.0, 0.0));
    }

    #[test]
    fn neither_a_lost_voltage_nor_a_restart_brings_them_back() {
        let mut rig = law();
        rig.settled(at(1.0, 50.0));
        scans(&mut rig, 10, at(0.5, 50.0));
        scans(&mut rig, 200, at(1.0, 50.0));
        assert_eq!(scans(&mut rig, 400, at(f64::NAN, 50.0)), (0.0, 0.0));
        assert_eq!(scans(&mut rig, 200, at(1.0, 50.0)), (0.0, 0.0));
        rig.restart(Span::from_secs(1));
        assert_eq!(scans(&mut rig, 300, at(1.0, 50.0)), (0.0, 0.0));
        assert!(scans(&mut rig, 30, at(1.0, 50.0)).0 > 0.0);
    }

    #[test]
    fn a_band_to_come_back_in_that_is_not_inside_the_one_that_is_left_is_refused() {
        let mut wrong = spec();
        wrong.voltage_max = Some(PerUnit::of(1.11));
        wrong.frequency_min = Some(Hertz::of(50.2));
        let errors = Rig::errors(&[BuiltInSpec::ReturnToService(wrong)]);
        assert_eq!(errors[0], "voltage_max: must be at most trip_voltage_max of 1.1 pu, got 1.11 pu");
        assert!(
            errors[1].starts_with("frequency_min: must be from 48.75 Hz to less than frequency_max"),
            "{errors:?}"
        );
    }
}
