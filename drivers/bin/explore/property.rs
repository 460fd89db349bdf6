//! What must hold of every run, by name.

use r_ems_sim::authority::{EPOCHS_RISE, NEW_EPOCHS, NOTHING_OUTSTANDING, ONE_AUTHORITY, WRITES_EXPIRE};
use r_ems_sim::progress::Promise;
use r_ems_sim::survival;

/// What must hold of every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// No two leases count at one instant.
    OneAuthority,
    /// After a device has accepted an epoch it accepts none lower.
    EpochsRise,
    /// A lease has a higher epoch than every one before it in its grid, unless its holder goes on.
    NewEpochs,
    /// Who releases its voters has no write on its way.
    NothingOutstanding,
    /// No write outlives the lease of its sender.
    WritesExpire,
    /// After a crash another takes over within the bound, where somebody can.
    TakesOver,
    /// While nothing changes somebody writes, where somebody can.
    SomebodyWrites,
    /// While nothing changes everybody else is ready to take over who can be.
    OthersStandBy,
    /// What is promised is known in every later life, but for what a disk lied about.
    PromisesSurvive,
    /// A life begins with a state of the one before, no older than what was durable, but for what a disk lied about.
    StateSurvives,
    /// The plant makes no energy and loses none.
    EnergyBalances,
    /// No component of the plant does what it cannot.
    LimitsHold,
    /// A device with a timer falls back when its set-point has ended.
    SetPointsEnd,
    /// Nothing fails an assertion of its own.
    NothingPanics,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::OneAuthority,
        Self::EpochsRise,
        Self::NewEpochs,
        Self::NothingOutstanding,
        Self::WritesExpire,
        Self::TakesOver,
        Self::SomebodyWrites,
        Self::OthersStandBy,
        Self::PromisesSurvive,
        Self::StateSurvives,
        Self::EnergyBalances,
        Self::LimitsHold,
        Self::SetPointsEnd,
        Self::NothingPanics,
    ];

    /// Its name in reports: that of the rule where the simulated world has one for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneAuthority => ONE_AUTHORITY,
            Self::EpochsRise => EPOCHS_RISE,
            Self::NewEpochs => NEW_EPOCHS,
            Self::NothingOutstanding => NOTHING_OUTSTANDING,
            Self::WritesExpire => WRITES_EXPIRE,
            Self::TakesOver => Promise::TakesOver.name(),
            Self::SomebodyWrites => Promise::Writes.name(),
            Self::OthersStandBy => Promise::StandsBy.name(),
            Self::PromisesSurvive => survival::Rule::Promise.name(),
            Self::StateSurvives => survival::Rule::State.name(),
            Self::EnergyBalances => "energy balances",
            Self::LimitsHold => "limits of the plant hold",
            Self::SetPointsEnd => "set-points end where devices have a timer",
            Self::NothingPanics => "no assertion fails",
        }
    }

    /// Its name in files.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::OneAuthority => "one_authority",
            Self::EpochsRise => "epochs_rise",
            Self::NewEpochs => "new_epochs",
            Self::NothingOutstanding => "nothing_outstanding",
            Self::WritesExpire => "writes_expire",
            Self::TakesOver => "takes_over",
            Self::SomebodyWrites => "somebody_writes",
            Self::OthersStandBy => "others_stand_by",
            Self::PromisesSurvive => "promises_survive",
            Self::StateSurvives => "state_survives",
            Self::EnergyBalances => "energy_balances",
            Self::LimitsHold => "limits_hold",
            Self::SetPointsEnd => "set_points_end",
            Self::NothingPanics => "nothing_panics",
        }
    }
}
