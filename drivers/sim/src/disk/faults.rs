//! What can be wrong with a disk, and the ledger of what it did behind everybody's back.

use alloc::collections::BTreeMap;

use r_ems_engine::Span;

/// What is changed about a host's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskChange {
    /// It has no room for another block, or has again.
    Full(bool),
    /// A sync takes so long, or as long as usual.
    Slow(Option<Span>),
    /// It answers with errors, or no longer.
    Failing(bool),
    /// It takes no writes, or does again.
    ReadOnly(bool),
    /// It says of a sync that it is done and does not do it, or does it again.
    Lying(bool),
    /// A power failure may leave a block written in part.
    Tearing(bool),
    /// A power failure may leave a block in another one's place.
    Misdirecting(bool),
    /// One bit of what is durable changes.
    Rot,
}

impl DiskChange {
    /// Whether what is on the disk may be worse afterwards than what was synced. A power failure in the middle of a write is what
    /// every disk has to be taken for: what it tears was not durable.
    pub(super) const fn does_damage(self) -> bool {
        match self {
            Self::Lying(begins) | Self::Misdirecting(begins) => begins,
            Self::Rot => true,
            Self::Full(_) | Self::Slow(_) | Self::Failing(_) | Self::ReadOnly(_) | Self::Tearing(_) => false,
        }
    }
}

/// The faults that a disk has now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) is_full: bool,
    pub(super) sync: Option<Span>,
    pub(super) is_failing: bool,
    pub(super) is_read_only: bool,
    pub(super) is_lying: bool,
    pub(super) is_tearing: bool,
    pub(super) is_misdirecting: bool,
}

impl Faults {
    /// Whether what is asked of the disk may take longer than usual, or fail.
    pub(super) const fn hinders(&self) -> bool {
        self.is_full || self.is_failing || self.is_read_only || self.sync.is_some()
    }

    /// Notes a change that lasts.
    pub(super) const fn change(&mut self, change: DiskChange) {
        match change {
            DiskChange::Full(is_full) => self.is_full = is_full,
            DiskChange::Slow(sync) => self.sync = sync,
            DiskChange::Failing(is_failing) => self.is_failing = is_failing,
            DiskChange::ReadOnly(is_read_only) => self.is_read_only = is_read_only,
            DiskChange::Lying(is_lying) => self.is_lying = is_lying,
            DiskChange::Tearing(is_tearing) => self.is_tearing = is_tearing,
            DiskChange::Misdirecting(is_misdirecting) => self.is_misdirecting = is_misdirecting,
            DiskChange::Rot => {}
        }
    }
}

/// How often a disk changed or lost what it had called durable, by whose files they were. What is in here excuses a loss.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    of: BTreeMap<u16, u64>,
}

impl Lies {
    pub(super) fn add(&mut self, owner: u16, count: u64) {
        if count > 0 {
            *self.of.entry(owner).or_default() += count;
        }
    }

    /// How often it happened to one owner's files.
    pub fn count(&self, owner: u16) -> u64 {
        self.of.get(&owner).copied().unwrap_or_default()
    }
}
