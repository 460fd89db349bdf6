//! The words for what a host tells of itself: how a life begins, how its journal fares, what its wall clock shows.

use r_ems_engine::Span;
use r_ems_engine::carried::{Carried, NotCarried, TIMERS_LAST};
use r_ems_engine::event::Event;
use r_ems_engine::machine::Boot;
use r_ems_engine::persistence::{JournalStatus, Origin};
use r_ems_engine::wall::WallTime;

use super::Words;

/// How a life begins.
pub(super) fn boot(boot: &Boot) -> String {
    let state = match boot.origin {
        Origin::Fresh => String::new(),
        Origin::Replayed | Origin::Damaged | Origin::Poisoned | Origin::Foreign | Origin::Lost => {
            format!(", with {}", origin_words(boot.origin))
        }
    };
    let abstains = if boot.abstains { ", abstains from voting" } else { "" };
    format!("boot, incarnation {}{state}{abstains}", boot.incarnation)
}

/// How a journal fares.
pub(super) fn status(status: JournalStatus) -> String {
    match status {
        JournalStatus::Restored => String::from("the journal is kept again"),
        JournalStatus::Degraded(trouble) => {
            format!("the journal cannot be kept: the disk is {}", trouble.name())
        }
    }
}

/// What a wall clock shows.
pub(super) fn wall_clock(wall: Option<WallTime>) -> String {
    wall.map_or_else(
        || String::from("nobody vouches for the wall clock"),
        |wall| format!("the wall clock shows {wall}"),
    )
}

impl Words<'_> {
    /// What a controller reports of it.
    pub(super) fn persistence_event(self, event: &Event) -> String {
        let kind = event.kind();
        match event {
            Event::StateRecovered { origin } => format!("{kind}: {}", origin_words(*origin)),
            Event::MemoryCarried { age } => {
                format!("{kind}: the memory of the version before, {}", age_words(*age))
            }
            Event::MemoryNotCarried { why } => {
                format!("{kind}: nothing of the memory of the version before, since {}", why.name())
            }
            Event::SnapshotTaken { after } => format!("{kind}: durable after {}", self.time(*after)),
            Event::JournalDegraded { trouble } => format!("{kind}: the disk is {}", trouble.name()),
            Event::JournalRestored { after } | Event::Stopped { after } => {
                format!("{kind} after {}", self.time(*after))
            }
            Event::WallClockSet { before, after } => {
                let words = |wall: &Option<WallTime>| {
                    wall.map_or_else(|| String::from("unknown"), |wall| wall.to_string())
                };
                format!("{kind}: from {} to {}", words(before), words(after))
            }
            Event::SnapshotFailed
            | Event::StopBegan
            | Event::Booted { .. }
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
            | Event::ManualBegan { .. }
            | Event::ManualEnded { .. }
            | Event::EmergencyStopBegan
            | Event::EmergencyStopEnded
            | Event::OperationChanged { .. }
            | Event::Islanded
            | Event::Rejoined
            | Event::BlackedOut
            | Event::Energized
            | Event::SignSuspect { .. } => String::from(kind),
        }
    }
}

/// What a log keeps beside a state.
pub(crate) fn carried_words(version: u16, bytes: &[u8]) -> String {
    let size = bytes.len();
    match Carried::decode(version, bytes) {
        Ok(Carried { at, memory, .. }) => {
            let size = memory.len();
            format!(
                "memory for other versions, form {version}, of the decision at its clock {at}, {size} bytes"
            )
        }
        Err(NotCarried::Version) => {
            format!(
                "memory for other versions in form {version}, which this version does not know, {size} bytes"
            )
        }
        Err(NotCarried::Missing | NotCarried::Layout | NotCarried::Malformed) => {
            format!("memory for other versions, form {version}, that cannot be read, {size} bytes")
        }
    }
}

fn age_words(age: Option<Span>) -> String {
    match age {
        Some(age) if age <= TIMERS_LAST => format!("{age} old"),
        Some(age) => format!("{age} old: without hysteresis and timers"),
        None => String::from("nobody knows how old: without hysteresis and timers"),
    }
}

const fn origin_words(origin: Origin) -> &'static str {
    match origin {
        Origin::Fresh => "a fresh state",
        Origin::Replayed => "the state of the life before",
        Origin::Damaged => "the newest state that is not damaged",
        Origin::Poisoned => "the newest state, without what failed an assertion after it",
        Origin::Foreign => "no state, since another version or another site file made the one that is there",
        Origin::Lost => "no state, since none of those that are there can be believed",
    }
}
