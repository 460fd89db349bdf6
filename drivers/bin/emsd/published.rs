//! Publishes what passes in a loop: events as they are reported, and what each controller has become, a few times a second and
//! when its role changes.
//!
//! **Invariant:** nothing that passes is changed, and nobody is waited for.

use r_ems_engine::event::Event;
use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Effect, Handled, Outcome, Step};
use r_ems_engine::{Span, Time};

use super::feed::{Feed, Life, Told, What};

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
        self.free_at = self.free_at.max(now) + STATE_EVERY;
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
        let mut must_show = false;
        for effect in outcome.effects.as_slice() {
            if let Some(event) = effect.event() {
                self.feed.tell(Told { at: outcome.at, from: outcome.from, what: What::Event(*event) });
            }
            // Who may write is told at once; after the last word nothing comes.
            must_show |= match effect {
                Effect::Report(event) => matches!(event, Event::RoleChanged { .. } | Event::TookOver { .. }),
                Effect::Stopped => {
                    account.life = Life::Stopped;
                    true
                }
                Effect::Write(_)
                | Effect::Poll { .. }
                | Effect::Disconnect { .. }
                | Effect::Send { .. }
                | Effect::Transfer { .. }
                | Effect::Authority { .. }
                | Effect::Promise(_)
                | Effect::Snapshot => false,
            };
        }
        if !must_show && !account.allowance.allows(outcome.at) {
            return;
        }
        let life = account.life;
        let is_shown = self.feed.show(outcome.from, |seen| {
            (seen.at, seen.now, seen.life) = (outcome.at, outcome.now, life);
            seen.state.clear();
            outcome.state.encode(&mut seen.state);
        });
        if is_shown {
            account.allowance.take(outcome.at);
        }
    }
}

impl<D: Driver> Driver for Published<D> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        let delivery = self.inner.next()?;
        if matches!(delivery.step, Step::Boot(_)) {
            self.controllers[delivery.to.position()].life = Life::Lives;
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
        self.feed.show(failure.controller, |seen| (seen.at, seen.life) = (failure.at, Life::Failed));
        self.feed.tell(Told { at: failure.at, from: failure.controller, what: What::Failed });
        afterwards
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        D::contain(run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
