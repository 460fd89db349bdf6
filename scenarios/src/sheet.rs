//! Sheets: CSV files as text, with a place for each mistake in them.
//!
//! A sheet is read whole and checked once: it is UTF-8, its columns have names of their own, and every row is as long as the
//! header. Mistakes are shown in the sheet's own lines, the first few of each pass, then how many there are.

use csv::{ReaderBuilder, StringRecord};

use crate::mistake::{Mistake, Notes, Severity};
use crate::node::excerpt;

/// Most columns of a sheet.
pub(crate) const MAX_COLUMNS: usize = 256;
/// Most rows of a sheet: a year of 10 s.
pub(crate) const MAX_ROWS: usize = 1 << 22;
/// Most mistakes of one pass over a sheet that are shown; the rest is counted.
pub(crate) const MAX_SHOWN: usize = 10;

/// A CSV file.
#[derive(Debug)]
pub(crate) struct Sheet {
    path: String,
    text: String,
    header: Vec<String>,
}

/// One row: its cells, and where it begins.
pub(crate) struct Row<'s> {
    cells: &'s StringRecord,
    begin: usize,
}

/// The mistakes of one pass.
pub(crate) struct Faults<'s> {
    sheet: &'s Sheet,
    shown: usize,
    more: usize,
    last: Option<Mistake>,
}

impl Sheet {
    /// Reads the text and the header; none if they cannot be used, which was noted.
    pub(crate) fn read(path: &str, bytes: Vec<u8>, notes: &mut Notes) -> Option<Self> {
        let mut sheet =
            Self { path: path.to_string(), text: text_of(path, bytes, notes)?, header: Vec::new() };
        if let Some(at) = too_wide(sheet.text.as_bytes()) {
            let line_begin = sheet.text[..at].rfind(['\n', '\r']).map_or(0, |newline| newline + 1);
            let row = Row { cells: &StringRecord::new(), begin: line_begin };
            notes.add(sheet.mistake(
                &row,
                MAX_COLUMNS,
                "",
                &format!("expected at most {MAX_COLUMNS} columns"),
            ));
            return None;
        }
        let mut names = StringRecord::new();
        let is_read = sheet.reader().read_record(&mut names).is_ok_and(|is_read| is_read);
        if !is_read {
            let message = "the file is empty: expected a header with the names of the columns";
            notes.add(Mistake::of_file(path, 1, "", message));
            return None;
        }
        sheet.header = names.iter().map(|name| name.trim().to_string()).collect();
        let mut faults = Faults::of(&sheet);
        for (column, name) in sheet.header.iter().enumerate() {
            let first = sheet.header.iter().position(|other| other == name).unwrap_or(column);
            // Columns without a name can be used by nobody.
            if first < column && !name.is_empty() {
                let message =
                    || format!("column {} has this name already; each name is given once", first + 1);
                faults.add(&Row::header(&names, &sheet), column, name, message, notes);
            }
        }
        let is_right = faults.finish(notes);
        is_right.then_some(sheet)
    }

    /// The path as it was resolved.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The names of the columns.
    pub(crate) fn header(&self) -> &[String] {
        &self.header
    }

    /// Passes all rows below the header, whatever their length.
    pub(crate) fn rows(&self, mut each: impl FnMut(&Row<'_>)) {
        let mut reader = self.reader();
        let mut cells = StringRecord::new();
        let mut is_header = true;
        // The text is UTF-8 and rows may have any length: reading cannot fail.
        while reader.read_record(&mut cells).is_ok_and(|is_read| is_read) {
            if !core::mem::take(&mut is_header) {
                each(&Row { cells: &cells, begin: self.begin_of(&cells) });
            }
        }
    }

    /// Notes a mistake of the whole sheet, at its header.
    pub(crate) fn error(&self, message: &str, notes: &mut Notes) {
        let row = Row { cells: &StringRecord::new(), begin: 0 };
        notes.add(self.mistake(&row, 0, "", message));
    }

    fn reader(&self) -> csv::Reader<&[u8]> {
        ReaderBuilder::new().has_headers(false).flexible(true).from_reader(self.text.as_bytes())
    }

    /// Where a row begins: behind the line ends that the reader has not passed yet.
    fn begin_of(&self, cells: &StringRecord) -> usize {
        let at =
            cells.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(usize::MAX));
        let rest = self.text.as_bytes().get(at..).unwrap_or_default();
        at + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
    }

    /// A mistake at a cell of a row.
    fn mistake(&self, row: &Row<'_>, column: usize, field: &str, message: &str) -> Mistake {
        let begin = row.begin.min(self.text.len());
        let line = self.text.as_bytes()[..begin].iter().filter(|byte| **byte == b'\n').count() + 1;
        let text = self.text.get(begin..).unwrap_or_default().split('\n').next().unwrap_or_default();
        let text = text.trim_end_matches('\r');
        let (from, to) = cell_in(text, column);
        let before = text[..from].chars().count();
        let line = u32::try_from(line).unwrap_or(u32::MAX);
        Mistake::of_line(&self.path, line, (text, before + 1), to - from, field, message)
    }
}

impl<'s> Row<'s> {
    fn header(cells: &'s StringRecord, sheet: &Sheet) -> Self {
        Self { cells, begin: sheet.begin_of(cells) }
    }

    /// The text of a cell; none if the row is shorter.
    pub(crate) fn cell(&self, column: usize) -> Option<&'s str> {
        self.cells.get(column).map(str::trim)
    }

    /// How many cells it has.
    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }
}

impl<'s> Faults<'s> {
    /// None so far.
    pub(crate) fn of(sheet: &'s Sheet) -> Self {
        Self { sheet, shown: 0, more: 0, last: None }
    }

    /// Notes a mistake at a cell of a row; its message is made only if it is shown.
    pub(crate) fn add(
        &mut self,
        row: &Row<'_>,
        column: usize,
        field: &str,
        message: impl FnOnce() -> String,
        notes: &mut Notes,
    ) {
        if self.shown < MAX_SHOWN {
            self.shown += 1;
            notes.add_with(Severity::Error, || self.sheet.mistake(row, column, field, &message()));
            return;
        }
        self.more += 1;
        if self.more == 1 {
            self.last = Some(self.sheet.mistake(row, column, field, &message()));
        }
    }

    /// Says how many more there are, and whether there was none at all.
    pub(crate) fn finish(self, notes: &mut Notes) -> bool {
        if let Some(last) = self.last {
            let message = match self.more {
                1 => last.message.clone(),
                more => format!("{}; and {} more in this file", last.message, more - 1),
            };
            notes.add(last.saying(&message));
        }
        self.shown == 0
    }
}

/// The bytes as text without a byte-order mark; what is no UTF-8 is noted with the byte.
fn text_of(path: &str, bytes: Vec<u8>, notes: &mut Notes) -> Option<String> {
    let error = match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.remove(0);
            }
            return Some(text);
        }
        Err(error) => error,
    };
    let bytes = error.as_bytes();
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        notes.add(Mistake::of_file(path, 1, "", "must be UTF-8 text, but this is UTF-16"));
        return None;
    }
    let at = error.utf8_error().valid_up_to();
    let line_begin = bytes[..at].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    let line = bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
    let rest = bytes[line_begin..].split(|byte| matches!(byte, b'\n' | b'\r')).next().unwrap_or_default();
    let before = String::from_utf8_lossy(&bytes[line_begin..at]).chars().count();
    let message = format!("must be UTF-8 text, got the byte 0x{:02X}", bytes[at]);
    let line = u32::try_from(line).unwrap_or(u32::MAX);
    let shown = String::from_utf8_lossy(rest);
    notes.add(Mistake::of_line(path, line, (&shown, before + 1), 1, "", &message));
    None
}

/// Where the first cell is that is one too many in its row: sixty million commas are not worth a cell each.
fn too_wide(bytes: &[u8]) -> Option<usize> {
    enum Cell {
        Begins,
        Plain,
        Quoted,
        /// A quotation mark ended it, or is the first of two.
        Unquoted,
    }
    let (mut cell, mut cells) = (Cell::Begins, 1);
    for (at, byte) in bytes.iter().enumerate() {
        cell = match (cell, byte) {
            (Cell::Quoted, b'"') => Cell::Unquoted,
            (Cell::Quoted, _) | (Cell::Begins | Cell::Unquoted, b'"') => Cell::Quoted,
            (_, b',') => {
                cells += 1;
                Cell::Begins
            }
            (_, b'\n' | b'\r') => {
                cells = 1;
                Cell::Begins
            }
            (_, _) => Cell::Plain,
        };
        if cells > MAX_COLUMNS {
            return Some(at);
        }
    }
    None
}

/// Where a cell of a line begins and ends in it, without the blanks around it; the line's end if it has fewer.
fn cell_in(line: &str, column: usize) -> (usize, usize) {
    let (mut begin, mut cell, mut is_quoted) = (0, 0, false);
    let mut end = line.len();
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted && cell == column => {
                end = at;
                break;
            }
            ',' if !is_quoted => {
                cell += 1;
                begin = at + 1;
            }
            _ => {}
        }
    }
    if cell < column {
        return (line.len(), line.len());
    }
    let text = &line[begin..end];
    let trimmed = text.trim_start();
    (end - trimmed.len(), end - trimmed.len() + trimmed.trim_end().len())
}

/// What was found in a cell, as a message says it.
pub(crate) fn found(cell: &str) -> String {
    if cell.is_empty() { "nothing".to_string() } else { format!("\"{}\"", excerpt(cell)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_found_whatever_stands_before_it() {
        let line = "0, \"a,b\" ,x ,";
        let cell = |column| {
            let (from, to) = cell_in(line, column);
            &line[from..to]
        };
        assert_eq!([cell(0), cell(1), cell(2), cell(3), cell(4)], ["0", "\"a,b\"", "x", "", ""]);
    }
}
