//! Tries a battery with small set-points: whether it follows, in which direction and scale, how fast, and when it falls back.
//!
//! ```text
//!     at rest ──> discharge a little ──> charge a little ──> rest ──> discharge a little, and nobody writes ──> rest
//! ```
//!
//! **Always at rest in the end,** however it ends: an interruption is looked for between requests only, and the set-point 0 is
//! written until the device follows it, or [`REST_TRIES`] times. A process that is killed leaves that to the device's reversion.
//!
//! **Somebody else at work** is recognized by what the device does: one that is not at rest is left alone, and so is one whose
//! set-point becomes what nobody here wrote.
//!
//! **Bounds:** a set-point is waited for within [`RESPONSE_MAX`], a reversion within [`REVERSION_MAX`].

use r_ems_engine::fieldbus::master::Fault;
use r_ems_engine::fieldbus::pdu::{Registers, Request};
use r_ems_engine::fieldbus::plan::Piece;
use r_ems_engine::fieldbus::refusal::{AnswerFlaw, Exception};
use r_ems_engine::fieldbus::write::WriteRequest;
use r_ems_engine::machine::{SetPointWrite, WriteKind};
use r_ems_engine::points::{DeviceClass, PointKind};
use r_ems_engine::{LocalTime, Span};
use r_ems_scenarios::Severity;

use super::Sessions;
use super::judged::{self, Outcome};
use super::look::{Looked, duration_of, read_doubted, read_point, told};
use super::report::{Step, Written};
use super::session::{Exchange, Reply};
use super::target::{Noted, Target};
use crate::exit::Failure;
use crate::present::text::power;
use crate::study::progress::Interrupt;

/// A test set-point is so much of the rating, where the limits allow it.
pub(super) const SHARE: f64 = 0.05;
/// Less than this share is too little to tell anything.
const SHARE_MIN: f64 = 0.02;
/// A power that is beyond the set-point by this factor is ended at once.
const RUNAWAY: f64 = 3.0;
/// A response is over when so much of the step is done.
const RESPONDED: f64 = 0.9;
/// A set-point is waited for so long.
const RESPONSE_MAX: Span = Span::from_secs(10);
/// What has responded may settle for so long.
const SETTLES: Span = Span::from_millis(300);
/// A meter sees it later: many are renewed once a second.
const METER_SETTLES: Span = Span::from_secs(2);
/// So often it is looked.
const EVERY: Span = Span::from_millis(50);
/// A reversion is waited for so long at most, whatever the file says.
pub(super) const REVERSION_MAX: Span = Span::from_mins(15);
/// It is waited for beyond what the file says by half, and by this.
const BEYOND: Span = Span::from_secs(5);
/// So often rest is asked for.
const REST_TRIES: usize = 5;

/// Why a trial ends before its end.
enum Cut {
    /// Somebody asked for that.
    Interrupted,
    /// It was noted what is wrong.
    Noted,
}

/// Why a request of a set-point was not done.
enum Undone {
    /// It was not acknowledged.
    Fault(Fault),
    /// It was, and the device holds something else.
    NotHeld,
}

/// A battery under trial.
pub(super) struct Trial<'t, 's> {
    pub(super) target: &'t Target<'s>,
    /// The meter that sees what it does, if there is one.
    pub(super) meter: Option<&'t Target<'s>>,
    /// Whether a look has shown that the meter's sign is right.
    pub(super) meter_is_right: bool,
    pub(super) sessions: &'t mut Sessions,
    pub(super) interrupt: &'t Interrupt,
    pub(super) tell: fn(&str),
}

/// What is known while it goes on.
struct Course<'c, 't, 's> {
    trial: &'c mut Trial<'t, 's>,
    epoch: u64,
    written: Written,
    notes: Vec<Noted>,
    /// Whether something was written that may not be at rest.
    is_stirred: bool,
    /// What the meter read before the set-point under trial.
    meter_before: Option<f64>,
    /// How long the slowest response took.
    responds: Span,
}

impl Trial<'_, '_> {
    /// Tries it, unless it is no battery, cannot be read, or is at work.
    ///
    /// # Errors
    /// The operating system has no descriptors left.
    pub(super) fn run(&mut self, looked: &Looked) -> Result<(Written, Vec<Noted>), Failure> {
        let reversion_s = self.target.spec.reversion.as_secs_f64();
        let mut written = Written { reversion_s, rests: true, ..Written::default() };
        if let Err(why) = self.steps(looked) {
            written.withheld = Some(why);
            return Ok((written, Vec::new()));
        }
        // They are there from here on.
        self.sessions.to(self.target)?;
        if let Some(meter) = self.meter {
            self.sessions.to(meter)?;
        }
        let steps = self.steps(looked).unwrap_or_default();
        let epoch = self.accepted_epoch();
        let mut course = Course {
            trial: self,
            epoch,
            written,
            notes: Vec::new(),
            is_stirred: false,
            meter_before: None,
            responds: Span::ZERO,
        };
        let cut = course.go(&steps).err();
        course.rest();
        let (mut written, notes) = (std::mem::take(&mut course.written), std::mem::take(&mut course.notes));
        if matches!(cut, Some(Cut::Interrupted)) {
            written.withheld = Some("it was ended before all was tried".to_owned());
        }
        Ok((written, notes))
    }

    /// The set-points that are tried, or why none is.
    fn steps(&self, looked: &Looked) -> Result<Vec<f64>, String> {
        let rating = self.target.spec.rating.watts();
        match self.target.spec.class {
            DeviceClass::Battery => {}
            DeviceClass::Pv => return Err("a set-point of photovoltaics curtails them".to_owned()),
            DeviceClass::Meter => return Err("a meter takes no set-points".to_owned()),
        }
        if self.target.map.heartbeat().is_some() {
            return Err("it expects heartbeats, which only a controller's scans send".to_owned());
        }
        let value = |kind: PointKind| {
            looked.value(kind).ok_or_else(|| format!("`{}` does not read what can be true", kind.name()))
        };
        let (at_work, told) = (value(PointKind::Power)?, value(PointKind::SetPoint)?);
        if at_work.abs() > rating * SHARE || told.abs() > rating * SHARE {
            return Err(format!(
                "it is at work, at {} with a set-point of {}: somebody commands it",
                power(at_work),
                power(told)
            ));
        }
        let limits = [(1.0, PointKind::DischargeLimit), (-1.0, PointKind::ChargeLimit)];
        let mut steps = Vec::new();
        for (sign, kind) in limits {
            let size = r_ems_engine::math::at_most(rating * SHARE, value(kind)?);
            if size >= rating * SHARE_MIN {
                steps.push(sign * size);
            }
        }
        if steps.is_empty() {
            return Err("its limits leave no room for a set-point".to_owned());
        }
        Ok(steps)
    }

    /// The epoch that the device has accepted: a write with the same is not refused, and nobody has to move above it.
    fn accepted_epoch(&mut self) -> u64 {
        let place = self.target.map.writes().iter().find_map(WriteRequest::epoch);
        let Some((piece, layout)) = place else { return 0 };
        let request = Request::Read { table: piece.table, address: piece.address, count: piece.count };
        let unit = self.target.unit();
        match self.sessions.known(self.target).ask(unit, &request).outcome {
            Ok(Reply::Registers(bytes)) => {
                Registers::new(&bytes).and_then(|words| layout.value(words)).map_or(0, |value| value as u64)
            }
            Ok(Reply::Written | Reply::Identity { .. }) | Err(_) => 0,
        }
    }
}

impl Course<'_, '_, '_> {
    fn go(&mut self, steps: &[f64]) -> Result<(), Cut> {
        let meter_before = self.meter();
        let mut before = (0.0, meter_before);
        let mut meters = Vec::new();
        for set_point in steps.iter().copied().chain([0.0]) {
            (self.trial.tell)(&format!("{}: a set-point of {}", self.trial.target.name(), power(set_point)));
            let meter = self.step(set_point, before)?;
            meters.push((set_point, meter));
            before = (set_point, meter);
        }
        self.judge_meter(&meters);
        self.revert(steps[0])
    }

    /// Writes a set-point, waits until it is followed, and judges what came of it; gives what the meter reads then.
    fn step(&mut self, set_point: f64, before: (f64, Option<f64>)) -> Result<Option<f64>, Cut> {
        let (from, meter_before) = before;
        self.meter_before = meter_before;
        let sent = self.now();
        let acknowledged = self.write(set_point)?;
        let response = self.follow(set_point, from, sent)?;
        self.pause(self.settles());
        let measured = self.read(PointKind::Power);
        let target = self.trial.target;
        let read_back = read_doubted(self.trial.sessions.known(target), target, PointKind::SetPoint);
        let meter = self.meter();
        self.responds = self.responds.max(response.unwrap_or(Span::ZERO));
        self.written.steps.push(Step {
            set_point_w: set_point,
            acknowledged_s: Some(acknowledged.as_secs_f64()),
            read_back_w: read_back.as_ref().map(|(found, _)| *found),
            measured_w: measured,
            response_s: response.map(Span::as_secs_f64),
            meter_moved_w: meter.zip(meter_before).map(|(now, before)| now - before),
        });
        if set_point != 0.0 {
            let moved = meter.zip(meter_before).map(|(now, before)| now - before);
            self.judge(Outcome { asked: set_point, stepped: set_point - from, measured, read_back, moved })?;
        }
        Ok(meter)
    }

    /// Writes a set-point for the last time, and waits until the device gives it up.
    fn revert(&mut self, set_point: f64) -> Result<(), Cut> {
        let target = self.trial.target;
        let declared = target.spec.reversion;
        let until = (declared + Span::from_nanos(declared.as_nanos() / 2) + BEYOND).min(REVERSION_MAX);
        if until < declared + judged::tolerance(declared, self.responds) {
            let (name, most) = (target.name(), duration_of(REVERSION_MAX));
            (self.trial.tell)(&format!(
                "{name}: its reversion is not waited for: that takes more than {most}"
            ));
            return Ok(());
        }
        let words = format!("nobody writes now; it may take {} until it falls back", duration_of(until));
        (self.trial.tell)(&format!("{}: {words}", target.name()));
        let sent = self.now();
        self.write(set_point)?;
        if self.follow(set_point, 0.0, sent)?.is_none() {
            return Ok(());
        }
        let ends = sent + until;
        let reverted = loop {
            self.pause(EVERY);
            let read = self.read(PointKind::Power);
            if read.is_some_and(|found| (found - set_point).abs() > set_point.abs() / 2.0) {
                break Some(self.now().since(sent));
            }
            if self.trial.interrupt.is_asked() {
                return Err(Cut::Interrupted);
            }
            if self.now() >= ends {
                break None;
            }
        };
        self.written.reverted_after_s = reverted.map(Span::as_secs_f64);
        self.written.waited_s = Some(until.as_secs_f64());
        self.notes.extend(judged::reversion(target, reverted, (until, self.responds)));
        Ok(())
    }

    /// Judges whether the meter saw discharge as less import.
    fn judge_meter(&mut self, seen: &[(f64, Option<f64>)]) {
        let Some(meter) = self.trial.meter else { return };
        let known: Vec<(f64, f64)> = seen.iter().filter_map(|(told, read)| Some((*told, (*read)?))).collect();
        let ways = known.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1));
        let ways: Vec<(f64, f64)> = ways.collect();
        let seen = judged::seen_by_meter(self.trial.target, (meter, self.trial.meter_is_right), &ways);
        self.written.meter_agrees = seen.as_ref().map(Result::is_ok);
        self.notes.extend(seen.and_then(Result::err));
    }

    /// Judges what became of a set-point; ends the trial where that is not as the file says.
    fn judge(&mut self, outcome: Outcome) -> Result<(), Cut> {
        match outcome.judge(self.trial.target) {
            None => Ok(()),
            Some(note) => {
                self.notes.push(note);
                Err(Cut::Noted)
            }
        }
    }

    /// Leaves the device at rest.
    fn rest(&mut self) {
        if !self.is_stirred {
            return;
        }
        let least = self.trial.target.spec.rating.watts() * SHARE_MIN;
        let mut rests = false;
        for _try in 0..REST_TRIES {
            let is_taken = self.request(0.0).is_ok();
            let until = self.now() + if is_taken { RESPONSE_MAX } else { SETTLES };
            loop {
                rests = self.read(PointKind::Power).is_some_and(|found| found.abs() <= least);
                if self.now() >= until || (rests && is_taken) {
                    break;
                }
                self.pause(EVERY);
            }
            if rests && is_taken {
                break;
            }
            // Whatever the connection was, another may be better.
            self.trial.sessions.known(self.trial.target).renew();
        }
        (self.is_stirred, self.written.rests) = (false, rests);
        // One that takes no set-point, and has taken none, rests too.
        if rests {
            return;
        }
        let found = format!("no rest after {REST_TRIES} set-points of 0 W");
        let note = self.trial.target.note(&["link", "writes"], Severity::Error, found);
        self.notes.push(note.expected("0 W").likely("look after the device now".to_owned()));
    }

    /// Waits until the device follows; `None`: it does not in time. What goes far beyond is noted, and ends the trial.
    fn follow(&mut self, set_point: f64, from: f64, sent: LocalTime) -> Result<Option<Span>, Cut> {
        let half = Span::from_nanos(self.trial.target.spec.reversion.as_nanos() / 2);
        let until = sent + RESPONSE_MAX.min(half);
        let step = set_point - from;
        let most = RUNAWAY * r_ems_engine::math::at_least(set_point.abs(), from.abs());
        loop {
            if self.trial.interrupt.is_asked() {
                return Err(Cut::Interrupted);
            }
            if let Some(found) = self.read(PointKind::Power) {
                if found.abs() > most {
                    self.pause(SETTLES);
                    let (measured, meter) = (self.read(PointKind::Power), self.meter());
                    let moved = meter.zip(self.meter_before).map(|(now, before)| now - before);
                    if set_point != 0.0 {
                        let measured = measured.or(Some(found));
                        let (asked, stepped, read_back) = (set_point, step, None);
                        self.judge(Outcome { asked, stepped, measured, read_back, moved })?;
                    }
                    return Err(Cut::Noted);
                }
                if (found - from) / step >= RESPONDED {
                    return Ok(Some(self.now().since(sent)));
                }
            }
            if self.now() >= until {
                return Ok(None);
            }
            self.pause(EVERY);
        }
    }

    /// Writes a set-point; gives how long its acknowledgment took.
    fn write(&mut self, set_point: f64) -> Result<Span, Cut> {
        if self.trial.interrupt.is_asked() {
            return Err(Cut::Interrupted);
        }
        let (request, undone) = match self.request(set_point) {
            Ok(took) => return Ok(took),
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

    /// Makes the requests of a set-point; gives how long they took, or which was not done, and why.
    fn request(&mut self, set_point: f64) -> Result<Span, (usize, Undone)> {
        let target = self.trial.target;
        let value = set_point * target.factor(PointKind::SetPoint);
        let (device, epoch, valid_until) = (target.map.device(), self.epoch, LocalTime::MAX);
        let write = SetPointWrite { device, kind: WriteKind::SetPoint, value, epoch, valid_until };
        let began = self.now();
        for (place, request) in target.map.writes().iter().enumerate() {
            let mut pdu = Vec::new();
            // The checker has seen that there is room up to the rating.
            if request.encode(&write, &mut pdu).is_err() {
                return Err((place, Undone::Fault(Fault::Expired)));
            }
            self.is_stirred = true;
            let Exchange { outcome, .. } = self.trial.sessions.known(target).ask_as(target.unit(), pdu);
            let undone = |fault| (place, Undone::Fault(fault));
            let answer = outcome.map_err(undone)?;
            if !self.is_held(request, &write, answer).map_err(undone)? {
                return Err((place, Undone::NotHeld));
            }
        }
        Ok(self.now().since(began))
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
    fn settles(&self) -> Span {
        let quarter = Span::from_nanos(self.trial.target.spec.reversion.as_nanos() / 4);
        let meter = self.trial.meter.map(|meter| (METER_SETTLES + meter.spec.latency).min(quarter));
        meter.unwrap_or(SETTLES).max(SETTLES)
    }

    fn now(&mut self) -> LocalTime {
        self.trial.sessions.known(self.trial.target).now()
    }

    fn pause(&mut self, span: Span) {
        let session = self.trial.sessions.known(self.trial.target);
        let until = session.now() + span;
        session.rest_until(until);
    }

    fn read(&mut self, kind: PointKind) -> Option<f64> {
        let target = self.trial.target;
        read_point(self.trial.sessions.known(target), target, kind).map(|(value, _)| value)
    }

    fn meter(&mut self) -> Option<f64> {
        let meter = self.trial.meter?;
        read_point(self.trial.sessions.known(meter), meter, PointKind::Power).map(|(value, _)| value)
    }
}

impl Drop for Course<'_, '_, '_> {
    /// Whatever ends it, a failed assertion too, leaves the device at rest.
    fn drop(&mut self) {
        self.rest();
    }
}
