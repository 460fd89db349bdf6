//! What the energy over a grid's connection costs, with its batteries and without them.
//!
//! Prices hold from one instant to the next change, and a price per energy has no unit here: whoever sets it knows the
//! currency. Both bills are of the same run: the one without batteries takes load and photovoltaics as they were. What is
//! stored at the end more than at the start is in neither.
//!
//! Energies are those of the plant, exact between events, also where a price changes inside a segment.

use alloc::vec::Vec;

use r_ems_engine::Time;
use r_ems_engine::units::Watts;

use crate::plant::{ConnectionFlow, Motion};

/// Prices per kWh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Of what is drawn from the grid.
    pub import: f64,
    /// Of what is fed into it.
    pub export: f64,
}

/// Prices from an instant on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceChange {
    /// The first instant that they hold for.
    pub from: Time,
    /// The prices.
    pub prices: Prices,
}

/// Sums of one bill, in the currency of the prices.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Charges {
    /// For energy drawn.
    pub energy: f64,
    /// Paid for energy fed in.
    pub export_revenue: f64,
}

/// The bills of one grid.
#[derive(Clone, Debug)]
pub struct Bill {
    changes: Vec<PriceChange>,
    /// The first change that is still to come.
    next: usize,
    prices: Prices,
    /// Of each kW of the highest mean over a quarter of an hour.
    demand_per_kw: f64,
    with: Charges,
    without: Charges,
}

const W_PER_KW: f64 = 1e3;
const KWH_PER_J: f64 = 1.0 / 3.6e6;
const KWH_PER_WH: f64 = 1e-3;

impl Bill {
    /// Opens the bills; before the first of `changes`, which are in time order, energy is free.
    ///
    /// # Units     demand_per_kw: the price of each kW of the highest mean import over a quarter of an hour
    pub fn new(changes: Vec<PriceChange>, demand_per_kw: f64) -> Self {
        let mut bill = Self {
            changes,
            next: 0,
            prices: Prices::default(),
            demand_per_kw,
            with: Charges::default(),
            without: Charges::default(),
        };
        bill.pass(Time::ZERO);
        bill
    }

    /// What was paid.
    pub fn with_batteries(&self) -> Charges {
        self.with
    }

    /// What would have been paid without batteries.
    pub fn without_batteries(&self) -> Charges {
        self.without
    }

    /// What the highest mean import over a quarter of an hour costs.
    pub fn demand(&self, peak: Watts) -> f64 {
        peak.watts() / W_PER_KW * self.demand_per_kw
    }

    /// Books a segment: what crossed the connection, and its power with batteries and without.
    pub(crate) fn book(
        &mut self,
        flow: &ConnectionFlow,
        (with, without): (&Motion<'_>, &Motion<'_>),
        from: Time,
        to: Time,
    ) {
        let mut begun_s = 0.0;
        while self.next_change() < to {
            let change = self.next_change();
            let part = (begun_s, change.since(from).as_secs_f64());
            self.with.add_part(with, part, self.prices);
            self.without.add_part(without, part, self.prices);
            begun_s = part.1;
            self.pass(change);
        }
        let rest = (begun_s, with.span_s);
        if begun_s > 0.0 {
            self.with.add_part(with, rest, self.prices);
        } else {
            // The plant's own energies need no integral.
            self.with.add(flow.import_wh * KWH_PER_WH, flow.export_wh * KWH_PER_WH, self.prices);
        }
        self.without.add_part(without, rest, self.prices);
        self.pass(to);
    }

    fn next_change(&self) -> Time {
        self.changes.get(self.next).map_or(Time::MAX, |change| change.from)
    }

    /// Takes the prices that hold from `at` on.
    fn pass(&mut self, at: Time) {
        while let Some(change) = self.changes.get(self.next)
            && change.from <= at
        {
            self.prices = change.prices;
            self.next += 1;
        }
    }
}

impl Charges {
    fn add(&mut self, import_kwh: f64, export_kwh: f64, prices: Prices) {
        self.energy += import_kwh * prices.import;
        self.export_revenue += export_kwh * prices.export;
    }

    fn add_part(&mut self, motion: &Motion<'_>, (from_s, to_s): (f64, f64), prices: Prices) {
        let net_j = motion.integral_within(from_s, to_s);
        let import_j = motion.above_within(0.0, from_s, to_s).integral;
        self.add(import_j * KWH_PER_J, (import_j - net_j) * KWH_PER_J, prices);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Account;
    use crate::plant::{Battery, BatterySpec, Bus, Component, ComponentIndex, Connection, Load};
    use crate::sources::Source;
    use alloc::vec;
    use r_ems_engine::Span;
    use r_ems_engine::units::{Ratio, WattHours};

    fn hours(hours: u64) -> Time {
        Time::ZERO + Span::from_hours(hours)
    }

    fn change(from: Time, import: f64, export: f64) -> PriceChange {
        PriceChange { from, prices: Prices { import, export } }
    }

    /// A load of 20 kW for two hours, with a battery that gives 50 kW in the second; 30 kW are then fed in.
    fn billed(changes: Vec<PriceChange>) -> Bill {
        let mut spec = BatterySpec::new(WattHours::of(200e3), Watts::of(50e3), Ratio::of(0.9));
        spec.lag = Span::ZERO;
        spec.dead_time = Span::ZERO;
        let load = Source::constant(20e3).expect("a finite constant");
        let mut bus = Bus::new(vec![
            Component::Battery(Battery::new(spec).expect("a valid battery")),
            Component::Load(Load::new(load)),
            Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
        ])
        .expect("one connection");
        let mut account = Account::new(&bus, hours(1), None);
        account.keep_bill(Bill::new(changes, 0.0));
        bus.command(ComponentIndex(0), Watts::of(50e3), hours(1), &mut account);
        bus.advance(hours(2), &mut account);
        account.bill().cloned().expect("it was opened")
    }

    fn near(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    #[test]
    fn what_is_drawn_is_paid_and_what_is_fed_in_earns() {
        let bill = billed(vec![change(Time::ZERO, 0.3, 0.1)]);
        let (with, without) = (bill.with_batteries(), bill.without_batteries());
        assert!(near(with.energy, 6.0) && near(with.export_revenue, 3.0), "{with:?}");
        assert!(near(without.energy, 12.0) && near(without.export_revenue, 0.0), "{without:?}");
    }

    #[test]
    fn a_price_holds_from_its_instant_to_the_next_one_even_inside_a_segment() {
        let half = |halves: u64| Time::ZERO + Span::from_mins(30 * halves);
        let bill =
            billed(vec![change(Time::ZERO, 0.3, 0.1), change(half(1), 0.5, 0.1), change(half(3), 0.7, 0.2)]);
        let (with, without) = (bill.with_batteries(), bill.without_batteries());
        assert!(near(with.energy, 10.0 * 0.3 + 10.0 * 0.5), "{with:?}");
        assert!(near(with.export_revenue, 15.0 * 0.1 + 15.0 * 0.2), "{with:?}");
        assert!(near(without.energy, 10.0 * 0.3 + 20.0 * 0.5 + 10.0 * 0.7), "{without:?}");
    }

    #[test]
    fn before_the_first_price_energy_is_free() {
        assert!(near(billed(vec![change(hours(1), 0.3, 0.0)]).with_batteries().energy, 0.0));
    }
}
