//! Each rule of what is believed, answered and counted, alone.

use proptest::prelude::*;
use r_ems_engine::{Span, Time};

use super::{Circle, Taken};
use crate::peers::HELLO_EVERY;
use crate::peers::association::Identity;
use crate::peers::counts::{Counts, Refused};
use crate::peers::datagram::{Content, Datagram, Head, Nonce, Session, write};
use crate::peers::key::Key;

const START: Time = Time::ZERO;

/// What a datagram led to, and the answer if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Body(Vec<u8>),
    Answer(Vec<u8>),
    Nothing,
}

fn key() -> Key {
    Key::of([1; 32])
}

/// A process of one of three hosts that can be spoken to; a fourth has no address.
fn begin(host: u16, life: u8) -> Circle {
    let drawn = host as u8 * 16 + life;
    let own = Identity::new(host, key(), [drawn; 16], [drawn; 32]);
    Circle::new(own, [true, true, true, false])
}

fn send(from: &mut Circle, to: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"of before".to_vec();
    assert!(from.send(to, body, &mut bytes));
    bytes
}

fn take(circle: &mut Circle, at: Time, bytes: &[u8]) -> Outcome {
    let mut answer = b"of before".to_vec();
    match circle.take(at, bytes, &mut answer) {
        Taken::Body { body, .. } => Outcome::Body(body.to_vec()),
        Taken::Answer { .. } => Outcome::Answer(answer),
        Taken::Nothing => Outcome::Nothing,
    }
}

/// What it is answered with.
#[track_caller]
fn answer(circle: &mut Circle, at: Time, bytes: &[u8]) -> Vec<u8> {
    match take(circle, at, bytes) {
        Outcome::Answer(answer) => answer,
        other @ (Outcome::Body(_) | Outcome::Nothing) => panic!("no answer but {other:?}"),
    }
}

/// Lets host 1 hear host 0 and the other way round, from nothing; gives the Hellos that pass, the first of them from host 0.
fn introduce(zero: &mut Circle, one: &mut Circle, at: Time) -> [Vec<u8>; 3] {
    let knock = send(one, 0, b"lost");
    let first = answer(zero, at, &knock);
    let second = answer(one, at, &first);
    let third = answer(zero, at, &second);
    assert_eq!(take(one, at, &third), Outcome::Nothing);
    [first, second, third]
}

fn introduced() -> (Circle, Circle) {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    introduce(&mut zero, &mut one, START);
    (zero, one)
}

/// The same datagram as somebody with the key would write it with other content.
fn forged(bytes: &[u8], change: impl FnOnce(&mut Head)) -> Vec<u8> {
    let datagram = Datagram::read(bytes).expect("ours");
    let (mut head, mut forged) = (datagram.head, Vec::new());
    change(&mut head);
    write(&head, datagram.content, &key(), &mut forged);
    forged
}

fn head(bytes: &[u8]) -> Head {
    Datagram::read(bytes).expect("ours").head
}

fn later(millis: u64) -> Time {
    START + Span::from_millis(millis)
}

#[test]
fn the_second_heartbeat_is_delivered_and_so_is_what_comes_back() {
    let (mut zero, mut one) = introduced();
    let data = send(&mut one, 0, b"second");
    assert_eq!(take(&mut zero, START, &data), Outcome::Body(b"second".to_vec()));
    let data = send(&mut zero, 1, b"back");
    assert_eq!(take(&mut one, START, &data), Outcome::Body(b"back".to_vec()));
    let counts = zero.counts_of(1).expect("a peer");
    let expected = Counts { sent: 1, answered: 2, delivered: 1, accepted: 1, ..Counts::default() };
    assert_eq!(counts, Counts { refused: Refused { stale: 1, ..Refused::default() }, ..expected });
}

#[test]
fn two_that_begin_in_step_hear_each_other() {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    let (to_one, to_zero) = (send(&mut zero, 1, b""), send(&mut one, 0, b""));
    let (to_zero, to_one) = (answer(&mut one, START, &to_one), answer(&mut zero, START, &to_zero));
    let (to_zero, to_one) = (answer(&mut one, START, &to_one), answer(&mut zero, START, &to_zero));
    assert_eq!(take(&mut one, START, &to_one), Outcome::Nothing);
    assert_eq!(take(&mut zero, START, &to_zero), Outcome::Nothing);
    let data = send(&mut zero, 1, b"heard");
    assert_eq!(take(&mut one, START, &data), Outcome::Body(b"heard".to_vec()));
}

#[test]
fn a_knock_holds_no_body() {
    let mut zero = begin(0, 1);
    let knock = send(&mut zero, 1, b"a state of many bytes");
    assert_eq!(Datagram::read(&knock).map(|read| read.content), Ok(Content::Data(b"")));
    assert_eq!(zero.counts(), Counts { knocked: 1, ..Counts::default() });
}

#[test]
fn a_body_is_delivered_once_and_in_any_order() {
    let (mut zero, mut one) = introduced();
    let [first, second] = [b"first", b"other"].map(|body| send(&mut one, 0, body));
    assert_eq!(take(&mut zero, START, &second), Outcome::Body(b"other".to_vec()));
    assert_eq!(take(&mut zero, START, &first), Outcome::Body(b"first".to_vec()));
    for again in [&first, &second] {
        assert_eq!(take(&mut zero, START, again), Outcome::Nothing);
    }
    assert_eq!(zero.counts().refused.replayed, 2);
}

#[test]
fn what_64_later_ones_have_overtaken_is_refused() {
    let (mut zero, mut one) = introduced();
    let sent: Vec<Vec<u8>> = (0..65).map(|_| send(&mut one, 0, b"body")).collect();
    assert_ne!(take(&mut zero, START, &sent[64]), Outcome::Nothing);
    assert_ne!(take(&mut zero, START, &sent[1]), Outcome::Nothing);
    assert_eq!(take(&mut zero, START, &sent[0]), Outcome::Nothing);
}

#[test]
fn a_recording_proves_nothing_to_the_next_life_of_its_receiver() {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    let [_, hello, _] = introduce(&mut zero, &mut one, START);
    let data = send(&mut one, 0, b"grant");
    let mut next = begin(0, 2);
    assert_eq!(take(&mut next, START, &hello), Outcome::Nothing, "it answers a session that is over");
    answer(&mut next, START, &data);
    assert_eq!((next.counts().delivered, next.counts().accepted, next.counts().refused.stale), (0, 0, 2));
}

#[test]
fn a_recording_proves_nothing_once_the_next_life_of_its_sender_was_heard() {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    let [_, hello, _] = introduce(&mut zero, &mut one, START);
    let data = send(&mut one, 0, b"grant");
    let mut next = begin(1, 2);
    introduce(&mut zero, &mut next, later(10));
    answer(&mut zero, later(20), &data);
    answer(&mut zero, later(20), &hello);
    assert_eq!((zero.counts().delivered, zero.counts().accepted), (0, 2));
    // Nor does it once the session that made it comes back, as that of a host's double would.
    introduce(&mut zero, &mut one, later(30));
    assert_eq!(zero.counts().accepted, 3);
    answer(&mut zero, later(40), &data);
    assert_eq!(zero.counts().delivered, 0);
}

#[test]
fn a_recorded_hello_of_a_former_life_makes_nobody_deaf() {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    let old = introduce(&mut zero, &mut one, START);
    let mut next = begin(0, 2);
    introduce(&mut next, &mut one, later(10));
    for (tens, hello) in [&old[0], &old[2]].into_iter().enumerate() {
        take(&mut one, later(20 + 10 * tens as u64), hello);
    }
    let data = send(&mut one, 0, b"heard");
    assert_eq!(take(&mut next, later(50), &data), Outcome::Body(b"heard".to_vec()));
}

#[test]
fn a_hello_is_believed_once() {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    let [_, accepting, confirming] = introduce(&mut zero, &mut one, START);
    assert_eq!(take(&mut zero, later(10), &accepting), Outcome::Nothing);
    assert_eq!(take(&mut one, later(10), &confirming), Outcome::Nothing);
    assert_eq!((zero.counts().refused.replayed, one.counts().refused.replayed), (1, 1));
}

#[test]
fn the_nonce_of_one_session_is_none_of_another() {
    let (mut zero, mut one) = (begin(0, 1), begin(1, 1));
    let [_, hello, _] = introduce(&mut zero, &mut one, START);
    let data = send(&mut one, 0, b"body");
    let other = |head: &mut Head| head.session = Session([99; 16]);
    answer(&mut zero, later(10), &forged(&data, other));
    // One that is not accepted yet: its nonce is of the next generation.
    let first = answer(&mut zero, later(20), &send(&mut begin(1, 2), 0, b""));
    let Ok(Content::Hello { nonce, .. }) = Datagram::read(&first).map(|read| read.content) else { panic!() };
    answer(
        &mut zero,
        later(20),
        &forged(&hello, |head| {
            other(head);
            head.echo = nonce;
        }),
    );
    assert_eq!((zero.counts().delivered, zero.counts().accepted), (0, 1));
}

#[test]
fn hosts_are_given_different_nonces() {
    let mut zero = begin(0, 1);
    let knock = send(&mut begin(1, 1), 0, b"");
    let [one, two] = [1, 2].map(|host| answer(&mut zero, START, &forged(&knock, |head| head.from = host)));
    let nonce = |bytes: &[u8]| bytes[66..82].to_vec();
    assert_ne!(nonce(&one), nonce(&two));
}

#[test]
fn a_session_that_is_not_accepted_is_told_no_nonce_of_another() {
    let (mut zero, _one) = introduced();
    let hello = answer(&mut zero, later(10), &send(&mut begin(1, 2), 0, b""));
    assert_eq!(head(&hello).echo, Nonce::UNKNOWN);
}

#[test]
fn data_and_hellos_are_each_answered_once_in_a_while() {
    let mut zero = begin(0, 1);
    let mut one = begin(1, 1);
    let knock = send(&mut one, 0, b"");
    let hello = answer(&mut zero, START, &knock);
    let just_before = START + Span::from_nanos(HELLO_EVERY.as_nanos() - 1);
    assert_eq!(take(&mut zero, just_before, &knock), Outcome::Nothing);
    answer(&mut zero, START + HELLO_EVERY, &knock);
    answer(&mut one, START, &hello);
    assert_eq!(take(&mut one, just_before, &hello), Outcome::Nothing);
    answer(&mut one, START + HELLO_EVERY, &hello);
    assert_eq!((zero.counts().answered, zero.counts().refused.stale), (2, 3));
}

#[test]
fn one_peer_takes_no_answers_from_another() {
    let mut zero = begin(0, 1);
    answer(&mut zero, START, &send(&mut begin(1, 1), 0, b""));
    answer(&mut zero, START, &send(&mut begin(2, 1), 0, b""));
}

#[test]
fn what_is_refused_is_counted_by_its_kind() {
    let (mut zero, mut one) = introduced();
    let before = zero.counts();
    let data = send(&mut one, 0, b"body");
    let mut foreign = data.clone();
    foreign[4] += 1;
    let mut other_key = Vec::new();
    write(&head(&data), Content::Data(b"body"), &Key::of([2; 32]), &mut other_key);
    let nobody = |from| forged(&data, |head| head.from = from);
    for bytes in [
        &data[..65],
        &foreign,
        &forged(&data, |head| head.to = 2),
        // A host without an address, one that the site does not have, and this host itself.
        &nobody(3),
        &nobody(4),
        &nobody(0),
        &other_key,
    ] {
        assert_eq!(take(&mut zero, later(10), bytes), Outcome::Nothing);
    }
    let refused =
        Refused { length: 1, foreign: 1, not_for_me: 1, unknown_host: 3, forged: 1, stale: 1, replayed: 0 };
    assert_eq!(zero.counts(), Counts { refused, ..before });
    let of_one = zero.counts_of(1).expect("a peer").refused;
    assert_eq!(of_one, Refused { forged: 1, stale: 1, ..Refused::default() });
    assert_eq!([0, 3, 4].map(|host| zero.counts_of(host)), [None; 3]);
}

#[test]
fn what_cannot_leave_is_counted() {
    let mut zero = begin(0, 1);
    assert!(!zero.send(3, b"body", &mut Vec::new()));
    zero.not_taken(1);
    assert_eq!(zero.counts(), Counts { not_taken: 2, ..Counts::default() });
    assert_eq!(zero.counts_of(1), Some(Counts { not_taken: 1, ..Counts::default() }));
}

proptest! {
    #[test]
    fn no_bytes_panic_deliver_or_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (mut zero, _one) = introduced();
        let with_head = [&b"REMS\x01\x02\x01\x00\x00\x00"[..], &bytes].concat();
        for bytes in [&bytes, &with_head] {
            prop_assert_eq!(take(&mut zero, later(10), bytes), Outcome::Nothing);
        }
    }
}
