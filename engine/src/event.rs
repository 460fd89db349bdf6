//! Typed events: the observability contract. Tracing lines, metrics, notifications and reports are all made from them.
//!
//! An event says what happened at its instant and is reported once, at the edge: a shortfall that lasts an hour is two
//! events, not 36,000. Events are stored whole in every log.

mod devices;
mod severity;

use crate::carried::NotCarried;
use crate::controller::operation::Operation;
use crate::controller::orders::ManualEnd;
use crate::fieldbus::map::Differs;
use crate::fieldbus::sunspec::{Chain, Missing};
use crate::ids::{DeviceIndex, GroupIndex, PointIndex, SlotIndex};
use crate::machine::WriteOutcome;
use crate::persistence::{Origin, Trouble};
use crate::points::Quality;
use crate::redundancy::supervisor::CommandRefusal;
use crate::redundancy::transfer::Refusal;
use crate::redundancy::{Command, Epoch, Reason, Role, Seat};
use crate::time::Span;
use crate::units::Watts;
use crate::wall::WallTime;

pub use self::severity::Severity;

/// Something that a controller reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// The controller began to live.
    Booted {
        /// Counts its lives.
        incarnation: u32,
    },
    /// Every required point is good and the first set-points are out.
    Started {
        /// How long that took since boot.
        after: Span,
    },
    /// Scans were missed because a wake came too late.
    ScansMissed {
        /// How many.
        count: u32,
        /// How late the wake was.
        lateness: Span,
    },
    /// A point's quality changed.
    QualityChanged {
        /// Which point.
        point: PointIndex,
        /// What it is now.
        quality: Quality,
    },
    /// A function lost a measurement that it needs and its groups fall back.
    FunctionLost {
        /// Which function.
        slot: SlotIndex,
    },
    /// A function has its measurements again and takes over from the measured power.
    FunctionReturned {
        /// Which function.
        slot: SlotIndex,
    },
    /// The breaker to the grid is open: the bus is an island, or dead.
    Islanded,
    /// The breaker to the grid is closed again.
    Rejoined,
    /// Nothing holds the bus any more: it is dead.
    BlackedOut,
    /// There is voltage again.
    Energized,
    /// A function's wish cannot be met.
    ShortfallBegan {
        /// Which function.
        slot: SlotIndex,
        /// On which group.
        group: GroupIndex,
        /// By how much.
        shortfall: Watts,
    },
    /// A function's wish can be met again.
    ShortfallEnded {
        /// Which function.
        slot: SlotIndex,
        /// On which group.
        group: GroupIndex,
        /// The largest shortfall in between.
        worst: Watts,
    },
    /// Writes to a device begin to fail.
    WriteFailed {
        /// To whom.
        device: DeviceIndex,
        /// How it ended.
        outcome: WriteOutcome,
    },
    /// Writes to a device succeed again.
    WritesSucceed {
        /// To whom.
        device: DeviceIndex,
    },
    /// A device has acknowledged no heartbeat for two thirds of its time-out: after all of that it falls back.
    HeartbeatFailed {
        /// To whom.
        device: DeviceIndex,
        /// How the last one ended.
        outcome: WriteOutcome,
    },
    /// Heartbeats to a device succeed again.
    HeartbeatsSucceed {
        /// To whom.
        device: DeviceIndex,
    },
    /// A device has said itself where its numbers lie.
    ModelsFound {
        /// Which.
        device: DeviceIndex,
        /// Where its chain of models begins, and how long it is.
        chain: Chain,
    },
    /// A device that says itself where its numbers lie has not what it must have: it is not known nor controlled.
    ModelsMissing {
        /// Which.
        device: DeviceIndex,
        /// What it has not.
        missing: Missing,
    },
    /// A device has said that it is the one that its map names.
    IdentityFound {
        /// Which.
        device: DeviceIndex,
    },
    /// Where a device is looked for, another one answers, or one that does not say who it is: it is not known nor controlled.
    IdentityDiffers {
        /// Which.
        device: DeviceIndex,
        /// What was expected, and what was found.
        differs: Differs,
    },
    /// What a device may be written in a day is used up: from now on only what keeps its set-point in force is written, and rest.
    WriteBudgetUsedUp {
        /// To whom.
        device: DeviceIndex,
        /// So many writes a day it takes.
        per_day: u32,
        /// How long this day still lasts.
        renewed_in: Span,
    },
    /// A day has begun, and a device may be written as before.
    WriteBudgetRenewed {
        /// To whom.
        device: DeviceIndex,
    },
    /// A device's measured power has not followed its set-point for a while.
    DeviceLimited {
        /// Which device.
        device: DeviceIndex,
        /// Set-point less measured power.
        difference: Watts,
    },
    /// A limited device follows its set-point again.
    DeviceFollows {
        /// Which device.
        device: DeviceIndex,
    },
    /// A device is controlled at its panel from now on: nothing is told to it.
    DeviceLocal {
        /// Which device.
        device: DeviceIndex,
    },
    /// It is controlled from afar again.
    DeviceRemote {
        /// Which device.
        device: DeviceIndex,
    },
    /// A device says that it has tripped, or that its engine has failed.
    DeviceFault {
        /// Which device.
        device: DeviceIndex,
    },
    /// It says so no more.
    DeviceRecovered {
        /// Which device.
        device: DeviceIndex,
    },
    /// The controller's role changed.
    RoleChanged {
        /// What it is now.
        role: Role,
        /// Why.
        reason: Reason,
        /// The epoch that it holds, or the highest that it knows.
        epoch: Epoch,
    },
    /// The controller has taken over: it writes from now on.
    TookOver {
        /// Why.
        reason: Reason,
        /// Its epoch.
        epoch: Epoch,
        /// How long no active had been heard when it was granted.
        silent: Span,
        /// How long it asked for.
        sought: Span,
    },
    /// The first set-points under a new authority are out.
    SetPointsTakenOver {
        /// By how much they differ from what the devices hold, all devices added.
        step: Watts,
        /// How long after the grant.
        after: Span,
        /// How old the state was that it had from the active before it, at the grant; `None`: it had none.
        state_age: Option<Span>,
    },
    /// A standby has the state of an active from now on.
    StateTaken {
        /// Whose.
        seat: Seat,
    },
    /// A standby cannot take the state of the active: it is not ready to take over while that lasts.
    StateRefused {
        /// Whose.
        seat: Seat,
        /// Why not.
        refusal: Refusal,
    },
    /// Two held authority at once, which only a pair without a witness that takes over on silence permits.
    AuthoritiesOverlapped {
        /// With whom.
        seat: Seat,
        /// For so long at the most.
        at_most: Span,
    },
    /// Another member runs with another redundancy section in its site file, and is not understood.
    SectionDiffers {
        /// Who.
        seat: Seat,
    },
    /// Another member of the council has not been heard for a while, or not since boot: redundancy is less than it should be.
    PeerSilent {
        /// Which.
        seat: Seat,
        /// For how long.
        silent: Span,
    },
    /// A member that was reported silent is heard again, or for the first time.
    PeerHeard {
        /// Which.
        seat: Seat,
    },
    /// An operator's command was refused.
    CommandRefused {
        /// What was asked for.
        command: Command,
        /// Why not.
        refusal: CommandRefusal,
    },
    /// The controller goes on with a state of a life before.
    StateRecovered {
        /// How much of it could be recovered.
        origin: Origin,
    },
    /// The controller goes on with the memory of a life before, whose state was made by another version.
    MemoryCarried {
        /// How old it was at boot; `None`: unknown. Hysteresis and timers of memory that is older than a minute are left out.
        age: Option<Span>,
    },
    /// The controller begins without the memory of a life before, whose state was made by another version.
    MemoryNotCarried {
        /// Why.
        why: NotCarried,
    },
    /// The state is durable.
    SnapshotTaken {
        /// How long after it was taken.
        after: Span,
    },
    /// The state could not be made durable; it is tried again when the next one is due.
    SnapshotFailed,
    /// The journal cannot be kept: a crash from here on loses what happens.
    JournalDegraded {
        /// Why.
        trouble: Trouble,
    },
    /// The journal is kept again.
    JournalRestored {
        /// How long it was not.
        after: Span,
    },
    /// The wall clock of its host was set, or is vouched for no more, or again.
    WallClockSet {
        /// What it would have shown now; `None`: nobody vouched for it.
        before: Option<WallTime>,
        /// What it shows; `None`: nobody vouches for it.
        after: Option<WallTime>,
    },
    /// The controller was asked to end its life in order, and begins to.
    StopBegan,
    /// It is done: its state is as it will be kept.
    Stopped {
        /// How long that took.
        after: Span,
    },
    /// A set-point by hand counts from now on, or another one than before.
    ManualBegan {
        /// Of which group.
        group: GroupIndex,
        /// The set-point.
        power: Watts,
        /// For how long.
        lasts: Span,
    },
    /// It counts no more: the functions below decide again.
    ManualEnded {
        /// Of which group.
        group: GroupIndex,
        /// Why.
        why: ManualEnd,
    },
    /// An operator's emergency stop is latched: every set-point is 0 until it is reset.
    EmergencyStopBegan,
    /// It was reset: the functions decide again.
    EmergencyStopEnded,
    /// An operator has the grid run otherwise, or what was said of it is over.
    OperationChanged {
        /// How it runs from now on.
        operation: Operation,
    },
    /// A step of a device moved a measurement the wrong way: a sign in the site file is likely wrong.
    SignSuspect {
        /// The device that was stepped.
        device: DeviceIndex,
        /// The device whose power moved the wrong way: itself or the meter.
        measured_by: DeviceIndex,
        /// The step of the set-point.
        step: Watts,
        /// How that measurement moved.
        moved: Watts,
    },
}

impl Event {
    /// The event's name, as filters and reports spell it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Booted { .. } => "booted",
            Self::Started { .. } => "started",
            Self::ScansMissed { .. } => "scans_missed",
            Self::QualityChanged { .. } => "quality_changed",
            Self::FunctionLost { .. } => "function_lost",
            Self::FunctionReturned { .. } => "function_returned",
            Self::Islanded => "islanded",
            Self::Rejoined => "rejoined",
            Self::BlackedOut => "blacked_out",
            Self::Energized => "energized",
            Self::ShortfallBegan { .. } => "shortfall_began",
            Self::ShortfallEnded { .. } => "shortfall_ended",
            Self::WriteFailed { .. } => "write_failed",
            Self::WritesSucceed { .. } => "writes_succeed",
            Self::ModelsFound { .. } => "models_found",
            Self::ModelsMissing { .. } => "models_missing",
            Self::IdentityFound { .. } => "identity_found",
            Self::IdentityDiffers { .. } => "identity_differs",
            Self::HeartbeatFailed { .. } => "heartbeat_failed",
            Self::HeartbeatsSucceed { .. } => "heartbeats_succeed",
            Self::WriteBudgetUsedUp { .. } => "write_budget_used_up",
            Self::WriteBudgetRenewed { .. } => "write_budget_renewed",
            Self::DeviceLimited { .. } => "device_limited",
            Self::DeviceFollows { .. } => "device_follows",
            Self::DeviceLocal { .. } => "device_local",
            Self::DeviceRemote { .. } => "device_remote",
            Self::DeviceFault { .. } => "device_fault",
            Self::DeviceRecovered { .. } => "device_recovered",
            Self::RoleChanged { .. } => "role_changed",
            Self::TookOver { .. } => "took_over",
            Self::SetPointsTakenOver { .. } => "set_points_taken_over",
            Self::StateTaken { .. } => "state_taken",
            Self::StateRefused { .. } => "state_refused",
            Self::AuthoritiesOverlapped { .. } => "authorities_overlapped",
            Self::SectionDiffers { .. } => "section_differs",
            Self::PeerSilent { .. } => "peer_silent",
            Self::PeerHeard { .. } => "peer_heard",
            Self::CommandRefused { .. } => "command_refused",
            Self::StateRecovered { .. } => "state_recovered",
            Self::MemoryCarried { .. } => "memory_carried",
            Self::MemoryNotCarried { .. } => "memory_not_carried",
            Self::SnapshotTaken { .. } => "snapshot_taken",
            Self::SnapshotFailed => "snapshot_failed",
            Self::JournalDegraded { .. } => "journal_degraded",
            Self::JournalRestored { .. } => "journal_restored",
            Self::WallClockSet { .. } => "wall_clock_set",
            Self::StopBegan => "stop_began",
            Self::Stopped { .. } => "stopped",
            Self::ManualBegan { .. } => "manual_began",
            Self::ManualEnded { .. } => "manual_ended",
            Self::EmergencyStopBegan => "emergency_stop_began",
            Self::EmergencyStopEnded => "emergency_stop_ended",
            Self::OperationChanged { .. } => "operation_changed",
            Self::SignSuspect { .. } => "sign_suspect",
        }
    }

    /// All kinds, for checking what a user names.
    pub const KINDS: [&'static str; 54] = [
        "booted",
        "started",
        "scans_missed",
        "quality_changed",
        "function_lost",
        "function_returned",
        "shortfall_began",
        "shortfall_ended",
        "write_failed",
        "writes_succeed",
        "models_found",
        "models_missing",
        "identity_found",
        "identity_differs",
        "heartbeat_failed",
        "heartbeats_succeed",
        "write_budget_used_up",
        "write_budget_renewed",
        "device_limited",
        "device_follows",
        "device_local",
        "device_remote",
        "device_fault",
        "device_recovered",
        "role_changed",
        "took_over",
        "set_points_taken_over",
        "state_taken",
        "state_refused",
        "authorities_overlapped",
        "section_differs",
        "peer_silent",
        "peer_heard",
        "command_refused",
        "state_recovered",
        "memory_carried",
        "memory_not_carried",
        "snapshot_taken",
        "snapshot_failed",
        "journal_degraded",
        "journal_restored",
        "wall_clock_set",
        "stop_began",
        "stopped",
        "manual_began",
        "manual_ended",
        "emergency_stop_began",
        "emergency_stop_ended",
        "operation_changed",
        "islanded",
        "rejoined",
        "blacked_out",
        "energized",
        "sign_suspect",
    ];
}
