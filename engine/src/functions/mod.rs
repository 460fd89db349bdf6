//! Functions: one control law a file, and the one list that names them all.
//!
//! A function looks at a [`View`] of its grid and wishes something for its groups: a [`Wish::Limit`], a [`Wish::Target`] or
//! a [`Wish::Reserve`]. The controller asks its functions in priority order and gives each what is left of the interval.
//! A function never writes, never fails, and never sees what is not good.
//!
//! To add a law: one file here (or in a crate of your own), one line in the list of [`crate::functions_with`] (or in your
//! own call of it), one scenario that a careless version would fail.

pub mod connection_limit;
pub mod curve;
pub mod fcr;
pub mod frequency_droop;
pub mod gensets;
pub mod grid_operator;
pub mod heavy;
pub mod lag;
pub mod lfsm;
pub mod list;
pub mod load_shedding;
pub mod manual;
pub mod peak_shaving;
pub mod pid;
pub mod ramp_limit;
pub mod reconnect;
pub mod response;
pub mod return_to_service;
pub mod schedule;
pub mod seen;
pub mod self_consumption;
pub mod side;
pub mod soc_floor;
pub mod tariff;
#[cfg(test)]
pub(crate) mod testing;
pub mod volt_var;
pub mod volt_watt;
pub mod wiring;
pub mod wish;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use crate::controller::mode::{GridMode, When};
pub use crate::controller::view::View;
pub use connection_limit::ConnectionLimit;
pub use fcr::Fcr;
pub use frequency_droop::FrequencyDroop;
pub use gensets::Gensets;
pub use grid_operator::GridOperator;
pub use lfsm::Lfsm;
pub use list::{BuiltIn, BuiltInSpec};
pub use load_shedding::LoadShedding;
pub use manual::Manual;
pub use peak_shaving::PeakShaving;
pub use pid::Pid;
pub use ramp_limit::RampLimit;
pub use reconnect::Reconnect;
pub use return_to_service::ReturnToService;
pub use schedule::Schedule;
pub use self_consumption::SelfConsumption;
pub use soc_floor::SocFloor;
pub use tariff::Tariff;
pub use volt_var::VoltVar;
pub use volt_watt::VoltWatt;
pub use wiring::{Problem, SpecError, Wiring};
pub use wish::{Wish, Wishes};

use crate::carry::Carry;
use crate::ids::{DeviceIndex, GroupIndex};
use crate::points::PointKind;
use crate::units::{Ratio, Watts};

/// One control law in a controller's stack.
pub trait Function: Clone + Serialize + DeserializeOwned {
    /// What a site file says about it; read from text, so deny unknown fields.
    type Spec: Clone + core::fmt::Debug + Serialize + DeserializeOwned;

    /// Makes the function and finds its devices. What is wrong is told to `wiring`; the result is then not used.
    fn build(spec: &Self::Spec, wiring: &mut Wiring<'_>) -> Self;

    /// Where it stands in the standard order.
    fn rank(&self) -> Rank;

    /// The groups that it acts on.
    fn groups(&self) -> &[GroupIndex];

    /// When it has a say, unless a site file says otherwise.
    fn when(&self) -> When {
        When::Both
    }

    /// Whether it acts on a group, be it on its reactive power only.
    fn acts_on(&self, group: GroupIndex) -> bool {
        self.groups().contains(&group)
    }

    /// The meter without which it cannot decide. It is asked again only when that meter has a new sample.
    fn meter(&self) -> Option<DeviceIndex> {
        None
    }

    /// What of that meter it needs.
    fn measured(&self) -> PointKind {
        PointKind::Power
    }

    /// The receiver whose signal it follows besides, see [`Function::hear`].
    fn signal(&self) -> Option<DeviceIndex> {
        None
    }

    /// Hears what that says, once a scan before all else; `None` while it is lost, and until it has been good again for a while.
    /// It then decides all the same.
    fn hear(&mut self, _share: Option<Ratio>) {}

    /// What becomes of its wishes while that is lost.
    fn on_loss(&self) -> OnLoss {
        OnLoss::Rest
    }

    /// On what it decided about a group last, of a function that decides how much is switched on: for whoever asks why.
    fn grounds(&self, _group: GroupIndex) -> Option<Grounds> {
        None
    }

    /// What a generator group is limited to while the meter is lost; `None` leaves it alone.
    fn fail_safe(&self) -> Option<Watts> {
        None
    }

    /// Begins anew where its meter was lost for a while: what it made of measurements from before is no ground to go on from.
    fn begin_anew(&mut self) {}

    /// Forgets what a boot makes wrong: timers, and what depends on who has authority. What belongs to the site, such as the
    /// energy of a window that is billed, outlives a restart.
    fn forget(&mut self) {}

    /// Passes to `carry` what it remembers from one decision to the next, in a fixed order, so that another host can go on from
    /// there; begin with [`Carry::part`]. A law without such memory does nothing here.
    fn carry(&mut self, carry: &mut Carry<'_>);

    /// Decides. Called once a scan at the most, with its meter good.
    fn evaluate(&mut self, view: &View<'_>, wishes: &mut Wishes);
}

/// What becomes of a function's wishes while it has lost what it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLoss {
    /// Its batteries are held for a while and then ramp to rest, its generators take their fail-safe limit.
    Rest,
    /// What it offers on top of the other functions fades away, and the room for it stays. Of what it holds that part fades which
    /// is not what others want; its targets it lets go at once, and its limits on generators when the rest has faded, since
    /// generators ramp up by themselves.
    Fade,
    /// They stay as they are: a limit that was set for a reason is not given up because nobody knows any more.
    Stay,
}

/// The functions that a program knows; made by [`crate::functions_with`].
pub trait FunctionSet: Function {
    /// Their names in the order of their variants: part of a log's header.
    const NAMES: &'static [&'static str];

    /// A function's name as a site file spells it.
    fn name(spec: &Self::Spec) -> &'static str;

    /// The same of a function that has been built.
    fn built_name(&self) -> &'static str;
}

/// What is needed and what there is for it, W: on what a function decides that switches something on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Grounds {
    /// What is needed, or taken.
    pub needed: Watts,
    /// What there is for it.
    pub available: Watts,
}

/// The standard order of a stack; a stack that departs from it gets a warning.
///
/// # Source
/// The order of the grid codes' priorities (SO GL 2017/1485: security of the system before the market) and OpenEMS's
/// scheduler. The floor of a battery stands before the peak, because peak shaving must not empty what the floor protects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// Emergency stop.
    Emergency,
    /// The grid operator's limits.
    GridOperator,
    /// Frequency response.
    FrequencyResponse,
    /// What holds the voltage.
    Voltage,
    /// Connection and export limit.
    Connection,
    /// Ramp limits.
    Ramp,
    /// An operator's set-point.
    Manual,
    /// What holds an island: gensets, loads that are shed, the breaker to the grid.
    Island,
    /// Floor of a battery, with forced charge.
    Floor,
    /// Peak shaving.
    Peak,
    /// Schedules and tariffs.
    Schedule,
    /// Self-consumption.
    SelfConsumption,
}
