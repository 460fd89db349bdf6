//! The counter between a bus and the master of one connection: which bytes a request has, and what an answer means.

use alloc::vec::Vec;

use super::{Ask, Attached, Desk, INSTANT, Told, Transit, What, Writing};
use crate::fieldbus::framing::Framing;
use crate::fieldbus::map::{DeviceMap, MappedPoint};
use crate::fieldbus::master::{Fault, Job, Next, Peer};
use crate::fieldbus::pdu::{Answer, Registers, Request};
use crate::fieldbus::plan::Piece;
use crate::fieldbus::refusal::AnswerFlaw;
use crate::fieldbus::sunspec::is_missing;
use crate::fieldbus::write::WriteRequest;
use crate::ids::ConnectionIndex;
use crate::machine::{Effect, Effects, LinkWish, Sample, SetPointWrite, Validity, WriteOutcome};
use crate::time::LocalTime;

/// Where a master asks, and where what became of it is noted.
pub(super) struct Counter<'a> {
    pub(super) now: LocalTime,
    pub(super) maps: &'a mut [DeviceMap],
    pub(super) devices: &'a mut [Attached],
    pub(super) desk: &'a mut Desk,
    pub(super) connection: ConnectionIndex,
    pub(super) framing: Framing,
    pub(super) out: &'a mut Effects,
}

impl Peer for Counter<'_> {
    type Tag = Ask;

    fn connect(&mut self) {
        self.out.push(Effect::Link { connection: self.connection, wish: LinkWish::Open });
    }

    fn disconnect(&mut self) {
        self.is_over(false);
        self.out.push(Effect::Link { connection: self.connection, wish: LinkWish::Closed });
    }

    fn request(&mut self, job: &Job<Ask>, pdu: &mut Vec<u8>) {
        let map = &self.maps[usize::from(job.tag.place)];
        let piece = match job.tag.what {
            What::Read(read) => map.reads()[usize::from(read)].span,
            What::Epoch => self.epoch(job.tag.place),
            What::Find => self.sought(job.tag.place),
            What::ReadBack => {
                let Writing { request, .. } = self.writing(job.tag.place);
                map.writes()[usize::from(request)].span()
            }
            What::Beat => {
                let heartbeat = map.heartbeat().expect("only a device that expects one is sent one");
                let write = self.devices[usize::from(job.tag.place)].beats.under_way();
                return heartbeat.request.encode(&write, pdu).expect("each of its numbers has room");
            }
            What::Write => {
                let Writing { write, request, .. } = self.writing(job.tag.place);
                let encoded = map.writes()[usize::from(request)].encode(&write, pdu);
                return encoded.expect("it had room when it was decided");
            }
        };
        let Piece { table, address, count } = piece;
        Request::Read { table, address, count }.encode(pdu);
    }

    fn has_expired(&self, now: LocalTime, job: &Job<Ask>) -> bool {
        if self.devices[usize::from(job.tag.place)].finding.is_doubted && job.tag.what != What::Find {
            // What it was asked for is said by a map that may be another's.
            return true;
        }
        let write = match job.tag.what {
            What::Write => self.writing(job.tag.place).write,
            What::Beat => self.devices[usize::from(job.tag.place)].beats.under_way(),
            What::Read(_) | What::ReadBack | What::Epoch | What::Find => return false,
        };
        now > write.valid_until
    }

    fn goes_alone(&self, job: &Job<Ask>) -> bool {
        match job.tag.what {
            // What depends on bits is read after them.
            What::Read(read) => {
                self.maps[usize::from(job.tag.place)].bits_of(usize::from(read)).next().is_some()
            }
            What::Find => false,
            What::Write | What::ReadBack | What::Epoch | What::Beat => true,
        }
    }

    fn send(&mut self, job: &Job<Ask>, transaction: u16, unit: u8, pdu: &[u8]) {
        let place = usize::from(job.tag.place);
        let attached = &mut self.devices[place];
        let write = match job.tag.what {
            What::Read(_) | What::ReadBack | What::Epoch | What::Find => None,
            What::Beat => Some(attached.beats.under_way()),
            What::Write => attached.write.as_mut().map(|writing| {
                let how = writing.leaves(writing.sent > writing.request);
                writing.sent = writing.request + 1;
                let SetPointWrite { device, valid_until, .. } = writing.write;
                if self.maps[place].recalls() {
                    let before = attached.in_transit.map_or(valid_until, |transit| transit.ends_at);
                    let ends_at = before.max(valid_until + INSTANT);
                    attached.in_transit = Some(Transit { ends_at, transaction });
                }
                self.desk.told.push(Told::Left { device, valid_until, how });
                writing.write
            }),
        };
        if let Some(write) = write {
            attached.sent_until = write.valid_until;
        }
        self.out.send_frame((self.connection, self.framing), (transaction, unit, pdu), write);
    }

    fn arrived(&mut self, transaction: u16) {
        self.keep_in_transit(|transit| !transit.has_arrived_with(transaction));
    }

    fn done(&mut self, job: &Job<Ask>, outcome: Result<Answer<'_>, Fault>) -> Next<Ask> {
        let Ok(Answer::Bits(bits)) = outcome else { return self.end(job, outcome) };
        // From here on a bit is a register that is 0 or 1.
        let mut words = core::mem::take(&mut self.desk.bits);
        words.clear();
        bits.put_as_registers(&mut words);
        let registers = Registers::new(&words).expect("each bit is a register");
        let next = self.end(job, Ok(Answer::Registers(registers)));
        self.desk.bits = words;
        next
    }
}

impl Counter<'_> {
    /// What was asked is done; bits come as registers.
    fn end(&mut self, job: &Job<Ask>, outcome: Result<Answer<'_>, Fault>) -> Next<Ask> {
        let ended = match job.tag.what {
            What::Read(read) => {
                self.end_read(job.tag.place, usize::from(read), outcome);
                return Next::Nothing;
            }
            What::Find => return self.end_find(job, &outcome),
            What::Beat => {
                let (map, place) = (&self.maps[usize::from(job.tag.place)], usize::from(job.tag.place));
                let heartbeat = map.heartbeat().expect("only a device that expects one is sent one");
                if let Some(outcome) = self.devices[place].beats.ended(&outcome, heartbeat) {
                    self.desk.told.push(Told::Beats { device: map.device(), outcome });
                }
                return Next::Nothing;
            }
            What::Write => self.end_request(job.tag.place, &outcome),
            What::ReadBack => self.end_read_back(job.tag.place, &outcome),
            What::Epoch => self.end_epoch(job.tag.place, outcome),
        };
        let next = |what: What| Job { tag: Ask { what, ..job.tag }, turn: what.turn(), ..*job };
        match ended {
            Step::Goes(what) => Next::AtOnce(next(what)),
            Step::Ends(outcome) => {
                let another_waits = self.end_write(job.tag.place, outcome);
                if another_waits { Next::InTurn(next(What::Write)) } else { Next::Nothing }
            }
        }
    }

    /// The connection is over: no write waits in it, and who is found on the next one is not known, unless it ends `by_habit`.
    pub(super) fn is_over(&mut self, by_habit: bool) {
        self.keep_in_transit(|_transit| false);
        if by_habit {
            return;
        }
        let here = self.devices.iter_mut().zip(&*self.maps);
        for (attached, map) in here.filter(|(_, map)| map.connection() == self.connection) {
            attached.finding.begin_anew(map);
        }
    }

    /// Only these still wait in the connection.
    fn keep_in_transit(&mut self, waits: impl Fn(&Transit) -> bool) {
        let here = self.devices.iter_mut().zip(&*self.maps);
        for (attached, _map) in here.filter(|(_, map)| map.connection() == self.connection) {
            attached.in_transit = attached.in_transit.filter(&waits);
        }
    }

    /// The request that was told to leave for the set-point under way has not left.
    pub(super) fn not_sent(&mut self, place: usize, is_repeated: bool) {
        let how = self.writing(place as u16).leaves(is_repeated);
        self.desk.told.push(Told::NotSent { device: self.maps[place].device(), how });
    }

    fn writing(&self, place: u16) -> Writing {
        self.devices[usize::from(place)].write.expect("a set-point is under way while it is asked for")
    }

    /// Where the epoch of the request under way lies.
    fn epoch(&self, place: u16) -> Piece {
        let request = self.writing(place).request;
        let epoch = self.maps[usize::from(place)].writes()[usize::from(request)].epoch();
        epoch.expect("only a request with an epoch asks for it").0
    }

    fn end_read(&mut self, place: u16, read: usize, outcome: Result<Answer<'_>, Fault>) {
        let (map, attached) = (&self.maps[usize::from(place)], &mut self.devices[usize::from(place)]);
        let device = map.device();
        // What was under way beside an answer that has put the map in doubt may be another's.
        let outcome = if attached.finding.is_doubted { Err(Fault::Expired) } else { outcome };
        attached.reads_left -= 1;
        let first = self.desk.samples.len();
        match outcome {
            Ok(Answer::Registers(registers)) => {
                attached.has_answered = true;
                map.see(read, registers, &mut attached.seen);
                self.desk.samples.extend(map.brought(read, registers, attached.seen));
                if !map.is_in_place(read, registers) {
                    attached.finding.doubt(map);
                }
            }
            // The device is there and does not know.
            Err(Fault::Answer(AnswerFlaw::Exception(exception))) if !exception.is_of_gateway() => {
                let unknown = |point: &MappedPoint| {
                    let point = point.point;
                    Sample { point, validity: Validity::Invalid, value: 0.0 }
                };
                attached.has_answered = true;
                if is_missing(exception) {
                    attached.finding.doubt(map);
                }
                self.desk.samples.extend(map.points_of(read).map(unknown));
            }
            Ok(Answer::Bits(_) | Answer::Written | Answer::Identity { .. }) | Err(_) => {}
        }
        let end = self.desk.samples.len();
        if end > first {
            self.desk.told.push(Told::Points { device, samples: (first, end) });
        }
        if attached.reads_left == 0 && !attached.has_answered {
            self.desk.told.push(Told::TimedOut { device });
        }
    }

    fn end_request(&mut self, place: u16, answer: &Result<Answer<'_>, Fault>) -> Step {
        let Writing { write, request, .. } = self.writing(place);
        let asked = &self.maps[usize::from(place)].writes()[usize::from(request)];
        match outcome(asked, &write, answer) {
            WriteOutcome::Acknowledged if asked.is_read_back => Step::Goes(What::ReadBack),
            WriteOutcome::Acknowledged => self.go_on(place),
            WriteOutcome::Refused if asked.epoch().is_some() => Step::Goes(What::Epoch),
            // It was not sent, and those before it were acknowledged.
            WriteOutcome::Expired if request > 0 => Step::Ends(WriteOutcome::Incomplete),
            ended @ (WriteOutcome::Refused
            | WriteOutcome::Outdated { .. }
            | WriteOutcome::NotHeld
            | WriteOutcome::TimedOut
            | WriteOutcome::Expired
            | WriteOutcome::Incomplete) => Step::Ends(ended),
        }
    }

    /// A request is done, and the next one follows, if there is one.
    fn go_on(&mut self, place: u16) -> Step {
        let count = self.maps[usize::from(place)].writes().len();
        let writing = self.devices[usize::from(place)].write.as_mut();
        let writing = writing.expect("a set-point is under way while it is asked for");
        if usize::from(writing.request) + 1 < count {
            writing.request += 1;
            return Step::Goes(What::Write);
        }
        Step::Ends(WriteOutcome::Acknowledged)
    }

    fn end_read_back(&mut self, place: u16, answer: &Result<Answer<'_>, Fault>) -> Step {
        let Writing { write, request, .. } = self.writing(place);
        let asked = &self.maps[usize::from(place)].writes()[usize::from(request)];
        let ended = outcome(asked, &write, answer);
        if ended == WriteOutcome::Acknowledged { self.go_on(place) } else { Step::Ends(ended) }
    }

    fn end_epoch(&mut self, place: u16, outcome: Result<Answer<'_>, Fault>) -> Step {
        let Writing { write, request, .. } = self.writing(place);
        let layout = self.maps[usize::from(place)].writes()[usize::from(request)].epoch();
        let accepted = match (outcome, layout) {
            (Ok(Answer::Registers(registers)), Some((_, layout))) => layout.value(registers),
            _ => None,
        };
        let accepted = accepted.map(|value| value as u64).filter(|accepted| *accepted > write.epoch);
        Step::Ends(accepted.map_or(WriteOutcome::Refused, |accepted| WriteOutcome::Outdated { accepted }))
    }

    /// The set-point under way has ended; says whether another one waits for that.
    pub(super) fn end_write(&mut self, place: u16, outcome: WriteOutcome) -> bool {
        let device = self.maps[usize::from(place)].device();
        let attached = &mut self.devices[usize::from(place)];
        let writing = attached.write.take().expect("a set-point is under way while it is asked for");
        for _ in 0..writing.decisions {
            self.desk.told.push(Told::Written { device, outcome });
        }
        attached.write = attached.waiting.take();
        attached.write.is_some()
    }
}

/// What an answer to a request that writes, or to what reads it back, says of the write.
pub(super) fn outcome(
    asked: &WriteRequest,
    write: &SetPointWrite,
    answer: &Result<Answer<'_>, Fault>,
) -> WriteOutcome {
    match answer {
        // Function 23 reads back what it has written.
        Ok(Answer::Registers(held)) if !asked.is_held(write, *held) => WriteOutcome::NotHeld,
        Ok(_) => WriteOutcome::Acknowledged,
        Err(Fault::Answer(AnswerFlaw::Exception(exception))) if exception.refuses() => WriteOutcome::Refused,
        Err(Fault::Expired) => WriteOutcome::Expired,
        // Where it has left, nobody knows what the device made of that.
        Err(_) => WriteOutcome::TimedOut,
    }
}

/// What follows from the end of a request of a set-point.
enum Step {
    /// This is asked for it next.
    Goes(What),
    /// It has ended.
    Ends(WriteOutcome),
}
