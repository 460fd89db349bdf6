//! Connections on which several requests are under way, with devices that answer in any order, late, or not at all.

use super::*;

/// Notes what is asked, and whether an answer was taken for that to another request.
#[derive(Default)]
struct Reader {
    seen: Vec<Seen>,
    /// What was sent and not looked at: its transaction, its unit and its register.
    sent: Vec<(u16, u8, u16)>,
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

    fn has_expired(&self, _now: LocalTime, _job: &Job<u32>) -> bool {
        false
    }

    fn goes_alone(&self, job: &Job<u32>) -> bool {
        job.turn != Turn::Read
    }

    fn send(&mut self, _job: &Job<u32>, transaction: u16, unit: u8, pdu: &[u8]) {
        let Ok(Request::Read { address, .. }) = Request::decode(pdu) else { panic!("{pdu:?}") };
        self.seen.push(Seen::Sent { transaction, unit });
        self.sent.push((transaction, unit, address));
    }

    fn arrived(&mut self, _transaction: u16) {}

    fn done(&mut self, job: &Job<u32>, outcome: Result<Answer<'_>, Fault>) -> Next<u32> {
        self.seen.push(match outcome {
            Err(fault) => Seen::Failed(job.tag, fault),
            Ok(answer) => {
                let Answer::Registers(registers) = answer else { panic!("{answer:?}") };
                if registers.bytes() != value(job.unit as u8 + 1, job.tag as u16) {
                    self.wrong.push((job.tag, registers.bytes().to_vec()));
                }
                Seen::Done(job.tag)
            }
        });
        Next::Nothing
    }
}

impl Reader {
    /// The jobs that were sent since this was asked last: each reads the register of its tag.
    fn sent(&mut self) -> Vec<u16> {
        core::mem::take(&mut self.sent).into_iter().map(|(_, _, address)| address).collect()
    }

    /// What was seen since this was asked last, but for what was sent.
    fn ended(&mut self) -> Vec<Seen> {
        let is_end = |seen: &Seen| !matches!(seen, Seen::Sent { .. });
        core::mem::take(&mut self.seen).into_iter().filter(is_end).collect()
    }
}

/// Answers differ in length too.
fn reads(tag: u16) -> Request<'static> {
    Request::Read { table: Table::HoldingRegisters, address: tag, count: 2 + tag % 3 }
}

/// What a unit holds there.
fn value(unit: u8, tag: u16) -> Vec<u8> {
    let Request::Read { count, .. } = reads(tag) else { panic!("it reads") };
    (0..count).flat_map(|place| [unit << 4 | place as u8, tag as u8]).collect()
}

/// The frame that answers a request.
fn answered((transaction, unit, tag): (u16, u8, u16)) -> Vec<u8> {
    let held = value(unit, tag);
    let registers = crate::fieldbus::pdu::Registers::new(&held).expect("whole registers");
    let mut bytes = Vec::new();
    crate::fieldbus::frame::put(&mut bytes, transaction, unit, |pdu| {
        put_answer(pdu, &reads(tag), &Answer::Registers(registers));
    });
    bytes
}

/// A connection that is open, on which so many may be under way at once.
fn open_for(at_once: u8, units: usize) -> (Master<u32>, Reader) {
    let mut spec = super::master(units).spec;
    (spec.pipelining, spec.min_gap) = (at_once, Span::ZERO);
    let (mut master, mut reader) = (Master::new(&spec), Reader::default());
    master.ask(at(0), job(0, 0), &mut reader);
    master.connected(at(1), &mut reader);
    let first = reader.sent.pop().expect("it was asked");
    master.received(at(2), &answered(first), &mut reader);
    assert_eq!(reader.ended(), [Seen::Connect, Seen::Done(0)]);
    (master, reader)
}

fn ask(master: &mut Master<u32>, reader: &mut Reader, millis: u64, jobs: &[(u32, u16, Turn)]) {
    for (tag, unit, turn) in jobs {
        master.ask(at(millis), Job { turn: *turn, ..job(*tag, *unit) }, reader);
    }
}

#[test]
fn as_many_reads_are_under_way_as_may_be_and_their_answers_come_in_any_order() {
    let (mut master, mut reader) = open_for(3, 1);
    let jobs = [1, 2, 3, 4, 5].map(|tag| (tag, 0, Turn::Read));
    ask(&mut master, &mut reader, 10, &jobs);
    let sent = reader.sent.clone();
    assert_eq!((reader.sent(), master.deadline()), (vec![1, 2, 3], Some(at(110))));
    for (place, next) in [(1, vec![4]), (2, vec![5]), (0, vec![])] {
        master.received(at(20), &answered(sent[place]), &mut reader);
        assert_eq!(reader.ended(), [Seen::Done(sent[place].2.into())]);
        assert_eq!(reader.sent(), next);
    }
    assert_eq!((master.exchanges.len(), master.deadline()), (2, Some(at(120))));
    assert_eq!(reader.wrong, []);
}

#[test]
fn without_the_word_of_the_site_or_with_a_gap_there_is_one() {
    for (at_once, gap) in [(0, 0), (1, 0), (16, 5)] {
        let mut spec = super::master(1).spec;
        (spec.pipelining, spec.min_gap) = (at_once, millis(gap));
        assert_eq!(spec.most_at_once(), 1);
    }
    assert_eq!(rtu::on_a_line(1).spec.most_at_once(), 1);
}

#[test]
fn a_write_leaves_when_all_reads_have_ended_and_nothing_leaves_until_it_has() {
    let (mut master, mut reader) = open_for(4, 2);
    ask(&mut master, &mut reader, 10, &[(1, 0, Turn::Read), (2, 1, Turn::Read)]);
    ask(&mut master, &mut reader, 11, &[(3, 0, Turn::Write), (4, 1, Turn::Read)]);
    let reads = reader.sent.clone();
    assert_eq!(reader.sent(), [1, 2], "there is room, and the write is next");
    master.received(at(20), &answered(reads[0]), &mut reader);
    assert_eq!(reader.sent(), [], "another read is under way");
    master.received(at(30), &answered(reads[1]), &mut reader);
    let write = reader.sent.clone();
    assert_eq!(reader.sent(), [3]);
    ask(&mut master, &mut reader, 31, &[(5, 0, Turn::Heartbeat)]);
    assert_eq!(reader.sent(), [], "the write is under way");
    master.received(at(40), &answered(write[0]), &mut reader);
    let beat = reader.sent.clone();
    assert_eq!(reader.sent(), [5]);
    master.received(at(50), &answered(beat[0]), &mut reader);
    assert_eq!(reader.sent(), [4]);
}

#[test]
fn each_request_has_its_own_time_and_what_is_lost_is_asked_again_alone() {
    let (mut master, mut reader) = open_for(4, 2);
    ask(&mut master, &mut reader, 10, &[(1, 0, Turn::Read), (2, 0, Turn::Read)]);
    ask(&mut master, &mut reader, 50, &[(3, 0, Turn::Read)]);
    let sent = reader.sent.clone();
    assert_eq!((reader.sent(), master.deadline()), (vec![1, 2, 3], Some(at(110))));
    master.received(at(60), &answered(sent[1]), &mut reader);
    master.wake(at(110), &mut reader);
    assert_eq!((reader.sent(), master.deadline()), (vec![], Some(at(150))), "the third is under way");
    master.received(at(120), &answered(sent[2]), &mut reader);
    ask(&mut master, &mut reader, 121, &[(4, 0, Turn::Read)]);
    let again = reader.sent.clone();
    assert_eq!(reader.sent(), [1], "alone");
    // The late answer to the first try is none to the second.
    master.received(at(130), &answered(sent[0]), &mut reader);
    assert_eq!(reader.ended(), [Seen::Done(2), Seen::Done(3)]);
    master.received(at(140), &answered(again[0]), &mut reader);
    assert_eq!((reader.ended(), reader.sent()), (vec![Seen::Done(1)], vec![4]));
}

#[test]
fn what_was_lost_together_is_asked_again_in_its_order_and_fails_with_its_unit() {
    let (mut master, mut reader) = open_for(4, 2);
    let jobs = [1, 2, 3, 4].map(|tag| (tag, 1, Turn::Read));
    ask(&mut master, &mut reader, 10, &jobs);
    ask(&mut master, &mut reader, 10, &[(5, 0, Turn::Read)]);
    assert_eq!(reader.sent(), [1, 2, 3, 4]);
    master.wake(at(110), &mut reader);
    assert_eq!(reader.sent(), [1], "the unit is tried once more, by one");
    master.wake(at(210), &mut reader);
    let timed_out = [1, 2, 3, 4].map(|tag| Seen::Failed(tag, Fault::TimedOut));
    assert_eq!(reader.ended(), timed_out, "nobody waits for another time-out of the same unit");
    let other = reader.sent.clone();
    assert_eq!(reader.sent(), [5], "another unit may be there");
    assert!(master.units[1].is_left_alone(at(1_209)) && !master.units[1].is_left_alone(at(1_210)), "once");
    master.received(at(220), &answered(other[0]), &mut reader);
    // After the back-off one is tried, whatever waits.
    ask(&mut master, &mut reader, 1_300, &jobs);
    assert_eq!(reader.sent(), [1]);
    master.wake(at(1_400), &mut reader);
    let fault = |tag: u32| if tag == 1 { Fault::TimedOut } else { Fault::LeftAlone };
    assert_eq!(reader.ended()[1..], [1, 2, 3, 4].map(|tag| Seen::Failed(tag, fault(tag))));
    assert!(master.units[1].is_left_alone(at(3_399)) && !master.units[1].is_left_alone(at(3_400)));
}

#[test]
fn a_connection_that_ends_ends_all_that_is_under_way_and_leaves_each_unit_alone_once() {
    let (mut master, mut reader) = open_for(4, 2);
    let jobs = [(1, 0), (2, 0), (3, 1)].map(|(tag, unit)| (tag, unit, Turn::Read));
    ask(&mut master, &mut reader, 10, &jobs);
    assert_eq!(reader.sent(), [1, 2, 3]);
    // It makes no sense.
    master.received(at(20), &[0, 2, 0, 1, 0, 6, 1], &mut reader);
    let fault = Fault::Frame(FrameFlaw::Protocol(1));
    let failed = [1, 2, 3].map(|tag| Seen::Failed(tag, fault));
    assert_eq!(reader.ended(), [&[Seen::Disconnect][..], &failed].concat());
    assert_eq!((master.exchanges.len(), master.units[0].failures, master.units[1].failures), (0, 1, 1));
    assert_eq!(master.deadline(), None);
}

#[test]
fn a_peer_that_ends_the_connection_after_an_answer_is_asked_the_rest_one_by_one() {
    let (mut master, mut reader) = open_for(4, 1);
    ask(&mut master, &mut reader, 10, &[1, 2, 3].map(|tag| (tag, 0, Turn::Read)));
    let sent = reader.sent.clone();
    assert_eq!(reader.sent(), [1, 2, 3]);
    master.received(at(20), &answered(sent[0]), &mut reader);
    master.disconnected(at(21), &mut reader);
    master.connected(at(22), &mut reader);
    assert_eq!(reader.ended(), [Seen::Done(1), Seen::Connect]);
    for (millis, tag) in [(30, 2), (40, 3)] {
        let next = reader.sent.clone();
        assert_eq!(reader.sent(), [tag]);
        master.received(at(millis), &answered(next[0]), &mut reader);
    }
    assert_eq!(reader.ended(), [Seen::Done(2), Seen::Done(3)]);
}

#[test]
fn whoever_takes_a_connection_back_takes_back_all_of_it_and_no_unit_is_blamed() {
    let (mut master, mut reader) = open_for(4, 1);
    ask(&mut master, &mut reader, 10, &[1, 2].map(|tag| (tag, 0, Turn::Read)));
    master.recall(at(20), &mut reader);
    let ended = [1, 2].map(|tag| Seen::Failed(tag, Fault::Disconnected));
    assert_eq!(reader.ended(), [&[Seen::Disconnect][..], &ended].concat());
    assert!(!master.units[0].is_left_alone(at(20)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn in_whatever_order_answers_come_late_or_not_at_all_none_is_taken_for_that_to_another_request(
        steps in prop::collection::vec((0..40_u64, 0..3_u16, 0..20_u8), 1..60),
        // How long each takes; none comes that takes long. Half of them are in time, which is 100 ms.
        delays in prop::collection::vec(prop_oneof![2 => 1..100_u64, 1 => 1..400_u64, 1 => Just(u64::MAX)], 1..40),
        at_once in 1..=PIPELINING_MAX,
    ) {
        let (mut master, mut reader) = open_for(at_once, 3);
        let mut coming: Vec<(u64, u32, Vec<u8>)> = Vec::new();
        let (mut steps, mut answers, mut connections) = (steps.into_iter(), 0, 0);
        let (mut asks_at, mut asked) = (3, 0_u32);
        let mut alone = Vec::new();
        let mut all = Vec::new();
        for now in 3..8_000 {
            while now >= asks_at {
                let Some((pause, unit, what)) = steps.next() else { asks_at = u64::MAX; break };
                asks_at = now + pause;
                match what {
                    0 => master.recall(at(now), &mut reader),
                    1 => master.disconnected(at(now), &mut reader),
                    _ => {
                        asked += 1;
                        let turn = if what < 6 { Turn::Write } else { Turn::Read };
                        alone.extend((turn == Turn::Write).then_some(asked));
                        master.ask(at(now), Job { turn, ..job(asked, unit) }, &mut reader);
                    }
                }
            }
            coming.sort();
            let later = coming.iter().position(|(when, ..)| *when > now).unwrap_or(coming.len());
            // What was asked on a connection that is over is answered to nobody.
            let here = coming.drain(..later).filter(|(_, on, _)| *on == connections);
            let bytes: Vec<u8> = here.flat_map(|(_, _, bytes)| bytes).collect();
            // In two pieces, wherever that cuts.
            let (first, second) = bytes.split_at(bytes.len() / 3);
            master.received(at(now), first, &mut reader);
            master.received(at(now), second, &mut reader);
            master.wake(at(now), &mut reader);
            let seen = reader.ended();
            if seen.contains(&Seen::Connect) {
                connections += 1;
                master.connected(at(now), &mut reader);
            }
            all.extend(seen);
            prop_assert!(master.deadline().is_none_or(|due| due > at(now)), "what is due is done");
            let tags = || master.exchanges.iter().map(|exchange| exchange.job.tag);
            prop_assert!(master.exchanges.len() <= usize::from(at_once));
            prop_assert!(master.exchanges.len() < 2 || !tags().any(|tag| alone.contains(&tag)));
            for request in core::mem::take(&mut reader.sent) {
                let delay = delays[answers % delays.len()];
                answers += 1;
                if delay < u64::MAX {
                    coming.push((now + delay, connections, answered(request)));
                }
            }
        }
        prop_assert_eq!(&reader.wrong, &[]);
        let ended = |tag: u32| all.iter().filter(|seen| match seen {
            Seen::Done(done) | Seen::Failed(done, _) => *done == tag,
            Seen::Connect | Seen::Disconnect | Seen::Sent { .. } => false,
        }).count();
        prop_assert!((1..=asked).all(|tag| ended(tag) == 1), "{:?}", all);
    }
}
