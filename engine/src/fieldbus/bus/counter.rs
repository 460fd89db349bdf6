//! The counter between a bus and the master of one connection: which bytes a request has, and what an answer means.

use alloc::vec::Vec;

use super::{Ask, Attached, Desk, INSTANT, Told, Transit, What, Writing};
use crate::fieldbus::map::DeviceMap;
use crate::fieldbus::master::{Fault, Job, Peer};
use crate::fieldbus::pdu::{Answer, Request};
use crate::fieldbus::plan::Piece;
use crate::fieldbus::refusal::AnswerFlaw;
use crate::ids::ConnectionIndex;
use crate::machine::{Effect, Effects, LinkWish, Sample, SetPointWrite, Validity, WriteOutcome};
use crate::time::LocalTime;

/// Where a master asks, and where what became of it is noted.
pub(super) struct Counter<'a> {
    pub(super) maps: &'a [DeviceMap],
    pub(super) devices: &'a mut [Attached],
    pub(super) desk: &'a mut Desk,
    pub(super) connection: ConnectionIndex,
    pub(super) out: &'a mut Effects,
}

impl Peer for Counter<'_> {
    type Tag = Ask;

    fn connect(&mut self) {
        self.out.push(Effect::Link { connection: self.connection, wish: LinkWish::Open });
    }

    fn disconnect(&mut self) {
        self.nothing_in_transit();
        self.out.push(Effect::Link { connection: self.connection, wish: LinkWish::Closed });
    }

    fn request(&mut self, job: &Job<Ask>, pdu: &mut Vec<u8>) {
        let map = &self.maps[usize::from(job.tag.place)];
        let piece = match job.tag.what {
            What::Read(read) => map.reads()[usize::from(read)].span,
            What::Epoch => self.epoch(job.tag.place),
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
        job.tag.what == What::Write && now > self.writing(job.tag.place).write.valid_until
    }

    fn send(&mut self, job: &Job<Ask>, transaction: u16, unit: u8, pdu: &[u8]) {
        let place = usize::from(job.tag.place);
        let writing = self.devices[place].write.as_mut().filter(|_| job.tag.what == What::Write);
        let write = writing.map(|writing| {
            writing.has_left = true;
            writing.write
        });
        if let Some(SetPointWrite { device, valid_until, .. }) = write {
            if self.maps[place].recalls() {
                let before = self.devices[place].in_transit.map_or(valid_until, |transit| transit.ends_at);
                let ends_at = before.max(valid_until + INSTANT);
                self.devices[place].in_transit = Some(Transit { ends_at, transaction });
            }
            self.desk.told.push(Told::Left { device, valid_until });
        }
        self.out.send_frame(self.connection, (transaction, unit, pdu), write);
    }

    fn arrived(&mut self, transaction: u16) {
        self.keep_in_transit(|transit| !transit.has_arrived_with(transaction));
    }

    fn done(&mut self, job: &Job<Ask>, outcome: Result<Answer<'_>, Fault>) -> Option<Job<Ask>> {
        let what = match job.tag.what {
            What::Read(read) => {
                self.end_read(job.tag.place, usize::from(read), outcome);
                None
            }
            What::Write => self.end_request(job.tag.place, outcome),
            What::Epoch => self.end_epoch(job.tag.place, outcome),
        };
        what.map(|what| Job { tag: Ask { what, ..job.tag }, goes_first: true, ..*job })
    }
}

impl Counter<'_> {
    /// No write waits in the connection: it is over.
    pub(super) fn nothing_in_transit(&mut self) {
        self.keep_in_transit(|_transit| false);
    }

    /// Only these still wait in the connection.
    fn keep_in_transit(&mut self, waits: impl Fn(&Transit) -> bool) {
        let here = self.devices.iter_mut().zip(self.maps);
        for (attached, _map) in here.filter(|(_, map)| map.connection() == self.connection) {
            attached.in_transit = attached.in_transit.filter(&waits);
        }
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
        attached.reads_left -= 1;
        let first = self.desk.samples.len();
        match outcome {
            Ok(Answer::Registers(registers)) => {
                let samples = map.brought(read, registers).map(|(mapped, registers)| {
                    let value = mapped.layout.value(registers);
                    let validity = if value.is_some() { Validity::Valid } else { Validity::Invalid };
                    Sample { point: mapped.point, validity, value: value.unwrap_or(0.0) }
                });
                self.desk.samples.extend(samples);
            }
            // The device is there and does not know.
            Err(Fault::Answer(AnswerFlaw::Exception(exception))) if !exception.is_of_gateway() => {
                let unknown = |place: &(u16, u16)| {
                    let point = map.points()[usize::from(place.0)].point;
                    Sample { point, validity: Validity::Invalid, value: 0.0 }
                };
                self.desk.samples.extend(map.reads()[read].pieces.iter().map(unknown));
            }
            Ok(Answer::Bits(_) | Answer::Written | Answer::Identity { .. }) | Err(_) => {}
        }
        let end = self.desk.samples.len();
        if end > first {
            attached.has_answered = true;
            self.desk.told.push(Told::Points { device, samples: (first, end) });
        }
        if attached.reads_left == 0 && !attached.has_answered {
            self.desk.told.push(Told::TimedOut { device });
        }
    }

    fn end_request(&mut self, place: u16, outcome: Result<Answer<'_>, Fault>) -> Option<What> {
        let writes = self.maps[usize::from(place)].writes();
        let writing = self.devices[usize::from(place)].write.as_mut()?;
        let request = usize::from(writing.request);
        let ended = match outcome {
            Ok(_) if request + 1 < writes.len() => {
                writing.request += 1;
                return Some(What::Write);
            }
            Ok(_) => WriteOutcome::Acknowledged,
            Err(Fault::Answer(AnswerFlaw::Exception(exception))) if exception.refuses() => {
                if writes[request].epoch().is_some() {
                    return Some(What::Epoch);
                }
                WriteOutcome::Refused
            }
            // Where a part of it has left, nobody knows what the device made of that.
            Err(Fault::Expired) if request == 0 => WriteOutcome::Expired,
            Err(_) => WriteOutcome::TimedOut,
        };
        self.end_write(place, ended)
    }

    fn end_epoch(&mut self, place: u16, outcome: Result<Answer<'_>, Fault>) -> Option<What> {
        let Writing { write, request, .. } = self.writing(place);
        let layout = self.maps[usize::from(place)].writes()[usize::from(request)].epoch();
        let accepted = match (outcome, layout) {
            (Ok(Answer::Registers(registers)), Some((_, layout))) => layout.value(registers),
            _ => None,
        };
        let accepted = accepted.map(|value| value as u64).filter(|accepted| *accepted > write.epoch);
        let refused = WriteOutcome::Refused;
        self.end_write(place, accepted.map_or(refused, |accepted| WriteOutcome::Outdated { accepted }))
    }

    /// The set-point under way has ended, and the one that waits begins.
    fn end_write(&mut self, place: u16, outcome: WriteOutcome) -> Option<What> {
        let device = self.maps[usize::from(place)].device();
        let attached = &mut self.devices[usize::from(place)];
        let writing = attached.write.take()?;
        for _ in 0..writing.decisions {
            self.desk.told.push(Told::Written { device, outcome });
        }
        attached.write = attached.waiting.take();
        attached.write.is_some().then_some(What::Write)
    }
}
