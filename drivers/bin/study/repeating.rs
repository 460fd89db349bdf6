//! Compares a run with the log of an earlier one while it goes on: what was simulated again must be what was.
//!
//! A log holds what reached its controllers, but not the plant that it came from. Whoever asks about the plant simulates it
//! again, from profiles that may have changed meanwhile. As long as every delivery is the log's, to the last bit, so is the
//! plant as far as any controller could see; the first one that is not ends the run.
//!
//! The run ends with its log. Where the log was closed because the run was over, the plant goes on to the end of the scenario
//! if nothing is left to be delivered: the run did so, too.

use std::io::{self, Read};

use r_ems_engine::Time;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::log::{Content, End, Ending, ReadError, Reader, Status};
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Input, Outcome, Sample, Step};
use r_ems_replay::Bytes;

use super::sampled::Sampled;

/// A simulated world whose deliveries are compared with a log.
pub struct Repeating<R> {
    sampled: Sampled,
    log: Reader<Bytes<R>>,
    state: State,
}

/// How far the comparison is.
#[derive(Debug)]
enum State {
    Same,
    Ended,
    Stopped(Departure),
}

/// Why a run did not repeat its log.
#[derive(Debug)]
pub enum Departure {
    /// At this instant something else reached a controller, or nothing did where the log holds a delivery.
    Differs(Time),
    /// The log cannot be read on.
    Unreadable(ReadError<io::Error>),
}

impl<R: Read> Repeating<R> {
    /// Compares with a log that stands at its beginning.
    pub fn new(sampled: Sampled, log: Reader<Bytes<R>>) -> Self {
        Self { sampled, log, state: State::Same }
    }

    /// Ends comparing: the world, and where it departed from the log.
    pub fn into_parts(self) -> (Sampled, Option<Departure>) {
        let departure = match self.state {
            State::Same | State::Ended => None,
            State::Stopped(departure) => Some(departure),
        };
        (self.sampled, departure)
    }
}

/// Moves to the log's next delivery; how the log ended if there is none.
fn advance<R: Read>(log: &mut Reader<Bytes<R>>) -> Result<Option<End>, ReadError<io::Error>> {
    loop {
        match log.advance()? {
            Status::Ended(end) => return Ok(Some(end)),
            Status::Record if matches!(log.record().content, Content::Delivery { .. }) => return Ok(None),
            Status::Record => {}
        }
    }
}

/// Whether two deliveries carry the same bits.
fn is_same(one: &Step<'_>, other: &Step<'_>) -> bool {
    let bits = |sample: &Sample| (sample.point, sample.validity, sample.value.to_bits());
    match (one, other) {
        (
            Step::Input(Input::Points { device, samples }),
            Step::Input(Input::Points { device: other_device, samples: other_samples }),
        ) => device == other_device && samples.iter().map(bits).eq(other_samples.iter().map(bits)),
        (one, other) => one == other,
    }
}

impl<R: Read> Driver for Repeating<R> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        if !matches!(self.state, State::Same) {
            return None;
        }
        match advance(&mut self.log) {
            Ok(None) => {}
            Ok(Some(end)) => {
                self.state = State::Ended;
                let was_over = end == End::Closed(Ending::Over);
                // A run that was cut short must not see what comes next: only a copy may look.
                if was_over && self.sampled.world.clone().next().is_none() {
                    return self.sampled.next();
                }
                return None;
            }
            Err(error) => {
                self.state = State::Stopped(Departure::Unreadable(error));
                return None;
            }
        }
        let expected = self.log.record();
        let Content::Delivery { step: ref expected_step, .. } = expected.content else { return None };
        let Some(delivery) = self.sampled.next() else {
            self.state = State::Stopped(Departure::Differs(expected.at));
            return None;
        };
        let Delivery { at, now, to, ref step } = delivery;
        if (at, now, to) != (expected.at, expected.now, expected.controller) || !is_same(step, expected_step)
        {
            self.state = State::Stopped(Departure::Differs(at.min(expected.at)));
            return None;
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.sampled.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        self.sampled.failed(failure)
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        Sampled::contain(run)
    }
}
