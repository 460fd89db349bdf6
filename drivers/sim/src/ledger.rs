//! The energy checker: no watt-hour may appear or vanish.
//!
//! It sees every segment of a bus and keeps its own books. It takes the powers that the plant publishes, integrates them by
//! itself, and compares: at both ends of each segment the powers of a bus add up to zero; each energy that a component
//! states is the integral of its power; each battery stores what it charged less what it gave and lost; over the run, what
//! came in went out. It shares no formula with the plant's closed forms: curves are integrated by Gauss's rule.
//!
//! It must never change what it checks, and never panic: what it finds is a value.

use alloc::vec::Vec;
use core::fmt;

use r_ems_engine::{Time, math};

use crate::plant::{Battery, BatteryFlow, Bus, Component, ComponentIndex, Pv, Watch};

/// What an energy may be off over a run, in Wh.
pub const TOLERANCE_WH: f64 = 1.0;

/// What powers may fail to add up to, as a share of their magnitudes and in W: rounding of a sum.
const TOLERANCE_SHARE: f64 = 1e-9;
const TOLERANCE_W: f64 = 1e-3;

/// What a stated energy may differ from the checker's own in one segment: a share, and Wh.
const SEGMENT_SHARE: f64 = 1e-7;
const SEGMENT_WH: f64 = 1e-4;

/// Longest part of a lag that one Gauss rule covers, in time constants. The rule's error is then below 1e-7 of the step's energy.
const RULE_TIME_CONSTANTS: f64 = 5.0;

/// Gauss-Legendre nodes and weights with 8 points on [-1, 1] (Abramowitz and Stegun, table 25.4).
const GAUSS: [(f64, f64); 4] = [
    (0.183_434_642_495_649_8, 0.362_683_783_378_362),
    (0.525_532_409_916_329, 0.313_706_645_877_887_3),
    (0.796_666_477_413_626_7, 0.222_381_034_453_374_48),
    (0.960_289_856_497_536_3, 0.101_228_536_290_376_26),
];

/// Which balance is violated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The powers of the bus do not add up to zero; numbers in W.
    Power,
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

/// A sum that loses nothing to rounding (Kahan's, as improved by Neumaier).
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    #[inline]
    fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        self.lost +=
            if self.sum.abs() >= value.abs() { (self.sum - sum) + value } else { (value - sum) + self.sum };
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

/// What is left of a lag at the Gauss points of a segment; scans are regular, so most segments have a length that was
/// seen shortly before.
#[derive(Clone, Copy, Debug, Default)]
struct Decays {
    known: [Nodes; 4],
    oldest: u8,
}

#[derive(Clone, Copy, Debug, Default)]
struct Nodes {
    span_s: f64,
    left: [f64; 8],
    left_at_end: f64,
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

/// One battery's energies of one segment, as the checker integrates them.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    energy_wh: f64,
    loss_wh: f64,
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
        compare(at, Balance::Bus, incoming_wh, outgoing_wh, TOLERANCE_WH)?;
        for cell in &self.cells {
            let found_wh = stored_wh(bus, cell.component) - cell.stored_at_start_wh;
            compare(at, Balance::Stored(cell.component), found_wh, cell.change.total(), TOLERANCE_WH)?;
        }
        Ok(())
    }

    fn note(&mut self, result: Result<(), Imbalance>) {
        if self.first.is_none() {
            self.first = result.err();
        }
    }

    fn balance(&mut self, bus: &Bus, at: Time) {
        let (mut start_w, mut end_w, mut reach_w) = (0.0, 0.0, 0.0);
        for component in bus.components() {
            let (first_w, last_w) = component.ends_w();
            start_w += first_w;
            end_w += last_w;
            reach_w += first_w.abs() + last_w.abs();
        }
        let tolerance_w = TOLERANCE_W + TOLERANCE_SHARE * reach_w;
        let largest_w = if start_w.abs() > end_w.abs() { start_w } else { end_w };
        self.note(compare(at, Balance::Power, largest_w, 0.0, tolerance_w));
    }

    fn plant(&mut self, index: ComponentIndex, plant: &Pv, half_h: f64, at: Time) {
        let flow = plant.flow();
        let made_wh = (flow.start_w + flow.end_w) * half_h;
        let available_wh = (flow.available_start_w + flow.available_end_w) * half_h;
        self.note(stated(at, index, flow.made_wh, made_wh));
        self.note(stated(at, index, flow.available_wh, available_wh));
        if made_wh > available_wh + SEGMENT_WH {
            let what = Balance::Available(index);
            self.note(Err(Imbalance { at, what, found_wh: made_wh, expected_wh: available_wh }));
        }
        self.made.add(made_wh);
        self.available.add(available_wh);
    }

    fn battery(&mut self, number: usize, battery: &Battery, span_s: f64, at: Time) {
        let cell = &mut self.cells[number];
        let flow = battery.flow();
        let own = integrated(battery, flow, span_s, &mut cell.decays);
        let loss_wh = flow.conversion_wh + flow.standby_wh;
        let component = cell.component;
        cell.change.add(-own.energy_wh - loss_wh);
        // Contactors tell whether anything stands by; the rest of the loss is the law's.
        self.note(stated(at, component, flow.discharge_wh - flow.charge_wh, own.energy_wh));
        self.note(stated(at, component, flow.conversion_wh, own.loss_wh));
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
        let half_h = span_s / 7_200.0;
        self.balance(bus, to);
        let mut cell = 0;
        for (index, component) in bus.components().iter().enumerate() {
            let index = ComponentIndex(index as u16);
            match component {
                Component::Connection(connection) => {
                    let flow = connection.flow();
                    self.import.add(flow.import_wh);
                    self.export.add(flow.export_wh);
                    if flow.import_wh < 0.0 || flow.export_wh < 0.0 {
                        self.note(stated(to, index, flow.import_wh, -flow.export_wh));
                    }
                }
                Component::Load(load) => {
                    let flow = load.flow();
                    let served_wh = -(flow.start_w + flow.end_w) * half_h;
                    self.note(stated(to, index, flow.served_wh, served_wh));
                    self.load.add(served_wh);
                    self.unserved.add(flow.unserved_wh);
                }
                Component::Pv(plant) => self.plant(index, plant, half_h, to),
                Component::Battery(battery) => {
                    self.battery(cell, battery, span_s, to);
                    cell += 1;
                }
            }
        }
    }
}

impl Decays {
    /// What is left of a lag of `lag_s` at the Gauss points of `span_s`.
    fn nodes(&mut self, span_s: f64, lag_s: f64) -> Nodes {
        if let Some(nodes) = self.known.iter().find(|nodes| nodes.span_s.to_bits() == span_s.to_bits()) {
            return *nodes;
        }
        let left = |share: f64| math::exp(-span_s * share / lag_s);
        let mut nodes = Nodes { span_s, left: [0.0; 8], left_at_end: left(1.0) };
        for (index, (node, _)) in GAUSS.iter().enumerate() {
            nodes.left[2 * index] = left(0.5 - 0.5 * node);
            nodes.left[2 * index + 1] = left(0.5 + 0.5 * node);
        }
        self.known[usize::from(self.oldest)] = nodes;
        self.oldest = (self.oldest + 1) % self.known.len() as u8;
        nodes
    }
}

/// Integrates a battery's power and its conversion loss over a segment by Gauss's rule.
fn integrated(battery: &Battery, flow: &BatteryFlow, span_s: f64, decays: &mut Decays) -> Own {
    let spec = battery.spec();
    let proportional = spec.losses.proportional.ratio();
    let quadratic_per_w = spec.losses.quadratic.ratio() / spec.rating.watts();
    let loss_w = |power_w: f64| (proportional + quadratic_per_w * power_w.abs()) * power_w.abs();
    if flow.curve.is_settled() {
        let hours = span_s / 3_600.0;
        return Own { energy_wh: flow.end_w * hours, loss_wh: loss_w(flow.end_w) * hours };
    }
    let parts = math::ceil(span_s / (RULE_TIME_CONSTANTS * flow.curve.lag_s));
    let part_s = span_s / parts;
    let nodes = decays.nodes(part_s, flow.curve.lag_s);
    let half_h = part_s / 7_200.0;
    let mut own = Own::default();
    let mut gap_w = flow.start_w - flow.curve.target_w;
    for _ in 0..parts as u32 {
        for (index, (_, weight)) in GAUSS.iter().enumerate() {
            let before_w = flow.curve.target_w + gap_w * nodes.left[2 * index];
            let after_w = flow.curve.target_w + gap_w * nodes.left[2 * index + 1];
            own.energy_wh += weight * half_h * (before_w + after_w);
            own.loss_wh += weight * half_h * (loss_w(before_w) + loss_w(after_w));
        }
        gap_w *= nodes.left_at_end;
    }
    own
}

fn stored_wh(bus: &Bus, component: ComponentIndex) -> f64 {
    match &bus.components()[usize::from(component.0)] {
        Component::Battery(battery) => battery.stored_wh(),
        Component::Connection(_) | Component::Load(_) | Component::Pv(_) => 0.0,
    }
}

fn stated(at: Time, component: ComponentIndex, found_wh: f64, expected_wh: f64) -> Result<(), Imbalance> {
    let tolerance_wh = SEGMENT_WH + SEGMENT_SHARE * expected_wh.abs();
    compare(at, Balance::Stated(component), found_wh, expected_wh, tolerance_wh)
}

/// Accepts what is closer than `tolerance`; what is not comparable is not accepted.
fn compare(
    at: Time,
    what: Balance,
    found_wh: f64,
    expected_wh: f64,
    tolerance: f64,
) -> Result<(), Imbalance> {
    if (found_wh - expected_wh).abs() <= tolerance {
        Ok(())
    } else {
        Err(Imbalance { at, what, found_wh, expected_wh })
    }
}
