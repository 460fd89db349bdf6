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
//! Four things excuse. Who crashes while what it sends is late is heard for longer than it lives. Who has lost its devices keeps
//! its authority while it hears nobody to whom it could give it. Who boots meanwhile grants nothing at first and raises epochs:
//! the time counts from then. And a member that has just taken over may lose its devices before it writes.
//!
//! While a path between any two members is not as usual, or has not been for long, all takes [`Promised::settles_within`] longer:
//! a candidate that asked in vain asks less often, and one that hears no answers may hold votes that it cannot use.
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
    /// How much longer a device may be doubted that was silent.
    pub doubts_for: Span,
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

/// What a run showed of promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressResult {
    /// Those that were not kept, the first ones.
    pub late: Vec<Late>,
    /// How long the take-overs after crashes lasted that were promised and came, in time or late; the first ones.
    pub take_overs: Vec<Span>,
}

/// So many broken promises are kept, the first ones.
pub const MAX_LATE_KEPT: usize = 16;
/// So many promised take-overs are kept.
pub const MAX_TAKE_OVERS_KEPT: usize = 1 << 16;

/// What the world shows of a grid's members now.
pub(crate) trait Sight {
    /// Whether a member runs on a host whose clock is within `clock_rate_max_ppb`.
    fn runs(&self, place: u16, clock_rate_max_ppb: u32) -> bool;
    /// Whether all of its devices answer it as they should.
    fn reaches_devices(&self, place: u16) -> bool;
    /// Whether none of its devices is silent: what answers wrongly may be believed.
    fn hears_devices(&self, place: u16) -> bool;
    /// Whether the paths between two members are as usual, both ways.
    fn is_connected(&self, one: u16, other: u16) -> bool;
    /// Whether what passes from one to another is on its way no longer than usual.
    fn is_prompt(&self, from: u16, to: u16) -> bool;
}

/// Watches all grids that promise something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watch {
    grids: Vec<Grid>,
    result: ProgressResult,
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
    /// By member: whether its devices answer as they should, and whether it runs and they answer it at all.
    answers: Vec<bool>,
    reaches: Vec<bool>,
    /// When a member last lost its devices.
    devices_lost_at: Time,
    /// By member: until when its devices may be doubted.
    doubted_until: Vec<Time>,
    /// By member: whether another is able to which it could hand over.
    has_heir: Vec<bool>,
    /// By member: since when nothing that it sends is late.
    prompt: Vec<Option<Time>>,
    /// Since when all paths between its members are as usual.
    calm: Option<Time>,
    /// The core that was complete first, and since when.
    core: Option<(u16, Time)>,
    /// By member: whether it runs, and when one of them began to last.
    up: Vec<bool>,
    booted_at: Time,
    in_maintenance: Vec<bool>,
    /// By member: when an operator last began or ended its maintenance.
    maintenance_changed_at: Vec<Time>,
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
    /// Since when a take-over was due that is late.
    late_since: Option<Time>,
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
                answers: alloc::vec![true; members],
                reaches: alloc::vec![false; members],
                devices_lost_at: Time::ZERO,
                calm: None,
                doubted_until: alloc::vec![Time::ZERO; members],
                has_heir: alloc::vec![false; members],
                prompt: alloc::vec![None; members],
                core: None,
                up: alloc::vec![true; members],
                booted_at: Time::ZERO,
                in_maintenance: alloc::vec![false; members],
                maintenance_changed_at: alloc::vec![Time::ZERO; members],
                is_sole: false,
                changed_at: Time::ZERO,
                commanded_at: Time::ZERO,
                leases: alloc::vec![(0, Time::ZERO); members],
                writer: None,
                written_until: Time::ZERO,
                take_over_due: None,
                late_since: None,
                write_due: None,
                promised,
            }
        };
        Self {
            grids: promised.into_iter().map(grid).collect(),
            result: ProgressResult::default(),
            due: Time::MAX,
        }
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
                    grid.maintenance_changed_at[member] = at;
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
                let (held, ended) = grid.leases[member];
                grid.leases[member] = (epoch, until);
                // Who moves on to a higher epoch within its lease goes on with what it wrote.
                let goes_on = |writer: &&mut (u16, u64, Option<Time>)| {
                    (writer.0, writer.1, writer.2) == (place, held, None) && ended >= at
                };
                if let Some(writer) = grid.writer.as_mut().filter(goes_on) {
                    writer.1 = writer.1.max(epoch);
                }
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
            let since = grid.take_over_due.map(|due| due.since).or(grid.late_since.take());
            if let Some(since) = since
                && self.result.take_overs.len() < MAX_TAKE_OVERS_KEPT
            {
                self.result.take_overs.push(at.since(since));
            }
            // While the write was on its way its sender may have moved on to a higher epoch.
            grid.writer = Some((place, epoch.max(grid.leases[member].0), None));
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
                let was_held = grid.leases[member].1 > at && grid.is_prompt(at, member);
                grid.leases[member].1 = grid.leases[member].1.min(at);
                // What it was told last may not have been durable yet.
                let changed_at = grid.maintenance_changed_at[member];
                let is_durable = changed_at + grid.promised.settles_within < at;
                grid.in_maintenance[member] |= changed_at > Time::ZERO && !is_durable;
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
                grid.late_since = Some(due.since);
                found.push(note(due, Promise::TakesOver));
            }
            if let Some(due) = grid.write_due.take_if(|due| due.at < at) {
                found.push(note(due, Promise::Writes));
            }
            let room = MAX_LATE_KEPT - self.result.late.len();
            self.result.late.extend(found.into_iter().take(room));
        }
        self.set_due();
    }

    /// What was seen up to `at`.
    pub(crate) fn result(&self, at: Time) -> ProgressResult {
        let mut whole = self.clone();
        whole.expire(at);
        whole.result
    }

    fn set_due(&mut self) {
        let dues = self.grids.iter().flat_map(|grid| [grid.take_over_due, grid.write_due]);
        self.due = dues.flatten().map(|due| due.at).min().unwrap_or(Time::MAX);
    }
}

/// Notes since when something is so.
fn note(since: &mut Option<Time>, at: Time, is_so: bool) {
    match (is_so, *since) {
        (false, _) => *since = None,
        (true, None) => *since = Some(at),
        (true, Some(_)) => {}
    }
}

impl Grid {
    fn member(&self, place: u16) -> Option<usize> {
        self.promised.members.iter().position(|member| member.place == place)
    }

    /// Notes since when each member is able, and which votes it could have.
    fn look(&mut self, at: Time, sight: &impl Sight) {
        let rate = self.promised.clock_rate_max_ppb;
        for one in 0..self.promised.members.len() {
            let Member { place, writes, .. } = self.promised.members[one];
            let runs = sight.runs(place, rate);
            let is_up = sight.runs(place, u32::MAX);
            let was_up = core::mem::replace(&mut self.up[one], is_up);
            if is_up && !was_up {
                self.booted_at = at;
            }
            let answers = writes && sight.reaches_devices(place);
            let answered = core::mem::replace(&mut self.answers[one], answers);
            // Whatever its clock does, it may hold what it writes under.
            self.reaches[one] = writes && sight.hears_devices(place) && is_up;
            if answered && !answers && is_up {
                self.devices_lost_at = at;
            }
            if answers && !answered {
                self.doubted_until[one] = at + self.promised.doubts_for;
            }
            let is_able = runs && answers && !self.in_maintenance[one];
            note(&mut self.able[one], at.max(self.doubted_until[one]), is_able);
            let is_prompt = |other: &Member| sight.is_prompt(place, other.place);
            note(&mut self.prompt[one], at, self.promised.members.iter().all(is_prompt));
            self.look_at_votes(at, one, runs, sight);
        }
        let members = &self.promised.members;
        let mut pairs = members.iter().flat_map(|one| members.iter().map(move |other| (one, other)));
        let is_calm = pairs.all(|(one, other)| one == other || sight.is_connected(one.place, other.place));
        note(&mut self.calm, at, is_calm);
        for one in 0..self.promised.members.len() {
            let Member { place, .. } = self.promised.members[one];
            let others = self.promised.members.iter().zip(&self.able);
            let mut able = others.filter(|(other, able)| other.place != place && able.is_some());
            self.has_heir[one] = able.any(|(other, _)| sight.is_connected(place, other.place));
            let is_writer = self.writer.is_some_and(|writer| writer.0 == place);
            if is_writer && !self.writes_on(one) {
                self.written_until = self.written_until.min(at);
            }
        }
    }

    fn look_at_votes(&mut self, at: Time, one: usize, runs: bool, sight: &impl Sight) {
        let count = self.promised.members.len();
        let place = self.promised.members[one].place;
        for other in 0..count {
            let voter = self.promised.members[other];
            let is_there = voter.votes && runs && sight.runs(voter.place, self.promised.clock_rate_max_ppb);
            let is_connected = is_there && (one == other || sight.is_connected(place, voter.place));
            note(&mut self.votes[one * count + other], at, is_connected);
        }
    }

    /// Whether a member may keep its authority: it reaches its devices, or knows nobody who does.
    fn writes_on(&self, member: usize) -> bool {
        self.reaches[member] || !self.has_heir[member]
    }

    /// Whether nothing that a member has sent is later than usual.
    fn is_prompt(&self, at: Time, member: usize) -> bool {
        self.prompt[member]
            .is_some_and(|since| since == Time::ZERO || since + self.promised.settles_within <= at)
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
        self.written_until = if self.writes_on(member) { until } else { at.min(self.written_until) };
        self.reckon(at);
    }

    /// Reckons when which promise is due.
    fn reckon(&mut self, at: Time) {
        (self.take_over_due, self.write_due) = (None, None);
        if self.is_sole {
            return;
        }
        let Some((able, since)) = self.core else {
            self.late_since = None;
            return;
        };
        let Promised { settles_within, .. } = self.promised;
        let settled = since.max(self.commanded_at) + settles_within;
        if let Some((_, _, Some(lost_at))) = self.writer
            && settled <= lost_at
            && self.devices_lost_at <= lost_at
        {
            // Who boots grants nothing at first, and makes others raise their epochs.
            let due = self.booted_at.max(lost_at) + self.within(lost_at);
            if due >= at {
                self.take_over_due = Some(Due { at: due, since: lost_at, able });
            }
        }
        let since = self.written_until.max(settled).max(self.changed_at + settles_within);
        // What is over is not due again.
        let due = since + self.within(since);
        if due >= at {
            self.write_due = Some(Due { at: due, since, able });
        }
    }

    /// How long authority may take to come back after `since`.
    fn within(&self, since: Time) -> Span {
        let Promised { within, settles_within, .. } = self.promised;
        let is_calm = |calm: Time| calm == Time::ZERO || calm + settles_within <= since;
        if self.calm.is_some_and(is_calm) { within } else { within + settles_within }
    }
}

#[cfg(test)]
mod tests;
