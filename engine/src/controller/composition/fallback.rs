//! What a function wishes that cannot decide: from which powers it begins, and what is safe without measurements.

use super::{HOLD, RAMP_TO_REST, Slot};
use crate::controller::group::Group;
use crate::controller::member::Member;
use crate::functions::{Function, OnLoss, Wish, Wishes};
use crate::ids::GroupIndex;
use crate::points::DeviceClass;
use crate::time::Span;
use crate::units::{Ratio, Watts};

impl<F: Function> Slot<F> {
    /// Wishes what is safe without measurements.
    pub(super) fn fall_back(&mut self, lost_for: Span, groups: &[Group]) {
        let kept = |ramps_for: Span| {
            let ramped = ramps_for.as_secs_f64() / RAMP_TO_REST.as_secs_f64();
            if ramped < 1.0 { 1.0 - ramped } else { 0.0 }
        };
        match self.law.on_loss() {
            OnLoss::Rest => self.come_to_rest(lost_for, kept(lost_for - HOLD), groups),
            OnLoss::Fade => {
                let kept = kept(lost_for);
                self.wishes.set_offsets(self.held.iter().map(|held| *held * kept));
                self.wishes.retain(|group, wish| match wish {
                    Wish::Target(_) | Wish::Hold(_) => false,
                    Wish::Limit { .. } => kept > 0.0 || groups[group.position()].class() != DeviceClass::Pv,
                    Wish::Reserve { .. } | Wish::Missing(_) | Wish::MemberLimit { .. } => true,
                });
            }
            OnLoss::Stay => {}
        }
    }

    fn come_to_rest(&mut self, lost_for: Span, kept: f64, groups: &[Group]) {
        self.wishes.clear();
        for (group, held) in self.law.groups().iter().zip(&self.held) {
            match groups[group.position()].class() {
                DeviceClass::Battery => self.wishes.target(*group, *held * kept),
                DeviceClass::Pv => {
                    if let Some(fail_safe) = self.law.fail_safe() {
                        let limit = if lost_for < HOLD { *held } else { fail_safe };
                        self.wishes.limit(*group, Watts::ZERO, limit.at_least(Watts::ZERO));
                    }
                }
                DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker => {
                    hold_each(*group, &groups[group.position()], Member::set_point, &mut self.wishes);
                }
                DeviceClass::Meter | DeviceClass::Signal => {}
            }
        }
    }
}

/// Wishes that each member of a group that is switched goes on with what it does: one that is off is not to run with half of what
/// another gives.
pub(super) fn hold_each(
    index: GroupIndex,
    group: &Group,
    of: impl Fn(&Member) -> Watts,
    wishes: &mut Wishes,
) {
    for (place, member) in (0..).zip(group.members()) {
        let power = of(member);
        wishes.limit_member(index, place, power, power, Ratio::ZERO);
    }
}
