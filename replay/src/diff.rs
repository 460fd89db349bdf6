//! Compares two logs record by record, without running anything.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

use serde::Serialize;

use r_ems_engine::Time;
use r_ems_engine::log::{Content, Header, ReadError, Reader, Record, Status};

use crate::divergence::CONTEXT_DELIVERIES;
use crate::entries::{Entry, entry};
use crate::source::Bytes;

/// The first difference of two logs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What differs, in a few words.
    pub subject: &'static str,
    /// The record of the first log; `None`: it has ended.
    pub left: Option<Entry>,
    /// The record of the second log; `None`: it has ended.
    pub right: Option<Entry>,
    /// Differences of the headers, "field: first, second".
    pub headers: Vec<String>,
    /// The records before it, which both logs have, oldest first.
    pub before: Vec<Entry>,
}

/// Finds the first difference of two logs; `None` if they hold the same run.
///
/// Texts and versions in the headers are compared only to explain a difference: two logs of the same run are the same.
///
/// # Errors
/// If either log cannot be read.
pub fn diff<L: Read, R: Read>(left: L, right: R) -> Result<Option<Difference>, ReadError<io::Error>> {
    let mut left = Reader::open(Bytes(left))?;
    let mut right = Reader::open(Bytes(right))?;
    let headers = header_differences(left.header(), right.header());
    let mut before = VecDeque::with_capacity(CONTEXT_DELIVERIES + 1);
    if left.header().controllers != right.header().controllers {
        let subject = "the controllers";
        return Ok(Some(Difference { subject, left: None, right: None, headers, before: Vec::new() }));
    }
    loop {
        let statuses = (left.advance()?, right.advance()?);
        let subject = match statuses {
            (Status::Record, Status::Record) => difference(&left.record(), &right.record()),
            (Status::Ended(left), Status::Ended(right)) if left == right => return Ok(None),
            (Status::Ended(_), Status::Ended(_)) => Some("how the logs end"),
            (Status::Ended(_), Status::Record) => Some("the length: the first log has ended"),
            (Status::Record, Status::Ended(_)) => Some("the length: the second log has ended"),
        };
        if let Some(subject) = subject {
            let (left, right) = (current(statuses.0, &left), current(statuses.1, &right));
            return Ok(Some(Difference { subject, left, right, headers, before: before.into() }));
        }
        if before.len() == CONTEXT_DELIVERIES {
            before.pop_front();
        }
        before.push_back(entry(&left));
    }
}

/// The record that a reader stands at, if there is one.
fn current<R: Read>(status: Status, reader: &Reader<Bytes<R>>) -> Option<Entry> {
    match status {
        Status::Record => Some(entry(reader)),
        Status::Ended(_) => None,
    }
}

/// What differs between two records, if anything.
fn difference(left: &Record<'_>, right: &Record<'_>) -> Option<&'static str> {
    if left.controller != right.controller {
        return Some("whom the record concerns");
    }
    if left.content.kind() != right.content.kind() {
        return Some("the kind of record");
    }
    if left.at != right.at {
        return Some("the time");
    }
    if left.now != right.now {
        return Some("the controller's clock");
    }
    if left.content == right.content {
        return None;
    }
    match (&left.content, &right.content) {
        (Content::Delivery { step: left, .. }, Content::Delivery { step: right, .. }) if left == right => {
            Some("what the controller asked for before this record")
        }
        _differing => Some("the content"),
    }
}

fn header_differences(left: &Header, right: &Header) -> Vec<String> {
    let fields = [
        ("engine", left.engine.clone(), right.engine.clone()),
        ("behavior", format!("B{}", left.behavior), format!("B{}", right.behavior)),
        ("seed", left.seed.to_string(), right.seed.to_string()),
        ("start", left.start.as_unix_nanos().to_string(), right.start.as_unix_nanos().to_string()),
        ("scenario", left.scenario.clone(), right.scenario.clone()),
        ("scenario text", size(&left.scenario_text), size(&right.scenario_text)),
        ("site text", size(&left.site_text), size(&right.site_text)),
        ("functions", left.functions.join(" "), right.functions.join(" ")),
    ];
    let differing = fields.into_iter().filter(|(_, left, right)| left != right);
    differing.map(|(field, left, right)| format!("{field}: {left}, {right}")).collect()
}

fn size(text: &str) -> String {
    let digest = r_ems_engine::digest::Digest::of(text.as_bytes()).short();
    format!("{digest} ({} bytes)", text.len())
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the logs differ in {}", self.subject)?;
        self.headers.iter().try_for_each(|line| writeln!(f, "  header, {line}"))?;
        for entry in &self.before {
            writeln!(f, "    both    {}", line(entry))?;
        }
        for (label, side) in [("first ", &self.left), ("second", &self.right)] {
            match side {
                Some(entry) => writeln!(f, "  ! {label}  {}", line(entry))?,
                None => writeln!(f, "  ! {label}  no record")?,
            }
        }
        Ok(())
    }
}

fn line(entry: &Entry) -> String {
    format!("{}  {}  {}", Time::from_nanos(entry.at_ns), entry.controller, entry.text)
}
