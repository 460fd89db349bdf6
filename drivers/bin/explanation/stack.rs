//! The stack of one group, function by function: who decided, who wished nothing, and who waits for measurements.
//!
//! The interval's history names only those who narrowed it. A function that wished nothing, or that lost a measurement, is as
//! much a part of the answer, so every function that acts on the group has its row, in priority order.

use r_ems_engine::controller::Controller;
use r_ems_engine::controller::composition::{HOLD, Phase, RAMP_TO_REST, Slot};
use r_ems_engine::controller::group::Group;
use r_ems_engine::controller::interval::{IntervalStep, Origin};
use r_ems_engine::functions::{FunctionSet, OnLoss, Wish};
use r_ems_engine::ids::{DeviceIndex, GroupIndex, SlotIndex};
use r_ems_engine::log::ControllerNames;
use r_ems_engine::points::DeviceClass;
use r_ems_engine::units::Watts;
use r_ems_engine::{LocalTime, Span};
use r_ems_replay::describe::Words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{GroundsSeen, Step, WishSeen};
use crate::names;

/// Whether a part of the composition decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// It is no function: what the devices can do, or the start-up that holds the measured power.
    Given,
    /// It decides, and wished something.
    Deciding,
    /// It decides, and wished nothing.
    NoWish,
    /// It takes over with the next scan that has all its measurements.
    TakingOver,
    /// It lost a measurement, and its group falls back.
    Lost,
    /// It has no say: on the grid or on an island, or because an operator holds or stops the grid.
    NoSay,
}

/// What a function has lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LostSeen {
    /// The points that are not good, with their qualities; none if all are good again.
    pub points: Vec<String>,
    /// For how long.
    pub for_s: f64,
    /// For how long all have been good again.
    pub good_for_s: Option<f64>,
    /// What the group does meanwhile.
    pub fallback: Fallback,
}

/// What a group does while its function waits for measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    /// It holds its power.
    Holds,
    /// It ramps to rest.
    RampsToRest,
    /// It rests.
    Rests,
    /// It is limited to what is safe without the meter.
    FailSafe,
    /// What was delivered on top of the other functions fades.
    Fades,
    /// The wishes stay as they were.
    Stays,
    /// Nothing is asked of it.
    LeftAlone,
}

/// Everybody who had a say in the group's interval, first to last.
pub(super) fn steps<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
    (index, group): (GroupIndex, &Group),
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut before = None;
    let composition = machine.composition();
    let is_known = composition.mode().is_some();
    let is_given = |step: &&IntervalStep| !matches!(step.origin, Origin::Function(_) | Origin::Operator);
    for step in group.steps().iter().filter(is_given) {
        steps.push(narrowed((names, group), step, SlotState::Given, None, &mut before));
    }
    let operated = group.steps().iter().find(|step| step.origin == Origin::Operator);
    for (position, slot) in composition.slots().iter().enumerate() {
        if let Some(step) = operated.filter(|_step| position == composition.behind_orders()) {
            steps.push(narrowed((names, group), step, SlotState::Given, None, &mut before));
        }
        if !slot.law().groups().contains(&index) {
            continue;
        }
        let origin = Origin::Function(SlotIndex::of(position));
        let lost = lost(names, machine, now, slot, group);
        let state = |is_wish: bool| match slot.phase() {
            _ if !is_wish && is_known && !composition.has_say(slot) => SlotState::NoSay,
            Phase::Enabling => SlotState::TakingOver,
            Phase::Deciding if is_wish => SlotState::Deciding,
            Phase::Deciding => SlotState::NoWish,
            Phase::Lost { .. } => SlotState::Lost,
        };
        let own: Vec<&IntervalStep> = group.steps().iter().filter(|step| step.origin == origin).collect();
        if own.is_empty() {
            let who = names::origin(names, origin);
            let (before_w, after_w) = (before, before);
            steps.push(Step {
                who,
                state: state(false),
                lost,
                wish: None,
                before_w,
                after_w,
                shortfall_w: 0.0,
                grounds: None,
            });
            continue;
        }
        for step in own {
            let grounds = slot.law().grounds(index).map(|grounds| GroundsSeen {
                needed_w: grounds.needed.watts(),
                available_w: grounds.available.watts(),
            });
            let step = narrowed((names, group), step, state(true), lost.clone(), &mut before);
            steps.push(Step { grounds, ..step });
        }
    }
    if let Some(step) = operated.filter(|_step| composition.behind_orders() == composition.slots().len()) {
        steps.push(narrowed((names, group), step, SlotState::Given, None, &mut before));
    }
    steps
}

/// A step that narrowed the interval.
fn narrowed(
    (names, group): (&ControllerNames, &Group),
    step: &IntervalStep,
    state: SlotState,
    lost: Option<LostSeen>,
    before: &mut Option<[f64; 2]>,
) -> Step {
    let after_w = [step.low.watts(), step.high.watts()];
    Step {
        who: names::origin(names, step.origin),
        state,
        lost,
        wish: step.wish.map(|wish| seen(names, group, wish)),
        before_w: before.replace(after_w),
        after_w: Some(after_w),
        shortfall_w: step.shortfall.watts(),
        grounds: None,
    }
}

/// What a function has lost, if it has.
fn lost<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
    slot: &Slot<F>,
    group: &Group,
) -> Option<LostSeen> {
    let Phase::Lost { since, good_since } = slot.phase() else { return None };
    let measured = slot.law().measured();
    let bad = |device: DeviceIndex| {
        let point = machine.image().point(device, measured)?;
        let is_good = machine.image().good(device, measured).is_some();
        let name = format!("{}.{}", Words::of(names).device(device), measured.name());
        (!is_good).then(|| format!("{name} {}", point.quality.name()))
    };
    let lost_for = now.since(since);
    let fallback = match slot.law().on_loss() {
        OnLoss::Rest => resting(group.class(), lost_for, slot.law().fail_safe()),
        OnLoss::Fade if lost_for < RAMP_TO_REST => Fallback::Fades,
        OnLoss::Fade => Fallback::LeftAlone,
        OnLoss::Stay => Fallback::Stays,
    };
    Some(LostSeen {
        points: slot.law().meter().and_then(bad).into_iter().collect(),
        for_s: lost_for.as_secs_f64(),
        good_for_s: good_since.map(|good| now.since(good).as_secs_f64()),
        fallback,
    })
}

/// What a group does that comes to rest.
fn resting(class: DeviceClass, lost_for: Span, fail_safe: Option<Watts>) -> Fallback {
    match class {
        DeviceClass::Battery if lost_for < HOLD => Fallback::Holds,
        DeviceClass::Battery if lost_for < HOLD + RAMP_TO_REST => Fallback::RampsToRest,
        DeviceClass::Battery => Fallback::Rests,
        DeviceClass::Pv if fail_safe.is_none() => Fallback::LeftAlone,
        DeviceClass::Pv if lost_for < HOLD => Fallback::Holds,
        DeviceClass::Pv => Fallback::FailSafe,
        DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker => Fallback::Holds,
        DeviceClass::Meter | DeviceClass::Signal => Fallback::LeftAlone,
    }
}

fn seen(names: &ControllerNames, group: &Group, wish: Wish) -> WishSeen {
    match wish {
        Wish::Limit { low, high } => WishSeen::Limit { low_w: low.watts(), high_w: high.watts() },
        Wish::Target(power) => WishSeen::Target { power_w: power.watts() },
        Wish::Hold(power) => WishSeen::Hold { power_w: power.watts() },
        Wish::Reserve { up, down, offset } => {
            WishSeen::Reserve { up_w: up.watts(), down_w: down.watts(), offset_w: offset.watts() }
        }
        Wish::Missing(power) => WishSeen::Missing { power_w: power.watts() },
        Wish::MemberLimit { place, low, high, floor } => {
            let device = Words::of(names).device(group.members()[usize::from(place)].device());
            let (low_w, high_w, floor) = (low.watts(), high.watts(), floor.ratio());
            WishSeen::DeviceLimit { device, low_w, high_w, floor }
        }
    }
}
