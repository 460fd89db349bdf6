//! Leaves a device at rest: it is asked for until the device follows, also where it is not there for a while.

use r_ems_engine::Span;
use r_ems_engine::points::PointKind;
use r_ems_scenarios::Severity;

use super::{Course, EVERY, RESPONSE_MAX, SETTLES, SHARE_MIN};
use crate::probe::look::duration_of;

/// Rest is asked for so long, while the device is not there or does not follow.
pub(super) const REST_WITHIN: Span = Span::from_mins(1);
/// And so often where the device rests, and answers that it takes no set-point.
const REST_TRIES: usize = 5;
/// Who is not there is asked again after so long.
const REST_AGAIN: Span = Span::from_secs(1);

impl Course<'_, '_, '_> {
    /// Leaves the device at rest.
    pub(super) fn rest(&mut self) {
        if !self.is_stirred {
            return;
        }
        let least = self.least();
        let (ends, mut refusals) = (self.now() + REST_WITHIN, 0);
        let rests = loop {
            let undone = self.request(0.0).err().map(|(_place, undone)| undone);
            let is_taken = undone.is_none();
            let is_refused = undone.is_some_and(|undone| undone.is_answer());
            refusals += usize::from(is_refused);
            let rests = match (is_taken, is_refused) {
                (true, _) => self.comes_to_rest(least),
                (false, true) => {
                    self.pause(SETTLES);
                    self.is_at_rest(least)
                }
                (false, false) => {
                    self.pause(REST_AGAIN);
                    self.is_at_rest(least)
                }
            };
            if (rests && (is_taken || refusals >= REST_TRIES)) || self.now() >= ends {
                break rests;
            }
            // Whatever the connection was, another may be better.
            self.trial.sessions.known(self.trial.target).renew();
        };
        (self.is_stirred, self.written.rests) = (false, rests);
        // One that takes no set-point, and has taken none, rests too.
        if rests {
            return;
        }
        let found = format!("no rest within {} of set-points of 0 W", duration_of(REST_WITHIN));
        let note = self.trial.target.note(&["link", "writes"], Severity::Error, found);
        self.notes.push(note.expected("0 W").likely("look after the device now".to_owned()));
    }

    /// Whether the device comes to rest in the time of a response.
    fn comes_to_rest(&mut self, least: f64) -> bool {
        let until = self.now() + RESPONSE_MAX;
        loop {
            if self.is_at_rest(least) {
                return true;
            }
            if self.now() >= until {
                return false;
            }
            self.pause(EVERY);
        }
    }

    /// Whoever does less is at rest, W.
    pub(super) fn least(&self) -> f64 {
        self.trial.target.spec.rating.watts() * SHARE_MIN
    }

    fn is_at_rest(&mut self, least: f64) -> bool {
        self.read(PointKind::Power).is_some_and(|found| found.abs() <= least)
    }
}

impl Drop for Course<'_, '_, '_> {
    /// Whatever ends it, a failed assertion too, leaves the device at rest.
    fn drop(&mut self) {
        self.rest();
    }
}
