//! How what controllers are made from changes while they run: who is changed ends in order and begins anew with it, from its log.
//!
//! - **Nobody is changed whose log is in trouble.** A life that begins anew goes on with what the log kept, and waits for the
//!   disk at its end and at its begin: a disk that does not answer would cost the control of a minute. A change that meets such
//!   a disk is refused as a whole; one that has been taken waits where the disk fails later.
//! - **One at a time in a grid**, so that somebody is there to take over: who stands by before who holds authority, which then
//!   is handed over once. The next one's turn comes when the one before fares as well as it did. Who fails with the change, or
//!   gets no better, keeps the others as they are until another change is taken.

use r_ems_engine::ids::ControllerIndex;
use r_ems_engine::machine::Input;
use r_ems_engine::persistence::{Journal, Life, Trouble};
use r_ems_engine::redundancy::Command;
use r_ems_engine::{LocalTime, Time};

use super::SiteDriver;
use super::post::{Afterwards, LifeSpec, Post, Stage, Waiting, local};

/// A change of what controllers are made from.
pub struct Renewal {
    /// What each of them is to begin its lives with from now on, in their order.
    pub lives: Vec<LifeSpec>,
    /// Whoever is told what becomes of it; it must not wait for anybody.
    pub tell: Box<dyn FnMut(Renewed) + Send>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// Nothing changes: the log of this one is not kept.
    Refused(ControllerIndex, Trouble),
    /// These begin anew, in turn; who begins later than that begins with it.
    Taken(Vec<ControllerIndex>),
    /// All of them have.
    InEffect,
}

/// How a controller fares, as far as its driver hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fares {
    /// It does not live.
    IsDown,
    Lives,
    /// It has begun to control.
    Runs,
    /// It says that it could take over at once.
    IsReady,
}

impl SiteDriver {
    /// Takes a change, and goes on with the one under way.
    pub(super) fn renew(&mut self, at: Time) {
        let asked = self.controlled.take_renewal();
        if self.given_up.is_some() {
            // There is no next life, and whoever is told to begin anew would not come to rest.
            self.renewal = None;
            return;
        }
        if let Some(asked) = asked {
            self.take_renewal(asked);
        }
        if self.renewal.is_some() {
            self.go_on_renewing(local(at));
        }
    }

    fn take_renewal(&mut self, asked: Renewal) {
        let Renewal { lives, mut tell } = asked;
        assert_eq!(lives.len(), self.posts.len(), "each controller has its life");
        let is_changed = |of: &ControllerIndex| {
            let post = &self.posts[of.position()];
            post.stage != Stage::Gone && lives[of.position()].makes_another(&post.spec.life)
        };
        let changed: Vec<ControllerIndex> = self.controllers().filter(is_changed).collect();
        let trouble = |of: &ControllerIndex| Some((*of, self.posts[of.position()].trouble()?));
        if let Some((of, trouble)) = changed.iter().find_map(trouble) {
            return tell(Renewed::Refused(of, trouble));
        }
        for (of, life) in self.controllers().zip(lives) {
            let post = &mut self.posts[of.position()];
            if changed.contains(&of) {
                post.next = Some(life);
            } else {
                (post.next, post.spec.life) = (None, life);
                if let Some(living) = &mut post.life {
                    living.describe(&post.spec.life.header);
                }
            }
        }
        tell(Renewed::Taken(changed));
        self.renewal = Some(tell);
    }

    fn go_on_renewing(&mut self, now: LocalTime) {
        for post in &mut self.posts {
            // Who is still to leave fares as before.
            post.awaited.take_if(|fared| post.leaves.is_none() && post.fares >= *fared);
        }
        for place in 0..self.posts.len() {
            if self.is_next(now, place) {
                let post = &mut self.posts[place];
                post.leaves = Some(Afterwards::Returns);
                post.awaited = post.awaited.or(Some(post.fares));
                let told = Waiting::Told(Input::Command(Command::Return));
                self.waiting.push_back((ControllerIndex::of(place), told));
            }
        }
        let is_renewed = |post: &Post| post.next.is_none() && !post.is_away();
        if self.posts.iter().all(is_renewed)
            && let Some(mut tell) = self.renewal.take()
        {
            tell(Renewed::InEffect);
        }
    }

    /// Whether it is a controller's turn to begin anew.
    fn is_next(&self, now: LocalTime, place: usize) -> bool {
        let waits = |post: &Post| post.next.is_some() && post.may_begin_anew();
        let own = &self.posts[place];
        let is_other = |(other, post): &(usize, &Post)| *other != place && post.spec.grid == own.spec.grid;
        let mut others = self.posts.iter().enumerate().filter(is_other).map(|(_, post)| post);
        let keeps = |other: &Post| other.is_away() || own.holds_until > now && waits(other);
        waits(own) && !others.any(keeps)
    }
}

impl Post {
    /// It tells the others whether it could take over at once.
    pub(super) fn says_that_it_is_ready(&mut self, is_ready: bool) {
        self.fares = if is_ready { Fares::IsReady } else { self.fares.min(Fares::Runs) };
    }

    /// What is the matter with its log.
    fn trouble(&self) -> Option<Trouble> {
        self.life.as_ref().and_then(Life::journal).and_then(Journal::trouble)
    }

    /// Whether it lives and could end with its last state kept, as far as is known.
    fn may_begin_anew(&self) -> bool {
        let is_kept = self.life.as_ref().and_then(Life::journal).is_some_and(Journal::could_end);
        self.stage == Stage::Living && self.leaves.is_none() && is_kept
    }

    /// Whether it is on its way from one life to the next, or does not fare yet as it did before that.
    const fn is_away(&self) -> bool {
        match self.stage {
            Stage::Recovering(_) | Stage::Numbering | Stage::Booting | Stage::Ending => true,
            Stage::Living | Stage::Failed(_) => self.leaves.is_some() || self.awaited.is_some(),
            Stage::Gone => false,
        }
    }
}
