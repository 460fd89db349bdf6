//! One device's set-point: why it is written, when that must not wait, and what became of it.
//!
//! - **Urgent**, whatever its day has left: the device has acknowledged none under this authority; half of the reversion has
//!   passed since the one that it holds was written, whatever failed since; rest is wanted, and is not what it acknowledged
//!   last.
//! - **Restoring**, beyond its day's room once in half of the reversion: its connection is another than before; it acknowledged,
//!   and reads back something else.
//! - **Wished**, as far as its day has room: the set-point has moved beyond the dead band; the last write failed.
//!
//! A breaker that was told to close, and has acknowledged it, is told so no more: it stays as it is until something else is
//! wanted, and what has opened it since is not overruled.
//!
//! **What a refusal costs.** A write that fails is tried again after 1 s, then twice as long each time up to [`RETRY_LONGEST`].
//! Where the day is counted, that is up to an eighth ([`RETRY_PART`]) of half of the reversion, if that is longer, when the
//! device refuses or its room is used up. So one that refuses for a whole day, with a reversion of ten minutes, is written once
//! in 37.5 s: 2,304 times a day, and six times more whenever it begins to; with a reversion of up to 256 s, once in 16 s, 5,400
//! times. One that is silent now and then is tried again when it answers, and once in 16 s at most when its room is used up.
//!
//! **A set-point that is not held.** A device may acknowledge a set-point and hold another, because somebody has switched it to
//! another mode at its panel, or because it clamps. That is seen where its set-point is read, [`SETTLES_WITHIN`] it was
//! acknowledged or later, and has failed: the same set-point is written again after the pause of a failure, which counts
//! from the write, so that a device that
//! takes a while to change its mode gets there; another set-point need not wait where no day is counted, and rest never waits for
//! more than [`RETRY_FIRST`]. Writes succeed again when it reads back right. That another decides, as its mode says, is seen
//! however often the set-point moves; a value that differs is seen of a set-point that stands that long.

use serde::{Deserialize, Serialize};

use super::doubt::Doubt;
use super::written::SetPoint;
use super::{LastWrite, WriteState};
use crate::controller::budget::{Renewal, WriteBudget};
use crate::event::Event;
use crate::fieldbus::bus::Leaving;
use crate::ids::DeviceIndex;
use crate::machine::{Effects, WriteOutcome};
use crate::mistakes::{Mistake, makes};
use crate::points::DeviceSpec;
use crate::redundancy::{Epoch, Settings};
use crate::time::{LocalTime, Span};
use crate::timing::RateLimiter;
use crate::units::{Vars, Watts};

/// The pause after the first write that failed; it doubles with each further one.
pub const RETRY_FIRST: Span = Span::from_secs(1);
/// The longest pause between writes that fail.
pub const RETRY_LONGEST: Span = Span::from_secs(16);
/// Where the day is counted, the longest pause is this part of the time after which a set-point is repeated, if that is longer:
/// a device that takes it again hears its set-point in time still.
pub const RETRY_PART: u64 = 8;
/// A device may take so long to show what it has acknowledged.
pub const SETTLES_WITHIN: Span = Span::from_secs(1);

/// One device's set-point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    pub(super) device: DeviceIndex,
    pub(super) factor: f64,
    pub(super) dead_band: Watts,
    /// So far apart what was written and what is read back may be, since registers round both.
    pub(super) rounds: Watts,
    pub(super) rounds_reactive: Vars,
    pub(super) reversion: Span,
    /// Whether it stays as it was switched.
    stays: bool,
    /// How long a write of another may still be on its way to the device; zero where it checks epochs.
    pub(super) longest_write: Span,
    /// What it is told when its controller ends and nobody goes on; `None`: nothing.
    pub(super) at_stop: Option<Watts>,
    pub(super) limiter: RateLimiter,
    pub(super) budget: Option<WriteBudget>,
    /// Whether its bus tells what leaves; else what is written has left.
    is_on_bus: bool,
    pub(super) doubt: Doubt,
    /// The pause before the next try while writes fail; zero while they do not.
    pub(super) pause: Span,
    pub(super) retry_at: LocalTime,
    /// Whether the device itself says that it does not do what was written last: that it answers, or that it is another
    /// connection, changes nothing about that.
    pub(super) refuses: bool,
    /// Whether it has held something else than it acknowledged, and not what it acknowledged since.
    pub(super) is_unheld: bool,
    /// Since when its mode has said that another decides, of a device that has acknowledged a set-point.
    pub(super) overruled_since: Option<LocalTime>,
    /// It may do something else than it was told, until it acknowledges a set-point; `true`: beyond its day's room.
    restores: Option<bool>,
    /// The device refused the last write because it has accepted this epoch: a higher one is worth another try at once.
    outdated_by: Option<Epoch>,
    /// Writes in a row that were too old when they could be performed, and when the first of them was written.
    pub(super) late: u8,
    pub(super) late_since: LocalTime,
    /// Whether the last poll of the device was not answered.
    pub(super) is_silent: bool,
    /// The last write under the present authority.
    pub(super) last: Option<LastWrite>,
    /// When the last one was written that the device has acknowledged, under the present authority.
    pub(super) held_since: Option<LocalTime>,
    /// The last write under an authority that is over, until something is written again. It decides nothing: it is for those who
    /// ask what may still be on its way.
    pub(super) past: Option<LastWrite>,
    /// So many writes have not been answered yet.
    pub(super) unanswered: u16,
    /// Whether the answer to a write that may still be on its way did not come in time.
    pub(super) is_uncertain: bool,
    /// When nothing that was written can be applied any more.
    pub(super) ends_at: LocalTime,
}

/// Whether something is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing is.
    Nothing,
    /// It would be better, and may wait.
    Wished,
    /// The device may do something else than it was told.
    Restoring,
    /// It must not wait.
    Urgent,
}

/// The longest pause between writes to a device that fail.
pub fn longest_pause(spec: &DeviceSpec) -> Span {
    if spec.writes_per_day.is_some() { spared(spec.reversion) } else { RETRY_LONGEST }
}

/// The longest pause between writes that fail to a device whose day is counted.
fn spared(reversion: Span) -> Span {
    RETRY_LONGEST.max(Span::from_nanos(half(reversion).as_nanos() / RETRY_PART))
}

/// When a set-point is repeated that ends after so long.
const fn half(reversion: Span) -> Span {
    Span::from_nanos(reversion.as_nanos() / 2)
}

impl Channel {
    /// The channel of a device to which nothing was written. `step`: in what steps it takes set-points, in W, where it is behind
    /// the controller's bus.
    pub(super) fn new(device: DeviceIndex, spec: &DeviceSpec, step: Option<f64>) -> Self {
        Self {
            device,
            factor: spec.positive.factor(),
            dead_band: spec.dead_band,
            rounds: Watts::of(step.unwrap_or(0.0)),
            rounds_reactive: Vars::ZERO,
            reversion: spec.reversion,
            stays: spec.class.stays(),
            longest_write: if spec.checks_epochs { Span::ZERO } else { spec.longest_write },
            at_stop: spec.at_stop,
            limiter: RateLimiter::new(spec.write_interval),
            budget: spec.writes_per_day.map(|per_day| WriteBudget::new(per_day, half(spec.reversion))),
            is_on_bus: step.is_some(),
            doubt: Doubt::default(),
            pause: Span::ZERO,
            retry_at: LocalTime::ZERO,
            refuses: false,
            is_unheld: false,
            overruled_since: None,
            restores: None,
            outdated_by: None,
            late: 0,
            late_since: LocalTime::ZERO,
            is_silent: false,
            last: None,
            held_since: None,
            past: None,
            unanswered: 0,
            is_uncertain: false,
            ends_at: LocalTime::ZERO,
        }
    }

    /// The same with a device that takes reactive set-points in such steps, in var.
    pub(super) fn rounding_reactive(self, step: f64) -> Self {
        Self { rounds_reactive: Vars::of(step), ..self }
    }

    /// The device has said in what steps it takes set-points, in W and in var.
    pub(super) fn takes_steps(&mut self, (active, reactive): (f64, f64)) {
        (self.rounds, self.rounds_reactive) = (Watts::of(active), Vars::of(reactive));
    }

    /// Forgets all of an earlier life, whose clock was another, but for what its day has left.
    pub(super) fn forget(&mut self) {
        self.forget_decisions();
        self.limiter.forget();
        self.budget.iter_mut().for_each(WriteBudget::forget);
        self.doubt = Doubt::default();
        self.is_silent = false;
        self.past = None;
        (self.unanswered, self.is_uncertain) = (0, false);
        self.ends_at = LocalTime::ZERO;
    }

    /// Forgets what was decided under an authority that is over.
    pub(super) fn forget_decisions(&mut self) {
        self.past = self.last.take().or(self.past);
        self.held_since = None;
        self.late = 0;
        self.doubt.end();
        (self.refuses, self.is_unheld, self.restores) = (false, false, None);
        self.overruled_since = None;
        self.pause = Span::ZERO;
        self.retry_at = LocalTime::ZERO;
        self.budget.iter_mut().for_each(WriteBudget::tell_anew);
    }

    /// Nothing is told to the device any more, nor asked of what it holds, until it comes back: then it is written anew. Whether
    /// writes fail shows then; meanwhile what was told of it stands.
    pub(super) fn let_be(&mut self) {
        if self.last.is_some() || self.retry_at != LocalTime::ZERO {
            let pause = self.pause;
            self.forget_decisions();
            self.pause = pause;
        }
    }

    /// Whose set-point this is.
    pub const fn device(&self) -> DeviceIndex {
        self.device
    }

    /// The last write under the present authority.
    pub const fn last(&self) -> Option<&LastWrite> {
        self.last.as_ref()
    }

    /// The last write under an authority that is over; nothing once something is written again.
    pub const fn past(&self) -> Option<&LastWrite> {
        self.past.as_ref()
    }

    /// Whether its set-point cannot be written, or is another's to decide; that it clamps or rounds one is no such thing.
    pub(super) fn fails(&self) -> bool {
        let is_failed = self.last.is_some_and(|last| last.state == WriteState::Failed);
        !self.pause.is_zero() && (is_failed || !self.is_unheld || self.overruled_since.is_some())
    }

    /// When the device falls back unless it is written again; `None` where it has acknowledged nothing that it holds.
    pub fn reverts_at(&self) -> Option<LocalTime> {
        let last = self.last.filter(|_last| !self.stays)?;
        let since = match last.state {
            WriteState::Pending | WriteState::Acknowledged { .. } => Some(last.at),
            // What was refused or lost ends nothing and renews nothing.
            WriteState::Failed => self.held_since,
            WriteState::NotHeld { .. } => None,
        };
        since.map(|at| at + self.reversion)
    }

    /// How long the device holds its set-point at least though nothing is written: it is repeated after half of the reversion.
    pub(super) const fn held_for(&self) -> Span {
        half(self.reversion)
    }

    /// How long the first write under a new authority waits for those of the one before it.
    pub(super) fn first_wait(&self, settings: &Settings) -> Span {
        if makes(Mistake::NoWaitForWrites) { Span::ZERO } else { settings.write_wait(self.longest_write) }
    }

    /// Whether the last write said that, as far as is known.
    pub(super) fn was_told(&self, set_point: SetPoint) -> bool {
        let is_told = |state| matches!(state, WriteState::Pending | WriteState::Acknowledged { .. });
        self.last.is_some_and(|last| last.set_point() == set_point && is_told(last.state))
    }

    /// When a write of now cannot be applied any more: it may wait for its driver's check as long as it is valid, and D counts
    /// from there. A device that checks epochs applies none that could do harm.
    pub(super) fn ends_at(&self, now: LocalTime, valid_until: LocalTime, settings: &Settings) -> LocalTime {
        if self.longest_write.is_zero() { now } else { valid_until + settings.write_wait(self.longest_write) }
    }

    pub(super) fn note_write(&mut self, write: LastWrite, need: Need, ends_at: LocalTime) {
        self.last = Some(write);
        self.past = None;
        self.doubt.write(write.at, half(self.reversion));
        if need == Need::Restoring {
            self.restores = Some(self.budget.as_ref().is_some_and(|budget| !budget.has_room()));
        }
        if let Some(budget) = self.budget.as_mut().filter(|_| !self.is_on_bus) {
            budget.count();
        }
        self.outdated_by = None;
        self.unanswered = self.unanswered.saturating_add(1);
        self.is_uncertain &= write.at < self.ends_at;
        self.ends_at = ends_at;
    }

    /// Whether a write may be tried after one that failed.
    pub(super) fn may_try(&self, now: LocalTime, epoch: Epoch, wanted: SetPoint) -> bool {
        let is_another = |last: LastWrite| {
            let is_answered =
                matches!(last.state, WriteState::NotHeld { .. } | WriteState::Acknowledged { .. });
            is_answered && self.budget.is_none() && self.is_moved(last.set_point(), wanted)
        };
        let is_rest =
            |last: LastWrite| wanted.comes_to_rest_from(last.set_point()) && now >= last.at + RETRY_FIRST;
        now >= self.retry_at
            || self.outdated_by.is_some_and(|accepted| epoch > accepted)
            || self.last.is_some_and(|last| is_another(last) || is_rest(last))
    }

    /// Whether this is another set-point. Rest is: a dead band, which counts for both powers, must not leave a device running a
    /// little for ever.
    fn is_moved(&self, from: SetPoint, to: SetPoint) -> bool {
        let moved = (to.power - from.power).abs();
        let moved_reactive = (to.reactive - from.reactive).abs().vars();
        moved > self.dead_band
            || to.power == Watts::ZERO && from.power != Watts::ZERO
            || moved_reactive > self.dead_band.watts()
            || to.reactive == Vars::ZERO && from.reactive != Vars::ZERO
    }

    /// Why something is to be written.
    pub(super) fn need(&self, now: LocalTime, wanted: SetPoint) -> Need {
        let Some(last) = &self.last else { return Need::Urgent };
        let is_moved = self.is_moved(last.set_point(), wanted);
        let comes_to_rest = wanted.comes_to_rest_from(last.set_point());
        let repeated_after = half(self.reversion);
        if last.state == WriteState::Pending && now.since(last.at) < repeated_after {
            // Whatever else is needed shows when it has ended.
            return match is_moved {
                true if comes_to_rest => Need::Urgent,
                true => Need::Wished,
                false => Need::Nothing,
            };
        }
        let is_acknowledged = matches!(last.state, WriteState::Acknowledged { .. });
        let shows_another = matches!(last.state, WriteState::NotHeld { .. });
        if self.stays && wanted.power != Watts::ZERO && (is_acknowledged || shows_another) {
            return if is_moved { Need::Wished } else { Need::Nothing };
        }
        let is_lost = shows_another || self.restores.is_some() || self.doubt.is_due(now);
        let is_rest = wanted == SetPoint::active(Watts::ZERO) && last.set_point() == wanted;
        let ends = self.held_since.is_none_or(|at| now.since(at) >= repeated_after);
        if ends || comes_to_rest || is_rest && (!is_acknowledged || is_lost) {
            Need::Urgent
        } else if is_lost {
            Need::Restoring
        } else if is_moved || !is_acknowledged {
            Need::Wished
        } else {
            Need::Nothing
        }
    }

    /// Whether the day still has room for what is needed; who must not wait has.
    pub(super) fn may_write(&mut self, now: LocalTime, need: Need, out: &mut Effects) -> bool {
        let device = self.device;
        let Some(budget) = &mut self.budget else { return need != Need::Nothing };
        match budget.pass(now) {
            Renewal::Renewed => out.report(Event::WriteBudgetRenewed { device }),
            Renewal::None => {}
        }
        let has_room = match need {
            Need::Nothing => return false,
            Need::Wished => budget.has_room(),
            Need::Restoring => budget.has_room() || budget.may_restore(now),
            Need::Urgent => true,
        };
        if !has_room && let Some((per_day, renewed_in)) = budget.deny() {
            out.report(Event::WriteBudgetUsedUp { device, per_day, renewed_in });
        }
        has_room
    }

    /// A request of a set-point leaves, or waits in its connection, as its bus tells.
    pub(super) fn leaves(&mut self, valid_until: LocalTime, how: Leaving, settings: &Settings) {
        if how == Leaving::Begins {
            // It leaves on the connection that there is now.
            self.doubt.end();
        }
        if let Some(budget) = self.budget.as_mut().filter(|_| how.wears()) {
            budget.count();
        }
        if !self.longest_write.is_zero() {
            self.ends_at = self.ends_at.max(valid_until + settings.write_wait(self.longest_write));
        }
    }

    /// A request of a set-point that was to leave has not, as its driver says.
    pub(super) fn not_sent(&mut self, how: Leaving) {
        if let Some(budget) = self.budget.as_mut().filter(|_| how.wears()) {
            budget.take_back();
        }
    }

    /// The device may have lost its set-point.
    pub(super) fn begin_doubt(&mut self, now: LocalTime) {
        self.doubt.begin();
        if self.doubt.is_due(now) {
            self.hurry(now);
        }
    }

    /// What failed is worth another try at once, unless the device itself refused it.
    pub(super) fn hurry(&mut self, now: LocalTime) {
        let is_spared = self.budget.as_ref().is_some_and(|budget| !budget.has_room());
        let soonest = match self.last {
            Some(last) if is_spared => now.max(last.at + RETRY_LONGEST),
            Some(_) | None => now,
        };
        if !self.refuses {
            self.retry_at = self.retry_at.min(soonest);
        }
    }

    /// Takes how the last write ended, which was not well. It fails once, however many decisions are answered by that.
    pub(super) fn fail(
        &mut self,
        (at, before): (LocalTime, WriteState),
        outcome: WriteOutcome,
        out: &mut Effects,
    ) {
        let begins = self.pause.is_zero();
        if begins {
            out.report(Event::WriteFailed { device: self.device, outcome });
        }
        if begins || before != WriteState::Failed {
            self.pause = (self.pause + self.pause).max(RETRY_FIRST).min(self.longest_pause());
        }
        self.retry_at = at + self.pause;
    }

    /// The longest pause between writes that fail.
    fn longest_pause(&self) -> Span {
        match &self.budget {
            Some(budget) if self.refuses || !budget.has_room() => spared(self.reversion),
            Some(_) | None => RETRY_LONGEST,
        }
    }

    pub(super) fn succeed(&mut self, out: &mut Effects) {
        if !self.pause.is_zero() {
            (self.pause, self.retry_at) = (Span::ZERO, LocalTime::ZERO);
            out.report(Event::WritesSucceed { device: self.device });
        }
    }

    /// Notes what became of a write.
    pub(super) fn written(&mut self, now: LocalTime, outcome: WriteOutcome, out: &mut Effects) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.is_uncertain |= outcome == WriteOutcome::TimedOut;
        if outcome == WriteOutcome::Expired && !self.is_on_bus {
            // It was counted when it was decided.
            self.not_sent(Leaving::Begins);
        }
        let is_last = self.unanswered == 0;
        let Some(last) = &mut self.last else {
            if let Some(past) = self.past.as_mut().filter(|past| is_last && past.state == WriteState::Pending)
            {
                past.state = WriteState::after(outcome, now);
            }
            return;
        };
        if self.late == 0 {
            self.late_since = last.at;
        }
        self.late = if outcome == WriteOutcome::Expired { self.late.saturating_add(1) } else { 0 };
        // An answer to an older write tells nothing of a newer one, and does not turn its failure into a success.
        if outcome == WriteOutcome::Acknowledged && (last.state != WriteState::Pending || !is_last) {
            return;
        }
        let before = core::mem::replace(&mut last.state, WriteState::after(outcome, now));
        let (at, epoch) = (last.at, last.epoch);
        match outcome {
            WriteOutcome::Acknowledged => {
                (self.held_since, self.refuses) = (Some(at), false);
                let is_beyond = self.restores.take() == Some(true);
                if let Some(budget) = self.budget.as_mut().filter(|_| is_beyond) {
                    budget.restore(at);
                }
                // What it acknowledges and does not hold has not succeeded yet.
                if !self.is_unheld {
                    self.succeed(out);
                }
            }
            WriteOutcome::Expired => {}
            WriteOutcome::Outdated { accepted } => {
                self.outdated_by = Some(Epoch::of_number(accepted)).filter(|accepted| *accepted > epoch);
                self.refuses = true;
                self.fail((at, before), outcome, out);
            }
            WriteOutcome::Refused | WriteOutcome::NotHeld => {
                (self.outdated_by, self.refuses) = (None, true);
                self.fail((at, before), outcome, out);
            }
            WriteOutcome::TimedOut | WriteOutcome::Incomplete => {
                (self.outdated_by, self.refuses) = (None, false);
                self.fail((at, before), outcome, out);
            }
        }
    }
}
