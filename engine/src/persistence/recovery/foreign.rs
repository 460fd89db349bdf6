//! What a recovery takes from segments whose states another version made, or whose site was another.
//!
//! Times mean the same in every version, and so does the memory beside a state, if its form is known. Both are taken from records
//! that their checksums vouch for, the newest first: what is torn or damaged ends the look at its segment, not the recovery.

use super::replaying::FileSource;
use super::{Expected, LastKnown};
use crate::carried::{Carried, NotCarried};
use crate::log::{Content, Reader, Status};
use crate::machine::{Boot, Input, Step};
use crate::persistence::disk::Storage;
use crate::wall::told::Told;

/// What was found.
pub(super) struct Foreign {
    /// The last instant of the life before.
    pub(super) last: Option<LastKnown>,
    /// The newest memory that can be read, or why the newest of all cannot.
    pub(super) carried: Result<Carried, NotCarried>,
}

impl Foreign {
    /// Looks through segments, the newest first, until there is a memory and an instant.
    pub(super) fn in_segments(storage: &mut dyn Storage, numbers: &[u64], expected: &Expected<'_>) -> Self {
        let mut found = Self { last: None, carried: Err(NotCarried::Missing) };
        for number in numbers {
            let older = Self::in_segment(storage, *number, expected);
            found.last = found.last.or(older.last);
            found.carried = match (found.carried, older.carried) {
                (Err(NotCarried::Missing), older) => older,
                (Err(_newer), Ok(older)) => Ok(older),
                (newer, _older) => newer,
            };
            if found.last.is_some() && found.carried.is_ok() {
                break;
            }
        }
        // Where nothing is left but a last state, its memory says when it was.
        let decided = found.carried.as_ref().ok();
        found.last = found.last.or(decided.map(|carried| LastKnown { now: carried.at, wall: carried.wall }));
        found
    }

    fn in_segment(storage: &mut dyn Storage, segment: u64, expected: &Expected<'_>) -> Self {
        let mut found = Self { last: None, carried: Err(NotCarried::Missing) };
        let Ok(mut reader) = Reader::open(FileSource::new(storage, segment)) else { return found };
        // By name: the same controller with the same devices and functions.
        let is_ours = reader.header().controllers == expected.header.controllers;
        let (mut told, mut last) = (Told::NOTHING, None);
        while let Ok(Status::Record) = reader.advance() {
            let record = reader.record();
            match record.content {
                Content::Delivery { step, .. } => {
                    if let Step::Boot(Boot { wall, .. }) | Step::Input(Input::WallClock { wall }) = step {
                        told = Told { at: record.now, wall };
                    }
                    last = Some(record.now);
                }
                Content::Carried { version, bytes } => {
                    let newer =
                        if is_ours { Carried::decode(version, bytes) } else { Err(NotCarried::Layout) };
                    // One that cannot be read hides none that can.
                    if newer.is_ok() || found.carried.is_err() {
                        found.carried = newer;
                    }
                }
                Content::State(_)
                | Content::Event(_)
                | Content::Effects { .. }
                | Content::Chains(_)
                | Content::Crashed
                | Content::Closing(_) => {}
            }
        }
        found.last = last.map(|now| LastKnown { now, wall: told.believes(now) });
        found
    }
}
