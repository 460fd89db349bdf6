//! The daemon's events: the last ones, numbered, for whoever asks or follows.

use std::collections::VecDeque;

use r_ems_engine::event::Severity;

use super::super::about::About;
use super::super::feed::{Told, What};
use super::conditions::Conditions;
use super::views::Views;
use crate::api::EventLine;

/// So many events are kept; older ones are in the log.
const EVENTS_KEPT: usize = 8_192;

/// An event and how it is told.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) told: Told,
    pub(super) line: EventLine,
}

/// The last events.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: VecDeque<Entry>,
    /// The number of the last event.
    last: u64,
    /// What lasts.
    pub(super) conditions: Conditions,
}

impl History {
    /// Adds what happened; returns how it is told, and how much it matters.
    pub(super) fn add(&mut self, told: Told, about: &About, views: &dyn Views) -> (EventLine, Severity) {
        self.last = told.number;
        let (kind, severity, message) = match &told.what {
            What::Event(event) => (event.kind(), event.severity(), views.words(told.from, event)),
            What::Failed => ("failed", Severity::Alarm, "failed: an assertion, and starts again".to_owned()),
        };
        let line = EventLine {
            number: told.number,
            at_s: told.at.as_secs_f64(),
            at: about.local(told.at),
            controller: about.controllers[told.from.position()].full(),
            kind: kind.to_owned(),
            severity: severity.to_string(),
            message,
        };
        match &told.what {
            What::Event(event) => self.conditions.follow(told.from, event, &line),
            What::Failed => self.conditions.fail(told.from, &line),
        }
        if self.entries.len() == EVENTS_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { told, line: line.clone() });
        (line, severity)
    }

    /// The number of the last event; 0 before the first.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// At most `count` events from a number on, of those that are kept.
    pub(super) fn from(&self, number: u64, count: usize) -> impl Iterator<Item = &Entry> {
        let begins = self.entries.partition_point(|entry| entry.line.number < number);
        self.entries.range(begins..).take(count)
    }
}
