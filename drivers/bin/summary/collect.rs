//! Collects a summary from what is left at a run's end: the plant's books, the machines' tallies, and what was observed.

use std::collections::BTreeMap;
use std::time::Duration;

use r_ems_engine::controller::Controller;
use r_ems_engine::digest::Digest;
use r_ems_engine::functions::FunctionSet;
use r_ems_engine::ids::{ControllerIndex, PointIndex};
use r_ems_engine::log::ControllerNames;
use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_engine::{Span, Time};
use r_ems_replay::describe::Words;
use r_ems_scenarios::at_end::in_places;
use r_ems_scenarios::{AtEnd, Tariff};
use r_ems_sim::account::{self, BatteryUse, GensetUse};
use r_ems_sim::driver::{GridResult, RunResult};
use r_ems_sim::expect::Verdict;
use r_ems_sim::ledger::Energies;
use r_ems_sim::supply::Range;
use r_ems_sim::world::Life;

use super::{
    AlarmSummary, Authorities, BatterySummary, ControllerSummary, Cost, DeviceSummary, Due, Ending,
    EnergyByKind, EventCount, ExpectationSummary, Extremes, FunctionSummary, GensetSummary, GridSummary,
    Lives, Peak, Summary, UnusablePoint, failures, persistence,
};
use crate::names;
use crate::study::observed::{Alarm, Observations};
use crate::study::sampled::Curve;

/// What is known of a run before it begins.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The scenario's name.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
    /// The wall clock at the start.
    pub start: WallTime,
    /// How far the site's clocks are ahead of UTC.
    pub offset: TimeZone,
    /// The grids.
    pub grids: Vec<GridFacts>,
    /// The controllers.
    pub controllers: Vec<ControllerNames>,
    /// When each controller runs.
    pub lives: Vec<Lives>,
    /// The units of the expectations' values, in their order.
    pub units: Vec<names::Units>,
    /// When the expectations can be judged, in their order.
    pub dues: Vec<Due>,
    /// How long the scenario lasts if nobody ends it earlier.
    pub planned: Span,
    /// What is expected of the run's sums.
    pub at_end: Vec<AtEnd>,
    /// What energy and power cost.
    pub tariff: Option<Tariff>,
}

/// What is known of a grid before a run begins.
#[derive(Clone, Debug)]
pub struct GridFacts {
    /// Its name.
    pub name: String,
    /// Its components' names, in the order of the bus.
    pub components: Vec<String>,
    /// The limit that peaks are shaved to.
    pub limit_w: Option<f64>,
    /// How much its batteries hold, by their names.
    pub capacities_wh: BTreeMap<String, f64>,
}

/// What a run left behind.
pub struct Remains<'a, F: FunctionSet> {
    /// How it ended.
    pub ending: Ending,
    /// The plant's books.
    pub result: &'a RunResult,
    /// The controllers as they ended.
    pub machines: &'a [Controller<F>],
    /// What was reported.
    pub observations: &'a Observations,
    /// What the first assertion said that failed.
    pub first_failure: Option<String>,
    /// The curves of the grids.
    pub curves: Vec<Curve>,
    /// The run's identity.
    pub digest: Digest,
    /// How long it took.
    pub wall: Duration,
}

/// What is said instead of a role of a controller that does not run.
pub const DOWN: &str = "down";

/// Makes the summary.
pub fn summarize<F: FunctionSet>(facts: &Facts, remains: Remains<'_, F>) -> Summary {
    let Remains { ending, result, machines, observations, first_failure, curves, digest, wall } = remains;
    let end = Time::ZERO + result.simulated;
    let verdicts = in_places(&facts.at_end, result.verdicts.clone(), |judged| judged.judge(result));
    let said = |judged: &AtEnd| (judged.broken(result), judged.remark(result), judged.decided(result));
    let said = in_places(&facts.at_end, vec![(None, None, None); result.verdicts.len()], said);
    let expectations: Vec<ExpectationSummary> = verdicts
        .iter()
        .zip(facts.units.iter().zip(&facts.dues))
        .zip(said)
        .map(|((verdict, (units, due)), (rule, remark, decided))| {
            let not_judged = due.reason(verdict, result.simulated, facts.planned);
            let (remark, decided) = if not_judged.is_none() { (remark, decided) } else { (None, None) };
            ExpectationSummary { rule, remark, decided, ..expectation(facts, verdict, *units, not_judged) }
        })
        .collect();
    let grids: Vec<GridSummary> = facts
        .grids
        .iter()
        .zip(&result.grids)
        .zip(curves)
        .map(|((known, found), curve)| grid(facts, known, found, curve))
        .collect();
    let controllers: Vec<ControllerSummary> = machines
        .iter()
        .enumerate()
        .map(|(position, machine)| {
            let mut summary = controller(&facts.controllers[position], machine);
            if facts.lives.get(position).is_some_and(|lives| lives.at(end) == Life::Down) {
                summary.role = DOWN;
            }
            add_devices(&mut summary, ControllerIndex::of(position), facts, result, observations, end);
            summary
        })
        .collect();
    let wall_s = wall.as_secs_f64();
    let simulated_s = result.simulated.as_secs_f64();
    Summary {
        scenario: facts.scenario.clone(),
        seed: facts.seed,
        start: facts.local(Time::ZERO),
        ending,
        simulated_s,
        wall_s,
        speed: simulated_s / wall_s,
        scans: controllers.iter().map(|controller| controller.scans).sum(),
        deliveries: observations.deliveries(),
        digest: digest.to_string(),
        held: expectations.iter().all(|expectation| expectation.held != Some(false)),
        expectations,
        energy_wh: grids.iter().fold(EnergyByKind::default(), |sum, grid| sum.plus(&grid.energy_wh)),
        cost: Cost::sum(grids.iter().filter_map(|grid| grid.cost.as_ref())),
        grids,
        take_overs: Authorities::of(facts, result, observations),
        persistence: persistence::of(facts, result),
        controllers,
        events: observations.events().map(event_count).collect(),
        alarms: observations.alarms().iter().map(|raised| alarm(facts, machines, raised)).collect(),
        failures: failures::of(facts, result, first_failure),
    }
}

impl Facts {
    /// A run's instant as the site's clocks show it.
    pub fn local(&self, at: Time) -> String {
        (self.start + at.since(Time::ZERO)).local(self.offset).to_string()
    }
}

fn expectation(
    facts: &Facts,
    verdict: &Verdict,
    units: names::Units,
    not_judged: Option<&'static str>,
) -> ExpectationSummary {
    let excursion = |read: fn(&r_ems_sim::expect::Excursions) -> Span| {
        verdict.excursions.as_ref().map(|excursions| read(excursions).as_secs_f64())
    };
    let mut summary = ExpectationSummary {
        name: verdict.name.clone(),
        held: None,
        margin: None,
        unit: units.margin,
        at_s: None,
        at: None,
        value: None,
        value_unit: units.value,
        longest_excursion_s: None,
        excursions_s: None,
        no_value_s: verdict.without_value.as_secs_f64(),
        rule: None,
        remark: None,
        decided: None,
        not_judged,
    };
    if not_judged.is_none() {
        summary.held = Some(verdict.held);
        summary.margin = Some(verdict.margin);
        summary.at_s = Some(verdict.at.as_secs_f64());
        summary.at = Some(facts.local(verdict.at));
        summary.value = Some(verdict.value);
        summary.longest_excursion_s = excursion(|excursions| excursions.longest);
        summary.excursions_s = excursion(|excursions| excursions.total);
    }
    summary
}

fn grid(facts: &Facts, known: &GridFacts, found: &GridResult, curve: Curve) -> GridSummary {
    let account = &found.account;
    let peak = |peak: Option<account::Peak>| {
        peak.map(|peak| Peak {
            mean_w: peak.mean_w,
            at_s: peak.from.as_secs_f64(),
            at: facts.local(peak.from),
        })
    };
    let overload = account.overload();
    let battery = |used: &BatteryUse| BatterySummary {
        name: known.components[usize::from(used.component.0)].clone(),
        cycles: used.cycles,
        soc_min: used.soc_min.0,
        soc_min_at: facts.local(used.soc_min.1),
        soc_max: used.soc_max.0,
        soc_max_at: facts.local(used.soc_max.1),
    };
    let genset = |used: &GensetUse| GensetSummary {
        name: known.components[usize::from(used.component.0)].clone(),
        generated_wh: used.generated_wh,
        starts: used.starts,
        hours: used.hours,
        fuel_l: used.fuel_l,
    };
    let extremes = |range: Range| Extremes {
        low: range.low.0,
        low_at: facts.local(range.low.1),
        high: range.high.0,
        high_at: facts.local(range.high.1),
    };
    let supply = account.supply();
    GridSummary {
        name: known.name.clone(),
        energy_wh: EnergyByKind::of(&found.energies, account.pv_used_wh()),
        imbalance: found.balance.as_ref().err().map(ToString::to_string),
        beyond_limits: beyond_limits(found),
        peak: peak(account.peak()),
        peak_without_batteries: peak(account.peak_without_batteries()),
        above_rating_s: overload.span_s,
        above_rating_wh: overload.energy_wh,
        limit_w: known.limit_w,
        shaved_wh: account.shaved_wh(),
        excess_wh: account.excess_wh(),
        cost: Cost::of(account, facts.tariff.as_ref()),
        batteries: account.batteries().iter().map(battery).collect(),
        gensets: account.gensets().iter().map(genset).collect(),
        frequency_hz: supply.frequency_hz().map(extremes),
        voltage_pu: supply.voltage_pu().map(extremes),
        island_s: supply.island().as_secs_f64(),
        dead_s: supply.dead().as_secs_f64(),
        curve: (curve.with, curve.without),
    }
}

fn beyond_limits(found: &GridResult) -> Option<String> {
    let excess = found.limits.as_ref().err().map(ToString::to_string);
    excess.or_else(|| found.reversion.as_ref().err().map(ToString::to_string))
}

fn controller<F: FunctionSet>(names: &ControllerNames, machine: &Controller<F>) -> ControllerSummary {
    let timing = machine.timing();
    let functions = machine.composition().slots().iter().map(|slot| {
        let tally = slot.tally();
        FunctionSummary {
            name: slot.law().built_name(),
            bound_s: tally.bound_for().as_secs_f64(),
            bound_wh: tally.bound_energy().watt_hours(),
            short_s: tally.short_for().as_secs_f64(),
            short_wh: tally.short_energy().watt_hours(),
            short_worst_w: tally.short_worst().watts(),
        }
    });
    ControllerSummary {
        name: names.full(),
        role: machine.redundancy().role().name(),
        epoch: machine.redundancy().epoch().to_string(),
        scans: timing.scans(),
        missed: timing.missed(),
        lateness_p99_s: timing.quantile(99, 100).as_secs_f64(),
        lateness_worst_s: timing.worst().as_secs_f64(),
        functions: functions.collect(),
        devices: Vec::new(),
        unusable: Vec::new(),
    }
}

/// Adds what went over a controller's links, and which of its points could not be used.
fn add_devices(
    summary: &mut ControllerSummary,
    index: ControllerIndex,
    facts: &Facts,
    result: &RunResult,
    observations: &Observations,
    end: Time,
) {
    let names = &facts.controllers[index.position()];
    for (device, traffic) in names.devices.iter().zip(&result.traffic[index.position()]) {
        summary.devices.push(DeviceSummary {
            name: device.name.clone(),
            answers: traffic.answers,
            timeouts: traffic.poll_timeouts + traffic.write_timeouts,
            poll_timeouts: traffic.poll_timeouts,
            write_timeouts: traffic.write_timeouts,
            writes: traffic.writes,
        });
    }
    let points: usize = names.devices.iter().map(|device| device.points.len()).sum();
    for point in (0..points).map(PointIndex::of) {
        let lost = observations.unusable(index, point, end);
        if !lost.is_zero() {
            summary
                .unusable
                .push(UnusablePoint { name: Words::of(names).point(point), for_s: lost.as_secs_f64() });
        }
    }
}

fn event_count(counted: (&'static str, r_ems_engine::event::Severity, u64)) -> EventCount {
    let (kind, severity, count) = counted;
    EventCount { kind, severity: severity.to_string(), count }
}

fn alarm<F: FunctionSet>(facts: &Facts, machines: &[Controller<F>], raised: &Alarm) -> AlarmSummary {
    let names = &facts.controllers[raised.from.position()];
    let words = Words::within(&facts.controllers, raised.from.position());
    let groups = machines[raised.from.position()].composition().groups();
    AlarmSummary {
        at_s: raised.at.as_secs_f64(),
        at: facts.local(raised.at),
        controller: names.full(),
        kind: raised.event.kind(),
        message: names::event(words, names, groups, &raised.event),
    }
}

impl EnergyByKind {
    /// Takes a grid's energies from its books.
    fn of(energies: &Energies, pv_used_wh: f64) -> Self {
        Self {
            import: energies.import_wh,
            export: energies.export_wh,
            load: energies.load_wh,
            unserved: energies.unserved_wh,
            pv_made: energies.pv_made_wh,
            pv_used: pv_used_wh,
            pv_curtailed: energies.pv_curtailed_wh(),
            charge: energies.charge_wh,
            discharge: energies.discharge_wh,
            conversion_loss: energies.conversion_wh,
            standby_loss: energies.standby_wh,
            stored: energies.stored_wh,
            generated: energies.generated_wh,
            absorbed: energies.absorbed_wh,
        }
    }

    /// The sum of two.
    fn plus(self, other: &Self) -> Self {
        Self {
            import: self.import + other.import,
            export: self.export + other.export,
            load: self.load + other.load,
            unserved: self.unserved + other.unserved,
            pv_made: self.pv_made + other.pv_made,
            pv_used: self.pv_used + other.pv_used,
            pv_curtailed: self.pv_curtailed + other.pv_curtailed,
            charge: self.charge + other.charge,
            discharge: self.discharge + other.discharge,
            conversion_loss: self.conversion_loss + other.conversion_loss,
            standby_loss: self.standby_loss + other.standby_loss,
            stored: self.stored + other.stored,
            generated: self.generated + other.generated,
            absorbed: self.absorbed + other.absorbed,
        }
    }
}
