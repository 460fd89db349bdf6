//! Events of what devices say of themselves, and how heartbeats to them fare.

use super::Event;
use crate::fieldbus::map::Differs;
use crate::fieldbus::sunspec::{Chain, Missing};
use crate::ids::DeviceIndex;
use crate::machine::WriteOutcome;

impl Event {
    /// What a device says of itself.
    pub const fn of_models(device: DeviceIndex, found: Result<Chain, Missing>) -> Self {
        match found {
            Ok(chain) => Self::ModelsFound { device, chain },
            Err(missing) => Self::ModelsMissing { device, missing },
        }
    }

    /// Who a device is.
    pub const fn of_identity(device: DeviceIndex, found: Result<(), Differs>) -> Self {
        match found {
            Ok(()) => Self::IdentityFound { device },
            Err(differs) => Self::IdentityDiffers { device, differs },
        }
    }

    /// How heartbeats fare from now on.
    pub const fn of_heartbeats(device: DeviceIndex, outcome: WriteOutcome) -> Self {
        match outcome {
            WriteOutcome::Acknowledged => Self::HeartbeatsSucceed { device },
            WriteOutcome::Refused
            | WriteOutcome::Outdated { .. }
            | WriteOutcome::NotHeld
            | WriteOutcome::TimedOut
            | WriteOutcome::Expired
            | WriteOutcome::Incomplete => Self::HeartbeatFailed { device, outcome },
        }
    }
}
