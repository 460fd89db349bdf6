//! Confines a panic to the delivery that caused it.
//!
//! A machine that fails an assertion must not take the others with it, nor the log: the log says so, others go on, and at the end
//! a message names the controller and the time. What the first panic itself said is kept for that message.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use r_ems_engine::fleet::Poisoned;
use r_ems_engine::machine::{Afterwards, Delivery, Driver, Handled, Outcome};
use r_ems_engine::persistence::Containment;

/// A driver whose deliveries may panic.
#[derive(Clone)]
pub struct Contained<D> {
    /// The driver.
    pub inner: D,
    /// What the first failure said that the run went on after.
    pub words: Option<String>,
}

impl<D> Contained<D> {
    /// Contains the panics of a driver's deliveries.
    pub const fn new(inner: D) -> Self {
        Self { inner, words: None }
    }
}

thread_local! {
    /// What the last contained panic said, and where.
    static LAST_WORDS: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether a panic on this thread is contained now.
    static CONTAINS: RefCell<bool> = const { RefCell::new(false) };
}

/// Keeps contained panics from writing to standard error on their own; others are still told as usual.
///
/// A library must not do this behind its user's back: the programs call it once.
pub fn quiet_contained_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if CONTAINS.with_borrow(|contains| *contains) {
            let words = panic.payload_as_str().unwrap_or("no words");
            let place = panic.location().map(|place| format!(" ({place})")).unwrap_or_default();
            LAST_WORDS.with_borrow_mut(|last| *last = Some(format!("{words}{place}")));
        } else {
            usual(panic);
        }
    }));
}

/// What the last contained panic of this thread said.
pub fn last_words() -> String {
    let words = LAST_WORDS.with_borrow_mut(Option::take);
    words.unwrap_or_else(|| "an assertion failed".to_owned())
}

impl<D: Driver> Driver for Contained<D> {
    fn next(&mut self) -> Option<Delivery<'_>> {
        self.inner.next()
    }

    fn perform(&mut self, outcome: &Outcome<'_>) {
        self.inner.perform(outcome);
    }

    fn failed(&mut self, failure: Poisoned) -> Afterwards {
        let afterwards = self.inner.failed(failure);
        if afterwards == Afterwards::OthersGoOn && self.words.is_none() {
            self.words = Some(last_words());
        }
        afterwards
    }

    fn contain(run: &mut dyn FnMut()) -> Handled {
        contain(run)
    }
}

/// Confines a panic in a recovery, where what was recorded is handled once more.
#[derive(Clone, Copy, Debug)]
pub struct Recovering;

impl Containment for Recovering {
    fn contain(run: &mut dyn FnMut()) -> Handled {
        contain(run)
    }
}

fn contain(run: &mut dyn FnMut()) -> Handled {
    CONTAINS.with_borrow_mut(|contains| *contains = true);
    // After a panic the fleet uses neither the machine nor its effects: nothing half-made is seen.
    let ended = catch_unwind(AssertUnwindSafe(run));
    CONTAINS.with_borrow_mut(|contains| *contains = false);
    match ended {
        Ok(()) => Handled::Done,
        Err(_) => Handled::Poisoned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Driver for Nothing {
        fn next(&mut self) -> Option<Delivery<'_>> {
            None
        }

        fn perform(&mut self, _outcome: &Outcome<'_>) {}
    }

    #[test]
    fn a_panic_poisons_the_delivery_and_nothing_else() {
        quiet_contained_panics();
        let handled = Contained::<Nothing>::contain(&mut || panic!("the interval is empty"));
        assert_eq!(handled, Handled::Poisoned);
        assert!(last_words().starts_with("the interval is empty"));
        assert_eq!(Contained::<Nothing>::contain(&mut || {}), Handled::Done);
    }
}
