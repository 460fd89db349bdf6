//! Frequency droop as IEEE 1547 asks for it: outside a dead band power follows the frequency, with a stated response time.
//!
//! Over: `P = max(P_pre − (f − f0 − db) / (f0 k) · P_rated, P_min)`; under: `P = min(P_pre + (f0 − db − f) / (f0 k) · P_rated,
//! P_avail)`. `P_pre` is the measured power at the moment at which the frequency left the band, and stands until it leaves it
//! again. The whole reference passes a first-order lag, on the way out and on the way back.
//!
//! **A battery** is held at `P`. `P_min` and `P_avail` are the ends of what the devices and the functions above leave it: all
//! that it may charge and discharge now. Back in the band the other functions have it again at once, and what `P` differs from
//! what they want is an offset that fades with the lag, and that none of them takes for load. With a constant demand this is
//! the same as a lag of the whole; a load that moves is followed at once.
//!
//! **A generator** has a limit meanwhile: over, it makes no more than `P`, under, it is limited to no less than `P`, whatever
//! functions below wish. `P_min` is 0. `P_avail` is what the sun gives, which nobody knows of an inverter that is limited; nobody
//! has to, since a limit above it is reached by itself. Back in the band the limit goes with the lag to what it made before all
//! this, and is lifted.
//!
//! **Without the frequency** the battery is let go as if it were back, and a limit is lifted when that has faded. After a
//! restart the answer goes on where it was, if that is younger than [`REMEMBERED`]: with a new `P_pre`, which has the answer in
//! it already, it would be given twice.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::lag::{Lag, TIME_CONSTANTS_TO_90_PERCENT};
use super::side::{Side, nominal, require_nominal};
use super::{Function, OnLoss, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::{DeviceClass, PointKind};
use crate::time::{LocalTime, Span};
use crate::units::{Hertz, Ratio, Watts};

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
/// # Shape     one power that is held, and then one reserve, for the battery group; one limit for the generator group
/// # Errors    `Problem::NotMeasured` if the meter has no frequency; `Problem::OutOfRange` if nominal is no frequency of a grid,
/// the dead band does not leave one on both sides, droop is not above 0, or there is nothing to act on
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

/// What one group does about the frequency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Answer {
    /// Which way it answers; `Within`: not at all.
    side: Side,
    /// The frequency is outside the band, and not back in it while the answer fades.
    is_outside: bool,
    /// P_pre, W.
    before_w: f64,
    /// Where what is behind the lag goes while the answer fades, W: for a generator what it made before the first of excursions
    /// that follow each other.
    rest_w: f64,
    /// The reference behind the lag, W: P, but of a battery that is given back what is left on top of what others want.
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
            match view.class(*group) {
                DeviceClass::Pv => answer.follow_with_pv(side, *group, view),
                DeviceClass::Battery
                | DeviceClass::Genset
                | DeviceClass::Load
                | DeviceClass::Breaker
                | DeviceClass::Meter
                | DeviceClass::Signal => answer.follow_with_battery(side, *group, view),
            }
            if answer.side == Side::Within {
                continue;
            }
            let reference = if answer.is_outside {
                let reference = Watts::of(answer.before_w) + view.rating(*group) * change;
                reference.within(view.lowest(*group), view.highest(*group)).watts()
            } else {
                answer.rest_w
            };
            answer.power.step(reference, elapsed, self.time_constant_s);
            answer.wish(*group, view, wishes);
            let left = Watts::of(answer.power.output() - answer.rest_w);
            if !answer.is_outside && left.abs() < view.rating(*group) * SETTLED {
                *answer = Answer::default();
            }
        }
    }
}

impl FrequencyDroop {
    /// On which side of the band a frequency is, and the change of power that it asks for, as a share of the rating.
    fn answer_to(&self, frequency: Hertz) -> (Side, f64) {
        let (side, beyond) = Side::of(frequency, self.nominal, self.dead_band);
        (side, -beyond.hertz() / (self.nominal.hertz() * self.droop.ratio()))
    }
}

impl Answer {
    /// Begins where the frequency leaves the band, also anew to the other side, and gives back where it is in it again.
    fn follow_with_battery(&mut self, side: Side, group: GroupIndex, view: &View<'_>) {
        let wanted_w = view.wanted(group).map_or(self.before_w, Watts::watts);
        if side == Side::Within {
            if core::mem::take(&mut self.is_outside) {
                self.power = self.power.shifted(-wanted_w);
            }
            return;
        }
        if !self.is_outside {
            // What reserves deliver is not in the measured power; what is left of the own answer before counts.
            let is_fading = self.side != Side::Within;
            let own_w = if is_fading { self.power.output() } else { 0.0 };
            self.before_w = view.measured(group).watts() + own_w;
            self.power = if is_fading { self.power.shifted(wanted_w) } else { Lag::at(self.before_w) };
        } else if side != self.side {
            self.before_w = view.measured(group).watts();
        }
        (self.side, self.is_outside) = (side, true);
    }

    /// The same; what it makes is measured, and what it could make is not known.
    fn follow_with_pv(&mut self, side: Side, group: GroupIndex, view: &View<'_>) {
        if side == Side::Within {
            self.is_outside = false;
            return;
        }
        if !self.is_outside || side != self.side {
            self.before_w = view.measured(group).watts();
            if self.side == Side::Within {
                self.power = Lag::at(self.before_w);
                self.rest_w = self.before_w;
            }
        }
        (self.side, self.is_outside) = (side, true);
    }

    fn wish(&self, group: GroupIndex, view: &View<'_>, wishes: &mut Wishes) {
        let power = Watts::of(self.power.output());
        match (view.class(group), self.side) {
            (DeviceClass::Pv, Side::Under) => wishes.limit(group, power, view.highest(group).at_least(power)),
            (DeviceClass::Pv, Side::Over | Side::Within) => {
                wishes.limit(group, view.lowest(group).at_most(power), power);
            }
            (
                DeviceClass::Battery
                | DeviceClass::Genset
                | DeviceClass::Load
                | DeviceClass::Breaker
                | DeviceClass::Meter
                | DeviceClass::Signal,
                _,
            ) => {
                if self.is_outside {
                    wishes.hold(group, power);
                } else {
                    let (up, down) = (power.at_least(Watts::ZERO), (-power).at_least(Watts::ZERO));
                    wishes.reserve(group, up, down, power);
                }
            }
        }
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        self.side.carry(carry);
        carry.flag(&mut self.is_outside);
        carry.bounded(&mut self.before_w);
        carry.bounded(&mut self.rest_w);
        self.power.carry(carry);
    }
}

#[cfg(test)]
mod tests;
