//! A serial line: nothing in an answer says to which request it is, and it may come late, broken, or with noise around it.

use super::*;
use crate::fieldbus::pdu::Registers;
use crate::fieldbus::rtu;
use crate::fieldbus::serial::{Parity, SerialLine, StopBits};

/// What a peer on a line was asked for and got: a job's tag is the register that it reads.
#[derive(Default)]
struct Reader {
    seen: Vec<Seen>,
    /// What was sent and not looked at yet: the unit and the register.
    sent: Vec<(u8, u16)>,
    /// Jobs that were sent.
    tried: Vec<u32>,
    /// Answers that are of another register than was asked.
    wrong: Vec<(u32, Vec<u8>)>,
}

impl Peer for Reader {
    type Tag = u32;

    fn request(&mut self, job: &Job<u32>, pdu: &mut Vec<u8>) {
        reads(job.tag as u16).encode(pdu);
    }

    fn connect(&mut self) {
        self.seen.push(Seen::Connect);
    }

    fn disconnect(&mut self) {
        self.seen.push(Seen::Disconnect);
    }

    fn has_expired(&self, _now: LocalTime, job: &Job<u32>) -> bool {
        // Some are not repeated: what is asked of their unit next is something else.
        job.tag % 3 == 1 && self.tried.contains(&job.tag)
    }

    fn goes_alone(&self, _job: &Job<u32>) -> bool {
        false
    }

    fn send(&mut self, job: &Job<u32>, transaction: u16, unit: u8, pdu: &[u8]) {
        let Ok(Request::Read { address, .. }) = Request::decode(pdu) else { panic!("{pdu:?}") };
        self.seen.push(Seen::Sent { transaction, unit });
        self.sent.push((unit, address));
        self.tried.push(job.tag);
    }

    fn arrived(&mut self, _transaction: u16) {}

    fn done(&mut self, job: &Job<u32>, outcome: Result<Answer<'_>, Fault>) -> Next<u32> {
        self.seen.push(outcome.map_or_else(
            |fault| Seen::Failed(job.tag, fault),
            |answer| {
                let Answer::Registers(registers) = answer else { panic!("{answer:?}") };
                if registers.bytes() != value(job.unit as u8 + 1, job.tag as u16) {
                    self.wrong.push((job.tag, registers.bytes().to_vec()));
                }
                Seen::Done(job.tag)
            },
        ));
        Next::Nothing
    }
}

fn reads(address: u16) -> Request<'static> {
    Request::Read { table: Table::HoldingRegisters, address, count: 2 }
}

/// What a register of a unit holds.
fn value(unit: u8, address: u16) -> [u8; 4] {
    let [high, low] = address.to_be_bytes();
    [unit, high, 0, low]
}

fn answered(unit: u8, address: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    let registers = value(unit, address);
    let registers = Registers::new(&registers).expect("two registers");
    rtu::put(&mut bytes, unit, |pdu| put_answer(pdu, &reads(address), &Answer::Registers(registers)));
    bytes
}

/// As [`super::master`], on a line on which frames are 2.005 ms apart.
pub(super) fn on_a_line(units: usize) -> Master<u32> {
    let ConnectionSpec { units, connect_timeout, .. } = master(units).spec;
    let line = SerialLine { baud: 19_200, parity: Parity::Even, stop_bits: StopBits::One };
    // More than one at once is nothing that a line could bear.
    let pipelining = PIPELINING_MAX;
    let framing = Framing::Rtu(line);
    Master::new(&ConnectionSpec { units, framing, min_gap: Span::ZERO, connect_timeout, pipelining })
}

/// From when on a line is used.
fn at(millis: u64) -> LocalTime {
    super::at(millis + 100)
}

/// A line that was open 99 ms before it is used, and was asked for the first time 200 ms later.
fn open_line(units: usize) -> (Master<u32>, Reader) {
    let (mut master, mut reader) = (on_a_line(units), Reader::default());
    master.ask(super::at(0), job(1, 0), &mut reader);
    master.connected(super::at(1), &mut reader);
    master.wake(at(100), &mut reader);
    assert_eq!(reader.seen, [Seen::Connect], "a life before this one may have asked");
    master.wake(at(101), &mut reader);
    master.received(at(110), &answered(1, 1), &mut reader);
    assert_eq!(reader.seen[1..], [Seen::Sent { transaction: 1, unit: 1 }, Seen::Done(1)]);
    reader.seen.clear();
    (master, reader)
}

#[test]
fn a_unit_that_does_not_answer_is_asked_nothing_while_its_answer_may_come_and_others_are() {
    let (mut master, mut reader) = open_line(2);
    master.ask(at(200), job(2, 0), &mut reader);
    master.ask(at(200), job(3, 1), &mut reader);
    master.wake(at(300), &mut reader);
    master.wake(at(303), &mut reader);
    let sent = |transaction, unit| Seen::Sent { transaction, unit };
    assert_eq!(core::mem::take(&mut reader.seen), [sent(2, 1), sent(3, 2)], "the other one meanwhile");
    // The answer of the first one is late, and of no use to the second.
    master.received(at(310), &answered(1, 2), &mut reader);
    master.received(at(320), &answered(2, 3), &mut reader);
    assert_eq!(core::mem::take(&mut reader.seen), [Seen::Done(3)]);
    master.wake(at(399), &mut reader);
    assert_eq!((reader.seen.len(), master.deadline()), (0, Some(at(400))));
    master.wake(at(400), &mut reader);
    master.received(at(410), &answered(1, 2), &mut reader);
    assert_eq!(core::mem::take(&mut reader.seen), [sent(4, 1), Seen::Done(2)]);
}

#[test]
fn whoever_stood_still_waits_for_an_answer_that_may_have_been_asked_for_as_much_later() {
    let (mut master, mut reader) = open_line(1);
    master.ask(at(200), job(2, 0), &mut reader);
    // The request has left after 450 ms, and its answer may take 200 ms.
    master.wake(at(700), &mut reader);
    master.wake(at(799), &mut reader);
    assert_eq!(reader.seen, [Seen::Sent { transaction: 2, unit: 1 }]);
    master.received(at(799), &answered(1, 2), &mut reader);
    master.wake(at(800), &mut reader);
    assert_eq!(reader.seen.len(), 1, "the line is not silent yet");
    master.wake(at(802), &mut reader);
    assert_eq!(reader.seen.last(), Some(&Seen::Sent { transaction: 3, unit: 1 }));
}

#[test]
fn nothing_is_sent_before_the_line_is_silent() {
    let (mut master, mut reader) = open_line(1);
    master.received(at(200), &[0xff; 20], &mut reader);
    master.ask(at(200), job(2, 0), &mut reader);
    master.received(at(202), &[0xff; 20], &mut reader);
    assert_eq!((reader.seen.len(), master.deadline()), (0, Some(at(202) + Span::from_nanos(2_005_209))));
    let due = master.deadline().expect("it waits");
    master.wake(due, &mut reader);
    assert_eq!(reader.seen, [Seen::Sent { transaction: 2, unit: 1 }]);
}

#[test]
fn what_is_no_answer_is_no_answer_until_the_time_is_over() {
    let (mut master, mut reader) = open_line(1);
    master.ask(at(200), job(2, 0), &mut reader);
    let mut broken = answered(1, 2);
    broken[4] ^= 0x10;
    master.received(at(210), &broken, &mut reader);
    let mut refused = Vec::new();
    rtu::put(&mut refused, 1, |pdu| put_exception(pdu, 3, Exception::ILLEGAL_ADDRESS));
    master.received(at(220), &refused, &mut reader);
    let fault = Fault::Answer(AnswerFlaw::Exception(Exception::ILLEGAL_ADDRESS));
    assert_eq!(reader.seen[1..], [Seen::Failed(2, fault)]);
    master.ask(at(230), job(3, 0), &mut reader);
    assert_eq!(reader.seen.last(), Some(&Seen::Sent { transaction: 3, unit: 1 }), "nothing is owed");
}

#[test]
fn a_line_that_is_opened_anew_brings_no_answer_of_before() {
    let (mut master, mut reader) = open_line(1);
    master.ask(at(200), job(2, 0), &mut reader);
    master.recall(at(250), &mut reader);
    master.ask(at(250), job(3, 0), &mut reader);
    master.connected(at(251), &mut reader);
    master.received(at(260), &answered(1, 2), &mut reader);
    assert_eq!(master.deadline(), Some(at(400)));
    master.wake(at(400), &mut reader);
    master.received(at(410), &answered(1, 3), &mut reader);
    let ended: Vec<&Seen> = reader.seen.iter().filter(|seen| matches!(seen, Seen::Done(_))).collect();
    assert_eq!((ended, reader.wrong.len()), (vec![&Seen::Done(3)], 0));
}

#[test]
fn after_the_line_was_given_up_another_may_have_asked_there() {
    let (mut master, mut reader) = open_line(1);
    master.give_up(at(200), &mut reader);
    master.ask(at(300), job(2, 0), &mut reader);
    master.connected(at(301), &mut reader);
    // The answer to another controller, which nothing tells from one to this.
    master.received(at(400), &answered(1, 7), &mut reader);
    assert_eq!(master.deadline(), Some(at(501)));
    master.wake(at(501), &mut reader);
    master.received(at(510), &answered(1, 2), &mut reader);
    assert_eq!((reader.seen.last(), reader.wrong.len()), (Some(&Seen::Done(2)), 0));
}

/// What becomes of an answer.
#[derive(Clone, Debug)]
enum Fate {
    /// It comes so many milliseconds after its request.
    Comes(u64),
    /// It comes in two pieces.
    InPieces(u64, u64),
    /// It comes with noise around it.
    Noisy(u64, Vec<u8>),
    /// It comes with some bits in a row turned.
    Garbled(u64, usize, u8),
    Lost,
}

fn fates() -> impl Strategy<Value = Fate> {
    // Half of what is asked is answered in time, which is 100 ms; nothing comes later than twice that.
    let delay = || prop_oneof![1..100_u64, 1..200_u64];
    prop_oneof![
        4 => delay().prop_map(Fate::Comes),
        1 => (delay(), 1..10_u64).prop_map(|(first, second)| Fate::InPieces(first.min(180), second)),
        1 => (delay(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(delay, noise)| Fate::Noisy(delay, noise)),
        1 => (delay(), 0..72_usize, 1..=u8::MAX).prop_map(|(delay, bit, turned)| Fate::Garbled(delay, bit, turned)),
        1 => Just(Fate::Lost),
    ]
}

/// What arrives of an answer to what was sent at an instant, and when.
fn arrivals(sent: u64, answer: &[u8], fate: &Fate) -> Vec<(u64, Vec<u8>)> {
    match fate {
        Fate::Comes(delay) => vec![(sent + delay, answer.to_vec())],
        Fate::InPieces(delay, later) => {
            vec![(sent + delay, answer[..4].to_vec()), (sent + delay + later, answer[4..].to_vec())]
        }
        Fate::Noisy(delay, noise) => vec![(sent + delay, [noise, answer, noise].concat())],
        Fate::Garbled(delay, bit, turned) => {
            let mut answer = answer.to_vec();
            for place in 0..8 {
                let at = (bit + place) % (8 * answer.len());
                answer[at / 8] ^= (turned >> place & 1) << (at % 8);
            }
            vec![(sent + delay, answer)]
        }
        Fate::Lost => Vec::new(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_late_or_broken_is_never_taken_for_the_answer_to_something_else(
        steps in prop::collection::vec((0..60_u64, 0..2_u16, 0..16_u8), 1..40),
        fates in prop::collection::vec(fates(), 1..30),
    ) {
        let (mut master, mut reader) = (on_a_line(2), Reader::default());
        let mut coming: Vec<(u64, Vec<u8>)> = Vec::new();
        let (mut steps, mut next) = (steps.into_iter(), 0);
        let (mut asks_at, mut asked, mut answers) = (0, 0_u32, 0);
        for now in 0..6_000 {
            while now >= asks_at {
                let Some((pause, unit, what)) = steps.next() else { asks_at = u64::MAX; break };
                asks_at = now + pause;
                match what {
                    0 => master.recall(at(now), &mut reader),
                    1 => master.disconnected(at(now), &mut reader),
                    _ => {
                        asked += 1;
                        master.ask(at(now), job(asked, unit), &mut reader);
                    }
                }
            }
            if reader.seen[next..].contains(&Seen::Connect) {
                master.connected(at(now), &mut reader);
            }
            next = reader.seen.len();
            coming.sort();
            let later = coming.iter().position(|(when, _)| *when > now).unwrap_or(coming.len());
            for (_, bytes) in coming.drain(..later) {
                master.received(at(now), &bytes, &mut reader);
            }
            master.wake(at(now), &mut reader);
            for (unit, address) in core::mem::take(&mut reader.sent) {
                let fate = &fates[answers % fates.len()];
                answers += 1;
                coming.extend(arrivals(now, &answered(unit, address), fate));
            }
        }
        prop_assert_eq!(&reader.wrong, &[], "{:?}", reader.seen);
    }
}
