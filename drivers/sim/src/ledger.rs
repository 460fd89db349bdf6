//! The energy checker: no watt-hour may appear or vanish.
//!
//! It sees every segment of a bus and keeps its own books. It takes the powers that the plant publishes, integrates them by
//! itself, and compares: at both ends of each segment the powers of a bus add up to zero; each energy that a component
//! states is the integral of its power; each battery stores what it charged less what it gave and lost; over the run, what
//! came in went out. It shares no formula with the plant's closed forms: curves are integrated by Gauss's rule.
//!
//! It must never change what it checks, and never panic: what it finds is a value.

mod quadrature;

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::Time;

use self::quadrature::{Decays, integrated};
use crate::plant::{Battery, Bus, Component, ComponentIndex, Connection, ConnectionFlow, Load, Pv, Watch};

/// What an energy may be off over a run, in Wh.
pub const TOLERANCE_WH: f64 = 1.0;

/// What powers may fail to add up to, as a share of their magnitudes and in W: rounding of a sum.
const TOLERANCE_SHARE: f64 = 1e-9;
const TOLERANCE_W: f64 = 1e-3;

/// What a stated energy may differ from the checker's own in one segment: a share, and Wh.
const SEGMENT_SHARE: f64 = 1e-7;
const SEGMENT_WH: f64 = 1e-4;

/// Which balance is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The powers of the bus do not add up to zero; numbers in W.
    Power,
    /// A battery's power ends elsewhere than its curve; numbers in W.
    Curve(ComponentIndex),
    /// What came into the bus is not what left it.
    Bus,
    /// A component states another energy than its power makes.
    Stated(ComponentIndex),
    /// A battery stores something else than it charged less what it gave and lost.
    Stored(ComponentIndex),
    /// A plant makes more than there is.
    Available(ComponentIndex),
}

/// An energy, or a power, that is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Imbalance {
    /// When it was found.
    pub at: Time,
    /// What does not balance.
    pub what: Balance,
    /// What the plant says, in Wh.
    pub found_wh: f64,
    /// What it should be, in Wh.
    pub expected_wh: f64,
}

impl fmt::Display for Imbalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what, found_wh, expected_wh } = self;
        write!(f, "energy is not conserved at {at} ({what:?}): expected {expected_wh} Wh, got {found_wh} Wh")
    }
}

impl core::error::Error for Imbalance {}

/// Energies by kind since the run's start, in Wh.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Energies {
    /// Drawn from the grid.
    pub import_wh: f64,
    /// Fed into the grid.
    pub export_wh: f64,
    /// Taken by loads.
    pub load_wh: f64,
    /// Wanted by loads while the bus was dead.
    pub unserved_wh: f64,
    /// Made by photovoltaic plants.
    pub pv_made_wh: f64,
    /// What they could have made.
    pub pv_available_wh: f64,
    /// Taken from the bus by batteries.
    pub charge_wh: f64,
    /// Given to the bus by batteries.
    pub discharge_wh: f64,
    /// Lost by batteries' conversion.
    pub conversion_wh: f64,
    /// Lost by batteries' standing by.
    pub standby_wh: f64,
    /// What batteries store more than at the start.
    pub stored_wh: f64,
}

impl Energies {
    /// What photovoltaic plants could have made and did not.
    pub fn pv_curtailed_wh(&self) -> f64 {
        self.pv_available_wh - self.pv_made_wh
    }
}

/// A sum that loses nothing to rounding: what each addition loses is kept beside it (Knuth's two-sum).
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    #[inline]
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let added = sum - self.sum;
        self.lost += (self.sum - (sum - added)) + (value - added);
        self.sum = sum;
    }

    fn total(self) -> f64 {
        self.sum + self.lost
    }
}

/// The checker's own books for one battery.
#[derive(Clone, Copy, Debug)]
struct Cell {
    component: ComponentIndex,
    stored_at_start_wh: f64,
    /// What should be stored more than at the start.
    change: Sum,
    decays: Decays,
}

/// Keeps the energies of one bus and checks them.
#[derive(Clone, Debug)]
pub struct Ledger {
    import: Sum,
    export: Sum,
    load: Sum,
    unserved: Sum,
    made: Sum,
    available: Sum,
    charge: Sum,
    discharge: Sum,
    conversion: Sum,
    standby: Sum,
    cells: Vec<Cell>,
    first: Option<Imbalance>,
}

impl Ledger {
    /// Opens the books of `bus` as it stands.
    pub fn new(bus: &Bus) -> Self {
        let cells = bus
            .components()
            .iter()
            .enumerate()
            .filter_map(|(index, component)| match component {
                Component::Battery(battery) => Some(Cell {
                    component: ComponentIndex(index as u16),
                    stored_at_start_wh: battery.stored_wh(),
                    change: Sum::default(),
                    decays: Decays::default(),
                }),
                Component::Connection(_) | Component::Load(_) | Component::Pv(_) => None,
            })
            .collect();
        let zero = Sum::default();
        Self {
            import: zero,
            export: zero,
            load: zero,
            unserved: zero,
            made: zero,
            available: zero,
            charge: zero,
            discharge: zero,
            conversion: zero,
            standby: zero,
            cells,
            first: None,
        }
    }

    /// The energies so far; `bus` is the one that the books were opened for.
    pub fn energies(&self, bus: &Bus) -> Energies {
        let mut stored = Sum::default();
        for cell in &self.cells {
            stored.add(stored_wh(bus, cell.component) - cell.stored_at_start_wh);
        }
        Energies {
            import_wh: self.import.total(),
            export_wh: self.export.total(),
            load_wh: self.load.total(),
            unserved_wh: self.unserved.total(),
            pv_made_wh: self.made.total(),
            pv_available_wh: self.available.total(),
            charge_wh: self.charge.total(),
            discharge_wh: self.discharge.total(),
            conversion_wh: self.conversion.total(),
            standby_wh: self.standby.total(),
            stored_wh: stored.total(),
        }
    }

    /// Checks the balances over the run so far.
    ///
    /// # Errors
    /// The first [`Imbalance`], of a segment or of the run.
    pub fn check(&self, bus: &Bus) -> Result<(), Imbalance> {
        if let Some(first) = self.first {
            return Err(first);
        }
        let at = bus.now();
        let incoming_wh = self.import.total() + self.made.total() + self.discharge.total();
        let outgoing_wh = self.export.total() + self.load.total() + self.charge.total();
        if !is_near(incoming_wh, outgoing_wh, TOLERANCE_WH) {
            let what = Balance::Bus;
            return Err(Imbalance { at, what, found_wh: incoming_wh, expected_wh: outgoing_wh });
        }
        for cell in &self.cells {
            let found_wh = stored_wh(bus, cell.component) - cell.stored_at_start_wh;
            let expected_wh = cell.change.total();
            if !is_near(found_wh, expected_wh, TOLERANCE_WH) {
                let what = Balance::Stored(cell.component);
                return Err(Imbalance { at, what, found_wh, expected_wh });
            }
        }
        Ok(())
    }

    /// Remembers the first imbalance.
    #[cold]
    fn note(&mut self, imbalance: Imbalance) {
        self.first.get_or_insert(imbalance);
    }

    /// Compares an energy that a component states with the checker's own.
    #[inline]
    fn stated(&mut self, at: Time, component: ComponentIndex, found_wh: f64, expected_wh: f64) {
        if !is_near(found_wh, expected_wh, SEGMENT_WH + SEGMENT_SHARE * expected_wh.abs()) {
            self.note(Imbalance { at, what: Balance::Stated(component), found_wh, expected_wh });
        }
    }

    #[inline]
    fn connection(&mut self, index: ComponentIndex, connection: &Connection, at: Time) {
        let ConnectionFlow { import_wh, export_wh, .. } = *connection.flow();
        if import_wh < 0.0 || export_wh < 0.0 {
            self.note(Imbalance {
                at,
                what: Balance::Stated(index),
                found_wh: import_wh,
                expected_wh: -export_wh,
            });
        }
        self.import.add(import_wh);
        self.export.add(export_wh);
    }

    #[inline]
    fn load(&mut self, index: ComponentIndex, load: &Load, half_h: f64, at: Time) {
        let flow = load.flow();
        let served_wh = -(flow.start_w + flow.end_w) * half_h;
        self.stated(at, index, flow.served_wh, served_wh);
        self.load.add(served_wh);
        self.unserved.add(flow.unserved_wh);
    }

    #[inline]
    fn plant(&mut self, index: ComponentIndex, plant: &Pv, half_h: f64, at: Time) {
        let flow = plant.flow();
        let made_wh = (flow.start_w + flow.end_w) * half_h;
        let available_wh = (flow.available_start_w + flow.available_end_w) * half_h;
        self.stated(at, index, flow.made_wh, made_wh);
        self.stated(at, index, flow.available_wh, available_wh);
        if made_wh > available_wh + SEGMENT_WH {
            let what = Balance::Available(index);
            self.note(Imbalance { at, what, found_wh: made_wh, expected_wh: available_wh });
        }
        self.made.add(made_wh);
        self.available.add(available_wh);
    }

    #[inline]
    fn battery(&mut self, number: usize, battery: &Battery, span_s: f64, at: Time) {
        let cell = &mut self.cells[number];
        let flow = battery.flow();
        let own = integrated(battery, flow, span_s, &mut cell.decays);
        let component = cell.component;
        cell.change.add(-own.energy_wh - flow.conversion_wh - flow.standby_wh);
        // Only the contactors tell whether anything stands by; the rest of the loss follows from the power.
        self.stated(at, component, flow.discharge_wh - flow.charge_wh, own.energy_wh);
        self.stated(at, component, flow.conversion_wh, own.loss_wh);
        if !is_near(flow.end_w, own.end_w, TOLERANCE_W + SEGMENT_SHARE * own.end_w.abs()) {
            let what = Balance::Curve(component);
            self.note(Imbalance { at, what, found_wh: flow.end_w, expected_wh: own.end_w });
        }
        if own.energy_wh > 0.0 {
            self.discharge.add(own.energy_wh);
        } else {
            self.charge.add(0.0 - own.energy_wh);
        }
        self.conversion.add(flow.conversion_wh);
        self.standby.add(flow.standby_wh);
    }
}

impl Watch for Ledger {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let span_s = to.since(from).as_secs_f64();
        let half_h = span_s * (0.5 / 3_600.0);
        let (mut start_w, mut end_w, mut reach_w) = (0.0, 0.0, 0.0);
        let mut cell = 0;
        for (index, component) in bus.components().iter().enumerate() {
            let number = ComponentIndex(index as u16);
            match component {
                Component::Connection(connection) => self.connection(number, connection, to),
                Component::Load(load) => self.load(number, load, half_h, to),
                Component::Pv(plant) => self.plant(number, plant, half_h, to),
                Component::Battery(battery) => {
                    self.battery(cell, battery, span_s, to);
                    cell += 1;
                }
            }
            let (first_w, last_w) = component.ends_w();
            start_w += first_w;
            end_w += last_w;
            reach_w += first_w.abs() + last_w.abs();
        }
        let largest_w: f64 = if f64::abs(start_w) > f64::abs(end_w) { start_w } else { end_w };
        if !is_near(largest_w, 0.0, TOLERANCE_W + TOLERANCE_SHARE * reach_w) {
            let what = Balance::Power;
            self.note(Imbalance { at: to, what, found_wh: largest_w, expected_wh: 0.0 });
        }
    }
}

fn stored_wh(bus: &Bus, component: ComponentIndex) -> f64 {
    match &bus.components()[usize::from(component.0)] {
        Component::Battery(battery) => battery.stored_wh(),
        Component::Connection(_) | Component::Load(_) | Component::Pv(_) => 0.0,
    }
}

/// Whether two numbers are closer than `tolerance`; what cannot be compared is not near.
#[inline]
fn is_near(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plant::BatterySpec;
    use crate::sources::Source;
    use alloc::vec;
    use r_ems_engine::Span;
    use r_ems_engine::units::{Ratio, WattHours, Watts};

    const BATTERY: ComponentIndex = ComponentIndex(0);

    fn bus(soc: f64) -> Bus {
        let spec = BatterySpec::new(WattHours::of(100e3), Watts::of(50e3), Ratio::of(soc));
        let load = Source::constant(20e3).expect("a finite constant");
        Bus::new(vec![
            Component::Battery(Battery::new(spec).expect("a valid battery")),
            Component::Load(Load::new(load)),
            Component::Connection(Connection::new(Watts::of(50e3)).expect("a valid connection")),
        ])
        .expect("one connection")
    }

    fn hours(hours: u64) -> Time {
        Time::ZERO + Span::from_hours(hours)
    }

    #[test]
    fn a_run_that_conserves_energy_is_accepted_and_its_energies_add_up() {
        let mut bus = bus(0.5);
        let mut ledger = Ledger::new(&bus);
        bus.command(BATTERY, Watts::of(30e3), hours(0), &mut ledger);
        bus.advance(hours(1), &mut ledger);
        assert_eq!(ledger.check(&bus), Ok(()));
        let energies = ledger.energies(&bus);
        let expected_wh = energies.load_wh + energies.export_wh;
        assert!((energies.discharge_wh + energies.import_wh - expected_wh).abs() < 1e-6);
        assert!(energies.export_wh > 9.9e3 && energies.import_wh > 0.0, "{energies:?}");
    }

    #[test]
    fn an_energy_that_does_not_follow_from_the_power_is_found() {
        let mut bus = bus(0.5);
        let mut ledger = Ledger::new(&bus);
        bus.advance(hours(1), &mut ());
        // The segment lasted an hour; the ledger is told that it was a second longer.
        ledger.segment(&bus, hours(0), hours(1) + Span::from_secs(1));
        let found = ledger.check(&bus).expect_err("the load states the energy of one hour");
        assert_eq!(found.what, Balance::Stated(ComponentIndex(1)));
        assert!((found.expected_wh - found.found_wh - 20e3 / 3_600.0).abs() < 1e-9, "{found}");
    }

    #[test]
    fn energy_that_appears_in_a_battery_is_found_from_one_watt_hour_on() {
        let ledger = Ledger::new(&bus(0.5));
        assert_eq!(ledger.check(&bus(0.500_009)), Ok(()));
        let found = ledger.check(&bus(0.500_011)).expect_err("1.1 Wh came from nowhere");
        assert_eq!(found.what, Balance::Stored(BATTERY));
    }

    #[test]
    fn a_segment_that_is_kept_from_the_ledger_is_found_in_the_battery() {
        let mut bus = bus(0.5);
        let mut ledger = Ledger::new(&bus);
        bus.command(BATTERY, Watts::of(30e3), hours(0), &mut ledger);
        bus.advance(hours(1), &mut ());
        bus.advance(hours(2), &mut ledger);
        assert!(ledger.check(&bus).is_err());
    }

    #[test]
    fn a_sum_keeps_what_plain_addition_loses() {
        let mut sum = Sum::default();
        sum.add(1e16);
        for _ in 0..1_000 {
            sum.add(1.0);
        }
        sum.add(-1e16);
        assert!((sum.total() - 1_000.0).abs() < 1e-9);
    }
}
