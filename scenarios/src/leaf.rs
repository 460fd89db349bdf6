//! Leaves: single values of a file, read from quoted text or numbers.
//!
//! A leaf that cannot be read is noted with what was found and what is allowed, and the caller goes on without it.

use std::str::FromStr;

use r_ems_engine::Span;
use r_ems_engine::text::TextError;
use r_ems_engine::units::{
    Hertz, PerUnit, Ratio, Vars, VoltAmperes, Volts, WattHours, Watts, WattsPerSecond,
};
use r_ems_engine::wall::TimeZone;

use crate::bounds::Bounded;
use crate::mistake::{Notes, suggestion};
use crate::node::{Fields, Node, excerpt};

/// A value that stands in a file as one word, text or number.
pub(crate) trait Leaf: Sized {
    /// Reads the value; the error says what is allowed and what was found.
    fn read(node: &Node<'_>) -> Result<Self, String>;
}

impl Node<'_> {
    /// Reads a leaf, or notes why it is none.
    pub(crate) fn leaf<T: Leaf>(&self, notes: &mut Notes) -> Option<T> {
        T::read(self).map_err(|message| self.error(notes, message)).ok()
    }
}

impl Fields<'_> {
    /// A leaf that must be there.
    pub(crate) fn leaf<T: Leaf>(&mut self, name: &'static str, notes: &mut Notes) -> Option<T> {
        self.required(name, notes)?.leaf(notes)
    }

    /// A leaf that may be left out; also none if it is there and wrong, which was noted then.
    pub(crate) fn leaf_if_given<T: Leaf>(&mut self, name: &'static str, notes: &mut Notes) -> Option<T> {
        self.optional(name)?.leaf(notes)
    }

    /// A leaf that may be left out, with what it is then.
    pub(crate) fn leaf_or<T: Leaf>(&mut self, name: &'static str, other: T, notes: &mut Notes) -> T {
        self.leaf_if_given(name, notes).unwrap_or(other)
    }
}

/// Reads quoted text with the type's own text form.
fn quoted<T: FromStr<Err = TextError>>(node: &Node<'_>) -> Result<T, String> {
    match node.parse::<String>() {
        Ok(text) => text.parse().map_err(|error: TextError| error.to_string()),
        Err(_) => {
            // The type itself says what it would have liked.
            let allowed = T::from_str("").err().map_or(String::new(), |error| error.allowed);
            Err(format!("expected {allowed}, in quotes, got {}", excerpt(node.text())))
        }
    }
}

macro_rules! quoted_leaf {
    ($($name:ty),*) => {
        $(impl Leaf for $name {
            fn read(node: &Node<'_>) -> Result<Self, String> {
                quoted(node)
            }
        })*
    };
}

quoted_leaf!(Span, TimeZone);

macro_rules! bounded_leaf {
    ($($name:ty),*) => {
        $(impl Leaf for $name {
            fn read(node: &Node<'_>) -> Result<Self, String> {
                let quantity: Self = quoted(node)?;
                match quantity.refused() {
                    Some(allowed) => Err(format!("must be {allowed}, got {}", excerpt(node.text()))),
                    None => Ok(quantity),
                }
            }
        })*
    };
}

bounded_leaf!(Watts, Vars, VoltAmperes, Volts, PerUnit, Hertz, WattHours, WattsPerSecond);

impl Leaf for Ratio {
    fn read(node: &Node<'_>) -> Result<Self, String> {
        if node.text().starts_with(['"', 'r']) {
            return quoted(node);
        }
        let found = || format!("expected a share such as \"50 %\" or 0.5, got {}", excerpt(node.text()));
        node.parse::<f64>().ok().and_then(Self::new).ok_or_else(found)
    }
}

impl Leaf for String {
    fn read(node: &Node<'_>) -> Result<Self, String> {
        node.parse().map_err(|_| format!("expected a text in quotes, got {}", excerpt(node.text())))
    }
}

impl Leaf for u64 {
    fn read(node: &Node<'_>) -> Result<Self, String> {
        let allowed = "expected a whole number from 0 to 18446744073709551615, got";
        node.parse().map_err(|_| format!("{allowed} {}", excerpt(node.text())))
    }
}

impl Leaf for f64 {
    fn read(node: &Node<'_>) -> Result<Self, String> {
        let found = || format!("expected a finite number, got {}", excerpt(node.text()));
        let number = node.parse::<Self>().ok().filter(|number| number.is_finite());
        number.map(|number| number + 0.0).ok_or_else(found)
    }
}

/// One of a few bare words: the position of the word that was found.
pub(crate) fn word(node: &Node<'_>, words: &[&str], notes: &mut Notes) -> Option<usize> {
    let found = words.iter().position(|word| *word == node.text());
    if found.is_none() {
        let name = excerpt(node.text());
        node.error(notes, format!("unknown word {name}; {}", suggestion(&name, words)));
    }
    found
}

/// Reads `host:port`, such as `example`, or notes why it is none.
pub(crate) fn address(node: &Node<'_>, example: &str, notes: &mut Notes) -> Option<String> {
    let address: String = node.leaf(notes)?;
    let parts = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    if parts.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
        return Some(address);
    }
    let found = excerpt(&address);
    node.error(notes, format!("expected a host and a port such as \"{example}\", got \"{found}\""));
    None
}

/// Most characters of a name.
pub(crate) const MAX_NAME_CHARS: usize = 64;

/// Whether a name of a grid, host, device or controller can be part of a point's name.
pub(crate) fn check_name(node: &Node<'_>, name: &str, notes: &mut Notes) {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.is_empty() || name.len() > MAX_NAME_CHARS || !name.chars().all(is_plain) {
        let allowed = format!("1 to {MAX_NAME_CHARS} of the characters a to z, A to Z, 0 to 9, _ and -");
        node.error(notes, format!("expected a name of {allowed}, got \"{}\"", excerpt(name)));
    }
}
