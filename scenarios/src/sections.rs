//! Sections of a grid, and the ties that join them.
//!
//! A component says in which section it stands; without, that is the main one, where the connection to the grid is. Every other
//! section has one BusTie, to the main one or to another, so that all of them lead to the main one.

use r_ems_sim::plant::{BusTie, Component, MAX_SECTIONS, SectionIndex, SpecError, SynchroSpec};

use crate::island;
use crate::leaf::check_name;
use crate::mistake::{Notes, suggestion};
use crate::node::{Fields, Node};
use crate::plant::Part;

/// The main section, as a scenario may call it.
const MAIN: &str = "main";

/// In which section something is, as far as its file says.
#[derive(Debug)]
pub(crate) enum Stands<'t> {
    /// In the main one.
    Main,
    /// In the one that is named there.
    In(String, Node<'t>),
    /// That cannot be read, which was noted.
    Unknown,
}

/// What a tie is beside the section in which it stands.
#[derive(Debug)]
pub(crate) struct Tie<'t> {
    to: Stands<'t>,
    check: Option<SynchroSpec>,
}

/// The sections of a grid by their names, with the part that ties each to another.
struct Found<'a, 't> {
    names: Vec<&'a str>,
    ties: Vec<Option<&'a Part<'t>>>,
}

impl Tie<'_> {
    /// The tie to a section.
    fn made(&self, to: SectionIndex) -> Result<Component, SpecError> {
        Ok(Component::Tie(BusTie::new(to).checked_by(self.check)?))
    }
}

/// Reads `section: "starboard"` of a component.
pub(crate) fn read<'t>(fields: &mut Fields<'t>, notes: &mut Notes) -> Stands<'t> {
    fields.optional("section").map_or(Stands::Main, |node| named(node, notes))
}

/// Reads `section: "starboard", to: "main", synchro_check: SynchroCheck(…)` of a tie.
pub(crate) fn read_tie<'t>(fields: &mut Fields<'t>, notes: &mut Notes) -> (Stands<'t>, Tie<'t>) {
    let section = match fields.required("section", notes).map(|node| (named(node.clone(), notes), node)) {
        Some((Stands::Main, node)) => {
            node.error(notes, format!("expected another section than \"{MAIN}\", to which all others lead"));
            Stands::Unknown
        }
        Some((section, _)) => section,
        None => Stands::Unknown,
    };
    let to = fields.optional("to").map_or(Stands::Main, |node| named(node, notes));
    (section, Tie { to, check: island::synchro_check(fields, notes) })
}

fn named<'t>(node: Node<'t>, notes: &mut Notes) -> Stands<'t> {
    let Some(name) = node.leaf::<String>(notes) else { return Stands::Unknown };
    let errors = notes.errors();
    check_name(&node, &name, notes);
    if notes.errors() > errors {
        Stands::Unknown
    } else if name == MAIN {
        Stands::Main
    } else {
        Stands::In(name, node)
    }
}

/// Finds the section of every part, and makes the ties between them; none if something about them is wrong.
pub(crate) fn join(parts: &mut [Part<'_>], notes: &mut Notes) -> Option<Vec<SectionIndex>> {
    let errors = notes.errors();
    let found = Found::among(parts, notes)?;
    let is_read = parts.iter().all(|part| part.kind.is_some() && !matches!(part.stands, Stands::Unknown));
    // Whatever cannot be read may have been meant as what is missing.
    if is_read {
        found.check_ties(parts, notes);
    }
    let all_to: Vec<_> = found.ties.iter().map(|tie| found.other_side((*tie)?, notes)).collect();
    found.check_ways(&all_to, notes);
    if !is_read || notes.errors() > errors {
        return None;
    }
    let stands = parts.iter().map(|part| found.index(&part.stands)).collect::<Option<Vec<_>>>()?;
    for (part, section) in parts.iter_mut().zip(&stands) {
        if let Some(tie) = &part.tie {
            let to = all_to.get(usize::from(section.0)).copied().flatten()?;
            // What its check refuses was noted where that was read.
            part.component = tie.made(to).ok();
        }
    }
    Some(stands)
}

impl<'a, 't> Found<'a, 't> {
    /// All sections that somebody stands in, the main one first.
    fn among(parts: &'a [Part<'t>], notes: &mut Notes) -> Option<Self> {
        let mut all = Self { names: vec![MAIN], ties: vec![None] };
        let mut last = None;
        for part in parts {
            let Stands::In(name, node) = &part.stands else { continue };
            let known = all.names.iter().position(|known| known == name);
            let place = known.unwrap_or(all.names.len());
            if known.is_none() {
                all.names.push(name);
                all.ties.push(None);
                last = last.or((all.names.len() > MAX_SECTIONS).then_some(node));
            }
            if part.tie.is_none() {
                continue;
            }
            match all.ties[place] {
                Some(first) => {
                    let other = &first.name;
                    node.error(
                        notes,
                        format!("expected one BusTie of the section \"{name}\", which has \"{other}\""),
                    );
                }
                None => all.ties[place] = Some(part),
            }
        }
        if let Some(node) = last {
            let found = all.names.len();
            node.error(
                notes,
                format!("expected at most {MAX_SECTIONS} sections with \"{MAIN}\", got {found}"),
            );
            return None;
        }
        Some(all)
    }

    /// Every section but the main one needs a tie.
    fn check_ties(&self, parts: &[Part<'_>], notes: &mut Notes) {
        for (name, _) in self.names.iter().zip(&self.ties).skip(1).filter(|(_, tie)| tie.is_none()) {
            let node = parts.iter().find_map(|part| match &part.stands {
                Stands::In(known, node) if known == name => Some(node),
                Stands::In(..) | Stands::Main | Stands::Unknown => None,
            });
            if let Some(node) = node {
                let example = format!("\"{name}_tie\": BusTie(section: \"{name}\")");
                node.error(notes, format!("the section \"{name}\" has no BusTie; add {example}"));
            }
        }
    }

    /// To which section a tie leads.
    fn other_side(&self, tie: &Part<'_>, notes: &mut Notes) -> Option<SectionIndex> {
        let to = &tie.tie.as_ref()?.to;
        let index = self.index(to);
        if let (None, Stands::In(name, node)) = (index, to) {
            node.error(notes, format!("there is no section \"{name}\"; {}", suggestion(name, &self.names)));
        }
        index
    }

    /// No ties lead in a circle.
    fn check_ways(&self, all_to: &[Option<SectionIndex>], notes: &mut Notes) {
        let next = |section: usize| Some(usize::from((*all_to.get(section)?)?.0));
        for (first, tie) in self.ties.iter().enumerate() {
            let mut way = vec![first];
            while let Some(to) = next(way[way.len() - 1])
                && way.len() <= self.names.len()
                && to != first
            {
                way.push(to);
            }
            // A circle is told once, of the section that stands first in the file.
            let is_circle =
                next(way[way.len() - 1]) == Some(first) && way.iter().all(|section| *section >= first);
            if let (true, Some(Stands::In(_, node))) =
                (is_circle, tie.and_then(|tie| Some(&tie.tie.as_ref()?.to)))
            {
                way.push(first);
                let names: Vec<&str> = way.iter().map(|section| self.names[*section]).collect();
                let names = names.join(" to ");
                node.error(
                    notes,
                    format!("expected ties that lead to \"{MAIN}\", got a circle from {names}"),
                );
            }
        }
    }

    fn index(&self, section: &Stands<'_>) -> Option<SectionIndex> {
        let name = match section {
            Stands::Main => MAIN,
            Stands::In(name, _) => name,
            Stands::Unknown => return None,
        };
        let place = self.names.iter().position(|known| *known == name)?;
        u8::try_from(place).ok().map(SectionIndex)
    }
}
