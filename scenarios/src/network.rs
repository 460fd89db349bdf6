//! The network between the hosts of a scenario, and the disks on which they keep promises.
//!
//! `network: (delay: (at_least: "0.3 ms", mean: "1 ms", at_most: "5 ms"), loss: (1, 1000), paths: { "a>b": (loss: (0, 1)) })`.
//! What is not given is that of a quiet local network; a path of its own has what the network has where it says nothing.

use r_ems_engine::Span;
use r_ems_sim::network::{Chance, Delay, Path};

use crate::mistake::Notes;
use crate::naming::Names;
use crate::node::{Fields, Node, excerpt};

/// How long a promise takes to become durable unless the scenario says otherwise: one sync of a usual disk.
pub(crate) const SYNC: Span = Span::from_millis(4);
/// Longest time on the way: what comes later than this is lost to everybody.
pub const DELAY_MAX: Span = Span::from_mins(10);

/// The paths between hosts.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    /// Between any two hosts.
    pub(crate) path: Path,
    /// Where it is another, by sender and receiver.
    pub(crate) paths: Vec<(u16, u16, Path)>,
}

impl Network {
    /// A quiet local network.
    pub(crate) const LOCAL: Self = Self { path: Path::LOCAL, paths: Vec::new() };

    /// The path from one host to another.
    pub(crate) fn between(&self, from: u16, to: u16) -> Path {
        if from == to {
            return Path::LOOPBACK;
        }
        let own = self.paths.iter().find(|path| (path.0, path.1) == (from, to));
        own.map_or(self.path, |path| path.2)
    }
}

/// Reads `network`.
pub(crate) fn read(node: &Node<'_>, names: &Names<'_, '_>, notes: &mut Notes) -> Network {
    let Some(mut fields) = node.fields(notes) else { return Network::LOCAL };
    let path = read_path(&mut fields, Path::LOCAL, notes);
    let entries = fields.optional("paths").and_then(|node| node.map(notes)).unwrap_or_default();
    fields.finish(notes);
    let mut paths = Vec::new();
    for entry in entries {
        let ends = ends(&entry.name, names).map_err(|message| entry.key.error(notes, message));
        let Some(mut fields) = entry.value.fields(notes) else { continue };
        let path = read_path(&mut fields, path, notes);
        fields.finish(notes);
        if let Ok((from, to)) = ends {
            paths.push((from, to, path));
        }
    }
    Network { path, paths }
}

/// Reads `a>b`.
fn ends(text: &str, names: &Names<'_, '_>) -> Result<(u16, u16), String> {
    let form = || format!("expected two hosts such as \"a>b\", got \"{}\"", excerpt(text));
    let (from, to) = text.split_once('>').ok_or_else(form)?;
    let (from, to) = (names.host(from.trim())?, names.host(to.trim())?);
    if from == to {
        return Err("expected two hosts: within one nothing is late or lost".to_string());
    }
    Ok((from, to))
}

fn read_path(fields: &mut Fields<'_>, other: Path, notes: &mut Notes) -> Path {
    let delay = fields.optional("delay").and_then(|node| read_delay(&node, notes));
    let loss = fields.optional("loss").and_then(|node| read_chance(&node, notes));
    let duplication = fields.optional("duplication").and_then(|node| read_chance(&node, notes));
    Path {
        delay: delay.unwrap_or(other.delay),
        loss: loss.unwrap_or(other.loss),
        duplication: duplication.unwrap_or(other.duplication),
        is_cut: false,
    }
}

/// Reads `(at_least: "0.3 ms", mean: "1 ms", at_most: "5 ms")`, or `"1 ms"` for what is always the same.
pub(crate) fn read_delay(node: &Node<'_>, notes: &mut Notes) -> Option<Delay> {
    if node.text().starts_with('"') {
        let span: Span = node.leaf(notes)?;
        if span > DELAY_MAX {
            node.error(notes, format!("must be at most {DELAY_MAX}, got {span}"));
        }
        return Some(Delay::exactly(span));
    }
    let mut fields = node.fields(notes)?;
    let delay = delay_fields(&mut fields, notes);
    fields.finish(notes);
    delay
}

/// Reads the three numbers of a delay.
pub(crate) fn delay_fields(fields: &mut Fields<'_>, notes: &mut Notes) -> Option<Delay> {
    let at_least: Option<Span> = fields.leaf("at_least", notes);
    let mean: Option<Span> = fields.leaf("mean", notes);
    let at_most: Option<Span> = fields.leaf("at_most", notes);
    let (at_least, mean, at_most) = (at_least?, mean?, at_most?);
    if at_most < at_least || at_most > DELAY_MAX {
        let allowed = format!("from {at_least}, `at_least`, to {DELAY_MAX}");
        fields.place("at_most").error(notes, format!("must be {allowed}, got {at_most}"));
    }
    if mean > DELAY_MAX {
        fields.place("mean").error(notes, format!("must be at most {DELAY_MAX}, got {mean}"));
    }
    Some(Delay { at_least, mean, at_most })
}

/// Reads `(3, 10)`: three of ten.
pub(crate) fn read_chance(node: &Node<'_>, notes: &mut Notes) -> Option<Chance> {
    let values = node.positional(notes)?;
    let form = "expected a ratio of whole numbers such as (3, 10), the first not above the second";
    let [numerator, denominator] = values.as_slice() else {
        node.error(notes, format!("{form}, got {} values", values.len()));
        return None;
    };
    let number = |node: &Node<'_>, notes: &mut Notes| node.leaf::<u64>(notes).map(u32::try_from);
    let (numerator, denominator) = (number(numerator, notes)?, number(denominator, notes)?);
    match (numerator, denominator) {
        (Ok(numerator), Ok(denominator)) if denominator > 0 && numerator <= denominator => {
            Some(Chance { numerator, denominator })
        }
        (Ok(_) | Err(_), Ok(_) | Err(_)) => {
            node.error(notes, format!("{form}, got {}", excerpt(node.text())));
            None
        }
    }
}
