//! How much an event matters.

use core::fmt;

use super::Event;
use crate::controller::operation::Operation;
use crate::persistence::Origin;

/// How much an event matters to the people on call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Part of normal life.
    Info,
    /// Worth a look.
    Warning,
    /// Somebody must act.
    Alarm,
}

impl Event {
    /// How much the event matters.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Booted { .. }
            | Self::Started { .. }
            | Self::FunctionReturned { .. }
            | Self::ShortfallEnded { .. }
            | Self::WritesSucceed { .. }
            | Self::HeartbeatsSucceed { .. }
            | Self::ModelsFound { .. }
            | Self::IdentityFound { .. }
            | Self::WriteBudgetRenewed { .. }
            | Self::RoleChanged { .. }
            | Self::SetPointsTakenOver { .. }
            | Self::StateRecovered { origin: Origin::Fresh | Origin::Replayed }
            | Self::MemoryCarried { .. }
            | Self::SnapshotTaken { .. }
            | Self::JournalRestored { .. }
            | Self::StopBegan
            | Self::Stopped { .. }
            | Self::ManualBegan { .. }
            | Self::ManualEnded { .. }
            | Self::EmergencyStopEnded
            | Self::OperationChanged { operation: Operation::Auto }
            | Self::Rejoined
            | Self::Energized
            | Self::StateTaken { .. }
            | Self::PeerHeard { .. }
            | Self::DeviceRemote { .. }
            | Self::DeviceRecovered { .. }
            | Self::DeviceFollows { .. } => Severity::Info,
            Self::ScansMissed { .. }
            | Self::QualityChanged { .. }
            | Self::Islanded
            | Self::OperationChanged { operation: Operation::Hold | Operation::Stop }
            | Self::WriteFailed { .. }
            | Self::HeartbeatFailed { .. }
            | Self::WriteBudgetUsedUp { .. }
            | Self::TookOver { .. }
            | Self::CommandRefused { .. }
            | Self::SnapshotFailed
            | Self::WallClockSet { .. }
            | Self::StateRecovered { origin: Origin::Foreign }
            | Self::MemoryNotCarried { .. }
            | Self::DeviceLocal { .. }
            | Self::DeviceLimited { .. } => Severity::Warning,
            Self::FunctionLost { .. }
            | Self::ModelsMissing { .. }
            | Self::IdentityDiffers { .. }
            | Self::ShortfallBegan { .. }
            | Self::AuthoritiesOverlapped { .. }
            | Self::SectionDiffers { .. }
            | Self::PeerSilent { .. }
            | Self::StateRecovered { origin: Origin::Damaged | Origin::Poisoned | Origin::Lost }
            | Self::JournalDegraded { .. }
            | Self::StateRefused { .. }
            | Self::EmergencyStopBegan
            | Self::BlackedOut
            | Self::DeviceFault { .. }
            | Self::SignSuspect { .. } => Severity::Alarm,
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Alarm => "alarm",
        })
    }
}
