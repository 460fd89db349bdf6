//! Checks that there is one authority at a time, and measures how long a grid is without one.
//!
//! It is apart from the code that it checks: it knows what controllers told their driver and what devices accepted, never a
//! machine. It looks from outside, in true time:
//!
//! - **(a)** at most one controller of a grid holds a lease that is ahead of its own host's clock;
//! - **(b)** after a device has accepted an epoch it accepts none lower.
//!
//! A take-over is measured from the loss of the one that wrote (its crash, or else its last accepted write) to the first write
//! that a device accepts from another, or from a new life of the same.

use alloc::vec::Vec;

use r_ems_engine::redundancy::Command;
use r_ems_engine::{LocalTime, Span, Time};

use crate::plant::ComponentIndex;
use crate::world::HostClock;

/// So many violations are kept, the first ones: they are nearest to the cause.
pub const MAX_VIOLATIONS_KEPT: usize = 16;
/// So many commands that nobody heard are kept.
pub const MAX_UNHEARD_KEPT: usize = 64;
/// So many take-overs are kept.
pub const MAX_TAKE_OVERS_KEPT: usize = 1 << 16;

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When.
    pub at: Time,
    /// In which grid.
    pub grid: u16,
    /// Which rule.
    pub rule: Rule,
}

/// The rules, with who broke them; controllers by their places in the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Two leases counted at one instant.
    OneAuthority {
        /// The one that was told of last.
        controller: u16,
        /// The other.
        other: u16,
    },
    /// A device accepted a lower epoch than before.
    EpochsRise {
        /// Whose write.
        controller: u16,
        /// On which component of the grid's plant.
        component: ComponentIndex,
        /// Its epoch.
        epoch: u64,
        /// The highest that had been accepted.
        accepted: u64,
    },
}

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
    result: AuthorityResult,
}

#[derive(Clone, Debug)]
struct Watched {
    /// The highest epoch that each component has accepted.
    accepted: Vec<u64>,
    writer: Option<Writer>,
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

/// What a controller told of its lease.
#[derive(Clone, Copy, Debug)]
struct Lease {
    grid: u16,
    host: u16,
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
            is_shared: controllers.iter().filter(|of| **of == grid).count() > 1,
        };
        Self {
            grids: (0..).zip(components).map(watched).collect(),
            leases: alloc::vec![None; controllers.len()],
            result: AuthorityResult::default(),
        }
    }

    /// A controller tells that its lease counts up to `until`.
    pub(crate) fn told(
        &mut self,
        at: Time,
        (grid, host, controller): (u16, u16, u16),
        until: LocalTime,
        clock: HostClock,
    ) {
        let lease = Lease { grid, host, until, clock };
        self.leases[usize::from(controller)] = Some(lease);
        if !lease.counts(at) {
            return;
        }
        for other in 0..self.leases.len() {
            let counts = self.leases[other].is_some_and(|known| known.grid == grid && known.counts(at));
            if other != usize::from(controller) && counts {
                let rule = Rule::OneAuthority { controller, other: other as u16 };
                self.note(Violation { at, grid, rule });
            }
        }
    }

    /// Whether a device that checks epochs refuses this one.
    pub(crate) fn is_outdated(&self, grid: u16, component: ComponentIndex, epoch: u64) -> bool {
        epoch < self.grids[usize::from(grid)].accepted[usize::from(component.0)]
    }

    /// A device has accepted a write.
    pub(crate) fn accepted(
        &mut self,
        at: Time,
        (grid, controller): (u16, u16),
        component: ComponentIndex,
        epoch: u64,
    ) {
        let watched = &mut self.grids[usize::from(grid)];
        let accepted = &mut watched.accepted[usize::from(component.0)];
        if epoch < *accepted {
            let rule = Rule::EpochsRise { controller, component, epoch, accepted: *accepted };
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

    /// A controller is gone.
    pub(crate) fn lost(&mut self, at: Time, grid: u16, controller: u16) {
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
        if self.result.violations.len() < MAX_VIOLATIONS_KEPT {
            self.result.violations.push(violation);
        }
    }
}

impl Lease {
    fn counts(&self, at: Time) -> bool {
        self.clock.local(at) <= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATTERY: ComponentIndex = ComponentIndex(1);

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    fn until(millis: u64) -> LocalTime {
        LocalTime::ZERO + Span::from_millis(millis)
    }

    #[test]
    fn two_leases_that_count_at_one_instant_are_found_and_one_after_the_other_is_not() {
        let mut watcher = Watcher::new(&[2], &[0, 0]);
        watcher.told(at(0), (0, 0, 0), until(20), HostClock::TRUE);
        watcher.told(at(21), (0, 1, 1), until(41), HostClock::TRUE);
        assert_eq!(watcher.result(at(200)).violation_count, 0);
        // The first host's clock turns out to be slow: its lease still counts.
        let mut watcher = Watcher::new(&[2], &[0, 0]);
        let slow = HostClock { rate_ppb: -100_000_000, ..HostClock::TRUE };
        watcher.told(at(0), (0, 0, 0), until(20), slow);
        watcher.told(at(21), (0, 1, 1), until(41), HostClock::TRUE);
        let rule = Rule::OneAuthority { controller: 1, other: 0 };
        assert_eq!(watcher.result(at(200)).violations, [Violation { at: at(21), grid: 0, rule }]);
    }

    #[test]
    fn a_lower_epoch_on_a_device_is_found() {
        let mut watcher = Watcher::new(&[2], &[0, 0]);
        watcher.accepted(at(1), (0, 0), BATTERY, 256);
        watcher.accepted(at(2), (0, 1), BATTERY, 513);
        assert!(watcher.is_outdated(0, BATTERY, 256) && !watcher.is_outdated(0, BATTERY, 513));
        watcher.accepted(at(3), (0, 0), BATTERY, 256);
        assert_eq!(watcher.result(at(200)).violation_count, 1);
    }

    #[test]
    fn a_take_over_is_measured_from_the_crash_to_the_first_accepted_write_of_the_next() {
        let mut watcher = Watcher::new(&[2], &[0, 0]);
        watcher.accepted(at(100), (0, 0), BATTERY, 256);
        watcher.lost(at(104), 0, 0);
        watcher.accepted(at(105), (0, 0), BATTERY, 256);
        assert_eq!(watcher.result(at(110)).waiting, [(0, at(104))]);
        watcher.accepted(at(131), (0, 1), BATTERY, 513);
        let found = watcher.result(at(200));
        let taken = TakeOver { grid: 0, from: 0, to: 1, lost_at: at(104), at: at(131) };
        assert_eq!((found.take_overs.as_slice(), found.waiting.len()), (&[taken][..], 0));
        assert_eq!(taken.gap(), Span::from_millis(27));
    }

    #[test]
    fn a_grid_waits_whose_writer_lost_its_lease_and_one_in_which_nobody_ever_wrote() {
        let mut watcher = Watcher::new(&[2, 2, 2], &[0, 0, 1, 1, 2]);
        watcher.told(at(100), (0, 0, 0), until(120), HostClock::TRUE);
        watcher.accepted(at(101), (0, 0), BATTERY, 256);
        assert_eq!(watcher.result(at(120)).waiting, [(1, Time::ZERO)], "one that is alone does not share");
        let waiting = [(0, at(120)), (1, Time::ZERO)];
        assert_eq!(watcher.result(at(121)).waiting, waiting);
        watcher.told(at(130), (1, 1, 2), until(150), HostClock::TRUE);
        assert_eq!(watcher.result(at(140)).waiting, [(0, at(120))], "it is about to write");
    }
}
