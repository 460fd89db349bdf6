//! The set-points of a trial as requests, and what the device and its meter read meanwhile.

use r_ems_engine::fieldbus::master::Fault;
use r_ems_engine::fieldbus::pdu::{Registers, Request};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::{AnswerFlaw, Exception};
use r_ems_engine::fieldbus::write::WriteRequest;
use r_ems_engine::machine::{SetPointWrite, WriteKind};
use r_ems_engine::points::PointKind;
use r_ems_engine::{LocalTime, Span};
use r_ems_scenarios::Severity;

use super::{Course, Cut, METER_SETTLES, SETTLES};
use crate::present::text::power;
use crate::probe::look::told;
use crate::probe::reading::read_point;
use crate::probe::session::{Exchange, Reply};

/// Why a request of a set-point was not done.
pub(super) enum Undone {
    /// It was not acknowledged.
    Fault(Fault),
    /// It was, and the device holds something else.
    NotHeld,
}

impl Undone {
    /// Whether the device answered, though not as it should.
    pub(super) const fn is_answer(&self) -> bool {
        matches!(self, Self::NotHeld | Self::Fault(Fault::Answer(_)))
    }
}

impl Course<'_, '_, '_> {
    /// Writes a set-point; gives how long its acknowledgment took.
    pub(super) fn write(&mut self, set_point: f64) -> Result<Span, Cut> {
        if self.trial.interrupt.is_asked() {
            return Err(Cut::interrupted());
        }
        self.sent = self.now();
        let (request, undone) = match self.request(set_point) {
            Ok(took) => {
                let is_it = |found: f64| (found - set_point).abs() <= set_point.abs() / 5.0;
                let is_vouched = self.reads_back || set_point == 0.0;
                self.reads_back |= !is_vouched && self.read(PointKind::SetPoint).is_some_and(is_it);
                return Ok(took);
            }
            Err(undone) => undone,
        };
        let address = self.trial.target.map.writes().get(request).map_or(0, |request| request.address);
        let (said, is_elsewhere) = match undone {
            Undone::NotHeld => ("something else than was written, read back after it,".to_owned(), false),
            Undone::Fault(fault) => {
                let refused = [Exception::ILLEGAL_ADDRESS, Exception::ILLEGAL_FUNCTION];
                let refuses = |known: &Exception| fault == Fault::Answer(AnswerFlaw::Exception(*known));
                (told(&fault), refused.iter().any(refuses))
            }
        };
        let found = format!("{said} to a write at register {address}, of {}", power(set_point));
        let likely = is_elsewhere.then(|| "another address, or the other `function`".to_owned());
        let note = self.trial.target.note(&["link", "writes"], Severity::Error, found);
        self.notes.push(note.expected("an acknowledgment").likely(likely));
        Err(Cut::Noted)
    }

    /// Makes the requests of a set-point; gives how long they took, or which was the first that was not done, and why.
    ///
    /// The requests of one that is to lead to rest are made all, whatever becomes of those before.
    pub(super) fn request(&mut self, set_point: f64) -> Result<Span, (usize, Undone)> {
        let target = self.trial.target;
        let value = set_point * target.factor(PointKind::SetPoint);
        let (device, epoch, valid_until) = (target.map.device(), self.epoch, LocalTime::MAX);
        let write =
            SetPointWrite { device, kind: WriteKind::SetPoint, value, reactive: 0.0, epoch, valid_until };
        let began = self.now();
        let mut first = None;
        for (place, request) in target.map.writes().iter().enumerate() {
            let mut pdu = Vec::new();
            // The checker has seen that there is room up to the rating.
            if request.encode(&write, &mut pdu).is_err() {
                return Err((place, Undone::Fault(Fault::Expired)));
            }
            self.is_stirred = true;
            let Exchange { outcome, .. } = self.trial.sessions.known(target).ask_as(target.unit(), pdu);
            let undone = match outcome.and_then(|answer| self.is_held(request, &write, answer)) {
                Ok(true) => continue,
                Ok(false) => Undone::NotHeld,
                Err(fault) => Undone::Fault(fault),
            };
            let goes_on = set_point == 0.0 && undone.is_answer();
            first = first.or(Some((place, undone)));
            if !goes_on {
                break;
            }
        }
        let took = self.now().since(began);
        first.map_or(Ok(took), Err)
    }

    /// Whether the device holds what it has acknowledged, as far as the map has that read back.
    fn is_held(
        &mut self,
        request: &WriteRequest,
        write: &SetPointWrite,
        answer: Reply,
    ) -> Result<bool, Fault> {
        let target = self.trial.target;
        let answer = if request.is_read_back {
            let Piece { table, address, count } = request.span();
            let asked = Request::Read { table, address, count };
            self.trial.sessions.known(target).ask(target.unit(), &asked).outcome?
        } else {
            answer
        };
        Ok(match answer {
            Reply::Registers(bytes) => {
                Registers::new(&bytes).is_some_and(|registers| request.is_held(write, registers))
            }
            Reply::Written | Reply::Identity { .. } => true,
        })
    }

    /// How long what has responded may settle, so that the meter sees it, and no reversion is near.
    pub(super) fn settles(&self) -> Span {
        let quarter = Span::from_nanos(self.trial.target.spec.reversion.as_nanos() / 4);
        let meter = self.trial.meter.map(|meter| (METER_SETTLES + meter.spec.latency).min(quarter));
        meter.unwrap_or(SETTLES).max(SETTLES)
    }

    pub(super) fn now(&mut self) -> LocalTime {
        self.trial.sessions.known(self.trial.target).now()
    }

    pub(super) fn pause(&mut self, span: Span) {
        let session = self.trial.sessions.known(self.trial.target);
        let until = session.now() + span;
        session.rest_until(until);
    }

    pub(super) fn read(&mut self, kind: PointKind) -> Option<f64> {
        let target = self.trial.target;
        read_point(self.trial.sessions.known(target), target, kind).map(|(value, _)| value)
    }

    pub(super) fn meter(&mut self) -> Option<f64> {
        let meter = self.trial.meter?;
        read_point(self.trial.sessions.known(meter), meter, PointKind::Power).map(|(value, _)| value)
    }
}
