//! What a controller's state says to people: read from the state itself, nothing is computed anew.

use r_ems_engine::controller::mode::GridMode;
use r_ems_engine::controller::operation::Operation;
use r_ems_engine::controller::set_points::WriteState;
use r_ems_engine::controller::{Controller, Phase};
use r_ems_engine::event::Event;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex, PointIndex};
use r_ems_engine::log::{ControllerNames, codec};
use r_ems_engine::machine::Machine;
use r_ems_engine::points::device::EngineState;
use r_ems_engine::points::{DeviceClass, DeviceMode, PointKind, Quality};
use r_ems_engine::redundancy::epoch::MAX_SEATS;
use r_ems_engine::redundancy::message::Heartbeat;
use r_ems_engine::redundancy::supervisor::RedundancySupervisor;
use r_ems_engine::redundancy::{Epoch, Health, Role, Seat};
use r_ems_engine::timing::LoopTimingReporter;
use r_ems_engine::{LocalTime, Span};
use r_ems_replay::describe::Words;

use super::super::about::{About, MemberAbout, MemberPlace};
use super::super::feed::Seen;
use crate::api::{DeviceStatus, PointStatus};
use crate::explanation::{Explanation, explain};
use crate::names;

/// What is read from a controller's state.
pub(super) struct View {
    pub(super) role: Role,
    pub(super) epoch: Epoch,
    pub(super) phase: Phase,
    pub(super) health: Health,
    pub(super) state_age: Option<Span>,
    /// How much later than it was seen it wants to be woken; nothing if never.
    pub(super) wakes_in: Option<Span>,
    /// How late its scans were.
    pub(super) timing: LoopTimingReporter,
    /// After so long without a word an active is taken to be gone.
    pub(super) watchdog: Span,
    /// Whether an operator has declared it to be the majority on its own.
    pub(super) is_sole: bool,
    /// Whether an emergency stop is latched.
    pub(super) is_stopped: bool,
    /// How an operator has the grid run, and what is left of a hold.
    pub(super) operation: (Operation, Option<Span>),
    /// What holds the bus, as far as it is known.
    pub(super) mode: Option<GridMode>,
    /// By seat of its council, what it heard of the others last and how long before.
    pub(super) heard: Vec<Option<(LastHeard, Span)>>,
    pub(super) devices: Vec<DeviceStatus>,
    pub(super) points: Vec<PointStatus>,
}

/// What a member heard of another one last.
#[derive(Clone, Copy)]
pub(super) enum LastHeard {
    /// It was understood; what it said of itself, if it did.
    Understood(Option<Heartbeat>),
    /// It runs with another redundancy section.
    Differs,
}

/// Reads states, whatever the functions in them are.
pub(super) trait Views: Send + Sync {
    /// What a state says; nothing before the first boot.
    fn view(&self, of: ControllerIndex, seen: &Seen) -> Option<View>;

    /// Why set-points are what they are, of one device or of all.
    fn explain(&self, of: ControllerIndex, seen: &Seen, device: Option<DeviceIndex>) -> Option<Explanation>;

    /// An event in words.
    fn words(&self, from: ControllerIndex, event: &Event) -> String;
}

/// The states of controllers with the functions of `F`.
pub(super) struct States<F: FunctionSet> {
    names: Vec<ControllerNames>,
    /// By controller, its council in the order of seats, and its own place there: of who is on other hosts only the name.
    councils: Vec<(Vec<ControllerNames>, usize)>,
    /// As they were made: their groups are what they will always be.
    made: Vec<Controller<F>>,
}

impl<F: FunctionSet> States<F> {
    /// Reads the states of these controllers.
    pub(super) fn new(about: &About, made: &[Controller<F>]) -> Self {
        let names = about.controllers.clone();
        let councils = (0..names.len()).map(|of| council(about, ControllerIndex::of(of))).collect();
        Self { names, councils, made: made.to_vec() }
    }

    fn machine(seen: &Seen) -> Option<Controller<F>> {
        codec::decode(&seen.state).ok()
    }
}

impl<F: FunctionSet + Send + Sync> Views for States<F> {
    fn view(&self, of: ControllerIndex, seen: &Seen) -> Option<View> {
        let names = &self.names[of.position()];
        let machine = Self::machine(seen)?;
        let redundancy = machine.redundancy();
        Some(View {
            role: redundancy.role(),
            epoch: redundancy.epoch(),
            phase: machine.phase(),
            health: machine.health(seen.now),
            state_age: machine.transfer().age(seen.now),
            wakes_in: machine.deadline().map(|deadline| deadline.since(seen.now)),
            timing: machine.timing().clone(),
            watchdog: redundancy.settings().watchdog,
            is_sole: redundancy.is_sole(),
            is_stopped: machine.is_stopped_in_emergency(),
            operation: (machine.composition().operation(), machine.composition().held_for(seen.now)),
            mode: machine.composition().mode(),
            heard: (0..MAX_SEATS)
                .map(|seat| last_heard(redundancy, Seat(seat as u8)))
                .map(|heard| heard.map(|(heard, at)| (heard, seen.now.since(at))))
                .collect(),
            devices: devices(names, &machine, seen.now),
            points: points(names, &machine, seen.now),
        })
    }

    fn explain(&self, of: ControllerIndex, seen: &Seen, device: Option<DeviceIndex>) -> Option<Explanation> {
        Some(explain(&self.names[of.position()], &Self::machine(seen)?, seen.now, None, device))
    }

    fn words(&self, from: ControllerIndex, event: &Event) -> String {
        let (position, names) = (from.position(), &self.names[from.position()]);
        let groups = self.made[position].composition().groups();
        let (council, place) = &self.councils[position];
        names::event(Words::within(council, *place), names, groups, event)
    }
}

/// The names in a controller's council, in the order of seats, and its own place there.
fn council(about: &About, of: ControllerIndex) -> (Vec<ControllerNames>, usize) {
    let own = &about.controllers[of.position()];
    let member = |member: &MemberAbout| match member.place {
        MemberPlace::Here(place) => about.controllers[place.position()].clone(),
        MemberPlace::On(_) => ControllerNames {
            grid: own.grid.clone(),
            id: member.id.clone(),
            devices: Vec::new(),
            functions: Vec::new(),
        },
    };
    let members = about.grid(&own.grid).map_or(&[][..], |grid| &grid.members);
    match members.iter().position(|member| member.place == MemberPlace::Here(of)) {
        Some(place) => (members.iter().map(member).collect(), place),
        None => (vec![own.clone()], 0),
    }
}

/// What a member heard of another one last, and when.
fn last_heard(redundancy: &RedundancySupervisor, seat: Seat) -> Option<(LastHeard, LocalTime)> {
    if let Some(at) = redundancy.differs(seat) {
        return Some((LastHeard::Differs, at));
    }
    redundancy.heard(seat).map(|heard| (LastHeard::Understood(heard.said), heard.at))
}

fn points<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
) -> Vec<PointStatus> {
    let point = |(position, point): (usize, &r_ems_engine::points::image::Point)| {
        let index = PointIndex::of(position);
        let (_device, kind) = names.point(index)?;
        let has_arrived = point.measured != LocalTime::ZERO;
        Some(PointStatus {
            controller: names.full(),
            point: Words::of(names).point(index),
            value: has_arrived.then_some(point.value),
            unit: kind.dimension().symbol().to_owned(),
            quality: point.quality.name().to_owned(),
            age_s: has_arrived.then(|| now.since(point.measured).as_secs_f64()),
        })
    };
    machine.image().points().iter().enumerate().filter_map(point).collect()
}

fn devices<F: FunctionSet>(
    names: &ControllerNames,
    machine: &Controller<F>,
    now: LocalTime,
) -> Vec<DeviceStatus> {
    let mut next = 0;
    let mut found = Vec::with_capacity(names.devices.len());
    for (position, device) in names.devices.iter().enumerate() {
        let (index, first) = (DeviceIndex::of(position), next);
        next += device.points.len();
        let points = machine.image().points().get(first..next).unwrap_or_default();
        let arrived = points.iter().filter(|point| point.measured != LocalTime::ZERO);
        let age = arrived.map(|point| now.since(point.measured)).max();
        let groups = machine.composition().groups().iter();
        let group = groups
            .flat_map(|group| group.members().iter().map(move |member| (group, member)))
            .find(|(_, member)| member.device() == index);
        let channels = machine.set_points().channels();
        let channel = channels.iter().find(|channel| channel.device() == index);
        let last = channel.and_then(|channel| channel.last());
        let by_hand = group.and_then(|(group, _)| group.by_hand());
        let decided = group.filter(|(group, _)| group.applied().is_some());
        let away = group.and_then(|(_, member)| names::away(member.standing()));
        let said = |kind| {
            let point = machine.image().point(index, kind)?;
            (point.measured != LocalTime::ZERO).then_some(point.value)
        };
        found.push(DeviceStatus {
            name: device.name.clone(),
            class: device.class.name().to_owned(),
            // Nobody here knows that either.
            is_simulated: false,
            power_w: machine.image().good(index, PointKind::Power),
            soc: machine.image().good(index, PointKind::StateOfCharge),
            signal: machine.image().good(index, PointKind::Signal),
            // Nobody here knows its capacity.
            lasts_s: None,
            control: said(PointKind::Remote).map(|remote| control(remote).to_owned()),
            mode: mode(device.class, said).map(str::to_owned),
            quality: worst(points.iter().map(|point| point.quality)).name().to_owned(),
            age_s: age.map(Span::as_secs_f64),
            timeouts: machine.image().unanswered(index),
            set_point_w: decided.filter(|_| away.is_none()).map(|(_, member)| member.set_point().watts()),
            bound_by: match away {
                Some(why) => Some(why.to_owned()),
                None => {
                    decided.and_then(|(group, _)| group.bound_by()).map(|origin| names::origin(names, origin))
                }
            },
            by_hand_w: by_hand.map(|order| order.power.watts()),
            by_hand_left_s: by_hand.map(|order| order.until.since(now).as_secs_f64()),
            write: last.map(|last| word(last.state).to_owned()),
            reverts_in_s: channel
                .and_then(|channel| channel.reverts_at())
                .map(|at| at.since(now).as_secs_f64()),
        });
    }
    found
}

/// Who controls a device, as it says.
const fn control(remote: f64) -> &'static str {
    if remote < 0.5 { "local" } else { "remote" }
}

/// How a device stands as a whole, as it says.
fn mode(class: DeviceClass, said: impl Fn(PointKind) -> Option<f64>) -> Option<&'static str> {
    match class {
        DeviceClass::Genset => said(PointKind::State).and_then(EngineState::of).map(EngineState::name),
        DeviceClass::Meter
        | DeviceClass::Battery
        | DeviceClass::Pv
        | DeviceClass::Signal
        | DeviceClass::Load
        | DeviceClass::Breaker => said(PointKind::Mode).and_then(DeviceMode::of).map(DeviceMode::name),
    }
}

/// The quality of the one of several points of which least is known.
fn worst(qualities: impl Iterator<Item = Quality>) -> Quality {
    let badness = |quality: &Quality| match quality {
        Quality::Good => 0,
        Quality::Stale => 1,
        Quality::Stuck => 2,
        Quality::Invalid => 3,
        Quality::Unknown => 4,
    };
    qualities.max_by_key(badness).unwrap_or(Quality::Good)
}

const fn word(state: WriteState) -> &'static str {
    match state {
        WriteState::Pending => "pending",
        WriteState::Acknowledged { .. } => "acknowledged",
        WriteState::NotHeld { .. } => "not held",
        WriteState::Failed => "failed",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use r_ems_engine::wall::{TimeZone, WallTime};

    use super::super::super::about::GridAbout;
    use super::*;

    #[test]
    fn members_on_other_hosts_are_known_by_name() {
        let named = |grid: &str, id: &str| ControllerNames {
            grid: grid.to_owned(),
            id: id.to_owned(),
            devices: Vec::new(),
            functions: Vec::new(),
        };
        let member = |id: &str, place| MemberAbout { id: id.to_owned(), place };
        let here = |place| MemberPlace::Here(ControllerIndex(place));
        let grid = |name: &str, members| GridAbout {
            name: name.to_owned(),
            limit_w: None,
            capacities_wh: BTreeMap::new(),
            simulated: Vec::new(),
            members,
        };
        let about = About {
            title: String::new(),
            start: WallTime::from_unix_nanos(0),
            face: None,
            offset: TimeZone::UTC,
            grids: vec![
                grid("hall", vec![member("a", here(0))]),
                grid("shop", vec![member("a", MemberPlace::On("far".to_owned())), member("b", here(1))]),
            ],
            controllers: vec![named("hall", "a"), named("shop", "b")],
            keeps_journals: true,
        };
        let (council, place) = council(&about, ControllerIndex(1));
        let words = Words::within(&council, place);
        assert_eq!((words.seat(Seat(0)), words.seat(Seat(1))), ("a".to_owned(), "b".to_owned()));
    }

    #[test]
    fn who_controls_a_device_and_how_it_stands_are_told_in_words() {
        assert_eq!([0.0, 1.0].map(control), ["local", "remote"]);
        let said = |kind| if kind == PointKind::Mode { Some(4.0) } else { Some(5.0) };
        assert_eq!(mode(DeviceClass::Battery, said), Some("fault"));
        assert_eq!(mode(DeviceClass::Genset, said), Some("cooling down"), "a genset tells of its engine");
        assert_eq!(mode(DeviceClass::Battery, |_| Some(2.5)), None);
        assert_eq!(mode(DeviceClass::Pv, |_| None), None);
    }

    #[test]
    fn the_worst_quality_is_told_wherever_it_stands() {
        let (good, stale, unknown) = (Quality::Good, Quality::Stale, Quality::Unknown);
        for (qualities, expected) in
            [(vec![], good), (vec![good, stale], stale), (vec![stale, unknown, good], unknown)]
        {
            assert_eq!(worst(qualities.into_iter()), expected);
        }
    }
}
