//! Tries a battery with small set-points: whether it follows, in which direction and scale, how fast, and when it falls back.
//!
//! ```text
//!     at rest ──> discharge a little ──> charge a little ──> rest ──> discharge a little, and nobody writes ──> rest
//! ```
//!
//! **Always at rest in the end,** however it ends: an interruption is looked for between requests only, and the set-point 0 is
//! written until the device follows it, or for a while: see [`rest`]. A process that is killed leaves that to the device's
//! reversion.
//!
//! **Somebody else at work** is recognized by what the device does, right before the first write and from then on: one that is
//! not at rest is left alone, and so is one whose set-point becomes what nobody here wrote: nothing of ours is in force then.
//!
//! **Bounds:** a set-point is waited for within [`RESPONSE_MAX`], or [`SLOW_MAX`] as long as the power moves to it; a reversion
//! within [`REVERSION_MAX`].

mod orders;
mod rest;

use r_ems_engine::fieldbus::pdu::{Registers, Request};
use r_ems_engine::fieldbus::write::WriteRequest;
use r_ems_engine::points::{DeviceClass, PointKind};
use r_ems_engine::{LocalTime, Span};
use r_ems_scenarios::Severity;

use super::Sessions;
use super::judged::{self, Outcome};
use super::look::{Looked, duration_of};
use super::reading::{read_doubted, read_point};
use super::report::{Step, Written};
use super::session::Reply;
use super::target::{Noted, Target};
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
/// And so long where the power moves to it, so much of the step at least in half of the wait.
const SLOW_MAX: Span = Span::from_mins(1);
const MOVES: f64 = 0.04;
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
/// Why a trial ends before its end.
enum Cut {
    /// It could not go on, with no fault of anybody.
    Withheld(String),
    /// The set-point is somebody else's by now, and so is what becomes of the device.
    TakenOver(f64),
    /// It was noted what is wrong.
    Noted,
}

impl Cut {
    fn interrupted() -> Self {
        Self::Withheld("it was ended before all was tried".to_owned())
    }
}

/// Why a device is not tried, whatever it does; `None`: it is tried.
pub(super) fn refused(target: &Target<'_>) -> Option<&'static str> {
    match target.spec.class {
        DeviceClass::Battery => {}
        DeviceClass::Pv => return Some("a set-point of photovoltaics curtails them"),
        DeviceClass::Meter => return Some("a meter takes no set-points"),
        DeviceClass::Signal => return Some("a receiver takes no set-points"),
        DeviceClass::Genset | DeviceClass::Load | DeviceClass::Breaker => {
            return Some("a set-point of what is switched starts it or stops it");
        }
    }
    // A trial that sent them would show what the device does with those of the trial, and nothing of a controller's.
    let has_heartbeat = target.map.heartbeat_timeout().is_some();
    has_heartbeat.then_some("it expects heartbeats, which only a controller's scans send")
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
    /// When a set-point was sent for the last time.
    sent: LocalTime,
    /// What the device measured before the set-point under trial.
    power_before: Option<f64>,
    /// The set-point that it had before all of them.
    idle: f64,
    /// Whether the set-point was read as what was written: one that becomes another is somebody else's then.
    reads_back: bool,
    /// Whether it was noted that it follows slowly.
    is_slow: bool,
}

impl Trial<'_, '_> {
    /// Tries it, unless it is no battery, cannot be read, or is at work.
    pub(super) fn run(&mut self, looked: &Looked) -> (Written, Vec<Noted>) {
        let reversion_s = self.target.spec.reversion.as_secs_f64();
        let mut written = Written { reversion_s, rests: true, ..Written::default() };
        if looked.is_another() {
            written.withheld = Some("another device answers than the one that the file names".to_owned());
            return (written, Vec::new());
        }
        if let Err(why) = self.steps(&|kind| looked.value(kind)) {
            written.withheld = Some(why);
            return (written, Vec::new());
        }
        // They are there from here on.
        for target in [Some(self.target), self.meter].into_iter().flatten() {
            if let Err(failure) = self.sessions.to(target) {
                written.withheld = Some(failure.message);
                return (written, Vec::new());
            }
        }
        let epoch = self.accepted_epoch();
        // The look may be minutes old, and somebody else may command it by now.
        let kinds =
            [PointKind::ChargeLimit, PointKind::DischargeLimit, PointKind::Power, PointKind::SetPoint];
        let fresh = kinds.map(|kind| {
            (kind, read_point(self.sessions.known(self.target), self.target, kind).map(|(value, _)| value))
        });
        let value = |kind| fresh.iter().find(|known| known.0 == kind).and_then(|known| known.1);
        let steps = match self.steps(&value) {
            Ok(steps) => steps,
            Err(why) => {
                written.withheld = Some(why);
                return (written, Vec::new());
            }
        };
        let mut course = Course {
            trial: self,
            epoch,
            written,
            notes: Vec::new(),
            is_stirred: false,
            meter_before: None,
            responds: Span::ZERO,
            sent: LocalTime::ZERO,
            power_before: None,
            idle: value(PointKind::SetPoint).unwrap_or(0.0),
            reads_back: false,
            is_slow: false,
        };
        match course.go(&steps) {
            Ok(()) => {}
            Err(Cut::Noted) => course.written.withheld = Some("what disagrees ended it".to_owned()),
            Err(Cut::Withheld(why)) => course.written.withheld = Some(why),
            Err(Cut::TakenOver(found)) => {
                let found = power(found);
                course.written.withheld = Some(format!(
                    "its set-point became {found}: somebody else commands it, or it falls back to that"
                ));
                course.is_stirred = false;
            }
        }
        course.rest();
        (std::mem::take(&mut course.written), std::mem::take(&mut course.notes))
    }

    /// The set-points that are tried, or why none is.
    fn steps(&self, read: &dyn Fn(PointKind) -> Option<f64>) -> Result<Vec<f64>, String> {
        let rating = self.target.spec.rating.watts();
        if let Some(why) = refused(self.target) {
            return Err(why.to_owned());
        }
        let value = |kind: PointKind| {
            read(kind).ok_or_else(|| format!("`{}` does not read what can be true", kind.name()))
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
        self.keeps(&[from, self.idle])?;
        (self.meter_before, self.power_before) = (meter_before, self.read(PointKind::Power));
        let acknowledged = self.write(set_point)?;
        let response = self.follow(set_point, from)?;
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
            let moved_itself = measured.zip(self.power_before).map(|(now, before)| now - before);
            let (asked, stepped) = (set_point, set_point - from);
            self.judge(Outcome { asked, stepped, measured, moved_itself, read_back, moved })?;
        }
        let told = power(set_point);
        match measured {
            None => Err(Cut::Withheld(format!("what it does at a set-point of {told} could not be read"))),
            Some(found) if set_point == 0.0 && found.abs() > self.least() => {
                Err(Cut::Withheld(format!("{} measured at a set-point of {told}", power(found))))
            }
            Some(_) => Ok(meter),
        }
    }

    /// Writes a set-point for the last time, and waits until the device gives it up.
    fn revert(&mut self, set_point: f64) -> Result<(), Cut> {
        let target = self.trial.target;
        let declared = target.spec.reversion;
        let until = (declared + Span::from_nanos(declared.as_nanos() / 2) + BEYOND).min(REVERSION_MAX);
        if until < declared + judged::tolerance(declared, self.responds) {
            let (name, most) = (target.name(), duration_of(REVERSION_MAX));
            let why = format!("its reversion was not waited for: that takes more than {most}");
            (self.trial.tell)(&format!("{name}: {why}"));
            return Err(Cut::Withheld(why));
        }
        let words = format!("nobody writes now; it may take {} until it falls back", duration_of(until));
        (self.trial.tell)(&format!("{}: {words}", target.name()));
        self.keeps(&[0.0, self.idle])?;
        (self.meter_before, self.power_before) = (self.meter(), self.read(PointKind::Power));
        self.write(set_point)?;
        let follows = self.follow(set_point, 0.0)?.is_some()
            || self.read(PointKind::Power).is_some_and(|found| judged::is_near(found / set_point));
        if !follows {
            let told = power(set_point);
            let why = format!("its reversion was not tried: it did not follow another set-point of {told}");
            return Err(Cut::Withheld(why));
        }
        let (sent, blind) = (self.sent, judged::tolerance(declared, self.responds));
        let ends = sent + until;
        let mut seen = self.now();
        let reverted = loop {
            self.pause(EVERY);
            self.keeps(&[set_point, 0.0, self.idle])?;
            let (read, now) = (self.read(PointKind::Power), self.now());
            let is_over = read.is_some_and(|found| (found - set_point).abs() > set_point.abs() / 2.0);
            if (is_over || now >= ends) && now.since(seen) > blind {
                let why = "its reversion was not seen: what it does could not be read then";
                return Err(Cut::Withheld(why.to_owned()));
            }
            if is_over {
                break Some(now.since(sent));
            }
            seen = if read.is_some() { now } else { seen };
            if self.trial.interrupt.is_asked() {
                return Err(Cut::interrupted());
            }
            if now >= ends {
                break None;
            }
        };
        self.written.reverted_after_s = reverted.map(Span::as_secs_f64);
        self.written.waited_s = Some(until.as_secs_f64());
        self.notes.extend(judged::reversion(target, reverted, (until, self.responds)));
        Ok(())
    }

    /// Looks whether the set-point is one of those that it can be if nobody else writes it.
    fn keeps(&mut self, own: &[f64]) -> Result<(), Cut> {
        if !self.reads_back {
            return Ok(());
        }
        let least = self.trial.target.spec.rating.watts() * SHARE_MIN / 2.0;
        let is_own = |found: f64| own.iter().any(|own| (found - own).abs() <= least);
        // One reading may have been made while it was written.
        for _look in 0..2 {
            match self.read(PointKind::SetPoint) {
                Some(found) if !is_own(found) => self.pause(EVERY),
                Some(_) | None => return Ok(()),
            }
        }
        match self.read(PointKind::SetPoint) {
            Some(found) if !is_own(found) => Err(Cut::TakenOver(found)),
            Some(_) | None => Ok(()),
        }
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
        if let Some(found) = outcome.of_somebody_else().filter(|_| self.reads_back) {
            return Err(Cut::TakenOver(found));
        }
        match outcome.judge(self.trial.target) {
            None => Ok(()),
            Some(note) => {
                self.notes.push(note);
                Err(Cut::Noted)
            }
        }
    }

    /// Waits until the device follows; `None`: it does not in time. What goes far beyond is noted, and ends the trial.
    ///
    /// As long as its power moves to the set-point that is repeated before it falls back, and it is noted that it is slow.
    fn follow(&mut self, set_point: f64, from: f64) -> Result<Option<Span>, Cut> {
        let half = Span::from_nanos(self.trial.target.spec.reversion.as_nanos() / 2);
        let wait = RESPONSE_MAX.min(half);
        let (began, step) = (self.sent, set_point - from);
        let most = RUNAWAY * r_ems_engine::math::at_least(set_point.abs(), from.abs());
        // What was done of the step at the middle of the wait, and in the end.
        let (mut middle, mut last) = (None, None);
        loop {
            if self.trial.interrupt.is_asked() {
                return Err(Cut::interrupted());
            }
            let now = self.now();
            if let Some(found) = self.read(PointKind::Power) {
                if found.abs() > most {
                    return Err(self.runs_away(set_point, step, found));
                }
                let done = (found - from) / step;
                if done >= RESPONDED {
                    let took = self.now().since(began);
                    if took > wait {
                        self.note_slow(took, wait);
                    }
                    return Ok(Some(took));
                }
                last = Some(done);
                let is_half = now >= self.sent + Span::from_nanos(wait.as_nanos() / 2);
                middle = middle.or(is_half.then_some(done));
            }
            if now >= self.sent + wait {
                let moves = middle.zip(last).is_some_and(|(then, now)| now > 0.0 && now - then >= MOVES);
                if !moves {
                    return Ok(None);
                }
                if now.since(began) >= SLOW_MAX {
                    self.note_slow(now.since(began), wait);
                    return Err(Cut::Withheld("it follows too slowly to be tried further".to_owned()));
                }
                self.write(set_point)?;
                middle = None;
            }
            self.pause(EVERY);
        }
    }

    /// Notes what goes far beyond its set-point, unless that is somebody else's.
    fn runs_away(&mut self, asked: f64, stepped: f64, found: f64) -> Cut {
        self.pause(SETTLES);
        let (measured, meter) = (self.read(PointKind::Power).or(Some(found)), self.meter());
        let set_point = self.read(PointKind::SetPoint).map(|found| (found, None));
        let moved = meter.zip(self.meter_before).map(|(now, before)| now - before);
        let moved_itself = measured.zip(self.power_before).map(|(now, before)| now - before);
        let mut outcome = Outcome { asked, stepped, measured, moved_itself, read_back: set_point, moved };
        if let Some(found) = outcome.of_somebody_else().filter(|_| self.reads_back) {
            return Cut::TakenOver(found);
        }
        outcome.read_back = None;
        if asked == 0.0 {
            let measured = format!("{} measured at a set-point of 0 W", power(found));
            let note = self.trial.target.note(&["link", "writes"], Severity::Error, measured);
            self.notes.push(note.expected("about 0 W").likely("it goes far beyond any set-point".to_owned()));
            return Cut::Noted;
        }
        let was =
            format!("it was at {} for a moment, far beyond a set-point of {}", power(found), power(asked));
        self.judge(outcome).err().unwrap_or(Cut::Withheld(was))
    }

    /// Notes that a response takes long, once.
    fn note_slow(&mut self, took: Span, wait: Span) {
        if self.is_slow {
            return;
        }
        self.is_slow = true;
        let found = format!("power that moves to a set-point slowly, for {}", duration_of(took));
        let note = self.trial.target.note(&["link", "writes"], Severity::Warning, found);
        let likely = "it starts from standby, or has a ramp of its own".to_owned();
        self.notes.push(note.expected(format!("an end within {}", duration_of(wait))).likely(likely));
    }
}
