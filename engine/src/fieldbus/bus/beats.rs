//! Heartbeats: what a device expects to hear from whoever cares for its set-point, and falls back without.
//!
//! They come from the progress of scans and from nothing else: no timer of the bus sends one, so that a controller whose scan
//! stands still stops to beat. One is due when the next scan would be too late for it. Of each device at most one is under way.
//!
//! **Who is cared for.** A heartbeat keeps in force whatever set-point a device holds. So only those hear one of whose set-point
//! their controller knows what it should be, and which take it: one whose set-point has not been written for as long as it waits
//! for heartbeats hears none any more, and falls back. Many take no set-point from whom they do not hear: once it has had
//! [`RESTED`] time-outs to fall back, the next try goes with heartbeats again. For the same reason a device hears them as soon as
//! its controller may write, and before its first set-point.
//!
//! **Each is another number,** so the next one follows only when the device has acknowledged the last: what failed comes again
//! as it was, and is new to the device once, whether it is the first copy that arrives or the last. What it may hold already says
//! nothing to it: what was tried before, and the first number of an authority, since others have counted meanwhile. After such a
//! one the next is due at once. Of two different numbers one is new, whatever the device holds.
//!
//! **Decision: two numbers at the beginning, not one that follows what is read back.** They need no request of another kind, and
//! many devices show nothing where a heartbeat is written, or something else.
//!
//! **Decision: heartbeats go first on their connection**, before set-points and what is tried again of other units. They are few
//! and short, and one that is late makes a device fall back that is well, while a set-point that waits for an exchange more is a
//! little older. Behind a gateway each dead unit takes a time-out whenever it is tried; were they tried first, the devices that
//! are alive would fall back with them. What may be in front of one is known before anything runs: the exchange under way, and a
//! heartbeat of each other device there; a site file that leaves no time for it is refused.
//!
//! **Failures** are told once the device has acknowledged none for two thirds of its time-out, while it can still be helped, and
//! whatever the reason. They belong to one authority: the next one tells them anew.

use serde::{Deserialize, Serialize};

use super::counter::outcome;
use super::{Bus, INSTANT, Told, What};
use crate::fieldbus::master::Fault;
use crate::fieldbus::pdu::Answer;
use crate::fieldbus::write::Heartbeat;
use crate::ids::DeviceIndex;
use crate::machine::{Effects, SetPointWrite, WriteKind, WriteOutcome};
use crate::time::LocalTime;

/// After so many time-outs a device of which nobody cared has fallen back for sure: one for the set-points that may fail, one in
/// which the last heartbeat may still be on its way, one in which the device waits.
const RESTED: u64 = 3;

/// How a controller cares for the set-point of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Not at all: it controls the device not, or does not know it yet.
    None,
    /// It is written when it must be.
    Written,
    /// It cannot be written; this is when it was tried last.
    Fails {
        /// When.
        tried: LocalTime,
    },
}

/// The heartbeats of one device.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Beats {
    /// So many the device has acknowledged: the number of the next one.
    count: u64,
    /// Under which epoch the last one was asked for.
    epoch: Option<u64>,
    /// Whether the device may hold the next number already.
    may_be_held: bool,
    /// The next one reaches the device in time if it is asked for then.
    rests_until: LocalTime,
    under_way: Option<Beat>,
    /// Since when set-points have failed.
    fails_since: Option<LocalTime>,
    /// When the last one was asked for that the device has acknowledged, or the first of all.
    unheard_since: Option<LocalTime>,
    /// How the last one ended that it has not.
    failure: WriteOutcome,
    do_fail: bool,
}

/// One that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Beat {
    write: SetPointWrite,
    asked: LocalTime,
}

impl Default for Beats {
    fn default() -> Self {
        Self {
            count: 0,
            epoch: None,
            may_be_held: false,
            rests_until: LocalTime::ZERO,
            under_way: None,
            fails_since: None,
            unheard_since: None,
            failure: WriteOutcome::TimedOut,
            do_fail: false,
        }
    }
}

impl Bus {
    /// Asks for the heartbeats that are due in this scan, under a lease that is held `until` then.
    pub fn beat(
        &mut self,
        now: LocalTime,
        (epoch, until): (u64, LocalTime),
        next_scan: LocalTime,
        cares: impl Fn(DeviceIndex) -> Care,
        out: &mut Effects,
    ) {
        for place in 0..self.devices.len() {
            let map = &self.spec.devices[place];
            if self.devices[place].finding.is_doubted || !map.is_known() {
                continue;
            }
            let Some(heartbeat) = map.heartbeat() else { continue };
            let (device, beats) = (map.device(), &mut self.devices[place].beats);
            if !beats.are_wanted(now, cares(device), heartbeat) {
                continue;
            }
            if let Some(outcome) = beats.judge(now, heartbeat) {
                self.desk.told.push(Told::Beats { device, outcome });
            }
            if !beats.is_due(epoch, next_scan) {
                continue;
            }
            let valid_until = until.min(now + heartbeat.interval());
            let (kind, value) = (WriteKind::Heartbeat, beats.count as f64);
            beats.begin(now, SetPointWrite { device, kind, value, reactive: 0.0, epoch, valid_until });
            self.ask(now, place, What::Beat, out);
        }
    }

    /// Whether a device has heard a new number under this epoch, as far as is known, or listens for none. What is asked for in
    /// this scan goes before what is written in it.
    pub fn is_heard(&self, device: DeviceIndex, epoch: u64) -> bool {
        let listens = |place: &usize| self.spec.devices[*place].heartbeat_timeout().is_some();
        self.place(device).filter(listens).is_none_or(|place| {
            let beats = &self.devices[place].beats;
            beats.epoch == Some(epoch) && !beats.may_be_held
        })
    }

    /// The authority is over under which heartbeats were sent, or another has begun.
    pub fn forget_beats(&mut self) {
        self.devices.iter_mut().for_each(|attached| attached.beats.forget());
    }
}

impl Beats {
    /// Whether one is under way.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Whether the device is to hear any.
    fn are_wanted(&mut self, now: LocalTime, care: Care, heartbeat: &Heartbeat) -> bool {
        let are_wanted = match care {
            Care::None | Care::Written => {
                self.fails_since = None;
                care == Care::Written
            }
            Care::Fails { tried } => {
                let since = self.fails_since.unwrap_or(now);
                let since = if tried >= since + heartbeat.timeout * RESTED { tried } else { since };
                self.fails_since = Some(since);
                now.since(since) <= heartbeat.timeout
            }
        };
        if !are_wanted {
            // None fails while none is sent.
            self.unheard_since = None;
        }
        are_wanted
    }

    /// Says how they fail, once they have for so long that it is to be told.
    fn judge(&mut self, now: LocalTime, heartbeat: &Heartbeat) -> Option<WriteOutcome> {
        let since = *self.unheard_since.get_or_insert(now);
        let begins = !self.do_fail && now.since(since) >= heartbeat.interval() * Heartbeat::UNHEARD;
        self.do_fail |= begins;
        begins.then_some(self.failure)
    }

    fn is_due(&self, epoch: u64, next_scan: LocalTime) -> bool {
        self.under_way.is_none() && (self.epoch != Some(epoch) || next_scan > self.rests_until)
    }

    fn begin(&mut self, asked: LocalTime, write: SetPointWrite) {
        self.may_be_held |= self.epoch != Some(write.epoch);
        self.epoch = Some(write.epoch);
        self.under_way = Some(Beat { write, asked });
    }

    fn forget(&mut self) {
        (self.fails_since, self.unheard_since, self.do_fail) = (None, None, false);
        self.failure = WriteOutcome::TimedOut;
    }

    /// The lease under `epoch` is extended: what waits to leave may do so until then, but when the next one is due, it is late.
    pub(super) fn extend(&mut self, epoch: u64, until: LocalTime, heartbeat: &Heartbeat) {
        if let Some(Beat { write, asked }) = self.under_way.as_mut().filter(|beat| beat.write.epoch == epoch)
        {
            write.valid_until = write.valid_until.max(until.min(*asked + heartbeat.interval()));
        }
    }

    /// The authority under `epoch` and all before it is given up.
    pub(super) fn end(&mut self, epoch: u64, until: LocalTime) {
        if let Some(Beat { write, .. }) = self.under_way.as_mut().filter(|beat| beat.write.epoch <= epoch) {
            // The instant itself is one of those that are given up.
            write.valid_until = write.valid_until.min(until - INSTANT);
        }
    }

    /// The one that is under way.
    ///
    /// # Panics
    /// If there is none: only a job that is one asks.
    pub(super) fn under_way(&self) -> SetPointWrite {
        self.under_way.expect("a heartbeat is under way while it is asked for").write
    }

    /// The one that is under way has ended; says so where that is the first success after failures that were told.
    pub(super) fn ended(
        &mut self,
        answer: &Result<Answer<'_>, Fault>,
        heartbeat: &Heartbeat,
    ) -> Option<WriteOutcome> {
        let Beat { write, asked } = self.under_way.take()?;
        let ended = outcome(&heartbeat.request, &write, answer);
        match ended {
            WriteOutcome::Acknowledged => {
                self.count += 1;
                let said_something = !core::mem::take(&mut self.may_be_held);
                self.rests_until =
                    if said_something { asked + heartbeat.interval() } else { LocalTime::ZERO };
                self.unheard_since = self.unheard_since.map(|_since| asked);
                return core::mem::take(&mut self.do_fail).then_some(ended);
            }
            // Asking again at once changes nothing.
            WriteOutcome::Refused | WriteOutcome::NotHeld | WriteOutcome::Outdated { .. } => {
                self.rests_until = asked + heartbeat.interval();
            }
            WriteOutcome::TimedOut | WriteOutcome::Expired | WriteOutcome::Incomplete => {
                self.rests_until = LocalTime::ZERO;
                self.may_be_held = true;
            }
        }
        self.failure = ended;
        None
    }
}
