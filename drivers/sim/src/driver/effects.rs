//! Does what machines ask for, at once or when it is durable.

use r_ems_engine::machine::{Effect, Effects};
use r_ems_engine::persistence::journal::{is_done_at_once, waits_for_sync};
use r_ems_engine::{LocalTime, Time};

use super::SimDriver;
use super::hosts::Content;

/// Which effects of a delivery are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// What waits for nothing: what is told of authority, votes, promises.
    AtOnce,
    /// All others.
    Others,
    /// What is told of authority, which is a fact already.
    Told,
    /// Everything but that.
    Asked,
}

impl SimDriver {
    /// Does what a machine asked for; its reports have been heard.
    pub(super) fn do_effects(
        &mut self,
        at: Time,
        now: LocalTime,
        post: u16,
        (effects, part): (&Effects, Part),
    ) {
        for effect in effects.as_slice() {
            let is_due = match part {
                Part::All => true,
                Part::AtOnce => is_done_at_once(effect),
                Part::Others => waits_for_sync(effect),
                Part::Told => matches!(effect, Effect::Authority { .. }),
                Part::Asked => !matches!(effect, Effect::Authority { .. }),
            };
            if !is_due {
                continue;
            }
            match *effect {
                Effect::Authority { epoch, until } => self.hear_authority(at, post, epoch, until),
                Effect::Write(ref write) => {
                    self.link(post, write.device).give_up(false);
                    self.write(at, now, post, write);
                }
                // Polls of neighbors travel together, below.
                Effect::Poll { device, .. } => self.link(post, device).give_up(false),
                // What is kept is the journal's.
                Effect::Snapshot | Effect::Stopped | Effect::Report(_) => {}
                Effect::Disconnect { device } => self.disconnect(post, device),
                Effect::Frame { connection, first, length, ref write, .. } => {
                    let bytes = &effects.frames()[first as usize..][..length as usize];
                    self.send_frame((at, now), post, connection, bytes, write.as_ref());
                }
                Effect::Link { connection, wish } => self.change_line(at, post, connection, wish),
                Effect::Send { to, message } => self.send(at, post, to, Content::Message(message), &[]),
                Effect::Transfer { to, .. } => self.send(at, post, to, Content::Unit, effects.unit()),
                Effect::Promise(promise) => self.save(at, post, promise),
            }
        }
        match part {
            // A poll changes nothing at a device, and waits for no disk.
            Part::All | Part::AtOnce | Part::Asked => self.poll(at, post, effects.as_slice()),
            Part::Others | Part::Told => {}
        }
    }
}
