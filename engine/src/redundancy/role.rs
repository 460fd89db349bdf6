//! What a member of a council is, and why that changes.

use serde::{Deserialize, Serialize};

/// What a member of a council is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// It only votes.
    Witness,
    /// It votes and is no candidate.
    Maintenance,
    /// It computes, and follows the active.
    Standby,
    /// It asks for authority.
    Candidate,
    /// Its lease is over; it computes, writes nothing, and may be granted its epoch once more.
    Lapsed,
    /// It has authority to write.
    Active,
    /// It has authority, writes no more, and waits for its last writes to hand over.
    HandingOver,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 7] = [
        Self::Witness,
        Self::Maintenance,
        Self::Standby,
        Self::Candidate,
        Self::Lapsed,
        Self::Active,
        Self::HandingOver,
    ];

    /// The role's name in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Witness => "witness",
            Self::Maintenance => "maintenance",
            Self::Standby => "standby",
            Self::Candidate => "candidate",
            Self::Lapsed => "lapsed",
            Self::Active => "active",
            Self::HandingOver => "handing_over",
        }
    }

    /// Whether a member of this role holds a lease, as far as it knows.
    pub const fn holds(self) -> bool {
        match self {
            Self::Active | Self::HandingOver => true,
            Self::Witness | Self::Maintenance | Self::Standby | Self::Candidate | Self::Lapsed => false,
        }
    }
}

/// Why authority moved.
///
/// There is none for a result that is no number: a law that gives one has failed an assertion, its controller's life ends there
/// and then, and the others miss its heartbeats. Handing over first would mean to trust a controller whose state is poisoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// There was no active since this member booted.
    Start,
    /// The active fell silent.
    HeartbeatLost,
    /// The active's heartbeats came, but without authority, for longer than the watchdog allows.
    WatchdogExpired,
    /// The active handed over because it missed scans, or because all that it wrote was too late.
    TooSlow,
    /// The active handed over because it lost its devices and another reaches them.
    DevicesLost,
    /// The active handed over to a controller of lower order that was ready again.
    FailBack,
    /// An operator moved it.
    Operator,
    /// Another holds a higher epoch.
    Superseded,
    /// No majority renewed the lease in time.
    MajorityLost,
    /// The same epoch was granted once more.
    Renewed,
    /// The process of the one that held it is asked to end.
    Stopping,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Start,
        Self::HeartbeatLost,
        Self::WatchdogExpired,
        Self::TooSlow,
        Self::DevicesLost,
        Self::FailBack,
        Self::Operator,
        Self::Superseded,
        Self::MajorityLost,
        Self::Renewed,
        Self::Stopping,
    ];

    /// Whether somebody had to notice that an active was missing, which takes time.
    pub const fn is_noticed(self) -> bool {
        match self {
            Self::HeartbeatLost | Self::WatchdogExpired => true,
            Self::Start
            | Self::TooSlow
            | Self::DevicesLost
            | Self::FailBack
            | Self::Operator
            | Self::Superseded
            | Self::MajorityLost
            | Self::Renewed
            | Self::Stopping => false,
        }
    }

    /// The reason's name in messages and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::HeartbeatLost => "heartbeat_lost",
            Self::WatchdogExpired => "watchdog_expired",
            Self::TooSlow => "too_slow",
            Self::DevicesLost => "devices_lost",
            Self::FailBack => "fail_back",
            Self::Operator => "operator",
            Self::Superseded => "superseded",
            Self::MajorityLost => "majority_lost",
            Self::Renewed => "renewed",
            Self::Stopping => "stopping",
        }
    }
}
