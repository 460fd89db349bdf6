//! A fault as a scenario writes it: a word, its values, and when.
//!
//! A fault is what stands in a file and nothing else: it is rendered, and the language reads it, so that what was explored is
//! what is saved. Values are few kinds of data, so that one piece of code makes any fault simpler.

use std::fmt;

use r_ems_engine::Span;

/// One value of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// The name of a host, a controller or a device.
    Name(String),
    /// Names of hosts.
    Names(Vec<String>),
    /// A word of the language.
    Word(&'static str),
    /// So many of so many.
    Ratio(u32, u32),
    /// How long something takes.
    Span(Span),
    /// An error of a rate.
    Ppm(i32),
}

/// What goes wrong, or what an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct What {
    /// The word of the language.
    pub word: &'static str,
    /// Its values in their order, with the names of their fields.
    pub values: Vec<(Option<&'static str>, Value)>,
}

impl What {
    /// A word without values.
    pub const fn new(word: &'static str) -> Self {
        Self { word, values: Vec::new() }
    }

    /// The same with a value by position.
    #[must_use]
    pub fn of(mut self, value: Value) -> Self {
        self.values.push((None, value));
        self
    }

    /// The same with a field.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: Value) -> Self {
        self.values.push((Some(field), value));
        self
    }

    /// What it changes: who ends in order ends as who crashes does.
    fn matter(&self) -> &'static str {
        match (self.word, self.values.first()) {
            ("Stop", Some((Some("host"), _))) => "Crash",
            ("Stop", _) => "Kill",
            (word, _) => word,
        }
    }

    /// Whether somebody loses its power or its process.
    pub fn takes_memory(&self) -> bool {
        matches!(self.word, "Crash" | "Kill")
    }

    /// Whether two of them are about one thing: they must not say different things of it at one time.
    pub fn is_about_the_same(&self, other: &Self) -> bool {
        // `a:commerce/pcc` is a part of `commerce/pcc`.
        let whole = |name: &str| name.rsplit(':').next().unwrap_or_default().to_owned();
        let subject = |what: &Self| {
            let names = what.values.iter().filter_map(|(_, value)| match value {
                Value::Name(name) => Some(vec![whole(name)]),
                Value::Names(names) => Some(names.clone()),
                Value::Word(_) | Value::Ratio(..) | Value::Span(_) | Value::Ppm(_) => None,
            });
            names.collect::<Vec<Vec<String>>>()
        };
        self.matter() == other.matter() && subject(self) == subject(other)
    }
}

/// What of a site a fault may touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A host, by its place.
    Host(u16),
    /// A member of the fleet, by its place.
    Member(u16),
    /// The disk of a host, by the host's place.
    Disk(u16),
    /// What passes between hosts.
    Paths(Vec<(u16, u16)>),
    /// The devices of some controllers, by their places.
    Devices(Vec<u16>),
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which kind it was drawn from, as a place in the list of kinds.
    pub kind: usize,
    /// When it begins, or happens.
    pub from: Span,
    /// When it ends; nothing if it happens at an instant.
    pub to: Option<Span>,
    /// What.
    pub what: What,
    /// What it touches.
    pub scope: Scope,
}

impl Fault {
    /// Whether the windows of two faults that must not overlap do.
    pub fn collides(&self, other: &Self) -> bool {
        let end = |fault: &Self| fault.to.unwrap_or(fault.from);
        self.what.is_about_the_same(&other.what) && self.from <= end(other) && other.from <= end(self)
    }
}

/// A list of faults as it stands in a scenario.
pub fn list(faults: &[Fault], indent: &str) -> String {
    let lines: String = faults.iter().map(|fault| format!("{indent}    {fault},\n")).collect();
    format!("[\n{lines}{indent}]")
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) => write!(f, "During(\"+{}\", \"+{to}\", {})", self.from, self.what),
            None => write!(f, "At(\"+{}\", {})", self.from, self.what),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.word)?;
        for (place, (field, value)) in self.values.iter().enumerate() {
            let comma = if place > 0 { ", " } else { "" };
            let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
            write!(f, "{comma}{field}{value}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?}"),
            Self::Names(names) => write!(f, "{names:?}"),
            Self::Word(word) => f.write_str(word),
            Self::Ratio(numerator, denominator) => write!(f, "({numerator}, {denominator})"),
            Self::Span(span) => write!(f, "\"{span}\""),
            Self::Ppm(ppm) => write!(f, "\"{ppm} ppm\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_written_as_the_language_reads_it() {
        let what = What::new("Loss")
            .with("from", Value::Name("a".into()))
            .with("to", Value::Name("b".into()))
            .with("ratio", Value::Ratio(3, 10));
        let scope = Scope::Paths(vec![(0, 1)]);
        let fault =
            Fault { kind: 0, from: Span::from_millis(1_500), to: Some(Span::from_secs(2)), what, scope };
        assert_eq!(
            fault.to_string(),
            "During(\"+1 s 500 ms\", \"+2 s\", Loss(from: \"a\", to: \"b\", ratio: (3, 10)))"
        );
        let what = What::new("Maintenance").of(Value::Name("g/a".into())).of(Value::Word("On"));
        let fault = Fault { kind: 0, from: Span::from_secs(3), to: None, what, scope: Scope::Member(0) };
        assert_eq!(fault.to_string(), "At(\"+3 s\", Maintenance(\"g/a\", On))");
    }
}
