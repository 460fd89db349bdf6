//! Profiles: columns of CSV files over time, read once and shared by all that use them.
//!
//! Only the columns that somebody names are read into numbers. Size, rows and columns are bounded, because a profile is
//! the one input that people generate by the gigabyte.

use std::sync::Arc;

use r_ems_engine::Span;
use r_ems_engine::wall::WallTime;
use r_ems_sim::sources::{Interpolation, Profile};

use crate::bounds::CELL_MAX;
use crate::files::{Files, MAX_PROFILE_BYTES, MAX_PROFILES_BYTES, resolved};
use crate::later::unknown;
use crate::mistake::{Notes, suggestion};
use crate::moment::Calendar;
use crate::node::{Entry, Fields, Node, excerpt};
use crate::reach::Reach;
use crate::sheet::{Faults, MAX_ROWS, Sheet, found};

/// Most profiles of a scenario.
pub(crate) const MAX_PROFILES: usize = 64;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Which interpolation is right for which data.
const INTERPOLATION_CHOICE: &str = "Step for means over the interval, Linear for instants";

/// A CSV file that a scenario names, with the columns read so far.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    pub(crate) name: String,
    node: Node<'t>,
    sheet: Sheet,
    /// Empty if a row is wrong, which was noted: then columns are read for their mistakes only.
    times: Arc<[Span]>,
    pub(crate) epoch: WallTime,
    pub(crate) interpolation: Interpolation,
    columns: Vec<Column>,
    /// The names of columns that cannot be read, which was noted.
    broken: Vec<String>,
}

/// A column that was read, with the lowest and the highest of its numbers.
#[derive(Debug)]
struct Column {
    name: String,
    profile: Arc<Profile>,
    reach: Reach,
}

/// Reads `Csv(file: …, time: …, epoch: …, interpolation: …)`; `room` is how many bytes all profiles may still have.
pub(crate) fn read<'t>(
    entry: &Entry<'t>,
    files: &dyn Files,
    room: &mut u64,
    notes: &mut Notes,
) -> Option<Table<'t>> {
    if entry.value.name() != "Csv" {
        unknown(&entry.value, "kind of profile", &["Csv"], &[], notes);
        return None;
    }
    let mut fields = entry.value.fields(notes)?;
    let file = fields.required("file", notes);
    let time = fields.required("time", notes);
    let epoch = fields.required("epoch", notes).and_then(|node| read_epoch(&node, notes));
    let interpolation = read_interpolation(&mut fields, notes);
    fields.finish(notes);
    let (file, time) = (file?, time?);
    let path = resolved(file.document().path(), &file.leaf::<String>(notes)?);
    let time_name: String = time.leaf(notes)?;
    let bytes = match files.read(&path, MAX_PROFILE_BYTES.min(*room)) {
        Ok(bytes) => bytes,
        Err(reason) => {
            let is_full = *room < MAX_PROFILE_BYTES;
            let all = format!("; all profiles may have {MAX_PROFILES_BYTES} bytes together");
            let reason = if is_full { reason + &all } else { reason };
            file.error(notes, format!("cannot read \"{path}\": {reason}"));
            return None;
        }
    };
    *room = room.saturating_sub(bytes.len() as u64);
    let sheet = Sheet::read(&path, bytes, notes)?;
    let column = position(&sheet, &time_name, &time, notes)?;
    let times = read_times(&sheet, column, notes).unwrap_or_default();
    Some(Table {
        name: entry.name.clone(),
        node: entry.value.clone(),
        sheet,
        times: times.into(),
        epoch: epoch?,
        interpolation: interpolation?,
        columns: Vec::new(),
        broken: Vec::new(),
    })
}

/// Reads what holds between two rows. There is no default: the choice moves peaks, and with them a bill.
fn read_interpolation(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Interpolation> {
    let Some(node) = fields.optional("interpolation") else {
        fields.node().error(notes, format!("the field `interpolation` is missing: {INTERPOLATION_CHOICE}"));
        return None;
    };
    match node.text() {
        "Step" => Some(Interpolation::Step),
        "Linear" => Some(Interpolation::Linear),
        other => {
            let found = excerpt(other);
            let message = format!("unknown word {found}; allowed: Step, Linear ({INTERPOLATION_CHOICE})");
            node.error(notes, message);
            None
        }
    }
}

fn read_epoch(node: &Node<'_>, notes: &mut Notes) -> Option<WallTime> {
    let text: String = node.leaf(notes)?;
    text.parse().map_err(|error| node.error(notes, format!("{error}"))).ok()
}

impl Table<'_> {
    /// The column of that name; a run that it does not cover is noted.
    pub(crate) fn column(
        &mut self,
        name: &str,
        node: &Node<'_>,
        calendar: Option<&Calendar>,
        notes: &mut Notes,
    ) -> Option<(Arc<Profile>, Reach)> {
        if let Some(known) = self.columns.iter().find(|column| column.name == name) {
            return Some((Arc::clone(&known.profile), known.reach));
        }
        if self.broken.iter().any(|known| known == name) {
            return None;
        }
        let read = position(&self.sheet, name, node, notes)
            .and_then(|position| self.read_values(position, notes))
            .filter(|_values| !self.times.is_empty());
        let Some(values) = read else {
            self.broken.push(name.to_string());
            return None;
        };
        let reach = values.iter().map(|value| Reach::of(*value)).reduce(Reach::or);
        let reach = reach.unwrap_or(Reach::of(0.0));
        let profile = match Profile::new(Arc::clone(&self.times), values) {
            Ok(profile) => Arc::new(profile),
            Err(error) => {
                node.error(notes, format!("\"{}\": {error}", self.sheet.path()));
                return None;
            }
        };
        if let Some(calendar) = calendar.filter(|_calendar| self.columns.is_empty()) {
            self.check_cover(calendar, notes);
        }
        self.columns.push(Column { name: name.to_string(), profile: Arc::clone(&profile), reach });
        Some((profile, reach))
    }

    /// Notes a run that begins before the first row or ends after the last one.
    fn check_cover(&self, calendar: &Calendar, notes: &mut Notes) {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else { return };
        // The last row holds for as long as the one before it did.
        let step = self.times.len().checked_sub(2).map_or(Span::ZERO, |row| *last - self.times[row]);
        let (begin, end) = (self.epoch + *first, self.epoch + *last + step);
        let run_end = calendar.start + calendar.duration;
        if calendar.start < begin || run_end > end {
            let text = |wall: WallTime| wall.local(calendar.zone).to_string();
            let message = format!(
                "the profile covers {} to {}, but the run is from {} to {}",
                text(begin),
                text(end),
                text(calendar.start),
                text(run_end)
            );
            self.node.error(notes, message);
        }
    }

    /// Reads a column of numbers; none if a cell is none, which was noted.
    fn read_values(&self, column: usize, notes: &mut Notes) -> Option<Vec<f64>> {
        let mut values = Vec::with_capacity(self.times.len());
        let mut faults = Faults::of(&self.sheet);
        let name = &self.sheet.header()[column];
        self.sheet.rows(|row| {
            // A row of another length was noted when the table was read.
            let cell = row.cell(column).filter(|_cell| row.len() == self.sheet.header().len());
            let Some(cell) = cell else { return };
            match read_value(cell) {
                Some(value) => values.push(value),
                None => faults.add(row, column, name, || why_no_value(cell), notes),
            }
        });
        faults.finish(notes).then_some(values)
    }
}

/// Where the column stands in its sheet.
fn position(sheet: &Sheet, name: &str, node: &Node<'_>, notes: &mut Notes) -> Option<usize> {
    let found = sheet.header().iter().position(|column| column == name);
    if found.is_none() {
        let known: Vec<&str> = sheet.header().iter().map(String::as_str).collect();
        let allowed = suggestion(name, &known);
        node.error(notes, format!("\"{}\" has no column \"{}\"; {allowed}", sheet.path(), excerpt(name)));
    }
    found
}

/// Reads the column of times, and looks at the length of each row; none if something is wrong, which was noted.
fn read_times(sheet: &Sheet, column: usize, notes: &mut Notes) -> Option<Vec<Span>> {
    let mut times: Vec<Span> = Vec::new();
    let mut faults = Faults::of(sheet);
    let (name, width) = (&sheet.header()[column], sheet.header().len());
    let mut rows = 0;
    sheet.rows(|row| {
        rows += 1;
        if rows > MAX_ROWS {
            if rows == MAX_ROWS + 1 {
                faults.add(row, 0, "", || format!("expected at most {MAX_ROWS} rows"), notes);
            }
            return;
        }
        if row.len() != width {
            let message = || format!("expected {width} cells as in the header, got {}", row.len());
            faults.add(row, row.len().min(width), "", message, notes);
            return;
        }
        let cell = row.cell(column).unwrap_or_default();
        match (read_time(cell), times.last()) {
            (Some(time), Some(last)) if time <= *last => {
                let before = last.as_secs_f64();
                let message = || format!("must be later than the row before, {before}, got {}", found(cell));
                faults.add(row, column, name, message, notes);
            }
            (Some(time), Some(_) | None) => times.push(time),
            (None, Some(_) | None) => {
                let most = Span::MAX.as_nanos() / NANOS_PER_SECOND;
                let message = || format!("expected seconds from 0 to {most}, got {}", found(cell));
                faults.add(row, column, name, message, notes);
            }
        }
    });
    if rows == 0 {
        sheet.error("there are no rows below the header: expected one at least", notes);
        return None;
    }
    faults.finish(notes).then_some(times)
}

/// Seconds since the epoch, exact to the nanosecond.
fn read_time(cell: &str) -> Option<Span> {
    match cell.parse::<u64>() {
        Ok(seconds) => seconds.checked_mul(NANOS_PER_SECOND).map(Span::from_nanos),
        // What is no number at all is refused before a message about it is made.
        Err(_) if !cell.starts_with(|letter: char| letter.is_ascii_digit()) => None,
        Err(_) => format!("{cell} s").parse().ok(),
    }
}

fn read_value(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|value| value.abs() <= CELL_MAX)
}

/// What is wrong with a cell that is no value.
fn why_no_value(cell: &str) -> String {
    let found = found(cell);
    match cell.parse::<f64>() {
        Ok(value) if value.is_finite() => format!("must be from -{CELL_MAX:e} to {CELL_MAX:e}, got {found}"),
        Ok(_) => format!("expected a finite number, got {found}"),
        Err(_) => {
            let is_comma = cell.replacen(',', ".", 1).parse::<f64>().is_ok();
            let hint = if is_comma { "; decimals begin with a point" } else { "" };
            format!("expected a number, got {found}{hint}")
        }
    }
}
