//! Looks at the plant's truth at regular instants: the curve of a summary, and the rows of a table.
//!
//! **Looking changes nothing.** The plant moves when somebody measures or commands it; to move it for a look would cut its
//! segments elsewhere and round its sums otherwise. A row therefore shows the plant as it stood when the first delivery at or
//! after the row's instant had been handled; `csv` says which instants that can be.

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome};
use r_ems_engine::{Span, Time};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::ledger::Energies;

use super::csv::Rows;

/// A simulated world that is looked at while it runs.
pub struct Sampled {
    /// The world.
    pub world: SimDriver,
    curves: Vec<Curve>,
    curve_step: Span,
    next_point: Time,
    rows: Option<Rows>,
    next_look: Time,
}

/// The power at a grid's connection over a run, with and without its batteries.
#[derive(Clone, Debug, Default)]
pub struct Curve {
    /// Mean power of each piece in W, positive = import.
    pub with: Vec<f64>,
    /// The same if the batteries had rested.
    pub without: Vec<f64>,
    last: Energies,
}

/// The shortest piece of a curve: what a grid operator bills.
pub const CURVE_STEP_MIN: Span = Span::from_mins(15);
/// A curve never has more pieces than this, however long the run.
pub const CURVE_PIECES_MAX: u64 = 1_024;

impl Sampled {
    /// Looks at a world of `grids` grids; `rows` are written while it runs.
    pub fn new(world: SimDriver, grids: usize, rows: Option<Rows>) -> Self {
        let length = world.end().since(Time::ZERO);
        let quarters = length.whole(CURVE_STEP_MIN);
        let curve_step = CURVE_STEP_MIN * quarters.div_ceil(CURVE_PIECES_MAX).max(1);
        Self {
            world,
            curves: vec![Curve::default(); grids],
            curve_step,
            next_point: Time::ZERO + curve_step,
            rows,
            next_look: Time::ZERO,
        }
    }

    /// Ends looking: the world, the curves by grid, and the rows that are to be closed.
    pub fn into_parts(self) -> (SimDriver, Vec<Curve>, Option<Rows>) {
        (self.world, self.curves, self.rows)
    }

    #[cold]
    fn look(&mut self) {
        let now = self.world.now();
        while self.next_point <= now {
            for (grid, curve) in self.curves.iter_mut().enumerate() {
                curve.extend(self.world.energies(grid), self.curve_step);
            }
            self.next_point += self.curve_step;
        }
        if let Some(rows) = &mut self.rows {
            rows.write_until(now, &self.world);
        }
        let next_row = self.rows.as_ref().map_or(Time::MAX, Rows::next);
        self.next_look = self.next_point.min(next_row);
    }
}

impl Curve {
    fn extend(&mut self, energies: Energies, step: Span) {
        let hours = step.as_hours_f64();
        let power = |now: f64, before: f64| (now - before) / hours;
        let last = &self.last;
        let with = power(energies.import_wh - energies.export_wh, last.import_wh - last.export_wh);
        let battery = power(energies.discharge_wh - energies.charge_wh, last.discharge_wh - last.charge_wh);
        self.with.push(with);
        self.without.push(with + battery);
        self.last = energies;
    }
}

impl Driver for Sampled {
    #[inline]
    fn next(&mut self) -> Option<Delivery<'_>> {
        if self.world.now() >= self.next_look {
            self.look();
        }
        self.world.next()
    }

    #[inline]
    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.world.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.world.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        SimDriver::contain(run)
    }
}
