//! Checks that there is one authority at a time, and measures how long a grid is without one.
//!
//! It is apart from the code that it checks: it knows what controllers told their driver and what devices accepted, never a
//! machine. It looks from outside, in true time:
//!
//! - **(a)** at most one controller of a grid holds a lease that is ahead of its own host's clock;
//! - **(a')** a lease has a higher epoch than every one before it in its grid, unless its holder, not having crashed, goes on;
//! - **(b)** after a device has accepted an epoch it accepts none lower. Only a controller that moves to a higher epoch while it
//!   writes may overtake itself on a slow way: its writes are no danger to each other;
//! - **(b')** who releases the voters of an epoch has no write of it on its way to a device that does not check epochs.
//! - **(f)** a write is told to expire no later than the lease under which it is sent, and leaves before it expires.
//!
//! **A device that checks epochs and restarts forgets them**, and (b) begins anew for it: what it accepts next is right whatever
//! its epoch, since no device can hold what it does not know. What then protects the site:
//!
//! - (a), which rests on leases and clocks and on no device: who has lost its authority sends nothing more, whatever the device
//!   would take. What is left is a write that had gone before, and is on its way for D at the most.
//! - A device that does not check epochs loses nothing, and (b) goes on for it: the next holder has waited D before its first
//!   write, and no write of the one before it comes after that.
//! - A device that checks epochs has no such wait; the epoch that it holds is what keeps late writes out. Between its restart and
//!   the next write of the holder a late one of the holder before is taken. The holder reads back what it has not written, in
//!   the first answer that was measured after, and writes again: the wrong set-point stands for a new connection, a scan and a
//!   way to the device at the most, and only if a take-over, a restart and a write on its way come together within D.
//! - A set-point that the restart has taken away is missed in the same way, and the holder's epoch comes back with it; where the
//!   device held rest anyway, with the next write, after half of the reversion time at the latest.
//!
//! **Where most members of a grid have lost their promises at once** nobody knows what they promised each other, and epochs begin
//! anew for that grid. One that loses them learns from the others what it may have granted, so that costs nothing; but of a pair
//! without a witness one alone may act, and what it did while the other was down only it knew.
//!
//! A take-over is measured from the loss of the one that wrote (its crash, or else its last accepted write) to the first write
//! that a device accepts from another, or from a new life of the same.

mod rules;

use core::mem::discriminant;

use alloc::vec::Vec;

use r_ems_engine::redundancy::Command;
use r_ems_engine::{LocalTime, Span, Time};

use crate::plant::ComponentIndex;
use crate::world::HostClock;

pub use self::rules::{
    EPOCHS_RISE, NEW_EPOCHS, NOTHING_OUTSTANDING, ONE_AUTHORITY, Rule, Violation, WRITES_EXPIRE,
};

/// So many violations are kept, the first ones: they are nearest to the cause. Of each rule the first one is kept in any case.
pub const MAX_VIOLATIONS_KEPT: usize = 16;
/// So many beginnings of a controller's authority are kept: writes are not on their way for longer.
const BEGINNINGS_KEPT: usize = 8;
/// So many commands that nobody heard are kept.
pub const MAX_UNHEARD_KEPT: usize = 64;
/// So many take-overs are kept.
pub const MAX_TAKE_OVERS_KEPT: usize = 1 << 16;

/// Authority that moved, as devices saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakeOver {
    /// In which grid.
    pub grid: u16,
    /// Who wrote before, by its place in the fleet.
    pub from: u16,
    /// Who writes now.
    pub to: u16,
    /// When the one before was lost; its last accepted write if it did not crash.
    pub lost_at: Time,
    /// When the first write of the next was accepted.
    pub at: Time,
}

impl TakeOver {
    /// How long the grid was without authority.
    pub fn gap(&self) -> Span {
        self.at.since(self.lost_at)
    }
}

/// What a run showed about authority.
#[derive(Clone, Debug, Default)]
pub struct AuthorityResult {
    /// The rules that were broken, the first ones.
    pub violations: Vec<Violation>,
    /// How many there were.
    pub violation_count: u64,
    /// Authority that moved.
    pub take_overs: Vec<TakeOver>,
    /// Grids in which at the run's end nobody may write who has written, and since when: the writer was lost, or its lease
    /// is over.
    /// Of those that several share also such in which nobody has ever written.
    pub waiting: Vec<(u16, Time)>,
    /// What operators asked of controllers that were down, the first ones.
    pub unheard: Vec<Unheard>,
    /// Grids of which a controller promised to act as the majority on its own, on an operator's word, and since when: whether
    /// all others are off is not for the checker to know.
    pub vouched: Vec<(u16, Time)>,
}

/// An operator's command to a controller that was down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// When.
    pub at: Time,
    /// To whom, by its place in the fleet.
    pub controller: u16,
    /// What was asked for.
    pub command: Command,
}

/// Watches all grids.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    grids: Vec<Watched>,
    /// By controller.
    leases: Vec<Option<Lease>>,
    /// By controller: the epochs with which it began to hold, the last ones.
    began: Vec<Vec<u64>>,
    /// By controller: the highest epoch that it held.
    own: Vec<u64>,
    /// By controller: its grid, and whether it has lost its promises and does not yet know those of the others.
    abstaining: Vec<(u16, bool)>,
    /// Writes on their way to devices that do not check epochs.
    on_the_way: Vec<OnTheWay>,
    result: AuthorityResult,
}

#[derive(Clone, Debug)]
struct Watched {
    /// The highest epoch that each component has accepted.
    accepted: Vec<u64>,
    writer: Option<Writer>,
    /// The highest epoch of any lease.
    highest: u64,
    /// Whether it has several controllers, or a witness: a controller that is alone never tells of its authority.
    is_shared: bool,
}

/// Who wrote last.
#[derive(Clone, Copy, Debug)]
struct Writer {
    controller: u16,
    epoch: u64,
    last_write: Time,
    lost_at: Option<Time>,
}

/// A write that a device has not yet taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct OnTheWay {
    controller: u16,
    component: ComponentIndex,
    epoch: u64,
    sent_at: Time,
}

/// What a controller told of its lease.
#[derive(Clone, Copy, Debug)]
struct Lease {
    grid: u16,
    host: u16,
    epoch: u64,
    /// Whether its holder has crashed since: what comes next is another lease.
    is_lost: bool,
    told_at: LocalTime,
    until: LocalTime,
    /// The clock that it counts on; that of the life before after a boot.
    clock: HostClock,
}

impl Watcher {
    /// Watches grids with so many components each, and the controllers of these grids.
    pub(crate) fn new(components: &[usize], controllers: &[u16]) -> Self {
        let watched = |(grid, count): (u16, &usize)| Watched {
            accepted: alloc::vec![0; *count],
            writer: None,
            highest: 0,
            is_shared: controllers.iter().filter(|of| **of == grid).count() > 1,
        };
        Self {
            grids: (0..).zip(components).map(watched).collect(),
            leases: alloc::vec![None; controllers.len()],
            began: alloc::vec![Vec::new(); controllers.len()],
            own: alloc::vec![0; controllers.len()],
            abstaining: controllers.iter().map(|grid| (*grid, false)).collect(),
            on_the_way: Vec::new(),
            result: AuthorityResult::default(),
        }
    }

    /// A controller tells that its lease counts up to `until`. That it has given it up is told late where a disk is slow, and by
    /// then it may hold another.
    pub(crate) fn told(
        &mut self,
        at: Time,
        (grid, host, controller): (u16, u16, u16),
        epoch: u64,
        until: LocalTime,
        clock: HostClock,
    ) {
        let told_at = clock.local(at);
        let known = &mut self.leases[usize::from(controller)];
        if until < told_at {
            if let Some(meant) = known.as_mut().filter(|known| known.epoch == epoch && known.told_at <= until)
            {
                meant.until = meant.until.min(until);
            }
            return;
        }
        let before = known.filter(|before| !before.is_lost);
        let highest = self.grids[usize::from(grid)].highest;
        // Who held the highest may be granted it once more.
        let is_renewed = epoch == highest && before.is_some_and(|before| before.epoch == epoch);
        if !is_renewed && !before.is_some_and(|before| before.counts(at)) {
            if epoch <= highest {
                let own = self.own[usize::from(controller)];
                self.note(Violation { at, grid, rule: Rule::NewEpochs { controller, epoch, highest, own } });
            }
            let began = &mut self.began[usize::from(controller)];
            if began.len() == BEGINNINGS_KEPT {
                began.remove(0);
            }
            began.push(epoch);
        }
        for highest in [&mut self.grids[usize::from(grid)].highest, &mut self.own[usize::from(controller)]] {
            *highest = epoch.max(*highest);
        }
        let lease = Lease { grid, host, epoch, is_lost: false, told_at, until, clock };
        self.leases[usize::from(controller)] = Some(lease);
        for other in 0..self.leases.len() {
            let counts = self.leases[other].is_some_and(|known| known.grid == grid && known.counts(at));
            if other != usize::from(controller) && counts {
                let rule = Rule::OneAuthority { controller, other: other as u16 };
                self.note(Violation { at, grid, rule });
            }
        }
    }

    /// A write leaves for a device that does not check epochs.
    pub(crate) fn wrote(&mut self, at: Time, controller: u16, component: ComponentIndex, epoch: u64) {
        self.on_the_way.push(OnTheWay { controller, component, epoch, sent_at: at });
    }

    /// A write that left has arrived; how long that took, if it was seen to leave.
    pub(crate) fn arrived(
        &mut self,
        at: Time,
        controller: u16,
        component: ComponentIndex,
        epoch: u64,
    ) -> Option<Span> {
        let is_it =
            |way: &OnTheWay| (way.controller, way.component, way.epoch) == (controller, component, epoch);
        let place = self.on_the_way.iter().position(is_it)?;
        Some(at.since(self.on_the_way.swap_remove(place).sent_at))
    }

    /// A controller releases the voters of an epoch.
    pub(crate) fn released(&mut self, at: Time, (grid, controller): (u16, u16), epoch: u64) {
        let mut writes = self.on_the_way.iter();
        if let Some(write) = writes.find(|write| write.controller == controller && write.epoch == epoch) {
            let rule = Rule::NothingOutstanding { controller, component: write.component, epoch };
            self.note(Violation { at, grid, rule });
        }
    }

    /// A write leaves, at `now` of its sender's clock, that must not be performed after `valid_until`.
    pub(crate) fn sent(
        &mut self,
        (at, now): (Time, LocalTime),
        (grid, controller): (u16, u16),
        valid_until: LocalTime,
    ) {
        if now > valid_until {
            self.note(Violation { at, grid, rule: Rule::SentInTime { controller } });
        }
        // Who shares its grid with none never tells of a lease.
        let lease = self.leases[usize::from(controller)];
        if lease.is_some_and(|lease| valid_until > lease.until) {
            self.note(Violation { at, grid, rule: Rule::WritesExpire { controller } });
        }
    }

    /// A device has accepted a write.
    pub(crate) fn accepted(
        &mut self,
        at: Time,
        (grid, controller): (u16, u16),
        component: ComponentIndex,
        (epoch, way): (u64, Option<Span>),
    ) {
        let began = &self.began[usize::from(controller)];
        let began_with = |epoch: u64| began.iter().rfind(|first| **first <= epoch);
        let watched = &mut self.grids[usize::from(grid)];
        let accepted = &mut watched.accepted[usize::from(component.0)];
        let is_last = watched.writer.is_some_and(|writer| writer.controller == controller);
        if epoch < *accepted
            && is_last
            && began_with(epoch).is_some_and(|_| began_with(epoch) == began_with(*accepted))
        {
            return;
        }
        if epoch < *accepted {
            let rule = Rule::EpochsRise { controller, component, epoch, accepted: *accepted, way };
            return self.note(Violation { at, grid, rule });
        }
        *accepted = epoch;
        let before = watched.writer.filter(|writer| epoch >= writer.epoch);
        let writer = Writer { controller, epoch, last_write: at, lost_at: None };
        let Some(before) = before else {
            if watched.writer.is_none() {
                watched.writer = Some(writer);
            }
            return;
        };
        if epoch == before.epoch {
            // A write that was on its way when its controller was lost brings nobody back.
            watched.writer = Some(Writer { lost_at: before.lost_at, ..writer });
            return;
        }
        watched.writer = Some(writer);
        let moved = before.controller != controller || before.lost_at.is_some();
        if moved && self.result.take_overs.len() < MAX_TAKE_OVERS_KEPT {
            let lease = self.leases.get(usize::from(before.controller)).copied().flatten();
            // On a clock that stands still a lease has no end.
            let lease = lease.filter(|lease| !lease.clock.stands_still());
            let ended = lease.map_or(before.last_write, |lease| lease.clock.run_time(lease.until));
            let lost_at = before.lost_at.unwrap_or(ended.max(before.last_write).min(at));
            self.result.take_overs.push(TakeOver {
                grid,
                from: before.controller,
                to: controller,
                lost_at,
                at,
            });
        }
    }

    /// A device that checks epochs has restarted and knows nothing of those that it accepted.
    pub(crate) fn restarted(&mut self, grid: u16, component: ComponentIndex) {
        self.grids[usize::from(grid)].accepted[usize::from(component.0)] = 0;
    }

    /// A controller knows again what it and the others promised.
    pub(crate) fn remembers(&mut self, controller: u16) {
        self.abstaining[usize::from(controller)].1 = false;
    }

    /// A controller may have lost what it promised; whether several of its grid have, who do not know each other's promises yet.
    pub(crate) fn forgets(&mut self, controller: u16) -> bool {
        let grid = self.abstaining[usize::from(controller)].0;
        self.abstaining[usize::from(controller)].1 = true;
        let members = self.abstaining.iter().filter(|of| of.0 == grid).count();
        let lost = self.abstaining.iter().filter(|of| **of == (grid, true)).count();
        // Fewer than a majority take nothing with them that nobody else knows; of a pair one may have acted alone.
        let is_enough = if members > 2 { lost > members / 2 } else { lost > 0 };
        if is_enough {
            let watched = &mut self.grids[usize::from(grid)];
            watched.highest = 0;
            watched.accepted.fill(0);
            let members = self.own.iter_mut().zip(&self.abstaining).filter(|(_, of)| of.0 == grid);
            members.for_each(|(own, _)| *own = 0);
        }
        lost > 1
    }

    /// A controller is gone.
    pub(crate) fn lost(&mut self, at: Time, grid: u16, controller: u16) {
        if let Some(lease) = &mut self.leases[usize::from(controller)] {
            lease.is_lost = true;
        }
        if let Some(writer) = &mut self.grids[usize::from(grid)].writer
            && writer.controller == controller
            && writer.lost_at.is_none()
        {
            writer.lost_at = Some(at);
        }
    }

    /// A host's clock runs otherwise from now on: leases that are counted on it are over at another instant.
    pub(crate) fn clock_changed(&mut self, host: u16, before: HostClock, clock: HostClock) {
        // A lease of a life before the last boot is counted on the clock of that life.
        let is_meant = |lease: &&mut Lease| lease.host == host && lease.clock == before;
        for lease in self.leases.iter_mut().flatten().filter(is_meant) {
            lease.clock = clock;
        }
    }

    /// Which epoch a controller that has not crashed since held last, and up to when in true time.
    pub(crate) fn held(&self, controller: u16) -> Option<(u64, Time)> {
        let lease = self.leases[usize::from(controller)].filter(|lease| !lease.is_lost)?;
        Some((lease.epoch, lease.clock.run_time(lease.until)))
    }

    /// An operator has vouched that all others of a grid are off.
    pub(crate) fn vouched(&mut self, at: Time, grid: u16) {
        if self.result.vouched.iter().all(|known| known.0 != grid) {
            self.result.vouched.push((grid, at));
        }
    }

    /// An operator asks a controller for something that is down.
    pub(crate) fn unheard(&mut self, at: Time, controller: u16, command: Command) {
        if self.result.unheard.len() < MAX_UNHEARD_KEPT {
            self.result.unheard.push(Unheard { at, controller, command });
        }
    }

    /// What was seen up to the run's end at `at`.
    pub(crate) fn result(&self, at: Time) -> AuthorityResult {
        let mut result = self.result.clone();
        for (grid, watched) in (0..).zip(&self.grids) {
            if let Some(since) = self.waits_since(at, grid, watched) {
                result.waiting.push((grid, since));
            }
        }
        result
    }

    /// Since when nobody has written in a grid who may.
    fn waits_since(&self, at: Time, grid: u16, watched: &Watched) -> Option<Time> {
        let mut leases = self.leases.iter().flatten().filter(|lease| lease.grid == grid);
        match watched.writer {
            None => (watched.is_shared && !leases.any(|lease| lease.counts(at))).then_some(Time::ZERO),
            Some(Writer { lost_at: Some(lost_at), .. }) => Some(lost_at),
            Some(writer) => {
                let lease = self.leases[usize::from(writer.controller)].filter(|lease| !lease.counts(at))?;
                Some(lease.clock.run_time(lease.until).max(writer.last_write))
            }
        }
    }

    fn note(&mut self, violation: Violation) {
        self.result.violation_count += 1;
        let kept = &mut self.result.violations;
        let is_first =
            || !kept.iter().any(|known| discriminant(&known.rule) == discriminant(&violation.rule));
        if kept.len() < MAX_VIOLATIONS_KEPT || is_first() {
            kept.push(violation);
        }
    }
}

impl Lease {
    fn counts(&self, at: Time) -> bool {
        self.clock.local(at) <= self.until
    }
}

#[cfg(test)]
mod tests;
