//! A run that is watched from outside: after each scan its decisions are held against what the devices can do and against
//! their explanation, each write against both, and at the end the books and the log.

use std::collections::BTreeSet;
use std::fmt::Debug;

use r_ems::engine::LocalTime;
use r_ems::engine::controller::group::Group;
use r_ems::engine::controller::interval::IntervalStep;
use r_ems::engine::controller::member::Member;
use r_ems::engine::controller::{Controller, ControllerSpec};
use r_ems::engine::digest::Digest;
use r_ems::engine::fleet::{Fleet, Turn};
use r_ems::engine::functions::{BuiltIn, FunctionSet};
use r_ems::engine::ids::{ControllerIndex, DeviceIndex};
use r_ems::engine::log::{ControllerNames, Ending, Header, Scope};
use r_ems::engine::machine::{Delivery, Driver, Effect, Machine, Outcome, SetPointWrite, WriteKind};
use r_ems::engine::points::{DeviceClass, Image, PointKind};
use r_ems::engine::units::{Amount, Watts};
use r_ems::explanation::{Explanation, GroupDecision, MemberShare, explain};
use r_ems::names::of_spec;
use r_ems::replay::{Recorder, replay};
use r_ems::scenarios::Loaded;
use r_ems::sim::driver::{RunResult, SimDriver};
use r_ems::study::contained::Recovering;

/// Sums of many devices round, in W or var.
const ROUNDING: f64 = 1e-2;

/// What a machine did last.
#[derive(Default)]
struct Did {
    by: Option<(ControllerIndex, LocalTime)>,
    /// Each with whether it is a frame, which may have waited for a connection.
    writes: Vec<(SetPointWrite, bool)>,
}

/// Every set-point that was decided: for which device of which controller, and its bits.
type Decided = BTreeSet<(ControllerIndex, DeviceIndex, u64)>;

/// Sees what passes out of machines.
struct Watched<D> {
    driver: D,
    did: Did,
}

impl<D: Driver> Driver for Watched<D> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.driver.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        let effects = outcome.effects.as_slice().iter();
        let writes =
            effects.filter_map(|effect| Some((*effect.write()?, matches!(effect, Effect::Frame { .. }))));
        self.did.writes.clear();
        self.did.writes.extend(writes.filter(|write| write.0.kind == WriteKind::SetPoint));
        self.did.by = Some((outcome.from, outcome.now));
        self.driver.perform(outcome);
    }
}

/// Runs a scenario to its end, and its log once more; the first thing that does not hold.
pub(crate) fn watch(loaded: Loaded<BuiltIn>) -> Result<(), String> {
    let mut log = Vec::new();
    let digest = run(loaded, &mut log)?;
    let again = replay::<Controller<BuiltIn>, _>(log.as_slice()).map_err(|error| error.to_string())?;
    match again.divergence {
        Some(divergence) => Err(format!("the log replays otherwise: {divergence:?}")),
        None if again.digest != digest => Err("the log replays with another digest".to_owned()),
        None => Ok(()),
    }
}

/// Runs a scenario to its end and records it; its digest, or the first thing that does not hold.
fn run(loaded: Loaded<BuiltIn>, log: &mut Vec<u8>) -> Result<Digest, String> {
    let controllers = loaded.controllers;
    let names: Vec<ControllerNames> = controllers.iter().map(of_spec).collect();
    let mut fleet = Fleet::new(controllers.iter().map(Controller::new).collect());
    let header = Header::new(BuiltIn::NAMES, names.clone());
    let driver = SimDriver::new(loaded.world).map_err(|missing| format!("{missing:?}"))?;
    let driver = driver.with_persistence::<_, Recovering>(&header, fleet.machines());
    let recorder = Recorder::new(driver, log, header, Scope::Fleet, fleet.machines());
    let recorder = recorder.map_err(|error| error.to_string())?;
    let mut decided = Decided::new();
    let mut driver = Watched { driver: recorder, did: Did::default() };
    while fleet.turn(&mut driver).map_err(|poisoned| poisoned.to_string())? == Turn::Handled {
        let Some((of, now)) = driver.did.by.take() else { continue };
        let (spec, names, machine) =
            (&controllers[of.position()], &names[of.position()], &fleet.machines()[of.position()]);
        let looked = Looked { of, spec, names, machine, now };
        looked
            .holds(&driver.did.writes, &mut decided)
            .map_err(|words| format!("{} at {now}: {words}", names.full()))?;
    }
    let (mut world, recorded) = driver.driver.finish(fleet.machines(), Ending::Over);
    ended(&world.finish())?;
    recorded.map(|recorded| recorded.digest).map_err(|error| error.to_string())
}

/// The books of a run that is over.
fn ended(result: &RunResult) -> Result<(), String> {
    for grid in &result.grids {
        grid.balance.as_ref().map_err(|imbalance| imbalance.to_string())?;
        grid.limits.as_ref().map_err(|excess| excess.to_string())?;
        grid.reversion.as_ref().map_err(|outlived| outlived.to_string())?;
    }
    let lost = result.persistence.iter().flat_map(|kept| &kept.controllers).flat_map(|kept| &kept.broken);
    none("authority", &result.authority.violations)?;
    none("progress", &result.progress.late)?;
    none("survival", &lost.collect::<Vec<_>>())?;
    none("assertions", &result.failures)
}

/// Nothing was found.
fn none<T: Debug>(what: &str, found: &[T]) -> Result<(), String> {
    found.first().map_or(Ok(()), |first| Err(format!("{what}: {first:?}")))
}

/// A controller as it is after a delivery.
struct Looked<'a> {
    of: ControllerIndex,
    spec: &'a ControllerSpec<BuiltIn>,
    names: &'a ControllerNames,
    machine: &'a Controller<BuiltIn>,
    now: LocalTime,
}

impl Looked<'_> {
    fn holds(&self, writes: &[(SetPointWrite, bool)], decided: &mut Decided) -> Result<(), String> {
        if self.machine.composition().composed_at() == Some(self.now) {
            for group in self.machine.composition().groups() {
                self.group_holds(group)?;
                if let Some(reactive) = group.reactive() {
                    interval_holds(reactive.steps(), reactive.applied())
                        .map_err(|words| format!("{words}: {group:?}"))?;
                }
                let members = group.members().iter();
                decided.extend(
                    members.map(|member| (self.of, member.device(), member.set_point().watts().to_bits())),
                );
            }
            self.explained()?;
        }
        writes.iter().try_for_each(|(write, is_frame)| self.write_holds(write, is_frame.then_some(&*decided)))
    }

    /// No decision leaves the interval, and the members have what was decided.
    fn group_holds(&self, group: &Group) -> Result<(), String> {
        let said = |words: &str| Err(format!("{words}: {group:?}"));
        let (Some(applied), Some(plain)) = (group.applied(), group.without_offset()) else {
            return said("nothing is decided");
        };
        let ability = group.steps().first().map(|step| (step.low, step.high));
        if !ability.is_some_and(|ability| within(applied, ability)) {
            return said("the decision is beyond what the devices can do");
        }
        interval_holds(group.steps(), Some(plain)).or_else(|words| said(&words))?;
        let mut sum = Watts::ZERO;
        for member in group.members() {
            self.member_holds(group.class(), member)?;
            if member.takes_part() {
                sum += member.set_point();
            }
        }
        if same(sum, applied) { Ok(()) } else { said("the members have another sum") }
    }

    /// No member is told what it cannot do, as far as it can be seen.
    fn member_holds(&self, class: DeviceClass, member: &Member) -> Result<(), String> {
        let said = |words: &str| Err(format!("{words}: {member:?}"));
        let (low, high) = ability(class, member, self.machine.image());
        let set_point = member.set_point();
        if !within(set_point, class.range(member.rating())) {
            return said("a set-point is beyond the rating");
        }
        if member.takes_part() && !within(set_point, (low, high)) {
            return said("a set-point is beyond what the device can do");
        }
        let is_battery = class == DeviceClass::Battery;
        // Who stands at a panel is told nothing: what was decided last is as it was.
        let is_away = member.standing().is_away();
        if is_battery && !member.takes_part() && !is_away && set_point != Watts::ZERO {
            return said("a battery that cannot be seen does not rest");
        }
        if self.machine.composition().is_stopped()
            && !is_away
            && !class.stays()
            && !same(set_point, Watts::ZERO)
            && class != DeviceClass::Load
        {
            return said("an emergency stop leaves it running");
        }
        if let Some(apparent) = member.apparent() {
            let most = apparent.volt_amperes() + ROUNDING;
            let active = if is_battery { set_point.watts() } else { 0.0 };
            let reactive = member.reactive().vars();
            if active * active + reactive * reactive > most * most {
                return said("there is no room for both powers");
            }
        }
        Ok(())
    }

    /// What is written is what was decided, in the device's sign, and its explanation says so; a frame may be of an earlier
    /// decision than the last.
    fn write_holds(&self, write: &SetPointWrite, frame_of: Option<&Decided>) -> Result<(), String> {
        let device = &self.spec.devices[write.device.position()];
        let power = Watts::of(write.value * device.positive.factor());
        let range = device.class.range(device.rating);
        if !write.value.is_finite() || !write.reactive.is_finite() || !within(power, range) {
            return Err(format!("{write:?} is beyond the rating"));
        }
        if let Some(decided) = frame_of {
            let was_decided = decided.contains(&(self.of, write.device, power.watts().to_bits()));
            return if was_decided { Ok(()) } else { Err(format!("{write:?} was never decided")) };
        }
        let explanation = explain(self.names, self.machine, self.now, None, Some(write.device));
        let mut shares = explanation.groups.iter().flat_map(|group| &group.members);
        let is_told = |share: &MemberShare| {
            let written = share.written.as_ref().map(|written| written.power_w);
            written == Some(power.watts()) && share.set_point_w == power.watts()
        };
        if shares.any(|share| share.device == device.name && is_told(share)) {
            Ok(())
        } else {
            Err(format!("{write:?} is not explained: {explanation:?}"))
        }
    }

    /// Whatever is decided has somebody who bound it there, or rests.
    fn explained(&self) -> Result<(), String> {
        let explanation = explain(self.names, self.machine, self.now, None, None);
        for (decision, group) in explanation.groups.iter().zip(self.machine.composition().groups()) {
            if let Some(words) = unexplained(decision, group, self.machine.image()) {
                return Err(format!("{words}: {}", shown(&explanation, decision)));
            }
        }
        Ok(())
    }
}

/// Each step narrows the interval, and the decision lies in what the last one leaves.
fn interval_holds<P: Amount>(steps: &[IntervalStep<P>], decided: Option<P>) -> Result<(), String> {
    let mut left: Option<(f64, f64)> = None;
    for step in steps {
        let (low, high) = (step.low.base(), step.high.base());
        let narrows = |(lowest, highest): (f64, f64)| low >= lowest - ROUNDING && high <= highest + ROUNDING;
        if low > high || !left.is_none_or(narrows) {
            return Err("a step widens the interval".to_owned());
        }
        left = Some((low, high));
    }
    let is_in = |(low, high): (f64, f64)| {
        decided.is_some_and(|decided| decided.base() >= low - ROUNDING && decided.base() <= high + ROUNDING)
    };
    if left.is_some_and(is_in) { Ok(()) } else { Err("the decision is outside the interval".to_owned()) }
}

/// What a reader of an explanation cannot make out of it; nothing if all follows.
fn unexplained(decision: &GroupDecision, group: &Group, image: &Image) -> Option<String> {
    let Some(first) = decision.steps.first().and_then(|step| step.after_w) else {
        return Some("nobody says what the devices can do".to_owned());
    };
    let offset = group.applied()? - group.without_offset()?;
    let plain = decision.decided_w? - offset.watts();
    let Some(who) = &decision.bound_by else {
        let rest = match group.class() {
            DeviceClass::Battery | DeviceClass::Genset | DeviceClass::Meter | DeviceClass::Signal => 0.0,
            DeviceClass::Pv => first[1],
            DeviceClass::Load => first[0],
            DeviceClass::Breaker => present(group, image),
        };
        return (!near(plain, rest)).then(|| format!("nobody bound it, and it does not rest at {rest} W"));
    };
    let mut steps = decision.steps.iter().filter(|step| step.who == *who);
    let binds = steps.any(|step| step.after_w.is_some_and(|after| after.iter().any(|end| near(*end, plain))));
    (!binds).then(|| format!("{who} bound it, and no step of that ends at {plain} W"))
}

/// What a breaker holds, which is where it rests.
fn present(group: &Group, image: &Image) -> f64 {
    let held = |member: &Member| {
        let held = image.good(member.device(), PointKind::SetPoint);
        held.unwrap_or(member.set_point().watts())
    };
    group.members().iter().filter(|member| member.takes_part()).map(held).sum()
}

/// What a device can do, from what it says itself.
fn ability(class: DeviceClass, member: &Member, image: &Image) -> (Watts, Watts) {
    let (low, high) = class.range(member.rating());
    if class != DeviceClass::Battery {
        return (low, high);
    }
    let permits = |kind| image.good(member.device(), kind).map_or(Watts::ZERO, Watts::of);
    let charge = permits(PointKind::ChargeLimit).within(Watts::ZERO, high);
    let discharge = permits(PointKind::DischargeLimit).within(Watts::ZERO, high);
    (-charge, discharge)
}

fn shown(explanation: &Explanation, decision: &GroupDecision) -> String {
    format!("{} {decision:#?}", explanation.controller)
}

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() <= ROUNDING
}

fn same(one: Watts, other: Watts) -> bool {
    near(one.watts(), other.watts())
}

fn below(one: Watts, other: Watts) -> bool {
    one.watts() < other.watts() - ROUNDING
}

fn within(power: Watts, (low, high): (Watts, Watts)) -> bool {
    !below(power, low) && !below(high, power)
}
