//! Who must answer: `identity: { "serial": Holding(address: 60, registers: 8, is: "A-1234") }`.

use r_ems_engine::fieldbus::map::{IdentityText, MAX_TEXT_REGISTERS, Text, Who};

use super::registers::{register, table};
use crate::mistake::{Notes, suggestion};
use crate::node::{Node, excerpt};

/// Letters of one register.
const LETTERS: usize = 2;

/// Reads the texts by which a device says who it is, in the order in which they stand in the file.
pub(super) fn read(node: &Node<'_>, notes: &mut Notes) -> Option<Vec<IdentityText>> {
    let names = Who::ALL.map(Who::name);
    let errors = notes.errors();
    let mut texts = Vec::new();
    for entry in node.map(notes)? {
        let Some(who) = Who::ALL.into_iter().find(|who| who.name() == entry.name) else {
            let found = excerpt(&entry.name);
            let help = suggestion(&entry.name, &names);
            entry.key.error(notes, format!("a device does not say its `{found}`; {help}"));
            continue;
        };
        texts.push(read_text(&entry.value, who, notes));
    }
    if texts.is_empty() && notes.errors() == errors {
        let allowed = names.join(", ");
        node.error(notes, format!("expected what the device says of itself, one or more of: {allowed}"));
    }
    // All of them are looked at, to find what else is wrong.
    texts.into_iter().collect()
}

fn read_text(node: &Node<'_>, who: Who, notes: &mut Notes) -> Option<IdentityText> {
    let Some(table) = table(node.name()) else {
        let found = excerpt(if node.name().is_empty() { node.text() } else { node.name() });
        let help = suggestion(&found, &["Holding", "Input"]);
        node.error(notes, format!("a text lies in registers, got `{found}`; {help}"));
        return None;
    };
    let mut fields = node.fields(notes)?;
    let address = register(&mut fields, notes);
    let registers: Option<u64> = fields.leaf("registers", notes);
    let is: Option<String> = fields.leaf("is", notes);
    let most = u64::from(MAX_TEXT_REGISTERS);
    let registers = registers.filter(|found| {
        let is_allowed = (1..=most).contains(found);
        if !is_allowed {
            let message = format!("must be from 1 to {most}, two letters each, got {found}");
            fields.place("registers").error(notes, message);
        }
        is_allowed
    });
    let is = is.zip(registers).and_then(|(is, registers)| {
        let (room, plain) = (LETTERS * registers as usize, Text::of(is.as_bytes()));
        let is_allowed = is.is_ascii() && !is.is_empty() && is.len() <= room && plain.bytes() == is.as_bytes();
        if !is_allowed {
            let message = format!(
                "must be 1 to {room} letters of ASCII, without the spaces that fill {registers} registers, got \"{}\"",
                excerpt(&is)
            );
            fields.place("is").error(notes, message);
        }
        is_allowed.then_some(plain)
    });
    fields.finish(notes);
    Some(IdentityText { who, table, address: address?, registers: registers? as u16, is: is? })
}
