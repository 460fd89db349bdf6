//! What the members of a grid's council tell each other. A message carries ages and waits, never an instant of a host's clock.

use serde::{Deserialize, Serialize};

use super::epoch::{Epoch, Seat};
use super::grantor::Refusal;
use super::role::{Reason, Role};
use crate::time::Span;

/// A message of one member of a council to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Identifies the redundancy section of the sender's site file: who has another one is not understood.
    pub section: u64,
    /// The sender's life.
    pub incarnation: u32,
    /// What it says.
    pub content: Content,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// I am alive.
    Heartbeat(Heartbeat),
    /// Grant me `epoch`.
    Request {
        /// Numbers the requests of one life.
        number: u32,
        /// What is asked for.
        epoch: Epoch,
    },
    /// Request `number` is granted.
    Grant {
        /// Which request.
        number: u32,
        /// Of which life of the one who asked: numbers begin anew with each.
        life: u32,
        /// What is granted.
        epoch: Epoch,
    },
    /// Request `number` is refused.
    Refuse {
        /// Which request.
        number: u32,
        /// Of which life of the one who asked.
        life: u32,
        /// Why.
        refusal: Refusal,
        /// Nothing at or below is granted.
        floor: Epoch,
        /// The voter will refuse for that long at least.
        wait: Span,
    },
    /// This life of mine writes no more under `epoch`.
    Release {
        /// Which.
        epoch: Epoch,
    },
    /// I miss your whole state: send it.
    MissesState,
    /// Take over from me: I write no more under `epoch`.
    HandOver {
        /// Which.
        epoch: Epoch,
        /// Since which epoch a pair that waits for its owner belongs to the one that is called.
        owned_from: Epoch,
        /// Why.
        reason: Reason,
    },
    /// What your life `life` says does not count: I have heard a later one.
    Outlived {
        /// The life that spoke.
        life: u32,
        /// The last one that was heard.
        heard: u32,
    },
}

/// What a member tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// What it is.
    pub role: Role,
    /// The epoch that it holds; otherwise the highest that it knows.
    pub epoch: Epoch,
    /// The request for its renewal that travels with the heartbeat; 0: none.
    pub renewal: u32,
    /// What that request asks for: a higher epoch than it holds where a voter grants the held one no more.
    pub renews: Epoch,
    /// Whether it could take over at once.
    pub is_ready: bool,
    /// Whether it reaches the devices that its functions need.
    pub reaches_devices: bool,
    /// Whether all that it wrote came too late, not long ago: no authority should go to it on purpose.
    pub is_slow: bool,
    /// The owner of a pair that waits for its owner, as this member has it on its disk.
    pub owner: Seat,
    /// The epoch with which that began; none as long as it must not be believed.
    pub owned_from: Epoch,
    /// How long it has been active without a break.
    pub active_for: Span,
}
