//! Classic mistakes, each at the place of the rule that it breaks: they show that what searches for mistakes finds them.
//!
//! **For tests only.** Without the feature `mistakes`, which is off unless a test asks for it, [`makes`] is a constant `false`
//! and the compiler leaves nothing of this. With it one mistake at a time can be switched on, for the whole process.
//!
//! A rule of which no mistake is listed here is one that nobody has shown to be watched.

/// A mistake that somebody might well make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A voter that restarts waits for nothing and knows no ceiling.
    ForgetsGrants,
    /// A holder counts its lease from the answer instead of from the request.
    LeaseFromAnswer,
    /// The ceiling is not durable: a restart finds none.
    EpochNotDurable,
    /// A grant counts for the newest request instead of for the one that it answers.
    GrantForNewerRequest,
    /// A write is performed after it has expired.
    ExpiredWritePerformed,
    /// A controller that restarts takes up the authority that it had.
    RestartsAsActive,
    /// A new holder does not wait for writes of the one before it.
    NoWaitForWrites,
    /// A grantor grants to another at once.
    GrantsToAnotherAtOnce,
    /// A refused request takes the place of the one that was granted.
    RefusalChangesState,
    /// A holder releases its voters while a write of it is on its way.
    ReleasesOutstanding,
    /// A segment gets its name before its state is synced.
    NamedBeforeSync,
    /// Older segments are removed before the head of the newest has been read back.
    RemovesOnlyGood,
    /// Bytes that a crash tore are taken for whole.
    TornTailAccepted,
    /// Without auto replay a restart knows no promise.
    PromiseNeedsReplay,
    /// A standby compares the scans of units of state across authorities.
    ComparesScansOnly,
    /// A simulated device's timer runs out, and its set-point stays.
    TimerWithoutEffect,
}

impl Mistake {
    /// All mistakes.
    pub const ALL: [Self; 16] = [
        Self::ForgetsGrants,
        Self::LeaseFromAnswer,
        Self::EpochNotDurable,
        Self::GrantForNewerRequest,
        Self::ExpiredWritePerformed,
        Self::RestartsAsActive,
        Self::NoWaitForWrites,
        Self::GrantsToAnotherAtOnce,
        Self::RefusalChangesState,
        Self::ReleasesOutstanding,
        Self::NamedBeforeSync,
        Self::RemovesOnlyGood,
        Self::TornTailAccepted,
        Self::PromiseNeedsReplay,
        Self::ComparesScansOnly,
        Self::TimerWithoutEffect,
    ];

    /// The mistake's name in arguments and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForgetsGrants => "forgets_grants",
            Self::LeaseFromAnswer => "lease_from_answer",
            Self::EpochNotDurable => "epoch_not_durable",
            Self::GrantForNewerRequest => "grant_for_newer_request",
            Self::ExpiredWritePerformed => "expired_write_performed",
            Self::RestartsAsActive => "restarts_as_active",
            Self::NoWaitForWrites => "no_wait_for_writes",
            Self::GrantsToAnotherAtOnce => "grants_to_another_at_once",
            Self::RefusalChangesState => "refusal_changes_state",
            Self::ReleasesOutstanding => "releases_outstanding",
            Self::NamedBeforeSync => "named_before_sync",
            Self::RemovesOnlyGood => "removes_only_good",
            Self::TornTailAccepted => "torn_tail_accepted",
            Self::PromiseNeedsReplay => "promise_needs_replay",
            Self::ComparesScansOnly => "compares_scans_only",
            Self::TimerWithoutEffect => "timer_without_effect",
        }
    }

    /// The mistake of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mistake| mistake.name() == name)
    }
}

/// Whether the mistake is made.
#[cfg(not(feature = "mistakes"))]
#[inline(always)]
pub const fn makes(_mistake: Mistake) -> bool {
    false
}

#[cfg(feature = "mistakes")]
pub use switch::{make, makes};

#[cfg(feature = "mistakes")]
mod switch {
    use core::sync::atomic::{AtomicU8, Ordering};

    use super::Mistake;

    const NONE: u8 = u8::MAX;

    /// The mistake that is made.
    static MADE: AtomicU8 = AtomicU8::new(NONE);

    /// Whether the mistake is made.
    #[inline]
    pub fn makes(mistake: Mistake) -> bool {
        MADE.load(Ordering::Relaxed) == mistake as u8
    }

    /// Makes this mistake from now on, and no other; `None`: none.
    pub fn make(mistake: Option<Mistake>) {
        MADE.store(mistake.map_or(NONE, |mistake| mistake as u8), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_has_a_name_of_its_own() {
        for mistake in Mistake::ALL {
            assert_eq!(Mistake::named(mistake.name()), Some(mistake));
            assert!(!makes(mistake), "nobody asked for it");
        }
    }
}
