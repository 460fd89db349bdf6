//! Checks what of a controller outlives it: what was called durable is found again, and the state that a life begins with is one
//! in which the life before really stood.
//!
//! It compares chains: of everything that a controller asked for up to a delivery, a recovery must give exactly that of a
//! delivery no earlier than the last that was called durable, and nothing that was durable may be found damaged. Where its disk
//! lied, or cannot be read, nothing is expected of it.
//!
//! Apart from the code that it checks: it sees what the journal says and what a recovery gives, and nothing of how.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use r_ems_engine::log::ChainPair;
use r_ems_engine::persistence::recovery::Finding;
use r_ems_engine::persistence::{JournalStatus, Kept, Origin, Recovered};
use r_ems_engine::redundancy::Promise;
use r_ems_engine::{Span, Time};

/// Most findings that are kept for one controller, the first ones.
pub const MAX_BROKEN: usize = 100;

/// A rule of persistence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// What was called durable was not found again, or the state found was never there.
    State,
    /// A promise that was called durable was not found again, or the next one was less.
    Promise,
    /// What was called durable was found damaged, though the disk did not lie.
    Damage,
}

impl Rule {
    /// The names of all rules; a state that is damaged did not survive.
    pub const NAMES: [&'static str; 2] = [Self::State.name(), Self::Promise.name()];

    /// What the rule is called: what should have held.
    pub const fn name(self) -> &'static str {
        match self {
            Self::State | Self::Damage => "what is durable survives crashes",
            Self::Promise => "promises survive crashes",
        }
    }
}

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken {
    /// When it was found.
    pub at: Time,
    /// Which.
    pub rule: Rule,
}

/// How often lives began, by what they began with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recoveries {
    /// With the state of the life before.
    pub replayed: u64,
    /// With an older one, because what followed was damaged or failed an assertion.
    pub damaged: u64,
    /// As the controller was made.
    pub fresh: u64,
}

/// What became of one controller's persistence in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survival {
    /// Snapshots that became durable, and that did not.
    pub snapshots: (u64, u64),
    /// Lives that ended in order: with their last state durable, and without.
    pub ended: (u64, u64),
    /// Lives after the first.
    pub recoveries: Recoveries,
    /// How long its journal could not be kept.
    pub degraded: Span,
    /// Rules that were broken.
    pub broken: Vec<Broken>,
    degraded_since: Option<Time>,
    /// What it had asked for at the end of each delivery that may be found again.
    stood: Stood,
    /// The same of lives before, the newest last, as long as nothing of a later one is durable.
    earlier: Vec<Stood>,
    /// What it promised: none of it ever becomes less.
    promised: Kept,
}

/// The ends of deliveries of one life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stood {
    ends: VecDeque<(u64, ChainPair)>,
    durable: u64,
}

impl Stood {
    fn has(&self, chains: ChainPair) -> bool {
        self.ends.iter().any(|(recorded, end)| *recorded >= self.durable && *end == chains)
    }
}

impl Survival {
    /// Nothing has happened yet.
    pub const fn new() -> Self {
        Self {
            snapshots: (0, 0),
            ended: (0, 0),
            recoveries: Recoveries { replayed: 0, damaged: 0, fresh: 0 },
            degraded: Span::ZERO,
            broken: Vec::new(),
            degraded_since: None,
            stood: Stood { ends: VecDeque::new(), durable: 0 },
            earlier: Vec::new(),
            promised: Kept::NOTHING,
        }
    }

    /// A life begins from what was recovered.
    pub fn begins(&mut self, chains: ChainPair) {
        self.stood = Stood { ends: [(0, chains)].into(), durable: 0 };
    }

    /// A delivery has ended: so many have been recorded, this was asked for, so many are durable.
    pub fn stands(&mut self, recorded: u64, chains: ChainPair, durable: u64) {
        self.stood.ends.push_back((recorded, chains));
        self.is_durable(durable);
    }

    /// So many deliveries of this life are durable.
    pub fn is_durable(&mut self, durable: u64) {
        if durable > 0 {
            self.earlier.clear();
        }
        self.stood.durable = durable;
        while self.stood.ends.front().is_some_and(|(recorded, _)| *recorded < durable) {
            self.stood.ends.pop_front();
        }
    }

    /// A promise is durable: nothing in it is less than before, but for what commands give and take back.
    pub fn has_promised(&mut self, at: Time, kept: Kept) {
        if !is_at_least(&kept, &self.promised) {
            self.breaks(at, Rule::Promise);
        }
        let before = self.promised;
        self.promised.incarnation = kept.incarnation.max(before.incarnation);
        self.promised.promise = Promise {
            ceiling: kept.promise.ceiling.max(before.promise.ceiling),
            owned_from: kept.promise.owned_from.max(before.promise.owned_from),
            ..kept.promise
        };
    }

    /// A snapshot became durable, or did not.
    pub const fn snapshotted(&mut self, succeeded: bool) {
        if succeeded {
            self.snapshots.0 += 1;
        } else {
            self.snapshots.1 += 1;
        }
    }

    /// The journal fares otherwise.
    pub fn journal(&mut self, at: Time, status: JournalStatus) {
        match status {
            JournalStatus::Degraded(_) => drop(self.degraded_since.get_or_insert(at)),
            JournalStatus::Restored => self.end_degraded(at),
        }
    }

    /// A life has ended in order; whether its last state is durable.
    pub const fn ended(&mut self, is_kept: bool) {
        if is_kept {
            self.ended.0 += 1;
        } else {
            self.ended.1 += 1;
        }
    }

    /// A life ends.
    pub fn ends(&mut self, at: Time) {
        self.end_degraded(at);
        self.earlier.push(core::mem::take(&mut self.stood));
    }

    /// A recovery gave this; `is_state` if a state was wanted, `is_excused` if the disk has lied since the one before, or what it
    /// left is still there.
    pub fn found(&mut self, at: Time, recovered: &Recovered, is_state: bool, is_excused: bool) {
        match recovered.origin {
            Origin::Fresh | Origin::Foreign => self.recoveries.fresh += 1,
            Origin::Replayed => self.recoveries.replayed += 1,
            Origin::Damaged | Origin::Poisoned | Origin::Lost => self.recoveries.damaged += 1,
        }
        let is_unreadable =
            |finding: &Finding| matches!(finding, Finding::Unlisted(_) | Finding::Unreadable(..));
        if is_excused {
            // What is left now counts from here on, and nothing of what the disk lost.
            self.promised = recovered.promises.kept;
            self.earlier.iter_mut().for_each(|stood| stood.durable = 0);
        }
        if is_excused || recovered.findings.iter().any(is_unreadable) {
            return;
        }
        let may_be_another = matches!(recovered.origin, Origin::Poisoned | Origin::Foreign);
        if is_state && !may_be_another && !self.is_known(recovered) {
            self.breaks(at, Rule::State);
        }
        if recovered.findings.iter().any(|finding| matches!(finding, Finding::Damaged { .. })) {
            self.breaks(at, Rule::Damage);
        }
        let kept = recovered.promises.kept;
        if !is_at_least(&kept, &self.promised) {
            self.breaks(at, Rule::Promise);
        }
    }

    /// The same with all that has not ended ended at `at`.
    #[must_use]
    pub fn at_end(&self, at: Time) -> Self {
        let mut ended = self.clone();
        ended.end_degraded(at);
        ended
    }

    fn is_known(&self, recovered: &Recovered) -> bool {
        for stood in self.earlier.iter().rev() {
            if recovered.state.is_some() && stood.has(recovered.chains) {
                return true;
            }
            if stood.durable > 0 {
                return false;
            }
        }
        // Nothing was ever durable.
        recovered.state.is_none()
    }

    fn end_degraded(&mut self, at: Time) {
        if let Some(since) = self.degraded_since.take() {
            self.degraded += at.since(since);
        }
    }

    fn breaks(&mut self, at: Time, rule: Rule) {
        if self.broken.len() < MAX_BROKEN {
            self.broken.push(Broken { at, rule });
        }
    }
}

/// Whether everything that was promised is in what was found. What was on its way may be found as well.
fn is_at_least(found: &Kept, promised: &Kept) -> bool {
    let (one, other) = (&found.promise, &promised.promise);
    found.incarnation >= promised.incarnation
        && one.ceiling >= other.ceiling
        && one.owned_from >= other.owned_from
}

impl Default for Survival {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use r_ems_engine::persistence::promises::Found;
    use r_ems_engine::redundancy::{Epoch, Seat};

    fn kept(incarnation: u32, round: u32) -> Kept {
        let ceiling = Epoch { round, seat: Seat(0) };
        Kept { incarnation, promise: Promise { ceiling, ..Promise::FIRST } }
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    fn found(kept: Kept) -> Recovered {
        Recovered {
            state: None,
            carried: None,
            chains: ChainPair::default(),
            origin: Origin::Fresh,
            promises: Found { kept, ..Found::NOTHING },
            incarnation: kept.incarnation,
            abstains: false,
            last: None,
            replayed: 0,
            closed: Vec::new(),
            number: Some(1),
            chores: Vec::new(),
            findings: Vec::new(),
        }
    }

    /// A controller of which ten deliveries and a promise are durable.
    fn lived() -> Survival {
        let mut survival = Survival::new();
        survival.has_promised(at(1), kept(1, 16));
        survival.begins(ChainPair::default());
        survival.stands(10, ChainPair::default(), 10);
        survival.ends(at(2));
        survival
    }

    fn broken(survival: &Survival) -> Vec<Rule> {
        survival.broken.iter().map(|broken| broken.rule).collect()
    }

    #[test]
    fn what_a_disk_lost_excuses_what_was_before_and_nothing_that_comes_after() {
        let mut survival = lived();
        survival.found(at(3), &found(kept(0, 0)), true, true);
        survival.begins(ChainPair::default());
        survival.ends(at(4));
        survival.found(at(5), &found(kept(0, 0)), true, false);
        assert_eq!(broken(&survival), [], "nothing of the life between was durable");
        survival.has_promised(at(6), kept(1, 32));
        survival.begins(ChainPair::default());
        survival.stands(5, ChainPair::default(), 5);
        survival.ends(at(7));
        survival.found(at(8), &found(kept(1, 16)), true, false);
        assert_eq!(broken(&survival), [Rule::State, Rule::Promise]);
    }

    #[test]
    fn a_durable_promise_that_is_less_than_the_one_before_is_found_and_does_not_hide_it() {
        let mut survival = lived();
        survival.has_promised(at(3), kept(2, 16));
        assert_eq!(broken(&survival), []);
        survival.has_promised(at(4), kept(3, 8));
        assert_eq!(broken(&survival), [Rule::Promise]);
        survival.found(at(5), &found(kept(3, 8)), false, false);
        assert_eq!(broken(&survival), [Rule::Promise; 2]);
    }
}
