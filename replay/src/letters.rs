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

/// Which letters are kept where all are too many: by their content, so that each log keeps the same ones, and over all its time.
///
/// First those without a number go, of which nothing is told about clocks; then half of the others, and half again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sampling(u32);

impl Sampling {
    /// Every letter.
    pub const ALL: Self = Self(0);
    /// None at all.
    const NONE: Self = Self(u64::BITS + 2);
    /// Spreads a content over all bits; the golden ratio, made odd.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The next one that keeps fewer.
    #[must_use]
    pub const fn sparser(self) -> Self {
        if self.0 < Self::NONE.0 { Self(self.0 + 1) } else { Self::NONE }
    }

    /// Whether a letter is kept.
    pub const fn keeps(self, noted: &Noted) -> bool {
        let zeros = noted.content.wrapping_mul(Self::SPREAD).leading_zeros();
        self.0 == 0 || (noted.is_numbered && zeros >= self.0 - 1)
    }

    /// Of so many letters with a number one is kept, about.
    pub fn one_in(self) -> u64 {
        1_u64.checked_shl(self.0.saturating_sub(1)).unwrap_or(u64::MAX)
    }
}

/// Gathers letters.
#[derive(Clone, Debug)]
pub struct Letters {
    noted: Vec<Noted>,
    most: usize,
    sampling: Sampling,
    scratch: Vec<u8>,
}

impl Letters {
    /// Gathers `most` letters at the most, and of too many fewer than `sampling` keeps.
    pub const fn new(most: usize, sampling: Sampling) -> Self {
        Self { noted: Vec::new(), most, sampling, scratch: Vec::new() }
    }

    /// What was gathered, in the order of the log.
    pub fn noted(&self) -> &[Noted] {
        &self.noted
    }

    /// The same, to keep.
    pub fn into_noted(self) -> Vec<Noted> {
        self.noted
    }

    /// Which of all letters these are.
    pub const fn sampling(&self) -> Sampling {
        self.sampling
    }

    fn note(&mut self, noted: Noted) {
        if !self.sampling.keeps(&noted) {
            return;
        }
        self.noted.push(noted);
        while self.noted.len() > self.most {
            self.sampling = self.sampling.sparser();
            let sampling = self.sampling;
            self.noted.retain(|noted| sampling.keeps(noted));
        }
    }

    /// What names a message.
    fn name(&mut self, message: &Message) -> u64 {
        self.scratch.clear();
        codec::encode(message, &mut self.scratch);
        Chain::of_bytes(&self.scratch).value()
    }
}

impl Observer for Letters {
    fn delivery(&mut self, delivery: &Delivery<'_>) {
        let Delivery { at, to: controller, step, now: _ } = *delivery;
        let Step::Input(input) = step else { return };
        let (with, content, is_numbered) = match input {
            Input::Message { from, ref message } => (from, self.name(message), is_numbered(message)),
            Input::Transfer { from, unit } => (from, Chain::of_bytes(unit).value(), true),
            Input::Wake
            | Input::Points { .. }
            | Input::TimedOut { .. }
            | Input::Frame { .. }
            | Input::LinkChanged { .. }
            | Input::Written { .. }
            | Input::NotSent { .. }
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
        let mut letters = Letters::new(9, Sampling::ALL);
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
    fn where_all_are_too_many_each_log_keeps_the_same_ones_from_its_beginning_to_its_end() {
        let asks = |number| message(Content::Request { number, epoch: EPOCH });
        let (mut sent, mut received) = (Letters::new(200, Sampling::ALL), Letters::new(90, Sampling::ALL));
        for number in 0..5_000 {
            outcome(&mut sent, asks(number));
            received.delivery(&delivery(Input::Message { from: Seat(0), message: asks(number) }));
            // All alike: they go first.
            outcome(&mut sent, message(Content::MissesState));
        }
        let contents =
            |letters: &Letters| letters.noted().iter().map(|noted| noted.content).collect::<Vec<_>>();
        let (sent_kept, received_kept) = (contents(&sent), contents(&received));
        assert!((50..=200).contains(&sent_kept.len()), "{}", sent_kept.len());
        assert!((22..=90).contains(&received_kept.len()), "{}", received_kept.len());
        assert!(received_kept.iter().all(|content| sent_kept.contains(content)), "both sides of each");
        assert!(received.sampling() > sent.sampling() && sent.sampling().one_in() >= 16);
        let last: Vec<u64> = (4_500..5_000).map(|number| first_of(asks(number)).content).collect();
        assert!(last.iter().any(|content| received_kept.contains(content)), "also of its last tenth");
    }

    #[test]
    fn however_many_are_alike_there_is_an_end_to_what_is_kept() {
        let mut letters = Letters::new(3, Sampling::ALL);
        for _ in 0..9 {
            outcome(&mut letters, message(Content::Request { number: 1, epoch: EPOCH }));
        }
        assert!(letters.noted().len() <= 3);
        let sparsest = (0..99).fold(Sampling::ALL, |sampling, _| sampling.sparser());
        let noted = Noted { content: 0, is_numbered: true, ..first_of(message(Content::MissesState)) };
        assert!(!sparsest.keeps(&noted) && Sampling::ALL.keeps(&noted));
    }

    fn first_of(message: Message) -> Noted {
        let mut letters = Letters::new(1, Sampling::ALL);
        outcome(&mut letters, message);
        letters.noted()[0]
    }
}
