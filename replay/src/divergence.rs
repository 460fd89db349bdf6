//! The first record at which a replay differs from its log: what was expected and what was found, side by side.
//!
//! A log that holds effects whole says what was expected; any other holds digests, and a report then shows the expected digest
//! beside what was found. Records carry the digest of *earlier* effects, so that a difference shows at the controller's next
//! record and is reported for the one before it, where it arose.

use std::fmt;

use serde::Serialize;

use r_ems_engine::log::{BEHAVIOR, ENGINE_VERSION, Header};
use r_ems_engine::{LocalTime, Time};

use crate::describe::Words;
use crate::recent::{Kept, Recent};

/// How many deliveries to the same controller are shown before the one that differs.
pub const CONTEXT_DELIVERIES: usize = 5;
/// Widest column of a side-by-side report; longer lines push the other column aside.
const COLUMN_CHARS: usize = 56;

/// Where and how a replay differs from its log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Divergence {
    /// What differs.
    pub subject: Subject,
    /// The run's time of the delivery, ns.
    pub at_ns: u64,
    /// The controller's own clock at the delivery, ns.
    pub local_ns: u64,
    /// The controller, "grid/id".
    pub controller: String,
    /// Byte position of the delivery's record.
    pub position: u64,
    /// What reached the controller.
    pub input: String,
    /// What the log says that it led to.
    pub expected: Vec<String>,
    /// What it led to now.
    pub found: Vec<String>,
    /// What else is known.
    pub notes: Vec<String>,
    /// The deliveries to the same controller before it, oldest first.
    pub before: Vec<Before>,
    /// The engine that wrote the log.
    pub logged_by: String,
    /// The engine that ran it again.
    pub replayed_by: String,
}

/// What can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The effects of a delivery, or the deadline after it.
    Effects,
    /// A reported event.
    Event,
    /// The effects or events of one of the last deliveries.
    History,
    /// The state at the end.
    State,
    /// Whether an assertion failed.
    Assertion,
}

/// A delivery before the one that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Before {
    /// The run's time, ns.
    pub at_ns: u64,
    /// What reached the controller.
    pub input: String,
    /// What it led to.
    pub effects: Vec<String>,
}

/// What a comparison found, before its context is gathered.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) subject: Subject,
    pub(crate) expected: Vec<String>,
    pub(crate) found: Vec<String>,
    pub(crate) notes: Vec<String>,
}

impl Divergence {
    /// Puts a finding about a controller's last delivery into its context.
    pub(crate) fn new(finding: Finding, header: &Header, controller: usize, recent: &Recent) -> Self {
        let names = &header.controllers[controller];
        let words = Words::within(&header.controllers, controller);
        let before = |kept: &Kept| Before {
            at_ns: kept.at.as_nanos(),
            input: words.step(&kept.step()),
            effects: led_to(words, kept),
        };
        let last = recent.last();
        let Finding { subject, expected, found, notes } = finding;
        Self {
            subject,
            at_ns: last.map_or(0, |kept| kept.at.as_nanos()),
            local_ns: last.map_or(0, |kept| kept.now.as_nanos()),
            controller: names.full(),
            position: last.map_or(0, |kept| kept.position),
            input: last.map_or_else(|| String::from("nothing yet"), |kept| words.step(&kept.step())),
            expected,
            found,
            notes,
            before: recent.before().map(before).collect(),
            logged_by: engine_name(&header.engine, header.behavior),
            replayed_by: engine_name(ENGINE_VERSION, BEHAVIOR),
        }
    }

    /// The run's time of the delivery.
    pub const fn at(&self) -> Time {
        Time::from_nanos(self.at_ns)
    }
}

/// Everything that a delivery led to, a line each.
pub(crate) fn led_to(words: Words<'_>, kept: &Kept) -> Vec<String> {
    let effect = |effect| words.effect_and_frame(effect, &kept.frames, kept.now);
    let effects = kept.effects.iter().map(effect);
    effects.chain([words.deadline(kept.deadline, kept.now)]).collect()
}

/// An engine with the numbers that decide whether its logs replay.
pub(crate) fn engine_name(version: &str, behavior: u32) -> String {
    format!("engine {version} B{behavior}")
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = LocalTime::from_nanos(self.local_ns);
        writeln!(f, "first difference: {} at {} (its clock: {clock})", self.controller, self.at())?;
        writeln!(f, "  record  at byte {}", self.position)?;
        writeln!(f, "  input   {}", self.input)?;
        let heads = (format!("expected ({})", self.logged_by), format!("found ({})", self.replayed_by));
        let widest = self.expected.iter().chain([&heads.0]).map(|line| line.chars().count()).max();
        let width = widest.unwrap_or(0).min(COLUMN_CHARS);
        writeln!(f, "\n    {:width$}  |  {}", heads.0, heads.1)?;
        for index in 0..self.expected.len().max(self.found.len()) {
            let expected = self.expected.get(index).map_or("", String::as_str);
            let found = self.found.get(index).map_or("", String::as_str);
            let mark = if expected == found { ' ' } else { '!' };
            writeln!(f, "  {mark} {expected:width$}  |  {found}")?;
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        if !self.before.is_empty() {
            writeln!(f, "\n  before it, for the same controller:")?;
        }
        for before in &self.before {
            let ahead = self.at_ns.saturating_sub(before.at_ns);
            writeln!(f, "    {} earlier: {}", LocalTime::from_nanos(ahead), before.input)?;
            before.effects.iter().try_for_each(|effect| writeln!(f, "        {effect}"))?;
        }
        Ok(())
    }
}
