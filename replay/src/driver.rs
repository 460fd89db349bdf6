//! The driver that replays: it delivers what a log holds and compares what the machines make of it.
//!
//! At each delivery the record's 16 bits must match the chain of what this controller has asked for so far; events, and effects
//! where the log holds them, must match one by one. The first difference ends the replay. It must never deliver anything that
//! the log does not hold.
//!
//! `outcome` compares what a delivery led to, `ending` everything that is compared less often: chains, states, the end.

mod ending;
mod outcome;

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::{Chains, Content, End, Ending, Flaw, Header, LogError, ReadError, Reader, Status};
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Input, Outcome, Step};
use r_ems_engine::{LocalTime, Time};

use crate::compatibility::Compatibility;
use crate::describe::Words;
use crate::divergence::{Divergence, Finding, led_to};
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
    /// Whether only states and chains have been read: those chains are where the machines begin.
    leading: bool,
    strictness: Strictness,
    /// The first event that differs, where that is no divergence.
    event_difference: Option<Divergence>,
}

/// What counts as a divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strictness {
    /// Every difference.
    Everything,
    /// Only what machines ask for; what they report may differ between versions.
    Effects,
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
    pub(crate) fn new(reader: Reader<Bytes<R>>) -> Self {
        let controllers = reader.header().controllers.len();
        let strictness = match Compatibility::of(reader.header()) {
            Compatibility::Same => Strictness::Everything,
            Compatibility::OtherVersion { .. } | Compatibility::OtherBehavior { .. } => Strictness::Effects,
        };
        Self {
            reader,
            staged: false,
            chains: Chains::new(controllers),
            of: vec![Followed::default(); controllers],
            until: Time::MAX,
            deliveries: 0,
            at: Time::ZERO,
            end: None,
            stop: None,
            leading: true,
            strictness,
            event_difference: None,
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

    /// The first event that differs from the log's, if another version wrote it.
    pub const fn event_difference(&self) -> Option<&Divergence> {
        self.event_difference.as_ref()
    }

    /// When a controller was last heard of, in the run's time and its own, and when it wanted to be woken then.
    pub(crate) fn last(&self, controller: usize) -> Option<(Time, LocalTime, Option<LocalTime>)> {
        self.of[controller].recent.last().map(|kept| (kept.at, kept.now, kept.deadline))
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
                    self.leading = false;
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
                Content::State(bytes) => {
                    self.leading = false;
                    self.of[position].state = Some(bytes.to_vec());
                }
                // It is of the state before it, which is compared.
                Content::Carried { .. } => {}
                Content::Chains(chains) if self.leading => self.chains.set(record.controller, chains),
                Content::Chains(expected) => self.compare_chains(record.controller, expected),
                Content::Closing(ending) => self.check_ending(record.controller, ending),
                Content::Crashed => self.check_ending(record.controller, Ending::Poisoned),
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
        let words = Words::within(&self.header().controllers, position);
        self.of[position].recent.last().map_or_else(Vec::new, |kept| led_to(words, kept))
    }

    fn diverge(&mut self, position: usize, finding: Finding) {
        let recent = &self.of[position].recent;
        let divergence = Divergence::new(finding, self.header(), position, recent);
        self.stop = Some(Stop::Diverged(Box::new(divergence)));
    }

    /// Stops at a difference in what is reported, or only notes the first one, as the versions demand.
    fn diverge_in_events(&mut self, position: usize, finding: Finding) {
        match self.strictness {
            Strictness::Everything => self.diverge(position, finding),
            Strictness::Effects if self.event_difference.is_none() => {
                let recent = &self.of[position].recent;
                self.event_difference = Some(Divergence::new(finding, self.header(), position, recent));
            }
            Strictness::Effects => {}
        }
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
        recent.led_to((outcome.effects.as_slice(), outcome.effects.frames()), outcome.deadline);
        self.compare(outcome);
    }

    /// A failed assertion is replayed as everything is: it must fail now where the log says so, and nowhere else.
    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        if self.stop.is_none() && self.stage() {
            let record = self.reader.record();
            if record.content == Content::Crashed && record.controller == failure.controller {
                self.staged = false;
                // It wants to be woken at once and nobody does: so it is seen to be down until it is restored.
                self.of[failure.controller.position()].recent.led_to((&[], &[]), Some(record.now));
                return Afterwards::OthersGoOn;
            }
        }
        Afterwards::RunEnds
    }

    /// A log may end with a failed assertion: replaying it must show that, not fail with it.
    fn contain(run: &mut dyn FnMut()) -> Handled {
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(()) => Handled::Done,
            Err(_panic) => Handled::Poisoned,
        }
    }
}
