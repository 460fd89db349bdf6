//! Who of a grid stands by, ready to take over, and who should.
//!
//! What a member is it says of itself in its heartbeats, and others can know nothing else of it. So a standby is ready when its
//! heartbeats say so, and of two that say that they hold authority the one of the higher epoch counts: the other is not in its
//! place, as is who is anything but a ready standby.

use alloc::vec::Vec;

use r_ems_engine::Time;
use r_ems_engine::redundancy::message::Heartbeat;
use r_ems_engine::redundancy::{Epoch, Role};

use super::grid::Due;

/// What the members of a grid say of themselves.
#[derive(Clone, Debug)]
pub(super) struct Standbys {
    /// By member: what it said last in this life, and since when it has been neither the active nor a ready standby.
    said: Vec<Option<Said>>,
    misplaced: Vec<Option<Time>>,
    /// The member that holds the highest epoch, that epoch, and since when it does.
    active: Option<(usize, Epoch, Time)>,
    /// When a member must be ready that is not, and which.
    pub(super) due: Option<Due>,
}

/// What of a heartbeat counts here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    is_ready_standby: bool,
    held: Option<Epoch>,
}

impl Standbys {
    /// Nobody has said anything.
    pub(super) fn new(members: usize) -> Self {
        let (said, misplaced) = (alloc::vec![None; members], alloc::vec![Some(Time::ZERO); members]);
        Self { said, misplaced, active: None, due: None }
    }

    /// A member says what it is; whether that is news.
    pub(super) fn hear(&mut self, at: Time, member: usize, heartbeat: &Heartbeat) -> bool {
        let Heartbeat { role, epoch, is_ready, .. } = *heartbeat;
        let held = role.holds().then_some(epoch);
        let said = Some(Said { is_ready_standby: is_ready && role == Role::Standby, held });
        if self.said[member] == said {
            return false;
        }
        self.said[member] = said;
        self.sort(at);
        true
    }

    /// A member is gone: what it said is true no more.
    pub(super) fn forget(&mut self, at: Time, member: usize) {
        self.said[member] = None;
        self.sort(at);
    }

    /// The active, and since when it is.
    pub(super) fn active(&self) -> Option<(usize, Time)> {
        self.active.map(|(member, _epoch, since)| (member, since))
    }

    /// Who is not in its place, and since when.
    pub(super) fn misplaced(&self) -> impl Iterator<Item = (usize, Time)> + '_ {
        let active = self.active.map(|active| active.0);
        let since = self.misplaced.iter().enumerate();
        since.filter_map(move |(member, since)| Some((member, (*since)?)).filter(|_| Some(member) != active))
    }

    /// Finds who is active, and who is not in its place.
    fn sort(&mut self, at: Time) {
        let held = |(member, said): (usize, &Option<Said>)| Some((said.as_ref()?.held?, member));
        let highest = self.said.iter().enumerate().filter_map(held).max();
        let since = |(epoch, member)| match self.active {
            // Who moves on to a higher epoch is the active as before.
            Some((known, _epoch, since)) if known == member => (member, epoch, since),
            Some(_) | None => (member, epoch, at),
        };
        self.active = highest.map(since);
        let active = self.active.map(|active| active.0);
        for (member, (said, misplaced)) in self.said.iter().zip(&mut self.misplaced).enumerate() {
            let is_placed = Some(member) == active || said.is_some_and(|said| said.is_ready_standby);
            *misplaced = if is_placed { None } else { Some(misplaced.unwrap_or(at)) };
        }
    }
}
