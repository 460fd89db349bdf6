//! What the members of councils send each other, gathered while a log is replayed.
//!
//! A log holds what its controllers got, word for word, and of what they sent only digests: but a replay makes them send it
//! again. Of each letter is kept what names it, in 24 bytes, and when.

use r_ems_engine::Time;
use r_ems_engine::digest::Chain;
use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::log::codec;
use r_ems_engine::machine::{Delivery, Effect, Input, Outcome, Step};
use r_ems_engine::redundancy::message::Content;
use r_ems_engine::redundancy::{Message, Seat};

use crate::observed::Observer;

/// A letter as the log of one side tells of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The run's time when it was sent or had arrived.
    pub at: Time,
    /// Names its content.
    pub content: u64,
    /// Whose log it is.
    pub controller: ControllerIndex,
    /// Who is on the other side.
    pub with: Seat,
    /// Which side this is.
    pub side: Side,
    /// Whether its content has a number, so that no other letter of its writer's life is like it.
    pub is_numbered: bool,
}

/// A side of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who sends it.
    Sent,
    /// Who gets it.
    Received,
}

/// Gathers letters.
#[derive(Clone, Debug)]
pub struct Letters {
    noted: Vec<Noted>,
    most: usize,
    left_out: u64,
    scratch: Vec<u8>,
}

impl Letters {
    /// Gathers `most` letters at the most, the first ones.
    pub const fn new(most: usize) -> Self {
        Self { noted: Vec::new(), most, left_out: 0, scratch: Vec::new() }
    }

    /// What was gathered, in the order of the log.
    pub fn noted(&self) -> &[Noted] {
        &self.noted
    }

    /// The same, to keep.
    pub fn into_noted(self) -> Vec<Noted> {
        self.noted
    }

    /// How many more there were.
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    fn note(&mut self, noted: Noted) {
        if self.noted.len() < self.most {
            self.noted.push(noted);
        } else {
            self.left_out += 1;
        }
    }

    /// What names a message.
    fn name(&mut self, message: &Message) -> u64 {
        self.scratch.clear();
        codec::encode(message, &mut self.scratch);
        chain_of(&self.scratch)
    }
}

impl Observer for Letters {
    fn delivery(&mut self, delivery: &Delivery<'_>) {
        let Delivery { at, to: controller, step, now: _ } = *delivery;
        let Step::Input(input) = step else { return };
        let (with, content, is_numbered) = match input {
            Input::Message { from, ref message } => (from, self.name(message), is_numbered(message)),
            Input::Transfer { from, unit } => (from, chain_of(unit), true),
            Input::Wake
            | Input::Points { .. }
            | Input::TimedOut { .. }
            | Input::Frame { .. }
            | Input::LinkChanged { .. }
            | Input::Written { .. }
            | Input::Promised { .. }
            | Input::Snapshotted { .. }
            | Input::Journal(_)
            | Input::WallClock { .. }
            | Input::Command(_) => return,
        };
        self.note(Noted { at, content, controller, with, side: Side::Received, is_numbered });
    }

    fn outcome(&mut self, outcome: &Outcome<'_>) {
        for effect in outcome.effects.as_slice() {
            let (with, content, is_numbered) = match effect {
                Effect::Send { to, message } => (*to, self.name(message), is_numbered(message)),
                Effect::Transfer { to, length: _, chain } => (*to, *chain, true),
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Authority { .. }
                | Effect::Promise(_)
                | Effect::Snapshot
                | Effect::Stopped
                | Effect::Report(_) => continue,
            };
            let (at, controller) = (outcome.at, outcome.from);
            self.note(Noted { at, content, controller, with, side: Side::Sent, is_numbered });
        }
    }
}

/// The chain of bytes, as an effect tells that of a unit.
fn chain_of(bytes: &[u8]) -> u64 {
    let mut chain = Chain::new(0);
    chain.fold_bytes(bytes);
    chain.value()
}

/// Whether a message has a number: those of a life are counted, and the life is in the message too.
const fn is_numbered(message: &Message) -> bool {
    match message.content {
        Content::Heartbeat(heartbeat) => heartbeat.renewal != 0,
        Content::Request { .. } | Content::Grant { .. } | Content::Refuse { .. } => true,
        Content::Release { .. }
        | Content::MissesState
        | Content::HandOver { .. }
        | Content::Outlived { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use r_ems_engine::LocalTime;
    use r_ems_engine::machine::Effects;
    use r_ems_engine::redundancy::Epoch;

    use super::*;

    const EPOCH: Epoch = Epoch { round: 3, seat: Seat(0) };

    fn message(content: Content) -> Message {
        Message { section: 7, incarnation: 2, content }
    }

    fn delivery(input: Input<'_>) -> Delivery<'_> {
        let (at, now) = (Time::from_nanos(5), LocalTime::from_nanos(5));
        Delivery { at, now, to: ControllerIndex(1), step: Step::Input(input) }
    }

    fn outcome(letters: &mut Letters, message: Message) {
        let mut effects = Effects::new();
        effects.push(Effect::Snapshot);
        effects.push(Effect::Send { to: Seat(2), message });
        let (at, now) = (Time::from_nanos(4), LocalTime::from_nanos(4));
        let from = ControllerIndex(0);
        letters.outcome(&Outcome { at, now, from, deadline: None, effects: &effects, state: &NoState });
    }

    /// Nobody asks for it.
    struct NoState;

    impl r_ems_engine::machine::State for NoState {
        fn encode(&self, _bytes: &mut Vec<u8>) {}

        fn carried(&self) -> Option<r_ems_engine::carried::Carried> {
            None
        }
    }

    #[test]
    fn a_letter_has_one_name_where_it_is_sent_and_where_it_arrives() {
        let asks = message(Content::Request { number: 9, epoch: EPOCH });
        let mut letters = Letters::new(9);
        outcome(&mut letters, asks);
        letters.delivery(&delivery(Input::Message { from: Seat(0), message: asks }));
        letters.delivery(&delivery(Input::Wake));
        let [sent, received] = *letters.noted() else { panic!("two: {letters:?}") };
        assert_eq!(sent.content, received.content);
        assert_eq!((sent.side, sent.with, sent.controller), (Side::Sent, Seat(2), ControllerIndex(0)));
        assert_eq!(
            (received.side, received.with, received.controller),
            (Side::Received, Seat(0), ControllerIndex(1))
        );
        assert!(sent.is_numbered && received.is_numbered);
        let other = message(Content::Request { number: 10, epoch: EPOCH });
        letters.delivery(&delivery(Input::Message { from: Seat(0), message: other }));
        assert!(letters.noted()[2].content != sent.content);
        letters.delivery(&delivery(Input::Message { from: Seat(0), message: message(Content::MissesState) }));
        assert!(!letters.noted()[3].is_numbered);
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for_and_the_others_are_counted() {
        let mut letters = Letters::new(2);
        (0..5).for_each(|number| outcome(&mut letters, message(Content::Request { number, epoch: EPOCH })));
        assert_eq!((letters.noted().len(), letters.left_out()), (2, 3));
    }
}
