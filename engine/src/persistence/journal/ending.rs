//! The end of a journal: the last state of a life that ended in order.
//!
//! The segment under way is closed, and one more is written that holds nothing but the state: so the next life begins with that
//! state and replays nothing. A disk that is in trouble gets one more try, and all of it [`END_PATIENCE`].

use alloc::vec::Vec;

use super::{Completion, Encoded, Journal, Standing};
use crate::carried::Carried;
use crate::log::Ending;
use crate::machine::State;
use crate::time::{Span, Time};

/// So long a journal tries to keep the last state; then the life ends without. A process that is asked to end has ten seconds
/// mostly, and its controllers may need the other half of them.
pub const END_PATIENCE: Span = Span::from_secs(4);

/// The end of a life.
#[derive(Clone, Debug)]
pub(super) struct End {
    state: Vec<u8>,
    carried: Option<Carried>,
    until: Time,
    /// Whether the last segment has been begun.
    has_begun: bool,
}

impl Journal {
    /// The life has ended: its state is the last thing to be kept.
    pub(super) fn end(&mut self, at: Time, state: &dyn State) {
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        self.end =
            Some(End { state: bytes, carried: state.carried(), until: at + END_PATIENCE, has_begun: false });
        self.go_on_ending(at);
    }

    /// Begins the last segment as soon as one can be begun, and tells when it is kept or cannot be.
    pub(super) fn go_on_ending(&mut self, at: Time) {
        let Some(mut end) = self.end.take() else { return };
        if !self.is_kept {
            return self.completions.push_back(Completion::Ended(false));
        }
        let can_begin = match self.standing {
            Standing::Verified => self.before.is_none(),
            Standing::GivenUp => self.under_way.is_none(),
            Standing::Unwritten
            | Standing::Written
            | Standing::Synced
            | Standing::Named
            | Standing::Durable => false,
        };
        if !end.has_begun && can_begin {
            self.rotate(at, &Encoded(&end.state, end.carried.as_ref()));
            self.recording.close(&[Encoded(&end.state, end.carried.as_ref())], Ending::Stopped);
            end.has_begun = true;
        } else if end.has_begun && can_begin {
            return self.completions.push_back(Completion::Ended(self.standing == Standing::Verified));
        } else if at >= end.until {
            return self.completions.push_back(Completion::Ended(false));
        }
        self.end = Some(end);
    }

    /// Whether the last state of a life that ended now could be kept at once, as far as is known of its disk.
    pub fn could_end(&self) -> bool {
        self.trouble.is_none() && self.standing == Standing::Verified && self.before.is_none()
    }

    /// When the patience of an end is over.
    pub(super) fn ends_at(&self) -> Option<Time> {
        self.end.as_ref().map(|end| end.until)
    }
}
