//! Overrides: what a command line, or a scenario's own field `set`, changes in a scenario before it is read.
//!
//! `plant.commerce.bess.capacity=1000kWh` replaces the text of that value, so that what is set is checked like what is
//! written, and a mistake in it names the setting. `site.…` means the site file, wherever it stands. A last name that is not
//! there yet is added, and so are the parts of a scenario that may be left out.
//!
//! `set: { "plant.commerce.bess.capacity": "1000 kWh" }` does the same in a file, over all that the scenario uses; a mistake in
//! it is shown where it stands. The command line comes after it.

use r_ems_engine::Span;
use ron::value::RawValue;

use crate::files::Document;
use crate::mistake::{Mistake, Notes, present};
use crate::node::{Entry, Node, excerpt, options};
use crate::steps::{Step, parsed, shown};

/// Most settings of one run, those of the file and those of the command line each.
pub(crate) const MAX_SETTINGS: usize = 1_000;
/// Most characters of a setting that a message shows.
const MAX_SHOWN_CHARS: usize = 120;

/// Parts of a scenario that may be left out and are made when something in them is set: whether their entries have names in
/// quotes.
const MADE: [(&str, bool); 5] =
    [("links", true), ("clocks", true), ("initial", true), ("tariff", false), ("persistence", false)];

/// What a run changes in its scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Another seed.
    pub seed: Option<u64>,
    /// An earlier end; expectations that could no longer be judged are left out, with a warning.
    pub until: Option<Span>,
    /// Values to set, as `path=value`, in order.
    pub settings: Vec<String>,
    /// Values that a sweep sets in this run, after them; a mistake in one names the sweep.
    pub swept: Vec<String>,
}

/// A setting, and how much of its path leads to the file that it changes.
#[derive(Clone, Debug)]
pub(crate) struct Setting<'s> {
    steps: Vec<Step>,
    value: &'s str,
    by: By<'s>,
    /// `site.`, or nothing.
    prefix: &'static str,
}

/// Who sets it.
#[derive(Clone, Debug)]
enum By<'s> {
    /// An option of the command line, with this text.
    Typed(&'static str, &'s str),
    /// The field `set` of a file: the path, and the value.
    Stated(Node<'s>, Node<'s>),
}

/// A setting as a field `set` states it: its path, and its value in RON.
pub(crate) type Stated = (String, String);

/// What a setting does to a text: the bytes that it replaces, what by, and its value as RON.
struct Edit {
    place: (usize, usize),
    text: String,
    value: String,
}

const SITE: &str = "site.";
/// The field of a scenario that sets values.
const SET: &str = "set";

/// A scenario's text with its settings.
pub(crate) struct Settings<'s> {
    /// In their order: those that its field `set` states, then those of the command line.
    all: Vec<Setting<'s>>,
    /// Where the value of the field stands.
    field: Option<Node<'s>>,
}

impl<'s> Settings<'s> {
    /// Reads what a scenario's file sets, and what a command line does.
    pub(crate) fn read(document: &'s Document, changes: &'s Overrides, notes: &mut Notes) -> Self {
        let mut read = Self { all: Vec::new(), field: None };
        read.read_field(document, notes);
        read.read_typed("--set", &changes.settings, notes);
        read.read_typed("--sweep", &changes.swept, notes);
        read
    }

    fn read_typed(&mut self, option: &'static str, typed: &'s [String], notes: &mut Notes) {
        if typed.len() > MAX_SETTINGS {
            notes.add(Mistake::of_file(option, 0, "", &too_many(typed.len())));
            return;
        }
        for text in typed {
            match parsed(text) {
                Ok((steps, value)) => {
                    self.all.push(Setting { steps, value, by: By::Typed(option, text), prefix: "" });
                }
                Err(message) => notes.add(Mistake::of_file(&name_of(option, text), 0, "", &message)),
            }
        }
    }

    fn read_field(&mut self, document: &'s Document, notes: &mut Notes) {
        // A text that cannot be read, and a field that stands twice, are noted by whoever reads it next.
        let Some(root) = Node::root(document, &mut Notes::default()) else { return };
        let fields = root.try_fields().unwrap_or_default();
        let Some((name, raw)) = fields.into_iter().find(|field| field.0 == SET) else { return };
        if root.name() != "Scenario" {
            return;
        }
        let field = root.child(raw, name);
        let entries = field.map(notes).unwrap_or_default();
        if entries.len() > MAX_SETTINGS {
            field.error(notes, too_many(entries.len()));
        }
        for entry in entries.into_iter().take(MAX_SETTINGS) {
            let value = entry.value.text();
            match parsed(&format!("{}=", entry.name)) {
                // What follows a first sign of equality would be lost.
                Ok((steps, "")) => {
                    self.all.push(Setting {
                        steps,
                        value,
                        by: By::Stated(entry.key, entry.value),
                        prefix: "",
                    });
                }
                Ok(_) => {
                    entry.key.error(notes, format!("expected a path without `=`, got {}", shown(&entry.name)))
                }
                Err(message) => entry.key.error(notes, message),
            }
        }
        self.field = Some(field);
    }

    /// Sets what belongs to the scenario, and hands back what belongs to a site file of its own; what was typed is put down.
    pub(crate) fn apply(
        self,
        document: &Document,
        typed: &mut Vec<Stated>,
        notes: &mut Notes,
    ) -> (Document, Vec<Setting<'s>>) {
        let mut document = document.clone();
        if let Some(field) = self.field {
            // What has been set must not be set again by whoever reads a log.
            let at = field.offset();
            let place = (at, at + field.text().len());
            document = document.replaced_by(place, "{}", field.document().origin(at), 0);
        }
        let mut for_site = Vec::new();
        let has_site_file = has_site_file(&document);
        for mut setting in self.all {
            if has_site_file && setting.steps.len() > 1 && setting.steps[0] == Step::Name("site".into()) {
                setting.steps.remove(0);
                setting.prefix = SITE;
                for_site.push(setting);
            } else {
                document = setting.applied(document, typed, notes);
            }
        }
        (document, for_site)
    }
}

fn too_many(count: usize) -> String {
    format!("expected at most {MAX_SETTINGS} settings, got {count}")
}

/// The settings of a site that a map states, `{ "site.grids.commerce.scan": "10 ms" }`, for the text in which it stands.
pub(crate) fn of_site<'s>(map: &Node<'s>, is_file: bool, notes: &mut Notes) -> Vec<Setting<'s>> {
    let mut all = Vec::new();
    for entry in map.map(notes).unwrap_or_default().into_iter().take(MAX_SETTINGS) {
        let path = format!("{}=", entry.name);
        let steps = parsed(&path).ok().filter(|(_, rest)| rest.is_empty()).map(|found| found.0);
        let Some(mut steps) = steps.filter(|steps| steps.len() > 1 && steps[0] == Step::Name("site".into()))
        else {
            let form = "expected a path into the site such as \"site.grids.commerce.scan\", got";
            entry.key.error(notes, format!("{form} {}", shown(&entry.name)));
            continue;
        };
        let prefix = if is_file { SITE } else { "" };
        if is_file {
            steps.remove(0);
        }
        let value = entry.value.text();
        all.push(Setting { steps, value, by: By::Stated(entry.key, entry.value), prefix });
    }
    all
}

/// What a component is that differs from another in one value; `way` leads to the component.
pub(crate) fn changed(document: Document, way: &[Step], change: &Entry<'_>, notes: &mut Notes) -> Document {
    let path = format!("{}=", change.name);
    let steps = parsed(&path).ok().filter(|(_, rest)| rest.is_empty()).map(|found| found.0);
    let Some(steps) = steps else {
        let form = "expected a path within it such as \"rating\" or \"link.unit\", got";
        change.key.error(notes, format!("{form} {}", shown(&change.name)));
        return document;
    };
    let steps = way.iter().cloned().chain(steps).collect();
    let by = By::Stated(change.key.clone(), change.value.clone());
    Setting { steps, value: change.value.text(), by, prefix: "" }.applied(document, &mut Vec::new(), notes)
}

/// Sets values of a site file.
pub(crate) fn apply(
    document: Document,
    settings: &[Setting<'_>],
    typed: &mut Vec<Stated>,
    notes: &mut Notes,
) -> Document {
    settings.iter().fold(document, |document, setting| setting.applied(document, typed, notes))
}

/// Whether `site` names a file.
fn has_site_file(document: &Document) -> bool {
    let Some(root) = Node::root(document, &mut Notes::default()) else { return false };
    let fields = root.try_fields().unwrap_or_default();
    fields.iter().any(|(name, raw)| *name == "site" && root.child(raw, name).text().starts_with('"'))
}

/// What mistakes call a setting of the command line.
fn name_of(option: &str, text: &str) -> String {
    let mut shown: String =
        text.split(['\n', '\r']).next().unwrap_or_default().chars().take(MAX_SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{option} {shown}")
}

impl Setting<'_> {
    fn applied(&self, document: Document, typed: &mut Vec<Stated>, notes: &mut Notes) -> Document {
        // A text that cannot be read is noted by whoever reads it next.
        let Some(root) = Node::root(&document, &mut Notes::default()) else { return document };
        match (self.edited(&root), &self.by) {
            (Ok(edit), By::Typed(option, text)) => {
                typed.push((path_of(text, self.value).to_owned(), edit.value));
                document.replaced(edit.place, &edit.text, &name_of(option, text))
            }
            (Ok(edit), By::Stated(_, value)) => {
                let origin = value.document().origin(value.offset());
                // What is made around a value stands for its beginning.
                let length = if edit.text == edit.value { edit.value.len() } else { 0 };
                document.replaced_by(edit.place, &edit.text, origin, length)
            }
            (Err(message), By::Typed(option, text)) => {
                notes.add(Mistake::of_file(&name_of(option, text), 0, "", &message));
                document
            }
            (Err(message), By::Stated(key, _)) => {
                key.error(notes, message);
                document
            }
        }
    }

    /// What the setting does to the document.
    fn edited(&self, root: &Node<'_>) -> Result<Edit, String> {
        let steps = &self.steps;
        let Some((last, way)) = steps.split_last() else { return Err("expected path=value".into()) };
        let mut node = root.clone();
        for (number, step) in way.iter().enumerate() {
            node = match child(&node, step, self.prefix) {
                Ok(below) => below,
                Err(message) => {
                    let value = self.ron(Replaced::Nothing)?;
                    return made(&node, steps, number, &value).ok_or(message);
                }
            };
        }
        match child(&node, last, self.prefix) {
            Ok(old) => {
                let is_text = old.text().starts_with('"');
                let value = self.ron(if is_text { Replaced::Text } else { Replaced::Other })?;
                let place = (old.offset(), old.offset() + old.text().len());
                Ok(Edit { place, text: value.clone(), value })
            }
            Err(message) => {
                let value = self.ron(Replaced::Nothing)?;
                let edit = made(&node, steps, way.len(), &value).or_else(|| match last {
                    Step::Name(name) => added(&node, name, &value, &value),
                    Step::Position(_) => None,
                });
                edit.ok_or(message)
            }
        }
    }

    /// The value as RON: in a file it is, on a command line it may be shorter.
    fn ron(&self, replaced: Replaced) -> Result<String, String> {
        match self.by {
            By::Typed(..) => spelled(self.value, replaced),
            By::Stated(..) => Ok(self.value.to_owned()),
        }
    }
}

/// What stands where a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replaced {
    Nothing,
    Text,
    Other,
}

/// The path of a setting that was typed.
fn path_of<'t>(text: &'t str, value: &str) -> &'t str {
    text[..text.len() - value.len()].trim_end_matches('=').trim()
}

/// Makes what is missing from step `number` on in a part of the scenario that may be left out; none if it is no such part.
fn made(node: &Node<'_>, steps: &[Step], number: usize, value: &str) -> Option<Edit> {
    let Some(Step::Name(first)) = steps.first() else { return None };
    let (_, has_entries) = *MADE.iter().find(|part| part.0 == first)?;
    // An entry of a map is a structure, and what is set is a field of it or of a structure below.
    let least = if has_entries { 3 } else { 2 };
    if steps.len() < least || node.try_items().is_some() {
        return None;
    }
    let mut text = value.to_owned();
    for (place, step) in steps.iter().enumerate().skip(number + 1).rev() {
        let Step::Name(name) = step else { return None };
        text = if has_entries && place == 1 {
            format!("{{{name:?}: {text}}}")
        } else {
            format!("({name}: {text})")
        };
    }
    let Step::Name(name) = &steps[number] else { return None };
    added(node, name, &text, value)
}

/// Puts a new name and its value into a node; none if it has no names.
fn added(node: &Node<'_>, name: &str, text: &str, value: &str) -> Option<Edit> {
    let is_structure = node.try_fields().is_some();
    let open = if is_structure { '(' } else { '{' };
    let is_map = !is_structure && node.try_map().is_some();
    if !is_structure && !is_map {
        return None;
    }
    let at = node.offset() + node.text().find(open)? + 1;
    let key = if is_map { format!("{name:?}") } else { name.to_string() };
    Some(Edit { place: (at, at), text: format!("{key}: {text}, "), value: value.to_owned() })
}

/// The value one step further; the error says what is there.
pub(crate) fn child<'t>(node: &Node<'t>, step: &Step, prefix: &str) -> Result<Node<'t>, String> {
    let place = match (node.field(), prefix) {
        ("", "") => "the scenario".to_string(),
        ("", _) => "the site file".to_string(),
        (field, _) => format!("{prefix}{field}"),
    };
    let items = node.try_items();
    let position = match (step, &items) {
        // `expect.0` is what many people try first.
        (Step::Name(name), Some(_)) => name.parse().map_err(|_| {
            format!("{place} is a list: write {place}[0] for its first entry, got \"{}\"", excerpt(name))
        })?,
        (Step::Position(position), _) => *position,
        (Step::Name(name), None) => return named(node, name, &place),
    };
    let items = items.ok_or_else(|| format!("{place} is no list, got [{position}]"))?;
    let count = items.len();
    let missing = || format!("{place} has {count} entries, counted from 0, got [{position}]");
    let raw = items.get(position).ok_or_else(missing)?;
    Ok(node.child(raw, &format!("[{position}]")))
}

fn named<'t>(node: &Node<'t>, name: &str, place: &str) -> Result<Node<'t>, String> {
    let read = |(key, raw): (&'t str, &'t str)| {
        let key_node = node.child(key, "");
        (key_node.parse::<String>().unwrap_or_else(|_| key_node.text().to_string()), raw)
    };
    let pairs = node.try_fields().or_else(|| node.try_map());
    let pairs = pairs.ok_or_else(|| format!("{place} has no names, got {}", shown(name)))?;
    let pairs: Vec<(String, &'t str)> = pairs.into_iter().map(read).collect();
    let known: Vec<&str> = pairs.iter().map(|pair| pair.0.as_str()).collect();
    let missing = || format!("{place} has no {}; {}", shown(name), present(name, &known));
    let found = pairs.iter().find(|pair| pair.0 == name).ok_or_else(missing)?;
    Ok(node.child(found.1, name))
}

/// A value as RON: as it is if it is RON and not a word where a text stands, else in quotes, `1000kWh` as `1000 kWh`.
fn spelled(value: &str, replaced: Replaced) -> Result<String, String> {
    let value = value.trim();
    let first = value.chars().next().unwrap_or(' ');
    let is_word = first.is_ascii_uppercase() || matches!(value, "true" | "false");
    let is_number = value.parse::<f64>().is_ok();
    let is_ron =
        first == '"' || "([{".contains(first) || (replaced != Replaced::Text && (is_word || is_number));
    if is_ron {
        // One value, and nothing behind it that would change what stands beside it.
        return match options().from_str::<&RawValue>(value) {
            Ok(_) => Ok(value.to_string()),
            Err(error) => Err(format!("the value is no RON: {}, got {}", error.code, excerpt(value))),
        };
    }
    let letter = value.find(|letter: char| letter.is_ascii_alphabetic() || letter == '%');
    let split = letter.filter(|at| *at > 0 && value[..*at].parse::<f64>().is_ok());
    Ok(match split {
        Some(at) => format!("{:?}", format!("{} {}", &value[..at], &value[at..])),
        None => format!("{value:?}"),
    })
}
