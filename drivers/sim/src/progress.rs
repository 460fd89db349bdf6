//! Checks that authority comes back in time: whoever is able to take over does, and somebody writes while somebody can.
//!
//! It is apart from the code that it checks. What is **able** is read from the world alone: a *core* is a controller that runs,
//! with answering devices, an answering disk and a clock within its bound, and a majority of votes that run, have such disks
//! and clocks too, and whose paths to and from it are as they usually are. Of a pair without a witness that takes over on
//! silence the vote of who is down is not needed; one that waits for its owner promises nothing. A core counts when nothing about
//! it has changed for [`Promised::settles_within`]. A disk that once lost or changed what it was given belongs to none any more.
//! A life that began while its disk could not be read belongs to one soon after the disk can be: it must then begin anew.
//!
//! - **(d)** When the one that writes crashes and a core counts without it, a device accepts a write of another within
//!   [`Promised::within`], whatever else is broken.
//! - **(e)** When nothing at all has changed for the time to settle and a core counts, no longer than that passes without a
//!   controller that holds a lease, reaches its devices, and has written under it.
//! - **(e')** Then every other controller that runs, reaches its devices, has an answering disk and hears the active as usual
//!   stands by, ready to take over, as long as the active is one of that kind too: what they are they say of themselves.
//!
//! Four things excuse. Who asks for authority and crashes meanwhile keeps others from the votes that it was granted: the time
//! counts from that crash. Who crashes while what it sends is late is heard for longer than it lives. Who has lost its devices
//! keeps its authority while it hears nobody to whom it could give it. And a member that has just taken over may lose its
//! devices before it writes.
//!
//! While a path between any two members is not as usual, or has not been for long, all takes [`Promised::settles_within`] longer:
//! a candidate that asked in vain pauses, and asks less often.
//!
//! A controller in maintenance is no core, a command of an operator is a change, and while a member is declared `sole` its grid
//! promises nothing. Nor does one of which most members have lost their promises, until they know each other's again.

use alloc::vec::Vec;

use r_ems_engine::redundancy::{self, message::Heartbeat};
use r_ems_engine::{Span, Time};

mod grid;
mod standbys;

use grid::{Due, Grid, Orders};

/// What the redundancy of a shared grid promises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promised {
    /// Which grid.
    pub grid: u16,
    /// Its members, in the order of their seats.
    pub members: Vec<Member>,
    /// So many votes are a majority.
    pub majority: usize,
    /// Whether the vote of who is down is not needed: a pair without a witness that takes over on silence.
    pub needs_no_vote_of_the_dead: bool,
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
    /// Whether others may count on it to take over: it understands them, knows what they know, and loses no device by writing.
    pub is_heir: bool,
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
    /// A controller that could have written, or stood by, by its place in the fleet.
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
    /// While nothing changes, whoever does not write is ready to.
    StandsBy,
}

impl Promise {
    /// The names of all promises.
    pub const NAMES: [&'static str; 3] = [Self::TakesOver.name(), Self::Writes.name(), Self::StandsBy.name()];

    /// What it is called: what should have held.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TakesOver => "another takes over in time",
            Self::Writes => "somebody writes while somebody can",
            Self::StandsBy => "others stand by while they can",
        }
    }
}

/// What a run showed of promises.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgressResult {
    /// Those that were not kept, the first ones.
    pub late: Vec<Late>,
    /// How long the take-overs after crashes lasted that were promised and came, in time or late; the first ones.
    pub take_overs: Vec<Span>,
    /// While members of a grid may not have heard each other, the first times.
    pub apart: Vec<Apart>,
}

/// From when to when a path between members of a grid was not as usual, or one of them did not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Apart {
    /// In which grid.
    pub grid: u16,
    /// When it began; at the run's start nobody has heard anybody.
    pub from: Time,
    /// When it was over.
    pub to: Time,
}

/// So many broken promises are kept, the first ones.
pub const MAX_LATE_KEPT: usize = 16;
/// So many times that members of a grid were apart are kept; the last one then has no end.
pub const MAX_APART_KEPT: usize = 1 << 12;
/// So many promised take-overs are kept.
pub const MAX_TAKE_OVERS_KEPT: usize = 1 << 16;

/// What the world shows of a grid's members now.
pub(crate) trait Sight {
    /// Whether a member runs on a host whose clock is within `clock_rate_max_ppb`.
    fn runs(&self, place: u16, clock_rate_max_ppb: u32) -> bool;
    /// Whether nothing is to be heard of a member, since it is down or stands still.
    fn is_silent(&self, place: u16) -> bool;
    /// Whether the disk of its host answers as it should; then, for how long what was begun before may still last.
    fn disk_answers_after(&self, place: u16) -> Option<Span>;
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

impl Watch {
    /// Watches grids from the run's start.
    pub(crate) fn new(promised: Vec<Promised>) -> Self {
        Self {
            grids: promised.into_iter().map(Grid::new).collect(),
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

    /// An operator asked a member for something.
    pub(crate) fn commanded(&mut self, at: Time, place: u16) {
        for grid in self.grids.iter_mut().filter(|grid| grid.member(place).is_some()) {
            grid.commanded_at = at;
        }
    }

    /// A member promises something, or a promise of it is durable, or it begins a life with one: whether operators keep it in
    /// maintenance or have declared it sole is otherwise than before. What they asked for and it refused, it promises never.
    #[must_use]
    pub(crate) fn promised(
        &mut self,
        at: Time,
        place: u16,
        promise: &redundancy::Promise,
        is_durable: bool,
    ) -> bool {
        let mut has_changed = false;
        for grid in &mut self.grids {
            let Some(member) = grid.member(place) else { continue };
            let asked = Orders { is_sole: promise.is_sole, in_maintenance: promise.in_maintenance };
            let before = grid.orders[member];
            // What is given up counts until that is durable.
            let orders = if is_durable { asked } else { before.beside(asked) };
            grid.was_sole |= orders.is_sole;
            if orders != before {
                (grid.orders[member], grid.commanded_at) = (orders, at);
                has_changed = true;
            }
        }
        has_changed
    }

    /// Most members of a grid have lost what they promised, of which this is one.
    pub(crate) fn forgets(&mut self, place: u16) {
        for grid in self.grids.iter_mut().filter(|grid| grid.member(place).is_some()) {
            grid.forgetful.push(place);
        }
    }

    /// A member knows again what the others promised.
    pub(crate) fn remembers(&mut self, at: Time, place: u16) {
        for grid in self.grids.iter_mut().filter(|grid| grid.forgetful.contains(&place)) {
            grid.forgetful.retain(|known| *known != place);
            grid.commanded_at = at;
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
                if ended >= at && grid.wrote[member] == held {
                    grid.wrote[member] = epoch;
                }
                // Who moves on to a higher epoch within its lease goes on with what it wrote.
                let goes_on = |writer: &&mut (u16, u64, Option<Time>)| {
                    (writer.0, writer.1, writer.2) == (place, held, None) && ended >= at
                };
                if let Some(writer) = grid.writer.as_mut().filter(goes_on) {
                    writer.1 = writer.1.max(epoch);
                }
                if grid.writer.is_some_and(|writer| (writer.0, writer.1) == (place, epoch)) {
                    grid.holds(at, member);
                } else if grid.writes_beside(member, epoch) {
                    grid.written_until = grid.written_until.max(until);
                    grid.reckon(at);
                }
            }
        }
        self.set_due();
    }

    /// A lease that a member was told of ends at another instant in true time: the clock on which it counts stood still.
    pub(crate) fn goes_on(&mut self, place: u16, epoch: u64, until: Time) {
        for grid in &mut self.grids {
            if let Some(member) = grid.member(place)
                && grid.leases[member].0 == epoch
            {
                grid.leases[member].1 = until;
            }
        }
    }

    /// A device has accepted a write.
    pub(crate) fn accepted(&mut self, at: Time, place: u16, epoch: u64) {
        let mut has_changed = false;
        for grid in &mut self.grids {
            let Some(member) = grid.member(place) else { continue };
            grid.wrote[member] = grid.wrote[member].max(epoch);
            let is_older = grid.writer.is_some_and(|writer| epoch < writer.1) && !grid.outlives(at, member);
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

    /// A member says what it is.
    pub(crate) fn said(&mut self, at: Time, place: u16, heartbeat: &Heartbeat) {
        let mut is_news = false;
        for grid in &mut self.grids {
            let Some(member) = grid.member(place) else { continue };
            if grid.standbys.hear(at, member, heartbeat) {
                grid.reckon(at);
                is_news = true;
            }
        }
        if is_news {
            self.set_due();
        }
    }

    /// A controller is gone.
    pub(crate) fn lost(&mut self, at: Time, place: u16) {
        for grid in &mut self.grids {
            if let Some(member) = grid.member(place) {
                let was_held = grid.leases[member].1 > at && grid.is_prompt(at, member);
                grid.leases[member].1 = grid.leases[member].1.min(at);
                grid.standbys.forget(at, member);
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
            if let Some(due) = grid.standbys.due.take_if(|due| due.at < at) {
                found.push(note(due, Promise::StandsBy));
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
        whole.result.apart = whole.grids.into_iter().flat_map(|grid| grid.apart).collect();
        whole.result
    }

    fn set_due(&mut self) {
        let dues = self.grids.iter().flat_map(|grid| [grid.take_over_due, grid.write_due, grid.standbys.due]);
        self.due = dues.flatten().map(|due| due.at).min().unwrap_or(Time::MAX);
    }
}

#[cfg(test)]
mod tests;
