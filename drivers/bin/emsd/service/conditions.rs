//! What is not as it should be: each begins with one event and ends with another.

use std::collections::BTreeMap;

use r_ems_engine::controller::operation::Operation;
use r_ems_engine::event::Event;
use r_ems_engine::ids::{ControllerIndex, DeviceIndex, GroupIndex, SlotIndex};
use r_ems_engine::redundancy::Seat;

use crate::api::{Condition, EventLine};

/// What lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lasting {
    Failed,
    Journal,
    EmergencyStop,
    Operated,
    Island,
    Dark,
    Lost(SlotIndex),
    Short(SlotIndex, GroupIndex),
    Writes(DeviceIndex),
    Heartbeats(DeviceIndex),
    Budget(DeviceIndex),
    Models(DeviceIndex),
    /// Another device answers.
    Another(DeviceIndex),
    Limited(DeviceIndex),
    Local(DeviceIndex),
    Fault(DeviceIndex),
    State(Seat),
    Peer(Seat),
}

impl Lasting {
    /// Whether it is the concern of who writes, and of nobody who does not.
    const fn is_of_holder(self) -> bool {
        match self {
            Self::Writes(_) | Self::Heartbeats(_) | Self::Budget(_) | Self::Limited(_) => true,
            Self::Failed
            | Self::Journal
            | Self::EmergencyStop
            | Self::Operated
            | Self::Island
            | Self::Dark
            | Self::Lost(_)
            | Self::Short(..)
            | Self::Models(_)
            | Self::Another(_)
            | Self::Local(_)
            | Self::Fault(_)
            | Self::State(_)
            | Self::Peer(_) => false,
        }
    }
}

/// An end of something that lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Begins(Lasting),
    Ends(Lasting),
    /// What is at devices is another's to write and to watch.
    EndsAuthority,
    /// A new life knows nothing of what was.
    EndsAll,
}

/// What lasts now, by who reported it.
#[derive(Debug, Default)]
pub(super) struct Conditions(BTreeMap<(ControllerIndex, Lasting), Condition>);

impl Conditions {
    /// Follows an event that is told as `line`.
    pub(super) fn follow(&mut self, from: ControllerIndex, event: &Event, line: &EventLine) {
        match edge(event) {
            Some(Edge::Begins(what)) => self.begin(from, what, line),
            Some(Edge::Ends(what)) => drop(self.0.remove(&(from, what))),
            Some(Edge::EndsAuthority) => {
                self.0.retain(|(controller, what), _| *controller != from || !what.is_of_holder());
            }
            Some(Edge::EndsAll) => self.0.retain(|(controller, _), _| *controller != from),
            None => {}
        }
    }

    /// A controller has failed an assertion.
    pub(super) fn fail(&mut self, from: ControllerIndex, line: &EventLine) {
        self.begin(from, Lasting::Failed, line);
    }

    /// What lasts, of the controllers that `of` wants, oldest first.
    pub(super) fn list(&self, of: impl Fn(ControllerIndex) -> bool) -> Vec<Condition> {
        let wanted = self.0.iter().filter(|((controller, _), _)| of(*controller));
        let mut found: Vec<Condition> = wanted.map(|(_, condition)| condition.clone()).collect();
        found.sort_by(|one, other| one.since_s.total_cmp(&other.since_s));
        found
    }

    fn begin(&mut self, from: ControllerIndex, what: Lasting, line: &EventLine) {
        let (since_s, since) = (line.at_s, line.at.clone());
        let (controller, severity, message) =
            (line.controller.clone(), line.severity.clone(), line.message.clone());
        let condition = Condition { since_s, since, controller, severity, message };
        self.0.entry((from, what)).or_insert(condition);
    }
}

const fn edge(event: &Event) -> Option<Edge> {
    Some(match *event {
        Event::Booted { .. } | Event::StopBegan => Edge::EndsAll,
        Event::RoleChanged { role, .. } if !role.holds() => Edge::EndsAuthority,
        Event::FunctionLost { slot } => Edge::Begins(Lasting::Lost(slot)),
        Event::FunctionReturned { slot } => Edge::Ends(Lasting::Lost(slot)),
        Event::ShortfallBegan { slot, group, .. } => Edge::Begins(Lasting::Short(slot, group)),
        Event::ShortfallEnded { slot, group, .. } => Edge::Ends(Lasting::Short(slot, group)),
        Event::WriteFailed { device, .. } => Edge::Begins(Lasting::Writes(device)),
        Event::WritesSucceed { device } => Edge::Ends(Lasting::Writes(device)),
        Event::HeartbeatFailed { device, .. } => Edge::Begins(Lasting::Heartbeats(device)),
        Event::HeartbeatsSucceed { device } => Edge::Ends(Lasting::Heartbeats(device)),
        Event::IdentityDiffers { device, .. } => Edge::Begins(Lasting::Another(device)),
        Event::IdentityFound { device } => Edge::Ends(Lasting::Another(device)),
        Event::ModelsMissing { device, .. } => Edge::Begins(Lasting::Models(device)),
        Event::ModelsFound { device, .. } => Edge::Ends(Lasting::Models(device)),
        Event::WriteBudgetUsedUp { device, .. } => Edge::Begins(Lasting::Budget(device)),
        Event::WriteBudgetRenewed { device } => Edge::Ends(Lasting::Budget(device)),
        Event::DeviceLimited { device, .. } => Edge::Begins(Lasting::Limited(device)),
        Event::DeviceFollows { device } => Edge::Ends(Lasting::Limited(device)),
        Event::DeviceLocal { device } => Edge::Begins(Lasting::Local(device)),
        Event::DeviceRemote { device } => Edge::Ends(Lasting::Local(device)),
        Event::DeviceFault { device } => Edge::Begins(Lasting::Fault(device)),
        Event::DeviceRecovered { device } => Edge::Ends(Lasting::Fault(device)),
        Event::JournalDegraded { .. } => Edge::Begins(Lasting::Journal),
        Event::JournalRestored { .. } => Edge::Ends(Lasting::Journal),
        Event::EmergencyStopBegan => Edge::Begins(Lasting::EmergencyStop),
        Event::EmergencyStopEnded => Edge::Ends(Lasting::EmergencyStop),
        Event::OperationChanged { operation: Operation::Auto } => Edge::Ends(Lasting::Operated),
        Event::OperationChanged { .. } => Edge::Begins(Lasting::Operated),
        Event::Islanded => Edge::Begins(Lasting::Island),
        Event::Rejoined => Edge::Ends(Lasting::Island),
        Event::BlackedOut => Edge::Begins(Lasting::Dark),
        Event::Energized => Edge::Ends(Lasting::Dark),
        Event::StateRefused { seat, .. } => Edge::Begins(Lasting::State(seat)),
        Event::PeerSilent { seat, .. } => Edge::Begins(Lasting::Peer(seat)),
        Event::PeerHeard { seat } => Edge::Ends(Lasting::Peer(seat)),
        Event::StateTaken { seat } => Edge::Ends(Lasting::State(seat)),
        // What a point's quality means is seen at its device.
        Event::QualityChanged { .. }
        | Event::Started { .. }
        | Event::ScansMissed { .. }
        | Event::RoleChanged { .. }
        | Event::TookOver { .. }
        | Event::SetPointsTakenOver { .. }
        | Event::AuthoritiesOverlapped { .. }
        | Event::SectionDiffers { .. }
        | Event::CommandRefused { .. }
        | Event::StateRecovered { .. }
        | Event::MemoryCarried { .. }
        | Event::MemoryNotCarried { .. }
        | Event::SnapshotTaken { .. }
        | Event::SnapshotFailed
        | Event::WallClockSet { .. }
        | Event::Stopped { .. }
        | Event::ManualBegan { .. }
        | Event::ManualEnded { .. }
        | Event::SignSuspect { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::machine::WriteOutcome;
    use r_ems_engine::redundancy::{Epoch, Reason, Role};
    use r_ems_engine::time::Span;
    use r_ems_engine::units::Watts;

    const A: ControllerIndex = ControllerIndex(0);
    const B: ControllerIndex = ControllerIndex(1);

    fn line(at_s: f64) -> EventLine {
        let text = || "text".to_owned();
        EventLine {
            number: 1,
            at_s,
            at: text(),
            controller: text(),
            kind: text(),
            severity: "alarm".to_owned(),
            message: text(),
        }
    }

    fn short(slot: u16) -> Event {
        Event::ShortfallBegan { slot: SlotIndex(slot), group: GroupIndex(0), shortfall: Watts::of(1.0) }
    }

    #[test]
    fn what_a_device_does_not_do_is_no_concern_of_who_writes_no_more() {
        let mut conditions = Conditions::default();
        let (device, outcome) = (DeviceIndex(0), WriteOutcome::TimedOut);
        let used_up = Event::WriteBudgetUsedUp { device, per_day: 340, renewed_in: Span::from_hours(1) };
        let limited = Event::DeviceLimited { device, difference: Watts::of(1.0) };
        let all = [
            Event::WriteFailed { device, outcome },
            Event::HeartbeatFailed { device, outcome },
            used_up,
            limited,
        ];
        for failed in &all {
            conditions.follow(A, failed, &line(1.0));
            conditions.follow(B, failed, &line(1.0));
        }
        conditions.follow(A, &short(1), &line(2.0));
        let changed = |role| Event::RoleChanged { role, reason: Reason::Renewed, epoch: Epoch::NONE };
        conditions.follow(A, &changed(Role::HandingOver), &line(3.0));
        let counts = |conditions: &Conditions| [A, B].map(|who| conditions.list(|of| of == who).len());
        assert_eq!(counts(&conditions), [5, 4]);
        conditions.follow(A, &changed(Role::Standby), &line(4.0));
        assert_eq!(counts(&conditions), [1, 4]);
    }

    #[test]
    fn what_began_lasts_until_its_own_end_or_a_new_life() {
        let mut conditions = Conditions::default();
        conditions.follow(A, &short(1), &line(1.0));
        conditions.follow(A, &short(2), &line(2.0));
        conditions.follow(B, &short(1), &line(0.5));
        let since = |conditions: &Conditions| {
            let list = conditions.list(|_| true);
            list.iter().map(|condition| condition.since_s).collect::<Vec<_>>()
        };
        assert_eq!(since(&conditions), [0.5, 1.0, 2.0]);
        let ended = Event::ShortfallEnded { slot: SlotIndex(1), group: GroupIndex(0), worst: Watts::of(1.0) };
        conditions.follow(A, &ended, &line(3.0));
        assert_eq!(since(&conditions), [0.5, 2.0]);
        assert_eq!(conditions.list(|controller| controller == A).len(), 1);
        conditions.follow(A, &Event::Booted { incarnation: 2 }, &line(4.0));
        assert_eq!(since(&conditions), [0.5]);
    }
}
