//! Whether a function hears the signal that it follows.

use serde::{Deserialize, Serialize};

use super::member::Trust;
use crate::time::LocalTime;
use crate::units::Ratio;

/// What a function has heard.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Hearing {
    /// Since boot; what was never there is not lost.
    has_heard: bool,
    trust: Trust,
    is_deaf: bool,
}

impl Hearing {
    /// What of a signal counts: nothing while it is lost, and until it has been good again for a while.
    pub(super) fn judge(&mut self, now: LocalTime, share: Option<Ratio>) -> Option<Ratio> {
        self.has_heard |= share.is_some();
        let counts = self.has_heard && self.trust.judge(now, share.is_some()).counts();
        self.is_deaf = !counts;
        share.filter(|_share| counts)
    }

    /// Whether nothing counted last.
    pub(super) const fn is_deaf(&self) -> bool {
        self.is_deaf
    }
}
