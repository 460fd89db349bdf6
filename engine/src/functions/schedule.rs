//! Schedule: at some times of the day the battery takes a power, stays between two, or is charged.
//!
//! Windows are by the site's clocks, daylight saving included: see [`LocalWindow`]. Of windows that overlap the later one of the
//! list counts, as in a tariff. Outside all of them the schedule wishes nothing, and the functions below it have the battery.
//!
//! What holds follows from the wall clock of the moment alone. Nothing is timed, so that a clock that is set, or that is said to
//! be wrong, moves nothing but the window that holds. While the wall clock is not synchronized, `fallback` holds instead.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::{Function, Rank, View, Wiring, Wishes};
use crate::carry::Carry;
use crate::ids::GroupIndex;
use crate::points::device::MAX_MAGNITUDE;
use crate::time::NANOS_PER_SECOND;
use crate::units::{Ratio, Watts};
use crate::wall::{Clock, LocalWindow, Weekdays};

/// Charging begins again when the state of charge has fallen this far below what it is to be.
pub const CHARGE_HYSTERESIS: f64 = 0.02;
const MINUTE_NANOS: i64 = 60 * NANOS_PER_SECOND as i64;
/// Most windows of one schedule or of one list of prices.
pub const MAX_WINDOWS: usize = 64;

/// What a site file says about a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// The battery, or `batteries`.
    pub battery: String,
    /// What is wanted when; of two windows that overlap the later one counts.
    pub windows: Vec<ScheduledSpec>,
    /// What is wanted while the wall clock is not synchronized; without it nothing is.
    #[serde(default)]
    pub fallback: Option<Wanted>,
}

/// What is wanted in one window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduledSpec {
    /// The days on which it begins.
    #[serde(default)]
    pub days: Weekdays,
    /// When it begins.
    pub from: Clock,
    /// When it ends: on the next day, if that is not later.
    pub to: Clock,
    /// Whether it holds twice where clocks show a time twice.
    #[serde(default)]
    pub both: bool,
    /// What is wanted meanwhile.
    pub wants: Wanted,
}

/// What a schedule may want of a battery; powers are positive into the bus.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Wanted {
    /// This power.
    Power(Watts),
    /// A power between two.
    Between(Watts, Watts),
    /// A state of charge: below it the battery is charged, and above it left to the other functions; it is not discharged.
    Charge {
        /// How full it is to be.
        to: Ratio,
        /// With how much it is charged at least, a magnitude; without it with all that it takes.
        #[serde(default)]
        power: Option<Watts>,
    },
}

/// Gives a battery powers, limits or a state of charge by the clock.
///
/// # Units     powers: W, positive into the bus; `to`: state of charge, 0 to 1; times: the site's clocks
/// # Shape     at most one limit or target for one group
/// # Errors    `Problem::OutOfRange` if a window is empty, there are too many, limits cross, or a charge is none
/// # Source    OpenEMS, "Fix Active Power" and "Charge/discharge by schedule" controllers
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    battery: [GroupIndex; 1],
    windows: Vec<(LocalWindow, Wanted)>,
    fallback: Option<Wanted>,
    reading: Reading,
    /// The charge that was wanted last has been reached.
    is_full: bool,
}

/// Which window holds, as of a minute: windows begin and end with one, so that others need not be asked anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// Minutes since 1970, and the place of the window.
    last: Option<(i64, Option<u16>)>,
}

impl Reading {
    /// The last of the windows that holds, if any does; nothing while the wall clock is not synchronized.
    pub(super) fn find<'w>(
        &mut self,
        view: &View<'_>,
        windows: impl DoubleEndedIterator<Item = &'w LocalWindow> + ExactSizeIterator,
    ) -> Option<Option<usize>> {
        let minute = view.wall()?.as_unix_nanos().div_euclid(MINUTE_NANOS);
        if let Some((read_at, found)) = self.last
            && read_at == minute
        {
            return Some(found.map(usize::from));
        }
        let local = view.local()?;
        let found = windows.enumerate().rev().find(|window| window.1.holds(&local));
        let found = found.and_then(|window| u16::try_from(window.0).ok());
        self.last = Some((minute, found));
        Some(found.map(usize::from))
    }

    /// Forgets what was found.
    pub(super) const fn forget(&mut self) {
        self.last = None;
    }
}

/// Notes what is wrong with a list of windows.
pub(super) fn check_windows(windows: impl ExactSizeIterator<Item = LocalWindow>, wiring: &mut Wiring<'_>) {
    let most = alloc::format!("at most {MAX_WINDOWS} windows");
    wiring.require("windows", windows.len() <= MAX_WINDOWS, windows.len(), &most);
    for window in windows {
        let found = alloc::format!("from {} to {}", window.from, window.to);
        wiring.require(
            "windows",
            window.is_valid(),
            found,
            "windows that end at another time than they begin",
        );
    }
}

impl ScheduledSpec {
    const fn window(&self) -> LocalWindow {
        LocalWindow { days: self.days, from: self.from, to: self.to, both: self.both }
    }
}

impl Function for Schedule {
    type Spec = ScheduleSpec;

    fn build(spec: &ScheduleSpec, wiring: &mut Wiring<'_>) -> Self {
        check_windows(spec.windows.iter().map(ScheduledSpec::window), wiring);
        for window in &spec.windows {
            window.wants.check("windows", wiring);
        }
        if let Some(fallback) = &spec.fallback {
            fallback.check("fallback", wiring);
        }
        Self {
            battery: [wiring.battery("battery", &spec.battery)],
            windows: spec.windows.iter().map(|window| (window.window(), window.wants)).collect(),
            fallback: spec.fallback,
            reading: Reading::default(),
            is_full: false,
        }
    }

    fn rank(&self) -> Rank {
        Rank::Schedule
    }

    fn groups(&self) -> &[GroupIndex] {
        &self.battery
    }

    fn forget(&mut self) {
        self.reading.forget();
    }

    fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.part(1);
        carry.timers(|carry| carry.flag(&mut self.is_full));
    }

    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes) {
        let wanted = match self.reading.find(view, self.windows.iter().map(|window| &window.0)) {
            Some(found) => found.and_then(|place| self.windows.get(place)).map(|window| window.1),
            None => self.fallback,
        };
        let [battery] = self.battery;
        match wanted {
            None => self.is_full = false,
            Some(Wanted::Power(power)) => wishes.target(battery, power),
            Some(Wanted::Between(low, high)) => wishes.limit(battery, low, high.at_least(low)),
            Some(Wanted::Charge { to, power }) => {
                self.is_full = is_full(view.state_of_charge(battery), to, self.is_full);
                charge(battery, self.is_full, power, view, wishes);
            }
        }
    }
}

/// Whether a battery has been charged to a state of charge; an unknown one changes nothing.
pub(super) fn is_full(soc: Option<Ratio>, to: Ratio, was_full: bool) -> bool {
    match soc {
        Some(soc) if was_full => soc.ratio() > to.ratio() - CHARGE_HYSTERESIS,
        Some(soc) => soc >= to,
        None => was_full,
    }
}

/// Wishes that a battery is charged with at least a power, or not discharged once it is full.
pub(super) fn charge(
    battery: GroupIndex,
    is_full: bool,
    power: Option<Watts>,
    view: &View<'_>,
    wishes: &mut Wishes,
) {
    let rating = view.rating(battery);
    // Without a state of charge nobody knows when to end.
    let charges = !is_full && view.state_of_charge(battery).is_some();
    let power = if charges { power.unwrap_or(rating).within(Watts::ZERO, rating) } else { Watts::ZERO };
    wishes.limit(battery, -rating, -power);
}

impl Wanted {
    fn check(self, field: &'static str, wiring: &mut Wiring<'_>) {
        let most = Watts::of(MAX_MAGNITUDE);
        let mut bound = |power: Watts| {
            wiring.require(field, power.abs() <= most, power, &alloc::format!("from -{most} to {most}"));
        };
        match self {
            Self::Power(power) => bound(power),
            Self::Between(low, high) => {
                bound(low);
                bound(high);
                let found = alloc::format!("{low} and {high}");
                wiring.require(field, low <= high, found, "the lower power before the higher one");
            }
            Self::Charge { to, power } => {
                wiring.state_of_charge(field, to);
                if let Some(power) = power {
                    wiring.require(field, power > Watts::ZERO, power, "a charging power above 0 W");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::BuiltInSpec;
    use crate::functions::self_consumption::SelfConsumptionSpec;
    use crate::functions::testing::{Reading, Rig, kilowatts};
    use crate::time::{LocalTime, Span};
    use crate::wall::WallTime;

    fn window(from: &str, to: &str, wants: Wanted) -> ScheduledSpec {
        let clock = |text: &str| text.parse().expect("a time of day");
        ScheduledSpec { days: Weekdays::ALL, from: clock(from), to: clock(to), both: false, wants }
    }

    fn spec(windows: &[ScheduledSpec], fallback: Option<Wanted>) -> ScheduleSpec {
        ScheduleSpec { battery: "bess".into(), windows: windows.to_vec(), fallback }
    }

    /// The schedule above a self-consumption, on a host whose clock shows a UTC time.
    fn rig(spec: ScheduleSpec, wall: Option<&str>) -> Rig {
        let below = SelfConsumptionSpec {
            meter: "pcc".into(),
            battery: "bess".into(),
            target: Watts::ZERO,
            discharge_above: Ratio::ZERO,
        };
        let stack = [BuiltInSpec::Schedule(spec), BuiltInSpec::SelfConsumption(below)];
        let now = LocalTime::ZERO + Span::from_hours(7);
        Rig::booted_at(&stack, now, wall.map(|text| text.parse().expect("an instant")))
    }

    fn drawing() -> Reading {
        Reading { pcc: 30.0, ..Reading::default() }
    }

    fn evening() -> Wanted {
        Wanted::Power(kilowatts(120.0))
    }

    #[test]
    fn a_window_holds_to_the_second_and_leaves_the_battery_to_those_below_before_and_after() {
        let minute = spec(&[window("18:00", "18:01", evening())], None);
        let mut rig = rig(minute, Some("2016-03-09 17:59:55 UTC"));
        let mut powers = [0.0; 70];
        for power in &mut powers {
            *power = rig.scan(drawing()).bess;
        }
        // The scan of 18:00:00 is the fifth, that of 18:01:00 the sixty-fifth.
        assert_eq!((powers[3], powers[4], powers[63], powers[64]), (30.0, 120.0, 120.0, 30.0));
    }

    #[test]
    fn without_a_synchronized_clock_the_fallback_holds_and_a_step_takes_effect_at_once() {
        let two_hours = |fallback| spec(&[window("18:00", "20:00", evening())], fallback);
        assert_eq!(rig(two_hours(None), None).settled(drawing()).bess, 30.0);
        let fallback = Wanted::Between(Watts::ZERO, kilowatts(10.0));
        let mut rig = rig(two_hours(Some(fallback)), None);
        assert_eq!(rig.settled(drawing()).bess, 10.0);
        let wall = |text: &str| text.parse::<WallTime>().ok();
        rig.set_wall_clock(wall("2016-03-09 18:30 UTC"));
        assert_eq!(rig.scan(drawing()).bess, 120.0);
        rig.set_wall_clock(wall("2016-03-09 16:30 UTC"));
        assert_eq!(rig.scan(drawing()).bess, 30.0);
        rig.set_wall_clock(None);
        assert_eq!(rig.scan(drawing()).bess, 10.0);
    }

    #[test]
    fn of_windows_that_overlap_the_later_one_of_the_list_counts() {
        let all_day = window("00:00", "24:00", Wanted::Between(Watts::ZERO, kilowatts(5.0)));
        let two_hours = window("18:00", "20:00", evening());
        let wall = Some("2016-03-09 18:30 UTC");
        let first = spec(&[all_day.clone(), two_hours.clone()], None);
        assert_eq!(rig(first, wall).settled(drawing()).bess, 120.0);
        assert_eq!(rig(spec(&[two_hours, all_day], None), wall).settled(drawing()).bess, 5.0);
    }

    #[test]
    fn a_charge_ends_where_it_is_to_and_what_is_charged_is_kept() {
        let night = Wanted::Charge { to: Ratio::of(0.8), power: Some(kilowatts(50.0)) };
        let mut rig = rig(spec(&[window("22:00", "06:00", night)], None), Some("2016-03-09 23:00 UTC"));
        let reading = |pcc, soc| Reading { pcc, soc, ..Reading::default() };
        assert_eq!(rig.settled(reading(30.0, 0.5)).bess, -50.0);
        // What the sun leaves over is charged too.
        assert_eq!(rig.settled(reading(-90.0, 0.5)).bess, -90.0);
        assert_eq!(rig.settled(reading(30.0, 0.799)).bess, -50.0);
        assert_eq!(rig.settled(reading(30.0, 0.80)).bess, 0.0);
        assert_eq!(rig.settled(reading(30.0, 0.785)).bess, 0.0);
        assert_eq!(rig.settled(reading(30.0, 0.78)).bess, -50.0);
    }

    #[test]
    fn what_no_schedule_can_be_is_refused() {
        let errors = |windows: &[ScheduledSpec], fallback| {
            Rig::errors(&[BuiltInSpec::Schedule(spec(windows, fallback))])
        };
        assert_eq!(errors(&[window("18:00", "17:59", evening())], Some(evening())), [""; 0]);
        for (windows, fallback, expected) in [
            (alloc::vec![window("18:00", "18:00", evening())], None, "windows: must be windows that end"),
            (
                alloc::vec![window("18:00", "20:00", evening()); MAX_WINDOWS + 1],
                None,
                "windows: must be at most 64",
            ),
            (
                alloc::vec![window("18:00", "20:00", Wanted::Between(kilowatts(1.0), Watts::ZERO))],
                None,
                "windows: must be the lower power",
            ),
            (
                Vec::new(),
                Some(Wanted::Power(Watts::of(-1e200))),
                "fallback: must be from -1000 GW to 1000 GW",
            ),
            (
                Vec::new(),
                Some(Wanted::Charge { to: Ratio::ONE, power: Some(Watts::ZERO) }),
                "fallback: must be a charging power above 0 W",
            ),
            (
                Vec::new(),
                Some(Wanted::Charge { to: Ratio::of(1.01), power: None }),
                "fallback: must be from 0 % to 100 %",
            ),
        ] {
            let found = errors(&windows, fallback);
            assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
        }
    }
}
