//! What a controller is told by its bus.

use crate::fieldbus::map::Differs;
use crate::fieldbus::sunspec::{Chain, Missing};
use crate::ids::DeviceIndex;
use crate::machine::WriteOutcome;
use crate::time::LocalTime;

/// What became of something that a controller asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Told {
    /// A device answered.
    Points {
        /// Which.
        device: DeviceIndex,
        /// Where its values begin in [`Bus::samples`](super::Bus::samples), and where they end.
        samples: (usize, usize),
    },
    /// A device did not answer a poll.
    TimedOut {
        /// Which.
        device: DeviceIndex,
    },
    /// A write leaves, once more perhaps, or waits in its connection for longer: until this instant it may do so, and D counts
    /// from there.
    Left {
        /// To which device.
        device: DeviceIndex,
        /// Until when.
        valid_until: LocalTime,
        /// Which of these.
        how: Leaving,
    },
    /// Of a write that leaves, what was told last has not left: its driver did not send it.
    NotSent {
        /// To which device.
        device: DeviceIndex,
        /// How it was to leave.
        how: Leaving,
    },
    /// The connection to a device is another than before: it may have lost what was written to it, and does not say what is in
    /// force.
    Reconnected {
        /// Which.
        device: DeviceIndex,
    },
    /// A write ended.
    Written {
        /// To which device.
        device: DeviceIndex,
        /// How.
        outcome: WriteOutcome,
    },
    /// A device was searched that says itself where its numbers lie, with another result than before.
    Models {
        /// Which device.
        device: DeviceIndex,
        /// What was found.
        found: Result<Chain, Missing>,
    },
    /// A device was asked who it is, with another result than before.
    Identity {
        /// Which device.
        device: DeviceIndex,
        /// Whether it is the one that its map names, or how it differs.
        found: Result<(), Differs>,
    },
    /// A device was found that says itself in what steps it takes set-points.
    Steps {
        /// Which device.
        device: DeviceIndex,
        /// The steps, W, and those of reactive set-points, var; 0 where it takes none.
        steps: (f64, f64),
    },
    /// Heartbeats to a device begin to fail, or succeed again.
    Beats {
        /// To which device.
        device: DeviceIndex,
        /// How the last one ended that says so.
        outcome: WriteOutcome,
    },
}

/// How a set-point leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its first request is sent.
    Begins,
    /// Another of its requests is sent.
    GoesOn,
    /// The same request is sent once more.
    Repeats,
    /// Nothing is sent: what was sent may wait in its connection for longer.
    Waits,
}

impl Leaving {
    /// Whether registers are written once more by it: the requests of one set-point write different ones.
    pub const fn wears(self) -> bool {
        match self {
            Self::Begins | Self::Repeats => true,
            Self::GoesOn | Self::Waits => false,
        }
    }
}
