//! Frequency droop as IEEE 1547 asks for it: outside a dead band power follows the frequency, with a stated response time.
//!
//! Over: `P = max(P_pre − (f − f0 − db) / (f0 k) · P_rated, P_min)`; under: `P = min(P_pre + (f0 − db − f) / (f0 k) · P_rated,
//! P_avail)`. `P_pre` is the measured power at the moment at which the frequency left the band, and stands until it leaves it
//! again. The whole reference passes a first-order lag, on the way out and on the way back.
//!
//! **A battery** has a target meanwhile. `P_min` and `P_avail` are the ends of what the devices and the functions above leave
//! it: all that it may charge and discharge now. The target is wished in two parts, `P_pre`, which keeps the functions below
//! out, and on top of it an offset: so the other functions do not take the answer for load. Back in the band they have the
//! battery again at once, and the offset fades with the lag; with a constant demand this is the same as a lag of the whole.
//!
//! **A generator** has a limit meanwhile: over, it makes no more than `P`, under, it is limited to no less than `P`, whatever
//! functions below wish. `P_min` is 0. `P_avail` is what the sun gives, which nobody knows of an inverter that is limited; nobody
//! has to, since a limit above it is reached by itself. Back in the band the limit goes to `P_pre` with the lag and is lifted.
//!
//! **Without the frequency** the offset fades, the target is let go at once and the limit when the offset has faded. After a
//! restart the answer goes on where it was, if that is younger than [`REMEMBERED`]: with a new `P_pre`, which has the answer in
//! it already, it would be given twice.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::lag::{Lag, TIME_CONSTANTS_TO_90_PERCENT, believed};
use super::{Function, OnLoss, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::device::{FREQUENCY_MAX_HZ, FREQUENCY_MIN_HZ};
use crate::points::{DeviceClass, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, Ratio, Watts};

/// The nominal frequency unless the site says otherwise.
pub const NOMINAL_HZ: f64 = 50.0;
/// Half the width of the dead band unless the site says otherwise.
///
/// # Source
/// IEEE 1547-2018 table 24, default for categories I to III, as in EPRI's `OpenDER` (`PF_DBOF`, `PF_DBUF`).
pub const DEAD_BAND_HZ: f64 = 0.036;
/// The change of frequency, as a share of the nominal one, that moves power by the rating unless the site says otherwise.
///
/// # Source
/// As above (`PF_KOF`, `PF_KUF`).
pub const DROOP: f64 = 0.05;
/// The open-loop response time, to 90 %, unless the site says otherwise.
///
/// # Source
/// As above (`PF_OLRT`).
pub const RESPONSE: Span = Span::from_secs(5);
/// An answer counts as over when what is left of it is less than this part of the rating.
///
/// # Source
/// EPRI's `OpenDER`: 1e-3.
pub const SETTLED: f64 = 1e-3;
/// What is older than this is none of this moment's: the age that hysteresis and timers may have.
pub const REMEMBERED: Span = Span::from_secs(60);

/// What a site file says about the droop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencyDroopSpec {
    /// The meter that measures the frequency.
    pub meter: String,
    /// The battery that answers, or `batteries`.
    #[serde(default)]
    pub battery: Option<String>,
    /// The inverter that answers, or `pvs`.
    #[serde(default)]
    pub pv: Option<String>,
    /// The nominal frequency f0; 50 Hz.
    #[serde(default = "nominal")]
    pub nominal: Hertz,
    /// Half the width of the dead band; 0.036 Hz.
    #[serde(default = "dead_band")]
    pub dead_band: Hertz,
    /// The droop k; 5 %.
    #[serde(default = "droop")]
    pub droop: Ratio,
    /// The open-loop response time, to 90 %; 5 s.
    #[serde(default = "response")]
    pub response: Span,
}

pub(super) fn nominal() -> Hertz {
    Hertz::of(NOMINAL_HZ)
}

fn dead_band() -> Hertz {
    Hertz::of(DEAD_BAND_HZ)
}

fn droop() -> Ratio {
    Ratio::of(DROOP)
}

const fn response() -> Span {
    RESPONSE
}

/// Answers the frequency with active power, by a droop outside a dead band.
///
/// # Units     nominal, `dead_band`: Hz, the latter a magnitude; droop: change of frequency for the rating, as a share of nominal
/// # Shape     one target and reserve for the battery group, one limit for the generator group
/// # Errors    `Problem::NotMeasured` if the meter has no frequency; `Problem::OutOfRange` if nominal is no frequency of a grid,
///             the dead band does not leave one on both sides, droop is not above 0, or there is nothing to act on
/// # Source    IEEE 1547-2018 6.5.2.7.2 with its defaults; EPRI's `OpenDER` 2.2, report 3002030962, sections 3.7.1.4 and 3.7.3.2
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrequencyDroop {
    meter: DeviceIndex,
    groups: Vec<GroupIndex>,
    nominal: Hertz,
    dead_band: Hertz,
    droop: Ratio,
    time_constant_s: f64,
    /// When the last sample was measured.
    last: Option<LocalTime>,
    /// By group.
    answers: Vec<Answer>,
}

/// Where the frequency is, seen from the dead band.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Side {
    #[default]
    Within,
    Over,
    Under,
}

/// What one group does about the frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Answer {
    /// Which way it answers; `Within`: not at all.
    side: Side,
    /// The frequency is outside the band, and not back in it while the answer fades.
    is_outside: bool,
    /// P_pre, W.
    before_w: f64,
    /// The reference behind the lag, W.
    power: Lag,
}

impl Function for FrequencyDroop {
    type Spec = FrequencyDroopSpec;

    fn build(spec: &FrequencyDroopSpec, wiring: &mut Wiring<'_>) -> Self {
        require_nominal(spec.nominal, wiring);
        let leaves_room = spec.dead_band >= Hertz::ZERO && spec.dead_band < spec.nominal;
        wiring.require("dead_band", leaves_room, spec.dead_band, "0 Hz or more, and less than nominal");
        wiring.require("droop", spec.droop > Ratio::ZERO, spec.droop, "above 0 %");
        let groups = wiring.battery_or_pv(spec.battery.as_deref(), spec.pv.as_deref());
        Self {
            meter: wiring.meter_of("meter", &spec.meter, PointKind::Frequency),
            answers: alloc::vec![Answer::default(); groups.len()],
            groups,
            nominal: spec.nominal,
            dead_band: spec.dead_band,
            droop: spec.droop,
            time_constant_s: spec.response.as_secs_f64() / TIME_CONSTANTS_TO_90_PERCENT,
            last: None,
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
        OnLoss::Fade
    }

    fn begin_anew(&mut self) {
        self.last = None;
        self.answers.fill(Answer::default());
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| {
            carry.option(&mut self.last, Carry::instant);
            for answer in &mut self.answers {
                answer.carry(carry);
            }
        });
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let Some(frequency) = view.frequency(self.meter) else { return };
        let at = view.measured_at();
        let elapsed = self.last.map_or(Span::ZERO, |last| at.since(last));
        if elapsed > REMEMBERED {
            self.begin_anew();
        }
        self.last = Some(at);
        let (side, change) = self.answer_to(frequency);
        for (group, answer) in self.groups.iter().zip(&mut self.answers) {
            answer.follow(side, *group, view);
            if answer.side == Side::Within {
                continue;
            }
            let (lowest, highest) = (view.lowest(*group), view.highest(*group));
            let reference = Watts::of(answer.before_w) + view.rating(*group) * change;
            let reference =
                if answer.is_outside { reference.within(lowest, highest).watts() } else { answer.before_w };
            let power = Watts::of(answer.power.step(reference, elapsed, self.time_constant_s));
            match view.class(*group) {
                DeviceClass::Battery | DeviceClass::Meter => answer.wish_target(power, *group, wishes),
                DeviceClass::Pv if answer.side == Side::Over => {
                    wishes.limit(*group, lowest.at_most(power), power)
                }
                DeviceClass::Pv => wishes.limit(*group, power, highest.at_least(power)),
            }
            answer.settle(view.rating(*group));
        }
    }
}

/// Notes a nominal frequency that no grid has.
pub(super) fn require_nominal(nominal: Hertz, wiring: &mut Wiring<'_>) {
    let is_one = (FREQUENCY_MIN_HZ..=FREQUENCY_MAX_HZ).contains(&nominal.hertz());
    wiring.require(
        "nominal",
        is_one,
        nominal,
        &alloc::format!("from {FREQUENCY_MIN_HZ} to {FREQUENCY_MAX_HZ} Hz"),
    );
}

impl FrequencyDroop {
    /// On which side of the band a frequency is, and the change of power that it asks for, as a share of the rating.
    fn answer_to(&self, frequency: Hertz) -> (Side, f64) {
        let (low, high) = (self.nominal - self.dead_band, self.nominal + self.dead_band);
        let (side, beyond) = if frequency > high {
            (Side::Over, frequency - high)
        } else if frequency < low {
            (Side::Under, frequency - low)
        } else {
            (Side::Within, Hertz::ZERO)
        };
        (side, -beyond.hertz() / (self.nominal.hertz() * self.droop.ratio()))
    }
}

impl Answer {
    /// Begins where the frequency leaves the band, also anew to the other side, and lets fade where it is back.
    fn follow(&mut self, side: Side, group: GroupIndex, view: &View<'_>) {
        if side == Side::Within {
            self.is_outside = false;
        } else if !self.is_outside || side != self.side {
            // What reserves deliver is not in the measured power; what is left of the own answer to an earlier excursion counts.
            let own = match view.class(group) {
                DeviceClass::Battery | DeviceClass::Meter => self.offset(),
                DeviceClass::Pv => Watts::ZERO,
            };
            let power = (view.measured(group) + own).watts();
            *self = Self { side, is_outside: true, before_w: power, power: Lag::at(power) };
        }
    }

    fn offset(&self) -> Watts {
        Watts::of(self.power.output() - self.before_w)
    }

    fn wish_target(&self, power: Watts, group: GroupIndex, wishes: &mut Wishes) {
        let before = Watts::of(self.before_w);
        let offset = power - before;
        // The room for the offset is taken first, or the target beneath it would leave none.
        wishes.reserve(group, offset.at_least(Watts::ZERO), (-offset).at_least(Watts::ZERO), offset);
        if self.is_outside {
            wishes.target(group, before);
        }
    }

    /// Ends where next to nothing of the answer is left.
    fn settle(&mut self, rating: Watts) {
        if !self.is_outside && self.offset().abs() < rating * SETTLED {
            *self = Self::default();
        }
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        let mut side = match self.side {
            Side::Within => 0,
            Side::Over => 1,
            Side::Under => 2,
        };
        carry.number(&mut side);
        if carry.restores() {
            self.side = match side {
                1 => Side::Over,
                2 => Side::Under,
                _ => Side::Within,
            };
        }
        carry.flag(&mut self.is_outside);
        carry.real(&mut self.before_w);
        self.before_w = believed(self.before_w);
        self.power.carry(carry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig};

    /// Half a hertz beyond the band is a fifth of the rating: 50 kW of the battery, 120 kW of the inverter.
    const LOW: f64 = 50.0 - 0.036 - 0.5;
    const HIGH: f64 = 50.0 + 0.036 + 0.5;

    fn droop_of(battery: Option<&str>, pv: Option<&str>) -> BuiltInSpec {
        BuiltInSpec::FrequencyDroop(FrequencyDroopSpec {
            meter: "pcc".into(),
            battery: battery.map(Into::into),
            pv: pv.map(Into::into),
            nominal: nominal(),
            dead_band: dead_band(),
            droop: droop(),
            response: RESPONSE,
        })
    }

    fn own_use() -> BuiltInSpec {
        BuiltInSpec::SelfConsumption(SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        })
    }

    fn law() -> Rig {
        Rig::of(&[droop_of(Some("bess"), None)])
    }

    fn at(f: f64) -> Reading {
        Reading { f, bess: 20.0, ..Reading::default() }
    }

    fn scans(rig: &mut Rig, count: u32, reading: Reading) -> f64 {
        (0..count).fold(0.0, |_last, _scan| rig.scan(reading).bess)
    }

    fn is_near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-6
    }

    #[test]
    fn inside_the_dead_band_it_has_no_wish_and_just_outside_it_has() {
        let mut rig = law();
        assert_eq!(rig.settled(at(49.964)).bess, 0.0);
        assert_eq!(rig.settled(at(50.036)).bess, 0.0);
        // A tenth of a millihertz: 10 W on top of the measured power.
        let decided = scans(&mut rig, 60, at(49.9639));
        assert!(is_near(decided, 20.01), "{decided}");
    }

    #[test]
    fn a_step_is_answered_to_ninety_percent_in_the_response_time() {
        let mut rig = law();
        rig.settled(at(50.0));
        // The frequency is taken to move in a straight line from one sample to the next: half a second late.
        let decided = scans(&mut rig, 5, at(LOW));
        let tau = 5.0 / core::f64::consts::LN_10;
        let kept = crate::math::exp(-1.0 / tau);
        let first = 1.0 - (1.0 - kept) * tau;
        let expected = 20.0 + 50.0 * (1.0 - (1.0 - first) * crate::math::pow(kept, 4.0));
        assert!(is_near(decided, expected), "{decided} and {expected}");
        assert!((decided - 65.0).abs() < 1.5, "{decided}");
        assert!((scans(&mut rig, 60, at(LOW)) - 70.0).abs() < 1e-3);
        assert!(
            (scans(&mut rig, 60, at(HIGH)) - -30.0).abs() < 1e-3,
            "from the power before the other excursion"
        );
    }

    #[test]
    fn the_power_before_stands_while_the_battery_answers() {
        let mut rig = law();
        rig.settled(at(50.0));
        for second in 0..30 {
            rig.scan(Reading { bess: 20.0 + f64::from(second), ..at(LOW) });
        }
        let decided = scans(&mut rig, 60, Reading { bess: 70.0, ..at(LOW) });
        assert!((decided - 70.0).abs() < 1e-3, "{decided}");
    }

    #[test]
    fn it_asks_for_no_more_than_the_battery_can_and_falls_short_of_nothing() {
        for (f, expected) in [(47.0, 250.0), (53.0, -250.0)] {
            let mut rig = law();
            rig.settled(at(50.0));
            assert!((scans(&mut rig, 60, at(f)) - expected).abs() < 1e-3);
            assert_eq!(rig.controller().composition().slots()[0].tally().short_worst(), Watts::ZERO);
        }
    }

    #[test]
    fn the_others_do_not_take_it_back_and_have_the_battery_again_when_the_frequency_is_back() {
        let mut rig = Rig::of(&[droop_of(Some("bess"), None), own_use()]);
        // A load of 100 kW that the battery carries; the meter sees what is on top.
        let load = |bess: f64, load: f64, f: f64| Reading { pcc: load - bess, bess, f, ..Reading::default() };
        let mut power = 100.0;
        let mut live = |rig: &mut Rig, demand: f64, f: f64| {
            power = rig.scan(load(power, demand, f)).bess;
            power
        };
        for _second in 0..5 {
            live(&mut rig, 100.0, 50.0);
        }
        for _second in 0..60 {
            live(&mut rig, 100.0, LOW);
        }
        assert!((live(&mut rig, 100.0, LOW) - 150.0).abs() < 1e-3);
        assert!((live(&mut rig, 130.0, LOW) - 150.0).abs() < 1e-3, "a load is none of its business");
        // Back in the band the battery carries the load again, and what is left of the answer fades on top of that.
        let first = live(&mut rig, 130.0, 50.0);
        assert!((165.0..175.0).contains(&first), "{first}");
        let later = (0..4).fold(0.0, |_last, _second| live(&mut rig, 130.0, 50.0));
        assert!((later - 136.0).abs() < 2.0, "{later}");
        assert!(is_near((0..20).fold(0.0, |_last, _second| live(&mut rig, 130.0, 50.0)), 130.0));
    }

    #[test]
    fn an_inverter_makes_no_more_at_a_high_frequency_and_is_limited_to_no_less_at_a_low_one() {
        let limit = super::super::connection_limit::ConnectionLimitSpec {
            meter: "pcc".into(),
            battery: None,
            pv: Some("pv".into()),
            import_max: None,
            export_max: Some(Watts::of(200e3)),
            fail_safe: None,
        };
        let mut rig = Rig::of(&[droop_of(None, Some("pv")), BuiltInSpec::ConnectionLimit(limit)]);
        let reading = |f: f64| Reading { pcc: -200.0, pv: 300.0, f, ..Reading::default() };
        assert_eq!(rig.settled(reading(50.0)).pv, 300.0);
        let over = (0..60).fold(0.0, |_last, _second| rig.scan(reading(HIGH)).pv);
        assert!((over - 180.0).abs() < 1e-3, "{over}");
        // With the lag back to what it made before, and then it is the others' again.
        let back = rig.scan(reading(50.0)).pv;
        assert!((180.0..300.0).contains(&back), "{back}");
        assert_eq!((0..30).fold(0.0, |_last, _second| rig.scan(reading(50.0)).pv), 300.0);
        let under = (0..60).fold(0.0, |_last, _second| rig.scan(reading(LOW)).pv);
        assert!((under - 420.0).abs() < 1e-3, "{under}");
    }

    #[test]
    fn a_restart_goes_on_and_does_not_answer_twice() {
        let mut rig = law();
        rig.settled(at(50.0));
        scans(&mut rig, 60, at(LOW));
        rig.restart(Span::from_secs(5));
        let decided = scans(&mut rig, 60, Reading { bess: 70.0, ..at(LOW) });
        assert!((decided - 70.0).abs() < 1e-3, "{decided}");
        // After a long pause the battery has fallen back, and what it does then is where it begins.
        rig.restart(Span::from_mins(5));
        let decided = scans(&mut rig, 60, Reading { bess: 0.0, ..at(LOW) });
        assert!((decided - 50.0).abs() < 1e-3, "{decided}");
    }

    #[test]
    fn without_the_frequency_the_answer_fades_and_the_others_go_on() {
        let mut rig = Rig::of(&[droop_of(Some("bess"), None), own_use()]);
        let reading = |f: f64| Reading { pcc: -50.0, bess: 150.0, f, ..Reading::default() };
        rig.settled(Reading { pcc: 0.0, bess: 100.0, ..reading(50.0) });
        for _second in 0..60 {
            rig.scan(Reading { pcc: 0.0, bess: 100.0, ..reading(LOW) });
        }
        assert!((rig.scan(reading(LOW)).bess - 150.0).abs() < 1e-3);
        let lost = reading(f64::NAN);
        let mut powers = [0.0; 12];
        for power in &mut powers {
            *power = rig.scan(lost).bess;
        }
        let steps: Vec<f64> = powers.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(steps[..10].iter().all(|step| is_near(*step, 5.0)), "{powers:?}");
        assert_eq!(powers[10..], [100.0, 100.0]);
    }

    #[test]
    fn what_no_grid_can_have_is_refused() {
        let mut spec = droop_of(Some("bess"), None);
        if let BuiltInSpec::FrequencyDroop(spec) = &mut spec {
            spec.droop = Ratio::ZERO;
            spec.nominal = Hertz::ZERO;
        }
        let errors = Rig::errors(&[spec, droop_of(None, None)]);
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert_eq!(errors[2], "droop: must be above 0 %, got 0 %");
        assert_eq!(errors[3], "battery: must be given, or else pv, got neither");
    }
}
