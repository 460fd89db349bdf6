//! One connection, its units and its flaws, with a peer that notes what is asked of it.

mod habit;
mod pipeline;
mod rtu;

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::fieldbus::frame::FrameFlaw;
use crate::fieldbus::pdu::{Request, Table, put_answer, put_exception};

/// What a peer was asked for, and what became of jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Connect,
    Disconnect,
    Sent { transaction: u16, unit: u8 },
    Done(u32),
    Failed(u32, Fault),
}

/// What was seen, and what follows from the next job that is done.
#[derive(Default)]
struct Notes(Vec<Seen>, Option<Job<u32>>);

impl Notes {
    fn take(&mut self) -> Vec<Seen> {
        core::mem::take(&mut self.0)
    }
}

impl Peer for Notes {
    type Tag = u32;

    fn request(&mut self, _job: &Job<u32>, pdu: &mut Vec<u8>) {
        READ.encode(pdu);
    }

    fn connect(&mut self) {
        self.0.push(Seen::Connect);
    }

    fn disconnect(&mut self) {
        self.0.push(Seen::Disconnect);
    }

    fn has_expired(&self, _now: LocalTime, _job: &Job<u32>) -> bool {
        false
    }

    fn goes_alone(&self, job: &Job<u32>) -> bool {
        job.turn != Turn::Read
    }

    fn send(&mut self, _job: &Job<u32>, transaction: u16, unit: u8, pdu: &[u8]) {
        assert_eq!(Request::decode(pdu), Ok(READ));
        self.0.push(Seen::Sent { transaction, unit });
    }

    fn arrived(&mut self, _transaction: u16) {}

    fn done(&mut self, job: &Job<u32>, outcome: Result<Answer<'_>, Fault>) -> Next<u32> {
        self.0.push(outcome.map_or_else(|fault| Seen::Failed(job.tag, fault), |_answer| Seen::Done(job.tag)));
        self.1.take().map_or(Next::Nothing, Next::AtOnce)
    }
}

const READ: Request<'static> = Request::Read { table: Table::HoldingRegisters, address: 10, count: 2 };

fn at(millis: u64) -> LocalTime {
    LocalTime::from_nanos(millis * 1_000_000)
}

fn millis(millis: u64) -> Span {
    Span::from_millis(millis)
}

/// Units 1 and 2, which have 100 ms for an answer, one retry, and are left alone for 1 to 4 s.
fn master(units: usize) -> Master<u32> {
    let unit = |unit: usize| UnitSpec {
        unit: unit as u8 + 1,
        timeout: millis(100),
        retries: 1,
        back_off_first: millis(1_000),
        back_off_max: millis(4_000),
    };
    let units = (0..units).map(unit).collect();
    Master::new(&ConnectionSpec {
        units,
        framing: Framing::Tcp,
        min_gap: millis(5),
        connect_timeout: millis(300),
        pipelining: 1,
    })
}

fn job(tag: u32, unit: u16) -> Job<u32> {
    Job { tag, unit, turn: Turn::Read }
}

/// A connection that is open, on which nothing was asked yet.
fn open(units: usize) -> (Master<u32>, Notes) {
    let (mut master, mut notes) = (master(units), Notes::default());
    master.ask(at(0), job(0, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
    master.connected(at(1), &mut notes);
    answer(&mut master, &mut notes, 2, 1, 1);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 1, unit: 1 }, Seen::Done(0)]);
    (master, notes)
}

/// The answer to a read, under a transaction and of a unit.
fn answer(master: &mut Master<u32>, notes: &mut Notes, millis: u64, transaction: u16, unit: u8) {
    let registers = crate::fieldbus::pdu::Registers::new(&[0, 1, 0, 2]).expect("two registers");
    reply(master, notes, millis, (transaction, unit), |pdu| {
        put_answer(pdu, &READ, &Answer::Registers(registers));
    });
}

fn reply(
    master: &mut Master<u32>,
    notes: &mut Notes,
    millis: u64,
    (transaction, unit): (u16, u8),
    pdu: impl FnOnce(&mut Vec<u8>),
) {
    let mut bytes = Vec::new();
    crate::fieldbus::frame::put(&mut bytes, transaction, unit, pdu);
    master.received(at(millis), &bytes, notes);
}

#[test]
fn jobs_take_turns_with_a_gap_between_them() {
    let (mut master, mut notes) = open(1);
    master.ask(at(3), job(1, 0), &mut notes);
    master.ask(at(3), job(2, 0), &mut notes);
    assert_eq!((notes.take(), master.deadline()), (vec![], Some(at(7))), "the gap is not over");
    master.wake(at(7), &mut notes);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 2, unit: 1 }]);
    answer(&mut master, &mut notes, 10, 2, 1);
    assert_eq!(notes.take(), [Seen::Done(1)]);
    master.wake(at(15), &mut notes);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 3, unit: 1 }]);
    assert_eq!(master.deadline(), Some(at(115)));
}

#[test]
fn what_writes_goes_before_what_reads_and_not_before_what_wrote_earlier() {
    let (mut master, mut notes) = open(2);
    for (tag, turn) in [(1, Turn::Read), (2, Turn::Write), (3, Turn::Write), (4, Turn::Read)] {
        master.ask(at(3), Job { turn, ..job(tag, 0) }, &mut notes);
    }
    let mut order = Vec::new();
    for (turn, millis) in (2..).zip([10, 20, 30, 40]) {
        master.wake(at(millis), &mut notes);
        answer(&mut master, &mut notes, millis + 1, turn, 1);
        order.extend(notes.take().into_iter().filter(|seen| matches!(seen, Seen::Done(_))));
    }
    assert_eq!(order, [Seen::Done(2), Seen::Done(3), Seen::Done(1), Seen::Done(4)]);
}

/// What is sent from now on, as (unit, job), while each unit answers at once.
fn answered_in_turn(master: &mut Master<u32>, notes: &mut Notes, mut millis: u64) -> Vec<(u8, u32)> {
    let mut all = Vec::new();
    loop {
        master.wake(at(millis), notes);
        let Some(Seen::Sent { transaction, unit }) = notes.take().pop() else { return all };
        let tag = master.under_way().expect("it was sent").tag;
        all.push((unit, tag));
        answer(master, notes, millis + 1, transaction, unit);
        notes.take();
        millis += 10;
    }
}

#[test]
fn a_heartbeat_goes_before_all_that_other_units_are_asked_and_before_what_its_own_is_asked_anew() {
    let (mut master, mut notes) = open(3);
    master.ask(at(10), Job { turn: Turn::Write, ..job(1, 1) }, &mut notes);
    let new = [
        (2, 2, Turn::Write),
        (3, 0, Turn::Read),
        (4, 0, Turn::Write),
        (5, 0, Turn::Heartbeat),
        (6, 2, Turn::Heartbeat),
    ];
    for (tag, unit, turn) in new {
        master.ask(at(20), Job { turn, ..job(tag, unit) }, &mut notes);
    }
    master.wake(at(110), &mut notes);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 2, unit: 2 }], "unit 2 does not answer");
    let order = [(1, 5), (3, 6), (2, 1), (3, 2), (1, 4), (1, 3)];
    assert_eq!(answered_in_turn(&mut master, &mut notes, 115), order);
}

#[test]
fn a_heartbeat_that_failed_lets_those_of_others_go_first_and_none_goes_before_what_its_own_unit_is_asked_again()
 {
    let (mut master, mut notes) = open(3);
    let beat = |tag, unit| Job { turn: Turn::Heartbeat, ..job(tag, unit) };
    master.ask(at(10), beat(1, 0), &mut notes);
    master.ask(at(20), beat(2, 1), &mut notes);
    master.ask(at(20), Job { turn: Turn::Write, ..job(3, 2) }, &mut notes);
    master.wake(at(110), &mut notes);
    notes.take();
    assert_eq!(answered_in_turn(&mut master, &mut notes, 115), [(2, 2), (1, 1), (3, 3)]);
    // What unit 1 is asked once more keeps its place before the heartbeat of unit 1, and lets that of unit 2 go first.
    master.ask(at(200), job(4, 0), &mut notes);
    master.ask(at(210), beat(5, 0), &mut notes);
    master.ask(at(210), beat(6, 1), &mut notes);
    master.wake(at(300), &mut notes);
    notes.take();
    assert_eq!(answered_in_turn(&mut master, &mut notes, 305), [(2, 6), (1, 4), (1, 5)]);
}

#[test]
fn a_dead_unit_costs_the_heartbeat_of_another_one_time_out_also_between_two_requests_or_after_one_was_lost() {
    for is_lost in [false, true] {
        let (mut master, mut notes) = open(2);
        master.spec.units[1].retries = 10;
        let write = |tag| Job { turn: Turn::Write, ..job(tag, 0) };
        master.ask(at(10), write(1), &mut notes);
        for unit in [0, 1] {
            master.ask(at(20), Job { turn: Turn::Heartbeat, ..job(2, unit) }, &mut notes);
        }
        if is_lost {
            master.wake(at(110), &mut notes);
        } else {
            notes.1 = Some(write(1));
            answer(&mut master, &mut notes, 110, 2, 1);
        }
        notes.take();
        master.wake(at(115), &mut notes);
        assert_eq!(notes.take(), [Seen::Sent { transaction: 3, unit: 2 }], "it does not answer");
        master.wake(at(215), &mut notes);
        // Until unit 1 has heard its heartbeat, unit 2 is not tried again.
        for (transaction, tag, millis) in [(4, 1, 220), (5, 2, 230)] {
            master.wake(at(millis), &mut notes);
            assert_eq!(notes.take(), [Seen::Sent { transaction, unit: 1 }], "{is_lost}");
            answer(&mut master, &mut notes, millis + 1, transaction, 1);
            assert_eq!(notes.take(), [Seen::Done(tag)]);
        }
        master.wake(at(240), &mut notes);
        assert_eq!(notes.take(), [Seen::Sent { transaction: 6, unit: 2 }], "now it is");
    }
}

#[test]
fn a_late_answer_is_never_taken_for_the_next_one() {
    let (mut master, mut notes) = open(1);
    master.ask(at(10), job(1, 0), &mut notes);
    master.wake(at(110), &mut notes);
    master.wake(at(115), &mut notes);
    assert_eq!(
        notes.take(),
        [Seen::Sent { transaction: 2, unit: 1 }, Seen::Sent { transaction: 3, unit: 1 }],
        "a retry has a transaction of its own"
    );
    answer(&mut master, &mut notes, 120, 2, 1);
    assert_eq!(notes.take(), [], "it is too late");
    answer(&mut master, &mut notes, 130, 3, 1);
    assert_eq!(notes.take(), [Seen::Done(1)]);
}

#[test]
fn a_dead_unit_costs_one_time_out_in_a_back_off_and_delays_no_other() {
    let (mut master, mut notes) = open(2);
    master.ask(at(10), job(1, 1), &mut notes);
    master.ask(at(10), job(2, 0), &mut notes);
    master.wake(at(110), &mut notes);
    master.wake(at(115), &mut notes);
    let Some(Seen::Sent { transaction, unit: 2 }) = notes.take().pop() else { panic!("it is tried twice") };
    assert_eq!(transaction, 3);
    master.wake(at(215), &mut notes);
    assert_eq!(notes.take(), [Seen::Failed(1, Fault::TimedOut)], "the other may still answer");
    master.wake(at(220), &mut notes);
    assert_eq!(notes.take(), [Seen::Sent { transaction: 4, unit: 1 }]);
    answer(&mut master, &mut notes, 230, 4, 1);
    master.ask(at(240), job(4, 1), &mut notes);
    assert_eq!(notes.take(), [Seen::Done(2), Seen::Failed(4, Fault::LeftAlone)], "at once");
    // After the back-off it is tried once, and left alone for twice as long.
    master.ask(at(1_300), job(5, 1), &mut notes);
    master.ask(at(1_300), job(6, 0), &mut notes);
    master.wake(at(1_400), &mut notes);
    master.wake(at(1_405), &mut notes);
    let tried = Seen::Sent { transaction: 5, unit: 2 };
    let next = Seen::Sent { transaction: 6, unit: 1 };
    assert_eq!(notes.take(), [tried, Seen::Failed(5, Fault::TimedOut), next]);
    assert!(master.units[1].is_left_alone(at(3_399)) && !master.units[1].is_left_alone(at(3_400)));
}

#[test]
fn where_no_unit_answers_any_more_the_connection_is_made_anew() {
    let (mut master, mut notes) = open(2);
    for (tag, unit, begins) in [(1, 0, 10), (2, 1, 300)] {
        master.ask(at(begins), job(tag, unit), &mut notes);
        master.wake(at(begins + 100), &mut notes);
        master.wake(at(begins + 105), &mut notes);
        master.wake(at(begins + 205), &mut notes);
    }
    let seen = notes.take();
    assert_eq!(seen[seen.len() - 2..], [Seen::Failed(2, Fault::TimedOut), Seen::Disconnect]);
    assert!(!seen[..seen.len() - 1].contains(&Seen::Disconnect), "not while one might be there");
    master.connected(at(600), &mut notes);
    master.ask(at(700), job(3, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Failed(3, Fault::NotConnected)], "nobody has asked for that connection");
}

#[test]
fn a_gateway_that_speaks_for_a_unit_keeps_its_connection() {
    let (mut master, mut notes) = open(2);
    master.ask(at(10), job(1, 1), &mut notes);
    for (millis, transaction) in [(20, 2), (30, 3)] {
        reply(&mut master, &mut notes, millis, (transaction, 2), |pdu| {
            put_exception(pdu, 3, Exception::NO_RESPONSE);
        });
        master.wake(at(millis + 5), &mut notes);
    }
    let fault = Fault::Answer(AnswerFlaw::Exception(Exception::NO_RESPONSE));
    assert_eq!(notes.take().last(), Some(&Seen::Failed(1, fault)));
    assert!(master.units[1].is_left_alone(at(50)) && !master.units[0].is_left_alone(at(50)));
}

#[test]
fn a_refusal_is_an_answer_and_is_not_asked_for_again() {
    let (mut master, mut notes) = open(1);
    master.ask(at(10), job(1, 0), &mut notes);
    reply(&mut master, &mut notes, 20, (2, 1), |pdu| put_exception(pdu, 3, Exception::ILLEGAL_ADDRESS));
    let fault = Fault::Answer(AnswerFlaw::Exception(Exception::ILLEGAL_ADDRESS));
    assert_eq!(notes.take().last(), Some(&Seen::Failed(1, fault)));
    assert!(!master.units[0].is_left_alone(at(21)));
}

#[test]
fn answers_that_lie_are_told_and_asked_for_again() {
    let lies: [(u8, &[u8], Fault); 3] = [
        (2, &[3, 4, 0, 1, 0, 2], Fault::Unit(2)),
        (1, &[3, 2, 0, 1], Fault::Answer(AnswerFlaw::Length { found: 4, expected: 6 })),
        (1, &[4, 4, 0, 1, 0, 2], Fault::Answer(AnswerFlaw::Function(4))),
    ];
    for (unit, pdu, fault) in lies {
        let (mut master, mut notes) = open(1);
        master.ask(at(10), job(1, 0), &mut notes);
        for (millis, transaction) in [(20, 2), (30, 3)] {
            reply(&mut master, &mut notes, millis, (transaction, unit), |out| out.extend_from_slice(pdu));
            master.wake(at(millis + 5), &mut notes);
        }
        assert_eq!(notes.take().last(), Some(&Seen::Failed(1, fault)));
    }
}

#[test]
fn a_stream_that_makes_no_sense_is_closed_and_opened_again_after_a_pause() {
    let (mut master, mut notes) = open(1);
    master.ask(at(10), job(1, 0), &mut notes);
    master.received(at(20), &[0, 2, 0, 1, 0, 6, 1], &mut notes);
    assert_eq!(notes.take()[1..], [Seen::Disconnect, Seen::Failed(1, Fault::Frame(FrameFlaw::Protocol(1)))]);
    master.ask(at(30), job(2, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Failed(2, Fault::NotConnected)]);
    master.ask(at(520), job(3, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
    master.wake(at(820), &mut notes);
    assert_eq!(notes.take(), [Seen::Disconnect, Seen::Failed(3, Fault::NotConnected)]);
    // An attempt that failed is followed by a longer pause.
    master.ask(at(1_819), job(4, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Failed(4, Fault::NotConnected)]);
    master.ask(at(1_820), job(5, 0), &mut notes);
    assert_eq!(notes.take(), [Seen::Connect]);
}

proptest! {
    #[test]
    fn each_job_ends_once_whatever_arrives(
        steps in prop::collection::vec((0..6_u8, 0..400_u64, prop::collection::vec(any::<u8>(), 0..20)), 1..60),
        is_serial in any::<bool>(),
    ) {
        let master = if is_serial { rtu::on_a_line(2) } else { master(2) };
        let (mut master, mut notes) = (master, Notes::default());
        let (mut now, mut asked) = (0, 0_u32);
        for (step, pause, bytes) in steps {
            now += pause;
            match step {
                0 | 1 => {
                    asked += 1;
                    master.ask(at(now), job(asked, u16::from(step)), &mut notes);
                }
                2 => master.connected(at(now), &mut notes),
                3 => master.disconnected(at(now), &mut notes),
                4 => master.received(at(now), &bytes, &mut notes),
                _ => {}
            }
            master.wake(at(now), &mut notes);
            prop_assert!(master.deadline().is_none_or(|due| due > at(now)), "what is due is done");
        }
        for _turn in 0..400 {
            let Some(due) = master.deadline() else { break };
            master.wake(due, &mut notes);
        }
        let ended = |tag: u32| notes.0.iter().filter(|seen| match seen {
            Seen::Done(done) | Seen::Failed(done, _) => *done == tag,
            Seen::Connect | Seen::Disconnect | Seen::Sent { .. } => false,
        }).count();
        prop_assert!((1..=asked).all(|tag| ended(tag) == 1), "{:?}", notes.0);
    }
}
