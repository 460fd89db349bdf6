//! Publishes what passes in a loop: events as they are reported, and what each controller has become, a few times a second and
//! when its role changes. The state comes before the events: whoever hears of a take-over and looks, sees it.
//!
//! **Invariant:** nothing that passes is changed, and nobody is waited for.

use r_ems_engine::event::Event;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Effect, Handled, Outcome, Step};
use r_ems_engine::{Span, Time};

use super::feed::{Feed, Life, What};

/// A controller's state is published this often at most, on average.
pub const STATE_EVERY: Span = Span::from_millis(100);
/// So many states of a controller may follow each other at once, so that what comes of a scan is not told a scan later.
pub const STATES_AT_ONCE: u64 = 3;

/// A driver whose outcomes are published.
#[derive(Debug)]
pub struct Published<D> {
    inner: D,
    feed: Feed,
    controllers: Vec<Account>,
}

/// What is known of a controller here.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    life: Life,
    allowance: Allowance,
    /// Whether its state has to be published as soon as that can be done.
    owes: bool,
}

/// Bounds how often a state is published: each publication takes one of a few places, which free themselves with time.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    /// When all places are free.
    free_at: Time,
}

impl Allowance {
    /// Whether a state may be published now.
    fn allows(self, now: Time) -> bool {
        self.free_at.since(now) <= STATE_EVERY * (STATES_AT_ONCE - 1)
    }

    fn take(&mut self, now: Time) {
        // What had to be published at once takes no place beyond those that there are.
        self.free_at = (self.free_at.max(now) + STATE_EVERY).min(now + STATE_EVERY * STATES_AT_ONCE);
    }
}

impl<D> Published<D> {
    /// Publishes what passes through `inner`.
    pub fn new(inner: D, feed: Feed, controllers: usize) -> Self {
        Self { inner, feed, controllers: vec![Account::default(); controllers] }
    }

    /// How many controllers live, as far as is seen here.
    pub fn living(&self) -> usize {
        self.controllers.iter().filter(|account| account.life == Life::Lives).count()
    }

    /// Ends publishing.
    pub fn into_inner(self) -> D {
        self.inner
    }

    fn publish(&mut self, outcome: &Outcome<'_>) {
        let account = &mut self.controllers[outcome.from.position()];
        for effect in outcome.effects.as_slice() {
            // Who may write is told at once; after the last word nothing comes.
            account.owes |= match effect {
                Effect::Report(event) => matches!(event, Event::RoleChanged { .. } | Event::TookOver { .. }),
                Effect::Stopped => {
                    account.life = Life::Stopped;
                    true
                }
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Frame { .. }
                | Effect::Link { .. }
                | Effect::Send { .. }
                | Effect::Transfer { .. }
                | Effect::Authority { .. }
                | Effect::Promise(_)
                | Effect::Snapshot => false,
            };
        }
        if account.owes || account.allowance.allows(outcome.at) {
            let is_shown = self.feed.show(outcome.from, |seen| {
                (seen.at, seen.now) = (outcome.at, outcome.now);
                seen.state.clear();
                outcome.state.encode(&mut seen.state);
            });
            account.owes = !is_shown;
            if is_shown {
                account.allowance.take(outcome.at);
            }
        }
        self.feed.lives(outcome.from, account.life);
        for event in outcome.effects.as_slice().iter().filter_map(Effect::event) {
            self.feed.tell(outcome.at, outcome.from, What::Event(*event));
        }
    }
}

impl<D: Driver> Driver for Published<D> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        if matches!(delivery.step, Step::Boot(_)) {
            // What is seen of it is of the life before.
            let account = &mut self.controllers[delivery.to.position()];
            (account.life, account.owes) = (Life::Lives, true);
        }
        Some(delivery)
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        // What matters to the world comes first.
        self.inner.perform(outcome);
        self.publish(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        let afterwards = self.inner.failed(failure);
        self.controllers[failure.controller.position()].life = Life::Failed;
        self.feed.lives(failure.controller, Life::Failed);
        self.feed.tell(failure.at, failure.controller, What::Failed);
        afterwards
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use r_ems_engine::LocalTime;
    use r_ems_engine::carried::Carried;
    use r_ems_engine::ids::ControllerIndex;
    use r_ems_engine::machine::{Effects, State};
    use r_ems_engine::redundancy::{Epoch, Reason, Role};

    use super::super::feed::feed;
    use super::*;

    const WHO: ControllerIndex = ControllerIndex(0);

    /// A driver of which nothing comes.
    struct Nothing;

    impl Driver for Nothing {
        fn next(&mut self) -> Option<Delivery<'_>> {
            None
        }

        fn perform(&mut self, _outcome: &Outcome<'_>) {}
    }

    /// A state of one byte; `check` is done when it is encoded.
    struct Byte<F: Fn()>(u8, F);

    impl<F: Fn()> State for Byte<F> {
        fn encode(&self, bytes: &mut Vec<u8>) {
            (self.1)();
            bytes.push(self.0);
        }

        fn carried(&self) -> Option<Carried> {
            None
        }
    }

    /// An outcome at so many ms, after which the state is `state`.
    fn perform(published: &mut Published<Nothing>, millis: u64, effects: &Effects, state: &dyn State) {
        let (at, now) = (Time::ZERO + Span::from_millis(millis), LocalTime::ZERO);
        published.perform(&Outcome { at, now, from: WHO, deadline: None, effects, state });
    }

    fn role_changed() -> Effects {
        let mut effects = Effects::new();
        effects.report(Event::RoleChanged { role: Role::Active, reason: Reason::Start, epoch: Epoch::NONE });
        effects
    }

    #[test]
    fn what_could_not_be_shown_is_shown_with_the_next_outcome() {
        let (feed, fed, _events) = feed(1);
        let mut published = Published::new(Nothing, feed, 1);
        let none = Effects::new();
        // Its allowance is used up.
        (1..=4).for_each(|state| perform(&mut published, 0, &none, &Byte(state, || {})));
        assert_eq!(fed.seen(WHO).state, [3]);
        let reading = fed.reading(WHO);
        perform(&mut published, 1, &role_changed(), &Byte(5, || {}));
        drop(reading);
        assert_eq!(fed.seen(WHO).state, [3], "it was just being read");
        perform(&mut published, 2, &none, &Byte(6, || {}));
        assert_eq!(fed.seen(WHO).state, [6]);
        perform(&mut published, 3, &none, &Byte(7, || {}));
        assert_eq!(fed.seen(WHO).state, [6], "nothing is owed any more");
    }

    #[test]
    fn an_event_is_told_once_its_state_can_be_seen() {
        let (feed, fed, events) = feed(1);
        let events = RefCell::new(events);
        let mut published = Published::new(Nothing, feed, 1);
        let nothing_is_told = || assert!(events.borrow_mut().try_recv().is_err());
        perform(&mut published, 0, &role_changed(), &Byte(1, nothing_is_told));
        assert_eq!(fed.seen(WHO).state, [1]);
        assert!(events.borrow_mut().try_recv().is_ok());
    }

    #[test]
    fn the_last_word_is_heard_also_while_the_state_is_being_read() {
        let (feed, fed, _events) = feed(1);
        let mut published = Published::new(Nothing, feed, 1);
        let reading = fed.reading(WHO);
        let mut stopped = Effects::new();
        stopped.push(Effect::Stopped);
        perform(&mut published, 0, &stopped, &Byte(1, || {}));
        drop(reading);
        assert_eq!(fed.life(WHO), Life::Stopped);
    }

    #[test]
    fn a_few_states_follow_at_once_and_then_ten_a_second() {
        let mut allowance = Allowance::default();
        let mut published = |millis: u64| {
            let now = Time::ZERO + Span::from_millis(millis);
            let allows = allowance.allows(now);
            if allows {
                allowance.take(now);
            }
            allows
        };
        assert_eq!([0, 1, 2, 3].map(&mut published), [true, true, true, false]);
        assert!(!published(99) && published(100) && !published(101));
        let in_a_second = (1_000..2_000).filter(|millis| published(*millis)).count();
        assert!((10..=13).contains(&in_a_second), "{in_a_second}");
        let burst = Time::ZERO + Span::from_secs(3);
        (0..60).for_each(|_| allowance.take(burst));
        assert!(allowance.allows(burst + STATE_EVERY), "what had to be published does not delay the rest");
    }
}
