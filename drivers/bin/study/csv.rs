//! The table of a run's truth: one row for each instant, one column for each value of each component.
//!
//! **What a row shows.** `time_s` and `local` are the instants that were asked for. The values are the plant as it stood when
//! the first delivery to a controller at or after that instant had been handled. The plant moves when somebody measures or
//! commands it, so they are of the latest measurement or command up to that delivery: one latency before the instant where a
//! scan falls on it, and at most one scan after it. All columns of a grid, counters included, are of that one state.
//!
//! Columns are `time_s`, `local`, then `grid/component.point` with the unit at the end: `_w` (positive into the bus; limits
//! and available power as magnitudes), `_wh`, or nothing for shares (0 to 1) and flags (0 or 1). Each grid also has the
//! counters of its energy meters since the run's start, from which means over any time follow exactly:
//! `grid.import_wh` and so on.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use r_ems_engine::wall::{TimeZone, WallTime};
use r_ems_engine::{Span, Time};
use r_ems_sim::driver::SimDriver;
use r_ems_sim::ledger::Energies;
use r_ems_sim::plant::{ComponentIndex, Quantity, TruthPoint};

use crate::exit::{Failure, WRITTEN};

/// What a table needs to know of a run.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The wall clock at the run's start.
    pub start: WallTime,
    /// How far the site's clocks are ahead of UTC.
    pub offset: TimeZone,
    /// The grids' names and their components' names.
    pub grids: Vec<(String, Vec<String>)>,
}

/// A table that is being written.
pub struct Rows {
    path: PathBuf,
    file: BufWriter<File>,
    frame: Frame,
    step: Span,
    next: Time,
    points: Vec<Vec<TruthPoint>>,
    /// The first thing that went wrong; nothing is written after it.
    failed: Option<io::Error>,
}

/// All quantities in the order of their columns.
const QUANTITIES: [(Quantity, &str); 24] = [
    (Quantity::Power, "p_w"),
    (Quantity::SetPoint, "set_point_w"),
    (Quantity::AvailablePower, "available_w"),
    (Quantity::Demand, "demand_w"),
    (Quantity::ChargeLimit, "charge_limit_w"),
    (Quantity::DischargeLimit, "discharge_limit_w"),
    (Quantity::StateOfCharge, "soc"),
    (Quantity::ReportedStateOfCharge, "reported_soc"),
    (Quantity::StoredEnergy, "stored_wh"),
    (Quantity::Curtailed, "curtailed"),
    (Quantity::Closed, "closed"),
    (Quantity::ReactivePower, "q_var"),
    (Quantity::Voltage, "v_pu"),
    (Quantity::Frequency, "f_hz"),
    (Quantity::ReactiveSetPoint, "q_set_point_var"),
    (Quantity::Signal, "signal"),
    (Quantity::State, "state"),
    (Quantity::Waiting, "waiting"),
    (Quantity::Trips, "trips"),
    (Quantity::Starts, "starts"),
    (Quantity::RunningHours, "hours"),
    (Quantity::Fuel, "fuel_l"),
    (Quantity::GridVoltage, "grid_v_pu"),
    (Quantity::GridFrequency, "grid_f_hz"),
];

impl Rows {
    /// Begins a table with its heading in an empty file.
    pub fn begin(path: &Path, file: File, frame: Frame, step: Span, world: &SimDriver) -> Self {
        let points = (0..frame.grids.len()).map(|grid| points_of(world, grid)).collect();
        let mut rows = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            frame,
            step,
            next: Time::ZERO,
            points,
            failed: None,
        };
        let heading = rows.heading();
        rows.line(&heading);
        rows
    }

    /// When the next row is due.
    pub const fn next(&self) -> Time {
        self.next
    }

    /// Writes every row that is due.
    pub fn write_until(&mut self, now: Time, world: &SimDriver) {
        while self.next <= now {
            let row = self.row(world);
            self.line(&row);
            self.next += self.step;
        }
    }

    /// Closes the table.
    ///
    /// # Errors
    /// The first thing that went wrong since it was begun.
    pub fn close(mut self) -> Result<(), Failure> {
        let flushed = self.file.flush();
        match self.failed.map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(error) => Err(Failure::file(&self.path, WRITTEN, &error)),
        }
    }

    fn line(&mut self, line: &str) {
        if self.failed.is_none() {
            self.failed = writeln!(self.file, "{line}").err();
        }
    }

    fn heading(&self) -> String {
        let mut cells = vec!["time_s".to_owned(), "local".to_owned()];
        for ((grid, components), points) in self.frame.grids.iter().zip(&self.points) {
            for point in points {
                let component = &components[usize::from(point.component().0)];
                let name = QUANTITIES.iter().find(|known| known.0 == point.quantity());
                let name = name.expect("points are made from this very list").1;
                cells.push(quoted(&format!("{grid}/{component}.{name}")));
            }
            let counters = meters(&Energies::default());
            cells.extend(counters.iter().map(|(name, _)| quoted(&format!("{grid}.{name}"))));
        }
        cells.join(",")
    }

    fn row(&self, world: &SimDriver) -> String {
        let since = self.next.since(Time::ZERO);
        let local = (self.frame.start + since).local(self.frame.offset);
        let mut cells = vec![format!("{}", since.as_secs_f64()), format!("{local}")];
        for (grid, points) in self.points.iter().enumerate() {
            let bus = world.bus(grid);
            cells.extend(points.iter().map(|point| format!("{}", bus.value(*point))));
            cells.extend(meters(&world.energies(grid)).iter().map(|(_, value)| format!("{value}")));
        }
        cells.join(",")
    }
}

/// Every value that a grid's bus has.
fn points_of(world: &SimDriver, grid: usize) -> Vec<TruthPoint> {
    let bus = world.bus(grid);
    let components = (0..bus.components().len()).map(|index| ComponentIndex(index as u16));
    let points = components
        .flat_map(|component| QUANTITIES.iter().filter_map(move |known| bus.truth(component, known.0)));
    points.collect()
}

/// The counters of a grid's energy meters.
fn meters(energies: &Energies) -> [(&'static str, f64); 6] {
    [
        ("import_wh", energies.import_wh),
        ("export_wh", energies.export_wh),
        ("load_wh", energies.load_wh),
        ("pv_made_wh", energies.pv_made_wh),
        ("charge_wh", energies.charge_wh),
        ("discharge_wh", energies.discharge_wh),
    ]
}

/// A cell that may hold a comma or a quotation mark.
pub(super) fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
