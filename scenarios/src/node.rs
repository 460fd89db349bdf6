//! Nodes: a piece of RON text with its place in its file, opened one level at a time.
//!
//! RON's own parser reads every level; what lies below stays raw text until somebody asks for it. So each item is read
//! on its own, a mistake in one hides none in the next, and the place of a mistake is where its text lies in the file.

use std::collections::BTreeSet;

use ron::extensions::Extensions;
use ron::value::RawValue;
use serde::Deserializer as _;
use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};

use crate::files::Document;
use crate::mistake::{Mistake, Notes, Severity, suggestion};
use crate::unclosed::{self, Unclosed};

/// Deepest nesting of a file; the parser refuses more, so that no text can exhaust the stack.
pub(crate) const MAX_DEPTH: usize = 128;

/// A piece of RON text: one value.
#[derive(Clone, Debug)]
pub(crate) struct Node<'t> {
    document: &'t Document,
    /// The value's text, without what surrounds it.
    text: &'t str,
    /// The way to it: `plant.commerce.bess`.
    field: String,
}

/// How RON is read here: `Some` is implied, and a function's fields stand directly behind its name.
pub(crate) fn options() -> ron::Options {
    ron::Options::default()
        .with_default_extension(Extensions::IMPLICIT_SOME | Extensions::UNWRAP_VARIANT_NEWTYPES)
        .with_recursion_limit(MAX_DEPTH)
}

impl<'t> Node<'t> {
    /// The one value of a document, if its text is RON from the first to the last character.
    pub(crate) fn root(document: &'t Document, notes: &mut Notes) -> Option<Self> {
        match options().from_str::<&RawValue>(document.text()) {
            Ok(raw) => Some(Self::raw(document, raw.get_ron(), String::new())),
            Err(error) => {
                let (offset, message) = syntax_mistake(document.text(), &error);
                notes.add(Mistake::at(document, offset, 1, "", &message));
                None
            }
        }
    }

    fn raw(document: &'t Document, raw: &'t str, field: String) -> Self {
        Self { document, text: raw[blank(raw)..].trim_end(), field }
    }

    /// The value of `raw`, a part of this node's text, as `name` below this node.
    fn below(&self, raw: &'t str, name: &str) -> Self {
        let dot = if self.field.is_empty() || name.is_empty() || name.starts_with('[') { "" } else { "." };
        Self::raw(self.document, raw, format!("{}{dot}{name}", self.field))
    }

    /// The document that holds it.
    pub(crate) fn document(&self) -> &'t Document {
        self.document
    }

    /// Its text.
    pub(crate) fn text(&self) -> &'t str {
        self.text
    }

    /// The way to it.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The name before the parenthesis, or the bare word: `Battery` of `Battery(…)`; empty if there is none.
    pub(crate) fn name(&self) -> &'t str {
        let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
        let end = self.text.find(|letter| !is_name(letter)).unwrap_or(self.text.len());
        let name = &self.text[..end];
        if name.starts_with(|letter: char| letter.is_ascii_digit()) { "" } else { name }
    }

    /// Where it begins in the file.
    pub(crate) fn offset(&self) -> usize {
        self.offset_of(self.text)
    }

    /// Where `part`, a slice of the document's text, begins in it.
    fn offset_of(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.document.text().as_ptr() as usize)
    }

    /// Notes an error here.
    pub(crate) fn error(&self, notes: &mut Notes, message: impl AsRef<str>) {
        notes.add_with(Severity::Error, || self.mistake(message.as_ref()));
    }

    /// Notes a warning here.
    pub(crate) fn warning(&self, notes: &mut Notes, message: impl AsRef<str>) {
        notes.add_with(Severity::Warning, || self.mistake(message.as_ref()));
    }

    /// A mistake here.
    pub(crate) fn mistake(&self, message: &str) -> Mistake {
        // Of a value with several lines the name is marked.
        let first_line = self.text.split('\n').next().unwrap_or_default().trim_end();
        let is_whole = first_line.len() == self.text.len();
        let length = if is_whole { first_line.len() } else { self.name().len().max(1) };
        Mistake::at(self.document, self.offset(), length, &self.field, message)
    }

    /// Reads it as any type that says how; positions in the error count from this node's text.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ron::error::SpannedError> {
        options().from_str(self.text)
    }

    /// The same without one of its fields, of which these are the name and the value: what is left stands where it stood.
    pub(crate) fn parse_without<T: DeserializeOwned>(
        &self,
        (name, value): (&str, &str),
    ) -> Result<T, ron::error::SpannedError> {
        let begins = name.as_ptr() as usize - self.text.as_ptr() as usize;
        let ends = value.as_ptr() as usize - self.text.as_ptr() as usize + value.len();
        let rest = &self.text[ends..];
        let comma =
            rest.find(|letter: char| !letter.is_whitespace()).filter(|at| rest[*at..].starts_with(','));
        let ends = comma.map_or(ends, |at| ends + at + 1);
        let blank: String = self.text[begins..ends]
            .chars()
            .flat_map(|letter| {
                core::iter::repeat_n(if letter == '\n' { '\n' } else { ' ' }, letter.len_utf8())
            })
            .collect();
        options().from_str(&[&self.text[..begins], &blank, &self.text[ends..]].concat())
    }

    /// Where a position that RON reported for this node's text lies in it.
    pub(crate) fn offset_in(&self, position: ron::error::Position) -> usize {
        offset_of(self.text, position.line, position.col)
    }

    /// Opens `Name(field: value, …)` or `(field: value, …)`.
    pub(crate) fn fields(&self, notes: &mut Notes) -> Option<Fields<'t>> {
        let entries = self.try_fields().or_else(|| {
            let name = self.name();
            self.error(notes, format!("expected {name}(field: value, …), got {}", excerpt(self.text)));
            None
        })?;
        let mut fields = Fields { node: self.clone(), entries: Vec::new(), asked: Vec::new() };
        let mut seen = BTreeSet::new();
        for (name, raw) in entries {
            let value = self.below(raw, name);
            if !seen.insert(name) {
                let field = value.field.clone();
                let place = Node { text: name, field, ..self.clone() };
                place.error(notes, "this field stands here a second time; each is given once");
            } else {
                fields.entries.push((name, value));
            }
        }
        Some(fields)
    }

    /// The fields of a structure, unchecked; none if it is none.
    pub(crate) fn try_fields(&self) -> Option<Vec<(&'t str, &'t str)>> {
        let mut reader = self.reader_after_name()?;
        reader.deserialize_struct("", &[], FieldsVisitor).ok()
    }

    /// Opens `Name(value, …)` or `(value, …)`.
    pub(crate) fn positional(&self, notes: &mut Notes) -> Option<Vec<Node<'t>>> {
        let values = self.reader_after_name().and_then(|mut reader| {
            let is_named = self.try_fields().is_some_and(|fields| !fields.is_empty());
            if is_named { None } else { reader.deserialize_tuple(0, ItemsVisitor).ok() }
        });
        let Some(values) = values else {
            self.error(notes, format!("expected {}(value, …), got {}", self.name(), excerpt(self.text)));
            return None;
        };
        // The values have no names of their own; the way to them ends here.
        Some(values.into_iter().map(|raw| Self::raw(self.document, raw, self.field.clone())).collect())
    }

    /// Opens `[value, …]`.
    pub(crate) fn items(&self, notes: &mut Notes) -> Option<Vec<Node<'t>>> {
        let Some(values) = self.try_items() else {
            self.error(notes, format!("expected a list [value, …], got {}", excerpt(self.text)));
            return None;
        };
        let node = |(position, raw): (usize, &'t str)| self.below(raw, &format!("[{position}]"));
        Some(values.into_iter().enumerate().map(node).collect())
    }

    /// The values of a list, unchecked; none if it is none.
    pub(crate) fn try_items(&self) -> Option<Vec<&'t str>> {
        let mut reader = self.reader(self.text)?;
        reader.deserialize_seq(ItemsVisitor).ok()
    }

    /// Opens `{"name": value, …}`; names that stand twice are noted.
    pub(crate) fn map(&self, notes: &mut Notes) -> Option<Vec<Entry<'t>>> {
        let Some(pairs) = self.try_map() else {
            self.error(notes, format!("expected a map {{\"name\": value, …}}, got {}", excerpt(self.text)));
            return None;
        };
        let mut entries: Vec<Entry<'t>> = Vec::new();
        let mut seen = BTreeSet::new();
        for (raw_key, raw) in pairs {
            let key = self.below(raw_key, "");
            let name = key.parse::<String>().unwrap_or_else(|_| {
                let (found, plain) = (excerpt(key.text), key.name());
                let hint = if plain == key.text { format!(" \"{plain}\"") } else { String::new() };
                key.error(notes, format!("expected a name in quotes{hint}, got {found}"));
                plain.to_string()
            });
            // Of a bare word it is plain what is meant: what would follow from its lack is no other mistake.
            if name.is_empty() && key.text != "\"\"" {
                continue;
            }
            let key = self.below(raw_key, &name);
            if !seen.insert(name.clone()) {
                key.error(notes, "this name stands here a second time; each is given once");
            } else {
                entries.push(Entry { value: self.below(raw, &name), key, name });
            }
        }
        Some(entries)
    }

    /// The keys and values of a map, unchecked; none if it is none.
    pub(crate) fn try_map(&self) -> Option<Vec<(&'t str, &'t str)>> {
        let mut reader = self.reader(self.text)?;
        reader.deserialize_map(PairsVisitor).ok()
    }

    /// The value of `raw` as `name` below this node, for whoever opened it unchecked.
    pub(crate) fn child(&self, raw: &'t str, name: &str) -> Self {
        self.below(raw, name)
    }

    fn reader_after_name(&self) -> Option<ron::Deserializer<'t>> {
        let after = &self.text[self.name().len()..];
        self.reader(&after[blank(after)..])
    }

    fn reader(&self, text: &'t str) -> Option<ron::Deserializer<'t>> {
        ron::Deserializer::from_str_with_options(text, &options()).ok()
    }
}

/// One name and value of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'t> {
    /// The name.
    pub(crate) name: String,
    /// Where the name stands.
    pub(crate) key: Node<'t>,
    /// The value.
    pub(crate) value: Node<'t>,
}

/// The fields of one structure; what was not asked for is unknown.
#[derive(Debug)]
pub(crate) struct Fields<'t> {
    node: Node<'t>,
    entries: Vec<(&'t str, Node<'t>)>,
    asked: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    /// The structure that they belong to.
    pub(crate) fn node(&self) -> &Node<'t> {
        &self.node
    }

    /// A field that may be left out.
    pub(crate) fn optional(&mut self, name: &'static str) -> Option<Node<'t>> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.find(name).cloned()
    }

    /// A field that must be there.
    pub(crate) fn required(&mut self, name: &'static str, notes: &mut Notes) -> Option<Node<'t>> {
        let found = self.optional(name);
        if found.is_none() {
            self.node.error(notes, format!("the field `{name}` is missing"));
        }
        found
    }

    /// The field where a mistake of meaning is shown: `name` itself if it is there, else the whole structure.
    pub(crate) fn place(&self, name: &str) -> &Node<'t> {
        self.find(name).unwrap_or(&self.node)
    }

    /// Notes every field that nobody asked for.
    pub(crate) fn finish(self, notes: &mut Notes) {
        for (name, value) in &self.entries {
            if notes.is_full() {
                return;
            }
            if !self.asked.contains(name) {
                let place = Node { text: name, field: value.field.clone(), ..value.clone() };
                place.error(notes, format!("unknown field `{name}`; {}", suggestion(name, &self.asked)));
            }
        }
    }

    fn find(&self, name: &str) -> Option<&Node<'t>> {
        self.entries.iter().find(|entry| entry.0 == name).map(|entry| &entry.1)
    }
}

/// The beginning of a text, as a message quotes it.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 40;
    let line = text.split('\n').next().unwrap_or_default().trim_end();
    let mut shown: String = line.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// How many bytes of blanks and comments stand before a value.
fn blank(text: &str) -> usize {
    let mut rest = text.trim_start();
    loop {
        if rest.starts_with("//") {
            rest = rest.find('\n').map_or("", |end| &rest[end..]).trim_start();
        } else if rest.starts_with("/*") {
            rest = after_block_comment(rest).trim_start();
        } else {
            return text.len() - rest.len();
        }
    }
}

/// What follows a block comment, which may hold others.
pub(crate) fn after_block_comment(text: &str) -> &str {
    let mut depth = 0_u32;
    let mut at = 0;
    while let Some(found) = text[at..].find(['/', '*']).map(|found| at + found) {
        at = match &text.as_bytes()[found..] {
            [b'/', b'*', ..] => {
                depth += 1;
                found + 2
            }
            [b'*', b'/', ..] => {
                depth = depth.saturating_sub(1);
                found + 2
            }
            [..] => found + 1,
        };
        if depth == 0 {
            return &text[at..];
        }
    }
    ""
}

/// The byte at a line and a column, both from 1; columns count characters.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let before = text[line_start..].chars().take(column.saturating_sub(1));
    line_start + before.map(char::len_utf8).sum::<usize>()
}

/// Where a text is no RON, and what that means to somebody who does not know the parser.
fn syntax_mistake(text: &str, error: &ron::error::SpannedError) -> (usize, String) {
    let offset = offset_of(text, error.span.start.line, error.span.start.col);
    if blank(text) == text.len() {
        return (0, "the file is empty: expected Scenario(…) or Site(…)".to_string());
    }
    if matches!(error.code, ron::Error::ExceededRecursionLimit) {
        return (offset, format!("nested too deeply: at most {MAX_DEPTH} levels are allowed"));
    }
    match unclosed::find(text, offset) {
        Some(Unclosed::Text(begin)) => {
            return (begin, "the text that begins here is not closed: expected \" at its end".to_string());
        }
        Some(Unclosed::Bracket(begin, other)) => {
            let bracket = &text[begin..=begin];
            let found = other.map_or("the end of the file".to_string(), |other| {
                let line = text[..other].matches('\n').count() + 1;
                format!("{} in line {line}", &text[other..=other])
            });
            return (begin, format!("the {bracket} that opens here is not closed before {found}"));
        }
        None => {}
    }
    // A name before the colon where a value was expected: `Always("…", except_for: …)`.
    let hint = if text[offset..].starts_with(':') {
        "; named values after an unnamed one stand in parentheses of their own: Always(\"…\", (except_for: \"2 s\"))"
    } else {
        ""
    };
    (offset, format!("this is no RON: {}{hint}", error.code))
}

struct FieldsVisitor;

impl<'t> Visitor<'t> for FieldsVisitor {
    type Value = Vec<(&'t str, &'t str)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("fields")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(Identifier(name)) = access.next_key()? {
            let value: &RawValue = access.next_value()?;
            fields.push((name, value.get_ron()));
        }
        Ok(fields)
    }
}

/// A field's name, borrowed from the text, so that its place is known.
struct Identifier<'t>(&'t str);

impl<'t> serde::Deserialize<'t> for Identifier<'t> {
    fn deserialize<D: serde::Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl<'t> Visitor<'t> for Name {
            type Value = Identifier<'t>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a field's name")
            }
            fn visit_borrowed_str<E>(self, name: &'t str) -> Result<Identifier<'t>, E> {
                Ok(Identifier(name))
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

struct PairsVisitor;

impl<'t> Visitor<'t> for PairsVisitor {
    type Value = Vec<(&'t str, &'t str)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(key) = access.next_key::<&RawValue>()? {
            let value: &RawValue = access.next_value()?;
            pairs.push((key.get_ron(), value.get_ron()));
        }
        Ok(pairs)
    }
}

struct ItemsVisitor;

impl<'t> Visitor<'t> for ItemsVisitor {
    type Value = Vec<&'t str>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("values")
    }

    fn visit_seq<A: SeqAccess<'t>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element::<&RawValue>()? {
            items.push(item.get_ron());
        }
        Ok(items)
    }
}
