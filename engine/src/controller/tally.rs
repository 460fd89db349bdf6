//! What a function did over time: how long and with how much energy it bound set-points, and how far it fell short.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::ids::{GroupIndex, SlotIndex};
use crate::time::Span;
use crate::units::{WattHours, Watts};

/// Sums of one function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    bound_for: Span,
    bound_energy: WattHours,
    short_for: Span,
    short_energy: WattHours,
    short_worst: Watts,
    /// The worst of the shortfall that lasts, by group; zero: none lasts.
    lasting: Vec<Watts>,
}

/// A shortfall's edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShortfallChange {
    /// It began.
    Began(Watts),
    /// It ended; the worst in between.
    Ended(Watts),
}

impl ShortfallChange {
    /// The event that tells of it.
    pub const fn event(self, slot: SlotIndex, group: GroupIndex) -> Event {
        match self {
            Self::Began(shortfall) => Event::ShortfallBegan { slot, group, shortfall },
            Self::Ended(worst) => Event::ShortfallEnded { slot, group, worst },
        }
    }
}

impl Tally {
    /// Starts with nothing, for a function that acts on `groups` groups.
    pub fn new(groups: usize) -> Self {
        Self {
            bound_for: Span::ZERO,
            bound_energy: WattHours::ZERO,
            short_for: Span::ZERO,
            short_energy: WattHours::ZERO,
            short_worst: Watts::ZERO,
            lasting: alloc::vec![Watts::ZERO; groups],
        }
    }

    /// Counts that the function bound a group's set-point at `power` for `elapsed`.
    #[inline]
    pub fn count_bound(&mut self, elapsed: Span, power: Watts) {
        self.bound_for += elapsed;
        self.bound_energy += power.abs().over(elapsed);
    }

    /// Counts a shortfall on the function's `place`-th group; says if it began (from `border` up) or ended (below half).
    #[inline]
    pub fn count_shortfall(
        &mut self,
        place: usize,
        elapsed: Span,
        shortfall: Watts,
        border: Watts,
    ) -> Option<ShortfallChange> {
        if shortfall > Watts::ZERO {
            self.short_for += elapsed;
            self.short_energy += shortfall.over(elapsed);
            self.short_worst = self.short_worst.at_least(shortfall);
        }
        let lasting = &mut self.lasting[place];
        if *lasting == Watts::ZERO {
            if shortfall <= border {
                return None;
            }
            *lasting = shortfall;
            return Some(ShortfallChange::Began(shortfall));
        }
        *lasting = lasting.at_least(shortfall);
        if shortfall < border * 0.5 {
            let worst = core::mem::take(lasting);
            return Some(ShortfallChange::Ended(worst));
        }
        None
    }

    /// How long the function bound a set-point.
    pub const fn bound_for(&self) -> Span {
        self.bound_for
    }

    /// The energy that moved while it did, Wh, charge and discharge added.
    pub const fn bound_energy(&self) -> WattHours {
        self.bound_energy
    }

    /// How long its wishes could not be met.
    pub const fn short_for(&self) -> Span {
        self.short_for
    }

    /// The energy that was missing meanwhile.
    pub const fn short_energy(&self) -> WattHours {
        self.short_energy
    }

    /// The largest shortfall.
    pub const fn short_worst(&self) -> Watts {
        self.short_worst
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortfall_is_told_at_its_edges_only() {
        let mut tally = Tally::new(1);
        let second = Span::from_secs(1);
        let border = Watts::of(10.0);
        let mut count = |power: f64| tally.count_shortfall(0, second, Watts::of(power), border);
        assert_eq!(count(10.0), None);
        assert_eq!(count(10.1), Some(ShortfallChange::Began(Watts::of(10.1))));
        assert_eq!(count(50.0), None);
        assert_eq!(count(5.0), None);
        assert_eq!(count(4.9), Some(ShortfallChange::Ended(Watts::of(50.0))));
        assert_eq!(tally.short_for(), Span::from_secs(5));
        assert_eq!(tally.short_worst(), Watts::of(50.0));
    }
}
