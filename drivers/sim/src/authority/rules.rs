//! The rules that are checked, and what it means in words that one was broken.

use alloc::format;
use alloc::string::String;

use r_ems_engine::redundancy::Epoch;
use r_ems_engine::{Span, Time};

use crate::plant::ComponentIndex;

/// What [`Rule::OneAuthority`] is called.
pub const ONE_AUTHORITY: &str = "one authority at a time";
/// What [`Rule::NewEpochs`] is called.
pub const NEW_EPOCHS: &str = "each authority has a new epoch";
/// What [`Rule::NothingOutstanding`] is called.
pub const NOTHING_OUTSTANDING: &str = "who gives up has no write on its way";
/// What [`Rule::EpochsRise`] is called.
pub const EPOCHS_RISE: &str = "epochs rise on every device";
/// What [`Rule::WritesExpire`] and [`Rule::SentInTime`] are called.
pub const WRITES_EXPIRE: &str = "writes expire with their lease";

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Time,
    /// In which grid.
    pub grid: u16,
    /// Which rule.
    pub rule: Rule,
}

/// The rules, with who broke them; controllers by their places in the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Two leases counted at one instant.
    OneAuthority {
        /// The one that was told of last.
        controller: u16,
        /// The other.
        other: u16,
    },
    /// A lease began with an epoch that is not above all before it.
    NewEpochs {
        /// Whose.
        controller: u16,
        /// Its epoch.
        epoch: u64,
        /// The highest before it.
        highest: u64,
        /// The highest that was its own.
        own: u64,
    },
    /// A controller gave an epoch up while a write of it was on its way to a device that does not check epochs.
    NothingOutstanding {
        /// Who.
        controller: u16,
        /// To which component of the grid's plant.
        component: ComponentIndex,
        /// The epoch.
        epoch: u64,
    },
    /// A device accepted a lower epoch than before.
    EpochsRise {
        /// Whose write.
        controller: u16,
        /// On which component of the grid's plant.
        component: ComponentIndex,
        /// Its epoch.
        epoch: u64,
        /// The highest that had been accepted.
        accepted: u64,
        /// How long it had been on its way, to a device that does not check epochs.
        way: Option<Span>,
    },
    /// A write was sent that would have outlived the lease of its sender.
    WritesExpire {
        /// Whose write.
        controller: u16,
    },
    /// A write was sent after it had expired.
    SentInTime {
        /// Whose write.
        controller: u16,
    },
}

impl Rule {
    /// The names of all rules; to send in time and to expire with the lease are one.
    pub const NAMES: [&'static str; 5] =
        [ONE_AUTHORITY, NEW_EPOCHS, NOTHING_OUTSTANDING, EPOCHS_RISE, WRITES_EXPIRE];

    /// What the rule is called: what should have held.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OneAuthority { .. } => ONE_AUTHORITY,
            Self::NewEpochs { .. } => NEW_EPOCHS,
            Self::NothingOutstanding { .. } => NOTHING_OUTSTANDING,
            Self::EpochsRise { .. } => EPOCHS_RISE,
            Self::WritesExpire { .. } | Self::SentInTime { .. } => WRITES_EXPIRE,
        }
    }

    /// What happened, in words; `member` and `device` name what the rule knows by number.
    pub fn words(&self, member: impl Fn(u16) -> String, device: impl Fn(ComponentIndex) -> String) -> String {
        match *self {
            Self::OneAuthority { controller, other } => {
                format!("{} and {} held authority at once", member(other), member(controller))
            }
            Self::NewEpochs { controller, epoch, highest, own: _ } => {
                let (epoch, highest) = (Epoch::of_number(epoch), Epoch::of_number(highest));
                format!("{} held epoch {epoch} anew after epoch {highest}", member(controller))
            }
            Self::NothingOutstanding { controller, component, epoch } => {
                let (epoch, controller, device) =
                    (Epoch::of_number(epoch), member(controller), device(component));
                format!("{controller} gave epoch {epoch} up while a write of it was on its way to {device}")
            }
            Self::EpochsRise { controller, component, epoch, accepted, way } => {
                let (epoch, accepted) = (Epoch::of_number(epoch), Epoch::of_number(accepted));
                let (controller, device) = (member(controller), device(component));
                let way = way.map_or_else(String::new, |way| format!(", {way} after it was sent"));
                format!("{device} accepted epoch {epoch} of {controller} after epoch {accepted}{way}")
            }
            Self::WritesExpire { controller } => {
                format!("{} sent a write that would have outlived its lease", member(controller))
            }
            Self::SentInTime { controller } => {
                format!("{} sent a write after it had expired", member(controller))
            }
        }
    }
}
