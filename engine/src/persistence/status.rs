//! What a controller is told about its persistence: that its journal is in trouble or kept again, and where its state comes from.

use serde::{Deserialize, Serialize};

/// What is the matter with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// It has no room.
    Full,
    /// It does not answer in time.
    Slow,
    /// It answers with errors, or gives back other bytes than were written.
    Failing,
    /// It takes no writes.
    ReadOnly,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Full, Self::Slow, Self::Failing, Self::ReadOnly];

    /// The number of it in logs.
    pub const fn code(self) -> u8 {
        match self {
            Self::Full => 0,
            Self::Slow => 1,
            Self::Failing => 2,
            Self::ReadOnly => 3,
        }
    }

    /// The trouble of a number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Slow => "slow",
            Self::Failing => "failing",
            Self::ReadOnly => "read-only",
        }
    }
}

/// How a controller's journal fares; told when it changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalStatus {
    /// It is kept again.
    Restored,
    /// It is not kept; the controller goes on, and a crash loses what happens from here on.
    Degraded(Trouble),
}

/// Where the state comes from with which a life begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// From nowhere: it begins as it was made.
    #[default]
    Fresh,
    /// From the life before, as far as it had become durable.
    Replayed,
    /// From the newest state that could be believed: what was durable after it is damaged.
    Damaged,
    /// From the newest state: what followed it failed an assertion twice, and is left out.
    Poisoned,
    /// From nowhere: the state that is there was made by another version of the engine, or for another site.
    Foreign,
    /// From nowhere: of the states that are there none can be believed.
    Lost,
}

impl Origin {
    const ALL: [Self; 6] =
        [Self::Fresh, Self::Replayed, Self::Damaged, Self::Poisoned, Self::Foreign, Self::Lost];

    /// The number of it in logs.
    pub const fn code(self) -> u8 {
        match self {
            Self::Fresh => 0,
            Self::Replayed => 1,
            Self::Damaged => 2,
            Self::Poisoned => 3,
            Self::Foreign => 4,
            Self::Lost => 5,
        }
    }

    /// The origin of a number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_logs_mean_one_thing_both_ways() {
        assert!(Trouble::ALL.into_iter().all(|trouble| Trouble::of_code(trouble.code()) == Some(trouble)));
        assert!(Origin::ALL.into_iter().all(|origin| Origin::of_code(origin.code()) == Some(origin)));
        assert_eq!((Trouble::of_code(4), Origin::of_code(6)), (None, None));
    }
}
