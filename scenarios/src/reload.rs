//! A site file that is read again while its controllers run: what may change, and where it changes more than that.
//!
//! **Decision: what functions are told may change, and how logs are kept.** Limits and reserves are what an operator wants to
//! change without an end. Devices, hosts and councils are what others rely on: connections, the other hosts' site files and the
//! epochs of leases hang on them, and so does the order in which things stand in the file. Those change with a new start, host by
//! host.
//!
//! A text counts as it is read: comments and blanks are no change.

use r_ems_engine::functions::FunctionSet;

use crate::files::{Document, Files};
use crate::mistake::{Notes, Report};
use crate::node::{Node, excerpt};
use crate::real::{RealSite, load_site};

/// What may change, for those who changed something else.
const MAY_CHANGE: &str = "while it runs `persistence` may change, and what `functions` are told but for their devices; \
                          for the rest end the daemon and start it anew";
/// Which devices a function acts on.
const DEVICES: [&str; 3] = ["meter", "battery", "pv"];

/// Loads a site file again; `None`: it says what `running` says.
///
/// # Errors
/// Every mistake that was found, or everything that may not change.
pub fn load_again<F: FunctionSet>(
    files: &dyn Files,
    path: &str,
    running: &Document,
) -> Result<Option<RealSite<F>>, Report> {
    let site = load_site::<F>(files, path)?;
    let mut notes = Notes::default();
    let roots = Node::root(running, &mut notes).zip(Node::root(&site.document, &mut notes));
    let changes = roots.is_some_and(|(before, after)| differs(&before, &after, Zone::Site, &mut notes));
    let report = notes.into_report();
    if report.has_errors() {
        return Err(report);
    }
    Ok(changes.then_some(site))
}

/// Where in a site file something stands, as far as it matters for what may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    Site,
    Grids,
    Grid,
    Functions,
    Function,
    MayChange,
    Stays,
}

impl Zone {
    /// The zone of what is called so below this one.
    fn below(self, name: &str) -> Self {
        match self {
            Self::Site if name == "grids" => Self::Grids,
            Self::Site if name == "persistence" => Self::MayChange,
            Self::Grids => Self::Grid,
            Self::Grid if name == "functions" => Self::Functions,
            Self::Functions => Self::Function,
            Self::Function if !DEVICES.contains(&name) => Self::MayChange,
            Self::MayChange => Self::MayChange,
            Self::Site | Self::Grid | Self::Function | Self::Stays => Self::Stays,
        }
    }
}

/// Whether two values differ; notes each that may not.
fn differs(before: &Node<'_>, after: &Node<'_>, zone: Zone, notes: &mut Notes) -> bool {
    let same_kind = kind(before) == kind(after) && before.name() == after.name();
    let (Some(old), Some(new), true) = (parts(before), parts(after), same_kind) else {
        let is_other = before.text() != after.text();
        if is_other && zone != Zone::MayChange {
            let (old, new) = (excerpt(before.text()), excerpt(after.text()));
            after.error(notes, format!("{old} is in effect, got {new}; {MAY_CHANGE}"));
        }
        return is_other;
    };
    let mut is_other = false;
    for (name, value) in &new {
        is_other |= match old.iter().find(|known| known.0 == *name) {
            Some((_, known)) => differs(known, value, zone.below(name), notes),
            None => refused(value, zone.below(name), format!("`{name}` is not in effect"), notes),
        };
    }
    for (name, value) in old.iter().filter(|known| new.iter().all(|(name, _)| known.0 != *name)) {
        let message = format!("`{name}` is missing, of which {} is in effect", excerpt(value.text()));
        is_other |= refused(after, zone.below(name), message, notes);
    }
    let names = |parts: &[(String, Node<'_>)]| parts.iter().map(|part| part.0.clone()).collect::<Vec<_>>();
    let (was, is) = (names(&old), names(&new));
    let are_same = was.len() == is.len() && was.iter().all(|name| is.contains(name));
    if kind(after) == Some('{') && are_same && was != is {
        let message = format!("they stand in the order {} in effect", was.join(", "));
        is_other |= refused(after, zone, message, notes);
    }
    is_other
}

/// Notes that something may not be so, unless it may change. It differs in any case.
fn refused(place: &Node<'_>, zone: Zone, message: String, notes: &mut Notes) -> bool {
    if zone != Zone::MayChange {
        place.error(notes, format!("{message}; {MAY_CHANGE}"));
    }
    true
}

/// The bracket with which the parts of a value begin, if it has any.
fn kind(node: &Node<'_>) -> Option<char> {
    node.text()[node.name().len()..].trim_start().chars().next().filter(|first| "([{".contains(*first))
}

/// What a value consists of, by name; none if it is one thing.
fn parts<'t>(node: &Node<'t>) -> Option<Vec<(String, Node<'t>)>> {
    // Both texts were read before, and are right.
    let silent = &mut Notes::default();
    match kind(node)? {
        '{' => Some(node.map(silent)?.into_iter().map(|entry| (entry.name, entry.value)).collect()),
        '[' => {
            let items = node.items(silent)?.into_iter().enumerate();
            Some(items.map(|(place, item)| (format!("[{place}]"), item)).collect())
        }
        _ => {
            let fields = node.try_fields()?.into_iter();
            Some(fields.map(|(name, raw)| (name.to_owned(), node.child(raw, name))).collect())
        }
    }
}
