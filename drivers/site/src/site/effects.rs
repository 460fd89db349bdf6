//! Does what machines ask for, at once or when it is durable.
//!
//! **A write that has expired does not leave**, whatever made it late: that is asked when its frame is sent, and told as the
//! outcome of the write.

use r_ems_engine::LocalTime;
use r_ems_engine::event::Event;
use r_ems_engine::ids::{ConnectionIndex, ControllerIndex};
use r_ems_engine::machine::{Effect, Effects, Input, LinkWish, SetPointWrite, WriteOutcome};
use r_ems_engine::persistence::journal::{is_done_at_once, waits_for_sync};
use r_ems_engine::redundancy::Seat;
use r_ems_engine::redundancy::letter::{Content, Letter};
use r_ems_engine::redundancy::message::{Content as Words, Heartbeat};

use super::SiteDriver;
use super::post::{Stage, Waiting, local};
use super::renewing::Fares;
use crate::line::Happened;

/// Which effects of a delivery are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    All,
    /// What waits for nothing: what is told of authority, votes, promises.
    AtOnce,
    /// All others.
    Others,
}

impl SiteDriver {
    /// Does what a machine asked for at `now`.
    pub(super) fn do_effects(&mut self, of: ControllerIndex, now: LocalTime, effects: &Effects, part: Part) {
        for effect in effects.as_slice() {
            let is_due = match part {
                Part::All => true,
                Part::AtOnce => is_done_at_once(effect),
                Part::Others => waits_for_sync(effect),
            };
            if is_due {
                self.do_effect(of, now, effect, effects);
            }
        }
    }

    fn do_effect(&mut self, of: ControllerIndex, now: LocalTime, effect: &Effect, effects: &Effects) {
        match *effect {
            Effect::Frame { connection, first, length, ref write, .. } => {
                let bytes = &effects.frames()[first as usize..][..length as usize];
                self.send_frame(of, connection, bytes, write.as_ref());
            }
            Effect::Link { connection, wish } => self.change_line(of, connection, wish),
            Effect::Authority { epoch, until } => {
                let is_given_up = until <= now;
                let post = &mut self.posts[of.position()];
                post.holds_until = until;
                post.writes_from =
                    if is_given_up { epoch.saturating_add(1) } else { post.writes_from.min(epoch) };
                if !is_given_up {
                    post.lines.iter_mut().for_each(|line| line.extend(until));
                }
            }
            Effect::Send { to, message } => {
                if let Words::Heartbeat(Heartbeat { is_ready, .. }) = message.content {
                    self.posts[of.position()].says_that_it_is_ready(is_ready);
                }
                self.post_letter(of, to, Content::Message(message));
            }
            Effect::Report(Event::Started { .. }) => {
                let post = &mut self.posts[of.position()];
                post.fares = post.fares.max(Fares::Runs);
            }
            Effect::Transfer { to, .. } => self.post_letter(of, to, Content::Unit(effects.unit())),
            Effect::Promise(promise) => {
                let at = self.instant();
                if let Some(life) = &mut self.posts[of.position()].life {
                    life.promise(at, promise);
                }
            }
            // Nobody speaks another protocol: a site whose devices have other links is not loaded.
            Effect::Write(SetPointWrite { device, .. }) => {
                let outcome = WriteOutcome::Expired;
                self.at_once.push_back((of, Waiting::Told(Input::Written { device, outcome })));
            }
            Effect::Poll { device, .. } => {
                self.at_once.push_back((of, Waiting::Told(Input::TimedOut { device })))
            }
            // What is kept is the journal's.
            Effect::Disconnect { .. } | Effect::Snapshot | Effect::Stopped | Effect::Report(_) => {}
        }
    }

    /// What the clocks of all controllers show.
    pub(super) fn local_now(&self) -> LocalTime {
        // Not the delivery's: whatever it did took its time.
        local(self.reactor.now())
    }

    fn change_line(&mut self, of: ControllerIndex, connection: ConnectionIndex, wish: LinkWish) {
        let line = &mut self.posts[of.position()].lines[connection.position()];
        line.close();
        if wish == LinkWish::Open && line.open() == Happened::Closed {
            self.waiting.push_back((of, Waiting::Told(Input::LinkChanged { connection, is_open: false })));
        }
    }

    fn send_frame(
        &mut self,
        of: ControllerIndex,
        connection: ConnectionIndex,
        bytes: &[u8],
        write: Option<&SetPointWrite>,
    ) {
        let now = self.local_now();
        let post = &mut self.posts[of.position()];
        if let Some(write) = write
            && (now > write.valid_until || write.epoch < post.writes_from)
        {
            let SetPointWrite { device, kind, valid_until, .. } = *write;
            let not_sent = Input::NotSent { device, kind, valid_until };
            return self.at_once.push_back((of, Waiting::Told(not_sent)));
        }
        let valid_until = write.map(|write| write.valid_until);
        if post.lines[connection.position()].send(now, bytes, valid_until) == Happened::Closed {
            self.at_once.push_back((of, Waiting::Told(Input::LinkChanged { connection, is_open: false })));
        }
    }

    /// Sends a letter to another member of a controller's council.
    fn post_letter(&mut self, of: ControllerIndex, to: Seat, content: Content<'_>) {
        let spec = &self.posts[of.position()].spec;
        let Some(host) = spec.council.get(to.position()).copied() else { return };
        let grid = spec.grid;
        let mut bytes = std::mem::take(&mut self.letter);
        bytes.clear();
        Letter { grid, from: spec.seat, to, content }.put(&mut bytes);
        if host == self.host {
            if let Some(to) = self.find(grid, to) {
                self.waiting.push_back((to, Waiting::Letter(bytes.clone())));
            }
        } else if let Some(peers) = &mut self.peers {
            peers.send(host, &bytes);
        }
        self.letter = bytes;
    }

    /// The living controller of this host that sits there.
    pub(super) fn find(&self, grid: u64, seat: Seat) -> Option<ControllerIndex> {
        let sits = |post: &super::post::Post| post.spec.grid == grid && post.spec.seat == seat;
        let place = self.posts.iter().position(sits)?;
        (self.posts[place].stage == Stage::Living).then(|| ControllerIndex::of(place))
    }
}
