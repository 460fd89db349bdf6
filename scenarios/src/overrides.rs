//! Overrides: what a command line changes in a scenario before it is read.
//!
//! `plant.commerce.bess.capacity=1000kWh` replaces the text of that value, so that what is set is checked like what is
//! written, and a mistake in it names the setting. `site.…` means the site file, wherever it stands. A last name that is not
//! there yet is added, and so are the parts of a scenario that may be left out.

use r_ems_engine::Span;
use ron::value::RawValue;

use crate::files::Document;
use crate::mistake::{Mistake, Notes, present};
use crate::node::{Node, excerpt, options};
use crate::steps::{Step, parsed, shown};

/// Most settings of one run.
pub(crate) const MAX_SETTINGS: usize = 1_000;
/// Most characters of a setting that a message shows.
const MAX_SHOWN_CHARS: usize = 120;

/// Parts of a scenario that may be left out and are made when something in them is set: whether their entries have names in
/// quotes.
const MADE: [(&str, bool); 4] = [("links", true), ("clocks", true), ("initial", true), ("tariff", false)];

/// What a run changes in its scenario.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Another seed.
    pub seed: Option<u64>,
    /// An earlier end; expectations that could no longer be judged are left out, with a warning.
    pub until: Option<Span>,
    /// Values to set, as `path=value`, in order.
    pub settings: Vec<String>,
}

/// A setting as it was typed, and how much of its path leads to the file that it changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'s> {
    text: &'s str,
    /// `site.`, or nothing.
    prefix: &'static str,
}

/// What a setting does to a text: the bytes that it replaces, and what by.
type Edit = ((usize, usize), String);

const SITE: &str = "site.";

/// Sets what belongs to the scenario and hands back what belongs to a site file of its own.
pub(crate) fn apply_to_scenario<'s>(
    document: Document,
    settings: &'s [String],
    notes: &mut Notes,
) -> (Document, Vec<Setting<'s>>) {
    let mut document = document;
    let mut for_site = Vec::new();
    if settings.len() > MAX_SETTINGS {
        let message = format!("expected at most {MAX_SETTINGS} settings, got {}", settings.len());
        notes.add(Mistake::of_file("--set", 0, "", &message));
        return (document, for_site);
    }
    let has_site_file = has_site_file(&document);
    for text in settings {
        if has_site_file && text.starts_with(SITE) {
            for_site.push(Setting { text, prefix: SITE });
        } else {
            document = applied(document, Setting { text, prefix: "" }, notes);
        }
    }
    (document, for_site)
}

/// Sets values of a site file.
pub(crate) fn apply(document: Document, settings: &[Setting<'_>], notes: &mut Notes) -> Document {
    settings.iter().fold(document, |document, setting| applied(document, *setting, notes))
}

/// Whether `site` names a file.
fn has_site_file(document: &Document) -> bool {
    let Some(root) = Node::root(document, &mut Notes::default()) else { return false };
    let fields = root.try_fields().unwrap_or_default();
    fields.iter().any(|(name, raw)| *name == "site" && root.child(raw, name).text().starts_with('"'))
}

fn applied(document: Document, setting: Setting<'_>, notes: &mut Notes) -> Document {
    // A text that cannot be read is noted by whoever reads it next.
    let Some(root) = Node::root(&document, &mut Notes::default()) else { return document };
    match edited(&root, setting) {
        Ok((place, new)) => document.replaced(place, &new, &setting.name()),
        Err(message) => {
            notes.add(Mistake::of_file(&setting.name(), 0, "", &message));
            document
        }
    }
}

impl Setting<'_> {
    /// What mistakes call it.
    fn name(self) -> String {
        let mut shown: String =
            self.text.split(['\n', '\r']).next().unwrap_or_default().chars().take(MAX_SHOWN_CHARS).collect();
        if shown.len() < self.text.len() {
            shown.push('…');
        }
        format!("--set {shown}")
    }
}

/// What a setting does to the document.
fn edited(root: &Node<'_>, setting: Setting<'_>) -> Result<Edit, String> {
    let (steps, value) = parsed(&setting.text[setting.prefix.len()..])?;
    let Some((last, way)) = steps.split_last() else { return Err("expected path=value".into()) };
    let mut node = root.clone();
    for (number, step) in way.iter().enumerate() {
        node = match child(&node, step, setting.prefix) {
            Ok(below) => below,
            Err(message) => return made(&node, &steps, number, value).unwrap_or(Err(message)),
        };
    }
    match child(&node, last, setting.prefix) {
        Ok(old) => {
            let new = spelled(value, old.text().starts_with('"'))?;
            Ok(((old.offset(), old.offset() + old.text().len()), new))
        }
        Err(message) => match (last, made(&node, &steps, way.len(), value)) {
            (_, Some(edit)) => edit,
            (Step::Name(name), None) => added(&node, name, &spelled(value, false)?).ok_or(message),
            (Step::Position(_), None) => Err(message),
        },
    }
}

/// Makes what is missing from step `number` on in a part of the scenario that may be left out; none if it is no such part.
fn made(node: &Node<'_>, steps: &[Step], number: usize, value: &str) -> Option<Result<Edit, String>> {
    let Some(Step::Name(first)) = steps.first() else { return None };
    let (_, has_entries) = *MADE.iter().find(|part| part.0 == first)?;
    // An entry of a map is a structure, and what is set is a field of it or of a structure below.
    let least = if has_entries { 3 } else { 2 };
    if steps.len() < least || node.try_items().is_some() {
        return None;
    }
    let mut text = match spelled(value, false) {
        Ok(text) => text,
        Err(message) => return Some(Err(message)),
    };
    for (place, step) in steps.iter().enumerate().skip(number + 1).rev() {
        let Step::Name(name) = step else { return None };
        text = if has_entries && place == 1 {
            format!("{{{name:?}: {text}}}")
        } else {
            format!("({name}: {text})")
        };
    }
    let Step::Name(name) = &steps[number] else { return None };
    added(node, name, &text).map(Ok)
}

/// Puts a new name and its value into a node; none if it has no names.
fn added(node: &Node<'_>, name: &str, value: &str) -> Option<Edit> {
    let is_structure = node.try_fields().is_some();
    let open = if is_structure { '(' } else { '{' };
    let is_map = !is_structure && node.try_map().is_some();
    if !is_structure && !is_map {
        return None;
    }
    let at = node.offset() + node.text().find(open)? + 1;
    let key = if is_map { format!("{name:?}") } else { name.to_string() };
    Some(((at, at), format!("{key}: {value}, ")))
}

/// The value one step further; the error says what is there.
fn child<'t>(node: &Node<'t>, step: &Step, prefix: &str) -> Result<Node<'t>, String> {
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
fn spelled(value: &str, replaces_text: bool) -> Result<String, String> {
    let value = value.trim();
    let first = value.chars().next().unwrap_or(' ');
    let is_word = first.is_ascii_uppercase() || matches!(value, "true" | "false");
    let is_number = value.parse::<f64>().is_ok();
    let is_ron = first == '"' || "([{".contains(first) || (!replaces_text && (is_word || is_number));
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
