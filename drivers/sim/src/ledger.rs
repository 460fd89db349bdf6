//! The energy checker: no watt-hour may appear or vanish.
//!
//! It sees every segment of a bus and keeps its own books. It takes the powers that the plant publishes, integrates them by
//! itself, and compares every energy that a component states with the integral of its power, segment by segment and over
//! the run:
//!
//! - at both ends of a segment the powers of a bus add up to zero, and so do those of every part that open ties cut off;
//! - through a closed tie flows what all behind it lack;
//! - import and export are the parts of the sum of all other powers below and above zero;
//! - a load is served what it wants on a live bus and nothing on a dead one, and what it misses then is unserved;
//! - a battery stands by while it is ready or runs and is not empty, converts with the loss of its power, and stores what it
//!   charged less what it gave and lost, from where the segment before ended;
//! - on an island, where nothing crosses the connection, those of all others do so by themselves;
//! - the mass of a genset takes up what drives it and does not reach the bus: 2 H S times the change of its speed, as the linear
//!   equation has it;
//! - over the run, what came in went out.
//!
//! It shares no formula with the plant's closed forms: curves are integrated by Gauss's rule, and where the sum changes its
//! sign is found by halving. What only the plant can know, such as the sun, it takes as it is published.
//!
//! It must never change what it checks, and never panic: what it finds is a value.

mod energies;
mod grain;
mod imbalance;
#[cfg(test)]
mod island_tests;
mod quadrature;
#[cfg(test)]
mod section_tests;
mod sides;
mod sign;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use r_ems_engine::Time;

use self::grain::{RUN_GRAIN, SEGMENT_GRAIN};
use self::quadrature::{Decays, integrated};
use self::sides::Sides;
use self::sign::Others;
use crate::plant::{
    Battery, Bus, Component, ComponentIndex, Connection, Genset, Load, Mode, Position, Pv, Supply,
    TAPER_STEPS, Watch,
};

pub use self::energies::Energies;
pub use self::imbalance::{Balance, Imbalance, Kind};

/// What an energy may be off over a run, in Wh; and the share of it that the rule may be.
pub const TOLERANCE_WH: f64 = 1.0;

/// What powers may fail to add up to, as a share of their magnitudes and in W: rounding of a sum.
const TOLERANCE_SHARE: f64 = 1e-9;
const TOLERANCE_W: f64 = 1e-3;

/// What a stated energy may differ from the checker's own in one segment: a share, and Wh.
const SEGMENT_SHARE: f64 = 1e-7;
const SEGMENT_WH: f64 = 1e-4;

const WATT_HOURS_PER_JOULE: f64 = 1.0 / 3_600.0;

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

/// One kind of energy: what is stated, and how much more that is than what the checker integrates.
#[derive(Clone, Copy, Debug, Default)]
struct Book {
    stated: Sum,
    off_wh: f64,
}

/// The checker's own books for one battery.
#[derive(Clone, Debug)]
struct Cell {
    component: ComponentIndex,
    stored_at_start_wh: f64,
    /// What it may be off in a segment, and over a run, in Wh.
    segment_tolerance_wh: f64,
    run_tolerance_wh: f64,
    /// What the last segment left, in J.
    stored_j: f64,
    /// What should be stored more than at the start.
    change: Sum,
    /// Whether the contactors are open because nothing is left.
    reserve: Reserve,
    decays: Decays,
}

/// Whether a battery has anything to stand by with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserve {
    Some,
    /// It was emptied and has not yet been charged by half a step of the taper.
    None,
}

/// One segment of a bus: when it ended, how long it was, and whether there was voltage where a component stands.
#[derive(Clone, Copy, Debug)]
struct Span {
    at: Time,
    span_s: f64,
    half_h: f64,
    supply: Supply,
}

/// Keeps the energies of one bus and checks them.
#[derive(Clone, Debug)]
pub struct Ledger {
    books: [Book; Kind::ALL.len()],
    cells: Vec<Cell>,
    /// The sum of all powers but the connection's, in the segment that is looked at and as far as ties join them to the
    /// connection; kept for its memory.
    others: Others,
    sides: Sides,
    first: Option<Imbalance>,
}

impl Ledger {
    /// Opens the books of `bus` as it stands.
    pub fn new(bus: &Bus) -> Self {
        let mut cells = Vec::new();
        for (index, component) in bus.components().iter().enumerate() {
            let Component::Battery(battery) = component else { continue };
            cells.push(Cell {
                segment_tolerance_wh: SEGMENT_WH + SEGMENT_GRAIN.energy_wh(battery),
                run_tolerance_wh: TOLERANCE_WH + RUN_GRAIN.energy_wh(battery),
                component: ComponentIndex(index as u16),
                stored_at_start_wh: battery.stored_wh(),
                stored_j: battery.stored_j(),
                change: Sum::default(),
                reserve: if battery.stored_j() > 0.0 { Reserve::Some } else { Reserve::None },
                decays: Decays::default(),
            });
        }
        let others = Others::with_room_for(cells.len());
        let books = [Book::default(); Kind::ALL.len()];
        Self { books, cells, others, sides: Sides::new(bus), first: None }
    }

    /// The energies so far, as the plant states them; `bus` is the one that the books were opened for.
    pub fn energies(&self, bus: &Bus) -> Energies {
        let mut stored = Sum::default();
        for cell in &self.cells {
            stored.add(stored_wh(bus, cell.component) - cell.stored_at_start_wh);
        }
        let total = |kind: Kind| self.books[kind as usize].stated.total();
        Energies {
            import_wh: total(Kind::Import),
            export_wh: total(Kind::Export),
            load_wh: total(Kind::Load),
            unserved_wh: total(Kind::Unserved),
            pv_made_wh: total(Kind::Made),
            pv_available_wh: total(Kind::Available),
            charge_wh: total(Kind::Charge),
            discharge_wh: total(Kind::Discharge),
            conversion_wh: total(Kind::Conversion),
            standby_wh: total(Kind::Standby),
            stored_wh: stored.total(),
            generated_wh: total(Kind::Generated),
            absorbed_wh: total(Kind::Absorbed),
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
        for kind in Kind::ALL {
            let Book { stated, off_wh } = self.books[kind as usize];
            let (found_wh, tolerance_wh) = (stated.total(), run_tolerance_wh(stated.total()));
            if !is_near(off_wh, 0.0, tolerance_wh) {
                let expected_wh = found_wh - off_wh;
                return Err(Imbalance { at, what: Balance::Sum(kind), found_wh, expected_wh });
            }
        }
        let energies = self.energies(bus);
        let incoming_wh =
            energies.import_wh + energies.pv_made_wh + energies.discharge_wh + energies.generated_wh;
        let outgoing_wh = energies.export_wh + energies.load_wh + energies.charge_wh + energies.absorbed_wh;
        if !is_near(incoming_wh, outgoing_wh, run_tolerance_wh(outgoing_wh)) {
            let what = Balance::Bus;
            return Err(Imbalance { at, what, found_wh: incoming_wh, expected_wh: outgoing_wh });
        }
        for cell in &self.cells {
            let found_wh = stored_wh(bus, cell.component) - cell.stored_at_start_wh;
            let expected_wh = cell.change.total();
            if !is_near(found_wh, expected_wh, cell.run_tolerance_wh) {
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

    /// Compares what is found with what must be in one segment.
    #[inline]
    fn compare(&mut self, at: Time, what: Balance, found_wh: f64, expected_wh: f64) {
        if !is_near(found_wh, expected_wh, SEGMENT_WH + SEGMENT_SHARE * expected_wh.abs()) {
            self.note(Imbalance { at, what, found_wh, expected_wh });
        }
    }

    /// Books an energy that a component states, beside the checker's own.
    #[inline]
    fn book(&mut self, at: Time, component: ComponentIndex, kind: Kind, found_wh: f64, expected_wh: f64) {
        // Half of the kinds are nothing in most segments.
        if found_wh.abs() + expected_wh.abs() <= 0.0 {
            return;
        }
        self.compare(at, Balance::Stated(component), found_wh, expected_wh);
        let book = &mut self.books[kind as usize];
        book.stated.add(found_wh);
        book.off_wh += found_wh - expected_wh;
    }

    /// Adds a power that is straight to the sum of those that are one with it.
    #[inline]
    fn add_line(&mut self, component: ComponentIndex, ends_w: (f64, f64), energy_wh: f64) {
        self.sides.add(component, ends_w);
        if self.sides.is_at_connection(component) {
            self.others.add_line(ends_w.0, ends_w.1, energy_wh);
        }
    }

    /// Import is what the others lack, export what they have too much.
    #[inline]
    fn connection(&mut self, index: ComponentIndex, connection: &Connection, span: Span) {
        let own = self.others.split(span.span_s);
        let flow = connection.flow();
        self.book(span.at, index, Kind::Import, flow.import_wh, own.lacking_wh);
        self.book(span.at, index, Kind::Export, flow.export_wh, own.left_wh);
    }

    #[inline]
    fn load(&mut self, index: ComponentIndex, load: &Load, span: Span) {
        let flow = load.flow();
        let taken_wh = -(flow.start_w + flow.end_w) * span.half_h;
        let wanted_wh = (flow.demand_start_w + flow.demand_end_w) * span.half_h;
        let (served_wh, unserved_wh) = match (span.supply, load.position()) {
            (Supply::Live, Position::Closed) => (wanted_wh, 0.0),
            (Supply::Live, Position::Open) | (Supply::Dead, _) => (0.0, wanted_wh),
        };
        self.compare(span.at, Balance::Stated(index), taken_wh, served_wh);
        self.book(span.at, index, Kind::Load, flow.served_wh, served_wh);
        self.book(span.at, index, Kind::Unserved, flow.unserved_wh, unserved_wh);
        self.add_line(index, (flow.start_w, flow.end_w), 0.0 - taken_wh);
    }

    #[inline]
    fn plant(&mut self, index: ComponentIndex, plant: &Pv, span: Span) {
        let flow = plant.flow();
        let given_wh = (flow.start_w + flow.end_w) * span.half_h;
        let available_wh = (flow.available_start_w + flow.available_end_w) * span.half_h;
        let made_wh = match span.supply {
            Supply::Live => given_wh,
            Supply::Dead => 0.0,
        };
        self.book(span.at, index, Kind::Made, flow.made_wh, made_wh);
        self.book(span.at, index, Kind::Available, flow.available_wh, available_wh);
        if given_wh > available_wh + SEGMENT_WH {
            let what = Balance::Available(index);
            self.note(Imbalance { at: span.at, what, found_wh: given_wh, expected_wh: available_wh });
        }
        self.add_line(index, (flow.start_w, flow.end_w), given_wh);
    }

    #[inline]
    fn genset(&mut self, index: ComponentIndex, genset: &Genset, span: Span) {
        let (flow, spec) = (genset.flow(), genset.spec());
        let energy_wh = (flow.start_w + flow.end_w) * span.half_h;
        let (given_wh, taken_wh) = if energy_wh > 0.0 { (energy_wh, 0.0) } else { (0.0, 0.0 - energy_wh) };
        self.book(span.at, index, Kind::Generated, flow.generated_wh, given_wh);
        self.book(span.at, index, Kind::Absorbed, flow.absorbed_wh, taken_wh);
        let mass_wh = 2.0 * spec.inertia.as_secs_f64() * spec.rating.watts() * WATT_HOURS_PER_JOULE;
        let driven_wh = (flow.shaft_start_w + flow.shaft_end_w) * span.half_h;
        let stored_wh = mass_wh * (flow.speeds.1 - flow.speeds.0);
        self.compare(span.at, Balance::Mass(index), driven_wh - energy_wh, stored_wh);
        self.add_line(index, (flow.start_w, flow.end_w), energy_wh);
    }

    #[inline]
    fn battery(&mut self, number: usize, battery: &Battery, span: Span) {
        let at = span.at;
        let cell = &mut self.cells[number];
        let (component, tolerance_wh) = (cell.component, cell.segment_tolerance_wh);
        let flow = battery.flow();
        let runs = battery.mode() == Mode::Running;
        let follows = runs && span.supply == Supply::Live;
        let own = integrated(battery, flow, span.span_s, &mut cell.decays);
        let stands_by = runs || battery.mode() == Mode::Ready;
        let standby_wh = cell.standby_w(battery, stands_by) * 2.0 * span.half_h;
        let (energy_wh, loss_wh) = if follows { (own.energy_wh, own.loss_wh) } else { (0.0, 0.0) };
        let change_wh = 0.0 - energy_wh - loss_wh - standby_wh;
        cell.change.add(change_wh);
        let begun_j = core::mem::replace(&mut cell.stored_j, battery.stored_j());
        let (start_j, end_j) = (flow.stored_start_j, battery.stored_j());
        let (discharge_wh, charge_wh) =
            if energy_wh > 0.0 { (energy_wh, 0.0) } else { (0.0, 0.0 - energy_wh) };
        self.compare(at, Balance::Stored(component), (start_j - begun_j) * WATT_HOURS_PER_JOULE, 0.0);
        let found_wh = (end_j - start_j) * WATT_HOURS_PER_JOULE;
        if !is_near(found_wh, change_wh, tolerance_wh + SEGMENT_SHARE * change_wh.abs()) {
            let what = Balance::Stored(component);
            self.note(Imbalance { at, what, found_wh, expected_wh: change_wh });
        }
        self.book(at, component, Kind::Discharge, flow.discharge_wh, discharge_wh);
        self.book(at, component, Kind::Charge, flow.charge_wh, charge_wh);
        self.book(at, component, Kind::Conversion, flow.conversion_wh, loss_wh);
        self.book(at, component, Kind::Standby, flow.standby_wh, standby_wh);
        if !is_near(flow.end_w, own.end_w, TOLERANCE_W + SEGMENT_SHARE * own.end_w.abs()) {
            let what = Balance::Curve(component);
            self.note(Imbalance { at, what, found_wh: flow.end_w, expected_wh: own.end_w });
        }
        self.sides.add(component, (flow.start_w, flow.end_w));
        if self.sides.is_at_connection(component) {
            self.others.add_curve(flow, own.energy_wh);
        }
    }
}

impl Cell {
    /// What a battery loses by standing by in a segment that begins as its flow says, in W.
    ///
    /// An emptied battery opens its contactors and loses nothing more, until it was charged by half a step of the taper.
    #[inline]
    fn standby_w(&mut self, battery: &Battery, stands_by: bool) -> f64 {
        let (spec, stored_j) = (battery.spec(), battery.flow().stored_start_j);
        if stored_j <= 0.0 {
            self.reserve = Reserve::None;
        } else if self.reserve == Reserve::None {
            let step_wh = spec.capacity.watt_hours() * spec.taper.ratio() / f64::from(TAPER_STEPS);
            if stored_j * WATT_HOURS_PER_JOULE >= 0.5 * step_wh * (1.0 - SEGMENT_SHARE) {
                self.reserve = Reserve::Some;
            }
        }
        match self.reserve {
            Reserve::Some if stands_by => spec.losses.standby.ratio() * spec.rating.watts(),
            Reserve::Some | Reserve::None => 0.0,
        }
    }
}

impl Watch for Ledger {
    fn segment(&mut self, bus: &Bus, from: Time, to: Time) {
        let span_s = to.since(from).as_secs_f64();
        let half_h = span_s * (0.5 / 3_600.0);
        self.others.clear();
        self.sides.begin(bus);
        let span_at = |component| Span { at: to, span_s, half_h, supply: bus.mode_at(component).supply() };
        let mut cell = 0;
        for (index, component) in bus.components().iter().enumerate() {
            let number = ComponentIndex(index as u16);
            let span = span_at(number);
            match component {
                Component::Connection(_) | Component::Receiver(_) | Component::Tie(_) => {}
                Component::Load(load) => self.load(number, load, span),
                Component::Pv(plant) => self.plant(number, plant, span),
                Component::Genset(genset) => self.genset(number, genset, span),
                Component::Battery(battery) => {
                    self.battery(cell, battery, span);
                    cell += 1;
                }
            }
        }
        let (index, connection) = (bus.connection_index(), bus.connection());
        self.connection(index, connection, span_at(index));
        let flow = connection.flow();
        let (first_w, last_w) = (self.others.start_w + flow.start_w, self.others.end_w + flow.end_w);
        let largest_w = if first_w.abs() > last_w.abs() { first_w } else { last_w };
        let reach_w = self.others.reach_w + flow.start_w.abs() + flow.end_w.abs();
        if !is_near(largest_w, 0.0, TOLERANCE_W + TOLERANCE_SHARE * reach_w) {
            let what = Balance::Power;
            self.note(Imbalance { at: to, what, found_wh: largest_w, expected_wh: 0.0 });
        }
        if let Some((what, found_wh, expected_wh)) = self.sides.check(bus) {
            self.note(Imbalance { at: to, what, found_wh, expected_wh });
        }
    }
}

fn stored_wh(bus: &Bus, component: ComponentIndex) -> f64 {
    match &bus.components()[usize::from(component.0)] {
        Component::Battery(battery) => battery.stored_wh(),
        Component::Connection(_)
        | Component::Load(_)
        | Component::Pv(_)
        | Component::Receiver(_)
        | Component::Genset(_)
        | Component::Tie(_) => 0.0,
    }
}

/// What an energy of `total_wh` may be off over a run.
fn run_tolerance_wh(total_wh: f64) -> f64 {
    TOLERANCE_WH + SEGMENT_SHARE * total_wh.abs()
}

/// Whether two numbers are closer than `tolerance`; what cannot be compared is not near.
#[inline]
fn is_near(found: f64, expected: f64, tolerance: f64) -> bool {
    (found - expected).abs() <= tolerance
}
