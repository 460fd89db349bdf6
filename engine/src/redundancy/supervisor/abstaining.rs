//! A voter whose promises may be lost: it grants nothing before it knows what it may have granted.
//!
//! Everybody to whom it granted an epoch knows that epoch, and tells it with each heartbeat. So it waits until every other voter
//! has been heard, and no earlier than W after its boot: a message that was sent before its last grant has arrived by then. An
//! operator who says that all others are off gives the floor too.

use super::RedundancySupervisor;
use crate::redundancy::epoch::Seat;
use crate::redundancy::promise::Promise;
use crate::time::LocalTime;

impl RedundancySupervisor {
    /// Grants nothing until every other voter has been heard; call it right after the boot.
    pub fn abstain(&mut self) {
        let council = &self.spec.council;
        let others = council.others().filter(|seat| council.votes(*seat));
        self.unheard = others.fold(0, |bits, seat| bits | seat.bit());
        if self.unheard != 0 && council.votes(council.me()) {
            self.grantor.abstain();
        }
    }

    /// Another member was heard, and its epoch noted.
    pub(super) fn hear_floor(&mut self, now: LocalTime, from: Seat) {
        if self.unheard == 0 || now < self.booted_at + self.spec.settings.grantor_wait() {
            return;
        }
        self.unheard &= !from.bit();
        if self.unheard == 0 {
            self.vote_again(now);
        }
    }

    /// Everything that it may have granted is known.
    pub(super) fn vote_again(&mut self, now: LocalTime) {
        self.unheard = 0;
        // A later life must not grant what an earlier one may have: by then the others may have lost what they know.
        self.wanted =
            Promise { abstains: false, ceiling: self.wanted.ceiling.max(self.highest), ..self.wanted };
        self.grantor.vote_again(now, self.highest);
    }
}
