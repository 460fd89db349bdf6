//! Profiles: columns of CSV files over time, read once and shared by all that use them.
//!
//! Only the columns that somebody names are read into memory. Size, rows and columns are bounded, because a profile is
//! the one input that people generate by the gigabyte.

use std::sync::Arc;

use r_ems_engine::Span;
use r_ems_engine::wall::WallTime;
use r_ems_sim::sources::{Interpolation, Profile};

use crate::bounds::CELL_MAX;
use crate::files::{Files, MAX_PROFILE_BYTES, resolved};
use crate::mistake::{Mistake, Notes, suggestion};
use crate::moment::Calendar;
use crate::node::{Entry, Fields, Node, excerpt};
use crate::reach::Reach;

/// Most columns of a profile.
pub(crate) const MAX_PROFILE_COLUMNS: usize = 256;
/// Most rows of a profile: a year of 10 s.
pub(crate) const MAX_PROFILE_ROWS: usize = 1 << 22;
/// Most profiles of a scenario.
pub(crate) const MAX_PROFILES: usize = 64;

/// Which interpolation is right for which data.
const INTERPOLATION_CHOICE: &str = "Step for means over the interval, Linear for instants";

/// A CSV file that a scenario names, with the columns read so far.
#[derive(Debug)]
pub(crate) struct Table<'t> {
    pub(crate) name: String,
    node: Node<'t>,
    path: String,
    bytes: Vec<u8>,
    header: Vec<String>,
    times: Arc<[Span]>,
    pub(crate) epoch: WallTime,
    pub(crate) interpolation: Interpolation,
    columns: Vec<Column>,
}

/// A column that was read, with the lowest and the highest of its numbers.
#[derive(Debug)]
struct Column {
    name: String,
    profile: Arc<Profile>,
    reach: Reach,
}

/// Reads `Csv(file: …, time: …, epoch: …, interpolation: …)`.
pub(crate) fn read<'t>(entry: &Entry<'t>, files: &dyn Files, notes: &mut Notes) -> Option<Table<'t>> {
    let name = entry.value.name();
    if name != "Csv" {
        let found = excerpt(if name.is_empty() { entry.value.text() } else { name });
        let message = format!("unknown kind of profile `{found}`; {}", suggestion(&found, &["Csv"]));
        entry.value.error(notes, message);
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
    let bytes = match files.read(&path, MAX_PROFILE_BYTES) {
        Ok(bytes) => bytes,
        Err(reason) => {
            file.error(notes, format!("cannot read \"{path}\": {reason}"));
            return None;
        }
    };
    let mut table = Table {
        name: entry.name.clone(),
        node: entry.value.clone(),
        path,
        bytes,
        header: Vec::new(),
        times: Arc::from([]),
        epoch: epoch?,
        interpolation: interpolation?,
        columns: Vec::new(),
    };
    table.header = table.read_header(&file, notes)?;
    let column = table.position(&time_name, &time, notes)?;
    table.times = table.read_column(column, &time, notes, read_time)?.into();
    Some(table)
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
        let position = self.position(name, node, notes)?;
        let values = self.read_column(position, node, notes, read_value)?;
        let reach = values.iter().map(|value| Reach::of(*value)).reduce(Reach::or);
        let reach = reach.unwrap_or(Reach::of(0.0));
        let profile = match Profile::new(Arc::clone(&self.times), values) {
            Ok(profile) => Arc::new(profile),
            Err(error) => {
                node.error(notes, format!("\"{}\": {error}", self.path));
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

    fn read_header(&self, file: &Node<'_>, notes: &mut Notes) -> Option<Vec<String>> {
        let mut reader = csv::ReaderBuilder::new().from_reader(self.plain_bytes());
        let header = match reader.headers() {
            Ok(header) => header,
            Err(error) => {
                file.error(notes, format!("\"{}\" is no CSV: {error}", self.path));
                return None;
            }
        };
        if header.len() > MAX_PROFILE_COLUMNS {
            let found = header.len();
            let message =
                format!("\"{}\" may have at most {MAX_PROFILE_COLUMNS} columns, got {found}", self.path);
            file.error(notes, message);
            return None;
        }
        Some(header.iter().map(|name| name.trim().to_string()).collect())
    }

    /// Where the column stands in its file.
    fn position(&self, name: &str, node: &Node<'_>, notes: &mut Notes) -> Option<usize> {
        let found = self.header.iter().position(|column| column == name);
        if found.is_none() {
            let known: Vec<&str> = self.header.iter().map(String::as_str).collect();
            let message = format!(
                "\"{}\" has no column \"{}\"; {}",
                self.path,
                excerpt(name),
                suggestion(name, &known)
            );
            node.error(notes, message);
        }
        found
    }

    fn read_column<T>(
        &self,
        column: usize,
        node: &Node<'_>,
        notes: &mut Notes,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut reader = csv::ReaderBuilder::new().from_reader(self.plain_bytes());
        let mut record = csv::ByteRecord::new();
        let mut values = Vec::new();
        loop {
            let line = u32::try_from(reader.position().line()).unwrap_or(u32::MAX);
            match reader.read_byte_record(&mut record) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    notes.add(Mistake::of_file(&self.path, line, &self.header[column], &error.to_string()));
                    return None;
                }
            }
            if values.len() == MAX_PROFILE_ROWS {
                node.error(notes, format!("\"{}\" may have at most {MAX_PROFILE_ROWS} rows", self.path));
                return None;
            }
            let cell = record.get(column).and_then(|cell| std::str::from_utf8(cell).ok()).unwrap_or_default();
            let Some(value) = read(cell.trim()) else {
                let line = record.position().map_or(line, |at| u32::try_from(at.line()).unwrap_or(u32::MAX));
                let message =
                    format!("expected a finite number, for a time 0 or more, got \"{}\"", excerpt(cell));
                notes.add(self.cell_mistake(line, column, &message));
                return None;
            };
            values.push(value);
        }
        Some(values)
    }

    /// A mistake in a cell, with its line.
    fn cell_mistake(&self, line: u32, column: usize, message: &str) -> Mistake {
        let lines = &mut self.plain_bytes().split(|byte| *byte == b'\n');
        let row = usize::try_from(line).unwrap_or(usize::MAX).saturating_sub(1);
        let text = String::from_utf8_lossy(lines.nth(row).unwrap_or_default());
        let text = text.trim_end_matches('\r');
        // Quoted cells may hold commas; then the line's beginning is marked.
        let is_plain = !text.contains('"');
        let before = text.split(',').take(if is_plain { column } else { 0 });
        let place = before.map(|cell| cell.chars().count() + 1).sum::<usize>() + 1;
        Mistake::of_line(&self.path, line, (text, place), &self.header[column], message)
    }

    /// The file without a byte-order mark.
    fn plain_bytes(&self) -> &[u8] {
        self.bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&self.bytes)
    }
}

/// Seconds since the epoch, exact to the nanosecond.
fn read_time(cell: &str) -> Option<Span> {
    match cell.parse::<u64>() {
        Ok(seconds) => seconds.checked_mul(1_000_000_000).map(Span::from_nanos),
        Err(_) => format!("{cell} s").parse().ok(),
    }
}

fn read_value(cell: &str) -> Option<f64> {
    cell.parse::<f64>().ok().filter(|value| value.abs() <= CELL_MAX)
}
