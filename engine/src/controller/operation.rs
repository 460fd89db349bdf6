//! How an operator has a grid run: by its functions, held where it is, or at rest.
//!
//! What this is about are batteries and photovoltaic plants. It stands in the stack where a set-point by hand does, behind the
//! last function of that rank: what comes before still binds, such as a connection limit, and so does a set-point by hand. What
//! comes after has no say, but for what holds an island: gensets, loads and breakers are switched as ever.
//!
//! `Hold` keeps what was decided last, for a while and at most [`MANUAL_MAX`], because whoever froze a plant may have left.
//! `Stop` lets everything rest until an operator ends it; it is latched as an emergency stop is, and is none: a device comes to
//! rest along its ramp, and no engine is stopped.
//!
//! [`MANUAL_MAX`]: super::orders::MANUAL_MAX

use serde::{Deserialize, Serialize};

use super::composition::{Composition, Slot};
use super::group::Group;
use super::interval::Origin;
use super::orders::MANUAL_MAX;
use crate::carry::Carry;
use crate::functions::{Function, Rank, Wish};
use crate::ids::GroupIndex;
use crate::points::DeviceClass;
use crate::time::{LocalTime, Span};
use crate::units::Watts;

/// How an operator has a grid run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// By its functions.
    #[default]
    Auto,
    /// Batteries and photovoltaic plants stay at what was decided last.
    Hold,
    /// They rest.
    Stop,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Hold, Self::Stop];

    /// As a site's operators call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Hold => "hold",
            Self::Stop => "stop",
        }
    }
}

/// What an operator said last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ordered {
    /// How often something was said: the latest word counts, whoever heard it.
    words: i64,
    operation: Operation,
    /// The instant from which on a hold counts no more.
    until: Option<LocalTime>,
}

impl Ordered {
    pub(super) const fn operation(&self) -> Operation {
        self.operation
    }

    /// What is left of a hold.
    pub(super) fn left(&self, now: LocalTime) -> Option<Span> {
        self.until.map(|until| until.since(now))
    }

    /// Takes an operator's word; whether it says something else than before.
    pub(super) fn say(&mut self, operation: Operation, until: LocalTime) -> bool {
        let until = (operation == Operation::Hold).then_some(until);
        let is_other = operation != self.operation || until != self.until;
        if is_other {
            *self = Self { words: self.words.saturating_add(1), operation, until };
        }
        is_other
    }

    /// Ends a hold whose time is over; whether it did.
    pub(super) fn expire(&mut self, now: LocalTime) -> bool {
        self.until.is_some_and(|until| now >= until) && self.say(Operation::Auto, now)
    }

    /// Ends a hold with the life in which it was said; whoever goes on with it tells it anew.
    pub(super) const fn forget(&mut self) {
        if matches!(self.operation, Operation::Hold) {
            (self.operation, self.until) = (Operation::Auto, None);
        }
    }

    /// Passes it: who missed the last word must not undo it for one that did not.
    pub(super) fn carry(&mut self, carry: &mut Carry<'_>) {
        let mut other = *self;
        carry.number(&mut other.words);
        carry.choice(&mut other.operation, &Operation::ALL);
        carry.option(&mut other.until, Carry::instant);
        if carry.restores() && other.words >= self.words {
            *self = other;
            // What was told comes from outside: a hold ends within its time, and nothing else does.
            self.until = self.until.map(|until| until.min(carry.now() + MANUAL_MAX));
            match (self.operation, self.until) {
                (Operation::Hold, Some(_)) | (Operation::Auto | Operation::Stop, None) => {}
                (Operation::Hold, None) => self.forget(),
                (Operation::Auto | Operation::Stop, Some(_)) => self.until = None,
            }
        }
    }
}

impl Group {
    /// Keeps a group as an operator wants it, unless a set-point by hand counts or it is no concern of that.
    pub(super) fn operate(&mut self, operation: Operation, is_by_hand: bool) {
        match self.class() {
            DeviceClass::Battery | DeviceClass::Pv => {}
            DeviceClass::Genset
            | DeviceClass::Load
            | DeviceClass::Breaker
            | DeviceClass::Meter
            | DeviceClass::Signal => return,
        }
        self.held = match operation {
            Operation::Auto => None,
            // A limit that binds meanwhile does not move it.
            Operation::Hold => self.held.or(self.without_offset()),
            Operation::Stop => Some(Watts::ZERO),
        };
        if let Some(power) = self.held.filter(|_power| !is_by_hand) {
            self.narrow(Origin::Operator, Wish::Target(power));
        }
    }
}

impl<F: Function> Composition<F> {
    /// Keeps every group as an operator wants it.
    pub(super) fn operate(&mut self) {
        let operation = self.operation();
        for position in 0..self.groups().len() {
            let index = GroupIndex::of(position);
            let by_hand = |slot: &Slot<F>| {
                slot.law().rank() == Rank::Manual
                    && slot.wishes().as_slice().iter().any(|(group, _)| *group == index)
            };
            let is_by_hand = operation != Operation::Auto && self.slots().iter().any(by_hand);
            self.group_mut(index).operate(operation, is_by_hand);
        }
    }

    /// The place in the stack at which an operator's word about the whole grid counts: behind all that bind orders, and orders.
    pub fn behind_orders(&self) -> usize {
        let last = self.slots().iter().rposition(|slot| slot.law().rank() <= Rank::Manual);
        last.map_or(0, |last| last + 1)
    }

    /// Whether a function has a say as things stand.
    pub fn has_say(&self, slot: &Slot<F>) -> bool {
        let mode = self.mode().filter(|mode| slot.when().includes(*mode));
        mode.is_some() && decides(slot.law(), self.operation())
    }

    /// How an operator has the grid run.
    pub const fn operation(&self) -> Operation {
        self.ordered.operation()
    }

    /// What is left of a hold.
    pub fn held_for(&self, now: LocalTime) -> Option<Span> {
        self.ordered.left(now)
    }
}

/// Whether a function decides while an operator holds or stops a grid.
pub(super) fn decides<F: Function>(law: &F, operation: Operation) -> bool {
    operation == Operation::Auto || law.rank() <= Rank::Manual || law.rank() == Rank::Island
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::orders::{Aim, Milliwatts};
    use crate::event::Event;
    use crate::functions::testing::{DRAWN, Reading, Rig, ordered_stack};
    use crate::ids::DeviceIndex;
    use crate::redundancy::Command;
    use crate::redundancy::supervisor::CommandRefusal;

    fn at(seconds: u64) -> LocalTime {
        LocalTime::from_nanos(seconds * 1_000_000_000)
    }

    fn passed(from: Ordered, to: Ordered) -> Ordered {
        let (mut from, mut to, mut bytes) = (from, to, alloc::vec::Vec::new());
        from.carry(&mut Carry::saving(at(1), &mut bytes));
        to.carry(&mut Carry::restoring(at(1), &bytes));
        to
    }

    #[test]
    fn the_latest_word_counts_whoever_heard_it() {
        let mut active = Ordered::default();
        assert!(active.say(Operation::Stop, at(0)) && !active.say(Operation::Stop, at(5)));
        let standby = passed(active, Ordered::default());
        assert_eq!(standby.operation(), Operation::Stop);
        // One that knows less must not undo it.
        assert_eq!(passed(Ordered::default(), standby).operation(), Operation::Stop);
        assert!(active.say(Operation::Auto, at(0)));
        assert_eq!(passed(active, standby).operation(), Operation::Auto);
    }

    fn rig() -> Rig {
        Rig::of(&ordered_stack())
    }

    fn hold(seconds: u64) -> Command {
        Command::Operate { operation: Operation::Hold, lasts: Span::from_secs(seconds) }
    }

    #[test]
    fn a_held_grid_stays_where_it_is_and_then_goes_on_from_what_is_measured() {
        let mut rig = rig();
        assert_eq!(rig.settled(DRAWN).bess, 40.0);
        rig.command(hold(3));
        assert!(rig.reported().contains(&Event::OperationChanged { operation: Operation::Hold }));
        let drawn = Reading { pcc: 30.0, bess: 40.0, ..DRAWN };
        assert_eq!([rig.scan(drawn).bess, rig.scan(drawn).bess], [40.0; 2], "self-consumption has no say");
        assert_eq!(rig.scan(drawn).bess, 40.0, "the first scan after it takes over from what is measured");
        assert!(rig.reported().contains(&Event::OperationChanged { operation: Operation::Auto }));
        assert_eq!(rig.scan(drawn).bess, 70.0);
    }

    #[test]
    fn a_limit_above_still_binds_and_what_is_held_is_not_moved_by_it() {
        let mut rig = rig();
        rig.settled(DRAWN);
        rig.command(hold(100));
        assert_eq!(rig.scan(Reading { pcc: 320.0, bess: 40.0, ..DRAWN }).bess, 60.0);
        assert_eq!(rig.scan(Reading { pcc: 200.0, bess: 60.0, ..DRAWN }).bess, 40.0);
    }

    #[test]
    fn a_stop_rests_until_it_is_ended_outlives_a_boot_and_leaves_room_for_an_order_by_hand() {
        let mut rig = rig();
        let sunny = Reading { pcc: 40.0, pv: 300.0, ..DRAWN };
        rig.settled(sunny);
        rig.command(Command::Operate { operation: Operation::Stop, lasts: Span::ZERO });
        let stopped = rig.scan(sunny);
        assert_eq!((stopped.bess, stopped.pv), (0.0, 0.0));
        let to = Aim::Device(DeviceIndex(1));
        rig.command(Command::SetPoint { to, power: Milliwatts(20_000_000), lasts: Span::from_secs(3) });
        assert_eq!([rig.scan(sunny).bess, rig.scan(sunny).bess], [20.0; 2]);
        assert_eq!(rig.scan(sunny).bess, 0.0);
        rig.restart(Span::from_secs(100));
        let stopped = rig.settled(sunny);
        assert_eq!((stopped.bess, stopped.pv), (0.0, 0.0));
        rig.command(Command::Operate { operation: Operation::Auto, lasts: Span::ZERO });
        assert_eq!(rig.settled(sunny).bess, 40.0);
    }

    #[test]
    fn a_hold_ends_with_the_life_in_which_it_was_said_and_lasts_no_longer_than_an_hour() {
        let mut rig = rig();
        rig.settled(DRAWN);
        for seconds in [0, 3_601] {
            rig.command(hold(seconds));
            let command = hold(seconds);
            let refused = Event::CommandRefused { command, refusal: CommandRefusal::TooLong };
            assert!(rig.reported().contains(&refused));
        }
        rig.command(hold(3_600));
        rig.restart(Span::from_secs(1));
        assert_eq!(rig.settled(Reading { pcc: 90.0, ..DRAWN }).bess, 90.0);
    }

    #[test]
    fn a_hold_ends_by_itself_and_a_stop_does_not() {
        let mut ordered = Ordered::default();
        assert!(ordered.say(Operation::Hold, at(100)));
        assert_eq!(ordered.left(at(40)), Some(Span::from_secs(60)));
        assert!(!ordered.expire(at(99)) && ordered.expire(at(100)));
        assert_eq!((ordered.operation(), ordered.left(at(100))), (Operation::Auto, None));
        assert!(ordered.say(Operation::Stop, at(0)) && !ordered.expire(at(1_000_000)));
    }
}
