//! The wall clocks of hosts, and what controllers are told of them: what they show at boot, each step at once, and what a
//! monotonic clock of another rate makes of it from time to time.

use r_ems_engine::Time;
use r_ems_engine::wall::WallTime;
use r_ems_engine::wall::told::{self, LOOKS_EVERY};

use super::SimDriver;
use super::pending::{Happened, Of, Pending, Told};
use crate::world::HostWall;

impl SimDriver {
    /// What the wall clock of a host shows.
    pub(super) fn wall(&self, at: Time, host: u16) -> Option<WallTime> {
        self.clocks[usize::from(host)].wall.shows(self.start + at.since(Time::ZERO))
    }

    /// A wall clock is set; timers do not notice.
    pub(super) fn set_wall(&mut self, at: Time, host: u16, wall: HostWall) {
        self.clocks[usize::from(host)].wall = wall;
        self.each_of(host, |driver, post| driver.correct(at, post));
    }

    /// Every host looks whether its controllers still believe what its wall clock shows.
    pub(super) fn look_at_walls(&mut self, at: Time) {
        self.queue.push(at + LOOKS_EVERY, Pending::LookAtWalls);
        for post in 0..self.posts.len() as u16 {
            // Who stands still looks when it goes on.
            if !self.is_held_back(post) {
                self.correct(at, post);
            }
        }
    }

    /// Tells a controller what the wall clock shows, unless it believes so.
    fn correct(&mut self, at: Time, post: u16) {
        let state = &self.posts[usize::from(post)];
        let now = self.clocks[usize::from(state.host)].local(at);
        if state.has_booted && state.wall.is_outdated(now, self.wall(at, state.host)) {
            let of = Of { post, life: state.life };
            self.queue.push(at, Pending::Told { of, told: Told::WallClock });
        }
    }

    /// A controller is told something now.
    pub(super) fn tell(&mut self, post: u16, told: Told) -> (u16, Happened) {
        if told == Told::WallClock {
            self.note_wall(post);
        }
        (post, Happened::Told(told))
    }

    /// Notes what a controller is told of the wall clock now.
    pub(super) fn note_wall(&mut self, post: u16) {
        let (now, host) = (self.now, self.posts[usize::from(post)].host);
        let wall = self.wall(now, host);
        let at = self.clocks[usize::from(host)].local(now);
        self.posts[usize::from(post)].wall = told::Told { at, wall };
    }
}
