//! What a whole run came to, grid by grid: energies by kind, peaks, costs, and what batteries went through.
//!
//! Each of these sums has a name, by which an expectation compares it (`AtEnd("commerce.peak <= 225 kW")`) and a sweep lists it
//! (`commerce.peak_w`). They are what the plant did, not what controllers believed, and what a summary shows.
//!
//! Of several batteries `cycles` are those of the one that has most, `soc_min` is the lowest of any and `soc_max` the
//! highest; of several devices `writes` are those to the one that is written most; gensets are added up.

use r_ems_engine::units::Watts;
use r_ems_sim::account::{BatteryUse, GensetUse, Peak};
use r_ems_sim::bill::Charges;
use r_ems_sim::driver::GridResult;
use r_ems_sim::plant::Component;
use r_ems_sim::supply::Range;
use r_ems_sim::world::GridWorld;

use crate::plant::{Kind, Unit};
use crate::tariff::Tariff;

/// A sum, by its name.
#[derive(Clone, Copy, Debug)]
pub struct Total {
    pub(crate) name: &'static str,
    pub(crate) unit: Unit,
    pub(crate) needs: Needs,
    pub(crate) of: fn(&GridResult) -> f64,
}

/// Without what a sum says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    Nothing,
    /// A scenario with prices.
    Tariff,
    /// A stack with a limit that peaks are shaved to.
    Shaving,
    /// A component of this kind.
    Part(Kind),
}

const PV: Needs = Needs::Part(Kind::Pv);
const BATTERY: Needs = Needs::Part(Kind::Battery);
const GENSET: Needs = Needs::Part(Kind::Genset);

/// Everything that can be summed, in the order of the reference.
pub(crate) const TOTALS: [Total; 39] = [
    energy("import", Needs::Nothing, |grid| grid.energies.import_wh),
    energy("export", Needs::Nothing, |grid| grid.energies.export_wh),
    energy("load", Needs::Nothing, |grid| grid.energies.load_wh),
    energy("unserved", Needs::Nothing, |grid| grid.energies.unserved_wh),
    energy("pv_made", PV, |grid| grid.energies.pv_made_wh),
    energy("pv_used", PV, |grid| grid.account.pv_used_wh()),
    energy("pv_curtailed", PV, |grid| grid.energies.pv_curtailed_wh()),
    energy("charge", BATTERY, |grid| grid.energies.charge_wh),
    energy("discharge", BATTERY, |grid| grid.energies.discharge_wh),
    energy("conversion_loss", BATTERY, |grid| grid.energies.conversion_wh),
    energy("standby_loss", BATTERY, |grid| grid.energies.standby_wh),
    energy("stored", BATTERY, |grid| grid.energies.stored_wh),
    energy("generated", GENSET, |grid| grid.energies.generated_wh),
    energy("absorbed", GENSET, |grid| grid.energies.absorbed_wh),
    energy("shaved", Needs::Shaving, |grid| grid.account.shaved_wh().unwrap_or(0.0)),
    energy("excess", Needs::Shaving, |grid| grid.account.excess_wh().unwrap_or(0.0)),
    energy("overload", Needs::Nothing, |grid| grid.account.overload().energy_wh),
    share("pv_used_ratio", PV, pv_used_ratio),
    share("energy_cost_ratio", Needs::Tariff, energy_cost_ratio),
    power("peak", Needs::Nothing, |grid| mean_w(grid.account.peak())),
    power("peak_without_batteries", Needs::Nothing, |grid| mean_w(grid.account.peak_without_batteries())),
    number("cycles", BATTERY, |grid| most(grid, |used| used.cycles)),
    share("soc_min", BATTERY, |grid| -most(grid, |used| -used.soc_min.0)),
    share("soc_max", BATTERY, |grid| most(grid, |used| used.soc_max.0)),
    number("genset_starts", GENSET, |grid| gensets(grid, |used| f64::from(used.starts))),
    number("genset_hours", GENSET, |grid| gensets(grid, |used| used.hours)),
    number("fuel", GENSET, |grid| gensets(grid, |used| used.fuel_l)),
    Total {
        name: "f_min",
        unit: Unit::Frequency,
        needs: Needs::Nothing,
        of: |grid| low(grid.account.supply().frequency_hz()),
    },
    Total {
        name: "f_max",
        unit: Unit::Frequency,
        needs: Needs::Nothing,
        of: |grid| high(grid.account.supply().frequency_hz()),
    },
    Total {
        name: "v_min",
        unit: Unit::Voltage,
        needs: Needs::Nothing,
        of: |grid| low(grid.account.supply().voltage_pu()),
    },
    Total {
        name: "v_max",
        unit: Unit::Voltage,
        needs: Needs::Nothing,
        of: |grid| high(grid.account.supply().voltage_pu()),
    },
    Total {
        name: "island",
        unit: Unit::Span,
        needs: Needs::Nothing,
        of: |grid| grid.account.supply().island().as_secs_f64(),
    },
    Total {
        name: "dead",
        unit: Unit::Span,
        needs: Needs::Nothing,
        of: |grid| grid.account.supply().dead().as_secs_f64(),
    },
    number("writes", Needs::Nothing, |grid| grid.writes as f64),
    number("take_overs", Needs::Nothing, |grid| grid.take_overs as f64),
    money("energy_cost", |grid| paid(grid).energy),
    money("demand_cost", |grid| demand(grid, grid.account.peak())),
    money("cost", cost),
    money("saved", |grid| cost_without_batteries(grid) - cost(grid)),
];

const fn energy(name: &'static str, needs: Needs, of: fn(&GridResult) -> f64) -> Total {
    Total { name, unit: Unit::Energy, needs, of }
}

const fn power(name: &'static str, needs: Needs, of: fn(&GridResult) -> f64) -> Total {
    Total { name, unit: Unit::Power, needs, of }
}

const fn share(name: &'static str, needs: Needs, of: fn(&GridResult) -> f64) -> Total {
    Total { name, unit: Unit::Share, needs, of }
}

const fn number(name: &'static str, needs: Needs, of: fn(&GridResult) -> f64) -> Total {
    Total { name, unit: Unit::Number, needs, of }
}

const fn money(name: &'static str, of: fn(&GridResult) -> f64) -> Total {
    Total { name, unit: Unit::Money, needs: Needs::Tariff, of }
}

/// A peak as a bill has it: a run without a whole quarter of an hour has none to pay.
fn mean_w(peak: Option<Peak>) -> f64 {
    peak.map_or(0.0, |peak| peak.mean_w)
}

/// What stayed on the site of what the sun gave; nothing made is nothing used.
fn pv_used_ratio(grid: &GridResult) -> f64 {
    let made_wh = grid.energies.pv_made_wh;
    if made_wh > 0.0 { grid.account.pv_used_wh() / made_wh } else { 0.0 }
}

/// The highest of all batteries.
fn most(grid: &GridResult, of: fn(&BatteryUse) -> f64) -> f64 {
    grid.account
        .batteries()
        .iter()
        .map(of)
        .reduce(|most, next| if next > most { next } else { most })
        .unwrap_or(0.0)
}

/// All gensets added up.
fn gensets(grid: &GridResult, of: fn(&GensetUse) -> f64) -> f64 {
    grid.account.gensets().iter().map(of).sum()
}

/// What nothing ever held is 0.
fn low(range: Option<Range>) -> f64 {
    range.map_or(0.0, |range| range.low.0)
}

fn high(range: Option<Range>) -> f64 {
    range.map_or(0.0, |range| range.high.0)
}

/// What energy cost with batteries of what it would have cost without them, revenue deducted.
fn energy_cost_ratio(grid: &GridResult) -> f64 {
    let Some(bill) = grid.account.bill() else { return 1.0 };
    let cost = |charges: Charges| charges.energy - charges.export_revenue;
    let (with, without) = (cost(bill.with_batteries()), cost(bill.without_batteries()));
    // A site that earns without batteries has no cost that could be a share of.
    if without > 0.0 { with / without } else { 1.0 }
}

fn paid(grid: &GridResult) -> Charges {
    grid.account.bill().map(|bill| bill.with_batteries()).unwrap_or_default()
}

/// What the highest quarter of an hour cost.
fn demand(grid: &GridResult, peak: Option<Peak>) -> f64 {
    grid.account.bill().map_or(0.0, |bill| bill.demand(Watts::of(mean_w(peak))))
}

fn cost(grid: &GridResult) -> f64 {
    let Charges { energy, export_revenue } = paid(grid);
    energy + demand(grid, grid.account.peak()) - export_revenue
}

fn cost_without_batteries(grid: &GridResult) -> f64 {
    let charges = grid.account.bill().map(|bill| bill.without_batteries()).unwrap_or_default();
    let demand = demand(grid, grid.account.peak_without_batteries());
    charges.energy + demand - charges.export_revenue
}

impl Total {
    /// The name with the unit behind it, as tables have it: `import_wh`, `peak_w`, `soc_min`.
    pub fn column(&self) -> String {
        let unit = match self.unit {
            Unit::Power => "_w",
            Unit::ReactivePower => "_var",
            Unit::Energy => "_wh",
            Unit::Voltage => "_pu",
            Unit::Frequency => "_hz",
            Unit::Span => "_s",
            Unit::Share | Unit::Flag | Unit::Number | Unit::Money => "",
        };
        format!("{}{unit}", self.name)
    }

    /// What it came to in a grid.
    pub fn value(&self, grid: &GridResult) -> f64 {
        (self.of)(grid)
    }

    /// What it is missing to say anything, in words; none if there is something to say.
    pub(crate) fn lacks(&self, has: impl Fn(Needs) -> bool) -> Option<String> {
        if has(self.needs) {
            return None;
        }
        Some(match self.needs {
            Needs::Nothing => return None,
            Needs::Tariff => "a `tariff`, which alone knows what energy costs, and there is none".to_owned(),
            Needs::Shaving => "a PeakShaving in the stack".to_owned(),
            Needs::Part(kind) => format!("a {} in the plant", kind.name()),
        })
    }
}

/// The sums that say something about a grid, in the order of the reference.
pub fn of_grid(grid: &GridWorld, tariff: Option<&Tariff>) -> Vec<&'static Total> {
    let components = grid.bus.components();
    let has = |needs| match needs {
        Needs::Nothing => true,
        Needs::Tariff => tariff.is_some(),
        Needs::Shaving => grid.shaving_limit.is_some(),
        Needs::Part(kind) => components.iter().any(|component| kind_of(component) == kind),
    };
    TOTALS.iter().filter(|total| total.lacks(has).is_none()).collect()
}

fn kind_of(component: &Component) -> Kind {
    match component {
        Component::Connection(_) => Kind::Connection,
        Component::Load(_) => Kind::Load,
        Component::Pv(_) => Kind::Pv,
        Component::Battery(_) => Kind::Battery,
        Component::Receiver(_) => Kind::Signal,
        Component::Genset(_) => Kind::Genset,
        Component::Tie(_) => Kind::Tie,
    }
}
