//! One run of a case: what it broke, what it reached, and how long take-overs took.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::controller::Controller;
use r_ems_engine::fleet::Fleet;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::log::Header;
use r_ems_engine::machine::Machine;
use r_ems_engine::{Span, Time};
use r_ems_sim::authority::{Rule, Violation};
use r_ems_sim::driver::{RunResult, SimDriver};
use r_ems_sim::progress::{Late, Promise};
use r_ems_sim::world::{Change, StalledClock, Timed, WorldSpec};

use super::case::Case;
use super::fault;
use super::marks::{Marking, Marks};
use super::site::{Facts, Site, Variant};
use crate::exit::Failure;
use crate::names::of_spec;
use crate::study::contained::{Contained, Recovering, last_words};

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
    /// The plant makes no energy and loses none.
    EnergyBalances,
    /// Nothing fails an assertion of its own.
    NothingPanics,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::OneAuthority,
        Self::EpochsRise,
        Self::NewEpochs,
        Self::NothingOutstanding,
        Self::WritesExpire,
        Self::TakesOver,
        Self::SomebodyWrites,
        Self::EnergyBalances,
        Self::NothingPanics,
    ];

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneAuthority => "one authority at a time",
            Self::EpochsRise => "epochs rise on every device",
            Self::NewEpochs => "each authority has a new epoch",
            Self::NothingOutstanding => "who gives up has no write on its way",
            Self::WritesExpire => "writes expire with their lease",
            Self::TakesOver => "another takes over in time",
            Self::SomebodyWrites => "somebody writes while somebody can",
            Self::EnergyBalances => "energy balances",
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
            Self::EnergyBalances => "energy_balances",
            Self::NothingPanics => "nothing_panics",
        }
    }
}

/// A property that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub property: Property,
    /// When.
    pub at: Time,
    /// By whom and how.
    pub words: String,
}

/// What a run showed.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// What it broke: of each property the first time.
    pub broken: Vec<Broken>,
    /// What it reached.
    pub marks: Marks,
    /// How long the take-overs took that were promised.
    pub take_overs: Vec<Span>,
    /// How long it lasted.
    pub simulated: Span,
    /// How many deliveries were handled.
    pub deliveries: u64,
}

impl Trial {
    /// Whether everything held.
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }

    /// Whether this property was broken.
    pub fn breaks(&self, property: Property) -> Option<&Broken> {
        self.broken.iter().find(|broken| broken.property == property)
    }
}

/// Runs a case.
///
/// # Errors
/// The language does not read what was drawn, which is a bug of the list of kinds.
pub fn run<F: FunctionSet>(site: &Site<F>, case: &Case) -> Result<Trial, Failure> {
    let variant = site.variant(case.calmed)?;
    let faults = fault::list(&case.faults, "");
    let timeline = r_ems_scenarios::happenings::<F>(&variant.documents, &faults).map_err(|report| {
        Failure::error(format!(
            "what was drawn is not what the language reads, which is a bug: {report}\n{faults}"
        ))
    })?;
    let world =
        WorldSpec { seed: case.network_seed, duration: case.length, timeline, ..variant.world.clone() };
    let mut trial = run_world(&variant, world, &site.facts, Excuse::Declared);
    case.faults.iter().for_each(|fault| trial.marks.fault(fault.kind));
    Ok(trial)
}

/// What a run is excused from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// From what a declared bound protects that the run leaves.
    Declared,
    /// From nothing.
    Nothing,
}

pub(super) fn run_world<F: FunctionSet>(
    variant: &Variant<F>,
    world: WorldSpec,
    facts: &Facts,
    excuse: Excuse,
) -> Trial {
    let is_beyond = excuse == Excuse::Declared && is_beyond(&world, facts.clock_rate_max_ppb);
    // An assertion of the world is caught too: a search of a night must not end with it.
    let ended = catch_unwind(AssertUnwindSafe(|| {
        let mut fleet = Fleet::new(variant.controllers.iter().map(Controller::<F>::new).collect());
        let driver = SimDriver::new(world).expect("the links of a scenario fit its plant");
        let header = Header::new(F::NAMES, variant.controllers.iter().map(of_spec).collect());
        let driver = driver.with_persistence::<_, Recovering>(&header, fleet.machines());
        let mut driver = Contained::new(Marking { inner: driver, marks: Marks::default(), deliveries: 0 });
        let poisoned = fleet.run(&mut driver).err();
        let words = driver.words.take().unwrap_or_else(last_words);
        let Marking { inner: mut driver, marks, deliveries } = driver.inner;
        let result = driver.finish();
        let mut broken = judged(&result, is_beyond, facts);
        if let Some(poisoned) = poisoned.or_else(|| result.failures.first().copied()) {
            let who = facts.member_name(poisoned.controller.0);
            let words = format!("{who} failed an assertion: {words}");
            broken.push(Broken { property: Property::NothingPanics, at: poisoned.at, words });
        }
        let RunResult { simulated, progress, .. } = result;
        Trial { broken, marks, take_overs: progress.take_overs, simulated, deliveries }
    }));
    ended.unwrap_or_else(|_panic| {
        let words = "the simulated world failed an assertion of its own".to_owned();
        let broken = Broken { property: Property::NothingPanics, at: Time::ZERO, words };
        Trial { broken: vec![broken], ..Trial::default() }
    })
}

/// The rate of a clock that stands still.
const STANDS_STILL_PPB: i32 = -1_000_000_000;

/// Whether a clock leaves the declared bound of its rate.
fn is_beyond(world: &WorldSpec, clock_rate_max_ppb: u32) -> bool {
    let changed = |timed: &Timed| match timed.change {
        Change::ClockRate { rate_ppb, .. } => Some(rate_ppb),
        Change::Stall { clock: StalledClock::Stopped, .. } => Some(STANDS_STILL_PPB),
        Change::Breaker { .. }
        | Change::Inverter { .. }
        | Change::Host { .. }
        | Change::Process { .. }
        | Change::Path { .. }
        | Change::Stall { clock: StalledClock::Running, .. }
        | Change::WallClock { .. }
        | Change::Upgrade { .. }
        | Change::Command { .. }
        | Change::Disk { .. }
        | Change::Fault { .. }
        | Change::RestartDevice { .. }
        | Change::Link { .. } => None,
    };
    let rates = world.hosts.iter().map(|host| host.rate_ppb).chain(world.timeline.iter().filter_map(changed));
    rates.into_iter().any(|rate| rate.unsigned_abs() > clock_rate_max_ppb)
}

/// Everything that a run broke, of each property the first time.
fn judged(result: &RunResult, is_beyond: bool, facts: &Facts) -> Vec<Broken> {
    let mut all: Vec<Broken> = Vec::new();
    let mut add = |broken: Broken| {
        if all.iter().all(|known| known.property != broken.property) {
            all.push(broken);
        }
    };
    for violation in &result.authority.violations {
        let may_overlap = facts.grids[usize::from(violation.grid)].may_overlap;
        let broken = violated(violation, facts);
        let is_excused = match broken.property {
            // The declared bound protects these, and a pair that takes over on silence gives them up.
            Property::OneAuthority | Property::NewEpochs | Property::EpochsRise => is_beyond || may_overlap,
            // Of such a pair who hears a higher epoch stands by at once, whatever of its writes waits for a connection.
            Property::WritesExpire => may_overlap,
            Property::NothingOutstanding
            | Property::TakesOver
            | Property::SomebodyWrites
            | Property::EnergyBalances
            | Property::NothingPanics => false,
        };
        if !is_excused {
            add(broken);
        }
    }
    result.progress.late.iter().map(|late| delayed(late, facts)).for_each(&mut add);
    for (grid, found) in facts.grids.iter().zip(&result.grids) {
        if let Err(imbalance) = &found.balance {
            let at = Time::ZERO + result.simulated;
            let words = format!("{}: {imbalance}", grid.name);
            add(Broken { property: Property::EnergyBalances, at, words });
        }
    }
    all
}

fn violated(violation: &Violation, facts: &Facts) -> Broken {
    let property = match violation.rule {
        Rule::OneAuthority { .. } => Property::OneAuthority,
        Rule::NewEpochs { .. } => Property::NewEpochs,
        Rule::NothingOutstanding { .. } => Property::NothingOutstanding,
        Rule::EpochsRise { .. } => Property::EpochsRise,
        Rule::WritesExpire { .. } => Property::WritesExpire,
    };
    let words = violation.rule.words(|member| facts.member_name(member), |_component| "a device".to_owned());
    Broken { property, at: violation.at, words }
}

fn delayed(late: &Late, facts: &Facts) -> Broken {
    let (able, since) = (facts.member_name(late.able), late.at.since(late.since));
    match late.promise {
        Promise::TakesOver => Broken {
            property: Property::TakesOver,
            at: late.at,
            words: format!("nobody had taken over {since} after a crash, though {able} could"),
        },
        Promise::Writes => Broken {
            property: Property::SomebodyWrites,
            at: late.at,
            words: format!("nobody had held authority and written for {since}, though {able} could"),
        },
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at +{}: {}", self.property.name(), self.at.since(Time::ZERO), self.words)
    }
}
