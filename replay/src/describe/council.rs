//! What the members of a council tell each other, promise and report.

use r_ems_engine::Span;
use r_ems_engine::event::Event;
use r_ems_engine::log::ControllerNames;
use r_ems_engine::redundancy::grantor::Refusal;
use r_ems_engine::redundancy::message::{Content, Heartbeat};
use r_ems_engine::redundancy::{Message, Promise, Reason, Role, Seat};
use r_ems_engine::units::Watts;

use super::Words;

impl Words<'_> {
    /// A member of this controller's council by name: a grid's controllers stand in a log in the order of their seats.
    ///
    /// A log of one controller does not know the others: then the seat's number must do.
    pub fn seat(self, seat: Seat) -> String {
        let is_member = |names: &&ControllerNames| names.grid == self.names.grid;
        let members = self.fleet.iter().filter(is_member);
        let found = (members.clone().count() > 1).then(|| members.clone().nth(seat.position())).flatten();
        found.map_or_else(|| format!("seat {}", seat.0), |names| names.id.clone())
    }

    /// What a message says.
    pub(super) fn message(self, message: &Message) -> String {
        match message.content {
            Content::Heartbeat(heartbeat) => self.heartbeat(&heartbeat),
            Content::Request { number, epoch } => format!("request {number} for epoch {epoch}"),
            Content::Grant { number, life: _, epoch } => {
                format!("request {number} is granted, epoch {epoch}")
            }
            Content::Refuse { number, life: _, refusal, floor, wait } => format!(
                "request {number} is refused: {}; nothing up to epoch {floor}, wait {wait}",
                refusal_words(refusal)
            ),
            Content::Outlived { life, heard } => {
                format!("what your life {life} says does not count, life {heard} was heard")
            }
            Content::MissesState => String::from("your whole state is missed"),
            Content::Release { epoch } => format!("epoch {epoch} is given up"),
            Content::HandOver { epoch, owned_from: _, reason } => {
                format!("take over from epoch {epoch}: {}", reason_words(reason))
            }
        }
    }

    fn heartbeat(self, heartbeat: &Heartbeat) -> String {
        let Heartbeat {
            role,
            epoch,
            renewal,
            renews,
            is_ready,
            reaches_devices,
            is_slow,
            owner: _,
            owned_from: _,
            active_for: _,
        } = heartbeat;
        let mut text = format!("heartbeat, {}, epoch {epoch}", role_words(*role));
        if *renewal > 0 {
            text += &format!(", renewal {renewal}");
            if renews != epoch {
                text += &format!(" for epoch {renews}");
            }
        }
        if *role != Role::Witness && !is_ready {
            text += ", not ready";
        }
        if *role != Role::Witness && !reaches_devices {
            text += ", without its devices";
        }
        if *is_slow {
            text += ", too slow to write";
        }
        text
    }

    /// What is to become durable.
    pub(super) fn promise(self, promise: &Promise) -> String {
        let Promise { ceiling, owner, owned_from, is_sole, in_maintenance, abstains } = promise;
        let sole = if *is_sole { ", sole" } else { "" };
        let maintenance = if *in_maintenance { ", in maintenance" } else { "" };
        let unsure = if *abstains { ", abstains" } else { "" };
        let owner = self.seat(*owner);
        format!(
            "promise epochs up to {ceiling}, owner {owner} from epoch {owned_from}{sole}{maintenance}{unsure}"
        )
    }

    /// How the first set-points under a new authority came about.
    fn taken_over(self, step: Watts, after: Span, state_age: Option<Span>) -> String {
        let old = |age| format!("state {} old", self.time(age));
        let state = state_age.map_or_else(|| String::from("no state"), old);
        let (step, after) = (self.power(step), self.time(after));
        format!("a step of {step}, {after} after the grant, from {state}")
    }

    /// Why one took over, and how long that took.
    fn took(self, reason: Reason, silent: Span, sought: Span) -> String {
        let (silent, sought) = (self.time(silent), self.time(sought));
        format!("{}; no active was heard for {silent}, asked for {sought}", reason_words(reason))
    }

    /// What the controller reported about its council.
    pub(super) fn council_event(self, event: &Event) -> String {
        let (kind, of) = (event.kind(), |seat: &Seat| self.seat(*seat));
        match event {
            Event::RoleChanged { role, reason, epoch } => {
                format!("{kind}: {}, epoch {epoch}: {}", role_words(*role), reason_words(*reason))
            }
            Event::TookOver { reason, epoch, silent, sought } => {
                format!("{kind}: epoch {epoch}: {}", self.took(*reason, *silent, *sought))
            }
            Event::SetPointsTakenOver { step, after, state_age } => {
                format!("{kind}: {}", self.taken_over(*step, *after, *state_age))
            }
            Event::StateTaken { seat } => format!("{kind}: of {}", of(seat)),
            Event::StateRefused { seat, refusal } => format!("{kind}: of {}: {}", of(seat), refusal.name()),
            Event::AuthoritiesOverlapped { seat, at_most } => {
                format!("{kind}: with {} for at most {}", of(seat), self.time(*at_most))
            }
            Event::SectionDiffers { seat } => {
                format!("{kind}: {} runs with another redundancy section", of(seat))
            }
            Event::PeerSilent { seat, silent } => format!("{kind}: {} for {}", of(seat), self.time(*silent)),
            Event::PeerHeard { seat } => format!("{kind}: {}", of(seat)),
            Event::Booted { .. }
            | Event::Started { .. }
            | Event::ScansMissed { .. }
            | Event::QualityChanged { .. }
            | Event::FunctionLost { .. }
            | Event::FunctionReturned { .. }
            | Event::ShortfallBegan { .. }
            | Event::ShortfallEnded { .. }
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
            | Event::DeviceFollows { .. }
            | Event::DeviceLocal { .. }
            | Event::DeviceRemote { .. }
            | Event::DeviceFault { .. }
            | Event::DeviceRecovered { .. }
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
            | Event::ManualBegan { .. }
            | Event::ManualEnded { .. }
            | Event::CommandRefused { .. }
            | Event::OperationChanged { .. }
            | Event::EmergencyStopBegan
            | Event::EmergencyStopEnded
            | Event::Islanded
            | Event::Rejoined
            | Event::BlackedOut
            | Event::Energized
            | Event::SignSuspect { .. } => unreachable!("this is no event of a council"),
        }
    }
}

/// A role as people say it.
pub const fn role_words(role: Role) -> &'static str {
    match role {
        Role::Witness => "witness",
        Role::Maintenance => "in maintenance",
        Role::Standby => "standby",
        Role::Candidate => "candidate",
        Role::Lapsed => "lapsed",
        Role::Active => "active",
        Role::HandingOver => "handing over",
    }
}

/// A reason as people say it.
pub const fn reason_words(reason: Reason) -> &'static str {
    match reason {
        Reason::Start => "there was no active at the start",
        Reason::HeartbeatLost => "the active fell silent",
        Reason::WatchdogExpired => "the active lost its authority",
        Reason::TooSlow => "the active was too slow",
        Reason::DevicesLost => "the active lost its devices",
        Reason::FailBack => "fail-back",
        Reason::Operator => "an operator's word",
        Reason::Superseded => "another holds a higher epoch",
        Reason::MajorityLost => "no majority renewed the lease",
        Reason::Renewed => "the same epoch was granted once more",
        Reason::Stopping => "the process was asked to end",
    }
}

const fn refusal_words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Outdated => "a higher epoch was granted",
        Refusal::Taken => "a grant to another may still run",
        Refusal::Restarted => "the voter has restarted",
        Refusal::Raising => "the voter's promise is not durable yet",
    }
}
