//! The interval of a group, of active or of reactive power: what is left of its freedom, who took the rest, and how a wish
//! narrows it.
//!
//! The interval only ever shrinks from function to function. A bound outside it collapses it to the nearest end; what is
//! missing is the shortfall, in W or var. Nothing is lost silently and nothing fails.

use serde::{Deserialize, Serialize};

use crate::functions::Wish;
use crate::ids::SlotIndex;
use crate::units::{Amount, Watts};

/// Who set an end of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// What the devices can do now.
    Ability,
    /// The first scan after start-up, which holds the measured power.
    StartUp,
    /// An emergency stop.
    EmergencyStop,
    /// An operator who holds or stops the grid.
    Operator,
    /// A function of the stack.
    Function(SlotIndex),
}

/// One step in the making of a set-point: who wished what, and what was left afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct IntervalStep<P = Watts> {
    /// Who.
    pub origin: Origin,
    /// What it wished; `None` for the interval that the devices' ability opens.
    pub wish: Option<Wish<P>>,
    /// The lower end afterwards.
    pub low: P,
    /// The upper end afterwards.
    pub high: P,
    /// What is missing to the wish.
    pub shortfall: P,
}

/// What is left of a group's freedom within one scan.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval<P = Watts> {
    low: P,
    high: P,
    low_by: Origin,
    high_by: Origin,
    /// Who brought both ends together first.
    decided_by: Option<Origin>,
    /// Room kept by reserves, and what of it is used.
    reserved_up: P,
    reserved_down: P,
    offset: P,
}

impl<P: Amount> Interval<P> {
    /// Opens with what the devices can do.
    pub fn of_ability(low: P, high: P) -> Self {
        assert!(low <= high, "an ability's low end must not be above its high end");
        Self {
            low,
            high,
            low_by: Origin::Ability,
            high_by: Origin::Ability,
            decided_by: None,
            reserved_up: P::ZERO,
            reserved_down: P::ZERO,
            offset: P::ZERO,
        }
    }

    /// The lower end.
    pub const fn low(&self) -> P {
        self.low
    }

    /// The upper end.
    pub const fn high(&self) -> P {
        self.high
    }

    /// Narrows by a wish; returns the shortfall, a magnitude.
    pub fn narrow(&mut self, origin: Origin, wish: Wish<P>) -> P {
        match wish {
            Wish::Limit { low, high } => self.limit(origin, low, high),
            Wish::Target(power) | Wish::Hold(power) => self.target(origin, power),
            Wish::Reserve { up, down, offset } => self.reserve(origin, up, down, offset),
            Wish::Missing(power) => power,
            // The group narrows its member, and comes back with the limit that follows.
            Wish::MemberLimit { .. } => P::ZERO,
        }
    }

    /// Picks the power nearest to `rest`, adds the offset of reserves, and says who bound it; `None`: it rests.
    pub fn settle(&self, rest: P) -> (P, Option<Origin>) {
        let power = rest.within(self.low, self.high);
        let bound_by = if self.decided_by.is_some() {
            self.decided_by
        } else if power > rest {
            Some(self.low_by)
        } else if power < rest {
            Some(self.high_by)
        } else {
            None
        };
        (power + self.offset, bound_by)
    }

    /// What reserves deliver now.
    pub const fn offset(&self) -> P {
        self.offset
    }

    fn limit(&mut self, origin: Origin, low: P, high: P) -> P {
        assert!(low <= high, "a limit's low end must not be above its high end");
        if low > self.high {
            let missing = low - self.high;
            self.collapse(self.high, self.high_by);
            return missing;
        }
        if high < self.low {
            let missing = self.low - high;
            self.collapse(self.low, self.low_by);
            return missing;
        }
        if low > self.low {
            self.low = low;
            self.low_by = origin;
        }
        if high < self.high {
            self.high = high;
            self.high_by = origin;
        }
        P::ZERO
    }

    fn target(&mut self, origin: Origin, power: P) -> P {
        let reached = power.within(self.low, self.high);
        let by = if power < self.low {
            self.low_by
        } else if power > self.high {
            self.high_by
        } else {
            origin
        };
        self.collapse(reached, by);
        (power - reached).abs()
    }

    fn reserve(&mut self, origin: Origin, up: P, down: P, offset: P) -> P {
        assert!(up >= P::ZERO && down >= P::ZERO, "a reserve is a magnitude");
        let room = self.high - self.low;
        let wanted = up + down;
        // Too little room is shared in proportion, and the interval collapses to the point between the two reserves.
        let share = if wanted > room { room.base() / wanted.base() } else { 1.0 };
        let (kept_up, kept_down) = (up * share, down * share);
        let low = (self.low + kept_down).at_most(self.high);
        let high = (self.high - kept_up).at_least(low);
        self.reserved_up += kept_up;
        self.reserved_down += kept_down;
        self.low = low;
        self.high = high;
        self.low_by = origin;
        self.high_by = origin;
        let wanted_offset = self.offset + offset;
        self.offset = wanted_offset.within(-self.reserved_down, self.reserved_up);
        (wanted - room).at_least(P::ZERO).at_least((wanted_offset - self.offset).abs())
    }

    fn collapse(&mut self, power: P, by: Origin) {
        self.low = power;
        self.high = power;
        if self.decided_by.is_none() {
            self.decided_by = Some(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Origin = Origin::Function(SlotIndex(0));
    const SECOND: Origin = Origin::Function(SlotIndex(1));

    fn kilowatts(power: f64) -> Watts {
        Watts::of(power * 1e3)
    }

    fn battery() -> Interval {
        Interval::of_ability(kilowatts(-250.0), kilowatts(250.0))
    }

    #[test]
    fn a_limit_inside_narrows_and_one_outside_collapses_to_the_nearest_end_with_its_shortfall() {
        let mut interval = battery();
        let wish = Wish::Limit { low: kilowatts(-100.0), high: kilowatts(300.0) };
        assert_eq!(interval.narrow(FIRST, wish), Watts::ZERO);
        assert_eq!((interval.low(), interval.high()), (kilowatts(-100.0), kilowatts(250.0)));
        let wish = Wish::Limit { low: kilowatts(260.0), high: kilowatts(300.0) };
        assert_eq!(interval.narrow(SECOND, wish), kilowatts(10.0));
        assert_eq!(interval.settle(Watts::ZERO), (kilowatts(250.0), Some(Origin::Ability)));
    }

    #[test]
    fn a_target_beyond_an_earlier_limit_is_bound_by_that_limit() {
        let mut interval = battery();
        interval.narrow(FIRST, Wish::Limit { low: kilowatts(-50.0), high: kilowatts(50.0) });
        assert_eq!(interval.narrow(SECOND, Wish::Target(kilowatts(80.0))), kilowatts(30.0));
        assert_eq!(interval.settle(Watts::ZERO), (kilowatts(50.0), Some(FIRST)));
    }

    #[test]
    fn the_first_target_wins() {
        let mut interval = battery();
        assert_eq!(interval.narrow(FIRST, Wish::Target(kilowatts(40.0))), Watts::ZERO);
        assert_eq!(interval.narrow(SECOND, Wish::Target(kilowatts(-10.0))), kilowatts(50.0));
        assert_eq!(interval.settle(Watts::ZERO), (kilowatts(40.0), Some(FIRST)));
    }

    #[test]
    fn without_a_target_the_group_rests_or_is_held_by_an_end() {
        assert_eq!(battery().settle(Watts::ZERO), (Watts::ZERO, None));
        let mut interval = battery();
        interval.narrow(FIRST, Wish::Limit { low: kilowatts(20.0), high: kilowatts(250.0) });
        assert_eq!(interval.settle(Watts::ZERO), (kilowatts(20.0), Some(FIRST)));
    }

    #[test]
    fn a_reserve_keeps_room_for_its_offset_on_top_of_what_later_functions_want() {
        let mut interval = battery();
        let wish = Wish::Reserve { up: kilowatts(50.0), down: kilowatts(30.0), offset: kilowatts(20.0) };
        assert_eq!(interval.narrow(FIRST, wish), Watts::ZERO);
        assert_eq!((interval.low(), interval.high()), (kilowatts(-220.0), kilowatts(200.0)));
        assert_eq!(interval.narrow(SECOND, Wish::Target(kilowatts(240.0))), kilowatts(40.0));
        assert_eq!(interval.settle(Watts::ZERO), (kilowatts(220.0), Some(FIRST)));
    }

    #[test]
    fn a_reserve_larger_than_the_room_is_cut_in_proportion_and_says_so() {
        let mut interval = Interval::of_ability(kilowatts(-10.0), kilowatts(30.0));
        let wish = Wish::Reserve { up: kilowatts(60.0), down: kilowatts(20.0), offset: kilowatts(60.0) };
        assert_eq!(interval.narrow(FIRST, wish), kilowatts(40.0));
        let (power, _) = interval.settle(Watts::ZERO);
        assert_eq!(power, kilowatts(30.0));
    }
}
