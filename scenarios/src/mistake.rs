//! Mistakes: where a file is wrong, what was found there and what is allowed.
//!
//! A reader notes a mistake and goes on, so that one look finds as many as possible. Every mistake knows its place, in
//! characters as editors count them, and carries its line, so that it can be shown without the file.

use std::fmt;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::{Deserialize, Serialize};

use crate::files::Document;

/// Most mistakes that are kept: whoever has more has one cause, or means harm.
pub const MAX_MISTAKES: usize = 100;
/// Most characters of a source line that are shown; of a longer line the part around the mistake.
pub const MAX_SHOWN_CHARS: usize = 160;
/// Most characters of a message: what was found may be a megabyte long.
pub const MAX_MESSAGE_CHARS: usize = 800;

/// Most names that are compared with a wrong one, and most letters of it: ten thousand wrong names must not take seconds.
pub const MAX_SUGGESTED: usize = 48;

/// Whether a file can be used in spite of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but somebody should look.
    Warning,
}

/// One mistake in one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    /// The file, as it was named.
    pub file: String,
    /// Its line, from 1; 0 where the file could not be read.
    pub line: u32,
    /// The column in characters, from 1; 0 where the file could not be read.
    pub column: u32,
    /// The field, such as `plant.commerce.bess.capacity`.
    pub field: String,
    /// What was found and what is allowed.
    pub message: String,
    /// Whether the file can be used in spite of it.
    pub severity: Severity,
    /// The line's text around the mistake.
    #[serde(skip)]
    shown: Shown,
    /// Whether the text is that of another part of the file, which was taken over.
    #[serde(skip)]
    is_copy: bool,
}

/// A part of a line with the marked characters as a byte range in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Shown {
    text: String,
    start: usize,
    end: usize,
}

impl Mistake {
    /// A mistake at `length` bytes from `offset` of a document.
    pub(crate) fn at(document: &Document, offset: usize, length: usize, field: &str, message: &str) -> Self {
        let user =
            document.user(offset).map(|(user, at)| format!("{}:{}", user.path(), line_of(user.text(), at)));
        let is_copy = user.is_some();
        let message =
            &user.map_or_else(|| message.to_owned(), |user| format!("{message}; taken over in {user}"));
        let (document, offset) = document.origin(offset);
        if document.is_setting() {
            return Self::of_file(document.path(), 0, field, message);
        }
        let text = document.text();
        let offset = floor_boundary(text, offset);
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let rest = &text[line_start..];
        let line_text = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = text[line_start..offset].chars().count();
        Self {
            file: document.path().to_string(),
            line: line_of(text, offset),
            column: counted(column + 1),
            field: field.to_string(),
            message: shortened(message),
            severity: Severity::Error,
            shown: Shown::of(line_text, column, length),
            is_copy,
        }
    }

    /// A mistake of a file that cannot be shown, in a line of it if that is known.
    pub(crate) fn of_file(file: &str, line: u32, field: &str, message: &str) -> Self {
        Self {
            file: file.to_string(),
            line,
            column: u32::from(line > 0),
            field: field.to_string(),
            message: shortened(message),
            severity: Severity::Error,
            shown: Shown::default(),
            is_copy: false,
        }
    }

    /// A mistake at `length` bytes in a line of a file that is not kept, from `column` (from 1).
    pub(crate) fn of_line(
        file: &str,
        line: u32,
        (text, column): (&str, usize),
        length: usize,
        field: &str,
        message: &str,
    ) -> Self {
        let before = column.saturating_sub(1);
        Self {
            column: counted(column),
            shown: Shown::of(text, before, length),
            ..Self::of_file(file, line, field, message)
        }
    }

    /// The same with another message.
    pub(crate) fn saying(self, message: &str) -> Self {
        Self { message: shortened(message), ..self }
    }

    /// The same about another field, and as severe.
    pub(crate) fn about(self, field: String, severity: Severity) -> Self {
        Self { field, severity, ..self }
    }

    /// The same as a warning.
    pub(crate) fn into_warning(self) -> Self {
        Self { severity: Severity::Warning, ..self }
    }
}

impl Shown {
    /// The part of `line` around the character at `column`, with `length` bytes from there marked.
    fn of(line: &str, column: usize, length: usize) -> Self {
        let first = column.saturating_sub(MAX_SHOWN_CHARS / 2);
        let text: String = line.chars().skip(first).take(MAX_SHOWN_CHARS).collect();
        let start = text.chars().take(column - first).map(char::len_utf8).sum::<usize>();
        let end = floor_boundary(&text, (start + length.max(1)).min(text.len()));
        Self { end: end.max(start), text, start }
    }
}

impl fmt::Display for Mistake {
    /// `file:line:col: field: message`, and the line with a mark.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        f.write_str(": ")?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        if self.shown.text.is_empty() {
            return Ok(());
        }
        let mark = AnnotationKind::Primary.span(self.shown.start..self.shown.end);
        let line = usize::try_from(self.line).unwrap_or(1);
        let snippet = Snippet::source(self.shown.text.as_str()).line_start(line).annotation(mark);
        let group = Group::with_level(Level::ERROR).element(snippet);
        write!(f, "\n{}", Renderer::plain().render(&[group]))
    }
}

/// All mistakes of a scenario or site file and the files that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The mistakes, in the order of reading: by file, then by meaning.
    pub mistakes: Vec<Mistake>,
}

impl Report {
    /// Whether the file cannot be used.
    pub fn has_errors(&self) -> bool {
        self.mistakes.iter().any(|mistake| mistake.severity == Severity::Error)
    }

    /// How many errors, and how many warnings.
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.mistakes.iter().filter(|mistake| mistake.severity == Severity::Error).count();
        (errors, self.mistakes.len() - errors)
    }
}

impl fmt::Display for Report {
    /// One mistake after the other, a blank line between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, mistake) in self.mistakes.iter().enumerate() {
            let gap = if position > 0 { "\n\n" } else { "" };
            write!(f, "{gap}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

/// Collects mistakes while files are read.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    mistakes: Vec<Mistake>,
    errors: usize,
    /// Mistakes beyond [`MAX_MISTAKES`].
    dropped: usize,
}

impl Notes {
    /// Keeps a mistake, once: two profiles of one file have the same ones.
    pub(crate) fn add(&mut self, mistake: Mistake) {
        if mistake.severity == Severity::Error {
            self.errors += 1;
        }
        // What is wrong where it stands is no other mistake wherever it was taken over.
        let at = (&mistake.file, mistake.line, mistake.column);
        let is_told = |known: &Mistake| !known.is_copy && at == (&known.file, known.line, known.column);
        if self.mistakes.contains(&mistake) || (mistake.is_copy && self.mistakes.iter().any(is_told)) {
            return;
        }
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(mistake);
        } else {
            self.dropped += 1;
        }
    }

    /// Keeps a mistake that is only made if there is room for it: finding its line takes time.
    pub(crate) fn add_with(&mut self, severity: Severity, mistake: impl FnOnce() -> Mistake) {
        if !self.is_full() {
            self.add(Mistake { severity, ..mistake() });
        } else {
            self.dropped += 1;
            self.errors += usize::from(severity == Severity::Error);
        }
    }

    /// Whether nothing more is kept: then looking for more is only work.
    pub(crate) fn is_full(&self) -> bool {
        self.mistakes.len() >= MAX_MISTAKES
    }

    /// How many errors were noted so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Everything that was noted, sorted by file in the order of their first mistake, then by place.
    pub(crate) fn into_report(mut self) -> Report {
        let mut files: Vec<String> = Vec::new();
        for mistake in &self.mistakes {
            if !files.contains(&mistake.file) {
                files.push(mistake.file.clone());
            }
        }
        let rank = |mistake: &Mistake| files.iter().position(|file| *file == mistake.file);
        self.mistakes.sort_by_key(|mistake| (rank(mistake), mistake.line, mistake.column));
        if self.dropped > 0 {
            let file = self.mistakes[0].file.clone();
            let message = format!("{} more mistakes are not shown", self.dropped);
            let mut last = Mistake::of_file(&file, 0, "", &message);
            if self.errors == 0 {
                last = last.into_warning();
            }
            self.mistakes.push(last);
        }
        Report { mistakes: self.mistakes }
    }
}

/// Asks "did you mean" for the allowed name that is nearest to `found`, and lists all allowed ones.
pub(crate) fn suggestion(found: &str, allowed: &[&str]) -> String {
    nearest(found, allowed, "allowed")
}

/// Asks "did you mean" for the name that is nearest to `found`, and lists all that there are.
pub(crate) fn present(found: &str, names: &[&str]) -> String {
    nearest(found, names, "there is")
}

fn nearest(found: &str, allowed: &[&str], listed: &str) -> String {
    let shown = &allowed[..allowed.len().min(MAX_SUGGESTED)];
    let near = shown.iter().map(|name| (distance(found, name), *name)).min();
    let more = if shown.len() < allowed.len() { ", …" } else { "" };
    let list = if allowed.is_empty() { "none".to_string() } else { format!("{}{more}", shown.join(", ")) };
    match near {
        // One letter in three may be wrong: of a shorter name nothing would be left to recognize.
        Some((edits, name)) if edits * 3 <= name.len().max(found.len()) + 1 => {
            format!("did you mean `{name}`? {listed}: {list}")
        }
        Some(_) | None => format!("{listed}: {list}"),
    }
}

/// How many letters must be inserted, removed or replaced; names longer than [`MAX_SUGGESTED`] are far from everything.
fn distance(found: &str, name: &str) -> usize {
    if found.len() > MAX_SUGGESTED {
        return MAX_MESSAGE_CHARS;
    }
    let name: Vec<char> = name.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=name.len()).collect();
    for (line, letter) in found.to_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for column in 0..name.len() {
            let replaced = diagonal + usize::from(name[column] != letter);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[name.len()]
}

/// The line of a place in a text, from 1.
fn line_of(text: &str, offset: usize) -> u32 {
    counted(text[..floor_boundary(text, offset)].matches('\n').count() + 1)
}

fn counted(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// `text` in one line of at most [`MAX_MESSAGE_CHARS`], without control characters: it goes to a terminal.
fn shortened(text: &str) -> String {
    let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
    let mut short: String = text.chars().take(MAX_MESSAGE_CHARS).map(plain).collect();
    if text.chars().nth(MAX_MESSAGE_CHARS).is_some() {
        short.push('…');
    }
    short
}

/// The nearest place at or before `offset` where a character begins.
fn floor_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
