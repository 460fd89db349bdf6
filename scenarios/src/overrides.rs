//! Overrides: what a command line changes in a scenario before it is read.
//!
//! `plant.commerce.bess.capacity=1000kWh` replaces the text of that value, so that what is set is checked like what is
//! written. `site.…` means the site file, wherever it stands. A last name that is not there yet is added.

use r_ems_engine::Span;

use crate::files::Document;
use crate::mistake::{Mistake, Notes, suggestion};
use crate::node::{Node, excerpt};

/// Most settings of one run.
pub(crate) const MAX_SETTINGS: usize = 1_000;

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

/// A step on the way to a value.
enum Step<'p> {
    Name(&'p str),
    Position(usize),
}

/// Sets what belongs to the scenario and hands back what belongs to a site file of its own.
pub(crate) fn apply_to_scenario(
    document: Document,
    settings: &[String],
    notes: &mut Notes,
) -> (Document, Vec<String>) {
    let mut document = document;
    let mut for_site = Vec::new();
    if settings.len() > MAX_SETTINGS {
        refuse("", &format!("expected at most {MAX_SETTINGS} settings, got {}", settings.len()), notes);
        return (document, for_site);
    }
    let has_site_file = has_site_file(&document);
    for setting in settings {
        match setting.strip_prefix("site.") {
            Some(rest) if has_site_file => for_site.push(rest.to_string()),
            Some(_) | None => document = applied(document, setting, notes),
        }
    }
    (document, for_site)
}

/// Sets values of a site file.
pub(crate) fn apply(document: Document, settings: &[String], notes: &mut Notes) -> Document {
    settings.iter().fold(document, |document, setting| applied(document, setting, notes))
}

/// Whether `site` names a file.
fn has_site_file(document: &Document) -> bool {
    let Some(root) = Node::root(document, &mut Notes::default()) else { return false };
    let fields = root.try_fields().unwrap_or_default();
    fields.iter().any(|(name, raw)| *name == "site" && root.child(raw, name).text().starts_with('"'))
}

fn applied(document: Document, setting: &str, notes: &mut Notes) -> Document {
    // A text that cannot be read is noted by whoever reads it next.
    let Some(root) = Node::root(&document, &mut Notes::default()) else { return document };
    match edited(&root, setting) {
        Ok((place, new)) => document.replaced(place, &new, "--set"),
        Err(message) => {
            refuse(setting, &message, notes);
            document
        }
    }
}

fn refuse(setting: &str, message: &str, notes: &mut Notes) {
    notes.add(Mistake::of_file("--set", 0, &excerpt(setting), message));
}

/// The bytes of the document that a setting replaces, and what by.
fn edited(root: &Node<'_>, setting: &str) -> Result<((usize, usize), String), String> {
    let (path, value) = setting.split_once('=').ok_or("expected path=value")?;
    let steps = steps(path)?;
    let Some((last, way)) = steps.split_last() else { return Err("expected path=value".into()) };
    let mut node = root.clone();
    for step in way {
        node = child(&node, step)?;
    }
    match child(&node, last) {
        Ok(old) => {
            let new = spelled(value, old.text().starts_with('"'));
            Ok(((old.offset(), old.offset() + old.text().len()), new))
        }
        Err(message) => {
            let Step::Name(name) = last else { return Err(message) };
            let (at, new) = added(&node, name, value).ok_or(message)?;
            Ok(((at, at), new))
        }
    }
}

/// Where a new name of a structure is put, and the text; none if the node has no names.
fn added(node: &Node<'_>, name: &str, value: &str) -> Option<(usize, String)> {
    let is_structure = node.try_fields().is_some();
    let open = if is_structure { '(' } else { '{' };
    let is_map = !is_structure && node.try_map().is_some();
    if !is_structure && !is_map {
        return None;
    }
    let at = node.offset() + node.text().find(open)? + 1;
    let key = if is_map { format!("{name:?}") } else { name.to_string() };
    Some((at, format!("{key}: {}, ", spelled(value, false))))
}

/// Splits `functions[1].limit`.
fn steps(path: &str) -> Result<Vec<Step<'_>>, String> {
    let mut steps = Vec::new();
    for part in path.trim().split('.') {
        let (name, rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() {
            return Err(format!(
                "expected a path such as plant.grid.bess.capacity, got \"{}\"",
                excerpt(path)
            ));
        }
        steps.push(Step::Name(name));
        for position in rest.split('[').skip(1) {
            let number = position.strip_suffix(']').and_then(|number| number.parse().ok());
            let number = number
                .ok_or_else(|| format!("expected a position such as [1], got \"[{}\"", excerpt(position)))?;
            steps.push(Step::Position(number));
        }
    }
    Ok(steps)
}

/// The value one step further; the error says what is there.
fn child<'t>(node: &Node<'t>, step: &Step<'_>) -> Result<Node<'t>, String> {
    let place = if node.field().is_empty() { "the file" } else { node.field() };
    match step {
        Step::Position(position) => {
            let items = node.try_items().ok_or_else(|| format!("{place} is no list"))?;
            let count = items.len();
            let missing = || format!("{place} has {count} entries, counted from 0, got [{position}]");
            let raw = items.get(*position).ok_or_else(missing)?;
            Ok(node.child(raw, &format!("[{position}]")))
        }
        Step::Name(name) => {
            let named = |(key, raw): (&'t str, &'t str)| {
                let key_node = node.child(key, "");
                (key_node.parse::<String>().unwrap_or_else(|_| key_node.text().to_string()), raw)
            };
            let pairs = node.try_fields().or_else(|| node.try_map());
            let pairs: Vec<(String, &'t str)> =
                pairs.ok_or_else(|| format!("{place} has no names"))?.into_iter().map(named).collect();
            let known: Vec<&str> = pairs.iter().map(|pair| pair.0.as_str()).collect();
            let missing = || format!("{place} has no \"{}\"; {}", excerpt(name), suggestion(name, &known));
            let found = pairs.iter().find(|pair| pair.0 == *name).ok_or_else(missing)?;
            Ok(node.child(found.1, name))
        }
    }
}

/// A value as RON: as it is if it is RON and not a word where a text stands, else in quotes, `1000kWh` as `1000 kWh`.
fn spelled(value: &str, replaces_text: bool) -> String {
    let value = value.trim();
    let first = value.chars().next().unwrap_or(' ');
    let is_word = first.is_ascii_uppercase() || matches!(value, "true" | "false");
    let is_number = value.parse::<f64>().is_ok();
    let is_ron = first == '"' || "([{".contains(first) || (!replaces_text && (is_word || is_number));
    if is_ron {
        return value.to_string();
    }
    let letter = value.find(|letter: char| letter.is_ascii_alphabetic() || letter == '%');
    let split = letter.filter(|at| *at > 0 && value[..*at].parse::<f64>().is_ok());
    match split {
        Some(at) => format!("{:?}", format!("{} {}", &value[..at], &value[at..])),
        None => format!("{value:?}"),
    }
}
