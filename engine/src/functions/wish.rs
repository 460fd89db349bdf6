//! What a function may wish for a group of devices.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::ids::GroupIndex;
use crate::units::{Ratio, Vars, Watts};

/// One function's wish for the active power of one group, or for its reactive power in [`Vars`]; positive into the bus.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Wish<P = Watts> {
    /// Stay between two powers.
    Limit {
        /// The lowest power.
        low: P,
        /// The highest power.
        high: P,
    },
    /// Take this power.
    Target(P),
    /// Take this power for a while: what the functions below would take instead is kept for [`super::View::wanted`].
    ///
    /// So a law that took over from others can give back without a step.
    Hold(P),
    /// Keep room at both ends from now on, and add `offset` after the last function.
    ///
    /// This is how frequency response and self-consumption live together: the delivered offset is removed from the
    /// measured power that the other functions see.
    Reserve {
        /// Room kept below the upper end, a magnitude.
        up: P,
        /// Room kept above the lower end, a magnitude.
        down: P,
        /// What is delivered now.
        offset: P,
    },
    /// Nothing: so much of what it answers for could not be delivered, which is counted and told as a shortfall.
    Missing(P),
    /// Let one member of the group stay between two powers, whatever the others do.
    MemberLimit {
        /// Its place in the group.
        place: u16,
        /// The lowest power.
        low: P,
        /// The highest power.
        high: P,
        /// The state of charge below which it is kept from discharging: members far above theirs give more.
        floor: Ratio,
    },
}

/// The wishes of one function in one scan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wishes {
    list: Vec<(GroupIndex, Wish)>,
    reactive: Vec<(GroupIndex, Wish<Vars>)>,
}

impl Wishes {
    /// Wishes that `group` stays between `low` and `high`.
    pub fn limit(&mut self, group: GroupIndex, low: Watts, high: Watts) {
        self.list.push((group, Wish::Limit { low, high }));
    }

    /// Wishes that `group` takes `power`.
    pub fn target(&mut self, group: GroupIndex, power: Watts) {
        self.list.push((group, Wish::Target(power)));
    }

    /// Wishes that `group` takes `power` for a while.
    pub fn hold(&mut self, group: GroupIndex, power: Watts) {
        self.list.push((group, Wish::Hold(power)));
    }

    /// Wishes room at both ends of `group`, of which `offset` is used now.
    pub fn reserve(&mut self, group: GroupIndex, up: Watts, down: Watts, offset: Watts) {
        self.list.push((group, Wish::Reserve { up, down, offset }));
    }

    /// Tells that so much of what `group` should be able to deliver is missing, a magnitude.
    pub fn missing(&mut self, group: GroupIndex, power: Watts) {
        self.list.push((group, Wish::Missing(power)));
    }

    /// Wishes that one member of `group` stays between `low` and `high`, since it must not be emptied below `floor`.
    pub fn limit_member(&mut self, group: GroupIndex, place: u16, low: Watts, high: Watts, floor: Ratio) {
        self.list.push((group, Wish::MemberLimit { place, low, high, floor }));
    }

    /// Wishes that `group` takes this reactive power.
    pub fn target_reactive(&mut self, group: GroupIndex, power: Vars) {
        self.reactive.push((group, Wish::Target(power)));
    }

    /// The wishes for reactive power in the order in which they were made.
    pub fn reactive(&self) -> &[(GroupIndex, Wish<Vars>)] {
        &self.reactive
    }

    /// The wishes for active power in the order in which they were made.
    pub fn as_slice(&self) -> &[(GroupIndex, Wish)] {
        &self.list
    }

    /// The offsets of all reserves, in order.
    pub(crate) fn offsets(&self) -> impl Iterator<Item = Watts> {
        self.list.iter().filter_map(|(_, wish)| match wish {
            Wish::Reserve { offset, .. } => Some(*offset),
            Wish::Limit { .. }
            | Wish::Target(_)
            | Wish::Hold(_)
            | Wish::Missing(_)
            | Wish::MemberLimit { .. } => None,
        })
    }

    /// Replaces the offsets of all reserves, in order.
    pub(crate) fn set_offsets(&mut self, mut offsets: impl Iterator<Item = Watts>) {
        for (_, wish) in &mut self.list {
            if let Wish::Reserve { offset, .. } = wish {
                *offset = offsets.next().unwrap_or(Watts::ZERO);
            }
        }
    }

    /// Turns what is held into an offset on what would be taken otherwise.
    pub(crate) fn let_go(&mut self, wanted: impl Fn(GroupIndex) -> Watts) {
        for (group, wish) in &mut self.list {
            if let Wish::Hold(power) = *wish {
                let offset = power - wanted(*group);
                let (up, down) = (offset.at_least(Watts::ZERO), (-offset).at_least(Watts::ZERO));
                *wish = Wish::Reserve { up, down, offset };
            }
        }
    }

    /// Keeps the wishes that `is_kept` says.
    pub(crate) fn retain(&mut self, mut is_kept: impl FnMut(GroupIndex, &Wish) -> bool) {
        self.list.retain(|(group, wish)| is_kept(*group, wish));
    }

    /// Forgets the wishes for active power; those for reactive power stand until there are new ones.
    pub(crate) fn clear_active(&mut self) {
        self.list.clear();
    }

    /// Forgets all wishes and keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.reactive.clear();
    }
}
