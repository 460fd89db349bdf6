//! What must become durable for its own sake, and what waits for that.

use crate::machine::{Effect, Input, LinkWish, Step};
use crate::redundancy::message::Content;

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
            | Input::Frame { .. }
            | Input::LinkChanged { .. }
            | Input::Written { .. }
            | Input::NotSent { .. }
            | Input::Message { .. }
            | Input::Transfer { .. }
            | Input::WallClock { .. }
            | Input::Command(_) => true,
        },
    }
}

/// Whether somebody sees an effect, so that what led to it must be durable before it is performed in strict mode.
///
/// Votes and heartbeats wait for nothing: what they rest on after a crash is promised, and promises are durable by themselves.
/// Nor do polls and frames that only read: they change nothing at a device, and would make a slow disk look like devices that are
/// silent.
/// What lets others write waits with the writes that left before it, which it must not overtake.
pub const fn waits_for_sync(effect: &Effect) -> bool {
    match effect {
        Effect::Write(_)
        | Effect::Disconnect { .. }
        | Effect::Frame { write: Some(_), .. }
        | Effect::Link { .. }
        | Effect::Transfer { .. } => true,
        Effect::Send { message, .. } => match message.content {
            Content::Release { .. } | Content::HandOver { .. } => true,
            Content::Heartbeat(_)
            | Content::Request { .. }
            | Content::Grant { .. }
            | Content::Refuse { .. }
            | Content::MissesState
            | Content::Outlived { .. } => false,
        },
        // That it holds authority is a fact already, and so is that it gave it up: what it wrote before and has not left yet
        // ends with it.
        Effect::Authority { .. }
        | Effect::Poll { .. }
        | Effect::Frame { write: None, .. }
        | Effect::Promise(_)
        | Effect::Snapshot
        | Effect::Stopped
        | Effect::Report(_) => false,
    }
}

/// Whether an effect is performed before what led to it is durable: whatever waits for nothing, and the end of a connection, in
/// which a write may wait that must not arrive any more. That end is performed once more in its turn, after what waits for the
/// disk before it.
pub const fn is_done_at_once(effect: &Effect) -> bool {
    !waits_for_sync(effect) || matches!(effect, Effect::Link { wish: LinkWish::Closed, .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ConnectionIndex, DeviceIndex};
    use crate::machine::{SetPointWrite, WriteKind};
    use crate::time::LocalTime;

    #[test]
    fn a_frame_waits_where_it_carries_a_write_and_a_connection_waits_with_it() {
        let connection = ConnectionIndex(0);
        let frame = |write| Effect::Frame { connection, first: 0, length: 12, chain: 1, write };
        let valid_until = LocalTime::from_nanos(1);
        for kind in [WriteKind::SetPoint, WriteKind::Heartbeat] {
            let write = SetPointWrite {
                device: DeviceIndex(0),
                kind,
                value: 1.0,
                reactive: 0.0,
                epoch: 1,
                valid_until,
            };
            assert!(waits_for_sync(&frame(Some(write))));
        }
        assert!(!waits_for_sync(&frame(None)));
        for wish in [LinkWish::Open, LinkWish::Closed] {
            let link = Effect::Link { connection, wish };
            assert!(waits_for_sync(&link));
            assert_eq!(is_done_at_once(&link), wish == LinkWish::Closed);
        }
        for input in [
            Input::Frame { connection, bytes: &[1] },
            Input::LinkChanged { connection, is_open: true },
            Input::LinkChanged { connection, is_open: false },
        ] {
            assert!(asks_for_sync(&Step::Input(input)));
        }
    }
}
