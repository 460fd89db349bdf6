//! What a device holds beside what it was told.

use super::channel::{Channel, SETTLES_WITHIN};
use super::written::WriteState;
use crate::machine::{Effects, WriteOutcome};
use crate::points::{Image, PointKind, Quality};
use crate::units::{Vars, Watts};

impl Channel {
    /// Compares what the device holds, asked after it had acknowledged, with what was written.
    pub(super) fn read_back(&mut self, image: &Image, out: &mut Effects) {
        let Some(last) = &mut self.last else { return };
        let (WriteState::Acknowledged { at } | WriteState::NotHeld { at }) = last.state else { return };
        let Some(point) = image.point(self.device, PointKind::SetPoint) else { return };
        if point.measured <= at {
            return;
        }
        let reactive = image.point(self.device, PointKind::ReactiveSetPoint);
        let reactive = reactive.filter(|point| point.quality == Quality::Good && point.measured > at);
        let is_in_force = point.is_in_force && reactive.is_none_or(|point| point.is_in_force);
        self.overruled_since =
            if is_in_force { None } else { Some(self.overruled_since.unwrap_or(at).min(at)) };
        let reactive_gap = reactive.map_or(Vars::ZERO, |point| (Vars::of(point.value) - last.reactive).abs());
        let (gap, most) = ((Watts::of(point.value) - last.power).abs(), self.dead_band + self.rounds);
        let reactive_most = Vars::of(self.dead_band.watts()) + self.rounds_reactive;
        let is_near = gap <= most && reactive_gap <= reactive_most;
        let is_held = is_in_force && is_near;
        if is_held {
            last.state = WriteState::Acknowledged { at };
            if core::mem::take(&mut self.is_unheld) {
                self.refuses = false;
                self.succeed(out);
            }
        } else if matches!(last.state, WriteState::Acknowledged { .. })
            && point.measured >= self.overruled_since.unwrap_or(at) + SETTLES_WITHIN
        {
            last.state = WriteState::NotHeld { at };
            let last = (last.at, WriteState::Acknowledged { at });
            (self.is_unheld, self.refuses) = (true, true);
            self.fail(last, WriteOutcome::NotHeld, out);
        }
    }
}
