//! Checks that authority comes back in time: whoever is able to take over does, and somebody writes while somebody can.
//!
//! It is apart from the code that it checks. What is **able** is read from the world alone: a *core* is a controller that runs,
//! with answering devices and a clock within its bound, and a majority of votes that run, have such clocks too, and whose paths
//! to and from it are as they usually are. A core counts when nothing about it has changed for [`Promised::settles_within`].
//!
//! - **(d)** When the one that writes crashes and a core counts without it, a device accepts a write of another within
//!   [`Promised::within`], whatever else is broken.
//! - **(e)** When nothing at all has changed for the time to settle and a core counts, no longer than that passes without a
//!   controller that holds a lease, reaches its devices, and has written under it.
//!
//! A controller in maintenance is no core, a command of an operator is a change, and what was declared `sole` promises nothing.

use alloc::vec::Vec;

use r_ems_engine::{Span, Time};

/// What the redundancy of a shared grid promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// Which grid.
    pub grid: u16,
    /// Its members, in the order of their seats.
    pub members: Vec<Member>,
    /// So many votes are a majority.
    pub majority: usize,
    /// The longest take-over.
    pub within: Span,
    /// How long a change of the world may be felt.
    pub settles_within: Span,
    /// The bound of every host's clock-rate error, in parts per billion.
    pub clock_rate_max_ppb: u32,
}

/// A member of a grid's council.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its place in the fleet.
    pub place: u16,
    /// Whether it casts the vote of its host.
    pub votes: bool,
    /// Whether it can write; a witness cannot.
    pub writes: bool,
}

/// A promise that was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Late {
    /// When that was certain.
    pub at: Time,
    /// In which grid.
    pub grid: u16,
    /// Which promise.
    pub promise: Promise,
    /// A controller that could have written, by its place in the fleet.
    pub able: u16,
    /// Since when it should have begun.
    pub since: Time,
}

/// Promises of redundancy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// After a crash another writes in time.
    TakesOver,
    /// While nothing changes, somebody writes.
    Writes,
}

/// So many broken promises are kept, the first ones.
pub const MAX_LATE_KEPT: usize = 16;

/// What the world shows of a grid's members now.
pub(crate) trait Sight {
    /// Whether a member runs on a host whose clock is within `clock_rate_max_ppb`.
    fn runs(&self, place: u16, clock_rate_max_ppb: u32) -> bool;
    /// Whether all of its devices answer it.
    fn reaches_devices(&self, place: u16) -> bool;
    /// Whether the paths between two members are as usual, both ways.
    fn is_connected(&self, one: u16, other: u16) -> bool;
}

/// Watches all grids that promise something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    grids: Vec<Grid>,
    late: Vec<Late>,
    /// No promise is due before.
    due: Time,
}

#[derive(Clone, Debug)]
struct Grid {
    promised: Promised,
    /// By member: since when it could write, but for votes.
    able: Vec<Option<Time>>,
    /// By member and voter: since when the vote could be had.
    votes: Vec<Option<Time>>,
    /// By member: whether its devices answer it.
    reaches: Vec<bool>,
    /// The core that was complete first, and since when.
    core: Option<(u16, Time)>,
    in_maintenance: Vec<bool>,
    is_sole: bool,
    changed_at: Time,
    commanded_at: Time,
    /// By member: the epoch of its lease and when that ends.
    leases: Vec<(u64, Time)>,
    /// Who wrote last, under which epoch, and when it was lost.
    writer: Option<(u16, u64, Option<Time>)>,
    /// Until when somebody is known to hold what it writes under.
    written_until: Time,
    take_over_due: Option<Due>,
    write_due: Option<Due>,
}

#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    since: Time,
    able: u16,
}

impl Watch {
    /// Watches grids from the run's start.
    pub(crate) fn new(promised: Vec<Promised>) -> Self {
        let grid = |promised: Promised| {
            let members = promised.members.len();
            Grid {
                able: alloc::vec![None; members],
                votes: alloc::vec![None; members * members],
                reaches: alloc::vec![false; members],
                core: None,
                in_maintenance: alloc::vec![false; members],
                is_sole: false,
                changed_at: Time::ZERO,
                commanded_at: Time::ZERO,
                leases: alloc::vec![(0, Time::ZERO); members],
                writer: None,
                written_until: Time::ZERO,
                take_over_due: None,
                write_due: None,
                promised,
            }
        };
        Self { grids: promised.into_iter().map(grid).collect(), late: Vec::new(), due: Time::MAX }
    }

    /// Whether nobody promises anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.grids.is_empty()
    }

    /// When the next promise is due.
    #[inline]
    pub(crate) const fn due(&self) -> Time {
        self.due
    }

    /// An operator began or ended maintenance of a member, declared it sole, or asked for something else.
    pub(crate) fn commanded(&mut self, at: Time, place: u16, maintenance: Option<bool>, is_sole: bool) {
        for grid in &mut self.grids {
            if let Some(member) = grid.member(place) {
                grid.commanded_at = at;
                grid.is_sole |= is_sole;
                if let Some(begins) = maintenance {
                    grid.in_maintenance[member] = begins;
                }
            }
        }
    }

    /// Something has changed in the world.
    pub(crate) fn changed(&mut self, at: Time, sight: &impl Sight) {
        for grid in &mut self.grids {
            grid.look(at, sight);
            grid.core = grid.first_core();
            grid.changed_at = at;
            grid.reckon(at);
        }
        self.set_due();
    }

    /// The run begins.
    pub(crate) fn begun(&mut self, sight: &impl Sight) {
        self.changed(Time::ZERO, sight);
    }

    /// A controller tells of its lease; `until` is in true time.
    pub(crate) fn told(&mut self, at: Time, place: u16, epoch: u64, until: Time) {
        for grid in &mut self.grids {
            if let Some(member) = grid.member(place) {
                grid.leases[member] = (epoch, until);
                if grid.writer.is_some_and(|writer| (writer.0, writer.1) == (place, epoch)) {
                    grid.holds(at, member);
                }
            }
        }
        self.set_due();
    }

    /// A device has accepted a write.
    pub(crate) fn accepted(&mut self, at: Time, place: u16, epoch: u64) {
        let mut has_changed = false;
        for grid in &mut self.grids {
            let Some(member) = grid.member(place) else { continue };
            let is_older = grid.writer.is_some_and(|writer| epoch < writer.1);
            if is_older || grid.writer.is_some_and(|writer| (writer.0, writer.1) == (place, epoch)) {
                continue;
            }
            grid.writer = Some((place, epoch, None));
            grid.holds(at, member);
            has_changed = true;
        }
        if has_changed {
            self.set_due();
        }
    }

    /// A controller is gone.
    pub(crate) fn lost(&mut self, at: Time, place: u16) {
        for grid in &mut self.grids {
            if let Some(member) = grid.member(place) {
                let was_held = grid.leases[member].1 > at;
                grid.leases[member].1 = grid.leases[member].1.min(at);
                if let Some(writer) = grid.writer.as_mut().filter(|writer| writer.0 == place) {
                    grid.written_until = grid.written_until.min(at);
                    if was_held && writer.2.is_none() {
                        writer.2 = Some(at);
                    }
                }
            }
        }
    }

    /// Time has passed what was due.
    #[cold]
    pub(crate) fn expire(&mut self, at: Time) {
        for grid in &mut self.grids {
            let id = grid.promised.grid;
            let note =
                |due: Due, promise| Late { at: due.at, grid: id, promise, able: due.able, since: due.since };
            let mut found = Vec::new();
            if let Some(due) = grid.take_over_due.take_if(|due| due.at < at) {
                found.push(note(due, Promise::TakesOver));
            }
            if let Some(due) = grid.write_due.take_if(|due| due.at < at) {
                found.push(note(due, Promise::Writes));
            }
            let room = MAX_LATE_KEPT - self.late.len();
            self.late.extend(found.into_iter().take(room));
        }
        self.set_due();
    }

    /// The promises that were not kept up to `at`.
    pub(crate) fn result(&self, at: Time) -> Vec<Late> {
        let mut whole = self.clone();
        whole.expire(at);
        whole.late
    }

    fn set_due(&mut self) {
        let dues = self.grids.iter().flat_map(|grid| [grid.take_over_due, grid.write_due]);
        self.due = dues.flatten().map(|due| due.at).min().unwrap_or(Time::MAX);
    }
}

impl Grid {
    fn member(&self, place: u16) -> Option<usize> {
        self.promised.members.iter().position(|member| member.place == place)
    }

    /// Notes since when each member is able, and which votes it could have.
    fn look(&mut self, at: Time, sight: &impl Sight) {
        let rate = self.promised.clock_rate_max_ppb;
        let note = |since: &mut Option<Time>, is_so: bool| match (is_so, *since) {
            (false, _) => *since = None,
            (true, None) => *since = Some(at),
            (true, Some(_)) => {}
        };
        let count = self.promised.members.len();
        for one in 0..count {
            let member = self.promised.members[one];
            let runs = sight.runs(member.place, rate);
            let reaches = member.writes && runs && sight.reaches_devices(member.place);
            self.reaches[one] = reaches;
            note(&mut self.able[one], reaches && !self.in_maintenance[one]);
            if self.writer.is_some_and(|writer| writer.0 == member.place) && !reaches {
                self.written_until = self.written_until.min(at);
            }
            for other in 0..count {
                let voter = self.promised.members[other];
                let is_there = voter.votes && runs && sight.runs(voter.place, rate);
                let is_connected =
                    is_there && (one == other || sight.is_connected(member.place, voter.place));
                note(&mut self.votes[one * count + other], is_connected);
            }
        }
    }

    /// The core that was complete first, and since when.
    fn first_core(&self) -> Option<(u16, Time)> {
        let count = self.promised.members.len();
        let complete = |(one, member): (usize, &Member)| {
            let able = self.able[one]?;
            let mut votes: Vec<Time> =
                self.votes[one * count..(one + 1) * count].iter().copied().flatten().collect();
            votes.sort_unstable();
            let last = *votes.get(self.promised.majority - 1)?;
            Some((member.place, able.max(last)))
        };
        self.promised.members.iter().enumerate().filter_map(complete).min_by_key(|core| core.1)
    }

    /// The one that wrote last tells of its lease, or has begun to write under it.
    fn holds(&mut self, at: Time, member: usize) {
        let until = self.leases[member].1.max(at);
        self.written_until = if self.reaches[member] { until } else { at.min(self.written_until) };
        self.reckon(at);
    }

    /// Reckons when which promise is due.
    fn reckon(&mut self, at: Time) {
        (self.take_over_due, self.write_due) = (None, None);
        if self.is_sole {
            return;
        }
        let Some((able, since)) = self.core else { return };
        let Promised { within, settles_within, .. } = self.promised;
        let settled = since.max(self.commanded_at) + settles_within;
        if let Some((_, _, Some(lost_at))) = self.writer
            && settled <= lost_at
            && lost_at + within >= at
        {
            self.take_over_due = Some(Due { at: lost_at + within, since: lost_at, able });
        }
        let since = self.written_until.max(settled).max(self.changed_at + settles_within);
        // What is over is not due again.
        if since + within >= at {
            self.write_due = Some(Due { at: since + within, since, able });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Members 0 and 1 write, member 2 is a witness.
    struct World {
        runs: [bool; 3],
        reaches: [bool; 2],
        is_split: bool,
    }

    const WHOLE: World = World { runs: [true; 3], reaches: [true; 2], is_split: false };

    impl Sight for World {
        fn runs(&self, place: u16, _clock_rate_max_ppb: u32) -> bool {
            self.runs[usize::from(place)]
        }

        fn reaches_devices(&self, place: u16) -> bool {
            self.reaches[usize::from(place)]
        }

        fn is_connected(&self, _one: u16, _other: u16) -> bool {
            !self.is_split
        }
    }

    fn at(millis: u64) -> Time {
        Time::ZERO + Span::from_millis(millis)
    }

    /// Takes over within 40 ms, settles within a second.
    fn watch() -> Watch {
        let member = |place| Member { place, votes: true, writes: place < 2 };
        let promised = Promised {
            grid: 0,
            members: (0..3).map(member).collect(),
            majority: 2,
            within: Span::from_millis(40),
            settles_within: Span::from_secs(1),
            clock_rate_max_ppb: 0,
        };
        let mut watch = Watch::new(alloc::vec![promised]);
        watch.begun(&WHOLE);
        watch
    }

    /// Member 0 has written for two seconds and crashes.
    fn crashed() -> Watch {
        let mut watch = watch();
        watch.told(at(100), 0, 256, at(2_010));
        watch.accepted(at(101), 0, 256);
        watch.lost(at(2_000), 0);
        watch.changed(at(2_000), &World { runs: [false, true, true], ..WHOLE });
        watch
    }

    #[test]
    fn a_take_over_in_time_keeps_the_promise_and_a_late_one_does_not() {
        let mut in_time = crashed();
        in_time.accepted(at(2_040), 1, 513);
        assert_eq!(in_time.result(at(2_100)), []);
        let late = Late { at: at(2_040), grid: 0, promise: Promise::TakesOver, able: 1, since: at(2_000) };
        assert_eq!(crashed().result(at(2_041)), [late]);
        assert_eq!(crashed().result(at(2_040)), []);
    }

    #[test]
    fn nothing_is_promised_while_no_core_is_whole() {
        for broken in [
            World { runs: [false, true, false], ..WHOLE },
            World { runs: [false, true, true], is_split: true, ..WHOLE },
            World { runs: [false, true, true], reaches: [true, false], ..WHOLE },
        ] {
            let mut watch = crashed();
            watch.changed(at(2_010), &broken);
            assert_eq!(watch.result(at(9_000)), []);
        }
        let mut watch = crashed();
        watch.commanded(at(2_005), 1, Some(true), false);
        watch.changed(at(2_005), &World { runs: [false, true, true], ..WHOLE });
        assert_eq!(watch.result(at(9_000)), [], "the one that is left is in maintenance");
    }

    #[test]
    fn while_nothing_changes_somebody_writes_once_all_has_settled() {
        // Nobody ever writes: the start settles for a second, and a take-over may last.
        let late = Late { at: at(1_040), grid: 0, promise: Promise::Writes, able: 0, since: at(1_000) };
        assert_eq!(watch().result(at(1_041)), [late]);
        let mut watch = watch();
        watch.told(at(900), 0, 256, at(1_500));
        watch.accepted(at(901), 0, 256);
        watch.told(at(1_400), 0, 256, at(2_000));
        assert_eq!(watch.result(at(2_040)), []);
        // The lease has ended, and nobody has another.
        assert_eq!(watch.result(at(2_041)).len(), 1);
    }

    #[test]
    fn who_holds_a_lease_but_reaches_no_device_does_not_write() {
        let mut watch = watch();
        watch.told(at(100), 0, 256, at(60_000));
        watch.accepted(at(101), 0, 256);
        watch.changed(at(5_000), &World { reaches: [false, true], ..WHOLE });
        let late = Late { at: at(6_040), grid: 0, promise: Promise::Writes, able: 1, since: at(6_000) };
        assert_eq!(watch.result(at(7_000)), [late]);
    }
}
