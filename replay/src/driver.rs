//! The driver that replays: it delivers what a log holds and compares what the machines make of it.
//!
//! At each delivery the record's 16 bits must match the chain of what this controller has asked for so far; events, and effects
//! where the log holds them, must match one by one. The first difference ends the replay. It must never deliver anything that
//! the log does not hold.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::event::Event;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{
    Chains, Content, EffectsKept, End, Ending, Flaw, Header, LogError, ReadError, Reader, Status,
};
use r_ems_engine::machine::{Delivery, Driver, Effect, Handled, Input, Outcome, State, Step};
use r_ems_engine::{LocalTime, Time};

use crate::describe::Words;
use crate::divergence::{Divergence, Finding, Subject, led_to};
use crate::recent::Recent;
use crate::source::Bytes;

/// Feeds a fleet from a log.
#[derive(Debug)]
pub struct ReplayDriver<R> {
    reader: Reader<Bytes<R>>,
    /// Whether the reader stands at a record that has not been used.
    staged: bool,
    chains: Chains,
    of: Vec<Followed>,
    /// Nothing later is delivered.
    until: Time,
    deliveries: u64,
    at: Time,
    end: Option<End>,
    stop: Option<Stop>,
}

/// What is known of one controller.
#[derive(Clone, Debug, Default)]
struct Followed {
    recent: Recent,
    /// The last deadline that the log holds, if it holds effects.
    expected_deadline: Option<LocalTime>,
    /// The state that the log holds after the last delivery.
    state: Option<Vec<u8>>,
}

/// Why a replay ended before its log.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The log cannot be read on.
    Unreadable(ReadError<io::Error>),
    /// The machines did something else.
    Diverged(Box<Divergence>),
}

impl<R: Read> ReplayDriver<R> {
    /// Stands at the first delivery of a log whose leading states have been read.
    pub(crate) fn new(reader: Reader<Bytes<R>>, staged: bool) -> Self {
        let controllers = reader.header().controllers.len();
        Self {
            reader,
            staged,
            chains: Chains::new(controllers),
            of: vec![Followed::default(); controllers],
            until: Time::MAX,
            deliveries: 0,
            at: Time::ZERO,
            end: None,
            stop: None,
        }
    }

    /// What the log says about itself.
    pub const fn header(&self) -> &Header {
        self.reader.header()
    }

    /// How many deliveries have been replayed.
    pub const fn deliveries(&self) -> u64 {
        self.deliveries
    }

    /// The run's time of the last delivery.
    pub const fn at(&self) -> Time {
        self.at
    }

    /// How the log ended, once it has.
    pub const fn end(&self) -> Option<End> {
        self.end
    }

    /// The chains of what the machines have asked for.
    pub const fn chains(&self) -> &Chains {
        &self.chains
    }

    /// How many bytes of the log have been read and checked.
    pub const fn position(&self) -> u64 {
        self.reader.position()
    }

    /// Lets the run go on up to `until` and no further.
    pub(crate) const fn run_until(&mut self, until: Time) {
        self.until = until;
    }

    pub(crate) fn take_stop(&mut self) -> Option<Stop> {
        self.stop.take()
    }

    pub(crate) const fn has_stopped(&self) -> bool {
        self.stop.is_some()
    }

    /// Compares the machines' states with those at the log's end.
    pub(crate) fn compare_states<S: State>(&mut self, machines: &[S]) {
        let mut bytes = Vec::new();
        for (position, machine) in machines.iter().enumerate() {
            let Some(expected) = &self.of[position].state else { continue };
            bytes.clear();
            machine.encode(&mut bytes);
            if *expected == bytes {
                continue;
            }
            let same = expected.iter().zip(&bytes).take_while(|(left, right)| left == right).count();
            let describe = |bytes: &[u8]| {
                let digest = r_ems_engine::digest::Digest::of(bytes).short();
                vec![format!("state {digest} of {} bytes", bytes.len())]
            };
            let notes = vec![format!("the states differ from byte {same} on")];
            let (expected, found) = (describe(expected), describe(&bytes));
            self.diverge(position, Finding { subject: Subject::State, expected, found, notes });
            return;
        }
    }

    /// Reads on to the log's end after an assertion failed: the log must say the same.
    pub(crate) fn compare_failure(&mut self, poisoned: Poisoned) {
        while !self.has_stopped() {
            if !self.stage() {
                // A log that simply ends after the failing delivery is what a crash leaves.
                return;
            }
            let record = self.reader.record();
            let agrees = match record.content {
                Content::Closing(ending) => {
                    Some(ending == Ending::Poisoned && record.controller == poisoned.controller)
                }
                Content::State(_) if record.controller == poisoned.controller => Some(false),
                Content::State(_) | Content::Chains(_) => None,
                Content::Delivery { .. } | Content::Event(_) | Content::Effects { .. } => Some(false),
            };
            self.staged = false;
            if agrees == Some(false) {
                let expected = vec![String::from("the delivery was handled")];
                let found = vec![String::from("an assertion failed")];
                let finding = Finding { subject: Subject::Assertion, expected, found, notes: Vec::new() };
                self.diverge(poisoned.controller.position(), finding);
            }
        }
    }

    /// Makes sure that the reader stands at an unused record; `false` if there is none.
    #[inline]
    fn stage(&mut self) -> bool {
        if self.staged {
            return true;
        }
        if self.end.is_some() {
            return false;
        }
        match self.reader.advance() {
            Ok(Status::Record) => self.staged = true,
            Ok(Status::Ended(end)) => self.end = Some(end),
            Err(error) => self.stop = Some(Stop::Unreadable(error)),
        }
        self.staged
    }

    /// Uses records up to the next delivery; `false` if there is none.
    fn find_delivery(&mut self) -> bool {
        while self.stop.is_none() && self.stage() {
            let record = self.reader.record();
            let position = record.controller.position();
            match record.content {
                Content::Delivery { ref step, prior } => {
                    if record.at > self.until {
                        return false;
                    }
                    let found = self.chains.of(record.controller).effects.low16();
                    if prior != found {
                        let notes = self.unwanted_wake(record.controller, record.now, step);
                        self.history_differs(record.controller, prior, found, notes);
                        return false;
                    }
                    let followed = &mut self.of[position];
                    followed.recent.push(record.at, record.now, self.reader.record_position(), step);
                    followed.state = None;
                    return true;
                }
                Content::State(bytes) => self.of[position].state = Some(bytes.to_vec()),
                Content::Chains(expected) => {
                    let found = self.chains.of(record.controller);
                    if expected != found {
                        let lines = |pair: &r_ems_engine::log::ChainPair| {
                            vec![
                                format!("effects {:016x}", pair.effects.value()),
                                format!("events {:016x}", pair.events.value()),
                            ]
                        };
                        let (expected, found) = (lines(&expected), lines(&found));
                        let notes = vec![String::from("the difference arose here or shortly before")];
                        self.diverge(position, Finding { subject: Subject::History, expected, found, notes });
                    }
                }
                Content::Closing(ending) => self.check_ending(record.controller, ending),
                Content::Event(_) | Content::Effects { .. } => {
                    let position = self.reader.record_position();
                    let error = LogError { position, flaw: Flaw::NoDelivery };
                    self.stop = Some(Stop::Unreadable(error.into()));
                }
            }
            self.staged = false;
        }
        false
    }

    fn check_ending(&mut self, controller: ControllerIndex, ending: Ending) {
        match ending {
            Ending::Over | Ending::Stopped => {}
            Ending::Poisoned => {
                let expected = vec![String::from("an assertion failed")];
                let position = controller.position();
                let found = self.last_led_to(position);
                let notes = Vec::new();
                self.diverge(position, Finding { subject: Subject::Assertion, expected, found, notes });
            }
        }
    }

    fn history_differs(
        &mut self,
        controller: ControllerIndex,
        expected: u16,
        found: u16,
        notes: Vec<String>,
    ) {
        let position = controller.position();
        let digest = |digest: u16| format!("digest {digest:04x} of all effects up to here");
        let expected = vec![digest(expected)];
        let mut lines = vec![digest(found)];
        lines.extend(self.last_led_to(position));
        self.diverge(position, Finding { subject: Subject::Effects, expected, found: lines, notes });
    }

    /// Says so if the log wakes a machine that no longer wants it.
    fn unwanted_wake(&self, controller: ControllerIndex, now: LocalTime, step: &Step<'_>) -> Vec<String> {
        let Step::Input(Input::Wake) = step else { return Vec::new() };
        let deadline = self.of[controller.position()].recent.last().and_then(|kept| kept.deadline);
        match deadline {
            Some(deadline) if deadline <= now => Vec::new(),
            Some(deadline) => vec![format!(
                "the log then wakes it at its clock {now}; it now wants that {} later",
                deadline.since(now)
            )],
            None => vec![format!("the log then wakes it at its clock {now}; it no longer wants that")],
        }
    }

    fn last_led_to(&self, position: usize) -> Vec<String> {
        let words = Words(&self.header().controllers[position]);
        self.of[position].recent.last().map_or_else(Vec::new, |kept| led_to(words, kept))
    }

    fn diverge(&mut self, position: usize, finding: Finding) {
        let recent = &self.of[position].recent;
        let divergence = Divergence::new(finding, self.header(), position, recent);
        self.stop = Some(Stop::Diverged(Box::new(divergence)));
    }

    /// Compares the records that follow a delivery with what it led to.
    fn compare(&mut self, outcome: &Outcome<'_>) {
        let mut reports = outcome.effects.as_slice().iter().filter_map(report_of);
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
                    let others =
                        outcome.effects.as_slice().iter().filter(|effect| report_of(effect).is_none());
                    let same = others.eq(effects.iter()) && deadline == outcome.deadline;
                    let lines =
                        if same { Vec::new() } else { self.expected_lines(outcome, effects, deadline) };
                    self.of[outcome.from.position()].expected_deadline = deadline;
                    if !same {
                        self.effects_differ(outcome, lines);
                    }
                }
                Content::Event(_)
                | Content::Effects { .. }
                | Content::Delivery { .. }
                | Content::State(_)
                | Content::Chains(_)
                | Content::Closing(_) => break,
            }
            self.staged = false;
        }
        if self.stop.is_some() || !self.staged {
            // At a torn end what the last delivery led to may be lost.
            return;
        }
        if let Some(found) = reports.next() {
            self.event_differs(outcome, None, Some(found));
        } else if !effects_seen && self.header().effects == EffectsKept::Whole {
            let expected = self.of[outcome.from.position()].expected_deadline;
            let none = outcome.effects.as_slice().iter().all(|effect| report_of(effect).is_some());
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
        let words = Words(&self.header().controllers[outcome.from.position()]);
        let lines = effects.iter().map(|effect| words.effect(effect, outcome.now));
        lines.chain([words.deadline(deadline, outcome.now)]).collect()
    }

    fn effects_differ(&mut self, outcome: &Outcome<'_>, expected: Vec<String>) {
        let others: Vec<Effect> =
            outcome.effects.as_slice().iter().filter(|effect| report_of(effect).is_none()).copied().collect();
        let found = self.expected_lines(outcome, &others, outcome.deadline);
        let finding = Finding { subject: Subject::Effects, expected, found, notes: Vec::new() };
        self.diverge(outcome.from.position(), finding);
    }

    fn event_differs(&mut self, outcome: &Outcome<'_>, expected: Option<Event>, found: Option<Event>) {
        let words = Words(&self.header().controllers[outcome.from.position()]);
        let line = |event: Option<Event>| {
            vec![event.map_or_else(|| String::from("no event"), |event| words.event(&event))]
        };
        let (expected, found) = (line(expected), line(found));
        let finding = Finding { subject: Subject::Event, expected, found, notes: Vec::new() };
        self.diverge(outcome.from.position(), finding);
    }
}

const fn report_of(effect: &Effect) -> Option<Event> {
    match effect {
        Effect::Report(event) => Some(*event),
        Effect::Write(_) | Effect::Poll { .. } => None,
    }
}

impl<R: Read> Driver for ReplayDriver<R> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        if !self.find_delivery() {
            return None;
        }
        self.staged = false;
        self.deliveries += 1;
        let record = self.reader.record();
        self.at = record.at;
        let Content::Delivery { step, .. } = record.content else { return None };
        let delivery = Delivery { at: record.at, now: record.now, to: record.controller, step };
        self.chains.begin(&delivery);
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.chains.fold(outcome);
        let recent = &mut self.of[outcome.from.position()].recent;
        recent.led_to(outcome.effects.as_slice(), outcome.deadline);
        self.compare(outcome);
    }

    /// A log may end with a failed assertion: replaying it must show that, not fail with it.
    fn contain(run: &mut dyn FnMut()) -> Handled {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => Handled::Done,
            Err(_panic) => Handled::Poisoned,
        }
    }
}
