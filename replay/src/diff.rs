//! Compares two logs record by record, without running anything.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};

use serde::Serialize;

use r_ems_engine::Time;
use r_ems_engine::log::{Content, End, Header, ReadError, Reader, Record, Status};

use crate::divergence::CONTEXT_DELIVERIES;
use crate::entries::{Entry, entry};
use crate::source::Bytes;
use crate::writes::Writes;

/// What a comparison of two logs came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The first difference; `None`: both hold the same run, as far as both go.
    pub difference: Option<Difference>,
    /// How each log ended, first and second; `None` if it was not read to its end, because of a difference or because the other
    /// one is torn.
    pub ends: [Option<End>; 2],
    /// How effects were compared.
    pub effects: EffectsCompared,
}

/// How the effects of two logs are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EffectsCompared {
    /// As both logs hold them, whole or by digest.
    AsKept,
    /// By digest, because only one of the logs holds them whole.
    ByDigest,
}

/// The first difference of two logs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What differs, in a few words.
    pub subject: &'static str,
    /// The record of the first log.
    pub left: Option<Entry>,
    /// The record of the second log.
    pub right: Option<Entry>,
    /// Differences of the headers, "field: first, second".
    pub headers: Vec<String>,
    /// The records before it, which both logs have, oldest first.
    pub before: Vec<Entry>,
}

/// Compares two logs up to the first difference, or to where the first of them ends.
///
/// Texts and versions in the headers are compared only to explain a difference: two logs of the same run are the same, also if
/// only one of them holds effects whole. A log that is torn is compared as far as it goes.
///
/// # Errors
/// If either log cannot be read.
pub fn diff<L: Read, R: Read>(left: L, right: R) -> Result<Comparison, ReadError<io::Error>> {
    let mut left = Reader::open(Bytes(left))?;
    let mut right = Reader::open(Bytes(right))?;
    let headers = header_differences(left.header(), right.header());
    let effects = if left.header().effects == right.header().effects {
        EffectsCompared::AsKept
    } else {
        EffectsCompared::ByDigest
    };
    let mut before = VecDeque::with_capacity(CONTEXT_DELIVERIES + 1);
    let differs = |difference| Ok(Comparison { difference: Some(difference), ends: [None, None], effects });
    if left.header().controllers != right.header().controllers {
        let subject = "the controllers";
        return differs(Difference { subject, left: None, right: None, headers, before: Vec::new() });
    }
    loop {
        let ends = match (advance(&mut left, effects)?, advance(&mut right, effects)?) {
            (Status::Record, Status::Record) => None,
            (Status::Ended(left), Status::Record) => Some([Some(left), None]),
            (Status::Record, Status::Ended(right)) => Some([None, Some(right)]),
            (Status::Ended(left), Status::Ended(right)) => Some([Some(left), Some(right)]),
        };
        if let Some(ends) = ends {
            // Closing records are compared like all others: of two logs of which one ends first, that one is torn.
            return Ok(Comparison { difference: None, ends, effects });
        }
        if let Some(subject) = difference(&left.record(), &right.record()) {
            let (left, right) = (entry(&left, &Writes::UNKNOWN), entry(&right, &Writes::UNKNOWN));
            let (left, right) = (Some(left), Some(right));
            return differs(Difference { subject, left, right, headers, before: before.into() });
        }
        if before.len() == CONTEXT_DELIVERIES {
            before.pop_front();
        }
        before.push_back(entry(&left, &Writes::UNKNOWN));
    }
}

/// Moves to the next record that is compared.
fn advance<R: Read>(
    reader: &mut Reader<Bytes<R>>,
    effects: EffectsCompared,
) -> Result<Status, ReadError<io::Error>> {
    loop {
        let status = reader.advance()?;
        let is_effects =
            status == Status::Record && matches!(reader.record().content, Content::Effects { .. });
        if !is_effects || effects == EffectsCompared::AsKept {
            return Ok(status);
        }
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
