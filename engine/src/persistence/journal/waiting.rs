//! What must become durable for its own sake, and what waits for that.

use crate::machine::{Effect, Input, Step};

/// Whether a delivery must become durable for its own sake. What only says that something is durable must not: an idle
/// controller's journal would never end to grow.
pub(super) const fn asks_for_sync(step: &Step<'_>) -> bool {
    match step {
        Step::Restore { .. } | Step::Boot(_) => true,
        Step::Input(input) => match input {
            Input::Promised { .. } | Input::Snapshotted { .. } | Input::Journal(_) => false,
            Input::Wake
            | Input::Points { .. }
            | Input::TimedOut { .. }
            | Input::Written { .. }
            | Input::Message { .. }
            | Input::Transfer { .. }
            | Input::Command(_) => true,
        },
    }
}

/// Whether somebody sees an effect, so that what led to it must be durable before it is performed in strict mode.
pub const fn waits_for_sync(effect: &Effect) -> bool {
    match effect {
        Effect::Write(_)
        | Effect::Poll { .. }
        | Effect::Disconnect { .. }
        | Effect::Send { .. }
        | Effect::Transfer { .. }
        | Effect::Promise(_) => true,
        // That it holds authority is a fact already, whoever is told.
        Effect::Authority { .. } | Effect::Snapshot | Effect::Stopped | Effect::Report(_) => false,
    }
}
