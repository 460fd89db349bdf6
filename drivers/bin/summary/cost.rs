//! What a run costs by the scenario's tariff, and what it would have cost without batteries.

use r_ems_engine::units::Watts;
use r_ems_scenarios::Tariff;
use r_ems_sim::account::{Account, Peak};
use r_ems_sim::bill::Charges;
use serde::Serialize;

/// What a grid cost in a run. What batteries store more or less at the end is not valued.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// What all amounts are in.
    pub currency: String,
    /// What is paid.
    #[serde(flatten)]
    pub paid: Amounts,
    /// What would have been paid if the batteries had rested.
    pub without_batteries: Amounts,
    /// How much less that is, negative if it is more.
    pub saved: f64,
}

/// The parts of a bill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Amounts {
    /// For energy drawn.
    pub energy: f64,
    /// Paid for energy fed in.
    pub export_revenue: f64,
    /// For the highest quarter of an hour.
    pub demand: f64,
    /// Energy and demand less revenue.
    pub total: f64,
}

impl Cost {
    /// Takes a grid's costs from its books; none if nobody kept a bill.
    pub(super) fn of(account: &Account, tariff: Option<&Tariff>) -> Option<Self> {
        let (tariff, bill) = (tariff?, account.bill()?);
        let amounts = |charges: Charges, peak: Option<Peak>| {
            let (energy, export_revenue) = (charges.energy, charges.export_revenue);
            let demand = bill.demand(Watts::of(peak.map_or(0.0, |peak| peak.mean_w)));
            Amounts { energy, export_revenue, demand, total: energy + demand - export_revenue }
        };
        let paid = amounts(bill.with_batteries(), account.peak());
        let without_batteries = amounts(bill.without_batteries(), account.peak_without_batteries());
        let saved = without_batteries.total - paid.total;
        Some(Self { currency: tariff.currency.clone(), paid, without_batteries, saved })
    }

    /// The sum of all grids.
    pub(super) fn sum<'a>(costs: impl Iterator<Item = &'a Self>) -> Option<Self> {
        costs.cloned().reduce(|sum, cost| Self {
            currency: sum.currency,
            paid: sum.paid.plus(cost.paid),
            without_batteries: sum.without_batteries.plus(cost.without_batteries),
            saved: sum.saved + cost.saved,
        })
    }
}

impl Amounts {
    fn plus(self, other: Self) -> Self {
        Self {
            energy: self.energy + other.energy,
            export_revenue: self.export_revenue + other.export_revenue,
            demand: self.demand + other.demand,
            total: self.total + other.total,
        }
    }
}
