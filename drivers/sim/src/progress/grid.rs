//! What is known of one grid's members, and when which promise is due.

use alloc::vec::Vec;

use r_ems_engine::{Span, Time};

use super::standbys::Standbys;
use super::{Apart, MAX_APART_KEPT, Member, Promised, Sight};

#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) promised: Promised,
    /// By member: since when it could write, but for votes.
    able: Vec<Option<Time>>,
    /// By member and voter: since when the vote could be had.
    votes: Vec<Option<Time>>,
    /// By member: whether its devices answer as they should, and whether it runs and they answer it at all.
    answers: Vec<bool>,
    reaches: Vec<bool>,
    /// When a member last lost its devices.
    devices_lost_at: Time,
    /// When a member that may ask for authority last fell silent.
    fell_at: Time,
    /// By member: until when its devices may be doubted.
    doubted_until: Vec<Time>,
    /// By member: whether another is able to which it could hand over.
    has_heir: Vec<bool>,
    /// Since when all paths between its members are as usual.
    calm: Option<Time>,
    /// When its members may not have heard each other, in order.
    pub(super) apart: Vec<Apart>,
    /// By member: since when the disk of its host answers, and what it began before is over.
    disks: Vec<Option<Time>>,
    /// By member: since when nothing that it sends is late.
    prompt: Vec<Option<Time>>,
    /// The core that was complete first, and since when.
    pub(super) core: Option<(u16, Time)>,
    /// By member: whether it runs.
    up: Vec<bool>,
    /// By member: what operators want of it.
    pub(super) orders: Vec<Orders>,
    pub(super) changed_at: Time,
    pub(super) commanded_at: Time,
    /// By member: the epoch of its lease and when that ends.
    pub(super) leases: Vec<(u64, Time)>,
    /// Who wrote last, under which epoch, and when it was lost.
    pub(super) writer: Option<(u16, u64, Option<Time>)>,
    /// By member: the highest epoch under which it wrote, or to which it moved on from that within its lease.
    pub(super) wrote: Vec<u64>,
    /// An operator vouched once for one of them that all others are off.
    pub(super) was_sole: bool,
    /// Members that have lost their promises when most had.
    pub(super) forgetful: Vec<u16>,
    /// Until when somebody is known to hold what it writes under.
    pub(super) written_until: Time,
    pub(super) take_over_due: Option<Due>,
    /// Since when a take-over was due that is late.
    pub(super) late_since: Option<Time>,
    pub(super) write_due: Option<Due>,
    pub(super) standbys: Standbys,
    /// By member and other: whether the paths between them are as usual.
    joined: Vec<bool>,
}

/// What operators want of a member for as long as they do not take it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Orders {
    pub(super) is_sole: bool,
    pub(super) in_maintenance: bool,
}

impl Orders {
    /// What one of both wants.
    pub(super) const fn beside(self, other: Self) -> Self {
        Self {
            is_sole: self.is_sole || other.is_sole,
            in_maintenance: self.in_maintenance || other.in_maintenance,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) at: Time,
    pub(super) since: Time,
    pub(super) able: u16,
}

impl Grid {
    /// Watches from the run's start.
    pub(super) fn new(promised: Promised) -> Self {
        let members = promised.members.len();
        Self {
            able: alloc::vec![None; members],
            votes: alloc::vec![None; members * members],
            answers: alloc::vec![true; members],
            reaches: alloc::vec![false; members],
            devices_lost_at: Time::ZERO,
            fell_at: Time::ZERO,
            doubted_until: alloc::vec![Time::ZERO; members],
            has_heir: alloc::vec![false; members],
            calm: None,
            apart: alloc::vec![Apart { grid: promised.grid, from: Time::ZERO, to: Time::MAX }],
            disks: alloc::vec![None; members],
            prompt: alloc::vec![None; members],
            core: None,
            up: alloc::vec![true; members],
            orders: alloc::vec![Orders::default(); members],
            changed_at: Time::ZERO,
            commanded_at: Time::ZERO,
            leases: alloc::vec![(0, Time::ZERO); members],
            writer: None,
            wrote: alloc::vec![0; members],
            was_sole: false,
            forgetful: Vec::new(),
            written_until: Time::ZERO,
            take_over_due: None,
            late_since: None,
            write_due: None,
            standbys: Standbys::new(members),
            joined: alloc::vec![false; members * members],
            promised,
        }
    }

    pub(super) fn member(&self, place: u16) -> Option<usize> {
        self.promised.members.iter().position(|member| member.place == place)
    }

    /// Notes since when each member is able, and which votes it could have.
    pub(super) fn look(&mut self, at: Time, sight: &impl Sight) {
        let (rate, count) = (self.promised.clock_rate_max_ppb, self.promised.members.len());
        for one in 0..count {
            let is_up = sight.runs(self.promised.members[one].place, u32::MAX);
            if core::mem::replace(&mut self.up[one], is_up) != is_up {
                // Whoever counts on its vote, or on its silence, begins anew.
                (0..count).for_each(|other| *self.vote(other, one) = None);
                if !is_up && self.promised.members[one].writes {
                    self.fell_at = at;
                }
            }
        }
        for one in 0..count {
            let Member { place, writes, is_heir, .. } = self.promised.members[one];
            let (runs, is_up) = (sight.runs(place, rate), self.up[one]);
            let answers = writes && is_heir && sight.reaches_devices(place);
            let answered = core::mem::replace(&mut self.answers[one], answers);
            // Whatever its clock does, it may hold what it writes under.
            self.reaches[one] = writes && sight.hears_devices(place) && is_up;
            if answered && !answers && is_up {
                self.devices_lost_at = at;
            }
            if answers && !answered {
                self.doubted_until[one] = at + self.promised.doubts_for;
            }
            let disk = sight.disk_answers_after(place);
            // At the run's start nothing was begun before.
            let begun_before = disk.filter(|_span| at > Time::ZERO).unwrap_or(Span::ZERO);
            note(&mut self.disks[one], at + begun_before, disk.is_some());
            let is_able = runs && answers && !self.orders[one].in_maintenance;
            note(&mut self.able[one], at.max(self.doubted_until[one]), is_able);
            let is_prompt = |other: &Member| sight.is_prompt(place, other.place);
            note(&mut self.prompt[one], at, self.promised.members.iter().all(is_prompt));
            self.look_at_votes(at, one, runs, sight);
        }
        let members = &self.promised.members;
        let mut pairs = members.iter().flat_map(|one| members.iter().map(move |other| (one, other)));
        let is_calm = pairs.all(|(one, other)| one == other || sight.is_connected(one.place, other.place));
        note(&mut self.calm, at, is_calm);
        self.note_apart(at, is_calm && self.up.iter().all(|is_up| *is_up));
        for one in 0..count {
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

    fn note_apart(&mut self, at: Time, is_together: bool) {
        let has_room = self.apart.len() < MAX_APART_KEPT;
        match self.apart.last_mut().filter(|last| last.to == Time::MAX) {
            Some(last) if is_together && has_room => last.to = at,
            None if !is_together => {
                let grid = self.promised.grid;
                self.apart.push(Apart { grid, from: at, to: Time::MAX });
            }
            Some(_) | None => {}
        }
    }

    fn look_at_votes(&mut self, at: Time, one: usize, runs: bool, sight: &impl Sight) {
        let place = self.promised.members[one].place;
        for other in 0..self.promised.members.len() {
            let voter = self.promised.members[other];
            let votes = sight.runs(voter.place, self.promised.clock_rate_max_ppb)
                && (one == other || sight.is_connected(place, voter.place));
            let is_dead = self.promised.needs_no_vote_of_the_dead && sight.is_silent(voter.place);
            note(self.vote(one, other), at, voter.votes && runs && (votes || is_dead));
            self.joined[one * self.promised.members.len() + other] = sight.is_connected(place, voter.place);
        }
    }

    fn vote(&mut self, one: usize, other: usize) -> &mut Option<Time> {
        &mut self.votes[one * self.promised.members.len() + other]
    }

    /// Whether a member may keep its authority: it reaches its devices, or knows nobody who does.
    fn writes_on(&self, member: usize) -> bool {
        self.reaches[member] || !self.has_heir[member]
    }

    /// Whether nothing that a member has sent is later than usual.
    pub(super) fn is_prompt(&self, at: Time, member: usize) -> bool {
        self.prompt[member]
            .is_some_and(|since| since == Time::ZERO || since + self.promised.settles_within <= at)
    }

    /// Whether a member holds authority while the one that wrote last does no more, where they may overlap: it never heard of a
    /// higher epoch, and goes on with its own.
    pub(super) fn outlives(&self, at: Time, member: usize) -> bool {
        let holds = |member: usize| self.leases[member].1 > at;
        let writer = self.writer.and_then(|writer| self.member(writer.0));
        self.may_overlap() && holds(member) && writer.is_some_and(|writer| !holds(writer))
    }

    /// Whether two may have held authority at once, one of which never heard of the other's epoch: by the rules of a pair that
    /// takes over on silence, or because an operator vouched in vain.
    const fn may_overlap(&self) -> bool {
        self.promised.needs_no_vote_of_the_dead || self.was_sole
    }

    /// Whether a member has written under its epoch though another wrote last: it goes on beside that one where they may
    /// overlap, or has moved above it.
    pub(super) fn writes_beside(&self, member: usize, epoch: u64) -> bool {
        let may = self.may_overlap() || self.writer.is_some_and(|last| epoch > last.1);
        may && self.wrote[member] == epoch && self.writes_on(member)
    }

    /// The core that was complete first, and since when.
    pub(super) fn first_core(&self) -> Option<(u16, Time)> {
        let count = self.promised.members.len();
        let complete = |(one, member): (usize, &Member)| {
            let able = self.able[one]?.max(self.disks[one]?);
            let votes = self.votes[one * count..(one + 1) * count].iter().zip(&self.disks);
            // A dead voter's disk is asked for nothing; its vote is had only where it is not needed.
            let of = |(other, (vote, disk)): (usize, (&Option<Time>, &Option<Time>))| {
                if self.up[other] { vote.zip(*disk).map(|(vote, disk)| vote.max(disk)) } else { *vote }
            };
            let mut votes: Vec<Time> = votes.enumerate().filter_map(of).collect();
            votes.sort_unstable();
            let last = *votes.get(self.promised.majority - 1)?;
            Some((member.place, able.max(last)))
        };
        self.promised.members.iter().enumerate().filter_map(complete).min_by_key(|core| core.1)
    }

    /// The one that wrote last tells of its lease, or has begun to write under it.
    pub(super) fn holds(&mut self, at: Time, member: usize) {
        let until = self.leases[member].1.max(at);
        self.written_until = if self.writes_on(member) { until } else { at.min(self.written_until) };
        self.reckon(at);
    }

    /// Reckons when which promise is due.
    pub(super) fn reckon(&mut self, at: Time) {
        (self.take_over_due, self.write_due, self.standbys.due) = (None, None, None);
        if !self.forgetful.is_empty() || self.orders.iter().any(|orders| orders.is_sole) {
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
            // Who asked and fell silent keeps the votes that it was granted from others until they run out.
            let due = lost_at.max(self.fell_at) + self.within(lost_at);
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
        self.standbys.due = self.stands_by_due(at);
    }

    /// When the first member must be a ready standby that is none.
    fn stands_by_due(&self, at: Time) -> Option<Due> {
        let (active, active_since) = self.standbys.active()?;
        let sends = self.fit(active)?.max(active_since).max(self.changed_at).max(self.commanded_at);
        let due = |(member, misplaced): (usize, Time)| {
            let fit =
                self.fit(member).filter(|_fit| self.joined[active * self.promised.members.len() + member])?;
            let since = misplaced.max(fit.max(sends) + self.promised.settles_within);
            let due = since + self.within(since);
            (due >= at).then_some(Due { at: due, since, able: self.promised.members[member].place })
        };
        self.standbys.misplaced().filter_map(due).min_by_key(|due| due.at)
    }

    /// Since when a member could write, but for votes, and its disk answers.
    fn fit(&self, member: usize) -> Option<Time> {
        Some(self.able[member]?.max(self.disks[member]?))
    }

    /// How long authority may take to come back after `since`.
    fn within(&self, since: Time) -> Span {
        let Promised { within, settles_within, .. } = self.promised;
        let is_calm = |calm: Time| calm == Time::ZERO || calm + settles_within <= since;
        if self.calm.is_some_and(is_calm) { within } else { within + settles_within }
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
