//! Words and units for what a run knows by numbers.
//!
//! Inside a run only ids move; here they become the names of the site file again.

use r_ems_engine::controller::ControllerSpec;
use r_ems_engine::controller::group::Group;
use r_ems_engine::controller::interval::Origin;
use r_ems_engine::controller::operation::Operation;
use r_ems_engine::controller::standing::Standing;
use r_ems_engine::event::Event;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{GroupIndex, SlotIndex};
use r_ems_engine::log::{ControllerNames, DeviceName};
use r_ems_engine::points::DeviceClass;
use r_ems_replay::describe::Words;
use r_ems_sim::expect::{Claim, Watched};
use r_ems_sim::plant::Quantity;

use crate::present::text::{duration, power};

/// The unit of a number of events.
pub const EVENTS: &str = "events";

/// The units of an expectation's numbers: `W`, `Wh`, `s`, `events`, or `1` for shares and flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Units {
    /// Of the margin.
    pub margin: &'static str,
    /// Of the value at the worst instant.
    pub value: &'static str,
}

/// The names in a controller's specification.
pub fn of_spec<F: FunctionSet>(spec: &ControllerSpec<F>) -> ControllerNames {
    let device = |device: &r_ems_engine::points::DeviceSpec| DeviceName {
        name: device.name.clone(),
        class: device.class,
        points: device.points,
    };
    ControllerNames {
        grid: spec.grid.clone(),
        id: spec.id.clone(),
        devices: spec.devices.iter().map(device).collect(),
        functions: spec.laws.iter().map(|placed| placed.law.built_name().to_owned()).collect(),
    }
}

/// Who set an end of an interval.
pub fn origin(names: &ControllerNames, origin: Origin) -> String {
    match origin {
        Origin::Ability => "what the devices can do".to_owned(),
        Origin::StartUp => "start-up, which holds the measured power".to_owned(),
        Origin::EmergencyStop => "an emergency stop".to_owned(),
        Origin::Operator => "an operator, who holds or stops the grid".to_owned(),
        Origin::Function(slot) => {
            let known = names.functions.get(slot.position());
            known.map_or_else(|| format!("function {slot}"), ToOwned::to_owned)
        }
    }
}

/// What holds a bus from now on.
const fn held_words(event: &Event) -> &'static str {
    if matches!(event, Event::Islanded) {
        "the breaker to the grid is open"
    } else if matches!(event, Event::Rejoined) {
        "the breaker to the grid is closed again"
    } else if matches!(event, Event::BlackedOut) {
        "nothing holds the bus"
    } else {
        "there is voltage again"
    }
}

/// How a grid runs, as an operator wants it.
pub fn operation_words(operation: Operation) -> &'static str {
    match operation {
        Operation::Auto => "the functions decide",
        Operation::Hold => "batteries and PV are held where they are",
        Operation::Stop => "batteries and PV rest until an operator ends it",
    }
}

/// Most devices of a group that are named one by one.
const MAX_NAMED: usize = 3;

/// A group by its members: "bess", "b1, b2", "12 batteries".
pub fn group(names: &ControllerNames, group: &Group) -> String {
    let members = group.members();
    if members.len() > MAX_NAMED {
        let kind = match group.class() {
            DeviceClass::Battery => "batteries",
            DeviceClass::Pv => "inverters",
            DeviceClass::Meter => "meters",
            DeviceClass::Signal => "receivers",
            DeviceClass::Genset => "gensets",
            DeviceClass::Load => "loads",
            DeviceClass::Breaker => "breakers",
        };
        return format!("{} {kind}", members.len());
    }
    let devices: Vec<String> =
        members.iter().map(|member| Words::of(names).device(member.device())).collect();
    devices.join(", ")
}

/// Why nothing is told to a device, by what it says of itself.
pub fn away(standing: Standing) -> Option<&'static str> {
    if standing.is_local() {
        return Some("local: controlled at its panel");
    }
    standing.is_away().then_some("in fault")
}

/// An event as people read it, with names and units, powers and times to as many figures as they need; what needs none of it is
/// told as logs tell it.
pub fn event(words: Words<'_>, names: &ControllerNames, groups: &[Group], event: &Event) -> String {
    let words = words.with_figures(duration, |told| power(told.watts()));
    let kind = event.kind();
    let function = |slot: &SlotIndex| origin(names, Origin::Function(*slot));
    let on = |index: &GroupIndex| {
        groups.get(index.position()).map_or_else(|| format!("group {index}"), |known| group(names, known))
    };
    match event {
        Event::FunctionLost { slot } => {
            format!("{kind}: {} has lost a measurement, its devices fall back", function(slot))
        }
        Event::ShortfallBegan { slot, group, shortfall } => {
            format!("{kind}: {} misses {} at {}", function(slot), power(shortfall.watts()), on(group))
        }
        Event::ShortfallEnded { slot, group, worst } => {
            let missing = power(worst.watts());
            format!("{kind}: {} missed at worst {missing} at {}", function(slot), on(group))
        }
        Event::ManualBegan { group, power: told, lasts } => {
            format!("{kind}: {} at {} by hand, for {}", on(group), power(told.watts()), duration(*lasts))
        }
        Event::ManualEnded { group, why } => format!("{kind}: {}: {}", on(group), why.name()),
        Event::EmergencyStopBegan => format!("{kind}: every set-point is 0 until it is reset"),
        Event::EmergencyStopEnded => format!("{kind}: it was reset, the functions decide again"),
        Event::OperationChanged { operation } => format!("{kind}: {}", operation_words(*operation)),
        Event::DeviceLocal { .. } => format!("{}: controlled at its panel", words.event(event)),
        Event::Islanded | Event::Rejoined | Event::BlackedOut | Event::Energized => {
            format!("{kind}: {}", held_words(event))
        }
        Event::SignSuspect { .. } => format!("{}; check `positive` of their links", words.event(event)),
        Event::Booted { .. }
        | Event::Started { .. }
        | Event::ScansMissed { .. }
        | Event::QualityChanged { .. }
        | Event::FunctionReturned { .. }
        | Event::WriteFailed { .. }
        | Event::WritesSucceed { .. }
        | Event::WriteBudgetUsedUp { .. }
        | Event::WriteBudgetRenewed { .. }
        | Event::ModelsFound { .. }
        | Event::ModelsMissing { .. }
        | Event::IdentityFound { .. }
        | Event::IdentityDiffers { .. }
        | Event::HeartbeatFailed { .. }
        | Event::HeartbeatsSucceed { .. }
        | Event::DeviceLimited { .. }
        | Event::RoleChanged { .. }
        | Event::TookOver { .. }
        | Event::SetPointsTakenOver { .. }
        | Event::StateTaken { .. }
        | Event::StateRefused { .. }
        | Event::AuthoritiesOverlapped { .. }
        | Event::SectionDiffers { .. }
        | Event::PeerSilent { .. }
        | Event::PeerHeard { .. }
        | Event::CommandRefused { .. }
        | Event::StateRecovered { .. }
        | Event::MemoryCarried { .. }
        | Event::MemoryNotCarried { .. }
        | Event::SnapshotTaken { .. }
        | Event::SnapshotFailed
        | Event::JournalDegraded { .. }
        | Event::JournalRestored { .. }
        | Event::WallClockSet { .. }
        | Event::StopBegan
        | Event::Stopped { .. }
        | Event::DeviceFollows { .. }
        | Event::DeviceRemote { .. }
        | Event::DeviceFault { .. }
        | Event::DeviceRecovered { .. } => words.event(event),
    }
}

/// The unit of a value of the plant.
pub const fn truth_unit(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::Power
        | Quantity::AvailablePower
        | Quantity::ChargeLimit
        | Quantity::DischargeLimit
        | Quantity::SetPoint
        | Quantity::Demand => "W",
        Quantity::StoredEnergy => "Wh",
        Quantity::ReactivePower | Quantity::ReactiveSetPoint => "var",
        Quantity::Voltage | Quantity::GridVoltage => "pu",
        Quantity::Frequency | Quantity::GridFrequency => "Hz",
        Quantity::State | Quantity::Mode | Quantity::Remote | Quantity::Trips | Quantity::Starts => "number",
        Quantity::Fuel => "l",
        Quantity::RunningHours => "h",
        Quantity::StateOfCharge
        | Quantity::ReportedStateOfCharge
        | Quantity::Curtailed
        | Quantity::Closed
        | Quantity::Signal
        | Quantity::Waiting => "1",
    }
}

/// The units of an expectation's numbers.
pub fn units(claim: &Claim, controllers: &[ControllerNames]) -> Units {
    let of = |watched: &Watched| match watched {
        Watched::Truth { point, .. } => truth_unit(point.quantity()),
        Watched::Image { controller, point } => {
            let known = controllers.get(controller.position()).and_then(|names| names.point(*point));
            known.map_or("1", |(_, kind)| kind.dimension().symbol())
        }
    };
    match claim {
        Claim::Always { condition, .. } | Claim::Never(condition) => {
            Units { margin: of(&condition.point), value: of(&condition.point) }
        }
        Claim::Eventually { condition, .. } => Units { margin: "s", value: of(&condition.point) },
        Claim::Bounds { point, .. } => Units { margin: of(point), value: of(point) },
        Claim::NoEvent(_) => Units { margin: EVENTS, value: EVENTS },
        Claim::SomeEvent { .. } => Units { margin: "s", value: EVENTS },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::Span;
    use r_ems_engine::redundancy::Seat;
    use r_ems_engine::units::Watts;

    #[test]
    fn people_read_names_and_as_many_figures_as_they_need() {
        let member = |id: &str| ControllerNames {
            grid: "commerce".to_owned(),
            id: id.to_owned(),
            devices: Vec::new(),
            functions: Vec::new(),
        };
        let council = [member("a"), member("b")];
        let said = |told: &Event| event(Words::within(&council, 1), &council[1], &[], told);
        let silent = Span::from_nanos(10_087_316_066);
        assert_eq!(said(&Event::PeerSilent { seat: Seat(0), silent }), "peer_silent: a for 10.1 s");
        let step = Event::SetPointsTakenOver {
            step: Watts::of(3_201.525_950_264_826),
            after: Span::from_nanos(1_000_123),
            state_age: Some(Span::from_nanos(100_275_518)),
        };
        let expected = "set_points_taken_over: a step of 3.2 kW, 1 ms after the grant, from state 100 ms old";
        assert_eq!(said(&step), expected);
    }
}
