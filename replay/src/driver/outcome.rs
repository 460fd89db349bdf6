//! Compares what one delivery led to with the records that follow it: each event, and the effects where the log holds them.

use std::io::Read;

use r_ems_engine::LocalTime;
use r_ems_engine::event::Event;
use r_ems_engine::log::{Content, EffectsKept, Ending};
use r_ems_engine::machine::{Effect, Outcome};

use super::ReplayDriver;
use crate::describe::Words;
use crate::divergence::{Finding, Subject};

impl<R: Read> ReplayDriver<R> {
    /// Compares the records that follow a delivery with what it led to.
    pub(super) fn compare(&mut self, outcome: &Outcome<'_>) {
        let mut reports = outcome.effects.as_slice().iter().filter_map(Effect::event).copied();
        let mut effects_seen = false;
        while self.stop.is_none() && self.stage() {
            let record = self.reader.record();
            match record.content {
                Content::Event(expected) if record.controller == outcome.from => {
                    let found = reports.next();
                    if found != Some(expected) {
                        self.event_differs(outcome, Some(expected), found);
                    }
                }
                Content::Effects { effects, deadline } if record.controller == outcome.from => {
                    effects_seen = true;
                    let others = outcome.effects.as_slice().iter().filter(|effect| effect.event().is_none());
                    let same = others.eq(effects.iter()) && deadline == outcome.deadline;
                    let lines =
                        if same { Vec::new() } else { self.expected_lines(outcome, effects, deadline) };
                    self.of[outcome.from.position()].expected_deadline = deadline;
                    if !same {
                        self.effects_differ(outcome, lines);
                    }
                }
                Content::Crashed if record.controller == outcome.from => {
                    self.check_ending(outcome.from, Ending::Poisoned);
                }
                Content::Event(_)
                | Content::Effects { .. }
                | Content::Delivery { .. }
                | Content::State(_)
                | Content::Carried { .. }
                | Content::Chains(_)
                | Content::Closing(_)
                | Content::Crashed => break,
            }
            self.staged = false;
        }
        if self.stop.is_some() || !self.staged {
            // At a torn end what the last delivery led to may be lost.
            return;
        }
        if let Some(found) = reports.next() {
            self.event_differs(outcome, None, Some(found));
        }
        if self.stop.is_none() && !effects_seen && self.header().effects == EffectsKept::Whole {
            let expected = self.of[outcome.from.position()].expected_deadline;
            let none = outcome.effects.as_slice().iter().all(|effect| effect.event().is_some());
            if !none || expected != outcome.deadline {
                let lines = self.expected_lines(outcome, &[], expected);
                self.effects_differ(outcome, lines);
            }
        }
    }

    fn expected_lines(
        &self,
        outcome: &Outcome<'_>,
        effects: &[Effect],
        deadline: Option<LocalTime>,
    ) -> Vec<String> {
        let words = Words::within(&self.header().controllers, outcome.from.position());
        let lines = effects.iter().map(|effect| words.effect(effect, outcome.now));
        lines.chain([words.deadline(deadline, outcome.now)]).collect()
    }

    fn effects_differ(&mut self, outcome: &Outcome<'_>, expected: Vec<String>) {
        let others: Vec<Effect> =
            outcome.effects.as_slice().iter().filter(|effect| effect.event().is_none()).copied().collect();
        let found = self.expected_lines(outcome, &others, outcome.deadline);
        let finding = Finding { subject: Subject::Effects, expected, found, notes: Vec::new() };
        self.diverge(outcome.from.position(), finding);
    }

    fn event_differs(&mut self, outcome: &Outcome<'_>, expected: Option<Event>, found: Option<Event>) {
        let words = Words::within(&self.header().controllers, outcome.from.position());
        let line = |event: Option<Event>| {
            vec![event.map_or_else(|| String::from("no event"), |event| words.event(&event))]
        };
        let (expected, found) = (line(expected), line(found));
        let finding = Finding { subject: Subject::Event, expected, found, notes: Vec::new() };
        self.diverge_in_events(outcome.from.position(), finding);
    }
}
