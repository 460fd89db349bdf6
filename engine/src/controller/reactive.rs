//! The reactive power of a group: what its members can do beside their active power, and what was decided.
//!
//! ```text
//!     active power settles -> ±√(S² − P²) of each member -> wishes in priority order -> settle near 0 -> share by what each can
//! ```
//!
//! **Which comes first.** Active power does, unless the site says `Priority::Reactive`: then the active power of a member is
//! kept within √(S² − Q²) of the reactive power that was wanted of it in the scan before, so that one scan later there is room
//! for all of it. What was wanted counts, not what was decided: else the active power would never give way.
//!
//! A battery uses what it is told; an inverter behind a limit uses what it makes, which is what is measured.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::interval::{Interval, IntervalStep, Origin};
use super::member::Member;
use crate::carry::Carry;
use crate::functions::Wish;
use crate::math;
use crate::points::{DeviceClass, Image};
use crate::units::{Amount, Vars, VoltAmperes, Watts};

/// The reactive power of one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reactive {
    interval: Interval<Vars>,
    steps: Vec<IntervalStep<Vars>>,
    applied: Option<Vars>,
    bound_by: Option<Origin>,
    /// What the first function that decided wished, within what the members' ratings alone allow.
    wanted: Option<Vars>,
    rating: VoltAmperes,
}

impl Reactive {
    /// The reactive power of these members; none if none of them takes any.
    pub(super) fn of(members: &[Member]) -> Option<Self> {
        let ratings = members.iter().filter_map(Member::apparent);
        let rating = ratings.fold(VoltAmperes::ZERO, |sum, rating| sum + rating);
        (rating > VoltAmperes::ZERO).then(|| Self {
            interval: Interval::of_ability(Vars::ZERO, Vars::ZERO),
            steps: Vec::new(),
            applied: None,
            bound_by: None,
            wanted: None,
            rating,
        })
    }

    /// Forgets what was decided in an earlier life.
    pub(super) fn forget(&mut self) {
        self.steps.clear();
        (self.applied, self.bound_by, self.wanted) = (None, None, None);
    }

    /// Passes what was decided, which the next decisions start from.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        carry.option(&mut self.applied, Carry::vars);
    }

    /// Opens the interval of this scan, once the active power has been shared.
    pub(super) fn open(&mut self, class: DeviceClass, members: &mut [Member], image: &Image) {
        let mut most = Vars::ZERO;
        for member in members.iter_mut() {
            member.open_reactive(class, image);
            most += member.reactive_ability();
        }
        self.interval = Interval::of_ability(-most, most);
        self.wanted = None;
        self.steps.clear();
        let step = IntervalStep {
            origin: Origin::Ability,
            wish: None,
            low: -most,
            high: most,
            shortfall: Vars::ZERO,
        };
        self.steps.push(step);
    }

    /// Narrows the interval by a wish and keeps the step; returns the shortfall.
    pub(super) fn narrow(&mut self, origin: Origin, wish: Wish<Vars>) -> Vars {
        let most = Vars::of(self.rating.volt_amperes());
        match wish {
            Wish::Target(power) => {
                self.wanted.get_or_insert(power.within(-most, most));
            }
            Wish::Limit { .. }
            | Wish::Reserve { .. }
            | Wish::MemberLimit { .. }
            | Wish::Hold(_)
            | Wish::Missing(_) => {}
        }
        let shortfall = self.interval.narrow(origin, wish);
        let (low, high) = (self.interval.low(), self.interval.high());
        self.steps.push(IntervalStep { origin, wish: Some(wish), low, high, shortfall });
        shortfall
    }

    /// Decides after the last function, and shares the decision among the members by what each can do.
    pub(super) fn settle(&mut self, members: &mut [Member]) {
        let (power, bound_by) = self.interval.settle(Vars::ZERO);
        (self.applied, self.bound_by) = (Some(power), bound_by);
        let most = members.iter().fold(Vars::ZERO, |sum, member| sum + member.reactive_ability());
        let share = if most > Vars::ZERO { power.vars() / most.vars() } else { 0.0 };
        let wanted = self.wanted.map_or(0.0, |wanted| wanted.vars() / self.rating.volt_amperes());
        for member in members {
            member.set_reactive(member.reactive_ability() * share, wanted);
        }
    }

    /// What was decided in the last scan.
    pub const fn applied(&self) -> Option<Vars> {
        self.applied
    }

    /// Who bound the last decision; `None` if the group takes none.
    pub const fn bound_by(&self) -> Option<Origin> {
        self.bound_by
    }

    /// How the last decision came about, first step first.
    pub fn steps(&self) -> &[IntervalStep<Vars>] {
        &self.steps
    }

    /// The sum of its members' ratings.
    pub const fn rating(&self) -> VoltAmperes {
        self.rating
    }
}

/// What of an apparent power is left beside a part of it, in the unit of either.
pub(super) fn beside(apparent: VoltAmperes, part: f64) -> f64 {
    let left = apparent.volt_amperes() * apparent.volt_amperes() - part * part;
    if left > 0.0 { math::sqrt(left) } else { 0.0 }
}

/// The active power that leaves room for so much reactive power.
pub(super) fn active_beside(apparent: VoltAmperes, reactive: Vars) -> Watts {
    Watts::of(beside(apparent, reactive.base()))
}
