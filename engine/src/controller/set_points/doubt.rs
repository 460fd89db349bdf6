//! Whether a device may have lost its set-point, which a new connection to it says.
//!
//! It may have restarted meanwhile. But connections also end without that, some with every poll: what is written because of them
//! comes after pauses that double, up to half of the reversion, when the set-point is repeated in any case. They begin anew once
//! connections have lasted for so long.

use serde::{Deserialize, Serialize};

use super::channel::RETRY_FIRST;
use crate::time::{LocalTime, Span};

/// Whether a device may have lost its set-point since it was written, and when that is reason to write it again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Doubt {
    is_there: bool,
    pause: Span,
    /// Not before.
    due_at: LocalTime,
}

impl Doubt {
    /// It may have lost it.
    pub(super) const fn begin(&mut self) {
        self.is_there = true;
    }

    /// Whether that is reason enough to write it again.
    pub(super) fn is_due(&self, now: LocalTime) -> bool {
        self.is_there && now >= self.due_at
    }

    /// It leaves on the connection that there is now.
    pub(super) const fn end(&mut self) {
        self.is_there = false;
    }

    /// It is written, and is repeated in any case after so long.
    pub(super) fn write(&mut self, now: LocalTime, repeated_after: Span) {
        if core::mem::take(&mut self.is_there) {
            let is_calm = now.since(self.due_at) >= repeated_after;
            let pause = if is_calm { Span::ZERO } else { self.pause };
            self.pause = (pause + pause).max(RETRY_FIRST).min(repeated_after);
            self.due_at = now + self.pause;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Span = Span::from_secs(30);

    fn at(seconds: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_secs(seconds)
    }

    /// When it is written within some minutes in which the connection is another one each second.
    fn written(doubt: &mut Doubt, seconds: core::ops::Range<u64>) -> alloc::vec::Vec<u64> {
        let is_written = |second: &u64| {
            doubt.begin();
            let is_due = doubt.is_due(at(*second));
            if is_due {
                doubt.write(at(*second), HALF);
            }
            is_due
        };
        seconds.filter(is_written).collect()
    }

    #[test]
    fn where_connections_come_and_go_pauses_double_up_to_the_repetition_and_begin_anew_when_they_last() {
        let mut doubt = Doubt::default();
        assert_eq!(written(&mut doubt, 100..220), [100, 101, 103, 107, 115, 131, 161, 191]);
        // The last pause ended at 221.
        assert_eq!(written(&mut doubt, 250..252), [250], "not for long enough");
        let mut doubt = Doubt::default();
        assert_eq!(written(&mut doubt, 100..220).len(), 8);
        assert_eq!(written(&mut doubt, 251..255), [251, 252, 254]);
    }
}
