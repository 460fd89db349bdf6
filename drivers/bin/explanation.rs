//! Why set-points are what they are: read from a controller's state as it stood, nothing is computed anew.
//!
//! The history of each interval is part of the controller's state, so the answer is the decision itself: what the controller
//! saw, what each function wished and what was left before and after it, how the result was shared, what was written and
//! what came of it. What the device then did is read from the same controller a few seconds later.
//!
//! The JSON's fields are stable; `_w` is W, positive into the bus, `_s` seconds.

mod point;
mod reactive;
mod stack;

use r_ems_engine::controller::Controller;
use r_ems_engine::controller::group::Group;
use r_ems_engine::controller::member::Member;
use r_ems_engine::controller::set_points::WriteState;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{DeviceIndex, GroupIndex, PointIndex};
use r_ems_engine::log::ControllerNames;
use r_ems_engine::points::{DeviceClass, PointKind};
use r_ems_engine::{LocalTime, Span};
use r_ems_replay::describe::Words;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::point::Point;
pub use self::reactive::{ReactiveDecision, ReactiveStep};
use self::stack::steps;
pub use self::stack::{Fallback, LostSeen, SlotState};
use crate::names;

/// How long after a decision the device's answer is looked at: longer than the dead time and lag of common inverters.
pub const LOOK_AFTER: Span = Span::from_secs(5);

/// The explanation of one controller's decisions at an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The controller, `grid/id`.
    pub controller: String,
    /// What it is in its grid's council: `active`, `standby`, …; `down` if it did not run then, and the rest is what it had
    /// decided before.
    pub role: String,
    /// The fencing number under which it writes, or else the highest that it knows.
    pub epoch: u64,
    /// Whether it has authority: what is decided here is written, or else only computed.
    pub writes: bool,
    /// What it saw.
    pub inputs: Vec<InputSeen>,
    /// Each group that it decides for.
    pub groups: Vec<GroupDecision>,
}

/// One value of the process image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InputSeen {
    /// The point, `device.point`.
    pub point: String,
    /// Its value.
    pub value: f64,
    /// The value's unit: `W`, or `1` for a share.
    pub unit: String,
    /// Whether it could be used.
    pub quality: String,
    /// How long ago it was measured; nothing if it never was.
    pub age_s: Option<f64>,
}

/// The decision for one group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroupDecision {
    /// Its members.
    pub devices: Vec<String>,
    /// The power that was decided; nothing before the first decision.
    pub decided_w: Option<f64>,
    /// Who bound it; nothing if the group rests.
    pub bound_by: Option<String>,
    /// How it came about.
    pub steps: Vec<Step>,
    /// The same of its reactive power; nothing if it takes no reactive set-points.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reactive: Option<ReactiveDecision>,
    /// What each member got, and what it did.
    pub members: Vec<MemberShare>,
}

/// What one part of the composition did to the interval. Every function that acts on the group has one, whatever its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// Who.
    pub who: String,
    /// Whether it decides.
    pub state: SlotState,
    /// What it has lost, if it has.
    pub lost: Option<LostSeen>,
    /// What it wished, if it is a function.
    pub wish: Option<WishSeen>,
    /// The interval before, W; nothing for the first, and before the first decision.
    pub before_w: Option<[f64; 2]>,
    /// The interval afterwards, W; nothing before the first decision.
    pub after_w: Option<[f64; 2]>,
    /// What is missing to the wish.
    pub shortfall_w: f64,
    /// On what a function decided that switches something, if it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grounds: Option<GroundsSeen>,
}

/// What is needed and what there is for it: of loads what they take and what holds the bus can bear, of gensets what is to be
/// given and what runs and is counted on. When a load was shed last, or in the last decision about gensets.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GroundsSeen {
    /// What is needed.
    pub needed_w: f64,
    /// What there is for it.
    pub available_w: f64,
}

/// A wish as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WishSeen {
    /// Stay between two powers.
    Limit {
        /// The lowest.
        low_w: f64,
        /// The highest.
        high_w: f64,
    },
    /// Take a power.
    Target {
        /// Which.
        power_w: f64,
    },
    /// Take a power for a while.
    Hold {
        /// Which.
        power_w: f64,
    },
    /// Keep room, and deliver some of it.
    Reserve {
        /// Below the upper end.
        up_w: f64,
        /// Above the lower end.
        down_w: f64,
        /// Delivered now.
        offset_w: f64,
    },
    /// Nothing: so much of what it answers for could not be delivered.
    Missing {
        /// How much.
        power_w: f64,
    },
    /// Let one device of the group stay between two powers.
    DeviceLimit {
        /// Which.
        device: String,
        /// The lowest.
        low_w: f64,
        /// The highest.
        high_w: f64,
        /// The state of charge below which it is kept from discharging.
        floor: f64,
    },
}

/// One device's part of a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MemberShare {
    /// The device.
    pub device: String,
    /// Why it shares in nothing and is told nothing, if that is so: it is controlled at its panel, or in fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub away: Option<String>,
    /// Its set-point; what it does, of one that is told nothing.
    pub set_point_w: f64,
    /// What it wrote last, under an authority that is over if nothing was written since.
    pub written: Option<Written>,
    /// The set-point that the device says it holds.
    pub read_back_w: Option<f64>,
    /// Whether the device says that it does not follow that, since another decides.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub not_in_force: bool,
    /// The most that it says it can discharge.
    pub can_discharge_w: Option<f64>,
    /// The most that it says it can charge, a magnitude.
    pub can_charge_w: Option<f64>,
    /// Its state of charge as it says.
    pub soc: Option<f64>,
    /// Its reactive set-point, var, injected; nothing if it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reactive_var: Option<f64>,
    /// Its measured power at the instant.
    pub measured_w: Option<f64>,
    /// Its measured power [`LOOK_AFTER`] later; nothing if the log ends before, or if that is yet to come.
    pub measured_after_w: Option<f64>,
}

/// A write and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Written {
    /// The power.
    pub power_w: f64,
    /// The fencing number under which it was written, `round.seat`.
    pub epoch: String,
    /// Whether the authority under which it was written is over: another writes now, or will.
    pub authority_over: bool,
    /// How long ago.
    pub ago_s: f64,
    /// `pending`, `acknowledged`, `not held` (acknowledged, and seen not to be held since) or `failed`.
    pub state: String,
    /// How long the acknowledgement took.
    pub acknowledged_after_s: Option<f64>,
    /// When the device falls back unless it is written again.
    pub reverts_in_s: Option<f64>,
}

/// Explains what `machine` had decided when its clock showed `now`, and what had come of it by then;
/// `later` is the same controller a little later, if it lived so long.
///
/// With a device only the group that it belongs to is explained.
pub fn explain<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
    later: Option<&Controller<F>>,
    device: Option<DeviceIndex>,
) -> Explanation {
    let groups = machine.composition().groups().iter().enumerate();
    let groups = groups.map(|(position, group)| (GroupIndex::of(position), group));
    let wanted = |entry: &(GroupIndex, &Group)| device.is_none_or(|device| has_member(entry.1, device));
    let groups: Vec<(GroupIndex, &Group)> = groups.filter(wanted).collect();
    // What was seen and lost is as old as it was to the decision.
    let decided_at = machine.composition().composed_at().unwrap_or(LocalTime::ZERO);
    Explanation {
        controller: names.full(),
        role: machine.redundancy().role().name().to_owned(),
        epoch: machine.redundancy().epoch().number(),
        writes: machine.redundancy().authority(now).is_some(),
        inputs: inputs(names, machine, decided_at, &groups),
        groups: groups
            .iter()
            .map(|group| decision(names, machine, (decided_at, now), later, *group))
            .collect(),
    }
}

fn has_member(group: &Group, device: DeviceIndex) -> bool {
    group.members().iter().any(|member| member.device() == device)
}

/// The points of all meters and of the groups' members.
fn inputs<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
    groups: &[(GroupIndex, &Group)],
) -> Vec<InputSeen> {
    let mut seen = Vec::new();
    let mut next = 0;
    for (position, device) in names.devices.iter().enumerate() {
        let kinds = device.points;
        let first = next;
        next += kinds.len();
        let index = DeviceIndex::of(position);
        let is_measured = matches!(device.class, DeviceClass::Meter | DeviceClass::Signal);
        if !is_measured && !groups.iter().any(|entry| has_member(entry.1, index)) {
            continue;
        }
        for (place, kind) in kinds.iter().enumerate() {
            let Some(point) = machine.image().points().get(first + place) else { continue };
            let has_arrived = point.measured != LocalTime::ZERO;
            seen.push(InputSeen {
                point: Words::of(names).point(PointIndex::of(first + place)),
                value: point.value,
                unit: kind.dimension().symbol().to_owned(),
                quality: point.quality.name().to_owned(),
                age_s: has_arrived.then(|| now.since(point.measured).as_secs_f64()),
            });
        }
    }
    seen
}

fn decision<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    (decided_at, now): (LocalTime, LocalTime),
    later: Option<&Controller<F>>,
    (index, group): (GroupIndex, &Group),
) -> GroupDecision {
    let share = |member: &Member| share(names, machine, now, later, member);
    GroupDecision {
        devices: group.members().iter().map(|member| Words::of(names).device(member.device())).collect(),
        decided_w: group.applied().map(r_ems_engine::units::Watts::watts),
        bound_by: group.bound_by().map(|origin| names::origin(names, origin)),
        steps: steps(names, machine, decided_at, (index, group)),
        reactive: reactive::decision(names, group),
        members: group.members().iter().map(share).collect(),
    }
}

fn share<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
    later: Option<&Controller<F>>,
    member: &Member,
) -> MemberShare {
    let device = member.device();
    let channels = machine.set_points().channels();
    let channel = channels.iter().find(|channel| channel.device() == device);
    let written = channel.and_then(|channel| {
        let last = channel.last().or(channel.past())?;
        let (state, acknowledged) = match last.state {
            WriteState::Pending => ("pending", None),
            WriteState::Acknowledged { at } => ("acknowledged", Some(at.since(last.at).as_secs_f64())),
            WriteState::NotHeld { .. } => ("not held", None),
            WriteState::Failed => ("failed", None),
        };
        Some(Written {
            power_w: last.power.watts(),
            epoch: last.epoch.to_string(),
            authority_over: channel.last().is_none(),
            ago_s: now.since(last.at).as_secs_f64(),
            state: state.to_owned(),
            acknowledged_after_s: acknowledged,
            reverts_in_s: channel.reverts_at().map(|at| at.since(now).as_secs_f64()),
        })
    });
    MemberShare {
        device: Words::of(names).device(device),
        away: names::away(member.standing()).map(str::to_owned),
        set_point_w: member.set_point().watts(),
        written,
        read_back_w: machine.image().good(device, PointKind::SetPoint),
        not_in_force: machine
            .image()
            .point(device, PointKind::SetPoint)
            .is_some_and(|point| !point.is_in_force),
        can_discharge_w: machine.image().good(device, PointKind::DischargeLimit),
        can_charge_w: machine.image().good(device, PointKind::ChargeLimit),
        soc: machine.image().good(device, PointKind::StateOfCharge),
        reactive_var: member.apparent().map(|_| member.reactive().vars()),
        measured_w: machine.image().good(device, PointKind::Power),
        measured_after_w: later.and_then(|later| later.image().good(device, PointKind::Power)),
    }
}
