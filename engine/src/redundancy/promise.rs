//! What a member of a council must remember over every restart, whatever else is lost.

use serde::{Deserialize, Serialize};

use super::epoch::{Epoch, Seat};

/// What is durable of one member; small, so that it is kept in two copies and found again across versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// It may have granted any epoch up to this one.
    pub ceiling: Epoch,
    /// The owner of a pair that waits for its owner, as far as this member knows.
    pub owner: Seat,
    /// The epoch under which it was given away, so that of two beliefs the later one wins.
    pub owned_from: Epoch,
    /// Whether an operator declared this member to be the majority on its own.
    pub is_sole: bool,
    /// Whether an operator keeps this member in maintenance.
    pub in_maintenance: bool,
    /// Whether newer promises may have been lost: until it knows what the others promised, in this life or a later one, it must
    /// not vote. It is kept because the next life finds two good copies again.
    pub abstains: bool,
}

impl Promise {
    /// What a member promises in its first life: nothing, and the first seat owns a pair.
    pub const FIRST: Self = Self {
        ceiling: Epoch::NONE,
        owner: Seat(0),
        owned_from: Epoch::NONE,
        is_sole: false,
        in_maintenance: false,
        abstains: false,
    };
}
