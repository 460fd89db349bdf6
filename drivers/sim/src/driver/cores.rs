//! Shows the checker of progress what of the world could keep a controller from taking over.

use r_ems_engine::redundancy::Promise;
use r_ems_engine::{Span, Time};

use super::grids::Grid;
use super::persistence::Persistence;
use super::stalls::Stalls;
use super::{PostState, SimDriver};
use crate::links::Link;
use crate::network::Network;
use crate::progress::Sight;
use crate::world::{Change, HostClock};

/// The world as far as take-overs need it.
struct Seen<'a> {
    posts: &'a [PostState],
    grids: &'a [Grid],
    clocks: &'a [HostClock],
    network: &'a Network,
    usual: &'a Network,
    kept: Option<&'a Persistence>,
    stalls: Option<&'a Stalls>,
}

impl Seen<'_> {
    /// Whether a controller stands still, or will with the next thing that it does.
    fn is_stalled(&self, place: u16) -> bool {
        self.stalls.is_some_and(|stalls| stalls.holds(place, self.posts[usize::from(place)].host))
    }
}

impl Sight for Seen<'_> {
    fn runs(&self, place: u16, clock_rate_max_ppb: u32) -> bool {
        let post = &self.posts[usize::from(place)];
        let clock = self.clocks[usize::from(post.host)];
        // Who is asked to end is no candidate any more.
        post.is_up
            && post.leaves.is_none()
            && !self.is_stalled(place)
            && clock.rate_ppb.unsigned_abs() <= clock_rate_max_ppb
    }

    fn is_silent(&self, place: u16) -> bool {
        // Who was asked to end tells of itself to its end.
        !self.posts[usize::from(place)].is_up || self.is_stalled(place)
    }

    fn disk_answers_after(&self, place: u16) -> Option<Span> {
        self.kept.map_or(Some(Span::ZERO), |kept| kept.disk_answers_after(place))
    }

    fn reaches_devices(&self, place: u16) -> bool {
        let own = &self.posts[usize::from(place)];
        // Of a device that takes one connection only who has it knows whether it answers: nobody hands over for it.
        let others = (0..).zip(self.posts).filter(|(_, post)| post.grid == own.grid);
        let links = others.flat_map(|(place, post)| post.links.iter().map(move |link| (place, link)));
        let mut one_connection = links.filter(|(_, link)| link.one_connection().is_some());
        // Whose host stands still keeps its connection, and does not know that another wants it.
        let can_be_had = |(place, link): (u16, &Link)| link.is_whole() && !self.is_stalled(place);
        // Who stands still hears no answers, and doubts its devices afterwards as if they had been silent.
        let is_whole = own.links.iter().all(Link::is_whole) && one_connection.all(can_be_had);
        // A device that is away is written nothing, and may be the only one.
        !self.is_stalled(place) && is_whole && !self.grids[usize::from(own.grid)].bus.has_any_away()
    }

    fn hears_devices(&self, place: u16) -> bool {
        self.posts[usize::from(place)].links.iter().all(Link::hears)
    }

    fn is_connected(&self, one: u16, other: u16) -> bool {
        let (one, other) = (self.posts[usize::from(one)].host, self.posts[usize::from(other)].host);
        let is_usual = |from, to| self.network.path(from, to) == self.usual.path(from, to);
        is_usual(one, other) && is_usual(other, one)
    }

    fn is_prompt(&self, from: u16, to: u16) -> bool {
        let (from, to) = (self.posts[usize::from(from)].host, self.posts[usize::from(to)].host);
        self.network.path(from, to).delay == self.usual.path(from, to).delay
    }
}

impl SimDriver {
    /// Looks once more after something that no change of the timeline did.
    pub(super) fn look_again(&mut self, at: Time) {
        if !self.progress.is_idle() {
            let Self { progress, posts, grids, clocks, network, usual, persistence, stalls, .. } = self;
            let (kept, stalls) = (persistence.as_deref(), stalls.as_deref());
            progress.changed(at, &Seen { posts, grids, clocks, network, usual, kept, stalls });
        }
    }

    /// Shows what a controller promises: what was asked for, what is durable, or what a life begins with.
    pub(super) fn look_at_promise(&mut self, at: Time, post: u16, promise: &Promise, is_durable: bool) {
        if is_durable && !promise.abstains {
            self.authority.remembers(post);
            self.progress.remembers(at, post);
        }
        if self.progress.promised(at, post, promise, is_durable) {
            self.look_again(at);
        }
    }

    /// Looks at the run's start, or after a change.
    pub(super) fn look_at_cores(&mut self, change: Option<(Time, Change)>) {
        if self.progress.is_idle() {
            return;
        }
        let Self { progress, posts, grids, clocks, network, usual, persistence, stalls, .. } = self;
        let (kept, stalls) = (persistence.as_deref(), stalls.as_deref());
        let seen = Seen { posts, grids, clocks, network, usual, kept, stalls };
        let Some((at, change)) = change else { return progress.begun(&seen) };
        // Nobody hears what is asked of who is down.
        if let Change::Command { controller, .. } = change
            && posts[usize::from(controller)].has_booted
        {
            progress.commanded(at, controller);
        }
        progress.changed(at, &seen);
    }
}
