//! Includes: `use: ["base.ron"]` makes one scenario of several files.
//!
//! A used file has the form of a scenario in which nothing is required. Files count in the order in which they are named,
//! what a file uses before the file itself, each once. What comes later wins: maps are merged by name, lists are
//! joined with what was used first, anything else is replaced as a whole. Paths in a used file are relative to that file. What
//! `without: ["faults"]` names is left out of all that the file uses.
//!
//! The result is a text without `use`, so that a log keeps everything in one text. Every part of it remembers its file.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{Document, Files, MAX_SCENARIO_BYTES, resolved};
use crate::mistake::{Notes, suggestion};
use crate::node::{Node, excerpt};
use crate::origins::Patchwork;
use crate::site::check_version;

/// Most files that one scenario may use, itself not counted.
pub(crate) const MAX_USED: usize = 32;
/// Most files on the way from a scenario to one that it uses.
pub(crate) const MAX_USE_DEPTH: usize = 8;
/// How deep maps are merged by name: a grid's components are the deepest.
const MERGED_LEVELS: usize = 2;

/// Makes one text of a scenario and all that it uses; the scenario itself if it uses none, or is none. None if something that it
/// uses cannot be had, which was noted: all that is missing would seem to be another mistake.
pub(crate) fn merged(files: &dyn Files, scenario: Document, notes: &mut Notes) -> Option<Document> {
    // What cannot be read is noted by whoever reads it next.
    let uses_others = Node::root(&scenario, &mut Notes::default())
        .filter(|root| root.name() == "Scenario")
        .and_then(|root| root.try_fields())
        .is_some_and(|fields| fields.iter().any(|field| field.0 == "use"));
    if !uses_others {
        return Some(scenario);
    }
    let path = scenario.path().to_string();
    let errors = notes.errors();
    let mut gathering =
        Gathering { files, seen: BTreeSet::new(), bytes: scenario.text().len(), used: Vec::new() };
    let seen = resolved("", &path);
    gathering.seen.insert(seen.clone());
    gathering.gather(scenario, String::new(), &mut vec![seen], notes);
    let mut is_whole = notes.errors() == errors;
    let mut fields = Fields::new();
    for used in &gathering.used {
        let Some(own) = fields_of(used, notes) else {
            // The scenario itself is opened again by its reader, who says what is wrong.
            is_whole &= used.from_scenario.is_empty();
            continue;
        };
        let left_out = left_out(&used.document, notes);
        // What is refused to be left out stays, so that nothing else seems to be missing.
        fields.retain(|named| !left_out.contains(&named.name));
        fields = merged_fields(fields, own);
    }
    if !is_whole {
        return None;
    }
    let own = gathering.used.last().map(|used| &used.document);
    Some(own.map_or_else(|| Document::new(&path, ""), |own| written(own, fields)))
}

/// A file with its path as seen from the scenario's folder; empty for the scenario itself.
struct Used {
    document: Document,
    from_scenario: String,
}

/// Reads files in the order in which they count.
struct Gathering<'a> {
    files: &'a dyn Files,
    seen: BTreeSet<String>,
    bytes: usize,
    used: Vec<Used>,
}

impl Gathering<'_> {
    /// Reads what `document` uses, then keeps it; `way` is how we came here, itself included.
    fn gather(
        &mut self,
        document: Document,
        from_scenario: String,
        way: &mut Vec<String>,
        notes: &mut Notes,
    ) {
        for (name, node) in uses(&document, notes) {
            let path = resolved(document.path(), &name);
            let clean = resolved("", &path);
            if way.contains(&clean) {
                let circle = way.iter().skip_while(|step| **step != clean).chain([&clean]);
                let circle: Vec<&str> = circle.map(String::as_str).collect();
                node.error(notes, format!("the file uses itself: {}", circle.join(" → ")));
                continue;
            }
            if self.seen.contains(&clean) {
                continue;
            }
            if self.seen.len() > MAX_USED || way.len() > MAX_USE_DEPTH {
                let limits = format!("at most {MAX_USED} files, {MAX_USE_DEPTH} deep");
                node.error(notes, format!("a scenario may use {limits}; \"{name}\" is beyond that"));
                continue;
            }
            self.seen.insert(clean.clone());
            match self.read(&path) {
                Ok(next) => {
                    way.push(clean);
                    self.gather(next, resolved(&from_scenario, &name), way, notes);
                    way.pop();
                }
                Err(reason) => node.error(notes, format!("cannot read \"{path}\": {reason}")),
            }
        }
        self.used.push(Used { document, from_scenario });
    }

    fn read(&mut self, path: &str) -> Result<Document, String> {
        let document = Document::read(self.files, path)?;
        self.bytes += document.text().len();
        if self.bytes as u64 > MAX_SCENARIO_BYTES {
            return Err(format!(
                "a scenario and all that it uses may have {MAX_SCENARIO_BYTES} bytes together"
            ));
        }
        Ok(document)
    }
}

/// The fields of a scenario that a file may leave out of those that it uses.
const LEFT_OUT: [&str; 10] =
    ["note", "clocks", "differs", "expect", "faults", "initial", "links", "network", "tariff", "timeline"];

/// What a document leaves out of all that it uses: each file's own wish reaches everything that counts before it.
fn left_out(document: &Document, notes: &mut Notes) -> Vec<String> {
    let Some(root) = Node::root(document, &mut Notes::default()) else { return Vec::new() };
    let fields = root.try_fields().unwrap_or_default();
    let Some((name, raw)) = fields.into_iter().find(|field| field.0 == "without") else { return Vec::new() };
    let mut names = Vec::new();
    for item in root.child(raw, name).items(notes).unwrap_or_default() {
        let Some(name) = item.leaf::<String>(notes) else { continue };
        if !LEFT_OUT.contains(&name.as_str()) {
            item.error(notes, format!("cannot be left out; {}", suggestion(&name, &LEFT_OUT)));
        } else {
            names.push(name);
        }
    }
    names
}

/// The names of the files that a document uses, and where they stand.
fn uses<'t>(document: &'t Document, notes: &mut Notes) -> Vec<(String, Node<'t>)> {
    let Some(root) = Node::root(document, &mut Notes::default()) else { return Vec::new() };
    let fields = root.try_fields().unwrap_or_default();
    let mut found = fields.into_iter().filter(|field| field.0 == "use");
    let Some((name, raw)) = found.next() else { return Vec::new() };
    let node = root.child(raw, name);
    if let Some((second, _raw)) = found.next() {
        root.child(second, second).error(notes, "this field stands here a second time; each is given once");
    }
    let items = node.items(notes).unwrap_or_default();
    if items.len() > MAX_USED {
        node.error(notes, format!("expected at most {MAX_USED} files, got {}", items.len()));
        return Vec::new();
    }
    items.into_iter().filter_map(|item| Some((item.leaf::<String>(notes)?, item))).collect()
}

/// A part of the text that is made.
enum Part<'t> {
    /// As it stands, but for a text in it that is replaced.
    Whole(Node<'t>, Option<(Node<'t>, String)>),
    Map(Node<'t>, Vec<Named<'t>>),
    List(Node<'t>, Vec<Node<'t>>),
}

/// A name, where it stands, and what it names.
struct Named<'t> {
    name: String,
    key: Node<'t>,
    part: Part<'t>,
}

type Fields<'t> = Vec<Named<'t>>;

/// Opens one file; what is wrong with a used file is noted here, with the scenario itself its reader does it.
fn fields_of<'t>(used: &'t Used, notes: &mut Notes) -> Option<Fields<'t>> {
    let is_used = !used.from_scenario.is_empty();
    let mut unheard = Notes::default();
    let notes = if is_used { notes } else { &mut unheard };
    let root = Node::root(&used.document, notes)?;
    if root.name() != "Scenario" {
        root.error(
            notes,
            format!("expected Scenario(…), the only file to be used, got {}", excerpt(root.text())),
        );
        return None;
    }
    let fields = root.try_fields();
    if fields.is_none() {
        root.error(notes, format!("expected Scenario(field: value, …), got {}", excerpt(root.text())));
    }
    let mut named = Vec::new();
    for (name, raw) in fields? {
        let (key, value) = (root.child(name, name), root.child(raw, name));
        match name {
            // Each file says for itself which language it is in; the scenario's own number is read with its other fields.
            "version" if is_used => check_version(&value, notes),
            "use" | "without" => {}
            _ => {
                let part = part(&value, name, &used.from_scenario);
                named.push(Named { name: name.to_string(), key, part });
            }
        }
    }
    Some(named)
}

/// Opens the value of a field as far as it can be merged.
fn part<'t>(value: &Node<'t>, field: &str, from_scenario: &str) -> Part<'t> {
    let moved = |node: Node<'t>| -> Option<(Node<'t>, String)> {
        let name: String = node.parse().ok().filter(|_name| !from_scenario.is_empty())?;
        Some((node, format!("{:?}", resolved(from_scenario, &name))))
    };
    match field {
        "site" if value.text().starts_with(['"', 'r']) => Part::Whole(value.clone(), moved(value.clone())),
        "profiles" => opened(value, MERGED_LEVELS, &|profile| {
            let (name, raw) = profile.try_fields()?.into_iter().find(|field| field.0 == "file")?;
            moved(profile.child(raw, name))
        }),
        _ => opened(value, MERGED_LEVELS, &|_value| None),
    }
}

/// A value with its names or items, if it is a map or a list.
fn opened<'t>(
    value: &Node<'t>,
    levels: usize,
    moved: &dyn Fn(&Node<'t>) -> Option<(Node<'t>, String)>,
) -> Part<'t> {
    if levels > 0
        && let Some(pairs) = value.try_map()
    {
        let named = |(raw_key, raw): (&'t str, &'t str)| {
            let key = value.child(raw_key, "");
            let name = key.parse::<String>().unwrap_or_else(|_| key.text().to_string());
            let part = opened(&value.child(raw, &name), levels - 1, moved);
            Named { key, name, part }
        };
        return Part::Map(value.clone(), pairs.into_iter().map(named).collect());
    }
    if let Some(items) = value.try_items() {
        let items = items.into_iter().enumerate();
        let items = items.map(|(position, raw)| value.child(raw, &format!("[{position}]")));
        return Part::List(value.clone(), items.collect());
    }
    Part::Whole(value.clone(), moved(value))
}

/// Merges by name; what stands twice in `own` stays there twice, for the reader to note it.
fn merged_fields<'t>(base: Fields<'t>, own: Fields<'t>) -> Fields<'t> {
    let places = base.iter().enumerate().map(|(place, named)| (named.name.clone(), place));
    let mut places: BTreeMap<String, usize> = places.collect();
    let mut all = base;
    for named in own {
        match places.remove(&named.name) {
            Some(place) => {
                let known = std::mem::replace(&mut all[place], named);
                let own = std::mem::replace(&mut all[place].part, Part::List(known.key.clone(), Vec::new()));
                all[place].part = merged_part(known.part, own);
            }
            None => all.push(named),
        }
    }
    all
}

fn merged_part<'t>(base: Part<'t>, own: Part<'t>) -> Part<'t> {
    match (base, own) {
        (Part::Map(_, base), Part::Map(node, own)) => Part::Map(node, merged_fields(base, own)),
        (Part::List(_, base), Part::List(node, own)) => {
            Part::List(node, base.into_iter().chain(own).collect())
        }
        (Part::Whole(..) | Part::Map(..) | Part::List(..), own) => own,
    }
}

/// Writes everything as one scenario under the path of `own`.
fn written(own: &Document, fields: Fields<'_>) -> Document {
    let mut text = Patchwork::default();
    let root = Node::root(own, &mut Notes::default());
    let root_at = root.map_or(0, |root| root.offset());
    text.stand_in(own, "Scenario(", root_at);
    for Named { key, part, .. } in fields {
        gap(&mut text, own, "\n    ", root_at);
        copy(&mut text, &key);
        gap(&mut text, key.document(), ": ", key.offset());
        write_part(&mut text, &part, 2);
        gap(&mut text, own, ",", root_at);
    }
    gap(&mut text, own, "\n)\n", root_at);
    text.into_document(own.path())
}

fn write_part(text: &mut Patchwork, part: &Part<'_>, depth: usize) {
    let indent = format!("\n{}", "    ".repeat(depth));
    let place = |node: &Node<'_>| (node.offset(), node.offset() + node.text().len().saturating_sub(1));
    match part {
        Part::Whole(node, None) => copy(text, node),
        Part::Whole(node, Some((old, new))) => {
            let (document, at) = (node.document(), node.offset());
            let (head, tail) = (old.offset() - at, old.offset() - at + old.text().len());
            text.copy(document, &node.text()[..head], at);
            text.stand_in(document, new, old.offset());
            text.copy(document, &node.text()[tail..], at + tail);
        }
        Part::Map(node, entries) => {
            let (open, close) = place(node);
            gap(text, node.document(), "{", open);
            for Named { key, part, .. } in entries {
                gap(text, key.document(), &indent, key.offset());
                copy(text, key);
                gap(text, key.document(), ": ", key.offset());
                write_part(text, part, depth + 1);
                gap(text, key.document(), ",", key.offset());
            }
            gap(text, node.document(), "}", close);
        }
        Part::List(node, items) => {
            let (open, close) = place(node);
            gap(text, node.document(), "[", open);
            for item in items {
                gap(text, item.document(), &indent, item.offset());
                copy(text, item);
                gap(text, item.document(), ",", item.offset());
            }
            gap(text, node.document(), "]", close);
        }
    }
}

fn copy(text: &mut Patchwork, node: &Node<'_>) {
    text.copy(node.document(), node.text(), node.offset());
}

/// Adds what stands between two parts; a comment that ends a part must not swallow it.
fn gap(text: &mut Patchwork, document: &Document, between: &str, offset: usize) {
    let last_line = text.text().rsplit('\n').next().unwrap_or_default();
    let break_line = if last_line.contains("//") { "\n" } else { "" };
    text.stand_in(document, &format!("{break_line}{between}"), offset);
}
