//! Words of the language that this version does not read yet: they are told apart from words that nobody knows.
//!
//! The language is described further than it is built. Who writes a word that waits for a part of the plant or of the
//! controllers learns that it is right and too early, and is not sent to look for a typing error.

use crate::mistake::{Notes, suggestion};
use crate::node::{Node, excerpt};

/// Notes that the word of `node` is none of `allowed`: not in this version if it is one of `later`, else unknown.
pub(crate) fn unknown(node: &Node<'_>, kind: &str, allowed: &[&str], later: &[&str], notes: &mut Notes) {
    let name = node.name();
    let found = excerpt(if name.is_empty() { node.text() } else { name });
    if later.contains(&name) {
        let list = allowed.join(", ");
        node.error(notes, format!("`{found}` is known, but not in this version; allowed: {list}"));
    } else {
        node.error(notes, format!("unknown {kind} `{found}`; {}", suggestion(&found, allowed)));
    }
}
