//! Components and devices that are like another one: `"pv2": Like("pv1", { "rating": "30 kW" })`.
//!
//! Ten inverters of one make differ in a few values. One of them is written whole, and the others say which it is and what is
//! different, by paths as in `set`. The text of the first is put in their place before anything is read, so that what they are is
//! checked like what is written, logs keep texts without `Like`, and settings reach into each of them by itself.
//!
//! A mistake in a part that was taken over is shown where that stands, with the place that it was taken over to.
//!
//! **Decision: a component is the template of others, and there are no templates apart from that.** A template of its own
//! would be a second kind of text that nothing checks until it is used. Whoever needs parameters that are no values of the
//! file would change our mind.

use crate::files::{Document, MAX_SCENARIO_BYTES};
use crate::mistake::{Notes, present};
use crate::node::{Entry, Node, excerpt};
use crate::overrides;
use crate::steps::Step;

/// What stands in the place of a component that is like another one.
pub(crate) const LIKE: &str = "Like";
/// Most of them in one file.
pub(crate) const MAX_ALIKE: usize = 256;

/// The text with each `Like` replaced by what it stands for; none if one of them is wrong, which was noted: all that is missing
/// then would seem to be another mistake.
pub(crate) fn expanded(mut document: Document, notes: &mut Notes) -> Option<Document> {
    if !document.text().contains(LIKE) {
        return Some(document);
    }
    let errors = notes.errors();
    // What cannot be read is noted by whoever reads it next.
    let count = Node::root(&document, &mut Notes::default()).map_or(0, |root| check(&root, notes));
    for _alike in 0..count {
        if notes.errors() > errors {
            return None;
        }
        document = with_one_less(&document, notes)?;
        if document.text().len() as u64 > MAX_SCENARIO_BYTES {
            let root = Node::root(&document, &mut Notes::default())?;
            root.error(
                notes,
                format!("with all that is `{LIKE}` another it must be at most {MAX_SCENARIO_BYTES} bytes"),
            );
        }
    }
    (notes.errors() == errors).then_some(document)
}

/// A map of components or devices, and the way to it.
struct Group<'t> {
    way: Vec<Step>,
    entries: Vec<Entry<'t>>,
}

/// The maps in which something may be like another.
fn groups<'t>(root: &Node<'t>) -> Vec<Group<'t>> {
    match root.name() {
        "Site" => devices(root, &[]),
        "Scenario" => {
            let mut groups = Vec::new();
            for (grid, plant) in below(root, "plant") {
                groups.push(Group { way: vec![named("plant"), grid], entries: entries(&plant) });
            }
            let site = field(root, "site").filter(|site| site.name() == "Site");
            groups.extend(site.into_iter().flat_map(|site| devices(&site, &[named("site")])));
            groups
        }
        _ => Vec::new(),
    }
}

/// The devices of each grid of a site, to which `way` leads.
fn devices<'t>(site: &Node<'t>, way: &[Step]) -> Vec<Group<'t>> {
    let grids =
        below(site, "grids").into_iter().filter_map(|(grid, node)| Some((grid, field(&node, "devices")?)));
    let group = |(grid, devices): (Step, Node<'t>)| {
        let way = way.iter().cloned().chain([named("grids"), grid, named("devices")]).collect();
        Group { way, entries: entries(&devices) }
    };
    grids.map(group).collect()
}

fn named(name: &str) -> Step {
    Step::Name(name.to_owned())
}

/// A field of a structure; what is wrong with it is noted by whoever reads it.
fn field<'t>(node: &Node<'t>, name: &str) -> Option<Node<'t>> {
    let (name, raw) = node.try_fields()?.into_iter().find(|field| field.0 == name)?;
    Some(node.child(raw, name))
}

/// The entries of a map that is a field.
fn below<'t>(node: &Node<'t>, name: &str) -> Vec<(Step, Node<'t>)> {
    let map = field(node, name);
    map.iter().flat_map(entries).map(|entry| (Step::Name(entry.name), entry.value)).collect()
}

fn entries<'t>(map: &Node<'t>) -> Vec<Entry<'t>> {
    map.map(&mut Notes::default()).unwrap_or_default()
}

/// What a `Like` says: whom it is like, and what is different.
struct Alike<'t> {
    template: Node<'t>,
    changes: Vec<Entry<'t>>,
}

/// Looks at every `Like` of a file, notes what is wrong with it, and says how many there are.
fn check(root: &Node<'_>, notes: &mut Notes) -> usize {
    let mut count = 0;
    for group in groups(root) {
        for entry in group.entries.iter().filter(|entry| entry.value.name() == LIKE) {
            count += 1;
            read(&entry.value, &group.entries, notes);
        }
    }
    if count > MAX_ALIKE {
        root.error(
            notes,
            format!(
                "expected at most {MAX_ALIKE} components and devices that are `{LIKE}` another, got {count}"
            ),
        );
    }
    count
}

/// Most changes of one `Like`: whoever changes more writes another device.
const MAX_CHANGES: usize = 64;

/// Reads `Like("pv1")` or `Like("pv1", { "rating": "30 kW" })` beside `entries`.
fn read<'t>(node: &Node<'t>, entries: &[Entry<'t>], notes: &mut Notes) -> Option<Alike<'t>> {
    let values = node.positional(notes)?;
    let (name, changes) = match values.as_slice() {
        [name] => (name, Vec::new()),
        [name, changes] => (name, changes.map(notes)?),
        _ => {
            let found = values.len();
            let form = format!("expected {LIKE}(\"name\") or {LIKE}(\"name\", {{ \"rating\": \"30 kW\" }})");
            node.error(notes, format!("{form}, got {found} values"));
            return None;
        }
    };
    if changes.len() > MAX_CHANGES {
        node.error(notes, format!("expected at most {MAX_CHANGES} changes, got {}", changes.len()));
        return None;
    }
    let whom: String = name.leaf(notes)?;
    let whole = |entry: &&Entry<'t>| entry.value.name() != LIKE;
    let known: Vec<&str> = entries.iter().filter(whole).map(|entry| entry.name.as_str()).collect();
    let Some(template) = entries.iter().find(|entry| entry.name == whom) else {
        name.error(notes, format!("there is no \"{}\" here; {}", excerpt(&whom), present(&whom, &known)));
        return None;
    };
    if template.value.name() == LIKE {
        let found = excerpt(&whom);
        name.error(
            notes,
            format!(
                "\"{found}\" is like another itself; name one that is written whole: {}",
                known.join(", ")
            ),
        );
        return None;
    }
    Some(Alike { template: template.value.clone(), changes })
}

/// The text with the first `Like` replaced.
fn with_one_less(document: &Document, notes: &mut Notes) -> Option<Document> {
    let root = Node::root(document, &mut Notes::default())?;
    for Group { mut way, entries } in groups(&root) {
        let Some(entry) = entries.iter().find(|entry| entry.value.name() == LIKE) else { continue };
        let Alike { template, changes } = read(&entry.value, &entries, notes)?;
        let (begin, length) = (entry.value.offset(), entry.value.text().len());
        let (from, to) = (template.offset(), template.offset() + template.text().len());
        let mut changed = document.copied((begin, begin + length), (from, to));
        way.push(Step::Name(entry.name.clone()));
        for change in changes {
            changed = overrides::changed(changed, &way, &change, notes);
        }
        return Some(changed);
    }
    Some(document.clone())
}
