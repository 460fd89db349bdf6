//! What is to be durable, on its way to the disk; and what a member cannot do while that fails.

use super::RedundancySupervisor;
use crate::machine::{Effect, Effects};
use crate::time::LocalTime;

impl RedundancySupervisor {
    /// Writes what is to be durable, unless something is on its way.
    pub(super) fn save(&mut self, out: &mut Effects) {
        if self.saving.is_none() && self.wanted != self.kept {
            self.saving = Some(self.wanted);
            out.push(Effect::Promise(self.wanted));
        }
    }

    /// What was on its way to the disk is durable, or is not.
    pub fn saved(&mut self, now: LocalTime, succeeded: bool, out: &mut Effects) {
        let Some(saving) = self.saving.take() else { return };
        self.lapse(now, out);
        self.saves_fail = !succeeded;
        if succeeded {
            self.kept = saving;
            self.has_saved = true;
            self.grantor.raised(saving.ceiling);
            self.finish_handing(now, out);
            self.save(out);
            self.answer_call(now, out);
        } else {
            self.grantor.not_raised();
            // The next evaluation tries again: a disk that fails is not asked without a pause.
        }
    }

    /// Whether it could take over at once: it is ready, and its next epoch is promised, or can be. Others need not let one go
    /// first that cannot ask for anything.
    pub(super) fn is_able(&self) -> bool {
        self.health.is_ready && (!self.saves_fail || self.next_epoch() <= self.kept.ceiling)
    }
}
