//! A small table: columns as wide as their widest cell, numbers to the right, two spaces between.

use std::fmt;

use super::style::{DIM, paint};

/// How a column is aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows of cells; a row may be shorter than the others.
#[derive(Clone, Debug)]
pub struct Table {
    indent: usize,
    columns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Makes an empty table.
    pub fn new(indent: usize, columns: &[Align]) -> Self {
        Self { indent, columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert!(cells.len() <= self.columns.len(), "a row has no more cells than the table has columns");
        self.rows.push(cells);
    }

    /// The text with its first row as a heading.
    pub fn headed(&self) -> String {
        let text = self.to_string();
        let (heading, rest) = text.split_once('\n').unwrap_or((&text, ""));
        format!("{}\n{rest}", paint(DIM, heading))
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| shown_width(cell)).max().unwrap_or(0)
    }
}

/// How many characters of a cell are seen: those that only color it are not.
fn shown_width(cell: &str) -> usize {
    let mut is_color = false;
    let is_seen = |letter: &char| {
        let starts = *letter == '\u{1b}';
        let was_color = is_color || starts;
        is_color = was_color && *letter != 'm';
        !was_color
    };
    cell.chars().filter(is_seen).count()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        for row in &self.rows {
            let mut line = " ".repeat(self.indent);
            for ((cell, width), align) in row.iter().zip(&widths).zip(&self.columns) {
                let blank = " ".repeat(width.saturating_sub(shown_width(cell)));
                match align {
                    Align::Left => line += &format!("{cell}{blank}  "),
                    Align::Right => line += &format!("{blank}{cell}  "),
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(2, &[Align::Left, Align::Right]);
        table.row(["import", "12.3 MWh"]);
        table.row(["pv", "9 Wh"]);
        assert_eq!(table.to_string(), "  import  12.3 MWh\n  pv          9 Wh\n");
    }

    #[test]
    fn colors_take_no_room() {
        let mut table = Table::new(0, &[Align::Left, Align::Right]);
        table.row([paint(DIM, "lost"), "1".to_owned()]);
        table.row(["rests", "2"]);
        let plain = table.to_string().replace(&paint(DIM, "lost"), "lost");
        assert_eq!(plain, "lost   1\nrests  2\n");
    }
}
