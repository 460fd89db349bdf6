//! One run of a case: what it broke, what it reached, and how long take-overs took.

use std::fmt;
use std::sync::Arc;

use r_ems_engine::functions::FunctionSet;
use r_ems_engine::redundancy::Epoch;
use r_ems_engine::{Span, Time};
use r_ems_sim::authority::{Rule, TakeOver, Violation};
use r_ems_sim::disk::DiskChange;
use r_ems_sim::driver::RunResult;
use r_ems_sim::progress::{Apart, Late, Promise};
use r_ems_sim::survival;
use r_ems_sim::world::{Change, Stalled, StalledClock, Timed, WorldSpec};

use super::case::Case;
use super::fault;
use super::marks::Marks;
use super::property::Property;
use super::running::{Ended, Running};
use super::site::{Facts, GridFacts, Site, Variant};
use crate::exit::Failure;
use crate::study::contained::contained;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// What it broke: of each property the first time.
    pub broken: Vec<Broken>,
    /// What it reached.
    pub marks: Marks,
    /// How long the take-overs took that were promised.
    pub take_overs: Vec<Span>,
    /// How long devices took no set-points whenever authority moved, promised or not.
    pub gaps: Vec<Span>,
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

    /// Marks what kinds of fault its case has, and what it sets.
    pub(super) fn drawn(&mut self, case: &Case) {
        case.faults.iter().for_each(|fault| self.marks.fault(fault.kind));
        case.settings.iter().for_each(|setting| self.marks.setting(setting.sort));
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
    let (variant, world) = world(site, case)?;
    let mut trial = run_world(&variant, world, &site.facts, Excuse::Declared);
    trial.drawn(case);
    Ok(trial)
}

/// The world of a case, and the site that is as calm as the case says.
///
/// # Errors
/// As for [`run`].
pub(super) fn world<F: FunctionSet>(
    site: &Site<F>,
    case: &Case,
) -> Result<(Arc<Variant<F>>, WorldSpec), Failure> {
    let variant = site.variant(case.calmed, &case.settings)?;
    let faults = fault::list(&case.faults, "");
    let timeline = r_ems_scenarios::happenings::<F>(&variant.documents, &faults).map_err(|report| {
        Failure::error(format!(
            "what was drawn is not what the language reads, which is a bug: {report}\n{faults}"
        ))
    })?;
    let world =
        WorldSpec { seed: case.network_seed, duration: case.length, timeline, ..variant.world.clone() };
    Ok((variant, world))
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
    let beyond = match excuse {
        Excuse::Declared => Beyond::of(variant, &world, facts),
        Excuse::Nothing => Beyond::default(),
    };
    of_run(beyond, facts, || {
        let mut running = Running::new(variant, world);
        running.go_on();
        running
    })
}

/// What a run showed that `run` leads to its end. An assertion of the world is caught too: a search of a night must not end with
/// it.
pub(super) fn of_run<F: FunctionSet>(
    beyond: Beyond,
    facts: &Facts,
    run: impl FnOnce() -> Running<F>,
) -> Trial {
    let ended = contained(|| {
        let Ended { result, marks, deliveries, poisoned } = run().end();
        let mut broken = judged(&result, &beyond, facts);
        if let Some((poisoned, words)) = poisoned {
            let who = facts.member_name(poisoned.controller.0);
            let words = format!("{who} failed an assertion: {words}");
            broken.push(Broken { property: Property::NothingPanics, at: poisoned.at, words });
        }
        let RunResult { simulated, progress, authority, .. } = result;
        let gaps = authority.take_overs.iter().map(TakeOver::gap).collect();
        Trial { broken, marks, take_overs: progress.take_overs, gaps, simulated, deliveries }
    });
    ended.unwrap_or_else(|words| {
        let words = format!("the simulated world failed an assertion of its own: {words}");
        let broken = Broken { property: Property::NothingPanics, at: Time::ZERO, words };
        Trial { broken: vec![broken], ..Trial::default() }
    })
}

/// The rate of a clock that stands still.
const STANDS_STILL_PPB: i32 = -1_000_000_000;

/// What of a run leaves what its site declares, and may break what the declaration protects: from when on, of each grid. A run
/// that is excused from nothing has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Beyond {
    grids: Vec<BeyondOfGrid>,
    /// Writes last longer than their D.
    outlasts_d: bool,
    /// Two that do not understand each other are as good as apart.
    differs: bool,
}

#[derive(Clone, Copy, Debug)]
struct BeyondOfGrid {
    /// A clock left the bound of its rate.
    clock_errs: Time,
    /// A disk may have lost what it called durable, and nobody can tell: a promise that was not kept.
    disk_lies: Time,
}

impl Beyond {
    pub(super) fn of<F: FunctionSet>(variant: &Variant<F>, world: &WorldSpec, facts: &Facts) -> Self {
        let never = BeyondOfGrid { clock_errs: Time::MAX, disk_lies: Time::MAX };
        let grids = vec![never; facts.grids.len()];
        let mut beyond = Self { grids, outlasts_d: variant.outlasts_d, differs: variant.differs };
        let errs = |rate_ppb: i32| rate_ppb.unsigned_abs() > facts.clock_rate_max_ppb;
        for (host, clock) in (0..).zip(&world.hosts) {
            if errs(clock.rate_ppb) {
                beyond.clock_errs(Time::ZERO, facts, host);
            }
        }
        for Timed { at, change } in &world.timeline {
            match *change {
                Change::ClockRate { host, rate_ppb } if errs(rate_ppb) => beyond.clock_errs(*at, facts, host),
                Change::Stall { whom, clock: StalledClock::Stopped, .. } if errs(STANDS_STILL_PPB) => {
                    let host = match whom {
                        Stalled::Host(host) => host,
                        Stalled::Process(member) => facts.members[usize::from(member)].host,
                    };
                    beyond.clock_errs(*at, facts, host);
                }
                // Rot shows in a checksum, and a torn record is none.
                Change::Disk { host, change: DiskChange::Lying(true) | DiskChange::Misdirecting(true) } => {
                    beyond.of_host(facts, host, |grid| grid.disk_lies = grid.disk_lies.min(*at));
                }
                Change::Plant { .. }
                | Change::Host { .. }
                | Change::Process { .. }
                | Change::Path { .. }
                | Change::ClockRate { .. }
                | Change::Stall { .. }
                | Change::WallClock { .. }
                | Change::Upgrade { .. }
                | Change::Command { .. }
                | Change::Disk { .. }
                | Change::Fault { .. }
                | Change::RestartDevice { .. }
                | Change::Link { .. } => {}
            }
        }
        beyond
    }

    fn clock_errs(&mut self, at: Time, facts: &Facts, host: u16) {
        self.of_host(facts, host, |grid| grid.clock_errs = grid.clock_errs.min(at));
    }

    /// Notes something about all grids that have a member on a host.
    fn of_host(&mut self, facts: &Facts, host: u16, note: impl Fn(&mut BeyondOfGrid)) {
        for member in facts.members.iter().filter(|member| member.host == host) {
            note(&mut self.grids[member.grid]);
        }
    }

    /// Whether a clock or a disk may have led to what is found in a grid.
    fn excuses(&self, grid: u16, at: Time) -> bool {
        self.grids.get(usize::from(grid)).is_some_and(|grid| grid.clock_errs.min(grid.disk_lies) <= at)
    }

    /// Whether an operator may have, who vouched for what is not so: that all others are off.
    fn excuses_vouched(&self, vouched: &[(u16, Time)], grid: u16, at: Time) -> bool {
        !self.grids.is_empty() && vouched.iter().any(|known| known.0 == grid && known.1 <= at)
    }
}

/// Everything that a run broke, of each property the first time.
fn judged(result: &RunResult, beyond: &Beyond, facts: &Facts) -> Vec<Broken> {
    let mut all: Vec<Broken> = Vec::new();
    let mut add = |broken: Broken| {
        if all.iter().all(|known| known.property != broken.property) {
            all.push(broken);
        }
    };
    for violation in &result.authority.violations {
        let Violation { at, grid, .. } = *violation;
        let GridFacts { may_overlap, gives_way_within, .. } = facts.grids[usize::from(grid)];
        let is_near =
            |apart: &Apart| apart.grid == grid && apart.from <= at && at <= apart.to + gives_way_within;
        let overlaps = may_overlap && (beyond.differs || result.progress.apart.iter().any(is_near));
        // Of such a pair who takes over may never have heard of an authority of the other: only its own epochs rise.
        let is_anothers = may_overlap && !is_own(&violation.rule);
        let is_beyond =
            beyond.excuses(grid, at) || beyond.excuses_vouched(&result.authority.vouched, grid, at);
        let broken = violated(violation, facts);
        let is_excused = match broken.property {
            // D protects both: who waits for its writes waits for D.
            Property::EpochsRise | Property::NothingOutstanding if beyond.outlasts_d => true,
            // The declared bound and what was promised protect these, and a pair that takes over on silence gives them up
            // while it does not hear itself.
            Property::OneAuthority => is_beyond || overlaps,
            Property::NewEpochs | Property::EpochsRise => is_beyond || is_anothers,
            Property::WritesExpire
            | Property::NothingOutstanding
            | Property::TakesOver
            | Property::SomebodyWrites
            | Property::OthersStandBy
            | Property::PromisesSurvive
            | Property::StateSurvives
            | Property::EnergyBalances
            | Property::LimitsHold
            | Property::SetPointsEnd
            | Property::NothingPanics => false,
        };
        if !is_excused {
            add(broken);
        }
    }
    result.progress.late.iter().map(|late| delayed(late, facts)).for_each(&mut add);
    outlived(result, facts).for_each(&mut add);
    for (grid, found) in facts.grids.iter().zip(&result.grids) {
        if let Err(imbalance) = &found.balance {
            let at = Time::ZERO + result.simulated;
            let words = format!("{}: {imbalance}", grid.name);
            add(Broken { property: Property::EnergyBalances, at, words });
        }
        if let Err(excess) = &found.limits {
            let words = format!("{}: {excess}", grid.name);
            add(Broken { property: Property::LimitsHold, at: excess.at, words });
        }
        if let Err(outlived) = &found.reversion {
            let words = format!("{}: {outlived}", grid.name);
            add(Broken { property: Property::SetPointsEnd, at: outlived.at, words });
        }
    }
    all
}

/// Whether both epochs of a rule that was broken are of the same controller.
fn is_own(rule: &Rule) -> bool {
    match *rule {
        Rule::NewEpochs { epoch, own, .. } => epoch <= own,
        Rule::EpochsRise { epoch, accepted, .. } => {
            Epoch::of_number(epoch).seat == Epoch::of_number(accepted).seat
        }
        Rule::OneAuthority { .. }
        | Rule::NothingOutstanding { .. }
        | Rule::WritesExpire { .. }
        | Rule::SentInTime { .. } => true,
    }
}

/// What did not outlive its controller, and should have.
fn outlived(result: &RunResult, facts: &Facts) -> impl Iterator<Item = Broken> {
    let of = |member: u16, broken: &survival::Broken| {
        let who = facts.member_name(member);
        let (property, words) = match broken.rule {
            survival::Rule::Promise => {
                (Property::PromisesSurvive, format!("{who} does not know what it promised"))
            }
            survival::Rule::State => {
                (Property::StateSurvives, format!("{who} is not in a state in which it stood"))
            }
            survival::Rule::Damage => {
                let words = format!("{who} finds damaged what was durable, and no disk lied");
                (Property::StateSurvives, words)
            }
        };
        Broken { property, at: broken.at, words }
    };
    let controllers = result.persistence.iter().flat_map(|kept| (0..).zip(&kept.controllers));
    controllers
        .flat_map(move |(member, survival)| survival.broken.iter().map(move |broken| of(member, broken)))
}

fn violated(violation: &Violation, facts: &Facts) -> Broken {
    let property = match violation.rule {
        Rule::OneAuthority { .. } => Property::OneAuthority,
        Rule::NewEpochs { .. } => Property::NewEpochs,
        Rule::NothingOutstanding { .. } => Property::NothingOutstanding,
        Rule::EpochsRise { .. } => Property::EpochsRise,
        Rule::WritesExpire { .. } | Rule::SentInTime { .. } => Property::WritesExpire,
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
        Promise::StandsBy => Broken {
            property: Property::OthersStandBy,
            at: late.at,
            words: format!("{able} had not stood by for {since}, ready to take over, though it could"),
        },
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at +{}: {}", self.property.name(), self.at.since(Time::ZERO), self.words)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use r_ems_engine::functions::BuiltIn;

    use super::*;
    use crate::study::contained::quiet_contained_panics;

    #[test]
    fn a_clock_that_errs_excuses_from_then_on_and_only_the_grids_on_its_host() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover_fast.ron");
        let site = Site::<BuiltIn>::open(&file, &[], None).expect("a shipped scenario");
        let variant = site.variant(0, &[]).expect("it is loaded");
        let mut world = variant.world.clone();
        let mut facts = site.facts.clone();
        facts.grids.push(facts.grids[0].clone());
        let at = |seconds| Time::ZERO + Span::from_secs(seconds);
        let host = facts.members[0].host;
        let errs = Change::ClockRate { host, rate_ppb: 2 * facts.clock_rate_max_ppb as i32 };
        let lies = Change::Disk { host, change: DiskChange::Lying(false) };
        world.timeline = vec![Timed { at: at(1), change: lies }, Timed { at: at(2), change: errs }];
        let beyond = Beyond::of(&variant, &world, &facts);
        assert!(!beyond.excuses(0, at(1)) && beyond.excuses(0, at(2)) && !beyond.excuses(1, at(2)));
        let vouched = [(0, at(3))];
        let is_excused = |beyond: &Beyond, grid, seconds| beyond.excuses_vouched(&vouched, grid, at(seconds));
        assert!(is_excused(&beyond, 0, 3) && !is_excused(&beyond, 0, 2) && !is_excused(&beyond, 1, 3));
        assert!(!is_excused(&Beyond::default(), 0, 3));
    }

    #[test]
    fn a_panic_of_the_world_is_a_finding_with_its_words_and_its_place() {
        quiet_contained_panics();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/failover_fast.ron");
        let site = Site::<BuiltIn>::open(&file, &[], None).expect("a shipped scenario");
        let variant = site.variant(0, &[]).expect("it is loaded");
        let mut world = variant.world.clone();
        world.grids.clear();
        let trial = run_world(&variant, world, &site.facts, Excuse::Declared);
        let broken = trial.breaks(Property::NothingPanics).expect("there are links and no plant");
        let place = broken.words.rsplit_once(" (").expect("a place").1;
        assert!(broken.words.starts_with("the simulated world failed an assertion of its own: "), "{broken}");
        assert!(place.contains(".rs:") && place.ends_with(')'), "{broken}");
    }
}
